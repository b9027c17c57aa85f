"""S-46 and S-47, quotas and EC2's error codes for groups, ACLs and routes (SG-38 to SG-52, NA-15, NA-16, RT-17, RT-18)."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from emulator.errors import ApiError, TopologyError
from emulator.model import edits, edits_network
from emulator.model.entities import Instance, InternetGateway, NetworkInterface, RouteTable, Subnet, Vpc, VpcPeeringConnection
from emulator.model.files import dump, loads
from emulator.model.groups import AclRule, Direction, GroupPeer, ListPeer, NetworkAcl, PrefixList, Rule, SecurityGroup, block
from emulator.model.joined import CustomerNetwork, VpnGateway
from emulator.model.quotas import warnings_of
from emulator.model.services import ALL, ANY_PORTS
from emulator.model.topology import Topology
from tests.base import ANYONE, APP1, DB, EXT, WEB, base, group, ip_network, route
from tests.dialogue import Dialogue, other, tcp

IN, OUT = Direction.INGRESS, Direction.EGRESS


def rules(number, family=4):
    """So many rules of one family."""
    return [Rule.of(f"tcp/{1000 + n}", ANYONE if family == 4 else "::/0") for n in range(number)]


def refused(code, edit, *args):
    """The edit is refused with that code of EC2's."""
    with pytest.raises(ApiError) as caught:
        edit(*args)
    assert caught.value.code == code


def test_s46_sixty_rules_of_each_family():
    """Sixty IPv4 rules fill a direction for IPv4 and leave IPv6 and the other direction free (SG-39, SG-51)."""
    topology = base(group("full", rules(60)))
    refused("RulesPerSecurityGroupLimitExceeded", edits.authorize, topology, "full", IN, Rule.of("tcp/22", ANYONE))
    topology = edits.authorize(topology, "full", IN, *rules(60, family=6))
    topology = edits.authorize(topology, "full", OUT, *rules(59))
    assert len(topology.get("sg-full", SecurityGroup).ingress) == 120


@pytest.mark.parametrize(
    ("most", "fits"), [pytest.param(11, False, id="SG-40 a list of at most 11"), pytest.param(10, True, id="SG-40 of at most 10")]
)
def test_s46_a_prefix_list_weighs_its_maximum(most, fits):
    """A prefix list counts what it may have, not what it has (SG-40)."""
    entries = PrefixList("pl", "vpc-a", (ip_network("203.0.113.0/25"), ip_network("198.51.100.0/25")), most)
    topology = base(entries, group("full", rules(50)))
    rule = Rule(6, (22, 22), ListPeer("pl"))
    if fits:
        edits.authorize(topology, "full", IN, rule)
    else:
        refused("RulesPerSecurityGroupLimitExceeded", edits.authorize, topology, "full", IN, rule)


def test_sg41_a_group_reference_counts_in_both_families():
    """A reference to a group weighs one against IPv4 and one against IPv6 (SG-41)."""
    topology = base(group("full", rules(60, family=6)))
    refused("RulesPerSecurityGroupLimitExceeded", edits.authorize, topology, "full", IN, Rule(6, (22, 22), GroupPeer("lab")))


def test_s46_five_groups_on_an_interface():
    """A sixth group on an interface is refused (SG-42)."""
    names = [f"g{n}" for n in range(6)]
    topology = base(*(group(name) for name in names))
    refused("SecurityGroupsPerInterfaceLimitExceeded", edits.replace_groups, topology, "web", *names)
    assert edits.replace_groups(topology, "web", *names[:5])


