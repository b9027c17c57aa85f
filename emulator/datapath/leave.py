"""Leaving a subnet: where next, through the network ACL, by the route table, in pieces if need be (E4 to E8).

The same way for everything that stands in a subnet: interfaces, NAT gateways, balancers' nodes, attachments of transit
gateways (NA-14, RT-8).  What a place sends to another of its own subnet goes straight there (FB-22).
"""

from typing import NamedTuple

from emulator.datapath import links, queue, spawn, ways
from emulator.datapath.filters import ACCEPT, DROP, WAITING, acl_decides, forget
from emulator.datapath.journal import finish, passed, sighted
from emulator.datapath.state import EventKind, Flight, State
from emulator.kernels import kernel
from emulator.policy.joined_columns import AddressPair
from emulator.policy.reasons import Reason, Stage
from emulator.policy.routes import best_route
from emulator.policy.tables import (
    EGRESS,
    LOCAL,
    Eni,
    GatewayColumn,
    PlaceKind,
    RouteColumn,
    SubnetColumn,
    Tables,
    kind_of,
    owner,
    row_of,
    subnet_of,
)
from emulator.wire.addresses import halves
from emulator.wire.headers import TCP, UDP, Field

ARRIVE, TRANSIT, SEND = (int(kind) for kind in EventKind)
_ENI, _PEERING, _NONE, _BALANCER = (int(kind) for kind in (PlaceKind.ENI, PlaceKind.PEERING, PlaceKind.NONE, PlaceKind.BALANCER))
_NAT, _ATTACHMENT, _OUTSIDE = int(PlaceKind.NAT_GATEWAY), int(PlaceKind.ATTACHMENT), int(PlaceKind.OUTSIDE)
DIRECT, ACL_EGRESS, ROUTE, LINK, PATH_MTU = (
    int(stage) for stage in (Stage.DIRECT, Stage.ACL_EGRESS, Stage.ROUTE, Stage.LINK, Stage.PATH_MTU)
)
_NO_ROUTE, _BLACKHOLE, _NOTHING = int(Reason.NO_ROUTE_TO_DESTINATION), int(Reason.BAD_STATE_ROUTE), int(Reason.NO_POSSIBLE_DESTINATION)
_TTL, _TOO_BIG = int(Reason.EMU_TTL_EXPIRED), int(Reason.EMU_MTU_EXCEEDED)
MTU_VPC = 9001
ROUTER_V6 = halves("fe80:ec2::1")
_ROUTER_V6_HI, _ROUTER_V6_LO = ROUTER_V6.hi, ROUTER_V6.lo
SAME_SUBNET, DIVERTED = -1, -2  # what stands for a route's row where none was looked at


class Hop(NamedTuple):
    """Where a packet goes: the target's id (0 none), the route's row (`SAME_SUBNET`, `DIVERTED`), and the interface at
    the end whose groups an egress rule may name (``member``), or could have named (``lost``)."""

    target: int
    route: int
    member: int
    lost: int


@kernel
def is_interface(tables: Tables, place: int) -> bool:
    """Whether an id stands for an interface that can be the end of a group reference."""
    return place != 0 and kind_of(tables, place) == _ENI


@kernel
def in_a_subnet(tables: Tables, place: int) -> bool:
    """Whether a packet can be handed to a place in a subnet: an interface, or one of AWS's own."""
    kind = kind_of(tables, place)
    return place != 0 and kind in (_ENI, _NAT, _BALANCER, _ATTACHMENT)


@kernel
def next_hop(tables: Tables, state: State, p: int, vpc: int, subnet_id: int) -> Hop:
    """The next hop of the packet in row ``p`` out of a subnet (FB-22, RT-8, SG-26)."""
    flights = state.flights
    hi, lo = flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]
    here = owner(tables, vpc, hi, lo)
    if in_a_subnet(tables, here) and subnet_of(tables, here) == subnet_id:
        return Hop(here, SAME_SUBNET, here if kind_of(tables, here) == _ENI else 0, 0)
    route = best_route(tables, row_of(tables, subnet_id), flights[p, Field.FAMILY], hi, lo)
    if route < 0:
        return Hop(0, SAME_SUBNET, 0, 0)
    target = tables.routes[route, RouteColumn.TARGET]
    if target == LOCAL:
        if not in_a_subnet(tables, here):
            return Hop(0, route, 0, 0)
        return Hop(here, route, here if kind_of(tables, here) == _ENI else 0, 0)
    kind = kind_of(tables, target)
    if kind == _ENI and target != here:
        return Hop(target, route, 0, here if is_interface(tables, here) else 0)
    if kind == _ENI:
        return Hop(target, route, here, 0)
    if kind == _PEERING and tables.gateways[row_of(tables, target), GatewayColumn.KEEPS_GROUPS] != 0:
        peer = owner(tables, other_vpc(tables, target, vpc), hi, lo)
        return Hop(target, route, peer if is_interface(tables, peer) else 0, 0)
    return Hop(target, route, 0, 0)


