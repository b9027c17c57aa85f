"""Starting is light: what a command does not need is not loaded."""

import subprocess
import sys

import pytest

HEAVY = ("scapy", "numba", "matplotlib", "networkx", "pydantic", "yaml", "pandas", "pyarrow", "boto3", "cfnlint")


def loaded(code):
    """Heavy packages that a fresh interpreter has loaded after some code."""
    script = f"{code}\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        pytest.param("import emulator", set(), id="import emulator"),
        pytest.param(
            "import sys; from emulator.cli import app; sys.argv = ['vpcemu', '--help']\ntry: app()\nexcept SystemExit: pass",
            set(),
            id="vpcemu --help",
        ),
        pytest.param("from emulator import Topology, Network; Network(Topology.of())", set(), id="an empty network"),
        pytest.param("from emulator import loads; loads('topology: x')", {"pydantic", "yaml"}, id="a topology file"),
    ],
)
def test_only_what_is_needed_is_loaded(code, allowed):
    """Scapy, numba, matplotlib and their like are loaded when they are used, not before."""
    assert loaded(code) <= allowed


def test_every_public_name_is_there():
    """What the package lists can be imported, and nothing else pretends to be."""
    import emulator

    for name in emulator.__all__:
        assert getattr(emulator, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        emulator.nothing  # noqa: B018 - the access is the test
