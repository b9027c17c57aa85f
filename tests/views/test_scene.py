"""Layout: what a picture promises whatever the topology and its flows are."""

import time
from ipaddress import ip_address, ip_network
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings

from emulator.model.entities import Instance, NetworkInterface, Subnet, Vpc
from emulator.model.topology import Topology
from emulator.views.boxes import plan
from emulator.views.callouts import strokes
from emulator.views.folds import fold_ids
from emulator.views.gates import KINDS
from emulator.views.phrases import reason
from emulator.views.scene import FlowLine, layout
from emulator.views.shapes import Box, Lane, Rect, Scene, Text
from emulator.views.text import width
from tests.views.examples import HOSTILE, MISMATCH, estate, joined, pictures, web

SUBNETS = ("public", "private", "isolated")
many = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def blocked(**more: object) -> FlowLine:
    """SSH from the customer, dropped at web-1."""
    fields: dict[str, object] = {"packets": 3, "dropped": 3, "died_at": "eni-web-1", "code": MISMATCH, "source_ip": "192.0.2.77"}
    return FlowLine("ext-customer", "eni-web-1", "tcp/22", "drop", **(fields | more))  # type: ignore[arg-type]


def extent(text: Text) -> Rect:
    """Where a text stands."""
    wide = width(text.text, text.size, text.bold)
    left = text.x - {"start": 0.0, "middle": wide / 2, "end": wide}[text.anchor]
    return Rect(left, text.y - text.size * 0.8, wide, text.size)


def parents(scene: Scene) -> dict[str, list[Box]]:
    """The boxes of each parent; an instance over several subnets counts once in each."""
    done: dict[str, list[Box]] = {}
    for box in scene.boxes:
        done.setdefault(box.parent, []).append(box)
    return done


@given(pictures())
@many
def test_boxes_stand_inside_their_parents(picture: tuple[Topology, list[FlowLine]]) -> None:
    """Every box but a gateway lies within the box it belongs to, and all within the picture."""
    scene = layout(*picture)
    canvas = Rect(0, 0, scene.width, scene.height)
    by_id: dict[str, list[Box]] = {}
    for box in scene.boxes:
        by_id.setdefault(box.id, []).append(box)
    for box in scene.boxes:
        assert box.rect.inside(canvas), box
        if box.parent:
            assert any(box.rect.inside(parent.rect) for parent in by_id[box.parent]), box


@given(pictures())
@many
def test_siblings_do_not_overlap(picture: tuple[Topology, list[FlowLine]]) -> None:
    """Two boxes of one parent never cover one another; a gateway covers nothing but its VPC's edge."""
    scene = layout(*picture)
    for siblings in parents(scene).values():
        for first, second in combinations([box for box in siblings if box.kind not in KINDS], 2):
            assert not first.rect.overlap(second.rect), (first, second)
    gates = [box for box in scene.boxes if box.kind in KINDS]
    for gate in gates:
        for other in scene.boxes:
            if other is not gate and other.kind != "vpc":
                assert not gate.rect.overlap(other.rect), (gate, other)


@given(pictures())
@many
def test_names_do_not_overlap_and_stay_in_the_picture(picture: tuple[Topology, list[FlowLine]]) -> None:
    """No text is written over another one or over a group's tag, and none is cut off by the edge."""
    scene = layout(*picture)
    canvas = Rect(0, 0, scene.width, scene.height)
    places = [extent(text) for text in scene.texts] + [tag.rect for tag in scene.tags]
    for place in places:
        assert place.inside(canvas), place
    for first, second in combinations(places, 2):
        assert not first.overlap(second), (first, second)


@given(pictures())
@many
def test_lanes_run_from_box_to_box(picture: tuple[Topology, list[FlowLine]]) -> None:
    """Every lane starts at the edge of its source; an accepted one ends at the edge of its destination."""
    topology, flows = picture
    scene = layout(topology, flows)
    for lane in scene.lanes:
        assert touches(lane.points[0], box_of(topology, scene, lane.flow.source)), lane
        if lane.flow.verdict == "accept":
            assert touches(lane.end, box_of(topology, scene, lane.flow.destination)), lane


