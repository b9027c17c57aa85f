"""scan: which tcp ports are open, closed or filtered; looks like nmap -sT.

open       the handshake was done
closed     a reset came: the packet arrived, and nobody listens
filtered   nothing came: something on the way dropped it
"""

from dataclasses import dataclass

from emulator.clock import NS_PER_SECOND
from emulator.hosts.base import Send, Socket
from emulator.hosts.host import Host
from emulator.hosts.tcp_connection import REFUSED, Connection
from emulator.hosts.tcp_states import SYNCHRONIZED, State
from emulator.model.services import TCP
from emulator.verbs.connect import port_name
from emulator.verbs.program import Program

PORTS = (21, 22, 23, 25, 53, 80, 110, 143, 443, 445, 1433, 1521, 2049, 3306, 3389, 5432, 5900, 6379, 8080, 8443)
WAIT_NS = 2 * NS_PER_SECOND  # long enough for one more SYN
SHOWN = 8  # states with more ports than that are only counted, as nmap does


@dataclass(frozen=True)
class ScanResult:
    """The state of each port: ``open``, ``closed`` or ``filtered``."""

    target: str
    address: str
    states: dict[int, str]
    trouble: str = ""

    def ports(self, state: str) -> list[int]:
        """The ports in a state."""
        return [port for port, found in self.states.items() if found == state]

    @property
    def open(self) -> list[int]:
        """Open ports."""
        return self.ports("open")

    @property
    def closed(self) -> list[int]:
        """Ports where nobody listens."""
        return self.ports("closed")

    @property
    def filtered(self) -> list[int]:
        """Ports from which nothing came."""
        return self.ports("filtered")

    def __bool__(self) -> bool:
        return bool(self.open)

    def __str__(self) -> str:
        if self.trouble:
            return f'Failed to resolve "{self.target}".'
        lines = [f"Nmap scan report for {self.target} ({self.address})"]
        words = {"filtered": "no-response", "closed": "conn-refused"}
        hidden = [state for state in words if len(self.ports(state)) > SHOWN]
        lines += [f"Not shown: {len(self.ports(state))} {state} tcp ports ({words[state]})" for state in hidden]
        rows = [(f"{port}/tcp", state, port_name(TCP, port)) for port, state in sorted(self.states.items()) if state not in hidden]
        if rows:
            lines += [f"{one:<9} {two:<9} {three}".rstrip() for one, two, three in [("PORT", "STATE", "SERVICE"), *rows]]
        return "\n".join(lines)

    __repr__ = __str__


class Scan(Program):
    """One connection to each port, all at once."""

    def __init__(self, host: Host, target: str, ports: tuple[int, ...] = PORTS, *, version: int | None = None) -> None:
        super().__init__(host, target, version)
        self.ports = ports
        self.open: dict[int, Connection] = {}
        self.states: dict[int, str] = {}
        self._give_up_ns: int | None = None

    def begin(self, now: int) -> list[Send]:
        """Send all SYNs."""
        assert self.destination is not None
        assert self.source is not None
        self._give_up_ns = now + WAIT_NS
        for port in self.ports:
            local = Socket(self.source, self.host.free_port())
            self.open[port] = self.host.tcp.connect(local, Socket(self.destination, port), now)
        return self.host.tcp.flush(now)

    def look(self, now: int) -> list[Send]:
        """Which have become open or closed?"""
        for port, connection in list(self.open.items()):
            if connection.state in SYNCHRONIZED:
                self.states[port] = "open"
                connection.abort()
            elif connection.state == State.CLOSED:
                self.states[port] = "closed" if connection.error == REFUSED else "filtered"
            else:
                continue
            del self.open[port]
        sends = self.host.tcp.flush(now)
        return sends if self.open else sends + self.end(now)

    def timer(self) -> int | None:
        """The end of patience."""
        return self._give_up_ns

    def due(self, now: int) -> list[Send]:
        """What has not answered is filtered."""
        for port, connection in self.open.items():
            self.states[port] = "filtered"
            connection.abort()
        self.open.clear()
        return self.host.tcp.flush(now) + self.end(now)

    @property
    def result(self) -> ScanResult:
        """What was found."""
        return ScanResult(self.target, str(self.destination or ""), dict(sorted(self.states.items())), self.trouble)
