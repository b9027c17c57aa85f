"""What stands in the subnets and outside: a card for each interface, NAT gateway and host, and how large it is drawn.

A large subnet (see `folds`) shows a card for those with the same groups, with their count, and beside it those that
take part in flows, at most ``SLOTS`` of them.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from emulator.model.entities import ExternalHost, Instance, InternetGateway, NatGateway, NetworkInterface, RouteTable, Subnet, Vpc
from emulator.model.groups import SecurityGroup
from emulator.model.joined import InterfaceEndpoint, NetworkLoadBalancer
from emulator.model.topology import Topology
from emulator.views.folds import fold_ids
from emulator.views.shapes import Rect, Tag, Text
from emulator.views.text import clean, cut, width

FOLD_HOSTS = 12
SLOTS = 11
OTHERS = "internet:others"


class Style(NamedTuple):
    """Sizes in points, from roomy for a lab to dense for hundreds of instances.

    Parameters
    ----------
    up_to : as long as there are no more cards.
    card, name, line, leading, tag : a card's width, its letters, its lines, the height of a tag.
    aisle, gap : below and beside a card.
    narrowest : a subnet, so that a callout has room beside a lone card.
    head : how much larger than usual the title and the legend are.
    """

    up_to: float
    card: float
    name: float
    line: float
    leading: float
    tag: float
    aisle: float
    gap: float
    narrowest: float
    head: float


ROOMY = Style(12, card=146, name=9.5, line=7.6, leading=11, tag=13, aisle=62, gap=16, narrowest=236, head=1)
COMPACT = Style(40, card=112, name=8.4, line=7, leading=9.2, tag=11, aisle=50, gap=10, narrowest=180, head=1.15)
DENSE = Style(math.inf, card=92, name=7.8, line=6.6, leading=8.6, tag=10.4, aisle=46, gap=8, narrowest=170, head=1.3)
STYLES = (ROOMY, COMPACT, DENSE)
IDLE = 18.0  # the height of an aisle without lanes in a large picture
SMALLEST = 5.6  # the smallest size that a long address is shrunk to


@dataclass(frozen=True, slots=True)
class Card:
    """One card: its kind and id, the instance it belongs to, its texts and its security groups (id and text).

    ``aside`` stands at the end of the first line, if there is room; ``members`` are the interfaces that a fold stands for.
    """

    kind: str
    id: str
    owner: str
    title: str
    lines: tuple[str, ...] = ()
    groups: tuple[tuple[str, str], ...] = ()
    aside: str = ""
    members: tuple[str, ...] = ()


def height(card: Card, style: Style) -> float:
    """How high a card is."""
    tags = style.tag + 4 if card.groups else 0
    return 6 + style.name + 3 + len(card.lines) * style.leading + tags + 5


def cards_of(topology: Topology, wanted: Iterable[str]) -> dict[str, list[Card]]:
    """The cards of each subnet; in folded ones, those wanted have places as long as there are any.

    Parameters
    ----------
    wanted : ids of interfaces that take part in flows, the most important first
    """
    by_subnet: dict[str, list[NetworkInterface]] = {subnet.id: [] for subnet in topology.all(Subnet)}
    count = Counter(eni.instance for eni in topology.all(NetworkInterface))
    order = {instance.id: place for place, instance in enumerate(topology.all(Instance))}
    for eni in topology.all(NetworkInterface):
        by_subnet.setdefault(eni.subnet, []).append(eni)
    nats: dict[str, list[Card]] = {}
    for nat in topology.all(NatGateway):
        addresses = [str(nat.private_ip), *([f"{nat.public_ip} (public)"] if nat.public_ip else [])]
        nats.setdefault(nat.subnet, []).append(Card("nat", nat.id, nat.id, nat.name, ("NAT gateway", *addresses)))
    keepers: list[InterfaceEndpoint | NetworkLoadBalancer] = [*topology.all(InterfaceEndpoint), *topology.all(NetworkLoadBalancer)]
    for kept in keepers:
        noun = "interface endpoint" if isinstance(kept, InterfaceEndpoint) else "load balancer"
        groups = tuple((group, topology.display(group)) for group in kept.security_groups)
        for node in kept.nodes:
            lines = (noun, str(node.private_ip), *([f"{node.public_ip} (public)"] if node.public_ip else []))
            nats.setdefault(node.subnet, []).append(Card("nat", node.interface or kept.id, kept.id, kept.name, lines, groups))
    asked = list(dict.fromkeys(wanted))
    behind = fold_ids(topology)
    done: dict[str, list[Card]] = {}
    for subnet, enis in by_subnet.items():
        enis = sorted(enis, key=lambda eni: order.get(eni.instance, -1))
        cards = nats.get(subnet, [])
        if enis and enis[0].id in behind:
            here = {eni.id: eni for eni in enis}
            shown = [here[key] for key in asked if key in here][:SLOTS]
            together: dict[str, list[NetworkInterface]] = {}
            for eni in enis:
                together.setdefault(behind[eni.id], []).append(eni)
            folds = (_folded(topology, card, members) for card, members in together.items())
            cards = [*cards, *folds, *(_interface(topology, eni, count) for eni in shown)]
        else:
            cards = [*cards, *(_interface(topology, eni, count) for eni in enis)]
        done[subnet] = cards
    return done


def _interface(topology: Topology, eni: NetworkInterface, count: Counter[str]) -> Card:
    alone = count[eni.instance] == 1
    title = topology.display(eni.instance) if alone else topology.display(eni.id)
    first = [str(ip) for ip in eni.private_ips[:1]]
    lines = [*first, *(f"{public} (public)" for _, public in eni.public_ips), *(str(ip) for ip in eni.private_ips[1:])]
    if len(lines) > 4:
        lines = [*lines[:3], f"+ {len(lines) - 3} more addresses"]
    groups = tuple((group, topology.display(group)) for group in eni.security_groups)
    return Card("interface", eni.id, eni.instance, title, tuple(lines), groups, eni.name if alone else "")


def _folded(topology: Topology, card: str, enis: Sequence[NetworkInterface]) -> Card:
    members = Counter(group for eni in enis for group in eni.security_groups)
    instances = len({eni.instance for eni in enis})
    title = f"{instances} instances" if instances != 1 else "1 instance"
    lines = ("the busy ones are drawn",) if len(enis) == instances else (f"{len(enis)} interfaces", "the busy ones are drawn")
    groups = tuple(
        (group, topology.display(group) + ("" if number == len(enis) else f" {number}")) for group, number in members.most_common()
    )
    return Card("fold", card, "", title, lines, groups, members=tuple(eni.id for eni in enis))


def hosts_of(topology: Topology, wanted: Iterable[str]) -> list[Card]:
    """The cards outside; past ``FOLD_HOSTS`` hosts only those wanted, as long as there is a place, and the rest as one."""
    hosts = {host.id: host for host in topology.all(ExternalHost)}
    if len(hosts) <= FOLD_HOSTS:
        return [*(_host(host, 3) for host in hosts.values()), Card("host", OTHERS, "", "other addresses", ("anyone else outside",))]
    shown = [hosts[key] for key in dict.fromkeys(wanted) if key in hosts][:SLOTS]
    return [
        *(_host(host, 1) for host in shown),
        Card("host", OTHERS, "", f"{len(hosts) - len(shown)} more hosts", ("and anyone else outside",)),
    ]


def _host(host: ExternalHost, most: int) -> Card:
    lines = [str(ip) for ip in host.ips]
    if len(lines) > most:
        lines = [*lines[: most - 1], f"+ {len(lines) - most + 1} more addresses"] if most > 1 else [f"{lines[0]} + {len(lines) - 1}"]
    return Card("host", host.id, "", host.name, tuple(lines))


def tiers(topology: Topology) -> dict[str, str]:
    """Each subnet as public (a route to an internet gateway), private (another way out) or isolated."""
    main = {table.vpc: table for table in topology.all(RouteTable) if table.main}
    done = {}
    for subnet in topology.all(Subnet):
        table = topology.entities.get(subnet.route_table, main.get(subnet.vpc))
        routes = table.routes if isinstance(table, RouteTable) else ()
        outward = [topology.entities.get(route.target) for route in routes if route.target != "local" and not route.blackhole]
        if any(isinstance(target, InternetGateway) for target in outward):
            done[subnet.id] = "public"
        else:
            defaults = [route for route in routes if getattr(route.destination, "prefixlen", 1) == 0 and not route.blackhole]
            done[subnet.id] = "private" if any(route.target != "local" for route in defaults) else "isolated"
    return done


def colours(topology: Topology) -> dict[str, int]:
    """A colour's number for each security group, the default ones last, so that the named ones differ first."""
    groups = sorted(topology.all(SecurityGroup), key=lambda group: group.name == "default")
    return {group.id: place for place, group in enumerate(groups)}


