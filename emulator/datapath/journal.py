"""The journal: one row of integers a step; and the end of a packet, one row of ``outcomes``."""

from emulator.datapath import causes
from emulator.datapath.sightings import SHOWN, Sighting
from emulator.datapath.state import FIRST_BORN, Count, Flight, Outcome, State, Step
from emulator.kernels import kernel
from emulator.policy.reasons import Stage, Verdict
from emulator.wire.headers import Field

_ACCEPT, _DROP = int(Verdict.ACCEPT), int(Verdict.DROP)
_DELIVERED, _EXEMPT = int(Stage.DELIVERED), int(Stage.EXEMPT)
STEPS_AN_EVENT = 320  # a packet that is cut into pieces writes some for each


@kernel
def note(
    state: State, p: int, now: int, stage: int, place: int, verdict: int, reason: int, rule: int, entry: int, value: int, hi: int, lo: int
) -> None:
    """Write a step, unless this run keeps no journal (no rows)."""
    if state.journal.shape[0] == 0:
        return
    row = state.counts[Count.STEPS, 0]
    state.counts[Count.STEPS, 0] = row + 1
    journal = state.journal
    journal[row, Step.TIME_NS] = now
    journal[row, Step.PACKET] = state.flights[p, Field.INDEX]
    journal[row, Step.STAGE] = stage
    journal[row, Step.PLACE] = place
    journal[row, Step.VERDICT] = verdict
    journal[row, Step.REASON] = reason
    journal[row, Step.RULE] = rule
    journal[row, Step.ENTRY] = entry
    journal[row, Step.VALUE] = value
    journal[row, Step.HI] = hi
    journal[row, Step.LO] = lo


@kernel
def passed(state: State, p: int, now: int, stage: int, place: int, rule: int, entry: int, value: int) -> None:
    """Write a step that let the packet go on."""
    note(state, p, now, stage, place, _ACCEPT, 0, rule, entry, value, 0, 0)


@kernel
def finish(state: State, p: int, now: int, stage: int, place: int, verdict: int, reason: int, rule: int) -> None:
    """End a packet: its last step, its outcome, what it means to those who wait for it; its row is free again."""
    note(state, p, now, stage, place, verdict, reason, rule, 0, 0, 0, 0)
    flights = state.flights
    row, outcomes = flights[p, Field.INDEX] - state.counts[Count.FIRST, 0], state.outcomes
    if flights[p, Field.INDEX] >= FIRST_BORN:
        row, outcomes = flights[p, Field.INDEX] - FIRST_BORN, state.born_outcomes
    outcomes[row, Outcome.VERDICT] = verdict
    outcomes[row, Outcome.REASON] = reason
    outcomes[row, Outcome.STAGE] = stage
    outcomes[row, Outcome.PLACE] = place
    outcomes[row, Outcome.RULE] = rule if verdict != _ACCEPT else flights[p, Flight.RULE]
    outcomes[row, Outcome.TRACKED] = flights[p, Flight.TRACKED]
    outcomes[row, Outcome.TIME_NS] = now
    outcomes[row, Outcome.SOURCE_HI] = flights[p, Field.SOURCE_HI]
    outcomes[row, Outcome.SOURCE_LO] = flights[p, Field.SOURCE_LO]
    outcomes[row, Outcome.DESTINATION_HI] = flights[p, Field.DESTINATION_HI]
    outcomes[row, Outcome.DESTINATION_LO] = flights[p, Field.DESTINATION_LO]
    outcomes[row, Outcome.SOURCE_PORT] = flights[p, Field.SOURCE_PORT]
    outcomes[row, Outcome.DESTINATION_PORT] = flights[p, Field.DESTINATION_PORT]
    outcomes[row, Outcome.TTL_SPENT] = flights[p, Flight.TTL_SPENT]
    outcomes[row, Outcome.SENDER] = flights[p, Flight.SENDER]
    outcomes[row, Outcome.LOST] = flights[p, Flight.LOST]
    outcomes[row, Outcome.IDENTIFIER] = flights[p, Field.IDENTIFIER]
    outcomes[row, Outcome.QUOTED_SOURCE_PORT] = flights[p, Field.QUOTED_SOURCE_PORT]
    outcomes[row, Outcome.QUOTED_DESTINATION_PORT] = flights[p, Field.QUOTED_DESTINATION_PORT]
    outcomes[row, Outcome.CUT] = flights[p, Flight.CUT]
    outcomes[row, Outcome.MOST_SEGMENT] = flights[p, Flight.MOST_SEGMENT]
    if state.hosts[place, 0] != 0 and verdict == _ACCEPT and stage in (_DELIVERED, _EXEMPT):
        state.counts[Count.ARRIVED, 0] = flights[p, Field.INDEX] + 1
    causes.ended(state, p, verdict, now)
    release(state, p)


@kernel
def release(state: State, p: int) -> None:
    """Give a flight's row back."""
    free = state.counts[Count.FREE, 0]
    state.free[free, 0] = p
    state.counts[Count.FREE, 0] = free + 1


@kernel
def sighted(state: State, p: int, now: int, place: int, direction: int, action: int, reason: int, rule: int, target: int) -> None:
    """Note for the flow logs that an interface let a packet through in a direction, or did not; nothing if nobody keeps them."""
    rows = state.sightings
    if rows.shape[0] == 0:
        return
    flights = state.flights
    row = state.counts[Count.SIGHTINGS, 0]
    state.counts[Count.SIGHTINGS, 0] = row + 1
    rows[row, Sighting.TIME_NS] = now
    rows[row, Sighting.PACKET] = flights[p, Field.INDEX]
    rows[row, Sighting.PLACE] = place
    rows[row, Sighting.DIRECTION] = direction
    rows[row, Sighting.ACTION] = action
    rows[row, Sighting.REASON] = reason
    rows[row, Sighting.FAMILY] = flights[p, Field.FAMILY]
    rows[row, Sighting.PROTOCOL] = flights[p, Field.PROTOCOL]
    rows[row, Sighting.SOURCE_HI] = flights[p, Field.SOURCE_HI]
    rows[row, Sighting.SOURCE_LO] = flights[p, Field.SOURCE_LO]
    rows[row, Sighting.DESTINATION_HI] = flights[p, Field.DESTINATION_HI]
    rows[row, Sighting.DESTINATION_LO] = flights[p, Field.DESTINATION_LO]
    rows[row, Sighting.SOURCE_PORT] = flights[p, Field.SOURCE_PORT]
    rows[row, Sighting.DESTINATION_PORT] = flights[p, Field.DESTINATION_PORT]
    rows[row, Sighting.FLAGS] = 1 << (flights[p, Field.FLAGS] & SHOWN)
    rows[row, Sighting.LENGTH] = flights[p, Field.LENGTH]
    rows[row, Sighting.TARGET] = target
    rows[row, Sighting.RULE] = rule
    rows[row, Sighting.PACKETS] = 1
    rows[row, Sighting.LAST_NS] = now


@kernel
def taken_back(state: State, p: int, reason: int) -> None:
    """Turn what the flow logs noted last about a packet into a rejection, for the gateway's public access is blocked (RT-28)."""
    for row in range(state.counts[Count.SIGHTINGS, 0] - 1, -1, -1):
        if state.sightings[row, Sighting.PACKET] == state.flights[p, Field.INDEX]:
            state.sightings[row, Sighting.ACTION] = _DROP
            state.sightings[row, Sighting.REASON] = reason
            return
