"""From record to record through a piece of a capture file; no reading, no exceptions, nothing in the file is trusted.

pcap: a header of 24 bytes, then records of 16 bytes and a frame.  The first four bytes say byte order and variant:

    0xA1B2C3D4 microseconds │ 0xA1B23C4D nanoseconds │ 0xA1B2CD34 microseconds, and 8 more bytes a record (Kuznetzov)

pcapng: blocks of (type, length, body, length again), lengths in whole words of four bytes.  A section header starts anew
with its own byte order and its own interfaces; each interface has a link type and a clock:

    time in ns = ticks × multiplier ÷ divisor, rounded down, + offset      exact, as Python's integers have no end

A walk stops before a record that is not whole in the buffer, and at the first that cannot be true.  A simple packet block
has no time; its packet gets time 0, as in libpcap.

Long stretches are walked by kernels, compiled where that pays.  The one for pcapng knows enhanced packet blocks of known
interfaces alone, and leaves the rest, and every trouble, to the words in Python.

Sources: draft-ietf-opsawg-pcap; draft-ietf-opsawg-pcapng §3–4.  Limits as in libpcap: MAXIMUM_SNAPLEN in pcap-int.h,
MAX_BLOCKSIZE in sf-pcapng.c.
"""

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from emulator.kernels import compiled, kernel, pays
from emulator.wire.headers import Matrix
from emulator.wire.integers import Bytes, be32, le32

MAX_FRAME = 262_144
"""Bytes; a record that claims more is taken for a broken one."""
MAX_BLOCK = 16 * 1024 * 1024
"""Bytes of a pcapng block, its frame and all its options."""
MAX_INTERFACES = 65_536
"""Interfaces of one section."""
MAX_TIME_NS = 2**62 - 1
"""Times are cut to ± this, some 146 years from 1970, so that sums of two stay inside 64 bits."""

PCAP_MAGICS = {0xA1B2C3D4: (1000, 16), 0xA1B23C4D: (1, 16), 0xA1B2CD34: (1000, 24)}
"""Nanoseconds of a fraction, and bytes before a frame."""
SECTION_MAGIC = b"\n\r\r\n"
INTERFACE = 1
_SECTION = 0x0A0D0D0A  # the same in both byte orders
_OLD_PACKET, _SIMPLE_PACKET, _PACKET = 2, 3, 6
_TIME_RESOLUTION, _TIME_OFFSET = 9, 14


class Record(IntEnum):
    """Columns of a chunk's records: place and sizes in bytes; interfaces are counted from 0 through the whole file."""

    OFFSET = 0
    CAPTURED = 1
    ORIGINAL = 2
    TIME_NS = 3
    LINK_TYPE = 4
    INTERFACE = 5


_ROW = Struct(f"={len(Record)}q")


class Walked(NamedTuple):
    """How far a walk came.

    Attributes
    ----------
    records : (n, 6) int64, columns Record
    at : where the next record begins
    trouble : why nothing behind ``at`` can be used; else empty
    """

    records: npt.NDArray[np.int64]
    at: int
    trouble: str


@kernel
def word(buffer: Bytes, at: int, big: int) -> int:
    """Four bytes in a file's byte order."""
    return be32(buffer, at) if big != 0 else le32(buffer, at)


class Stretch(NamedTuple):
    """How many records a kernel walked, where it stopped, and what the last record claimed to have captured."""

    records: int
    at: int
    captured: int


@kernel
def walk_pcap(
    buffer: Bytes, end: int, at: int, limit: int, big: int, head: int, fraction_ns: int, link_type: int, records: Matrix
) -> Stretch:
    """Walk at most ``limit`` whole pcap records; stops at one that is not whole or claims more than `MAX_FRAME`."""
    count, captured = 0, 0
    while count < limit and at + head <= end:
        captured = word(buffer, at + 8, big)
        if captured > MAX_FRAME or at + head + captured > end:
            break
        records[count, 0] = at + head
        records[count, 1] = captured
        records[count, 2] = word(buffer, at + 12, big)
        records[count, 3] = word(buffer, at, big) * 1_000_000_000 + word(buffer, at + 4, big) * fraction_ns
        records[count, 4] = link_type
        records[count, 5] = 0
        count += 1
        at += head + captured
    return Stretch(count, at, captured)