def test_s47_duplicates():
    """A rule that says the same after canonicalisation is a duplicate, whatever its description (SG-22, SG-51)."""
    topology = edits.authorize(base(group("g")), "g", IN, Rule.of("tcp/22", "100.68.0.18/18"))
    (stored,) = topology.get("sg-g", SecurityGroup).ingress
    assert str(stored.peer) == "100.68.0.0/18"
    for again in (Rule.of("tcp/22", "100.68.0.0/18"), Rule.of("tcp/22", "100.68.0.0/18", "other words")):
        refused("InvalidPermission.Duplicate", edits.authorize, topology, "g", IN, again)
    refused("InvalidPermission.NotFound", edits.revoke, topology, "g", IN, Rule.of("tcp/23", ANYONE))


def test_s47_revoking_what_is_not_there_in_the_default_vpc():
    """In the default VPC a rule that is not there is no error but listed as unknown; what is there goes (SG-49, SG-51)."""
    topology = base(group("g", [("tcp/22", ANYONE)])).changed("vpc-a", is_default=True)
    there, missing = Rule.of("tcp/22", ANYONE), Rule.of("tcp/23", ANYONE)
    assert edits.unknown_permissions(topology, "g", IN, there, missing) == (missing,)
    assert edits.revoke(topology, "g", IN, missing, there).get("sg-g", SecurityGroup).ingress == ()
    assert edits.unknown_permissions(topology, "g", IN, topology.get("sg-g", SecurityGroup).ingress[0]) == ()
    assert loads(dump(topology), "again.yaml").get("vpc-a", Vpc).is_default


def test_sg52_a_batch_with_a_bad_rule_adds_none():
    """One duplicate in a batch refuses it whole (SG-52)."""
    topology = edits.authorize(base(group("g")), "g", IN, Rule.of("tcp/22", ANYONE))
    refused("InvalidPermission.Duplicate", edits.authorize, topology, "g", IN, Rule.of("tcp/23", ANYONE), Rule.of("tcp/22", ANYONE))
    assert len(topology.get("sg-g", SecurityGroup).ingress) == 1


def test_sg33_a_peering_made_again_ends_staleness():
    """When the peering between the same VPCs is there again, the rules are no longer stale (SG-33)."""
    topology = base(group("peer", [Rule(6, (443, 443), GroupPeer("vpc-b/lab"))]), app1="peer")
    gone = edits.delete_peering(topology, "pcx-ab")
    assert [stale.group.name for stale in edits.stale_rules(gone, "vpc-a")] == ["peer"]
    again = gone.replace(VpcPeeringConnection("pcx-new", "vpc-a", "vpc-b"))
    assert list(edits.stale_rules(again, "vpc-a")) == []


def test_sg37_a_group_that_names_itself_can_be_deleted():
    """A rule that names its own group does not keep the group (SG-37)."""
    topology = base(group("own", [Rule(ALL, ANY_PORTS, GroupPeer("own"))]))
    assert "sg-own" not in edits.delete_group(topology, "own").entities


def test_sg3_groups_are_of_one_vpc():
    """A group of another VPC cannot be put on an interface (SG-3)."""
    with pytest.raises(TopologyError, match=r"SG-3|no security group"):
        base(group("theirs", vpc="vpc-b"), web="theirs")


def entry(number, allow=True):
    """An entry of a network ACL for all IPv4."""
    return AclRule(number, allow, ALL, ANY_PORTS, ip_network(ANYONE))


