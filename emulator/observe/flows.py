"""Flows: both directions of every five-tuple of a capture, with what became of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emulator.datapath.state import doubled
from emulator.datapath.tally import EXAMPLE_COLUMNS, Sum, Total, tally
from emulator.garbage import uncollected
from emulator.kernels import compiled
from emulator.model.services import protocol_name
from emulator.observe.words import Why, Words
from emulator.policy.keys import reindex
from emulator.policy.reasons import Reason, Verdict
from emulator.wire.addresses import address
from emulator.wire.headers import FIELDS, ICMP, ICMPV6, Field, Matrix

MAX_APART = 65_536  # packets between a datagram's first fragment and a later one that still gets its ports
_DATAGRAM = [
    Field.FAMILY,
    Field.PROTOCOL,
    Field.SOURCE_HI,
    Field.SOURCE_LO,
    Field.DESTINATION_HI,
    Field.DESTINATION_LO,
    Field.FRAGMENT_ID,
]

_TOLD = [
    *(Total.SOURCE_HI, Total.SOURCE_LO, Total.SEEN_SOURCE_HI, Total.SEEN_SOURCE_LO, Total.SOURCE_PORT),
    *(Total.DESTINATION_HI, Total.DESTINATION_LO, Total.SEEN_DESTINATION_HI, Total.SEEN_DESTINATION_LO, Total.DESTINATION_PORT),
    *(Total.PROTOCOL, Total.ACCEPTED, Total.DROPPED, Total.UNSENT, Total.INDEX, Total.TIME_NS, Total.DROP, Total.HOLD, Total.FAMILY),
]
_SOURCE, _DESTINATION, _SUMS, _FAMILY = slice(0, 5), slice(5, 10), slice(10, 18), 18  # places in `_TOLD`


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end: its address in the capture, its port, and the name and id of what it is in the topology (or empty)."""

    ip: str
    port: int
    name: str
    id: str

    def to_json(self) -> dict[str, Any]:
        """Plain data; a name that is not known is null."""
        return {"ip": self.ip, "port": self.port, "name": self.name or None}

    def __str__(self) -> str:
        return self.name or self.ip


