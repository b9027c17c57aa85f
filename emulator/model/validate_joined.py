"""What must hold for transit gateways, customer networks, endpoints, balancers and edge route tables (RT-15, RT-54 to RT-57)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.model.entities import Instance, InternetGateway, NatGateway, NetworkInterface, RouteTable, Subnet, Vpc
from emulator.model.groups import ListPeer, SecurityGroup
from emulator.model.joined import (
    CustomerNetwork,
    InterfaceEndpoint,
    NetworkLoadBalancer,
    Node,
    TargetGroup,
    TransitGatewayAttachment,
    TransitGatewayRouteTable,
    VpnGateway,
)
from emulator.model.services import TCP, UDP

if TYPE_CHECKING:
    from emulator.model.topology import Topology

Problems = Iterator[tuple[object, str]]
MODES = ("off", "block-bidirectional", "block-ingress")
CONNECTIONS = ("vpn_static", "vpn_bgp", "direct_connect")
NAT_ADDRESSES = 8


def joined_problems(topology: "Topology") -> Problems:
    """Troubles of what is joined to VPCs, as pairs of the thing they are about and what is wrong."""
    things: list[Vpc | Subnet] = [*topology.all(Vpc), *topology.all(Subnet)]
    for thing in things:
        if thing.block_public_access not in MODES and (isinstance(thing, Vpc) or thing.block_public_access):
            yield thing, f'{thing.name}: block_public_access "{thing.block_public_access}" is not one of {", ".join(MODES)} (RT-28)'
    yield from _edges(topology)
    for nat in topology.all(NatGateway):
        if len(nat.addresses) > NAT_ADDRESSES:
            yield nat, f"{nat.name}: {len(nat.addresses)} addresses; a NAT gateway has at most {NAT_ADDRESSES} (RT-32)"
    for network in topology.all(CustomerNetwork):
        if network.connection not in CONNECTIONS:
            yield network, f'{network.name}: connection "{network.connection}" is not one of {", ".join(CONNECTIONS)}'
    yield from _attachments(topology)
    owners: list[InterfaceEndpoint | NetworkLoadBalancer] = [*topology.all(InterfaceEndpoint), *topology.all(NetworkLoadBalancer)]
    for owner in owners:
        yield from ((owner, f"{owner.name}: {text}") for text in _nodes(topology, owner.vpc, owner.nodes, owner.security_groups))
    yield from _balancers(topology)


def _edges(topology: "Topology") -> Problems:
    """An edge table's routes are for whole blocks of the VPC or of a subnet, to local, an interface or an endpoint (RT-15)."""
    gateways: list[InternetGateway | VpnGateway] = [*topology.all(InternetGateway), *topology.all(VpnGateway)]
    for gateway in gateways:
        if not gateway.route_table:
            continue
        table = topology.get(gateway.route_table, RouteTable)
        vpc = topology.get(gateway.vpc, Vpc)
        whole = {*vpc.blocks, *(block for subnet in topology.all(Subnet) if subnet.vpc == vpc.id for block in subnet.blocks)}
        if table.main or any(subnet.route_table == table.id for subnet in topology.all(Subnet)):
            yield gateway, f"{gateway.name}: {table.name} is a subnet's table; an edge table is for the gateway alone (RT-15)"
        for route in table.routes:
            thing = route if route.place else table
            if isinstance(route.destination, ListPeer) or route.destination not in whole:
                yield thing, f"{table.name}: an edge table's route is for the whole block of {vpc.name} or of a subnet (RT-15)"
            elif route.target != "local" and not route.blackhole and not isinstance(topology.entities[route.target], NetworkInterface):
                yield thing, f"{table.name}: an edge table's target is local or an interface (RT-15)"


