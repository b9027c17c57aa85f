"""Gateways: what happens to a packet at the edge of a VPC.

internet gateway        out: a public IPv4 source for the private one, 1:1, ports unchanged; IPv6 as it is (RT-20)
                        in: the private destination for the public one; refuses what cannot be meant (RT-22 to RT-25)
                        hairpin: public to public inside one VPC turns round here, both addresses translated (RT-27)
egress-only gateway     IPv6 out, tracked; in: replies alone (RT-30)
peering                 both ends in the two VPCs' own blocks, not transitive (RT-50, RT-51)
a host outside          sends by the gateway of the VPC that the destination belongs to
"""

from emulator.datapath import ways
from emulator.datapath.addressing import is_rfc1918, is_rfc6598
from emulator.datapath.balancers import balancer_node
from emulator.datapath.edges import come_in, is_redirected, vpn_egress, vpn_ingress
from emulator.datapath.endpoints import INTERNET, endpoint_towards, gateway_endpoint
from emulator.datapath.filters import ACCEPT, DROP
from emulator.datapath.journal import finish, note, sighted, taken_back
from emulator.datapath.leave import ARRIVE, TRANSIT, cross, go, other_vpc, spend_hop
from emulator.datapath.nat import nat_gateway
from emulator.datapath.state import Flight, State
from emulator.datapath.transit import from_network, network_of, transit_gateway
from emulator.kernels import kernel
from emulator.policy import conntrack, keys
from emulator.policy.reasons import Reason, Stage
from emulator.policy.routes import best_route
from emulator.policy.tables import (
    ACCESS_BLOCKED,
    ACCESS_EGRESS,
    ACCESS_OFF,
    INGRESS,
    Cell,
    Eni,
    GatewayColumn,
    PlaceKind,
    RouteColumn,
    SubnetColumn,
    Tables,
    VpcColumn,
    in_vpc,
    kind_of,
    lookup,
    owner,
    row_of,
    subnet_of,
)
from emulator.wire.headers import TCP, Field

SENT, ROUTE, GATEWAY = int(Stage.SENT), int(Stage.ROUTE), int(Stage.GATEWAY)
_ENI, _OUTSIDE, _NAT = int(PlaceKind.ENI), int(PlaceKind.OUTSIDE), int(PlaceKind.NAT_GATEWAY)
_IGW, _EIGW, _PEERING = int(PlaceKind.INTERNET_GATEWAY), int(PlaceKind.EGRESS_ONLY_GATEWAY), int(PlaceKind.PEERING)
_TGW, _VGW, _ENDPOINT, _BALANCER = (
    int(kind) for kind in (PlaceKind.TRANSIT_GATEWAY, PlaceKind.VPN_GATEWAY, PlaceKind.GATEWAY_ENDPOINT, PlaceKind.BALANCER)
)
_NO_PUBLIC, _NOT_MAPPED = int(Reason.IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS), int(Reason.IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS)
_TO_1918, _TO_6598 = int(Reason.IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS), int(Reason.IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS)
_FROM_1918, _FROM_6598 = int(Reason.IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS), int(Reason.IGW_SOURCE_ADDRESS_NOT_IN_RFC6598_INGRESS)
_REFLECTION, _SPOOFED = int(Reason.IGW_NAT_REFLECTION), int(Reason.GATEWAY_REJECTS_SPOOFED_TRAFFIC)
_PORT_25, _NOTHING, _UNSOLICITED = (
    int(Reason.EMU_PORT_25_BLOCKED),
    int(Reason.NO_POSSIBLE_DESTINATION),
    int(Reason.EMU_NO_UNSOLICITED_INGRESS),
)
_PCX_ADDRESS, _BAD_STATE, _NO_FAMILY = int(Reason.PCX_REQUIRES_ADDRESS_IN_VPC_CIDR), int(Reason.BAD_STATE), int(Reason.PROTOCOL_RESTRICTION)
_NO_APPLIANCE_IP, _REDIRECTED = int(Reason.INGRESS_RTB_NO_PUBLIC_IP), int(Reason.INGRESS_RTB_TRAFFIC_REDIRECTION)
_CLOSED, _ENDPOINT_PROTOCOL = int(Reason.VPC_BLOCK_PUBLIC_ACCESS_ENABLED), int(Reason.VPCE_GATEWAY_PROTOCOL_RESTRICTION)
_VGW_OUT, _VGW_IN = int(Reason.VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS), int(Reason.VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS)
_NO_ROUTE, _BLACKHOLE = int(Reason.NO_ROUTE_TO_DESTINATION), int(Reason.BAD_STATE_ROUTE)
TRANSLATED_SOURCE, TRANSLATED_DESTINATION = 1, 2  # VALUE of a step that changed an address, its port left alone


