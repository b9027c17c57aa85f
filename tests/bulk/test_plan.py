"""A topology's plan in a replay: edits and faults at their times from the first packet on, in whatever way it is run."""

import dataclasses

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from emulator.bulk import running as running_module
from emulator.bulk import windows as windows_module
from emulator.bulk.shares import obstacle
from emulator.kernels import available
from emulator.model.entities import Fault, Link
from emulator.model.files import loads
from emulator.model.schedule import PlannedEdit
from emulator.model.topology import Topology
from emulator.replay import replay
from emulator.views.pagedata import page_data
from tests.benchmarks.traffic import Mix, topology, write

SECOND = 10**9
EPOCH = 1_700_000_000
MIX = Mix(packets=1_500, instances=12, groups=6, seconds=20.0, blocked=0.2, outside=0.3, v6=0.3)
LAB = """\
topology: planned
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    subnets: {one: {cidr_block: 10.0.1.0/24}}
    security_groups:
      dns: {ingress: []}
    instances:
      alice: {subnet: one, private_ip: 10.0.1.10}
      bob: {subnet: one, private_ip: 10.0.1.11, security_groups: [dns]}
schedule:
  - {at: 5s, action: authorize_ingress, on: dns, arguments: [udp/53, 10.0.1.10/32]}
  - {at: 10s, action: revoke_ingress, on: dns, arguments: [udp/53, 10.0.1.10/32]}
  - {at: 10s, action: authorize_ingress, on: dns, arguments: [udp/54, 10.0.1.10/32]}
"""
SHUT = """\
schedule:
  - {at: 5s, action: authorize_ingress, on: dns, arguments: [udp/61, 10.0.1.10/32]}
"""


def capture(path, *moments, first=1000):
    """A query of alice to bob, each from a port of its own, so many seconds after the beginning."""
    frames = [Ether() / IP(src="10.0.1.10", dst="10.0.1.11") / UDP(sport=first + number, dport=53) for number in range(len(moments))]
    for frame, at in zip(frames, moments, strict=True):
        frame.time = EPOCH + at
    wrpcap(str(path), frames)
    return path


def test_edits_happen_between_packets_at_their_times(tmp_path):
    """The run begins with the capture's first packet; what is due at an edit's very time meets the new rules (SG-53, SG-55)."""
    result = replay(loads(LAB, "planned.yaml"), capture(tmp_path / "x.pcap", 0, 4.5, 5, 9.5, 10, 11))
    verdicts = [packet.verdict for packet in result.packets]
    assert verdicts == ["drop", "drop", "accept", "accept", "drop", "drop"]


def test_a_packet_is_told_of_in_the_words_of_its_time(tmp_path):
    """Before the first edit there was no rule, between them one that let it in, and after them another that came nearest."""
    result = replay(loads(LAB, "planned.yaml"), capture(tmp_path / "x.pcap", 0, 5, 11))
    before, between, after = result.packets
    assert before.why.code == "SG_HAS_NO_RULES"
    assert between.rule == "dns ingress 1"
    assert "dns ingress 1 fails only on port: 53 is not 54" in after.why.text


def test_an_edit_meets_what_is_under_way(tmp_path):
    """A packet sent before an edit that arrives after it meets the new rules, though the capture has ended by then."""
    network = loads(LAB + 'links:\n  - {between: ["alice:eth0", "bob:eth0"], latency: 2s}\n', "planned.yaml")
    verdicts = [packet.verdict for packet in replay(network, capture(tmp_path / "x.pcap", 0, 4, 9)).packets]
    assert verdicts == ["drop", "accept", "drop"]


def test_faults_count_from_the_first_packet(tmp_path):
    """A link that is down from 5 s to 10 s loses what is sent in that time of the capture, before and after edits."""
    network = loads(
        LAB.replace("at: 5s", "at: 1s").replace("at: 10s", "at: 30s")
        + 'links:\n  - {between: ["alice:eth0", "bob:eth0"], faults: [{start: 5s, end: 10s, down: true}]}\n',
        "planned.yaml",
    )
    codes = [packet.why.code if packet.why else "" for packet in replay(network, capture(tmp_path / "x.pcap", 0, 2, 5, 9.9, 10)).packets]
    assert codes == ["SG_HAS_NO_RULES", "", "EMU_LINK_DOWN", "EMU_LINK_DOWN", ""]


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """Much traffic and a network whose groups, routes, ACLs and links change while it flows."""
    path = tmp_path_factory.mktemp("planned") / "made.pcap"
    write(path, MIX)
    network = topology(MIX)
    acl = next(key for key in network.entities if key.startswith("acl-"))
    edits = [
        PlannedEdit(3 * SECOND, "set_groups", "host-0:eth0", ("g1",)),
        PlannedEdit(5 * SECOND, "create_acl_entry", acl, ("ingress", "50", "deny", "udp", "10.0.0.0/20")),
        PlannedEdit(5 * SECOND, "revoke_ingress", "g2", ("tcp/443", "0.0.0.0/0")),
        PlannedEdit(9 * SECOND, "authorize_ingress", "g2", ("tcp/443", "203.0.113.0/24")),
        PlannedEdit(11 * SECOND + 1, "delete_acl_entry", acl, ("ingress", "50")),
        PlannedEdit(13 * SECOND, "delete_route", "main", ("0.0.0.0/0",)),
        PlannedEdit(1000 * SECOND, "delete_route", "main", ("::/0",)),
    ]
    fault = Fault(7 * SECOND, 8 * SECOND, down=True)
    links = (Link(("host-1", "host-5"), latency_ns=10**8, faults=(fault,)),)
    return Topology.of(*network.entities.values(), *links, *edits), path


