"""By hand: ``python -m tests.benchmarks.pings``: machines that ping each other, through the event loop and its kernels.

10,000 echo requests across three subnets, and their answers, from ping to responder and back; with
``NUMBA_DISABLE_JIT=1`` all of it is interpreted.  Time is this process's CPU time, compilation apart.
"""

import os
import time

from emulator import Network, loads

COUNT = 10_000
PAIRS = (("one", "two"), ("two", "three"), ("three", "one"))
LAB = """
topology: three-subnets
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    subnets:
      a: {cidr_block: 10.0.1.0/24, availability_zone: a}
      b: {cidr_block: 10.0.2.0/24, availability_zone: b}
      c: {cidr_block: 10.0.3.0/24, availability_zone: c}
    security_groups: {open: {ingress: [{type: All traffic, source: 10.0.0.0/16}]}}
    instances:
      one:   {subnet: a, private_ip: 10.0.1.10, security_groups: [open]}
      two:   {subnet: b, private_ip: 10.0.2.10, security_groups: [open]}
      three: {subnet: c, private_ip: 10.0.3.10, security_groups: [open]}
"""


def main() -> None:
    """Print how long it took."""
    network = Network(loads(LAB))
    for source, target in PAIRS:
        network[source].ping(target, 1)
    began = time.process_time()
    found = [network[source].ping(target, -(-COUNT // len(PAIRS)), interval="1ms") for source, target in PAIRS]
    took = time.process_time() - began
    received = sum(ping.received for ping in found)
    how = "interpreted" if os.environ.get("NUMBA_DISABLE_JIT") == "1" else "compiled"
    sent = sum(ping.transmitted for ping in found)
    print(f"{received:,} of {sent:,} pings answered in {took:.1f} s of CPU, {how}: {received / took:,.0f} pings/s")


if __name__ == "__main__":
    main()
