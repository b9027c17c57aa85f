"""Leaving a subnet, kernel by kernel: the next hop, what fits, what a hop costs, and how a packet is put on its way."""

from dataclasses import replace
from functools import cache
from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from emulator.datapath import leave
from emulator.datapath.leave import SAME_SUBNET
from emulator.datapath.state import FIRST_BORN, Flight, Outcome
from emulator.model.entities import Link, NatGateway, VpcPeeringConnection
from emulator.model.joined import Listener, NetworkLoadBalancer, Node, Target, TargetGroup, TransitGateway, TransitGatewayAttachment
from emulator.policy.reasons import Stage, Verdict
from emulator.policy.tables import RouteColumn
from emulator.wire.addresses import halves
from emulator.wire.headers import Field
from tests.base import APP1, APP1_V6, APP2, B1, DB, EXT, EXT_V6, MBX, WEB, WEB_V6, base, route
from tests.datapath.there import NOW, P, There
from tests.dialogue import icmp, ping6, tcp, udp

NAT = "10.0.0.220"


@cache
def diverted():
    """The base with routes of rtb-priv that lead through the middlebox."""
    network = base()
    table = network.entities["rtb-priv"]
    return network.replace(replace(table, routes=(*table.routes, route("10.0.2.0/24", "eni-mbx"), route("10.0.0.0/24", "eni-mbx"))))


@cache
def regions():
    """The base with its peering between Regions."""
    return base(VpcPeeringConnection("pcx-ab", "vpc-a", "vpc-b", inter_region=True))


HOPS = {  # network, VPC, subnet, packet; target, route, member, lost
    "a neighbour": (base, "a", "app-a", udp(APP1, APP2, "1>2"), "eni-app2", "same subnet", "eni-app2", ""),
    "a NAT gateway next door": (base, "a", "pub-a", udp(WEB, NAT, "1>2"), "nat-a", "same subnet", "", ""),
    "a neighbour of IPv6": (base, "a", "app-a", ping6(APP1_V6, "2001:db8:a:1::12"), "eni-app2", "same subnet", "eni-app2", ""),
    "another subnet": (base, "a", "app-a", udp(APP1, WEB, "1>2"), "eni-web", "rtb-priv 10.0.0.0/16", "eni-web", ""),
    "a NAT gateway of another subnet": (base, "a", "app-a", udp(APP1, NAT, "1>2"), "nat-a", "rtb-priv 10.0.0.0/16", "", ""),
    "nobody in another subnet": (base, "a", "app-a", udp(APP1, "10.0.2.99", "1>2"), "", "rtb-priv 10.0.0.0/16", "", ""),
    "nobody in its own": (base, "a", "app-a", udp(APP1, "10.0.1.99", "1>2"), "", "rtb-priv 10.0.0.0/16", "", ""),
    "outside by NAT": (base, "a", "app-a", udp(APP1, EXT, "1>2"), "nat-a", "rtb-priv 0.0.0.0/0", "", ""),
    "outside": (base, "a", "pub-a", udp(WEB, EXT, "1>2"), "igw-a", "rtb-pub 0.0.0.0/0", "", ""),
    "outside by IPv6": (base, "a", "pub-a", ping6(WEB_V6, EXT_V6), "igw-a", "rtb-pub ::/0", "", ""),
    "outside without a route": (base, "a", "db-a", udp(DB, EXT, "1>2"), "", "same subnet", "", ""),
    "a peer's interface": (base, "a", "app-a", udp(APP1, B1, "1>2"), "pcx-ab", "rtb-priv 10.1.0.0/16", "eni-b1", ""),
    "the same from the other end": (base, "b", "b", udp(B1, APP1, "1>2"), "pcx-ab", "rtb-b 10.0.0.0/16", "eni-app1", ""),
    "a peer's NAT gateway": (base, "b", "b", udp(B1, NAT, "1>2"), "pcx-ab", "rtb-b 10.0.0.0/16", "", ""),
    "nobody in the peer": (base, "a", "app-a", udp(APP1, "10.1.0.99", "1>2"), "pcx-ab", "rtb-priv 10.1.0.0/16", "", ""),
    "a peer in another Region": (regions, "a", "app-a", udp(APP1, B1, "1>2"), "pcx-ab", "rtb-priv 10.1.0.0/16", "", ""),
    "through a machine": (diverted, "a", "app-a", udp(APP1, DB, "1>2"), "eni-mbx", "rtb-priv 10.0.2.0/24", "", "eni-db"),
    "through a machine to nobody": (diverted, "a", "app-a", udp(APP1, "10.0.2.99", "1>2"), "eni-mbx", "rtb-priv 10.0.2.0/24", "", ""),
    "through a machine to a NAT gateway": (diverted, "a", "app-a", udp(APP1, NAT, "1>2"), "eni-mbx", "rtb-priv 10.0.0.0/24", "", ""),
    "to the machine itself": (diverted, "a", "app-a", udp(APP1, MBX, "1>2"), "eni-mbx", "rtb-priv 10.0.0.0/24", "eni-mbx", ""),
}


