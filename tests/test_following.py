"""`replay --follow`: packets as tcpdump shows them, with verdict and reason, as they come."""

import os
import re
import subprocess
import sys
import time

from tests.conftest import ROOT

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
