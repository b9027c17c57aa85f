"""What is written down of a packet: a step a row, its end a row, and what an interface saw of it a row, column by column."""

import numpy as np
import pytest

from emulator.datapath import journal
from emulator.datapath.sightings import Sighting
from emulator.datapath.state import FIRST_BORN, Count, Flight, Flow, Outcome, Step, new_state
from emulator.policy.reasons import Reason, Stage, Verdict
from emulator.wire.headers import ACK, PSH, SYN, Field

NOW, PLACE, FIRST = 10**18, 5, 40
P = 3


def moving(index=FIRST + 2, flow=0):
    """A state with a packet in row P whose columns are all different, and the values of these columns by name."""
    state = new_state(8, 0)._replace(sightings=np.zeros((16, len(Sighting)), dtype=np.int64))
    state.counts[Count.FIRST, 0], state.counts[Count.FREE, 0] = FIRST, 9
    state.flights[P] = 1000 + np.arange(state.flights.shape[1])
    state.flights[P, [Field.INDEX, Field.FLAGS, Flight.FLOW, Flight.ANSWERS]] = index, SYN | ACK | PSH, flow, 0
    carried = {column.name: int(state.flights[P, column]) for column in (*Field, *Flight)}
    return state, carried


def only_row(matrix, row, columns):
    """The one row of a matrix that was written to, by the names of its columns."""
    assert np.flatnonzero(matrix.any(axis=1)).tolist() == [row]
    return {column.name: int(matrix[row, column]) for column in columns}


def test_a_step_says_what_it_was_told():
    """Each word of a step has its column; steps follow one another, and none is written where nobody keeps a journal."""
    state, _ = moving()
    journal.note(state, P, NOW, *range(1, 10))
    journal.passed(state, P, NOW + 1, *range(11, 16))
    assert state.counts[Count.STEPS, 0] == 2
    names = [column.name for column in Step]
    assert dict(zip(names, state.journal[0].tolist(), strict=True)) == dict(zip(names, [NOW, FIRST + 2, *range(1, 10)], strict=True))
    expected = [NOW + 1, FIRST + 2, 11, 12, Verdict.ACCEPT, 0, 13, 14, 15, 0, 0]
    assert dict(zip(names, state.journal[1].tolist(), strict=True)) == dict(zip(names, expected, strict=True))
    quiet = state._replace(journal=state.journal[:0])
    journal.note(quiet, P, NOW, *range(1, 10))
    assert state.counts[Count.STEPS, 0] == 2


ENDS = [
    pytest.param(Verdict.ACCEPT, Stage.DELIVERED, 0, id="delivered"),
    pytest.param(Verdict.DROP, Stage.GROUP_INGRESS, Reason.ENI_SG_RULES_MISMATCH, id="dropped"),
]


@pytest.mark.parametrize(("verdict", "stage", "reason"), ENDS)
@pytest.mark.parametrize(
    "index", [FIRST, FIRST + 2, FIRST_BORN, FIRST_BORN + 7], ids=["the first", "a later one", "the first born", "born"]
)
def test_an_outcome_is_the_packet_as_it_was_at_its_end(index, verdict, stage, reason):
    """Its row has its last step and the header as it was then; its flight's row is free, and nothing else is touched."""
    state, carried = moving(index)
    journal.finish(state, P, NOW, stage, PLACE, verdict, reason, 77)
    written, other = (state.outcomes, state.born_outcomes) if index < FIRST_BORN else (state.born_outcomes, state.outcomes)
    assert not other.any()
    expected = {column.name: carried[column.name] for column in Outcome if column.name in carried}
    expected |= {"VERDICT": verdict, "REASON": reason, "STAGE": stage, "PLACE": PLACE, "TIME_NS": NOW, "HANGS_ON": 0}
    expected["RULE"] = carried["RULE"] if verdict == Verdict.ACCEPT else 77
    assert only_row(written, index - (FIRST if index < FIRST_BORN else FIRST_BORN), Outcome) == expected
    assert state.journal[0].tolist() == [NOW, index, stage, PLACE, verdict, reason, 77, 0, 0, 0, 0]
    assert state.counts[[Count.STEPS, Count.FREE, Count.ARRIVED], 0].tolist() == [1, 10, 0]
    assert state.free[9, 0] == P


