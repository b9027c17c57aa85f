"""Terraform plans and states → a topology: each resource drafted as EC2 would describe it, then read like that.

Separate rules, routes and associations are joined with the inline ones.  Resources that nothing here knows, but whose
type stands on the network's side of AWS, are listed.
"""

from pathlib import Path
from typing import Any

from emulator.errors import TopologyError
from emulator.importers.aws import topology_from_snapshot
from emulator.importers.beyond import TERRAFORM, beyond
from emulator.importers.draft import Draft
from emulator.importers.report import Report
from emulator.importers.terraform_filters import draft_acls, draft_groups, home, vpc_behind
from emulator.importers.terraform_joined import DRAFTED, draft_joined
from emulator.importers.terraform_machines import draft_machines
from emulator.importers.terraform_source import Resource, Source, aws, block_expressions
from emulator.model.topology import Topology

_HANDLED = """
aws_vpc aws_default_vpc aws_vpc_ipv4_cidr_block_association aws_vpc_ipv6_cidr_block_association aws_subnet aws_default_subnet
aws_internet_gateway aws_internet_gateway_attachment aws_egress_only_internet_gateway aws_nat_gateway aws_eip
aws_eip_association aws_vpc_peering_connection aws_vpc_peering_connection_accepter aws_vpc_peering_connection_options
aws_ec2_managed_prefix_list aws_prefix_list aws_ec2_managed_prefix_list_entry aws_route_table aws_default_route_table
aws_main_route_table_association aws_route aws_route_table_association aws_security_group aws_default_security_group
aws_security_group_rule aws_vpc_security_group_ingress_rule aws_vpc_security_group_egress_rule aws_network_acl
aws_default_network_acl aws_network_acl_rule aws_network_acl_association aws_network_interface aws_instance
aws_spot_instance_request aws_network_interface_attachment aws_network_interface_sg_attachment
"""
HANDLED = DRAFTED | frozenset(_HANDLED.split())
TARGETS = {
    "gateway_id": "GatewayId",
    "nat_gateway_id": "NatGatewayId",
    "transit_gateway_id": "TransitGatewayId",
    "vpc_peering_connection_id": "VpcPeeringConnectionId",
    "egress_only_gateway_id": "EgressOnlyInternetGatewayId",
    "network_interface_id": "NetworkInterfaceId",
    "instance_id": "InstanceId",
    "vpc_endpoint_id": "VpcEndpointId",
    "local_gateway_id": "LocalGatewayId",
    "carrier_gateway_id": "CarrierGatewayId",
    "core_network_arn": "CoreNetworkArn",
}


def topology_from_terraform(path: Path, document: dict[str, Any], report: Report) -> Topology:
    """The topology that a plan will make, or that a state has.

    Parameters
    ----------
    document : of ``terraform show -json``, or a raw state.

    Raises
    ------
    TopologyError : not of the shape of a plan, a field of a wrong type, or no VPC in it.
    """
    source = Source(path, document, report)
    draft = Draft(path, report)
    for step in (_places, _gateways, draft_groups, draft_machines, _tables, draft_joined, draft_acls):
        step(source, draft)
    for resource in source.resources:
        if resource.data or resource.type in HANDLED or not resource.type.startswith("aws_"):
            continue
        fields = [*resource.expressions, *(key for key in resource.record.data if key in resource.record)]
        if text := beyond(TERRAFORM, resource.type, fields):
            report.not_modelled(resource.type, resource.address, text, path.name)
    if not draft.all("Vpcs"):
        raise TopologyError(f"{path}: no aws_vpc in it, and nothing that stands in the default one; give the plan of a network")
    return topology_from_snapshot(draft.finish(), report)


