"""Where a packet of a capture enters the network.

its source is                               it enters
a private address of an interface           at that interface
a public address of an interface            at that interface, with the private address (seen outside the gateway)
one of the fabric's own services            at the interface it answers to, and is delivered (never filtered)
any other address                           from outside, by the gateway; if its destination is an interface's
                                            private address (seen inside), by that interface's public one
an address of a VPC that no interface has   nowhere: skipped, as is what concerns nobody here
"""

from typing import NamedTuple

from emulator.datapath.addressing import is_dhcp, is_exempt_service, is_link_local, is_loopback, is_neighbour_discovery, is_unicast
from emulator.datapath.endpoints import INTERNET, endpoint_towards
from emulator.datapath.state import State
from emulator.datapath.transit import network_of
from emulator.kernels import kernel
from emulator.policy.reasons import Reason
from emulator.policy.tables import Cell, PlaceKind, Tables, VpcColumn, in_vpc, kind_of, lookup, owner, row_of
from emulator.wire.headers import Field

_ENI, _OUTSIDE = int(PlaceKind.ENI), int(PlaceKind.OUTSIDE)
_LOOPBACK, _NOT_IN, _NO_INTERFACE, _FABRIC = (
    int(Reason.EMU_LOOPBACK),
    int(Reason.EMU_NOT_IN_TOPOLOGY),
    int(Reason.EMU_NO_SUCH_INTERFACE),
    int(Reason.EMU_FABRIC),
)
AT_PLACE, SERVICE, SKIP = 0, 1, 2


class Entrance(NamedTuple):
    """How (`AT_PLACE`, from a fabric `SERVICE`, or `SKIP`), the place's id or the reason, and the packet's addresses."""

    how: int
    place: int
    source_hi: int
    source_lo: int
    destination_hi: int
    destination_lo: int


@kernel
def interface_with(tables: Tables, hi: int, lo: int) -> int:
    """Id of the first interface that has a private address, over all VPCs; 0 if none has."""
    for row in range(tables.vpcs.shape[0]):
        found = owner(tables, tables.vpcs[row, VpcColumn.ID], hi, lo)
        if found != 0 and tables.vpcs[row, VpcColumn.ID] != 0 and kind_of(tables, found) == _ENI:
            return found
    return 0


@kernel
def _public_of(tables: Tables, hi: int, lo: int) -> int:
    """Low half of the public IPv4 address of a private one; 0 if it has none."""
    for row in range(tables.vpcs.shape[0]):
        vpc = tables.vpcs[row, VpcColumn.ID]
        cell = lookup(tables.index, vpc, hi, lo) if vpc != 0 else -1
        if cell >= 0 and kind_of(tables, tables.index[cell, Cell.OWNER]) == _ENI:
            return tables.index[cell, Cell.OTHER_LO]
    return 0


@kernel
def _in_any_vpc(tables: Tables, family: int, hi: int, lo: int) -> bool:
    for row in range(tables.vpcs.shape[0]):
        if tables.vpcs[row, VpcColumn.ID] != 0 and in_vpc(tables, tables.vpcs[row, VpcColumn.ID], family, hi, lo):
            return True
    return False


@kernel
def entrance(tables: Tables, state: State, p: int) -> Entrance:
    """Where the packet in row ``p`` enters, and with which addresses; nothing is changed."""
    flights = state.flights
    family, protocol = flights[p, Field.FAMILY], flights[p, Field.PROTOCOL]
    s_hi, s_lo = flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO]
    d_hi, d_lo = flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]
    if (s_hi == d_hi and s_lo == d_lo) or is_loopback(family, s_hi, s_lo) or is_loopback(family, d_hi, d_lo):
        return Entrance(SKIP, _LOOPBACK, s_hi, s_lo, d_hi, d_lo)
    eni = interface_with(tables, s_hi, s_lo)
    if eni != 0:
        return Entrance(AT_PLACE, eni, s_hi, s_lo, d_hi, d_lo)
    cell = lookup(tables.index, 0, s_hi, s_lo)
    if cell >= 0 and kind_of(tables, tables.index[cell, Cell.OWNER]) == _ENI:
        return Entrance(
            AT_PLACE, tables.index[cell, Cell.OWNER], tables.index[cell, Cell.OTHER_HI], tables.index[cell, Cell.OTHER_LO], d_hi, d_lo
        )
    there = interface_with(tables, d_hi, d_lo)
    if there != 0 and is_exempt_service(tables, row_of(tables, there), family, s_hi, s_lo, protocol, flights[p, Field.SOURCE_PORT]):
        return Entrance(SERVICE, there, s_hi, s_lo, d_hi, d_lo)
    if is_dhcp(protocol, flights[p, Field.SOURCE_PORT], flights[p, Field.DESTINATION_PORT]) or is_neighbour_discovery(
        protocol, flights[p, Field.TYPE]
    ):
        return Entrance(SKIP, _FABRIC, s_hi, s_lo, d_hi, d_lo)
    if is_link_local(family, s_hi, s_lo) or not is_unicast(family, s_hi, s_lo):
        return Entrance(SKIP, _FABRIC, s_hi, s_lo, d_hi, d_lo)
    host = owner(tables, 0, s_hi, s_lo)
    if host == 0 and _in_any_vpc(tables, family, s_hi, s_lo):
        return Entrance(SKIP, _NO_INTERFACE, s_hi, s_lo, d_hi, d_lo)
    if kind_of(tables, host) != _OUTSIDE:
        host = INTERNET
    if there != 0 and (network_of(tables, host) >= 0 or endpoint_towards(tables, state, p) != 0):
        return Entrance(AT_PLACE, host, s_hi, s_lo, d_hi, d_lo)
    if there != 0:
        public = _public_of(tables, d_hi, d_lo) if family == 4 else 0
        return Entrance(AT_PLACE, host, s_hi, s_lo, d_hi, public if public != 0 else d_lo)
    target = lookup(tables.index, 0, d_hi, d_lo)
    if (target >= 0 and kind_of(tables, tables.index[target, Cell.OWNER]) != _OUTSIDE) or _in_any_vpc(tables, family, d_hi, d_lo):
        return Entrance(AT_PLACE, host, s_hi, s_lo, d_hi, d_lo)
    return Entrance(SKIP, _NOT_IN, s_hi, s_lo, d_hi, d_lo)
