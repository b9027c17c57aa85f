"""Files for Wireshark: a capture with verdicts as comments, and what a capture at each interface would have seen.

Interfaces keep what `sighted` notes, the source of flow logs; frames are raw IP with the addresses and ports that they
had there.  A packet has one id in all files, its index in the capture; what the network made has ids above `FIRST_BORN`.
"""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emulator.bulk.results import PacketResult, Stretch, comments_of, result_of
from emulator.bulk.running import STDIN, Run, Running, Source
from emulator.datapath.sightings import Sighting
from emulator.datapath.state import FIRST_BORN, Birth, Count, Outcome, State
from emulator.engine import Engine
from emulator.errors import UsageError
from emulator.model.entities import NetworkInterface, Subnet
from emulator.model.topology import Topology
from emulator.observe.born import as_delivered, as_seen, born_packet
from emulator.observe.words import Words
from emulator.policy.reasons import Verdict
from emulator.policy.tables import INGRESS
from emulator.wire.atomic import written
from emulator.wire.capture import Capture
from emulator.wire.headers import Field
from emulator.wire.packet import RAW_IP, Packet
from emulator.wire.record import InterfaceInfo, RecordFrame, file_name, head, packet_block, write_pcapng

ALL_INTERFACES = "all-interfaces"
COLOUR_FILTERS = "colorfilters"
HELD_BYTES = 8 << 20  # of all files together, before they are written on
_COLOURS = (
    ("Blocked", 'frame.comment matches "^DROP "', "[65535,52428,52428][40000,0,0]"),
    ("Not sent, for its cause was blocked", 'frame.comment matches "^UNSENT "', "[65535,60395,52428][26214,17476,0]"),
)


def colour_filters() -> str:
    """A colouring-rules file for Wireshark: what was blocked is red, what hung on it yellow."""
    return "# View > Coloring Rules > Import\n" + "".join(f"@{name}@{test}@{colours}\n" for name, test, colours in _COLOURS)


def annotate(run: Run, results: Iterator[PacketResult], path: str | os.PathLike[str]) -> int:
    """Write the capture again with comments; gives the number of packets.

    Raises
    ------
    CaptureError : the capture is gone, or the file cannot be written.  UsageError : several captures, or standard input.
    """
    with _source(run) as source:
        kinds = list(
            dict.fromkeys(kind for chunk in source.chunks() for kind in map(tuple, np.unique(chunk.records[:, 4:6], axis=0).tolist()))
        )
    interfaces = [InterfaceInfo(f"capture-{number}", kind, "as captured") for kind, number in kinds]

    def frames() -> Iterator[RecordFrame]:
        with _source(run) as again:
            for frame, result in zip(_frames(again), results, strict=False):
                place = kinds.index((frame.link_type, frame.interface))
                verdict = {"accept": False, "drop": True}.get(result.verdict)
                yield RecordFrame(frame.time_ns, place, frame.data, frame.original, comments_of(result), None, result.index, verdict)

    return write_pcapng(path, interfaces, frames())


def annotate_interfaces(run: Run, folder: str | os.PathLike[str], merged: bool = False) -> dict[str, int]:
    """Write a pcapng file for each interface that saw packets, and colouring rules; gives the packets of each file.

    Packets stand in the order of time, but for what was captured some MiB apart.  A file that was there before is replaced
    when all are whole.

    Parameters
    ----------
    merged : also write one file with all interfaces

    Raises
    ------
    CaptureError : a file cannot be written.  UsageError : no folder can be made; several captures, or standard input.
    """
    target = Path(folder)
    try:
        target.mkdir(exist_ok=True)
        scratch = target / f".{secrets.token_hex(8)}"
        scratch.mkdir()
    except OSError as trouble:
        raise UsageError(f"{target}: {trouble.strerror}; name a folder that can be written to") from None
    try:
        files = _Files(run.topology, scratch, merged)
        for name, frame in _sights(run):
            files.add(name, frame)
        files.flush()
        for path in sorted(scratch.iterdir()):
            path.replace(target / path.name)
        with written(target / COLOUR_FILTERS) as file:
            file.write(colour_filters().encode())
        return files.counts
    except OSError as trouble:
        raise UsageError(f"{target}: {trouble.strerror}; make room, or name another folder") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Frame(NamedTuple):
    """A frame of the capture."""

    time_ns: int
    link_type: int
    interface: int
    data: bytes
    original: int