def _places(source: Source, draft: Draft) -> None:
    for vpc in source.all("aws_vpc", "aws_default_vpc"):
        own = vpc.record.text("CidrBlock") or ("172.31.0.0/16" if vpc.type == "aws_default_vpc" else "")
        six = vpc.record.text("Ipv6CidrBlock")
        if not own:
            source.report.unknown(vpc.type, vpc.address, "its cidr_block is known only after apply; it is left out", source.path.name)
            continue
        if not six and vpc.record.flag("AssignGeneratedIpv6CidrBlock"):
            source.report.unknown(vpc.type, vpc.address, "its IPv6 block is known only after apply; IPv6 is left out", source.path.name)
        blocks: dict[str, Any] = {"CidrBlockAssociationSet": [], "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": six}] if six else []}
        is_default = vpc.type == "aws_default_vpc"
        draft.put("Vpcs", vpc.id, vpc.address, source.path.name, CidrBlock=own, IsDefault=is_default, **blocks)
    for more in source.all("aws_vpc_ipv4_cidr_block_association", "aws_vpc_ipv6_cidr_block_association"):
        key = "Ipv6CidrBlock" if "ipv6" in more.type else "CidrBlock"
        data = draft.get("Vpcs", source.one(more, "vpc_id"))
        if data is not None and key in more.record:
            data[f"{key}AssociationSet"].append({key: more.record.text(key)})
        else:
            source.report.unknown(
                more.type, more.address, "its block or its VPC is known only after apply; it is left out", source.path.name
            )
    for subnet in source.all("aws_subnet", "aws_default_subnet"):
        _subnet(source, draft, subnet)


def _subnet(source: Source, draft: Draft, subnet: Resource) -> None:
    record = subnet.record
    six = record.text("Ipv6CidrBlock")
    if "CidrBlock" not in record and not six:
        source.report.unknown(subnet.type, subnet.address, "its cidr_block is known only after apply; it is left out", source.path.name)
        return
    vpc = home(source, draft, subnet)
    if not vpc:
        return
    draft.put(
        "Subnets",
        subnet.id,
        subnet.address,
        source.path.name,
        VpcId=vpc,
        CidrBlock=record.text("CidrBlock"),
        Ipv6CidrBlockAssociationSet=[{"Ipv6CidrBlock": six}] if six else [],
        AvailabilityZone=record.text("AvailabilityZone") or record.text("AvailabilityZoneId"),
        MapPublicIpOnLaunch=record.flag("MapPublicIpOnLaunch"),
        AssignIpv6AddressOnCreation=record.flag("AssignIpv6AddressOnCreation"),
    )


def _gateways(source: Source, draft: Draft) -> None:
    place = source.path.name
    attached = {
        source.one(item, "internet_gateway_id"): source.one(item, "vpc_id") for item in source.all("aws_internet_gateway_attachment")
    }
    for kind, types in (("InternetGateways", "aws_internet_gateway"), ("EgressOnlyInternetGateways", "aws_egress_only_internet_gateway")):
        for gateway in source.all(types):
            vpc = source.one(gateway, "vpc_id") or attached.get(gateway.id, "")
            draft.put(kind, gateway.id, gateway.address, place, Attachments=[{"VpcId": vpc}] if vpc else [])
    elastic = {eip.id: eip for eip in source.all("aws_eip")}
    elastic |= {eip.record.text("AllocationId"): eip for eip in elastic.values() if "AllocationId" in eip.record}
    for nat in source.all("aws_nat_gateway"):
        private = nat.record.text("ConnectivityType") == "private"
        public = nat.record.text("PublicIp")
        if not public and not private:
            eip = elastic.get(source.one(nat, "allocation_id"))
            known = eip.record.text("PublicIp") if eip is not None else ""
            public = known or draft.public_ip(nat.type, nat.address, place)
        entry = {"PrivateIp": nat.record.text("PrivateIp"), "PublicIp": public}
        subnet = source.one(nat, "subnet_id")
        kind = "private" if private else "public"
        draft.put("NatGateways", nat.id, nat.address, place, SubnetId=subnet, ConnectivityType=kind, NatGatewayAddresses=[entry])
    accepted = {source.one(item, "vpc_peering_connection_id") for item in source.all("aws_vpc_peering_connection_accepter")}
    for peering in source.all("aws_vpc_peering_connection"):
        auto = peering.record.flag("AutoAccept") or peering.id in accepted
        status = peering.record.text("AcceptStatus") or ("active" if auto else "pending-acceptance")
        ends = {
            "RequesterVpcInfo": {"VpcId": source.one(peering, "vpc_id")},
            "AccepterVpcInfo": {"VpcId": source.one(peering, "peer_vpc_id")},
        }
        draft.put("VpcPeeringConnections", peering.id, peering.address, place, Status={"Code": status}, **ends)
    for made in source.all("aws_ec2_managed_prefix_list", "aws_prefix_list"):
        entries = [{"Cidr": entry.text("Cidr")} for key in ("Entry", "Entries") for entry in made.record.parts(key)]
        entries += [{"Cidr": text} for text in made.record.texts("CidrBlocks")]
        entries += [
            {"Cidr": item.record.text("Cidr")}
            for item in source.all("aws_ec2_managed_prefix_list_entry")
            if source.one(item, "prefix_list_id") == made.id
        ]
        name = made.record.text("Name") or made.address
        draft.put("PrefixLists", made.id, made.address, place, PrefixListName=name, Entries=entries)