@kernel
def other_vpc(tables: Tables, peering: int, vpc: int) -> int:
    """Id of the VPC at the other end of a peering."""
    row = row_of(tables, peering)
    first = tables.gateways[row, GatewayColumn.VPC]
    return tables.gateways[row, GatewayColumn.VPC_B] if first == vpc else first


@kernel
def leave(tables: Tables, state: State, p: int, place: int, hop: Hop, opened: int, now: int) -> None:
    """E4 to E8: a packet that its place lets go leaves for the next hop.

    ``opened`` is 1 if the groups made a tracking entry for the packet.  FROM becomes the place's subnet.
    """
    flights = state.flights
    subnet_id = subnet_of(tables, place)
    flights[p, Flight.FROM] = subnet_id
    if hop.route == SAME_SUBNET and hop.target != 0:
        sighted(state, p, now, place, EGRESS, ACCEPT, 0, flights[p, Flight.RULE], hop.target)
        passed(state, p, now, DIRECT, place, 0, 0, hop.target)
        go(tables, state, p, place, hop.target, now)
        return
    subnet = row_of(tables, subnet_id)
    if hop.route == DIVERTED or subnet_of(tables, hop.target) != subnet_id:
        decision = acl_decides(tables, state, p, subnet, EGRESS, now, SEND, place)
        if decision.verdict == WAITING:
            return
        if decision.verdict != ACCEPT:
            if opened != 0 and tables.settings.entry_survives_acl_drop == 0:
                forget(tables, state, p, place)
            sighted(state, p, now, place, EGRESS, DROP, decision.reason, decision.rule, hop.target)
            finish(state, p, now, ACL_EGRESS, subnet_id, DROP, decision.reason, decision.rule)
            return
        passed(state, p, now, ACL_EGRESS, subnet_id, decision.rule, 0, 0)
    sighted(state, p, now, place, EGRESS, ACCEPT, 0, flights[p, Flight.RULE], hop.target)
    if hop.route != DIVERTED:
        if hop.route < 0:
            finish(state, p, now, ROUTE, subnet_id, DROP, _NO_ROUTE, 0)
            return
        route_id = tables.routes[hop.route, RouteColumn.ID]
        if tables.routes[hop.route, RouteColumn.BLACKHOLE] != 0:
            finish(state, p, now, ROUTE, subnet_id, DROP, _BLACKHOLE, route_id)
            return
        if hop.target == 0:
            finish(state, p, now, ROUTE, subnet_id, DROP, _NOTHING, route_id)
            return
        passed(state, p, now, ROUTE, subnet_id, route_id, 0, hop.target)
        if tables.settings.per_hop_ttl != 0 and not spend_hop(tables, state, p, now, ROUTE, subnet_id):
            return
    _fit_and_go(tables, state, p, place, hop.target, subnet, now)


@kernel
def path_mtu(tables: Tables, target: int) -> int:
    """Longest packet in bytes that a path by way of a target carries (FB-26)."""
    kind = kind_of(tables, target)
    return MTU_VPC if kind in (_ENI, _OUTSIDE, _NONE) else tables.gateways[row_of(tables, target), GatewayColumn.MTU]


@kernel
def fits(tables: Tables, state: State, p: int, mtu: int) -> bool:
    """Whether a packet is not too long for a path.

    A capture shows segments before the sender's card cuts them, so its tcp and udp packets always fit, unless
    ``mtu.captures`` says that they went out as they are.
    """
    flights = state.flights
    offloaded = flights[p, Flight.CAPTURED] != 0 and tables.settings.mtu_of_captures == 0 and flights[p, Field.PROTOCOL] in (TCP, UDP)
    return flights[p, Field.LENGTH] <= mtu or offloaded


