"""The worked scenarios S-26 to S-31 of the semantics (section 10.3): exempt services, checks, MTU and fragments."""

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6ND_RS, IPv6
from scapy.packet import Raw

from emulator.model.entities import RouteTable, Subnet
from emulator.model.groups import NetworkAcl, Rule
from tests.base import ANYONE, ANYONE_V6, APP1, APP1_V6, APP2, B1, DB, EXT, EXT_V6, WEB, WEB_V6, base, group, ip_network, route
from tests.dialogue import NO_RULES, Dialogue, icmp, tcp, udp

SHUT = NetworkAcl("shut", "vpc-a")
APP_A_SHUT = Subnet(
    "app-a", "vpc-a", (ip_network("10.0.1.0/24"), ip_network("2001:db8:a:1::/64")), route_table="rtb-priv", network_acl="shut"
)


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(udp(APP1, "10.0.0.2", "40000>53"), id="FB-1 DNS at the VPC's base plus two"),
        pytest.param(udp(APP1, "169.254.169.253", "40000>53"), id="FB-1 DNS at its link-local address"),
        pytest.param(tcp(APP1, "169.254.169.253", "40000>53"), id="FB-1 DNS over tcp"),
        pytest.param(udp(APP1_V6, "fd00:ec2::253", "40000>53"), id="FB-1 DNS over IPv6"),
        pytest.param(tcp(APP1, "169.254.169.254", "40000>80"), id="FB-3 instance metadata"),
        pytest.param(tcp(APP1, "169.254.170.2", "40000>80"), id="FB-4 task metadata"),
        pytest.param(udp(APP1, "169.254.169.123", "40000>123"), id="FB-6 the time"),
        pytest.param(tcp(APP1, "169.254.169.250", "40000>1688"), id="FB-5 licence activation"),
        pytest.param(udp("0.0.0.0", "255.255.255.255", "68>67"), id="FB-2 a DHCP request"),
        pytest.param(IPv6(src="fe80::1", dst="ff02::1:ff00:11") / ICMPv6ND_NS(tgt="2001:db8:a:1::11"), id="FB-21 a neighbour solicitation"),
        pytest.param(IPv6(src="fe80::1", dst="ff02::2") / ICMPv6ND_RS(), id="FB-21 a router solicitation"),
        pytest.param(icmp(APP1, "10.0.1.1", 8), id="FB-7 FB-16 a ping of the subnet's router"),
    ],
)
def test_s26_services_work_though_nothing_is_allowed(packet):
    """Groups without rules and a shut ACL stop none of the fabric's services (FB-1 to FB-7, FB-16, NA-12)."""
    talk = Dialogue(base(SHUT, APP_A_SHUT, group("none", [], []), app1="none"))
    talk.send(packet, source="app1").accepted(tracked=False)
    assert talk.trace.steps[-1].check == "fabric service"


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(udp(APP1, "8.8.8.8", "40000>53"), id="FB-8 somebody else's DNS"),
        pytest.param(udp(APP1, DB, "40000>53"), id="FB-8 a DNS server of one's own"),
        pytest.param(udp(APP1, "10.0.1.2", "40000>53"), id="FB-14 the subnet's own plus two is reserved, and nobody"),
        pytest.param(udp(APP1, "169.254.169.123", "40000>124"), id="FB-8 another port of the time service"),
    ],
)
def test_s26_only_those_services_are_exempt(packet):
    """Whatever is not one of the services is judged as usual (FB-8, FB-14)."""
    Dialogue(base(group("none", [], []), app1="none")).send(packet).dropped("E3(app1)", NO_RULES)


def test_s26_the_router_of_another_subnet_answers_nobody():
    """A ping of another subnet's router gets no answer (FB-16), nor does one of the own router by the knob."""
    talk = Dialogue(base())
    talk.send(icmp(APP1, "10.0.0.1", 8)).dropped(code="NO_POSSIBLE_DESTINATION")
    Dialogue(base(policy={"router_ping": "none"})).send(icmp(APP1, "10.0.1.1", 8)).dropped(code="NO_POSSIBLE_DESTINATION")


