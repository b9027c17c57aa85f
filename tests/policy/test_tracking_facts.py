"""What the facts CT-1 to CT-41 say about packets, each by name; CT-42 itself is in test_tracking_model.py."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, TCP

from emulator.model import edits
from emulator.model.entities import ConnectionTracking, NetworkInterface, Subnet
from emulator.model.groups import OPEN_ACL, AclRule, Direction, ListPeer, NetworkAcl, Rule
from emulator.policy.compile import established_default_s
from tests.base import (
    ALL_OUT,
    ALL_OUT_V6,
    APP1,
    APP1_V6,
    APP2,
    DB,
    EXT,
    EXT2,
    EXT_V6,
    WEB,
    WEB2,
    WEB_PUBLIC,
    WEB_V6,
    PrefixList,
    base,
    group,
)
from tests.dialogue import NO_RULES, Dialogue, error, icmp, other, ping6, tcp, udp

IN, OUT = Direction.INGRESS, Direction.EGRESS
EVERYONE, EVERYONE_V6 = "0.0.0.0/0", "::/0"
OPEN = group("open", [("all", EVERYONE), ("all", EVERYONE_V6)])
TEN = "10.0.0.0/8"


def client(**more):
    """A conversation whose web is in a fresh group: nothing in, everything out."""
    return Dialogue(base(group("new"), web="new", **more))


def server(*rules, egress=(), **more):
    """A conversation whose db has these ingress rules, and no way out of its own unless given."""
    return Dialogue(base(group("g", rules, list(egress)), db="g", **more))


# -- what is tracked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        pytest.param(udp(EXT, WEB_PUBLIC, "53>40000"), True, id="the reply"),
        pytest.param(udp(EXT, WEB_PUBLIC, "53>40001"), False, id="to another port"),
        pytest.param(udp(EXT, WEB_PUBLIC, "54>40000"), False, id="from another port"),
        pytest.param(udp(EXT2, WEB_PUBLIC, "53>40000"), False, id="from another address"),
        pytest.param(tcp(EXT, WEB_PUBLIC, "53>40000", "SA"), False, id="of another protocol"),
        pytest.param(udp(EXT, WEB_PUBLIC, "40000>53"), False, id="ports the other way round"),
    ],
)
def test_ct2_a_flow_is_a_five_tuple(answer, passes):
    """Addresses, ports and protocol, all of them (CT-2)."""
    talk = client().send(udp(WEB, EXT, "40000>53")).accepted().send(answer)
    talk.accepted(tracked=True) if passes else talk.dropped("I2(web)", NO_RULES)


def test_ct3_ct5_icmp_is_always_tracked():
    """Also with everything open both ways, and over IPv6 as well (CT-3, CT-5)."""
    talk = Dialogue(base(OPEN, web="open"))
    talk.send(icmp(EXT, WEB_PUBLIC, 8)).accepted(tracked=True)
    talk.send(ping6(EXT_V6, WEB_V6)).accepted(tracked=True)
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22")).accepted(tracked=False)
    talk.send(udp(EXT, WEB_PUBLIC, "50000>53")).accepted(tracked=False).count(2)


@pytest.mark.parametrize(
    ("request_type", "answer_type", "ident", "passes"),
    [
        *(
            pytest.param(first, second, 7, True, id=f"{first} is answered by {second}")
            for first, second in ((8, 0), (13, 14), (15, 16), (17, 18))
        ),
        pytest.param(8, 0, 8, False, id="another identifier"),
        pytest.param(8, 14, 7, False, id="the reply of another query"),
        pytest.param(8, 8, 7, False, id="a request of the other side"),
        pytest.param(13, 0, 7, False, id="echo reply to a timestamp"),
    ],
)
def test_ct4_an_icmp_query_is_known_by_its_identifier_and_kind(request_type, answer_type, ident, passes):
    """Addresses, identifier, and a reply type that is the inverse of the request's (CT-4)."""
    talk = client().send(icmp(WEB, EXT, request_type)).accepted().count(1)
    talk.send(icmp(EXT, WEB_PUBLIC, answer_type, ident=ident))
    talk.accepted(tracked=True) if passes else talk.dropped("I2(web)", NO_RULES)


def test_ct4_ct5_icmpv6_echo():
    """128 is answered by 129 with the same identifier (CT-4, CT-5)."""
    talk = client().send(ping6(WEB_V6, EXT_V6)).accepted()
    talk.send(ping6(EXT_V6, WEB_V6, reply=True)).accepted(tracked=True)
    talk.send(ping6(EXT_V6, WEB_V6, ident=8, reply=True)).dropped("I2(web)", NO_RULES)


