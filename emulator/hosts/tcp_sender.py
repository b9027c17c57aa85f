"""The sending side of a TCP connection: what may go now, what goes again, and what has been sent (RFC 9293 §3.7, §3.8).

What is sent lies in ``outgoing``, whose first byte has the sequence number ``una``; ``fin`` stands after its last.
Small segments wait for what is out (Nagle, RFC 9293 §3.7.4).
"""

from emulator.hosts.base import Socket
from emulator.hosts.tcp_congestion import Congestion
from emulator.hosts.tcp_receiver import Receiver
from emulator.hosts.tcp_segment import Segment, advanced, distance
from emulator.hosts.tcp_states import CLOSE_SENT, MAY_SEND, Event, State, after
from emulator.hosts.tcp_timer import RetransmissionTimer
from emulator.wire.headers import ACK, FIN, PSH, RST, SYN

CAPACITY, SCALE = 1 << 20, 5
DEFAULT_MSS = {4: 536, 6: 1220}  # RFC 9293 §3.7.1


class Sender:
    """What a connection knows of the segments that it sends.

    Parameters
    ----------
    local, remote, initial, mss : as of the connection
    """

    def __init__(self, local: Socket, remote: Socket, initial: int, mss: int) -> None:
        self.local, self.remote = local, remote
        self.state = State.CLOSED
        self.una = self.next = self.highest = self.initial = initial
        self.own_mss, self.mss = mss, DEFAULT_MSS[local.address.version]
        self.window, self.window_at, self.scale, self.own_scale = 0, (0, 0), 0, 0
        self.outgoing = bytearray()
        self.fin_queued = False
        self.receiver: Receiver | None = None
        self.timer, self.congestion = RetransmissionTimer(), Congestion(self.mss)
        self.capacity, self.no_delay = CAPACITY, False
        self.retransmit_at: int | None = None
        self.probe_at: int | None = None
        self.acknowledge_at: int | None = None
        self.end_at: int | None = None
        self.tries = self.probes = 0
        self.retransmitted = 0
        self._timed: tuple[int, int] | None = None  # sequence number whose acknowledgement is timed, and when it was sent
        self._recovered_to: int | None = None
        self._unacknowledged = 0
        self._pending: list[Segment] = []

    def flush(self, now: int) -> list[Segment]:
        """The segments that are to be sent now."""
        if self.state in (State.SYN_SENT, State.SYN_RECEIVED):
            if self.next == self.initial:
                self._send_syn(now)
        elif self.state in MAY_SEND or self.state in CLOSE_SENT:
            self._send_data(now)
        sent, self._pending = self._pending, []
        carried = {segment.acknowledgement for segment in sent if segment.length and segment.flags & ACK}
        return [segment for segment in sent if segment.length or segment.flags != ACK or segment.acknowledgement not in carried]

    def _send_syn(self, now: int) -> None:
        flags = SYN if self.state == State.SYN_SENT else SYN | ACK
        offers_scale = flags == SYN or self.own_scale > 0
        segment = self._segment(self.initial, flags)._replace(
            mss=self.own_mss, scale=SCALE if offers_scale else None, window=min(self._room(), 0xFFFF)
        )
        self._sent(segment, now)

    def _send_data(self, now: int) -> None:
        while True:
            offset = distance(self.next, self.una)
            unsent = len(self.outgoing) - offset
            if unsent <= 0:
                break
            size = min(self.mss, unsent, min(self.window, self.congestion.window) - offset)
            if size <= 0 or (size < min(self.mss, unsent) and offset):
                break
            if size < self.mss and offset and not self.no_delay and not self.fin_queued:
                break
            last = size == unsent
            fin = last and self.fin_queued
            flags = ACK | (PSH if last else 0) | (FIN if fin else 0)
            data = bytes(self.outgoing[offset : offset + size])
            self._sent(self._segment(self.next, flags, data), now)
            if fin and self.state in MAY_SEND:
                self._move(Event.CLOSE)
        nothing_left = distance(self.next, self.una) == len(self.outgoing)
        if self.fin_queued and nothing_left:
            self._sent(self._segment(self.next, FIN | ACK), now)
            if self.state in MAY_SEND:
                self._move(Event.CLOSE)
        if self.window == 0 and self.outgoing and self.una == self.next and self.probe_at is None:
            self.probe_at, self.retransmit_at = now + self.timer.timeout_ns, None

    def _segment(self, sequence: int, flags: int, data: bytes = b"") -> Segment:
        acknowledgement = self.receiver.next if self.receiver is not None and flags & ACK else 0
        window = min(self._room() >> (0 if flags & SYN else self.own_scale), 0xFFFF) if not flags & RST else 0
        return Segment(self.local.port, self.remote.port, sequence, acknowledgement, flags, window, payload=data)

    def _room(self) -> int:
        return self.receiver.window if self.receiver is not None else self.capacity

    def _sent(self, segment: Segment, now: int) -> None:
        end = advanced(segment.sequence, segment.length)
        if distance(self.highest, segment.sequence) > 0:
            self.retransmitted += 1
            self._timed = None
        elif self._timed is None:
            self._timed = (segment.sequence, now)
        self.next = end if distance(end, self.next) > 0 else self.next
        self.highest = end if distance(end, self.highest) > 0 else self.highest
        if self.retransmit_at is None:
            self.retransmit_at = now + self.timer.timeout_ns
        self._pending.append(segment)
        if segment.flags & ACK:
            self.acknowledge_at, self._unacknowledged = None, 0

    def _resend_first(self, now: int) -> None:
        """Send again what lies at ``una``."""
        if self.una == self.initial:
            self.next = self.initial
            return
        data = bytes(self.outgoing[: self.mss])
        fin = self.fin_sent and len(data) == len(self.outgoing)
        flags = ACK | (FIN if fin else 0) | (PSH if data and len(data) == len(self.outgoing) else 0)
        if data or fin:
            self._sent(self._segment(self.una, flags, data), now)
            self.retransmit_at = now + self.timer.timeout_ns

    def _acknowledge_now(self) -> None:
        """Queue a bare acknowledgement, the latest instead of an earlier one of the same flush."""
        segment = self._segment(self.highest if self.state != State.SYN_SENT else self.next, ACK)
        if self._pending and self._pending[-1] == segment:
            return
        self._pending.append(segment)
        self.acknowledge_at, self._unacknowledged = None, 0

    @property
    def fin_sent(self) -> bool:
        """Whether our FIN has gone out."""
        return self.state in CLOSE_SENT or self.state in (State.FIN_WAIT_2, State.TIME_WAIT)

    def _move(self, event: Event) -> None:
        self.state = after(self.state, event)
