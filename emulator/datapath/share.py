"""Which of several engines a packet of a capture belongs to: what can act on each other goes to one of them.

A packet is known by its two ends, whichever sends, public addresses taken for the private ones behind them; an ICMP
error by the two ends of the datagram that it quotes.  So both directions of a flow, all its fragments and all errors
about it meet in one engine.
"""

from emulator.datapath.state import Count, Outcome, State
from emulator.kernels import kernel
from emulator.policy.reasons import Verdict
from emulator.policy.tables import Cell, PlaceKind, Tables, kind_of, lookup
from emulator.wire.hashing import mix
from emulator.wire.headers import Field, Matrix, is_icmp_error
from emulator.wire.status import PARSED

ELSEWHERE = max(Verdict) + 1  # the verdict in the outcome row of a packet that another engine runs
_ENI = int(PlaceKind.ENI)


@kernel
def _end(tables: Tables, hi: int, lo: int) -> int:
    """A hash of an address, the same for the public and the private one of an interface."""
    cell = lookup(tables.index, 0, hi, lo)
    if cell >= 0 and kind_of(tables, tables.index[cell, Cell.OWNER]) == _ENI:
        return mix(mix(0, tables.index[cell, Cell.OTHER_HI]), tables.index[cell, Cell.OTHER_LO])
    return mix(mix(0, hi), lo)


@kernel
def share_of(tables: Tables, feed: Matrix, row: int, shares: int) -> int:
    """The share of the packet in row ``row`` of a feed, from 0 to ``shares`` - 1."""
    if feed[row, Field.STATUS] != PARSED:
        return 0
    first = Field.SOURCE_HI * 1
    if feed[row, Field.QUOTED_PROTOCOL] != 0 and is_icmp_error(feed[row, Field.PROTOCOL], feed[row, Field.TYPE]):
        first = Field.QUOTED_SOURCE_HI * 1
    one, other = _end(tables, feed[row, first], feed[row, first + 1]), _end(tables, feed[row, first + 2], feed[row, first + 3])
    return mix(0, one + other) % shares


@kernel
def share_out(tables: Tables, feed: Matrix, start: int, end: int, shares: int, out: Matrix) -> int:
    """Write the share of each packet of a stretch of a feed into the same rows of ``out`` (n, 1); gives how many."""
    for row in range(start, end):
        out[row, 0] = share_of(tables, feed, row, shares)
    return end - start


@kernel
def skip_foreign(state: State) -> None:
    """Pass over the packets at the head of a feed that belong to other engines."""
    counts, shares = state.counts, state.shares
    row = counts[Count.FED, 0]
    while row < shares.shape[0] and shares[row, 0] != counts[Count.SHARE, 0]:
        row += 1
    counts[Count.FED, 0] = row


@kernel
def mark_foreign(state: State, feed: Matrix) -> int:
    """Write `ELSEWHERE` into the outcomes of a feed's packets that belong to other engines; gives how many."""
    counts, marked = state.counts, 0
    for row in range(feed.shape[0]):
        if state.shares[row, 0] != counts[Count.SHARE, 0]:
            state.outcomes[feed[row, Field.INDEX] - counts[Count.FIRST, 0], Outcome.VERDICT] = ELSEWHERE
            marked += 1
    return marked
