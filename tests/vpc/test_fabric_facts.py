"""Facts of the pipeline and the fabric that no worked scenario shows: own addresses, rates, segment sizes, silence."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from emulator.datapath.state import Count
from emulator.engine import Engine
from emulator.model.entities import ExternalHost, Instance, NetworkInterface, RouteTable, Subnet, Vpc
from emulator.model.groups import AclRule, NetworkAcl, Rule
from emulator.model.joined import CustomerNetwork, TransitGateway, TransitGatewayAttachment
from emulator.model.services import ALL, ANY_PORTS
from emulator.model.topology import Topology
from emulator.observe.flowlogs import FlowLog
from emulator.policy.reasons import Reason
from emulator.wire.packet import Packet
from tests.base import ANYONE, APP1, DB, EXT, WEB, WEB_PUBLIC, WEB_V6, base, group, ip_network, route
from tests.dialogue import NO_RULES, Dialogue, icmp, tcp, udp

DENY_ALL = (AclRule(100, False, ALL, ANY_PORTS, ip_network(ANYONE)),)


def test_pl1_the_order_of_stages():
    """Outbound the groups come before the ACL and the routes, inbound the ACL before the groups (PL-1)."""
    talk = Dialogue(base(group("any", [("all", ANYONE)], [("all", ANYONE)]), app1="any", db="any"))
    talk.send(tcp(APP1, DB, "40000>22")).accepted()
    stages = [step.stage.name for step in talk.trace.steps]
    assert stages == ["SENT", "GROUP_EGRESS", "ACL_EGRESS", "ROUTE", "ACL_INGRESS", "GROUP_INGRESS", "DELIVERED"]


def test_pl3_what_acl_and_routes_would_both_drop_is_the_acls():
    """Where no route leads on and the ACL denies as well, the ACL is named (PL-3)."""
    shut = NetworkAcl("shut", "vpc-a", (), DENY_ALL)
    talk = Dialogue(base(shut, Subnet("db-a", "vpc-a", (ip_network("10.0.2.0/24"),), network_acl="shut")))
    talk.send(tcp(DB, EXT, "40000>22")).dropped("E5(db-a)", "SUBNET_ACL_RESTRICTION")


@pytest.mark.parametrize("packet", [tcp(EXT, WEB_PUBLIC, "1>22"), udp(EXT, WEB_PUBLIC, "1>2"), icmp(EXT, WEB_PUBLIC, 8)], ids=repr)
def test_pl5_a_filter_says_nothing(packet):
    """What a group drops vanishes: no reset and no ICMP error is made (PL-5)."""
    talk = Dialogue(base(group("none"), web="none"))
    talk.send(packet).dropped("I2(web)", NO_RULES)
    assert talk.trace.made == ()


def test_pl6_a_verdict_is_never_remembered():
    """The same untracked packet is judged by the rules of its moment, each time (PL-6)."""
    talk = Dialogue(base(group("web", [("tcp/80", ANYONE)], [("all", ANYONE)]), web="web"))
    for rules, passes in (([("tcp/80", ANYONE)], True), ([("tcp/81", ANYONE)], False), ([("tcp/80", ANYONE)], True)):
        talk.network.edit(talk.network.topology.changed("sg-web", ingress=tuple(Rule.of(*rule) for rule in rules)))
        talk.send(tcp(EXT, WEB_PUBLIC, "50000>80"))
        assert talk.trace.accepted == passes


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        pytest.param(WEB, WEB, id="FB-23 its own address"),
        pytest.param(WEB_V6, WEB_V6, id="FB-23 its own IPv6 address"),
        pytest.param(WEB, "127.0.0.1", id="FB-23 loopback"),
        pytest.param(WEB_V6, "::1", id="FB-23 IPv6 loopback"),
    ],
)
def test_fb23_what_stays_in_a_guest_meets_no_filter(source, destination):
    """A packet to itself reaches nobody's groups, and no flow log shows it (FB-23)."""
    topology = base(group("none", [], []), web="none")
    Dialogue(topology).send(tcp(source, destination, "1>2"), source="web").accepted(tracked=False).count(0)
    engine = Engine(topology, compiled=False, flow_logs=True)
    engine.inject(Packet.of(tcp(source, destination, "1>2")).header, engine.ids.of("eni-web"), 0)
    engine.advance()
    assert list(FlowLog().rows(topology, engine.ids, engine.state)) == []


