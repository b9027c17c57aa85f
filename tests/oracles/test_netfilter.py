"""The Linux kernel's own connection tracking as oracle: the same rules, the same packets, the same verdicts.

Needs root, network namespaces and nftables; says so where it cannot run.  A run over many captures and rule sets by
hand: see `compare`.
"""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6NIQueryNOOP, IPv6
from scapy.layers.l2 import GRE
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.packet import Packet, Raw

from emulator.model.groups import GroupPeer, ListPeer, PrefixList, Rule, SecurityGroup
from emulator.model.topology import Topology
from tests.bulk import drawn
from tests.oracles import netfilter, rulesets
from tests.oracles.compare import Comparison, compare, crossed, emulated, judged
from tests.oracles.kernel import why_not
from tests.oracles.traffic import HOST, NEIGHBOURS, made, prepare

_TROUBLE = why_not()
pytestmark = [pytest.mark.netfilter, pytest.mark.skipif(bool(_TROUBLE), reason=f"no kernel to compare with: {_TROUBLE}")]

HOST4, HOST6 = str(HOST[4]), str(HOST[6])
EXT, EXT2, EXT6 = "203.0.113.12", "203.0.113.99", "2001:db8:ffff::12"
NEAR_APP, NEAR_DB = str(NEIGHBOURS[4][0]), str(NEIGHBOURS[4][1])
OPEN = [("all", "0.0.0.0/0"), ("all", "::/0")]
QUICK = [
    *("http-one-get.pcap", "dns-fragmented-v4-v6.pcap", "dns-tcp.pcap", "fragments-v4-tcp.pcap", "fragments-v6-malformed.pcap"),
    *("ftp-active.pcap", "ftp-ipv6-epsv-eprt.pcap", "icmp-echo-75.pcap", "icmp-traceroute.pcapng", "icmp-frag-needed-tcp.pcap"),
    *("ipv6-mixed.pcap", "mixed-small.pcap", "malformed-fuzzed-tcp.pcap", "sctp-linux-sll.pcap", "tcp-handshake-variants.pcap"),
    *("tcp-rst-injected.pcap", "tcp-split-handshake.pcap", "udp-port-unreachable.pcapng", "vlan-qinq-icmp.pcap", "ip-proto-41-6in4.pcap"),
]


def group(*rules: tuple[str, object], out: list[tuple[str, object]] | None = None, name: str = "judged") -> SecurityGroup:
    """A group of rules (service, peer), inbound and outbound."""
    return SecurityGroup(name, "vpc", tuple(Rule.of(*rule) for rule in rules), tuple(Rule.of(*rule) for rule in out or []))


def both(
    topology: Topology,
    packets: list[Packet],
    *,
    settings: dict[str, int] | None = None,
    waits_s: dict[int, float] | None = None,
    scale: int = 1,
) -> tuple[str, str]:
    """The kernel's verdicts and the emulator's, a letter a packet: ``A`` accepted, ``D`` dropped.

    With ``waits_s``, pauses before packets, the kernel waits in earnest and the emulator's clock runs ``scale`` times
    as fast.
    """
    traffic = made([bytes(packet) for packet in packets])
    times, now = [], 1_000_000
    for number in range(len(packets)):
        now += 1000 + int((waits_s or {}).get(number, 0) * scale * 1e9)
        times.append(now)
    verdicts = judged(emulated(traffic, topology, times_ns=times)).verdicts
    accepted, _ = crossed(traffic, topology, settings or netfilter.settings(topology.policy), waits_s)
    kernel = "".join("A" if (frame.family, frame.marker) in accepted else "D" for frame in traffic.frames)
    return kernel, "".join({True: "A", False: "D", None: "-"}[verdict] for verdict in verdicts)


def ip(source: str, destination: str) -> Packet:
    """The header of one family or the other."""
    return IPv6(src=source, dst=destination) if ":" in source else IP(src=source, dst=destination)


