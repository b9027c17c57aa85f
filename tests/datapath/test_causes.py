"""Causes before effects: what hangs on a packet waits while it is on its way, and is held back when it was blocked."""

import numpy as np
import pytest
from scapy.layers.inet import IP
from scapy.layers.sctp import SCTP, SCTPChunkInit, SCTPChunkInitAck

from emulator.datapath.state import Outcome
from emulator.engine import Engine
from emulator.model.entities import Link
from emulator.policy.reasons import Verdict
from emulator.wire.headers import Field
from emulator.wire.packet import Packet
from tests.base import EXT, WEB_PUBLIC, base, group
from tests.dialogue import error, tcp, udp

MS = 10**6


def feed(*packets):
    """Header rows of (time in ms, packet) pairs, as a capture at web would hold them."""
    rows = np.array([Packet.of(packet).header for _, packet in packets], dtype=np.int64)
    rows[:, Field.TIME_NS] = [time * MS for time, _ in packets]
    rows[:, Field.INDEX] = np.arange(len(packets))
    return rows


def replayed(topology, *packets):
    """The engine after a causal run of (time, packet) pairs."""
    engine = Engine(topology, compiled=False)
    engine.causal = True
    engine.feed(feed(*packets))
    engine.advance()
    return engine


def verdicts(engine):
    """The verdict of each packet."""
    return [Verdict(int(row)).name for row in engine.state.outcomes[: engine.packets, Outcome.VERDICT]]