MALFORMED, VALUE = "InvalidPermission.Malformed", "InvalidParameterValue"


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        pytest.param(MALFORMED, Rule(1, (-1, 4), block(ANYONE)), id="SG-51 all ICMP types with one code"),
        pytest.param(VALUE, Rule(6, (22, 65536), block(ANYONE)), id="SG-51 a port beyond 65535"),
        pytest.param(VALUE, Rule(17, (53, 52), block(ANYONE)), id="SG-51 ports that fall"),
        pytest.param(VALUE, Rule(256, (-1, -1), block(ANYONE)), id="SG-51 a protocol beyond 255"),
        pytest.param("InvalidPrefixListID.NotFound", Rule(6, (22, 22), ListPeer("pl-none")), id="SG-51 no such prefix list"),
        pytest.param("InvalidPrefixListId.Malformed", Rule(6, (22, 22), ListPeer("pl-?")), id="SG-51 no prefix list's id"),
        pytest.param("InvalidGroup.NotFound", Rule(6, (22, 22), GroupPeer("sg-none")), id="SG-51 no such group as peer"),
        pytest.param("InvalidGroupId.Malformed", Rule(6, (22, 22), GroupPeer("sg-*")), id="SG-51 no group's id as peer"),
    ],
)
def test_sg51_rules_that_are_refused(code, rule):
    """A rule that cannot be is refused with EC2's code, alone and in a batch with good ones (SG-51, SG-52)."""
    topology = base(group("g"))
    refused(code, edits.authorize, topology, "g", IN, rule)
    refused(code, edits.authorize, topology, "g", OUT, Rule.of("tcp/1", ANYONE), rule)


def test_sg51_groups_that_are_refused():
    """EC2's codes for groups that are not there, cannot be made, or are named wrongly (SG-38, SG-51)."""
    topology = base(group("g"))
    refused("InvalidGroup.NotFound", edits.authorize, topology, "sg-none", IN, Rule.of("tcp/1", ANYONE))
    refused("InvalidGroupId.Malformed", edits.revoke, topology, "sg-!", IN, Rule.of("tcp/1", ANYONE))
    refused("MissingParameter", edits.authorize, topology, "g", IN)
    refused("InvalidParameterValue", edits.replace_groups, topology, "web")
    refused("InvalidGroup.NotFound", edits.replace_groups, topology, "web", "none")
    refused("InvalidNetworkInterfaceID.NotFound", edits.replace_groups, topology, "nobody", "g")
    refused("InvalidGroup.Duplicate", edits.create_group, topology, "vpc-a", "G")
    refused("InvalidGroup.Reserved", edits.create_group, topology, "vpc-a", "Default")
    refused("InvalidVpcID.NotFound", edits.create_group, topology, "vpc-none", "h")
    made = edits.create_group(topology, "vpc-a", "h", "words").get("sg-h", SecurityGroup)
    assert (made.ingress, len(made.rules(OUT)), made.description) == ((), 2, "words")


def test_sg38_a_region_full_of_groups(monkeypatch):
    """The group beyond the quota is refused (SG-38, SG-51)."""
    topology = base()
    monkeypatch.setattr(edits, "GROUPS", sum(1 for _ in topology.all(SecurityGroup)))
    refused("SecurityGroupLimitExceeded", edits.create_group, topology, "vpc-a", "h")


def test_sg51_rules_by_their_ids():
    """A rule can be revoked by its id; an id that is unknown or none at all has a code of its own (SG-48, SG-51)."""
    topology = base(group("g", rules(2), rules(1)))
    ids = [rule.id for way in (IN, OUT) for rule in topology.get("sg-g", SecurityGroup).rules(way)]
    left = edits.revoke_by_id(topology, "g", ids[0], ids[2]).get("sg-g", SecurityGroup)
    assert ([rule.id for rule in left.ingress], left.egress) == ([ids[1]], ())
    refused("InvalidSecurityGroupRuleId.NotFound", edits.revoke_by_id, topology, "g", ids[0], "sgr-0123")
    refused("InvalidSecurityGroupRuleId.Malformed", edits.revoke_by_id, topology, "g", "rule-1")


