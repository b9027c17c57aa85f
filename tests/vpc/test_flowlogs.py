"""Flow logs: the documented rows of section 6.3, S-34 and S-48 to S-50, fields, windows and files."""

import gzip
from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from emulator.engine import Engine
from emulator.errors import UsageError
from emulator.model.entities import ExternalHost, Instance, InternetGateway, NatGateway, NetworkInterface, RouteTable, Subnet, Vpc
from emulator.model.groups import AclRule, NetworkAcl, PrefixList, Rule
from emulator.model.joined import TransitGateway, TransitGatewayAttachment
from emulator.model.services import ANY_PORTS
from emulator.model.topology import Topology
from emulator.observe.flowlogfiles import line_of, lines, save
from emulator.observe.flowlogplaces import ip_ranges
from emulator.observe.flowlogs import DEFAULT_FORMAT, FlowLog, parse_format, tcp_flags
from emulator.wire.packet import Packet
from tests.base import ANYONE, APP1, DB, EXT, MBX, WEB, WEB_PUBLIC, base, group, ip_network, route
from tests.dialogue import tcp, udp

GUIDE = "123456789010"
SECOND = 10**9


class Logged:
    """A run with flow logs: packets at seconds since 1970, from places by id."""

    def __init__(self, topology):
        self.engine = Engine(topology, compiled=False, flow_logs=True)

    def send(self, at_s, packet, source):
        """Send one packet and let it arrive."""
        self.engine.inject(Packet.of(packet).header, self.engine.ids.of(source), round(at_s * SECOND))
        self.engine.advance(round(at_s * SECOND))
        return self

    def rows(self, status="OK", **log):
        """The rows of a flow log with a status, as text."""
        made = FlowLog(**log)
        return [
            line_of(row, made.fields)
            for row in made.rows(self.engine.topology, self.engine.ids, self.engine.state)
            if row["log-status"] == status
        ]


def guide(acl_out, group_in=True):
    """The VPC of the guide's ping: one instance with an id from the documentation, a host outside."""

    def allow(number, protocol, yes):
        return AclRule(number, yes, protocol, ANY_PORTS, ip_network(ANYONE))

    return Topology.of(
        Vpc("vpc", (ip_network("172.31.0.0/16"),)),
        InternetGateway("igw", "vpc"),
        RouteTable("main", "vpc", (route(ANYONE, "igw"),), main=True),
        NetworkAcl("acl", "vpc", (allow(100, 1, True),), (allow(100, 1, acl_out),)),
        Subnet("subnet", "vpc", (ip_network("172.31.16.0/20"),), network_acl="acl"),
        group("ping", [Rule.of("icmp", ANYONE)] if group_in else [], [], "vpc"),
        Instance("host", "vpc"),
        NetworkInterface(
            "eth0",
            "host",
            "subnet",
            (ip_address("172.31.16.139"),),
            ((ip_address("172.31.16.139"), ip_address("198.51.100.1")),),
            ("ping",),
            id="eni-1235b8ca123456789",
        ),
        ExternalHost("home", (ip_address("203.0.113.12"),)),
    )


def pinged(topology):
    """Four pings of 84 bytes and their replies at the documented times."""
    run, body = Logged(topology), Raw(b"x" * 56)
    for at, sequence in ((1432917027, 1), (1432917060, 2), (1432917090, 3), (1432917142, 4)):
        run.send(at, IP(src="203.0.113.12", dst="198.51.100.1") / ICMP(type=8, id=7, seq=sequence) / body, "ext-home")
        if sequence == 3:
            for late in range(3):
                run.send(
                    1432917094 + late,
                    IP(src="172.31.16.139", dst="203.0.113.12") / ICMP(type=0, id=7, seq=late + 1) / body,
                    "eni-1235b8ca123456789",
                )
    return run.send(1432917142, IP(src="172.31.16.139", dst="203.0.113.12") / ICMP(type=0, id=7, seq=4) / body, "eni-1235b8ca123456789")


FL20 = """\
2 123456789010 eni-1235b8ca123456789 203.0.113.12 172.31.16.139 0 0 1 4 336 1432917027 1432917142 ACCEPT OK
2 123456789010 eni-1235b8ca123456789 172.31.16.139 203.0.113.12 0 0 1 4 336 1432917094 1432917142 REJECT OK""".splitlines()


