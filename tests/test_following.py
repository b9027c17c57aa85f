"""`replay --follow`: packets as tcpdump shows them, with verdict and reason, as they come."""

import os
import re
import subprocess
import sys
import time

import pytest

from emulator.replay import replay
from tests.conftest import ROOT
from tests.hostile.test_hostile_text import CAPTURE, ESCAPES, MARKUP, lab

LINE = re.compile(
    r"^\d\d:\d\d:\d\d\.\d{6} ((IP6? \S+ > \S+: .+)|arp)  ([✓✗◐–]) (accept|drop|unsent|skipped)"
    r"(, .+ (ingress|egress) \d+| [A-Z_]+( at \S+)?: .+)?$"
)


def test_a_line_a_packet_with_its_verdict(vpcemu, topologies, captures):
    """All 157 packets by index, then the summary as always; nothing coloured where nobody looks."""
    words = ("replay", topologies / "web-server.yaml", captures / "web-server.pcap")
    followed, plain = vpcemu(*words, "--follow"), vpcemu(*words)
    lines = followed.out.splitlines()
    assert all(LINE.match(line) for line in lines[:157]), next(line for line in lines[:157] if not LINE.match(line))
    assert "\n".join(lines[157:]) == plain.out.rstrip("\n")
    verdicts = [LINE.match(line).group(4) for line in lines[:157]]
    assert {name: verdicts.count(name) for name in set(verdicts)} == {"accept": 101, "drop": 11, "unsent": 43, "skipped": 2}
    assert "\x1b" not in followed.out
    assert (
        "IP 192.0.2.77.46650 > 198.51.100.10.22: Flags [S], tcp 40  ✗ drop ENI_SG_RULES_MISMATCH at web-1:eth0: no ingress rule"
        in followed.out
    )


def test_a_live_capture_is_followed_as_it_comes(captures):
    """Packets on standard input are shown when those after them say that their way is over, not when the pipe ends."""
    data = (captures / "web-server.pcap").read_bytes()
    ends = [24]
    for _ in range(60):  # records of little-endian pcap
        ends.append(ends[-1] + 16 + int.from_bytes(data[ends[-1] + 8 : ends[-1] + 12], "little"))
    command = [sys.executable, "-m", "emulator", "replay", "topologies/web-server.yaml", "-", "--follow"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for piece in (data[: ends[10]], data[ends[10] : ends[60]]):
            running.stdin.write(piece)
            running.stdin.flush()
            time.sleep(0.5)
        early = [running.stdout.readline().decode() for _ in range(10)]
        assert all(LINE.match(line.rstrip("\n")) for line in early)
        running.stdin.write(data[ends[60] :])
        running.stdin.close()
        rest = running.stdout.read().decode()
        assert running.wait(30) == 0
    assert "157 packets in 18 flows:   101 accepted   11 dropped   43 unsent   2 skipped" in rest


def on_a_terminal(command, **environment):
    """What a command prints on a terminal."""
    ours, theirs = os.openpty()
    with subprocess.Popen(command, cwd=ROOT, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"} | environment) as running:
        os.close(theirs)
        printed = b""
        while piece := read(ours):
            printed += piece
        assert running.wait(60) == 0
    os.close(ours)
    return printed.decode()


def read(terminal):
    """What came; nothing when the other end has gone, which Linux calls an error."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        pytest.param({}, True, id="a terminal"),
        pytest.param({"NO_COLOR": "1"}, False, id="NO_COLOR"),
        pytest.param({"TERM": "dumb"}, False, id="a terminal that knows no colours"),
    ],
)
def test_verdicts_have_colours_on_a_terminal(environment, coloured):
    """On a terminal a blocked packet's line is red and an accepted one's green, unless nobody wants colours."""
    pytest.importorskip("pty")
    command = [sys.executable, "-m", "emulator", "replay", "topologies/web-server.yaml", "tests/captures/web-server.pcap", "--follow"]
    lines = on_a_terminal(command, **{"NO_COLOR": "", **environment}).splitlines()
    dropped = [line for line in lines if "✗ drop" in line]
    accepted = [line for line in lines if "✓ accept" in line]
    assert (len(dropped), len(accepted)) == (11, 101)
    assert {line.startswith("\x1b[31m") for line in dropped} == {coloured}
    assert {line.startswith("\x1b[32m") for line in accepted} == {coloured}


@pytest.mark.parametrize("name", [*ESCAPES, *MARKUP])
def test_a_name_cannot_speak_to_the_terminal(name):
    """Control and direction signs that a name brings into a reason are replaced; a packet stays one line."""
    lines = []
    found = replay(lab(name), CAPTURE, follow=lambda packet: lines.append(str(packet)))
    assert len(lines) == found.counts["total"]
    assert any("drop" in line for line in lines)
    assert all(line.isprintable() for line in lines)


def test_lines_and_one_object_do_not_mix(vpcemu, topologies, captures):
    """`--follow` with `--json` is refused in one line."""
    ran = vpcemu("replay", topologies / "web-server.yaml", captures / "web-server.pcap", "--follow", "--json")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
