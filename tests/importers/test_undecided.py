"""What plans and templates leave open: it is found by what is known, or said, and never becomes more open than it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import TopologyError
from emulator.importers.network import Imported, read_network
from emulator.model.entities import Instance, NetworkInterface, RouteTable, Subnet, Vpc
from emulator.model.groups import NetworkAcl, SecurityGroup
from tests.importers.test_terraform import configured, plan, refers, resource

Json = dict[str, Any]


def read(folder: Path, document: Json | str, parameters: dict[str, str] | None = None) -> Imported:
    """A plan, or a template's text, as a network."""
    path = folder / ("template.yaml" if isinstance(document, str) else "plan.json")
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_network(path, parameters)


def lines(imported: Imported) -> str:
    return "\n".join(imported.report.lines(most=None))


def module_plan() -> Json:
    """A VPC made by a module that names its own VPC by a local value, and gives lists of subnets as outputs."""
    inside = [
        resource("aws_vpc.this", 0, "module.net", cidr_block="10.0.0.0/16"),
        *(resource("aws_subnet.public", number, "module.net", cidr_block=f"10.0.{number}.0/24") for number in range(2)),
        resource("aws_internet_gateway.this", 0, "module.net"),
        resource("aws_route_table.public", 0, "module.net", route=[]),
        resource("aws_route.out", 0, "module.net", destination_cidr_block="0.0.0.0/0"),
        *(resource("aws_route_table_association.public", number, "module.net") for number in range(2)),
    ]
    local = {"vpc_id": refers("local.vpc_id")}
    described = [
        configured("aws_vpc.this"),
        configured("aws_subnet.public", **local),
        configured("aws_internet_gateway.this", **local),
        configured("aws_route_table.public", **local),
        configured(
            "aws_route.out",
            route_table_id=refers("aws_route_table.public[0].id", "aws_route_table.public[0]", "aws_route_table.public"),
            gateway_id=refers("aws_internet_gateway.this[0].id", "aws_internet_gateway.this[0]", "aws_internet_gateway.this"),
        ),
        configured(
            "aws_route_table_association.public",
            subnet_id=refers("aws_subnet.public", "count.index"),
            route_table_id=refers("aws_route_table.public", "count.index"),
        ),
    ]
    module = {"resources": described, "outputs": {"public_subnets": {"expression": refers("aws_subnet.public")}}}
    second = refers("module.net.public_subnets[1]", "module.net.public_subnets", "module.net")
    return plan(
        [resource("aws_instance.web")],
        [configured("aws_instance.web", subnet_id=second)],
        children=[{"address": "module.net", "resources": inside}],
        calls={"net": {"source": "./net", "module": module}},
    )


def test_a_module_that_names_its_vpc_by_a_local_value(tmp_path: Path) -> None:
    """Locals are in no plan: the module's one VPC is taken, and that is said; an output's item is the one that is named."""
    imported = read(tmp_path, module_plan())
    assert "left out" not in lines(imported)
    assert "assumed: aws_subnet module.net.aws_subnet.public[0]: its VPC is not decided in the plan" in lines(imported)
    (eni,) = imported.topology.all(NetworkInterface)
    assert eni.subnet == "module.net.aws_subnet.public[1]"
    assert len({subnet.route_table for subnet in imported.topology.all(Subnet)}) == 1
    tables = {
        table.id: [(str(route.destination), route.blackhole) for route in table.routes] for table in imported.topology.all(RouteTable)
    }
    assert tables["module.net.aws_route_table.public[0]"] == [("0.0.0.0/0", False)]


def test_of_two_vpcs_the_one_around_the_subnet_is_taken(tmp_path: Path) -> None:
    """Where nothing names a subnet's VPC, its block does, if it lies in one of them alone."""
    resources = [resource(f"aws_vpc.{name}", cidr_block=f"10.{number}.0.0/16") for number, name in enumerate("ab")]
    resources.append(resource("aws_subnet.s", cidr_block="10.1.2.0/24"))
    described = [configured("aws_vpc.a"), configured("aws_vpc.b"), configured("aws_subnet.s", vpc_id=refers("local.vpc"))]
    (subnet,) = read(tmp_path, plan(resources, described)).topology.all(Subnet)
    assert subnet.vpc == "aws_vpc.b"


