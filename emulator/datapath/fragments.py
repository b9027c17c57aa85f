"""Later fragments at a filter: they show no ports, so they share what became of their datagram's first fragment.

    reassemble        later fragments that come before the first wait for it, up to 30 s (the default)
    first_fragment    the same without waiting: those that come before the first are dropped
    drop_noninitial   each is judged alone: only rules that take all ports match it

AWS says nothing about it (FB-32, knob ``frag.policy``); the 30 s are those of RFC 8200 §4.5's reassembly, halved, as
the semantics chose.  At most `MAX_HELD` fragments wait at a time; what comes on top is dropped.
"""

from emulator.datapath import queue
from emulator.datapath.state import Count, Event, Flight, Fragment, State
from emulator.kernels import kernel
from emulator.policy.reasons import Decision
from emulator.policy.settings import FRAGMENTS_DROP, FRAGMENTS_REASSEMBLE
from emulator.policy.tables import PlaceKind, Tables, kind_of
from emulator.wire.hashing import mix
from emulator.wire.headers import Field, Matrix

LIFETIME_NS = 30 * 10**9
MAX_HELD = 4096
UNKNOWN, HOLD = -1, -2
ENTRY_SHIFT = 24  # of the entry's id in DECISION, above verdict and reason
_NAT = int(PlaceKind.NAT_GATEWAY)
COLUMNS = len(Fragment)


@kernel
def _filter_key(place: int, direction: int, protocol: int) -> int:
    return (place << 9) | (direction << 8) | protocol


@kernel
def _home(table: Matrix, key: int, source_lo: int, destination_lo: int, number: int) -> int:
    """The row where the search for a datagram begins."""
    return mix(mix(mix(mix(0, key), source_lo), destination_lo), number) & (table.shape[0] - 1)


@kernel
def _find(state: State, p: int, key: int) -> int:
    """Row of a datagram's verdict at a filter, or minus the free row minus one."""
    flights, table = state.flights, state.fragments
    mask = table.shape[0] - 1
    slot = _home(table, key, flights[p, Field.SOURCE_LO], flights[p, Field.DESTINATION_LO], flights[p, Field.FRAGMENT_ID])
    while table[slot, Fragment.KEY] != 0:
        if (
            table[slot, Fragment.KEY] == key
            and table[slot, Fragment.ID] == flights[p, Field.FRAGMENT_ID]
            and table[slot, Fragment.SOURCE_LO] == flights[p, Field.SOURCE_LO]
            and table[slot, Fragment.DESTINATION_LO] == flights[p, Field.DESTINATION_LO]
            and table[slot, Fragment.SOURCE_HI] == flights[p, Field.SOURCE_HI]
            and table[slot, Fragment.DESTINATION_HI] == flights[p, Field.DESTINATION_HI]
        ):
            return slot
        slot = (slot + 1) & mask
    return -slot - 1


@kernel
def known(tables: Tables, state: State, p: int, place: int, direction: int, now: int) -> int:
    """Row with the verdict for a later fragment, `UNKNOWN` if it must be judged or dropped, `HOLD` if it may wait."""
    translated = kind_of(tables, place) == _NAT  # passes fragments of udp whatever the policy (FB-30)
    if tables.settings.fragments == FRAGMENTS_DROP and not translated:
        return UNKNOWN
    slot = _find(state, p, _filter_key(place, direction, state.flights[p, Field.PROTOCOL]))
    if slot >= 0 and state.fragments[slot, Fragment.EXPIRES_NS] > now:
        return slot
    held = state.flights[p, Flight.HELD]
    may_wait = held == 0 and state.counts[Count.HELD, 0] < MAX_HELD
    return HOLD if (tables.settings.fragments == FRAGMENTS_REASSEMBLE or translated) and may_wait else UNKNOWN


