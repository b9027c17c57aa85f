"""Transit gateways, VPNs, endpoints and balancers as describe output has them, each split over several answers."""

import json
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from emulator.importers.network import read_network
from emulator.model.entities import InternetGateway, NatGateway, VpcPeeringConnection
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    InterfaceEndpoint,
    NetworkLoadBalancer,
    TargetGroup,
    TransitGatewayAttachment,
    TransitGatewayRouteTable,
    VpnGateway,
)
from emulator.model.topology import Topology
from emulator.network import Network
from tests.importers.conftest import interface

Write = Callable[..., Path]


def read(folder: Path) -> Topology:
    """The topology, of which nothing may have been left out."""
    imported = read_network(folder)
    assert [note for note in imported.report if note.fate.value == "left out"] == []
    return imported.topology


def transit(described: Any) -> None:
    described["TransitGateways"] = [
        {"TransitGatewayId": "tgw-1", "State": "available", "Options": {"SecurityGroupReferencingSupport": "enable"}}
    ]
    described["TransitGatewayRouteTables"] = [{"TransitGatewayRouteTableId": "tgw-rtb-1", "TransitGatewayId": "tgw-1"}]
    described["TransitGatewayVpcAttachments"] = [
        {
            "TransitGatewayAttachmentId": "tgw-attach-1",
            "TransitGatewayId": "tgw-1",
            "VpcId": "vpc-1",
            "SubnetIds": ["subnet-2"],
            "State": "available",
            "Options": {"ApplianceModeSupport": "enable"},
        }
    ]
    described["TransitGatewayAttachments"] = [
        {
            "TransitGatewayAttachmentId": "tgw-attach-1",
            "TransitGatewayId": "tgw-1",
            "ResourceType": "vpc",
            "ResourceId": "vpc-1",
            "Association": {"TransitGatewayRouteTableId": "tgw-rtb-1", "State": "associated"},
        },
        {
            "TransitGatewayAttachmentId": "tgw-attach-2",
            "TransitGatewayId": "tgw-1",
            "ResourceType": "vpn",
            "ResourceId": "vpn-1",
            "Association": {"TransitGatewayRouteTableId": "tgw-rtb-1", "State": "associated"},
        },
    ]
    described["TransitGatewayPropagations"] = [
        {
            "TransitGatewayRouteTableId": "tgw-rtb-1",
            "TransitGatewayRouteTablePropagations": [{"TransitGatewayAttachmentId": "tgw-attach-1", "State": "enabled"}],
        }
    ]
    described["TransitGatewayStaticRoutes"] = [
        {
            "TransitGatewayRouteTableId": "tgw-rtb-1",
            "Routes": [
                {
                    "DestinationCidrBlock": "192.168.0.0/16",
                    "Type": "static",
                    "State": "active",
                    "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": "tgw-attach-2"}],
                },
                {"DestinationCidrBlock": "172.16.0.0/12", "Type": "static", "State": "blackhole"},
            ],
        }
    ]
    described["RouteTables"][0]["Routes"].append({"DestinationCidrBlock": "192.168.0.0/16", "TransitGatewayId": "tgw-1", "State": "active"})


def test_a_transit_gateway_is_put_together(described: Any, write: Write) -> None:
    """Association, propagations and static routes come from three answers; the network behind a VPN from its routes."""
    transit(described)
    topology = read(write(described))
    inner, outer = topology.all(TransitGatewayAttachment)
    assert (inner.subnets, inner.route_table, inner.propagates_to, inner.appliance_mode) == (
        ("subnet-2",),
        "tgw-rtb-1",
        ("tgw-rtb-1",),
        True,
    )
    assert topology.get(outer.network, CustomerNetwork).blocks == (ip_network("192.168.0.0/16"),)
    (table,) = topology.all(TransitGatewayRouteTable)
    assert [(str(route.destination), route.attachment, route.blackhole) for route in table.routes] == [
        ("192.168.0.0/16", "tgw-attach-2", False),
        ("172.16.0.0/12", "", True),
    ]