def test_na16_network_acl_errors():
    """EC2's codes for network ACLs (NA-10, NA-15, NA-16)."""
    topology = base(NetworkAcl("own", "vpc-a", (entry(100),), (entry(100),)))
    refused("NetworkAclEntryAlreadyExists", edits_network.create_acl_entry, topology, "own", IN, entry(100))
    refused("InvalidNetworkAclEntry.NotFound", edits_network.delete_acl_entry, topology, "own", IN, 99)
    refused("InvalidNetworkAclEntry.NotFound", edits_network.replace_acl_entry, topology, "own", IN, entry(99))
    refused("InvalidNetworkAclID.NotFound", edits_network.create_acl_entry, topology, "none", IN, entry(1))
    denied = edits_network.replace_acl_entry(topology, "own", IN, entry(100, allow=False))
    assert denied.get("acl-own", NetworkAcl).ingress == (entry(100, allow=False),)
    full = base(NetworkAcl("own", "vpc-a", tuple(entry(n) for n in range(1, 20)), ()))
    refused("NetworkAclEntryLimitExceeded", edits_network.create_acl_entry, full, "own", IN, entry(100))


def test_na15_a_vpc_full_of_network_acls(monkeypatch):
    """The network ACL beyond the quota is refused; one that is made denies everything (NA-9, NA-15, NA-16)."""
    topology = edits_network.create_acl(base(), "vpc-a", "new")
    assert topology.get("acl-new", NetworkAcl).ingress == ()
    monkeypatch.setattr(edits_network, "ACLS_PER_VPC", 2)
    refused("NetworkAclLimitExceeded", edits_network.create_acl, topology, "vpc-a", "newer")


def test_rt18_route_table_errors(monkeypatch):
    """EC2's codes for route tables and what they are associated with (RT-1, RT-17, RT-18)."""
    topology = edits_network.create_route_table(base(), "vpc-a", "new")
    refused("Resource.AlreadyAssociated", edits_network.associate_route_table, topology, "new", "pub-a")
    refused("InvalidSubnetID.NotFound", edits_network.associate_route_table, topology, "new", "nowhere")
    used = edits_network.associate_route_table(topology, "new", "db-a")
    refused("DependencyViolation", edits_network.delete_route_table, used, "new")
    main = next(table.id for table in topology.all(RouteTable) if table.main and table.vpc == "vpc-a")
    refused("DependencyViolation", edits_network.delete_route_table, topology, main)
    assert "rtb-new" not in edits_network.delete_route_table(topology, "new").entities
    monkeypatch.setattr(edits_network, "TABLES_PER_VPC", 4)
    refused("RouteTableLimitExceeded", edits_network.create_route_table, topology, "vpc-a", "newer")


def test_rt18_routes_that_are_refused():
    """A gateway of another VPC, a destination that is none, and a propagated route each have their code (RT-18)."""
    network = CustomerNetwork("office", (ip_network("192.168.0.0/16"),), gateway="vgw")
    table = RouteTable("learns", "vpc-a", (route(ANYONE, "igw-a"),), propagating=("vgw",))
    topology = base(InternetGateway("igw-b", "vpc-b"), VpnGateway("vgw", "vpc-a"), network, table)
    refused("Gateway.NotAttached", edits_network.create_route, topology, "rtb-priv", route("9.9.9.0/24", "igw-b"))
    refused("InvalidRoute.Malformed", edits_network.delete_route, topology, "rtb-pub", "everywhere")
    learned = replace(route("192.168.0.0/16", "vgw"), propagated=True)
    own = topology.changed("rtb-learns", routes=(*topology.get("rtb-learns", RouteTable).routes, learned))
    refused("InvalidRoute.InvalidState", edits_network.delete_route, own, "learns", block("192.168.0.0/16"))


def test_na16_deleting_network_acls():
    """The default ACL and one in use stay (NA-16)."""
    used = Subnet("db-a", "vpc-a", (ip_network("10.0.2.0/24"),), network_acl="own")
    topology = base(NetworkAcl("own", "vpc-a"), used)
    refused("DependencyViolation", edits_network.delete_acl, topology, "own")
    refused("CannotDelete", edits_network.delete_acl, topology, _default(topology))
    free = edits_network.delete_acl(base(NetworkAcl("own", "vpc-a")), "own")
    assert "acl-own" not in free.entities


