"""Words beside the places where flows died, and on the lanes that passed.

A callout stands where it hides least: every candidate about its mark has a price for its distance, for the cards, marks
and lanes that it would cover, and for what its line to the mark would cross.  It never covers a name, another callout or
a place where flows end; where no candidate is left it stands below the map.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from emulator.model.topology import Topology
from emulator.views.boxes import Plan
from emulator.views.gates import KINDS
from emulator.views.phrases import reason, who
from emulator.views.shapes import Callout, FlowLine, Label, Lane, Mark, Point, Rect
from emulator.views.text import cut, width, wrap

SIZE, LEADING, PADDING, WIDEST = 7.4, 9.6, 5.0, 152.0
MOST_LINES, MOST_REASONS = 3, 2
NEAR = 560.0
_CARDS = ("instance", "nat", "fold", "host", *KINDS)


def callouts(topology: Topology, plan: Plan, lanes: Sequence[Lane], area: Rect) -> tuple[Callout, ...]:
    """One callout for each place where packets died, within an area or below it, none over another."""
    grouped: dict[str, list[Lane]] = defaultdict(list)
    for lane in lanes:
        if lane.flow.verdict != "accept":
            grouped[lane.place].append(lane)
    hidden = _hidden(plan, lanes)
    done: list[Callout] = []
    for place, found in grouped.items():
        lines = _lines(topology, plan, found)
        wide = max(width(text, SIZE, bold) for text, bold in lines) + 2 * PADDING + 4
        size = (wide, len(lines) * LEADING + 2 * PADDING - 1)
        targets = [_sign(lane) for lane in found]
        rect, target = _spot(size, targets, area, hidden, done) or _below(size, targets, area, done)
        verdict = "drop" if any(lane.flow.verdict == "drop" for lane in found) else "partial"
        done.append(Callout(rect, tuple(lines), target, verdict, place, SIZE))
    return tuple(done)


def _sign(lane: Lane) -> Mark:
    return next(mark for mark in reversed(lane.marks) if mark.kind in ("cross", "part"))


def _lines(topology: Topology, plan: Plan, lanes: Sequence[Lane]) -> list[tuple[str, bool]]:
    reasons: dict[tuple[str, str], list[Lane]] = defaultdict(list)
    for lane in lanes:
        reasons[reason(topology, lane.flow), lane.flow.code].append(lane)
    done: list[tuple[str, bool]] = []
    left = MOST_LINES
    shown = list(reasons.items())[:MOST_REASONS]
    for place, ((words, code), found) in enumerate(shown):
        now = found[: left - (len(shown) - 1 - place)]
        left -= len(now)
        done += [(line, True) for lane in now for line in _flow(topology, plan, lane)]
        more = (
            len(found) - len(now) + (sum(len(rest) for _, rest in list(reasons.items())[MOST_REASONS:]) if place == len(shown) - 1 else 0)
        )
        if more:
            done.append((f"+ {more} more", True))
        done += [(line, False) for line in wrap(words, WIDEST, SIZE, 3)]
        if code:
            done.append((cut(code, WIDEST, SIZE), False))
    return done


def _flow(topology: Topology, plan: Plan, lane: Lane) -> list[str]:
    """What was lost there, on one line or two; the addresses left out if there is no room for them."""
    flow: FlowLine = lane.flow
    lost = "" if flow.verdict == "drop" else f": {flow.dropped:,} of {flow.packets:,} lost"
    lines: list[str] = []
    for ips in ((flow.source_ip, flow.destination_ip), ("", "")):
        source, destination = who(topology, flow.source, ips[0]), who(topology, flow.destination, ips[1])
        if lane.place == plan.cell_of(topology, flow.source):
            words = f"to {destination}"
        elif lane.place == plan.cell_of(topology, flow.destination):
            words = f"from {source}"
        else:
            words = f"{source} → {destination}"
        whole = f"{flow.label} {words}{lost}"
        lines = [whole] if width(whole, SIZE, True) <= WIDEST else [f"{flow.label}{lost}", words]
        if all(width(line, SIZE, True) <= WIDEST for line in lines):
            break
    return [cut(line, WIDEST, SIZE, True) for line in lines]


class _Hidden:
    """What a callout would hide: areas with a price by the square point, lanes with one by the point, and what it must not."""

    def __init__(self, areas: list[tuple[Rect, float]], strokes: list[Rect], forbidden: list[Rect]) -> None:
        self.areas, self.strokes, self.forbidden = areas, strokes, forbidden

    def near(self, point: Point, reach: float) -> "_Hidden":
        window = Rect(point[0] - reach, point[1] - reach, 2 * reach, 2 * reach)
        return _Hidden(
            [pair for pair in self.areas if pair[0].overlap(window)],
            [rect for rect in self.strokes if rect.overlap(window)],
            [rect for rect in self.forbidden if rect.overlap(window)],
        )

    def forbids(self, rect: Rect) -> bool:
        return any(known.overlap(rect, 1) for known in self.forbidden)

    def price(self, rect: Rect) -> float:
        areas = sum(known.overlap(rect) * price for known, price in self.areas)
        return areas + sum(0.3 * known.overlap(rect) for known in self.strokes)

    def crossed(self, rect: Rect, point: Point) -> float:
        """The price of the line from a callout to its mark: what it crosses on its way."""
        near = (min(max(point[0], rect.x), rect.right), min(max(point[1], rect.y), rect.bottom))
        length = ((near[0] - point[0]) ** 2 + (near[1] - point[1]) ** 2) ** 0.5
        steps = int(length / 4)
        dots = [
            (point[0] + (near[0] - point[0]) * step / steps, point[1] + (near[1] - point[1]) * step / steps) for step in range(2, steps)
        ]
        around = Rect(min(near[0], point[0]) - 2, min(near[1], point[1]) - 2, abs(near[0] - point[0]) + 4, abs(near[1] - point[1]) + 4)
        own = Rect(point[0] - 8, point[1] - 8, 16, 16)
        areas = [(known, 4.0 + 20.0 * price) for known, price in self.areas if known.overlap(around)]
        areas += [(known, 30.0) for known in self.forbidden if known.overlap(around)]
        lanes = [known for known in self.strokes if known.overlap(around) and not known.overlap(own)]
        found = sum(price * sum(_holds(known, x, y) for x, y in dots) for known, price in areas)
        return found + 5.0 * sum(any(_holds(known, x, y, 1.5) for x, y in dots) for known in lanes)


def _holds(rect: Rect, x: float, y: float, gap: float = 0.0) -> bool:
    return rect.x - gap <= x <= rect.right + gap and rect.y - gap <= y <= rect.bottom + gap


def strokes(lane: Lane) -> list[Rect]:
    """A lane's stretches as thin rectangles."""
    half = 0.75
    done = []
    for (x, y), (until_x, until_y) in zip(lane.points, lane.points[1:], strict=False):
        left, top = min(x, until_x), min(y, until_y)
        done.append(Rect(left - half, top - half, abs(until_x - x) + 2 * half, abs(until_y - y) + 2 * half))
    return done


