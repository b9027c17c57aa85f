"""Edge route tables, gateway endpoints and fragments at translating gateways, where one condition makes the difference."""

from ipaddress import ip_network

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.packet import Raw

from emulator.datapath.state import Outcome
from emulator.model.entities import InternetGateway, RouteTable, Subnet, Vpc
from emulator.model.groups import AclRule, NetworkAcl, PrefixList
from emulator.model.joined import GatewayEndpoint
from emulator.model.services import ALL, ANY_PORTS
from emulator.model.services import UDP as UDP_NUMBER
from emulator.model.topology import Topology
from emulator.policy.reasons import Verdict
from emulator.wire.packet import Packet
from tests.base import ANYONE, ANYONE_V6, APP1, APP1_V6, DB, EXT, EXT_V6, MBX, WEB, WEB_V6, base, group, route
from tests.dialogue import Dialogue, icmp, tcp, udp
from tests.vpc.test_joined import OPEN, edged

NAT_PUBLIC, MBX_PUBLIC = "198.51.100.20", "198.51.100.51"
EVERYTHING = [*OPEN, ("all", ANYONE_V6)]


def edges(*routes, public=True):
    """`edged` with these routes in the edge table, each a block and a target, and groups that let everything pass."""
    topology = edged(public).replace(group("any", EVERYTHING, EVERYTHING))
    topology = topology.changed("rtb-edge", routes=tuple(route(*one) for one in routes)).changed("eni-web", security_groups=("any",))
    parts = sorted(topology.entities.values(), key=lambda part: part.name != "edge")  # first of all, so that its rows are the first
    return Topology.of(*parts, name="base")


def test_an_edge_route_to_the_destination_itself():
    """What an edge table leads to an appliance is handed to it, also what is for the appliance itself."""
    talk = Dialogue(edges(("10.0.0.0/24", "mbx")))
    talk.send(tcp(EXT, MBX_PUBLIC, "50000>22")).accepted(destination=MBX)
    assert [step.check for step in talk.trace.steps].count("forward") == 0


def test_an_appliance_goes_out_by_the_gateway_that_leads_to_it():
    """Of a subnet whose inbound traffic an appliance gets, the appliance itself may go out straight, and nobody else (RT-15)."""
    talk = Dialogue(edges(("10.0.0.0/24", "mbx")))
    talk.send(tcp(MBX, EXT, "40000>443")).accepted(source=MBX_PUBLIC)
    talk.send(tcp(WEB, EXT, "40000>443")).dropped("E8(igw-a)", "INGRESS_RTB_TRAFFIC_REDIRECTION")
    talk.send(tcp(WEB_V6, EXT_V6, "40000>443")).accepted()
    six = Dialogue(edges(("2001:db8:a::/64", "mbx")))
    six.send(tcp(WEB_V6, EXT_V6, "40000>443")).dropped("E8(igw-a)", "INGRESS_RTB_TRAFFIC_REDIRECTION")
    Dialogue(edges(("10.0.1.0/24", "mbx"))).send(tcp(WEB, EXT, "40000>443")).accepted()


def test_an_edge_route_of_ipv6_needs_no_public_address():
    """IPv6 goes through an appliance that has no public IPv4 address (RT-15, RT-20)."""
    topology = edges(("2001:db8:a:1::/64", "mbx"), public=False)
    table = topology.get("rtb-priv", RouteTable)
    topology = topology.changed(table.id, routes=(route(ANYONE, "mbx"), route(ANYONE_V6, "igw-a")))
    talk = Dialogue(topology).send(tcp(EXT_V6, APP1_V6, "50000>443")).accepted()
    assert [step.at for step in talk.trace.steps if step.check == "forward"] == ["mbx:eth0"]


def test_an_edge_route_whose_appliance_is_gone():
    """A blackhole in an edge table drops what it matches, by name (RT-10, RT-15)."""
    topology = edges(("10.0.1.0/24", "mbx"))
    table = topology.get("rtb-edge", RouteTable)
    hole = RouteTable("edge", "vpc-a", (type(table.routes[0])(ip_network("10.0.1.0/24"), "gone", blackhole=True),))
    talk = Dialogue(topology.replace(hole))
    talk.send(tcp(EXT, "198.51.100.50", "50000>443")).dropped("E6(igw-a)", "BAD_STATE_ROUTE")
    talk.send(tcp(EXT, MBX_PUBLIC, "50000>443")).accepted()


def stored(*more, **options):
    """The base, in which rtb-priv has an endpoint for 203.0.113.0/28."""
    parts = [PrefixList("list", "vpc-a", (ip_network("203.0.113.0/28"),)), GatewayEndpoint("store", "vpc-a", "list", ("rtb-priv",))]
    return base(group("any", EVERYTHING, EVERYTHING), *parts, *more, app1="any", **options)


def test_by_an_endpoint_comes_only_what_the_list_has():
    """From an address of the list to a subnet with the route: by the endpoint; any other by the internet gateway (RT-56)."""
    talk = Dialogue(stored())
    talk.send(tcp(EXT, APP1, "443>40000", "SA")).accepted()
    assert [step.at for step in talk.trace.steps if step.check == "gateway"] == ["store"]
    talk.send(tcp("203.0.113.99", APP1, "443>40000", "SA")).dropped("E8(igw-a)", "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS")
    talk.send(tcp(EXT, DB, "443>40000", "SA")).dropped("E8(igw-a)", "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS")
    talk.send(tcp(EXT, "10.0.0.220", "443>40000", "SA")).dropped("E8(igw-a)", "IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS")


