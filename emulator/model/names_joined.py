"""Names to ids for what `joined` declares; the part of `names` that knows those entities."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from emulator.model.entities import Instance, NetworkInterface, RouteTable, Subnet, Vpc
from emulator.model.groups import PrefixList, SecurityGroup
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

if TYPE_CHECKING:
    from emulator.model.topology import Entity

PREFIX: dict[type, str] = {
    CustomerNetwork: "cgw",
    VpnGateway: "vgw",
    TransitGateway: "tgw",
    TransitGatewayRouteTable: "tgw-rtb",
    TransitGatewayAttachment: "tgw-attach",
    GatewayEndpoint: "vpce",
    InterfaceEndpoint: "vpce",
    TargetGroup: "targetgroup",
    NetworkLoadBalancer: "loadbalancer",
}
NOUN: dict[type, str] = {
    CustomerNetwork: "customer network",
    VpnGateway: "VPN gateway",
    TransitGateway: "transit gateway",
    TransitGatewayRouteTable: "transit gateway route table",
    TransitGatewayAttachment: "transit gateway attachment",
    GatewayEndpoint: "gateway endpoint",
    InterfaceEndpoint: "interface endpoint",
    TargetGroup: "target group",
    NetworkLoadBalancer: "load balancer",
}
ENDS = (NetworkInterface, Instance)


class Resolver(Protocol):
    """What `names` offers: the one id that a reference means, and the ids of one transit gateway's tables."""

    table: dict[str, "Entity"]

    def one(self, text: str, kinds: tuple[type, ...], home: str, thing: object, what: str) -> str:
        """The one id that a reference means."""

    def find(self, text: str, kinds: tuple[type, ...], home: str) -> list[str]:
        """Ids that a reference may mean."""

    def interface(self, text: str) -> str:
        """Id of the interface shown as ``instance:eth0``; empty if there is none."""


def resolved_fields(resolver: Resolver, entity: "Entity", home: str, what: str, default_group: str) -> dict[str, Any]:
    """The reference fields of an entity with ids for names; empty for the kinds that `names` itself resolves."""

    def one(text: str, *kinds: type, where: str = home) -> str:
        return resolver.one(text, kinds, where, entity, what)

    def nodes(declared: tuple[Node, ...]) -> tuple[Node, ...]:
        done = []
        for node in declared:
            made = node.interface or f"eni-{entity.name}-{node.subnet.removeprefix('subnet-')}"
            done.append(replace(node, subnet=one(node.subnet, Subnet), interface=made))
        return tuple(done)

    match entity:
        case CustomerNetwork():
            return {"gateway": one(entity.gateway, VpnGateway, where="")} if entity.gateway else {}
        case VpnGateway():
            return {"route_table": one(entity.route_table, RouteTable)} if entity.route_table else {}
        case TransitGatewayRouteTable():
            routes = tuple(
                route if route.blackhole else replace(route, attachment=one(route.attachment, TransitGatewayAttachment, where=""))
                for route in entity.routes
            )
            return {"transit_gateway": one(entity.transit_gateway, TransitGateway, where=""), "routes": routes}
        case TransitGatewayAttachment():
            return _attachment(resolver, entity, what)
        case GatewayEndpoint():
            tables = tuple(one(table, RouteTable) for table in entity.route_tables)
            return {"prefix_list": one(entity.prefix_list, PrefixList), "route_tables": tables}
        case InterfaceEndpoint():
            groups = tuple(one(group, SecurityGroup) for group in entity.security_groups)
            return {"nodes": nodes(entity.nodes), "security_groups": groups or ((default_group,) if default_group else ())}
        case NetworkLoadBalancer():
            groups = tuple(one(group, SecurityGroup) for group in entity.security_groups)
            listeners = tuple(replace(listener, target_group=one(listener.target_group, TargetGroup)) for listener in entity.listeners)
            return {"nodes": nodes(entity.nodes), "security_groups": groups, "listeners": listeners}
        case TargetGroup():
            targets = entity.targets
            if entity.target_type == "instance":
                targets = tuple(
                    replace(target, target=resolver.interface(target.target) or one(target.target, *ENDS)) for target in entity.targets
                )
            return {"targets": targets}
    return {}


def _attachment(resolver: Resolver, entity: TransitGatewayAttachment, what: str) -> dict[str, Any]:
    gateway = resolver.one(entity.transit_gateway, (TransitGateway,), "", entity, what)
    fields: dict[str, Any] = {"transit_gateway": gateway}
    if entity.vpc:
        vpc = resolver.one(entity.vpc, (Vpc,), "", entity, what)
        fields["vpc"] = vpc
        fields["subnets"] = tuple(resolver.one(subnet, (Subnet,), vpc, entity, what) for subnet in entity.subnets)
        made = tuple(f"eni-{entity.name}-{subnet.removeprefix('subnet-')}" for subnet in fields["subnets"])
        fields["interfaces"] = entity.interfaces or made
    if entity.network:
        fields["network"] = resolver.one(entity.network, (CustomerNetwork,), "", entity, what)
    if entity.peer:
        fields["peer"] = resolver.one(entity.peer, (TransitGateway,), "", entity, what)
    tables = [
        key
        for key, table in resolver.table.items()
        if isinstance(table, TransitGatewayRouteTable) and resolver.find(table.transit_gateway, (TransitGateway,), "") == [gateway]
    ]
    usual = next((key for key in tables if len(tables) == 1 or resolver.table[key].name == "default"), "")
    for field in ("route_table", "propagates_to"):
        named = getattr(entity, field)
        if named is None:
            fields[field] = usual if field == "route_table" else (usual,) if usual else ()
        elif isinstance(named, tuple):
            fields[field] = tuple(resolver.one(table, (TransitGatewayRouteTable,), "", entity, what) for table in named)
        elif named:
            fields[field] = resolver.one(named, (TransitGatewayRouteTable,), "", entity, what)
    return fields


def default_tables(entities: list["Entity"], made_id: Any) -> list["Entity"]:
    """A table called ``default`` for each transit gateway that declares none."""
    with_table = {entity.transit_gateway for entity in entities if isinstance(entity, TransitGatewayRouteTable)}
    return [
        TransitGatewayRouteTable("default", gateway.name, id=f"tgw-rtb-{gateway.name.removeprefix('tgw-')}")
        for gateway in entities
        if isinstance(gateway, TransitGateway) and not with_table & {gateway.name, gateway.id or made_id(gateway)}
    ]
