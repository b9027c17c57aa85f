"""Gateways: what happens to a packet at the edge of a VPC.

internet gateway        out: a public IPv4 source for the private one, 1:1, ports unchanged; IPv6 as it is (RT-20)
                        in: the private destination for the public one; refuses what cannot be meant (RT-22 to RT-25)
                        hairpin: public to public inside one VPC turns round here, both addresses translated (RT-27)
egress-only gateway     IPv6 out, tracked; in: replies alone (RT-30)
peering                 both ends in the two VPCs' own blocks, not transitive (RT-50, RT-51)
a host outside          sends by the gateway of the VPC that the destination belongs to
"""

from emulator.datapath.addressing import is_rfc1918, is_rfc6598
from emulator.datapath.journal import finish, note
from emulator.datapath.stages import ACCEPT, DELIVERED, DROP, GATEWAY, SENT, cross, other_vpc, spend_hop
from emulator.datapath.state import EventKind, Flight, State
from emulator.kernels import kernel
from emulator.policy import conntrack
from emulator.policy.reasons import Reason
from emulator.policy.routes import best_route
from emulator.policy.tables import (
    Cell,
    Eni,
    GatewayColumn,
    PlaceKind,
    RouteColumn,
    Tables,
    VpcColumn,
    in_vpc,
    kind_of,
    lookup,
    owner,
    row_of,
)
from emulator.wire.headers import TCP, Field

INTERNET = 1  # the id of everything outside that has no name
_ARRIVE, _TRANSIT = int(EventKind.ARRIVE), int(EventKind.TRANSIT)
_ENI, _OUTSIDE, _NAT = int(PlaceKind.ENI), int(PlaceKind.OUTSIDE), int(PlaceKind.NAT_GATEWAY)
_IGW, _EIGW, _PEERING = int(PlaceKind.INTERNET_GATEWAY), int(PlaceKind.EGRESS_ONLY_GATEWAY), int(PlaceKind.PEERING)
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
_NOT_EMULATED = int(Reason.EMU_NOT_EMULATED)
TRANSLATED_SOURCE, TRANSLATED_DESTINATION = 1, 2  # VALUE of a step that changed an address


@kernel
def transit(tables: Tables, state: State, p: int, gateway: int, now: int) -> None:
    """A packet is at a gateway, on its way out (from a subnet) or in (FROM is 0)."""
    flights = state.flights
    kind, row = kind_of(tables, gateway), row_of(tables, gateway)
    if row < 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _BAD_STATE, 0)
        return
    if tables.settings.per_hop_ttl != 0 and not spend_hop(state, p, now, GATEWAY, gateway):
        return
    outward = flights[p, Flight.FROM] != 0
    if kind == _PEERING:
        _peering(tables, state, p, gateway, row, now)
    elif kind == _IGW and outward:
        _internet_egress(tables, state, p, gateway, row, now)
    elif kind == _IGW:
        _internet_ingress(tables, state, p, gateway, row, now)
    elif outward:
        _egress_only_out(tables, state, p, gateway, now)
    else:
        _egress_only_in(tables, state, p, gateway, row, now)


@kernel
def _internet_egress(tables: Tables, state: State, p: int, gateway: int, row: int, now: int) -> None:
    flights = state.flights
    lo = flights[p, Field.DESTINATION_LO]
    vpc = tables.gateways[row, GatewayColumn.VPC]
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
        note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, 0, TRANSLATED_SOURCE, 0, flights[p, Field.SOURCE_LO])
    else:
        note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, 0, 0, 0, 0)
    if tables.settings.block_port_25 != 0 and flights[p, Field.PROTOCOL] == TCP and flights[p, Field.DESTINATION_PORT] == 25:
        finish(state, p, now, GATEWAY, gateway, DROP, _PORT_25, 0)
        return
    flights[p, Flight.LOST], flights[p, Flight.SENDER] = flights[p, Flight.SENDER], 0
    flights[p, Flight.FROM] = 0
    cell = lookup(tables.index, 0, flights[p, Field.DESTINATION_HI], lo)
    if cell >= 0 and kind_of(tables, tables.index[cell, Cell.OWNER]) == _ENI:
        there = _vpc_of_cell(tables, cell)
        if there != vpc:
            cross(tables, state, p, gateway, gateway_of_vpc(tables, there), _TRANSIT, now)
        elif tables.settings.hairpin == 0:
            finish(state, p, now, GATEWAY, gateway, DROP, _REFLECTION, 0)
        else:
            _internet_ingress(tables, state, p, gateway, row, now)
        return
    host = owner(tables, 0, flights[p, Field.DESTINATION_HI], lo)
    cross(tables, state, p, gateway, host if host != 0 else INTERNET, _ARRIVE, now)


