"""dig: ask a name server, and show its answer as dig does."""

from dataclasses import dataclass
from ipaddress import ip_address

from emulator.errors import UsageError
from emulator.hosts.base import Address, Send
from emulator.hosts.dns import NAME_ERROR, NO_ERROR, PORT, RCODES, TTL_S, TYPES, Lookup
from emulator.hosts.host import Host

TRIES = 3


@dataclass(frozen=True)
class DigResult:
    """What the server answered.

    Attributes
    ----------
    status : NOERROR, NXDOMAIN, ``timed out`` or ``connection refused``
    addresses : the answer section
    server : who was asked
    """

    name: str
    kind: str
    status: str
    addresses: tuple[Address, ...]
    server: str
    elapsed_ns: int
    size: int = 0
    number: int = 0

    @property
    def answered(self) -> bool:
        """Whether the server answered at all."""
        return self.status in RCODES.values()

    def __bool__(self) -> bool:
        return bool(self.addresses)

    def __str__(self) -> str:
        head = f"; <<>> DiG (vpcemu) <<>> {self.name} {self.kind}"
        if not self.answered:
            trouble = f";; communications error to {self.server}#{PORT}: {self.status}"
            tries = TRIES if self.status == "timed out" else 1
            return "\n".join([head, *[trouble] * tries, ";; no servers could be reached"])
        lines = [head, f";; ->>HEADER<<- opcode: QUERY, status: {self.status}, id: {self.number}"]
        lines.append(f";; flags: qr rd ra; QUERY: 1, ANSWER: {len(self.addresses)}, AUTHORITY: 0, ADDITIONAL: 0")
        lines += ["", ";; QUESTION SECTION:", f";{self.name}.\t\tIN\t{self.kind}"]
        if self.addresses:
            lines += ["", ";; ANSWER SECTION:", *(f"{self.name}.\t{TTL_S}\tIN\t{self.kind}\t{ip}" for ip in self.addresses)]
        lines += ["", f";; Query time: {self.elapsed_ns // 1_000_000} msec", f";; SERVER: {self.server}#{PORT} (UDP)"]
        return "\n".join([*lines, f";; MSG SIZE  rcvd: {self.size}"])

    __repr__ = __str__


class Dig:
    """One question to one server, asked three times at most."""

    def __init__(self, host: Host, name: str, kind: str = "A", server: str | None = None) -> None:
        if kind.upper() not in TYPES:
            raise UsageError(f"dig: type {kind} is not known here; ask for {' or '.join(TYPES)}")
        self.host, self.name, self.kind = host, name.rstrip("."), kind.upper()
        try:
            self.server: Address | None = None if server is None else ip_address(server)
        except ValueError:
            raise UsageError(f"dig: @{server} is not an address; write one, such as @10.0.0.2") from None
        self.done = False
        self.lookup: Lookup | None = None
        self._local: list[Address] | None = None

    def start(self, now: int) -> list[Send]:
        """Ask; a host without a resolver looks into its own names."""
        self.lookup = self.host.lookup(self.name, self.kind, self.server, TRIES)
        if self.lookup is None:
            self._local, self.done = self.host.names.find(self.name, self.host.vpc), True
            return []
        return self.lookup.ask(self.host.udp, now)

    def poll(self, now: int) -> list[Send]:
        """Has the answer come?"""
        if self.lookup is not None:
            self.lookup.poll(now)
            self._finish()
        return []

    def _finish(self) -> None:
        assert self.lookup is not None
        if self.lookup.done and not self.done:
            self.done = True
            self.host.udp.sockets.pop(self.lookup.source.port, None)

    def get_timer(self) -> int | None:
        """When to ask again."""
        return None if self.lookup is None else self.lookup.get_timer()

    def handle_timer(self, now: int) -> list[Send]:
        """Ask again, or give up."""
        assert self.lookup is not None
        sends = self.lookup.handle_timer(self.host.udp, now)
        self._finish()
        return sends

    @property
    def result(self) -> DigResult:
        """What was answered."""
        lookup = self.lookup
        if lookup is None:
            version = {"A": 4, "AAAA": 6}[self.kind]
            found = tuple(ip for ip in self._local or () if ip.version == version)
            code = NAME_ERROR if self._local is None else NO_ERROR
            return DigResult(self.name, self.kind, RCODES[code], found, "127.0.0.53", 0)
        status = "connection refused" if lookup.socket.errors else "timed out"
        if lookup.rcode is not None:
            status = RCODES.get(lookup.rcode, str(lookup.rcode))
        server = str(lookup.server.address)
        return DigResult(self.name, self.kind, status, tuple(lookup.addresses), server, lookup.time_ns, lookup.size, lookup.number)
