"""The shape of a topology file: plain dataclasses that pydantic fills and checks.
A form has the words of the file and the values of the model; what needs more than one form (who is called what) is
left to `emulator.model.fileformat.declared`.  The descriptions are what an editor shows.
"""

from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_type_hints

from pydantic import BeforeValidator, Field

from emulator.model.fileformat.fields import (
    AddressText,
    BlockText,
    Chance,
    Count,
    Flag,
    Ipv4BlockText,
    Ipv6AddressText,
    Ipv6BlockText,
    Latency,
    Name,
    Rate,
    ServiceText,
    Size,
    TcpTimeout,
    UdpStreamTimeout,
    UdpTimeout,
)
from emulator.model.fileformat.joinedforms import (
    BalancerForm,
    CustomerNetworkForm,
    EndpointForm,
    TargetGroupForm,
    TransitGatewayForm,
    VpnGatewayText,
)
from emulator.model.fileformat.policyform import PolicyForm, spelling
from emulator.model.fileformat.ruleforms import MADE_ID, Form, NetworkAclForm, PrefixListForm, SecurityGroupForm, TrafficForm, form


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _addressed(value: Any) -> Any:
    return {"private_ip": value} if isinstance(value, str) else value


def _routed(value: Any) -> Any:
    return {"routes": value} if isinstance(value, list) else value


def _listed(value: Any) -> Any:
    return {"entries": value} if isinstance(value, list) else value


@form
class RouteForm(Form):
    """A route: where packets for a destination go; the longest prefix decides."""

    destination: Name = Field(description="A CIDR block, or the name of a prefix list.")
    target: Name = Field("", description="local, or the name of a gateway, an instance, an interface (web-1:eth0) or a peering.")
    propagated: Flag = Field(False, description="Whether it came from a gateway: loses to a static route of the same prefix.")
    blackhole: Flag = Field(False, description="Whether its target is gone: drops what it matches.")

    def __post_init__(self) -> None:
        if not self.target and not self.blackhole:
            raise ValueError("`target` is missing; write where its packets go, such as `target: igw`, or `blackhole: true`")


@form
class RouteTableForm(Form):
    """A route table; the VPC's local routes are in it already."""

    routes: list[RouteForm] = Field([], description="Its routes but the local ones.")
    propagating: list[Name] = Field([], description="VPN gateways whose networks appear in it as propagated routes.")
    id: Name = Field("", description=MADE_ID)


@form
class GatewayForm(Form):
    """A gateway for outgoing IPv6 only."""

    name: Name = Field(description="What routes call it.")
    id: Name = Field("", description=MADE_ID)


@form
class InternetGatewayForm(GatewayForm):
    """An internet gateway."""

    route_table: Name = Field("", description="An edge table: what comes in follows it, through an appliance for instance.")


@form
class NatAddressForm(Form):
    """One more pair of addresses of a NAT gateway."""

    private_ip: AddressText = Field(description="An address in its subnet.")
    elastic_ip: AddressText | None = Field(None, description="The public address that it stands for.")


InternetGateway = Annotated[InternetGatewayForm, BeforeValidator(_named, json_schema_input_type=str | InternetGatewayForm)]
EgressOnlyGateway = Annotated[GatewayForm, BeforeValidator(_named, json_schema_input_type=str | GatewayForm)]
NatAddress = Annotated[NatAddressForm, BeforeValidator(_addressed, json_schema_input_type=str | NatAddressForm)]
Table = Annotated[RouteTableForm, BeforeValidator(_routed, json_schema_input_type=list[RouteForm] | RouteTableForm)]
BlockList = Annotated[PrefixListForm, BeforeValidator(_listed, json_schema_input_type=list[BlockText] | PrefixListForm)]


@form
class NatGatewayForm(Form):
    """A NAT gateway: many private sources behind one address."""

    subnet: Name = Field(description="The subnet it stands in.")
    private_ip: AddressText | None = Field(None, description="Its address there; left out: a free one, made from the name.")
    elastic_ip: AddressText | None = Field(None, description="Its public address; left out: a private NAT gateway.")
    secondary_ips: list[NatAddress] = Field([], description="More addresses, each alone or with an elastic IP.")
    interface: Name = Field("", description="The id of its interface in flow logs; made from its id where it is left out.")
    id: Name = Field("", description=MADE_ID)


