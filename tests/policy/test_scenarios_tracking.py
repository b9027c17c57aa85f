"""The worked scenarios S-14 to S-25 of the semantics (section 10.2): connection tracking, packet by packet."""

from ipaddress import ip_address, ip_network

import pytest

from emulator.model import edits
from emulator.model.entities import ConnectionTracking, NetworkInterface
from emulator.model.groups import AclRule, Direction, Rule
from tests.base import ALL_OUT, ALL_OUT_V6, APP1, DB, EXT, EXT2, EXT_V6, WEB, WEB_PUBLIC, WEB_V6, base, group
from tests.dialogue import NO_RULES, Dialogue, icmp, other, tcp, udp

IN, OUT = Direction.INGRESS, Direction.EGRESS
DAYS_5 = 432_000


def shake(talk, ports, inward=True, v6=False):
    """A TCP handshake between ext and web, opened by ext (``inward``) or by web; every segment passes."""
    web_in, web_out, ext = (WEB_V6, WEB_V6, EXT_V6) if v6 else (WEB_PUBLIC, WEB, EXT)
    back = ">".join(reversed(ports.split(">")))
    first, second = ((ext, web_in), (web_out, ext)) if inward else ((web_out, ext), (ext, web_in))
    talk.send(tcp(*first, ports, "S")).accepted()
    talk.send(tcp(*second, back, "SA")).accepted()
    talk.send(tcp(*first, ports, "A")).accepted()
    return talk


DOCUMENTED = [("tcp/22", f"{EXT}/32"), ("tcp/80", "0.0.0.0/0"), ("tcp/80", "::/0"), ("icmp", "0.0.0.0/0")]


def test_s14_the_documented_table():
    """tcp/22 and ICMP are tracked, tcp/80 open to all is not; without the IPv4 rule out all of IPv4 is.

    Facts CT-3, CT-9, CT-11, CT-15.
    """
    talk = Dialogue(base(group("docs", DOCUMENTED, [ALL_OUT, ALL_OUT_V6]), web="docs"))
    shake(talk, "50000>22")
    shake(talk, "50001>80")
    shake(talk, "50002>80", v6=True)
    talk.send(icmp(EXT, WEB_PUBLIC, 8)).accepted(tracked=True)
    talk.tracks(f"tcp {EXT}:50000 > {WEB}:22", f"icmp {EXT}:7 > {WEB}:7")

    talk.edit(edits.revoke, "docs", OUT, ALL_OUT)
    shake(talk, "50003>80")
    shake(talk, "50004>80", v6=True)
    talk.send(tcp(WEB_V6, EXT_V6, "80>50004", "A")).accepted(tracked=False)
    talk.tracks(f"tcp {EXT}:50000 > {WEB}:22", f"icmp {EXT}:7 > {WEB}:7", f"tcp {EXT}:50003 > {WEB}:80")


@pytest.mark.parametrize("midstream", ["rules_only", "pickup"])
def test_s15_untracked_flow_rule_removed(midstream):
    """Removing the rule cuts an untracked flow at once, and the server's own segments do not bring it back (SG-53, CT-9, CT-17, CT-31)."""
    rule = Rule.of("tcp/22", "0.0.0.0/0")
    talk = Dialogue(base(group("ssh", [rule], [ALL_OUT]), web="ssh", policy={"midstream_tcp": midstream}))
    shake(talk, "50000>22")
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22", "PA")).accepted(tracked=False)
    talk.send(tcp(WEB, EXT, "22>50000", "PA")).accepted(tracked=False).count(0)
    talk.edit(edits.revoke, "ssh", IN, rule)
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22", "A")).dropped("I2(web)", NO_RULES)
    talk.send(tcp(WEB, EXT, "22>50000", "A")).accepted(by="ssh egress 1")
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22", "A"))
    if midstream == "rules_only":
        talk.dropped("I2(web)", NO_RULES).count(0)
    else:  # which contradicts the guide, and so is not the default
        talk.accepted(tracked=True).count(1)


def _ssh_tracked():
    rule = Rule.of("tcp/22", f"{EXT}/32")
    talk = Dialogue(base(group("ssh", [rule], [ALL_OUT]), web="ssh"))
    shake(talk, "50000>22").tracks(f"tcp {EXT}:50000 > {WEB}:22")
    return talk.edit(edits.revoke, "ssh", IN, rule)


def test_s16_tracked_flow_rule_removed():
    """A tracked flow outlives its rule until it idles out; new ones are refused at once (SG-54, CT-20, CT-30)."""
    talk = _ssh_tracked()
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22", "PA")).accepted(tracked=True)
    talk.send(tcp(EXT, WEB_PUBLIC, "50001>22", "S")).dropped("I2(web)", NO_RULES)
    talk.at(DAYS_5 - 1).send(tcp(EXT, WEB_PUBLIC, "50000>22", "PA")).accepted(tracked=True)
    talk.at(2 * DAYS_5).send(tcp(EXT, WEB_PUBLIC, "50000>22", "PA")).dropped("I2(web)", NO_RULES).count(0)


