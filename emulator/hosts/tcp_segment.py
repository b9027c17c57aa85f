"""TCP segments: bytes ⇄ fields, and arithmetic on sequence numbers.

Options that are written: maximum segment size and window scale, in SYN segments alone (RFC 9293 §3.7.1, RFC 7323 §2);
others are read over.  Source: RFC 9293 §3.1, §3.2.
"""

from struct import Struct
from typing import NamedTuple

from emulator.hosts.base import Socket
from emulator.hosts.datagrams import HOP_LIMIT, checksum, ip_datagram, payload_of, pseudo_header
from emulator.wire.headers import ACK, FIN, PSH, RST, SYN, TCP
from emulator.wire.packet import Packet

_HEAD = Struct("!HHIIBBHHH")
_END, _NOP, _MSS, _SCALE = 0, 1, 2, 3
_MODULUS = 1 << 32


class Segment(NamedTuple):
    """One segment: ``mss`` and ``scale`` are its options, None where they are absent; flags as in `wire.headers`."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledgement: int
    flags: int
    window: int
    mss: int | None = None
    scale: int | None = None
    payload: bytes = b""

    @property
    def length(self) -> int:
        """What it takes of the sequence space: data, and one for SYN and FIN each (RFC 9293 §3.4)."""
        return len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)


def distance(later: int, earlier: int) -> int:
    """How far one sequence number is after another, negative if before (RFC 9293 §3.4, modulo 2³²).

    Examples
    --------
    >>> distance(5, 2**32 - 5), distance(1, 3)
    (10, -2)
    """
    return (later - earlier + (_MODULUS >> 1)) % _MODULUS - (_MODULUS >> 1)


def advanced(sequence: int, by: int) -> int:
    """A sequence number so much later."""
    return (sequence + by) % _MODULUS


def segment_in(packet: Packet) -> Segment | None:
    """The segment in a packet; None if its header is cut short or its checksum is wrong (RFC 9293 §3.1)."""
    data = payload_of(packet)
    if len(data) < _HEAD.size:
        return None
    source, destination, sequence, acknowledgement, offset, flags, window, _, _ = _HEAD.unpack_from(data)
    start = (offset >> 4) * 4
    key = packet.five_tuple
    if start < _HEAD.size or start > len(data) or checksum(pseudo_header(key.source, key.destination, TCP, len(data)) + data):
        return None
    mss, scale = _options(data[_HEAD.size : start]) if start > _HEAD.size else (None, None)
    return Segment(source, destination, sequence, acknowledgement, flags & 0x3F, window, mss, scale, data[start:])


def _options(data: bytes) -> tuple[int | None, int | None]:
    """Maximum segment size and window scale of an option list; what is malformed ends it."""
    mss = scale = None
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _NOP:
            at += 1
            continue
        if at + 1 >= len(data) or data[at + 1] < 2 or at + data[at + 1] > len(data):
            break
        length = data[at + 1]
        if data[at] == _MSS and length == 4:
            mss = int.from_bytes(data[at + 2 : at + 4])
        elif data[at] == _SCALE and length == 3:
            scale = min(data[at + 2], 14)
        at += length
    return mss, scale


def datagram_with(segment: Segment, source: Socket, destination: Socket, *, ttl: int = HOP_LIMIT, identification: int = 0) -> bytes:
    """The IP datagram that carries a segment; never to be fragmented on the way (RFC 1191)."""
    options = b""
    if segment.mss is not None:
        options += bytes((_MSS, 4)) + segment.mss.to_bytes(2)
    if segment.scale is not None:
        options += bytes((_NOP, _SCALE, 3, segment.scale))
    offset = (_HEAD.size + len(options)) // 4 << 4
    numbers = (segment.source_port, segment.destination_port, segment.sequence, segment.acknowledgement)
    head = _HEAD.pack(*numbers, offset, segment.flags, segment.window, 0, 0) + options
    length = len(head) + len(segment.payload)
    total = checksum(pseudo_header(source.address, destination.address, TCP, length) + head + segment.payload)
    data = head[:16] + total.to_bytes(2) + head[18:] + segment.payload
    return ip_datagram(source.address, destination.address, TCP, data, ttl=ttl, identification=identification)


def reset_for(segment: Segment) -> Segment | None:
    """The reset that answers a segment for which there is no connection; None for a reset (RFC 9293 §3.10.7.1)."""
    if segment.flags & RST:
        return None
    ends = (segment.destination_port, segment.source_port)
    if segment.flags & ACK:
        return Segment(*ends, segment.acknowledgement, 0, RST, 0)
    return Segment(*ends, 0, advanced(segment.sequence, segment.length), RST | ACK, 0)


def words_of(flags: int) -> str:
    """Flags as tcpdump writes them.

    Examples
    --------
    >>> words_of(SYN), words_of(SYN | ACK), words_of(PSH | ACK), words_of(ACK)
    ('S', 'S.', 'P.', '.')
    """
    letters = "".join(letter for bit, letter in ((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P")) if flags & bit)
    return letters + ("." if flags & ACK else "")
