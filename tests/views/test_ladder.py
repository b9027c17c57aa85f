"""Ladders: every packet of a conversation on its rung, filters in the order of the way, and pictures that harm nobody."""

import os
from typing import Any

import pytest
from matplotlib.patches import Circle, Rectangle

from emulator import load
from emulator.errors import UsageError
from emulator.replay import Replay, replay
from emulator.views.figure import new_figure
from emulator.views.ladder import MEMORY, Ladder
from emulator.views.rungs import MOST_RUNGS, Conversation, LadderLane, Rung, conversation, rows_of
from emulator.views.sheet import draw, save
from tests.views.examples import HOSTILE


@pytest.fixture(scope="module")
def web(request: pytest.FixtureRequest) -> Replay:
    """The web server's capture."""
    root = request.config.rootpath
    return replay(load(root / "topologies/web-server.yaml"), root / "tests/captures/web-server.pcap")


@pytest.fixture(scope="module")
def sql(request: pytest.FixtureRequest) -> Replay:
    """The SQL server's capture."""
    root = request.config.rootpath
    return replay(load(root / "topologies/app-and-sql-server.yaml"), root / "tests/captures/app-and-sql-server.pcap")


def test_every_packet_belongs_to_one_conversation(web: Replay, sql: Replay) -> None:
    """The conversations' packets are those of the replay, none twice, as many in each as its flow counts."""
    for found in (web, sql):
        rows = [rows_of(flow, found.seen) for flow in found.flows]
        assert [len(part) for part in rows] == [flow.packets for flow in found.flows]
        every = sorted(row for part in rows for row in part)
        assert len(every) == len(set(every)) == found.counts["total"] - found.counts["skipped"]


def test_rungs_tell_what_became_of_each_packet(web: Replay) -> None:
    """Pings end at the groups that dropped them, with the reason; the replies were never sent; all count as in the flow."""
    told = conversation(web, 2)
    assert [(lane.name, lane.kind) for lane in told.lanes] == [
        ("customer", ""),
        ("igw", "gateway"),
        ("public-a", "network ACL"),
        ("web-1:eth0", "security groups"),
        ("web-1", ""),
    ]
    assert [(rung.start, rung.end, rung.verdict, rung.label) for rung in told.rungs[:2]] == [
        (0, 3, "drop", "echo request 1"),
        (4, 4, "unsent", "echo reply 1"),
    ]
    assert told.rungs[0].reason == "ENI_SG_RULES_MISMATCH"
    assert told.rungs[0].text == web.flows[2].why.text  # type: ignore[union-attr]
    assert not told.entries


def test_each_end_remembers_the_conversation(sql: Replay) -> None:
    """Both interfaces have an entry, from the SYN on to the last ACK, opened by the rules that allowed it; closed at the end."""
    told = conversation(sql, sql.flows[1])
    assert [rung.label for rung in told.rungs[:3]] == ["SYN", "SYN-ACK", "ACK"]
    last = len(told.rungs) - 1
    assert [(told.lanes[entry.lane].name, entry.first, entry.last, entry.alive, entry.rule) for entry in told.entries] == [
        ("app-1:eth0", 0, last, False, "app egress 1"),
        ("db:eth0", 0, last, False, "sql ingress 1"),
    ]


def test_a_drop_on_the_way_out_ends_at_the_sender(sql: Replay) -> None:
    """Without an egress rule the packet gets as far as its own groups."""
    told = conversation(sql, 9)
    first = told.rungs[0]
    assert (told.lanes[first.end].name, first.reason) == ("db:eth0", "SG_HAS_NO_RULES")