def test_rules_with_unknown_ports_match_nothing(tmp_path: Path) -> None:
    """A rule of a plan whose ports or protocol come only with apply is said, and is not a rule for every port."""
    everywhere = {"cidr_blocks": ["0.0.0.0/0"]}
    group = {"security_group_id": refers("aws_security_group.g.id", "aws_security_group.g")}
    resources = [
        resource("aws_vpc.v", cidr_block="10.0.0.0/16"),
        resource("aws_security_group.g", name="g", ingress=[{"protocol": "tcp", **everywhere}], egress=[]),
        resource("aws_security_group_rule.r", type="ingress", protocol="tcp", from_port=None, **everywhere),
        resource("aws_vpc_security_group_ingress_rule.r", cidr_ipv4="0.0.0.0/0"),
        resource("aws_network_acl.a", ingress=[{"rule_no": 1, "protocol": "tcp", "action": "allow", "cidr_block": "0.0.0.0/0"}]),
    ]
    here = {"vpc_id": refers("aws_vpc.v.id", "aws_vpc.v")}
    described = [
        configured("aws_security_group.g", **here),
        configured("aws_vpc.v"),
        configured("aws_network_acl.a", **here),
        configured("aws_security_group_rule.r", **group),
        configured("aws_vpc_security_group_ingress_rule.r", **group),
    ]
    imported = read(tmp_path, plan(resources, described))
    assert imported.topology.get("aws_security_group.g", SecurityGroup).ingress == ()
    assert imported.topology.get("aws_network_acl.a", NetworkAcl).ingress == ()
    assert {note.kind for note in imported.report if note.fate.value == "unknown"} == {
        "aws_security_group",
        "aws_security_group_rule",
        "aws_vpc_security_group_ingress_rule",
        "aws_network_acl",
    }


def test_the_default_vpc_of_a_plan_is_the_default_one(tmp_path: Path) -> None:
    """What names no VPC stands in the plan's aws_default_vpc, and what names no subnet in its subnet; their table is its own."""
    resources = [
        resource("aws_default_vpc.d", cidr_block="172.31.0.0/16"),
        resource("aws_default_subnet.d", availability_zone="us-east-1a", cidr_block="172.31.0.0/20"),
        resource("aws_default_route_table.d", default_route_table_id="rtb-1", route=[]),
        resource("aws_default_network_acl.d", default_network_acl_id="acl-1", ingress=[], egress=[]),
        resource("aws_security_group.g", name="g", ingress=[], egress=[]),
        resource("aws_instance.i"),
    ]
    topology = read(tmp_path, plan(resources, [])).topology
    assert [vpc.id for vpc in topology.all(Vpc)] == ["aws_default_vpc.d"]
    assert [eni.subnet for eni in topology.all(NetworkInterface)] == ["aws_default_subnet.d"]
    assert [(table.vpc, table.main) for table in topology.all(RouteTable)] == [("aws_default_vpc.d", True)]


def test_null_is_known(tmp_path: Path) -> None:
    """A field that a plan says is null is not followed, though its expression refers to something; one that is absent is."""
    group = {"security_group_id": refers("aws_security_group.g.id", "aws_security_group.g")}
    rule = {"type": "ingress", "protocol": "tcp", "from_port": 1, "to_port": 1}
    resources = [
        resource("aws_vpc.v", cidr_block="10.0.0.0/16"),
        resource("aws_security_group.g", name="g", ingress=[], egress=[]),
        resource("aws_security_group_rule.r", "known", cidr_blocks=["10.0.0.0/8"], source_security_group_id=None, **rule),
        resource("aws_security_group_rule.r", "open", cidr_blocks=None, **rule),
    ]
    described = [
        configured("aws_vpc.v"),
        configured("aws_security_group.g", vpc_id=refers("aws_vpc.v.id", "aws_vpc.v")),
        configured(
            "aws_security_group_rule.r",
            cidr_blocks=refers("each.value", "aws_vpc.v"),
            source_security_group_id=refers("each.value", "aws_security_group.g"),
            **group,
        ),
    ]
    peers = [
        str(rule.peer) for rule in read(tmp_path, plan(resources, described)).topology.get("aws_security_group.g", SecurityGroup).ingress
    ]
    assert peers == ["10.0.0.0/8", "GroupPeer(group='aws_security_group.g')"]


def test_what_a_state_is_about_to_lose_is_no_part_of_it(tmp_path: Path) -> None:
    """A deposed object is passed over; one whose attributes are not there is left out, and not put anywhere."""
    subnets = [
        {"index_key": 0, "attributes": {"id": "subnet-1", "vpc_id": "vpc-1", "cidr_block": "10.0.1.0/24"}},
        {"index_key": 0, "deposed": "0a", "attributes": {"id": "subnet-0", "vpc_id": "vpc-1", "cidr_block": "10.0.1.0/24"}},
    ]
    state = {
        "version": 4,
        "terraform_version": "1.6.0",
        "resources": [
            {
                "mode": "managed",
                "type": "aws_vpc",
                "name": "v",
                "instances": [{"attributes": {"id": "vpc-1", "cidr_block": "10.0.0.0/16"}}],
            },
            {"mode": "managed", "type": "aws_subnet", "name": "s", "instances": subnets},
            {"mode": "managed", "type": "aws_instance", "name": "i", "instances": [{"attributes_flat": {"id": "i-1"}}]},
        ],
    }
    imported = read(tmp_path, state)
    assert [subnet.id for subnet in imported.topology.all(Subnet)] == ["subnet-1"]
    assert not list(imported.topology.all(Instance))
    assert "its attributes are not in the state" in lines(imported)


