"""The worked scenarios S-35 to S-45 of the semantics (section 10.5): gateways and routes."""

from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.packet import Raw

from emulator.errors import TopologyError
from emulator.model import edits
from emulator.model.entities import ExternalHost, Link, NatGateway, Route, RouteTable, VpcPeeringConnection
from emulator.model.groups import ListPeer, PrefixList, Rule
from emulator.model.joined import CustomerNetwork, GatewayEndpoint, VpnGateway
from tests.base import (
    ANYONE,
    ANYONE_V6,
    APP1,
    APP1_V6,
    B1,
    C1,
    DB,
    EXT,
    EXT_V6,
    WEB,
    WEB3,
    WEB3_V6,
    WEB_PUBLIC,
    base,
    group,
    ip_network,
    route,
)
from tests.dialogue import Dialogue, icmp, tcp, udp

NAT, NAT_PUBLIC = "10.0.0.220", "198.51.100.20"


def test_s35_no_public_address():
    """Without a public IPv4 address nothing leaves by the internet gateway; IPv6 needs none (RT-20, RT-22)."""
    talk = Dialogue(base())
    talk.send(tcp(WEB3, EXT, "1>2")).dropped("E8(igw-a)", "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")
    talk.send(tcp(WEB3_V6, EXT_V6, "1>2")).accepted(source=WEB3_V6)
    talk.send(tcp(WEB, EXT, "1>2")).accepted(source=WEB_PUBLIC)


@pytest.mark.parametrize(
    ("source", "destination", "code"),
    [
        pytest.param(EXT, "198.51.100.77", "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS", id="RT-23 a public address that nobody has"),
        pytest.param("10.0.1.11", WEB_PUBLIC, "GATEWAY_REJECTS_SPOOFED_TRAFFIC", id="RT-25 a source inside the VPC"),
        pytest.param("192.168.1.1", WEB_PUBLIC, "IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS", id="RT-24 a private source"),
        pytest.param("100.64.0.1", WEB_PUBLIC, "IGW_SOURCE_ADDRESS_NOT_IN_RFC6598_INGRESS", id="RT-24 a shared source"),
    ],
)
def test_s36_bogus_at_the_gateway(source, destination, code):
    """What cannot come from the internet is refused where it would come in (RT-23 to RT-25)."""
    Dialogue(base()).send(tcp(source, destination, "1>2"), source="ext").dropped("E8(igw-a)", code)


@pytest.mark.parametrize(
    ("destination", "code"),
    [
        pytest.param("192.168.1.1", "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS", id="RT-24 a private destination"),
        pytest.param("100.64.0.1", "IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS", id="RT-24 a shared destination"),
    ],
)
def test_s36_private_destinations_do_not_leave(destination, code):
    """Private and shared destinations do not cross an internet gateway (RT-24)."""
    Dialogue(base()).send(tcp(WEB, destination, "1>2")).dropped("E8(igw-a)", code)


def opened(*more, **options):
    """A dialogue in which app1 has opened a connection through the NAT gateway, and the port that ext sees."""
    talk = Dialogue(base(*more, **options))
    talk.send(tcp(APP1, EXT, "40000>443", "S")).accepted()
    return talk, talk.trace.delivered.five_tuple.source_port


def test_s37_nat_gateway_step_by_step():
    """Source address and port become the gateway's, then its public address; the reply finds its way back (RT-31, RT-35, FB-19, CT-16)."""
    talk = Dialogue(base(group("open", [("all", ANYONE)], [("all", ANYONE)]), app1="open"))
    talk.send(tcp(APP1, EXT, "40000>443", "S")).accepted(source=NAT_PUBLIC, destination=EXT)
    seen = talk.trace.delivered
    port = seen.five_tuple.source_port
    assert 1024 <= port <= 65535
    assert port != 40000
    assert seen.scapy.ttl == 63
    places = [(step.at, step.check) for step in talk.trace.steps]
    acls = [place for place, check in places if check.startswith("network ACL")]
    assert acls == ["app-a", "pub-a", "pub-a"], "outbound of app-a, inbound of pub-a, outbound of pub-a"
    talk.tracks(f"tcp {APP1}:40000 > {EXT}:443", interface="app1")
    talk.send(tcp(EXT, NAT_PUBLIC, f"443>{port}", "SA")).accepted(source=EXT, destination=APP1)
    assert talk.trace.delivered.five_tuple.destination_port == 40000
    acls = [step.at for step in talk.trace.steps if step.check.startswith("network ACL")]
    assert acls == ["pub-a", "pub-a", "app-a"]


