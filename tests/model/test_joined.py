"""Transit gateways, endpoints, balancers and customer networks are declared by name, resolved and checked."""

from ipaddress import ip_address, ip_network

import pytest

from emulator.errors import TopologyError
from emulator.model.entities import (
    Instance,
    InternetGateway,
    NatGateway,
    NetworkInterface,
    Route,
    RouteTable,
    Subnet,
    Vpc,
)
from emulator.model.files import dump, loads
from emulator.model.groups import PrefixList
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    InterfaceEndpoint,
    Listener,
    NetworkLoadBalancer,
    Node,
    Target,
    TargetGroup,
    TransitGateway,
    TransitGatewayAttachment,
    VpnGateway,
)
from emulator.model.topology import Topology

net, ip = ip_network, ip_address
BASE = (
    Vpc("a", (net("10.0.0.0/16"),)),
    Subnet("sa", "a", (net("10.0.1.0/24"),), availability_zone="a"),
    Vpc("b", (net("10.1.0.0/16"),)),
    Subnet("sb", "b", (net("10.1.1.0/24"),), availability_zone="a"),
    RouteTable("r", "a"),
    VpnGateway("vgw", "a"),
    TransitGateway("hub"),
    TransitGatewayAttachment("to-a", "hub", vpc="a", subnets=("sa",)),
    Instance("x", "a"),
    NetworkInterface("eth0", "x", "sa", (ip("10.0.1.10"),)),
    PrefixList("s3-list", "a", (net("52.216.0.0/15"),)),
    TargetGroup("servers", "a", 80, (Target("x:eth0"),)),
)


def test_references_become_ids_whatever_kind_of_thing_they_name():
    """Names of subnets, groups, lists, tables and targets are resolved within their VPC."""
    topology = Topology.of(
        *BASE,
        GatewayEndpoint("s3", "a", "s3-list", ("r",)),
        InterfaceEndpoint("queue", "a", (Node("sa", ip("10.0.1.77")),)),
        NetworkLoadBalancer("front", "a", (Node("sa", ip("10.0.1.88")),), (Listener(80, "servers"),)),
        CustomerNetwork("office", (net("192.168.0.0/16"),), gateway="vgw"),
    )
    assert topology.get("vpce-s3", GatewayEndpoint).route_tables == ("rtb-r",)
    assert topology.get("vpce-queue", InterfaceEndpoint).nodes[0].subnet == "subnet-sa"
    assert topology.get("vpce-queue", InterfaceEndpoint).security_groups == ("sg-default-a",)
    assert topology.get("targetgroup-servers", TargetGroup).targets[0].target == "eni-x"
    assert topology.get("loadbalancer-front", NetworkLoadBalancer).listeners[0].target_group == "targetgroup-servers"
    assert topology.get("cgw-office", CustomerNetwork).gateway == "vgw-vgw"
    assert topology.get("tgw-attach-to-a", TransitGatewayAttachment).route_table == "tgw-rtb-hub"
    assert topology.graph.has_edge("vgw-vgw", "cgw-office")
    assert topology.replace().entities == topology.entities


def test_an_attachments_addresses_are_kept_in_a_file():
    """What a file says of an attachment's addresses is read, saved, and read again."""
    own = TransitGatewayAttachment("to-b", "hub", vpc="b", subnets=("sb",), private_ips=(ip("10.1.1.9"),))
    saved = dump(Topology.of(*BASE, own))
    again = loads(saved, "again.yaml").get("tgw-attach-to-b", TransitGatewayAttachment)
    assert again.private_ips == (ip("10.1.1.9"),)
    assert dump(loads(saved, "again.yaml")) == saved


@pytest.mark.parametrize(
    ("parts", "trouble"),
    [
        pytest.param((TransitGatewayAttachment("none", "hub"),), "name exactly one", id="an attachment joins exactly one thing"),
        pytest.param(
            (TransitGatewayAttachment("to-b", "hub", vpc="b", subnets=("sb",), private_ips=(ip("10.0.1.9"),)),),
            "lies outside sb",
            id="FL-23 an attachment's address is of its subnet",
        ),
        pytest.param(
            (TransitGatewayAttachment("to-b", "hub", vpc="b", subnets=("sb",), private_ips=(ip("10.1.1.8"), ip("10.1.1.9"))),),
            "2 addresses for 1 subnets",
            id="FL-23 an attachment has an address a subnet",
        ),
        pytest.param(
            (InterfaceEndpoint("q", "a", (Node("sa", ip("10.0.1.10")),)),),
            "already belongs to",
            id="an endpoint's address belongs to nobody else",
        ),
        pytest.param(
            (InterfaceEndpoint("q", "a", (Node("sa", ip("10.0.1.1")),)),), "is reserved", id="an endpoint takes no reserved address"
        ),
        pytest.param(
            (NetworkLoadBalancer("n", "a", (Node("sb", ip("10.1.1.9")),)),), "no subnet is called sb", id="a balancer stands in its own VPC"
        ),
        pytest.param(
            (RouteTable("rt", "b", (Route(net("10.0.0.0/16"), "hub"),)),),
            "has no attachment to b",
            id="a route to a transit gateway needs an attachment",
        ),
        pytest.param(
            (RouteTable("edge", "a", (Route(net("10.0.1.0/25"), "x"),)), InternetGateway("igw", "a", route_table="edge")),
            "whole block",
            id="RT-15 an edge table's route is for a whole block",
        ),
        pytest.param(
            (NatGateway("nat", "sa", ip("10.0.1.20"), secondary_ips=tuple((ip(f"10.0.1.{n}"), None) for n in range(21, 29))),),
            "at most 8",
            id="RT-32 a NAT gateway has eight addresses at most",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(parts, trouble):
    """Each trouble is one line that says what is wrong."""
    with pytest.raises(TopologyError) as caught:
        Topology.of(*BASE, *parts)
    assert any(trouble in line for line in caught.value.problems)
