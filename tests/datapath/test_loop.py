"""The event loop: in which order things happen, when it stops and for what, and how a packet of a capture begins."""

import heapq

import numpy as np
import pytest

from emulator.datapath import loop
from emulator.datapath.loop import Exit
from emulator.datapath.sightings import Sighting
from emulator.datapath.state import Count, Event, EventKind, Flight, Outcome, Step, new_state
from emulator.engine import Engine
from emulator.model.entities import Link
from emulator.policy.reasons import Reason, Stage, Verdict
from emulator.wire.headers import FIELDS, Field
from emulator.wire.packet import Packet
from emulator.wire.status import Status
from tests.base import ANYONE, APP1, APP2, DB, EXT, WEB, WEB_PUBLIC, base, group
from tests.dialogue import tcp, udp

MS = 10**6
OPEN = group("open", [("all", ANYONE)])
ENDED = Stage.DELIVERED


def header(packet, index=0, time_ns=0):
    """A packet's header row in a capture."""
    row = Packet.of(packet).header.copy()
    row[[Field.INDEX, Field.TIME_NS]] = index, time_ns
    return row


def happened(engine):
    """Sends and deliveries in the order in which the journal has them: time, packet, which."""
    rows = engine.state.journal[: engine.state.counts[Count.STEPS, 0]]
    return [
        tuple(row) for row in rows[np.isin(rows[:, Step.STAGE], (Stage.SENT, ENDED))][:, [Step.TIME_NS, Step.PACKET, Step.STAGE]].tolist()
    ]


class Expected:
    """What happens in which order: a heap of (time, kind, packet), where a packet takes ``latency`` to arrive."""

    def __init__(self):
        self.heap, self.seen, self.latency = [], [], {}

    def sends(self, time, packet, latency):
        self.latency[packet] = latency
        heapq.heappush(self.heap, (time, EventKind.SEND, packet))

    def until(self, end):
        """Let everything happen up to a time."""
        while self.heap and self.heap[0][0] <= end:
            time, kind, packet = heapq.heappop(self.heap)
            self.seen.append((time, packet, Stage.SENT if kind == EventKind.SEND else ENDED))
            if kind == EventKind.SEND:
                heapq.heappush(self.heap, (time + self.latency[packet], EventKind.ARRIVE, packet))


FAR, NEAR = udp(APP1, DB, "1>2"), udp(APP1, APP2, "1>2")


@pytest.mark.parametrize("seed", range(20))
def test_things_happen_in_the_order_of_time_kind_and_packet(seed):
    """What is queued and what is fed, at the same times often: arrivals before sends, then by the packets' ids."""
    dice, engine, expected = np.random.default_rng(seed), Engine(base(Link(("app1", "db"), latency_ns=2)), compiled=False), Expected()
    app1, ids = engine.ids.of("eni-app1"), dice.permutation(20).tolist()
    engine._make_outcomes(20)  # the capture's packets have the ids below 20, in any order; what is queued has those above
    for _window in range(4):
        # A capture goes on where the one before ended; a row that is late happens now.
        now = engine.now_ns
        for _ in range(int(dice.integers(0, 6))):
            far, at = bool(dice.integers(2)), now + int(dice.integers(0, 4))
            assert engine.inject(header(FAR if far else NEAR), app1, at) == engine.packets - 1
            expected.sends(at, engine.packets - 1, 2 if far else 0)
        rows = sorted((max(now, now + int(dice.integers(-2, 5))), ids.pop(), int(dice.integers(2))) for _ in range(5))
        for time, index, far in rows:
            expected.sends(time, index, 2 * far)
        engine.feed(np.array([header(FAR if far else NEAR, index, time - (time == now)) for time, index, far in rows]))
        expected.until(rows[-1][0])
        assert happened(engine) == expected.seen
    engine.advance()
    expected.until(10**18)
    assert happened(engine) == expected.seen
    assert engine.next_time_ns() is None


@pytest.mark.parametrize("until", range(6))
def test_nothing_happens_after_the_end(until):
    """Up to a time and at it, and no further; what is not yet due stays."""
    engine = Engine(base(), compiled=False)
    for at in (1, 3, 3, 5):
        engine.inject(header(NEAR), engine.ids.of("eni-app1"), at)
    assert engine.advance(until) == Exit.IDLE
    assert {time for time, _, _ in happened(engine)} == {at for at in (1, 3, 5) if at <= until}
    assert engine.next_time_ns() == next((at for at in (1, 3, 5) if at > until), None)
    assert engine.now_ns == until


