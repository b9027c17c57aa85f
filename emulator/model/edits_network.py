"""Edits of network ACLs, routes and addresses as EC2 makes them; see `edits` for groups.

Source: EC2 API Reference, "Error codes"; facts NA-10, NA-15, NA-16, RT-17, RT-18.
"""

from ipaddress import IPv4Network, IPv6Network, ip_address

from emulator.errors import ApiError
from emulator.model.edits import interface_of, vpc_of
from emulator.model.entities import InternetGateway, Route, RouteTable, Subnet
from emulator.model.groups import AclRule, Direction, ListPeer, NetworkAcl
from emulator.model.quotas import ACLS_PER_VPC, ENTRIES_PER_ACL, ROUTES_PER_TABLE, TABLES_PER_VPC
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


def create_acl(topology: Topology, vpc: str, name: str) -> Topology:
    """A topology with one more network ACL, which denies everything (NA-9).

    Raises
    ------
    ApiError : InvalidVpcID.NotFound, NetworkAclLimitExceeded (NA-15, NA-16).
    """
    home = vpc_of(topology, vpc)
    known = sum(acl.vpc == home.id for acl in topology.all(NetworkAcl))
    if known >= ACLS_PER_VPC:
        raise ApiError("NetworkAclLimitExceeded", f"{home.name} has {known} network ACLs; {ACLS_PER_VPC} is the most")
    return topology.replace(NetworkAcl(name, home.id))


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


def create_route_table(topology: Topology, vpc: str, name: str) -> Topology:
    """A topology with one more route table, of local routes alone (RT-2).

    Raises
    ------
    ApiError : InvalidVpcID.NotFound, RouteTableLimitExceeded (RT-17, RT-18).
    """
    home = vpc_of(topology, vpc)
    known = sum(table.vpc == home.id for table in topology.all(RouteTable))
    if known >= TABLES_PER_VPC:
        raise ApiError("RouteTableLimitExceeded", f"{home.name} has {known} route tables; {TABLES_PER_VPC} is the most")
    return topology.replace(RouteTable(name, home.id))


def associate_route_table(topology: Topology, table: str, subnet: str) -> Topology:
    """A topology in which a subnet that used the main table uses another one (RT-1).

    Raises
    ------
    ApiError : InvalidRouteTableID.NotFound, InvalidSubnetID.NotFound, Resource.AlreadyAssociated (RT-18).
    """
    found = _table_of(topology, table)
    place = next((one for one in topology.all(Subnet) if subnet in (one.id, one.name)), None)
    if place is None:
        raise ApiError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet}' does not exist")
    if place.route_table:
        raise ApiError(
            "Resource.AlreadyAssociated", f"{place.name} has {topology.display(place.route_table)} already; one table a subnet (RT-1)"
        )
    return topology.changed(place.id, route_table=found.id)


def delete_route_table(topology: Topology, table: str) -> Topology:
    """A topology without a route table.

    Raises
    ------
    ApiError : InvalidRouteTableID.NotFound, DependencyViolation while a subnet or gateway uses it, or for a main table (RT-18).
    """
    found = _table_of(topology, table)
    users = [entity.name for entity in topology.entities.values() if getattr(entity, "route_table", "") == found.id]
    if users or found.main:
        why = f"{users[0]} uses it" if users else "it is a main table"
        raise ApiError("DependencyViolation", f"The routeTable '{found.id}' has dependencies and cannot be deleted: {why}")
    return topology.replace(without=[found.id])


def create_route(topology: Topology, table: str, route: Route) -> Topology:
    """A topology in which a route table has one more route.

    Raises
    ------
    ApiError : InvalidRouteTableID.NotFound, RouteAlreadyExists, RouteLimitExceeded, Gateway.NotAttached for an internet gateway
        of another VPC (RT-17, RT-18).
    TopologyError : a route that cannot be (RT-4, FB-9).
    """
    found = _table_of(topology, table)
    own = [one for one in found.routes if not one.propagated]
    if any(one.destination == route.destination for one in own):
        raise ApiError("RouteAlreadyExists", f"The route identified by {route.destination} already exists.")
    if len(own) >= ROUTES_PER_TABLE:
        raise ApiError("RouteLimitExceeded", f"{found.name} has {len(own)} routes; {ROUTES_PER_TABLE} is the most")
    gateway = next((one for one in topology.all(InternetGateway) if route.target in (one.id, one.name)), None)
    if gateway is not None and gateway.vpc != found.vpc:
        text = f"resource {gateway.id} and route table {found.id} belong to different networks"
        raise ApiError("Gateway.NotAttached", text)
    return topology.changed(found.id, routes=(*found.routes, route))


def delete_route(topology: Topology, table: str, destination: object) -> Topology:
    """A topology in which a route table lacks the route to a destination (a block or a `ListPeer`).

    Raises
    ------
    ApiError : InvalidRouteTableID.NotFound, InvalidRoute.NotFound; InvalidRoute.Malformed for what is no destination and
        InvalidRoute.InvalidState for a propagated route: the reference names these codes without their triggers (RT-18).
    """
    found = _table_of(topology, table)
    if not isinstance(destination, IPv4Network | IPv6Network | ListPeer):
        raise ApiError("InvalidRoute.Malformed", f"{destination!r} is neither a block nor a prefix list")
    same = [one for one in found.routes if one.destination == destination]
    if same and all(one.propagated for one in same):
        raise ApiError("InvalidRoute.InvalidState", f"the route to {destination} in {found.id} is propagated; end the propagation instead")
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
