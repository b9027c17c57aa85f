"""Shares of a capture on any executor: in other processes, or on other machines.

    executor ── task: share k of n ─► reads the capture, runs its own packets ─► Part: tally, and a file of lines by window
                                                                                   │
    here     ◄── tallies joined, lines merged by index ────────────────────────────┘

A task depends on nothing but the run and its number, so a task that was lost with its worker is done again: by the
executor, if it does so (dask), else here.  Captures, and the folder of what is written, are files that all workers see
by the same names.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, TypeVar

import numpy as np

from emulator.bulk.results import NumberedLines, PacketLines
from emulator.bulk.running import STDIN, Run, Running
from emulator.bulk.shares import Share, obstacle
from emulator.errors import EmulatorError, UsageError
from emulator.observe.flows import Tally
from emulator.wire.atomic import check_writable, written

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """What became of one share of a capture.

    Attributes
    ----------
    windows : the first index of each window, the same in all shares
    machine : whether the share's run was compiled
    """

    tally: Tally
    windows: list[int]
    troubles: list[str]
    machine: bool


@dataclass(frozen=True)
class Whole:
    """What became of a capture, all shares together."""

    tally: Tally
    troubles: list[str]


def run_share(run: Run, share: Share, lines: str | None) -> Part:
    """Run one share; if ``lines`` names a file, write there what `_merge` needs."""
    tally, windows = Tally(), []
    with Running(run, share=share) as running, nullcontext() if lines is None else written(lines) as file:
        made = PacketLines(running.words)
        for stretch in running.stretches():
            windows.append(stretch.first)
            tally.add(stretch.headers, stretch.seen, stretch.outcomes, stretch.first, running.machine)
            if file is not None:
                for array in made.numbered(stretch):
                    np.save(file, array, allow_pickle=False)
        return Part(tally, windows, list(running.reader.troubles), running.machine)


def run_shares(run: Run, executor: Executor, packets: str | os.PathLike[str] | None) -> Whole:
    """Run a capture in ``run.jobs`` shares and put together what came of them; ``packets`` is as in `emulator.replay.replay`.

    Raises
    ------
    UsageError : what one process alone can do.
    CaptureError : a file is no capture, or one cannot be written.
    """
    _check(run)
    hindrance = obstacle(run.topology) if run.jobs > 1 else ""
    count = 1 if hindrance else run.jobs
    with _folder_beside(packets) as folder:
        names = [None if folder is None else os.path.join(folder, str(number)) for number in range(count)]
        tasks = [(replace(run, jobs=1), Share(number, count), name) for number, name in enumerate(names)]
        parts = list(gathered(executor, run_share, tasks))
        if packets is not None:
            with written(packets) as out:
                _merge([name for name in names if name], len(parts[0].windows), parts[0].machine, out)
    troubles = list(parts[0].troubles)
    if hindrance:
        troubles.append(f"{run.name}: replayed by one core: {hindrance}")
    return Whole(Tally.joined([part.tally for part in parts], np.array(parts[0].windows, dtype=np.int64)), troubles)


def run_each(runs: Sequence[Run], executor: Executor) -> Iterator[Part]:
    """Run several captures, each for itself.

    Raises
    ------
    UsageError : what one process alone can do.
    CaptureError : a file is no capture.
    """
    for run in runs:
        _check(run)
    return gathered(executor, run_share, [(run, Share(0, 1), None) for run in runs])


def _check(run: Run) -> None:
    """Refuse what cannot be put together from parts."""
    for wrong, what in (
        (STDIN in run.captures, "standard input is read by one process alone"),
        (run.flow_logs or run.live, "flow logs, and packets as they come, are kept by one engine"),
        (bool(run.topology.schedule), f"{run.topology.name} plans edits, which one engine makes"),
    ):
        if wrong:
            raise UsageError(f"{what}; leave executor out")


def gathered(executor: Executor, work: Any, tasks: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    """What ``work`` gives for each task, in order; a task that an executor loses is done here.

    An error that is the task's own comes again here, and then is raised.
    """
    futures: list[Future[Any] | None] = []
    try:
        for task in tasks:
            futures.append(_submitted(executor, work, task))
        for future, task in zip(futures, tasks, strict=True):
            try:
                result = future.result() if future is not None else work(*task)
            except EmulatorError:
                raise
            except Exception:  # whatever an executor raises for a worker that died
                result = work(*task)
            yield result
    finally:
        for future in futures:
            if future is not None:
                future.cancel()


def _submitted(executor: Executor, work: Any, task: tuple[Any, ...]) -> "Future[Any] | None":
    try:
        return executor.submit(work, *task)
    except RuntimeError:  # its workers died before
        return None


@contextmanager
def _folder_beside(path: str | os.PathLike[str] | None) -> Iterator[str | None]:
    """A folder for parts of a file, in the file's own folder, which workers see; gone afterwards."""
    if path is None:
        yield None
        return
    check_writable(path)
    with TemporaryDirectory(prefix=".vpcemu-", dir=Path(os.path.abspath(path)).parent) as folder:
        yield folder


def _merge(names: list[str], windows: int, machine: bool, out: BinaryIO) -> None:
    """Write the lines of all shares, by index, window by window."""
    with ExitStack() as stack:
        files = [stack.enter_context(open(name, "rb")) for name in names]
        for _ in range(windows):
            out.write(_joined([NumberedLines(*(np.load(file, allow_pickle=False) for _ in range(3))) for file in files]).written(machine))


def _joined(parts: list[NumberedLines]) -> NumberedLines:
    kinds = np.cumsum([0, *(len(part.places) for part in parts)])
    ends = np.cumsum([0, *(len(part.ends) for part in parts)])
    numbers = np.concatenate([part.numbers + np.array([0, 0, kind]) for part, kind in zip(parts, kinds, strict=False)])
    places = np.concatenate([part.places + np.array([end, 0]) for part, end in zip(parts, ends, strict=False)])
    order = np.argsort(numbers[:, 0], kind="stable")
    return NumberedLines(numbers[order], np.concatenate([part.ends for part in parts]), places)
