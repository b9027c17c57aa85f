"""Golden cases: a folder with a topology, a capture, and what became of every packet, step by step, in words.

Adding a case is adding a folder ``tests/golden/NAME`` with ``topology.yaml`` and ``capture.pcap``; ``pytest
--update-golden`` writes its ``expected.txt``, and rewrites those that changed.  A commit that changes one explains each
changed line.  The captures of the cases with gateways are written by `gateways`, and a test holds that they are.
"""

import difflib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emulator.clock import format_time
from emulator.kernels import available
from emulator.model.files import load
from emulator.replay import Replay, replay
from emulator.wire.capture import read_frames
from emulator.wire.headers import FIELDS, TCP, Field, five_tuple, parse_frame

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("*/topology.yaml"))
FLAGS = "FSRPAUEC"


def journal(case: Path, **how: object) -> str:
    """What became of every packet of a case, in words."""
    result = replay(load(case / "topology.yaml"), case / "capture.pcap", **how)  # type: ignore[arg-type]
    lines = []
    for packet, sent in zip(result.packets, _sent(case), strict=True):
        lines.append(f"packet {packet.index}  {sent}")
        lines += _ways(result, packet.index)
        end = f"  = {packet.verdict}"
        if packet.tracked:
            end += ", tracked"
        if packet.rule:
            end += f", by {packet.rule}"
        if packet.why:
            end += f": {packet.why.code} at {packet.why.stage} {packet.why.at}"
        lines.append(end if packet.hangs_on is None else f"{end}, after packet {packet.hangs_on}")
    counts = ", ".join(f"{count} {name}" for name, count in result.counts.items())
    return "\n".join([*lines, counts]) + "\n"


def _ways(result: Replay, index: int) -> Iterator[str]:
    for step in result.steps(index):
        text = step.text.replace(f"{HERE}/", "")
        yield f"  {'✓' if step.passed else '✗'} {format_time(step.time_ns - _start(result))}  {step.at}, {step.check}: {text}".rstrip()


def _start(result: Replay) -> int:
    return min((packet.time_ns for packet in result.packets), default=0)


def _sent(case: Path) -> Iterator[str]:
    """Each packet of a case's capture in one line."""
    rows = np.zeros((1, FIELDS), dtype=np.int64)
    for _, kind, data in read_frames(case / "capture.pcap"):
        parse_frame(np.frombuffer(data, np.uint8), 0, len(data), kind, rows, 0)
        row = rows[0]
        if row[Field.FAMILY] == 0:
            yield "not IP"
            continue
        protocol, source, sport, destination, dport = five_tuple(row)
        more = ""
        if protocol == TCP and row[Field.FRAGMENT_OFFSET] == 0:
            more = " " + "".join(letter for bit, letter in enumerate(FLAGS) if row[Field.FLAGS] & 1 << bit)
        elif protocol in (1, 58):
            more = f" type {row[Field.TYPE]} code {row[Field.CODE]}"
        if row[Field.FRAGMENT_OFFSET] or row[Field.MORE_FRAGMENTS]:
            more += f" fragment at {row[Field.FRAGMENT_OFFSET]}"
        yield f"protocol {protocol}  {source} {sport} → {destination} {dport}{more}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case, request):
    """The journal of a case is the one that was agreed on."""
    expected = case / "expected.txt"
    got = journal(case, compiled=False)
    if request.config.getoption("--update-golden"):
        expected.write_text(got)
    wanted = expected.read_text()
    if got != wanted:
        diff = "".join(difflib.unified_diff(wanted.splitlines(keepends=True), got.splitlines(keepends=True), "expected", "got", n=4))
        pytest.fail(f"{case.name}: the journal changed\n{diff}", pytrace=False)


def test_every_case_has_a_blocked_packet_and_one_that_passed():
    """A case that shows one side alone shows nothing."""
    assert len(CASES) >= 10
    for case in CASES:
        text = (case / "expected.txt").read_text()
        assert "= accept" in text, case.name
        assert "= drop" in text, case.name


@pytest.mark.skipif(not available(), reason="kernels cannot be compiled here")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_compiled_is_the_same(case):
    """Machine code gives the same journal, byte for byte."""
    assert journal(case, compiled=True) == (case / "expected.txt").read_text()


@pytest.mark.parametrize("seed", ["0", "1", "4294967295"])
def test_hash_seed_is_nothing(seed):
    """The order in which Python's sets and hashes fall bears on no journal."""
    script = (
        "import sys\n"
        "from tests.golden.test_golden import CASES, journal\n"
        "sys.stdout.write(''.join(journal(case, compiled=False) for case in CASES))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed, "NUMBA_DISABLE_JIT": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8", check=True, cwd=HERE.parents[1], env=environment
    )
    assert done.stdout == "".join((case / "expected.txt").read_text() for case in CASES)
