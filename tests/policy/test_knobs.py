"""The settings of table 0.4 of the semantics that bear on groups and tracking; those of ``ct.*`` are in test_tracking_facts.py."""

from dataclasses import replace

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.packet import Raw

from emulator.model import edits
from emulator.model.entities import ConnectionTracking, Policy
from emulator.model.groups import Direction, GroupPeer, Rule
from emulator.policy.compile import settings
from emulator.wire.packet import Packet
from tests.base import APP1, APP1_V6, APP2, APP2_V6, DB, base, group, route
from tests.dialogue import NO_RULE, NO_RULES, Dialogue, other, tcp, udp

IN = Direction.INGRESS
CHECK = "ENI_SOURCE_DEST_CHECK_RESTRICTION"


def test_the_defaults_are_those_of_the_table():
    """What AWS does not say is as table 0.4 has it unless a topology says otherwise."""
    assert Policy() == Policy(
        midstream_tcp="rules_only",
        icmp_error_related=False,
        tcp_default_established_s=None,
        tcp_embryonic_s=None,
        tcp_close_linger_s=0,
        icmp_s=30,
        other_s=600,
        max_entries=None,
        autotrack="2025",
        entry_survives_acl_drop=True,
        frag_policy="reassemble",
        blackhole="drop",
        ttl="spec",
        router_ping="own_subnet",
        ref_matches_ipv6=True,
        block_port_25=True,
        hairpin=True,
        srcdst_after_sg=True,
        propagation_delay_s=0,
    )
    assert ConnectionTracking() == ConnectionTracking(tcp_established_s=None, udp_s=None, udp_stream_s=None)


SETTINGS = [
    ({"midstream_tcp": "rules_only"}, {"midstream": 0}),
    ({"midstream_tcp": "pickup"}, {"midstream": 1}),
    ({"midstream_tcp": "strict"}, {"midstream": 2}),
    ({"icmp_error_related": True}, {"icmp_error_related": 1}),
    ({"tcp_embryonic_s": 9}, {"embryonic_ns": 9 * 10**9}),
    ({"tcp_close_linger_s": 9}, {"linger_ns": 9 * 10**9}),
    ({"icmp_s": 9}, {"icmp_ns": 9 * 10**9}),
    ({"other_s": 9}, {"other_ns": 9 * 10**9}),
    ({"autotrack": "2023"}, {"autotrack_2023": 1}),
    ({"entry_survives_acl_drop": False}, {"entry_survives_acl_drop": 0}),
    ({"frag_policy": "first_fragment"}, {"fragments": 1}),
    ({"frag_policy": "drop_noninitial"}, {"fragments": 2}),
    ({"blackhole": "fall_through"}, {"fall_through": 1}),
    ({"ttl": "per_hop"}, {"per_hop_ttl": 1}),
    ({"router_ping": "none"}, {"router_ping": 0}),
    ({"ref_matches_ipv6": False}, {"ref_matches_ipv6": 0}),
    ({"block_port_25": False}, {"block_port_25": 0}),
    ({"hairpin": False}, {"hairpin": 0}),
    ({"srcdst_after_sg": False}, {"check_after_groups": 0}),
    ({"seed": 9}, {"seed": 9}),
    ({"mtu_of_captures": True}, {"mtu_of_captures": 1}),
]


@pytest.mark.parametrize(("knobs", "changed"), SETTINGS, ids=str)
def test_settings(knobs, changed):
    """Each knob moves its own setting and no other; times in ns, -1 where one is unset."""
    assert settings(base(policy=knobs)) == settings(base())._replace(**changed)
    assert settings(base()).embryonic_ns == -1


@pytest.mark.parametrize("matches", [True, False])
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_sg24_references_and_ipv6(matches, direction):
    """sg.ref_matches_ipv6: whether a group stands for its members' IPv6 addresses as well (SG-24)."""
    rule = [("all", GroupPeer("app"))]
    app = group("app", rule, [("all", "::/0"), ("all", "0.0.0.0/0")]) if direction == "ingress" else group("app", [("all", "::/0")], rule)
    talk = Dialogue(base(app, app1="app", app2="app", policy={"ref_matches_ipv6": matches}))
    talk.send(tcp(APP1_V6, APP2_V6, "40000>22"))
    if matches:
        talk.accepted()
    else:
        talk.dropped("I2(app2)" if direction == "ingress" else "E3(app1)")
    if direction == "ingress":
        talk.send(tcp(APP1, APP2, "40000>22")).accepted()


@pytest.mark.parametrize(("delay", "at"), [(0, 10), (5, 15)])
def test_pl7_edits_take_effect_after_the_propagation_delay(delay, at):
    """sg.propagation_delay_s passes before an edit counts (PL-7)."""
    talk = Dialogue(base(group("g"), db="g", policy={"propagation_delay_s": delay}))
    talk.at(10).edit(edits.authorize, "g", IN, Rule.of("tcp/22", "10.0.0.0/8"))
    assert talk.network.now_ns == at * 10**9
    talk.send(tcp(APP1, DB, "40000>22")).accepted()


