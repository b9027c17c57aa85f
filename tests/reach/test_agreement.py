"""Reach and explain say the same, of every pair and of every service: also of ports that stand for no class."""

import random
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.model.entities import (
    ExternalHost,
    Instance,
    InternetGateway,
    NatGateway,
    NetworkInterface,
    Policy,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import AclRule, GroupPeer, ListPeer, NetworkAcl, PrefixList, Rule, SecurityGroup
from emulator.model.joined import InterfaceEndpoint, Node
from emulator.model.services import ALL, ANY_PORTS, ICMP, TCP, UDP, Service
from emulator.model.topology import Topology
from emulator.network import Network
from emulator.reach.analysis import Reached, analyse
from emulator.reach.ends import INTERFACE, OUTSIDE, SERVICE
from emulator.reach.probes import addresses

BLOCKS = ("0.0.0.0/0", "10.0.0.0/16", "10.0.1.0/24", "10.0.2.0/25", "10.1.0.0/16", "203.0.113.0/24", "198.51.100.10/32", "10.0.1.10/32")
PORTS = ((22, 22), (443, 443), (20, 30), (1024, 65535), (0, 65535), (49152, 49152), (25, 25))


def services(dice: random.Random) -> Service:
    """A random protocol with random ports, or type and code."""
    return dice.choice(
        [
            Service(ALL),
            Service(TCP, dice.choice(PORTS)),
            Service(UDP, dice.choice(PORTS)),
            Service(ICMP, dice.choice([(8, ALL), (8, 0), (3, 4), (ALL, ALL)])),
            Service(47),
        ]
    )


def rules(dice: random.Random, count: int) -> tuple[Rule, ...]:
    """Random rules, each once."""
    peers: list[Any] = [ip_network(text) for text in BLOCKS] + [
        GroupPeer("sg-a"),
        GroupPeer("sg-b"),
        GroupPeer("sg-gone"),
        ListPeer("pl-office"),
    ]
    made = {}
    for _ in range(count):
        service = services(dice)
        rule = Rule(service.protocol, service.ports, dice.choice(peers)).canonical()
        made[rule.content()] = rule
    return tuple(made.values())


def entries(dice: random.Random) -> tuple[AclRule, ...]:
    """A random list of ACL entries that ends with everything more often than not."""
    made = []
    for number in range(dice.randrange(3)):
        service = services(dice)
        made.append(AclRule(number + 1, dice.random() < 0.5, service.protocol, service.ports, ip_network(dice.choice(BLOCKS))))
    if dice.random() < 0.8:
        made.append(AclRule(100, True, ALL, ANY_PORTS, ip_network("0.0.0.0/0")))
    return tuple(made)


def network(seed: int) -> Topology:
    """Two peered VPCs with public and private subnets, a NAT gateway, an endpoint; groups and ACLs by chance."""
    dice = random.Random(seed)
    everyone = ip_network("0.0.0.0/0")
    way_out = [Route(everyone, "igw-1")] if dice.random() < 0.8 else []
    private = [Route(everyone, dice.choice(["nat-1", "igw-1"]))] if dice.random() < 0.7 else []
    across = [Route(ip_network("10.1.0.0/16"), "pcx-1")] if dice.random() < 0.8 else []
    back = [Route(ip_network("10.0.0.0/16"), "pcx-1")] if dice.random() < 0.9 else []
    groups = [("sg-a", "vpc-1"), ("sg-b", "vpc-1"), ("sg-c", "vpc-2")]
    parts: list[Any] = [
        Vpc("one", (ip_network("10.0.0.0/16"),), "vpc-1"),
        Vpc("two", (ip_network("10.1.0.0/16"),), "vpc-2"),
        InternetGateway("igw-1", "vpc-1", id="igw-1"),
        VpcPeeringConnection("pcx-1", "vpc-1", "vpc-2", dice.choice(["active", "active", "deleted"]), id="pcx-1"),
        RouteTable("public", "vpc-1", (*way_out, *across), id="rtb-1"),
        RouteTable("private", "vpc-1", (*private, *across), id="rtb-2"),
        RouteTable("far", "vpc-2", tuple(back), main=True, id="rtb-3"),
        NetworkAcl("edge", "vpc-1", entries(dice), entries(dice), id="acl-1"),
        PrefixList("office", "vpc-1", (ip_network("203.0.113.0/25"), ip_network("10.0.2.0/28")), id="pl-office"),
        Subnet("p", "vpc-1", (ip_network("10.0.1.0/24"),), "a", "rtb-1", dice.choice(["", "acl-1"]), id="subnet-1"),
        Subnet("q", "vpc-1", (ip_network("10.0.2.0/24"),), "b", "rtb-2", dice.choice(["", "acl-1"]), id="subnet-2"),
        Subnet("r", "vpc-2", (ip_network("10.1.1.0/24"),), "a", id="subnet-3"),
        NatGateway("nat-1", "subnet-1", ip_address("10.0.1.200"), ip_address("198.51.100.200"), id="nat-1"),
        InterfaceEndpoint("ssm", "vpc-1", (Node("subnet-2", ip_address("10.0.2.100")),), ("sg-b",), id="vpce-1"),
        ExternalHost("customer", (ip_address("203.0.113.9"),)),
        *(SecurityGroup(key, vpc, rules(dice, dice.randrange(4)), rules(dice, dice.randrange(1, 4)), id=key) for key, vpc in groups),
    ]
    for number, (subnet, ip, public) in enumerate(
        [
            ("subnet-1", "10.0.1.10", "198.51.100.10"),
            ("subnet-1", "10.0.1.11", ""),
            ("subnet-2", "10.0.2.10", ""),
            ("subnet-3", "10.1.1.10", ""),
        ]
    ):
        vpc = "vpc-2" if subnet == "subnet-3" else "vpc-1"
        mine = ("sg-c",) if vpc == "vpc-2" else tuple(dice.sample(["sg-a", "sg-b"], dice.randrange(1, 3)))
        elastic = ((ip_address(ip), ip_address(public)),) if public else ()
        listen = (Service(TCP, (22, 22)), Service(UDP, (443, 443))) if dice.random() < 0.2 else None
        parts.append(Instance(f"m{number}", vpc, listen=listen, id=f"i-{number}"))
        parts.append(NetworkInterface("eth0", f"i-{number}", subnet, (ip_address(ip),), elastic, mine, id=f"eni-{number}"))
    policy = Policy(midstream_tcp=dice.choice(["rules_only", "rules_only", "strict"]), hairpin=dice.random() < 0.8)
    return Topology.of(*parts, name=f"seed-{seed}", policy=policy)


def disagreements(topology: Topology, reached: Reached, dice: random.Random, most: int) -> list[str]:
    """Questions that reach and explain answer otherwise, of so many drawn by chance."""
    asked = Network(topology, compiled=False)
    pairs = [
        (one, other)
        for one, source in enumerate(reached.ends)
        for other, destination in enumerate(reached.ends)
        if source.kind != SERVICE and source.id != destination.id and not source.kind == destination.kind == OUTSIDE
    ]
    wrong = []
    for one, other in [dice.choice(pairs) for _ in range(most)]:
        source, destination = reached.ends[one], reached.ends[other]
        at = dice.randrange(len(reached.atoms))
        atom = reached.atoms[at]
        service = atom.service
        if service.protocol in (TCP, UDP):
            first, last = atom.members[0]
            port = dice.choice([max(first, 1), last, dice.randint(max(first, min(1, last)), last)])
            service = Service(service.protocol, (port, port))
        told = asked.explain(str(addresses(source, destination)[0]), str(addresses(source, destination)[1]), service)
        if told.reachable != bool(reached.mask(one, other) >> at & 1):
            wrong.append(f"{topology.name}: {source.name} → {destination.name} {service}: explain says {told}")
    return wrong


@given(st.integers(0, 10_000))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_reach_agrees_with_explain(seed: int) -> None:
    """On networks drawn by chance, with translation, peering, ACLs, stale rules and silent machines, both agree."""
    topology = network(seed)
    reached = analyse(topology, 4)
    assert disagreements(topology, reached, random.Random(seed), 60) == []


def appliance() -> Topology:
    """All that leaves subnet p for q goes by way of a machine that forwards; its groups judge too."""
    everyone = Rule(ALL, ANY_PORTS, ip_network("0.0.0.0/0"))
    web = Rule(TCP, (80, 90), ip_network("10.0.0.0/16"))
    parts: list[Any] = [
        Vpc("one", (ip_network("10.0.0.0/16"),), "vpc-1"),
        RouteTable("p", "vpc-1", (Route(ip_network("10.0.2.0/24"), "eni-mid"),), id="rtb-p"),
        RouteTable("q", "vpc-1", (Route(ip_network("10.0.1.0/24"), "eni-mid"),), id="rtb-q"),
        Subnet("p", "vpc-1", (ip_network("10.0.1.0/24"),), "a", "rtb-p", id="subnet-p"),
        Subnet("q", "vpc-1", (ip_network("10.0.2.0/24"),), "a", "rtb-q", id="subnet-q"),
        Subnet("m", "vpc-1", (ip_network("10.0.3.0/24"),), "a", id="subnet-m"),
        SecurityGroup("open", "vpc-1", (everyone,), (everyone,), id="sg-open"),
        SecurityGroup("mid", "vpc-1", (web,), (Rule(TCP, (85, 443), ip_network("10.0.2.0/24")),), id="sg-mid"),
        SecurityGroup(
            "named", "vpc-1", (Rule(TCP, (80, 80), GroupPeer("sg-open")), Rule(TCP, (86, 88), ip_network("10.0.1.0/25"))), id="sg-named"
        ),
    ]
    for name, subnet, ip, group, check in (
        ("one", "subnet-p", "10.0.1.10", "sg-open", True),
        ("two", "subnet-q", "10.0.2.10", "sg-named", True),
        ("mid", "subnet-m", "10.0.3.10", "sg-mid", False),
    ):
        parts += [
            Instance(name, "vpc-1", id=f"i-{name}"),
            NetworkInterface("eth0", f"i-{name}", subnet, (ip_address(ip),), (), (group,), check, id=f"eni-{name}"),
        ]
    return Topology.of(*parts, name="appliance")


def test_machines_in_the_middle_judge_too() -> None:
    """Where a forwarding machine stands between, its groups and the lost group identity count (SG-25)."""
    topology = appliance()
    reached = analyse(topology, 4)
    assert disagreements(topology, reached, random.Random(1), 150) == []
    ends = {end.name: number for number, end in enumerate(reached.ends)}
    through = [atom.members[0] for at, atom in enumerate(reached.atoms) if reached.mask(ends["one"], ends["two"]) >> at & 1]
    assert through == [(86, 88)]


@pytest.mark.parametrize("kind", [INTERFACE, OUTSIDE, SERVICE])
def test_the_chance_reaches_every_kind_of_end(kind: str) -> None:
    """The networks drawn by chance hold every kind of end, so that the agreement speaks of all."""
    assert any(end.kind == kind for end in analyse(network(1), 4).ends)
