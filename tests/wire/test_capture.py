"""What the reader of captures promises, on real files and on files built here byte by byte."""

import gzip
import io
import os
import re
import struct
import tracemalloc
import zlib

import dpkt
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.errors import CaptureError, UsageError
from emulator.wire import capture as capture_module
from emulator.wire import gunzip, walk
from emulator.wire.capture import LINK_TYPES, MAX_FRAME, Capture, Record, read_frames

FRAMES = [b"\x00" * 12 + b"\x08\x00" + bytes([number]) * number for number in range(1, 8)]
TIMES_NS = [1_700_000_000_000_000_000 + number * 1_001_000 for number in range(len(FRAMES))]


def pcap(order="<", magic=0xA1B2C3D4, link_type=1, frames=FRAMES):
    """A pcap file of some frames at TIMES_NS."""
    fraction_ns = 1 if magic == 0xA1B23C4D else 1000
    extra = bytes(8) if magic == 0xA1B2CD34 else b""
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for time_ns, frame in zip(TIMES_NS, frames, strict=False):
        seconds, rest = divmod(time_ns, 10**9)
        out += struct.pack(order + "IIII", seconds, rest // fraction_ns, len(frame), len(frame) + 4) + extra + frame
    return out


def block(order, kind, body):
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def section(order="<", major=1):
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1))


def interface(order="<", link_type=1, snap_length=0, resolution=None, offset=None):
    options = b""
    if resolution is not None:
        options += struct.pack(order + "HHB3x", 9, 1, resolution)
    if offset is not None:
        options += struct.pack(order + "HHq", 14, 8, offset)
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, snap_length) + options + (bytes(4) if options else b""))


def packet(order="<", number=0, ticks=0, data=b"", kind=6, original=None):
    first = struct.pack(order + "I", number) if kind == 6 else struct.pack(order + "HH", number, 7)
    sizes = struct.pack(order + "IIII", ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data) if original is None else original)
    return block(order, kind, first + sizes + data)


def simple(order="<", data=b"", original=None):
    return block(order, 3, struct.pack(order + "I", len(data) if original is None else original) + data)


