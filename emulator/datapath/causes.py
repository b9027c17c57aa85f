"""Causes before effects: which packets of a capture would have been sent *here*.

A capture tells what happened in its own network.  Where a packet is blocked, what hung on it would never have been
sent: no SYN-ACK without a delivered SYN, no data without a handshake, no UDP or ICMP answer without its question, no
ICMP error without the datagram that it quotes.  Each conversation of the capture is a row of ``flows``.

    the opener (spoke first)              may send         needs
    SYN, or anything if it began mid-way  always           –
    tcp after a SYN                       once answered    a SYN-ACK delivered
    the other side
    SYN-ACK, SYN, RST                     once asked       a SYN delivered
    any other tcp of a seen handshake     once open        an ACK of the opener delivered
    udp, icmp reply, other protocols,
    tcp that began mid-way                once asked       any packet of the opener delivered

Only what *failed here* holds a packet back: if its cause is not in the capture at all, it goes.  What is held back is
`UNSENT` and names the blocked packet at the root.  A cause that is still on its way makes its effect wait: the effect
stands in its flow's list, outside the queue, until a packet of that flow ends, and then looks again.  The
responder answers to the addresses that it saw, so that translation works.
"""

from emulator.datapath import queue
from emulator.datapath.state import Count, EventKind, Flight, Flow, Outcome, State
from emulator.kernels import kernel
from emulator.policy import keys
from emulator.policy.keys import TrackingKey, find_indexed, ordered, pack, source_is_a, write_key
from emulator.policy.reasons import Verdict
from emulator.wire.headers import ACK, FIN, ICMP, ICMPV6, RST, SCTP, SYN, TCP, Field, is_icmp_error

SEND, WAIT = -1, -2  # what `blocked_by` says besides the index of a packet
ASKED, HANDSHAKE, SYN_IN, SYN_ACK_IN, ACK_IN, OVER, OPENER_IS_A = (1 << bit for bit in range(7))
_ACCEPT, _UNSENT = int(Verdict.ACCEPT), int(Verdict.UNSENT)
_SEND_EVENT = int(EventKind.SEND)
NOWHERE = 0  # the PLACE of a capture's packet that has not yet entered


@kernel
def key_between(
    protocol: int,
    family: int,
    source_hi: int,
    source_lo: int,
    destination_hi: int,
    destination_lo: int,
    source_port: int,
    destination_port: int,
) -> TrackingKey:
    """A conversation's key, the same for both directions; for ICMP queries the ports are identifier and sequence."""
    is_icmp = protocol in (ICMP, ICMPV6)
    if is_icmp:
        from_a = source_is_a(source_hi, source_lo, destination_hi, destination_lo, 0, 0)
    else:
        from_a = source_is_a(source_hi, source_lo, destination_hi, destination_lo, source_port, destination_port)
    low, high = source_port, destination_port
    if from_a == 0 and not is_icmp:
        low, high = destination_port, source_port
    return ordered(pack(1, family, protocol, low, high), source_hi, source_lo, destination_hi, destination_lo, from_a)


@kernel
def _key_of_packet(state: State, p: int) -> TrackingKey:
    flights = state.flights
    protocol = flights[p, Field.PROTOCOL]
    low, high = flights[p, Field.SOURCE_PORT], flights[p, Field.DESTINATION_PORT]
    if protocol in (ICMP, ICMPV6):
        low, high = flights[p, Field.IDENTIFIER], flights[p, Field.SEQUENCE]
    if protocol == SCTP:  # all between two hosts is one conversation, as groups track it (CT-8)
        low, high = low * 0, high * 0
    return key_between(
        protocol,
        flights[p, Field.FAMILY],
        flights[p, Field.SOURCE_HI],
        flights[p, Field.SOURCE_LO],
        flights[p, Field.DESTINATION_HI],
        flights[p, Field.DESTINATION_LO],
        low,
        high,
    )


@kernel
def _key_of_quoted(state: State, p: int) -> TrackingKey:
    flights = state.flights
    protocol = flights[p, Field.QUOTED_PROTOCOL]
    low, high = flights[p, Field.QUOTED_SOURCE_PORT], flights[p, Field.QUOTED_DESTINATION_PORT]
    if protocol == SCTP:
        low, high = low * 0, high * 0
    return key_between(
        protocol,
        flights[p, Field.FAMILY],
        flights[p, Field.QUOTED_SOURCE_HI],
        flights[p, Field.QUOTED_SOURCE_LO],
        flights[p, Field.QUOTED_DESTINATION_HI],
        flights[p, Field.QUOTED_DESTINATION_LO],
        low,
        high,
    )


