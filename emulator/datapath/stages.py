"""The stages of a packet's way, in the order of PL-1 to PL-7.

    SEND     E0 unicast ─ E1 exempt service ─ E2 source check ─ E3 groups ─ E4 same subnet? ─ E5 ACL ─ E6 route ─ E8 target
    TRANSIT  the gateway: see `gateways`
    ARRIVE   I1 ACL (from another subnet) ─ I2 groups ─ I3 destination check ─ I4 deliver, or forward

Each function takes one packet at one place at one time and either ends it (`finish`) or queues what comes next.  The
order of I2 and I3 is the knob ``pipeline.srcdst_after_sg``; a packet that both the ACL and the route table would drop
is the ACL's (PL-3).
"""

from typing import NamedTuple

from emulator.datapath import fragments, links, queue
from emulator.datapath.addressing import is_dhcp, is_exempt_service, is_neighbour_discovery, is_unicast
from emulator.datapath.journal import finish, passed
from emulator.datapath.state import EventKind, Flight, Fragment, State
from emulator.kernels import kernel
from emulator.policy import conntrack
from emulator.policy.conntrack import TAG_SHIFT, Entry
from emulator.policy.judge import judge, subject_of
from emulator.policy.reasons import Decision, Reason, Stage, Verdict
from emulator.policy.routes import best_route
from emulator.policy.rules import acl_match
from emulator.policy.tables import (
    EGRESS,
    INGRESS,
    LOCAL,
    Eni,
    GatewayColumn,
    PlaceKind,
    RouteColumn,
    RuleColumn,
    SubnetColumn,
    Tables,
    kind_of,
    owner,
    row_of,
)
from emulator.wire.headers import Field

ACCEPT, DROP, WAITING = int(Verdict.ACCEPT), int(Verdict.DROP), int(Verdict.NONE)
_ARRIVE, _TRANSIT, _SEND = (int(kind) for kind in EventKind)
_ENI, _NAT = int(PlaceKind.ENI), int(PlaceKind.NAT_GATEWAY)
_IGW, _EIGW, _PEERING = int(PlaceKind.INTERNET_GATEWAY), int(PlaceKind.EGRESS_ONLY_GATEWAY), int(PlaceKind.PEERING)
SENT, UNICAST, EXEMPT, SOURCE_CHECK = int(Stage.SENT), int(Stage.UNICAST), int(Stage.EXEMPT), int(Stage.SOURCE_CHECK)
GROUP_EGRESS, DIRECT, ACL_EGRESS, ROUTE = int(Stage.GROUP_EGRESS), int(Stage.DIRECT), int(Stage.ACL_EGRESS), int(Stage.ROUTE)
GATEWAY, LINK, ACL_INGRESS, GROUP_INGRESS = int(Stage.GATEWAY), int(Stage.LINK), int(Stage.ACL_INGRESS), int(Stage.GROUP_INGRESS)
DESTINATION_CHECK, FORWARDED, DELIVERED = int(Stage.DESTINATION_CHECK), int(Stage.FORWARDED), int(Stage.DELIVERED)
_NOT_UNICAST, _CHECK, _ACL = int(Reason.EMU_NOT_UNICAST), int(Reason.ENI_SOURCE_DEST_CHECK_RESTRICTION), int(Reason.SUBNET_ACL_RESTRICTION)
_NO_ROUTE, _BLACKHOLE, _NOTHING = int(Reason.NO_ROUTE_TO_DESTINATION), int(Reason.BAD_STATE_ROUTE), int(Reason.NO_POSSIBLE_DESTINATION)
_FRAGMENT, _LOOP, _TTL = int(Reason.EMU_FRAGMENT), int(Reason.EMU_FORWARDING_LOOP), int(Reason.EMU_TTL_EXPIRED)
_BAD_STATE, _NOT_EMULATED = int(Reason.BAD_STATE), int(Reason.EMU_NOT_EMULATED)
MAX_FORWARDS = 32


class Hop(NamedTuple):
    """Where a packet goes from an interface: the target's id (0 none), the route's row (-1: the same subnet), and the
    interface at the end whose groups an egress rule may name (``member``), or could have named (``lost``)."""

    target: int
    route: int
    member: int
    lost: int