@given(pictures())
@many
def test_lanes_are_square_and_pass_no_card(picture: tuple[Topology, list[FlowLine]]) -> None:
    """Lanes run level or upright, and through no instance, host, NAT gateway or fold; gateways they pass on purpose."""
    topology, flows = picture
    scene = layout(topology, flows)
    cards = [box for box in scene.boxes if box.kind in ("instance", "interface", "nat", "fold", "host")]
    for lane in scene.lanes:
        for (x, y), (until_x, until_y) in zip(lane.points, lane.points[1:], strict=False):
            assert abs(x - until_x) < 0.02 or abs(y - until_y) < 0.02, lane
            low, high = (min(x, until_x), min(y, until_y)), (max(x, until_x), max(y, until_y))
            for card in cards:
                inner = Rect(card.rect.x + 1, card.rect.y + 1, card.rect.w - 2, card.rect.h - 2)
                meets = low[0] < inner.right and high[0] > inner.x and low[1] < inner.bottom and high[1] > inner.y
                assert not meets, (lane, card)


@given(pictures())
@many
def test_lanes_do_not_lie_on_one_another(picture: tuple[Topology, list[FlowLine]]) -> None:
    """Two lanes cross, at most; they share no stretch, so that each can be followed."""
    scene = layout(*picture)
    for first, second in combinations(scene.lanes, 2):
        for one in segments(first):
            for other in segments(second):
                assert shared(one, other) < 2.0, (first.flow, second.flow, one, other)


@given(pictures())
@many
def test_a_blocked_lane_ends_where_it_died(picture: tuple[Topology, list[FlowLine]]) -> None:
    """What was dropped ends in a cross, what was dropped in part has a mark, and each mark has a callout with its place."""
    scene = layout(*picture)
    for lane in scene.lanes:
        kinds = [mark.kind for mark in lane.marks]
        if lane.flow.verdict == "drop":
            mark = lane.marks[-1]
            assert kinds.count("cross") == 1, lane
            assert "arrow" not in kinds, lane
            assert (mark.x, mark.y) == lane.end, lane
        else:
            assert kinds.count("part") == (lane.flow.verdict == "partial"), lane
    marked = {lane.place for lane in scene.lanes if lane.flow.verdict != "accept"}
    assert {callout.place for callout in scene.callouts} == marked


@given(pictures())
@many
def test_callouts_hide_no_name_and_no_other_callout(picture: tuple[Topology, list[FlowLine]]) -> None:
    """Callouts stay in the picture and cover no name, no tag, no mark where a flow ends, and not one another."""
    scene = layout(*picture)
    canvas = Rect(0, 0, scene.width, scene.height)
    names = [extent(text) for text in scene.texts] + [tag.rect for tag in scene.tags]
    marks = [mark for lane in scene.lanes for mark in lane.marks if mark.kind != "start"]
    for callout in scene.callouts:
        assert callout.rect.inside(canvas), callout
        for name in names:
            assert not callout.rect.overlap(name), (callout, name)
        for mark in marks:
            spot = Rect(mark.x - mark.radius, mark.y - mark.radius, 2 * mark.radius, 2 * mark.radius)
            assert not callout.rect.overlap(spot), (callout, mark)
        for line, bold in callout.lines:
            assert width(line, callout.size, bold) <= callout.rect.w, line
    for first, second in combinations(scene.callouts, 2):
        assert not first.rect.overlap(second.rect), (first, second)


@given(pictures())
@many
def test_boxes_stand_still_whatever_becomes_of_the_flows(picture: tuple[Topology, list[FlowLine]]) -> None:
    """The same flows with another verdict leave every box where it is: before and after a rule's edit compare at a glance."""
    topology, flows = picture
    all_pass = [FlowLine(flow.source, flow.destination, flow.label, "accept", flow.packets) for flow in flows]
    assert layout(topology, flows).boxes == layout(topology, all_pass).boxes


