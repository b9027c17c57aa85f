"""Longest prefix match over rows that stand in winning order (RT-3 to RT-7)."""

from emulator.kernels import kernel
from emulator.policy.tables import RouteColumn, RouteOrder, SubnetColumn, Tables, is_above

FEW = 50  # so many routes, AWS's quota of a table, are asked one after another sooner than searched


@kernel
def best_in(tables: Tables, start: int, end: int, family: int, hi: int, lo: int) -> int:
    """Row of the route of a table (rows ``start`` to ``end``) that takes an address, -1 if none does (RT-13).

    A blackhole wins like any other route, unless ``route.blackhole`` is ``fall_through`` (RT-12).
    """
    if end - start > FEW:
        return _best_of_many(tables, start, end, family, hi, lo)
    for row in range(start, end):
        if _takes(tables, row, family, hi, lo):
            return row
    return -1


@kernel
def _takes(tables: Tables, row: int, family: int, hi: int, lo: int) -> bool:
    """Whether a route takes an address, whatever others there are."""
    routes = tables.routes
    return (
        routes[row, RouteColumn.FAMILY] == family
        and (hi & routes[row, RouteColumn.MASK_HI]) == routes[row, RouteColumn.NET_HI]
        and (lo & routes[row, RouteColumn.MASK_LO]) == routes[row, RouteColumn.NET_LO]
        and not (routes[row, RouteColumn.BLACKHOLE] != 0 and tables.settings.fall_through != 0)
    )


@kernel
def _best_of_many(tables: Tables, start: int, end: int, family: int, hi: int, lo: int) -> int:
    """The same in a large table: the last block that begins at or before the address, or one of those that it lies in."""
    routes, order = tables.routes, tables.route_order
    first, last = start, end
    while first < last:
        middle = (first + last) >> 1
        row = order[middle, RouteOrder.ROW]
        other = routes[row, RouteColumn.FAMILY]
        if other > family or (other == family and is_above(routes[row, RouteColumn.NET_HI], routes[row, RouteColumn.NET_LO], hi, lo)):
            last = middle
        else:
            first = middle + 1
    row = order[first - 1, RouteOrder.ROW] if first > start else -1
    while row >= 0 and not _takes(tables, row, family, hi, lo):
        row = order[row, RouteOrder.WIDER]
    return row


@kernel
def best_route(tables: Tables, subnet: int, family: int, hi: int, lo: int) -> int:
    """Row of the route that takes an address out of a subnet (its row), -1 if none does."""
    start, end = tables.subnets[subnet, SubnetColumn.ROUTES], tables.subnets[subnet, SubnetColumn.ROUTES_END]
    return best_in(tables, start, end, family, hi, lo)
