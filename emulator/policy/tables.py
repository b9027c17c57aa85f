"""The integer tables that the kernels read: one matrix a kind of thing, a row an entry, columns an IntEnum.

Everything that can stand in a journal has a positive *id* that never changes during a run, also when the topology is
edited; ``places`` leads from an id to its row in the tables of the moment.  Row numbers never leave a kernel.
"""

from enum import IntEnum
from typing import NamedTuple

from emulator.kernels import kernel
from emulator.policy.settings import Settings
from emulator.wire.hashing import mix
from emulator.wire.headers import Matrix

INGRESS, EGRESS = 0, 1
_SIGN = -(1 << 63)
ALL_PROTOCOLS = -1


class PlaceKind(IntEnum):
    """What an id stands for, where the kernels ask."""

    NONE = 0
    ENI = 1
    OUTSIDE = 2
    INTERNET_GATEWAY = 3
    EGRESS_ONLY_GATEWAY = 4
    NAT_GATEWAY = 5
    PEERING = 6
    TRANSIT_GATEWAY = 7
    VPN_GATEWAY = 8
    GATEWAY_ENDPOINT = 9
    BALANCER = 10
    ATTACHMENT = 11


_ENI, _NAT, _BALANCER, _ATTACHMENT = (
    int(kind) for kind in (PlaceKind.ENI, PlaceKind.NAT_GATEWAY, PlaceKind.BALANCER, PlaceKind.ATTACHMENT)
)


class Place(IntEnum):
    """Columns of ``places``, indexed by id.  ROW of an OUTSIDE place is its customer network's plus one, 0 on the internet."""

    KIND = 0
    ROW = 1


class Eni(IntEnum):
    """Columns of ``enis``; timeouts in ns; MAX_TRACKED -1 is without limit.

    LISTENERS are an endpoint's own rows of ``listeners``, none for an instance's interface; PUBLIC is 1 if it has a
    public address; ADDRESS_LO is its primary IPv4 address, 0 if it has none.
    """

    ID = 0
    VPC = 1
    SUBNET = 2
    INSTANCE = 3
    GROUPS = 4
    GROUPS_END = 5
    CHECK = 6
    TCP_NS = 7
    UDP_NS = 8
    STREAM_NS = 9
    MAX_TRACKED = 10
    LISTENERS = 11
    LISTENERS_END = 12
    PUBLIC = 13
    ADDRESS_LO = 14


class Membership(IntEnum):
    """Columns of ``memberships``: the groups of each interface, one after another; a row is one cache line.

    It has all that a search for the first match asks of a group: in each direction the first row of its rules, how many
    words they take in ``filters``, and where these begin.
    """

    GROUP_ID = 0
    GROUP_ROW = 1
    INGRESS = 2
    INGRESS_WORDS = 3
    INGRESS_FILTER = 4
    EGRESS = 5
    EGRESS_WORDS = 6
    EGRESS_FILTER = 7


class Group(IntEnum):
    """Columns of ``groups``: where its rules stand in ``rules``, where its slots in ``filters``, and which rows of
    ``everyone`` name its rules for everyone."""

    ID = 0
    INGRESS = 1
    INGRESS_END = 2
    EGRESS = 3
    EGRESS_END = 4
    INGRESS_FILTER = 5
    EGRESS_FILTER = 6
    EVERYONE = 7
    EVERYONE_END = 8


class PeerKind(IntEnum):
    """What a rule's other side is (SG-21); a stale one matches nothing (SG-32)."""

    BLOCK = 0
    LIST = 1
    GROUP = 2
    STALE = 3


class RuleColumn(IntEnum):
    """Columns of ``rules``.  FROM and TO are ports, or ICMP type and code; PEER_START is a group's id for a group."""

    ID = 0
    PROTOCOL = 1
    FROM = 2
    TO = 3
    PEER = 4
    FAMILY = 5
    NET_HI = 6
    NET_LO = 7
    MASK_HI = 8
    MASK_LO = 9
    PEER_START = 10
    PEER_END = 11
    EVERYONE = 12
    ALLOW = 13


class PrefixBlock(IntEnum):
    """Columns of ``blocks``: entries of prefix lists, each list's rising and apart from each other, and the blocks of VPCs."""

    FAMILY = 0
    NET_HI = 1
    NET_LO = 2
    MASK_HI = 3
    MASK_LO = 4


