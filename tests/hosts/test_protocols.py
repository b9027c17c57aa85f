"""ICMP, UDP, DNS, HTTP, fragments and a user's own services, as a host answers them; Scapy is the judge of the bytes."""

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Network, loads
from emulator.errors import UsageError
from emulator.hosts.base import Socket
from emulator.hosts.datagrams import checksum, icmp_datagram, udp_datagram
from emulator.hosts.dns import Names, NameServer
from emulator.hosts.fragments import Reassembly, fragments_of
from emulator.hosts.host import Host
from emulator.hosts.http import answer_in
from emulator.model.services import parse_service
from emulator.model.topology import Topology
from emulator.wire.packet import Packet

V4, V6 = (ip_address("10.0.1.10"), ip_address("10.0.2.10")), (ip_address("2001:db8::1"), ip_address("2001:db8::2"))
LAB = """
topology: lab
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets:
      a: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public}
    route_tables: {public: [{destination: 0.0.0.0/0, target: igw}]}
    security_groups:
      open: {ingress: [{type: All traffic, source: 0.0.0.0/0}]}
    instances:
      web: {subnet: a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [open], listen: [HTTP]}
      db:  {subnet: a, private_ip: 10.0.1.20, security_groups: [open], listen: []}
internet:
  customer: {ip: 192.0.2.77}
"""


def host(listen=(), mtu=1500):
    return Host("one", (V4[1], V6[1]), listen, Names(Topology.of()), mtu=mtu)


@settings(deadline=None)
@given(st.binary(max_size=40), st.sampled_from([V4, V6]), st.integers(0, 65535))
def test_datagrams_are_as_scapy_builds_them(data, ends, port):
    """Headers and checksums of ICMP and UDP are byte for byte what Scapy makes."""
    from scapy.layers.inet import ICMP, IP, UDP
    from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6

    source, destination = ends
    if source.version == 4:
        echo = IP(src=str(source), dst=str(destination), id=0) / ICMP(id=port, seq=7) / data
        datagram = IP(src=str(source), dst=str(destination), id=0, flags="DF") / UDP(sport=port, dport=53) / data
    else:
        echo = IPv6(src=str(source), dst=str(destination)) / ICMPv6EchoRequest(id=port, seq=7, data=data)
        datagram = IPv6(src=str(source), dst=str(destination)) / UDP(sport=port, dport=53) / data
    assert icmp_datagram(source, destination, 8 if source.version == 4 else 128, 0, port, 7, data) == bytes(echo)
    assert udp_datagram(Socket(source, port), Socket(destination, 53), data) == bytes(datagram)


@settings(deadline=None)
@given(st.binary(max_size=101))
def test_checksum_is_the_rfc_sum(data):
    """The sum modulo 65,535 is the sum of RFC 1071 taken word by word."""
    words = [int.from_bytes(data[at : at + 2].ljust(2, b"\0")) for at in range(0, len(data), 2)]
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert checksum(data) == ~total & 0xFFFF


@pytest.mark.parametrize("ends", [V4, V6], ids=["IPv4", "IPv6"])
def test_echo_is_answered_with_its_data(ends):
    """The reply has identifier, sequence number and data of the request, and goes back."""
    kind = {4: (8, 0), 6: (128, 129)}[ends[0].version]
    request = icmp_datagram(*ends, kind[0], 0, 77, 3, b"payload")
    (send,) = host().receive(Packet.parse(request), 0)
    assert send.datagram == icmp_datagram(*ends[::-1], kind[1], 0, 77, 3, b"payload")


@pytest.mark.parametrize("ends", [V4, V6], ids=["IPv4", "IPv6"])
def test_a_closed_udp_port_is_unreachable(ends):
    """The error quotes the datagram, so that its sender knows which it was."""
    datagram = udp_datagram(Socket(ends[0], 5000), Socket(ends[1], 53), b"?")
    (send,) = host().receive(Packet.parse(datagram), 0)
    error = Packet.parse(send.datagram).scapy
    assert (error[1].type, error[1].code) == ((3, 3) if ends[0].version == 4 else (1, 4))
    assert bytes(error[1].payload)[: len(datagram)] == datagram
    assert host(None).receive(Packet.parse(datagram), 0)[0].datagram == udp_datagram(Socket(ends[1], 53), Socket(ends[0], 5000), b"?")


def test_no_error_about_an_error():
    """An ICMP error for nobody is not answered by another."""
    error = icmp_datagram(*V4, 3, 3, 0, 0, udp_datagram(Socket(V4[1], 1), Socket(V4[0], 2), b""))
    assert host().receive(Packet.parse(error), 0) == []