def test_s38_an_idle_connection_is_reset():
    """After 350 s idle the next segment from the inside is answered with a reset, one from outside is dropped (RT-33)."""
    talk, port = opened()
    talk.send(tcp(EXT, NAT_PUBLIC, f"443>{port}", "SA")).accepted()
    talk.at(349).send(tcp(APP1, EXT, "40000>443", "A")).accepted()
    talk.at(709).send(tcp(EXT, NAT_PUBLIC, f"443>{port}", "A")).dropped("E8(nat-a)", "EMU_NO_UNSOLICITED_INGRESS")
    talk.send(tcp(APP1, EXT, "40000>443", "A")).dropped("E8(nat-a)", "EMU_NAT_NO_CONNECTION")
    (answer,) = talk.trace.made
    segment = answer.delivered.scapy
    assert (segment.src, segment[TCP].sport, segment.dst, segment[TCP].dport) == (EXT, 443, APP1, 40000)
    assert segment[TCP].flags == "R"


def test_s38_a_reset_carries_the_sequence_number_that_was_acknowledged():
    """The reset is one that the inside takes: its sequence number is what the segment acknowledged (RFC 9293 §3.10.7.1)."""
    talk = Dialogue(base())
    talk.send(IP(src=APP1, dst=EXT) / TCP(sport=1, dport=2, flags="PA", seq=1000, ack=77) / Raw(b"late")).dropped(
        code="EMU_NAT_NO_CONNECTION"
    )
    assert talk.trace.made[0].sent.scapy[TCP].seq == 77


@pytest.mark.parametrize("flags", ["SA", "R", "RA"])
def test_nat_gateway_drops_answers_to_nothing_in_silence(flags):
    """A SYN-ACK or a reset from the inside of no known flow is no new session, and gets no reset (measured on AWS, RT-33)."""
    talk = Dialogue(base()).send(tcp(APP1, EXT, "40000>443", flags)).dropped("E8(nat-a)", "EMU_NAT_NO_CONNECTION")
    assert not talk.trace.made


def test_s38_nobody_gets_in_unasked():
    """A NAT gateway answers no ping on either address and lets no new connection in (RT-34)."""
    talk, _ = opened()
    talk.send(tcp(EXT, NAT_PUBLIC, "1>2", "S")).dropped("E8(nat-a)", "EMU_NO_UNSOLICITED_INGRESS")
    talk.send(icmp(EXT, NAT_PUBLIC, 8)).dropped("E8(nat-a)", "EMU_NO_UNSOLICITED_INGRESS")
    talk.send(icmp(WEB, NAT, 8)).dropped("E8(nat-a)", "EMU_NO_UNSOLICITED_INGRESS")


def test_s38_fragments():
    """Fragments of udp pass, both ways, those of tcp and ICMP are dropped (FB-30)."""
    talk, port = Dialogue(base()), 0
    for piece in fragment(IP(src=APP1, dst=EXT, id=9) / UDP(sport=40000, dport=53) / Raw(b"q" * 3000), fragsize=1480):
        talk.send(piece).accepted(source=NAT_PUBLIC)
        port = talk.trace.delivered.five_tuple.source_port or port
    for piece in fragment(IP(src=EXT, dst=NAT_PUBLIC, id=10) / UDP(sport=53, dport=port) / Raw(b"a" * 3000), fragsize=1480):
        talk.send(piece).accepted(source=EXT, destination=APP1)
    for piece in fragment(IP(src=APP1, dst=EXT, id=11) / TCP(sport=40000, dport=443) / Raw(b"t" * 3000), fragsize=1480):
        talk.send(piece).dropped("E8(nat-a)", "EMU_NAT_FRAGMENT")
    for piece in fragment(IP(src=APP1, dst=EXT, id=12) / ICMP(id=5) / Raw(b"p" * 9972), fragsize=1480):
        talk.send(piece).dropped("E8(nat-a)", "EMU_NAT_FRAGMENT")