@pytest.mark.parametrize(
    ("rules", "after_groups", "at", "code"),
    [
        pytest.param([], True, "I2(web2)", NO_RULES, id="both refuse, groups first"),
        pytest.param([], False, "I3(web2)", CHECK, id="both refuse, check first"),
        pytest.param([("all", "10.0.0.0/8")], True, "I3(web2)", CHECK, id="the check refuses after the groups"),
        pytest.param([("all", "10.0.0.0/8")], False, "I3(web2)", CHECK, id="the check refuses before the groups"),
    ],
)
def test_pl4_groups_or_destination_check_first(rules, after_groups, at, code):
    """pipeline.srcdst_after_sg says which of the two a packet meets first (PL-4)."""
    topology = base(group("g", rules), web2="g", policy={"srcdst_after_sg": after_groups})
    table = topology.entities["rtb-priv"]
    talk = Dialogue(topology.replace(replace(table, routes=(*table.routes, route("10.0.2.0/24", "eni-web2")))))
    talk.send(tcp(APP1, DB, "40000>22")).dropped(at, code)
    looked = [step.check for step in talk.trace.steps]
    assert ("security groups, ingress" in looked) == (after_groups or at.startswith("I2"))
    talk.count(1 if rules and after_groups else 0, "web2")


def fragments(port, ident=1, source=APP1, destination=DB):
    """A UDP datagram of 3000 bytes in three fragments."""
    datagram = IP(src=source, dst=destination, id=ident) / UDP(sport=40000, dport=port) / Raw(b"x" * 2992)
    return fragment(datagram, fragsize=1480)


UDP_5000 = group("g", [("udp/5000", "10.0.0.0/16")])


@pytest.mark.parametrize("policy", ["reassemble", "first_fragment"])
def test_fb32_later_fragments_share_the_first_ones_verdict(policy):
    """All fragments of a datagram pass or none, by what the first one shows (FB-32)."""
    talk = Dialogue(base(UDP_5000, db="g", policy={"frag_policy": policy}))
    for part in fragments(5000):
        talk.send(part).accepted(by="g ingress 1", tracked=True)
    assert talk.step("I2").text == "part of tracked connection 2, opened by g ingress 1"
    for part in fragments(5001, ident=2):
        talk.send(part).dropped("I2(db)")


def test_fb32_reassemble_lets_early_fragments_wait():
    """A later fragment that comes first waits for its first one, up to 30 s, and then is dropped (FB-32)."""
    talk = Dialogue(base(UDP_5000, db="g"))
    first, second, third = fragments(5000)
    network = talk.network
    early = network.engine.inject(Packet.of(second).header, network.engine.ids.of("eni-app1"), 0)
    talk.at(20)
    assert not network.engine.state.outcomes[early, 0], "it waits"
    talk.send(first).accepted().at(21)
    assert network.engine.state.outcomes[early, 0] == 1, "it went with the first"
    talk.at(25).send(third).accepted()
    lone = fragments(5000, ident=9)[1]
    talk.send(lone).dropped("E3(app1)", "EMU_FRAGMENT")
    assert network.now_ns == 55 * 10**9


def test_fb32_first_fragment_waits_for_nothing():
    """A later fragment that comes first is dropped at once (FB-32)."""
    talk = Dialogue(base(UDP_5000, db="g", policy={"frag_policy": "first_fragment"}))
    first, second, _ = fragments(5000)
    talk.send(second).dropped("E3(app1)", "EMU_FRAGMENT")
    talk.send(first).accepted().send(second).accepted()


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        pytest.param(("udp/5000", "10.0.0.0/16"), False, id="a rule for a port"),
        pytest.param(("udp/0-65535", "10.0.0.0/16"), True, id="a rule for all ports"),
        pytest.param(("all", "10.0.0.0/16"), True, id="a rule for everything"),
        pytest.param(("tcp/0-65535", "10.0.0.0/16"), False, id="a rule for another protocol"),
    ],
)
def test_fb32_drop_noninitial_judges_each_alone(rule, passes):
    """Only rules that take all ports match a later fragment, whatever became of the first (FB-32)."""
    talk = Dialogue(base(group("g", [rule]), db="g", policy={"frag_policy": "drop_noninitial"}))
    for part in fragments(5000)[1:]:
        talk.send(part)
        talk.accepted(tracked=False) if passes else talk.dropped("I2(db)", NO_RULE)
    talk.count(0, "db")


def test_fb32_drop_noninitial_knows_flows_without_ports():
    """A later fragment of GRE is known by its addresses like any of its packets (FB-32, CT-8)."""
    talk = Dialogue(base(group("new"), db="new", policy={"frag_policy": "drop_noninitial"}))
    talk.send(other(DB, APP1, 47)).accepted()
    later = IP(src=APP1, dst=DB, proto=47, frag=10) / Raw(b"x" * 16)
    talk.send(later).accepted(tracked=True)
    talk.send(IP(src=APP1, dst=DB, proto=17, frag=10) / Raw(b"x" * 16)).dropped("I2(db)", NO_RULES)


@pytest.mark.parametrize("policy", ["reassemble", "first_fragment", "drop_noninitial"])
def test_fb32_whole_datagrams_are_not_concerned(policy):
    """The knob is about fragments alone (FB-32)."""
    talk = Dialogue(base(UDP_5000, db="g", policy={"frag_policy": policy}))
    talk.send(udp(APP1, DB, "40000>5000")).accepted(tracked=True).send(udp(APP1, DB, "40000>5001")).dropped("I2(db)")
