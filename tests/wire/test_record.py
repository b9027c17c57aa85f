"""What the pcapng writer promises: the file says what it was given, and is there whole or not at all."""

import os
import stat
import struct
import sys

import dpkt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.errors import CaptureError
from emulator.wire.atomic import written
from emulator.wire.capture import MAX_FRAME, Capture, Record, read_frames
from emulator.wire.record import InterfaceInfo, RecordFrame, write_pcapng

INTERFACES = [InterfaceInfo("web-1:eth0", 1, "eni-0a1 10.0.1.10"), InterfaceInfo("db:eth0", 101)]
FRAMES = [
    RecordFrame(1_700_000_000_123_456_789, 0, b"\x02" * 61, 1500, ("DROP ENI_SG_RULES_MISMATCH web", "add an ingress rule"), True, 17),
    RecordFrame(1_700_000_000_123_456_790, 1, b"E" * 20, 20, (), False, 2**63),
    RecordFrame(5, 0, b"", 0, ("größer ▸ ✕",)),
]


def blocks(data):
    """(type, body) of each block; checks the lengths at both ends."""
    found, at = [], 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        found.append((kind, data[at + 8 : at + length - 4]))
        at += length
    assert at == len(data)
    return found


def options(data):
    """(code, value) of each option; checks that an end marker closes them."""
    found, at = [], 0
    while data:
        code, size = struct.unpack_from("<HH", data, at)
        if code == 0:
            assert (size, at + 4) == (0, len(data))
            break
        found.append((code, data[at + 4 : at + 4 + size]))
        at += 4 + (size + 3) // 4 * 4
    return found


