"""Who has which address, and what lies between two places → rows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from emulator.model.entities import ExternalHost, Instance, NatGateway, Subnet
from emulator.model.joined import CustomerNetwork, InterfaceEndpoint, NetworkLoadBalancer
from emulator.policy.compile_interfaces import NOTHING
from emulator.policy.joined_columns import FaultColumn
from emulator.policy.tables import (
    Cell,
    LinkColumn,
    PlaceKind,
)
from emulator.policy.work import Work, matrix
from emulator.wire.addresses import halves
from emulator.wire.hashing import mix
from emulator.wire.headers import Matrix

_mix: Callable[..., Any] = mix  # plain arithmetic, which takes whole columns as well


def index(work: Work, cells: list[list[int]]) -> Matrix:
    """The hash table of addresses, private ones by VPC, public ones and hosts outside under scope 0.

    Parameters
    ----------
    cells : rows of the addresses of instances' interfaces
    """
    topology, ids = work.topology, work.ids
    cells = list(cells)
    pairs = [
        (ids.of(topology.get(nat.subnet, Subnet).vpc), ids.of(nat.id), private, public)
        for nat in topology.all(NatGateway)
        for private, public in nat.addresses
    ]
    served: list[InterfaceEndpoint | NetworkLoadBalancer] = [*topology.all(InterfaceEndpoint), *topology.all(NetworkLoadBalancer)]
    pairs += [(ids.of(one.vpc), ids.of(node.interface), node.private_ip, node.public_ip) for one in served for node in one.nodes]
    for vpc, number, private, elastic in pairs:
        other = halves(elastic) if elastic is not None else NOTHING
        cells.append([vpc, *halves(private), number, *other])
        if elastic is not None:
            cells.append([0, *other, number, *halves(private)])
    networks = list(topology.all(CustomerNetwork))
    for host in topology.all(ExternalHost):
        behind = next(
            (row + 1 for row, network in enumerate(networks) if any(ip in block for ip in host.ips for block in network.blocks)), 0
        )
        number = work.place(host.id, PlaceKind.OUTSIDE, behind)
        cells += [[0, *halves(address), number, 0, 0] for address in host.ips]
    return _hashed(np.array(cells, dtype=np.int64).reshape(len(cells), len(Cell)))


def _hashed(cells: Matrix) -> Matrix:
    """Rows in a table at most half full, each at or behind its place; of two for one address the later stays."""
    capacity = 16
    while capacity < 2 * len(cells):
        capacity *= 2
    scope, hi, lo = cells[:, Cell.SCOPE], cells[:, Cell.HI], cells[:, Cell.LO]
    places = (_mix(_mix(_mix(0, scope), hi), lo) & (capacity - 1)).tolist()
    keys = list(zip(scope.tolist(), hi.tolist(), lo.tolist(), strict=True))
    standing: list[int] = [-1] * capacity
    for row, slot in enumerate(places):
        while standing[slot] >= 0 and keys[standing[slot]] != keys[row]:
            slot = (slot + 1) & (capacity - 1)
        standing[slot] = row
    table, taken = np.zeros((capacity, len(Cell)), dtype=np.int64), np.array(standing)
    table[taken >= 0] = cells[taken[taken >= 0]]
    return table


def links(work: Work) -> tuple[Matrix, Matrix]:
    """A row for each pair of places that a declared link joins, and the rows of their faults."""
    rows: list[list[int]] = []
    faults: list[list[int]] = []
    for link in work.topology.links:
        start = len(faults)
        faults += [[fault.start_ns, fault.end_ns, int(fault.down), fault.latency_ns, fault.loss_ppb] for fault in link.faults]
        quality = [link.latency_ns, link.rate_bps, link.queue_bytes, link.loss_ppb, link.jitter_ns, start, len(faults), link.reorder_ns]
        rows += [[a, b, *quality] for a in _ends(work, link.between[0]) for b in _ends(work, link.between[1])]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(LinkColumn)), matrix(faults, len(FaultColumn))


def _ends(work: Work, end: str) -> list[int]:
    entity = work.topology.entities[end]
    if isinstance(entity, Instance):
        return [work.ids.of(eni.id) for eni in work.topology.interfaces_of(end)]
    if isinstance(entity, NetworkLoadBalancer):
        return [work.ids.of(node.interface) for node in entity.nodes]
    return [work.ids.of(end)]
