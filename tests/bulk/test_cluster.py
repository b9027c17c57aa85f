"""Shares of a capture on executors: the bytes of one engine, whoever runs them, and whoever dies meanwhile."""

import os
import signal
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest

from emulator.errors import CaptureError, UsageError
from emulator.model.groups import SecurityGroup
from emulator.observe.flows import Tally
from emulator.replay import replay, replay_each
from tests.benchmarks.traffic import Mix, topology, write

CAPTURES = Path(__file__).parent.parent / "captures"
MIX = Mix(packets=3_000, instances=12, groups=6, seconds=20.0, blocked=0.2, outside=0.3, v6=0.3)


@contextmanager
def threads():
    """Two threads of this process."""
    with ThreadPoolExecutor(2) as executor:
        yield executor


@contextmanager
def processes():
    """Two processes of this machine."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor


@contextmanager
def dask():
    """A dask cluster of two worker processes."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
        client.get_executor() as executor,
    ):
        yield executor


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    """A network and a capture made for it."""
    path = tmp_path_factory.mktemp("traffic") / "made.pcap"
    write(path, MIX)
    return topology(MIX), path


def told(network, capture, folder, **options):
    """What a replay says: the lines of its packets, its sums and its conversations."""
    lines = folder / "packets.jsonl"
    result = replay(network, capture, packets=lines, compiled=False, **options)
    assert [path.name for path in folder.iterdir()] == ["packets.jsonl"]
    return lines.read_bytes(), result.to_json()


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
    local = told(network, capture, tmp_path)
    with crew() as executor:
        assert told(network, capture, tmp_path, jobs=3, executor=executor) == local


@pytest.mark.parametrize("crew", [processes, dask], ids=lambda crew: crew.__name__)
def test_a_worker_that_is_killed_loses_nothing(traffic, tmp_path, crew):
    """When a worker dies in the middle, its share is done again, and the result is the same."""
    network, capture = traffic
    folder = tmp_path / "out"
    folder.mkdir()
    local = told(network, capture, folder)
    with crew() as executor:
        assert told(network, capture, folder, jobs=2, executor=Deadly(executor, tmp_path / "died")) == local
    assert (tmp_path / "died").exists()


@pytest.mark.parametrize("name", ["web-server.pcap", "web-server-inside.pcapng", "app-and-sql-server.pcap", "ipv6.pcap"])
@pytest.mark.parametrize("open_loop", [False, True], ids=["causal", "open loop"])
def test_every_capture_of_the_project_is_the_same_in_shares(name, open_loop, tmp_path):
    """The captures that the project carries, with the topology that `init` makes of them, in four shares."""
    from emulator.importers.capture import topology_from_capture

    network, _ = topology_from_capture(CAPTURES / name)
    local = told(network, CAPTURES / name, tmp_path, open_loop=open_loop)
    with threads() as executor:
        assert told(network, CAPTURES / name, tmp_path, open_loop=open_loop, jobs=4, executor=executor) == local


def test_windows_of_any_size_merge_into_the_same_lines(traffic, tmp_path, monkeypatch):
    """Shares are put together window by window, and a packet of one is looked up by a second run."""
    from emulator.bulk import windows

    network, capture = traffic
    local = told(network, capture, tmp_path)
    monkeypatch.setattr(windows, "WINDOW", 50)
    with threads() as executor:
        assert told(network, capture, tmp_path, jobs=3, executor=executor) == local
        result = replay(network, capture, jobs=3, executor=executor, compiled=False)
    assert result.packet(1234) == replay(network, capture, compiled=False).packet(1234)


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
