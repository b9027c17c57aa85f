"""What a replay promises: causes before effects, every packet accounted for, the capture's own time."""

import re
from ipaddress import ip_address, ip_network

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from emulator import (
    ExternalHost,
    Instance,
    InternetGateway,
    Link,
    NetworkInterface,
    Policy,
    Route,
    RouteTable,
    Rule,
    SecurityGroup,
    Subnet,
    Topology,
    Vpc,
    load,
    save,
)
from emulator.errors import UsageError
from emulator.importers.capture import topology_from_capture
from emulator.replay import replay
from emulator.wire.capture import read_frames

A, B, OUT, PUBLIC = "10.0.0.10", "10.0.0.20", "203.0.113.9", "198.51.100.10"


def network(ingress=(), egress=("all",), *more, policy=None):
    """Two instances of one subnet: ``a`` in the default group, ``b`` guarded by the rules given, for and from everyone."""
    rules = [tuple(Rule.of(service, "0.0.0.0/0") for service in services) for services in (ingress, egress)]
    return Topology.of(
        Vpc("lab", (ip_network("10.0.0.0/16"),)),
        InternetGateway("igw", "lab"),
        RouteTable("public", "lab", (Route(ip_network("0.0.0.0/0"), "igw"),)),
        Subnet("s", "lab", (ip_network("10.0.0.0/24"),), "a", "public"),
        SecurityGroup("guard", "lab", *rules),
        Instance("a", "lab"),
        NetworkInterface("eth0", "a", "s", (ip_address(A),)),
        Instance("b", "lab"),
        NetworkInterface("eth0", "b", "s", (ip_address(B),), ((ip_address(B), ip_address(PUBLIC)),), ("guard",)),
        ExternalHost("out", (ip_address(OUT),)),
        *more,
        name="lab",
        policy=policy,
    )


@pytest.fixture
def run(tmp_path):
    """Replays packets, a second apart, and gives the verdict of each: ``accept``, ``drop``, or ``unsent 0`` with its cause."""

    def verdicts(topology, *packets, times=None, **options):
        path = tmp_path / "some.pcap"
        frames = [Ether() / packet for packet in packets]
        for number, frame in enumerate(frames):
            frame.time = 1_700_000_000 + (times[number] if times else number)
        wrpcap(str(path), frames)
        found = []
        for result in replay(topology, path, **options).packets:
            found.append(result.verdict if result.hangs_on is None else f"{result.verdict} {result.hangs_on}")
        return found

    return verdicts


def tcp(source, destination, flags, ports=(40000, 80)):
    return IP(src=source, dst=destination) / TCP(sport=ports[0], dport=ports[1], flags=flags)


def answer(source, destination, flags):
    return tcp(source, destination, flags, (80, 40000))


def udp(source, destination, ports):
    return IP(src=source, dst=destination) / UDP(sport=ports[0], dport=ports[1])


def echo(source, destination, kind, sequence=1):
    return IP(src=source, dst=destination) / ICMP(type=kind, id=5, seq=sequence)


HANDSHAKE = [tcp(A, B, "S"), answer(B, A, "SA"), tcp(A, B, "A"), tcp(A, B, "PA"), answer(B, A, "PA")]
QUESTION = [udp(A, B, (40000, 53)), udp(B, A, (53, 40000))]


