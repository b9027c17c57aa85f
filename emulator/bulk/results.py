"""Results: what became of single packets of a replay, in words, and as lines of JSON in bulk."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from emulator.datapath.state import Outcome
from emulator.errors import printable
from emulator.garbage import uncollected
from emulator.kernels import compiled
from emulator.observe.words import Why, Words
from emulator.policy.reasons import Verdict
from emulator.wire.headers import FIELDS, Field, Matrix
from emulator.wire.lines import write_lines

MAX_ENDS = 20_000  # of lines that are kept for others that end the same
LONGEST_HEAD = 64  # bytes of a line before what lines share: two numbers and their names


@dataclass(frozen=True)
class PacketResult:
    """What became of one packet of the capture."""

    index: int
    time_ns: int
    verdict: str
    why: Why | None
    rule: str | None
    tracked: bool
    hangs_on: int | None

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``replay --packets`` writes it."""
        reason = self.why.to_json() if self.why else None
        if reason is not None and self.hangs_on is not None:
            reason["packet"] = self.hangs_on
        return {
            "index": self.index,
            "time_ns": self.time_ns,
            "verdict": self.verdict,
            "reason": reason,
            "rule": self.rule,
            "tracked": self.tracked,
        }


@dataclass(frozen=True)
class Stretch:
    """Packets of a replay whose way has ended.

    Parameters
    ----------
    headers : (n, FIELDS) int64, in the order of time, with the topology's addresses
    seen : the same with the capture's own addresses
    outcomes : (m, columns Outcome) int64, of packet ``first`` and those after it; more than headers if this is a share
    """

    headers: Matrix
    seen: Matrix
    outcomes: Matrix
    first: int

    def row(self, index: int) -> int | None:
        """The header row of a packet; None if it is not among these."""
        if not self.first <= index < self.first + len(self.outcomes):
            return None
        return int(np.flatnonzero(self.headers[:, Field.INDEX] == index)[0])

    def by_index(self) -> Matrix:
        """Header rows in the order of the packets' indexes."""
        return np.argsort(self.headers[:, Field.INDEX], kind="stable")

    def result(self, words: Words, row: int) -> PacketResult:
        """What became of the packet in a header row."""
        header = self.headers[row]
        outcome = self.outcomes[header[Field.INDEX] - self.first]
        return result_of(words, header, outcome)

    def results(self, words: Words) -> Iterator[PacketResult]:
        """What became of each packet, by index."""
        return (self.result(words, int(row)) for row in self.by_index())


def result_of(words: Words, header: Any, outcome: Any) -> PacketResult:
    """What became of the packet of a header row, by its outcome row."""
    verdict = Verdict(int(outcome[Outcome.VERDICT]))
    return PacketResult(
        int(header[Field.INDEX]),
        int(header[Field.TIME_NS]),
        verdict.name.lower(),
        words.why(header, outcome),
        words.rule_name(outcome[Outcome.RULE]),
        bool(outcome[Outcome.TRACKED]),
        int(outcome[Outcome.HANGS_ON]) if verdict == Verdict.UNSENT else None,
    )


def joined(parts: Iterable[Stretch]) -> Stretch:
    """Stretches that follow each other from the first packet on, as one."""
    empty = Stretch(np.zeros((0, FIELDS), np.int64), np.zeros((0, FIELDS), np.int64), np.zeros((0, len(Outcome)), np.int64), 0)
    every = [empty, *parts]
    return Stretch(
        np.concatenate([part.headers for part in every]),
        np.concatenate([part.seen for part in every]),
        np.concatenate([part.outcomes for part in every]),
        0,
    )


class NumberedLines(NamedTuple):
    """Lines of JSON before they are written; see `emulator.wire.lines.write_lines`."""

    numbers: Matrix
    ends: npt.NDArray[np.uint8]
    places: Matrix

    def written(self, machine: bool) -> bytes:
        """The lines as bytes."""
        out = np.empty(int(self.places[self.numbers[:, 2], 1].sum()) + LONGEST_HEAD * len(self.numbers), dtype=np.uint8)
        count = (compiled(write_lines) if machine else write_lines)(self.numbers, self.ends, self.places, out)
        return out[:count].tobytes()


