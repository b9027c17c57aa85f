"""Host: one machine's network stack, made of its protocols; and the programs that run on it.

    datagram ─► put together ─► the user's own service │ ICMP error │ ICMP │ UDP │ TCP ─► datagrams ─► cut to the MTU
                                                                      │ tasks look what came

A task is a client program (ping, curl …): it is polled after every packet, and has a timer of its own.
"""

from typing import TYPE_CHECKING, Protocol

from emulator.hosts.base import STACK_DELAY_NS, Address, Send, Socket, earliest
from emulator.hosts.dns import PORT as DNS_PORT
from emulator.hosts.dns import Lookup, Names
from emulator.hosts.fragments import Reassembly, fragments_of
from emulator.hosts.icmp import PORT_UNREACHABLE, Icmp, IcmpError, error_about, error_in
from emulator.hosts.services import Service, default_service, is_listening
from emulator.hosts.tcp import Tcp
from emulator.hosts.udp import Udp, UdpSocket
from emulator.model.services import ICMP, ICMPV6, TCP, UDP
from emulator.model.services import Service as Ports
from emulator.wire.headers import Field
from emulator.wire.packet import Packet

if TYPE_CHECKING:
    from emulator.hosts.scapy_service import ScapyService

FIRST_PORT, LAST_PORT = 49_152, 60_999
INSIDE_MTU, OUTSIDE_MTU = 9_001, 1_500  # FB-26
LEAST_MTU = {4: 68, 6: 1_280}
_PROTOCOL_UNREACHABLE = {4: (3, 2), 6: (4, 1)}


class Task(Protocol):
    """A client program on a host."""

    done: bool

    def start(self, now: int) -> list[Send]:
        """Begin."""

    def poll(self, now: int) -> list[Send]:
        """Look at what came."""

    def get_timer(self) -> int | None:
        """When `handle_timer` is due."""

    def handle_timer(self, now: int) -> list[Send]:
        """Do what is due."""


