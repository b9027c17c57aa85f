"""Tracks for lanes in a channel: their order, chosen so that few cross, and how far apart they run.

A channel is an aisle (lanes run from left to right and leave it upwards) or a rail, an alley or the gutter (lanes run
up and down and leave to the left or right).  Lanes that do not meet may share a track.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

WIDEST = 6.5  # between two tracks
APART = 3.0  # what lanes on one track keep between their ends


@dataclass
class Run:
    """A stretch of one lane along a channel, from ``low`` to ``high``.

    Parameters
    ----------
    channel : which one.
    ends : (side, coordinate along the channel) where the lane turns out of it; the side is -1 for up and left, 1 for right.
    at : the track's coordinate across the channel, given by `spread`.
    """

    channel: tuple[object, ...]
    low: float
    high: float
    ends: list[tuple[int, float]] = field(default_factory=list)
    at: float = 0.0


def crossings(first: Run, second: Run) -> int:
    """How often two runs cross if the first one lies above (or left of) the second."""
    found = sum(1 for side, place in second.ends if side < 0 and first.low < place < first.high)
    return found + sum(1 for side, place in first.ends if side > 0 and second.low < place < second.high)


def arrange(runs: Sequence[Run], cost: Callable[[Run, Run], int] = crossings) -> list[Run]:
    """The runs in an order with few crossings, found by moving one at a time."""
    order = list(range(len(runs)))
    costs = [[cost(first, second) if first is not second else 0 for second in runs] for first in runs]
    for _ in range(6):
        moved = False
        for item in order.copy():
            place = order.index(item)
            rest = order[:place] + order[place + 1 :]
            price = sum(costs[item][other] for other in rest)
            prices = [price]
            for other in rest:
                price += costs[other][item] - costs[item][other]
                prices.append(price)
            best = min(range(len(prices)), key=prices.__getitem__)
            if prices[best] < prices[place]:
                order = [*rest[:best], item, *rest[best:]]
                moved = True
        if not moved:
            break
    return [runs[item] for item in order]


def spread(runs: Sequence[Run], low: float, high: float, centred: bool) -> float:
    """Give each run its track between two coordinates; gives the distance of the tracks."""
    levels: list[int] = []
    ordered = arrange(runs)
    for place, run in enumerate(ordered):
        met = [
            levels[before] for before, other in enumerate(ordered[:place]) if other.low < run.high + APART and run.low < other.high + APART
        ]
        levels.append(max(met, default=-1) + 1)
    count = max(levels, default=0)
    step = min(WIDEST, (high - low) / count) if count else WIDEST
    start = (low + high - step * count) / 2 if centred else low
    for run, level in zip(ordered, levels, strict=True):
        run.at = start + level * step
    return step


def places(count: int, low: float, high: float, widest: float) -> list[float]:
    """So many places about the middle of a side, no further apart than that."""
    step = min(widest, (high - low) / max(1, count - 1))
    middle = (low + high) / 2
    return [middle + (place - (count - 1) / 2) * step for place in range(count)]
