"""Packets that the network itself makes: ICMP errors, resets, and the pieces of a datagram that was cut.

The kernels make their *headers*, as rows of ``flights``, and note in ``births`` what they were made from; their bytes
follow from that and from the bytes of the packet that caused them (`emulator.born`), when somebody looks.  Ids count
from `FIRST_BORN`, so they depend on nothing but the order of events.

No error is made about an ICMP error, a later fragment, or a packet from no single host (RFC 1122 §3.2.2, RFC 4443 §2.4).
An IPv4 error quotes as much as fits in 576 bytes (RFC 1812 §4.3.2.3), an IPv6 one as much as fits in 1,280.
"""

from emulator.datapath.addressing import is_unicast
from emulator.datapath.state import FIRST_BORN, FLIGHT_COLUMNS, Birth, BirthKind, Count, Flight, State
from emulator.kernels import kernel
from emulator.policy.keys import QUERY_NONE, query_role
from emulator.wire.headers import ACK, FIELDS, ICMP, ICMPV6, RST, Field, is_icmp_error

TOO_BIG, TIME_EXCEEDED, RESET, PIECE = (int(kind) for kind in BirthKind)
QUOTED_V4, QUOTED_V6, ERROR_TTL = 548, 1232, 255
SPARE = 128  # rows that must be free before an event may run: 65,535 bytes in pieces of 552, and some more


@kernel
def _born(state: State, p: int, kind: int, at: int, value: int, offset: int, more: int, hi: int, lo: int, now: int) -> int:
    """A new row of ``flights``, a copy of the header in row ``p``, with an id of its own and its birth noted."""
    flights, births = state.flights, state.births
    free = state.counts[Count.FREE, 0] - 1
    state.counts[Count.FREE, 0] = free
    q = state.free[free, 0]
    row = state.counts[Count.BORN, 0]
    state.counts[Count.BORN, 0] = row + 1
    births[row, Birth.PARENT] = flights[p, Field.INDEX]
    births[row, Birth.KIND] = kind
    births[row, Birth.AT] = at
    births[row, Birth.TIME_NS] = now
    births[row, Birth.VALUE] = value
    births[row, Birth.OFFSET] = offset
    births[row, Birth.MORE] = more
    births[row, Birth.FROM_HI] = hi
    births[row, Birth.FROM_LO] = lo
    births[row, Birth.SOURCE_HI] = flights[p, Field.SOURCE_HI]
    births[row, Birth.SOURCE_LO] = flights[p, Field.SOURCE_LO]
    births[row, Birth.DESTINATION_HI] = flights[p, Field.DESTINATION_HI]
    births[row, Birth.DESTINATION_LO] = flights[p, Field.DESTINATION_LO]
    births[row, Birth.SOURCE_PORT] = flights[p, Field.SOURCE_PORT]
    births[row, Birth.DESTINATION_PORT] = flights[p, Field.DESTINATION_PORT]
    births[row, Birth.IDENTIFIER] = flights[p, Field.IDENTIFIER]
    births[row, Birth.TTL_SPENT] = flights[p, Flight.TTL_SPENT]
    for column in range(FIELDS):
        flights[q, column] = flights[p, column]
    for column in range(FIELDS, FLIGHT_COLUMNS):
        flights[q, column] = 0
    flights[q, Field.INDEX] = FIRST_BORN + row
    flights[q, Field.TIME_NS] = now
    return q


@kernel
def icmp_error(state: State, p: int, kind: int, at: int, mtu: int, hi: int, lo: int, now: int) -> int:
    """Row of a new ICMP error about the packet in row ``p``, from a source to the packet's source; -1 if none may be made."""
    flights = state.flights
    family, protocol = flights[p, Field.FAMILY], flights[p, Field.PROTOCOL]
    if (
        flights[p, Field.FRAGMENT_OFFSET] != 0
        or is_icmp_error(protocol, flights[p, Field.TYPE])
        or not is_unicast(family, flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO])
    ):
        return -1
    q = _born(state, p, kind, at, mtu, 0, 0, hi, lo, now)
    _answers(state, p, q, hi, lo)
    flights[q, Field.TTL] = ERROR_TTL
    flights[q, Field.QUOTED_PROTOCOL] = protocol
    flights[q, Field.QUOTED_SOURCE_HI], flights[q, Field.QUOTED_SOURCE_LO] = flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO]
    flights[q, Field.QUOTED_DESTINATION_HI] = flights[p, Field.DESTINATION_HI]
    flights[q, Field.QUOTED_DESTINATION_LO] = flights[p, Field.DESTINATION_LO]
    first, second = flights[p, Field.SOURCE_PORT], flights[p, Field.DESTINATION_PORT]
    if query_role(protocol, flights[p, Field.TYPE]) != QUERY_NONE:
        first, second = flights[p, Field.IDENTIFIER], flights[p, Field.SEQUENCE]
    flights[q, Field.QUOTED_SOURCE_PORT], flights[q, Field.QUOTED_DESTINATION_PORT] = first, second
    if family == 4:
        flights[q, Field.PROTOCOL] = ICMP
        flights[q, Field.TYPE], flights[q, Field.CODE] = (3, 4) if kind == TOO_BIG else (11, 0)
        flights[q, Field.LENGTH] = 28 + min(flights[p, Field.LENGTH], QUOTED_V4)
    else:
        flights[q, Field.PROTOCOL] = ICMPV6
        flights[q, Field.TYPE], flights[q, Field.CODE] = (2, 0) if kind == TOO_BIG else (3, 0)
        flights[q, Field.LENGTH] = 48 + min(flights[p, Field.LENGTH], QUOTED_V6)
    return q