def test_fb25_groups_and_acls_hold_at_an_appliance_too():
    """An interface without the source/destination check is filtered like any other (FB-24, FB-25)."""
    table = RouteTable("rtb-priv", "vpc-a", (route("10.0.2.0/24", "mbx"),))
    talk = Dialogue(base(group("shut", [], [("all", ANYONE)]), table, mbx="shut"))
    talk.send(tcp(APP1, DB, "40000>22")).dropped("I2(mbx)", NO_RULES)
    talk = Dialogue(base(group("mute", [("all", ANYONE)], []), table, mbx="mute"))
    talk.send(tcp(APP1, DB, "40000>22"), source="mbx").dropped("E3(mbx)", NO_RULES)
    shut = base().get("subnet-pub-a", Subnet)
    talk = Dialogue(base(table, NetworkAcl("shut", "vpc-a", DENY_ALL)).replace(replace(shut, network_acl="shut")))
    talk.send(tcp(APP1, DB, "40000>22")).dropped("I1(pub-a)", "SUBNET_ACL_RESTRICTION")


def test_fb17_the_router_speaks_ipv6_from_its_own_address():
    """The router's errors come from fe80:ec2::1 (FB-17, FB-27)."""
    talk = Dialogue(base(group("out", [], [("all", "::/0")]), web="out"))
    talk.send(IPv6(src=WEB_V6, dst="2001:db8:ffff::12") / UDP(sport=1, dport=2) / Raw(b"x" * 2000))
    assert talk.trace.made[0].sent.scapy.src == "fe80:ec2::1"


def injected(packets, place="eni-app1", apart_ns=1000):
    """An engine after so many packets were sent, a little apart, and the reasons of those that were dropped."""
    engine = Engine(base(), compiled=False, journal=False, flow_logs=True)
    for number, packet in enumerate(packets):
        engine.inject(Packet.of(packet).header, engine.ids.of(place), 10**9 + number * apart_ns)
    engine.advance()
    return engine, engine.outcomes(0, len(packets))[:, 1].tolist()


@pytest.mark.parametrize(("apart_ns", "late"), [(1000, 6), (1_000_000, 0)], ids=["in one second", "in more than one second"])
def test_fb10_amazon_dns_takes_1024_packets_a_second(apart_ns, late):
    """From one interface, 1,024 packets a second reach Amazon DNS at whatever address; the others of that second are lost (FB-10)."""
    packets = [udp(APP1, "10.0.0.2" if number % 2 else "169.254.169.253", f"{1024 + number}>53") for number in range(1030)]
    reasons = injected(packets, apart_ns=apart_ns)[1]
    assert reasons == [0] * (1030 - late) + [Reason.EMU_DNS_RATE] * late


def test_fb31_an_interface_sends_1024_fragments_a_second():
    """Fragments beyond 1,024 in a second are lost at the interface that sends them; whole packets are not counted (FB-31)."""
    pieces = [piece for number in range(342) for piece in fragment(IP(src=APP1, dst=DB, id=number) / UDP(dport=9) / Raw(b"x" * 30), 16)]
    assert len(pieces) == 1026
    reasons = injected([udp(APP1, DB, "1>2"), *pieces, udp(APP1, DB, "1>2")])[1]
    assert reasons.count(Reason.EMU_FRAGMENT_RATE) == 2
    assert reasons[-1] == 0


