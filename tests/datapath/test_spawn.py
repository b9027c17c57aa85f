"""What the network makes: every column of its header is what its bytes say when somebody parses them.

The bytes are made by `emulator.wire.craft` from those of the packet that caused it; the header by the kernels of
`spawn` from that packet's header.  Neither knows of the other.
"""

from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

from emulator.datapath import spawn
from emulator.datapath.state import FIRST_BORN, Birth, BirthKind, Count, Flight, new_state
from emulator.observe.born import born_packet
from emulator.wire.addresses import halves
from emulator.wire.headers import FIELDS, Field
from emulator.wire.packet import Packet
from tests.base import EXT, EXT_V6, WEB, WEB_V6
from tests.dialogue import error

AT, NOW, MTU, ID = 33, 10**18 + 7, 1400, 61
V4, V6 = {"src": WEB, "dst": EXT}, {"src": WEB_V6, "dst": EXT_V6}


def flying(packet, spent=0):
    """A state with a packet in row 3 that has spent some hops, and what it was."""
    state, parent = new_state(8, 0), Packet.of(packet)
    state.flights[:] = 99  # what other packets left behind
    state.flights[3, :FIELDS] = parent.header
    state.flights[3, FIELDS:] = 0
    state.flights[3, [Field.INDEX, Field.TIME_NS]] = ID, 5
    state.flights[3, [Flight.TTL_SPENT, Flight.SENDER, Flight.CAPTURED, Flight.WAY, Flight.FLOW]] = spent, 4, 1, 6, 2
    state.counts[Count.FREE, 0] = 3
    state.free[:3, 0] = 7, 6, 5
    return state, parent


def born(state, q, parent, number=0):
    """The row of a packet that the network made, without its id and time; and the same read from its bytes."""
    row = state.flights[q, :FIELDS].copy()
    assert row[[Field.INDEX, Field.TIME_NS]].tolist() == [FIRST_BORN + number, NOW]
    row[[Field.INDEX, Field.TIME_NS]] = 0
    return named(row), named(born_packet(state, FIRST_BORN + number, parent).header)


def named(row):
    """A header row by the names of its columns."""
    return {field.name: int(row[field]) for field in Field}


def birth(parent, **more):
    """The row of ``births`` of something that came of a parent, by the names of its columns."""
    then = (column for column in Birth if column.name in Field.__members__)
    return {**dict.fromkeys(Birth.__members__, 0), **{column.name: int(parent.header[Field[column.name]]) for column in then}, **more}


def noted(state, number=0):
    """What was noted about a birth, likewise."""
    return {column.name: int(state.births[number, column]) for column in Birth}


ASKED = {
    "tcp": IP(**V4, id=9) / TCP(sport=40000, dport=443, flags="S", seq=77),
    "a tcp segment that must not be cut": IP(**V4, flags="DF", tos=4) / TCP(sport=40000, dport=443, flags="PA") / Raw(b"x" * 1500),
    "a header with options": IP(**V4, options=[("NOP")] * 8) / UDP(sport=40000, dport=9) / Raw(b"x" * 1500),
    "udp": IP(**V4) / UDP(sport=40000, dport=9) / Raw(b"x"),
    "a frame of ethernet": Ether(dst="02:00:00:00:00:01") / IP(**V4) / UDP(sport=40000, dport=9) / Raw(b"x"),
    "the first fragment": IP(**V4, id=8, flags="MF") / UDP(sport=40000, dport=9) / Raw(b"x" * 64),
    "sctp": IP(**V4) / SCTP(sport=40000, dport=9) / Raw(b"x" * 8),
    "a ping": IP(**V4) / ICMP(type=8, id=9, seq=3) / Raw(b"x" * 30),
    "a timestamp request": IP(**V4) / ICMP(type=13, id=9, seq=3),
    "another protocol": IP(**V4, proto=47) / Raw(b"x" * 40),
    "just what an error quotes": IP(**V4) / UDP(sport=40000, dport=9) / Raw(b"x" * (548 - 28)),
    "one byte more than an error quotes": IP(**V4) / UDP(sport=40000, dport=9) / Raw(b"x" * (549 - 28)),
    "tcp over ipv6": IPv6(**V6) / TCP(sport=40000, dport=443, flags="S"),
    "udp over ipv6": IPv6(**V6) / UDP(sport=40000, dport=9) / Raw(b"x" * 2000),
    "a ping over ipv6": IPv6(**V6) / ICMPv6EchoRequest(id=9, seq=3),
    "another protocol over ipv6": IPv6(**V6, nh=47) / Raw(b"x" * 40),
    "extension headers": IPv6(**V6) / IPv6ExtHdrDestOpt() / UDP(sport=40000, dport=9) / Raw(b"x" * 1300),
    "the first fragment over ipv6": IPv6(**V6) / IPv6ExtHdrFragment(id=8, m=1) / UDP(sport=40000, dport=9) / Raw(b"x" * 64),
    "just what an ipv6 error quotes": IPv6(**V6) / UDP(sport=40000, dport=9) / Raw(b"x" * (1232 - 48)),
    "one byte more than an ipv6 error quotes": IPv6(**V6) / UDP(sport=40000, dport=9) / Raw(b"x" * (1233 - 48)),
}
ROUTERS = {4: ip_address("10.0.0.1"), 6: ip_address("fe80:ec2::1")}


