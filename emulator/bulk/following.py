"""Packets of a replay as tcpdump -q would print them, each with its verdict, as soon as its way has ended."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from emulator.bulk.results import PacketResult, Stretch
from emulator.clock import format_clock
from emulator.errors import printable
from emulator.hosts.tcp_segment import words_of
from emulator.model.services import ICMP, ICMPV6, TCP, UDP, protocol_name
from emulator.observe.words import Words
from emulator.wire.headers import Field, five_tuple
from emulator.wire.status import Status

DAY_NS = 86_400 * 1_000_000_000
MARKS = {"accept": "✓", "drop": "✗", "unsent": "◐", "skipped": "–"}


class FollowedPacket(NamedTuple):
    """One packet: its line, and what became of it."""

    text: str
    result: PacketResult

    def __str__(self) -> str:
        return self.text


def followed(stretch: Stretch, words: Words) -> Iterator[FollowedPacket]:
    """The packets of a stretch by index, with the capture's own addresses; times are UTC, a TCP length has its header in it."""
    for row in stretch.by_index().tolist():
        result = stretch.result(words, row)
        yield FollowedPacket(f"{_packet(stretch.seen[row])}  {MARKS[result.verdict]} {_verdict(result)}", result)


def _verdict(result: PacketResult) -> str:
    if result.why is None:
        return f"accept, {printable(result.rule)}" if result.rule else result.verdict
    place = f" at {result.why.at}" if result.why.at else ""
    return printable(f"{result.verdict} {result.why.code}{place}: {result.why.text}")


def _packet(header: Any) -> str:
    time = format_clock(int(header[Field.TIME_NS]) % DAY_NS)
    if header[Field.STATUS] != Status.PARSED:
        return f"{time} {Status(int(header[Field.STATUS])).name.lower().replace('_', ' ')}"
    key, length = five_tuple(header), int(header[Field.LENGTH]) - (int(header[Field.PAYLOAD_OFFSET]) - int(header[Field.IP_OFFSET]))
    later = bool(header[Field.FRAGMENT_OFFSET])
    ports = key.protocol in (TCP, UDP) and not later
    ends = " > ".join(f"{ip}.{port}" if ports else str(ip) for ip, port in (key[1:3], key[3:5]))
    return f"{time} {'IP6' if header[Field.FAMILY] == 6 else 'IP'} {ends}: {_payload(header, key.protocol, length, later)}"


def _payload(header: Any, protocol: int, length: int, later: bool) -> str:
    if later:
        return f"fragment at {int(header[Field.FRAGMENT_OFFSET])}, length {length}"
    if protocol == TCP:
        return f"Flags [{words_of(int(header[Field.FLAGS]))}], tcp {length}"
    if protocol == UDP:
        return f"UDP, length {max(length - 8, 0)}"
    if protocol in (ICMP, ICMPV6):
        name = "ICMP6" if protocol == ICMPV6 else "ICMP"
        return f"{name} type {int(header[Field.TYPE])} code {int(header[Field.CODE])}, length {length}"
    return f"{protocol_name(protocol)} {length}"
