"""Rules → rows; groups → their rules' rows and their filters, each group a piece that is used again as long as nothing in it changes.

What a piece cannot know is filled in where the pieces are put together: at which row each begins, and where the prefix
lists stand that its rules name.
"""

from ipaddress import collapse_addresses
from typing import NamedTuple

import numpy as np

from emulator.model.edits import is_stale
from emulator.model.groups import AclRule, Direction, GroupPeer, ListPeer, NetworkAcl, Peer, PrefixList, Rule, SecurityGroup
from emulator.model.services import ANY_PORTS, TCP, UDP
from emulator.policy.compile_filters import Marks, address_marks, packed, port_marks
from emulator.policy.filters import SLOTS
from emulator.policy.tables import Group, PeerKind, RuleColumn
from emulator.policy.work import Ids, Pool, Work, block_rows, matrix
from emulator.wire.addresses import net_and_mask
from emulator.wire.headers import Matrix

_LIST, _STALE = ((int(kind), *(0,) * (RuleColumn.ALLOW - RuleColumn.FAMILY)) for kind in (PeerKind.LIST, PeerKind.STALE))


class ListPiece(NamedTuple):
    """A prefix list: its rows of ``blocks``, and the address slots in which it stands."""

    blocks: Matrix
    marks: Marks


class GroupPiece(NamedTuple):
    """A group: its rows of ``rules``, those of ingress first; which of them name which prefix list; its rows of ``filters``, by
    direction; and its rows of ``everyone``, in which a rule is its number within the group."""

    rules: Matrix
    ingress: int
    lists: list[tuple[int, str]]
    filters: tuple[Matrix, Matrix]
    everyone: Matrix


class Groups:
    """The groups of a topology, one after another."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.rules = Pool(len(RuleColumn))
        self._lists = {found.id: self._list(found) for found in work.topology.all(PrefixList)}
        self._spans = {key: work.blocks.add(piece.blocks) for key, piece in self._lists.items()}
        filters, everyone, rows = Pool(1), Pool(2), []
        for group in work.topology.all(SecurityGroup):
            piece = self._group(group)
            start, end = self.rules.add(self._placed(piece))
            spans = start, start + piece.ingress, start + piece.ingress, end
            places = [filters.add(rows)[0] for rows in piece.filters]
            rows.append([work.ids.of(group.id), *spans, *places, *everyone.add(piece.everyone + np.array([start, 0]))])
        self.groups = matrix(rows, len(Group))
        self.filters, self.everyone = filters.matrix(), everyone.matrix()

    def acl(self, acl: NetworkAcl) -> tuple[int, int, int, int]:
        """Where the rows of a network ACL stand among all rules: those of ingress, those of egress."""
        ids, ways = self._work.ids, (Direction.INGRESS, Direction.EGRESS)
        rows = [rule_row(ids, entry, f"{acl.id} {way.name.lower()} {entry.number}") for way in ways for entry in acl.rules(way)]
        start, end = self.rules.add(_matrix(rows))
        return start, start + len(acl.ingress), start + len(acl.ingress), end

    def _list(self, prefix_list: PrefixList) -> ListPiece:
        return self._work.ids.pieces.of(prefix_list.id, (prefix_list,), lambda: compile_list(prefix_list))

    def _group(self, group: SecurityGroup) -> GroupPiece:
        named = {rule.peer.group: rule for rule in _rules(group) if isinstance(rule.peer, GroupPeer)}
        stale = frozenset(key for key, rule in named.items() if is_stale(self._work.topology, group, rule))
        lists = {rule.peer.list: self._lists[rule.peer.list] for rule in _rules(group) if isinstance(rule.peer, ListPeer)}
        sources = group, stale, *(self._work.topology.entities[key] for key in lists)
        marks = {key: piece.marks for key, piece in lists.items()}
        return self._work.ids.pieces.of(group.id, sources, lambda: compile_group(self._work.ids, group, stale, marks))

    def _placed(self, piece: GroupPiece) -> Matrix:
        """A group's rows of ``rules``, which say where their prefix lists stand."""
        if not piece.lists:
            return piece.rules
        rows = piece.rules.copy()
        for row, key in piece.lists:
            rows[row, RuleColumn.PEER_START], rows[row, RuleColumn.PEER_END] = self._spans[key]
        return rows


def compile_list(prefix_list: PrefixList) -> ListPiece:
    """A prefix list by itself: its blocks apart from each other and rising, so that one look-up tells whether one has an address."""
    blocks = block_rows(collapse_addresses(prefix_list.entries))  # type: ignore[type-var]  # all are of one family
    return ListPiece(blocks, np.any(address_marks(blocks), axis=0))


def compile_group(ids: Ids, group: SecurityGroup, stale: frozenset[str], lists: dict[str, Marks]) -> GroupPiece:
    """A group by itself; ``stale`` are the groups that its rules name in vain, ``lists`` the address slots of its prefix lists."""
    rules = _rules(group)
    rows = _matrix([rule_row(ids, rule, rule.id, isinstance(rule.peer, GroupPeer) and rule.peer.group in stale) for rule in rules])
    listed = [(row, rule.peer.list) for row, rule in enumerate(rules) if isinstance(rule.peer, ListPeer)]
    ports, addresses = port_marks(rows), np.zeros((len(rows), SLOTS), dtype=np.bool_)
    kinds = rows[:, RuleColumn.PEER]
    addresses[kinds == PeerKind.GROUP] = True
    blocks = rows[kinds == PeerKind.BLOCK, RuleColumn.FAMILY : RuleColumn.MASK_LO + 1]
    addresses[kinds == PeerKind.BLOCK] = address_marks(blocks)
    for row, key in listed:
        addresses[row] = lists[key]
    ingress = len(group.ingress)
    filters = packed(ports[:ingress], addresses[:ingress]), packed(ports[ingress:], addresses[ingress:])
    everyone = np.flatnonzero(rows[:, RuleColumn.EVERYONE])
    return GroupPiece(rows, ingress, listed, filters, np.stack([everyone, everyone >= ingress], axis=1))


def rule_row(ids: Ids, rule: Rule | AclRule, name: str, stale: bool = False) -> list[int]:
    """The row of one rule, columns `RuleColumn`; where its prefix list stands is not known here."""
    number = ids.of(name)
    ports = (0, 65535) if rule.protocol in (TCP, UDP) and rule.ports == ANY_PORTS else rule.ports
    if isinstance(rule, AclRule):
        return [number, rule.protocol, *ports, *_peer(ids, rule.block), int(rule.allow)]
    return [number, rule.protocol, *ports, *(_STALE if stale else _peer(ids, rule.peer)), 1]


def _peer(ids: Ids, peer: Peer) -> tuple[int, ...]:
    """The columns from PEER to EVERYONE."""
    match peer:
        case GroupPeer():
            return int(PeerKind.GROUP), 0, 0, 0, 0, 0, ids.of(peer.group), 0, 0
        case ListPeer():
            return _LIST
        case _:
            return int(PeerKind.BLOCK), peer.version, *net_and_mask(peer), 0, 0, int(not peer.prefixlen)


def _rules(group: SecurityGroup) -> tuple[Rule, ...]:
    return (*group.rules(Direction.INGRESS), *group.rules(Direction.EGRESS))


def _matrix(rows: list[list[int]]) -> Matrix:
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(RuleColumn))
