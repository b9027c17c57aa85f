"""One network in both languages: what is joined to a VPC means the same in a plan, before any id is known, and in a template."""

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.importers.network import Imported, read_network
from emulator.model.files import dump, loads
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    InterfaceEndpoint,
    NetworkLoadBalancer,
    TargetGroup,
    TransitGatewayAttachment,
    TransitGatewayRouteTable,
)
from emulator.network import Network
from tests.importers.test_terraform import configured, plan, refers, resource

Json = dict[str, Any]
EVERYONE = {"protocol": "-1", "from_port": 0, "to_port": 0, "cidr_blocks": ["0.0.0.0/0"]}


def terraform() -> Json:
    """Two VPCs on a transit gateway of their own tables, a VPN with static routes, endpoints, a network load balancer."""
    resources, configuration = [], []

    def add(address: str, expressions: dict[str, str] | None = None, _index: Any = None, **values: Any) -> None:
        resources.append(resource(address, _index, **values))
        named = {key: refers(f"{target}.{'arn' if key.endswith('arn') else 'id'}", target) for key, target in (expressions or {}).items()}
        configuration.append(configured(address, **named))

    for name, number in (("app", 0), ("data", 1)):
        vpc = {"vpc_id": f"aws_vpc.{name}"}
        add(f"aws_vpc.{name}", cidr_block=f"10.{number}.0.0/16")
        add(f"aws_subnet.{name}", vpc, cidr_block=f"10.{number}.1.0/24", availability_zone="eu-west-1a")
        add(f"aws_route_table.{name}", vpc, route=[])
        add(f"aws_route_table_association.{name}", {"subnet_id": f"aws_subnet.{name}", "route_table_id": f"aws_route_table.{name}"})
        add(f"aws_security_group.{name}", vpc, name=name, ingress=[EVERYONE], egress=[EVERYONE])
        add(f"aws_instance.{name}", {"subnet_id": f"aws_subnet.{name}", "vpc_security_group_ids": f"aws_security_group.{name}"})
        add(
            f"aws_ec2_transit_gateway_vpc_attachment.{name}",
            {"transit_gateway_id": "aws_ec2_transit_gateway.hub", **vpc, "subnet_ids": f"aws_subnet.{name}"},
            transit_gateway_default_route_table_association=False,
            transit_gateway_default_route_table_propagation=False,
        )
        there = {"transit_gateway_attachment_id": f"aws_ec2_transit_gateway_vpc_attachment.{name}"}
        table = {"transit_gateway_route_table_id": "aws_ec2_transit_gateway_route_table.own"}
        add(f"aws_ec2_transit_gateway_route_table_association.{name}", there | table)
        if name == "app":
            add("aws_ec2_transit_gateway_route_table_propagation.app", there | table)
        else:
            add("aws_ec2_transit_gateway_route.data", there | table, destination_cidr_block="10.1.0.0/16")
        far = f"10.{1 - number}.0.0/16"
        add(
            f"aws_route.{name}",
            {"route_table_id": f"aws_route_table.{name}", "transit_gateway_id": "aws_ec2_transit_gateway.hub"},
            destination_cidr_block=far,
        )
    add("aws_ec2_transit_gateway.hub", default_route_table_association="disable", default_route_table_propagation="disable")
    add("aws_ec2_transit_gateway_route_table.own", {"transit_gateway_id": "aws_ec2_transit_gateway.hub"})
    add("aws_vpn_gateway.office", {"vpc_id": "aws_vpc.app"})
    add("aws_customer_gateway.office", ip_address="198.51.100.1", bgp_asn=65000)
    ends = {"vpn_gateway_id": "aws_vpn_gateway.office", "customer_gateway_id": "aws_customer_gateway.office"}
    add("aws_vpn_connection.office", ends, static_routes_only=True)
    add("aws_vpn_connection_route.office", {"vpn_connection_id": "aws_vpn_connection.office"}, destination_cidr_block="192.168.0.0/16")
    add(
        "aws_vpn_gateway_route_propagation.office",
        {"vpn_gateway_id": "aws_vpn_gateway.office", "route_table_id": "aws_route_table.app"},
    )
    near = {"vpc_id": "aws_vpc.app"}
    add(
        "aws_vpc_endpoint.ssm",
        near | {"subnet_ids": "aws_subnet.app", "security_group_ids": "aws_security_group.app"},
        vpc_endpoint_type="Interface",
        service_name="com.amazonaws.eu-west-1.ssm",
    )
    add("aws_vpc_endpoint.s3", near, service_name="com.amazonaws.eu-west-1.s3")
    add("aws_vpc_endpoint_route_table_association.s3", {"vpc_endpoint_id": "aws_vpc_endpoint.s3", "route_table_id": "aws_route_table.app"})
    add("aws_lb.front", {"subnets": "aws_subnet.app"}, name="front", load_balancer_type="network", internal=True)
    add("aws_lb_target_group.web", near, name="web", protocol="TCP", port=8080, target_type="instance")
    add("aws_lb_target_group_attachment.web", {"target_group_arn": "aws_lb_target_group.web", "target_id": "aws_instance.app"})
    add("aws_lb_listener.front", {"load_balancer_arn": "aws_lb.front"}, protocol="TCP", port=80, default_action=[{"type": "forward"}])
    configuration[-1]["expressions"]["default_action"] = [
        {"type": {"constant_value": "forward"}, "target_group_arn": refers("aws_lb_target_group.web.arn", "aws_lb_target_group.web")}
    ]
    return plan(resources, configuration)