class Cell(IntEnum):
    """Columns of ``index``, an open-addressing hash table of addresses.

    SCOPE is a VPC's id for private addresses, 0 for what the internet sees.  OTHER is the public address of a private
    one, the private address of a public one, zeros if there is none.
    """

    SCOPE = 0
    HI = 1
    LO = 2
    OWNER = 3
    OTHER_HI = 4
    OTHER_LO = 5


class SubnetColumn(IntEnum):
    """Columns of ``subnets``; ROUTER_LO is the low half of the reserved router address (base + 1); ZONE an id; PUBLIC_ACCESS
    one of `ACCESS_OFF` and its like."""

    ID = 0
    VPC = 1
    ROUTES = 2
    ROUTES_END = 3
    ACL_INGRESS = 4
    ACL_INGRESS_END = 5
    ACL_EGRESS = 6
    ACL_EGRESS_END = 7
    ROUTER_LO = 8
    BROADCAST_LO = 9
    ACL_ID = 10
    ZONE = 11
    PUBLIC_ACCESS = 12


ACCESS_OFF, ACCESS_BLOCKED, ACCESS_EGRESS = 0, 1, 2  # PUBLIC_ACCESS of a subnet


class VpcColumn(IntEnum):
    """Columns of ``vpcs``; GATEWAY is the internet gateway's id, RESOLVER_LO the low half of base + 2."""

    ID = 0
    BLOCKS = 1
    BLOCKS_END = 2
    GATEWAY = 3
    RESOLVER_LO = 4
    EGRESS_ONLY = 5


class RouteColumn(IntEnum):
    """Columns of ``routes``; a table's rows stand in the order in which they win."""

    ID = 0
    FAMILY = 1
    NET_HI = 2
    NET_LO = 3
    MASK_HI = 4
    MASK_LO = 5
    TARGET = 6
    BLACKHOLE = 7


class RouteOrder(IntEnum):
    """Columns of ``route_order``, as many rows as ``routes``, for the search in a large table.

    ROW : the table's rows of ``routes`` in the order of addresses: a block before those inside it, of one block the winner last
    WIDER : which row to ask if this one, by its number in ``routes``, does not take an address; -1 if none is left
    """

    ROW = 0
    WIDER = 1


LOCAL = 0  # a route's TARGET when it is ``local``


class GatewayColumn(IntEnum):
    """Columns of ``gateways``.

    VPC_B, ACTIVE : a peering's other side, and whether it carries packets
    SUBNET : of what stands in one: a NAT gateway, a balancer's node, an attachment's interface
    ADDRESSES : a NAT gateway's rows of ``addresses``
    EDGE : rows of ``routes`` of the edge route table of an internet or VPN gateway; an attachment's associated table
    LISTENERS : a balancer's rows of ``listeners``
    OWNER : the transit gateway of an attachment or of its interface; the balancer of a node
    MTU : longest packet in bytes that a path by way of it carries (FB-26)
    KEEPS_GROUPS : 1 if groups may be named across it (SG-30, SG-31)
    AUTOTRACK : 1 if flows through it are tracked for certain (CT-16)
    """

    ID = 0
    KIND = 1
    VPC = 2
    VPC_B = 3
    ACTIVE = 4
    SUBNET = 5
    ADDRESSES = 6
    ADDRESSES_END = 7
    EDGE = 8
    EDGE_END = 9
    LISTENERS = 10
    LISTENERS_END = 11
    OWNER = 12
    MTU = 13
    KEEPS_GROUPS = 14
    AUTOTRACK = 15
    CROSS_ZONE = 16


class LinkColumn(IntEnum):
    """Columns of ``links``; A and B are ids of places; RATE 0 and QUEUE 0 are without limit; LOSS in 1e-9."""

    A = 0
    B = 1
    LATENCY_NS = 2
    RATE_BPS = 3
    QUEUE_BYTES = 4
    LOSS_PPB = 5
    JITTER_NS = 6
    FAULTS = 7
    FAULTS_END = 8
    REORDER_NS = 9


