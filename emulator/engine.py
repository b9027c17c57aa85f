"""Engine: owns a State and lets the event loop run; makes room when the loop asks for it, and counts.

Small work runs in the interpreter.  Work of more than `COMPILE_FROM` packets is compiled once and cached on disk.
"""

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from emulator.clock import NS_PER_SECOND
from emulator.datapath import fragments, queue, translations
from emulator.datapath.loop import Exit, advance
from emulator.datapath.sightings import Sighting, merged
from emulator.datapath.spawn import SPARE
from emulator.datapath.state import (
    Allotment,
    Count,
    Event,
    EventKind,
    Flight,
    Fragment,
    LinkState,
    Outcome,
    State,
    Step,
    Translation,
    Way,
    doubled,
    new_state,
)
from emulator.kernels import CACHED_FROM, COMPILE_FROM, compiled, pays
from emulator.model.topology import Topology
from emulator.policy import conntrack, keys
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.conntrack import Entry
from emulator.policy.joined_columns import FaultColumn
from emulator.policy.tables import Eni, LinkColumn, PlaceKind, Tables
from emulator.wire.headers import FIELDS, Field, Matrix

FOREVER = 2**62
MERGED_FROM = 1 << 16  # rows of sightings: more room is made only after those that belong together are one
FEW_WAYS, WAYS = 1 << 10, 1 << 17  # rows of the cache of `ways`, interpreted and compiled: as much memory as a window of headers
F = TypeVar("F", bound=Callable[..., Any])
_EMPTY = np.zeros((0, FIELDS), dtype=np.int64)


