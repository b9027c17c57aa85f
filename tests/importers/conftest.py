"""A small account, described as EC2 describes it; every part of it made up here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Described = dict[str, list[dict[str, Any]]]
EVERYONE = [{"CidrIp": "0.0.0.0/0"}]


def tagged(name: str) -> list[dict[str, str]]:
    """The tag that names a resource."""
    return [{"Key": "Name", "Value": name}]


def permission(protocol: str, first: int | None = None, last: int | None = None, **peers: Any) -> dict[str, Any]:
    """An ``IpPermission``."""
    ports = {} if first is None else {"FromPort": first, "ToPort": last}
    empty: dict[str, Any] = {"IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
    return {"IpProtocol": protocol, **ports, **empty, **peers}


def interface(number: int, instance: str, subnet: str, ip: str, groups: list[str], public: str = "") -> dict[str, Any]:
    """A description of a primary interface."""
    association = {"Association": {"PublicIp": public, "IpOwnerId": "amazon"}} if public else {}
    return {
        "NetworkInterfaceId": f"eni-{number}",
        "VpcId": "vpc-1",
        "SubnetId": subnet,
        "InterfaceType": "interface",
        "Status": "in-use",
        "PrivateIpAddress": ip,
        "PrivateIpAddresses": [{"PrivateIpAddress": ip, "Primary": True, **association}],
        "Ipv6Addresses": [],
        "Groups": [{"GroupId": group, "GroupName": group} for group in groups],
        "SourceDestCheck": True,
        "Attachment": {"InstanceId": instance, "DeviceIndex": 0, "Status": "attached"},
        "OwnerId": "111122223333",
        "TagSet": [],
    }


def account() -> Described:
    """A web server that the world may open, and a database that only the web server's group may open."""
    enis = [
        interface(1, "i-1", "subnet-1", "10.0.1.10", ["sg-web"], "203.0.113.10"),
        interface(2, "i-2", "subnet-2", "10.0.2.20", ["sg-db"]),
    ]
    web = {
        "GroupId": "sg-web",
        "GroupName": "web",
        "Description": "Web servers",
        "VpcId": "vpc-1",
        "OwnerId": "111122223333",
        "IpPermissions": [permission("tcp", 443, 443, IpRanges=EVERYONE), permission("icmp", 8, -1, IpRanges=[{"CidrIp": "10.0.0.9/8"}])],
        "IpPermissionsEgress": [permission("-1", IpRanges=EVERYONE)],
    }
    db = {
        "GroupId": "sg-db",
        "GroupName": "db",
        "Description": "Databases",
        "VpcId": "vpc-1",
        "OwnerId": "111122223333",
        "IpPermissions": [permission("tcp", 5432, 5432, UserIdGroupPairs=[{"GroupId": "sg-web", "UserId": "111122223333"}])],
        "IpPermissionsEgress": [],
    }
    acl = {
        "NetworkAclId": "acl-1",
        "VpcId": "vpc-1",
        "IsDefault": True,
        "Associations": [{"SubnetId": "subnet-1"}, {"SubnetId": "subnet-2"}],
        "Entries": [
            {"RuleNumber": number, "Protocol": "-1", "RuleAction": action, "Egress": egress, "CidrBlock": "0.0.0.0/0"}
            for egress in (True, False)
            for number, action in ((100, "allow"), (32767, "deny"))
        ],
    }
    public = {
        "RouteTableId": "rtb-1",
        "VpcId": "vpc-1",
        "Associations": [{"SubnetId": "subnet-1", "Main": False}],
        "Routes": [
            {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active", "Origin": "CreateRouteTable"},
            {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active", "Origin": "CreateRoute"},
        ],
    }
    main = {
        "RouteTableId": "rtb-0",
        "VpcId": "vpc-1",
        "Associations": [{"Main": True}],
        "Routes": [{"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}],
    }
    machines = [
        {
            "InstanceId": f"i-{number}",
            "InstanceType": "m5.large",
            "State": {"Code": 16, "Name": "running"},
            "VpcId": "vpc-1",
            "SubnetId": f"subnet-{number}",
            "PrivateIpAddress": enis[number - 1]["PrivateIpAddress"],
            "NetworkInterfaces": [enis[number - 1]],
            "Tags": tagged(name),
        }
        for number, name in ((1, "web-1"), (2, "db-1"))
    ]
    block = {"CidrBlock": "10.0.0.0/16", "CidrBlockState": {"State": "associated"}}
    return {
        "Vpcs": [
            {
                "VpcId": "vpc-1",
                "CidrBlock": "10.0.0.0/16",
                "CidrBlockAssociationSet": [block],
                "IsDefault": False,
                "OwnerId": "111122223333",
                "Tags": tagged("shop"),
            }
        ],
        "Subnets": [
            {
                "SubnetId": f"subnet-{number}",
                "VpcId": "vpc-1",
                "CidrBlock": f"10.0.{number}.0/24",
                "AvailabilityZone": "eu-west-1a",
                "AvailabilityZoneId": "euw1-az2",
                "MapPublicIpOnLaunch": number == 1,
                "OwnerId": "111122223333",
                "Tags": tagged(name),
            }
            for number, name in ((1, "public"), (2, "private"))
        ],
        "Reservations": [{"ReservationId": "r-1", "OwnerId": "111122223333", "Groups": [], "Instances": machines}],
        "NetworkInterfaces": enis,
        "SecurityGroups": [web, db],
        "NetworkAcls": [acl],
        "RouteTables": [main, public],
        "InternetGateways": [{"InternetGatewayId": "igw-1", "Attachments": [{"VpcId": "vpc-1", "State": "available"}], "Tags": []}],
    }


@pytest.fixture
def described() -> Described:
    """A fresh description, to be bent."""
    described: Described = json.loads(json.dumps(account()))
    return described


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a description as one file a call, and gives the folder."""

    def writing(described: Described, folder: str = "aws") -> Path:
        place = tmp_path / folder
        place.mkdir(parents=True, exist_ok=True)
        for key, value in described.items():
            (place / f"{key}.json").write_text(json.dumps({key: value}))
        return place

    return writing
