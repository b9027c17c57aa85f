"""Ways, row by row: where one can stand, what it keeps of a packet, and what is fetched ahead of a feed."""

import numpy as np
import pytest

from emulator.datapath import loop, ways
from emulator.datapath.state import HOMES, Count, Flight, Way, new_state
from emulator.engine import Engine
from emulator.policy.reasons import Decision, Verdict
from emulator.policy.tables import EGRESS, INGRESS
from emulator.wire.headers import FIELDS, Field
from emulator.wire.packet import Packet
from tests.base import ANYONE, ANYONE_V6, APP1, APP1_V6, DB, EXT, EXT_V6, WEB, WEB_V6, base, group
from tests.dialogue import error, icmp, ip, other, ping6, tcp, udp

P = 3
OPEN = group("open", [("all", ANYONE), ("all", ANYONE_V6)], [("all", ANYONE), ("all", ANYONE_V6)])


def moving(packet, rows=64, *more):
    """An engine whose ways have so many rows, with a packet in row P of its flights."""
    engine = Engine(base(OPEN, *more, web="open"), compiled=False)
    engine.state = engine.state._replace(ways=np.zeros((rows, len(Way)), dtype=np.int64))
    engine.state.flights[P, :FIELDS] = Packet.of(packet).header
    engine.state.flights[P, Field.INDEX] = 77
    return engine


def begun(packet, rows=64, *more):
    """The same when its way has begun; and the way's row."""
    engine = moving(packet, rows, *more)
    ways.begin(engine.state, P)
    return engine, int(engine.state.flights[P, Flight.WAY]) - 1


SAME = udp(APP1, DB, "1>2")
OTHERS = {
    "another source port": udp(APP1, DB, "3>2"),
    "another destination port": udp(APP1, DB, "1>3"),
    "the other direction": udp(DB, APP1, "2>1"),
    "another source": udp(WEB, DB, "1>2"),
    "another destination": udp(APP1, WEB, "1>2"),
    "another protocol": tcp(APP1, DB, "1>2"),
}
OTHERS_V6 = {
    "another source of IPv6": udp("2001:db8:b:1::11", EXT_V6, "1>2"),
    "another destination of IPv6": udp(APP1_V6, "2001:db8:fffe::12", "1>2"),
    "another tail of the source": udp("2001:db8:a:1::12", EXT_V6, "1>2"),
    "another tail of the destination": udp(APP1_V6, "2001:db8:ffff::13", "1>2"),
}
CASES = [pytest.param(SAME, packet, id=name) for name, packet in OTHERS.items()]
CASES += [pytest.param(udp(APP1_V6, EXT_V6, "1>2"), packet, id=name) for name, packet in OTHERS_V6.items()]
CASES += [
    pytest.param(icmp(APP1, DB, 8, ident=7), icmp(APP1, DB, 8, ident=8), id="another ping"),
    pytest.param(icmp(APP1, DB, 8), icmp(APP1, DB, 0), id="a reply"),
    pytest.param(icmp(APP1, DB, 8), icmp(APP1, DB, 8, code=1), id="another code"),
    pytest.param(ping6(APP1_V6, EXT_V6), ping6(APP1_V6, EXT_V6, reply=True), id="a reply of IPv6"),
]


@pytest.mark.parametrize(("packet", "another"), CASES)
def test_a_way_is_of_one_header(packet, another):
    """With one row for all, a way is that of packets with its header and of no other."""
    engine, row = begun(packet, rows=1)
    assert row == 0
    assert ways.is_of(engine.state, 0, P)
    engine.state.flights[P, :FIELDS] = Packet.of(another).header
    assert not ways.is_of(engine.state, 0, P)


WAYLESS = {
    "a later fragment": ip(APP1, DB, frag=1) / b"12345678",
    "the first fragment": ip(APP1, DB, flags="MF") / bytes(udp(APP1, DB, "1>2"))[20:],
    "an icmp error": error(APP1, DB, SAME),
}


