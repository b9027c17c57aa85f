"""A topology as the text of a topology file: what it says beyond AWS's defaults, in the order a person would write it."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from emulator.errors import TopologyError
from emulator.model.entities import (
    ConnectionTracking,
    EgressOnlyInternetGateway,
    Expectation,
    ExternalHost,
    Fault,
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
from emulator.model.fileformat.dumprules import WORDS, group_fields, network_acl_fields, prefix_list_fields, traffic
from emulator.model.fileformat.fields import LONGEST
from emulator.model.fileformat.joineddump import (
    balancer_fields,
    endpoint_fields,
    network_fields,
    target_group_fields,
    transit_fields,
    vpn_gateway_fields,
)
from emulator.model.fileformat.policyform import settings
from emulator.model.fileformat.references import References
from emulator.model.fileformat.yamltext import OneLine, text_of
from emulator.model.groups import ListPeer, NetworkAcl, PrefixList, SecurityGroup
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    InterfaceEndpoint,
    NetworkLoadBalancer,
    TargetGroup,
    TransitGateway,
    VpnGateway,
)
from emulator.model.names import NOUN
from emulator.model.schedule import PlannedEdit
from emulator.model.services import Service
from emulator.model.topology import Topology

FIRST_LINE = "# yaml-language-server: $schema=topology.schema.json"
_TIMES = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_RATES = {"Gbps": 10**9, "Mbps": 10**6, "kbps": 10**3, "bps": 1}
_SIZES = {"MB": 10**6, "KB": 10**3, "B": 1}


def dump(topology: Topology) -> str:
    """A topology as YAML text, which `loads` takes back to an equal one (but for places).

    Raises
    ------
    TopologyError : it has something that the file format cannot say, such as two subnets of one name in a VPC.

    Examples
    --------
    >>> from ipaddress import ip_network
    >>> print(dump(Topology.of(Vpc("lab", (ip_network("10.0.0.0/16"),)), name="empty")), end="")
    # yaml-language-server: $schema=topology.schema.json
    topology: empty
    vpcs:
      lab:
        cidr_block: 10.0.0.0/16
    """
    saver = _Saver(topology)
    return f"{FIRST_LINE}\n{text_of(saver.whole())}\n"


class _Saver:
    """A topology as plain values."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.references = References(topology)
        self.inside: dict[tuple[type, str], list[Any]] = {}
        self.attached: dict[str, list[NetworkInterface]] = {}
        for key, entity in topology.entities.items():
            self.inside.setdefault((type(entity), self.references.home(key)), []).append(entity)
            if isinstance(entity, NetworkInterface):
                self.attached.setdefault(entity.instance, []).append(entity)

    def whole(self) -> dict[str, Any]:
        """Everything, section by section; empty ones left out."""
        topology = self.topology
        sections: dict[str, Any] = {
            "topology": topology.name,
            "vpcs": _named(topology.all(Vpc), self.vpc),
            "vpc_peering_connections": _named(topology.all(VpcPeeringConnection), self.peering),
            "transit_gateways": _named(topology.all(TransitGateway), lambda one: transit_fields(topology, one, self.references)),
            "customer_networks": _named(topology.all(CustomerNetwork), lambda one: network_fields(one, self.references)),
            "internet": _named(topology.all(ExternalHost), self.outside),
            "links": [self.link(link) for link in topology.links],
            "schedule": [_planned(edit) for edit in topology.schedule],
            "expect": [_expected(line) for line in topology.expect],
            "policy": _policy(topology.policy),
            "map": {str(address): name for address, name in topology.map},
        }
        return _given(sections)

    def vpc(self, vpc: Vpc) -> dict[str, Any]:
        """A VPC and what is in it."""

        def inside(kind: type, fields_of: Callable[[Any], Any]) -> dict[str, Any]:
            return _named(self.inside.get((kind, vpc.id), ()), fields_of)

        ipv6 = vpc.has_ipv6
        tables: list[RouteTable] = self.inside.get((RouteTable, vpc.id), [])
        main = [table.name for table in tables if table.main]
        sections = {
            **_vpc_blocks(vpc),
            "id": self.references.own_id(vpc),
            "block_public_access": "" if vpc.block_public_access == "off" else vpc.block_public_access,
            "is_default": vpc.is_default,
            "internet_gateway": self.gateway(vpc, InternetGateway),
            "egress_only_internet_gateway": self.gateway(vpc, EgressOnlyInternetGateway),
            "subnets": inside(Subnet, self.subnet),
            "main_route_table": "" if main in ([], ["main"]) else main[0],
            "route_tables": inside(RouteTable, self.table),
            "network_acls": inside(NetworkAcl, lambda acl: network_acl_fields(acl, self.references)),
            "prefix_lists": inside(PrefixList, lambda entries: prefix_list_fields(entries, self.references)),
            "security_groups": inside(SecurityGroup, lambda group: group_fields(group, self.references, ipv6)),
            "nat_gateways": inside(NatGateway, self.nat_gateway),
            "vpn_gateway": self.vpn_gateway(vpc),
            "vpc_endpoints": inside(GatewayEndpoint, lambda one: endpoint_fields(one, self.references))
            | inside(InterfaceEndpoint, lambda one: endpoint_fields(one, self.references)),
            "target_groups": inside(TargetGroup, lambda one: target_group_fields(one, self.references)),
            "network_load_balancers": inside(NetworkLoadBalancer, lambda one: balancer_fields(one, self.references)),
            "instances": inside(Instance, self.instance),
        }
        for name in ("network_acls", "security_groups"):
            section = sections[name]
            if not section.get("default", True):  # as AWS makes it
                del section["default"]
        if main == ["main"] and sections["route_tables"]["main"] == []:
            del sections["route_tables"]["main"]
        return _given(sections)

    def gateway(self, vpc: Vpc, kind: type) -> Any:
        """The one gateway of a kind that a VPC has: its name, or fields if its id must be written."""
        found = self.inside.get((kind, vpc.id), [])
        if len(found) > 1:
            raise TopologyError(f"{vpc.name}: {found[0].name} and {found[1].name}: a VPC has one {NOUN[kind]}; keep one of them")
        if not found:
            return None
        edge = self.references.name(getattr(found[0], "route_table", ""), (RouteTable,), vpc.id)
        said = _given({"name": found[0].name, "id": self.references.own_id(found[0]), "route_table": edge})
        return OneLine(said) if len(said) > 1 else found[0].name

    def vpn_gateway(self, vpc: Vpc) -> Any:
        """The VPN gateway of a VPC."""
        found = self.inside.get((VpnGateway, vpc.id), [])
        if len(found) > 1:
            raise TopologyError(f"{vpc.name}: {found[0].name} and {found[1].name}: a VPC has one VPN gateway; keep one of them")
        return vpn_gateway_fields(found[0], self.references) if found else None

    def subnet(self, subnet: Subnet) -> OneLine:
        """A subnet."""
        blocks = {block.version: str(block) for block in subnet.blocks}
        return OneLine(
            _given(
                {
                    "cidr_block": blocks.get(4),
                    "ipv6_cidr_block": blocks.get(6),
                    "availability_zone": subnet.availability_zone,
                    "route_table": self.references.name(subnet.route_table, (RouteTable,), subnet.vpc),
                    "network_acl": self.references.name(subnet.network_acl, (NetworkAcl,), subnet.vpc),
                    "block_public_access": subnet.block_public_access,
                    "id": self.references.own_id(subnet),
                }
            )
        )

    def table(self, table: RouteTable) -> Any:
        """A route table: its routes, or fields if its id must be written."""
        routes = []
        for route in table.routes:
            to = route.destination
            said = {
                "destination": self.references.list(to.list, table.vpc) if isinstance(to, ListPeer) else str(to),
                "target": route.target if route.blackhole else self.references.target(route.target, table.vpc),
                "propagated": route.propagated,
                "blackhole": route.blackhole,
            }
            routes.append(OneLine(_given(said)))
        gateways = [self.references.name(gateway, (VpnGateway,), table.vpc) for gateway in table.propagating]
        more = _given({"id": self.references.own_id(table), "propagating": gateways})
        return more | {"routes": routes} if more else routes

    def nat_gateway(self, nat: NatGateway) -> OneLine:
        """A NAT gateway."""
        said = {
            "subnet": self.references.name(nat.subnet, (Subnet,), self.references.home(nat.id)),
            "private_ip": str(nat.private_ip),
            "elastic_ip": None if nat.public_ip is None else str(nat.public_ip),
            "secondary_ips": [
                str(private) if public is None else OneLine(private_ip=str(private), elastic_ip=str(public))
                for private, public in nat.secondary_ips
            ],
            "interface": "" if nat.interface == f"eni-{nat.id}" else nat.interface,
            "id": self.references.own_id(nat),
        }
        return OneLine(_given(said))

    def instance(self, instance: Instance) -> dict[str, Any]:
        """An instance: its one interface's fields on itself, or its interfaces."""
        interfaces = _named(self.attached.get(instance.id, ()), lambda eni: self.interface(eni, instance.vpc))
        head = {
            "instance_type": instance.instance_type,
            "id": self.references.own_id(instance),
            "max_tracked_connections": instance.max_tracked,
        }
        listen = {} if instance.listen is None else {"listen": [_word(service) for service in instance.listen]}
        if list(interfaces) == ["eth0"] and "id" not in interfaces["eth0"]:
            return OneLine(_given(head) | interfaces["eth0"] | listen)
        whole = _given(head) | listen | {"interfaces": interfaces}
        return whole if len(interfaces) > 1 else OneLine(whole)

    def interface(self, eni: NetworkInterface, vpc: str) -> OneLine:
        """An interface; its group is left out where it is the VPC's default one alone."""
        default = [group.id for group in self.inside.get((SecurityGroup, vpc), ()) if group.name == "default"]
        groups = [] if list(eni.security_groups) == default else eni.security_groups
        said = {
            "subnet": self.references.name(eni.subnet, (Subnet,), vpc),
            **_private(eni),
            **_public(eni),
            "security_groups": [self.references.name(group, (SecurityGroup,), vpc) for group in groups],
            "connection_tracking": _tracking(eni.tracking),
            "id": self.references.own_id(eni),
        }
        return OneLine(_given(said) | ({} if eni.source_dest_check else {"source_dest_check": False}))

    def peering(self, peering: VpcPeeringConnection) -> OneLine:
        """A peering connection."""
        said = {
            "requester": self.references.name(peering.requester, (Vpc,), ""),
            "accepter": self.references.name(peering.accepter, (Vpc,), ""),
            "status": "" if peering.status == "active" else peering.status,
            "inter_region": peering.inter_region,
            "id": self.references.own_id(peering),
        }
        return OneLine(_given(said))

    def outside(self, host: ExternalHost) -> OneLine:
        """A host outside the VPCs."""
        ips = [str(ip) for ip in host.ips]
        listen = {} if host.listen is None else {"listen": [_word(service) for service in host.listen]}
        return OneLine({"ip": ips[0]} if len(ips) == 1 else {"ips": ips}, **listen, **_given({"id": self.references.own_id(host)}))

    def link(self, link: Link) -> OneLine:
        """A link: only what differs from none."""
        said = {
            "between": [self.references.end(end) for end in link.between],
            "latency": _quantity(link.latency_ns, _TIMES),
            "rate": _quantity(link.rate_bps, _RATES),
            "queue": _quantity(link.queue_bytes, _SIZES),
            "loss": _chance(link.loss_ppb),
            "jitter": _quantity(link.jitter_ns, _TIMES),
            "reorder": _quantity(link.reorder_ns, _TIMES),
            "faults": [_fault(fault) for fault in link.faults],
        }
        return OneLine(_given(said))


