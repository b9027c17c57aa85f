"""TCP's conversations, segment by segment: handshake, refusal, silence, closing, windows (RFC 9293)."""

import itertools

import pytest

from emulator.hosts.tcp_segment import Segment, datagram_with, segment_in, words_of
from emulator.hosts.tcp_states import TRANSITIONS, Event, State, after
from emulator.wire.headers import ACK, FIN, RST, SYN
from emulator.wire.packet import Packet
from tests.hosts.wires import MS, Sink, Wire

SECOND = 1000 * MS


def said(wire: Wire) -> list[str]:
    """What was on the wire: an arrow and the flags, with the bytes of data where there are some."""
    lines = []
    for _, host, datagram, arrives in wire.log:
        segment = segment_in(Packet.parse(datagram))
        size = f" {len(segment.payload)}" if segment.payload else ""
        lines.append(f"{'>' if host is wire.left else '<'} {words_of(segment.flags)}{size}{'' if arrives else ' lost'}")
    return lines


@pytest.fixture
def wire() -> Wire:
    """A clean wire of 10 ms with a sink on port 80 of the right host."""
    wire = Wire()
    wire.right.services[80] = Sink()
    return wire


def test_handshake_data_and_close(wire):
    """Three segments open, one carries the data, three close; both sides end where the RFC says."""
    connection = wire.connect()
    wire.run(stop=lambda: connection.is_open)
    connection.write(b"hello")
    wire.flush(wire.left)
    wire.run(wire.now + SECOND)
    connection.close()
    wire.flush(wire.left)
    wire.run(wire.now + SECOND)
    assert said(wire) == ["> S", "< S.", "> .", "> P. 5", "< .", "> F.", "< F.", "> ."]
    assert connection.state == State.TIME_WAIT
    assert not wire.right.tcp.connections
    wire.run(wire.now + 61 * SECOND)
    assert not wire.left.tcp.connections


def test_closed_port_refuses_at_once(wire):
    """A port where nobody listens answers the SYN with a reset: refused, after one round trip."""
    connection = wire.connect(81)
    wire.run(wire.now + SECOND)
    assert said(wire) == ["> S", "< R."]
    assert (connection.state, connection.error) == (State.CLOSED, "connection refused")


