"""A packet on its way out of a subnet, step by step: ACL, route, MTU and link, and what its interface saw of it."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from emulator.datapath import leave
from emulator.datapath.leave import DIVERTED, Hop
from emulator.datapath.state import FIRST_BORN, BirthKind, Flight, Outcome
from emulator.model.entities import Link, Route, RouteTable
from emulator.model.groups import AclRule, NetworkAcl
from emulator.policy.reasons import Verdict
from emulator.policy.tables import EGRESS, row_of
from tests.base import ANYONE, APP1, APP1_V6, APP2, B1, DB, EXT, EXT_V6, WEB, WEB_V6, base, route
from tests.datapath.there import INDEX, NOW, P, There
from tests.dialogue import error, ping6, tcp, udp

NAT = "10.0.0.220"
ACL, ACL_V6 = "acl-default-a egress 100", "acl-default-a egress 101"


def out_of(network, packet, place, now=NOW, hop=None, **carried):
    """A packet that left a place, let go by the rule that opened the journey of `lab`."""
    at = There(network, packet, now, **carried)
    place_id = at.id(place)
    at.state.flights[P, Flight.RULE] = at.id("sg-lab-a")
    subnet = leave.subnet_of(at.tables, place_id)
    hop = hop(at) if hop else leave.next_hop(at.tables, at.state, P, at.id("vpc-a"), subnet)
    leave.leave(at.tables, at.state, P, place_id, hop, 0, now)
    return at


def passed(stage, place, rule="", value=0):
    """A step that lets a packet on."""
    return stage, place, "ACCEPT", "NONE", rule, value


def ended(stage, place, reason, rule=""):
    """A step that ends it."""
    return stage, place, "DROP", reason, rule, 0


def went(place, target):
    """What an interface saw of what went out."""
    return [(place, EGRESS, "ACCEPT", "NONE", "sg-lab-a", target)]


def long(packet, size, **fields):
    """A packet of so many bytes in all."""
    for field, value in fields.items():
        setattr(packet, field, value)
    return packet / Raw(b"x" * (size - len(packet)))


def through(block, target, table="rtb-priv"):
    """The base with one more route."""
    network = base()
    rows = network.entities[table]
    return network.replace(replace(rows, routes=(*rows.routes, route(block, target))))


def test_to_a_neighbour():
    """Straight to it, past ACLs and routes (FB-22)."""
    at = out_of(base(), udp(APP1, APP2, "1>2"), "eni-app1", WAY=5)
    assert at.steps() == [passed("DIRECT", "eni-app1", value=at.id("eni-app2"))]
    assert at.seen() == went("eni-app1", "eni-app2")
    assert at.due() == [(0, "ARRIVE", INDEX, "eni-app2")]
    assert at.state.flights[P, [Flight.WAY, Flight.FROM]].tolist() == [5, at.id("subnet-app-a")]


WAYS_OUT = {  # packet, place; its subnet, the rule of the ACL, the route and its target, and what is due there
    "to another subnet": (udp(APP1, DB, "1>2"), "eni-app1", "app-a", ACL, "rtb-priv 10.0.0.0/16", "eni-db", "ARRIVE"),
    "to a gateway": (udp(WEB, EXT, "1>2"), "eni-web", "pub-a", ACL, "rtb-pub 0.0.0.0/0", "igw-a", "TRANSIT"),
    "to a NAT gateway": (udp(APP1, EXT, "1>2"), "eni-app1", "app-a", ACL, "rtb-priv 0.0.0.0/0", "nat-a", "TRANSIT"),
    "to a peering": (udp(APP1, B1, "1>2"), "eni-app1", "app-a", ACL, "rtb-priv 10.1.0.0/16", "pcx-ab", "TRANSIT"),
    "of IPv6": (ping6(WEB_V6, EXT_V6), "eni-web", "pub-a", ACL_V6, "rtb-pub ::/0", "igw-a", "TRANSIT"),
    "by the first route of all": (ping6(WEB_V6, APP1_V6), "eni-web", "pub-a", ACL_V6, "rtb-pub 2001:db8:a::/56", "eni-app1", "ARRIVE"),
    "as long as the path": (long(udp(WEB, EXT, "1>2"), 1500, flags="DF"), "eni-web", "pub-a", ACL, "rtb-pub 0.0.0.0/0", "igw-a", "TRANSIT"),
    "as long as one inside": (long(udp(APP1, DB, "1>2"), 9001), "eni-app1", "app-a", ACL, "rtb-priv 10.0.0.0/16", "eni-db", "ARRIVE"),
}


@pytest.mark.parametrize("now", [0, NOW])
@pytest.mark.parametrize(("packet", "place", "subnet", "rule", "taken", "target", "kind"), WAYS_OUT.values(), ids=WAYS_OUT)
def test_by_a_route(packet, place, subnet, rule, taken, target, kind, now):
    """Past the subnet's ACL, by the route, to its target at once; whatever hops it has left, for a router takes none (FB-18)."""
    at = out_of(base(), packet, place, now, WAY=5, TTL_SPENT=100)
    assert at.steps() == [passed("ACL_EGRESS", f"subnet-{subnet}", rule), passed("ROUTE", f"subnet-{subnet}", taken, at.id(target))]
    assert at.seen() == went(place, target)
    assert at.due() == [(0, kind, INDEX, target)]
    assert at.state.flights[P, [Flight.WAY, Flight.FROM]].tolist() == [5, at.id(f"subnet-{subnet}")]