@pytest.mark.parametrize("answers", ["attachments of both sides", "the peering alone"])
def test_two_transit_gateways_that_are_peered(described: Any, write: Write, answers: str) -> None:
    """Both sides of a peering have one id; each gateway's routes lead to its own side, and traffic gets through."""
    described["TransitGateways"] = [{"TransitGatewayId": f"tgw-{number}", "State": "available"} for number in (1, 2)]
    described["Vpcs"].append({"VpcId": "vpc-2", "CidrBlock": "10.9.0.0/16", "CidrBlockAssociationSet": []})
    described["Subnets"].append({"SubnetId": "subnet-9", "VpcId": "vpc-2", "CidrBlock": "10.9.1.0/24", "AvailabilityZone": "eu-west-1a"})
    everyone = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    described["SecurityGroups"].append(
        {"GroupId": "sg-9", "GroupName": "far", "VpcId": "vpc-2", "IpPermissions": everyone, "IpPermissionsEgress": everyone}
    )
    eni = interface(9, "i-9", "subnet-9", "10.9.1.10", ["sg-9"]) | {"VpcId": "vpc-2"}
    described["NetworkInterfaces"].append(eni)
    described["Reservations"][0]["Instances"].append({"InstanceId": "i-9", "State": {"Name": "running"}, "NetworkInterfaces": [eni]})
    far = {"DestinationCidrBlock": "10.0.0.0/16", "TransitGatewayId": "tgw-2", "State": "active"}
    described["RouteTables"].append({"RouteTableId": "rtb-9", "VpcId": "vpc-2", "Associations": [{"Main": True}], "Routes": [far]})
    described["RouteTables"][1]["Routes"].append({"DestinationCidrBlock": "10.9.0.0/16", "TransitGatewayId": "tgw-1", "State": "active"})
    described["TransitGatewayRouteTables"] = [
        {"TransitGatewayRouteTableId": f"tgw-rtb-{number}", "TransitGatewayId": f"tgw-{number}"} for number in (1, 2)
    ]
    described["TransitGatewayVpcAttachments"] = [
        {"TransitGatewayAttachmentId": f"at-{number}", "TransitGatewayId": f"tgw-{number}", "VpcId": f"vpc-{number}", "SubnetIds": [subnet]}
        for number, subnet in ((1, "subnet-1"), (2, "subnet-9"))
    ]
    described["TransitGatewayStaticRoutes"] = [
        {
            "TransitGatewayRouteTableId": f"tgw-rtb-{number}",
            "Routes": [{"DestinationCidrBlock": block, "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": "peer"}]}],
        }
        for number, block in ((1, "10.9.0.0/16"), (2, "10.0.0.0/16"))
    ]
    sides = [
        {
            "TransitGatewayAttachmentId": "peer",
            "TransitGatewayId": f"tgw-{own}",
            "ResourceType": "peering",
            "ResourceId": f"tgw-{other}",
            "Association": {"TransitGatewayRouteTableId": f"tgw-rtb-{own}"},
        }
        for own, other in ((1, 2), (2, 1))
    ]
    ends = {f"{side}TgwInfo": {"TransitGatewayId": f"tgw-{number}"} for side, number in (("Requester", 1), ("Accepter", 2))}
    described["TransitGatewayPeeringAttachments"] = [{"TransitGatewayAttachmentId": "peer", "State": "available", **ends}]
    folder = write(described)
    if answers.startswith("attachments"):
        for side in sides:  # as two Regions list it
            (folder / f"{side['TransitGatewayId']}.json").write_text(json.dumps({"TransitGatewayAttachments": [side]}))
    network = Network(read(folder))
    assert network.explain("web-1", "i-9", "HTTPS").reachable
    assert network.explain("i-9", "web-1", "HTTPS").reachable


def test_missing_answers_about_a_transit_gateway_are_assumed(described: Any, write: Write) -> None:
    """Without associations and propagations the default table is taken, and that is said."""
    transit(described)
    del described["TransitGatewayAttachments"], described["TransitGatewayPropagations"], described["TransitGatewayStaticRoutes"]
    imported = read_network(write(described))
    (attachment,) = imported.topology.all(TransitGatewayAttachment)
    assert (attachment.route_table, attachment.propagates_to) == ("tgw-rtb-1", ("tgw-rtb-1",))
    assert {note.id for note in imported.report if note.fate.value == "assumed"} == {"tgw-attach-1", "tgw-rtb-1"}


