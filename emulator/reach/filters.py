"""What security groups let through, by class: each rule against each end once, by `miss`, and sets of services as bits.

A rule matches a packet when its other side and its service both match, and `miss` says the two apart.  So the rules are
held against the ends for their other side, against the atoms for their service, and a set of groups allows to or from
an end the union of the services of the rules whose other side matches it.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import numpy as np
import numpy.typing as npt

from emulator.kernels import available, compiled, is_cached
from emulator.policy.compile import Ids
from emulator.policy.matching import PEER, SERVICE, match_all
from emulator.policy.tables import Group, RuleColumn, Tables
from emulator.reach.atoms import Atom
from emulator.reach.ends import INTERFACE, End
from emulator.wire.addresses import halves
from emulator.wire.headers import ICMP, ICMPV6, TCP, UDP, Matrix

MEMBER, PRIVATE, PUBLIC = 0, 1, 2  # how an end is seen: its address and its groups, its address alone, its public address
INGRESS, EGRESS = 0, 1
AT_ONCE = 4_000_000
FAST_FROM = 300_000
_PEER_COLUMNS = [
    RuleColumn.PEER,
    RuleColumn.FAMILY,
    RuleColumn.NET_HI,
    RuleColumn.NET_LO,
    RuleColumn.MASK_HI,
    RuleColumn.MASK_LO,
    RuleColumn.PEER_START,
    RuleColumn.PEER_END,
]
_SERVICE_COLUMNS = [RuleColumn.PROTOCOL, RuleColumn.FROM, RuleColumn.TO]
Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


class Masks:
    """Sets of atoms as integers with a bit an atom, numbered in the order of first sight; number 0 is the empty set."""

    def __init__(self) -> None:
        self.sets: list[int] = [0]
        self._numbers: dict[int, int] = {0: 0}

    def number(self, mask: int) -> int:
        """The number of a set."""
        if mask not in self._numbers:
            self._numbers[mask] = len(self.sets)
            self.sets.append(mask)
        return self._numbers[mask]


def subject(family: int, ip: IPv4Address | IPv6Address | tuple[int, int], member: int = 0, lost: int = 0) -> list[int]:
    """A row of subjects for an address; its service is none."""
    hi, lo = ip if isinstance(ip, tuple) else halves(ip)
    return [family, 0, hi, lo, 0, 0, 0, member, lost]


def service_subject(family: int, atom: Atom) -> list[int]:
    """A row of subjects for an atom; its address is none."""
    protocol, (first, second) = atom.service
    port = first if protocol in (TCP, UDP) else 0
    kind, code = (first, max(second, 0)) if protocol in (ICMP, ICMPV6) else (0, 0)
    return [family, protocol, 0, 0, port, kind, code, 0, 0]


class Filters:
    """The security groups of one topology, held against its ends."""

    def __init__(self, tables: Tables, ids: Ids, ends: Sequence[End], atoms: tuple[Atom, ...], family: int) -> None:
        self.tables, self.ids, self.ends, self.family = tables, ids, ends, family
        self.masks = Masks()
        self.everything = self.masks.number((1 << len(atoms)) - 1)
        rules = tables.rules
        _, self._peer_rule, self._peer_of = np.unique(rules[:, _PEER_COLUMNS], axis=0, return_index=True, return_inverse=True)
        _, service_rule, self._service_of = np.unique(rules[:, _SERVICE_COLUMNS], axis=0, return_index=True, return_inverse=True)
        self._peer_of, self._service_of = self._peer_of.ravel(), self._service_of.ravel()
        matched = self.matched(service_rule, np.array([service_subject(family, atom) for atom in atoms], dtype=np.int64), SERVICE)
        self.services = [sum(1 << int(at) for at in np.flatnonzero(row)) for row in matched]
        self._peers: dict[int, Bools] = {}
        self._allowed: dict[tuple[tuple[str, ...], int, int], Numbers] = {}
        self._rows = {int(row[0]): row for row in tables.groups}

    def matched(self, rules: Numbers, subjects: Matrix, mask: int) -> Bools:
        """Which rules (row numbers) match which subjects, as far as ``mask`` says; in pieces that fit in memory."""
        work = len(rules) * len(subjects)
        match = compiled(match_all) if available() and (work > FAST_FROM or is_cached(match_all)) else match_all
        piece = max(AT_ONCE // max(len(subjects), 1), 1)
        done = np.zeros((len(rules), len(subjects)), dtype=np.bool_)
        for at in range(0, len(rules), piece):
            rows = np.ascontiguousarray(rules[at : at + piece].reshape(-1, 1), dtype=np.int64)
            out = np.zeros((len(rows), len(subjects)), dtype=np.int64)
            match(self.tables, rows, subjects, mask, out)
            done[at : at + piece] = out.astype(np.bool_)
        return done

    def rule_services(self, rules: Numbers) -> list[int]:
        """The sets of atoms of some rules, by row number."""
        return [self.services[self._service_of[row]] for row in rules]

    def _peer_table(self, view: int) -> Bools:
        if view not in self._peers:
            rows = []
            for end in self.ends:
                number = self.ids.of(end.id) if end.kind == INTERFACE else 0
                member = number if view == MEMBER else 0
                rows.append(subject(self.family, end.seen_outside if view == PUBLIC else end.ip, member, number if not member else 0))
            self._peers[view] = self.matched(self._peer_rule, np.array(rows, dtype=np.int64).reshape(len(rows), 9), PEER)
        return self._peers[view]

    def _group_rules(self, groups: tuple[str, ...], direction: int) -> Numbers:
        column = Group.INGRESS if direction == INGRESS else Group.EGRESS
        spans = [self._rows[self.ids.of(group)][[column, column + 1]] for group in groups]
        return np.concatenate([np.arange(first, last) for first, last in spans] or [np.zeros(0, dtype=np.int64)])

    def allowed(self, groups: tuple[str, ...], direction: int, view: int) -> Numbers:
        """For each end as the other side, the number of the set of services that a set of groups allows."""
        key = groups, direction, view
        if key not in self._allowed:
            rules = self._group_rules(groups, direction)
            table = self._peer_table(view)[self._peer_of[rules]]
            self._allowed[key] = self._unions(rules, table)
        return self._allowed[key]

    def allowed_for(self, groups: tuple[str, ...], direction: int, ip: tuple[int, int]) -> int:
        """The same for one address that is no end's own, such as a NAT gateway's."""
        rules = self._group_rules(groups, direction)
        peers, of = np.unique(self._peer_of[rules], return_inverse=True)
        table = self.matched(self._peer_rule[peers], np.array([subject(self.family, ip)], dtype=np.int64), PEER)[of]
        return int(self._unions(rules, table.reshape(len(rules), 1))[0])

    def _unions(self, rules: Numbers, table: Bools) -> Numbers:
        """The number of the union of the rules' services in each column of a table of matches."""
        if not len(rules):
            return np.zeros(table.shape[1], dtype=np.int64)
        packed = np.ascontiguousarray(np.packbits(table, axis=0).T)
        _, first, of = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True)
        services = self.rule_services(rules)
        unions = []
        for column in first:
            union = 0
            for at in np.flatnonzero(table[:, column]):
                union |= services[at]
            unions.append(self.masks.number(union))
        return np.array(unions, dtype=np.int64)[of.ravel()]
