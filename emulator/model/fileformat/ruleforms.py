"""The shape of rules in a topology file: security groups, network ACLs, prefix lists.
A form has the words of the file and the values of the model.  The descriptions are what an editor shows.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic_core import core_schema

from emulator.model.fileformat.fields import LONGEST, BlockText, Count, IcmpNumber, Name, PortsText, ProtocolText, RuleNumber, TypeText
from emulator.model.services import ALL, ANY_PORTS, ICMP, ICMPV6, TCP, UDP, Service, protocol_name

MADE_ID = "Its id in AWS's form; made from the name where it is left out."


if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

F = TypeVar("F", bound="Form")
_MADE: ContextVar[type | None] = ContextVar("form whose checker is being made", default=None)


class Form:
    """What every form has: no other fields than its own, and a checker of its own."""

    __slots__ = ()
    __pydantic_config__ = ConfigDict(extra="forbid")

    @classmethod
    def __get_pydantic_core_schema__(cls, kind: Any, handler: "GetCoreSchemaHandler") -> core_schema.CoreSchema:
        """Within another form: its checker, made when a file first has one, as a file has few of the kinds there are.

        Where no checker is being made, it is for the JSON Schema, which has them all.
        """
        if _MADE.get() in (kind, None):
            return handler(kind)
        return core_schema.no_info_plain_validator_function(lambda value: checker(kind).validate_python(value))


@cache
def checker(kind: type[F]) -> "TypeAdapter[F]":
    """The checker of a form."""
    token = _MADE.set(kind)
    try:
        return TypeAdapter(kind)
    finally:
        _MADE.reset(token)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def form(kind: type[F]) -> type[F]:
    """A form's class as a dataclass that is filled and read and no more: the rest would take two thirds of its making."""
    return dataclass(slots=True, kw_only=True, eq=False, repr=False)(kind)


@form
class TrafficForm(Form):
    """Protocol and ports: the console's ``type``, or ``protocol`` with ``ports`` or ICMP type and code."""

    type: TypeText | None = Field(None, description="The console's word for protocol and ports: HTTPS, MSSQL, All traffic.")
    protocol: ProtocolText | None = Field(None, description="tcp, udp, icmp, icmpv6, all or a number.")
    ports: PortsText | None = Field(None, description="A destination port (443) or range (8000-8099); left out: all ports.")
    icmp_type: IcmpNumber | None = Field(None, description="ICMP type; -1 or left out: all.")
    icmp_code: IcmpNumber | None = Field(None, description="ICMP code; -1 or left out: all.")

    def __post_init__(self) -> None:
        given = [name for name in ("protocol", "ports", "icmp_type", "icmp_code") if getattr(self, name) is not None]
        if self.type is not None and given:
            raise ValueError(f"`type` already says protocol and ports; leave `{given[0]}` out, or write `protocol` instead of `type`")
        if self.type is None and self.protocol is None:
            if self.ports is not None:
                raise ValueError("ports need a protocol; add `protocol: tcp` or `protocol: udp`")
            raise ValueError("neither `type` nor `protocol` is here; write one, such as `type: HTTPS` or `protocol: tcp` with `ports: 443`")
        name = protocol_name(self.protocol or 0)
        if self.ports is not None and self.protocol not in (TCP, UDP):
            raise ValueError(f'ports need protocol tcp or udp, not "{name}"; leave `ports` out, or change the protocol')
        if (self.icmp_type, self.icmp_code) != (None, None) and self.protocol not in (ICMP, ICMPV6):
            raise ValueError(f'ICMP types and codes need protocol icmp or icmpv6, not "{name}"; leave them out, or change the protocol')
        if self.icmp_type in (None, ALL) and self.icmp_code not in (None, ALL):
            raise ValueError("`icmp_code` needs `icmp_type`; add it (SG-20)")

    def traffic(self) -> Service:
        """The model's protocol and ports."""
        if self.type is not None:
            return self.type
        assert self.protocol is not None
        if self.icmp_type is not None:
            return Service(self.protocol, (self.icmp_type, ALL if self.icmp_code is None else self.icmp_code))
        return Service(self.protocol, self.ports or ANY_PORTS)


@form
class IngressRuleForm(TrafficForm):
    """What a security group lets in."""

    source: Name = Field(description="A CIDR block, or the name of a security group or prefix list; `vpc/name` for a peer's group.")
    description: str = Field("", max_length=LONGEST, description="Up to 255 characters; bears on nothing.")
    id: Name = Field("", description="sgr-…; made from the content where it is left out.")


@form
class EgressRuleForm(TrafficForm):
    """What a security group lets out."""

    destination: Name = Field(description="A CIDR block, or the name of a security group or prefix list; `vpc/name` for a peer's group.")
    description: str = Field("", max_length=LONGEST, description="Up to 255 characters; bears on nothing.")
    id: Name = Field("", description="sgr-…; made from the content where it is left out.")


@form
class SecurityGroupForm(Form):
    """A security group: allow rules only, stateful."""

    description: str | None = Field(None, max_length=LONGEST, description="Up to 255 characters; bears on nothing.")
    ingress: list[IngressRuleForm] | None = Field(None, description="What is let in; left out: nothing.")
    egress: list[EgressRuleForm] | None = Field(None, description="What is let out; left out: everything, []: nothing.")
    associated_vpcs: list[Name] = Field([], description="Other VPCs that may use it.")
    disassociated_vpcs: list[Name] = Field([], description="VPCs that might once, and whose rules are stale.")
    id: Name = Field("", description=MADE_ID)


@form
class AclIngressRuleForm(TrafficForm):
    """A numbered rule for packets that enter the subnet."""

    rule: RuleNumber = Field(description="1 to 32766; the lowest number that matches decides.")
    action: Literal["allow", "deny"] = Field(description="What happens to a packet that matches.")
    source: BlockText = Field(description="A CIDR block.")


@form
class AclEgressRuleForm(TrafficForm):
    """A numbered rule for packets that leave the subnet."""

    rule: RuleNumber = Field(description="1 to 32766; the lowest number that matches decides.")
    action: Literal["allow", "deny"] = Field(description="What happens to a packet that matches.")
    destination: BlockText = Field(description="A CIDR block.")


@form
class NetworkAclForm(Form):
    """A network ACL: numbered rules at the subnet's edge, stateless; what no rule matches is denied."""

    ingress: list[AclIngressRuleForm] | None = Field(None, description="For what enters; left out: nothing (of `default`: everything).")
    egress: list[AclEgressRuleForm] | None = Field(None, description="For what leaves; left out: nothing (of `default`: everything).")
    id: Name = Field("", description=MADE_ID)


@form
class PrefixListForm(Form):
    """A prefix list: blocks of one family under a name."""

    entries: list[BlockText] = Field(description="CIDR blocks of one family.")
    max_entries: Count | None = Field(None, description="What a rule with this list counts; left out: as many as it has.")
    id: Name = Field("", description=MADE_ID)
