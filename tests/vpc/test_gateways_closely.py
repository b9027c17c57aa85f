"""Gateways more closely: what a translated error quotes, the last port and the last second, whose groups are lost, and dead ends."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from emulator.datapath import balancers, nat
from emulator.datapath.state import Outcome
from emulator.engine import Engine
from emulator.model.entities import ExternalHost, InternetGateway, Link, NatGateway, RouteTable, VpcPeeringConnection
from emulator.model.groups import GroupPeer, Rule
from emulator.model.joined import (
    CustomerNetwork,
    Listener,
    NetworkLoadBalancer,
    Node,
    Target,
    TargetGroup,
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRoute,
    TransitGatewayRouteTable,
)
from emulator.model.services import ALL, ANY_PORTS
from emulator.model.topology import Topology
from emulator.policy.reasons import Reason
from emulator.wire.packet import Packet
from tests.base import ANYONE, APP1, APP2, B1, EXT, EXT2, WEB, WEB2, WEB_PUBLIC, base, group, route
from tests.dialogue import Dialogue, error, icmp, tcp, udp
from tests.vpc.test_joined import OPEN, X_B, Y_B, X, Y, balanced, office, two_vpcs

NAT_PUBLIC, NODE, NODE_PUBLIC = "198.51.100.20", "10.0.0.80", "198.51.100.80"
LOST = "SG_REFERENCES_NOT_PRESERVED"


def names(packet):
    """Source, destination, and ports or identifier of a packet, or of one that is quoted."""
    layer = packet.payload
    return packet.src, packet.dst, *((layer.id,) if packet.proto == 1 else (layer.sport, layer.dport))


@pytest.mark.parametrize(
    "ask", [tcp(APP1, EXT, "40000>443"), udp(APP1, EXT, "40000>53"), icmp(APP1, EXT, 8, ident=7)], ids=["tcp", "udp", "ping"]
)
def test_an_error_through_a_nat_gateway_quotes_what_the_other_side_knows(ask):
    """Errors about a flow's packets, from an end or a router on the way, quote what the other side knows (RFC 5508 §4.2)."""
    talk = Dialogue(base(group("any", OPEN, OPEN), app1="any"))
    asked = talk.send(ask).accepted().trace.delivered.scapy
    about = [Raw(bytes(packet)) for packet in (ask, asked)]
    for source in (EXT, EXT2):
        talk.send(IP(src=source, dst=NAT_PUBLIC) / ICMP(type=3, code=1) / about[1]).accepted(source=source, destination=APP1)
        assert names(talk.trace.delivered.scapy[ICMP].payload) == names(IP(bytes(about[0])))
    answer = IP(src=asked.dst, dst=asked.src, proto=asked.proto) / asked.payload.copy()
    del answer[1].chksum
    if ICMP in answer:
        answer[ICMP].type = 0
    else:
        answer.payload.sport, answer.payload.dport = asked.dport, asked.sport
    back = talk.send(answer).accepted(destination=APP1).trace.delivered.scapy
    talk.send(error(APP1, EXT, back, code=1)).accepted(source=NAT_PUBLIC, destination=EXT)
    assert names(talk.trace.delivered.scapy[ICMP].payload) == names(answer)


def test_an_error_about_no_flow_of_a_nat_gateway():
    """From outside it is unasked, from inside it is about nothing (RT-34)."""
    talk = Dialogue(base(group("any", OPEN, OPEN), app1="any"))
    talk.send(error(EXT, NAT_PUBLIC, udp(NAT_PUBLIC, EXT, "5000>53"))).dropped("E8(nat-a)", "EMU_NO_UNSOLICITED_INGRESS")
    talk.send(error(APP1, EXT, udp(EXT, APP1, "53>5000"))).dropped("E8(nat-a)", "EMU_NAT_NO_CONNECTION")


def test_an_error_does_not_keep_a_flow():
    """An ICMP error about a translated flow does not start its timer again."""
    talk = Dialogue(base(group("any", OPEN, OPEN), app1="any"))
    asked = talk.send(udp(APP1, EXT, "5000>53")).accepted().trace.delivered.scapy
    talk.at(300).send(IP(src=EXT, dst=NAT_PUBLIC) / ICMP(type=3, code=1) / Raw(bytes(asked))).accepted()
    talk.at(351).send(IP(src=EXT, dst=NAT_PUBLIC) / UDP(sport=53, dport=asked.sport)).dropped(code="EMU_NO_UNSOLICITED_INGRESS")


