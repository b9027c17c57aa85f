"""What interfaces saw: rows that a flow log tells alike become one while the run goes on, and no flow log can tell."""

import pytest

from emulator.bulk.running import Run, Running
from emulator.datapath.spawn import SPARE
from emulator.datapath.state import Count
from emulator.observe.flowlogfiles import lines
from emulator.observe.flowlogs import OWN_FIELDS, VERSION, FlowLog
from tests.bulk import drawn

SECOND = 10**9
FIELDS = (*VERSION, *OWN_FIELDS)


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