def _texts(plan: Plan) -> list[Rect]:
    done = []
    for text in plan.texts:
        wide = width(text.text, text.size, text.bold)
        left = text.x - {"start": 0.0, "middle": wide / 2, "end": wide}[text.anchor]
        done.append(Rect(left, text.y - text.size * 0.8, wide, text.size))
    return done


def _hidden(plan: Plan, lanes: Sequence[Lane]) -> _Hidden:
    areas = [(box.rect, 0.12) for box in plan.boxes if box.kind in _CARDS]
    forbidden = _texts(plan) + [tag.rect for tag in plan.tags]
    for lane in lanes:
        for mark in lane.marks:
            size = mark.radius + 1
            rect = Rect(mark.x - size, mark.y - size, 2 * size, 2 * size)
            if mark.kind == "start":
                areas.append((rect, 2.0))
            else:
                forbidden.append(rect)
    edges = [edge for box in plan.boxes if box.kind in ("vpc", "internet") for edge in _edges(box.rect)] * 4
    return _Hidden(areas, edges + [rect for lane in lanes for rect in strokes(lane)], forbidden)


def _edges(rect: Rect) -> list[Rect]:
    thin = 0.5
    return [
        Rect(rect.x, rect.y, rect.w, thin),
        Rect(rect.x, rect.bottom, rect.w, thin),
        Rect(rect.x, rect.y, thin, rect.h),
        Rect(rect.right, rect.y, thin, rect.h),
    ]