def packet_options(data):
    """The options of each packet of a file."""
    bodies = [body for kind, body in blocks(data) if kind == 6]
    return [options(body[20 + (struct.unpack_from("<I", body, 12)[0] + 3) // 4 * 4 :]) for body in bodies]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.pcapng"


def test_interfaces_say_name_description_and_nanoseconds(path):
    """An interface block has the interface's link type, name, description if there is one, and a clock of nanoseconds."""
    write_pcapng(path, INTERFACES, [])
    (first, _), *described = blocks(path.read_bytes())
    assert first == 0x0A0D0D0A
    assert [(kind, struct.unpack_from("<HHI", body), options(body[8:])) for kind, body in described] == [
        (1, (1, 0, MAX_FRAME), [(2, b"web-1:eth0"), (3, b"eni-0a1 10.0.1.10"), (9, b"\x09")]),
        (1, (101, 0, MAX_FRAME), [(2, b"db:eth0"), (9, b"\x09")]),
    ]


def test_packets_say_comments_direction_and_id(path):
    """Comments stand in their order and in UTF-8; direction and packet id are there when they are known."""
    assert write_pcapng(path, INTERFACES, FRAMES) == 3
    assert packet_options(path.read_bytes()) == [
        [(1, b"DROP ENI_SG_RULES_MISMATCH web"), (1, b"add an ingress rule"), (2, b"\x01\0\0\0"), (5, struct.pack("<Q", 17))],
        [(2, b"\x02\0\0\0"), (5, struct.pack("<Q", 2**63))],
        [(1, "größer ▸ ✕".encode())],
    ]


def test_our_reader_gives_back_what_was_written(path):
    """Bytes, times, lengths, link types and interfaces come back as they were."""
    write_pcapng(path, INTERFACES, FRAMES)
    assert read_frames(path) == [(frame.time_ns, INTERFACES[frame.interface].link_type, frame.data) for frame in FRAMES]
    with Capture(path) as capture:
        (chunk,) = capture.chunks()
    assert chunk.records[:, Record.ORIGINAL].tolist() == [frame.original for frame in FRAMES]
    assert chunk.records[:, Record.INTERFACE].tolist() == [frame.interface for frame in FRAMES]


def test_scapy_and_dpkt_read_what_was_written(path):
    """Independent readers find the same packets, times, comments and names."""
    from scapy.utils import RawPcapNgReader

    write_pcapng(path, INTERFACES, FRAMES)
    with RawPcapNgReader(str(path)) as reader:
        read = [
            (data, (about.tshigh << 32) | about.tslow, about.tsresol, about.linktype, about.wirelen, about.ifname) for data, about in reader
        ]
    assert read == [
        (frame.data, frame.time_ns, 10**9, INTERFACES[frame.interface].link_type, frame.original, INTERFACES[frame.interface].name.encode())
        for frame in FRAMES
    ]
    with path.open("rb") as file:
        assert [bytes(data) for _, data in dpkt.pcapng.Reader(file)] == [frame.data for frame in FRAMES]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    frames=st.lists(
        st.builds(
            RecordFrame,
            time_ns=st.integers(0, 2**62 - 1),
            interface=st.integers(0, 1),
            data=st.binary(max_size=40),
            original=st.integers(1, 2**32 - 1),
            comments=st.lists(st.text(max_size=9), max_size=3).map(tuple),
            inbound=st.none() | st.booleans(),
            packet_id=st.none() | st.integers(0, 2**64 - 1),
        ),
        max_size=5,
    )
)
def test_any_frames_come_back(path, frames):
    """Whatever a frame holds, the reader gives it back, and its options are whole."""
    assert write_pcapng(path, INTERFACES, iter(frames)) == len(frames)
    assert read_frames(path) == [(frame.time_ns, INTERFACES[frame.interface].link_type, frame.data) for frame in frames]
    comments = [tuple(value.decode() for code, value in found if code == 1) for found in packet_options(path.read_bytes())]
    assert comments == [frame.comments for frame in frames]


@pytest.mark.parametrize("text", ["x" * 70_000, "€" * 30_000, "a" + "€" * 30_000, "ab" + "€" * 30_000, "𝄞" * 20_000])
def test_long_text_is_cut_between_characters(path, text):
    """Text beyond an option's 65,535 bytes ends in an ellipsis and is still UTF-8; names and descriptions, too."""
    write_pcapng(path, [InterfaceInfo(text, 1, text)], [RecordFrame(1, 0, b"E", comments=(text,))])
    described = options(blocks(path.read_bytes())[1][1][8:])
    for value in (packet_options(path.read_bytes())[0][0][1], described[0][1], described[1][1]):
        assert 65_529 <= len(value) <= 65_535
        assert value.decode().endswith("…")
        assert text.startswith(value.decode()[:-1])
    assert len(read_frames(path)) == 1


def test_text_at_the_limit_is_whole(path):
    """Text of exactly 65,535 bytes is not cut; half a surrogate pair becomes a question mark."""
    write_pcapng(path, INTERFACES, [RecordFrame(1, 0, b"", comments=("x" * 65_535, "a\ud800b"))])
    assert [value for _, value in packet_options(path.read_bytes())[0]] == [b"x" * 65_535, b"a?b"]


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        pytest.param(RecordFrame(-1, 0, b""), "time -1 ns lies outside what a capture can say; count from 1970", id="before 1970"),
        pytest.param(
            RecordFrame(2**64, 0, b""), "time 18446744073709551616 ns lies outside what a capture can say; count from 1970", id="far future"
        ),
        pytest.param(RecordFrame(0, 2, b""), "there is no interface 2; 2 are described", id="unknown interface"),
        pytest.param(RecordFrame(0, -1, b""), "there is no interface -1; 2 are described", id="negative interface"),
        pytest.param(
            RecordFrame(0, 0, bytes(MAX_FRAME + 1)), "262145 bytes are more than a capture holds; keep 262144", id="frame beyond the limit"
        ),
        pytest.param(
            RecordFrame(0, 0, b"", 2**32), "4294967296 bytes are more than a capture holds; keep 262144", id="original beyond the limit"
        ),
        pytest.param(
            RecordFrame(0, 0, b"", 0, ("x" * 65_535,) * 260),
            "its comments are longer than a capture holds; write fewer",
            id="16 MiB of comments",
        ),
    ],
)
def test_frames_that_pcapng_cannot_say(path, frame, line):
    """Such a frame is named in one line, and the old file stays as it was."""
    path.write_bytes(b"old")
    with pytest.raises(CaptureError) as caught:
        write_pcapng(path, INTERFACES, [FRAMES[0], frame])
    assert str(caught.value) == f"{path}: frame 2: {line}"
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


