"""Where everything stands, worked out from the topology alone.

    Internet │ gutter │ igw ▌rail▐ zone a      zone b
             │        │     ▌    ▐ ┌ public ─┐ ┌ public ─┐   rows of subnets: public, private, isolated
      host   │        │     ▌    ▐ │ cards   │ │ cards   │   rows of cards stand at one height in all zones,
      host   │        │     ▌    ▐ │ ······· │ │ ······· │   with an aisle for lanes under each
      others │        │     ▌    ▐ └─────────┘ └─────────┘

Lanes run along the aisles, turn in the rail (in a subnet's alley between its own rows of cards, in the gutter outside)
and pass gateways at a height of their own: gateways never stand beside an aisle, hosts never beside a gateway.  So
two lanes can cross, and never lie on one another.  The Internet is left out where nothing leads to it and no flow ends
there.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from emulator.model.entities import (
    EgressOnlyInternetGateway,
    ExternalHost,
    InternetGateway,
    Subnet,
    Vpc,
)
from emulator.model.topology import Topology
from emulator.views import cards, gates
from emulator.views.cards import Card, Style
from emulator.views.gates import GATE
from emulator.views.shapes import Box, Point, Rect, Tag, Text
from emulator.views.text import clean, cut, width

MARGIN, TOP = 20.0, 62.0  # TOP grows with Style.head
HOST, GUTTER, RAIL = 140.0, 72.0, 52.0
VPC_HEAD, ZONE_HEAD, SUBNET_HEAD = 28.0, 21.0, 24.0
PAD, ALLEY, BETWEEN = 12.0, 36.0, 14.0
NARROWEST = 420.0
ASPECT, WIDE = 1.5, 1000.0  # what a picture is like if it can: its sides' ratio, and a width that a notebook shows legibly
ABREAST = 4  # subnets of one zone and tier side by side

Aisle = tuple[str, int, int]  # VPC, row of subnets, row of cards
Gate = tuple[str, str]  # gateway or peering, VPC


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a card stands: the lanes that touch it come from the aisle below."""

    rect: Rect
    vpc: str
    subnet: str
    aisle: Aisle


@dataclass
class Plan:
    """Everything that stands still, and the channels that lanes run in."""

    boxes: list[Box] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    links: list[tuple[Point, ...]] = field(default_factory=list)
    cells: dict[str, Cell] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    aisles: dict[Aisle, tuple[float, float]] = field(default_factory=dict)
    rails: dict[str, Rect] = field(default_factory=dict)
    alleys: dict[str, tuple[float, float]] = field(default_factory=dict)
    subnets: dict[str, Rect] = field(default_factory=dict)
    gates: dict[Gate, Rect] = field(default_factory=dict)
    hosts: dict[str, Rect] = field(default_factory=dict)
    gutter: tuple[float, float] = (0.0, 0.0)
    head: float = 1.0
    top: float = TOP
    edge: float = 0.0
    width: float = 0.0
    bottom: float = 0.0

    def cell_of(self, topology: Topology, key: str) -> str:
        """The id of the card that stands for an interface, a NAT gateway or a node: its own or the folded ones'; else empty."""
        return key if key in self.cells else self.owners.get(key, "")

    def host_of(self, key: str) -> str:
        """The id of the card outside that stands for a host or for an unknown address."""
        return key if key in self.hosts else cards.OTHERS

    @property
    def has_outside(self) -> bool:
        """Whether the Internet is drawn."""
        return bool(self.hosts)


