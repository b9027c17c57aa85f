"""Internet, egress-only and NAT gateways, peerings, and route tables (IM-8, IM-9, IM-11 to IM-14).

A route whose target the data does not have, or the model does not know, stays as a blackhole, with a note (IM-20).
"""

from collections.abc import Iterator
from dataclasses import replace

from emulator.importers.records import Record
from emulator.importers.workshop import Workshop
from emulator.model.entities import (
    EgressOnlyInternetGateway,
    InternetGateway,
    NatGateway,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import EVERYONE, Block, ListPeer
from emulator.model.joined import GatewayEndpoint, VpnGateway

TARGET_KEYS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "VpcEndpointId",
    "NetworkInterfaceId",
    "InstanceId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
    "OdbNetworkArn",
)
GONE = ("deleted", "rejected", "failed", "expired", "deleting")
ATTACHED = ("", "available", "attached", "attaching")


def add_gateways(shop: Workshop) -> None:
    """Internet, egress-only and NAT gateways that work, and peerings between VPCs that are in the data."""
    for kind, made in (("InternetGateways", InternetGateway), ("EgressOnlyInternetGateways", EgressOnlyInternetGateway)):
        for record in shop.snapshot.all(kind):
            attached = [part.text("VpcId") for part in record.parts("Attachments") if part.text("State") in ATTACHED]
            for vpc in attached[:1]:
                if shop.vpc(vpc) is None:
                    shop.references.demand(record, "Vpcs", vpc)
                    shop.report.left_out(record.kind, record.id, f"its VPC {vpc or '(none named)'} is not in the data", record.place)
                else:
                    name = shop.name(kind, record) if kind == "InternetGateways" else record.id
                    shop.add(made(name, vpc, id=record.id, place=record.place))
            if not attached:
                shop.report.without_effect(record.kind, record.id, "attached to no VPC", record.place)
    for record in shop.snapshot.all("NatGateways"):
        _add_nat(shop, record)
    for record in shop.snapshot.all("VpcPeeringConnections"):
        _add_peering(shop, record)


def _add_nat(shop: Workshop, record: Record) -> None:
    state = record.text("State")
    if state in ("deleted", "deleting", "failed"):
        shop.report.without_effect("NatGateway", record.id, f"its state is {state}", record.place)
        return
    subnet = shop.subnet(record.text("SubnetId"))
    addresses = [part for part in record.parts("NatGatewayAddresses") if "PrivateIp" in part and part.text("Status") in ("", "succeeded")]
    addresses.sort(key=lambda part: not part.flag("IsPrimary"))
    if record.text("AvailabilityMode") == "regional":
        shop.report.not_modelled("NatGateway", record.id, "a regional NAT gateway; routes to it are blackholes here (RT-40)", record.place)
    elif subnet is None:
        shop.references.demand(record, "Subnets", record.text("SubnetId"))
        shop.report.left_out("NatGateway", record.id, f"its subnet {record.text('SubnetId')} is not in the data", record.place)
    elif not addresses:
        shop.report.left_out("NatGateway", record.id, f"it has no address yet (state {state or 'unknown'})", record.place)
    else:
        pairs = [(next(part.addresses("PrivateIp")), next(part.addresses("PublicIp"), None)) for part in addresses]
        private = record.text("ConnectivityType") == "private"
        (own, public), more = pairs[0], pairs[1:]
        name = shop.name("NatGateways", record)
        secondary = tuple((ip, None if private else other) for ip, other in more)
        eni = addresses[0].text("NetworkInterfaceId")
        shop.add(NatGateway(name, subnet.id, own, None if private else public, record.id, record.place, secondary, eni))


def _add_peering(shop: Workshop, record: Record) -> None:
    status = record.part("Status").text("Code") or "active"
    requester, accepter = record.part("RequesterVpcInfo"), record.part("AccepterVpcInfo")
    ends = requester.text("VpcId"), accepter.text("VpcId")
    missing = [end for end in ends if shop.vpc(end) is None]
    if status in GONE:
        shop.report.without_effect("VpcPeeringConnection", record.id, f"its status is {status}; it carries nothing (RT-53)", record.place)
    if missing:
        if status == "active":
            text = f"VPC {missing[0] or '(unknown)'} on its far side is not in the data; what is sent there is dropped here"
            shop.report.unknown("VpcPeeringConnection", record.id, text, record.place)
        elif status not in GONE:
            shop.report.without_effect("VpcPeeringConnection", record.id, f"its status is {status}; it carries nothing yet", record.place)
        return
    far = "Region" in requester and "Region" in accepter and requester.text("Region") != accepter.text("Region")
    shop.add(VpcPeeringConnection(record.id, *ends, status=status, id=record.id, place=record.place, inter_region=far))


