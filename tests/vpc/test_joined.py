"""Transit gateways, load balancers, endpoints, VPN, edge route tables and block public access, packet by packet."""

from ipaddress import ip_address

import pytest

from emulator.model.entities import ExternalHost, Instance, InternetGateway, NetworkInterface, RouteTable, Subnet, Vpc
from emulator.model.groups import AclRule, GroupPeer, NetworkAcl, Rule
from emulator.model.joined import (
    CustomerNetwork,
    InterfaceEndpoint,
    Listener,
    NetworkLoadBalancer,
    Node,
    Target,
    TargetGroup,
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRoute,
    TransitGatewayRouteTable,
    VpnGateway,
)
from emulator.model.services import ALL, ANY_PORTS
from emulator.model.topology import Topology
from tests.base import ANYONE, ANYONE_V6, APP1, APP2, DB, EXT, EXT2, EXT_V6, WEB, WEB_PUBLIC, WEB_V6, base, group, ip_network, route
from tests.dialogue import Dialogue, icmp, tcp, udp

OPEN = [("all", ANYONE)]
X, X_B, Y, Y_B = "10.0.1.10", "10.0.2.10", "10.1.1.10", "10.1.2.10"
ACL = "SUBNET_ACL_RESTRICTION"


def two_vpcs(*more, zones=("a", "b"), hub=None, y_groups=("open",), **attachment):
    """VPCs a and b, zones a and b, an instance in each subnet (x, x-b, y, y-b), joined by a transit gateway."""
    parts = [hub or TransitGateway("hub")]
    for vpc, second, names in (("a", 0, ("x", "x-b")), ("b", 1, ("y", "y-b"))):
        parts += [Vpc(vpc, (ip_network(f"10.{second}.0.0/16"),)), group("open", OPEN, OPEN, vpc)]
        other = ip_network(f"10.{1 - second}.0.0/16")
        parts.append(RouteTable("main", vpc, (route(str(other), "hub"),), main=True))
        for third, zone in ((1, "a"), (2, "b")):
            parts.append(Subnet(f"{vpc}{zone}", vpc, (ip_network(f"10.{second}.{third}.0/24"),), availability_zone=zone))
            name = names[third - 1]
            groups = y_groups if vpc == "b" else ("open",)
            parts += [Instance(name, vpc)]
            parts.append(NetworkInterface("eth0", name, f"{vpc}{zone}", (ip_address(f"10.{second}.{third}.10"),), (), groups))
        parts.append(Subnet(f"{vpc}-tgw", vpc, (ip_network(f"10.{second}.9.0/24"),), availability_zone="a"))
    parts.append(TransitGatewayAttachment("to-a", "hub", vpc="a", subnets=("a-tgw", "ab")[: len(zones)]))
    parts.append(TransitGatewayAttachment("to-b", "hub", vpc="b", subnets=("b-tgw", "bb")[: len(zones)], **attachment))
    kept = [
        part for part in parts if not any(type(part) is type(one) and (part.name, getattr(part, "vpc", "")) == _key(one) for one in more)
    ]
    return Topology.of(*kept, *more)


def _key(part):
    return part.name, getattr(part, "vpc", "")


def test_rt54_a_transit_gateway_joins_two_vpcs():
    """Packets cross by the attachments, addresses as they are, and replies come back (RT-54)."""
    talk = Dialogue(two_vpcs())
    talk.send(tcp(X, Y, "40000>22", "S")).accepted(source=X, destination=Y)
    talk.send(tcp(Y, X, "22>40000", "SA")).accepted(tracked=False)
    assert "hub" in [step.at for step in talk.trace.steps]


def test_rt54_a_zone_without_an_attachment_cannot_use_it_but_can_be_reached():
    """A subnet in a zone without an attachment is reached over the gateway and cannot answer (RT-54; measured on AWS)."""
    talk = Dialogue(two_vpcs(zones=("a",)))
    talk.send(tcp(X, Y_B, "40000>22", "S")).accepted()
    talk.send(tcp(Y_B, X, "22>40000", "SA")).dropped("E8(hub)", "TGW_ROUTE_AZ_RESTRICTION")


def test_rt55_the_attachment_subnets_acl():
    """The ACL of the attachment's subnet sees what passes it: inbound from senders, outbound to receivers (RT-55)."""
    shut = NetworkAcl("shut", "b")
    blocks = (ip_network("10.1.9.0/24"),)
    talk = Dialogue(two_vpcs(shut, Subnet("b-tgw", "b", blocks, availability_zone="a", network_acl="shut")))
    talk.send(tcp(X, Y, "40000>22", "S")).dropped("E5(b-tgw)", ACL)
    talk.send(tcp(Y, X, "40000>22", "S")).dropped("I1(b-tgw)", ACL)
    talk.send(tcp(Y_B, X_B, "40000>22", "S")).accepted()