@form
class SubnetForm(Form):
    """A subnet."""

    cidr_block: Ipv4BlockText | None = Field(None, description="Its IPv4 block, within the VPC's.")
    ipv6_cidr_block: Ipv6BlockText | None = Field(None, description="Its IPv6 block, within the VPC's.")
    availability_zone: str = Field("", description="Its zone, such as a or eu-central-1a.")
    route_table: Name = Field("", description="Left out: the VPC's main route table.")
    network_acl: Name = Field("", description="Left out: the VPC's default network ACL.")
    block_public_access: Literal["off", "block-ingress", "block-bidirectional"] | None = Field(
        None, description="An exclusion from the VPC's mode; left out: the VPC's mode."
    )
    id: Name = Field("", description=MADE_ID)

    def __post_init__(self) -> None:
        if self.cidr_block is None and self.ipv6_cidr_block is None:
            raise ValueError("`cidr_block` is missing; write one, such as 10.0.1.0/24")


@form
class TrackingForm(Form):
    """How long connection tracking remembers what is idle."""

    tcp_established: TcpTimeout | None = Field(None, description="60s to 432000s; left out: by instance type.")
    udp: UdpTimeout | None = Field(None, description="30s to 60s; left out: 30s.")
    udp_stream: UdpStreamTimeout | None = Field(None, description="60s to 180s; left out: 180s.")


@form
class AttachmentForm(Form):
    """The fields of an interface that an instance with one interface writes on itself."""

    subnet: Name = Field("", description="The subnet it is in.")
    private_ip: AddressText | None = Field(None, description="Its primary address; left out: a free one, made from the name.")
    private_ips: list[AddressText] | None = Field(None, description="Its other addresses, IPv4 and IPv6.")
    ipv6: Ipv6AddressText | None = Field(None, description="Its IPv6 address.")
    ipv6_addresses: list[Ipv6AddressText] = Field([], description="Its IPv6 addresses.")
    elastic_ip: AddressText | None = Field(None, description="The public address of its primary private one.")
    public_ip: AddressText | None = Field(None, description="The same as elastic_ip.")
    elastic_ips: dict[AddressText, AddressText] = Field({}, description="Public addresses by private address.")
    security_groups: list[Name] = Field([], description="Left out: the VPC's default group.")
    source_dest_check: Flag = Field(True, description="false for a machine that forwards what is not its own.")
    connection_tracking: TrackingForm | None = Field(None, description="Idle timeouts.")

    def __post_init__(self) -> None:
        public = [name for name in ("elastic_ip", "public_ip", "elastic_ips") if getattr(self, name)]
        if len(public) > 1:
            raise ValueError(f"`{public[0]}` and `{public[1]}` say the same thing; write one of them, or all pairs under `elastic_ips`")


@form
class InterfaceForm(AttachmentForm):
    """An elastic network interface: where security groups act."""

    id: Name = Field("", description=MADE_ID)

    def __post_init__(self) -> None:
        AttachmentForm.__post_init__(self)
        if not self.subnet:
            raise ValueError("`subnet` is missing; write the name of one")


@form
class InstanceForm(AttachmentForm):
    """An instance: its interfaces, or the fields of its one interface."""

    instance_type: str = Field("", description="Decides the established timer: m5.large, m8i.large.")
    listen: list[ServiceText] | None = Field(None, description="Services that answer; left out: everything answers, []: nothing.")
    max_tracked_connections: Count | None = Field(None, description="Most tracked connections over all its interfaces.")
    interfaces: dict[Name, InterfaceForm] | None = Field(None, description="Its interfaces by name, eth0 first.")
    id: Name = Field("", description=MADE_ID)

    def __post_init__(self) -> None:
        AttachmentForm.__post_init__(self)
        if self.interfaces is None:
            if not self.subnet:
                raise ValueError("`subnet` is missing; write the name of one, or `interfaces`")
            return
        own = [field.name for field in fields(AttachmentForm) if getattr(self, field.name) not in _BLANK]
        if own:
            raise ValueError(f"`{own[0]}` stands beside `interfaces`; write it in one of them")


