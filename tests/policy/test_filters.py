"""What the filters promise: the first matching rule, whatever the rules, as if `miss` had been asked about each of them."""

import random
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from emulator import GroupPeer, Instance, ListPeer, NetworkInterface, PrefixList, Rule, SecurityGroup, Subnet, Topology, Vpc
from emulator.model.groups import Direction
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.filters import lowest_bit
from emulator.policy.rules import Match, Subject, first_match, miss
from emulator.policy.tables import INGRESS, Eni, Group, Membership
from emulator.wire.addresses import halves

LENGTHS = {4: (0, 7, 8, 16, 17, 18, 19, 23, 24, 25, 30, 32), 6: (0, 1, 16, 48, 49, 50, 51, 56, 57, 63, 64, 65, 127, 128)}
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