def test_an_endpoint_delivers_to_who_has_the_address():
    """A host that has the address gets it by name, others are the internet; the groups of the sender are lost on the way (RT-56)."""
    talk = Dialogue(stored())
    for address, place in ((EXT, "ext-ext"), ("203.0.113.3", "internet")):
        talk.send(tcp(APP1, address, "40000>443")).accepted(source=APP1)
        assert talk.trace.at == place
    talk.send(icmp(APP1, EXT, 0)).dropped("E8(store)", "VPCE_GATEWAY_PROTOCOL_RESTRICTION")
    talk.send(icmp(EXT, APP1, 8)).dropped("E8(store)", "VPCE_GATEWAY_PROTOCOL_RESTRICTION")


def test_an_endpoint_of_a_second_vpc():
    """An address that two VPCs have is that of the VPC with the endpoint's route (RT-56)."""
    twin = [
        Vpc("vpc-z", (ip_network("10.9.0.0/16"),)),
        InternetGateway("igw-z", "vpc-z"),
        Subnet("z", "vpc-z", (ip_network("10.9.1.0/24"),)),
    ]
    talk = Dialogue(stored(*twin))
    talk.send(tcp(EXT, APP1, "443>40000", "SA")).accepted(destination=APP1)


def pieces(source, destination, ports, number):
    """A datagram of udp in three fragments."""
    return fragment(IP(src=source, dst=destination, id=number) / UDP(sport=ports[0], dport=ports[1]) / Raw(b"x" * 3000), fragsize=1480)


@pytest.mark.parametrize("policy", ["reassemble", "first_fragment", "drop_noninitial"])
def test_fragments_of_udp_pass_a_nat_gateway_whatever_the_policy(policy):
    """Both ways, later ones with the address that the first was given; those of two datagrams stay apart (FB-30, FB-32)."""
    talk = Dialogue(base(group("any", OPEN, OPEN), app1="any", app2="any", policy={"frag_policy": policy}))
    ports = []
    for source, number in ((APP1, 7), ("10.0.1.12", 7), (APP1, 8)):
        for piece in pieces(source, EXT, (5000 + number, 53), number):
            talk.send(piece).accepted(source=NAT_PUBLIC, destination=EXT)
            ports += [talk.trace.delivered.five_tuple.source_port] if piece.frag == 0 else []
    for port, (destination, number) in zip(ports, ((APP1, 7), ("10.0.1.12", 7), (APP1, 8)), strict=True):
        for piece in pieces(EXT, NAT_PUBLIC, (53, port), 100 + port):
            talk.send(piece).accepted(source=EXT, destination=destination)
        assert number


def test_a_later_fragment_that_comes_first_waits_at_a_nat_gateway():
    """It goes on when its first fragment has come, and is dropped after 30 s without it (FB-30, FB-32)."""
    talk = Dialogue(base(group("any", OPEN, OPEN), app1="any", policy={"frag_policy": "drop_noninitial"}))
    first, *later = pieces(APP1, EXT, (5000, 53), 7)
    engine = talk.network.engine
    for piece in (later[0], first, later[1]):
        engine.inject(Packet.of(piece).header, engine.ids.of("eni-app1"), 0)
    engine.advance()
    assert engine.state.outcomes[:3, Outcome.VERDICT].tolist() == [Verdict.ACCEPT] * 3
    assert engine.now_ns == 0
    talk.send(pieces(APP1, EXT, (5000, 53), 8)[1]).dropped("E8(nat-a)", "EMU_FRAGMENT")
    assert engine.now_ns == 30 * 10**9


@pytest.mark.parametrize("stage", ["E5(app-a)", "I1(db-a)"])
def test_later_fragments_share_an_acls_denial(stage):
    """All fragments of a datagram that a network ACL denies by its port are dropped by the same entry (FB-32, NA-4)."""
    everything = AclRule(100, True, ALL, ANY_PORTS, ip_network(ANYONE))
    no_dns = AclRule(50, False, UDP_NUMBER, (53, 53), ip_network(ANYONE))
    rules = ((everything,), (no_dns, everything)) if stage.startswith("E5") else ((no_dns, everything), (everything,))
    acl = NetworkAcl("own", "vpc-a", *rules)
    app, db = (ip_network("10.0.1.0/24"), ip_network("2001:db8:a:1::/64")), (ip_network("10.0.2.0/24"),)
    subnet = Subnet("app-a", "vpc-a", app, route_table="rtb-priv", network_acl="own")
    talk = Dialogue(base(acl, subnet if stage.startswith("E5") else Subnet("db-a", "vpc-a", db, network_acl="own")))
    for piece in pieces(APP1, DB, (5000, 53), 7):
        talk.send(piece).dropped(stage, "SUBNET_ACL_RESTRICTION")
        assert talk.trace.steps[-1].rule.name.endswith("50")
    for piece in pieces(APP1, DB, (5000, 54), 8):
        talk.send(piece).accepted()


def test_a_fragment_of_tcp_may_not_pass_a_nat_gateway():
    """Neither first nor later ones, whatever their flow (FB-30)."""
    talk = Dialogue(base(group("any", OPEN, OPEN), app1="any"))
    talk.send(tcp(APP1, EXT, "40000>443")).accepted()
    segment = IP(src=APP1, dst=EXT, id=3) / TCP(sport=40000, dport=443, flags="A") / Raw(b"x" * 3000)
    for piece in fragment(segment, fragsize=1480):
        talk.send(piece).dropped("E8(nat-a)", "EMU_NAT_FRAGMENT")
    talk.send(udp(APP1, EXT, "40000>443")).accepted()
