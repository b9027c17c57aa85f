"""Topology → integer tables.

Ids are given in the order of first sight and kept in `Ids`, so that an edited topology compiled with the same `Ids`
keeps the id of everything that it kept.
"""

from ipaddress import IPv4Network

import numpy as np

from emulator.kernels import compiled, pays
from emulator.model.edits import is_stale
from emulator.model.entities import (
    EgressOnlyInternetGateway,
    Instance,
    InternetGateway,
    NetworkInterface,
    RouteTable,
    Subnet,
    Vpc,
)
from emulator.model.groups import EVERYONE, AclRule, Direction, GroupPeer, ListPeer, NetworkAcl, PrefixList, Rule, SecurityGroup
from emulator.model.joined import InterfaceEndpoint
from emulator.model.services import ANY_PORTS, TCP, UDP
from emulator.model.topology import INTERNET, Topology
from emulator.policy.compile_gateways import Gateways, zone_id
from emulator.policy.compile_places import index, links
from emulator.policy.compile_routes import routes
from emulator.policy.conntrack import GATEWAY_STREAM_NS, GATEWAY_TCP_NS, GATEWAY_UDP_NS
from emulator.policy.filters import SLOTS, fill_all, words_of
from emulator.policy.tables import (
    ACCESS_BLOCKED,
    ACCESS_EGRESS,
    ACCESS_OFF,
    Eni,
    Group,
    Membership,
    PeerKind,
    Place,
    PlaceKind,
    PrefixBlock,
    RuleColumn,
    Settings,
    SubnetColumn,
    Tables,
    VpcColumn,
)
from emulator.policy.work import Ids, Work, matrix
from emulator.wire.addresses import halves, net_and_mask
from emulator.wire.headers import Matrix

SECOND = 1_000_000_000
NITRO_V6_FAMILIES = ("m8", "c8", "r8", "x8", "i8", "p6", "g7")
ACCESS = {"off": ACCESS_OFF, "block-bidirectional": ACCESS_BLOCKED, "block-ingress": ACCESS_EGRESS}
DEFAULT_TCP_S, NITRO_V6_TCP_S, DEFAULT_UDP_S, DEFAULT_STREAM_S = 432_000, 350, 30, 180


def established_default_s(instance_type: str) -> int:
    """Seconds that an established TCP flow may idle: 350 on Nitro v6 types but P6e-GB200, else 432,000 (CT-20).

    Which families are Nitro v6 is taken from their generation number: AWS's list changes with each launch.
    """
    family = instance_type.partition(".")[0]
    if family.startswith("p6e-gb200"):
        return DEFAULT_TCP_S
    return NITRO_V6_TCP_S if family.startswith(NITRO_V6_FAMILIES) else DEFAULT_TCP_S


