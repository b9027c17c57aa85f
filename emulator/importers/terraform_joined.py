"""Terraform's VPNs, transit gateways, endpoints and network load balancers."""

from collections.abc import Iterator
from typing import Any

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
from emulator.importers.terraform_source import Resource, Source, block_expressions

BALANCERS, GROUPS, LISTENERS, TARGETS = (
    ("aws_lb", "aws_alb"),
    ("aws_lb_target_group", "aws_alb_target_group"),
    ("aws_lb_listener", "aws_alb_listener"),
    ("aws_lb_target_group_attachment", "aws_alb_target_group_attachment"),
)
_TRANSIT = """
aws_ec2_transit_gateway aws_ec2_transit_gateway_vpc_attachment aws_ec2_transit_gateway_vpc_attachment_accepter
aws_ec2_transit_gateway_route_table aws_ec2_transit_gateway_route_table_association
aws_ec2_transit_gateway_route_table_propagation aws_ec2_transit_gateway_route
aws_ec2_transit_gateway_peering_attachment aws_ec2_transit_gateway_peering_attachment_accepter
"""
_VPN = """
aws_vpn_gateway aws_vpn_gateway_attachment aws_vpn_gateway_route_propagation aws_vpn_connection aws_vpn_connection_route
aws_customer_gateway
"""
_ENDPOINTS = """
aws_vpc_endpoint aws_vpc_endpoint_route_table_association aws_vpc_endpoint_subnet_association
aws_vpc_endpoint_security_group_association aws_vpc_endpoint_policy aws_vpc_endpoint_connection_notification
"""
DRAFTED = frozenset((*_TRANSIT.split(), *_VPN.split(), *_ENDPOINTS.split(), *BALANCERS, *GROUPS, *LISTENERS, *TARGETS))


def draft_joined(source: Source, draft: Draft) -> None:
    """Everything that is joined to VPCs; run it when route tables, groups and machines are there."""
    _vpns(source, draft)
    _transit(source, draft)
    _endpoints(source, draft)
    _balancers(source, draft)


def _lost(source: Source, resource: Resource, text: str) -> None:
    source.report.left_out(resource.type, resource.address, text, source.path.name)


def _vpns(source: Source, draft: Draft) -> None:
    place = source.path.name
    attached = {source.one(item, "vpn_gateway_id"): source.one(item, "vpc_id") for item in source.all("aws_vpn_gateway_attachment")}
    for gateway in source.all("aws_vpn_gateway"):
        draft_vpn_gateway(draft, gateway.id, gateway.address, place, source.one(gateway, "vpc_id") or attached.get(gateway.id, ""))
    routes: dict[str, list[str]] = {}
    for item in source.all("aws_vpn_connection_route"):
        routes.setdefault(source.one(item, "vpn_connection_id"), []).append(item.record.text("DestinationCidrBlock"))
    for item in source.all("aws_vpn_connection"):
        known = [part.text("DestinationCidrBlock") for part in item.record.parts("Routes")]
        draft_vpn(
            draft,
            item.id,
            item.address,
            place,
            gateway=source.one(item, "vpn_gateway_id"),
            transit=source.one(item, "transit_gateway_id"),
            static=item.record.flag("StaticRoutesOnly"),
            blocks=[block for block in dict.fromkeys((*known, *routes.get(item.id, []))) if block],
        )
    for item in source.all("aws_vpn_gateway_route_propagation"):
        propagate_vpn(draft, item.type, item.address, place, source.one(item, "vpn_gateway_id"), [source.one(item, "route_table_id")])
    for table in source.all("aws_route_table", "aws_default_route_table"):
        for propagating in source.many(table, "propagating_vgws"):
            propagate_vpn(draft, table.type, table.address, place, propagating, [table.id])


def _transit(source: Source, draft: Draft) -> None:
    place, transit = source.path.name, TransitDraft(draft)
    for gateway in source.all("aws_ec2_transit_gateway"):
        record = gateway.record
        transit.gateway(
            gateway.id,
            gateway.address,
            place,
            associates=record.text("DefaultRouteTableAssociation") != "disable",
            propagates=record.text("DefaultRouteTablePropagation") != "disable",
            referencing=record.text("SecurityGroupReferencingSupport") == "enable",
            known=[record.text(f"{use}DefaultRouteTableId") for use in ("Association", "Propagation")],
        )
    for made in source.all("aws_ec2_transit_gateway_route_table"):
        transit.table(made.id, place, source.one(made, "transit_gateway_id"))
    for item in source.all("aws_ec2_transit_gateway_vpc_attachment"):
        hub, vpc = source.one(item, "transit_gateway_id"), source.one(item, "vpc_id")
        keys = ("ApplianceModeSupport", "SecurityGroupReferencingSupport")
        options = {key: item.record.text(key) for key in keys if key in item.record}
        transit.vpc(item.id, item.address, place, gateway=hub, vpc=vpc, subnets=source.many(item, "subnet_ids"), options=options)
        transit.attachment(
            item.id,
            place,
            gateway=hub,
            kind="vpc",
            resource=vpc,
            associates=item.record.flag("TransitGatewayDefaultRouteTableAssociation", True),
            propagates=item.record.flag("TransitGatewayDefaultRouteTablePropagation", True),
        )
    for item in source.all("aws_vpn_connection"):
        if hub := source.one(item, "transit_gateway_id"):
            attachment = item.record.text("TransitGatewayAttachmentId") or item.id
            transit.attachment(attachment, place, gateway=hub, kind="vpn", resource=item.id)
    for item in source.all("aws_ec2_transit_gateway_peering_attachment"):
        ends = {"gateway": source.one(item, "transit_gateway_id"), "peer": source.one(item, "peer_transit_gateway_id")}
        transit.peering(item.id, place, **ends)
    for item in source.all("aws_ec2_transit_gateway_peering_attachment_accepter"):
        transit.accept(item.id, source.one(item, "transit_gateway_attachment_id"))
    for kind, join in (("association", transit.associate), ("propagation", transit.propagate)):
        for item in source.all(f"aws_ec2_transit_gateway_route_table_{kind}"):
            attachment, table = source.one(item, "transit_gateway_attachment_id"), source.one(item, "transit_gateway_route_table_id")
            if not join(attachment, table):
                _lost(source, item, "its attachment or its table is not in the plan")
    for item in source.all("aws_ec2_transit_gateway_route"):
        target, owner = source.one(item, "transit_gateway_attachment_id"), source.one(item, "transit_gateway_route_table_id")
        if not transit.route(owner, item.record.text("DestinationCidrBlock"), target, item.record.flag("Blackhole")):
            _lost(source, item, "its table is not in the plan")


