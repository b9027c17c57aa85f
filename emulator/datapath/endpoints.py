"""Gateway endpoints: S3 and DynamoDB by a route to a prefix list, without an internet gateway (RT-56).

out   tcp and echo requests, to addresses of the list; the source stays private
in    tcp and echo replies, from addresses of the list, to an interface whose subnet has the endpoint's route
"""

from emulator.datapath.filters import ACCEPT, DROP
from emulator.datapath.journal import finish, note
from emulator.datapath.leave import ARRIVE, cross
from emulator.datapath.state import Flight, State
from emulator.kernels import kernel
from emulator.policy.reasons import Reason, Stage
from emulator.policy.routes import best_route
from emulator.policy.tables import Eni, PlaceKind, RouteColumn, Tables, VpcColumn, kind_of, owner, row_of
from emulator.wire.headers import ICMP, TCP, Field

GATEWAY = int(Stage.GATEWAY)
_ENI, _ENDPOINT, _OUTSIDE = int(PlaceKind.ENI), int(PlaceKind.GATEWAY_ENDPOINT), int(PlaceKind.OUTSIDE)
_PROTOCOL = int(Reason.VPCE_GATEWAY_PROTOCOL_RESTRICTION)
_ECHO, _ECHO_REPLY = 8, 0
INTERNET = 1  # the id of everything outside that has no name


@kernel
def endpoint_towards(tables: Tables, state: State, p: int) -> int:
    """Id of the endpoint by which a packet from outside comes to the private address that it is for; 0 if by none.

    ``p`` is its row.  Its destination is an interface whose subnet's best route to the packet's source is an endpoint's.
    """
    flights = state.flights
    if flights[p, Field.FAMILY] != 4:
        return 0
    for row in range(tables.vpcs.shape[0]):
        vpc = tables.vpcs[row, VpcColumn.ID]
        there = owner(tables, vpc, flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]) if vpc != 0 else 0
        if kind_of(tables, there) == _ENI:
            subnet = row_of(tables, tables.enis[row_of(tables, there), Eni.SUBNET])
            route = best_route(tables, subnet, 4, flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO])
            if route >= 0 and kind_of(tables, tables.routes[route, RouteColumn.TARGET]) == _ENDPOINT:
                return tables.routes[route, RouteColumn.TARGET]
    return 0


@kernel
def gateway_endpoint(tables: Tables, state: State, p: int, gateway: int, vpc: int, now: int) -> None:
    """A packet is at an endpoint, on its way out (from a subnet) or in (FROM is 0)."""
    flights = state.flights
    protocol, outward = flights[p, Field.PROTOCOL], flights[p, Flight.FROM] != 0
    echo = _ECHO if outward else _ECHO_REPLY
    if flights[p, Field.FAMILY] != 4 or not (protocol == TCP or (protocol == ICMP and flights[p, Field.TYPE] == echo)):
        finish(state, p, now, GATEWAY, gateway, DROP, _PROTOCOL, 0)
        return
    note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, 0, 0, 0, 0)
    hi, lo = flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]
    if not outward:
        cross(tables, state, p, gateway, owner(tables, vpc, hi, lo), ARRIVE, now)
        return
    flights[p, Flight.LOST], flights[p, Flight.SENDER], flights[p, Flight.FROM] = flights[p, Flight.SENDER], 0, 0
    host = owner(tables, 0, hi, lo)
    cross(tables, state, p, gateway, host if kind_of(tables, host) == _OUTSIDE else INTERNET, ARRIVE, now)
