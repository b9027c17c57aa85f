"""`diff`: the conversations whose verdict a change of the network changes, and what made it so."""

import json

import pytest

from emulator import load
from emulator.changes import changes
from emulator.errors import UsageError
from emulator.replay import replay

OFFICE = "{type: SSH,   source: office, description: Administration}"


@pytest.fixture
def opened(topologies, tmp_path):
    """The web server with SSH open to everybody."""
    path = tmp_path / "opened.yaml"
    text = (topologies / "web-server.yaml").read_text(encoding="utf-8")
    assert OFFICE in text
    path.write_text(text.replace(OFFICE, "{type: SSH, source: 0.0.0.0/0}"), encoding="utf-8")
    return path


def test_what_gets_in_is_told_with_its_rule(vpcemu, topologies, captures, opened):
    """Exit 1, the flows that another verdict meets and no other, before and after, and the rule that lets them in."""
    ran = vpcemu("diff", topologies / "web-server.yaml", opened, captures / "web-server.pcap", "--json")
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 1
    assert [(one["before"]["verdict"], one["after"]["verdict"], one["rule"]) for one in found] == [("drop", "accept", "web ingress 4")] * 2
    assert {one["after"]["source"]["name"] for one in found} == {"customer", "scanner"}
    assert {one["because"] for one in found} == {"web ingress 4 lets it pass"}


def test_what_is_shut_out_is_told_with_the_reason(vpcemu, topologies, captures, opened):
    """The other way round it says what stops them now, and which rule let them pass."""
    ran = vpcemu("diff", opened, topologies / "web-server.yaml", captures / "web-server.pcap")
    assert ran.code == 1
    words = " ".join(ran.out.split())
    assert "2 of 18 flows have another verdict" in words
    assert "not in prefix list office; web ingress 4 let it pass" in words


def test_the_same_network_changes_nothing(vpcemu, topologies, captures):
    """Exit 0 and one line."""
    ran = vpcemu("diff", topologies / "web-server.yaml", topologies / "web-server.yaml", captures / "web-server.pcap")
    assert (ran.code, ran.out.strip()) == (0, "✓ 18 flows, and every verdict is the same")


def test_a_stream_cannot_be_read_twice(vpcemu, topologies):
    """Standard input is refused, in one line."""
    ran = vpcemu("diff", topologies / "web-server.yaml", topologies / "web-server.yaml", "-")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "write it to a file first" in ran.err


def test_replays_of_different_traffic_are_refused(topologies, captures):
    """What was not replayed alike cannot be compared."""
    network = load(topologies / "web-server.yaml")
    with pytest.raises(UsageError, match="not the same traffic"):
        changes(replay(network, captures / "web-server.pcap"), replay(network, captures / "ipv6.pcap"))
