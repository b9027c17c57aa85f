"""What a topology becomes: the columns of each kind of row, as their tables describe them."""

from ipaddress import ip_address, ip_network

import pytest

from emulator.model.entities import (
    ConnectionTracking,
    ExternalHost,
    Fault,
    Instance,
    Link,
    NatGateway,
    NetworkInterface,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import PrefixList, SecurityGroup
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    InterfaceEndpoint,
    Listener,
    NetworkLoadBalancer,
    Node,
    Target,
    TargetGroup,
    TransitGateway,
    TransitGatewayAttachment,
    VpnGateway,
)
from emulator.model.topology import Topology
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.joined_columns import (
    AddressPair,
    AttachmentColumn,
    ListenerColumn,
    NetworkColumn,
    NodeColumn,
    TargetColumn,
)
from emulator.policy.tables import (
    Cell,
    Eni,
    GatewayColumn,
    LinkColumn,
    Place,
    PlaceKind,
    SubnetColumn,
    VpcColumn,
    in_vpc,
    kind_of,
    lookup,
    owner,
    row_of,
    subnet_of,
)
from emulator.policy.work import matrix
from emulator.wire.addresses import halves
from tests.base import EXT, EXT_V6, WEB, WEB_PUBLIC, WEB_V6, base

S = 10**9


def joined():
    """The base with one of everything that is joined to a VPC; a VPC, a subnet and an instance without IPv4."""
    return base(
        Vpc("vpc-six", (ip_network("2001:db8:6::/56"),)),
        Subnet("six", "vpc-six", (ip_network("2001:db8:6::/64"),)),
        Instance("six", "vpc-six"),
        NetworkInterface("eth0", "six", "six", (ip_address("2001:db8:6::10"),)),
        Instance("app2", "vpc-a", max_tracked=7),
        NetworkInterface(
            "eth0",
            "app2",
            "app-a",
            (ip_address("10.0.1.12"),),
            (),
            ("lab",),
            tracking=ConnectionTracking(100, 40, 90),
            source_dest_check=False,
        ),
        TransitGateway("hub", security_group_referencing=True),
        TransitGatewayAttachment(
            "to-a", "hub", vpc="vpc-a", subnets=("app-a", "db-a"), appliance_mode=True, security_group_referencing=True
        ),
        TransitGatewayAttachment("to-office", "hub", network="office", security_group_referencing=False),
        CustomerNetwork("office", (ip_network("192.168.0.0/16"),)),
        CustomerNetwork("branch", (ip_network("172.16.0.0/16"), ip_network("172.17.0.0/16")), gateway="vgw", up=False),
        VpnGateway("vgw", "vpc-a"),
        VpcPeeringConnection("pcx-bc", "vpc-b", "vpc-c", inter_region=True),
        NatGateway("nat-b", "b", ip_address("10.1.0.220")),
        InterfaceEndpoint("queue", "vpc-a", (Node("app-a", ip_address("10.0.1.77")),), ("lab",)),
        PrefixList("ddb", "vpc-a", (ip_network("52.94.0.0/22"),)),
        PrefixList("s3", "vpc-a", (ip_network("52.92.0.0/22"),)),
        GatewayEndpoint("items", "vpc-a", "ddb", (), "dynamodb"),
        GatewayEndpoint("store", "vpc-a", "s3", ()),
        TargetGroup(
            "servers",
            "vpc-a",
            8080,
            (Target("10.0.1.12", healthy=False), Target("10.0.1.11"), Target("192.168.3.3"), Target("10.0.2.20", port=99)),
            6,
            "ip",
        ),
        NetworkLoadBalancer(
            "front",
            "vpc-a",
            (Node("pub-a", ip_address("10.0.0.80"), ip_address("198.51.100.80")), Node("db-a", ip_address("10.0.2.80"))),
            (Listener(80, "servers", 6),),
            True,
        ),
        ExternalHost("pc", (ip_address("172.17.0.9"),)),
        Link(("app1", "front"), 1, 2, 3, 4, "", 5, (Fault(6, 7, True, 8, 9),), 10),
        Link(("app1", "db"), 11),
    )


