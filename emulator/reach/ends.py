"""Ends: everything that can open a connection or be opened to, each with one address of the family.

Outside, addresses fall into classes by the blocks that rules and routes name; one address stands for each class.  What
no packet on the internet can have as an address (private ranges, the VPCs' own blocks) is no class.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import pairwise

from emulator.model.entities import Address, ExternalHost, Instance, NatGateway, NetworkInterface, RouteTable, Subnet, Vpc
from emulator.model.groups import Block, ListPeer, NetworkAcl, PrefixList, SecurityGroup
from emulator.model.joined import CustomerNetwork, InterfaceEndpoint, NetworkLoadBalancer, TransitGatewayRouteTable
from emulator.model.services import Service
from emulator.model.topology import INTERNET, Topology

INTERFACE, OUTSIDE, SERVICE = "interface", "outside", "service"
_NEVER = {
    4: tuple(
        ip_network(text)
        for text in (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "224.0.0.0/3",
        )
    ),
    6: tuple(ip_network(text) for text in ("::/3", "4000::/2", "8000::/1")),
}
SHOWN_BLOCKS = 3


@dataclass(frozen=True, slots=True)
class End:
    """One end of a question.

    Parameters
    ----------
    id : of the interface, the host, the service, or ``internet``.
    ip : its address inside, or outside.
    public : what the internet gateway makes of it.
    """

    name: str
    id: str
    kind: str
    ip: Address
    public: Address | None = None
    vpc: str = ""
    subnet: str = ""
    groups: tuple[str, ...] = ()
    listen: tuple[Service, ...] | None = None

    @property
    def seen_outside(self) -> Address:
        """The address by which the outside knows it."""
        return self.public or self.ip


def ends(topology: Topology, family: int) -> list[End]:
    """All ends of one family: interfaces by address, services of AWS's in subnets, hosts outside, classes of the internet.

    Ends of different VPCs that have one name are told apart by their ids.
    """
    found = list(_interfaces(topology, family))
    if family == 4:
        found += _services(topology)
    for host in topology.all(ExternalHost):
        for ip in [ip for ip in host.ips if ip.version == family][:1]:
            found.append(End(host.name, host.id, OUTSIDE, ip, listen=host.listen))
    owners: dict[str, set[str]] = {}
    for end in found:
        owners.setdefault(end.name, set()).add(end.id)
    found = [replace(end, name=f"{end.name} {end.id}") if len(owners[end.name]) > 1 else end for end in found]
    return [*found, *_internet(topology, family)]


def _interfaces(topology: Topology, family: int) -> Iterator[End]:
    single = {}
    for eni in topology.all(NetworkInterface):
        single[eni.instance] = eni.instance not in single
    for eni in topology.all(NetworkInterface):
        own = [ip for ip in eni.private_ips if ip.version == family]
        subnet, instance = topology.get(eni.subnet, Subnet), topology.get(eni.instance, Instance)
        name = instance.name if single[eni.instance] else topology.display(eni.id)
        public = dict(eni.public_ips)
        for ip in own:
            shown = name if len(own) == 1 else f"{name} {ip}"
            seen = public.get(ip) if family == 4 else ip
            yield End(shown, eni.id, INTERFACE, ip, seen, subnet.vpc, subnet.id, tuple(sorted(eni.security_groups)), instance.listen)


def _services(topology: Topology) -> Iterator[End]:
    owners: list[InterfaceEndpoint | NetworkLoadBalancer] = [*topology.all(InterfaceEndpoint), *topology.all(NetworkLoadBalancer)]
    for owner in owners:
        for node in owner.nodes:
            shown = owner.name if len(owner.nodes) == 1 else f"{owner.name} {node.private_ip}"
            yield End(shown, owner.id, SERVICE, node.private_ip, node.public_ip, owner.vpc, node.subnet)


def named_blocks(topology: Topology, family: int, rules: bool = True) -> set[Block]:
    """Every block that a route names, with ``rules`` also those of groups; the prefix lists' entries with them."""
    found: set[Block] = set()
    for entity in topology.entities.values():
        match entity:
            case SecurityGroup() if rules:
                peers = [rule.peer for rule in (*entity.ingress, *(entity.egress or ()))]
                found.update(peer for peer in peers if not hasattr(peer, "group") and not isinstance(peer, ListPeer))
            case NetworkAcl():
                found.update(entry.block for entry in (*entity.ingress, *entity.egress))
            case RouteTable():
                found.update(route.destination for route in entity.routes if not isinstance(route.destination, ListPeer))
            case TransitGatewayRouteTable():
                found.update(route.destination for route in entity.routes)
            case PrefixList():
                found.update(entity.entries)
            case Vpc() | CustomerNetwork():
                found.update(entity.blocks)
    return {block for block in found if block.version == family and block.prefixlen}


def _internet(topology: Topology, family: int) -> Iterator[End]:
    owners: list[Vpc | CustomerNetwork] = [*topology.all(Vpc), *topology.all(CustomerNetwork)]
    inside = {block for owner in owners for block in owner.blocks if block.version == family}
    never: set[Block] = {*_NEVER[family], *inside}
    own = {ip for ip, _ in topology.owners.items() if ip.version == family}
    never |= {ip_network(ip) for ip in own}
    for nat in topology.all(NatGateway):
        never |= {ip_network(public) for _, public in nat.addresses if public is not None and public.version == family}
    blocks = sorted(named_blocks(topology, family) | never, key=lambda block: (int(block.network_address), block.prefixlen))
    kind = IPv4Address if family == 4 else IPv6Address
    classes: dict[tuple[Block, ...], Address] = {}
    for start, _, around in _stretches(blocks, 1 << (32 if family == 4 else 128)):
        if not any(block in never for block in around) and around not in classes:
            classes[around] = kind(start)
    for around, ip in sorted(classes.items(), key=lambda item: (len(item[0]), int(item[1]))):
        yield End(_shown(around), INTERNET, OUTSIDE, ip)


def _stretches(blocks: list[Block], size: int) -> Iterator[tuple[int, int, tuple[Block, ...]]]:
    """Stretches of addresses with the blocks around each; blocks nest or lie apart, so a stack is enough."""
    bounds = sorted({0, size, *(int(block.network_address) for block in blocks), *(int(block.broadcast_address) + 1 for block in blocks)})
    starts = [int(block.network_address) for block in blocks]
    open_blocks: list[Block] = []
    for start, end in pairwise(bounds):
        open_blocks = [block for block in open_blocks if int(block.broadcast_address) >= start]
        at = bisect_right(starts, start - 1)
        while at < len(blocks) and starts[at] == start:
            open_blocks.append(blocks[at])
            at += 1
        yield start, end, tuple(open_blocks)


def _shown(around: tuple[Block, ...]) -> str:
    """``internet`` for what no block names, else the innermost blocks."""
    return f"{INTERNET} {around[-1]}" if around else INTERNET