def test_fl20_s34_the_guides_ping():
    """The documented rows come out character for character; with the ACL open both are ACCEPT (FL-1, FL-5, FL-6, FL-17, FL-20)."""
    assert pinged(guide(acl_out=False)).rows(account_id=GUIDE) == FL20
    assert [row.split()[-2] for row in pinged(guide(acl_out=True)).rows(account_id=GUIDE)] == ["ACCEPT", "ACCEPT"]


def test_fl20_s34_a_group_that_is_closed():
    """With the group closed inbound there is one REJECT row (FL-20); the replies that a real host would not send are left out."""
    run = Logged(guide(acl_out=True, group_in=False))
    run.send(1432917027, IP(src="203.0.113.12", dst="198.51.100.1") / ICMP(type=8, id=7) / Raw(b"x" * 56), "ext-home")
    (row,) = run.rows(account_id=GUIDE)
    assert row.endswith(" 1 84 1432917027 1432917027 REJECT OK")


V6_ROW = (  # one row
    "2 123456789010 eni-1235b8ca123456789 2001:db8:1234:a100:8d6e:3477:df66:f105 "
    "2001:db8:1234:a102:3304:8879:34cf:4071 34892 22 6 54 8855 1477913708 1477913820 ACCEPT OK"
)
FL21 = """\
2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK
2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 49761 3389 6 20 4249 1418530010 1418530070 REJECT OK
2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA
2 123456789010 eni-11111111aaaaaaaaa - - - - - - - 1431280876 1431280934 - SKIPDATA""".splitlines()


@pytest.mark.parametrize(
    "documented", [*FL21[:2], V6_ROW], ids=["FL-21 ssh accepted", "FL-21 rdp rejected", "FL-21 ssh over IPv6 accepted"]
)
def test_fl21_documented_rows(documented):
    """Traffic as in the documented row gives the documented row, character for character (FL-21)."""
    _, _, eni, source, destination, sport, dport, _, packets, size, start, end, *_ = documented.split()
    v6 = ":" in source
    blocks = (ip_network("172.31.0.0/16"), ip_network("2001:db8:1234:a100::/56"))
    inside = (ip_address(destination),) if not v6 else (ip_address("172.31.20.5"), ip_address(destination))
    subnet = (ip_network("172.31.0.0/19"), ip_network("2001:db8:1234:a102::/64"))
    topology = Topology.of(
        Vpc("vpc", blocks),
        Subnet("subnet", "vpc", subnet),
        Subnet("other", "vpc", (ip_network("172.31.32.0/20"), ip_network("2001:db8:1234:a100::/64"))),
        group("in", [Rule.of("tcp/22", ANYONE), Rule.of("tcp/22", "::/0")], None, "vpc"),
        group("out", [], [Rule.of("all", ANYONE), Rule.of("all", "::/0")], "vpc"),
        Instance("host", "vpc"),
        NetworkInterface("eth0", "host", "subnet", inside, (), ("in",), id=eni),
        Instance("peer", "vpc"),
        NetworkInterface("eth0", "peer", "other" if v6 else "subnet", (ip_address(source),), (), ("out",), id="eni-peer"),
    )
    run, header, count, total = Logged(topology), 60 if v6 else 40, int(packets), int(size)
    for number in range(count):
        payload = (total - count * header) // count + (number < (total - count * header) % count)
        at = int(start) + (int(end) - int(start)) * number // (count - 1)
        ip = (IPv6 if v6 else IP)(src=source, dst=destination)
        run.send(at, ip / TCP(sport=int(sport), dport=int(dport), flags="S" if number == 0 else "A") / Raw(b"x" * payload), "eni-peer")
    rows = run.rows(account_id=GUIDE, interfaces=(eni,))
    assert rows == [documented]


def test_fl21_no_data_and_skipped_data():
    """A quiet interface and one with more rows than the log holds have the documented rows, character for character (FL-12, FL-21)."""

    busy = NetworkInterface("eth0", "busy", "subnet", (ip_address("172.31.16.141"),), (), ("default",), id="eni-11111111aaaaaaaaa")
    run = Logged(guide(acl_out=True).replace(Instance("busy", "vpc"), busy))
    for number in range(3):
        run.send(1431280880 + number, udp("172.31.16.141", "203.0.113.12", f"{40000 + number}>53"), busy.id)
    log = {"account_id": GUIDE, "start_s": 1431280876, "end_s": 1431280934}
    assert run.rows("NODATA", **log) == FL21[2:3]
    assert run.rows("SKIPDATA", most_rows=2, **log) == FL21[3:]
    assert len(run.rows(most_rows=2, **log)) == 2, "what had room is there"
    assert run.rows("SKIPDATA", most_rows=3, **log) == []


