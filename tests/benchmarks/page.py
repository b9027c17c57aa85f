"""By hand: ``python -m tests.benchmarks.page [--packets N] [--keep FILE]``: the pictures of a replay of a million packets.

Prints how long the interactive page and each figure took, replay apart, and how large they are.  The page has to be made
in under a minute of this process's time and be smaller than ten megabytes, or the exit code is 1.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from emulator.replay import replay
from tests.benchmarks.traffic import Mix, topology, write

MOST_SECONDS, MOST_BYTES = 60, 10_000_000


def main() -> None:
    """Print how long everything took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--packets", type=int, default=1_000_000)
    options.add_argument("--keep", type=Path, help="keep the page here")
    chosen = options.parse_args()
    mix = Mix(packets=chosen.packets)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "million.pcap", mix)
        began = time.process_time()
        found = replay(topology(mix), folder / "million.pcap")
        print(f"replay of {found.counts['total']:,} packets, {len(found.tally):,} flows: {time.process_time() - began:.1f} s")
        works: dict[str, Callable[[Path], object]] = {
            "page.html": found.save_html,
            "map.png": found.save_figure,
            "timeline.png": found.save_timeline,
            "matrix.png": found.save_matrix,
            "coverage.png": found.save_coverage,
        }
        measured = {kind: _measured(work, folder / kind) for kind, work in works.items()}
        if chosen.keep:
            chosen.keep.write_bytes((folder / "page.html").read_bytes())
    for kind, (seconds, size) in measured.items():
        print(f"{kind}: {seconds:.1f} s, {size / 1e6:.2f} MB")
    seconds, size = measured["page.html"]
    raise SystemExit(int(seconds >= MOST_SECONDS or size >= MOST_BYTES))


def _measured(work: Callable[[Path], object], path: Path) -> tuple[float, int]:
    """Seconds of this process, and bytes."""
    began = time.process_time()
    work(path)
    return time.process_time() - began, path.stat().st_size


if __name__ == "__main__":
    main()