def test_nat_gateway_translates_pings_and_the_errors_about_them():
    """The identifier of a ping is translated like a port; an ICMP error about a flow reaches who sent it (RT-31, RFC 5508 §4)."""
    talk = Dialogue(base(policy={"icmp_error_related": True}))
    talk.send(icmp(APP1, EXT, 8, ident=7)).accepted(source=NAT_PUBLIC)
    seen = talk.trace.delivered.scapy
    talk.send(icmp(EXT, NAT_PUBLIC, 0, ident=seen[ICMP].id)).accepted(destination=APP1)
    assert talk.trace.delivered.scapy[ICMP].id == 7
    talk.send(udp(APP1, EXT, "40000>33434")).accepted()
    quoted = Raw(bytes(talk.trace.delivered.scapy)[:28])
    talk.send(IP(src=EXT, dst=NAT_PUBLIC) / ICMP(type=3, code=3) / quoted).accepted(destination=APP1)
    inner = talk.trace.delivered.scapy[ICMP].payload
    assert (inner.src, inner.sport, inner.dst, inner.dport) == (APP1, 40000, EXT, 33434)


def test_nat_gateway_shows_in_a_traceroute():
    """A packet whose time runs out at the gateway is answered from its private address (FB-19)."""
    talk = Dialogue(base())
    talk.send(IP(src=APP1, dst=EXT, ttl=1) / UDP(sport=40000, dport=33434)).dropped("E8(nat-a)", "EMU_TTL_EXPIRED")
    (told,) = talk.trace.made
    assert told.accepted
    assert (told.sent.scapy.src, told.sent.scapy[ICMP].type) == (NAT, 11)


def test_nat_gateway_takes_only_tcp_udp_and_icmp():
    """Other protocols, IPsec among them, do not pass (RT-31, RT-38)."""
    talk = Dialogue(base())
    for protocol in (47, 50, 132):
        talk.send(IP(src=APP1, dst=EXT, proto=protocol) / Raw(b"\0" * 16)).dropped("E8(nat-a)", "PROTOCOL_RESTRICTION")


def test_nat_gateway_gives_each_flow_its_own_port():
    """Two sources with the same port towards one server get different ports, and answers reach the right one (RT-31, RT-32)."""
    talk = Dialogue(base())
    ports = {}
    for source in (APP1, "10.0.1.12"):
        talk.send(tcp(source, EXT, "40000>443")).accepted()
        ports[source] = talk.trace.delivered.five_tuple.source_port
    assert len(set(ports.values())) == 2
    for source, port in ports.items():
        talk.send(tcp(EXT, NAT_PUBLIC, f"443>{port}", "SA")).accepted(destination=source)


def test_nat_gateway_with_several_addresses():
    """Flows spread over all addresses of a NAT gateway (RT-32)."""
    more = tuple((ip_address(f"10.0.0.{n}"), ip_address(f"198.51.100.{n}")) for n in (221, 222))
    talk = Dialogue(base(NatGateway("nat-a", "pub-a", ip_address(NAT), ip_address(NAT_PUBLIC), secondary_ips=more)))
    seen = set()
    for port in range(40000, 40030):
        talk.send(tcp(APP1, EXT, f"{port}>443")).accepted()
        seen.add(str(talk.trace.delivered.five_tuple.source))
    assert seen == {NAT_PUBLIC, "198.51.100.221", "198.51.100.222"}


