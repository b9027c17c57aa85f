"""The first packet of a question: who asks whom, by which addresses, for what."""

from dataclasses import dataclass

from emulator.errors import UsageError
from emulator.hosts.base import Address, Socket
from emulator.hosts.datagrams import icmp_datagram, ip_datagram, udp_datagram
from emulator.hosts.tcp_segment import Segment, datagram_with
from emulator.model.services import ICMP, ICMPV6, TCP, UDP, Service
from emulator.policy.keys import QUERY_NONE, query_role
from emulator.wire.headers import SYN
from emulator.wire.packet import Packet

EPHEMERAL_PORT = 49152
WINDOW = 8192


@dataclass(frozen=True)
class Place:
    """Where a question begins or ends: an interface, a host outside or the internet; and its addresses, by family."""

    id: str
    name: str
    ips: tuple[Address, ...]
    public: dict[Address, Address]
    listen: tuple[Service, ...] | None = None
    vpc: str = ""


def probe_of(sender: Place, receiver: Place, service: Service, source_port: int) -> Packet:
    """The first packet of a question."""
    source, destination = _ends(sender, receiver, service)
    protocol, (first, second) = service
    ends = Socket(source, source_port), Socket(destination, max(first, 0))
    if protocol == TCP:
        return Packet.parse(datagram_with(Segment(source_port, ends[1].port, 0, 0, SYN, WINDOW), *ends))
    if protocol == UDP:
        return Packet.parse(udp_datagram(*ends, b"", dont_fragment=False))
    if protocol == (ICMP if source.version == 4 else ICMPV6):
        kind = first if first >= 0 else 8 if protocol == ICMP else 128
        number = int(query_role(protocol, kind) != QUERY_NONE)
        return Packet.parse(icmp_datagram(source, destination, kind, max(second, 0), number, number))
    if protocol < 0:
        raise UsageError("a question needs one protocol; write tcp/443, udp/53, icmp or a protocol number")
    return Packet.parse(ip_datagram(source, destination, protocol, bytes(8), dont_fragment=False))


def _ends(sender: Place, receiver: Place, service: Service) -> tuple[Address, Address]:
    """Source and destination address of a question: one family; public addresses between inside and outside."""
    versions = (6,) if service.protocol == ICMPV6 else (4,) if service.protocol == ICMP else (4, 6)
    for version in versions:
        sources = [ip for ip in sender.ips if ip.version == version]
        targets = [ip for ip in receiver.ips if ip.version == version]
        if sources and targets:
            source, target = sources[0], targets[0]
            # A machine never sees its public address (RT-26), and from outside it is known by nothing else.
            source = next((private for private, public in sender.public.items() if public == source), source)
            if not sender.vpc and receiver.vpc:
                target = receiver.public.get(target, target)
            return source, target
    raise UsageError(
        f"{sender.name} and {receiver.name} have no addresses of one family for {service}; give both an IPv4 or an IPv6 address"
    )