@kernel
def transit(tables: Tables, state: State, p: int, gateway: int, now: int) -> None:
    """A packet is at a gateway, on its way out (from a subnet) or in (FROM is 0)."""
    flights = state.flights
    kind, row = kind_of(tables, gateway), row_of(tables, gateway)
    if kind not in (_IGW, _PEERING):
        ways.lose(state, p)
    if row < 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _BAD_STATE, 0)
        return
    if kind == _NAT:
        nat_gateway(tables, state, p, gateway, row, now)
        return
    if kind == _BALANCER:
        balancer_node(tables, state, p, gateway, row, now)
        return
    if tables.settings.per_hop_ttl != 0 and not spend_hop(tables, state, p, now, GATEWAY, gateway):
        return
    outward = flights[p, Flight.FROM] != 0
    if kind == _PEERING:
        _peering(tables, state, p, gateway, row, now)
    elif kind == _TGW:
        transit_gateway(tables, state, p, gateway, now)
    elif kind == _ENDPOINT:
        gateway_endpoint(tables, state, p, gateway, tables.gateways[row, GatewayColumn.VPC], now)
    elif kind == _VGW and outward:
        vpn_egress(tables, state, p, gateway, row, now)
    elif kind == _VGW:
        vpn_ingress(tables, state, p, gateway, row, now)
    elif kind == _IGW and outward:
        _internet_egress(tables, state, p, gateway, row, now)
    elif kind == _IGW:
        _internet_ingress(tables, state, p, gateway, row, now)
    elif outward:
        _egress_only_out(tables, state, p, gateway, now)
    else:
        _egress_only_in(tables, state, p, gateway, row, now)


@kernel
def _access(tables: Tables, subnet_id: int) -> int:
    """The public access that a subnet has, one of `ACCESS_OFF` (nothing is blocked) and its like (RT-28)."""
    return tables.subnets[row_of(tables, subnet_id), SubnetColumn.PUBLIC_ACCESS] if subnet_id != 0 else ACCESS_OFF


@kernel
def _tracked_at(tables: Tables, state: State, p: int, gateway: int, may_open: int, now: int) -> int:
    """Id of the gateway's own entry for a packet's flow, opened if it may be; 0 if there is none (RT-28, RT-30)."""
    flights = state.flights
    ways.lose(state, p)
    key = keys.packet_key(flights, p, gateway)
    slot = conntrack.known(tables, state.entries, state.counts, state.usage, key, flights, p, now)
    if slot >= 0:
        entry = state.entries[slot, conntrack.Entry.TAG] >> conntrack.TAG_SHIFT
        conntrack.refresh(tables, state.entries, state.counts, state.usage, slot, flights, p, key.from_a, now)
        return entry
    if may_open == 0:
        return 0
    return conntrack.create(tables, state.entries, state.counts, state.usage, key, flights, p, 0, now)


@kernel
def _internet_egress(tables: Tables, state: State, p: int, gateway: int, row: int, now: int) -> None:
    flights = state.flights
    lo = flights[p, Field.DESTINATION_LO]
    vpc = tables.gateways[row, GatewayColumn.VPC]
    access = _access(tables, flights[p, Flight.FROM])
    if access == ACCESS_BLOCKED:
        taken_back(state, p, _CLOSED)
        finish(state, p, now, GATEWAY, gateway, DROP, _CLOSED, 0)
        return
    if is_redirected(tables, state, p, row):
        finish(state, p, now, GATEWAY, gateway, DROP, _REDIRECTED, 0)
        return
    entry = _tracked_at(tables, state, p, gateway, 1, now) if access == ACCESS_EGRESS else 0
    if flights[p, Field.FAMILY] == 4:
        if is_rfc1918(lo) or is_rfc6598(lo):
            finish(state, p, now, GATEWAY, gateway, DROP, _TO_1918 if is_rfc1918(lo) else _TO_6598, 0)
            return
        cell = lookup(tables.index, vpc, flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO])
        if cell < 0 or tables.index[cell, Cell.OTHER_LO] == 0:
            finish(state, p, now, GATEWAY, gateway, DROP, _NO_PUBLIC, 0)
            return
        if flights[p, Field.QUOTED_DESTINATION_LO] == flights[p, Field.SOURCE_LO]:  # an error goes back: RFC 5508 §4.2
            flights[p, Field.QUOTED_DESTINATION_LO] = tables.index[cell, Cell.OTHER_LO]
        flights[p, Field.SOURCE_LO] = tables.index[cell, Cell.OTHER_LO]
        note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, entry, TRANSLATED_SOURCE, 0, flights[p, Field.SOURCE_LO])
    else:
        note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, entry, 0, 0, 0)
    if tables.settings.block_port_25 != 0 and flights[p, Field.PROTOCOL] == TCP and flights[p, Field.DESTINATION_PORT] == 25:
        finish(state, p, now, GATEWAY, gateway, DROP, _PORT_25, 0)
        return
    flights[p, Flight.LOST], flights[p, Flight.SENDER] = flights[p, Flight.SENDER], 0
    flights[p, Flight.FROM] = 0
    cell = lookup(tables.index, 0, flights[p, Field.DESTINATION_HI], lo)
    if cell < 0 or kind_of(tables, tables.index[cell, Cell.OWNER]) == _OUTSIDE or _vpc_of_cell(tables, cell) != vpc:
        _over_the_internet(tables, state, p, gateway, now)
    elif tables.settings.hairpin == 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _REFLECTION, 0)
    else:
        _internet_ingress(tables, state, p, gateway, row, now)


