"""TCP carries every byte once and in order, whatever the wire does to its segments."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.hosts.tcp_segment import segment_in
from emulator.hosts.tcp_states import State
from emulator.wire.packet import Packet
from tests.hosts.wires import MS, Sink, Wire


def transferred(wire: Wire, data: bytes) -> tuple[Sink, object]:
    """Send data from left to right, close, and wait for the end."""
    sink = Sink()
    wire.right.services[80] = sink
    connection = wire.connect()
    connection.write(data)
    wire.run(stop=lambda: connection.is_open)
    connection.close()
    wire.flush(wire.left)
    wire.run(stop=lambda: connection.state in (State.TIME_WAIT, State.CLOSED))
    return sink, connection


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.05, 0.2]),
    jitter_ms=st.sampled_from([0, 1, 40]),
    repeat=st.sampled_from([0.0, 0.1]),
    size=st.integers(0, 60_000),
)
def test_every_byte_arrives_once_and_in_order(seed, loss, jitter_ms, repeat, size):
    """Loss, delay, reordering and repetition change how long it takes, never what arrives."""
    data = random.Random(seed).randbytes(size)
    wire = Wire(loss=loss, jitter_ns=jitter_ms * MS, repeat=repeat, seed=seed)
    sink, connection = transferred(wire, data)
    assert bytes(sink.data) == data
    assert sink.opened_count == 1
    assert sink.is_over
    assert connection.error == ""


@pytest.mark.parametrize("seed", [1, 2])
def test_one_megabyte_over_a_bad_wire(seed):
    """1 MB over 5 % loss, 20 ms and 10 ms of reordering arrives whole, and is not sent many times over."""
    data = random.Random(seed).randbytes(1_000_000)
    wire = Wire(loss=0.05, delay_ns=20 * MS, jitter_ns=10 * MS, seed=seed)
    sink, connection = transferred(wire, data)
    assert bytes(sink.data) == data
    carried = sum(len(segment_in(Packet.parse(datagram)).payload) for _, host, datagram, _ in wire.log if host is wire.left)
    assert connection.retransmitted > 0
    assert carried < 2 * len(data)


def test_no_segment_is_larger_than_the_smaller_mtu():
    """Both sides keep to the smaller of the two maximum segment sizes."""
    wire = Wire(mtu=1500)
    wire.right.mtu = 600
    transferred(wire, bytes(20_000))
    assert max(len(datagram) for _, _, datagram, _ in wire.log) == 600


def test_without_loss_nothing_is_sent_twice():
    """A clean wire sees no retransmission, and an acknowledgement for every second segment at most."""
    wire = Wire()
    _, connection = transferred(wire, bytes(200_000))
    assert connection.retransmitted == 0
    forward = [
        segment for _, host, datagram, _ in wire.log if host is wire.left and (segment := segment_in(Packet.parse(datagram))).payload
    ]
    back = [1 for _, host, _, _ in wire.log if host is wire.right]
    assert len(back) < len(forward) * 0.6 + 5
