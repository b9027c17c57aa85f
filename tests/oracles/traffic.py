"""A capture made ready to cross one interface, the same bytes for the kernel and for the emulator.

One host of the capture, by rank of how busy it is, becomes the instance ``host``; four of those that it talks to become
its neighbours in the subnet, with groups; all others are outside, under their own address if an internet gateway would
carry it.  What concerns no filter is mended, so that the kernel's IP layer does not drop it for reasons of its own:

    link header      replaced                        IPv4 checksum, total length 0   filled in, as a card does
    time to live     64                              cut by the snap length          filled up with zeros
    identification   a marker, one a datagram        addresses                       as above, also those that an error quotes

What no mending makes a packet for this interface is left out on both sides, and counted by reason.  Left out as well are
datagrams whose fragments never make a whole, as the kernel judges only whole ones (LX-10).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import numpy as np

from emulator.wire.addresses import address
from emulator.wire.capture import Capture, Record
from emulator.wire.headers import FIELDS, ICMP, ICMPV6, TCP, UDP, Field, Matrix, parse_many
from emulator.wire.record import InterfaceInfo, RecordFrame, write_pcapng
from emulator.wire.status import PARSED, Status
from tests.oracles.kernel import HIGHEST_MARKER, INSIDE, OUTSIDE, Frame, checksum

Address = IPv4Address | IPv6Address
HOST = {4: ip_address("10.0.1.10"), 6: ip_address("2001:db8:a:1::10")}
NEIGHBOURS = {4: [ip_address(f"10.0.1.{20 + n}") for n in range(4)], 6: [ip_address(f"2001:db8:a:1::{20 + n}") for n in range(4)]}
_OUTSIDE = {4: ip_address("198.18.0.0"), 6: ip_address("2001:db8:ffff::")}
_CARRIED = {6: [ip_network("2000::/3")]}
_NOT_CARRIED = [
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.2.0/24"),
        *("192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "240.0.0.0/4", "2001:db8::/32"),
    )
]
GAP_NS = 10_000
_NEED = {TCP: 20, UDP: 8, ICMP: 8, ICMPV6: 8}


@dataclass
class Traffic:
    """Packets in their order, ready to be sent.

    Parameters
    ----------
    frames : what the kernel gets; the emulator gets the same from `write`
    rows : (n, FIELDS) header rows of the original packets, addresses as in the capture
    datagram : for each packet, the number of its datagram; fragments share it
    left_out : packets that were not made ready, by reason
    remotes : addresses of the others, as sent, and how many packets they have
    services : (direction, family, protocol, destination port or type and code), and how many packets they have
    """

    name: str
    frames: list[Frame] = field(default_factory=list)
    datagram: list[int] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    remotes: Counter[Address] = field(default_factory=Counter)
    services: Counter[tuple[int, int, int, tuple[int, int]]] = field(default_factory=Counter)

    def write(self, path: Path, times_ns: list[int] | None = None) -> None:
        """The packets as a capture of raw IP; without times they follow each other every ten microseconds."""
        times = times_ns or [(n + 1) * GAP_NS for n in range(len(self.frames))]
        kinds = [InterfaceInfo("inside", 101), InterfaceInfo("outside", 101)]
        write_pcapng(path, kinds, (RecordFrame(at, frame.port, frame.data) for at, frame in zip(times, self.frames, strict=True)))


@dataclass
class _Datagram:
    """The fragments of one datagram that have come: the bytes covered, and where it ends."""

    number: int
    rows: list[int]
    spans: list[tuple[int, int]]
    end: int = -1

    def add(self, row: int, start: int, end: int, last: bool) -> bool:
        """Take a fragment in; false if it lies over another or behind the end."""
        if any(start < other_end and other_start < end for other_start, other_end in self.spans) or start >= end:
            return False
        if (last and self.end >= 0) or (self.end >= 0 and end > self.end) or end > 65_515:
            return False
        self.rows.append(row)
        self.spans.append((start, end))
        if last:
            self.end = end
        return True

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.end >= 0 and sum(end - start for start, end in self.spans) == self.end


def hosts_of(path: Path) -> dict[int, list[Address]]:
    """The unicast addresses of each family, the busiest first."""
    seen: Counter[Address] = Counter()
    for headers, _ in _parsed(path):
        for row in headers[headers[:, Field.STATUS] == PARSED]:
            source, destination = ends(row)
            if source != destination and not destination.is_multicast:
                seen.update((source, destination))
    ordered = sorted(seen, key=lambda ip: (-seen[ip], int(ip)))
    return {family: [ip for ip in ordered if ip.version == family and _is_host(ip)] for family in (4, 6)}


def prepare(path: Path, rank: int = 0) -> Traffic:
    """A capture as seen by its ``rank``-th busiest host of each family."""
    hosts = hosts_of(path)
    chosen = {family: ips[rank % min(len(ips), 2)] for family, ips in hosts.items() if ips}
    rows, frames, notes = [], [], Counter[str]()
    for headers, datas in _parsed(path):
        for row, (data, original) in zip(headers, datas, strict=True):
            reason, ready = _mended(row, data, original, chosen)
            if reason:
                notes[reason] += 1
            else:
                rows.append(row)
                frames.append(ready)
    traffic = Traffic(path.name, left_out=notes)
    numbers = _whole(rows, frames, notes)
    partners = Counter(_remote(row, chosen) for row in rows)
    names = _names(partners, chosen)
    for row, data, number in zip(rows, frames, numbers, strict=True):
        if number >= 0:
            _add(traffic, row, data, number, names, chosen)
    return traffic


def made(packets: list[bytes]) -> Traffic:
    """IP datagrams, with the addresses of `HOST` on one side, as traffic; each gets a marker, fragments that of their datagram."""
    traffic = Traffic("made")
    firsts: dict[object, int] = {}
    for number, data in enumerate(packets):
        family = data[0] >> 4
        packet = bytearray(data)
        fragment = family == 4 and (packet[6] & 0x3F or packet[7])
        number = firsts.setdefault((packet[4:6].hex(), packet[9], packet[12:20].hex()), number) if fragment else number
        if family == 4:
            packet[4:6], packet[10:12] = (number + 1).to_bytes(2, "big"), b"\0\0"
            packet[10:12] = checksum(bytes(packet[: (packet[0] & 15) * 4])).to_bytes(2, "big")
        else:
            packet[0:4] = ((6 << 28) | (number + 1)).to_bytes(4, "big")
        source = bytes(packet[12:16] if family == 4 else packet[8:24])
        traffic.frames.append(Frame(INSIDE if source == HOST[family].packed else OUTSIDE, family, number + 1, bytes(packet)))
        traffic.datagram.append(number)
    return traffic


def _parsed(path: Path) -> Iterator[tuple[Matrix, list[tuple[bytes, int]]]]:
    with Capture(path) as capture:
        for chunk in capture.chunks():
            headers = np.zeros((len(chunk.records), FIELDS), dtype=np.int64)
            parse_many(chunk.buffer, chunk.records, headers, 0)
            columns = chunk.records[:, [Record.OFFSET, Record.CAPTURED, Record.ORIGINAL]].tolist()
            yield headers, [(chunk.buffer[at : at + captured].tobytes(), original) for at, captured, original in columns]


def ends(row: np.ndarray) -> tuple[Address, Address]:
    """Source and destination of a header row."""
    family = int(row[Field.FAMILY])
    return (
        address(family, row[Field.SOURCE_HI], row[Field.SOURCE_LO]),
        address(family, row[Field.DESTINATION_HI], row[Field.DESTINATION_LO]),
    )


def _is_host(ip: Address) -> bool:
    return not (ip.is_multicast or ip.is_unspecified or ip.is_loopback or int(ip) == 0xFFFFFFFF)


def _mended(row: np.ndarray, data: bytes, original: int, chosen: dict[int, Address]) -> tuple[str, bytes]:
    """Why a packet is left out, or its IP datagram, whole."""
    if row[Field.STATUS] != PARSED:
        return Status(int(row[Field.STATUS])).name.lower().replace("_", " "), b""
    source, destination = ends(row)
    own = chosen.get(int(row[Field.FAMILY]))
    if source == destination or source.is_loopback or destination.is_loopback:
        return "never leaves its host", b""
    if own not in (source, destination):
        return "another host's", b""
    if not _is_host(source) or not _is_host(destination):
        return "not unicast", b""
    protocol = int(row[Field.PROTOCOL])
    at, length = int(row[Field.IP_OFFSET]), int(row[Field.LENGTH])
    if length > original - at or length > 65_535:
        return "claims more bytes than it had", b""
    datagram = data[at : at + length]
    if row[Field.FRAGMENT_OFFSET] == 0 and len(data) < at + length:
        if len(datagram) < int(row[Field.PAYLOAD_OFFSET]) - at + _NEED.get(protocol, 0):
            return "cut within its transport header", b""
        datagram += bytes(length - len(datagram))
    elif len(datagram) < length:
        datagram += bytes(length - len(datagram))
    if row[Field.FAMILY] == 4 and _is_source_routed(datagram):
        return "source route", b""
    return "", datagram


def _is_source_routed(datagram: bytes) -> bool:
    """Whether IPv4 options hold a source route, which no router of today follows (RFC 7126 §4.3)."""
    options = datagram[20 : (datagram[0] & 15) * 4]
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] in (131, 137):
            return True
        at += 1 if options[at] == 1 else max(2, options[at + 1] if at + 1 < len(options) else 2)
    return False


def _whole(rows: list[np.ndarray], frames: list[bytes], notes: Counter[str]) -> list[int]:
    """Each packet's datagram number, -1 for fragments that never make a whole."""
    numbers = [-1] * len(rows)
    waiting: dict[tuple[int, Address, Address, int], _Datagram] = {}
    broken: set[tuple[int, Address, Address, int]] = set()
    for at, row in enumerate(rows):
        if row[Field.FRAGMENT_OFFSET] == 0 and row[Field.MORE_FRAGMENTS] == 0:
            numbers[at] = at
            continue
        key = (int(row[Field.PROTOCOL]) if row[Field.FAMILY] == 4 else 0, *ends(row), int(row[Field.FRAGMENT_ID]))
        start = int(row[Field.FRAGMENT_OFFSET])
        end = start + len(frames[at]) - _fragment_payload(row, frames[at])
        datagram = waiting.setdefault(key, _Datagram(at, [], []))
        last = row[Field.MORE_FRAGMENTS] == 0
        if key in broken or (not last and (end - start) % 8) or not datagram.add(at, start, end, last):
            broken.add(key)
        elif datagram.whole:
            for part in datagram.rows:
                numbers[part] = datagram.number
            del waiting[key]
    notes["fragment of no whole datagram"] += numbers.count(-1)
    return numbers


