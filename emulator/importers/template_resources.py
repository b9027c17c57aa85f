"""A template's resources, drafted as EC2 would describe what they make.

A resource is known by its logical id, which is also its name; a property that names another has that one's.
"""

from typing import Any

from emulator.importers.draft import Draft, permission
from emulator.importers.records import Record
from emulator.importers.template_joined import draft_template_joined
from emulator.importers.template_kinds import Kinds, lost

TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "VpcEndpointId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
)


def draft_template(resources: list[Record], draft: Draft) -> None:
    """Draft everything that has a place in a topology."""
    kinds = Kinds(resources)
    for step in (_places, _gateways, _groups, _machines, _tables, draft_template_joined, _acls):
        step(kinds, draft)


def _places(kinds: Kinds, draft: Draft) -> None:
    for vpc in kinds["VPC"]:
        if "CidrBlock" not in vpc:
            draft.report.unknown(vpc.kind, vpc.id, "its block is decided when the stack is made; it is left out", vpc.place)
            continue
        more: dict[str, Any] = {"CidrBlockAssociationSet": [], "Ipv6CidrBlockAssociationSet": []}
        draft.put("Vpcs", vpc.id, vpc.id, vpc.place, CidrBlock=vpc.text("CidrBlock"), **more)
    for block in kinds["VPCCidrBlock"]:
        data = draft.get("Vpcs", block.text("VpcId"))
        key = "Ipv6CidrBlock" if "Ipv6CidrBlock" in block else "CidrBlock"
        if data is not None and key in block:
            data[f"{key}AssociationSet"].append({key: block.text(key)})
        else:
            draft.report.unknown(block.kind, block.id, "its block is decided when the stack is made; it is left out", block.place)
    for subnet in kinds["Subnet"]:
        six = subnet.text("Ipv6CidrBlock") or next(
            (item.text("Ipv6CidrBlock") for item in kinds["SubnetCidrBlock"] if item.text("SubnetId") == subnet.id), ""
        )
        if "CidrBlock" not in subnet and not six:
            draft.report.unknown(subnet.kind, subnet.id, "its block is decided when the stack is made; it is left out", subnet.place)
            continue
        draft.put(
            "Subnets",
            subnet.id,
            subnet.id,
            subnet.place,
            VpcId=subnet.text("VpcId"),
            CidrBlock=subnet.text("CidrBlock"),
            Ipv6CidrBlockAssociationSet=[{"Ipv6CidrBlock": six}] if six else [],
            AvailabilityZone=subnet.text("AvailabilityZone"),
            MapPublicIpOnLaunch=subnet.flag("MapPublicIpOnLaunch"),
            AssignIpv6AddressOnCreation=subnet.flag("AssignIpv6AddressOnCreation"),
        )


def _gateways(kinds: Kinds, draft: Draft) -> None:
    attached = {item.text("InternetGatewayId"): item.text("VpcId") for item in kinds["VPCGatewayAttachment"] if "InternetGatewayId" in item}
    for gateway in kinds["InternetGateway"]:
        vpc = attached.get(gateway.id)
        draft.put("InternetGateways", gateway.id, gateway.id, gateway.place, Attachments=[{"VpcId": vpc}] if vpc else [])
    for gateway in kinds["EgressOnlyInternetGateway"]:
        draft.put("EgressOnlyInternetGateways", gateway.id, gateway.id, gateway.place, Attachments=[{"VpcId": gateway.text("VpcId")}])
    for nat in kinds["NatGateway"]:
        private = nat.text("ConnectivityType") == "private"
        public = "" if private else draft.public_ip("NatGateway", nat.id, nat.place)
        entry = {"PrivateIp": nat.text("PrivateIpAddress"), "PublicIp": public}
        kind = "private" if private else "public"
        subnet = nat.text("SubnetId")
        draft.put("NatGateways", nat.id, nat.id, nat.place, SubnetId=subnet, ConnectivityType=kind, NatGatewayAddresses=[entry])
    for peering in kinds["VPCPeeringConnection"]:
        if "PeerRegion" in peering or "PeerOwnerId" in peering:
            draft.report.assumed(peering.kind, peering.id, "the other side has to accept it; taken as active", peering.place)
        ends = {"RequesterVpcInfo": {"VpcId": peering.text("VpcId")}, "AccepterVpcInfo": {"VpcId": peering.text("PeerVpcId")}}
        draft.put("VpcPeeringConnections", peering.id, peering.id, peering.place, Status={"Code": "active"}, **ends)
    for made in kinds["PrefixList"]:
        entries = [{"Cidr": entry.text("Cidr")} for entry in made.parts("Entries")]
        draft.put("PrefixLists", made.id, made.id, made.place, PrefixListName=made.id, Entries=entries)