def add_route_tables(shop: Workshop) -> dict[str, str]:
    """Every route table; gives subnet id → table id.  Run it when every possible target has been made."""
    of_subnet: dict[str, str] = {}
    mains: set[str] = set()
    for record in shop.snapshot.all("RouteTables"):
        vpc = shop.home(record)
        if vpc is None:
            continue
        main = False
        for association in record.parts("Associations"):
            if association.part("AssociationState").text("State") in ("disassociated", "disassociating", "failed"):
                continue
            if "SubnetId" in association:
                of_subnet[association.text("SubnetId")] = record.id
            elif "GatewayId" in association:
                _add_edge(shop, record, association.text("GatewayId"))
            elif association.flag("Main") and vpc.id not in mains:
                main = True
                mains.add(vpc.id)
        routes = tuple(_routes(shop, record, vpc))
        shop.add(RouteTable(shop.name("RouteTables", record), vpc.id, routes, main, record.id, record.place))
    for record in shop.snapshot.all("Vpcs"):
        if record.id in shop.parts and record.id not in mains and "RouteTables" in shop.snapshot.kinds:
            text = "its main route table is not in the data; taken to have the local route alone"
            shop.report.assumed("RouteTable", record.id, text)
    if "RouteTables" not in shop.snapshot.kinds:
        _assume_public_tables(shop, of_subnet)
    return of_subnet


def _add_edge(shop: Workshop, table: Record, gateway_id: str) -> None:
    """What comes in by the gateway follows the table (RT-15)."""
    gateway = shop.parts.get(gateway_id)
    if isinstance(gateway, InternetGateway | VpnGateway):
        shop.add(replace(gateway, route_table=table.id))
    else:
        shop.report.left_out("RouteTable", table.id, f"the edge table of {gateway_id}, which is not in the data", table.place)


def _assume_public_tables(shop: Workshop, of_subnet: dict[str, str]) -> None:
    """Without any route table in the data, a subnet that gives public addresses is taken to be routed to its gateway."""
    gateways = {gateway.vpc: gateway.id for gateway in shop.parts.values() if isinstance(gateway, InternetGateway)}
    public = {record.id for record in shop.snapshot.all("Subnets") if record.flag("MapPublicIpOnLaunch")}
    shop.report.assumed("RouteTable", "", "no route tables in the data; every subnet has the local route")
    for subnet in [part for part in shop.parts.values() if isinstance(part, Subnet)]:
        gateway = gateways.get(subnet.vpc)
        if subnet.id not in public or gateway is None:
            continue
        table = f"rtb-assumed-{subnet.vpc}"
        if table not in shop.parts:
            routes = tuple(Route(everyone, gateway) for everyone in EVERYONE[:1])
            shop.add(RouteTable("assumed-public", subnet.vpc, routes, id=table))
        of_subnet[subnet.id] = table
        text = f"it gives out public addresses, so it is taken to be routed to {gateway}"
        shop.report.assumed("Subnet", subnet.id, text, subnet.place)


def _routes(shop: Workshop, table: Record, vpc: Vpc) -> Iterator[Route]:
    seen: set[tuple[object, bool]] = set()
    for record in table.parts("Routes"):
        destination = next(_destinations(shop, table, record, vpc.id), None)
        if destination is None:
            shop.report.left_out("RouteTable", table.id, "a route without a destination", table.place)
            continue
        target = next((record.text(key) for key in TARGET_KEYS if key in record), "")
        if target == "local" and destination in vpc.blocks:
            continue
        endpoint = shop.parts.get(target)
        if isinstance(endpoint, GatewayEndpoint) and table.id in endpoint.route_tables:
            continue  # the endpoint brings its routes itself
        propagated = record.text("Origin") in ("EnableVgwRoutePropagation", "Advertisement")
        if (destination, propagated) in seen:
            shop.report.left_out("RouteTable", table.id, f"a second route for {_shown(destination)}, to {target}", table.place)
            continue
        seen.add((destination, propagated))
        yield _checked(shop, table, Route(destination, target, propagated, record.text("State") == "blackhole", table.place))


def _destinations(shop: Workshop, table: Record, record: Record, vpc: str) -> Iterator[Block | ListPeer]:
    yield from record.blocks("DestinationCidrBlock")
    yield from record.blocks("DestinationIpv6CidrBlock")
    if "DestinationPrefixListId" in record:
        list_id = record.text("DestinationPrefixListId")
        yield ListPeer(shop.prefix_list(list_id, vpc, f"a route of {table.id}", table.place).id)


def _shown(destination: Block | ListPeer) -> str:
    return destination.list if isinstance(destination, ListPeer) else str(destination)


def _checked(shop: Workshop, table: Record, route: Route) -> Route:
    """The route, or a blackhole if what it leads to is not there."""
    if route.blackhole or route.target in shop.parts or route.target == "local":
        return route
    where = f"the route for {_shown(route.destination)} leads to {route.target}"
    if not route.target:
        text = f"where the route for {_shown(route.destination)} leads is not in the data; taken as a blackhole"
        shop.report.unknown("RouteTable", table.id, text, table.place)
        return replace(route, blackhole=True)
    known = any(route.target in shop.snapshot.records.get(kind, {}) for kind in shop.snapshot.records)
    if route.target.startswith(("igw-", "nat-", "pcx-", "eni-", "i-", "eigw-", "tgw-")) and not known:
        shop.report.unknown("RouteTable", table.id, f"{where}, which is not in the data; taken as a blackhole (IM-20)", table.place)
    else:
        shop.report.not_modelled("RouteTable", table.id, f"{where}, which is not modelled; what it takes is dropped here", table.place)
    return replace(route, blackhole=True)
