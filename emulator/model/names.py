"""Names to ids: AWS-like ids made from names, references resolved within their VPC, AWS's defaults added.

A reference is looked up as an id first, then as a name in the same VPC, then as ``vpc/name``, then, for kinds that
stand beside the VPCs (peerings, hosts outside), as a name anywhere.
"""

import difflib
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from emulator.model import names_joined
from emulator.model.entities import (
    EgressOnlyInternetGateway,
    ExternalHost,
    Instance,
    InternetGateway,
    Link,
    NatGateway,
    NetworkInterface,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import (
    ALLOW_ALL,
    ALLOW_ALL_IPV6,
    OPEN_ACL,
    Direction,
    GroupPeer,
    ListPeer,
    NetworkAcl,
    PrefixList,
    Rule,
    SecurityGroup,
    identify,
)
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    InterfaceEndpoint,
    NetworkLoadBalancer,
    TransitGateway,
    VpnGateway,
)
from emulator.model.services import ALL, ANY_PORTS

if TYPE_CHECKING:
    from emulator.model.topology import Entity

PREFIX: dict[type, str] = {
    Vpc: "vpc",
    Subnet: "subnet",
    Instance: "i",
    NetworkInterface: "eni",
    SecurityGroup: "sg",
    PrefixList: "pl",
    RouteTable: "rtb",
    NetworkAcl: "acl",
    InternetGateway: "igw",
    EgressOnlyInternetGateway: "eigw",
    NatGateway: "nat",
    VpcPeeringConnection: "pcx",
    ExternalHost: "ext",
    **names_joined.PREFIX,
}
NOUN: dict[type, str] = {
    Vpc: "VPC",
    Subnet: "subnet",
    Instance: "instance",
    NetworkInterface: "interface",
    SecurityGroup: "security group",
    PrefixList: "prefix list",
    RouteTable: "route table",
    NetworkAcl: "network ACL",
    InternetGateway: "internet gateway",
    EgressOnlyInternetGateway: "egress-only internet gateway",
    NatGateway: "NAT gateway",
    VpcPeeringConnection: "peering connection",
    ExternalHost: "outside host",
    **names_joined.NOUN,
}
TARGETS = (
    InternetGateway,
    EgressOnlyInternetGateway,
    NatGateway,
    VpcPeeringConnection,
    NetworkInterface,
    Instance,
    TransitGateway,
    VpnGateway,
    GatewayEndpoint,
    InterfaceEndpoint,
)
LINK_ENDS = (
    NetworkInterface,
    Instance,
    ExternalHost,
    InternetGateway,
    EgressOnlyInternetGateway,
    NatGateway,
    VpcPeeringConnection,
    TransitGateway,
    VpnGateway,
    CustomerNetwork,
    NetworkLoadBalancer,
)


