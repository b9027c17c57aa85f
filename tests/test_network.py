"""What the front door promises: send packets, look at what is remembered, change rules while traffic flows, ask why."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from emulator import Network, Rule, load, loads
from emulator.errors import UsageError
from emulator.model import edits
from emulator.model.entities import Instance, NetworkInterface
from emulator.model.groups import Direction

CUSTOMER, WEB, WEB_PUBLIC = "192.0.2.77", "10.0.1.10", "198.51.100.10"
CUSTOMER_V6, WEB_V6 = "2001:db8:ffff::77", "2001:db8:a::10"


@pytest.fixture
def web(topologies):
    return Network(topologies / "web-server.yaml")


def syn(source=CUSTOMER, destination=WEB_PUBLIC, port=443, ttl=64):
    return IP(src=source, dst=destination, ttl=ttl) / TCP(sport=50000, dport=port, flags="S")


def has_right_checksums(packet):
    """Whether Scapy, computing them anew, writes the very same bytes."""
    fresh = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        if layer in fresh:
            del fresh[layer].chksum
    return bytes(fresh) == bytes(packet)


@pytest.mark.parametrize("payload", [b"", b"odd", b"\xff" * 1000], ids=["empty", "odd", "long"])
@pytest.mark.parametrize("layer", [TCP(sport=50000, dport=443, flags="S"), TCP(sport=50000, dport=80, flags="S")], ids=["443", "80"])
def test_a_delivered_packet_has_true_bytes(web, layer, payload):
    """A packet arrives as a Scapy packet with the private address, right checksums, and the time to live that it had (FB-18)."""
    trace = web.send(IP(src=CUSTOMER, dst=WEB_PUBLIC, ttl=37) / layer / payload)
    arrived = trace.delivered.scapy
    assert (arrived.src, arrived.dst, arrived.ttl, bytes(arrived[TCP].payload)) == (CUSTOMER, WEB, 37, payload)
    assert has_right_checksums(arrived)


def test_a_reply_leaves_with_the_public_address(web):
    """The gateway puts the public address in place of the private one, checksums included (RT-20)."""
    web.send(syn())
    reply = web.send(IP(src=WEB, dst=CUSTOMER) / TCP(sport=443, dport=50000, flags="SA"))
    assert reply.delivered.scapy.src == WEB_PUBLIC
    assert has_right_checksums(reply.delivered.scapy)


def test_ipv6_is_not_translated(web):
    """IPv6 crosses the gateway as it is (RT-20)."""
    sent = IPv6(src=CUSTOMER_V6, dst=WEB_V6) / TCP(sport=50000, dport=443, flags="S")
    assert bytes(web.send(sent).delivered.scapy) == bytes(sent)


def test_ethernet_frames_and_bytes_are_taken_too(web):
    """A packet may be given with its Ethernet header, or as bytes that begin with the IP header."""
    assert web.send(Ether() / syn()).accepted
    assert web.send(bytes(syn())).accepted
    with pytest.raises(UsageError, match="not an IP datagram"):
        web.send(Ether(type=0x88CC) / b"hello")


def test_one_address_on_both_sides_needs_a_sender(web):
    """Who sends may be said by name, id or interface; an unknown name is an error."""
    for name in ("customer", "ext-customer"):
        assert web.send(syn(), source=name).accepted
    with pytest.raises(UsageError, match="did you mean customer"):
        web.send(syn(), source="custmer")


def test_what_an_interface_remembers_is_told(web):
    """A tracked connection is listed with both ends, its state, what is left of its time, and the rule that opened it."""
    web.send(IP(src=WEB, dst="192.0.2.80") / UDP(sport=5000, dport=53))
    (entry,) = web.entries("web-1")
    assert (entry.interface, entry.protocol, entry.rule) == ("web-1:eth0", "udp", "web egress 1")
    assert (entry.source, entry.source_port, entry.destination, entry.destination_port) == (WEB, 5000, "192.0.2.80", 53)
    assert entry.expires_in_ns == 30 * 10**9
    web.advance(web.now_ns + 31 * 10**9)
    assert web.entries() == []


def test_rules_change_under_live_traffic(web):
    """A new rule lets the next packet in; taking it away cuts what is not tracked at once, and new connections (SG-53, SG-55)."""
    ssh = Rule.of("SSH", "0.0.0.0/0")
    assert not web.send(syn(port=22)).accepted
    web.edit(edits.authorize(web.topology, "web", Direction.INGRESS, ssh))
    assert web.send(syn(port=22)).accepted
    web.edit(edits.revoke(web.topology, "web", Direction.INGRESS, ssh))
    assert web.send(syn(port=22)).reason == "ENI_SG_RULES_MISMATCH"


def test_a_question_changes_nothing(web):
    """`explain` works on a copy: nothing is remembered, no time passes."""
    before = [matrix.tobytes() for matrix in web.engine.state]
    assert web.explain("web-1", "internet", "HTTPS").reachable
    assert [matrix.tobytes() for matrix in web.engine.state] == before


def test_a_copy_goes_its_own_way(web):
    """A what-if on a copy leaves the network as it was."""
    twin = web.copy()
    twin.send(IP(src=WEB, dst="192.0.2.80") / UDP(sport=5000, dport=53))
    assert (len(twin.entries()), len(web.entries())) == (1, 0)


def test_internet_is_nobody_who_has_rights(topologies):
    """``internet`` stands for an address that no rule names, so a rule for somebody does not let it in."""
    topology = load(topologies / "web-server.yaml")
    found = Network(edits.authorize(topology, "web", Direction.INGRESS, Rule.of("tcp/3389", "198.18.0.0/15"))).explain(
        "internet", "web-1", "RDP"
    )
    assert (found.reachable, found.why.code) == (False, "ENI_SG_RULES_MISMATCH")


def test_the_graph_answers_questions(topologies):
    """The topology is a networkx graph: which groups does an instance have, what leads to the gateway."""
    import networkx as nx

    graph = load(topologies / "web-server.yaml").graph
    assert graph.nodes["i-web-1"]["entity"].name == "web-1"
    assert [graph.nodes[key]["name"] for key in graph.successors("eni-web-1") if graph.nodes[key]["kind"] == "group"] == ["web"]
    assert nx.has_path(graph, "subnet-public-a", "igw-igw") or nx.has_path(graph, "subnet-public-a", "igw")
    kinds = {attributes["kind"] for _, attributes in graph.nodes(data=True)}
    assert {"vpc", "subnet", "instance", "interface", "group", "prefix_list", "route_table", "network_acl", "gateway", "external"} <= kinds


def test_things_show_themselves(web):
    """Traces, explanations and topologies have rich forms for notebooks, in which names are only text."""
    found = web.explain("customer", "web-1", "tcp/22")
    assert "<table>" in found._repr_html_()
    assert web.topology._repr_png_().startswith(b"\x89PNG")


def test_names_are_only_text(topologies):
    """A name with markup in it is shown as the characters that it has."""
    text = (topologies / "default-security-group.yaml").read_text().replace("mallory", '"<script>x</script>"')
    found = Network(loads(text)).explain("<script>x</script>", "bob", "SSH")
    assert "&lt;script&gt;x&lt;/script&gt;" in found._repr_html_()
    assert "<script>" not in found._repr_html_()


def test_several_interfaces_of_an_instance(topologies):
    """An instance's name stands for its primary interface; each interface has groups of its own (SG-1)."""
    topology = load(topologies / "two-groups-one-subnet.yaml")
    eni = next(topology.all(NetworkInterface))
    more = NetworkInterface("eth1", eni.instance, eni.subnet, (type(eni.private_ips[0])("10.0.1.99"),), (), ("admin",))
    network = Network(topology.replace(more))
    assert network.explain("laptop", "web-1", "HTTP").reachable
    assert not network.explain("laptop", "web-1:eth1", "HTTP").reachable
    assert network.explain("laptop", "10.0.1.99", "SSH").reachable
    assert next(topology.all(Instance)).id == eni.instance
