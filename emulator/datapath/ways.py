"""Ways: how a packet came through, kept so that the others of its flow need not have everything looked up again.

What lies between two interfaces (addresses, routes, network ACLs, checks, gateways without a memory) hangs on a packet's
header and on the tables alone, and so do the groups' rules.  A packet that met nothing else writes its way down here, and
`shortcut` takes those that follow along it; tracking entries and causes are asked for every packet as ever.

    enters ─► begin: the header, not yet KNOWN
                │   judged: what the groups said, at either interface
                │   lose: a link, a gateway with a memory, a machine that forwards, too long a packet
                ▼
             learn: delivered; KNOWN for this version of the tables

``ways`` is a cache: a way stands at the hash of its header or nowhere, and the newest takes the place.  Fragments and ICMP
errors have none.  With no rows nothing is kept, and every packet goes the whole way.
"""

from emulator.datapath.state import HOMES, Count, Flight, State, Way
from emulator.kernels import kernel, prefetch
from emulator.policy import keys
from emulator.policy.judge import is_untracked
from emulator.policy.reasons import Decision, Verdict
from emulator.policy.tables import EGRESS, Tables, row_of
from emulator.wire.hashing import spread
from emulator.wire.headers import ICMP, ICMPV6, TCP, UDP, Field, Matrix

_ACCEPT = int(Verdict.ACCEPT)
PLACE_SHIFT, UNTRACKED, RULE_MASK = 25, 1 << 24, (1 << 24) - 1  # in OUT and IN
LOST_SHIFT = 32  # in GROUPS
LENGTH_SHIFT, SPENT_MASK, ANY_LENGTH = 16, (1 << 16) - 1, 1 << 32  # in LIMITS
SLOT_SHIFT, SLOT_MASK = 31, (1 << 31) - 1  # in SLOTS: rows of ``entries``, the receiver's above the sender's
BLOCK = HOMES // 2  # packets


@kernel
def _key(flights: Matrix, p: int) -> int:
    """The part of a way's key that is no address; 0 for a packet that has no way."""
    protocol = flights[p, Field.PROTOCOL]
    if flights[p, Field.FRAGMENT_OFFSET] != 0 or flights[p, Field.MORE_FRAGMENTS] != 0:
        return 0
    low, high = flights[p, Field.SOURCE_PORT], flights[p, Field.DESTINATION_PORT]
    if protocol in (ICMP, ICMPV6):
        if keys.query_role(protocol, flights[p, Field.TYPE]) == keys.QUERY_NONE:
            return 0
        low, high = flights[p, Field.IDENTIFIER], (flights[p, Field.TYPE] << 8) | flights[p, Field.CODE]
    return keys.pack(1, flights[p, Field.FAMILY], protocol, low, high)


@kernel
def _home(ways: Matrix, flights: Matrix, p: int, key: int) -> int:
    """The one row where a packet's way can stand."""
    hashed = spread(
        key,
        flights[p, Field.SOURCE_HI],
        flights[p, Field.SOURCE_LO],
        flights[p, Field.DESTINATION_HI],
        flights[p, Field.DESTINATION_LO],
    )
    return hashed & (ways.shape[0] - 1)


@kernel
def _has(state: State, row: int, p: int, key: int) -> bool:
    """Whether a row is for packets with the header of the one in row ``p``."""
    flights, ways = state.flights, state.ways
    return (
        ways[row, Way.KEY] == key
        and ways[row, Way.SOURCE_LO] == flights[p, Field.SOURCE_LO]
        and ways[row, Way.DESTINATION_LO] == flights[p, Field.DESTINATION_LO]
        and ways[row, Way.SOURCE_HI] == flights[p, Field.SOURCE_HI]
        and ways[row, Way.DESTINATION_HI] == flights[p, Field.DESTINATION_HI]
    )


@kernel
def is_of(state: State, row: int, p: int) -> bool:
    """Whether a way is that of the packet in row ``p``, whose addresses may have been changed."""
    return _has(state, row, p, _key(state.flights, p))


@kernel
def known(state: State, p: int, home: int) -> int:
    """Row of the way of the packet in row ``p`` as it enters, or -1; ``home`` is where it would stand, or -1 to find that out."""
    if state.ways.shape[0] == 0:
        return -1
    key = _key(state.flights, p)
    if key == 0:
        return -1
    row = home if home >= 0 else _home(state.ways, state.flights, p, key)
    return row if _has(state, row, p, key) and state.ways[row, Way.KNOWN] == state.counts[Count.VERSION, 0] else -1


