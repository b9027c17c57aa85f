"""The reach table as a matrix: sources down the side, those outside first, destinations along the top.

What the outside can open is dark with white letters, its rows stand above a rule and its columns have a mark; what is
open inside is light; what does not hold for every pair of a cell's ends is hatched.
"""

from typing import TYPE_CHECKING

from emulator.reach.table import Reach
from emulator.views.figure import Pen, pen_on
from emulator.views.parties import Parties, Party, parties
from emulator.views.reachwords import fitted
from emulator.views.shapes import Rect, Text
from emulator.views.sheet import draw
from emulator.views.text import cut, width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_INSIDE = 32
EXPOSED, EXPOSED_EDGE = "#B3400A", "#7A2A04"
OPEN, OPEN_EDGE, OUT, OUT_EDGE, ITSELF = "#DDF1F2", "#00A4A6", "#F0F2F5", "#9AA5B1", "#F7F8FA"
HATCH = "////"
MARGIN, HEAD, HIGH, NAME, LETTERS = 18.0, 58.0, 21.0, 9.0, 8.0
NAME_ROOM, FOOT = 190.0, 48.0


def draw_matrix(found: Reach, ax: "Axes | None" = None, title: str = "") -> "Axes":
    """Draw who can open what to whom as a matrix; gives the axis, the given one or that of a new figure.

    Parameters
    ----------
    ax : loses its frame and ticks; texts and lines are scaled to its size.
    """
    return draw(matrix_of(found, title), ax)


def matrix_of(found: Reach, title: str = "") -> "Matrix":
    """The matrix of a reach table, laid out."""
    return Matrix(parties(found, MOST_INSIDE), title or f"{found.topology.name}: who can open what to whom")


class Matrix:
    """A matrix laid out; ``size`` in points."""

    def __init__(self, shown: Parties, title: str) -> None:
        self.shown, self.title = shown, title
        self.rows, self.columns = shown.sources, _columns(shown)
        self.wide = 84.0 if len(self.columns) <= 8 else 58.0 if len(self.columns) <= 18 else 46.0
        self.left = MARGIN + max([_label_width(shown.parties[at]) for at in self.rows] or [0.0]) + 10
        tallest = max([width(self._heading(column), NAME, True) for column in self.columns] or [0.0])
        self.top = HEAD + min(tallest, NAME_ROOM) * 0.71 + 16
        right = self.left + self.wide * len(self.columns) + max(MARGIN, min(tallest, NAME_ROOM) * 0.71 - self.wide / 2 + 14)
        bottom = self.top + HIGH * len(self.rows) + (8 if self._outside_rows() else 0) + FOOT
        self.size = max(right, heading_width(title, shown)), bottom

    def _outside_rows(self) -> int:
        return sum(self.shown.parties[at].outside for at in self.rows)

    def _heading(self, column: list[int]) -> str:
        first, count = self.shown.parties[column[0]].name, len(column)
        every = count == sum(party.outside for party in self.shown.parties)
        return cut(first if count == 1 else "anything outside" if every else f"{first} and {count - 1} more", NAME_ROOM, NAME, True)

    def _y(self, row: int) -> float:
        """The upper edge of a row; those inside begin below a rule."""
        outside = self._outside_rows()
        return self.top + HIGH * row + (8 if outside and row >= outside else 0)

    def paint(self, ax: "Axes", every_glyph: bool = False) -> "Axes":
        """Draw everything on an axis, and give it back."""
        pen = pen_on(ax, *self.size, every_glyph=every_glyph)
        pen.text(Text(MARGIN, 26, cut(self.title, self.size[0] - 2 * MARGIN, 14, True), 14, "ink", True), 5)
        pen.text(Text(MARGIN, 43, cut(self.shown.said(), self.size[0] - 2 * MARGIN, 8.6), 8.6, "quiet"), 5)
        for place, column in enumerate(self.columns):
            self._column(pen, place, column)
        for row, at in enumerate(self.rows):
            self._row(pen, row, self.shown.parties[at])
            for place, column in enumerate(self.columns):
                self._cell(pen, row, place, at, column[0])
        outside = self._outside_rows()
        if 0 < outside < len(self.rows):
            y = self._y(outside) - 4
            pen.path([(MARGIN, y), (self.left + self.wide * len(self.columns), y)], EXPOSED, "solid", 1.2, 0, 4)
        _legend(pen, self.shown, self.size[1] - 18)
        return ax

    def _column(self, pen: Pen, place: int, column: list[int]) -> None:
        x = self.left + self.wide * (place + 0.5)
        exposed = column[0] in self.shown.exposed
        pen.text(Text(x + 4, self.top - 7, self._heading(column), NAME, "exposed" if exposed else "ink", True), 5, turn=45)
        if exposed:
            pen.rounded(Rect(self.left + self.wide * place + 2, self.top - 4.5, self.wide - 4, 3), EXPOSED, "none", "solid", 0, 1, 4)

    def _row(self, pen: Pen, row: int, party: Party) -> None:
        y = self._y(row) + HIGH / 2 + 3
        name = cut(party.name, NAME_ROOM, NAME, True)
        pen.text(Text(self.left - 8, y, name, NAME, "exposed" if party.outside else "ink", True, "end"), 5)
        beside = self.left - 8 - width(name, NAME, True) - 8
        note = cut(party.note, NAME_ROOM, 7.2)
        if note and beside - width(note, 7.2) >= MARGIN - 1:
            pen.text(Text(beside, y, note, 7.2, "quiet", False, "end"), 5)

    def _cell(self, pen: Pen, row: int, place: int, at: int, to: int) -> None:
        from matplotlib.patches import Rectangle

        x, y = self.left + self.wide * place, self._y(row)
        tie = self.shown.ties.get((at, to))
        face, edge, role = _look(self.shown, at, to) if tie else (ITSELF if at == to else "white", "#E3E7EB", "quiet")
        rim = "white" if tie else edge
        pen.ax.add_patch(Rectangle((x, y), self.wide, HIGH, facecolor=face, edgecolor=rim, linewidth=pen.scale, zorder=2))
        if tie and not tie.whole:
            hatch = Rectangle((x, y), self.wide, HIGH, facecolor="none", edgecolor=edge, hatch=HATCH, linewidth=0, alpha=0.35, zorder=2.5)
            pen.ax.add_patch(hatch)
        if tie:
            words = fitted(tie.services, self.wide - 6, LETTERS)
            pen.text(Text(x + self.wide / 2, y + HIGH / 2 + 2.9, words, LETTERS, role, role == "white", "middle"), 5)


