"""What every endpoint is: no input or output of its own, no clock; packets and times in, packets out.

    receive(packet, now)   a packet has reached the machine         ─► packets to send
    get_timer()            when it wants to be woken, ns, or None
    handle_timer(now)      that time has come                       ─► packets to send

Whoever runs it (`emulator.runtime`) delivers packets, keeps the time, and sends what it gives back.  An endpoint is a
plain object: a deep copy of it is a moment to return to.
"""

from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, Protocol

from emulator.wire.packet import Packet

Address = IPv4Address | IPv6Address
STACK_DELAY_NS = 20_000
"""What a machine takes to answer a packet: no source says, and nothing but the times in captures depends on it."""


class Send(NamedTuple):
    """A datagram to send, and how long after now, in ns."""

    delay_ns: int
    datagram: bytes


class Endpoint(Protocol):
    """One party of a protocol."""

    def receive(self, packet: Packet, now: int) -> list[Send]:
        """Take a packet that was delivered; give what to send."""

    def get_timer(self) -> int | None:
        """The time at which `handle_timer` has to be called next, ns; None for never."""

    def handle_timer(self, now: int) -> list[Send]:
        """Do what is due by now; give what to send."""


class Socket(NamedTuple):
    """An address and a port."""

    address: Address
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


def earliest(*times: int | None) -> int | None:
    """The first of some times, those that are None left out.

    Examples
    --------
    >>> earliest(None, 7, 3), earliest(None)
    (3, None)
    """
    return min((time for time in times if time is not None), default=None)
