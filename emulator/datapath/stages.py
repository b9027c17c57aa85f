"""The stages of a packet's way, in the order of PL-1 to PL-7.

    SEND     E1 exempt service ─ its own address ─ E0 unicast ─ E2 source check ─ E3 groups ─ E4 to E8: see `leave`
    TRANSIT  the gateway: see `gateways`
    ARRIVE   I1 ACL (from another subnet) ─ I2 groups ─ I3 destination check ─ I4 deliver, or forward

A packet to the interface's own address or a loopback one stays in the guest, which delivers it (FB-23).  Amazon DNS takes
1,024 packets a second from an interface, and it sends no more fragments (FB-10, FB-31); AWS does not say how it counts,
here whole seconds count.

Each function takes one packet at one place at one time and either ends it (`finish`) or queues what comes next.  The
order of I2 and I3 is the knob ``pipeline.srcdst_after_sg``; a packet that both the ACL and the route table would drop
is the ACL's (PL-3).
"""

from emulator.datapath import balancers, queue, ways
from emulator.datapath.addressing import is_dhcp, is_exempt_service, is_loopback, is_neighbour_discovery, is_unicast
from emulator.datapath.filters import ACCEPT, DROP, WAITING, enters, groups_decide
from emulator.datapath.journal import finish, passed, sighted
from emulator.datapath.leave import ARRIVE, DIVERTED, SEND, Hop, leave, next_hop, spend_hop
from emulator.datapath.state import Count, Flight, State
from emulator.kernels import kernel
from emulator.policy import conntrack
from emulator.policy.joined_columns import ListenerColumn
from emulator.policy.reasons import Reason, Stage
from emulator.policy.tables import (
    EGRESS,
    INGRESS,
    Eni,
    GatewayColumn,
    PlaceKind,
    SubnetColumn,
    Tables,
    kind_of,
    owner,
    row_of,
)
from emulator.wire.headers import Field

_ENI, _NONE = int(PlaceKind.ENI), int(PlaceKind.NONE)
SENT, UNICAST, EXEMPT, SOURCE_CHECK = int(Stage.SENT), int(Stage.UNICAST), int(Stage.EXEMPT), int(Stage.SOURCE_CHECK)
GROUP_EGRESS, ACL_INGRESS, GROUP_INGRESS = int(Stage.GROUP_EGRESS), int(Stage.ACL_INGRESS), int(Stage.GROUP_INGRESS)
DESTINATION_CHECK, FORWARDED, DELIVERED = int(Stage.DESTINATION_CHECK), int(Stage.FORWARDED), int(Stage.DELIVERED)
_NOT_UNICAST, _CHECK = int(Reason.EMU_NOT_UNICAST), int(Reason.ENI_SOURCE_DEST_CHECK_RESTRICTION)
_NOTHING, _LOOP, _PROTOCOL = int(Reason.NO_POSSIBLE_DESTINATION), int(Reason.EMU_FORWARDING_LOOP), int(Reason.PROTOCOL_RESTRICTION)
MAX_FORWARDS = 32
DNS_PORT, PER_SECOND, _SECOND = 53, 1024, 10**9
_DNS_SECOND, _FRAGMENT_SECOND = int(conntrack.Usage.DNS_SECOND), int(conntrack.Usage.FRAGMENT_SECOND)
_DNS_RATE, _FRAGMENT_RATE = int(Reason.EMU_DNS_RATE), int(Reason.EMU_FRAGMENT_RATE)