@dataclass(frozen=True, slots=True)
class Flow:
    """One conversation: ``source`` spoke first.  ``verdict`` is accept, drop (nothing passed) or partial."""

    protocol: str
    source: Endpoint
    destination: Endpoint
    verdict: str
    packets: int
    accepted: int
    dropped: int
    unsent: int
    first_index: int
    first_time_ns: int
    why: Why | None

    @property
    def label(self) -> str:
        """``tcp/443``, ``icmp``."""
        return f"{self.protocol}/{self.destination.port}" if self.destination.port else self.protocol

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``replay --json`` prints it."""
        return {
            "protocol": self.protocol,
            "source": self.source.to_json(),
            "destination": self.destination.to_json(),
            "verdict": self.verdict,
            "packets": self.packets,
            "accepted": self.accepted,
            "dropped": self.dropped,
            "unsent": self.unsent,
            "reason": self.why.to_json() if self.why else None,
        }

    def __str__(self) -> str:
        why = f", {self.why}" if self.why else ""
        counts = f"{self.accepted} accepted, {self.dropped} dropped, {self.unsent} unsent"
        return f"{self.source} → {self.destination} {self.label}: {self.verdict} ({counts}){why}"


class Tally:
    """What became of a capture's packets, conversation by conversation; takes them in pieces and keeps none of them.

    Attributes
    ----------
    packets : how many came so far
    """

    def __init__(self) -> None:
        self.packets = 0
        self.sums = np.zeros((Sum.REASONS + max(Reason) + 1, 1), dtype=np.int64)
        self._totals = np.zeros((64, len(Total)), dtype=np.int64)
        self._index = np.zeros((128, 1), dtype=np.int64)
        self._examples = np.zeros((64, EXAMPLE_COLUMNS), dtype=np.int64)
        self._datagrams: dict[tuple[int, ...], tuple[int, int, int]] = {}

    def add(self, headers: Matrix, seen: Matrix, outcomes: Matrix, first: int, machine: bool = False) -> None:
        """Count some packets whose way has ended.

        Parameters
        ----------
        headers : (n, FIELDS) int64, in the order of time, with the topology's addresses
        seen : the same with the capture's own addresses
        outcomes : (m, columns Outcome) int64, of packet ``first`` and those after it
        machine : whether to compile
        """
        headers = self._with_ports(headers)
        self.packets += len(headers)
        count = compiled(tally) if machine else tally
        done = 0
        while True:
            done = count(headers, seen, outcomes, first, done, self._totals, self._index, self._examples, self.sums)
            if done == len(headers):
                return
            self._grow(machine)

    def _grow(self, machine: bool) -> None:
        if self.sums[Sum.EXAMPLES, 0] == len(self._examples):
            self._examples = doubled(self._examples)
            return
        self._totals = doubled(self._totals)
        self._make_index(machine)

    def _make_index(self, machine: bool) -> None:
        rows = 1 << (len(self._totals) - 1).bit_length()
        self._index = np.zeros((2 * rows, 1), dtype=np.int64)
        (compiled(reindex) if machine else reindex)(self._totals, int(self.sums[Sum.FLOWS, 0]), self._index)

    def _with_ports(self, headers: Matrix) -> Matrix:
        """Header rows whose later fragments have the ports of their first fragment, where that was seen before them."""
        rows = np.flatnonzero(headers[:, Field.FRAGMENT_OFFSET] | headers[:, Field.MORE_FRAGMENTS])
        if not len(rows):
            return headers
        headers = headers.copy()
        ports = [Field.SOURCE_PORT, Field.DESTINATION_PORT]
        for row in rows.tolist():
            datagram, index = tuple(headers[row, _DATAGRAM].tolist()), int(headers[row, Field.INDEX])
            if headers[row, Field.FRAGMENT_OFFSET] == 0:
                source, destination = headers[row, ports].tolist()
                self._datagrams.pop(datagram, None)  # so that the oldest stand first
                self._datagrams[datagram] = (source, destination, index)
            elif datagram in self._datagrams and abs(index - self._datagrams[datagram][2]) <= MAX_APART:
                headers[row, ports] = self._datagrams[datagram][:2]
        last = int(headers[rows[-1], Field.INDEX])
        while self._datagrams and self._datagrams[oldest := next(iter(self._datagrams))][2] < last - 2 * MAX_APART:
            del self._datagrams[oldest]
        return headers

    def matrices(self) -> dict[str, Matrix]:
        """All that was counted, to go on with by `take`."""
        flows, examples = len(self), int(self.sums[Sum.EXAMPLES, 0])
        datagrams = np.array([(*key, *ports) for key, ports in self._datagrams.items()], dtype=np.int64).reshape(-1, len(_DATAGRAM) + 3)
        return {"sums": self.sums, "totals": self._totals[:flows], "examples": self._examples[:examples], "datagrams": datagrams}

    def take(self, matrices: dict[str, Matrix], machine: bool = False) -> None:
        """Go on from what another one counted."""
        self.sums = matrices["sums"]
        self._totals = np.concatenate([matrices["totals"], self._totals])
        self._examples = np.concatenate([matrices["examples"], self._examples])
        self._datagrams = {(*row[:-3],): (row[-3], row[-2], row[-1]) for row in matrices["datagrams"].tolist()}
        self.packets = int(self.sums[Sum.VERDICTS : Sum.REASONS, 0].sum())
        self._make_index(machine)

    @staticmethod
    def joined(parts: "Sequence[Tally]", windows: Matrix) -> "Tally":
        """The tally of all packets, from the tallies of shares of them.

        Parameters
        ----------
        windows : (n,) int64, the first index of each stretch in which packets were put in the order of time
        """
        whole = Tally()
        whole.packets = sum(part.packets for part in parts)
        whole.sums = np.sum([part.sums for part in parts], axis=0)
        totals, before = [], 0
        for part in parts:
            rows = part._totals[: len(part)].copy()
            for column in (Total.DROP, Total.HOLD):
                rows[rows[:, column] > 0, column] += before
            totals.append(rows)
            before += int(part.sums[Sum.EXAMPLES, 0])
        rows = np.concatenate(totals)
        whole._examples = np.concatenate([part._examples[: int(part.sums[Sum.EXAMPLES, 0])] for part in parts])
        rows = rows[_in_order(rows[:, Total.INDEX], rows[:, Total.TIME_NS], windows)]
        examples = _in_order(whole._examples[:, Field.INDEX], whole._examples[:, Field.TIME_NS], windows)
        whole._totals = _one_a_conversation(rows, examples)
        whole.sums[Sum.FLOWS] = len(whole._totals)
        return whole

    def __len__(self) -> int:
        return int(self.sums[Sum.FLOWS, 0])

    def counts(self) -> dict[str, int]:
        """Packets in all and by verdict."""
        shown = (Verdict.ACCEPT, Verdict.DROP, Verdict.UNSENT, Verdict.SKIPPED)
        return {"total": self.packets, **{verdict.name.lower(): int(self.sums[Sum.VERDICTS + verdict, 0]) for verdict in shown}}

    def skipped(self) -> dict[str, int]:
        """Skipped packets by reason."""
        found = self.sums[Sum.REASONS :, 0]
        return {Reason(number).name: int(found[number]) for number in np.flatnonzero(found).tolist()}

    def flows(self, words: Words, blocked: bool = False) -> list[Flow]:
        """The conversations in the order of their first packet, skipped packets left out; ``blocked``: those with drops alone."""
        rows = self._totals[: len(self)]
        if blocked:
            rows = rows[rows[:, Total.DROPPED] > 0]
        with uncollected():
            return self._told(words, rows[:, _TOLD].T.tolist())

    def _told(self, words: Words, columns: list[list[int]]) -> list[Flow]:
        """The conversations of some rows of totals, column by column, as in `_TOLD`."""
        names: dict[tuple[int, ...], tuple[str, str, str]] = {}
        sources = [self._endpoint(words, names, *end) for end in zip(columns[_FAMILY], *columns[_SOURCE], strict=True)]
        destinations = [self._endpoint(words, names, *end) for end in zip(columns[_FAMILY], *columns[_DESTINATION], strict=True)]
        return [
            Flow(
                protocol_name(protocol),
                source,
                destination,
                "accept" if not dropped + unsent else "partial" if accepted else "drop",
                accepted + dropped + unsent,
                accepted,
                dropped,
                unsent,
                index,
                time_ns,
                self._why(words, drop or hold),
            )
            for source, destination, protocol, accepted, dropped, unsent, index, time_ns, drop, hold in zip(
                sources, destinations, *columns[_SUMS], strict=True
            )
        ]

    @staticmethod
    def _endpoint(
        words: Words,
        names: dict[tuple[int, ...], tuple[str, str, str]],
        family: int,
        hi: int,
        lo: int,
        seen_hi: int,
        seen_lo: int,
        port: int,
    ) -> Endpoint:
        key = (family, hi, lo, seen_hi, seen_lo)
        if key not in names:
            names[key] = (str(address(family, seen_hi, seen_lo)), *words.host(address(family, hi, lo)))
        ip, name, owner = names[key]
        return Endpoint(ip, port, name, owner)

    def _why(self, words: Words, cause: int) -> Why | None:
        """Why the packet of a row of examples, plus one, was not delivered; None for 0."""
        if not cause:
            return None
        example = self._examples[cause - 1]
        return words.why(example[:FIELDS], example[FIELDS:])


def _in_order(indexes: Matrix, times: Matrix, windows: Matrix) -> Matrix:
    """Where packets stand in the order in which they were fed: window by window, by time."""
    order: Matrix = np.lexsort((indexes, times, np.searchsorted(windows, indexes, side="right")))
    return order


def _one_a_conversation(rows: Matrix, examples: Matrix) -> Matrix:
    """Rows of ``totals`` of several shares, in the order of their first packets, those of one conversation put together.

    Only ICMP has such: errors between two hosts are counted in the shares of those whose packets they quote.

    Parameters
    ----------
    examples : (n,) int64, the rows of ``examples`` in the order of their packets
    """
    of = np.arange(len(rows))
    icmp = np.flatnonzero(np.isin(rows[:, Total.PROTOCOL], (ICMP, ICMPV6)))
    _, firsts, same = np.unique(rows[icmp, Total.KEY : Total.B_LO + 1], axis=0, return_index=True, return_inverse=True)
    of[icmp] = icmp[firsts[same.ravel()]]
    for column in (Total.ACCEPTED, Total.DROPPED, Total.UNSENT):
        every = rows[:, column].copy()
        rows[:, column] = 0
        np.add.at(rows[:, column], of, every)
    last = len(examples)
    places = np.append(examples + 1, 0)  # by rank: the row plus one; 0 where there is none, which ranks last
    ranks = np.full(last + 1, last)
    ranks[places[:last]] = np.arange(last)
    for column in (Total.DROP, Total.HOLD):
        earliest = np.full(len(rows), last)
        np.minimum.at(earliest, of, ranks[rows[:, column]])
        rows[:, column] = places[earliest]
    merged: Matrix = rows[of == np.arange(len(rows))]
    return merged


def blocked_reasons(flows: list[Flow]) -> list[tuple[Why, int, int]]:
    """Reasons of dropped packets, most packets first: (one example, flows, packets)."""
    flows_by: Counter[tuple[str, str]] = Counter()
    packets_by: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], Why] = {}
    for flow in flows:
        if flow.why is not None and flow.dropped:
            key = (flow.why.code, flow.why.at)
            flows_by[key] += 1
            packets_by[key] += flow.dropped
            example.setdefault(key, flow.why)
    return [(example[key], flows_by[key], packets) for key, packets in packets_by.most_common()]
