"""Short cuts: a flow's later packets take the way of its first ones, and nobody can tell but by the clock."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet import UDP as UDP_
from scapy.packet import Raw

from emulator.bulk.windows import Reader
from emulator.datapath import loop
from emulator.datapath.state import Count, Outcome
from emulator.engine import FOREVER, Engine
from emulator.importers.capture import topology_from_capture
from emulator.kernels import available
from emulator.model.entities import RouteTable
from emulator.policy.conntrack import Entry
from emulator.policy.reasons import Verdict
from emulator.wire.headers import UDP, Field
from emulator.wire.packet import Packet
from tests.base import APP1, DB, EXT, WEB, WEB_PUBLIC, base, group
from tests.benchmarks.traffic import Mix, topology, write
from tests.bulk import drawn

CAPTURES = Path(__file__).parents[1] / "captures"
MIX = Mix(packets=4_000, instances=10, groups=5, seconds=60.0, blocked=0.2, outside=0.3, v6=0.3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where captures are made."""
    return tmp_path_factory.mktemp("ways")


def made(folder):
    """The benchmark's traffic, over so long a time that entries die between packets."""
    write(folder / "made.pcap", MIX)
    return topology(MIX), folder / "made.pcap"


def drawn_by(seed):
    """A drawn network and its capture."""

    def case(folder):
        network, path = drawn.network(seed), folder / "drawn.pcap"
        drawn.write(path, drawn.frames(seed))
        return replace(network, schedule=()), path

    return case


def carried(name):
    """A capture that the project carries, and a first topology for it."""
    return lambda folder: (topology_from_capture(CAPTURES / name)[0], CAPTURES / name)


CASES = [
    pytest.param(made, id="made"),
    *(pytest.param(drawn_by(seed), id=f"seed {seed}") for seed in range(10)),
    *(pytest.param(carried(path.name), id=path.stem) for path in sorted(CAPTURES.glob("*.pcap*"))),
]


def rows_of(path):
    """All header rows of a small capture."""
    reader = Reader([path], {}, False)
    try:
        return np.concatenate([window.headers.copy() for window in reader.windows()])
    finally:
        reader.close()


def left(engine):
    """What a run left behind, but for steps and ways."""
    state, counts = engine.state, engine.state.counts
    return {
        "outcomes": state.outcomes[: engine.packets].tolist(),
        "entries": sorted(state.entries[state.entries[:, Entry.KEY] != 0].tolist()),
        "usage": state.usage.tolist(),
        "flows": state.flows[: counts[Count.FLOWS, 0]].tolist(),
        "births": state.births[: counts[Count.BORN, 0]].tolist(),
        "translations": state.translations[: counts[Count.TRANSLATIONS, 0]].tolist(),
        "counts": [int(counts[row, 0]) for row in (Count.LIVE, Count.NEXT_ENTRY, Count.NOW_NS, Count.HELD, Count.WAITING)],
    }


def both(network, rows, causal, edits=(), compiled=False):
    """What engines with and without a journal leave, which are fed rows in equal parts with an edit behind each."""
    states = []
    for journal in (True, False):
        engine = Engine(network, compiled=compiled, journal=journal)
        engine.causal = causal
        engine.begin(int(rows[0, Field.TIME_NS]))
        for part, edit in zip(np.array_split(rows, len(edits) + 1), [*edits, None], strict=True):
            engine.feed(part)
            if edit is not None:
                engine.edit(edit)
        engine.advance(FOREVER)
        states.append(left(engine))
    return states


@pytest.fixture
def taken(monkeypatch):
    """Counts the packets that take a short cut, and those that turn back at its begin."""
    counted = [0, 0]

    def takes(*arguments):
        went = real(*arguments)
        counted[0 if went else 1] += 1
        return went

    real = loop.takes
    monkeypatch.setattr(loop, "takes", takes)
    return counted


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "open loop"])
@pytest.mark.parametrize("case", CASES)
def test_short_cuts_change_nothing(case, causal, folder):
    """Outcomes, tracking entries, counters, conversations, births and translations are those of the whole way."""
    network, path = case(folder)
    whole, short = both(network, rows_of(path), causal)
    assert short == whole


@pytest.mark.skipif(not available(), reason="nothing is compiled here")
@pytest.mark.parametrize("case", [CASES[0]])
def test_short_cuts_change_nothing_in_machine_code(case, folder):
    """The compiled loop, which looks ahead as well, leaves the same."""
    network, path = case(folder)
    whole, short = both(network, rows_of(path), True, compiled=True)
    assert short == whole == both(network, rows_of(path), True)[0]


def test_most_packets_take_them(folder, taken):
    """Of traffic with some packets a flow most take a short cut; an entry that died makes a packet turn back."""
    network, path = made(folder)
    rows = rows_of(path)
    engine = Engine(network, compiled=False, journal=False)
    engine.feed(rows)
    assert taken[0] > len(rows) / 2
    assert taken[1] > 0


def test_ways_outlive_a_window(folder, taken):
    """A journal that is dropped once more, as a replay does before each window, takes no way with it."""
    network, path = made(folder)
    engine = Engine(network, compiled=False, journal=False)
    for part in np.array_split(rows_of(path), 40):
        engine.drop_journal()
        engine.feed(part)
    assert taken[0] > MIX.packets / 2


