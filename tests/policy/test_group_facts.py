"""What the facts SG-1 to SG-29 and SG-53 to SG-59 say about packets, each by name, and the sentences that people say of groups."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from emulator.model import edits
from emulator.model.entities import NetworkInterface, Vpc
from emulator.model.groups import AclRule, Direction, GroupPeer, ListPeer, Rule
from emulator.model.services import Service
from tests.base import (
    ALL_OUT,
    ALL_OUT_V6,
    APP1,
    APP1_V6,
    APP2,
    APP2_V6,
    B1,
    DB,
    EXT,
    EXT2,
    EXT_V6,
    WEB,
    WEB2,
    WEB3,
    WEB_PUBLIC,
    WEB_V6,
    PrefixList,
    base,
    group,
    route,
)
from tests.dialogue import NO_RULE, NO_RULES, Dialogue, icmp, other, ping6, tcp, udp

IN, OUT = Direction.INGRESS, Direction.EGRESS
TEN = ip_network("10.0.0.0/8")


def web_in(*rules, **more):
    """A conversation with a web that has these ingress rules, and everything out."""
    return Dialogue(base(group("g", rules), web="g", **more))


# -- the sentences -----------------------------------------------------------------------------------------------------


def test_groups_act_at_the_interface_and_two_instances_of_one_subnet_can_differ():
    """Two neighbours with different groups let different packets in, also from one another (SG-1, SG-9)."""
    talk = Dialogue(base(group("ssh", [("tcp/22", "10.0.0.0/24")]), group("http", [("tcp/80", "10.0.0.0/24")]), web="ssh", web2="http"))
    talk.send(tcp(WEB3, WEB, "40000>22")).accepted(by="ssh ingress 1")
    talk.send(tcp(WEB3, WEB2, "40000>22")).dropped("I2(web2)")
    talk.send(tcp(WEB3, WEB, "40000>80")).dropped("I2(web)")
    talk.send(tcp(WEB3, WEB2, "40001>80")).accepted(by="http ingress 1")
    talk.send(tcp(WEB2, WEB, "40000>80")).dropped("I2(web)")


@pytest.mark.parametrize("wanted", range(4))
def test_rules_only_allow_and_all_are_looked_at(wanted):
    """Whichever rule of whichever group matches, the packet passes, whatever the others are about (SG-4)."""
    ports = [22, 80, 443, 8080]
    first, second = ([(f"tcp/{port}", f"{EXT}/32") for port in half] for half in (ports[:2], ports[2:]))
    talk = Dialogue(base(group("g1", first), group("g2", second), web=("g1", "g2")))
    by = f"g{wanted // 2 + 1} ingress {wanted % 2 + 1}"
    talk.send(tcp(EXT, WEB_PUBLIC, f"50000>{ports[wanted]}")).accepted(by=by)
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>25")).dropped("I2(web)")


@pytest.mark.parametrize(
    ("ingress", "egress", "asked", "answer"),
    [
        pytest.param([("tcp/22", TEN)], [], tcp(APP1, DB, "40000>22"), tcp(DB, APP1, "22>40000", "SA"), id="asked in, no rule out"),
        pytest.param([], [("tcp/22", TEN)], tcp(DB, APP1, "40000>22"), tcp(APP1, DB, "22>40000", "SA"), id="asked out, no rule in"),
        pytest.param([("udp/53", TEN)], [("udp/1", TEN)], udp(APP1, DB, "40000>53"), udp(DB, APP1, "53>40000"), id="another rule out"),
        pytest.param([("icmp/8", TEN)], [], icmp(APP1, DB, 8), icmp(DB, APP1, 0), id="ping in, no rule out"),
        pytest.param([("47", TEN)], [], other(APP1, DB, 47), other(DB, APP1, 47), id="a protocol without ports"),
    ],
)
def test_replies_to_allowed_traffic_pass_both_ways_whatever_the_other_direction_says(ingress, egress, asked, answer):
    """Groups are stateful (SG-7, CT-1, CT-7)."""
    talk = Dialogue(base(group("g", ingress, egress), db="g"))
    talk.send(answer).dropped(None, NO_RULES if not (ingress and egress) else NO_RULE)
    talk.send(asked).accepted()
    talk.send(answer).accepted(tracked=True)
    talk.send(asked).accepted(tracked=True)


@pytest.mark.parametrize("packet", [tcp(APP1, WEB, "40000>22"), udp(APP1, WEB, "40000>53"), icmp(APP1, WEB, 8), other(APP1, WEB, 47)])
def test_a_new_group_lets_nothing_in(packet):
    """No inbound rule, nothing unsolicited (SG-8, SG-14)."""
    Dialogue(base(group("new"), web="new")).send(packet).dropped("I2(web)", NO_RULES)


@pytest.mark.parametrize(
    "packet",
    [
        tcp(WEB, APP1, "40000>22"),
        udp(WEB, APP1, "40000>53"),
        icmp(WEB, APP1, 8),
        other(WEB, APP1, 47),
        tcp(WEB_V6, EXT_V6, "40000>22"),
        ping6(WEB_V6, EXT_V6),
    ],
)
def test_a_new_group_lets_everything_out(packet):
    """Everything out, over IPv6 too as the VPC has a block of it (SG-14)."""
    Dialogue(base(group("new"), web="new")).send(packet).accepted()


@pytest.mark.parametrize("packet", [tcp(WEB, APP1, "40000>22"), udp(WEB, APP1, "40000>53"), icmp(WEB, APP1, 8), tcp(WEB_V6, EXT_V6, "1>2")])
def test_without_outbound_rules_nothing_originates(packet):
    """No outbound rule, nothing leaves that was not asked for (SG-8)."""
    Dialogue(base(group("shut", [("all", "10.0.0.0/8")], []), web="shut")).send(packet).dropped("E3(web)", NO_RULES)


def test_default_lets_its_members_in():
    """The default group admits its members, over both families, and nobody else (SG-13)."""
    talk = Dialogue(base(app1="default", app2="default"))
    talk.send(tcp(APP1, APP2, "40000>22")).accepted(by="default ingress 1")
    talk.send(tcp(APP1_V6, APP2_V6, "40000>22")).accepted(by="default ingress 1")
    talk.send(tcp(DB, APP2, "40000>22")).dropped("I2(app2)")
    talk.send(tcp(APP1, DB, "40000>22")).accepted()


# -- scope, the two starting states ------------------------------------------------------------------------------------


def _eth1(*groups):
    return NetworkInterface("eth1", "web", "app-a", (ip_address("10.0.1.30"),), (), groups)


def test_sg1_sg12_a_second_interface_has_its_own_groups_and_memory():
    """What eth0 admits, eth1 may not; what eth0 remembers, eth1 does not (SG-1, SG-12)."""
    talk = Dialogue(base(_eth1("shut"), group("open", [("all", TEN)]), group("shut", [], []), web="open"))
    talk.send(tcp(DB, WEB, "40000>22")).accepted(by="open ingress 1")
    talk.send(tcp(DB, "10.0.1.30", "40000>22")).dropped("I2(web:eth1)", NO_RULES)
    talk.count(1, "web").count(0, "web:eth1")


def test_sg2_an_interface_without_a_group_has_the_default_one():
    """Named none, it gets the default group of its VPC (SG-2)."""
    talk = Dialogue(base(_eth1(), app1="default"))
    talk.send(tcp(APP1, "10.0.1.30", "40000>22")).accepted(by="default ingress 1")
    talk.send(tcp(DB, "10.0.1.30", "40000>22")).dropped("I2(web:eth1)")


def test_sg5_the_most_permissive_rule_decides():
    """A rule for one address and a rule for everyone on the same port are everyone, in either order (SG-5)."""
    for rules in ([("tcp/22", f"{EXT}/32"), ("tcp/22", "0.0.0.0/0")], [("tcp/22", "0.0.0.0/0"), ("tcp/22", f"{EXT}/32")]):
        talk = web_in(*rules)
        talk.send(tcp(EXT, WEB_PUBLIC, "50000>22")).accepted()
        talk.send(tcp(EXT2, WEB_PUBLIC, "50000>22")).accepted()


@pytest.mark.parametrize(
    ("ingress", "egress", "packet", "passes"),
    [
        pytest.param([("tcp/22", f"{APP1}/32")], [], tcp(APP1, DB, "40000>22"), True, id="in: source and destination port"),
        pytest.param([("tcp/40000", f"{APP1}/32")], [], tcp(APP1, DB, "40000>22"), False, id="in: never the source port"),
        pytest.param([("tcp/22", f"{DB}/32")], [], tcp(APP1, DB, "40000>22"), False, id="in: never the own address"),
        pytest.param([], [("tcp/443", f"{APP1}/32")], tcp(DB, APP1, "40000>443"), True, id="out: destination and its port"),
        pytest.param([], [("tcp/40000", f"{APP1}/32")], tcp(DB, APP1, "40000>443"), False, id="out: never the source port"),
        pytest.param([], [("tcp/443", f"{DB}/32")], tcp(DB, APP1, "40000>443"), False, id="out: never the own address"),
        pytest.param([("tcp/443", f"{APP1}/32")], [], tcp(DB, APP1, "40000>443"), False, id="a rule in says nothing of the way out"),
    ],
)
def test_sg6_which_side_a_rule_looks_at(ingress, egress, packet, passes):
    """In: remote source, own destination port; out: remote destination and its port; never a source port (SG-6)."""
    talk = Dialogue(base(group("g", ingress, egress), db="g")).send(packet)
    if passes:
        talk.accepted()
    else:
        talk.dropped(
            "I2(db)" if ingress and packet.dst == DB else "E3(db)", NO_RULE if (egress if packet.src == DB else ingress) else NO_RULES
        )


def test_sg9_groups_filter_inside_a_subnet_at_both_ends():
    """Neighbours' packets meet the sender's way out and the receiver's way in, and no ACL or route (SG-9, FB-22)."""
    talk = Dialogue(base(group("shut", [], []), group("new"), app1="new", app2="shut"))
    talk.send(tcp(APP1, APP2, "40000>22")).dropped("I2(app2)", NO_RULES).passes("E3", "E4")
    talk.send(tcp(APP2, APP1, "40000>22")).dropped("E3(app2)", NO_RULES)
    assert {step.check for step in talk.trace.steps}.isdisjoint({"network ACL, outbound", "route table"})


