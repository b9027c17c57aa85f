"""Whole networks drawn by chance, and captures for them: the same for the same seed.

A network is two VPCs: one with a public, a private and a middle subnet, whose machine ``r`` forwards, and another one
that a peering or a transit gateway joins to it, or nothing.  Groups, network ACLs, routes, links and settings are drawn.
A *plain* network has nothing by which packets of different pairs of hosts depend on each other; the others have NAT, a
load balancer, an endpoint, a customer network, slow links, a full tracking table or a plan of edits as well.

A capture is some conversations at once, seen before or behind translation, and what else goes over a wire.
"""

import random
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from struct import pack
from typing import Any

from emulator.model.entities import (
    EgressOnlyInternetGateway,
    ExternalHost,
    Fault,
    Instance,
    InternetGateway,
    Link,
    NatGateway,
    NetworkInterface,
    Policy,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import EVERYONE, OPEN_ACL, AclRule, GroupPeer, ListPeer, NetworkAcl, PrefixList, Rule, SecurityGroup
from emulator.model.joined import (
    CustomerNetwork,
    InterfaceEndpoint,
    Listener,
    NetworkLoadBalancer,
    Node,
    Target,
    TargetGroup,
    TransitGateway,
    TransitGatewayAttachment,
    VpnGateway,
)
from emulator.model.schedule import PlannedEdit
from emulator.model.services import parse_service
from emulator.model.topology import Topology
from emulator.wire.craft import datagram, fragment, icmp_error
from emulator.wire.headers import ACK, FIN, ICMP, ICMPV6, PSH, RST, SYN, TCP, UDP

MS, S = 10**6, 10**9
BEGIN_NS = 1_700_000_000 * S
BLOCKS = ("0.0.0.0/0", "0.0.0.0/0", "::/0", "10.0.0.0/8", "10.0.2.0/24", "203.0.113.0/28", "2001:db8::/32", "10.0.1.10/32")
SERVICES = ("all", "all", "all", "tcp/0-65535", "tcp/22", "tcp/443", "udp/0-65535", "udp/53", "icmp", "icmp/8", "icmpv6", "47")
PORTS = (22, 53, 443, 443, 1024)
MACHINES = {  # subnet, IPv4, IPv6, public
    "web": ("pub", "10.0.1.10", "2001:db8:a:1::10", "198.51.100.10"),
    "web-2": ("pub", "10.0.1.11", "2001:db8:a:1::11", "198.51.100.11"),
    "app": ("priv", "10.0.2.10", "2001:db8:a:2::10", None),
    "app-2": ("priv", "10.0.2.11", "2001:db8:a:2::11", None),
    "r": ("mid", "10.0.3.10", "2001:db8:a:3::10", None),
    "far": ("far", "10.1.1.10", "2001:db8:b:1::10", None),
    "far-2": ("far", "10.1.1.11", "2001:db8:b:1::11", "198.51.100.30"),
}
OUTSIDE = {"ext": ("203.0.113.12", "2001:db8:ffff::12"), "ext-2": ("203.0.113.99", "2001:db8:ffff::99")}
OFFICE, NAT, NAT_PUBLIC, BALANCER, ENDPOINT = "192.168.1.10", "10.0.1.200", "198.51.100.20", "10.0.1.201", "10.0.2.202"
STRANGE = ("192.0.2.77", "10.0.1.99", "10.1.1.1", "127.0.0.1", "224.0.0.5", "169.254.169.253", "10.0.0.2", "0.0.0.0", "2001:db8:a:1::99")
ENDS = (("web", "app"), ("ext", "igw-a"), ("igw-a", "web"), ("app", "r"), ("r", "web-2"), ("web", "web-2"), ("app", "far"))


def network(seed: int) -> Topology:
    """The network of a seed; a plain one if that is even."""
    dice = random.Random(seed)
    plain = seed % 2 == 0
    parts: list[Any] = [
        Vpc("a", (ip_network("10.0.0.0/16"), ip_network("2001:db8:a::/56"))),
        Vpc("b", (ip_network("10.1.0.0/16"), ip_network("2001:db8:b::/56"))),
        InternetGateway("igw-a", "a"),
        InternetGateway("igw-b", "b"),
        EgressOnlyInternetGateway("eigw-a", "a"),
        PrefixList("office", "a", (ip_network("203.0.113.0/25"), ip_network("10.0.2.0/28"))),
        *(ExternalHost(name, tuple(map(ip_address, ips))) for name, ips in OUTSIDE.items()),
        *(NetworkAcl(name, "a", _entries(dice), _entries(dice)) for name in ("acl-1", "acl-2")),
    ]
    across, more = _joint(dice, plain)
    parts += more
    parts += _places(dice, plain, across)
    for vpc, names in (("a", ("g0", "g1", "g2")), ("b", ("g3", "g4"))):
        parts += [SecurityGroup(name, vpc, _rules(dice, names, 4), dice.choice([None, _rules(dice, names, 5)])) for name in names]
    for name, (subnet, v4, v6, public) in MACHINES.items():
        vpc = "b" if subnet == "far" else "a"
        groups = tuple(dice.sample(("g3", "g4") if vpc == "b" else ("g0", "g1", "g2"), dice.randint(1, 2)))
        elastic = ((ip_address(v4), ip_address(public)),) if public else ()
        tracked = 3 if not plain and dice.random() < 0.03 else None
        parts.append(Instance(name, vpc, max_tracked=tracked))
        parts.append(NetworkInterface("eth0", name, subnet, (ip_address(v4), ip_address(v6)), elastic, groups, name != "r"))
    parts += [_link(dice, plain, ends) for ends in dice.sample(ENDS, dice.randint(0, 5))]
    if not plain and dice.random() < 0.25:
        parts += [
            PlannedEdit(5 * S, "authorize_ingress", "g0", ("tcp/8080", "192.0.2.0/24")),
            PlannedEdit(9 * S, "set_groups", "app", ("g2",)),
        ]
    return Topology.of(*parts, name=f"drawn-{seed}", policy=_policy(dice, plain))


def _joint(dice: random.Random, plain: bool) -> tuple[list[str], list[Any]]:
    """What joins the two VPCs: the target of routes from one to the other, if any, and the parts of it."""
    if plain or dice.random() < 0.4:
        peering = VpcPeeringConnection("pcx", "a", "b", dice.choice(["active", "active", "deleted"]))
        return (["pcx"], [peering]) if dice.random() < 0.8 else ([], [])
    attachments = [
        TransitGatewayAttachment("to-a", "hub", vpc="a", subnets=("mid", "priv")),
        TransitGatewayAttachment("to-b", "hub", vpc="b", subnets=("far",)),
    ]
    return ["hub"], [TransitGateway("hub"), *attachments]


def _places(dice: random.Random, plain: bool, across: list[str]) -> list[Any]:
    """Subnets, their route tables, and what stands in them besides machines."""
    everyone, everyone_v6 = EVERYONE
    to_b = [Route(ip_network("10.1.0.0/16"), target) for target in across]
    to_a = [Route(ip_network("10.0.0.0/16"), target) for target in across]
    out = dice.choice([[Route(everyone, "igw-a")], [Route(everyone, "r")], [Route(everyone, "", blackhole=True)], []])
    if not plain and dice.random() < 0.7:
        out = [Route(everyone, "nat")]
    by_r = [Route(ip_network("10.0.1.0/24"), "r")] if dice.random() < 0.3 else []
    public = [Route(everyone, "igw-a"), Route(everyone_v6, "igw-a")]
    joined = not plain and dice.random() < 0.5
    parts: list[Any] = [
        RouteTable("t-pub", "a", (*public, *to_b)),
        RouteTable("t-priv", "a", (*out, *by_r, *to_b, Route(everyone_v6, "eigw-a"))),
        RouteTable("t-mid", "a", (*public, *to_b), main=True, propagating=("vgw",) if joined else ()),
        RouteTable("t-far", "b", (*to_a, Route(everyone, "igw-b")), main=True),
    ]
    for number, (name, zone, table) in enumerate((("pub", "a", "t-pub"), ("priv", "b", "t-priv"), ("mid", "a", "")), 1):
        blocks = (ip_network(f"10.0.{number}.0/24"), ip_network(f"2001:db8:a:{number}::/64"))
        parts.append(Subnet(name, "a", blocks, zone, table, dice.choice(["", "acl-1", "acl-2"])))
    parts.append(Subnet("far", "b", (ip_network("10.1.1.0/24"), ip_network("2001:db8:b:1::/64")), "a"))
    if not plain:
        parts.append(NatGateway("nat", "pub", ip_address(NAT), ip_address(NAT_PUBLIC)))
        parts.append(InterfaceEndpoint("ssm", "a", (Node("priv", ip_address(ENDPOINT)),), ("g1",)))
        parts += _balancer(dice)
    if joined:
        parts += [VpnGateway("vgw", "a"), CustomerNetwork("customer", (ip_network("192.168.0.0/16"),), "vgw")]
        parts.append(ExternalHost("desk", (ip_address(OFFICE),)))
    return parts


def _balancer(dice: random.Random) -> list[Any]:
    by_address = dice.random() < 0.5
    targets = tuple(Target(MACHINES[name][1] if by_address else name) for name in ("app", "app-2"))
    group = TargetGroup("apps", "a", 80, targets, target_type="ip" if by_address else "instance")
    node = Node("pub", ip_address(BALANCER), ip_address("198.51.100.21"))
    groups = dice.choice([(), ("g0",)])
    return [group, NetworkLoadBalancer("nlb", "a", (node,), (Listener(443, "apps"),), cross_zone=True, security_groups=groups)]


def _rules(dice: random.Random, groups: tuple[str, ...], most: int) -> tuple[Rule, ...]:
    """Some rules, each once; more often than not, they let everything pass."""
    peers = [*BLOCKS, *map(GroupPeer, groups), *([ListPeer("office")] if "g0" in groups else [])]
    made = [Rule.of(dice.choice(SERVICES), dice.choice(peers)).canonical() for _ in range(dice.randint(0, most))]
    made += [Rule.of("all", everyone) for everyone in EVERYONE if dice.random() < 0.6]
    return tuple({rule.content(): rule for rule in made}.values())


def _entries(dice: random.Random) -> tuple[AclRule, ...]:
    """Some entries of a network ACL that ends, more often than not, with everything."""
    services = [parse_service(dice.choice(SERVICES)) for _ in range(dice.randint(0, 2))]
    made = [
        AclRule(number, dice.random() < 0.5, one.protocol, one.ports, ip_network(dice.choice(BLOCKS)))
        for number, one in enumerate(services, 1)
    ]
    return (*made, *(OPEN_ACL if dice.random() < 0.9 else ()))


def _link(dice: random.Random, plain: bool, ends: tuple[str, str]) -> Link:
    fault = Fault(3 * S, 6 * S, dice.random() < 0.5, 0 if plain else dice.choice([0, 5 * MS]), dice.choice([0, 500_000_000]))
    return Link(
        ends,
        latency_ns=dice.choice([0, 1, MS, 70 * MS]),
        rate_bps=0 if plain else dice.choice([0, 64_000]),
        queue_bytes=dice.choice([0, 300]),
        loss_ppb=dice.choice([0, 0, 200_000_000]),
        jitter_ns=0 if plain else dice.choice([0, 0, 5 * MS]),
        faults=(fault,) if dice.random() < 0.3 else (),
        reorder_ns=dice.choice([0, 0, 10 * MS]),
    )


def _policy(dice: random.Random, plain: bool) -> Policy:
    return Policy(
        midstream_tcp=dice.choice(["rules_only", "rules_only", "pickup", "strict"]),
        icmp_error_related=dice.random() < 0.5,
        tcp_default_established_s=dice.choice([None, 60]),
        tcp_close_linger_s=dice.choice([0, 10]),
        frag_policy=dice.choice(["reassemble", "reassemble", "first_fragment", "drop_noninitial"]),
        ttl=dice.choice(["spec", "per_hop"]),
        srcdst_after_sg=dice.random() < 0.5,
        ref_matches_ipv6=dice.random() < 0.5,
        max_entries=3 if not plain and dice.random() < 0.2 else None,
        mtu_of_captures=dice.random() < 0.5,
        seed=dice.randint(0, 3),
    )


@dataclass
class Tape:
    """Frames of a capture that is being drawn: (time in ns, bytes, how many of them were captured)."""

    dice: random.Random
    frames: list[tuple[int, bytes, int]] = field(default_factory=list)
    now_ns: int = 0

    def put(self, packet: bytes, *, captured: int | None = None) -> None:
        """Put down a packet, and let some time pass."""
        self.frames.append((self.now_ns, packet, len(packet) if captured is None else min(captured, len(packet))))
        self.now_ns += self.dice.choice([0, 0, 1, MS, 3 * MS, 40 * MS, 900 * MS])


Party = dict[int, list[str]]
"""The addresses by which somebody is known, by family; the first is what it sends from."""


INSIDE: list[Party] = [{4: [v4, *([public] if public else [])], 6: [v6]} for _, v4, v6, public in MACHINES.values()]
BEYOND: list[Party] = [{4: [v4], 6: [v6]} for v4, v6 in OUTSIDE.values()]
SERVED: list[Party] = [{4: [OFFICE]}, {4: [NAT_PUBLIC]}, {4: [BALANCER, "198.51.100.21"]}, {4: [ENDPOINT]}]


def frames(seed: int, conversations: int = 24) -> list[tuple[int, bytes, int]]:
    """The frames of a seed's capture: (time in ns, a raw IP datagram, the bytes of it that were captured), in the order of the file."""
    dice = random.Random(-1 - seed)
    tape = Tape(dice)
    for _ in range(conversations):
        tape.now_ns = BEGIN_NS + dice.choice([0, dice.randrange(8 * S), dice.randrange(80 * S)])
        family = dice.choice([4, 4, 4, 6])
        one = dice.choice(INSIDE)
        other = dice.choice([party for party in (*INSIDE, *BEYOND, *BEYOND, *SERVED) if party is not one and family in party])
        if seed % 2 and dice.random() < 0.2:  # the way that leads through NAT
            family, one, other = 4, dice.choice(INSIDE[2:4]), dice.choice(BEYOND)
        elif dice.random() < 0.4:
            one, other = other, one
        # A capture shows machines by their private or their public addresses, as it was taken inside or outside.
        ends = tuple(ip_address(dice.choice(party[family])) for party in (one, other))
        dice.choice(TALKS)(tape, *ends)
    made = sorted(tape.frames, key=lambda frame: frame[0])
    for at in range(1, len(made), 2):  # some clocks run backwards; pairs like these are in one window, if its size is a multiple of 4
        if dice.random() < 0.08:
            made[at - 1], made[at] = made[at], made[at - 1]
    return made


def write(path: Path, made: list[tuple[int, bytes, int]]) -> None:
    """Write frames as a capture (pcap, nanoseconds, raw IP)."""
    with path.open("wb") as file:
        file.write(pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 101))
        for time_ns, frame, captured in made:
            file.write(pack("<IIII", *divmod(time_ns, S), captured, len(frame)) + frame[:captured])