@kernel
def send(tables: Tables, state: State, p: int, eni_id: int, now: int) -> None:
    """E0 to E8: a packet leaves an interface."""
    flights = state.flights
    eni = row_of(tables, eni_id)
    family, protocol = flights[p, Field.FAMILY], flights[p, Field.PROTOCOL]
    hi, lo = flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]
    if (
        is_dhcp(protocol, flights[p, Field.SOURCE_PORT], flights[p, Field.DESTINATION_PORT])
        or is_neighbour_discovery(protocol, flights[p, Field.TYPE])
        or is_exempt_service(tables, eni, family, hi, lo, protocol, flights[p, Field.DESTINATION_PORT])
    ):
        flights[p, Flight.TRACKED], flights[p, Flight.RULE] = 0, 0
        if flights[p, Field.DESTINATION_PORT] == DNS_PORT and _is_too_fast(state, p, eni_id, _DNS_SECOND, now):
            finish(state, p, now, EXEMPT, eni_id, DROP, _DNS_RATE, 0)
            return
        finish(state, p, now, EXEMPT, eni_id, ACCEPT, 0, 0)
        return
    if owner(tables, tables.enis[eni, Eni.VPC], hi, lo) == eni_id or is_loopback(family, hi, lo):
        flights[p, Flight.TRACKED], flights[p, Flight.RULE] = 0, 0
        finish(state, p, now, DELIVERED, eni_id, ACCEPT, 0, 0)
        return
    subnet = row_of(tables, tables.enis[eni, Eni.SUBNET])
    if not is_unicast(family, hi, lo) or (family == 4 and lo == tables.subnets[subnet, SubnetColumn.BROADCAST_LO]):
        finish(state, p, now, UNICAST, eni_id, DROP, _NOT_UNICAST, 0)
        return
    owned = owner(tables, tables.enis[eni, Eni.VPC], flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO]) == eni_id
    if not owned and tables.enis[eni, Eni.CHECK] != 0:
        finish(state, p, now, SOURCE_CHECK, eni_id, DROP, _CHECK, 0)
        return

    hop = _way_out(tables, state, p, eni_id, eni, now)
    if hop.target != 0 and _is_autotracked(tables, hop.target):
        flights[p, Flight.AUTOTRACK] = 1
    before = state.counts[conntrack.Count.NEXT_ENTRY, 0]
    decision = groups_decide(tables, state, p, eni_id, EGRESS, hop.member, hop.lost, now, SEND)
    flights[p, Flight.AUTOTRACK] = 0
    if decision.verdict == WAITING:
        return
    if decision.verdict != ACCEPT:
        flights[p, Flight.SENDER], flights[p, Flight.LOST] = hop.member, hop.lost
        sighted(state, p, now, eni_id, EGRESS, DROP, decision.reason, decision.rule, hop.target)
        finish(state, p, now, GROUP_EGRESS, eni_id, DROP, decision.reason, decision.rule)
        return
    opened = state.counts[conntrack.Count.NEXT_ENTRY, 0] - before
    passed(state, p, now, GROUP_EGRESS, eni_id, decision.rule, decision.entry, opened)
    # Here and not before: a fragment that waits for its first one is sent again, and would be counted twice.
    is_piece = flights[p, Field.FRAGMENT_OFFSET] != 0 or flights[p, Field.MORE_FRAGMENTS] != 0
    if is_piece and _is_too_fast(state, p, eni_id, _FRAGMENT_SECOND, now):
        finish(state, p, now, GROUP_EGRESS, eni_id, DROP, _FRAGMENT_RATE, 0)
        return
    if owned:
        flights[p, Flight.SENDER], flights[p, Flight.LOST] = eni_id, 0
    leave(tables, state, p, eni_id, hop, opened, now)


@kernel
def _is_too_fast(state: State, p: int, eni_id: int, clock: int, now: int) -> bool:
    """Count one more packet of an interface in this second; whether that is more than `PER_SECOND`.

    ``clock`` is the column of `Usage` with the second, the count follows it.  What a capture shows was sent, so it was not too fast.
    """
    if state.flights[p, Flight.CAPTURED] != 0:
        return False
    usage, second = state.usage, now // _SECOND + 1
    if usage[eni_id, clock] != second:
        usage[eni_id, clock], usage[eni_id, clock + 1] = second, 0
    usage[eni_id, clock + 1] += 1
    return usage[eni_id, clock + 1] > PER_SECOND


@kernel
def _way_out(tables: Tables, state: State, p: int, eni_id: int, eni: int, now: int) -> Hop:
    """The next hop from an interface; the answer of a balancer's target goes back to the balancer's node, not by its route."""
    if state.counts[Count.TRANSLATIONS, 0] > 0:
        node = balancers.node_behind(tables, state, p, eni_id, now)
        if node != 0:
            state.flights[p, Flight.VIA_TARGET] = eni_id
            return Hop(node, DIVERTED, 0, 0)
    return next_hop(tables, state, p, tables.enis[eni, Eni.VPC], tables.enis[eni, Eni.SUBNET])


