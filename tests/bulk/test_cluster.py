"""Shares of a capture on executors: the bytes of one engine, whoever runs them, and whoever dies meanwhile."""

import os
import signal
from concurrent.futures import Executor
from ipaddress import ip_address
from pathlib import Path
from struct import pack

import pytest

from emulator.errors import CaptureError, UsageError
from emulator.model.groups import SecurityGroup
from emulator.observe.flows import Tally
from emulator.replay import replay, replay_each
from emulator.wire.craft import datagram, icmp_error
from emulator.wire.headers import UDP
from tests.benchmarks.traffic import Mix, addresses, topology, write
from tests.bulk import drawn
from tests.bulk.ways import dask, processes, threads, told

CAPTURES = Path(__file__).parent.parent / "captures"
MIX = Mix(packets=1_000, instances=12, groups=6, seconds=20.0, blocked=0.2, outside=0.3, v6=0.3)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    """A network and a capture made for it."""
    path = tmp_path_factory.mktemp("traffic") / "made.pcap"
    write(path, MIX)
    return topology(MIX), path


class Deadly(Executor):
    """An executor whose first task kills its worker in the middle of its work."""

    def __init__(self, executor, flag):
        self._executor, self._flag = executor, flag

    def submit(self, work, *task):
        """Hand the task on."""
        return self._executor.submit(die_once, self._flag, work, *task)


def die_once(flag, work, *task):
    """Do a task; whoever comes first dies when the first packets are counted."""
    try:
        flag.open("x").close()
    except FileExistsError:
        return work(*task)
    count = Tally.add

    def last_words(*arguments):
        count(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    Tally.add = last_words
    return work(*task)


@pytest.mark.parametrize("crew", [threads, processes, dask], ids=lambda crew: crew.__name__)
def test_shares_elsewhere_say_what_one_engine_says(traffic, tmp_path, crew):
    """Lines, sums and conversations are those of a local run, byte for byte; nothing else is left in the folder."""
    network, capture = traffic
    local = told(network, capture, tmp_path, compiled=False)
    with crew() as executor:
        assert told(network, capture, tmp_path, compiled=False, jobs=3, executor=executor) == local


@pytest.mark.parametrize("crew", [processes, dask], ids=lambda crew: crew.__name__)
def test_a_worker_that_is_killed_loses_nothing(traffic, tmp_path, crew):
    """When a worker dies in the middle, its share is done again, and the result is the same."""
    network, capture = traffic
    folder = tmp_path / "out"
    folder.mkdir()
    local = told(network, capture, folder, compiled=False)
    with crew() as executor:
        assert told(network, capture, folder, compiled=False, jobs=2, executor=Deadly(executor, tmp_path / "died")) == local
    assert (tmp_path / "died").exists()


def test_windows_of_any_size_merge_into_the_same_lines(traffic, tmp_path, monkeypatch):
    """Shares are put together window by window, and a packet of one is looked up by a second run."""
    from emulator.bulk import windows

    network, capture = traffic
    local = told(network, capture, tmp_path, compiled=False)
    monkeypatch.setattr(windows, "WINDOW", 50)
    with threads() as executor:
        assert told(network, capture, tmp_path, compiled=False, jobs=3, executor=executor) == local
        result = replay(network, capture, jobs=3, executor=executor, compiled=False)
    assert result.packet(617) == replay(network, capture, compiled=False).packet(617)


def test_errors_about_many_others_are_one_conversation(traffic, tmp_path):
    """What a router says to a host about several others is counted in several shares, and is one flow in the end."""
    router, host, *others = map(ip_address, ("192.0.2.1", *(addresses(instance)[0] for instance in range(8))))
    lost = [datagram(host, other, UDP, pack(">HHHH", 40_000, 9, 8, 0), 64) for other in others]
    told_host = [icmp_error(router, host, too_big=False, mtu=0, quoted=packet, ttl=64) for packet in lost]
    capture = tmp_path / "errors.pcap"
    drawn.write(capture, [(number, packet, len(packet)) for number, packet in enumerate([*lost, *told_host, *told_host])])
    with threads() as executor:
        shared = told(traffic[0], capture, tmp_path, compiled=False, open_loop=True, jobs=4, executor=executor)
    assert shared == told(traffic[0], capture, tmp_path, compiled=False, open_loop=True)
    assert [flow["packets"] for flow in shared.flows if flow["protocol"] == "icmp"] == [14]


def test_many_captures_are_replayed_each_for_itself(traffic):
    """`replay_each` gives for each capture what `replay` gives for it."""
    network, capture = traffic
    captures = [capture, CAPTURES / "web-server.pcap", capture]
    with threads() as executor:
        results = replay_each(network, captures, executor)
    assert [result.to_json() for result in results] == [replay(network, one).to_json() for one in captures]


@pytest.mark.parametrize(
    ("options", "captures", "trouble"),
    [
        pytest.param({}, "-", "standard input is read by one process alone", id="standard input"),
        pytest.param({"flow_logs": True}, "made", "flow logs, and packets as they come, are kept by one engine", id="flow logs"),
        pytest.param({"follow": print}, "made", "flow logs, and packets as they come, are kept by one engine", id="a follower"),
    ],
)
def test_what_one_process_alone_can_do_is_refused(traffic, options, captures, trouble):
    """A clear line says what does not go with an executor."""
    network, made = traffic
    with threads() as executor, pytest.raises(UsageError, match=trouble):
        replay(network, made if captures == "made" else captures, executor=executor, **options)


def test_a_task_s_own_error_is_told_and_not_tried_again(traffic, tmp_path):
    """What is no capture is no capture on any worker."""
    with threads() as executor, pytest.raises(CaptureError, match="no such file"):
        replay(traffic[0], tmp_path / "nothing.pcap", executor=executor, jobs=2)


def test_a_network_that_cannot_be_shared_is_run_by_one(traffic, tmp_path):
    """A limit on tracked connections is kept by one engine, and the replay says so."""
    network, capture = traffic
    limited = network.replace(policy=network.policy.__class__(max_entries=10))
    assert limited.all(SecurityGroup)
    with threads() as executor:
        result = replay(limited, capture, executor=executor, jobs=2, compiled=False)
    assert any("replayed by one core: the number of tracked connections is limited" in trouble for trouble in result.troubles)
    assert result.to_json() == replay(limited, capture, compiled=False).to_json()
