"""The limit of a NAT gateway's flows to one destination, at its size, and what it costs to keep it (RT-32)."""

import random

import numpy as np
import pytest

from emulator.datapath import allotments, nat, translations
from emulator.datapath.allotments import is_used_up
from emulator.datapath.state import Count, Translation
from emulator.datapath.translations import Ends
from emulator.engine import Engine
from emulator.policy.tables import row_of
from emulator.wire.hashing import mix
from emulator.wire.headers import ACK, RST, SYN, TCP, UDP, Field
from tests.base import APP1, EXT, EXT2, base
from tests.dialogue import Dialogue, tcp, udp

SECOND = 10**9
INSIDE, OUTSIDE, OTHER = ((0xFFFF << 32) | number for number in (0x0A00010B, 0xCB00710C, 0xCB007163))


class Flows:
    """Flows through the NAT gateway of the base topology, opened and carried by its own kernels."""

    def __init__(self):
        self.engine = Engine(base(), compiled=False)
        self.nat = self.engine.ids.of(self.engine.topology.find("nat-a").id)
        self.row = row_of(self.engine.tables, self.nat)

    def open(self, number, protocol=UDP, destination=OUTSIDE, now=0):
        """Open the flow of a number to port 53; gives its row, or -1 if it got no port."""
        if self.engine.state.counts[Count.TRANSLATIONS, 0] + 1 > len(self.engine.state.translations):
            self.engine._clear_translations()
        state, tables = self.engine.state, self.engine.tables
        seen = Ends(INSIDE + (number >> 15), 1024 + (number & 0x7FFF), destination, 53)
        row = nat._open(tables, state, self.nat, self.row, protocol, seen, now)
        if row >= 0:
            self.carry(row, SYN, now)
        return int(row)

    def carry(self, row, flags, now):
        """One packet of the opener's."""
        state = self.engine.state
        state.flights[0, Field.FLAGS] = flags
        translations.refresh(self.engine.tables, state, row, 0, translations.FORWARD, now)


@pytest.fixture(scope="module")
def full():
    """As many flows to one destination as one address may have."""
    flows = Flows()
    for number in range(nat.MOST_FLOWS):
        assert flows.open(number) >= 0
    return flows


@pytest.fixture
def flows(full):
    """The full gateway, for a test to change."""
    before, full.engine.state = full.engine.state, full.engine.snapshot()
    yield full
    full.engine.state = before


def test_rt32_55000_flows_to_one_destination(flows):
    """Each of 55,000 flows has a port of its own from 1024 to 65535; the next has none, any other destination has (RT-31, RT-32)."""
    table = flows.engine.state.translations[: nat.MOST_FLOWS]
    ports = np.unique(table[:, Translation.OUT_SOURCE_PORT])
    assert (len(ports), ports.min() >= 1024, ports.max() <= 65535) == (55_000, True, True)
    assert flows.open(60_000) == -1
    assert flows.open(60_000, destination=OTHER) >= 0
    assert flows.open(60_000, protocol=TCP) >= 0


def test_rt32_a_flow_that_ends_makes_room_for_one(flows):
    """Timers that run out give their places to as many flows, and to no more (RT-32, RT-33)."""
    flows.engine.state.translations[7, Translation.EXPIRES_NS] = 100 * SECOND
    flows.engine.state.translations[10:13, Translation.EXPIRES_NS] = 200 * SECOND
    assert flows.open(60_000, now=99 * SECOND) == -1
    assert flows.open(60_000, now=100 * SECOND) >= 0
    assert flows.open(60_001, now=100 * SECOND) == -1
    assert [flows.open(60_002 + number, now=200 * SECOND) >= 0 for number in range(4)] == [True, True, True, False]


def test_rt32_a_closed_connection_gives_its_place_back():
    """A reset ends a flow at once, and its place is counted free without a look at the others."""
    flows = Flows()
    rows = [flows.open(number, TCP) for number in range(5)]
    flows.carry(rows[2], RST | ACK, SECOND)
    key = (flows.nat, TCP, int(flows.engine.state.translations[0, Translation.OUT_SOURCE_LO]), OUTSIDE, 53)
    assert not is_used_up(flows.engine.state, *key, 5, 2 * SECOND)
    assert is_used_up(flows.engine.state, *key, 4, 2 * SECOND)


def test_rt32_a_full_gateway_refuses_without_a_look_at_every_flow(flows, monkeypatch):
    """Until the first of the flows can run out, a refusal costs a look at one number, however many flows there are."""
    assert flows.open(60_000, now=SECOND) == -1
    looked = []
    monkeypatch.setattr("emulator.datapath.allotments._is_towards", lambda *_: looked.append(1) or True)
    assert [flows.open(60_001 + number, now=2 * SECOND) for number in range(20)] == [-1] * 20
    assert looked == []


@pytest.mark.parametrize("hashing", [mix, lambda *_: -1], ids=["as it is", "all in the last place"])
@pytest.mark.parametrize("most", [2, 7])
def test_rt32_flows_are_counted_as_a_naive_gateway_would(most, hashing, monkeypatch):
    """Whatever opens, goes on, runs out of time or is reset: a new flow passes exactly if fewer than the most are alive."""
    monkeypatch.setattr(nat, "MOST_FLOWS", most)
    for module in (allotments, translations):
        monkeypatch.setattr(module, "mix", hashing)
    dice, talk, living, seconds = random.Random(most), Dialogue(base()), {}, 0
    for _ in range(120):
        seconds += dice.choice([0, 0, 1, 40, 200])
        talk.at(seconds)
        living = {flow: until for flow, until in living.items() if until > seconds}
        port, there, make = dice.randrange(40000, 40008), dice.choice([(EXT, 443), (EXT, 444), (EXT2, 443)]), dice.choice([tcp, tcp, udp])
        flow, resets = (port, there, make), make is tcp and dice.random() < 0.2
        talk.send(tcp(APP1, there[0], f"{port}>{there[1]}", "R") if resets else make(APP1, there[0], f"{port}>{there[1]}"))
        if resets and flow not in living:
            talk.dropped(code="EMU_NAT_NO_CONNECTION")
        elif flow not in living and sum(other[1:] == flow[1:] for other in living) >= most:
            talk.dropped(code="EMU_NAT_PORT_ALLOCATION")
        else:
            talk.accepted()
            living[flow] = seconds if resets else seconds + 350
