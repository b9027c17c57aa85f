"""Who has which address, and what lies between two places → rows."""

import numpy as np

from emulator.model.entities import ExternalHost, Instance, NatGateway, NetworkInterface, Subnet
from emulator.model.joined import CustomerNetwork, InterfaceEndpoint, NetworkLoadBalancer
from emulator.policy.joined_columns import FaultColumn
from emulator.policy.tables import (
    Cell,
    LinkColumn,
    PlaceKind,
)
from emulator.policy.work import Work, matrix
from emulator.wire.addresses import Halves, halves
from emulator.wire.hashing import mix
from emulator.wire.headers import Matrix

_NOTHING = Halves(0, 0)


def index(work: Work) -> Matrix:
    """The hash table of addresses, private ones by VPC, public ones and hosts outside under scope 0."""
    topology, ids = work.topology, work.ids
    cells: list[list[int]] = []
    for eni in topology.all(NetworkInterface):
        number, vpc = ids.of(eni.id), ids.of(topology.get(eni.subnet, Subnet).vpc)
        public = dict(eni.public_ips)
        for address in eni.private_ips:
            other = halves(public[address]) if address in public else _NOTHING
            cells.append([vpc, *halves(address), number, *other])
            if address.version == 6:
                cells.append([0, *halves(address), number, *halves(address)])
            elif address in public:
                cells.append([0, *other, number, *halves(address)])
    pairs = [
        (ids.of(topology.get(nat.subnet, Subnet).vpc), ids.of(nat.id), private, public)
        for nat in topology.all(NatGateway)
        for private, public in nat.addresses
    ]
    served: list[InterfaceEndpoint | NetworkLoadBalancer] = [*topology.all(InterfaceEndpoint), *topology.all(NetworkLoadBalancer)]
    pairs += [(ids.of(one.vpc), ids.of(node.interface), node.private_ip, node.public_ip) for one in served for node in one.nodes]
    for vpc, number, private, elastic in pairs:
        other = halves(elastic) if elastic is not None else _NOTHING
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
    capacity = 16
    while capacity < 2 * len(cells):
        capacity *= 2
    table = np.zeros((capacity, len(Cell)), dtype=np.int64)
    for cell in cells:
        slot = mix(mix(mix(0, cell[0]), cell[1]), cell[2]) & (capacity - 1)
        while table[slot, Cell.OWNER] and list(table[slot, : Cell.OWNER]) != cell[: Cell.OWNER]:
            slot = (slot + 1) & (capacity - 1)
        table[slot] = cell
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