@pytest.mark.parametrize("ask", [udp(APP1, EXT, "40000>53"), tcp(APP1, EXT, "40000>443")], ids=["udp", "tcp"])
def test_a_flow_of_a_nat_gateway_ends_after_350_s_to_the_nanosecond(ask):
    """At 350 s of silence it is gone, a nanosecond before it is not, and each packet starts the time again (RT-33)."""
    talk = Dialogue(base(group("any", OPEN, OPEN), app1="any"))
    asked = talk.send(ask).accepted().trace.delivered.scapy
    answer = IP(src=EXT, dst=NAT_PUBLIC) / (UDP if UDP in ask else TCP)(sport=asked.dport, dport=asked.sport)
    if TCP in ask:
        answer[TCP].flags = "SA"
    talk.at("349999999999ns").send(answer).accepted()
    talk.at("699999999999ns").send(answer).dropped("E8(nat-a)", "EMU_NO_UNSOLICITED_INGRESS")


def test_a_closed_flow_of_a_nat_gateway_is_gone():
    """After a reset, or both ends' FINs and the acknowledgement, nothing of it passes (RT-33)."""
    talk = Dialogue(base(group("any", OPEN, OPEN), app1="any"))
    port = talk.send(tcp(APP1, EXT, "40000>443")).accepted().trace.delivered.five_tuple.source_port
    talk.send(tcp(EXT, NAT_PUBLIC, f"443>{port}", "RA")).accepted()
    talk.send(tcp(EXT, NAT_PUBLIC, f"443>{port}", "A")).dropped(code="EMU_NO_UNSOLICITED_INGRESS")
    talk.send(tcp(APP1, EXT, "40000>443", "A")).dropped(code="EMU_NAT_NO_CONNECTION")
    assert [one.sent.scapy[TCP].flags for one in talk.trace.made] == ["R"]
    talk.send(tcp(APP1, EXT, "40000>443", "S")).accepted()


def test_ports_of_a_nat_gateway_go_round(monkeypatch):
    """A port that is taken makes way for the next one, 65535 for 1024; destinations and protocols have their own (RT-31, RT-32)."""
    monkeypatch.setattr(nat, "mix", lambda *_: nat.PORTS - 1)
    second = ((ip_address("10.0.0.221"), ip_address("198.51.100.21")),)
    talk = Dialogue(base(NatGateway("nat-a", "pub-a", ip_address("10.0.0.220"), ip_address(NAT_PUBLIC), secondary_ips=second)))
    seen = []
    for port in (40000, 40001, 40002):
        talk.send(tcp(APP1, EXT, f"{port}>443")).accepted()
        seen.append((str(talk.trace.delivered.five_tuple.source), talk.trace.delivered.five_tuple.source_port))
    assert seen == [("198.51.100.21", 65535), ("198.51.100.21", 1024), ("198.51.100.21", 1025)]
    for (public, port), wanted in zip(seen, (40000, 40001, 40002), strict=True):
        talk.send(tcp(EXT, public, f"443>{port}", "SA")).accepted(destination=APP1)
        assert talk.trace.delivered.five_tuple.destination_port == wanted
    talk.send(udp(APP1, EXT, "40000>443")).accepted()
    assert talk.trace.delivered.five_tuple.source_port == 65535, "udp has ports of its own"
    talk.send(tcp(APP1, EXT2, "40000>443")).accepted()
    assert talk.trace.delivered.five_tuple.source_port == 65535, "and so has every destination"


def test_a_nat_gateway_without_a_port_left(monkeypatch):
    """When every port of every address is taken towards a destination, a new flow is refused there (RT-32)."""
    monkeypatch.setattr(nat, "PORTS", 2)
    second = ((ip_address("10.0.0.221"), ip_address("198.51.100.21")),)
    talk = Dialogue(base(NatGateway("nat-a", "pub-a", ip_address("10.0.0.220"), ip_address(NAT_PUBLIC), secondary_ips=second)))
    for port in range(40000, 40004):
        talk.send(tcp(APP1, EXT, f"{port}>443")).accepted()
        assert talk.trace.delivered.five_tuple.source_port in (1024, 1025)
    talk.send(tcp(APP1, EXT, "40004>443")).dropped("E8(nat-a)", "EMU_NAT_PORT_ALLOCATION")


