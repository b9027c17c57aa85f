"""NAT gateways: many sources behind one address, each flow with a port of its own (RT-31 to RT-38).

    from the inside                                        from the outside, to one of its addresses
      ACL of its subnet, inbound                             ACL of its subnet, inbound
      a known flow, or a first packet (SYN, udp, query)      a known flow, else dropped: it answers nobody (RT-34)
      source := its address, a port of 1024 to 65535         destination := the source of the flow
      one hop less (FB-19)                                   one hop less
      ACL of its subnet, outbound; its subnet's routes       ACL of its subnet, outbound; its subnet's routes

A tcp segment of no flow, no SYN, is answered with a reset in the destination's name (RT-33); a SYN-ACK or a reset of no
flow is dropped.  Fragments of udp pass with the first one's addresses, those of tcp and ICMP are dropped (FB-30).  The
port is found by a hash of the flow, then upwards; 55,000 flows to one destination is the most of each address (RT-32),
then the next address serves.  Translation of IPv6 (NAT64, RT-38) is not emulated: IPv6 is dropped.
"""

from emulator.datapath import fragments, queue, translations
from emulator.datapath.allotments import is_used_up
from emulator.datapath.filters import ACCEPT, DROP, enters
from emulator.datapath.journal import finish, note, sighted
from emulator.datapath.leave import SEND, TRANSIT, spend_hop
from emulator.datapath.state import Flight, Fragment, State
from emulator.datapath.translations import BACKWARD, FORWARD, Ends
from emulator.kernels import kernel
from emulator.policy import keys
from emulator.policy.joined_columns import AddressPair
from emulator.policy.reasons import Decision, Reason, Stage
from emulator.policy.tables import (
    INGRESS,
    GatewayColumn,
    Tables,
)
from emulator.wire.hashing import mix
from emulator.wire.headers import ACK, ICMP, RST, SYN, TCP, UDP, Field, is_icmp_error

ACL_INGRESS, GATEWAY = int(Stage.ACL_INGRESS), int(Stage.GATEWAY)
_PROTOCOL, _FRAGMENTED, _LATE = int(Reason.PROTOCOL_RESTRICTION), int(Reason.EMU_NAT_FRAGMENT), int(Reason.EMU_FRAGMENT)
_NO_FLOW, _UNSOLICITED = int(Reason.EMU_NAT_NO_CONNECTION), int(Reason.EMU_NO_UNSOLICITED_INGRESS)
_NO_PORT, _NOT_OURS = int(Reason.EMU_NAT_PORT_ALLOCATION), int(Reason.NGW_REQUIRES_SOURCE_IN_VPC)
FIRST_PORT, PORTS, MOST_FLOWS = 1024, 65536 - 1024, 55_000
TRANSLATED_SOURCE, TRANSLATED_DESTINATION, PORT_SHIFT = 1, 2, 8  # VALUE of a step that changed an address: what, and the new port


@kernel
def nat_gateway(tables: Tables, state: State, p: int, nat: int, row: int, now: int) -> None:
    """A packet is at a NAT gateway, from the inside or from the outside."""
    flights, gateways = state.flights, tables.gateways
    subnet_id = gateways[row, GatewayColumn.SUBNET]
    outside = flights[p, Flight.FROM] == 0
    if not enters(tables, state, p, subnet_id, nat, TRANSIT, nat, now):
        return
    sighted(state, p, now, nat, INGRESS, ACCEPT, 0, 0, 0)
    protocol = flights[p, Field.PROTOCOL]
    if flights[p, Field.FAMILY] != 4 or protocol not in (TCP, UDP, ICMP):
        finish(state, p, now, GATEWAY, nat, DROP, _PROTOCOL, 0)
        return
    if protocol != UDP and (flights[p, Field.FRAGMENT_OFFSET] != 0 or flights[p, Field.MORE_FRAGMENTS] != 0):
        finish(state, p, now, GATEWAY, nat, DROP, _FRAGMENTED, 0)
        return
    way = BACKWARD if _is_own(tables, row, flights[p, Field.DESTINATION_LO]) else FORWARD
    if way == FORWARD and outside:
        finish(state, p, now, GATEWAY, nat, DROP, _NOT_OURS, 0)
        return
    if flights[p, Field.FRAGMENT_OFFSET] != 0:
        _later_fragment(tables, state, p, nat, way, now)
        return
    flow = _flow(tables, state, p, nat, row, way, now)
    if flow < 0:
        return
    if not spend_hop(tables, state, p, now, GATEWAY, nat):
        return
    source, destination = flights[p, Field.SOURCE_LO], flights[p, Field.DESTINATION_LO]
    translations.refresh(tables, state, flow, p, way, now)
    translations.rewrite(state, flow, p, way)
    if flights[p, Field.MORE_FRAGMENTS] != 0:
        _remember(tables, state, p, nat, way, source, destination, now)
    _sent_on(state, p, nat, way, now)


@kernel
def _is_own(tables: Tables, row: int, lo: int) -> bool:
    for at in range(tables.gateways[row, GatewayColumn.ADDRESSES], tables.gateways[row, GatewayColumn.ADDRESSES_END]):
        if tables.addresses[at, AddressPair.PRIVATE_LO] == lo:
            return True
    return False