@kernel
def flow_of(state: State, p: int) -> int:
    """Row of the flow of a capture's packet, made if it is the first; -1 for a packet that belongs to none."""
    flights = state.flights
    protocol, icmp_type = flights[p, Field.PROTOCOL], flights[p, Field.TYPE]
    if flights[p, Field.FRAGMENT_OFFSET] != 0:
        return -1
    if (protocol in (ICMP, ICMPV6)) and keys.query_role(protocol, icmp_type) == keys.QUERY_NONE:
        return -1
    key = _key_of_packet(state, p)
    row = find_indexed(state.flow_index, state.flows, key)
    if row >= 0:
        return row
    slot = -row - 1
    row = state.counts[Count.FLOWS, 0]
    state.counts[Count.FLOWS, 0] = row + 1
    state.flow_index[slot, 0] = row + 1
    write_key(state.flows, row, key)
    _open(state, row, key.from_a, flights[p, Field.FLAGS] if protocol == TCP else 0)
    return row


@kernel
def _open(state: State, row: int, from_a: int, flags: int) -> None:
    """(Re)start a conversation with the packet's source as its opener."""
    flows = state.flows
    flows[row, Flow.STATE] = (OPENER_IS_A if from_a == 1 else 0) | (HANDSHAKE if flags & (SYN | ACK) == SYN else 0)
    flows[row, Flow.OPENER_HANGS] = 0
    flows[row, Flow.ANSWER_HANGS] = 0


@kernel
def _earlier_waits(state: State, row: int, answers: int, index: int) -> bool:
    """Whether a packet of a side of a flow waits that comes before this one in the capture, so that it can be its cause."""
    flights = state.flights
    p = state.flows[row, Flow.WAITS] - 1
    while p >= 0:
        if flights[p, Flight.FLOW] == row + 1 and flights[p, Flight.ANSWERS] == answers and flights[p, Field.INDEX] < index:
            return True
        p = flights[p, Flight.NEXT] - 1
    return False


@kernel
def _waits_on(state: State, row: int, index: int, answers: int, good: int) -> int:
    """What holds a packet that needs ``good`` in its flow's state: `SEND`, `WAIT`, or the index it hangs on."""
    flows = state.flows
    if flows[row, Flow.STATE] & good:
        return SEND
    hangs, pending = flows[row, Flow.OPENER_HANGS], flows[row, Flow.OPENER_PENDING]
    if answers == 0:
        hangs, pending = flows[row, Flow.ANSWER_HANGS], flows[row, Flow.ANSWER_PENDING]
        if hangs == 0 and pending == 0:  # no answer in the capture: then what failed is the opener's own SYN
            hangs, pending = flows[row, Flow.OPENER_HANGS], flows[row, Flow.OPENER_PENDING]
    return _hangs_on(state, row, index, 1 - answers, hangs, pending)


@kernel
def _hangs_on(state: State, row: int, index: int, side: int, hangs: int, pending: int) -> int:
    """`WAIT` while packets of a side of a flow are on their way, or wait themselves; then `SEND`, or the index of the one that failed."""
    if pending > 0 or _earlier_waits(state, row, side, index):
        return WAIT
    return hangs - 1 if hangs > 0 else SEND


@kernel
def blocked_by(state: State, p: int) -> int:
    """`SEND`, `WAIT`, or the index of the blocked packet on which this packet of a capture hangs.

    Notes the packet's flow in its flight; a responder's packet gets the addresses that the responder saw.
    """
    flights, flows = state.flights, state.flows
    protocol, flags = flights[p, Field.PROTOCOL], flights[p, Field.FLAGS]
    if flights[p, Field.QUOTED_PROTOCOL] != 0 and is_icmp_error(protocol, flights[p, Field.TYPE]):
        key = _key_of_quoted(state, p)
        row = find_indexed(state.flow_index, state.flows, key)
        if row < 0:
            return SEND
        flights[p, Flight.CAUSE] = row + 1
        quoted_answers = 1 if (flows[row, Flow.STATE] & OPENER_IS_A != 0) != (key.from_a == 1) else 0
        if quoted_answers == 1:
            return _hangs_on(state, row, flights[p, Field.INDEX], 1, flows[row, Flow.ANSWER_HANGS], flows[row, Flow.ANSWER_PENDING])
        blocked = _waits_on(state, row, flights[p, Field.INDEX], 1, ASKED)
        if blocked == SEND and flows[row, Flow.STATE] & ASKED:
            _as_seen(state, p, row)
        return blocked
    row = flow_of(state, p)
    if row < 0:
        return SEND
    flights[p, Flight.CAUSE] = row + 1
    from_a = _key_of_packet(state, p).from_a
    is_syn = protocol == TCP and flags & (SYN | ACK | RST) == SYN
    if is_syn and flows[row, Flow.STATE] & OVER:
        _open(state, row, from_a, flags)
    answers = 1 if (flows[row, Flow.STATE] & OPENER_IS_A != 0) != (from_a == 1) else 0
    flights[p, Flight.FLOW] = row + 1
    flights[p, Flight.ANSWERS] = answers
    index, blocked = flights[p, Field.INDEX], SEND
    if answers == 1:
        if protocol == TCP and flows[row, Flow.STATE] & HANDSHAKE:
            early = flags & (SYN | RST) != 0
            blocked = _waits_on(state, row, index, 1, SYN_IN)
            if blocked == SEND and not early:
                blocked = _waits_on(state, row, index, 1, ACK_IN)
        else:
            blocked = _waits_on(state, row, index, 1, ASKED)
    elif protocol == TCP and flows[row, Flow.STATE] & HANDSHAKE and not is_syn:
        blocked = _waits_on(state, row, index, 0, SYN_ACK_IN)
    if blocked == SEND and answers == 1 and flows[row, Flow.STATE] & ASKED:
        flights[p, Field.SOURCE_HI] = flows[row, Flow.AT_HI]
        flights[p, Field.SOURCE_LO] = flows[row, Flow.AT_LO]
        flights[p, Field.DESTINATION_HI] = flows[row, Flow.SEEN_HI]
        flights[p, Field.DESTINATION_LO] = flows[row, Flow.SEEN_LO]
        if protocol in (ICMP, ICMPV6):
            flights[p, Field.IDENTIFIER] = flows[row, Flow.SEEN_PORT]
        elif protocol != SCTP:
            flights[p, Field.DESTINATION_PORT] = flows[row, Flow.SEEN_PORT]
    return blocked


