"""NAT gateways and balancers more closely: errors and what they quote, the last port, the last nanosecond, whose groups are lost."""

from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from emulator.datapath import balancers, nat
from emulator.model.entities import NatGateway
from emulator.model.groups import GroupPeer, Rule
from emulator.model.services import ALL, ANY_PORTS
from tests.base import APP1, APP2, DB, EXT, EXT2, WEB, WEB2, base, group
from tests.dialogue import Dialogue, error, tcp, udp
from tests.vpc.test_joined import OPEN, balanced

NAT_PUBLIC, NODE, NODE_PUBLIC = "198.51.100.20", "10.0.0.80", "198.51.100.80"
LOST = "SG_REFERENCES_NOT_PRESERVED"


def names(packet):
    """Source, destination, and ports or identifier of a packet, or of one that is quoted."""
    layer = packet.payload
    return packet.src, packet.dst, *((layer.id,) if packet.proto == 1 else (layer.sport, layer.dport))


@pytest.mark.parametrize(
    "ask",
    [tcp(APP1, EXT, "40000>443"), udp(APP1, EXT, "40000>53"), IP(src=APP1, dst=EXT) / ICMP(type=8, id=7, seq=3)],
    ids=["tcp", "udp", "ping"],
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


@pytest.mark.parametrize("outward", [True, False], ids=["the inside closes first", "the outside closes first"])
def test_both_ends_of_a_flow_close_it(outward):
    """Each end's FIN and its acknowledgement are needed; until then it goes on, and then it is gone (RT-33)."""
    talk = Dialogue(base(group("any", OPEN, OPEN), app1="any"))
    port = talk.send(tcp(APP1, EXT, "40000>443")).accepted().trace.delivered.five_tuple.source_port

    def say(from_inside, flags, seq, ack):
        ends = (APP1, EXT, 40000, 443) if from_inside else (EXT, NAT_PUBLIC, 443, port)
        return talk.send(IP(src=ends[0], dst=ends[1]) / TCP(sport=ends[2], dport=ends[3], flags=flags, seq=seq, ack=ack))

    say(False, "SA", 100, 1).accepted()
    say(True, "A", 1, 101).accepted()
    mine, theirs = (1, 101) if outward else (101, 1)
    say(outward, "FA", mine, theirs).accepted()
    say(not outward, "A", theirs, mine + 1).accepted()
    say(not outward, "FA", theirs, mine + 1).accepted()
    say(outward, "A", mine + 1, theirs + 1).accepted()
    say(False, "A", 101, 2).dropped(code="EMU_NO_UNSOLICITED_INGRESS")
    say(True, "A", 2, 102).dropped(code="EMU_NAT_NO_CONNECTION")


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
    """What begins in the middle is dropped at the node, a segment with a reset; a SYN opens, for its own port and client alone (CT-29)."""
    talk = Dialogue(balanced("app1", app1="served"))
    talk.send(tcp(EXT, NODE_PUBLIC, "50000>80", flags)).dropped("E8(eni-front-pub-a)", "EMU_NAT_NO_CONNECTION")
    told = [(*names(answer.delivered.scapy), str(answer.delivered.scapy[TCP].flags)) for answer in talk.trace.made]
    assert told == ([(NODE_PUBLIC, EXT, 80, 50000, "R")] if flags in ("A", "FA") else [])
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


@pytest.mark.parametrize(
    ("cross_zone", "order"), [pytest.param(False, [APP1, APP2], id="of its zone"), pytest.param(True, [APP1, DB, APP2], id="of all zones")]
)
def test_every_usable_target_of_a_node_has_its_turn(cross_zone, order, monkeypatch):
    """The hash of a flow counts the healthy targets that the node may use, in their order."""
    for turn in range(2 * len(order)):
        monkeypatch.setattr(balancers, "mix", lambda *_, turn=turn: turn)
        talk = Dialogue(balanced(APP1, DB, APP2, target_type="ip", cross_zone=cross_zone))
        talk.send(tcp(EXT, NODE_PUBLIC, "50000>80")).accepted(destination=order[turn % len(order)])


def test_an_answer_leaves_by_the_second_address_that_it_came_by():
    """What comes to any of a NAT gateway's addresses is its own; a datagram to its neighbour's address is not (RT-32, RT-34)."""
    second = ((ip_address("10.0.0.221"), ip_address("198.51.100.21")),)
    talk = Dialogue(base(NatGateway("nat-a", "pub-a", ip_address("10.0.0.220"), ip_address(NAT_PUBLIC), secondary_ips=second)))
    for public in (NAT_PUBLIC, "198.51.100.21"):
        talk.send(udp(EXT, public, "53>5000")).dropped("E8(nat-a)", "EMU_NO_UNSOLICITED_INGRESS")


def test_a_target_that_is_no_interface_sees_the_node():
    """The client's address is kept for interfaces alone: to an address that none has goes the node's own (measured on AWS)."""
    talk = Dialogue(balanced("10.0.1.99", target_type="ip", keep=True, cross_zone=True))
    talk.send(tcp(EXT, NODE_PUBLIC, "50000>80")).dropped("E6(pub-a)", "NO_POSSIBLE_DESTINATION")
    assert f"source becomes {NODE}" in str(talk.trace)
