"""Transit gateways and VPN gateways: routers between VPCs and customer networks (RT-54, RT-55).

    in    from a VPC: only if its attachment has a subnet in the sender's zone; that subnet's ACL sees it, of a sender in
          the same subnet as well, outbound and inbound.  From a customer network: by its attachment
    look  in the route table that the attachment is associated with; static before propagated, blackholes drop
    out   to a VPC: at its attachment's interface in the packet's own zone, else, or in appliance mode, in one that a hash
          of the flow chooses, the same for both directions; from there by that subnet's ACL and route table, or
          straight to an interface of that subnet, past its ACL
          to a customer network: to its host.  To another transit gateway: look again there

What the ACL sees has a page of its own in the transit gateway guide, "Network ACLs for transit gateways".

Group identity crosses only where the gateway and both attachments say so (SG-31).  Time to live is not lowered (FB-18).
A zone that is not said counts as every zone.

The maximum segment size of a SYN is lowered to what fits (FB-29).  What is too long from a VPC never gets here: its router
says so; what is too long from a customer network is dropped in silence, as the newest text has it.
"""

from emulator.datapath import queue
from emulator.datapath.filters import ACCEPT, DROP, passes_acl
from emulator.datapath.journal import finish, passed, sighted
from emulator.datapath.leave import ARRIVE, SEND, TRANSIT, cross, fits, path_mtu
from emulator.datapath.state import Flight, State
from emulator.kernels import kernel
from emulator.policy.joined_columns import AttachmentColumn, NetworkColumn, NodeColumn
from emulator.policy.reasons import Reason, Stage
from emulator.policy.routes import best_in
from emulator.policy.tables import (
    INGRESS,
    GatewayColumn,
    PlaceKind,
    RouteColumn,
    SubnetColumn,
    Tables,
    in_blocks,
    kind_of,
    owner,
    row_of,
)
from emulator.wire.hashing import mix
from emulator.wire.headers import SYN, TCP, Field

ACL_INGRESS, GATEWAY = int(Stage.ACL_INGRESS), int(Stage.GATEWAY)
_OUTSIDE = int(PlaceKind.OUTSIDE)
_NO_ZONE, _NO_ATTACHMENT_ZONE = int(Reason.TGW_ROUTE_AZ_RESTRICTION), int(Reason.TGW_ATTACH_VPC_AZ_RESTRICTION)
_NO_TABLE, _NO_ROUTE = int(Reason.TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION), int(Reason.TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT)
_BLACKHOLE, _VPN_DOWN, _NOTHING = int(Reason.TGW_RTB_BAD_STATE_ROUTE), int(Reason.BAD_STATE_VPN), int(Reason.NO_POSSIBLE_DESTINATION)
_BAD_STATE, _LOOP, _TOO_BIG = int(Reason.BAD_STATE), int(Reason.EMU_FORWARDING_LOOP), int(Reason.EMU_MTU_EXCEEDED)
_HEADERS_V4, _HEADERS_V6 = 40, 60  # bytes of IP and TCP without options
MAX_GATEWAYS = 8
_SIDE_VPC, _SIDE_NETWORK, _SIDE_PEER = int(AttachmentColumn.VPC), int(AttachmentColumn.NETWORK), int(AttachmentColumn.PEER)


@kernel
def _attachment(tables: Tables, gateway: int, side: int, key: int) -> int:
    """Row of the attachment that joins a VPC, network or peer (its id; ``side`` the column) to a gateway; -1 for none."""
    for row in range(tables.attachments.shape[0]):
        if tables.attachments[row, AttachmentColumn.GATEWAY] == gateway and tables.attachments[row, side] == key:
            return row
    return -1


@kernel
def _by_id(tables: Tables, key: int) -> int:
    for row in range(tables.attachments.shape[0]):
        if tables.attachments[row, AttachmentColumn.ID] == key:
            return row
    return -1


@kernel
def _node_in(tables: Tables, attachment: int, zone: int) -> int:
    """Row of an attachment's interface in a zone, -1 for none; a zone that is not said is every zone."""
    for at in range(tables.attachments[attachment, AttachmentColumn.NODES], tables.attachments[attachment, AttachmentColumn.NODES_END]):
        if zone == 0 or tables.nodes[at, NodeColumn.ZONE] in (zone, 0):
            return at
    return -1


