"""Quotas: what EC2 would refuse by default, though it may be raised on request; each with EC2's error code.

Source: VPC User Guide, "Amazon VPC quotas"; facts SG-38 to SG-43, NA-15, RT-17.  AWS raises most of them, so they are
warnings here; what can never be is an error of `validate`.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.model.entities import NetworkInterface, RouteTable, Subnet, Vpc
from emulator.model.groups import Direction, ListPeer, NetworkAcl, PrefixList, SecurityGroup

if TYPE_CHECKING:
    from emulator.model.topology import Topology

RULES_PER_GROUP, GROUPS_PER_INTERFACE, RULES_TIMES_GROUPS = 60, 5, 1000
GROUPS, PREFIX_LISTS = 2500, 100
ACLS_PER_VPC, ENTRIES_PER_ACL = 200, 20
ROUTES_PER_TABLE, TABLES_PER_VPC, SUBNETS_PER_VPC, VPCS, BLOCKS_PER_VPC = 50, 200, 200, 5, 5


def warnings_of(topology: "Topology") -> list[str]:
    """A line for each default quota that a topology goes over: place, thing, EC2's code, how many and how many may be."""
    found = [*_groups(topology), *_acls(topology), *_routes(topology), *_region(topology)]
    lines = []
    for thing, text in found:
        place = getattr(thing, "place", "")
        lines.append(f"{place}: {text}" if place else text)
    return lines


def _over(what: str, code: str, number: int, most: int, things: str, fact: str) -> Iterator[str]:
    if number > most:
        yield f"{what}: {code}: {number} {things}, and {most} is the default quota; ask AWS for more, or have fewer ({fact})"


def _groups(topology: "Topology") -> Iterator[tuple[object, str]]:
    from emulator.model.edits import weight_of

    heaviest: dict[str, int] = {}
    for group in topology.all(SecurityGroup):
        for direction in Direction:
            for version in (4, 6):
                weight = sum(weight_of(topology, rule, version) for rule in group.rules(direction))
                heaviest[group.id] = max(heaviest.get(group.id, 0), weight)
                what = f"{group.name} {direction.name.lower()}"
                code, things = "RulesPerSecurityGroupLimitExceeded", f"IPv{version} rules by weight"
                yield from ((group, text) for text in _over(what, code, weight, RULES_PER_GROUP, things, "SG-39, SG-40"))
    for eni in topology.all(NetworkInterface):
        number, code = len(eni.security_groups), "SecurityGroupsPerInterfaceLimitExceeded"
        name = topology.display(eni.id)
        yield from ((eni, text) for text in _over(name, code, number, GROUPS_PER_INTERFACE, "security groups", "SG-42"))


def _acls(topology: "Topology") -> Iterator[tuple[object, str]]:
    for acl in topology.all(NetworkAcl):
        for direction in Direction:
            for version in (4, 6):
                number = 1 + sum(entry.block.version == version for entry in acl.rules(direction))
                things = f"IPv{version} {direction.name.lower()} entries with the last one, *"
                code = "NetworkAclEntryLimitExceeded"
                yield from ((acl, text) for text in _over(acl.name, code, number, ENTRIES_PER_ACL, things, "NA-15"))


def _routes(topology: "Topology") -> Iterator[tuple[object, str]]:
    for table in topology.all(RouteTable):
        own = Counter(
            4 if isinstance(route.destination, ListPeer) else route.destination.version for route in table.routes if not route.propagated
        )
        for version, number in sorted(own.items()):
            things = f"IPv{version} routes"
            yield from ((table, text) for text in _over(table.name, "RouteLimitExceeded", number, ROUTES_PER_TABLE, things, "RT-17"))


def _region(topology: "Topology") -> Iterator[tuple[object, str]]:
    vpcs = list(topology.all(Vpc))
    for vpc in vpcs:
        kinds: tuple[tuple[type, str, int, str, str], ...] = (
            (NetworkAcl, "NetworkAclLimitExceeded", ACLS_PER_VPC, "network ACLs", "NA-15"),
            (RouteTable, "RouteTableLimitExceeded", TABLES_PER_VPC, "route tables", "RT-17"),
            (Subnet, "SubnetLimitExceeded", SUBNETS_PER_VPC, "subnets", "RT-17"),
        )
        for kind, code, most, things, fact in kinds:
            number = sum(getattr(one, "vpc", "") == vpc.id for one in topology.entities.values() if isinstance(one, kind))
            yield from ((vpc, text) for text in _over(vpc.name, code, number, most, things, fact))
        for version in (4, 6):
            number = sum(block.version == version for block in vpc.blocks)
            things = f"IPv{version} blocks"
            yield from ((vpc, text) for text in _over(vpc.name, "CidrLimitExceeded", number, BLOCKS_PER_VPC, things, "RT-17"))
    for number, code, most, things, fact in (
        (len(vpcs), "VpcLimitExceeded", VPCS, "VPCs", "RT-17"),
        (sum(1 for _ in topology.all(SecurityGroup)), "SecurityGroupLimitExceeded", GROUPS, "security groups", "SG-38"),
        (sum(1 for _ in topology.all(PrefixList)), "PrefixListLimitExceeded", PREFIX_LISTS, "prefix lists", "SG-43"),
    ):
        yield from ((topology, text) for text in _over(topology.name, code, number, most, things, fact))