def _given(said: dict[str, Any]) -> dict[str, Any]:
    """What has something to say: no empty text, list or section, nothing that is not so."""
    return {name: value for name, value in said.items() if value or (value == 0 and not isinstance(value, bool))}


def _named(entities: Iterable[Any], fields_of: Callable[[Any], Any]) -> dict[str, Any]:
    """Entities by name.

    Raises
    ------
    TopologyError : a name stands for two of them, or is none that a file can have.
    """
    said: dict[str, Any] = {}
    for entity in entities:
        noun = NOUN[type(entity)]
        if entity.name in said:
            raise TopologyError(f"two {noun}s are called {entity.name}, and a topology file knows them by name; rename one of them")
        if not entity.name or entity.name != entity.name.strip() or len(entity.name) > LONGEST:
            way_out = f"give it a name of 1 to {LONGEST} characters without spaces around it"
            raise TopologyError(f"{noun} {entity.id}: {entity.name!a} is no name for a topology file; {way_out}")
        said[entity.name] = fields_of(entity)
    return said


def _vpc_blocks(vpc: Vpc) -> dict[str, Any]:
    ipv4 = [str(block) for block in vpc.blocks if block.version == 4]
    ipv6 = [str(block) for block in vpc.blocks if block.version == 6]
    if [*ipv4, *ipv6] != [str(block) for block in vpc.blocks] or not ipv4:
        return {"cidr_blocks": [str(block) for block in vpc.blocks]}
    more = {"ipv6_cidr_block": ipv6[0]} if len(ipv6) == 1 else {"ipv6_cidr_blocks": ipv6}
    return {"cidr_block": ipv4[0], "cidr_blocks": ipv4[1:], **more}


