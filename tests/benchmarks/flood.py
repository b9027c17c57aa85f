"""By hand: ``python -m tests.benchmarks.flood [SOURCES]``: a capture of a SYN flood through a replay, a tracking table at its limit.

    friend ─ handshake ─► a million sources, a SYN each ─► friend ─ data, answered, and an orderly end

The capture is made of whole arrays of bytes, with right checksums; the table takes a quarter of the sources.
"""

import sys
import tempfile
import time
from ipaddress import ip_address
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np

from emulator.model.entities import Policy
from emulator.model.topology import Topology
from emulator.policy.conntrack import Usage
from emulator.replay import Replay, replay
from tests.benchmarks.traffic import ACK, FIN, PSH, SYN, TCP, _big_endian, _checksum
from tests.policy.test_flood import FRIEND, PUBLIC, lab

SOURCES, PORT, GAP_US = 1_000_000, 22, 10
BEFORE = ((0, SYN), (1, SYN | ACK), (0, ACK))
AFTER = ((0, ACK | PSH), (1, ACK | PSH), (0, FIN | ACK), (1, FIN | ACK), (0, ACK))


def network(limit: int) -> Topology:
    """A server whose instance may track so many connections, by the policy."""
    return lab(None).replace(policy=Policy(max_entries=limit))


def write(path: Path, sources: int) -> None:
    """Write the capture (pcap, Ethernet): the friend's packets around those of so many sources."""
    numbers = np.arange(sources, dtype=np.int64)
    strangers = 0x0B000000 + numbers * 7919 % 0x50000000  # 11.0.0.0 to 90.255.255.255, each once
    server, friend = int(ip_address(PUBLIC)), int(ip_address(FRIEND))
    talk = np.array([*BEFORE, *AFTER])
    ends = np.where(talk[:, :1] == 0, [[friend, server, 40_000, PORT]], [[server, friend, PORT, 40_000]])
    ours = np.column_stack([ends, talk[:, 1]])
    theirs = np.column_stack([strangers, np.full(sources, server), 1024 + numbers % 60_000, np.full(sources, PORT), np.full(sources, SYN)])
    rows = np.concatenate([ours[: len(BEFORE)], theirs, ours[len(BEFORE) :]])
    with path.open("wb") as file:
        file.write(pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for first in range(0, len(rows), 100_000):
            file.write(_records(rows[first : first + 100_000], first).tobytes())


def _records(rows: Any, first: int) -> Any:
    """Segments without payload as records; columns source, destination, their ports, flags."""
    count, times = len(rows), (first + np.arange(len(rows))) * GAP_US
    record = np.zeros((count, 16 + 54), np.uint8)
    head = np.stack([times // 1_000_000, times % 1_000_000, np.full(count, 54), np.full(count, 54)], axis=1)
    record[:, :16] = head.astype("<u4").view(np.uint8)
    record[:, 28:30] = 8, 0
    ip, tcp = record[:, 30:50], record[:, 50:]
    ip[:, 0], ip[:, 2:4], ip[:, 8], ip[:, 9] = 0x45, (0, 40), 64, TCP
    ip[:, 12:16], ip[:, 16:20] = _big_endian(rows[:, 0], 4), _big_endian(rows[:, 1], 4)
    ip[:, 10:12] = _big_endian(_checksum(ip), 2)
    tcp[:, 0:2], tcp[:, 2:4] = _big_endian(rows[:, 2], 2), _big_endian(rows[:, 3], 2)
    tcp[:, 12], tcp[:, 13], tcp[:, 14:16] = 0x50, rows[:, 4], (0xFF, 0xFF)
    pseudo = np.concatenate([ip[:, 12:20], np.broadcast_to(np.array([0, TCP, 0, 20], np.uint8), (count, 4))], axis=1)
    tcp[:, 16:18] = _big_endian(_checksum(np.concatenate([pseudo, tcp], axis=1)), 2)
    return record


def refused(ran: Replay) -> int:
    """Packets that the server's interface counts as beyond its allowance (CT-41)."""
    eni = ran.engine.ids.of(ran.topology.find("server:eth0").id)
    return int(ran.engine.state.usage[eni, Usage.EXCEEDED])


def main() -> None:
    """Print what became of it, and what it took."""
    sources = int(sys.argv[1]) if len(sys.argv) > 1 else SOURCES
    limit = sources // 4
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flood.pcap")
        write(path, sources)
        began = time.process_time()
        ran = replay(network(limit), path, compiled=True)
        took = time.process_time() - began
    print(f"{sources:,} sources, room for {limit:,}: {ran.counts}, {took:.1f} s of CPU")
    print(f"refused and counted at the interface: {refused(ran):,}")


if __name__ == "__main__":
    main()
