"""Rules and routes as kernels: every field on which a rule can miss, and naive readings of the same rules in plain Python."""

from ipaddress import ip_address, ip_network

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model.entities import RouteTable, Subnet
from emulator.model.groups import AclRule, GroupPeer, ListPeer, NetworkAcl, PrefixList, Rule
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.matching import PEER, SERVICE, match_all
from emulator.policy.reasons import Miss
from emulator.policy.routes import best_route
from emulator.policy.rules import INGRESS, Subject, acl_match, first_match, is_member, miss, nearest_miss
from emulator.policy.tables import PeerKind, RouteColumn, RuleColumn, SubnetColumn, row_of
from emulator.wire.addresses import halves
from tests.base import APP1, DB, EXT_V6, base, group, route

TCP, UDP, ICMP, ICMPV6, GRE = 6, 17, 1, 58, 47


def subject(remote=APP1, protocol=TCP, port=22, kind=0, code=0, member=0, lost=0):
    """What rules are held against: by default a tcp/22 packet of app1."""
    address = ip_address(remote)
    return Subject(address.version, protocol, *halves(address), port, kind, code, member, lost)


def compiled(topology):
    """The tables of a topology and its ids."""
    ids = Ids()
    return compile_tables(topology, ids), ids


LISTS = (PrefixList("far", "vpc-a", (ip_network("10.8.0.0/16"), ip_network("10.9.0.0/16"))),)
SSH = ("tcp/22", "10.0.1.0/24")
MISSES = [
    pytest.param(SSH, {}, Miss(0), id="nothing"),
    pytest.param(SSH, {"protocol": UDP}, Miss.PROTOCOL, id="protocol"),
    pytest.param(SSH, {"port": 23}, Miss.PORT, id="port"),
    pytest.param(SSH, {"port": -1}, Miss.PORT, id="no port at a rule for one"),
    pytest.param(("tcp/0-65535", "10.0.1.0/24"), {"port": -1}, Miss(0), id="no port at a rule for all"),
    pytest.param(("tcp", "10.0.1.0/24"), {"port": -1}, Miss(0), id="no port at a rule for the protocol"),
    pytest.param(("tcp", "10.0.1.0/24"), {"port": 0}, Miss(0), id="the first of all ports"),
    pytest.param(("tcp", "10.0.1.0/24"), {"port": 65_535}, Miss(0), id="the last of all ports"),
    pytest.param(SSH, {"remote": DB}, Miss.BLOCK, id="block"),
    pytest.param(SSH, {"remote": EXT_V6}, Miss.FAMILY, id="family"),
    pytest.param(SSH, {"remote": DB, "port": 23}, Miss.BLOCK | Miss.PORT, id="block and port"),
    pytest.param(
        SSH, {"remote": DB, "protocol": UDP, "port": 23}, Miss.BLOCK | Miss.PROTOCOL, id="of another protocol the port says nothing"
    ),
    pytest.param(("icmp/3/4", "10.0.1.0/24"), {"protocol": ICMP, "kind": 3, "code": 4}, Miss(0), id="type and code match"),
    pytest.param(("icmp/3/4", "10.0.1.0/24"), {"protocol": ICMP, "kind": 4, "code": 4}, Miss.TYPE, id="type"),
    pytest.param(("icmp/3/4", "10.0.1.0/24"), {"protocol": ICMP, "kind": 3, "code": 3}, Miss.CODE, id="code"),
    pytest.param(("icmp", "10.0.1.0/24"), {"protocol": ICMP, "kind": -1, "code": -1}, Miss(0), id="no type at a rule for all"),
    pytest.param(("icmp/8", "10.0.1.0/24"), {"protocol": ICMP, "kind": -1, "code": -1}, Miss.TYPE, id="no type at a rule for one"),
    pytest.param(("icmpv6/128", "::/0"), {"protocol": ICMPV6, "kind": 128, "remote": EXT_V6}, Miss(0), id="icmpv6"),
    pytest.param(("47", "10.0.1.0/24"), {"protocol": GRE, "port": 0}, Miss(0), id="another protocol has no ports"),
    pytest.param(("all", "10.0.1.0/24"), {"protocol": 200, "port": -1}, Miss(0), id="all protocols"),
    pytest.param(("all", ListPeer("far")), {"remote": "10.9.1.1"}, Miss(0), id="in a later entry of the list"),
    pytest.param(("all", ListPeer("far")), {}, Miss.LIST, id="list"),
    pytest.param(("all", ListPeer("far")), {"remote": EXT_V6}, Miss.LIST, id="list of the other family"),
    pytest.param(("all", GroupPeer("clients")), {"member": "eni-app1"}, Miss(0), id="a member"),
    pytest.param(("all", GroupPeer("clients")), {"member": "eni-app2"}, Miss.GROUP, id="no member"),
    pytest.param(("all", GroupPeer("clients")), {}, Miss.GROUP, id="nobody that is known"),
    pytest.param(("all", GroupPeer("clients")), {"lost": "eni-app1"}, Miss.IDENTITY, id="a member whose identity was lost"),
    pytest.param(("all", GroupPeer("clients")), {"lost": "eni-app2"}, Miss.GROUP, id="no member anyway"),
    pytest.param(("tcp/22", GroupPeer("clients")), {"lost": "eni-app1", "port": 1}, Miss.IDENTITY | Miss.PORT, id="identity and port"),
    pytest.param(("all", GroupPeer("sg-gone")), {"member": "eni-app1"}, Miss.STALE, id="stale"),
]