def tcp(source: str, destination: str, ports: tuple[int, int], flags: str, seq: int = 1000, ack: int = 2000) -> Packet:
    """A segment."""
    return ip(source, destination) / TCP(sport=ports[0], dport=ports[1], flags=flags, seq=seq, ack=ack)


def udp(source: str, destination: str, ports: tuple[int, int], length: int = 8) -> Packet:
    """A datagram."""
    return ip(source, destination) / UDP(sport=ports[0], dport=ports[1]) / Raw(bytes(length))


def handshake(client: str, server: str, ports: tuple[int, int]) -> list[Packet]:
    """Three segments that open a connection."""
    back = (ports[1], ports[0])
    return [tcp(client, server, ports, "S", 999, 0), tcp(server, client, back, "SA", 1999, 1000), tcp(client, server, ports, "A")]


def parts(packet: Packet, size: int) -> list[Packet]:
    """The fragments of a datagram, at most ``size`` bytes of payload each."""
    packet[IP].id = 7
    return [IP(bytes(piece)) for piece in fragment(packet, size)]


QUOTED = ICMP(type=3, code=4) / IP(src=HOST4, dst=EXT) / TCP(sport=40000, dport=443, seq=999)

AGREED = {
    "reply passes though no egress rule": (
        [group(("tcp/22", f"{EXT}/32"))],
        [*handshake(EXT, HOST4, (50000, 22)), tcp(HOST4, EXT, (40000, 80), "S"), tcp(EXT2, HOST4, (50000, 22), "S")],
        "AAADD",
    ),
    "reply enters though no ingress rule": (
        [group(out=OPEN)],
        [*handshake(HOST4, EXT, (40000, 443)), tcp(EXT, HOST4, (443, 40001), "SA"), tcp(EXT, HOST4, (50000, 22), "S")],
        "AAADD",
    ),
    "families are separate": (
        [group(out=[("all", "0.0.0.0/0")])],
        [tcp(HOST4, EXT, (40000, 443), "S"), tcp(EXT, HOST4, (443, 40000), "SA"), tcp(HOST6, EXT6, (40000, 443), "S")],
        "AAD",
    ),
    "ICMP by type and code (S-10)": (
        [group(("icmp/8", "203.0.113.0/24"), ("icmp/3/4", "0.0.0.0/0"))],
        [
            IP(src=EXT, dst=HOST4) / ICMP(type=8, id=7),
            IP(src=HOST4, dst=EXT) / ICMP(type=0, id=7),
            IP(src=EXT, dst=HOST4) / ICMP(type=13, id=7),
            IP(src=EXT, dst=HOST4) / ICMP(type=0, id=9),
            IP(src=EXT, dst=HOST4) / QUOTED,
            IP(src=EXT, dst=HOST4) / ICMP(type=3, code=1) / IP(src=HOST4, dst=EXT) / UDP(),
            IP(src=HOST4, dst=EXT) / ICMP(type=8, id=7),
        ],
        "AADDADD",
    ),
    "an echo of IPv6 is answered": (
        [group(("icmpv6/128", f"{EXT6}/128"))],
        [
            IPv6(src=EXT6, dst=HOST6) / ICMPv6EchoRequest(id=5),
            IPv6(src=HOST6, dst=EXT6) / ICMPv6EchoReply(id=5),
            IPv6(src=HOST6, dst=EXT6) / ICMPv6EchoReply(id=6),
            IPv6(src=HOST6, dst=EXT6) / ICMPv6EchoRequest(id=5),
        ],
        "AADD",
    ),
    "neighbour discovery meets no filter": ([group()], [IPv6(src=HOST6, dst=EXT6, hlim=255) / ICMPv6ND_NS(tgt=EXT6)], "A"),
    "the open server's flows are untracked, so their answers need a rule (S-51)": (
        [group(("udp/53", "0.0.0.0/0"), out=OPEN)],
        [udp(EXT, HOST4, (50000, 53)), udp(HOST4, EXT, (53, 50000)), udp(HOST4, EXT2, (40000, 53)), udp(EXT2, HOST4, (53, 40000))],
        "AAAA",
    ),
    "what an untracked answer says opens nothing (CT-18)": (
        [group(("udp/53", "0.0.0.0/0"), ("udp/0-65535", "198.18.7.0/24"), out=[("udp/0-65535", "0.0.0.0/0")])],
        [udp(HOST4, EXT, (53, 50000)), udp(EXT, HOST4, (50000, 53)), udp(EXT, HOST4, (50001, 54))],
        "AAD",
    ),
    "two halves are not everyone, so the flow is tracked (CT-14)": (
        [group(("tcp/80", "0.0.0.0/1"), ("tcp/80", "128.0.0.0/1"))],
        handshake(EXT, HOST4, (50000, 80)),
        "AAA",
    ),
    "a group named as peer is the addresses of its interfaces": (
        [group(("tcp/5432", GroupPeer("app")))],
        [*handshake(NEAR_APP, HOST4, (40000, 5432)), tcp(NEAR_DB, HOST4, (40000, 5432), "S"), tcp(EXT, HOST4, (40000, 5432), "S")],
        "AAADD",
    ),
    "a prefix list takes what is in it": (
        [group(("tcp/443", ListPeer("pl")))],
        [tcp(EXT, HOST4, (50000, 443), "S"), tcp("203.0.113.200", HOST4, (50000, 443), "S")],
        "AD",
    ),
    "GRE out admits any GRE of that host, and of no other (S-21)": (
        [group(out=OPEN)],
        [IP(src=HOST4, dst=EXT) / GRE(), IP(src=EXT, dst=HOST4) / GRE(key_present=1, key=9), IP(src=EXT2, dst=HOST4) / GRE()],
        "AAD",
    ),
    "a protocol number takes no ports": (
        [group(("47", "203.0.113.0/24"))],
        [IP(src=EXT, dst=HOST4) / GRE(), tcp(EXT, HOST4, (50000, 80), "S"), IP(src=HOST4, dst=EXT) / GRE()],
        "ADA",
    ),
    "fragments share the verdict of their datagram": (
        [group(("udp/5000", "203.0.113.0/24"))],
        [*parts(udp(EXT, HOST4, (40000, 5000), 3000), 1480), *parts(udp(EXT2, HOST4, (40000, 5001), 3000), 1480)],
        "AAADDD",
    ),
    "fragments may come in any order": (
        [group(("udp/5000", "203.0.113.0/24"))],
        [*reversed(parts(udp(EXT, HOST4, (40000, 5000), 3000), 1480)), *reversed(parts(udp(EXT2, HOST4, (40000, 5001), 3000), 1480))],
        "AAADDD",
    ),
    "services of the fabric meet no filter (S-26)": (
        [group()],
        [
            *(udp(HOST4, server, (40000, 53)) for server in ("10.0.0.2", "169.254.169.253")),
            udp(HOST6, "fd00:ec2::253", (40000, 53)),
            tcp(HOST4, "169.254.169.254", (40000, 80), "S"),
            udp(HOST4, "169.254.169.123", (40000, 123)),
            tcp(HOST4, "169.254.169.250", (40000, 1688), "S"),
            udp(HOST4, EXT, (68, 67)),
            IP(src=HOST4, dst="10.0.1.1") / ICMP(type=8),
            udp(HOST4, "8.8.8.8", (40000, 53)),
            udp(HOST4, NEAR_DB, (40000, 53)),
            tcp(HOST4, "169.254.169.254", (40000, 22), "S"),
        ],
        "AAAAAAAADDD",
    ),
    "a segment from the middle of a connection is judged by the rules and opens nothing (S-24)": (
        [group(("tcp/5432", "203.0.113.0/24"))],
        [tcp(EXT, HOST4, (40000, 5432), "A"), tcp(HOST4, EXT, (5432, 40000), "A"), tcp(EXT, HOST4, (40000, 5432), "FA")],
        "ADA",
    ),
    "SYN-ACK, FIN, RST and no flags at all are judged by the rules when nothing is tracked": (
        [group(("tcp/0-65535", "203.0.113.0/24"))],
        [tcp(EXT, HOST4, (40000, 80), flags) for flags in ("SA", "FA", "R", "RA", "", "FPU")]
        + [tcp(HOST4, EXT, (80, 40000), flags) for flags in ("A", "SA", "R")],
        "AAAAAADDD",
    ),
    "an ICMP error about a tracked flow needs a rule (CT-36)": (
        [group(out=OPEN)],
        [tcp(HOST4, EXT, (40000, 443), "S", 999), IP(src=EXT2, dst=HOST4) / QUOTED],
        "AD",
    ),
    "the other side's SYN on a closed connection is a new one, for the rules to judge": (
        [group(out=OPEN)],
        [
            *handshake(HOST4, EXT, (40000, 443)),
            tcp(HOST4, EXT, (40000, 443), "FA"),
            tcp(EXT, HOST4, (443, 40000), "FA", 2000, 1001),
            tcp(HOST4, EXT, (40000, 443), "A", 1001, 2001),
            tcp(EXT, HOST4, (443, 40000), "S", 90000, 0),
            tcp(HOST4, EXT, (40000, 443), "S", 90000, 0),
            tcp(EXT, HOST4, (443, 40000), "SA", 95000, 90001),
        ],
        "AAAAAADAA",
    ),
}
LIST = PrefixList("pl", "vpc", (rulesets.ip_network("203.0.113.0/25"),))


