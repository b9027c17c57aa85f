"""Reach: who can open what to whom, for every pair of ends, by classes.

A pair's services are those that the groups of the source let out to the destination, those that the groups of the
destination let in from the source as it is seen there, and those that pass on the way between and are answered, all at
once.  Where other machines judge on the way, or the destination listens to some services only, the pair is asked whole,
service by service.  A question's packet leaves port 49152, as in `explain`, and so comes its answer to that port.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emulator.engine import Engine
from emulator.model.topology import Topology
from emulator.reach.atoms import Atom, atoms
from emulator.reach.ends import INTERFACE, OUTSIDE, End, ends
from emulator.reach.filters import EGRESS, INGRESS, Filters, Masks, Numbers
from emulator.reach.paths import Way, Ways
from emulator.reach.probes import Prober, Question

WIDE = 1 << 24
MOST_WHOLE = 3_000_000


@dataclass
class Reached:
    """The answer for one family of addresses.

    Parameters
    ----------
    ends, atoms : what was asked about.
    classes : ends that nothing tells apart, by their places in ``ends``.
    table : (n, n) numbers of sets of atoms, source class by destination class.
    """

    family: int
    ends: list[End]
    atoms: tuple[Atom, ...]
    classes: list[list[int]]
    table: Any
    masks: Masks
    class_of: dict[int, int] = field(default_factory=dict)

    def mask(self, source: int, destination: int) -> int:
        """The set of atoms that one end (its place in ``ends``) reaches at another; none at itself."""
        if self.ends[source].id == self.ends[destination].id and self.ends[source].kind != OUTSIDE:
            return 0
        return self.masks.sets[int(self.table[self.class_of[source], self.class_of[destination]])]


def analyse(topology: Topology, family: int, keep: Callable[[End], bool] = lambda end: True) -> Reached:
    """Everything that can be opened in one family of addresses.

    Parameters
    ----------
    keep : which ends to ask about.
    """
    found = [end for end in ends(topology, family) if keep(end)]
    of = atoms(topology, family)
    engine = Engine(topology, compiled=False, journal=False)
    filters = Filters(engine.tables, engine.ids, found, of, family)
    work = _Analysis(topology, found, of, family, filters)
    return work.run()


class _Analysis:
    """One family's analysis on its way."""

    def __init__(self, topology: Topology, found: list[End], of: tuple[Atom, ...], family: int, filters: Filters) -> None:
        self.topology, self.ends, self.atoms, self.family, self.filters = topology, found, of, family, filters
        self.ways = Ways(topology, found, of, family, filters)
        self.cells: dict[tuple[int, str], int] = {}
        self.cell_of = np.array([self._cell(number, end) for number, end in enumerate(found)], dtype=np.int64)
        self.members: list[list[int]] = [[] for _ in self.cells]
        for number, cell in enumerate(self.cell_of.tolist()):
            self.members[cell].append(number)
        sets = list(dict.fromkeys(end.groups for end in found if end.kind == INTERFACE))
        self.sets = sets
        numbers = {groups: number for number, groups in enumerate(sets)}
        self.set_of = np.array([numbers[end.groups] if end.kind == INTERFACE else -1 for end in found], dtype=np.int64)

    def _cell(self, number: int, end: End) -> int:
        return self.cells.setdefault((self.ways.places.of[number], end.subnet), len(self.cells))

    def run(self) -> Reached:
        """The table of all classes."""
        ways, way_of = self._go()
        classes, class_of = self._classes(ways)
        table = self._table(ways, way_of, classes)
        done = Reached(self.family, self.ends, self.atoms, classes, table, self.filters.masks, class_of)
        self._ask_whole(ways, way_of, classes, done)
        return done

    def _go(self) -> tuple[list[Way], Numbers]:
        """The ways between cells, and which of them each pair of cells takes; -1 for pairs of which there are none."""
        keys: dict[tuple[int, int, bool], int] = {}
        pairs: dict[tuple[int, int, bool], tuple[End, End]] = {}
        count = len(self.cells)
        way_of = np.full((count, count), -1, dtype=np.int64)
        listed = list(self.cells)
        for one, (place, subnet) in enumerate(listed):
            for other, (far, far_subnet) in enumerate(listed):
                two = self._two(one, other)
                if two is None:
                    continue
                key = place, far, subnet == far_subnet and subnet != ""
                if key not in keys:
                    keys[key] = len(keys)
                    pairs[key] = two
                way_of[one, other] = keys[key]
        found = self.ways.between(pairs)
        return [found[key] for key in keys], way_of

    def _two(self, one: int, other: int) -> tuple[End, End] | None:
        """Two ends to ask for a pair of cells: not the same interface, and not both outside."""
        source = self.ends[self.members[one][0]]
        if source.kind not in (INTERFACE, OUTSIDE):
            return None
        for number in self.members[other][:3]:
            destination = self.ends[number]
            if destination.id != source.id or OUTSIDE in (source.kind, destination.kind):
                return None if source.kind == destination.kind == OUTSIDE else (source, destination)
        return None

    def _views(self, ways: list[Way]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
        sources = sorted({way.source_view for way in ways if isinstance(way.source_view, int) and way.mask})
        other = sorted({way.source_view for way in ways if isinstance(way.source_view, tuple) and way.mask})
        return sources, sorted({way.destination_view for way in ways if way.mask}), other

    def _classes(self, ways: list[Way]) -> tuple[list[list[int]], dict[int, int]]:
        """Ends of one cell and one set of groups that every set of groups treats alike, coming and going."""
        sources, destinations, _ = self._views(ways)
        columns = [self.cell_of, self.set_of]
        columns += [self.filters.allowed(groups, INGRESS, view) for groups in self.sets for view in sources]
        columns += [self.filters.allowed(groups, EGRESS, view) for groups in self.sets for view in destinations]
        stacked = np.ascontiguousarray(np.stack(columns, axis=1))
        classes: dict[bytes, list[int]] = {}
        for number, row in enumerate(stacked):
            classes.setdefault(row.tobytes() + repr(self.ends[number].listen).encode(), []).append(number)
        listed = list(classes.values())
        return listed, {number: at for at, members in enumerate(listed) for number in members}

    def _table(self, ways: list[Way], way_of: Numbers, classes: list[list[int]]) -> Any:
        firsts = np.array([members[0] for members in classes], dtype=np.int64)
        cells, sets = self.cell_of[firsts], self.set_of[firsts]
        sources, destinations, others = self._views(ways)
        inward = {view: self._stack(INGRESS, view) for view in sources}
        outward = {view: self._stack(EGRESS, view) for view in destinations}
        fixed = {ip: [self.filters.allowed_for(groups, INGRESS, ip) for groups in self.sets] for ip in others}
        table = np.zeros((len(classes), len(classes)), dtype=np.int32)
        combined: dict[tuple[int, int], int] = {}
        everything = self.filters.everything
        for at, first in enumerate(firsts.tolist()):
            taken = way_of[cells, cells[at]]
            own = int(sets[at])
            for number in np.unique(taken).tolist():
                way = ways[number] if number >= 0 else None
                if way is None or not way.mask or way.judged:
                    continue
                here = np.flatnonzero(taken == number)
                if own < 0:
                    let_in = np.full(len(here), everything, dtype=np.int64)
                elif isinstance(way.source_view, tuple):
                    let_in = np.full(len(here), fixed[way.source_view][own], dtype=np.int64)
                else:
                    let_in = inward[way.source_view][own, firsts[here]]
                let_out = np.full(len(here), everything, dtype=np.int64)
                inside = sets[here] >= 0
                let_out[inside] = outward[way.destination_view][sets[here[inside]], first]
                table[here, at] = self._both(number, way, let_out * WIDE + let_in, combined)
        return table

    def _stack(self, direction: int, view: int) -> Numbers:
        rows = [self.filters.allowed(groups, direction, view) for groups in self.sets]
        return np.stack(rows) if rows else np.zeros((1, len(self.ends)), dtype=np.int64)

    def _both(self, number: int, way: Way, pairs: Numbers, combined: dict[tuple[int, int], int]) -> Numbers:
        """The numbers of the sets that are in both of two sets and pass on the way."""
        masks = self.filters.masks
        distinct, of = np.unique(pairs, return_inverse=True)
        done = np.zeros(len(distinct), dtype=np.int64)
        for at, pair in enumerate(distinct.tolist()):
            key = number, pair
            if key not in combined:
                combined[key] = masks.number(masks.sets[pair // WIDE] & masks.sets[pair % WIDE] & way.mask)
            done[at] = combined[key]
        return done[of.ravel()]

    def _ask_whole(self, ways: list[Way], way_of: Numbers, classes: list[list[int]], done: Reached) -> None:
        """Ask the pairs whose ways others judge, each service on its own, in the topology as it is."""
        if not any(way.judged for way in ways):
            return
        questions, slots = [], []
        for source, members in enumerate(classes):
            for destination, others in enumerate(classes):
                number = int(way_of[self.cell_of[members[0]], self.cell_of[others[0]]])
                if number < 0 or not ways[number].judged:
                    continue
                two = next(((a, b) for a in members[:2] for b in others[:2] if self.ends[a].id != self.ends[b].id), None)
                if two is None:
                    continue
                questions += [Question(self.ends[two[0]], self.ends[two[1]], at) for at in range(len(self.atoms))]
                slots.append((source, destination))
        if not questions:
            return
        prober = Prober(self.topology, self.atoms, self.family, journal=False, expected=2 * len(questions))
        found = prober.ask(questions)
        size = len(self.atoms)
        for at, (source, destination) in enumerate(slots):
            mask = sum(1 << atom for atom in range(size) if found[at * size + atom].reachable)
            done.table[source, destination] = done.masks.number(mask)