def test_sg11_an_edit_reaches_every_interface_with_the_group():
    """A rule added to a group counts at once for everyone who has it (SG-11, PL-7)."""
    talk = Dialogue(base(group("g"), web="g", web2="g", db=("lab", "g")))
    for host, private in (("web", WEB), ("web2", WEB2)):
        talk.send(tcp(APP1, private, "40000>22")).dropped(f"I2({host})", NO_RULES)
    talk.edit(edits.authorize, "g", IN, Rule.of("tcp/22", "10.0.1.0/24"))
    for private in (WEB, WEB2):
        talk.send(tcp(APP1, private, "40000>22")).accepted(by="g ingress 1")


def test_sg13_sg14_without_an_ipv6_block_there_is_no_ipv6_rule():
    """The rule out for ::/0 is there only if the VPC has an IPv6 block (SG-13, SG-14)."""
    topology = base(group("new"), group("new", vpc="vpc-b"))
    assert [str(rule.peer) for rule in topology.entities["sg-new-a"].egress] == ["0.0.0.0/0", "::/0"]
    assert [str(rule.peer) for rule in topology.entities["sg-new-b"].egress] == ["0.0.0.0/0"]
    assert [str(rule.peer) for rule in topology.entities["sg-default-b"].egress] == ["0.0.0.0/0"]
    assert not topology.get("vpc-b", Vpc).has_ipv6


