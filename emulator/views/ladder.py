"""The ladder diagram of one conversation: time downwards, ends and filters as lanes, lost packets ending in a cross.

Rungs stand at equal distances, with their times beside them: a pause of seconds would leave the rest unreadable.
"""

import os
from typing import TYPE_CHECKING, Any

from emulator.clock import format_time
from emulator.views.figure import ACCEPT, DROP, PARTIAL, font_of, in_notebook, kind_of, new_figure, rendered, write
from emulator.views.rungs import Conversation, LadderLane, Remembered, Rung
from emulator.views.text import cut, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT, APART, RIGHT = 96.0, 150.0, 190.0
TOP, STEP, BOTTOM = 96.0, 27.0, 46.0
INK, QUIET, RAIL, FILTER, MEMORY = "#16191F", "#545B64", "#9AA5B1", "#EEE6FF", "#0B6E69"
PAUSE_NS = 200_000_000  # longer than that between two rungs is written out


def size_of(told: Conversation) -> tuple[float, float]:
    """How many points a ladder is wide and high."""
    right = RIGHT if any(rung.verdict == "drop" for rung in told.rungs) else RIGHT / 2
    return LEFT + APART * (len(told.lanes) - 1) + right, TOP + STEP * max(len(told.rungs), 1) + BOTTOM


def draw_ladder(told: Conversation, ax: "Axes | None" = None, title: str = "") -> "Axes":
    """Draw a conversation; gives the axis, the given one or that of a new figure."""
    wide, high = size_of(told)
    if ax is None:
        ax = new_figure(wide, high, shown=in_notebook()).add_axes((0, 0, 1, 1))
    ax.set_xlim(0, wide)
    ax.set_ylim(high, 0)
    ax.set_aspect("equal")
    ax.set_axis_off()
    area, dots = ax.get_window_extent(), ax.figure.dpi / 72
    _Ladder(ax, told, float(min(area.width / wide, area.height / high) / dots)).draw(title or told.title, wide, high)
    return ax