def test_silence_is_asked_seven_times_in_127_seconds():
    """Where nothing comes back, the SYN goes out after 0, 1, 3, 7, 15, 31 and 63 s, and the attempt ends after 127 s."""
    wire = Wire()
    wire.cut = True
    connection = wire.connect()
    wire.run()
    assert [time // SECOND for time, *_ in wire.log] == [0, 1, 3, 7, 15, 31, 63]
    assert (wire.now // SECOND, connection.error) == (127, "connection timed out")


def test_half_close_lets_the_other_side_go_on(wire):
    """After our FIN the other side may still send, and we still read."""
    sink = wire.right.services[80]
    sink.ended = lambda connection: None
    connection = wire.connect()
    wire.run(stop=lambda: connection.is_open)
    connection.close()
    wire.flush(wire.left)
    wire.run(wire.now + SECOND)
    assert connection.state == State.FIN_WAIT_2
    (other,) = wire.right.tcp.connections.values()
    assert other.state == State.CLOSE_WAIT
    other.write(b"still here")
    wire.flush(wire.right)
    wire.run(wire.now + SECOND)
    assert connection.read() == b"still here"
    other.close()
    wire.flush(wire.right)
    wire.run(wire.now + SECOND)
    assert (connection.state, other.state) == (State.TIME_WAIT, State.CLOSED)


def test_both_close_at_once(wire):
    """FINs that cross lead both sides through CLOSING to TIME-WAIT."""
    wire.right.services[80].ended = lambda connection: None
    connection = wire.connect()
    wire.run(stop=lambda: connection.is_open)
    wire.run(wire.now + SECOND)
    (other,) = wire.right.tcp.connections.values()
    for end, host in ((connection, wire.left), (other, wire.right)):
        end.close()
        wire.flush(host)
    assert (connection.state, other.state) == (State.FIN_WAIT_1, State.FIN_WAIT_1)
    wire.run(wire.now + 15 * MS)
    assert (connection.state, other.state) == (State.CLOSING, State.CLOSING)
    wire.run(wire.now + SECOND)
    assert (connection.state, other.state) == (State.TIME_WAIT, State.TIME_WAIT)


def test_a_lost_segment_is_sent_again_with_back_off(wire):
    """Without acknowledgements the same bytes go out again, each time after twice the wait; then they arrive."""
    connection = wire.connect()
    wire.run(stop=lambda: connection.is_open)
    wire.run(wire.now + SECOND)
    wire.cut, began = True, len(wire.log)
    connection.write(b"data")
    wire.flush(wire.left)
    wire.run(wire.now + 2 * SECOND)
    times = [time for time, *_ in wire.log[began:]]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(gaps) >= 2
    assert all(2 * earlier == later for earlier, later in itertools.pairwise(gaps))
    wire.cut = False
    wire.run(wire.now + 5 * SECOND)
    assert bytes(wire.right.services[80].data) == b"data"
    assert not connection.outgoing


def test_a_broken_wire_ends_the_connection(wire):
    """After sixteen tries without an answer the connection is given up."""
    connection = wire.connect()
    wire.run(stop=lambda: connection.is_open)
    wire.cut = True
    connection.write(b"data")
    wire.flush(wire.left)
    began = len(wire.log)
    wire.run()
    assert connection.error == "connection timed out"
    assert len([1 for _, host, *_ in wire.log[began - 1 :] if host is wire.left]) == 16


def test_zero_window_stops_the_sender_and_probes(wire):
    """A reader that does not read closes the window; the sender probes, and goes on when there is room again."""
    wire.right.services.clear()
    wire.right.service_on = lambda port: None
    connection = wire.connect()
    wire.log.clear()
    wire = Wire()
    wire.right.services[80] = Sink()
    connection = wire.connect()
    wire.run(stop=lambda: connection.is_open)
    wire.run(wire.now + SECOND)
    (other,) = wire.right.tcp.connections.values()
    other.service, other.receiver.capacity, other.capacity = None, 4_000, 4_000
    connection.write(bytes(range(256)) * 40)
    wire.flush(wire.left)
    wire.run(wire.now + 30 * SECOND)
    assert connection.window == 0
    assert connection.probes > 2
    assert connection.state == State.ESTABLISHED
    data = b""
    for _ in range(20):
        data += other.read()
        wire.flush(wire.right)
        wire.run(wire.now + 5 * SECOND)
    assert data == bytes(range(256)) * 40


def test_a_reset_ends_the_connection(wire):
    """A reset with the expected number ends it at once; one elsewhere in the window is challenged (§3.5.3)."""
    connection = wire.connect()
    wire.run(stop=lambda: connection.is_open)
    wire.run(wire.now + SECOND)
    expected = connection.receiver.next
    for sequence, ended in ((expected + 1, False), (expected, True)):
        reset = Segment(80, connection.local.port, sequence, 0, RST, 0)
        before = len(wire.log)
        wire.put(wire.left, wire.left.receive(Packet.parse(datagram_with(reset, connection.remote, connection.local)), wire.now))
        assert (connection.state == State.CLOSED) is ended
        assert len(wire.log) - before == (0 if ended else 1)
    assert connection.error == "connection reset by peer"


def test_a_segment_for_nobody_is_reset():
    """A segment without a connection is answered by a reset that its sender must believe (§3.10.7.1)."""
    wire = Wire()
    for flags, expected in ((ACK, (7, 0, RST)), (SYN, (0, 101, RST | ACK)), (FIN | ACK, (7, 0, RST))):
        segment = Segment(1234, 80, 100, 7 if flags & ACK else 0, flags, 1000)
        connection = wire.left.tcp
        assert not connection.connections
        from emulator.hosts.base import Socket
        from tests.hosts.wires import LEFT, RIGHT

        sends = wire.right.receive(Packet.parse(datagram_with(segment, Socket(LEFT, 1234), Socket(RIGHT, 80))), 0)
        answer = segment_in(Packet.parse(sends[0].datagram))
        assert (answer.sequence, answer.acknowledgement, answer.flags) == expected


def test_every_state_can_be_left():
    """From each state some event leads on, and the end leads to CLOSED from all."""
    for state in State:
        assert any(known == state for known, event in TRANSITIONS if event != Event.END)
        assert after(state, Event.END) == State.CLOSED


def test_a_wrong_checksum_is_not_believed(wire):
    """A segment whose checksum is wrong is not looked at."""
    wire.connect()
    _, _, datagram, _ = wire.log[0]
    broken = datagram[:-1] + bytes([datagram[-1] ^ 1])
    assert wire.right.receive(Packet.parse(broken), 0) == []
    assert not wire.right.tcp.connections


def test_a_narrower_path_is_learnt_from_icmp(wire):
    """After "fragmentation needed" what was out goes again in segments that fit."""
    connection = wire.connect()
    wire.run(stop=lambda: connection.is_open)
    wire.cut = True
    connection.write(bytes(5000))
    wire.flush(wire.left)
    from emulator.hosts.icmp import TOO_BIG, error_about
    from tests.hosts.wires import RIGHT

    large = next(datagram for _, _, datagram, _ in wire.log if len(datagram) == 1500)
    wire.cut = False
    error = error_about(Packet.parse(large), RIGHT, TOO_BIG[4], 1000)
    wire.put(wire.left, wire.left.receive(Packet.parse(error), wire.now))
    began = len(wire.log)
    wire.run(wire.now + 5 * SECOND)
    assert bytes(wire.right.services[80].data) == bytes(5000)
    assert max(len(datagram) for _, host, datagram, _ in wire.log[began - 1 :] if host is wire.left) == 1000
