"""Tracking, kernel by kernel: each bit of a state, each timer, and the row that a search gives."""

import numpy as np
import pytest

from emulator.policy import conntrack
from emulator.policy.conntrack import (
    ANSWERED,
    ASKED_AGAIN,
    CLOSED,
    ESTABLISHED,
    FIN_A,
    FIN_A_ACKED,
    FIN_A_END,
    FIN_B,
    FIN_B_ACKED,
    FIN_B_END,
    STARTED_BY_A,
    STREAM,
    Entry,
)
from emulator.wire.headers import ACK, FIN, ICMP, RST, SYN, TCP, UDP
from tests.policy.tracking import S, Table

A_STARTED = STARTED_BY_A
FAR = 1 << 22  # as far behind an end as a number kept in 23 bits can be and still lie before it
HIGH = (1 << 23) | 5  # numbers whose kept bits are 5
STEPS = [  # protocol, state, from A, flags, end, acknowledged, state after it
    pytest.param(UDP, A_STARTED, 1, 0, 0, 0, A_STARTED, id="udp: a request more"),
    pytest.param(UDP, A_STARTED, 0, 0, 0, 0, A_STARTED | ANSWERED, id="udp: a reply"),
    pytest.param(UDP, 0, 1, 0, 0, 0, ANSWERED, id="udp: a reply to B"),
    pytest.param(UDP, ANSWERED, 0, 0, 0, 0, ANSWERED | ASKED_AGAIN, id="udp: asked again by B"),
    pytest.param(UDP, A_STARTED | ANSWERED, 0, 0, 0, 0, A_STARTED | ANSWERED, id="udp: a reply more is no stream"),
    pytest.param(
        UDP, A_STARTED | ANSWERED | ASKED_AGAIN, 0, 0, 0, 0, A_STARTED | ANSWERED | ASKED_AGAIN | STREAM, id="udp: the second reply"
    ),
    pytest.param(ICMP, A_STARTED, 1, 0, 0, 0, A_STARTED, id="icmp: asked again"),
    pytest.param(ICMP, A_STARTED, 0, 0, 0, 0, A_STARTED | ANSWERED, id="icmp: answered"),
    pytest.param(47, 0, 0, FIN | RST, 0, 0, 0, id="gre has no flags"),
    pytest.param(TCP, A_STARTED, 1, ACK, 0, 0, A_STARTED, id="tcp: the opener alone establishes nothing"),
    pytest.param(TCP, A_STARTED, 0, SYN | ACK, 0, 0, A_STARTED | ANSWERED, id="tcp: SYN-ACK"),
    pytest.param(TCP, A_STARTED | ANSWERED, 1, SYN, 0, 0, A_STARTED | ANSWERED, id="tcp: the SYN once more"),
    pytest.param(TCP, A_STARTED | ANSWERED, 1, ACK, 0, 0, A_STARTED | ANSWERED | ESTABLISHED, id="tcp: the handshake's end"),
    pytest.param(TCP, ANSWERED, 0, ACK, 0, 0, ANSWERED | ESTABLISHED, id="tcp: the handshake's end, from B"),
    pytest.param(TCP, A_STARTED | FIN_A, 0, RST | ACK, 9, 9, A_STARTED | FIN_A | CLOSED, id="tcp: a reset says nothing else"),
    pytest.param(TCP, 0, 1, FIN, HIGH, 0, ANSWERED | FIN_A | (5 << FIN_A_END), id="tcp: A's FIN and its end"),
    pytest.param(TCP, 0, 0, FIN, HIGH, 0, FIN_B | (5 << FIN_B_END), id="tcp: B's FIN and its end"),
    pytest.param(
        TCP,
        ANSWERED | FIN_B | (5 << FIN_B_END),
        1,
        FIN,
        (1 << 24) - 1,
        0,
        ANSWERED | FIN_B | (5 << FIN_B_END) | FIN_A | (((1 << 23) - 1) << FIN_A_END),
        id="tcp: one side's end leaves the other's alone",
    ),
    pytest.param(TCP, FIN_A | (5 << FIN_A_END), 1, FIN, 8, 0, ANSWERED | FIN_A | (8 << FIN_A_END), id="tcp: a FIN with more before it"),
    pytest.param(TCP, FIN_A, 0, ACK, 0, 7, FIN_A | FIN_A_ACKED, id="tcp: B acknowledges A's FIN"),
    pytest.param(TCP, ANSWERED | FIN_B, 1, ACK, 0, 7, ANSWERED | FIN_B | FIN_B_ACKED, id="tcp: A acknowledges B's FIN"),
    pytest.param(
        TCP,
        FIN_A | (5 << FIN_A_END),
        0,
        ACK,
        0,
        4,
        FIN_A | (5 << FIN_A_END) | FIN_A_ACKED,
        id="tcp: whatever its number, an ACK behind a FIN",
    ),
    pytest.param(
        TCP,
        ANSWERED | FIN_B | (5 << FIN_B_END),
        1,
        ACK,
        0,
        4,
        ANSWERED | FIN_B | (5 << FIN_B_END) | FIN_B_ACKED,
        id="tcp: and so A's behind B's",
    ),
    pytest.param(TCP, FIN_A, 0, 0, 0, 7, FIN_A, id="tcp: without ACK nothing is acknowledged"),
    pytest.param(TCP, ANSWERED | FIN_A, 1, ACK, 0, 7, ANSWERED | FIN_A, id="tcp: nobody acknowledges their own FIN"),
    pytest.param(TCP, FIN_B, 0, ACK, 0, 7, FIN_B, id="tcp: nor does B"),
    pytest.param(
        TCP,
        FIN_A | (5 << FIN_A_END),
        0,
        FIN | ACK,
        1,
        4,
        FIN_A | (5 << FIN_A_END) | FIN_B | (1 << FIN_B_END),
        id="tcp: FINs that cross, A's first",
    ),
    pytest.param(
        TCP,
        ANSWERED | FIN_B | (5 << FIN_B_END),
        1,
        FIN | ACK,
        1,
        4,
        ANSWERED | FIN_B | (5 << FIN_B_END) | FIN_A | (1 << FIN_A_END),
        id="tcp: FINs that cross, B's first",
    ),
    pytest.param(
        TCP,
        ANSWERED | FIN_B | (5 << FIN_B_END),
        1,
        FIN | ACK,
        1,
        5,
        ANSWERED | FIN_B | (5 << FIN_B_END) | FIN_A | (1 << FIN_A_END) | FIN_B_ACKED,
        id="tcp: a FIN that acknowledges one",
    ),
    pytest.param(
        TCP,
        FIN_A | (5 << FIN_A_END),
        0,
        FIN | ACK,
        1,
        HIGH + FAR - 1,
        FIN_A | (5 << FIN_A_END) | FIN_B | (1 << FIN_B_END) | FIN_A_ACKED,
        id="tcp: an acknowledgement far behind it",
    ),
    pytest.param(
        TCP,
        FIN_A | (5 << FIN_A_END),
        0,
        FIN | ACK,
        1,
        HIGH + FAR,
        FIN_A | (5 << FIN_A_END) | FIN_B | (1 << FIN_B_END),
        id="tcp: so far behind is before",
    ),
    pytest.param(
        TCP, FIN_A | FIN_B | FIN_B_ACKED, 0, ACK, 0, 7, FIN_A | FIN_B | FIN_B_ACKED | FIN_A_ACKED | CLOSED, id="tcp: both acknowledged"
    ),
    pytest.param(TCP, FIN_A | FIN_B | FIN_A_ACKED, 0, ACK, 0, 7, FIN_A | FIN_B | FIN_A_ACKED, id="tcp: the same one again"),
]


