"""Gateways, their addresses, attachments, listeners, targets and customer networks → rows."""

from ipaddress import ip_address

from emulator.model.entities import (
    EgressOnlyInternetGateway,
    Instance,
    InternetGateway,
    NatGateway,
    NetworkInterface,
    Subnet,
    VpcPeeringConnection,
)
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    InterfaceEndpoint,
    NetworkLoadBalancer,
    TargetGroup,
    TransitGateway,
    TransitGatewayAttachment,
    VpnGateway,
)
from emulator.model.services import TCP
from emulator.policy.joined_columns import AddressPair, AttachmentColumn, ListenerColumn, NetworkColumn, NodeColumn, TargetColumn
from emulator.policy.tables import (
    GatewayColumn,
    PlaceKind,
)
from emulator.policy.work import Work, matrix
from emulator.wire.addresses import halves
from emulator.wire.headers import Matrix

MTU_VPC, MTU_TRANSIT, MTU_INTERNET, MTU_BETWEEN_REGIONS = 9001, 8500, 1500, 8500  # FB-26
_KIND = {
    InternetGateway: PlaceKind.INTERNET_GATEWAY,
    EgressOnlyInternetGateway: PlaceKind.EGRESS_ONLY_GATEWAY,
    NatGateway: PlaceKind.NAT_GATEWAY,
    VpcPeeringConnection: PlaceKind.PEERING,
    TransitGateway: PlaceKind.TRANSIT_GATEWAY,
    VpnGateway: PlaceKind.VPN_GATEWAY,
    GatewayEndpoint: PlaceKind.GATEWAY_ENDPOINT,
}
Span = tuple[int, int]


