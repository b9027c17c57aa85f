"""Traffic over time: accepted packets above the line, blocked ones below it by their reason, the reasons listed beneath.

Bars are made in one pass without knowing how long the capture is: whenever time runs past the last bar, bars are put
together, two or five at once, so that a bar is always 1, 2, 10, 20, 100 … units of time wide.
"""

from collections.abc import Iterable
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from emulator.bulk.results import Stretch
from emulator.clock import format_time
from emulator.datapath.state import Outcome
from emulator.observe.words import Words
from emulator.policy.reasons import Reason, Verdict
from emulator.views.figure import ACCEPT, DROP, PARTIAL, Pen, pen_on
from emulator.views.shapes import Mark, Rect, Text
from emulator.views.sheet import MARGIN
from emulator.views.text import cut
from emulator.wire.headers import Field, Matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emulator.replay import Replay

BARS = 120  # at most
FIRST_NS = 1_000  # the narrowest bar
REASONS = 6  # of the blocked, the others are one
WIDE, LEFT, HALF, HEAD, ROW = 860.0, 74.0, 120.0, 66.0, 15.0
LOOKS = ((DROP, "////"), ("#6E1F6B", "\\\\\\\\"), ("#D9822B", "xxxx"), ("#1B4F9C", "...."), ("#7A5C00", "||||"), ("#545B64", "----"))
UNSENT = ("#FFFFFF", "......")
THIN = 3.0  # no room for a hatch
TIGHT = 12  # the halves have a scale of their own where one is so many times higher

Key = tuple[int, int, int]  # verdict, reason, place