def _attachments(topology: "Topology") -> Problems:
    joined: dict[tuple[str, str], str] = {}
    for attachment in topology.all(TransitGatewayAttachment):
        sides = [side for side in (attachment.vpc, attachment.network, attachment.peer) if side]
        if len(sides) != 1:
            yield attachment, f"{attachment.name}: an attachment joins one VPC, customer network or transit gateway; name exactly one"
            continue
        if joined.setdefault((attachment.transit_gateway, sides[0]), attachment.name) != attachment.name:
            other = joined[attachment.transit_gateway, sides[0]]
            yield attachment, f"{attachment.name}: {topology.display(sides[0])} is attached by {other} already; keep one of them"
        if attachment.vpc and not attachment.subnets:
            yield attachment, f"{attachment.name}: name a subnet in each zone that uses the transit gateway (RT-54)"
        for noun, given in (("interfaces", attachment.interfaces), ("addresses", attachment.private_ips)):
            if given and len(given) != len(attachment.subnets):
                yield attachment, f"{attachment.name}: {len(given)} {noun} for {len(attachment.subnets)} subnets; name one each"
        if attachment.private_ips:
            own = tuple(Node(*pair) for pair in zip(attachment.subnets, attachment.private_ips, strict=False))
            yield from ((attachment, f"{attachment.name}: {text}") for text in _nodes(topology, attachment.vpc, own, ()))
            continue
        zones: dict[str, str] = {}
        for key in attachment.subnets:
            subnet = topology.get(key, Subnet)
            if subnet.vpc != attachment.vpc:
                yield attachment, f"{attachment.name}: subnet {subnet.name} is of another VPC"
            if subnet.availability_zone and zones.setdefault(subnet.availability_zone, subnet.name) != subnet.name:
                first = zones[subnet.availability_zone]
                yield attachment, f"{attachment.name}: {first} and {subnet.name} are in one zone; name one subnet a zone (RT-54)"
    for table in topology.all(TransitGatewayRouteTable):
        seen = set()
        for route in table.routes:
            if route.destination in seen:
                yield route if route.place else table, f"{table.name}: the route {route.destination} stands twice; keep one of them"
            seen.add(route.destination)


def _nodes(topology: "Topology", vpc: str, nodes: tuple[Node, ...], groups: tuple[str, ...]) -> Iterator[str]:
    from emulator.model.validate import reserved

    if not nodes:
        yield "it needs an address in a subnet"
    zones: dict[str, str] = {}
    for node in nodes:
        subnet = topology.get(node.subnet, Subnet)
        block = next((block for block in subnet.blocks if node.private_ip in block), None)
        if subnet.vpc != vpc:
            yield f"subnet {subnet.name} is of another VPC"
        if block is None:
            yield f"{node.private_ip} lies outside {subnet.name} {', '.join(str(block) for block in subnet.blocks)}"
        elif reserved(node.private_ip, block):
            yield f"{node.private_ip} is reserved in {subnet.name} {block}; take another one (FB-14)"
        if subnet.availability_zone and zones.setdefault(subnet.availability_zone, subnet.name) != subnet.name:
            yield f"{zones[subnet.availability_zone]} and {subnet.name} are in one zone; take one subnet a zone"
        owners = topology.owners.get(node.private_ip, [])
        same = [key for key in owners if _vpc_at(topology, key) == vpc]
        if len(same) > 1:
            yield f"{node.private_ip} already belongs to {topology.display(same[0])}; each address belongs to one interface"
    for group in groups:
        if vpc not in topology.get(group, SecurityGroup).vpcs:
            yield f"group {topology.display(group)} is of another VPC; choose one of {topology.display(vpc)} (SG-3)"


def _vpc_at(topology: "Topology", key: str) -> str:
    entity = topology.entities[key]
    if isinstance(entity, NetworkInterface | NatGateway):
        return topology.get(entity.subnet, Subnet).vpc
    return getattr(entity, "vpc", "")


def _balancers(topology: "Topology") -> Problems:
    for balancer in topology.all(NetworkLoadBalancer):
        seen = set()
        for listener in balancer.listeners:
            thing = listener if listener.place else balancer
            if (listener.protocol, listener.port) in seen:
                yield thing, f"{balancer.name}: port {listener.port} has two listeners; keep one of them"
            seen.add((listener.protocol, listener.port))
            if listener.protocol not in (TCP, UDP) or not 1 <= listener.port <= 65535:
                yield thing, f"{balancer.name}: a listener is for a tcp or udp port from 1 to 65535"
            if topology.get(listener.target_group, TargetGroup).protocol != listener.protocol:
                yield thing, f"{balancer.name}: {topology.display(listener.target_group)} is for another protocol than the listener's"
    for group in topology.all(TargetGroup):
        if group.target_type not in ("instance", "ip"):
            yield group, f'{group.name}: target_type "{group.target_type}" is not one of instance, ip'
            continue
        for target in group.targets:
            if group.target_type == "ip" and not _is_address(target.target):
                yield group, f"{group.name}: {target.target} is not an address; targets of type ip are addresses"
            entity = topology.entities.get(target.target)
            vpc = entity.vpc if isinstance(entity, Instance) else group.vpc
            if vpc != group.vpc:
                yield group, f"{group.name}: {topology.display(target.target)} is in another VPC; register it by its address"


def _is_address(text: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(text)
    except ValueError:
        return False
    return True