def _fragment_payload(row: np.ndarray, datagram: bytes) -> int:
    """Where the bytes of a fragment begin: behind the IPv4 header, or behind the fragment header."""
    if row[Field.FAMILY] == 4:
        return (datagram[0] & 15) * 4
    return _fragment_header(datagram) + 8


def _fragment_header(datagram: bytes) -> int:
    kind, at = datagram[6], 40
    while kind != 44:
        kind, at = datagram[at], at + (datagram[at + 1] + 1) * 8
    return at


def _remote(row: np.ndarray, chosen: dict[int, Address]) -> Address:
    source, destination = ends(row)
    return destination if source == chosen[int(row[Field.FAMILY])] else source


def _names(partners: Counter[Address], chosen: dict[int, Address]) -> dict[Address, Address]:
    """The address under which each host of the capture is sent."""
    names = {ip: HOST[family] for family, ip in chosen.items()}
    for family in (4, 6):
        ordered = sorted((ip for ip in partners if ip.version == family), key=lambda ip: (-partners[ip], int(ip)))
        # Neighbours are every other one of the busiest, so that both kinds see much traffic.
        near = dict(zip(ordered[1:8:2], NEIGHBOURS[family], strict=False))
        for number, ip in enumerate(ordered):
            carried = all(ip in block for block in _CARRIED.get(family, ())) and not any(ip in block for block in _NOT_CARRIED)
            names[ip] = near.get(ip) or (ip if carried else _OUTSIDE[family] + number + 1)
    return names


