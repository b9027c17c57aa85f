"""The event loop with hosts: 10,000 pings across three subnets take less than 10 s of a calm processor, interpreted."""

import time

from emulator import Network, loads

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


def test_pings_are_cheap():
    """A tenth of the ten thousand are all answered, at a pace that leaves a loaded machine room: 3 ms each."""
    network = Network(loads(LAB))
    began = time.process_time()
    found = [network[source].ping(target, 334, interval="1ms") for source, target in (("one", "two"), ("two", "three"), ("three", "one"))]
    took = time.process_time() - began
    assert sum(ping.received for ping in found) == 1_002
    assert took < 3