def counts(topology: Topology) -> str:
    """How much there is: ``1 VPC · 2 subnets · 5 instances · 3 security groups · 1 host outside``."""
    nouns = ((Vpc, "VPC", "VPCs"), (Subnet, "subnet", "subnets"), (Instance, "instance", "instances"))
    more = ((SecurityGroup, "security group", "security groups"), (ExternalHost, "host outside", "hosts outside"))
    done = []
    for kind, one, many in (*nouns, *more):
        number = sum(1 for _ in topology.all(kind))
        if number or kind in (Vpc, Subnet, Instance):
            done.append(f"{number} {one if number == 1 else many}")
    return " · ".join(done)


def fill(card: Card, rect: Rect, style: Style, colour: dict[str, int]) -> tuple[list[Text], list[Tag]]:
    """The texts and tags of a card, all within its rectangle."""
    left, room = rect.x + 9, rect.w - 18
    y = rect.y + 5 + style.name
    texts = [Text(left, y, cut(card.title, room, style.name, True), style.name, "ink", True)]
    for place, line in enumerate(card.lines):
        y += style.leading + (2 if place == 0 else 0)
        size = style.line
        while size > SMALLEST and width(clean(line), size) > room:
            size -= 0.2
        texts.append(Text(left, y, cut(line, room, size), size, "ink" if place == 0 and card.kind == "interface" else "quiet"))
        # A text of its own: a name that runs from right to left must not carry the address along.
        if place == 0 and card.aside and width(line, size) + width(clean(card.aside), size) + 8 <= room:
            texts.append(Text(rect.right - 9, y, clean(card.aside), size, "quiet", False, "end"))
    return texts, _tags(card, Rect(left, y + 5, room, style.tag), style, colour) if card.groups else []


def _tags(card: Card, area: Rect, style: Style, colour: dict[str, int]) -> list[Tag]:
    size = style.line - 0.2
    done: list[Tag] = []
    x = area.x
    for place, (group, name) in enumerate(card.groups):
        left = len(card.groups) - place
        more = f"+{left}"
        more_wide = width(more, size, True) + 8
        reserve = more_wide + 4 if left > 1 else 0
        room = area.right - x - reserve
        text = cut(name, min(room - 9, area.w * (1 if len(card.groups) == 1 else 0.72)), size, True)
        wide = width(text, size, True) + 9
        if done and (room < wide or text.startswith("…") or (text != clean(name) and room < 40)):
            done.append(Tag(Rect(x, area.y, more_wide, area.h), more, -1, size))
            break
        done.append(Tag(Rect(x, area.y, wide, area.h), text, colour.get(group, -1), size))
        x += wide + 4
    return done
