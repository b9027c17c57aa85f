"""Bytes of packets that a network itself makes: ICMP errors, TCP resets, IPv4 fragments.

Sources: RFC 791 §3.2 (fragments), RFC 792 and RFC 1191 §4 (ICMP errors and their MTU), RFC 4443 §3.2–3.3, RFC 9293
§3.10.7.1 (what a reset carries), RFC 1071 (the checksum).
"""

from ipaddress import IPv4Address, IPv6Address
from struct import pack, unpack_from

from emulator.wire.headers import ACK, FIN, ICMP, ICMPV6, RST, SYN, TCP

Address = IPv4Address | IPv6Address
UNREACHABLE, TOO_BIG_V6, TIME_EXCEEDED, TIME_EXCEEDED_V6 = 3, 2, 11, 3
FRAGMENTATION_NEEDED = 4
MAX_V4, MAX_V6 = 576, 1280  # bytes of a whole ICMP error


def checksum(data: bytes) -> int:
    """The Internet checksum of some bytes.

    Examples
    --------
    >>> hex(checksum(bytes.fromhex("0001f203f4f5f6f7")))
    '0x220d'
    """
    if len(data) & 1:
        data += b"\0"
    total: int = sum(unpack_from(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(source: Address, destination: Address, protocol: int, payload: bytes, ttl: int) -> bytes:
    """An IP datagram with a header of its own, identification 0."""
    if source.version == 6:
        return pack(">IHBB", 6 << 28, len(payload), protocol, ttl) + source.packed + destination.packed + payload
    header = pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, ttl, protocol, 0) + source.packed + destination.packed
    return header[:10] + checksum(header).to_bytes(2) + header[12:] + payload


def _pseudo_header(source: Address, destination: Address, protocol: int, length: int) -> bytes:
    """What transport checksums cover besides the segment (RFC 9293 §3.1, RFC 8200 §8.1)."""
    tail = pack(">BBH", 0, protocol, length) if source.version == 4 else pack(">IHBB", length, 0, 0, protocol)
    return source.packed + destination.packed + tail


def icmp_error(source: Address, destination: Address, *, too_big: bool, mtu: int, quoted: bytes, ttl: int) -> bytes:
    """A "packet too big" with its MTU or a "time exceeded", which quotes as much of a datagram as it may."""
    if source.version == 4:
        kind, code = (UNREACHABLE, FRAGMENTATION_NEEDED) if too_big else (TIME_EXCEEDED, 0)
        body = pack(">BBHHH", kind, code, 0, 0, mtu if too_big else 0) + quoted[: MAX_V4 - 28]
        return datagram(source, destination, ICMP, body[:2] + checksum(body).to_bytes(2) + body[4:], ttl)
    body = pack(">BBHI", TOO_BIG_V6 if too_big else TIME_EXCEEDED_V6, 0, 0, mtu if too_big else 0) + quoted[: MAX_V6 - 48]
    total = checksum(_pseudo_header(source, destination, ICMPV6, len(body)) + body)
    return datagram(source, destination, ICMPV6, body[:2] + total.to_bytes(2) + body[4:], ttl)


def tcp_reset(segment: bytes, length: int, source: Address, destination: Address, ttl: int) -> bytes:
    """The reset that answers a TCP segment (from its source port on; ``length`` as the IP header has it, bytes)."""
    sport, dport, sequence, acknowledged = unpack_from(">HHII", segment.ljust(20, b"\0"))
    flags = segment[13] if len(segment) > 13 else 0
    if flags & ACK:
        fields = (acknowledged, 0, RST)
    else:
        taken = max(length - (segment[12] >> 4) * 4, 0) + bool(flags & SYN) + bool(flags & FIN)
        fields = (0, (sequence + taken) & 0xFFFFFFFF, RST | ACK)
    body = pack(">HHIIBBHHH", dport, sport, fields[0], fields[1], 5 << 4, fields[2], 0, 0, 0)
    total = checksum(_pseudo_header(source, destination, TCP, len(body)) + body)
    return datagram(source, destination, TCP, body[:16] + total.to_bytes(2) + body[18:], ttl)


def fragment(packet: bytes, offset: int, size: int, more: bool) -> bytes:
    """A piece of an IPv4 datagram: ``size`` bytes of its payload from ``offset`` on, under its own header."""
    header_length = (packet[0] & 15) * 4
    start = int.from_bytes(packet[6:8])
    place = (start & 0x4000) | (int(more) << 13) | ((start & 0x1FFF) + offset // 8)
    piece = packet[header_length + offset : header_length + offset + size]
    header = bytearray(packet[:header_length])
    header[2:4] = (header_length + size).to_bytes(2)
    header[6:8] = place.to_bytes(2)
    header[10:12] = b"\0\0"
    header[10:12] = checksum(bytes(header)).to_bytes(2)
    return bytes(header) + piece