@kernel
def _over_the_internet(tables: Tables, state: State, p: int, gateway: int, now: int) -> None:
    """From a VPC's gateway to a host outside, or in by the gateway of the VPC that has the destination."""
    hi, lo = state.flights[p, Field.DESTINATION_HI], state.flights[p, Field.DESTINATION_LO]
    there = owner(tables, 0, hi, lo)
    if there == 0 or kind_of(tables, there) == _OUTSIDE:
        cross(tables, state, p, gateway, there if there != 0 else INTERNET, ARRIVE, now)
        return
    way_in = entry_gateway(tables, state, p)
    if way_in == 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _NOTHING, 0)
        return
    cross(tables, state, p, gateway, way_in, TRANSIT, now)


@kernel
def _vpc_of_cell(tables: Tables, cell: int) -> int:
    return vpc_of_subnet(tables, subnet_of(tables, tables.index[cell, Cell.OWNER]))


@kernel
def gateway_of_vpc(tables: Tables, vpc: int) -> int:
    """Id of a VPC's internet gateway, or else its egress-only one; 0 if it has neither."""
    row = row_of(tables, vpc)
    gateway = tables.vpcs[row, VpcColumn.GATEWAY]
    return gateway if gateway != 0 else tables.vpcs[row, VpcColumn.EGRESS_ONLY]


@kernel
def _internet_ingress(tables: Tables, state: State, p: int, gateway: int, row: int, now: int) -> None:
    flights = state.flights
    vpc, family = tables.gateways[row, GatewayColumn.VPC], flights[p, Field.FAMILY]
    hi, lo = flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO]
    if in_vpc(tables, vpc, family, hi, lo):
        finish(state, p, now, GATEWAY, gateway, DROP, _SPOOFED, 0)
        return
    if family == 4 and (is_rfc1918(lo) or is_rfc6598(lo)):
        finish(state, p, now, GATEWAY, gateway, DROP, _FROM_1918 if is_rfc1918(lo) else _FROM_6598, 0)
        return
    cell = lookup(tables.index, 0, flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO])
    if cell < 0 or kind_of(tables, tables.index[cell, Cell.OWNER]) == _OUTSIDE or _vpc_of_cell(tables, cell) != vpc:
        finish(state, p, now, GATEWAY, gateway, DROP, _NOT_MAPPED if family == 4 else _NOTHING, 0)
        return
    access = _access(tables, subnet_of(tables, tables.index[cell, Cell.OWNER]))
    if family == 4:
        if flights[p, Field.QUOTED_SOURCE_LO] == flights[p, Field.DESTINATION_LO]:
            flights[p, Field.QUOTED_SOURCE_LO] = tables.index[cell, Cell.OTHER_LO]
        flights[p, Field.DESTINATION_LO] = tables.index[cell, Cell.OTHER_LO]
    entry = _tracked_at(tables, state, p, gateway, 0, now) if access == ACCESS_EGRESS else 0
    if access == ACCESS_BLOCKED or (access == ACCESS_EGRESS and entry == 0):
        sighted(state, p, now, tables.index[cell, Cell.OWNER], INGRESS, DROP, _CLOSED, 0, 0)
        finish(state, p, now, GATEWAY, gateway, DROP, _CLOSED, 0)
        return
    changed = TRANSLATED_DESTINATION if family == 4 else 0
    note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, entry, changed, 0, flights[p, Field.DESTINATION_LO] if changed != 0 else 0)
    come_in(tables, state, p, gateway, row, tables.index[cell, Cell.OWNER], now)


@kernel
def _egress_only_out(tables: Tables, state: State, p: int, gateway: int, now: int) -> None:
    flights = state.flights
    if flights[p, Field.FAMILY] != 6:
        finish(state, p, now, GATEWAY, gateway, DROP, _NO_FAMILY, 0)
        return
    if _access(tables, flights[p, Flight.FROM]) == ACCESS_BLOCKED:
        taken_back(state, p, _CLOSED)
        finish(state, p, now, GATEWAY, gateway, DROP, _CLOSED, 0)
        return
    entry = _tracked_at(tables, state, p, gateway, 1, now)
    note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, entry, 0, 0, 0)
    flights[p, Flight.LOST], flights[p, Flight.SENDER], flights[p, Flight.FROM] = flights[p, Flight.SENDER], 0, 0
    _over_the_internet(tables, state, p, gateway, now)