@kernel
def _fit_and_go(tables: Tables, state: State, p: int, place: int, target: int, subnet: int, now: int) -> None:
    """E7: what is too long for the path is cut, or refused with an ICMP error of the subnet's router (FB-26, FB-27)."""
    flights = state.flights
    mtu = path_mtu(tables, target)
    if fits(tables, state, p, mtu):
        go(tables, state, p, place, target, now)
        return
    ways.lose(state, p)
    subnet_id = tables.subnets[subnet, SubnetColumn.ID]
    if flights[p, Field.FAMILY] == 6 or flights[p, Field.DONT_FRAGMENT] != 0:
        router_error(tables, state, p, spawn.TOO_BIG, subnet, mtu, now)
        finish(state, p, now, PATH_MTU, subnet_id, DROP, _TOO_BIG, 0)
        return
    spawn.cut(state, p, subnet_id, mtu, now)
    passed(state, p, now, PATH_MTU, subnet_id, 0, 0, mtu)
    piece = p
    while piece >= 0:
        following = flights[piece, Flight.NEXT] - 1
        flights[piece, Flight.NEXT] = 0
        go(tables, state, piece, place, target, now)
        piece = following


@kernel
def router_error(tables: Tables, state: State, p: int, kind: int, subnet: int, mtu: int, now: int) -> None:
    """A subnet's router sends an ICMP error to the source of a packet, past the subnet's ACL and the groups (FB-27, FB-28).

    Only an interface of the subnet's VPC can get it; where the source is somebody else's the error is lost.
    """
    flights = state.flights
    there = owner(tables, tables.subnets[subnet, SubnetColumn.VPC], flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO])
    if not is_interface(tables, there):
        return
    hi, lo = _ROUTER_V6_HI, _ROUTER_V6_LO
    if flights[p, Field.FAMILY] == 4:
        hi, lo = 0, tables.subnets[subnet, SubnetColumn.ROUTER_LO]
    error = spawn.icmp_error(state, p, kind, tables.subnets[subnet, SubnetColumn.ID], mtu, hi, lo, now)
    if error >= 0:
        queue.push(state, now, ARRIVE, flights[error, Field.INDEX], error, there)


@kernel
def spend_hop(tables: Tables, state: State, p: int, now: int, stage: int, place: int) -> bool:
    """Lower the time to live by one; False if it ran out, and the packet is ended with an ICMP error (RFC 1812 §5.3.1).

    The error comes from the place itself if it has an address, else from the router of the subnet; gateways at the
    edge have none and stay silent.
    """
    flights = state.flights
    flights[p, Flight.TTL_SPENT] += 1
    if flights[p, Field.TTL] - flights[p, Flight.TTL_SPENT] > 0:
        return True
    if stage == ROUTE:
        router_error(tables, state, p, spawn.TIME_EXCEEDED, row_of(tables, place), 0, now)
    elif in_a_subnet(tables, place):
        lo = own_address(tables, place)
        error = spawn.icmp_error(state, p, spawn.TIME_EXCEEDED, place, 0, 0, lo, now) if lo != 0 and flights[p, Field.FAMILY] == 4 else -1
        if error >= 0:
            queue.push(state, now, SEND, flights[error, Field.INDEX], error, place)
    finish(state, p, now, stage, place, DROP, _TTL, 0)
    return False


@kernel
def own_address(tables: Tables, place: int) -> int:
    """Low half of the private IPv4 address from which a place itself speaks; 0 if it has none."""
    kind, row = kind_of(tables, place), row_of(tables, place)
    if kind == _NAT:
        return tables.addresses[tables.gateways[row, GatewayColumn.ADDRESSES], AddressPair.PRIVATE_LO]
    return tables.enis[row, Eni.ADDRESS_LO] if kind == _ENI else 0


@kernel
def go(tables: Tables, state: State, p: int, here: int, there: int, now: int) -> None:
    """On to the next place, by the link to it if one is declared."""
    kind = kind_of(tables, there)
    cross(tables, state, p, here, there, ARRIVE if kind in (_ENI, _OUTSIDE, _NONE) else TRANSIT, now)


@kernel
def cross(tables: Tables, state: State, p: int, here: int, there: int, kind: int, now: int) -> None:
    """Put a packet on the link between two places; it is due at the other end later, at once, or never."""
    lane = links.link_between(tables, here, there)
    due = links.arrival(tables, state, p, lane, now)
    if due < 0:
        finish(state, p, now, LINK, there, DROP, -due, 0)
        return
    if lane >= 0:
        ways.lose(state, p)
        passed(state, p, now, LINK, there, 0, 0, due - now)
    queue.push(state, due, kind, state.flights[p, Field.INDEX], p, there)
