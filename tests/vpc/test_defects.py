"""Defects that other tools shipped, each as a test that it is not here; and facts that no scenario holds."""

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

from emulator.errors import ApiError, TopologyError
from emulator.model import edits
from emulator.model.entities import RouteTable, Subnet
from emulator.model.groups import AclRule, Direction, GroupPeer, NetworkAcl, PrefixList, Rule
from emulator.model.quotas import warnings_of
from emulator.model.services import ALL, ANY_PORTS, parse_service
from tests.base import ANYONE, ANYONE_V6, APP1, APP2, DB, EXT, EXT_V6, WEB, WEB_PUBLIC, WEB_V6, base, group, ip_network, route
from tests.dialogue import NO_RULES, Dialogue, icmp, tcp, udp

ACL = "SUBNET_ACL_RESTRICTION"
PUB_A = (ip_network("10.0.0.0/24"), ip_network("2001:db8:a::/64"))


def entry(number, service, source=ANYONE, allow=True):
    """A numbered entry of a network ACL."""
    return AclRule(number, allow, *parse_service(service), ip_network(source))


def test_defect_egress_accept_that_skips_the_receivers_ingress():
    """What the sender's groups let out is judged by the receiver's as well (SG-9, SG-12)."""
    talk = Dialogue(base(group("out", [], [("all", ANYONE)]), group("none", [], []), app1="out", db="none"))
    talk.send(tcp(APP1, DB, "40000>22")).dropped("I2(db)", NO_RULES).passes("E3")


def test_defect_same_subnet_traffic_that_bypasses_groups():
    """Neighbours in one subnet are filtered at both ends (SG-9)."""
    talk = Dialogue(base(group("none", [], []), app2="none"))
    talk.send(tcp(APP1, APP2, "1>2")).dropped("I2(app2)", NO_RULES)
    talk.send(tcp(APP2, APP1, "1>2")).dropped("E3(app2)", NO_RULES)


def test_defect_an_acl_deny_that_beats_a_lower_numbered_allow():
    """The lowest number decides, though a later entry denies (NA-4)."""
    entries = (entry(100, "all"), entry(200, "all", allow=False))
    own = NetworkAcl("own", "vpc-a", entries, entries)
    talk = Dialogue(base(own, Subnet("db-a", "vpc-a", (ip_network("10.0.2.0/24"),), network_acl="own")))
    talk.send(tcp(APP1, DB, "1>2")).accepted()


def test_defect_established_accepted_before_acls():
    """A tracked flow meets the ACLs with every packet (NA-3, NA-11, SG-56)."""
    talk = Dialogue(base())
    talk.send(tcp(APP1, DB, "40000>22", "S")).accepted(tracked=True)
    talk.edit(
        lambda topology: topology.changed(_default_acl(topology), ingress=(entry(50, "tcp/22", "10.0.1.0/24", False), entry(100, "all")))
    )
    talk.send(tcp(APP1, DB, "40000>22", "A")).dropped("I1(db-a)", ACL)


def _default_acl(topology):
    return next(acl.id for acl in topology.all(NetworkAcl) if acl.name == "default" and acl.vpc == "vpc-a")


def test_defect_implicit_deny_missing():
    """What no entry matches is denied by the last one, which is nobody's entry and shadows none (NA-5)."""
    own = NetworkAcl("own", "vpc-a", (entry(100, "tcp/22"),), (entry(100, "all"),))
    talk = Dialogue(base(own, Subnet("db-a", "vpc-a", (ip_network("10.0.2.0/24"),), network_acl="own")))
    talk.send(tcp(APP1, DB, "1>23")).dropped("I1(db-a)", ACL)
    assert "* denies it" in talk.trace.why.text
    assert not warnings_of(talk.network.topology)