@kernel
def _egress_only_in(tables: Tables, state: State, p: int, gateway: int, row: int, now: int) -> None:
    flights = state.flights
    entry = _tracked_at(tables, state, p, gateway, 0, now)
    if entry == 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _UNSOLICITED, 0)
        return
    note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, entry, 0, 0, 0)
    flights[p, Flight.AUTOTRACK] = 1
    there = owner(tables, tables.gateways[row, GatewayColumn.VPC], flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO])
    cross(tables, state, p, gateway, there, ARRIVE, now)


@kernel
def _peering(tables: Tables, state: State, p: int, gateway: int, row: int, now: int) -> None:
    flights = state.flights
    if tables.gateways[row, GatewayColumn.ACTIVE] == 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _BAD_STATE, 0)
        return
    family = flights[p, Field.FAMILY]
    here = vpc_of_subnet(tables, flights[p, Flight.FROM])
    there = other_vpc(tables, gateway, here)
    hi, lo = flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]
    if not in_vpc(tables, there, family, hi, lo) or not in_vpc(
        tables, here, family, flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO]
    ):
        finish(state, p, now, GATEWAY, gateway, DROP, _PCX_ADDRESS, 0)
        return
    eni = owner(tables, there, hi, lo)
    if eni == 0 or kind_of(tables, eni) not in (_ENI, _NAT, _BALANCER):
        finish(state, p, now, GATEWAY, gateway, DROP, _NOTHING, 0)
        return
    note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, 0, 0, 0, 0)
    if tables.gateways[row, GatewayColumn.KEEPS_GROUPS] == 0 and flights[p, Flight.SENDER] != 0:
        flights[p, Flight.LOST], flights[p, Flight.SENDER] = flights[p, Flight.SENDER], 0
    flights[p, Flight.FROM] = 0
    go(tables, state, p, gateway, eni, now)


@kernel
def vpc_of_subnet(tables: Tables, subnet: int) -> int:
    """Id of a subnet's VPC."""
    return tables.subnets[row_of(tables, subnet), SubnetColumn.VPC]


@kernel
def send_from_outside(tables: Tables, state: State, p: int, host: int, now: int) -> None:
    """A host outside sends: by its customer network's gateway, or by that of the VPC that has the destination or its block."""
    flights = state.flights
    flights[p, Flight.FROM] = 0
    if network_of(tables, host) >= 0:
        from_network(tables, state, p, host, now)
        return
    endpoint = endpoint_towards(tables, state, p)
    if endpoint != 0:
        cross(tables, state, p, host, endpoint, TRANSIT, now)
        return
    gateway = entry_gateway(tables, state, p)
    if gateway == 0:
        finish(state, p, now, SENT, host, DROP, _NOTHING, 0)
        return
    cross(tables, state, p, host, gateway, TRANSIT, now)


@kernel
def entry_gateway(tables: Tables, state: State, p: int) -> int:
    """Id of the gateway by which a packet from outside comes in; 0 if there is no gateway at all.

    IPv6 comes in by the gateway that the destination's subnet uses towards the source, so that an egress-only one is
    met (RT-30).  A destination that nobody has meets the first internet gateway.
    """
    flights = state.flights
    family, hi, lo = flights[p, Field.FAMILY], flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]
    cell = lookup(tables.index, 0, hi, lo)
    if cell >= 0 and kind_of(tables, tables.index[cell, Cell.OWNER]) == _ENI:
        eni = row_of(tables, tables.index[cell, Cell.OWNER])
        if family == 6:
            subnet = row_of(tables, tables.enis[eni, Eni.SUBNET])
            route = best_route(tables, subnet, 6, flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO])
            if route >= 0 and kind_of(tables, tables.routes[route, RouteColumn.TARGET]) == _EIGW:
                return tables.routes[route, RouteColumn.TARGET]
        return gateway_of_vpc(tables, tables.enis[eni, Eni.VPC])
    if cell >= 0 and kind_of(tables, tables.index[cell, Cell.OWNER]) != _OUTSIDE:
        return gateway_of_vpc(tables, _vpc_of_cell(tables, cell))
    first = 0
    for row in range(tables.vpcs.shape[0]):
        vpc = tables.vpcs[row, VpcColumn.ID]
        if vpc == 0:
            continue
        gateway = gateway_of_vpc(tables, vpc)
        if gateway != 0 and in_vpc(tables, vpc, family, hi, lo):
            return gateway
        if first == 0:
            first = gateway
    return first
