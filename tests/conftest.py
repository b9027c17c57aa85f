"""What tests of all folders share."""

import json
import os
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

# Where a change is judged, the drawn examples are the same every time; new ones are looked for by hand.
settings.register_profile("judged", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("judged")

ROOT = Path(__file__).parents[1]
COMPILING = os.environ.get("NUMBA_DISABLE_JIT")  # as it was before any test was collected


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden`` writes the journals of tests/golden anew."""
    parser.addoption("--update-golden", action="store_true", help="write the journals of tests/golden anew")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared development data beside the project; a test that needs it is skipped where it is absent."""
    folder = ROOT.parent / "shared"
    if not (folder / "captures" / "MANIFEST.md").is_file():
        pytest.skip("no folder of shared captures beside the project")
    return folder


@pytest.fixture(scope="session")
def topologies() -> Path:
    """The topologies that come with the project."""
    return ROOT / "topologies"


@pytest.fixture(scope="session")
def captures() -> Path:
    """The captures that the project recorded itself."""
    return ROOT / "tests" / "captures"


class Ran(NamedTuple):
    """A command's exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """Its standard output as JSON."""
        return json.loads(self.out)


@pytest.fixture
def vpcemu(monkeypatch, capsys):
    """Runs the command line in this process: ``vpcemu("check", path)`` gives its exit code and output."""
    from emulator.__main__ import main

    def run(*words) -> Ran:
        monkeypatch.setattr("sys.argv", ["vpcemu", *map(str, words)])
        monkeypatch.setenv("COLUMNS", "200")
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code or 0
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run