def heading_width(title: str, shown: Parties) -> float:
    """How wide a picture has to be for its title and the line below, within reason."""
    return min(2 * MARGIN + max(width(title, 14, True), width(shown.said(), 8.6)), 700.0)


def _columns(shown: Parties) -> list[list[int]]:
    """The destinations, a column each; those outside to which everybody can open the same share one."""
    inside = [[at] for at in shown.destinations if not shown.parties[at].outside]
    alike: dict[tuple[object, ...], list[int]] = {}
    for at in shown.destinations:
        if shown.parties[at].outside:
            alike.setdefault(tuple(shown.ties.get((source, at)) for source in shown.sources), []).append(at)
    return inside + list(alike.values())


def _label_width(party: Party) -> float:
    name = width(cut(party.name, NAME_ROOM, NAME, True), NAME, True)
    return name + (8 + width(cut(party.note, NAME_ROOM, 7.2), 7.2) if party.note else 0)


def _look(shown: Parties, at: int, to: int) -> tuple[str, str, str]:
    """Face, edge and role of the letters of what one party can open at another."""
    if shown.parties[at].outside:
        return EXPOSED, EXPOSED_EDGE, "white"
    return (OUT, OUT_EDGE, "ink") if shown.parties[to].outside else (OPEN, OPEN_EDGE, "ink")


def _legend(pen: Pen, shown: Parties, y: float) -> None:
    """Samples of the kinds of ties that there are."""
    from matplotlib.patches import Rectangle

    kinds = [
        (EXPOSED, "from outside", any(shown.parties[at].outside for at, _ in shown.ties)),
        (OPEN, "inside", any(not shown.parties[at].outside and not shown.parties[to].outside for at, to in shown.ties)),
        (OUT, "to the outside", any(shown.parties[to].outside for _, to in shown.ties)),
        ("", "only some of the pairs", any(not tie.whole for tie in shown.ties.values())),
    ]
    x = MARGIN
    for face, word, there in kinds:
        if not there:
            continue
        hatch = None if face else HATCH
        pen.ax.add_patch(
            Rectangle((x, y - 9), 18, 11, facecolor=face or "white", edgecolor=OUT_EDGE, hatch=hatch, linewidth=0.8 * pen.scale, zorder=3)
        )
        pen.text(Text(x + 24, y, word, 8.2, "quiet"), 5)
        x += 42 + width(word, 8.2)
    pen.text(Text(x, y, "a bare number is a tcp port", 8.2, "quiet"), 5)