def _private(eni: NetworkInterface) -> dict[str, Any]:
    """The addresses in their order: the primary IPv4, the others, IPv6; one list where the order is another."""
    ipv4 = [str(ip) for ip in eni.private_ips if ip.version == 4]
    ipv6 = [str(ip) for ip in eni.private_ips if ip.version == 6]
    if not ipv4 or [*ipv4, *ipv6] != [str(ip) for ip in eni.private_ips]:
        return {"private_ips": [str(ip) for ip in eni.private_ips]}
    more: dict[str, Any] = {"ipv6": ipv6[0]} if len(ipv6) == 1 else {"ipv6_addresses": ipv6}
    return {"private_ip": ipv4[0], "private_ips": ipv4[1:], **more}


def _public(eni: NetworkInterface) -> dict[str, Any]:
    primary = next((ip for ip in eni.private_ips if ip.version == 4), None)
    if len(eni.public_ips) == 1 and eni.public_ips[0][0] == primary:
        return {"elastic_ip": str(eni.public_ips[0][1])}
    return {"elastic_ips": {str(private): str(public) for private, public in eni.public_ips}}


def _tracking(tracking: ConnectionTracking) -> dict[str, str]:
    said = {"tcp_established": tracking.tcp_established_s, "udp": tracking.udp_s, "udp_stream": tracking.udp_stream_s}
    return {name: f"{seconds}s" for name, seconds in said.items() if seconds is not None}