@kernel
def walk_packets(buffer: Bytes, end: int, at: int, limit: int, big: int, interfaces: Matrix, first: int, records: Matrix) -> Stretch:
    """Walk at most ``limit`` enhanced packet blocks that are plainly in order; stops at anything else.

    Parameters
    ----------
    interfaces : (n, 5) int64, columns link type, multiplier, divisor, offset in ns, most ticks that stay inside 64 bits
    first : number of the section's first interface in the file
    """
    count = 0
    while count < limit and at + 32 <= end and word(buffer, at, big) == _PACKET:
        length, number = word(buffer, at + 4, big), word(buffer, at + 8, big)
        if length < 32 or length & 3 != 0 or length > MAX_BLOCK or at + length > end or number >= interfaces.shape[0]:
            break
        high, captured = word(buffer, at + 12, big), word(buffer, at + 20, big)
        if word(buffer, at + length - 4, big) != length or captured > MAX_FRAME or captured > length - 32 or high >= 1 << 30:
            break
        ticks = (high << 32) | word(buffer, at + 16, big)
        if ticks > interfaces[number, 4]:
            break
        records[count, 0] = at + 28
        records[count, 1] = captured
        records[count, 2] = word(buffer, at + 24, big)
        records[count, 3] = ticks * interfaces[number, 1] // interfaces[number, 2] + interfaces[number, 3]
        records[count, 4] = interfaces[number, 0]
        records[count, 5] = first + number
        count += 1
        at += length
    return Stretch(count, at, 0)


