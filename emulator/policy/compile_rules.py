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
from emulator.policy.compile_filters import EVERYWHERE, NOWHERE, Slots, block_slots, filter_rows, service_slots
from emulator.policy.tables import Group, PeerKind, RuleColumn
from emulator.policy.work import Ids, Pool, Work, block_rows, matrix
from emulator.wire.addresses import net_and_mask
from emulator.wire.headers import Matrix

_LIST, _STALE = ((int(kind), *(0,) * (RuleColumn.ALLOW - RuleColumn.FAMILY)) for kind in (PeerKind.LIST, PeerKind.STALE))


class ListPiece(NamedTuple):
    """A prefix list: its rows of ``blocks``, and the address slots in which it stands."""

    blocks: Matrix
    slots: Slots


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
            number, piece = work.ids.of(group.id), self._group(group)
            start, end = self.rules.add(self._placed(piece))
            spans = start, start + piece.ingress, start + piece.ingress, end
            places = [filters.add(rows)[0] for rows in piece.filters]
            rows.append([number, *spans, *places, *everyone.add(piece.everyone + np.array([start, 0]))])
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
        slots = {key: piece.slots for key, piece in lists.items()}
        return self._work.ids.pieces.of(group.id, sources, lambda: compile_group(self._work.ids, group, stale, slots))

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
    return ListPiece(blocks, sorted({slot for row in blocks.tolist() for slot in block_slots(*row)}))


def compile_group(ids: Ids, group: SecurityGroup, stale: frozenset[str], lists: dict[str, Slots]) -> GroupPiece:
    """A group by itself; ``stale`` are the groups that its rules name in vain, ``lists`` the address slots of its prefix lists."""
    rules, ingress = _rules(group), len(group.ingress)
    rows = [rule_row(ids, rule, rule.id, isinstance(rule.peer, GroupPeer) and rule.peer.group in stale) for rule in rules]
    listed = [(row, rule.peer.list) for row, rule in enumerate(rules) if isinstance(rule.peer, ListPeer)]
    services = [service_slots(*row[RuleColumn.PROTOCOL : RuleColumn.TO + 1]) for row in rows]
    peers = [_peer_slots(row, rule.peer, lists) for row, rule in zip(rows, rules, strict=True)]
    filters = filter_rows(services[:ingress], peers[:ingress]), filter_rows(services[ingress:], peers[ingress:])
    everyone = [[number, int(number >= ingress)] for number, row in enumerate(rows) if row[RuleColumn.EVERYONE]]
    return GroupPiece(_matrix(rows), ingress, listed, filters, np.array(everyone, dtype=np.int64).reshape(len(everyone), 2))


def _peer_slots(row: list[int], peer: Peer, lists: dict[str, Slots]) -> Slots:
    """The address slots of a rule; the members of a group may have any address, and a stale rule matches none."""
    if isinstance(peer, ListPeer):
        return lists[peer.list]
    if isinstance(peer, GroupPeer):
        return NOWHERE if row[RuleColumn.PEER] == PeerKind.STALE else EVERYWHERE
    return block_slots(*row[RuleColumn.FAMILY : RuleColumn.MASK_LO + 1])


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