def test_a_vpn_gateway_and_its_network(described: Any, write: Write) -> None:
    """Blocks come from the connection's static routes and from what the gateway propagated into tables."""
    described["VpnGateways"] = [
        {"VpnGatewayId": "vgw-1", "State": "available", "VpcAttachments": [{"VpcId": "vpc-1", "State": "attached"}]}
    ]
    telemetry = [{"Status": "DOWN"}, {"Status": "DOWN"}]
    connection = {"VpnConnectionId": "vpn-1", "VpnGatewayId": "vgw-1", "State": "available", "VgwTelemetry": telemetry}
    described["VpnConnections"] = [
        connection | {"Routes": [{"DestinationCidrBlock": "192.168.0.0/24"}], "Options": {"StaticRoutesOnly": True}}
    ]
    route = {"DestinationCidrBlock": "192.168.1.0/24", "GatewayId": "vgw-1", "Origin": "EnableVgwRoutePropagation", "State": "active"}
    described["RouteTables"][0]["Routes"].append(route)
    topology = read(write(described))
    (network,) = topology.all(CustomerNetwork)
    assert (network.gateway, network.connection, network.up) == ("vgw-1", "vpn_static", False)
    assert [str(block) for block in network.blocks] == ["192.168.0.0/24", "192.168.1.0/24"]
    assert [gateway.vpc for gateway in topology.all(VpnGateway)] == ["vpc-1"]


def endpoint_interface(number: int, kind: str, description: str, ip: str, subnet: str = "subnet-2") -> dict[str, Any]:
    return {
        "NetworkInterfaceId": f"eni-{number}",
        "VpcId": "vpc-1",
        "SubnetId": subnet,
        "InterfaceType": kind,
        "Status": "in-use",
        "PrivateIpAddress": ip,
        "PrivateIpAddresses": [{"PrivateIpAddress": ip, "Primary": True}],
        "Groups": [],
        "Description": description,
    }


def test_endpoints_of_both_kinds(described: Any, write: Write) -> None:
    """A gateway endpoint brings its routes itself; an interface endpoint is its interfaces."""
    described["PrefixLists"] = [{"PrefixListId": "pl-s3", "PrefixListName": "com.amazonaws.eu-west-1.s3", "Cidrs": ["52.218.0.0/17"]}]
    described["VpcEndpoints"] = [
        {
            "VpcEndpointId": "vpce-1",
            "VpcEndpointType": "Gateway",
            "VpcId": "vpc-1",
            "ServiceName": "com.amazonaws.eu-west-1.s3",
            "State": "available",
            "RouteTableIds": ["rtb-0"],
        },
        {
            "VpcEndpointId": "vpce-2",
            "VpcEndpointType": "Interface",
            "VpcId": "vpc-1",
            "ServiceName": "com.amazonaws.eu-west-1.ssm",
            "State": "available",
            "NetworkInterfaceIds": ["eni-8"],
            "Groups": [{"GroupId": "sg-web"}],
        },
    ]
    described["RouteTables"][0]["Routes"].append({"DestinationPrefixListId": "pl-s3", "GatewayId": "vpce-1", "State": "active"})
    described["NetworkInterfaces"].append(endpoint_interface(8, "vpc_endpoint", "VPC Endpoint Interface vpce-2", "10.0.2.88"))
    topology = read(write(described))
    (gateway,) = topology.all(GatewayEndpoint)
    assert (gateway.prefix_list, gateway.route_tables, gateway.service) == ("pl-s3", ("rtb-0",), "s3")
    (interface,) = topology.all(InterfaceEndpoint)
    assert [(str(node.private_ip), node.interface) for node in interface.nodes] == [("10.0.2.88", "eni-8")]
    assert interface.security_groups == ("sg-web",)