TEMPLATE = """
Resources:
  Hub: {Type: AWS::EC2::TransitGateway, Properties: {DefaultRouteTableAssociation: disable, DefaultRouteTablePropagation: disable}}
  Own: {Type: AWS::EC2::TransitGatewayRouteTable, Properties: {TransitGatewayId: !Ref Hub}}
  PropagateApp:
    Type: AWS::EC2::TransitGatewayRouteTablePropagation
    Properties: {TransitGatewayAttachmentId: !Ref AttachApp, TransitGatewayRouteTableId: !Ref Own}
  RouteData:
    Type: AWS::EC2::TransitGatewayRoute
    Properties:
      {TransitGatewayAttachmentId: !Ref AttachData, TransitGatewayRouteTableId: !Ref Own, DestinationCidrBlock: 10.1.0.0/16}
  Office: {Type: AWS::EC2::VPNGateway, Properties: {Type: ipsec.1}}
  AttachOffice: {Type: AWS::EC2::VPCGatewayAttachment, Properties: {VpcId: !Ref App, VpnGatewayId: !Ref Office}}
  Customer: {Type: AWS::EC2::CustomerGateway, Properties: {IpAddress: 198.51.100.1, BgpAsn: 65000, Type: ipsec.1}}
  Vpn:
    Type: AWS::EC2::VPNConnection
    Properties: {Type: ipsec.1, CustomerGatewayId: !Ref Customer, VpnGatewayId: !Ref Office, StaticRoutesOnly: true}
  VpnRoute: {Type: AWS::EC2::VPNConnectionRoute, Properties: {VpnConnectionId: !Ref Vpn, DestinationCidrBlock: 192.168.0.0/16}}
  Propagate:
    Type: AWS::EC2::VPNGatewayRoutePropagation
    DependsOn: AttachOffice
    Properties: {VpnGatewayId: !Ref Office, RouteTableIds: [!Ref TableApp]}
  Ssm:
    Type: AWS::EC2::VPCEndpoint
    Properties:
      VpcEndpointType: Interface
      VpcId: !Ref App
      ServiceName: !Sub com.amazonaws.${AWS::Region}.ssm
      SubnetIds: [!Ref SubnetApp]
      SecurityGroupIds: [!GetAtt GroupApp.GroupId]
  S3:
    Type: AWS::EC2::VPCEndpoint
    Properties: {VpcId: !Ref App, ServiceName: !Sub "com.amazonaws.${AWS::Region}.s3", RouteTableIds: [!Ref TableApp]}
  Front:
    Type: AWS::ElasticLoadBalancingV2::LoadBalancer
    Properties: {Name: front, Type: network, Scheme: internal, Subnets: [!Ref SubnetApp]}
  Web:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: {Name: web, Protocol: TCP, Port: 8080, VpcId: !Ref App, TargetType: instance, Targets: [{Id: !Ref InstanceApp}]}
  FrontListener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !Ref Front
      Protocol: TCP
      Port: 80
      DefaultActions: [{Type: forward, ForwardConfig: {TargetGroups: [{TargetGroupArn: !Ref Web}]}}]
"""
EACH = """
  {name}: {{Type: AWS::EC2::VPC, Properties: {{CidrBlock: 10.{number}.0.0/16}}}}
  Subnet{name}:
    Type: AWS::EC2::Subnet
    Properties: {{VpcId: !Ref {name}, CidrBlock: 10.{number}.1.0/24, AvailabilityZone: !Select [0, !GetAZs ""]}}
  Table{name}: {{Type: AWS::EC2::RouteTable, Properties: {{VpcId: !Ref {name}}}}}
  Join{name}:
    Type: AWS::EC2::SubnetRouteTableAssociation
    Properties: {{SubnetId: !Ref Subnet{name}, RouteTableId: !Ref Table{name}}}
  Group{name}:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: open
      VpcId: !Ref {name}
      SecurityGroupIngress: [{{IpProtocol: "-1", CidrIp: 0.0.0.0/0}}]
  Instance{name}: {{Type: AWS::EC2::Instance, Properties: {{SubnetId: !Ref Subnet{name}, SecurityGroupIds: [!Ref Group{name}]}}}}
  Attach{name}:
    Type: AWS::EC2::TransitGatewayAttachment
    Properties: {{TransitGatewayId: !Ref Hub, VpcId: !Ref {name}, SubnetIds: [!Ref Subnet{name}]}}
  Associate{name}:
    Type: AWS::EC2::TransitGatewayRouteTableAssociation
    Properties: {{TransitGatewayAttachmentId: !Ref Attach{name}, TransitGatewayRouteTableId: !Ref Own}}
  Route{name}Away:
    Type: AWS::EC2::Route
    Properties: {{RouteTableId: !Ref Table{name}, DestinationCidrBlock: 10.{other}.0.0/16, TransitGatewayId: !Ref Hub}}
"""


