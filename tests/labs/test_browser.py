"""Labs run where a browser's Python does: no compiler, no process, no thread, no IPv6 in its sockets."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

LABS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# What Pyodide 314 lacks or cannot do, taken away from this Python before anything is imported.
BROWSER = """
import builtins, os, socket, subprocess, sys, threading

class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"numba", "llvmlite", "resource", "pwd", "_posixshmem", "_multiprocessing"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def cannot(*given, **named):
    raise OSError(138, "Function not implemented")

def without_ipv6(function):
    def only_ipv4(family, address):
        if family == socket.AF_INET6:
            raise OSError("IPv6 is disabled")
        return function(family, address)
    return only_ipv4

sys.meta_path.insert(0, Gone())
threading.Thread.start = subprocess.Popen.__init__ = os.fork = cannot
socket.inet_pton, socket.inet_ntop = without_ipv6(socket.inet_pton), without_ipv6(socket.inet_ntop)
socket.has_ipv6 = False
true_platform, sys.platform = sys.platform, "emscripten"
import emulator
sys.platform = true_platform  # libraries that were built for this machine ask for it
"""
PAGE = """
from emulator import Lab, Network
network = Network("topologies/web-server.yaml")
print(network["customer"].curl("http://web-1/").text, end="")
print(Lab("any").deny("customer", "web-1", "SSH").check(network).points)
from scapy.layers.inet6 import IPv6
print(IPv6(bytes(IPv6(dst="2001:db8::1"))).dst)
print(sorted(name for name in sys.modules if name in ("numba", "llvmlite")))
"""
CELLS = """
import json
from emulator.labs.cells import run
for cells in json.load(sys.stdin):
    print(json.dumps(run(cells)))
"""


def in_a_browser(program: str, given: str = "") -> list[str]:
    """The lines that a program prints there."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BROWSER + program],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"MPLBACKEND": "Agg"},
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_page_is_fetched_and_a_lab_is_checked():
    """Nothing that is missing is missed, and numba is never asked for; Scapy has its IPv6."""
    assert in_a_browser(PAGE) == ["Hello from web-1", "1", "2001:db8::1", "[]"]


@pytest.mark.parametrize("start", range(3))
def test_every_lab_runs(start):
    """The shipped labs run there from top to bottom, solutions pass, and no cell raises."""
    notebooks = []
    for path in LABS[start::3]:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        notebooks.append([{"number": number, "code": text, "check": number == len(code)} for number, text in enumerate(code, 1)])
    outcomes = [json.loads(line) for line in in_a_browser(CELLS, json.dumps(notebooks)) if line.startswith('{"grades"')]
    assert len(outcomes) == len(notebooks)
    for outcome in outcomes:
        assert (outcome["trouble"], outcome["first"]) == ("", "")
        assert all(passed for rows in outcome["grades"].values() for _, passed, *_ in rows)