def _groups(kinds: Kinds, draft: Draft) -> None:
    for group in kinds["SecurityGroup"]:
        vpc = group.text("VpcId") or draft.default_vpc(group.place)
        egress = [_permission(part, "Destination") for part in group.parts("SecurityGroupEgress")]
        if not egress:
            # Without an egress rule of its own a group keeps the one that EC2 gives it (SG-14).
            egress = [permission("-1", None, None, blocks=_everyone(draft, vpc), groups=[], lists=[])]
        draft.put(
            "SecurityGroups",
            group.id,
            group.id,
            group.place,
            GroupName=group.text("GroupName") or group.id,
            VpcId=vpc,
            IpPermissions=[_permission(part, "Source") for part in group.parts("SecurityGroupIngress")],
            IpPermissionsEgress=egress,
        )
    for way, key in (("Ingress", "IpPermissions"), ("Egress", "IpPermissionsEgress")):
        for rule in kinds[f"SecurityGroup{way}"]:
            named = rule.text("GroupId") or rule.text("GroupName")
            if named.startswith("default "):
                _default_group(draft, named, rule.place)
            data = draft.get("SecurityGroups", named)
            if data is None:
                lost(draft, rule, f"its group {named or '(unknown)'} is not in the template")
            else:
                data[key].append(_permission(rule, "Source" if way == "Ingress" else "Destination"))


def _everyone(draft: Draft, vpc: str) -> list[str]:
    data = draft.get("Vpcs", vpc) or {}
    return ["0.0.0.0/0", "::/0"] if data.get("Ipv6CidrBlockAssociationSet") else ["0.0.0.0/0"]


def _default_group(draft: Draft, named: str, place: str) -> None:
    """A VPC's default group, which the template does not make but names (SG-13)."""
    vpc = named.removeprefix("default ")
    if draft.get("SecurityGroups", named) is None and draft.get("Vpcs", vpc) is not None:
        inward = [permission("-1", None, None, blocks=[], groups=[named], lists=[])]
        outward = [permission("-1", None, None, blocks=_everyone(draft, vpc), groups=[], lists=[])]
        draft.put("SecurityGroups", named, named, place, GroupName="default", VpcId=vpc, IpPermissions=inward, IpPermissionsEgress=outward)


def _permission(part: Record, side: str) -> dict[str, Any]:
    blocks = [part.text(key) for key in ("CidrIp", "CidrIpv6") if key in part]
    groups = [part.text(key) for key in (f"{side}SecurityGroupId", f"{side}SecurityGroupName") if key in part][:1]
    lists = [part.text(f"{side}PrefixListId")] if f"{side}PrefixListId" in part else []
    first, last = part.number("FromPort"), part.number("ToPort")
    kept = {"blocks": blocks, "groups": groups, "lists": lists}
    return permission(part.text("IpProtocol") or "-1", first, last, **kept, description=part.text("Description"))


def _machines(kinds: Kinds, draft: Draft) -> None:
    for eni in kinds["NetworkInterface"]:
        made = _interface(draft, eni, eni.text("SubnetId"), eni.id)
        draft.put("NetworkInterfaces", eni.id, eni.id, eni.place, Status="available", **made)
    for instance in kinds["Instance"]:
        enis = [_of_instance(draft, instance, part, number) for number, part in enumerate(instance.parts("NetworkInterfaces"))]
        if not enis:
            subnet = instance.text("SubnetId") or draft.default_subnet(instance.text("AvailabilityZone"), instance.place)
            attachment = {"Attachment": {"InstanceId": instance.id, "DeviceIndex": 0}}
            enis = [_interface(draft, instance, subnet, f"eni-{instance.id}") | attachment]
        kind, state = instance.text("InstanceType"), {"Name": "running"}
        draft.put("Instances", instance.id, instance.id, instance.place, InstanceType=kind, State=state, NetworkInterfaces=enis)
    for item in kinds["NetworkInterfaceAttachment"]:
        data, machine = draft.get("NetworkInterfaces", item.text("NetworkInterfaceId")), draft.get("Instances", item.text("InstanceId"))
        if data is None or machine is None:
            lost(draft, item, "its interface or its instance is not in the template")
        else:
            place = {"InstanceId": item.text("InstanceId"), "DeviceIndex": item.number("DeviceIndex") or 1}
            data |= {"Attachment": place, "Status": "in-use"}
            machine["NetworkInterfaces"].append(data)
    _elastic(kinds, draft)


def _of_instance(draft: Draft, instance: Record, part: Record, number: int) -> dict[str, Any]:
    """An interface that an instance lists: one of the template's own, or made with the instance."""
    at = part.number("DeviceIndex") or 0 if "DeviceIndex" in part else number
    attachment = {"InstanceId": instance.id, "DeviceIndex": at}
    data = draft.get("NetworkInterfaces", part.text("NetworkInterfaceId")) if "NetworkInterfaceId" in part else None
    if data is not None:
        data |= {"Attachment": attachment, "Status": "in-use"}
        return data
    subnet = part.text("SubnetId") or instance.text("SubnetId") or draft.default_subnet(instance.text("AvailabilityZone"), instance.place)
    made = _interface(draft, part, subnet, f"eni-{instance.id}" if at == 0 else f"eni-{instance.id}-{at}")
    return made | {"Attachment": attachment, "SourceDestCheck": instance.flag("SourceDestCheck", True)}


