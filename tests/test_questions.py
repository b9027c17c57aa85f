"""Everything in the way, every candidate, many probes: questions that take more than one run."""

import json

import pytest

from emulator.model.files import loads
from emulator.network import Network
from emulator.observe.analysis import to_analysis
from emulator.observe.details import candidates
from emulator.policy.reasons import Stage
from emulator.questions import blockers, probes

LAB = """
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      one: {cidr_block: 10.0.1.0/24, network_acl: tight}
      two: {cidr_block: 10.0.2.0/24}
    route_tables: {main: [{destination: 10.9.0.0/16, target: igw}]}
    network_acls:
      tight:
        ingress:
          - {rule: 10, action: deny, protocol: tcp, ports: 1024-65535, source: 10.0.2.0/24}
          - {rule: 20, action: allow, type: All traffic, source: 0.0.0.0/0}
        egress:
          - {rule: 10, action: deny, type: HTTP, destination: 0.0.0.0/0}
          - {rule: 20, action: allow, type: All traffic, destination: 0.0.0.0/0}
    security_groups:
      shut: {egress: [{type: SSH, destination: 10.0.2.0/24}]}
      web: {ingress: [{type: HTTP, source: 10.0.7.0/24}, {type: SSH, source: shut}]}
    instances:
      a: {subnet: one, private_ip: 10.0.1.10, security_groups: [shut]}
      b: {subnet: two, private_ip: 10.0.2.10, security_groups: [web]}
"""


@pytest.fixture
def network() -> Network:
    return Network(loads(LAB), compiled=False)


def test_all_blockers_are_found(network: Network) -> None:
    """One filter after the other is taken out of the way: the groups of both ends, the ACL out, the ACL for the answer."""
    found = [(why.code, why.stage, why.at) for why in blockers(network, "a", "b", "HTTP")]
    assert found == [
        ("ENI_SG_RULES_MISMATCH", "E3", "a:eth0"),
        ("SUBNET_ACL_RESTRICTION", "E5", "one"),
        ("ENI_SG_RULES_MISMATCH", "I2", "b:eth0"),
        ("SUBNET_ACL_RESTRICTION", "I1", "one"),
    ]


def test_the_first_blocker_is_the_explanation(network: Network) -> None:
    """What stands first in the way is what `explain` names; where nothing does, there is none."""
    assert blockers(network, "a", "b", "HTTP")[0] == network.explain("a", "b", "HTTP").why
    assert [why.code for why in blockers(network, "b", "8.8.8.8", "HTTPS")] == [
        "NO_ROUTE_TO_DESTINATION",
        "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS",
    ]


def test_asking_changes_nothing(network: Network) -> None:
    """A what-if leaves the network as it was."""
    before = network.topology
    blockers(network, "a", "b", "HTTP")
    assert network.topology is before
    assert not network.explain("a", "b", "HTTP").reachable


def test_every_candidate_says_why_not(network: Network) -> None:
    """Each rule names the fields on which it failed, each route the reason it was not taken."""
    told = network.explain("a", "b", "SSH")
    listed = dict(zip([step.stage for step in told.forward.steps], candidates(network.words, told.forward), strict=True))
    assert [(item.name, item.fits, item.why) for item in listed[Stage.GROUP_INGRESS]] == [
        ("web ingress 1", False, ("port", "block")),
        ("web ingress 2", True, ()),
    ]
    assert [(item.name, item.fits) for item in listed[Stage.ACL_EGRESS]] == [("tight egress 10", False), ("tight egress 20", True)]
    assert [(item.name, item.why) for item in listed[Stage.ROUTE]] == [("10.0.0.0/16", ()), ("10.9.0.0/16", ("CANNOT_ROUTE",))]


def test_the_analysis_has_aws_members(network: Network) -> None:
    """The shape of NetworkInsightsAnalysis: components in order with their rules, an explanation a blocker (RA-4 to RA-7)."""
    analysis = to_analysis(network.explain("a", "b", "SSH"), [], network.engine.ids)
    assert analysis["NetworkPathFound"] is False  # the ACL takes the answer
    first, *_, last = analysis["ForwardPathComponents"]
    assert first["InboundHeader"]["DestinationPortRanges"] == [{"From": 22, "To": 22}]
    assert last["Component"]["Id"] == "eni-b"
    assert [part["SequenceNumber"] for part in analysis["ForwardPathComponents"]] == list(
        range(1, len(analysis["ForwardPathComponents"]) + 1)
    )
    blocked = to_analysis(network.explain("a", "b", "HTTP"), blockers(network, "a", "b", "HTTP"), network.engine.ids)
    assert [item["Direction"] for item in blocked["Explanations"]] == ["egress", "egress", "ingress", "ingress"]
    assert blocked["Explanations"][0]["SecurityGroups"] == [{"Id": "sg-shut", "Name": "shut"}]


def test_many_probes_one_process(network: Network) -> None:
    """A line out for each line in, with its id; one that cannot be asked gets an error and stops nothing."""
    lines = [
        '{"id": "good", "source": "a", "destination": "b", "protocol": "tcp", "port": 22, "source_port": 1000}',
        "nonsense",
        "",
        '{"id": "who", "source": "nobody", "destination": "b", "protocol": "tcp", "port": 22}',
        '{"id": "odd", "source": "a", "destination": "b", "protocol": "tcp", "port": [22]}',
        "[1, 2]",
        '{"id": "none", "source": "a", "destination": "b"}',
        '{"id": "last", "source": "a", "destination": "b", "service": "HTTP"}',
    ]
    answers = list(probes(network, lines))
    assert [answer["id"] for answer in answers] == ["good", 2, "who", "odd", 6, "none", "last"]
    assert [("error" in answer) for answer in answers] == [False, True, True, True, True, True, False]
    assert answers[0]["reachable"] is True
    assert answers[-1]["reason"]["code"] == "ENI_SG_RULES_MISMATCH"
    assert json.dumps(answers)


def test_the_source_port_of_a_probe_counts(network: Network) -> None:
    """From port 1000 the answer passes the ACL that closes the high ports."""
    assert network.explain("a", "b", "SSH", source_port=1000).reachable
    assert not network.explain("a", "b", "SSH").reachable