def test_ct4_a_reply_without_a_request_opens_nothing():
    """A rule may let an unsolicited reply in; no entry comes of it (CT-4)."""
    talk = server(("icmp", TEN))
    talk.send(icmp(APP1, DB, 0)).accepted(tracked=False).count(0, "db")
    talk.send(icmp(DB, APP1, 8)).dropped("E3(db)", NO_RULES)


@pytest.mark.parametrize(("kind", "code"), [(3, 1), (4, 0), (5, 0), (11, 0), (12, 0), (9, 0)])
def test_ct6_icmp_errors_and_redirects_make_no_entry(kind, code):
    """What is neither query nor reply passes by a rule alone (CT-6)."""
    server(("icmp", TEN)).send(icmp(APP1, DB, kind, code)).accepted(tracked=False).count(0, "db")


@pytest.mark.parametrize("protocol", [47, 50, 132, 4, 89])
def test_ct8_other_protocols_are_known_by_addresses_for_600_s(protocol):
    """Whatever they carry, either side restarts the 600 s (CT-8, CT-27)."""
    talk = client().send(other(WEB, EXT, protocol)).accepted().count(1)
    talk.at(590).send(other(EXT, WEB_PUBLIC, protocol, b"\xff" * 12)).accepted(tracked=True)
    talk.at(1180).send(other(EXT, WEB_PUBLIC, protocol)).accepted(tracked=True)
    talk.send(other(EXT2, WEB_PUBLIC, protocol)).dropped("I2(web)", NO_RULES)
    talk.at(1781).send(other(EXT, WEB_PUBLIC, protocol)).dropped("I2(web)", NO_RULES)


LISTS = PrefixList("everyone", "vpc-a", tuple(Rule.of("all", half).peer for half in ("0.0.0.0/1", "128.0.0.0/1")))
SYN_IN, SYN_OUT = tcp(EXT, WEB_PUBLIC, "50000>80"), tcp(WEB, EXT, "40000>443")
UNTRACKED = [
    # ingress, egress, first packet, tracked, fact
    ([("tcp/80", EVERYONE)], [ALL_OUT], SYN_IN, False, "CT-9: one port from everyone, everything to everyone"),
    ([("tcp/80", EVERYONE)], [("tcp/0-65535", EVERYONE)], SYN_IN, False, "CT-12: all ports of its own protocol to everyone"),
    ([("tcp/80", EVERYONE)], [("udp/0-65535", EVERYONE)], SYN_IN, True, "CT-12: all ports of another protocol"),
    ([("tcp/80", EVERYONE)], [("tcp/1024-65535", EVERYONE)], SYN_IN, True, "CT-10: the answers' ports may not be limited"),
    ([("tcp/80", EVERYONE)], [], SYN_IN, True, "CT-9: no rule for the answers"),
    ([("tcp/80", f"{EXT}/32")], [ALL_OUT], SYN_IN, True, "CT-9: not from everyone"),
    ([("all", EVERYONE)], [ALL_OUT], SYN_OUT, False, "CT-9: everything both ways, opened from inside"),
    ([("tcp/80", EVERYONE)], [ALL_OUT], SYN_OUT, True, "CT-10: a client behind one open port"),
    ([("tcp/0-65535", EVERYONE)], [ALL_OUT], SYN_OUT, False, "CT-10: a client behind all ports open"),
    ([("tcp/80", EVERYONE), ("tcp/80", f"{EXT}/32")], [ALL_OUT], SYN_IN, False, "CT-13: a narrower rule beside it"),
    ([("tcp/80", f"{EXT}/32"), ("tcp/80", EVERYONE)], [ALL_OUT], SYN_IN, False, "CT-13: a narrower rule before it"),
    ([("tcp/80", EVERYONE)], [("tcp/443", EVERYONE), ALL_OUT], SYN_IN, False, "CT-13: one pair is enough"),
    ([("tcp/80", "0.0.0.0/1"), ("tcp/80", "128.0.0.0/1")], [ALL_OUT], SYN_IN, True, "CT-14: two halves are not everyone"),
    ([("tcp/80", ListPeer("everyone"))], [ALL_OUT], SYN_IN, True, "CT-14: a prefix list is not everyone"),
    ([("tcp/80", EVERYONE)], [("all", ListPeer("everyone"))], SYN_IN, True, "CT-14: nor for the answers"),
    ([("tcp/80", EVERYONE_V6), ("tcp/80", f"{EXT}/32")], [ALL_OUT], SYN_IN, True, "CT-11: everyone of the other family in"),
    ([("tcp/80", EVERYONE)], [ALL_OUT_V6, ("all", f"{EXT}/32")], SYN_IN, True, "CT-11: everyone of the other family out"),
    ([("tcp/80", EVERYONE_V6)], [ALL_OUT_V6], tcp(EXT_V6, WEB_V6, "50000>80"), False, "CT-11: IPv6 with IPv6"),
    ([("tcp/80", EVERYONE_V6)], [ALL_OUT], tcp(EXT_V6, WEB_V6, "50000>80"), True, "CT-11: IPv6 with IPv4 out"),
    ([("udp/53", EVERYONE)], [ALL_OUT], udp(EXT, WEB_PUBLIC, "50000>53"), False, "CT-9: udp like tcp"),
    ([("udp/53", EVERYONE)], [("udp/0-65535", EVERYONE)], udp(EXT, WEB_PUBLIC, "50000>53"), False, "CT-12: all ports of udp"),
    ([("all", EVERYONE)], [ALL_OUT], other(EXT, WEB_PUBLIC, 47), True, "CT-9: only tcp and udp are ever untracked"),
]


