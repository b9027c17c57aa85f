"""What is due: a binary heap of events in a matrix, ordered by (time, kind, packet id), and one event beside it.

Most of what a stage makes due, an arrival or a transit, is due at once and is the very next thing.  It stands in
``counts`` (`Count.NEXT_KIND` and its neighbours) instead of the heap; the loop compares it with the first of the heap
before it takes either, so the order is that of the heap alone.
"""

from emulator.datapath.state import Count, Event, EventKind, State
from emulator.kernels import kernel
from emulator.wire.headers import Field

COLUMNS = len(Event)
_SEND = int(EventKind.SEND)


@kernel
def _before(state: State, a: int, b: int) -> bool:
    queue = state.queue
    if queue[a, Event.TIME_NS] != queue[b, Event.TIME_NS]:
        return queue[a, Event.TIME_NS] < queue[b, Event.TIME_NS]
    if queue[a, Event.KIND] != queue[b, Event.KIND]:
        return queue[a, Event.KIND] < queue[b, Event.KIND]
    return queue[a, Event.PACKET] < queue[b, Event.PACKET]


@kernel
def _swap(state: State, a: int, b: int) -> None:
    queue = state.queue
    for column in range(COLUMNS):
        queue[a, column], queue[b, column] = queue[b, column], queue[a, column]


@kernel
def rise(state: State, at: int) -> None:
    """Move an event up to its place."""
    while at > 0:
        parent = (at - 1) >> 1
        if not _before(state, at, parent):
            return
        _swap(state, at, parent)
        at = parent


@kernel
def push(state: State, time_ns: int, kind: int, packet: int, flight: int, place: int) -> None:
    """Add an event; the caller has seen to it that there is room."""
    counts = state.counts
    if kind != _SEND and counts[Count.NEXT_FLIGHT, 0] == 0 and time_ns == counts[Count.NOW_NS, 0]:
        counts[Count.NEXT_FLIGHT, 0] = flight + 1
        counts[Count.NEXT_KIND, 0] = kind
        counts[Count.NEXT_PLACE, 0] = place
        return
    insert(state, time_ns, kind, packet, flight, place)


@kernel
def next_is_first(state: State) -> bool:
    """Whether there is an event beside the heap, and none in the heap comes before it."""
    counts, queue = state.counts, state.queue
    if counts[Count.NEXT_FLIGHT, 0] == 0:
        return False
    if counts[Count.QUEUED, 0] == 0 or queue[0, Event.TIME_NS] > counts[Count.NOW_NS, 0]:
        return True
    if queue[0, Event.KIND] != counts[Count.NEXT_KIND, 0]:
        return queue[0, Event.KIND] > counts[Count.NEXT_KIND, 0]
    return queue[0, Event.PACKET] > state.flights[counts[Count.NEXT_FLIGHT, 0] - 1, Field.INDEX]


@kernel
def settle(state: State) -> None:
    """Put the event beside the heap into it."""
    counts = state.counts
    p = counts[Count.NEXT_FLIGHT, 0] - 1
    if p >= 0:
        counts[Count.NEXT_FLIGHT, 0] = 0
        insert(state, counts[Count.NOW_NS, 0], counts[Count.NEXT_KIND, 0], state.flights[p, Field.INDEX], p, counts[Count.NEXT_PLACE, 0])


@kernel
def insert(state: State, time_ns: int, kind: int, packet: int, flight: int, place: int) -> None:
    """Add an event to the heap."""
    at = state.counts[Count.QUEUED, 0]
    state.counts[Count.QUEUED, 0] = at + 1
    queue = state.queue
    queue[at, Event.TIME_NS] = time_ns
    queue[at, Event.KIND] = kind
    queue[at, Event.PACKET] = packet
    queue[at, Event.FLIGHT] = flight
    queue[at, Event.PLACE] = place
    rise(state, at)


@kernel
def pop(state: State) -> None:
    """Take the first event (row 0) away."""
    last = state.counts[Count.QUEUED, 0] - 1
    state.counts[Count.QUEUED, 0] = last
    _swap(state, 0, last)
    at = 0
    while True:
        child = 2 * at + 1
        if child >= last:
            return
        if child + 1 < last and _before(state, child + 1, child):
            child += 1
        if not _before(state, child, at):
            return
        _swap(state, at, child)
        at = child