def _add(traffic: Traffic, row: np.ndarray, data: bytes, number: int, names: dict[Address, Address], chosen: dict[int, Address]) -> None:
    """Write a packet's new fields, and count it."""
    family = int(row[Field.FAMILY])
    source, destination = (names[ip] for ip in ends(row))
    port = INSIDE if source == HOST[family] else OUTSIDE
    marker = number % HIGHEST_MARKER[family] + 1
    packet = bytearray(data)
    if row[Field.FRAGMENT_OFFSET] == 0:
        _requote(row, packet, names)
    if family == 4:
        packet[2:4] = len(packet).to_bytes(2, "big")
        packet[4:6] = marker.to_bytes(2, "big")
        packet[8] = 64
        packet[12:20] = source.packed + destination.packed
        packet[10:12] = b"\0\0"
        packet[10:12] = checksum(bytes(packet[: (packet[0] & 15) * 4])).to_bytes(2, "big")
    else:
        packet[0:4] = ((6 << 28) | marker).to_bytes(4, "big")
        packet[4:6] = (len(packet) - 40).to_bytes(2, "big")
        packet[7] = 64
        packet[8:40] = source.packed + destination.packed
        if row[Field.FRAGMENT_OFFSET] != 0 or row[Field.MORE_FRAGMENTS] != 0:
            at = _fragment_header(packet)
            packet[at + 4 : at + 8] = number.to_bytes(4, "big")
    traffic.frames.append(Frame(port, family, marker, bytes(packet)))
    traffic.datagram.append(number)
    remote = destination if port == INSIDE else source
    traffic.remotes[remote] += 1
    service = (
        (int(row[Field.TYPE]), int(row[Field.CODE])) if row[Field.PROTOCOL] in (ICMP, ICMPV6) else (int(row[Field.DESTINATION_PORT]),) * 2
    )
    if row[Field.FRAGMENT_OFFSET] == 0:
        traffic.services[(port, family, int(row[Field.PROTOCOL]), service)] += 1


def _requote(row: np.ndarray, packet: bytearray, names: dict[Address, Address]) -> None:
    """Give the datagram that an ICMP error quotes the new addresses."""
    if row[Field.QUOTED_PROTOCOL] == 0:
        return
    family = int(row[Field.FAMILY])
    at = int(row[Field.PAYLOAD_OFFSET] - row[Field.IP_OFFSET]) + 8
    columns = (Field.QUOTED_SOURCE_HI, Field.QUOTED_DESTINATION_HI)
    quoted = [address(family, row[column], row[column + 1]) for column in columns]
    start = at + (12 if family == 4 else 8)
    packed = b"".join(names.get(ip, ip).packed for ip in quoted)
    packet[start : start + len(packed)] = packed
