"""What is due comes in the order (time, kind, packet), whether it stands in the heap or beside it: against Python's `heapq`."""

import heapq

import numpy as np
import pytest

from emulator.datapath import queue
from emulator.datapath.state import Count, Event, EventKind, new_state
from emulator.wire.headers import Field

PACKETS = 16  # as many as the heap of this state has rows: the last one is used too


def empty():
    """A state without events, whose packets have ids in another order than their rows."""
    state = new_state(2, 0, flights=PACKETS // 2)
    state = state._replace(flights=np.zeros((PACKETS, state.flights.shape[1]), dtype=np.int64))
    state.flights[:, Field.INDEX] = 1000 + np.random.default_rng(1).permutation(PACKETS)
    return state


class Due:
    """The model: all events in a heap of Python's own, and at most one of them beside it."""

    def __init__(self):
        self.heap, self.beside = [], None

    def push(self, now, event):
        if event[1] != EventKind.SEND and self.beside is None and event[0] == now:
            self.beside = event
        else:
            heapq.heappush(self.heap, event)

    def settle(self):
        if self.beside is not None:
            heapq.heappush(self.heap, self.beside)
        self.beside = None


def rows(state):
    """The events in the heap, in the order in which they stand."""
    return [tuple(row) for row in state.queue[: state.counts[Count.QUEUED, 0]].tolist()]


@pytest.mark.parametrize("seed", range(30))
def test_what_is_due_comes_in_its_order(seed):
    """Any pushes, looks and takes: the same event is next as in a heap of tuples, with its flight and its place, and none is lost."""
    dice, state, model, now, taken = np.random.default_rng(seed), empty(), Due(), 0, 0
    resting = list(range(PACKETS))
    for _ in range(400):
        state.counts[Count.NOW_NS, 0] = now
        if resting and dice.random() < 0.55:
            p = resting.pop(int(dice.integers(len(resting))))
            time, kind, place = now + int(dice.integers(3)), int(dice.choice(list(EventKind))), int(dice.integers(5))
            event = (time, kind, int(state.flights[p, Field.INDEX]), p, place)
            queue.push(state, *event)
            model.push(now, event)
        elif len(resting) < PACKETS:
            first = model.beside is not None and (not model.heap or model.beside < model.heap[0])
            assert queue.next_is_first(state) == first
            if first:
                event, model.beside = model.beside, None
                assert state.counts[[Count.NEXT_FLIGHT, Count.NEXT_KIND, Count.NEXT_PLACE], 0].tolist() == [
                    event[3] + 1,
                    event[1],
                    event[4],
                ]
                state.counts[Count.NEXT_FLIGHT, 0] = 0
            else:
                queue.settle(state)
                model.settle()
                event = heapq.heappop(model.heap)
                assert rows(state)[0] == event
                queue.pop(state)
            resting.append(event[3])
            now, taken = max(now, event[0]), taken + 1
        assert sorted(rows(state)) == sorted(model.heap)
        assert state.counts[Count.NEXT_FLIGHT, 0] == (0 if model.beside is None else model.beside[3] + 1)
    assert taken > 150


@pytest.mark.parametrize("seed", range(10))
def test_an_event_that_is_due_earlier_rises_to_its_place(seed):
    """Events whose time was moved forward come in the order of their new times (as fragments that are woken do)."""
    dice, state = np.random.default_rng(seed), empty()
    for p in range(PACKETS):
        queue.insert(state, 10 + int(dice.integers(20)), EventKind.ARRIVE, int(state.flights[p, Field.INDEX]), p, 0)
    for earlier, at in enumerate(dice.integers(0, PACKETS, 8).tolist()):
        state.queue[at, Event.TIME_NS] = 9 - earlier
        queue.rise(state, at)
    due, seen = sorted(rows(state)), []
    while state.counts[Count.QUEUED, 0]:
        seen.append(rows(state)[0])
        queue.pop(state)
    assert seen == due


def test_nothing_is_settled_where_nothing_stands_beside_the_heap():
    """Settling twice changes nothing the second time."""
    state = empty()
    queue.settle(state)
    assert rows(state) == []
    queue.push(state, 0, EventKind.TRANSIT, int(state.flights[3, Field.INDEX]), 3, 1)
    queue.settle(state)
    queue.settle(state)
    assert rows(state) == [(0, EventKind.TRANSIT, state.flights[3, Field.INDEX], 3, 1)]
