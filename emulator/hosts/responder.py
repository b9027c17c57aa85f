"""What a machine sends back when a packet reaches it: the answer of its protocol, or a refusal.

A machine without a list of services answers everything.  With one, a closed tcp port refuses with RST (RFC 9293
§3.10.7.1), a closed udp port with ICMP port unreachable (RFC 1122 §4.1.3.1), and ICMP echo is always answered.
"""

from typing import Any

from emulator.model.services import ALL, ICMP, ICMPV6, TCP, UDP, Service
from emulator.policy.keys import QUERY_REQUEST, query_role
from emulator.wire.headers import Field
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


def answer(packet: Packet, listen: tuple[Service, ...] | None) -> tuple[str, Any]:
    """The kind of answer (``reply``, ``refused``, ``none``) and the Scapy packet to send back, or None.

    Parameters
    ----------
    packet : as it was delivered
    listen : services of the machine; None answers everything
    """
    from scapy.layers.inet import ICMP as Icmp
    from scapy.layers.inet import IP
    from scapy.layers.inet import TCP as Tcp
    from scapy.layers.inet import UDP as Udp
    from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply, IPv6
    from scapy.packet import Raw

    key, header = packet.five_tuple, packet.header
    v6 = header[Field.FAMILY] == 6
    network = (IPv6 if v6 else IP)(src=str(key.destination), dst=str(key.source))
    if key.protocol == TCP:
        ends: Any = {"sport": key.destination_port, "dport": key.source_port}
        if is_open(listen, TCP, key.destination_port):
            return REPLY, network / Tcp(flags="SA", ack=1, **ends)
        return REFUSED, network / Tcp(flags="RA", ack=1, **ends)
    if key.protocol == UDP:
        if is_open(listen, UDP, key.destination_port):
            return REPLY, network / Udp(sport=key.destination_port, dport=key.source_port)
        quoted = Raw(packet.frame[int(header[Field.IP_OFFSET]) :][: 48 if v6 else 28])
        return REFUSED, network / (ICMPv6DestUnreach(code=4) if v6 else Icmp(type=3, code=3)) / quoted
    if key.protocol in (ICMP, ICMPV6):
        if query_role(key.protocol, int(header[Field.TYPE])) != QUERY_REQUEST:
            return NONE, None
        ident: Any = {"id": int(header[Field.IDENTIFIER]), "seq": int(header[Field.SEQUENCE])}
        return REPLY, network / (ICMPv6EchoReply(**ident) if v6 else Icmp(type=_reply_type(int(header[Field.TYPE])), **ident))
    if v6:
        network.nh = key.protocol
    else:
        network.proto = key.protocol
    return REPLY, network / Raw(b"")


def _reply_type(request: int) -> int:
    return 0 if request == 8 else request + 1
