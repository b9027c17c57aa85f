"""Templates: functions as far as the template decides them, resources as EC2 would make them."""

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import TopologyError
from emulator.importers.intrinsics import Evaluator
from emulator.importers.network import read_network
from emulator.importers.template_values import Unknown
from emulator.model.entities import NetworkInterface, Subnet
from emulator.network import Network

pytest.importorskip("cfnlint", reason="templates are read with cfn-lint")

TEMPLATE = """\
Parameters:
  Block: {Type: String, Default: 10.0.0.0/16}
  Zones: {Type: CommaDelimitedList, Default: "a, b"}
  Stage: {Type: String}
  Big: {Type: String, Default: "false"}
Mappings:
  Ports: {web: {port: 443}}
Conditions:
  IsBig: !Equals [!Ref Big, "true"]
Resources:
  Net:
    Type: AWS::EC2::VPC
    Properties: {CidrBlock: !Ref Block}
  Gate: {Type: AWS::EC2::InternetGateway}
  Join:
    Type: AWS::EC2::VPCGatewayAttachment
    Properties: {VpcId: !Ref Net, InternetGatewayId: !Ref Gate}
  Public:
    Type: AWS::EC2::Subnet
    Properties:
      VpcId: !Ref Net
      CidrBlock: !Select [0, !Cidr [!GetAtt Net.CidrBlock, 4, 8]]
      AvailabilityZone: !Select [0, !GetAZs '']
      MapPublicIpOnLaunch: "true"
  Private:
    Type: AWS::EC2::Subnet
    Properties:
      VpcId: !Ref Net
      CidrBlock: !Select [1, !Cidr [!GetAtt Net.CidrBlock, 4, 8]]
  Table:
    Type: AWS::EC2::RouteTable
    Properties: {VpcId: !Ref Net}
  Out:
    Type: AWS::EC2::Route
    DependsOn: Join
    Properties: {RouteTableId: !Ref Table, DestinationCidrBlock: 0.0.0.0/0, GatewayId: !Ref Gate}
  PublicTable:
    Type: AWS::EC2::SubnetRouteTableAssociation
    Properties: {SubnetId: !Ref Public, RouteTableId: !Ref Table}
  Web:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: !Sub web of ${AWS::StackName}
      VpcId: !Ref Net
      SecurityGroupIngress:
        - {IpProtocol: tcp, FromPort: !FindInMap [Ports, web, port], ToPort: "443", CidrIp: 0.0.0.0/0}
        - !If [IsBig, {IpProtocol: tcp, FromPort: 80, ToPort: 80, CidrIp: 0.0.0.0/0}, !Ref AWS::NoValue]
  Db:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: db
      VpcId: !Ref Net
      SecurityGroupEgress: [{IpProtocol: "-1", CidrIp: 127.0.0.1/32}]
  DbFromWeb:
    Type: AWS::EC2::SecurityGroupIngress
    Properties: {GroupId: !GetAtt Db.GroupId, IpProtocol: tcp, FromPort: 5432, ToPort: 5432, SourceSecurityGroupId: !GetAtt Web.GroupId}
  Front:
    Type: AWS::EC2::Instance
    Properties: {ImageId: ami-1, SubnetId: !Ref Public, SecurityGroupIds: [!Ref Web]}
  Back:
    Type: AWS::EC2::Instance
    Properties:
      ImageId: ami-1
      NetworkInterfaces: [{DeviceIndex: "0", SubnetId: !Ref Private, GroupSet: [!Ref Db], PrivateIpAddress: 10.0.1.20}]
  Spare:
    Type: AWS::EC2::Instance
    Condition: IsBig
    Properties: {ImageId: ami-1, SubnetId: !Ref Private}
"""


def write(folder: Path, text: str = TEMPLATE, name: str = "net.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("source", "destination", "service", "reachable"),
    [
        pytest.param("internet", "Front", "tcp/443", True, id="a port from a mapping, strings for numbers"),
        pytest.param("internet", "Front", "tcp/80", False, id="a rule under a condition that does not hold"),
        pytest.param("Front", "Back", "tcp/5432", True, id="a separate rule between groups"),
        pytest.param("Front", "internet", "tcp/443", True, id="a group without egress keeps EC2's own"),
        pytest.param("Back", "Front", "tcp/443", False, id="a group with egress has that alone"),
    ],
)
def test_questions(tmp_path: Path, source: str, destination: str, service: str, reachable: bool) -> None:
    """A template answers for the stack that it will make."""
    assert Network(write(tmp_path)).explain(source, destination, service).reachable is reachable