def test_by_a_route_to_a_machine_next_door():
    """Within its subnet no ACL is asked, though a route is taken (NA-14)."""
    at = out_of(through("10.0.2.0/24", "eni-mbx", "rtb-pub"), udp(WEB, DB, "1>2"), "eni-web")
    assert at.steps() == [passed("ROUTE", "subnet-pub-a", "rtb-pub 10.0.2.0/24", at.id("eni-mbx"))]
    assert at.due() == [(0, "ARRIVE", INDEX, "eni-mbx")]


def test_past_the_routes():
    """What goes back to a balancer's node takes no route, but meets the ACL, next door too."""
    at = out_of(base(), udp(APP1, EXT, "1>2"), "eni-app1", hop=lambda at: Hop(at.id("eni-app2"), DIVERTED, 0, 0))
    assert at.steps() == [passed("ACL_EGRESS", "subnet-app-a", ACL)]
    assert at.due() == [(0, "ARRIVE", INDEX, "eni-app2")]


def shut(*rules):
    """The base with an ACL of db-a that lets out what these rules do."""
    allowed = tuple(AclRule(number, True, protocol, (0, 65535), ip_network(ANYONE)) for number, protocol in rules)
    network = base(NetworkAcl("own", "vpc-a", allowed, allowed))
    return network.replace(replace(network.entities["subnet-db-a"], network_acl="own"))


GONE = RouteTable("rtb-pub", "vpc-a", (Route(ip_network("203.0.113.0/24"), "nat-gone", blackhole=True), route(ANYONE, "igw-a")))
ENDS = {  # network, packet, place, target; the step that ends it
    "no route": (base(), udp(DB, EXT, "1>2"), "eni-db", "", ended("ROUTE", "subnet-db-a", "NO_ROUTE_TO_DESTINATION")),
    "nobody has the address": (
        base(),
        udp(APP1, "10.0.2.99", "1>2"),
        "eni-app1",
        "",
        ended("ROUTE", "subnet-app-a", "NO_POSSIBLE_DESTINATION", "rtb-priv 10.0.0.0/16"),
    ),
    "a blackhole": (
        base(GONE),
        udp(WEB, EXT, "1>2"),
        "eni-web",
        "nat-gone",
        ended("ROUTE", "subnet-pub-a", "BAD_STATE_ROUTE", "rtb-pub 203.0.113.0/24"),
    ),
}


@pytest.mark.parametrize(("network", "packet", "place", "target", "step"), ENDS.values(), ids=ENDS)
def test_no_way_out(network, packet, place, target, step):
    """It ends in its subnet, past the ACL, for this reason; its interface let it go."""
    at = out_of(network, packet, place)
    assert at.steps() == [passed("ACL_EGRESS", step[1], ACL), step]
    assert [row[:5] for row in at.seen()] == [row[:5] for row in went(place, target)]
    assert at.due() == []
    assert at.state.outcomes[INDEX, Outcome.VERDICT] == Verdict.DROP


def test_what_the_acl_refuses():
    """It ends before any route is asked, and its interface is said to have rejected it (FL-6)."""
    at = out_of(shut((100, 6)), udp(DB, APP1, "1>2"), "eni-db")
    (step,) = at.steps()
    assert step[:4] == ("ACL_EGRESS", "subnet-db-a", "DROP", "SUBNET_ACL_RESTRICTION")
    assert at.seen() == [("eni-db", EGRESS, "DROP", "SUBNET_ACL_RESTRICTION", step[4], "eni-app1")]
    assert at.due() == []
    assert out_of(shut((100, 6)), tcp(DB, APP1, "1>2"), "eni-db").steps()[0] == passed("ACL_EGRESS", "subnet-db-a", "acl-own egress 100")


