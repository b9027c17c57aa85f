"""The pictures of a reach table: exposure first and told by more than colour, readable at any size, on a given axis."""

import time
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from emulator.model.files import loads
from emulator.model.services import parse_service
from emulator.model.topology import Topology
from emulator.reach.table import Reach, reach
from emulator.views.parties import MOST_OUTSIDE, Parties, parties
from emulator.views.reachfigure import save_reach
from emulator.views.reachgraph import MOST_LINES, draw_graph, graph_of
from emulator.views.reachmatrix import MOST_INSIDE, draw_matrix, matrix_of
from tests.views.examples import HOSTILE, web
from tests.views.test_figure import START

GROUPS = """
    security_groups:
      web: {ingress: [{type: HTTPS, source: 0.0.0.0/0}, {type: SSH, source: 203.0.113.0/24}]}
      app: {ingress: [{protocol: tcp, ports: 8080, source: web}]}
      db: {ingress: [{protocol: tcp, ports: 5432, source: app}], egress: []}
      shut: {egress: []}
      node: {ingress: [{type: All traffic, source: node}]}
"""


def tiers(count: int, vpcs: int = 1) -> Topology:
    """Web servers with public addresses, applications, databases, machines that do nothing, and a cluster, over and over."""
    lines = ["vpcs:"]
    for vpc in range(vpcs):
        lines += [f"  shop-{vpc}:", f"    cidr_block: 10.{vpc}.0.0/16", "    internet_gateway: igw", GROUPS.strip("\n")]
        lines += ["    route_tables: {main: [{destination: 0.0.0.0/0, target: igw}], inner: []}", "    subnets:"]
        lines += [f"      public: {{cidr_block: 10.{vpc}.0.0/20}}", f"      private: {{cidr_block: 10.{vpc}.16.0/20, route_table: inner}}"]
        lines += ["    instances:"]
        for number in range(count):
            group = ("web", "app", "db", "shut", "node")[number % 5]
            place = (
                f"subnet: public, elastic_ip: 198.{18 + vpc}.{number // 200}.{10 + number % 200}" if group == "web" else "subnet: private"
            )
            lines.append(f"      {group}-{number}: {{{place}, security_groups: [{group}]}}")
    return loads("\n".join(lines))


def named(shown: Parties) -> dict[tuple[str, str], tuple[str, ...]]:
    """The ties by the names of their parties."""
    return {(shown.parties[source].name, shown.parties[to].name): tie.services for (source, to), tie in shown.ties.items()}


@pytest.fixture(scope="module")
def ten() -> Reach:
    return reach(tiers(10))


def test_the_outside_comes_first(ten: Reach) -> None:
    """Rows begin with the outside, columns with what it can open, and both are told apart by more than a colour."""
    sheet = matrix_of(ten)
    shown = sheet.shown
    assert [shown.parties[at].outside for at in sheet.rows] == sorted((shown.parties[at].outside for at in sheet.rows), reverse=True)
    assert [shown.parties[column[0]].name for column in sheet.columns[:2]] == ["web-0", "web-5"]
    assert [heading for heading, _ in graph_of(ten).columns] == [
        "Outside",
        "Open to the outside",
        "Behind it",
        "Further behind",
        "Not reached from outside",
    ]
    assert "2 of 10 can be opened from outside" in shown.said()


def test_every_cell_is_what_the_table_says(ten: Reach) -> None:
    """Where ends are shown one by one, a cell holds the services of its pair, and a shut pair has none."""
    shown = matrix_of(ten).shown
    ends = [party.ends[0] for party in shown.parties]
    for at, source in enumerate(ends):
        for to, destination in enumerate(ends):
            words = ten.services(source, destination)
            tie = shown.ties.get((at, to))
            if tie is None or not tie.services[0].startswith("all but"):
                assert list(tie.services if tie else ()) == words, (source, destination)


@pytest.mark.parametrize("count", [5, 50, 500])
def test_any_size_can_be_read(count: int) -> None:
    """However many instances, rows and arrows stay few, and every end stands in one party or is counted."""
    found = reach(tiers(count))
    for shown in (matrix_of(found).shown, graph_of(found).shown):
        inside = [party for party in shown.parties if not party.outside]
        assert len(inside) <= MOST_INSIDE
        assert sum(len(party.ends) for party in inside) == count
        assert shown.silent == count // 5
    assert len(graph_of(found).lines) <= MOST_LINES


def test_put_together_says_the_same(ten: Reach) -> None:
    """Alike ends as one party: its ties are those of each, and hold for every pair."""
    shown = parties(ten, 6)
    assert shown.grouped == "what reaches and is reached alike"
    assert named(shown)["web-0 and 1 like it", "app-1 and 1 like it"] == ("tcp/8080",)
    assert all(tie.whole for tie in shown.ties.values())


