"""One TCP connection: segments and times in, segments out (RFC 9293 §3.10).

    receive(segment, now)     segment arrives                 §3.10.7
    write, close, abort       calls of the user               §3.10.3 to §3.10.5
    handle_timer(now)         retransmission, probe of a zero window, delayed acknowledgement, 2 MSL
    flush(now)                the segments that are to be sent now, see `tcp_sender`

Windows are scaled (RFC 7323 §2); every second full segment is acknowledged at once, others within 40 ms (RFC 1122
§4.2.3.2; the figure is Linux's).  A SYN is sent up to 7 times and data up to 16 times, as Linux does: 127 s and some 15
minutes.
"""

from typing import TYPE_CHECKING

from emulator.hosts.base import Socket, earliest
from emulator.hosts.tcp_congestion import Congestion
from emulator.hosts.tcp_receiver import Receiver
from emulator.hosts.tcp_segment import Segment, advanced, distance
from emulator.hosts.tcp_sender import DEFAULT_MSS, SCALE, Sender
from emulator.hosts.tcp_states import CLOSE_SENT, MAY_RECEIVE, MAY_SEND, SYNCHRONIZED, Event, State, after
from emulator.wire.headers import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    from emulator.hosts.services import Service

LEAST_MSS = 88
SYN_RETRIES, DATA_RETRIES = 6, 15
DELAYED_ACK_NS, TIME_WAIT_NS = 40_000_000, 60_000_000_000
REFUSED, RESET, TIMED_OUT, UNREACHABLE = "connection refused", "connection reset by peer", "connection timed out", "no route to host"


