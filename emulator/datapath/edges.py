"""Edges of a VPC: route tables of its gateways, and VPN gateways (RT-7, RT-15, RT-36).

into the VPC   by the gateway's edge table if it has one: to the destination, or to an appliance before it
out of it      what the edge table would lead to an appliance on its way in must have come through one on its way out
VPN gateway    the near end is an interface's address, the far end is in a customer network's block; not beyond
"""

from emulator.datapath.filters import ACCEPT, DROP
from emulator.datapath.journal import finish, note, passed
from emulator.datapath.leave import go
from emulator.datapath.state import Flight, State
from emulator.datapath.transit import network_with, to_network
from emulator.kernels import kernel
from emulator.policy.reasons import Reason, Stage
from emulator.policy.routes import best_in
from emulator.policy.tables import LOCAL, Eni, GatewayColumn, PlaceKind, RouteColumn, Tables, in_vpc, kind_of, owner, row_of
from emulator.wire.headers import Field

ROUTE, GATEWAY = int(Stage.ROUTE), int(Stage.GATEWAY)
_IGW = int(PlaceKind.INTERNET_GATEWAY)
_NO_APPLIANCE_IP, _SPOOFED, _NOTHING = (
    int(Reason.INGRESS_RTB_NO_PUBLIC_IP),
    int(Reason.GATEWAY_REJECTS_SPOOFED_TRAFFIC),
    int(Reason.NO_POSSIBLE_DESTINATION),
)
_VGW_OUT, _VGW_IN = int(Reason.VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS), int(Reason.VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS)
_NO_ROUTE, _BLACKHOLE = int(Reason.NO_ROUTE_TO_DESTINATION), int(Reason.BAD_STATE_ROUTE)


@kernel
def is_redirected(tables: Tables, state: State, p: int, row: int) -> bool:
    """Whether the edge table leads what comes in for this source to an appliance, by which it did not go out (RT-15)."""
    flights = state.flights
    start, end = tables.gateways[row, GatewayColumn.EDGE], tables.gateways[row, GatewayColumn.EDGE_END]
    if start == end:
        return False
    route = best_in(tables, start, end, flights[p, Field.FAMILY], flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO])
    if route < 0 or tables.routes[route, RouteColumn.TARGET] == LOCAL:
        return False
    target = tables.routes[route, RouteColumn.TARGET]
    return flights[p, Flight.VIA] == 0 and target != owner(
        tables, tables.gateways[row, GatewayColumn.VPC], flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO]
    )


@kernel
def come_in(tables: Tables, state: State, p: int, gateway: int, row: int, there: int, now: int) -> None:
    """From a gateway into its VPC: straight to the destination, or by the gateway's edge route table (RT-15)."""
    flights = state.flights
    start, end = tables.gateways[row, GatewayColumn.EDGE], tables.gateways[row, GatewayColumn.EDGE_END]
    if start < end:
        hi, lo = flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]
        route = best_in(tables, start, end, flights[p, Field.FAMILY], hi, lo)
        if route < 0:
            finish(state, p, now, ROUTE, gateway, DROP, _NO_ROUTE, 0)
            return
        route_id, target = tables.routes[route, RouteColumn.ID], tables.routes[route, RouteColumn.TARGET]
        if tables.routes[route, RouteColumn.BLACKHOLE] != 0:
            finish(state, p, now, ROUTE, gateway, DROP, _BLACKHOLE, route_id)
            return
        if target != LOCAL and target != there:
            public = tables.enis[row_of(tables, target), Eni.PUBLIC] != 0
            if flights[p, Field.FAMILY] == 4 and kind_of(tables, gateway) == _IGW and not public:
                finish(state, p, now, ROUTE, gateway, DROP, _NO_APPLIANCE_IP, route_id)
                return
            there = target
        passed(state, p, now, ROUTE, gateway, route_id, 0, there)
    go(tables, state, p, gateway, there, now)


@kernel
def vpn_egress(tables: Tables, state: State, p: int, gateway: int, row: int, now: int) -> None:
    """To the customer network that has the destination; the source must be an interface's of the VPC."""
    flights = state.flights
    source = owner(tables, tables.gateways[row, GatewayColumn.VPC], flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO])
    if source == 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _VGW_OUT, 0)
        return
    network = network_with(tables, gateway, flights[p, Field.FAMILY], flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO])
    if network == 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _NOTHING, 0)
        return
    note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, 0, 0, 0, 0)
    flights[p, Flight.LOST], flights[p, Flight.SENDER] = flights[p, Flight.SENDER], 0
    to_network(tables, state, p, gateway, network, now)


@kernel
def vpn_ingress(tables: Tables, state: State, p: int, gateway: int, row: int, now: int) -> None:
    """From a customer network: to an interface of the VPC and nothing beyond it (RT-36, RT-52)."""
    flights = state.flights
    vpc = tables.gateways[row, GatewayColumn.VPC]
    if in_vpc(tables, vpc, flights[p, Field.FAMILY], flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO]):
        finish(state, p, now, GATEWAY, gateway, DROP, _SPOOFED, 0)
        return
    there = owner(tables, vpc, flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO])
    if there == 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _VGW_IN, 0)
        return
    note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, 0, 0, 0, 0)
    come_in(tables, state, p, gateway, row, there, now)