def _default(topology):
    return next(acl.id for acl in topology.all(NetworkAcl) if acl.name == "default" and acl.vpc == "vpc-a")


def test_rt18_route_errors():
    """EC2's codes for routes (RT-17, RT-18)."""
    topology = base()
    refused("RouteAlreadyExists", edits_network.create_route, topology, "rtb-pub", route(ANYONE, "eni-mbx"))
    refused("InvalidRoute.NotFound", edits_network.delete_route, topology, "rtb-pub", block("9.9.9.0/24"))
    refused("InvalidRouteTableID.NotFound", edits_network.create_route, topology, "rtb-none", route("9.9.9.0/24", "eni-mbx"))
    many = base(RouteTable("rtb-pub", "vpc-a", tuple(route(f"9.{n}.0.0/16", "mbx") for n in range(50))))
    refused("RouteLimitExceeded", edits_network.create_route, many, "rtb-pub", route("8.0.0.0/8", "eni-mbx"))
    assert len(edits_network.delete_route(topology, "rtb-pub", block(ANYONE)).get("rtb-pub", RouteTable).routes) == 2


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        pytest.param((group("g", rules(61)),), "RulesPerSecurityGroupLimitExceeded", id="SG-39 61 rules in a group"),
        pytest.param(
            (RouteTable("t", "vpc-a", tuple(route(f"9.{n}.0.0/16", "mbx") for n in range(51))),), "RouteLimitExceeded", id="RT-17 51 routes"
        ),
        pytest.param(
            (NetworkAcl("n", "vpc-a", tuple(entry(n) for n in range(1, 21))),), "NetworkAclEntryLimitExceeded", id="NA-15 20 entries and *"
        ),
        pytest.param(tuple(Vpc(f"v{n}", (ip_network(f"172.{16 + n}.0.0/16"),)) for n in range(3)), "VpcLimitExceeded", id="RT-17 six VPCs"),
    ],
)
def test_quotas_are_warnings(parts, code):
    """A topology over a default quota is one line of warning with EC2's code; quotas can be raised, so it is no error."""
    assert warnings_of(base()) == []
    (warning,) = warnings_of(base(*parts))
    assert code in warning


@pytest.mark.parametrize(
    ("make", "trouble"),
    [
        pytest.param(lambda: base(Subnet("s", "vpc-a", (ip_network("10.0.9.0/29"),))), "FB-15", id="FB-15 a subnet smaller than /28"),
        pytest.param(lambda: base(VpcPeeringConnection("p", "vpc-a", "vpc-b")), "one peering a pair", id="RT-50 one peering a pair"),
        pytest.param(
            lambda: base(Vpc("v", (ip_network("10.0.0.0/16"),)), VpcPeeringConnection("p", "vpc-a", "v")),
            "overlaps",
            id="RT-50 no overlap of blocks",
        ),
        pytest.param(
            lambda: base(RouteTable("t", "vpc-a", (route(ANYONE, "two"),)), *_two_interfaces()),
            "2 interfaces",
            id="RT-14 an instance with one interface",
        ),
        pytest.param(
            lambda: base(RouteTable("t", "vpc-a", (route("9.9.9.0/24", "mbx"),) * 2)), "RouteAlreadyExists", id="RT-18 a route twice"
        ),
        pytest.param(
            lambda: base(NetworkAcl("n", "vpc-a", (entry(1), entry(1)))), "NetworkAclEntryAlreadyExists", id="NA-16 an entry twice"
        ),
        pytest.param(lambda: base(group("g", [("tcp/22", ANYONE)] * 2)), "InvalidPermission.Duplicate", id="SG-51 a rule twice"),
        pytest.param(
            lambda: base(*(RouteTable(name, "vpc-a", main=True) for name in ("first", "second"))),
            "a VPC has one (RT-1)",
            id="RT-1 two main tables",
        ),
        pytest.param(lambda: base(group("lab-2"), group("LAB-2")), "InvalidGroup.Duplicate", id="SG-29 a name twice, capitals apart"),
    ],
)
def test_what_can_never_be_is_refused(make, trouble):
    """Bad input is an error, never something that fails open."""
    with pytest.raises(TopologyError) as caught:
        make()
    assert any(trouble in line for line in caught.value.problems)


