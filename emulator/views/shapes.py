"""What a picture is made of: boxes, texts, tags, lanes, marks and callouts, in points, y downwards."""

from dataclasses import dataclass, field
from typing import NamedTuple

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FlowLine:
    """A flow to be drawn as a lane.

    Parameters
    ----------
    source, destination : ids of an interface or a host outside; anything else is the Internet.
    label : ``tcp/22``; of a bundle ``tcp/22, 80 · udp/53``.
    verdict : ``accept``, ``drop`` (nothing passed) or ``partial``.
    packets, dropped : how many there were, how many of them were lost.
    died_at : id of the interface, gateway, subnet (its network ACL) or route table where packets were dropped.
    reason, code : ``no ingress rule in web``, ``ENI_SG_RULES_MISMATCH``; an empty reason of a group's code is worded here.
    egress : dropped on the way out of that interface.
    source_ip, destination_ip : as text, empty if not known or more than one.
    flows : how many conversations it stands for.
    """

    source: str
    destination: str
    label: str
    verdict: str
    packets: int = 1
    dropped: int = 0
    died_at: str = ""
    reason: str = ""
    code: str = ""
    egress: bool = False
    source_ip: str = ""
    destination_ip: str = ""
    flows: int = 1


class Rect(NamedTuple):
    """A rectangle by its upper left corner and its size."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.h

    @property
    def middle(self) -> Point:
        """The centre."""
        return self.x + self.w / 2, self.y + self.h / 2

    def overlap(self, other: "Rect", gap: float = 0) -> float:
        """The area that both cover, the other one grown by a gap on each side."""
        wide = min(self.right, other.right + gap) - max(self.x, other.x - gap)
        high = min(self.bottom, other.bottom + gap) - max(self.y, other.y - gap)
        return wide * high if wide > 0 and high > 0 else 0.0

    def inside(self, other: "Rect") -> bool:
        """Whether it lies within another one."""
        slack = 1e-6
        return (
            self.x >= other.x - slack
            and self.y >= other.y - slack
            and self.right <= other.right + slack
            and self.bottom <= other.bottom + slack
        )


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle that stands for something.

    Parameters
    ----------
    kind : internet, host, vpc, zone, router, public, private, isolated (subnets), instance, interface, fold, nat (and
        what else AWS keeps in a subnet), and those of `gates.KINDS`.
    id : of the entity.
    parent : id of the box it stands in; empty for those on the canvas and for gateways on a VPC's edge.
    """

    kind: str
    id: str
    rect: Rect
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A text by the left (start), centre (middle) or right (end) of its base line."""

    x: float
    y: float
    text: str
    size: float
    role: str = "ink"
    bold: bool = False
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Tag:
    """A security group's name on a coloured ground; colours are numbered by the order of the groups, -1 has none."""

    rect: Rect
    text: str
    colour: int
    size: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign on a lane: ``start``, ``arrow`` (along ``heading``), ``cross`` where it died, ``part`` where some packets did."""

    kind: str
    x: float
    y: float
    radius: float
    heading: Point = (0.0, -1.0)


@dataclass(frozen=True, slots=True)
class Lane:
    """A flow's way as corner points, with its marks; ``weight`` is the width of the line."""

    flow: FlowLine
    points: tuple[Point, ...]
    marks: tuple[Mark, ...]
    weight: float = 2.0
    place: str = ""  # where packets died, as an id of a box

    @property
    def end(self) -> Point:
        """Where it ends."""
        return self.points[-1]


@dataclass(frozen=True, slots=True)
class Callout:
    """Words at the place where flows died; ``target`` is the mark they speak of, (text, bold) the lines."""

    rect: Rect
    lines: tuple[tuple[str, bool], ...]
    target: Point
    verdict: str
    place: str
    size: float


@dataclass(frozen=True, slots=True)
class Label:
    """What an accepted lane carries, written on it."""

    rect: Rect
    text: str
    size: float


@dataclass(frozen=True)
class Scene:
    """A picture laid out, ready to be drawn; boxes stand where they stand, whatever becomes of the flows.

    ``together`` has the cards in which interfaces stand whose flows are drawn together.
    """

    width: float
    height: float
    boxes: tuple[Box, ...]
    texts: tuple[Text, ...]
    tags: tuple[Tag, ...] = ()
    links: tuple[tuple[Point, ...], ...] = ()
    lanes: tuple[Lane, ...] = ()
    callouts: tuple[Callout, ...] = ()
    labels: tuple[Label, ...] = ()
    legend: tuple[Lane, ...] = ()
    left_out: str = field(default="")
    together: dict[str, str] = field(default_factory=dict)

    def box(self, entity_id: str) -> Box:
        """The box of an entity; KeyError if it has none."""
        for box in self.boxes:
            if box.id == entity_id:
                return box
        raise KeyError(entity_id)