def test_fl12_no_data():
    """A quiet interface has a row of dashes with NODATA (FL-3, FL-12, FL-21)."""
    topology = guide(acl_out=True).replace(
        Instance("idle", "vpc"), NetworkInterface("eth0", "idle", "subnet", (ip_address("172.31.16.140"),), (), ("ping",), id="eni-idle")
    )
    run = pinged(topology)
    log = FlowLog(account_id=GUIDE)
    text = [line_of(row, log.fields) for row in log.rows(topology, run.engine.ids, run.engine.state)]
    assert text[-1] == f"2 {GUIDE} eni-idle - - - - - - - 1432917000 1432917600 - NODATA"


NAT_FIELDS = "instance-id interface-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr"


def test_fl22_s37_nat_gateway_rows():
    """The rows at a NAT gateway and at the instance behind it come out as documented (FL-10, FL-22)."""
    topology = Topology.of(
        Vpc("vpc", (ip_network("10.0.0.0/16"),)),
        InternetGateway("igw", "vpc"),
        Subnet("public", "vpc", (ip_network("10.0.0.0/24"),), route_table="out"),
        Subnet("private", "vpc", (ip_network("10.0.1.0/24"),), route_table="through"),
        RouteTable("out", "vpc", (route(ANYONE, "igw"),)),
        RouteTable("through", "vpc", (route(ANYONE, "nat"),)),
        NatGateway("nat", "public", ip_address("10.0.0.220"), ip_address("198.51.100.20"), interface="eni-1235b8ca123456789"),
        group("any", [], [Rule.of("all", ANYONE)], "vpc"),
        Instance("app", "vpc", id="i-01234567890123456"),
        NetworkInterface("eth0", "app", "private", (ip_address("10.0.1.5"),), (), ("any",), id="eni-1111aaaa2222bbbb3"),
        ExternalHost("site", (ip_address("203.0.113.5"),)),
    )
    run = Logged(topology).send(100, tcp("10.0.1.5", "203.0.113.5", "40000>443", "S"), "eni-1111aaaa2222bbbb3")
    port = int(run.engine.state.outcomes[0, 12])
    run.send(101, tcp("203.0.113.5", "198.51.100.20", f"443>{port}", "SA"), "ext-site")
    at_nat = run.rows(fields=parse_format(NAT_FIELDS), interfaces=("nat-nat",))
    assert at_nat == [
        "- eni-1235b8ca123456789 10.0.1.5 10.0.0.220 10.0.1.5 203.0.113.5",
        "- eni-1235b8ca123456789 10.0.0.220 203.0.113.5 10.0.0.220 203.0.113.5",
        "- eni-1235b8ca123456789 203.0.113.5 10.0.0.220 203.0.113.5 10.0.0.220",
        "- eni-1235b8ca123456789 10.0.0.220 10.0.1.5 203.0.113.5 10.0.1.5",
    ]
    assert run.rows(fields=parse_format(NAT_FIELDS), interfaces=("eni-1111aaaa2222bbbb3",)) == [
        "i-01234567890123456 eni-1111aaaa2222bbbb3 10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5",
        "i-01234567890123456 eni-1111aaaa2222bbbb3 203.0.113.5 10.0.1.5 203.0.113.5 10.0.1.5",
    ]


TRANSIT_FIELDS = "version interface-id instance-id srcaddr dstaddr srcport dstport protocol tcp-flags type pkt-srcaddr pkt-dstaddr"


