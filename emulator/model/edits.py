"""Edits as EC2 makes them: each gives a new topology, or raises the error code that EC2 would answer with.

A running network takes the new topology between two packets (`Network.edit`); what is tracked goes on (SG-54), what is
not meets the new rules with its next packet (SG-53, SG-55).  A batch with one bad rule changes nothing (SG-52).

Source: EC2 API Reference, "Error codes"; facts SG-22, SG-30 to SG-37, SG-39 to SG-42, SG-51.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from emulator.errors import ApiError
from emulator.model.entities import NetworkInterface, RouteTable, Vpc, VpcPeeringConnection
from emulator.model.groups import Direction, GroupPeer, ListPeer, PrefixList, Rule, SecurityGroup
from emulator.model.joined import TransitGateway, TransitGatewayAttachment
from emulator.model.permissions import group_missing, is_id, refuse_bad
from emulator.model.quotas import GROUPS, GROUPS_PER_INTERFACE, RULES_PER_GROUP
from emulator.model.topology import Topology


@dataclass(frozen=True, slots=True)
class StaleRule:
    """A rule that names a group which is gone or out of reach; it stays in the list and matches nothing (SG-32)."""

    group: SecurityGroup
    direction: Direction
    rule: Rule


def is_stale(topology: Topology, group: SecurityGroup, rule: Rule) -> bool:
    """Whether a rule names a group that is gone, or one of a VPC that no active peering of the Region joins to the rule's, nor
    a transit gateway that keeps groups (SG-30 to SG-32)."""
    if not isinstance(rule.peer, GroupPeer):
        return False
    peer = topology.entities.get(rule.peer.group)
    if not isinstance(peer, SecurityGroup):
        return True
    here, there = group.vpc, peer.vpc
    return not group.vpcs & peer.vpcs and not _are_peered(topology, here, there) and not _share_a_hub(topology, here, there)


def _are_peered(topology: Topology, one: str, other: str) -> bool:
    peerings = (peering for peering in topology.all(VpcPeeringConnection) if peering.is_active and not peering.inter_region)
    return any({peering.requester, peering.accepter} == {one, other} for peering in peerings)


def _share_a_hub(topology: Topology, one: str, other: str) -> bool:
    """Whether a transit gateway with security group referencing joins two VPCs by attachments that have it too (SG-31)."""
    hubs = [
        {
            joined.transit_gateway
            for joined in topology.all(TransitGatewayAttachment)
            if joined.vpc == vpc and joined.security_group_referencing
        }
        for vpc in (one, other)
    ]
    return any(topology.get(hub, TransitGateway).security_group_referencing for hub in hubs[0] & hubs[1])


def stale_rules(topology: Topology, vpc: str) -> Iterator[StaleRule]:
    """The stale rules of a VPC's groups, as DescribeStaleSecurityGroups lists them (SG-34)."""
    vpc_id = topology.find(vpc).id
    for group in topology.all(SecurityGroup):
        for direction in Direction:
            for rule in group.rules(direction):
                if group.vpc == vpc_id and is_stale(topology, group, rule):
                    yield StaleRule(group, direction, rule)


def authorize(topology: Topology, group: str, direction: Direction, *rules: Rule) -> Topology:
    """A topology in which a group has more rules.

    Raises
    ------
    ApiError : InvalidGroup.NotFound, InvalidPermission.Duplicate, RulesPerSecurityGroupLimitExceeded, MissingParameter for no
        rule at all, and those of `permissions.refuse_bad`.
    TopologyError : a rule that cannot be.
    """
    found = group_of(topology, group)
    if not rules:
        raise ApiError("MissingParameter", f"{found.name}: name a rule: a protocol with its ports, and a peer (SG-21)")
    known = list(found.rules(direction))
    for rule in rules:
        rule = _resolved(topology, found, rule).canonical()
        refuse_bad(topology, rule)
        if any(rule.content() == other.content() for other in known):
            raise ApiError("InvalidPermission.Duplicate", f'the specified rule "peer: {rule.peer}, {rule.service}, ALLOW" already exists')
        known.append(rule)
    for version in (4, 6):
        weight = sum(weight_of(topology, rule, version) for rule in known)
        if weight > RULES_PER_GROUP:
            text = f"{found.name} would have {weight} IPv{version} {direction.name.lower()} rules; {RULES_PER_GROUP} is the most (SG-39)"
            raise ApiError("RulesPerSecurityGroupLimitExceeded", text)
    return topology.changed(found.id, **{direction.name.lower(): tuple(known)})


