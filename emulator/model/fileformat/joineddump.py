"""The entities of `emulator.model.joined` as the fields of a topology file."""

from typing import Any

from emulator.model.entities import Instance, NetworkInterface, RouteTable, Subnet, Vpc
from emulator.model.fileformat.references import References
from emulator.model.fileformat.yamltext import OneLine
from emulator.model.groups import SecurityGroup
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    InterfaceEndpoint,
    NetworkLoadBalancer,
    Node,
    TargetGroup,
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRouteTable,
    VpnGateway,
)
from emulator.model.services import TCP, protocol_name
from emulator.model.topology import Topology


def given(said: dict[str, Any]) -> dict[str, Any]:
    """What has something to say."""
    return {name: value for name, value in said.items() if value}


def _nodes(references: References, owner: str, nodes: tuple[Node, ...], vpc: str) -> list[OneLine]:
    said = []
    for node in nodes:
        made = f"eni-{owner}-{node.subnet.removeprefix('subnet-')}"
        fields = {
            "subnet": references.name(node.subnet, (Subnet,), vpc),
            "private_ip": str(node.private_ip),
            "elastic_ip": None if node.public_ip is None else str(node.public_ip),
            "interface": "" if node.interface == made else node.interface,
        }
        said.append(OneLine(given(fields)))
    return said


def endpoint_fields(end: GatewayEndpoint | InterfaceEndpoint, references: References) -> dict[str, Any]:
    """A VPC endpoint."""
    if isinstance(end, GatewayEndpoint):
        fields = {
            "type": "Gateway",
            "service": "" if end.service == "s3" else end.service,
            "prefix_list": references.list(end.prefix_list, end.vpc),
            "route_tables": [references.name(table, (RouteTable,), end.vpc) for table in end.route_tables],
            "id": references.own_id(end),
        }
        return OneLine(given(fields))
    groups = [references.name(group, (SecurityGroup,), end.vpc) for group in end.security_groups]
    said: dict[str, Any] = {
        "type": "Interface",
        "service": end.service,
        "nodes": _nodes(references, end.name, end.nodes, end.vpc),
        "security_groups": [] if groups == ["default"] else groups,
        "ports": [] if end.ports == (443,) else list(end.ports),
        "private_dns_names": list(end.private_dns_names),
        "id": references.own_id(end),
    }
    return given(said)


def target_group_fields(group: TargetGroup, references: References) -> dict[str, Any]:
    """A target group."""
    targets: list[Any] = []
    for target in group.targets:
        name = target.target if group.target_type == "ip" else _served(references, target.target, group.vpc)
        more = given({"port": target.port}) | ({} if target.healthy else {"healthy": False})
        targets.append(OneLine({"target": name} | more) if more else name)
    said = {
        "port": group.port,
        "protocol": "" if group.protocol == TCP else protocol_name(group.protocol),
        "target_type": "" if group.target_type == "instance" else group.target_type,
        "targets": targets,
        "id": references.own_id(group),
    }
    kept = group.preserve_client_ip
    return given(said) | ({} if kept is None else {"preserve_client_ip": kept})


def _served(references: References, key: str, vpc: str) -> str:
    return references.target(key, vpc) if references.is_interface(key) else references.name(key, (NetworkInterface, Instance), vpc)


def balancer_fields(balancer: NetworkLoadBalancer, references: References) -> dict[str, Any]:
    """A network load balancer."""
    listeners = []
    for one in balancer.listeners:
        protocol = "" if one.protocol == TCP else protocol_name(one.protocol)
        group = references.name(one.target_group, (TargetGroup,), balancer.vpc)
        listeners.append(OneLine(given({"port": one.port, "protocol": protocol, "target_group": group})))
    said = {
        "nodes": _nodes(references, balancer.name, balancer.nodes, balancer.vpc),
        "listeners": listeners,
        "cross_zone": balancer.cross_zone,
        "internal": balancer.internal,
        "security_groups": [references.name(group, (SecurityGroup,), balancer.vpc) for group in balancer.security_groups],
        "id": references.own_id(balancer),
    }
    return given(said)


