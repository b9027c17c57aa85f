"""Translated flows: what NAT gateways and load balancers remember, as one table that is found from both sides.

    IN   the opener's packets as they come     found by (PLACE, protocol, source, destination)
    OUT  the same as they go on                its answers are found by (BACK, protocol, OUT destination, OUT source)

A row lives until EXPIRES_NS and is then as good as gone; the engine clears dead rows when it needs room.  Idle time is
350 s for tcp (RT-33, CT-29), 120 s for udp through a balancer (CT-29) and 350 s for everything else: AWS gives one
figure for a NAT gateway.  A tcp flow ends with a reset, or when both sides' FINs are acknowledged; what comes later, from the
inside of a NAT gateway or to a balancer's node, is answered with a reset ("Introducing NLB TCP configurable idle timeout").
"""

from typing import NamedTuple

from emulator.datapath import queue, spawn
from emulator.datapath.allotments import allot
from emulator.datapath.state import Count, EventKind, State, Translation
from emulator.kernels import kernel
from emulator.policy import conntrack, keys
from emulator.policy.tables import PlaceKind, Tables, kind_of
from emulator.wire.hashing import mix
from emulator.wire.headers import ICMP, RST, SYN, TCP, UDP, Field, Matrix

IDLE_NS, BALANCER_UDP_NS = 350 * 10**9, 120 * 10**9
FORWARD, BACKWARD = 0, 1
_BALANCER, _SEND = int(PlaceKind.BALANCER), int(EventKind.SEND)


class Ends(NamedTuple):
    """A five-tuple without its protocol: low halves of the addresses and the ports; of an ICMP query the identifier and 0."""

    source_lo: int
    source_port: int
    destination_lo: int
    destination_port: int


@kernel
def ends_of(state: State, p: int) -> Ends:
    """The ends of the packet in row ``p``; of an ICMP reply the identifier stands at its destination."""
    flights = state.flights
    source_port, destination_port = flights[p, Field.SOURCE_PORT], flights[p, Field.DESTINATION_PORT]
    if flights[p, Field.PROTOCOL] == ICMP:
        source_port, destination_port = flights[p, Field.IDENTIFIER], source_port * 0
        if keys.query_role(ICMP, flights[p, Field.TYPE]) == keys.QUERY_REPLY:
            source_port, destination_port = destination_port, source_port
    return Ends(flights[p, Field.SOURCE_LO], source_port, flights[p, Field.DESTINATION_LO], destination_port)


@kernel
def quoted_ends(state: State, p: int, way: int) -> Ends:
    """The ends of the *answer* to the datagram that an ICMP error quotes: what the error's way is known by.

    An error that goes `BACKWARD` quotes a query, whose identifier stands at its source; one that goes `FORWARD` a reply.
    """
    flights = state.flights
    first, second = flights[p, Field.QUOTED_SOURCE_PORT], flights[p, Field.QUOTED_DESTINATION_PORT]
    if flights[p, Field.QUOTED_PROTOCOL] == ICMP:
        first, second = (first, second * 0) if way == BACKWARD else (second * 0, first)
    return Ends(flights[p, Field.QUOTED_DESTINATION_LO], second, flights[p, Field.QUOTED_SOURCE_LO], first)


@kernel
def _home(rows: int, place: int, protocol: int, ends: Ends) -> int:
    ports = (ends.source_port << 16) | ends.destination_port
    return mix(mix(mix(mix(0, (place << 8) | protocol), ends.source_lo), ends.destination_lo), ports) & (rows - 1)