@pytest.mark.parametrize(
    ("ingress", "egress", "packets", "expected"),
    [
        pytest.param(["HTTP"], [], HANDSHAKE, ["accept"] * 5, id="replies pass though no egress rule"),
        pytest.param([], ["all"], HANDSHAKE, ["drop", *["unsent 0"] * 4], id="no SYN-ACK and no data without a delivered SYN"),
        pytest.param(
            ["HTTP"], [], HANDSHAKE[1:], ["drop", "unsent 0", "unsent 0", "drop"], id="what began before the capture is not held back by it"
        ),
        pytest.param(["udp/53"], [], QUESTION, ["accept", "accept"], id="a UDP reply follows its request"),
        pytest.param([], [], QUESTION, ["drop", "unsent 0"], id="no UDP reply without its request"),
        pytest.param([], [], [echo(A, B, 8), echo(B, A, 0)], ["drop", "unsent 0"], id="no echo reply without its request"),
        pytest.param(
            ["icmp"],
            [],
            [echo(A, B, 8, 1), echo(B, A, 0, 1), echo(A, B, 8, 2), echo(B, A, 0, 2)],
            ["accept"] * 4,
            id="each echo has its own reply",
        ),
        pytest.param(
            [],
            ["all"],
            [QUESTION[0], IP(src=B, dst=A) / ICMP(type=3, code=3) / QUESTION[0]],
            ["drop", "unsent 0"],
            id="no ICMP error without the datagram that it quotes",
        ),
        pytest.param(
            [],
            [],
            [tcp(A, B, "S"), tcp(A, B, "S"), answer(B, A, "SA")],
            ["drop", "drop", "unsent 1"],
            id="every retransmission of the opener is sent, and the last one is the cause",
        ),
        pytest.param([], ["all"], [tcp(A, B, "S"), answer(B, A, "RA")], ["drop", "unsent 0"], id="a machine refuses only what reached it"),
    ],
)
def test_causes_before_effects(run, ingress, egress, packets, expected):
    """A packet whose cause was blocked here is not sent, and names the blocked packet that it hangs on."""
    assert run(network(ingress, egress), *packets) == expected


def test_open_loop_sends_everything(run):
    """Without causes every packet is judged for itself."""
    assert run(network(), *HANDSHAKE, open_loop=True) == ["drop", "accept", "drop", "drop", "accept"]


def test_a_retransmission_may_revive_the_flow(run):
    """A SYN that is lost on a link and sent again opens the connection; what followed in the capture goes."""
    lossy = Link(("a", "b"), loss_ppb=500_000_000)
    seeds = (network(["HTTP"], [], lossy, policy=Policy(seed=seed)) for seed in range(50))
    found = [run(topology, tcp(A, B, "S"), *HANDSHAKE[:2], times=[0, 1, 2]) for topology in seeds]
    assert ["drop", "accept", "accept"] in found


def test_an_answer_waits_for_its_cause(run):
    """Where a link here is slower than the capture's, answers are sent once the question has arrived, in order."""
    slow = Link(("a", "b"), latency_ns=5_000_000_000)
    packets = [*HANDSHAKE, *QUESTION]
    assert run(network(["HTTP", "udp/53"], [], slow), *packets, times=[0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == ["accept"] * 7


def test_a_responder_answers_to_the_address_that_it_saw(run):
    """In a capture taken outside the gateway the answer comes from the public address; here it leaves by the private one."""
    assert run(network(["HTTP"], []), tcp(OUT, PUBLIC, "S"), answer(PUBLIC, OUT, "SA")) == ["accept", "accept"]


def test_a_capture_taken_inside_enters_through_the_gateway(run):
    """A packet from outside to a private address comes in by the public one, so that all filters on the way are met."""
    assert run(network(["HTTP"], []), tcp(OUT, B, "S"), answer(B, OUT, "SA")) == ["accept", "accept"]


def test_map_says_who_is_who(run):
    """Addresses that are not the topology's are given names, on the command line or in the file."""
    packets = [tcp("192.168.7.7", "192.168.7.8", "S"), answer("192.168.7.8", "192.168.7.7", "SA")]
    assert run(network(["HTTP"]), *packets) == ["skipped", "skipped"]
    assert run(network(["HTTP"]), *packets, map={"192.168.7.7": "a", "192.168.7.8": "b:eth0"}) == ["accept", "accept"]
    with pytest.raises(UsageError, match="has no IPv6 address"):
        run(network(), map={"2001:db8::1": "a"})


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [0, 2, 1, 4, 3]], ids=str)
def test_packets_are_taken_in_the_order_of_their_times(run, order):
    """A capture whose packets are out of order gives each packet the same verdict, at its own index."""
    verdicts = run(network(["HTTP"], []), *(HANDSHAKE[place] for place in order), times=order)
    assert verdicts == ["accept"] * 5


