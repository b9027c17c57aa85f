"""The worked scenarios S-1 to S-13 of the semantics (section 10.1): security groups, packet by packet."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from emulator.errors import ApiError
from emulator.model import edits
from emulator.model.entities import VpcPeeringConnection
from emulator.model.groups import Direction, GroupPeer, ListPeer, Rule
from tests.base import (
    ALL_OUT,
    APP1,
    APP2,
    B1,
    DB,
    EXT,
    EXT2,
    EXT_V6,
    WEB,
    WEB2,
    WEB2_PUBLIC,
    WEB_PUBLIC,
    WEB_V6,
    PrefixList,
    base,
    group,
    route,
)
from tests.dialogue import NO_RULES, Dialogue, icmp, other, tcp, udp

IN = Direction.INGRESS


def test_s1_default_group():
    """The default group lets its members in, from nobody else, and everything out with its replies (SG-7, SG-9, SG-13)."""
    talk = Dialogue(base(app1="default", app2="default"))
    talk.send(tcp(APP1, APP2, "40000>5000", "S")).accepted(by="default ingress 1")
    talk.send(tcp(APP2, APP1, "5000>40000", "SA")).accepted(tracked=True)
    talk.send(tcp(DB, APP1, "41000>5000", "S")).dropped("I2(app1)")
    talk.send(tcp(APP1, DB, "40001>5000", "S")).accepted(by="lab ingress 1")
    talk.send(tcp(DB, APP1, "5000>40001", "SA")).accepted(by="default egress 1", tracked=True)
    talk.tracks(f"tcp {APP1}:40000 > {APP2}:5000", f"tcp {APP1}:40001 > {DB}:5000", interface="app1")


def test_s2_fresh_custom_group():
    """A new group lets nothing in, everything out and its replies back; filters see private addresses (SG-8, SG-14, CT-10, PL-2, RT-20)."""
    talk = Dialogue(base(group("new"), web="new"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>443", "S")).dropped("I2(web)", NO_RULES).passes("E8", "I1")
    assert talk.step("E8").text == f"destination becomes {WEB}"
    stages = [step.stage for step in talk.trace.steps]
    assert stages == sorted(stages), "the gateway translates before the ACL and the group look"
    talk.send(tcp(WEB, EXT, "40000>443", "S")).accepted(source=WEB_PUBLIC, destination=EXT)
    talk.send(tcp(EXT, WEB_PUBLIC, "443>40000", "SA")).accepted(by="new egress 1", tracked=True, source=EXT, destination=WEB)
    talk.send(tcp(WEB_V6, EXT_V6, "40000>443", "S")).accepted(by="new egress 2", source=WEB_V6, destination=EXT_V6)


def test_s3_no_outbound_rules():
    """Without outbound rules replies leave, nothing originates, and the fabric's own services still answer (SG-8, FB-1, FB-8)."""
    talk = Dialogue(base(group("ssh", [("tcp/22", f"{EXT}/32")], []), web="ssh"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22", "S")).accepted(by="ssh ingress 1")
    talk.send(tcp(WEB, EXT, "22>50000", "SA")).accepted(by="ssh ingress 1", tracked=True)
    talk.send(udp(WEB, "8.8.8.8", "40000>53")).dropped("E3(web)", NO_RULES)
    talk.send(udp(WEB, "10.0.0.2", "40000>53")).accepted(tracked=False)
    assert [step.check for step in talk.trace.steps] == ["send", "fabric service"], "no filter looked at it"


def test_s4_several_groups_add_up():
    """A packet passes if any rule of any of the groups allows it; the widest decides (SG-4, SG-5)."""
    talk = Dialogue(base(group("g1", [("tcp/22", f"{EXT}/32")]), group("g2", [("tcp/80", "0.0.0.0/0")]), web=("g1", "g2")))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22", "S")).accepted(by="g1 ingress 1")
    talk.send(tcp(EXT2, WEB_PUBLIC, "50000>22", "S")).dropped("I2(web)")
    talk.send(tcp(EXT2, WEB_PUBLIC, "50001>80", "S")).accepted(by="g2 ingress 1")
    talk.edit(edits.authorize, "g2", IN, Rule.of("tcp/22", "0.0.0.0/0"))
    talk.send(tcp(EXT2, WEB_PUBLIC, "50000>22", "S")).accepted(by="g2 ingress 2")


def test_s5_sharing_a_group_is_not_access():
    """Two members of a group reach one another only by a rule that names the group (SG-10)."""
    talk = Dialogue(base(group("g"), app1="g", app2="g"))
    talk.send(tcp(APP1, APP2, "40000>5000", "S")).dropped("I2(app2)", NO_RULES)
    talk.edit(edits.authorize, "g", IN, Rule.of("all", GroupPeer("g")))
    talk.send(tcp(APP1, APP2, "40001>5000", "S")).accepted(by="g ingress 1")


def test_s6_group_reference_private_yes_public_no():
    """A rule that names a group takes its members' private addresses, not their public ones (SG-24, SG-26, RT-27)."""
    groups = group("clients", [], [ALL_OUT]), group("srv", [("tcp/8080", GroupPeer("clients"))])
    talk = Dialogue(base(*groups, web="clients", web2="srv"))
    talk.send(tcp(WEB, WEB2, "40000>8080", "S")).accepted(by="srv ingress 1")
    talk.send(tcp(WEB, WEB2_PUBLIC, "40001>8080", "S")).dropped("I2(web2)", "SG_REFERENCES_NOT_PRESERVED").passes("E3", "E6", "E8")
    assert [step.text for step in talk.trace.steps if step.check == "gateway"] == [
        f"source becomes {WEB_PUBLIC}",
        f"destination becomes {WEB2}",
    ]
    talk.edit(edits.authorize, "srv", IN, Rule.of("tcp/8080", f"{WEB_PUBLIC}/32"))
    talk.send(tcp(WEB, WEB2_PUBLIC, "40002>8080", "S")).accepted(by="srv ingress 2", source=WEB_PUBLIC, destination=WEB2)
    talk.send(tcp(APP1, WEB2, "40003>8080", "S")).dropped("I2(web2)")


def _through_mbx(rule=None, check=False):
    peer = GroupPeer("clients") if rule is None else rule
    topology = base(group("clients"), group("srv", [("tcp/5432", peer)], []), app1="clients", db="srv")
    table = topology.entities["rtb-priv"]
    topology = topology.replace(replace(table, routes=(*table.routes, route("10.0.2.0/24", "eni-mbx"))))
    return topology.changed("eni-mbx", source_dest_check=check)


def test_s7_group_reference_through_an_appliance():
    """Group identity is lost in a machine that forwards; a block still matches (SG-25, FB-24, RT-4, RT-8, RT-16, CT-35)."""
    talk = Dialogue(_through_mbx())
    talk.send(tcp(APP1, DB, "40000>5432", "S")).dropped("I2(db)", "SG_REFERENCES_NOT_PRESERVED")
    places = [(step.at, step.check) for step in talk.trace.steps]
    assert ("mbx:eth0", "security groups, ingress") in places
    assert ("mbx:eth0", "forward") in places
    assert ("mbx:eth0", "security groups, egress") in places

    talk = Dialogue(_through_mbx("10.0.1.0/24"))
    talk.send(tcp(APP1, DB, "40000>5432", "S")).accepted(by="srv ingress 1", source=APP1, destination=DB)
    talk.send(tcp(DB, APP1, "5432>40000", "SA")).accepted(by="clients egress 1", tracked=True)
    assert "mbx:eth0" not in [step.at for step in talk.trace.steps], "the answer goes straight"

    talk = Dialogue(_through_mbx(check=True))
    talk.send(tcp(APP1, DB, "40000>5432", "S")).dropped("I3(mbx)", "ENI_SOURCE_DEST_CHECK_RESTRICTION")


def test_s8_peer_reference_then_stale():
    """A rule names a group of a peered VPC; without the peering it is stale, with a new one it works again.

    Facts SG-30, SG-32 to SG-34, RT-10, RT-12.
    """
    groups = group("app", [("tcp/443", GroupPeer("vpc-b/sg-b"))]), group("sg-b", vpc="vpc-b")
    talk = Dialogue(base(*groups, app1="app", b1="sg-b"))
    talk.send(tcp(B1, APP1, "40000>443", "S")).accepted(by="app ingress 1")
    talk.edit(edits.delete_peering, "pcx-ab")
    talk.send(tcp(B1, APP1, "40001>443", "S")).dropped("E6(b)", "BAD_STATE_ROUTE")
    stale = list(edits.stale_rules(talk.network.topology, "vpc-a"))
    assert [(found.group.name, found.direction, found.rule.peer) for found in stale] == [("app", IN, GroupPeer("sg-b"))]

    def peer_again(topology):
        tables = [topology.entities[key] for key in ("rtb-pub", "rtb-priv", "rtb-b")]
        fixed = [
            replace(table, routes=tuple(replace(way, target="pcx-new", blackhole=False) if way.blackhole else way for way in table.routes))
            for table in tables
        ]
        return topology.replace(VpcPeeringConnection("pcx-new", "vpc-a", "vpc-b"), *fixed)

    talk.edit(peer_again)
    assert not list(edits.stale_rules(talk.network.topology, "vpc-a"))
    talk.send(tcp(B1, APP1, "40002>443", "S")).accepted(by="app ingress 1")


@pytest.mark.parametrize(
    ("groups", "victim", "code"),
    [
        pytest.param((group("x"), group("y", [("all", GroupPeer("x"))])), "x", "DependencyViolation", id="named by another group"),
        pytest.param((group("x"),), "lab", "DependencyViolation", id="on an interface"),
        pytest.param((), "default", "CannotDelete", id="the default group"),
    ],
)
def test_s9_deleting_groups_refused(groups, victim, code):
    """A group in use, one that is named in its VPC, and the default group cannot be deleted (SG-13, SG-35)."""
    topology = base(*groups)
    with pytest.raises(ApiError) as refused:
        edits.delete_group(topology, f"vpc-a/{victim}")
    assert refused.value.code == code


def test_s9_deleting_a_group_that_only_a_peer_names():
    """A rule of a peer VPC does not protect a group: it goes, and the rule turns stale and matches nothing (SG-36, SG-32)."""
    talk = Dialogue(base(group("app", [("tcp/443", GroupPeer("vpc-b/sg-b"))]), group("sg-b", vpc="vpc-b"), app1="app"))
    assert not list(edits.stale_rules(talk.network.topology, "vpc-a"))
    talk.edit(edits.delete_group, "sg-b")
    assert [found.group.name for found in edits.stale_rules(talk.network.topology, "vpc-a")] == ["app"]
    talk.send(tcp(B1, APP1, "40000>443", "S")).dropped("I2(app1)")


def test_s10_icmp_type_and_code():
    """FromPort is the type and ToPort the code, -1 is all; a reply needs its request (SG-20, CT-3, CT-4, CT-6, CT-36)."""
    talk = Dialogue(base(group("icmp", [("icmp/8", "203.0.113.0/24"), ("icmp/3/4", "0.0.0.0/0")], []), web="icmp"))
    talk.send(icmp(EXT, WEB_PUBLIC, 8)).accepted(by="icmp ingress 1", tracked=True)
    talk.send(icmp(WEB, EXT, 0)).accepted(by="icmp ingress 1", tracked=True)
    talk.send(icmp(EXT, WEB_PUBLIC, 13)).dropped("I2(web)")
    talk.send(icmp(EXT, WEB_PUBLIC, 0, ident=9)).dropped("I2(web)")
    talk.send(icmp(EXT, WEB_PUBLIC, 3, 4)).accepted(by="icmp ingress 2", tracked=False)
    talk.send(icmp(EXT, WEB_PUBLIC, 3, 1)).dropped("I2(web)")
    talk.send(icmp(WEB, EXT, 8, ident=8)).dropped("E3(web)", NO_RULES)
    talk.count(1)


def test_s11_families_are_separate():
    """A rule for all of IPv4 matches no IPv6 (SG-15)."""
    talk = Dialogue(base(group("v4", [], [ALL_OUT]), web="v4"))
    talk.send(tcp(WEB, EXT, "40000>443", "S")).accepted()
    talk.send(tcp(WEB_V6, EXT_V6, "40000>443", "S")).dropped("E3(web)")


def test_s12_protocol_numbers():
    """A protocol by number takes all ports, whatever was written; -1 takes everything (SG-16, SG-17)."""
    numbered = Rule(47, (80, 80), ip_network("10.0.0.0/16"))
    talk = Dialogue(base(group("gre", [numbered]), group("all", [Rule.of("-1", "10.0.0.0/16")]), app1="gre", app2="all"))
    talk.send(other(DB, APP1, 47)).accepted(by="gre ingress 1")
    talk.send(tcp(DB, APP1, "40000>80", "S")).dropped("I2(app1)")
    talk.send(other(DB, APP2, 47)).accepted(by="all ingress 1")
    talk.send(tcp(DB, APP2, "40000>80", "S")).accepted(by="all ingress 1")
    talk.send(icmp(DB, APP2, 8)).accepted(by="all ingress 1")


def test_s13_prefix_list():
    """A list's new version counts for the next new connection, tracked ones live on; its weight is its maximum (SG-27, SG-40, SG-54)."""
    entries = PrefixList("pl-x", "vpc-a", (ip_network("203.0.113.0/25"),), max_entries=10)
    talk = Dialogue(base(entries, group("https", [("tcp/443", ListPeer("pl-x"))]), web="https"))
    for host in (EXT, EXT2):
        talk.send(tcp(host, WEB_PUBLIC, "50000>443", "S")).accepted(by="https ingress 1", tracked=True)
        talk.send(tcp(WEB, host, "443>50000", "SA")).accepted()
    talk.edit(lambda topology: topology.changed("pl-x", entries=(ip_network("203.0.113.0/26"),)))
    talk.send(tcp(EXT, WEB_PUBLIC, "50001>443", "S")).accepted(by="https ingress 1")
    talk.send(tcp(EXT2, WEB_PUBLIC, "50001>443", "S")).dropped("I2(web)")
    talk.send(tcp(EXT2, WEB_PUBLIC, "50000>443", "A")).accepted(tracked=True)
    topology = talk.network.topology
    (rule,) = topology.entities["sg-https"].ingress
    assert edits.weight_of(topology, rule, 4) == 10