@kernel
def find(state: State, place: int, protocol: int, ends: Ends, way: int, now: int) -> int:
    """Row of the living flow whose packets look like this at a place, or -1; ``way`` is `FORWARD` for the opener's."""
    table, index = state.translations, state.translation_index
    slot = _home(index.shape[0], place, protocol, ends)
    while index[slot, 0] != 0:
        row, side = (index[slot, 0] - 1) >> 1, (index[slot, 0] - 1) & 1
        if side == way and table[row, Translation.PROTOCOL] == protocol and table[row, Translation.EXPIRES_NS] > now:
            if way == FORWARD:
                if (
                    table[row, Translation.PLACE] == place
                    and table[row, Translation.IN_SOURCE_LO] == ends.source_lo
                    and table[row, Translation.IN_SOURCE_PORT] == ends.source_port
                    and table[row, Translation.IN_DESTINATION_LO] == ends.destination_lo
                    and table[row, Translation.IN_DESTINATION_PORT] == ends.destination_port
                ):
                    return row
            elif (
                table[row, Translation.BACK] == place
                and table[row, Translation.OUT_DESTINATION_LO] == ends.source_lo
                and table[row, Translation.OUT_DESTINATION_PORT] == ends.source_port
                and table[row, Translation.OUT_SOURCE_LO] == ends.destination_lo
                and table[row, Translation.OUT_SOURCE_PORT] == ends.destination_port
            ):
                return row
        slot = (slot + 1) & (index.shape[0] - 1)
    return -1


@kernel
def enter(index: Matrix, row: int, place: int, protocol: int, ends: Ends, way: int) -> None:
    """Put a row into the index under one of its two keys."""
    slot = _home(index.shape[0], place, protocol, ends)
    while index[slot, 0] != 0:
        slot = (slot + 1) & (index.shape[0] - 1)
    index[slot, 0] = 2 * row + way + 1


@kernel
def add(state: State, place: int, back: int, node: int, protocol: int, seen: Ends, sent: Ends) -> int:
    """Row of a new flow; its state and time are set by `refresh`.  The caller has seen to it that there is room."""
    table = state.translations
    row = state.counts[Count.TRANSLATIONS, 0]
    state.counts[Count.TRANSLATIONS, 0] = row + 1
    table[row, Translation.PLACE], table[row, Translation.BACK], table[row, Translation.NODE] = place, back, node
    table[row, Translation.PROTOCOL] = protocol
    table[row, Translation.IN_SOURCE_LO], table[row, Translation.IN_SOURCE_PORT] = seen.source_lo, seen.source_port
    table[row, Translation.IN_DESTINATION_LO], table[row, Translation.IN_DESTINATION_PORT] = seen.destination_lo, seen.destination_port
    table[row, Translation.OUT_SOURCE_LO], table[row, Translation.OUT_SOURCE_PORT] = sent.source_lo, sent.source_port
    table[row, Translation.OUT_DESTINATION_LO], table[row, Translation.OUT_DESTINATION_PORT] = sent.destination_lo, sent.destination_port
    table[row, Translation.STATE] = conntrack.STARTED_BY_A
    enter(state.translation_index, row, place, protocol, seen, FORWARD)
    enter(state.translation_index, row, back, protocol, answer_of(sent), BACKWARD)
    return row


@kernel
def answer_of(ends: Ends) -> Ends:
    """The ends of a packet that answers."""
    return Ends(ends.destination_lo, ends.destination_port, ends.source_lo, ends.source_port)


@kernel
def refuse(state: State, p: int, place: int, now: int) -> None:
    """Answer a tcp segment of no known flow with a reset in its destination's name, if it neither opens nor ends one (RT-33, CT-29)."""
    if state.flights[p, Field.FLAGS] & (SYN | RST) == 0:
        answer = spawn.reset(state, p, place, now)
        queue.push(state, now, _SEND, state.flights[answer, Field.INDEX], answer, place)


@kernel
def refresh(tables: Tables, state: State, row: int, p: int, way: int, now: int) -> None:
    """One more packet of a flow: its timer starts again, or the flow is over; an ICMP error about it changes nothing."""
    table, flights = state.translations, state.flights
    if flights[p, Field.QUOTED_PROTOCOL] != 0:
        return
    protocol = table[row, Translation.PROTOCOL]
    flags = flights[p, Field.FLAGS] if protocol == TCP else 0
    end, acknowledged = flights[p, Field.IDENTIFIER], flights[p, Field.SEQUENCE]
    after = conntrack.next_state(protocol, table[row, Translation.STATE], 1 if way == FORWARD else 0, flags, end, acknowledged)
    table[row, Translation.STATE] = after
    idle = BALANCER_UDP_NS if protocol == UDP and kind_of(tables, table[row, Translation.NODE]) == _BALANCER else IDLE_NS
    if table[row, Translation.EXPIRES_NS] == 0:
        allot(state.allotments, table, row, 1)
    if after & conntrack.CLOSED:
        allot(state.allotments, table, row, -1)
    table[row, Translation.EXPIRES_NS] = now if after & conntrack.CLOSED else now + idle


