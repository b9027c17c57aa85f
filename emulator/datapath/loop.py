"""advance: the only event loop.

It takes the next thing that is due, from the queue or from the feed of a capture, in the order (time, kind, packet id),
and lets the stages act.  It stops when nothing is due any more, after a number of events, or when a matrix needs to
grow; then it says which, the engine makes room, and it goes on as if nothing had been.  It also stops when a packet has
reached a place with a live host (HOST): the host answers in Python, at that time.
"""

from enum import IntEnum

from emulator.datapath import causes, queue, ways
from emulator.datapath.causes import NOWHERE
from emulator.datapath.entrance import AT_PLACE, SERVICE, SKIP, entrance
from emulator.datapath.filters import ACCEPT, DROP
from emulator.datapath.fragments import wake
from emulator.datapath.gateways import send_from_outside, transit
from emulator.datapath.journal import STEPS_AN_EVENT, finish, passed
from emulator.datapath.leave import in_a_subnet, leave, next_hop
from emulator.datapath.share import skip_foreign
from emulator.datapath.shortcut import takes
from emulator.datapath.spawn import SPARE
from emulator.datapath.stages import DELIVERED, EXEMPT, SENT, arrive, send
from emulator.datapath.state import HOMES, Count, Event, EventKind, Flight, Outcome, State
from emulator.kernels import kernel
from emulator.policy.conntrack import FREE_ROOM
from emulator.policy.reasons import FIRST_PARSE_REASON, Reason, Verdict
from emulator.policy.tables import PlaceKind, SubnetColumn, Tables, kind_of, row_of, subnet_of
from emulator.wire.headers import FIELDS, Field, Matrix
from emulator.wire.status import PARSED

_ARRIVE, _TRANSIT, _SEND = (int(kind) for kind in EventKind)
_ENI, _OUTSIDE = int(PlaceKind.ENI), int(PlaceKind.OUTSIDE)
_UNSENT, _SKIPPED = int(Verdict.UNSENT), int(Verdict.SKIPPED)
_HELD_BACK, _GONE = int(Reason.EMU_UNSENT), int(Reason.BAD_STATE)
FLIGHT_COLUMNS = FIELDS + len(Flight)


class Exit(IntEnum):
    """Why `advance` came back."""

    IDLE = 0
    LIMIT = 1
    ENTRIES = 2
    QUEUE = 3
    FLIGHTS = 4
    JOURNAL = 5
    FLOWS = 6
    FRAGMENTS = 7
    BIRTHS = 8
    TRANSLATIONS = 9
    SIGHTINGS = 10
    HOST = 11


IDLE, LIMIT, ENTRIES, QUEUE, FLIGHTS, JOURNAL, FLOWS, FRAGMENTS, BIRTHS, TRANSLATIONS, SIGHTINGS, HOST = (int(reason) for reason in Exit)


@kernel
def _room(state: State) -> int:
    """What must grow before one more event may run; IDLE if nothing must."""
    counts = state.counts
    if 8 * (counts[Count.LIVE, 0] + FREE_ROOM) > 5 * state.entries.shape[0]:
        return ENTRIES
    if counts[Count.QUEUED, 0] + counts[Count.WAITING, 0] + SPARE + 1 > state.queue.shape[0]:
        return QUEUE
    if counts[Count.FREE, 0] < SPARE:
        return FLIGHTS
    if state.journal.shape[0] > 0 and counts[Count.STEPS, 0] + STEPS_AN_EVENT > state.journal.shape[0]:
        return JOURNAL
    if counts[Count.FLOWS, 0] + 2 > state.flows.shape[0]:
        return FLOWS
    if 2 * (counts[Count.FRAGMENTS, 0] + 4) > state.fragments.shape[0]:
        return FRAGMENTS
    if counts[Count.BORN, 0] + SPARE > state.births.shape[0]:
        return BIRTHS
    if counts[Count.TRANSLATIONS, 0] + 1 > state.translations.shape[0]:
        return TRANSLATIONS
    if state.sightings.shape[0] > 0 and counts[Count.SIGHTINGS, 0] + SPARE > state.sightings.shape[0]:
        return SIGHTINGS
    return IDLE


@kernel
def _take(state: State, feed: Matrix, row: int) -> int:
    """Copy a fed header into a free flight row; gives the row."""
    free = state.counts[Count.FREE, 0] - 1
    state.counts[Count.FREE, 0] = free
    p = state.free[free, 0]
    for column in range(FIELDS):
        state.flights[p, column] = feed[row, column]
    for column in range(FIELDS, FLIGHT_COLUMNS):
        state.flights[p, column] = 0
    state.flights[p, Flight.CAPTURED] = 1
    return p


