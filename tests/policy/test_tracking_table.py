"""The table itself, crowded: what was put in is found until it is taken out, whatever stands around it."""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.datapath.state import new_state
from emulator.engine import rehashed_entries
from emulator.policy import conntrack, keys
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.conntrack import Count, Entry, Usage
from emulator.wire.addresses import halves
from emulator.wire.headers import Field
from tests.base import DB, base

S = 10**9
ROWS = 16
IDS = Ids()
TABLES = compile_tables(base(policy={"other_s": 50}), IDS)
ENI = IDS.of("eni-db")
PEER = st.integers(0, 19)
OPERATION = st.one_of(
    st.tuples(st.sampled_from(["put", "put", "take"]), PEER), st.tuples(st.just("sweep"), st.sampled_from([1, 10, 20, 30]))
)


def flow(number):
    """Header columns of a GRE packet of db to one of twenty peers."""
    row = np.zeros((1, len(Field)), dtype=np.int64)
    row[0, [Field.FAMILY, Field.PROTOCOL]] = 4, 47
    row[0, [Field.SOURCE_HI, Field.SOURCE_LO]], row[0, [Field.DESTINATION_HI, Field.DESTINATION_LO]] = (
        halves(DB),
        halves(f"203.0.113.{number}"),
    )
    return row


@settings(deadline=None, max_examples=60)
@given(first=st.permutations(range(20)), operations=st.lists(OPERATION, min_size=10, max_size=30))
def test_a_crowded_table_loses_nothing(first, operations):
    """Against a dictionary: entries put in, taken out and swept from a table so small that they stand in each other's place."""
    state = new_state(len(IDS), 0)
    entries, counts, usage = np.zeros((ROWS, len(Entry)), dtype=np.int64), state.counts, state.usage
    naive, now = {}, 0
    for what, number in [*(("put", peer) for peer in first[:12]), *operations]:
        flights = flow(number)
        key = keys.packet_key(flights, 0, ENI)
        slot = conntrack.find(entries, key)
        assert (slot >= 0) == (number in naive)
        if what == "put" and slot < 0 and len(naive) < ROWS - 1:
            entry = conntrack.create(TABLES, entries, counts, usage, key, flights, 0, 5, now)
            naive[number] = (entry, now + 50 * S)
        elif what == "take" and slot >= 0:
            conntrack.remove(TABLES, entries, counts, usage, slot)
            del naive[number]
        elif what == "sweep":
            now += number * S
            due = conntrack.sweep(TABLES, entries, counts, usage, -1, now)
            naive = {peer: kept for peer, kept in naive.items() if kept[1] > now}
            assert due == min((expires for _, expires in naive.values()), default=1 << 62)
        for table in (entries, rehashed_entries(entries, 4 * ROWS)):
            for peer, (entry, expires) in naive.items():
                found = conntrack.find(table, keys.packet_key(flow(peer), 0, ENI))
                assert found >= 0
                assert (table[found, Entry.TAG] >> conntrack.TAG_SHIFT, table[found, Entry.EXPIRES_NS]) == (entry, expires)
        assert counts[Count.LIVE, 0] == usage[IDS.of("i-db"), Usage.TRACKED] == np.count_nonzero(entries[:, Entry.KEY]) == len(naive)


def test_each_entry_can_be_taken_out_of_a_full_table():
    """Whichever goes, all others are found: in runs that go round the table's end, and in those that do not."""
    chance = random.Random(0)
    for _ in range(40):
        state = new_state(len(IDS), 0)
        entries, peers = np.zeros((ROWS, len(Entry)), dtype=np.int64), chance.sample(range(20), ROWS - 1)
        for number in peers:
            flights = flow(number)
            conntrack.create(TABLES, entries, state.counts, state.usage, keys.packet_key(flights, 0, ENI), flights, 0, 5, 0)
        while peers:
            taken = peers.pop(chance.randrange(len(peers)))
            conntrack.remove(TABLES, entries, state.counts, state.usage, conntrack.find(entries, keys.packet_key(flow(taken), 0, ENI)))
            assert conntrack.find(entries, keys.packet_key(flow(taken), 0, ENI)) < 0
            assert all(conntrack.find(entries, keys.packet_key(flow(number), 0, ENI)) >= 0 for number in peers)


def test_an_entry_ends_at_its_very_nanosecond():
    """In whichever row it stands, a nanosecond earlier it is there for its packets, and then for none (CT-30)."""
    rows, ends = set(), 50 * S
    for number in range(100):
        state, flights = new_state(len(IDS), 0), flow(number)
        key, table = keys.packet_key(flights, 0, ENI), (TABLES, np.zeros((ROWS, len(Entry)), dtype=np.int64), state.counts, state.usage)
        conntrack.create(*table, key, flights, 0, 5, 0)
        slot = conntrack.live(*table, key, ends - 1)
        rows.add(slot)
        assert conntrack.find(table[1], key) == slot >= 0
        assert [conntrack.is_open_to(table[1], slot, flights, 0, at) for at in (ends - 1, ends)] == [True, False]
        assert conntrack.sweep(*table, -1, ends - 1) == ends
        swept = (TABLES, *(each.copy() for each in table[1:]))
        assert conntrack.sweep(*swept, -1, ends) == 1 << 62
        assert conntrack.live(*table, key, ends) == -1
        assert [not each[:, Entry.KEY].any() for each in (swept[1], table[1])] == [True, True]
        assert [each[Count.LIVE, 0] for each in (swept[2], table[2])] == [0, 0]
    assert rows == set(range(ROWS))