@pytest.mark.parametrize(("ingress", "egress", "packet", "tracked", "fact"), UNTRACKED, ids=[row[-1] for row in UNTRACKED])
def test_ct9_to_ct14_what_is_untracked(ingress, egress, packet, tracked, fact):
    """A tcp or udp flow that a rule opens to everyone, and whose answers may go to everyone on any port (CT-9 to CT-14)."""
    talk = Dialogue(base(LISTS, group("g", ingress, egress), web="g")).send(packet).accepted(tracked=tracked)
    talk.count(int(tracked))


def test_ct13_a_pair_of_rules_of_two_groups_will_do():
    """All rules of all groups count together (CT-13)."""
    talk = Dialogue(base(group("in", [("tcp/80", EVERYONE)], []), group("out", [], [ALL_OUT]), web=("in", "out")))
    talk.send(SYN_IN).accepted(tracked=False).count(0)


@pytest.mark.parametrize(
    ("packet", "interface"),
    [
        pytest.param(udp(APP1_V6, EXT_V6, "40000>53"), "app1", id="egress-only gateway"),
        pytest.param(udp(APP1, EXT, "40000>53"), "app1", id="NAT gateway"),
    ],
)
def test_ct16_some_paths_are_always_tracked(packet, interface):
    """Through an egress-only internet gateway or a NAT gateway, whatever the rules (CT-16)."""
    Dialogue(base(OPEN, app1="open")).send(packet).passes("E3", "E6").count(1, interface)
    Dialogue(base(OPEN, app1="open", app2="open")).send(udp(APP1, APP2, "40000>53")).accepted(tracked=False).count(0, interface)


@pytest.mark.parametrize("make", [tcp, udp])
def test_ct18_an_answer_of_an_untracked_flow_opens_no_entry(make):
    """Judged alone it would look like a new flow the other way; CT-9 is held against its mirror image too (CT-17, CT-18)."""
    rule = Rule.of("udp/53" if make is udp else "tcp/53", EVERYONE)
    talk = Dialogue(base(group("dns", [rule], [ALL_OUT]), web="dns"))
    talk.send(make(EXT, WEB_PUBLIC, "50000>53")).accepted(tracked=False)
    talk.send(make(WEB, EXT, "53>50000")).accepted().count(0)
    talk.edit(edits.revoke, "dns", OUT, ALL_OUT)
    talk.send(make(WEB, EXT, "53>50000")).dropped("E3(web)", NO_RULES)  # CT-17: by rules alone


# -- timers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instance_type", "seconds"),
    [
        ("", 432_000),
        ("t3.micro", 432_000),
        ("m5.large", 432_000),
        ("m7g.large", 432_000),
        ("m8g.large", 350),
        ("c8gn.48xlarge", 350),
        ("r8i.large", 350),
        ("p6-b200.48xlarge", 350),
        ("p6e-gb200.36xlarge", 432_000),
    ],
)
def test_ct20_established_timer_by_instance_type(instance_type, seconds):
    """350 s on Nitro v6 but P6e-GB200, five days elsewhere and where the type is unknown (CT-20)."""
    assert established_default_s(instance_type) == seconds


TCP_OPENING = [(WEB, EXT, "40000>443", "S"), (EXT, WEB_PUBLIC, "443>40000", "SA"), (WEB, EXT, "40000>443", "A")]


