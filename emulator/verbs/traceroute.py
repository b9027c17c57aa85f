"""traceroute: probes with a rising time to live, three a hop; UDP to port 33434 and up, or ICMP echo.

A VPC's router lowers no time to live (FB-18), so a machine of the same VPC is the first hop; a NAT gateway is one
(FB-19).  With ``fabric.ttl: per_hop`` every router counts.
"""

from dataclasses import dataclass

from emulator.clock import NS_PER_SECOND
from emulator.hosts.base import Send, Socket
from emulator.hosts.host import Host
from emulator.hosts.icmp import Echo
from emulator.hosts.udp import UdpSocket
from emulator.verbs.program import Program

FIRST_PORT, PROBES, MOST_HOPS, WAIT_NS = 33_434, 3, 30, 5 * NS_PER_SECOND


@dataclass(frozen=True)
class Hop:
    """One time to live: who answered, and the round trips in ns; None for no answer in time."""

    ttl: int
    address: str
    times_ns: tuple[int | None, ...]

    def __str__(self) -> str:
        times = "  ".join("*" if time is None else f"{time / 1e6:.3f} ms" for time in self.times_ns)
        return f"{self.ttl:2}  {self.address}  {times}" if self.address else f"{self.ttl:2}  {' '.join('*' for _ in self.times_ns)}"


@dataclass(frozen=True)
class TracerouteResult:
    """The hops, in order; ``reached`` is whether the last one is the target."""

    target: str
    address: str
    hops: tuple[Hop, ...]
    reached: bool
    trouble: str = ""

    def __bool__(self) -> bool:
        return self.reached

    def __str__(self) -> str:
        if self.trouble:
            return f"{self.target}: {self.trouble}"
        head = f"traceroute to {self.target} ({self.address}), {MOST_HOPS} hops max, 60 byte packets"
        return "\n".join([head, *map(str, self.hops)])

    __repr__ = __str__


class Traceroute(Program):
    """One probe at a time, as the answer to each decides the next."""

    def __init__(self, host: Host, target: str, *, icmp: bool = False, hops: int = MOST_HOPS, version: int | None = None) -> None:
        super().__init__(host, target, version)
        self.icmp, self.most = icmp, hops
        self.socket: UdpSocket | None = None
        self.echo: Echo | None = None
        self.reached = False
        self.hops: list[Hop] = []
        self._times: list[int | None] = []
        self._who, self._probe, self._sent_ns = "", 0, 0

    def begin(self, now: int) -> list[Send]:
        """The first probe."""
        assert self.source is not None
        assert self.destination is not None
        if self.icmp:
            self.echo = self.host.icmp.open(self.source, self.destination)
        else:
            self.socket = self.host.bind(self.source)
        return self._send(now)

    def _send(self, now: int) -> list[Send]:
        assert self.destination is not None
        self._probe += 1
        self._sent_ns = now
        ttl = len(self.hops) + 1
        if self.echo is not None:
            return [Send(0, self.echo.request(self._probe, 32, now, ttl=ttl))]
        assert self.socket is not None
        port = FIRST_PORT + self._probe - 1
        return [Send(0, self.host.udp.send(self.socket.local, Socket(self.destination, port), bytes(32), ttl=ttl))]

    def look(self, now: int) -> list[Send]:
        """Has this probe been answered?"""
        answer = self._answer()
        if answer is None:
            return []
        self._who, time_ns = answer[0], answer[1]
        self.reached |= answer[2]
        return self._record(time_ns - self._sent_ns, now)

    def _answer(self) -> tuple[str, int, bool] | None:
        """Who answered the probe, when, and whether it is the target."""
        if self.echo is not None:
            for reply in self.echo.replies:
                if reply.sequence == self._probe:
                    return str(reply.source), reply.time_ns, True
            for time_ns, sequence, error in self.echo.errors:
                if sequence == self._probe:
                    return str(error.reporter), time_ns, error.reporter == self.destination
            return None
        assert self.socket is not None
        port = FIRST_PORT + self._probe - 1
        for time_ns, error in self.socket.errors:
            if error.destination_port == port:
                return str(error.reporter), time_ns, error.kind == "port unreachable"
        for time_ns, sender, _ in self.socket.received:
            if sender.port == port:
                return str(sender.address), time_ns, True
        return None

    def _record(self, time_ns: int | None, now: int) -> list[Send]:
        self._times.append(time_ns)
        if len(self._times) == PROBES:
            self.hops.append(Hop(len(self.hops) + 1, self._who, tuple(self._times)))
            self._times, self._who = [], ""
            if self.reached or len(self.hops) == self.most:
                return self.end(now)
        return self._send(now)

    def end(self, now: int) -> list[Send]:
        """Give port and identifier back."""
        if self.socket is not None:
            self.host.udp.sockets.pop(self.socket.local.port, None)
        if self.echo is not None:
            self.host.icmp.close(self.echo)
        return super().end(now)

    def timer(self) -> int | None:
        """The end of this probe's time."""
        return self._sent_ns + WAIT_NS

    def due(self, now: int) -> list[Send]:
        """A star."""
        return self._record(None, now)

    @property
    def result(self) -> TracerouteResult:
        """What was found."""
        return TracerouteResult(self.target, str(self.destination or ""), tuple(self.hops), self.reached, self.trouble)
