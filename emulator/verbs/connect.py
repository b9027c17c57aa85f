"""connect: open a TCP connection and talk over it; or ask a UDP port.  Words as of nc -v."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emulator.clock import format_time, parse_duration
from emulator.hosts.base import Send, Socket
from emulator.hosts.host import Host
from emulator.hosts.tcp_connection import REFUSED, RESET, TIMED_OUT, UNREACHABLE, Connection
from emulator.hosts.tcp_states import SYNCHRONIZED, State
from emulator.hosts.udp import UdpSocket
from emulator.model.services import CONSOLE_TYPES, TCP, UDP, Service
from emulator.verbs.program import NAME_NOT_FOUND, Program

if TYPE_CHECKING:
    from emulator.runtime import Runtime

OPEN, NO_ANSWER, NOT_FOUND = "open", "no answer", "name not found"
OUTCOME = {REFUSED: "refused", RESET: "reset", TIMED_OUT: "timed out", UNREACHABLE: "no route", NAME_NOT_FOUND: NOT_FOUND}
_WORDS = {"refused": "Connection refused", "reset": "Connection reset by peer", "timed out": "Connection timed out"}
_WORDS |= {"no route": "No route to host", NO_ANSWER: "no answer"}
_NAMES = {
    22: "ssh",
    25: "smtp",
    53: "domain",
    80: "http",
    443: "https",
    1433: "ms-sql-s",
    3306: "mysql",
    3389: "ms-wbt-server",
    5432: "postgresql",
}


def port_name(protocol: int, port: int) -> str:
    """The name of a port, as /etc/services or the console has it; ``*`` for none."""
    if port in _NAMES:
        return _NAMES[port]
    known = next((name for name, service in CONSOLE_TYPES.items() if service == Service(protocol, (port, port))), "")
    return known.split(" ")[0].lower() or "*"


class Connect(Program):
    """Opens a connection; over when it is open, refused, or has waited ``timeout_ns``."""

    def __init__(self, host: Host, target: str, port: int, *, timeout_ns: int | None = None, version: int | None = None) -> None:
        super().__init__(host, target, version)
        self.port, self.timeout_ns = port, timeout_ns
        self.connection: Connection | None = None
        self.outcome = ""
        self._give_up_ns: int | None = None

    def begin(self, now: int) -> list[Send]:
        """Send the SYN."""
        assert self.destination is not None
        assert self.source is not None
        local = Socket(self.source, self.host.free_port())
        self.connection = self.host.tcp.connect(local, Socket(self.destination, self.port), now)
        self._give_up_ns = None if self.timeout_ns is None else now + self.timeout_ns
        return self.host.tcp.flush(now)

    def look(self, now: int) -> list[Send]:
        """Is it open, or has it failed?"""
        connection = self.connection
        assert connection is not None
        if connection.state in SYNCHRONIZED:
            self.outcome = OPEN
            return self.opened(now)
        if connection.state == State.CLOSED:
            self.outcome = OUTCOME.get(connection.error, NO_ANSWER)
            return self.end(now)
        return []

    def opened(self, now: int) -> list[Send]:
        """The handshake is done: nothing more is asked."""
        return self.end(now)

    def fail(self, trouble: str, now: int) -> list[Send]:
        """The name is not known, or there is no way."""
        self.outcome = OUTCOME.get(trouble, "no route")
        return super().fail(trouble, now)

    def timer(self) -> int | None:
        """The end of patience; the connection's own timer runs beside."""
        return self._give_up_ns

    def due(self, now: int) -> list[Send]:
        """Give up."""
        self.outcome = "timed out"
        if self.connection is not None:
            self.connection.abort()
        return self.host.tcp.flush(now) + self.end(now)


