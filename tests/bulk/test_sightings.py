"""What interfaces saw: rows that a flow log tells alike become one while the run goes on, and no flow log can tell."""

from collections import defaultdict

import numpy as np
import pytest

from emulator.bulk.running import Run, Running
from emulator.datapath.sightings import SHOWN, Sighting, merged
from emulator.datapath.spawn import SPARE
from emulator.datapath.state import Count
from emulator.observe.flowlogfiles import lines
from emulator.observe.flowlogs import OWN_FIELDS, VERSION, FlowLog
from tests.bulk import drawn

SECOND = 10**9
FIELDS = (*VERSION, *OWN_FIELDS)
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


@pytest.mark.parametrize("seed", range(6))
def test_no_flow_log_can_tell(seed, tmp_path, monkeypatch):
    """On drawn networks every field of every row stays, whenever windows begin, and less is kept."""
    network, capture = drawn.network(seed), tmp_path / "drawn.pcap"
    drawn.write(capture, drawn.frames(seed, conversations=100))
    told, kept = [], []
    for merged_from in (0, 2**62):
        monkeypatch.setattr("emulator.engine.MERGED_FROM", merged_from)
        with Running(Run(network, (capture,), {}, compiled=False, flow_logs=True)) as running:
            engine = running.engine
            engine.state = engine.state._replace(sightings=engine.state.sightings[: 2 * SPARE])
            for _ in running.stretches():
                pass
        made = [FlowLog(FIELDS), FlowLog(FIELDS, 60, start_s=drawn.BEGIN_NS // SECOND + 7)]
        told.append([list(lines(log, log.rows(network, engine.ids, engine.state))) for log in made])
        kept.append(int(engine.state.counts[Count.SIGHTINGS, 0]))
    assert told[0] == told[1]
    assert kept[0] < kept[1]
