"""The two filters of the way, groups and network ACLs, with what later fragments need from them (FB-32)."""

from emulator.datapath import fragments
from emulator.datapath.state import Flight, Fragment, State
from emulator.kernels import kernel
from emulator.policy import conntrack, keys
from emulator.policy.judge import judge, subject_of
from emulator.policy.reasons import Decision, Reason, Verdict
from emulator.policy.rules import acl_match
from emulator.policy.tables import EGRESS, RuleColumn, SubnetColumn, Tables
from emulator.wire.headers import Field

ACCEPT, DROP, WAITING = int(Verdict.ACCEPT), int(Verdict.DROP), int(Verdict.NONE)
_ACL, _FRAGMENT = int(Reason.SUBNET_ACL_RESTRICTION), int(Reason.EMU_FRAGMENT)


@kernel
def groups_decide(
    tables: Tables, state: State, p: int, eni_id: int, direction: int, member: int, lost: int, now: int, kind: int
) -> Decision:
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
def acl_decides(tables: Tables, state: State, p: int, subnet: int, direction: int, now: int, kind: int, place: int) -> Decision:
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
def forget(tables: Tables, state: State, p: int, eni_id: int) -> None:
    """Take back the entry that this packet opened (CT-34, the other reading)."""
    slot = conntrack.find(state.entries, keys.packet_key(state.flights, p, eni_id))
    if slot >= 0:
        conntrack.remove(tables, state.entries, state.counts, state.usage, slot)
