"""Route tables as rows: which of several routes stands first, and which are left out (RT-3 to RT-7, RT-54)."""

import random
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from emulator.model.entities import InternetGateway, Route, RouteTable, Vpc, VpcPeeringConnection
from emulator.model.groups import ListPeer, PrefixList
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRoute,
    TransitGatewayRouteTable,
    VpnGateway,
)
from emulator.model.topology import Topology
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.compile_routes import routes
from emulator.policy.routes import FEW, best_in
from emulator.policy.tables import LOCAL, RouteColumn
from emulator.policy.work import Work
from emulator.wire.addresses import address, halves, net_and_mask
from tests.base import base, route

FAR, WITHIN = "172.16.0.0/16", "10.0.7.0/24"


def ways(topology, table, block):
    """The targets of a table's routes for one block, in winning order; a star after those that are blackholes."""
    ids = Ids()
    rows, _, spans = routes(Work(topology, ids))
    start, end = spans[table]
    asked = [ip_network(block).version, *net_and_mask(ip_network(block))]
    found = [row for row in rows[start:end] if list(row[RouteColumn.FAMILY : RouteColumn.MASK_LO + 1]) == asked]
    names = ["local" if row[RouteColumn.TARGET] == LOCAL else ids.name(row[RouteColumn.TARGET]) for row in found]
    return [name + "*" * int(row[RouteColumn.BLACKHOLE]) for name, row in zip(names, found, strict=True)]


def led(*declared, propagating=(), entries=(FAR,), more=()):
    """The base whose rtb-priv has these routes; two VPN gateways, and a list of blocks."""
    return base(
        RouteTable("rtb-priv", "vpc-a", tuple(declared), propagating=propagating),
        PrefixList("far", "vpc-a", tuple(ip_network(entry) for entry in entries)),
        VpnGateway("one", "vpc-a"),
        VpnGateway("two", "vpc-a"),
        *more,
    )


def network(name, gateway, connection, block=FAR):
    return CustomerNetwork(name, (ip_network(block),), gateway, connection)


def to_list(target, blackhole=False):
    return Route(ListPeer("far"), target, blackhole=blackhole)


def learned(block, target):
    return Route(ip_network(block), target, propagated=True)


BOTH = ("one", "two")
ORDERS = [
    pytest.param([learned(FAR, "vgw-one"), route(FAR, "nat-a")], {}, FAR, ["nat-a", "vgw-one"], id="RT-5 static before propagated"),
    pytest.param([learned(FAR, "vgw-one"), to_list("nat-a")], {}, FAR, ["nat-a", "vgw-one"], id="RT-6 a list before propagated"),
    pytest.param([to_list("nat-a"), route("172.16.3.0/24", "igw-a")], {}, FAR, [], id="RT-6 a static route within a list's block"),
    pytest.param([to_list("nat-a"), route("172.0.0.0/8", "igw-a")], {}, FAR, [], id="RT-6 a static route around a list's block"),
    pytest.param(
        [to_list("nat-a"), route("0.0.0.0/0", "igw-a")], {}, FAR, ["nat-a"], id="RT-6 the default route takes nothing from a list"
    ),
    pytest.param(
        [to_list("nat-a"), route("0.0.0.0/0", "igw-a")],
        {"entries": ("0.0.0.0/0",)},
        "0.0.0.0/0",
        ["igw-a", "nat-a"],
        id="RT-6 a static default route before a list's",
    ),
    pytest.param([to_list("nat-a", blackhole=True)], {}, FAR, ["nat-a*"], id="RT-12 a list's blackhole"),
    pytest.param([Route(ip_network(FAR), "nat-a", blackhole=True)], {}, FAR, ["nat-a*"], id="RT-12 a blackhole"),
    pytest.param(
        [route(FAR, "pcx-ab")],
        {"more": (VpcPeeringConnection("pcx-ab", "vpc-a", "vpc-b", status="pending-acceptance"),)},
        FAR,
        ["pcx-ab*"],
        id="RT-12 a peering that is not active",
    ),
    pytest.param([learned(WITHIN, "vgw-one")], {}, WITHIN, [], id="RT-7 propagated inside the VPC"),
    pytest.param([route("10.0.2.0/24", "eni-mbx")], {}, "10.0.2.0/24", ["eni-mbx"], id="RT-2 static inside the VPC"),
    pytest.param([route("10.0.0.0/16", "eni-mbx")], {}, "10.0.0.0/16", ["eni-mbx"], id="the VPC's block written elsewhere"),
    pytest.param([], {}, "10.0.0.0/16", ["local"], id="RT-2 local"),
    pytest.param([learned("10.0.0.0/16", "vgw-one")], {}, "10.0.0.0/16", ["local"], id="RT-7 the VPC's block propagated"),
] + [
    pytest.param(
        [],
        {"propagating": BOTH, "more": (network("a", "one", later), network("b", "two", first))},
        FAR,
        ["vgw-two", "vgw-one"],
        id=f"RT-7 {first} before {later}",
    )
    for first, later in (("direct_connect", "vpn_static"), ("vpn_static", "vpn_bgp"))
]
ORDERS += [
    pytest.param(
        [to_list("nat-a")],
        {"propagating": BOTH, "more": (network("a", "one", "direct_connect"),)},
        FAR,
        ["nat-a", "vgw-one"],
        id="RT-6 a list before Direct Connect",
    ),
    pytest.param(
        [learned(FAR, "vgw-one")],
        {"propagating": ("two",), "more": (network("b", "two", "vpn_static"),)},
        FAR,
        ["vgw-one", "vgw-two"],
        id="what a file says was propagated is like a static VPN's, first declared first",
    ),
    pytest.param(
        [], {"propagating": BOTH, "more": (network("a", "one", "vpn_bgp", WITHIN),)}, WITHIN, [], id="RT-7 a network inside the VPC"
    ),
    pytest.param([], {"more": (network("a", "one", "vpn_bgp"),)}, FAR, [], id="a gateway that the table does not propagate"),
    pytest.param(
        [],
        {"more": (GatewayEndpoint("items", "vpc-a", "far", ("rtb-priv",)), GatewayEndpoint("store", "vpc-a", "far", ("rtb-pub",)))},
        FAR,
        ["vpce-items"],
        id="RT-56 an endpoint in its tables alone",
    ),
]