@pytest.mark.parametrize(
    ("policy", "tracking", "segments", "lives_s"),
    [
        pytest.param({"tcp_default_established_s": 100}, {}, 3, 100, id="CT-20: ct.tcp_default_established_s"),
        pytest.param({"tcp_default_established_s": 100}, {"tcp_established_s": 60}, 3, 60, id="CT-20: the interface's own wins"),
        pytest.param({"tcp_default_established_s": 100}, {}, 1, 100, id="CT-25: a SYN alone has the established timer"),
        pytest.param({"tcp_embryonic_s": 20}, {}, 1, 20, id="CT-25: ct.tcp_embryonic_s, SYN alone"),
        pytest.param({"tcp_embryonic_s": 20}, {}, 2, 20, id="CT-25: ct.tcp_embryonic_s, SYN and SYN-ACK"),
        pytest.param({"tcp_embryonic_s": 20, "tcp_default_established_s": 100}, {}, 3, 100, id="CT-25: not after the handshake"),
    ],
)
def test_ct20_ct25_tcp_timers(policy, tracking, segments, lives_s):
    """Which timer an open TCP flow has, by the knob, the interface and how far its handshake came."""

    def talk():
        topology = base(group("new"), web="new", policy=policy).changed("eni-web", tracking=ConnectionTracking(**tracking))
        conversation = Dialogue(topology)
        for segment in TCP_OPENING[:segments]:
            conversation.send(tcp(*segment)).accepted()
        return conversation

    late = tcp(EXT, WEB_PUBLIC, "443>40000", "SA" if segments < 3 else "PA")
    talk().at(lives_s - 1).send(late).accepted(tracked=True)
    talk().at(lives_s + 1).send(late).dropped("I2(web)", NO_RULES)


QUERY, REPLY = udp(WEB, EXT, "40000>53"), udp(EXT, WEB_PUBLIC, "53>40000")


@pytest.mark.parametrize(
    ("packets", "tracking", "lives_s"),
    [
        pytest.param([QUERY], {}, 30, id="one way only"),
        pytest.param([QUERY, QUERY, QUERY], {}, 30, id="one way only, several times"),
        pytest.param([QUERY, REPLY], {}, 30, id="one transaction"),
        pytest.param([QUERY, REPLY, REPLY], {}, 30, id="two replies to one request"),
        pytest.param([QUERY, REPLY, QUERY], {}, 30, id="the second request"),
        pytest.param([QUERY, REPLY, QUERY, REPLY], {}, 180, id="the second reply makes a stream"),
        pytest.param([QUERY, QUERY, REPLY, REPLY, QUERY, REPLY], {}, 180, id="retransmissions between"),
        pytest.param([QUERY], {"udp_s": 60}, 60, id="UdpTimeout"),
        pytest.param([QUERY, REPLY, QUERY, REPLY], {"udp_stream_s": 60}, 60, id="UdpStreamTimeout"),
    ],
)
def test_ct21_to_ct23_udp_timers(packets, tracking, lives_s):
    """30 s until the second transaction is complete, then 180 s, or what the interface says (CT-21 to CT-23)."""

    def talk():
        conversation = Dialogue(base(group("new"), web="new").changed("eni-web", tracking=ConnectionTracking(**tracking)))
        for packet in packets:
            conversation.send(packet).accepted()
        return conversation

    talk().at(lives_s - 1).send(REPLY).accepted(tracked=True)
    talk().at(lives_s + 1).send(REPLY).dropped("I2(web)", NO_RULES)


@pytest.mark.parametrize(("policy", "lives_s"), [({}, 30), ({"icmp_s": 5}, 5)], ids=["30 s", "ct.icmp_s"])
def test_ct24_icmp_timer(policy, lives_s):
    """30 s, or what ct.icmp_s says (CT-24)."""
    client(policy=policy).send(icmp(WEB, EXT, 8)).at(lives_s - 1).send(icmp(EXT, WEB_PUBLIC, 0)).accepted(tracked=True)
    client(policy=policy).send(icmp(WEB, EXT, 8)).at(lives_s + 1).send(icmp(EXT, WEB_PUBLIC, 0)).dropped("I2(web)", NO_RULES)


def test_ct8_other_timer_knob():
    """ct.other_s in place of 600 s (CT-8)."""
    policy = {"other_s": 10}
    client(policy=policy).send(other(WEB, EXT, 47)).at(9).send(other(EXT, WEB_PUBLIC, 47)).accepted()
    client(policy=policy).send(other(WEB, EXT, 47)).at(11).send(other(EXT, WEB_PUBLIC, 47)).dropped("I2(web)", NO_RULES)


