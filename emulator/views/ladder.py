"""The ladder diagram of one conversation: time downwards, ends and filters as lanes, lost packets ending in a cross.

Rungs stand at equal distances, with their times beside them: a pause of seconds would leave the rest unreadable.
"""

from typing import TYPE_CHECKING

from emulator.clock import format_time
from emulator.views.figure import ACCEPT, DROP, INK, PARTIAL, Pen, pen_on
from emulator.views.rungs import Conversation, LadderLane, Remembered, Rung
from emulator.views.shapes import Mark, Rect, Text
from emulator.views.text import cut, width, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT, APART, RIGHT = 96.0, 150.0, 190.0
TOP, STEP, BOTTOM = 96.0, 27.0, 46.0
RAIL, FILTER, MEMORY = "#9AA5B1", "#EEE6FF", INK["remembered"]
LOST = (0, (4, 2))
STUB = 22.0  # the line of a packet that ended on the lane where it set out
MOST_BARS = 4  # beside each other
PAUSE_NS = 200_000_000  # longer than that between two rungs is written out


class Ladder:
    """A conversation laid out; ``size`` in points."""

    def __init__(self, told: Conversation, title: str = "") -> None:
        self.told, self.title = told, title or told.title
        right = RIGHT if any(rung.verdict == "drop" for rung in told.rungs) else RIGHT / 2
        self.size = LEFT + APART * (len(told.lanes) - 1) + right, TOP + STEP * max(len(told.rungs), 1) + BOTTOM

    def paint(self, ax: "Axes", every_glyph: bool = False) -> "Axes":
        """Draw everything on an axis, and give it back."""
        _Brush(pen_on(ax, *self.size, every_glyph=every_glyph), self).ladder()
        return ax


