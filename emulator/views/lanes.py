"""Lanes: each flow's legs as corner points on tracks of their own, and the marks where it starts, arrives and dies.

Ports come first (where lanes touch a card, in the order that lets them reach the rail without crossing), then the
aisles' tracks, then the heights at which gateways and hosts are passed, then rail, alleys and gutter.
"""

from collections import defaultdict
from collections.abc import Sequence

from emulator.model.entities import NatGateway
from emulator.model.topology import Topology
from emulator.views.boxes import Aisle, Plan
from emulator.views.channels import Run, places, spread
from emulator.views.paths import End, Journey, journey
from emulator.views.shapes import FlowLine, Lane, Mark, Point

CROSS = 5.6
STUB = 11.0
_INNER = ("cell", "stub", "edge")
_RANK = {"accept": 0, "partial": 1}
Touch = tuple[int, int, int]  # journey, leg, side


def lanes(topology: Topology, plan: Plan, flows: Sequence[FlowLine]) -> tuple[Lane, ...]:
    """A lane for each flow, in their order."""
    return _Router(plan, [journey(topology, plan, flow) for flow in flows], topology).lanes()


class _Router:
    """Coordinates of all lanes of one picture."""

    def __init__(self, plan: Plan, journeys: list[Journey], topology: Topology) -> None:
        self.plan, self.journeys = plan, journeys
        self.nats = {nat.id for nat in topology.all(NatGateway)}
        self.port: dict[Touch, float] = {}
        self.run: dict[Touch, Run] = {}
        self.turn: dict[tuple[int, int], Run] = {}
        self.height: dict[tuple[int, str, str], float] = {}
        self.room: dict[object, float] = {}
        self.steps = [6.0]
        self.edges: dict[tuple[str, object], int] = defaultdict(int)
        self._ports()
        self._aisles()
        self._gates()
        self._hosts()
        self._turns()

    def _channel(self, leg: tuple[End, End]) -> tuple[str, str]:
        """The channel in which a leg turns: its kind and whose it is."""
        first, last = leg
        if first.kind in _INNER and last.kind in _INNER:
            here, there = self.plan.cells[first.of or first.key], self.plan.cells[last.of or last.key]
            if last.kind == "stub" or (here.subnet == there.subnet and here.aisle == there.aisle):
                return "aisle", ""
            return ("alley", here.subnet) if here.subnet == there.subnet else ("rail", here.vpc)
        for end, other in (leg, leg[::-1]):
            if end.kind == "router":
                return "rail", end.key
            if end.kind in _INNER and other.kind == "gate":
                return "rail", other.of
        return "gutter", ""

    def _ports(self) -> None:
        touches: dict[str, list[tuple[tuple[object, ...], Touch]]] = defaultdict(list)
        for number, way in enumerate(self.journeys):
            for place, leg in enumerate(way.legs):
                for side, end in enumerate(leg):
                    if end.kind == "cell":
                        order = (place,) if end.key in self.nats else self._order(way, leg, side)
                        key = (number, *order) if end.key in self.nats else (*order, _RANK.get(way.flow.verdict, 2), number)
                        touches[end.key].append((key, (number, place, side)))
        for cell, found in touches.items():
            rect = self.plan.cells[cell].rect
            spots = places(len(found), rect.x + 9, rect.right - 9, 22)
            self.room[cell] = spots[1] - spots[0] if len(spots) > 1 else 22
            for spot, (_, touch) in zip(spots, sorted(found, key=lambda pair: pair[0]), strict=True):
                self.port[touch] = spot

    def _order(self, way: Journey, leg: tuple[End, End], side: int) -> tuple[float, float, float]:
        """Where a touch stands among the others on its card: neighbours on the left, the router's lanes, those on the right."""
        mine, other = leg[side], leg[1 - side]
        here = self.plan.cells[mine.key]
        if other.kind in _INNER:
            there = self.plan.cells[other.of or other.key]
            if there.aisle == here.aisle and there.subnet == here.subnet:
                if other.kind == "stub":
                    return 2.5, 0, 0
                return (-1 if there.rect.x < here.rect.x or other.kind == "edge" else 3), -there.rect.x, side
            above = there.rect.y < here.rect.y
            return (0 if above else 2), -there.rect.bottom, -there.rect.x
        if other.kind == "gate":
            outside = next((self.plan.hosts[end.key].y for pair in way.legs for end in pair if end.kind == "host"), 0.0)
            gate = self.plan.gates[other.key, other.of]
            return (1 if gate.y < here.rect.bottom else 2), gate.y if gate.y < here.rect.bottom else -gate.y, outside
        return 1, 0, 0

    def _aisles(self) -> None:
        grouped: dict[Aisle, list[Run]] = defaultdict(list)
        for number, way in enumerate(self.journeys):
            for place, leg in enumerate(way.legs):
                kind, owner = self._channel(leg)
                if leg[1].kind == "stub":
                    continue
                marks = []
                for side, end in enumerate(leg):
                    if end.kind in _INNER:
                        touch = (number, place, side)
                        x = self.port[touch] if end.kind == "cell" else self.plan.subnets[end.key].x
                        marks.append((touch, self.plan.cells[end.of or end.key].aisle, x, [(-1, x)] if end.kind == "cell" else []))
                if kind == "aisle":
                    (first, aisle, x, ups), (last, _, until, more) = marks
                    run = Run(aisle, min(x, until), max(x, until), ups + more)
                    self.run[first] = self.run[last] = run
                    grouped[aisle].append(run)
                    continue
                for touch, aisle, x, ups in marks:
                    low = self.plan.rails[owner].x if kind == "rail" else self.plan.alleys[owner][0]
                    self.run[touch] = Run(aisle, low, x, ups)
                    grouped[aisle].append(self.run[touch])
        for aisle, runs in grouped.items():
            low, high = self.plan.aisles[aisle]
            step = spread(sorted(runs, key=lambda run: run.high), low + 17, high - 6, centred=False)
            self.room[aisle] = step
            self.steps.append(step)

    def _gates(self) -> None:
        """The heights at which lanes pass gateways, in the order in which they go on inside."""
        passing: dict[tuple[str, str], dict[int, tuple[float, float]]] = defaultdict(dict)
        for number, way in enumerate(self.journeys):
            for place, leg in enumerate(way.legs):
                for side, end in enumerate(leg):
                    if end.kind != "gate":
                        continue
                    run = self.run.get((number, place, 1 - side))
                    known = passing[end.key, end.of].get(number)
                    if run is not None:
                        passing[end.key, end.of][number] = (run.at, run.high)
                    elif known is None:
                        host = self.plan.hosts.get(leg[1 - side].key)
                        passing[end.key, end.of][number] = (host.y if host else 0.0, 0.0)
        for gate, found in passing.items():
            rect = self.plan.gates[gate]
            spots = places(len(found), rect.y + 6, rect.bottom - 6, 7)
            self._note(gate, spots)
            for spot, number in zip(spots, sorted(found, key=lambda number: (found[number], number)), strict=True):
                self.height[number, *gate] = spot

    def _hosts(self) -> None:
        touching: dict[str, list[tuple[float, Touch]]] = defaultdict(list)
        for number, way in enumerate(self.journeys):
            for place, leg in enumerate(way.legs):
                for side, end in enumerate(leg):
                    if end.kind == "host":
                        other = leg[1 - side]
                        key = self.height.get((number, other.key, other.of), 0.0)
                        touching[end.key].append((key, (number, place, side)))
        for host, found in touching.items():
            rect = self.plan.hosts[host]
            spots = places(len(found), rect.y + 6, rect.bottom - 6, 8)
            self._note(host, spots)
            for spot, (_, touch) in zip(spots, sorted(found), strict=True):
                self.port[touch] = spot

    def _note(self, key: object, spots: list[float]) -> None:
        if len(spots) > 1:
            self.steps.append(spots[1] - spots[0])
        self.room[key] = spots[1] - spots[0] if len(spots) > 1 else 12

    def _y(self, touch: Touch, end: End) -> float:
        """The height at which a leg leaves the channel at one of its ends."""
        if end.kind in _INNER:
            return self.run[touch].at
        if end.kind == "gate":
            return self.height[touch[0], end.key, end.of]
        return self.port[touch]

    def _turns(self) -> None:
        grouped: dict[tuple[str, str], list[Run]] = defaultdict(list)
        for number, way in enumerate(self.journeys):
            for place, leg in enumerate(way.legs):
                channel = self._channel(leg)
                if channel[0] == "aisle" or "void" in (leg[0].kind, leg[1].kind):
                    continue
                ends = []
                for side, end in enumerate(leg):
                    if end.kind != "router":
                        leftwards = end.kind == "host" or (end.kind == "gate" and channel[0] == "rail")
                        ends.append((-1 if leftwards else 1, self._y((number, place, side), end)))
                run = Run(channel, min(y for _, y in ends), max(y for _, y in ends), ends)
                self.turn[number, place] = run
                grouped[channel].append(run)
        for (kind, owner), runs in grouped.items():
            if kind == "rail":
                low, high = self.plan.rails[owner].x + 7, self.plan.rails[owner].right - 7
            else:
                low, high = self.plan.gutter if kind == "gutter" else self.plan.alleys[owner]
            runs.sort(key=lambda run: (run.low - run.high, run.low))
            self.room[kind, owner] = spread(runs, low, high, centred=True)
            self.steps.append(self.room[kind, owner])

    def lanes(self) -> tuple[Lane, ...]:
        """Every lane with its marks."""
        weight = max(0.9, min(2.1, 0.6 * min(self.steps)))
        return tuple(self._lane(number, way, weight) for number, way in enumerate(self.journeys))

    def _lane(self, number: int, way: Journey, weight: float) -> Lane:
        points: list[Point] = []
        for place, leg in enumerate(way.legs):
            channel, _ = self._channel(leg)
            if leg[1].kind == "stub":
                x, bottom = self.port[number, place, 0], self.plan.cells[leg[0].key].rect.bottom
                points += [(x, bottom), (x, bottom + STUB)]
                continue
            parts = [self._part((number, place, side), end, channel) for side, end in enumerate(leg)]
            turn = self.turn.get((number, place))
            if leg[1].kind == "void":
                parts[1] = [(self.plan.edge - 12, parts[0][-1][1])]
            if turn is not None:
                parts[0].append((turn.at, parts[0][-1][1]))
                parts[1] = [*parts[1], (turn.at, parts[1][-1][1])] if parts[1] else []
            points += [*parts[0], *reversed(parts[1])]
        points = _straightened(points)
        marks = [Mark("start", *points[0], 2.6 if weight > 1.5 else 2.0)]
        if way.died is None or way.flow.verdict != "drop":
            marks.append(Mark("arrow", *points[-1], 3.6 + weight, _heading(points)))
        if way.died is not None:
            points, mark = self._death(number, way, points)
            # A part mark on the last card takes the arrow's place.
            marks = [*marks[: 1 + (abs(mark.x - points[-1][0]) + abs(mark.y - points[-1][1]) > 12)], mark]
        died = way.died
        return Lane(way.flow, tuple(points), tuple(marks), weight, "" if died is None else _place(died))

    def _part(self, touch: Touch, end: End, channel: str) -> list[Point]:
        """From an end to its height in the channel."""
        match end.kind:
            case "cell":
                return [(self.port[touch], self.plan.cells[end.key].rect.bottom), (self.port[touch], self.run[touch].at)]
            case "edge":
                return [(self.plan.subnets[end.key].x, self.run[touch].at)]
            case "gate":
                rect = self.plan.gates[end.key, end.of]
                return [(rect.right if channel == "rail" else rect.x, self._y(touch, end))]
            case "host":
                return [(self.plan.hosts[end.key].right, self.port[touch])]
        return []

    def _death(self, number: int, way: Journey, points: list[Point]) -> tuple[list[Point], Mark]:
        """The mark where packets died; a lane of which nothing passed ends in it."""
        died, dropped = way.died, way.flow.verdict == "drop"
        assert died is not None
        kind = "cross" if dropped else "part"
        x, y = points[-1]
        radius = CROSS
        for place, leg in enumerate(way.legs):
            for side, end in enumerate(leg):
                touch = (number, place, side)
                at_start = place + side == 0
                if end.kind == "cell" and end.key == died.key and (died.kind, at_start) in (("cell", False), ("stub", True)):
                    radius = max(2.6, min(CROSS, 0.46 * self.room[end.key]))
                    x, y = self.port[touch], self.plan.cells[end.key].rect.bottom + (STUB if died.kind == "stub" else radius + 0.5)
                elif died.kind == "edge" and died.of in (end.key, end.of) and touch in self.run:
                    step = self.room[self.run[touch].channel]
                    rank = self.edges[died.key, self.run[touch].channel]
                    self.edges[died.key, self.run[touch].channel] += 1
                    radius = max(2.6, min(CROSS, 1.4 * step))
                    shift = rank % 3 * (2 * radius + 1.5) * (1 if place + side <= 1 and way.legs[0][0].key == died.of else -1)
                    x, y = self.plan.subnets[died.key].x + shift, self.run[touch].at
                elif end == died and end.kind == "gate" and (not dropped or touch == (number, len(way.legs) - 1, 1)):
                    rect = self.plan.gates[end.key, end.of]
                    radius = max(2.6, min(CROSS, 0.7 * self.room[end.key, end.of]))
                    inside = self._channel(leg)[0] == "rail"
                    x, y = (rect.right + radius if inside else rect.x - radius), self.height[number, end.key, end.of]
                elif died.kind == "router" and self._channel(leg) == ("rail", died.key):
                    turn = self.turn[number, place]
                    radius = max(2.6, min(CROSS, 0.9 * self.room["rail", died.key]))
                    x, y = turn.at, points[-1][1] if dropped else (turn.low + turn.high) / 2
        if dropped and died.kind == "host" and died.key in self.plan.hosts:
            x += radius
        return ([*points[:-1], (x, y)] if dropped else points), Mark(kind, x, y, radius)


def _place(died: End) -> str:
    """The id of the box where packets died."""
    return {"router": f"{died.key}/router", "void": died.key}.get(died.kind, died.key)


def _straightened(points: list[Point]) -> list[Point]:
    """The points without those that are no corners."""
    done: list[Point] = []
    for point in points:
        if done and abs(done[-1][0] - point[0]) + abs(done[-1][1] - point[1]) < 0.01:
            continue
        if len(done) > 1 and any(abs(done[-2][axis] - point[axis]) + abs(done[-1][axis] - point[axis]) < 0.01 for axis in (0, 1)):
            done[-1] = point
        else:
            done.append(point)
    return done


def _heading(points: list[Point]) -> Point:
    """The direction in which a lane ends."""
    if len(points) < 2:
        return (0.0, -1.0)
    (x, y), (until_x, until_y) = points[-2:]
    length = abs(until_x - x) + abs(until_y - y) or 1.0
    return (until_x - x) / length, (until_y - y) / length