@pytest.mark.parametrize("case", HOPS.values(), ids=HOPS)
def test_the_next_hop(case):
    """Its target, the route to it, and whose groups an egress rule may name or could have named (FB-22, RT-8, SG-26)."""
    network, vpc, subnet, packet, *expected = case
    at = There(network(), packet)
    hop = leave.next_hop(at.tables, at.state, P, at.id(f"vpc-{vpc}"), at.id(f"subnet-{subnet}"))
    taken = "same subnet" if hop.route == SAME_SUBNET else at.engine.ids.name(at.tables.routes[hop.route, RouteColumn.ID])
    name = at.engine.ids.name
    assert [name(hop.target), taken, name(hop.member), name(hop.lost)] == expected


@cache
def everything():
    """The base with a balancer, a transit gateway, a private NAT gateway and an instance that has IPv6 alone."""
    network = base(
        TargetGroup("servers", "vpc-a", 8080, (Target("app1"),), 6, "instance"),
        NetworkLoadBalancer("front", "vpc-a", (Node("pub-a", ip_address("10.0.0.80"), None),), (Listener(80, "servers", 6),)),
        TransitGateway("hub"),
        TransitGatewayAttachment("to-a", "hub", vpc="vpc-a", subnets=("pub-a",)),
        NatGateway("nat-b", "app-a", ip_address("10.0.1.220")),
        Link(("web", "db"), latency_ns=5),
    )
    return network.changed("eni-app2", private_ips=(ip_address("2001:db8:a:1::12"),))


def named(at, *kinds):
    """The names of all ids of which a kernel says yes."""
    return {at.engine.ids.name(place) for place in range(len(at.engine.ids)) if kinds[0](at.tables, place)}


def test_who_can_be_handed_a_packet():
    """Interfaces alone are the ends of group references; in a subnet there are AWS's own places as well; nobody is neither."""
    at = There(everything(), udp(WEB, DB, "1>2"))
    interfaces = {f"eni-{name}" for name in ("web", "web2", "web3", "mbx", "app1", "app2", "db", "b1", "c1")}
    assert named(at, leave.is_interface) == interfaces
    others = named(at, leave.in_a_subnet) - interfaces
    assert len(others) == 4
    assert others > {"nat-a", "nat-b"}


MTUS = {"eni-db": 9001, "internet": 9001, "ext-ext": 9001, "": 9001, "pcx-ab": 9001, "igw-a": 1500, "eigw-a": 1500, "nat-a": 1500}
MTUS |= {"nat-b": 8500, "hub": 8500, "subnet-b": 9001}


@pytest.mark.parametrize(("target", "mtu"), MTUS.items())
def test_the_mtu_of_a_path(target, mtu):
    """FB-26: 9,001 bytes inside a VPC, as much as its gateway carries elsewhere."""
    at = There(everything(), udp(WEB, DB, "1>2"))
    ids = {at.engine.ids.name(place): place for place in range(len(at.engine.ids))}
    place = ids.get(target, next((number for name, number in ids.items() if name.endswith(target)), 0))
    assert leave.path_mtu(at.tables, place) == mtu