def revoke(topology: Topology, group: str, direction: Direction, *rules: Rule) -> Topology:
    """A topology in which a group lacks rules; they are known by their content or by their id.

    In the default VPC a rule that is not there is no error; see `unknown_permissions` (SG-51).

    Raises
    ------
    ApiError : InvalidGroup.NotFound, InvalidPermission.NotFound.
    """
    found = group_of(topology, group)
    if topology.get(found.vpc, Vpc).is_default:
        unknown = unknown_permissions(topology, group, direction, *rules)
        rules = tuple(rule for rule in rules if rule not in unknown)
    left = list(found.rules(direction))
    for rule in rules:
        content = _resolved(topology, found, rule).canonical().content()
        match = next((other for other in left if other.id == rule.id or other.content() == content), None)
        if match is None:
            raise ApiError(
                "InvalidPermission.NotFound", f"The specified rule does not exist in security group {found.name}: {rule.service}"
            )
        left.remove(match)
    return topology.changed(found.id, **{direction.name.lower(): tuple(left)})


def unknown_permissions(topology: Topology, group: str, direction: Direction, *rules: Rule) -> tuple[Rule, ...]:
    """Those rules that a group lacks: what EC2 lists as UnknownIpPermissions when they are revoked (SG-49, SG-51).

    Raises
    ------
    ApiError : InvalidGroup.NotFound.
    """
    found = group_of(topology, group)
    known = {other.content() for other in found.rules(direction)} | {other.id for other in found.rules(direction)}
    return tuple(rule for rule in rules if not {_resolved(topology, found, rule).canonical().content(), rule.id or None} & known)


def revoke_by_id(topology: Topology, group: str, *ids: str) -> Topology:
    """A topology in which a group lacks the rules of these ids, of either direction.

    Raises
    ------
    ApiError : InvalidGroup.NotFound, InvalidSecurityGroupRuleId.NotFound, InvalidSecurityGroupRuleId.Malformed.
    """
    found = group_of(topology, group)
    known = {rule.id: (direction, rule) for direction in Direction for rule in found.rules(direction)}
    for key in ids:
        if not is_id(key, "sgr-"):
            raise ApiError("InvalidSecurityGroupRuleId.Malformed", f"The security group rule ID '{key}' is malformed; it begins with sgr-")
        if key not in known:
            raise ApiError("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{key}' does not exist in {found.name}")
    for direction, rule in (known[key] for key in ids):
        topology = revoke(topology, found.id, direction, rule)
    return topology


def modify_rule(topology: Topology, group: str, key: str, rule: Rule) -> Topology:
    """A topology in which the rule of an id says something else, in its place and direction and with its id (SG-23).

    Raises
    ------
    ApiError : InvalidGroup.NotFound, InvalidSecurityGroupRuleId.NotFound, InvalidPermission.Duplicate, InvalidParameterValue for
        a peer of another kind, and those of `permissions.refuse_bad`.
    """
    found = group_of(topology, group)
    for direction in Direction:
        rules = found.rules(direction)
        for place, old in enumerate(rules):
            if old.id == key:
                new = replace(_resolved(topology, found, rule).canonical(), id=key)
                refuse_bad(topology, new)
                if type(new.peer) is not type(old.peer):
                    raise ApiError("InvalidParameterValue", f"{key}: the kind of a rule's peer cannot be changed (SG-23)")
                if any(new.content() == other.content() for other in rules if other.id != key):
                    raise ApiError("InvalidPermission.Duplicate", f"{key}: another rule of {found.name} says the same")
                return topology.changed(found.id, **{direction.name.lower(): (*rules[:place], new, *rules[place + 1 :])})
    raise ApiError("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{key}' does not exist in {found.name}")


def create_group(topology: Topology, vpc: str, name: str, description: str = "") -> Topology:
    """A topology with one more group, which lets nothing in and everything out (SG-14).

    Raises
    ------
    ApiError : InvalidVpcID.NotFound, InvalidGroup.Reserved, InvalidGroup.Duplicate, SecurityGroupLimitExceeded.
    TopologyError : a name or a description that cannot be (SG-28, SG-29).
    """
    home = vpc_of(topology, vpc)
    known = list(topology.all(SecurityGroup))
    folded = name.rstrip().casefold()
    if folded == "default":
        raise ApiError("InvalidGroup.Reserved", "The security group name 'default' is reserved (SG-13)")
    if any(group.vpc == home.id and group.name.rstrip().casefold() == folded for group in known):
        raise ApiError("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{home.id}'")
    if len(known) >= GROUPS:
        raise ApiError("SecurityGroupLimitExceeded", f"{len(known)} security groups; {GROUPS} is the most (SG-38)")
    return topology.replace(SecurityGroup(name.rstrip(), home.id, description=description))


