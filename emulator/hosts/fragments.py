"""IP fragments at a machine: cut for the interface, put together on arrival (RFC 791 §3.2, RFC 8200 §4.5, RFC 815).

What is not whole after 30 s is forgotten (RFC 1122 §3.3.2 asks for 60 to 120; 30 is Linux's).
"""

from emulator.hosts.base import Address
from emulator.hosts.datagrams import checksum, datagram_of, payload_of
from emulator.wire.headers import Field
from emulator.wire.packet import Packet

LIFE_NS = 30_000_000_000
MOST_DATAGRAMS, MOST_BYTES = 1_000, 65_515
_FRAGMENT_HEADER, _MORE = 44, 0x2000
Key = tuple[Address, Address, int, int]


def fragments_of(datagram: bytes, mtu: int, identification: int) -> list[bytes]:
    """A datagram as pieces of at most ``mtu`` bytes, the datagram itself if it fits."""
    if len(datagram) <= mtu:
        return [datagram]
    return _of_ipv4(datagram, mtu, identification) if datagram[0] >> 4 == 4 else _of_ipv6(datagram, mtu, identification)


def _of_ipv4(datagram: bytes, mtu: int, identification: int) -> list[bytes]:
    head, data = datagram[:20], datagram[20:]
    step = (mtu - 20) // 8 * 8
    pieces = []
    for at in range(0, len(data), step):
        piece = data[at : at + step]
        flags = (_MORE if at + step < len(data) else 0) | at // 8
        front = head[:2] + (20 + len(piece)).to_bytes(2) + identification.to_bytes(2) + flags.to_bytes(2) + head[8:10] + b"\0\0" + head[12:]
        pieces.append(front[:10] + checksum(front).to_bytes(2) + front[12:] + piece)
    return pieces


def _of_ipv6(datagram: bytes, mtu: int, identification: int) -> list[bytes]:
    head, data = datagram[:40], datagram[40:]
    step = (mtu - 48) // 8 * 8
    pieces = []
    for at in range(0, len(data), step):
        piece = data[at : at + step]
        offset = at | int(at + step < len(data))
        extension = bytes((head[6], 0)) + offset.to_bytes(2) + identification.to_bytes(4)
        pieces.append(head[:4] + (8 + len(piece)).to_bytes(2) + bytes((_FRAGMENT_HEADER,)) + head[7:] + extension + piece)
    return pieces


class Reassembly:
    """Pieces that wait for the rest of their datagram."""

    def __init__(self) -> None:
        self._waiting: dict[Key, tuple[int, dict[int, bytes], list[bytes], int]] = {}

    def take(self, packet: Packet, now: int) -> Packet | None:
        """The whole datagram if this piece completes it; a packet that is no piece as it is; else None."""
        header = packet.header
        offset, more = int(header[Field.FRAGMENT_OFFSET]), bool(header[Field.MORE_FRAGMENTS])
        if not offset and not more:
            return packet
        self._forget(now)
        five = packet.five_tuple
        key = (five.source, five.destination, int(header[Field.FRAGMENT_ID]), five.protocol)
        began, pieces, first, end = self._waiting.pop(key, (now, {}, [], -1))
        data = payload_of(packet)
        if offset + len(data) > MOST_BYTES:
            return None
        pieces[offset] = data
        if not offset:
            first = [datagram_of(packet)]
        if not more:
            end = offset + len(data)
        whole = self._join(pieces, end) if first else None
        if whole is None:
            if len(self._waiting) < MOST_DATAGRAMS:
                self._waiting[key] = (began, pieces, first, end)
            return None
        return Packet.parse(_restored(first[0], int(header[Field.FAMILY]), five.protocol, whole))

    def _forget(self, now: int) -> None:
        for key in [key for key, waiting in self._waiting.items() if now - waiting[0] >= LIFE_NS]:
            del self._waiting[key]

    @staticmethod
    def _join(pieces: dict[int, bytes], end: int) -> bytes | None:
        data = b""
        while len(data) != end:
            piece = pieces.get(len(data))
            if not piece:
                return None
            data += piece
        return data


def _restored(first: bytes, family: int, protocol: int, data: bytes) -> bytes:
    """The datagram's header, of its first piece, before all of its data."""
    if family == 6:
        return first[:4] + len(data).to_bytes(2) + bytes((protocol,)) + first[7:40] + data
    size = (first[0] & 15) * 4
    head = first[:2] + (size + len(data)).to_bytes(2) + first[4:6] + b"\0\0" + first[8:10] + b"\0\0" + first[12:size]
    return head[:10] + checksum(head).to_bytes(2) + head[12:] + data