def test_s39_private_nat_gateway_to_the_internet():
    """A private NAT gateway has no public address, so the internet gateway refuses what it sends (RT-37, RT-22)."""
    table = RouteTable("rtb-priv", "vpc-a", (route(ANYONE, "nat-p"),))
    talk = Dialogue(base(NatGateway("nat-p", "pub-a", ip_address("10.0.0.230")), table))
    talk.send(tcp(APP1, EXT, "1>2")).dropped("E8(igw-a)", "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")


def test_rt36_not_for_customer_networks():
    """A NAT gateway does not serve what comes over a VPN (RT-36)."""
    table = RouteTable("rtb-priv", "vpc-a", (route(ANYONE, "nat-a"),), propagating=("vgw",))
    network = CustomerNetwork("office", (ip_network("192.168.0.0/16"),), gateway="vgw")
    talk = Dialogue(base(VpnGateway("vgw", "vpc-a"), network, ExternalHost("pc", (ip_address("192.168.1.5"),)), table))
    talk.send(tcp("192.168.1.5", EXT, "1>2")).dropped("E8(vgw)", "VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS")


def test_s40_egress_only_gateway():
    """IPv6 leaves and its replies return, nothing else comes in, whatever the groups allow (RT-30, CT-16)."""
    talk = Dialogue(base(group("open", [("all", ANYONE_V6)], [("all", ANYONE_V6)]), app1="open"))
    talk.send(tcp(APP1_V6, EXT_V6, "40000>443", "S")).accepted(source=APP1_V6)
    talk.tracks(f"tcp {APP1_V6}:40000 > {EXT_V6}:443", interface="app1")
    talk.send(tcp(EXT_V6, APP1_V6, "443>40000", "SA")).accepted()
    talk.send(tcp(EXT_V6, APP1_V6, "50000>22", "S")).dropped("E8(eigw-a)", "EMU_NO_UNSOLICITED_INGRESS")


def test_s41_peering_does_not_chain():
    """A peering carries its two VPCs' own addresses and nothing beyond, and not the peer's resolver (RT-51, RT-52, FB-11)."""
    pub = RouteTable("rtb-pub", "vpc-a", (route(ANYONE, "igw-a"), route("10.1.0.0/16", "pcx-ab"), route("10.2.0.0/16", "pcx-ab")))
    private = (route("10.0.0.0/16", "pcx-ab"), route(ANYONE, "pcx-ab"))
    talk = Dialogue(base(pub, RouteTable("rtb-b", "vpc-b", private, main=True)))
    talk.send(tcp(WEB, C1, "1>2")).dropped("E8(pcx-ab)", "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR")
    talk.send(tcp(B1, EXT, "1>2")).dropped("E8(pcx-ab)", "PCX_REQUIRES_ADDRESS_IN_VPC_CIDR")
    talk.send(tcp(B1, WEB, "1>2")).accepted(source=B1)
    talk.send(udp(B1, "10.0.0.2", "40000>53")).dropped(code="NO_POSSIBLE_DESTINATION")


def choosing():
    """The route table of S-42, on pub-a."""
    routes = (
        route("172.31.0.0/16", "pcx-ab"),
        Route(ip_network("172.31.0.0/24"), "vgw", propagated=True),
        route("172.31.0.0/24", "igw-a"),
        Route(ip_network("10.0.2.0/24"), "vgw", propagated=True),
        route(ANYONE, "igw-a"),
    )
    return base(RouteTable("rtb-pub", "vpc-a", routes), VpnGateway("vgw", "vpc-a"))


