"""A topology's plan in a replay: its edits happen between two packets, at their times from the first packet on.

    feed ── packets before an edit's time ─► what is still due before it ─► edit ─► packets from its time on

So the cut is made by time alone, and no window of any size shows.  A packet is told of in the words of the topology in
which its way ended: `WordsInTime` keeps one for each stretch of time between edits.
"""

from collections.abc import Callable
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from emulator.bulk.shares import SharedEngine
from emulator.datapath.state import Outcome
from emulator.engine import Engine
from emulator.model.schedule import apply
from emulator.model.topology import Topology
from emulator.observe.words import Why, Words
from emulator.policy.compile import Ids
from emulator.policy.tables import Tables
from emulator.wire.headers import Field, Matrix


class Plan:
    """Feeds an engine, and edits its topology as that has planned.

    Parameters
    ----------
    after_edit : called with the time in ns after the edits of a time
    """

    def __init__(self, engine: Engine | SharedEngine, after_edit: Callable[[int], object] = lambda at_ns: None) -> None:
        self._engine, self._after_edit = engine, after_edit
        planned = groupby(sorted(engine.topology.schedule, key=lambda edit: edit.at_ns), key=lambda edit: edit.at_ns)
        self._coming = [(at_ns, list(edits)) for at_ns, edits in planned]
        self._began_ns: int | None = None

    def feed(self, headers: Matrix) -> None:
        """As `Engine.feed`; edits happen between the packets."""
        if not len(headers):
            return
        times, began_ns = headers[:, Field.TIME_NS], self._begin(headers)
        self._engine.make_room(len(headers))  # parts by time are no parts by index
        done = 0
        while self._coming and began_ns + self._coming[0][0] <= times[-1]:
            cut = int(np.searchsorted(times, began_ns + self._coming[0][0]))
            if cut > done:
                self._engine.feed(headers[done:cut])
            done = cut
            self._edit()
        self._engine.feed(headers[done:])

    def pass_by(self, headers: Matrix) -> None:
        """Make the edits of a stretch that another run has fed already, whose state the engine will be given."""
        if len(headers):
            began_ns = self._begin(headers)
            while self._coming and began_ns + self._coming[0][0] <= headers[-1, Field.TIME_NS]:
                self._edit()

    def _begin(self, headers: Matrix) -> int:
        """When the run began, which is with its first packet."""
        if self._began_ns is None:
            self._began_ns = int(headers[0, Field.TIME_NS])
            self._engine.begin(self._began_ns)
        return self._began_ns

    def finish(self) -> None:
        """Let everything happen that is still to come; an edit after all of it changes nothing, and is left out."""
        while self._coming and self._engine.next_time_ns() is not None:
            self._edit()
        self._engine.advance()

    def _edit(self) -> None:
        """Let happen what is due before the next edits, then make them."""
        after_ns, edits = self._coming.pop(0)
        at_ns = (self._began_ns or 0) + after_ns
        self._engine.advance(at_ns - 1)
        topology = self._engine.topology
        for edit in edits:
            topology = apply(topology, edit)
        self._engine.edit(topology)
        self._after_edit(at_ns)


class _Era(NamedTuple):
    """A stretch of time between edits, and its words."""

    from_ns: int
    words: Words


class WordsInTime(Words):
    """Words of a run whose topology changes: a packet is told of as things stood when its way ended.

    Places and rules are named as the topology in which they first appear names them.
    """

    def __init__(self, topology: Topology, ids: Ids, tables: Tables) -> None:
        super().__init__(topology, ids, tables)
        self._later: list[_Era] = []

    def edited(self, at_ns: int, topology: Topology, tables: Tables) -> None:
        """Say what holds from a time on."""
        later = Words(topology, self.ids, tables)
        self._later.append(_Era(at_ns, later))
        for key, named in later.rules.items():
            self.rules.setdefault(key, named)

    def why(self, header: Any, outcome: Any) -> Why | None:
        """As `Words.why`, in the words of the time at which the packet's way ended."""
        words = self.at(int(outcome[Outcome.TIME_NS]))
        return super().why(header, outcome) if words is self else words.why(header, outcome)

    def alike(self, headers: Matrix, outcomes: Matrix) -> Matrix:
        """As `Words.alike`; what ended at times of different words is not told alike."""
        starts = np.array([era.from_ns for era in self._later], dtype=np.int64)
        eras = np.searchsorted(starts, outcomes[:, Outcome.TIME_NS], side="right")
        return np.concatenate([super().alike(headers, outcomes), eras[:, None]], axis=1)

    def at(self, time_ns: int) -> Words:
        """The words that hold at a time; these themselves before the first edit."""
        return next((era.words for era in reversed(self._later) if era.from_ns <= time_ns), self)