@kernel
def _as_seen(state: State, p: int, row: int) -> None:
    """An error about the opener's datagram quotes it, and goes back to it, as the responder saw it behind any translation."""
    flights, flows = state.flights, state.flows
    flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO] = flows[row, Flow.SEEN_HI], flows[row, Flow.SEEN_LO]
    flights[p, Field.QUOTED_SOURCE_HI], flights[p, Field.QUOTED_SOURCE_LO] = flows[row, Flow.SEEN_HI], flows[row, Flow.SEEN_LO]
    if flights[p, Field.QUOTED_PROTOCOL] != SCTP:
        flights[p, Field.QUOTED_SOURCE_PORT] = flows[row, Flow.SEEN_PORT]


@kernel
def wait(state: State, p: int) -> None:
    """Let a packet for which `blocked_by` said `WAIT` stand in line for the next end of a packet of its cause's flow."""
    flights, flows = state.flights, state.flows
    row = flights[p, Flight.CAUSE] - 1
    flights[p, Flight.NEXT] = flows[row, Flow.WAITS]
    flows[row, Flow.WAITS] = p + 1
    state.counts[Count.WAITING, 0] += 1


@kernel
def _wake(state: State, row: int, now: int) -> None:
    """Let all that waits for a flow look again, now; the queue has room for them, see `loop`."""
    flights, flows = state.flights, state.flows
    p = flows[row, Flow.WAITS] - 1
    flows[row, Flow.WAITS] = 0
    while p >= 0:
        queue.push(state, now, _SEND_EVENT, flights[p, Field.INDEX], p, NOWHERE)
        state.counts[Count.WAITING, 0] -= 1
        p = flights[p, Flight.NEXT] - 1


@kernel
def began(state: State, p: int) -> None:
    """Count a packet as on its way."""
    row = state.flights[p, Flight.FLOW] - 1
    if row >= 0:
        state.flows[row, Flow.ANSWER_PENDING if state.flights[p, Flight.ANSWERS] == 1 else Flow.OPENER_PENDING] += 1


@kernel
def ended(state: State, p: int, verdict: int, now: int) -> None:
    """Tell a packet's flow how it ended: what hangs on it may go, or is held back from now on."""
    flights, flows = state.flights, state.flows
    row = flights[p, Flight.FLOW] - 1
    if row < 0:
        return
    answers = flights[p, Flight.ANSWERS] == 1
    if verdict != _UNSENT:
        flows[row, Flow.ANSWER_PENDING if answers else Flow.OPENER_PENDING] -= 1
        _wake(state, row, now)
    hangs = Flow.ANSWER_HANGS if answers else Flow.OPENER_HANGS
    if verdict != _ACCEPT:
        index = flights[p, Field.INDEX]
        flows[row, hangs] = 1 + (state.outcomes[index - state.counts[Count.FIRST, 0], Outcome.HANGS_ON] if verdict == _UNSENT else index)
        return
    flows[row, hangs] = 0
    flags = flights[p, Field.FLAGS] if flights[p, Field.PROTOCOL] == TCP else 0
    state_bits = flows[row, Flow.STATE]
    if flags & (RST | FIN):
        state_bits |= OVER
    if answers:
        if flags & SYN:
            state_bits |= SYN_ACK_IN
    else:
        state_bits |= ASKED
        if flags & SYN:
            state_bits |= SYN_IN
        elif flags & ACK:
            state_bits |= ACK_IN
        flows[row, Flow.SEEN_HI] = flights[p, Field.SOURCE_HI]
        flows[row, Flow.SEEN_LO] = flights[p, Field.SOURCE_LO]
        query = flights[p, Field.PROTOCOL] in (ICMP, ICMPV6)
        flows[row, Flow.SEEN_PORT] = flights[p, Field.IDENTIFIER] if query else flights[p, Field.SOURCE_PORT]
        flows[row, Flow.AT_HI] = flights[p, Field.DESTINATION_HI]
        flows[row, Flow.AT_LO] = flights[p, Field.DESTINATION_LO]
    flows[row, Flow.STATE] = state_bits
