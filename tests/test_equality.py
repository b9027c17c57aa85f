"""However a replay is driven, it says the same: compiled, interpreted, step by step, in any window, by any number of engines."""

import gzip
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
from emulator.kernels import available
from emulator.replay import replay
from tests.benchmarks.traffic import Mix, topology, write

CAPTURES = Path(__file__).parent / "captures"
MIX = Mix(packets=6_000, instances=12, groups=6, seconds=20.0, blocked=0.2, outside=0.3, v6=0.3)


def lines(topology, captures, folder, **options):
    """What a replay says of each packet, and its sums and conversations."""
    path = folder / "packets.jsonl"
    result = replay(topology, captures, packets=path, **options)
    return path.read_bytes(), result.counts, result.skipped, [flow.to_json() for flow in result.flows]


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    """A network and a capture made for it."""
    path = tmp_path_factory.mktemp("traffic") / "made.pcap"
    write(path, MIX)
    return topology(MIX), path


@pytest.fixture(params=["web-server.pcap", "web-server-inside.pcapng", "app-and-sql-server.pcap", "ipv6.pcap", "made"])
def case(request, traffic):
    """Each capture that the project carries with a first topology for it, and the made one."""
    if request.param == "made":
        return traffic
    return topology_from_capture(CAPTURES / request.param)[0], CAPTURES / request.param


@pytest.mark.parametrize("open_loop", [False, True], ids=["causal", "open loop"])
@pytest.mark.parametrize(
    "options",
    [{"compiled": True}, {"window": 7}, {"jobs": 2}, {"jobs": 3, "window": 50}, {"compiled": True, "jobs": 2}],
    ids=["compiled", "small windows", "two engines", "three engines, small windows", "two compiled engines"],
)
def test_every_way_to_run_says_the_same(case, tmp_path, monkeypatch, open_loop, options):
    """The lines of all packets, the sums and the conversations are those of one interpreted engine, byte for byte."""
    if options.get("compiled") and not available():
        pytest.skip("nothing is compiled here")
    network, capture = case
    expected = lines(network, capture, tmp_path, compiled=False, open_loop=open_loop)
    monkeypatch.setattr(windows_module, "WINDOW", options.get("window", windows_module.WINDOW))
    if "jobs" in options:
        monkeypatch.setattr(running_module, "KEPT_BYTES", 0)
        assert not obstacle(network)
    seen = lines(network, capture, tmp_path, compiled=options.get("compiled", False), open_loop=open_loop, jobs=options.get("jobs", 1))
    assert seen == expected


def test_steps_of_any_size_give_one_outcome(traffic):
    """Running event by event, or seven at a time, ends with the state of a run in one go."""
    network, path = traffic
    windows = list(windows_module.Reader([path], {}, False).windows())
    headers = windows[0].headers[:1500]
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
    monkeypatch.setattr(replay_module, "KEPT", 1000)
    monkeypatch.setattr(running_module, "KEPT", 1000)
    monkeypatch.setattr(windows_module, "WINDOW", 500)
    large = replay(network, path, compiled=False)
    assert large.kept is None
    assert list(large.packets) == list(kept.packets)
    for index in (0, 1, 2500, 5999):
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
    expected = lines(network, tmp_path / "whole.pcap", tmp_path, compiled=False)
    assert lines(network, both, tmp_path, compiled=False) == lines(network, both[::-1], tmp_path, compiled=False) == expected


def test_what_makes_packets_depend_on_each_other_is_said():
    """A limited tracking table is one engine's work, and the replay says so."""
    network = topology(Mix(packets=1, instances=4, groups=2))
    assert obstacle(network) == ""
    limited = network.replace(policy=network.policy.__class__(max_entries=10))
    assert obstacle(limited) == "the number of tracked connections is limited"
