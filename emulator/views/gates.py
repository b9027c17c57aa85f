"""What stands on a VPC's edge: gateways to the internet, to other VPCs, to customer networks and to AWS's services."""

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from emulator.model.entities import EgressOnlyInternetGateway, ExternalHost, InternetGateway, Vpc, VpcPeeringConnection
from emulator.model.joined import CustomerNetwork, GatewayEndpoint, TransitGateway, TransitGatewayAttachment, VpnGateway
from emulator.model.topology import Topology
from emulator.views.shapes import Box, Rect, Text
from emulator.views.text import clean, cut, width

if TYPE_CHECKING:
    from emulator.views.boxes import Plan

GATE, GATE_HIGH, GAP = 68.0, 44.0, 8.0
KINDS = ("igw", "eigw", "pcx", "tgw", "vgw", "vpce")


class Gate(NamedTuple):
    """A box on the edge: its kind of box, the entity's id and name, and what it is in a word."""

    kind: str
    id: str
    name: str
    noun: str


def gates_of(topology: Topology, vpc: str) -> list[Gate]:
    """The gates of a VPC, from the top down."""
    done = [Gate("igw", gate.id, gate.name, "internet gateway") for gate in topology.all(InternetGateway) if gate.vpc == vpc]
    done += [Gate("eigw", gate.id, gate.name, "egress-only") for gate in topology.all(EgressOnlyInternetGateway) if gate.vpc == vpc]
    done += [Gate("vgw", gate.id, gate.name, "VPN gateway") for gate in topology.all(VpnGateway) if gate.vpc == vpc]
    done += [
        Gate("pcx", gate.id, gate.name, "peering" if gate.is_active else clean(gate.status)[:12])
        for gate in topology.all(VpcPeeringConnection)
        if vpc in (gate.requester, gate.accepter)
    ]
    done += [
        Gate("tgw", gate.id, gate.name, "transit gateway") for gate in topology.all(TransitGateway) if vpc in _attached(topology, gate.id)
    ]
    return done + [
        Gate("vpce", gate.id, gate.name, f"{gate.service} endpoint") for gate in topology.all(GatewayEndpoint) if gate.vpc == vpc
    ]


def _attached(topology: Topology, transit_gateway: str) -> list[str]:
    """The VPCs that are attached to a transit gateway."""
    attachments = topology.all(TransitGatewayAttachment)
    return list(dict.fromkeys(found.vpc for found in attachments if found.vpc and found.transit_gateway == transit_gateway))


def between(topology: Topology, one: str, other: str) -> str:
    """What joins two VPCs: the id of their peering, else of a transit gateway of both, else empty."""
    for peering in topology.all(VpcPeeringConnection):
        if {peering.requester, peering.accepter} == {one, other}:
            return peering.id
    return next((gate.id for gate in topology.all(TransitGateway) if {one, other} <= set(_attached(topology, gate.id))), "")


def towards(topology: Topology, vpc: str, host: str) -> str:
    """The VPC's gate to a host that stands in a customer network; empty for any other host."""
    found = topology.entities.get(host)
    if not isinstance(found, ExternalHost):
        return ""
    for network in topology.all(CustomerNetwork):
        if any(ip in block for ip in found.ips for block in network.blocks):
            hubs = [known.transit_gateway for known in topology.all(TransitGatewayAttachment) if known.network == network.id]
            ways = [network.gateway, *hubs]
            return next((gate.id for gate in gates_of(topology, vpc) if gate.id in ways), "")
    return ""


def stand(done: "Plan", topology: Topology, vpc: Vpc, left: float, free: list[tuple[float, float]], content: float) -> float:
    """Stand the gates on the VPC's left edge beside no aisle; gives how far down the VPC reaches.

    Parameters
    ----------
    free : heights between the aisles, the last one without an end.
    """
    here, bands = gates_of(topology, vpc.id), list(free)
    while here:
        low, high = bands.pop(0)
        fits = int((high - low - 4) // (GATE_HIGH + GAP)) if high < math.inf else len(here)
        now, here = here[:fits], here[fits:]
        y = low + 4
        for gate in now:
            rect = Rect(left - GATE / 2, y, GATE, GATE_HIGH)
            done.gates[gate.id, vpc.id] = rect
            done.boxes.append(Box(gate.kind, gate.id, rect))
            size = 8.6 if width(clean(gate.name), 8.6, True) <= GATE - 8 else 7.4
            done.texts.append(Text(left, y + 19, cut(gate.name, GATE - 6, size, True), size, "gate", True, "middle"))
            done.texts.append(Text(left, y + 32, cut(gate.noun, GATE - 4, 6.4), 6.4, "gate", False, "middle"))
            y += GATE_HIGH + GAP
            content = max(content, y)
    return content


def tie(done: "Plan", topology: Topology) -> None:
    """Join the boxes of each peering and transit gateway by a line."""
    joints: list[VpcPeeringConnection | TransitGateway] = [*topology.all(VpcPeeringConnection), *topology.all(TransitGateway)]
    ends: dict[str, list[Rect]] = {gate.id: [] for gate in joints}
    for (key, _), rect in done.gates.items():
        if key in ends:
            ends[key].append(rect)
    for number, rects in enumerate(ends.values()):
        for first, last in pairwise(rects):
            x = first.x - 4 - 3 * (number % 3)
            done.links.append(((first.x, first.middle[1]), (x, first.middle[1]), (x, last.middle[1]), (last.x, last.middle[1])))