def test_a_failure_in_the_frames_leaves_the_old_file(path):
    """An error of whoever makes the frames passes through as it is; nothing is left behind."""

    def frames(error):
        yield FRAMES[0]
        raise error

    path.write_bytes(b"old")
    for error in (ZeroDivisionError("mine"), FileNotFoundError(2, "other", "other.txt"), ValueError("null and void"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            write_pcapng(path, INTERFACES, frames(error))
        assert caught.value is error
        assert path.read_bytes() == b"old"
        assert os.listdir(path.parent) == [path.name]


def test_too_many_interfaces(path):
    """More interfaces than our reader takes are refused before anything is written."""
    with pytest.raises(CaptureError, match="65537 interfaces are more than a capture holds; write several"):
        write_pcapng(path, [INTERFACES[0]] * 65_537, [])
    assert not path.exists()


def line_of(path):
    """Why a file cannot be written, without its name."""
    with pytest.raises(CaptureError) as caught, written(path) as file:
        file.write(b"new")
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def test_places_that_cannot_be_written(path, monkeypatch):
    """A place that cannot be written is one line with the way out."""
    assert line_of(path.parent / "out" / "x.json") == "cannot be written: No such file or directory; make the folder first"
    assert line_of(path.parent) == "cannot be written: Is a directory; name a file in it"
    path.write_bytes(b"old")
    assert line_of(path / "x.json") == "cannot be written: Not a directory; make the folder first"
    assert line_of(path.parent / ("x" * 300)) == "cannot be written: File name too long; choose a shorter name"
    with pytest.raises(CaptureError, match="cannot be written: embedded null byte; choose another name"), written("a\0b"):
        pass
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    assert line_of(path) == "cannot be written: Permission denied; choose a place you may write to"
    assert path.read_bytes() == b"old"


def test_a_full_disk(path, monkeypatch):
    """A disk that is full leaves the old file as it was, and no other."""
    path.write_bytes(b"old")

    def refuse(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert line_of(path) == "cannot be written: No space left on device; make room"
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_device_is_written_as_it_goes():
    """What is no regular file is never replaced; its errors are one line, too."""
    assert line_of("/dev/full") == "cannot be written: No space left on device; make room"
    with written(os.devnull) as file:
        file.write(b"new")
    assert not stat.S_ISREG(os.stat(os.devnull).st_mode)


def test_the_old_file_is_there_until_the_end(path):
    """Somebody who reads while a file is written sees the old content, then the new."""
    path.write_bytes(b"old")
    with written(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions and links of Unix")
def test_permissions_and_links(path):
    """A new file has the usual permissions, an old one keeps its own, and a link still points where it did."""
    usual = path.with_name("usual")
    usual.touch()
    with written(path) as file:
        file.write(b"1")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)
    path.chmod(0o640)
    link = path.with_name("link")
    link.symlink_to(path.name)
    with written(link) as file:
        file.write(b"2")
    assert link.is_symlink()
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"2", 0o640)


def test_name_as_text(tmp_path, monkeypatch):
    """A bare name is written to the working folder, and errors spell names as the user did."""
    monkeypatch.chdir(tmp_path)
    assert write_pcapng("x.pcapng", INTERFACES, FRAMES[:1]) == 1
    assert len(read_frames("x.pcapng")) == 1
    assert line_of("out/x.pcapng") == "cannot be written: No such file or directory; make the folder first"
