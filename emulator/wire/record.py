"""Frames to a pcapng file: nanoseconds, named interfaces, direction, packet ids, and comments that say what became of each.

    section header │ an interface block for each interface │ an enhanced packet block for each frame

All is little-endian.  An option is (code, length, value padded to four bytes); text is UTF-8 and cut where it does not
fit an option.

Source: draft-ietf-opsawg-pcapng §3.5, §4.1–4.3.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from struct import Struct
from typing import NamedTuple

from emulator.errors import CaptureError, printable
from emulator.wire.atomic import written
from emulator.wire.walk import MAX_BLOCK, MAX_FRAME, MAX_INTERFACES

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_COMMENT, _APPLICATION = 1, 4
_NAME, _DESCRIPTION, _TIME_RESOLUTION = 2, 3, 9
_FLAGS, _PACKET_ID, _VERDICT = 2, 5, 7
_TRAFFIC_CONTROL = Struct("<Bq")  # a verdict's kind 1 and value; of the kinds that pcapng knows the one that tells drops
_OK, _SHOT = 0, 2
_NANOSECONDS = b"\x09"
_MAX_OPTION = 65_535
_MAX_NAME = 100  # letters, of the 255 bytes that disks take
_SECTION_FIELDS = Struct("<IHHq")
_INTERFACE_FIELDS = Struct("<HHI")
_PACKET_FIELDS = Struct("<5I")
_OPTION, _WORD, _LONG, _BLOCK = Struct("<HH"), Struct("<I"), Struct("<Q"), Struct("<II")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class InterfaceInfo(NamedTuple):
    """An interface of the file: its name, the link type of its frames, a line on what it is; shown without control characters."""

    name: str
    link_type: int = 1
    description: str = ""


class RecordFrame(NamedTuple):
    """One frame to be written.

    Attributes
    ----------
    time_ns : since 1970
    interface : place in the list of interfaces
    data : the bytes kept, at most `MAX_FRAME`
    original : bytes the frame had before any was cut off; 0 or less for as many as ``data`` has
    comments : lines for Wireshark's ``frame.comment``, in this order
    inbound : seen from the interface; None where there is no direction
    packet_id : the emulator's number of the packet
    dropped : the verdict, in the words of Linux traffic control, 0 or 2 (``frame.verdict.ebpf_tc``); None where there is none
    """

    time_ns: int
    interface: int
    data: bytes
    original: int = 0
    comments: tuple[str, ...] = ()
    inbound: bool | None = None
    packet_id: int | None = None
    dropped: bool | None = None


def write_pcapng(path: str | os.PathLike[str], interfaces: Sequence[InterfaceInfo], frames: Iterable[RecordFrame]) -> int:
    """Write a capture, whole or not at all, and give the number of its frames.

    Raises
    ------
    CaptureError : the file cannot be written, or a frame cannot be said in pcapng.

    Examples
    --------
    >>> import tempfile
    >>> from emulator.wire.capture import read_frames
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_pcapng(f"{folder}/web.pcapng", [InterfaceInfo("eni-web", 101)], [RecordFrame(1_500, 0, b"E")])
    ...     read_frames(f"{folder}/web.pcapng")
    1
    [(1500, 101, b'E')]
    """
    name = os.fspath(path)
    if len(interfaces) > MAX_INTERFACES:
        raise CaptureError(f"{name}: {len(interfaces)} interfaces are more than a capture holds; write several")
    number = 0
    with written(path) as file:
        file.write(head(interfaces))
        for number, frame in enumerate(frames, 1):
            try:
                file.write(packet_block(frame, len(interfaces)))
            except ValueError as error:
                raise CaptureError(f"{name}: frame {number}: {error}") from None
    return number


def file_name(name: str, taken: set[str]) -> str:
    """A file's name, without suffix, for an interface of any name: nothing in it leads out of a folder or hides.

    It differs from all ``taken`` and is added to them; on some disks letters are the same large and small, so here, too.

    Examples
    --------
    >>> taken = set()
    >>> file_name("web-1:eth0", taken), file_name("../../etc/passwd", taken), file_name("Web-1/eth0", taken)
    ('web-1-eth0', 'etc-passwd', 'Web-1-eth0-2')
    """
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:_MAX_NAME] or "interface"
    numbered = (f"{plain}-{number}" for number in count(2))
    made = next(one for one in chain([plain], numbered) if one.casefold() not in taken)
    taken.add(made.casefold())
    return made


def head(interfaces: Iterable[InterfaceInfo]) -> bytes:
    """What a file begins with: the section header and the interfaces."""
    section = _block(_SECTION, _SECTION_FIELDS.pack(0x1A2B3C4D, 1, 0, -1) + _options(((_APPLICATION, b"vpcemu"),)))
    return section + b"".join(map(_interface_block, interfaces))


def _interface_block(interface: InterfaceInfo) -> bytes:
    texts = [(_NAME, _text(printable(interface.name)))]
    if interface.description:
        texts.append((_DESCRIPTION, _text(printable(interface.description))))
    return _block(
        _INTERFACE, _INTERFACE_FIELDS.pack(interface.link_type, 0, MAX_FRAME) + _options((*texts, (_TIME_RESOLUTION, _NANOSECONDS)))
    )


def packet_block(frame: RecordFrame, interfaces: int) -> bytes:
    """A frame as it stands in a file with so many interfaces.

    Raises
    ------
    ValueError : it cannot be said in pcapng.
    """
    length = len(frame.data)
    original = frame.original if frame.original > 0 else length
    if not 0 <= frame.time_ns < 1 << 64:
        raise ValueError(f"time {frame.time_ns} ns lies outside what a capture can say; count from 1970")
    if not 0 <= frame.interface < interfaces:
        raise ValueError(f"there is no interface {frame.interface}; {interfaces} are described")
    if length > MAX_FRAME or original >= 1 << 32:
        raise ValueError(f"{max(length, original)} bytes are more than a capture holds; keep {MAX_FRAME}")
    fields = _PACKET_FIELDS.pack(frame.interface, frame.time_ns >> 32, frame.time_ns & 0xFFFFFFFF, length, original)
    body = fields + frame.data + _PADDING[length & 3] + _options(_packet_options(frame))
    if len(body) > MAX_BLOCK - 12:
        raise ValueError("its comments are longer than a capture holds; write fewer")
    return _block(_PACKET, body)


def _packet_options(frame: RecordFrame) -> Iterator[tuple[int, bytes]]:
    for comment in frame.comments:
        yield _COMMENT, _text(comment)
    if frame.inbound is not None:
        yield _FLAGS, _WORD.pack(1 if frame.inbound else 2)
    if frame.packet_id is not None:
        yield _PACKET_ID, _LONG.pack(frame.packet_id & 0xFFFFFFFF_FFFFFFFF)
    if frame.dropped is not None:
        yield _VERDICT, _TRAFFIC_CONTROL.pack(1, _SHOT if frame.dropped else _OK)


def _text(text: str) -> bytes:
    """UTF-8 that fits an option; what was too long ends in an ellipsis, never within a character."""
    data = text.encode("utf-8", "replace")
    return data if len(data) <= _MAX_OPTION else data[: _MAX_OPTION - 3].decode("utf-8", "ignore").encode() + "…".encode()


def _options(options: Iterable[tuple[int, bytes]]) -> bytes:
    packed = b"".join(_OPTION.pack(code, len(value)) + value + _PADDING[len(value) & 3] for code, value in options)
    return packed + _OPTION.pack(0, 0) if packed else b""


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return _BLOCK.pack(kind, length) + body + _WORD.pack(length)