@settings(deadline=None)
@given(st.integers(0, 4000), st.integers(68, 1500), st.sampled_from([V4, V6]), st.randoms())
def test_fragments_join_to_what_was_cut(size, mtu, ends, randomly):
    """In any order, also with copies, the pieces give back the datagram; no piece is longer than the MTU."""
    mtu = mtu if ends[0].version == 4 else max(mtu, 1280)
    datagram = udp_datagram(Socket(ends[0], 1), Socket(ends[1], 2), bytes(number & 0xFF for number in range(size)), dont_fragment=False)
    pieces = fragments_of(datagram, mtu, 7)
    assert all(len(piece) <= mtu for piece in pieces)
    randomly.shuffle(pieces)
    reassembly = Reassembly()
    joined = [whole for piece in pieces if (whole := reassembly.take(Packet.parse(piece), 0)) is not None]
    head = 20 if ends[0].version == 4 else 40
    assert [whole.frame[head:] for whole in joined] == [datagram[head:]]
    assert [len(whole.frame) for whole in joined] == [len(datagram)]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_nothing_that_comes_in_breaks_a_host(data):
    """Any bytes behind an IP header are taken or passed over; none raises."""
    from emulator.hosts.datagrams import ip_datagram

    one = host(None)
    for protocol in (1, 6, 17, 47):
        one.receive(Packet.parse(ip_datagram(*V4, protocol, data)), 0)
    for protocol in (58, 6, 17, 44):
        one.receive(Packet.parse(ip_datagram(*V6, protocol, data)), 0)
    assert answer_in(data) is None or data.startswith(b"HTTP/")
    assert isinstance(NameServer(one.names, "")(data, Socket(V4[0], 53)), list)


@pytest.mark.parametrize(
    ("source", "name", "address"),
    [
        ("web", "db", "10.0.1.20"),
        ("web", "WEB", "10.0.1.10"),
        ("web", "ip-10-0-1-20.ec2.internal", "10.0.1.20"),
        ("web", "customer", "192.0.2.77"),
        ("customer", "web", "198.51.100.10"),
        ("customer", "db", None),
        ("web", "nobody", None),
    ],
    ids=[
        "instance, inside",
        "capitals",
        "Amazon's private name",
        "host outside",
        "public address outside",
        "private one outside",
        "nobody",
    ],
)
def test_names(source, name, address):
    """A name means a private address inside its VPC, a public one outside, and nothing where nobody has it."""
    found = Network(loads(LAB))[source].dig(name)
    assert [str(ip) for ip in found.addresses] == ([address] if address else [])
    assert address or found.status in ("NXDOMAIN", "NOERROR")


QUEUE = """\
    vpc_endpoints:
      queue:
        type: Interface
        private_dns_names: [sqs.eu-central-1.amazonaws.com]
        nodes: [{subnet: a, private_ip: 10.0.1.77}]
        security_groups: [open]
"""


def test_rt57_an_endpoints_private_name_leads_to_its_interface():
    """Inside its VPC a service's own name means the endpoint's interface, which answers; outside it means nothing (RT-57)."""
    head, line, tail = LAB.partition("    instances:\n")
    network = Network(loads(head + QUEUE + line + tail))
    name = "sqs.eu-central-1.amazonaws.com"
    assert [str(ip) for ip in network["web"].dig(name).addresses] == ["10.0.1.77"]
    assert network["customer"].dig(name).status == "NXDOMAIN"
    assert network["web"].connect(name, 443).outcome == "open"
    assert network["web"].connect(name, 80).outcome != "open", "it serves its ports alone"


def test_own_service_from_a_scapy_packet_to_scapy_packets():
    """A function of five lines answers a port that was closed before."""
    from scapy.layers.inet import IP, UDP

    network = Network(loads(LAB))
    assert network["customer"].ask("web", "udp/9999", "hello").outcome == "refused"

    def shout(packet):
        back = IP(src=packet[IP].dst, dst=packet[IP].src) / UDP(sport=packet[UDP].dport, dport=packet[UDP].sport)
        return back / bytes(packet[UDP].payload).upper()

    network["web"].serve("udp/9999", shout)
    assert network["customer"].ask("web", "udp/9999", "hello").is_open
    assert network.tcpdump("customer").packets[-1].frame.endswith(b"HELLO")


def test_scapy_answering_machine():
    """One of Scapy's answering machines serves a port."""
    from scapy.ansmachine import AnsweringMachine
    from scapy.layers.inet import IP, UDP

    class Pong(AnsweringMachine):
        function_name = "pong"

        def is_request(self, req):
            return bytes(req[UDP].payload) == b"ping"

        def make_reply(self, req):
            return IP(src=req[IP].dst, dst=req[IP].src) / UDP(sport=req[UDP].dport, dport=req[UDP].sport) / b"pong"

    network = Network(loads(LAB))
    network["web"].serve("udp/7000", Pong())
    assert network["customer"].ask("web", "udp/7000", "ping").is_open
    assert network["customer"].ask("web", "udp/7000", "else").outcome == "no answer"


def test_a_service_that_gives_nonsense_is_named():
    """What a service gave and what it may give stand in one line."""
    network = Network(loads(LAB))
    network["web"].serve("udp/7000", lambda packet: 5)
    with pytest.raises(UsageError, match="a service gave 5; give None"):
        network["customer"].ask("web", "udp/7000")


def test_two_echo_services_do_not_talk_for_ever():
    """A datagram between two ports that both echo is answered once."""
    from scapy.layers.inet import IP, UDP

    network = Network(loads(LAB.replace("listen: [HTTP]", "listen: [udp/7]").replace("listen: []", "listen: [udp/7]")))
    network["web"].send(IP(src="10.0.1.10", dst="10.0.1.20") / UDP(sport=7, dport=7) / b"x")
    network.run("10s")
    assert len(network.tcpdump("web")) == 2


def test_listen_words():
    """What listens is what the topology says."""
    one = host((parse_service("tcp/8000-8010"), parse_service("DNS (UDP)")))
    assert one.service_on(8005) is not None
    assert one.service_on(80) is None
    assert one.is_udp_open(53)
    assert not one.is_udp_open(8005)