def test_s27_source_destination_check():
    """The check refuses foreign sources on the way out and foreign destinations on the way in (FB-24, RT-39)."""
    talk = Dialogue(base())
    talk.send(tcp("10.0.9.9", DB, "1>2"), source="web").dropped("E2(web)", "ENI_SOURCE_DEST_CHECK_RESTRICTION")
    rtb = RouteTable("rtb-priv", "vpc-a", (route(ANYONE, "mbx"), route(ANYONE_V6, "eigw-a")))
    talk = Dialogue(base(rtb))
    talk.send(tcp(APP1, EXT, "40000>443")).passes("I2", "I4")
    assert "mbx:eth0" in [step.at for step in talk.trace.steps if step.check == "forward"]
    checked = base(rtb)
    checked = checked.changed("eni-mbx", source_dest_check=True)
    Dialogue(checked).send(tcp(APP1, EXT, "40000>443")).dropped("I3(mbx)", "ENI_SOURCE_DEST_CHECK_RESTRICTION")


@pytest.mark.parametrize(
    "destination",
    [
        pytest.param("10.0.1.255", id="FB-20 the subnet's broadcast address"),
        pytest.param("255.255.255.255", id="FB-20 the limited broadcast address"),
        pytest.param("224.0.0.251", id="FB-20 multicast"),
        pytest.param("ff02::fb", id="FB-20 IPv6 multicast"),
    ],
)
def test_s28_no_broadcast_and_no_multicast(destination):
    """Broadcast and multicast go nowhere (FB-20)."""
    source = APP1_V6 if ":" in destination else APP1
    Dialogue(base()).send(udp(source, destination, "5353>5353")).dropped("E0(app1)", "EMU_NOT_UNICAST")


def test_s28_dhcp_is_answered_though_it_is_broadcast():
    """A DHCP discover is the fabric's own (FB-2)."""
    Dialogue(base()).send(udp("0.0.0.0", "255.255.255.255", "68>67"), source="app1").accepted()


def test_s29_same_subnet_acl_closed():
    """An ACL acts at the subnet's edge only, groups act between neighbours too (NA-2, SG-9, FB-22)."""
    talk = Dialogue(base(SHUT, APP_A_SHUT))
    talk.send(tcp(APP1, APP2, "40000>5000")).accepted()
    talk.send(tcp(APP1, DB, "40000>5000")).dropped("E5(app-a)", "SUBNET_ACL_RESTRICTION")
    talk.send(tcp(DB, APP1, "40000>5000")).dropped("I1(app-a)", "SUBNET_ACL_RESTRICTION")
    talk = Dialogue(base(SHUT, APP_A_SHUT, group("none", [], []), app2="none"))
    talk.send(tcp(APP1, APP2, "40000>5000")).dropped("I2(app2)", NO_RULES)


OUT_ONLY = group("out", [], [("all", ANYONE), ("all", ANYONE_V6)])
FRAGMENTATION_NEEDED = group("pmtu", [Rule.of("icmp/3/4", ANYONE)], [("all", ANYONE), ("all", ANYONE_V6)])


def _long(source, destination, length, **fields):
    header = (IPv6 if ":" in source else IP)(src=source, dst=destination, **fields)
    return header / UDP(sport=40000, dport=5000) / Raw(b"x" * (length - len(header) - 8))


def test_s30_path_mtu():
    """Inside a VPC 9,001 bytes fit, towards the internet 1,500 (FB-26, FB-27)."""
    talk = Dialogue(base(OUT_ONLY, web="out"))
    talk.send(_long(WEB, APP1, 9001, flags="DF")).accepted()
    assert not talk.trace.made
    talk.send(_long(WEB, EXT, 9001, flags="DF")).dropped("E7(pub-a)", "EMU_MTU_EXCEEDED")
    (told,) = talk.trace.made
    message = told.sent.scapy
    assert (message.src, message.dst) == ("10.0.0.1", WEB)
    assert (message["ICMP"].type, message["ICMP"].code, message["ICMP"].nexthopmtu) == (3, 4, 1500)
    assert len(told.sent.frame) == 576
    assert (told.why.stage, told.why.at) == ("I2", "web:eth0"), "the sender never learns without an ICMP rule (FB-27, CT-36)"


@pytest.mark.parametrize(
    ("group_name", "policy"),
    [
        pytest.param("pmtu", {}, id="FB-27 with a rule for icmp 3/4"),
        pytest.param("out", {"icmp_error_related": True}, id="CT-36 with ct.icmp_error_related"),
    ],
)
def test_s30_the_sender_learns_of_the_mtu(group_name, policy):
    """The router's message arrives if a rule or the knob lets it (FB-27, CT-36)."""
    talk = Dialogue(base(OUT_ONLY, FRAGMENTATION_NEEDED, web=group_name, policy=policy))
    talk.send(_long(WEB, EXT, 9001, flags="DF")).dropped("E7(pub-a)", "EMU_MTU_EXCEEDED")
    assert [made.accepted for made in talk.trace.made] == [True]