def _segment(source: Any, destination: Any, ports: tuple[int, int], flags: int, size: int = 0, ttl: int = 64) -> bytes:
    return datagram(source, destination, TCP, pack(">HHIIBBHHH", *ports, 1, 1, 5 << 4, flags, 1024, 0, 0) + bytes(size), ttl)


def _tcp(tape: Tape, a: Any, b: Any) -> None:
    """A conversation from its handshake or its middle on, with or without an end."""
    dice = tape.dice
    ports = dice.randint(32_768, 60_999), dice.choice(PORTS)
    back = ports[::-1]
    if dice.random() < 0.8:
        tape.put(_segment(a, b, ports, SYN))
        tape.put(_segment(b, a, back, SYN | ACK))
        tape.put(_segment(a, b, ports, ACK))
    for _ in range(dice.randint(0, 6)):
        size = dice.choice([0, 9, 600, 3000])
        tape.put(_segment(a, b, ports, ACK | PSH, size) if dice.random() < 0.5 else _segment(b, a, back, ACK | PSH, size))
    if dice.random() < 0.3:
        tape.put(_segment(a, b, ports, RST))
    elif dice.random() < 0.6:
        tape.put(_segment(a, b, ports, FIN | ACK))
        tape.put(_segment(b, a, back, FIN | ACK))
        tape.put(_segment(a, b, ports, ACK))
    if dice.random() < 0.3:  # the same ports once more
        tape.put(_segment(a, b, ports, SYN))
        tape.put(_segment(b, a, back, SYN | ACK))