@kernel
def _sent_on(state: State, p: int, nat: int, way: int, now: int) -> None:
    """The step in the journal, and on from the gateway's own subnet; group identity ends here (SG-26)."""
    flights = state.flights
    if way == FORWARD:
        lo, port = flights[p, Field.SOURCE_LO], flights[p, Field.SOURCE_PORT]
    else:
        lo, port = flights[p, Field.DESTINATION_LO], flights[p, Field.DESTINATION_PORT]
    if flights[p, Field.PROTOCOL] == ICMP:
        port = flights[p, Field.IDENTIFIER]
    what = TRANSLATED_SOURCE if way == FORWARD else TRANSLATED_DESTINATION
    note(state, p, now, GATEWAY, nat, ACCEPT, 0, 0, 0, what | (port << PORT_SHIFT), 0, lo)
    if flights[p, Flight.SENDER] != 0:
        flights[p, Flight.LOST], flights[p, Flight.SENDER] = flights[p, Flight.SENDER], 0
    queue.push(state, now, SEND, flights[p, Field.INDEX], p, nat)


@kernel
def _flow(tables: Tables, state: State, p: int, nat: int, row: int, way: int, now: int) -> int:
    """Row of the packet's flow, a new one if it may open one; -1 if the packet was ended."""
    flights = state.flights
    protocol = flights[p, Field.PROTOCOL]
    if is_icmp_error(protocol, flights[p, Field.TYPE]):
        # An error travels with the answers to what it quotes.
        flow = translations.find(state, nat, flights[p, Field.QUOTED_PROTOCOL], translations.quoted_ends(state, p, way), way, now)
        if flow < 0:
            finish(state, p, now, GATEWAY, nat, DROP, _UNSOLICITED if way == BACKWARD else _NO_FLOW, 0)
        return flow
    seen = translations.ends_of(state, p)
    flow = translations.find(state, nat, protocol, seen, way, now)
    if flow >= 0:
        return flow
    if way == BACKWARD:
        finish(state, p, now, GATEWAY, nat, DROP, _UNSOLICITED, 0)
        return -1
    if protocol == TCP and flights[p, Field.FLAGS] & (SYN | ACK | RST) != SYN:
        translations.refuse(state, p, nat, now)
        finish(state, p, now, GATEWAY, nat, DROP, _NO_FLOW, 0)
        return -1
    if protocol == ICMP and keys.query_role(ICMP, flights[p, Field.TYPE]) != keys.QUERY_REQUEST:
        finish(state, p, now, GATEWAY, nat, DROP, _NO_FLOW, 0)
        return -1
    flow = _open(tables, state, nat, row, protocol, seen, now)
    if flow < 0:
        finish(state, p, now, GATEWAY, nat, DROP, _NO_PORT, 0)
    return flow


@kernel
def _open(tables: Tables, state: State, nat: int, row: int, protocol: int, seen: Ends, now: int) -> int:
    """Row of a new flow with an address and a port of the gateway's, -1 if none is left for its destination (RT-32)."""
    start, end = tables.gateways[row, GatewayColumn.ADDRESSES], tables.gateways[row, GatewayColumn.ADDRESSES_END]
    ports = (seen.source_port << 16) | seen.destination_port
    wish = mix(mix(mix(mix(tables.settings.seed, nat), seen.source_lo), seen.destination_lo), ports)
    for turn in range(end - start):
        lo = tables.addresses[start + (wish + turn) % (end - start), AddressPair.PRIVATE_LO]
        if is_used_up(state, nat, protocol, lo, seen.destination_lo, seen.destination_port, MOST_FLOWS, now):
            continue
        for step in range(PORTS):
            sent = Ends(lo, FIRST_PORT + (wish + step) % PORTS, seen.destination_lo, seen.destination_port)
            if translations.find(state, nat, protocol, translations.answer_of(sent), BACKWARD, now) < 0:
                return translations.add(state, nat, nat, nat, protocol, seen, sent)
    return -1


@kernel
def _remember(tables: Tables, state: State, p: int, nat: int, way: int, source: int, destination: int, now: int) -> None:
    """Keep what a first fragment's address became, for the later ones, which show no ports."""
    flights = state.flights
    new_source, new_destination = flights[p, Field.SOURCE_LO], flights[p, Field.DESTINATION_LO]
    flights[p, Field.SOURCE_LO], flights[p, Field.DESTINATION_LO] = source, destination
    became = (new_source if way == FORWARD else new_destination) & 0xFFFFFFFF
    fragments.remember(tables, state, p, nat, way, Decision(ACCEPT, 0, became, 0), now)
    flights[p, Field.SOURCE_LO], flights[p, Field.DESTINATION_LO] = new_source, new_destination


@kernel
def _later_fragment(tables: Tables, state: State, p: int, nat: int, way: int, now: int) -> None:
    flights = state.flights
    slot = fragments.known(tables, state, p, nat, way, now)
    if slot == fragments.HOLD:
        fragments.hold(state, p, TRANSIT, nat, now)
        return
    if slot == fragments.UNKNOWN:
        finish(state, p, now, GATEWAY, nat, DROP, _LATE, 0)
        return
    if not spend_hop(tables, state, p, now, GATEWAY, nat):
        return
    lo = (0xFFFF << 32) | state.fragments[slot, Fragment.RULE]
    if way == FORWARD:
        flights[p, Field.SOURCE_LO] = lo
    else:
        flights[p, Field.DESTINATION_LO] = lo
    _sent_on(state, p, nat, way, now)
