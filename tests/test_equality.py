"""However a replay is driven, it says the same: compiled, interpreted, step by step, in any window, by any number of engines."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import emulator.replay as replay_module
from emulator.bulk import running as running_module
from emulator.bulk import windows as windows_module
from emulator.bulk.shares import obstacle
from emulator.datapath.state import Count
from emulator.engine import Engine
from emulator.importers.capture import topology_from_capture
from emulator.model.entities import Fault, Link, Policy
from emulator.model.files import load
from emulator.replay import replay
from tests.benchmarks.traffic import Mix, topology, write
from tests.bulk.ways import Way, threads, told
from tests.golden.test_golden import CASES

CAPTURES = Path(__file__).parent / "captures"
WAITING = "packets wait for each other on the link i-host-0 – i-host-1"
MIX = Mix(packets=1_500, instances=12, groups=6, seconds=20.0, blocked=0.2, outside=0.3, v6=0.3)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    """A network and a capture made for it."""
    path = tmp_path_factory.mktemp("traffic") / "made.pcap"
    write(path, MIX)
    return topology(MIX), path


def _name(capture):
    return getattr(capture, "name", capture)


@pytest.fixture(params=["web-server.pcap", "web-server-inside.pcapng", "app-and-sql-server.pcap", "ipv6.pcap", *CASES, "made"], ids=_name)
def case(request, traffic):
    """Each capture that the project carries, with its topology or a first one for it, and the made one."""
    if request.param == "made":
        return traffic
    if request.param in CASES:
        return load(request.param / "topology.yaml"), request.param / "capture.pcap"
    return topology_from_capture(CAPTURES / request.param)[0], CAPTURES / request.param


@pytest.mark.parametrize("open_loop", [False, True], ids=["causal", "open loop"])
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(Way(compiled=True), id="compiled"),
        pytest.param(Way(window=7), id="small windows"),
        pytest.param(Way(steps=1), id="event by event"),
        pytest.param(Way(jobs=2), id="two engines"),
        pytest.param(Way(jobs=3, window=50), id="three engines, small windows"),
        pytest.param(Way(jobs=2, compiled=True), id="two compiled engines"),
        pytest.param(Way(jobs=4, crew=threads), id="four shares on an executor"),
    ],
)
def test_every_way_to_run_says_the_same(case, tmp_path, open_loop, way):
    """The lines of all packets, the sums and the conversations are those of one interpreted engine, byte for byte."""
    assert way.told(*case, tmp_path, open_loop) == Way().told(*case, tmp_path, open_loop)


def test_steps_of_any_size_give_one_outcome(traffic):
    """Running event by event, or seven at a time, ends with the state of a run in one go."""
    network, path = traffic
    windows = list(windows_module.Reader([path], {}, False).windows())
    headers = windows[0].headers[:500]
    states = []
    for limit in (2**62, 1, 7):
        engine = Engine(network, compiled=False)
        engine.make_room(len(headers))
        engine.packets = len(headers)
        while True:
            code = engine._advance(headers, 2**62, limit)
            if not code:
                break
        states.append(engine.snapshot())
    for state in states[1:]:
        steps = int(states[0].counts[Count.STEPS, 0])
        assert np.array_equal(state.journal[:steps], states[0].journal[:steps])
        assert np.array_equal(state.outcomes, states[0].outcomes)


def test_more_packets_than_are_kept_are_told_by_a_second_run(traffic, tmp_path, monkeypatch):
    """A replay that keeps nothing gives the same packets and steps as one that keeps all."""
    network, path = traffic
    kept = replay(network, path, compiled=False)
    monkeypatch.setattr(replay_module, "KEPT", 500)
    monkeypatch.setattr(running_module, "KEPT", 500)
    monkeypatch.setattr(windows_module, "WINDOW", 200)
    large = replay(network, path, compiled=False)
    assert large.kept is None
    assert list(large.packets) == list(kept.packets)
    for index in (0, 1, 700, 1499):
        assert (large.packet(index), large.steps(index)) == (kept.packet(index), kept.steps(index))


def test_captures_are_merged_by_time(traffic, tmp_path):
    """Two halves of a capture, in any order, plain and packed, replay like the whole."""
    network, path = traffic
    data = path.read_bytes()
    records: dict[bytes, bytes] = {}
    at = 24
    while at < len(data):  # records of little-endian pcap
        end = at + 16 + int.from_bytes(data[at + 8 : at + 12], "little")
        # Of two packets of one instant in two captures nobody knows which came first, so each instant has one packet here.
        records.setdefault(data[at : at + 8], data[at:end])
        at = end
    parts, made = [bytearray(data[:24]), bytearray(data[:24])], bytearray(data[:24])
    for number, record in enumerate(records.values()):
        parts[number % 3 == 0] += record
        made += record
    (tmp_path / "whole.pcap").write_bytes(made)
    (tmp_path / "one.pcap").write_bytes(parts[0])
    (tmp_path / "other.pcap.gz").write_bytes(gzip.compress(parts[1]))
    both = [tmp_path / "one.pcap", tmp_path / "other.pcap.gz"]
    expected = told(network, tmp_path / "whole.pcap", tmp_path, compiled=False)
    assert told(network, both, tmp_path, compiled=False) == told(network, both[::-1], tmp_path, compiled=False) == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({}, "", id="nothing does"),
        pytest.param({"latency_ns": 5, "loss_ppb": 9, "reorder_ns": 7}, "", id="nor does a link that treats each packet alike"),
        pytest.param({"rate_bps": 8000}, WAITING, id="a rate makes packets wait for each other"),
        pytest.param({"jitter_ns": 1000}, WAITING, id="with jitter none overtakes another"),
        pytest.param({"faults": (Fault(0, 10**9, latency_ns=5),)}, WAITING, id="nor when a delay ends"),
        pytest.param(
            {"max_entries": 10}, "the number of tracked connections is limited", id="a limited tracking table is one engine's work"
        ),
    ],
)
def test_what_makes_packets_depend_on_each_other_is_said(change, said):
    """Where packets of different hosts act on each other, the replay is one engine's, and says why."""
    links = (Link(("i-host-0", "i-host-1"), **change),) if "max_entries" not in change else ()
    policy = Policy(max_entries=change.get("max_entries"))
    assert obstacle(replace(topology(Mix(packets=1, instances=4, groups=2)), policy=policy, links=links)) == said