class _Brush:
    """Draws one ladder."""

    def __init__(self, pen: Pen, sheet: Ladder) -> None:
        self.pen, self.told, self.title = pen, sheet.told, sheet.title
        self.wide, self.high = sheet.size

    def x(self, lane: int) -> float:
        return LEFT + APART * lane

    def y(self, row: float) -> float:
        return TOP + STEP * (row + 0.5)

    def ladder(self) -> None:
        self.text(16, 22, cut(self.title, self.wide - 32, 12, True), 12, bold=True)
        for place, lane in enumerate(self.told.lanes):
            self.lane(place, lane)
        for entry in self.told.entries:
            self.entry(entry)
        for row, rung in enumerate(self.told.rungs):
            self.rung(row, rung)
        self.legend(self.high - 16)

    def lane(self, place: int, lane: LadderLane) -> None:
        x, bottom, room = self.x(place), self.high - BOTTOM + 6, APART - 10
        if lane.kind:
            self.pen.plain(Rect(x - 5, TOP - 8, 10, bottom - TOP + 8), FILTER, layer=1)
        self.pen.path([(x, TOP - 8), (x, bottom)], RAIL, (0, (1, 1.5)) if lane.kind else "solid", 1.2, 0, 2)
        self.text(x, TOP - 30, cut(lane.name, room, 9.5, True), 9.5, bold=True, anchor="middle")
        below = lane.kind or (lane.ip if lane.ip != lane.name else "")
        self.text(x, TOP - 17, cut(below, room, 8), 8, "router" if lane.kind else "quiet", anchor="middle")

    def entry(self, entry: Remembered) -> None:
        """A bar beside the lane for as long as the entry was there; open below if it still is.

        Those that came and went within one row are one bar.
        """
        near = [other for other in self.told.entries if other.lane == entry.lane]
        alike = [other for other in near if (other.first, other.last) == (entry.first, entry.last) and not other.alive]
        if len(alike) > 1 and entry is not alike[0]:
            return
        earlier = (other for other in near if other.number < entry.number and other not in alike)
        beside = 9 + 7 * min(sum(other.alive or other.last > entry.first for other in earlier), MOST_BARS)
        x, top = self.x(entry.lane) + beside, self.y(entry.first)
        end = self.high - BOTTOM + 6 if entry.alive else self.y(entry.last)
        self.pen.plain(Rect(x, top, 4, max(end - top, 5)), MEMORY, "white", layer=2.5)
        if not entry.alive:
            self.pen.path([(x - 2, end), (x + 6, end)], MEMORY, "solid", 1.6, 0, 2.6)
        told = f"{len(alike)} entries gone" if len(alike) > 1 else f"entry {entry.number} {'open' if entry.alive else 'gone'}: {entry.rule}"
        words = cut(told, APART - 24, 7)
        below = end - 4 if len(alike) > 1 else end + 9
        self.text(x + 6, max(end - 4, top + 5) if entry.alive else below, words, 7, "remembered")

    def rung(self, row: int, rung: Rung) -> None:
        y = self.y(row)
        if rung.verdict == "gap":
            self.text(self.x(0) + 14, y + 3, f"… {rung.packets:,} packets left out …", 8, "quiet")
            return
        before = self.told.rungs[max(row - 1, 0)]
        self.text(LEFT - 14, y + 3, format_time(rung.time_ns - self.told.rungs[0].time_ns), 8, "quiet", anchor="end")
        if rung.time_ns - before.time_ns > PAUSE_NS and before.verdict != "gap":
            self.text(LEFT - 14, y - STEP / 2 + 2.5, f"+{(rung.time_ns - before.time_ns) / 1e9:.3g} s ⋮", 6.5, "quiet", anchor="end")
        if rung.verdict == "unsent":
            self.unsent(y, rung)
            return
        x, end = self.x(rung.start), self.x(rung.end)
        way = 1 if end > x or (end == x and rung.start == 0) else -1
        arrives = rung.verdict == "accept"
        self.arrow(x, x + way * STUB if end == x else end, y, arrives)
        room = min(max(abs(end - x) - 24, 60), APART - 24)
        if end != x or arrives:
            self.text(x + way * APART / 2, y - 4.5, cut(rung.label, room, 8, True), 8, rung.verdict, bold=True, anchor="middle")
        if not arrives:
            self.reason(rung, x + way * STUB if end == x else end, y, way)

    def reason(self, rung: Rung, end: float, y: float, way: int) -> None:
        """Why a packet was lost, beside its end; all of it where it is said for the first time."""
        left = len(self.told.lanes) - 1 - rung.end if way > 0 else rung.end
        room = max(left * APART + (RIGHT if way > 0 else LEFT) - 24, APART) * 0.9  # small letters come out wider than their measures
        first = next(other for other in self.told.rungs if other.reason == rung.reason and other.text == rung.text) is rung
        head = rung.reason if rung.start != rung.end else f"{rung.label}: {rung.reason}"  # over a stub there is no room
        lines = [head, *(wrap(rung.text, room, 7, 2) if first else [])]
        for number, line in enumerate(lines):
            size, bold = (7.0, False) if number else (7.5, True)
            below = y + (3 if len(lines) == 1 else number * 9 - 3)
            self.backed(end + way * 12, below, cut(line, room, size, bold), size, "drop", bold, "start" if way > 0 else "end")

    def arrow(self, x: float, end: float, y: float, arrives: bool) -> None:
        """A packet's line, with a head where it arrived or a cross where it was lost."""
        way, colour = (1 if end > x else -1), ACCEPT if arrives else DROP
        self.pen.path([(x, y), (end - way * 6, y)], colour, "solid" if arrives else LOST, 1.7, 0, 4)
        self.pen.mark(Mark("start", x, y, 2.4), colour)
        self.pen.mark(Mark("arrow", end, y, 5, (float(way), 0.0)) if arrives else Mark("cross", end, y, 6.5), colour)

    def unsent(self, y: float, rung: Rung) -> None:
        """A hollow mark where the packet would have set out."""
        x, way = self.x(rung.start), 1 if rung.start == 0 else -1
        self.hollow(x, y)
        count = f"{rung.packets:,} packets" if rung.packets > 1 else rung.label
        words = cut(f"{count} {rung.text}", APART * 2, 7.5)
        self.backed(x + way * 10, y + 2.6, words, 7.5, "partial", anchor="start" if way > 0 else "end")

    def hollow(self, x: float, y: float) -> None:
        from matplotlib.patches import Circle

        self.pen.ax.add_patch(Circle((x, y), 4, facecolor="white", edgecolor=PARTIAL, linewidth=1.3 * self.pen.scale, zorder=5))

    def legend(self, y: float) -> None:
        self.arrow(16, 46, y, True)
        self.text(52, y + 3, "arrived", 8, "quiet")
        self.arrow(104, 134, y, False)
        self.text(146, y + 3, "dropped there", 8, "quiet")
        self.hollow(226, y)
        self.text(235, y + 3, "never sent", 8, "quiet")
        if self.told.entries:
            self.pen.plain(Rect(296, y - 7, 4, 14), MEMORY)
            self.text(305, y + 3, "remembered by the groups", 8, "quiet")

    def text(self, x: float, y: float, text: str, size: float, role: str = "ink", bold: bool = False, anchor: str = "start") -> None:
        self.pen.text(Text(x, y, text, size, role, bold, anchor), 6)

    def backed(self, x: float, y: float, text: str, size: float, role: str, bold: bool = False, anchor: str = "start") -> None:
        """A text on a ground of its own, over lines that cross it."""
        wide = width(text, size, bold)
        self.pen.rounded(Rect(x - (wide if anchor == "end" else 0), y - size, wide, size + 2), "white", "none", "solid", 0, 1, 5.5, 0.85)
        self.text(x, y, text, size, role, bold, anchor)