@pytest.fixture(scope="module", params=["a plan", "a template"])
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """The network of both."""
    folder = tmp_path_factory.mktemp("joined")
    if request.param == "a plan":
        path = folder / "plan.json"
        path.write_text(json.dumps(terraform()))
    else:
        path = folder / "template.yaml"
        each = [EACH.format(name=name, number=number, other=1 - number) for name, number in (("App", 0), ("Data", 1))]
        path.write_text(TEMPLATE + "".join(each))
    return read_network(path)


def named(imported: Imported, word: str) -> str:
    """The instance of a VPC, as its language calls it."""
    return f"aws_instance.{word}" if imported.kind == "Terraform" else f"Instance{word.capitalize()}"


def test_nothing_is_left_out(imported: Imported) -> None:
    """What is noted is what nobody knows yet: addresses, and the entries of AWS's own prefix list."""
    assert {note.fate.value for note in imported.report} <= {"assumed", "unknown"}
    assert {note.kind for note in imported.report if note.fate.value == "unknown"} == {"PrefixList"}
    assert not [note for note in imported.report if "not in the" in note.text and note.kind != "PrefixList"]


def test_the_transit_gateway_uses_its_own_table(imported: Imported) -> None:
    """Association, propagation and a static route come from resources of their own; the default table is disabled."""
    topology = imported.topology
    (table,) = topology.all(TransitGatewayRouteTable)
    app, data = sorted(topology.all(TransitGatewayAttachment), key=lambda one: one.vpc.casefold())
    assert (app.route_table, data.route_table) == (table.id, table.id)
    assert (app.propagates_to, data.propagates_to) == ((table.id,), ())
    assert [(str(route.destination), route.attachment) for route in table.routes] == [("10.1.0.0/16", data.id)]
    found = Network(topology).explain(named(imported, "app"), named(imported, "data"), "HTTPS")
    assert found.reachable


def test_the_vpn_has_a_network_behind_it(imported: Imported) -> None:
    """Static routes of the connection are the network behind it, and propagation writes them into the table."""
    (network,) = imported.topology.all(CustomerNetwork)
    assert ([str(block) for block in network.blocks], network.connection) == (["192.168.0.0/16"], "vpn_static")
    there = Network(imported.topology)
    assert there.explain(named(imported, "app"), "192.168.0.9", "HTTPS").reachable
    assert there.explain("192.168.0.9", named(imported, "app"), "HTTPS").reachable
    assert not there.explain(named(imported, "data"), "192.168.0.9", "HTTPS").reachable


def test_endpoints_are_of_their_kinds(imported: Imported) -> None:
    """An interface endpoint has an interface a subnet and its groups; a gateway endpoint its tables."""
    (interface,) = imported.topology.all(InterfaceEndpoint)
    assert (len(interface.nodes), len(interface.security_groups), interface.service.rpartition(".")[2]) == (1, 1, "ssm")
    (gateway,) = imported.topology.all(GatewayEndpoint)
    assert (gateway.service, len(gateway.route_tables)) == ("s3", 1)
    address = str(interface.nodes[0].private_ip)
    there = Network(imported.topology)
    assert there.explain(named(imported, "app"), address, "HTTPS").reachable
    assert not there.explain(named(imported, "app"), address, "SSH").reachable


