"""Starting is light: what a command does not need is not loaded."""

import os
import subprocess
import sys

import pytest

from tests.benchmarks.start import write_visits
from tests.conftest import ROOT

HEAVY = ("scapy", "numba", "matplotlib", "networkx", "pydantic", "yaml", "pandas", "pyarrow", "boto3", "cfnlint", "rich", "distributed")
OWN = ("runtime", "hosts.host", "verbs.machine", "replay", "bulk", "reach", "views", "labs", "importers.aws", "importers.terraform")
WATCHED = (*HEAVY, *(f"emulator.{name}" for name in OWN))


def loaded(code, **variables):
    """What a fresh interpreter, which may compile, prints for some code, and which of the watched modules it then has."""
    script = f"{code}\nimport sys\nprint(*(name for name in {WATCHED!r} if name in sys.modules))"
    own = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")} | variables
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=own, cwd=ROOT)
    *lines, last = done.stdout.splitlines()
    return lines, set(last.split())


def command(*words):
    """Code that runs the command line and goes on after it."""
    return f"import sys; from emulator.cli import app; sys.argv = {['vpcemu', *words]!r}\ntry: app()\nexcept SystemExit: pass"


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        pytest.param("import emulator", set(), id="import emulator"),
        pytest.param(command("--help"), set(), id="vpcemu --help"),
        pytest.param("from emulator import Topology, Network; Network(Topology.of())", set(), id="an empty network"),
        pytest.param("from emulator import loads; loads('topology: x')", {"pydantic", "yaml"}, id="a topology file"),
        pytest.param(command("check", "topologies/web-server.yaml"), {"pydantic", "yaml"}, id="vpcemu check, with questions to answer"),
    ],
)
def test_only_what_is_needed_is_loaded(code, allowed):
    """Scapy, numba, matplotlib and their like are loaded when they are used, not before; nor are machines, views or labs."""
    assert loaded(code)[1] <= allowed


def test_a_thousand_packets_need_no_compiler(tmp_path):
    """A small replay without compiled kernels on disk runs interpreted: it loads neither numba nor what draws or answers."""
    capture = tmp_path / "visits.pcap"
    write_visits(capture)
    code = command("replay", "topologies/web-server.yaml", str(capture))
    lines, found = loaded(code, VPCEMU_CACHE=str(tmp_path / "cache"))
    assert lines[1] == "1,000 packets in 100 flows:   800 accepted   20 dropped   180 unsent   0 skipped"
    assert found <= {"pydantic", "yaml", "rich", "emulator.replay", "emulator.bulk", "emulator.views"}
    assert not (tmp_path / "cache").exists()


def test_every_public_name_is_there():
    """What the package lists can be imported, and nothing else pretends to be."""
    import emulator

    for name in emulator.__all__:
        assert getattr(emulator, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        emulator.nothing  # noqa: B018 - the access is the test