def _message(source: Any, destination: Any, ports: tuple[int, int], size: int, ttl: int = 64) -> bytes:
    return datagram(source, destination, UDP, pack(">HHHH", *ports, 8 + size, 0) + bytes(size), ttl)


def _udp(tape: Tape, a: Any, b: Any) -> None:
    """Questions, and answers to most of them."""
    dice = tape.dice
    ports = dice.randint(32_768, 60_999), dice.choice(PORTS)
    for _ in range(dice.randint(1, 4)):
        tape.put(_message(a, b, ports, dice.choice([5, 1400, 2000]), dice.choice([64, 64, 1, 2])))
        if dice.random() < 0.8:
            tape.put(_message(b, a, ports[::-1], 30))


def _ping(tape: Tape, a: Any, b: Any) -> None:
    """Echo requests, and replies to most of them, at times one that nobody asked for."""
    dice, identifier = tape.dice, tape.dice.randint(1, 99)
    protocol, ask, reply = (ICMP, 8, 0) if a.version == 4 else (ICMPV6, 128, 129)
    for sequence in range(dice.randint(1, 5)):
        body = pack(">HHH", 0, identifier, sequence) + bytes(dice.choice([8, 1600]))
        if dice.random() < 0.9:
            tape.put(datagram(a, b, protocol, bytes([ask, 0]) + body, dice.choice([64, 64, 1])))
        if dice.random() < 0.8:
            tape.put(datagram(b, a, protocol, bytes([reply, 0]) + body, 64))


