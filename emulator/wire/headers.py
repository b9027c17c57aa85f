"""Frames to integers: the header of one datagram as a row of int64.

A row is one datagram.  Its columns are `Field`; `parse_frame` fills them from bytes and never fails: what cannot be
used gets a `Status` that says why.

    link header ─► VLAN tags ─► IPv4 │ IPv6 ─► extension headers ─► TCP │ UDP │ SCTP │ ICMP │ ICMPv6 ─► quoted datagram

Sources: RFC 791, RFC 8200 §4, RFC 9293 §3.1, RFC 768, RFC 792, RFC 4443.  What stands before the IP header is in `linklayer`.
"""

from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from emulator.kernels import kernel
from emulator.wire import linklayer
from emulator.wire.addresses import address
from emulator.wire.integers import Bytes, be16, be32, be64, byte
from emulator.wire.status import ARP, MALFORMED, NOT_IP, PARSED, TRUNCATED

Matrix = npt.NDArray[np.int64]

TCP, UDP, ICMP, ICMPV6, SCTP = 6, 17, 1, 58, 132
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
MAX_EXTENSION_HEADERS = 16
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _NO_NEXT_HEADER, _OPTIONS = 0, 43, 44, 51, 59, 60
_JUMBO_PAYLOAD = 0xC204
_MAPPED = 0xFFFF << 32


class Field(IntEnum):
    """Columns of a header row; addresses are halves, lengths and offsets are bytes.

    IDENTIFIER and SEQUENCE are those of an ICMP query; of TCP, the number behind the segment's last byte (RFC 9293,
    SEG.SEQ + SEG.LEN) and the number that it acknowledges (SEG.ACK).
    """

    STATUS = 0
    FAMILY = 1
    PROTOCOL = 2
    SOURCE_HI = 3
    SOURCE_LO = 4
    DESTINATION_HI = 5
    DESTINATION_LO = 6
    SOURCE_PORT = 7
    DESTINATION_PORT = 8
    FLAGS = 9
    TYPE = 10
    CODE = 11
    IDENTIFIER = 12
    SEQUENCE = 13
    LENGTH = 14
    TTL = 15
    FRAGMENT_OFFSET = 16
    FRAGMENT_ID = 17
    MORE_FRAGMENTS = 18
    IP_OFFSET = 19
    PAYLOAD_OFFSET = 20
    TIME_NS = 21
    INDEX = 22
    QUOTED_PROTOCOL = 23
    QUOTED_SOURCE_HI = 24
    QUOTED_SOURCE_LO = 25
    QUOTED_DESTINATION_HI = 26
    QUOTED_DESTINATION_LO = 27
    QUOTED_SOURCE_PORT = 28
    QUOTED_DESTINATION_PORT = 29
    DONT_FRAGMENT = 30


FIELDS = len(Field)


class FiveTuple(NamedTuple):
    """Protocol, addresses and ports of one direction; ICMP and portless protocols have ports 0."""

    protocol: int
    source: IPv4Address | IPv6Address
    source_port: int
    destination: IPv4Address | IPv6Address
    destination_port: int

    def reply(self) -> "FiveTuple":
        """The five-tuple of the other direction."""
        return FiveTuple(self.protocol, self.destination, self.destination_port, self.source, self.source_port)


def five_tuple(row: Any) -> FiveTuple:
    """The five-tuple of a header row."""
    family = int(row[Field.FAMILY])
    return FiveTuple(
        int(row[Field.PROTOCOL]),
        address(family, row[Field.SOURCE_HI], row[Field.SOURCE_LO]),
        int(row[Field.SOURCE_PORT]),
        address(family, row[Field.DESTINATION_HI], row[Field.DESTINATION_LO]),
        int(row[Field.DESTINATION_PORT]),
    )


@kernel
def parse_frame(buffer: Bytes, start: int, captured: int, link_type: int, headers: Matrix, row: int) -> int:
    """Fill one header row from a frame and give its `Status`; any bytes at all are safe.

    Parameters
    ----------
    buffer : (n,) uint8
    start, captured : the frame's place in the buffer, bytes
    link_type : as registered for captures
    headers : (m, FIELDS) int64, columns Field; all but TIME_NS and INDEX of ``row`` are written
    """
    for column in range(Field.TIME_NS):
        headers[row, column] = 0
    for column in range(Field.INDEX + 1, FIELDS):
        headers[row, column] = 0
    end = start + captured
    ethertype, at = linklayer.network_layer(buffer, start, end, link_type)
    status = NOT_IP
    if ethertype < 0:
        status = -ethertype
    elif ethertype == linklayer.IPV4:
        status = _parse_ipv4(buffer, at, end, headers, row)
    elif ethertype == linklayer.IPV6:
        status = _parse_ipv6(buffer, at, end, headers, row)
    elif ethertype == linklayer.ARP:
        status = ARP
    headers[row, Field.STATUS] = status
    headers[row, Field.IP_OFFSET] = at - start
    if headers[row, Field.PAYLOAD_OFFSET] != 0:
        headers[row, Field.PAYLOAD_OFFSET] -= start
    return status