def test_a_network_load_balancer(described: Any, write: Write) -> None:
    """Nodes are its interfaces, listeners lead to target groups, targets carry their health."""
    arn, group = (
        "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/front/50dc",
        "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/6d0e",
    )
    described["LoadBalancers"] = [
        {
            "LoadBalancerArn": arn,
            "LoadBalancerName": "front",
            "Type": "network",
            "Scheme": "internal",
            "VpcId": "vpc-1",
            "State": {"Code": "active"},
        }
    ]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    described["LoadBalancerListeners"] = [
        {"LoadBalancerArn": arn, "Listeners": [{"ListenerArn": "l", "Port": 443, "Protocol": "TLS", "DefaultActions": forward}]}
    ]
    described["TargetGroups"] = [
        {"TargetGroupArn": group, "TargetGroupName": "web", "Port": 8443, "Protocol": "TCP", "TargetType": "instance", "VpcId": "vpc-1"}
    ]
    healths = [
        {"Target": {"Id": f"i-{number}", "Port": 8443}, "TargetHealth": {"State": state}}
        for number, state in ((1, "healthy"), (2, "unhealthy"))
    ]
    described["LoadBalancerTargetHealth"] = [{"TargetGroupArn": group, "TargetHealthDescriptions": healths}]
    described["LoadBalancerAttributes"] = [
        {"LoadBalancerArn": arn, "Attributes": [{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]}
    ]
    described["NetworkInterfaces"].append(endpoint_interface(9, "network_load_balancer", "ELB net/front/50dc", "10.0.2.99"))
    topology = read(write(described))
    (balancer,) = topology.all(NetworkLoadBalancer)
    assert (balancer.cross_zone, balancer.internal, [node.private_ip for node in balancer.nodes]) == (True, True, [ip_address("10.0.2.99")])
    assert [(listener.port, listener.target_group) for listener in balancer.listeners] == [(443, group)]
    assert [(target.target, target.healthy) for target in topology.get(group, TargetGroup).targets] == [("i-1", True), ("i-2", False)]


def test_a_nat_gateway_with_several_addresses(described: Any, write: Write) -> None:
    """The primary pair first, the others after it; its interface is no machine."""
    described["NatGateways"] = [
        {
            "NatGatewayId": "nat-1",
            "VpcId": "vpc-1",
            "SubnetId": "subnet-1",
            "State": "available",
            "NatGatewayAddresses": [
                {"PrivateIp": "10.0.1.201", "PublicIp": "203.0.113.201", "IsPrimary": False},
                {"PrivateIp": "10.0.1.200", "PublicIp": "203.0.113.200", "IsPrimary": True, "NetworkInterfaceId": "eni-7"},
            ],
        }
    ]
    described["NetworkInterfaces"].append(endpoint_interface(7, "nat_gateway", "Interface for NAT Gateway nat-1", "10.0.1.200", "subnet-1"))
    (gateway,) = read(write(described)).all(NatGateway)
    assert [str(private) for private, _ in gateway.addresses] == ["10.0.1.200", "10.0.1.201"]
    assert gateway.interface == "eni-7"


def test_an_edge_table_and_a_far_peering(described: Any, write: Write) -> None:
    """A table that is associated with a gateway is the gateway's; a peering between Regions knows that it is one."""
    edge = {"RouteTableId": "rtb-9", "VpcId": "vpc-1", "Associations": [{"GatewayId": "igw-1"}]}
    described["RouteTables"].append(
        edge | {"Routes": [{"DestinationCidrBlock": "10.0.1.0/24", "NetworkInterfaceId": "eni-2", "State": "active"}]}
    )
    described["Vpcs"].append({"VpcId": "vpc-2", "CidrBlock": "10.9.0.0/16", "CidrBlockAssociationSet": []})
    ends = {"RequesterVpcInfo": {"VpcId": "vpc-1", "Region": "eu-west-1"}, "AccepterVpcInfo": {"VpcId": "vpc-2", "Region": "us-east-1"}}
    described["VpcPeeringConnections"] = [{"VpcPeeringConnectionId": "pcx-1", "Status": {"Code": "active"}, **ends}]
    topology = read(write(described))
    assert [gateway.route_table for gateway in topology.all(InternetGateway)] == ["rtb-9"]
    assert [peering.inter_region for peering in topology.all(VpcPeeringConnection)] == [True]


@pytest.mark.parametrize("kind", ["VpnConnections", "TransitGatewayVpcAttachments", "VpcEndpoints", "LoadBalancers", "NatGateways"])
def test_half_of_a_thing_is_noted(described: Any, write: Write, kind: str) -> None:
    """A resource without what belongs to it is left out with a note, whatever it is."""
    described[kind] = [{"VpnConnectionId": "x-1", "TransitGatewayAttachmentId": "x-1", "VpcEndpointId": "x-1", "NatGatewayId": "x-1"}]
    described[kind][0] |= {"LoadBalancerArn": "x-1", "LoadBalancerName": "x-1", "VpcId": "vpc-1", "Type": "network"}
    notes = read_network(write(described)).report
    assert "x-1" in {note.id for note in notes}
