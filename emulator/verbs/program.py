"""Program: a client on a host, that first finds out whom its target is.

    start ─ the target is an address ─────────────────────────────────► begin
          ─ a name: the hosts file (outside), or A and AAAA of the resolver ─► begin, or NAME_NOT_FOUND

What a sub-class adds: `begin` sends its first packets, `look` sees what came, `timer` and `due` are its clock.
"""

from ipaddress import ip_address

from emulator.hosts.base import Address, Send
from emulator.hosts.dns import Lookup
from emulator.hosts.host import Host

NAME_NOT_FOUND = "Name or service not known"
NO_RESOLVER = "Temporary failure in name resolution"
NETWORK_UNREACHABLE = "Network is unreachable"
_VERSION = {"A": 4, "AAAA": 6}


class Program:
    """One run of a client program.

    Parameters
    ----------
    target : a name or an address
    version : 4 or 6 to insist on a family

    Attributes
    ----------
    destination, source : the addresses, once known
    trouble : why it could not begin: a name not found, no address of the family
    """

    def __init__(self, host: Host, target: str, version: int | None = None) -> None:
        self.host, self.target = host, target
        self.done, self.trouble = False, ""
        self.destination: Address | None = None
        self.source: Address | None = None
        self.began_ns = self.ended_ns = 0
        self._kinds = [kind for kind in ("A", "AAAA") if version in (None, _VERSION[kind])]
        self._lookup: Lookup | None = None

    def start(self, now: int) -> list[Send]:
        """Find the target's address; begin if it is known at once."""
        self.began_ns = now
        try:
            known = ip_address(self.target)
        except ValueError:
            return self._ask(now)
        return self._use(known, now)

    def _ask(self, now: int) -> list[Send]:
        if self.host.resolver is None:
            found = self.host.names.find(self.target, self.host.vpc) or []
            usable = [ip for kind in self._kinds for ip in found if ip.version == _VERSION[kind] and self.host.address_towards(ip)]
            return self._use(usable[0], now) if usable else self.fail(NAME_NOT_FOUND, now)
        while self._kinds:
            kind = self._kinds.pop(0)
            self._lookup = self.host.lookup(self.target, kind)
            if self._lookup is not None:
                return self._lookup.ask(self.host.udp, now)
        return self.fail(NAME_NOT_FOUND, now)

    def _answered(self, lookup: Lookup, now: int) -> list[Send]:
        self._lookup = None
        self.host.udp.sockets.pop(lookup.source.port, None)
        usable = [ip for ip in lookup.addresses if self.host.address_towards(ip) is not None]
        if usable:
            return self._use(usable[0], now)
        if lookup.rcode is None:
            return self.fail(NO_RESOLVER, now)
        return self._ask(now)

    def _use(self, destination: Address, now: int) -> list[Send]:
        self.destination, self.source = destination, self.host.address_towards(destination)
        if self.source is None and self.host.addresses:
            return self.fail(NETWORK_UNREACHABLE, now)
        return self.begin(now)

    def fail(self, trouble: str, now: int) -> list[Send]:
        """End before anything was sent."""
        self.trouble = trouble
        return self.end(now)

    def end(self, now: int) -> list[Send]:
        """The program is over."""
        self.done, self.ended_ns = True, now
        return []

    def poll(self, now: int) -> list[Send]:
        """Look at what came."""
        if self.done:
            return []
        if self._lookup is None:
            return self.look(now)
        self._lookup.poll(now)
        return self._answered(self._lookup, now) if self._lookup.done else []

    def get_timer(self) -> int | None:
        """When the program wants to be woken."""
        if self.done:
            return None
        return self.timer() if self._lookup is None else self._lookup.get_timer()

    def handle_timer(self, now: int) -> list[Send]:
        """Do what is due."""
        if self._lookup is None:
            return self.due(now)
        sends = self._lookup.handle_timer(self.host.udp, now)
        return self._answered(self._lookup, now) if self._lookup.done else sends

    # What a sub-class adds.

    def begin(self, now: int) -> list[Send]:
        """Send the first packets."""
        return self.end(now)

    def look(self, now: int) -> list[Send]:
        """See what came."""
        return []

    def timer(self) -> int | None:
        """When `due` is to be called."""
        return None

    def due(self, now: int) -> list[Send]:
        """Do what is due."""
        return []
