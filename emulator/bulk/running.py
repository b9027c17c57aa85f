"""A replay that is going on: captures are read, fed to an engine, and handed out as soon as their packets' way has ended."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from emulator.bulk.plan import Plan, WordsInTime
from emulator.bulk.results import Stretch
from emulator.bulk.shares import Share, SharedEngine, ShareEngine, obstacle
from emulator.bulk.windows import Reader, Window, address_map
from emulator.datapath.share import ELSEWHERE
from emulator.datapath.state import Count, Outcome
from emulator.engine import Engine
from emulator.errors import CaptureError
from emulator.model.topology import Topology
from emulator.wire.headers import Field, Matrix

KEPT = 50_000  # packets; of larger replays headers, outcomes and steps are made again when somebody asks
KEPT_BYTES = 1_000 * KEPT  # a larger capture will not be kept, whatever is in it
STDIN = "-"
Source = str | os.PathLike[str]


@dataclass(frozen=True)
class Run:
    """What is replayed, and how; the same run always gives the same results."""

    topology: Topology
    captures: tuple[Source, ...]
    map: dict[str, str]
    open_loop: bool = False
    compiled: bool | None = None
    jobs: int = 1
    flow_logs: bool = False
    live: bool = False

    @property
    def name(self) -> str:
        """The captures as they were named."""
        return ", ".join(os.fspath(capture) for capture in self.captures)

    @property
    def title(self) -> str:
        """The captures' names without their folders, for people."""
        return ", ".join("standard input" if capture == STDIN else Path(capture).name for capture in self.captures)


class Position(NamedTuple):
    """How far a run has come: windows that were fed, how many of them still have packets on their way, and a sum over all."""

    windows: int = 0
    waiting: int = 0
    sum: int = 0


class Running:
    """A run that is going on: reads, feeds, and hands out what has ended.

    Parameters
    ----------
    journal : whether steps are written down; None for as long as few packets came
    share : which packets to run, if the others are run elsewhere; stretches have these alone
    """

    def __init__(self, run: Run, journal: bool | None = None, share: Share | None = None) -> None:
        self.run = run
        self.reader = Reader(run.captures, address_map(run.topology, run.map), run.compiled, run.live)
        self._from = Position()
        self._restore: Callable[[], object] = _nothing
        try:
            self._keep_journal = journal
            # A large file will not be kept anyway; of a pipe nobody knows.
            large = journal is None and self.reader.size > KEPT_BYTES
            self.obstacle = "" if run.jobs == 1 else "flow logs are kept by one" if run.flow_logs else obstacle(run.topology)
            self.engine: Engine | SharedEngine
            if share is not None:
                self.engine = ShareEngine(run.topology, share, compiled=run.compiled)
            elif run.jobs > 1 and large and not self.obstacle:
                self.engine = SharedEngine(run.topology, run.jobs, compiled=run.compiled)
            else:
                self.engine = Engine(run.topology, compiled=run.compiled, journal=not large, flow_logs=run.flow_logs)
            self.engine.causal = not run.open_loop
            self._plan = Plan(self.engine, self._edited)
            self.words = WordsInTime(run.topology, self.engine.ids, self.engine.tables)
        except BaseException:
            self.reader.close()
            raise
        self.stopped = False

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()
        if isinstance(self.engine, SharedEngine):
            self.engine.close()

    @property
    def machine(self) -> bool:
        """Whether this run is compiled."""
        return self.engine.is_compiled

    def resume(self, position: Position, restore: Callable[[], object]) -> None:
        """Go on from where another run of the same was; ``restore`` gives the engine that one's state when it is reached."""
        self._from, self._restore = position, restore

    def stretches(
        self, after_window: Callable[[], object] = lambda: None, at_rest: Callable[[Position], object] | None = None
    ) -> Iterator[Stretch]:
        """Packets whose way has ended, in the order of their indexes; a stretch is good until the next is asked for.

        Parameters
        ----------
        after_window : called whenever a window was read
        at_rest : called between two windows, when what was handed out has been worked on

        Raises
        ------
        CaptureError : of a run that goes on, the captures are not the same.
        """
        waiting: deque[Window] = deque()
        read, total, start = 0, 0, self._from
        for window in _ahead(self.reader.windows()) if isinstance(self.engine, SharedEngine) else self.reader.windows():
            read += 1
            if at_rest is not None:
                total = crc32(window.seen.data, total)
            if read <= start.windows:
                self._pass_by(window, waiting if read > start.windows - start.waiting else None)
                after_window()
                if read == start.windows:
                    if total != start.sum:
                        raise self._changed()
                    self._restore()
                continue
            if self.engine.packets + len(window.headers) > KEPT and self._keep_journal is None:
                self.engine.drop_journal()
            self._plan.feed(window.headers)
            waiting.append(window)
            after_window()
            while waiting and self.engine.all_ended(waiting[0].first, len(waiting[0].headers)):
                yield from self._hand_out(waiting.popleft())
            if at_rest is not None:
                at_rest(Position(read, len(waiting), total))
            if self.stopped:
                break
        if read < start.windows:
            raise self._changed()
        self._plan.finish()
        while waiting:
            yield from self._hand_out(waiting.popleft())

    def _edited(self, at_ns: int) -> None:
        self.words.edited(at_ns, self.engine.topology, self.engine.tables)

    def _changed(self) -> CaptureError:
        return CaptureError(f"{self.run.name}: has changed since the checkpoint was made; delete that and begin anew")

    def _pass_by(self, window: Window, waiting: deque[Window] | None) -> None:
        """Leave out a window that was fed already; one with packets on their way waits for them."""
        self._plan.pass_by(window.headers)
        if waiting is not None:
            waiting.append(window)
        else:
            self.reader.give_back(window)

    def _hand_out(self, window: Window) -> Iterator[Stretch]:
        count, headers, seen = len(window.headers), window.headers, window.seen
        outcomes = self.engine.outcomes(window.first, count)
        if isinstance(self.engine, ShareEngine):
            own = outcomes[headers[:, Field.INDEX] - window.first, Outcome.VERDICT] != ELSEWHERE
            headers, seen = headers[own], seen[own]
        yield Stretch(headers, seen, outcomes, window.first)
        self.engine.forget(window.first + count)
        self.reader.give_back(window)

    def take_steps(self) -> Matrix:
        """All steps since the last call; they are forgotten."""
        state = self.engine.state
        steps: Matrix = state.journal[: int(state.counts[Count.STEPS, 0])].copy()
        state.counts[Count.STEPS, 0] = 0
        return steps


def _nothing() -> None:
    """What there is to restore at the beginning."""


def _ahead(windows: Iterator[Window]) -> Iterator[Window]:
    """Windows that are read while those before are worked on."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, windows, None)
        while True:
            window = following.result()
            if window is None:
                return
            following = thread.submit(next, windows, None)
            yield window


@contextmanager
def stop_on_interrupt(running: Running) -> Iterator[None]:
    """Let Ctrl-C end the reading after the window at hand; a second one ends everything."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        if running.stopped:
            raise KeyboardInterrupt
        running.stopped = True

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
