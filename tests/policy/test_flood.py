"""A SYN flood: a million sources against one server, its tracking table full; who was connected stays connected (CT-40, CT-41)."""

from ipaddress import ip_address

import numpy as np
import pytest

from emulator.datapath.state import Count
from emulator.engine import Engine
from emulator.kernels import available
from emulator.model.entities import Instance, InternetGateway, NetworkInterface, Route, RouteTable, Subnet, Vpc
from emulator.model.groups import Rule, SecurityGroup, block
from emulator.model.topology import Topology
from emulator.policy.conntrack import Entry, Usage
from emulator.policy.reasons import Reason, Verdict
from emulator.wire.addresses import halves
from emulator.wire.headers import ACK, FIELDS, SYN, TCP, Field

SERVER, PUBLIC, FRIEND = "10.0.1.10", "198.51.100.10", "203.0.113.12"
BYTES_A_ROW = 64
BYTES_AN_ENTRY = BYTES_A_ROW * 16 // 5
"""What a tracked connection may cost at most: its row, and the room around it when the table, five eighths full, was just doubled."""


def lab(limit: int | None) -> Topology:
    """A server with SSH open to all but one block's worth of everyone, so that every connection to it is tracked."""
    return Topology.of(
        Vpc("vpc", (block("10.0.0.0/16"),)),
        InternetGateway("igw", "vpc"),
        RouteTable("public", "vpc", (Route(block("0.0.0.0/0"), "igw"),)),
        Subnet("a", "vpc", (block("10.0.1.0/24"),), route_table="public"),
        SecurityGroup("web", "vpc", tuple(Rule.of("SSH", half) for half in ("0.0.0.0/1", "128.0.0.0/1"))),
        Instance("server", "vpc", max_tracked=limit),
        NetworkInterface("eth0", "server", "a", (ip_address(SERVER),), ((ip_address(SERVER), ip_address(PUBLIC)),), ("web",)),
    )


def segments(sources: np.ndarray, first: int, flags: int, start_ns: int, gap_ns: int, port: int = 40000) -> np.ndarray:
    """A segment from each source, an IPv4 address as an integer, to the server's public address."""
    rows = np.zeros((len(sources), FIELDS), dtype=np.int64)
    rows[:, Field.FAMILY], rows[:, Field.PROTOCOL], rows[:, Field.FLAGS] = 4, TCP, flags
    rows[:, Field.TTL], rows[:, Field.LENGTH] = 64, 40
    rows[:, Field.SOURCE_LO] = sources | (0xFFFF << 32)
    rows[:, Field.DESTINATION_HI], rows[:, Field.DESTINATION_LO] = halves(PUBLIC)
    rows[:, Field.SOURCE_PORT], rows[:, Field.DESTINATION_PORT] = port, 22
    rows[:, Field.INDEX] = np.arange(first, first + len(sources))
    rows[:, Field.TIME_NS] = start_ns + np.arange(len(sources)) * gap_ns
    return rows


def flood(limit: int | None, sources: int, compiled: bool) -> tuple[Engine, np.ndarray, np.ndarray]:
    """The engine, what became of the flood, and what became of a friend who had come before: connect, flood, go on."""
    engine = Engine(lab(limit), compiled=compiled, journal=False)
    friend = np.array([int(ip_address(FRIEND))])
    engine.feed(segments(friend, 0, SYN, 0, 0))
    # Odd multipliers walk through all of 1.0.0.0 to 99.255.255.255 without coming back; 10/8 is no source from outside.
    attackers = (np.arange(sources, dtype=np.int64) * 7_919 + 0x0B000000) % 0x50000000 + 0x0B000000
    engine.feed(segments(attackers, 1, SYN, 10**9, 1000))
    engine.feed(segments(friend, 1 + sources, ACK, 10**10, 0))
    engine.advance()
    outcomes = engine.state.outcomes
    return engine, outcomes[1 : 1 + sources], outcomes[[0, 1 + sources]]


SIZES = [
    pytest.param(3_000, False, id="three thousand sources, interpreted"),
    pytest.param(
        1_000_000,
        True,
        id="a million sources, compiled",
        marks=pytest.mark.skipif(not available(), reason="kernels cannot be compiled here"),
    ),
]


@pytest.mark.parametrize(("sources", "compiled"), SIZES)
def test_a_full_table(sources, compiled):
    """At its limit the table takes no more: the rest of the flood is dropped and counted, and a friend's connection lives on."""
    limit = sources // 4
    engine, attack, friend = flood(limit, sources, compiled)
    accepted = attack[:, 0] == Verdict.ACCEPT
    assert accepted.sum() == limit - 1
    assert accepted[: limit - 1].all()
    assert set(attack[~accepted][:, 1].tolist()) == {int(Reason.EMU_CT_EXHAUSTED)}
    assert (friend[:, 0] == Verdict.ACCEPT).all()
    eni, server = (engine.ids.of(engine.topology.find(name).id) for name in ("server:eth0", "server"))
    assert engine.state.usage[eni, Usage.EXCEEDED] == sources - limit + 1
    assert engine.state.usage[server, Usage.TRACKED] == engine.state.counts[Count.LIVE, 0] == limit


def test_a_row_of_the_table():
    """An entry is one cache line; there is nothing beside the table that grows with it."""
    assert Engine(lab(None)).state.entries[0].nbytes == BYTES_A_ROW


def test_ten_million_flows_fit_in_two_gigabytes():
    """While the table grows the old one stands beside the new, two gigabytes at most; told by a thousandth of it, as it doubles alike."""
    flows = 10_000_000 >> 10
    engine, _, _ = flood(None, flows, False)
    table = engine.state.entries.nbytes << 10
    assert engine.state.counts[Count.LIVE, 0] == flows + 1
    assert table + table // 2 < 2_000_000_000


@pytest.mark.parametrize(("sources", "compiled"), SIZES)
def test_memory_of_an_entry(sources, compiled):
    """Without a limit every source is tracked, at no more than `BYTES_AN_ENTRY` for each."""
    engine, attack, friend = flood(None, sources, compiled)
    assert (attack[:, 0] == Verdict.ACCEPT).all()
    assert (friend[:, 0] == Verdict.ACCEPT).all()
    live = int(engine.state.counts[Count.LIVE, 0])
    assert live == sources + 1
    assert np.count_nonzero(engine.state.entries[:, Entry.KEY]) == live
    assert engine.state.entries.nbytes / live <= BYTES_AN_ENTRY
