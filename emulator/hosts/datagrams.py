"""Bytes of IP datagrams, as a machine's stack makes them: headers packed, checksums whole.

    IPv4 (RFC 791) │ IPv6 (RFC 8200)  ─►  ICMP (RFC 792) │ ICMPv6 (RFC 4443) │ UDP (RFC 768) │ TCP (see `tcp_segment`)

A 16-bit one's complement sum is the number that the bytes spell, modulo 65,535: that is how it is taken here, at once
for a whole segment.
"""

from struct import Struct

from emulator.hosts.base import Address, Socket
from emulator.wire.headers import ICMP, ICMPV6, UDP, Field
from emulator.wire.packet import Packet

_IPV4, _IPV6, _UDP, _ICMP = Struct("!BBHHHBBH4s4s"), Struct("!IHBB16s16s"), Struct("!HHHH"), Struct("!BBHHH")
_DONT_FRAGMENT = 0x4000
HOP_LIMIT = 64


def checksum(data: bytes) -> int:
    """The internet checksum of some bytes (RFC 1071).

    Examples
    --------
    >>> hex(checksum(bytes.fromhex("0001f203f4f5f6f7")))
    '0x220d'
    """
    number = int.from_bytes(data) << (8 * (len(data) & 1))
    total = number % 0xFFFF
    return 0xFFFF - total if total or not number else 0


def pseudo_header(source: Address, destination: Address, protocol: int, length: int) -> bytes:
    """What TCP, UDP and ICMPv6 sum up besides themselves (RFC 9293 §3.1, RFC 8200 §8.1)."""
    if source.version == 4:
        return source.packed + destination.packed + bytes((0, protocol)) + length.to_bytes(2)
    return source.packed + destination.packed + length.to_bytes(4) + bytes((0, 0, 0, protocol))


def ip_datagram(
    source: Address,
    destination: Address,
    protocol: int,
    payload: bytes,
    *,
    ttl: int = HOP_LIMIT,
    identification: int = 0,
    dont_fragment: bool = True,
) -> bytes:
    """An IP datagram of the addresses' family."""
    if source.version == 6:
        return _IPV6.pack(6 << 28, len(payload), protocol, ttl, source.packed, destination.packed) + payload
    fields = (0x45, 0, 20 + len(payload), identification, _DONT_FRAGMENT if dont_fragment else 0, ttl, protocol)
    head = _IPV4.pack(*fields, 0, source.packed, destination.packed)
    return head[:10] + checksum(head).to_bytes(2) + head[12:] + payload


def udp_datagram(source: Socket, destination: Socket, payload: bytes, *, ttl: int = HOP_LIMIT, dont_fragment: bool = True) -> bytes:
    """A UDP datagram; a sum of zero is sent as 65,535, as 0 would say that there is none (RFC 768)."""
    length = 8 + len(payload)
    head = _UDP.pack(source.port, destination.port, length, 0)
    total = checksum(pseudo_header(source.address, destination.address, UDP, length) + head + payload)
    message = head[:6] + (total or 0xFFFF).to_bytes(2) + payload
    return ip_datagram(source.address, destination.address, UDP, message, ttl=ttl, dont_fragment=dont_fragment)


def icmp_datagram(
    source: Address,
    destination: Address,
    icmp_type: int,
    code: int,
    identifier: int = 0,
    sequence: int = 0,
    payload: bytes = b"",
    *,
    ttl: int = HOP_LIMIT,
    dont_fragment: bool = False,
) -> bytes:
    """An ICMP or ICMPv6 message; ``identifier`` and ``sequence`` are the two words after the checksum."""
    protocol = ICMP if source.version == 4 else ICMPV6
    head = _ICMP.pack(icmp_type, code, 0, identifier, sequence)
    extra = b"" if protocol == ICMP else pseudo_header(source, destination, ICMPV6, len(head) + len(payload))
    total = checksum(extra + head + payload)
    message = head[:2] + total.to_bytes(2) + head[4:] + payload
    return ip_datagram(source, destination, protocol, message, ttl=ttl, dont_fragment=dont_fragment)


def payload_of(packet: Packet) -> bytes:
    """What follows the IP header (and IPv6 extension headers) of a packet, padding of the frame left out."""
    header = packet.header
    start, end = int(header[Field.PAYLOAD_OFFSET]), int(header[Field.IP_OFFSET]) + int(header[Field.LENGTH])
    return packet.frame[start:end]


def datagram_of(packet: Packet) -> bytes:
    """A packet from its IP header on."""
    start = int(packet.header[Field.IP_OFFSET])
    return packet.frame[start : start + int(packet.header[Field.LENGTH])]