@pytest.mark.parametrize("kind", [BirthKind.TOO_BIG, BirthKind.TIME_EXCEEDED], ids=["too big", "time exceeded"])
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_the_header_of_an_icmp_error_is_that_of_its_bytes(asked, kind):
    """Type, code, length, addresses and all that it quotes, as RFC 792 and RFC 4443 have them; and its birth is noted."""
    state, parent = flying(asked, spent=3)
    router = ROUTERS[int(parent.header[Field.FAMILY])]
    mtu = MTU if kind == BirthKind.TOO_BIG else 0
    q = spawn.icmp_error(state, 3, kind, AT, mtu, *halves(router), NOW)
    made, parsed = born(state, q, parent)
    assert made == parsed
    packet = born_packet(state, FIRST_BORN, parent).scapy
    assert (packet.src, packet.dst) == (str(router), str(parent.five_tuple.source))
    hi, lo = halves(router)
    assert noted(state) == birth(parent, PARENT=ID, KIND=kind, AT=AT, TIME_NS=NOW, VALUE=mtu, FROM_HI=hi, FROM_LO=lo, TTL_SPENT=3)


SEGMENTS = {
    "a segment with an acknowledgement": IP(**V4, id=9, flags="DF") / TCP(sport=40000, dport=443, flags="PA", seq=5, ack=6) / Raw(b"abc"),
    "a SYN": IP(**V4, ttl=9) / TCP(sport=40000, dport=443, flags="S", seq=5),
    "a FIN without an acknowledgement": IP(**V4) / TCP(sport=40000, dport=443, flags="F", seq=5) / Raw(b"abc"),
    "over ipv6": IPv6(**V6, hlim=9) / TCP(sport=40000, dport=443, flags="A", seq=5, ack=6) / Raw(b"abc"),
    "a SYN over ipv6": IPv6(**V6) / TCP(sport=40000, dport=443, flags="S", seq=5),
}


@pytest.mark.parametrize("segment", SEGMENTS.values(), ids=SEGMENTS)
def test_the_header_of_a_reset_is_that_of_its_bytes(segment):
    """It answers the segment in its destination's name (RFC 9293 §3.10.7.1); IDENTIFIER and SEQUENCE, which no kernel asks of it, aside."""
    state, parent = flying(segment, spent=1)
    made, parsed = born(state, spawn.reset(state, 3, AT, NOW), parent)
    for column in ("IDENTIFIER", "SEQUENCE"):
        made.pop(column), parsed.pop(column)
    assert made == parsed
    packet = born_packet(state, FIRST_BORN, parent).scapy
    assert (packet.src, packet.dst, packet[TCP].sport, packet[TCP].dport) == (segment.dst, segment.src, 443, 40000)
    hi, lo = halves(ip_address(segment.dst))
    expected = birth(parent, PARENT=ID, KIND=BirthKind.RESET, AT=AT, TIME_NS=NOW, FROM_HI=hi, FROM_LO=lo, TTL_SPENT=1)
    assert noted(state) == expected


def test_what_is_born_carries_nothing_of_its_parents_way():
    """An error is a packet of its own: no group identity, no hops spent, no flow to wait for, no way to fill."""
    state, _ = flying(ASKED["udp"], spent=3)
    q = spawn.icmp_error(state, 3, BirthKind.TIME_EXCEEDED, AT, 0, 0, 1, NOW)
    assert state.flights[q, FIELDS:].tolist() == [0] * len(Flight)
    assert (q, state.counts[Count.FREE, 0], state.counts[Count.BORN, 0]) == (5, 2, 1)


UNANSWERED = {
    "an icmp error": error(WEB, EXT, ASKED["udp"]),
    "an icmpv6 error": error(WEB_V6, EXT_V6, ASKED["udp over ipv6"]),
    "a later fragment": IP(**V4, frag=1) / Raw(b"x" * 8),
    "a packet from a group": IP(src="224.0.0.1", dst=EXT) / UDP(),
    "a packet from nobody": IP(src="0.0.0.0", dst=EXT) / UDP(),
    "a packet from a group of ipv6": IPv6(src="ff02::1", dst=EXT_V6) / UDP(),
}


