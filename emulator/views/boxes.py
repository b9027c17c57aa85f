"""Where everything stands, worked out from the topology alone.

    Internet │ gutter │ igw ▌rail▐ zone a      zone b
      host   │        │     ▌    ▐ ┌ public ─┐ ┌ public ─┐   a row of subnets a tier: public, private, isolated
      host   │        │     ▌    ▐ │ cards   │ │ cards   │   rows of cards stand at one height in all zones,
             │        │     ▌    ▐ │ ······· │ │ ······· │   with an aisle for lanes under each
      others │        │     ▌    ▐ └─────────┘ └─────────┘

Lanes run along the aisles, turn in the rail (in a subnet's alley between its own rows of cards, in the gutter outside)
and pass gateways at a height of their own: gateways never stand beside an aisle, hosts never beside a gateway.  So
two lanes can cross, and never lie on one another.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from emulator.model.entities import EgressOnlyInternetGateway, InternetGateway, NetworkInterface, Subnet, Vpc, VpcPeeringConnection
from emulator.model.topology import Topology
from emulator.views import cards
from emulator.views.cards import Card, Style
from emulator.views.shapes import Box, Point, Rect, Tag, Text
from emulator.views.text import clean, cut, width

MARGIN, TOP, STRIP = 20.0, 62.0, 56.0  # TOP and STRIP grow with Style.head
HOST, GUTTER, GATE, GATE_HIGH, RAIL = 158.0, 78.0, 68.0, 48.0, 62.0
VPC_HEAD, ZONE_HEAD, SUBNET_HEAD, RAIL_HEAD = 28.0, 21.0, 24.0, 22.0
PAD, ALLEY, BETWEEN = 12.0, 42.0, 14.0
NARROWEST = 560.0
ASPECT = 1.55

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
    aisles: dict[Aisle, tuple[float, float]] = field(default_factory=dict)
    rails: dict[str, Rect] = field(default_factory=dict)
    alleys: dict[str, tuple[float, float]] = field(default_factory=dict)
    subnets: dict[str, Rect] = field(default_factory=dict)
    gates: dict[Gate, Rect] = field(default_factory=dict)
    hosts: dict[str, Rect] = field(default_factory=dict)
    gutter: tuple[float, float] = (0.0, 0.0)
    head: float = 1.0
    top: float = TOP
    strip: float = STRIP
    edge: float = 0.0
    width: float = 0.0
    height: float = 0.0

    def cell_of(self, topology: Topology, key: str) -> str:
        """The id of the card that stands for an interface or NAT gateway: its own, or that of the folded ones; else empty."""
        if key in self.cells:
            return key
        entity = topology.entities.get(key)
        return f"{entity.subnet}:others" if isinstance(entity, NetworkInterface) else ""

    def host_of(self, key: str) -> str:
        """The id of the card outside that stands for a host or for an unknown address."""
        return key if key in self.hosts else cards.OTHERS


@dataclass
class _Grid:
    """A VPC's zones as columns of subnets by row, and the cards of each."""

    vpc: Vpc
    zones: list[tuple[str, list[Subnet | None]]]
    rows: int
    cards: dict[str, list[Card]]

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
        for _, column in self.zones:
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
        wide = sum(self.wide(column, most, style) + 2 * PAD + BETWEEN for _, column in self.zones)
        high = sum(SUBNET_HEAD + BETWEEN + sum(self.heights(row, most, style)) for row in range(self.rows))
        high += sum(style.aisle * len(self.heights(row, most, style)) for row in range(self.rows))
        return wide + RAIL + GATE, high + VPC_HEAD + ZONE_HEAD + BETWEEN


def plan(topology: Topology, wanted: Iterable[str] = (), hosts: Iterable[str] = ()) -> Plan:
    """Every box of a topology; ``wanted`` interfaces and ``hosts`` get a place where their subnet or the outside is folded."""
    by_subnet = cards.cards_of(topology, wanted)
    tier = cards.tiers(topology)
    total = sum(len(mine) for mine in by_subnet.values())
    style = next(style for style in cards.STYLES if total <= style.up_to)
    colour = cards.colours(topology)
    grids = [_grid(topology, vpc, by_subnet, tier) for vpc in topology.all(Vpc)]
    done = Plan(head=style.head, strip=STRIP * style.head)
    left = MARGIN + HOST + 24 + GUTTER
    most = _columns(grids, style, left)
    done.edge = left + GATE / 2
    done.gutter = (MARGIN + HOST + 24 + 8, left - 14)
    y = done.top = TOP * style.head
    for grid in grids:
        y = _vpc(done, topology, grid, most, style, tier, colour, y) + 26
    _widen(done)
    _peerings(done, topology)
    bottom = _internet(done, topology, hosts, colour)
    right = max((box.rect.right for box in done.boxes), default=0.0)
    done.width = max(NARROWEST, right + MARGIN)
    done.height = max(bottom, y - 26 if grids else done.top) + done.strip
    return done