@dataclass
class Channel:
    """A connection in the hands of a person: send, receive, close; time passes while one waits.

    Attributes
    ----------
    outcome : ``open``, ``refused``, ``timed out``, ``no route``, ``name not found``
    elapsed_ns : what the attempt took
    """

    target: str
    address: str
    port: int
    outcome: str
    elapsed_ns: int
    trouble: str = ""
    protocol: str = "tcp"
    runtime: "Runtime | None" = field(default=None, repr=False)
    key: str = ""
    pair: tuple[Socket, Socket] | None = None
    _last: Connection | None = field(default=None, repr=False)

    @property
    def connection(self) -> Connection | None:
        """TCP's side of it, also after the network went back in time; None if there never was one."""
        if self.runtime is not None and self.pair is not None:
            self._last = self.runtime.hosts[self.key].tcp.connections.get(self.pair, self._last)
        return self._last

    @property
    def is_open(self) -> bool:
        """Whether it was opened (or, for udp, answered)."""
        return self.outcome == OPEN

    def __bool__(self) -> bool:
        return self.is_open

    @property
    def state(self) -> str:
        """TCP's state now, in the RFC's word."""
        return self.connection.state.value if self.connection is not None else State.CLOSED.value

    @property
    def error(self) -> str:
        """Why it ended, if not by FIN."""
        return self.connection.error if self.connection is not None else self.trouble

    def send(self, data: bytes | str, wait: str = "1s") -> bool:
        """Write, and let so much time pass; whether everything was acknowledged by then."""
        if self.connection is None or self.runtime is None:
            return False
        accepted = self.connection.write(data.encode() if isinstance(data, str) else data)
        self._act(wait)
        return accepted and not self.connection.outgoing and not self.connection.error

    def receive(self, wait: str = "1s") -> bytes:
        """What has come; if nothing has, so much time passes for it."""
        if self.connection is None or self.runtime is None:
            return b""
        connection = self.connection
        if connection.receiver is not None and not connection.receiver.unread and connection.state != State.CLOSED:
            receiver = connection.receiver
            until = self.runtime.engine.now_ns + parse_duration(wait)
            self.runtime.run(until, lambda: bool(receiver.unread) or receiver.ended or connection.state == State.CLOSED)
        data = connection.read()
        self._act(None)
        return data

    def close(self, wait: str = "1s") -> None:
        """Say that nothing more will be sent (FIN)."""
        if self.connection is not None:
            self.connection.close()
            self._act(wait)

    def abort(self) -> None:
        """Reset."""
        if self.connection is not None:
            self.connection.abort()
            self._act("1ms")

    def _act(self, wait: str | None) -> None:
        assert self.runtime is not None
        runtime = self.runtime
        runtime.act(self.key, runtime.hosts[self.key].flush(runtime.engine.now_ns))
        if wait is not None:
            runtime.run(runtime.engine.now_ns + parse_duration(wait))

    def __str__(self) -> str:
        if self.outcome == NOT_FOUND or not self.address:
            return f'nc: getaddrinfo for host "{self.target}" port {self.port}: {self.trouble}'
        number = TCP if self.protocol == "tcp" else UDP
        if self.is_open:
            return (
                f"Connection to {self.target} ({self.address}) {self.port} port [{self.protocol}/{port_name(number, self.port)}] succeeded!"
            )
        words = _WORDS.get(self.outcome, self.outcome)
        took = f" after {format_time(self.elapsed_ns // 1_000_000 * 1_000_000)}" if self.outcome in ("timed out", NO_ANSWER) else ""
        return f"nc: connect to {self.target} ({self.address}) port {self.port} ({self.protocol}) failed: {words}{took}"

    __repr__ = __str__


class AskUdp(Program):
    """Sends one datagram and waits for an answer or an error."""

    def __init__(self, host: Host, target: str, port: int, data: bytes, *, timeout_ns: int, version: int | None = None) -> None:
        super().__init__(host, target, version)
        self.port, self.data, self.timeout_ns = port, data, timeout_ns
        self.socket: UdpSocket | None = None
        self.answer = b""
        self.outcome = NO_ANSWER

    def begin(self, now: int) -> list[Send]:
        """Send it."""
        assert self.destination is not None
        assert self.source is not None
        self.socket = self.host.bind(self.source)
        return [Send(0, self.host.udp.send(self.socket.local, Socket(self.destination, self.port), self.data))]

    def look(self, now: int) -> list[Send]:
        """Has anything come?"""
        assert self.socket is not None
        if self.socket.received:
            self.outcome, self.answer = OPEN, self.socket.received[0][2]
            return self.end(now)
        if self.socket.errors:
            self.outcome = "refused" if self.socket.errors[0][1].kind == "port unreachable" else "no route"
            return self.end(now)
        return []

    def fail(self, trouble: str, now: int) -> list[Send]:
        """The name is not known, or there is no way."""
        self.outcome = OUTCOME.get(trouble, "no route")
        return super().fail(trouble, now)

    def end(self, now: int) -> list[Send]:
        """Give the port back."""
        if self.socket is not None:
            self.host.udp.sockets.pop(self.socket.local.port, None)
        return super().end(now)

    def timer(self) -> int | None:
        """The end of patience."""
        return self.began_ns + self.timeout_ns

    def due(self, now: int) -> list[Send]:
        """Nothing came."""
        return self.end(now)