def _opened(**policy):
    talk = client(policy=policy)
    for segment in TCP_OPENING:
        talk.send(tcp(*segment)).accepted()
    return talk.count(1)


OUTWARD, INWARD = (WEB, EXT, "40000>443"), (EXT, WEB_PUBLIC, "443>40000")


@pytest.mark.parametrize(
    ("segments", "open_after"),
    [
        pytest.param([(OUTWARD, "R")], [0], id="RST of the opener"),
        pytest.param([(INWARD, "RA")], [0], id="RST of the other side"),
        pytest.param([(OUTWARD, "FA"), (INWARD, "A"), (INWARD, "FA"), (OUTWARD, "A")], [1, 1, 1, 0], id="FIN, ACK, FIN, ACK"),
        pytest.param([(INWARD, "FA"), (OUTWARD, "A"), (OUTWARD, "FA"), (INWARD, "A")], [1, 1, 1, 0], id="the other side first"),
        pytest.param([(OUTWARD, "FA"), (INWARD, "FA"), (OUTWARD, "A")], [1, 1, 0], id="FIN, FIN with ACK, ACK"),
        pytest.param([(OUTWARD, "FA"), (INWARD, "A"), (INWARD, "PA"), (INWARD, "PA"), (OUTWARD, "A")], [1] * 5, id="half closed"),
        pytest.param([(OUTWARD, "FA"), (OUTWARD, "FA"), (OUTWARD, "FA")], [1, 1, 1], id="a FIN that nobody acknowledges"),
    ],
)
def test_ct26_when_a_tcp_flow_is_over(segments, open_after):
    """On RST, or when both FINs are acknowledged, its entry is gone at once (CT-26)."""
    talk = _opened()
    for (ends, flags), entries in zip(segments, open_after, strict=True):
        talk.send(tcp(*ends, flags)).accepted().count(entries)


def test_ct26_a_closed_flow_lingers_as_long_as_the_knob_says():
    """With ct.tcp_close_linger_s late segments of a closed flow still pass, but a new connection is new (CT-26, SG-54)."""
    talk = _opened(tcp_close_linger_s=60)
    talk.send(tcp(*OUTWARD, "R")).accepted().count(1)
    talk.at(50).send(tcp(*INWARD, "FA")).accepted(tracked=True)
    talk.send(tcp(*INWARD, "S")).dropped("I2(web)", NO_RULES)
    talk = _opened(tcp_close_linger_s=60).send(tcp(*OUTWARD, "R")).accepted()
    talk.at(61).send(tcp(*INWARD, "FA")).dropped("I2(web)", NO_RULES)


def test_ct26_the_same_ports_open_anew_after_a_close():
    """A SYN from the same ports after the close is a new flow with its own whole life (CT-26)."""
    for linger in (0, 60):
        talk = _opened(tcp_close_linger_s=linger).send(tcp(*OUTWARD, "R")).accepted()
        for segment in TCP_OPENING:
            talk.send(tcp(*segment)).accepted()
        talk.at(86_400).send(tcp(*INWARD, "PA")).accepted(tracked=True)


@pytest.mark.parametrize("later", [QUERY, REPLY], ids=["original direction", "reply direction"])
def test_ct27_ct28_every_packet_of_either_direction_restarts_the_timer(later):
    """Idle means neither direction; idle as long as the timeout is too long (CT-27, CT-28)."""
    talk = client().send(QUERY).accepted()
    for time in (29, 58, 87):
        talk.at(time).send(later).accepted(tracked=later is REPLY or None)
    talk.at(117).send(REPLY).dropped("I2(web)", NO_RULES)


def test_ct30_a_timeout_gives_no_notice():
    """The entry is gone and nothing is sent; the next packet meets the rules, and may open a new one (CT-30, CT-33)."""
    talk = client().send(QUERY).accepted().count(1)
    talk.at(100).count(0)
    assert talk.network.engine.next_time_ns() is None
    talk.send(QUERY).accepted().count(1)
    assert talk.step("E3").text == "new egress 1 allows it; opens tracked connection 2"


# -- packets without an entry ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", ["SA", "A", "PA", "FA", "R", "RA", "F", "", "SF", "SR", "FPU"])
def test_ct31_what_is_not_a_syn_opens_nothing(flags):
    """It passes by a rule, and makes no entry (CT-31)."""
    server(("tcp/22", TEN)).send(tcp(APP1, DB, "40000>22", flags)).accepted(by="g ingress 1", tracked=False).count(0, "db")