@kernel
def _is_autotracked(tables: Tables, target: int) -> bool:
    """Whether a flow to a target is tracked for certain (CT-16): gateways that say so, and interface endpoints."""
    kind, row = kind_of(tables, target), row_of(tables, target)
    if kind == _ENI:
        return tables.enis[row, Eni.LISTENERS_END] > tables.enis[row, Eni.LISTENERS]
    return row >= 0 and kind != _NONE and tables.gateways[row, GatewayColumn.AUTOTRACK] != 0


@kernel
def arrive(tables: Tables, state: State, p: int, eni_id: int, now: int) -> None:
    """I1 to I4: a packet reaches an interface, is delivered, forwarded by a machine that may, or ends."""
    flights = state.flights
    eni = row_of(tables, eni_id)
    if eni < 0:
        finish(state, p, now, GROUP_INGRESS, eni_id, DROP, _NOTHING, 0)
        return
    if not enters(tables, state, p, tables.enis[eni, Eni.SUBNET], eni_id, ARRIVE, eni_id, now):
        return
    own = owner(tables, tables.enis[eni, Eni.VPC], flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]) == eni_id
    refused = not own and tables.enis[eni, Eni.CHECK] != 0
    if refused and tables.settings.check_after_groups == 0:
        finish(state, p, now, DESTINATION_CHECK, eni_id, DROP, _CHECK, 0)
        return
    before = state.counts[conntrack.Count.NEXT_ENTRY, 0]
    decision = groups_decide(tables, state, p, eni_id, INGRESS, flights[p, Flight.SENDER], flights[p, Flight.LOST], now, ARRIVE)
    if decision.verdict == WAITING:
        return
    sighted(state, p, now, eni_id, INGRESS, decision.verdict, decision.reason, decision.rule, 0)
    if decision.verdict != ACCEPT:
        finish(state, p, now, GROUP_INGRESS, eni_id, DROP, decision.reason, decision.rule)
        return
    opened = state.counts[conntrack.Count.NEXT_ENTRY, 0] - before
    passed(state, p, now, GROUP_INGRESS, eni_id, decision.rule, decision.entry, opened)
    if refused:
        finish(state, p, now, DESTINATION_CHECK, eni_id, DROP, _CHECK, 0)
        return
    if not own:
        _forward(tables, state, p, eni_id, now)
    elif not _is_served(tables, state, p, eni):
        finish(state, p, now, DELIVERED, eni_id, DROP, _PROTOCOL, 0)
    else:
        ways.learn(tables, state, p, eni_id)
        finish(state, p, now, DELIVERED, eni_id, ACCEPT, 0, 0)


@kernel
def _is_served(tables: Tables, state: State, p: int, eni: int) -> bool:
    """False for what an interface endpoint does not answer: it takes tcp on its service's ports alone (RT-57)."""
    start, end = tables.enis[eni, Eni.LISTENERS], tables.enis[eni, Eni.LISTENERS_END]
    flights = state.flights
    for at in range(start, end):
        if (
            tables.listeners[at, ListenerColumn.PROTOCOL] == flights[p, Field.PROTOCOL]
            and tables.listeners[at, ListenerColumn.PORT] == flights[p, Field.DESTINATION_PORT]
        ):
            return True
    return start == end


@kernel
def _forward(tables: Tables, state: State, p: int, eni_id: int, now: int) -> None:
    """A machine without the check sends on what is not its own; group identity ends here (SG-25, SG-26)."""
    flights = state.flights
    if flights[p, Flight.SENDER] != 0:
        flights[p, Flight.LOST], flights[p, Flight.SENDER] = flights[p, Flight.SENDER], 0
    flights[p, Flight.VIA] += 1
    ways.lose(state, p)
    if flights[p, Flight.VIA] > MAX_FORWARDS:
        finish(state, p, now, FORWARDED, eni_id, DROP, _LOOP, 0)
        return
    if not spend_hop(tables, state, p, now, FORWARDED, eni_id):
        return
    passed(state, p, now, FORWARDED, eni_id, 0, 0, 0)
    queue.push(state, now, SEND, flights[p, Field.INDEX], p, eni_id)


__all__ = ["arrive", "send"]