def test_parameters_decide(tmp_path: Path) -> None:
    """--parameter takes the place of the default: another block, another condition."""
    topology = read_network(write(tmp_path), {"Block": "172.16.0.0/20", "Big": "true"}).topology
    assert [str(subnet.blocks[0]) for subnet in topology.all(Subnet)] == ["172.16.0.0/24", "172.16.1.0/24"]
    assert topology.find("Spare").name == "Spare"
    assert Network(topology).explain("internet", "Front", "tcp/80").reachable


def test_an_unknown_parameter_is_an_error(tmp_path: Path) -> None:
    """A parameter that the template does not have is refused with those that it has."""
    with pytest.raises(TopologyError, match="no parameter Blok; it has Big, Block, Stage, Zones"):
        read_network(write(tmp_path), {"Blok": "10.0.0.0/16"})


def test_json_is_the_same(tmp_path: Path) -> None:
    """The same template in JSON, with the long forms, is the same network."""
    from cfnlint.decode import decode_str

    document, _ = decode_str(TEMPLATE)
    (tmp_path / "other").mkdir()
    one = read_network(write(tmp_path)).topology
    other = read_network(write(tmp_path / "other", json.dumps(document), "net.json")).topology
    assert list(one.entities) == list(other.entities)


def test_what_the_stack_decides_is_said(tmp_path: Path) -> None:
    """A block that another stack exports leaves its rule out, with its line and the reason."""
    text = TEMPLATE.replace('ToPort: "443", CidrIp: 0.0.0.0/0', 'ToPort: "443", CidrIp: !ImportValue office')
    notes = [str(note) for note in read_network(write(tmp_path, text)).report]
    assert any(note.startswith("net.yaml:40: unknown: AWS::EC2::SecurityGroup Web: SecurityGroupIngress[0].CidrIp") for note in notes)


def test_loops_are_unrolled(tmp_path: Path) -> None:
    """Fn::ForEach of AWS::LanguageExtensions makes its resources one by one."""
    loop = """\
  Fn::ForEach::Subnets:
    - Zone
    - !Ref Zones
    - Subnet${Zone}:
        Type: AWS::EC2::Subnet
        Properties: {VpcId: !Ref Net, AvailabilityZone: !Ref Zone, CidrBlock: !FindInMap [Blocks, !Ref Zone, block]}
"""
    blocks = "  Blocks: {a: {block: 10.0.8.0/24}, b: {block: 10.0.9.0/24}}\n"
    text = "Transform: AWS::LanguageExtensions\n" + TEMPLATE.replace("Conditions:", blocks + "Conditions:", 1) + loop
    names = [subnet.name for subnet in read_network(write(tmp_path, text)).topology.all(Subnet)]
    assert names[2:] == ["Subneta", "Subnetb"]


def test_things_without_a_vpc_stand_in_the_default_one(tmp_path: Path) -> None:
    """An instance that names no subnet stands in the account's default VPC, with a public address (RT-29); that is said."""
    text = "Resources:\n  One: {Type: AWS::EC2::Instance, Properties: {ImageId: ami-1}}\n"
    imported = read_network(write(tmp_path, text))
    assert any("default one" in note.text for note in imported.report)
    eni = next(imported.topology.all(NetworkInterface))
    assert eni.public_ips
    assert Network(imported.topology).explain("One", "internet", "tcp/443").reachable