@pytest.mark.parametrize("flags", ["S", "SU", "SP", "SEC"])
def test_ct31_a_syn_opens_whatever_else_it_carries(flags):
    """SYN without ACK, FIN and RST opens; URG, PSH, ECE and CWR say nothing (CT-31, LX-4)."""
    server(("tcp/22", TEN)).send(tcp(APP1, DB, "40000>22", flags)).accepted(tracked=True).count(1, "db")


@pytest.mark.parametrize(
    ("knob", "flags", "passes", "entries"),
    [
        pytest.param("pickup", "A", True, 1, id="pickup: ACK opens"),
        pytest.param("pickup", "PA", True, 1, id="pickup: data opens"),
        pytest.param("pickup", "SA", True, 0, id="pickup: SYN-ACK passes, opens nothing"),
        pytest.param("pickup", "FA", True, 0, id="pickup: FIN passes, opens nothing"),
        pytest.param("pickup", "R", True, 0, id="pickup: RST passes, opens nothing"),
        pytest.param("strict", "A", False, 0, id="strict: ACK is dropped although a rule allows it"),
        pytest.param("strict", "SA", False, 0, id="strict: so is SYN-ACK"),
        pytest.param("strict", "S", True, 1, id="strict: a SYN opens"),
    ],
)
def test_ct32_midstream_knob(knob, flags, passes, entries):
    """pickup opens an entry by what a connection in the middle sends; strict drops it (CT-32)."""
    talk = Dialogue(base(OPEN, group("g", [("tcp/22", TEN)], []), app1="open", db="g", policy={"midstream_tcp": knob}))
    talk.send(tcp(APP1, DB, "40000>22", flags))
    talk.accepted() if passes else talk.dropped("I2(db)", "EMU_TCP_MIDSTREAM")
    talk.count(entries, "db")


@pytest.mark.parametrize("knob", ["rules_only", "pickup", "strict"])
def test_ct32_untracked_flows_need_no_entry_whatever_the_knob(knob):
    """A flow that is never tracked has no entry that could be missing: its handshake and data pass (CT-9, CT-17, CT-32)."""
    talk = Dialogue(base(group("http", [("tcp/80", EVERYONE)]), web="http", policy={"midstream_tcp": knob}))
    for ends, ports, flags in (
        (0, "50000>80", "S"),
        (1, "80>50000", "SA"),
        (0, "50000>80", "A"),
        (0, "50000>80", "PA"),
        (1, "80>50000", "PA"),
    ):
        talk.send(tcp(*((EXT, WEB_PUBLIC), (WEB, EXT))[ends], ports, flags)).accepted(tracked=False)
    talk.count(0)


@pytest.mark.parametrize(
    ("make", "first", "back"), [(udp, "53>50000", "50000>53"), (lambda a, b, _: other(a, b, 47), "", "")], ids=["udp", "gre"]
)
def test_ct33_the_first_packet_opens_whichever_side_it_comes_from(make, first, back):
    """A datagram that a rule allows opens an entry, also one that another flow's server sends (CT-33)."""
    rule = Rule.of("udp/53", EVERYONE)
    talk = Dialogue(base(group("dns", [rule], [ALL_OUT]), web="dns"))
    if make is udp:
        talk.send(udp(EXT, WEB_PUBLIC, back)).accepted(tracked=False)
        talk.edit(edits.revoke, "dns", IN, rule)
        talk.send(udp(EXT, WEB_PUBLIC, back)).dropped("I2(web)", NO_RULES)
    talk.send(make(WEB, EXT, first)).accepted().count(1)
    talk.send(make(EXT, WEB_PUBLIC, back)).accepted(tracked=True)


def _acl(topology, **entries):
    """The base topology with an ACL of its own on pub-a that drops udp in a direction."""
    acl = NetworkAcl("edge", "vpc-a", **{"ingress": OPEN_ACL, "egress": OPEN_ACL, **entries})
    subnet = topology.get("subnet-pub-a", Subnet)
    return topology.replace(acl, replace(subnet, network_acl="edge"))


NO_UDP = (AclRule(1, False, 17, (0, 65535), ALL_OUT.peer), AclRule(2, True, -1, (-1, -1), ALL_OUT.peer))


