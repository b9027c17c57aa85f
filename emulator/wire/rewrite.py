"""New addresses, ports and time to live in a frame's bytes; checksums by difference (RFC 1624).

A checksum that was wrong before stays wrong by the same difference, as it would behind a real gateway.  A UDP checksum
of 0 (none, RFC 768) stays 0.  The datagram that an ICMP error quotes is translated with it (RFC 5508 §4.2).
"""

from ipaddress import IPv4Address, IPv6Address

from emulator.wire.headers import ICMP, ICMPV6, TCP, UDP, is_icmp_error

Address = IPv4Address | IPv6Address
_END_OF_OPTIONS, _NO_OPERATION, _MAXIMUM_SEGMENT_SIZE = 0, 1, 2
_CHECKSUM_AT = {TCP: 16, UDP: 6, ICMPV6: 2, ICMP: 2}


def adjusted(checksum: int, old: bytes, new: bytes) -> int:
    """A 16-bit one's complement checksum after ``old`` became ``new`` (equation 3 of RFC 1624).

    Examples
    --------
    >>> hex(adjusted(0xDD2F, bytes.fromhex("5555"), bytes.fromhex("3285")))
    '0x0'
    """
    total = ~checksum & 0xFFFF
    for at in range(0, len(old), 2):
        total += (~int.from_bytes(old[at : at + 2]) & 0xFFFF) + int.from_bytes(new[at : at + 2])
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _adjust(frame: bytearray, at: int, old: bytes, new: bytes) -> None:
    """Adjust the checksum at an offset, if it was captured."""
    if len(frame) >= at + 2:
        frame[at : at + 2] = adjusted(int.from_bytes(frame[at : at + 2]), old, new).to_bytes(2)


def _replace(frame: bytearray, at: int, new: bytes) -> bytes:
    old = bytes(frame[at : at + len(new)])
    frame[at : at + len(new)] = new
    return old


def rewritten(
    frame: bytes,
    *,
    ip_offset: int,
    payload_offset: int,
    protocol: int,
    later_fragment: bool = False,
    source: Address | None = None,
    destination: Address | None = None,
    source_port: int | None = None,
    destination_port: int | None = None,
    identifier: int | None = None,
    quoted_ports: tuple[int, int] | None = None,
    ttl_spent: int = 0,
) -> bytes:
    """A frame with other addresses, ports or time to live; what is None stays.

    Parameters
    ----------
    ip_offset, payload_offset : where the IP header and what follows it begin, bytes
    identifier : of an ICMP query
    quoted_ports : of the datagram that an ICMP error quotes; of a quoted query its identifier and sequence
    ttl_spent : hops by which the time to live is lower
    """
    data = bytearray(frame)
    version = data[ip_offset] >> 4
    width, first = (4, 12) if version == 4 else (16, 8)
    has_payload = not later_fragment and protocol in _CHECKSUM_AT
    checksum_at = payload_offset + _CHECKSUM_AT.get(protocol, 0)
    pseudo_header = has_payload and not (version == 4 and protocol == ICMP) and not _has_no_checksum(data, checksum_at, protocol)
    for at, address in ((ip_offset + first, source), (ip_offset + first + width, destination)):
        if address is None or len(data) < at + width:
            continue
        old = _replace(data, at, address.packed)
        if version == 4:
            _adjust(data, ip_offset + 10, old, address.packed)
        if pseudo_header:
            _adjust(data, checksum_at, old, address.packed)
        if has_payload and old != address.packed and is_icmp_error(protocol, data[payload_offset]):
            _translate_quoted(data, payload_offset, old, address.packed, quoted_source=at != ip_offset + first)
    for at, port in ((payload_offset, source_port), (payload_offset + 2, destination_port)):
        if port is not None and protocol in (TCP, UDP) and not later_fragment and len(data) >= at + 2:
            old = _replace(data, at, port.to_bytes(2))
            if pseudo_header:
                _adjust(data, checksum_at, old, port.to_bytes(2))
    if identifier is not None and protocol in (ICMP, ICMPV6) and not later_fragment and len(data) >= payload_offset + 6:
        old = _replace(data, payload_offset + 4, identifier.to_bytes(2))
        _adjust(data, payload_offset + 2, old, identifier.to_bytes(2))
    if quoted_ports is not None and has_payload and len(data) > payload_offset and is_icmp_error(protocol, data[payload_offset]):
        _translate_quoted_ports(data, payload_offset, quoted_ports)
    if ttl_spent:
        at = ip_offset + (8 if version == 4 else 7)
        pair = bytes(data[at : at + 2])
        data[at] = max(data[at] - ttl_spent, 0)
        if version == 4:
            _adjust(data, ip_offset + 10, pair, bytes(data[at : at + 2]))
    return bytes(data)