def network_fields(network: CustomerNetwork, references: References) -> dict[str, Any]:
    """A customer network."""
    said = {
        "cidr_blocks": [str(block) for block in network.blocks],
        "vpn_gateway": references.name(network.gateway, (VpnGateway,), references.home(network.gateway)) if network.gateway else "",
        "connection": "" if network.connection == "vpn_bgp" else network.connection,
        "id": references.own_id(network),
    }
    return OneLine(given(said) | ({} if network.up else {"up": False}))


def transit_fields(topology: Topology, gateway: TransitGateway, references: References) -> dict[str, Any]:
    """A transit gateway with its tables and attachments."""
    tables = [table for table in topology.all(TransitGatewayRouteTable) if table.transit_gateway == gateway.id]
    usual = next((table.id for table in tables if len(tables) == 1 or table.name == "default"), "")
    made = f"tgw-rtb-{gateway.name.removeprefix('tgw-')}"
    shown = [] if len(tables) == 1 and tables[0].name == "default" and tables[0].id == made and not tables[0].routes else tables
    attachments = [one for one in topology.all(TransitGatewayAttachment) if one.transit_gateway == gateway.id]
    said = {
        "security_group_referencing": gateway.security_group_referencing,
        "route_tables": {table.name: _table_fields(table, references) for table in shown},
        "attachments": {one.name: _attachment_fields(one, usual, references) for one in attachments},
        "id": references.own_id(gateway),
    }
    return given(said)


def _table_fields(table: TransitGatewayRouteTable, references: References) -> dict[str, Any]:
    routes = []
    for route in table.routes:
        to = references.name(route.attachment, (TransitGatewayAttachment,), references.home(route.attachment)) if route.attachment else ""
        routes.append(OneLine(given({"destination": str(route.destination), "attachment": to, "blackhole": route.blackhole})))
    return given({"routes": routes, "id": references.own_id(table) or ("" if table.id == f"tgw-rtb-{table.name}" else table.id)})


def _attachment_fields(one: TransitGatewayAttachment, usual: str, references: References) -> OneLine:
    tables = (TransitGatewayRouteTable,)
    made = tuple(f"eni-{one.name}-{subnet.removeprefix('subnet-')}" for subnet in one.subnets)
    said: dict[str, Any] = {
        "vpc": references.name(one.vpc, (Vpc,), "") if one.vpc else "",
        "subnets": [references.name(subnet, (Subnet,), one.vpc) for subnet in one.subnets],
        "network": references.name(one.network, (CustomerNetwork,), "") if one.network else "",
        "peer": references.name(one.peer, (TransitGateway,), "") if one.peer else "",
        "route_table": references.name(one.route_table, tables, "") if one.route_table and one.route_table != usual else "",
        "appliance_mode": one.appliance_mode,
        "interfaces": [] if one.interfaces == made else list(one.interfaces),
        "private_ips": [str(ip) for ip in one.private_ips],
        "id": references.own_id(one),
    }
    said = given(said)
    if not one.route_table:
        said["associated"] = False
    if one.propagates_to != ((usual,) if usual else ()):
        said["propagates_to"] = [references.name(table, tables, "") for table in one.propagates_to or ()]
    if not one.security_group_referencing:
        said["security_group_referencing"] = False
    return OneLine(said)


def vpn_gateway_fields(gateway: VpnGateway, references: References) -> Any:
    """A VPN gateway: its name, or fields."""
    edge = references.name(gateway.route_table, (RouteTable,), gateway.vpc) if gateway.route_table else ""
    said = given({"name": gateway.name, "id": references.own_id(gateway), "route_table": edge})
    return OneLine(said) if len(said) > 1 else gateway.name
