"""The security groups of one interface, said again in nftables' words.

    raw      NOTRACK for flows that CT-9 calls untracked, with their mirror image (CT-18)
    filter   the fabric's own services ─ ``ct state established`` ─ the rules of the direction, plain accepts ─ drop

Nothing here reads the emulator's tables or calls its kernels: a topology's groups are read as they were declared.  A
group named as a peer is the set of the private addresses of the interfaces that have it (SG-24), which is what it means
where identity holds.  No rule asks for ``ct state new`` and nothing drops what is invalid, so a segment from the middle
of a connection is judged by the rules alone (CT-31).

What the kernel thought of each datagram, new, established, untracked or invalid, it writes into sets by its marker.

Source: sections 9.2 and 9.3 of the semantics, LX-20 to LX-25.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from emulator.model.entities import NetworkInterface, Policy, Subnet, Vpc
from emulator.model.groups import Direction, GroupPeer, ListPeer, PrefixList, Rule, SecurityGroup
from emulator.model.topology import Topology
from tests.oracles.kernel import INSIDE, OUTSIDE, ROUTER, SENTINELS

ALL, ICMP, TCP, UDP, ICMPV6 = -1, 1, 6, 17, 58
STATES = ("new", "established", "untracked", "invalid")
_NFPROTO, _IP = {4: "ipv4", 6: "ipv6"}, {4: "ip", 6: "ip6"}
_MARKER = {4: "ip id", 6: "ip6 flowlabel"}
_COMES_IN_AT = {Direction.EGRESS: ROUTER[INSIDE], Direction.INGRESS: ROUTER[OUTSIDE]}
LINGER_S = 120
"""Seconds that a closed connection stays known, on both sides; longer than any run."""


def settings(policy: Policy, established_s: int = 432_000, closing_s: int = LINGER_S) -> dict[str, int]:
    """The kernel settings that mean what a policy means (LX-22).

    All TCP states but the established one get one time, as the emulator has one for all of them.
    """
    closing = ("syn_sent", "syn_recv", "fin_wait", "close_wait", "last_ack", "time_wait", "close", "max_retrans", "unacknowledged")
    return {
        "nf_conntrack_tcp_loose": int(policy.midstream_tcp == "pickup"),
        "nf_conntrack_tcp_be_liberal": 1,
        "nf_conntrack_checksum": 0,
        "nf_conntrack_tcp_timeout_established": established_s,
        **{f"nf_conntrack_tcp_timeout_{state}": closing_s for state in closing},
        "nf_conntrack_udp_timeout": 30,
        "nf_conntrack_udp_timeout_stream": 180,
        "nf_conntrack_icmp_timeout": policy.icmp_s,
        "nf_conntrack_icmpv6_timeout": policy.icmp_s,
        "nf_conntrack_generic_timeout": policy.other_s,
        "nf_conntrack_gre_timeout": policy.other_s,
        "nf_conntrack_gre_timeout_stream": policy.other_s,
    }


def ruleset(topology: Topology, eni: NetworkInterface) -> str:
    """An nftables ruleset that lets through what an interface's groups let through."""
    groups = [topology.get(group, SecurityGroup) for group in eni.security_groups]
    rules = {way: [rule for group in groups for rule in group.rules(way)] for way in Direction}
    accepted = "established,related" if topology.policy.icmp_error_related else "established"
    lines = [
        "table inet oracle {",
        *(f"set {state}{family} {{ typeof {_MARKER[family]}; flags dynamic; size 1048576; }}" for state in STATES for family in (4, 6)),
        "chain raw { type filter hook prerouting priority raw; policy accept;",
        f"ip saddr {{ {SENTINELS[0]}, {SENTINELS[1]} }} notrack accept",
        *_untracked(rules),
        "}",
        "chain forward { type filter hook forward priority filter; policy drop;",
        f"ip saddr {{ {SENTINELS[0]}, {SENTINELS[1]} }} accept",
        *(
            f"ct state {state} meta nfproto {_NFPROTO[family]} add @{state}{family} {{ {_MARKER[family]} }}"
            for state in STATES
            for family in (4, 6)
        ),
        *_services(topology, eni),
        f"ct state {accepted} accept",
        *(_accept(topology, way, rule) for way in Direction for rule in rules[way]),
        "}",
        "}",
    ]
    return "\n".join(line for line in lines if line)


def _accept(topology: Topology, way: Direction, rule: Rule) -> str:
    """One rule as a plain accept; empty where its peer has no address at all."""
    matches = " ".join(_service(rule.protocol, *rule.ports))
    both = [
        f"iifname {_COMES_IN_AT[way]} meta nfproto {_NFPROTO[family]} {_remote(way, family, blocks)} {matches} accept"
        for family, blocks in _peers(topology, rule).items()
        if blocks
    ]
    return "\n".join(both)


