"""Who reached whom in a replay: senders down the side, receivers along the top, in each cell what passed and what did not.

Of many ends outside those that did the same are one, or all of them are; those inside are put together by subnet and
security groups, by subnet, or by VPC: the first of these that leaves few enough to be read.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emulator.model.entities import NetworkInterface, Subnet
from emulator.model.topology import Topology
from emulator.observe.flows import Endpoint, Flow
from emulator.views.figure import ACCEPT, DROP, PARTIAL, Pen, pen_on
from emulator.views.reachwords import fitted
from emulator.views.shapes import Rect, Text
from emulator.views.sheet import MARGIN
from emulator.views.text import clean, cut, width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emulator.replay import Replay

MOST, ALONE, MOST_OUTSIDE = 28, 8, 12
HEAD, HIGH, NAME, LETTERS, ROOM, FOOT = 58.0, 27.0, 9.0, 7.6, 180.0, 40.0
LOOK = {"accept": ("#E4F3E8", ACCEPT), "drop": ("#FBE6E3", DROP), "partial": ("#FFF3DC", PARTIAL)}
HATCH = "////"
Name = Callable[[Endpoint], str]


@dataclass
class Cell:
    """What one party sent to another: packets by service, of the conversations that passed and of those that did not."""

    passed: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)

    @property
    def verdict(self) -> str:
        """``accept``, ``drop`` or, where some passed, ``partial``."""
        return "partial" if self.passed and self.blocked else "drop" if self.blocked else "accept"


@dataclass(frozen=True)
class Traffic:
    """The cells by sender and receiver; ``outside`` are the parties that stand outside."""

    cells: dict[tuple[str, str], Cell]
    outside: set[str]
    grouped: str

    def names(self, side: int) -> list[str]:
        """The senders (0) or the receivers (1): those outside first, then those with the most packets."""
        packets: Counter[str] = Counter()
        for pair, cell in self.cells.items():
            packets[pair[side]] += cell.passed.total() + cell.blocked.total()
        return sorted(packets, key=lambda name: (name not in self.outside, -packets[name], name))


def traffic(topology: Topology, flows: Sequence[Flow]) -> Traffic:
    """The flows by who spoke to whom; flows of which nothing but answers to blocked ones was left are not there."""
    flows = [flow for flow in flows if flow.accepted or flow.dropped]
    grouped, name = _level(topology, flows)
    cells: dict[tuple[str, str], Cell] = defaultdict(Cell)
    for flow in flows:
        cell = cells[name(flow.source), name(flow.destination)]
        if flow.accepted:
            cell.passed[flow.label] += flow.accepted
        if flow.dropped:
            cell.blocked[flow.label] += flow.dropped
    outside = {name(end) for flow in flows for end in (flow.source, flow.destination) if _subnet(topology, end) is None}
    return Traffic(dict(cells), outside, grouped)


def _subnet(topology: Topology, end: Endpoint) -> Subnet | None:
    eni = topology.entities.get(end.id)
    return topology.get(eni.subnet, Subnet) if isinstance(eni, NetworkInterface) else None


def _level(topology: Topology, flows: Sequence[Flow]) -> tuple[str, Name]:
    """By what ends are put together, and the name of an end's party: its own, or one that it shares."""
    outside = _outside(topology, flows)

    def inside(told: Callable[[NetworkInterface, Subnet], str]) -> Name:
        known: dict[tuple[str, str], str] = {}

        def name(end: Endpoint) -> str:
            key = end.id, str(end)
            if key not in known:
                subnet = _subnet(topology, end)
                known[key] = outside[key[1]] if subnet is None else told(topology.get(end.id, NetworkInterface), subnet)
            return known[key]

        return name

    def groups(eni: NetworkInterface) -> str:
        return ", ".join(topology.display(group) for group in eni.security_groups)

    levels = (
        ("", inside(lambda eni, _: topology.display(eni.instance))),
        ("subnet and security groups", inside(lambda eni, subnet: f"{subnet.name} · {groups(eni)}")),
        ("subnet", inside(lambda _, subnet: subnet.name)),
        ("VPC", inside(lambda _, subnet: topology.display(subnet.vpc))),
    )
    for level in levels:
        sides = ({level[1](flow.source) for flow in flows}, {level[1](flow.destination) for flow in flows})
        if max(map(len, sides)) <= MOST:
            return level
    return levels[-1]


def _outside(topology: Topology, flows: Sequence[Flow]) -> dict[str, str]:
    """What ends outside are called: by their names if they are few, else those that did the same are one."""
    done: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for flow in flows:
        for side, end, other in (("from", flow.source, flow.destination), ("to", flow.destination, flow.source)):
            if _subnet(topology, end) is None:
                done[str(end)].add((side, str(other), flow.label, flow.verdict))
    if len(done) <= ALONE:
        return {name: name for name in done}
    alike: dict[frozenset[tuple[str, ...]], list[str]] = defaultdict(list)
    for name, what in done.items():
        alike[frozenset(what)].append(name)
    if len(alike) > MOST_OUTSIDE:
        return dict.fromkeys(done, f"{len(done):,} hosts outside")
    return {name: f"{names[0]} and {len(names) - 1:,} more" if names[1:] else name for names in alike.values() for name in names}


