"""Labs run where nothing can be compiled, as in a browser: numba is not there, and nobody misses it."""

import subprocess
import sys

PROGRAM = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Gone())
from emulator import Lab, Network
network = Network("topologies/web-server.yaml")
print(network["customer"].curl("http://web-1/").text, end="")
print(Lab("any").deny("customer", "web-1", "SSH").check(network).points)
print(sorted(name for name in sys.modules if name in ("numba", "llvmlite")))
"""


def test_a_lab_needs_no_compiler():
    """A page is fetched and a lab is checked without numba, and numba is never asked for."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["Hello from web-1", "1", "[]"]