@pytest.mark.parametrize(
    ("rule", "packet", "passes"),
    [
        pytest.param(("all", "0.0.0.0/0"), tcp(EXT_V6, WEB_V6, "50000>22"), False, id="all of IPv4, an IPv6 packet"),
        pytest.param(("all", "::/0"), tcp(EXT, WEB_PUBLIC, "50000>22"), False, id="all of IPv6, an IPv4 packet"),
        pytest.param(("all", "::/0"), tcp(EXT_V6, WEB_V6, "50000>22"), True, id="all of IPv6, an IPv6 packet"),
        pytest.param(("tcp/22", "2001:db8:ffff::/48"), tcp(EXT_V6, WEB_V6, "50000>22"), True, id="in a /48"),
        pytest.param(("tcp/22", "2001:db8:ffff::/125"), tcp(EXT_V6, WEB_V6, "50000>22"), False, id="past a /125"),
    ],
)
def test_sg15_families_need_their_own_rules(rule, packet, passes):
    """IPv4 rules match no IPv6, and the reverse (SG-15)."""
    talk = web_in(rule).send(packet)
    talk.accepted() if passes else talk.dropped("I2(web)")


# -- rule fields -------------------------------------------------------------------------------------------------------

RULE_FIELDS = [
    # protocol, ports, packet, passes, fact
    (-1, (-1, -1), tcp(APP1, DB, "1>22"), True, "SG-16: -1 is every protocol"),
    (-1, (-1, -1), other(APP1, DB, 99), True, "SG-16: -1 is every protocol, any number"),
    (6, (22, 22), udp(APP1, DB, "1>22"), False, "SG-16: tcp is not udp"),
    (50, (80, 80), other(APP1, DB, 50), True, "SG-17: another protocol takes all ports"),
    (50, (80, 80), other(APP1, DB, 51), False, "SG-17: but only its own number"),
    (-1, (80, 80), tcp(APP1, DB, "1>22"), True, "SG-17: ports with all protocols say nothing"),
    (6, (1000, 2000), tcp(APP1, DB, "1>1000"), True, "SG-19: the first port of a range"),
    (6, (1000, 2000), tcp(APP1, DB, "1>2000"), True, "SG-19: the last port of a range"),
    (6, (1000, 2000), tcp(APP1, DB, "1>999"), False, "SG-19: one below"),
    (6, (1000, 2000), tcp(APP1, DB, "1>2001"), False, "SG-19: one above"),
    (6, (0, 65535), tcp(APP1, DB, "1>0"), True, "SG-19: port 0 is a port"),
    (6, (-1, -1), tcp(APP1, DB, "1>65535"), True, "SG-19: -1 reads as all ports"),
    (17, (-1, -1), udp(APP1, DB, "1>5"), True, "SG-19: for udp too"),
    (1, (8, -1), icmp(APP1, DB, 8, 0), True, "SG-20: a type with any code"),
    (1, (8, -1), icmp(APP1, DB, 8, 5), True, "SG-20: a type with any code, not only 0"),
    (1, (8, -1), icmp(APP1, DB, 13, 0), False, "SG-20: not another type"),
    (1, (3, 4), icmp(APP1, DB, 3, 4), True, "SG-20: a type and a code"),
    (1, (3, 4), icmp(APP1, DB, 4, 0), False, "SG-20: 3/4 is not types 3 to 4"),
    (1, (3, 4), icmp(APP1, DB, 3, 3), False, "SG-20: 3/4 is not code 3"),
    (1, (-1, -1), icmp(APP1, DB, 42, 7), True, "SG-20: all types and codes"),
]


