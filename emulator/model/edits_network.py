"""Edits of network ACLs, routes and addresses as EC2 makes them; see `edits` for groups.

Source: EC2 API Reference, "Error codes"; facts NA-10, NA-15, NA-16, RT-17, RT-18.
"""

from ipaddress import ip_address

from emulator.errors import ApiError
from emulator.model.edits import interface_of
from emulator.model.entities import Route, RouteTable, Subnet
from emulator.model.groups import AclRule, Direction, NetworkAcl
from emulator.model.quotas import ENTRIES_PER_ACL, ROUTES_PER_TABLE
from emulator.model.topology import Topology


def _acl_of(topology: Topology, acl: str) -> NetworkAcl:
    found = [one for one in topology.all(NetworkAcl) if acl in (one.id, one.name)]
    if len(found) != 1:
        raise ApiError("InvalidNetworkAclID.NotFound", f"The networkAcl ID '{acl}' does not exist")
    return found[0]


def create_acl_entry(topology: Topology, acl: str, direction: Direction, entry: AclRule) -> Topology:
    """A topology in which a network ACL has one more entry.

    Raises
    ------
    ApiError : InvalidNetworkAclID.NotFound, NetworkAclEntryAlreadyExists, NetworkAclEntryLimitExceeded (NA-15, NA-16).
    """
    found = _acl_of(topology, acl)
    entries = found.rules(direction)
    if any(one.number == entry.number for one in entries):
        raise ApiError("NetworkAclEntryAlreadyExists", f"The network acl entry identified by {entry.number} already exists.")
    same = 1 + sum(one.block.version == entry.block.version for one in entries)
    if same >= ENTRIES_PER_ACL:
        text = f"{found.name} has {same} IPv{entry.block.version} entries with the last one, *; {ENTRIES_PER_ACL} is the most"
        raise ApiError("NetworkAclEntryLimitExceeded", text)
    return topology.changed(found.id, **{direction.name.lower(): (*entries, entry)})


def replace_acl_entry(topology: Topology, acl: str, direction: Direction, entry: AclRule) -> Topology:
    """A topology in which the entry of that number is another one (NA-10).

    Raises
    ------
    ApiError : InvalidNetworkAclID.NotFound, InvalidNetworkAclEntry.NotFound.
    """
    return create_acl_entry(delete_acl_entry(topology, acl, direction, entry.number), acl, direction, entry)


def delete_acl_entry(topology: Topology, acl: str, direction: Direction, number: int) -> Topology:
    """A topology in which a network ACL lacks an entry.

    Raises
    ------
    ApiError : InvalidNetworkAclID.NotFound, InvalidNetworkAclEntry.NotFound.
    """
    found = _acl_of(topology, acl)
    left = tuple(one for one in found.rules(direction) if one.number != number)
    if len(left) == len(found.rules(direction)):
        raise ApiError("InvalidNetworkAclEntry.NotFound", f"The network acl entry identified by {number} does not exist.")
    return topology.changed(found.id, **{direction.name.lower(): left})


def delete_acl(topology: Topology, acl: str) -> Topology:
    """A topology without a network ACL.

    Raises
    ------
    ApiError : InvalidNetworkAclID.NotFound, CannotDelete for the default one, DependencyViolation while a subnet uses it (NA-16).
    """
    found = _acl_of(topology, acl)
    if found.name == "default":
        raise ApiError("CannotDelete", f"the default network ACL of {topology.display(found.vpc)} cannot be deleted")
    if any(subnet.network_acl == found.id for subnet in topology.all(Subnet)):
        raise ApiError("DependencyViolation", f"The networkAcl '{found.id}' has dependencies and cannot be deleted.")
    return topology.replace(without=[found.id])


def _table_of(topology: Topology, table: str) -> RouteTable:
    found = [one for one in topology.all(RouteTable) if table in (one.id, one.name)]
    if len(found) != 1:
        raise ApiError("InvalidRouteTableID.NotFound", f"The routeTable ID '{table}' does not exist")
    return found[0]


def create_route(topology: Topology, table: str, route: Route) -> Topology:
    """A topology in which a route table has one more route.

    Raises
    ------
    ApiError : InvalidRouteTableID.NotFound, RouteAlreadyExists, RouteLimitExceeded (RT-17, RT-18).
    TopologyError : a route that cannot be (RT-4, FB-9).
    """
    found = _table_of(topology, table)
    own = [one for one in found.routes if not one.propagated]
    if any(one.destination == route.destination for one in own):
        raise ApiError("RouteAlreadyExists", f"The route identified by {route.destination} already exists.")
    if len(own) >= ROUTES_PER_TABLE:
        raise ApiError("RouteLimitExceeded", f"{found.name} has {len(own)} routes; {ROUTES_PER_TABLE} is the most")
    return topology.changed(found.id, routes=(*found.routes, route))


def delete_route(topology: Topology, table: str, destination: object) -> Topology:
    """A topology in which a route table lacks the route to a destination (a block or a `ListPeer`).

    Raises
    ------
    ApiError : InvalidRouteTableID.NotFound, InvalidRoute.NotFound.
    """
    found = _table_of(topology, table)
    left = tuple(one for one in found.routes if one.destination != destination or one.propagated)
    if len(left) == len(found.routes):
        raise ApiError("InvalidRoute.NotFound", f"no route with destination-cidr-block {destination} in route table {found.id}")
    return topology.changed(found.id, routes=left)


def associate_address(topology: Topology, interface: str, public_ip: str) -> Topology:
    """A topology in which an interface's primary private address has a public one; any other it had is gone.

    Raises
    ------
    ApiError : InvalidNetworkInterfaceID.NotFound.
    """
    eni = interface_of(topology, interface)
    primary = next(ip for ip in eni.private_ips if ip.version == 4)
    others = tuple(pair for pair in eni.public_ips if pair[0] != primary)
    return topology.changed(eni.id, public_ips=((primary, ip_address(public_ip)), *others))


def disassociate_address(topology: Topology, interface: str) -> Topology:
    """A topology in which an interface's primary private address has no public one."""
    eni = interface_of(topology, interface)
    primary = next(ip for ip in eni.private_ips if ip.version == 4)
    return topology.changed(eni.id, public_ips=tuple(pair for pair in eni.public_ips if pair[0] != primary))
