"""What must hold for a topology to be a VPC at all; every trouble in one line: place, thing, trouble, way out.

    blocks      subnets inside their VPC and apart from each other (FB-15), peers' blocks apart (RT-50)
    interfaces  own addresses inside the subnet, not reserved (FB-14), nobody else's; groups and instance of the same VPC (SG-3)
    rules       see `validate_rules`
    routes      one a destination; inside the VPC only as RT-4 allows; never into the fabric's ranges (FB-9)

References are resolved before (`names`), so every id here leads to something.
"""

from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_network
from itertools import pairwise
from typing import TYPE_CHECKING

from emulator.model.entities import (
    Address,
    EgressOnlyInternetGateway,
    ExternalHost,
    Instance,
    InternetGateway,
    NatGateway,
    NetworkInterface,
    Policy,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import Block, ListPeer, SecurityGroup
from emulator.model.joined import GatewayEndpoint, InterfaceEndpoint, TransitGateway, TransitGatewayAttachment, VpnGateway
from emulator.model.schedule import planned_problems
from emulator.model.validate_joined import joined_problems
from emulator.model.validate_rules import rule_problems

if TYPE_CHECKING:
    from emulator.model.topology import Topology

Problems = Iterator[tuple[object, str]]
_FABRIC = (ip_network("169.254.168.0/22"), ip_network("fd00:ec2::/32"))
_SIZES = {4: (16, 28), 6: (44, 64)}
_CHOICES = {
    "midstream_tcp": ("rules_only", "pickup", "strict"),
    "autotrack": ("2025", "2023"),
    "frag_policy": ("reassemble", "first_fragment", "drop_noninitial"),
    "blackhole": ("drop", "fall_through"),
    "ttl": ("spec", "per_hop"),
    "router_ping": ("own_subnet", "none"),
}


def troubles(topology: "Topology") -> Problems:
    """Troubles of a topology whose references are resolved, as pairs of the thing they are about and what is wrong."""
    checks: tuple[Callable[[Topology], Problems], ...] = (
        _vpcs,
        _subnets,
        _interfaces,
        _gateways,
        _routes,
        _peerings,
        _outside,
        rule_problems,
        joined_problems,
    )
    for check in checks:
        yield from check(topology)


def problems_of(topology: "Topology") -> list[str]:
    """Every trouble of a topology whose references are resolved, each with the place of the thing it is about."""
    lines = []
    for thing, text in troubles(topology):
        place = getattr(thing, "place", "")
        lines.append(f"{place}: {text}" if place else text)
    return [*lines, *_policy(topology.policy), *_questions(topology), *([] if lines else planned_problems(topology))]


def contains(outer: Block, inner: Block) -> bool:
    """Whether a block lies in another of its family."""
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _overlaps(things: Iterable[tuple[Block, object]]) -> Iterator[tuple[tuple[Block, object], tuple[Block, object]]]:
    """Neighbours in the order of addresses that share some."""
    ordered = sorted(things, key=lambda pair: (pair[0].version, int(pair[0].network_address), pair[0].prefixlen))
    for one, other in pairwise(ordered):
        if one[0].version == other[0].version and int(other[0].network_address) <= int(one[0].broadcast_address):
            yield one, other


def _vpcs(topology: "Topology") -> Problems:
    for vpc in topology.all(Vpc):
        if not vpc.blocks:
            yield vpc, f"{vpc.name}: a VPC needs a block; give it a cidr_block such as 10.0.0.0/16"
        for block in vpc.blocks:
            if block.version == 4 and not 16 <= block.prefixlen <= 28:
                yield vpc, f"{vpc.name}: {block} is not a size of a VPC; take /16 to /28"
        for (one, _), (other, _) in _overlaps((block, vpc) for block in vpc.blocks):
            yield vpc, f"{vpc.name}: its blocks {one} and {other} overlap; keep one of them"


def _subnets(topology: "Topology") -> Problems:
    by_vpc: dict[str, list[tuple[Block, object]]] = {}
    for subnet in topology.all(Subnet):
        vpc = topology.get(subnet.vpc, Vpc)
        if not subnet.blocks:
            yield subnet, f"{subnet.name}: a subnet needs a block; give it a cidr_block inside {vpc.name}"
        if len({block.version for block in subnet.blocks}) < len(subnet.blocks):
            yield subnet, f"{subnet.name}: a subnet has one block of each family; make a subnet of each"
        for block in subnet.blocks:
            by_vpc.setdefault(vpc.id, []).append((block, subnet))
            first, last = _SIZES[block.version]
            if not any(contains(outer, block) for outer in vpc.blocks):
                own = ", ".join(str(outer) for outer in vpc.blocks) or "no block"
                yield subnet, f"{subnet.name}: {block} lies outside {vpc.name} {own}"
            if not first <= block.prefixlen <= last or (block.version == 6 and block.prefixlen % 4):
                steps = " in steps of 4" if block.version == 6 else ""
                yield subnet, f"{subnet.name}: {block} is not a size of a subnet; take /{first} to /{last}{steps} (FB-15)"
    for things in by_vpc.values():
        for (one, first_one), (other, second) in _overlaps(things):
            names = f"{second.name}: {other} overlaps {first_one.name} {one}"  # type: ignore[attr-defined]
            yield second, f"{names}; choose a block of its own"


def reserved(address: Address, block: Block) -> bool:
    """Whether a subnet keeps an address for itself: the first four and the last (FB-14)."""
    offset = int(address) - int(block.network_address)
    return offset < 4 or offset == block.num_addresses - 1


def _interfaces(topology: "Topology") -> Problems:
    taken: dict[tuple[str, Address], str] = {}
    attached = set()
    for eni in topology.all(NetworkInterface):
        name, subnet = topology.display(eni.id), topology.get(eni.subnet, Subnet)
        attached.add(eni.instance)
        if not eni.private_ips:
            yield eni, f"{name}: an interface needs an address; give it a private_ip in {subnet.name}"
        if topology.get(eni.instance, Instance).vpc != subnet.vpc:
            yield eni, f"{name}: subnet {subnet.name} is in another VPC than its instance; choose one of the same VPC"
        for group in eni.security_groups:
            if subnet.vpc not in topology.get(group, SecurityGroup).vpcs:
                yield eni, f"{name}: group {topology.display(group)} is of another VPC; choose one of {topology.display(subnet.vpc)} (SG-3)"
        for address in eni.private_ips:
            yield from ((eni, text) for text in _address(topology, name, address, subnet, taken))
        yield from ((eni, text) for text in _public(name, eni, taken))
    for gateway in topology.all(NatGateway):
        subnet = topology.get(gateway.subnet, Subnet)
        for address, _ in gateway.addresses:
            yield from ((gateway, text) for text in _address(topology, gateway.name, address, subnet, taken))
    for instance in topology.all(Instance):
        if instance.id not in attached:
            yield instance, f"{instance.name}: an instance needs an interface; give it a subnet and a private_ip"


def _address(topology: "Topology", name: str, address: Address, subnet: Subnet, taken: dict[tuple[str, Address], str]) -> Iterator[str]:
    block = next((block for block in subnet.blocks if address in block), None)
    if block is None:
        yield f"{name}: {address} lies outside {subnet.name} {', '.join(str(block) for block in subnet.blocks)}"
    elif reserved(address, block):
        yield f"{name}: {address} is reserved in {subnet.name} {block}; take another one (FB-14)"
    other = taken.setdefault((subnet.vpc, address), name)
    if other != name:
        yield f"{name}: {address} already belongs to {other}; each address belongs to one interface"


def _public(name: str, eni: NetworkInterface, taken: dict[tuple[str, Address], str]) -> Iterator[str]:
    for private, public in eni.public_ips:
        if private not in eni.private_ips:
            yield f"{name}: {public} is mapped to {private}, which is no address of it; map it to one of its own"
        if private.version != 4 or public.version != 4:
            yield f"{name}: {public} cannot stand for {private}; elastic IPs are IPv4, and IPv6 needs none (RT-20)"
        other = taken.setdefault(("", public), name)
        if other != name:
            yield f"{name}: {public} already belongs to {other}; an elastic IP belongs to one interface"


def _gateways(topology: "Topology") -> Problems:
    for kind, noun in ((InternetGateway, "internet gateway"), (EgressOnlyInternetGateway, "egress-only internet gateway")):
        first: dict[str, str] = {}
        gateways: Iterator[InternetGateway | EgressOnlyInternetGateway] = topology.all(kind)
        for gateway in gateways:
            if first.setdefault(gateway.vpc, gateway.name) != gateway.name:
                yield gateway, f"{gateway.name}: {topology.display(gateway.vpc)} already has {first[gateway.vpc]}; a VPC has one {noun}"


def _routes(topology: "Topology") -> Problems:
    mains: dict[str, str] = {}
    for table in topology.all(RouteTable):
        if table.main and mains.setdefault(table.vpc, table.name) != table.name:
            yield (
                table,
                f"{table.name}: {topology.display(table.vpc)} already has the main route table {mains[table.vpc]}; a VPC has one (RT-1)",
            )
        vpc = topology.get(table.vpc, Vpc)
        seen = set()
        for route in table.routes:
            thing = route if route.place else table
            shown = topology.display(route.destination.list) if isinstance(route.destination, ListPeer) else str(route.destination)
            what = f"{table.name} route {shown}"
            if (route.destination, route.propagated) in seen:
                yield thing, f"{what}: RouteAlreadyExists: the route identified by {shown} already exists; keep one of them (RT-18)"
            seen.add((route.destination, route.propagated))
            yield from ((thing, f"{what}: {text}") for text in _target(topology, vpc, route))
            if not isinstance(route.destination, ListPeer):
                yield from ((thing, f"{what}: {text}") for text in _destination(topology, vpc, route, route.destination))


def _destination(topology: "Topology", vpc: Vpc, route: Route, block: Block) -> Iterator[str]:
    if any(contains(fabric, block) for fabric in _FABRIC):
        yield "the fabric's own range cannot be routed (FB-9); leave this route out"
    if route.target == "local" and block not in vpc.blocks:
        yield f"local is for a block of {vpc.name} itself ({', '.join(str(own) for own in vpc.blocks)})"
    inside = any(contains(own, block) for own in vpc.blocks) and block not in vpc.blocks
    if inside and not route.propagated:
        whole = any(block in subnet.blocks for subnet in topology.all(Subnet) if subnet.vpc == vpc.id)
        target = topology.entities.get(route.target)
        if not whole or not (route.blackhole or isinstance(target, NetworkInterface | NatGateway)):
            yield "inside the VPC a route is for the whole block of a subnet, to an interface or a NAT gateway (RT-4)"


def _target(topology: "Topology", vpc: Vpc, route: Route) -> Iterator[str]:
    target = topology.entities.get(route.target)
    version = None if isinstance(route.destination, ListPeer) else route.destination.version
    if isinstance(target, VpcPeeringConnection):
        if vpc.id not in (target.requester, target.accepter):
            yield f"{target.name} does not join {vpc.name}; name a peering of this VPC"
        return
    if isinstance(target, TransitGateway):
        if not any(attached.vpc == vpc.id and attached.transit_gateway == target.id for attached in topology.all(TransitGatewayAttachment)):
            yield f"{target.name} has no attachment to {vpc.name}; attach the VPC first (RT-54)"
        return
    beside = InternetGateway | EgressOnlyInternetGateway | VpnGateway | GatewayEndpoint | InterfaceEndpoint
    home = target.vpc if isinstance(target, beside) else vpc.id
    if isinstance(target, GatewayEndpoint) and version is not None:
        yield f"{target.name} is reached by its prefix list; list this table in its route_tables instead (RT-56)"
    if isinstance(target, InterfaceEndpoint):
        yield f"{target.name} is an interface endpoint, which has addresses of its own and takes no route (RT-57)"
    if isinstance(target, NatGateway | NetworkInterface):
        home = topology.get(target.subnet, Subnet).vpc
    if home != vpc.id:
        yield f"Gateway.NotAttached: {topology.display(route.target)} is in another VPC; name one of {vpc.name} (RT-18)"
    if isinstance(target, EgressOnlyInternetGateway) and version == 4:
        yield f"{target.name} carries IPv6 alone; use an internet gateway or a NAT gateway (RT-30)"


def _peerings(topology: "Topology") -> Problems:
    pairs: dict[frozenset[str], str] = {}
    for peering in topology.all(VpcPeeringConnection):
        one, other = topology.get(peering.requester, Vpc), topology.get(peering.accepter, Vpc)
        if one.id == other.id:
            yield peering, f"{peering.name}: a VPC is not peered with itself; name two VPCs"
            continue
        if not peering.is_active:
            continue
        pair = frozenset((one.id, other.id))
        if pairs.setdefault(pair, peering.name) != peering.name:
            yield peering, f"{peering.name}: {one.name} and {other.name} are joined by {pairs[pair]} already; one peering a pair (RT-50)"
        for mine in one.blocks:
            for theirs in other.blocks:
                if mine.version == theirs.version and mine.overlaps(theirs):
                    yield peering, f"{peering.name}: {one.name} {mine} overlaps {other.name} {theirs}; peers' blocks are apart (RT-50)"


def _outside(topology: "Topology") -> Problems:
    owners: dict[Address, str] = {}
    blocks = [(block, vpc) for vpc in topology.all(Vpc) for block in vpc.blocks]
    public = {ip for eni in topology.all(NetworkInterface) for _, ip in eni.public_ips}
    for host in topology.all(ExternalHost):
        if not host.ips:
            yield host, f"{host.name}: a host outside needs an address; give it an ip"
        for address in host.ips:
            if owners.setdefault(address, host.name) != host.name:
                yield host, f"{host.name}: {address} already belongs to {owners[address]}; each address belongs to one host"
            if address in public:
                yield host, f"{host.name}: {address} is an elastic IP; choose another address"
            inside = next((vpc for block, vpc in blocks if address in block), None)
            if inside is not None:
                yield host, f"{host.name}: {address} lies inside {inside.name}; make it an instance, or choose an address outside"


def _policy(policy: Policy) -> Iterator[str]:
    for field, words in _CHOICES.items():
        value = getattr(policy, field)
        if value not in words:
            yield f'policy {field}: "{value}" is not one of {", ".join(words)}'
    for field in (
        "tcp_close_linger_s",
        "icmp_s",
        "other_s",
        "propagation_delay_s",
        "max_entries",
        "tcp_embryonic_s",
        "tcp_default_established_s",
    ):
        value = getattr(policy, field)
        if value is not None and not 0 <= value <= 10**9:
            yield f"policy {field}: {value} is out of range; take 0 to 1000000000"


def _questions(topology: "Topology") -> Iterator[str]:
    from emulator.errors import UsageError

    for expected in topology.expect:
        for end in (expected.source, expected.destination):
            try:
                topology.end(end)
            except UsageError as trouble:
                yield f"{expected.place}: expect: {trouble}" if expected.place else f"expect: {trouble}"
    for link in topology.links:
        if link.between[0] == link.between[1]:
            yield f"{link.place}: link: both ends are {topology.display(link.between[0])}; name two places"
