"""The security groups' judgement of one packet at one interface: tracking first, then the union of all rules.

This is the reference algorithm of CT-42, and the only one: live runs, replay, `explain` and what-if all come here.

Where AWS and CT-42 are silent: ``ct.midstream_tcp`` concerns flows that would be tracked, for one that never is has no
entry that could be missing; under ``pickup`` only a plain ACK opens an entry; a SYN on a closed flow that still
lingers is judged as the new flow that it is.
"""

from emulator.kernels import kernel
from emulator.policy import conntrack, keys
from emulator.policy.conntrack import TAG_SHIFT, Entry, Usage
from emulator.policy.reasons import Decision, Reason, Verdict
from emulator.policy.rules import ALL, Subject, first_match, is_never_tracked
from emulator.policy.settings import MIDSTREAM_RULES_ONLY, MIDSTREAM_STRICT
from emulator.policy.tables import INGRESS, RuleColumn, Tables, row_of
from emulator.wire.headers import ACK, FIN, ICMP, ICMPV6, RST, SYN, TCP, UDP, Field, Matrix, is_icmp_error

ACCEPT, DROP = int(Verdict.ACCEPT), int(Verdict.DROP)
_MISMATCH, _NO_RULES = int(Reason.ENI_SG_RULES_MISMATCH), int(Reason.SG_HAS_NO_RULES)
_IDENTITY_LOST, _EXHAUSTED, _MIDSTREAM = (
    int(Reason.SG_REFERENCES_NOT_PRESERVED),
    int(Reason.EMU_CT_EXHAUSTED),
    int(Reason.EMU_TCP_MIDSTREAM),
)
RULE_MASK = conntrack.RULE_MASK


@kernel
def subject_of(tables: Tables, flights: Matrix, p: int, direction: int, member: int, lost: int) -> Subject:
    """What the rules are held against: the remote address and the destination port (SG-6)."""
    later = flights[p, Field.FRAGMENT_OFFSET] != 0
    hi, lo = flights[p, Field.DESTINATION_HI], flights[p, Field.DESTINATION_LO]
    if direction == INGRESS:
        hi, lo = flights[p, Field.SOURCE_HI], flights[p, Field.SOURCE_LO]
    port = ALL if later else flights[p, Field.DESTINATION_PORT]
    kind = ALL if later else flights[p, Field.TYPE]
    code = ALL if later else flights[p, Field.CODE]
    return Subject(flights[p, Field.FAMILY], flights[p, Field.PROTOCOL], hi, lo, port, kind, code, member, lost)


@kernel
def _quoted_key(flights: Matrix, p: int, eni_id: int, icmp_type: int) -> keys.TrackingKey:
    """The key of the datagram that an ICMP error quotes; of a quoted ICMP message the type is not kept, so it is given."""
    return keys.key_of(
        eni_id,
        flights[p, Field.FAMILY],
        flights[p, Field.QUOTED_PROTOCOL],
        flights[p, Field.QUOTED_SOURCE_HI],
        flights[p, Field.QUOTED_SOURCE_LO],
        flights[p, Field.QUOTED_DESTINATION_HI],
        flights[p, Field.QUOTED_DESTINATION_LO],
        flights[p, Field.QUOTED_SOURCE_PORT],
        flights[p, Field.QUOTED_DESTINATION_PORT],
        icmp_type,
        flights[p, Field.QUOTED_SOURCE_PORT],
    )


@kernel
def _quoted_entry(tables: Tables, entries: Matrix, counts: Matrix, usage: Matrix, flights: Matrix, p: int, eni_id: int, now: int) -> int:
    """Row of the living entry of the flow that an ICMP error quotes, or -1 (CT-36); of ICMP queries, echo alone."""
    asked = 8 if flights[p, Field.FAMILY] == 4 else 128
    slot = conntrack.live(tables, entries, counts, usage, _quoted_key(flights, p, eni_id, asked), now)
    if slot < 0 and flights[p, Field.QUOTED_PROTOCOL] in (ICMP, ICMPV6):
        slot = conntrack.live(tables, entries, counts, usage, _quoted_key(flights, p, eni_id, 0 if asked == 8 else 129), now)
    return slot