@pytest.mark.parametrize("packet", WAYLESS.values(), ids=WAYLESS)
def test_what_has_no_way(packet):
    """Fragments and errors begin none and know none."""
    engine, row = begun(packet)
    assert row == -1
    assert not engine.state.ways.any()
    assert ways.known(engine.state, P, -1) == -1


def test_no_ways_are_kept_where_there_is_no_room():
    """Without rows nothing begins, and nothing is known."""
    engine, row = begun(SAME, rows=0)
    assert (row, ways.known(engine.state, P, -1)) == (-1, -1)


@pytest.mark.parametrize(
    "packet", [SAME, tcp(APP1, DB, "1>2"), icmp(APP1, DB, 8), other(APP1, DB, 47), udp(APP1_V6, EXT_V6, "1>2")], ids=repr
)
def test_a_way_begins_with_the_header_and_is_not_yet_known(packet):
    """What stood there is gone, all of the header is there, and the packet's index says whose way it is."""
    engine = moving(packet)
    engine.state.ways[:] = 9
    engine.state.counts[Count.VERSION, 0] = 5
    ways.begin(engine.state, P)
    row = engine.state.flights[P, Flight.WAY] - 1
    way, header = engine.state.ways[row], engine.state.flights[P]
    for column in ("SOURCE_HI", "SOURCE_LO", "DESTINATION_HI", "DESTINATION_LO"):
        assert way[Way[column]] == header[Field[column]]
    assert way[[Way.OUT, Way.IN, Way.SLOTS, Way.KNOWN, Way.PLACE]].tolist() == [0, 0, 0, -5, 77]
    assert ways.known(engine.state, P, -1) == -1
    engine.state.ways[row, Way.KNOWN] = 5
    assert ways.known(engine.state, P, -1) == ways.known(engine.state, P, int(row)) == row
    assert ways.known(engine.state, P, (int(row) + 1) % 64) == -1
    engine.state.counts[Count.VERSION, 0] = 6
    assert ways.known(engine.state, P, -1) == -1


def test_homes_are_spread_over_all_rows():
    """Flows that differ in a port alone stand all over the cache."""
    engine = moving(SAME)
    homes = []
    for port in range(3200):
        engine.state.flights[P, Field.SOURCE_PORT] = port
        homes.append(ways._home(engine.state.ways, engine.state.flights, P, ways._key(engine.state.flights, P)))
    counts = np.bincount(homes, minlength=64)
    assert (len(counts), counts.min() > 20) == (64, True)


ENI, RULE, ENTRY, SLOT = 700, 4321, 99, 55


@pytest.mark.parametrize("direction", [EGRESS, INGRESS], ids=["out", "in"])
def test_what_the_groups_said(direction):
    """Interface and rule of each side in its column, and where the entry stands; one side leaves the other alone."""
    engine, row = begun(SAME)
    engine.state.counts[Count.SLOT, 0] = SLOT
    way = engine.state.ways[row]
    ways.judged(engine.tables, engine.state, P, ENI, direction, Decision(Verdict.ACCEPT, 0, RULE, ENTRY))
    packed = way[Way.OUT if direction == EGRESS else Way.IN]
    assert (packed >> ways.PLACE_SHIFT, packed & ways.RULE_MASK, packed & ways.UNTRACKED) == (ENI, RULE, 0)
    assert way[Way.IN if direction == EGRESS else Way.OUT] == 0
    assert (way[Way.SLOTS] & ways.SLOT_MASK, way[Way.SLOTS] >> ways.SLOT_SHIFT) == ((SLOT, 0) if direction == EGRESS else (0, SLOT))
    engine.state.counts[Count.SLOT, 0] = SLOT + 1
    ways.judged(engine.tables, engine.state, P, ENI + 1, 1 - direction, Decision(Verdict.ACCEPT, 0, RULE + 1, ENTRY))
    sides = [(way[side] >> ways.PLACE_SHIFT, way[side] & ways.RULE_MASK) for side in (Way.OUT, Way.IN)]
    slots = [way[Way.SLOTS] & ways.SLOT_MASK, way[Way.SLOTS] >> ways.SLOT_SHIFT]
    expected = [(ENI, RULE), (ENI + 1, RULE + 1)], [SLOT, SLOT + 1]
    assert (sides, slots) == (expected if direction == EGRESS else (expected[0][::-1], expected[1][::-1]))


