"""Which rules a run made use of: packets by rule, counted from the journal, and the rules that nothing met.

A packet of a tracked connection counts for the rule that let the connection in; a packet that meets rules at both of
its ends counts for each of them.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from emulator.datapath.state import Step
from emulator.model.entities import NetworkInterface, Subnet
from emulator.model.groups import AclRule, GroupPeer, ListPeer, NetworkAcl, Rule, SecurityGroup
from emulator.model.topology import Topology
from emulator.observe.words import NamedRule, Words
from emulator.wire.headers import Matrix


@dataclass(frozen=True)
class RuleHits:
    """A rule, and how many packets it decided."""

    rule: NamedRule
    packets: int


@dataclass(frozen=True)
class Coverage:
    """The rules of a group or network ACL; ``users``: how many interfaces or subnets have it."""

    owner: SecurityGroup | NetworkAcl
    users: int
    rules: tuple[RuleHits, ...]

    @property
    def hit(self) -> int:
        """How many of its rules decided anything."""
        return sum(rule.packets > 0 for rule in self.rules)


def coverage(words: Words, journal: Iterable[Matrix]) -> list[Coverage]:
    """The rules of every group and network ACL with their hits, in the order of declaration.

    A VPC's ``default`` group and ACL are left out where nobody has them: AWS made them, and they cannot be removed.

    Parameters
    ----------
    journal : rows of the journal, in pieces
    """
    counts: Counter[int] = Counter()
    for rows in journal:
        rules, packets = np.unique(rows[rows[:, Step.RULE] != 0, Step.RULE], return_counts=True)
        counts.update(dict(zip(rules.tolist(), packets.tolist(), strict=True)))
    by_name = {words.ids.name(number): packets for number, packets in counts.items()}
    found: dict[str, list[RuleHits]] = {}
    for key, named in words.rules.items():
        found.setdefault(named.owner.id, []).append(RuleHits(named, by_name.get(key, 0)))
    users = _users(words.topology)
    owners = (entity for entity in words.topology.entities.values() if isinstance(entity, SecurityGroup | NetworkAcl))
    return [
        Coverage(owner, users[owner.id], tuple(found.get(owner.id, ()))) for owner in owners if users[owner.id] or owner.name != "default"
    ]


def _users(topology: Topology) -> Counter[str]:
    users = Counter(group for eni in topology.all(NetworkInterface) for group in eni.security_groups)
    defaults = {acl.vpc: acl.id for acl in topology.all(NetworkAcl) if acl.is_default_of(acl.vpc)}
    users.update(subnet.network_acl or defaults.get(subnet.vpc, "") for subnet in topology.all(Subnet))
    return users


def peer_name(topology: Topology, rule: Rule | AclRule) -> str:
    """The other side of a rule as people see it: a block, or the name of a group or prefix list."""
    if isinstance(rule, AclRule):
        return str(rule.block)
    if isinstance(rule.peer, GroupPeer):
        return topology.display(rule.peer.group)
    return topology.display(rule.peer.list) if isinstance(rule.peer, ListPeer) else str(rule.peer)
