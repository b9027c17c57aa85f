"""What a machine sends back when a packet reaches it: the answer of its protocol, or a refusal.

A machine without a list of services answers everything.  With one, a closed tcp port refuses with RST (RFC 9293
§3.10.7.1), a closed udp port with ICMP port unreachable (RFC 1122 §4.1.3.1), and ICMP echo is always answered.
"""

from emulator.hosts.base import Socket
from emulator.hosts.datagrams import icmp_datagram, ip_datagram, udp_datagram
from emulator.hosts.probe import WINDOW
from emulator.hosts.tcp_segment import Segment, datagram_with
from emulator.model.services import ALL, ICMP, ICMPV6, TCP, UDP, Service
from emulator.policy.keys import QUERY_REQUEST, query_role
from emulator.wire.headers import ACK, RST, SYN, Field
from emulator.wire.packet import Packet

REPLY, REFUSED, NONE = "reply", "refused", "none"


def is_open(listen: tuple[Service, ...] | None, protocol: int, port: int) -> bool:
    """Whether a service listens on a port; None is everything."""
    if listen is None:
        return True
    return any(
        service.protocol in (ALL, protocol) and (service.ports[0] == ALL or service.ports[0] <= port <= service.ports[1])
        for service in listen
    )


def answer(packet: Packet, listen: tuple[Service, ...] | None) -> tuple[str, Packet | None]:
    """The kind of answer (``reply``, ``refused``, ``none``) and the packet to send back, or None.

    Parameters
    ----------
    packet : as it was delivered
    listen : services of the machine; None answers everything
    """
    key, header = packet.five_tuple, packet.header
    own, peer = Socket(key.destination, key.destination_port), Socket(key.source, key.source_port)
    if key.protocol == TCP:
        kind, flags = (REPLY, SYN | ACK) if is_open(listen, TCP, own.port) else (REFUSED, RST | ACK)
        return kind, Packet.parse(datagram_with(Segment(own.port, peer.port, 0, 1, flags, WINDOW), own, peer))
    if key.protocol == UDP:
        if is_open(listen, UDP, own.port):
            return REPLY, Packet.parse(udp_datagram(own, peer, b"", dont_fragment=False))
        v6 = header[Field.FAMILY] == 6
        quoted = packet.frame[int(header[Field.IP_OFFSET]) :][: 48 if v6 else 28]
        return REFUSED, Packet.parse(icmp_datagram(own.address, peer.address, *((1, 4) if v6 else (3, 3)), payload=quoted))
    if key.protocol in (ICMP, ICMPV6):
        if query_role(key.protocol, int(header[Field.TYPE])) != QUERY_REQUEST:
            return NONE, None
        numbers = int(header[Field.IDENTIFIER]), int(header[Field.SEQUENCE])
        return REPLY, Packet.parse(icmp_datagram(own.address, peer.address, _reply_type(int(header[Field.TYPE])), 0, *numbers))
    return REPLY, Packet.parse(ip_datagram(own.address, peer.address, key.protocol, b"", dont_fragment=False))


def _reply_type(request: int) -> int:
    return 0 if request == 8 else request + 1