@pytest.mark.parametrize(
    ("hub", "sender", "receiver", "code"),
    [
        pytest.param(True, True, True, "", id="on everywhere"),
        pytest.param(False, True, True, LOST, id="off at the gateway"),
        pytest.param(True, False, True, LOST, id="off at the sender's attachment"),
        pytest.param(True, True, False, LOST, id="off at the receiver's attachment"),
    ],
)
def test_sg31_groups_that_a_peering_may_name_cross_a_transit_gateway_only_where_it_says_so(hub, sender, receiver, code):
    """A rule is good because of a peering, but the packet comes by the transit gateway, which may lose its groups (SG-26, SG-31)."""
    named = group("named", [Rule(ALL, ANY_PORTS, GroupPeer("a/open"))], OPEN, "b")
    gateway = TransitGateway("hub", security_group_referencing=hub)
    topology = two_vpcs(named, VpcPeeringConnection("pcx", "a", "b"), hub=gateway, y_groups=("named",), security_group_referencing=receiver)
    topology = topology.changed("tgw-attach-to-a", security_group_referencing=sender)
    assert Dialogue(topology).send(tcp(X, Y, "1>2")).trace.reason == code


def chain(length, *more):
    """VPCs a and b at the two ends of a chain of transit gateways, hub-0 the first."""
    hubs = [f"hub-{at}" for at in range(length)]
    parts = []
    for at, name in enumerate(hubs):
        onward = [TransitGatewayRoute(ip_network("10.1.0.0/16"), f"{name}-on")] if at + 1 < length else []
        homeward = [TransitGatewayRoute(ip_network("10.0.0.0/16"), f"{name}-back")] if at else []
        parts += [TransitGateway(name), TransitGatewayRouteTable(f"table-{at}", name, (*onward, *homeward))]
        parts += [TransitGatewayAttachment(f"{name}-on", name, peer=hubs[at + 1])] if onward else []
        parts += [TransitGatewayAttachment(f"{name}-back", name, peer=hubs[at - 1])] if homeward else []
    for vpc, hub, other in (("a", hubs[0], "10.1.0.0/16"), ("b", hubs[-1], "10.0.0.0/16")):
        parts.append(TransitGatewayAttachment(f"to-{vpc}", hub, vpc=vpc, subnets=(f"{vpc}-tgw", f"{vpc}b")))
        parts.append(RouteTable("main", vpc, (route(other, hub),), main=True))
    return two_vpcs(*parts, *more)


@pytest.mark.parametrize("length", [2, 3, 8])
def test_over_several_transit_gateways(length):
    """Each gateway looks in its own table; addresses stay, answers come back (RT-54)."""
    talk = Dialogue(chain(length))
    for packet, hubs in ((tcp(X, Y, "1>2", "S"), range(length)), (tcp(Y, X, "2>1", "SA"), range(length - 1, -1, -1))):
        talk.send(packet).accepted()
        assert [step.at for step in talk.trace.steps if step.check == "gateway"] == [f"hub-{at}" for at in hubs]
    talk.send(tcp(X_B, Y_B, "1>2")).accepted()


def test_the_ninth_transit_gateway_takes_it_for_a_circle():
    """A packet goes over eight transit gateways at most; tables that lead it round are no trap."""
    Dialogue(chain(9)).send(tcp(X, Y, "1>2")).dropped("E8(hub-8)", "EMU_FORWARDING_LOOP")


def test_groups_do_not_cross_a_peering_of_transit_gateways():
    """Whatever the gateways say, the sender's groups are lost between two of them (SG-31)."""
    named = group("named", [Rule(ALL, ANY_PORTS, GroupPeer("a/open"))], OPEN, "b")
    hubs = [TransitGateway(f"hub-{at}", security_group_referencing=True) for at in range(2)]
    topology = chain(2, named, VpcPeeringConnection("pcx", "a", "b"))
    for hub in hubs:
        topology = topology.changed(f"tgw-{hub.name}", security_group_referencing=True)
    topology = topology.changed("eni-y", security_groups=("named",))
    Dialogue(topology).send(tcp(X, Y, "1>2")).dropped("I2(y)", LOST)


def test_a_peering_of_transit_gateways_that_one_side_does_not_know():
    """Where the other gateway has no attachment for the peering, nothing comes in by it."""
    topology = chain(2)
    one_sided = [part for part in topology.entities.values() if part.name != "hub-1-back"]
    tables = [part for part in one_sided if part.name != "table-1"]
    Dialogue(Topology.of(*tables, TransitGatewayRouteTable("table-1", "hub-1"))).send(tcp(X, Y, "1>2")).dropped("E8(hub-1)", "BAD_STATE")


