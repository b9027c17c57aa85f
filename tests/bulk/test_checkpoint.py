"""A replay that was interrupted and gone on with gives the bytes of one that was not."""

import json
import random
import shutil

import pytest

from emulator import load
from emulator.bulk import checkpoint as checkpoints
from emulator.bulk import running, windows
from emulator.bulk.checkpoint import Checkpoint
from emulator.errors import CaptureError, UsageError
from emulator.model.files import loads, save
from emulator.replay import replay
from tests.benchmarks.traffic import Mix, topology, write
from tests.bulk.test_plan import LAB
from tests.bulk.test_plan import capture as queries
from tests.conftest import ROOT
from tests.kills import Kills

GOLDEN = ROOT / "tests" / "golden"
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if (folder / "capture.pcap").is_file())


class Killed(BaseException):
    """Stands for a kill: nothing in the program catches it."""


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Windows of a few packets, of which nothing is kept, and a checkpoint after each."""
    monkeypatch.setattr(windows, "WINDOW", 4)
    for module in (running, __import__("emulator.replay", fromlist=["replay"])):
        monkeypatch.setattr(module, "KEPT", 2)
    monkeypatch.setattr(running, "KEPT_BYTES", 0)
    monkeypatch.setattr(checkpoints, "_SHARE", 0)
    monkeypatch.setenv("VPCEMU_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def killed_after(monkeypatch):
    """Has the process die while it works on the window behind the checkpoint with this number."""
    real = Checkpoint.at_rest

    def set_up(number):
        made = 0

        def at_rest(self, position):
            nonlocal made
            if made == number:
                raise Killed
            made += 1
            real(self, position)

        monkeypatch.setattr(Checkpoint, "at_rest", at_rest)

    yield set_up
    monkeypatch.setattr(Checkpoint, "at_rest", real)


def _results(network, capture, output, **options):
    done = replay(network, capture, packets=output, compiled=False, **options)
    logs = []
    if options.get("flow_logs"):
        done.save_flow_logs(output.with_suffix(".log"))
        logs = output.with_suffix(".log").read_text().splitlines()
    return output.read_bytes(), json.dumps(done.to_json()), logs


def dies_everywhere(network, capture, tmp_path, killed_after, **options):
    """Let a replay die behind some of its checkpoints, one in each run, and compare what is gone on with."""
    right = _results(network, capture, tmp_path / "right.jsonl", **options)
    output, checkpoint = tmp_path / "out.jsonl", tmp_path / "k"
    for number in (1, 2, 3, 5, 8, 13, 21):
        killed_after(number)
        try:
            found = _results(network, capture, output, checkpoint=checkpoint, resume=True, checkpoint_s=0, **options)
        except Killed:
            assert not output.exists()
            killed_after(1000)
            found = _results(network, capture, output, checkpoint=checkpoint, resume=True, checkpoint_s=0, **options)
            assert found == right
            output.unlink()
            continue
        assert found == right
        break
    assert number > 1
    assert list(tmp_path.glob(".*")) == []
    assert not checkpoint.exists()


@pytest.mark.parametrize("options", [{}, {"open_loop": True}, {"flow_logs": True}], ids=["causal", "open loop", "with flow logs"])
@pytest.mark.parametrize("case", CASES)
def test_going_on_gives_the_same_bytes(case, options, tmp_path, killed_after):
    """Wherever a replay dies, going on gives the lines, the conversations and the flow logs of one that lived."""
    network, capture = load(GOLDEN / case / "topology.yaml"), GOLDEN / case / "capture.pcap"
    dies_everywhere(network, capture, tmp_path, killed_after, **options)


def test_edits_that_were_made_before(tmp_path, killed_after):
    """What the topology's plan had changed is changed for whoever goes on, and told of in the words of its time."""
    network = loads(LAB + "  - {at: 20s, action: authorize_egress, on: dns, arguments: [udp/53, 10.0.1.10/32]}\n", "planned.yaml")
    dies_everywhere(network, queries(tmp_path / "x.pcap", *range(30)), tmp_path, killed_after)


@pytest.mark.parametrize("jobs", [1, 3])
def test_again_and_again(jobs, tmp_path, killed_after, monkeypatch):
    """A replay that dies after every few windows, also of several captures and shared by several cores, comes to the same end."""
    monkeypatch.setattr(windows, "WINDOW", 64)
    captures = []
    for seed in (1, 2):
        captures.append(tmp_path / f"{seed}.pcap")
        write(captures[-1], Mix(packets=600, instances=10, groups=4, seed=seed))
    network = topology(Mix(packets=600, instances=10, groups=4))
    right = _results(network, captures, tmp_path / "right.jsonl", jobs=jobs)
    killed_after(3)
    for _ in range(20):
        try:
            found = _results(network, captures, tmp_path / "out.jsonl", checkpoint=tmp_path / "k", resume=True, checkpoint_s=0, jobs=jobs)
        except Killed:
            killed_after(3)
            continue
        break
    assert found == right


def test_real_kills(tmp_path):
    """A process that is killed at any moment leaves the old output or the whole new one, and what goes on writes the same bytes."""
    kills = Kills(tmp_path, 1_500, small=True)
    chance = random.Random(0)
    assert [kills.once(chance.uniform(0, 1) * kills.seconds)[1] for _ in range(3)] == [True] * 3


