"""Transit gateways with their tables and attachments, VPN gateways and the networks behind both (IM-17, RT-54).

Describe output splits an attachment over several answers: its subnets in one, its table in another, the tables that
learn from it in a third.  An answer that is not in the data leaves what AWS does by default: the default table.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from emulator.importers.layouts import other_side
from emulator.importers.records import Record
from emulator.importers.workshop import Workshop
from emulator.model.groups import Block
from emulator.model.joined import (
    CustomerNetwork,
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRoute,
    TransitGatewayRouteTable,
    VpnGateway,
)

GONE = ("deleted", "deleting", "rejected", "failed", "failing", "rejecting", "pending", "pendingAcceptance", "initiatingRequest")


def add_transit(shop: Workshop) -> None:
    """Transit gateways, their attachments and tables; VPN gateways and customer networks."""
    for record in shop.snapshot.all("TransitGateways"):
        if record.text("State") not in GONE[:2]:
            referencing = record.part("Options").text("SecurityGroupReferencingSupport") == "enable"
            shop.add(TransitGateway(shop.name("TransitGateways", record), referencing, id=record.id, place=record.place))
    _add_vpn_gateways(shop)
    described = [record for record in shop.snapshot.all("TransitGatewayRouteTables") if record.text("State") not in GONE[:2]]
    tables = {record.id: record for record in described if record.text("TransitGatewayId") in shop.parts}
    learning: dict[str, list[str]] = {}
    for record in shop.snapshot.all("TransitGatewayPropagations"):
        for part in record.parts("TransitGatewayRouteTablePropagations"):
            if part.text("State") in ("", "enabled", "enabling"):
                learning.setdefault(part.text("TransitGatewayAttachmentId"), []).append(record.id)
    for record in shop.snapshot.all("TransitGatewayVpcAttachments"):
        if record.text("State") not in GONE:
            _add_vpc_attachment(shop, record, tables, learning)
    for record in shop.snapshot.all("TransitGatewayAttachments"):
        if record.text("State") not in GONE and record.id not in shop.parts:
            _add_other_attachment(shop, record, tables, learning)
    for record in shop.snapshot.all("TransitGatewayPeeringAttachments"):
        if record.text("State") not in GONE:
            _add_peering(shop, record, tables, learning)
    for record in tables.values():
        _add_table(shop, record)


def _joining(shop: Workshop, id: str, tables: dict[str, Record], learning: dict[str, list[str]]) -> dict[str, Any]:
    """The table that an attachment is associated with, and those that learn from it."""
    found: dict[str, Any] = {}
    described = shop.snapshot.get("TransitGatewayAttachments", id)
    if described is not None:
        table = described.part("Association").text("TransitGatewayRouteTableId")
        if not table or table in tables:
            found["route_table"] = table
    if "TransitGatewayPropagations" in shop.snapshot.kinds:
        found["propagates_to"] = tuple(table for table in learning.get(id, ()) if table in tables)
    if len(found) < 2 and tables:
        text = "its association or its propagations are not in the data; taken as the default route table's"
        shop.report.assumed("TransitGatewayAttachment", id, text)
    return found


def _add_vpc_attachment(shop: Workshop, record: Record, tables: dict[str, Record], learning: dict[str, list[str]]) -> None:
    gateway, vpc = record.text("TransitGatewayId"), shop.vpc(record.text("VpcId"))
    if vpc is None or gateway not in shop.parts:
        missing = "VPC" if vpc is None else "transit gateway"
        shop.report.unknown("TransitGatewayVpcAttachment", record.id, f"its {missing} is not in the data; it is left out", record.place)
        return
    subnets = tuple(key for key in record.texts("SubnetIds") if shop.subnet(key) is not None)
    if len(subnets) < len(record.texts("SubnetIds")):
        shop.report.left_out("TransitGatewayVpcAttachment", record.id, "some of its subnets are not in the data", record.place)
    options = record.part("Options")
    enis = [eni for eni in shop.snapshot.all("NetworkInterfaces") if record.id in eni.text("Description")]
    of_subnet = {eni.text("SubnetId"): eni for eni in enis}
    addresses = tuple(ip for key in subnets if key in of_subnet for ip in islice(of_subnet[key].addresses("PrivateIpAddress"), 1))
    shop.add(
        TransitGatewayAttachment(
            record.id,
            gateway,
            vpc=vpc.id,
            subnets=subnets,
            appliance_mode=options.text("ApplianceModeSupport") == "enable",
            security_group_referencing=options.text("SecurityGroupReferencingSupport") != "disable",
            interfaces=tuple(of_subnet[key].id if key in of_subnet else f"eni-{record.id}-{key}" for key in subnets),
            private_ips=addresses if len(addresses) == len(subnets) else (),
            id=record.id,
            place=record.place,
            **_joining(shop, record.id, tables, learning),
        )
    )


def _add_other_attachment(shop: Workshop, record: Record, tables: dict[str, Record], learning: dict[str, list[str]]) -> None:
    """An attachment to a VPN, a Direct Connect gateway or another transit gateway."""
    gateway, kind, other = record.text("TransitGatewayId"), record.text("ResourceType"), record.text("ResourceId")
    joined: dict[str, Any] = {}
    if gateway not in shop.parts:
        return
    if kind in ("vpn", "direct-connect-gateway"):
        blocks = tuple(dict.fromkeys((*_vpn_blocks(shop, other), *_routed_to(shop, record.id))))
        connection = "direct_connect" if kind != "vpn" else _connection(shop.snapshot.get("VpnConnections", other))
        if blocks:
            up = _is_up(shop.snapshot.get("VpnConnections", other))
            shop.add(CustomerNetwork(other, blocks, connection=connection, up=up, id=f"net-{other}", place=record.place))
            joined["network"] = f"net-{other}"
    elif kind == "peering" and other in shop.parts and other != gateway:
        joined["peer"] = other
    if joined:
        own = _joining(shop, record.id, tables, learning)
        shop.add(TransitGatewayAttachment(record.id, gateway, id=record.id, place=record.place, **joined, **own))
    elif kind != "vpc":
        what = {"vpn": "the blocks of the network behind it are", "direct-connect-gateway": "the blocks of the network behind it are"}
        text = f"{what.get(kind, f'{other or kind} on its other side is')} not in the data; what is sent there is dropped here"
        shop.report.unknown("TransitGatewayAttachment", record.id, text, record.place)


def _add_peering(shop: Workshop, record: Record, tables: dict[str, Record], learning: dict[str, list[str]]) -> None:
    """The sides of a peering of transit gateways that no other answer has."""
    ends = [record.part(f"{side}TgwInfo").text("TransitGatewayId") for side in ("Requester", "Accepter")]
    missing = [end or "(unknown)" for end in ends if end not in shop.parts]
    if missing:
        text = f"transit gateway {missing[0]} is not in the data; what is sent there is dropped here"
        shop.report.unknown("TransitGatewayPeeringAttachment", record.id, text, record.place)
        return
    there = {part.transit_gateway for part in shop.parts.values() if isinstance(part, TransitGatewayAttachment) and part.peer in ends}
    for gateway, peer in (ends, ends[::-1]):
        if gateway not in there:
            key = other_side(record.id, gateway) if record.id in shop.parts else record.id
            own = _joining(shop, key, tables, learning)
            shop.add(TransitGatewayAttachment(key, gateway, peer=peer, id=key, place=record.place, **own))


def _add_table(shop: Workshop, record: Record) -> None:
    if record.text("TransitGatewayId") not in shop.parts:
        return
    static = shop.snapshot.get("TransitGatewayStaticRoutes", record.id)
    routes = tuple(_static(shop, record, static)) if static is not None else ()
    if static is None:
        shop.report.assumed("TransitGatewayRouteTable", record.id, "its static routes are not in the data; taken as none", record.place)
    shop.add(TransitGatewayRouteTable(record.id, record.text("TransitGatewayId"), routes, record.id, record.place))


def _static(shop: Workshop, table: Record, record: Record) -> Iterator[TransitGatewayRoute]:
    for route in record.parts("Routes"):
        if route.text("Type") == "propagated":
            continue
        named = [part.text("TransitGatewayAttachmentId") for part in route.parts("TransitGatewayAttachments")]
        here = next((key for key in (*(other_side(key, table.text("TransitGatewayId")) for key in named), *named) if key in shop.parts), "")
        for block in route.blocks("DestinationCidrBlock"):
            gone = route.text("State") == "blackhole" or not here
            if gone and route.text("State") != "blackhole":
                text = f"the route for {block} leads to {', '.join(named) or 'nothing'}, which is not shown; taken as a blackhole"
                shop.report.unknown("TransitGatewayRouteTable", table.id, text, record.place)
            if len(named) > 1:
                shop.report.not_modelled("TransitGatewayRouteTable", table.id, f"of the ways for {block} the first is taken", record.place)
            yield TransitGatewayRoute(block, here, gone, record.place)


def _add_vpn_gateways(shop: Workshop) -> None:
    for record in shop.snapshot.all("VpnGateways"):
        attached = [part.text("VpcId") for part in record.parts("VpcAttachments") if part.text("State") in ("", "attached", "attaching")]
        vpc = shop.vpc(attached[0]) if attached else None
        if vpc is None or record.text("State") in GONE[:2]:
            shop.report.without_effect("VpnGateway", record.id, "attached to no VPC that is in the data", record.place)
            continue
        shop.add(VpnGateway(record.tag() or record.id, vpc.id, id=record.id, place=record.place))
    learned = _learned(shop)
    for record in shop.snapshot.all("VpnConnections"):
        gateway = record.text("VpnGatewayId")
        if record.text("State") in GONE[:2]:
            continue
        if gateway not in shop.parts:
            if "TransitGatewayId" not in record or "TransitGatewayAttachments" not in shop.snapshot.kinds:
                shop.report.not_modelled("VpnConnection", record.id, "traffic with the network on its far side is not shown", record.place)
            continue
        blocks = tuple(dict.fromkeys((*_vpn_blocks(shop, record.id), *learned.pop(gateway, ()))))
        if not blocks:
            text = "the blocks of the network behind it are not in the data; nothing stands there"
            shop.report.unknown("VpnConnection", record.id, text, record.place)
            continue
        made = CustomerNetwork(record.tag() or record.id, blocks, gateway, _connection(record), _is_up(record), record.id, record.place)
        shop.add(made)
    for gateway, found in learned.items():
        if gateway in shop.parts:
            text = "no VPN connection of it is in the data; the blocks that it propagates are taken as one network behind it"
            shop.report.assumed("VpnGateway", gateway, text)
            shop.add(CustomerNetwork(f"behind {gateway}", tuple(dict.fromkeys(found)), gateway, id=f"net-{gateway}"))


def _learned(shop: Workshop) -> dict[str, list[Block]]:
    """Blocks that VPN gateways propagated into route tables, by gateway."""
    found: dict[str, list[Block]] = {}
    for table in shop.snapshot.all("RouteTables"):
        for route in table.parts("Routes"):
            if route.text("GatewayId").startswith("vgw-") and route.text("Origin") == "EnableVgwRoutePropagation":
                found.setdefault(route.text("GatewayId"), []).extend(route.blocks("DestinationCidrBlock"))
    return found


def _vpn_blocks(shop: Workshop, connection: str) -> Iterator[Block]:
    record = shop.snapshot.get("VpnConnections", connection)
    for route in record.parts("Routes") if record is not None else ():
        yield from route.blocks("DestinationCidrBlock")


def _routed_to(shop: Workshop, attachment: str) -> Iterator[Block]:
    """Blocks that any transit gateway table sends to an attachment."""
    for record in shop.snapshot.all("TransitGatewayStaticRoutes"):
        for route in record.parts("Routes"):
            if attachment in [part.text("TransitGatewayAttachmentId") for part in route.parts("TransitGatewayAttachments")]:
                yield from (block for block in route.blocks("DestinationCidrBlock") if block.prefixlen)


def _connection(record: Record | None) -> str:
    return "vpn_static" if record is not None and record.part("Options").flag("StaticRoutesOnly") else "vpn_bgp"


def _is_up(record: Record | None) -> bool:
    tunnels = [part.text("Status") for part in record.parts("VgwTelemetry")] if record is not None else []
    return not tunnels or "UP" in tunnels
