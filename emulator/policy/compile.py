"""Topology → integer tables.

Ids are given in the order of first sight and kept in `Ids`, so that an edited topology compiled with the same `Ids`
keeps the id of everything that it kept.
"""

from ipaddress import IPv4Network

from emulator.model.entities import (
    EgressOnlyInternetGateway,
    InternetGateway,
    RouteTable,
    Subnet,
    Vpc,
)
from emulator.model.groups import NetworkAcl
from emulator.model.topology import INTERNET, Topology
from emulator.policy.compile_gateways import Gateways, zone_id
from emulator.policy.compile_interfaces import SECOND, Interfaces, established_default_s
from emulator.policy.compile_places import index, links
from emulator.policy.compile_routes import routes
from emulator.policy.compile_rules import Groups
from emulator.policy.settings import Settings
from emulator.policy.tables import ACCESS_BLOCKED, ACCESS_EGRESS, ACCESS_OFF, PlaceKind, SubnetColumn, Tables, VpcColumn
from emulator.policy.work import Ids, Work, matrix
from emulator.wire.addresses import halves
from emulator.wire.headers import Matrix

ACCESS = {"off": ACCESS_OFF, "block-bidirectional": ACCESS_BLOCKED, "block-ingress": ACCESS_EGRESS}


class _Compiler(Work):
    """Collects the rows of VPCs, subnets and interfaces."""

    def vpcs(self) -> Matrix:
        rows: list[list[int]] = []
        gateways = {gateway.vpc: self.ids.of(gateway.id) for gateway in self.topology.all(InternetGateway)}
        egress_only = {gateway.vpc: self.ids.of(gateway.id) for gateway in self.topology.all(EgressOnlyInternetGateway)}
        for vpc in self.topology.all(Vpc):
            number = self.place(vpc.id, PlaceKind.NONE, len(rows))
            primary = next((block for block in vpc.blocks if isinstance(block, IPv4Network)), None)
            resolver = halves(primary.network_address + 2).lo if primary is not None else 0
            rows.append([number, *self.span(vpc.blocks), gateways.get(vpc.id, 0), resolver, egress_only.get(vpc.id, 0)])
        return matrix(rows, len(VpcColumn))

    def subnets(self, spans: dict[str, tuple[int, int]], groups: Groups) -> Matrix:
        acls = {acl.id: groups.acl(acl) for acl in self.topology.all(NetworkAcl)}
        main = {table.vpc: table.id for table in self.topology.all(RouteTable) if table.main}
        default = {acl.vpc: acl.id for acl in self.topology.all(NetworkAcl) if acl.name == "default"}
        rows: list[list[int]] = []
        for subnet in self.topology.all(Subnet):
            number = self.place(subnet.id, PlaceKind.NONE, len(rows))
            acl = subnet.network_acl or default[subnet.vpc]
            base = next((block for block in subnet.blocks if isinstance(block, IPv4Network)), None)
            router, broadcast = (halves(base.network_address + 1).lo, halves(base.broadcast_address).lo) if base is not None else (0, 0)
            routes = spans[subnet.route_table or main[subnet.vpc]]
            zone = zone_id(self, subnet.availability_zone)
            access = ACCESS[subnet.block_public_access or self.topology.get(subnet.vpc, Vpc).block_public_access]
            rows.append([number, self.ids.of(subnet.vpc), *routes, *acls[acl], router, broadcast, self.ids.of(acl), zone, access])
        return matrix(rows, len(SubnetColumn))


def settings(topology: Topology) -> Settings:
    """The topology's policy as integers."""
    policy = topology.policy
    return Settings(
        midstream=("rules_only", "pickup", "strict").index(policy.midstream_tcp),
        icmp_error_related=int(policy.icmp_error_related),
        embryonic_ns=-1 if policy.tcp_embryonic_s is None else policy.tcp_embryonic_s * SECOND,
        linger_ns=policy.tcp_close_linger_s * SECOND,
        icmp_ns=policy.icmp_s * SECOND,
        other_ns=policy.other_s * SECOND,
        autotrack_2023=int(policy.autotrack == "2023"),
        entry_survives_acl_drop=int(policy.entry_survives_acl_drop),
        fragments=("reassemble", "first_fragment", "drop_noninitial").index(policy.frag_policy),
        fall_through=int(policy.blackhole == "fall_through"),
        per_hop_ttl=int(policy.ttl == "per_hop"),
        router_ping=int(policy.router_ping == "own_subnet"),
        ref_matches_ipv6=int(policy.ref_matches_ipv6),
        block_port_25=int(policy.block_port_25),
        hairpin=int(policy.hairpin),
        check_after_groups=int(policy.srcdst_after_sg),
        seed=policy.seed,
        mtu_of_captures=int(policy.mtu_of_captures),
    )


def compile_tables(topology: Topology, ids: Ids) -> Tables:
    """The tables of a topology; ids of what is new are added to ``ids``.

    What did not change since the last topology that was compiled with the same ``ids`` is taken over piece by piece
    (`Pieces`); the tables are equal to those of a compilation from nothing.
    """
    ids.pieces.begin(topology)
    work = _Compiler(topology, ids)
    work.place(INTERNET, PlaceKind.OUTSIDE, 0)
    groups = Groups(work)
    vpcs = work.vpcs()
    rows, order, spans = routes(work)
    joined = Gateways(work, spans)
    subnets = work.subnets(spans, groups)
    interfaces = Interfaces(work, joined.endpoint_listeners, groups.groups)
    addresses = index(work, interfaces.cells)
    lanes, faults = links(work)
    return Tables(
        places=work.place_rows(),
        enis=interfaces.enis,
        memberships=interfaces.memberships,
        groups=groups.groups,
        rules=groups.rules.matrix(),
        blocks=work.blocks.matrix(),
        filters=groups.filters,
        everyone=groups.everyone,
        index=addresses,
        subnets=subnets,
        vpcs=vpcs,
        routes=rows,
        route_order=order,
        gateways=joined.gateways,
        links=lanes,
        faults=faults,
        addresses=joined.addresses,
        attachments=joined.attachments,
        nodes=joined.nodes,
        listeners=joined.listeners,
        targets=joined.targets,
        networks=joined.networks,
        settings=settings(topology),
    )


__all__ = ["Ids", "compile_tables", "established_default_s", "settings"]