@kernel
def next_hop(tables: Tables, state: State, p: int, eni: int) -> Hop:
    """The next hop of the packet in row ``p`` from an interface's row (FB-22, RT-8, SG-26)."""
    flights = state.flights
    hi, lo = flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]
    vpc = tables.enis[eni, Eni.VPC]
    here = owner(tables, vpc, hi, lo)
    if here != 0 and kind_of(tables, here) == _ENI and tables.enis[row_of(tables, here), Eni.SUBNET] == tables.enis[eni, Eni.SUBNET]:
        return Hop(here, -1, here, 0)
    route = best_route(tables, row_of(tables, tables.enis[eni, Eni.SUBNET]), flights[p, Field.FAMILY], hi, lo)
    if route < 0:
        return Hop(0, -1, 0, 0)
    target = tables.routes[route, RouteColumn.TARGET]
    if target == LOCAL:
        if here == 0 or kind_of(tables, here) != _ENI:
            return Hop(0, route, 0, 0)
        return Hop(here, route, here, 0)
    kind = kind_of(tables, target)
    if kind == _ENI and target != here:
        return Hop(target, route, 0, here if here != 0 and kind_of(tables, here) == _ENI else 0)
    if kind == _ENI:
        return Hop(target, route, here, 0)
    if kind == _PEERING:
        peer = owner(tables, other_vpc(tables, target, vpc), hi, lo)
        return Hop(target, route, peer if peer != 0 and kind_of(tables, peer) == _ENI else 0, 0)
    return Hop(target, route, 0, 0)


@kernel
def other_vpc(tables: Tables, peering: int, vpc: int) -> int:
    """Id of the VPC at the other end of a peering."""
    row = row_of(tables, peering)
    first = tables.gateways[row, GatewayColumn.VPC]
    return tables.gateways[row, GatewayColumn.VPC_B] if first == vpc else first


@kernel
def _groups(tables: Tables, state: State, p: int, eni_id: int, direction: int, member: int, lost: int, now: int, kind: int) -> Decision:
    """The groups' decision, later fragments included; verdict `WAITING` if the packet now waits for its first fragment."""
    flights = state.flights
    if flights[p, Field.FRAGMENT_OFFSET] != 0 and tables.settings.fragments < 2:
        slot = fragments.known(tables, state, p, eni_id, direction, now)
        if slot == fragments.HOLD:
            fragments.hold(state, p, kind, eni_id, now)
            return Decision(WAITING, 0, 0, 0)
        if slot == fragments.UNKNOWN:
            return Decision(DROP, _FRAGMENT, 0, 0)
        packed = state.fragments[slot, Fragment.DECISION]
        entry = packed >> fragments.ENTRY_SHIFT
        flights[p, Flight.TRACKED] = 1 if entry != 0 else 0
        flights[p, Flight.RULE] = state.fragments[slot, Fragment.RULE]
        return Decision(packed & 0xFF, (packed >> 8) & 0xFFFF, flights[p, Flight.RULE], entry)
    decision = judge(
        tables, state.entries, state.counts, state.usage, flights, p, eni_id, direction, member, lost, flights[p, Flight.AUTOTRACK], now
    )
    flights[p, Flight.TRACKED] = 1 if decision.entry != 0 else 0
    flights[p, Flight.RULE] = decision.rule
    if flights[p, Field.MORE_FRAGMENTS] != 0:
        fragments.remember(tables, state, p, eni_id, direction, decision, now)
    return decision


