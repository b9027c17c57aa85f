"""A capture's conversations, counted as the replay goes, against a naive count of the same rows."""

import numpy as np
import pytest

from emulator.datapath.state import Outcome
from emulator.datapath.tally import EXAMPLE_COLUMNS, OUTCOMES, Sum, Total, tally
from emulator.policy.reasons import Reason, Verdict
from emulator.wire.headers import FIELDS, ICMP, ICMPV6, TCP, UDP, Field

ENDS = [Field.SOURCE_HI, Field.SOURCE_LO, Field.DESTINATION_HI, Field.DESTINATION_LO]
VERDICTS = (Verdict.ACCEPT, Verdict.DROP, Verdict.UNSENT, Verdict.SKIPPED)


def drawn(seed, packets=400, first=1_000):
    """Headers, the same as the capture has them, and outcomes, of a few hosts that talk over all protocols."""
    dice = np.random.default_rng(seed)
    headers = dice.integers(0, 1000, (packets, FIELDS))
    headers[:, ENDS] = dice.integers(1, 4, (packets, 4))
    headers[:, [Field.SOURCE_PORT, Field.DESTINATION_PORT]] = dice.integers(1, 3, (packets, 2))
    headers[:, Field.PROTOCOL] = dice.choice([TCP, UDP, ICMP, ICMPV6, 47], packets)
    headers[:, Field.FAMILY] = 6
    headers[:, Field.INDEX] = first + dice.permutation(packets)
    headers[:, Field.TIME_NS] = np.arange(packets)
    seen = headers.copy()
    seen[:, ENDS] += dice.integers(10, 20, (packets, 4))
    outcomes = dice.integers(0, 1000, (packets, OUTCOMES))
    outcomes[:, Outcome.VERDICT] = dice.choice(VERDICTS, packets)
    outcomes[:, Outcome.REASON] = dice.choice([Reason.EMU_ARP, Reason.EMU_FABRIC], packets)
    return headers, seen, outcomes, first


def counted(headers, seen, outcomes, first, conversations=1024, places=2048, kept=1024):
    """The conversations, the examples, and the sums, by tables of so many rows and an index of so many places."""
    totals, index = np.zeros((conversations, len(Total)), np.int64), np.zeros((places, 1), np.int64)
    examples, sums = np.zeros((kept, EXAMPLE_COLUMNS), np.int64), np.zeros((Sum.REASONS + max(Reason) + 1, 1), np.int64)
    done = tally(headers, seen, outcomes, first, 0, totals, index, examples, sums)
    return done, totals[: sums[Sum.FLOWS, 0]], examples, sums


def ends_of(row):
    """What a packet's conversation is known by, whoever sends it."""
    ports = [0, 0] if row[Field.PROTOCOL] in (ICMP, ICMPV6) else [int(row[Field.SOURCE_PORT]), int(row[Field.DESTINATION_PORT])]
    one, other = (int(row[ENDS[0]]), int(row[ENDS[1]]), ports[0]), (int(row[ENDS[2]]), int(row[ENDS[3]]), ports[1])
    return int(row[Field.PROTOCOL]), *sorted((one, other))


@pytest.mark.parametrize("seed", range(3))
def test_conversations_are_those_of_a_naive_count(seed):
    """First packet, ends, sums by verdict and the first examples of each conversation, in the order of their first packets."""
    headers, seen, outcomes, first = drawn(seed)
    done, totals, examples, sums = counted(headers, seen, outcomes, first)
    talks: dict[tuple, list[int]] = {}
    for at, row in enumerate(headers):
        if outcomes[row[Field.INDEX] - first, Outcome.VERDICT] != Verdict.SKIPPED:
            talks.setdefault(ends_of(row), []).append(at)
    assert (done, len(totals)) == (len(headers), len(talks))
    for total, (key, mine) in zip(totals, talks.items(), strict=True):
        verdicts = [int(outcomes[headers[at, Field.INDEX] - first, Outcome.VERDICT]) for at in mine]
        begin = headers[mine[0]]
        assert [total[column] for column in (Total.ACCEPTED, Total.DROPPED, Total.UNSENT)] == [verdicts.count(one) for one in VERDICTS[:3]]
        assert [total[column] for column in (Total.INDEX, Total.TIME_NS, Total.PROTOCOL, Total.FAMILY)] == [
            begin[column] for column in (Field.INDEX, Field.TIME_NS, Field.PROTOCOL, Field.FAMILY)
        ]
        assert total[Total.SOURCE_HI : Total.DESTINATION_LO + 1].tolist() == begin[ENDS].tolist()
        assert total[Total.SEEN_SOURCE_HI : Total.SEEN_DESTINATION_LO + 1].tolist() == seen[mine[0], ENDS].tolist()
        assert {total[Total.SOURCE_PORT], total[Total.DESTINATION_PORT]} == {key[1][2], key[2][2]}
        for column, verdict in ((Total.DROP, Verdict.DROP), (Total.HOLD, Verdict.UNSENT)):
            kept = examples[total[column] - 1].tolist() if total[column] else None
            at = next((at for at, one in zip(mine, verdicts, strict=True) if one == verdict), None)
            assert kept == (None if at is None else [*headers[at], *outcomes[headers[at, Field.INDEX] - first]])
    assert int(sums[Sum.EXAMPLES, 0]) == sum(int(total[column] != 0) for total in totals for column in (Total.DROP, Total.HOLD))
    for verdict in VERDICTS:
        assert sums[Sum.VERDICTS + verdict, 0] == (outcomes[:, Outcome.VERDICT] == verdict).sum()
    for reason in (Reason.EMU_ARP, Reason.EMU_FABRIC):
        skipped = (outcomes[:, Outcome.VERDICT] == Verdict.SKIPPED) & (outcomes[:, Outcome.REASON] == reason)
        assert sums[Sum.REASONS + reason, 0] == skipped.sum()


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        pytest.param({"conversations": 1}, 1, id="one conversation"),
        pytest.param({"conversations": 8}, 8, id="eight conversations"),
        pytest.param({"kept": 1}, 1, id="one example"),
        pytest.param({"kept": 8}, 8, id="eight examples"),
        pytest.param({"places": 16}, 8, id="an index that is half full"),
    ],
)
def test_it_stops_before_a_table_is_too_small(sizes, counts):
    """Tables are filled to their last row, the index by half, and the packet that has no room is not counted."""
    headers, seen, outcomes, first = drawn(9)
    headers[:, ENDS] = np.arange(4 * len(headers)).reshape(-1, 4)  # nobody talks twice
    outcomes[:, Outcome.VERDICT] = Verdict.DROP
    done, totals, _, sums = counted(headers, seen, outcomes, first, **sizes)
    assert (done, len(totals), int(sums[Sum.EXAMPLES, 0])) == (counts, counts, counts)
    assert (totals[:, Total.DROP] == np.arange(1, counts + 1)).all()
