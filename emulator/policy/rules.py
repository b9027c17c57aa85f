"""Rules: does this one match, and if not, on which fields does it fail; which is the first that matches.

A rule is judged against the *remote* side of a packet: on the way in its source, on the way out its destination; the
port is always the packet's destination port (SG-6, NA-7).  All rules of all groups are looked at (SG-4); the lowest
rule of the first group that matches is named, whatever else matches as well.  Security group rules and network ACL
entries are rows of the same matrix and go through the same `miss`.
"""

from typing import NamedTuple

from emulator.kernels import kernel
from emulator.policy.filters import BITS, SLOTS, address_slot, lowest_bit, port_slot
from emulator.policy.reasons import Miss
from emulator.policy.tables import EGRESS, INGRESS, Eni, Group, Membership, PeerKind, RuleColumn, Tables, in_list, row_of
from emulator.wire.headers import ICMP, ICMPV6, TCP, UDP

ALL = -1


class Subject(NamedTuple):
    """What a rule is held against: one packet, seen from one interface in one direction.

    ``member`` is the id of the interface at the other end if its group identity holds here, else 0; ``lost`` is the
    id of that interface if identity was lost on the way (SG-25), so that the miss can say so.
    """

    family: int
    protocol: int
    hi: int
    lo: int
    port: int
    type: int
    code: int
    member: int
    lost: int


_FAMILY, _PROTOCOL, _PORT, _TYPE, _CODE = int(Miss.FAMILY), int(Miss.PROTOCOL), int(Miss.PORT), int(Miss.TYPE), int(Miss.CODE)
_BLOCK, _LIST, _GROUP, _IDENTITY, _STALE = int(Miss.BLOCK), int(Miss.LIST), int(Miss.GROUP), int(Miss.IDENTITY), int(Miss.STALE)
_INGRESS, _EGRESS = int(Membership.INGRESS), int(Membership.EGRESS)
_PEER_BLOCK, _PEER_LIST, _PEER_GROUP, _PEER_STALE = (int(kind) for kind in PeerKind)


@kernel
def is_member(tables: Tables, eni_id: int, group_id: int) -> bool:
    """Whether an interface has a group attached; one that is gone has none."""
    row = row_of(tables, eni_id)
    if row < 0:
        return False
    for at in range(tables.enis[row, Eni.GROUPS], tables.enis[row, Eni.GROUPS_END]):
        if tables.memberships[at, Membership.GROUP_ID] == group_id:
            return True
    return False


@kernel
def miss(tables: Tables, rule: int, subject: Subject) -> int:
    """The fields on which a rule fails for a subject, as bits of `Miss`; 0 is a match."""
    return service_miss(tables, rule, subject) | peer_miss(tables, rule, subject)


@kernel
def service_miss(tables: Tables, rule: int, subject: Subject) -> int:
    """The same of protocol, ports, type and code alone.

    Ports count for tcp and udp only, type and code for icmp and icmpv6 only; a port of a packet that shows none
    (-1, a later fragment) is matched by all ports alone (FB-32).
    """
    rules = tables.rules
    protocol = rules[rule, RuleColumn.PROTOCOL]
    if protocol != ALL and protocol != subject.protocol:
        return _PROTOCOL
    if protocol in (TCP, UDP):
        first, last = rules[rule, RuleColumn.FROM], rules[rule, RuleColumn.TO]
        if not (first <= subject.port <= last) and not (subject.port == ALL and first == 0 and last == 65535):
            return _PORT
    elif protocol in (ICMP, ICMPV6):
        kind, code = rules[rule, RuleColumn.FROM], rules[rule, RuleColumn.TO]
        if kind != ALL and kind != subject.type:
            return _TYPE
        if code != ALL and code != subject.code:
            return _CODE
    return 0


@kernel
def peer_miss(tables: Tables, rule: int, subject: Subject) -> int:
    """The same of the other side alone."""
    rules = tables.rules
    peer = rules[rule, RuleColumn.PEER]
    if peer == _PEER_BLOCK:
        if rules[rule, RuleColumn.FAMILY] != subject.family:
            return _FAMILY
        if (subject.hi & rules[rule, RuleColumn.MASK_HI]) != rules[rule, RuleColumn.NET_HI] or (
            subject.lo & rules[rule, RuleColumn.MASK_LO]
        ) != rules[rule, RuleColumn.NET_LO]:
            return _BLOCK
        return 0
    if peer == _PEER_LIST:
        start, end = rules[rule, RuleColumn.PEER_START], rules[rule, RuleColumn.PEER_END]
        return 0 if in_list(tables, start, end, subject.family, subject.hi, subject.lo) else _LIST
    if peer == _PEER_GROUP:
        group = rules[rule, RuleColumn.PEER_START]
        if subject.family == 6 and tables.settings.ref_matches_ipv6 == 0:
            return _GROUP
        if subject.member != 0 and is_member(tables, subject.member, group):
            return 0
        return _IDENTITY if subject.lost != 0 and is_member(tables, subject.lost, group) else _GROUP
    return _STALE


@kernel
def direction_start(tables: Tables, group: int, direction: int) -> int:
    """First rule row of a group in one direction."""
    return tables.groups[group, Group.INGRESS] if direction == INGRESS else tables.groups[group, Group.EGRESS]