@pytest.mark.parametrize(("survives", "entries"), [(True, 1), (False, 0)])
def test_ct34_an_entry_survives_the_acl_that_drops_its_packet(survives, entries):
    """The group's entry is made before the subnet's edge; ct.entry_survives_acl_drop says whether it stays (CT-34)."""
    topology = _acl(base(group("new"), web="new", policy={"entry_survives_acl_drop": survives}), egress=NO_UDP)
    talk = Dialogue(topology).send(QUERY).dropped("E5(pub-a)", "SUBNET_ACL_RESTRICTION").count(entries)
    talk.send(REPLY)
    talk.accepted(tracked=True) if survives else talk.dropped("I2(web)", NO_RULES)


def test_ct34_an_entry_that_stood_before_stays_when_an_acl_drops():
    """Only what the dropped packet itself opened is taken back (CT-34)."""
    talk = client(policy={"entry_survives_acl_drop": False}).send(QUERY).accepted().count(1)
    talk.edit(lambda topology: _acl(topology, egress=NO_UDP))
    talk.send(QUERY).dropped("E5(pub-a)", "SUBNET_ACL_RESTRICTION").count(1)


def test_ct34_what_the_inbound_acl_drops_makes_no_entry():
    """It never comes to the group (CT-34)."""
    talk = Dialogue(_acl(base(group("g", [("udp/53", f"{EXT}/32")], []), web="g"), ingress=NO_UDP))
    talk.send(udp(EXT, WEB_PUBLIC, "50000>53")).dropped("I1(pub-a)", "SUBNET_ACL_RESTRICTION").count(0)


ASKED = udp(WEB, EXT, "40000>53")
ASKED_OUTSIDE = udp(WEB_PUBLIC, EXT, "40000>53")


@pytest.mark.parametrize("related", [False, True])
@pytest.mark.parametrize(("kind", "code"), [(3, 4), (3, 3), (11, 0)])
def test_ct36_errors_about_a_tracked_flow(related, kind, code):
    """They need a rule, unless ct.icmp_error_related takes them with the flow that they quote (CT-36)."""
    talk = client(policy={"icmp_error_related": related}).send(ASKED).accepted()
    talk.send(error(EXT2, WEB_PUBLIC, ASKED_OUTSIDE, kind, code))
    talk.accepted(tracked=True) if related else talk.dropped("I2(web)", NO_RULES)
    talk.send(error(EXT2, WEB_PUBLIC, udp(WEB_PUBLIC, EXT, "40001>53"), kind, code)).dropped("I2(web)", NO_RULES)


@pytest.mark.parametrize("quoted", [icmp(WEB_PUBLIC, EXT, 8), icmp(WEB_PUBLIC, EXT, 8, ident=9)], ids=["its query", "another query"])
def test_ct36_errors_about_a_query(quoted):
    """A quoted ICMP query is known by its identifier (CT-36, CT-4)."""
    talk = client(policy={"icmp_error_related": True}).send(icmp(WEB, EXT, 8)).accepted()
    talk.send(error(EXT2, WEB_PUBLIC, quoted, 11, 0))
    talk.accepted(tracked=True) if quoted[1].id == 7 else talk.dropped("I2(web)", NO_RULES)


def test_ct36_errors_about_a_reply_to_a_query():
    """An error about the echo reply belongs to the query's flow as well (CT-36)."""
    talk = server(("icmp/8", TEN), policy={"icmp_error_related": True})
    talk.send(icmp(APP1, DB, 8)).accepted().send(icmp(DB, APP1, 0)).accepted()
    talk.send(error(APP2, DB, icmp(DB, APP1, 0), 3, 1)).accepted(tracked=True)


def test_ct36_errors_leave_with_the_flow_that_they_quote():
    """With the knob a server without rules out may refuse a datagram, and nothing else (CT-36)."""
    talk = server(("udp/53", TEN), policy={"icmp_error_related": True}).send(udp(APP1, DB, "40000>53")).accepted()
    talk.send(error(DB, APP1, udp(APP1, DB, "40000>53"), 3, 3)).accepted()
    talk.send(error(DB, APP1, udp(APP1, DB, "40001>53"), 3, 3)).dropped("E3(db)", NO_RULES)


def test_ct36_errors_restart_no_timer():
    """They are about the flow, not of it (CT-27, CT-36)."""
    talk = client(policy={"icmp_error_related": True}).send(ASKED).accepted()
    talk.at(29).send(error(EXT2, WEB_PUBLIC, ASKED_OUTSIDE)).accepted()
    talk.at(31).send(error(EXT2, WEB_PUBLIC, ASKED_OUTSIDE)).dropped("I2(web)", NO_RULES)


