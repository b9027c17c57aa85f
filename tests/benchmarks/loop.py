"""The event loop beside those of others: ``python -m tests.benchmarks.loop [--ns.py PYTHON] [--ns-3 PYTHON]``.

Packets cross one link after another, each of 1 ms and 10 Gb/s, `GAP_NS` apart, so that hundreds are on their way at any
time.  Between two links stands a machine that forwards: here with its security groups and its connection tracking, in
each direction; there as bare as a simulator allows: a port and a wire of ns.py, a node with an IP stack of ns-3.  Nothing
is written down, no host answers.  Rates are packets in a second of processor time, the best of `ROUNDS`.

The peers are run by interpreters of their own: both call a package ``ns`` and so cannot be installed side by side.
"""

import argparse
import platform
import subprocess
import sys
import time
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import numpy as np

from emulator.datapath.state import Outcome
from emulator.engine import Engine
from emulator.model.entities import Instance, Link, NetworkInterface, Route, RouteTable, Subnet, Vpc
from emulator.model.groups import Rule, SecurityGroup
from emulator.model.topology import Topology
from emulator.policy.reasons import Verdict
from emulator.wire.addresses import halves
from emulator.wire.headers import FIELDS, UDP, Field, Matrix
from tests.benchmarks.speed import machine

ROUNDS, WINDOW = 3, 65_536
GAP_NS, ANSWER_NS, LATENCY_NS, RATE_BPS, LENGTH = 10_000, 20_000_000, 1_000_000, 10**10, 128
FLOWS = 1_000  # whose tracking is in the processor's caches; the peers know no flows at all
HOPS, STAGES = (1, 3, 4), 4
PEERS = {"ns.py": "hops_nspy.py", "ns-3": "hops_ns3.py"}


def network(hops: int) -> Topology:
    """Machines in a row, each in a subnet of its own, with a link from each to the next; routes lead along the row."""
    rules = (*(Rule.of(f"tcp/{port}", "10.0.0.0/8") for port in range(2000, 2059)), Rule.of("udp/0-65535", "10.0.0.0/8"))
    parts: list[Any] = [Vpc("row", (ip_network("10.0.0.0/16"),)), SecurityGroup("open", "row", rules)]
    ends = [(ip_network(f"10.0.{hops}.0/24"), 1), (ip_network("10.0.0.0/24"), -1)]
    for at in range(hops + 1):
        last = (hops, 0)
        ways = [Route(block, f"m{at + step}") for (block, step), end in zip(ends, last, strict=True) if at != end and abs(end - at) > 1]
        parts.append(RouteTable(f"t{at}", "row", tuple(ways)))
        parts.append(Subnet(f"s{at}", "row", (ip_network(f"10.0.{at}.0/24"),), route_table=f"t{at}"))
        parts.append(Instance(f"m{at}", "row"))
        check = at in (0, hops)
        parts.append(NetworkInterface("eth0", f"m{at}", f"s{at}", (ip_address(f"10.0.{at}.10"),), (), ("open",), check))
    parts += [Link((f"m{at}", f"m{at + 1}"), LATENCY_NS, RATE_BPS) for at in range(hops)]
    return Topology.of(*parts, name=f"{hops} hops")


def traffic(hops: int, packets: int) -> Matrix:
    """Header rows: questions from one end, and the answer of the other end to each."""
    rows = np.zeros((packets, FIELDS), dtype=np.int64)
    number = np.arange(packets)
    question = number % 2 == 0
    ends = [halves(ip_address(f"10.0.{at}.10")) for at in (0, hops)]
    rows[:, Field.FAMILY], rows[:, Field.PROTOCOL], rows[:, Field.LENGTH], rows[:, Field.TTL] = 4, UDP, LENGTH, 64
    rows[:, Field.TIME_NS] = number * GAP_NS + np.where(question, 0, ANSWER_NS)
    ports = 30_000 + number // 2 % FLOWS
    for column, source in ((Field.SOURCE_HI, question), (Field.DESTINATION_HI, ~question)):
        for half in range(2):
            rows[:, column + half] = np.where(source, ends[0][half], ends[1][half])
    rows[:, Field.SOURCE_PORT], rows[:, Field.DESTINATION_PORT] = np.where(question, ports, 53), np.where(question, 53, ports)
    rows = rows[np.argsort(rows[:, Field.TIME_NS], kind="stable")]
    rows[:, Field.INDEX] = number
    return rows


def our_rate(hops: int, packets: int, *, journal: bool = False) -> float:
    """Our own loop, compiled, causes before effects."""
    topology, rows = network(hops), traffic(hops, packets)
    best = float("inf")
    for _ in range(ROUNDS + 1):  # the first may compile
        engine = Engine(topology, compiled=True, journal=journal)
        engine.causal = True
        begin = time.process_time()
        for first in range(0, packets, WINDOW):
            engine.feed(rows[first : first + WINDOW])
        engine.advance()
        best = min(best, time.process_time() - begin)
        assert (engine.outcomes(0, packets)[:, Outcome.VERDICT] == Verdict.ACCEPT).all()
    return packets / best


def peer_rate(script: str, python: str, hops: int, packets: int) -> float | str:
    """A peer's rate, or why there is none."""
    here = Path(__file__).with_name(script)
    done = subprocess.run([python, str(here), str(hops), str(packets), str(ROUNDS)], capture_output=True, text=True, check=False)
    try:
        return float(done.stdout.split()[-1])
    except (ValueError, IndexError):
        return (done.stderr.strip().splitlines() or ["it said nothing"])[-1]


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--packets", type=int, default=400_000)
    options.add_argument("--peer-packets", type=int, default=40_000)
    for name in PEERS:
        options.add_argument(f"--{name}", default=sys.executable, metavar="PYTHON", help=f"an interpreter that has {name}")
    given = vars(options.parse_args())
    print(f"{machine()}, Python {platform.python_version()}; packets in a second of processor time\n")
    print("| links | vpcemu | and steps written | " + " | ".join(f"{name} | ×" for name in PEERS) + " |")
    print("|---:|" + "---:|" * (2 + 2 * len(PEERS)))
    ours, theirs = {}, {}
    for hops in HOPS:
        ours[hops] = our_rate(hops, given["packets"])
        cells = [f"{ours[hops]:,.0f}", f"{our_rate(hops, given['packets'], journal=True):,.0f}"]
        for name, script in PEERS.items():
            rate = theirs[name, hops] = peer_rate(script, given[name.replace("-", "_")], hops, given["peer_packets"])
            cells += [rate, "–"] if isinstance(rate, str) else [f"{rate:,.0f}", f"{ours[hops] / rate:,.1f}"]
        print(f"| {hops} | " + " | ".join(cells) + " |", flush=True)
    rates = {name: theirs[name, STAGES] for name in PEERS}
    ratios = ", ".join(f"{ours[1] / rate:,.1f} × {name}" for name, rate in rates.items() if not isinstance(rate, str))
    print(f"\n{STAGES} stages (egress, route, link, ingress), which is one link, beside {STAGES} links: {ratios or 'nobody is installed'}")


if __name__ == "__main__":
    main()