def test_fb33_flow_logs_count_fragments_as_packets():
    """Three pieces of a datagram are three packets of its row where their ports are known; the bytes are theirs (FB-33)."""
    pieces = fragment(IP(src=APP1, dst=DB, id=7) / UDP(sport=1, dport=2) / Raw(b"x" * 4000), 1480)
    engine, _ = injected(pieces)
    assert engine.state.counts[Count.SIGHTINGS, 0] > 0
    rows = [row for row in FlowLog(interfaces=("eni-db",)).rows(engine.topology, engine.ids, engine.state) if row["log-status"] == "OK"]
    assert sum(row["packets"] for row in rows) == len(pieces) == 3
    assert sum(row["bytes"] for row in rows) == sum(len(piece) for piece in pieces)


def hub():
    """Two VPCs and an office on a transit gateway."""
    parts = [TransitGateway("hub"), CustomerNetwork("office", (ip_network("192.168.0.0/16"),))]
    parts += [ExternalHost("pc", (ip_address("192.168.1.5"),)), TransitGatewayAttachment("to-office", "hub", network="office")]
    for vpc, second in (("a", 0), ("b", 1)):
        blocks = (ip_network(f"10.{second}.0.0/16"), ip_network(f"2001:db8:{second}::/56"))
        parts += [Vpc(vpc, blocks), group("open", [("all", ANYONE), ("all", "::/0")], None, vpc)]
        parts.append(RouteTable("main", vpc, (route(ANYONE, "hub"), route("2001:db8::/32", "hub")), main=True))
        parts.append(Subnet("s", vpc, (ip_network(f"10.{second}.1.0/24"), ip_network(f"2001:db8:{second}::/64"))))
        parts += [Instance(f"in-{vpc}", vpc), TransitGatewayAttachment(f"to-{vpc}", "hub", vpc=vpc, subnets=("s",))]
        own = (ip_address(f"10.{second}.1.10"), ip_address(f"2001:db8:{second}::10"))
        parts.append(NetworkInterface("eth0", f"in-{vpc}", "s", own, (), ("open",)))
    return Topology.of(*parts)


@pytest.mark.parametrize(
    ("layer", "options", "arrives"),
    [
        pytest.param(IP(src="10.0.1.10", dst="10.1.1.10"), [("MSS", 8961)], 8460, id="FB-29 IPv4"),
        pytest.param(IPv6(src="2001:db8::10", dst="2001:db8:1::10"), [("MSS", 8941)], 8440, id="FB-29 IPv6"),
        pytest.param(IP(src="10.0.1.10", dst="10.1.1.10"), [("NOP", None), ("MSS", 9000)], 8460, id="FB-29 an option at an odd place"),
        pytest.param(IP(src="10.0.1.10", dst="10.1.1.10"), [("MSS", 1460)], 1460, id="FB-29 one that fits stays"),
        pytest.param(IP(src="10.0.1.10", dst="10.1.1.10"), [], None, id="FB-29 none"),
    ],
)
def test_fb29_a_transit_gateway_lowers_the_segment_size(layer, options, arrives):
    """The maximum segment size of a SYN is at most what a packet of 8,500 bytes holds, and its checksum is right (FB-29)."""
    talk = Dialogue(hub())
    talk.send(layer / TCP(sport=1, dport=2, flags="S", options=options)).accepted()
    segment = talk.trace.delivered.scapy[TCP]
    assert dict(segment.options).get("MSS") == arrives
    given = segment.chksum
    fresh = type(layer)(bytes(talk.trace.delivered.scapy))
    del fresh[TCP].chksum
    assert type(layer)(bytes(fresh))[TCP].chksum == given


def test_fb29_what_is_too_long_for_a_transit_gateway():
    """From a VPC its router says so; from a customer network it is lost in silence (FB-26, FB-29)."""
    talk = Dialogue(hub())
    long = UDP(sport=1, dport=2) / Raw(b"x" * 8500)
    talk.send(IP(src="10.0.1.10", dst="10.1.1.10", flags="DF") / long).dropped("E7(s)", "EMU_MTU_EXCEEDED")
    assert talk.trace.made[0].sent.scapy["ICMP"].nexthopmtu == 8500
    talk.send(IP(src="192.168.1.5", dst="10.1.1.10", flags="DF") / long).dropped("E8(hub)", "EMU_MTU_EXCEEDED")
    assert talk.trace.made == ()