class PacketLines:
    """Lines of JSON for packets, made in bulk: what many lines share is made once.

    Examples
    --------
    A line is ``json.dumps(result.to_json())``: it begins with ``{"index": 0, "time_ns": 5, "verdict": …``.
    """

    def __init__(self, words: Words) -> None:
        self._words = words
        self._ends: list[bytes] = []
        self._known: dict[object, int] = {}
        self._whys: list[Why | None] = []  # held, so that the identity of each stays its own
        self._accepted = np.full(2 * len(words.ids), -1, dtype=np.int64)

    def lines(self, stretch: Stretch, machine: bool) -> bytes:
        """The lines of some packets, by index."""
        return self.numbered(stretch).written(machine)

    def numbered(self, stretch: Stretch) -> "NumberedLines":
        """The same, still to be written."""
        order = stretch.by_index()
        outcomes = stretch.outcomes
        if len(outcomes) != len(order):
            outcomes = outcomes[stretch.headers[order, Field.INDEX] - stretch.first]
        accepted = outcomes[:, Outcome.VERDICT] == Verdict.ACCEPT
        if len(self._accepted) < 2 * len(self._words.ids):  # an edit brought new rules
            self._accepted = np.concatenate([self._accepted, np.full(2 * len(self._words.ids), -1, dtype=np.int64)])
        share = 2 * outcomes[:, Outcome.RULE] + (outcomes[:, Outcome.TRACKED] != 0)
        for code in np.flatnonzero(np.bincount(share[accepted])).tolist():
            if self._accepted[code] < 0:
                at = int(np.flatnonzero(accepted & (share == code))[0])
                self._accepted[code] = self._end(stretch.result(self._words, int(order[at])))
        kinds = np.where(accepted, self._accepted[np.where(accepted, share, 0)], 0)
        others = np.flatnonzero(~accepted)
        alike = self._words.alike(stretch.headers[order[others]], outcomes[others])
        _, firsts, group = np.unique(alike, axis=0, return_index=True, return_inverse=True)
        with uncollected():
            ends_of = [self._end(stretch.result(self._words, int(order[at]))) for at in others[firsts].tolist()]
        kinds[others] = np.array(ends_of, dtype=np.int64)[group]
        numbers = np.stack([stretch.headers[order, Field.INDEX], stretch.headers[order, Field.TIME_NS], kinds], axis=1)
        lengths = np.array([len(end) for end in self._ends], dtype=np.int64)
        places = np.stack([np.cumsum(lengths) - lengths, lengths], axis=1)
        ends = np.frombuffer(b"".join(self._ends), dtype=np.uint8)
        if len(self._ends) > MAX_ENDS:  # what is not shared is most of it; begin anew
            self.__init__(self._words)  # type: ignore[misc]
        return NumberedLines(numbers, ends, places)

    def _end(self, result: PacketResult) -> int:
        key = (result.verdict, id(result.why), result.rule, result.tracked, result.hangs_on)
        if key not in self._known:
            plain = result.to_json()
            del plain["index"], plain["time_ns"]
            self._known[key] = len(self._ends)
            self._whys.append(result.why)
            self._ends.append(json.dumps(plain, ensure_ascii=False)[1:].encode() + b"\n")
        return self._known[key]


def comments_of(result: PacketResult) -> tuple[str, ...]:
    """What stands beside a packet in Wireshark: the verdict line, then the way out if there is one."""
    if result.why is None:
        return (f"ACCEPT {result.rule}" if result.rule else "ACCEPT",)
    first = f"{' '.join(filter(None, (result.verdict.upper(), result.why.code, result.why.at)))}: {result.why.text}"
    return tuple(printable(line) for line in (first, result.why.way_out) if line)