class Bars:
    """Packets by time, verdict, reason and place.

    Attributes
    ----------
    width_ns : of a bar
    counts : bars (n,) int64 by verdict, reason and place (both 0 for what was accepted)
    """

    def __init__(self) -> None:
        self.width_ns, self.start_ns, self.end_ns = FIRST_NS, -1, 0
        self.counts: dict[Key, Matrix] = {}
        self._factors = cycle((2, 5))

    def add(self, stretch: Stretch) -> None:
        """Count the packets of a stretch; what was skipped is left out."""
        outcomes = stretch.outcomes[stretch.headers[:, Field.INDEX] - stretch.first]
        wanted = outcomes[:, Outcome.VERDICT] != Verdict.SKIPPED
        outcomes, times = outcomes[wanted], stretch.headers[wanted, Field.TIME_NS]
        if not len(times):
            return
        if self.start_ns < 0:
            self.start_ns = int(times.min())
        self.end_ns = max(self.end_ns, int(times.max()))
        while (self.end_ns - self.start_ns) // self.width_ns >= BARS:
            self._widen(next(self._factors))
        keys = outcomes[:, [Outcome.VERDICT, Outcome.REASON, Outcome.PLACE]].copy()
        keys[keys[:, 0] != Verdict.DROP, 1:] = 0
        kinds, which = np.unique(keys, axis=0, return_inverse=True)
        bars = np.maximum(times - self.start_ns, 0) // self.width_ns
        for number, kind in enumerate(kinds.tolist()):
            found = np.bincount(bars[which.ravel() == number], minlength=BARS)
            self.counts[tuple(kind)] = self.counts.get(tuple(kind), np.zeros(BARS, np.int64)) + found

    def _widen(self, factor: int) -> None:
        self.width_ns *= factor
        for key, bars in self.counts.items():
            joined = np.zeros(BARS, np.int64)
            joined[: BARS // factor] = bars.reshape(-1, factor).sum(axis=1)
            self.counts[key] = joined

    @property
    def used(self) -> int:
        """How many bars there are from the first packet to the last."""
        return max(0, self.end_ns - self.start_ns) // self.width_ns + 1


def bars_of(stretches: Iterable[Stretch]) -> Bars:
    """The bars of all packets."""
    bars = Bars()
    for stretch in stretches:
        bars.add(stretch)
    return bars


class Timeline:
    """The traffic of a replay over time, laid out; ``size`` in points."""

    def __init__(self, replay: "Replay", title: str = "") -> None:
        self.title = title or f"{replay.topology.name}: {replay.run.title} over time"
        self.bars = bars_of(replay.stretches())
        none = np.zeros(BARS, np.int64)
        self.accepted = self.bars.counts.get((Verdict.ACCEPT, 0, 0), none)
        self.below = _blocked(self.bars, replay.words)
        unsent = self.bars.counts.get((Verdict.UNSENT, 0, 0), none)
        if unsent.any():
            self.below.append(("never sent: what they answer was blocked", unsent, *UNSENT))
        blocked = sum((row for _, row, *_ in self.below), none)
        self.high, self.low = int(self.accepted.max()), int(blocked.max())
        if max(self.high, self.low) < TIGHT * min(self.high, self.low) or not self.high or not self.low:
            self.high = self.low = max(self.high, self.low, 1)
        self.counts = replay.counts
        self.size = WIDE, HEAD + 2 * HALF + 44 + ROW * len(self.below) + 12

    def paint(self, ax: "Axes", every_glyph: bool = False) -> "Axes":
        """Draw everything on an axis, and give it back."""
        pen = pen_on(ax, *self.size, every_glyph=every_glyph)
        pen.text(Text(MARGIN, 26, cut(self.title, WIDE - 2 * MARGIN, 14, True), 14, "ink", True), 5)
        pen.text(Text(MARGIN, 43, self.said(), 8.6, "quiet"), 5)
        self._scale(pen)
        self._bars(pen)
        for place, (name, row, face, hatch) in enumerate(self.below):
            self._row(pen, HEAD + 2 * HALF + 44 + ROW * place, name, int(row.sum()), face, hatch)
        return ax

    def said(self) -> str:
        """The line below the title."""
        parts = [f"{self.counts[name]:,} {word}" for name, word in (("accept", "accepted"), ("drop", "blocked"), ("unsent", "never sent"))]
        scale = "" if self.high == self.low else "  –  above and below the line have a scale of their own"
        return f"{', '.join(parts)} packets; a bar is {format_time(self.bars.width_ns)}{scale}"

    def _bars(self, pen: Pen) -> None:
        apart = (WIDE - LEFT - MARGIN) / self.bars.used
        for bar in range(self.bars.used):
            x, wide = LEFT + apart * bar, apart * 0.86
            tall = float(self.accepted[bar]) * HALF / self.high
            if tall:
                pen.plain(Rect(x, HEAD + HALF - max(tall, 0.8), wide, max(tall, 0.8)), ACCEPT)
            y = HEAD + HALF + 1
            for _, row, face, hatch in self.below:
                tall = float(row[bar]) * (HALF - 1) / self.low
                if tall:
                    _hatched(pen, Rect(x, y, wide, max(tall, 0.8)), face, hatch)
                    y += tall

    def _scale(self, pen: Pen) -> None:
        middle, right = HEAD + HALF, WIDE - MARGIN
        for most, tall, way in ((self.high, HALF, -1), (self.low, HALF, 1)):
            step = _round(most)
            for value in range(step, most + 1, step):
                y = middle + way * tall * value / most
                pen.path([(LEFT, y), (right, y)], "#E3E7EB", "solid", 0.6, 0, 1)
                pen.text(Text(LEFT - 6, y + 2.8, f"{value:,}", 7.6, "quiet", False, "end"), 5)
        pen.path([(LEFT, middle), (right, middle)], "#545B64", "solid", 1, 0, 4)
        pen.text(Text(MARGIN + 8, middle - HALF / 2, "accepted", 8.2, "accept", True, "middle"), 5, turn=90)
        pen.text(Text(MARGIN + 8, middle + HALF / 2, "blocked", 8.2, "drop", True, "middle"), 5, turn=90)
        total, span = self.bars.used, self.bars.width_ns
        step = _round(total)
        for bar in range(0, total + 1, step):
            x = LEFT + (right - LEFT) * bar / total
            pen.path([(x, HEAD + 2 * HALF), (x, HEAD + 2 * HALF + 4)], "#545B64", "solid", 0.8, 0, 1)
            pen.text(Text(x, HEAD + 2 * HALF + 14, format_time(bar * span) if bar else "0", 7.6, "quiet", False, "middle"), 5)

    def _row(self, pen: Pen, y: float, name: str, packets: int, face: str, hatch: str) -> None:
        _hatched(pen, Rect(LEFT, y - 8, 22, 10), face, hatch)
        if face != UNSENT[0]:
            pen.mark(Mark("cross", LEFT - 12, y - 3, 4.6), DROP)
        count = f"{packets:,}"
        pen.text(Text(LEFT + 76, y, count, 8.2, "ink", True, "end"), 5)
        pen.text(Text(LEFT + 84, y, cut(name, WIDE - LEFT - MARGIN - 84, 8.2), 8.2, "ink"), 5)


def _hatched(pen: Pen, rect: Rect, face: str, hatch: str) -> None:
    pen.plain(rect, face, PARTIAL if face == UNSENT[0] else "#FFFFFF", hatch if rect.h > THIN else "")


def _blocked(bars: Bars, words: Words) -> list[tuple[str, Matrix, str, str]]:
    """Name, bars, colour and hatch of each reason, most packets first; places as one if they are many, and the rarest reasons."""
    drops = {key: row for key, row in bars.counts.items() if key[0] == Verdict.DROP}
    found: dict[str, Matrix] = {}
    for (_, reason, place), row in drops.items():
        places = {other for _, same, other in drops if same == reason}
        alone = len(drops) <= REASONS or len(places) == 1
        where = f" at {words.place(place)}" if alone and place else "" if alone else f" at {len(places):,} places"
        name = Reason(reason).name + where
        found[name] = found.get(name, np.zeros(BARS, np.int64)) + row
    named = sorted(found.items(), key=lambda item: (-int(item[1].sum()), item[0]))
    if len(named) > REASONS:
        rest = named[REASONS - 1 :]
        named[REASONS - 1 :] = [(f"{len(rest):,} other reasons", sum((row for _, row in rest), np.zeros(BARS, np.int64)))]
    return [(name, row, *look) for (name, row), look in zip(named, LOOKS, strict=False)]


def _round(most: int) -> int:
    """A step of 1, 2 or 5 times a power of ten that makes some three to seven marks."""
    for power in range(19):
        for first in (1, 2, 5):
            if most <= first * 10**power * 6:
                return int(first * 10**power)
    return most
