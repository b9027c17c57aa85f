"""Terraform's instances, interfaces and elastic addresses."""

from typing import Any

from emulator.importers.draft import Draft
from emulator.importers.terraform_source import Resource, Source, block_expressions


def draft_machines(source: Source, draft: Draft) -> None:
    """Interfaces first, then the instances that use them, then the elastic addresses of both."""
    for eni in source.all("aws_network_interface"):
        _interface(source, draft, eni)
    for instance in source.all("aws_instance", "aws_spot_instance_request"):
        if not instance.data:
            _instance(source, draft, instance)
    for item in source.all("aws_network_interface_attachment"):
        data = draft.get("NetworkInterfaces", source.one(item, "network_interface_id"))
        if data is not None:
            data["Attachment"] = {"InstanceId": source.one(item, "instance_id"), "DeviceIndex": item.record.number("DeviceIndex") or 1}
    for item in source.all("aws_network_interface_sg_attachment"):
        data = draft.get("NetworkInterfaces", source.one(item, "network_interface_id"))
        if data is not None:
            data["Groups"].append({"GroupId": source.one(item, "security_group_id")})
    for record in draft.all("NetworkInterfaces"):
        attached = record.data.get("Attachment", {}).get("InstanceId")
        machine = draft.get("Instances", attached) if attached else None
        if machine is not None and not any(other["NetworkInterfaceId"] == record.id for other in machine["NetworkInterfaces"]):
            machine["NetworkInterfaces"].append(record.data)
        elif not attached:
            record.data["Status"] = "available"
    _elastic(source, draft)


def _interface(source: Source, draft: Draft, eni: Resource) -> None:
    record = eni.record
    privates = record.texts("PrivateIps") or record.texts("PrivateIpList") or ([record.text("PrivateIp")] if "PrivateIp" in record else [])
    if record.text("PrivateIp") in privates:
        privates.sort(key=lambda ip: ip != record.text("PrivateIp"))
    attachment: dict[str, Any] = {}
    for number, part in enumerate(record.parts("Attachment")):
        expressions = block_expressions(eni, "attachment", part, number, 1)
        instance = source.one(eni, "instance", part, expressions.get("instance", {}))
        attachment = {"InstanceId": instance, "DeviceIndex": part.number("DeviceIndex") or 0} if instance else {}
    draft.put(
        "NetworkInterfaces",
        eni.id,
        eni.address,
        source.path.name,
        SubnetId=source.one(eni, "subnet_id"),
        PrivateIpAddresses=[{"PrivateIpAddress": ip, "Primary": place == 0} for place, ip in enumerate(privates)],
        Ipv6Addresses=[{"Ipv6Address": ip} for ip in record.texts("Ipv6Addresses")],
        MoreAddresses=record.number("PrivateIpsCount") if not privates else 0,
        Groups=[{"GroupId": group} for group in source.many(eni, "security_groups")],
        SourceDestCheck=record.flag("SourceDestCheck", True),
        Attachment=attachment,
        Status="in-use",
    )


def _instance(source: Source, draft: Draft, instance: Resource) -> None:
    record, place = instance.record, source.path.name
    named = record.parts("NetworkInterface")
    enis: list[dict[str, Any]] = []
    for number, part in enumerate(named):
        expressions = block_expressions(instance, "network_interface", part, number, len(named))
        eni_id = source.one(instance, "network_interface_id", part, expressions.get("network_interface_id", {}))
        data = draft.get("NetworkInterfaces", eni_id)
        if data is None:
            source.report.left_out(instance.type, instance.address, f"its interface {eni_id or '(unknown)'} is not in the plan", place)
        else:
            data["Attachment"] = {"InstanceId": instance.id, "DeviceIndex": part.number("DeviceIndex") or number}
            enis.append(data)
    if not named:
        enis.append(_own_interface(source, draft, instance))
    draft.put(
        "Instances",
        instance.id,
        instance.address,
        place,
        InstanceType=record.text("InstanceType"),
        State={"Name": "stopped" if record.text("InstanceState") == "stopped" else "running"},
        NetworkInterfaces=enis,
    )


