"""Run something in a process of its own, with an end to its time and its memory."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_PREFIX = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds} + 5))
resource.setrlimit(resource.RLIMIT_AS, ({megabytes} << 20,) * 2)
"""
_SUFFIX = """
# Not getrusage, whose figure counts what the parent had when it made this process.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("peak", int(peak.split()[1]) // 1024, file=sys.stderr)
"""
_COMMAND = """
from emulator.__main__ import main
code = 0
try:
    main()
except SystemExit as done:
    code = done.code or 0
sys.stdout.flush()
print("code", code, file=sys.stderr)
"""


class Run(NamedTuple):
    """How it ended: exit code, what it said on both channels, the most memory it had in MB (0 if it told nothing)."""

    code: int
    out: str
    err: str
    peak_mb: int


def script(body: str, *arguments: str, seconds: int = 20, megabytes: int = 1500) -> Run:
    """Python code in a process that may take so much processor time and address space."""
    code = _PREFIX.format(seconds=seconds, megabytes=megabytes) + body + _SUFFIX
    return _run([sys.executable, "-c", code, *arguments], seconds)


def command(*arguments: str, seconds: int = 20, megabytes: int = 1500) -> Run:
    """``vpcemu`` with arguments, likewise."""
    run = script(_COMMAND, *arguments, seconds=seconds, megabytes=megabytes)
    told = [line for line in run.err.splitlines() if line.startswith("code ")]
    return run._replace(code=int(told[-1].split()[1]) if told else run.code)


def _run(arguments: list[str], seconds: int) -> Run:
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=6 * seconds, check=False)
    peak = [line for line in done.stderr.splitlines() if line.startswith("peak ")]
    return Run(done.returncode, done.stdout, done.stderr, int(peak[-1].split()[1]) if peak else 0)
