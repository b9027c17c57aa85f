"""References to nothing: a mistake in the file is one line, what has an innocent reason is taken as far as it goes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import TopologyError
from emulator.importers.network import read_network
from emulator.model.entities import Instance
from tests.importers.conftest import interface, tagged

Write = Callable[..., Path]


def lost(described: Any, how: str) -> None:
    """A reference to what the data does not have."""
    eni, machine = described["NetworkInterfaces"][1], described["Reservations"][0]["Instances"][1]
    match how:
        case "subnet of an interface":
            eni["SubnetId"] = "subnet-9"
        case "subnet of an instance":
            del described["NetworkInterfaces"]
            machine["NetworkInterfaces"][0]["SubnetId"] = "subnet-9"
        case "group":
            eni["Groups"].append({"GroupId": "sg-9"})
        case "VPC of a subnet":
            described["Subnets"][1]["VpcId"] = "vpc-9"
        case "VPC of a group":
            described["SecurityGroups"][1]["VpcId"] = "vpc-9"
        case "VPC of a gateway":
            described["InternetGateways"][0]["Attachments"][0]["VpcId"] = "vpc-9"
        case "group of a rule":
            described["SecurityGroupRules"] = [{"SecurityGroupRuleId": "sgr-1", "GroupId": "sg-9", "IpProtocol": "-1"}]
        case "subnet of a NAT gateway":
            described["NatGateways"] = [
                {"NatGatewayId": "nat-1", "SubnetId": "subnet-9", "NatGatewayAddresses": [{"PrivateIp": "10.0.1.5"}]}
            ]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("subnet of an interface", "NetworkInterfaces.json: NetworkInterface eni-2: its subnet subnet-9 is not among the Subnets"),
        ("subnet of an instance", "Reservations.json: NetworkInterface eni-2: its subnet subnet-9 is not among the Subnets"),
        ("group", "NetworkInterfaces.json: NetworkInterface eni-2: its security group sg-9 is not among the SecurityGroups"),
        ("VPC of a subnet", "Subnets.json: Subnet subnet-2: its VPC vpc-9 is not among the Vpcs"),
        ("VPC of a group", "SecurityGroups.json: SecurityGroup sg-db: its VPC vpc-9 is not among the Vpcs"),
        ("VPC of a gateway", "InternetGateways.json: InternetGateway igw-1: its VPC vpc-9 is not among the Vpcs"),
        ("group of a rule", "SecurityGroupRules.json: SecurityGroupRule sgr-1: its security group sg-9 is not among the SecurityGroups"),
        ("subnet of a NAT gateway", "NatGateways.json: NatGateway nat-1: its subnet subnet-9 is not among the Subnets"),
    ],
)
def test_a_reference_to_nothing_is_one_line(described: Any, write: Write, how: str, told: str) -> None:
    """What nothing in the data explains is refused: the file, who names what, the way out."""
    lost(described, how)
    with pytest.raises(TopologyError) as trouble:
        read_network(write(described))
    assert str(trouble.value).startswith(told)
    assert str(trouble.value).endswith("correct the id, or add what it names")
    assert "\n" not in str(trouble.value)


def innocent(described: Any, how: str) -> None:
    """A reference to what the data does not have, for a reason that real exports have."""
    machines, eni = described["Reservations"][0]["Instances"], described["NetworkInterfaces"][1]
    match how:
        case "a filtered list of subnets":
            described["Subnets"].pop()  # the ACL still has it
        case "no list of subnets of this Region":
            described["Subnets"] = []
        case "a list of one VPC":
            far = interface(9, "i-9", "subnet-9", "10.9.0.9", ["sg-9"]) | {"VpcId": "vpc-9"}
            machines.append(
                {"InstanceId": "i-9", "State": {"Name": "running"}, "VpcId": "vpc-9", "NetworkInterfaces": [far], "Tags": tagged("far")}
            )
            described["Subnets"].append({"SubnetId": "subnet-9", "VpcId": "vpc-9", "CidrBlock": "10.9.0.0/24"})
            described["SecurityGroups"].append({"GroupId": "sg-9", "GroupName": "default", "VpcId": "vpc-9"})
            described["RouteTables"].append({"RouteTableId": "rtb-9", "VpcId": "vpc-9", "Associations": [{"Main": True}], "Routes": []})
            described["NetworkAcls"].append({"NetworkAclId": "acl-9", "VpcId": "vpc-9", "IsDefault": True, "Entries": []})
        case "a participant's interface in a shared subnet":
            far = interface(9, "", "subnet-9", "10.0.9.9", ["sg-9"]) | {
                "OwnerId": "999988887777",
                "Attachment": {"InstanceOwnerId": "999988887777"},
            }
            described["NetworkInterfaces"].append(far)
        case "an interface that AWS manages":
            described["NetworkInterfaces"].append(
                interface(9, "", "subnet-9", "10.0.9.9", ["sg-9"])
                | {"RequesterManaged": True, "Attachment": {"InstanceOwnerId": "amazon-elb"}}
            )
        case "a terminated instance":
            machines[1] |= {"State": {"Name": "terminated"}, "SubnetId": "subnet-9"}
            machines[1]["NetworkInterfaces"] = [eni | {"SubnetId": "subnet-9"}]
            described["NetworkInterfaces"].pop()
        case "a group of no VPC":
            described["SecurityGroups"].append({"GroupId": "sg-9", "GroupName": "classic"})


@pytest.mark.parametrize(
    "how",
    [
        "a filtered list of subnets",
        "no list of subnets of this Region",
        "a list of one VPC",
        "a participant's interface in a shared subnet",
        "an interface that AWS manages",
        "a terminated instance",
        "a group of no VPC",
    ],
)
def test_what_has_an_innocent_reason_is_said(described: Any, write: Write, how: str) -> None:
    """Filtered lists, other accounts, things of AWS's own and things that are gone never refuse the rest."""
    innocent(described, how)
    imported = read_network(write(described))
    assert len(imported.report)
    assert how.startswith("no list") or imported.topology.find("web-1")
    assert not [instance for instance in imported.topology.all(Instance) if instance.name == "far"]