def test_the_callout_says_what_where_and_why() -> None:
    """A blocked flow's callout has the packet, its sender, the group without a rule, and the code."""
    scene = layout(web(), [blocked()])
    assert [line for line, _ in scene.callouts[0].lines] == ["tcp/22 from customer 192.0.2.77", "no ingress rule in web", MISMATCH]
    card = next(box.rect for box in scene.boxes if box.id == "eni-web-1")
    mark = scene.lanes[0].marks[-1]
    assert card.x < mark.x < card.right
    assert 0 < mark.y - card.bottom < 12, "the cross is just below the interface that dropped it"


@pytest.mark.parametrize(
    ("died_at", "egress", "kind", "place"),
    [
        ("eni-web-1", False, "cross", "eni-web-1"),
        ("subnet-public-a", False, "cross", "subnet-public-a"),
        ("igw-igw", False, "cross", "igw-igw"),
        ("rtb-public", False, "cross", "vpc-shop/router"),
    ],
    ids=["by the interface's groups", "by the subnet's network ACL", "by the gateway", "by the route table"],
)
def test_a_lane_ends_at_the_place_that_dropped_it(died_at: str, egress: bool, kind: str, place: str) -> None:
    """The cross stands at the edge of what dropped the packet: interface, subnet, gateway, router."""
    scene = layout(web(), [blocked(died_at=died_at, reason="no", egress=egress)])
    mark = scene.lanes[0].marks[-1]
    assert (mark.kind, scene.lanes[0].place) == (kind, place)
    assert touches((mark.x, mark.y), scene.box(place).rect, 14) or within((mark.x, mark.y), scene.box(place).rect)


def test_what_left_never_reaches_the_other_end() -> None:
    """A packet dropped on its way out has its cross at its sender, and no lane beyond."""
    scene = layout(web(), [FlowLine("eni-web-1", "ext-customer", "tcp/80", "drop", 1, 1, "eni-web-1", "", "SG_HAS_NO_RULES", True)])
    lane, card = scene.lanes[0], next(box.rect for box in scene.boxes if box.id == "eni-web-1")
    assert all(card.x <= x <= card.right and card.bottom <= y < card.bottom + 20 for x, y in lane.points)
    assert ("no egress rule at all in web", False) in scene.callouts[0].lines


def test_flows_with_the_same_ends_and_fate_are_one_lane() -> None:
    """A scan is one lane that names its ports and counts its packets; the subtitle still counts flows."""
    ports = (21, 22, 23, 3306, 3389, 8080)
    flows = [FlowLine("ext-scanner", "eni-web-1", f"tcp/{port}", "drop", 2, 2, "eni-web-1", "", MISMATCH) for port in ports]
    scene = layout(web(), [*flows, FlowLine("ext-scanner", "eni-web-1", "tcp/443", "accept", 9)])
    assert [(lane.flow.label, lane.flow.packets) for lane in scene.lanes] == [("tcp/443", 9), ("tcp/21, 22, 23, 3306 + 2 more", 12)]
    assert any("7 flows: 1 accepted, 6 blocked" in text.text for text in scene.texts)


def test_only_the_busiest_lanes_are_drawn_and_the_rest_is_counted() -> None:
    """Past the limit the lanes with most packets stay, and a line says how many flows are not drawn."""
    topology = estate(instances=12)
    enis = [eni.id for eni in topology.all(NetworkInterface)]
    flows = [FlowLine("", eni, "tcp/443", "accept", 1 + number) for number, eni in enumerate(enis)]
    scene = layout(topology, flows, drawn=4)
    assert [lane.flow.packets for lane in scene.lanes] == [12, 11, 10, 9]
    assert scene.left_out == "+ 8 accepted flows not drawn"


def test_the_internet_is_drawn_only_where_there_is_a_way_to_it() -> None:
    """A VPC without gateways and hosts outside has the whole picture; a flow from outside brings the Internet back."""
    inner = estate_without_internet()
    assert not any(box.kind == "internet" for box in layout(inner).boxes)
    assert any(box.kind == "internet" for box in layout(inner, [FlowLine("", "eni-alice", "tcp/22", "drop", 1, 1)]).boxes)


