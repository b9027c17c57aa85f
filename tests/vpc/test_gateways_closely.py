"""Gateways more closely: chains of transit gateways, groups that they lose, ways in from outside, and dead ends."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from scapy.layers.inet import ICMP

from emulator.datapath import transit
from emulator.datapath.state import Outcome
from emulator.engine import Engine
from emulator.model.entities import (
    EgressOnlyInternetGateway,
    ExternalHost,
    InternetGateway,
    Link,
    NatGateway,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
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
    VpnGateway,
)
from emulator.model.services import ALL, ANY_PORTS
from emulator.model.topology import Topology
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.reasons import Reason, Verdict
from emulator.policy.tables import Cell
from emulator.wire.addresses import halves
from emulator.wire.packet import Packet
from tests.base import ANYONE, ANYONE_V6, APP1, APP1_V6, B1, EXT, EXT_V6, WEB, WEB2, WEB2_PUBLIC, WEB_PUBLIC, WEB_V6, base, group, route
from tests.bulk import drawn
from tests.datapath.test_ways import both, rows_of
from tests.dialogue import Dialogue, error, tcp, udp
from tests.vpc.test_joined import OPEN, X_B, Y_B, X, Y, office, two_vpcs

LOST = "SG_REFERENCES_NOT_PRESERVED"


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
    Dialogue(topology).send(tcp("10.0.9.9", APP1, "1>2"), source="pc").dropped("E8(vgw)", "GATEWAY_REJECTS_SPOOFED_TRAFFIC")


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


def test_what_nobody_has_meets_the_first_gateway_that_there_is():
    """A VPC without a gateway is passed over, whatever stands in it (RT-23)."""
    parts = [part for part in second_way_in().entities.values() if part.name not in ("igw-a", "eigw-a", "ext", "ext2")]
    parts = [replace(part, routes=()) if isinstance(part, RouteTable) and part.name in ("rtb-pub", "rtb-priv") else part for part in parts]
    for order in (parts, parts[::-1]):
        talk = Dialogue(Topology.of(*order)).send(tcp(EXT, "8.8.8.8", "1>2"))
        talk.dropped("E8(igw-b)", "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS")


@pytest.mark.parametrize("about", ["web", "another"])
def test_an_error_through_an_internet_gateway_quotes_public_addresses(about):
    """The quoted address is translated where it is the sender's own, either way, and left alone where it is another's (RFC 5508 §4.2)."""
    talk = Dialogue(base(group("any", OPEN, OPEN), web="any"))
    inside, outside = (WEB, WEB_PUBLIC) if about == "web" else ("10.0.0.99", "10.0.0.99")
    talk.send(error(WEB, EXT, udp(EXT, inside, "5000>53"))).accepted(source=WEB_PUBLIC)
    quoted = talk.trace.delivered.scapy[ICMP].payload
    assert (quoted.src, quoted.dst) == (EXT, outside)
    talk.send(error(EXT, WEB_PUBLIC, udp(outside, EXT, "53>5000"))).accepted(destination=WEB)
    quoted = talk.trace.delivered.scapy[ICMP].payload
    assert (quoted.src, quoted.dst) == (inside, EXT)


def test_an_error_finds_the_connection_that_it_is_about_across_an_internet_gateway():
    """Of a flow between two public addresses of one VPC each end knows other addresses; the error fits the asker's (CT-36, RT-27)."""
    answers = group("answers", [("udp/53", ANYONE)], [("all", ANYONE)])
    asks = group("asks", [], [("all", ANYONE)])
    talk = Dialogue(base(answers, asks, web="asks", web2="answers", policy={"icmp_error_related": True}))
    asked = talk.send(udp(WEB, WEB2_PUBLIC, "5000>53")).accepted(source=WEB_PUBLIC, destination=WEB2).trace.delivered.scapy
    talk.send(error(WEB2, WEB_PUBLIC, asked)).accepted(source=WEB2_PUBLIC, destination=WEB)
    talk.send(error(WEB2, WEB_PUBLIC, udp(WEB_PUBLIC, WEB2, "5001>53"))).dropped("I2(web)", "SG_HAS_NO_RULES")


def test_groups_do_not_cross_a_peering_between_regions():
    """Between Regions a rule may not name a group, and what crosses has lost its own (SG-30)."""
    far = VpcPeeringConnection("pcx-ab", "vpc-a", "vpc-b", inter_region=True)
    talk = Dialogue(base(far, group("any", OPEN, OPEN, "vpc-b"), b1="any")).send(tcp(WEB, B1, "1>2")).accepted()
    carried, lost = talk.trace.identity
    assert (carried, talk.network.engine.ids.name(lost)) == (0, "eni-web")