class _Ladder:
    """Draws one ladder; places are points of the whole, letters and lines are scaled."""

    def __init__(self, ax: "Axes", told: Conversation, scale: float) -> None:
        self.ax, self.told, self.scale = ax, told, scale

    def x(self, lane: int) -> float:
        return LEFT + APART * lane

    def y(self, row: float) -> float:
        return TOP + STEP * (row + 0.5)

    def draw(self, title: str, wide: float, high: float) -> None:
        self.text(16, 22, cut(title, wide - 32, 12, True), 12, INK, bold=True)
        for place, lane in enumerate(self.told.lanes):
            self.lane(place, lane, high)
        for entry in self.told.entries:
            self.entry(entry, high)
        start = self.told.rungs[0].time_ns if self.told.rungs else 0
        for row, rung in enumerate(self.told.rungs):
            self.rung(row, rung, start)
        self.legend(high)

    def lane(self, place: int, lane: LadderLane, high: float) -> None:
        from matplotlib.patches import Rectangle

        x, bottom = self.x(place), high - BOTTOM + 6
        room = APART - 10
        if lane.kind:
            self.ax.add_patch(Rectangle((x - 5, TOP - 8), 10, bottom - TOP + 8, facecolor=FILTER, edgecolor="none", zorder=1))
        self.line([(x, TOP - 8), (x, bottom)], RAIL, "solid" if not lane.kind else (0, (1, 1.5)), 1.2, 2)
        self.text(x, TOP - 30, cut(lane.name, room, 9.5, True), 9.5, INK, bold=True, anchor="center")
        self.text(
            x,
            TOP - 17,
            cut(lane.kind or (lane.ip if lane.ip != lane.name else ""), room, 8),
            8,
            "#5A35B5" if lane.kind else QUIET,
            anchor="center",
        )

    def entry(self, entry: Remembered, high: float) -> None:
        """A bar beside the lane for as long as the entry was there; open below if it still is."""
        from matplotlib.patches import Rectangle

        beside = 9 + 7 * sum(other.lane == entry.lane and other.number < entry.number for other in self.told.entries)
        x, top = self.x(entry.lane) + beside, self.y(entry.first)
        end = high - BOTTOM + 6 if entry.alive else self.y(entry.last)
        self.ax.add_patch(Rectangle((x, top), 4, max(end - top, 5), facecolor=MEMORY, edgecolor="white", linewidth=0.4, zorder=2.5))
        if not entry.alive:
            self.line([(x - 2, end), (x + 6, end)], MEMORY, "solid", 1.6, 2.6)
        words = cut(f"entry {entry.number} {'open' if entry.alive else 'gone'}: {entry.rule}", APART - 24, 7)
        self.text(x + 6, max(end - 4, top + 5) if entry.alive else end + 9, words, 7, MEMORY)

    def rung(self, row: int, rung: Rung, start: int) -> None:
        y = self.y(row)
        if rung.verdict == "gap":
            self.text(self.x(0) + 14, y + 3, f"… {rung.packets:,} packets left out …", 8, QUIET)
            return
        self.text(LEFT - 14, y + 3, f"{format_time(rung.time_ns - start)}", 8, QUIET, anchor="right")
        before = self.told.rungs[row - 1].time_ns if row else rung.time_ns
        after_gap = row > 0 and self.told.rungs[row - 1].verdict == "gap"
        if rung.time_ns - before > PAUSE_NS and not after_gap:
            self.text(LEFT - 14, y - STEP / 2 + 2.5, f"+{(rung.time_ns - before) / 1e9:.3g} s ⋮", 6.5, RAIL, anchor="right")
        if rung.verdict == "unsent":
            self.unsent(y, rung)
            return
        colour, style = (ACCEPT, "solid") if rung.verdict == "accept" else (DROP, (0, (4, 2)))
        x, end = self.x(rung.start), self.x(rung.end)
        way = 1 if end > x or (end == x and rung.start == 0) else -1
        if end == x:
            end = x + way * 22
        self.arrow(x, end, y, way, colour, style, arrives=rung.verdict == "accept")
        self.label(rung, x, y, way, colour)

    def label(self, rung: Rung, x: float, y: float, way: int, colour: str) -> None:
        """What the packet is, above its line near where it set out; why it was lost, beside its end."""
        room = max(abs(self.x(rung.end) - x) - 24, 60)
        text = cut(rung.label, min(room, APART - 24), 8, True)
        self.text(x + way * (APART / 2), y - 4.5, text, 8, colour, bold=True, anchor="center")
        if rung.verdict != "drop":
            return
        end = self.x(rung.end) if rung.end != rung.start else x + way * 22
        beside = end + way * 12
        left = len(self.told.lanes) - 1 - rung.end if way > 0 else rung.end
        reach = left * APART + (RIGHT if way > 0 else LEFT) - 24
        first = self._first_of(rung)
        room = max(reach, 150) * 0.9  # small letters come out wider than their measures
        lines = [rung.reason, *(wrap(rung.text, room, 7, 2) if first else [])]
        anchor = "left" if way > 0 else "right"
        for number, line in enumerate(lines):
            size = 7.5 if number == 0 else 7
            words = cut(line, room, size, number == 0)
            self.text(beside, y + (3 if len(lines) == 1 else number * 9 - 3), words, size, "#8B140A", number == 0, anchor, backed=True)

    def _first_of(self, rung: Rung) -> bool:
        return next(other for other in self.told.rungs if other.reason == rung.reason and other.text == rung.text) is rung

    def arrow(self, x: float, end: float, y: float, way: int, colour: str, style: Any, arrives: bool) -> None:
        """A packet's line, with a head where it arrived or a cross where it was lost."""
        from matplotlib.patches import Circle, Polygon

        stop = end - way * (7 if arrives else 6)
        self.line([(x, y), (stop, y)], colour, style, 1.7, 4)
        self.ax.add_patch(Circle((x, y), 2.4, facecolor=colour, edgecolor="none", zorder=4))
        if arrives:
            self.ax.add_patch(Polygon([(end, y), (stop, y - 4), (stop, y + 4)], facecolor=colour, edgecolor="none", zorder=5))
            return
        self.ax.add_patch(Circle((end, y), 6.5, facecolor=DROP, edgecolor="white", linewidth=0.9 * self.scale, zorder=5))
        for lean in (1, -1):
            self.line([(end - 2.8, y - lean * 2.8), (end + 2.8, y + lean * 2.8)], "white", "solid", 1.7, 6)

    def unsent(self, y: float, rung: Rung) -> None:
        """A hollow mark where the packet would have set out."""
        from matplotlib.patches import Circle

        x, way = self.x(rung.start), 1 if rung.start == 0 else -1
        self.ax.add_patch(Circle((x, y), 4, facecolor="white", edgecolor=PARTIAL, linewidth=1.3 * self.scale, zorder=5))
        count = f"{rung.packets:,} packets" if rung.packets > 1 else rung.label
        words = cut(f"{count} {rung.text}", APART * 2, 7.5)
        self.text(x + way * 10, y + 2.6, words, 7.5, "#6E4200", anchor="left" if way > 0 else "right", backed=True)

    def legend(self, high: float) -> None:
        y = high - 16
        self.arrow(16, 46, y, 1, ACCEPT, "solid", True)
        self.text(52, y + 3, "arrived", 8, QUIET)
        self.arrow(104, 134, y, 1, DROP, (0, (4, 2)), False)
        self.text(146, y + 3, "dropped there", 8, QUIET)
        from matplotlib.patches import Circle, Rectangle

        self.ax.add_patch(Circle((226, y), 4, facecolor="white", edgecolor=PARTIAL, linewidth=1.3 * self.scale, zorder=5))
        self.text(235, y + 3, "never sent", 8, QUIET)
        self.ax.add_patch(Rectangle((296, y - 7), 4, 14, facecolor=MEMORY, zorder=5))
        self.text(305, y + 3, "remembered by the groups", 8, QUIET)

    def line(self, points: list[tuple[float, float]], colour: str, style: Any, wide: float, layer: float) -> None:
        from matplotlib.lines import Line2D

        self.ax.add_line(Line2D(*zip(*points, strict=True), color=colour, linestyle=style, linewidth=wide * self.scale, zorder=layer))

    def text(
        self, x: float, y: float, text: str, size: float, colour: str, bold: bool = False, anchor: str = "left", backed: bool = False
    ) -> None:
        """A text as it is: nothing in it is a command, and what the font lacks is replaced."""
        font, known = font_of(bold)
        font = font.copy()
        font.set_size(size * self.scale)
        self.ax.text(
            x,
            y,
            "".join(character if ord(character) in known else "\ufffd" for character in text),
            fontproperties=font,
            color=colour,
            horizontalalignment=anchor,
            verticalalignment="baseline",
            parse_math=False,
            usetex=False,
            zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6 * self.scale} if backed else None,
        )


def save_ladder(told: Conversation, path: str | os.PathLike[str], title: str = "") -> None:
    """Write a ladder as PNG, SVG or PDF, by the name's suffix; the same input gives the same bytes.

    Raises
    ------
    UsageError : another suffix, or a place that cannot be written to.
    """
    kind = kind_of(path)
    write(path, rendered(kind, *size_of(told), lambda axis: draw_ladder(told, axis, title)))