@pytest.mark.parametrize(("groups", "packets", "expected"), AGREED.values(), ids=AGREED.keys())
def test_agree(groups, packets, expected):
    """Kernel and emulator say the same of a conversation, and what the semantics say."""
    assert both(rulesets.topology(groups, [LIST]), packets) == (expected, expected)


PICKED_UP = {
    "an ACK makes an entry": ([("A", 0), ("A", 1)], "AA"),
    "a FIN does not": ([("FA", 0), ("A", 1)], "AD"),
    "a RST does not": ([("R", 0), ("A", 1)], "AD"),
    "a SYN-ACK does not": ([("SA", 0), ("A", 1)], "AD"),
    "no flags at all do not": ([("", 0), ("A", 1)], "AD"),
    "flags that no stack sends do not": ([("FPU", 0), ("A", 1)], "AD"),
    "urgent data does": ([("AU", 0), ("A", 1)], "AA"),
    "pushed data does": ([("PA", 0), ("PA", 1)], "AA"),
}


@pytest.mark.parametrize(("segments", "expected"), PICKED_UP.values(), ids=PICKED_UP.keys())
def test_pickup(segments, expected):
    """With ``ct.midstream_tcp`` at ``pickup`` a plain ACK makes an entry, as with Linux's tcp_loose (CT-32, LX-3, LX-4)."""
    topology = rulesets.topology([group(("tcp/5432", "203.0.113.0/24"))], [LIST], midstream_tcp="pickup")
    ends = [(EXT, HOST4, (40000, 5432)), (HOST4, EXT, (5432, 40000))]
    packets = [tcp(*ends[side], flags) for flags, side in segments]
    assert both(topology, packets) == (expected, expected)


