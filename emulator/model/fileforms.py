"""The shape of a topology file: plain frozen dataclasses that pydantic fills and checks.

A form has the words of the file and the values of the model; what needs more than one form (who is called what) is
left to `emulator.model.declared`.  The descriptions are what an editor shows.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_type_hints

from pydantic import BeforeValidator, Field, TypeAdapter

from emulator.model.fields import (
    AddressText,
    BlockText,
    Chance,
    Count,
    Edition,
    Flag,
    Ipv4BlockText,
    Ipv6AddressText,
    Ipv6BlockText,
    Latency,
    Name,
    Rate,
    Seed,
    ServiceText,
    SettingSeconds,
    Size,
    TcpTimeout,
    UdpStreamTimeout,
    UdpTimeout,
)
from emulator.model.ruleforms import MADE_ID, Form, NetworkAclForm, PrefixListForm, SecurityGroupForm, TrafficForm


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _routed(value: Any) -> Any:
    return {"routes": value} if isinstance(value, list) else value


def _listed(value: Any) -> Any:
    return {"entries": value} if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteForm(Form):
    """A route: where packets for a destination go; the longest prefix decides."""

    destination: Name = Field(description="A CIDR block, or the name of a prefix list.")
    target: Name = Field("", description="local, or the name of a gateway, an instance, an interface (web-1:eth0) or a peering.")
    propagated: Flag = Field(False, description="Whether it came from a gateway: loses to a static route of the same prefix.")
    blackhole: Flag = Field(False, description="Whether its target is gone: drops what it matches.")

    def __post_init__(self) -> None:
        if not self.target and not self.blackhole:
            raise ValueError("`target` is missing; write where its packets go, such as `target: igw`, or `blackhole: true`")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTableForm(Form):
    """A route table; the VPC's local routes are in it already."""

    routes: list[RouteForm] = Field(default_factory=list, description="Its routes but the local ones.")
    id: Name = Field("", description=MADE_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayForm(Form):
    """An internet gateway, or one for outgoing IPv6 only."""

    name: Name = Field(description="What routes call it.")
    id: Name = Field("", description=MADE_ID)


Gateway = Annotated[GatewayForm, BeforeValidator(_named, json_schema_input_type=str | GatewayForm)]
Table = Annotated[RouteTableForm, BeforeValidator(_routed, json_schema_input_type=list[RouteForm] | RouteTableForm)]
BlockList = Annotated[PrefixListForm, BeforeValidator(_listed, json_schema_input_type=list[BlockText] | PrefixListForm)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NatGatewayForm(Form):
    """A NAT gateway: many private sources behind one address."""

    subnet: Name = Field(description="The subnet it stands in.")
    private_ip: AddressText | None = Field(None, description="Its address there; left out: a free one, made from the name.")
    elastic_ip: AddressText | None = Field(None, description="Its public address; left out: a private NAT gateway.")
    id: Name = Field("", description=MADE_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetForm(Form):
    """A subnet."""

    cidr_block: Ipv4BlockText | None = Field(None, description="Its IPv4 block, within the VPC's.")
    ipv6_cidr_block: Ipv6BlockText | None = Field(None, description="Its IPv6 block, within the VPC's.")
    availability_zone: Name = Field("", description="Its zone, such as a or eu-central-1a.")
    route_table: Name = Field("", description="Left out: the VPC's main route table.")
    network_acl: Name = Field("", description="Left out: the VPC's default network ACL.")
    id: Name = Field("", description=MADE_ID)

    def __post_init__(self) -> None:
        if self.cidr_block is None and self.ipv6_cidr_block is None:
            raise ValueError("`cidr_block` is missing; write one, such as 10.0.1.0/24")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingForm(Form):
    """How long connection tracking remembers what is idle."""

    tcp_established: TcpTimeout | None = Field(None, description="60s to 432000s; left out: by instance type.")
    udp: UdpTimeout | None = Field(None, description="30s to 60s; left out: 30s.")
    udp_stream: UdpStreamTimeout | None = Field(None, description="60s to 180s; left out: 180s.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentForm(Form):
    """The fields of an interface that an instance with one interface writes on itself."""

    subnet: Name = Field("", description="The subnet it is in.")
    private_ip: AddressText | None = Field(None, description="Its primary address; left out: a free one, made from the name.")
    private_ips: list[AddressText] | None = Field(None, description="Its other addresses, IPv4 and IPv6.")
    ipv6: Ipv6AddressText | None = Field(None, description="Its IPv6 address.")
    ipv6_addresses: list[Ipv6AddressText] = Field(default_factory=list, description="Its IPv6 addresses.")
    elastic_ip: AddressText | None = Field(None, description="The public address of its primary private one.")
    public_ip: AddressText | None = Field(None, description="The same as elastic_ip.")
    elastic_ips: dict[AddressText, AddressText] = Field(default_factory=dict, description="Public addresses by private address.")
    security_groups: list[Name] = Field(default_factory=list, description="Left out: the VPC's default group.")
    source_dest_check: Flag = Field(True, description="false for a machine that forwards what is not its own.")
    connection_tracking: TrackingForm | None = Field(None, description="Idle timeouts.")

    def __post_init__(self) -> None:
        public = [name for name in ("elastic_ip", "public_ip", "elastic_ips") if getattr(self, name)]
        if len(public) > 1:
            raise ValueError(f"`{public[0]}` and `{public[1]}` say the same thing; write one of them, or all pairs under `elastic_ips`")


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceForm(AttachmentForm):
    """An elastic network interface: where security groups act."""

    id: Name = Field("", description=MADE_ID)

    def __post_init__(self) -> None:
        AttachmentForm.__post_init__(self)
        if not self.subnet:
            raise ValueError("`subnet` is missing; write the name of one")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceForm(AttachmentForm):
    """An instance: its interfaces, or the fields of its one interface."""

    instance_type: Name = Field("", description="Decides the established timer: m5.large, m8i.large.")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class VpcForm(Form):
    """A VPC and all that is in it, by name."""

    cidr_block: Ipv4BlockText | None = Field(None, description="Its primary IPv4 block.")
    cidr_blocks: list[BlockText] = Field(default_factory=list, description="Its secondary blocks.")
    ipv6_cidr_block: Ipv6BlockText | None = Field(None, description="Its IPv6 block.")
    ipv6_cidr_blocks: list[Ipv6BlockText] = Field(default_factory=list, description="Its IPv6 blocks.")
    internet_gateway: Gateway | None = Field(None, description="Its internet gateway: a name.")
    egress_only_internet_gateway: Gateway | None = Field(None, description="Its gateway for outgoing IPv6 only: a name.")
    main_route_table: Name = Field("", description="Which of its route tables is the main one; left out: `main`.")
    subnets: dict[Name, SubnetForm] = Field(default_factory=dict, description="Subnets by name.")
    route_tables: dict[Name, Table] = Field(default_factory=dict, description="Route tables by name.")
    network_acls: dict[Name, NetworkAclForm] = Field(default_factory=dict, description="Network ACLs by name; `default` is the VPC's.")
    prefix_lists: dict[Name, BlockList] = Field(default_factory=dict, description="Prefix lists by name.")
    security_groups: dict[Name, SecurityGroupForm] = Field(default_factory=dict, description="Security groups by name.")
    nat_gateways: dict[Name, NatGatewayForm] = Field(default_factory=dict, description="NAT gateways by name.")
    instances: dict[Name, InstanceForm] = Field(default_factory=dict, description="Instances by name.")
    id: Name = Field("", description=MADE_ID)

    def __post_init__(self) -> None:
        if self.cidr_block is None and not self.cidr_blocks:
            raise ValueError("`cidr_block` is missing; write one, such as 10.0.0.0/16")
        if self.main_route_table and self.main_route_table not in self.route_tables:
            raise ValueError(f"`main_route_table`: no route table is called {self.main_route_table}; write it under `route_tables`")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeeringForm(Form):
    """A peering connection between two VPCs."""

    requester: Name = Field(description="The VPC that asked.")
    accepter: Name = Field(description="The VPC that was asked.")
    status: Literal[
        "initiating-request", "pending-acceptance", "provisioning", "active", "deleting", "deleted", "rejected", "failed", "expired"
    ] = Field("active", description="Only active carries packets.")
    id: Name = Field("", description=MADE_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalHostForm(Form):
    """A host outside the VPCs, behind the internet gateways."""

    ip: AddressText | None = Field(None, description="Its address.")
    ips: list[AddressText] = Field(default_factory=list, description="Its addresses.")
    listen: list[ServiceText] | None = Field(None, description="Services that answer; left out: everything answers, []: nothing.")
    id: Name = Field("", description=MADE_ID)

    def __post_init__(self) -> None:
        if self.ip is None and not self.ips:
            raise ValueError("`ip` is missing; write its address, such as 192.0.2.77")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkForm(Form):
    """Delay, rate, queue and loss between two places."""

    between: list[Name] = Field(min_length=2, max_length=2, description="Two instances, interfaces, gateways or hosts outside.")
    latency: Latency = Field(0, description="One way, with its unit.")
    rate: Rate = Field(0, description="Bits a second, with the unit; left out: no limit.")
    queue: Size = Field(0, description="What may wait for the rate, with its unit; left out: no limit.")
    loss: Chance = Field(0, description="Share of packets lost, in per cent.")


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyForm(Form):
    """Settings for what AWS does not say."""

    midstream_tcp: Literal["rules_only", "pickup", "strict"] | None = Field(
        None, alias="ct.midstream_tcp", description="TCP that is met in the middle (CT-30 to CT-33)."
    )
    icmp_error_related: Flag | None = Field(
        None, alias="ct.icmp_error_related", description="Whether ICMP errors about a tracked flow pass without a rule (CT-36)."
    )
    tcp_default_established_s: SettingSeconds | None = Field(
        None, alias="ct.tcp_default_established_s", description="Idle established TCP; left out: by instance type (CT-20)."
    )
    tcp_embryonic_s: SettingSeconds | None = Field(
        None, alias="ct.tcp_embryonic_s", description="TCP before its handshake is done; left out: as established (CT-25)."
    )
    tcp_close_linger_s: SettingSeconds | None = Field(None, alias="ct.tcp_close_linger_s", description="TCP after its close (CT-26).")
    icmp_s: SettingSeconds | None = Field(None, alias="ct.icmp_s", description="Idle ICMP (CT-24).")
    other_s: SettingSeconds | None = Field(None, alias="ct.other_s", description="Other idle protocols (CT-8).")
    max_entries: Count | None = Field(None, alias="ct.max_entries", description="Tracked connections of an instance (CT-40).")
    autotrack: Edition | None = Field(None, alias="ct.autotrack", description="Edition of the list of what is always tracked (CT-16).")
    entry_survives_acl_drop: Flag | None = Field(
        None, alias="ct.entry_survives_acl_drop", description="Whether a connection is tracked whose packet an ACL then dropped (CT-34)."
    )
    frag_policy: Literal["reassemble", "first_fragment", "drop_noninitial"] | None = Field(
        None, alias="frag.policy", description="How fragments meet rules with ports (FB-32)."
    )
    blackhole: Literal["drop", "fall_through"] | None = Field(
        None, alias="route.blackhole", description="Whether a blackhole route ends the search (RT-12)."
    )
    ttl: Literal["spec", "per_hop"] | None = Field(None, alias="fabric.ttl", description="Where the TTL is counted down (FB-18, FB-19).")
    router_ping: Literal["own_subnet", "none"] | None = Field(
        None, alias="fabric.router_ping", description="Whom the router's address answers (FB-16)."
    )
    ref_matches_ipv6: Flag | None = Field(
        None, alias="sg.ref_matches_ipv6", description="Whether a group as peer matches its members' IPv6 addresses (SG-24)."
    )
    block_port_25: Flag | None = Field(
        None, alias="egress.block_port_25", description="Whether mail to public addresses is blocked, as in a new account (FB-34)."
    )
    hairpin: Flag | None = Field(
        None, alias="igw.hairpin", description="Whether an instance reaches another's elastic IP through the internet gateway (RT-27)."
    )
    srcdst_after_sg: Flag | None = Field(
        None, alias="pipeline.srcdst_after_sg", description="Whether groups come before the source/destination check (PL-4)."
    )
    propagation_delay_s: SettingSeconds | None = Field(
        None, alias="sg.propagation_delay_s", description="How long an edit takes to reach the interfaces (PL-7)."
    )
    seed: Seed | None = Field(None, description="Of all chance: links' loss, made ports.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm(Form):
    """A topology file of vpcemu: VPCs, hosts outside, links, and what must hold."""

    topology: Name = Field("", description="The name of the whole.")
    vpcs: dict[Name, VpcForm] = Field(default_factory=dict, description="VPCs by name.")
    vpc_peering_connections: dict[Name, PeeringForm] = Field(default_factory=dict, description="Peering connections by name.")
    internet: dict[Name, ExternalHostForm] = Field(default_factory=dict, description="Hosts outside by name.")
    links: list[LinkForm] = Field(default_factory=list, description="Delay, rate, queue and loss, where they differ from none.")
    expect: list[ExpectationForm] = Field(default_factory=list, description="What `vpcemu check` tests.")
    policy: PolicyForm | None = Field(None, description="Settings for what AWS does not say.")
    map: dict[AddressText, Name] = Field(default_factory=dict, description="Who has an address of a capture: address to name.")


@cache
def adapter() -> "TypeAdapter[FileForm]":
    """The checker of whole files."""
    return TypeAdapter(FileForm)


@cache
def settings() -> dict[str, str]:
    """The model's fields of `Policy` by their names in a file: ``ct.midstream_tcp`` is ``midstream_tcp``."""
    return {_spelling(field): field.name for field in fields(PolicyForm)}


def fields_at(path: tuple[str | int, ...]) -> list[str]:
    """The names of the fields that a file may have at a path, in their order; none where names are free."""
    kind: Any = FileForm
    for step in path:
        if is_dataclass(kind):
            hints = get_type_hints(kind)
            kind = next((hints[field.name] for field in fields(kind) if _spelling(field) == step), None)
        else:
            kind = get_args(kind)[-1] if get_args(kind) else None
        if kind is not None and type(None) in get_args(kind):
            kind = get_args(kind)[0]
    return [_spelling(field) for field in fields(kind)] if is_dataclass(kind) else []


def _spelling(field: Any) -> str:
    return getattr(field.default, "alias", None) or str(field.name)