def estate_without_internet() -> Topology:
    """One instance in one subnet without a way out."""
    return Topology.of(
        Vpc("lab", (ip_network("10.0.0.0/16"),)),
        Subnet("a", "lab", (ip_network("10.0.1.0/24"),)),
        Instance("alice", "lab"),
        NetworkInterface("eth0", "alice", "a", (ip_address("10.0.1.10"),)),
    )


def test_a_legend_names_the_kinds_of_lanes_that_are_there() -> None:
    """A map without flows has no legend, one with flows explains each kind it has and no other."""
    assert not layout(web()).legend
    scene = layout(web(), [blocked(), FlowLine("ext-customer", "eni-web-1", "tcp/443", "accept")])
    assert [lane.flow.verdict for lane in scene.legend] == ["accept", "drop"]
    assert {"accepted", "blocked, at the ✕"} <= {text.text for text in scene.texts}


def test_accepted_lanes_are_labelled_with_their_services() -> None:
    """The one accepted lane of a small picture carries its service, on the lane and over no other."""
    scene = layout(web(), [FlowLine("ext-customer", "eni-web-1", "tcp/443", "accept"), blocked()])
    assert [label.text for label in scene.labels] == ["tcp/443"]
    assert any(stroke.overlap(scene.labels[0].rect) for stroke in strokes(scene.lanes[0]))
    assert not any(stroke.overlap(scene.labels[0].rect) for stroke in strokes(scene.lanes[1]))


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_names_stay_in_their_places(name: str) -> None:
    """A name of any characters and any length keeps to its card, its callout and the picture."""
    topology = web().changed("ext-customer", name=name).changed("i-web-1", name=name)
    flow = FlowLine("ext-customer", "eni-web-1", name, "drop", 1, 1, "eni-web-1", name, name)
    scene = layout(topology, [flow], title=name)
    canvas = Rect(0, 0, scene.width, scene.height)
    assert all(extent(text).inside(canvas) for text in scene.texts)
    assert all(callout.rect.inside(canvas) for callout in scene.callouts)
    shown = [text.text for text in scene.texts] + [line for callout in scene.callouts for line, _ in callout.lines]
    assert not any(
        character < " " or character in "\x7f\u202e\u202c" or "\ud800" <= character < "\ue000" for text in shown for character in text
    )


def test_five_thousand_flows_of_five_hundred_instances_take_bounded_time() -> None:
    """A large replay is laid out in seconds and drawn with a bounded number of lanes, those of equals together."""
    topology = estate(subnets=9, instances=500, zones=3)
    enis = [eni.id for eni in topology.all(NetworkInterface)]
    flows = [
        FlowLine(enis[number % 500], enis[number * 7 % 500], f"tcp/{number % 90}", "accept")
        if number % 3
        else FlowLine("ext-out-0", enis[number % 500], f"tcp/{number % 90}", "drop", 1, 1, enis[number % 500], "", MISMATCH)
        for number in range(5_000)
    ]
    start = time.process_time()
    scene = layout(topology, flows)
    assert time.process_time() - start < 10
    assert 10 < len(scene.lanes) <= 20
    assert scene.left_out.endswith("flows not drawn")
    assert sum(lane.flow.flows for lane in scene.lanes) > 100 * len(scene.lanes)
    assert reason(topology, scene.lanes[-1].flow).startswith("no ingress rule in group-0-")


def box_of(topology: Topology, scene: Scene, key: str) -> Rect:
    """The card of an end: its own, or that of the folded ones or of the other addresses."""
    for box in scene.boxes:
        if box.id == key and box.kind != "instance":
            return box.rect
    return scene.box(fold_ids(topology).get(key, "internet:others")).rect


def touches(point: tuple[float, float], rect: Rect, gap: float = 0.5) -> bool:
    """Whether a point is on the edge of a rectangle."""
    grown = Rect(rect.x - gap, rect.y - gap, rect.w + 2 * gap, rect.h + 2 * gap)
    inner = Rect(rect.x + gap, rect.y + gap, rect.w - 2 * gap, rect.h - 2 * gap)
    return within(point, grown) and not within(point, inner)