@pytest.fixture
def compiled():
    """Its tables, and its ids."""
    ids = Ids()
    return compile_tables(joined(), ids), ids


def low(address):
    """The low half of an address."""
    return halves(address).lo


NAMES = {"ID", "VPC", "VPC_B", "SUBNET", "INSTANCE", "OWNER", "GATEWAY", "NETWORK", "PEER", "ENI", "ACL_ID", "EGRESS_ONLY", "A", "B"}


def told(ids, columns, row):
    """The columns of a row that are not 0, ids as names, spans of rows aside."""
    said = {column.name: int(value) for column, value in zip(columns, row, strict=True) if value}
    spans = {name for name in columns.__members__ if f"{name}_END" in columns.__members__ or name.endswith("_END")}
    return {name: ids.name(value) if name in NAMES else value for name, value in said.items() if name not in spans}


def named(ids, table, name):
    """The row whose id, in the first column, is that of a name."""
    (row,) = (row for row in table if row[0] == ids.of(name))
    return row


INTERNET = {"VPC": "vpc-a", "ACTIVE": 1, "MTU": 1500}
NODE = {"KIND": 10, "ACTIVE": 1, "VPC": "vpc-a", "OWNER": "loadbalancer-front", "MTU": 8500, "AUTOTRACK": 1, "CROSS_ZONE": 1}
NITRO_V6 = {"TCP_NS": 350 * S, "UDP_NS": 30 * S, "STREAM_NS": 180 * S}
ROWS = [
    ("igw-a", {"KIND": 3, **INTERNET}),
    ("eigw-a", {"KIND": 4, **INTERNET, "AUTOTRACK": 1}),
    ("nat-a", {"KIND": 5, **INTERNET, "SUBNET": "subnet-pub-a", "AUTOTRACK": 1}),
    ("pcx-ab", {"KIND": 6, "VPC": "vpc-a", "VPC_B": "vpc-b", "ACTIVE": 1, "MTU": 9001, "KEEPS_GROUPS": 1}),
    ("pcx-bc", {"KIND": 6, "VPC": "vpc-b", "VPC_B": "vpc-c", "ACTIVE": 1, "MTU": 8500}),
    ("nat-b", {"KIND": 5, "VPC": "vpc-b", "ACTIVE": 1, "SUBNET": "subnet-b", "MTU": 8500, "AUTOTRACK": 1}),
    ("tgw-hub", {"KIND": 7, "ACTIVE": 1, "MTU": 8500, "KEEPS_GROUPS": 1}),
    ("vgw-vgw", {"KIND": 8, **INTERNET}),
    ("vpce-items", {"KIND": 9, "VPC": "vpc-a", "ACTIVE": 1, "MTU": 8500, "AUTOTRACK": 1}),
    ("vpce-store", {"KIND": 9, "VPC": "vpc-a", "ACTIVE": 1, "MTU": 8500}),
    ("eni-front-pub-a", {**NODE, "SUBNET": "subnet-pub-a"}),
    ("eni-front-db-a", {**NODE, "SUBNET": "subnet-db-a"}),
    ("eni-to-a-db-a", {"KIND": 11, "VPC": "vpc-a", "ACTIVE": 1, "SUBNET": "subnet-db-a", "OWNER": "tgw-hub", "MTU": 9001}),
]


@pytest.mark.parametrize(("name", "columns"), ROWS, ids=[name for name, _ in ROWS])
def test_gateways(compiled, name, columns):
    """A gateway's kind, what it joins, its longest packet (FB-26), whether it tracks (CT-16) and keeps groups (SG-30, SG-31)."""
    tables, ids = compiled
    assert told(ids, GatewayColumn, named(ids, tables.gateways, name)) == {"ID": name, **columns}


