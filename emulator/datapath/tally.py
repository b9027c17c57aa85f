"""A capture's conversations as they end: packets of each by verdict, and the first packet that was blocked.

Each five-tuple, both directions, is a row of ``totals``; ICMP is one conversation between two hosts.  A row is found by
an index as in `causes`.  What is skipped belongs to none and is counted by its reason.
"""

from enum import IntEnum

from emulator.datapath.causes import key_between
from emulator.datapath.state import Outcome
from emulator.kernels import kernel
from emulator.policy.keys import find_indexed, write_key
from emulator.policy.reasons import Verdict
from emulator.wire.headers import FIELDS, ICMP, ICMPV6, Field, Matrix


class Total(IntEnum):
    """Columns of ``totals``; SOURCE is whoever spoke first, SEEN the same ends with the capture's own addresses.

    DROP and HOLD are the rows in ``examples`` of the first packet that was dropped and of the first that was held back,
    plus one; 0 if there is none.
    """

    KEY = 0
    A_HI = 1
    A_LO = 2
    B_HI = 3
    B_LO = 4
    ACCEPTED = 5
    DROPPED = 6
    UNSENT = 7
    INDEX = 8
    TIME_NS = 9
    PROTOCOL = 10
    FAMILY = 11
    SOURCE_HI = 12
    SOURCE_LO = 13
    DESTINATION_HI = 14
    DESTINATION_LO = 15
    SOURCE_PORT = 16
    DESTINATION_PORT = 17
    SEEN_SOURCE_HI = 18
    SEEN_SOURCE_LO = 19
    SEEN_DESTINATION_HI = 20
    SEEN_DESTINATION_LO = 21
    DROP = 22
    HOLD = 23


class Sum(IntEnum):
    """Rows of ``sums`` (n, 1): rows in use, then packets by verdict, then skipped packets by reason."""

    FLOWS = 0
    EXAMPLES = 1
    VERDICTS = 2
    REASONS = 8


OUTCOMES = len(Outcome)
EXAMPLE_COLUMNS = FIELDS + OUTCOMES
_ACCEPT, _DROP, _UNSENT, _SKIPPED = int(Verdict.ACCEPT), int(Verdict.DROP), int(Verdict.UNSENT), int(Verdict.SKIPPED)


@kernel
def _find(totals: Matrix, index: Matrix, headers: Matrix, seen: Matrix, at: int, sums: Matrix) -> int:
    """Row of a packet's conversation, made if it is the first."""
    protocol = headers[at, Field.PROTOCOL]
    source_port, destination_port = headers[at, Field.SOURCE_PORT], headers[at, Field.DESTINATION_PORT]
    if protocol in (ICMP, ICMPV6):
        source_port, destination_port = source_port * 0, destination_port * 0
    key = key_between(
        protocol,
        headers[at, Field.FAMILY],
        headers[at, Field.SOURCE_HI],
        headers[at, Field.SOURCE_LO],
        headers[at, Field.DESTINATION_HI],
        headers[at, Field.DESTINATION_LO],
        source_port,
        destination_port,
    )
    row = find_indexed(index, totals, key)
    if row >= 0:
        return row
    slot = -row - 1
    row = sums[Sum.FLOWS, 0]
    sums[Sum.FLOWS, 0] = row + 1
    index[slot, 0] = row + 1
    write_key(totals, row, key)
    totals[row, Total.INDEX] = headers[at, Field.INDEX]
    totals[row, Total.TIME_NS] = headers[at, Field.TIME_NS]
    totals[row, Total.PROTOCOL] = protocol
    totals[row, Total.FAMILY] = headers[at, Field.FAMILY]
    for column in range(4):
        totals[row, Total.SOURCE_HI + column] = headers[at, Field.SOURCE_HI + column]
        totals[row, Total.SEEN_SOURCE_HI + column] = seen[at, Field.SOURCE_HI + column]
    totals[row, Total.SOURCE_PORT] = source_port
    totals[row, Total.DESTINATION_PORT] = destination_port
    return row


@kernel
def _example(examples: Matrix, headers: Matrix, at: int, outcomes: Matrix, outcome: int, sums: Matrix) -> int:
    """Keep a packet's header and outcome; gives the row plus one."""
    row = sums[Sum.EXAMPLES, 0]
    for column in range(FIELDS):
        examples[row, column] = headers[at, column]
    for column in range(OUTCOMES):
        examples[row, FIELDS + column] = outcomes[outcome, column]
    sums[Sum.EXAMPLES, 0] = row + 1
    return row + 1


@kernel
def tally(
    headers: Matrix, seen: Matrix, outcomes: Matrix, first: int, start: int, totals: Matrix, index: Matrix, examples: Matrix, sums: Matrix
) -> int:
    """Count the packets of rows from ``start`` on; gives the row before which a table must grow, or the number of rows.

    Parameters
    ----------
    headers, seen : (n, FIELDS) int64, in the order of time: with the topology's addresses, and with the capture's own
    outcomes : (m, columns Outcome) int64, of the packet ``first`` and those after it
    """
    for at in range(start, headers.shape[0]):
        if 2 * (sums[Sum.FLOWS, 0] + 1) > index.shape[0] or sums[Sum.FLOWS, 0] + 1 > totals.shape[0]:
            return at
        if sums[Sum.EXAMPLES, 0] + 1 > examples.shape[0]:
            return at
        outcome = headers[at, Field.INDEX] - first
        verdict = outcomes[outcome, Outcome.VERDICT]
        sums[Sum.VERDICTS + verdict, 0] += 1
        if verdict == _SKIPPED:
            sums[Sum.REASONS + outcomes[outcome, Outcome.REASON], 0] += 1
            continue
        row = _find(totals, index, headers, seen, at, sums)
        if verdict == _ACCEPT:
            totals[row, Total.ACCEPTED] += 1
        elif verdict == _DROP:
            totals[row, Total.DROPPED] += 1
            if totals[row, Total.DROP] == 0:
                totals[row, Total.DROP] = _example(examples, headers, at, outcomes, outcome, sums)
        elif verdict == _UNSENT:
            totals[row, Total.UNSENT] += 1
            if totals[row, Total.HOLD] == 0:
                totals[row, Total.HOLD] = _example(examples, headers, at, outcomes, outcome, sums)
    return headers.shape[0]
