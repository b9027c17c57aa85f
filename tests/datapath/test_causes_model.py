"""What waits for what, against a naive reader of the table in `causes`: conversations as objects, packets in lists."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from emulator.datapath import causes, queue
from emulator.datapath.causes import SEND, WAIT
from emulator.datapath.state import Count, Event, EventKind, Flight, Flow, Outcome, new_state
from emulator.policy.reasons import Verdict
from emulator.wire.headers import ACK, FIELDS, FIN, ICMP, ICMPV6, PSH, RST, SCTP, SYN, TCP, UDP, Field

OPENER, ANSWERER = "opener", "answerer"
A, B, C = (0, 0xFFFF0A000001), (0, 0xFFFF0A000002), (0, 0xFFFF0A000003)
A6, B6, C6 = (7, 1), (8, 1), (9, 1)
KINDS = [  # protocol, two ends, two numbers: ports, or identifier and sequence; each differs from a neighbour in one thing
    (TCP, A, B, 1, 2),
    (TCP, A, B, 2, 1),
    (TCP, A, B, 1, 3),
    (TCP, A, C, 1, 2),
    (UDP, A, B, 1, 2),
    (UDP, B, A, 2, 2),
    (ICMP, A, B, 1, 2),
    (ICMP, A, B, 1, 3),
    (ICMP, A, B, 2, 1),
    (47, A, B, 0, 0),
    (SCTP, A, B, 1, 2),
    (TCP, A6, B6, 1, 2),
    (TCP, A6, C6, 1, 2),
    (ICMPV6, A6, B6, 1, 2),
]
SEGMENTS = [SYN, SYN | ACK, ACK, PSH | ACK, FIN | ACK, RST, 0]


@dataclass
class Talk:
    """A conversation as it is known so far."""

    kind: tuple
    opener: int | None = None
    handshake: bool = False
    over: bool = False
    got: set = field(default_factory=set)
    blocked: dict = field(default_factory=lambda: {OPENER: None, ANSWERER: None})
    moving: dict = field(default_factory=lambda: {OPENER: 0, ANSWERER: 0})
    waiting: list = field(default_factory=list)
    seen: Any = None  # source and its number as the answerer saw them, and the answerer's own address

    def open(self, side, flags):
        """Somebody speaks first, or anew after the end."""
        self.opener, self.handshake, self.over = side, flags & (SYN | ACK) == SYN, False
        self.got, self.blocked = set(), {OPENER: None, ANSWERER: None}

    def role(self, side):
        """Whether a side opened it."""
        return OPENER if side == self.opener else ANSWERER


@dataclass
class Speech:
    """A packet: of a side of a conversation, or an error about one."""

    index: int
    talk: Talk
    side: int
    flags: int = 0
    is_error: bool = False
    numbers: tuple = ()
    role: str = ""
    root: int | None = None


def needs(talk, cause, what, index):
    """`SEND` if what is needed of a side was delivered, else what holds a packet back."""
    if what in talk.got:
        return SEND
    moving, blocked = talk.moving[cause], talk.blocked[cause]
    if cause == ANSWERER and not moving and blocked is None:  # it said nothing, so look at what it was asked
        moving, blocked = talk.moving[OPENER], talk.blocked[OPENER]
    return hangs(talk, cause, moving, blocked, index)


def hangs(talk, cause, moving, blocked, index):
    """`WAIT` while anything of a side may still be the cause, `SEND` if none of it failed, or what did."""
    if moving or any(other.role == cause and other.index < index for other in talk.waiting):
        return WAIT
    return SEND if blocked is None else blocked


def judged(packet):
    """What the table in `causes` says about a packet now."""
    talk, index = packet.talk, packet.index
    if packet.is_error:
        if talk.opener is None:
            return SEND
        if talk.role(packet.side) == OPENER:
            return needs(talk, OPENER, "any", index)
        return hangs(talk, ANSWERER, talk.moving[ANSWERER], talk.blocked[ANSWERER], index)
    is_syn = packet.flags & (SYN | ACK | RST) == SYN
    if talk.opener is None or (is_syn and talk.over):
        talk.open(packet.side, packet.flags)
    packet.role = talk.role(packet.side)
    if packet.role == OPENER:
        return needs(talk, ANSWERER, "syn-ack", index) if talk.handshake and not is_syn else SEND
    if not talk.handshake:
        return needs(talk, OPENER, "any", index)
    first = needs(talk, OPENER, "syn", index)
    return first if first != SEND or packet.flags & (SYN | RST) else needs(talk, OPENER, "ack", index)


class Conversations:
    """Conversations at random, told to the kernels and to the model."""

    def __init__(self, seed):
        self.dice = np.random.default_rng(seed)
        self.state = new_state(4, 0, flights=1024, outcomes=1024)
        self.first = 5
        self.state.counts[Count.FIRST, 0] = self.first
        chosen = self.dice.permutation(len(KINDS))[:5]
        self.talks = [Talk(KINDS[at]) for at in chosen]
        self.moving, self.index, self.now, self.sent, self.held = [], self.first, 0, 0, 0

    def row(self, packet):
        """Where its flight is; no row is like another."""
        return (packet.index - self.first + 1000) % 1024

    def header(self, packet):
        """Its header as the capture has it."""
        protocol, one, other, *_ = packet.talk.kind
        low, high = packet.numbers
        row = np.zeros(FIELDS, dtype=np.int64)
        ends, numbers = ((one, other), (low, high)) if packet.side == 0 else ((other, one), (high, low))
        query = protocol in (ICMP, ICMPV6)
        if query:
            numbers = low, high
        row[[Field.FAMILY, Field.PROTOCOL, Field.INDEX, Field.FLAGS]] = 4 if one[0] == 0 else 6, protocol, packet.index, packet.flags
        columns = Field.SOURCE_HI, Field.SOURCE_LO, Field.DESTINATION_HI, Field.DESTINATION_LO
        ports = (Field.IDENTIFIER, Field.SEQUENCE) if query else (Field.SOURCE_PORT, Field.DESTINATION_PORT)
        if packet.is_error:
            quoted = Field.QUOTED_SOURCE_HI, Field.QUOTED_SOURCE_LO, Field.QUOTED_DESTINATION_HI, Field.QUOTED_DESTINATION_LO
            row[[*quoted, Field.QUOTED_SOURCE_PORT, Field.QUOTED_DESTINATION_PORT]] = *ends[0], *ends[1], *numbers
            row[[Field.QUOTED_PROTOCOL, Field.PROTOCOL, Field.TYPE]] = (protocol, ICMP, 3) if one[0] == 0 else (protocol, ICMPV6, 1)
            ends = ends[1], ends[0]
            row[Field.FLAGS] = 0
        else:
            row[list(ports)] = numbers
        row[list(columns)] = *ends[0], *ends[1]
        if query and not packet.is_error:
            types = (8, 0) if protocol == ICMP else (128, 129)
            row[Field.TYPE] = types[packet.side]
        return row

    def speak(self):
        """The next packet of the capture comes to the place where it would be sent."""
        talk, side = self.talks[self.dice.integers(len(self.talks))], int(self.dice.integers(2))
        packet = Speech(self.index, talk, side, is_error=bool(self.dice.random() < 0.15))
        packet.numbers = talk.kind[3:]
        if talk.kind[0] == SCTP:  # its ports say nothing: all between two hosts is one conversation
            packet.numbers = tuple(int(port) for port in self.dice.integers(1, 9, 2))
        if talk.kind[0] == TCP and not packet.is_error:
            packet.flags = SEGMENTS[self.dice.integers(len(SEGMENTS))]
        self.index += 1
        self.state.flights[self.row(packet)] = 0
        self.state.flights[self.row(packet), :FIELDS] = self.header(packet)
        self.ask(packet)

    def ask(self, packet):
        """A packet goes, waits, or is held back, as the model says; its header is as before but where the answerer's own view counts."""
        p, expected = self.row(packet), judged(packet)
        assert causes.blocked_by(self.state, p) == expected
        assert self.state.flights[p, :FIELDS].tolist() == self.as_sent(packet, expected == SEND)
        if expected == WAIT:
            causes.wait(self.state, p)
            packet.talk.waiting.append(packet)
        elif expected == SEND:
            causes.began(self.state, p)
            if not packet.is_error:
                packet.talk.moving[packet.role] += 1
            self.moving.append(packet)
            self.sent += 1
        else:
            packet.root = expected
            self.state.outcomes[packet.index - self.first, Outcome.HANGS_ON] = expected
            causes.ended(self.state, p, Verdict.UNSENT, self.now)
            if not packet.is_error:
                packet.talk.blocked[packet.role] = expected
            self.held += 1
        assert self.state.counts[Count.WAITING, 0] == sum(len(talk.waiting) for talk in self.talks)

    def as_sent(self, packet, goes):
        """The header with which a packet is sent: an answer goes to whom the answerer saw, and an error about what it saw does."""
        row, talk = self.header(packet), packet.talk
        if goes and "any" in talk.got:
            (hi, lo), number, at = talk.seen
            query = talk.kind[0] in (ICMP, ICMPV6)
            if packet.is_error and talk.role(packet.side) == OPENER:
                row[[Field.DESTINATION_HI, Field.DESTINATION_LO, Field.QUOTED_SOURCE_HI, Field.QUOTED_SOURCE_LO]] = hi, lo, hi, lo
                row[Field.QUOTED_SOURCE_PORT] = row[Field.QUOTED_SOURCE_PORT] if talk.kind[0] == SCTP else number
            elif not packet.is_error and packet.role == ANSWERER:
                row[[Field.SOURCE_HI, Field.SOURCE_LO, Field.DESTINATION_HI, Field.DESTINATION_LO]] = *at, hi, lo
                column = Field.IDENTIFIER if query else Field.DESTINATION_PORT
                row[column] = row[column] if talk.kind[0] == SCTP else number
        return row.tolist()

    def end(self):
        """Some packet on its way ends, translated or not; whoever waited for it looks again, in the order of the capture."""
        packet = self.moving.pop(self.dice.integers(len(self.moving)))
        p, talk, delivered = self.row(packet), packet.talk, self.dice.random() < 0.7
        row = self.state.flights[p]
        if self.dice.random() < 0.5:
            row[[Field.SOURCE_HI, Field.SOURCE_LO, Field.SOURCE_PORT, Field.DESTINATION_HI, Field.DESTINATION_LO]] += self.dice.integers(
                9, 99, 5
            )
            row[Field.IDENTIFIER] += 5
        self.now += 1
        causes.ended(self.state, p, Verdict.ACCEPT if delivered else Verdict.DROP, self.now)
        if packet.is_error:
            return
        talk.moving[packet.role] -= 1
        if not delivered:
            talk.blocked[packet.role] = packet.index
        else:
            self.delivered(packet, row)
        waiting, talk.waiting = sorted(talk.waiting, key=lambda other: other.index), []
        due = []
        while self.state.counts[Count.QUEUED, 0]:
            due.append(self.state.queue[0].tolist())
            queue.pop(self.state)
        expected = [[self.now, EventKind.SEND, other.index, self.row(other), 0] for other in waiting]
        assert due == expected
        for other in waiting:
            self.ask(other)

    def delivered(self, packet, row):
        """What a delivered packet makes possible."""
        talk, flags = packet.talk, packet.flags
        talk.blocked[packet.role] = None
        talk.over = talk.over or bool(flags & (RST | FIN))
        if packet.role == ANSWERER:
            talk.got |= {"syn-ack"} if flags & SYN else set()
            return
        talk.got |= {"any", "syn" if flags & SYN else "ack" if flags & ACK else "any"}
        number = int(row[Field.IDENTIFIER if talk.kind[0] in (ICMP, ICMPV6) else Field.SOURCE_PORT])
        addresses = [int(row[column]) for column in range(Field.SOURCE_HI, Field.SOURCE_PORT)]
        talk.seen = tuple(addresses[:2]), number, tuple(addresses[2:])


