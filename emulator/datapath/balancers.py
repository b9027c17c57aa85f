"""Network load balancers: a node in a zone takes a flow to one of its healthy targets (CT-16, CT-29).

    client ─► node (its subnet's ACL; a listener for the port) ─► target, in the node's zone, of any zone if cross-zone
    target ─► back to the same node, whatever the target's route table says ─► client

The target is found by a hash of the flow, so a flow keeps it.  A target whose group keeps the client's address sees it
as the source, as do its ACL and groups; a target that calls itself this way fails.  Otherwise the node's address and
a port of its own stand for the client.  A tcp segment of no flow is answered with a reset.  Groups of the balancer itself
are not judged.  Source: what has been measured on AWS of zones, kept addresses and pings that nobody answers;
explanation codes of Reachability Analyzer.
"""

from emulator.datapath import queue, translations
from emulator.datapath.filters import ACCEPT, DROP, enters
from emulator.datapath.journal import finish, note, sighted
from emulator.datapath.leave import SEND, TRANSIT
from emulator.datapath.state import Flight, State, Translation
from emulator.datapath.translations import BACKWARD, FORWARD, Ends
from emulator.kernels import kernel
from emulator.policy.joined_columns import AddressPair, ListenerColumn, TargetColumn
from emulator.policy.reasons import Reason, Stage
from emulator.policy.tables import (
    INGRESS,
    GatewayColumn,
    SubnetColumn,
    Tables,
    row_of,
)
from emulator.wire.hashing import mix
from emulator.wire.headers import ACK, RST, SYN, TCP, UDP, Field

ACL_INGRESS, GATEWAY = int(Stage.ACL_INGRESS), int(Stage.GATEWAY)
_NO_LISTENER, _NO_TARGET = int(Reason.ELBV2_LISTENERS_MISMATCH), int(Reason.ELBV2_NO_TARGETS_IN_AZ)
_ITSELF, _NO_FLOW = int(Reason.ELBV2_SOURCE_ADDRESS_PRESERVATION), int(Reason.EMU_NAT_NO_CONNECTION)
FIRST_PORT, PORTS = 1024, 65536 - 1024
TRANSLATED_SOURCE, TRANSLATED_DESTINATION, PORT_SHIFT = 1, 2, 8


@kernel
def node_behind(tables: Tables, state: State, p: int, eni_id: int, now: int) -> int:
    """Id of the balancer's node to which an interface's packet belongs as an answer with the client's address kept; else 0."""
    protocol = state.flights[p, Field.PROTOCOL]
    if state.flights[p, Field.FAMILY] != 4 or protocol not in (TCP, UDP):
        return 0
    flow = translations.find(state, eni_id, protocol, translations.ends_of(state, p), BACKWARD, now)
    if flow < 0:
        return 0
    node = state.translations[flow, Translation.NODE]
    return node if row_of(tables, node) >= 0 else 0


@kernel
def balancer_node(tables: Tables, state: State, p: int, node: int, row: int, now: int) -> None:
    """A packet is at a node: a client's, or a target's answer."""
    flights = state.flights
    subnet_id = tables.gateways[row, GatewayColumn.SUBNET]
    back = _answered_flow(state, p, node, now)
    if not enters(tables, state, p, subnet_id, node, TRANSIT, node, now):
        return
    sighted(state, p, now, node, INGRESS, ACCEPT, 0, 0, 0)
    flow, way = back, BACKWARD
    if back < 0:
        way = FORWARD
        flow = _client_flow(tables, state, p, node, row, now)
        if flow < 0:
            return
    client = flights[p, Field.SOURCE_LO]
    translations.refresh(tables, state, flow, p, way, now)
    translations.rewrite(state, flow, p, way)
    what, lo, port = TRANSLATED_DESTINATION, flights[p, Field.DESTINATION_LO], flights[p, Field.DESTINATION_PORT]
    if way == BACKWARD:
        what, lo, port = TRANSLATED_SOURCE, flights[p, Field.SOURCE_LO], flights[p, Field.SOURCE_PORT]
    note(state, p, now, GATEWAY, node, ACCEPT, 0, 0, 0, what | (port << PORT_SHIFT), 0, lo)
    if way == FORWARD and flights[p, Field.SOURCE_LO] != client:
        port = flights[p, Field.SOURCE_PORT]
        note(state, p, now, GATEWAY, node, ACCEPT, 0, 0, 0, TRANSLATED_SOURCE | (port << PORT_SHIFT), 0, flights[p, Field.SOURCE_LO])
    if flights[p, Flight.SENDER] != 0:
        flights[p, Flight.LOST], flights[p, Flight.SENDER] = flights[p, Flight.SENDER], 0
    flights[p, Flight.AUTOTRACK] = 1
    queue.push(state, now, SEND, flights[p, Field.INDEX], p, node)