class Gateways:
    """The rows of everything that is a gateway to the kernels; ``spans`` are those of the route tables, by id."""

    def __init__(self, work: Work, spans: dict[str, Span]) -> None:
        self._work, self._topology, self._spans = work, work.topology, spans
        self._rows: list[list[int]] = []
        self._addresses: list[list[int]] = []
        self._listeners: list[list[int]] = []
        self._targets: list[list[int]] = []
        self._nodes: list[list[int]] = []
        self.endpoint_listeners: dict[str, Span] = {}
        for entity in self._topology.entities.values():
            if type(entity) in _KIND:
                self._gateway(entity)
            elif isinstance(entity, NetworkLoadBalancer):
                self._balancer(entity)
            elif isinstance(entity, InterfaceEndpoint):
                start = len(self._listeners)
                self._listeners += [[TCP, port, 0, 0, 0] for port in entity.ports]
                self.endpoint_listeners[entity.id] = (start, len(self._listeners))
        attachments = [self._attachment(attachment) for attachment in self._topology.all(TransitGatewayAttachment)]
        self.attachments: Matrix = matrix(attachments, len(AttachmentColumn))
        self.gateways: Matrix = matrix(self._rows, len(GatewayColumn))
        self.addresses: Matrix = matrix(self._addresses, len(AddressPair))
        self.listeners: Matrix = matrix(self._listeners, len(ListenerColumn))
        self.targets: Matrix = matrix(self._targets, len(TargetColumn))
        self.nodes: Matrix = matrix(self._nodes, len(NodeColumn))
        self.networks: Matrix = matrix(list(self._networks()), len(NetworkColumn))

    def _add(self, name: str, kind: int, **columns: int) -> None:
        row = [0] * len(GatewayColumn)
        row[GatewayColumn.KIND], row[GatewayColumn.ACTIVE] = int(kind), 1
        for column, value in columns.items():
            row[GatewayColumn[column]] = int(value)
        row[GatewayColumn.ID] = self._work.place(name, int(kind), len(self._rows))
        self._rows.append(row)

    def _gateway(self, entity: object) -> None:
        ids, name, kind = self._work.ids, entity.id, _KIND[type(entity)]  # type: ignore[attr-defined]
        match entity:
            case InternetGateway() | VpnGateway():
                start, end = self._spans.get(entity.route_table, (0, 0))
                self._add(name, kind, VPC=ids.of(entity.vpc), EDGE=start, EDGE_END=end, MTU=MTU_INTERNET)
            case EgressOnlyInternetGateway():
                self._add(name, kind, VPC=ids.of(entity.vpc), MTU=MTU_INTERNET, AUTOTRACK=1)
            case GatewayEndpoint():
                self._add(name, kind, VPC=ids.of(entity.vpc), MTU=MTU_TRANSIT, AUTOTRACK="dynamodb" in entity.service)
            case NatGateway():
                start = len(self._addresses)
                pairs = entity.addresses
                self._addresses += [[halves(private).lo, halves(public).lo if public else 0] for private, public in pairs]
                self._add(
                    name,
                    kind,
                    VPC=ids.of(self._topology.get(entity.subnet, Subnet).vpc),
                    SUBNET=ids.of(entity.subnet),
                    ADDRESSES=start,
                    ADDRESSES_END=len(self._addresses),
                    MTU=MTU_INTERNET if entity.public_ip is not None else MTU_TRANSIT,
                    AUTOTRACK=1,
                )
            case VpcPeeringConnection():
                mtu = MTU_BETWEEN_REGIONS if entity.inter_region else MTU_VPC
                ends = {"VPC": ids.of(entity.requester), "VPC_B": ids.of(entity.accepter)}
                self._add(name, kind, **ends, ACTIVE=entity.is_active, MTU=mtu, KEEPS_GROUPS=not entity.inter_region)
            case TransitGateway():
                tracks = self._topology.policy.autotrack == "2023"
                self._add(name, kind, MTU=MTU_TRANSIT, KEEPS_GROUPS=entity.security_group_referencing, AUTOTRACK=tracks)

    def _balancer(self, balancer: NetworkLoadBalancer) -> None:
        start = len(self._listeners)
        for listener in balancer.listeners:
            group = self._topology.get(listener.target_group, TargetGroup)
            self._listeners.append([listener.protocol, listener.port, *self._served(group), int(group.keeps_client)])
        for node in balancer.nodes:
            self._addresses.append([halves(node.private_ip).lo, halves(node.public_ip).lo if node.public_ip is not None else 0])
            self._add(
                node.interface,
                PlaceKind.BALANCER,
                VPC=self._work.ids.of(balancer.vpc),
                SUBNET=self._work.ids.of(node.subnet),
                OWNER=self._work.ids.of(balancer.id),
                ADDRESSES=len(self._addresses) - 1,
                ADDRESSES_END=len(self._addresses),
                LISTENERS=start,
                LISTENERS_END=len(self._listeners),
                MTU=MTU_TRANSIT,
                AUTOTRACK=1,
                CROSS_ZONE=balancer.cross_zone,
            )

    def _served(self, group: TargetGroup) -> Span:
        """Where the healthy targets of a group stand; those of instances by the primary address of their interface."""
        start = len(self._targets)
        for target in group.targets:
            if not target.healthy:
                continue
            found = self._topology.entities.get(target.target)
            eni = self._topology.interfaces_of(found.id)[0] if isinstance(found, Instance) else found
            address = eni.private_ips[0] if isinstance(eni, NetworkInterface) else ip_address(target.target)
            if not isinstance(eni, NetworkInterface):
                keys = self._topology.owners.get(address, [])
                owners = [self._topology.entities[key] for key in keys]
                eni = next((one for one in owners if isinstance(one, NetworkInterface)), None)
            zone = self._topology.get(eni.subnet, Subnet).availability_zone if isinstance(eni, NetworkInterface) else ""
            number = self._work.ids.of(eni.id) if isinstance(eni, NetworkInterface) else 0
            self._targets.append([halves(address).lo, target.port or group.port, zone_id(self._work, zone), number])
        return start, len(self._targets)

    def _attachment(self, attachment: TransitGatewayAttachment) -> list[int]:
        ids = self._work.ids
        start = len(self._nodes)
        for subnet, interface in zip(attachment.subnets, attachment.interfaces, strict=True):
            zone = zone_id(self._work, self._topology.get(subnet, Subnet).availability_zone)
            self._nodes.append([ids.of(interface), ids.of(subnet), zone])
            self._add(
                interface,
                PlaceKind.ATTACHMENT,
                VPC=ids.of(attachment.vpc),
                SUBNET=ids.of(subnet),
                OWNER=ids.of(attachment.transit_gateway),
                MTU=MTU_VPC,
            )
        row = [0] * len(AttachmentColumn)
        row[AttachmentColumn.ID] = ids.of(attachment.id)
        row[AttachmentColumn.GATEWAY] = ids.of(attachment.transit_gateway)
        for column, name in (
            (AttachmentColumn.VPC, attachment.vpc),
            (AttachmentColumn.NETWORK, attachment.network),
            (AttachmentColumn.PEER, attachment.peer),
        ):
            row[column] = ids.of(name) if name else 0
        row[AttachmentColumn.ROUTES], row[AttachmentColumn.ROUTES_END] = self._spans.get(attachment.route_table or "", (0, 0))
        row[AttachmentColumn.NODES], row[AttachmentColumn.NODES_END] = start, len(self._nodes)
        row[AttachmentColumn.APPLIANCE] = int(attachment.appliance_mode)
        row[AttachmentColumn.KEEPS_GROUPS] = int(attachment.security_group_referencing)
        return row

    def _networks(self) -> list[list[int]]:
        rows = []
        for row, network in enumerate(self._topology.all(CustomerNetwork)):
            number = self._work.place(network.id, PlaceKind.OUTSIDE, row + 1)
            gateway = self._work.ids.of(network.gateway) if network.gateway else 0
            rows.append([number, gateway, int(network.up), *self._work.span(network.blocks)])
        return rows


def zone_id(work: Work, zone: str) -> int:
    """The id of an availability zone; 0 for one that is not said, which is like every other."""
    return work.ids.of(f"zone {zone}") if zone else 0