@pytest.mark.parametrize("named", [True, False], ids=["FL-23 addresses as the topology names them", "FL-23 free addresses"])
def test_fl23_transit_gateway_rows(named):
    """Where a transit gateway delivers, rows show the attachment's address for the client's, which the pkt- fields keep (FL-10, FL-23)."""
    parts = [TransitGateway("hub")]
    for vpc, second in (("a", 20), ("b", 40)):
        parts += [Vpc(vpc, (ip_network(f"10.{second}.0.0/16"),)), group("web", [Rule.of("tcp/80", ANYONE)], [Rule.of("all", ANYONE)], vpc)]
        parts += [RouteTable("main", vpc, (route(f"10.{60 - second}.0.0/16", "hub"),), main=True)]
        parts += [Subnet(f"{vpc}{third}", vpc, (ip_network(f"10.{second}.{third}.0/24"),)) for third in (1, 2)]
        own = {"interfaces": (f"eni-hub-{vpc}",), "private_ips": (ip_address(f"10.{second}.1.175"),) if named else ()}
        parts.append(TransitGatewayAttachment(f"to-{vpc}", "hub", vpc=vpc, subnets=(f"{vpc}1",), **own))
    for vpc, name, eni, address in (
        ("a", "client", "eni-33333333333333333", "10.20.2.164"),
        ("b", "server", "eni-44444444444444444", "10.40.2.236"),
    ):
        parts.append(Instance(name, vpc, id=f"i-{name}"))
        parts.append(NetworkInterface("eth0", name, f"{vpc}2", (ip_address(address),), (), ("web",), id=eni))
    run, client, server = Logged(Topology.of(*parts)), "10.20.2.164", "10.40.2.236"
    for at, flags, answer in ((0, "S", "SA"), (1, "A", "A"), (2, "FA", "FA")):
        run.send(at, tcp(client, server, "39812>80", flags), "eni-33333333333333333")
        run.send(at, tcp(server, client, "80>39812", answer), "eni-44444444444444444")
    fields = parse_format(TRANSIT_FIELDS)
    request, reply = run.rows(fields=fields, interfaces=("eni-hub-b",))
    own = request.split()[3]
    assert ip_address(own) in ip_network("10.40.1.0/24")
    assert not named or own == "10.40.1.175"
    assert request == f"3 eni-hub-b - {own} {server} 39812 80 6 3 IPv4 {client} {server}"
    assert reply == f"3 eni-hub-b - {server} {own} 80 39812 6 19 IPv4 {server} {client}"
    assert run.rows(fields=fields, interfaces=("eni-44444444444444444",)) == [
        f"3 eni-44444444444444444 i-server {client} {server} 39812 80 6 3 IPv4 {client} {server}",
        f"3 eni-44444444444444444 i-server {server} {client} 80 39812 6 19 IPv4 {server} {client}",
    ]


def test_fl24_flags_over_windows():
    """A connection over several windows: SYN 2 and SYN-ACK 18, then 1 and 1 when it closes; in one window 3 and 19 (FL-14, FL-24)."""
    run = Logged(base(group("any", [("all", ANYONE)], [("all", ANYONE)]), app1="any", db="any"))
    for at, flags, answer in ((60, "S", "SA"), (130, "PA", "A"), (190, "FA", "FA")):
        run.send(at, tcp(APP1, DB, "43416>5001", flags), "eni-app1").send(at, tcp(DB, APP1, "5001>43416", answer), "eni-db")
    shown = [row.split() for row in run.rows(fields=parse_format("start srcport tcp-flags"), interfaces=("eni-app1",), interval_s=60)]
    assert shown == [
        [start, port, flags]
        for start, *both in (("60", "2", "18"), ("130", "0", "0"), ("190", "1", "1"))
        for port, flags in zip(("43416", "5001"), both, strict=True)
    ]
    assert run.rows(fields=("tcp-flags",), interfaces=("eni-app1",)) == ["3", "19"]


SERVICE_FIELDS = "action tcp-flags pkt-srcaddr pkt-dstaddr pkt-src-aws-service pkt-dst-aws-service traffic-path flow-direction log-status"
IP_RANGES = (
    '{"prefixes": [{"ip_prefix": "52.95.128.0/21", "service": "AMAZON"}, {"ip_prefix": "52.95.128.0/21", "service": "S3"}],'
    ' "ipv6_prefixes": [{"ipv6_prefix": "2600:1f00::/24", "service": "EC2"}]}'
)


