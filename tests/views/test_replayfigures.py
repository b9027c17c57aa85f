"""The figures of a replay: what they draw is what the replay counted, told by more than colour, on any axis."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from emulator import load
from emulator.bulk.results import Stretch
from emulator.datapath.state import Outcome
from emulator.model.files import loads
from emulator.observe.flows import Endpoint, Flow
from emulator.policy.reasons import Verdict
from emulator.replay import Replay, replay
from emulator.views.coveragebars import CoverageBars
from emulator.views.figure import ACCEPT, new_figure
from emulator.views.sheet import save
from emulator.views.timeline import BARS, Bars, Timeline, bars_of
from emulator.views.trafficmatrix import MOST, TrafficMatrix, traffic
from emulator.wire.headers import FIELDS, Field
from tests.views.examples import HOSTILE, estate

SHEETS = (Timeline, TrafficMatrix, CoverageBars)


@pytest.fixture(scope="module")
def web(request: pytest.FixtureRequest) -> Replay:
    """The web server's capture."""
    root = request.config.rootpath
    return replay(load(root / "topologies/web-server.yaml"), root / "tests/captures/web-server.pcap")


def stretch(times: list[int], verdict: Verdict = Verdict.ACCEPT, first: int = 0) -> Stretch:
    """Packets at these times, all with one verdict."""
    headers, outcomes = np.zeros((len(times), FIELDS), np.int64), np.zeros((len(times), len(Outcome)), np.int64)
    headers[:, Field.TIME_NS], headers[:, Field.INDEX] = times, np.arange(first, first + len(times))
    outcomes[:, Outcome.VERDICT] = verdict
    return Stretch(headers, headers, outcomes, first)


