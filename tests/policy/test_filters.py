"""What the filters promise: the first matching rule, whatever the rules, as if `miss` had been asked about each of them."""

import random
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from emulator import GroupPeer, Instance, ListPeer, NetworkInterface, PrefixList, Rule, SecurityGroup, Subnet, Topology, Vpc
from emulator.model.groups import Direction
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.compile_rules import compile_group, compile_list
from emulator.policy.filters import SLOTS, address_slot, lowest_bit, port_slot, words_of
from emulator.policy.rules import Match, Subject, first_match, miss
from emulator.policy.tables import INGRESS, Eni, Group, Membership
from emulator.wire.addresses import halves

LENGTHS = {4: (0, 7, 8, 16, 17, 18, 19, 22, 23, 24, 25, 30, 32), 6: (0, 1, 16, 48, 49, 50, 51, 55, 56, 57, 63, 64, 65, 127, 128)}
PORTS = (0, 1, 22, 63, 64, 65, 80, 443, 1023, 4096, 65_535)


def some_address(chance, version):
    near = chance.choice(["10.0.0.0", "10.0.1.0", "203.0.113.7"] if version == 4 else ["2001:db8::", "fd00:1::", "8000::", "::1"])
    kind = IPv4Address if version == 4 else IPv6Address
    return kind(int(kind(near)) ^ chance.getrandbits(chance.choice([1, 8, 14, 32] if version == 4 else [1, 64, 72, 100])))


def some_rule(chance):
    version = chance.choice([4, 6])
    block = ip_network((some_address(chance, version), chance.choice(LENGTHS[version])), strict=False)
    peer = chance.choice([block, block, GroupPeer("g0"), ListPeer("list"), ListPeer("list6")])
    first = chance.choice(PORTS)
    protocol, ports = chance.choice(
        [
            (-1, (-1, -1)),
            (6, (first, min(65_535, first + chance.choice([0, 0, 1, 62, 63, 64, 500])))),
            (17, (first, first)),
            (17, (0, 65_535)),
        ]
        + (
            [(1, (8, 0)), (1, (-1, -1))]
            if getattr(peer, "version", 4) == 4 and peer != ListPeer("list6")
            else [(58, (128, -1)), (58, (-1, -1))]
        )
        + [(47, (-1, -1))]
    )
    return Rule(protocol, ports, peer)


def some_network(seed):
    chance = random.Random(seed)
    groups = []
    for number in range(chance.randint(1, 5)):
        ways = [
            {(rule.canonical().content()): rule for rule in (some_rule(chance) for _ in range(chance.choice([0, 3, 58, 140])))}
            for _ in range(2)
        ]
        groups.append(SecurityGroup(f"g{number}", "lab", *(tuple(way.values()) for way in ways)))
    lists = [
        PrefixList(
            "list", "lab", tuple({ip_network((some_address(chance, 4), chance.choice((16, 22, 24, 32))), strict=False) for _ in range(9)})
        ),
        PrefixList(
            "list6", "lab", tuple({ip_network((some_address(chance, 6), chance.choice((48, 56, 64))), strict=False) for _ in range(9)})
        ),
    ]
    machines = []
    for number in range(3):
        machines.append(Instance(f"m{number}", "lab"))
        names = tuple(chance.sample([group.name for group in groups], chance.randint(1, len(groups))))
        machines.append(NetworkInterface("eth0", f"m{number}", "s", (ip_address("10.0.0.10") + number,), (), names))
    vpc = Vpc("lab", (ip_network("10.0.0.0/16"),))
    return chance, Topology.of(vpc, Subnet("s", "lab", (ip_network("10.0.0.0/24"),)), *lists, *groups, *machines)


def by_every_rule(tables, eni, direction, subject):
    """The definition: all rules of all groups, one after another."""
    any_rule, lost = 0, 0
    for at in range(tables.enis[eni, Eni.GROUPS], tables.enis[eni, Eni.GROUPS_END]):
        group = tables.memberships[at, Membership.GROUP_ROW]
        first = Group.INGRESS if direction == INGRESS else Group.EGRESS
        for rule in range(tables.groups[group, first], tables.groups[group, first + 1]):
            any_rule = 1
            bits = miss(tables, rule, subject)
            if bits == 0:
                return Match(rule, 1, 0)
            lost |= bits == 256
    return Match(-1, any_rule, int(lost))


