"""The forms of `joinedforms` to the entities of `emulator.model.joined`, each with its place."""

from collections.abc import Iterator

from emulator.model.fileformat.attachments import Attachments
from emulator.model.fileformat.fileforms import FileForm, VpcForm
from emulator.model.fileformat.joinedforms import NodeForm, TransitAttachmentForm
from emulator.model.fileformat.nodes import Document
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    InterfaceEndpoint,
    Joined,
    Listener,
    NetworkLoadBalancer,
    Node,
    Target,
    TargetGroup,
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRoute,
    TransitGatewayRouteTable,
    VpnGateway,
)
from emulator.model.services import parse_protocol


def joined_of_vpc(document: Document, attachments: Attachments, vpc: str, form: VpcForm) -> Iterator[Joined]:
    """What a VPC has of VPN gateways, endpoints, target groups and balancers."""

    def place(*path: str | int) -> str:
        return document.place("vpcs", vpc, *path)

    def nodes(written: list[NodeForm]) -> tuple[Node, ...]:
        return tuple(Node(attachments.subnet_id(vpc, node.subnet), node.private_ip, node.elastic_ip, node.interface) for node in written)

    if form.vpn_gateway is not None:
        gateway = form.vpn_gateway
        yield VpnGateway(gateway.name, vpc, gateway.route_table, gateway.id, place("vpn_gateway"))
    for name, end in form.vpc_endpoints.items():
        at = place("vpc_endpoints", name)
        if end.type == "Gateway":
            yield GatewayEndpoint(name, vpc, end.prefix_list, tuple(end.route_tables), end.service or "s3", end.id, at)
        else:
            groups, names = tuple(end.security_groups), tuple(end.private_dns_names)
            yield InterfaceEndpoint(name, vpc, nodes(end.nodes), groups, tuple(end.ports), end.service, names, end.id, at)
    for name, group in form.target_groups.items():
        targets = tuple(Target(attachments.spelt(one.target, vpc), one.port or 0, one.healthy) for one in group.targets)
        protocol, at = parse_protocol(group.protocol), place("target_groups", name)
        yield TargetGroup(name, vpc, group.port, targets, protocol, group.target_type, group.preserve_client_ip, group.id, at)
    for name, balancer in form.network_load_balancers.items():
        path = ("network_load_balancers", name)
        listeners = tuple(
            Listener(one.port, one.target_group, parse_protocol(one.protocol), place(*path, "listeners", number))
            for number, one in enumerate(balancer.listeners)
        )
        groups = tuple(balancer.security_groups)
        yield NetworkLoadBalancer(
            name, vpc, nodes(balancer.nodes), listeners, balancer.cross_zone, balancer.internal, groups, balancer.id, place(*path)
        )


def joined_beside(document: Document, attachments: Attachments, form: FileForm) -> Iterator[Joined]:
    """The customer networks and transit gateways, which stand beside the VPCs."""
    place = document.place
    for name, network in form.customer_networks.items():
        at = place("customer_networks", name)
        yield CustomerNetwork(name, tuple(network.cidr_blocks), network.vpn_gateway, network.connection, network.up, network.id, at)
    for name, gateway in form.transit_gateways.items():
        path = ("transit_gateways", name)
        yield TransitGateway(name, gateway.security_group_referencing, gateway.id, place(*path))
        for key, table in gateway.route_tables.items():
            here = (*path, "route_tables", key)
            routes = tuple(
                TransitGatewayRoute(one.destination, one.attachment, one.blackhole, place(*here, "routes", number))
                for number, one in enumerate(table.routes)
            )
            yield TransitGatewayRouteTable(key, name, routes, table.id, place(*here))
        for key, attachment in gateway.attachments.items():
            yield _attachment(attachments, name, key, attachment, place(*path, "attachments", key))


def _attachment(attachments: Attachments, gateway: str, name: str, form: TransitAttachmentForm, place: str) -> TransitGatewayAttachment:
    return TransitGatewayAttachment(
        name,
        gateway,
        form.vpc,
        tuple(attachments.subnet_id(form.vpc, subnet) for subnet in form.subnets),
        form.network,
        form.peer,
        (form.route_table or None) if form.associated else "",
        None if form.propagates_to is None else tuple(form.propagates_to),
        form.appliance_mode,
        form.security_group_referencing,
        tuple(form.interfaces),
        tuple(form.private_ips),
        form.id,
        place,
    )
