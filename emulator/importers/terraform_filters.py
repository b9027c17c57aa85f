"""Terraform's security groups and network ACLs: inline rules, and rules that are resources of their own.

Terraform removes the rule that lets everything out of a group that it makes, so a group without an egress rule in the
plan lets nothing out.
"""

from collections.abc import Iterator
from typing import Any

from emulator.importers.draft import Draft, permission
from emulator.importers.records import Record
from emulator.importers.terraform_source import Resource, Source, aws, block_expressions, is_null, references

_BLOCK_KEYS = ("cidr_blocks", "ipv6_cidr_blocks")
_WITH_PORTS = ("tcp", "udp", "6", "17")


def draft_groups(source: Source, draft: Draft) -> None:
    """Every security group with its inline rules, then the separate rules."""
    place = source.path.name
    for group in source.all("aws_security_group", "aws_default_security_group"):
        vpc = home(source, draft, group)
        if not vpc:
            continue
        name = "default" if group.type == "aws_default_security_group" else group.record.text("Name") or group.address
        if group.data:
            source.report.unknown(group.type, group.address, "its rules are not in the plan; taken to allow nothing", place)
        rules = {way: _inline(source, group, way) for way in ("ingress", "egress")}
        draft.put(
            "SecurityGroups",
            group.id,
            group.address,
            place,
            GroupName=name,
            VpcId=vpc,
            Description=group.record.text("Description"),
            IpPermissions=rules["ingress"],
            IpPermissionsEgress=rules["egress"],
        )
    for rule in source.all("aws_security_group_rule"):
        _add(source, draft, rule, rule.record.text("Type"), _permission(source, rule, rule.record, rule.expressions))
    for way in ("ingress", "egress"):
        for rule in source.all(f"aws_vpc_security_group_{way}_rule"):
            _add(source, draft, rule, way, _single(source, rule))


def home(source: Source, draft: Draft, resource: Resource) -> str:
    """The VPC that a resource names; the account's default one if it names none; empty, and said, if it is not known."""
    vpc = source.one(resource, "vpc_id")
    if vpc:
        return vpc
    if references(resource.expressions.get("vpc_id")):
        source.report.left_out(resource.type, resource.address, "its VPC is not in the plan", source.path.name)
        return ""
    return draft.default_vpc(source.path.name)


def vpc_behind(source: Source, resource: Resource, key: str) -> str:
    """The VPC whose default table or ACL a resource takes over: named by reference, or by the VPC's attribute, or the only one."""
    named = source.one(resource, key)
    vpcs = list(source.all("aws_vpc", "aws_default_vpc"))
    for vpc in vpcs:
        if named in (vpc.id, vpc.record.text("DefaultRouteTableId") or "-", vpc.record.text("DefaultNetworkAclId") or "-"):
            return vpc.id
    if len(vpcs) != 1:
        return ""
    source.report.assumed(resource.type, resource.address, f"taken as that of {vpcs[0].address}, the only VPC", source.path.name)
    return vpcs[0].id


def _add(source: Source, draft: Draft, rule: Resource, way: str, made: dict[str, Any]) -> None:
    group = source.one(rule, "security_group_id")
    data = draft.get("SecurityGroups", group)
    if data is None:
        text = f"its group {group or '(known only after apply)'} is not in the plan"
        source.report.left_out(rule.type, rule.address, text, source.path.name)
        return
    data["IpPermissionsEgress" if way == "egress" else "IpPermissions"].append(made)


def _inline(source: Source, group: Resource, way: str) -> list[dict[str, Any]]:
    blocks = group.record.parts(way.capitalize()) if not group.data else []
    if not blocks and references(group.expressions.get(way)):
        text = f"its {way} rules are known only after apply; taken as none"
        source.report.unknown(group.type, group.address, text, source.path.name)
    return [
        _permission(source, group, part, block_expressions(group, way, part, number, len(blocks))) for number, part in enumerate(blocks)
    ]


def _permission(source: Source, owner: Resource, part: Record, expressions: dict[str, Any]) -> dict[str, Any]:
    blocks: list[str] = []
    for key in _BLOCK_KEYS:
        blocks += _blocks(source, owner, part, key, expressions)
    groups = source.many(owner, "security_groups", part, expressions.get("security_groups", {}))
    other = source.one(owner, "source_security_group_id", part, expressions.get("source_security_group_id", {}))
    groups += [other] if other else []
    if part.flag("Self"):
        groups.append(source.one(owner, "security_group_id") if owner.type == "aws_security_group_rule" else owner.id)
    lists = source.many(owner, "prefix_list_ids", part, expressions.get("prefix_list_ids", {}))
    return _made(source, owner, part.text("Protocol"), part, blocks, groups, lists)


def _made(
    source: Source, owner: Resource, protocol: str, part: Record, blocks: list[str], groups: list[str], lists: list[str]
) -> dict[str, Any]:
    """An ``IpPermission``; one whose protocol or ports are unknown has no other side, so that it matches nothing."""
    protocol, first, last = protocol.casefold(), part.number("FromPort"), part.number("ToPort")
    if _is_open(protocol, first, last):
        text = "a rule's protocol or ports are known only after apply; it matches nothing here"
        source.report.unknown(owner.type, owner.address, text, source.path.name)
        blocks, groups, lists = [], [], []
    if protocol in ("-1", "all", ""):
        protocol, first, last = "-1", None, None  # the ports say nothing
    return permission(protocol, first, last, blocks=blocks, groups=groups, lists=lists, description=part.text("Description"))


