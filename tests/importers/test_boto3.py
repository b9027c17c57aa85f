"""An account read through boto3, against moto: VPCs that the test itself makes."""

from typing import Any

import pytest

from emulator.importers.boto3 import CALLS, read_account
from emulator.model.entities import Instance, NetworkInterface, RouteTable
from emulator.model.groups import SecurityGroup
from emulator.model.joined import TransitGatewayAttachment
from emulator.model.topology import Topology
from emulator.network import Network

boto3 = pytest.importorskip("boto3", reason="an account is read with boto3")
moto = pytest.importorskip("moto", reason="the account is moto's")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
REGION = "eu-west-1"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A session of an empty account."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        yield boto3.Session(region_name=REGION)


def shop(ec2: Any) -> dict[str, str]:
    """A web server that the world may open, a database that the web server's group may open."""
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.20.{number}.0/24", AvailabilityZone=f"{REGION}a")["Subnet"]["SubnetId"]
        for number in (1, 2)
    ]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[0])
    web, db = (ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"] for name in ("web", "db"))
    world = [{"CidrIp": "0.0.0.0/0"}]
    https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    ec2.authorize_security_group_ingress(GroupId=web, IpPermissions=[https | {"IpRanges": world}])
    sql = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": web}]}
    ec2.authorize_security_group_ingress(GroupId=db, IpPermissions=[sql])
    machines = []
    for subnet, group, name in ((subnets[0], web, "web-1"), (subnets[1], db, "db-1")):
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
        one = {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1, "TagSpecifications": tags}
        made = ec2.run_instances(SubnetId=subnet, SecurityGroupIds=[group], **one)
        machines.append(made["Instances"][0]["InstanceId"])
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=address, InstanceId=machines[0])
    return {"vpc": vpc, "web": web, "subnet": subnets[1]}


@pytest.mark.parametrize(
    ("source", "destination", "service", "reachable"),
    [
        pytest.param("internet", "web-1", "HTTPS", True, id="the world opens the web server"),
        pytest.param("internet", "web-1", "SSH", False, id="and nothing else"),
        pytest.param("web-1", "db-1", "PostgreSQL", True, id="its group opens the database"),
        pytest.param("db-1", "internet", "HTTPS", False, id="the private subnet has no way out"),
    ],
)
def test_an_account_answers(session: Any, source: str, destination: str, service: str, reachable: bool) -> None:
    """What was made through the API comes out as the network that it is."""
    shop(session.client("ec2"))
    assert Network(Topology.from_boto3(session)).explain(source, destination, service).reachable is reachable


def test_everything_is_there(session: Any) -> None:
    """Every interface, group and table of the account, its default VPC with them, by the ids that the account gave."""
    ec2 = session.client("ec2")
    made = shop(ec2)
    topology = Topology.from_boto3(session)
    assert {group.id for group in topology.all(SecurityGroup)} == {
        item["GroupId"] for item in ec2.describe_security_groups()["SecurityGroups"]
    }
    tables = {item["RouteTableId"] for item in ec2.describe_route_tables()["RouteTables"]}
    assert {table.id for table in topology.all(RouteTable)} == tables
    assert len(list(topology.all(Instance))) == len(list(topology.all(NetworkInterface))) == 2
    assert [rule.ports for rule in topology.get(made["web"], SecurityGroup).ingress] == [(443, 443)]


def test_every_page_is_read(session: Any) -> None:
    """An answer of several pages is read to its end: each of these instances is a page of its own."""
    ec2 = session.client("ec2")
    subnet = shop(ec2)["subnet"]
    for _ in range(10):
        ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet)
    asked: list[str] = []

    def small_pages(params: dict[str, Any], **_: Any) -> None:
        params["MaxResults"] = 5
        asked.append("page")

    session.events.register("before-parameter-build.ec2.DescribeInstances", small_pages)
    imported = read_account(session)
    assert len(list(imported.topology.all(Instance))) == 12
    assert len(asked) == 3
    assert "Instance" not in {note.kind for note in imported.report}


def test_a_transit_gateway_comes_with_its_tables(session: Any) -> None:
    """Associations and propagations are asked table by table."""
    ec2 = session.client("ec2")
    made = shop(ec2)
    gateway = ec2.create_transit_gateway(Description="hub")["TransitGateway"]["TransitGatewayId"]
    ec2.create_transit_gateway_vpc_attachment(TransitGatewayId=gateway, VpcId=made["vpc"], SubnetIds=[made["subnet"]])
    (attachment,) = Topology.from_boto3(session).all(TransitGatewayAttachment)
    assert (attachment.transit_gateway, attachment.vpc, attachment.subnets) == (gateway, made["vpc"], (made["subnet"],))


def test_calls_are_read_only(session: Any) -> None:
    """Nothing but describe, get and search is ever asked."""
    asked: list[str] = []
    session.events.register("before-call.*.*", lambda model, **kwargs: asked.append(model.name))
    read_account(session)
    assert len(asked) >= len(CALLS)
    assert all(name.startswith(("Describe", "Get", "Search")) for name in asked)


def test_several_regions_make_one_topology(session: Any) -> None:
    """Two Regions are read into one network."""
    for region in (REGION, "us-east-1"):
        session.client("ec2", region_name=region).create_vpc(CidrBlock="10.30.0.0/16")
    imported = read_account(session, regions=(REGION, "us-east-1"))
    assert sum("10.30.0.0/16" in map(str, getattr(entity, "blocks", ())) for entity in imported.topology.entities.values()) == 2
