"""Fuzz one target: ``python -m tests.fuzz captures --seconds 600`` (needs the extra ``fuzz``: atheris).

New inputs are kept in a folder of their own; a finding is written there as ``crash-…`` and ends the run with an error.

"""

import argparse
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["emulator"]):
    from tests.fuzz.targets import CORPUS, TARGETS


def main() -> None:
    """Run libFuzzer on a target for some time."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--work", type=Path, default=Path("fuzz-work"), help="where new inputs and findings go")
    options = parser.parse_args()
    work = options.work / options.target
    work.mkdir(parents=True, exist_ok=True)
    words = Path(__file__).parent / f"{options.target}.dict"
    arguments = [
        sys.argv[0],
        f"-max_total_time={options.seconds}",
        "-timeout=120",
        "-rss_limit_mb=3000",
        f"-artifact_prefix={work}/",
        "-max_len=4096",
        "-print_final_stats=1",
        *([f"-dict={words}"] if words.is_file() else []),
        str(work),
        str(CORPUS / options.target),
    ]
    atheris.Setup(arguments, TARGETS[options.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