def test_s17_acl_cuts_what_a_group_keeps():
    """A network ACL cuts a tracked flow at once; without the entry it goes on, for the tracking stands (SG-56, NA-11, CT-30)."""
    talk = _ssh_tracked()
    open_acl = talk.network.topology.entities["acl-default-a"]
    deny = AclRule(50, False, 6, (22, 22), ip_network(f"{EXT}/32"))
    talk.edit(lambda topology: topology.changed(open_acl.id, ingress=(deny, *open_acl.ingress)))
    talk.at(10).send(tcp(EXT, WEB_PUBLIC, "50000>22", "PA")).dropped("I1(pub-a)", "SUBNET_ACL_RESTRICTION").count(1)
    talk.edit(lambda topology: topology.replace(open_acl))
    talk.at(20).send(tcp(EXT, WEB_PUBLIC, "50000>22", "PA")).accepted(tracked=True)


def test_s18_client_flows_of_an_open_server_are_tracked():
    """What a server opens itself is tracked, until a rule admits answers on any port from everyone (CT-9, CT-10, CT-12)."""
    talk = Dialogue(base(group("http", [("tcp/80", "0.0.0.0/0")], [ALL_OUT]), web="http"))
    talk.send(tcp(WEB, EXT, "40000>443", "S")).accepted(tracked=True)
    talk.tracks(f"tcp {WEB}:40000 > {EXT}:443")
    talk.send(tcp(EXT, WEB_PUBLIC, "443>40000", "SA")).accepted(by="http egress 1", tracked=True)
    talk.edit(edits.authorize, "http", IN, Rule.of("tcp/0-65535", "0.0.0.0/0"))
    talk.send(tcp(WEB, EXT, "40001>443", "S")).accepted(tracked=False)
    talk.send(tcp(EXT, WEB_PUBLIC, "443>40001", "SA")).accepted(by="http ingress 2", tracked=False)
    talk.tracks(f"tcp {WEB}:40000 > {EXT}:443")


def _idle(instance_type="m8g.large", **tracking):
    topology = base(group("new"), web="new").changed("i-web", instance_type=instance_type)
    talk = Dialogue(topology.changed("eni-web", tracking=ConnectionTracking(**tracking)))
    return shake(talk, "40000>443", inward=False)


def test_s19_tcp_idle():
    """An idle flow ends after 350 s on Nitro v6, its interface's own time, or five days (CT-20, CT-27, CT-30, CT-31)."""
    data = tcp(EXT, WEB_PUBLIC, "443>40000", "PA")
    run_a = _idle().at(340).send(data).accepted(tracked=True)
    run_a.at(680).send(data).accepted(tracked=True)

    run_b = _idle().at(360).send(data).dropped("I2(web)", NO_RULES)
    run_b.at(361).send(tcp(WEB, EXT, "40000>443", "PA")).accepted().count(0)
    run_b.at(361.1).send(tcp(EXT, WEB_PUBLIC, "443>40000", "A")).dropped("I2(web)", NO_RULES)

    _idle(tcp_established_s=86_400).at(360).send(data).accepted(tracked=True)
    _idle("m5.large").at(360).send(data).accepted(tracked=True)


def _asked(talk, *times):
    """A query of web to ext and its reply 0.1 s later, at each time."""
    for time in times:
        talk.at(time).send(udp(WEB, EXT, "40000>53")).accepted()
        talk.at(time + 0.1).send(udp(EXT, WEB_PUBLIC, "53>40000")).accepted(tracked=True)
    return talk


def test_s20_udp_timers():
    """One transaction lives 30 s, a stream 180 s, or what the interface says (CT-21 to CT-23, CT-27)."""
    reply = udp(EXT, WEB_PUBLIC, "53>40000")
    topology = base(group("new"), web="new")
    run_a = _asked(Dialogue(topology), 0).at(29).send(reply).accepted(tracked=True)
    run_a.at(60.5).send(reply).dropped("I2(web)", NO_RULES)

    run_b = _asked(Dialogue(topology), 0, 1).at(170).send(reply).accepted(tracked=True)
    run_b.at(352).send(reply).dropped("I2(web)", NO_RULES)

    slow = topology.changed("eni-web", tracking=ConnectionTracking(udp_s=60))
    _asked(Dialogue(slow), 0).at(50).send(reply).accepted(tracked=True)


def test_s21_other_protocols():
    """GRE out lets any GRE of that host in for 600 s, and of no other host (CT-8)."""

    def talk():
        return Dialogue(base(group("new"), web="new")).send(other(WEB, EXT, 47, b"\0\0\x08\0")).accepted()

    keyed = b"\x20\0\x08\0\0\0\0\x2a"  # with another key
    talk().at(599).send(other(EXT, WEB_PUBLIC, 47, keyed)).accepted(tracked=True)
    talk().at(601).send(other(EXT, WEB_PUBLIC, 47)).dropped("I2(web)", NO_RULES)
    talk().at(1).send(other(EXT2, WEB_PUBLIC, 47)).dropped("I2(web)", NO_RULES)


