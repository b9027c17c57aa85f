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
from emulator.model.entities import Instance, NetworkInterface, Route, RouteTable, Subnet, Vpc
from emulator.model.groups import AclRule, NetworkAcl, Rule, SecurityGroup
from emulator.model.topology import Entity, Topology
from emulator.model.validate import troubles

ROUNDS = 12


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
    needed = [
        getattr(entity, field, "") for field in ("vpc", "subnet", "instance", "requester", "accepter", "transit_gateway", "network", "peer")
    ]
    return all(not key or key in ids for key in needed)


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
    return entity


def _route(route: Route, ids: set[str]) -> Route:
    return route if route.target in ids or route.target == "local" else replace(route, blackhole=True)