@pytest.mark.parametrize("seed", range(30))
def test_the_first_rule_is_the_one_that_asking_all_would_give(seed):
    """On random rules and packets, later fragments and lost identities among them, the filters change nothing."""
    chance, topology = some_network(seed)
    ids = Ids()
    tables = compile_tables(topology, ids)
    members = [ids.of(eni.id) for eni in topology.all(NetworkInterface)]
    for _ in range(300):
        version = chance.choice([4, 6])
        protocol = chance.choice([6, 17, 1 if version == 4 else 58, 47])
        later = chance.random() < 0.1
        port = chance.choice(PORTS) + chance.choice([0, 0, 1, 62]) if protocol in (6, 17) else 0
        member = chance.choice([0, *members])
        subject = Subject(
            version,
            protocol,
            *halves(some_address(chance, version)),
            -1 if later else min(port, 65_535),
            -1 if later else chance.choice([0, 8, 128]),
            -1 if later else 0,
            member,
            chance.choice([0, *members]) if not member else 0,
        )
        eni, direction = chance.randrange(len(members)), int(chance.choice(list(Direction)))
        assert first_match(tables, eni, direction, subject) == by_every_rule(tables, eni, direction, subject)


@pytest.mark.parametrize("bit", range(62))
def test_the_lowest_bit(bit):
    """The number of the lowest bit is found whatever stands above it."""
    assert lowest_bit(1 << bit) == lowest_bit(((1 << 62) - 1) >> bit << bit) == bit


@pytest.mark.parametrize(("step", "count"), [(1, 64), (64, 64), (4096, 16)])
def test_ports_stand_apart(step, count):
    """Ports that a network counts up are spread over the slots, so that a slot leaves few rules to ask."""
    assert len({port_slot(6, step * number) for number in range(count)}) == count


def test_protocols_stand_apart():
    """Protocols without ports are spread over the slots, and tcp and udp of one port have two."""
    assert len({port_slot(protocol, 0) for protocol in range(47, 111)}) == 64
    assert port_slot(6, 53) != port_slot(17, 53)


@pytest.mark.parametrize("shift", [8, 14, 20, 26])
def test_networks_stand_apart(shift):
    """Networks that follow one another, of whatever size, are spread over all slots."""
    assert len({address_slot(4, 0, 0xFFFF_0000_0000 | number << shift) for number in range(64)}) == 64
    assert len({address_slot(6, number << shift, 7) for number in range(64)}) == 64


def test_a_protocol_without_ports_stands_in_one_slot():
    """What its packets have in a port's place, such as an ICMP type, changes nothing."""
    assert {port_slot(1, number) for number in range(256)} == {port_slot(1, 0)}