@pytest.mark.parametrize("gateway", ["igw-a", "eigw-a"])
def test_what_a_gateway_tracks_takes_no_short_cut(gateway, tmp_path):
    """Each packet of a flow keeps the gateway's own entry alive, however often its like has come by (RT-28, RT-30)."""
    sender, receiver = (WEB, EXT) if gateway == "igw-a" else (APP1_V6, EXT_V6)
    everyone = [*OPEN, ("all", ANYONE_V6)]
    network = base(group("any", everyone, everyone), web="any", app1="any").changed("vpc-a", block_public_access="block-ingress")
    packets = [udp(sender, receiver, "5000>53"), udp(receiver, sender, "53>5000")] * 8
    drawn.write(tmp_path / "made.pcap", [(20 * 10**9 * at, bytes(one), len(one)) for at, one in enumerate(packets)])
    whole, short = both(network, rows_of(tmp_path / "made.pcap"), True)
    assert short == whole
    assert [row[Outcome.VERDICT] for row in whole["outcomes"]] == [Verdict.ACCEPT] * 16


def test_from_vpc_to_vpc_by_public_addresses():
    """Out by the one internet gateway, in by the other, both addresses translated (RT-20)."""
    talk = Dialogue(second_way_in().changed("eni-b1", public_ips=((ip_address(B1), ip_address("198.51.100.95")),)))
    talk.send(tcp(WEB, "198.51.100.95", "40000>80")).accepted(source=WEB_PUBLIC, destination=B1)
    assert [step.at for step in talk.trace.steps if step.check == "gateway"] == ["igw-a", "igw-b"]


@pytest.mark.parametrize(
    ("gateways", "code"),
    [
        pytest.param([InternetGateway("igw-b", "vpc-b")], "", id="an internet gateway"),
        pytest.param([EgressOnlyInternetGateway("eigw-b", "vpc-b")], "EMU_NO_UNSOLICITED_INGRESS", id="an egress-only gateway"),
        pytest.param([EgressOnlyInternetGateway("idle", "vpc-b")], "EMU_NO_UNSOLICITED_INGRESS", id="one that no route leads to"),
        pytest.param([], "NO_POSSIBLE_DESTINATION", id="no gateway at all"),
    ],
)
@pytest.mark.parametrize("sender", ["web", "app1"])
def test_ipv6_from_vpc_to_vpc_over_the_internet(gateways, code, sender):
    """Out by an internet gateway or an egress-only one, in by what the other VPC has (RT-20, RT-30)."""
    blocks = (ip_network("10.1.0.0/16"), ip_network("2001:db8:b::/56"))
    out = tuple(route(ANYONE_V6, gateway.name) for gateway in gateways if gateway.name != "idle")
    topology = base(
        Vpc("vpc-b", blocks),
        Subnet("b", "vpc-b", (ip_network("10.1.0.0/24"), ip_network("2001:db8:b::/64"))),
        RouteTable("rtb-b", "vpc-b", out, main=True),
        group("any", [("all", ANYONE_V6)], [("all", ANYONE_V6)], "vpc-b"),
        *gateways,
        b1="any",
    ).changed("eni-b1", private_ips=(ip_address(B1), ip_address("2001:db8:b::10")))
    talk = Dialogue(topology).send(tcp({"web": WEB_V6, "app1": APP1_V6}[sender], "2001:db8:b::10", "40000>443"))
    assert talk.trace.reason == code
    assert next(step.at for step in talk.trace.steps if step.check == "gateway") == {"web": "igw-a", "app1": "eigw-a"}[sender]


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


@pytest.mark.parametrize("zone", ["a", ""], ids=["of zones that are said", "of a zone that is not said"])
def test_without_a_zone_the_flow_chooses_the_attachments_interface(zone, monkeypatch):
    """What comes from a customer network has no zone: its flow decides, each interface has its turn (RT-54)."""
    office = [CustomerNetwork("office", (ip_network("192.168.0.0/16"),)), ExternalHost("pc", (ip_address("192.168.1.5"),))]
    subnet = Subnet("a-tgw", "a", (ip_network("10.0.9.0/24"),), availability_zone=zone)
    topology = two_vpcs(*office, subnet, TransitGatewayAttachment("to-office", "hub", network="office"))
    for turn, place in enumerate(("eni-to-a-a-tgw", "eni-to-a-ab", "eni-to-a-a-tgw")):
        monkeypatch.setattr(transit, "mix", lambda *_, turn=turn: turn)
        talk = Dialogue(topology).send(tcp("192.168.1.5", X, "1>2")).accepted()
        assert place in [step.at for step in talk.trace.steps]
        talk.send(tcp(Y, X, "1>2")).accepted()
        assert "eni-to-a-a-tgw" in [step.at for step in talk.trace.steps]