@kernel
def rewrite(state: State, row: int, p: int, way: int) -> None:
    """Give a packet the addresses and ports of the other side of its flow; an ICMP error is given those it quotes as well."""
    table, flights = state.translations, state.flights
    if flights[p, Field.QUOTED_PROTOCOL] != 0:
        _rewrite_error(state, row, p, way)
        return
    if way == FORWARD:
        flights[p, Field.SOURCE_LO] = table[row, Translation.OUT_SOURCE_LO]
        flights[p, Field.DESTINATION_LO] = table[row, Translation.OUT_DESTINATION_LO]
        first, second = table[row, Translation.OUT_SOURCE_PORT], table[row, Translation.OUT_DESTINATION_PORT]
    else:
        flights[p, Field.SOURCE_LO] = table[row, Translation.IN_DESTINATION_LO]
        flights[p, Field.DESTINATION_LO] = table[row, Translation.IN_SOURCE_LO]
        first, second = table[row, Translation.IN_DESTINATION_PORT], table[row, Translation.IN_SOURCE_PORT]
    if flights[p, Field.PROTOCOL] == ICMP:
        flights[p, Field.IDENTIFIER] = first if way == FORWARD else second
    else:
        flights[p, Field.SOURCE_PORT], flights[p, Field.DESTINATION_PORT] = first, second


@kernel
def _rewrite_error(state: State, row: int, p: int, way: int) -> None:
    """RFC 5508 §4.2: the error takes the way of the answers to what it quotes, and quotes what the other side knows.

    It is a NAT gateway's, which leaves a flow's far end as it is.
    """
    table, flights = state.translations, state.flights
    if way == BACKWARD:
        flights[p, Field.DESTINATION_LO] = table[row, Translation.IN_SOURCE_LO]
        flights[p, Field.QUOTED_SOURCE_LO] = table[row, Translation.IN_SOURCE_LO]
        flights[p, Field.QUOTED_SOURCE_PORT] = table[row, Translation.IN_SOURCE_PORT]
        return
    if flights[p, Field.SOURCE_LO] == table[row, Translation.IN_SOURCE_LO]:
        flights[p, Field.SOURCE_LO] = table[row, Translation.OUT_SOURCE_LO]
    flights[p, Field.QUOTED_DESTINATION_LO] = table[row, Translation.OUT_SOURCE_LO]
    if flights[p, Field.QUOTED_PROTOCOL] == ICMP:
        flights[p, Field.QUOTED_SOURCE_PORT] = table[row, Translation.OUT_SOURCE_PORT]
    else:
        flights[p, Field.QUOTED_DESTINATION_PORT] = table[row, Translation.OUT_SOURCE_PORT]


@kernel
def reindex(table: Matrix, rows: int, index: Matrix, allotments: Matrix) -> None:
    """Enter the first rows of a table, all of them living, into an empty index and empty allotments."""
    for row in range(rows):
        protocol = table[row, Translation.PROTOCOL]
        seen = Ends(
            table[row, Translation.IN_SOURCE_LO],
            table[row, Translation.IN_SOURCE_PORT],
            table[row, Translation.IN_DESTINATION_LO],
            table[row, Translation.IN_DESTINATION_PORT],
        )
        sent = Ends(
            table[row, Translation.OUT_SOURCE_LO],
            table[row, Translation.OUT_SOURCE_PORT],
            table[row, Translation.OUT_DESTINATION_LO],
            table[row, Translation.OUT_DESTINATION_PORT],
        )
        enter(index, row, table[row, Translation.PLACE], protocol, seen, FORWARD)
        enter(index, row, table[row, Translation.BACK], protocol, answer_of(sent), BACKWARD)
        allot(allotments, table, row, 1)