@pytest.mark.parametrize("limit", range(1, 9))
def test_so_many_events_and_no_more(limit):
    """A packet to a neighbour is two events, its sending and its arrival."""
    engine = Engine(base(), compiled=False)
    for at in range(3):
        engine.inject(header(NEAR), engine.ids.of("eni-app1"), at)
    assert engine.advance(limit=limit) == (Exit.LIMIT if limit <= 6 else Exit.IDLE)
    assert len(happened(engine)) == min(limit, 6)
    assert engine.state.counts[Count.NEXT_FLIGHT, 0] == 0
    assert engine.next_time_ns() == (None if limit >= 6 else limit // 2)
    engine.advance()
    assert len(happened(engine)) == 6


def test_a_limit_holds_over_a_stop_for_room():
    """The loop that comes back for room says how many events it still may run."""
    engine = Engine(base(), compiled=False)
    for at in range(20):
        engine.inject(header(NEAR), engine.ids.of("eni-app1"), at)
    engine.state = engine.state._replace(journal=engine.state.journal[:321])
    feed, stopped = np.zeros((0, FIELDS), dtype=np.int64), engine.copy()
    assert loop.advance(stopped.tables, stopped.state, feed, 10**9, 10, 0) == Exit.JOURNAL
    assert stopped.state.counts[[Count.LEFT, Count.NEXT_FLIGHT], 0].tolist() == [9, 0]
    assert engine.advance(limit=10) == Exit.LIMIT
    assert len(happened(engine)) == 10
    assert engine.state.counts[Count.LEFT, 0] == 0


def test_the_loop_comes_back_with_what_a_host_has_to_look_at():
    """One at a time, at the time of its arrival, whether it was queued, beside the queue or fed."""
    engine = Engine(base(group("g", [("all", "10.0.0.0/8")]), Link(("app1", "db"), latency_ns=5), app2="g", db="g"), compiled=False)
    engine.state.hosts[[engine.ids.of("eni-app2"), engine.ids.of("eni-db")], 0] = 1
    for packet, at in ((NEAR, 1), (FAR, 1), (NEAR, 6), (NEAR, 6)):
        engine.inject(header(packet), engine.ids.of("eni-app1"), at)
    seen = []
    while engine.advance() == Exit.HOST:
        seen.append((engine.now_ns, int(engine.state.counts[Count.ARRIVED, 0]) - 1))
        engine.state.counts[Count.ARRIVED, 0] = 0
    assert seen == [(1, 0), (6, 1), (6, 2), (6, 3)]


def test_what_comes_from_a_service_is_for_the_host_too():
    """A fed packet that ends as it enters stops the loop as well."""
    engine = Engine(base(), compiled=False)
    engine.state.hosts[engine.ids.of("eni-app1"), 0] = 1
    rows = np.array([header(udp("10.0.0.2", APP1, "53>4000"), index, index) for index in range(2)])
    engine._make_outcomes(2)
    for number in range(2):
        assert loop.advance(engine.tables, engine.state, rows, 10, 10, 0) == Exit.HOST
        assert (engine.now_ns, engine.state.counts[Count.ARRIVED, 0]) == (number, number + 1)
        engine.state.counts[Count.ARRIVED, 0] = 0
    assert loop.advance(engine.tables, engine.state, rows, 10, 10, 0) == Exit.IDLE


@pytest.mark.parametrize("shares", [2, 3])
def test_an_engine_of_several_runs_its_share(shares):
    """Of a feed, the packets of its own share alone; the others are passed over."""
    engine = Engine(base(), compiled=False)
    owners = np.random.default_rng(shares).integers(0, shares, (12, 1))
    engine.state = engine.state._replace(shares=owners)
    engine.state.counts[[Count.SHARE, Count.SHARES], 0] = 1, shares
    engine.feed(np.array([header(NEAR, index, index) for index in range(12)]))
    assert {packet for _, packet, _ in happened(engine)} == set(np.flatnonzero(owners[:, 0] == 1).tolist())


ROOM = {  # what must grow: the count, and the most of it with which one more event may run
    Exit.ENTRIES: (Count.LIVE, 32),  # 64 rows, of which five eighths may be in use, 8 of them at once
    Exit.QUEUE: (Count.QUEUED, 512 - 129),
    Exit.JOURNAL: (Count.STEPS, 1024 - 320),
    Exit.FLOWS: (Count.FLOWS, 32 - 2),
    Exit.FRAGMENTS: (Count.FRAGMENTS, 28),  # 64 rows, of which half may be in use, 4 of them at once
    Exit.BIRTHS: (Count.BORN, 256 - 128),
    Exit.TRANSLATIONS: (Count.TRANSLATIONS, 16 - 1),
    Exit.SIGHTINGS: (Count.SIGHTINGS, 200 - 128),
}


@pytest.mark.parametrize(("code", "count", "most"), [(code, *row) for code, row in ROOM.items()], ids=[code.name.lower() for code in ROOM])
def test_room_is_asked_for_in_time(code, count, most):
    """One more event may write so much, and finds the room; one row less, and the loop comes back for more."""
    state = new_state(4, 0)._replace(sightings=np.zeros((200, len(Sighting)), dtype=np.int64))
    for used, expected in ((most, Exit.IDLE), (most + 1, code)):
        state.counts[count, 0] = used
        assert loop._room(state) == expected


def test_room_for_what_waits_and_for_what_is_born():
    """Packets that wait come into the queue all at once, and a datagram that is cut takes a flight for each piece."""
    state = new_state(4, 0)
    state.counts[[Count.QUEUED, Count.WAITING], 0] = 200, 183
    assert loop._room(state) == Exit.IDLE
    state.counts[Count.WAITING, 0] = 184
    assert loop._room(state) == Exit.QUEUE
    state.counts[[Count.WAITING, Count.FREE], 0] = 0, 128
    assert loop._room(state) == Exit.IDLE
    state.counts[Count.FREE, 0] = 127
    assert loop._room(state) == Exit.FLIGHTS


def test_no_room_is_needed_for_what_nobody_keeps():
    """Without a journal and without flow logs, steps and sightings take none."""
    state = new_state(4, 0)
    state = state._replace(journal=state.journal[:0])
    state.counts[[Count.STEPS, Count.SIGHTINGS], 0] = 10**6
    assert loop._room(state) == Exit.IDLE
    one = state._replace(journal=np.zeros((1, len(Step)), dtype=np.int64))
    assert loop._room(one) == Exit.JOURNAL
    one = state._replace(sightings=np.zeros((1, len(Sighting)), dtype=np.int64))
    assert loop._room(one) == Exit.SIGHTINGS


def test_a_packet_of_a_capture_begins_afresh():
    """Its flight is its header and nothing that another packet left there, but that a capture has it."""
    state = new_state(4, 0)
    state.flights[:] = 9
    feed = np.arange(2 * FIELDS, dtype=np.int64).reshape(2, FIELDS)
    p = loop._take(state, feed, 1)
    assert (p, state.counts[Count.FREE, 0]) == (255, 255)
    assert state.flights[p, :FIELDS].tolist() == feed[1].tolist()
    assert {Flight(FIELDS + at).name for at in np.flatnonzero(state.flights[p, FIELDS:])} == {"CAPTURED"}
    assert state.flights[p, Flight.CAPTURED] == 1


def fed(network, *packets, causal=False):
    """The engine after it was fed packets a millisecond apart."""
    engine = Engine(network, compiled=False)
    engine.causal = causal
    engine.feed(np.array([header(packet, index, index * MS) for index, packet in enumerate(packets)]))
    engine.advance()
    return engine


def end(engine, packet):
    """How a packet ended: verdict, reason, stage, place and what it hangs on."""
    row = engine.state.outcomes[packet]
    words = Verdict(int(row[Outcome.VERDICT])).name, Reason(int(row[Outcome.REASON])).name, Stage(int(row[Outcome.STAGE])).name
    return *words, engine.ids.name(row[Outcome.PLACE]), int(row[Outcome.HANGS_ON])


@pytest.mark.parametrize("status", [status for status in Status if status != Status.PARSED], ids=lambda status: status.name)
def test_what_cannot_be_read_is_skipped(status):
    """Its reason is that of its status, its place none."""
    engine = Engine(base(), compiled=False)
    row = header(NEAR)
    row[Field.STATUS] = status
    engine.feed(row[None, :])
    assert end(engine, 0) == ("SKIPPED", f"EMU_{status.name}", "SENT", "", 0)
    assert engine.state.counts[Count.FREE, 0] == len(engine.state.flights)


@pytest.mark.parametrize("causal", [False, True], ids=["open loop", "causal"])
def test_how_packets_of_a_capture_begin(causal):
    """Skipped, answered by the fabric, sent by an interface, by a host outside; with its addresses inside."""
    packets = [udp(EXT, "203.0.113.99", "1>2"), udp("10.0.0.2", WEB, "53>4000"), NEAR, udp(EXT, WEB, "1>2"), udp(WEB_PUBLIC, EXT, "3>4")]
    engine = fed(base(group("open", [("all", ANYONE)]), web="open"), *packets, causal=causal)
    assert [end(engine, packet) for packet in range(5)] == [
        ("SKIPPED", "EMU_NOT_IN_TOPOLOGY", "SENT", "", 0),
        ("ACCEPT", "NONE", "EXEMPT", "eni-web", 0),
        ("ACCEPT", "NONE", "DELIVERED", "eni-app2", 0),
        ("ACCEPT", "NONE", "DELIVERED", "eni-web", 0),
        ("ACCEPT", "NONE", "DELIVERED", "ext-ext", 0),
    ]
    rows = engine.state.journal[: engine.state.counts[Count.STEPS, 0]]
    sent = rows[rows[:, Step.STAGE] == Stage.SENT]
    assert [(row[Step.PACKET], engine.ids.name(row[Step.PLACE]), row[Step.VERDICT]) for row in sent.tolist()] == [
        (0, "", Verdict.SKIPPED),
        (2, "eni-app1", Verdict.ACCEPT),
        (3, "ext-ext", Verdict.ACCEPT),
        (4, "eni-web", Verdict.ACCEPT),
    ]


def test_what_is_held_back_is_so_where_it_would_have_entered():
    """Its end names the place, and the packet that it hangs on."""
    ends = (WEB, WEB_PUBLIC)
    engine = fed(
        base(group("g"), web="g"), udp(EXT, ends[1], "9>9"), tcp(EXT, ends[1], "5>80"), tcp(ends[1], EXT, "80>5", "SA"), causal=True
    )
    assert end(engine, 1)[:2] == ("DROP", "SG_HAS_NO_RULES")
    assert end(engine, 2) == ("UNSENT", "EMU_UNSENT", "SENT", "eni-web", 1)


def test_what_is_held_back_long_after_the_first():
    """It names what it hangs on by its id, also where the outcomes of earlier packets were let go."""
    engine = fed(base(group("g"), web="g"), udp(EXT, WEB_PUBLIC, "9>9"), udp(EXT, WEB_PUBLIC, "8>8"), causal=True)
    engine.forget(2)
    rows = (udp(EXT, WEB_PUBLIC, "5>80"), udp(WEB_PUBLIC, EXT, "80>5"), udp(WEB_PUBLIC, EXT, "80>5"))
    engine.feed(np.array([header(packet, 2 + index, 9 * MS) for index, packet in enumerate(rows)]))
    assert engine.outcomes(2, 3)[:, Outcome.VERDICT].tolist() == [Verdict.DROP, Verdict.UNSENT, Verdict.UNSENT]
    assert engine.outcomes(3, 2)[:, Outcome.HANGS_ON].tolist() == [2, 2]


def test_who_sends():
    """An interface past its groups, a host outside by a gateway, a NAT gateway from its subnet, and what is gone not at all."""
    engine = Engine(base(), compiled=False)
    places = {"eni-app1": NEAR, "ext-ext": udp(EXT, "10.0.9.9", "1>2"), "nat-a": udp("10.0.0.220", APP1, "1>2"), "pcx-ab": NEAR}
    for place, packet in places.items():
        engine.inject(header(packet), engine.ids.of(place), 0)
    engine.advance()
    rows = engine.state.journal[: engine.state.counts[Count.STEPS, 0]]
    stages = [[Stage(int(row[Step.STAGE])).name for row in rows[rows[:, Step.PACKET] == packet]][:3] for packet in range(4)]
    assert stages == [["SENT", "GROUP_EGRESS", "DIRECT"], ["SENT", "GATEWAY"], ["SENT", "ACL_EGRESS", "ROUTE"], ["SENT", "SENT"]]
    assert end(engine, 3) == ("DROP", "BAD_STATE", "SENT", "pcx-ab", 0)


def test_events_of_all_kinds_lead_to_their_stages():
    """What is in transit is at a gateway, what arrives outside is delivered there."""
    engine = fed(base(), udp(WEB, EXT, "1>2"))
    rows = engine.state.journal[: engine.state.counts[Count.STEPS, 0]]
    stages = [Stage(int(stage)).name for stage in rows[:, Step.STAGE]]
    assert stages == ["SENT", "GROUP_EGRESS", "ACL_EGRESS", "ROUTE", "GATEWAY", "DELIVERED"]
    assert end(engine, 0) == ("ACCEPT", "NONE", "DELIVERED", "ext-ext", 0)
    assert not engine.state.queue[: engine.state.counts[Count.QUEUED, 0], Event.TIME_NS].any()