@pytest.mark.parametrize(
    ("ingress", "egress", "stage"),
    [
        pytest.param("10.9.0.0/16", "10.1.0.0/16", "I1(ab)", id="inbound asks for the sender"),
        pytest.param("10.0.2.0/24", "10.9.0.0/16", "E5(ab)", id="outbound asks for the receiver"),
        pytest.param("10.0.2.0/24", "10.1.0.0/16", None, id="both allow it"),
    ],
)
def test_rt55_an_attachment_in_the_senders_own_subnet(ingress, egress, stage):
    """To a transit gateway in its own subnet a packet meets the ACL outbound and inbound; from there to it none (RT-55)."""
    rules = [(AclRule(100, True, ALL, ANY_PORTS, ip_network(block)),) for block in (ingress, egress)]
    subnet = Subnet("ab", "a", (ip_network("10.0.2.0/24"),), availability_zone="b", network_acl="own")
    talk = Dialogue(two_vpcs(NetworkAcl("own", "a", *rules), subnet))
    talk.send(tcp(X_B, Y_B, "40000>22", "S"))
    talk.accepted() if stage is None else talk.dropped(stage, ACL)
    talk.send(tcp(Y_B, X_B, "40000>22", "S")).accepted()


def test_rt54_static_routes_and_blackholes():
    """A static route beats a propagated one of the same prefix, the longest prefix wins, blackholes drop (RT-54)."""
    routes = (TransitGatewayRoute(ip_network("10.1.1.0/24"), blackhole=True), TransitGatewayRoute(ip_network("10.1.0.0/16"), "to-b"))
    talk = Dialogue(two_vpcs(TransitGatewayRouteTable("default", "hub", routes)))
    talk.send(tcp(X, Y, "1>2")).dropped("E8(hub)", "TGW_RTB_BAD_STATE_ROUTE")
    talk.send(tcp(X, Y_B, "1>2")).accepted()


def test_rt54_association_and_propagation():
    """An attachment sees the routes of its associated table alone; without one nothing passes (RT-54)."""
    alone = TransitGatewayAttachment("to-a", "hub", vpc="a", subnets=("a-tgw",), route_table="")
    Dialogue(_with(alone)).send(tcp(X, Y, "1>2")).dropped("E8(hub)", "TGW_ATTACH_MISSING_TGW_RTB_ASSOCIATION")
    silent = TransitGatewayAttachment("to-b", "hub", vpc="b", subnets=("b-tgw",), propagates_to=())
    Dialogue(_with(silent)).send(tcp(X, Y, "1>2")).dropped("E8(hub)", "TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT")


def _with(attachment):
    topology = two_vpcs()
    found = topology.get(f"tgw-attach-{attachment.name}", TransitGatewayAttachment)
    return topology.changed(
        found.id,
        route_table=attachment.route_table if attachment.route_table is not None else found.route_table,
        propagates_to=found.propagates_to if attachment.propagates_to is None else attachment.propagates_to,
    )


@pytest.mark.parametrize(
    ("hub", "attachment", "code"),
    [
        pytest.param(True, True, "", id="SG-31 on at the gateway and at the attachment"),
        pytest.param(False, True, "ENI_SG_RULES_MISMATCH", id="SG-31 SG-32 off at the gateway, which is the default"),
        pytest.param(True, False, "ENI_SG_RULES_MISMATCH", id="SG-31 SG-32 off at the attachment"),
    ],
)
def test_sg31_groups_across_a_transit_gateway(hub, attachment, code):
    """An inbound rule may name a group across a transit gateway only where the option is on (SG-31)."""
    named = group("named", [Rule(ALL, ANY_PORTS, GroupPeer("a/open"))], OPEN, "b")
    gateway = TransitGateway("hub", security_group_referencing=hub)
    topology = two_vpcs(named, hub=gateway, y_groups=("named",), security_group_referencing=attachment)
    trace = Dialogue(topology).send(tcp(X, Y, "1>2")).trace
    assert trace.reason == code