@kernel
def _parse_ipv4(buffer: Bytes, at: int, end: int, headers: Matrix, row: int) -> int:
    if end - at < 20:
        return TRUNCATED
    header_length = (byte(buffer, at) & 15) * 4
    if byte(buffer, at) >> 4 != 4 or header_length < 20:
        return MALFORMED
    length = be16(buffer, at + 2)
    if length == 0:  # a segment that the card was to cut and fill in (segmentation offload)
        length = end - at
    if length < header_length:
        return MALFORMED
    headers[row, Field.FAMILY] = 4
    headers[row, Field.LENGTH] = length
    headers[row, Field.TTL] = byte(buffer, at + 8)
    headers[row, Field.SOURCE_LO] = _MAPPED | be32(buffer, at + 12)
    headers[row, Field.DESTINATION_LO] = _MAPPED | be32(buffer, at + 16)
    fragment = be16(buffer, at + 6)
    headers[row, Field.FRAGMENT_ID] = be16(buffer, at + 4)
    headers[row, Field.FRAGMENT_OFFSET] = (fragment & 0x1FFF) * 8
    headers[row, Field.MORE_FRAGMENTS] = (fragment >> 13) & 1
    headers[row, Field.DONT_FRAGMENT] = (fragment >> 14) & 1
    headers[row, Field.PROTOCOL] = byte(buffer, at + 9)
    if end - at < header_length:
        return TRUNCATED
    return _parse_transport(buffer, at + header_length, min(end, at + length), at + length, headers, row)


@kernel
def _parse_ipv6(buffer: Bytes, at: int, end: int, headers: Matrix, row: int) -> int:
    if end - at < 40:
        return TRUNCATED
    if byte(buffer, at) >> 4 != 6:
        return MALFORMED
    length = be16(buffer, at + 4)
    if length == 0 and buffer[at + 6] == _HOP_BY_HOP:
        if end - at >= 48 and be16(buffer, at + 42) == _JUMBO_PAYLOAD:
            length = be32(buffer, at + 44)
    elif length == 0 and buffer[at + 6] != _NO_NEXT_HEADER:  # segmentation offload
        length = end - at - 40
    headers[row, Field.FAMILY] = 6
    headers[row, Field.LENGTH] = length + 40
    headers[row, Field.TTL] = byte(buffer, at + 7)
    headers[row, Field.SOURCE_HI] = be64(buffer, at + 8)
    headers[row, Field.SOURCE_LO] = be64(buffer, at + 16)
    headers[row, Field.DESTINATION_HI] = be64(buffer, at + 24)
    headers[row, Field.DESTINATION_LO] = be64(buffer, at + 32)
    claimed = at + 40 + length
    limit = min(end, claimed)
    protocol, at = byte(buffer, at + 6), at + 40
    for _ in range(MAX_EXTENSION_HEADERS):
        headers[row, Field.PROTOCOL] = protocol
        if not _is_extension(protocol):
            return _parse_transport(buffer, at, limit, claimed, headers, row)
        if limit - at < 8:
            return TRUNCATED if claimed - at >= 8 else MALFORMED
        following = byte(buffer, at)
        if protocol == _FRAGMENT:
            fragment = be16(buffer, at + 2)
            headers[row, Field.FRAGMENT_OFFSET] = fragment & 0xFFF8
            headers[row, Field.MORE_FRAGMENTS] = fragment & 1
            headers[row, Field.FRAGMENT_ID] = be32(buffer, at + 4)
            if fragment & 0xFFF8:
                headers[row, Field.PROTOCOL] = following
                headers[row, Field.PAYLOAD_OFFSET] = at + 8
                return PARSED
        at += _extension_length(buffer, at, protocol)
        protocol = following
    return MALFORMED


@kernel
def _is_extension(protocol: int) -> bool:
    """Whether an IPv6 header is passed over to find the protocol, as Linux `ipv6_ext_hdr` has it.

    Mobility (135), HIP (139) and Shim6 (140) are not: they are the message, and name no protocol behind them
    (RFC 6275 §6.1.1, RFC 7401 §5.1).
    """
    return protocol in (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _OPTIONS)


@kernel
def _extension_length(buffer: Bytes, at: int, protocol: int) -> int:
    if protocol == _FRAGMENT:
        return 8
    if protocol == _AUTHENTICATION:
        return (byte(buffer, at + 1) + 2) * 4
    return (byte(buffer, at + 1) + 1) * 8