def times_ms(engine):
    """When each packet ended, in ms."""
    return [int(row) // MS for row in engine.state.outcomes[: engine.packets, Outcome.TIME_NS]]


OPEN = group("open", [("all", "0.0.0.0/0")])
FAR = (Link(("ext", "igw-a"), latency_ns=30 * MS), Link(("igw-a", "web"), latency_ns=20 * MS))


def test_effects_wait_for_a_cause_that_crosses_two_links():
    """Answers that are due while their request is still on its way go when it has arrived, several of them in their order."""
    packets = [(0, udp(EXT, WEB_PUBLIC, "50000>53"))] + [(1 + i, udp(WEB_PUBLIC, EXT, "53>50000")) for i in range(3)]
    engine = replayed(base(OPEN, *FAR, web="open"), *packets)
    assert verdicts(engine) == ["ACCEPT"] * 4
    assert times_ms(engine) == [50, 100, 100, 100]


def test_a_handshake_waits_step_by_step():
    """Each segment of a handshake leaves after the one before it has arrived, whatever the capture's own times were."""
    ends = [(EXT, WEB_PUBLIC, "50000>80"), (WEB_PUBLIC, EXT, "80>50000")]
    engine = replayed(
        base(OPEN, *FAR, web="open"),
        (0, tcp(*ends[0], "S")),
        (1, tcp(*ends[1], "SA")),
        (2, tcp(*ends[0], "A")),
        (3, tcp(*ends[0], "PA")),
        (4, tcp(*ends[1], "PA")),
    )
    assert verdicts(engine) == ["ACCEPT"] * 5
    assert times_ms(engine) == [50, 100, 150, 150, 200]


def test_many_waiters_make_room_for_themselves():
    """However many effects wait for one cause, all of them go, in their order."""
    packets = [(0, udp(EXT, WEB_PUBLIC, "50000>53"))] + [(1, udp(WEB_PUBLIC, EXT, "53>50000")) for _ in range(500)]
    engine = replayed(base(OPEN, *FAR, web="open"), *packets)
    assert verdicts(engine) == ["ACCEPT"] * 501
    sends = [int(row[1]) for row in engine.state.journal if row[2] == 4]
    assert sends == list(range(1, 501))


def test_an_error_waits_for_the_datagram_that_it_quotes():
    """An ICMP error goes when the datagram that it quotes has arrived."""
    asked = udp(EXT, WEB_PUBLIC, "50000>53")
    engine = replayed(base(OPEN, *FAR, web="open"), (0, asked), (1, error(WEB_PUBLIC, EXT, udp(EXT, WEB_PUBLIC, "50000>53"), 3, 3)))
    assert verdicts(engine) == ["ACCEPT", "ACCEPT"]


def test_an_error_waits_for_an_answer_that_waits_itself():
    """An ICMP error about an answer goes after it, also where the answer still waits for its request."""
    request, answer = udp(EXT, WEB_PUBLIC, "50000>53"), udp(WEB_PUBLIC, EXT, "53>50000")
    engine = replayed(base(OPEN, *FAR, web="open"), (0, request), (1, answer), (2, error(EXT, WEB_PUBLIC, answer, 3, 3)))
    assert times_ms(engine) == [50, 100, 150]


def test_an_error_about_an_answer_that_was_never_sent_is_not_sent_either():
    """Where the request is blocked, neither its answer goes nor an ICMP error about that; both name the request."""
    request, answer = udp(EXT, WEB_PUBLIC, "50000>53"), udp(WEB_PUBLIC, EXT, "53>50000")
    engine = replayed(base(group("g"), *FAR, web="g"), (0, request), (1, answer), (2, error(EXT, WEB_PUBLIC, answer, 3, 3)))
    assert verdicts(engine) == ["DROP", "UNSENT", "UNSENT"]


def test_an_error_about_a_blocked_sctp_packet_is_never_sent():
    """What an error quotes of SCTP is found by its addresses, as its flow is."""
    asked = IP(src=EXT, dst=WEB_PUBLIC) / SCTP(sport=40000, dport=9) / SCTPChunkInit()
    engine = replayed(base(group("g"), web="g"), (0, asked), (1, error(WEB_PUBLIC, EXT, asked, 3, 2)))
    assert verdicts(engine) == ["DROP", "UNSENT"]


def test_an_sctp_answer_keeps_its_own_ports():
    """Of two associations between the same hosts, each has its answers, whichever was heard last."""
    asked = [IP(src=EXT, dst=WEB_PUBLIC) / SCTP(sport=port, dport=9) / SCTPChunkInit() for port in (40000, 40001)]
    answer = IP(src=WEB_PUBLIC, dst=EXT) / SCTP(sport=9, dport=40000) / SCTPChunkInitAck()
    engine = replayed(base(OPEN, web="open"), *enumerate((*asked, answer)))
    assert verdicts(engine) == ["ACCEPT"] * 3
    assert engine.state.outcomes[2, [Outcome.SOURCE_PORT, Outcome.DESTINATION_PORT]].tolist() == [9, 40000]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([], ["DROP", "UNSENT", "UNSENT", "UNSENT"], id="a blocked SYN holds the rest back"),
        pytest.param([("tcp/80", "0.0.0.0/0")], ["ACCEPT"] * 4, id="an admitted SYN lets the rest go"),
    ],
)
def test_what_hangs_on_a_blocked_syn_is_never_sent(rules, expected):
    """No SYN-ACK without a delivered SYN, no data without a handshake; each names the packet that it hangs on."""
    ends = [(EXT, WEB_PUBLIC, "50000>80"), (WEB_PUBLIC, EXT, "80>50000")]
    engine = replayed(
        base(group("g", rules), web="g"),
        (0, tcp(*ends[0], "S")),
        (1, tcp(*ends[1], "SA")),
        (2, tcp(*ends[0], "A")),
        (3, tcp(*ends[1], "PA")),
    )
    assert verdicts(engine) == expected
    assert set(engine.state.outcomes[: engine.packets, Outcome.HANGS_ON].tolist()) == {0}


def test_a_retransmission_revives_a_flow():
    """A later SYN that gets through opens the flow again for what hangs on it."""
    ends = [(EXT, WEB_PUBLIC, "50000>80"), (WEB_PUBLIC, EXT, "80>50000")]
    topology = base(group("g", [("tcp/80", "0.0.0.0/0")]), Link(("ext", "igw-a"), loss_ppb=500_000_000), web="g", policy={"seed": 3})
    engine = replayed(topology, *((10 * i, tcp(*ends[0], "S")) for i in range(8)), (100, tcp(*ends[1], "SA")))
    seen = verdicts(engine)
    assert "DROP" in seen[:8]
    assert "ACCEPT" in seen[:8]
    assert seen[8] in ("ACCEPT", "DROP"), "it was sent"
