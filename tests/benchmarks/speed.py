"""The table of ratios: ``python -m tests.benchmarks.speed [--packets N] [--keep FILE]``.

Everything runs in one go on one machine, so the ratios hold whatever the machine; our own figures are the best of
`ROUNDS`.  Rates are packets in a second of processor time, except where two cores work or the kernel does: there it is
the clock.
"""

import argparse
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from emulator.engine import Engine
from emulator.kernels import compiled
from emulator.replay import replay
from emulator.wire.capture import Capture
from emulator.wire.headers import FIELDS, parse_many
from tests.benchmarks.peers import PEERS
from tests.benchmarks.traffic import Mix, topology, write

ROUNDS = 3


def limit_rate(path: Path, packets: int) -> float:
    """Walking and parsing every header, nothing else."""
    parse, headers = compiled(parse_many), np.empty((65_536, FIELDS), dtype=np.int64)

    def work() -> None:
        with Capture(path) as capture:
            for chunk in capture.chunks(len(headers)):
                parse(chunk.buffer, chunk.records, headers[: len(chunk.records)], 0)

    return packets / _best(work, time.process_time)


def _best(work: Callable[[], object], clock: Callable[[], float]) -> float:
    work()  # the first may compile
    times = []
    for _ in range(ROUNDS):
        begin = clock()
        work()
        times.append(clock() - begin)
    return min(times)


def our_rates(path: Path, mix: Mix, folder: Path) -> dict[str, float]:
    """Our own rates, by what is done."""
    network, lines = topology(mix), folder / "packets.jsonl"

    def everything() -> None:
        len(replay(network, path, packets=lines).flows)

    rates = {
        "bulk replay, a verdict a packet": mix.packets / _best(lambda: replay(network, path, open_loop=True), time.process_time),
        "the same, causes before effects": mix.packets / _best(lambda: replay(network, path), time.process_time),
        "and flow records, and a line with its reason a packet": mix.packets / _best(everything, time.process_time),
    }
    one = mix.packets / _best(lambda: replay(network, path, open_loop=True, jobs=1), time.perf_counter)
    two = mix.packets / _best(lambda: replay(network, path, open_loop=True, jobs=2), time.perf_counter)
    return {**rates, "one core, by the clock": one, "two cores, by the clock": two}


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--packets", type=int, default=1_000_000)
    options.add_argument("--keep", type=Path, help="where the capture is, or is to stay")
    given = options.parse_args()
    mix = Mix(packets=given.packets)
    with tempfile.TemporaryDirectory() as folder:
        path = given.keep or Path(folder, "benchmark.pcap")
        if not path.exists():
            print(f"making {mix.packets:,} packets …", file=sys.stderr)
            write(path, mix)
        peers = {name: rate(path) for name, rate in PEERS.items()}
        limit = limit_rate(path, mix.packets)
        ours = our_rates(path, mix, Path(folder))
    print(
        f"{machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"{mix.packets:,} packets, {len(Engine(topology(mix)).tables.rules):,} rules\n"
    )
    print("| work | packets/s | " + " | ".join(f"× {name}" for name in peers) + " | share of walk and parse |")
    print("|---|" + "---:|" * (len(peers) + 2))
    for name, rate in peers.items():
        print(f"| {name} | {rate if isinstance(rate, str) else f'{rate:,.0f}'} |" + " |" * (len(peers) + 1))
    print(f"| walk and parse, nothing else | {limit:,.0f} |" + " |" * len(peers) + " 100 % |")
    for name, mine in ours.items():
        ratios = " | ".join("–" if isinstance(rate, str) else f"{mine / rate:,.1f}" for rate in peers.values())
        print(f"| {name} | {mine:,.0f} | {ratios} | {100 * mine / limit:.0f} % |")
    print(f"\npeak memory of it all: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def machine() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