def _own_interface(source: Source, draft: Draft, instance: Resource) -> dict[str, Any]:
    """The interface that EC2 makes for an instance."""
    record = instance.record
    subnet = source.one(instance, "subnet_id")
    if not subnet and not instance.expressions.get("subnet_id"):
        subnet = draft.default_subnet(record.text("AvailabilityZone"), source.path.name)
    groups = source.many(instance, "vpc_security_group_ids")
    if not groups and "LaunchTemplate" in record:
        text = "groups and interfaces that its launch template names are not taken over"
        source.report.not_modelled(instance.type, instance.address, text, source.path.name)
    by_name = {other.data.get("GroupName"): other.id for other in draft.all("SecurityGroups")}
    groups += [by_name.get(name, name) for name in source.many(instance, "security_groups")]
    private, public = record.text("PrivateIp"), record.text("PublicIp")
    first: dict[str, Any] = {"PrivateIpAddress": private, "Primary": True} if private else {}
    if public and first:
        first["Association"] = {"PublicIp": public}
    more = [{"PrivateIpAddress": ip} for ip in record.texts("SecondaryPrivateIps")]
    place = draft.get("Subnets", subnet) or {}
    gives = record.data.get("AssociatePublicIpAddress")
    wants = bool(place.get("MapPublicIpOnLaunch")) if gives is None else record.flag("AssociatePublicIpAddress")
    return {
        "NetworkInterfaceId": record.text("PrimaryNetworkInterfaceId") or f"eni-{instance.id}",
        "SubnetId": subnet,
        "PrivateIpAddresses": [*([first] if first else []), *more],
        "Ipv6Addresses": [{"Ipv6Address": ip} for ip in record.texts("Ipv6Addresses")],
        "WantsIpv6": 0
        if "Ipv6Addresses" in record
        else record.number("Ipv6AddressCount") or int(bool(place.get("AssignIpv6AddressOnCreation"))),
        "WantsPublic": wants and not public,
        "Groups": [{"GroupId": group} for group in dict.fromkeys(groups)],
        "SourceDestCheck": record.flag("SourceDestCheck", True),
        "Attachment": {"InstanceId": instance.id, "DeviceIndex": 0},
    }


def _elastic(source: Source, draft: Draft) -> None:
    """An elastic address is the public address of what it is associated with, known or not."""
    machines = {record.id: record.data["NetworkInterfaces"] for record in draft.all("Instances")}
    enis = {record.id: record.data for record in draft.all("NetworkInterfaces")}
    enis |= {str(eni["NetworkInterfaceId"]): eni for found in machines.values() for eni in found}
    associations = [(eip, eip, source.one(eip, "instance"), source.one(eip, "network_interface")) for eip in source.all("aws_eip")]
    by_id = {key: eip for eip in source.all("aws_eip") for key in (eip.id, eip.record.text("AllocationId")) if key}
    for item in source.all("aws_eip_association"):
        owner = by_id.get(source.one(item, "allocation_id"))
        associations.append((owner or item, item, source.one(item, "instance_id"), source.one(item, "network_interface_id")))
    for eip, item, instance, eni_id in associations:
        eni = enis.get(eni_id) or next(iter(machines.get(instance, [])), None)
        if eni is None:
            continue
        public = eip.record.text("PublicIp") or item.record.text("PublicIp")
        listed = eni["PrivateIpAddresses"]
        wanted = item.record.text("AssociateWithPrivateIp") or item.record.text("PrivateIpAddress")
        entry = next((part for part in listed if part["PrivateIpAddress"] == wanted), listed[0] if listed else None)
        if entry is not None and public:
            entry["Association"] = {"PublicIp": public}
        else:
            eni["WantsPublic"] = True