def _grid(topology: Topology, vpc: Vpc, by_subnet: dict[str, list[Card]], tier: dict[str, str]) -> _Grid:
    mine = [subnet for subnet in topology.all(Subnet) if subnet.vpc == vpc.id]
    names = sorted({subnet.availability_zone for subnet in mine})
    columns: dict[str, list[Subnet | None]] = {name: [] for name in names}
    for kind in ("public", "private", "isolated"):
        stacks = {name: [subnet for subnet in mine if subnet.availability_zone == name and tier[subnet.id] == kind] for name in names}
        high = max((len(stack) for stack in stacks.values()), default=0)
        for name in names:
            columns[name] += [*stacks[name], *[None] * (high - len(stacks[name]))]
    rows = max((len(column) for column in columns.values()), default=0)
    return _Grid(vpc, list(columns.items()), rows, {subnet.id: by_subnet[subnet.id] for subnet in mine})


def _columns(grids: list[_Grid], style: Style, left: float) -> int:
    """How many cards may stand side by side in a subnet, so that the picture is wider than high, not by much."""

    def strain(most: int) -> float:
        sizes = [grid.size(most, style) for grid in grids] or [(1.0, 1.0)]
        wide, high = left + max(size[0] for size in sizes), sum(size[1] for size in sizes) + (TOP + STRIP) * style.head
        return abs(math.log(wide / high / ASPECT))

    return min(range(1, 13), key=strain)


def _vpc(
    done: Plan, topology: Topology, grid: _Grid, most: int, style: Style, tier: dict[str, str], colour: dict[str, int], top: float
) -> float:
    vpc, left = grid.vpc, done.edge
    rail_top = top + VPC_HEAD
    x = left + GATE / 2 + 10 + RAIL + 16
    widths = [grid.wide(column, most, style) for _, column in grid.zones]
    row_tops, y = [], rail_top + ZONE_HEAD
    free: list[tuple[float, float]] = []
    band = rail_top + RAIL_HEAD
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
    content = max(y - BETWEEN + PAD if grid.rows else y + 40, rail_top + RAIL_HEAD + 60)
    content = _gates(done, topology, vpc, left, [*free, (band, math.inf)], content)
    for (name, column), wide in zip(grid.zones, widths, strict=True):
        zone = Rect(x, rail_top, wide + 2 * PAD, content - rail_top)
        zone_id = f"{vpc.id}/zone/{name}"
        done.boxes.append(Box("zone", zone_id, zone, vpc.id))
        title = f"Availability Zone {name}" if name else "no zone named"
        done.texts.append(Text(zone.x + 11, zone.y + 14, cut(title, zone.w - 20, 8.2), 8.2, "zone"))
        for row, subnet in enumerate(column):
            if subnet:
                _subnet(done, topology, grid, subnet, Rect(x + PAD, row_tops[row], wide, 0), row, most, style, tier, colour, zone_id)
        x += zone.w + BETWEEN
    rail = Rect(left + GATE / 2 + 10, rail_top, RAIL, content - rail_top)
    right = x - BETWEEN + PAD if grid.zones else rail.right + 200
    done.rails[vpc.id] = rail
    done.boxes.append(Box("vpc", vpc.id, Rect(left, top, right - left, content + PAD - top)))
    done.boxes.append(Box("router", f"{vpc.id}/router", rail, vpc.id))
    done.texts.append(Text(rail.middle[0], rail.y + 14, "VPC router", 7.8, "router", True, "middle"))
    return content + PAD


