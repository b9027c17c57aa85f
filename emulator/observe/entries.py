"""What an interface remembers, in words: its tracked connections."""

from dataclasses import dataclass
from typing import Any

from emulator.datapath.state import State
from emulator.model.services import ICMP, ICMPV6, protocol_name
from emulator.observe.words import Words
from emulator.policy.conntrack import ESTABLISHED, RULE_MASK, STARTED_BY_A, STREAM, TAG_SHIFT, Entry
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


def entries_of(words: Words, state: State, now_ns: int, only: str | None = None) -> list[TrackingEntry]:
    """The living entries of one interface (its id) or of all, oldest first."""
    rows = state.entries[(state.entries[:, Entry.KEY] != 0) & (state.entries[:, Entry.EXPIRES_NS] > now_ns)]
    return [
        _entry(words, row, now_ns)
        for row in rows[rows[:, Entry.TAG].argsort()]
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