def held(rule, packet):
    """The tables of a network with this rule, the rule's row, and a packet to hold against it."""
    topology = base(*LISTS, group("clients"), group("g", [rule]), app1="clients", db="g")
    tables, ids = compiled(topology)
    values = {key: ids.of(value) if key in ("member", "lost") else value for key, value in packet.items()}
    row = next(i for i, number in enumerate(tables.rules[:, RuleColumn.ID]) if ids.name(number) == topology.entities["sg-g"].ingress[0].id)
    return tables, row, subject(**values)


@pytest.mark.parametrize(("rule", "packet", "expected"), MISSES)
def test_miss_names_every_field_that_fails(rule, packet, expected):
    """A rule says on which fields it fails, all of them, and nothing is a match."""
    assert Miss(int(miss(*held(rule, packet)))) == expected


@pytest.mark.parametrize(("rule", "packet", "expected"), MISSES)
def test_many_rules_against_many_subjects(rule, packet, expected):
    """Asked at once, each rule and subject have their own answer, the other side and the service told apart."""
    tables, row, asked = held(rule, packet)
    nobody = subject("198.51.100.1", 200, -1)
    rows, subjects = np.array([[row], [row], [row]]), np.array([asked, nobody, nobody, asked])
    other = Miss(int(miss(tables, row, nobody)))
    for mask in (PEER, SERVICE, PEER | SERVICE):
        out = np.full((3, 4), 7)
        match_all(tables, rows, subjects, mask, out)
        assert out.tolist() == [[int(not missed & mask) for missed in (expected, other, other, expected)]] * 3


def test_every_field_is_of_the_other_side_or_of_the_service():
    """And none is of both."""
    assert (0, sum(Miss)) == (PEER & SERVICE, PEER | SERVICE)


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        pytest.param(("tcp/22", "10.0.1.0/24"), {"PROTOCOL": TCP, "FROM": 22, "TO": 22, "FAMILY": 4}, id="a block"),
        pytest.param(("icmp/8", ListPeer("far")), {"PROTOCOL": ICMP, "FROM": 8, "TO": -1, "PEER": PeerKind.LIST}, id="a list"),
        pytest.param(("all", GroupPeer("clients")), {"PROTOCOL": -1, "FROM": -1, "TO": -1, "PEER": PeerKind.GROUP}, id="a group"),
        pytest.param(("udp", "::/0"), {"PROTOCOL": UDP, "TO": 65_535, "FAMILY": 6, "EVERYONE": 1}, id="everyone"),
        pytest.param(("all", GroupPeer("sg-gone")), {"PROTOCOL": -1, "FROM": -1, "TO": -1, "PEER": PeerKind.STALE}, id="a stale one"),
    ],
)
def test_what_the_row_of_a_rule_says(rule, columns):
    """Its service and the kind of its other side; 1 for everyone where it names all addresses, and nowhere else (CT-14)."""
    tables, row, _ = held(rule, {})
    asked = ("PROTOCOL", "FROM", "TO", "PEER", "FAMILY", "EVERYONE", "ALLOW")
    assert {name: int(tables.rules[row, RuleColumn[name]]) for name in asked} == {**dict.fromkeys(asked, 0), "ALLOW": 1, **columns}


def test_is_member_of_what_is_gone():
    """What has no row any more is a member of nothing."""
    topology = base(group("clients"), c1="lab")
    tables, ids = compiled(topology)
    gone = ids.of("eni-gone")
    tables = compile_tables(topology, ids)
    assert not is_member(tables, gone, ids.of("sg-lab-c"))
    assert is_member(tables, ids.of("eni-c1"), ids.of("sg-lab-c"))


# -- against naive readings --------------------------------------------------------------------------------------------

