"""Kill a replay at random moments, go on, and compare: ``python -m tests.kills --kills 100``.

Each time a replay with a checkpoint is begun, killed (SIGKILL) at a random moment of its time, and gone on with; what it
wrote and printed must be, byte for byte, that of a replay that nobody killed.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from emulator.__main__ import main as main_of_vpcemu
from emulator.model.files import save
from tests.benchmarks.traffic import Mix, topology, write


def make_small() -> None:
    """Let this process take a thousand packets for many, so that a test need not wait for real ones."""
    from emulator import replay
    from emulator.bulk import running, windows

    windows.WINDOW, running.KEPT, replay.KEPT, running.KEPT_BYTES = 256, 500, 500, 1000


class Kills:
    """A capture, and what comes out of it when nobody kills.

    Parameters
    ----------
    folder : where everything is put
    packets : of the capture
    small : see `make_small`
    options : further ones of the replay
    """

    def __init__(self, folder: Path, packets: int, small: bool, options: tuple[str, ...] = ()) -> None:
        self.folder, self.options = folder, options
        mix = Mix(packets=packets, instances=10, groups=4) if small else Mix(packets=packets)
        write(folder / "c.pcap", mix)
        save(topology(mix), folder / "n.yaml")
        self.small = small
        if not small:
            self._whole("right.jsonl")  # compiles, if nothing did before
        began = time.monotonic()
        self.right = self._whole("right.jsonl")
        self.seconds = time.monotonic() - began

    def _begin(self, output: str, *more: str) -> int:
        """A child process at a replay, which has everything imported."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.chdir(self.folder)
                for number, name in ((1, "out"), (2, "err")):
                    os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
                sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
                sys.argv = ["vpcemu", "replay", "n.yaml", "c.pcap", "--json", "--packets", output, *self.options, *more]
                if self.small:
                    make_small()
                main_of_vpcemu()
                code = 0
            except SystemExit as done:
                code = done.code if isinstance(done.code, int) else int(done.code is not None)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        return child

    def _whole(self, output: str, *more: str) -> bytes:
        code = _end(self._begin(output, *more))
        assert code == 0, (self.folder / "err").read_text()
        return (self.folder / "out").read_bytes() + (self.folder / output).read_bytes()

    def once(self, seconds: float) -> tuple[bool, bool]:
        """Kill a replay after so many seconds and go on; whether the kill met it alive, and whether all bytes are the same."""
        words = ("--checkpoint", "k", "--resume", "--checkpoint-seconds", "0")
        output = self.folder / "killed.jsonl"
        output.write_bytes(b"old\n")
        child = self._begin(output.name, *words)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        met = _end(child) == -signal.SIGKILL
        # It is the old file or the whole new one, at every moment.
        whole = output.read_bytes() in (b"old\n", (self.folder / "right.jsonl").read_bytes())
        same = self._whole(output.name, *words) == self.right
        left = (self.folder / "k").exists() or list(self.folder.glob(".*.part"))
        return met, whole and same and not left


def _end(child: int) -> int:
    """A child's exit code; negative if a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> int:
    """Kill, and count."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--packets", type=int, default=400_000)
    parser.add_argument("--small", action="store_true", help="take a thousand packets for many, so that 2,000 will do")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*", help="further options of the replay, behind --")
    options = parser.parse_args()
    chance, killed, same, tried = random.Random(options.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        kills = Kills(Path(folder), options.packets, options.small, tuple(options.options))
        while killed < options.kills:
            met, equal = kills.once(chance.uniform(0, kills.seconds))
            tried, killed, same = tried + 1, killed + met, same + equal
            print(f"{killed} kills, {same} equal results of {tried}", flush=True)
    return int(same != tried)


if __name__ == "__main__":
    sys.exit(main())