@pytest.mark.parametrize("packet", UNANSWERED.values(), ids=UNANSWERED)
def test_no_error_is_made_about(packet):
    """RFC 1122 §3.2.2, RFC 4443 §2.4: then nothing is born at all."""
    state, _ = flying(packet)
    assert spawn.icmp_error(state, 3, BirthKind.TOO_BIG, AT, MTU, 0, 1, NOW) == -1
    assert (state.counts[Count.FREE, 0], state.counts[Count.BORN, 0]) == (3, 0)


def test_an_error_about_what_is_no_error():
    """Neighbour discovery is icmpv6 and no error; whoever asks for an error about it gets one, which quotes no ports."""
    asked = IPv6(**V6) / ICMPv6ND_NS(tgt=EXT_V6)
    state, parent = flying(asked)
    made, _ = born(state, spawn.icmp_error(state, 3, BirthKind.TOO_BIG, AT, MTU, *halves(ROUTERS[6]), NOW), parent)
    assert (made["QUOTED_PROTOCOL"], made["QUOTED_SOURCE_PORT"], made["QUOTED_DESTINATION_PORT"]) == (58, 0, 0)


LONG = {
    "a frame of ethernet": Ether(dst="02:00:00:00:00:01") / IP(**V4, id=9) / UDP(sport=40000, dport=9) / Raw(b"x" * 3000),
    "udp": IP(**V4, id=9, ttl=60) / UDP(sport=40000, dport=9) / Raw(bytes(range(256)) * 15),
    "just two pieces": IP(**V4, id=9) / UDP(sport=40000, dport=9) / Raw(b"x" * (2 * 1376 - 8)),
    "two pieces and a byte": IP(**V4, id=9) / UDP(sport=40000, dport=9) / Raw(b"x" * (2 * 1376 - 7)),
    "tcp": IP(**V4, id=9) / TCP(sport=40000, dport=443, flags="PA", seq=5, ack=6) / Raw(b"x" * 3000),
    "a ping": IP(**V4, id=9) / ICMP(id=9, seq=3) / Raw(b"x" * 3000),
    "a header with options": IP(**V4, id=9, options=[("NOP")] * 8) / UDP(sport=40000, dport=9) / Raw(b"x" * 3000),
    "a first fragment": IP(**V4, id=9, flags="MF") / UDP(sport=40000, dport=9) / Raw(b"x" * 3000),
    "a later fragment": IP(**V4, id=9, flags="MF", frag=100) / Raw(b"x" * 3000),
    "the last fragment": IP(**V4, id=9, frag=100) / Raw(b"x" * 3000),
}


@pytest.mark.parametrize("packet", LONG.values(), ids=LONG)
def test_the_headers_of_pieces_are_those_of_their_bytes(packet):
    """Every piece that fits, in its order, until all is cut; together they carry what the whole did (RFC 791 §3.2)."""
    state, parent = flying(packet, spent=2)
    state.flights[3, [Flight.LOST, Flight.VIA, Flight.TRACKED, Flight.RULE, Flight.FROM, Flight.AUTOTRACK]] = 11, 12, 1, 14, 15, 1
    spawn.cut(state, 3, AT, MTU, NOW)
    first = named(state.flights[3, :FIELDS])
    whole = bytes(parent.frame)[first["IP_OFFSET"] :]
    header = first["PAYLOAD_OFFSET"] - first["IP_OFFSET"]
    step = (MTU - header) // 8 * 8
    assert (first["MORE_FRAGMENTS"], first["LENGTH"], int(state.flights[3, Flight.CUT])) == (1, header + step, step)
    carried, at, number = [whole[header : header + step]], 3, 0
    while state.flights[at, Flight.NEXT]:
        at = int(state.flights[at, Flight.NEXT]) - 1
        made, parsed = born(state, at, parent, number)
        for column in ("IP_OFFSET", "PAYLOAD_OFFSET"):
            assert made.pop(column) == first[column], "it stands in its frame as its parent does"
            parsed.pop(column)
        assert made == parsed
        frame = born_packet(state, FIRST_BORN + number, parent).frame
        assert len(frame) == made["LENGTH"] <= MTU
        assert state.flights[at, FIELDS : Flight.CAUSE].tolist() == [4, 11, 12, 1, 14, 0, 0, 15, 0, 0, 1]
        own = {
            "VALUE": made["LENGTH"] - header,
            "OFFSET": len(b"".join(carried)),
            "MORE": made["MORE_FRAGMENTS"],
            "FROM_LO": made["SOURCE_LO"],
        }
        assert noted(state, number) == birth(parent, PARENT=ID, KIND=BirthKind.PIECE, AT=AT, TIME_NS=NOW, TTL_SPENT=2, **own)
        carried.append(frame[header:])
        number += 1
    assert b"".join(carried) == whole[header:]
    assert made["MORE_FRAGMENTS"] == parent.header[Field.MORE_FRAGMENTS]
    assert number == state.counts[Count.BORN, 0] == (len(whole) - header - 1) // step