@kernel
def direction_end(tables: Tables, group: int, direction: int) -> int:
    """One past the last rule row of a group in one direction."""
    return tables.groups[group, Group.INGRESS_END] if direction == INGRESS else tables.groups[group, Group.EGRESS_END]


class Match(NamedTuple):
    """The first rule row that matches (-1 none), whether any rule was there, and whether group identity, lost on the way, was all
    that some rule missed (SG-25)."""

    rule: int
    any_rule: int
    identity_lost: int


@kernel
def first_match(tables: Tables, eni: int, direction: int, subject: Subject) -> Match:
    """The first rule, over all groups of an interface row, that allows a subject (SG-4, SG-5)."""
    any_rule, lost = 0, 0
    # A later fragment shows no port, so its port slot says nothing.
    port = port_slot(subject.protocol, subject.port) if subject.port != ALL else ALL
    address = SLOTS + address_slot(subject.family, subject.hi, subject.lo)
    way = _INGRESS if direction == INGRESS else _EGRESS
    for at in range(tables.enis[eni, Eni.GROUPS], tables.enis[eni, Eni.GROUPS_END]):
        start, words, slots = tables.memberships[at, way], tables.memberships[at, way + 1], tables.memberships[at, way + 2]
        for word in range(words):
            any_rule = 1
            candidates = tables.filters[slots + address * words + word, 0]
            if port != ALL:
                candidates &= tables.filters[slots + port * words + word, 0]
            while candidates != 0:
                rule = start + word * BITS + lowest_bit(candidates)
                if service_miss(tables, rule, subject) == 0:
                    peer = peer_miss(tables, rule, subject)
                    if peer == 0:
                        return Match(rule, 1, 0)
                    if peer == _IDENTITY:
                        lost = 1
                candidates &= candidates - 1
    return Match(-1, any_rule, lost)


class Nearest(NamedTuple):
    """The rule row that failed on the fewest fields (-1 if there is none), and those fields."""

    rule: int
    fields: int


@kernel
def nearest_miss(tables: Tables, eni: int, direction: int, subject: Subject) -> Nearest:
    """The rule of an interface's groups that came nearest; of equals the one that failed on the later field, then the first."""
    best, best_fields, fewest = -1, 0, 64
    for at in range(tables.enis[eni, Eni.GROUPS], tables.enis[eni, Eni.GROUPS_END]):
        group = tables.memberships[at, Membership.GROUP_ROW]
        for rule in range(direction_start(tables, group, direction), direction_end(tables, group, direction)):
            fields = miss(tables, rule, subject)
            count, rest = 0, fields
            while rest != 0:
                count, rest = count + 1, rest & (rest - 1)
            if fields != 0 and (count < fewest or (count == fewest and fields > best_fields)):
                best, best_fields, fewest = rule, fields, count
    return Nearest(best, best_fields)


@kernel
def is_never_tracked(tables: Tables, eni: int, direction: int, family: int, protocol: int, port: int, back: int) -> bool:
    """Whether CT-9 (a) and (b) leave a flow untracked, whichever side started it.

    For a flow that starts in ``direction`` towards ``port``: (a) some rule of that direction allows it from or to everyone;
    (b) some rule of the other direction allows everyone on any port, with all protocols or the flow's own (CT-12).  The same
    is asked of its mirror image, a flow that starts in the other direction towards ``back``, so that an answer of an untracked
    flow opens no entry (CT-18).  Families apart (CT-11); two halves, prefix lists and groups are not everyone (CT-14); any
    pair of any two groups will do (CT-13).
    """
    opens, answers, opens_back, answers_back = False, False, False, False
    for at in range(tables.enis[eni, Eni.GROUPS], tables.enis[eni, Eni.GROUPS_END]):
        group = tables.memberships[at, Membership.GROUP_ROW]
        for row in range(tables.groups[group, Group.EVERYONE], tables.groups[group, Group.EVERYONE_END]):
            rules, rule = tables.rules, tables.everyone[row, 0]
            if rules[rule, RuleColumn.FAMILY] != family:
                continue
            allowed = rules[rule, RuleColumn.PROTOCOL]
            if allowed != ALL and allowed != protocol:
                continue
            first, last = (0, 65535) if allowed == ALL else (rules[rule, RuleColumn.FROM], rules[rule, RuleColumn.TO])
            any_port = first == 0 and last == 65535
            if tables.everyone[row, 1] == direction:
                opens, answers_back = opens or first <= port <= last, answers_back or any_port
            else:
                opens_back, answers = opens_back or first <= back <= last, answers or any_port
        if (opens and answers) or (opens_back and answers_back):
            return True
    return False


@kernel
def acl_match(tables: Tables, start: int, end: int, subject: Subject) -> int:
    """The first entry row of a network ACL that matches, in rising number; -1 is the ``*`` at its end (NA-4, NA-5)."""
    for rule in range(start, end):
        if miss(tables, rule, subject) == 0:
            return rule
    return -1


__all__ = ["ALL", "EGRESS", "INGRESS", "Match", "Subject", "acl_match", "first_match", "is_member", "is_never_tracked", "miss"]