class Connection(Sender):
    """One end of a connection.

    Parameters
    ----------
    local, remote : both ends
    initial : our first sequence number
    mss : the largest segment that we take and that the path is thought to carry, bytes of data
    service : who is told what comes in; None leaves it to be read

    Attributes
    ----------
    scratch : a service's own notes on this connection
    error : empty, or why it ended otherwise than by FIN: refused, reset, timed out, no route
    """

    def __init__(self, local: Socket, remote: Socket, initial: int, mss: int, service: "Service | None" = None) -> None:
        super().__init__(local, remote, initial, mss)
        self.service, self.error, self.scratch = service, "", b""
        self._told_end = False

    # Calls of the user.

    def connect(self) -> None:
        """Begin the handshake; `flush` gives the SYN."""
        self._move(Event.CONNECT)

    def listen(self) -> None:
        """Wait for the other side's SYN."""
        self._move(Event.LISTEN)

    def write(self, data: bytes) -> bool:
        """Queue data to be sent; False once our side was closed."""
        if self.fin_queued or not (self.state in MAY_SEND or self.state in (State.SYN_SENT, State.SYN_RECEIVED)):
            return False
        self.outgoing += data
        return True

    def read(self, most: int | None = None) -> bytes:
        """What came in and was not yet read; opens the window again."""
        if self.receiver is None:
            return b""
        before = self.receiver.window
        data = self.receiver.read(most)
        threshold = min(self.capacity // 2, self.own_mss)
        if before < threshold <= self.receiver.window and self.state in MAY_RECEIVE:
            self._acknowledge_now()
        return data

    def close(self) -> None:
        """Send no more: FIN after what is queued.  The other side may go on (half-close)."""
        if self.state in (State.SYN_SENT, State.LISTEN):
            self._move(Event.CLOSE)
        elif self.state in MAY_SEND or self.state == State.SYN_RECEIVED:
            self.fin_queued = True

    def abort(self) -> None:
        """Reset the connection."""
        if self.state in SYNCHRONIZED or self.state == State.SYN_RECEIVED:
            self._pending = [self._segment(self.next, RST | ACK)]
        self._end("")

    @property
    def is_open(self) -> bool:
        """Whether the handshake is done and the connection not over."""
        return self.state in SYNCHRONIZED and self.state != State.TIME_WAIT

    @property
    def peer_closed(self) -> bool:
        """Whether the other side will send no more."""
        return self.receiver is not None and self.receiver.ended

    # Segments.

    def receive(self, segment: Segment, now: int) -> None:
        """Take a segment that belongs to this connection."""
        if self.state == State.LISTEN:
            self._receive_listen(segment)
        elif self.state == State.SYN_SENT:
            self._receive_syn_sent(segment, now)
        elif self.state != State.CLOSED:
            self._receive_synchronized(segment, now)

    def _receive_listen(self, segment: Segment) -> None:
        if segment.flags & (RST | ACK) or not segment.flags & SYN:
            return
        self._open_receiver(segment)
        self._move(Event.SYN)

    def _receive_syn_sent(self, segment: Segment, now: int) -> None:
        acknowledges = bool(segment.flags & ACK)
        if acknowledges and segment.acknowledgement != advanced(self.initial, 1):
            if not segment.flags & RST:
                self._pending.append(Segment(self.local.port, self.remote.port, segment.acknowledgement, 0, RST, 0))
            return
        if segment.flags & RST:
            if acknowledges:
                self._end(REFUSED)
            return
        if not segment.flags & SYN:
            return
        self._open_receiver(segment)
        if acknowledges:
            self._acknowledged(segment, now)
            self._move(Event.SYN_ACK)
            self._established()
            self._acknowledge_now()
        else:  # both sides opened at once
            self._move(Event.SYN)
            self.next = self.una

    def _receive_synchronized(self, segment: Segment, now: int) -> None:
        receiver = self.receiver
        assert receiver is not None
        if self.state == State.SYN_RECEIVED and segment.flags & SYN and not segment.flags & RST:
            self.next = self.una  # our SYN,ACK was lost: send it again
            return
        if not receiver.acceptable(segment.sequence, segment.length):
            if not segment.flags & RST:
                self._acknowledge_now()
                if segment.flags & ACK and receiver.window == 0 and segment.sequence == receiver.next:
                    self._acknowledged(segment, now)  # a closed window refuses data, not acknowledgements
                if self.state == State.TIME_WAIT:
                    self.end_at = now + TIME_WAIT_NS
            return
        if segment.flags & RST:
            if segment.sequence == receiver.next:
                self._end(REFUSED if self.state == State.SYN_RECEIVED else RESET)
            else:
                self._acknowledge_now()  # a challenge: whoever is right will answer it (§3.5.3)
            return
        if segment.flags & SYN:
            self._acknowledge_now()
            return
        if not segment.flags & ACK:
            return
        if self.state == State.SYN_RECEIVED:
            if segment.acknowledgement != advanced(self.initial, 1):
                self._pending.append(Segment(self.local.port, self.remote.port, segment.acknowledgement, 0, RST, 0))
                return
            self._acknowledged(segment, now)
            self._move(Event.ACK_OF_SYN)
            self._established()
        elif distance(segment.acknowledgement, self.highest) > 0:
            self._acknowledge_now()
            return
        else:
            self._acknowledged(segment, now)
        if self.state != State.CLOSED and (segment.payload or segment.flags & FIN):
            self._take(segment, now)

    def _take(self, segment: Segment, now: int) -> None:
        receiver = self.receiver
        assert receiver is not None
        if self.state not in MAY_RECEIVE:
            return
        before, had_hole = receiver.next, receiver.has_hole
        receiver.take(segment.sequence, segment.payload, bool(segment.flags & FIN))
        moved = distance(receiver.next, before)
        self._unacknowledged += moved
        if receiver.ended:
            self._move(Event.FIN)
            if self.state == State.TIME_WAIT:
                self._wait(now)
        at_once = not moved or had_hole or receiver.has_hole or receiver.ended or self._unacknowledged >= 2 * self.mss
        if at_once or receiver.window < 2 * self.mss:
            self._acknowledge_now()
        elif self.acknowledge_at is None:
            self.acknowledge_at = now + DELAYED_ACK_NS
        self._tell()

    def _acknowledged(self, segment: Segment, now: int) -> None:
        """What a segment acknowledges, and the window that it offers (§3.10.7.4, fifth)."""
        size = distance(segment.acknowledgement, self.una)
        if size > 0:
            self._advance(segment.acknowledgement, size, now)
        window = segment.window << (0 if segment.flags & SYN else self.scale)
        out = distance(self.highest, self.una)
        repeated = size == 0 and out > 0 and not segment.payload and not segment.flags & (SYN | FIN) and window == self.window
        if repeated and self.probe_at is None and self.congestion.duplicate(out, self.highest, self.una, self._recovered_to):
            self._resend_first(now)
            self._recovered_to = self.highest
        if size >= 0:
            later = distance(segment.sequence, self.window_at[0])
            if later > 0 or (later == 0 and distance(segment.acknowledgement, self.window_at[1]) >= 0):
                self.window, self.window_at = window, (segment.sequence, segment.acknowledgement)
                if window:
                    self.probe_at, self.probes = None, 0

    def _advance(self, acknowledgement: int, size: int, now: int) -> None:
        if self._timed is not None and distance(acknowledgement, self._timed[0]) > 0:
            self.timer.sample(now - self._timed[1])
            self._timed = None
        data = size - int(self.una == self.initial)  # the SYN takes one number
        fin = self.fin_sent and acknowledgement == self.highest and self.state in CLOSE_SENT
        del self.outgoing[: data - int(fin)]
        self.una = acknowledgement
        if distance(self.next, self.una) < 0:
            self.next = self.una
        self.tries = 0
        hole = self.congestion.acknowledged(size, self.una)
        self.retransmit_at = now + self.timer.timeout_ns if self.una != self.highest else None
        if hole:
            self._resend_first(now)
        if fin:
            self._move(Event.ACK_OF_FIN)
            if self.state == State.TIME_WAIT:
                self._wait(now)
            elif self.state == State.CLOSED:
                self._end("")

    def _open_receiver(self, segment: Segment) -> None:
        self.receiver = Receiver(segment.sequence, self.capacity)
        self.mss = max(min(self.own_mss, segment.mss or DEFAULT_MSS[self.local.address.version]), LEAST_MSS)
        self.congestion = Congestion(self.mss)
        if segment.scale is not None:
            self.scale, self.own_scale = segment.scale, SCALE
        self.window, self.window_at = segment.window, (segment.sequence, self.una)

    def _established(self) -> None:
        self.timer.established(syn_was_lost=self.retransmitted > 0)
        if self.service is not None:
            self.service.opened(self)

    def _tell(self) -> None:
        """Tell the service what came in."""
        if self.service is None or self.receiver is None:
            return
        if self.receiver.unread:
            self.service.received(self, self.receiver.read())
        if self.receiver.ended and not self._told_end:
            self._told_end = True
            self.service.ended(self)

    # Time.

    def get_timer(self) -> int | None:
        """When `handle_timer` is next due, ns."""
        return earliest(self.retransmit_at, self.probe_at, self.acknowledge_at, self.end_at)

    def handle_timer(self, now: int) -> None:
        """Do what is due."""
        if self.end_at is not None and now >= self.end_at:
            self._move(Event.TWO_MSL)
            self._end("")
            return
        if self.acknowledge_at is not None and now >= self.acknowledge_at:
            self._acknowledge_now()
        if self.probe_at is not None and now >= self.probe_at:
            self._probe(now)
        if self.retransmit_at is not None and now >= self.retransmit_at:
            self._time_out(now)

    def _time_out(self, now: int) -> None:
        handshake = self.state in (State.SYN_SENT, State.SYN_RECEIVED)
        if self.tries >= (SYN_RETRIES if handshake else DATA_RETRIES):
            self._end(TIMED_OUT)
            return
        self.tries += 1
        self.timer.back_off()
        self._timed, self.retransmit_at = None, None
        if not handshake:
            self.congestion.timed_out(distance(self.highest, self.una))
            self._recovered_to = self.highest
        self.next = self.una  # everything after it goes again as the window opens (RFC 5681 §3.1)

    def _probe(self, now: int) -> None:
        """One byte into a window of zero, so that its opening cannot be lost (RFC 9293 §3.8.6.1)."""
        self.probes += 1
        if self.probes > DATA_RETRIES:
            self._end(TIMED_OUT)
            return
        self._pending.append(self._segment(self.una, ACK, bytes(self.outgoing[:1])))
        if distance(self.highest, self.una) == 0:
            self.highest = advanced(self.una, 1)
        self.probe_at = now + min(self.timer.timeout_ns << self.probes, 120_000_000_000)

    def path_shrank(self, mss: int) -> None:
        """The path carries less than was thought: send what is out again, in smaller pieces (RFC 1191 §6.5)."""
        if LEAST_MSS <= mss < self.mss:
            self.mss = self.congestion.mss = mss
            self.next, self.retransmit_at, self._timed = self.una, None, None

    def unreachable(self) -> None:
        """A router says that there is no way: the handshake gives up, a connection goes on trying (RFC 5461)."""
        if self.state == State.SYN_SENT:
            self._end(UNREACHABLE)

    def _wait(self, now: int) -> None:
        self.end_at = now + TIME_WAIT_NS
        self.retransmit_at = self.probe_at = None

    def _end(self, error: str) -> None:
        self.state, self.error = after(self.state, Event.END), error
        self.retransmit_at = self.probe_at = self.acknowledge_at = self.end_at = None
        if self.service is not None and not self._told_end:
            self._told_end = True
            self.service.failed(self)