@dataclass
class _Grid:
    """A VPC's zones as columns of subnets by row, one or more columns a zone, and the cards of each subnet."""

    vpc: Vpc
    zones: list[tuple[str, list[list[Subnet | None]]]]
    rows: int
    cards: dict[str, list[Card]]

    @property
    def stacks(self) -> list[list[Subnet | None]]:
        """The columns of all zones, from left to right."""
        return [column for _, columns in self.zones for column in columns]

    def columns(self, subnet: Subnet, most: int) -> int:
        count = len(self.cards[subnet.id])
        return math.ceil(count / math.ceil(count / most)) if count else 1

    def lines(self, subnet: Subnet, most: int) -> list[list[Card]]:
        """The rows of cards of a subnet; an instance's interfaces stay side by side if a row holds them all."""
        columns = self.columns(subnet, most)
        done: list[list[Card]] = [[]]
        for owner, group in groupby(self.cards[subnet.id], key=lambda card: card.owner or card.kind):
            together = list(group)
            whole = bool(owner) and together[0].kind == "interface" and 1 < len(together) <= columns
            if whole and len(done[-1]) + len(together) > columns:
                done.append([])
            for card in together:
                if len(done[-1]) == columns:
                    done.append([])
                done[-1].append(card)
        return done

    def heights(self, row: int, most: int, style: Style) -> list[float]:
        """The height of each row of cards in a row of subnets, the same in all zones."""
        done: list[float] = []
        for column in self.stacks:
            subnet = column[row]
            for place, line in enumerate(self.lines(subnet, most) if subnet else []):
                if place == len(done):
                    done.append(30.0)
                done[place] = max([done[place], *(cards.height(card, style) for card in line)])
        return done

    def wide(self, column: list[Subnet | None], most: int, style: Style) -> float:
        """The width of a zone's subnets."""
        widest = style.narrowest
        for subnet in column:
            if subnet:
                columns = self.columns(subnet, most)
                alley = ALLEY if len(self.lines(subnet, most)) > 1 else PAD
                widest = max(widest, alley + columns * style.card + (columns - 1) * style.gap + PAD)
        return widest

    def size(self, most: int, style: Style) -> Point:
        """About how large the VPC gets with so many columns of cards a subnet."""
        wide = sum(self.wide(column, most, style) + 2 * PAD + BETWEEN for column in self.stacks)
        high = sum(SUBNET_HEAD + BETWEEN + sum(self.heights(row, most, style)) for row in range(self.rows))
        high += sum(style.aisle * len(self.heights(row, most, style)) for row in range(self.rows))
        return wide + RAIL + GATE, high + VPC_HEAD + ZONE_HEAD + BETWEEN


def plan(topology: Topology, ends: Iterable[str] = ()) -> Plan:
    """Every box of a topology.

    Parameters
    ----------
    ends : ids of interfaces and hosts that flows begin or end at, the most important first; they get a place where their
        subnet or the outside is folded.  An id that nothing has is an address outside.
    """
    ends = tuple(ends)
    by_subnet = cards.cards_of(topology, ends)
    tier = cards.tiers(topology)
    total = sum(len(mine) for mine in by_subnet.values())
    style = next(style for style in cards.STYLES if total <= style.up_to)
    if not ends and style is not cards.ROOMY:
        style = style._replace(aisle=cards.IDLE)
    colour = cards.colours(topology)
    done = Plan(head=style.head)
    outside = _has_outside(topology, ends)
    left = MARGIN + (HOST + 24 + GUTTER if outside else GUTTER * any(gates.gates_of(topology, vpc.id) for vpc in topology.all(Vpc)))
    grids, most = _arranged(topology, by_subnet, tier, style, left)
    done.edge = left + GATE / 2 if left > MARGIN else left
    done.gutter = (MARGIN + HOST + 24 + 8 if outside else MARGIN, left - 10)
    y = done.top = TOP * style.head
    full = max((grid.size(most, style)[0] for grid in grids), default=0.0)
    for grid in grids:
        y = _vpc(done, topology, grid, most, style, tier, colour, y, full) + 22
    _name_vpcs(done, topology)
    gates.tie(done, topology)
    bottom = _internet(done, topology, ends, colour) if outside else 0.0
    right = max((box.rect.right for box in done.boxes), default=0.0)
    done.width = max(NARROWEST, right + MARGIN)
    done.bottom = max(bottom, y - 22 if grids else done.top)
    return done


def _has_outside(topology: Topology, ends: Iterable[str]) -> bool:
    """Whether there is anything outside to draw."""
    kinds = ExternalHost | InternetGateway | EgressOnlyInternetGateway
    declared = any(isinstance(entity, kinds) for entity in topology.entities.values())
    return declared or not any(topology.all(Vpc)) or any(key not in topology.entities for key in ends)


def _grid(topology: Topology, vpc: Vpc, by_subnet: dict[str, list[Card]], tier: dict[str, str], abreast: int) -> _Grid:
    mine = [subnet for subnet in topology.all(Subnet) if subnet.vpc == vpc.id]
    names = sorted({subnet.availability_zone for subnet in mine})
    zones: dict[str, list[list[Subnet | None]]] = {}
    stacks = {
        (name, kind): [subnet for subnet in mine if subnet.availability_zone == name and tier[subnet.id] == kind]
        for name in names
        for kind in ("public", "private", "isolated")
    }
    for name in names:
        widest = max(len(stack) for (zone, _), stack in stacks.items() if zone == name)
        zones[name] = [[] for _ in range(min(abreast, widest))]
    for kind in ("public", "private", "isolated"):
        high = max((math.ceil(len(stacks[name, kind]) / len(zones[name])) for name in names), default=0)
        for name in names:
            stack: list[Subnet | None] = [*stacks[name, kind]]
            count = len(zones[name])
            for place, column in enumerate(zones[name]):
                here = stack[place::count]
                column += [*here, *[None] * (high - len(here))]
    rows = max((len(column) for columns in zones.values() for column in columns), default=0)
    return _Grid(vpc, list(zones.items()), rows, {subnet.id: by_subnet[subnet.id] for subnet in mine})


