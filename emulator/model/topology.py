"""Topology: everything declared, resolved and kept as a networkx graph.

The graph's nodes are ids; a node carries ``kind`` (``vpc``, ``subnet``, ``instance``, ``interface``, ``group``,
``prefix_list``, ``route_table``, ``network_acl``, ``gateway``, ``peering``, ``external``, and those of `joined`:
``network``, ``attachment``, ``endpoint``, ``balancer``, ``target_group``), ``name`` and ``entity``.
Its edges carry ``kind``: ``contains`` (VPC → subnet → interface), ``attached`` (instance → interface, VPC → gateway),
``member`` (interface → group), ``refers`` (group → group or prefix list), ``routes`` (subnet → route table → target),
``filters`` (network ACL → subnet), ``peers`` and ``link``.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from emulator.errors import TopologyError, UsageError
from emulator.model import names
from emulator.model.entities import (
    Address,
    EgressOnlyInternetGateway,
    Expectation,
    ExternalHost,
    Instance,
    InternetGateway,
    Link,
    NatGateway,
    NetworkInterface,
    Policy,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import NetworkAcl, PrefixList, SecurityGroup
from emulator.model.joined import InterfaceEndpoint, Joined, NetworkLoadBalancer, TransitGatewayAttachment
from emulator.model.schedule import PlannedEdit

if TYPE_CHECKING:
    import networkx as nx

E = TypeVar("E")
INTERNET = "internet"
"""What everything outside that has no name is called in questions."""
Entity = (
    Vpc
    | Subnet
    | Instance
    | NetworkInterface
    | SecurityGroup
    | PrefixList
    | RouteTable
    | NetworkAcl
    | InternetGateway
    | EgressOnlyInternetGateway
    | NatGateway
    | VpcPeeringConnection
    | ExternalHost
    | Joined
)
End = Instance | NetworkInterface | ExternalHost | InterfaceEndpoint | NetworkLoadBalancer
"""What a question can begin or end at."""


@dataclass(frozen=True)
class Topology:
    """One or more VPCs and the hosts outside, by id; build it with `Topology.of` or read it with `load`.

    Parameters
    ----------
    name : of the whole.
    entities : every entity by its id, in the order of declaration.
    links : declared links.
    expect : what the author says must hold.
    policy : settings for what AWS does not say.
    map : who is who in captures whose addresses are not the topology's: (address in the capture, name).
    schedule : edits that it plans for a time of its run.
    """

    name: str
    entities: Mapping[str, Entity]
    links: tuple[Link, ...] = ()
    expect: tuple[Expectation, ...] = ()
    policy: Policy = field(default_factory=Policy)
    map: tuple[tuple[Address, str], ...] = ()
    schedule: tuple[PlannedEdit, ...] = ()

    @classmethod
    def of(
        cls,
        *parts: Entity | Link | Expectation | PlannedEdit,
        name: str = "topology",
        policy: Policy | None = None,
        map: tuple[tuple[Address, str], ...] = (),
    ) -> "Topology":
        """A topology from its parts, in any order: names resolved, AWS's defaults added, everything checked.

        Added where absent: each VPC's ``default`` group, main route table, local routes and default network ACL.

        Raises
        ------
        TopologyError : every trouble found, each in one line with the place where it was written.

        Examples
        --------
        >>> from ipaddress import ip_address, ip_network
        >>> lab = Topology.of(
        ...     Vpc("lab", (ip_network("10.0.0.0/16"),)),
        ...     Subnet("a", "lab", (ip_network("10.0.1.0/24"),)),
        ...     Instance("alice", "lab"),
        ...     NetworkInterface("eth0", "alice", "a", (ip_address("10.0.1.10"),)),
        ... )
        >>> [group.name for group in lab.all(SecurityGroup)]
        ['default']
        """
        entities = [part for part in parts if not isinstance(part, Link | Expectation | PlannedEdit)]
        resolved, links, problems = names.resolve(entities, [part for part in parts if isinstance(part, Link)])
        topology = cls(
            name,
            MappingProxyType(resolved),
            tuple(links),
            tuple(part for part in parts if isinstance(part, Expectation)),
            policy or Policy(),
            map,
            tuple(part for part in parts if isinstance(part, PlannedEdit)),
        )
        from emulator.model.validate import problems_of

        problems = problems or problems_of(topology)
        if problems:
            raise TopologyError(*problems)
        return topology

    def __reduce__(self) -> tuple[Any, ...]:
        """What another process needs to have the same topology; a read-only mapping cannot be pickled as it is."""
        return _again, (self.name, dict(self.entities), self.links, self.expect, self.policy, self.map, self.schedule)

    @classmethod
    def from_boto3(cls, session: Any = None, *, endpoint_url: str | None = None, regions: tuple[str, ...] = ()) -> "Topology":
        """The topology of a live account or of a local emulator of one, by read-only calls (extra ``aws``).

        Parameters
        ----------
        session : a ``boto3.Session``; None makes one of the environment's settings.
        endpoint_url : of a local emulator; None is AWS.
        regions : Regions to read into one topology; none is the session's own.

        Raises
        ------
        UsageError : boto3 is not installed, or the account does not answer.
        TopologyError : there is no VPC in it.
        """
        from emulator.importers.boto3 import topology_from_boto3

        return topology_from_boto3(session, endpoint_url=endpoint_url, regions=regions)

    def replace(self, *entities: Entity, without: Iterable[str] = (), policy: Policy | None = None) -> "Topology":
        """A copy in which entities of the same id are exchanged, new ones added, and ids in ``without`` gone.

        The copy is checked like any other.

        Raises
        ------
        TopologyError : the result does not hold together.
        """
        gone = set(without)
        table = {key: entity for key, entity in self.entities.items() if key not in gone}
        table |= {entity.id or names.made_id(entity): entity for entity in entities}
        made = Topology.of(*table.values(), *self.links, *self.expect, name=self.name, policy=policy or self.policy, map=self.map)
        # The plan was checked against the topology that it begins with; one that is edited already need not allow it again.
        return dataclasses.replace(made, schedule=self.schedule)

    def all(self, kind: type[E]) -> Iterator[E]:
        """Every entity of one kind, in the order of declaration."""
        return iter(self._kinds.get(kind, ()))

    @cached_property
    def _kinds(self) -> dict[type, list[Any]]:
        """The entities by kind."""
        found: dict[type, list[Any]] = {}
        for entity in self.entities.values():
            found.setdefault(type(entity), []).append(entity)
        return found

    def get(self, key: str, kind: type[E]) -> E:
        """The entity of that id and kind.

        Raises
        ------
        UsageError : there is none.
        """
        entity = self.entities.get(key)
        if not isinstance(entity, kind):
            raise UsageError(f"{self.name}: no {kind.__name__} has the id {key}")
        return entity

    def display(self, key: str) -> str:
        """The name that people see: ``web-1:eth0`` for an interface, the name as written for the rest."""
        entity = self.entities.get(key)
        if isinstance(entity, NetworkInterface):
            return f"{self.display(entity.instance)}:{entity.name}"
        return key if entity is None else entity.name

    def interfaces_of(self, instance_id: str) -> list[NetworkInterface]:
        """An instance's interfaces, the primary first."""
        return list(self._interfaces.get(instance_id, ()))

    @cached_property
    def _interfaces(self) -> dict[str, list[NetworkInterface]]:
        """The interfaces of each instance, by its id."""
        found: dict[str, list[NetworkInterface]] = {}
        for eni in self.all(NetworkInterface):
            found.setdefault(eni.instance, []).append(eni)
        return found

    @cached_property
    def owners(self) -> dict[Address, list[str]]:
        """Ids of the interfaces, gateways and outside hosts that have an address, private or public."""
        found: dict[Address, list[str]] = {}
        for key, entity in self.entities.items():
            for address in _addresses(entity):
                found.setdefault(address, []).append(key)
        return found

    def find(self, text: str) -> Entity:
        """What a person means by a name, an id, ``instance:interface`` or an address.

        Raises
        ------
        UsageError : nothing or more than one thing is meant; near names are offered.
        """
        if text in self.entities:
            return self.entities[text]
        hits = [entity for key, entity in self.entities.items() if text in (self.display(key), entity.name)]
        best = [hit for hit in hits if isinstance(hit, Instance | ExternalHost)] or hits
        if not best:
            try:
                best = [self.entities[key] for key in self.owners.get(ip_address(text), [])]
            except ValueError:
                best = []
        if len(best) == 1:
            return best[0]
        if best:
            raise UsageError(f"{self.name}: {text} is more than one thing: {', '.join(hit.id for hit in best)}; use an id")
        known = [self.display(key) for key, entity in self.entities.items() if isinstance(entity, Instance | ExternalHost)]
        raise UsageError(f"{self.name}: nothing is called {text}{names.suggestion(text, known)}")

    def end(self, text: str, receiving: bool = False) -> End | Address | None:
        """What a question's source or destination means: an entity, an address that nothing here has, None for ``internet``.

        With ``receiving`` the address of a gateway or a balancer can be asked about too: it sends nothing of its own.

        Raises
        ------
        UsageError : nothing of the kind, or a thing that sends and receives nothing.
        """
        if text == INTERNET:
            return None
        try:
            stranger = ip_address(text)
        except ValueError:
            stranger = None
        if stranger is not None and not self.owners.get(stranger):
            return stranger
        entity = self.find(text)
        if not isinstance(entity, End):
            if receiving and stranger is not None:
                return stranger
            noun = names.NOUN[type(entity)]
            raise UsageError(f"{text} is a {noun}, which sends nothing; name an instance, an interface, a host outside or an address")
        return entity

    @cached_property
    def graph(self) -> "nx.DiGraph[str]":
        """The whole as a directed networkx graph (node and edge attributes: see the top of this file)."""
        from emulator.model.graph import build

        return build(self)

    def changed(self, entity_id: str, **fields: Any) -> "Topology":
        """A copy in which one entity has other field values."""
        return self.replace(dataclasses.replace(self.entities[entity_id], **fields))

    def _repr_png_(self) -> bytes:
        from emulator.views.figure import topology_png

        return topology_png(self)


def _addresses(entity: Entity) -> Iterator[Address]:
    if isinstance(entity, NetworkInterface):
        yield from entity.private_ips
        yield from (public for _, public in entity.public_ips)
    elif isinstance(entity, ExternalHost):
        yield from entity.ips
    elif isinstance(entity, NatGateway):
        pairs = entity.addresses
        yield from (private for private, _ in pairs)
        yield from (public for _, public in pairs if public is not None)
    elif isinstance(entity, InterfaceEndpoint | NetworkLoadBalancer):
        yield from (node.private_ip for node in entity.nodes)
        yield from (node.public_ip for node in entity.nodes if node.public_ip is not None)
    elif isinstance(entity, TransitGatewayAttachment):
        yield from entity.private_ips


def _again(name: str, entities: dict[str, Entity], *rest: Any) -> Topology:
    return Topology(name, MappingProxyType(entities), *rest)
