"""Words beside the places where flows died, and on the lanes that passed.

A callout stands where it hides least: every candidate about its mark has a price for its distance and for the cards,
texts, marks and lanes that it would cover; callouts never cover one another.  One that finds no room at all is left
out and counted, so what is drawn is always legible.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from emulator.model.entities import ExternalHost, NetworkInterface
from emulator.model.topology import Topology
from emulator.views.boxes import Plan
from emulator.views.shapes import Callout, FlowLine, Label, Lane, Mark, Point, Rect
from emulator.views.text import cut, width, wrap

SIZE, LEADING, PADDING, WIDEST = 7.2, 9.4, 5.0, 216.0
MOST_LINES, MOST_REASONS = 4, 2
NEAR = 380.0
_CARDS = ("instance", "nat", "fold", "host", "igw", "eigw", "pcx")


def callouts(topology: Topology, plan: Plan, lanes: Sequence[Lane], area: Rect) -> tuple[Callout, ...]:
    """One callout for each place where packets died, within an area, none over another."""
    grouped: dict[str, list[Lane]] = defaultdict(list)
    for lane in lanes:
        if lane.flow.verdict != "accept":
            grouped[lane.place].append(lane)
    hidden = _hidden(plan, lanes)
    done: list[Callout] = []
    for place, found in grouped.items():
        lines = _lines(topology, plan, found)
        targets = [_sign(lane) for lane in found]
        while lines:
            wide = max(width(text, SIZE, bold) for text, bold in lines) + 2 * PADDING + 2
            spot = _spot((wide, len(lines) * LEADING + 2 * PADDING - 1), targets, area, hidden, done)
            if spot:
                verdict = "drop" if any(lane.flow.verdict == "drop" for lane in found) else "partial"
                done.append(Callout(spot[0], tuple(lines), spot[1], verdict, place, SIZE))
                break
            lines = lines[:1] if len(lines) > 1 else []
    return tuple(done)


def _sign(lane: Lane) -> Mark:
    return next(mark for mark in reversed(lane.marks) if mark.kind in ("cross", "part"))


def who(topology: Topology, key: str) -> str:
    """What people call an end of a flow."""
    entity = topology.entities.get(key)
    if isinstance(entity, NetworkInterface):
        return topology.display(entity.instance if len(topology.interfaces_of(entity.instance)) == 1 else key)
    if isinstance(entity, ExternalHost):
        return entity.name
    return entity.name if entity is not None else "the Internet"


def _lines(topology: Topology, plan: Plan, lanes: Sequence[Lane]) -> list[tuple[str, bool]]:
    reasons: dict[tuple[str, str], list[Lane]] = defaultdict(list)
    for lane in lanes:
        reasons[lane.flow.reason, lane.flow.code].append(lane)
    done: list[tuple[str, bool]] = []
    left = MOST_LINES
    shown = list(reasons.items())[:MOST_REASONS]
    for place, ((reason, code), found) in enumerate(shown):
        now = found[: left - (len(shown) - 1 - place)]
        left -= len(now)
        done += [(cut(_flow(topology, plan, lane), WIDEST, SIZE, True), True) for lane in now]
        if place == len(shown) - 1 and (more := len(lanes) - (MOST_LINES - left)):
            done.append((f"+ {more} more", True))
        done += [(line, False) for line in wrap(reason, WIDEST, SIZE, 3)]
        if code:
            done.append((cut(code, WIDEST, SIZE), False))
    return done


def _flow(topology: Topology, plan: Plan, lane: Lane) -> str:
    flow: FlowLine = lane.flow
    source, destination = who(topology, flow.source), who(topology, flow.destination)
    if lane.place == plan.cell_of(topology, flow.source):
        words = f"{flow.label} to {destination}"
    elif lane.place == plan.cell_of(topology, flow.destination):
        words = f"{flow.label} from {source}"
    else:
        words = f"{flow.label} {source} → {destination}"
    return words if flow.verdict == "drop" else f"{words}: {flow.dropped} of {flow.packets} lost"


class _Hidden:
    """What a callout would hide, each with a price: areas by the square point, lanes by the point."""

    def __init__(self, areas: list[tuple[Rect, float]], strokes: list[Rect]) -> None:
        self.areas, self.strokes = areas, strokes

    def near(self, point: Point, reach: float) -> "_Hidden":
        window = Rect(point[0] - reach, point[1] - reach, 2 * reach, 2 * reach)
        return _Hidden([pair for pair in self.areas if pair[0].overlap(window)], [rect for rect in self.strokes if rect.overlap(window)])

    def price(self, rect: Rect) -> float:
        areas = sum(known.overlap(rect) * price for known, price in self.areas)
        return areas + sum(0.5 * known.overlap(rect) for known in self.strokes)


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
    areas = [(box.rect, 0.1) for box in plan.boxes if box.kind in _CARDS]
    areas += [(rect, 1.0) for rect in _texts(plan)] + [(tag.rect, 0.6) for tag in plan.tags]
    for lane in lanes:
        for mark in lane.marks:
            size = mark.radius + 2
            price = {"cross": 6.0, "part": 6.0, "arrow": 1.0}.get(mark.kind, 0.3)
            areas.append((Rect(mark.x - size, mark.y - size, 2 * size, 2 * size), price))
    edges = [edge for box in plan.boxes if box.kind in ("vpc", "internet") for edge in _edges(box.rect)]
    return _Hidden(areas, edges + [rect for lane in lanes for rect in strokes(lane)])


def _edges(rect: Rect) -> list[Rect]:
    thin = 0.5
    return [
        Rect(rect.x, rect.y, rect.w, thin),
        Rect(rect.x, rect.bottom, rect.w, thin),
        Rect(rect.x, rect.y, thin, rect.h),
        Rect(rect.right, rect.y, thin, rect.h),
    ]


def _spot(size: Point, targets: Sequence[Mark], area: Rect, hidden: _Hidden, others: Sequence[Callout]) -> tuple[Rect, Point] | None:
    """The cheapest place within the area that covers no other callout, and the mark that it speaks of."""
    best: tuple[float, Rect, Point] | None = None
    ordered = sorted(targets, key=lambda mark: (-mark.x, mark.y))[:5]
    for mark in ordered:
        point = (mark.x, mark.y)
        near = hidden.near(point, NEAR)
        for rect in _around(mark, size):
            if rect.inside(area) and not any(rect.overlap(other.rect, 3) for other in others):
                price = _away(rect, point) * 0.9 + near.price(rect)
                if best is None or price < best[0] - 1e-9:
                    best = (price, rect, point)
    if best is None and targets:
        point = (targets[0].x, targets[0].y)
        for rect in _everywhere(area, size):
            if not any(rect.overlap(other.rect, 3) for other in others):
                price = _away(rect, point) * 0.9 + hidden.price(rect)
                if best is None or price < best[0] - 1e-9:
                    best = (price, rect, point)
    return best[1:] if best else None


def _around(mark: Mark, size: Point) -> Iterator[Rect]:
    wide, high = size
    for away in (5.0, 14.0, 26.0, 42.0, 64.0, 92.0, 130.0, 180.0):
        gap = mark.radius + away
        for share in (0.12, 0.35, 0.5, 0.65, 0.88):
            top, left = mark.y - high * share, mark.x - wide * share
            yield Rect(mark.x + gap, top, wide, high)
            yield Rect(left, mark.y + gap, wide, high)
            yield Rect(mark.x - gap - wide, top, wide, high)
            yield Rect(left, mark.y - gap - high, wide, high)


def _everywhere(area: Rect, size: Point) -> Iterator[Rect]:
    step = 20.0
    for row in range(int(max(0.0, area.h - size[1]) // step) + 1):
        for column in range(int(max(0.0, area.w - size[0]) // step) + 1):
            rect = Rect(area.x + column * step, area.y + row * step, *size)
            if rect.inside(area):
                yield rect


def _away(rect: Rect, point: Point) -> float:
    aside = max(rect.x - point[0], 0.0, point[0] - rect.right)
    return aside + max(rect.y - point[1], 0.0, point[1] - rect.bottom)


def labels(plan: Plan, lanes: Sequence[Lane], speaking: Sequence[Callout]) -> tuple[Label, ...]:
    """What accepted lanes carry, written on a level stretch of each where nothing else is, if there is such a place."""
    size, high = 6.6, 7.6
    taken = [callout.rect for callout in speaking] + _texts(plan) + [tag.rect for tag in plan.tags]
    taken += [box.rect for box in plan.boxes if box.kind in _CARDS]
    taken += [Rect(mark.x - mark.radius, mark.y - mark.radius, 2 * mark.radius, 2 * mark.radius) for lane in lanes for mark in lane.marks]
    drawn = [strokes(lane) for lane in lanes]
    done: list[Label] = []
    for number, lane in enumerate(lanes):
        text = cut(lane.flow.label, 90, size)
        if lane.flow.verdict != "accept" or not text:
            continue
        wide = width(text, size) + 4
        others = [rect for place, rects in enumerate(drawn) if place != number for rect in rects]
        for spot in _along(lane, wide, high):
            blocked = any(spot.overlap(rect) for rect in others) or any(spot.overlap(rect, 1) for rect in taken)
            if not blocked and not any(spot.overlap(label.rect, 1) for label in done):
                done.append(Label(spot, text, size))
                break
    return tuple(done)


def _along(lane: Lane, wide: float, high: float) -> Iterator[Rect]:
    for (x, y), (until_x, until_y) in reversed(list(zip(lane.points, lane.points[1:], strict=False))):
        length = abs(until_x - x)
        if abs(until_y - y) < 0.01 and length >= wide + 16:
            low = min(x, until_x) + 8
            for share in (0.85, 0.5, 0.15, 0.7, 0.3, 0.6, 0.4):
                yield Rect(low + (length - 16 - wide) * share, y - high / 2, wide, high)