@pytest.mark.parametrize("more", [(), (group("more"),)], ids=["", "with another id"])
@pytest.mark.parametrize(
    ("interface", "kept"), [pytest.param("eni-web", True, id="never tracked there"), pytest.param("eni-app1", False, id="tracked there")]
)
def test_a_flow_without_an_entry(interface, kept, more):
    """It has a way where its groups let everything through both ways, so that it is never tracked (CT-9), else none."""
    engine, row = begun(udp(WEB, EXT, "1>2"), 64, *more)
    engine.state.counts[Count.SLOT, 0] = SLOT
    ways.judged(engine.tables, engine.state, P, engine.ids.of(interface), EGRESS, Decision(Verdict.ACCEPT, 0, RULE, 0))
    assert engine.state.flights[P, Flight.WAY] == (row + 1 if kept else 0)
    packed = int(engine.state.ways[row, Way.OUT])
    expected = engine.ids.of(interface) << ways.PLACE_SHIFT | ways.UNTRACKED | RULE if kept else 0
    assert (packed, engine.state.ways[row, Way.SLOTS]) == (expected, 0)
    assert packed >> ways.PLACE_SHIFT == (engine.ids.of(interface) if kept else 0)


def test_what_is_dropped_or_lost_writes_nothing():
    """A decision against it is none of its way's, and after `lose` nothing is."""
    for lost, verdict in ((False, Verdict.DROP), (True, Verdict.ACCEPT)):
        engine, row = begun(SAME)
        before = engine.state.ways.copy()
        if lost:
            ways.lose(engine.state, P)
            assert engine.state.flights[P, Flight.WAY] == 0
        ways.judged(engine.tables, engine.state, P, ENI, EGRESS, Decision(verdict, 0, RULE, ENTRY))
        if lost:
            ways.learn(engine.tables, engine.state, P, ENI)
        assert engine.state.ways.tolist() == before.tolist()
        assert row >= 0


@pytest.mark.parametrize("as_they_are", [False, True])
@pytest.mark.parametrize(("packet", "any_length"), [(SAME, True), (tcp(APP1, DB, "1>2"), True), (icmp(APP1, DB, 8), False)])
def test_what_is_learned_at_the_end(packet, any_length, as_they_are):
    """The place, the group identity, the hops spent, the addresses then, and up to which length others may follow."""
    engine, row = begun(packet)
    engine.state.counts[Count.VERSION, 0] = 1
    tables = engine.tables._replace(settings=engine.tables.settings._replace(mtu_of_captures=int(as_they_are)))
    flight = engine.state.flights[P]
    flight[[Flight.SENDER, Flight.LOST, Flight.TTL_SPENT]] = 5, 6, 2
    flight[[Field.SOURCE_HI, Field.SOURCE_LO, Field.DESTINATION_HI, Field.DESTINATION_LO, Field.LENGTH]] = 11, 12, 13, 14, 123
    ways.learn(tables, engine.state, P, ENI)
    way = engine.state.ways[row]
    assert way[[Way.KNOWN, Way.PLACE]].tolist() == [1, ENI]
    assert (way[Way.GROUPS] >> ways.LOST_SHIFT, way[Way.GROUPS] & 0xFFFFFFFF) == (6, 5)
    longest = way[Way.LIMITS] >> ways.LENGTH_SHIFT
    assert way[Way.LIMITS] & ways.SPENT_MASK == 2
    assert longest > 65_535 + 40 if any_length and not as_they_are else longest == 123
    assert way[[Way.END_SOURCE_HI, Way.END_SOURCE_LO, Way.END_DESTINATION_HI, Way.END_DESTINATION_LO]].tolist() == [11, 12, 13, 14]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param(Way.KNOWN, -2, id="the tables are others by now"),
        pytest.param(Way.PLACE, 78, id="another packet's way stands there now"),
        pytest.param(Way.KNOWN, 1, id="it is known already"),
    ],
)
def test_what_is_not_learned(column, value):
    """A row that is no longer this packet's is left alone."""
    engine, row = begun(SAME)
    engine.state.ways[row, column] = value
    before = engine.state.ways.copy()
    ways.learn(engine.tables, engine.state, P, ENI)
    assert engine.state.ways.tolist() == before.tolist()