@kernel
def _answered_flow(state: State, p: int, node: int, now: int) -> int:
    """Row of the flow of which this packet is an answer: known by the node, or by the target's address if that was kept."""
    flights = state.flights
    protocol, ends = flights[p, Field.PROTOCOL], translations.ends_of(state, p)
    flow = translations.find(state, node, protocol, ends, BACKWARD, now)
    return flow if flow >= 0 else translations.find(state, flights[p, Flight.VIA_TARGET], protocol, ends, BACKWARD, now)


@kernel
def _client_flow(tables: Tables, state: State, p: int, node: int, row: int, now: int) -> int:
    """Row of a client's flow, a new one if a listener and a target are there for it; -1 if the packet was ended."""
    flights = state.flights
    protocol, seen = flights[p, Field.PROTOCOL], translations.ends_of(state, p)
    if flights[p, Field.FAMILY] == 4 and protocol in (TCP, UDP):
        flow = translations.find(state, node, protocol, seen, FORWARD, now)
        if flow >= 0:
            return flow
    listener = _listener(tables, row, protocol, flights[p, Field.DESTINATION_PORT])
    if listener < 0 or flights[p, Field.FAMILY] != 4:
        finish(state, p, now, GATEWAY, node, DROP, _NO_LISTENER, 0)
        return -1
    if protocol == TCP and flights[p, Field.FLAGS] & (SYN | ACK | RST) != SYN:
        translations.refuse(state, p, node, now)
        finish(state, p, now, GATEWAY, node, DROP, _NO_FLOW, 0)
        return -1
    target = _target(tables, row, listener, seen)
    if target < 0:
        finish(state, p, now, GATEWAY, node, DROP, _NO_TARGET, 0)
        return -1
    lo, port = tables.targets[target, TargetColumn.LO], tables.targets[target, TargetColumn.PORT]
    eni = tables.targets[target, TargetColumn.ENI]
    if tables.listeners[listener, ListenerColumn.KEEPS_CLIENT] != 0 and eni != 0:
        if lo == seen.source_lo:
            finish(state, p, now, GATEWAY, node, DROP, _ITSELF, 0)
            return -1
        return translations.add(state, node, eni, node, protocol, seen, Ends(seen.source_lo, seen.source_port, lo, port))
    own, wish = _node_address(tables, row), mix(mix(mix(0, node), seen.source_lo), seen.source_port)
    for step in range(PORTS):
        sent = Ends(own, FIRST_PORT + (wish + step) % PORTS, lo, port)
        if translations.find(state, node, protocol, translations.answer_of(sent), BACKWARD, now) < 0:
            return translations.add(state, node, node, node, protocol, seen, sent)
    finish(state, p, now, GATEWAY, node, DROP, _NO_TARGET, 0)
    return -1


@kernel
def _node_address(tables: Tables, row: int) -> int:
    """Low half of a node's private address."""
    return tables.addresses[tables.gateways[row, GatewayColumn.ADDRESSES], AddressPair.PRIVATE_LO]


@kernel
def _listener(tables: Tables, row: int, protocol: int, port: int) -> int:
    for at in range(tables.gateways[row, GatewayColumn.LISTENERS], tables.gateways[row, GatewayColumn.LISTENERS_END]):
        if tables.listeners[at, ListenerColumn.PROTOCOL] == protocol and tables.listeners[at, ListenerColumn.PORT] == port:
            return at
    return -1


@kernel
def _target(tables: Tables, row: int, listener: int, seen: Ends) -> int:
    """Row of the target that a flow gets: by a hash, among those of the node's zone, or of all zones with cross-zone; -1 for none."""
    zone = tables.subnets[row_of(tables, tables.gateways[row, GatewayColumn.SUBNET]), SubnetColumn.ZONE]
    anywhere = tables.gateways[row, GatewayColumn.CROSS_ZONE] != 0
    start, end = tables.listeners[listener, ListenerColumn.TARGETS], tables.listeners[listener, ListenerColumn.TARGETS_END]
    usable = 0
    for at in range(start, end):
        if anywhere or tables.targets[at, TargetColumn.ZONE] == zone:
            usable += 1
    if usable == 0:
        return -1
    chosen = mix(mix(mix(tables.settings.seed, seen.source_lo), seen.source_port), seen.destination_port) % usable
    for at in range(start, end):
        if anywhere or tables.targets[at, TargetColumn.ZONE] == zone:
            if chosen == 0:
                return at
            chosen -= 1
    return -1