def test_appliance_mode_keeps_both_directions_in_one_zone():
    """In appliance mode request and answer leave by the same interface, whatever zones their ends are in (RT-54)."""
    talk = Dialogue(two_vpcs(appliance_mode=True))
    for port in range(40000, 40008):
        ways = []
        for packet in (tcp(X, Y_B, f"{port}>22", "S"), tcp(X, Y_B, f"{port}>22", "A")):
            talk.send(packet).accepted()
            ways.append([step.at for step in talk.trace.steps if step.at.startswith("eni-to-b")])
        assert ways[0] == ways[1] != []


def balanced(*targets, cross_zone=False, target_type="instance", protocol=6, keep=None, **groups):
    """The base with a public balancer in pub-a whose listener 80 leads to port 8080 of some targets."""
    return base(
        group("served", [("tcp/8080", "203.0.113.0/24")], []),
        Subnet("pub-a", "vpc-a", (ip_network("10.0.0.0/24"), ip_network("2001:db8:a::/64")), availability_zone="a", route_table="rtb-pub"),
        Subnet(
            "app-a",
            "vpc-a",
            (ip_network("10.0.1.0/24"), ip_network("2001:db8:a:1::/64")),
            availability_zone="a",
            route_table="rtb-priv",
        ),
        Subnet("db-a", "vpc-a", (ip_network("10.0.2.0/24"),), availability_zone="b"),
        TargetGroup("servers", "vpc-a", 8080, tuple(Target(one) for one in targets), protocol, target_type, keep),
        NetworkLoadBalancer(
            "front",
            "vpc-a",
            (Node("pub-a", ip_address("10.0.0.80"), ip_address("198.51.100.80")),),
            (Listener(80, "servers", protocol),),
            cross_zone,
        ),
        **groups,
    )


def test_nlb_keeps_the_clients_address_for_instances():
    """An instance sees the client's address, and its answer goes back through the balancer, not by its own route (CT-16)."""
    talk = Dialogue(balanced("app1", app1="served"))
    talk.send(tcp(EXT, "198.51.100.80", "50000>80", "S")).accepted(source=EXT, destination=APP1, tracked=True)
    assert talk.trace.delivered.five_tuple.destination_port == 8080
    talk.send(tcp(APP1, EXT, "8080>50000", "SA")).accepted(source="198.51.100.80", destination=EXT)
    assert talk.trace.delivered.five_tuple.source_port == 80
    assert "nat-a" not in [step.at for step in talk.trace.steps]


def test_nlb_stands_for_the_client_of_ip_targets():
    """A target registered by address sees the node's address (measured on AWS)."""
    talk = Dialogue(balanced(APP1, target_type="ip"))
    talk.send(tcp(EXT, "198.51.100.80", "50000>80", "S")).accepted(source="10.0.0.80", destination=APP1)
    port = talk.trace.delivered.five_tuple.source_port
    talk.send(tcp(APP1, "10.0.0.80", f"8080>{port}", "SA")).accepted(source="198.51.100.80", destination=EXT)


def test_nlb_answers_neither_ping_nor_other_ports():
    """A balancer takes only what it listens for (measured on AWS)."""
    talk = Dialogue(balanced("app1"))
    talk.send(icmp(EXT, "198.51.100.80", 8)).dropped("E8(eni-front-pub-a)", "ELBV2_LISTENERS_MISMATCH")
    talk.send(tcp(EXT, "198.51.100.80", "1>81")).dropped("E8(eni-front-pub-a)", "ELBV2_LISTENERS_MISMATCH")


def test_nlb_zones():
    """A node uses targets of its own zone, of every zone with cross-zone (measured on AWS)."""
    talk = Dialogue(balanced("db"))
    talk.send(tcp(EXT, "198.51.100.80", "1>80")).dropped("E8(eni-front-pub-a)", "ELBV2_NO_TARGETS_IN_AZ")
    Dialogue(balanced(DB, cross_zone=True, target_type="ip")).send(tcp(EXT, "198.51.100.80", "1>80")).accepted(destination=DB)


def test_nlb_a_target_cannot_call_itself():
    """With the client's address kept, a target that calls itself through the balancer fails (measured on AWS)."""
    Dialogue(balanced("app1")).send(tcp(APP1, "10.0.0.80", "1>80")).dropped(code="ELBV2_SOURCE_ADDRESS_PRESERVATION")