def test_the_picture_shows_what_the_ladder_tells(web: Replay, sql: Replay) -> None:
    """A cross a dropped packet, a hollow mark an unsent rung, a bar an entry; the reason is written beside."""
    for found, number in ((web, 2), (sql, 1), (sql, 9)):
        told = conversation(found, number)
        axis = found.draw_ladder(number)
        circles = [patch for patch in axis.patches if isinstance(patch, Circle)]
        crosses = [circle for circle in circles if circle.get_radius() == 6.5]
        hollow = [circle for circle in circles if circle.get_radius() == 4 and circle.get_zorder() == 5]
        bars = [patch for patch in axis.patches if isinstance(patch, Rectangle) and patch.get_width() == 4 and patch.get_zorder() == 2.5]
        verdicts = [rung.verdict for rung in told.rungs]
        assert (len(crosses), len(hollow), len(bars)) == (verdicts.count("drop") + 1, verdicts.count("unsent") + 1, len(told.entries))
        words = " ".join(text.get_text() for text in axis.texts)
        assert {rung.reason for rung in told.rungs if rung.verdict == "drop"} <= set(words.split())
        for text in axis.texts:
            box = text.get_window_extent().transformed(axis.transData.inverted())
            assert box.x0 >= 0, text.get_text()
            assert box.x1 <= Ladder(told).size[0], text.get_text()


def test_a_long_conversation_is_shortened(request: pytest.FixtureRequest, shared: Any, tmp_path: Any) -> None:
    """A ladder has a bounded number of rungs and says how many packets were left out; entries move along."""
    from emulator.importers.capture import topology_from_capture

    capture = shared / "captures" / "tcp-retransmit-4-connections.pcap"
    found = replay(topology_from_capture(capture)[0], capture)
    number = max(range(len(found.flows)), key=lambda place: found.flows[place].packets)
    told = conversation(found, number)
    assert found.flows[number].packets > MOST_RUNGS == len(told.rungs)
    assert sum(rung.packets for rung in told.rungs) == found.flows[number].packets
    assert [rung.verdict for rung in told.rungs].count("gap") == 1
    assert all(0 <= entry.first <= entry.last < MOST_RUNGS for entry in told.entries)
    save(Ladder(told), tmp_path / "long.png")


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_are_text(name: str, tmp_path: Any) -> None:
    """Whatever a name holds, all three kinds are written, and the SVG holds no element of the name's."""
    lanes = (LadderLane(name, "", name), LadderLane(name, "security groups"), LadderLane(name))
    told = Conversation(name, lanes, (Rung(0, 0, 1, "drop", name, 0, 1, name, name), Rung(1, 2, 2, "unsent", name, 1, 1, "", name)))
    for kind in ("png", "svg", "pdf"):
        save(Ladder(told), tmp_path / f"x.{kind}")
        first = (tmp_path / f"x.{kind}").read_bytes()
        save(Ladder(told), tmp_path / f"x.{kind}")
        assert (tmp_path / f"x.{kind}").read_bytes() == first, "the same bytes every time"
    assert b"<script" not in (tmp_path / "x.svg").read_bytes()


def test_the_command_draws_a_ladder(vpcemu: Any, topologies: Any, captures: Any, tmp_path: Any) -> None:
    """``--ladder`` writes the picture; a flow that is not there is told in one line, with code 2 and no file."""
    words = ("replay", topologies / "web-server.yaml", captures / "web-server.pcap", "--ladder", tmp_path / "one.svg", "--flow")
    done = vpcemu(*words, 2)
    assert done.code == 0
    assert b"ENI_SG_RULES_MISMATCH" in (tmp_path / "one.svg").read_bytes()
    os.unlink(tmp_path / "one.svg")
    done = vpcemu(*words, 99)
    assert (done.code, os.listdir(tmp_path)) == (2, [])
    assert "there is no flow 99" in done.err
    assert done.err.count("\n") == 1


def test_an_axis_of_ones_own(web: Replay) -> None:
    """The given axis is drawn on and given back; no entry of a connection that nobody tracks."""
    axis = new_figure(300, 200).add_axes((0, 0, 1, 1))
    told = conversation(web, 0)
    assert draw(Ladder(told), axis) is axis
    assert MEMORY not in [text.get_color() for text in axis.texts]
    with pytest.raises(UsageError, match="there is no flow -1"):
        conversation(web, -1)