def test_related():
    """With ``ct.icmp_error_related`` an error passes that quotes a tracked flow, and no other (LX-8)."""
    topology = rulesets.topology([group(out=OPEN)], [LIST], icmp_error_related=True)
    stranger = ICMP(type=3, code=4) / IP(src=HOST4, dst=EXT) / TCP(sport=40001, dport=443)
    packets = [tcp(HOST4, EXT, (40000, 443), "S", 999), IP(src=EXT2, dst=HOST4) / QUOTED, IP(src=EXT2, dst=HOST4) / stranger]
    assert both(topology, packets) == ("AAD", "AAD")


SHORT = {
    "nf_conntrack_tcp_timeout_established": 2,
    "nf_conntrack_udp_timeout": 2,
    "nf_conntrack_udp_timeout_stream": 12,
    "nf_conntrack_icmp_timeout": 2,
    "nf_conntrack_generic_timeout": 2,
}
STREAMS = ("nf_conntrack_udp_timeout_stream", "nf_conntrack_gre_timeout", "nf_conntrack_gre_timeout_stream")


def test_timers():
    """An idle flow is forgotten, a busy one is not; the originator's next packet revives no TCP (S-19, S-20, S-21).

    The kernel's timers are cut to two seconds and run in earnest; the emulator's run fifteen times as fast.
    """
    topology = rulesets.topology([group(out=OPEN)], tcp_default_established_s=30, icmp_s=30, other_s=30)
    opened = [
        *handshake(HOST4, EXT, (40000, 443)),
        udp(HOST4, EXT, (40000, 53)),
        IP(src=HOST4, dst=EXT) / ICMP(type=8, id=7),
        IP(src=HOST4, dst=EXT) / GRE(),
    ]
    answers = [
        tcp(EXT, HOST4, (443, 40000), "A"),
        udp(EXT, HOST4, (53, 40000)),
        IP(src=EXT, dst=HOST4) / ICMP(type=0, id=7),
        IP(src=EXT, dst=HOST4) / GRE(),
    ]
    revived = [tcp(HOST4, EXT, (40000, 443), "A"), tcp(EXT, HOST4, (443, 40000), "A")]
    packets = [*opened, *answers, *answers, *answers, *revived]
    waits = {6: 1.2, 10: 1.2, 14: 3.2}
    settings = netfilter.settings(topology.policy) | SHORT | dict.fromkeys(STREAMS, 2)
    expected = "AAAAAA" + "AAAA" + "AAAA" + "DDDD" + "AD"
    assert both(topology, packets, settings=settings, waits_s=waits, scale=15) == (expected, expected)