@kernel
def reset(state: State, p: int, at: int, now: int) -> int:
    """Row of a new TCP reset that answers the segment in row ``p`` in its destination's name (RFC 9293 §3.10.7.1)."""
    flights = state.flights
    hi, lo = flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]
    q = _born(state, p, RESET, at, 0, 0, 0, hi, lo, now)
    _answers(state, p, q, hi, lo)
    flights[q, Field.SOURCE_PORT], flights[q, Field.DESTINATION_PORT] = flights[p, Field.DESTINATION_PORT], flights[p, Field.SOURCE_PORT]
    flights[q, Field.FLAGS] = RST if flights[p, Field.FLAGS] & ACK else RST | ACK
    flights[q, Field.LENGTH] = 40 if flights[p, Field.FAMILY] == 4 else 60
    flights[q, Field.TTL] = 64
    return q


@kernel
def _answers(state: State, p: int, q: int, hi: int, lo: int) -> None:
    """Make row ``q`` a fresh, whole packet from an address to the source of row ``p``."""
    flights = state.flights
    for column in range(Field.SOURCE_PORT, Field.SEQUENCE + 1):
        flights[q, column] = 0
    flights[q, Field.SOURCE_HI], flights[q, Field.SOURCE_LO] = hi, lo
    flights[q, Field.DESTINATION_HI], flights[q, Field.DESTINATION_LO] = flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO]
    flights[q, Field.FRAGMENT_ID] = 0
    flights[q, Field.MORE_FRAGMENTS] = 0
    flights[q, Field.DONT_FRAGMENT] = 0
    flights[q, Field.IP_OFFSET] = 0
    flights[q, Field.PAYLOAD_OFFSET] = 20 if flights[p, Field.FAMILY] == 4 else 40


@kernel
def cut(state: State, p: int, at: int, mtu: int, now: int) -> None:
    """Cut an IPv4 packet into pieces that fit (RFC 791 §3.2): row ``p`` keeps the first, NEXT leads to the rest in order.

    Every piece repeats the whole header, options too.
    """
    flights = state.flights
    header = flights[p, Field.PAYLOAD_OFFSET] - flights[p, Field.IP_OFFSET]
    payload = flights[p, Field.LENGTH] - header
    step = ((mtu - header) >> 3) << 3
    start, more = flights[p, Field.FRAGMENT_OFFSET], flights[p, Field.MORE_FRAGMENTS]
    last, offset = p, step
    while offset < payload:
        size = min(step, payload - offset)
        follows = more if offset + size >= payload else 1
        q = _born(state, p, PIECE, at, size, offset, follows, flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO], now)
        for column in range(Field.SOURCE_PORT, Field.SEQUENCE + 1):
            flights[q, column] = 0
        flights[q, Field.FRAGMENT_OFFSET] = start + offset
        flights[q, Field.MORE_FRAGMENTS] = follows
        flights[q, Field.LENGTH] = header + size
        for column in (Flight.SENDER, Flight.LOST, Flight.VIA, Flight.TRACKED, Flight.RULE, Flight.FROM, Flight.AUTOTRACK):
            flights[q, column] = flights[p, column]
        flights[q, Field.TTL] -= flights[p, Flight.TTL_SPENT]
        flights[last, Flight.NEXT] = q + 1
        last, offset = q, offset + step
    flights[p, Field.MORE_FRAGMENTS] = 1
    flights[p, Field.LENGTH] = header + step
    flights[p, Flight.CUT] = step
