"""A template's VPNs, transit gateways, endpoints and network load balancers."""

from collections.abc import Iterator

from emulator.importers.aws_services import forwarded
from emulator.importers.draft import Draft
from emulator.importers.draft_joined import (
    TransitDraft,
    draft_balancer,
    draft_endpoint,
    draft_listener,
    draft_target,
    draft_target_group,
    draft_vpn,
    draft_vpn_gateway,
    propagate_vpn,
)
from emulator.importers.records import Record
from emulator.importers.template_kinds import BALANCING, Kinds, lost


def draft_template_joined(kinds: Kinds, draft: Draft) -> None:
    """Everything that is joined to VPCs; run it when route tables, groups and machines are there."""
    _vpns(kinds, draft)
    _transit(kinds, draft)
    for endpoint in kinds["VPCEndpoint"]:
        draft_endpoint(
            draft,
            endpoint.id,
            endpoint.id,
            endpoint.place,
            kind=endpoint.text("VpcEndpointType"),
            vpc=endpoint.text("VpcId"),
            service=endpoint.text("ServiceName"),
            tables=endpoint.texts("RouteTableIds"),
            subnets=endpoint.texts("SubnetIds"),
            groups=endpoint.texts("SecurityGroupIds"),
            entries=[],
        )
    _balancers(kinds, draft)


def _vpns(kinds: Kinds, draft: Draft) -> None:
    attached = {item.text("VpnGatewayId"): item.text("VpcId") for item in kinds["VPCGatewayAttachment"] if "VpnGatewayId" in item}
    for gateway in kinds["VPNGateway"]:
        draft_vpn_gateway(draft, gateway.id, gateway.id, gateway.place, attached.get(gateway.id, ""))
    routes: dict[str, list[str]] = {}
    for item in kinds["VPNConnectionRoute"]:
        routes.setdefault(item.text("VpnConnectionId"), []).append(item.text("DestinationCidrBlock"))
    for item in kinds["VPNConnection"]:
        draft_vpn(
            draft,
            item.id,
            item.id,
            item.place,
            gateway=item.text("VpnGatewayId"),
            transit=item.text("TransitGatewayId"),
            static=item.flag("StaticRoutesOnly"),
            blocks=[block for block in dict.fromkeys(routes.get(item.id, [])) if block],
        )
    for item in kinds["VPNGatewayRoutePropagation"]:
        propagate_vpn(draft, item.kind, item.id, item.place, item.text("VpnGatewayId"), item.texts("RouteTableIds"))


def _transit(kinds: Kinds, draft: Draft) -> None:
    transit = TransitDraft(draft)
    for gateway in kinds["TransitGateway"]:
        transit.gateway(
            gateway.id,
            gateway.id,
            gateway.place,
            associates=gateway.text("DefaultRouteTableAssociation") != "disable",
            propagates=gateway.text("DefaultRouteTablePropagation") != "disable",
            referencing=gateway.text("SecurityGroupReferencingSupport") == "enable",
            known=[gateway.text(f"{use}DefaultRouteTableId") for use in ("Association", "Propagation")],
        )
    for table in kinds["TransitGatewayRouteTable"]:
        transit.table(table.id, table.place, table.text("TransitGatewayId"))
    associated = {item.text("TransitGatewayAttachmentId") for item in kinds["TransitGatewayRouteTableAssociation"]}
    for item in (*kinds["TransitGatewayAttachment"], *kinds["TransitGatewayVpcAttachment"]):
        gateway_id, vpc = item.text("TransitGatewayId"), item.text("VpcId")
        options = {key: str(value) for key, value in item.part("Options").data.items()}
        transit.vpc(item.id, item.id, item.place, gateway=gateway_id, vpc=vpc, subnets=item.texts("SubnetIds"), options=options)
        transit.attachment(item.id, item.place, gateway=gateway_id, kind="vpc", resource=vpc, associates=item.id not in associated)
    for item in kinds["VPNConnection"]:
        if "TransitGatewayId" in item:
            transit.attachment(item.id, item.place, gateway=item.text("TransitGatewayId"), kind="vpn", resource=item.id)
    for item in kinds["TransitGatewayPeeringAttachment"]:
        transit.peering(item.id, item.place, gateway=item.text("TransitGatewayId"), peer=item.text("PeerTransitGatewayId"))
    for kind, join in (("Association", transit.associate), ("Propagation", transit.propagate)):
        for item in kinds[f"TransitGatewayRouteTable{kind}"]:
            if not join(item.text("TransitGatewayAttachmentId"), item.text("TransitGatewayRouteTableId")):
                lost(draft, item, "its attachment or its table is not in the template")
    for item in kinds["TransitGatewayRoute"]:
        table_id, block = item.text("TransitGatewayRouteTableId"), item.text("DestinationCidrBlock")
        if not transit.route(table_id, block, item.text("TransitGatewayAttachmentId"), item.flag("Blackhole")):
            lost(draft, item, "its table is not in the template")


def _balancers(kinds: Kinds, draft: Draft) -> None:
    for balancer in kinds[f"{BALANCING}LoadBalancer"]:
        attributes = {part.text("Key"): part.text("Value") for part in balancer.parts("LoadBalancerAttributes")}
        draft_balancer(
            draft,
            balancer.id,
            balancer.text("Name") or balancer.id,
            balancer.place,
            kind=balancer.text("Type") or "application",
            internal=balancer.text("Scheme") == "internal",
            nodes=list(_nodes(balancer)),
            groups=balancer.texts("SecurityGroups"),
            cross=attributes.get("load_balancing.cross_zone.enabled", "").casefold() == "true",
        )
    for group in kinds[f"{BALANCING}TargetGroup"]:
        draft_target_group(
            draft,
            group.id,
            group.text("Name") or group.id,
            group.place,
            vpc=group.text("VpcId"),
            protocol=group.text("Protocol"),
            port=group.number("Port"),
            kind=group.text("TargetType"),
        )
        for part in group.parts("Targets"):
            draft_target(draft, group.id, part.text("Id"), part.number("Port"))
    for listener in kinds[f"{BALANCING}Listener"]:
        draft_listener(
            draft,
            listener.id,
            listener.place,
            balancer=listener.text("LoadBalancerArn"),
            protocol=listener.text("Protocol"),
            port=listener.number("Port"),
            groups=list(forwarded(listener)),
        )


def _nodes(balancer: Record) -> Iterator[dict[str, str]]:
    for part in balancer.parts("SubnetMappings"):
        yield {"subnet": part.text("SubnetId"), "private": part.text("PrivateIPv4Address")}
    yield from ({"subnet": subnet} for subnet in balancer.texts("Subnets"))
