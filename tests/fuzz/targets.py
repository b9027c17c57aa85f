"""What is fuzzed: functions that take any bytes, and must neither fail nor hang; what they promise is asserted.

captures     the readers of pcap, pcapng and gzip of them: records inside their buffer, the same in any chunks
frames       the frame parser, every link type: a status for all bytes, fields inside their ranges
topologies   the loader: a topology or a `TopologyError`; what is loaded compiles
words        what a person writes on a command line: services, durations, who is who
replays      frames through a network, open and closed loop: every packet has an end, reports in words and HTML work
firsts       `init`: a capture to a first topology
"""

import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from emulator.bulk.windows import address_map
from emulator.clock import parse_duration
from emulator.errors import CaptureError, TopologyError, UsageError
from emulator.importers.capture import topology_from_capture
from emulator.importers.network import read_network
from emulator.model.files import loads
from emulator.model.services import parse_service
from emulator.model.topology import Topology
from emulator.policy.compile import Ids, compile_tables
from emulator.replay import replay
from emulator.wire.capture import LINK_TYPES, MAX_FRAME, Capture, Record
from emulator.wire.headers import FIELDS, TCP, Field, parse_frame
from emulator.wire.record import InterfaceInfo, RecordFrame, write_pcapng
from emulator.wire.status import Status

KINDS = sorted(LINK_TYPES)


@cache
def _folder() -> Path:
    """A place in memory for the files of one process."""
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None
    keep = tempfile.TemporaryDirectory(prefix="vpcemu-fuzz-", dir=base)
    _KEPT.append(keep)
    return Path(keep.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _file(data: bytes, name: str = "input") -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def captures(data: bytes) -> None:
    """Read a file as a capture, in large chunks and in small ones."""
    path = _file(data)
    found = []
    for packets in (65_536, 3):
        try:
            with Capture(path) as capture:
                rows = []
                for chunk in capture.chunks(packets):
                    assert 1 <= len(chunk.records) <= packets
                    ends = chunk.records[:, Record.OFFSET] + chunk.records[:, Record.CAPTURED]
                    assert (chunk.records[:, Record.OFFSET] >= 0).all()
                    assert (ends <= len(chunk.buffer)).all()
                    assert (chunk.records[:, Record.CAPTURED] <= MAX_FRAME).all()
                    rows += [(chunk.buffer[at : at + size].tobytes(), *rest) for at, size, *rest in chunk.records.tolist()]
                found.append((rows, capture.troubles))
                assert all("\n" not in line for line in capture.troubles)
        except CaptureError as error:
            found.append(([], [str(error)]))
    assert found[0] == found[1]


def frames(data: bytes) -> None:
    """Parse bytes as a frame of the link type that the first byte names, also with other bytes around it."""
    if not data:
        return
    kind, frame = KINDS[data[0] % len(KINDS)] if data[0] < 250 else data[0], data[1:]
    rows = np.zeros((2, FIELDS), dtype=np.int64)
    for row, (before, behind) in enumerate([(b"", b""), (b"\xff" * 7, b"\xff" * 9)]):
        buffer = np.frombuffer(before + frame + behind, np.uint8)
        status = parse_frame(buffer, len(before), len(frame), kind, rows, row)
        assert status == rows[row, Field.STATUS]
    assert (rows[0] == rows[1]).all()
    Status(int(rows[0, Field.STATUS]))
    assert rows[0, Field.FAMILY] in (0, 4, 6)
    for column in (Field.SOURCE_PORT, Field.DESTINATION_PORT, Field.QUOTED_SOURCE_PORT, Field.QUOTED_DESTINATION_PORT):
        assert 0 <= rows[0, column] <= 65_535
    for column in (Field.IDENTIFIER, Field.SEQUENCE):
        assert 0 <= rows[0, column] <= (2**32 - 1 if rows[0, Field.PROTOCOL] == TCP else 65_535)
    for column in (Field.PROTOCOL, Field.FLAGS, Field.TYPE, Field.CODE, Field.TTL, Field.QUOTED_PROTOCOL):
        assert 0 <= rows[0, column] <= 255
    assert 0 <= rows[0, Field.IDENTIFIER] < 1 << 32
    assert 0 <= rows[0, Field.SEQUENCE] < 1 << 32
    if status == Status.PARSED:
        assert 0 <= rows[0, Field.IP_OFFSET] <= rows[0, Field.PAYLOAD_OFFSET]


def topologies(data: bytes) -> None:
    """Load a text as a topology."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        topology = loads(text)
    except TopologyError as error:
        assert all("\n" not in line for line in error.problems), error.problems
        return
    compile_tables(topology, Ids())
    assert topology.graph is not None


def words(data: bytes) -> None:
    """Take a text for a service, a duration and a line of ``--map``."""
    text = data.decode("utf-8", "replace")
    for read in (parse_service, parse_duration):
        try:
            str(read(text))
        except (ValueError, UsageError) as error:
            assert str(error)
    name, _, value = text.partition("=")
    try:
        address_map(_lab(), {name: value})
    except UsageError as error:
        assert str(error)


@cache
def _lab() -> Topology:
    return loads((Path(__file__).parents[2] / "topologies" / "web-server.yaml").read_text(), "web-server")


def replays(data: bytes) -> None:
    """Frames, each behind its length, through a network; the first byte says which link type and how."""
    if len(data) < 2:
        return
    kind = KINDS[data[0] % len(KINDS)]
    records, at, now = [], 1, 0
    while at + 2 <= len(data) and len(records) < 40:
        length = data[at] | (data[at + 1] & 3) << 8
        now += (data[at + 1] >> 2) ** 4 * 1_000_000
        records.append(RecordFrame(now, 0, data[at + 2 : at + 2 + length], length))
        at += 2 + length
    path = _folder() / "replay.pcapng"
    write_pcapng(path, [InterfaceInfo("fuzz", kind)], records)
    result = replay(_lab(), path, open_loop=bool(data[0] & 128), compiled=False)
    assert sum(count for name, count in result.counts.items() if name != "total") == result.counts["total"] == len(records)
    for packet in result.packets:
        packet.to_json()
        result.steps(packet.index)
    result.to_json()
    assert str(result)
    assert result._repr_html_()


def firsts(data: bytes) -> None:
    """A first topology from a capture, and the capture through it."""
    path = _file(data, "first.pcap")
    try:
        topology, notes = topology_from_capture(path)
    except CaptureError:
        return
    assert notes
    compile_tables(topology, Ids())


def networks(data: bytes) -> None:
    """Read a text, whose suffix the first byte chooses, as anything that can stand for a network."""
    if not data:
        return
    path = _file(data[1:], "network" + (".json", ".yaml", ".tfstate", ".template")[data[0] % 4])
    try:
        imported = read_network(path)
    except TopologyError as error:
        assert all("\n" not in line for line in error.problems), error.problems
        return
    except UsageError:  # what an extra reads that is not installed
        return
    assert imported.report is not None
    compile_tables(imported.topology, Ids())


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function for function in (captures, frames, topologies, words, replays, firsts, networks)
}
CORPUS = Path(__file__).parent / "corpus"