def test_verdicts_inside_and_outside_agree(topologies, captures):
    """The same traffic recorded inside and outside the internet gateway gets the same verdict, packet by packet."""
    topology = load(topologies / "web-server.yaml")
    inside, outside = (
        [result for result in replay(topology, captures / name).packets if result.verdict != "skipped"]
        for name in ("web-server-inside.pcapng", "web-server.pcap")
    )
    assert len(inside) == len(outside) > 100
    told = [[(result.verdict, result.why.code if result.why else None) for result in side] for side in (inside, outside)]
    assert told[0] == told[1]


def test_the_same_replay_twice_gives_the_same_bytes(topologies, captures):
    """Two runs write the same journal and the same outcomes."""
    topology = load(topologies / "web-server.yaml")
    first, second = (replay(topology, captures / "web-server.pcap") for _ in range(2))
    for one, other in zip(first.engine.state, second.engine.state, strict=True):
        assert one.tobytes() == other.tobytes()


def test_every_step_of_a_packet_is_told(topologies, captures):
    """Any packet of a replay can be asked for its way."""
    found = replay(load(topologies / "web-server.yaml"), captures / "web-server.pcap")
    blocked = next(result for result in found.packets if result.verdict == "drop")
    steps = found.steps(blocked.index)
    assert steps[-1].verdict.name == "DROP"
    assert steps[-1].text == blocked.why.text
    with pytest.raises(UsageError, match="there is no packet 157; it has 157, counted from 0"):
        found.packet(157)


def test_annotated_capture(topologies, captures, tmp_path):
    """`--pcapng` writes every packet of the capture again, with its bytes and time, and a comment that says what became of it."""
    found = replay(load(topologies / "web-server.yaml"), captures / "web-server.pcap")
    path = tmp_path / "annotated.pcapng"
    assert found.save_pcapng(path) == 157
    assert read_frames(path) == read_frames(captures / "web-server.pcap")
    text = path.read_bytes()
    assert b"ACCEPT web ingress 1" in text
    assert b"DROP ENI_SG_RULES_MISMATCH web-1:eth0" in text


def test_an_empty_capture_gives_an_empty_replay(topologies, tmp_path):
    """A capture without packets is replayed to nothing."""
    path = tmp_path / "none.pcap"
    wrpcap(str(path), [])
    found = replay(load(topologies / "web-server.yaml"), path)
    assert found.counts == {"total": 0, "accept": 0, "drop": 0, "unsent": 0, "skipped": 0}
    assert (found.flows, found.skipped) == ([], {})


def manifest(shared):
    text = (shared / "captures" / "MANIFEST.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \|[^|]*\| (?:pcap|pcapng), [^|]+ \| ([0-9,]+) \|", text, re.MULTILINE)
    return {name: int(count.replace(",", "")) for name, count in rows}


def test_every_shared_capture_goes_through_init_and_replay(shared, tmp_path):
    """All captures become a topology file, and replay through it in both modes with every packet accounted for."""
    expected = manifest(shared)
    assert len(expected) >= 56
    for name, packets in expected.items():
        capture, path = shared / "captures" / name, tmp_path / "first.yaml"
        topology, notes = topology_from_capture(capture)
        assert notes
        save(topology, path)
        for open_loop in (False, True):
            found = replay(load(path), capture, open_loop=open_loop)
            counts = dict(found.counts)
            assert counts.pop("total") == sum(counts.values()) == packets, name
            assert sum(flow.packets for flow in found.flows) == packets - counts["skipped"], name
            assert sum(found.skipped.values()) == counts["skipped"], name
            assert not (open_loop and counts["unsent"]), name
            assert np.array_equal(np.sort(found.headers[:, 22]), np.arange(packets)), name
