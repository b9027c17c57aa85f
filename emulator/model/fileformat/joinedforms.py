"""The shape of a topology file for what `emulator.model.joined` declares; see `fileforms`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from emulator.model.fileformat.fields import AddressText, BlockText, Flag, Name
from emulator.model.fileformat.ruleforms import MADE_ID, Form, form

Port = Annotated[int, Field(ge=1, le=65535)]
Transport = Literal["tcp", "udp"]


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _targeted(value: Any) -> Any:
    return {"target": value} if isinstance(value, str) else value


@form
class VpnGatewayForm(Form):
    """A virtual private gateway."""

    name: Name = Field(description="What routes call it.")
    route_table: Name = Field("", description="An edge route table: what comes in follows it.")
    id: Name = Field("", description=MADE_ID)


@form
class NodeForm(Form):
    """An interface of AWS's own in a subnet."""

    subnet: Name = Field(description="The subnet it stands in.")
    private_ip: AddressText = Field(description="Its address there.")
    elastic_ip: AddressText | None = Field(None, description="Its public address.")
    interface: Name = Field("", description="Id of its interface; made from the names where it is left out.")


@form
class EndpointForm(Form):
    """A VPC endpoint: a gateway endpoint is a route to a prefix list, an interface endpoint has addresses and groups."""

    type: Literal["Gateway", "Interface"] = Field(description="Gateway for S3 and DynamoDB by a route, Interface for the rest.")
    service: Name = Field("", description="s3, dynamodb, sqs…")
    prefix_list: Name = Field("", description="Of a gateway endpoint: the prefix list of its service.")
    route_tables: list[Name] = Field([], description="Of a gateway endpoint: the tables that get its route.")
    nodes: list[NodeForm] = Field([], description="Of an interface endpoint: one a zone.")
    security_groups: list[Name] = Field([], description="Of an interface endpoint; left out: default.")
    ports: list[Port] = Field(default_factory=lambda: [443], description="Of an interface endpoint: the tcp ports that answer.")
    private_dns_names: list[Name] = Field([], description="Of an interface endpoint: names that lead to it.")
    id: Name = Field("", description=MADE_ID)

    def __post_init__(self) -> None:
        if self.type == "Gateway" and not self.prefix_list:
            raise ValueError("`prefix_list` is missing; a gateway endpoint is reached by one")
        if self.type == "Interface" and not self.nodes:
            raise ValueError("`nodes` is missing; an interface endpoint has an address in a subnet")


@form
class TargetForm(Form):
    """A target of a load balancer."""

    target: Name = Field(description="An instance, an interface, or an address where the group's target_type is ip.")
    port: Port | None = Field(None, description="Left out: the group's.")
    healthy: Flag = Field(True, description="Whether it gets flows.")


@form
class TargetGroupForm(Form):
    """Targets of load balancers."""

    port: Port = Field(description="Where its targets listen.")
    protocol: Transport = Field("tcp", description="tcp or udp.")
    target_type: Literal["instance", "ip"] = Field("instance", description="Whether targets are instances or addresses.")
    targets: list[Annotated[TargetForm, BeforeValidator(_targeted)]] = Field([], description="Who serves.")
    preserve_client_ip: Flag | None = Field(None, description="Left out: yes for instances and udp, no for ip targets of tcp.")
    id: Name = Field("", description=MADE_ID)


@form
class ListenerForm(Form):
    """A port of a load balancer."""

    port: Port = Field(description="Where it listens.")
    target_group: Name = Field(description="Who serves it.")
    protocol: Transport = Field("tcp", description="tcp or udp.")


@form
class BalancerForm(Form):
    """A network load balancer."""

    nodes: list[NodeForm] = Field(description="One a zone.")
    listeners: list[ListenerForm] = Field([], description="Its ports.")
    cross_zone: Flag = Field(False, description="Whether a node uses targets of every zone.")
    internal: Flag = Field(False, description="Whether it has private addresses alone.")
    security_groups: list[Name] = Field([], description="Left out: none.")
    id: Name = Field("", description=MADE_ID)


@form
class TransitRouteForm(Form):
    """A route of a transit gateway's table."""

    destination: BlockText = Field(description="A CIDR block.")
    attachment: Name = Field("", description="Where its packets go.")
    blackhole: Flag = Field(False, description="Whether it drops what it matches.")

    def __post_init__(self) -> None:
        if not self.attachment and not self.blackhole:
            raise ValueError("`attachment` is missing; write where its packets go, or `blackhole: true`")


@form
class TransitTableForm(Form):
    """A route table of a transit gateway."""

    routes: list[TransitRouteForm] = Field([], description="Its static routes.")
    id: Name = Field("", description=MADE_ID)


@form
class TransitAttachmentForm(Form):
    """An attachment of a transit gateway: to a VPC, a customer network or another transit gateway."""

    vpc: Name = Field("", description="The VPC that it joins.")
    subnets: list[Name] = Field([], description="Of the VPC: one a zone; only these zones can use it.")
    network: Name = Field("", description="The customer network that it joins.")
    peer: Name = Field("", description="The transit gateway that it joins.")
    route_table: Name = Field("", description="The table it is associated with; left out: the only one, or `default`.")
    associated: Flag = Field(True, description="Whether it is associated with a table at all.")
    propagates_to: list[Name] | None = Field(None, description="Tables that learn its blocks; left out: as route_table, []: none.")
    appliance_mode: Flag = Field(False, description="Whether both directions of a flow stay in one zone.")
    security_group_referencing: Flag = Field(True, description="Whether groups may be named across it, where the gateway allows it.")
    interfaces: list[Name] = Field([], description="Ids of its interfaces, one a subnet.")
    private_ips: list[AddressText] = Field([], description="Their addresses, which flow logs show.")
    id: Name = Field("", description=MADE_ID)


@form
class TransitGatewayForm(Form):
    """A transit gateway: a router between VPCs and networks."""

    security_group_referencing: Flag = Field(False, description="Whether inbound rules may name groups across it.")
    route_tables: dict[Name, TransitTableForm] = Field({}, description="Left out: one called default.")
    attachments: dict[Name, TransitAttachmentForm] = Field({}, description="What it joins, by name.")
    id: Name = Field("", description=MADE_ID)


@form
class CustomerNetworkForm(Form):
    """A network on the far side of a VPN or Direct Connect."""

    cidr_blocks: list[BlockText] = Field(min_length=1, description="Its blocks; hosts outside with such an address stand in it.")
    vpn_gateway: Name = Field("", description="The VPN gateway it hangs on; left out: a transit gateway's attachment.")
    connection: Literal["vpn_static", "vpn_bgp", "direct_connect"] = Field("vpn_bgp", description="What carries it.")
    up: Flag = Field(True, description="Whether the connection is up.")
    id: Name = Field("", description=MADE_ID)


VpnGatewayText = Annotated[VpnGatewayForm, BeforeValidator(_named)]