def test_s22_table_full():
    """When the table is full, what would need an entry is dropped and counted; the rest goes on (CT-40, CT-41, CT-9, CT-26)."""
    rules = [("tcp/22", "203.0.113.0/24"), ("tcp/80", "0.0.0.0/0")]
    talk = Dialogue(base(group("full", rules, [ALL_OUT]), web="full", policy={"max_entries": 2}))
    talk.send(tcp(EXT, WEB_PUBLIC, "50001>22", "S")).accepted(tracked=True)
    talk.send(tcp(EXT, WEB_PUBLIC, "50002>22", "S")).accepted(tracked=True)
    talk.send(tcp(EXT, WEB_PUBLIC, "50003>22", "S")).dropped("I2(web)", "EMU_CT_EXHAUSTED")
    assert talk.network.allowance_exceeded("web") == 1
    talk.send(tcp(EXT, WEB_PUBLIC, "50004>80", "S")).accepted(tracked=False)
    talk.send(tcp(WEB, EXT, "80>50004", "SA")).accepted()
    talk.send(tcp(EXT, WEB_PUBLIC, "50001>22", "A")).accepted(tracked=True)
    talk.send(tcp(WEB, EXT, "22>50002", "R")).accepted()
    talk.send(tcp(EXT, WEB_PUBLIC, "50003>22", "S")).accepted(tracked=True)
    talk.tracks(f"tcp {EXT}:50001 > {WEB}:22", f"tcp {EXT}:50003 > {WEB}:22")
    assert talk.network.allowance_exceeded("web") == 1


def test_s23_after_the_close():
    """When both FINs are acknowledged the flow is gone, and a late retransmission meets the rules (CT-26)."""
    talk = shake(Dialogue(base(group("new"), web="new")), "40000>443", inward=False)
    talk.send(tcp(WEB, EXT, "40000>443", "FA")).accepted()
    talk.send(tcp(EXT, WEB_PUBLIC, "443>40000", "A")).accepted(tracked=True)
    talk.send(tcp(EXT, WEB_PUBLIC, "443>40000", "FA")).accepted(tracked=True).count(1)
    talk.send(tcp(WEB, EXT, "40000>443", "A")).accepted().count(0)
    talk.at(1).send(tcp(EXT, WEB_PUBLIC, "443>40000", "FA")).dropped("I2(web)", NO_RULES)


@pytest.mark.parametrize(
    ("knob", "first", "answer", "entries"),
    [
        pytest.param("rules_only", None, ("E3(db)", NO_RULES), 0, id="rules_only: passes by a rule, opens nothing"),
        pytest.param("pickup", None, None, 1, id="pickup: opens an entry"),
        pytest.param("strict", ("E3(app1)", "EMU_TCP_MIDSTREAM"), None, 0, id="strict: dropped where it starts"),
    ],
)
def test_s24_capture_starts_mid_connection(knob, first, answer, entries):
    """A segment without a handshake: the knob ct.midstream_tcp decides (CT-31, CT-32)."""
    talk = Dialogue(base(group("sql", [("tcp/5432", "10.0.0.0/16")], []), db="sql", policy={"midstream_tcp": knob}))
    talk.send(tcp(APP1, DB, "40000>5432", "A"))
    talk.dropped(*first) if first else talk.accepted(by="sql ingress 1", tracked=entries > 0)
    talk.count(entries, "db")
    if first is None:
        talk.send(tcp(DB, APP1, "5432>40000", "A"))
        talk.dropped(*answer) if answer else talk.accepted(tracked=True)


@pytest.mark.parametrize("check", [True, False])
def test_s25_two_interfaces_on_one_host(check):
    """Each interface has its own groups, its own check and its own memory (FB-24, CT-35, SG-12)."""
    eth1 = NetworkInterface("eth1", "web", "app-a", (ip_address("10.0.1.30"),), (), ("lab",), source_dest_check=check)
    talk = Dialogue(base(eth1, group("http", [("tcp/80", "0.0.0.0/0")], []), web="http"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>80", "S")).accepted(by="http ingress 1", tracked=True)
    talk.send(tcp(WEB, EXT, "80>50000", "SA"), source="web:eth1")
    if check:
        talk.dropped("E2(web:eth1)", "ENI_SOURCE_DEST_CHECK_RESTRICTION")
        return
    talk.passes("E3", "E6")
    assert talk.step("E3").rule.name == "lab egress 1"
    assert talk.step("E3").text.startswith("lab egress 1 allows it"), "by a rule, not by what eth0 remembers"
    assert talk.step("E6").text == "0.0.0.0/0 → nat-a"
    assert talk.network.entries("web:eth1") == []