@kernel
def _acl(tables: Tables, state: State, p: int, subnet: int, direction: int, now: int, kind: int, place: int) -> Decision:
    """The decision of a subnet's network ACL; first match in rising number, else deny (NA-4, NA-5)."""
    flights = state.flights
    subnet_id = tables.subnets[subnet, SubnetColumn.ID]
    if flights[p, Field.FRAGMENT_OFFSET] != 0 and tables.settings.fragments < 2:
        slot = fragments.known(tables, state, p, subnet_id, direction, now)
        if slot == fragments.HOLD:
            fragments.hold(state, p, kind, place, now)
            return Decision(WAITING, 0, 0, 0)
        if slot == fragments.UNKNOWN:
            return Decision(DROP, _FRAGMENT, 0, 0)
        packed = state.fragments[slot, Fragment.DECISION]
        return Decision(packed & 0xFF, (packed >> 8) & 0xFFFF, state.fragments[slot, Fragment.RULE], 0)
    start, end = tables.subnets[subnet, SubnetColumn.ACL_INGRESS], tables.subnets[subnet, SubnetColumn.ACL_INGRESS_END]
    if direction == EGRESS:
        start, end = tables.subnets[subnet, SubnetColumn.ACL_EGRESS], tables.subnets[subnet, SubnetColumn.ACL_EGRESS_END]
    rule = acl_match(tables, start, end, subject_of(tables, flights, p, direction, 0, 0))
    rule_id, verdict, reason = 0, DROP, _ACL
    if rule >= 0:
        rule_id = tables.rules[rule, RuleColumn.ID]
        if tables.rules[rule, RuleColumn.ALLOW] != 0:
            verdict, reason = ACCEPT, 0
    decision = Decision(verdict, reason, rule_id, 0)
    if flights[p, Field.MORE_FRAGMENTS] != 0:
        fragments.remember(tables, state, p, subnet_id, direction, decision, now)
    return decision


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
        finish(state, p, now, EXEMPT, eni_id, ACCEPT, 0, 0)
        return
    subnet = row_of(tables, tables.enis[eni, Eni.SUBNET])
    if not is_unicast(family, hi, lo) or (family == 4 and lo == tables.subnets[subnet, SubnetColumn.BROADCAST_LO]):
        finish(state, p, now, UNICAST, eni_id, DROP, _NOT_UNICAST, 0)
        return
    owned = owner(tables, tables.enis[eni, Eni.VPC], flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO]) == eni_id
    if not owned and tables.enis[eni, Eni.CHECK] != 0:
        finish(state, p, now, SOURCE_CHECK, eni_id, DROP, _CHECK, 0)
        return

    hop = next_hop(tables, state, p, eni)
    if hop.target != 0 and (kind_of(tables, hop.target) == _EIGW or kind_of(tables, hop.target) == _NAT):
        flights[p, Flight.AUTOTRACK] = 1
    before = state.counts[conntrack.Count.NEXT_ENTRY, 0]
    decision = _groups(tables, state, p, eni_id, EGRESS, hop.member, hop.lost, now, _SEND)
    flights[p, Flight.AUTOTRACK] = 0
    if decision.verdict == WAITING:
        return
    if decision.verdict != ACCEPT:
        flights[p, Flight.SENDER], flights[p, Flight.LOST] = hop.member, hop.lost
        finish(state, p, now, GROUP_EGRESS, eni_id, DROP, decision.reason, decision.rule)
        return
    opened = state.counts[conntrack.Count.NEXT_ENTRY, 0] - before
    passed(state, p, now, GROUP_EGRESS, eni_id, decision.rule, decision.entry, opened)
    if owned:
        flights[p, Flight.SENDER], flights[p, Flight.LOST] = eni_id, 0
    flights[p, Flight.FROM] = tables.enis[eni, Eni.SUBNET]
    if hop.route < 0 and hop.target != 0:
        passed(state, p, now, DIRECT, eni_id, 0, 0, hop.target)
        cross(tables, state, p, eni_id, hop.target, _ARRIVE, now)
        return
    _leave_subnet(tables, state, p, eni_id, eni, hop, opened, now)


@kernel
def _leave_subnet(tables: Tables, state: State, p: int, eni_id: int, eni: int, hop: Hop, opened: int, now: int) -> None:
    """E5 to E8: through the subnet's ACL and by its route table; ``opened`` is 1 if the groups made an entry for the packet."""
    flights = state.flights
    subnet = row_of(tables, tables.enis[eni, Eni.SUBNET])
    if (
        hop.target == 0
        or kind_of(tables, hop.target) != _ENI
        or tables.enis[row_of(tables, hop.target), Eni.SUBNET] != flights[p, Flight.FROM]
    ):
        decision = _acl(tables, state, p, subnet, EGRESS, now, _SEND, eni_id)
        if decision.verdict == WAITING:
            return
        if decision.verdict != ACCEPT:
            if opened != 0 and tables.settings.entry_survives_acl_drop == 0:
                _forget(tables, state, p, eni_id)
            finish(state, p, now, ACL_EGRESS, tables.subnets[subnet, SubnetColumn.ID], DROP, decision.reason, decision.rule)
            return
        passed(state, p, now, ACL_EGRESS, tables.subnets[subnet, SubnetColumn.ID], decision.rule, 0, 0)
    place = tables.subnets[subnet, SubnetColumn.ID]
    if hop.route < 0:
        finish(state, p, now, ROUTE, place, DROP, _NO_ROUTE, 0)
        return
    route_id = tables.routes[hop.route, RouteColumn.ID]
    if tables.routes[hop.route, RouteColumn.BLACKHOLE] != 0:
        finish(state, p, now, ROUTE, place, DROP, _BLACKHOLE, route_id)
        return
    if hop.target == 0:
        finish(state, p, now, ROUTE, place, DROP, _NOTHING, route_id)
        return
    passed(state, p, now, ROUTE, place, route_id, 0, hop.target)
    if tables.settings.per_hop_ttl != 0 and not spend_hop(state, p, now, ROUTE, place):
        return
    kind = kind_of(tables, hop.target)
    if kind == _ENI:
        cross(tables, state, p, eni_id, hop.target, _ARRIVE, now)
    elif kind == _NAT:
        finish(state, p, now, GATEWAY, hop.target, DROP, _NOT_EMULATED, 0)
    else:
        cross(tables, state, p, eni_id, hop.target, _TRANSIT, now)


