"""Captures that lie: each ends in a line or a count, in bounded time and memory."""

import gzip
import struct
import zlib
from pathlib import Path

import pytest

from tests.hostile.bounded import ROOT, command, script

WEB = str(ROOT / "topologies" / "web-server.yaml")
PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 101)
SECTION = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
INTERFACE = struct.pack("<IIHHII", 1, 20, 101, 0, 262_144, 20)
READ = """
from emulator.wire.capture import Capture
with Capture(sys.argv[1]) as capture:
    print(sum(len(chunk.records) for chunk in capture.chunks()), capture.troubles)
"""


def packet(frame: bytes = b"", at_us: int = 0, claims: int | None = None) -> bytes:
    """A record of a pcap file."""
    length = len(frame) if claims is None else claims
    return struct.pack("<IIII", at_us // 10**6, at_us % 10**6, length, length) + frame


def block(body: bytes, kind: int = 6, first: int | None = None, last: int | None = None) -> bytes:
    """A block of a pcapng file, whose lengths may lie."""
    length = len(body) + 12
    return struct.pack("<II", kind, length if first is None else first) + body + struct.pack("<I", length if last is None else last)


def enhanced(frame: bytes, captured: int | None = None, interface: int = 0) -> bytes:
    """A packet block."""
    size = len(frame) if captured is None else captured
    return block(struct.pack("<IIIII", interface, 0, 0, size, size) + frame + bytes(-len(frame) % 4))


def zeros(path: Path, head: bytes, piece: bytes, times: int) -> Path:
    """A gzip file of a beginning and a piece again and again, without ever holding it unpacked."""
    packer = zlib.compressobj(9, wbits=31)
    with path.open("wb") as file:
        file.write(packer.compress(head))
        for _ in range(times):
            file.write(packer.compress(piece))
        file.write(packer.flush())
    return path


def test_a_bomb_of_one_packet(tmp_path):
    """Thirty-two megabytes of zeros behind a header is read in constant memory and ends as what it is: records without bytes."""
    path = zeros(tmp_path / "bomb.pcap.gz", PCAP, bytes(1 << 20), 32)
    assert path.stat().st_size < 100_000
    run = script(READ, str(path), seconds=60, megabytes=1500)
    assert run.out.startswith(str((32 << 20) // 16) + " []"), run.err
    assert run.peak_mb < 250


def test_a_bomb_that_unpacks_into_itself(tmp_path):
    """Gzip inside gzip is not unpacked again."""
    path = tmp_path / "nested.pcap.gz"
    path.write_bytes(gzip.compress(gzip.compress(bytes(1 << 24)), mtime=0))
    run = command("replay", WEB, str(path))
    assert run.code == 2
    assert "gzip inside gzip" in run.err


def test_a_bomb_of_blocks(tmp_path):
    """Unknown blocks without end cost no memory."""
    path = zeros(tmp_path / "blocks.pcapng.gz", SECTION + INTERFACE, block(bytes(1 << 20), kind=0xBAD), 200)
    run = script(READ, str(path), seconds=60)
    assert run.out.startswith("0 []"), run.err
    assert run.peak_mb < 250


LIES = {
    "a pcap record claims four gigabytes": PCAP + packet(b"E" * 20, claims=0xFFFFFFFF),
    "a pcap record claims just more than a frame may have": PCAP + packet(b"E" * 20, claims=262_145),
    "a pcapng block claims four gigabytes": SECTION + INTERFACE + block(bytes(20), first=0xFFFFFFFC, last=0xFFFFFFFC),
    "a pcapng block claims no length": SECTION + INTERFACE + block(bytes(20), first=0, last=0),
    "a pcapng block claims an odd length": SECTION + INTERFACE + block(bytes(20), first=33),
    "the two lengths of a block differ": SECTION + INTERFACE + block(bytes(20), last=64),
    "a packet claims more than its block": SECTION + INTERFACE + enhanced(b"E" * 20, captured=60_000),
    "a packet claims four gigabytes": SECTION + INTERFACE + enhanced(b"E" * 20, captured=0xFFFFFFFF),
    "a packet is from interface four thousand million": SECTION + INTERFACE + enhanced(b"E" * 20, interface=0xFFFFFFFF),
    "an option claims 65,535 bytes": SECTION + block(struct.pack("<HHIHH", 101, 0, 0, 9, 65_535), kind=1) + enhanced(b"E" * 20),
    "a section header claims four gigabytes": struct.pack("<IIIHHqI", 0x0A0D0D0A, 0xFFFFFFFC, 0x1A2B3C4D, 1, 0, -1, 28),
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES.keys())
def test_lengths_that_lie(tmp_path, data):
    """A length that cannot be true ends the reading with one line, whatever it claims, and nothing is allocated for it."""
    path = tmp_path / "lies.pcap"
    path.write_bytes(data)
    run = script(_guarded(READ), str(path), megabytes=1200)
    assert run.code == 0, run.err
    assert run.peak_mb < 300
    assert len(run.out.splitlines()) == 1


def _guarded(body: str) -> str:
    indented = "\n".join("    " + line for line in body.splitlines())
    return f"from emulator.errors import CaptureError\ntry:\n{indented}\nexcept CaptureError as error:\n    print(error)\n"


def test_a_hundred_thousand_interfaces(tmp_path):
    """More interfaces than a section may have end the reading there, with one line; those before are kept."""
    path = tmp_path / "interfaces.pcapng"
    path.write_bytes(SECTION + INTERFACE * 100_000 + enhanced(b"E" * 20, interface=99_999))
    run = script(READ, str(path))
    assert run.out.startswith("0 "), run.err
    assert "more than 65536 interfaces" in run.out


def test_sections_without_end(tmp_path):
    """A hundred thousand sections, each with an interface, are read one by one; nothing of the old ones is kept."""
    path = tmp_path / "sections.pcapng"
    path.write_bytes((SECTION + INTERFACE + enhanced(b"E" * 20)) * 100_000)
    run = script(READ, str(path), seconds=60)
    assert run.out.startswith("100000 []"), run.err
    assert run.peak_mb < 250


def test_fragments_that_never_come_whole(tmp_path):
    """Later fragments without a first wait for 30 s at most, 4,096 of them at a time; then they are dropped, and counted."""
    frames = []
    for number in range(4500):
        header = struct.pack(">BBHHHBBH", 0x45, 0, 28, number, 185, 64, 17, 0) + bytes([192, 0, 2, 77, 198, 51, 100, 10])
        frames.append(packet(header + bytes(8), at_us=number))
    path = tmp_path / "fragments.pcap"
    path.write_bytes(PCAP + b"".join(frames))
    run = command("replay", WEB, str(path), "--json", seconds=60)
    assert '"drop": 4500' in run.out, run.err
    assert run.peak_mb < 400


def test_clocks_that_jump(tmp_path):
    """Times at both ends of what can be written, to and fro: a replay ends, and no clock runs backwards."""
    header = struct.pack(">BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + bytes([192, 0, 2, 77, 198, 51, 100, 10])
    frame = header + struct.pack(">HHIIBBHHH", 40000, 80, 1, 0, 0x50, 2, 100, 0, 0)
    times = [0, 0xFFFFFFFF * 10**6, 1, 0x7FFFFFFF * 10**6, 2]
    path = tmp_path / "clocks.pcap"
    path.write_bytes(PCAP + b"".join(packet(frame, at) for at in times))
    run = command("replay", WEB, str(path), "--json")
    assert '"total": 5' in run.out, run.err


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/null", "/dev/urandom"])
def test_devices(target):
    """A device is no capture and no topology; a line says so at once."""
    assert command("replay", WEB, target).code == 2
    assert command("show", target).code == 2