@pytest.mark.parametrize("span", [0, 1, 119_999, 120_000, 10**9, 86_400 * 10**9, 4 * 10**18])
def test_any_span_of_time_has_few_bars_and_loses_no_packet(span: int) -> None:
    """From one moment to centuries: at most `BARS` bars, each packet in the bar of its time, in however many pieces it came."""
    times = np.linspace(0, span, 500).astype(np.int64)
    whole, pieces = bars_of([stretch(times.tolist())]), Bars()
    for first in range(0, 500, 50):
        pieces.add(stretch(times[first : first + 50].tolist(), first=first))
    for bars in (whole, pieces):
        assert bars.used <= BARS
        assert bars.counts[Verdict.ACCEPT, 0, 0].tolist() == np.bincount(times // bars.width_ns, minlength=BARS).tolist()


def test_skipped_packets_have_no_bar() -> None:
    """What the network never saw is not in its timeline."""
    assert bars_of([stretch([1, 2], Verdict.SKIPPED)]).counts == {}


def test_the_timeline_counts_what_the_replay_counts(web: Replay) -> None:
    """Bars above the line add up to the accepted packets; each reason's to its share of the dropped ones."""
    sheet = Timeline(web)
    assert int(sheet.accepted.sum()) == web.counts["accept"]
    assert {name: int(row.sum()) for name, row, *_ in sheet.below} == {
        "ENI_SG_RULES_MISMATCH at web-1:eth0": web.counts["drop"],
        "never sent: what they answer was blocked": web.counts["unsent"],
    }
    axis = web.draw_timeline()
    above = [bar for bar in axis.patches if isinstance(bar, Rectangle) and bar.get_facecolor() == rgba(ACCEPT)]
    assert len(above) == np.count_nonzero(sheet.accepted)
    assert len({hatch for _, _, _, hatch in sheet.below} - {""}) == len(sheet.below), "told apart without colour"


def rgba(colour: str) -> Any:
    """A colour as matplotlib keeps it."""
    from matplotlib.colors import to_rgba

    return to_rgba(colour)


def test_the_matrix_tells_what_passed_and_what_did_not(web: Replay) -> None:
    """Every flow is in the cell of its ends; cells say both, with a sign each."""
    found = traffic(web.topology, web.flows)
    assert set(found.cells["customer", "web-1"].passed) == {"tcp/80", "tcp/443"}
    assert set(found.cells["customer", "web-1"].blocked) == {"icmp", "tcp/22", "tcp/8080"}
    assert sum(cell.passed.total() + cell.blocked.total() for cell in found.cells.values()) == web.counts["accept"] + web.counts["drop"]
    words = [text.get_text() for text in web.draw_matrix().texts]
    assert "✓ 22" in words
    assert any(word.startswith("✕ icmp") for word in words)


def test_of_many_ends_groups_are_left() -> None:
    """Five hundred instances become a row for each subnet and group; every packet is still counted."""
    topology = estate(subnets=6, instances=500)
    enis = [(key, topology.display(key)) for key in topology.entities if key.startswith("eni-")]
    ends = [Endpoint("10.0.0.1", 0, name, key) for key, name in enis]
    flows = [Flow("tcp", ends[n % 500], ends[(n * 7 + 1) % 500], "accept", 1, 1, 0, 0, n, 0, None) for n in range(3_000)]
    found = traffic(topology, flows)
    assert found.grouped == "subnet and security groups"
    assert len(found.names(0)) <= MOST
    assert sum(cell.passed.total() for cell in found.cells.values()) == 3_000


def test_hosts_outside_that_did_the_same_are_one() -> None:
    """Of many addresses outside, those with the same services and fates share a row; a row says how many they are."""
    topology = estate()
    eni = Endpoint("10.0.0.10", 443, "host-0-0", "eni-host-0-0")
    flows = [Flow("tcp", Endpoint(f"192.0.2.{n}", 0, "", ""), eni, "accept", 1, 1, 0, 0, n, 0, None) for n in range(20)]
    odd = Flow("tcp", Endpoint("192.0.2.99", 0, "", ""), eni, "drop", 1, 0, 1, 0, 20, 0, None)
    assert traffic(topology, [*flows, odd]).names(0) == ["192.0.2.0 and 19 more", "192.0.2.99"]


def test_coverage_counts_the_rules_that_decided(web: Replay) -> None:
    """Hits are packets by the rule that let them pass; a rule that nothing met says so, by words and hatch."""
    found = {rule.rule.name: rule.packets for owner in web.coverage for rule in owner.rules}
    by_outcome = Counter(result.rule for result in web.packets if result.verdict == "accept")
    assert {name: found[name] for name in by_outcome if name} == {name: count for name, count in by_outcome.items() if name}
    assert found["web ingress 3"] == 0
    axis = web.draw_coverage()
    assert [text.get_text() for text in axis.texts].count("never hit") == list(found.values()).count(0) + 1  # the legend's
    assert sum(1 for bar in axis.patches if isinstance(bar, Rectangle) and bar.get_hatch()) == list(found.values()).count(0) + 1


def test_of_many_rules_groups_are_shown(captures: Path) -> None:
    """A hundred groups make a bounded number of rows that share out all rules."""
    groups = "".join(f"      g{number}: {{ingress: [{{type: SSH, source: 10.0.0.0/8}}]}}\n" for number in range(100))
    text = (
        "vpcs:\n  v:\n    cidr_block: 10.0.0.0/16\n    subnets: {a: {cidr_block: 10.0.1.0/24}}\n"
        f"    security_groups:\n{groups}    instances: {{one: {{subnet: a, security_groups: [g0]}}}}\n"
    )
    sheet = CoverageBars(replay(loads(text), captures / "web-server.pcap"))
    assert len(sheet.rows) == 46
    assert all(row.is_share for row in sheet.rows)
    assert sheet.said.startswith("0 of ")


def test_a_replay_that_kept_no_packets_gives_the_same_figures(web: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeline and coverage run the capture once more, and count the same."""
    monkeypatch.setattr("emulator.replay.KEPT", 10)
    monkeypatch.setattr("emulator.bulk.running.KEPT", 10)
    again = replay(web.topology, web.run.captures)
    assert again.kept is None
    assert again.coverage == web.coverage
    assert [name for name, *_ in Timeline(again).below] == [name for name, *_ in Timeline(web).below]
    assert Timeline(again).accepted.tolist() == Timeline(web).accepted.tolist()


@pytest.mark.parametrize("make", SHEETS, ids=lambda make: str(make.__name__))
def test_an_axis_of_ones_own_and_the_same_bytes(make: Callable[..., Any], web: Replay, tmp_path: Path) -> None:
    """The given axis is drawn on and given back; all words stay in the picture; each kind of file is the same every time."""
    sheet = make(web)
    axis = new_figure(300, 200).add_axes((0, 0, 1, 1))
    assert sheet.paint(axis) is axis
    for text in (axis := sheet.paint(new_figure(*sheet.size).add_axes((0, 0, 1, 1)))).texts:
        box = text.get_window_extent().transformed(axis.transData.inverted())
        assert 0 <= box.x0 <= box.x1 <= sheet.size[0], text.get_text()
    for kind in ("png", "svg", "pdf"):
        save(sheet, tmp_path / f"one.{kind}")
        save(make(web), tmp_path / f"two.{kind}")
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_are_text(name: str, web: Replay, tmp_path: Path) -> None:
    """Whatever a title holds, it is drawn as text, and an SVG has no element of its making."""
    for make in SHEETS:
        save(make(web, name), tmp_path / "x.svg")
        save(make(web, name), tmp_path / "x.png")
        assert b"<script" not in (tmp_path / "x.svg").read_bytes()


def test_the_command_writes_every_figure(vpcemu: Any, topologies: Any, captures: Any, tmp_path: Any) -> None:
    """``--timeline``, ``--matrix`` and ``--coverage`` write their pictures; a bad suffix is one line and code 2."""
    outputs = [word for kind in ("timeline", "matrix", "coverage") for word in (f"--{kind}", tmp_path / f"{kind}.svg")]
    assert vpcemu("replay", topologies / "web-server.yaml", captures / "web-server.pcap", *outputs).code == 0
    assert b"ENI_SG_RULES_MISMATCH" in (tmp_path / "timeline.svg").read_bytes()
    assert b"customer" in (tmp_path / "matrix.svg").read_bytes()
    assert b"never hit" in (tmp_path / "coverage.svg").read_bytes()
    done = vpcemu("replay", topologies / "web-server.yaml", captures / "web-server.pcap", "--matrix", tmp_path / "x.gif")
    assert (done.code, done.err.count("\n")) == (2, 1)
