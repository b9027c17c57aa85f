"""Keys: both directions of a flow have one, two flows never share one, and rows are found by it."""

from itertools import combinations, product

import numpy as np
import pytest

from emulator.policy import keys
from emulator.policy.keys import QUERY_NONE, QUERY_REPLY, QUERY_REQUEST, KeyColumn
from emulator.wire.headers import ICMP, ICMPV6, TCP, UDP, Field

ROLES = {
    ICMP: {
        **dict.fromkeys((8, 13, 15, 17), QUERY_REQUEST),
        **dict.fromkeys((0, 14, 16, 18), QUERY_REPLY),
    },
    ICMPV6: {128: QUERY_REQUEST, 129: QUERY_REPLY},
}
PAIRS = {ICMP: [(8, 0), (13, 14), (15, 16), (17, 18)], ICMPV6: [(128, 129)]}


@pytest.mark.parametrize("protocol", [ICMP, ICMPV6, TCP, 47])
def test_requests_and_replies(protocol):
    """Each of the 256 types is a request, a reply, or neither (CT-4 to CT-6); the three are told apart."""
    assert len({keys.QUERY_NONE, keys.QUERY_REQUEST, keys.QUERY_REPLY}) == 3
    assert [keys.query_role(protocol, kind) for kind in range(256)] == [
        ROLES.get(protocol, {}).get(kind, QUERY_NONE) for kind in range(256)
    ]


def test_a_reply_has_its_requests_number():
    """A request and its reply have one number, every other type its own."""
    expected = {reply: request for pairs in PAIRS.values() for request, reply in pairs}
    assert [keys.query_kind(kind) for kind in range(256)] == [expected.get(kind, kind) for kind in range(256)]


@pytest.mark.parametrize(
    ("source", "destination", "first"),
    [
        ((1, 9, 9), (2, 0, 0), 1),
        ((2, 0, 0), (1, 9, 9), 0),
        ((1, 1, 9), (1, 2, 0), 1),
        ((1, 2, 0), (1, 1, 9), 0),
        ((1, 1, 5), (1, 1, 6), 1),
        ((1, 1, 6), (1, 1, 5), 0),
        ((1, 1, 5), (1, 1, 5), 1),
    ],
    ids=["upper half", "upper half back", "lower half", "lower half back", "port", "port back", "to itself"],
)
def test_the_order_of_two_ends(source, destination, first):
    """The end with the lower address comes first, of equal addresses that with the lower port; the source where all is equal."""
    assert keys.source_is_a(*source[:2], *destination[:2], source[2], destination[2]) == first


def key(eni=7, family=4, protocol=TCP, source=(0, 1), destination=(0, 2), ports=(1000, 80), kind=0, identifier=0):
    """The key of a packet."""
    return keys.key_of(eni, family, protocol, *source, *destination, *ports, kind, identifier)


FLOWS = [
    {},
    {"eni": 8},
    {"family": 6},
    {"protocol": UDP},
    {"ports": (1001, 80)},
    {"ports": (1000, 81)},
    {"ports": (80, 1000)},
    {"source": (0, 3)},
    {"source": (1, 1)},
    {"destination": (0, 3)},
    {"destination": (1, 2)},
    {"protocol": 47},
    {"protocol": ICMP, "kind": 8, "identifier": 5},
    {"protocol": ICMP, "kind": 8, "identifier": 6},
    {"protocol": ICMP, "kind": 13, "identifier": 5},
    {"protocol": ICMP, "kind": 8, "identifier": 5, "source": (0, 2), "destination": (0, 1)},
    {"protocol": ICMP, "kind": 15, "identifier": 5},
    {"protocol": ICMP, "kind": 15, "identifier": 5, "source": (0, 2), "destination": (0, 1)},
    {"protocol": ICMP, "kind": 17, "identifier": 5},
    {"protocol": ICMPV6, "kind": 128, "identifier": 5},
]
ANSWERS = {8: 0, 13: 14, 15: 16, 17: 18, 128: 129}


def answer(flow):
    """The other direction of a flow."""
    full = {"source": (0, 1), "destination": (0, 2), "ports": (1000, 80), **flow}
    back = {"source": full["destination"], "destination": full["source"], "ports": full["ports"][::-1]}
    return flow | back | ({"kind": ANSWERS[flow["kind"]]} if flow.get("kind") else {})


@pytest.mark.parametrize("flow", FLOWS)
def test_both_directions_have_one_key(flow):
    """A packet and its answer have one key, and come from different ends."""
    there, back = key(**flow), key(**answer(flow))
    assert there[:5] == back[:5]
    assert {there.from_a, back.from_a} == {0, 1}
    assert there.key > 0
    assert there.key >> keys.ENI_SHIFT == flow.get("eni", 7)