class _Compiler(Work):
    """Collects the rows of groups, subnets and interfaces."""

    def __init__(self, topology: Topology, ids: Ids) -> None:
        super().__init__(topology, ids)
        self.everyone: list[list[int]] = []
        self.rules: list[list[int]] = []
        self.lists: dict[str, tuple[int, int]] = {}
        self.group_rows: dict[str, int] = {}

    def rule(self, rule: Rule | AclRule, name: str, stale: bool = False) -> None:
        row = [0] * len(RuleColumn)
        row[RuleColumn.ID] = self.ids.of(name)
        row[RuleColumn.PROTOCOL] = rule.protocol
        all_ports = rule.protocol in (TCP, UDP) and rule.ports == ANY_PORTS
        row[RuleColumn.FROM], row[RuleColumn.TO] = (0, 65535) if all_ports else rule.ports
        row[RuleColumn.ALLOW] = rule.allow if isinstance(rule, AclRule) else 1
        peer = rule.block if isinstance(rule, AclRule) else rule.peer
        if stale:
            row[RuleColumn.PEER] = PeerKind.STALE
        elif isinstance(peer, GroupPeer):
            row[RuleColumn.PEER] = PeerKind.GROUP
            row[RuleColumn.PEER_START] = self.ids.of(peer.group)
        elif isinstance(peer, ListPeer):
            row[RuleColumn.PEER] = PeerKind.LIST
            row[RuleColumn.PEER_START], row[RuleColumn.PEER_END] = self.lists[peer.list]
        else:
            row[RuleColumn.PEER] = PeerKind.BLOCK
            row[RuleColumn.FAMILY] = peer.version
            row[RuleColumn.NET_HI : RuleColumn.MASK_LO + 1] = net_and_mask(peer)
            row[RuleColumn.EVERYONE] = peer in EVERYONE
        self.rules.append([int(value) for value in row])

    def groups(self) -> Matrix:
        rows: list[list[int]] = []
        for prefix_list in self.topology.all(PrefixList):
            self.lists[prefix_list.id] = self.span(prefix_list.entries)
        for group in self.topology.all(SecurityGroup):
            row = [self.ids.of(group.id)]
            for direction in (Direction.INGRESS, Direction.EGRESS):
                start = len(self.rules)
                for rule in group.rules(direction):
                    self.rule(rule, rule.id, is_stale(self.topology, group, rule))
                row += [start, len(self.rules)]
            everyone = len(self.everyone)
            for way in range(2):
                self.everyone += [
                    [rule, way] for rule in range(row[1 + 2 * way], row[2 + 2 * way]) if self.rules[rule][RuleColumn.EVERYONE]
                ]
            self.group_rows[group.id] = len(rows)
            rows.append([*row, 0, 0, everyone, len(self.everyone)])
        return matrix(rows, len(Group))

    def filters(self, groups: Matrix, rules: Matrix, blocks: Matrix) -> Matrix:
        """The slots of all groups; where each group's stand is written in ``groups``."""
        counts = np.concatenate(
            [groups[:, Group.INGRESS_END] - groups[:, Group.INGRESS], groups[:, Group.EGRESS_END] - groups[:, Group.EGRESS]]
        )
        slots = np.zeros((max(2 * SLOTS * sum(words_of(count) for count in counts.tolist()), 1), 1), dtype=np.int64)
        work = len(rules) // 2 + len(blocks) // 20  # a rule costs about half a packet
        (compiled(fill_all) if pays(fill_all, work) else fill_all)(groups, rules, blocks, slots)
        return slots

    def acl(self, acl: NetworkAcl) -> list[int]:
        spans = []
        for direction in (Direction.INGRESS, Direction.EGRESS):
            start = len(self.rules)
            for entry in acl.rules(direction):
                self.rule(entry, f"{acl.id} {direction.name.lower()} {entry.number}")
            spans += [start, len(self.rules)]
        return spans

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

    def subnets(self, spans: dict[str, tuple[int, int]]) -> Matrix:
        acls = {acl.id: self.acl(acl) for acl in self.topology.all(NetworkAcl)}
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

    def enis(self, listeners: dict[str, tuple[int, int]]) -> tuple[Matrix, Matrix]:
        """Interfaces and who is in which group; ``listeners`` are the rows of each interface endpoint's ports."""
        rows: list[list[int]] = []
        memberships: list[list[int]] = []
        policy = self.topology.policy
        for eni in self.topology.all(NetworkInterface):
            instance = self.topology.get(eni.instance, Instance)
            subnet = self.topology.get(eni.subnet, Subnet)
            number = self.place(eni.id, PlaceKind.ENI, len(rows))
            start = len(memberships)
            memberships += [[self.ids.of(group), self.group_rows[group]] for group in eni.security_groups]
            tcp = policy.tcp_default_established_s or established_default_s(instance.instance_type)
            limit = policy.max_entries if instance.max_tracked is None else instance.max_tracked
            rows.append(
                [
                    number,
                    self.ids.of(subnet.vpc),
                    self.ids.of(subnet.id),
                    self.ids.of(instance.id),
                    start,
                    len(memberships),
                    int(eni.source_dest_check),
                    (eni.tracking.tcp_established_s or tcp) * SECOND,
                    (eni.tracking.udp_s or DEFAULT_UDP_S) * SECOND,
                    (eni.tracking.udp_stream_s or DEFAULT_STREAM_S) * SECOND,
                    -1 if limit is None else limit,
                    0,
                    0,
                    int(bool(eni.public_ips)),
                    next((halves(ip).lo for ip in eni.private_ips if ip.version == 4), 0),
                ]
            )
        for endpoint in self.topology.all(InterfaceEndpoint):
            for node in endpoint.nodes:
                start = len(memberships)
                memberships += [[self.ids.of(group), self.group_rows[group]] for group in endpoint.security_groups]
                row = [0] * len(Eni)
                row[Eni.ID] = self.place(node.interface, PlaceKind.ENI, len(rows))
                row[Eni.VPC], row[Eni.SUBNET], row[Eni.INSTANCE] = (self.ids.of(key) for key in (endpoint.vpc, node.subnet, endpoint.id))
                row[Eni.GROUPS], row[Eni.GROUPS_END] = start, len(memberships)
                row[Eni.CHECK], row[Eni.MAX_TRACKED] = 1, -1
                row[Eni.TCP_NS], row[Eni.UDP_NS], row[Eni.STREAM_NS] = GATEWAY_TCP_NS, GATEWAY_UDP_NS, GATEWAY_STREAM_NS
                row[Eni.LISTENERS], row[Eni.LISTENERS_END] = listeners[endpoint.id]
                row[Eni.ADDRESS_LO] = halves(node.private_ip).lo
                rows.append(row)
        return matrix(rows, len(Eni)), matrix(memberships, len(Membership))


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
    """The tables of a topology; ids of what is new are added to ``ids``."""
    work = _Compiler(topology, ids)
    work.place(INTERNET, PlaceKind.OUTSIDE, 0)
    groups = work.groups()
    filters = work.filters(groups, matrix(work.rules, len(RuleColumn)), matrix(work.blocks, len(PrefixBlock)))
    vpcs = work.vpcs()
    rows, spans = routes(work)
    joined = Gateways(work, spans)
    subnets = work.subnets(spans)
    enis, memberships = work.enis(joined.endpoint_listeners)
    addresses = index(work)
    lanes, faults = links(work)
    places = np.zeros((len(ids), len(Place)), dtype=np.int64)
    places[:, Place.ROW] = -1
    for number, place in work.places.items():
        places[number] = place
    return Tables(
        places=places,
        enis=enis,
        memberships=memberships,
        groups=groups,
        rules=matrix(work.rules, len(RuleColumn)),
        blocks=matrix(work.blocks, len(PrefixBlock)),
        filters=filters,
        everyone=matrix(work.everyone, 2),
        index=addresses,
        subnets=subnets,
        vpcs=vpcs,
        routes=rows,
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
