"""By hand: ``python -m tests.golden.pythons PYTHON…``: whether other Pythons write the golden journals, byte for byte.

Each interpreter (``python3.12``, a path) gets an environment of its own with vpcemu in it, and runs every case interpreted
and compiled.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
JOURNALS = """
import sys
from tests.golden.test_golden import CASES, journal
for case in CASES:
    for compiled in (False, True):
        assert journal(case, compiled=compiled) == (case / "expected.txt").read_text(), f"{case.name}, compiled={compiled}"
print(f"Python {sys.version.split()[0]}: {len(CASES)} journals, interpreted and compiled, are the same bytes")
"""


def main() -> int:
    """Run the cases under each interpreter; 1 if one of them differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pythons", nargs="+", metavar="PYTHON", help="an interpreter: python3.12, or where one is")
    wrong = 0
    for python in parser.parse_args().pythons:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([python, "-m", "venv", folder], check=True)
            own = Path(folder, "bin", "python")
            subprocess.run([own, "-m", "pip", "install", "--quiet", ROOT, "pytest"], check=True)
            wrong |= subprocess.run([own, "-c", JOURNALS], cwd=ROOT).returncode != 0
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