def _policy(policy: Policy) -> dict[str, Any]:
    usual = Policy()
    said = {spelling: getattr(policy, name) for spelling, name in settings().items() if getattr(policy, name) != getattr(usual, name)}
    return {spelling: value for spelling, value in said.items() if value is not None}


def _planned(edit: PlannedEdit) -> OneLine:
    said = {"at": _quantity(edit.at_ns, _TIMES) or "0s", "action": edit.action, "on": edit.on, "arguments": list(edit.arguments)}
    return OneLine(_given(said))


def _expected(line: Expectation) -> OneLine:
    said = OneLine({"source": line.source, "destination": line.destination}, **traffic(line.service), reachable=line.reachable)
    return OneLine(said, because=line.because) if line.because else said


def _fault(fault: Fault) -> OneLine:
    """A stretch of time in which a link is worse."""
    said = {"down": fault.down, "latency": _quantity(fault.latency_ns, _TIMES), "loss": _chance(fault.loss_ppb)}
    return OneLine({"start": _quantity(fault.start_ns, _TIMES) or "0s", "end": _quantity(fault.end_ns, _TIMES) or "0s"}, **_given(said))


def _chance(ppb: int) -> str:
    """A share in per cent; empty for none."""
    return f"{(Decimal(ppb) / 10**7).normalize():f}%" if ppb else ""


def _word(service: Service) -> str:
    """One service in one word: the console's, or ``tcp/8080``."""
    return WORDS.get(service, str(service))


def _quantity(amount: int, units: dict[str, int]) -> str:
    """An amount with the largest unit that it is a whole number of; empty for none."""
    unit = next((unit for unit, size in units.items() if amount % size == 0), "")
    return f"{amount // units[unit]}{unit}" if amount else ""