def test_defect_group_references_flattened_to_address_sets():
    """Behind an appliance a reference fails although the address is a member's (SG-25)."""
    names = group("srv", [Rule(6, (5432, 5432), GroupPeer("clients"))])
    table = RouteTable("rtb-priv", "vpc-a", (route("10.0.2.0/24", "mbx"),))
    talk = Dialogue(base(group("clients"), names, table, app1="clients", db="srv"))
    talk.send(tcp(APP1, DB, "40000>5432")).dropped("I2(db)", "SG_REFERENCES_NOT_PRESERVED")
    Dialogue(base(group("clients"), names, app1="clients", db="srv")).send(tcp(APP1, DB, "40000>5432")).accepted()


def test_defect_icmp_type_range_read_as_ports():
    """From 3 To 4 is type 3 code 4, not types 3 to 4 (SG-20)."""
    talk = Dialogue(base(group("unreachable", [Rule(1, (3, 4), ip_network(ANYONE))]), web="unreachable"))
    talk.send(icmp(EXT, WEB_PUBLIC, 3, 4)).accepted()
    talk.send(icmp(EXT, WEB_PUBLIC, 4, 0)).dropped("I2(web)")
    talk.send(icmp(EXT, WEB_PUBLIC, 3, 3)).dropped("I2(web)")


def test_defect_ipv6_opened_by_an_ipv4_rule():
    """A rule for 0.0.0.0/0 opens no IPv6, in groups and in ACLs (SG-15, NA-6)."""
    talk = Dialogue(base(group("v4", [("all", ANYONE)], [("all", ANYONE)]), web="v4"))
    talk.send(tcp(EXT_V6, WEB_V6, "1>2")).dropped("I2(web)")
    talk.send(tcp(WEB_V6, EXT_V6, "1>2")).dropped("E3(web)")


def test_defect_duplicate_rule_accepted():
    """A rule that is there already is refused, however its block was spelt (SG-22, SG-51)."""
    with pytest.raises(ApiError) as caught:
        edits.authorize(base(group("g", [("tcp/22", "10.1.2.0/24")])), "g", Direction.INGRESS, Rule.of("tcp/22", "10.1.2.3/24"))
    assert caught.value.code == "InvalidPermission.Duplicate"


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(Rule(6, (90, 80), ip_network(ANYONE)), id="ports that fall"),
        pytest.param(Rule(6, (0, 65536), ip_network(ANYONE)), id="a port above 65535"),
        pytest.param(Rule(1, (-1, 4), ip_network(ANYONE)), id="SG-20 all types with one code"),
        pytest.param(Rule(300, ANY_PORTS, ip_network(ANYONE)), id="SG-16 a protocol above 255"),
        pytest.param(Rule(ALL, ANY_PORTS, GroupPeer("nobody")), id="a group that nobody declared"),
    ],
)
def test_defect_an_invalid_rule_that_fails_open(rule):
    """A rule that cannot be is an error, and opens nothing (SG-16 to SG-20, SG-51)."""
    with pytest.raises(TopologyError):
        base(group("g", [rule]))


def test_s51_an_open_udp_server_makes_no_entries():
    """Queries and answers of an open udp server stay untracked, its own queries are tracked (CT-9, CT-10, CT-17, CT-18, SG-53)."""
    talk = Dialogue(base(group("dns", [("udp/53", ANYONE)], [("all", ANYONE)]), web="dns"))
    talk.send(udp(EXT, WEB_PUBLIC, "50000>53")).accepted(tracked=False).count(0)
    talk.send(udp(WEB, EXT, "53>50000")).accepted(tracked=False).count(0)
    talk.send(udp(WEB, "8.8.8.8", "40000>53")).accepted().count(1)
    talk.send(udp("8.8.8.8", WEB_PUBLIC, "53>40000")).accepted(tracked=True)
    talk.edit(edits.revoke, "dns", Direction.INGRESS, Rule.of("udp/53", ANYONE))
    talk.send(udp(EXT, WEB_PUBLIC, "50000>53")).dropped("I2(web)", NO_RULES)