@pytest.mark.parametrize(("protocol", "ports", "packet", "passes", "fact"), RULE_FIELDS, ids=[row[-1] for row in RULE_FIELDS])
def test_sg16_to_sg20_protocols_ports_types_and_codes(protocol, ports, packet, passes, fact):
    """What the fields of a rule take and what they do not."""
    rule = Rule(protocol, ports, TEN)
    talk = Dialogue(base(group("g", [rule]), db="g")).send(packet)
    talk.accepted(by="g ingress 1") if passes else talk.dropped("I2(db)")


@pytest.mark.parametrize(
    ("ports", "packet", "passes"),
    [
        pytest.param((-1, -1), ping6(EXT_V6, WEB_V6), True, id="without a range: all types and codes"),
        pytest.param((128, -1), ping6(EXT_V6, WEB_V6), True, id="echo request"),
        pytest.param((129, -1), ping6(EXT_V6, WEB_V6), False, id="echo reply is another type"),
        pytest.param((128, 1), ping6(EXT_V6, WEB_V6), False, id="another code"),
    ],
)
def test_sg18_sg20_icmpv6(ports, packet, passes):
    """ICMPv6 rules may leave the range out; otherwise type and code count (SG-18, SG-20)."""
    talk = web_in(Rule(58, ports, ip_network("::/0"))).send(packet)
    talk.accepted() if passes else talk.dropped("I2(web)")