@pytest.fixture
def died(tmp_path, killed_after):
    """The checkpoint of a replay that died half-way, with what it was made of."""
    shutil.copy(GOLDEN / "web-server" / "capture.pcap", tmp_path / "c.pcap")
    made_of = {"topology": load(GOLDEN / "web-server" / "topology.yaml"), "capture": tmp_path / "c.pcap", "packets": tmp_path / "o.jsonl"}
    killed_after(3)
    with pytest.raises(Killed):
        replay(**made_of, compiled=False, checkpoint=tmp_path / "k", checkpoint_s=0)
    killed_after(1000)
    return made_of


CHANGED = {
    "another network": (lambda made: made | {"topology": load(GOLDEN / "icmp" / "topology.yaml")}, "was made with another network"),
    "another map": (lambda made: made | {"map": {"10.9.9.9": "internet"}}, "was made with another --map"),
    "open loop": (lambda made: made | {"open_loop": True}, "was made with another --open-loop"),
    "flow logs": (lambda made: made | {"flow_logs": True}, "was made with another --flow-logs"),
    "another output": (lambda made: made | {"packets": made["packets"].with_name("p.jsonl")}, "was made with another --packets"),
    "more captures": (lambda made: made | {"capture": [made["capture"]] * 2}, "was made with another capture"),
}


@pytest.mark.parametrize("case", CHANGED, ids=list(CHANGED))
def test_what_it_was_made_of_must_be_the_same(case, died, tmp_path):
    """A checkpoint of something else is refused in one line that says what differs."""
    change, words = CHANGED[case]
    with pytest.raises(UsageError, match=words):
        replay(**change(died), compiled=False, checkpoint=tmp_path / "k", resume=True)


def test_a_capture_changed_in_between(died, tmp_path):
    """A capture of the same length with another packet among those that were read is refused."""
    data = bytearray(died["capture"].read_bytes())
    data[24 + 16 + 14 + 12] ^= 1  # the first packet's source address
    died["capture"].write_bytes(data)
    with pytest.raises(CaptureError, match="has changed since the checkpoint was made"):
        replay(**died, compiled=False, checkpoint=tmp_path / "k", resume=True)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda data: b"", "is no checkpoint of this version"),
        (lambda data: b"GIF89a" + data, "is no checkpoint of this version"),
        (lambda data: data.replace(b"checkpoint 1", b"checkpoint 0"), "is no checkpoint of this version"),
        (lambda data: data[:-1], "is damaged"),
        (lambda data: data[:30], "is damaged"),
        (lambda data: data[:20], "is damaged"),
        (lambda data: data + b"\0", "is damaged"),
        (lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:], "is damaged"),
    ],
    ids=["empty", "another file", "another version", "cut", "cut in its words", "cut behind the magic", "longer", "one bit"],
)
def test_a_damaged_checkpoint(harm, words, died, tmp_path):
    """What is no checkpoint of one's own, or not whole, is refused before anything is made of it."""
    path = tmp_path / "k"
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(CaptureError, match=words):
        replay(**died, compiled=False, checkpoint=path, resume=True)


def test_somebody_elses_checkpoint(died, tmp_path, monkeypatch):
    """A checkpoint that was sealed with another user's key is refused: its numbers would go unchecked into machine code."""
    monkeypatch.setenv("VPCEMU_CACHE", str(tmp_path / "another"))
    with pytest.raises(CaptureError, match="made by another user"):
        replay(**died, compiled=False, checkpoint=tmp_path / "k", resume=True)


def test_an_output_that_is_gone(died, tmp_path):
    """Where the growing output is gone, the replay begins anew, and says so."""
    right = _results(died["topology"], died["capture"], tmp_path / "right.jsonl")[0]
    (part,) = tmp_path.glob(".*.part")
    part.unlink()
    done = replay(**died, compiled=False, checkpoint=tmp_path / "k", resume=True)
    assert "begins anew" in done.troubles[0]
    assert died["packets"].read_bytes() == right


def test_a_checkpoint_that_nobody_asked_to_go_on_from(died, tmp_path):
    """A checkpoint that is there is not overwritten without being told."""
    with pytest.raises(UsageError, match="go on from it with --resume, or delete it"):
        replay(**died, compiled=False, checkpoint=tmp_path / "k")


def test_the_command(vpcemu, tmp_path):
    """``--resume`` without a checkpoint begins and says so; without its file's name it is bad input; so is standard input."""
    network, capture = tmp_path / "n.yaml", GOLDEN / "icmp" / "capture.pcap"
    save(load(GOLDEN / "icmp" / "topology.yaml"), network)
    ran = vpcemu("replay", network, capture, "--checkpoint", tmp_path / "k", "--resume")
    assert (ran.code, ran.err.splitlines()[0]) == (0, f"{tmp_path / 'k'}: no checkpoint yet; the replay begins")
    assert vpcemu("replay", network, capture, "--resume") == (2, "", "--resume goes on from a checkpoint; name it with --checkpoint FILE\n")
    ran = vpcemu("replay", network, "-", "--checkpoint", tmp_path / "k")
    assert (ran.code, ran.err) == (2, "--checkpoint: standard input cannot be read again; name a file\n")
    ran = vpcemu("replay", network, capture, "--checkpoint", tmp_path / "k", "--packets", "/dev/null")
    assert (ran.code, "is no regular file" in ran.err, (tmp_path / "k").exists()) == (2, True, False)
