"""Mutation testing: ``python -m tests.mutation emulator/policy`` changes one thing at a time and expects a test to fail.

The tests are collected once.  For each mutant a child process takes the changed functions in place of the real ones and
runs the tests, those that killed lately first, then by their time, until one fails.  Kernels run interpreted; Hypothesis
draws the same examples each time and does not shrink.  A mutant that no test notices has *survived*: it gets a test, or
a line in survivors.md that says why no test can tell it from the real thing.
"""

import argparse
import os
import random
import sys
import time
from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.runs import Runs

SURVIVORS = Path(__file__).parent / "survivors.md"
SURVIVED = "SURVIVED"
TESTS = ("tests/policy", "tests/vpc", "tests/golden", "tests/datapath", "tests/reach")


def told(module: Path, mutant: Mutant) -> str:
    """A mutant in a line of the log."""
    return f"{module}:{mutant.line} {mutant.title}"


class Campaign:
    """A pytest plugin that runs the collected tests once for each mutant.

    Parameters
    ----------
    modules : the modules to change
    sample : how many mutants at most, drawn by a fixed seed; 0 takes all
    again : what an earlier run printed, of which the survivors alone are taken; empty takes all
    longest : seconds; tests that take longer are left out
    """

    def __init__(self, modules: list[Path], sample: int, again: str, longest: float) -> None:
        self.longest = longest
        survived = {line.split(" s ", 1)[1] for line in again.splitlines() if line.endswith(SURVIVED)}
        every = ((module, mutant) for module in modules for mutant in mutants(module))
        self.chosen = [(module, mutant) for module, mutant in every if not again or f"{told(module, mutant)} {SURVIVED}" in survived]
        if sample and sample < len(self.chosen):
            self.chosen = [self.chosen[at] for at in sorted(random.Random(0).sample(range(len(self.chosen)), sample))]
        self.survivors: list[tuple[Path, Mutant]] = []

    def pytest_configure(self) -> None:
        """The same drawn examples for every mutant; the smallest one is of no use here."""
        from hypothesis import Phase, settings

        settings.register_profile("mutation", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
        settings.load_profile("mutation")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of running the tests once."""
        runs, began = Runs(session), time.monotonic()
        runs.measure(self.longest)
        for number, (module, mutant) in enumerate(self.chosen, 1):
            killer = runs.killer(module, mutant)
            if killer is None:
                self.survivors.append((module, mutant))
            end = f"killed by {killer}" if killer else SURVIVED
            print(f"{number}/{len(self.chosen)} {time.monotonic() - began:.0f} s {told(module, mutant)} {end}", flush=True)
        return True

    def report(self) -> int:
        """Print the score and the survivors that nobody explained; gives how many those are."""
        explained = SURVIVORS.read_text(encoding="utf-8")
        new = [(module, mutant) for module, mutant in self.survivors if f"| {module.name} | {mutant.title} |" not in explained]
        killed, total = len(self.chosen) - len(self.survivors), len(self.chosen)
        print(f"\n{killed} of {total} mutants killed, {100 * killed / total:.1f} %; {len(new)} survivors are not explained")
        for module, mutant in new:
            print(f"| {module.name} | {mutant.title} | line {mutant.line}")
        return len(new)


def main() -> int:
    """Change modules, and say what the tests did not notice."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="+", type=Path, help="modules or folders of them, emulator/policy")
    parser.add_argument("--sample", type=int, default=0, help="so many mutants, drawn by a fixed seed")
    parser.add_argument("--again", type=Path, metavar="LOG", help="what an earlier run printed: its survivors alone")
    parser.add_argument("--longest", type=float, default=2, help="seconds; tests that take longer are left out")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="what may kill")
    options = parser.parse_args()
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    modules = [module for path in options.paths for module in ([path] if path.is_file() else sorted(path.glob("*.py")))]
    campaign = Campaign(modules, options.sample, options.again.read_text(encoding="utf-8") if options.again else "", options.longest)
    flags = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist"]
    code = pytest.main([*flags, *options.tests], plugins=[campaign])
    return int(code) or min(1, campaign.report())


if __name__ == "__main__":
    sys.exit(main())
