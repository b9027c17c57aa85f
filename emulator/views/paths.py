"""Which way a flow goes: its ends, the NAT gateway, gateways and routers between them, and where it died.

The way is worked out from the route tables as far as a picture needs it; verdicts are not, they come with the flow.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from emulator.model.entities import (
    EgressOnlyInternetGateway,
    ExternalHost,
    InternetGateway,
    NatGateway,
    NetworkInterface,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import ListPeer, NetworkAcl, PrefixList
from emulator.model.topology import Topology
from emulator.views.boxes import Plan
from emulator.views.gates import between, towards
from emulator.views.shapes import FlowLine


class End(NamedTuple):
    """One end of a leg.

    ``cell`` (key a card), ``stub`` (just below that card), ``edge`` (key a subnet, in the aisle of card ``of``),
    ``router`` (key a VPC), ``gate`` (key a gateway, ``of`` its VPC), ``host`` (key a host), ``void`` (the VPCs' edge).
    """

    kind: str
    key: str
    of: str = ""


@dataclass(frozen=True, slots=True)
class Journey:
    """A flow's legs from channel to channel, and the place where its packets died."""

    flow: FlowLine
    legs: tuple[tuple[End, End], ...]
    died: End | None


def journey(topology: Topology, plan: Plan, flow: FlowLine) -> Journey:
    """The way of a flow, up to the place of its death if nothing passed."""
    stops = _stops(topology, plan, flow)
    died = _death(topology, plan, flow, stops)
    if flow.verdict == "accept" or died is None:
        return Journey(flow, _legs(plan, stops), None)
    if flow.verdict != "drop":
        return Journey(flow, _legs(plan, stops), died)
    return Journey(flow, _legs(plan, _until(plan, stops, died)), died)


def _stops(topology: Topology, plan: Plan, flow: FlowLine) -> list[End]:
    source, destination = _end(topology, plan, flow.source), _end(topology, plan, flow.destination)
    if source.kind == "cell" and destination.kind == "cell":
        first, last = plan.cells[source.key].vpc, plan.cells[destination.key].vpc
        if first == last:
            return [source, destination]
        if joint := between(topology, first, last):
            return [source, End("gate", joint, first), End("gate", joint, last), destination]
        return [source, *_outward(topology, plan, flow, source), *_inward(topology, plan, flow, destination), destination]
    if source.kind == "cell":
        return [source, *_outward(topology, plan, flow, source), destination]
    if destination.kind == "cell":
        return [source, *_inward(topology, plan, flow, destination), destination]
    return [source, destination]


def _end(topology: Topology, plan: Plan, key: str) -> End:
    entity = topology.entities.get(key)
    if entity is not None and not isinstance(entity, NetworkInterface | NatGateway):
        enis = topology.interfaces_of(key)
        key = enis[0].id if enis else key
    cell = plan.cell_of(topology, key)
    return End("cell", cell) if cell else End("host", plan.host_of(key))


def _outward(topology: Topology, plan: Plan, flow: FlowLine, source: End) -> list[End]:
    """NAT gateway and gateway on the way out of a VPC; the router alone where no route leads out."""
    cell = plan.cells[source.key]
    if joint := towards(topology, cell.vpc, flow.destination):
        return [End("gate", joint, cell.vpc)]
    versions = _versions(topology, flow)
    target = _target(topology, cell.subnet, versions)
    done: list[End] = []
    if isinstance(target, NatGateway) and target.id in plan.cells and target.id != source.key:
        done.append(End("cell", target.id))
        target = _target(topology, target.subnet, [4]) or target
    if isinstance(target, InternetGateway | EgressOnlyInternetGateway | VpcPeeringConnection) and (target.id, cell.vpc) in plan.gates:
        return [*done, End("gate", target.id, cell.vpc)]
    named = topology.entities.get(flow.died_at)
    if (flow.died_at, cell.vpc) in plan.gates and named is not None:
        return [*done, End("gate", named.id, cell.vpc)]
    usual = _gateway(topology, cell.vpc, versions) if flow.verdict != "drop" else []
    return [*done, *(usual or [End("router", cell.vpc)])]


def _inward(topology: Topology, plan: Plan, flow: FlowLine, destination: End) -> list[End]:
    vpc = plan.cells[destination.key].vpc
    if joint := towards(topology, vpc, flow.source):
        return [End("gate", joint, vpc)]
    if (flow.died_at, vpc) in plan.gates:
        return [End("gate", flow.died_at, vpc)]
    return _gateway(topology, vpc, _versions(topology, flow)) or [End("void", vpc)]


def _gateway(topology: Topology, vpc: str, versions: list[int]) -> list[End]:
    """The VPC's gateway to the internet; an egress-only one if it has no other."""
    kinds: tuple[type[InternetGateway] | type[EgressOnlyInternetGateway], ...] = (InternetGateway, EgressOnlyInternetGateway)
    for kind in kinds[: 1 + (6 in versions)]:
        for gate in topology.all(kind):
            if gate.vpc == vpc:
                return [End("gate", gate.id, vpc)]
    return []


def _versions(topology: Topology, flow: FlowLine) -> list[int]:
    """The address families that a flow may have, by the hosts outside that it joins and by its interfaces; IPv4 first."""
    for key in (flow.destination, flow.source):
        entity = topology.entities.get(key)
        if isinstance(entity, ExternalHost):
            return sorted({ip.version for ip in entity.ips}) or [4, 6]
    for key in (flow.source, flow.destination):
        entity = topology.entities.get(key)
        if isinstance(entity, NetworkInterface) and entity.private_ips:
            return sorted({ip.version for ip in entity.private_ips})
    return [4, 6]


def _target(topology: Topology, subnet_id: str, versions: list[int]) -> object:
    """What the broadest route out of a subnet leads to."""
    subnet = topology.get(subnet_id, Subnet)
    table = topology.entities.get(subnet.route_table)
    if not isinstance(table, RouteTable):
        table = next((main for main in topology.all(RouteTable) if main.vpc == subnet.vpc and main.main), None)
    routes = [route for route in table.routes if route.target != "local" and not route.blackhole] if table else []
    for version in versions:
        fitting = [(length, route) for route in routes if (length := _length(topology, route, version)) is not None]
        if fitting:
            return topology.entities.get(min(fitting, key=lambda pair: pair[0])[1].target)
    return None


def _length(topology: Topology, route: Route, version: int) -> int | None:
    """The shortest prefix of a route in a family; None if it has none."""
    destination = route.destination
    if isinstance(destination, ListPeer):
        listed = topology.entities.get(destination.list)
        blocks = listed.entries if isinstance(listed, PrefixList) else ()
    else:
        blocks = (destination,)
    return min((block.prefixlen for block in blocks if block.version == version), default=None)


def _death(topology: Topology, plan: Plan, flow: FlowLine, stops: list[End]) -> End | None:
    """The place where packets died, as an end on the way; its last place if that is not known."""
    if flow.verdict == "accept":
        return None
    first, last = stops[0], stops[-1]
    entity = topology.entities.get(flow.died_at)
    cell = plan.cell_of(topology, flow.died_at)
    if cell:
        if cell == first.key and (flow.egress or cell != last.key):
            return End("stub", cell)
        if cell in [stop.key for stop in stops]:
            return End("cell", cell)
    for stop in stops[1:]:
        if stop.key == flow.died_at and stop.kind in ("gate", "host"):
            return stop
    if first.kind == "host" and first.key == flow.died_at:  # on the link to the next place
        return stops[1]
    if isinstance(entity, NetworkAcl):
        subnets = [plan.cells[end.key].subnet for end in (last, first) if end.kind == "cell"]
        guarded = [key for key in subnets if topology.get(key, Subnet).network_acl == entity.id]
        entity = topology.entities.get((guarded or subnets or [""])[0])
    if isinstance(entity, Subnet):
        for end in (last, first) if not flow.egress else (first, last):
            if end.kind == "cell" and plan.cells[end.key].subnet == entity.id:
                return End("edge", entity.id, end.key)
        for stop in stops[1:-1]:
            if stop.kind == "cell" and plan.cells[stop.key].subnet == entity.id:
                return End("edge", entity.id, stop.key)
    if isinstance(entity, RouteTable | Vpc):
        home = entity.vpc if isinstance(entity, RouteTable) else entity.id
        return End("router", home)
    return next((stop for stop in stops if stop.kind in ("router", "void")), last)


def _until(plan: Plan, stops: list[End], died: End) -> list[End]:
    """The stops up to the place of death, which is the last one."""
    first = stops[0]
    if died.kind == "stub":
        return [first, died]
    if died in stops[1:]:
        return stops[: stops.index(died) + 1]
    if died.kind == "edge":
        if died.of == first.key:
            return [first, died]
        return [*stops[: next(place for place, stop in enumerate(stops) if stop.key == died.of)], died]
    if died.kind == "router":
        if first.kind == "cell" and plan.cells[first.key].vpc == died.key:
            return [first, died]
        for place, stop in enumerate(stops):
            if stop.kind == "gate" and stop.of == died.key:
                return [*stops[: place + 1], died]
    return stops


def _legs(plan: Plan, stops: list[End]) -> tuple[tuple[End, End], ...]:
    """Neighbouring stops as legs; a router or the void between two stops is where the lane ends."""
    for place, stop in enumerate(stops[:-1]):
        if stop.kind in ("router", "void") and place:
            stops = stops[: place + 1]
            break
    return tuple(pairwise(stops)) or ((stops[0], stops[0]),)