@pytest.mark.parametrize(
    "document", [{"format_version": "1.0", "terraform_version": "1.5.7"}, {"format_version": "1.2", "resource_changes": []}]
)
def test_a_state_without_values_is_one_line(tmp_path: Path, document: Json) -> None:
    """An empty state, and a plan of which the values are gone, are told as such."""
    with pytest.raises(TopologyError, match="neither planned_values nor values"):
        read(tmp_path, document)


def test_strangers_in_the_network_are_listed(tmp_path: Path) -> None:
    """A resource of a type that nobody here knows is listed if it names a subnet or a group, and only then."""
    resources = [
        resource("aws_vpc.v", id="vpc-1", cidr_block="10.0.0.0/16"),
        resource("aws_mq_broker.m", subnet_ids=["subnet-1"]),
        resource("aws_s3_bucket.b", bucket="b"),
        resource("aws_db_subnet_group.d", subnet_ids=["subnet-1"]),
        resource("aws_globalaccelerator_accelerator.a"),
    ]
    imported = read(tmp_path, plan(resources, []))
    assert [note.kind for note in imported.report] == ["aws_mq_broker", "aws_globalaccelerator_accelerator"]


UNDECIDED = """
Parameters:
  Port: {Type: Number}
  Groups: {Type: 'List<AWS::EC2::SecurityGroup::Id>'}
  Elsewhere: {Type: String}
Resources:
  Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://bucket/more.yaml}}
  Net: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Sub: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Net, CidrBlock: 10.0.1.0/24}}
  Web:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: one rule, not in a list
      VpcId: !Ref Net
      SecurityGroupIngress: {IpProtocol: tcp, FromPort: !Ref Port, ToPort: !Ref Port, CidrIp: 0.0.0.0/0}
      SecurityGroupEgress: {IpProtocol: tcp, FromPort: !Ref Port, ToPort: !Ref Port, CidrIp: 0.0.0.0/0}
  More:
    Type: AWS::EC2::SecurityGroupIngress
    Properties: {GroupId: !Ref Web, IpProtocol: tcp, FromPort: !Ref Port, ToPort: 80, CidrIp: 0.0.0.0/0}
  Acl: {Type: AWS::EC2::NetworkAcl, Properties: {VpcId: !Ref Net}}
  Entry:
    Type: AWS::EC2::NetworkAclEntry
    Properties: {NetworkAclId: !Ref Acl, RuleNumber: 100, Protocol: !Ref Port, RuleAction: allow, CidrBlock: 0.0.0.0/0}
  One: {Type: AWS::EC2::Instance, Properties: {SubnetId: !Ref Sub, SecurityGroupIds: !Ref Groups}}
  Two: {Type: AWS::EC2::Instance, Properties: {SubnetId: !Ref Elsewhere, SecurityGroupIds: !Ref Web}}
  Three: {Type: AWS::EC2::Instance, Properties: {SubnetId: !Ref Sub, LaunchTemplate: {LaunchTemplateName: x, Version: "1"}}}
  Broker: {Type: AWS::AmazonMQ::Broker, Properties: {SubnetIds: [!Ref Sub]}}
"""


def test_a_templates_open_values_open_nothing(tmp_path: Path) -> None:
    """Rules, entries, groups and places that a parameter without a default decides are said, and are nothing wider."""
    imported = read(tmp_path, UNDECIDED)
    web = imported.topology.get("Web", SecurityGroup)
    assert (web.ingress, web.egress) == ((), ())
    assert imported.topology.get("Acl", NetworkAcl).ingress == ()
    assert {eni.instance: eni.security_groups for eni in imported.topology.all(NetworkInterface)}["One"] == ("unknown-group",)
    assert {instance.id for instance in imported.topology.all(Instance)} == {"One", "Three"}
    told = lines(imported)
    for said in (
        "Transform AWS::Include",
        "SecurityGroupIngress.FromPort: parameter Port has no default; give --parameter Port=VALUE; the rule matches nothing here",
        "left out: AWS::EC2::NetworkAclEntry Entry",
        "its subnet (unknown) is not in the data",
        "AWS::EC2::Instance Three: groups and interfaces that its launch template names are not taken over",
        "AWS::AmazonMQ::Broker Broker: it names a subnet",
    ):
        assert said in told


def test_the_same_template_decided(tmp_path: Path) -> None:
    """With its parameters given, one rule that stands where a list should is a list of one."""
    imported = read(tmp_path, UNDECIDED, {"Port": "6", "Groups": "Web", "Elsewhere": "Sub"})
    web = imported.topology.get("Web", SecurityGroup)
    assert [rule.ports for rule in (*web.ingress, *(web.egress or ()))] == [(6, 6), (6, 80), (6, 6)]
    assert {instance.id for instance in imported.topology.all(Instance)} == {"One", "Two", "Three"}
