"""Topologies with one interface under judgement: drawn by lot from a seed, for the traffic that will meet them."""

from ipaddress import ip_address, ip_network
from random import Random

from emulator.model.entities import Instance, InternetGateway, NetworkInterface, Policy, Route, RouteTable, Subnet, Vpc
from emulator.model.groups import EVERYONE, Block, Direction, GroupPeer, ListPeer, Peer, PrefixList, Rule, SecurityGroup
from emulator.model.services import ALL, ANY_PORTS, ICMP, ICMPV6, TCP, UDP, Service
from emulator.model.topology import Topology
from tests.oracles.kernel import INSIDE
from tests.oracles.netfilter import LINGER_S
from tests.oracles.traffic import HOST, NEIGHBOURS, Traffic

JUDGED = "host:eth0"
OPEN = tuple(Rule(ALL, ANY_PORTS, everyone) for everyone in EVERYONE)
MEMBERS = (("app",), ("db",), ("app", "db"), ("open",))
_LISTS = ("office", "partners6")


def topology(groups: list[SecurityGroup], lists: list[PrefixList] | None = None, **policy: object) -> Topology:
    """The instance ``host`` with these groups, four neighbours in its subnet that let everything through, and the internet.

    Closed connections stay known for `LINGER_S`, as in the kernel's settings.
    """
    knobs = {"tcp_close_linger_s": LINGER_S, "tcp_embryonic_s": LINGER_S, "block_port_25": False, **policy}
    named = ["app", "db", "open"]
    parts = [
        Vpc("vpc", (ip_network("10.0.0.0/16"), ip_network("2001:db8:a::/56"))),
        InternetGateway("igw", "vpc"),
        RouteTable("public", "vpc", tuple(Route(everyone, "igw") for everyone in EVERYONE)),
        Subnet("subnet", "vpc", (ip_network("10.0.1.0/24"), ip_network("2001:db8:a:1::/64")), route_table="public"),
        *(SecurityGroup(name, "vpc", OPEN, OPEN) for name in named),
        *groups,
        *(lists or []),
        Instance("host", "vpc"),
        NetworkInterface(
            "eth0",
            "host",
            "subnet",
            (HOST[4], HOST[6]),
            ((HOST[4], ip_address("198.51.100.10")),),
            tuple(group.name for group in groups),
        ),
    ]
    for number, members in enumerate(MEMBERS):
        ips = (NEIGHBOURS[4][number], NEIGHBOURS[6][number])
        parts += [Instance(f"near-{number}", "vpc"), NetworkInterface("eth0", f"near-{number}", "subnet", ips, (), (*members, "open"))]
    return Topology.of(*parts, name="oracle", policy=Policy(**knobs))  # type: ignore[arg-type]


def drawn(seed: int, traffic: Traffic, **policy: object) -> Topology:
    """A topology whose rules are drawn from a seed, near what the traffic asks for."""
    chance = Random(f"{seed} {traffic.name}")
    lists = [PrefixList("office", "vpc", _entries(chance, traffic, 4)), PrefixList("partners6", "vpc", _entries(chance, traffic, 6))]
    groups = []
    for number in range(chance.choice([1, 1, 2, 3])):
        ways = [_rules(chance, traffic, way) for way in (Direction.INGRESS, Direction.EGRESS)]
        groups.append(SecurityGroup(f"judged-{number}", "vpc", ways[0], ways[1]))
    return topology(groups, lists, **policy)


def _rules(chance: Random, traffic: Traffic, way: Direction) -> tuple[Rule, ...]:
    rules: dict[object, Rule] = {}
    if chance.random() < 0.15:  # all open to one family or both, the half of what makes a flow untracked
        rules |= {rule.content(): rule for rule in OPEN[: chance.randint(1, 2)]}
    for _ in range(chance.choice([0, 0, 1, 1, 2, 3, 5, 8])):
        service, family = _service(chance, traffic, way)
        rule = Rule(service.protocol, service.ports, _peer(chance, traffic, family)).canonical()
        rules[rule.content()] = rule
    return tuple(rules.values())


def _service(chance: Random, traffic: Traffic, way: Direction) -> tuple[Service, int]:
    """A protocol and ports, most often some that the traffic has in this direction, now and then of the other."""
    wanted = INSIDE if (way == Direction.EGRESS) == (chance.random() < 0.8) else 1 - INSIDE
    asked = sorted(item for item in traffic.services if item[0] == wanted)
    if not asked or chance.random() < 0.1:
        return _any(chance), chance.choice([4, 4, 6])
    _, family, protocol, (first, last) = chance.choices(asked, [traffic.services[item] ** 0.5 for item in asked])[0]
    if chance.random() < 0.08:
        return Service(ALL), family
    if protocol in (TCP, UDP):
        kind = chance.random()
        if kind < 0.15:
            return Service(protocol, (0, 65535)), family
        if kind < 0.5:
            return Service(protocol, (max(0, first - chance.randint(0, 3000)), min(65535, first + chance.randint(0, 3000)))), family
        return Service(protocol, (first, first)), family
    if protocol in (ICMP, ICMPV6):
        return Service(protocol, chance.choice([ANY_PORTS, (first, ALL), (first, last)])), family
    return Service(protocol), family


def _any(chance: Random) -> Service:
    protocol = chance.choice([ALL, TCP, UDP, ICMP, ICMPV6, 47, 50])
    return Service(protocol, (0, 65535) if protocol in (TCP, UDP) else ANY_PORTS)


def _peer(chance: Random, traffic: Traffic, family: int) -> Peer:
    kind = chance.random()
    if kind < 0.2:
        return EVERYONE[0 if family == 4 else 1]
    if kind < 0.32:
        return GroupPeer(chance.choice(["app", "db", "open", "judged-0"]))
    if kind < 0.44:
        return ListPeer(_LISTS[0 if family == 4 else 1])
    return _block(chance, traffic, family)


def _block(chance: Random, traffic: Traffic, family: int) -> Block:
    near = sorted((ip for ip in traffic.remotes if ip.version == family), key=int)
    ip = chance.choices(near, [traffic.remotes[ip] ** 0.5 for ip in near])[0] if near else HOST[family]
    length = chance.choice([1, 8, 16, 24, 28, 32] if family == 4 else [1, 16, 32, 48, 64, 128])
    return ip_network(f"{ip}/{length}", strict=False)


def _entries(chance: Random, traffic: Traffic, family: int) -> tuple[Block, ...]:
    return tuple(dict.fromkeys(_block(chance, traffic, family) for _ in range(chance.randint(1, 4))))