def _arranged(
    topology: Topology, by_subnet: dict[str, list[Card]], tier: dict[str, str], style: Style, left: float
) -> tuple[list[_Grid], int]:
    """The grids, and how many cards may stand side by side in a subnet, so that the picture has a good shape."""
    best: tuple[float, list[_Grid], int] | None = None
    for abreast in range(1, ABREAST + 1):
        grids = [_grid(topology, vpc, by_subnet, tier, abreast) for vpc in topology.all(Vpc)]
        for most in range(1, 9):
            sizes = [grid.size(most, style) for grid in grids] or [(1.0, 1.0)]
            wide = left + max(size[0] for size in sizes)
            high = sum(size[1] for size in sizes) + (TOP + 40) * style.head
            strain = abs(math.log(wide / high / ASPECT)) + 2.5 * max(0.0, math.log(wide / WIDE)) + 0.05 * abreast
            if best is None or strain < best[0]:
                best = (strain, grids, most)
    assert best is not None
    return best[1:]


def _vpc(
    done: Plan,
    topology: Topology,
    grid: _Grid,
    most: int,
    style: Style,
    tier: dict[str, str],
    colour: dict[str, int],
    top: float,
    full: float,
) -> float:
    """Draw one VPC from a height on, as wide as the widest one; gives its lower edge."""
    vpc, left = grid.vpc, done.edge
    rail_top = top + VPC_HEAD
    x = left + (GATE / 2 if left > MARGIN else 0.0) + 10 + RAIL + 16
    spare = (full - grid.size(most, style)[0]) / max(1, len(grid.stacks))
    row_tops, y = [], rail_top + ZONE_HEAD
    free: list[tuple[float, float]] = []
    band = rail_top
    for row in range(grid.rows):
        row_tops.append(y)
        y += SUBNET_HEAD
        for place, high in enumerate(grid.heights(row, most, style)):
            aisle = (vpc.id, row, place)
            done.aisles[aisle] = (y + high, y + high + style.aisle)
            free.append((band, y + high + 8))
            y += high + style.aisle
            band = y
        y += BETWEEN
    content = max(y - BETWEEN + PAD if grid.rows else y + 40, rail_top + 60)
    content = gates.stand(done, topology, vpc, left, [*free, (band, math.inf)], content)
    rail = Rect(x - 16 - RAIL, rail_top, RAIL, content - rail_top)
    for name, columns in grid.zones:
        zone_id = f"{vpc.id}/zone/{name}"
        zone_left, number = x, len(done.boxes)
        for column in columns:
            wide = grid.wide(column, most, style) + spare
            for row, subnet in enumerate(column):
                if subnet:
                    area = Rect(x + PAD, row_tops[row], wide, 0)
                    _subnet(done, topology, grid, subnet, area, row, most, style, tier, colour, zone_id)
            x += wide + PAD
        zone = Rect(zone_left, rail_top, x + PAD - zone_left, content - rail_top)
        done.boxes.insert(number, Box("zone", zone_id, zone, vpc.id))
        title = f"Availability Zone {name}" if name else "no zone named"
        done.texts.append(Text(zone.x + 11, zone.y + 14, cut(title, zone.w - 20, 8.2), 8.2, "zone"))
        x = zone.right + BETWEEN
    right = x - BETWEEN + PAD if grid.zones else max(rail.right + 200, left + full)
    done.rails[vpc.id] = rail
    done.boxes.append(Box("vpc", vpc.id, Rect(left, top, right - left, content + PAD - top)))
    done.boxes.append(Box("router", f"{vpc.id}/router", rail, vpc.id))
    done.texts.append(Text(rail.middle[0], rail.bottom - 4, "VPC router", 7.2, "router", True, "middle"))
    return content + PAD