def _gates(done: Plan, topology: Topology, vpc: Vpc, left: float, free: list[tuple[float, float]], content: float) -> float:
    """Stand the gateways on the VPC's left edge beside no aisle; gives how far down the VPC reaches."""
    here: list[tuple[str, str, str, str]] = [
        ("igw", gate.id, gate.name, "internet gateway") for gate in topology.all(InternetGateway) if gate.vpc == vpc.id
    ]
    here += [("eigw", gate.id, gate.name, "egress-only") for gate in topology.all(EgressOnlyInternetGateway) if gate.vpc == vpc.id]
    here += [
        ("pcx", gate.id, gate.name, "peering" if gate.status == "active" else clean(gate.status)[:12])
        for gate in topology.all(VpcPeeringConnection)
        if vpc.id in (gate.requester, gate.accepter)
    ]
    gap, bands = 8.0, list(free)
    while here:
        low, high = bands.pop(0)
        fits = int((high - low - 4) // (GATE_HIGH + gap)) if high < math.inf else len(here)
        now, here = here[:fits], here[fits:]
        used = len(now) * (GATE_HIGH + gap) - gap
        y = low + 4 if high == math.inf else max(low + 4, min(high - used - 4, (low + high - used) / 2 + 10))
        for kind, key, name, noun in now:
            rect = Rect(left - GATE / 2, y, GATE, GATE_HIGH)
            done.gates[key, vpc.id] = rect
            done.boxes.append(Box(kind, key, rect))
            size = 8.6 if width(clean(name), 8.6, True) <= GATE - 8 else 7.4
            done.texts.append(Text(left, y + 21, cut(name, GATE - 6, size, True), size, "gate", True, "middle"))
            done.texts.append(Text(left, y + 34, cut(noun, GATE - 4, 6.4), 6.4, "gate", False, "middle"))
            y += GATE_HIGH + gap
            content = max(content, y)
    return content


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
    name = cut(subnet.name, rect.w - 26 - width(blocks, 7.4), 9.4, True)
    done.texts.append(Text(rect.x + 10, rect.y + 15, name, 9.4, kind, True))
    used = 10 + width(name, 9.4, True) + 6
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
            if card.kind == "slot":
                continue
            if card.kind == "interface":
                known = owners.get(card.owner, spot)
                owners[card.owner] = Rect(known.x, known.y, spot.right - known.x, known.h)
            parent = card.owner if card.kind == "interface" else subnet.id
            done.boxes.append(Box(card.kind, card.id, spot, parent))
            done.cells[card.id] = Cell(spot, grid.vpc.id, subnet.id, aisle)
            texts, tags = cards.fill(card, spot, style, colour)
            done.texts += texts
            done.tags += tags
        done.boxes += [Box("instance", owner, spot, subnet.id) for owner, spot in owners.items()]


def _widen(done: Plan) -> None:
    """Write the VPCs' names and blocks, and make stacked VPCs equally wide."""
    widest = max((box.rect.right for box in done.boxes if box.kind == "vpc"), default=0.0)
    done.boxes = [Box("vpc", box.id, box.rect._replace(w=widest - box.rect.x)) if box.kind == "vpc" else box for box in done.boxes]


def _peerings(done: Plan, topology: Topology) -> None:
    """Name the VPCs and join the two ends of each peering by a line."""
    for box in done.boxes:
        if box.kind == "vpc":
            vpc = topology.get(box.id, Vpc)
            blocks = cut("  ".join(map(str, vpc.blocks)), box.rect.w * 0.6, 8.2)
            name = cut(f"VPC {vpc.name}", box.rect.w - 32 - width(blocks, 8.2), 10.6, True)
            done.texts.append(Text(box.rect.x + 12, box.rect.y + 18, name, 10.6, "vpc", True))
            done.texts.append(Text(box.rect.right - 12, box.rect.y + 18, blocks, 8.2, "vpc", False, "end"))
    for number, peering in enumerate(topology.all(VpcPeeringConnection)):
        ends = [done.gates[peering.id, vpc] for vpc in (peering.requester, peering.accepter) if (peering.id, vpc) in done.gates]
        if len(ends) == 2:
            first, last = ends
            x = first.x - 4 - 3 * (number % 3)
            done.links.append(((first.x, first.middle[1]), (x, first.middle[1]), (x, last.middle[1]), (last.x, last.middle[1])))


def _internet(done: Plan, topology: Topology, hosts: Iterable[str], colour: dict[str, int]) -> float:
    """Stand the hosts outside beside no gateway; gives how far down the Internet reaches."""
    style = cards.ROOMY._replace(card=HOST)
    taken = sorted((rect.y - 4, rect.bottom + 4) for rect in done.gates.values())
    y = done.top + VPC_HEAD + 2
    for card in cards.hosts_of(topology, hosts):
        high = max(cards.height(card, style), 40.0)
        for low, until in taken:
            if low < y + high and y < until:
                y = until
        spot = Rect(MARGIN + 12, y, HOST, high)
        y += high + 12
        if card.kind == "slot":
            continue
        done.boxes.append(Box("host", card.id, spot, "internet"))
        done.hosts[card.id] = spot
        done.texts += cards.fill(card, spot, style, colour)[0]
    done.boxes.append(Box("internet", "internet", Rect(MARGIN, done.top, HOST + 24, y - done.top)))
    done.texts.append(Text(MARGIN + 12, done.top + 18, "Internet", 10.6, "internet", True))
    return y