@kernel
def hold(state: State, p: int, kind: int, place: int, now: int) -> None:
    """Let a later fragment wait at a place for its first fragment."""
    state.flights[p, Flight.HELD] = now + LIFETIME_NS
    state.counts[Count.HELD, 0] += 1
    queue.push(state, now + LIFETIME_NS, kind, state.flights[p, Field.INDEX], p, place)


@kernel
def remember(tables: Tables, state: State, p: int, place: int, direction: int, decision: Decision, now: int) -> None:
    """Keep the decision on a first fragment at a filter, and wake the fragments that wait for it."""
    flights, table = state.flights, state.fragments
    if tables.settings.fragments == FRAGMENTS_DROP and kind_of(tables, place) != _NAT:
        return
    key = _filter_key(place, direction, flights[p, Field.PROTOCOL])
    slot = _find(state, p, key)
    if slot < 0:
        slot = -slot - 1
        state.counts[Count.FRAGMENTS, 0] += 1
        table[slot, Fragment.KEY] = key
        table[slot, Fragment.SOURCE_HI] = flights[p, Field.SOURCE_HI]
        table[slot, Fragment.SOURCE_LO] = flights[p, Field.SOURCE_LO]
        table[slot, Fragment.DESTINATION_HI] = flights[p, Field.DESTINATION_HI]
        table[slot, Fragment.DESTINATION_LO] = flights[p, Field.DESTINATION_LO]
        table[slot, Fragment.ID] = flights[p, Field.FRAGMENT_ID]
    table[slot, Fragment.DECISION] = decision.verdict | (decision.reason << 8) | (decision.entry << ENTRY_SHIFT)
    table[slot, Fragment.RULE] = decision.rule
    table[slot, Fragment.EXPIRES_NS] = now + LIFETIME_NS
    if state.counts[Count.HELD, 0] == 0:
        return
    for at in range(state.counts[Count.QUEUED, 0]):
        other = state.queue[at, Event.FLIGHT]
        if (
            flights[other, Flight.HELD] > now
            and flights[other, Field.FRAGMENT_ID] == flights[p, Field.FRAGMENT_ID]
            and flights[other, Field.PROTOCOL] == flights[p, Field.PROTOCOL]
            and flights[other, Field.SOURCE_LO] == flights[p, Field.SOURCE_LO]
            and flights[other, Field.DESTINATION_LO] == flights[p, Field.DESTINATION_LO]
            and flights[other, Field.SOURCE_HI] == flights[p, Field.SOURCE_HI]
            and flights[other, Field.DESTINATION_HI] == flights[p, Field.DESTINATION_HI]
            and state.queue[at, Event.TIME_NS] > now
        ):
            state.queue[at, Event.TIME_NS] = now
            queue.rise(state, at)


@kernel
def clear(table: Matrix, fresh: Matrix, now: int) -> int:
    """Copy what still holds into an empty table; gives how many rows."""
    copied = 0
    for row in range(table.shape[0]):
        if table[row, Fragment.KEY] == 0 or table[row, Fragment.EXPIRES_NS] <= now:
            continue
        slot = _home(
            fresh,
            table[row, Fragment.KEY],
            table[row, Fragment.SOURCE_LO],
            table[row, Fragment.DESTINATION_LO],
            table[row, Fragment.ID],
        )
        while fresh[slot, Fragment.KEY] != 0:
            slot = (slot + 1) & (fresh.shape[0] - 1)
        for column in range(COLUMNS):
            fresh[slot, column] = table[row, column]
        copied += 1
    return copied


@kernel
def wake(state: State, p: int, now: int) -> None:
    """A fragment is looked at again: it waits no longer, and if its time is up it will not wait once more."""
    held = state.flights[p, Flight.HELD]
    if held > 0:
        state.counts[Count.HELD, 0] -= 1
        state.flights[p, Flight.HELD] = -1 if now >= held else 0


__all__ = ["HOLD", "UNKNOWN", "hold", "known", "remember", "wake"]
