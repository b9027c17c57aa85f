"""UDP at a machine: sockets that keep what comes, services that answer a datagram with datagrams (RFC 768).

What comes to a port without either is refused with ICMP port unreachable (RFC 1122 §4.1.3.1).  A service never answers
what answers itself: a datagram on a pair of ports on which this machine spoke first is only kept.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.hosts.base import STACK_DELAY_NS, Send, Socket
from emulator.hosts.datagrams import payload_of, udp_datagram
from emulator.hosts.icmp import IcmpError
from emulator.wire.packet import Packet

UdpService = Callable[[bytes, Socket], list[bytes]]
"""From the data of a datagram and its sender to the data of the answers."""


@dataclass
class UdpSocket:
    """A bound port, and what came to it: (time in ns, sender, data); the errors that came back."""

    local: Socket
    received: list[tuple[int, Socket, bytes]] = field(default_factory=list)
    errors: list[tuple[int, IcmpError]] = field(default_factory=list)


def echo(data: bytes, sender: Socket) -> list[bytes]:
    """Send a datagram's data back (RFC 862)."""
    return [data]


class Udp:
    """The UDP part of a machine's stack.

    Parameters
    ----------
    is_open : whether a service is on a port for which nobody said more
    """

    def __init__(self, is_open: Callable[[int], bool]) -> None:
        self.is_open = is_open
        self.sockets: dict[int, UdpSocket] = {}
        self.services: dict[int, UdpService] = {}
        self._first: set[tuple[int, Socket]] = set()  # port pairs on which this machine spoke first

    def send(self, source: Socket, destination: Socket, data: bytes, *, ttl: int = 64) -> bytes:
        """A datagram to send; its answers will be kept."""
        self.spoke(source.port, destination)
        return udp_datagram(source, destination, data, ttl=ttl)

    def spoke(self, port: int, destination: Socket) -> None:
        """Remember that this machine speaks first on a pair of ports."""
        if len(self._first) > 100_000:
            self._first.clear()
        self._first.add((port, destination))

    def receive(self, packet: Packet, now: int) -> list[Send] | None:
        """Keep or answer a datagram; None if nobody wants it."""
        key = packet.five_tuple
        sender, data = Socket(key.source, key.source_port), payload_of(packet)[8:]
        socket = self.sockets.get(key.destination_port)
        if socket is not None:
            socket.received.append((now, sender, data))
            return []
        service = self.services.get(key.destination_port)
        if service is None:
            if not self.is_open(key.destination_port):
                return None
            if (key.destination_port, sender) in self._first:
                return []
            service = echo
        here = Socket(key.destination, key.destination_port)
        return [Send(STACK_DELAY_NS, udp_datagram(here, sender, answer)) for answer in service(data, sender)]

    def error(self, error: IcmpError, now: int) -> None:
        """Keep an error for the socket that it is about."""
        socket = self.sockets.get(error.source_port)
        if socket is not None:
            socket.errors.append((now, error))