def _tables(source: Source, draft: Draft) -> None:
    mains = {source.one(item, "vpc_id"): source.one(item, "route_table_id") for item in source.all("aws_main_route_table_association")}
    for table in source.all("aws_route_table", "aws_default_route_table"):
        vpc = source.one(table, "vpc_id") or (vpc_behind(source, table, "default_route_table_id") if "default" in table.type else "")
        main = table.type == "aws_default_route_table" and vpc not in mains
        blocks = table.record.parts("Route")
        routes = [
            _route(source, table, part, block_expressions(table, "route", part, number, len(blocks))) for number, part in enumerate(blocks)
        ]
        associations: list[dict[str, Any]] = [{"Main": True}] if main or mains.get(vpc) == table.id else []
        draft.put("RouteTables", table.id, table.address, source.path.name, VpcId=vpc, Associations=associations, Routes=routes)
    for record in draft.all("Vpcs"):
        # A VPC's own main table is in no plan; routes may be added to it by its main_id.
        if not any(
            table.data.get("VpcId") == record.id and {"Main": True} in table.data["Associations"] for table in draft.all("RouteTables")
        ):
            known = next((vpc for vpc in source.all("aws_vpc", "aws_default_vpc") if vpc.id == record.id), None)
            main_id = known.record.text("MainRouteTableId") if known is not None else ""
            taken = draft.get("RouteTables", main_id)
            if taken is not None:
                taken["Associations"].append({"Main": True})
            else:
                draft.put(
                    "RouteTables",
                    main_id or f"rtb-main-{record.id}",
                    "",
                    source.path.name,
                    VpcId=record.id,
                    Associations=[{"Main": True}],
                    Routes=[],
                )
    for route in source.all("aws_route"):
        table_id = source.one(route, "route_table_id")
        data = draft.get("RouteTables", table_id) or draft.get("RouteTables", f"rtb-main-{table_id}")
        if data is None:
            source.report.left_out(route.type, route.address, f"its table {table_id or '(unknown)'} is not in the plan", source.path.name)
        else:
            made = _route(source, route, route.record, route.expressions)
            if made not in data["Routes"]:
                data["Routes"].append(made)
    for item in source.all("aws_route_table_association"):
        data = draft.get("RouteTables", source.one(item, "route_table_id"))
        subnet, gateway = source.one(item, "subnet_id"), source.one(item, "gateway_id")
        if data is None or not (subnet or gateway):
            source.report.left_out(item.type, item.address, "its table or its subnet is not in the plan", source.path.name)
        else:
            data["Associations"].append({"SubnetId": subnet} if subnet else {"GatewayId": gateway})


def _route(source: Source, owner: Resource, part: Any, expressions: dict[str, Any]) -> dict[str, Any]:
    """A route as EC2 describes it; a destination that is unknown is said, and left out by the reader."""
    made: dict[str, Any] = {}
    inline = part is not owner.record
    prefix = "" if inline else "destination_"
    for key, name in ((f"{prefix}cidr_block", "DestinationCidrBlock"), (f"{prefix}ipv6_cidr_block", "DestinationIpv6CidrBlock")):
        if aws(key) in part:
            made[name] = part.text(aws(key))
    listed = source.one(owner, "destination_prefix_list_id", part, expressions.get("destination_prefix_list_id", {}))
    if listed:
        made["DestinationPrefixListId"] = listed
    for key, name in TARGETS.items():
        target = source.one(owner, key, part, expressions.get(key, {}))
        if target:
            made[name] = target
            break
    return made