@pytest.mark.parametrize(("protocol", "state", "from_a", "flags", "end", "acknowledged", "after"), STEPS)
def test_each_step_of_a_state(protocol, state, from_a, flags, end, acknowledged, after):
    """A packet sets the bits that it should, and no other."""
    assert conntrack.next_state(protocol, state, from_a, flags, end, acknowledged) == after


@pytest.mark.parametrize("back", [False, True], ids=["db opens", "ext opens"])
@pytest.mark.parametrize(
    ("protocol", "flags", "bits"),
    [
        pytest.param(TCP, SYN, (0, 0), id="a SYN"),
        pytest.param(TCP, SYN | ACK, (0, 0), id="a SYN-ACK"),
        pytest.param(TCP, ACK, (ESTABLISHED | ANSWERED, ESTABLISHED | ANSWERED), id="an ACK, picked up"),
        pytest.param(TCP, FIN, (ESTABLISHED | ANSWERED | FIN_A, ESTABLISHED | ANSWERED | FIN_B), id="a FIN, picked up"),
        pytest.param(UDP, 0, (0, 0), id="udp"),
        pytest.param(UDP, FIN, (0, 0), id="udp has no flags"),
    ],
)
def test_a_new_entry(protocol, flags, bits, back):
    """A new entry knows who opened it, and counts once; one that is picked up in the middle counts as established."""
    table = Table()
    from_a = table.packet(1000, protocol=protocol, back=back).from_a
    for number, port in enumerate((1000, 1001), 1):
        assert table.create(port, protocol=protocol, flags=flags, back=back) == number
    entry = table.row(1000, protocol)
    assert entry[Entry.STATE] == (bits[0] | STARTED_BY_A if from_a else bits[1])
    assert entry[Entry.TAG] == (1 << conntrack.TAG_SHIFT) | 5
    assert table.tracked == (2, 2)


