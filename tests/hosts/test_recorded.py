"""Our hosts in the place of real ones: what Linux said in recorded captures is said to them, and judged by what Linux got."""

from collections import defaultdict
from pathlib import Path

import pytest

from emulator.hosts.base import Socket
from emulator.hosts.datagrams import datagram_of, payload_of
from emulator.hosts.dns import Names, NameServer
from emulator.hosts.host import Host
from emulator.hosts.tcp_segment import Segment, advanced, datagram_with, distance, segment_in
from emulator.hosts.tcp_states import State
from emulator.model.services import Service
from emulator.model.topology import Topology
from emulator.wire.capture import read_frames
from emulator.wire.headers import ACK, RST, SYN, TCP, Field
from emulator.wire.packet import Packet
from emulator.wire.status import Status
from tests.hosts.wires import Sink

CAPTURES = Path(__file__).parents[1] / "captures"
NAMES = ("web-server-inside.pcapng", "app-and-sql-server.pcap", "ipv6.pcap")


def packets_of(name: str) -> list[tuple[int, Packet]]:
    """The IP packets of a capture, with their times."""
    parsed = [(time, Packet.parse(frame, link_type)) for time, link_type, frame in read_frames(CAPTURES / name)]
    return [(time, packet) for time, packet in parsed if packet.status == Status.PARSED]


def host_at(packet: Packet, open_ports: tuple[int, ...]) -> Host:
    """A host with the address that a packet goes to, and sinks on some ports."""
    listen = tuple(Service(TCP, (port, port)) for port in open_ports)
    host = Host("ours", (packet.five_tuple.destination,), listen, Names(Topology.of()), mtu=1500)
    for port in open_ports:
        host.services[port] = Sink()
    return host


def conversations(name: str) -> dict[tuple, list[tuple[int, Packet, Segment]]]:
    """The TCP conversations of a capture that begin with a SYN, by (client, port, server, port)."""
    found: dict[tuple, list[tuple[int, Packet, Segment]]] = defaultdict(list)
    for time, packet in packets_of(name):
        key = packet.five_tuple
        if key.protocol != TCP:
            continue
        segment = segment_in(packet)
        assert segment is not None, "a real segment was taken for a broken one"
        if segment.flags & (SYN | ACK) == SYN or key[1:] in found:
            found[key[1:]].append((time, packet, segment))
        elif key.reply()[1:] in found:
            found[key.reply()[1:]].append((time, packet, segment))
    return found


CONVERSATIONS = [(name, key) for name in NAMES for key in conversations(name)]


@pytest.mark.parametrize(("name", "key"), CONVERSATIONS, ids=[f"{name} {key[0]}.{key[1]} to {key[3]}" for name, key in CONVERSATIONS])
def test_a_linux_client_is_served(name, key):
    """A real client's segments, said to our server: opened or refused as by Linux, every byte taken once, closed at the end.

    Our server sends nothing but its SYN, so that is what every acknowledgement is moved to.
    """
    whole = conversations(name)[key]
    client = [(time, packet, segment) for time, packet, segment in whole if packet.five_tuple[1:] == key]
    server = [segment for _, packet, segment in whole if packet.five_tuple[1:] != key]
    refused = server[0].flags & RST
    host = host_at(client[0][1], () if refused else (key[3],))
    ours: list[Segment] = []
    sent = b""
    for time, packet, segment in client:
        if segment.flags & ACK and ours:
            segment = segment._replace(acknowledgement=advanced(ours[0].sequence, 1))
        start = distance(segment.sequence, client[0][2].sequence) - 1
        if segment.payload and start == len(sent):
            sent += segment.payload
        ends = (Socket(*packet.five_tuple[1:3]), Socket(*packet.five_tuple[3:5]))
        for send in host.receive(Packet.parse(datagram_with(segment, *ends)), time):
            answer = segment_in(Packet.parse(send.datagram))
            assert answer is not None
            ours.append(answer)
    first = ours[0]
    assert first.flags == server[0].flags
    assert first.acknowledgement == server[0].acknowledgement
    if refused:
        return
    sink = host.services[key[3]]
    assert bytes(sink.data) == sent
    assert sink.opened_count == 1
    reset = any(segment.flags & RST for _, _, segment in client)
    assert sink.is_over or reset or not any(segment.flags & 1 for _, _, segment in client)
    acknowledged = [answer for answer in ours if answer.flags & ACK]
    assert distance(acknowledged[-1].acknowledgement, client[0][2].sequence) >= len(sent) + 1
    states = {connection.state for connection in host.tcp.connections.values()}
    assert states <= {State.LAST_ACK, State.ESTABLISHED, State.TIME_WAIT}


@pytest.mark.parametrize("name", NAMES)
def test_echo_replies_are_linux_replies(name):
    """Byte for byte, from the ICMP header on."""
    packets = [packet for _, packet in packets_of(name)]
    pairs = 0
    for index, packet in enumerate(packets):
        header = packet.header
        if (int(header[Field.PROTOCOL]), int(header[Field.TYPE])) not in ((1, 8), (58, 128)):
            continue
        real = next((later for later in packets[index:] if later.five_tuple == packet.five_tuple.reply()), None)
        if real is None:
            continue
        (send,) = host_at(packet, ()).receive(packet, 0)
        assert payload_of(Packet.parse(send.datagram)) == payload_of(real)
        pairs += 1
    assert pairs >= 3


@pytest.mark.parametrize("name", NAMES)
def test_port_unreachable_is_what_linux_says(name):
    """Type, code and what is quoted of the datagram are Linux's."""
    packets = [packet for _, packet in packets_of(name)]
    found = 0
    for index, packet in enumerate(packets):
        if packet.five_tuple.protocol != 17:
            continue
        quoted = datagram_of(packet)
        real = next((later for later in packets[index:] if later.five_tuple.protocol in (1, 58) and quoted[28:] in later.frame), None)
        if real is None or not real.frame.endswith(quoted[-8:]):
            continue
        (send,) = host_at(packet, ()).receive(packet, 0)
        told, said = payload_of(Packet.parse(send.datagram)), payload_of(real)
        head = 20 if packet.header[Field.FAMILY] == 4 else 40  # its time to live is not the one at the capture's place
        assert (told[:2], len(told), told[8 + head :]) == (said[:2], len(said), said[8 + head :])
        found += 1
    assert found >= 1


def test_a_real_query_is_answered():
    """What dig sends, with its EDNS option, gets an answer with its number and question."""
    from scapy.layers.dns import DNS

    queries = [packet for _, packet in packets_of("web-server-inside.pcapng") if packet.five_tuple[0::4] == (17, 53)]
    asked = [packet for packet in queries if packet.five_tuple.source == queries[-1].five_tuple.source]
    data = payload_of(asked[-1])[8:]
    (answer,) = NameServer(Names(Topology.of()), "")(data, Socket(asked[-1].five_tuple.source, 4))
    assert DNS(answer).id == DNS(data).id
    assert DNS(answer).qd[0].qname == DNS(data).qd[0].qname
    assert DNS(answer).rcode == 3