def test_sg16_icmp_is_not_icmpv6():
    """A rule for icmp says nothing of icmpv6, and the reverse (SG-16)."""
    web_in(("icmp", "0.0.0.0/0"), ("icmp", "::/0")).send(ping6(EXT_V6, WEB_V6)).dropped("I2(web)")
    web_in(("icmpv6", "0.0.0.0/0")).send(icmp(EXT, WEB_PUBLIC, 8)).dropped("I2(web)")


@pytest.mark.parametrize(
    ("peer", "passes"),
    [
        pytest.param("10.0.1.0/24", True, id="an IPv4 block"),
        pytest.param("10.0.2.0/24", False, id="another IPv4 block"),
        pytest.param("2001:db8:a::/56", False, id="an IPv6 block"),
        pytest.param(ListPeer("mine"), True, id="a prefix list"),
        pytest.param(ListPeer("others"), False, id="another prefix list"),
        pytest.param(GroupPeer("lab"), True, id="a group"),
        pytest.param(GroupPeer("default"), False, id="another group"),
    ],
)
def test_sg21_a_rule_has_one_peer_of_four_kinds(peer, passes):
    """A block of either family, a prefix list or a group (SG-21)."""
    lists = [PrefixList("mine", "vpc-a", (ip_network("10.9.0.0/16"), TEN)), PrefixList("others", "vpc-a", (ip_network("10.9.0.0/16"),))]
    talk = Dialogue(base(*lists, group("g", [Rule.of("all", peer)]), db="g")).send(tcp(APP1, DB, "40000>22"))
    talk.accepted() if passes else talk.dropped("I2(db)")


def test_sg22_blocks_are_canonical():
    """100.68.0.18/18 is 100.68.0.0/18, so that host bits change nothing (SG-22)."""
    assert str(Rule.of("all", "100.68.0.18/18").peer) == "100.68.0.0/18"
    web_in(("tcp/22", f"{EXT}/24")).send(tcp(EXT2, WEB_PUBLIC, "50000>22")).accepted()


def test_sg27_a_list_of_one_family_matches_only_that():
    """A list of IPv6 blocks takes IPv6 packets in any of its entries, and no IPv4 (SG-27)."""
    six = PrefixList("six", "vpc-a", (ip_network("2001:db8:1::/48"), ip_network("2001:db8:ffff::/48")))
    talk = Dialogue(base(six, group("g", [("all", ListPeer("six"))]), web="g"))
    talk.send(tcp(EXT_V6, WEB_V6, "50000>22")).accepted(by="g ingress 1")
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22")).dropped("I2(web)")


def test_sg28_descriptions_bear_on_nothing():
    """A rule matches with or without a description (SG-28)."""
    Dialogue(base(group("g", [Rule.of("tcp/22", TEN, "from inside")]), db="g")).send(tcp(APP1, DB, "1>22")).accepted(by="g ingress 1")


# -- references --------------------------------------------------------------------------------------------------------