@pytest.mark.parametrize(("declared", "network", "block", "expected"), ORDERS)
def test_which_route_stands_first(declared, network, block, expected):
    """Of the routes for one block, in a VPC's route table."""
    assert ways(led(*declared, **network), "rtb-priv", block) == expected


def test_rt3_the_longest_prefix_stands_first():
    """Whatever the order in which they are declared."""
    blocks = ("172.16.0.0/12", "172.16.5.0/24", "172.16.0.0/16")
    topology = led(*(route(block, "nat-a") for block in blocks))
    tables = compile_tables(topology, Ids())
    rows, _, spans = routes(Work(topology, Ids()))
    start, end = spans["rtb-priv"]
    lengths = [bin(row[RouteColumn.MASK_LO] & 0xFFFF_FFFF).count("1") for row in rows[start:end] if row[RouteColumn.FAMILY] == 4]
    assert lengths == [24, 16, 16, 12]
    assert len(tables.routes) == len(rows)


def transit(*declared, networks=(), propagates=None):
    """The base with a transit gateway that vpc-b and some networks hang on, and these routes in its table."""
    attachments = [
        TransitGatewayAttachment(name, "hub", network=name, propagates_to=None if propagates is None or name in propagates else ())
        for name, _ in networks
    ]
    return base(
        TransitGateway("hub"),
        TransitGatewayRouteTable("default", "hub", tuple(declared)),
        TransitGatewayAttachment("b", "hub", vpc="vpc-b", subnets=("b",)),
        Vpc("vpc-b", (ip_network("10.1.0.0/16"), ip_network(FAR))),
        *(CustomerNetwork(name, (ip_network(FAR),), connection=connection) for name, connection in networks),
        *attachments,
    )


@pytest.mark.parametrize(
    ("declared", "network", "expected"),
    [
        pytest.param(
            [TransitGatewayRoute(ip_network(FAR), blackhole=True)], {}, ["*", "tgw-attach-b"], id="RT-54 static before propagated"
        ),
        pytest.param(
            [],
            {"networks": (("bgp", "vpn_bgp"), ("written", "vpn_static"), ("direct", "direct_connect"))},
            ["tgw-attach-b", "tgw-attach-direct", "tgw-attach-written", "tgw-attach-bgp"],
            id="RT-7 Direct Connect, then static VPN, then BGP; a VPC's like the first",
        ),
        pytest.param(
            [],
            {"networks": (("silent", "direct_connect"), ("heard", "vpn_bgp")), "propagates": ("heard",)},
            ["tgw-attach-b", "tgw-attach-heard"],
            id="RT-54 one that propagates nowhere, and those after it",
        ),
    ],
)
def test_which_route_of_a_transit_gateway_stands_first(declared, network, expected):
    """Of the routes for one block."""
    topology = transit(*declared, **network)
    table = next(key for key, entity in topology.entities.items() if isinstance(entity, TransitGatewayRouteTable))
    assert ways(topology, table, FAR) == expected