class Engine:
    """One run of one network.

    Parameters
    ----------
    topology : what to run; `edit` exchanges it while the state stays
    compiled : True or False to decide, None to compile when the work is large
    journal : whether every step is written down
    flow_logs : whether what every interface sees is, for `observe.flowlogs`
    """

    def __init__(self, topology: Topology, *, compiled: bool | None = None, journal: bool = True, flow_logs: bool = False) -> None:
        self.ids = Ids()
        self.topology = topology
        self.tables = compile_tables(topology, self.ids)
        self.state = new_state(len(self.ids), len(self.tables.links))
        self.causal = False
        self.packets = 0
        self._began_ns = 0
        self._compiled = compiled
        self._loop = advance
        self._journal = journal
        self._merges = True
        if flow_logs:
            self.keep_sightings()
        if not journal:
            self.drop_journal()

    @property
    def now_ns(self) -> int:
        """The time up to which everything has happened, in ns."""
        return int(self.state.counts[Count.NOW_NS, 0])

    def begin(self, at_ns: int) -> None:
        """Say at which time the run began: the faults of links count from there."""
        self.tables = _later_faults(self.tables, at_ns - self._began_ns)
        self._began_ns = at_ns

    def edit(self, topology: Topology) -> None:
        """Exchange the topology between two events; entries, queues and packets on their way stay (SG-54, SG-58).

        The entries of an interface or gateway that is gone go with it.
        """
        lanes = self.tables.links[:, [LinkColumn.A, LinkColumn.B]]
        self.state.counts[Count.VERSION, 0] += 1
        self.topology = topology
        self.tables = _later_faults(compile_tables(topology, self.ids), self._began_ns)
        usage = np.zeros((len(self.ids), self.state.usage.shape[1]), dtype=np.int64)
        usage[: len(self.state.usage)] = self.state.usage
        hosts = np.zeros((len(self.ids), 1), dtype=np.int64)
        hosts[: len(self.state.hosts)] = self.state.hosts
        self.state = self.state._replace(usage=usage, hosts=hosts)
        self._settle_entries()
        if not np.array_equal(lanes, self.tables.links[:, [LinkColumn.A, LinkColumn.B]]):
            self.state = self.state._replace(links=np.zeros((max(2 * len(self.tables.links), 1), len(LinkState)), dtype=np.int64))

    def _settle_entries(self) -> None:
        """After an edit: drop the entries of what is gone, and count the others against who has their interface now."""
        entries, usage = self.state.entries, self.state.usage
        slots = np.flatnonzero(entries[:, Entry.KEY])
        places = entries[slots, Entry.KEY] >> keys.ENI_SHIFT
        kinds, rows = self.tables.places[places].T
        gone = slots[kinds == PlaceKind.NONE]
        if len(gone):
            entries[gone, Entry.KEY] = 0
            self.state.counts[Count.LIVE, 0] -= len(gone)
            self.state = self.state._replace(entries=rehashed_entries(entries, len(entries), self.is_compiled))
        usage[:, [conntrack.Usage.TRACKED, conntrack.Usage.RETRY_NS]] = 0
        holders = np.where(kinds == PlaceKind.ENI, self.tables.enis[rows, Eni.INSTANCE], places)
        np.add.at(usage[:, conntrack.Usage.TRACKED], holders[kinds != PlaceKind.NONE], 1)

    def snapshot(self) -> State:
        """A copy of the state, to return to with ``engine.state = copy``."""
        return State(*(matrix.copy() for matrix in self.state))

    def copy(self) -> "Engine":
        """Another engine at the same moment, for a what-if."""
        twin = copy.copy(self)
        twin.state = self.snapshot()
        twin.ids = self.ids.copy()
        return twin

    def inject(self, header: Matrix, place: int, at_ns: int) -> int:
        """Queue a packet to be sent at a place (an id) at a time; gives the packet's id.

        Parameters
        ----------
        header : (FIELDS,) int64, columns Field
        """
        if not self.state.counts[Count.FREE, 0]:
            self._grow(Exit.FLIGHTS)
        if self.state.counts[Count.QUEUED, 0] + 5 > len(self.state.queue):
            self._grow(Exit.QUEUE)
        packet = self.packets
        self._make_outcomes(packet + 1)
        free = self.state.counts[Count.FREE, 0] - 1
        self.state.counts[Count.FREE, 0] = free
        p = int(self.state.free[free, 0])
        self.state.flights[p, :FIELDS] = header
        self.state.flights[p, FIELDS:] = 0
        self.state.flights[p, Field.INDEX] = packet
        self.state.flights[p, Field.TIME_NS] = at_ns
        queue.push(self.state, max(at_ns, self.now_ns), EventKind.SEND, packet, p, place)
        return packet

    def feed(self, headers: Matrix) -> None:
        """Run a stretch of a capture: every packet enters at its time, and everything due by then happens.

        Parameters
        ----------
        headers : (n, FIELDS) int64 in the order of time; INDEX counts on from the packets before, in whatever order
        """
        if len(headers):
            self._make_outcomes(int(headers[:, Field.INDEX].max()) + 1)
        self.state.counts[Count.FED, 0] = 0
        self.state.counts[Count.AHEAD, 0] = 0 if self.is_compiled and len(self.state.ways) else -1
        last = int(headers[-1, Field.TIME_NS]) if len(headers) else self.now_ns
        self._advance(headers, max(last, self.now_ns), FOREVER)

    def advance(self, until_ns: int = FOREVER, limit: int = FOREVER) -> int:
        """Let everything happen up to a time, or for so many events; gives an `Exit`."""
        code = self._advance(_EMPTY, until_ns, limit)
        if code == Exit.IDLE and until_ns < FOREVER:
            self.state.counts[Count.NOW_NS, 0] = max(self.now_ns, until_ns)
        return code

    def next_time_ns(self) -> int | None:
        """When the next event is due; None if none is."""
        return int(self.state.queue[0, Event.TIME_NS]) if self.state.counts[Count.QUEUED, 0] else None

    def make_room(self, packets: int) -> None:
        """Have outcome rows for so many more packets."""
        self._make_outcomes(self.packets + packets)
        self.packets -= packets

    def outcomes(self, first: int, count: int) -> Matrix:
        """Outcome rows of so many packets from the id ``first`` on; good until the next call."""
        at = first - int(self.state.counts[Count.FIRST, 0])
        return self.state.outcomes[at : at + count]

    def all_ended(self, first: int, count: int) -> bool:
        """Whether the way of each of so many packets from the id ``first`` on has ended."""
        return bool(self.outcomes(first, count)[:, Outcome.VERDICT].all())

    @property
    def keeps_journal(self) -> bool:
        """Whether steps are written down."""
        return len(self.state.journal) > 0

    @property
    def is_compiled(self) -> bool:
        """Whether this run has gone over to machine code."""
        return self._loop is not advance

    def keep_sightings(self, merge: bool = True) -> None:
        """Note from now on what every interface sees; with ``merge`` the packets of a flow in a second may become one row."""
        self._merges = merge
        none = np.zeros((0, len(Way)), dtype=np.int64)
        self.state = self.state._replace(sightings=np.zeros((1024, len(Sighting)), dtype=np.int64), ways=none)

    def drop_journal(self) -> None:
        """Write no steps from now on, and forget those written; packets may take short cuts now, if no flow logs are kept."""
        if not self.keeps_journal:
            return
        self.state = self.state._replace(journal=np.zeros((0, len(Step)), dtype=np.int64))
        if not len(self.state.sightings):
            self._forget_ways()
        self.state.counts[Count.STEPS, 0] = 0

    def _forget_ways(self) -> None:
        """Begin anew with ways, as many as pay."""
        rows = WAYS if self.is_compiled else FEW_WAYS
        self.state = self.state._replace(ways=np.zeros((rows, len(Way)), dtype=np.int64))

    def forget(self, packets: int) -> None:
        """Let go of the outcomes of the packets with ids below this one; all of them have ended."""
        outcomes, first = self.state.outcomes, int(self.state.counts[Count.FIRST, 0])
        kept = self.packets - packets
        outcomes[:kept] = outcomes[packets - first : self.packets - first].copy()
        outcomes[kept : self.packets - first] = 0
        self.state.counts[Count.FIRST, 0] = packets

    def _make_outcomes(self, packets: int) -> None:
        rows = len(self.state.outcomes)
        if packets - self.state.counts[Count.FIRST, 0] > rows:
            while rows < packets - self.state.counts[Count.FIRST, 0]:
                rows *= 2
            outcomes = np.zeros((rows, len(Outcome)), dtype=np.int64)
            outcomes[: len(self.state.outcomes)] = self.state.outcomes
            self.state = self.state._replace(outcomes=outcomes)
        self.packets = max(self.packets, packets)

    def _advance(self, feed: Matrix, until: int, limit: int) -> int:
        self.choose_loop(len(feed))
        while True:
            code = Exit(self._loop(self.tables, self.state, feed, until, limit, int(self.causal)))
            if code in (Exit.IDLE, Exit.LIMIT, Exit.HOST):
                return code
            self._grow(code)
            limit, self.state.counts[Count.LEFT, 0] = int(self.state.counts[Count.LEFT, 0]), 0

    def expect(self, packets: int) -> None:
        """Take the compiled loop for so many packets, if it is there already."""
        if CACHED_FROM <= packets < COMPILE_FROM:
            self.choose_loop(packets)

    def choose_loop(self, packets: int) -> None:
        """Go over to machine code if so many packets are worth it."""
        if self._loop is not advance or self._compiled is False:
            return
        if self._compiled or pays(advance, packets):
            self._loop = compiled(advance)
            if len(self.state.ways):
                self._forget_ways()

    def _grow(self, code: Exit) -> None:
        state = self.state
        if code == Exit.ENTRIES:
            self.kernel(conntrack.sweep, len(state.entries))(self.tables, state.entries, state.counts, state.usage, -1, self.now_ns)
            if 8 * (state.counts[Count.LIVE, 0] + conntrack.FREE_ROOM) > 3 * len(state.entries):
                self.state = state._replace(entries=rehashed_entries(state.entries, 2 * len(state.entries), self.is_compiled))
        elif code == Exit.QUEUE:
            self.state = state._replace(queue=doubled(state.queue))
        elif code == Exit.FLIGHTS:
            rows, left = len(state.flights), int(state.counts[Count.FREE, 0])
            free = doubled(state.free)
            free[left : left + rows, 0] = np.arange(rows, 2 * rows)
            state.counts[Count.FREE, 0] = left + rows
            self.state = state._replace(flights=doubled(state.flights), free=free)
        elif code == Exit.JOURNAL:
            self.state = state._replace(journal=doubled(state.journal))
        elif code == Exit.FLOWS:
            flows = doubled(state.flows)
            index = np.zeros((2 * len(flows), 1), dtype=np.int64)
            self.kernel(keys.reindex, len(flows))(flows, int(state.counts[Count.FLOWS, 0]), index)
            self.state = state._replace(flows=flows, flow_index=index)
        elif code == Exit.BIRTHS:
            self.state = state._replace(births=doubled(state.births), born_outcomes=doubled(state.born_outcomes))
        elif code == Exit.SIGHTINGS:
            self._merge_sightings()
        elif code == Exit.TRANSLATIONS:
            self._clear_translations()
        else:
            self._clear_fragments()

    def _merge_sightings(self) -> None:
        """Make one row of what belongs together, up to the first packet that is still on its way; room, if half is in use."""
        sightings, counts = self.state.sightings, self.state.counts
        if self._merges and len(sightings) >= MERGED_FROM:
            seen = sightings[: int(counts[Count.SIGHTINGS, 0])]
            on_their_way = np.delete(self.state.flights, self.state.free[: int(counts[Count.FREE, 0]), 0], axis=0)
            moving = np.flatnonzero(np.isin(seen[:, Sighting.PACKET], on_their_way[:, Field.INDEX]))
            ended = int(moving[0]) if len(moving) else len(seen)
            rows = np.concatenate((merged(seen[:ended], NS_PER_SECOND), seen[ended:]))
            sightings[: len(rows)] = rows
            counts[Count.SIGHTINGS, 0] = len(rows)
        if 2 * (counts[Count.SIGHTINGS, 0] + SPARE) > len(sightings):
            self.state = self.state._replace(sightings=doubled(sightings))

    def _clear_translations(self) -> None:
        """Drop the flows whose time is up, and make the table larger if half of it is still in use."""
        old = self.state.translations[: int(self.state.counts[Count.TRANSLATIONS, 0])]
        live = old[old[:, Translation.EXPIRES_NS] > self.now_ns]
        size = len(self.state.translations) * (2 if 2 * len(live) >= len(self.state.translations) else 1)
        table, index = np.zeros((size, len(Translation)), dtype=np.int64), np.zeros((4 * size, 1), dtype=np.int64)
        table[: len(live)] = live
        allotments = np.zeros((2 * size, len(Allotment)), dtype=np.int64)
        self.kernel(translations.reindex, len(live))(table, len(live), index, allotments)
        self.state.counts[Count.TRANSLATIONS, 0] = len(live)
        self.state = self.state._replace(translations=table, translation_index=index, allotments=allotments)

    def _clear_fragments(self) -> None:
        old = self.state.fragments
        live = np.count_nonzero((old[:, Fragment.KEY] != 0) & (old[:, Fragment.EXPIRES_NS] > self.now_ns))
        size = len(old)
        while size < 4 * (live + 4):
            size *= 2
        fresh = np.zeros((size, len(Fragment)), dtype=np.int64)
        self.state.counts[Count.FRAGMENTS, 0] = self.kernel(fragments.clear, len(old))(old, fresh, self.now_ns)
        self.state = self.state._replace(fragments=fresh)

    def kernel(self, function: F, rows: int) -> F:
        """A kernel that goes through so many rows: compiled where it pays, if this run is compiled at all."""
        return compiled(function) if self._loop is not advance and rows >= CACHED_FROM else function


def _later_faults(tables: Tables, by_ns: int) -> Tables:
    """Tables whose faults of links come so much later."""
    faults = tables.faults.copy()
    faults[:, [FaultColumn.START_NS, FaultColumn.END_NS]] += by_ns
    return tables._replace(faults=faults)


def rehashed_entries(entries: Matrix, rows: int, machine: bool = False) -> Matrix:
    """The tracking table in a table of so many rows (a power of two)."""
    fresh = np.zeros((rows, len(Entry)), dtype=np.int64)
    rehash = compiled(conntrack.rehash) if machine and rows >= CACHED_FROM else conntrack.rehash
    rehash(entries, fresh)
    return fresh


__all__ = ["CACHED_FROM", "COMPILE_FROM", "FOREVER", "Engine", "Flight"]