def check_captures(captures: Sequence[Source]) -> None:
    """Refuse captures that cannot be read a second time, or whose frames have no order of their own.

    Raises
    ------
    UsageError : several captures, or standard input.
    """
    if len(captures) != 1 or os.fspath(captures[0]) == STDIN:
        raise UsageError("captures with comments are made of one capture file; replay that one alone, or merge several with mergecap")


def _source(run: Run) -> Capture:
    check_captures(run.captures)
    return Capture(run.captures[0])


def _frames(capture: Capture) -> Iterator[_Frame]:
    for chunk in capture.chunks():
        for offset, captured, original, time_ns, kind, number in chunk.records.tolist():
            yield _Frame(time_ns, kind, number, chunk.buffer[offset : offset + captured].tobytes(), original)


def _pieces(frames: Iterable[_Frame]) -> Iterator[list[_Frame]]:
    """Frames in runs that hold no more than some MiB, whatever their sizes."""
    piece, held = [], 0
    for frame in frames:
        piece.append(frame)
        held += len(frame.data)
        if held > HELD_BYTES:
            yield piece
            piece, held = [], 0
    if piece:
        yield piece


def _sights(run: Run) -> Iterator[tuple[str, RecordFrame]]:
    """What each interface saw: its id, and the frame."""
    with _source(run) as capture, Running(replace(run, jobs=1)) as running:
        assert isinstance(running.engine, Engine)  # one job
        running.engine.keep_sightings(merge=False)
        frames, sights = _frames(capture), _Sights(running.words)
        for stretch in running.stretches():
            rows = iter(stretch.by_index().tolist())
            for piece in _pieces(islice(frames, len(stretch.headers))):
                sights.take(stretch, list(islice(rows, len(piece))), piece, running.engine.state)
                yield from sights.ended(running.engine.state)
        yield from sights.ended(running.engine.state, every=True)


