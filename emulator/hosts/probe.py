"""The first packet of a question: who asks whom, by which addresses, for what."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from emulator.errors import UsageError
from emulator.model.services import ICMP, ICMPV6, TCP, UDP, Service

Address = IPv4Address | IPv6Address
EPHEMERAL_PORT = 49152


@dataclass(frozen=True)
class Place:
    """Where a question begins or ends: an interface, a host outside or the internet; and its addresses, by family."""

    id: str
    name: str
    ips: tuple[Address, ...]
    public: dict[Address, Address]
    listen: tuple[Service, ...] | None = None
    vpc: str = ""


def probe_of(sender: Place, receiver: Place, service: Service, source_port: int) -> Any:
    """The first packet of a question, as a Scapy packet."""
    from scapy.layers.inet import ICMP as Icmp
    from scapy.layers.inet import IP
    from scapy.layers.inet import TCP as Tcp
    from scapy.layers.inet import UDP as Udp
    from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6Unknown, IPv6
    from scapy.packet import Raw

    source, destination = _ends(sender, receiver, service)
    v6 = destination.version == 6
    network = (IPv6 if v6 else IP)(src=str(source), dst=str(destination))
    protocol, (first, second) = service
    if protocol == TCP:
        return network / Tcp(sport=source_port, dport=max(first, 0), flags="S", seq=0)
    if protocol == UDP:
        return network / Udp(sport=source_port, dport=max(first, 0))
    if protocol == ICMP and not v6:
        return network / Icmp(type=8 if first < 0 else first, code=max(second, 0), id=1, seq=1)
    if protocol == ICMPV6 and v6:
        if first in (-1, 128):
            return network / ICMPv6EchoRequest(id=1, seq=1)
        return network / ICMPv6Unknown(type=first, code=max(second, 0), msgbody=b"\0" * 4)
    if protocol < 0:
        raise UsageError("a question needs one protocol; write tcp/443, udp/53, icmp or a protocol number")
    if v6:
        network.nh = protocol
    else:
        network.proto = protocol
    return network / Raw(b"\0" * 8)


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
