"""Where a short cut finds the entry of a flow, whatever its hint says and wherever the entry stands."""

from functools import cache

import numpy as np
import pytest

from emulator.datapath import shortcut
from emulator.datapath.state import Flight
from emulator.datapath.ways import UNTRACKED
from emulator.engine import Engine
from emulator.policy import conntrack, keys
from emulator.wire.headers import FIELDS, Field
from emulator.wire.packet import Packet
from tests.base import APP1, DB, base, group
from tests.dialogue import udp

P, SECOND = 3, 10**9


@cache
def narrow():
    """An engine whose db lets in questions, and tracks them."""
    return Engine(base(group("narrow", [("udp/53", "10.0.0.0/8")], []), db="narrow"), compiled=False)


def standing(row):
    """An engine whose db remembers a flow in a row of the table, a packet of the flow in row P, and its key at db."""
    engine = narrow().copy()
    header = engine.state.flights[P : P + 1, :FIELDS]
    header[:] = Packet.of(udp(APP1, DB, "1>53")).header
    while keys.fold(key := keys.packet_key(engine.state.flights, P, engine.ids.of("eni-db"))) % len(engine.state.entries) != row:
        header[0, Field.SOURCE_PORT] += 1
    engine.feed(header.copy())
    assert conntrack.find(engine.state.entries, key) == row
    return engine, key


@pytest.mark.parametrize("row", [0, 1, 40, 63])
@pytest.mark.parametrize("hint", [0, 1, 40, 63, 64, 10**6])
@pytest.mark.parametrize("side", [0, UNTRACKED])
def test_an_entry_is_found_where_it_stands(row, hint, side):
    """A right hint, a wrong one and one beyond the table lead to the same row."""
    engine, key = standing(row)
    assert shortcut._entry(engine.state, P, key, hint, side, SECOND) == row


@pytest.mark.parametrize("row", [0, 40])
def test_an_entry_that_is_gone(row):
    """Out of time, the whole way has to be gone; without an entry as well, unless the flow is never tracked there."""
    engine, key = standing(row)
    assert shortcut._entry(engine.state, P, key, row, UNTRACKED, 30 * SECOND) == shortcut._UNSURE
    engine.state.entries[:] = 0
    assert shortcut._entry(engine.state, P, key, row, 0, SECOND) == shortcut._UNSURE
    assert shortcut._entry(engine.state, P, key, row, UNTRACKED | 77, SECOND) == shortcut._NONE
    assert shortcut._UNSURE != shortcut._NONE


@pytest.mark.parametrize("row", [0, 40])
def test_what_an_entry_says_of_a_packet(row):
    """Tracked, by the rule that opened the entry, whose time begins anew; without an entry not, by the rule of its way."""
    engine, key = standing(row)
    before = engine.state.entries[row].copy()
    shortcut._judged(engine.tables, engine.state, P, 77, row, key.from_a, SECOND)
    tag = int(before[conntrack.Entry.TAG]) & conntrack.RULE_MASK
    assert engine.state.flights[P, [Flight.TRACKED, Flight.RULE]].tolist() == [1, tag]
    assert engine.ids.name(tag).startswith("sgr-")
    assert engine.state.entries[row, conntrack.Entry.EXPIRES_NS] == before[conntrack.Entry.EXPIRES_NS] + SECOND
    moved = engine.state.entries.copy()
    shortcut._judged(engine.tables, engine.state, P, UNTRACKED | 77, shortcut._NONE, key.from_a, SECOND)
    assert engine.state.flights[P, [Flight.TRACKED, Flight.RULE]].tolist() == [0, 77]
    assert np.array_equal(engine.state.entries, moved)