def test_ct37_numbers_windows_and_checksums_are_not_looked_at():
    """A segment far outside the window with a wrong checksum passes like any other (CT-37)."""
    talk = _opened()
    wild = IP(src=EXT, dst=WEB_PUBLIC) / TCP(sport=443, dport=40000, flags="PA", seq=0xDEADBEEF, ack=1, window=0, chksum=0x1234)
    talk.send(wild).accepted(tracked=True)


# -- limits ------------------------------------------------------------------------------------------------------------


def _limited(limit):
    eth1 = NetworkInterface("eth1", "web", "app-a", (ip_address("10.0.1.30"),), (), ("new",))
    return Dialogue(base(eth1, group("new"), web="new").changed("i-web", max_tracked=limit))


def test_ct40_ct41_the_allowance_is_the_instances_and_the_counter_the_interfaces():
    """Both interfaces fill one allowance, in either direction; each counts its own refusals (CT-40, CT-41, SG-12)."""
    talk = _limited(2)
    talk.send(udp(WEB, DB, "1>53")).accepted().send(udp("10.0.1.30", DB, "1>53")).accepted()
    talk.send(udp(WEB, DB, "2>53")).dropped("E3(web)", "EMU_CT_EXHAUSTED")
    talk.send(udp("10.0.1.30", DB, "2>53")).dropped("E3(web:eth1)", "EMU_CT_EXHAUSTED")
    talk.send(udp("10.0.1.30", DB, "3>53")).dropped("E3(web:eth1)", "EMU_CT_EXHAUSTED")
    assert [talk.network.allowance_exceeded(name) for name in ("web", "web:eth1", "db")] == [1, 2, 0]


def test_ct40_what_has_an_entry_goes_on_and_what_times_out_makes_room():
    """A full table refuses only what would need an entry; room comes back when an entry ends (CT-40)."""
    talk = _limited(1)
    talk.send(udp(WEB, DB, "1>53")).accepted()
    talk.at(20).send(udp(WEB, DB, "1>53")).accepted()
    talk.send(udp(WEB, DB, "2>53")).dropped("E3(web)", "EMU_CT_EXHAUSTED")
    talk.send(udp(DB, WEB, "53>1")).accepted(tracked=True)
    talk.at(49).send(udp(WEB, DB, "2>53")).dropped("E3(web)", "EMU_CT_EXHAUSTED")
    talk.at(51).send(udp(WEB, DB, "2>53")).accepted()


def test_ct40_room_is_looked_for_when_the_shortest_timer_has_run_out():
    """A full table is searched again when any of its entries may have ended, also one that came after the last search (CT-40)."""
    talk = _limited(2).send(tcp(WEB, DB, "1>22")).accepted().send(udp(WEB, DB, "1>53")).accepted()
    talk.send(udp(WEB, DB, "2>53")).dropped("E3(web)", "EMU_CT_EXHAUSTED")
    talk.at(31).send(udp(WEB, DB, "2>53")).accepted()  # what is left of the last search ends in five days
    talk.at(62).send(udp(WEB, DB, "3>53")).accepted()


def test_ct40_an_instances_own_allowance_wins_over_the_policys():
    """max_tracked of an instance in place of ct.max_entries (CT-40)."""
    topology = base(group("new"), web="new", web2="new", policy={"max_entries": 1}).changed("i-web2", max_tracked=2)
    talk = Dialogue(topology)
    for port, passes in ((1, True), (2, True), (3, False)):
        talk.send(udp(WEB2, EXT, f"{port}>53"))
        talk.accepted() if passes else talk.dropped("E3(web2)", "EMU_CT_EXHAUSTED")
    talk.send(udp(WEB, EXT, "1>53")).accepted().send(udp(WEB, EXT, "2>53")).dropped("E3(web)", "EMU_CT_EXHAUSTED")


def test_what_a_step_says_of_tracking():
    """The packet that opens an entry reads otherwise than its replies and what follows, and what no entry stands for."""
    talk = client().send(QUERY).accepted()
    assert talk.step("E3").text == "new egress 1 allows it; opens tracked connection 1"
    talk.send(REPLY).accepted()
    assert talk.step("I2").text == "reply in tracked connection 1, opened by new egress 1"
    talk.send(QUERY).accepted()
    assert talk.step("E3").text == "part of tracked connection 1, opened by new egress 1"
    talk.send(tcp(WEB, EXT, "40000>443", "A")).accepted()
    assert talk.step("E3").text == "new egress 1 allows it; not tracked"
    talk.edit(edits.revoke, "new", OUT, ALL_OUT)
    talk.send(REPLY).accepted()
    assert talk.step("I2").text == "part of tracked connection 1, opened by a rule that is gone since"
