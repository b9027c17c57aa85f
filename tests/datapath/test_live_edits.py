"""Edits of a running network: what stands keeps its memory, what is gone takes its own along, packets on their way find their end."""

from ipaddress import ip_address

import pytest

from emulator.datapath.state import Outcome
from emulator.engine import Engine
from emulator.model.entities import Link, NetworkInterface
from emulator.model.groups import GroupPeer
from emulator.model.topology import Topology
from emulator.policy.conntrack import Usage
from emulator.policy.reasons import Reason, Verdict
from emulator.wire.packet import Packet
from tests.base import APP1, DB, EXT, WEB, WEB2, base, group
from tests.dialogue import Dialogue, tcp, udp

MS = 10**6
SPARE = ip_address("10.0.1.30")


def outcome(engine, number):
    """Verdict and reason of a packet."""
    row = engine.state.outcomes[number]
    return Verdict(int(row[Outcome.VERDICT])).name, Reason(int(row[Outcome.REASON])).name


def started(topology, *packets):
    """An engine with packets (source id, packet) that were sent at 0 and are on their way."""
    engine = Engine(topology, compiled=False)
    for place, packet in packets:
        engine.inject(Packet.of(packet).header, engine.ids.of(place), 0)
    engine.advance(0)
    return engine


def test_a_packet_to_an_interface_that_goes_away_is_dropped():
    """What is on its way to an interface when that is deleted arrives nowhere."""
    topology = base(Link(("app1", "db"), latency_ns=10 * MS))
    engine = started(topology, ("eni-app1", tcp(APP1, DB, "40000>5432")))
    engine.edit(_unlinked(topology, "db"))
    engine.advance()
    assert outcome(engine, 0) == ("DROP", "NO_POSSIBLE_DESTINATION")


def _unlinked(topology, *instances):
    """The topology without its links, and without some instances and their interfaces."""
    gone = {f"i-{name}" for name in instances} | {f"eni-{name}" for name in instances}
    return Topology.of(*(entity for key, entity in topology.entities.items() if key not in gone), name="base", policy=topology.policy)


def test_a_packet_that_was_to_be_sent_by_an_interface_that_is_gone_is_dropped():
    """An interface that is deleted before its packet is due sends nothing, also not as if it stood outside."""
    topology = base()
    engine = Engine(topology, compiled=False)
    engine.inject(Packet.of(tcp(APP1, DB, "40000>5432")).header, engine.ids.of("eni-app1"), 5 * MS)
    engine.edit(_unlinked(topology, "app1"))
    engine.advance()
    assert outcome(engine, 0) == ("DROP", "BAD_STATE")


def test_a_sender_that_is_gone_is_no_member():
    """A group reference looks for the sender among those that are, not at whoever took its place in the tables."""
    groups = group("clients"), group("srv", [("tcp/5432", GroupPeer("clients"))])
    topology = base(*groups, Link(("app1", "db"), latency_ns=10 * MS), db="srv")
    engine = started(topology, ("eni-app1", tcp(APP1, DB, "40000>5432")))
    member = NetworkInterface("eth1", "web", "app-a", (SPARE,), (), ("clients",))
    engine.edit(_unlinked(topology, "app1").replace(member))  # which stands last among the interfaces
    engine.advance()
    assert outcome(engine, 0) == ("DROP", "ENI_SG_RULES_MISMATCH")


def test_an_interface_that_comes_back_remembers_nothing():
    """A deleted interface takes its tracked connections along; one of the same name starts afresh, and the allowance is whole."""
    talk = Dialogue(base(group("new"), web2="new", policy={"max_entries": 1}))
    topology = talk.network.topology
    talk.send(udp(WEB2, EXT, "40000>53")).accepted().count(1, "web2")
    talk.network.edit(_unlinked(topology, "web2"))
    assert talk.network.entries() == []
    talk.network.edit(topology)
    talk.count(0, "web2")
    engine = talk.network.engine
    assert engine.state.usage[engine.ids.of("i-web2"), Usage.TRACKED] == 0
    assert not engine.state.usage[:, Usage.TRACKED].any()
    talk.send(udp(WEB2, EXT, "40001>53")).accepted(tracked=True)


def test_an_interface_moved_to_another_instance_counts_there():
    """Tracked connections count against the instance that has the interface now (CT-40)."""
    eth1 = NetworkInterface("eth1", "app2", "app-a", (SPARE,), (), ("new",), id="eni-x")
    topology = base(eth1, group("new")).changed("i-app1", max_tracked=1)
    talk = Dialogue(topology)
    talk.send(tcp(str(SPARE), DB, "40000>22")).accepted()
    talk.edit(lambda topology: topology.changed("eni-x", instance="i-app1"))
    talk.send(tcp(str(SPARE), DB, "40001>22")).dropped("E3(app1:eth1)", "EMU_CT_EXHAUSTED")
    engine = talk.network.engine
    assert engine.state.usage[engine.ids.of("i-app1"), Usage.TRACKED] == 1
    assert engine.state.usage[engine.ids.of("i-app2"), Usage.TRACKED] == 0


@pytest.mark.parametrize("ends", [("web", "db"), ("db", "web")])
def test_a_link_of_an_instance_holds_for_each_of_its_interfaces(ends):
    """A link to an instance with two interfaces is one for each, with its own state in either direction."""
    eth1 = NetworkInterface("eth1", "web", "app-a", (SPARE,), (), ("lab",))
    engine = started(
        base(eth1, Link(ends, latency_ns=10 * MS, rate_bps=8_000_000)),
        ("eni-web", udp(WEB, DB, "40000>53")),
        ("eni-web-eth1", udp(str(SPARE), DB, "40000>53")),
    )
    assert len(engine.state.links) == 4
    engine.advance()
    assert [outcome(engine, number)[0] for number in range(2)] == ["ACCEPT", "ACCEPT"]
    assert {int(row) for row in engine.state.outcomes[:2, Outcome.TIME_NS]} == {10 * MS + 28_000}