@pytest.mark.parametrize("seed", range(70))
def test_what_waits_for_what(seed):
    """Packets of conversations in any order, ending in any order: each goes, waits or hangs on the packet that the model names."""
    talks = Conversations(seed)
    for _ in range(200):
        if talks.moving and talks.dice.random() < 0.5:
            talks.end()
        else:
            talks.speak()
    while talks.moving:
        talks.end()
    assert talks.state.counts[Count.WAITING, 0] == 0
    assert talks.sent + talks.held == talks.index - talks.first
    assert talks.sent > 30
    used = talks.state.counts[Count.FLOWS, 0]
    assert used == sum(talk.opener is not None for talk in talks.talks)
    assert not talks.state.flows[:used, [Flow.OPENER_PENDING, Flow.ANSWER_PENDING]].any()


STRANGERS = {
    "a later fragment": {"PROTOCOL": UDP, "FRAGMENT_OFFSET": 8},
    "neighbour discovery": {"PROTOCOL": ICMPV6, "FAMILY": 6, "TYPE": 135},
    "an error that quotes nothing": {"PROTOCOL": ICMP, "TYPE": 3},
    "an error about what nobody sent": {"PROTOCOL": ICMP, "TYPE": 3, "QUOTED_PROTOCOL": UDP},
}


@pytest.mark.parametrize("columns", STRANGERS.values(), ids=STRANGERS)
def test_what_belongs_to_no_conversation_goes(columns):
    """It opens none, waits for none, and its end is told to none."""
    state = new_state(4, 0)
    state.flights[3, [Field[name] for name in ("FAMILY", "SOURCE_LO", "DESTINATION_LO")]] = 4, A[1], B[1]
    for name, value in columns.items():
        state.flights[3, Field[name]] = value
    assert causes.blocked_by(state, 3) == SEND
    causes.began(state, 3)
    causes.ended(state, 3, Verdict.DROP, 1)
    assert state.counts[Count.FLOWS, 0] == 0
    assert not state.flows.any()
    assert state.flights[3, [Flight.FLOW, Flight.CAUSE, Flight.ANSWERS]].tolist() == [0, 0, 0]
    assert not state.queue[:, Event.TIME_NS].any()