def test_flows_have_keys_of_their_own():
    """Flows that differ in interface, family, protocol, an address, a port, an identifier, a kind or who asks never share one."""
    assert [(one, other) for one, other in combinations(FLOWS, 2) if key(**one)[:5] == key(**other)[:5]] == []


def test_other_protocols_have_no_ports():
    """What stands in the columns of ports says nothing of a protocol without them, nor an identifier of anything but ICMP."""
    assert key(protocol=47, ports=(1, 2), kind=3, identifier=4) == key(protocol=47)
    assert key(protocol=TCP, kind=3, identifier=4) == key()
    assert key(protocol=ICMP, kind=8, identifier=5, ports=(1, 2)) == key(protocol=ICMP, kind=8, identifier=5)


def test_the_parts_of_a_packed_key():
    """Two numbers of 16 bits, the protocol in 8, the family in one, the interface above: none touches another."""
    for eni, family, protocol, low, high in product((1, 2**20), (4, 6), (0, 255), (0, 65_535), (0, 65_535)):
        packed = keys.pack(eni, family, protocol, low, high)
        parts = (packed >> 41, packed >> 40 & 1, packed >> 32 & 255, packed >> 16 & 65_535, packed & 65_535)
        assert parts == (eni, int(family == 6), protocol, high, low)


def test_a_packets_key_is_made_of_its_own_columns():
    """`packet_key` reads each column of the header that `key_of` asks for."""
    row = np.zeros((2, len(Field)), dtype=np.int64)
    columns = [Field.FAMILY, Field.PROTOCOL, Field.SOURCE_HI, Field.SOURCE_LO, Field.DESTINATION_HI, Field.DESTINATION_LO]
    row[1, [*columns, Field.SOURCE_PORT, Field.DESTINATION_PORT]] = 6, TCP, 3, 4, 1, 2, 1000, 80
    row[0, [*columns, Field.TYPE, Field.IDENTIFIER]] = 4, ICMP, 0, 4, 0, 2, 8, 77
    assert keys.packet_key(row, 1, 9) == keys.key_of(9, 6, TCP, 3, 4, 1, 2, 1000, 80, 0, 0)
    assert keys.packet_key(row, 0, 9) == keys.key_of(9, 4, ICMP, 0, 4, 0, 2, 0, 0, 8, 77)


def some_keys(count):
    """Keys that differ in each part."""
    random = np.random.default_rng(0)
    return [keys.TrackingKey(*(int(part) for part in random.integers(1, 4, 5)), 1) for _ in range(count)]


def test_a_row_is_its_keys_in_every_column():
    """A row that was given a key has that one and no other: each column counts."""
    table = np.zeros((1, len(KeyColumn)), dtype=np.int64)
    mine = keys.TrackingKey(1, 2, 3, 4, 5, 0)
    keys.write_key(table, 0, mine)
    assert keys.key_at(table, 0) == mine
    assert keys.stands_at(table, 0, mine)
    for column in range(5):
        assert not keys.stands_at(table, 0, mine._replace(**{mine._fields[column]: 9}))


def test_every_part_of_a_key_is_in_its_hash():
    """Keys that differ in one part have hashes that differ, within 32 bits."""
    mine = keys.TrackingKey(1, 2, 3, 4, 5, 0)
    hashes = [keys.fold(mine._replace(**{name: value})) for name in mine._fields[:5] for value in range(100, 200)]
    assert len(set(hashes)) == len(hashes)
    assert min(hashes) >= 0
    assert max(hashes) < 1 << 32


def test_an_index_so_full_that_rows_stand_in_each_others_place():
    """Each row is found by its key, and a key that is not there leads to a free place, in whatever order the search goes."""
    mine = list(dict.fromkeys(some_keys(200)))[:30]
    table, index = np.zeros((30, len(KeyColumn)), dtype=np.int64), np.zeros((32, 1), dtype=np.int64)
    for row, one in enumerate(mine[:29]):
        free = keys.find_indexed(index, table, one)
        assert free < 0
        assert index[-free - 1, 0] == 0
        keys.write_key(table, row, one)
        index[-free - 1, 0] = row + 1
    assert [keys.find_indexed(index, table, one) for one in mine[:29]] == list(range(29))
    missing = keys.find_indexed(index, table, mine[29])
    assert missing < 0
    assert index[-missing - 1, 0] == 0
    again = np.zeros((32, 1), dtype=np.int64)
    assert keys.reindex(table, 29, again) == 29
    assert [keys.find_indexed(again, table, one) for one in mine[:29]] == list(range(29))
    assert np.count_nonzero(again) == 29
