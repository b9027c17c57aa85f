"""Blocks that a topology names, so that a stranger's address can be chosen outside all of them."""

from collections.abc import Iterator

from emulator.model.entities import ExternalHost, Vpc
from emulator.model.groups import Block, GroupPeer, ListPeer, NetworkAcl, PrefixList, SecurityGroup, block
from emulator.model.topology import Topology


def named_blocks(topology: Topology) -> list[Block]:
    """Every block of a rule, a prefix list, a VPC or a host outside, but those that stand for everyone."""
    return [found for found in _blocks(topology) if found.prefixlen]


def _blocks(topology: Topology) -> Iterator[Block]:
    for entity in topology.entities.values():
        if isinstance(entity, SecurityGroup):
            yield from (rule.peer for rule in (*entity.ingress, *(entity.egress or ())) if not isinstance(rule.peer, GroupPeer | ListPeer))
        elif isinstance(entity, NetworkAcl):
            yield from (entry.block for entry in (*entity.ingress, *entity.egress))
        elif isinstance(entity, PrefixList):
            yield from entity.entries
        elif isinstance(entity, Vpc):
            yield from entity.blocks
        elif isinstance(entity, ExternalHost):
            yield from (block(str(ip)) for ip in entity.ips)