def test_an_attachment_whose_zone_is_not_said_serves_every_zone():
    """A subnet without a zone counts as in each (RT-54)."""
    talk = Dialogue(two_vpcs(Subnet("a-tgw", "a", (ip_network("10.0.9.0/24"),)), zones=("a",)))
    talk.send(tcp(X, Y, "1>2")).accepted()
    talk.send(tcp(X_B, Y, "1>2")).accepted()


def test_a_vpn_gateway_knows_its_own_customer_networks_alone():
    """What is for a network on another VPC's VPN gateway goes nowhere."""
    topology = office().replace(VpnGateway("vgw-b", "vpc-b"), CustomerNetwork("works", (ip_network("172.16.0.0/16"),), gateway="vgw-b"))
    table = topology.get("rtb-priv", RouteTable)
    topology = topology.changed(table.id, routes=(*table.routes, route("172.16.0.0/16", "vgw")))
    Dialogue(topology).send(tcp(APP1, "172.16.0.1", "1>2")).dropped("E8(vgw)", "NO_POSSIBLE_DESTINATION")


def test_ipv6_comes_in_by_the_very_first_route():
    """The subnet's best route towards the source says by which gateway it comes, whichever row it stands in (RT-30)."""
    routes = (route(ANYONE, "nat-a"), route("2001:db8:ffff::/64", "eigw-a"), route(ANYONE_V6, "igw-a"))
    parts = base(
        RouteTable("rtb-priv", "vpc-a", routes), group("any", [("all", ANYONE_V6)], [("all", ANYONE_V6)]), app1="any"
    ).entities.values()
    topology = Topology.of(*sorted(parts, key=lambda part: part.name != "rtb-priv"), name="base")
    Dialogue(topology).send(tcp("2001:db8:ffff::12", APP1_V6, "1>2")).dropped("E8(eigw-a)", "EMU_NO_UNSOLICITED_INGRESS")
    Dialogue(topology).send(tcp("2001:db8:fffe::12", APP1_V6, "1>2")).accepted()


def first_in_the_index(which):
    """A network in which db's private or public address stands in the very first row of the table of addresses; and both."""
    for number in range({"private": 50, "public": 100}[which], 250):
        private, public = f"10.0.2.{number}", f"198.51.100.{number}"
        pair = (ip_address(private), ip_address(public))
        topology = base().changed("eni-db", private_ips=pair[:1], public_ips=(pair,)).changed("subnet-db-a", route_table="rtb-pub")
        cell = compile_tables(topology, Ids()).index[0]
        if tuple(cell[[Cell.HI, Cell.LO]]) == halves(pair[which == "public"]):
            return topology, private, public
    raise AssertionError("no address stands first")


@pytest.mark.parametrize("which", ["private", "public"])
def test_who_stands_first_in_the_table_of_addresses(which):
    """The first row is as good as any other: out, in, and round by the internet gateway."""
    topology, private, public = first_in_the_index(which)
    talk = Dialogue(topology)
    talk.send(tcp(private, EXT, "40000>443")).accepted(source=public)
    talk.send(tcp(EXT, public, "443>40000", "SA")).accepted(destination=private)
    talk.send(tcp(WEB, public, "40000>443")).dropped("I2(db)")
    assert [step.at for step in talk.trace.steps if step.check == "gateway"] == ["igw-a", "igw-a"]
    straight = Dialogue(topology.replace(policy=replace(topology.policy, hairpin=False)))
    straight.send(tcp(WEB, public, "40000>80")).dropped("E8(igw-a)", "IGW_NAT_REFLECTION")


def test_a_peering_that_ends_under_a_packet():
    """A packet that is on its way to a peering when that is deleted ends there, though the peering is still listed (RT-53)."""
    topology = base(Link(("web", "pcx-ab"), latency_ns=10**7))
    engine = Engine(topology, compiled=False)
    engine.inject(Packet.of(tcp(WEB, B1, "1>2")).header, engine.ids.of("eni-web"), 0)
    engine.advance(0)
    engine.edit(topology.changed("pcx-ab", status="deleting"))
    engine.advance()
    assert Reason(engine.state.outcomes[0, Outcome.REASON]) == Reason.BAD_STATE
