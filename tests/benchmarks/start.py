"""How long short commands take: ``python -m tests.benchmarks.start [--rounds N]``.

Each runs in a fresh Python on the project's own web-server network, without a compiled kernel in its cache; a capture of
a thousand packets is made for the replay.  Figures are processor time, the least of some rounds; what other work on the
machine does to them shows in the ratio to ``import numpy``, which every round measures as well.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from struct import pack

from emulator.hosts.base import Socket
from emulator.hosts.tcp_segment import Segment, datagram_with
from emulator.wire.headers import ACK, FIN, SYN

PROJECT = Path(__file__).parents[2]
PACKETS = 1000
RAW_IP = 101  # pcap's number for packets without a frame
GAP_US = 1000


def write_visits(path: Path, packets: int = PACKETS) -> None:
    """A capture of so many packets, a multiple of ten: visitors of web-1, every fifth at a port that its group does not open."""
    with path.open("wb") as file:
        file.write(pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, RAW_IP))
        for number, datagram in enumerate(packet for visit in range(packets // 10) for packet in _visit(visit)):
            seconds, microseconds = divmod(number * GAP_US, 1_000_000)
            file.write(pack("<IIII", seconds, microseconds, len(datagram), len(datagram)) + datagram)


def _visit(number: int) -> Iterator[bytes]:
    """Handshake, question, answer and farewell, ten segments."""
    visitor = Socket(ip_address("192.0.2.0") + number % 250 + 1, 40_000 + number)
    server = Socket(ip_address("198.51.100.10"), 443 if number % 5 else 8080)
    ends, sent = (visitor, server), [0, 0]
    asked, told = b"?" * 200, b"!" * 900
    said = [(0, SYN, b""), (1, SYN | ACK, b""), (0, ACK, b""), (0, ACK, asked), (1, ACK, b""), (1, ACK, told), (0, ACK, b"")]
    for who, flags, payload in [*said, (0, FIN | ACK, b""), (1, FIN | ACK, b""), (0, ACK, b"")]:
        source, destination = ends[who], ends[1 - who]
        segment = Segment(source.port, destination.port, sent[who], sent[1 - who] if flags & ACK else 0, flags, 65_535, payload=payload)
        yield datagram_with(segment, source, destination)
        sent[who] += segment.length


def processor_seconds(command: list[str], cache: Path) -> float:
    """Processor time of a command from its start to its end, in itself and in the system's calls."""
    own = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    # Python's own compiled modules are there after any installation; kept out of the way of this working copy.
    own |= {"VPCEMU_CACHE": str(cache / "kernels"), "PYTHONPYCACHEPREFIX": str(cache / "modules"), "PYTHONDONTWRITEBYTECODE": ""}
    with subprocess.Popen([sys.executable, *command], cwd=PROJECT, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = process.stderr.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or "compiling" in said:
        raise SystemExit(f"{' '.join(command)}: {said}")
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder, "visits.pcap")
        write_visits(capture)
        network, vpcemu = "topologies/web-server.yaml", ["-c", "from emulator.__main__ import main; main()"]  # as its script has it
        commands = {
            "import numpy": ["-c", "import numpy"],
            "vpcemu --help": [*vpcemu, "--help"],
            "vpcemu check": [*vpcemu, "check", network],
            f"vpcemu replay, {PACKETS:,} packets": [*vpcemu, "replay", network, str(capture)],
        }
        for command in commands.values():
            processor_seconds(command, Path(folder))  # the first writes Python's compiled modules
        least = dict.fromkeys(commands, float("inf"))
        for _ in range(rounds):
            least |= {name: min(least[name], processor_seconds(command, Path(folder))) for name, command in commands.items()}
    print(f"{'work':32} {'CPU s':>7} {'× import numpy':>15}")
    for name, seconds in least.items():
        print(f"{name:32} {seconds:7.2f} {seconds / least['import numpy']:15.1f}")


if __name__ == "__main__":
    main()