def test_another_region_is_another_list(described: Any, tmp_path: Path) -> None:
    """A Region of which only the instances are there is partial, whatever the others have."""
    for region, kinds in (("eu-west-1", list(described)), ("us-east-1", ["Reservations"])):
        folder = tmp_path / "aws" / region
        folder.mkdir(parents=True)
        for kind in kinds:
            text = json.dumps({kind: described[kind]})
            if region == "us-east-1":
                for name in ("i-", "eni-", "subnet-", "vpc-"):
                    text = text.replace(f'"{name}', f'"{name}us-')
            (folder / f"{kind}.json").write_text(text)
    imported = read_network(tmp_path / "aws")
    assert {instance.id for instance in imported.topology.all(Instance)} == {"i-1", "i-2"}
    assert any("subnet-us-1" in note.text for note in imported.report)


def test_a_plan_may_name_what_is_there_already(tmp_path: Path) -> None:
    """An instance of a plan in a subnet that the plan does not make is left out with a note: the account may have it."""
    values = {"aws_vpc": {"cidr_block": "10.0.0.0/16"}, "aws_instance": {"subnet_id": "subnet-0abc"}}
    resources = [{"address": f"{kind}.a", "mode": "managed", "type": kind, "name": "a", "values": value} for kind, value in values.items()]
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"format_version": "1.2", "planned_values": {"root_module": {"resources": resources}}}))
    imported = read_network(plan)
    assert any("subnet-0abc is not in the data" in note.text for note in imported.report)


def test_a_plan_that_refers_to_nothing_is_refused(tmp_path: Path) -> None:
    """A reference to a resource that the plan's own configuration does not have is one line; one of count 0 is not."""
    resource = {"address": "aws_subnet.a", "mode": "managed", "type": "aws_subnet", "name": "a", "values": {"cidr_block": "10.0.1.0/24"}}
    for owner in ("gone", "none"):
        described = {"expressions": {"vpc_id": {"references": [f"aws_vpc.{owner}.id", f"aws_vpc.{owner}"]}}}
        configuration = [
            {"mode": "managed", "type": "aws_subnet", "name": "a"} | described,
            {"mode": "managed", "type": "aws_vpc", "name": "none"},
        ]
        plan = tmp_path / "plan.json"
        there = {"address": "aws_vpc.b", "mode": "managed", "type": "aws_vpc", "name": "b", "values": {"cidr_block": "10.0.0.0/16"}}
        values = {"root_module": {"resources": [resource, there]}}
        plan.write_text(json.dumps({"planned_values": values, "configuration": {"root_module": {"resources": configuration}}}))
        if owner == "none":
            assert "left out: aws_subnet aws_subnet.a: its VPC is not in the plan" in "\n".join(read_network(plan).report.lines())
            continue
        with pytest.raises(
            TopologyError, match=r"plan.json: aws_subnet.a refers to aws_vpc.gone, which its configuration does not have"
        ) as told:
            read_network(plan)
        assert "\n" not in str(told.value)
