"""Longest prefix match over rows that stand in winning order (RT-3 to RT-7)."""

from emulator.kernels import kernel
from emulator.policy.tables import RouteColumn, SubnetColumn, Tables


@kernel
def best_in(tables: Tables, start: int, end: int, family: int, hi: int, lo: int) -> int:
    """Row of the route of a table (rows ``start`` to ``end``) that takes an address, -1 if none does (RT-13).

    A blackhole wins like any other route, unless ``route.blackhole`` is ``fall_through`` (RT-12).
    """
    routes = tables.routes
    for row in range(start, end):
        if (
            routes[row, RouteColumn.FAMILY] == family
            and (hi & routes[row, RouteColumn.MASK_HI]) == routes[row, RouteColumn.NET_HI]
            and (lo & routes[row, RouteColumn.MASK_LO]) == routes[row, RouteColumn.NET_LO]
            and not (routes[row, RouteColumn.BLACKHOLE] != 0 and tables.settings.fall_through != 0)
        ):
            return row
    return -1


@kernel
def best_route(tables: Tables, subnet: int, family: int, hi: int, lo: int) -> int:
    """Row of the route that takes an address out of a subnet (its row), -1 if none does."""
    start, end = tables.subnets[subnet, SubnetColumn.ROUTES], tables.subnets[subnet, SubnetColumn.ROUTES_END]
    return best_in(tables, start, end, family, hi, lo)