def test_nlb_a_flow_stays_with_its_target():
    """All packets of a flow go to one target; flows spread over the targets."""
    talk = Dialogue(balanced(APP1, APP2, target_type="ip"))
    chosen = set()
    for port in range(50000, 50020):
        talk.send(tcp(EXT, "198.51.100.80", f"{port}>80", "S")).accepted()
        first = talk.trace.delivered.five_tuple.destination
        talk.send(tcp(EXT, "198.51.100.80", f"{port}>80", "A")).accepted(destination=str(first))
        chosen.add(str(first))
    assert chosen == {APP1, APP2}


def endpoint(*groups):
    """The base with an interface endpoint in app-a."""
    return base(*groups, InterfaceEndpoint("queue", "vpc-a", (Node("app-a", ip_address("10.0.1.77")),), tuple(one.name for one in groups)))


def test_rt57_an_interface_endpoint_is_an_interface_with_groups():
    """Groups and ACLs judge an endpoint's traffic, which is always tracked; it answers tcp on its port alone (RT-57, CT-16)."""
    narrow = group("narrow", [("all", "10.0.1.0/24")], [])
    talk = Dialogue(endpoint(narrow))
    talk.send(tcp(APP1, "10.0.1.77", "40000>443", "S")).accepted(by="narrow ingress 1")
    talk.send(tcp("10.0.1.77", APP1, "443>40000", "SA"), source="queue").accepted(tracked=True)
    talk.send(tcp(APP1, "10.0.1.77", "40000>80", "S")).dropped(code="PROTOCOL_RESTRICTION")
    talk.send(icmp(APP1, "10.0.1.77", 8)).dropped(code="PROTOCOL_RESTRICTION")
    talk.send(tcp(DB, "10.0.1.77", "40000>443", "S")).dropped(code="ENI_SG_RULES_MISMATCH")


def office(up=True, **table):
    """The base with a VPN to 192.168.0.0/16, where a pc stands, its routes propagated to rtb-priv."""
    priv = RouteTable("rtb-priv", "vpc-a", (route(ANYONE, "nat-a"),), propagating=("vgw",))
    network = CustomerNetwork("office", (ip_network("192.168.0.0/16"),), gateway="vgw", up=up)
    open_office = group("office", [("all", "192.168.0.0/16")], OPEN)
    return base(
        VpnGateway("vgw", "vpc-a"), network, ExternalHost("pc", (ip_address("192.168.1.5"),)), priv, open_office, app1="office", **table
    )


def test_vpn_joins_a_customer_network():
    """A propagated route leads to the customer's network and its hosts reach interfaces of the VPC, translated nowhere (RT-5, RT-7)."""
    talk = Dialogue(office())
    talk.send(tcp(APP1, "192.168.1.5", "40000>22", "S")).accepted(source=APP1)
    talk.send(tcp("192.168.1.5", APP1, "22>40000", "SA")).accepted()
    talk.send(tcp("192.168.1.5", APP1, "40000>22", "S")).accepted(by="office ingress 1")
    talk.send(tcp(APP1, "192.168.7.7", "1>2")).accepted()
    talk.send(tcp(DB, "192.168.1.5", "1>2")).dropped("E6(db-a)", "NO_ROUTE_TO_DESTINATION")
    Dialogue(office(up=False)).send(tcp(APP1, "192.168.1.5", "1>2")).dropped("E8(vgw)", "BAD_STATE_VPN")


def test_rt52_a_customer_network_does_not_get_through_to_others():
    """The far side of a VPN reaches the VPC's interfaces and nothing beyond: no internet, no peer (RT-52)."""
    talk = Dialogue(office())
    for beyond in (EXT, "10.1.0.10"):
        talk.send(tcp("192.168.1.5", beyond, "1>2")).dropped("E8(vgw)", "VGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS")


def edged(public=True):
    """The base with an edge table that leads what comes in for app-a through mbx; app1 has a public address."""
    topology = base(
        InternetGateway("igw-a", "vpc-a", route_table="edge"),
        RouteTable("edge", "vpc-a", (route("10.0.1.0/24", "mbx"),)),
        RouteTable("rtb-priv", "vpc-a", (route(ANYONE, "mbx"), route(ANYONE_V6, "eigw-a"))),
        group("any", OPEN, OPEN),
        app1="any",
        mbx="any",
    )
    topology = topology.changed("eni-app1", public_ips=((ip_address(APP1), ip_address("198.51.100.50")),))
    pair = ((ip_address("10.0.0.50"), ip_address("198.51.100.51")),) if public else ()
    return topology.changed("eni-mbx", public_ips=pair)