@pytest.mark.parametrize(("spent", "goes"), [(62, True), (63, False)])
def test_where_every_hop_counts(spent, goes):
    """With ``fabric.ttl: per_hop`` a router takes one, and what has none left ends at the route (FB-18)."""
    at = out_of(base(policy={"ttl": "per_hop"}), udp(APP1, DB, "1>2"), "eni-app1", TTL_SPENT=spent)
    assert at.state.flights[P, Flight.TTL_SPENT] == spent + 1
    route_step = passed("ROUTE", "subnet-app-a", "rtb-priv 10.0.0.0/16", at.id("eni-db"))
    assert at.steps()[1:] == [route_step] + ([] if goes else [ended("ROUTE", "subnet-app-a", "EMU_TTL_EXPIRED")])
    assert at.due() == [(0, "ARRIVE", INDEX, "eni-db") if goes else (0, "ARRIVE", FIRST_BORN, "eni-app1")]


TOO_LONG = {  # packet, router
    "it must not be cut": (long(udp(WEB, EXT, "1>2"), 1501, flags="DF"), "10.0.0.1"),
    "of IPv6": (long(IPv6(src=WEB_V6, dst=EXT_V6) / UDP(), 1501), "fe80:ec2::1"),
}


@pytest.mark.parametrize(("packet", "router"), TOO_LONG.values(), ids=TOO_LONG)
def test_what_is_too_long_is_refused(packet, router):
    """The router of its subnet says so, with the path's MTU, past ACL and groups (FB-27)."""
    at = out_of(base(), packet, "eni-web", WAY=5)
    assert at.steps()[-1] == ended("PATH_MTU", "subnet-pub-a", "EMU_MTU_EXCEEDED")
    assert at.born() == [("TOO_BIG", "subnet-pub-a", router, 1500)]
    assert at.due() == [(0, "ARRIVE", FIRST_BORN, "eni-web")]
    assert at.state.flights[P, Flight.WAY] == 0


def test_nobody_else_is_told():
    """Where the source belongs to no interface of the VPC, the error is lost; a NAT gateway is none either."""
    for source in (EXT, "10.0.1.99", NAT):
        at = There(base(), long(udp(source, EXT, "1>2"), 1501, flags="DF"))
        leave.router_error(at.tables, at.state, P, BirthKind.TOO_BIG, row_of(at.tables, at.id("subnet-pub-a")), 1500, NOW)
        assert (at.born(), at.due()) == ([], [])


def test_no_error_is_told_of_an_error():
    """Where none may be made, nothing is on its way."""
    at = out_of(base(), long(error(WEB, EXT, udp(EXT, WEB, "1>2")), 1501, flags="DF"), "eni-web")
    assert at.steps()[-1] == ended("PATH_MTU", "subnet-pub-a", "EMU_MTU_EXCEEDED")
    assert (at.born(), at.due()) == ([], [])


def test_what_may_be_cut_is():
    """All pieces go the same way, in their order, one packet each (FB-27)."""
    at = out_of(base(), long(udp(WEB, EXT, "1>2"), 4000), "eni-web", WAY=5)
    assert at.steps()[-1] == passed("PATH_MTU", "subnet-pub-a", value=1500)
    assert at.due() == [(0, "TRANSIT", number, "igw-a") for number in (INDEX, FIRST_BORN, FIRST_BORN + 1)]
    assert at.state.flights[:, Flight.NEXT].tolist() == [0] * len(at.state.flights)
    assert at.state.flights[P, Flight.WAY] == 0


LINK = Link(("app1", "db"), latency_ns=30, rate_bps=8 * 10**9)


def test_by_a_link():
    """It is due when the link says, the step says how much later, and its way is no matter of its header alone."""
    at = out_of(base(LINK), long(udp(APP1, DB, "1>2"), 100), "eni-app1", WAY=5)
    assert at.steps()[-1] == passed("LINK", "eni-db", value=130)
    assert at.due() == [(130, "ARRIVE", INDEX, "eni-db")]
    assert at.state.flights[P, Flight.WAY] == 0


def test_lost_on_a_link():
    """It ends at the far end of the link, for the link's reason."""
    at = out_of(base(replace(LINK, loss_ppb=10**9)), udp(APP1, DB, "1>2"), "eni-app1")
    assert at.steps()[-1] == ended("LINK", "eni-db", "EMU_LINK_LOSS")
    assert at.due() == []