@pytest.mark.parametrize("source", ["prefix list", "ip-ranges.json"], ids=lambda source: f"FL-25 S3 known by its {source}")
def test_fl25_s3_through_an_internet_gateway(source, tmp_path):
    """The rows of traffic to S3 end as documented, the service named on its side of either row (FL-15, FL-25)."""
    listed = PrefixList("com.amazonaws.us-west-2.s3", "vpc", (ip_network("52.95.128.0/21"),))
    topology = Topology.of(
        Vpc("vpc", (ip_network("10.0.0.0/16"),)),
        InternetGateway("igw", "vpc"),
        *((listed,) if source == "prefix list" else ()),
        Subnet("public", "vpc", (ip_network("10.0.0.0/24"),), route_table="out"),
        RouteTable("out", "vpc", (route(ANYONE, "igw"),)),
        group("any", [], [Rule.of("all", ANYONE)], "vpc"),
        Instance("app", "vpc"),
        NetworkInterface(
            "eth0",
            "app",
            "public",
            (ip_address("10.0.0.71"),),
            ((ip_address("10.0.0.71"), ip_address("198.51.100.71")),),
            ("any",),
            id="eni-app",
        ),
        ExternalHost("s3", (ip_address("52.95.128.179"),)),
    )
    (tmp_path / "ip-ranges.json").write_text(IP_RANGES)
    known = ip_ranges(tmp_path / "ip-ranges.json") if source == "ip-ranges.json" else ()
    run = Logged(topology)
    for at, flags, answer in ((60, "S", "SA"), (61, "FA", "FA")):
        run.send(at, tcp("10.0.0.71", "52.95.128.179", "37836>443", flags), "eni-app")
        run.send(at, tcp("52.95.128.179", "198.51.100.71", "443>37836", answer), "ext-s3")
    request, reply = run.rows(fields=parse_format(SERVICE_FIELDS), services=known)
    assert reply == "ACCEPT 19 52.95.128.179 10.0.0.71 S3 - - ingress OK"
    assert request == "ACCEPT 3 10.0.0.71 52.95.128.179 - S3 8 egress OK"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"prefixes": [{"ip_prefix": "here", "service": "S3"}]}'], ids=["nothing", "a list", "no block"]
)
def test_ip_ranges_that_are_none(tmp_path, text):
    """Another file, or none, is one clear line."""
    with pytest.raises(UsageError, match=r"ip-ranges\.json"):
        ip_ranges(tmp_path / "missing.json")
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(UsageError, match="this is not AWS's"):
        ip_ranges(tmp_path / "other.json")


S, SA, A, PA, FA, R, RA = 2, 18, 16, 24, 17, 4, 20


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        pytest.param([S, A, PA, FA], 3, id="FL-14 the client of a short connection"),
        pytest.param([SA, A, PA, FA], 19, id="FL-14 its server"),
        pytest.param([A, PA], 0, id="FL-14 data alone"),
        pytest.param([R], 4, id="FL-14 a reset"),
        pytest.param([RA], 4, id="FL-14 a reset that acknowledges"),
        pytest.param([S], 2, id="FL-14 a SYN that was refused"),
        pytest.param([S | 0x40 | 0x80], 2, id="FL-14 a SYN with ECE and CWR"),
        pytest.param([S, S | 1], None, id="FL-14 SYN and FIN at once cannot be"),
    ],
)
def test_s48_tcp_flags(flags, shown):
    """tcp-flags or-s what the window saw, SYN-ACK as 18, ACK and PSH not at all (FL-14, FL-24)."""
    assert tcp_flags(flags) == shown


def test_s48_flags_in_rows():
    """A refused SYN is a row of 2 with REJECT (FL-5, FL-14)."""
    run = Logged(base(group("none", [], []), db="none")).send(60, tcp(APP1, DB, "40000>22", "S"), "eni-app1")
    assert run.rows(fields=("interface-id", "tcp-flags", "action")) == ["eni-app1 2 ACCEPT", "eni-db 2 REJECT"]


ADDRESSES = parse_format("${interface-id} ${flow-direction} ${srcaddr} ${dstaddr} ${pkt-srcaddr} ${pkt-dstaddr}")


def test_s49_secondary_address():
    """Traffic to a secondary address shows the primary one, the real one in pkt- fields (FL-10)."""
    topology = base(group("any", [("all", ANYONE)], [("all", ANYONE)]), web="any")
    ips = (*topology.get("eni-web", NetworkInterface).private_ips, ip_address("10.0.0.99"))
    run = Logged(topology.changed("eni-web", private_ips=ips))
    run.send(60, udp(APP1, "10.0.0.99", "40000>53"), "eni-app1").send(61, udp("10.0.0.99", APP1, "53>40000"), "eni-web")
    assert run.rows(fields=ADDRESSES, interfaces=("eni-web",)) == [
        f"eni-web ingress {APP1} {WEB} {APP1} 10.0.0.99",
        f"eni-web egress {WEB} {APP1} 10.0.0.99 {APP1}",
    ]