class PcapWalk:
    """The walk through the records of a pcap file.

    Parameters
    ----------
    order : "<" or ">", as in `struct`
    magic : a key of `PCAP_MAGICS`
    link_type : of all its packets

    Attributes
    ----------
    work : a guess at the packets of the whole file, which says whether compiled walking pays
    """

    work = 0

    def __init__(self, order: str, magic: int, link_type: int) -> None:
        self._order, self._link_type = order, link_type
        self._fraction_ns, self._head = PCAP_MAGICS[magic]
        self.late = 0

    def cut(self, number: int) -> str:
        """The trouble of a file that ends within packet ``number``."""
        return f"cut in the middle of packet {number}"

    def walk(self, buffer: memoryview, at: int, limit: int, number: int) -> Walked:
        """At most ``limit`` whole records from ``at``, of which the first is packet ``number``, counted from 1."""
        if pays(walk_pcap, self.work):
            rows = np.empty((min(limit, (len(buffer) - at) // self._head), len(Record)), np.int64)
            data, big = np.frombuffer(buffer, np.uint8), int(self._order == ">")
            walked = compiled(walk_pcap)(data, len(data), at, len(rows), big, self._head, self._fraction_ns, self._link_type, rows)
            return Walked(rows[: walked.records], int(walked.at), self._too_large(walked.captured, number + walked.records))
        # One loop for the places, which hang on each other; then all other fields at once.
        end, head = len(buffer), self._head
        size = Struct(self._order + "I").unpack_from
        places: list[int] = []
        captured = 0
        while len(places) < limit and at + head <= end:
            (captured,) = size(buffer, at + 8)
            following = at + head + captured
            if captured > MAX_FRAME or following > end:
                break
            places.append(at)
            at = following
        trouble = self._too_large(captured, number + len(places))
        records = np.empty((len(places), len(Record)), np.int64)
        if places:
            starts = np.array(places, np.int64)
            raw = np.frombuffer(buffer, np.uint8)[starts[:, None] + np.arange(16)]
            fields = raw.view(self._order + "u4").astype(np.int64)
            records[:, Record.OFFSET] = starts + head
            records[:, Record.CAPTURED] = fields[:, 2]
            records[:, Record.ORIGINAL] = fields[:, 3]
            records[:, Record.TIME_NS] = fields[:, 0] * 1_000_000_000 + fields[:, 1] * self._fraction_ns
            records[:, Record.LINK_TYPE] = self._link_type
            records[:, Record.INTERFACE] = 0
        return Walked(records, at, trouble)

    def _too_large(self, captured: int, number: int) -> str:
        if captured <= MAX_FRAME:
            return ""
        return f"packet {number} claims {captured} bytes, more than {MAX_FRAME}, so the file is broken there"


class _Interface(NamedTuple):
    link_type: int
    snap_length: int
    multiplier: int
    divisor: int
    offset_ns: int

    def row(self) -> tuple[int, int, int, int, int]:
        """What `walk_packets` needs; no ticks at all where the numbers could leave 64 bits."""
        small = max(self.multiplier, self.divisor) < 2**62 and abs(self.offset_ns) < 2**61
        if not small:
            return self.link_type, 1, 1, 0, -1
        return self.link_type, self.multiplier, self.divisor, self.offset_ns, (2**61 - 1) // self.multiplier


def section_order(buffer: bytes | memoryview, at: int) -> str:
    """The byte order of a section header as `struct` writes it; empty where it has none."""
    return {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(bytes(buffer[at + 8 : at + 12]), "")


class PcapngWalk:
    """The walk through the blocks of a pcapng file.

    Attributes
    ----------
    late : packets whose times had to be cut to `MAX_TIME_NS`
    work : a guess at the packets of the whole file, which says whether compiled walking pays
    """

    work = 0

    def __init__(self) -> None:
        self.late = 0
        self._first_interface = self._interface_count = 0
        self._start_section("<")

    def cut(self, number: int) -> str:
        """The trouble of a file that ends within a block, where packet ``number`` was to come."""
        return f"cut in the middle of a block, where packet {number} was to come"

    def walk(self, buffer: memoryview, at: int, limit: int, number: int) -> Walked:
        """At most ``limit`` whole packet blocks from ``at``, of which the first is packet ``number``, counted from 1."""
        if not pays(walk_packets, self.work):
            return self._blocks(buffer, at, limit, number)
        rows = np.empty((min(limit, (len(buffer) - at) // 32 + 1), len(Record)), np.int64)
        data, count = np.frombuffer(buffer, np.uint8), 0
        while True:
            known = np.array([interface.row() for interface in self._interfaces], np.int64).reshape(-1, 5)
            walked = compiled(walk_packets)(
                data, len(data), at, len(rows) - count, int(self._order == ">"), known, self._first_interface, rows[count:]
            )
            count, at = count + int(walked.records), int(walked.at)
            if count >= len(rows):
                return Walked(rows, at, "")
            one = self._blocks(buffer, at, 1, number + count)
            rows[count : count + len(one.records)] = one.records
            count += len(one.records)
            if one.trouble or not len(one.records):
                return Walked(rows[:count], one.at, one.trouble)
            at = one.at

    def _blocks(self, buffer: memoryview, at: int, limit: int, number: int) -> Walked:
        """The walk in Python, which knows all blocks."""
        end = len(buffer)
        rows = bytearray(_ROW.size * (min(limit, (end - at) // 16) + 1))
        count, trouble = 0, ""
        while count < limit and at + 12 <= end:
            kind, length = self._block(buffer, at)
            if kind == _SECTION:
                # A header that is not whole comes by again with the next buffer; nothing it forgets is needed then.
                trouble = self._next_section(buffer, at)
                if trouble:
                    break
                kind, length = self._block(buffer, at)
            if length < 12 or length & 3 or length > MAX_BLOCK:
                trouble = f"a block claims {length} bytes, which no block has"
                break
            if at + length > end:
                break
            if self._word(buffer, at + length - 4)[0] != length:
                trouble = "the two lengths of a block differ"
                break
            if kind in (_PACKET, _OLD_PACKET, _SIMPLE_PACKET):
                row = self._packet(buffer, at, kind, length)
                if isinstance(row, str):
                    trouble = f"packet {number + count} {row}"
                    break
                _ROW.pack_into(rows, count * _ROW.size, *row)
                count += 1
            elif kind == INTERFACE:
                trouble = self._add_interface(buffer, at, length)
                if trouble:
                    break
            at += length
        records = np.frombuffer(rows, np.int64)[: count * len(Record)].reshape(count, len(Record))
        return Walked(records, at, trouble)

    def _start_section(self, order: str) -> None:
        self._order = order
        self._interfaces: list[_Interface] = []
        self._first_interface = self._interface_count
        self._block, self._word = Struct(order + "II").unpack_from, Struct(order + "I").unpack_from
        self._packet_fields, self._old_packet_fields = Struct(order + "5I").unpack_from, Struct(order + "H2x4I").unpack_from

    def _next_section(self, buffer: memoryview, at: int) -> str:
        """Take over a section header's byte order; its trouble, or nothing."""
        order = section_order(buffer, at)
        if not order:
            return "a section header says no byte order"
        if len(buffer) - at >= 14:
            (major,) = Struct(order + "H").unpack_from(buffer, at + 12)
            if major != 1:
                return f"a section is of pcapng version {major}, which is not known"
        self._start_section(order)
        return ""

    def _add_interface(self, buffer: memoryview, at: int, length: int) -> str:
        """Remember an interface block's link type and clock; its trouble, or nothing."""
        if length < 20:
            return "an interface block is too short"
        if len(self._interfaces) >= MAX_INTERFACES:
            return f"a section has more than {MAX_INTERFACES} interfaces"
        link_type, snap_length = Struct(self._order + "H2xI").unpack_from(buffer, at + 8)
        header = Struct(self._order + "HH")
        resolution, offset = 6, 0
        option, end = at + 16, at + length - 4
        while option + 4 <= end:
            code, size = header.unpack_from(buffer, option)
            option += 4
            if code == 0 or option + size > end:
                break
            if code == _TIME_RESOLUTION and size == 1:
                resolution = buffer[option]
            elif code == _TIME_OFFSET and size == 8:
                (offset,) = Struct(self._order + "q").unpack_from(buffer, option)
            option += (size + 3) & ~3
        exponent = resolution & 0x7F
        if resolution & 0x80:
            multiplier, divisor = 10**9, 2**exponent
        else:
            multiplier, divisor = 10 ** max(0, 9 - exponent), 10 ** max(0, exponent - 9)
        self._interfaces.append(_Interface(link_type, snap_length, multiplier, divisor, offset * 10**9))
        self._interface_count += 1
        return ""

    def _packet(self, buffer: memoryview, at: int, kind: int, length: int) -> tuple[int, int, int, int, int, int] | str:
        """A packet block's row, columns Record, or its trouble."""
        number = high = low = 0
        least = 16 if kind == _SIMPLE_PACKET else 32
        if length < least:
            return "has a block that is too short"
        if kind == _SIMPLE_PACKET:
            (original,) = self._word(buffer, at + 8)
            snap_length = self._interfaces[0].snap_length if self._interfaces else 0
            captured = min(original, snap_length) if snap_length else original
        else:
            fields = self._packet_fields if kind == _PACKET else self._old_packet_fields
            number, high, low, captured, original = fields(buffer, at + 8)
        if captured > MAX_FRAME or captured > length - least:
            return f"claims {captured} bytes, more than {f'{MAX_FRAME}' if captured > MAX_FRAME else 'its block holds'}"
        if number >= len(self._interfaces):
            return f"is from interface {number}, which the file does not describe"
        link_type, _, multiplier, divisor, offset_ns = self._interfaces[number]
        time_ns = 0
        if kind != _SIMPLE_PACKET:
            time_ns = ((high << 32) | low) * multiplier // divisor + offset_ns
            if not -MAX_TIME_NS <= time_ns <= MAX_TIME_NS:
                time_ns = max(-MAX_TIME_NS, min(MAX_TIME_NS, time_ns))
                self.late += 1
        return at + least - 4, captured, original, time_ns, link_type, self._first_interface + number