def _interface(draft: Draft, record: Record, subnet: str, name: str) -> dict[str, Any]:
    place = draft.get("Subnets", subnet) or {}
    given = record.parts("PrivateIpAddresses")
    listed = [{"PrivateIpAddress": part.text("PrivateIpAddress"), "Primary": part.flag("Primary")} for part in given]
    if "PrivateIpAddress" in record:
        listed.insert(0, {"PrivateIpAddress": record.text("PrivateIpAddress"), "Primary": True})
    groups = record.texts("GroupSet") or record.texts("SecurityGroupIds") or record.texts("SecurityGroups")
    for group in groups:
        if group.startswith("default "):
            _default_group(draft, group, record.place)
    wants = record.flag("AssociatePublicIpAddress", bool(place.get("MapPublicIpOnLaunch"))) and record.kind != "AWS::EC2::NetworkInterface"
    sixes = [{"Ipv6Address": part.text("Ipv6Address")} for part in record.parts("Ipv6Addresses")]
    return {
        "NetworkInterfaceId": name,
        "SubnetId": subnet,
        "PrivateIpAddresses": listed,
        "MoreAddresses": record.number("SecondaryPrivateIpAddressCount") or 0,
        "Ipv6Addresses": sixes,
        "WantsIpv6": record.number("Ipv6AddressCount") or (0 if sixes else int(bool(place.get("AssignIpv6AddressOnCreation")))),
        "WantsPublic": wants,
        "Groups": [{"GroupId": group} for group in dict.fromkeys(groups)],
        "SourceDestCheck": record.flag("SourceDestCheck", True),
    }


def _elastic(kinds: Kinds, draft: Draft) -> None:
    machines = {record.id: record.data["NetworkInterfaces"] for record in draft.all("Instances")}
    for item in (*kinds["EIP"], *kinds["EIPAssociation"]):
        found = machines.get(item.text("InstanceId"), [])
        eni = draft.get("NetworkInterfaces", item.text("NetworkInterfaceId")) or (found[0] if found else None)
        if eni is not None:
            eni["WantsPublic"] = True


def _tables(kinds: Kinds, draft: Draft) -> None:
    for table in kinds["RouteTable"]:
        draft.put("RouteTables", table.id, table.id, table.place, VpcId=table.text("VpcId"), Associations=[], Routes=[])
    for vpc in kinds["VPC"]:
        draft.put("RouteTables", f"rtb-main-{vpc.id}", "", vpc.place, VpcId=vpc.id, Associations=[{"Main": True}], Routes=[])
    for route in kinds["Route"]:
        data = draft.get("RouteTables", route.text("RouteTableId"))
        if data is None:
            lost(draft, route, f"its table {route.text('RouteTableId') or '(unknown)'} is not in the template")
            continue
        keys = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId", *TARGETS)
        data["Routes"].append({key: route.text(key) for key in keys if key in route})
    for kind, key in (("SubnetRouteTableAssociation", "SubnetId"), ("GatewayRouteTableAssociation", "GatewayId")):
        for item in kinds[kind]:
            data = draft.get("RouteTables", item.text("RouteTableId"))
            if data is None:
                lost(draft, item, f"its table {item.text('RouteTableId') or '(unknown)'} is not in the template")
            else:
                data["Associations"].append({key: item.text(key)})


def _acls(kinds: Kinds, draft: Draft) -> None:
    for acl in kinds["NetworkAcl"]:
        draft.put("NetworkAcls", acl.id, acl.id, acl.place, VpcId=acl.text("VpcId"), Entries=[], Associations=[])
    for entry in kinds["NetworkAclEntry"]:
        data = draft.get("NetworkAcls", entry.text("NetworkAclId"))
        if data is None:
            lost(draft, entry, "its network ACL is not in the template")
            continue
        data["Entries"].append(
            {
                "RuleNumber": entry.number("RuleNumber"),
                "Protocol": entry.text("Protocol") or "-1",
                "RuleAction": entry.text("RuleAction").casefold(),
                "Egress": entry.flag("Egress"),
                "CidrBlock": entry.text("CidrBlock"),
                "Ipv6CidrBlock": entry.text("Ipv6CidrBlock"),
                "PortRange": entry.part("PortRange").data,
                "IcmpTypeCode": entry.part("Icmp").data,
            }
        )
    for item in kinds["SubnetNetworkAclAssociation"]:
        data = draft.get("NetworkAcls", item.text("NetworkAclId"))
        if data is not None:
            data["Associations"].append({"SubnetId": item.text("SubnetId")})
