"""TCP at a machine: which connection a segment belongs to, who listens, and resets for the rest (RFC 9293 §3.10)."""

from collections.abc import Callable

from emulator.hosts.base import STACK_DELAY_NS, Send, Socket, earliest
from emulator.hosts.icmp import IcmpError
from emulator.hosts.services import Service
from emulator.hosts.tcp_connection import Connection
from emulator.hosts.tcp_segment import Segment, datagram_with, reset_for, segment_in
from emulator.hosts.tcp_states import State
from emulator.wire.addresses import halves
from emulator.wire.hashing import mix
from emulator.wire.headers import ACK, RST, SYN
from emulator.wire.packet import Packet

_HEADERS = {4: 40, 6: 60}
Key = tuple[Socket, Socket]


class Tcp:
    """The TCP part of a machine's stack.

    Parameters
    ----------
    service_on : the service of a port that is open, None if it is closed
    mtu_to : the largest datagram towards an address, bytes
    """

    def __init__(self, service_on: Callable[[int], Service | None], mtu_to: Callable[[Socket], int]) -> None:
        self.service_on, self.mtu_to = service_on, mtu_to
        self.connections: dict[Key, Connection] = {}
        self._identification = 0

    def connect(self, local: Socket, remote: Socket, now: int, service: Service | None = None) -> Connection:
        """Begin a connection; `flush` gives its SYN."""
        connection = self._new(local, remote, now, service)
        connection.connect()
        return connection

    def _new(self, local: Socket, remote: Socket, now: int, service: Service | None) -> Connection:
        version = local.address.version
        connection = Connection(local, remote, initial_sequence(local, remote, now), self.mtu_to(remote) - _HEADERS[version], service)
        self.connections[(local, remote)] = connection
        return connection

    def receive(self, packet: Packet, now: int) -> list[Send]:
        """Take a segment to its connection or listener; reset what belongs to nobody."""
        segment = segment_in(packet)
        if segment is None:
            return []
        five = packet.five_tuple
        key = (Socket(five.destination, five.destination_port), Socket(five.source, five.source_port))
        connection = self.connections.get(key)
        if connection is not None and connection.state == State.TIME_WAIT and segment.flags & (SYN | ACK | RST) == SYN:
            connection = None  # a new connection may take the ports over (RFC 9293 §3.10.7.4, RFC 6191)
        if connection is None:
            service = self.service_on(key[0].port) if segment.flags & (SYN | ACK | RST) == SYN else None
            if service is None:
                answer = reset_for(segment)
                return [] if answer is None else [self._send(key, answer)]
            connection = self._new(*key, now, service)
            connection.listen()
        connection.receive(segment, now)
        return self._flush_one(key, connection, now)

    def flush(self, now: int) -> list[Send]:
        """What all connections have to send now, after calls of the user."""
        return [send for key, connection in list(self.connections.items()) for send in self._flush_one(key, connection, now)]

    def _flush_one(self, key: Key, connection: Connection, now: int) -> list[Send]:
        sends = [self._send(key, segment) for segment in connection.flush(now)]
        if connection.state == State.CLOSED and self.connections.get(key) is connection:
            del self.connections[key]
        return sends

    def _send(self, key: Key, segment: Segment) -> Send:
        self._identification = (self._identification + 1) & 0xFFFF
        return Send(STACK_DELAY_NS, datagram_with(segment, *key, identification=self._identification))

    def get_timer(self) -> int | None:
        """When the first connection wants to be woken."""
        return earliest(*(connection.get_timer() for connection in self.connections.values()))

    def handle_timer(self, now: int) -> list[Send]:
        """Do what is due in every connection."""
        sends = []
        for key, connection in list(self.connections.items()):
            due = connection.get_timer()
            if due is not None and due <= now:
                connection.handle_timer(now)
                sends += self._flush_one(key, connection, now)
        return sends

    def error(self, error: IcmpError, now: int) -> list[Send]:
        """An ICMP error about one of our segments: a path too narrow, or no way at all."""
        key = (Socket(error.source, error.source_port), Socket(error.destination, error.destination_port))
        connection = self.connections.get(key)
        if connection is None:
            return []
        if error.kind == "too big":
            connection.path_shrank(self.mtu_to(key[1]) - _HEADERS[error.source.version])
        elif error.kind != "time exceeded":
            connection.unreachable()
        return self._flush_one(key, connection, now)


def initial_sequence(local: Socket, remote: Socket, now: int) -> int:
    """A first sequence number: a clock of 4 µs plus a hash of the ends (RFC 6528)."""
    state = 0
    for number in (*halves(local.address), local.port, *halves(remote.address), remote.port):
        state = mix(state, number)
    return (now // 4_000 + state) & 0xFFFFFFFF