def _fragments(tape: Tape, a: Any, b: Any) -> None:
    """Datagrams in pieces, in order or not, whole or not, and an answer."""
    dice = tape.dice
    ports = dice.randint(32_768, 60_999), dice.choice(PORTS)
    for number in range(dice.randint(1, 3)):
        whole = dice.choice([_message(a, b, ports, 60), _segment(a, b, ports, SYN, 60)])
        pieces = [piece(whole, 0x100 + number, start, start < 48) for start in (0, 24, 48)]
        if dice.random() < 0.5:
            dice.shuffle(pieces)
        for one in pieces[: dice.choice([2, 3, 3])]:
            tape.put(one)
    tape.put(_message(b, a, ports[::-1], 4))


def piece(packet: bytes, number: int, offset: int, more: bool) -> bytes:
    """A piece of 24 bytes of a datagram's payload, the rest of it if no more follow, in the way of its IP version."""
    if packet[0] >> 4 == 4:
        numbered = packet[:4] + pack(">H", number) + packet[6:]
        return fragment(numbered, offset, 24 if more else len(packet) - 20 - offset, more)
    part = packet[40 + offset : 64 + offset] if more else packet[40 + offset :]
    head = pack(">BBHI", packet[6], 0, offset | int(more), number)
    return packet[:4] + pack(">HBB", len(head) + len(part), 44, packet[7]) + packet[8:40] + head + part


