"""What a run writes down keeps to the laws of tests/laws.py, whatever the network and the traffic."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from emulator.bulk.windows import Reader
from emulator.engine import Engine
from emulator.model.files import load
from emulator.wire.headers import Field
from tests.bulk import drawn
from tests.datapath.worlds import traffic, worlds
from tests.golden.test_golden import CASES
from tests.laws import broken


def rows_of(path):
    """All header rows of a small capture."""
    reader = Reader([path], {}, False)
    try:
        return np.concatenate([window.headers.copy() for window in reader.windows()])
    finally:
        reader.close()


def ran(network, rows, causal):
    """The engine after a run with all that it writes down."""
    engine = Engine(network, compiled=False)
    engine.keep_sightings(merge=False)
    engine.causal = causal
    engine.begin(int(rows[0, Field.TIME_NS]))
    engine.feed(rows)
    engine.advance()
    return engine


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "open loop"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_of_golden_cases(case, causal):
    """Each golden case, with and without causes."""
    assert broken(ran(load(case / "topology.yaml"), rows_of(case / "capture.pcap"), causal)) == []


@pytest.mark.parametrize("seed", range(12))
def test_of_drawn_networks(seed, tmp_path):
    """Networks with everything that can stand between two hosts."""
    drawn.write(tmp_path / "drawn.pcap", drawn.frames(seed))
    network = replace(drawn.network(seed), schedule=())
    assert broken(ran(network, rows_of(tmp_path / "drawn.pcap"), causal=seed % 3 > 0)) == []


@settings(max_examples=30, deadline=None)
@given(worlds(), traffic())
def test_of_small_worlds(world, rows):
    """Small networks with random settings, and flows whose gaps lie around the timeouts."""
    assert broken(ran(world.topology(), rows, causal=True)) == []