def suggestion(text: str, known: list[str]) -> str:
    """``; did you mean X?`` for the nearest known name, else what is known."""
    near = difflib.get_close_matches(text, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known are {', '.join(sorted(set(known))[:8])}" if known else "; none is declared"


def made_id(entity: "Entity", qualifier: str = "") -> str:
    """The id made from a name: ``web`` a group is ``sg-web``, already prefixed names stay."""
    prefix = PREFIX[type(entity)]
    name = entity.name
    if isinstance(entity, NetworkInterface):
        owner = entity.instance.removeprefix("i-").rpartition("/")[2]
        name = owner if entity.name == "eth0" else f"{owner}-{entity.name}"
    base = name if name.startswith(f"{prefix}-") else f"{prefix}-{name}"
    return f"{base}-{qualifier}" if qualifier else base


def _vpc_of(entity: "Entity", subnets: dict[str, str]) -> str:
    """The name or id of the VPC that an entity was declared in; empty beside the VPCs."""
    if isinstance(entity, NatGateway):
        return subnets.get(entity.subnet, "")
    return getattr(entity, "vpc", "")


class _Resolver:
    """Names and ids of one set of entities; collects the troubles instead of raising."""

    def __init__(self, entities: list["Entity"]) -> None:
        self.problems: list[str] = []
        self.table: dict[str, Entity] = {}
        self.home: dict[str, str] = {}
        self.by_name: dict[tuple[type, str], list[str]] = {}
        self.by_home: dict[tuple[type, str, str], list[str]] = {}
        vpcs = [entity for entity in entities if isinstance(entity, Vpc)]
        self.vpc_ids = {key: vpc.id or made_id(vpc) for vpc in vpcs for key in (vpc.name, vpc.id or made_id(vpc))}
        subnet_home = {key: entity.vpc for entity in entities if isinstance(entity, Subnet) for key in (entity.name, entity.id)}
        instance_home = {
            key: entity.vpc for entity in entities if isinstance(entity, Instance) for key in (entity.name, entity.id or made_id(entity))
        }
        taken: dict[str, int] = {}
        for entity in entities:
            key = entity.id or made_id(entity)
            taken[key] = taken.get(key, 0) + 1
        for entity in entities:
            home = instance_home.get(entity.instance, "") if isinstance(entity, NetworkInterface) else _vpc_of(entity, subnet_home)
            home = self.vpc_ids.get(home, home)
            key = entity.id or made_id(entity)
            if taken[key] > 1 and not entity.id and home:
                key = made_id(entity, home.removeprefix("vpc-"))
            while self._is_other_interface(entity, key):
                key = f"{key}-2"  # a's eth1, and the eth0 of one that is called a-eth1
            if key in self.table:
                self.problem(entity, f"{NOUN[type(entity)]} {entity.name} is declared twice; give one of them another name")
            self.table[key] = entity
            self.home[key] = key if isinstance(entity, Vpc) else home
            self.by_name.setdefault((type(entity), entity.name), []).append(key)
            self.by_home.setdefault((type(entity), entity.name, self.home[key]), []).append(key)

    def _is_other_interface(self, entity: "Entity", key: str) -> bool:
        """Whether an id made for an interface is another one's already."""
        other = self.table.get(key)
        if not isinstance(entity, NetworkInterface) or not isinstance(other, NetworkInterface) or entity.id:
            return False
        return (other.instance, other.name) != (entity.instance, entity.name)

    def interface(self, text: str) -> str:
        """Id of the interface shown as ``instance:eth0``; empty if there is none."""
        return self.shown.get(text, "")

    @cached_property
    def shown(self) -> dict[str, str]:
        """Ids of the interfaces by what they are shown as."""
        found: dict[str, str] = {}
        for key, entity in self.table.items():
            if isinstance(entity, NetworkInterface):
                found.setdefault(_shown(self, key), key)
        return found

    def problem(self, thing: object, text: str) -> None:
        place = getattr(thing, "place", "")
        self.problems.append(f"{place}: {text}" if place else text)

    def find(self, text: str, kinds: tuple[type, ...], home: str) -> list[str]:
        """Ids that a reference may mean, of the given kinds, seen from a VPC."""
        if text in self.table and isinstance(self.table[text], kinds):
            return [text]
        vpc, slash, name = text.partition("/")
        if slash and vpc in self.vpc_ids:
            home, text = self.vpc_ids[vpc], name
        near = [key for kind in kinds for key in self.by_home.get((kind, text, home), ())]
        if near:
            return near
        found = [key for kind in kinds for key in self.by_name.get((kind, text), ())]
        return [key for key in found if not self.home[key]] if home else found

    def one(self, text: str, kinds: tuple[type, ...], home: str, thing: object, what: str) -> str:
        """The one id that a reference means; a trouble is noted and the text given back otherwise."""
        found = self.find(text, kinds, home)
        if len(found) == 1:
            return found[0]
        noun = " or ".join(NOUN[kind] for kind in kinds) if len(kinds) < 4 else "gateway, interface or peering"
        if found:
            self.problem(thing, f"{what}: {text} is the name of more than one thing ({', '.join(found)}); use an id or rename one")
        else:
            known = [self.table[key].name for key in self.table if isinstance(self.table[key], kinds) and self.home[key] in (home, "")]
            self.problem(thing, f"{what}: no {noun} is called {text}{suggestion(text, known)}")
        return text


def _rules(resolver: _Resolver, rules: tuple[Rule, ...], group: SecurityGroup, direction: Direction, home: str) -> tuple[Rule, ...]:
    done = []
    for number, rule in enumerate(rules, 1):
        what = f"{group.name} {direction.name.lower()} {number}"
        peer = rule.peer
        if isinstance(peer, GroupPeer):
            # A group that is gone leaves a stale rule behind (SG-32), so ids may dangle; names may not.
            if peer.group not in resolver.table and not peer.group.startswith("sg-"):
                peer = GroupPeer(resolver.one(peer.group, (SecurityGroup,), home, rule if rule.place else group, what))
            elif peer.group not in resolver.table:
                peer = GroupPeer((resolver.find(peer.group, (SecurityGroup,), home) or [peer.group])[0])
        elif isinstance(peer, ListPeer):
            found = resolver.one(peer.list, (PrefixList,), home, rule if rule.place else group, what)
            peer = peer if found == peer.list else ListPeer(found)
        done.append(rule if peer is rule.peer else replace(rule, peer=peer))
    return tuple(done)


def _routes(resolver: _Resolver, table: RouteTable, home: str) -> tuple[Route, ...]:
    done = []
    for route in table.routes:
        what = f"{table.name} route {getattr(route.destination, 'list', route.destination)}"
        thing = route if route.place else table
        destination = route.destination
        if isinstance(destination, ListPeer):
            destination = ListPeer(resolver.one(destination.list, (PrefixList,), home, thing, what))
        target = route.target
        if target != "local" and not route.blackhole:
            target = resolver.interface(target) or resolver.one(target, TARGETS, home, thing, what)
            if isinstance(resolver.table.get(target), Instance):
                own = [
                    key
                    for key, entity in resolver.table.items()
                    if isinstance(entity, NetworkInterface) and resolver.find(entity.instance, (Instance,), home) == [target]
                ]
                if len(own) != 1:
                    resolver.problem(
                        thing, f"{what}: {route.target} has {len(own)} interfaces; name one, such as {route.target}:eth0 (RT-14)"
                    )
                else:
                    target = own[0]
        done.append(replace(route, destination=destination, target=target))
    return tuple(done)


def _shown(resolver: _Resolver, key: str) -> str:
    entity = resolver.table[key]
    return f"{entity.instance}:{entity.name}" if isinstance(entity, NetworkInterface) else entity.name


def _with_defaults(entities: list["Entity"]) -> list["Entity"]:
    """The entities, with each VPC's default group, main table and default network ACL where absent (SG-13, RT-1, NA-9)."""
    done = list(entities)
    groups = {entity.vpc for entity in entities if isinstance(entity, SecurityGroup) and entity.name == "default"}
    tables = {entity.vpc for entity in entities if isinstance(entity, RouteTable) and entity.main}
    acls = {entity.vpc for entity in entities if isinstance(entity, NetworkAcl) and entity.name == "default"}
    for vpc in [entity for entity in entities if isinstance(entity, Vpc)]:
        known = {vpc.name, vpc.id or made_id(vpc)}
        if not groups & known:
            own = Rule(ALL, ANY_PORTS, GroupPeer("default"))
            done.append(SecurityGroup("default", vpc.name, (own,), description="Default group: members reach one another"))
        if not tables & known:
            done.append(RouteTable("main", vpc.name, main=True))
        if not acls & known:
            done.append(NetworkAcl("default", vpc.name, OPEN_ACL, OPEN_ACL))
    return done + names_joined.default_tables(entities, made_id)


def _link(resolver: _Resolver, link: Link) -> Link:
    """A link with its ends as ids."""
    what = f"link {' – '.join(link.between)}"
    one, other = (resolver.interface(end) or resolver.one(end, LINK_ENDS, "", link, what) for end in link.between)
    return replace(link, between=(one, other))


def _filled(entity: "Entity", fields: dict[str, object]) -> "Entity":
    """An entity with these fields; itself if it has them, so that an edit leaves what it does not touch as it is."""
    others = {name: value for name, value in fields.items() if getattr(entity, name) != value}
    return replace(entity, **others) if others else entity  # type: ignore[arg-type]


def resolve(entities: list["Entity"], links: list[Link]) -> tuple[dict[str, "Entity"], list[Link], list[str]]:
    """Every entity by id with its references as ids, the links likewise, and the troubles found."""
    resolver = _Resolver(_with_defaults(entities))
    table: dict[str, Entity] = {}
    default_of = {
        home: key
        for key, home in resolver.home.items()
        if isinstance(resolver.table[key], SecurityGroup) and resolver.table[key].name == "default"
    }
    for key, entity in resolver.table.items():
        home = resolver.home[key]
        what = f"{NOUN[type(entity)]} {entity.name}"
        fields: dict[str, object] = {"id": key}
        if not isinstance(entity, Vpc) and (vpc := getattr(entity, "vpc", "")):
            fields["vpc"] = resolver.one(vpc, (Vpc,), "", entity, what)
        match entity:
            case SecurityGroup():
                ipv6 = any(block.version == 6 for block in resolver.table[home].blocks) if home in resolver.table else False  # type: ignore[union-attr]
                egress = entity.egress if entity.egress is not None else (ALLOW_ALL, ALLOW_ALL_IPV6)[: 1 + ipv6]
                for direction, rules in ((Direction.INGRESS, entity.ingress), (Direction.EGRESS, egress)):
                    named = _rules(resolver, rules, entity, direction, home)
                    fields[direction.name.lower()] = identify(named, key, direction)
                for field in ("associated_vpcs", "disassociated_vpcs"):
                    fields[field] = tuple(resolver.one(other, (Vpc,), "", entity, what) for other in getattr(entity, field))
            case Subnet():
                if entity.route_table:
                    fields["route_table"] = resolver.one(entity.route_table, (RouteTable,), home, entity, what)
                if entity.network_acl:
                    fields["network_acl"] = resolver.one(entity.network_acl, (NetworkAcl,), home, entity, what)
            case NetworkInterface():
                shown = _shown(resolver, key)
                fields["instance"] = resolver.one(entity.instance, (Instance,), home, entity, what)
                fields["subnet"] = resolver.one(entity.subnet, (Subnet,), home, entity, shown)
                groups = entity.security_groups or ((default_of[home],) if home in default_of else ())
                found = (resolver.one(group, (SecurityGroup,), home, entity, shown) for group in groups)
                fields["security_groups"] = tuple(dict.fromkeys(found))
            case RouteTable():
                fields["routes"] = _routes(resolver, entity, home)
                fields["propagating"] = tuple(resolver.one(gateway, (VpnGateway,), home, entity, what) for gateway in entity.propagating)
            case InternetGateway() if entity.route_table:
                fields["route_table"] = resolver.one(entity.route_table, (RouteTable,), home, entity, what)
            case NatGateway():
                fields["subnet"] = resolver.one(entity.subnet, (Subnet,), home, entity, what)
                fields["interface"] = entity.interface or f"eni-{key}"
            case VpcPeeringConnection():
                fields["requester"] = resolver.one(entity.requester, (Vpc,), "", entity, what)
                fields["accepter"] = resolver.one(entity.accepter, (Vpc,), "", entity, what)
            case _ if type(entity) in names_joined.PREFIX:
                fields |= names_joined.resolved_fields(resolver, entity, home, what, default_of.get(home, ""))
        table[key] = _filled(entity, fields)
    return table, [_link(resolver, link) for link in links], resolver.problems
