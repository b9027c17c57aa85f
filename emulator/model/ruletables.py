"""The rules of a group or of a network ACL as the rows of the EC2 console's tables.

Source: EC2 User Guide, "Security group rules" and "Control subnet traffic with network access control lists".
"""

from typing import TYPE_CHECKING, Any

from emulator.model.services import ALL, CONSOLE_TYPES, ICMP, ICMPV6, TCP, UDP, Service
from emulator.sheets import html_table

if TYPE_CHECKING:
    from emulator.model.groups import AclRule, NetworkAcl, Rule, SecurityGroup

_PROTOCOLS = {ALL: "All", TCP: "TCP", UDP: "UDP", ICMP: "ICMP", ICMPV6: "ICMPv6"}
_CUSTOM = {TCP: "Custom TCP", UDP: "Custom UDP", ICMP: "Custom ICMP - IPv4", ICMPV6: "Custom ICMP - IPv6"}
_TYPES = {service: word for word, service in CONSOLE_TYPES.items()}
_SERVICE = ["Type", "Protocol", "Port range"]
_DENY_THE_REST = ("*", "All traffic", "All", "All", "All", "Deny")  # NA-5


def group_html(group: "SecurityGroup") -> str:
    """Both tables of a security group."""
    inbound, outbound = (
        [(*service_cells(rule), peer_text(rule.peer), rule.description) for rule in rules] for rules in (group.ingress, group.egress or ())
    )
    inside = html_table(f"{_title(group)}: inbound rules", [*_SERVICE, "Source", "Description"], inbound)
    return inside + html_table("Outbound rules", [*_SERVICE, "Destination", "Description"], outbound)


def acl_html(acl: "NetworkAcl") -> str:
    """Both tables of a network ACL, in the order in which they are looked at."""
    inbound, outbound = (
        [(rule.number, *service_cells(rule), rule.block, "Allow" if rule.allow else "Deny") for rule in rules]
        for rules in (sorted(rules, key=lambda rule: rule.number) for rules in (acl.ingress, acl.egress))
    )
    inside = html_table(f"{_title(acl)}: inbound rules", ["Rule", *_SERVICE, "Source", "Allow or deny"], [*inbound, _DENY_THE_REST])
    return inside + html_table("Outbound rules", ["Rule", *_SERVICE, "Destination", "Allow or deny"], [*outbound, _DENY_THE_REST])


def service_cells(rule: "Rule | AclRule") -> tuple[str, str, str]:
    """Type, protocol and port range of a rule; of ICMP its type and code stand where ports would.

    Examples
    --------
    >>> from emulator.model.groups import Rule
    >>> service_cells(Rule.of("HTTPS", "0.0.0.0/0")), service_cells(Rule.of("tcp/8000-8099", "0.0.0.0/0"))
    (('HTTPS', 'TCP', '443'), ('Custom TCP', 'TCP', '8000 - 8099'))
    """
    first, last = rule.ports
    service = Service(rule.protocol, rule.ports)
    kind = _TYPES.get(service) or _CUSTOM.get(rule.protocol, "Custom protocol")
    protocol = _PROTOCOLS.get(rule.protocol, str(rule.protocol))
    if first == ALL or service == CONSOLE_TYPES["All TCP"] or service == CONSOLE_TYPES["All UDP"]:
        return kind, protocol, "All"
    if rule.protocol in (ICMP, ICMPV6):
        return kind, protocol, f"type {first}" if last == ALL else f"type {first}, code {last}"
    return kind, protocol, str(first) if first == last else f"{first} - {last}"


def peer_text(peer: Any) -> str:
    """A rule's other side: a block, the id of a prefix list or of a group."""
    return str(getattr(peer, "list", "") or getattr(peer, "group", "") or peer)


def _title(owner: "SecurityGroup | NetworkAcl") -> str:
    return f"{owner.id} ({owner.name})" if owner.id and owner.id != owner.name else owner.name
