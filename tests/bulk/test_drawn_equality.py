"""On networks and captures drawn by chance, every way to run says the same, byte for byte.

More seeds than the quick suite takes: ``VPCEMU_EXAMPLES=20 python -m pytest tests/bulk/test_drawn_equality.py``.
"""

import os
from collections import Counter
from contextlib import ExitStack, nullcontext
from dataclasses import replace

import numpy as np
import pytest

from emulator.bulk import windows
from emulator.bulk.shares import obstacle
from emulator.datapath.entrance import AT_PLACE, entrance
from emulator.datapath.state import Count, Outcome
from emulator.engine import Engine
from emulator.errors import UsageError
from emulator.network import Network
from emulator.policy.conntrack import Entry, Usage
from emulator.replay import replay as run
from emulator.wire.headers import FIELDS, Field
from emulator.wire.packet import RAW_IP, Packet
from emulator.wire.status import PARSED
from tests.bulk import drawn
from tests.bulk.ways import Way, dask, processes, threads, told

SEEDS = range(10 * int(os.environ.get("VPCEMU_EXAMPLES", "1")))
REACHED = {
    *("accept", "drop", "unsent", "skipped"),
    *("ENI_SG_RULES_MISMATCH", "SUBNET_ACL_RESTRICTION", "NO_ROUTE_TO_DESTINATION", "BAD_STATE_ROUTE"),
    *("EMU_NO_UNSOLICITED_INGRESS", "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS", "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"),
    *("EMU_FRAGMENT", "EMU_TTL_EXPIRED", "EMU_MTU_EXCEEDED"),
    *("EMU_TRUNCATED", "EMU_NOT_IP", "EMU_LOOPBACK", "EMU_NOT_IN_TOPOLOGY", "EMU_NO_SUCH_INTERFACE"),
}
LOOPS = pytest.mark.parametrize("open_loop", [False, True], ids=["causal", "open loop"])


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed {seed}")
def case(request, tmp_path_factory):
    """A drawn network, a capture for it, and what one interpreted engine says of it, by whether the loop is open."""
    network, folder = drawn.network(request.param), tmp_path_factory.mktemp("drawn")
    capture = folder / "drawn.pcap"
    drawn.write(capture, drawn.frames(request.param))
    return network, capture, [Way().told(network, capture, folder, open_loop) for open_loop in (False, True)]


@LOOPS
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(Way(compiled=True), id="compiled"),
        pytest.param(Way(window=8), id="small windows"),
        pytest.param(Way(steps=1), id="event by event"),
        pytest.param(Way(steps=7, window=40), id="seven events at a time, in small windows"),
        pytest.param(Way(jobs=2), id="two engines"),
        pytest.param(Way(jobs=3, window=20), id="three engines, small windows"),
        pytest.param(Way(jobs=3, crew=threads), id="three shares on an executor"),
    ],
)
def test_every_way_to_run_says_the_same(case, way, open_loop, tmp_path):
    """Lines of all packets, sums and conversations are those of one interpreted engine that ran in one go."""
    network, capture, expected = case
    if network.schedule and way.crew is not nullcontext:
        with pytest.raises(UsageError, match="plans edits, which one engine makes"):
            way.told(network, capture, tmp_path, open_loop)
    else:
        assert way.told(network, capture, tmp_path, open_loop) == expected[open_loop]


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_a_network_that_cannot_be_shared_is_run_by_one(seed, tmp_path):
    """Asked for shares, a replay says why one engine does it all, where that is so, and only there."""
    network, capture = drawn.network(seed), tmp_path / "drawn.pcap"
    drawn.write(capture, drawn.frames(seed))
    said = [line.partition("replayed by one core: ")[2] for line in run(network, capture, jobs=2, compiled=False).troubles]
    assert [line for line in said if line] == [line for line in [obstacle(network)] if line]


@pytest.fixture(scope="module", params=[processes, dask], ids=lambda crew: crew.__name__)
def crew(request):
    """Workers that are other processes."""
    with ExitStack() as stack:
        yield stack.enter_context(request.param())


def test_shares_in_other_processes_say_the_same(crew, tmp_path):
    """Two processes, and a dask cluster of two worker processes, on some plain networks and one that cannot be shared."""
    for seed in (0, 1, 2, 4):
        network, capture = drawn.network(seed), tmp_path / "drawn.pcap"
        drawn.write(capture, drawn.frames(seed))
        for open_loop in (False, True):
            one = Way().told(network, capture, tmp_path, open_loop)
            assert told(network, capture, tmp_path, compiled=False, open_loop=open_loop, jobs=2, executor=crew) == one


def rows_of(capture):
    """The header rows of a small capture, in the order of time."""
    reader = windows.Reader([capture], {}, False)
    try:
        return next(reader.windows()).headers
    finally:
        reader.close()