def _service(protocol: int, first: int, last: int) -> Iterator[str]:
    if protocol == ALL:
        return
    yield f"meta l4proto {protocol}"
    if protocol in (TCP, UDP):
        if (first, last) != (0, 65535):
            yield f"th dport {first}-{last}"
    elif protocol in (ICMP, ICMPV6) and first != ALL:
        yield f"@th,0,8 {first}"
        if last != ALL:
            yield f"@th,8,8 {last}"


def _remote(way: Direction, family: int, blocks: list[IPv4Network | IPv6Network]) -> str:
    side = "daddr" if way == Direction.EGRESS else "saddr"
    if any(block.prefixlen == 0 for block in blocks):
        return ""
    return f"{_IP[family]} {side} {{ {', '.join(str(block) for block in _apart(blocks))} }}"


def _apart(blocks: list[IPv4Network | IPv6Network]) -> list[IPv4Network | IPv6Network]:
    """Without those that lie in others, as a set of nftables takes no overlaps."""
    return [
        block
        for block in dict.fromkeys(blocks)
        if not any(other != block and block.subnet_of(other) for other in blocks)  # type: ignore[arg-type]
    ]


def _peers(topology: Topology, rule: Rule) -> dict[int, list[IPv4Network | IPv6Network]]:
    """The addresses that a rule's other side stands for, by family."""
    if isinstance(rule.peer, ListPeer):
        blocks = list(topology.get(rule.peer.list, PrefixList).entries)
    elif isinstance(rule.peer, GroupPeer):
        members = [eni for eni in topology.all(NetworkInterface) if rule.peer.group in eni.security_groups]
        blocks = [ip_network(address) for eni in members for address in eni.private_ips]
        if not topology.policy.ref_matches_ipv6:
            blocks = [block for block in blocks if block.version == 4]
    else:
        blocks = [rule.peer]
    return {family: [block for block in blocks if block.version == family] for family in (4, 6)}


def _everyone(rules: list[Rule], family: int, protocol: int) -> list[Rule]:
    """Rules that take everyone of a family, for a protocol (CT-9, CT-11, CT-14)."""
    everyone = ip_network("0.0.0.0/0") if family == 4 else ip_network("::/0")
    return [rule for rule in rules if rule.peer == everyone and rule.protocol in (ALL, protocol)]


def _untracked(rules: dict[Direction, list[Rule]]) -> Iterator[str]:
    """NOTRACK for both directions of each flow that a pair of rules leaves untracked."""
    for way in Direction:
        other = Direction(1 - way)
        for family in (4, 6):
            for protocol in (TCP, UDP):
                any_port = [rule for rule in _everyone(rules[other], family, protocol) if rule.protocol == ALL or rule.ports == (0, 65535)]
                if not any_port:
                    continue
                for rule in _everyone(rules[way], family, protocol):
                    first, last = (0, 65535) if rule.protocol == ALL else rule.ports
                    head = f"meta nfproto {_NFPROTO[family]} meta l4proto {protocol}"
                    yield f"iifname {_COMES_IN_AT[way]} {head} th dport {first}-{last} notrack"
                    yield f"iifname {_COMES_IN_AT[other]} {head} th sport {first}-{last} notrack"


def _services(topology: Topology, eni: NetworkInterface) -> Iterator[str]:
    """What the fabric answers itself: nothing filters it, in either direction (FB-1 to FB-7)."""
    subnet = topology.get(eni.subnet, Subnet)
    vpc = topology.get(subnet.vpc, Vpc)
    out, back = f"iifname {ROUTER[INSIDE]}", f"iifname {ROUTER[OUTSIDE]}"
    for one, other in ((68, 67), (67, 68), (546, 547), (547, 546)):
        yield f"udp sport {one} udp dport {other} accept"
    yield "icmpv6 type 133-137 accept"
    resolver = next(block for block in vpc.blocks if block.version == 4).network_address + 2
    services = [
        (f"{{ {resolver}, 169.254.169.253 }}", "meta l4proto { tcp, udp }", 53),
        ("fd00:ec2::253", "meta l4proto { tcp, udp }", 53),
        ("{ 169.254.169.254, 169.254.170.2 }", "meta l4proto tcp", 80),
        ("fd00:ec2::254", "meta l4proto tcp", 80),
        ("{ 169.254.169.250, 169.254.169.251 }", "meta l4proto tcp", 1688),
        ("fd00:ec2::240", "meta l4proto tcp", 1688),
        ("169.254.169.123", "meta l4proto udp", 123),
        ("fd00:ec2::123", "meta l4proto udp", 123),
    ]
    for address, protocol, port in services:
        ip = "ip6" if "fd00" in address else "ip"
        yield f"{out} {ip} daddr {address} {protocol} th dport {port} accept"
        yield f"{back} {ip} saddr {address} {protocol} th sport {port} accept"
    for block in subnet.blocks:
        if block.version == 4:
            yield f"{out} ip daddr {block.network_address + 1} accept"
            yield f"{back} ip saddr {block.network_address + 1} meta l4proto != icmp accept"
            yield f"{back} ip saddr {block.network_address + 1} icmp type echo-reply accept"