@kernel
def transit_gateway(tables: Tables, state: State, p: int, gateway: int, now: int) -> None:
    """A packet is at a transit gateway; FROM is the sender's subnet, or the customer network that it came from."""
    flights = state.flights
    came, zone = flights[p, Flight.FROM], 0
    if kind_of(tables, came) == _OUTSIDE:
        attachment = _attachment(tables, gateway, _SIDE_NETWORK, came)
    else:
        subnet = row_of(tables, came)
        attachment = _attachment(tables, gateway, _SIDE_VPC, tables.subnets[subnet, SubnetColumn.VPC])
        zone = tables.subnets[subnet, SubnetColumn.ZONE]
    if attachment < 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _BAD_STATE, 0)
        return
    if kind_of(tables, came) != _OUTSIDE:
        node = _node_in(tables, attachment, zone)
        if node < 0:
            finish(state, p, now, GATEWAY, gateway, DROP, _NO_ZONE, 0)
            return
        entered = tables.nodes[node, NodeColumn.SUBNET]
        if not passes_acl(tables, state, p, entered, tables.nodes[node, NodeColumn.ID], TRANSIT, gateway, now):
            return
        sighted(state, p, now, tables.nodes[node, NodeColumn.ID], INGRESS, ACCEPT, 0, 0, 0)
    mtu = path_mtu(tables, gateway)
    if not fits(tables, state, p, mtu):
        finish(state, p, now, GATEWAY, gateway, DROP, _TOO_BIG, 0)
        return
    if flights[p, Field.PROTOCOL] == TCP and flights[p, Field.FLAGS] & SYN:
        flights[p, Flight.MOST_SEGMENT] = mtu - (_HEADERS_V4 if flights[p, Field.FAMILY] == 4 else _HEADERS_V6)
    _route(tables, state, p, gateway, attachment, zone, now)


@kernel
def _route(tables: Tables, state: State, p: int, gateway: int, attachment: int, zone: int, now: int) -> None:
    """From attachment to attachment, over other transit gateways if need be, until one leads to a VPC or a network."""
    flights = state.flights
    keeps = tables.attachments[attachment, AttachmentColumn.KEEPS_GROUPS]
    for _ in range(MAX_GATEWAYS):
        start, end = tables.attachments[attachment, AttachmentColumn.ROUTES], tables.attachments[attachment, AttachmentColumn.ROUTES_END]
        if start == end:
            finish(state, p, now, GATEWAY, gateway, DROP, _NO_TABLE, 0)
            return
        hi, lo = flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]
        route = best_in(tables, start, end, flights[p, Field.FAMILY], hi, lo)
        if route < 0:
            finish(state, p, now, GATEWAY, gateway, DROP, _NO_ROUTE, 0)
            return
        route_id = tables.routes[route, RouteColumn.ID]
        if tables.routes[route, RouteColumn.BLACKHOLE] != 0:
            finish(state, p, now, GATEWAY, gateway, DROP, _BLACKHOLE, route_id)
            return
        out = _by_id(tables, tables.routes[route, RouteColumn.TARGET])
        passed(state, p, now, GATEWAY, gateway, route_id, 0, 0)
        if tables.attachments[out, _SIDE_VPC] != 0:
            keeps &= tables.attachments[out, AttachmentColumn.KEEPS_GROUPS]
            keeps &= tables.gateways[row_of(tables, gateway), GatewayColumn.KEEPS_GROUPS]
            if keeps == 0 and flights[p, Flight.SENDER] != 0:
                flights[p, Flight.LOST], flights[p, Flight.SENDER] = flights[p, Flight.SENDER], 0
            _to_vpc(tables, state, p, gateway, out, zone, now)
            return
        if flights[p, Flight.SENDER] != 0:
            flights[p, Flight.LOST], flights[p, Flight.SENDER] = flights[p, Flight.SENDER], 0
        if tables.attachments[out, _SIDE_NETWORK] != 0:
            to_network(tables, state, p, gateway, tables.attachments[out, _SIDE_NETWORK], now)
            return
        there = tables.attachments[out, _SIDE_PEER]
        attachment = _attachment(tables, there, _SIDE_PEER, gateway)
        if attachment < 0:
            finish(state, p, now, GATEWAY, there, DROP, _BAD_STATE, 0)
            return
        gateway, keeps, zone = there, keeps * 0, zone * 0
    finish(state, p, now, GATEWAY, gateway, DROP, _LOOP, 0)


