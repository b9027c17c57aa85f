"""ping: echo requests at an interval, and what came back; looks like iputils'."""

from dataclasses import dataclass
from math import sqrt

from emulator.clock import NS_PER_SECOND
from emulator.hosts.base import Send
from emulator.hosts.host import Host
from emulator.hosts.icmp import Echo, EchoReply, IcmpError
from emulator.verbs.program import Program

LINGER_NS = 10 * NS_PER_SECOND  # how long the last answers are waited for, as iputils does
_ERRORS = {"time exceeded": "Time to live exceeded", "port unreachable": "Destination Port Unreachable"}


@dataclass(frozen=True)
class PingResult:
    """What ping found.

    Attributes
    ----------
    transmitted, received : packets
    times_ns : round trip of each answer, in the order of sequence numbers
    replies, errors : what came back
    trouble : why nothing was sent; empty if something was
    """

    target: str
    address: str
    size: int
    transmitted: int
    replies: tuple[tuple[int, EchoReply], ...]
    errors: tuple[tuple[int, IcmpError], ...]
    elapsed_ns: int
    trouble: str = ""

    @property
    def received(self) -> int:
        """Answers that came."""
        return len(self.replies)

    @property
    def times_ns(self) -> tuple[int, ...]:
        """Round trips in ns."""
        return tuple(time for time, _ in self.replies)

    @property
    def loss(self) -> float:
        """Share of requests without an answer, 0 to 1."""
        return 1 - self.received / self.transmitted if self.transmitted else 1.0

    @property
    def reachable(self) -> bool:
        """Whether any answer came."""
        return self.received > 0

    def __bool__(self) -> bool:
        return self.reachable

    def __str__(self) -> str:
        if self.trouble:
            return f"ping: {self.target}: {self.trouble}"
        lines = [f"PING {self.target} ({self.address}) {self.size}({self.size + 28}) bytes of data."]
        for time, reply in self.replies:
            lines.append(
                f"{reply.length} bytes from {reply.source}: icmp_seq={reply.sequence} ttl={reply.ttl} time={_milliseconds(time)} ms"
            )
        for sequence, error in self.errors:
            words = (
                f"Frag needed and DF set (mtu = {error.mtu})"
                if error.kind == "too big"
                else _ERRORS.get(error.kind, "Destination Host Unreachable")
            )
            lines.append(f"From {error.reporter} icmp_seq={sequence} {words}")
        failed = f", +{len(self.errors)} errors" if self.errors else ""
        lines += ["", f"--- {self.target} ping statistics ---"]
        share = f"{100 * self.loss:.6g}% packet loss"
        elapsed = f"time {self.elapsed_ns // 1_000_000}ms"
        lines.append(f"{self.transmitted} packets transmitted, {self.received} received{failed}, {share}, {elapsed}")
        if self.replies:
            times = [time / 1e6 for time in self.times_ns]
            mean = sum(times) / len(times)
            deviation = sqrt(max(sum(time * time for time in times) / len(times) - mean * mean, 0))
            lines.append(f"rtt min/avg/max/mdev = {min(times):.3f}/{mean:.3f}/{max(times):.3f}/{deviation:.3f} ms")
        return "\n".join(lines)

    __repr__ = __str__


def _milliseconds(time_ns: int) -> str:
    value = time_ns / 1e6
    return f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


class Ping(Program):
    """Sends ``count`` requests, one each ``interval_ns``."""

    def __init__(
        self,
        host: Host,
        target: str,
        *,
        count: int = 4,
        interval_ns: int = NS_PER_SECOND,
        size: int = 56,
        ttl: int = 64,
        dont_fragment: bool = False,
        linger_ns: int = LINGER_NS,
        version: int | None = None,
    ) -> None:
        super().__init__(host, target, version)
        self.count, self.interval_ns, self.size, self.ttl = count, interval_ns, size, ttl
        self.dont_fragment, self.linger_ns = dont_fragment, linger_ns
        self.echo: Echo | None = None
        self.sequence = 0
        self.too_long = 0
        self._next_ns: int | None = None
        self._last_ns = 0

    def begin(self, now: int) -> list[Send]:
        """The first request."""
        assert self.destination is not None
        assert self.source is not None
        self.echo = self.host.icmp.open(self.source, self.destination)
        return self._request(now)

    def _request(self, now: int) -> list[Send]:
        assert self.echo is not None
        assert self.destination is not None
        self.sequence += 1
        self._last_ns = now
        self._next_ns = now + (self.interval_ns if self.sequence < self.count else self.linger_ns)
        datagram = self.echo.request(self.sequence, self.size, now, ttl=self.ttl, dont_fragment=self.dont_fragment)
        if self.dont_fragment and len(datagram) > self.host.mtu_to(self.destination):
            self.too_long += 1
            return self.look(now)
        return [Send(0, datagram)]

    def look(self, now: int) -> list[Send]:
        """Is everything answered?"""
        assert self.echo is not None
        if self.sequence == self.count and len(self.echo.replies) + len(self.echo.errors) + self.too_long >= self.count:
            self.host.icmp.close(self.echo)
            return self.end(now)
        return []

    def timer(self) -> int | None:
        """The next request, or the end of waiting."""
        return self._next_ns

    def due(self, now: int) -> list[Send]:
        """The next request; or nothing more will come."""
        if self.sequence < self.count:
            return self._request(now)
        assert self.echo is not None
        self.host.icmp.close(self.echo)
        return self.end(now)

    @property
    def result(self) -> PingResult:
        """What was found."""
        if self.echo is None:
            return PingResult(self.target, "", self.size, 0, (), (), 0, self.trouble)
        replies = []
        for reply in self.echo.replies:
            began = self.echo.sent_ns.get(reply.sequence, reply.time_ns)
            replies.append((reply.time_ns - began, reply))
        errors = tuple((sequence, error) for _, sequence, error in self.echo.errors)
        trouble = ""
        if self.too_long:
            trouble = f"local error: message too long, mtu={self.host.mtu_to(self.echo.destination)}"
            trouble = "" if replies or errors else trouble
        elapsed = self._last_ns - min(self.echo.sent_ns.values(), default=0)
        return PingResult(self.target, str(self.destination), self.size, self.sequence, tuple(replies), errors, elapsed, trouble)
