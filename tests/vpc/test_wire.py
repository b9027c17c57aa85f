"""Bytes that leave NAT gateways, internet gateways and routers: tshark and Scapy find no fault with them."""

import shutil
import subprocess

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, defragment
from scapy.layers.inet import fragment as scapy_fragment
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment, fragment6
from scapy.packet import Raw

from emulator.datapath.sightings import Sighting
from emulator.datapath.state import FIRST_BORN, Count
from emulator.network import Network
from emulator.wire.headers import Field
from emulator.wire.record import InterfaceInfo, RecordFrame, write_pcapng
from tests.base import ANYONE, ANYONE_V6, APP1, APP1_V6, EXT, EXT_V6, WEB, WEB_PUBLIC, WEB_V6, base, group

RAW_IP = 101


def everything():
    """Every packet that leaves a gateway or that the network makes, over a conversation with all kinds of them."""
    network = Network(
        base(group("any", [("all", ANYONE), ("all", ANYONE_V6)], [("all", ANYONE), ("all", ANYONE_V6)]), web="any", app1="any"),
        compiled=False,
    )
    traces = []

    def send(packet):
        trace = network.send(packet)
        traces.append(trace)
        traces.extend(trace.made)
        return trace

    for inside in (APP1, WEB):
        out = send(IP(src=inside, dst=EXT) / TCP(sport=40000, dport=443, flags="S", options=[("MSS", 1460)]))
        key = out.delivered.five_tuple
        send(IP(src=EXT, dst=str(key.source)) / TCP(sport=443, dport=key.source_port, flags="SA"))
        send(IP(src=inside, dst=EXT) / TCP(sport=40000, dport=443, flags="PA") / Raw(b"odd length"[:9]))
        out = send(IP(src=inside, dst=EXT) / UDP(sport=40000, dport=33434) / Raw(b"probe"))
        quoted = Raw(bytes(out.delivered.scapy)[:33])
        send(IP(src=EXT, dst=str(out.delivered.five_tuple.source)) / ICMP(type=3, code=3) / quoted)
        send(IP(src=inside, dst=EXT) / ICMP(type=8, id=9) / Raw(b"abc"))
        send(IP(src=inside, dst=EXT) / TCP(sport=41000, dport=443, flags="A"))
        send(IP(src=inside, dst=EXT, ttl=1) / UDP(sport=40000, dport=33434))
        send(IP(src=inside, dst=EXT, id=5) / UDP(sport=40000, dport=9) / Raw(bytes(range(256)) * 20))
        send(IP(src=inside, dst=EXT, flags="DF") / UDP(sport=40000, dport=9) / Raw(b"x" * 3001))
        for piece in scapy_fragment(IP(src=inside, dst=EXT, id=6) / UDP(sport=40000, dport=10) / Raw(b"y" * 4001), fragsize=1480):
            send(piece)
    for inside in (WEB_V6, APP1_V6):
        send(IPv6(src=inside, dst=EXT_V6) / UDP(sport=40000, dport=9) / Raw(b"x" * 3001))
        send(IPv6(src=inside, dst=EXT_V6) / TCP(sport=40000, dport=443, flags="S", options=[("MSS", 1440)]))
        send(IPv6(src=EXT_V6, dst=inside) / TCP(sport=443, dport=40000, flags="SA"))
        send(IPv6(src=inside, dst=EXT_V6) / TCP(sport=40000, dport=443, flags="PA") / Raw(b"odd length"[:9]))
        out = send(IPv6(src=inside, dst=EXT_V6) / UDP(sport=40000, dport=33434) / Raw(b"probe"))
        send(IPv6(src=EXT_V6, dst=inside) / ICMPv6DestUnreach(code=4) / Raw(bytes(out.delivered.scapy)))
        send(IPv6(src=inside, dst=EXT_V6) / ICMPv6EchoRequest(id=9, data=b"abc"))
        whole = IPv6(src=inside, dst=EXT_V6) / IPv6ExtHdrFragment(id=8) / UDP(sport=40000, dport=10) / Raw(b"z" * 4001)
        for piece in fragment6(whole, 1400):
            send(piece)
    send(IP(src=EXT, dst=WEB_PUBLIC) / TCP(sport=50000, dport=22))
    sent = [trace.sent.frame for trace in traces]
    arrived = [trace.delivered.frame for trace in traces if trace.delivered is not None]
    return traces, sent, arrived


def test_tshark_finds_no_fault_with_checksums_or_lengths(tmp_path):
    """What leaves a NAT gateway, an internet or egress-only one or a router that cuts has right checksums and lengths (FB-26, FB-30)."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    traces, sent, arrived = everything()
    passed = {(step.at, frame.sent.frame[0] >> 4) for frame in traces if frame.delivered is not None for step in frame.steps}
    assert passed >= {("nat-a", 4), ("igw-a", 4), ("igw-a", 6), ("eigw-a", 6)}, "every gateway was on the way, in its families"
    frames = (RecordFrame(number * 1000, 0, frame, len(frame), (), None, number) for number, frame in enumerate([*sent, *arrived]))
    write_pcapng(tmp_path / "all.pcapng", [InterfaceInfo("all", RAW_IP, "all")], frames)
    checks = ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"]
    command = ["tshark", "-r", str(tmp_path / "all.pcapng"), *(word for check in checks for word in ("-o", f"{check}:TRUE"))]
    bad = "ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0"
    bad += " || icmpv6.checksum.status == 0 || _ws.malformed || ip.bogus_ip_length || ip.fragment.error || ip.fragment.overlap"
    complaints = subprocess.run([*command, "-Y", bad], capture_output=True, text=True, check=True).stdout
    assert complaints == ""
    good = subprocess.run([*command, "-Y", "ip.checksum.status == 1"], capture_output=True, text=True, check=True).stdout
    assert len(good.splitlines()) > 60, "tshark looked"


def test_header_rows_agree_with_the_bytes():
    """What the kernels say about a packet that the network made is what its bytes say when they are parsed."""
    network = Network(base(), compiled=False)
    network.engine.keep_sightings(merge=False)
    trace = network.send(IP(src=WEB, dst=EXT, id=77, flags="DF") / UDP(sport=40000, dport=9) / Raw(b"x" * 3000))
    trace = network.send(IP(src=WEB, dst=EXT, id=77) / UDP(sport=40000, dport=9) / Raw(b"x" * 3000))
    seen = network.engine.state.sightings[: int(network.engine.state.counts[Count.SIGHTINGS, 0])]
    (error,) = seen[seen[:, Sighting.PACKET] == FIRST_BORN]
    assert error[Sighting.LENGTH] == 576
    assert [len(one.sent.frame) for one in trace.made] == [1500, 20 + 3008 - 2 * 1480]
    assert [int(one.sent.header[Field.FRAGMENT_OFFSET]) for one in trace.made] == [1480, 2960]


def test_pieces_put_together_are_the_datagram():
    """Scapy puts the pieces of a cut datagram together to the one that was sent, addresses aside (RFC 791 §3.2)."""
    network = Network(base(), compiled=False)
    packet = IP(src=WEB, dst=EXT, id=77) / UDP(sport=40000, dport=9) / Raw(bytes(range(256)) * 20)
    trace = network.send(packet)
    pieces = [trace.delivered, *(one.delivered for one in trace.made)]
    (whole,) = defragment([piece.scapy for piece in pieces])
    assert bytes(whole[Raw]) == bytes(range(256)) * 20
    assert whole.src == WEB_PUBLIC
