"""tcpdump: what a capture at an interface sees, as rows or as a file for Wireshark.

A capture runs on the machine, so it sees a packet that the interface's groups then drop on its way out, and sees none
that they drop on its way in: that difference is often the answer.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from emulator.clock import format_clock
from emulator.errors import UsageError
from emulator.hosts.base import Address
from emulator.hosts.tcp_segment import Segment, distance, segment_in, words_of
from emulator.model.services import ICMP, ICMPV6, TCP, UDP, parse_protocol
from emulator.runtime import Seen
from emulator.verbs.linklayer import ADVERTISEMENT, SOLICITATION, words_of_arp
from emulator.wire.headers import ACK, RST, SYN, Field
from emulator.wire.packet import ETHERNET, RAW_IP, Packet
from emulator.wire.record import InterfaceInfo, RecordFrame, write_pcapng
from emulator.wire.status import Status

_NEIGHBOUR = {SOLICITATION: "solicitation, who has", ADVERTISEMENT: "advertisement, tgt is"}
_ICMP_WORDS = {8: "echo request", 0: "echo reply", 128: "echo request", 129: "echo reply"}
Filter = Callable[[Packet], bool]


def filter_of(text: str) -> Filter:
    """Whether a packet is wanted: ``tcp``, ``icmp``, ``port 80``, ``host 10.0.1.10``, joined by ``and``.

    Raises
    ------
    UsageError : another word.
    """
    tests: list[Filter] = []
    for part in filter(None, (part.strip() for part in re.split(r"\band\b", text))):
        tests += _primitives(part)
    return lambda packet: all(test(packet) for test in tests)


def _primitives(text: str) -> list[Filter]:
    words, tests = text.split(), list[Filter]()
    while words:
        word = words.pop(0)
        if word == "port" and words and words[0].isdigit():
            port = int(words.pop(0))
            tests.append(lambda packet, port=port: port in packet.five_tuple[2::2])  # type: ignore[misc]
        elif word == "host" and words:
            host = words.pop(0)
            tests.append(lambda packet, host=host: host in (str(packet.five_tuple.source), str(packet.five_tuple.destination)))  # type: ignore[misc]
        else:
            tests.append(_protocol(word))
    return tests


def _protocol(word: str) -> Filter:
    if word == "arp":
        return lambda packet: packet.status == Status.ARP
    if word == "ip6":
        return lambda packet: packet.header[Field.FAMILY] == 6
    try:
        number = parse_protocol({"icmp6": "icmpv6", "ip": "all"}.get(word, word))
    except ValueError:
        raise UsageError(
            f'tcpdump: "{word}" is not understood; write tcp, udp, icmp, ip6, port 80, host 10.0.1.10, joined by "and"'
        ) from None
    return lambda packet: number in (-1, int(packet.header[Field.PROTOCOL]))


@dataclass
class Dump:
    """A capture: rows of what was seen.

    Attributes
    ----------
    interfaces : names by place
    seen : the packets, in the order of time
    comments : words on a packet by its number, for the file
    """

    interfaces: dict[int, str]
    seen: list[Seen]
    comments: Callable[[Seen], tuple[str, ...]] = field(default=lambda seen: (), repr=False)

    @property
    def packets(self) -> list[Packet]:
        """The packets; ``.scapy`` dissects one."""
        return [seen.packet for seen in self.seen]

    def __len__(self) -> int:
        return len(self.seen)

    @property
    def rows(self) -> list[str]:
        """A line a packet, as tcpdump -n writes it."""
        writer = RowWriter(self.interfaces if len(self.interfaces) > 1 else {})
        return [writer.row(seen) for seen in self.seen]

    def __str__(self) -> str:
        return "\n".join([*self.rows, f"{len(self.seen)} packets captured"])

    __repr__ = __str__

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write a pcapng file, an interface description a place; gives the number of packets.

        Raises
        ------
        CaptureError : the file cannot be written.
        """
        numbers = {place: number for number, place in enumerate(self.interfaces)}
        frames = (
            RecordFrame(
                seen.time_ns,
                numbers[seen.place],
                seen.packet.frame,
                comments=self.comments(seen),
                inbound=seen.inbound,
                packet_id=seen.number,
            )
            for seen in self.seen
        )
        kind = ETHERNET if any(seen.packet.link_type == ETHERNET for seen in self.seen) else RAW_IP
        return write_pcapng(path, [InterfaceInfo(name, kind) for name in self.interfaces.values()], frames)


