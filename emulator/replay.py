"""Replay: a capture through a network; causes before effects, and what became of every packet.

    captures ─► windows ─► engine ─► stretches of packets whose way has ended ─► counts and conversations, lines, files

A packet keeps its index in the capture.  Links delay packets inside the network; a packet of the capture is never sent
before its own time, nor before its cause has arrived.  Memory does not grow with the capture: beyond `KEPT` packets
nothing is kept of a packet but its part in the counts, and who asks for a packet then gets it by a second run.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from emulator.bulk.checkpoint import EVERY_S, Checkpoint
from emulator.bulk.cluster import run_each, run_shares
from emulator.bulk.following import FollowedPacket, followed
from emulator.bulk.plan import WordsInTime
from emulator.bulk.progress import Progress
from emulator.bulk.results import PacketLines, Stretch, joined
from emulator.bulk.running import KEPT, STDIN, Run, Running, Source, stop_on_interrupt
from emulator.engine import Engine
from emulator.errors import UsageError
from emulator.model.topology import Topology
from emulator.observe.flows import Tally
from emulator.replayed import Replay
from emulator.wire.atomic import written

__all__ = ["Replay", "replay", "replay_each"]


def replay(
    topology: Topology,
    capture: Source | Sequence[Source],
    *,
    map: dict[str, str] | None = None,
    open_loop: bool = False,
    progress: bool = False,
    compiled: bool | None = None,
    packets: str | Path | None = None,
    jobs: int = 1,
    flow_logs: bool = False,
    follow: Callable[[FollowedPacket], object] | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    checkpoint_s: float = EVERY_S,
    executor: Executor | None = None,
) -> Replay:
    """Feed a capture through a topology.

    Parameters
    ----------
    capture : a file, ``-`` for standard input, or several, which are merged by time
    map : capture address → name of who that is in the topology
    open_loop : True sends every packet, whatever became of its cause
    progress : show a bar on a terminal
    compiled : True or False to decide, None to compile when the capture is large
    packets : a file for a line of JSON a packet, written as the replay goes
    flow_logs : keep what `Replay.save_flow_logs` needs
    jobs : threads that share the packets, by who talks to whom; the results are those of one
    follow : called with each packet as soon as its way has ended; standard input is then read packet by packet, not in
        windows, so that packets with times out of order are sent as they come
    checkpoint : a file to note in how far the replay has come; it is gone when the replay is done
    resume : go on from the checkpoint, if there is one
    checkpoint_s : seconds from one checkpoint to the next
    executor : runs the ``jobs`` shares, on other machines if it has any, which see captures and the folder of ``packets``
        by the same names; what a worker that dies leaves behind is done again

    Raises
    ------
    CaptureError : a file is no capture, or one cannot be written.
    UsageError : the map names something unknown; a checkpoint of something else.
    """
    captures = tuple(os.fspath(one) for one in ((capture,) if isinstance(capture, str | os.PathLike) else capture))
    if checkpoint is not None and STDIN in captures:
        raise UsageError("--checkpoint: standard input cannot be read again; name a file")
    live = follow is not None and (executor is not None or STDIN in captures)
    run = Run(topology, captures, map or {}, open_loop, compiled, jobs, flow_logs, live)
    if executor is not None:
        if checkpoint is not None:
            raise UsageError("--checkpoint: a share that is lost is done again by the executor; leave one of the two out")
        whole = run_shares(run, executor, packets)
        return _from_elsewhere(run, whole.tally, whole.troubles)
    with Running(run) as running, stop_on_interrupt(running):
        tally, bar = Tally(), Progress(running.reader) if progress else None
        if checkpoint is None:
            with written(packets) if packets is not None else nullcontext() as file:
                return _replayed(running, tally, file, bar, follow)
        with Checkpoint(checkpoint, running, tally, resume=resume, every_s=checkpoint_s, output=packets) as keeper:
            return _replayed(running, tally, keeper.file, bar, follow, keeper)


def replay_each(
    topology: Topology, captures: Sequence[Source], executor: Executor, *, map: dict[str, str] | None = None, open_loop: bool = False
) -> list[Replay]:
    """Feed each capture through a topology of its own, on any executor; see `replay` for the parameters.

    Raises
    ------
    CaptureError : a file is no capture.  UsageError : the map names something unknown.
    """
    runs = [Run(topology, (os.fspath(capture),), map or {}, open_loop) for capture in captures]
    return [_from_elsewhere(run, part.tally, part.troubles) for run, part in zip(runs, run_each(runs, executor), strict=True)]


def _from_elsewhere(run: Run, tally: Tally, troubles: list[str]) -> Replay:
    engine = Engine(run.topology, journal=False)
    return Replay(replace(run, jobs=1), engine, WordsInTime(run.topology, engine.ids, engine.tables), tally, None, troubles)


def _replayed(
    running: Running,
    tally: Tally,
    file: BinaryIO | None,
    bar: Progress | None,
    follow: Callable[[FollowedPacket], object] | None,
    keeper: Checkpoint | None = None,
) -> Replay:
    run, engine, reader = running.run, running.engine, running.reader
    lines = PacketLines(running.words) if file is not None else None
    kept: list[Stretch] | None = [] if not tally.packets else None
    at_rest = keeper.at_rest if keeper is not None else None
    try:
        for stretch in running.stretches(bar.after_window if bar is not None else lambda: None, at_rest):
            tally.add(stretch.headers, stretch.seen, stretch.outcomes, stretch.first, running.machine)
            if file is not None and lines is not None:
                file.write(lines.lines(stretch, running.machine))
            if follow is not None:
                for packet in followed(stretch, running.words):
                    follow(packet)
            if tally.packets > KEPT or not engine.keeps_journal:
                kept = None
            elif kept is not None:
                kept.append(replace(stretch, headers=stretch.headers.copy(), seen=stretch.seen.copy(), outcomes=stretch.outcomes.copy()))
    finally:
        if bar is not None:
            bar.close()
    troubles = [*([keeper.note] if keeper is not None and keeper.note else []), *reader.troubles]
    if running.obstacle:
        troubles.append(f"{run.name}: replayed by one core: {running.obstacle}")
    if running.stopped:
        then = "what follows is about these" if keeper is None else "--resume goes on from its last checkpoint"
        share = f", {100 * reader.position // reader.size} % of the capture" if reader.size else ""
        troubles.append(f"{run.name}: interrupted after {tally.packets:,} packets{share}; {then}")
    return Replay(run, engine, running.words, tally, joined(kept) if kept is not None else None, troubles, running.stopped)
