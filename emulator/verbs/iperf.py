"""iperf: send many bytes over one connection and measure; looks like iperf3."""

from dataclasses import dataclass

from emulator.clock import NS_PER_SECOND
from emulator.hosts.base import Send
from emulator.hosts.host import Host
from emulator.hosts.services import IPERF_PORT
from emulator.hosts.tcp_connection import TIMED_OUT
from emulator.hosts.tcp_states import State
from emulator.verbs.connect import OPEN, Connect

CHUNK = 1 << 20


@dataclass(frozen=True)
class Interval:
    """One second of a transfer: from, to (ns), bytes acknowledged, segments sent again."""

    start_ns: int
    end_ns: int
    bytes: int
    retransmitted: int

    def row(self, began_ns: int, word: str = "") -> str:
        """As iperf3 writes it."""
        seconds = max((self.end_ns - self.start_ns) / NS_PER_SECOND, 1e-9)
        first, last = (self.start_ns - began_ns) / NS_PER_SECOND, (self.end_ns - began_ns) / NS_PER_SECOND
        span = f"{first:6.2f}-{last:<6.2f} sec"
        return f"[  5] {span}  {_size(self.bytes):>12}  {_rate(8 * self.bytes / seconds):>15}  {self.retransmitted:5}  {word}".rstrip()


def _size(count: int) -> str:
    return f"{count / (1 << 20):.3g} MBytes" if count >= 1 << 20 else f"{count / (1 << 10):.3g} KBytes"


def _rate(bits: float) -> str:
    return f"{bits / 1e9:.3g} Gbits/sec" if bits >= 1e9 else f"{bits / 1e6:.3g} Mbits/sec" if bits >= 1e6 else f"{bits / 1e3:.3g} Kbits/sec"


@dataclass(frozen=True)
class IperfResult:
    """What was measured.

    Attributes
    ----------
    bytes : acknowledged by the other side
    retransmitted : segments sent again
    rate_bps : bits a second, over all of it
    error : why it did not finish; empty if it did
    """

    target: str
    port: int
    bytes: int
    elapsed_ns: int
    retransmitted: int
    intervals: tuple[Interval, ...]
    local: str = ""
    remote: str = ""
    error: str = ""

    @property
    def rate_bps(self) -> float:
        """Bits a second."""
        return 8 * self.bytes * NS_PER_SECOND / self.elapsed_ns if self.elapsed_ns else 0.0

    def __bool__(self) -> bool:
        return not self.error

    def __str__(self) -> str:
        if not self.intervals:
            return f"iperf3: error - unable to connect to server: {self.error}"
        began = self.intervals[0].start_ns
        lines = [f"Connecting to host {self.target}, port {self.port}", f"[  5] local {self.local} connected to {self.remote}"]
        lines += ["[ ID] Interval             Transfer          Bitrate        Retr"]
        lines += [interval.row(began) for interval in self.intervals]
        whole = Interval(began, began + self.elapsed_ns, self.bytes, self.retransmitted)
        lines += ["- " * 25, whole.row(began, "sender")]
        return "\n".join(lines + ([f"iperf3: error - {self.error}"] if self.error else []))

    __repr__ = __str__


class Iperf(Connect):
    """Writes ``size`` bytes and waits until they are acknowledged."""

    def __init__(self, host: Host, target: str, *, size: int, port: int = IPERF_PORT, version: int | None = None) -> None:
        super().__init__(host, target, port, version=version)
        self.size = size
        self.intervals: list[Interval] = []
        self.opened_ns: int | None = None
        self._written = self._last_bytes = self._last_retransmitted = 0
        self._last_ns = 0

    def opened(self, now: int) -> list[Send]:
        """Keep the connection filled; end when all is acknowledged."""
        connection = self.connection
        assert connection is not None
        if self.opened_ns is None:
            self.opened_ns = self._last_ns = now
        while self._written < self.size and len(connection.outgoing) < CHUNK:
            piece = min(CHUNK, self.size - self._written)
            connection.write(bytes(piece))
            self._written += piece
        if self._written == self.size and not connection.outgoing:
            self._interval(now)
            connection.close()
            return self.host.tcp.flush(now) + self.end(now)
        return self.host.tcp.flush(now)

    def _interval(self, now: int) -> None:
        assert self.connection is not None
        done = self._written - len(self.connection.outgoing)
        again = self.connection.retransmitted
        if now > self._last_ns or not self.intervals:
            self.intervals.append(Interval(self._last_ns, now, done - self._last_bytes, again - self._last_retransmitted))
        self._last_ns, self._last_bytes, self._last_retransmitted = now, done, again

    def look(self, now: int) -> list[Send]:
        """As for a connection; one that breaks ends the measurement."""
        assert self.connection is not None
        if self.opened_ns is not None and self.connection.state == State.CLOSED:
            self._interval(now)
            return self.end(now)
        return super().look(now)

    def timer(self) -> int | None:
        """The end of the second."""
        return None if self.opened_ns is None else self._last_ns + NS_PER_SECOND

    def due(self, now: int) -> list[Send]:
        """One more second is over."""
        self._interval(now)
        return []

    @property
    def result(self) -> IperfResult:
        """What was measured."""
        connection = self.connection
        if connection is None or self.opened_ns is None:
            words = {"refused": "Connection refused", "timed out": "Connection timed out"}
            return IperfResult(self.target, self.port, 0, 0, 0, (), error=self.trouble or words.get(self.outcome, self.outcome))
        error = "" if self.outcome == OPEN and not connection.error else connection.error or TIMED_OUT
        done = self._written - len(connection.outgoing)
        ends = (str(connection.local), str(connection.remote))
        took = self.ended_ns - self.opened_ns
        return IperfResult(self.target, self.port, done, took, connection.retransmitted, tuple(self.intervals), *ends, error)
