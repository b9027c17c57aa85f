"""Capture files to chunks of frames: pcap, pcapng, and gzip of either, in constant memory.

    file ─► gunzip, if it begins like gzip ─► one buffer of about 1 MiB ─► walk the records ─► Chunk(buffer, records)
              ▲                                                                   │
              └────── a record that is not whole: carry it over, read on ─────────┘

A file that cannot be used at all raises `CaptureError` when it is opened.  Trouble behind good packets stops the reading
and leaves a line in `Capture.troubles`.  How records are laid out is in `walk`.
"""

import os
from collections.abc import Iterator
from struct import Struct
from sys import getrefcount
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from emulator.errors import CaptureError, UsageError
from emulator.wire.gunzip import GZIP_MAGIC, PIECE, File, Gunzip
from emulator.wire.walk import INTERFACE, MAX_BLOCK, MAX_FRAME, PCAP_MAGICS, SECTION_MAGIC, PcapngWalk, PcapWalk, Record, section_order

__all__ = ["LINK_TYPES", "MAX_FRAME", "Capture", "Chunk", "Record", "read_frames"]

LINK_TYPES = frozenset({0, 1, 9, 12, 14, 101, 108, 113, 228, 229, 276})
"""BSD null, Ethernet, PPP, raw IP (12, 14, 101), BSD loop, Linux SLL, IPv4, IPv6, Linux SLL2."""
READ_BYTES = 1024 * 1024  # small enough to stay in a processor's cache until it is parsed
_PACKET_BYTES = 500  # a guess
_HEAD_BYTES = 28  # what tells the formats apart, and their byte order
_OURS = 2  # references to the memory when no chunk has it: ours, and the question's own
_MAGICS = [SECTION_MAGIC, *(magic.to_bytes(4, order) for magic in PCAP_MAGICS for order in ("little", "big"))]
_FOREIGN = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"\xfd7zXZ": "xz; unpack it with unxz first",
    b"\x28\xb5\x2f\xfd": "zstd; unpack it with unzstd first",
    b"BZh": "bzip2; unpack it with bunzip2 first",
    GZIP_MAGIC: "gzip inside gzip; unpack it with gunzip first",
    b"snoop\0": "snoop; convert it with editcap -F pcapng",
}


class Chunk(NamedTuple):
    """Some packets that follow each other.

    Attributes
    ----------
    buffer : (m,) uint8, a piece of the file; chunks may share it, and it stays as it is for as long as somebody has it
    records : (n, 6) int64, columns Record; OFFSET is a place in the buffer
    """

    buffer: npt.NDArray[np.uint8]
    records: npt.NDArray[np.int64]