def test_the_originator_revives_an_idle_connection_where_it_is_picked_up():
    """With ``pickup`` an idle connection comes back with the originator's next segment (LX-25)."""
    topology = rulesets.topology([group(out=OPEN)], tcp_default_established_s=30, midstream_tcp="pickup")
    packets = [*handshake(HOST4, EXT, (40000, 443)), *[tcp(EXT, HOST4, (443, 40000), "A"), tcp(HOST4, EXT, (40000, 443), "A")] * 2]
    settings = netfilter.settings(topology.policy) | SHORT
    assert both(topology, packets, settings=settings, waits_s={3: 3.2}, scale=15) == ("AAADAAA", "AAADAAA")


class TestDocumentedDifferences:
    """Where the two do not agree, and must not: each of the kinds of `compare`, and those that its settings mask."""

    def test_tcp_state(self):
        """Once there is an entry, the groups take any flags; the kernel calls some invalid, so that a rule must allow them."""
        topology = rulesets.topology([group(out=OPEN)])
        odd = [tcp(EXT, HOST4, (443, 40000), flags) for flags in ("", "SF", "FPU", "S")]
        assert both(topology, [*handshake(HOST4, EXT, (40000, 443)), *odd]) == ("AAADDDD", "AAAAAAA")

    def test_windows(self):
        """The groups look at no sequence numbers; the kernel does unless it is told to be liberal (CT-37, LX-5)."""
        topology = rulesets.topology([group(out=OPEN)])
        packets = [*handshake(HOST4, EXT, (40000, 443)), tcp(EXT, HOST4, (443, 40000), "A", seq=900_000_000)]
        strict = netfilter.settings(topology.policy) | {"nf_conntrack_tcp_be_liberal": 0}
        assert both(topology, packets, settings=strict) == ("AAAD", "AAAA")
        assert both(topology, packets) == ("AAAA", "AAAA")

    def test_a_reset_out_of_window(self):
        """Even a liberal kernel refuses a RST from before the window; to the groups it closes the connection (LX-5, LX-23)."""
        topology = rulesets.topology([group(out=OPEN)])
        packets = [*handshake(HOST4, EXT, (40000, 443)), tcp(EXT, HOST4, (443, 40000), "R", seq=5)]
        assert both(topology, packets) == ("AAAD", "AAAA")

    def test_checksums(self):
        """The groups look at no checksums; the kernel does unless it is told not to (CT-37, LX-5)."""
        topology = rulesets.topology([group(out=OPEN)])
        wrong = tcp(EXT, HOST4, (443, 40000), "A")
        wrong[TCP].chksum = 0x1234
        checking = netfilter.settings(topology.policy) | {"nf_conntrack_checksum": 1}
        assert both(topology, [*handshake(HOST4, EXT, (40000, 443)), wrong], settings=checking) == ("AAAD", "AAAA")

    def test_length(self):
        """A datagram whose UDP length is a lie belongs to its flow for the groups, to none for the kernel."""
        topology = rulesets.topology([group(out=OPEN)])
        lie = udp(EXT, HOST4, (53, 40000))
        lie[UDP].len = 4000
        assert both(topology, [udp(HOST4, EXT, (40000, 53)), lie]) == ("AD", "AA")

    def test_icmp_code(self):
        """The kernel keeps an echo's code in its key, the groups only the kind of query and its identifier (LX-9, CT-4)."""
        topology = rulesets.topology([group(out=OPEN)])
        packets = [IP(src=HOST4, dst=EXT) / ICMP(type=8, id=7), IP(src=EXT, dst=HOST4) / ICMP(type=0, code=5, id=7)]
        assert both(topology, packets) == ("AD", "AA")

    def test_node_information(self):
        """The kernel tracks ICMPv6 node information queries; for the groups they are no query, so a rule decides (LX-9, CT-6)."""
        topology = rulesets.topology([group(out=OPEN)])
        query = IPv6(src=HOST6, dst=EXT6) / ICMPv6NIQueryNOOP(nonce=b"\0" * 8)
        answer = IPv6(src=EXT6, dst=HOST6) / Raw(b"\x8c" + bytes(query[ICMPv6NIQueryNOOP])[1:])
        answer.nh = 58
        assert both(topology, [query, answer]) == ("AA", "AD")

    def test_own_key(self):
        """SCTP from the middle of an association opens an entry of addresses for the groups, and nothing for the kernel (CT-8)."""
        topology = rulesets.topology([group(out=OPEN)])
        there = IP(src=HOST4, dst=EXT) / SCTP(sport=1, dport=2) / SCTPChunkData(data=b"1234")
        back = IP(src=EXT, dst=HOST4) / SCTP(sport=2, dport=1) / SCTPChunkData(data=b"1234")
        assert both(topology, [there, back]) == ("AD", "AA")

    def test_udp_stream(self):
        """Two quick transactions make a stream for the groups; the kernel wants one that lasts two seconds (LX-6, CT-23)."""
        topology = rulesets.topology([group(out=OPEN)])
        turn = [udp(HOST4, EXT, (40000, 53)), udp(EXT, HOST4, (53, 40000))]
        settings = netfilter.settings(topology.policy) | SHORT
        assert both(topology, [*turn, *turn, turn[1]], settings=settings, waits_s={4: 3.2}, scale=15) == ("AAAAD", "AAAAA")

    def test_a_closed_connection_lingers(self):
        """By default a RST ends the entry at once; the kernel keeps it for ten seconds (CT-26)."""
        topology = rulesets.topology([group(out=OPEN)], tcp_close_linger_s=0)
        packets = [
            *handshake(HOST4, EXT, (40000, 443)),
            tcp(HOST4, EXT, (40000, 443), "RA"),
            tcp(EXT, HOST4, (443, 40000), "A", seq=2000, ack=1000),
        ]
        settings = netfilter.settings(topology.policy) | {"nf_conntrack_tcp_timeout_close": 10}
        assert both(topology, packets, settings=settings) == ("AAAAA", "AAAAD")

    @pytest.mark.parametrize("midstream", ["rules_only", "pickup"])
    def test_a_reset_as_the_only_reply(self, midstream):
        """The kernel forgets at once who was answered by a RST alone; to the groups it is a closed connection like others."""
        topology = rulesets.topology([group(out=OPEN)], midstream_tcp=midstream)
        asked = tcp(HOST4, EXT, (40000, 443), "S", 999, 0)
        packets = [asked, tcp(EXT, HOST4, (443, 40000), "RA", 0, 1000), tcp(EXT, HOST4, (443, 40000), "A", 2000, 1000)]
        assert both(topology, packets) == ("AAD", "AAA")

    def test_which_segment_closes(self):
        """Forgotten at once on both sides, a connection ends with the same ACK, but the kernel takes none that is on a FIN."""
        topology = rulesets.topology([group(out=OPEN)], tcp_close_linger_s=0)
        at_once = netfilter.settings(topology.policy) | {"nf_conntrack_tcp_timeout_close": 0, "nf_conntrack_tcp_timeout_time_wait": 0}
        finished = [
            *handshake(HOST4, EXT, (40000, 443)),
            tcp(HOST4, EXT, (40000, 443), "FA", 1000, 2000),
            tcp(EXT, HOST4, (443, 40000), "FA", 2000, 1001),
        ]
        late = tcp(EXT, HOST4, (443, 40000), "A", 2001, 1001)
        last = [tcp(HOST4, EXT, (40000, 443), flags, 1001, 2001) for flags in ("A", "FA")]
        assert both(topology, [*finished, last[0], late], settings=at_once) == ("AAAAAAD", "AAAAAAD")
        assert both(topology, [*finished, last[1], late], settings=at_once) == ("AAAAAAA", "AAAAAAD")

    def test_a_datagram_that_is_never_whole(self):
        """The kernel waits for the rest of a datagram; the emulator judges what came (LX-10, FB-32)."""
        topology = rulesets.topology([group(("udp/5000", "203.0.113.0/24"))])
        assert both(topology, parts(udp(EXT, HOST4, (40000, 5000), 3000), 1480)[:2]) == ("DD", "AA")

    def test_a_reply_between_two_pieces(self):
        """The kernel judges a datagram when its last piece has come, here as a reply; the groups at its first (LX-10, FB-32)."""
        topology = rulesets.topology([group(("udp/40000", f"{EXT}/32"))])
        first, *others = parts(udp(HOST4, EXT, (40000, 53), 3000), 1480)
        packets = [first, udp(EXT, HOST4, (53, 40000)), *others]
        assert both(topology, packets) == ("AAAA", "DADD")
        kinds = {difference.kind for difference in compare(made([bytes(packet) for packet in packets]), topology).differences}
        assert kinds == {"fragments"}

    @pytest.mark.parametrize(("acknowledged", "expected"), [(1000, "A"), (1001, "D")], ids=["the FINs cross", "a FIN answers"])
    def test_which_ack_closes(self, acknowledged, expected):
        """After two FINs an ACK closes a connection for the kernel; for the groups when both are acknowledged (CT-26)."""
        topology = rulesets.topology([group(out=OPEN)])
        packets = [
            *handshake(HOST4, EXT, (40000, 443)),
            tcp(HOST4, EXT, (40000, 443), "FA", 1000, 2000),
            tcp(EXT, HOST4, (443, 40000), "FA", 2000, acknowledged),
            tcp(HOST4, EXT, (40000, 443), "A", 1001, 2001),
            tcp(EXT, HOST4, (443, 40000), "S", 5000, 0),
        ]
        assert both(topology, packets) == ("AAAAAAD", f"AAAAAA{expected}")
        kinds = {difference.kind for difference in compare(made([bytes(packet) for packet in packets]), topology).differences}
        assert kinds == ({"closing"} if expected == "A" else set())


