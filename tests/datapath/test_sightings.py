"""Rows of what interfaces saw: those that a flow log tells alike become one."""

from collections import defaultdict

import numpy as np
import pytest

from emulator.datapath.sightings import SHOWN, Sighting, merged

SECOND = 10**9
FLOW = [Sighting.PLACE, Sighting.DIRECTION, Sighting.ACTION, *range(Sighting.FAMILY, Sighting.FLAGS)]


@pytest.mark.parametrize("seed", range(3))
def test_merged_is_a_count_by_hand(seed):
    """A row for each flow in each second, in the order of the first packets; what is merged twice is what is merged once."""
    dice = np.random.default_rng(seed)
    rows = dice.integers(0, 3, (400, len(Sighting)))
    rows[:, FLOW] = np.eye(len(FLOW), dtype=np.int64)[dice.integers(0, len(FLOW), len(rows))]  # flows differ in two columns
    rows[:, Sighting.TIME_NS] = np.sort(dice.integers(0, 3 * SECOND, len(rows)))
    rows[:, Sighting.LAST_NS] = rows[:, Sighting.TIME_NS]
    rows[:, Sighting.FLAGS] = 1 << dice.integers(0, SHOWN + 1, len(rows))
    rows[:, Sighting.PACKETS] = 1
    flows = defaultdict(list)
    for row in rows.tolist():
        flows[row[Sighting.TIME_NS] // SECOND, *(row[column] for column in FLOW)].append(row)
    expected = []
    for each in flows.values():
        first = each[0].copy()
        first[Sighting.PACKETS] = len(each)
        first[Sighting.LENGTH] = sum(row[Sighting.LENGTH] for row in each)
        first[Sighting.LAST_NS] = each[-1][Sighting.TIME_NS]
        first[Sighting.FLAGS] = sum({row[Sighting.FLAGS] for row in each})
        expected.append(first)
    assert len(expected) == 3 * len(FLOW)
    assert merged(rows, SECOND).tolist() == expected
    half = np.concatenate((merged(rows[:200], SECOND), rows[200:]))
    assert merged(half, SECOND).tolist() == expected
    assert merged(half).tolist() == merged(rows).tolist()
    assert merged(rows[:0], SECOND).tolist() == []