@kernel
def _enter(tables: Tables, state: State, p: int, now: int, causal: int, home: int) -> None:
    """A capture's packet enters: skipped, held back by its cause, waiting for it, or sent; ``home`` as in `ways.known`."""
    flights = state.flights
    status = flights[p, Field.STATUS]
    if status != PARSED:
        finish(state, p, now, SENT, NOWHERE, _SKIPPED, FIRST_PARSE_REASON + status, 0)
        return
    known = ways.known(state, p, home)
    if known < 0:
        way = entrance(tables, state, p)
        if way.how == SKIP:
            finish(state, p, now, SENT, NOWHERE, _SKIPPED, way.place, 0)
            return
    if causal != 0:
        blocked = causes.blocked_by(state, p)
        if blocked == causes.WAIT:
            causes.wait(state, p)
            return
        if blocked != causes.SEND:
            state.outcomes[flights[p, Field.INDEX] - state.counts[Count.FIRST, 0], Outcome.HANGS_ON] = blocked
            finish(state, p, now, SENT, entrance(tables, state, p).place, _UNSENT, _HELD_BACK, 0)
            return
        causes.began(state, p)
        if known < 0 or not ways.is_of(state, known, p):  # the responder answers to the addresses that it saw
            known = ways.known(state, p, -1)
    if known >= 0 and takes(tables, state, p, known, now):
        return
    if known >= 0 or causal != 0:
        way = entrance(tables, state, p)
    if way.how == AT_PLACE and way.source_hi == flights[p, Field.SOURCE_HI] and way.source_lo == flights[p, Field.SOURCE_LO]:
        ways.begin(state, p)
    flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO] = way.source_hi, way.source_lo
    flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO] = way.destination_hi, way.destination_lo
    if way.how == SERVICE:
        finish(state, p, now, EXEMPT, way.place, ACCEPT, 0, 0)
        return
    _send(tables, state, p, way.place, now)


@kernel
def _send(tables: Tables, state: State, p: int, place: int, now: int) -> None:
    """A packet is sent at an interface, or by a host outside."""
    passed(state, p, now, SENT, place, 0, 0, 0)
    if kind_of(tables, place) == _ENI:
        send(tables, state, p, place, now)
    elif kind_of(tables, place) == _OUTSIDE:
        send_from_outside(tables, state, p, place, now)
    elif in_a_subnet(tables, place):
        subnet = subnet_of(tables, place)
        hop = next_hop(tables, state, p, tables.subnets[row_of(tables, subnet), SubnetColumn.VPC], subnet)
        leave(tables, state, p, place, hop, 0, now)
    else:  # it was deleted since
        finish(state, p, now, SENT, place, DROP, _GONE, 0)


@kernel
def _run(tables: Tables, state: State, kind: int, p: int, place: int, now: int, causal: int) -> None:
    """Act on an event."""
    wake(state, p, now)
    if kind == _SEND and place == NOWHERE:
        _enter(tables, state, p, now, causal, -1)
    elif kind == _SEND:
        _send(tables, state, p, place, now)
    elif kind == _TRANSIT:
        transit(tables, state, p, place, now)
    elif kind_of(tables, place) == _OUTSIDE:
        ways.learn(tables, state, p, place)
        finish(state, p, now, DELIVERED, place, ACCEPT, 0, 0)
    else:
        arrive(tables, state, p, place, now)


@kernel
def advance(tables: Tables, state: State, feed: Matrix, until: int, limit: int, causal: int) -> int:
    """Let everything happen that is due up to and at ``until``; gives an `Exit`.

    Parameters
    ----------
    feed : (n, FIELDS) int64, headers of a capture in the order of time; ``counts[FED]`` is the next one's row
    until : ns
    limit : most events to run
    causal : 1 if packets of the capture wait for their causes, 0 for open loop
    """
    counts = state.counts
    for done in range(limit):
        need = _room(state)
        if need != IDLE:
            counts[Count.LEFT, 0] = limit - done
            queue.settle(state)
            return need
        if queue.next_is_first(state):
            p = counts[Count.NEXT_FLIGHT, 0] - 1
            counts[Count.NEXT_FLIGHT, 0] = 0
            _run(tables, state, counts[Count.NEXT_KIND, 0], p, counts[Count.NEXT_PLACE, 0], counts[Count.NOW_NS, 0], causal)
            if counts[Count.ARRIVED, 0] != 0:
                queue.settle(state)
                return HOST
            continue
        queue.settle(state)
        if counts[Count.SHARES, 0] > 1:
            skip_foreign(state)
        queued, fed = counts[Count.QUEUED, 0] > 0, counts[Count.FED, 0] < feed.shape[0]
        if not queued and not fed:
            return IDLE
        take_fed = fed
        if fed and queued:
            row = counts[Count.FED, 0]
            due, time_ns = state.queue[0, Event.TIME_NS], max(feed[row, Field.TIME_NS], counts[Count.NOW_NS, 0])
            if due != time_ns:
                take_fed = time_ns < due
            elif state.queue[0, Event.KIND] != _SEND:
                take_fed = False
            else:
                take_fed = feed[row, Field.INDEX] < state.queue[0, Event.PACKET]
        if take_fed:
            row = counts[Count.FED, 0]
            if 0 <= counts[Count.AHEAD, 0] <= row:
                ways.look_ahead(state, feed, row)
            now = max(feed[row, Field.TIME_NS], counts[Count.NOW_NS, 0])
            if now > until:
                return IDLE
            counts[Count.NOW_NS, 0] = now
            counts[Count.FED, 0] = row + 1
            home = state.homes[row & (HOMES - 1), 0] - 1 if row < counts[Count.AHEAD, 0] else -1
            _enter(tables, state, _take(state, feed, row), now, causal, home)
        else:
            if state.queue[0, Event.TIME_NS] > until:
                return IDLE
            now, kind = state.queue[0, Event.TIME_NS], state.queue[0, Event.KIND]
            p, place = state.queue[0, Event.FLIGHT], state.queue[0, Event.PLACE]
            counts[Count.NOW_NS, 0] = now
            queue.pop(state)
            _run(tables, state, kind, p, place, now, causal)
        if counts[Count.ARRIVED, 0] != 0:
            queue.settle(state)
            return HOST
    queue.settle(state)
    return LIMIT