class Host:
    """One machine.

    Parameters
    ----------
    name : as people call it
    addresses : its own, the primary IPv4 first
    listen : ports that are open; None opens every one
    vpc : id of its VPC, empty outside
    resolver : whom it asks for names; None looks into the names directly, as into a hosts file
    mtu : the largest datagram of its interface, bytes
    quiet : sends no ICMP errors (the fabric)
    """

    def __init__(
        self,
        name: str,
        addresses: tuple[Address, ...],
        listen: tuple[Ports, ...] | None,
        names: Names,
        *,
        vpc: str = "",
        resolver: Address | None = None,
        mtu: int = OUTSIDE_MTU,
        quiet: bool = False,
    ) -> None:
        self.name, self.addresses, self.listen, self.names = name, addresses, listen, names
        self.vpc, self.resolver, self.mtu, self.quiet = vpc, resolver, mtu, quiet
        self.icmp = Icmp()
        self.udp = Udp(self.is_udp_open)
        self.tcp = Tcp(self.service_on, self.mtu_towards)
        self.served: tuple[Ports, ...] = ()  # opened by hand, besides what the topology says
        self.services: dict[int, Service] = {}
        self.own: list[ScapyService] = []
        self.tasks: list[Task] = []
        self.path_mtu: dict[Address, int] = {}
        self.reassembly = Reassembly()
        self._port = FIRST_PORT - 1
        self._number = 0

    # What a program asks of its machine.

    def address_towards(self, destination: Address) -> Address | None:
        """The address that it uses towards another of the same family; None if it has none."""
        return next((ip for ip in self.addresses if ip.version == destination.version), None)

    def free_port(self) -> int:
        """The next ephemeral port."""
        used = {socket.port for socket, _ in self.tcp.connections} | set(self.udp.sockets)
        for _ in range(LAST_PORT - FIRST_PORT + 1):
            self._port = self._port + 1 if self._port < LAST_PORT else FIRST_PORT
            if self._port not in used:
                break
        return self._port

    def bind(self, address: Address) -> UdpSocket:
        """A UDP socket on an ephemeral port."""
        socket = UdpSocket(Socket(address, self.free_port()))
        self.udp.sockets[socket.local.port] = socket
        return socket

    def lookup(self, name: str, kind: str, server: Address | None = None, tries: int = 2) -> Lookup | None:
        """A question to the resolver, or to another server; None if there is nobody to ask."""
        server = server or self.resolver
        source = None if server is None else self.address_towards(server)
        if server is None or source is None:
            return None
        socket = self.bind(source)
        self._number = (self._number * 31 + 4_243 + len(self.udp.sockets)) & 0xFFFF
        return Lookup(name, kind, Socket(server, DNS_PORT), socket.local, self._number, socket, tries)

    def mtu_to(self, destination: Address) -> int:
        """The largest datagram that the path is known to carry."""
        return min(self.mtu, self.path_mtu.get(destination, self.mtu))

    def mtu_towards(self, remote: Socket) -> int:
        """`mtu_to` for TCP."""
        return self.mtu_to(remote.address)

    def service_on(self, port: int) -> Service | None:
        """What listens on a tcp port."""
        if port not in self.services:
            if not (is_listening(self.listen, TCP, port) or is_listening(self.served, TCP, port)):
                return None
            self.services[port] = default_service(self.name, port)
        return self.services[port]

    def is_udp_open(self, port: int) -> bool:
        """Whether something listens on a udp port."""
        return is_listening(self.listen, UDP, port) or is_listening(self.served, UDP, port)

    # The endpoint.

    def receive(self, packet: Packet, now: int) -> list[Send]:
        """Take a packet; give what to send."""
        whole = self.reassembly.take(packet, now)
        if whole is None:
            return []
        sends = self._received(whole, now)
        return self._cut(sends + self._poll(now))

    def _received(self, packet: Packet, now: int) -> list[Send]:
        for service in self.own:
            if service.wants(packet):
                return service.receive(packet)
        protocol = int(packet.header[Field.PROTOCOL])
        if protocol == TCP:
            return self.tcp.receive(packet, now)
        if protocol == UDP:
            answers = self.udp.receive(packet, now)
            return self._refuse(packet, PORT_UNREACHABLE) if answers is None else answers
        if protocol in (ICMP, ICMPV6):
            error = error_in(packet)
            return self.icmp.receive(packet, now) if error is None else self._error(error, packet, now)
        return self._refuse(packet, _PROTOCOL_UNREACHABLE)

    def _refuse(self, packet: Packet, table: dict[int, tuple[int, int]]) -> list[Send]:
        if self.quiet:
            return []
        error = error_about(packet, packet.five_tuple.destination, table[int(packet.header[Field.FAMILY])])
        return [] if error is None else [Send(STACK_DELAY_NS, error)]

    def _error(self, error: IcmpError, packet: Packet, now: int) -> list[Send]:
        if error.kind == "too big":
            # A router that names no size (RFC 1191 §5) is taken at the least that every path carries.
            least = LEAST_MTU[error.source.version]
            self.path_mtu[error.destination] = max(min(error.mtu or least, self.mtu_to(error.destination)), least)
        if error.protocol == TCP:
            return self.tcp.error(error, now)
        if error.protocol == UDP:
            self.udp.error(error, now)
        elif error.protocol in (ICMP, ICMPV6):
            self.icmp.error(error, error.destination_port, now)
        return []

    def _poll(self, now: int) -> list[Send]:
        sends = [send for task in list(self.tasks) for send in task.poll(now)]
        self._forget_done()
        return sends

    def _forget_done(self) -> None:
        self.tasks = [task for task in self.tasks if not task.done]

    def run(self, task: Task, now: int) -> list[Send]:
        """Start a program."""
        self.tasks.append(task)
        sends = task.start(now)
        self._forget_done()
        return self._cut(sends)

    def flush(self, now: int) -> list[Send]:
        """What is to be sent after calls on connections."""
        return self._cut(self.tcp.flush(now))

    def get_timer(self) -> int | None:
        """When the machine wants to be woken."""
        return earliest(self.tcp.get_timer(), *(task.get_timer() for task in self.tasks))

    def handle_timer(self, now: int) -> list[Send]:
        """Do what is due."""
        sends = self.tcp.handle_timer(now)
        for task in list(self.tasks):
            due = task.get_timer()
            if due is not None and due <= now:
                sends += task.handle_timer(now)
        return self._cut(sends + self._poll(now))

    def _cut(self, sends: list[Send]) -> list[Send]:
        """Datagrams that are larger than the interface takes, as fragments; those that must not be cut are not sent."""
        if all(len(send.datagram) <= self.mtu for send in sends):
            return sends
        cut = []
        for delay, datagram in sends:
            if len(datagram) > self.mtu and datagram[0] >> 4 == 4 and datagram[6] & 0x40:
                continue  # EMSGSIZE: the program is told by `mtu_to`
            self._number = (self._number + 1) & 0xFFFF
            cut += [Send(delay, piece) for piece in fragments_of(datagram, self.mtu, self._number)]
        return cut