def test_fb28_acls_drop_the_routers_message_too():
    """A "fragmentation needed" does not pass an ACL without an entry for it (FB-28)."""
    for entries, told in (((entry(100, "udp"),), False), ((entry(100, "udp"), entry(110, "icmp/3/4")), True)):
        own = NetworkAcl("own", "vpc-a", entries, (entry(100, "all"),))
        talk = Dialogue(base(own, Subnet("pub-a", "vpc-a", PUB_A, route_table="rtb-pub", network_acl="own")))
        talk.send(IP(src=WEB, dst=EXT, flags="DF") / UDP(sport=1, dport=2) / Raw(b"x" * 1500))
        assert talk.trace.made[0].accepted == told


def test_rt21_a_public_subnet_needs_a_public_address_as_well():
    """A route to the gateway makes a subnet public, the instance still needs an address (RT-21, RT-22)."""
    talk = Dialogue(base())
    talk.send(tcp("10.0.0.12", EXT, "1>2")).dropped("E8(igw-a)", "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")


def test_rt26_a_guest_never_sees_its_public_address():
    """What arrives is addressed to the private address (RT-26)."""
    talk = Dialogue(base(group("any", [("all", ANYONE)]), web="any"))
    talk.send(tcp(EXT, WEB_PUBLIC, "1>2")).accepted(destination=WEB)
    assert WEB_PUBLIC not in str(talk.trace.delivered.scapy.summary())


def test_sg34_stale_rules_are_listed_with_their_group():
    """The stale rules of a VPC come with their group, direction and peer (SG-32, SG-34)."""
    topology = edits.delete_peering(base(group("peer", [Rule(6, (443, 443), GroupPeer("vpc-b/lab"))])), "pcx-ab")
    (stale,) = edits.stale_rules(topology, "vpc-a")
    assert (stale.group.name, stale.direction, stale.rule.ports) == ("peer", Direction.INGRESS, (443, 443))


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        pytest.param([group(f"g{n}") for n in range(2500)], "SecurityGroupLimitExceeded", id="SG-38 2,500 groups in a Region"),
        pytest.param([PrefixList(f"l{n}", "vpc-a", ()) for n in range(101)], "PrefixListLimitExceeded", id="SG-43 100 prefix lists"),
    ],
)
def test_quotas_of_a_region(parts, code):
    """More than a Region may have is a warning with EC2's code."""
    assert [code in line for line in warnings_of(base(*parts))] == [True]


def test_sg43_a_prefix_list_has_a_thousand_entries_at_most():
    """A list of more than 1,000 entries is refused (SG-43)."""
    blocks = tuple(ip_network(f"9.{n // 256}.{n % 256}.0/24") for n in range(1001))
    with pytest.raises(TopologyError, match="SG-43"):
        base(PrefixList("long", "vpc-a", blocks))


def test_ct15_the_documented_example():
    """Port 22 is tracked, port 80 is not, ICMP is; without the outbound IPv4 rule all IPv4 is tracked, IPv6 as before (CT-15)."""
    rules = [("tcp/22", f"{EXT}/32"), ("tcp/80", ANYONE), ("tcp/80", ANYONE_V6), ("icmp", ANYONE)]
    talk = Dialogue(base(group("web", rules, [("all", ANYONE), ("all", ANYONE_V6)]), web="web"))
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>22")).accepted().count(1)
    talk.send(tcp(EXT, WEB_PUBLIC, "50000>80")).accepted().count(1)
    talk.send(tcp(EXT_V6, WEB_V6, "50000>80")).accepted().count(1)
    talk.send(icmp(EXT, WEB_PUBLIC, 8)).accepted().count(2)
    talk.edit(edits.revoke, "web", Direction.EGRESS, Rule.of("all", ANYONE))
    talk.send(tcp(EXT, WEB_PUBLIC, "50001>80")).accepted().count(3)
    talk.send(tcp(EXT_V6, WEB_V6, "50001>80")).accepted().count(3)