def test_captures(shared):
    """Real captures and drawn rule sets: every packet's verdict is the kernel's, but for the documented differences."""
    total = Comparison()
    for number, name in enumerate(QUICK):
        traffic = prepare(shared / "captures" / name, number % 2)
        total += compare(traffic, rulesets.drawn(number, traffic))
    assert not total.unexplained, total.unexplained[:5]
    assert total.compared > 1500
    assert 0.2 < total.accepted / total.compared < 0.95, "the draw must make the kernel say both"
    assert {"new", "established", "untracked", "invalid"} <= set(total.states)


@pytest.mark.parametrize("knobs", [{}, {"midstream_tcp": "pickup", "icmp_error_related": True}], ids=["default", "as Linux"])
@pytest.mark.parametrize("name", ["web-server.pcap", "app-and-sql-server.pcap", "ipv6.pcap"])
def test_own_captures(name, knobs):
    """The project's own captures, seen from both ends, with drawn rule sets."""
    total = Comparison()
    for rank in (0, 1):
        traffic = prepare(Path(__file__).parents[1] / "captures" / name, rank)
        for seed in range(2):
            total += compare(traffic, rulesets.drawn(seed, traffic, **knobs))
    assert not total.unexplained, total.unexplained[:5]
    assert total.compared > 100


