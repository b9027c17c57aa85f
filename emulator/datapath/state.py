"""State: everything that changes while packets move, as integer matrices; a copy of it is a moment to return to."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from emulator.datapath.sightings import Sighting
from emulator.policy.conntrack import Entry, Usage
from emulator.wire.headers import FIELDS, Field, Matrix


class Flight(IntEnum):
    """Columns of ``flights`` after those of `Field`: what a packet on its way carries besides its header.

    SENDER is the id of the interface whose group identity it carries, LOST the same after the identity was lost
    (SG-26); VIA counts the machines that forwarded it; TRACKED and RULE are those of the last group decision; FLOW is
    its row in ``flows`` plus one, 0 if it waits for no cause; ANSWERS is 1 for the side that did not open the flow;
    FROM is the subnet it came from, 0 outside; HELD is when a held fragment gives up; AUTOTRACK is 1 if its path makes
    tracking certain (CT-16).  CAUSE is the row plus one of the flow that it waits for, NEXT the row plus one of the
    packet that waits behind it, or of the next piece of a datagram that was cut.  CAPTURED is 1 for a packet of a
    capture; CUT the bytes of payload that a router left in it, 0 if it is whole; VIA_TARGET the interface of a
    balancer's target that it came from; MOST_SEGMENT to what a transit gateway lowers a SYN's maximum segment size, or 0.
    WAY is the row plus one in ``ways`` that its own way is to fill, 0 once something met it that a way cannot tell.
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
    CAPTURED = FIELDS + 13
    CUT = FIELDS + 14
    VIA_TARGET = FIELDS + 15
    MOST_SEGMENT = FIELDS + 16
    WAY = FIELDS + 17


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

    SENDER and LOST are what group references were held against; CUT and MOST_SEGMENT are those of `Flight`."""

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
    IDENTIFIER = 17
    QUOTED_SOURCE_PORT = 18
    QUOTED_DESTINATION_PORT = 19
    CUT = 20
    MOST_SEGMENT = 21


FIRST_BORN = 1 << 40  # ids of packets that the network itself makes count from here, above every capture's


class BirthKind(IntEnum):
    """Why the network made a packet: a path too narrow, a time to live run out, a mapping forgotten, a datagram cut."""

    TOO_BIG = 1
    TIME_EXCEEDED = 2
    RESET = 3
    PIECE = 4


class Birth(IntEnum):
    """Columns of ``births``, one row a packet that the network made; its id is the row plus `FIRST_BORN`.

    PARENT is the packet that caused it, AT the place that made it, FROM_HI and FROM_LO its source.  VALUE is an error's
    MTU or a piece's length of payload, OFFSET where the piece began in its parent, MORE whether others follow.  The rest
    is the parent's header as it was then.
    """

    PARENT = 0
    KIND = 1
    AT = 2
    TIME_NS = 3
    VALUE = 4
    OFFSET = 5
    MORE = 6
    FROM_HI = 7
    FROM_LO = 8
    SOURCE_HI = 9
    SOURCE_LO = 10
    DESTINATION_HI = 11
    DESTINATION_LO = 12
    SOURCE_PORT = 13
    DESTINATION_PORT = 14
    IDENTIFIER = 15
    TTL_SPENT = 16


class Translation(IntEnum):
    """Columns of ``translations``: one flow through a NAT gateway or a load balancer, IPv4; rows stay where they are.

    IN is the five-tuple as the opener sends it, OUT as it goes on.  PLACE is where the opener's packets are looked up,
    BACK where the answers are.  STATE is as in `conntrack`, with the opener as end A.  NODE is the balancer's node.
    """

    PLACE = 0
    BACK = 1
    PROTOCOL = 2
    IN_SOURCE_LO = 3
    IN_SOURCE_PORT = 4
    IN_DESTINATION_LO = 5
    IN_DESTINATION_PORT = 6
    OUT_SOURCE_LO = 7
    OUT_SOURCE_PORT = 8
    OUT_DESTINATION_LO = 9
    OUT_DESTINATION_PORT = 10
    STATE = 11
    EXPIRES_NS = 12
    NODE = 13


class Allotment(IntEnum):
    """Columns of ``allotments``: how many flows go out from an address of a place towards one destination (RT-32).

    USED is exact until EXACT_UNTIL_NS, when the first flow may run out of time; from then on it is the most that there can be.
    """

    PLACE = 0
    PROTOCOL = 1
    SOURCE_LO = 2
    DESTINATION_LO = 3
    DESTINATION_PORT = 4
    USED = 5
    EXACT_UNTIL_NS = 6


class Count(IntEnum):
    """Rows of ``counts`` (n, 1); the first three are the tracking table's own.

    NEXT is the event beside the heap (see `queue`); NEXT_FLIGHT is its row plus one, 0 if there is none.  FIRST is the
    packet id of the first row of ``outcomes``.  Of SHARES engines (0: this one alone) this is number SHARE.  ARRIVED is the packet
    (index + 1) that a live host has to look at, 0 if none.  LEFT is what was left of a limit when the loop came back for room.
    VERSION counts the edits of the tables, from 1.
    AHEAD is the row of a feed from which `ways` looks ahead next, -1 if it never does.
    """

    LIVE = 0
    NEXT_ENTRY = 1
    SLOT = 2
    QUEUED = 3
    FREE = 4
    STEPS = 5
    FED = 6
    FLOWS = 7
    NOW_NS = 8
    FRAGMENTS = 9
    HELD = 10
    WAITING = 11
    BORN = 12
    TRANSLATIONS = 13
    SIGHTINGS = 14
    ARRIVED = 15
    NEXT_FLIGHT = 16
    NEXT_KIND = 17
    NEXT_PLACE = 18
    FIRST = 19
    SHARE = 20
    SHARES = 21
    LEFT = 22
    VERSION = 23
    AHEAD = 24


class LinkState(IntEnum):
    """Columns of ``links``, two rows a link, one a direction: when the last bit of what was accepted has left, and when the
    last packet arrives, which jitter does not let another one overtake."""

    BUSY_NS = 0
    LAST_NS = 1


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


class Way(IntEnum):
    """Columns of ``ways``, a cache: how a packet came through, by its header as it entered (see `datapath.ways`).

    OUT and IN are what the sender's and the receiver's groups said, 0 if there is no such interface; SLOTS is where their
    entries stood.  The rest is what became of the packet: PLACE has it, GROUPS are its SENDER and LOST, LIMITS its TTL_SPENT and
    length.  KNOWN is the version of the tables for which this holds, below 0 while the packet, of index PLACE, is on its way.
    """

    KEY = 0
    SOURCE_HI = 1
    SOURCE_LO = 2
    DESTINATION_HI = 3
    DESTINATION_LO = 4
    OUT = 5
    IN = 6
    SLOTS = 7
    KNOWN = 8
    PLACE = 9
    GROUPS = 10
    LIMITS = 11
    END_SOURCE_HI = 12
    END_SOURCE_LO = 13
    END_DESTINATION_HI = 14
    END_DESTINATION_LO = 15


HOMES = 32


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
    births: Matrix
    born_outcomes: Matrix
    translations: Matrix
    translation_index: Matrix
    allotments: Matrix
    sightings: Matrix
    counts: Matrix
    ways: Matrix  # a power of two of rows; none where every step is to be seen
    homes: Matrix  # (HOMES, 1): for the next rows of a feed, the row of ``ways`` where each would stand, plus one; 0 nowhere
    shares: Matrix  # (n, 1): the engine to which each row of the feed belongs, where several share a capture
    hosts: Matrix  # (ids, 1): 1 where a live host is attached, so that `advance` comes back when a packet reaches it


MEMOS = ("ways", "homes", "shares")  # what a state can do without between two feeds


def new_state(ids: int, links: int, flights: int = 256, outcomes: int = 64) -> State:
    """An empty state for so many ids and links."""

    def zeros(rows: int, columns: int) -> Matrix:
        return np.zeros((rows, columns), dtype=np.int64)

    counts = zeros(len(Count), 1)
    counts[Count.FREE], counts[Count.VERSION], counts[Count.AHEAD] = flights, 1, -1
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
        journal=zeros(1024, len(Step)),
        outcomes=zeros(outcomes, len(Outcome)),
        births=zeros(256, len(Birth)),
        born_outcomes=zeros(256, len(Outcome)),
        translations=zeros(16, len(Translation)),
        translation_index=zeros(64, 1),
        allotments=zeros(32, len(Allotment)),
        sightings=zeros(0, len(Sighting)),
        counts=counts,
        ways=zeros(0, len(Way)),
        homes=zeros(HOMES, 1),
        shares=zeros(0, 1),
        hosts=zeros(ids, 1),
    )


def doubled(matrix: Matrix) -> Matrix:
    """A matrix with as many rows again; those that nobody has written to yet take no memory."""
    larger = np.zeros((2 * len(matrix), matrix.shape[1]), dtype=np.int64)
    larger[: len(matrix)] = matrix
    return larger
