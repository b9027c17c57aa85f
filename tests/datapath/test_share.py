"""To which of several engines a packet belongs: what can act on each other goes to one, and all get about as much."""

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.packet import Raw

from emulator.datapath.share import ELSEWHERE, mark_foreign, share_of, share_out, skip_foreign
from emulator.datapath.state import Count, Outcome, new_state
from emulator.engine import Engine
from emulator.policy.reasons import Verdict
from emulator.policy.tables import Cell, lookup
from emulator.wire.headers import Field
from emulator.wire.packet import Packet
from emulator.wire.status import Status
from tests.base import APP1, APP1_V6, DB, EXT, EXT2, EXT_V6, WEB, WEB2, WEB2_PUBLIC, WEB_PUBLIC, base
from tests.dialogue import error, icmp, other, ping6, tcp, udp

SHARES = 1009  # so many that two packets are hardly in one by chance
TABLES = Engine(base(), compiled=False).tables


def rows_of(*packets):
    """Header rows of packets."""
    return np.array([Packet.of(packet).header for packet in packets], dtype=np.int64)


def shares_of(*packets):
    """The share of each packet."""
    rows = rows_of(*packets)
    return [share_of(TABLES, rows, at, SHARES) for at in range(len(rows))]


TOGETHER = {
    "both directions and all protocols of two hosts": [
        tcp(APP1, DB, "40000>22"),
        tcp(DB, APP1, "22>40000", "SA"),
        udp(APP1, DB, "1>2"),
        icmp(DB, APP1, 8),
        other(APP1, DB, 47),
    ],
    "an interface by its public address and by its private one": [
        tcp(EXT, WEB_PUBLIC, "50000>80"),
        tcp(WEB, EXT, "80>50000"),
        tcp(EXT, WEB, "50000>80"),
    ],
    "two interfaces, each by either address": [
        udp(WEB, WEB2, "1>2"),
        udp(WEB_PUBLIC, WEB2, "1>2"),
        udp(WEB2, WEB_PUBLIC, "1>2"),
        udp(WEB_PUBLIC, WEB2_PUBLIC, "1>2"),
    ],
    "all fragments of a datagram": [udp(APP1, DB, "1>2"), IP(src=APP1, dst=DB, frag=3) / Raw(b"x" * 8)],
    "an error from a router with the flow that it is about": [
        udp(APP1, DB, "1>2"),
        error("10.0.1.1", APP1, udp(APP1, DB, "1>2")),
        error(DB, APP1, udp(APP1, DB, "1>2"), 3, 3),
        error("203.0.113.50", APP1, udp(DB, APP1, "2>1"), 11, 0),
        error("10.0.1.1", APP1, icmp(APP1, DB, 8)),
    ],
    "an error that quotes a public address": [udp(EXT, WEB, "1>2"), error("192.0.2.1", EXT, udp(EXT, WEB_PUBLIC, "1>2"))],
    "ipv6, and an error about it": [
        ping6(APP1_V6, EXT_V6),
        ping6(EXT_V6, APP1_V6, reply=True),
        error("2001:db8:1::1", APP1_V6, udp(APP1_V6, EXT_V6, "1>2")),
    ],
}


@pytest.mark.parametrize("packets", TOGETHER.values(), ids=TOGETHER)
def test_what_can_act_on_each_other_is_in_one_share(packets):
    """A packet is known by its two ends, an error by the ends of what it quotes."""
    shares = shares_of(*packets)
    assert set(shares) == {shares[0]}


APART = {
    "other hosts": [udp(APP1, DB, "1>2"), udp(APP1, WEB, "1>2"), udp(WEB, DB, "1>2"), udp(EXT, DB, "1>2"), udp(APP1, EXT, "1>2")],
    "other hosts of ipv6": [ping6(APP1_V6, EXT_V6), ping6("2001:db8:a:1::12", EXT_V6), ping6("2001:db8:b:1::11", EXT_V6)],
    "two hosts outside": [udp(APP1, EXT, "1>2"), udp(APP1, EXT2, "1>2")],
    "errors that quote nothing, by their own ends": [icmp("10.0.1.1", APP1, 3), icmp("10.0.2.1", DB, 3), udp(APP1, DB, "1>2")],
    "a query that quotes as little": [IP(src=APP1, dst=EXT) / ICMP(type=8) / bytes(udp(APP1, DB, "1>2")), udp(APP1, DB, "1>2")],
}


@pytest.mark.parametrize("packets", APART.values(), ids=APART)
def test_what_has_other_ends_is_in_another(packets):
    """With a thousand shares no two of these pairs of hosts meet."""
    shares = shares_of(*packets)
    assert len(set(shares)) == len(shares)


def test_a_public_address_in_the_first_row_of_the_index():
    """Wherever a public address stands in the index, it is taken for the private one."""
    (row,) = rows_of(udp(EXT, WEB_PUBLIC, "1>2"))
    private = TABLES.index[lookup(TABLES.index, 0, 0, row[Field.DESTINATION_LO])]
    index, low = np.zeros((8, len(Cell)), dtype=np.int64), 0
    index[0] = private
    while lookup(index, 0, 0, low) != 0:
        low += 1
        index[0, Cell.LO] = low
    pair = np.array([row, row])
    pair[:, Field.DESTINATION_LO] = low, private[Cell.OTHER_LO]
    tables = TABLES._replace(index=index)
    assert share_of(tables, pair, 0, SHARES) == share_of(tables, pair, 1, SHARES)


def test_all_shares_get_about_as_much():
    """Of a thousand hosts that talk to one, each of four engines has a quarter, more or less; what cannot be read is the first's."""
    packets = [IP(src=f"10.0.{number >> 8}.{number & 255}", dst=DB) / UDP() for number in range(1024)]
    rows = rows_of(*packets)
    out = np.full((len(rows), 1), -1, dtype=np.int64)
    assert share_out(TABLES, rows, 0, 1000, 4, out) == 1000
    assert share_out(TABLES, rows, 1000, 1020, 4, out) == 20
    counts = np.bincount(out[:1020, 0], minlength=4)
    assert (len(counts), counts.min() > 200, set(out[1020:, 0].tolist())) == (4, True, {-1})
    rows[:, Field.STATUS] = Status.TRUNCATED
    assert {share_of(TABLES, rows, at, 4) for at in range(1024)} == {0}


@pytest.mark.parametrize("number", range(3))
def test_an_engine_passes_over_what_belongs_to_others(number):
    """It is fed the rows of its own share and no others; those get an outcome that says that they are elsewhere."""
    dice = np.random.default_rng(number)
    shares, first = dice.integers(0, 3, (50, 1)), 7
    state = new_state(2, 0)._replace(shares=shares)
    state.counts[[Count.SHARE, Count.FIRST], 0] = number, first
    feed = np.zeros((50, len(Field)), dtype=np.int64)
    feed[:, Field.INDEX] = first + dice.permutation(50)
    fed = []
    while True:
        skip_foreign(state)
        row = int(state.counts[Count.FED, 0])
        if row == len(feed):
            break
        fed.append(row)
        state.counts[Count.FED, 0] += 1
    mine = np.flatnonzero(shares[:, 0] == number)
    assert fed == mine.tolist()
    assert mark_foreign(state, feed) == 50 - len(mine)
    verdicts = state.outcomes[feed[:, Field.INDEX] - first, Outcome.VERDICT]
    assert np.flatnonzero(verdicts == ELSEWHERE).tolist() == np.flatnonzero(shares[:, 0] != number).tolist()
    assert np.count_nonzero(state.outcomes) == 50 - len(mine)
    assert ELSEWHERE not in set(Verdict)