@pytest.mark.parametrize("knobs", [{}, {"midstream_tcp": "pickup", "icmp_error_related": True}], ids=["default", "as Linux"])
def test_drawn_captures(knobs, tmp_path):
    """Conversations that are drawn, with pieces out of order, connections that begin anew, and what no program would send."""
    total = Comparison()
    for seed in range(4):
        drawn.write(tmp_path / "drawn.pcap", drawn.frames(seed, conversations=40))
        traffic = prepare(tmp_path / "drawn.pcap", seed % 2)
        for rules in range(3):
            total += compare(traffic, rulesets.drawn(seed + rules, traffic, **knobs))
    assert not total.unexplained, total.unexplained[:5]
    assert total.compared > 500


def test_the_comparison_sees_a_difference():
    """A rule that one side lacks is found: the comparison can fail."""
    narrow, wide = (rulesets.topology([group(rule)], [LIST]) for rule in (("tcp/22", f"{EXT}/32"), ("tcp/22", "203.0.113.0/24")))
    traffic = made([bytes(tcp(source, HOST4, (50000, 22), "S")) for source in (EXT, EXT2)])
    assert not compare(traffic, narrow).differences
    accepted, _ = crossed(traffic, wide, netfilter.settings(narrow.policy))
    verdicts = judged(emulated(traffic, narrow)).verdicts
    assert (len(accepted), verdicts) == (2, [True, False])