def within(point: tuple[float, float], rect: Rect) -> bool:
    """Whether a point is in a rectangle."""
    return rect.x <= point[0] <= rect.right and rect.y <= point[1] <= rect.bottom


def segments(lane: Lane) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The straight stretches of a lane."""
    return list(zip(lane.points, lane.points[1:], strict=False))


def shared(one: tuple[tuple[float, float], tuple[float, float]], other: tuple[tuple[float, float], tuple[float, float]]) -> float:
    """How long two stretches run on one line, less than half a point apart."""
    for along in (0, 1):
        across = 1 - along
        level = all(abs(stretch[0][across] - stretch[1][across]) < 0.02 for stretch in (one, other))
        if level and abs(one[0][across] - other[0][across]) < 0.5:
            low = max(min(one[0][along], one[1][along]), min(other[0][along], other[1][along]))
            return min(max(one[0][along], one[1][along]), max(other[0][along], other[1][along])) - low
    return 0.0


def test_a_plan_has_a_place_for_every_interface() -> None:
    """An interface that is not drawn stands behind a card that those with its groups share; of many groups, behind one."""
    topology = estate(subnets=1, instances=40)
    made = plan(topology)
    found = {made.cell_of(topology, eni.id) for eni in topology.all(NetworkInterface)}
    assert found == {f"subnet-0-0:sg-group-0-{number}" for number in range(3)}
    assert found <= {box.id for box in layout(topology).boxes}


@pytest.mark.parametrize("egress", [False, True], ids=["on the way in", "on the way out"])
def test_lanes_of_equals_end_where_they_died(egress: bool) -> None:
    """What many interfaces with the same groups lost is one lane, ending at the card of those that dropped it, with their reason."""
    topology = estate(subnets=2, instances=200)
    enis = [eni.id for eni in topology.all(NetworkInterface)]
    flows = [
        FlowLine(enis[number], enis[number + 1], "tcp/22", "drop", 1, 1, enis[number + (not egress)], "", MISMATCH, egress)
        for number in range(0, 198, 2)
    ]
    scene = layout(topology, flows)
    assert sum(lane.flow.flows for lane in scene.lanes) == len(flows) > len(scene.lanes)
    for lane in scene.lanes:
        end = lane.flow.source if egress else lane.flow.destination
        assert lane.place == end == lane.flow.died_at
        assert touches(lane.points[0], box_of(topology, scene, lane.flow.source))
        assert lane.flow.reason.startswith(f"no {'egress' if egress else 'ingress'} rule in group-0-")


def test_an_address_that_nobody_has_starts_outside() -> None:
    """Also where subnets are folded: an unknown address is one of the others on the Internet."""
    topology = estate(subnets=1, instances=40)
    scene = layout(topology, [FlowLine("", "eni-host-0-3", "tcp/22", "accept")])
    assert touches(scene.lanes[0].points[0], scene.box("internet:others").rect)


def test_what_joins_vpcs_is_on_their_edges() -> None:
    """A transit gateway and its lane stand on both VPCs, a customer network is reached by its VPN gateway, nodes are cards."""
    topology = joined()
    flows = [
        FlowLine("eni-x", "eni-y", "tcp/443", "accept"),
        FlowLine("ext-branch", "eni-x", "tcp/22", "drop", 1, 1, "vgw-vgw", "the connection is down", "BAD_STATE_VPN"),
        FlowLine("eni-x", "vpce-queue", "tcp/443", "accept"),
    ]
    scene = layout(topology, flows)
    assert [box.id for box in scene.boxes if box.kind == "tgw"] == ["tgw-hub", "tgw-hub"]
    across = next(lane for lane in scene.lanes if lane.flow.destination == "eni-y")
    gates = [box.rect for box in scene.boxes if box.kind == "tgw"]
    assert all(any(gate.y < y < gate.bottom for _, y in across.points) for gate in gates)
    assert {lane.place for lane in scene.lanes if lane.flow.verdict == "drop"} == {"vgw-vgw"}
    node = next(box.rect for box in scene.boxes if box.kind == "nat")
    assert touches(next(lane for lane in scene.lanes if lane.flow.destination == "vpce-queue").end, node)