def test_sg24_a_reference_imports_no_rules_of_the_group():
    """It stands for the members' addresses, not for what the group itself admits (SG-24)."""
    talk = Dialogue(
        base(group("clients", [("tcp/22", "0.0.0.0/0")]), group("srv", [("tcp/80", GroupPeer("clients"))]), app1="clients", db="srv")
    )
    talk.send(tcp(APP1, DB, "40000>80")).accepted(by="srv ingress 1")
    talk.send(tcp(APP1, DB, "40000>22")).dropped("I2(db)")
    talk.send(tcp(EXT, WEB_PUBLIC, "40000>22")).dropped("I2(web)")


def test_sg24_a_member_is_known_by_each_of_its_groups_and_addresses():
    """Any group of the interface will do, and any of its private addresses (SG-24)."""
    talk = Dialogue(
        base(group("clients"), group("srv", [("tcp/80", GroupPeer("clients"))]), app1=("lab", "default", "clients"), app2="srv")
    )
    talk.send(tcp(APP1, APP2, "40000>80")).accepted(by="srv ingress 1")
    talk.send(tcp(APP1_V6, APP2_V6, "40000>80")).accepted(by="srv ingress 1")


@pytest.mark.parametrize(
    ("member", "passes"), [pytest.param("db", True, id="the destination has the group"), pytest.param("web", False, id="it has not")]
)
def test_sg26_on_the_way_out_the_destination_must_have_the_group(member, passes):
    """An egress rule that names a group takes destinations that have it (SG-26)."""
    talk = Dialogue(base(group("srv", [("all", TEN)]), group("g", [], [("tcp/5432", GroupPeer("srv"))]), app1="g", **{member: "srv"}))
    talk.send(tcp(APP1, DB, "40000>5432"))
    talk.accepted() if passes else talk.dropped("E3(app1)")


def test_sg26_on_the_way_out_not_through_an_appliance():
    """An egress rule that names a group fails if the next hop is an appliance (SG-26)."""
    groups = group("srv", [("all", TEN)]), group("g", [], [("tcp/5432", GroupPeer("srv"))])
    topology = base(*groups, app1="g", db="srv")
    table = topology.entities["rtb-priv"]
    topology = topology.replace(replace(table, routes=(*table.routes, route("10.0.2.0/24", "eni-mbx"))))
    Dialogue(topology).send(tcp(APP1, DB, "40000>5432")).dropped("E3(app1)", "SG_REFERENCES_NOT_PRESERVED")


def test_sg26_a_borrowed_source_address_carries_no_identity():
    """Identity goes with an address of the sending interface only, whoever's address it is (SG-26)."""
    topology = base(group("clients"), group("srv", [("tcp/80", GroupPeer("clients"))]), app1="clients", mbx="clients", db="srv")
    talk = Dialogue(topology)
    talk.send(tcp(APP1, DB, "40000>80"), source="mbx").dropped("I2(db)")
    talk.send(tcp(APP1, DB, "40000>80")).accepted(by="srv ingress 1")


def test_sg24_sg30_a_reference_crosses_an_active_peering_both_ways():
    """Groups of a peered VPC may be named on the way in and on the way out (SG-24, SG-26, SG-30)."""
    talk = Dialogue(
        base(
            group("app", [("tcp/443", GroupPeer("vpc-b/sg-b"))], []),
            group("sg-b", [], [("tcp/443", GroupPeer("vpc-a/app"))], vpc="vpc-b"),
            app1="app",
            b1="sg-b",
        )
    )
    talk.send(tcp(B1, APP1, "40000>443")).accepted(by="app ingress 1")
    talk.send(tcp(APP1, B1, "443>40000", "SA")).accepted(by="sg-b egress 1", tracked=True)
    talk.send(tcp(B1, DB, "40000>443")).dropped("E3(b1)")


# -- edits under live traffic ------------------------------------------------------------------------------------------


