"""State: everything that changes while packets move, as integer matrices; a copy of it is a moment to return to."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from emulator.policy.conntrack import Entry, Usage
from emulator.wire.headers import FIELDS, Field, Matrix


class Flight(IntEnum):
    """Columns of ``flights`` after those of `Field`: what a packet on its way carries besides its header.

    SENDER is the id of the interface whose group identity it carries, LOST the same after the identity was lost
    (SG-26); VIA counts the machines that forwarded it; TRACKED and RULE are those of the last group decision; FLOW is
    its row in ``flows`` plus one, 0 if it waits for no cause; ANSWERS is 1 for the side that did not open the flow;
    FROM is the subnet it came from, 0 outside; HELD is when a held fragment gives up; AUTOTRACK is 1 if its path makes
    tracking certain (CT-16).  CAUSE is the row plus one of the flow that it waits for, NEXT the row plus one of the
    packet that waits behind it.
    """

    SENDER = FIELDS
    LOST = FIELDS + 1
    VIA = FIELDS + 2
    TRACKED = FIELDS + 3
    RULE = FIELDS + 4
    FLOW = FIELDS + 5
    ANSWERS = FIELDS + 6
    FROM = FIELDS + 7
    HELD = FIELDS + 8
    TTL_SPENT = FIELDS + 9
    AUTOTRACK = FIELDS + 10
    CAUSE = FIELDS + 11
    NEXT = FIELDS + 12


FLIGHT_COLUMNS = len(Field) + len(Flight)


class Event(IntEnum):
    """Columns of ``queue``, a binary heap ordered by (time, kind, packet id)."""

    TIME_NS = 0
    KIND = 1
    PACKET = 2
    FLIGHT = 3
    PLACE = 4


class EventKind(IntEnum):
    """What is due, in the order in which one instant's events run: arrivals before sends."""

    ARRIVE = 0
    TRANSIT = 1
    SEND = 2


class Step(IntEnum):
    """Columns of ``journal``: one row a step.  VALUE, HI and LO say more where a stage has more to say.

    Of a group step with an ENTRY, VALUE is 1 if this packet opened the entry and 0 if the entry stood already.
    """

    TIME_NS = 0
    PACKET = 1
    STAGE = 2
    PLACE = 3
    VERDICT = 4
    REASON = 5
    RULE = 6
    ENTRY = 7
    VALUE = 8
    HI = 9
    LO = 10


class Outcome(IntEnum):
    """Columns of ``outcomes``, one row a packet, by packet id: how it ended, and its header as it was then.

    SENDER and LOST are what group references were held against (see `Flight`)."""

    VERDICT = 0
    REASON = 1
    STAGE = 2
    PLACE = 3
    RULE = 4
    TRACKED = 5
    HANGS_ON = 6
    TIME_NS = 7
    SOURCE_HI = 8
    SOURCE_LO = 9
    DESTINATION_HI = 10
    DESTINATION_LO = 11
    SOURCE_PORT = 12
    DESTINATION_PORT = 13
    TTL_SPENT = 14
    SENDER = 15
    LOST = 16


class Count(IntEnum):
    """Rows of ``counts`` (n, 1); the first two are the tracking table's own."""

    LIVE = 0
    NEXT_ENTRY = 1
    QUEUED = 2
    FREE = 3
    STEPS = 4
    FED = 5
    FLOWS = 6
    NOW_NS = 7
    FRAGMENTS = 8
    HELD = 9
    WAITING = 10


class LinkState(IntEnum):
    """Columns of ``links``, two rows a link, one a direction: when the last bit of what was accepted has left."""

    BUSY_NS = 0


class Fragment(IntEnum):
    """Columns of ``fragments``, an open-addressing table: the verdict of each datagram's first fragment, by filter."""

    KEY = 0
    SOURCE_HI = 1
    SOURCE_LO = 2
    DESTINATION_HI = 3
    DESTINATION_LO = 4
    ID = 5
    DECISION = 6
    RULE = 7
    EXPIRES_NS = 8


class Flow(IntEnum):
    """Columns of ``flows``: one conversation of a capture, for `causes`; rows stay where they are.

    The opener is the end that spoke first.  HANGS is the last failed packet of a side (index + 1, 0 none), PENDING how
    many of its packets are on their way.  SEEN is the opener's address and port as the responder saw them, AT the
    responder's own.  WAITS is the row plus one of the last packet that waits for one on its way, 0 if none does.
    """

    KEY = 0
    A_HI = 1
    A_LO = 2
    B_HI = 3
    B_LO = 4
    STATE = 5
    OPENER_HANGS = 6
    ANSWER_HANGS = 7
    OPENER_PENDING = 8
    ANSWER_PENDING = 9
    SEEN_HI = 10
    SEEN_LO = 11
    SEEN_PORT = 12
    AT_HI = 13
    AT_LO = 14
    WAITS = 15


class State(NamedTuple):
    """All matrices of a run; the kernels change them in place, the engine makes them larger."""

    queue: Matrix
    flights: Matrix
    free: Matrix
    entries: Matrix
    flows: Matrix
    flow_index: Matrix
    fragments: Matrix
    links: Matrix
    usage: Matrix
    journal: Matrix
    outcomes: Matrix
    counts: Matrix


def new_state(ids: int, links: int, flights: int = 64, outcomes: int = 64) -> State:
    """An empty state for so many ids and links."""

    def zeros(rows: int, columns: int) -> Matrix:
        return np.zeros((rows, columns), dtype=np.int64)

    counts = zeros(len(Count), 1)
    counts[Count.FREE] = flights
    return State(
        queue=zeros(2 * flights, len(Event)),
        flights=zeros(flights, FLIGHT_COLUMNS),
        free=np.arange(flights, dtype=np.int64).reshape(flights, 1),
        entries=zeros(64, len(Entry)),
        flows=zeros(32, len(Flow)),
        flow_index=zeros(64, 1),
        fragments=zeros(64, len(Fragment)),
        links=zeros(max(2 * links, 1), len(LinkState)),
        usage=zeros(ids, len(Usage)),
        journal=zeros(256, len(Step)),
        outcomes=zeros(outcomes, len(Outcome)),
        counts=counts,
    )