def a_large_table(chance, version):
    """Routes of all lengths around, beside and inside each other, written and propagated, some of them blackholes; their blocks."""
    top, bits = {4: (172 << 24, 32), 6: (0x8001 << 112, 128)}[version]
    far = chance.choice([top, top, top ^ (0xFF << (bits - 8))])
    blocks = {
        ip_network((far ^ chance.getrandbits(chance.choice([12, 20, 24])) << (bits - 32), chance.randint(0, 32)), strict=False)
        for _ in range(120)
    }
    target = "nat-a" if version == 4 else "eni-web"
    written = [Route(block, target, blackhole=chance.random() < 0.3) for block in blocks if chance.random() < 0.7]
    return [*written, *(learned(str(block), chance.choice(["vgw-one", "vgw-two"])) for block in blocks if chance.random() < 0.5)], blocks


def blocks_of(tables, start, end):
    """The block of each of these rows."""
    blocks = []
    for row in tables.routes[start:end].tolist():
        family, *net, mask_hi, mask_lo = row[RouteColumn.FAMILY : RouteColumn.MASK_LO + 1]
        length = sum((half & (1 << 64) - 1).bit_count() for half in (mask_hi, mask_lo))
        blocks.append(ip_network((address(family, *net), length - 96 if family == 4 else length)))
    return blocks


@pytest.mark.parametrize("knob", ["drop", "fall_through"])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("seed", range(5))
def test_rt3_a_large_table_is_searched_as_if_each_route_were_asked(seed, version, knob):
    """For addresses at the edges of its blocks and anywhere else; blackholes win, or are fallen through (RT-12)."""
    chance = random.Random(seed)
    declared, blocks = a_large_table(chance, version)
    gateways = VpnGateway("one", "vpc-a"), VpnGateway("two", "vpc-a")
    topology = base(RouteTable("rtb-pub", "vpc-a", tuple(declared)), *gateways, policy={"blackhole": knob})
    tables = compile_tables(topology, Ids())
    _, _, spans = routes(Work(topology, Ids()))
    start, end = spans["rtb-pub"]
    assert end - start > FEW
    takers = [
        (row, block)
        for row, block in enumerate(blocks_of(tables, start, end), start)
        if knob == "drop" or not tables.routes[row, RouteColumn.BLACKHOLE]
    ]
    top = 1 << (32 if version == 4 else 128)
    edges = {int(edge) + step for block in blocks for edge in (block[0], block[-1]) for step in (-1, 0, 1)}
    near = [number for number in chance.sample(sorted(edges), 150) if 0 <= number < top]
    for number in [*near, *(chance.randrange(top) for _ in range(20))]:
        asked = (IPv4Address if version == 4 else IPv6Address)(number)
        expected = next((row for row, block in takers if asked in block), -1)
        assert best_in(tables, start, end, version, *halves(asked)) == expected


@pytest.mark.parametrize("count", [0, 1, FEW, FEW + 1])
def test_tables_of_any_size(count):
    """Each address is found; those before, between and behind the blocks are not, whatever table stands before."""
    before = [ip_network((0x0900_0000 + (number << 17), 16)) for number in range(FEW + 1)]
    own = [ip_network((0x1400_0000 + (number << 17), 16)) for number in range(count)]
    made = (
        TransitGatewayRouteTable(name, "hub", tuple(TransitGatewayRoute(block, blackhole=True) for block in blocks))
        for name, blocks in (("one", before), ("two", own))
    )
    topology, ids = base(TransitGateway("hub"), *made), Ids()
    tables = compile_tables(topology, ids)
    _, _, spans = routes(Work(topology, Ids()))
    span = spans[topology.find("two").id]
    for block in own:
        row = best_in(tables, *span, 4, *halves(block[-1]))
        assert tables.routes[row, RouteColumn.NET_LO] == halves(block[0]).lo
        assert best_in(tables, *span, 4, *halves(block[-1] + 1)) == -1
    assert [best_in(tables, *span, 4, *halves(block[0])) for block in before] == [-1] * len(before)
    assert best_in(tables, *span, 6, 0, 0) == -1


def test_the_first_row_of_all():
    """The first route of the first table wins as any other does, and is passed over as any other is."""
    blocks = [ip_network("200.0.0.7/32"), *(ip_network((20 + number << 24, 8)) for number in range(FEW))]
    table = RouteTable("main", "lab", tuple(Route(block, "igw") for block in blocks), main=True)
    topology = Topology.of(Vpc("lab", (ip_network("10.0.0.0/16"),)), InternetGateway("igw", "lab"), table)
    tables, end = compile_tables(topology, Ids()), len(blocks) + 1
    assert len(tables.routes) == end
    assert [best_in(tables, 0, end, 4, *halves(f"200.0.0.{host}")) for host in (6, 7, 8)] == [-1, 0, -1]
