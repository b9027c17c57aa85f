"""Topologies and flows that the tests of the pictures share."""

from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import strategies as st

from emulator.model.entities import (
    EgressOnlyInternetGateway,
    ExternalHost,
    Instance,
    InternetGateway,
    NatGateway,
    NetworkInterface,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import Rule, SecurityGroup
from emulator.model.joined import CustomerNetwork, InterfaceEndpoint, Node, TransitGateway, TransitGatewayAttachment, VpnGateway
from emulator.model.topology import Topology
from emulator.views.scene import FlowLine

MISMATCH = "ENI_SG_RULES_MISMATCH"
HOSTILE = {
    "markup": "<script>alert(1)</script>",
    "mathtext": "$x^2$ $\\frac{a}$ \\alpha",
    "right to left": "\u202eabc\u202c שלום",
    "ten thousand characters": "x" * 10_000,
    "control characters": "a\x00b\x1b[31m\nc\x7f\ud800",
    "east asian": "漢字 🎉",
    "entities and quotes": "&amp; \"'`${7*7}",
}


def web() -> Topology:
    """A public subnet with a web server, and three hosts outside."""
    return Topology.of(
        Vpc("shop", (ip_network("10.0.0.0/16"), ip_network("2001:db8:a::/56"))),
        InternetGateway("igw", "shop"),
        RouteTable("public", "shop", (Route(ip_network("0.0.0.0/0"), "igw"), Route(ip_network("::/0"), "igw"))),
        Subnet("public-a", "shop", (ip_network("10.0.1.0/24"), ip_network("2001:db8:a::/64")), "a", "public"),
        SecurityGroup("web", "shop", (Rule.of("HTTPS", "0.0.0.0/0"),)),
        Instance("web-1", "shop"),
        NetworkInterface(
            "eth0",
            "web-1",
            "public-a",
            (ip_address("10.0.1.10"), ip_address("2001:db8:a::10")),
            ((ip_address("10.0.1.10"), ip_address("198.51.100.10")),),
            ("web",),
        ),
        ExternalHost("customer", (ip_address("192.0.2.77"),)),
        ExternalHost("scanner", (ip_address("203.0.113.200"),)),
        name="web",
    )


def estate(vpcs: int = 1, subnets: int = 3, instances: int = 6, interfaces: int = 1, hosts: int = 2, zones: int = 2) -> Topology:
    """VPCs in a row, peered with the first one, whose subnets are public, private (behind a NAT gateway) and isolated in turn."""
    parts: list[Any] = [ExternalHost(f"out-{number}", (ip_address(f"192.0.2.{number + 1}"),)) for number in range(hosts)]
    for vpc in range(vpcs):
        name = f"vpc-{vpc}"
        parts += [
            Vpc(name, (ip_network(f"10.{vpc}.0.0/16"), ip_network(f"2001:db8:{vpc}::/56"))),
            InternetGateway(f"igw-{vpc}", name),
            EgressOnlyInternetGateway(f"eigw-{vpc}", name),
            RouteTable(f"public-{vpc}", name, (Route(ip_network("0.0.0.0/0"), f"igw-{vpc}"),)),
            RouteTable(f"private-{vpc}", name, (Route(ip_network("0.0.0.0/0"), f"nat-{vpc}"), Route(ip_network("::/0"), f"eigw-{vpc}"))),
            RouteTable(f"isolated-{vpc}", name),
            NatGateway(f"nat-{vpc}", f"subnet-{vpc}-0", ip_address(f"10.{vpc}.0.250"), ip_address(f"198.51.100.{vpc + 1}")),
            *(SecurityGroup(f"group-{vpc}-{number}", name, (Rule.of("HTTPS", "0.0.0.0/0"),)) for number in range(3)),
        ]
        for subnet in range(subnets):
            table = f"{('public', 'private', 'isolated')[subnet % 3]}-{vpc}"
            blocks = (ip_network(f"10.{vpc}.{subnet}.0/24"), ip_network(f"2001:db8:{vpc}:{subnet}::/64"))
            parts.append(Subnet(f"subnet-{vpc}-{subnet}", name, blocks, "abc"[subnet % zones], table))
        for number in range(instances):
            parts.append(Instance(f"host-{vpc}-{number}", name))
            for eni in range(interfaces):
                home, low = (number + eni) % subnets, 10 + number // subnets * interfaces + eni
                ips = (ip_address(f"10.{vpc}.{home}.{low}"), ip_address(f"2001:db8:{vpc}:{home}::{low}"))
                parts.append(
                    NetworkInterface(f"eth{eni}", f"host-{vpc}-{number}", f"subnet-{vpc}-{home}", ips, (), (f"group-{vpc}-{number % 3}",))
                )
    parts += [VpcPeeringConnection(f"peering-{vpc}", "vpc-0", f"vpc-{vpc}") for vpc in range(1, vpcs)]
    return Topology.of(*parts, name="estate")


def joined() -> Topology:
    """Two VPCs on a transit gateway; a customer network behind a VPN gateway; an endpoint's node in a subnet."""
    parts: list[Any] = [
        TransitGateway("hub"),
        VpnGateway("vgw", "a"),
        CustomerNetwork("office", (ip_network("192.168.0.0/16"),), gateway="vgw"),
        ExternalHost("branch", (ip_address("192.168.1.5"),)),
        InterfaceEndpoint("queue", "a", (Node("sub-a", ip_address("10.0.1.77")),)),
    ]
    for number, (vpc, host) in enumerate((("a", "x"), ("b", "y"))):
        parts += [
            Vpc(vpc, (ip_network(f"10.{number}.0.0/16"),)),
            Subnet(f"sub-{vpc}", vpc, (ip_network(f"10.{number}.1.0/24"),), "a"),
            TransitGatewayAttachment(f"to-{vpc}", "hub", vpc=vpc, subnets=(f"sub-{vpc}",)),
            Instance(host, vpc),
            NetworkInterface("eth0", host, f"sub-{vpc}", (ip_address(f"10.{number}.1.10"),)),
        ]
    return Topology.of(*parts, name="joined")


@st.composite
def pictures(draw: st.DrawFn) -> tuple[Topology, list[FlowLine]]:
    """A topology and flows between any two of its ends, with any fate."""
    topology = estate(
        vpcs=draw(st.integers(1, 3)),
        subnets=draw(st.integers(1, 7)),
        instances=draw(st.integers(0, 12)),
        interfaces=draw(st.integers(1, 2)),
        hosts=draw(st.integers(0, 14)),
        zones=draw(st.integers(1, 3)),
    )
    enis = [eni.id for eni in topology.all(NetworkInterface)]
    ends = [*enis, *(host.id for host in topology.all(ExternalHost)), ""]
    places = [*topology.entities, ""]
    flows = []
    for _ in range(draw(st.integers(0, 12))):
        source, destination = draw(st.sampled_from(ends)), draw(st.sampled_from(ends))
        if source == destination or not {source, destination} & set(enis):
            continue
        verdict = draw(st.sampled_from(("accept", "drop", "partial")))
        died = draw(st.sampled_from([source, destination, draw(st.sampled_from(places))])) if verdict != "accept" else ""
        code = draw(st.sampled_from((MISMATCH, "SG_HAS_NO_RULES", "NO_ROUTE_TO_DESTINATION")))
        label = draw(st.sampled_from(("tcp/22", "tcp/443", "udp/53", "icmp")))
        flows.append(FlowLine(source, destination, label, verdict, 5, 2, died, "", code if died else "", draw(st.booleans())))
    return topology, flows
