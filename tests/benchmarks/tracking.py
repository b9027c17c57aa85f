"""By hand: ``python -m tests.benchmarks.tracking [FLOWS]``: ten million live flows in the tracking table, and what they cost.

Each flow is a SYN of another source to one server, through the compiled loop.  A child process does the work, so that
its peak memory is that of the network, the kernels and the table alone.
"""

import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from emulator.datapath.state import Count
from emulator.engine import Engine
from emulator.wire.headers import SYN
from tests.policy.test_flood import lab, segments

FLOWS, CHUNK, GAP_NS = 10_000_000, 65_536, 1_000
FIRST = 11 << 24  # 11.0.0.0: sources from outside, one after another


class Cost(NamedTuple):
    """Seconds of CPU, bytes of the table, and peak memory of the process in MB, before the first flow and at the end."""

    live: int
    seconds: float
    table: int
    before: int
    peak: int


def peak_mb() -> int:
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def track(flows: int) -> Cost:
    """Open so many flows, all of which live on."""
    engine = Engine(lab(None), compiled=True, journal=False)
    engine.feed(segments(np.array([FIRST]), 0, SYN, 0, 0))
    before, began = peak_mb(), time.process_time()
    for first in range(1, flows, CHUNK):
        numbers = np.arange(first, min(first + CHUNK, flows), dtype=np.int64)
        engine.feed(segments(FIRST + numbers, first, SYN, first * GAP_NS, GAP_NS))
        engine.advance()
        engine.forget(engine.packets)
    live = int(engine.state.counts[Count.LIVE, 0])
    return Cost(live, time.process_time() - began, engine.state.entries.nbytes, before, peak_mb())


def main() -> None:
    """Print what it took."""
    flows = int(sys.argv[1]) if len(sys.argv) > 1 else FLOWS
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        cost = pool.submit(track, flows).result()
    print(f"{cost.live:,} live flows in {cost.seconds:.1f} s of CPU: {cost.live / cost.seconds:,.0f} flows/s")
    print(f"the table: {cost.table / 1e6:,.0f} MB, {cost.table / cost.live:.0f} bytes a flow")
    print(f"peak memory of the process: {cost.peak:,} MB, {cost.before:,} MB of it before the first flow")


if __name__ == "__main__":
    main()
