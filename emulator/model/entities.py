"""What stands in a VPC, as a person declares it: frozen, without time, without state.

Every entity has a ``name`` (as written), an ``id`` in AWS's form (made from the name where it is left out) and a
``place`` (``file:line`` where it was written).  A field that refers to another entity takes its name or its id;
`Topology.of` resolves names to ids.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from emulator.model.groups import Block, ListPeer
from emulator.model.services import Service

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC: its IPv4 blocks, the primary first, and its IPv6 blocks.

    ``block_public_access`` is the mode in force: ``off``, ``block-bidirectional``, ``block-ingress`` (RT-28).  In the Region's
    default VPC some edits answer otherwise (SG-51, SG-60).
    """

    name: str
    blocks: tuple[Block, ...]
    id: str = ""
    place: str = ""
    block_public_access: str = "off"
    is_default: bool = False

    @property
    def has_ipv6(self) -> bool:
        """Whether an IPv6 block is associated (SG-13, SG-14)."""
        return any(block.version == 6 for block in self.blocks)


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet: at most one IPv4 block, at most one IPv6 block, one route table, one network ACL (RT-1, NA-1).

    An empty ``route_table`` is the VPC's main one, an empty ``network_acl`` the VPC's default one, an empty
    ``block_public_access`` the VPC's mode; an exclusion makes it ``off`` or ``block-ingress`` (RT-28).
    """

    name: str
    vpc: str
    blocks: tuple[Block, ...]
    availability_zone: str = ""
    route_table: str = ""
    network_acl: str = ""
    id: str = ""
    place: str = ""
    block_public_access: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """An entry of a route table: where packets for ``destination`` go.

    ``target`` is ``local``, or the name or id of a gateway, an interface or a peering; ``propagated`` routes lose to
    static ones of the same prefix (RT-5); ``blackhole`` ones drop what they match (RT-12).
    """

    destination: Block | ListPeer
    target: str
    propagated: bool = False
    blackhole: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class RouteTable:
    """A route table; each VPC has one main table.  The local routes are added by the topology (RT-2).

    ``propagating`` names the VPN gateways whose networks' blocks appear here as propagated routes (RT-5, RT-7).
    """

    name: str
    vpc: str
    routes: tuple[Route, ...] = ()
    main: bool = False
    id: str = ""
    place: str = ""
    propagating: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InternetGateway:
    """The way to the internet: public IPv4 addresses one to one, IPv6 as it is (RT-20).

    ``route_table`` is an edge table: what comes in follows it, through an appliance for instance (RT-15).
    """

    name: str
    vpc: str
    id: str = ""
    place: str = ""
    route_table: str = ""


@dataclass(frozen=True, slots=True)
class EgressOnlyInternetGateway:
    """The way out for IPv6 alone: replies come back, nothing else comes in (RT-30)."""

    name: str
    vpc: str
    id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class NatGateway:
    """Many private sources behind one address, ports translated (RT-31); private if it has no public address.

    Parameters
    ----------
    private_ip, public_ip : the primary pair; the internet gateway maps the first to the second.
    secondary_ips : more pairs of (private, public or None), seven at most (RT-32).
    interface : id of its interface in flow logs; made from the name where it is left out.
    """

    name: str
    subnet: str
    private_ip: Address
    public_ip: Address | None = None
    id: str = ""
    place: str = ""
    secondary_ips: tuple[tuple[Address, Address | None], ...] = ()
    interface: str = ""

    @property
    def addresses(self) -> tuple[tuple[Address, Address | None], ...]:
        """All pairs of private and public address, the primary first."""
        return ((self.private_ip, self.public_ip), *self.secondary_ips)


@dataclass(frozen=True, slots=True)
class VpcPeeringConnection:
    """Two VPCs joined; carries packets only while ``status`` is ``active`` (RT-50 to RT-53).

    Between Regions the path MTU is smaller (FB-26) and groups are not known across it (SG-30).
    """

    name: str
    requester: str
    accepter: str
    status: str = "active"
    id: str = ""
    place: str = ""
    inter_region: bool = False

    @property
    def is_active(self) -> bool:
        """Whether it carries packets."""
        return self.status == "active"


@dataclass(frozen=True, slots=True)
class ConnectionTracking:
    """Idle timeouts of one interface, in seconds; None is the instance type's default (CT-20 to CT-22)."""

    tcp_established_s: int | None = None
    udp_s: int | None = None
    udp_stream_s: int | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine.

    Parameters
    ----------
    instance_type : decides the established timer (CT-20); empty is unknown.
    listen : services that answer; None answers everything, a closed port refuses.
    max_tracked : most tracked connections over all its interfaces (CT-40); None takes the policy's.
    """

    name: str
    vpc: str
    instance_type: str = ""
    listen: tuple[Service, ...] | None = None
    max_tracked: int | None = None
    id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """An elastic network interface: where security groups act (SG-1).

    Parameters
    ----------
    name : ``eth0``; shown as ``instance:eth0``.
    private_ips : its private addresses, the primary IPv4 first, IPv6 after.
    public_ips : pairs (private, public) that the internet gateway translates (RT-20).
    security_groups : at least one; none named is the VPC's default group (SG-2).
    source_dest_check : False for a machine that forwards what is not its own (FB-24).
    """

    name: str
    instance: str
    subnet: str
    private_ips: tuple[Address, ...]
    public_ips: tuple[tuple[Address, Address], ...] = ()
    security_groups: tuple[str, ...] = ()
    source_dest_check: bool = True
    tracking: ConnectionTracking = ConnectionTracking()
    id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class ExternalHost:
    """A host outside the VPCs, behind the internet gateways."""

    name: str
    ips: tuple[Address, ...]
    listen: tuple[Service, ...] | None = None
    id: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A stretch of time, from ``start_ns`` until before ``end_ns``, in which a link is worse: down, slower or lossier.

    ``latency_ns`` and ``loss_ppb`` come on top of the link's own.
    """

    start_ns: int
    end_ns: int
    down: bool = False
    latency_ns: int = 0
    loss_ppb: int = 0
    place: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Delay, rate, queue and loss between two places; what is left out is no delay, no limit, no loss.

    Parameters
    ----------
    between : names or ids of two interfaces, instances, gateways or external hosts.
    latency_ns : one way.
    rate_bps : 0 is without limit.
    queue_bytes : what may wait for the rate; 0 is without limit.
    loss_ppb : lost packets in a thousand million, by a hash of seed, packet id and link.
    jitter_ns : up to so much more delay, by a hash likewise; packets stay in order.
    faults : when it is worse.
    reorder_ns : up to so much is added to a packet's latency, by a hash likewise; packets overtake one another.
    """

    between: tuple[str, str]
    latency_ns: int = 0
    rate_bps: int = 0
    queue_bytes: int = 0
    loss_ppb: int = 0
    place: str = ""
    jitter_ns: int = 0
    faults: tuple[Fault, ...] = ()
    reorder_ns: int = 0


@dataclass(frozen=True, slots=True)
class Expectation:
    """A line of ``expect``: whether ``source`` reaches ``destination``, and why not."""

    source: str
    destination: str
    service: Service
    reachable: bool
    because: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What AWS does not say, as settings (table 0.4 of the semantics; the fact numbers are beside each).

    Times are seconds.  None in ``tcp_default_established_s`` and ``tcp_embryonic_s`` means by instance type, and the
    established timer.
    """

    midstream_tcp: str = "rules_only"  # CT-30 to CT-33: rules_only, pickup, strict
    icmp_error_related: bool = False  # CT-36, FB-27
    tcp_default_established_s: int | None = None  # CT-20
    tcp_embryonic_s: int | None = None  # CT-25
    tcp_close_linger_s: int = 0  # CT-26
    icmp_s: int = 30  # CT-24
    other_s: int = 600  # CT-8
    max_entries: int | None = None  # CT-40
    autotrack: str = "2025"  # CT-16: 2025, 2023
    entry_survives_acl_drop: bool = True  # CT-34
    frag_policy: str = "reassemble"  # FB-32: reassemble, first_fragment, drop_noninitial
    blackhole: str = "drop"  # RT-12: drop, fall_through
    ttl: str = "spec"  # FB-18, FB-19: spec, per_hop
    router_ping: str = "own_subnet"  # FB-16: own_subnet, none
    ref_matches_ipv6: bool = True  # SG-24
    block_port_25: bool = True  # FB-34
    hairpin: bool = True  # RT-27
    srcdst_after_sg: bool = True  # PL-4
    propagation_delay_s: int = 0  # PL-7
    seed: int = 0
    mtu_of_captures: bool = False  # FB-26: captures show segments before the card cuts them; True takes their lengths as sent