def replace_groups(topology: Topology, interface: str, *groups: str) -> Topology:
    """A topology in which an interface has other groups, the whole list at once (SG-2, SG-58).

    Raises
    ------
    ApiError : InvalidGroup.NotFound, SecurityGroupsPerInterfaceLimitExceeded, InvalidParameterValue for no group at all.
    """
    eni = interface_of(topology, interface)
    if not groups:
        raise ApiError("InvalidParameterValue", f"{interface}: an interface has at least one security group (SG-2)")
    if len(groups) > GROUPS_PER_INTERFACE:
        text = f"{interface}: {len(groups)} groups; {GROUPS_PER_INTERFACE} is the most (SG-42)"
        raise ApiError("SecurityGroupsPerInterfaceLimitExceeded", text)
    return topology.changed(eni.id, security_groups=tuple(group_of(topology, group).id for group in groups))


def delete_group(topology: Topology, group: str) -> Topology:
    """A topology without a group; rules of peer VPCs that named it turn stale (SG-35 to SG-37).

    Raises
    ------
    ApiError : InvalidGroup.NotFound, CannotDelete, DependencyViolation.
    """
    found = group_of(topology, group)
    if found.name == "default":
        raise ApiError("CannotDelete", f"the default security group of {topology.display(found.vpc)} cannot be deleted (SG-13)")
    users = [topology.display(eni.id) for eni in topology.all(NetworkInterface) if found.id in eni.security_groups]
    users += [f"its association with {topology.display(vpc)} (SG-61)" for vpc in found.associated_vpcs]
    users += [
        other.name
        for other in topology.all(SecurityGroup)
        if other.vpc == found.vpc and other.id != found.id and any(_names(rule, found.id) for way in Direction for rule in other.rules(way))
    ]
    if users:
        raise ApiError("DependencyViolation", f"resource {found.id} has a dependent object: {users[0]}")
    return topology.replace(without=[found.id])


def delete_peering(topology: Topology, peering: str) -> Topology:
    """A topology in which a peering is deleted: routes to it turn blackhole, rules across it stale (RT-10, SG-32).

    It stays, with the status ``deleted`` as EC2 still shows it, so that the stale rules have something to tell of.
    """
    found = topology.get(topology.find(peering).id, VpcPeeringConnection)
    tables = [
        replace(table, routes=tuple(replace(route, blackhole=True) if route.target == found.id else route for route in table.routes))
        for table in topology.all(RouteTable)
    ]
    return topology.replace(*tables, replace(found, status="deleted"))


def weight_of(topology: Topology, rule: Rule, version: int) -> int:
    """What a rule counts against the 60 of its family: a block 1, a group 1 in both, a list its maximum (SG-40, SG-41)."""
    if isinstance(rule.peer, GroupPeer):
        return 1
    if isinstance(rule.peer, ListPeer):
        entries = topology.get(rule.peer.list, PrefixList)
        return entries.weight if not entries.entries or entries.entries[0].version == version else 0
    return int(rule.peer.version == version)


def group_of(topology: Topology, group: str) -> SecurityGroup:
    """The group with this id, or with this name if only one has it.

    Raises
    ------
    ApiError : InvalidGroup.NotFound.
    """
    named = [
        found for found in topology.all(SecurityGroup) if group in (found.id, found.name, f"{topology.display(found.vpc)}/{found.name}")
    ]
    if len(named) != 1:
        raise group_missing(group, ", which is the name of several; use an id" if named else "")
    return named[0]


def vpc_of(topology: Topology, vpc: str) -> Vpc:
    """The VPC with this id or name.

    Raises
    ------
    ApiError : InvalidVpcID.NotFound.
    """
    found = next((one for one in topology.all(Vpc) if vpc in (one.id, one.name)), None)
    if found is None:
        raise ApiError("InvalidVpcID.NotFound", f"The vpc ID '{vpc}' does not exist")
    return found


def interface_of(topology: Topology, interface: str) -> NetworkInterface:
    """The interface with this id or name; an instance stands for its primary one (SG-1).

    Raises
    ------
    ApiError : InvalidNetworkInterfaceID.NotFound.
    """
    for eni in topology.all(NetworkInterface):
        if interface in (eni.id, topology.display(eni.id), eni.instance, topology.display(eni.instance)):
            return eni
    raise ApiError("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{interface}' does not exist")


def _names(rule: Rule, group_id: str) -> bool:
    return isinstance(rule.peer, GroupPeer) and rule.peer.group == group_id


def _resolved(topology: Topology, group: SecurityGroup, rule: Rule) -> Rule:
    """The rule with the names of its peer as ids, as far as they are known."""
    if isinstance(rule.peer, GroupPeer) and rule.peer.group not in topology.entities:
        here = [other for other in topology.all(SecurityGroup) if other.vpc == group.vpc and other.name == rule.peer.group]
        return replace(rule, peer=GroupPeer(here[0].id)) if here else rule
    if isinstance(rule.peer, ListPeer) and rule.peer.list not in topology.entities:
        lists = [found for found in topology.all(PrefixList) if found.vpc == group.vpc and found.name == rule.peer.list]
        return replace(rule, peer=ListPeer(lists[0].id)) if lists else rule
    return rule