def test_nothing_is_left_behind_when_it_is_killed():
    """However the process ends, the machine's own links and named namespaces are as before."""
    script = (
        "import os, signal, sys\n"
        "from tests.oracles.kernel import Router\n"
        "router = Router('table inet oracle {}', {}, ['10.0.1.10'])\n"
        "print('up', flush=True)\n"
        "os.kill(os.getpid(), getattr(signal, sys.argv[1]))\n"
    )
    names = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    spaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    for name in ("SIGKILL", "SIGINT", "SIGTERM"):
        root = Path(__file__).parents[2]
        done = subprocess.run([sys.executable, "-c", script, name], capture_output=True, text=True, check=False, cwd=root, timeout=60)
        assert done.stdout == "up\n", done.stderr
        assert done.returncode in (-getattr(signal, name), 1)
    assert subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout == names
    assert subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout == spaces


def test_order_is_kept():
    """A burst of datagrams of one flow, each after the other, is judged in the order of sending."""
    topology = rulesets.topology([group(out=OPEN)])
    packets = [udp(EXT, HOST4, (53, port)) for port in range(1, 400)]
    opened = [udp(HOST4, EXT, (port, 53)) for port in range(1, 400)]
    kernel, emulator = both(topology, [*packets, *opened, *packets])
    assert kernel == emulator == "D" * 399 + "A" * 798