@kernel
def _forget(tables: Tables, state: State, p: int, eni_id: int) -> None:
    """Take back the entry that this packet opened (CT-34, the other reading)."""
    slot = conntrack.find(state.entries, conntrack.packet_key(state.flights, p, eni_id))
    if slot >= 0:
        conntrack.remove(tables, state.entries, state.counts, state.usage, slot)


@kernel
def spend_hop(state: State, p: int, now: int, stage: int, place: int) -> bool:
    """Lower the time to live by one; False if it ran out, and the packet is ended."""
    state.flights[p, Flight.TTL_SPENT] += 1
    if state.flights[p, Field.TTL] - state.flights[p, Flight.TTL_SPENT] > 0:
        return True
    finish(state, p, now, stage, place, DROP, _TTL, 0)
    return False


@kernel
def cross(tables: Tables, state: State, p: int, here: int, there: int, kind: int, now: int) -> None:
    """Put a packet on the link between two places; it is due at the other end later, at once, or never."""
    lane = links.link_between(tables, here, there)
    due = links.arrival(tables, state, p, lane, now)
    if due < 0:
        finish(state, p, now, LINK, there, DROP, -due, 0)
        return
    if lane >= 0:
        passed(state, p, now, LINK, there, 0, 0, due - now)
    queue.push(state, due, kind, state.flights[p, Field.INDEX], p, there)


@kernel
def arrive(tables: Tables, state: State, p: int, eni_id: int, now: int) -> None:
    """I1 to I4: a packet reaches an interface, is delivered, forwarded by a machine that may, or ends."""
    flights = state.flights
    eni = row_of(tables, eni_id)
    if eni < 0:
        finish(state, p, now, GROUP_INGRESS, eni_id, DROP, _NOTHING, 0)
        return
    if tables.enis[eni, Eni.SUBNET] != flights[p, Flight.FROM]:
        subnet = row_of(tables, tables.enis[eni, Eni.SUBNET])
        place = tables.subnets[subnet, SubnetColumn.ID]
        decision = _acl(tables, state, p, subnet, INGRESS, now, _ARRIVE, eni_id)
        if decision.verdict == WAITING:
            return
        if decision.verdict != ACCEPT:
            finish(state, p, now, ACL_INGRESS, place, DROP, decision.reason, decision.rule)
            return
        passed(state, p, now, ACL_INGRESS, place, decision.rule, 0, 0)
    own = owner(tables, tables.enis[eni, Eni.VPC], flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]) == eni_id
    refused = not own and tables.enis[eni, Eni.CHECK] != 0
    if refused and tables.settings.check_after_groups == 0:
        finish(state, p, now, DESTINATION_CHECK, eni_id, DROP, _CHECK, 0)
        return
    before = state.counts[conntrack.Count.NEXT_ENTRY, 0]
    decision = _groups(tables, state, p, eni_id, INGRESS, flights[p, Flight.SENDER], flights[p, Flight.LOST], now, _ARRIVE)
    if decision.verdict == WAITING:
        return
    if decision.verdict != ACCEPT:
        finish(state, p, now, GROUP_INGRESS, eni_id, DROP, decision.reason, decision.rule)
        return
    opened = state.counts[conntrack.Count.NEXT_ENTRY, 0] - before
    passed(state, p, now, GROUP_INGRESS, eni_id, decision.rule, decision.entry, opened)
    if refused:
        finish(state, p, now, DESTINATION_CHECK, eni_id, DROP, _CHECK, 0)
        return
    if own:
        finish(state, p, now, DELIVERED, eni_id, ACCEPT, 0, 0)
        return
    _forward(state, p, eni_id, now)


@kernel
def _forward(state: State, p: int, eni_id: int, now: int) -> None:
    """A machine without the check sends on what is not its own; group identity ends here (SG-25, SG-26)."""
    flights = state.flights
    if flights[p, Flight.SENDER] != 0:
        flights[p, Flight.LOST], flights[p, Flight.SENDER] = flights[p, Flight.SENDER], 0
    flights[p, Flight.VIA] += 1
    if flights[p, Flight.VIA] > MAX_FORWARDS:
        finish(state, p, now, FORWARDED, eni_id, DROP, _LOOP, 0)
        return
    if not spend_hop(state, p, now, FORWARDED, eni_id):
        return
    passed(state, p, now, FORWARDED, eni_id, 0, 0, 0)
    queue.push(state, now, _SEND, flights[p, Field.INDEX], p, eni_id)


__all__ = ["TAG_SHIFT", "Entry", "Fragment", "arrive", "cross", "next_hop", "other_vpc", "send", "spend_hop"]
