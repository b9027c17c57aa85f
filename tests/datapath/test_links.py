"""Links by hand arithmetic: one packet after another, each direction apart, and what a fault or a full queue does to them."""

from dataclasses import replace

import numpy as np
import pytest

from emulator.datapath.links import DOWN, LOST, QUEUE_FULL, arrival, link_between
from emulator.engine import Engine
from emulator.model.entities import Fault, Link
from emulator.wire.headers import Field
from tests.base import base

US, MS = 10**3, 10**6
BYTE_NS = 1000  # at 8 Mbit/s


class Lanes:
    """A network's links, which carry one packet at a time of a length, each with an id of its own."""

    def __init__(self, *links, seed=0):
        engine = Engine(base(*links, policy={"seed": seed}), compiled=False)
        self.tables, self.state, self.ids, self.packet = engine.tables, engine.state, engine.ids, 0

    def lane(self, here, there):
        """The lane between two interfaces or gateways."""
        return link_between(self.tables, self.ids.of(here), self.ids.of(there))

    def carry(self, lane, now, length=100):
        """When one more packet arrives at the end of a lane."""
        self.state.flights[0, [Field.INDEX, Field.LENGTH]] = self.packet, length
        self.packet += 1
        return arrival(self.tables, self.state, 0, lane, now)


DECLARED = Link(("app1", "db"), latency_ns=MS), Link(("web", "db"), latency_ns=2 * MS), Link(("igw-a", "web"), latency_ns=3 * MS)


def test_a_lane_for_each_direction_of_each_link():
    """Every declared pair has two lanes of its own; any other pair has none."""
    lanes = Lanes(*DECLARED)
    pairs = [("eni-app1", "eni-db"), ("eni-web", "eni-db"), ("igw-a", "eni-web")]
    seen = [lanes.lane(*ends) for pair in pairs for ends in (pair, pair[::-1])]
    assert sorted(seen) == list(range(6))
    assert [lane >> 1 for lane in seen[::2]] == [lane >> 1 for lane in seen[1::2]]
    assert {lanes.lane(*ends) for ends in (("eni-app1", "eni-web"), ("eni-app1", "igw-a"), ("eni-db", "eni-app2"))} == {-1}
    assert [lanes.carry(lane, 7) for lane in (*seen, -1)] == [7 + MS, 7 + MS, 7 + 2 * MS, 7 + 2 * MS, 7 + 3 * MS, 7 + 3 * MS, 7]


class Wire:
    """One direction of a link as a naive reader has it: what stands in line, and what came last."""

    def __init__(self, link):
        self.link, self.left, self.last = link, 0, 0

    def carry(self, now, length):
        """When a packet arrives that enters now."""
        faults = [fault for fault in self.link.faults if fault.start_ns <= now < fault.end_ns]
        if any(fault.down for fault in faults):
            return DOWN
        if any(fault.loss_ppb for fault in faults):
            return LOST
        if self.link.rate_bps:
            before_it = max(self.left - now, 0)
            if self.link.queue_bytes and before_it > self.link.queue_bytes * BYTE_NS:
                return QUEUE_FULL
            self.left = now + before_it + length * BYTE_NS
        self.last = max(self.last, max(self.left, now) + self.link.latency_ns + sum(fault.latency_ns for fault in faults))
        return self.last


ALL_LOST = 10**9
FAULTS = (
    Fault(2 * MS, 4 * MS, latency_ns=50 * US),
    Fault(3 * MS, 4 * MS, latency_ns=70 * US),
    Fault(6 * MS, 7 * MS, loss_ppb=ALL_LOST),
    Fault(7 * MS, 8 * MS, down=True, loss_ppb=ALL_LOST),
)
PLAIN = Link(("app1", "db"), latency_ns=30 * US)
WIRES = [
    pytest.param(PLAIN, id="latency alone"),
    pytest.param(replace(PLAIN, rate_bps=8_000_000), id="a rate, and as much room as is needed"),
    pytest.param(replace(PLAIN, rate_bps=8_000_000, queue_bytes=300), id="a rate, and room for three packets"),
    pytest.param(replace(PLAIN, faults=FAULTS), id="faults"),
    pytest.param(replace(PLAIN, rate_bps=8_000_000, queue_bytes=500, faults=FAULTS), id="a rate, room and faults"),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("link", WIRES)
def test_arrivals_are_those_of_a_wire(link, seed):
    """Rate, queue, latency and faults by hand arithmetic, packet by packet, in both directions at once."""
    dice, lanes, now = np.random.default_rng(seed), Lanes(*DECLARED[1:], link), 0
    ends = ("eni-app1", "eni-db"), ("eni-db", "eni-app1")
    ways = [(lanes.lane(*pair), Wire(link)) for pair in ends]
    seen = set()
    for _ in range(400):
        now += int(dice.choice([0, 0, 1, 50 * US, 100 * US]))
        lane, wire = ways[dice.integers(2)]
        length = int(dice.choice([40, 100, 300]))
        expected = wire.carry(now, length)
        assert lanes.carry(lane, now, length) == expected
        seen.add(min(expected, 0))
    assert seen == {0} | ({QUEUE_FULL} if link.queue_bytes else set()) | ({DOWN, LOST} if link.faults else set())


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(5 * MS - 1, 5 * MS - 1, id="the nanosecond before it begins"),
        pytest.param(5 * MS, DOWN, id="its first nanosecond"),
        pytest.param(6 * MS - 1, DOWN, id="its last"),
        pytest.param(6 * MS, 6 * MS, id="the nanosecond after"),
    ],
)
def test_a_fault_from_its_first_nanosecond_to_its_last(now, expected):
    """A fault holds from its start until before its end, and of its own link alone."""
    lanes = Lanes(Link(("app1", "db"), faults=(Fault(5 * MS, 6 * MS, down=True),)), Link(("web", "db")))
    assert lanes.carry(lanes.lane("eni-app1", "eni-db"), now) == expected
    assert lanes.carry(lanes.lane("eni-web", "eni-db"), now) == now