NEAR = st.sampled_from(["10.0.0.0", "10.0.1.11", "10.0.1.12", "10.0.2.20", "10.0.1.255", "203.0.113.12", "0.0.0.0", "255.255.255.255"])
NEAR_V6 = st.sampled_from(["2001:db8::1", "2001:db8:a::10", "2001:db8:ffff::12", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"])
ADDRESSES = st.one_of(NEAR, NEAR_V6, st.ip_addresses().map(str))
BLOCKS = st.one_of(
    st.tuples(NEAR, st.integers(0, 32)).map(lambda pair: ip_network(f"{pair[0]}/{pair[1]}", strict=False)),
    st.tuples(NEAR_V6, st.integers(0, 128)).map(lambda pair: ip_network(f"{pair[0]}/{pair[1]}", strict=False)),
)
PORTS = st.sampled_from([0, 1, 21, 22, 23, 80, 1023, 1024, 65534, 65535])
SPANS = st.tuples(PORTS, PORTS).map(lambda pair: tuple(sorted(pair)))
CODES = st.sampled_from([-1, 0, 1, 3, 4, 8])
SERVICES = st.one_of(
    st.tuples(st.sampled_from([TCP, UDP]), st.one_of(SPANS, st.just((-1, -1)))),
    st.tuples(st.just(ICMP), st.tuples(CODES, CODES).map(lambda pair: pair if pair[0] != -1 else (-1, -1))),
    st.sampled_from([(-1, (-1, -1)), (GRE, (-1, -1)), (ICMPV6, (-1, -1))]),
)
RULES = st.builds(lambda service, peer: Rule(*service, peer), SERVICES, BLOCKS)
PACKETS = st.fixed_dictionaries(
    {
        "remote": ADDRESSES,
        "protocol": st.sampled_from([TCP, UDP, ICMP, ICMPV6, GRE]),
        "port": PORTS,
        "kind": CODES.filter(lambda kind: kind >= 0),
        "code": CODES.filter(lambda code: code >= 0),
    }
)

GROUPS = st.lists(st.lists(RULES, max_size=4, unique_by=lambda rule: rule.canonical().content()), min_size=1, max_size=3)


def naive_match(rule, remote, protocol, port, kind, code):
    """The plain reading of a rule with a block: family, protocol, ports or type and code."""
    first, last = rule.ports
    if rule.protocol not in (-1, protocol) or ip_address(remote) not in (rule.block if isinstance(rule, AclRule) else rule.peer):
        return False
    if rule.protocol in (TCP, UDP):
        return (first, last) == (-1, -1) or first <= port <= last
    if rule.protocol in (ICMP, ICMPV6):
        return first in (-1, kind) and last in (-1, code)
    return True


@settings(deadline=None, max_examples=60)
@given(groups=GROUPS, packet=PACKETS)
def test_first_match_is_the_union_of_all_groups(groups, packet):
    """Some rule of some group matches, or none does: as `ipaddress` and plain comparisons say (SG-4, SG-5, SG-15 to SG-20)."""
    named = [group(f"g{number}", rules, []) for number, rules in enumerate(groups)]
    topology = base(*named, db=tuple(found.name for found in named))
    tables, ids = compiled(topology)
    found = first_match(tables, row_of(tables, ids.of("eni-db")), INGRESS, subject(**packet))
    matching = [rule for rules in groups for rule in rules if naive_match(rule, **packet)]
    assert (found.rule >= 0) == bool(matching)
    assert found.any_rule == any(groups)
    if matching:
        winner = ids.name(int(tables.rules[found.rule, RuleColumn.ID]))
        order = [(rule.id, rule) for one in named for rule in topology.entities[f"sg-{one.name}"].ingress]
        assert winner == next(key for key, rule in order if naive_match(rule, **packet)), "the first one that matches is named"


def nearest_and_failed(groups, packet):
    """What `nearest_miss` says at an interface with these groups; and, in order, all rules that failed, with the fields."""
    named = [group(f"g{number}", rules, []) for number, rules in enumerate(groups)]
    topology = base(*named, db=tuple(found.name for found in named))
    tables, ids = compiled(topology)
    rows = {int(number): row for row, number in enumerate(tables.rules[:, RuleColumn.ID])}
    in_order = [rows[ids.of(rule.id)] for one in named for rule in topology.entities[f"sg-{one.name}"].ingress]
    failed = [(row, fields) for row in in_order if (fields := int(miss(tables, row, subject(**packet))))]
    return nearest_miss(tables, row_of(tables, ids.of("eni-db")), INGRESS, subject(**packet)), failed


@pytest.mark.parametrize(
    ("rules", "packet", "nearest"),
    [
        pytest.param([], {}, None, id="none without rules"),
        pytest.param([SSH], {}, None, id="none where the only rule matches"),
        pytest.param([("udp/53", DB), ("tcp/80", APP1)], {}, 1, id="one field rather than two"),
        pytest.param([("icmp/3/4", APP1), ("udp/53", DB)], {"protocol": ICMP, "kind": 3, "code": 3}, 0, id="also if the two come later"),
        pytest.param([("udp/22", APP1), ("tcp/80", APP1), ("tcp/81", APP1)], {}, 1, id="of equals the later field, then the first rule"),
    ],
)
def test_nearest_miss(rules, packet, nearest):
    """The rule that failed on the fewest fields, and those; -1 and no fields where none failed."""
    found, failed = nearest_and_failed([[Rule.of(*rule) for rule in rules]], packet)
    assert found == (failed[nearest] if nearest is not None else (-1, 0))


@settings(deadline=None, max_examples=60)
@given(groups=GROUPS, packet=PACKETS)
def test_nearest_miss_of_all_groups(groups, packet):
    """The same, counted by hand, over the rules of several groups."""
    found, failed = nearest_and_failed(groups, packet)
    assert found == min(failed, key=lambda rule: (rule[1].bit_count(), -rule[1]), default=(-1, 0))


@settings(deadline=None, max_examples=60)
@given(
    entries=st.lists(st.tuples(st.integers(1, 99), st.booleans(), SERVICES, BLOCKS), max_size=6, unique_by=lambda entry: entry[0]),
    packet=PACKETS,
)
def test_acl_match_is_the_lowest_number_that_matches(entries, packet):
    """Rising numbers, the first match decides, and nothing is the deny at the end (NA-4, NA-5)."""
    rules = tuple(AclRule(number, allow, *service, block) for number, allow, service, block in entries)
    topology = base(NetworkAcl("edge", "vpc-a", rules, ()), Subnet("db-a", "vpc-a", (ip_network("10.0.2.0/24"),), network_acl="edge"))
    tables, ids = compiled(topology)
    row = row_of(tables, ids.of("subnet-db-a"))
    start, end = tables.subnets[row, SubnetColumn.ACL_INGRESS], tables.subnets[row, SubnetColumn.ACL_INGRESS_END]
    found = acl_match(tables, start, end, subject(**packet))
    expected = next((rule for rule in sorted(rules, key=lambda rule: rule.number) if naive_match(rule, **packet)), None)
    if expected is None:
        assert found == -1
    else:
        assert ids.name(int(tables.rules[found, RuleColumn.ID])) == f"acl-edge ingress {expected.number}"
        assert bool(tables.rules[found, RuleColumn.ALLOW]) == expected.allow


@pytest.mark.parametrize("port", [0, 65_535, -1])
def test_an_acl_entry_without_ports_takes_all(port):
    """The first, the last, and the one that a later fragment does not show (FB-32)."""
    entry = AclRule(100, True, TCP, (-1, -1), ip_network("10.0.1.0/24"))
    topology = base(NetworkAcl("edge", "vpc-a", (entry,), ()), Subnet("db-a", "vpc-a", (ip_network("10.0.2.0/24"),), network_acl="edge"))
    tables, ids = compiled(topology)
    row = tables.subnets[row_of(tables, ids.of("subnet-db-a"))]
    assert acl_match(tables, row[SubnetColumn.ACL_INGRESS], row[SubnetColumn.ACL_INGRESS_END], subject(port=port)) >= 0


@pytest.mark.parametrize("fall_through", [False, True])
@settings(deadline=None, max_examples=60)
@given(
    routes=st.dictionaries(
        BLOCKS.filter(lambda block: not block.subnet_of(ip_network("10.0.0.0/16")) if block.version == 4 else True),
        st.booleans(),
        max_size=8,
    ),
    destination=ADDRESSES,
)
def test_best_route_is_the_longest_prefix(fall_through, routes, destination):
    """Longest prefix wins, families apart; a blackhole wins too, unless route.blackhole lets it fall through (RT-3, RT-12, RT-13)."""
    vpc_blocks = [ip_network("10.0.0.0/16"), ip_network("2001:db8:a::/56")]
    routes = {
        block: hole
        for block, hole in routes.items()
        if not any(block.version == own.version and block.subnet_of(own) for own in vpc_blocks)
    }
    ways = tuple(route(str(block), "igw-a") for block in routes)
    ways = tuple(type(way)(way.destination, way.target, blackhole=routes[way.destination]) for way in ways)
    topology = base(RouteTable("rtb-pub", "vpc-a", ways), policy={"blackhole": "fall_through" if fall_through else "drop"})
    tables, ids = compiled(topology)
    address = ip_address(destination)
    found = best_route(tables, row_of(tables, ids.of("subnet-pub-a")), address.version, *halves(address))
    candidates = [block for block in (*vpc_blocks, *routes) if address in block and not (fall_through and routes.get(block))]
    best = max(candidates, key=lambda block: block.prefixlen, default=None)
    if best is None:
        assert found == -1
    else:
        assert ids.name(int(tables.routes[found, RouteColumn.ID])) == f"rtb-pub {best}"
        assert bool(tables.routes[found, RouteColumn.BLACKHOLE]) == routes.get(best, False)
