"""Ctrl-C in a long replay: it ends after the window at hand, and says what it had done."""

import os
import re
import signal

import pytest

from emulator.bulk import running, windows
from emulator.model.files import save
from emulator.observe.flows import Tally
from tests.benchmarks.traffic import Mix, topology, write

MIX = Mix(packets=1_000, instances=6, groups=3, groups_an_instance=2, seconds=10.0)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A network and a capture as files; windows are small."""
    monkeypatch.setattr(windows, "WINDOW", 100)
    monkeypatch.setattr(running, "KEPT_BYTES", 0)
    save(topology(MIX), tmp_path / "network.yaml")
    write(tmp_path / "made.pcap", MIX)
    return tmp_path / "network.yaml", tmp_path / "made.pcap"


@pytest.fixture
def ctrl_c(monkeypatch):
    """Presses Ctrl-C whenever packets are counted."""
    count = Tally.add

    def add(*arguments):
        count(*arguments)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Tally, "add", add)


def test_what_was_done_until_then_is_told_and_the_exit_code_is_130(made, ctrl_c, vpcemu, tmp_path):
    """The packets read so far are counted and written, and nothing pretends that the capture was read to its end."""
    lines = tmp_path / "packets.jsonl"
    ran = vpcemu("replay", *made, "--packets", lines)
    assert ran.code == 130
    told = re.search(r"interrupted after (\d+) packets, (\d+) % of the capture; what follows is about these", ran.err)
    assert told is not None
    packets = int(told[1])
    assert 0 < packets < MIX.packets
    assert len(lines.read_text().splitlines()) == packets
    assert f"{packets} packets in " in ran.out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_ends_at_once_and_leaves_no_file(made, vpcemu, tmp_path, monkeypatch):
    """Who presses it twice wants no more; a file that is not whole is not there."""
    count = Tally.add

    def add(*arguments):
        count(*arguments)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Tally, "add", add)
    assert vpcemu("replay", *made, "--packets", tmp_path / "packets.jsonl").code == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.pcap", "network.yaml"]