@kernel
def _parse_transport(buffer: Bytes, at: int, limit: int, claimed: int, headers: Matrix, row: int) -> int:
    """Ports, flags, ICMP type and code; ``limit`` is what was captured, ``claimed`` what the IP header promises."""
    headers[row, Field.PAYLOAD_OFFSET] = at
    protocol = headers[row, Field.PROTOCOL]
    if headers[row, Field.FRAGMENT_OFFSET] != 0:
        return PARSED
    need = 0
    if protocol == TCP:
        need = 14
    elif protocol in (UDP, SCTP, ICMP, ICMPV6):
        need = 4
    if limit - at < need:
        return TRUNCATED if claimed - at >= need else MALFORMED
    if protocol in (TCP, UDP, SCTP):
        headers[row, Field.SOURCE_PORT] = be16(buffer, at)
        headers[row, Field.DESTINATION_PORT] = be16(buffer, at + 2)
        if protocol == TCP:
            flags = byte(buffer, at + 13)
            data = claimed - at - (byte(buffer, at + 12) >> 4) * 4 + (flags & FIN) + (flags >> 1 & 1)
            headers[row, Field.FLAGS] = flags
            headers[row, Field.IDENTIFIER] = (be32(buffer, at + 4) + data) & 0xFFFFFFFF
            headers[row, Field.SEQUENCE] = be32(buffer, at + 8)
    elif protocol in (ICMP, ICMPV6):
        headers[row, Field.TYPE] = byte(buffer, at)
        headers[row, Field.CODE] = byte(buffer, at + 1)
        if is_icmp_error(protocol, headers[row, Field.TYPE]):
            _parse_quoted(buffer, at + 8, limit, headers, row)
        elif limit - at >= 8:
            headers[row, Field.IDENTIFIER] = be16(buffer, at + 4)
            headers[row, Field.SEQUENCE] = be16(buffer, at + 6)
    return PARSED


@kernel
def is_icmp_error(protocol: int, icmp_type: int) -> bool:
    """Whether an ICMP or ICMPv6 message quotes the datagram that caused it (RFC 1122 §3.2.2, RFC 4443 §2.1)."""
    if protocol == ICMP:
        return icmp_type == 3 or icmp_type == 4 or icmp_type == 5 or icmp_type == 11 or icmp_type == 12
    return protocol == ICMPV6 and 1 <= icmp_type < 128


@kernel
def _parse_quoted(buffer: Bytes, at: int, limit: int, headers: Matrix, row: int) -> None:
    """The five-tuple of the datagram that an ICMP error quotes, as far as it was captured; a later fragment has no ports."""
    fragment_offset = 0
    if headers[row, Field.FAMILY] == 4:
        if limit - at < 20 or byte(buffer, at) >> 4 != 4:
            return
        protocol = byte(buffer, at + 9)
        fragment_offset = be16(buffer, at + 6) & 0x1FFF
        headers[row, Field.QUOTED_SOURCE_LO] = _MAPPED | be32(buffer, at + 12)
        headers[row, Field.QUOTED_DESTINATION_LO] = _MAPPED | be32(buffer, at + 16)
        at += max((byte(buffer, at) & 15) * 4, 20)
    else:
        if limit - at < 40 or byte(buffer, at) >> 4 != 6:
            return
        protocol = byte(buffer, at + 6)
        headers[row, Field.QUOTED_SOURCE_HI] = be64(buffer, at + 8)
        headers[row, Field.QUOTED_SOURCE_LO] = be64(buffer, at + 16)
        headers[row, Field.QUOTED_DESTINATION_HI] = be64(buffer, at + 24)
        headers[row, Field.QUOTED_DESTINATION_LO] = be64(buffer, at + 32)
        at += 40
        for _ in range(MAX_EXTENSION_HEADERS):
            if fragment_offset != 0 or limit - at < 8 or not _is_extension(protocol):
                break
            if protocol == _FRAGMENT:
                fragment_offset = be16(buffer, at + 2) & 0xFFF8
            following = byte(buffer, at)
            at += _extension_length(buffer, at, protocol)
            protocol = following
    headers[row, Field.QUOTED_PROTOCOL] = protocol
    if limit - at < 8 or fragment_offset != 0:
        return
    if protocol in (TCP, UDP, SCTP):
        headers[row, Field.QUOTED_SOURCE_PORT] = be16(buffer, at)
        headers[row, Field.QUOTED_DESTINATION_PORT] = be16(buffer, at + 2)
    elif protocol in (ICMP, ICMPV6):
        # A quoted query is known by its identifier and sequence number.
        headers[row, Field.QUOTED_SOURCE_PORT] = be16(buffer, at + 4)
        headers[row, Field.QUOTED_DESTINATION_PORT] = be16(buffer, at + 6)


@kernel
def parse_many(buffer: Bytes, records: Matrix, headers: Matrix, first_index: int) -> int:
    """Fill a header row for each record of a chunk; gives how many were parsed.

    Parameters
    ----------
    records : (n, 6) int64, columns capture.Record (offset, captured, original, time ns, link type, interface)
    headers : (n, FIELDS) int64, columns Field
    first_index : number of the first record in its capture
    """
    parsed = 0
    for row in range(records.shape[0]):
        headers[row, Field.TIME_NS] = records[row, 3]
        headers[row, Field.INDEX] = first_index + row
        if parse_frame(buffer, records[row, 0], records[row, 1], records[row, 4], headers, row) == PARSED:
            parsed += 1
    return parsed
