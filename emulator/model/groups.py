"""Security groups, prefix lists and network ACLs, as a person declares them.

A rule looks at the other side only: on the way in at the source address and the destination port, on the way out
at the destination address and the destination port (SG-6).  Its other side, the ``peer``, is a block, a prefix
list or another group (SG-21).
"""

import hashlib
from dataclasses import dataclass, replace
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network, ip_network

from emulator.model.ruletables import acl_html, group_html, peer_text
from emulator.model.services import ALL, ANY_PORTS, ICMP, ICMPV6, TCP, UDP, Service, parse_service

Block = IPv4Network | IPv6Network
EVERYONE: tuple[Block, Block] = (ip_network("0.0.0.0/0"), ip_network("::/0"))


class Direction(IntEnum):
    """Seen from the interface."""

    INGRESS = 0
    EGRESS = 1


@dataclass(frozen=True, slots=True)
class ListPeer:
    """A prefix list as the other side of a rule or as a route's destination (SG-27)."""

    list: str


@dataclass(frozen=True, slots=True)
class GroupPeer:
    """Another group, or the rule's own, as the other side of a rule (SG-24); ``vpc/name`` for a peered VPC's."""

    group: str


Peer = IPv4Network | IPv6Network | ListPeer | GroupPeer


@dataclass(frozen=True, slots=True)
class Rule:
    """One allow rule of a group, one direction, one peer (SG-21).

    Parameters
    ----------
    protocol : IANA number, -1 for all (SG-16).
    ports : first and last port for tcp and udp; type and code for icmp and icmpv6; -1 stands for all (SG-19, SG-20).
    peer : a block, a prefix list or a group.
    description : up to 255 characters, bears on nothing (SG-28).
    id : ``sgr-…``; made from the content where it is left out.
    place : where it was written, ``file:line``.
    """

    protocol: int
    ports: tuple[int, int]
    peer: Peer
    description: str = ""
    id: str = ""
    place: str = ""

    @classmethod
    def of(cls, service: str | Service, peer: str | Peer, description: str = "") -> "Rule":
        """A rule from words: ``Rule.of("HTTPS", "0.0.0.0/0")``, ``Rule.of("tcp/22", ListPeer("office"))``.

        Raises
        ------
        ValueError : the service or the block is not understood.
        """
        known = parse_service(service) if isinstance(service, str) else service
        return cls(known.protocol, known.ports, block(peer) if isinstance(peer, str) else peer, description)

    @property
    def service(self) -> Service:
        """Protocol and ports together."""
        return Service(self.protocol, self.ports)

    def __str__(self) -> str:
        return f"{self.service} with {peer_text(self.peer)}{f' ({self.description})' if self.description else ''}"

    def canonical(self) -> "Rule":
        """The rule as EC2 stores it: other protocols take all ports (SG-17), tcp and udp -1 is 0–65535 (SG-19)."""
        if self.protocol in (TCP, UDP):
            return replace(self, ports=(0, 65535)) if self.ports == ANY_PORTS else self
        if self.protocol in (ICMP, ICMPV6):
            return self  # all types with one code is no rule, and must not become all of both (SG-20)
        return self if self.ports == ANY_PORTS else replace(self, ports=ANY_PORTS)

    def content(self) -> tuple[int, tuple[int, int], str]:
        """What makes two rules the same one: everything but the description (SG-51)."""
        return self.protocol, self.ports, str(self.peer)


def block(text: str) -> Block:
    """A CIDR block in canonical form, host bits cleared (SG-22); a lone address is a block of one.

    Raises
    ------
    ValueError : not a block.
    """
    return ip_network(text, strict=False)


def identify(rules: tuple[Rule, ...], group_id: str, direction: Direction) -> tuple[Rule, ...]:
    """The rules in canonical form, each with an id that depends on its content alone."""
    return tuple(_identified(rule.canonical(), group_id, direction) for rule in rules)


def _identified(rule: Rule, group_id: str, direction: Direction) -> Rule:
    if rule.id:
        return rule
    digest = hashlib.sha256(repr((group_id, int(direction), rule.content())).encode()).hexdigest()
    return replace(rule, id=f"sgr-{digest[:17]}")


ALLOW_ALL = Rule(ALL, ANY_PORTS, EVERYONE[0])
ALLOW_ALL_IPV6 = Rule(ALL, ANY_PORTS, EVERYONE[1])


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A virtual firewall for interfaces: allow rules only, all looked at, stateful (SG-4, SG-7).

    ``egress=None`` is AWS's start: everything out, IPv6 too if the VPC has an IPv6 block (SG-14).  ``associated_vpcs`` are
    other VPCs whose interfaces and rules may use it (SG-60 to SG-62), ``disassociated_vpcs`` those where that is over: rules
    there that name it are stale, not wrong (SG-32).
    """

    name: str
    vpc: str
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] | None = None
    description: str = ""
    id: str = ""
    place: str = ""
    associated_vpcs: tuple[str, ...] = ()
    disassociated_vpcs: tuple[str, ...] = ()

    @property
    def vpcs(self) -> frozenset[str]:
        """Ids of the VPCs where it can be used."""
        return frozenset((self.vpc, *self.associated_vpcs))

    def rules(self, direction: Direction) -> tuple[Rule, ...]:
        """The rules of one direction, in the order they were written."""
        return self.ingress if direction == Direction.INGRESS else (self.egress or ())

    def _repr_html_(self) -> str:
        return group_html(self)


@dataclass(frozen=True, slots=True)
class PrefixList:
    """A named list of blocks of one family; ``max_entries`` is its weight in a group (SG-27, SG-40)."""

    name: str
    vpc: str
    entries: tuple[Block, ...]
    max_entries: int | None = None
    id: str = ""
    place: str = ""

    @property
    def weight(self) -> int:
        """What a rule that names the list costs: its maximum entries (SG-40)."""
        return len(self.entries) if self.max_entries is None else self.max_entries


@dataclass(frozen=True, slots=True)
class AclRule:
    """One numbered entry of a network ACL; the block is the remote side, the ports are the destination's (NA-7)."""

    number: int
    allow: bool
    protocol: int
    ports: tuple[int, int]
    block: Block
    place: str = ""

    def __str__(self) -> str:
        return f"{self.number} {'allow' if self.allow else 'deny'} {Service(self.protocol, self.ports)} with {self.block}"


@dataclass(frozen=True, slots=True)
class NetworkAcl:
    """A stateless list at the subnet's edge; rising numbers, first match decides, then deny (NA-3 to NA-5)."""

    name: str
    vpc: str
    ingress: tuple[AclRule, ...] = ()
    egress: tuple[AclRule, ...] = ()
    id: str = ""
    place: str = ""

    def is_default_of(self, vpc: str) -> bool:
        """Whether it is what subnets of a VPC have that name none (NA-1)."""
        return self.name == "default" and self.vpc == vpc

    def rules(self, direction: Direction) -> tuple[AclRule, ...]:
        """The entries of one direction, rising."""
        entries = self.ingress if direction == Direction.INGRESS else self.egress
        return tuple(sorted(entries, key=lambda entry: entry.number))

    def _repr_html_(self) -> str:
        return acl_html(self)


OPEN_ACL = tuple(AclRule(100 + number, True, ALL, ANY_PORTS, everyone) for number, everyone in enumerate(EVERYONE))