def test_sg53_narrowing_the_rule_of_an_untracked_flow_cuts_it():
    """Not only removing, also narrowing counts with the next packet (SG-53)."""
    talk = web_in(("tcp/22", "0.0.0.0/0"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22")).accepted(tracked=False)
    talk.edit(lambda topology: topology.changed("sg-g", ingress=(Rule.of("tcp/22", f"{EXT2}/32"),)))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22", "A")).dropped("I2(web)")


def test_sg55_a_new_rule_helps_the_next_packet():
    """Nothing remembers that a packet was refused (SG-55)."""
    talk = web_in(("tcp/80", "0.0.0.0/0"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22")).dropped("I2(web)")
    talk.edit(edits.authorize, "g", IN, Rule.of("tcp/22", f"{EXT}/32"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22")).accepted(by="g ingress 2")


@pytest.mark.parametrize("direction", [IN, OUT])
def test_sg56_an_acl_deny_in_either_direction_cuts_a_tracked_flow(direction):
    """Denying one direction is enough (SG-56)."""
    talk = web_in(("tcp/22", f"{EXT}/32"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22")).accepted(tracked=True)
    deny = AclRule(50, False, 6, (-1, -1), ip_network(f"{EXT}/32"))
    acl = talk.network.topology.entities["acl-default-a"]
    name = direction.name.lower()
    talk.edit(lambda topology: topology.changed(acl.id, **{name: (deny, *getattr(acl, name))}))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22", "A"))
    if direction == IN:
        talk.dropped("I1(pub-a)", "SUBNET_ACL_RESTRICTION")
    else:
        talk.accepted()
        talk.send(tcp(WEB, EXT, "22>50000", "A")).dropped("E5(pub-a)", "SUBNET_ACL_RESTRICTION")


def test_sg57_an_untracked_flow_goes_on_by_rules_when_edits_would_track_it():
    """What was untracked stays so until a packet opens an entry; its segments meet the rules as they are (SG-57, CT-31)."""
    talk = web_in(("tcp/22", "0.0.0.0/0"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22")).accepted(tracked=False)
    talk.edit(edits.revoke, "g", OUT, ALL_OUT)
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22", "A")).accepted(tracked=False)
    talk.send(tcp(WEB, EXT, "22>50000", "A")).dropped("E3(web)")
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22", "S")).accepted(tracked=True)
    talk.send(tcp(WEB, EXT, "22>50000", "SA")).accepted(tracked=True)


def test_sg58_replacing_the_groups_of_an_interface_keeps_its_flows():
    """The old flows go on, new ones meet the new groups (SG-58)."""
    talk = Dialogue(base(group("old", [("tcp/22", f"{EXT}/32")]), group("new"), web="old"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22")).accepted(tracked=True)
    talk.edit(edits.replace_groups, "web", "new")
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22", "A")).accepted(tracked=True)
    talk.send(tcp(EXT, WEB_PUBLIC, "50001>22")).dropped("I2(web)", NO_RULES)


def test_sg59_membership_of_others_counts_for_new_flows():
    """Who leaves a group is no longer meant by its name; the flows it has go on (SG-59)."""
    talk = Dialogue(base(group("clients"), group("srv", [("tcp/80", GroupPeer("clients"))], []), app1="clients", db="srv"))
    talk.send(tcp(APP1, DB, "40000>80")).accepted(tracked=True)
    talk.send(tcp(APP2, DB, "40000>80")).dropped("I2(db)")
    talk.edit(edits.replace_groups, "app1", "vpc-a/lab").edit(edits.replace_groups, "app2", "clients")
    talk.send(tcp(APP1, DB, "40000>80", "A")).accepted(tracked=True)
    talk.send(tcp(APP1, DB, "40001>80")).dropped("I2(db)")
    talk.send(tcp(APP2, DB, "40000>80")).accepted(by="srv ingress 1")


def test_services_read_as_the_console_writes_them():
    """The words of the console and the numbers mean the same rule (SG-16)."""
    assert Rule.of("SSH", TEN) == Rule.of("tcp/22", TEN) == Rule.of(Service(6, (22, 22)), TEN)
    assert ALL_OUT_V6.peer != ALL_OUT.peer
