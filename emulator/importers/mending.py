"""Makes a topology of parts that other people's data gave, leaving out what does not hold together.

`Topology.of` refuses a whole file for one bad line, as is right for what a person writes; real exports hold things
that EC2 itself has since forgotten.  The same checks are made here, and what they speak of is taken out with a note,
until the rest passes.
"""

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from emulator.errors import TopologyError
from emulator.importers.report import Report
from emulator.model import names
from emulator.model.entities import Instance, InternetGateway, NetworkInterface, Route, RouteTable, Subnet, Vpc
from emulator.model.groups import AclRule, NetworkAcl, Rule, SecurityGroup
from emulator.model.joined import (
    GatewayEndpoint,
    InterfaceEndpoint,
    NetworkLoadBalancer,
    Node,
    TargetGroup,
    TransitGatewayAttachment,
    TransitGatewayRouteTable,
    VpnGateway,
)
from emulator.model.topology import Entity, Topology
from emulator.model.validate import troubles

ROUNDS = 12
_NEEDED = ("vpc", "subnet", "instance", "requester", "accepter", "transit_gateway", "network", "peer", "gateway", "prefix_list")


def mended(name: str, parts: list[Any], report: Report) -> Topology:
    """A topology of the parts that hold together.

    Raises
    ------
    TopologyError : references that cannot be resolved, or nothing is left.
    """
    for _ in range(ROUNDS):
        table, _, problems = names.resolve(parts, [])
        if problems:
            raise TopologyError(*problems)
        found = list(troubles(Topology(name, MappingProxyType(table))))
        if not found:
            return Topology.of(*table.values(), name=name)
        for thing, text in found:
            report.left_out(type(thing).__name__, str(getattr(thing, "id", "")), text, str(getattr(thing, "place", "")))
        parts = without(table.values(), [thing for thing, _ in found])
        left = {part.id for part in parts} | {getattr(thing, "id", "") for thing, _ in found}
        for entity in table.values():
            if entity.id not in left:
                text = "it cannot be without what is left out here"
                report.left_out(type(entity).__name__, entity.id, text, entity.place)
        if not any(isinstance(part, Vpc) for part in parts):
            raise TopologyError(found[0][1])
    raise TopologyError(found[0][1])


def without(entities: Iterable[Entity], things: list[object]) -> list[Entity]:
    """The entities without some of them, without some of their rules and routes, and without what hangs on those."""
    gone = {id(thing) for thing in things}
    kept = [_trimmed(entity, gone) for entity in entities if id(entity) not in gone]
    while True:
        ids = {entity.id for entity in kept}
        enis = [entity for entity in kept if isinstance(entity, NetworkInterface)]
        with_eni = {eni.instance for eni in enis}
        rest = [entity for entity in kept if _stands(entity, ids) and (not isinstance(entity, Instance) or entity.id in with_eni)]
        if len(rest) == len(kept):
            return [_unhinged(entity, ids) for entity in rest]
        kept = rest


def _trimmed(entity: Entity, gone: set[int]) -> Entity:
    def rest(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(item for item in items if id(item) not in gone)

    if isinstance(entity, SecurityGroup):
        rules: tuple[Rule, ...] = rest(entity.egress or ())
        return replace(entity, ingress=rest(entity.ingress), egress=rules)
    if isinstance(entity, NetworkAcl):
        entries: tuple[AclRule, ...] = rest(entity.egress)
        return replace(entity, ingress=rest(entity.ingress), egress=entries)
    if isinstance(entity, RouteTable):
        return replace(entity, routes=rest(entity.routes))
    return entity


def _stands(entity: Entity, ids: set[str]) -> bool:
    """Whether everything that an entity cannot be without is there."""
    nodes = getattr(entity, "nodes", ())
    return all(not getattr(entity, field, "") or getattr(entity, field) in ids for field in _NEEDED) and (
        not nodes or any(node.subnet in ids for node in nodes)
    )


def _unhinged(entity: Entity, ids: set[str]) -> Entity:
    """The entity with its looser references to what is gone undone: groups, tables, targets."""
    match entity:
        case NetworkInterface():
            return replace(entity, security_groups=tuple(key for key in entity.security_groups if key in ids))
        case Subnet():
            return replace(
                entity,
                route_table=entity.route_table if entity.route_table in ids else "",
                network_acl=entity.network_acl if entity.network_acl in ids else "",
            )
        case RouteTable():
            return replace(
                entity, routes=tuple(_route(route, ids) for route in entity.routes if getattr(route.destination, "list", "") in (*ids, ""))
            )
        case SecurityGroup():
            return replace(
                entity,
                ingress=tuple(rule for rule in entity.ingress if getattr(rule.peer, "list", "") in (*ids, "")),
                egress=tuple(rule for rule in entity.egress or () if getattr(rule.peer, "list", "") in (*ids, "")),
            )
        case InterfaceEndpoint():
            return replace(entity, nodes=_nodes(entity.nodes, ids), security_groups=_there(entity.security_groups, ids))
        case NetworkLoadBalancer():
            listeners = tuple(listener for listener in entity.listeners if listener.target_group in ids)
            groups = _there(entity.security_groups, ids)
            return replace(entity, nodes=_nodes(entity.nodes, ids), listeners=listeners, security_groups=groups)
        case TargetGroup() if entity.target_type == "instance":
            return replace(entity, targets=tuple(target for target in entity.targets if target.target in ids))
        case GatewayEndpoint():
            return replace(entity, route_tables=_there(entity.route_tables, ids))
        case InternetGateway() | VpnGateway():
            return replace(entity, route_table=entity.route_table if entity.route_table in ids else "")
        case TransitGatewayAttachment():
            pairs = [pair for pair in zip(entity.subnets, entity.interfaces, strict=False) if pair[0] in ids]
            subnets, interfaces = tuple(subnet for subnet, _ in pairs), tuple(eni for _, eni in pairs)
            table = entity.route_table if entity.route_table in ids else ""
            learning = _there(entity.propagates_to or (), ids)
            return replace(entity, subnets=subnets, interfaces=interfaces, route_table=table, propagates_to=learning)
        case TransitGatewayRouteTable():
            lost = [route for route in entity.routes if route.attachment and route.attachment not in ids]
            routes = tuple(replace(route, attachment="", blackhole=True) if route in lost else route for route in entity.routes)
            return replace(entity, routes=routes)
    return entity


def _there(keys: tuple[str, ...], ids: set[str]) -> tuple[str, ...]:
    return tuple(key for key in keys if key in ids)


def _nodes(nodes: tuple[Node, ...], ids: set[str]) -> tuple[Node, ...]:
    return tuple(node for node in nodes if node.subnet in ids)


def _route(route: Route, ids: set[str]) -> Route:
    return route if route.target in ids or route.target == "local" else replace(route, blackhole=True)