KINDS = [udp(APP1, DB, "1>2"), tcp(APP1, DB, "1>2"), icmp(APP1, DB, 8), error(APP1, DB, SAME), udp(APP1_V6, WEB_V6, "1>2")]


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 32, 33, 100, 400])
def test_all_that_a_feed_needs_is_fetched_before_it(rows, monkeypatch):
    """Each packet's way a block ahead, and the entries that its way names when its own block begins; its home is the right one."""
    state = new_state(4, 0)._replace(ways=np.zeros((64, len(Way)), dtype=np.int64))
    dice = np.random.default_rng(rows)
    feed = np.array([Packet.of(KINDS[kind]).header for kind in dice.integers(0, len(KINDS), rows)])
    feed[:, Field.SOURCE_PORT] += np.arange(rows)
    state.ways[:, Way.SLOTS] = (np.arange(64) + 100 << ways.SLOT_SHIFT) | np.arange(64)
    fetched = []
    monkeypatch.setattr(ways, "prefetch", lambda matrix, row, column: fetched.append((matrix is state.ways, int(row), int(column))))
    state.counts[Count.AHEAD, 0] = 0
    for row in range(rows):
        if 0 <= state.counts[Count.AHEAD, 0] <= row:  # as the loop asks
            ways.look_ahead(state, feed, row)
        key = ways._key(feed, row)
        home = ways._home(state.ways, feed, row, key) if key else -1
        assert row < state.counts[Count.AHEAD, 0]
        assert state.homes[row % HOMES, 0] - 1 == home
        if home >= 0:
            assert {(True, home, Way.KEY), (True, home, Way.KNOWN), (False, home, 0), (False, home + 100, 0)} <= set(fetched)
    waited = sum(bool(ways._key(feed, row)) for row in range(rows))
    assert len(fetched) == 4 * waited, "and nothing twice"


@pytest.mark.parametrize("causal", [False, True], ids=["open loop", "causal"])
def test_a_feed_with_its_homes_known_ahead_runs_the_same(causal, monkeypatch):
    """The interpreted loop that looks ahead, as the compiled one does, leaves the same, and hands each packet its own home."""
    dice = np.random.default_rng(1)
    packets = [udp(APP1, DB, "1>2"), udp(DB, APP1, "2>1"), icmp(APP1, DB, 8), udp(WEB, EXT, "1>2"), error(DB, APP1, SAME, 3, 3)]
    feed = np.array([Packet.of(packets[kind]).header for kind in dice.integers(0, 5, 90)])
    feed[:, Field.TIME_NS], feed[:, Field.INDEX] = np.arange(90) * 10**6, np.arange(90)
    handed = []
    real = loop._enter

    def enter(tables, state, p, now, causal, home):
        handed.append((int(state.flights[p, Field.INDEX]), int(home)))
        return real(tables, state, p, now, causal, home)

    monkeypatch.setattr(loop, "_enter", enter)
    outcomes = []
    for ahead in (False, True):
        engine = Engine(base(OPEN, web="open"), compiled=False, journal=False)
        engine.causal = causal
        if ahead:
            monkeypatch.setattr(Engine, "is_compiled", True)
        engine.feed(feed[:41])
        engine.feed(feed[41:])
        outcomes.append(engine.outcomes(0, 90).tolist())
        if not ahead:
            assert {home for _, home in handed} == {-1}
            handed.clear()
    assert outcomes[0] == outcomes[1]
    table = np.zeros((len(engine.state.ways), 1), dtype=np.int64)
    keys = [ways._key(feed, row) for row in range(90)]
    assert handed == [(row, int(ways._home(table, feed, row, key)) if key else -1) for row, key in enumerate(keys)]
