"""What is joined to VPCs besides internet gateways and peerings: transit gateways, customer networks, endpoints, balancers.

As in `entities`, a field that refers to another entity takes its name or its id.  The nodes of an endpoint or a
balancer are interfaces of AWS's own: they have an address and a subnet, whose network ACL sees their traffic (NA-14).
"""

from dataclasses import dataclass

from emulator.model.entities import Address
from emulator.model.groups import Block
from emulator.model.services import TCP


@dataclass(frozen=True, slots=True)
class CustomerNetwork:
    """A network on the far side of a VPN or Direct Connect; outside hosts with an address in its blocks stand in it.

    Parameters
    ----------
    gateway : the VPN gateway that it is joined to; empty if it hangs on a transit gateway by an attachment.
    connection : ``vpn_static``, ``vpn_bgp`` or ``direct_connect``: the order of equal propagated routes (RT-7).
    up : False while the connection is down (BAD_STATE_VPN).
    """

    name: str
    blocks: tuple[Block, ...]
    gateway: str = ""
    connection: str = "vpn_bgp"
    up: bool = True
    id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class VpnGateway:
    """A virtual private gateway: the way to customer networks (RT-5, RT-7); ``route_table`` is an edge table (RT-15)."""

    name: str
    vpc: str
    route_table: str = ""
    id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class TransitGateway:
    """A router between VPCs and networks, with route tables of its own (RT-54).

    ``security_group_referencing`` lets inbound rules name groups across it, where the attachments allow it too (SG-31).
    """

    name: str
    security_group_referencing: bool = False
    id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class TransitGatewayRoute:
    """An entry of a transit gateway's route table: to an attachment, or to nothing (blackhole)."""

    destination: Block
    attachment: str = ""
    blackhole: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class TransitGatewayRouteTable:
    """Static routes; those that attachments propagate are added, and lose to static ones of the same prefix (RT-54).

    A transit gateway without any table gets one called ``default``.
    """

    name: str
    transit_gateway: str
    routes: tuple[TransitGatewayRoute, ...] = ()
    id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class TransitGatewayAttachment:
    """A VPC, a customer network or another transit gateway, joined to a transit gateway.

    Parameters
    ----------
    vpc, network, peer : exactly one of them: a VPC, a customer network, another transit gateway.
    subnets : of a VPC: one a zone; only zones with one can use the gateway (RT-54).
    route_table : the one it is associated with; None is the gateway's only or ``default`` table, empty is none at all.
    propagates_to : tables that learn its blocks; None is the gateway's only or ``default`` table.
    appliance_mode : keep both directions of a flow in one zone.
    interfaces, private_ips : of its interfaces, one a subnet; flow logs show a free address where none is named (FL-23).
    """

    name: str
    transit_gateway: str
    vpc: str = ""
    subnets: tuple[str, ...] = ()
    network: str = ""
    peer: str = ""
    route_table: str | None = None
    propagates_to: tuple[str, ...] | None = None
    appliance_mode: bool = False
    security_group_referencing: bool = True
    interfaces: tuple[str, ...] = ()
    private_ips: tuple[Address, ...] = ()
    id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class GatewayEndpoint:
    """S3 or DynamoDB by a route to a prefix list in chosen tables; sources stay private (RT-56)."""

    name: str
    vpc: str
    prefix_list: str
    route_tables: tuple[str, ...] = ()
    service: str = "s3"
    id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """An interface that AWS keeps in a subnet; ``interface`` is its id, made from the names where it is left out."""

    subnet: str
    private_ip: Address
    public_ip: Address | None = None
    interface: str = ""


@dataclass(frozen=True, slots=True)
class InterfaceEndpoint:
    """A service behind interfaces with groups (RT-57); it answers tcp on ``ports`` alone, whatever its groups allow."""

    name: str
    vpc: str
    nodes: tuple[Node, ...]
    security_groups: tuple[str, ...] = ()
    ports: tuple[int, ...] = (443,)
    service: str = ""
    private_dns_names: tuple[str, ...] = ()
    id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Who serves: the name or id of an instance or interface, or an address; ``port`` 0 is the group's."""

    target: str
    port: int = 0
    healthy: bool = True


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """Targets of a load balancer, all of one kind: ``instance`` or ``ip``.

    ``preserve_client_ip`` None is AWS's default: kept for instances and for udp, the node's address for ip targets of tcp.
    """

    name: str
    vpc: str
    port: int
    targets: tuple[Target, ...] = ()
    protocol: int = TCP
    target_type: str = "instance"
    preserve_client_ip: bool | None = None
    id: str = ""
    place: str = ""

    @property
    def keeps_client(self) -> bool:
        """Whether targets see the client's address."""
        return self.preserve_client_ip if self.preserve_client_ip is not None else self.target_type == "instance" or self.protocol != TCP


@dataclass(frozen=True, slots=True)
class Listener:
    """A port of a load balancer and the target group that serves it."""

    port: int
    target_group: str
    protocol: int = TCP
    place: str = ""


@dataclass(frozen=True, slots=True)
class NetworkLoadBalancer:
    """A node in each zone's subnet; a flow goes to one healthy target of the node's zone, of any zone with ``cross_zone``.

    ``security_groups`` empty is a balancer without groups: everything reaches its listeners.
    """

    name: str
    vpc: str
    nodes: tuple[Node, ...]
    listeners: tuple[Listener, ...] = ()
    cross_zone: bool = False
    internal: bool = False
    security_groups: tuple[str, ...] = ()
    id: str = ""
    place: str = ""


Joined = (
    CustomerNetwork
    | VpnGateway
    | TransitGateway
    | TransitGatewayRouteTable
    | TransitGatewayAttachment
    | GatewayEndpoint
    | InterfaceEndpoint
    | TargetGroup
    | NetworkLoadBalancer
)