@kernel
def is_untracked(tables: Tables, flights: Matrix, p: int, eni: int, direction: int, autotrack: int) -> bool:
    """Whether a flow that an interface row's rules allow is never tracked there, whichever of its packets is asked about."""
    family, protocol = flights[p, Field.FAMILY], flights[p, Field.PROTOCOL]
    if protocol not in (TCP, UDP) or autotrack != 0:
        return False
    return is_never_tracked(tables, eni, direction, family, protocol, flights[p, Field.DESTINATION_PORT], flights[p, Field.SOURCE_PORT])


@kernel
def judge(
    tables: Tables,
    entries: Matrix,
    counts: Matrix,
    usage: Matrix,
    flights: Matrix,
    p: int,
    eni_id: int,
    direction: int,
    member: int,
    lost: int,
    autotrack: int,
    now: int,
) -> Decision:
    """Whether an interface's groups let a packet through in a direction.

    Parameters
    ----------
    entries, counts, usage : the tracking table, changed in place; FREE_ROOM rows are free
    flights : packets on their way, columns Field; ``p`` the packet's row
    member, lost : see `rules.Subject`
    autotrack : 1 if the path makes tracking certain (CT-16)
    now : ns
    """
    protocol = flights[p, Field.PROTOCOL]
    is_icmp = protocol in (ICMP, ICMPV6)
    role = keys.query_role(protocol, flights[p, Field.TYPE])
    key = keys.packet_key(flights, p, eni_id)
    # A later fragment shows no ports, so only a flow without ports is known by it.
    whole = flights[p, Field.FRAGMENT_OFFSET] == 0 or not (is_icmp or protocol in (TCP, UDP))
    if whole and (not is_icmp or role != keys.QUERY_NONE):
        slot = conntrack.known(tables, entries, counts, usage, key, flights, p, now)
        if slot >= 0:
            tag = entries[slot, Entry.TAG]
            conntrack.refresh(tables, entries, counts, usage, slot, flights, p, key.from_a, now)
            return Decision(ACCEPT, 0, tag & RULE_MASK, tag >> TAG_SHIFT)
    if tables.settings.icmp_error_related != 0 and is_icmp and is_icmp_error(protocol, flights[p, Field.TYPE]):
        slot = _quoted_entry(tables, entries, counts, usage, flights, p, eni_id, now)
        if slot >= 0:
            tag = entries[slot, Entry.TAG]
            return Decision(ACCEPT, 0, tag & RULE_MASK, tag >> TAG_SHIFT)

    eni = row_of(tables, eni_id)
    match = first_match(tables, eni, direction, subject_of(tables, flights, p, direction, member, lost))
    if match.rule < 0:
        if match.any_rule == 0:
            return Decision(DROP, _NO_RULES, 0, 0)
        return Decision(DROP, _IDENTITY_LOST if match.identity_lost != 0 else _MISMATCH, 0, 0)
    rule_id = tables.rules[match.rule, RuleColumn.ID]
    if not whole:
        return Decision(ACCEPT, 0, rule_id, 0)
    flags = flights[p, Field.FLAGS]
    midstream = protocol == TCP and flags & (SYN | ACK | RST | FIN) != SYN
    if midstream and tables.settings.midstream == MIDSTREAM_RULES_ONLY:
        return Decision(ACCEPT, 0, rule_id, 0)
    if is_icmp and role != keys.QUERY_REQUEST:
        return Decision(ACCEPT, 0, rule_id, 0)
    if is_untracked(tables, flights, p, eni, direction, autotrack):
        return Decision(ACCEPT, 0, rule_id, 0)
    if midstream and tables.settings.midstream == MIDSTREAM_STRICT:
        return Decision(DROP, _MIDSTREAM, rule_id, 0)
    # Picked up is what Linux picks up: an ACK that neither opens nor ends anything (CT-32, LX-3, LX-4).
    if midstream and flags & (SYN | ACK | RST | FIN) != ACK:
        return Decision(ACCEPT, 0, rule_id, 0)
    if not conntrack.has_room(tables, entries, counts, usage, eni_id, now):
        usage[eni_id, Usage.EXCEEDED] += 1
        return Decision(DROP, _EXHAUSTED, rule_id, 0)
    entry = conntrack.create(tables, entries, counts, usage, key, flights, p, rule_id, now)
    return Decision(ACCEPT, 0, rule_id, entry)


__all__ = ["ACCEPT", "DROP", "is_untracked", "judge", "subject_of"]