def test_interfaces(compiled):
    """An interface's timers and limits, its own or the defaults; an endpoint's are a gateway's (CT-20)."""
    tables, ids = compiled
    place = {"VPC": "vpc-a", "SUBNET": "subnet-app-a"}
    app2, queue, web3 = (told(ids, Eni, named(ids, tables.enis, name)) for name in ("eni-app2", "eni-queue-app-a", "eni-web3"))
    timers = {"TCP_NS": 100 * S, "UDP_NS": 40 * S, "STREAM_NS": 90 * S}
    assert app2 == {"ID": "eni-app2", **place, "INSTANCE": "i-app2", **timers, "MAX_TRACKED": 7, "ADDRESS_LO": low("10.0.1.12")}
    end = {"CHECK": 1, "MAX_TRACKED": -1, "ADDRESS_LO": low("10.0.1.77")}
    assert queue == {"ID": "eni-queue-app-a", **place, "INSTANCE": "vpce-queue", **NITRO_V6, **end}
    assert (web3["TCP_NS"], web3["UDP_NS"], web3["STREAM_NS"], web3["MAX_TRACKED"]) == (432_000 * S, 30 * S, 180 * S, -1)
    assert "PUBLIC" not in web3
    assert "ADDRESS_LO" not in told(ids, Eni, named(ids, tables.enis, "eni-six"))
    assert told(ids, Eni, named(ids, tables.enis, "eni-web"))["PUBLIC"] == 1
    assert [int(named(ids, tables.enis, name)[Eni.LISTENERS_END]) for name in ("eni-web3", "eni-queue-app-a")] == [0, 1]


def test_listeners_and_targets(compiled):
    """An endpoint listens on tcp; a balancer's ports lead to its healthy targets, at their own port or the group's."""
    tables, ids = compiled
    listeners = [told(ids, ListenerColumn, row) for row in tables.listeners]
    assert listeners == [{"PROTOCOL": 6, "PORT": 443}, {"PROTOCOL": 6, "PORT": 80}]
    assert [int(row[ListenerColumn.TARGETS_END] - row[ListenerColumn.TARGETS]) for row in tables.listeners] == [0, 3]
    assert [told(ids, TargetColumn, row) for row in tables.targets] == [
        {"LO": low("10.0.1.11"), "PORT": 8080, "ENI": "eni-app1"},
        {"LO": low("192.168.3.3"), "PORT": 8080},
        {"LO": low("10.0.2.20"), "PORT": 99, "ENI": "eni-db"},
    ]


def test_addresses_of_gateways(compiled):
    """A NAT gateway's and a node's pairs, each node its own; 0 where there is no public address."""
    tables, ids = compiled
    rows = [named(ids, tables.gateways, name) for name in ("nat-a", "nat-b", "eni-front-pub-a", "eni-front-db-a")]
    spans = [tables.addresses[row[GatewayColumn.ADDRESSES] : row[GatewayColumn.ADDRESSES_END]] for row in rows]
    assert [[told(ids, AddressPair, pair) for pair in span] for span in spans] == [
        [{"PRIVATE_LO": low("10.0.0.220"), "PUBLIC_LO": low("198.51.100.20")}],
        [{"PRIVATE_LO": low("10.1.0.220")}],
        [{"PRIVATE_LO": low("10.0.0.80"), "PUBLIC_LO": low("198.51.100.80")}],
        [{"PRIVATE_LO": low("10.0.2.80")}],
    ]