def _subnet(
    done: Plan,
    topology: Topology,
    grid: _Grid,
    subnet: Subnet,
    area: Rect,
    row: int,
    most: int,
    style: Style,
    tier: dict[str, str],
    colour: dict[str, int],
    zone: str,
) -> None:
    lines, heights = grid.lines(subnet, most), grid.heights(row, most, style)
    high = SUBNET_HEAD + sum(heights[: len(lines)]) + style.aisle * len(lines)
    rect = Rect(area.x, area.y, area.w, high)
    kind = tier[subnet.id]
    done.subnets[subnet.id] = rect
    done.boxes.append(Box(kind, subnet.id, rect, zone))
    blocks = cut("  ".join(map(str, subnet.blocks)), rect.w * 0.55, 7.4)
    size, room = 9.4, rect.w - 26 - width(blocks, 7.4)
    while size > 7.2 and width(clean(subnet.name), size, True) > room:
        size -= 0.2
    name = cut(subnet.name, room, size, True)
    done.texts.append(Text(rect.x + 10, rect.y + 15, name, size, kind, True))
    used = 10 + width(name, size, True) + 6
    if used + width(kind, 7) + 8 + width(blocks, 7.4) + 10 < rect.w and kind not in name:
        done.texts.append(Text(rect.x + used, rect.y + 15, kind, 7, kind))
    done.texts.append(Text(rect.right - 9, rect.y + 15, blocks, 7.4, kind, False, "end"))
    left = rect.x + (ALLEY if len(lines) > 1 else PAD)
    if len(lines) > 1:
        done.alleys[subnet.id] = (rect.x + 6, left - 5)
    for place, line in enumerate(lines):
        aisle = (grid.vpc.id, row, place)
        bottom = done.aisles[aisle][0]
        x = left
        owners: dict[str, Rect] = {}
        for card in line:
            spot = Rect(x, bottom - heights[place], style.card, heights[place])
            x += style.card + style.gap
            if card.kind == "interface":
                known = owners.get(card.owner, spot)
                owners[card.owner] = Rect(known.x, known.y, spot.right - known.x, known.h)
            parent = card.owner if card.kind == "interface" else subnet.id
            done.boxes.append(Box(card.kind, card.id, spot, parent))
            if card.owner:
                done.owners.setdefault(card.owner, card.id)
            done.owners.update(dict.fromkeys(card.members, card.id))
            done.cells[card.id] = Cell(spot, grid.vpc.id, subnet.id, aisle)
            texts, tags = cards.fill(card, spot, style, colour)
            done.texts += texts
            done.tags += tags
        done.boxes += [Box("instance", owner, spot, subnet.id) for owner, spot in owners.items()]


def _name_vpcs(done: Plan, topology: Topology) -> None:
    """Make stacked VPCs equally wide, and write their names and blocks."""
    widest = max((box.rect.right for box in done.boxes if box.kind == "vpc"), default=0.0)
    done.boxes = [Box("vpc", box.id, box.rect._replace(w=widest - box.rect.x)) if box.kind == "vpc" else box for box in done.boxes]
    for box in done.boxes:
        if box.kind == "vpc":
            vpc = topology.get(box.id, Vpc)
            blocks = cut("  ".join(map(str, vpc.blocks)), box.rect.w * 0.6, 8.2)
            name = cut(f"VPC {vpc.name}", box.rect.w - 32 - width(blocks, 8.2), 10.6, True)
            done.texts.append(Text(box.rect.x + 12, box.rect.y + 18, name, 10.6, "vpc", True))
            done.texts.append(Text(box.rect.right - 12, box.rect.y + 18, blocks, 8.2, "vpc", False, "end"))


def _internet(done: Plan, topology: Topology, hosts: Iterable[str], colour: dict[str, int]) -> float:
    """Stand the hosts outside beside no gateway; gives how far down the Internet reaches."""
    style = cards.ROOMY._replace(card=HOST)
    taken = sorted((rect.y - 4, rect.bottom + 4) for rect in done.gates.values())
    top = y = done.top
    for card in cards.hosts_of(topology, hosts):
        high = max(cards.height(card, style), 40.0)
        head = VPC_HEAD + 2 if y == top else 0.0
        for low, until in taken:
            if low < y + head + high and y + head < until:
                y = until - head
                top = y if head else top
        y += head
        spot = Rect(MARGIN + 12, y, HOST, high)
        y += high + 12
        done.boxes.append(Box("host", card.id, spot, "internet"))
        done.hosts[card.id] = spot
        done.texts += cards.fill(card, spot, style, colour)[0]
    done.boxes.append(Box("internet", "internet", Rect(MARGIN, top, HOST + 24, y - top)))
    done.texts.append(Text(MARGIN + 12, top + 18, "Internet", 10.6, "internet", True))
    return y