def test_the_balancer_leads_to_its_targets(imported: Imported) -> None:
    """Listener, target group and target are put together; the other VPC reaches the instance through the balancer."""
    (balancer,) = imported.topology.all(NetworkLoadBalancer)
    (group,) = imported.topology.all(TargetGroup)
    assert (balancer.name, balancer.internal, [(one.port, one.target_group) for one in balancer.listeners]) == (
        "front",
        True,
        [(80, group.id)],
    )
    assert (group.name, group.port, len(group.targets)) == ("web", 8080, 1)
    address = str(balancer.nodes[0].private_ip)
    there = Network(imported.topology)
    assert there.explain(named(imported, "data"), address, "HTTP").reachable
    assert not there.explain(named(imported, "data"), address, "HTTPS").reachable


def test_a_saved_import_is_the_same_network(imported: Imported) -> None:
    """As a topology file it has the same entities, and answers the same."""
    again = loads(dump(imported.topology))
    assert set(again.entities) == set(imported.topology.entities)
    assert Network(again).explain(named(imported, "app"), named(imported, "data"), "HTTPS").reachable


def test_peered_transit_gateways_of_a_plan(tmp_path: Path) -> None:
    """Each side of a peering is an attachment of its own gateway; routes of both tables name it by either resource."""
    resources, described = [], []
    for number, name in enumerate("ab"):
        resources.append(resource(f"aws_ec2_transit_gateway.{name}"))
        described.append(configured(f"aws_ec2_transit_gateway.{name}"))
        resources.append(resource(f"aws_ec2_transit_gateway_route.{name}", destination_cidr_block=f"10.{1 - number}.0.0/16"))
        owner = "aws_ec2_transit_gateway_peering_attachment" + ("_accepter" if name == "b" else "")
        described.append(
            configured(
                f"aws_ec2_transit_gateway_route.{name}",
                transit_gateway_attachment_id=refers(f"{owner}.x.id", f"{owner}.x"),
                transit_gateway_route_table_id=refers(
                    f"aws_ec2_transit_gateway.{name}.association_default_route_table_id", f"aws_ec2_transit_gateway.{name}"
                ),
            )
        )
    peering = "aws_ec2_transit_gateway_peering_attachment"
    resources += [resource(f"{peering}.x"), resource(f"{peering}_accepter.x"), resource("aws_vpc.v", cidr_block="10.0.0.0/16")]
    ends = {f"{side}transit_gateway_id": refers(f"aws_ec2_transit_gateway.{name}") for side, name in (("", "a"), ("peer_", "b"))}
    described += [
        configured(f"{peering}.x", **ends),
        configured(f"{peering}_accepter.x", transit_gateway_attachment_id=refers(f"{peering}.x.id", f"{peering}.x")),
        configured("aws_vpc.v"),
    ]
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan(resources, described)))
    imported = read_network(path)
    assert not list(imported.report)
    attachments = {one.id: (one.transit_gateway, one.peer) for one in imported.topology.all(TransitGatewayAttachment)}
    ways = {table.transit_gateway: table.routes[0].attachment for table in imported.topology.all(TransitGatewayRouteTable)}
    assert {gateway: attachments[way] for gateway, way in ways.items()} == {
        "aws_ec2_transit_gateway.a": ("aws_ec2_transit_gateway.a", "aws_ec2_transit_gateway.b"),
        "aws_ec2_transit_gateway.b": ("aws_ec2_transit_gateway.b", "aws_ec2_transit_gateway.a"),
    }


@pytest.mark.parametrize(("name", "fallen"), [("app", {"InterfaceEndpoint", "NetworkLoadBalancer"}), ("data", set())])
def test_what_stands_in_a_subnet_falls_with_it(tmp_path: Path, name: str, fallen: set[str]) -> None:
    """A subnet outside its VPC is left out, and with it, each with a word, what cannot be without it; the rest stands."""
    document = terraform()
    for made in document["planned_values"]["root_module"]["resources"]:
        if made["address"] == f"aws_subnet.{name}":
            made["values"]["cidr_block"] = "172.16.0.0/24"
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document))
    imported = read_network(path)
    left_out = {note.kind for note in imported.report if note.fate.value == "left out"}
    assert {"Subnet", "NetworkInterface", "Instance", "TransitGatewayAttachment"} | fallen <= left_out
    assert len(list(imported.topology.all(TransitGatewayAttachment))) == 1
    assert all(not group.targets for group in imported.topology.all(TargetGroup)) is (name == "app")