def test_timers_before_and_after_the_handshake():
    """An embryonic timer of no time at all is one, and holds until the handshake's end (CT-25)."""
    tables = {seconds: Table(tcp_embryonic_s=seconds) for seconds in (0, 7, None)}
    for state, expected in ((ANSWERED, {0: 0, 7: 7 * S, None: 432_000 * S}), (ESTABLISHED, dict.fromkeys(tables, 432_000 * S))):
        assert {seconds: conntrack.timeout_ns(one.tables, one.eni, TCP, state) for seconds, one in tables.items()} == expected


@pytest.mark.parametrize(("protocol", "state", "seconds"), [(TCP, ESTABLISHED, 350), (UDP, 0, 30), (UDP, STREAM, 180)])
def test_a_gateways_own_timers(protocol, state, seconds):
    """What a gateway tracks idles for times of its own, whatever instances have."""
    table = Table()
    assert conntrack.timeout_ns(table.tables, table.ids.of("eigw-a"), protocol, state) == seconds * S


def test_the_first_row_of_the_table_is_one_like_others():
    """An entry in row 0 is found, dies at the very nanosecond at which its time is up, and is then removed."""
    table = Table(tcp_default_established_s=60)
    port = table.in_first_row()
    table.create(port)
    assert (table.known(port, now=60 * S - 1), table.tracked) == (0, (1, 1))
    assert (table.known(port, now=60 * S), table.tracked) == (-1, (0, 0))
    assert table.known(port, now=60 * S) == -1


def test_a_closed_connection_in_the_first_row_makes_way_for_a_new_one():
    """A SYN ends a closed connection that lingers, wherever it stands."""
    table = Table(tcp_close_linger_s=120)
    port = table.in_first_row()
    table.create(port)
    table.refresh(port, flags=RST, back=True)
    assert (table.known(port, flags=ACK), table.tracked) == (0, (1, 1))
    assert (table.known(port, flags=SYN), table.tracked) == (-1, (0, 0))


def test_a_close_frees_its_entry_at_once():
    """Without lingering, the packet that ends a connection removes its entry (CT-26)."""
    table = Table()
    table.create(1000)
    table.refresh(1000, flags=RST, now=5)
    assert table.tracked == (0, 0)


def test_a_full_table_has_room_at_the_nanosecond_at_which_an_entry_dies():
    """Nothing is looked for before the first entry can have died, and then at once (CT-40)."""
    table = Table(limit=1, tcp_default_established_s=60)
    assert table.has_room(0)
    table.create(1000)
    assert not table.has_room(0)
    assert table.retry_ns == 60 * S
    assert not table.has_room(60 * S - 1)
    assert table.has_room(60 * S)
    assert table.tracked == (0, 0)


def test_an_entry_that_will_die_earlier_than_thought_makes_room_then():
    """Where a packet shortens an entry's life, a full table is looked through as early as that."""
    table = Table(limit=1, tcp_default_established_s=60, tcp_close_linger_s=10)
    table.create(1000)
    assert not table.has_room(0)
    table.refresh(1000, flags=RST, now=5 * S)
    assert table.retry_ns == 15 * S
    assert not table.has_room(15 * S - 1)
    assert table.has_room(15 * S)


def test_a_sweep_of_one_instance_leaves_the_others_alone():
    """A sweep removes the dead entries of one instance, all of them, and says when its next one is due; -1 is everybody."""
    table = Table(tcp_default_established_s=60)
    for port in range(1000, 1010):
        table.create(port)
    table.create(2000, now=9 * S)
    assert conntrack.sweep(*table.books, table.ids.of("i-web"), 60 * S) == 1 << 62
    assert table.tracked == (11, 11)
    assert conntrack.sweep(*table.books, table.holder, 60 * S) == 69 * S
    assert table.tracked == (1, 1)
    assert conntrack.sweep(*table.books, -1, 69 * S) == 1 << 62
    assert table.tracked == (0, 0)


def test_a_table_of_another_size_has_the_same_entries():
    """Rehashing copies every entry whole, and counts them."""
    table = Table()
    for port in range(1000, 1020):
        table.create(port, now=port)
    fresh = np.zeros((256, len(Entry)), dtype=np.int64)
    assert conntrack.rehash(table.state.entries, fresh) == 20
    for port in range(1000, 1020):
        assert fresh[conntrack.find(fresh, table.packet(port))].tolist() == table.row(port).tolist()