def test_what_holds_for_some_pairs_only_is_marked(ten: Reach) -> None:
    """By subnet, what only some of a subnet's machines can open is marked as such."""
    shown = parties(ten, 2)
    assert shown.grouped == "subnet"
    ties = {(shown.parties[source].name, shown.parties[to].name): tie for (source, to), tie in shown.ties.items()}
    assert ties["public", "private"].services == ("tcp/8080",)
    assert not ties["public", "private"].whole
    assert ties["internet", "public"].whole


def test_many_networks_end_in_a_party_of_the_rest() -> None:
    """Of more VPCs than a picture has room for, the rest is one party; nothing is left out."""
    shown = parties(reach(tiers(2, vpcs=5)), 3)
    inside = [party for party in shown.parties if not party.outside]
    assert (len(inside), inside[-1].name, sum(len(party.ends) for party in inside)) == (3, "3 more VPCs", 10)


def test_many_hosts_outside_are_counted() -> None:
    """Hosts outside are shown one by one as long as they are few, then as a number."""
    text = "vpcs: {lab: {cidr_block: 10.0.0.0/16}}\ninternet:\n"
    for count, names in ((3, ["host-0", "host-1", "host-2"]), (MOST_OUTSIDE + 1, ["9 hosts outside"])):
        hosts = "".join(f"  host-{number}: {{ip: 192.0.2.{number + 1}}}\n" for number in range(count))
        lab = loads(text.replace("0.0/16}", "0.0/16, subnets: {a: {cidr_block: 10.0.1.0/24}}, instances: {one: {subnet: a}}}") + hosts)
        assert [party.name for party in parties(reach(lab), 9).parties if party.outside] == ["internet", *names]


def test_a_filtered_table_draws_what_is_left(ten: Reach) -> None:
    """Asked about one service, pictures show that alone."""
    shown = matrix_of(reach(ten.topology, service=parse_service("SSH"))).shown
    assert {services for (source, _), services in named(shown).items() if source.startswith("internet 203")} == {("tcp/22",)}


def test_an_inside_arrow_that_everybody_has_is_not_drawn_again(ten: Reach) -> None:
    """What anybody outside can open is drawn from outside alone."""
    sheet = graph_of(ten)
    assert not [line for line in sheet.lines if line.tie.services == ("tcp/443",) and not sheet.shown.parties[line.source].outside]
    assert [line for line in sheet.lines if line.tie.services == ("tcp/443",)]


@pytest.mark.parametrize("draw", [draw_matrix, draw_graph], ids=["matrix", "graph"])
def test_a_given_axis_is_drawn_on(draw: object, ten: Reach) -> None:
    """The axis given is filled, scaled to its size, and given back; nothing is drawn elsewhere."""
    assert callable(draw)
    canvas = Figure(figsize=(6, 3))
    FigureCanvasAgg(canvas)
    left, right = canvas.subplots(1, 2)
    assert draw(ten, ax=left, title="mine") is left
    assert {"mine", "internet"} <= {text.get_text() for text in left.texts}
    assert not right.texts
    assert max(float(text.get_fontsize()) for text in left.texts) < 10, "letters shrink with the axis"
    assert isinstance(draw(ten), Axes)


@pytest.mark.parametrize("kind", START)
def test_files_are_the_same_every_time(kind: str, ten: Reach, tmp_path: Path) -> None:
    """PNG, SVG and PDF, by the suffix; the same table gives the same bytes."""
    save_reach(ten, tmp_path / f"one.{kind}")
    save_reach(reach(tiers(10)), tmp_path / f"two.{kind}")
    assert (tmp_path / f"one.{kind}").read_bytes().startswith(START[kind])
    assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_are_drawn_as_text(name: str, tmp_path: Path) -> None:
    """Names are text, whatever is in them."""
    save_reach(reach(web().changed("ext-customer", name=name).changed("i-web-1", name=name)), tmp_path / "x.svg")
    assert b"<script>" not in (tmp_path / "x.svg").read_bytes()


def test_nothing_to_open_is_said(tmp_path: Path) -> None:
    """A network in which nobody can open anything still makes a picture, which says so."""
    lab = loads(
        "vpcs:\n  lab:\n    cidr_block: 10.0.0.0/16\n    subnets: {a: {cidr_block: 10.0.1.0/24}}\n"
        "    security_groups: {shut: {egress: []}}\n    instances: {one: {subnet: a, security_groups: [shut]}}\n"
    )
    save_reach(reach(lab), tmp_path / "empty.svg")
    assert "nobody can open anything" in (tmp_path / "empty.svg").read_text()


def test_a_picture_of_hundreds_is_soon_made(tmp_path: Path) -> None:
    """Drawing 500 instances takes seconds, once the table is there."""
    found = reach(tiers(500))
    start = time.process_time()
    save_reach(found, tmp_path / "large.png")
    assert time.process_time() - start < 20
