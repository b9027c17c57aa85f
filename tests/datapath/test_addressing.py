"""What an address means to the fabric, against `ipaddress` and the tables of the semantics, at the edges of every block."""

from ipaddress import ip_address, ip_network

import pytest

from emulator.datapath import addressing
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.tables import row_of
from emulator.wire.addresses import halves
from emulator.wire.headers import ICMP, ICMPV6, TCP, UDP
from tests.base import base

RFC1918 = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
RFC6598 = ip_network("100.64.0.0/10")
BLOCKS = [
    *RFC1918,
    RFC6598,
    *map(ip_network, ("127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "0.0.0.0/32", "8.8.8.8/32")),
    *map(ip_network, ("::/128", "::1/128", "fe80::/10", "ff00::/8", "fc00::/7", "2001:db8::/32", "0:0:0:1::/64", "1::/16")),
]
EDGES = sorted(
    {
        type(end)(int(end) + step)
        for block in BLOCKS
        for end in (block[0], block[-1])
        for step in (-1, 0, 1)
        if 0 <= int(end) + step < 2**end.max_prefixlen
    },
    key=lambda ip: (ip.version, ip),
)


@pytest.mark.parametrize("ip", EDGES, ids=str)
def test_kinds_of_addresses(ip):
    """Each kind is the block that the RFCs say, to the last address (RFC 1918, 6598, 4291, 5771)."""
    pair = ip.version, *halves(ip)
    broadcast = ip == ip_address("255.255.255.255")
    assert addressing.is_unicast(*pair) == (not ip.is_multicast and not ip.is_unspecified and not broadcast)
    assert addressing.is_loopback(*pair) == ip.is_loopback
    assert addressing.is_link_local(*pair) == ip.is_link_local
    if ip.version == 4:
        assert addressing.is_rfc1918(pair[2]) == any(ip in block for block in RFC1918)
        assert addressing.is_rfc6598(pair[2]) == (ip in RFC6598)


def test_neighbour_discovery():
    """ICMPv6 types 133 to 137, and no others (RFC 4861)."""
    found = [
        (protocol, kind) for protocol in (ICMP, TCP, ICMPV6) for kind in range(256) if addressing.is_neighbour_discovery(protocol, kind)
    ]
    assert found == [(ICMPV6, kind) for kind in range(133, 138)]


def test_dhcp():
    """Between client and server, either way, over udp (FB-2)."""
    ports = (66, 67, 68, 69, 545, 546, 547, 548)
    asked = [(protocol, source, destination) for protocol in (TCP, UDP) for source in ports for destination in ports]
    assert [one for one in asked if addressing.is_dhcp(*one)] == [(UDP, 67, 68), (UDP, 68, 67), (UDP, 546, 547), (UDP, 547, 546)]


SERVICES = {  # FB-1 to FB-6: the address, protocol and port of what no filter touches
    "169.254.169.253": {(TCP, 53), (UDP, 53)},
    "10.0.0.2": {(TCP, 53), (UDP, 53)},
    "fd00:ec2::253": {(TCP, 53), (UDP, 53)},
    "169.254.169.254": {(TCP, 80)},
    "169.254.170.2": {(TCP, 80)},
    "fd00:ec2::254": {(TCP, 80)},
    "169.254.169.250": {(TCP, 1688)},
    "169.254.169.251": {(TCP, 1688)},
    "fd00:ec2::240": {(TCP, 1688)},
    "169.254.169.123": {(UDP, 123)},
    "fd00:ec2::123": {(UDP, 123)},
}
STRANGERS = [
    "169.254.169.252",
    "169.254.169.249",
    "169.254.170.1",
    "10.0.0.3",
    "10.0.0.253",
    "fd00:ec2::2",
    "fd00:ec3::253",
    "8.8.8.8",
    "10.0.0.1",
]
ASKED = [(protocol, port) for protocol in (ICMP, TCP, UDP) for port in (0, 52, 53, 54, 79, 80, 81, 122, 123, 124, 1687, 1688, 1689)]


@pytest.mark.parametrize("address", [*SERVICES, *STRANGERS])
def test_services_that_no_filter_touches(address):
    """Each service at its own address, protocol and port, in both families, and nothing beside it (FB-1 to FB-8)."""
    ids, ip = Ids(), ip_address(address)
    tables = compile_tables(base(), ids)
    eni = row_of(tables, ids.of("eni-app1"))
    found = {one for one in ASKED if addressing.is_exempt_service(tables, eni, ip.version, *halves(ip), *one)}
    assert found == SERVICES.get(address, set())


@pytest.mark.parametrize(("ping", "exempt"), [("own_subnet", {ICMP, TCP, UDP}), ("none", {TCP, UDP})])
def test_the_router_of_the_own_subnet(ping, exempt):
    """The subnet's router takes everything, a ping unless it is told not to; the next subnet's takes nothing (FB-7, FB-16)."""
    ids = Ids()
    tables = compile_tables(base(policy={"router_ping": ping}), ids)
    eni = row_of(tables, ids.of("eni-app1"))
    for router, wanted in (("10.0.1.1", exempt), ("10.0.0.1", set())):
        pair = halves(ip_address(router))
        assert {protocol for protocol in (ICMP, TCP, UDP) if addressing.is_exempt_service(tables, eni, 4, *pair, protocol, 7)} == wanted