def test_rt52_a_customer_network_needs_a_way_that_is_there():
    """To a VPN gateway: a source of the VPC's own, a destination that a customer network has (RA)."""
    topology = office()
    table = topology.get("rtb-priv", RouteTable)
    away = topology.changed(table.id, routes=(*table.routes, route("172.16.0.0/12", "vgw")))
    Dialogue(away).send(tcp(APP1, "172.16.0.1", "1>2")).dropped("E8(vgw)", "NO_POSSIBLE_DESTINATION")
    loose = topology.changed("eni-app1", source_dest_check=False)
    Dialogue(loose).send(tcp("10.9.9.9", "192.168.1.5", "1>2"), source="app1").dropped("E8(vgw)", "VGW_PRIVATE_IP_ASSOCIATION_FOR_EGRESS")
    Dialogue(office(up=False)).send(tcp("192.168.1.5", APP1, "1>2")).dropped("E8(office)", "BAD_STATE_VPN")


def test_a_customer_network_on_nothing():
    """A customer network that hangs on neither a VPN gateway nor a transit gateway leads nowhere."""
    lone = CustomerNetwork("lone", (ip_network("192.168.0.0/16"),))
    Dialogue(base(lone, ExternalHost("pc", (ip_address("192.168.1.5"),)))).send(tcp("192.168.1.5", APP1, "1>2")).dropped(
        "E8(lone)", "NO_POSSIBLE_DESTINATION"
    )


def second_way_in():
    """The base, in which vpc-b has an internet gateway, a NAT gateway and a balancer of its own."""
    return base(
        InternetGateway("igw-b", "vpc-b"),
        NatGateway("nat-b", "b", ip_address("10.1.0.220"), ip_address("198.51.100.90")),
        RouteTable("rtb-b", "vpc-b", (route(ANYONE, "igw-b"),), main=True),
        group("any", OPEN, OPEN, "vpc-b"),
        TargetGroup("servers-b", "vpc-b", 8080, (Target("b1"),)),
        NetworkLoadBalancer(
            "front-b", "vpc-b", (Node("b", ip_address("10.1.0.80"), ip_address("198.51.100.91")),), (Listener(80, "servers-b"),)
        ),
        b1="any",
    )


@pytest.mark.parametrize(
    ("destination", "places"),
    [
        pytest.param("198.51.100.90", ["igw-b", "nat-b"], id="a NAT gateway"),
        pytest.param("198.51.100.91", ["igw-b", "eni-front-b-b"], id="a balancer"),
        pytest.param("198.51.100.10", ["igw-a"], id="an interface"),
        pytest.param("10.1.0.77", ["igw-b"], id="an address of a block that nobody has"),
        pytest.param("8.8.8.8", ["igw-a"], id="an address that nobody has meets the first internet gateway"),
    ],
)
def test_from_outside_by_the_gateway_of_the_vpc_that_has_the_destination(destination, places):
    """Whoever has a public address is reached by its own VPC's internet gateway (RT-20, RT-23)."""
    talk = Dialogue(second_way_in())
    talk.send(tcp(EXT, destination, "50000>80"))
    assert list(dict.fromkeys(step.at for step in talk.trace.steps if step.check == "gateway")) == places


def test_from_vpc_to_vpc_by_public_addresses():
    """Out by the one internet gateway, in by the other, both addresses translated (RT-20)."""
    talk = Dialogue(second_way_in().changed("eni-b1", public_ips=((ip_address(B1), ip_address("198.51.100.95")),)))
    talk.send(tcp(WEB, "198.51.100.95", "40000>80")).accepted(source=WEB_PUBLIC, destination=B1)
    assert [step.at for step in talk.trace.steps if step.check == "gateway"] == ["igw-a", "igw-b"]


def test_a_balancer_loses_the_groups_of_its_client():
    """A target's rule that names the client's group does not match what comes by a balancer, though the address is kept (SG-26)."""
    served = group("served", [Rule(ALL, ANY_PORTS, GroupPeer("lab"))], [])
    talk = Dialogue(balanced("app1", app1="served").replace(served))
    talk.send(tcp(WEB, NODE, "40000>80")).dropped("I2(app1)", LOST)


@pytest.mark.parametrize(("protocol", "idle_s"), [(6, 350), (17, 120)], ids=["tcp", "udp"])
def test_ct29_a_flow_of_a_balancer_ends_to_the_nanosecond(protocol, idle_s):
    """A target's answer goes back by the balancer until its flow is idle for 350 s (tcp), 120 s (udp), then by its own route (CT-29)."""
    talk = Dialogue(balanced("app1", protocol=protocol, app1="served").replace(group("served", OPEN, OPEN)))
    make = (
        (lambda one, two, ports, flags: tcp(one, two, ports, flags))
        if protocol == 6
        else (lambda one, two, ports, flags: udp(one, two, ports))
    )
    talk.send(make(EXT, NODE_PUBLIC, "50000>80", "S")).accepted(destination=APP1)
    talk.at(f"{idle_s * 10**9 - 1}ns").send(make(APP1, EXT, "8080>50000", "SA")).accepted(source=NODE_PUBLIC)
    talk.at(f"{2 * idle_s * 10**9 - 1}ns").send(make(APP1, EXT, "8080>50000", "A"))
    assert NODE_PUBLIC not in str(talk.trace)


