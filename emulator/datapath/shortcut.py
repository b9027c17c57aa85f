"""The short cut: a packet whose way is known (see `ways`) is judged at both its interfaces at once, and delivered.

It may be taken where every packet of the flow would go the same: both sides track the flow and know it, or never track it.
Everything else, a first packet, an entry that ran out of time, a SYN on a closed connection, goes the whole way.  The next
event after a packet entered is its own arrival, for arrivals come before what is sent at the same time; so nothing is
overtaken.  Tracking entries change by `conntrack.refresh` here as there.
"""

from emulator.datapath.balancers import node_behind
from emulator.datapath.journal import finish
from emulator.datapath.state import Count, Flight, State, Way
from emulator.datapath.ways import LENGTH_SHIFT, LOST_SHIFT, PLACE_SHIFT, RULE_MASK, SLOT_MASK, SLOT_SHIFT, SPENT_MASK, UNTRACKED
from emulator.kernels import kernel
from emulator.policy import conntrack, keys
from emulator.policy.keys import TrackingKey
from emulator.policy.reasons import Stage, Verdict
from emulator.policy.tables import Tables
from emulator.wire.headers import Field

_ACCEPT, _DELIVERED = int(Verdict.ACCEPT), int(Stage.DELIVERED)
_NONE, _UNSURE = -1, -2  # instead of a row of ``entries``: the flow is not tracked there; the whole way has to be gone


@kernel
def _entry(state: State, p: int, key: TrackingKey, hint: int, side: int, now: int) -> int:
    """Row of the living entry of a flow at one side, where it may stand at ``hint``; `_NONE` or `_UNSURE`."""
    entries = state.entries
    slot = hint
    if hint >= entries.shape[0] or not keys.stands_at(entries, hint, key):
        slot = conntrack.find(entries, key)
    if slot < 0:
        return _NONE if side & UNTRACKED else _UNSURE
    return slot if conntrack.is_open_to(entries, slot, state.flights, p, now) else _UNSURE


@kernel
def _arriving_key(state: State, p: int, row: int, receiver: int) -> TrackingKey:
    """The key under which the receiver knows the flow of a packet that takes a way."""
    flights, ways = state.flights, state.ways
    return keys.key_of(
        receiver,
        flights[p, Field.FAMILY],
        flights[p, Field.PROTOCOL],
        ways[row, Way.END_SOURCE_HI],
        ways[row, Way.END_SOURCE_LO],
        ways[row, Way.END_DESTINATION_HI],
        ways[row, Way.END_DESTINATION_LO],
        flights[p, Field.SOURCE_PORT],
        flights[p, Field.DESTINATION_PORT],
        flights[p, Field.TYPE],
        flights[p, Field.IDENTIFIER],
    )


@kernel
def _judged(tables: Tables, state: State, p: int, side: int, slot: int, from_a: int, now: int) -> None:
    """The groups of one side let the packet through: by its entry, or by the rule of a flow that is not tracked."""
    flights = state.flights
    if slot < 0:
        flights[p, Flight.TRACKED], flights[p, Flight.RULE] = 0, side & RULE_MASK
        return
    flights[p, Flight.TRACKED], flights[p, Flight.RULE] = 1, state.entries[slot, conntrack.Entry.TAG] & conntrack.RULE_MASK
    conntrack.refresh(tables, state.entries, state.counts, state.usage, slot, flights, p, from_a, now)


@kernel
def takes(tables: Tables, state: State, p: int, row: int, now: int) -> bool:
    """Whether the packet in row ``p`` took the way in ``row``, to its end; False, with nothing changed, if it has to go the whole way."""
    flights, ways = state.flights, state.ways
    sides, limits, slots = (ways[row, Way.OUT], ways[row, Way.IN]), ways[row, Way.LIMITS], ways[row, Way.SLOTS]
    if flights[p, Field.LENGTH] > limits >> LENGTH_SHIFT or flights[p, Field.TTL] <= limits & SPENT_MASK:
        return False
    sender, receiver = sides[0] >> PLACE_SHIFT, sides[1] >> PLACE_SHIFT
    if sender != 0 and state.counts[Count.TRANSLATIONS, 0] > 0 and node_behind(tables, state, p, sender, now) != 0:
        return False
    leaving = keys.packet_key(flights, p, sender)
    first = _entry(state, p, leaving, slots & SLOT_MASK, sides[0], now) if sender != 0 else _NONE
    if first == _UNSURE:
        return False
    arriving = _arriving_key(state, p, row, receiver)
    second = _entry(state, p, arriving, slots >> SLOT_SHIFT, sides[1], now) if receiver != 0 else _NONE
    if second == _UNSURE:
        return False
    ways[row, Way.SLOTS] = (max(second, 0) << SLOT_SHIFT) | max(first, 0)
    if sender != 0:
        live = state.counts[conntrack.Count.LIVE, 0]
        _judged(tables, state, p, sides[0], first, leaving.from_a, now)
        if second >= 0 and state.counts[conntrack.Count.LIVE, 0] != live:  # an entry is gone, and others may have moved
            second = conntrack.find(state.entries, arriving)
    flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO] = ways[row, Way.END_SOURCE_HI], ways[row, Way.END_SOURCE_LO]
    flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO] = (
        ways[row, Way.END_DESTINATION_HI],
        ways[row, Way.END_DESTINATION_LO],
    )
    if receiver != 0:
        _judged(tables, state, p, sides[1], second, arriving.from_a, now)
    flights[p, Flight.SENDER] = ways[row, Way.GROUPS] & ((1 << LOST_SHIFT) - 1)
    flights[p, Flight.LOST] = ways[row, Way.GROUPS] >> LOST_SHIFT
    flights[p, Flight.TTL_SPENT] = limits & SPENT_MASK
    finish(state, p, now, _DELIVERED, ways[row, Way.PLACE], _ACCEPT, 0, 0)
    return True