def test_an_entry_that_ends_at_this_very_time_is_gone_for_a_short_cut_too(folder, taken):
    """A packet that comes just when the entries of its flow run out (CT-28) opens new ones; one a nanosecond earlier does not."""
    network, path = made(folder)
    rows = rows_of(path)
    engine = Engine(network, compiled=False)
    engine.feed(rows)
    verdicts = engine.outcomes(0, len(rows))[rows[:, Field.INDEX]]
    tracked = (verdicts[:, Outcome.VERDICT] == Verdict.ACCEPT) & (verdicts[:, Outcome.TRACKED] == 1)
    request = rows[(rows[:, Field.PROTOCOL] == UDP) & tracked][0]
    for early, opened in ((1, 0), (0, 2)):
        asked = np.array([request] * 3)
        asked[:, Field.INDEX] = range(3)
        asked[:, Field.TIME_NS] = request[Field.TIME_NS] + np.array([0, 1, 1 + 30 * 10**9 - early])
        whole, short = both(network, asked, False)
        assert short == whole
        before, _ = both(network, asked[:2], False)
        assert whole["counts"][1] - before["counts"][1] == opened
    assert taken[0] > 0


def test_an_edit_makes_all_ways_unknown(folder, taken):
    """A route that is gone takes nothing out, whatever went out before; what comes back is learned anew."""
    network, path = made(folder)
    rows = rows_of(path)
    shut = network.replace(*(replace(table, routes=()) for table in network.all(RouteTable)))
    whole, short = both(network, rows, True, 10 * [shut, network])
    assert short == whole
    assert taken[0] > len(rows) / 3


def ping(size, ttl=64, ident=7):
    """A ping of so many bytes in all."""
    return IP(src=APP1, dst=DB, ttl=ttl) / ICMP(type=8, id=ident) / Raw(b"x" * (size - 28))


def question(size=28, ttl=64):
    """A datagram of so many bytes in all."""
    return IP(src=APP1, dst=DB, ttl=ttl) / UDP_(sport=40000, dport=53) / Raw(b"x" * (size - 28))


SECOND = 10**9
FOLLOWS = {  # the first packet, how long after it the next one comes, and whether that takes the way
    "the same again": (question(), 1, question(), True),
    "a longer datagram, which the card cuts": (question(), 1, question(1500), True),
    "a ping as long": (ping(100), 1, ping(100), True),
    "a shorter ping": (ping(100), 1, ping(99), True),
    "a longer ping, which may not fit": (ping(100), 1, ping(101), False),
    "another ping": (ping(100), 1, ping(100, ident=8), False),
    "with a hop left": (question(), 1, question(ttl=2), True),
    "with none left": (question(), 1, question(ttl=1), False),
    "while the entries live": (question(), 30 * SECOND - 1, question(), True),
    "when they are gone": (question(), 30 * SECOND, question(), False),
    "something else": (question(), 1, IP(src=APP1, dst=DB) / UDP_(sport=40001, dport=53), False),
}


@pytest.mark.parametrize("rows", [1, 1024], ids=["one row for all", "many rows"])
@pytest.mark.parametrize("untracked", [False, True], ids=["tracked", "untracked"])
@pytest.mark.parametrize(("first", "after", "following", "takes"), FOLLOWS.values(), ids=FOLLOWS)
def test_who_takes_the_way_of_the_first(first, after, following, takes, untracked, rows, taken, monkeypatch):
    """A packet that would go the same; whoever does leaves what the whole way leaves (with a router that costs a hop)."""
    monkeypatch.setattr("emulator.engine.FEW_WAYS", rows)
    everyone = [("all", "0.0.0.0/0")]
    groups = {"app1": "open", "db": "open"} if untracked else {"db": "narrow"}
    narrow, open_ = group("narrow", [("all", "10.0.0.0/8")], []), group("open", everyone, everyone)
    network = base(narrow, open_, policy={"ttl": "per_hop"}, **groups)
    feed = np.array([Packet.of(packet).header for packet in (first, following)])
    feed[:, Field.INDEX], feed[:, Field.TIME_NS] = range(2), (0, after)
    whole, short = both(network, feed, False)
    assert short == whole
    assert taken[0] == int(takes or (untracked and after == 30 * SECOND))


def between(source, destination):
    """A datagram from one host to another."""
    return IP(src=source, dst=destination) / UDP_(sport=40000, dport=53)


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "open loop"])
@pytest.mark.parametrize(
    ("packet", "takes"),
    [
        pytest.param(between(WEB, EXT), True, id="to a host outside"),
        pytest.param(between(EXT, WEB_PUBLIC), True, id="from a host outside"),
        pytest.param(between(EXT, WEB), True, id="from outside, seen inside"),
        pytest.param(between(WEB_PUBLIC, EXT), False, id="seen behind the translation of its source"),
        pytest.param(between("10.0.0.2", WEB), False, id="what is skipped"),
        pytest.param(between(APP1, EXT), False, id="through a gateway that remembers"),
        pytest.param(between(APP1, "10.0.2.99"), False, id="what was dropped"),
    ],
)
def test_who_has_a_way(packet, takes, causal, taken):
    """What comes through whole, past nothing that hangs on more than its header, and enters as the capture shows it."""
    network = base(group("web", [("udp/53", "0.0.0.0/0")]), web="web")
    rows = np.array([Packet.of(packet).header] * 3)
    rows[:, Field.INDEX] = rows[:, Field.TIME_NS] = range(3)
    whole, short = both(network, rows, causal)
    assert short == whole
    assert taken[0] == (2 if takes else 0)
