"""The least change that lets a dropped packet pass where it died: one rule, as a row for the topology file.

The row allows what was dropped and nothing more: its protocol, its port or its type and code, its other end alone.  The
packet may meet the next filter then; asking again tells.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from emulator.model.groups import Direction, NetworkAcl, Rule, SecurityGroup, block
from emulator.model.services import ALL, ICMP, ICMPV6, TCP, UDP, protocol_name
from emulator.policy.reasons import Reason
from emulator.policy.rules import Subject
from emulator.wire.addresses import address

_SIDE = {Direction.INGRESS: "source", Direction.EGRESS: "destination"}
_ELSEWHERE = {
    Reason.SG_REFERENCES_NOT_PRESERVED: "name the sender's block instead of its group",
    Reason.ENI_SOURCE_DEST_CHECK_RESTRICTION: "set source_dest_check: false on {at}, if it is to forward",
    Reason.NO_ROUTE_TO_DESTINATION: "give the route table of {at} a route to {to}",
    Reason.BAD_STATE_ROUTE: "give the route to {to} in the table of {at} a target that is there",
    Reason.IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS: "give the sender an elastic_ip, or send by a NAT gateway",
    Reason.EMU_CT_EXHAUSTED: "raise max_tracked_connections, shorten the timers, or open both directions so that nothing is tracked",
    Reason.EMU_TCP_MIDSTREAM: "set ct.midstream_tcp: rules_only, or start the capture at the SYN",
    Reason.EMU_PORT_25_BLOCKED: "set egress.block_port_25: false, where the account's limit is lifted",
}


@dataclass(frozen=True)
class WayOut:
    """A rule to add to a group.

    Parameters
    ----------
    group : the group that lacks the rule
    direction : of the rule
    rule : the rule; `emulator.model.edits.authorize` adds it
    """

    group: SecurityGroup
    direction: Direction
    rule: Rule

    def __str__(self) -> str:
        way = self.direction.name.lower()
        fields = _fields(self.rule.protocol, self.rule.ports)
        return f"add to security_groups.{self.group.name}.{way}: {{{fields}, {_SIDE[self.direction]}: {_quoted(str(self.rule.peer))}}}"


def for_groups(group: SecurityGroup, direction: Direction, subject: Subject) -> WayOut:
    """The rule that a group lacks for what was held against its rules."""
    return WayOut(group, direction, Rule(subject.protocol, _ports(subject), block(str(_remote(subject)))))


def for_acl(acl: NetworkAcl, direction: Direction, subject: Subject, denied_by: int | None) -> str:
    """An entry in front of the one that denied a packet, or behind all others if it was the ``*``."""
    taken = {entry.number for entry in acl.rules(direction)}
    last = min(denied_by - 1 if denied_by else max(taken, default=90) + 10, 32766)
    number = next((number for number in range(last, 0, -1) if number not in taken), None)
    if number is None:
        return f"renumber network_acls.{acl.name}.{direction.name.lower()}, so that an allow fits in front"
    fields = _fields(subject.protocol, _ports(subject))
    row = f"{{rule: {number}, action: allow, {fields}, {_SIDE[direction]}: {_quoted(str(block(str(_remote(subject)))))}}}"
    return f"add to network_acls.{acl.name}.{direction.name.lower()}: {row}"


def elsewhere(reason: Reason, at: str, to: str) -> str:
    """What to do where no rule is missing; empty where nothing would help, or nothing is wrong."""
    return _ELSEWHERE.get(reason, "").format(at=at, to=to)


def _remote(subject: Subject) -> IPv4Address | IPv6Address:
    return address(subject.family, subject.hi, subject.lo)


def _ports(subject: Subject) -> tuple[int, int]:
    """Ports, or type and code, of a rule that takes just this packet."""
    if subject.protocol in (TCP, UDP):
        return subject.port, subject.port
    if subject.protocol in (ICMP, ICMPV6):
        return subject.type, subject.code if subject.type != ALL else ALL
    return ALL, ALL


def _fields(protocol: int, ports: tuple[int, int]) -> str:
    name = protocol_name(protocol)
    if ports[0] == ALL:
        return f"protocol: {name}"
    if protocol in (ICMP, ICMPV6):
        return f"protocol: {name}, icmp_type: {ports[0]}, icmp_code: {ports[1]}"
    return f"protocol: {name}, ports: {ports[0]}"


def _quoted(text: str) -> str:
    return f'"{text}"' if ":" in text else text
