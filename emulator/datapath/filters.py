"""The two filters of the way, groups and network ACLs, with what later fragments need from them (FB-32)."""

from emulator.datapath import fragments, ways
from emulator.datapath.journal import finish, passed, sighted
from emulator.datapath.state import Flight, Fragment, State
from emulator.kernels import kernel
from emulator.policy import conntrack, keys
from emulator.policy.judge import judge, subject_of
from emulator.policy.reasons import Decision, Reason, Stage, Verdict
from emulator.policy.rules import acl_match
from emulator.policy.settings import FRAGMENTS_DROP
from emulator.policy.tables import EGRESS, INGRESS, RuleColumn, SubnetColumn, Tables, row_of
from emulator.wire.headers import Field

ACCEPT, DROP, WAITING = int(Verdict.ACCEPT), int(Verdict.DROP), int(Verdict.NONE)
ACL_INGRESS = int(Stage.ACL_INGRESS)
_ACL, _FRAGMENT = int(Reason.SUBNET_ACL_RESTRICTION), int(Reason.EMU_FRAGMENT)


@kernel
def _is_later(tables: Tables, state: State, p: int) -> bool:
    """Whether a packet shares what became of its datagram's first fragment, rather than being judged for itself."""
    return state.flights[p, Field.FRAGMENT_OFFSET] != 0 and tables.settings.fragments != FRAGMENTS_DROP


@kernel
def _as_the_first(tables: Tables, state: State, p: int, place: int, direction: int, kind: int, due_at: int, now: int) -> Decision:
    """What a filter at a place decided on the first fragment; verdict `WAITING` if this one now waits for it, due at a place."""
    slot = fragments.known(tables, state, p, place, direction, now)
    if slot == fragments.HOLD:
        fragments.hold(state, p, kind, due_at, now)
        return Decision(WAITING, 0, 0, 0)
    if slot == fragments.UNKNOWN:
        return Decision(DROP, _FRAGMENT, 0, 0)
    packed = state.fragments[slot, Fragment.DECISION]
    rule = state.fragments[slot, Fragment.RULE]
    return Decision(packed & 0xFF, (packed >> 8) & 0xFFFF, rule, packed >> fragments.ENTRY_SHIFT)


@kernel
def groups_decide(
    tables: Tables, state: State, p: int, eni_id: int, direction: int, member: int, lost: int, now: int, kind: int
) -> Decision:
    """The groups' decision, later fragments included; verdict `WAITING` if the packet now waits for its first fragment."""
    flights = state.flights
    if _is_later(tables, state, p):
        decision = _as_the_first(tables, state, p, eni_id, direction, kind, eni_id, now)
        if decision.verdict != WAITING:
            flights[p, Flight.TRACKED] = 1 if decision.entry != 0 else 0
            flights[p, Flight.RULE] = decision.rule
        return decision
    decision = judge(
        tables, state.entries, state.counts, state.usage, flights, p, eni_id, direction, member, lost, flights[p, Flight.AUTOTRACK], now
    )
    flights[p, Flight.TRACKED] = 1 if decision.entry != 0 else 0
    flights[p, Flight.RULE] = decision.rule
    if flights[p, Field.MORE_FRAGMENTS] != 0:
        fragments.remember(tables, state, p, eni_id, direction, decision, now)
    ways.judged(tables, state, p, eni_id, direction, decision)
    return decision


@kernel
def acl_decides(tables: Tables, state: State, p: int, subnet: int, direction: int, now: int, kind: int, place: int) -> Decision:
    """The decision of a subnet's network ACL; first match in rising number, else deny (NA-4, NA-5)."""
    flights = state.flights
    subnet_id = tables.subnets[subnet, SubnetColumn.ID]
    if _is_later(tables, state, p):
        return _as_the_first(tables, state, p, subnet_id, direction, kind, place, now)
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
def enters(tables: Tables, state: State, p: int, subnet_id: int, place: int, kind: int, due_at: int, now: int) -> bool:
    """I1: whether a packet comes into a subnet, past its ACL if it comes from elsewhere; else it has ended, or waits."""
    return state.flights[p, Flight.FROM] == subnet_id or passes_acl(tables, state, p, subnet_id, place, kind, due_at, now)


@kernel
def passes_acl(tables: Tables, state: State, p: int, subnet_id: int, place: int, kind: int, due_at: int, now: int) -> bool:
    """Whether a subnet's ACL lets a packet in; else it has ended, or waits.

    ``place`` is the interface that it comes to, ``due_at`` where a fragment that waits is looked at again.
    """
    decision = acl_decides(tables, state, p, row_of(tables, subnet_id), INGRESS, now, kind, due_at)
    if decision.verdict == WAITING:
        return False
    if decision.verdict != ACCEPT:
        sighted(state, p, now, place, INGRESS, DROP, decision.reason, decision.rule, 0)
        finish(state, p, now, ACL_INGRESS, subnet_id, DROP, decision.reason, decision.rule)
        return False
    passed(state, p, now, ACL_INGRESS, subnet_id, decision.rule, 0, 0)
    return True


@kernel
def forget(tables: Tables, state: State, p: int, eni_id: int) -> None:
    """Take back the entry that this packet opened (CT-34, the other reading)."""
    slot = conntrack.find(state.entries, keys.packet_key(state.flights, p, eni_id))
    if slot >= 0:
        conntrack.remove(tables, state.entries, state.counts, state.usage, slot)