def filled(*rules, lists=()):
    """The port slots and the address slots that each of a group's rules stands in; ``sg-gone`` is no group."""
    slots_of = {found.id: compile_list(found).slots for found in lists}
    piece = compile_group(Ids(), SecurityGroup("g", "lab", rules, id="sg-g"), frozenset({"sg-gone"}), slots_of)
    words, (filters, nothing) = words_of(len(rules)), piece.filters
    assert filters.shape == (2 * SLOTS * words, 1)
    assert nothing.shape == (0, 1)
    slots = [[int(filters[slot * words + word, 0]) for word in range(words)] for slot in range(2 * SLOTS)]
    places = [{slot for slot in range(2 * SLOTS) if slots[slot][number // 62] >> number % 62 & 1} for number in range(len(rules))]
    return [({slot for slot in found if slot < SLOTS}, {slot - SLOTS for slot in found if slot >= SLOTS}) for found in places]


def stands_in(block):
    """By the definition: the slots of all addresses of a block, asked where the slot may change."""
    step = 24 if block.version == 4 else 56
    if step - block.prefixlen > 6:
        return set(range(64))
    parts = block.subnets(new_prefix=step) if block.prefixlen < step else [block]
    return {address_slot(block.version, *halves(part.network_address)) for part in parts}


BLOCKS = [ip_network(("203.0.113.7", length), strict=False) for length in (0, 8, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 32)]
BLOCKS += [
    ip_network(("2001:db8:5a5a:7777::7", length), strict=False) for length in (0, 1, 32, 49, 50, 51, 52, 53, 54, 55, 56, 57, 64, 128)
]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_stands_in_the_slots_of_its_addresses(block):
    """In these and in no others, whether a rule or its prefix list names it."""
    named, listed = filled(
        Rule(-1, (-1, -1), block), Rule(-1, (-1, -1), ListPeer("pl")), lists=[PrefixList("pl", "lab", (block,), id="pl")]
    )
    assert named == listed == (set(range(64)), stands_in(block))


def test_a_prefix_list_stands_in_the_slots_of_all_its_blocks():
    """Of neighbours that become one block as well; one without entries stands nowhere."""
    blocks = [ip_network(text) for text in ("203.0.113.0/24", "10.0.0.0/24", "10.0.1.0/24", "10.0.1.7/32")]
    lists = [PrefixList("pl", "lab", tuple(blocks), id="pl"), PrefixList("none", "lab", (), id="none")]
    found = filled(*(Rule(-1, (-1, -1), ListPeer(key)) for key in ("pl", "none")), lists=lists)
    assert [addresses for _, addresses in found] == [set().union(*map(stands_in, blocks)), set()]


@pytest.mark.parametrize(
    ("protocol", "ports", "shown"),
    [
        pytest.param(6, (443, 443), [443], id="one port"),
        pytest.param(17, (60, 70), range(60, 71), id="a few ports"),
        pytest.param(6, (1, 63), range(1, 64), id="as many ports as stand one by one"),
        pytest.param(6, (0, 65_535), range(65_536), id="all ports"),
        pytest.param(1, (8, 0), [0], id="a type of ICMP"),
        pytest.param(47, (-1, -1), [0], id="a protocol without ports"),
    ],
)
def test_a_service_stands_in_the_slots_of_its_ports(protocol, ports, shown):
    """In these and in no others."""
    assert filled(Rule(protocol, ports, GroupPeer("sg-g"))) == [({port_slot(protocol, port) for port in shown}, set(range(64)))]


def test_a_rule_for_everything_stands_everywhere():
    """All protocols, with ports or without, from everywhere."""
    assert filled(Rule(-1, (-1, -1), GroupPeer("sg-g"))) == [(set(range(64)), set(range(64)))]


def test_what_other_sides_stand_in():
    """A group's members may have any address; a stale rule matches nothing, and stands nowhere."""
    found = filled(*(Rule(-1, (-1, -1), GroupPeer(key)) for key in ("sg-g", "sg-gone")))
    assert [addresses for _, addresses in found] == [set(range(64)), set()]


def test_many_rules_keep_apart():
    """Each of 200 rules stands in its own slots, 62 rules a word; so do rules that stand in all."""
    rules = [Rule(6, (port, port), ip_network(f"10.0.{port}.0/24")) for port in range(200)]
    assert filled(*rules) == [({port_slot(6, port)}, stands_in(ip_network(f"10.0.{port}.0/24"))) for port in range(200)]
    everything = Rule(-1, (-1, -1), GroupPeer("sg-g"))
    assert filled(*rules[:130], everything, *rules[131:])[130] == (set(range(64)), set(range(64)))


@pytest.mark.parametrize(("rules", "words"), [(0, 0), (1, 1), (62, 1), (63, 2), (124, 2), (125, 3)])
def test_words(rules, words):
    """No more memory than the rules need."""
    assert words_of(rules) == words


@pytest.mark.parametrize("seed", range(5))
def test_room_of_all_filters(seed):
    """Each group's two directions have rows of their own, one after another, and no rows are left over."""
    _, topology = some_network(seed)
    tables = compile_tables(topology, Ids())
    at = 0
    for row in tables.groups.tolist():
        for way in range(2):
            assert row[Group.INGRESS_FILTER + way] == at
            at += 128 * words_of(row[Group.INGRESS_END + 2 * way] - row[Group.INGRESS + 2 * way])
    assert tables.filters.shape == (at, 1)