_BLANK: tuple[Any, ...] = (None, "", [], {}, True)


@form
class VpcForm(Form):
    """A VPC and all that is in it, by name."""

    cidr_block: Ipv4BlockText | None = Field(None, description="Its primary IPv4 block.")
    cidr_blocks: list[BlockText] = Field([], description="Its secondary blocks.")
    ipv6_cidr_block: Ipv6BlockText | None = Field(None, description="Its IPv6 block.")
    ipv6_cidr_blocks: list[Ipv6BlockText] = Field([], description="Its IPv6 blocks.")
    internet_gateway: InternetGateway | None = Field(None, description="Its internet gateway: a name.")
    egress_only_internet_gateway: EgressOnlyGateway | None = Field(None, description="Its gateway for outgoing IPv6 only: a name.")
    is_default: Flag = Field(False, description="Whether it is its Region's default VPC, in which some edits answer otherwise.")
    block_public_access: Literal["off", "block-ingress", "block-bidirectional"] = Field(
        "off", description="VPC block public access: the mode in force."
    )
    main_route_table: Name = Field("", description="Which of its route tables is the main one; left out: `main`.")
    subnets: dict[Name, SubnetForm] = Field({}, description="Subnets by name.")
    route_tables: dict[Name, Table] = Field({}, description="Route tables by name.")
    network_acls: dict[Name, NetworkAclForm] = Field({}, description="Network ACLs by name; `default` is the VPC's.")
    prefix_lists: dict[Name, BlockList] = Field({}, description="Prefix lists by name.")
    security_groups: dict[Name, SecurityGroupForm] = Field({}, description="Security groups by name.")
    nat_gateways: dict[Name, NatGatewayForm] = Field({}, description="NAT gateways by name.")
    vpn_gateway: VpnGatewayText | None = Field(None, description="Its virtual private gateway: a name.")
    vpc_endpoints: dict[Name, EndpointForm] = Field({}, description="VPC endpoints by name.")
    target_groups: dict[Name, TargetGroupForm] = Field({}, description="Target groups by name.")
    network_load_balancers: dict[Name, BalancerForm] = Field({}, description="Network load balancers by name.")
    instances: dict[Name, InstanceForm] = Field({}, description="Instances by name.")
    id: Name = Field("", description=MADE_ID)

    def __post_init__(self) -> None:
        if self.cidr_block is None and not self.cidr_blocks:
            raise ValueError("`cidr_block` is missing; write one, such as 10.0.0.0/16")


@form
class PeeringForm(Form):
    """A peering connection between two VPCs."""

    requester: Name = Field(description="The VPC that asked.")
    accepter: Name = Field(description="The VPC that was asked.")
    status: Literal[
        "initiating-request", "pending-acceptance", "provisioning", "active", "deleting", "deleted", "rejected", "failed", "expired"
    ] = Field("active", description="Only active carries packets.")
    inter_region: Flag = Field(False, description="Whether the VPCs are in two Regions: smaller packets, no groups across it.")
    id: Name = Field("", description=MADE_ID)


@form
class ExternalHostForm(Form):
    """A host outside the VPCs, behind the internet gateways."""

    ip: AddressText | None = Field(None, description="Its address.")
    ips: list[AddressText] = Field([], description="Its addresses.")
    listen: list[ServiceText] | None = Field(None, description="Services that answer; left out: everything answers, []: nothing.")
    id: Name = Field("", description=MADE_ID)

    def __post_init__(self) -> None:
        if self.ip is None and not self.ips:
            raise ValueError("`ip` is missing; write its address, such as 192.0.2.77")


@form
class FaultForm(Form):
    """A stretch of time in which a link is worse."""

    start: Latency = Field(description="Since the run began.")
    end: Latency = Field(description="Until before this time.")
    down: Flag = Field(False, description="Whether nothing passes.")
    latency: Latency = Field(0, description="On top of the link's own.")
    loss: Chance = Field(0, description="On top of the link's own.")


