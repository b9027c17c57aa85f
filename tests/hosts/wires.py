"""Two hosts and a wire between them that loses, delays, reorders and repeats: for tests of the hosts alone."""

import heapq
import random
from ipaddress import ip_address

from emulator.hosts.base import Send, Socket
from emulator.hosts.dns import Names
from emulator.hosts.host import Host
from emulator.hosts.services import Service
from emulator.hosts.tcp_connection import Connection
from emulator.model.topology import Topology
from emulator.wire.packet import Packet

MS = 1_000_000
LEFT, RIGHT = ip_address("10.0.1.10"), ip_address("10.0.2.10")


class Sink(Service):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.opened_count = 0
        self.is_over = False

    def opened(self, connection: Connection) -> None:
        self.opened_count += 1

    def received(self, connection: Connection, data: bytes) -> None:
        self.data += data

    def ended(self, connection: Connection) -> None:
        self.is_over = True
        connection.close()


class Wire:
    """A left and a right host, and everything that was on the wire: (time, sender, datagram, arrived)."""

    def __init__(
        self, *, delay_ns: int = 10 * MS, jitter_ns: int = 0, loss: float = 0.0, repeat: float = 0.0, seed: int = 0, mtu: int = 1500
    ):
        names = Names(Topology.of())
        self.left = Host("left", (LEFT,), (), names, mtu=mtu)
        self.right = Host("right", (RIGHT,), (), names, mtu=mtu)
        self.now = 0
        self.log: list[tuple[int, Host, bytes, bool]] = []
        self._random = random.Random(seed)
        self._delay, self._jitter, self._loss, self._repeat = delay_ns, jitter_ns, loss, repeat
        self._queue: list[tuple[int, int, Host, bytes]] = []
        self._count = 0
        self.cut = False

    def connect(self, port: int = 80) -> Connection:
        """The left host opens a connection."""
        connection = self.left.tcp.connect(Socket(LEFT, self.left.free_port()), Socket(RIGHT, port), self.now)
        self.flush(self.left)
        return connection

    def flush(self, host: Host) -> None:
        """Send what a host has to send after calls of the user."""
        self.put(host, host.flush(self.now))

    def put(self, host: Host, sends: list[Send]) -> None:
        """Put datagrams on the wire."""
        other = self.right if host is self.left else self.left
        for delay, datagram in sends:
            arrives = not self.cut and self._random.random() >= self._loss
            self.log.append((self.now + delay, host, datagram, arrives))
            for _ in range((1 + (self._random.random() < self._repeat)) if arrives else 0):
                self._count += 1
                due = self.now + delay + self._delay + (self._random.randrange(self._jitter) if self._jitter else 0)
                heapq.heappush(self._queue, (due, self._count, other, datagram))

    def run(self, until_ns: int = 10**15, stop=lambda: False) -> None:
        """Let time pass."""
        while not stop():
            timers = [(timer, host) for host in (self.left, self.right) if (timer := host.get_timer()) is not None]
            due = min([timer for timer, _ in timers] + [item[0] for item in self._queue[:1]], default=None)
            if due is None or due > until_ns:
                self.now = max(self.now, until_ns if until_ns < 10**15 else self.now)
                return
            self.now = due
            if self._queue and self._queue[0][0] == due:
                _, _, host, datagram = heapq.heappop(self._queue)
                self.put(host, host.receive(Packet.parse(datagram), self.now))
            else:
                host = next(host for timer, host in timers if timer == due)
                self.put(host, host.handle_timer(self.now))
