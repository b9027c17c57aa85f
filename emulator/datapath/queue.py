"""A binary heap of events in a matrix, ordered by (time, kind, packet id)."""

from emulator.datapath.state import Count, Event, State
from emulator.kernels import kernel

COLUMNS = len(Event)


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