def pcapng(order="<", frames=FRAMES, resolution=9):
    """A pcapng file of some frames at TIMES_NS."""
    packets = (packet(order, 0, time_ns // 10 ** (9 - resolution), frame) for time_ns, frame in zip(TIMES_NS, frames, strict=False))
    return section(order) + interface(order, resolution=resolution) + b"".join(packets)


@pytest.fixture
def put(tmp_path):
    """Write bytes to a file of this test and give its path."""

    def write(data, name="x.pcap"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


def read(path, packets=65536):
    """All frames of a file with their records, and the troubles met."""
    with Capture(path) as capture:
        frames = [
            (chunk.buffer[row[Record.OFFSET] : row[Record.OFFSET] + row[Record.CAPTURED]].tobytes(), *row[Record.CAPTURED :])
            for chunk in capture.chunks(packets)
            for row in chunk.records.tolist()
        ]
        assert capture.packets == len(frames)
        return frames, capture.troubles


def bytes_of(frames):
    return [frame[0] for frame in frames]


def times_of(frames):
    return [frame[3] for frame in frames]


# Real captures -------------------------------------------------------------------------------------------------------


def manifest(shared):
    """Packets and link types that the manifest names for each file."""
    rows = re.findall(
        r"^\| `([^`]+)` \|[^|]*\| (pcap|pcapng), ([^|]+) \| ([0-9,]+) \|", (shared / "captures/MANIFEST.md").read_text(), re.MULTILINE
    )
    return {name: (kind, link, int(count.replace(",", ""))) for name, kind, link, count in rows}


def scapy_frames(path):
    """(time ns, link type, bytes, original length) of each packet as Scapy sees it."""
    from scapy.utils import RawPcapNgReader, RawPcapReader

    with RawPcapReader(str(path)) as reader:
        for data, about in reader:
            if isinstance(reader, RawPcapNgReader):
                # Scapy gives ticks a second, 10**6 or the interface's own.
                ticks = (about.tshigh << 32) | about.tslow if about.tshigh is not None else 0
                yield ticks * 10**9 // int(about.tsresol), about.linktype, data, about.wirelen
            else:
                yield about.sec * 10**9 + about.usec * (1 if reader.nano else 1000), reader.linktype, data, about.wirelen


def test_real_captures_have_as_many_packets_as_the_manifest_says(shared):
    """Each of the 56 captures is read to its end; only the one that is cut says so."""
    expected = manifest(shared)
    assert len(expected) == 56
    for name, (_, link, count) in expected.items():
        with Capture(shared / "captures" / name) as capture:
            link_types = {int(number) for chunk in capture.chunks() for number in np.unique(chunk.records[:, Record.LINK_TYPE])}
        assert (name, capture.packets) == (name, count)
        known = {
            "Ethernet": {1},
            "RAW": {101},
            "IPV4": {228},
            "NULL": {0},
            "SLL": {113},
            "SLL2": {276},
            "PPP": {9},
            "NULL+Ethernet": {0, 1},
        }
        assert (name, link_types) == (name, known[link])
        if name == "tcp-midstream-truncated-file.pcap":
            assert [line.rpartition("/")[2] for line in capture.troubles] == [
                "tcp-midstream-truncated-file.pcap: cut in the middle of packet 2042; the 2041 before it were read"
            ]
        else:
            assert (name, capture.troubles) == (name, [])
            assert (name, capture.position) == (name, capture.size)


def test_real_captures_read_as_scapy_reads_them(shared):
    """Times to the nanosecond, link types, original lengths and bytes are those of an independent reader."""
    for name, (_, _, count) in manifest(shared).items():
        ours = [(frame[3], frame[4], frame[0], frame[2]) for frame in read(shared / "captures" / name)[0]]
        theirs = list(scapy_frames(shared / "captures" / name))[:count]  # Scapy gives the packet that is cut, too
        assert ours == theirs, name


def test_real_captures_read_as_dpkt_reads_them(shared):
    """The bytes are those of a second independent reader, too."""
    for name, (kind, _, count) in manifest(shared).items():
        with (shared / "captures" / name).open("rb") as file:
            reader = (dpkt.pcap if kind == "pcap" else dpkt.pcapng).Reader(file)
            theirs = [bytes(data) for _, data in reader][:count]
        assert bytes_of(read(shared / "captures" / name)[0]) == theirs, name


# Formats -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34], ids=["microseconds", "nanoseconds", "Kuznetzov"])
def test_pcap_variants(put, order, magic):
    """Each variant of pcap gives the same frames, times, lengths and link type."""
    frames, troubles = read(put(pcap(order, magic)))
    assert frames == [(frame, len(frame), len(frame) + 4, time_ns, 1, 0) for frame, time_ns in zip(FRAMES, TIMES_NS, strict=True)]
    assert troubles == []


@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
@pytest.mark.parametrize("kind", [6, 2], ids=["enhanced packet block", "obsolete packet block"])
def test_pcapng_packet_blocks(put, order, kind):
    """Both kinds of packet block give interface, time, link type and lengths."""
    data = section(order) + interface(order) + interface(order, 101, resolution=9)
    data += packet(order, 1, TIMES_NS[0], b"E" * 21, kind, original=1500) + packet(order, 0, TIMES_NS[1] // 1000, b"abc", kind)
    assert read(put(data)) == ([(b"E" * 21, 21, 1500, TIMES_NS[0], 101, 1), (b"abc", 3, 3, TIMES_NS[1], 1, 0)], [])


def test_simple_packet_blocks(put):
    """A simple packet block is of the first interface, has no time, and is cut at the snap length."""
    data = section() + interface(link_type=101, snap_length=5) + simple(data=b"abc") + simple(data=b"abcde", original=9)
    assert read(put(data)) == ([(b"abc", 3, 3, 0, 101, 0), (b"abcde", 5, 9, 0, 101, 0)], [])


def test_unknown_blocks_are_skipped(put):
    """Name resolution, statistics, secrets and private blocks are passed over."""
    other = b"".join(block("<", kind, b"whatever" * 3) for kind in (4, 5, 10, 0xBAD, 0x80000001))
    data = section() + other + interface(resolution=9) + other + packet(ticks=5, data=b"a") + other
    assert read(put(data)) == ([(b"a", 1, 1, 5, 1, 0)], [])


def test_sections_start_anew(put):
    """Each section has its own byte order, interfaces and clocks; interfaces are counted on through the file."""
    data = section("<") + interface("<", 1, resolution=9) + interface("<", 101) + packet("<", 1, 7, b"a")
    data += section(">") + interface(">", 228, resolution=3) + packet(">", 0, 7, b"b")
    data += section("<") + section(">") + interface(">", 113) + packet(">", 0, 7, b"c")
    assert read(put(data))[0] == [(b"a", 1, 1, 7_000, 101, 1), (b"b", 1, 1, 7_000_000, 228, 2), (b"c", 1, 1, 7_000, 113, 3)]
    assert read(put(data), 1) == read(put(data))


@pytest.mark.parametrize(
    ("resolution", "offset", "ticks", "time_ns"),
    [
        pytest.param(None, None, 3, 3_000, id="microseconds where nothing is said"),
        pytest.param(0, None, 3, 3_000_000_000, id="seconds"),
        pytest.param(9, None, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789, id="nanoseconds keep every digit"),
        pytest.param(12, None, 1_999, 1, id="picoseconds are rounded down"),
        pytest.param(127, None, 2**64 - 1, 0, id="a resolution finer than anything"),
        pytest.param(0x80 | 10, None, 1_536, 1_500_000_000, id="a power of two"),
        pytest.param(0x80 | 32, None, (1_700_000_000 << 32) | 1, 1_700_000_000 * 10**9, id="2**-32 s, as in NTP"),
        pytest.param(0x80 | 63, None, 2**63 + 2**62, 1_500_000_000, id="a fine power of two"),
        pytest.param(9, 1_700_000_000, 5, 1_700_000_000_000_000_005, id="an offset in seconds"),
        pytest.param(9, -1, 5, -999_999_995, id="a negative offset"),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
def test_clocks(put, order, resolution, offset, ticks, time_ns):
    """Times are exact to the nanosecond for each resolution and offset."""
    frames, troubles = read(put(section(order) + interface(order, resolution=resolution, offset=offset) + packet(order, 0, ticks, b"a")))
    assert (times_of(frames), troubles) == ([time_ns], [])


@pytest.mark.parametrize(("offset", "time_ns"), [(2**63 - 1, 2**62 - 1), (-(2**63), -(2**62) + 1)])
def test_times_beyond_64_bits(put, offset, time_ns):
    """A time that no clock has is cut to the limit and counted, so sums stay inside 64 bits."""
    path = put(section() + interface(offset=offset) + packet(ticks=1, data=b"a") + packet(ticks=2, data=b"b"))
    frames, troubles = read(path)
    assert times_of(frames) == [time_ns, time_ns]
    assert troubles == [f"{path}: 2 packets have times more than 146 years from 1970; they were cut to that"]


def test_largest_pcap_time(put):
    """The largest time that pcap can say is read as it stands."""
    data = pcap(frames=[]) + struct.pack("<IIII", 2**32 - 1, 2**32 - 1, 0, 0)
    assert times_of(read(put(data))[0]) == [(2**32 - 1) * 10**9 + (2**32 - 1) * 1000]


def test_spare_bits_of_the_link_type(put):
    """The bits above the link type, which say the length of a checksum, are no part of it."""
    assert read(put(pcap(link_type=0x5400_0001)))[0][0][4] == 1


@pytest.mark.parametrize("data", [pcap(), pcap(">"), pcapng(), pcapng(">")], ids=["pcap", "pcap big-endian", "pcapng", "pcapng big-endian"])
@pytest.mark.parametrize("name", ["x.pcap", "x.gz"])
def test_gzip(put, data, name):
    """Gzip is known by its content; several members are one file, and zeros behind them are nothing."""
    expected = read(put(data))
    assert read(put(gzip.compress(data), name)) == expected
    assert read(put(b"".join(gzip.compress(data[at : at + 7]) for at in range(0, len(data), 7)), name)) == expected
    assert read(put(gzip.compress(data) + gzip.compress(b"") + bytes(100_000), name)) == expected


def test_gzip_position(put):
    """Position and size are those of the packed file, so that they make a progress bar."""
    path = put(gzip.compress(pcap()))
    with Capture(path) as capture:
        list(capture.chunks())
    assert capture.position == capture.size == path.stat().st_size


def test_position(put):
    """Position grows with what was handed out, from the header to the end of the file."""
    path = put(pcap())
    with Capture(path) as capture:
        positions = [capture.position, *(capture.position for _ in capture.chunks(1))]
    assert positions[0] == 24
    assert positions == sorted(set(positions))
    assert capture.position == capture.size == path.stat().st_size


def test_pipe(tmp_path):
    """A pipe, whose size nobody knows, is read as a file is."""
    reading, writing = os.pipe()
    os.write(writing, pcap())
    os.close(writing)
    try:
        assert bytes_of(read(f"/dev/fd/{reading}")[0]) == FRAMES
    finally:
        os.close(reading)


def test_read_frames(put):
    """The short way gives time, link type and bytes."""
    assert read_frames(put(pcap(link_type=113))) == [(time_ns, 113, frame) for time_ns, frame in zip(TIMES_NS, FRAMES, strict=True)]


@pytest.mark.parametrize("data", [pcap(), pcapng()], ids=["pcap", "pcapng"])
def test_chunks_are_matrices(put, data):
    """A chunk is bytes and a C-ordered matrix of int64, both writable, so that one compiled kernel takes all chunks."""
    with Capture(put(data)) as capture:
        for buffer, records in capture.chunks(2):
            assert (buffer.dtype, buffer.ndim, buffer.flags.c_contiguous, buffer.flags.writeable) == (np.uint8, 1, True, True)
            assert (records.dtype, records.shape[1], records.flags.c_contiguous, records.flags.writeable) == (
                np.int64,
                len(Record),
                True,
                True,
            )
            assert 1 <= len(records) <= 2


@pytest.mark.parametrize("data", [pcap(), pcap(">"), pcapng(), pcapng(">", resolution=6)], ids=["<", ">", "ng <", "ng >"])
def test_compiled_walks_say_the_same(put, monkeypatch, data):
    """Machine code and Python give the same packets and the same troubles, of whole files, cut files and files with a wrong byte."""
    random = np.random.default_rng(1)
    broken = [bytes(data[:at]) + bytes([int(random.integers(256))]) + bytes(data[at + 1 :]) for at in range(28, len(data))]
    paths = [put(variant, f"{number}") for number, variant in enumerate([data, *(data[:cut] for cut in range(40, len(data), 7)), *broken])]

    def outcome(path):
        try:
            return read(path, 3)
        except CaptureError as error:
            return str(error)

    expected = [outcome(path) for path in paths]
    monkeypatch.setattr(walk, "pays", lambda function, work: True)
    assert [outcome(path) for path in paths] == expected


@pytest.mark.parametrize(
    "data", [pcap(), pcapng(), gzip.compress(pcap(">")), gzip.compress(pcapng(">"))], ids=["pcap", "pcapng", "pcap.gz", "pcapng.gz"]
)
def test_chunk_and_buffer_size_change_nothing(put, monkeypatch, data):
    """The packets and troubles are the same for each size of chunk, of buffer and of gzip piece, whole file or cut."""
    paths = [put(data, "whole"), put(data[:-3], "cut")]
    expected = [read(path) for path in paths]
    for size in (32, 33, 40, 57, 100, 1000):
        monkeypatch.setattr(capture_module, "READ_BYTES", size)
        monkeypatch.setattr(gunzip, "PIECE", size % 7 + 1)
        for packets in (1, 2, 3, 7, 8, 10**9):
            assert [read(path, packets) for path in paths] == expected


def test_reading_goes_on(put):
    """A second call of chunks goes on where the first one stopped; after the end there is nothing."""
    with Capture(put(pcap())) as capture:
        first = next(capture.chunks(3))
        rest = list(capture.chunks(100))
        assert [len(chunk.records) for chunk in (first, *rest)] == [3, 4]
        assert list(capture.chunks()) == []


def test_chunks_of_nothing(put):
    """Chunks without packets are refused, as they would never end."""
    with Capture(put(pcap())) as capture, pytest.raises(UsageError, match=r"^chunks of 0 packets: ask for at least 1$"):
        next(capture.chunks(0))


def test_reading_to_the_end_closes_the_file(put):
    """A capture read to its end without a with block leaves no file open (warnings are errors here)."""
    capture = Capture(put(pcap()))
    assert sum(len(chunk.records) for chunk in capture.chunks()) == len(FRAMES)
    assert capture._file.closed


# What cannot be read -------------------------------------------------------------------------------------------------


def refusal(path):
    """The one line that says why a file cannot be read at all, without the folder of the file."""
    with pytest.raises(CaptureError) as caught:
        Capture(path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        pytest.param(b"", "is empty; was anything captured?", id="empty file"),
        pytest.param(gzip.compress(b""), "is empty; was anything captured?", id="gzip of an empty file"),
        pytest.param(
            b"PK\x03\x04\x14\x00\x00\x00rest",
            'not a capture, begins with 50 4b 03 04 14 00 00 00 "PK......" (a zip archive; unpack it first); '
            "vpcemu reads pcap, pcapng and gzip of these",
            id="zip archive",
        ),
        pytest.param(
            b"vpcs:\n  main: {}\n",
            'not a capture, begins with 76 70 63 73 3a 0a 20 20 "vpcs:.  "; vpcemu reads pcap, pcapng and gzip of these',
            id="a topology",
        ),
        pytest.param(
            gzip.compress(gzip.compress(pcap(), mtime=0)),
            'not a capture, begins with 1f 8b 08 00 00 00 00 00 "........" (gzip inside gzip; unpack it with gunzip first); '
            "vpcemu reads pcap, pcapng and gzip of these",
            id="gzip in gzip",
        ),
        pytest.param(pcap()[:3], "cut within the file header, after 3 bytes; fetch the file anew", id="cut within the magic"),
        pytest.param(pcap()[:23], "cut within the file header, after 23 bytes; fetch the file anew", id="cut within the header"),
        pytest.param(pcapng()[:27], "cut within the file header, after 27 bytes; fetch the file anew", id="cut within the section header"),
        pytest.param(
            struct.pack("<III", 0x0A0D0D0A, 64, 0x1A2B3C4D) + struct.pack("<HH", 1, 0) + bytes(30),
            "cut within the file header, after 46 bytes; fetch the file anew",
            id="cut within the options of the section header",
        ),
        pytest.param(
            section(major=2),
            "its first pcapng section header is broken; fetch the file anew or mend it with pcapfix",
            id="pcapng version 2",
        ),
        pytest.param(
            struct.pack("<III", 0x0A0D0D0A, 2**32 - 4, 0x1A2B3C4D) + bytes([1, 0]) * 40,
            "its first pcapng section header is broken; fetch the file anew or mend it with pcapfix",
            id="section header of 4 GiB",
        ),
        pytest.param(
            struct.pack("<III", 0x0A0D0D0A, 28, 0xDEADBEEF) + bytes(40),
            "its first pcapng section header is broken; fetch the file anew or mend it with pcapfix",
            id="section header without byte order",
        ),
        pytest.param(
            gzip.compress(pcap())[:14], "the gzip data is cut at its very start; fetch the file anew", id="gzip cut near its start"
        ),
        pytest.param(
            b"\x1f\x8b\x08\x00" + b"\xff" * 40, "the gzip data is corrupt at its very start; fetch the file anew", id="corrupt gzip"
        ),
        pytest.param(
            pcap(link_type=147),
            "link type 147 is not one that vpcemu reads (Ethernet, raw IP, Linux SLL and SLL2, BSD loopback, PPP); "
            "convert it with editcap -T",
            id="pcap of an unknown link type",
        ),
        pytest.param(
            section() + interface(link_type=105) + interface(link_type=127) + packet(data=b"a"),
            "link type 105 is not one that vpcemu reads (Ethernet, raw IP, Linux SLL and SLL2, BSD loopback, PPP); "
            "convert it with editcap -T",
            id="pcapng of unknown link types only",
        ),
    ],
)
def test_files_that_are_refused(put, data, line):
    """What cannot be used at all is refused when it is opened, in one line that has the way out."""
    assert refusal(put(data)) == line


def test_places_that_are_refused(tmp_path, put, monkeypatch):
    """So is what is no file, and what may not be read."""
    assert refusal(tmp_path / "none.pcap") == "no such file; check the name"
    assert refusal(tmp_path) == "is a folder; name a capture file in it"
    assert refusal(put(pcap()) / "inside") == "cannot be read: Not a directory; check its name and permissions"
    assert refusal(f"{tmp_path}/\0") == "cannot be read: embedded null byte; check its name and permissions"

    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(capture_module, "open", refuse, raising=False)
    assert refusal(put(pcap())) == "cannot be read: Permission denied; check its name and permissions"


@pytest.mark.parametrize("link_type", sorted(LINK_TYPES))
def test_known_link_types(put, link_type):
    """Each known link type is read, and delivered as found."""
    assert read(put(pcap(link_type=link_type)))[0][0][4] == link_type


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_unknown_link_types_beside_known_ones(put, first):
    """With one interface that can be parsed, packets of the others are delivered as they are."""
    known, unknown = interface(link_type=1), interface(link_type=147)
    data = section()
    data += unknown + packet(data=b"a") + known + packet(number=1, data=b"b") if first else known + unknown + packet(number=1, data=b"a")
    frames, troubles = read(put(data))
    assert {frame[4] for frame in frames} == ({147, 1} if first else {147})
    assert troubles == []


# Trouble behind good packets -----------------------------------------------------------------------------------------

GOOD = section() + interface(resolution=9) + packet(ticks=1, data=b"a") + packet(ticks=2, data=b"b")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        pytest.param(pcap(frames=FRAMES[:2])[:-1], "cut in the middle of packet 2; the one before it was read", id="pcap cut in a frame"),
        pytest.param(
            pcap(frames=FRAMES[:2]) + b"\0" * 15,
            "cut in the middle of packet 3; the 2 before it were read",
            id="pcap cut in a record header",
        ),
        pytest.param(pcap(frames=FRAMES[:1])[:-1], "cut in the middle of packet 1; no packet was read", id="pcap cut in its first frame"),
        pytest.param(
            pcap(frames=FRAMES[:2]) + struct.pack("<IIII", 0, 0, 2**32 - 1, 2**32 - 1) + bytes(1000),
            "packet 3 claims 4294967295 bytes, more than 262144, so the file is broken there; the 2 before it were read",
            id="pcap record of 4 GiB",
        ),
        pytest.param(
            GOOD + packet(data=b"c")[:-1],
            "cut in the middle of a block, where packet 3 was to come; the 2 before it were read",
            id="pcapng cut",
        ),
        pytest.param(
            GOOD + struct.pack("<II", 6, 2**32 - 4) + bytes(99),
            "a block claims 4294967292 bytes, which no block has; the 2 before it were read",
            id="block of 4 GiB",
        ),
        pytest.param(
            GOOD + struct.pack("<II", 6, 0) + bytes(99),
            "a block claims 0 bytes, which no block has; the 2 before it were read",
            id="empty block",
        ),
        pytest.param(
            GOOD + struct.pack("<II", 6, 33) + bytes(99),
            "a block claims 33 bytes, which no block has; the 2 before it were read",
            id="odd block",
        ),
        pytest.param(
            GOOD + struct.pack("<II", 6, 32) + bytes(99),
            "the two lengths of a block differ; the 2 before it were read",
            id="lengths differ",
        ),
        pytest.param(
            GOOD + block("<", 6, bytes(12)), "packet 3 has a block that is too short; the 2 before it were read", id="short packet block"
        ),
        pytest.param(
            GOOD + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 9, 9) + bytes(8)),
            "packet 3 claims 9 bytes, more than its block holds; the 2 before it were read",
            id="captured length lies",
        ),
        pytest.param(
            GOOD + packet(data=bytes(MAX_FRAME + 1)),
            "packet 3 claims 262145 bytes, more than 262144; the 2 before it were read",
            id="frame beyond the limit",
        ),
        pytest.param(
            GOOD + simple(data=b"abcd", original=5),
            "packet 3 claims 5 bytes, more than its block holds; the 2 before it were read",
            id="simple packet lies",
        ),
        pytest.param(
            GOOD + packet(number=1, data=b"c"),
            "packet 3 is from interface 1, which the file does not describe; the 2 before it were read",
            id="unknown interface",
        ),
        pytest.param(
            GOOD + section(">") + packet(">", data=b"c"),
            "packet 3 is from interface 0, which the file does not describe; the 2 before it were read",
            id="interface of another section",
        ),
        pytest.param(
            GOOD + block("<", 1, b"abcd"), "an interface block is too short; the 2 before it were read", id="short interface block"
        ),
        pytest.param(
            GOOD + block("<", 0x0A0D0D0A, bytes(16)),
            "a section header says no byte order; the 2 before it were read",
            id="section without order",
        ),
        pytest.param(
            GOOD + section(major=9),
            "a section is of pcapng version 9, which is not known; the 2 before it were read",
            id="section of another version",
        ),
        pytest.param(gzip.compress(pcap())[:-1], "the gzip data is cut; the 7 before it were read", id="gzip cut within its checksum"),
        pytest.param(
            gzip.compress(pcap())[:-8] + bytes(8), "the gzip data is corrupt; the 7 before it were read", id="gzip with a wrong checksum"
        ),
        pytest.param(
            gzip.compress(pcap()) + b"rest", "bytes behind the gzip data were left out; the 7 before it were read", id="bytes behind gzip"
        ),
        pytest.param(
            gzip.compress(pcap()) + b"\x1f",
            "bytes behind the gzip data were left out; the 7 before it were read",
            id="one byte behind gzip",
        ),
        pytest.param(
            gzip.compress(pcap()) + b"\x1f\x8bcorrupt",
            "the gzip data is corrupt; the 7 before it were read",
            id="second gzip member corrupt",
        ),
    ],
)
def test_trouble_behind_good_packets(put, data, line):
    """Reading stops at the trouble, keeps what was read, and says so in one line."""
    path = put(data)
    frames, troubles = read(path)
    assert troubles == [f"{path}: {line}"]
    assert bytes_of(frames) in (FRAMES[: len(frames)], [b"a", b"b"][: len(frames)])
    assert read(path, 1) == (frames, troubles)


def test_frames_up_to_the_limit(put):
    """The largest frame is read, in both formats."""
    frame = bytes(MAX_FRAME)
    assert bytes_of(read(put(pcap(frames=[frame])))[0]) == [frame]
    assert bytes_of(read(put(pcapng(frames=[frame])))[0]) == [frame]


def test_interfaces_up_to_the_limit(put):
    """A section has at most 65,536 interfaces; the next section may have as many again."""
    full = section() + interface() * walk.MAX_INTERFACES + packet(number=walk.MAX_INTERFACES - 1, data=b"a")
    path = put(full + full + interface())
    frames, troubles = read(path)
    assert [frame[5] for frame in frames] == [walk.MAX_INTERFACES - 1, 2 * walk.MAX_INTERFACES - 1]
    assert troubles == [f"{path}: a section has more than 65536 interfaces; the 2 before it were read"]


def test_options_that_lie(put):
    """An option that claims more than its block holds ends the options, not the reading."""
    lying = block("<", 1, struct.pack("<HHI", 1, 0, 0) + struct.pack("<HHB3x", 9, 1, 9) + struct.pack("<HHI", 14, 60_000, 5))
    assert times_of(read(put(section() + lying + packet(ticks=5, data=b"a")))[0]) == [5]


def test_a_disk_that_fails(put, monkeypatch):
    """A read error behind good packets stops the reading with a line, one at the start refuses the file."""
    path = put(pcap())

    class Failing(io.FileIO):
        left = 1

        def read(self, size=-1):
            if not self.left:
                raise OSError(5, "Input/output error")
            self.left -= 1
            return super().read(100)

        def readinto(self, room):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(capture_module, "open", lambda path, *_arguments, **_options: Failing(path), raising=False)
    frames, troubles = read(path)
    assert bytes_of(frames) == FRAMES[:2]
    assert troubles == [f"{path}: cannot be read on: Input/output error; the 2 before it were read"]
    monkeypatch.setattr(Failing, "left", 0)
    assert refusal(path) == "cannot be read on: Input/output error at its very start; fetch the file anew"


def prefix(path, expected):
    """What a damaged file gives must be refused or a beginning of what the whole one gives."""
    try:
        frames, troubles = read(path)
    except CaptureError:
        return
    assert frames == expected[: len(frames)]
    assert len(troubles) <= 1


@pytest.mark.parametrize(
    "data", [pcap(), pcap(">", 0xA1B2CD34), pcapng(), pcapng(">")], ids=["pcap", "Kuznetzov", "pcapng", "pcapng big-endian"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_cut_at_each_byte(put, data, pack):
    """A file cut anywhere is refused or gives the packets before the cut, with a line unless it is between two of them."""
    expected, _ = read(put(data))
    packed = pack(data)
    for length in range(len(packed)):
        prefix(put(packed[:length]), expected)
    if pack is bytes:
        whole = [length for length in range(24, len(data)) if not _troubles(put(data[:length]))]
        before_first_frame = 2 if data.startswith(b"\n") else 1  # pcapng: behind the section header and the interface
        assert len(whole) == before_first_frame + len(FRAMES) - 1


def _troubles(path):
    try:
        return read(path)[1]
    except CaptureError as error:
        return [str(error)]


@pytest.mark.parametrize("data", [gzip.compress(pcap()), gzip.compress(pcapng())], ids=["pcap", "pcapng"])
def test_gzip_fault_at_each_byte(put, data):
    """A wrong byte anywhere in gzip never raises anything but CaptureError."""
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x55
        _troubles(put(broken))


def test_what_gzip_held_before_a_fault(put):
    """All packets before a fault in gzip are given, not only those before the piece with the fault."""
    frames = [bytes([number % 251]) * 60 for number in range(5000)]
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    data = head + b"".join(struct.pack("<IIII", 1, number, 60, 60) + frame for number, frame in enumerate(frames))
    engine = zlib.compressobj(wbits=31)
    good = engine.compress(data) + engine.flush(zlib.Z_FULL_FLUSH)
    read_back, troubles = read(put(good + b"\xff" * 100))
    assert bytes_of(read_back) == frames
    assert len(troubles) == 1


BEGINNINGS = [b"", pcap()[:24], pcap(">")[:24], GOOD, section(">") + interface(">"), b"\x1f\x8b\x08"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(beginning=st.sampled_from(BEGINNINGS), rest=st.binary(max_size=300), packets=st.integers(1, 5))
def test_any_bytes(put, beginning, rest, packets):
    """Any bytes at all are refused with CaptureError or read, the same for each size of chunk."""
    path = put(beginning + rest)
    try:
        expected = read(path)
    except CaptureError as error:
        refused = str(error)
    else:
        assert read(path, packets) == expected
        return
    assert len(refused.splitlines()) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    data=st.sampled_from([pcap(), pcap(">"), pcapng(), pcapng(">", resolution=6)]),
    changes=st.dictionaries(st.integers(0, 400), st.integers(0, 255), max_size=4),
)
def test_wrong_bytes(put, data, changes):
    """A capture with some bytes changed never raises anything but CaptureError, and each frame lies inside its buffer."""
    broken = bytearray(data)
    for at, byte in changes.items():
        broken[at % len(broken)] = byte
    try:
        capture = Capture(put(broken))
    except CaptureError:
        return
    for buffer, records in capture.chunks():
        assert (records[:, Record.OFFSET] >= 0).all()
        assert (records[:, Record.CAPTURED] >= 0).all()
        assert (records[:, Record.OFFSET] + records[:, Record.CAPTURED] <= len(buffer)).all()


def test_memory_stays_the_same(put):
    """A gzip bomb and a claim of gigabytes cost a few buffers and the rows of their packets: less than 12 MiB."""
    record = struct.pack("<IIII", 1, 0, 60_000, 60_000) + bytes(60_000)
    bomb = gzip.compress(pcap(frames=[])) + gzip.compress(record * 100) * 40
    paths = [put(bomb, "bomb"), put(GOOD + struct.pack("<II", 6, walk.MAX_BLOCK) + bytes(50), "claim")]
    tracemalloc.start()
    try:
        for path, count in zip(paths, (4000, 2), strict=True):
            with Capture(path) as capture:
                assert sum(len(chunk.records) for chunk in capture.chunks()) == count
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()
