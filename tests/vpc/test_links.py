"""Links: jitter and scheduled faults are data, seeded, the same on every run."""

import pytest

from emulator.engine import Engine
from emulator.model.entities import Fault, Link
from emulator.wire.packet import Packet
from tests.base import APP1, DB, base
from tests.dialogue import Dialogue, udp

MS = 1_000_000


def arrivals(seed=0, packets=40, **quality):
    """When packets sent a millisecond apart arrive at db, in ms; None for what was lost."""
    engine = Engine(base(Link(("app1", "db"), **quality), policy={"seed": seed}), compiled=False)
    for number in range(packets):
        engine.inject(Packet.of(udp(APP1, DB, f"{40000 + number}>53")).header, engine.ids.of("eni-app1"), number * MS)
    engine.advance()
    return [row[7] / MS if row[0] == 1 else None for row in engine.state.outcomes[:packets].tolist()]


def test_jitter_delays_by_a_seeded_hash():
    """Jitter adds up to so much, differs by packet and by seed, and repeats with the seed."""
    late = [arrived - number for number, arrived in enumerate(arrivals(latency_ns=10 * MS, jitter_ns=5 * MS))]
    assert all(10 <= delay <= 15 + 1 for delay in late)
    assert len(set(late)) > 10
    assert arrivals(latency_ns=10 * MS, jitter_ns=5 * MS) == arrivals(latency_ns=10 * MS, jitter_ns=5 * MS)
    assert arrivals(latency_ns=10 * MS, jitter_ns=5 * MS) != arrivals(seed=1, latency_ns=10 * MS, jitter_ns=5 * MS)


def test_jitter_keeps_the_order():
    """A packet never overtakes the one before it, however large the jitter."""
    seen = arrivals(jitter_ns=50 * MS)
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("fault", "inside"),
    [
        pytest.param(Fault(10 * MS, 20 * MS, down=True), None, id="a link that is down loses everything"),
        pytest.param(Fault(10 * MS, 20 * MS, loss_ppb=10**9), None, id="loss on top of the link's own"),
        pytest.param(Fault(10 * MS, 20 * MS, latency_ns=100 * MS), 100, id="delay on top of the link's own"),
    ],
)
def test_faults_hold_while_they_last(fault, inside):
    """A fault acts from its start until before its end, and then the link is as it was."""
    seen = arrivals(packets=200, latency_ns=MS, faults=(fault,))
    assert seen[:10] == [number + 1 for number in range(10)]
    assert seen[15] == (None if inside is None else 15 + 1 + inside)
    assert seen[150] == 151


def test_a_link_that_is_down_says_so():
    """The packet's drop names the link's state."""
    talk = Dialogue(base(Link(("app1", "db"), faults=(Fault(0, MS, down=True),))))
    talk.send(udp(APP1, DB, "1>2")).dropped(code="EMU_LINK_DOWN")