def _errors(tape: Tape, a: Any, b: Any) -> None:
    """A live flow about which the other side, or a router that nobody knows, sends ICMP errors."""
    dice = tape.dice
    ports = dice.randint(32_768, 60_999), dice.choice(PORTS)
    sent = dice.choice([_message(a, b, ports, 900), _segment(a, b, ports, SYN)])
    answer = dice.choice([_message(b, a, ports[::-1], 900), _segment(b, a, ports[::-1], SYN | ACK)])
    router = ip_address("192.0.2.1" if a.version == 4 else "2001:db8:fff::1")
    tape.put(sent)
    if dice.random() < 0.6:
        tape.put(answer)
    for _ in range(dice.randint(1, 3)):
        about, source, to = dice.choice([(sent, b, a), (sent, router, a), (answer, a, b)])
        tape.put(icmp_error(source, to, too_big=dice.random() < 0.5, mtu=1300, quoted=about, ttl=64))


def _noise(tape: Tape, a: Any, b: Any) -> None:
    """Packets from nowhere and to nowhere, of other protocols, cut short, or no packets at all."""
    dice = tape.dice
    nowhere = ip_address(dice.choice([text for text in STRANGE if (":" in text) == (a.version == 6)]))
    ports = dice.choice([(40_000, 80), (68, 67), (53, 40_000)])
    tape.put(_message(nowhere, b, ports, 10))
    tape.put(_message(a, nowhere, ports, 10))
    tape.put(datagram(a, b, dice.choice([47, 50, 132]), pack(">HHII", 7, 9, 1, 0), 64))
    tape.put(_segment(a, b, ports, SYN), captured=dice.choice([0, 9, 20, 30, 42]))
    tape.put(_message(a, a, ports, 3))
    tape.put(dice.randbytes(dice.randint(1, 60)))


TALKS = (_tcp, _tcp, _tcp, _udp, _ping, _fragments, _errors, _noise)