def test_ports_of_a_balancer_go_round(monkeypatch):
    """Clients of one target behind the balancer's own address have a port each, 1024 after 65535; where none is left a flow fails."""
    monkeypatch.setattr(balancers, "mix", lambda *_: balancers.PORTS - 1)
    talk = Dialogue(balanced(APP1, target_type="ip"))
    for client, port in ((EXT, 65535), (EXT2, 1024), ("192.0.2.1", 1025)):
        talk.send(tcp(client, NODE_PUBLIC, "50000>80")).accepted(source=NODE, destination=APP1)
        assert talk.trace.delivered.five_tuple.source_port == port
        talk.send(tcp(APP1, NODE, f"8080>{port}", "SA")).accepted(source=NODE_PUBLIC, destination=client)
        assert talk.trace.delivered.five_tuple.destination_port == 50000
    monkeypatch.setattr(balancers, "PORTS", 3)
    monkeypatch.setattr(balancers, "FIRST_PORT", 1023)
    talk.send(tcp("192.0.2.2", NODE_PUBLIC, "50000>80")).accepted()
    talk.send(tcp("192.0.2.3", NODE_PUBLIC, "50000>80")).dropped(code="ELBV2_NO_TARGETS_IN_AZ")


@pytest.mark.parametrize("flags", ["A", "SA", "R", "FA"])
def test_a_balancer_opens_a_flow_with_a_syn_alone(flags):
    """What begins in the middle is dropped at the node; a SYN opens, and is known by its own port and client alone."""
    talk = Dialogue(balanced("app1", app1="served"))
    talk.send(tcp(EXT, NODE_PUBLIC, "50000>80", flags)).dropped("E8(eni-front-pub-a)", "EMU_NAT_NO_CONNECTION")
    talk.send(tcp(EXT, NODE_PUBLIC, "50000>80", "S")).accepted()
    talk.send(tcp(EXT, NODE_PUBLIC, "50000>80", "A")).accepted()
    talk.send(tcp(EXT, NODE_PUBLIC, "50001>80", "A")).dropped(code="EMU_NAT_NO_CONNECTION")
    talk.send(tcp(EXT2, NODE_PUBLIC, "50000>80", "A")).dropped(code="EMU_NAT_NO_CONNECTION")


def test_a_target_answers_each_client_by_the_node_that_it_came_by():
    """Several clients of one target at once: each answer goes back to its own, and what answers nobody by the target's route."""
    talk = Dialogue(balanced("app1", app1="served").replace(group("served", OPEN, OPEN)))
    for client in (EXT, EXT2, WEB2):
        talk.send(tcp(client, NODE_PUBLIC if client != WEB2 else NODE, "50000>80")).accepted(destination=APP1)
    for client in (WEB2, EXT2, EXT):
        source = NODE if client == WEB2 else NODE_PUBLIC
        talk.send(tcp(APP1, client, "8080>50000", "SA")).accepted(source=source, destination=client)
        assert talk.trace.delivered.five_tuple.source_port == 80
    talk.send(tcp(APP1, EXT, "8080>50001", "S")).accepted(source=NAT_PUBLIC)
    talk.send(tcp(APP2, EXT, "8080>50000", "S")).accepted(source=NAT_PUBLIC)


def test_a_gateway_that_goes_away_under_a_packet():
    """A packet on its way to a gateway when that is deleted ends there (RT-10)."""
    links = (Link(("app1", "nat-a"), latency_ns=10**7), Link(("web", "pcx-ab"), latency_ns=10**7))
    for place, packet, deleted in (("eni-app1", tcp(APP1, EXT, "1>2"), "nat-a"), ("eni-web", tcp(WEB, B1, "1>2"), "pcx-ab")):
        topology = base(*links)
        engine = Engine(topology, compiled=False)
        engine.inject(Packet.of(packet).header, engine.ids.of(place), 0)
        engine.advance(0)
        without = [part for part in topology.entities.values() if part.name != deleted]
        without = [replace(part, routes=()) if isinstance(part, RouteTable) else part for part in without]
        engine.edit(Topology.of(*without, name="base"))
        engine.advance()
        outcome = engine.state.outcomes[0]
        assert Reason(outcome[Outcome.REASON]) == Reason.BAD_STATE
        assert engine.ids.name(outcome[Outcome.PLACE]).endswith(deleted)
