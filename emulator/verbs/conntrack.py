"""conntrack: what the interfaces remember, in the rows of conntrack -L."""

from dataclasses import dataclass

from emulator.observe.entries import TrackingEntry

_NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}


@dataclass(frozen=True)
class ConntrackTable:
    """Entries of one interface or of all; a list of `TrackingEntry` with a text."""

    entries: tuple[TrackingEntry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> TrackingEntry:
        return self.entries[index]

    def __bool__(self) -> bool:
        return bool(self.entries)

    def __str__(self) -> str:
        several = len({entry.interface for entry in self.entries}) > 1
        rows = [(f"{entry.interface:<16} " if several else "") + _row(entry) for entry in self.entries]
        count = len(self.entries)
        return "\n".join([*rows, f"{count} flow {'entry' if count == 1 else 'entries'} {'has' if count == 1 else 'have'} been shown."])

    __repr__ = __str__


def _row(entry: TrackingEntry) -> str:
    number = _NUMBERS.get(entry.protocol, entry.protocol)
    state = f"{entry.state.upper():<11} " if entry.protocol == "tcp" else ""
    there = f"src={entry.source} dst={entry.destination}"
    back = f"src={entry.destination} dst={entry.source}"
    if entry.protocol in ("icmp", "icmpv6"):
        there, back = f"{there} id={entry.source_port}", f"{back} id={entry.source_port}"
    elif entry.source_port or entry.destination_port:
        there += f" sport={entry.source_port} dport={entry.destination_port}"
        back += f" sport={entry.destination_port} dport={entry.source_port}"
    reply = "[UNREPLIED] " if entry.state == "open" and entry.protocol == "tcp" else ""
    return f"{entry.protocol:<8} {number} {entry.expires_in_ns // 1_000_000_000} {state}{there} {reply}{back}   ({entry.rule or 'no rule'})"