def _spot(size: Point, targets: Sequence[Mark], area: Rect, hidden: _Hidden, others: Sequence[Callout]) -> tuple[Rect, Point] | None:
    """The cheapest place within the area that covers no name and no other callout, and the mark that it speaks of."""
    best: tuple[float, Rect, Point] | None = None
    for mark in sorted(targets, key=lambda mark: (-mark.x, mark.y))[:5]:
        point = (mark.x, mark.y)
        near = hidden.near(point, NEAR)
        for rect in _around(mark, size):
            away = _away(rect, point) * 1.2 + (25.0 if mark.kind == "part" else 0.0)
            if best is not None and away >= best[0]:
                continue
            if rect.inside(area) and not any(rect.overlap(other.rect, 3) for other in others) and not near.forbids(rect):
                price = away + near.price(rect)
                if best is None or price < best[0]:
                    price += near.crossed(rect, point)
                if best is None or price < best[0] - 1e-9:
                    best = (price, rect, point)
    return best[1:] if best else None


def _below(size: Point, targets: Sequence[Mark], area: Rect, others: Sequence[Callout]) -> tuple[Rect, Point]:
    """A place under the map, beside or below the callouts that stand there already."""
    mark = max(targets, key=lambda mark: (mark.y, mark.x))
    y = area.bottom
    while True:
        x = max(area.x, min(mark.x - size[0] / 2, area.right - size[0]))
        rect = Rect(x, y, *size)
        met = [other.rect.bottom for other in others if rect.overlap(other.rect, 3)]
        if not met:
            return rect, (mark.x, mark.y)
        y = max(met) + 4


def _around(mark: Mark, size: Point) -> Iterator[Rect]:
    wide, high = size
    for away in (5.0, 14.0, 26.0, 42.0, 64.0, 92.0, 130.0, 180.0, 250.0, 340.0):
        gap = mark.radius + away
        for share in (0.12, 0.35, 0.5, 0.65, 0.88):
            top, left = mark.y - high * share, mark.x - wide * share
            yield Rect(mark.x + gap, top, wide, high)
            yield Rect(left, mark.y + gap, wide, high)
            yield Rect(mark.x - gap - wide, top, wide, high)
            yield Rect(left, mark.y - gap - high, wide, high)


def _away(rect: Rect, point: Point) -> float:
    aside = max(rect.x - point[0], 0.0, point[0] - rect.right)
    return aside + max(rect.y - point[1], 0.0, point[1] - rect.bottom)


def labels(plan: Plan, lanes: Sequence[Lane], speaking: Sequence[Callout]) -> tuple[Label, ...]:
    """What accepted lanes carry, written on a level stretch of each where nothing else is, if there is such a place."""
    size, high = 7.0, 8.0
    taken = [callout.rect for callout in speaking] + _texts(plan) + [tag.rect for tag in plan.tags]
    taken += [box.rect for box in plan.boxes if box.kind in _CARDS]
    taken += [Rect(mark.x - mark.radius, mark.y - mark.radius, 2 * mark.radius, 2 * mark.radius) for lane in lanes for mark in lane.marks]
    drawn = [strokes(lane) for lane in lanes]
    done: list[Label] = []
    for number, lane in enumerate(lanes):
        if lane.flow.verdict != "accept":
            continue
        others = [rect for place, rects in enumerate(drawn) if place != number for rect in rects]
        first, more, _ = lane.flow.label.partition(" · ")
        for text in [cut(lane.flow.label, 110, size), *([cut(f"{first} …", 110, size)] if more else [])]:
            wide = width(text, size) + 4
            clear = (
                spot
                for spot in _along(lane, wide, high)
                if not any(spot.overlap(rect) for rect in others)
                and not any(spot.overlap(rect, 1) for rect in taken)
                and not any(spot.overlap(label.rect, 1) for label in done)
            )
            spot = next(clear, None) if text else None
            if spot is not None:
                done.append(Label(spot, text, size))
                break
    return tuple(done)


def _along(lane: Lane, wide: float, high: float) -> Iterator[Rect]:
    for (x, y), (until_x, until_y) in reversed(list(zip(lane.points, lane.points[1:], strict=False))):
        length = abs(until_x - x)
        if abs(until_y - y) < 0.01 and length >= wide + 8:
            low = min(x, until_x) + 4
            for share in (0.85, 0.5, 0.15, 0.7, 0.3, 0.6, 0.4):
                yield Rect(low + (length - 8 - wide) * share, y - high / 2, wide, high)