def test_s49_an_appliance():
    """At an appliance the interface's side shows the appliance, the pkt- fields the packet (FL-10)."""
    run = Logged(base(RouteTable("rtb-priv", "vpc-a", (route("10.0.2.0/24", "mbx"),)))).send(60, tcp(APP1, DB, "40000>5432"), "eni-app1")
    assert run.rows(fields=ADDRESSES, interfaces=("eni-mbx",)) == [
        f"eni-mbx ingress {APP1} {MBX} {APP1} {DB}",
        f"eni-mbx egress {MBX} {DB} {APP1} {DB}",
    ]


def test_s50_refused_at_the_far_end():
    """The sender's interface says ACCEPT, the receiver's REJECT, and nothing else is there (FL-5, FL-7)."""
    run = Logged(base(group("none", [], []), db="none"))
    run.send(1000, IP(src=APP1, dst=DB) / TCP(sport=40000, dport=22, flags="S", options=[("NOP", None)] * 20), "eni-app1")
    assert run.rows(account_id="111122223333") == [
        "2 111122223333 eni-app1 10.0.1.11 10.0.2.20 40000 22 6 1 60 1000 1000 ACCEPT OK",
        "2 111122223333 eni-db 10.0.1.11 10.0.2.20 40000 22 6 1 60 1000 1000 REJECT OK",
    ]
    refused = Logged(base(group("none", [], []), app1="none")).send(1000, tcp(APP1, DB, "40000>22"), "eni-app1")
    assert [row.split()[2] for row in refused.rows()] == ["eni-app1"], "refused at the source: one row, nothing elsewhere"


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(udp(APP1, "10.0.0.2", "40000>53"), id="FL-11 Amazon DNS"),
        pytest.param(tcp(APP1, "169.254.169.254", "40000>80"), id="FL-11 instance metadata"),
        pytest.param(udp(APP1, "169.254.169.123", "40000>123"), id="FL-11 the time"),
        pytest.param(udp("0.0.0.0", "255.255.255.255", "68>67"), id="FL-11 DHCP"),
        pytest.param(tcp(APP1, "169.254.169.250", "40000>1688"), id="FL-11 licence activation"),
    ],
)
def test_fl11_what_is_not_logged(packet):
    """What the fabric answers itself is in no flow log (FL-11)."""
    assert Logged(base()).send(60, packet, "eni-app1").rows() == []


def test_fl8_lost_after_the_filters_is_accepted():
    """A packet that no gateway takes was accepted as far as the flow log is concerned (FL-8)."""
    assert Logged(base()).send(60, tcp("10.0.0.12", EXT, "1>2"), "eni-web3").rows(fields=("action",)) == ["ACCEPT"]


@pytest.mark.parametrize(
    ("source", "destination", "path"),
    [
        pytest.param("eni-app1", DB, "1", id="FL-15 inside the VPC"),
        pytest.param("eni-web", EXT, "8", id="FL-15 internet gateway"),
        pytest.param("eni-app1", "10.1.0.10", "4", id="FL-15 peering"),
        pytest.param("eni-app1", EXT, "1", id="FL-15 NAT gateway, an interface in the VPC"),
    ],
)
def test_fl15_traffic_path(source, destination, path):
    """traffic-path is for egress rows only and names the way out (FL-15)."""
    address = WEB if source == "eni-web" else APP1
    run = Logged(base()).send(60, tcp(address, destination, "40000>443"), source)
    assert run.rows(fields=("flow-direction", "traffic-path"), interfaces=(source,)) == [f"egress {path}"]


def test_fl4_fl9_windows():
    """Rows are cut at the window's end, of 60 or 600 s, and an interface that is quiet in one is NODATA (FL-4, FL-9)."""
    run = Logged(base())
    for at in (10, 50, 70):
        run.send(at, tcp(APP1, DB, "40000>22", "S"), "eni-app1")
    fields = ("interface-id", "packets", "start", "end")
    assert run.rows(fields=fields, interval_s=60, interfaces=("eni-db",)) == ["eni-db 2 10 50", "eni-db 1 70 70"]
    assert run.rows(fields=fields, interfaces=("eni-db",)) == ["eni-db 3 10 70"]


