"""Where a packet of a capture enters, row by row of the table in `entrance`, and with which addresses."""

from dataclasses import replace
from functools import cache
from ipaddress import ip_address, ip_network

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6

from emulator.datapath.entrance import AT_PLACE, SERVICE, SKIP, entrance
from emulator.engine import Engine
from emulator.model.entities import ExternalHost, Instance, InternetGateway, NatGateway, NetworkInterface, Subnet, Vpc
from emulator.model.groups import PrefixList
from emulator.model.joined import CustomerNetwork, GatewayEndpoint, VpnGateway
from emulator.model.topology import Topology
from emulator.policy.reasons import Reason
from emulator.policy.tables import lookup
from emulator.wire.addresses import address, halves
from emulator.wire.headers import FIELDS
from emulator.wire.packet import Packet
from tests.base import APP1, B1, DB, EXT, EXT2, EXT_V6, WEB, WEB2_PUBLIC, WEB_PUBLIC, WEB_V6, base
from tests.dialogue import ip, ping6, tcp, udp

BUCKET, PC, NAT, NAT_PUBLIC, UNKNOWN = "52.216.1.1", "192.168.1.5", "10.0.0.220", "198.51.100.20", "192.0.2.77"
INTERNET = "internet"


@cache
def joined():
    """The base with a customer network behind vpc-a and S3 by an endpoint from web's subnet."""
    network = base(
        VpnGateway("vgw", "vpc-a"),
        CustomerNetwork("office", (ip_network("192.168.0.0/16"),), gateway="vgw"),
        ExternalHost("pc", (ip_address(PC),)),
        PrefixList("pl-s3", "vpc-a", (ip_network("52.216.0.0/15"),)),
        GatewayEndpoint("vpce-s3", "vpc-a", "pl-s3", ("rtb-pub",)),
        ExternalHost("bucket", (ip_address(BUCKET),)),
    )
    table = network.entities["rtb-priv"]
    return network.replace(replace(table, propagating=("vgw",)))


def entered(network, packet):
    """How a packet enters, the name of the place or reason, and its addresses then."""
    engine = Engine(network, compiled=False)
    header = Packet.of(packet).header
    engine.state.flights[0, :FIELDS] = header
    way = entrance(engine.tables, engine.state, 0)
    family = 6 if isinstance(packet, IPv6) else 4
    name = Reason(way.place).name if way.how == SKIP else engine.ids.name(way.place)
    assert len({AT_PLACE, SERVICE, SKIP}) == 3
    assert engine.state.flights[0, :FIELDS].tolist() == header.tolist(), "nothing is changed"
    return way.how, name, str(address(family, way.source_hi, way.source_lo)), str(address(family, way.destination_hi, way.destination_lo))


def dhcp(source, destination, ports="68>67"):
    """A DHCP packet."""
    return udp(source, destination, ports)


def solicitation(source, destination):
    """A neighbour solicitation."""
    return IPv6(src=source, dst=destination) / ICMPv6ND_NS(tgt=destination)


