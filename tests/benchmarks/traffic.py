"""A network and captures for it, made of whole arrays: a million packets in seconds, the same for the same seed.

    flows ─► packets of each flow (handshake, data to and fro, teardown) ─► in the order of time ─► headers ─► file

Every `EPOCH` packets begin a new set of flows, so that a capture of any size is made in constant memory.  Checksums are
right: the kernel's connection tracking looks at them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np

from emulator.model.entities import Instance, InternetGateway, NetworkInterface, Route, RouteTable, Subnet, Vpc
from emulator.model.groups import EVERYONE, GroupPeer, Rule, SecurityGroup
from emulator.model.topology import Topology

EPOCH = 1_000_000
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
SYN, ACK, FIN, PSH = 2, 16, 1, 8
BLOCK_V4, BLOCK_V6 = ip_network("10.0.0.0/16"), ip_network("2001:db8:100::/56")
CLOSED_PORT = 61_000
TCP_RULES, UDP_RULES, V6_TCP_RULES, V6_UDP_RULES = 36, 8, 4, 2
PACKETS_A_FLOW = {TCP: 13.0, UDP: 6.0, ICMP: 6.0}


@dataclass(frozen=True)
class Mix:
    """What a capture is made of; shares are of flows."""

    packets: int = EPOCH
    instances: int = 200
    groups: int = 20
    groups_an_instance: int = 5
    tcp: float = 0.6
    udp: float = 0.3
    v6: float = 0.1
    blocked: float = 0.034
    outside: float = 0.06
    seconds: float = 300.0
    seed: int = 1
    sizes: tuple[int, int] = field(default=(0, 1100))


def addresses(instance: int) -> tuple[str, str, str]:
    """Private, public and IPv6 address of an instance."""
    subnet, host = instance % 4, instance // 4 + 10
    return (
        str(ip_network(f"10.0.{16 * subnet}.0/20")[host]),
        str(ip_address("198.51.0.0") + instance + 1),
        str(ip_network(f"2001:db8:100:{subnet}::/64")[host]),
    )


def group_members(mix: Mix) -> list[list[int]]:
    """The groups of each instance: one to five, the same for the same seed."""
    random = np.random.default_rng(mix.seed)
    return [
        random.choice(mix.groups, random.integers(1, min(mix.groups_an_instance, mix.groups) + 1), replace=False).tolist()
        for _ in range(mix.instances)
    ]


def rules_of(group: int, groups: int) -> tuple[Rule, ...]:
    """The 60 ingress rules of a group, everyone's among the VPC's own."""
    rules = [Rule(ICMP, (-1, -1), BLOCK_V4), Rule(ICMPV6, (-1, -1), BLOCK_V6)]
    rules += [Rule(TCP, (443, 443), everyone) for everyone in EVERYONE]
    rules += [Rule(TCP, (7000 + k, 7000 + k), GroupPeer(f"g{(group + k) % groups}")) for k in range(6)]
    rules += [Rule(TCP, (port, port), BLOCK_V4) for port in range(2000 + TCP_RULES * group, 2000 + TCP_RULES * (group + 1))]
    rules += [Rule(UDP, (port, port), BLOCK_V4) for port in range(30_000 + UDP_RULES * group, 30_000 + UDP_RULES * (group + 1))]
    rules += [Rule(TCP, (port, port), BLOCK_V6) for port in range(2000 + TCP_RULES * group, 2000 + TCP_RULES * group + V6_TCP_RULES)]
    rules += [Rule(UDP, (port, port), BLOCK_V6) for port in range(30_000 + UDP_RULES * group, 30_000 + UDP_RULES * group + V6_UDP_RULES)]
    order = np.random.default_rng(group).permutation(len(rules))
    return tuple(rules[k] for k in order)


def topology(mix: Mix) -> Topology:
    """A VPC of four subnets with so many instances, each with some of the groups."""
    parts: list[Any] = [
        Vpc("bench", (BLOCK_V4, BLOCK_V6)),
        InternetGateway("igw", "bench"),
        RouteTable("main", "bench", tuple(Route(everyone, "igw") for everyone in EVERYONE), main=True),
    ]
    for subnet in range(4):
        parts.append(Subnet(f"s{subnet}", "bench", (ip_network(f"10.0.{16 * subnet}.0/20"), ip_network(f"2001:db8:100:{subnet}::/64"))))
    parts += [SecurityGroup(f"g{group}", "bench", rules_of(group, mix.groups)) for group in range(mix.groups)]
    for instance, groups in enumerate(group_members(mix)):
        private, public, v6 = (ip_address(text) for text in addresses(instance))
        parts.append(Instance(f"host-{instance}", "bench"))
        parts.append(
            NetworkInterface(
                "eth0", f"host-{instance}", f"s{instance % 4}", (private, v6), ((private, public),), tuple(f"g{group}" for group in groups)
            )
        )
    return Topology.of(*parts, name="benchmark")


def write(path: Path, mix: Mix) -> int:
    """Write a capture (pcap, Ethernet); gives the number of its flows."""
    flows = 0
    with path.open("wb") as file:
        file.write(pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for epoch, first in enumerate(range(0, mix.packets, EPOCH)):
            count = min(EPOCH, mix.packets - first)
            table = _flows(mix, epoch, count)
            flows += len(table["protocol"])
            for piece in _frames(mix, epoch, table, count):
                file.write(piece)
    return flows


def _flows(mix: Mix, epoch: int, packets: int) -> dict[str, Any]:
    """The flows of an epoch: protocol, family, ends, ports, packets and times."""
    random = np.random.default_rng([mix.seed, epoch])
    mean = mix.tcp * PACKETS_A_FLOW[TCP] + mix.udp * PACKETS_A_FLOW[UDP] + (1 - mix.tcp - mix.udp) * PACKETS_A_FLOW[ICMP]
    count = max(1, int(packets / mean))
    chance = random.random(count)
    protocol = np.where(chance < mix.tcp, TCP, np.where(chance < mix.tcp + mix.udp, UDP, ICMP))
    v6 = random.random(count) < mix.v6
    client, server = random.integers(0, mix.instances, count), random.integers(0, mix.instances, count)
    server = np.where(server == client, (server + 1) % mix.instances, server)
    members = group_members(mix)
    group = np.array(
        [members[s][r % len(members[s])] for s, r in zip(server.tolist(), random.integers(0, 60, count).tolist(), strict=True)]
    )
    number = random.integers(0, 1 << 30, count)
    tcp_rules, udp_rules = np.where(v6, V6_TCP_RULES, TCP_RULES), np.where(v6, V6_UDP_RULES, UDP_RULES)
    port = np.where(protocol == TCP, 2000 + TCP_RULES * group + number % tcp_rules, 30_000 + UDP_RULES * group + number % udp_rules)
    outside = (random.random(count) < mix.outside) & (protocol == TCP) & ~v6
    port = np.where(outside, 443, port)
    port = np.where(random.random(count) < mix.blocked, CLOSED_PORT, port)
    length = np.where(protocol == TCP, 7 + random.exponential(6.0, count), 1 + random.exponential(5.5, count)).astype(np.int64)
    length += np.where(protocol == TCP, 0, length & 1)
    return {
        "protocol": protocol,
        "v6": v6,
        "client": client,
        "server": server,
        "outside": outside,
        "source_port": random.integers(32_768, 61_000, count),
        "port": port,
        "length": length,
        "start": random.random(count) * mix.seconds + epoch * mix.seconds,
        "gap": random.exponential(0.05, count) + 0.0005,
    }


def _frames(mix: Mix, epoch: int, flows: dict[str, Any], wanted: int) -> Iterator[bytes]:
    """The packets of an epoch as pieces of a file, exactly as many as wanted, in the order of time."""
    random = np.random.default_rng([mix.seed, epoch, 1])
    length = flows["length"]
    flow = np.repeat(np.arange(len(length)), length)
    place = np.arange(len(flow)) - np.repeat(np.cumsum(length) - length, length)
    if len(flow) < wanted:  # the last flow of the epoch talks on
        more = wanted - len(flow)
        place = np.concatenate([place, length[-1] + np.arange(more)])
        flow = np.concatenate([flow, np.full(more, len(length) - 1)])
        length = length.copy()
        length[-1] += more
    time = flows["start"][flow] + place * flows["gap"][flow]
    order = np.argsort(time, kind="stable")[:wanted]
    flow, place, time = flow[order], place[order], time[order]
    payload = random.integers(*mix.sizes, len(flow))
    for first in range(0, wanted, 100_000):
        part = slice(first, first + 100_000)
        yield _encode(flows, length, flow[part], place[part], time[part], payload[part])


def _encode(flows: dict[str, Any], lengths: Any, flow: Any, place: Any, time: Any, payload: Any) -> bytes:
    protocol, v6 = flows["protocol"][flow], flows["v6"][flow]
    last = lengths[flow] - 1 - place
    tcp = protocol == TCP
    # tcp: SYN, SYN-ACK, ACK, data by turns, then FIN, FIN, ACK; the others ask and answer by turns.
    opening, closing = tcp & (place < 3), tcp & (last < 3)
    answers = np.where(tcp, np.where(closing, last == 1, place % 2 == 1), place % 2 == 1)
    flags = np.full(len(flow), ACK | PSH)
    flags = np.where(tcp & (place == 0), SYN, np.where(tcp & (place == 1), SYN | ACK, np.where(opening, ACK, flags)))
    flags = np.where(closing, np.where(last > 0, FIN | ACK, ACK), flags)
    payload = np.where(opening | closing, 0, payload)
    transport = np.where(tcp, 20, 8)
    network = np.where(v6, 40, 20)
    captured = 14 + network + transport + payload
    offset = np.cumsum(captured + 16) - (captured + 16)
    out = np.zeros(int((captured + 16).sum()), np.uint8)
    whole = time.astype(np.int64)
    record = np.stack([whole, ((time - whole) * 1e6).astype(np.int64), captured, captured], axis=1).astype("<u4")
    _put(out, offset, record.view(np.uint8).reshape(len(flow), 16))
    for family in (4, 6):
        for kind in (TCP, UDP, ICMP):
            rows = np.flatnonzero((v6 == (family == 6)) & (protocol == kind))
            if len(rows):
                header = _headers(flows, family, kind, flow[rows], place[rows], answers[rows], flags[rows], payload[rows])
                _put(out, offset[rows] + 16, header)
    return out.tobytes()


def _put(out: Any, at: Any, rows: Any) -> None:
    out[at[:, None] + np.arange(rows.shape[1])] = rows


def _big_endian(values: Any, size: int) -> Any:
    kind = {1: ">u1", 2: ">u2", 4: ">u4"}[size]
    return np.ascontiguousarray(values.astype(kind)).view(np.uint8).reshape(len(values), size)


def _ends(flows: dict[str, Any], family: int, flow: Any, answers: Any) -> tuple[Any, Any]:
    """Source and destination addresses as bytes; outside, a server is known by its public address."""
    instances = int(max(flows["client"].max(), flows["server"].max())) + 1
    known = [addresses(instance) for instance in range(instances)]

    def table(column: int) -> Any:
        return np.array([list(ip_address(names[column]).packed) for names in known], np.uint8)

    client, server = flows["client"][flow], flows["server"][flow]
    if family == 6:
        one, other = table(2)[client], table(2)[server]
    else:
        one, other = table(0)[client], table(0)[server]
        stranger = flows["outside"][flow]
        one[stranger] = np.stack(
            [np.full(int(stranger.sum()), 203), flow[stranger] % 256, client[stranger] % 256, flow[stranger] // 256 % 256], 1
        )
        other[stranger] = table(1)[server[stranger]]
    back = answers[:, None]
    return np.where(back, other, one), np.where(back, one, other)


def _headers(flows: dict[str, Any], family: int, kind: int, flow: Any, place: Any, answers: Any, flags: Any, payload: Any) -> Any:
    count, network, transport = len(flow), 40 if family == 6 else 20, 20 if kind == TCP else 8
    rows = np.zeros((count, 14 + network + transport), np.uint8)
    rows[:, :12] = np.array([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], np.uint8)
    rows[:, 12:14] = (0x86, 0xDD) if family == 6 else (0x08, 0x00)
    source, destination = _ends(flows, family, flow, answers)
    ip, protocol = rows[:, 14 : 14 + network], (ICMPV6 if family == 6 and kind == ICMP else kind)
    size = transport + payload
    if family == 6:
        ip[:, 0], ip[:, 4:6], ip[:, 6], ip[:, 7] = 0x60, _big_endian(size, 2), protocol, 64
        ip[:, 8:24], ip[:, 24:40] = source, destination
    else:
        ip[:, 0], ip[:, 2:4], ip[:, 4:6] = 0x45, _big_endian(size + 20, 2), _big_endian((flow * 31 + place) & 0xFFFF, 2)
        ip[:, 6], ip[:, 8], ip[:, 9], ip[:, 12:16], ip[:, 16:20] = 0x40, 64, protocol, source, destination
        ip[:, 10:12] = _big_endian(_checksum(ip), 2)
    body = rows[:, 14 + network :]
    ports = flows["source_port"][flow], flows["port"][flow]
    if kind == ICMP:
        body[:, 0] = np.where(answers, 129, 128) if family == 6 else np.where(answers, 0, 8)
        body[:, 4:6], body[:, 6:8], check = _big_endian(ports[0], 2), _big_endian(place // 2, 2), 2
    else:
        body[:, 0:2] = _big_endian(np.where(answers, ports[1], ports[0]), 2)
        body[:, 2:4] = _big_endian(np.where(answers, ports[0], ports[1]), 2)
        check = 16 if kind == TCP else 6
        if kind == TCP:
            body[:, 4:8] = _big_endian(place * 1000 & 0xFFFFFFFF, 4)
            body[:, 8:12] = _big_endian(np.where(place == 0, 0, place * 1000), 4)
            body[:, 12], body[:, 13], body[:, 14:16] = 0x50, flags, (0xFF, 0xFF)
        else:
            body[:, 4:6] = _big_endian(size, 2)
    pseudo = np.zeros((count, 0), np.uint8)
    if kind != ICMP or family == 6:
        tail = np.stack([np.zeros(count, np.int64), np.full(count, protocol)], 1).astype(np.uint8)
        pseudo = np.concatenate([source, destination, tail, _big_endian(size, 2)], 1)
    body[:, check : check + 2] = _big_endian(_checksum(np.concatenate([pseudo, body], 1)), 2)
    return rows


def _checksum(rows: Any) -> Any:
    """The internet checksum of each row; the payload is zeros and adds nothing."""
    total = np.ascontiguousarray(rows).view(">u2").astype(np.int64).sum(axis=1)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