def test_rt15_an_edge_route_table_leads_through_an_appliance():
    """Inbound traffic follows the gateway's edge table through the appliance, outbound returns through it (RT-15, RT-16)."""
    talk = Dialogue(edged())
    talk.send(tcp(EXT, "198.51.100.50", "50000>443", "S")).accepted(destination=APP1)
    assert [step.at for step in talk.trace.steps if step.check == "forward"] == ["mbx:eth0"]
    talk.send(tcp(APP1, EXT, "443>50000", "SA")).accepted(source="198.51.100.50")
    assert [step.at for step in talk.trace.steps if step.check == "forward"] == ["mbx:eth0"]


def test_rt15_the_appliance_needs_a_public_address():
    """An appliance without a public address gets nothing from an internet gateway (RT-15)."""
    Dialogue(edged(public=False)).send(tcp(EXT, "198.51.100.50", "1>443")).dropped("E6(igw-a)", "INGRESS_RTB_NO_PUBLIC_IP")


def test_rt15_no_way_out_past_the_appliance():
    """A subnet whose inbound traffic is redirected cannot go straight out by the gateway (RT-15)."""
    topology = edged().replace()
    straight = topology.get("rtb-priv", RouteTable)
    topology = topology.changed(straight.id, routes=(route(ANYONE, "igw-a"),))
    Dialogue(topology).send(tcp(APP1, EXT, "1>2")).dropped("E8(igw-a)", "INGRESS_RTB_TRAFFIC_REDIRECTION")


@pytest.mark.parametrize(
    ("vpc", "subnet", "out", "back", "new"),
    [
        pytest.param("off", "", True, True, True, id="RT-28 off"),
        pytest.param("block-bidirectional", "", False, False, False, id="RT-28 bidirectional blocks everything"),
        pytest.param("block-ingress", "", True, True, False, id="RT-28 ingress: out and its replies pass"),
        pytest.param("block-bidirectional", "off", True, True, True, id="RT-28 a subnet excluded, both ways"),
        pytest.param("block-bidirectional", "block-ingress", True, True, False, id="RT-28 a subnet excluded, outbound"),
    ],
)
def test_rt28_block_public_access(vpc, subnet, out, back, new):
    """The mode in force decides at the internet gateway, for both families (RT-28)."""
    topology = base(group("any", [*OPEN, ("all", ANYONE_V6)], [*OPEN, ("all", ANYONE_V6)]), web="any")
    topology = topology.changed("vpc-a", block_public_access=vpc).changed("subnet-pub-a", block_public_access=subnet)
    talk = Dialogue(topology)
    packets = ((tcp(WEB, EXT, "40000>443"), out), (tcp(EXT, WEB_PUBLIC, "443>40000", "SA"), back), (tcp(EXT2, WEB_PUBLIC, "1>2"), new))
    packets += ((tcp(WEB_V6, EXT_V6, "40000>443"), out), (tcp(EXT_V6, WEB_V6, "443>40000", "SA"), back), (tcp(EXT_V6, WEB_V6, "1>2"), new))
    for packet, passes in packets:
        talk.send(packet)
        assert talk.trace.reason == ("" if passes else "VPC_BLOCK_PUBLIC_ACCESS_ENABLED")


def test_nlb_udp():
    """A listener for udp serves udp, with the client's address kept (CT-29)."""
    open_to_all = group("served", [("udp/8080", ANYONE)], [])
    talk = Dialogue(balanced("app1", protocol=17, app1="served").replace(open_to_all))
    talk.send(udp(EXT, "198.51.100.80", "50000>80")).accepted(source=EXT, destination=APP1)
    talk.send(udp(APP1, EXT, "8080>50000")).accepted(source="198.51.100.80")


def test_na14_a_nat_gateways_subnet_filters_both_legs():
    """The ACL of the NAT gateway's subnet sees its traffic on both sides (NA-14, RT-35)."""
    out_only = NetworkAcl(
        "own",
        "vpc-a",
        (AclRule(100, True, 6, (0, 65535), ip_network("10.0.1.0/24")),),
        (AclRule(100, True, ALL, ANY_PORTS, ip_network(ANYONE)),),
    )
    subnet = Subnet("pub-a", "vpc-a", (ip_network("10.0.0.0/24"), ip_network("2001:db8:a::/64")), route_table="rtb-pub", network_acl="own")
    talk = Dialogue(base(out_only, subnet))
    talk.send(tcp(APP1, EXT, "40000>443", "S")).accepted()
    port = talk.trace.delivered.five_tuple.source_port
    talk.send(tcp(EXT, "198.51.100.20", f"443>{port}", "SA")).dropped("I1(pub-a)", ACL)