class Capture:
    """A capture file, open for reading once from front to back.

    Parameters
    ----------
    path : a pcap or pcapng file, or gzip of one, told apart by content, not by name; ``-`` is standard input
    live : give packets as soon as they are there, not when a buffer is full

    Attributes
    ----------
    packets : read so far
    size, position : bytes of the file, and how many of them were used; size is 0 for a pipe
    troubles : a line for each trouble that did not stop all; complete after the last chunk

    Raises
    ------
    CaptureError : no such file, not a capture, cut within its header, or of a link type that nobody here can parse.

    Examples
    --------
    >>> with Capture("examples/web.pcap") as capture:  # doctest: +SKIP
    ...     lengths = [chunk.records[:, Record.CAPTURED].sum() for chunk in capture.chunks()]
    """

    def __init__(self, path: str | os.PathLike[str], live: bool = False) -> None:
        self._live = live
        self._name = "standard input" if path == "-" else os.fspath(path)
        self.packets = 0
        self.troubles: list[str] = []
        self._store = np.empty(0, np.uint8)
        self._buffer = memoryview(b"")
        self._at = 0
        self._ended = False
        try:
            # Closed at the end of reading; standard input is read by its number and stays open.
            self._file = open(0 if path == "-" else path, "rb", buffering=0, closefd=path != "-")  # noqa: SIM115
        except FileNotFoundError:
            raise CaptureError(f"{self._name}: no such file; check the name") from None
        except IsADirectoryError:
            raise CaptureError(f"{self._name}: is a folder; name a capture file in it") from None
        except (OSError, ValueError) as error:
            trouble = error.strerror if isinstance(error, OSError) else error
            raise CaptureError(f"{self._name}: cannot be read: {trouble}; check its name and permissions") from None
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self._raw = File(self._file)
            self._source = self._open_source()
            self._walk = self._open_walk()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; reading to the end does so, too."""
        self._ended = True
        self._file.close()

    @property
    def position(self) -> int:
        """Bytes of the file used so far; of gzip, those unpacked so far."""
        return self._raw.position - (len(self._buffer) - self._at if self._source is self._raw else 0)

    def chunks(self, packets: int = 65536) -> Iterator[Chunk]:
        """The packets in file order, at most so many a chunk, from where reading stopped before.

        A chunk also ends with the buffer, about every MiB, so that memory stays the same whatever the file says.
        """
        if packets < 1:
            raise UsageError(f"chunks of {packets} packets: ask for at least 1")
        while not self._ended:
            self._walk.work = max(self.size // _PACKET_BYTES, self.packets)
            records, self._at, trouble = self._walk.walk(self._buffer, self._at, packets, self.packets + 1)
            self.packets += len(records)
            buffer = self._buffer
            if trouble:
                self._end(trouble)
            elif not len(records) and not self._fill():
                self._end(self._source.trouble or (self._walk.cut(self.packets + 1) if self._buffer else ""))
            if len(records):
                yield Chunk(np.frombuffer(buffer, np.uint8), records)
            del buffer

    def _end(self, trouble: str) -> None:
        if trouble:
            kept = {0: "no packet was read", 1: "the one before it was read"}.get(self.packets, f"the {self.packets} before it were read")
            self.troubles.append(f"{self._name}: {trouble}; {kept}")
        if self._walk.late:
            self.troubles.append(f"{self._name}: {self._walk.late} packets have times more than 146 years from 1970; they were cut to that")
        self.close()

    def _fill(self) -> bool:
        """Read on; false when nothing more came.

        The memory is used again, unless a chunk still has it: fresh memory costs more than reading into it.
        """
        rest = bytes(self._buffer[self._at :])
        kept = len(rest)
        self._buffer = memoryview(b"")
        if len(self._store) < kept + READ_BYTES or getrefcount(self._store) > _OURS:
            self._store = np.empty(kept + READ_BYTES, np.uint8)
        store = memoryview(self._store)  # type: ignore[arg-type]
        store[:kept] = rest
        length = kept
        while length < kept + READ_BYTES:
            count = self._source.read_into(store[length : kept + READ_BYTES])
            length += count
            if not count or self._live:
                break
        self._buffer, self._at = store[:length], 0
        return length > kept

    def _open_source(self) -> File | Gunzip:
        begin = self._raw.read(PIECE)
        if begin.startswith(GZIP_MAGIC):
            return Gunzip(self._raw, begin)
        self._buffer = memoryview(begin)
        return self._raw

    def _open_walk(self) -> PcapWalk | PcapngWalk:
        """Find out what the file is and fill the first buffer."""
        if not (self._live and len(self._buffer) >= _HEAD_BYTES):
            self._fill()
        head = bytes(self._buffer[:_HEAD_BYTES])
        if len(head) < 24 and self._source.trouble:
            raise CaptureError(f"{self._name}: {self._source.trouble} at its very start; fetch the file anew")
        if not head:
            raise CaptureError(f"{self._name}: is empty; was anything captured?")
        if head.startswith(SECTION_MAGIC):
            return self._open_pcapng(head)
        if head[:4] in _MAGICS:
            return self._open_pcap(head)
        if any(magic.startswith(head) for magic in _MAGICS):
            raise self._cut_header()
        foreign = next((f" ({what})" for magic, what in _FOREIGN.items() if head.startswith(magic)), "")
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in head[:8])
        begins = f'{head[:8].hex(" ")} "{text}"{foreign}'
        raise CaptureError(f"{self._name}: not a capture, begins with {begins}; vpcemu reads pcap, pcapng and gzip of these")

    def _open_pcap(self, head: bytes) -> PcapWalk:
        if len(head) < 24:
            raise self._cut_header()
        order = "<" if int.from_bytes(head[:4], "little") in PCAP_MAGICS else ">"
        magic, link = Struct(order + "I16xI").unpack_from(head)
        link_type = link & 0x03FFFFFF  # above are the length of the checksum and spare bits
        if link_type not in LINK_TYPES:
            raise self._unknown(link_type)
        self._at = 24
        return PcapWalk(order, magic, link_type)

    def _open_pcapng(self, head: bytes) -> PcapngWalk:
        if len(head) < 28:
            raise self._cut_header()
        order = section_order(head, 0)
        length, major = Struct((order or "<") + "4xI4xH").unpack_from(head)
        if not order or length < 28 or length > MAX_BLOCK or length & 3 or major != 1:
            raise CaptureError(f"{self._name}: its first pcapng section header is broken; fetch the file anew or mend it with pcapfix")
        if len(self._buffer) < length:
            raise self._cut_header()
        self._check_interfaces(order)
        return PcapngWalk()

    def _check_interfaces(self, order: str) -> None:
        """Refuse a file whose interfaces, as far as the first buffer shows, all have unknown link types."""
        buffer, at, unknown = self._buffer, 0, -1
        while at + 20 <= len(buffer):
            if buffer[at : at + 4] == SECTION_MAGIC:
                order = section_order(buffer, at) or order
            kind, length, link_type = Struct(order + "IIH").unpack_from(buffer, at)
            if length < 12 or length & 3:
                break
            if kind == INTERFACE:
                if link_type in LINK_TYPES:
                    return
                unknown = link_type if unknown < 0 else unknown
            at += length
        if unknown >= 0:
            raise self._unknown(unknown)

    def _cut_header(self) -> CaptureError:
        return CaptureError(f"{self._name}: cut within the file header, after {len(self._buffer)} bytes; fetch the file anew")

    def _unknown(self, link_type: int) -> CaptureError:
        return CaptureError(
            f"{self._name}: link type {link_type} is not one that vpcemu reads "
            "(Ethernet, raw IP, Linux SLL and SLL2, BSD loopback, PPP); convert it with editcap -T"
        )


def read_frames(path: str | os.PathLike[str]) -> list[tuple[int, int, bytes]]:
    """Time in ns, link type and bytes of each packet of a small capture; troubles pass in silence."""
    with Capture(path) as capture:
        return [
            (time_ns, link_type, chunk.buffer[offset : offset + captured].tobytes())
            for chunk in capture.chunks()
            for offset, captured, _, time_ns, link_type, _ in chunk.records.tolist()
        ]