@kernel
def _vpc_of_cell(tables: Tables, cell: int) -> int:
    return tables.enis[row_of(tables, tables.index[cell, Cell.OWNER]), Eni.VPC]


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
    if cell >= 0 and kind_of(tables, tables.index[cell, Cell.OWNER]) == _NAT:
        finish(state, p, now, GATEWAY, tables.index[cell, Cell.OWNER], DROP, _NOT_EMULATED, 0)
        return
    if cell < 0 or kind_of(tables, tables.index[cell, Cell.OWNER]) != _ENI or _vpc_of_cell(tables, cell) != vpc:
        finish(state, p, now, GATEWAY, gateway, DROP, _NOT_MAPPED if family == 4 else _NOTHING, 0)
        return
    if family == 4:
        if flights[p, Field.QUOTED_SOURCE_LO] == flights[p, Field.DESTINATION_LO]:
            flights[p, Field.QUOTED_SOURCE_LO] = tables.index[cell, Cell.OTHER_LO]
        flights[p, Field.DESTINATION_LO] = tables.index[cell, Cell.OTHER_LO]
        note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, 0, TRANSLATED_DESTINATION, 0, flights[p, Field.DESTINATION_LO])
    else:
        note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, 0, 0, 0, 0)
    cross(tables, state, p, gateway, tables.index[cell, Cell.OWNER], _ARRIVE, now)


@kernel
def _egress_only_out(tables: Tables, state: State, p: int, gateway: int, now: int) -> None:
    flights = state.flights
    if flights[p, Field.FAMILY] != 6:
        finish(state, p, now, GATEWAY, gateway, DROP, _NO_FAMILY, 0)
        return
    key = conntrack.packet_key(flights, p, gateway)
    slot = conntrack.known(tables, state.entries, state.counts, state.usage, key, flights, p, now)
    entry = 0
    if slot >= 0:
        entry = state.entries[slot, conntrack.Entry.TAG] >> conntrack.TAG_SHIFT
        conntrack.refresh(tables, state.entries, state.counts, state.usage, slot, flights, p, key.from_a, now)
    else:
        entry = conntrack.create(tables, state.entries, state.counts, state.usage, key, flights, p, 0, now)
    note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, entry, 0, 0, 0)
    flights[p, Flight.LOST], flights[p, Flight.SENDER], flights[p, Flight.FROM] = flights[p, Flight.SENDER], 0, 0
    host = owner(tables, 0, flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO])
    cross(tables, state, p, gateway, host if host != 0 and kind_of(tables, host) == _OUTSIDE else INTERNET, _ARRIVE, now)


@kernel
def _egress_only_in(tables: Tables, state: State, p: int, gateway: int, row: int, now: int) -> None:
    flights = state.flights
    key = conntrack.packet_key(flights, p, gateway)
    slot = conntrack.known(tables, state.entries, state.counts, state.usage, key, flights, p, now)
    if slot < 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _UNSOLICITED, 0)
        return
    entry = state.entries[slot, conntrack.Entry.TAG] >> conntrack.TAG_SHIFT
    conntrack.refresh(tables, state.entries, state.counts, state.usage, slot, flights, p, key.from_a, now)
    note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, entry, 0, 0, 0)
    flights[p, Flight.AUTOTRACK] = 1
    there = owner(tables, tables.gateways[row, GatewayColumn.VPC], flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO])
    cross(tables, state, p, gateway, there, _ARRIVE, now)


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
    if eni == 0 or kind_of(tables, eni) != _ENI:
        finish(state, p, now, GATEWAY, gateway, DROP, _NOTHING, 0)
        return
    note(state, p, now, GATEWAY, gateway, ACCEPT, 0, 0, 0, 0, 0, 0)
    flights[p, Flight.FROM] = 0
    cross(tables, state, p, gateway, eni, _ARRIVE, now)


@kernel
def vpc_of_subnet(tables: Tables, subnet: int) -> int:
    """Id of a subnet's VPC."""
    return tables.subnets[row_of(tables, subnet), 1]


@kernel
def send_from_outside(tables: Tables, state: State, p: int, host: int, now: int) -> None:
    """A host outside sends: by the gateway of the VPC that has the destination, or that its block belongs to."""
    flights = state.flights
    flights[p, Flight.FROM] = 0
    gateway = entry_gateway(tables, state, p)
    if gateway == 0:
        finish(state, p, now, SENT, host, DROP, _NOTHING, 0)
        return
    cross(tables, state, p, host, gateway, _TRANSIT, now)


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
    if cell >= 0 and kind_of(tables, tables.index[cell, Cell.OWNER]) == _NAT:
        return gateway_of_vpc(tables, tables.gateways[row_of(tables, tables.index[cell, Cell.OWNER]), GatewayColumn.VPC])
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


__all__ = ["DELIVERED", "INTERNET", "entry_gateway", "send_from_outside", "transit"]
