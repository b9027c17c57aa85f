"""Topology → integer tables.

Ids are given in the order of first sight and kept in `Ids`, so that an edited topology compiled with the same `Ids`
keeps the id of everything that it kept.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network

import numpy as np

from emulator.model.edits import is_stale
from emulator.model.entities import (
    EgressOnlyInternetGateway,
    ExternalHost,
    Instance,
    InternetGateway,
    NatGateway,
    NetworkInterface,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import EVERYONE, AclRule, Block, Direction, GroupPeer, ListPeer, NetworkAcl, PrefixList, Rule, SecurityGroup
from emulator.model.services import ANY_PORTS, TCP, UDP
from emulator.model.topology import INTERNET, Topology
from emulator.policy.rules import PeerKind
from emulator.policy.tables import (
    LOCAL,
    Cell,
    Eni,
    GatewayColumn,
    Group,
    LinkColumn,
    Membership,
    Place,
    PlaceKind,
    PrefixBlock,
    RouteColumn,
    RuleColumn,
    Settings,
    SubnetColumn,
    Tables,
    VpcColumn,
)
from emulator.wire.addresses import halves, net_and_mask
from emulator.wire.hashing import mix
from emulator.wire.headers import Matrix

SECOND = 1_000_000_000
NITRO_V6_FAMILIES = ("m8", "c8", "r8", "x8", "i8", "p6", "g7")
DEFAULT_TCP_S, NITRO_V6_TCP_S, DEFAULT_UDP_S, DEFAULT_STREAM_S = 432_000, 350, 30, 180


class Ids:
    """Names of everything that a journal can hold, as positive integers that never change; ``internet`` is 1."""

    def __init__(self) -> None:
        self.names: list[str] = [""]
        self._numbers: dict[str, int] = {}
        self.of(INTERNET)

    def of(self, name: str) -> int:
        """The integer of a name, given now if it has none yet."""
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]

    def name(self, number: int) -> str:
        """The name of an integer; empty for 0."""
        return self.names[number]

    def __len__(self) -> int:
        return len(self.names)


def established_default_s(instance_type: str) -> int:
    """Seconds that an established TCP flow may idle: 350 on Nitro v6 types but P6e-GB200, else 432,000 (CT-20).

    Which families are Nitro v6 is taken from their generation number: AWS's list changes with each launch.
    """
    family = instance_type.partition(".")[0]
    if family.startswith("p6e-gb200"):
        return DEFAULT_TCP_S
    return NITRO_V6_TCP_S if family.startswith(NITRO_V6_FAMILIES) else DEFAULT_TCP_S


def _matrix(rows: list[list[int]], columns: int) -> Matrix:
    return np.array(rows, dtype=np.int64).reshape(len(rows), columns) if rows else np.zeros((1, columns), dtype=np.int64)


class _Compiler:
    """Collects the rows of one topology."""

    def __init__(self, topology: Topology, ids: Ids) -> None:
        self.topology, self.ids = topology, ids
        self.places: dict[int, tuple[int, int]] = {}
        self.blocks: list[list[int]] = []
        self.rules: list[list[int]] = []
        self.lists: dict[str, tuple[int, int]] = {}
        self.group_rows: dict[str, int] = {}

    def place(self, name: str, kind: int, row: int) -> int:
        number = self.ids.of(name)
        self.places[number] = (kind, row)
        return number

    def span(self, blocks: Iterable[Block]) -> tuple[int, int]:
        start = len(self.blocks)
        self.blocks += [[block.version, *net_and_mask(block)] for block in blocks]
        return start, len(self.blocks)

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
            self.group_rows[group.id] = len(rows)
            rows.append(row)
        return _matrix(rows, len(Group))

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
        return _matrix(rows, len(VpcColumn))

    def routes(self) -> tuple[Matrix, dict[str, tuple[int, int]]]:
        """All route rows, each table's in winning order, and where each table's stand.

        Longest prefix first (RT-3); at one length a static route before a prefix list's, that before a propagated one
        (RT-5, RT-6); a static block beats any prefix-list route that overlaps it (RT-6); propagated routes inside the
        VPC's own blocks lose to ``local`` (RT-7).
        """
        rows: list[list[int]] = []
        spans: dict[str, tuple[int, int]] = {}
        for table in self.topology.all(RouteTable):
            vpc = self.topology.get(table.vpc, Vpc)
            entries: list[tuple[tuple[int, ...], list[int]]] = []
            blocks = [(block, "local", 0, False, False, f"{table.id} {block}") for block in vpc.blocks]
            statics = [route.destination for route in table.routes if not route.propagated and not isinstance(route.destination, ListPeer)]
            for route in table.routes:
                if isinstance(route.destination, ListPeer):
                    prefixes = self.topology.get(route.destination.list, PrefixList).entries
                    for prefix in prefixes:
                        if not any(prefix.version == static.version and prefix.overlaps(static) for static in statics if static.prefixlen):
                            blocks.append(
                                (prefix, route.target, 1, route.propagated, route.blackhole, f"{table.id} {route.destination.list}")
                            )
                else:
                    inside = any(route.destination.version == own.version and route.destination.subnet_of(own) for own in vpc.blocks)  # type: ignore[arg-type]
                    if route.propagated and inside:
                        continue
                    if route.target == "local" or route.destination in vpc.blocks:
                        blocks = [block for block in blocks if block[0] != route.destination]
                    blocks.append(
                        (route.destination, route.target, 0, route.propagated, route.blackhole, f"{table.id} {route.destination}")
                    )
            for order, (block, target, from_list, propagated, blackhole, name) in enumerate(blocks):
                gone = target != "local" and (target not in self.topology.entities or not self._usable(target))
                row = [
                    self.ids.of(name),
                    block.version,
                    *net_and_mask(block),
                    LOCAL if target == "local" else self.ids.of(target),
                    int(blackhole or gone),
                ]
                entries.append(((-block.prefixlen, 2 if propagated else from_list, order), row))
            start = len(rows)
            rows += [row for _, row in sorted(entries, key=lambda entry: entry[0])]
            spans[table.id] = (start, len(rows))
        return _matrix(rows, len(RouteColumn)), spans

    def _usable(self, target: str) -> bool:
        entity = self.topology.entities[target]
        return entity.is_active if isinstance(entity, VpcPeeringConnection) else True

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
            rows.append([number, self.ids.of(subnet.vpc), *routes, *acls[acl], router, broadcast, self.ids.of(acl)])
        return _matrix(rows, len(SubnetColumn))

    def enis(self) -> tuple[Matrix, Matrix]:
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
                ]
            )
        return _matrix(rows, len(Eni)), _matrix(memberships, len(Membership))

    def gateways(self) -> Matrix:
        rows: list[list[int]] = []
        kinds = {InternetGateway: PlaceKind.INTERNET_GATEWAY, EgressOnlyInternetGateway: PlaceKind.EGRESS_ONLY_GATEWAY}
        for gateway in self.topology.entities.values():
            row = [0] * len(GatewayColumn)
            if isinstance(gateway, InternetGateway | EgressOnlyInternetGateway):
                row[GatewayColumn.KIND] = kinds[type(gateway)]
                row[GatewayColumn.VPC] = self.ids.of(gateway.vpc)
            elif isinstance(gateway, NatGateway):
                row[GatewayColumn.KIND] = PlaceKind.NAT_GATEWAY
                row[GatewayColumn.SUBNET] = self.ids.of(gateway.subnet)
                row[GatewayColumn.VPC] = self.ids.of(self.topology.get(gateway.subnet, Subnet).vpc)
                row[GatewayColumn.ADDRESS_LO] = halves(gateway.private_ip).lo
                row[GatewayColumn.PUBLIC_LO] = halves(gateway.public_ip).lo if gateway.public_ip is not None else 0
            elif isinstance(gateway, VpcPeeringConnection):
                row[GatewayColumn.KIND] = PlaceKind.PEERING
                row[GatewayColumn.VPC], row[GatewayColumn.VPC_B] = self.ids.of(gateway.requester), self.ids.of(gateway.accepter)
                row[GatewayColumn.ACTIVE] = gateway.is_active
            else:
                continue
            row[GatewayColumn.ID] = self.place(gateway.id, row[GatewayColumn.KIND], len(rows))
            rows.append([int(value) for value in row])
        return _matrix(rows, len(GatewayColumn))

    def index(self) -> Matrix:
        cells: list[list[int]] = []
        for eni in self.topology.all(NetworkInterface):
            number = self.ids.of(eni.id)
            vpc = self.ids.of(self.topology.get(eni.subnet, Subnet).vpc)
            public = dict(eni.public_ips)
            for address in eni.private_ips:
                other = halves(public[address]) if address in public else (0, 0)
                cells.append([vpc, *halves(address), number, *other])
                if address.version == 6:
                    cells.append([0, *halves(address), number, *halves(address)])
                elif address in public:
                    cells.append([0, *other, number, *halves(address)])
        for nat in self.topology.all(NatGateway):
            vpc = self.ids.of(self.topology.get(nat.subnet, Subnet).vpc)
            public_halves = halves(nat.public_ip) if nat.public_ip is not None else (0, 0)
            cells.append([vpc, *halves(nat.private_ip), self.ids.of(nat.id), *public_halves])
            if nat.public_ip is not None:
                cells.append([0, *public_halves, self.ids.of(nat.id), *halves(nat.private_ip)])
        for host in self.topology.all(ExternalHost):
            number = self.place(host.id, PlaceKind.OUTSIDE, 0)
            cells += [[0, *halves(address), number, 0, 0] for address in host.ips]
        capacity = 16
        while capacity < 2 * len(cells):
            capacity *= 2
        table = np.zeros((capacity, len(Cell)), dtype=np.int64)
        for cell in cells:
            slot = mix(mix(mix(0, cell[0]), cell[1]), cell[2]) & (capacity - 1)
            while table[slot, Cell.OWNER] and list(table[slot, : Cell.OWNER]) != cell[: Cell.OWNER]:
                slot = (slot + 1) & (capacity - 1)
            table[slot] = cell
        return table

    def links(self) -> Matrix:
        rows: list[list[int]] = []
        for link in self.topology.links:
            ends = [self._ends(end) for end in link.between]
            for a in ends[0]:
                for b in ends[1]:
                    rows.append([a, b, link.latency_ns, link.rate_bps, link.queue_bytes, link.loss_ppb])
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(LinkColumn))

    def _ends(self, end: str) -> list[int]:
        if isinstance(self.topology.entities[end], Instance):
            return [self.ids.of(eni.id) for eni in self.topology.interfaces_of(end)]
        return [self.ids.of(end)]


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
    )


def compile_tables(topology: Topology, ids: Ids) -> Tables:
    """The tables of a topology; ids of what is new are added to ``ids``."""
    work = _Compiler(topology, ids)
    work.place(INTERNET, PlaceKind.OUTSIDE, 0)
    groups = work.groups()
    vpcs = work.vpcs()
    gateways = work.gateways()
    routes, spans = work.routes()
    subnets = work.subnets(spans)
    enis, memberships = work.enis()
    index = work.index()
    links = work.links()
    places = np.zeros((len(ids), len(Place)), dtype=np.int64)
    places[:, Place.ROW] = -1
    for number, place in work.places.items():
        places[number] = place
    return Tables(
        places,
        enis,
        memberships,
        groups,
        _matrix(work.rules, len(RuleColumn)),
        _matrix(work.blocks, len(PrefixBlock)),
        index,
        subnets,
        vpcs,
        routes,
        gateways,
        links,
        settings(topology),
    )
