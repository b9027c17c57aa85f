"""Security groups, prefix lists and network ACLs of a topology as the fields of its file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from emulator.model.entities import Vpc
from emulator.model.fileformat.references import References
from emulator.model.fileformat.rulebook import default_group
from emulator.model.fileformat.yamltext import OneLine
from emulator.model.groups import (
    ALLOW_ALL,
    ALLOW_ALL_IPV6,
    OPEN_ACL,
    AclRule,
    Direction,
    GroupPeer,
    ListPeer,
    NetworkAcl,
    PrefixList,
    Rule,
    SecurityGroup,
    identify,
)
from emulator.model.services import ALL, CONSOLE_TYPES, ICMP, ICMPV6, TCP, UDP, Service, protocol_name

WORDS = {service: word for word, service in CONSOLE_TYPES.items()}
_SIDE = {Direction.INGRESS: "source", Direction.EGRESS: "destination"}
_SHORT_LIST = 8


def traffic(service: Service) -> dict[str, Any]:
    """Protocol and ports in the fields of a rule: the console's word where one says exactly this.

    Examples
    --------
    >>> traffic(Service(6, (443, 443))), traffic(Service(6, (8000, 8099))), traffic(Service(1, (3, 4)))
    ({'type': 'HTTPS'}, {'protocol': 'tcp', 'ports': '8000-8099'}, {'protocol': 'icmp', 'icmp_type': 3, 'icmp_code': 4})
    """
    if service in WORDS:
        return {"type": WORDS[service]}
    first, last = service.ports
    name = protocol_name(service.protocol)
    said: dict[str, Any] = {"protocol": service.protocol if name.isdigit() else name}
    if service.protocol in (TCP, UDP) and first != ALL:
        said["ports"] = first if first == last else f"{first}-{last}"
    if service.protocol in (ICMP, ICMPV6) and first != ALL:
        said |= {"icmp_type": first} if last == ALL else {"icmp_type": first, "icmp_code": last}
    return said


def group_fields(group: SecurityGroup, references: References, ipv6: bool) -> dict[str, Any]:
    """A security group beyond what AWS gives it; empty for a `default` group that nobody touched.

    Parameters
    ----------
    ipv6 : whether its VPC has an IPv6 block, which lets a new group's IPv6 out as well (SG-13, SG-14).
    """
    made = default_group() if group.name == "default" else SecurityGroup("", "")
    own = (replace(made.ingress[0], id="", peer=GroupPeer(group.id)),) if made.ingress else ()
    untouched = {Direction.INGRESS: own, Direction.EGRESS: (ALLOW_ALL, ALLOW_ALL_IPV6)[: 1 + ipv6]}
    said: dict[str, Any] = {}
    if group.description != made.description:
        said["description"] = group.description
    for direction, rules in untouched.items():
        mine = tuple(replace(rule, place="") for rule in group.rules(direction))
        if mine != identify(rules, group.id, direction):
            said[direction.name.lower()] = [_rule(rule, group, direction, references) for rule in mine]
    for field, vpcs in (("associated_vpcs", group.associated_vpcs), ("disassociated_vpcs", group.disassociated_vpcs)):
        if vpcs:
            said[field] = [references.name(vpc, (Vpc,), "") for vpc in vpcs]
    key = references.own_id(group)
    return said | ({"id": key} if key else {})


def _rule(rule: Rule, group: SecurityGroup, direction: Direction, references: References) -> OneLine:
    peer = rule.peer
    if isinstance(peer, GroupPeer):
        other = references.peer(peer.group, group.vpc)
    else:
        other = references.peer(peer.list, group.vpc) if isinstance(peer, ListPeer) else str(peer)
    said = OneLine(traffic(rule.service), **{_SIDE[direction]: other})
    if rule.description:
        said["description"] = rule.description
    if rule.id != identify((replace(rule, id=""),), group.id, direction)[0].id:
        said["id"] = rule.id
    return said


def prefix_list_fields(prefix_list: PrefixList, references: References) -> Any:
    """A prefix list: its blocks, or fields if there is more to say."""
    blocks = [str(block) for block in prefix_list.entries]
    key = references.own_id(prefix_list)
    if prefix_list.max_entries is None and not key:
        return blocks
    said = {"entries": blocks, "max_entries": prefix_list.max_entries, "id": key}
    given = {name: value for name, value in said.items() if value not in (None, "")}
    return OneLine(given) if len(blocks) <= _SHORT_LIST else given


def network_acl_fields(acl: NetworkAcl, references: References) -> dict[str, Any]:
    """A network ACL beyond what AWS gives it; empty for a `default` ACL that nobody touched."""
    left_out = OPEN_ACL if acl.name == "default" else ()
    said: dict[str, Any] = {}
    for direction, entries in ((Direction.INGRESS, acl.ingress), (Direction.EGRESS, acl.egress)):
        if tuple(replace(entry, place="") for entry in entries) != left_out:
            said[direction.name.lower()] = _entries(entries, direction)
    key = references.own_id(acl)
    return said | ({"id": key} if key else {})


def _entries(entries: Sequence[AclRule], direction: Direction) -> list[OneLine]:
    return [
        OneLine(
            {"rule": entry.number, "action": "allow" if entry.allow else "deny"},
            **traffic(Service(entry.protocol, entry.ports)),
            **{_SIDE[direction]: str(entry.block)},
        )
        for entry in entries
    ]
