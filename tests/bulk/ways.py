"""The ways to run a replay, and what each says, for tests that hold them equal."""

from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple

import pytest

from emulator.bulk import running, windows
from emulator.datapath.loop import Exit, advance
from emulator.kernels import available
from emulator.replay import replay


class Told(NamedTuple):
    """What a replay says: the line of each packet, its sums, its conversations."""

    lines: list[bytes]
    counts: dict[str, int]
    skipped: dict[str, int]
    flows: list[dict]


def told(topology, captures, folder, **options):
    """What a replay says; nothing is left in the folder but the lines."""
    path = folder / "packets.jsonl"
    result = replay(topology, captures, packets=path, **options)
    assert [left.name for left in folder.iterdir() if left.name.startswith(".")] == []
    return Told(path.read_bytes().splitlines(), result.counts, result.skipped, [flow.to_json() for flow in result.flows])


@dataclass(frozen=True)
class Way:
    """A way to run a replay.

    Parameters
    ----------
    window : packets that are read and put in order at a time, 0 for as many as usual
    steps : events after which the loop is left and entered again, 0 for never
    crew : gives an executor for the ``jobs`` shares
    """

    compiled: bool = False
    window: int = 0
    steps: int = 0
    jobs: int = 1
    crew: Callable[[], AbstractContextManager[Executor | None]] = nullcontext

    def told(self, topology, capture, folder, open_loop):
        """What a replay says that is run this way."""
        if self.compiled and not available():
            pytest.skip("nothing is compiled here")
        with pytest.MonkeyPatch.context() as patch, self.crew() as executor:
            if self.window:
                patch.setattr(windows, "WINDOW", self.window)
            if self.steps:
                patch.setattr("emulator.engine.advance", in_steps(self.steps))
            if self.jobs > 1:
                patch.setattr(running, "KEPT_BYTES", 0)  # or a small capture is one engine's, to be kept
            return told(topology, capture, folder, compiled=self.compiled, open_loop=open_loop, jobs=self.jobs, executor=executor)


def in_steps(size):
    """The event loop, left and entered again after so many events; to stand in for ``emulator.engine.advance``."""

    def loop(tables, state, feed, until, limit, causal):
        while (code := advance(tables, state, feed, until, size, causal)) == Exit.LIMIT:
            pass
        return code

    return loop


@contextmanager
def threads():
    """Two threads of this process."""
    with ThreadPoolExecutor(2) as executor:
        yield executor


@contextmanager
def processes():
    """Two processes of this machine."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor


@contextmanager
def dask():
    """A dask cluster of two worker processes."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
        client.get_executor() as executor,
    ):
        yield executor