def test_fl2_the_version_is_the_highest_of_the_fields():
    """version shows the highest version among the chosen fields (FL-2)."""
    run = Logged(base()).send(60, tcp(APP1, DB, "40000>22", "S"), "eni-app1")
    for fields, version in ((("version", "srcaddr"), "2"), (("version", "vpc-id"), "3"), (("version", "flow-direction", "vpc-id"), "5")):
        assert {row.split()[0] for row in run.rows(fields=fields)} == {version}
    with pytest.raises(UsageError, match="is not known"):
        parse_format("${sourceaddress}")


def test_fl13_traffic_type():
    """A flow log can be of accepted or of rejected traffic alone (FL-13)."""
    run = Logged(base(group("none", [], []), db="none")).send(60, tcp(APP1, DB, "40000>22", "S"), "eni-app1")
    for kind in ("ACCEPT", "REJECT"):
        assert run.rows(fields=("action",), traffic_type=kind) == [kind]


def test_fl16_block_public_access():
    """What blocked public access refuses is REJECT with the reason BPA and no bytes (FL-5, FL-16)."""
    topology = base(group("any", [("all", ANYONE)], [("all", ANYONE)]), web="any").changed(
        "vpc-a", block_public_access="block-bidirectional"
    )
    run = Logged(topology).send(60, tcp(WEB, EXT, "40000>443"), "eni-web").send(61, tcp(EXT, WEB_PUBLIC, "1>2"), "ext-ext")
    fields = ("flow-direction", "action", "bytes", "reject-reason")
    assert run.rows(fields=fields) == ["egress REJECT 0 BPA", "ingress REJECT 0 BPA"]


def test_our_own_columns_name_the_rule():
    """emu-rule is the id of the rule that let it through, emu-reason the code of what was refused."""
    run = Logged(base(group("ssh", [("tcp/22", ANYONE)], []), db="ssh"))
    run.send(60, tcp(APP1, DB, "40000>22", "S"), "eni-app1").send(61, tcp(APP1, DB, "40000>23", "S"), "eni-app1")
    accepted, refused = run.rows(fields=("emu-rule", "emu-reason"), interfaces=("eni-db",))
    assert accepted.startswith("sgr-")
    assert refused == "- ENI_SG_RULES_MISMATCH"


def test_fl30_files(tmp_path):
    """Text has a header of field names, gzip holds the same text, and the same run gives the same bytes (FL-31)."""
    run, log = pinged(guide(acl_out=False)), FlowLog(account_id=GUIDE)
    rows = list(log.rows(run.engine.topology, run.engine.ids, run.engine.state))
    save(tmp_path / "x.log", log, rows)
    save(tmp_path / "x.log.gz", log, rows)
    text = (tmp_path / "x.log").read_text()
    assert text.splitlines() == [" ".join(DEFAULT_FORMAT), *FL20] == list(lines(log, rows))
    assert gzip.decompress((tmp_path / "x.log.gz").read_bytes()).decode() == text


def test_fl32_parquet(tmp_path):
    """Parquet has typed columns, named with underscores, and nulls for what is missing (FL-32)."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    run, log = pinged(guide(acl_out=False)), FlowLog((*DEFAULT_FORMAT, "traffic-path"), account_id=GUIDE)
    save(tmp_path / "x.parquet", log, log.rows(run.engine.topology, run.engine.ids, run.engine.state))
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table.column("account_id").to_pylist() == [GUIDE, GUIDE]
    assert str(table.schema.field("srcport").type) == "int32"
    assert str(table.schema.field("bytes").type) == "int64"
    assert table.column("traffic_path").to_pylist() == [None, 8]


def test_fl17_port_of_another_protocol_is_zero():
    """Protocols without ports show 0 (table 6.1)."""
    run = Logged(base()).send(60, IP(src=APP1, dst=DB, proto=47) / Raw(b"\0" * 8), "eni-app1")
    assert run.rows(fields=("srcport", "dstport", "protocol"), interfaces=("eni-db",)) == ["0 0 47"]
