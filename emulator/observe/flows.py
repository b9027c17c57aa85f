"""Flows: both directions of every five-tuple of a capture, with what became of them."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from emulator.datapath.state import Outcome
from emulator.model.services import ICMP, ICMPV6, protocol_name
from emulator.observe.words import Why, Words
from emulator.policy.reasons import Verdict
from emulator.wire.addresses import address
from emulator.wire.headers import Field, Matrix

_KEY = (
    Field.FAMILY,
    Field.PROTOCOL,
    Field.SOURCE_HI,
    Field.SOURCE_LO,
    Field.DESTINATION_HI,
    Field.DESTINATION_LO,
    Field.SOURCE_PORT,
    Field.DESTINATION_PORT,
)


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


def group_flows(headers: Matrix) -> tuple[Matrix, Matrix]:
    """The flow number of each packet, and the first packet's row of each flow, flows in the order of their first packet.

    Parameters
    ----------
    headers : (n, FIELDS) int64, in the order of time

    Later fragments belong to their datagram's flow if its first fragment is there.
    """
    keys = headers[:, list(_KEY)].copy()
    _join_fragments(headers, keys)
    source, destination = keys[:, [2, 3, 6]], keys[:, [4, 5, 7]]
    swap = np.zeros(len(keys), dtype=bool)
    decided = np.zeros(len(keys), dtype=bool)
    for column in range(3):
        swap |= ~decided & (source[:, column] > destination[:, column])
        decided |= source[:, column] != destination[:, column]
    keys[swap] = keys[swap][:, [0, 1, 4, 5, 2, 3, 7, 6]]
    if not len(keys):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[inverse.reshape(-1)], first[order]


def _join_fragments(headers: Matrix, keys: Matrix) -> None:
    """Give later fragments the ports of their first fragment; ICMP has none at all."""
    keys[np.isin(headers[:, Field.PROTOCOL], (ICMP, ICMPV6)), 6:] = 0
    fragmented = (headers[:, Field.FRAGMENT_OFFSET] != 0) | (headers[:, Field.MORE_FRAGMENTS] != 0)
    ports: dict[tuple[int, ...], tuple[int, int]] = {}
    for row in np.flatnonzero(fragmented).tolist():
        datagram = (*keys[row, :6].tolist(), int(headers[row, Field.FRAGMENT_ID]))
        if headers[row, Field.FRAGMENT_OFFSET] == 0:
            ports[datagram] = (int(keys[row, 6]), int(keys[row, 7]))
        elif datagram in ports:
            keys[row, 6:] = ports[datagram]


def flows_of(words: Words, headers: Matrix, outcomes: Matrix, seen: Matrix) -> list[Flow]:
    """The flows of a replay, skipped packets left out.

    Parameters
    ----------
    headers : (n, FIELDS) int64, in the order of time, with the topology's addresses
    outcomes : (n, columns Outcome) int64, by INDEX
    seen : (n, FIELDS) int64, the headers with the capture's own addresses
    """
    verdicts = outcomes[headers[:, Field.INDEX], Outcome.VERDICT]
    kept = verdicts != Verdict.SKIPPED
    headers, seen, verdicts = headers[kept], seen[kept], verdicts[kept]
    numbers, first = group_flows(headers)
    count = len(first)
    totals = {kind: np.bincount(numbers[verdicts == kind], minlength=count) for kind in (Verdict.ACCEPT, Verdict.DROP, Verdict.UNSENT)}
    blocked = _first_of(numbers, verdicts == Verdict.DROP, count)
    held_back = _first_of(numbers, verdicts == Verdict.UNSENT, count)
    flows = []
    for number, row in enumerate(first.tolist()):
        accepted, dropped, unsent = (int(totals[kind][number]) for kind in (Verdict.ACCEPT, Verdict.DROP, Verdict.UNSENT))
        cause = blocked[number] if blocked[number] >= 0 else held_back[number]
        why = words.why(headers[cause], outcomes[headers[cause, Field.INDEX]]) if cause >= 0 else None
        verdict = "accept" if not dropped + unsent else "partial" if accepted else "drop"
        flows.append(
            Flow(
                protocol_name(int(headers[row, Field.PROTOCOL])),
                _endpoint(words, headers[row], seen[row], Field.SOURCE_HI, Field.SOURCE_PORT),
                _endpoint(words, headers[row], seen[row], Field.DESTINATION_HI, Field.DESTINATION_PORT),
                verdict,
                accepted + dropped + unsent,
                accepted,
                dropped,
                unsent,
                int(headers[row, Field.INDEX]),
                int(headers[row, Field.TIME_NS]),
                why,
            )
        )
    return flows


def _first_of(numbers: Matrix, chosen: Any, count: int) -> Matrix:
    """For each flow the first chosen row, -1 if there is none."""
    found = np.full(count, -1, dtype=np.int64)
    rows = np.flatnonzero(chosen)[::-1]
    found[numbers[rows]] = rows
    return found


def _endpoint(words: Words, header: Any, seen: Any, hi: int, port: int) -> Endpoint:
    family = int(header[Field.FAMILY])
    name, key = words.host(address(family, int(header[hi]), int(header[hi + 1])))
    return Endpoint(str(address(family, int(seen[hi]), int(seen[hi + 1]))), int(header[port]), name, key)


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
