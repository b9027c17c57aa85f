"""What an interface remembers, in words: its tracked connections."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emulator.clock import NS_PER_SECOND, format_time
from emulator.datapath.state import State
from emulator.model.services import ICMP, ICMPV6, PROTOCOL_NUMBERS, protocol_name
from emulator.observe.words import Words
from emulator.policy.conntrack import ESTABLISHED, RULE_MASK, STARTED_BY_A, STREAM, TAG_SHIFT, Entry
from emulator.sheets import html_table
from emulator.wire.addresses import address


@dataclass(frozen=True)
class TrackingEntry:
    """One tracked connection of one interface, seen in its original direction.

    ``expires_in_ns`` is what is left of its idle time; ``rule`` is the rule that opened it.
    """

    interface: str
    number: int
    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    state: str
    expires_in_ns: int
    rule: str | None

    def __str__(self) -> str:
        """A row of ``conntrack -L``, and the rule."""
        number = PROTOCOL_NUMBERS.get(self.protocol, self.protocol)
        state = f"{self.state.upper():<11} " if self.protocol == "tcp" else ""
        there, back = f"src={self.source} dst={self.destination}", f"src={self.destination} dst={self.source}"
        if self.protocol in ("icmp", "icmpv6"):
            there, back = f"{there} id={self.source_port}", f"{back} id={self.source_port}"
        elif self.source_port or self.destination_port:
            there += f" sport={self.source_port} dport={self.destination_port}"
            back += f" sport={self.destination_port} dport={self.source_port}"
        reply = "[UNREPLIED] " if self.state == "open" and self.protocol == "tcp" else ""
        seconds = self.expires_in_ns // NS_PER_SECOND
        return f"{self.protocol:<8} {number} {seconds} {state}{there} {reply}{back}   ({self.rule or 'no rule'})"

    def _repr_html_(self) -> str:
        return entries_html([self])


def entries_html(entries: Sequence[TrackingEntry]) -> str:
    """A tracking table: a row an entry."""
    heads = ["Interface", "Number", "Protocol", "Source", "Port", "Destination", "Port", "State", "Expires in", "Opened by"]
    rows = (
        [
            *(one.interface, one.number, one.protocol, one.source, one.source_port, one.destination, one.destination_port, one.state),
            *(format_time(one.expires_in_ns), one.rule or "no rule"),
        ]
        for one in entries
    )
    return html_table(f"{len(entries)} tracked connection{'' if len(entries) == 1 else 's'}", heads, rows)


def entries_of(words: Words, state: State, now_ns: int, only: str | None = None, most: int | None = None) -> list[TrackingEntry]:
    """The living entries of one interface (its id) or of all, oldest first; at most so many are looked at."""
    rows = state.entries[(state.entries[:, Entry.KEY] != 0) & (state.entries[:, Entry.EXPIRES_NS] > now_ns)]
    return [
        _entry(words, row, now_ns)
        for row in rows[rows[:, Entry.TAG].argsort()][:most]
        if only in (None, words.ids.name(int(row[Entry.KEY]) >> 41))
    ]


def _entry(words: Words, row: Any, now_ns: int) -> TrackingEntry:
    key, bits, tag = int(row[Entry.KEY]), int(row[Entry.STATE]), int(row[Entry.TAG])
    protocol, family = (key >> 32) & 0xFF, 6 if (key >> 40) & 1 else 4
    ends = [
        (str(address(family, int(row[Entry.A_HI]), int(row[Entry.A_LO]))), key & 0xFFFF),
        (str(address(family, int(row[Entry.B_HI]), int(row[Entry.B_LO]))), (key >> 16) & 0xFFFF),
    ]
    if not bits & STARTED_BY_A:
        ends.reverse()
    if protocol in (ICMP, ICMPV6):
        ends = [(ip, key & 0xFFFF) for ip, _ in ends]
    word = "stream" if bits & STREAM else "established" if bits & ESTABLISHED else "open"
    rule = words.rule_name(tag & RULE_MASK)
    expires = int(row[Entry.EXPIRES_NS]) - now_ns
    return TrackingEntry(words.place(key >> 41), tag >> TAG_SHIFT, protocol_name(protocol), *ends[0], *ends[1], word, expires, rule)
