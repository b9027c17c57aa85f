"""The reach table as a graph: who stands how many steps from the outside, and what leads there.

The first column is outside, the second what the outside can open, the third what can only be opened from the second,
and so on; last stands what no step from outside reaches.  An arrow goes from who opens to what is opened; one with two
heads says the same both ways.  What a party can open among its own ends, and outside, is written on it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from emulator.reach.table import Reach
from emulator.views.figure import Pen, pen_on
from emulator.views.parties import ALL_BUT_MAIL, Parties, Tie, parties
from emulator.views.reachmatrix import EXPOSED, MARGIN, OPEN_EDGE, heading_width
from emulator.views.reachwords import fitted
from emulator.views.shapes import Rect, Text
from emulator.views.sheet import draw
from emulator.views.text import cut, width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_INSIDE, MOST_LINES = 14, 60
TOP, CARD, LINE, BETWEEN, APART, FOOT = 88.0, 158.0, 11.5, 26.0, 150.0, 40.0
INSIDE, PARTLY = "#00767A", (0, (4, 2))
LETTERS, LABEL_ROOM, PORT, BULGE, HEAD = 7.8, 104.0, 7.0, 74.0, 7.0
COLUMNS = ("Outside", "Open to the outside", "Behind it", "Further behind")
NOTHING = Tie((), whole=False)


class Line(NamedTuple):
    """An arrow between two parties; ``both`` if it holds both ways."""

    source: int
    destination: int
    tie: Tie
    both: bool


def draw_graph(found: Reach, ax: "Axes | None" = None, title: str = "") -> "Axes":
    """Draw who can open what to whom as a graph; gives the axis, the given one or that of a new figure.

    Parameters
    ----------
    ax : loses its frame and ticks; texts and lines are scaled to its size.
    """
    return draw(graph_of(found, title), ax)


def graph_of(found: Reach, title: str = "") -> "Graph":
    """The graph of a reach table, laid out."""
    return Graph(_few(found), title or f"{found.topology.name}: what the outside reaches, step by step")


def _few(found: Reach) -> Parties:
    """Parties with few enough lines between them."""
    for most in (MOST_INSIDE, 10, 6, 3):
        shown = parties(found, most)
        if len(_lines(shown)) <= MOST_LINES:
            return shown
    return shown


def _lines(shown: Parties) -> list[Line]:
    """The arrows between different parties; those from outside are drawn last, on top.

    Not those to the outside, and not those inside that carry no more than anybody on the internet can open as well.
    """
    done = []
    for (source, destination), tie in shown.ties.items():
        if source == destination or shown.parties[destination].outside or _public(shown, source, destination, tie):
            continue
        both = shown.ties.get((destination, source)) == tie
        if not both or source < destination:
            done.append(Line(source, destination, tie, both))
    return sorted(done, key=lambda line: shown.parties[line.source].outside)


def _public(shown: Parties, source: int, destination: int, tie: Tie) -> bool:
    """Whether a tie inside carries no more than anybody on the internet can open as well."""
    public = next((shown.ties.get((at, destination), NOTHING) for at, party in enumerate(shown.parties) if party.is_internet), NOTHING)
    return not shown.parties[source].outside and public.whole and set(tie.services) <= set(public.services)


class Graph:
    """A graph laid out; ``size`` in points."""

    def __init__(self, shown: Parties, title: str) -> None:
        self.shown, self.title = shown, title
        self.lines = _lines(shown)
        self.columns = _columns(shown)
        self.cards: dict[int, Rect] = {}
        self.highs = {at: self._high(at) for _, members in self.columns for at in members}
        tallest = max((self._height(members) for _, members in self.columns), default=0.0)
        for place, (_, members) in enumerate(self.columns):
            y = TOP + (tallest - self._height(members)) / 2
            for at in members:
                self.cards[at] = Rect(MARGIN + place * (CARD + APART), y, CARD, self.highs[at])
                y += self.highs[at] + BETWEEN
        wide = 2 * MARGIN + CARD * len(self.columns) + APART * (len(self.columns) - 1)
        last = set(self.columns[-1][1]) if self.columns else set()
        if any(line.source in last and line.destination in last for line in self.lines):
            wide += BULGE
        self.size = max(wide, heading_width(title, shown)), TOP + tallest + FOOT

    def _height(self, members: list[int]) -> float:
        return sum(self.highs[at] + BETWEEN for at in members) - BETWEEN

    def _high(self, at: int) -> float:
        """How high a card is: room for its lines, and for the arrows at its busier side."""
        sides = [right for line in self.lines for end, right in zip(line[:2], self._rights(line), strict=True) if end == at]
        return max(10 + LINE * len(self._texts(at)), PORT * (max(sides.count(True), sides.count(False)) + 1))

    def _column_of(self, at: int) -> int:
        return next(place for place, (_, members) in enumerate(self.columns) if at in members)

    def _texts(self, at: int) -> list[tuple[str, str]]:
        """The lines of a card with their roles: its name, where it is, what it opens among its own and outside."""
        party = self.shown.parties[at]
        lines = [(cut(party.name, CARD - 14, 9.2, True), "exposed" if party.outside or at in self.shown.exposed else "ink")]
        if party.note:
            lines.append((cut(party.note, CARD - 14, LETTERS), "quiet"))
        own = self.shown.ties.get((at, at))
        if own is not None and not party.outside:
            lines.append((f"among themselves: {fitted(own.services, CARD - 92, LETTERS)}", "ink"))
        out = _outward(self.shown, at)
        if out:
            lines.append((f"to the outside: {fitted(out, CARD - 82, LETTERS)}", "ink"))
        return lines

    def paint(self, ax: "Axes", every_glyph: bool = False) -> "Axes":
        """Draw everything on an axis, and give it back."""
        pen = pen_on(ax, *self.size, every_glyph=every_glyph)
        pen.text(Text(MARGIN, 26, cut(self.title, self.size[0] - 2 * MARGIN, 14, True), 14, "ink", True), 9)
        pen.text(Text(MARGIN, 43, cut(self.shown.said(), self.size[0] - 2 * MARGIN, 8.6), 8.6, "quiet"), 9)
        if not self.columns:
            pen.text(Text(MARGIN, TOP, "nobody can open anything", 9.2, "ink", True), 9)
        for place, (heading, _) in enumerate(self.columns):
            x = MARGIN + place * (CARD + APART)
            pen.text(Text(x, TOP - 14, heading, 9.2, "exposed" if place < 2 and heading in COLUMNS[:2] else "quiet", True), 9)
            if heading == COLUMNS[0] and len(self.columns) > 1:
                border = x + CARD + APART / 2
                pen.path([(border, TOP - 24), (border, self.size[1] - FOOT + 8)], "#C3CAD2", (0, (2, 3)), 1, 0, 1)
        for at, rect in self.cards.items():
            self._card(pen, at, rect)
        ports = self._ports()
        taken: list[Rect] = []
        for number, line in enumerate(self.lines):
            self._line(pen, line, *ports[number], taken)
        pen.text(Text(MARGIN, self.size[1] - 16, self._legend(), 8.2, "quiet"), 9)
        return ax

    def _legend(self) -> str:
        words = ["a bare number is a tcp port"]
        if any(_public(self.shown, source, to, tie) for (source, to), tie in self.shown.ties.items() if source != to):
            words.append("what anybody outside can open is not drawn again inside")
        if any(not tie.whole for tie in self.shown.ties.values()):
            words.append("dashed where it holds for some of the pairs only")
        return "  –  ".join(words)

    def _card(self, pen: Pen, at: int, rect: Rect) -> None:
        party = self.shown.parties[at]
        edge, wide = (EXPOSED, 2.0) if at in self.shown.exposed else ("#7D8998", 1.3) if party.outside else (OPEN_EDGE, 1.4)
        pen.rounded(rect, "#F3F5F7" if party.outside else "white", edge, "solid", wide, 4, 6)
        for row, (text, role) in enumerate(self._texts(at)):
            size, bold = (9.2, True) if row == 0 else (LETTERS, False)
            pen.text(Text(rect.x + 7, rect.y + 5 + LINE * row + 8.6, text, size, role, bold), 7)

    def _ports(self) -> list[tuple[tuple[float, float], tuple[float, float]]]:
        """Where each arrow leaves and arrives, spread along the sides of the cards in the order of the other ends."""
        sides: dict[tuple[int, bool], list[tuple[float, int, int]]] = {}
        rightmost = [self._rights(line) for line in self.lines]
        for number, line in enumerate(self.lines):
            for place, (at, other) in enumerate(((line.source, line.destination), (line.destination, line.source))):
                sides.setdefault((at, rightmost[number][place]), []).append((self.cards[other].middle[1], number, place))
        found: dict[tuple[int, int], tuple[float, float]] = {}
        for (at, right), entries in sides.items():
            rect = self.cards[at]
            for order, (_, number, place) in enumerate(sorted(entries)):
                y = rect.y + rect.h * (order + 1) / (len(entries) + 1)
                found[number, place] = (rect.right if right else rect.x, y)
        return [(found[number, 0], found[number, 1]) for number in range(len(self.lines))]

    def _rights(self, line: Line) -> tuple[bool, bool]:
        """Whether an arrow leaves, and arrives, at the right side of a card."""
        first, last = self._column_of(line.source), self._column_of(line.destination)
        return (first <= last, first >= last)

    def _line(self, pen: Pen, line: Line, start: tuple[float, float], end: tuple[float, float], taken: list[Rect]) -> None:
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path as Curve

        outside = self.shown.parties[line.source].outside
        colour, wide = (EXPOSED, 1.9) if outside else (INSIDE, 1.2)
        leaves, arrives = (1 if right else -1 for right in self._rights(line))
        reach = max(abs(end[0] - start[0]) * 0.5, 46.0)
        points = [start, (start[0] + leaves * reach, start[1]), (end[0] + arrives * reach, end[1]), end]
        tips = (start[0] + leaves * HEAD, start[1]) if line.both else start, (end[0] + arrives * HEAD, end[1])
        curve = Curve([tips[0], *points[1:3], tips[1]], [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
        layer = 4 if outside else 3
        look = {"fill": False, "capstyle": "butt"}
        pen.ax.add_patch(PathPatch(curve, edgecolor="white", linewidth=(wide + 1.6) * pen.scale, zorder=layer - 0.1, **look))
        style = "solid" if line.tie.whole else PARTLY
        pen.ax.add_patch(PathPatch(curve, edgecolor=colour, linewidth=wide * pen.scale, linestyle=style, zorder=layer, **look))
        self._head(pen, end, arrives, colour, layer)
        if line.both:
            self._head(pen, start, leaves, colour, layer)
        self._label(pen, line, points, taken)

    def _head(self, pen: Pen, tip: tuple[float, float], away: int, colour: str, layer: float) -> None:
        from matplotlib.patches import Polygon

        x, y = tip
        corners = [(x, y), (x + away * (HEAD + 1), y - 3.8), (x + away * (HEAD + 1), y + 3.8)]
        pen.ax.add_patch(Polygon(corners, facecolor=colour, edgecolor="none", zorder=layer + 0.2))

    def _label(self, pen: Pen, line: Line, points: list[tuple[float, float]], taken: list[Rect]) -> None:
        """What the arrow carries, on it, where no other label and no card is; left out if there is no such place."""
        words = fitted(line.tie.services, LABEL_ROOM, LETTERS)
        wide = width(words, LETTERS) + 6
        for part in (0.5, 0.38, 0.62, 0.28, 0.72, 0.2, 0.8):
            x, y = _on(points, part)
            rect = Rect(x - wide / 2, y - 5.5, wide, 11)
            if not any(rect.overlap(other, 1) for other in (*taken, *self.cards.values())):
                taken.append(rect)
                pen.rounded(rect, "white", "none", "solid", 0, 2, 4.5, 0.92)
                outside = self.shown.parties[line.source].outside
                pen.text(Text(x, y + 2.8, words, LETTERS, "exposed" if outside else "ink", outside, "middle"), 5)
                return


def _on(points: list[tuple[float, float]], part: float) -> tuple[float, float]:
    """A point of a Bézier curve."""
    rest = 1 - part
    weights = (rest**3, 3 * rest**2 * part, 3 * rest * part**2, part**3)
    return tuple(sum(weight * point[axis] for weight, point in zip(weights, points, strict=True)) for axis in (0, 1))  # type: ignore[return-value]


def _outward(shown: Parties, at: int) -> tuple[str, ...]:
    """What a party inside can open outside, wherever there."""
    if shown.parties[at].outside:
        return ()
    found = [service for (source, to), tie in shown.ties.items() if source == at and shown.parties[to].outside for service in tie.services]
    most = [words for words in ("all traffic", ALL_BUT_MAIL) if words in found]
    return tuple(most[:1]) or tuple(dict.fromkeys(found))


def _columns(shown: Parties) -> list[tuple[str, list[int]]]:
    """The parties by their steps from outside, those that none reaches last; each column in the order of who opens it."""
    steps = {at: 0 for at, party in enumerate(shown.parties) if party.outside and any(source == at for source, _ in shown.ties)}
    ring = list(steps)
    while ring:
        reached = {to for source, to in shown.ties if source in ring and not shown.parties[to].outside} - set(steps)
        ring = sorted(reached)
        steps |= dict.fromkeys(ring, max(steps.values(), default=0) + 1)
    rest = sorted({at for pair in shown.ties for at in pair if not shown.parties[at].outside} - set(steps))
    done: list[tuple[str, list[int]]] = []
    for step in sorted(set(steps.values())):
        members = [at for at, of in steps.items() if of == step and (step or shown.exposed)]
        if members:
            before = done[-1][1] if done else []
            done.append((COLUMNS[min(step, len(COLUMNS) - 1)], _ordered(shown, members, before)))
    if rest:
        done.append(("Not reached from outside", _ordered(shown, rest, done[-1][1] if done else [])))
    return done


def _ordered(shown: Parties, members: Iterable[int], before: list[int]) -> list[int]:
    """Members of a column beside those that they are tied to in the one before."""

    def middle(at: int) -> tuple[float, int]:
        tied = [place for place, other in enumerate(before) if (other, at) in shown.ties or (at, other) in shown.ties]
        return (sum(tied) / len(tied) if tied else len(before), at)

    return sorted(members, key=middle)