@pytest.mark.parametrize(
    ("destination", "target"),
    [
        pytest.param("172.31.5.5", "172.31.0.0/16 → pcx-ab", id="RT-3 the longest prefix that has it"),
        pytest.param("172.31.0.9", "172.31.0.0/24 → igw-a", id="RT-5 static beats propagated"),
        pytest.param(DB, "10.0.0.0/16 → db:eth0", id="RT-7 local beats a longer propagated route"),
        pytest.param("8.8.8.8", "0.0.0.0/0 → igw-a", id="RT-3 the default route"),
    ],
)
def test_s42_choosing_a_route(destination, target):
    """The longest prefix wins, at one length static before propagated, and local before any propagated one (RT-3, RT-5, RT-7)."""
    talk = Dialogue(choosing()).send(tcp(WEB, destination, "1>2"))
    assert next(step.text for step in talk.trace.steps if step.check == "route table") == target


def test_s42_families_are_independent():
    """An IPv4 default route takes no IPv6 (RT-3, RT-13)."""
    Dialogue(choosing()).send(tcp("2001:db8:a::10", "2001:4860:4860::8888", "1>2")).dropped("E6(pub-a)", "NO_ROUTE_TO_DESTINATION")


def test_rt6_prefix_lists():
    """A prefix-list route yields to a static one that overlaps it and beats a propagated one (RT-6)."""
    listed = PrefixList("partners", "vpc-a", (ip_network("172.31.0.0/24"), ip_network("172.30.0.0/24")))
    routes = (
        Route(ListPeer("partners"), "pcx-ab"),
        route("172.31.0.0/16", "igw-a"),
        Route(ip_network("172.30.0.0/24"), "vgw", propagated=True),
    )
    talk = Dialogue(base(listed, VpnGateway("vgw", "vpc-a"), RouteTable("rtb-pub", "vpc-a", routes)))
    for destination, target in (("172.31.0.9", "igw-a"), ("172.30.0.9", "pcx-ab")):
        talk.send(tcp(WEB, destination, "1>2"))
        assert next(step.text for step in talk.trace.steps if step.check == "route table").endswith(f"→ {target}")


def test_s43_blackhole():
    """A blackhole drops what it matches, unless the knob lets it fall through (RT-10, RT-12)."""
    routes = (Route(ip_network("203.0.113.0/24"), "nat-gone", blackhole=True), route(ANYONE, "igw-a"))
    table = RouteTable("rtb-pub", "vpc-a", routes)
    Dialogue(base(table)).send(tcp(WEB, EXT, "1>2")).dropped("E6(pub-a)", "BAD_STATE_ROUTE")
    Dialogue(base(table, policy={"blackhole": "fall_through"})).send(tcp(WEB, EXT, "1>2")).accepted()


@pytest.mark.parametrize(
    ("destination", "target", "trouble"),
    [
        pytest.param("10.0.2.0/25", "mbx", "whole block of a subnet", id="RT-4 half a subnet is refused"),
        pytest.param("10.0.2.0/24", "igw-a", "to an interface or a NAT gateway", id="RT-4 a subnet to the internet gateway is refused"),
        pytest.param("169.254.169.0/24", "mbx", "cannot be routed", id="FB-9 the fabric's range is refused"),
    ],
)
def test_s44_routes_that_are_refused(destination, target, trouble):
    """Inside the VPC only a whole subnet may be routed, to an appliance; the fabric's own range not at all (RT-4, FB-9)."""
    with pytest.raises(TopologyError, match=trouble):
        base(RouteTable("rtb-priv", "vpc-a", (route(destination, target),)))


def test_s44_routes_that_are_accepted():
    """A whole subnet may go to an appliance; a wide link-local route does not take the fabric's services away (RT-4, FB-9)."""
    talk = Dialogue(base(RouteTable("rtb-priv", "vpc-a", (route("10.0.2.0/24", "mbx"), route("169.254.0.0/16", "mbx")))))
    talk.send(tcp(APP1, DB, "1>2")).accepted()
    assert "mbx:eth0" in [step.at for step in talk.trace.steps]
    talk.send(tcp(APP1, "169.254.169.254", "1>80")).accepted()
    assert talk.trace.steps[-1].check == "fabric service"