@pytest.mark.parametrize(
    ("host", "verdict", "stage", "told"),
    [
        pytest.param(1, Verdict.ACCEPT, Stage.DELIVERED, True, id="delivered to a live host"),
        pytest.param(1, Verdict.ACCEPT, Stage.EXEMPT, True, id="from a service of the fabric to a live host"),
        pytest.param(0, Verdict.ACCEPT, Stage.DELIVERED, False, id="nobody lives there"),
        pytest.param(1, Verdict.DROP, Stage.DELIVERED, False, id="refused at the end"),
        pytest.param(1, Verdict.DROP, Stage.GROUP_INGRESS, False, id="dropped by its groups"),
        pytest.param(1, Verdict.ACCEPT, Stage.GATEWAY, False, id="it only passes"),
    ],
)
def test_a_live_host_is_told_of_what_reaches_it(host, verdict, stage, told):
    """ARRIVED is the packet that a host has to look at, and only what was delivered is one."""
    state, _ = moving()
    state.hosts[PLACE, 0] = host
    state.hosts[PLACE - 1, 0] = 1 - host
    journal.finish(state, P, NOW, stage, PLACE, verdict, 0, 0)
    assert state.counts[Count.ARRIVED, 0] == (FIRST + 3 if told else 0)


def test_the_end_of_a_packet_is_told_to_its_flow():
    """Of what is on its way, one less is."""
    state, _ = moving(flow=2)
    state.flows[1, Flow.OPENER_PENDING] = 3
    journal.finish(state, P, NOW, Stage.DELIVERED, PLACE, Verdict.ACCEPT, 0, 0)
    assert state.flows[1, Flow.OPENER_PENDING] == 2


def test_a_sighting_is_the_packet_as_an_interface_saw_it():
    """Each column of a row of sightings; the flags that no flow log tells of are left out of the set."""
    state, carried = moving()
    state.counts[Count.SIGHTINGS, 0] = 4
    journal.sighted(state, P, NOW, PLACE, 1, Verdict.DROP, 6, 77, 88)
    expected = {column.name: carried[column.name] for column in Sighting if column.name in carried}
    expected |= {"TIME_NS": NOW, "LAST_NS": NOW, "PACKET": FIRST + 2, "PLACE": PLACE, "DIRECTION": 1, "ACTION": Verdict.DROP, "REASON": 6}
    expected |= {"FLAGS": 1 << (SYN | ACK), "TARGET": 88, "RULE": 77, "PACKETS": 1}
    assert only_row(state.sightings, 4, Sighting) == expected
    assert state.counts[Count.SIGHTINGS, 0] == 5
    journal.sighted(state._replace(sightings=state.sightings[:0]), P, NOW, PLACE, 1, Verdict.DROP, 6, 77, 88)
    assert state.counts[Count.SIGHTINGS, 0] == 5


@pytest.mark.parametrize(
    ("packets", "back"),
    [([42, 41, 42, 43], 2), ([42, 41, 43], 0), ([41, 43, 42], 2), ([41], None), ([], None)],
    ids=["the later of two", "the very first", "the last", "it was not seen", "nothing was"],
)
def test_what_was_seen_last_of_a_packet_is_taken_back(packets, back):
    """RT-28: the last row about the packet becomes a rejection, and no other row does."""
    state, _ = moving()
    for row, packet in enumerate(packets):
        state.sightings[row, [Sighting.PACKET, Sighting.ACTION]] = packet, Verdict.ACCEPT
    state.sightings[len(packets) :, Sighting.PACKET] = 42  # beyond those that count
    state.counts[Count.SIGHTINGS, 0] = len(packets)
    expected = state.sightings.copy()
    if back is not None:
        expected[back, [Sighting.ACTION, Sighting.REASON]] = Verdict.DROP, 21
    journal.taken_back(state, P, 21)
    assert state.sightings.tolist() == expected.tolist()