def lines(network, path, folder, **options):
    """What a replay says of each packet, and its sums and conversations."""
    result = replay(network, path, packets=folder / "packets.jsonl", **options)
    return (folder / "packets.jsonl").read_bytes(), result.counts, [flow.to_json() for flow in result.flows]


@pytest.mark.parametrize("open_loop", [False, True], ids=["causal", "open loop"])
@pytest.mark.parametrize(
    "options",
    [{"compiled": True}, {"window": 7}, {"window": 400}, {"jobs": 2}, {"jobs": 3, "window": 50}],
    ids=["compiled", "windows of seven", "windows of four hundred", "two engines", "three engines, small windows"],
)
def test_every_way_to_run_makes_the_same_edits(planned, tmp_path, monkeypatch, open_loop, options):
    """Compiled or not, in any window, by any number of engines: the same bytes, and not those of a run without the plan."""
    if options.get("compiled") and not available():
        pytest.skip("nothing is compiled here")
    network, path = planned
    expected = lines(network, path, tmp_path, compiled=False, open_loop=open_loop)
    assert expected != lines(dataclasses.replace(network, schedule=()), path, tmp_path, compiled=False, open_loop=open_loop)
    monkeypatch.setattr(windows_module, "WINDOW", options.get("window", windows_module.WINDOW))
    if "jobs" in options:
        monkeypatch.setattr(running_module, "KEPT_BYTES", 0)
    found = lines(network, path, tmp_path, compiled=options.get("compiled", False), open_loop=open_loop, jobs=options.get("jobs", 1))
    assert found == expected


def test_a_second_run_makes_the_same_edits(planned, monkeypatch):
    """A replay too large to keep its packets tells of each by a run that edits as the first did."""
    network, path = planned
    kept = replay(network, path, compiled=False)
    monkeypatch.setattr(running_module, "KEPT", 500)
    monkeypatch.setattr("emulator.replay.KEPT", 1000)
    monkeypatch.setattr(windows_module, "WINDOW", 200)
    large = replay(network, path, compiled=False)
    assert large.kept is None
    for index in (0, 700, 1499):
        assert (large.packet(index), large.steps(index)) == (kept.packet(index), kept.steps(index))


def test_the_page_asks_the_rules_of_the_time(tmp_path):
    """Two packets that die alike, before and after an edit, are each shown the rules that there were."""
    network = loads(
        LAB.replace("ingress: []", "ingress: [{protocol: udp, ports: 60, source: 10.0.1.10/32}]").split("schedule:")[0] + SHUT, "shut.yaml"
    )
    data = page_data(replay(network, capture(tmp_path / "x.pcap", 0, 9, first=1000)))
    asked = [[rule[0] for step in data["ways"][packet["way"]] for rule in step["rules"]] for packet in data["packets"]]
    assert ["dns ingress 2" in rules for rules in asked] == [False, True]


def test_the_page_of_a_capture_whose_times_run_backwards(tmp_path):
    """Packets are fed in the order of time, a part at a time, whatever their indexes; each finds its place."""
    network = loads(LAB.split("schedule:")[0], "backwards.yaml")
    result = replay(network, capture(tmp_path / "x.pcap", *range(200, 0, -1)))
    assert [packet["index"] for packet in page_data(result)["packets"]] == list(range(199, -1, -1))


def test_a_planned_move_of_a_public_address_needs_one_engine():
    """Shares are by address, so an edit that changes who is meant by one is no work for several engines."""
    moves = "\nschedule: [{at: 5s, action: disassociate_address, on: 'bob:eth0'}]\n"
    assert "disassociate_address" in obstacle(loads(LAB.split("schedule:")[0] + moves, "moved.yaml"))
    assert obstacle(loads(LAB, "planned.yaml")) == ""
