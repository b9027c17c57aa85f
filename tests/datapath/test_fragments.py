"""Later fragments at filters, against a naive memory: a dictionary of decisions and a list of those that wait (FB-32)."""

import numpy as np
import pytest

from emulator.datapath import fragments, queue
from emulator.datapath.state import Count, Event, EventKind, Flight, Fragment
from emulator.engine import Engine
from emulator.policy.reasons import Decision
from emulator.wire.headers import ICMP, TCP, UDP, Field
from tests.base import base

SECOND = 10**9
PATIENCE = 30 * SECOND  # half of RFC 8200 §4.5's 60 s
COLUMNS = [Field.PROTOCOL, Field.SOURCE_HI, Field.SOURCE_LO, Field.DESTINATION_HI, Field.DESTINATION_LO, Field.FRAGMENT_ID]
DATAGRAMS = [[UDP, *row] for row in (np.eye(6, 5, dtype=int) + 7).tolist()]  # each differs from the last in one column
DATAGRAMS += [[protocol, 7, 7, 7, 7, number] for protocol in (TCP, ICMP) for number in range(7, 10)]


class Filters:
    """The filters of an engine, and beside them what a naive reader of the rules expects of each."""

    def __init__(self, policy, seed):
        engine = Engine(base(policy={"frag_policy": policy}), compiled=False)
        flights = np.zeros((1024, engine.state.flights.shape[1]), dtype=np.int64)
        self.state, self.tables = engine.state._replace(flights=flights), engine.tables
        self.dice, self.policy = np.random.default_rng(seed), policy
        self.nat = engine.ids.of("nat-a")
        self.places = [engine.ids.of("eni-web"), engine.ids.of("eni-web") + 1, self.nat]
        self.now, self.packets, self.known, self.waiting, self.ways = 0, 0, {}, {}, {}

    def fragment(self):
        """A flight row for a fragment of one of the datagrams that comes to a filter, and what both are known by."""
        p = self.packets
        self.packets += 1
        self.state.flights[p, COLUMNS] = DATAGRAMS[self.dice.integers(len(DATAGRAMS))]
        self.state.flights[p, Field.INDEX] = 5000 - p
        self.ways[p] = int(self.dice.choice(self.places)), int(self.dice.integers(2)), *self.state.flights[p, COLUMNS].tolist()
        return p

    def remembers(self, place):
        """Whether a filter keeps decisions: all do but under ``drop_noninitial``, where NAT gateways alone do (FB-30)."""
        return self.policy != "drop_noninitial" or place == self.nat

    def first(self):
        """A first fragment is judged: the decision is kept, and all of its datagram that wait anywhere are due now."""
        p = self.fragment()
        place, direction, *datagram = self.ways[p]
        decision = Decision(*(int(number) for number in self.dice.integers(1, (3, 73, 10**6, 10**6))))
        fragments.remember(self.tables, self.state, p, place, direction, decision, self.now)
        if self.remembers(place):
            self.known[self.ways[p]] = decision, self.now + PATIENCE
            for other, (due, end) in self.waiting.items():
                if self.ways[other][2:] == tuple(datagram):
                    self.waiting[other] = min(due, self.now), end

    def later(self):
        """A later fragment comes to a filter."""
        self.look(self.fragment(), True)

    def look(self, p, patient):
        """A later fragment is told the decision on the first one, or to wait, or that nothing is known."""
        place, direction, *_ = self.ways[p]
        slot = fragments.known(self.tables, self.state, p, place, direction, self.now)
        decision, good_until = self.known.get(self.ways[p], (None, 0))
        if good_until > self.now:
            packed, rule = (int(self.state.fragments[slot, column]) for column in (Fragment.DECISION, Fragment.RULE))
            assert (packed & 0xFF, packed >> 8 & 0xFFFF, rule, packed >> fragments.ENTRY_SHIFT) == decision
        elif patient and (self.policy == "reassemble" or place == self.nat):
            assert slot == fragments.HOLD
            fragments.hold(self.state, p, EventKind.SEND, place, self.now)
            self.waiting[p] = self.now + PATIENCE, self.now + PATIENCE
        else:
            assert slot == fragments.UNKNOWN != fragments.HOLD

    def on_a_link(self):
        """A later fragment is on its way, and waits for nothing."""
        p = self.fragment()
        queue.push(self.state, self.now + PATIENCE // 2, EventKind.ARRIVE, 5000 - p, p, self.ways[p][0])

    def time(self):
        """Time passes; those that are due look again, and whoever waited as long as it may will not wait once more."""
        until = self.now + int(self.dice.choice([0, 1, SECOND, SECOND, SECOND, 5 * SECOND, 15 * SECOND - 1, 30 * SECOND]))
        while self.state.counts[Count.QUEUED, 0] and self.state.queue[0, Event.TIME_NS] <= until:
            p, before, self.now = int(self.state.queue[0, Event.FLIGHT]), self.now, int(self.state.queue[0, Event.TIME_NS])
            assert self.now >= before
            queue.pop(self.state)
            self.state.counts[Count.NOW_NS, 0] = self.now
            fragments.wake(self.state, p, self.now)
            due, end = self.waiting.pop(p, (0, 2**62))
            assert due in (0, self.now)
            assert self.state.flights[p, Flight.HELD] == (-1 if self.now == end else 0)
            self.look(p, self.now != end)
        self.now = self.state.counts[Count.NOW_NS, 0] = until

    def clear(self):
        """What still holds moves to another table."""
        fresh = np.zeros((int(self.dice.choice([64, 128])), len(Fragment)), dtype=np.int64)
        self.known = {key: (decision, until) for key, (decision, until) in self.known.items() if until > self.now}
        assert fragments.clear(self.state.fragments, fresh, self.now) == len(self.known)
        self.state = self.state._replace(fragments=fresh)
        self.state.counts[Count.FRAGMENTS, 0] = len(self.known)

    def check(self):
        """Those that wait stand in the queue for when they are due, and what is kept is counted."""
        due = {int(row[Event.FLIGHT]): int(row[Event.TIME_NS]) for row in self.state.queue[: self.state.counts[Count.QUEUED, 0]]}
        assert {p: time for p, time in due.items() if self.state.flights[p, Flight.HELD] > 0} == {
            p: time for p, (time, _) in self.waiting.items()
        }
        assert self.state.counts[Count.HELD, 0] == len(self.waiting)
        assert self.state.counts[Count.FRAGMENTS, 0] == len(self.known) == np.count_nonzero(self.state.fragments[:, Fragment.KEY])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("policy", ["reassemble", "first_fragment", "drop_noninitial"])
def test_later_fragments_share_what_became_of_the_first(policy, seed):
    """In whatever order they come: a decision is told to its datagram at its filter for 30 s, and who may wait for it waits as long."""
    filters = Filters(policy, seed)
    steps = [filters.first, filters.later, filters.later, filters.on_a_link, filters.time, filters.time]
    for _ in range(600):
        steps[filters.dice.integers(len(steps))]()
        filters.check()
        if len(filters.known) > 48 or filters.dice.random() < 0.02:
            filters.clear()
    assert filters.packets > 300


@pytest.mark.parametrize(("held", "waits"), [(4095, True), (4096, False)])
def test_so_many_fragments_wait_at_a_time(held, waits):
    """No more than 4,096 fragments wait, whatever a capture holds; what comes on top is dropped."""
    filters = Filters("reassemble", 0)
    filters.state.counts[Count.HELD, 0] = held
    p = filters.fragment()
    assert fragments.known(filters.tables, filters.state, p, *filters.ways[p][:2], 0) == (fragments.HOLD if waits else fragments.UNKNOWN)


@pytest.mark.parametrize(("later", "told"), [(PATIENCE - 1, True), (PATIENCE, False)])
def test_a_decision_holds_for_30_s_to_the_nanosecond(later, told):
    """The last nanosecond in which a later fragment is told, and the first in which it is not."""
    filters = Filters("first_fragment", 0)
    filters.first()
    p, (place, direction, *_) = 0, filters.ways[0]
    assert (fragments.known(filters.tables, filters.state, p, place, direction, later) != fragments.UNKNOWN) == told


@pytest.mark.parametrize("row", [0, 63], ids=["the first row", "the last row"])
def test_datagrams_that_begin_their_search_at_one_row(row):
    """They stand one behind another, past the end of the table at its beginning, and each is found again, in another table too."""
    filters = Filters("reassemble", 0)
    place, direction = filters.places[0], 1
    homes = {number: fragments._home(filters.state.fragments, place << 9 | direction << 8 | UDP, 7, 7, number) for number in range(800)}
    numbers = [number for number, home in homes.items() if home == row][:6]
    assert len(numbers) == 6
    taken = [(row + at) % 64 for at in range(6)]

    def slots():
        return [int(fragments.known(filters.tables, filters.state, p, place, direction, 1)) for p in range(6)]

    for now in range(2):  # the second time, nothing more is taken
        for p, number in enumerate(numbers):
            filters.state.flights[p, COLUMNS] = UDP, 7, 7, 7, 7, number
            fragments.remember(filters.tables, filters.state, p, place, direction, Decision(1, 0, number, 0), now)
        assert filters.state.counts[Count.FRAGMENTS, 0] == 6
        assert slots() == taken
    fresh = np.zeros_like(filters.state.fragments)
    assert fragments.clear(filters.state.fragments, fresh, 1) == 6
    filters.state = filters.state._replace(fragments=fresh)
    assert sorted(slots()) == sorted(taken)
    assert fresh[slots(), Fragment.RULE].tolist() == numbers


def test_homes_are_spread_over_the_whole_table():
    """Datagrams begin their search at any row, each about as often."""
    table = np.zeros((16, len(Fragment)), dtype=np.int64)
    homes = [fragments._home(table, 1, 2, 3, number) for number in range(1600)]
    assert sorted(set(homes)) == list(range(16))
    assert np.bincount(homes).max() < 2 * np.bincount(homes).min()
