"""The way out that a dropped packet is given is the least that helps, and it does help."""

from itertools import permutations

import pytest

from emulator import ExternalHost, Instance, Network, Rule, load, loads
from emulator.model import edits
from emulator.model.groups import Direction

SERVICES = ("tcp/22", "tcp/443", "udp/53", "icmp", "icmp/3/4", "47")
ACL = """\
topology: acl
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    subnets:
      a: {{cidr_block: 10.0.1.0/24, network_acl: strict}}
      b: {{cidr_block: 10.0.2.0/24}}
    network_acls:
      strict:
        ingress:
          - {{rule: 90, action: deny, protocol: tcp, ports: 22, source: 10.0.2.0/24}}
          - {{rule: 100, action: allow, protocol: tcp, ports: 0-1023, source: 0.0.0.0/0}}
          {more}
        egress:
          - {{rule: 100, action: allow, protocol: all, destination: 0.0.0.0/0}}
    instances:
      one: {{subnet: a, private_ip: 10.0.1.10}}
      two: {{subnet: b, private_ip: 10.0.2.10}}
"""


def questions(topology):
    """Every pair of machines with every service."""
    names = [thing.name for kind in (Instance, ExternalHost) for thing in topology.all(kind)]
    return [(one, other, service) for one, other in permutations(names, 2) for service in SERVICES]


@pytest.mark.parametrize("name", ["default-security-group", "web-server", "app-and-sql-server", "two-groups-one-subnet"])
def test_the_missing_rule_lets_the_packet_pass_there(topologies, name):
    """With the rule that is named as missing, the same packet is not dropped at that place any more."""
    topology = load(topologies / f"{name}.yaml")
    helped = 0
    for question in questions(topology):
        found = Network(topology).explain(*question)
        if found.why is None or found.why.missing is None:
            continue
        missing = found.why.missing
        mended = edits.authorize(topology, missing.group.id, missing.direction, missing.rule)
        again = Network(mended).explain(*question)
        assert again.why is None or (again.why.at, again.why.stage) != (found.why.at, found.why.stage), question
        helped += 1
    assert helped > 2


def test_the_missing_rule_allows_nothing_else(topologies):
    """The rule takes the port and the other end of the dropped packet, and no more."""
    topology = load(topologies / "web-server.yaml")
    missing = Network(topology).explain("customer", "web-1", "tcp/22").why.missing
    assert (missing.group.name, missing.direction, missing.rule) == ("web", Direction.INGRESS, Rule.of("tcp/22", "192.0.2.77/32"))
    assert str(missing) == "add to security_groups.web.ingress: {protocol: tcp, ports: 22, source: 192.0.2.77/32}"
    mended = Network(edits.authorize(topology, "web", missing.direction, missing.rule))
    assert mended.explain("customer", "web-1", "tcp/22").reachable
    assert not mended.explain("internet", "web-1", "tcp/22").reachable
    assert not mended.explain("customer", "web-1", "tcp/23").reachable


@pytest.mark.parametrize(("service", "number"), [("tcp/22", 89), ("tcp/5000", 110)], ids=["in front of a deny", "behind the last entry"])
def test_a_network_acl_gets_an_entry_where_it_counts(service, number):
    """An ACL's way out stands before the entry that denied, or behind all if none matched, and works when written there."""
    found = Network(loads(ACL.format(more=""))).explain("two", "one", service).why
    assert found.code == "SUBNET_ACL_RESTRICTION"
    row = found.way_out.removeprefix("add to network_acls.strict.ingress: ")
    assert f"rule: {number}, action: allow" in row
    again = Network(loads(ACL.format(more=f"- {row}"))).explain("two", "one", service)
    assert again.why is None or again.why.code != "SUBNET_ACL_RESTRICTION"