def _endpoints(source: Source, draft: Draft) -> None:
    place = source.path.name
    for endpoint in source.all("aws_vpc_endpoint"):
        if endpoint.data:
            source.report.unknown(endpoint.type, endpoint.address, "it is there already, and what it joins is not in the plan", place)
            continue
        draft_endpoint(
            draft,
            endpoint.id,
            endpoint.address,
            place,
            kind=endpoint.record.text("VpcEndpointType"),
            vpc=source.one(endpoint, "vpc_id"),
            service=endpoint.record.text("ServiceName"),
            tables=_joined(source, endpoint, "route_table"),
            subnets=_joined(source, endpoint, "subnet"),
            groups=_joined(source, endpoint, "security_group"),
            entries=endpoint.record.texts("CidrBlocks"),
        )


def _joined(source: Source, endpoint: Resource, what: str) -> list[str]:
    """Ids that an endpoint lists, and those that resources of their own associate with it."""
    more = [
        source.one(item, f"{what}_id")
        for item in source.all(f"aws_vpc_endpoint_{what}_association")
        if source.one(item, "vpc_endpoint_id") == endpoint.id
    ]
    return [found for found in dict.fromkeys((*source.many(endpoint, f"{what}_ids"), *more)) if found]


def _balancers(source: Source, draft: Draft) -> None:
    place = source.path.name
    for balancer in source.all(*BALANCERS):
        if balancer.data:
            continue
        record = balancer.record
        draft_balancer(
            draft,
            balancer.id,
            record.text("Name") or balancer.address,
            place,
            kind=record.text("LoadBalancerType") or "application",
            internal=record.flag("Internal"),
            nodes=list(_nodes(source, balancer)),
            groups=source.many(balancer, "security_groups"),
            cross=record.flag("EnableCrossZoneLoadBalancing"),
        )
    for group in source.all(*GROUPS):
        record = group.record
        draft_target_group(
            draft,
            group.id,
            record.text("Name") or group.address,
            place,
            vpc=source.one(group, "vpc_id"),
            protocol=record.text("Protocol"),
            port=record.number("Port"),
            kind=record.text("TargetType"),
        )
    for listener in source.all(*LISTENERS):
        record, balancer_id = listener.record, source.one(listener, "load_balancer_arn")
        groups = list(_forwarded(source, listener))
        draft_listener(
            draft, listener.id, place, balancer=balancer_id, protocol=record.text("Protocol"), port=record.number("Port"), groups=groups
        )
    for item in source.all(*TARGETS):
        target = source.one(item, "target_id")
        if not target or not draft_target(draft, source.one(item, "target_group_arn"), target, item.record.number("Port")):
            _lost(source, item, "its target or its target group is not in the plan")


def _nodes(source: Source, balancer: Resource) -> Iterator[dict[str, str]]:
    elastic = {key: eip for eip in source.all("aws_eip") for key in (eip.id, eip.record.text("AllocationId")) if key}
    mapped = balancer.record.parts("SubnetMapping")
    seen: set[str] = set()
    for number, part in enumerate(mapped):
        expressions = block_expressions(balancer, "subnet_mapping", part, number, len(mapped))
        subnet = source.one(balancer, "subnet_id", part, expressions.get("subnet_id", {}))
        eip = elastic.get(source.one(balancer, "allocation_id", part, expressions.get("allocation_id", {})))
        if subnet:
            seen.add(subnet)
            public = eip.record.text("PublicIp") if eip is not None else ""
            yield {"subnet": subnet, "private": part.text("PrivateIpv4Address") or part.text("PrivateIPv4Address"), "public": public}
    yield from ({"subnet": subnet} for subnet in source.many(balancer, "subnets") if subnet not in seen)


def _forwarded(source: Source, listener: Resource) -> Iterator[str]:
    actions = listener.record.parts("DefaultAction")
    for number, action in enumerate(actions):
        expressions = block_expressions(listener, "default_action", action, number, len(actions))
        group = source.one(listener, "target_group_arn", action, expressions.get("target_group_arn", {}))
        if group:
            yield group
        for forward in action.parts("Forward"):
            blocks = forward.parts("TargetGroup")
            for place, part in enumerate(blocks):
                inner = _nested(expressions, "forward", 0, "target_group", min(place, len(blocks) - 1))
                yield source.one(listener, "arn", part, inner.get("arn", {}))


def _nested(expressions: dict[str, Any], *way: str | int) -> dict[str, Any]:
    """The expressions of a block in a block, by names and places; none if it is not there."""
    found: Any = expressions
    for step in way:
        if isinstance(step, int):
            found = found[step] if isinstance(found, list) and step < len(found) else {}
        else:
            found = found.get(step) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}