def test_attachments_and_networks(compiled):
    """An attachment's other side and its interfaces; a network's gateway, whether it is up, and its hosts' places."""
    tables, ids = compiled
    assert [told(ids, AttachmentColumn, row) for row in tables.attachments] == [
        {"ID": "tgw-attach-to-a", "GATEWAY": "tgw-hub", "VPC": "vpc-a", "APPLIANCE": 1, "KEEPS_GROUPS": 1},
        {"ID": "tgw-attach-to-office", "GATEWAY": "tgw-hub", "NETWORK": "cgw-office"},
    ]
    assert [told(ids, NodeColumn, row) for row in tables.nodes] == [
        {"ID": "eni-to-a-app-a", "SUBNET": "subnet-app-a"},
        {"ID": "eni-to-a-db-a", "SUBNET": "subnet-db-a"},
    ]
    assert [int(row[AttachmentColumn.NODES_END] - row[AttachmentColumn.NODES]) for row in tables.attachments] == [2, 0]
    assert [told(ids, NetworkColumn, row) for row in tables.networks] == [
        {"ID": "cgw-office", "UP": 1},
        {"ID": "cgw-branch", "GATEWAY": "vgw-vgw"},
    ]
    outside = ("internet", "ext-ext", "cgw-office", "cgw-branch", "ext-pc")
    assert [int(tables.places[ids.of(name), Place.ROW]) for name in outside] == [0, 0, 1, 2, 2]


def test_vpcs_and_subnets(compiled):
    """The reserved addresses follow the block, and one without IPv4 has none."""
    tables, ids = compiled
    assert [told(ids, VpcColumn, named(ids, tables.vpcs, name)) for name in ("vpc-a", "vpc-six")] == [
        {"ID": "vpc-a", "GATEWAY": "igw-a", "RESOLVER_LO": low("10.0.0.2"), "EGRESS_ONLY": "eigw-a"},
        {"ID": "vpc-six"},
    ]
    assert [told(ids, SubnetColumn, named(ids, tables.subnets, name)) for name in ("subnet-app-a", "subnet-six")] == [
        {
            "ID": "subnet-app-a",
            "VPC": "vpc-a",
            "ROUTER_LO": low("10.0.1.1"),
            "BROADCAST_LO": low("10.0.1.255"),
            "ACL_ID": "acl-default-a",
        },
        {"ID": "subnet-six", "VPC": "vpc-six", "ACL_ID": "acl-default-six"},
    ]


def test_links_and_faults(compiled):
    """A link's row for each pair of interfaces that it joins, with its faults."""
    tables, ids = compiled
    names = ("LATENCY_NS", "RATE_BPS", "QUEUE_BYTES", "LOSS_PPB", "JITTER_NS", "REORDER_NS")
    quality = dict(zip(names, (1, 2, 3, 4, 5, 10), strict=True))
    assert [told(ids, LinkColumn, row) for row in tables.links] == [
        {"A": "eni-app1", "B": "eni-front-pub-a", **quality},
        {"A": "eni-app1", "B": "eni-front-db-a", **quality},
        {"A": "eni-app1", "B": "eni-db", "LATENCY_NS": 11},
    ]
    assert [list(row[[LinkColumn.FAULTS, LinkColumn.FAULTS_END]]) for row in tables.links] == [[0, 1], [0, 1], [1, 1]]
    assert [list(row) for row in tables.faults] == [[6, 7, 1, 8, 9]]


def test_nothing_is_one_row_of_zeros():
    """So that a kernel always finds a row."""
    assert matrix([], 3).tolist() == [[0, 0, 0]]
    assert matrix([[1, 2, 3]], 3).tolist() == [[1, 2, 3]]


def test_names_of_ids():
    """Ids are given once, from 1 on; 0 is nobody."""
    ids = Ids()
    assert ids.names == ["", "internet"]
    assert [ids.of("internet"), ids.of("a"), ids.of("b"), ids.of("a")] == [1, 2, 3, 2]
    assert [ids.name(number) for number in range(len(ids))] == ["", "internet", "a", "b"]
    assert [name in ids for name in ("a", "c")] == [True, False]


