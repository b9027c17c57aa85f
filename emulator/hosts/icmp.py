"""ICMP and ICMPv6 at a machine: echo answered, errors built, errors told to whom they concern.

    echo request           ─► echo reply, same identifier, sequence and data          RFC 792, RFC 4443 §4.1
    no service at a port   ─► destination unreachable, port (3/3, 1/4)                RFC 1122 §4.1.3.1, RFC 4443 §3.1
    hop limit run out      ─► time exceeded (11/0, 3/0)                               RFC 1812 §4.3.3.3, RFC 4443 §3.3
    larger than the path   ─► fragmentation needed (3/4), packet too big (2/0)        RFC 1191, RFC 8201

No error is ever sent about an error, about a later fragment, or to what is no host (RFC 1122 §3.2.2).  An error quotes
the datagram: 548 bytes of it for IPv4 (RFC 1812 §4.3.2.3), up to 1,232 for IPv6 (RFC 4443 §2.4).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from emulator.hosts.base import STACK_DELAY_NS, Address, Send
from emulator.hosts.datagrams import datagram_of, icmp_datagram, payload_of
from emulator.wire.addresses import address
from emulator.wire.headers import ICMPV6, Field, is_icmp_error
from emulator.wire.packet import Packet

ECHO_REPLY = {4: 0, 6: 129}
ECHO_REQUEST = {4: 8, 6: 128}
PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}
TIME_EXCEEDED = {4: (11, 0), 6: (3, 0)}
TOO_BIG = {4: (3, 4), 6: (2, 0)}
_QUOTED = {4: 548, 6: 1232}


class IcmpError(NamedTuple):
    """An error about a datagram that this machine had sent: who told it, and what was quoted."""

    reporter: Address
    icmp_type: int
    code: int
    mtu: int
    protocol: int
    source: Address
    source_port: int
    destination: Address
    destination_port: int

    @property
    def kind(self) -> str:
        """``port unreachable``, ``time exceeded``, ``too big``, ``unreachable``."""
        version, pair = self.source.version, (self.icmp_type, self.code)
        for word, table in (("port unreachable", PORT_UNREACHABLE), ("time exceeded", TIME_EXCEEDED), ("too big", TOO_BIG)):
            if pair == table[version]:
                return word
        return "unreachable"


class EchoReply(NamedTuple):
    """An answer to a ping."""

    time_ns: int
    source: Address
    sequence: int
    ttl: int
    length: int


@dataclass
class Echo:
    """The sender's side of ping: one identifier, the requests that are out, the answers and errors that came."""

    identifier: int
    source: Address
    destination: Address
    sent_ns: dict[int, int] = field(default_factory=dict)
    replies: list[EchoReply] = field(default_factory=list)
    errors: list[tuple[int, int, IcmpError]] = field(default_factory=list)

    def request(self, sequence: int, size: int, now: int, *, ttl: int = 64, dont_fragment: bool = False) -> bytes:
        """The next echo request, ``size`` bytes of data in it; the sequence number is 16 bits wide."""
        self.sent_ns[sequence] = now
        data = bytes(number & 0xFF for number in range(size))
        kind = ECHO_REQUEST[self.source.version]
        end = (self.source, self.destination)
        return icmp_datagram(*end, kind, 0, self.identifier, sequence & 0xFFFF, data, ttl=ttl, dont_fragment=dont_fragment)


class Icmp:
    """The ICMP part of a machine's stack."""

    def __init__(self, answers: bool = True) -> None:
        self.answers = answers
        self.echoes: dict[int, Echo] = {}
        self._next = 1

    def open(self, source: Address, destination: Address) -> Echo:
        """A new ping, with an identifier of its own."""
        while self._next in self.echoes:
            self._next = self._next % 0xFFFF + 1
        echo = Echo(self._next, source, destination)
        self.echoes[echo.identifier] = echo
        self._next = self._next % 0xFFFF + 1
        return echo

    def close(self, echo: Echo) -> None:
        """Forget a ping."""
        self.echoes.pop(echo.identifier, None)

    def receive(self, packet: Packet, now: int) -> list[Send]:
        """Answer an echo request; keep an echo reply for its ping."""
        header = packet.header
        version, kind = int(header[Field.FAMILY]), int(header[Field.TYPE])
        key = packet.five_tuple
        if kind == ECHO_REQUEST[version] and self.answers:
            identifier, sequence = int(header[Field.IDENTIFIER]), int(header[Field.SEQUENCE])
            data = payload_of(packet)[8:]
            return [Send(STACK_DELAY_NS, icmp_datagram(key.destination, key.source, ECHO_REPLY[version], 0, identifier, sequence, data))]
        if kind == ECHO_REPLY[version]:
            echo = self.echoes.get(int(header[Field.IDENTIFIER]))
            if echo is not None:
                length = int(header[Field.LENGTH]) - (20 if version == 4 else 40)
                echo.replies.append(EchoReply(now, key.source, int(header[Field.SEQUENCE]), int(header[Field.TTL]), length))
        return []

    def error(self, error: IcmpError, sequence: int, now: int) -> None:
        """Keep an error for the ping that it is about."""
        echo = self.echoes.get(error.source_port)
        if echo is not None:
            echo.errors.append((now, sequence, error))


def error_in(packet: Packet) -> IcmpError | None:
    """The ICMP error in a packet, or None if there is none or it quotes nothing that can be read."""
    header = packet.header
    protocol = int(header[Field.PROTOCOL])
    if not is_icmp_error(protocol, int(header[Field.TYPE])) or not header[Field.QUOTED_PROTOCOL]:
        return None
    version = int(header[Field.FAMILY])
    message = payload_of(packet)
    kind, code = int(header[Field.TYPE]), int(header[Field.CODE])
    mtu = int.from_bytes(message[6:8] if version == 4 else message[4:8]) if (kind, code) == TOO_BIG[version] else 0
    return IcmpError(
        packet.five_tuple.source,
        kind,
        code,
        mtu,
        int(header[Field.QUOTED_PROTOCOL]),
        address(version, header[Field.QUOTED_SOURCE_HI], header[Field.QUOTED_SOURCE_LO]),
        int(header[Field.QUOTED_SOURCE_PORT]),
        address(version, header[Field.QUOTED_DESTINATION_HI], header[Field.QUOTED_DESTINATION_LO]),
        int(header[Field.QUOTED_DESTINATION_PORT]),
    )


def error_about(packet: Packet, reporter: Address, pair: tuple[int, int], mtu: int = 0) -> bytes | None:
    """An ICMP error of a type and code about a packet, or None where none may be sent."""
    header, key = packet.header, packet.five_tuple
    version, protocol = int(header[Field.FAMILY]), int(header[Field.PROTOCOL])
    about_error = is_icmp_error(protocol, int(header[Field.TYPE])) or (protocol == ICMPV6 and int(header[Field.TYPE]) < 128)
    if about_error or header[Field.FRAGMENT_OFFSET] or key.source.is_multicast or key.source.is_unspecified:
        return None
    words = (0, mtu) if version == 4 else (mtu >> 16, mtu & 0xFFFF)
    return icmp_datagram(reporter, key.source, *pair, *words, datagram_of(packet)[: _QUOTED[version]])