def test_the_address_from_which_a_place_speaks():
    """An interface by its primary IPv4 address, a NAT gateway by its private one; who has none does not speak."""
    at = There(everything(), udp(WEB, DB, "1>2"))
    places = {"eni-web": WEB, "eni-app2": None, "nat-a": NAT, "nat-b": "10.0.1.220", "igw-a": None, "pcx-ab": None, "internet": None}
    seen = {place: leave.own_address(at.tables, at.id(place)) for place in places}
    assert seen == {place: halves(ip_address(text)).lo if text else 0 for place, text in places.items()}


@pytest.mark.parametrize("captured", [0, 1], ids=["sent by a host", "of a capture"])
@pytest.mark.parametrize("as_they_are", [False, True], ids=["", "captures show what went out"])
@pytest.mark.parametrize(
    ("packet", "cut_by_the_card"), [(udp(WEB, DB, "1>2"), True), (tcp(WEB, DB, "1>2"), True), (icmp(WEB, DB, 8), False)]
)
def test_what_fits(packet, cut_by_the_card, captured, as_they_are):
    """A packet as long as the path; a longer one only in a capture that shows segments before the sender's card cuts them."""
    at = There(base(policy={"mtu_of_captures": as_they_are}), packet, CAPTURED=captured)
    for length, fits in ((1499, True), (1500, True), (1501, bool(captured and cut_by_the_card and not as_they_are))):
        at.state.flights[P, Field.LENGTH] = length
        assert leave.fits(at.tables, at.state, P, 1500) == fits


@pytest.mark.parametrize("spent", [0, 3])
@pytest.mark.parametrize("left", [2, 1, 0])
def test_a_hop_costs_one(spent, left):
    """A packet with two hops left goes on with one; who has one, or none, ends."""
    at = There(base(), IP(src=APP1, dst=EXT, ttl=spent + left) / UDP(), TTL_SPENT=spent)
    assert leave.spend_hop(at.tables, at.state, P, NOW, Stage.GATEWAY, at.id("igw-a")) == (left == 2)
    assert at.state.flights[P, Flight.TTL_SPENT] == spent + 1
    assert at.steps() == ([] if left == 2 else [("GATEWAY", "igw-a", "DROP", "EMU_TTL_EXPIRED", "", 0)])
    assert at.due() == []
    if left < 2:
        assert at.state.outcomes[7, [Outcome.VERDICT, Outcome.TTL_SPENT]].tolist() == [Verdict.DROP, spent + 1]


V4, V6 = IP(src=APP1, dst=EXT, ttl=1) / UDP(), IPv6(src=APP1_V6, dst=EXT_V6, hlim=1) / UDP()
EXPIRED = {  # packet, stage, place; from which address, what is due where
    "at a route": (V4, Stage.ROUTE, "subnet-pub-a", "10.0.0.1", "ARRIVE", "eni-app1"),
    "at a route of IPv6": (V6, Stage.ROUTE, "subnet-app-a", "fe80:ec2::1", "ARRIVE", "eni-app1"),
    "at a machine": (V4, Stage.FORWARDED, "eni-mbx", MBX, "SEND", "eni-mbx"),
    "at a machine, of IPv6": (V6, Stage.FORWARDED, "eni-web", "", "", ""),
    "at a machine without IPv4": (V4, Stage.FORWARDED, "eni-app2", "", "", ""),
    "at a NAT gateway": (V4, Stage.GATEWAY, "nat-a", NAT, "SEND", "nat-a"),
    "at a peering": (V4, Stage.GATEWAY, "pcx-ab", "", "", ""),
    "an icmp error": (icmp(APP1, EXT, 11), Stage.FORWARDED, "eni-mbx", "", "", ""),
}


@pytest.mark.parametrize(("packet", "stage", "place", "source", "kind", "there"), EXPIRED.values(), ids=EXPIRED)
def test_who_says_that_it_expired(packet, stage, place, source, kind, there):
    """The place itself if it has an address, else the router of the subnet; gateways at the edge stay silent."""
    at = There(everything(), packet, TTL_SPENT=100)
    assert not leave.spend_hop(at.tables, at.state, P, NOW, stage, at.id(place))
    assert at.born() == ([("TIME_EXCEEDED", place, source, 0)] if source else [])
    assert at.due() == ([(0, kind, FIRST_BORN, there)] if source else [])
    assert at.steps() == [(stage.name, place, "DROP", "EMU_TTL_EXPIRED", "", 0)]