PLACES = {  # packet: the interface or host, and the addresses that differ from the packet's own
    "a private source, at its interface": (tcp(WEB, EXT, "1>2"), "eni-web", {}),
    "of another VPC": (tcp(B1, WEB, "1>2"), "eni-b1", {}),
    "of IPv6": (ping6(WEB_V6, EXT_V6), "eni-web", {}),
    "from interface to interface": (tcp(APP1, DB, "1>2"), "eni-app1", {}),
    "even to where nobody is": (tcp(APP1, UNKNOWN, "1>2"), "eni-app1", {}),
    "a public source, seen outside: at its interface, by its private address": (tcp(WEB_PUBLIC, EXT, "1>2"), "eni-web", {"source": WEB}),
    "the same to another public address": (tcp(WEB_PUBLIC, WEB2_PUBLIC, "1>2"), "eni-web", {"source": WEB}),
    "dhcp of an interface": (dhcp(WEB, "10.0.0.1"), "eni-web", {}),
    "a host outside, to a public address": (tcp(EXT, WEB_PUBLIC, "1>2"), "ext-ext", {}),
    "the same seen inside: to the public address": (tcp(EXT, WEB, "1>2"), "ext-ext", {"destination": WEB_PUBLIC}),
    "to an interface that has none": (tcp(EXT, APP1, "1>2"), "ext-ext", {}),
    "of IPv6, to an address that is public as it is": (ping6(EXT_V6, WEB_V6), "ext-ext", {}),
    "somebody unknown": (tcp(UNKNOWN, WEB_PUBLIC, "1>2"), INTERNET, {}),
    "somebody unknown, seen inside": (tcp(UNKNOWN, WEB, "1>2"), INTERNET, {"destination": WEB_PUBLIC}),
    "to a NAT gateway's public address": (tcp(EXT, NAT_PUBLIC, "1>2"), "ext-ext", {}),
    "from a NAT gateway's public address": (tcp(NAT_PUBLIC, WEB_PUBLIC, "1>2"), INTERNET, {}),
    "to an address of a VPC that nobody has": (tcp(EXT, "10.0.9.9", "1>2"), "ext-ext", {}),
    "of another VPC that nobody has": (tcp(EXT, "10.1.9.9", "1>2"), "ext-ext", {}),
    "of IPv6 that nobody has": (ping6(EXT_V6, "2001:db8:a::99"), "ext-ext", {}),
    "a customer's host, to a private address": (tcp(PC, APP1, "1>2"), "ext-pc", {}),
    "a customer's host, to an interface with a public address": (tcp(PC, WEB, "1>2"), "ext-pc", {}),
    "S3, to an interface that has an endpoint and a public address": (tcp(BUCKET, WEB, "443>2"), "ext-bucket", {}),
    "S3 unnamed, likewise": (tcp("52.217.9.9", WEB, "443>2"), INTERNET, {}),
    "S3 at the public address": (tcp(BUCKET, WEB_PUBLIC, "443>2"), "ext-bucket", {}),
    "the same last half, another first": (ping6("2001:db8:b::10", WEB_V6), INTERNET, {}),
    "the same first half, another last": (ping6("2001:db8:a::10", "2001:db8:a::12"), "eni-web", {}),
}
SERVICES = {  # packet: the interface
    "a name server's answer": (udp("10.0.0.2", WEB, "53>4000"), "eni-web"),
    "a name server's answer by tcp": (tcp("169.254.169.253", APP1, "53>4000", "SA"), "eni-app1"),
    "the time": (udp("169.254.169.123", DB, "123>123"), "eni-db"),
    "metadata": (tcp("169.254.169.254", WEB, "80>4000", "SA"), "eni-web"),
    "metadata over IPv6": (tcp("fd00:ec2::254", WEB_V6, "80>4000", "SA"), "eni-web"),
    "the router of the interface's subnet": (udp("10.0.1.1", APP1, "1>2"), "eni-app1"),
}
SKIPPED = {  # packet: the reason
    "to itself": (tcp(WEB, WEB, "1>2"), Reason.EMU_LOOPBACK),
    "from the host's own loopback": (tcp("127.0.0.1", WEB, "1>2"), Reason.EMU_LOOPBACK),
    "to the host's own loopback": (tcp(WEB, "127.9.9.9", "1>2"), Reason.EMU_LOOPBACK),
    "the loopback of IPv6": (ping6("::1", WEB_V6), Reason.EMU_LOOPBACK),
    "dhcp before there is an address": (dhcp("0.0.0.0", "255.255.255.255"), Reason.EMU_FABRIC),
    "dhcp from outside": (dhcp(EXT, WEB_PUBLIC, "67>68"), Reason.EMU_FABRIC),
    "a neighbour solicitation from outside": (solicitation(EXT_V6, WEB_V6), Reason.EMU_FABRIC),
    "link-local": (ping6("fe80::1", WEB_V6), Reason.EMU_FABRIC),
    "a service's address and another port": (tcp("169.254.169.254", WEB, "81>4000"), Reason.EMU_FABRIC),
    "a service to nobody": (udp("169.254.169.253", EXT, "53>4000"), Reason.EMU_FABRIC),
    "from nobody": (IP(src="0.0.0.0", dst=WEB) / UDP(), Reason.EMU_FABRIC),
    "from a group": (IP(src="224.0.0.5", dst=WEB) / UDP(), Reason.EMU_FABRIC),
    "an address of a VPC that no interface has": (tcp("10.0.9.9", WEB, "1>2"), Reason.EMU_NO_SUCH_INTERFACE),
    "of the other VPC": (tcp("10.1.9.9", WEB, "1>2"), Reason.EMU_NO_SUCH_INTERFACE),
    "of IPv6": (ping6("2001:db8:a::99", WEB_V6), Reason.EMU_NO_SUCH_INTERFACE),
    "a NAT gateway's own": (tcp(NAT, WEB, "1>2"), Reason.EMU_NO_SUCH_INTERFACE),
    "the router of another subnet": (udp("10.0.0.1", APP1, "1>2"), Reason.EMU_NO_SUCH_INTERFACE),
    "from outside to outside": (tcp(EXT, EXT2, "1>2"), Reason.EMU_NOT_IN_TOPOLOGY),
    "from somebody to somebody": (tcp(UNKNOWN, "192.0.2.78", "1>2"), Reason.EMU_NOT_IN_TOPOLOGY),
    "from a customer's host to the internet": (tcp(PC, EXT, "1>2"), Reason.EMU_NOT_IN_TOPOLOGY),
    "of IPv6, from outside to outside": (ping6(EXT_V6, "2001:db8:fffe::1"), Reason.EMU_NOT_IN_TOPOLOGY),
}