def with_most_segment(frame: bytes, payload_offset: int, most: int) -> bytes:
    """A frame whose TCP SYN announces a maximum segment size of at most so many bytes (RFC 9293 §3.2); itself if it does."""
    data = bytearray(frame)
    if len(data) < payload_offset + 20:
        return frame
    at, end = payload_offset + 20, min(payload_offset + (data[payload_offset + 12] >> 4) * 4, len(data))
    while at + 1 < end and data[at] != _END_OF_OPTIONS:
        size = 1 if data[at] == _NO_OPERATION else data[at + 1]
        if data[at] == _MAXIMUM_SEGMENT_SIZE and size == 4 and at + 4 <= end:
            if int.from_bytes(data[at + 2 : at + 4]) > most:
                # The checksum's words begin at even places of the segment; the option's value may stand across two.
                start = at + 2 - (at - payload_offset) % 2
                before = bytes(data[start : start + 4])
                data[at + 2 : at + 4] = most.to_bytes(2)
                _adjust(data, payload_offset + _CHECKSUM_AT[TCP], before, bytes(data[start : start + 4]))
            break
        at += max(size, 1)
    return bytes(data)


def _has_no_checksum(data: bytearray, at: int, protocol: int) -> bool:
    return protocol == UDP and data[at : at + 2] == b"\0\0"


def _translate_quoted(data: bytearray, icmp_at: int, old: bytes, new: bytes, quoted_source: bool) -> None:
    """Translate the datagram quoted by an ICMP error: what came to an address quotes what had left from it."""
    inner, width = icmp_at + 8, len(old)
    at = inner + ((12 if width == 4 else 8) + (0 if quoted_source else width))
    if len(data) < at + width or data[at : at + width] != old:
        return
    before = bytes(data[inner:])
    data[at : at + width] = new
    if width == 4:
        _adjust(data, inner + 10, old, new)
    payload = inner + ((data[inner] & 15) * 4 if width == 4 else 40)
    protocol = data[inner + 9] if width == 4 else data[inner + 6]
    if protocol in (TCP, UDP, ICMPV6) and not _has_no_checksum(data, payload + _CHECKSUM_AT[protocol], protocol):
        _adjust(data, payload + _CHECKSUM_AT[protocol], old, new)
    after = bytes(data[inner:])
    even = len(before) & 1
    _adjust(data, icmp_at + 2, before + b"\0" * even, after + b"\0" * even)


def _translate_quoted_ports(data: bytearray, icmp_at: int, ports: tuple[int, int]) -> None:
    """Give the datagram quoted by an ICMP error other ports, or another identifier, as far as it was captured."""
    inner = icmp_at + 8
    if len(data) < inner + 20:
        return
    version = data[inner] >> 4
    payload = inner + ((data[inner] & 15) * 4 if version == 4 else 40)
    protocol = data[inner + 9] if version == 4 else data[inner + 6]
    at = payload if protocol in (TCP, UDP) else payload + 4
    if protocol not in _CHECKSUM_AT or len(data) < at + 4:
        return
    before = bytes(data[inner:])
    new = b"".join(port.to_bytes(2) for port in ports)
    old = _replace(data, at, new)
    if not _has_no_checksum(data, payload + _CHECKSUM_AT[protocol], protocol):
        _adjust(data, payload + _CHECKSUM_AT[protocol], old, new)
    even = len(before) & 1
    _adjust(data, icmp_at + 2, before + b"\0" * even, bytes(data[inner:]) + b"\0" * even)