@pytest.mark.parametrize(
    ("address", "scope", "owned", "other"),
    [
        pytest.param(WEB, "vpc-a", "eni-web", WEB_PUBLIC, id="a private address, with its public one"),
        pytest.param(WEB_PUBLIC, "", "eni-web", WEB, id="a public address, with its private one"),
        pytest.param(WEB_V6, "vpc-a", "eni-web", None, id="an IPv6 address within"),
        pytest.param(WEB_V6, "", "eni-web", WEB_V6, id="an IPv6 address from outside is itself"),
        pytest.param("10.0.0.80", "vpc-a", "eni-front-pub-a", "198.51.100.80", id="a node"),
        pytest.param("198.51.100.80", "", "eni-front-pub-a", "10.0.0.80", id="a node from outside"),
        pytest.param("10.0.2.80", "vpc-a", "eni-front-db-a", None, id="a node without a public address"),
        pytest.param("198.51.100.20", "", "nat-a", "10.0.0.220", id="a NAT gateway from outside"),
        pytest.param(EXT, "", "ext-ext", None, id="a host outside"),
        pytest.param(EXT_V6, "", "ext-ext", None, id="a host outside by IPv6"),
        pytest.param(WEB, "", "", None, id="a private address from outside is nobody's"),
        pytest.param(WEB, "vpc-b", "", None, id="an address of another VPC is nobody's"),
        pytest.param(WEB_PUBLIC, "vpc-a", "", None, id="a public address is nobody's within"),
        pytest.param("10.0.0.250", "vpc-a", "", None, id="an address that nobody has"),
    ],
)
def test_who_has_an_address(compiled, address, scope, owned, other):
    """In a VPC, and seen from the internet (scope 0); each with its counterpart on the other side."""
    tables, ids = compiled
    number = ids.of(scope) if scope else 0
    assert ids.name(owner(tables, number, *halves(address))) == owned
    row = lookup(tables.index, number, *halves(address))
    assert (row == -1) == (not owned)
    if owned:
        assert tuple(tables.index[row, [Cell.OTHER_HI, Cell.OTHER_LO]]) == ((0, 0) if other is None else halves(other))


def test_where_a_place_stands(compiled):
    """What stands in a subnet, and what does not; what is no place has no row."""
    tables, ids = compiled
    assert (kind_of(tables, ids.of("sg-lab-a")), row_of(tables, ids.of("sg-lab-a"))) == (PlaceKind.NONE, -1)
    places = ("eni-app1", "nat-a", "eni-front-db-a", "eni-to-a-app-a", "igw-a", "pcx-ab", "ext-ext", "sg-lab-a")
    expected = ["subnet-app-a", "subnet-pub-a", "subnet-db-a", "subnet-app-a", "", "", "", ""]
    assert [ids.name(subnet_of(tables, ids.of(place))) for place in places] == expected
    assert in_vpc(tables, ids.of("vpc-a"), 4, *halves("10.0.255.255"))
    assert in_vpc(tables, ids.of("vpc-a"), 6, *halves("2001:db8:a:ff::1"))
    assert not in_vpc(tables, ids.of("vpc-a"), 4, *halves("10.1.0.0"))
    assert not in_vpc(tables, ids.of("vpc-a"), 6, *halves("2001:db8:a:100::1"))


def test_a_transit_gateway_tracks_by_the_older_rule():
    """In 2023 flows through a transit gateway were tracked for certain (CT-16)."""
    ids = Ids()
    tables = compile_tables(base(TransitGateway("hub"), policy={"autotrack": "2023"}), ids)
    row = named(ids, tables.gateways, "tgw-hub")
    assert (row[GatewayColumn.AUTOTRACK], row[GatewayColumn.KEEPS_GROUPS]) == (1, 0)


def test_tables_without_rows():
    """What a network has none of has one row of zeros, of the columns that its table always has."""
    bare = Topology.of(Vpc("bare", (ip_network("10.0.0.0/16"),)), SecurityGroup("default", "bare", (), ()))
    tables = compile_tables(bare, Ids())
    for name in ("enis", "memberships", "filters", "everyone", "subnets", "gateways", "listeners", "targets"):
        table, usual = getattr(tables, name), getattr(compile_tables(joined(), Ids()), name)
        assert table.shape == (1, usual.shape[1])
