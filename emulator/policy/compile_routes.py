"""Route tables → rows in winning order.

    longest prefix first (RT-3); at one length
      0  a static route; local; a transit gateway's static one
      1  a prefix list's (RT-6); left out where a static block overlaps it
      2  a propagated one: Direct Connect, then static VPN, then VPN by BGP (RT-5, RT-7)

Propagated routes inside the VPC's own blocks lose to ``local``, so they are left out (RT-7).  At the same rank the one
declared first wins, always (RT-6: AWS picks one at random and keeps to it).
"""

from collections.abc import Iterator
from typing import NamedTuple

from emulator.model.entities import RouteTable, Vpc, VpcPeeringConnection
from emulator.model.groups import Block, ListPeer, PrefixList
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    TransitGatewayAttachment,
    TransitGatewayRouteTable,
)
from emulator.model.validate import contains
from emulator.policy.routes import FEW
from emulator.policy.tables import LOCAL, RouteColumn, RouteOrder
from emulator.policy.work import Work, matrix
from emulator.wire.addresses import net_and_mask
from emulator.wire.headers import Matrix

STATIC, FROM_LIST, PROPAGATED = 0, 1, 2
_ORDER = {"direct_connect": 0, "vpn_static": 1, "vpn_bgp": 2}


class _Entry(NamedTuple):
    block: Block
    target: str
    rank: int
    name: str
    blackhole: bool = False


def routes(work: Work) -> tuple[Matrix, Matrix, dict[str, tuple[int, int]]]:
    """All route rows, each table's in winning order; the order in which a large table is searched; where each table's rows
    stand, by its id."""
    rows: list[list[int]] = []
    order: list[list[int]] = []
    spans: dict[str, tuple[int, int]] = {}
    tables: list[tuple[str, list[_Entry]]] = [(table.id, list(_entries(work, table))) for table in work.topology.all(RouteTable)]
    tables += [(table.id, list(_transit_entries(work, table))) for table in work.topology.all(TransitGatewayRouteTable)]
    for key, entries in tables:
        start = len(rows)
        entries.sort(key=lambda entry: (-entry.block.prefixlen, entry.rank))
        for entry in entries:
            gone = entry.target != "local" and not _usable(work, entry.target)
            target = LOCAL if entry.target == "local" else work.ids.of(entry.target)
            blackhole = int(entry.blackhole or gone)
            rows.append([work.ids.of(entry.name), entry.block.version, *net_and_mask(entry.block), target, blackhole])
        spans[key] = (start, len(rows))
        order += [[-1, -1] for _ in entries]
        if len(entries) > FEW:
            _order([entry.block for entry in entries], start, order)
    return matrix(rows, len(RouteColumn)), matrix(order, len(RouteOrder)), spans


def _order(blocks: list[Block], start: int, order: list[list[int]]) -> None:
    """Fill in the rows of `RouteOrder` of one table, whose routes have these blocks and stand from ``start`` on."""
    around: list[int] = []  # the last block and those that it lies in
    by_address = sorted(range(len(blocks)), key=lambda row: (blocks[row].version, blocks[row].network_address, blocks[row].prefixlen, -row))
    for place, row in enumerate(by_address):
        while around and not contains(blocks[around[-1]], blocks[row]):
            around.pop()
        order[start + place][RouteOrder.ROW] = start + row
        order[start + row][RouteOrder.WIDER] = start + around[-1] if around else -1
        around.append(row)


def _usable(work: Work, target: str) -> bool:
    entity = work.topology.entities.get(target)
    return entity.is_active if isinstance(entity, VpcPeeringConnection) else entity is not None


def _entries(work: Work, table: RouteTable) -> Iterator[_Entry]:
    topology = work.topology
    vpc = topology.get(table.vpc, Vpc)
    written = {route.destination for route in table.routes if not route.propagated}
    for block in vpc.blocks:
        if block not in written:
            yield _Entry(block, "local", STATIC, f"{table.id} {block}")
    statics = [block for block in written if not isinstance(block, ListPeer) and block.prefixlen]
    endpoints = [(end.prefix_list, end.id) for end in topology.all(GatewayEndpoint) if table.id in end.route_tables]
    for route in table.routes:
        destination = route.destination
        if isinstance(destination, ListPeer):
            yield from _from_list(work, table, destination.list, route.target, statics, route.blackhole)
        elif not (route.propagated and any(contains(own, destination) for own in vpc.blocks)):
            rank = PROPAGATED + 1 if route.propagated else STATIC
            yield _Entry(destination, route.target, rank, f"{table.id} {destination}", route.blackhole)
    for prefix_list, endpoint in endpoints:
        yield from _from_list(work, table, prefix_list, endpoint, statics)
    for network in topology.all(CustomerNetwork):
        for block in network.blocks if network.gateway in table.propagating else ():
            if not any(contains(own, block) for own in vpc.blocks):
                yield _Entry(block, network.gateway, PROPAGATED + _ORDER[network.connection], f"{table.id} {block}")


def _from_list(
    work: Work, table: RouteTable, prefix_list: str, target: str, statics: list[Block], blackhole: bool = False
) -> Iterator[_Entry]:
    for prefix in work.topology.get(prefix_list, PrefixList).entries:
        if not any(contains(static, prefix) or contains(prefix, static) for static in statics):
            yield _Entry(prefix, target, FROM_LIST, f"{table.id} {prefix_list}", blackhole)


def _transit_entries(work: Work, table: TransitGatewayRouteTable) -> Iterator[_Entry]:
    topology = work.topology
    for route in table.routes:
        yield _Entry(route.destination, route.attachment, STATIC, f"{table.id} {route.destination}", route.blackhole)
    for attachment in topology.all(TransitGatewayAttachment):
        if table.id not in (attachment.propagates_to or ()):
            continue
        blocks: tuple[Block, ...] = topology.get(attachment.vpc, Vpc).blocks if attachment.vpc else ()
        rank = PROPAGATED
        if attachment.network:
            network = topology.get(attachment.network, CustomerNetwork)
            blocks, rank = network.blocks, PROPAGATED + _ORDER[network.connection]
        for block in blocks:
            yield _Entry(block, attachment.id, rank, f"{table.id} {block}")