@pytest.mark.parametrize(("packet", "place", "changed"), PLACES.values(), ids=PLACES)
def test_it_enters(packet, place, changed):
    """At this place, with its own addresses but for these."""
    ends = {"source": packet.src, "destination": packet.dst, **changed}
    how, name, *seen = entered(joined(), packet)
    assert (how, name, seen) == (AT_PLACE, place, list(ends.values()))


@pytest.mark.parametrize(("packet", "place"), SERVICES.values(), ids=SERVICES)
def test_it_comes_from_a_service(packet, place):
    """The fabric answers, and no filter is asked (FB-1 to FB-7)."""
    assert entered(joined(), packet) == (SERVICE, place, packet.src, packet.dst)


@pytest.mark.parametrize(("packet", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_it_is_skipped(packet, reason):
    """It concerns nobody here, for this reason."""
    assert entered(joined(), packet) == (SKIP, reason.name, packet.src, packet.dst)


def test_a_private_address_that_two_vpcs_have():
    """The first interface with an address has it, and its public address counts: no NAT gateway's of another VPC does."""
    parts = [Vpc("a", (ip_network("10.0.0.0/16"),)), Vpc("b", (ip_network("10.0.0.0/16"),)), ExternalHost("ext", (ip_address(EXT),))]
    parts += [InternetGateway(f"igw-{vpc}", vpc) for vpc in "ab"]
    parts += [Subnet(f"s-{vpc}", vpc, (ip_network("10.0.0.0/24"),)) for vpc in "ab"]
    parts += [NatGateway("nat", "s-a", ip_address("10.0.0.9"), ip_address("198.51.100.1")), Instance("m", "b")]
    pair = ip_address("10.0.0.9"), ip_address("198.51.100.2")
    parts.append(NetworkInterface("eth0", "m", "s-b", pair[:1], (pair,)))
    assert entered(Topology.of(*parts), tcp(EXT, "10.0.0.9", "1>2")) == (AT_PLACE, "ext-ext", EXT, "198.51.100.2")


def moved(private=WEB, public=WEB_PUBLIC):
    """The base with other addresses for web."""
    pair = ip_address(private), ip_address(public)
    return base().changed("eni-web", private_ips=pair[:1], public_ips=(pair,))


def first_in_the_index(scope, addresses, network):
    """An address that would stand in the first row of the index of a network, and the network with it."""
    for text in addresses:
        other = network(text)
        engine = Engine(other, compiled=False)
        if lookup(engine.tables.index, engine.ids.of(scope) if scope else 0, *halves(ip_address(text))) == 0:
            return text, other
    raise AssertionError("none stands there")


def test_a_public_address_in_the_first_row_of_the_index():
    """It is its interface's like any other, as source and as destination."""
    addresses = (f"198.51.{third}.{last}" for third in range(101, 105) for last in range(1, 255))
    public, network = first_in_the_index("", addresses, lambda text: moved(public=text))
    assert entered(network, tcp(public, EXT, "1>2")) == (AT_PLACE, "eni-web", WEB, EXT)
    assert entered(network, tcp(UNKNOWN, public, "1>2")) == (AT_PLACE, INTERNET, UNKNOWN, public)


def test_a_private_address_in_the_first_row_of_the_index():
    """It is known to have a public one."""
    addresses = (f"10.0.0.{last}" for last in (*range(4, 10), *range(210, 220)))
    private, network = first_in_the_index("vpc-a", addresses, lambda text: moved(private=text))
    assert entered(network, tcp(EXT, private, "1>2")) == (AT_PLACE, "ext-ext", EXT, WEB_PUBLIC)


def test_where_there_is_no_vpc_nothing_enters():
    """A network of hosts outside alone has no interfaces, and no addresses are its own."""
    network = Topology.of(ExternalHost("ext", (ip_address(EXT), ip_address(EXT_V6))))
    for packet in (tcp(EXT, WEB, "1>2"), tcp(WEB, EXT, "1>2"), ping6(EXT_V6, WEB_V6), ip("0.0.0.1", "0.0.0.2") / UDP()):
        assert entered(network, packet)[:2] == (SKIP, "EMU_NOT_IN_TOPOLOGY")