class TrafficMatrix:
    """The matrix of a replay laid out; ``size`` in points."""

    def __init__(self, replay: "Replay", title: str = "") -> None:
        self.title = title or f"{replay.topology.name}: who reached whom in {replay.run.title}"
        self.traffic = traffic(replay.topology, replay.flows)
        rows, columns = self.traffic.names(0), self.traffic.names(1)
        self.rows, self.columns = rows[:MOST], columns[:MOST]
        self.left_out = len(rows) - len(self.rows), len(columns) - len(self.columns)
        self.wide = 92.0 if len(self.columns) <= 9 else 66.0 if len(self.columns) <= 16 else 52.0
        self.left = MARGIN + max([width(cut(name, ROOM, NAME, True), NAME, True) for name in self.rows] or [0.0]) + 12
        tallest = max([width(cut(name, ROOM, NAME, True), NAME, True) for name in self.columns] or [0.0]) * 0.71
        self.top = HEAD + tallest + 16
        right = self.left + self.wide * len(self.columns) + max(MARGIN, tallest - self.wide / 2 + 14)
        said = max(width(self.title, 14, True), width(self.said(), 8.6), 440.0)
        self.size = max(right, min(2 * MARGIN + said, 700.0)), self.top + HIGH * len(self.rows) + FOOT

    def said(self) -> str:
        """The line below the title: how many pairs, how ends were put together, what is not shown."""
        count = Counter(cell.verdict for cell in self.traffic.cells.values())
        words = [f"pairs: {count['accept']:,} passed, {count['drop']:,} blocked, {count['partial']:,} some of each"]
        if self.traffic.grouped:
            words.append(f"put together by {self.traffic.grouped}")
        if any(self.left_out):
            words.append(f"{self.left_out[0]:,} senders and {self.left_out[1]:,} receivers not shown")
        return "  –  ".join(words)

    def paint(self, ax: "Axes", every_glyph: bool = False) -> "Axes":
        """Draw everything on an axis, and give it back."""
        pen = pen_on(ax, *self.size, every_glyph=every_glyph)
        room = self.size[0] - 2 * MARGIN
        pen.text(Text(MARGIN, 26, cut(self.title, room, 14, True), 14, "ink", True), 5)
        pen.text(Text(MARGIN, 43, cut(self.said(), room, 8.6), 8.6, "quiet"), 5)
        for place, name in enumerate(self.columns):
            x = self.left + self.wide * (place + 0.5)
            pen.text(Text(x + 4, self.top - 7, cut(name, ROOM, NAME, True), NAME, self._role(name), True), 5, turn=45)
        for row, name in enumerate(self.rows):
            y = self.top + HIGH * row
            pen.text(Text(self.left - 8, y + HIGH / 2 + 3, cut(name, ROOM, NAME, True), NAME, self._role(name), True, "end"), 5)
            for place, to in enumerate(self.columns):
                self._cell(pen, Rect(self.left + self.wide * place, y, self.wide, HIGH), self.traffic.cells.get((name, to)), name == to)
        _legend(pen, self.size[1] - 16)
        return ax

    def _role(self, name: str) -> str:
        return "internet" if name in self.traffic.outside else "ink"

    def _cell(self, pen: Pen, rect: Rect, cell: Cell | None, itself: bool) -> None:
        if cell is None:
            pen.plain(rect, "#F1F3F5" if itself else "white", "#E3E7EB", layer=2)
            return
        face, edge = LOOK[cell.verdict]
        pen.plain(rect, face, "white", layer=2)
        if cell.blocked:
            pen.plain(Rect(rect.x, rect.y, 9, rect.h), face, edge, HATCH, layer=2.5)
        lines = [(sign, counts, role) for sign, counts, role in (("✓", cell.passed, "accept"), ("✕", cell.blocked, "drop")) if counts]
        for number, (sign, counts, role) in enumerate(lines):
            y = rect.y + rect.h / 2 + 2.8 + (number - (len(lines) - 1) / 2) * 10.5
            services = tuple(clean(label) for label, _ in counts.most_common())
            words = f"{sign} {fitted(services, rect.w - 26, LETTERS)}"
            pen.text(Text(rect.x + (rect.w + 9) / 2, y, words, LETTERS, role, role == "drop", "middle"), 5)


def _legend(pen: Pen, y: float) -> None:
    """What the signs say."""
    x = MARGIN
    for verdict, word in (("accept", "✓ passed"), ("drop", "✕ blocked"), ("partial", "✓ ✕ some of each")):
        face, edge = LOOK[verdict]
        pen.plain(Rect(x, y - 9, 20, 12), face, edge)
        if verdict != "accept":
            pen.plain(Rect(x, y - 9, 8, 12), face, edge, HATCH, 3.5)
        pen.text(Text(x + 26, y, word, 8.2, "quiet"), 5)
        x += 44 + width(word, 8.2)
    pen.text(Text(x, y, "a bare number is a tcp port", 8.2, "quiet"), 5)