def _is_open(protocol: str, first: int | None, last: int | None) -> bool:
    """Whether a protocol, or the ports that it has to have, are not said."""
    return not protocol or (protocol in _WITH_PORTS and (first is None or last is None))


def _blocks(source: Source, owner: Resource, part: Record, key: str, expressions: dict[str, Any]) -> list[str]:
    """The blocks of a rule that are known; unknown ones are followed to the VPC or subnet whose block it is."""
    if is_null(part, key):
        return []
    values = part.data.get(aws(key), [])
    if not isinstance(values, list) or not all(item is None or isinstance(item, str) for item in values):
        raise part._wrong(key, "a list of texts", values)
    known = [item for item in values if item]
    if (not values or None in values) and references(expressions.get(key)):
        found = source.follow(owner, expressions.get(key))
        blocks = [other.record.text("CidrBlock") for other in found if "CidrBlock" in other.record]
        if not blocks:
            names = ", ".join(references(expressions.get(key))[:3])
            text = f"a rule's {key} are known only after apply ({names}); it matches nothing here"
            source.report.unknown(owner.type, owner.address, text, source.path.name)
        known += blocks
    return known


def _single(source: Source, rule: Resource) -> dict[str, Any]:
    """A rule of the newer resources: one peer (SG-21)."""
    record = rule.record
    blocks = [record.text(key) for key in ("CidrIpv4", "CidrIpv6") if key in record]
    for key in ("cidr_ipv4", "cidr_ipv6"):
        if not blocks and not is_null(record, key) and references(rule.expressions.get(key)):
            blocks += [
                other.record.text("CidrBlock") for other in source.follow(rule, rule.expressions[key]) if "CidrBlock" in other.record
            ]
            if not blocks:
                text = f"{key} is known only after apply; it matches nothing here"
                source.report.unknown(rule.type, rule.address, text, source.path.name)
    group, listed = source.one(rule, "referenced_security_group_id"), source.one(rule, "prefix_list_id")
    groups = [group.rpartition("/")[2]] if group else []
    return _made(source, rule, record.text("IpProtocol"), record, blocks[:1], groups, [listed] if listed else [])


def draft_acls(source: Source, draft: Draft) -> None:
    """Every network ACL with its inline entries, then separate ones and associations."""
    place = source.path.name
    for acl in source.all("aws_network_acl", "aws_default_network_acl"):
        is_default = acl.type == "aws_default_network_acl"
        vpc = source.one(acl, "vpc_id")
        if is_default and not vpc:
            vpc = vpc_behind(source, acl, "default_network_acl_id")
        parts = [(part, way == "egress") for way in ("ingress", "egress") for part in acl.record.parts(way.capitalize())]
        entries = [entry for part, egress in parts for entry in _entry(source, acl, part, egress)]
        subnets = [{"SubnetId": subnet} for subnet in source.many(acl, "subnet_ids")]
        draft.put("NetworkAcls", acl.id, acl.address, place, VpcId=vpc, IsDefault=is_default, Entries=entries, Associations=subnets)
    for rule in source.all("aws_network_acl_rule"):
        data = draft.get("NetworkAcls", source.one(rule, "network_acl_id"))
        if data is None:
            source.report.left_out(rule.type, rule.address, "its network ACL is not in the plan", place)
            continue
        data["Entries"] += [made for made in _entry(source, rule, rule.record, rule.record.flag("Egress")) if made not in data["Entries"]]
    for item in source.all("aws_network_acl_association"):
        data = draft.get("NetworkAcls", source.one(item, "network_acl_id"))
        if data is not None:
            data["Associations"].append({"SubnetId": source.one(item, "subnet_id")})


def _entry(source: Source, owner: Resource, part: Record, egress: bool) -> Iterator[dict[str, Any]]:
    """An entry of a network ACL; one of which a part is unknown is none, and that is said."""
    first, last = part.number("FromPort"), part.number("ToPort")
    protocol, action = part.text("Protocol").casefold(), (part.text("Action") or part.text("RuleAction")).casefold()
    number = part.number("RuleNo") if "RuleNo" in part else part.number("RuleNumber")
    if not action or number is None or _is_open(protocol, first, last):
        text = f"entry {number or '?'} is known only after apply; it is no entry here"
        source.report.unknown(owner.type, owner.address, text, source.path.name)
        return
    yield {
        "RuleNumber": number,
        "RuleAction": action,
        "Egress": egress,
        "Protocol": "-1" if protocol == "all" else protocol,
        "CidrBlock": part.text("CidrBlock"),
        "Ipv6CidrBlock": part.text("Ipv6CidrBlock"),
        "PortRange": {"From": first, "To": last},
        "IcmpTypeCode": {"Type": part.number("IcmpType"), "Code": part.number("IcmpCode")},
    }