@form
class LinkForm(Form):
    """Delay, rate, queue and loss between two places."""

    between: list[Name] = Field(min_length=2, max_length=2, description="Two instances, interfaces, gateways or hosts outside.")
    latency: Latency = Field(0, description="One way, with its unit.")
    rate: Rate = Field(0, description="Bits a second, with the unit; left out: no limit.")
    queue: Size = Field(0, description="What may wait for the rate, with its unit; left out: no limit.")
    loss: Chance = Field(0, description="Share of packets lost, in per cent.")
    jitter: Latency = Field(0, description="Up to so much more delay; packets stay in order.")
    reorder: Latency = Field(0, description="Up to so much more delay by which packets overtake one another.")
    faults: list[FaultForm] = Field([], description="When it is worse.")


@form
class ExpectationForm(TrafficForm):
    """What must hold: whether a source reaches a destination."""

    source: Name = Field(description="A name, an id, web-1:eth0, an address, or internet.")
    destination: Name = Field(description="The same.")
    service: ServiceText | None = Field(None, description="Instead of type or protocol: tcp/443, icmp, HTTPS.")
    reachable: Flag = Field(description="Whether it must be reached.")
    because: str = Field("", description="The code of the reason if it must not, such as ENI_SG_RULES_MISMATCH.")

    def __post_init__(self) -> None:
        if self.service is None:
            TrafficForm.__post_init__(self)
        elif {self.type, self.protocol, self.ports, self.icmp_type, self.icmp_code} != {None}:
            raise ValueError("`service` already says protocol and ports; leave the others out")


@form
class PlannedEditForm(Form):
    """An edit at a time of the run."""

    at: Latency = Field(description="Since the run began, with its unit.")
    action: Literal[
        "authorize_ingress",
        "revoke_ingress",
        "authorize_egress",
        "revoke_egress",
        "set_groups",
        "create_route",
        "delete_route",
        "create_acl_entry",
        "delete_acl_entry",
        "associate_address",
        "disassociate_address",
    ] = Field(description="What is done.")
    on: Name = Field(description="The group, interface, route table or network ACL that is edited.")
    arguments: list[Name] = Field([], description="In their order: service and peer, groups, destination and target…")


@form
class FileForm(Form):
    """A topology file of vpcemu: VPCs, hosts outside, links, and what must hold."""

    topology: str = Field("", description="The name of the whole.")
    vpcs: dict[Name, VpcForm] = Field({}, description="VPCs by name.")
    vpc_peering_connections: dict[Name, PeeringForm] = Field({}, description="Peering connections by name.")
    transit_gateways: dict[Name, TransitGatewayForm] = Field({}, description="Transit gateways by name.")
    customer_networks: dict[Name, CustomerNetworkForm] = Field({}, description="Networks behind a VPN or Direct Connect.")
    internet: dict[Name, ExternalHostForm] = Field({}, description="Hosts outside by name.")
    links: list[LinkForm] = Field([], description="Delay, rate, queue and loss, where they differ from none.")
    schedule: list[PlannedEditForm] = Field([], description="Edits at a time of the run.")
    expect: list[ExpectationForm] = Field([], description="What `vpcemu check` tests.")
    policy: PolicyForm | None = Field(None, description="Settings for what AWS does not say.")
    map: dict[AddressText, Name] = Field({}, description="Who has an address of a capture: address to name.")


def fields_at(path: tuple[str | int, ...]) -> list[str]:
    """The names of the fields that a file may have at a path, in their order; none where names are free."""
    kind: Any = FileForm
    for step in path:
        if is_dataclass(kind):
            hints = get_type_hints(kind)
            kind = next((hints[field.name] for field in fields(kind) if spelling(field) == step), None)
        else:
            kind = get_args(kind)[-1] if get_args(kind) else None
        if kind is not None and type(None) in get_args(kind):
            kind = get_args(kind)[0]
    return [spelling(field) for field in fields(kind)] if is_dataclass(kind) else []
