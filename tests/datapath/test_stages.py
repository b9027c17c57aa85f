"""What an interface may send in a second, which paths are tracked for certain, and what is answered where it arrives."""

from ipaddress import ip_address, ip_network

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6

from emulator.datapath import stages
from emulator.datapath.state import Flight
from emulator.engine import Engine
from emulator.model.entities import NatGateway
from emulator.model.groups import PrefixList
from emulator.model.joined import GatewayEndpoint, InterfaceEndpoint, Node, TransitGateway
from emulator.policy.conntrack import Usage
from tests.base import APP1, DB, WEB, WEB_V6, base, group
from tests.datapath.there import P, There
from tests.dialogue import icmp, udp

SECOND = 10**9


@pytest.mark.parametrize("clock", [Usage.DNS_SECOND, Usage.FRAGMENT_SECOND])
def test_so_many_packets_in_a_second(clock):
    """The 1,024th of a second goes, the next does not; each interface and each clock counts alone, each second anew (FB-10, FB-31)."""
    at = There(base(), udp(APP1, DB, "1>2"))
    app1, db = at.id("eni-app1"), at.id("eni-db")
    for start in (0, 5 * SECOND):
        late = [stages._is_too_fast(at.state, P, app1, clock, start + number * 900_000) for number in range(1026)]
        assert late == [False] * 1024 + [True] * 2
    assert not stages._is_too_fast(at.state, P, db, clock, 5 * SECOND)
    assert not stages._is_too_fast(at.state, P, app1, clock, 6 * SECOND)
    counted = {column.name for column in Usage if at.state.usage[:, column].any()}
    assert counted == {clock.name, Usage(clock + 1).name}
    assert at.state.usage[app1, clock + 1] == 1


def test_what_a_capture_shows_was_not_too_fast():
    """It was sent, however many came before it, and counts for nothing."""
    at = There(base(), udp(APP1, DB, "1>2"), CAPTURED=1)
    assert not any(stages._is_too_fast(at.state, P, at.id("eni-app1"), Usage.DNS_SECOND, 0) for _ in range(1100))
    assert not at.state.usage.any()


@pytest.mark.parametrize(("year", "more"), [("2025", set()), ("2023", {"tgw-hub"})])
def test_which_paths_are_tracked_for_certain(year, more):
    """CT-16: through NAT and egress-only gateways, DynamoDB, balancers and interface endpoints; nobody else's id is one."""
    network = base(
        TransitGateway("hub"),
        NatGateway("nat-b", "app-a", ip_address("10.0.1.220")),
        InterfaceEndpoint("queue", "vpc-a", (Node("app-a", ip_address("10.0.1.77")),), ("lab",)),
        PrefixList("pl", "vpc-a", (ip_network("52.216.0.0/15"),)),
        GatewayEndpoint("vpce-s3", "vpc-a", "pl", ("rtb-priv",), "s3"),
        GatewayEndpoint("vpce-ddb", "vpc-a", "pl", ("rtb-pub",), "dynamodb"),
        policy={"autotrack": year},
    )
    engine = Engine(network, compiled=False)
    places = range(1, len(engine.ids))
    tracked = {engine.ids.name(place) for place in places if stages._is_autotracked(engine.tables, place)}
    (queue,) = (name for name in map(engine.ids.name, places) if "queue" in name and name.startswith("eni"))
    assert tracked == {"nat-a", "nat-b", "eigw-a", "vpce-ddb", queue} | more


EXEMPT = {
    "dhcp": IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67),
    "neighbour discovery": IPv6(src=WEB_V6, dst="ff02::1:ff00:1") / ICMPv6ND_NS(tgt="2001:db8:a::1"),
    "a name server": udp(WEB, "169.254.169.253", "4000>53"),
}


@pytest.mark.parametrize("packet", EXEMPT.values(), ids=EXEMPT)
def test_what_no_filter_touches(packet):
    """The fabric's own takes it, whatever the groups say, and no rule and no entry is its own (FB-1 to FB-7)."""
    at = There(base(group("shut", [], []), web="shut"), packet, TRACKED=1, RULE=9)
    stages.send(at.tables, at.state, P, at.id("eni-web"), at.now)
    assert at.steps() == [("EXEMPT", "eni-web", "ACCEPT", "NONE", "", 0)]
    assert at.state.flights[P, [Flight.TRACKED, Flight.RULE]].tolist() == [0, 0]


def test_what_stays_in_the_guest():
    """A packet to the interface's own address, or to a loopback one, meets nobody (FB-23)."""
    for destination in (WEB, "127.0.0.1"):
        at = There(base(group("shut", [], []), web="shut"), icmp(WEB, destination, 8), TRACKED=1, RULE=9)
        stages.send(at.tables, at.state, P, at.id("eni-web"), at.now)
        assert at.steps() == [("DELIVERED", "eni-web", "ACCEPT", "NONE", "", 0)]
        assert at.state.flights[P, [Flight.TRACKED, Flight.RULE]].tolist() == [0, 0]