@kernel
def look_ahead(state: State, feed: Matrix, row: int) -> None:
    """Fetch what packets of a feed will need: the ways of the block behind that of ``row``, and the entries of its own.

    A miss of the processor's cache costs as much as all else that a packet on a short cut takes.
    """
    ways, homes, counts = state.ways, state.homes, state.counts
    start = row & -BLOCK
    first = start + BLOCK if start == counts[Count.AHEAD, 0] and start > 0 else start
    counts[Count.AHEAD, 0] = start + BLOCK
    for at in range(first, min(start + 2 * BLOCK, feed.shape[0])):
        key = _key(feed, at)
        home = _home(ways, feed, at, key) if key != 0 else -1
        homes[at & (HOMES - 1), 0] = home + 1
        if home >= 0:
            prefetch(ways, home, Way.KEY)
            prefetch(ways, home, Way.KNOWN)
    for at in range(start, min(start + BLOCK, feed.shape[0])):
        home = homes[at & (HOMES - 1), 0] - 1
        if home >= 0:
            prefetch(state.entries, ways[home, Way.SLOTS] & SLOT_MASK, 0)
            prefetch(state.entries, ways[home, Way.SLOTS] >> SLOT_SHIFT, 0)


@kernel
def begin(state: State, p: int) -> None:
    """Write down the way of the packet in row ``p`` from here on, if it can have one."""
    flights, ways = state.flights, state.ways
    key = _key(state.flights, p)
    if key == 0 or ways.shape[0] == 0:
        return
    row = _home(state.ways, state.flights, p, key)
    flights[p, Flight.WAY] = row + 1
    ways[row, Way.KEY] = key
    ways[row, Way.SOURCE_HI] = flights[p, Field.SOURCE_HI]
    ways[row, Way.SOURCE_LO] = flights[p, Field.SOURCE_LO]
    ways[row, Way.DESTINATION_HI] = flights[p, Field.DESTINATION_HI]
    ways[row, Way.DESTINATION_LO] = flights[p, Field.DESTINATION_LO]
    ways[row, Way.OUT], ways[row, Way.IN], ways[row, Way.SLOTS] = 0, 0, 0
    ways[row, Way.KNOWN] = -state.counts[Count.VERSION, 0]
    ways[row, Way.PLACE] = flights[p, Field.INDEX]


@kernel
def lose(state: State, p: int) -> None:
    """The packet in row ``p`` met something that hangs on more than its header: it writes no way."""
    state.flights[p, Flight.WAY] = 0


@kernel
def judged(tables: Tables, state: State, p: int, eni_id: int, direction: int, decision: Decision) -> None:
    """Write down what the groups of an interface said."""
    row = state.flights[p, Flight.WAY] - 1
    if row < 0 or decision.verdict != _ACCEPT:
        return
    packed, slot = (eni_id << PLACE_SHIFT) | decision.rule, state.counts[Count.SLOT, 0]
    if decision.entry == 0:
        if not is_untracked(tables, state.flights, p, row_of(tables, eni_id), direction, state.flights[p, Flight.AUTOTRACK]):
            lose(state, p)
            return
        packed, slot = packed | UNTRACKED, 0
    if direction == EGRESS:
        state.ways[row, Way.OUT] = packed
        state.ways[row, Way.SLOTS] |= slot
    else:
        state.ways[row, Way.IN] = packed
        state.ways[row, Way.SLOTS] |= slot << SLOT_SHIFT


@kernel
def learn(tables: Tables, state: State, p: int, place: int) -> None:
    """The packet in row ``p`` is delivered: its way is known, unless it was lost or the tables are others by now."""
    flights, ways = state.flights, state.ways
    row, version = flights[p, Flight.WAY] - 1, state.counts[Count.VERSION, 0]
    if row < 0 or ways[row, Way.KNOWN] != -version or ways[row, Way.PLACE] != flights[p, Field.INDEX]:
        return
    ways[row, Way.KNOWN] = version
    ways[row, Way.PLACE] = place
    ways[row, Way.GROUPS] = (flights[p, Flight.LOST] << LOST_SHIFT) | flights[p, Flight.SENDER]
    always_fits = tables.settings.mtu_of_captures == 0 and flights[p, Field.PROTOCOL] in (TCP, UDP)
    length = ANY_LENGTH if always_fits else flights[p, Field.LENGTH]
    ways[row, Way.LIMITS] = (length << LENGTH_SHIFT) | flights[p, Flight.TTL_SPENT]
    ways[row, Way.END_SOURCE_HI] = flights[p, Field.SOURCE_HI]
    ways[row, Way.END_SOURCE_LO] = flights[p, Field.SOURCE_LO]
    ways[row, Way.END_DESTINATION_HI] = flights[p, Field.DESTINATION_HI]
    ways[row, Way.END_DESTINATION_LO] = flights[p, Field.DESTINATION_LO]
