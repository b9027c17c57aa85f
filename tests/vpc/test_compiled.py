"""The stages of gateways, translations and packets that the network makes: one journal, however they are run."""

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from emulator.datapath.loop import Exit
from emulator.datapath.state import Count
from emulator.engine import FOREVER, Engine
from emulator.kernels import available
from emulator.wire.packet import Packet
from tests.base import APP1, EXT, WEB, base

PACKETS = (
    ("eni-app1", IP(src=APP1, dst=EXT) / TCP(sport=40000, dport=443, flags="S")),
    ("eni-app1", IP(src=APP1, dst=EXT) / TCP(sport=40001, dport=443, flags="A")),
    ("eni-app1", IP(src=APP1, dst=EXT, ttl=1) / UDP(sport=40000, dport=33434)),
    ("eni-app1", IP(src=APP1, dst=EXT) / ICMP(id=7)),
    ("eni-web", IP(src=WEB, dst=EXT, id=9) / UDP(sport=1, dport=2) / Raw(b"x" * 8000)),
    ("eni-web", IP(src=WEB, dst=EXT, flags="DF") / UDP(sport=1, dport=2) / Raw(b"x" * 8000)),
    ("ext-ext", IP(src=EXT, dst="198.51.100.20") / TCP(sport=443, dport=5000, flags="S")),
)


def run(compiled, stepwise):
    """The matrices of the state after all packets were sent, a millisecond apart."""
    engine = Engine(base(), compiled=compiled, flow_logs=True)
    for number, (place, packet) in enumerate(PACKETS):
        engine.inject(Packet.of(packet).header, engine.ids.of(place), number * 1_000_000)
    while stepwise and engine.next_time_ns() is not None:
        engine.advance(FOREVER, 1)
    engine.advance()
    # What stands in the queue's and the flights' rows behind the last one in use is left over, and nobody's.
    return [matrix for name, matrix in zip(engine.state._fields, engine.state, strict=True) if name not in ("queue", "flights", "free")]


def test_stepping_changes_nothing():
    """One event at a time gives the same journal, ids of made packets included, as all at once."""
    for one, other in zip(run(False, False), run(False, True), strict=True):
        assert np.array_equal(one, other)


def test_a_limit_counts_events_however_much_room_they_need():
    """So many events and no more happen, though tables grow on the way; what was left of a limit is nobody's afterwards."""
    engine = Engine(base(), compiled=False)
    for number in range(300):
        engine.inject(Packet.of(IP(src=WEB, dst=EXT) / UDP(sport=1000 + number, dport=2)).header, engine.ids.of("eni-web"), number)
    for _ in range(3):
        before, rows = engine.state.counts.copy(), len(engine.state.entries)
        assert engine.advance(limit=90) == Exit.LIMIT
        assert engine.state.counts[Count.LEFT, 0] == 0
        began = int(engine.state.counts[Count.NEXT_ENTRY, 0] - before[Count.NEXT_ENTRY, 0])
        assert began <= 90
    assert len(engine.state.entries) > rows or rows > 64, "the tracking table grew on the way"


@pytest.mark.skipif(not available(), reason="kernels cannot be compiled here")
def test_compiled_and_interpreted_agree():
    """Machine code and interpreter give the same matrices, bit for bit."""
    for one, other in zip(run(False, False), run(True, False), strict=True):
        assert np.array_equal(one, other)
