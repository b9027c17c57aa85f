"""Interfaces → rows, their groups and their addresses, each a piece that is used again as long as nothing in it changes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from emulator.model.entities import Instance, NetworkInterface, Policy, Subnet
from emulator.model.joined import InterfaceEndpoint, Node
from emulator.policy.conntrack import GATEWAY_STREAM_NS, GATEWAY_TCP_NS, GATEWAY_UDP_NS
from emulator.policy.filters import words_of
from emulator.policy.tables import Eni, Group, Membership, PlaceKind
from emulator.policy.work import Ids, Work, matrix
from emulator.wire.addresses import Halves, halves
from emulator.wire.headers import Matrix

SECOND = 1_000_000_000
NITRO_V6_FAMILIES = ("m8", "c8", "r8", "x8", "i8", "p6", "g7")
DEFAULT_TCP_S, NITRO_V6_TCP_S, DEFAULT_UDP_S, DEFAULT_STREAM_S = 432_000, 350, 30, 180
OUTSIDE, NOTHING = 0, Halves(0, 0)
Span = tuple[int, int]
_WAYS = (
    (Membership.INGRESS, Group.INGRESS, Group.INGRESS_END, Group.INGRESS_FILTER),
    (Membership.EGRESS, Group.EGRESS, Group.EGRESS_END, Group.EGRESS_FILTER),
)
_words: Callable[..., Any] = words_of  # plain arithmetic, which takes whole columns as well


def established_default_s(instance_type: str) -> int:
    """Seconds that an established TCP flow may idle: 350 on Nitro v6 types but P6e-GB200, else 432,000 (CT-20).

    Which families are Nitro v6 is taken from their generation number: AWS's list changes with each launch.
    """
    family = instance_type.partition(".")[0]
    if family.startswith("p6e-gb200"):
        return DEFAULT_TCP_S
    return NITRO_V6_TCP_S if family.startswith(NITRO_V6_FAMILIES) else DEFAULT_TCP_S


class InterfacePiece(NamedTuple):
    """An interface: its row of ``enis``, the ids of its groups, its rows of ``index``; where its groups stand is filled in later."""

    row: list[int]
    groups: tuple[int, ...]
    cells: list[list[int]]


class Interfaces:
    """The interfaces of instances and of endpoints, and who is in which group.

    Parameters
    ----------
    listeners : the rows of each interface endpoint's ports
    groups : the rows of ``groups``

    Attributes
    ----------
    cells : the rows of ``index`` of the instances' interfaces
    """

    def __init__(self, work: Work, listeners: dict[str, Span], groups: Matrix) -> None:
        topology, ids = work.topology, work.ids
        pieces: list[InterfacePiece] = []
        for eni in topology.all(NetworkInterface):
            work.place(eni.id, PlaceKind.ENI, len(pieces))
            sources = eni, topology.get(eni.instance, Instance), topology.get(eni.subnet, Subnet), topology.policy
            pieces.append(ids.pieces.of(eni.id, sources, partial(compile_interface, ids, *sources)))
        for endpoint in topology.all(InterfaceEndpoint):
            for node in endpoint.nodes:
                work.place(node.interface, PlaceKind.ENI, len(pieces))
                pieces.append(_node(ids, endpoint, node, listeners[endpoint.id]))
        self.cells = [cell for piece in pieces for cell in piece.cells]
        self.enis: Matrix = matrix([piece.row for piece in pieces], len(Eni))
        ends = np.cumsum([0, *(len(piece.groups) for piece in pieces)])
        if pieces:
            self.enis[:, Eni.GROUPS], self.enis[:, Eni.GROUPS_END] = ends[:-1], ends[1:]
        members = [group for piece in pieces for group in piece.groups]
        self.memberships = _memberships(members, groups, len(ids))


def _memberships(members: list[int], groups: Matrix, ids: int) -> Matrix:
    """A row for each of these ids of groups; ``ids`` is how many ids there are."""
    rows = np.zeros((max(len(members), 1), len(Membership)), dtype=np.int64)
    if members:
        row_of = np.zeros(ids, dtype=np.int64)
        row_of[groups[:, Group.ID]] = np.arange(len(groups))
        rows[:, Membership.GROUP_ID], rows[:, Membership.GROUP_ROW] = members, row_of[members]
        group = groups[row_of[members]]
        for way, first, last, slots in _WAYS:
            rows[:, way], rows[:, way + 1], rows[:, way + 2] = group[:, first], _words(group[:, last] - group[:, first]), group[:, slots]
    return rows


def compile_interface(ids: Ids, eni: NetworkInterface, instance: Instance, subnet: Subnet, policy: Policy) -> InterfacePiece:
    """An interface by itself."""
    number = ids.of(eni.id)
    groups = tuple(ids.of(group) for group in eni.security_groups)
    tcp_s = eni.tracking.tcp_established_s or policy.tcp_default_established_s or established_default_s(instance.instance_type)
    limit = policy.max_entries if instance.max_tracked is None else instance.max_tracked
    row = [0] * len(Eni)
    row[Eni.ID] = number
    row[Eni.VPC], row[Eni.SUBNET], row[Eni.INSTANCE] = ids.of(subnet.vpc), ids.of(subnet.id), ids.of(instance.id)
    row[Eni.CHECK], row[Eni.PUBLIC] = int(eni.source_dest_check), int(bool(eni.public_ips))
    row[Eni.TCP_NS] = tcp_s * SECOND
    row[Eni.UDP_NS] = (eni.tracking.udp_s or DEFAULT_UDP_S) * SECOND
    row[Eni.STREAM_NS] = (eni.tracking.udp_stream_s or DEFAULT_STREAM_S) * SECOND
    row[Eni.MAX_TRACKED] = -1 if limit is None else limit
    row[Eni.ADDRESS_LO] = next((halves(ip).lo for ip in eni.private_ips if ip.version == 4), 0)
    return InterfacePiece(row, groups, list(_cells(eni, number, row[Eni.VPC])))


def _cells(eni: NetworkInterface, number: int, vpc: int) -> Iterator[list[int]]:
    """Its private addresses in its VPC; outside, its public ones, and its IPv6 addresses as they are."""
    public = dict(eni.public_ips)
    for address in eni.private_ips:
        known = halves(address)
        other = halves(public[address]) if address in public else NOTHING
        yield [vpc, *known, number, *other]
        if address.version == 6:
            yield [OUTSIDE, *known, number, *known]
        elif address in public:
            yield [OUTSIDE, *other, number, *known]


def _node(ids: Ids, endpoint: InterfaceEndpoint, node: Node, listeners: Span) -> InterfacePiece:
    """The interface of an endpoint; its address is entered with those of all that is not an instance's."""
    row = [0] * len(Eni)
    row[Eni.ID] = ids.of(node.interface)
    groups = tuple(ids.of(group) for group in endpoint.security_groups)
    row[Eni.VPC], row[Eni.SUBNET], row[Eni.INSTANCE] = (ids.of(key) for key in (endpoint.vpc, node.subnet, endpoint.id))
    row[Eni.CHECK], row[Eni.MAX_TRACKED] = 1, -1
    row[Eni.TCP_NS], row[Eni.UDP_NS], row[Eni.STREAM_NS] = GATEWAY_TCP_NS, GATEWAY_UDP_NS, GATEWAY_STREAM_NS
    row[Eni.LISTENERS], row[Eni.LISTENERS_END] = listeners
    row[Eni.ADDRESS_LO] = halves(node.private_ip).lo
    return InterfacePiece(row, groups, [])
