"""Security groups in both views, and network ACLs (IM-7, IM-10; SG-16 to SG-21, SG-45 to SG-48, NA-7, NA-8)."""

from collections.abc import Iterator
from dataclasses import replace

from emulator.errors import TopologyError, printable
from emulator.importers.records import Record
from emulator.importers.workshop import Workshop
from emulator.model.groups import OPEN_ACL, AclRule, Direction, GroupPeer, ListPeer, NetworkAcl, Peer, Rule, SecurityGroup
from emulator.model.services import ALL, ANY_PORTS, ICMP, ICMPV6, TCP, UDP, parse_protocol

LAST_ACL_RULE = 32766
_SIGNS = frozenset(" ._-:/()#,@[]+=&;{}!$*")


def protocol_of(record: Record, key: str) -> int:
    """The protocol of a rule; absent is all.

    Raises
    ------
    TopologyError : neither a name nor a number.
    """
    text = record.text(key)
    try:
        return parse_protocol(text) if text else ALL
    except ValueError as trouble:
        raise TopologyError(f"{record.place}: {record.kind} {record.id}: {trouble}") from None


def ports_of(protocol: int, first: int | None, last: int | None) -> tuple[int, int]:
    """Ports, or type and code: absent ones and -1 are all; other protocols have none (SG-17 to SG-20)."""
    if protocol in (ICMP, ICMPV6):
        return (ALL, ALL) if first in (None, ALL) else (first or 0, ALL if last is None else last)
    if protocol not in (TCP, UDP) or (first in (None, ALL) and last in (None, ALL)):
        return ANY_PORTS
    return max(first or 0, 0), 65535 if last in (None, ALL) else last or 0


def add_groups(shop: Workshop) -> None:
    """Every security group; where its rules are given one by one, with ids, those win (IM-7)."""
    by_group: dict[str, list[Record]] = {}
    for record in shop.snapshot.all("SecurityGroupRules"):
        by_group.setdefault(record.text("GroupId"), []).append(record)
    taken: set[tuple[str, str]] = set()
    names = {(record.text("VpcId"), record.text("GroupName")): record.id for record in shop.snapshot.all("SecurityGroups")}
    for record in shop.snapshot.all("SecurityGroups"):
        vpc = shop.home(record) if record.text("VpcId") else None
        if vpc is None:
            if not record.text("VpcId"):
                shop.report.left_out("SecurityGroup", record.id, "it belongs to no VPC (EC2-Classic)", record.place)
            continue
        rules = _listed(shop, record, by_group[record.id], vpc.id) if record.id in by_group else _permitted(shop, record, vpc.id, names)
        ingress, egress = rules
        name = group_name(record.text("GroupName"), record.id)
        if (vpc.id, name.casefold()) in taken:
            name = record.id
        taken.add((vpc.id, name.casefold()))
        description = record.text("Description")[:255]
        shop.add(SecurityGroup(name, vpc.id, ingress, egress, description, record.id, record.place))
    for group_id, records in by_group.items():
        if group_id not in shop.parts:
            shop.references.demand(records[0], "SecurityGroups", group_id)
            shop.report.left_out("SecurityGroupRule", records[0].id, f"its group {group_id} is not in the data", records[0].place)
    for record in shop.snapshot.all("SecurityGroupVpcAssociations"):
        group, other = shop.parts.get(record.text("GroupId")), shop.vpc(record.text("VpcId"))
        if record.text("State") not in ("", "associated"):
            continue
        if isinstance(group, SecurityGroup) and other is not None:
            shop.parts[group.id] = replace(group, associated_vpcs=(*group.associated_vpcs, other.id))
        else:
            what = f"{record.text('GroupId')} {record.text('VpcId')}"
            shop.report.left_out("SecurityGroupVpcAssociation", what, "its group or its VPC is not in the data", record.place)


def group_name(name: str, id: str) -> str:
    """A group's name if EC2 could have given it, else its id."""
    fit = 0 < len(name) <= 255 and all(sign.isascii() and (sign.isalnum() or sign in _SIGNS) for sign in name)
    return name if fit and name == name.strip() and not name.startswith("sg-") else id


def _unique(rules: Iterator[Rule]) -> tuple[Rule, ...]:
    """Rules that say the same once: allow rules add nothing by being said twice (SG-5)."""
    kept: dict[object, Rule] = {}
    for rule in rules:
        kept.setdefault(rule.canonical().content(), rule)
    return tuple(kept.values())


def _listed(shop: Workshop, group: Record, records: list[Record], vpc: str) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    def rules(egress: bool) -> Iterator[Rule]:
        for record in records:
            if record.flag("IsEgress") == egress:
                protocol = protocol_of(record, "IpProtocol")
                ports = ports_of(protocol, record.number("FromPort"), record.number("ToPort"))
                for peer in _rule_peers(shop, group, record, vpc):
                    yield Rule(protocol, ports, peer, record.text("Description")[:255], record.id, record.place)

    return _unique(rules(False)), _unique(rules(True))


def _rule_peers(shop: Workshop, group: Record, record: Record, vpc: str) -> Iterator[Peer]:
    yield from record.blocks("CidrIpv4")
    yield from record.blocks("CidrIpv6")
    if "PrefixListId" in record:
        list_id = record.text("PrefixListId")
        yield ListPeer(shop.prefix_list(list_id, vpc, f"a rule of {group.id}", record.place).id)
    referenced = record.part("ReferencedGroupInfo").text("GroupId")
    if referenced:
        yield _group_peer(shop, group, referenced)