class _Sights:
    """Turns sightings into frames, as soon as their packets' way has ended."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._packets: dict[int, tuple[Packet, int, Any]] = {}  # with the original length and the outcome
        self._causes: dict[int, Packet] = {}
        self._waiting: list[int] = []
        self._births = 0

    def take(self, stretch: Stretch, rows: list[int], frames: list[_Frame], state: State) -> None:
        """Packets whose way has ended, by index, and their frames; what the network made because of them gets its bytes."""
        for row, frame in zip(rows, frames, strict=True):
            packet = Packet(frame.data, frame.link_type, stretch.headers[row].copy())
            index = int(packet.header[Field.INDEX])
            self._packets[index] = packet, frame.original, stretch.outcomes[index - stretch.first].copy()
        born = int(state.counts[Count.BORN, 0])
        self._waiting += range(self._births, born)
        self._births = born
        for number in self._waiting.copy():
            parent = int(state.births[number, Birth.PARENT])
            cause = self._causes.get(parent) or (self._packets[parent][0] if parent in self._packets else None)
            if cause is not None:
                self._waiting.remove(number)
                made = born_packet(state, FIRST_BORN + number, cause)
                made.header[Field.INDEX] = FIRST_BORN + number
                self._causes[FIRST_BORN + number] = made

    def ended(self, state: State, every: bool = False) -> Iterator[tuple[str, RecordFrame]]:
        """The frames of packets that have ended, in the order of time; their sightings are forgotten."""
        sightings = state.sightings[: int(state.counts[Count.SIGHTINGS, 0])]
        numbers = sightings[:, Sighting.PACKET]
        mine = (numbers <= max(self._packets, default=-1)) | (numbers >= FIRST_BORN)
        later, waiting = sightings[~mine], []
        for sighting in sightings[mine]:
            number = int(sighting[Sighting.PACKET])
            if number >= FIRST_BORN and number in self._causes:
                outcome = state.born_outcomes[number - FIRST_BORN]
                found = (self._causes[number], 0, outcome) if outcome[Outcome.VERDICT] or every else None
            else:
                found = self._packets.get(number)
            if found is None:
                waiting.append(sighting)
            else:
                yield self._words.ids.name(int(sighting[Sighting.PLACE])), self._frame(sighting, *found)
        left = np.concatenate([np.array(waiting, dtype=np.int64).reshape(-1, len(Sighting)), later])
        sightings[: len(left)] = left
        state.counts[Count.SIGHTINGS, 0] = len(left)
        self._packets.clear()

    def _frame(self, sighting: Any, packet: Packet, original: int, outcome: Any) -> RecordFrame:
        """A packet as it was at the interface, its link header taken off."""
        at, inbound = int(packet.header[Field.IP_OFFSET]), int(sighting[Sighting.DIRECTION]) == INGRESS
        last = inbound and outcome[Outcome.PLACE] == sighting[Sighting.PLACE]
        data = as_delivered(packet, outcome) if last else as_seen(packet, sighting)
        comments = comments_of(result_of(self._words, packet.header, outcome))
        if packet.header[Field.INDEX] >= FIRST_BORN:
            comments = (*comments, "made by the network")
        length = original - at if original else 0
        dropped = sighting[Sighting.ACTION] != Verdict.ACCEPT
        return RecordFrame(
            int(sighting[Sighting.TIME_NS]), 0, data[at:], length, comments, inbound, int(sighting[Sighting.PACKET]), bool(dropped)
        )


class _Files:
    """Files of a folder that grow side by side, with none of them held open.

    Attributes
    ----------
    counts : packets by file name
    """

    def __init__(self, topology: Topology, folder: Path, merged: bool) -> None:
        self._topology, self._folder, self._merged = topology, folder, merged
        self._numbers: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._taken = {ALL_INTERFACES}
        self._held: dict[str, list[bytes]] = {}
        self._bytes = 0
        self.counts: dict[str, int] = {}
        if merged:  # a file says first which interfaces it has
            for eni in topology.all(NetworkInterface):
                self._numbers[eni.id] = len(self._numbers)
            self._begin(ALL_INTERFACES, [_described(topology, key) for key in self._numbers])

    def add(self, interface: str, frame: RecordFrame) -> None:
        """A frame that an interface saw."""
        name = self._names.get(interface, "")
        if not name:
            name = self._names[interface] = file_name(self._topology.display(interface), self._taken)
            self._begin(name, [_described(self._topology, interface)])
        self._put(name, frame, 1)
        if self._merged and interface in self._numbers:
            self._put(ALL_INTERFACES, frame._replace(interface=self._numbers[interface]), len(self._numbers))
        if self._bytes > HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        for name, blocks in self._held.items():
            if blocks:
                with open(self._folder / f"{name}.pcapng", "ab") as file:
                    file.writelines(blocks)
                blocks.clear()
        self._bytes = 0

    def _begin(self, name: str, interfaces: list[InterfaceInfo]) -> None:
        self._held[name] = [head(interfaces)]
        self.counts[f"{name}.pcapng"] = 0

    def _put(self, name: str, frame: RecordFrame, interfaces: int) -> None:
        block = packet_block(frame, interfaces)
        self._held[name].append(block)
        self._bytes += len(block)
        self.counts[f"{name}.pcapng"] += 1


def _described(topology: Topology, key: str) -> InterfaceInfo:
    """What Wireshark shows of an interface: its name, addresses, subnet and groups."""
    entity = topology.entities.get(key)
    if not isinstance(entity, NetworkInterface):
        return InterfaceInfo(topology.display(key), RAW_IP, type(entity).__name__)
    groups = ", ".join(topology.display(group) for group in entity.security_groups)
    ips = ", ".join(map(str, entity.private_ips))
    return InterfaceInfo(topology.display(key), RAW_IP, f"{ips} in {topology.get(entity.subnet, Subnet).name}; groups {groups}")