def test_s30_without_df_it_is_cut():
    """Without DF the router cuts: seven pieces, 101 bytes of payload in the last, the same datagram when put together (FB-27)."""
    talk = Dialogue(base(OUT_ONLY, web="out"))
    packet = _long(WEB, EXT, 9001)
    talk.send(packet).accepted()
    pieces = [talk.trace.delivered, *(made.delivered for made in talk.trace.made)]
    assert len(pieces) == 7
    assert [len(piece.frame) for piece in pieces] == [1500] * 6 + [20 + 101]
    assert b"".join(piece.frame[20:] for piece in pieces)[8:] == b"x" * 8973
    assert [piece.scapy.frag * 8 for piece in pieces] == [1480 * at for at in range(7)]
    assert [int(piece.scapy.flags) & 1 for piece in pieces] == [1] * 6 + [0]


def test_s30_ipv6_is_never_cut():
    """IPv6 gets "packet too big" with the MTU, whatever it is (FB-27)."""
    talk = Dialogue(base(OUT_ONLY, web="out"))
    talk.send(_long(WEB_V6, EXT_V6, 9001)).dropped("E7(pub-a)", "EMU_MTU_EXCEEDED")
    message = talk.trace.made[0].sent.scapy
    assert (message["ICMPv6PacketTooBig"].type, message["ICMPv6PacketTooBig"].code, message["ICMPv6PacketTooBig"].mtu) == (2, 0, 1500)
    assert len(talk.trace.made[0].sent.frame) == 1280


@pytest.mark.parametrize(
    ("destination", "longest"),
    [
        pytest.param(DB, 9001, id="FB-26 inside the VPC"),
        pytest.param(B1, 9001, id="FB-26 over a peering of the Region"),
        pytest.param(EXT, 1500, id="FB-26 through an internet gateway"),
    ],
)
def test_fb26_the_longest_packet_of_a_path(destination, longest):
    """A packet of the path's MTU passes, one byte more does not (FB-26)."""
    talk = Dialogue(base())
    talk.send(_long(WEB, destination, longest, flags="DF")).accepted()
    talk.send(_long(WEB, destination, longest + 1, flags="DF"))
    assert talk.trace.reason == "EMU_MTU_EXCEEDED"


UDP_5000 = group("udp", [("udp/5000", "10.0.0.0/16")])


def _pieces(port):
    return fragment(IP(src=APP1, dst=DB, id=77) / UDP(sport=40000, dport=port) / Raw(b"x" * 3000), fragsize=1480)


def test_s31_fragments_share_the_first_ones_verdict():
    """All pieces of an allowed datagram pass, none of a refused one, and a lone later one waits 30 s in vain (FB-32)."""
    talk = Dialogue(base(UDP_5000, db="udp"))
    for piece in _pieces(5000):
        talk.send(piece).accepted()
    for piece in _pieces(5001):
        talk.send(piece).dropped("I2(db)")
    talk = Dialogue(base(UDP_5000, db="udp"))
    talk.send(_pieces(5000)[1]).dropped(code="EMU_FRAGMENT")
    assert talk.network.now_ns == 30 * 10**9


@pytest.mark.parametrize(
    ("policy", "first", "last"),
    [
        pytest.param("first_fragment", True, True, id="FB-32 first_fragment: later ones after the first pass"),
        pytest.param("drop_noninitial", True, False, id="FB-32 drop_noninitial: a port rule matches no later fragment"),
    ],
)
def test_s31_the_other_policies(policy, first, last):
    """The knob frag.policy says how later fragments are judged (FB-32)."""
    talk = Dialogue(base(UDP_5000, db="udp", policy={"frag_policy": policy}))
    verdicts = [talk.send(piece).trace.accepted for piece in _pieces(5000)]
    assert verdicts == [first, last, last]


def test_fb18_ttl_is_not_lowered_inside():
    """Neither the VPC's router nor the internet gateway lowers the time to live; per_hop does (FB-18)."""
    talk = Dialogue(base()).send(tcp(WEB, EXT, "1>2")).accepted()
    assert talk.trace.delivered.scapy.ttl == 64
    talk = Dialogue(base(policy={"ttl": "per_hop"})).send(tcp(WEB, EXT, "1>2")).accepted()
    assert talk.trace.delivered.scapy.ttl == 62