def _permitted(shop: Workshop, group: Record, vpc: str, names: dict[tuple[str, str], str]) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    def rules(key: str) -> Iterator[Rule]:
        for permission in group.parts(key):
            protocol = protocol_of(permission, "IpProtocol")
            ports = ports_of(protocol, permission.number("FromPort"), permission.number("ToPort"))
            for peer, description in _permission_peers(shop, group, permission, vpc, names):
                yield Rule(protocol, ports, peer, description[:255], place=group.place)

    return _unique(rules("IpPermissions")), _unique(rules("IpPermissionsEgress"))


def _permission_peers(
    shop: Workshop, group: Record, permission: Record, vpc: str, names: dict[tuple[str, str], str]
) -> Iterator[tuple[Peer, str]]:
    for key, field in (("IpRanges", "CidrIp"), ("Ipv4Ranges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")):
        values = permission.data.get(key)
        if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
            permission.data[key] = [{field: value} for value in values]
        for item in permission.parts(key):
            yield from ((peer, item.text("Description")) for peer in item.blocks(field))
    for item in permission.parts("PrefixListIds"):
        made = shop.prefix_list(item.text("PrefixListId"), vpc, f"a rule of {group.id}", group.place)
        yield ListPeer(made.id), item.text("Description")
    for item in permission.parts("UserIdGroupPairs"):
        group_id = item.text("GroupId") or names.get((item.text("VpcId") or vpc, item.text("GroupName")), item.text("GroupName"))
        yield _group_peer(shop, group, group_id), item.text("Description")


def _group_peer(shop: Workshop, group: Record, id: str) -> GroupPeer:
    """A group as a peer; one that is not in the data leaves a stale rule, which matches nothing (IM-20, SG-32)."""
    if shop.snapshot.get("SecurityGroups", id) is None:
        text = f"a rule names group {id}, which is not in the data; it is taken as stale and matches nothing (SG-32)"
        shop.report.unknown("SecurityGroup", group.id, text, group.place)
        return GroupPeer(id if id.startswith("sg-") else f"sg-{id}")
    return GroupPeer(id)


def add_acls(shop: Workshop) -> dict[str, str]:
    """Every network ACL; gives subnet id → ACL id."""
    of_subnet: dict[str, str] = {}
    defaults: set[str] = set()
    for record in shop.snapshot.all("NetworkAcls"):
        vpc = shop.home(record)
        if vpc is None:
            continue
        is_default = record.flag("IsDefault") and vpc.id not in defaults
        name = "default" if is_default else shop.name("NetworkAcls", record)
        if is_default:
            defaults.add(vpc.id)
        entries = {way: tuple(_entries(shop, record, way == Direction.EGRESS)) for way in Direction}
        shop.add(NetworkAcl(name, vpc.id, entries[Direction.INGRESS], entries[Direction.EGRESS], record.id, record.place))
        for association in record.parts("Associations"):
            of_subnet[association.text("SubnetId")] = record.id
    for record in shop.snapshot.all("Vpcs"):
        if record.id in shop.parts and record.id not in defaults:
            text = "its default network ACL is not in the data; taken as AWS makes it, everything allowed (NA-9)"
            shop.report.assumed("NetworkAcl", record.id, text)
            shop.add(NetworkAcl("default", record.id, OPEN_ACL, OPEN_ACL, id=f"acl-default-{record.id}"))
    return of_subnet


def _entries(shop: Workshop, acl: Record, egress: bool) -> Iterator[AclRule]:
    seen: set[int] = set()
    for entry in acl.parts("Entries"):
        number = entry.number("RuleNumber")
        if entry.flag("Egress") != egress or number is None or number > LAST_ACL_RULE:
            continue  # the last, unremovable deny is the model's own (NA-5)
        if number in seen:
            shop.report.left_out("NetworkAcl", acl.id, f"a second {'egress' if egress else 'ingress'} entry numbered {number}", acl.place)
            continue
        seen.add(number)
        protocol = protocol_of(entry, "Protocol")
        blocks = (*entry.blocks("CidrBlock"), *entry.blocks("Ipv6CidrBlock"))
        for block in blocks[:1]:
            yield AclRule(number, _allows(entry, acl), protocol, _acl_ports(entry, protocol, block.version), block, acl.place)
        if not blocks:
            shop.report.left_out("NetworkAcl", acl.id, f"entry {number} has no CIDR block", acl.place)


def _allows(entry: Record, acl: Record) -> bool:
    action = entry.text("RuleAction").casefold()
    if action not in ("allow", "deny"):
        raise TopologyError(f'{acl.place}: NetworkAcl {acl.id}: RuleAction "{printable(action[:40])}" is neither allow nor deny')
    return action == "allow"


def _acl_ports(entry: Record, protocol: int, version: int) -> tuple[int, int]:
    """Ports for tcp and udp, type and code for icmp, and for icmpv6 under an IPv6 block alone (NA-8)."""
    if protocol == ICMP or (protocol == ICMPV6 and version == 6):
        kind = entry.part("IcmpTypeCode")
        return ports_of(protocol, kind.number("Type"), kind.number("Code"))
    if protocol in (TCP, UDP):
        ports = entry.part("PortRange")
        return ports_of(protocol, ports.number("From"), ports.number("To"))
    return ANY_PORTS