def s3(service="s3"):
    """The base with a gateway endpoint in rtb-priv, a host behind it, and app1 open to the list on tcp/443 alone."""
    return base(
        PrefixList("pl-s3", "vpc-a", (ip_network("52.216.0.0/15"),)),
        GatewayEndpoint("vpce-s3", "vpc-a", "pl-s3", ("rtb-priv",), service),
        ExternalHost("bucket", (ip_address("52.216.1.1"),)),
        group("narrow", [], [Rule.of("tcp/443", ListPeer("pl-s3"))]),
        group("open", [("all", ANYONE)], [("all", ANYONE)]),
        app1="narrow",
        app2="open",
    )


def test_s45_gateway_endpoint():
    """The list's addresses go by the endpoint with the private source, the rest does not pass; only tcp and echo do (RT-56, SG-27)."""
    talk = Dialogue(s3())
    talk.send(tcp(APP1, "52.216.1.1", "40000>443", "S")).accepted(source=APP1)
    assert "vpce-s3" in [step.at for step in talk.trace.steps]
    assert "nat-a" not in [step.at for step in talk.trace.steps]
    talk.send(tcp("52.216.1.1", APP1, "443>40000", "SA")).accepted(destination=APP1)
    talk.send(tcp(APP1, EXT, "40000>443")).dropped("E3(app1)")
    talk.send(udp("10.0.1.12", "52.216.1.1", "40000>443")).dropped("E8(vpce-s3)", "VPCE_GATEWAY_PROTOCOL_RESTRICTION")
    talk.send(icmp("10.0.1.12", "52.216.1.1", 8)).accepted()
    talk.send(icmp("52.216.1.1", "10.0.1.12", 0)).accepted()
    talk.send(icmp("52.216.1.1", "10.0.1.12", 8)).dropped("E8(vpce-s3)", "VPCE_GATEWAY_PROTOCOL_RESTRICTION")


def test_ct16_dynamodb_endpoints_are_always_tracked():
    """Flows through a DynamoDB endpoint are tracked although everything is open; those to S3 are not (CT-16)."""
    for service, entries in (("dynamodb", 1), ("s3", 0)):
        Dialogue(s3(service)).send(tcp("10.0.1.12", "52.216.1.1", "1>443")).accepted().count(entries, interface="app2")


def test_rt27_hairpin_by_public_addresses():
    """Public to public inside one VPC turns round at the internet gateway, both translated; the knob forbids it (RT-27)."""
    talk = Dialogue(base(group("any", [("all", "198.51.100.10/32")]), web2="any"))
    talk.send(tcp(WEB, "198.51.100.11", "1>2")).accepted(source=WEB_PUBLIC, destination="10.0.0.11")
    Dialogue(base(policy={"hairpin": False})).send(tcp(WEB, "198.51.100.11", "1>2")).dropped("E8(igw-a)", "IGW_NAT_REFLECTION")


def test_rt53_only_an_active_peering_carries_packets():
    """A peering that is not active is a blackhole to routes (RT-11, RT-53)."""
    pending = VpcPeeringConnection("pcx-ab", "vpc-a", "vpc-b", "pending-acceptance")
    Dialogue(base(pending)).send(tcp(WEB, B1, "1>2")).dropped("E6(pub-a)", "BAD_STATE_ROUTE")


def test_rt10_a_deleted_peering_leaves_a_blackhole():
    """Deleting a peering turns routes to it into blackholes (RT-10)."""
    talk = Dialogue(base())
    talk.send(tcp(WEB, B1, "1>2")).accepted()
    talk.edit(edits.delete_peering, "pcx-ab")
    talk.send(tcp(WEB, B1, "1>2")).dropped("E6(pub-a)", "BAD_STATE_ROUTE")


def test_a_link_to_the_nat_gateway_delays():
    """Links may be declared to a NAT gateway like to any place."""
    talk = Dialogue(base(Link(("app1", "nat-a"), latency_ns=5_000_000)))
    talk.send(tcp(APP1, EXT, "1>2")).accepted()
    assert talk.network.now_ns == 5_000_000
