"""What must hold for the rules of groups, prefix lists and network ACLs (SG-16 to SG-29, SG-51, NA-4 to NA-8)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.model.groups import AclRule, Direction, GroupPeer, NetworkAcl, PrefixList, Rule, SecurityGroup
from emulator.model.services import ALL, ICMP, ICMPV6, TCP, UDP, protocol_name

if TYPE_CHECKING:
    from emulator.model.topology import Topology

_NAME_SIGNS = frozenset(" ._-:/()#,@[]+=&;{}!$*")
LONGEST = 255


def rule_problems(topology: "Topology") -> Iterator[tuple[object, str]]:
    """Troubles of rules, as pairs of the thing they are about and what is wrong."""
    for group in topology.all(SecurityGroup):
        yield from _group(topology, group)
    for prefix_list in topology.all(PrefixList):
        yield from ((prefix_list, f"prefix list {prefix_list.name}: {text}") for text in _prefix_list(prefix_list))
    for acl in topology.all(NetworkAcl):
        for direction in Direction:
            yield from _acl(acl, direction)
    yield from _group_names(topology)


def _group_names(topology: "Topology") -> Iterator[tuple[object, str]]:
    seen: dict[tuple[str, str], SecurityGroup] = {}
    for group in topology.all(SecurityGroup):
        other = seen.setdefault((group.vpc, group.name.rstrip().casefold()), group)
        if other is not group:
            text = f"the security group '{group.name}' already exists as {other.name}, capitals apart; choose another name"
            yield group, f"InvalidGroup.Duplicate: {text} (SG-29)"


def _group(topology: "Topology", group: SecurityGroup) -> Iterator[tuple[object, str]]:
    if (
        len(group.name) > LONGEST
        or not group.name.strip()
        or not all(sign.isascii() and (sign.isalnum() or sign in _NAME_SIGNS) for sign in group.name)
    ):
        yield group, f"security group {group.name!r}: a name has up to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{{}}!$* (SG-29)"
    if group.associated_vpcs and (group.name == "default" or group.vpc in group.associated_vpcs):
        why = "a default group serves its own VPC alone" if group.name == "default" else "its own VPC needs no association"
        yield group, f"{group.name}: {why}; leave associated_vpcs out (SG-60)"
    if len(group.description) > LONGEST:
        yield group, f"{group.name}: its description is longer than 255 characters; shorten it (SG-28)"
    for direction in Direction:
        seen: dict[object, int] = {}
        for number, rule in enumerate(group.rules(direction), 1):
            what = f"{group.name} {direction.name.lower()} {number}"
            thing = rule if rule.place else group
            first = seen.setdefault(rule.canonical().content(), number)
            if first != number:
                yield thing, f"{what}: InvalidPermission.Duplicate: it says the same as rule {first}; keep one of them (SG-51)"
            if len(rule.description) > LONGEST:
                yield thing, f"{what}: its description is longer than 255 characters; shorten it (SG-28)"
            yield from ((thing, f"{what}: {text}") for text in service_problems(rule))
            peer = topology.entities.get(rule.peer.group) if isinstance(rule.peer, GroupPeer) else None
            if isinstance(peer, SecurityGroup) and not _were_together(group, peer) and not _may_be_named(topology, group.vpc, peer.vpc):
                yield thing, f"{what}: {peer.name} is a group of {topology.display(peer.vpc)}, which is not peered with this VPC (SG-30)"


def _were_together(one: SecurityGroup, other: SecurityGroup) -> bool:
    """Whether two groups are, or were, usable in one VPC; a rule across an association that is over is stale, not wrong (SG-32)."""
    return bool({*one.vpcs, *one.disassociated_vpcs} & {*other.vpcs, *other.disassociated_vpcs})


def _may_be_named(topology: "Topology", one: str, other: str) -> bool:
    """Whether two VPCs were ever peered or share a transit gateway; a rule across what is not active is stale, not wrong (SG-32)."""
    from emulator.model.entities import VpcPeeringConnection
    from emulator.model.joined import TransitGatewayAttachment

    hubs = [{joined.transit_gateway for joined in topology.all(TransitGatewayAttachment) if joined.vpc == vpc} for vpc in (one, other)]
    peered = any({peering.requester, peering.accepter} == {one, other} for peering in topology.all(VpcPeeringConnection))
    return peered or bool(hubs[0] & hubs[1])


def service_problems(rule: Rule | AclRule) -> Iterator[str]:
    """Troubles with a rule's protocol and ports, or type and code (SG-16 to SG-20)."""
    first, last = rule.ports
    if not -1 <= rule.protocol <= 255:
        yield f"protocol {rule.protocol} is not a number from 0 to 255; -1 is all"
    elif rule.protocol in (TCP, UDP):
        if (first, last) != (ALL, ALL) and not 0 <= first <= last <= 65535:
            yield f"InvalidParameterValue: ports {first}-{last} must rise and lie between 0 and 65535"
    elif rule.protocol in (ICMP, ICMPV6):
        if not -1 <= first <= 255 or not -1 <= last <= 255:
            yield f"InvalidParameterValue: ICMP type {first} and code {last} lie between 0 and 255; -1 is all"
        elif first == ALL and last != ALL:
            yield f"InvalidParameterValue: with all ICMP types the code is all as well, not {last} (SG-20)"
    elif (first, last) not in ((ALL, ALL), (0, 0), (0, 65535)) and rule.protocol == ALL:
        yield f'ports need protocol tcp or udp, not "{protocol_name(rule.protocol)}"'


def _prefix_list(prefix_list: PrefixList) -> Iterator[str]:
    if len({block.version for block in prefix_list.entries}) > 1:
        yield "its entries are of both families; make one list of each (SG-27)"
    if prefix_list.max_entries is not None and len(prefix_list.entries) > prefix_list.max_entries:
        yield f"{len(prefix_list.entries)} entries are more than its max_entries {prefix_list.max_entries}; raise it or remove some"
    if len(prefix_list.entries) > 1000:
        yield f"{len(prefix_list.entries)} entries are more than 1000; make several lists (SG-43)"
    if len(set(prefix_list.entries)) < len(prefix_list.entries):
        yield "an entry stands twice; keep one of them"


def _acl(acl: NetworkAcl, direction: Direction) -> Iterator[tuple[object, str]]:
    seen = set()
    for entry in acl.rules(direction):
        what = f"network ACL {acl.name} {direction.name.lower()} {entry.number}"
        thing = entry if entry.place else acl
        if not 1 <= entry.number <= 32766:
            yield thing, f"{what}: rule numbers go from 1 to 32766 (NA-4)"
        if entry.number in seen:
            yield thing, f"{what}: NetworkAclEntryAlreadyExists: the network acl entry identified by {entry.number} already exists (NA-16)"
        seen.add(entry.number)
        yield from ((thing, f"{what}: {text}") for text in service_problems(entry))