def _two_interfaces():
    return (
        Instance("two", "vpc-a"),
        NetworkInterface("eth0", "two", "app-a", (ip_address("10.0.1.60"),), (), ("lab",)),
        NetworkInterface("eth1", "two", "app-a", (ip_address("10.0.1.61"),), (), ("lab",)),
    )


def test_rt1_rt2_tables_and_local_routes():
    """A subnet without a table of its own uses the main one; each table has the local routes, which may be replaced (RT-1, RT-2)."""
    talk = Dialogue(base())
    talk.send(tcp(DB, APP1, "1>2")).accepted()
    assert next(step.text for step in talk.trace.steps if step.check == "route table") == "10.0.0.0/16 → app1:eth0"
    talk = Dialogue(base(RouteTable("rtb-priv", "vpc-a", (route("10.0.0.0/16", "mbx"),))))
    talk.send(tcp(APP1, DB, "1>2")).accepted()
    assert "mbx:eth0" in [step.at for step in talk.trace.steps]


def test_na1_na9_default_acls():
    """A subnet without an ACL of its own uses the default one, open both ways; a new one has only the last deny (NA-1, NA-5, NA-9)."""
    topology = Topology.of(Vpc("v", (ip_network("10.0.0.0/16"),)), NetworkAcl("new", "v"), Subnet("s", "v", (ip_network("10.0.0.0/24"),)))
    default = next(acl for acl in topology.all(NetworkAcl) if acl.name == "default")
    assert [entry.number for entry in default.ingress] == [100, 101]
    assert topology.get("acl-new", NetworkAcl).ingress == ()


def test_na6_families_of_acls_are_apart():
    """An IPv4 entry matches no IPv6 (NA-6)."""
    only_v4 = NetworkAcl("own", "vpc-a", (entry(100),), (entry(100),))
    blocks = (ip_network("10.0.1.0/24"), ip_network("2001:db8:a:1::/64"))
    talk = Dialogue(base(only_v4, Subnet("app-a", "vpc-a", blocks, route_table="rtb-priv", network_acl="own")))
    talk.send(tcp(APP1, DB, "1>2")).accepted()
    talk.send(tcp("2001:db8:a:1::11", "2001:db8:a::10", "1>2")).dropped("E5(app-a)", "SUBNET_ACL_RESTRICTION")


def test_na8_other_protocols_ignore_ports():
    """Protocols but tcp, udp and icmp match whatever ports an entry has (NA-8)."""
    gre = AclRule(100, True, 47, (80, 80), ip_network(ANYONE))
    own = NetworkAcl("own", "vpc-a", (), (gre,))
    blocks = (ip_network("10.0.1.0/24"), ip_network("2001:db8:a:1::/64"))
    talk = Dialogue(base(own, Subnet("app-a", "vpc-a", blocks, route_table="rtb-priv", network_acl="own")))
    talk.send(other(APP1, DB, 47)).accepted()
    talk.send(other(APP1, DB, 50)).dropped("E5(app-a)", "SUBNET_ACL_RESTRICTION")


def test_fb34_mail_to_the_world_is_blocked():
    """tcp/25 to public addresses is blocked by default, inside it is not; the knob opens it (FB-34)."""
    talk = Dialogue(base())
    talk.send(tcp(WEB, EXT, "1>25")).dropped("E8(igw-a)", "EMU_PORT_25_BLOCKED")
    talk.send(tcp(WEB, APP1, "1>25")).accepted()
    Dialogue(base(policy={"block_port_25": False})).send(tcp(WEB, EXT, "1>25")).accepted()