class Tables(NamedTuple):
    """All tables of one moment; see the columns above."""

    places: Matrix
    enis: Matrix
    memberships: Matrix
    groups: Matrix
    rules: Matrix
    blocks: Matrix
    filters: Matrix
    everyone: Matrix
    index: Matrix  # type: ignore[assignment]  # hides tuple.index, which nobody calls on tables
    subnets: Matrix
    vpcs: Matrix
    routes: Matrix
    route_order: Matrix
    gateways: Matrix
    links: Matrix
    faults: Matrix
    addresses: Matrix
    attachments: Matrix
    nodes: Matrix
    listeners: Matrix
    targets: Matrix
    networks: Matrix
    settings: Settings


@kernel
def lookup(index: Matrix, scope: int, hi: int, lo: int) -> int:
    """Row of ``index`` that holds an address in a scope, or -1."""
    mask = index.shape[0] - 1
    slot = mix(mix(mix(0, scope), hi), lo) & mask
    while index[slot, Cell.OWNER] != 0:
        if index[slot, Cell.LO] == lo and index[slot, Cell.HI] == hi and index[slot, Cell.SCOPE] == scope:
            return slot
        slot = (slot + 1) & mask
    return -1


@kernel
def owner(tables: Tables, scope: int, hi: int, lo: int) -> int:
    """Id of what has an address in a scope, 0 if nothing has."""
    slot = lookup(tables.index, scope, hi, lo)
    return tables.index[slot, Cell.OWNER] if slot >= 0 else 0


@kernel
def kind_of(tables: Tables, place: int) -> int:
    """The `PlaceKind` of an id."""
    return tables.places[place, Place.KIND]


@kernel
def row_of(tables: Tables, place: int) -> int:
    """Row of an id in its own table; -1 if it is gone."""
    return tables.places[place, Place.ROW]


@kernel
def in_blocks(tables: Tables, start: int, end: int, family: int, hi: int, lo: int) -> bool:
    """Whether an address lies in one of a stretch of ``blocks``."""
    blocks = tables.blocks
    for at in range(start, end):
        if (
            blocks[at, PrefixBlock.FAMILY] == family
            and (hi & blocks[at, PrefixBlock.MASK_HI]) == blocks[at, PrefixBlock.NET_HI]
            and (lo & blocks[at, PrefixBlock.MASK_LO]) == blocks[at, PrefixBlock.NET_LO]
        ):
            return True
    return False


@kernel
def is_above(hi: int, lo: int, other_hi: int, other_lo: int) -> bool:
    """Whether an address is greater than another: halves are signed, and with the sign turned they rise as addresses do."""
    return (lo ^ _SIGN) > (other_lo ^ _SIGN) if hi == other_hi else (hi ^ _SIGN) > (other_hi ^ _SIGN)


@kernel
def in_list(tables: Tables, start: int, end: int, family: int, hi: int, lo: int) -> bool:
    """Whether an address lies in a prefix list: a stretch of ``blocks`` that rise and do not overlap.

    The last block that begins at or before the address is the only one that can have it.
    """
    blocks = tables.blocks
    first, last = start, end
    while first < last:
        middle = (first + last) >> 1
        if is_above(blocks[middle, PrefixBlock.NET_HI], blocks[middle, PrefixBlock.NET_LO], hi, lo):
            last = middle
        else:
            first = middle + 1
    return in_blocks(tables, max(first - 1, start), first, family, hi, lo)


@kernel
def in_vpc(tables: Tables, vpc: int, family: int, hi: int, lo: int) -> bool:
    """Whether an address lies in one of a VPC's blocks (``vpc`` is its id)."""
    row = row_of(tables, vpc)
    return in_blocks(tables, tables.vpcs[row, VpcColumn.BLOCKS], tables.vpcs[row, VpcColumn.BLOCKS_END], family, hi, lo)


@kernel
def subnet_of(tables: Tables, place: int) -> int:
    """Id of the subnet that a place stands in; 0 for what stands in none, such as an internet gateway."""
    kind, row = kind_of(tables, place), row_of(tables, place)
    if row < 0:
        return 0
    if kind == _ENI:
        return tables.enis[row, Eni.SUBNET]
    if kind in (_NAT, _BALANCER, _ATTACHMENT):
        return tables.gateways[row, GatewayColumn.SUBNET]
    return 0