def entered(engine, row):
    """Where a packet of a capture enters the network, and its header as it is sent there; None if it is not sent."""
    if row[Field.STATUS] != PARSED:
        return None
    engine.state.flights[0, :FIELDS] = row
    way = entrance(engine.tables, engine.state, 0)
    if way.how != AT_PLACE:
        return None
    sent = row.copy()
    sent[[Field.SOURCE_HI, Field.SOURCE_LO]] = way.source_hi, way.source_lo
    sent[[Field.DESTINATION_HI, Field.DESTINATION_LO]] = way.destination_hi, way.destination_lo
    return way.place, sent


def on_the_wire(network, **more):
    """The network with captures taken as sent, and no plan, whose times count from a run's first packet."""
    return replace(network, policy=replace(network.policy, mtu_of_captures=True), schedule=(), **more)


def left(engine):
    """What a run left behind: journal, outcomes, entries, counters."""
    state = engine.state
    return (
        state.journal[: int(state.counts[Count.STEPS, 0])].tolist(),
        state.outcomes[: engine.packets].tolist(),
        sorted(state.entries[state.entries[:, Entry.KEY] != 0].tolist()),
        state.usage[:, : Usage.DNS_SECOND].tolist(),  # what a capture shows is not counted against rates (FB-10, FB-31)
    )


def test_packets_injected_one_by_one_leave_what_a_feed_leaves(case):
    """The live event loop, given each packet at its time, writes the journal, outcomes and entries of a replay, bit for bit."""
    network, capture, _ = case
    network = on_the_wire(network)
    rows, blank = rows_of(capture), Engine(network, compiled=False)
    ways = [way for row in rows if (way := entered(blank, row)) is not None]
    sent = np.array([row for _, row in ways], dtype=np.int64)
    sent[:, Field.INDEX] = np.arange(len(sent))
    sent[:, Field.TIME_NS] = np.maximum.accumulate(sent[:, Field.TIME_NS])
    fed, live = Engine(network, compiled=False), Engine(network, compiled=False)
    for engine in (fed, live):
        engine.begin(drawn.BEGIN_NS)
    fed.feed(sent)
    fed.advance()
    for (place, _), row in zip(ways, sent, strict=True):
        live.advance(int(row[Field.TIME_NS]) - 1)
        live.inject(row, place, int(row[Field.TIME_NS]))
    live.advance()
    assert left(live) == left(fed)


def test_a_network_that_is_sent_each_packet_says_what_the_replay_says(case, tmp_path):
    """`Network.send` gives each packet the verdict, the reason and the rule that the open-loop replay gives it."""
    network, capture, _ = case
    network = on_the_wire(network, links=())  # for `send` waits for the end of each packet's way
    frames = drawn.frames(int(network.name.rpartition("-")[2]))
    rows, live = rows_of(capture), Network(network, compiled=False)
    made, ways = [], []
    for row in rows:
        time_ns, frame, captured = frames[row[Field.INDEX]]
        way = entered(live.engine, row)
        # For a later fragment, and for the pieces of what must be cut, `send` waits up to 30 s.
        whole = captured == len(frame) <= 1400 and not row[Field.FRAGMENT_OFFSET]
        if way is not None and whole and np.array_equal(way[1], row):  # shown as its sender sent it
            # Each packet has a time of its own, for `send` lets all happen that follows from one before the next is sent.
            made.append((max(time_ns, made[-1][0] + 1 if made else 0), frame, captured))
            ways.append(way[0])
    drawn.write(tmp_path / "sent.pcap", made)
    replayed = run(network, tmp_path / "sent.pcap", open_loop=True, compiled=False)
    assert len(made) > 20
    for result, place, (time_ns, frame, _) in zip(replayed.packets, ways, made, strict=True):
        trace = live.send(Packet.parse(frame, RAW_IP), at_ns=time_ns, source=live.engine.ids.name(place))
        seen = trace.verdict.name.lower(), str(trace.why), trace.tracked, live.words.rule_name(_rule(live))
        assert live.now_ns == time_ns
        assert seen == (result.verdict, str(result.why), result.tracked, result.rule), f"packet {result.index}"


def _rule(network):
    engine = network.engine
    return engine.state.outcomes[engine.packets - 1 - int(engine.state.counts[Count.FIRST, 0]), Outcome.RULE]


def test_chance_reaches_what_it_is_to_reach(tmp_path):
    """The quick seeds draw networks of both kinds, packets of every verdict, reasons of all stages, translations and births."""
    capture, seen, shareable, state_rows = tmp_path / "drawn.pcap", Counter(), 0, Counter()
    for seed in range(10):
        network = drawn.network(seed)
        drawn.write(capture, drawn.frames(seed))
        result = run(network, capture, compiled=False)
        shareable += obstacle(network) == ""
        for packet in result.packets:
            seen.update([packet.verdict, *([packet.why.code] if packet.why else [])])
        counts = result.engine.state.counts[:, 0]
        state_rows.update({count.name: int(counts[count]) for count in (Count.TRANSLATIONS, Count.BORN, Count.FRAGMENTS)})
    assert 3 <= shareable <= 7
    assert set(seen) >= REACHED
    assert all(state_rows.values()), state_rows