class RowWriter:
    """Writes rows; sequence numbers are relative to each connection's first, as tcpdump shows them."""

    def __init__(self, interfaces: dict[int, str]) -> None:
        self.interfaces = interfaces
        self._first: dict[tuple[Address, int, Address, int], int] = {}

    @staticmethod
    def split(row: str) -> tuple[str, str]:
        """The time of a row, and the rest."""
        time, _, rest = row.partition(" ")
        return time, rest

    def row(self, seen: Seen) -> str:
        """One packet."""
        if seen.packet.status == Status.ARP:
            return f"{format_clock(seen.time_ns)} {self._where(seen)}{words_of_arp(seen.packet.frame)}"
        key, header = seen.packet.five_tuple, seen.packet.header
        where = self._where(seen)
        family = "IP6" if header[Field.FAMILY] == 6 else "IP"
        ports = key.protocol in (TCP, UDP) and not header[Field.FRAGMENT_OFFSET]
        ends = [f"{ip}.{port}" if ports else str(ip) for ip, port in (key[1:3], key[3:5])]
        return f"{format_clock(seen.time_ns)} {where}{family} {ends[0]} > {ends[1]}: {self._words(seen.packet)}"

    def _where(self, seen: Seen) -> str:
        return f"{self.interfaces[seen.place]:<16} {'In ' if seen.inbound else 'Out'} " if self.interfaces else ""

    def _words(self, packet: Packet) -> str:
        key, header = packet.five_tuple, packet.header
        length = int(header[Field.LENGTH]) - (int(header[Field.PAYLOAD_OFFSET]) - int(header[Field.IP_OFFSET]))
        if header[Field.FRAGMENT_OFFSET]:
            return f"fragment at {int(header[Field.FRAGMENT_OFFSET])}, length {length}"
        if key.protocol == TCP:
            segment = segment_in(packet)
            return self._tcp(packet, segment) if segment is not None else f"tcp {length} (bad cksum or cut)"
        if key.protocol == UDP:
            return _dns(packet) or _dhcp(packet) or f"UDP, length {length - 8}"
        if key.protocol in (ICMP, ICMPV6):
            return _icmp(packet, length)
        return f"ip-proto-{key.protocol} {length}"

    def _tcp(self, packet: Packet, segment: Segment) -> str:
        key = packet.five_tuple
        forward = (key.source, key.source_port, key.destination, key.destination_port)
        back = (key.destination, key.destination_port, key.source, key.source_port)
        text = f"Flags [{words_of(segment.flags)}]"
        if segment.flags & SYN or forward not in self._first:
            self._first[forward] = segment.sequence
            first = segment.sequence
        else:
            first = distance(segment.sequence, self._first[forward])
        if segment.length or segment.flags & (SYN | RST):
            text += f", seq {first}" + (f":{first + len(segment.payload)}" if segment.payload else "")
        if segment.flags & ACK:
            base = self._first.get(back)
            relative = base is not None and not segment.flags & SYN
            text += f", ack {distance(segment.acknowledgement, base) if relative and base is not None else segment.acknowledgement}"
        text += f", win {segment.window}"
        options = [f"mss {segment.mss}"] if segment.mss is not None else []
        options += [f"nop,wscale {segment.scale}"] if segment.scale is not None else []
        return text + (f", options [{','.join(options)}]" if options else "") + f", length {len(segment.payload)}"


def _icmp(packet: Packet, length: int) -> str:
    header = packet.header
    kind, code = int(header[Field.TYPE]), int(header[Field.CODE])
    name = "ICMP6" if header[Field.FAMILY] == 6 else "ICMP"
    echo = (0, 8) if name == "ICMP" else (128, 129)
    if kind in echo:
        return f"{name} {_ICMP_WORDS[kind]}, id {int(header[Field.IDENTIFIER])}, seq {int(header[Field.SEQUENCE])}, length {length}"
    from emulator.hosts.icmp import error_in

    error = error_in(packet)
    if name == "ICMP6" and kind in _NEIGHBOUR:
        at = int(header[Field.PAYLOAD_OFFSET]) + 8
        return f"{name}, neighbor {_NEIGHBOUR[kind]} {IPv6Address(packet.frame[at : at + 16])}, length {length}"
    if error is None:
        return f"{name} type {kind} code {code}, length {length}"
    words = {"too big": f"need to frag (mtu {error.mtu})", "time exceeded": "time exceeded in-transit", "unreachable": "unreachable"}
    told = words.get(error.kind, f"udp port {error.destination_port} unreachable")
    return f"{name} {error.destination} {told}, length {length}"


def _dhcp(packet: Packet) -> str:
    """A DHCP message in short; empty if it is none."""
    if not {67, 68} >= set(packet.five_tuple[2::2]):
        return ""
    frame = packet.frame
    at = frame.find(b"\x63\x82\x53\x63\x35\x01")
    kinds = {1: "Discover", 2: "Offer", 3: "Request", 5: "ACK"}
    word = "Reply" if packet.five_tuple.source_port == 67 else "Request"
    return f"BOOTP/DHCP, {word}" + (f", DHCP-Message {kinds.get(frame[at + 6], frame[at + 6])}" if 0 < at < len(frame) - 6 else "")


def _dns(packet: Packet) -> str:
    """A DNS message in short; empty if it is none."""
    if 53 not in packet.five_tuple[2::2]:
        return ""
    from emulator.hosts.datagrams import payload_of
    from emulator.hosts.dns import NAME_ERROR, dissected

    data = payload_of(packet)[8:]
    message = dissected(data)
    if message is None:
        return ""
    question = message.qd[0]
    if not message.qr:
        return f"{message.id}+ {question.sprintf('%qtype%')}? {question.qname.decode('ascii', 'replace')} ({len(data)})"
    if message.rcode == NAME_ERROR:
        return f"{message.id} NXDomain ({len(data)})"
    answers = ", ".join(f"{record.sprintf('%type%')} {record.rdata}" for record in message.an or [])
    return f"{message.id} {len(message.an or [])}/0/0 {answers} ({len(data)})".replace("  ", " ")