@pytest.mark.parametrize(
    ("rate", "length", "takes"),
    [
        (1, 1, 8 * 10**9),
        (10**9, 1500, 12_000),
        (10**6, 1, 8_000),
        (3, 1, 2_666_666_666),
        (10**10, 65_535, 52_428),
        (8 * 10**9, 9_001, 9_001),
    ],
)
def test_a_packet_takes_its_bits_through_the_rate(rate, length, takes):
    """length × 8 / rate, in whole nanoseconds, rounded down."""
    lanes = Lanes(Link(("app1", "db"), rate_bps=rate))
    assert lanes.carry(lanes.lane("eni-app1", "eni-db"), 5, length) == 5 + takes


@pytest.mark.parametrize("room", [1, 300])
@pytest.mark.parametrize("more", [0, 1])
def test_tail_drop_begins_behind_the_last_byte_of_room(room, more):
    """A packet that waits behind exactly as many bytes as there is room for gets in; one byte more, and it is dropped."""
    lanes = Lanes(Link(("app1", "db"), rate_bps=8_000_000, queue_bytes=room))
    lane = lanes.lane("eni-app1", "eni-db")
    lanes.carry(lane, 0, room + more)
    assert lanes.carry(lane, 0, 100) == (QUEUE_FULL if more else (room + 100) * BYTE_NS)
    assert lanes.carry(lane, 10**9, 100) == 10**9 + 100 * BYTE_NS, "what was dropped took no room"


def delays(lanes, lane, packets):
    """How long each of so many packets takes that never meet."""
    return [lanes.carry(lane, number * 10**9) - number * 10**9 for number in range(packets)]


@pytest.mark.parametrize("quality", ["jitter_ns", "reorder_ns"])
def test_what_is_late_is_so_by_anything_up_to_the_bound(quality):
    """Jitter and reordering delay by anything from nothing to the bound, each as likely, each lane and seed on its own."""
    drawn = []
    for seed, ends in ((0, ("eni-app1", "eni-db")), (0, ("eni-db", "eni-app1")), (1, ("eni-app1", "eni-db"))):
        lanes = Lanes(Link(("app1", "db"), **{quality: 10 * MS}), seed=seed)
        drawn.append(delays(lanes, lanes.lane(*ends), 2000))
        assert 0 <= min(drawn[-1]) < MS / 10
        assert 10 * MS - MS / 10 < max(drawn[-1]) <= 10 * MS
        counts, _ = np.histogram(drawn[-1], 10, (0, 10 * MS))
        assert counts.min() > 140
    assert abs(np.corrcoef(drawn) - np.eye(3)).max() < 0.1


@pytest.mark.parametrize(
    ("quality", "values"), [({"jitter_ns": 3}, {0, 1, 2}), ({"reorder_ns": 3}, {0, 1, 2, 3}), ({"reorder_ns": 1}, {0, 1})]
)
def test_the_bound_itself(quality, values):
    """Jitter stays below its bound, reordering reaches it."""
    lanes = Lanes(Link(("app1", "db"), **quality))
    assert set(delays(lanes, lanes.lane("eni-app1", "eni-db"), 200)) == values


def test_only_reordering_overtakes():
    """With jitter nobody overtakes; where reordering is allowed some do, and what is delayed by it delays nobody else."""
    for quality, in_order in (({"jitter_ns": 10 * MS}, True), ({"reorder_ns": 10 * MS}, False)):
        lanes = Lanes(Link(("app1", "db"), **quality))
        lane = lanes.lane("eni-app1", "eni-db")
        arrivals = [lanes.carry(lane, number * MS) for number in range(200)]
        assert (arrivals == sorted(arrivals)) == in_order
        if not in_order:
            assert all(arrived <= number * MS + 10 * MS for number, arrived in enumerate(arrivals))


def test_loss_and_jitter_are_drawn_apart():
    """Which packets are lost says nothing about how late the others are."""
    lanes = Lanes(Link(("app1", "db"), loss_ppb=500_000_000, jitter_ns=10 * MS))
    kept = [delay for delay in delays(lanes, lanes.lane("eni-app1", "eni-db"), 2000) if delay > -MS]
    assert 900 < len(kept) < 1100
    assert 4.5 * MS < np.mean(kept) < 5.5 * MS