FUNCTIONS: list[tuple[str, Any, Any]] = [
    ("a text stays", "x", "x"),
    ("Ref to a parameter", {"Ref": "P"}, "p"),
    ("Ref to a resource is its logical id", {"Ref": "R"}, "R"),
    ("Ref to a pseudo-parameter", {"Ref": "AWS::Region"}, "us-east-1"),
    ("a list parameter", {"Ref": "L"}, ["1", "2", "3"]),
    ("Sub with both kinds of hole", {"Fn::Sub": "${P}-${R.GroupId}-${!literal}"}, "p-R-${literal}"),
    ("Sub with its own names", {"Fn::Sub": ["${A}${P}", {"A": {"Fn::Join": ["", ["x", "y"]]}}]}, "xyp"),
    ("Join", {"Fn::Join": [",", {"Ref": "L"}]}, "1,2,3"),
    ("Split and Select", {"Fn::Select": ["1", {"Fn::Split": ["/", "a/b/c"]}]}, "b"),
    ("FindInMap", {"Fn::FindInMap": ["M", "k", "v"]}, "found"),
    ("FindInMap with a default", {"Fn::FindInMap": ["M", "k", "w", {"DefaultValue": "else"}]}, "else"),
    ("If", {"Fn::If": ["C", 1, 2]}, 1),
    ("nothing takes its key away", {"a": {"Ref": "AWS::NoValue"}, "b": 1}, {"b": 1}),
    ("GetAZs", {"Fn::GetAZs": ""}, ["us-east-1a", "us-east-1b", "us-east-1c"]),
    ("Cidr", {"Fn::Cidr": ["10.0.0.0/24", 3, 5]}, ["10.0.0.0/27", "10.0.0.32/27", "10.0.0.64/27"]),
    ("Cidr of IPv6", {"Fn::Cidr": ["2001:db8::/56", 2, 64]}, ["2001:db8::/64", "2001:db8:0:1::/64"]),
    ("Length", {"Fn::Length": {"Ref": "L"}}, 3),
    ("an attribute that is a property", {"Fn::GetAtt": ["R", "CidrBlock"]}, "10.0.0.0/16"),
]


@pytest.mark.parametrize(("node", "value"), [row[1:] for row in FUNCTIONS], ids=[row[0] for row in FUNCTIONS])
def test_functions(node: Any, value: Any) -> None:
    """Each function comes to what CloudFormation makes of it."""
    assert evaluator().value(node) == value


@pytest.mark.parametrize(
    "node",
    [
        {"Fn::ImportValue": "x"},
        {"Ref": "Q"},
        {"Fn::Sub": "${Q}"},
        {"Fn::Join": ["", ["a", {"Ref": "Q"}]]},
        {"Fn::GetAtt": ["R", "PublicIp"]},
        {"Fn::If": ["D", 1, 2]},
        {"Fn::Cidr": [{"Ref": "Q"}, 1, 8]},
    ],
    ids=["an import", "a parameter without a value", "in a text", "in a list", "an attribute", "a condition", "a block"],
)
def test_what_is_not_decided_stays_unknown(node: Any) -> None:
    """What the template alone does not decide is handed on as unknown, with its reason."""
    found = evaluator().value(node)
    assert isinstance(found, Unknown)
    assert found.reason


def evaluator() -> Evaluator:
    template = {
        "Parameters": {
            "P": {"Type": "String", "Default": "p"},
            "Q": {"Type": "String"},
            "L": {"Type": "CommaDelimitedList", "Default": "1, 2,3"},
        },
        "Mappings": {"M": {"k": {"v": "found"}}},
        "Conditions": {
            "C": {"Fn::And": [{"Fn::Equals": [{"Ref": "P"}, "p"]}, {"Fn::Not": [{"Fn::Equals": [1, 2]}]}]},
            "D": {"Fn::Equals": [{"Ref": "Q"}, "q"]},
        },
        "Resources": {"R": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}},
    }
    return Evaluator(template, {}, "t.yaml")


def test_loops_of_resources_and_properties(tmp_path: Path) -> None:
    """Fn::ForEach makes resources that others refer to, and properties; its identifier is filled in everywhere."""
    text = """
Transform: AWS::LanguageExtensions
Resources:
  Net: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Fn::ForEach::Tiers:
    - Tier
    - ["1", "2"]
    - Sub${Tier}:
        Type: AWS::EC2::Subnet
        Properties: {VpcId: !Ref Net, CidrBlock: !Sub "10.0.${Tier}.0/24"}
      One${Tier}:
        Type: AWS::EC2::Instance
        Properties:
          Fn::ForEach::Fields: [Field, [SubnetId], {"${Field}": {Ref: "Sub${Tier}"}}]
  Lone: {Type: AWS::EC2::Instance, Properties: {SubnetId: !Ref Sub2}}
"""
    (tmp_path / "loops.yaml").write_text(text)
    topology = read_network(tmp_path / "loops.yaml").topology
    assert {eni.instance: eni.subnet for eni in topology.all(NetworkInterface)} == {"One1": "Sub1", "One2": "Sub2", "Lone": "Sub2"}
    assert [str(subnet.blocks[0]) for subnet in topology.all(Subnet)] == ["10.0.1.0/24", "10.0.2.0/24"]