@kernel
def _to_vpc(tables: Tables, state: State, p: int, gateway: int, attachment: int, zone: int, now: int) -> None:
    """Deliver to a VPC at the attachment's interface in the packet's zone, or in the one that its flow belongs to."""
    flights = state.flights
    start, end = tables.attachments[attachment, AttachmentColumn.NODES], tables.attachments[attachment, AttachmentColumn.NODES_END]
    node = -1
    if tables.attachments[attachment, AttachmentColumn.APPLIANCE] == 0 and zone != 0:
        node = _node_in(tables, attachment, zone)
    if node < 0 and end > start:
        # Both directions of a flow have the same sum, so they choose the same interface.
        both = flights[p, Field.SOURCE_LO] ^ flights[p, Field.DESTINATION_LO]
        ports = flights[p, Field.SOURCE_PORT] ^ flights[p, Field.DESTINATION_PORT]
        node = start + mix(mix(mix(0, both), ports), flights[p, Field.PROTOCOL]) % (end - start)
    if node < 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _NO_ATTACHMENT_ZONE, 0)
        return
    queue.push(state, now, SEND, flights[p, Field.INDEX], p, tables.nodes[node, NodeColumn.ID])


@kernel
def network_of(tables: Tables, host: int) -> int:
    """Row of the customer network in which a host stands; -1 for one on the internet."""
    return row_of(tables, host) - 1 if kind_of(tables, host) == _OUTSIDE else -1


@kernel
def to_network(tables: Tables, state: State, p: int, gateway: int, network: int, now: int) -> None:
    """Deliver to a customer network (its id): to the host that has the address, else to the network as a whole."""
    flights = state.flights
    row = row_of(tables, network) - 1
    if tables.networks[row, NetworkColumn.UP] == 0:
        finish(state, p, now, GATEWAY, gateway, DROP, _VPN_DOWN, 0)
        return
    host = owner(tables, 0, flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO])
    if network_of(tables, host) != row:
        host = network
    flights[p, Flight.FROM] = 0
    cross(tables, state, p, gateway, host, ARRIVE, now)


@kernel
def network_with(tables: Tables, gateway: int, family: int, hi: int, lo: int) -> int:
    """Id of the customer network on a VPN gateway that has an address; 0 for none."""
    for row in range(tables.networks.shape[0]):
        if tables.networks[row, NetworkColumn.GATEWAY] == gateway:
            start, end = tables.networks[row, NetworkColumn.BLOCKS], tables.networks[row, NetworkColumn.BLOCKS_END]
            if in_blocks(tables, start, end, family, hi, lo):
                return tables.networks[row, NetworkColumn.ID]
    return 0


@kernel
def from_network(tables: Tables, state: State, p: int, host: int, now: int) -> None:
    """A host of a customer network sends: by the VPN gateway or the transit gateway that the network hangs on."""
    flights = state.flights
    row = network_of(tables, host)
    network = tables.networks[row, NetworkColumn.ID]
    if tables.networks[row, NetworkColumn.UP] == 0:
        finish(state, p, now, GATEWAY, network, DROP, _VPN_DOWN, 0)
        return
    gateway = tables.networks[row, NetworkColumn.GATEWAY]
    if gateway != 0:
        cross(tables, state, p, host, gateway, TRANSIT, now)
        return
    for at in range(tables.attachments.shape[0]):
        if tables.attachments[at, _SIDE_NETWORK] == network:
            flights[p, Flight.FROM] = network
            cross(tables, state, p, host, tables.attachments[at, AttachmentColumn.GATEWAY], TRANSIT, now)
            return
    finish(state, p, now, GATEWAY, network, DROP, _NOTHING, 0)
