"""What the parser of frames promises: what Scapy and dpkt see, on any bytes at all, interpreted and compiled alike."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import dpkt
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scapy.config import conf
from scapy.layers import inet, inet6
from scapy.layers.l2 import ARP, LLC, SNAP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.sctp import SCTP
from scapy.packet import Raw
from scapy.utils import RawPcapReader

from emulator.kernels import compiled
from emulator.wire import headers
from emulator.wire.addresses import address
from emulator.wire.headers import FIELDS, Field, FiveTuple, five_tuple, parse_frame, parse_many
from emulator.wire.packet import Packet
from emulator.wire.status import Status

# fmt: off
CAPTURES = [
    "dhcp-discover-to-ack.pcapng", "dhcp-inform-250-clients.pcap", "dhcpv6-nd-mld.pcap", "dns-fragmented-v4-v6.pcap", "dns-tcp.pcap",
    "dns-udp.pcap", "fragments-v4-nfs.pcap", "fragments-v4-tcp.pcap", "fragments-v6-malformed.pcap", "fragments-v6-udp.pcap",
    "ftp-active.pcap", "ftp-ipv6-epsv-eprt.pcap", "ftp-passive-large.pcap", "geneve.pcap", "gre-in-gre.pcap", "http-13-connections.pcap",
    "http-one-get.pcap", "icmp-echo-75.pcap", "icmp-frag-needed-tcp.pcap", "icmp-traceroute.pcapng", "ip-proto-41-6in4.pcap",
    "ipsec-ikev2-esp-v6.pcap", "ipv6-mixed.pcap", "linktype-ipv4-mqtt.pcap", "linktype-null-loopback.pcap", "linktype-ppp-quic.pcap",
    "linktype-raw-tcp.pcap", "linktype-sll-mobile.pcap", "linktype-sll2.pcap", "malformed-dns-fragments.pcap",
    "malformed-fuzzed-tcp.pcap", "mixed-small.pcap", "pcap-nanosecond-big-endian.pcap", "pcapng-many-interfaces.pcapng",
    "scan-syn-1994-ports.pcap", "sctp-linux-sll.pcap", "sip-rtp-t38.pcap", "snaplen-cut-tcp.pcap", "tcp-fast-open.pcap",
    "tcp-handshake-variants.pcap", "tcp-long-idle.pcap", "tcp-many-rst.pcap", "tcp-midstream-truncated-file.pcap",
    "tcp-retransmit-4-connections.pcap", "tcp-retransmit-snaplen.pcap", "tcp-rst-injected.pcap", "tcp-split-handshake.pcap",
    "tftp-new-server-port.pcapng", "tls-http-145-connections.pcapng", "tls-ipv6-60-connections.pcap", "tso-iplen-zero.pcapng",
    "udp-long-gaps.pcap", "udp-port-unreachable.pcapng", "vlan-qinq-icmp.pcap", "vlan-tcp.pcap", "vxlan-vlan.pcap",
]
# fmt: on

SCAPY_DIFFERS = {
    (
        "malformed-fuzzed-tcp.pcap",
        76,
    ): "IP version 1, which no host takes (RFC 1122 §3.2.1.1); Scapy does not look at it",
    ("malformed-fuzzed-tcp.pcap", 91): "IP version 2, likewise",
    ("malformed-fuzzed-tcp.pcap", 111): "the IP length leaves 15 bytes to TCP: ports and flags are there, but Scapy wants all 20",
}
DPKT_DIFFERS = {("malformed-fuzzed-tcp.pcap", 91): "IP version 2, which dpkt does not look at"} | {
    ("mixed-small.pcap", number): "an MPLS label, behind which dpkt guesses IP; no VPC carries MPLS, so it is not IP here"
    for number in (11, 124, 133, 135, 137, 139)
}

NEEDS_DISSECTION = (headers.TCP, headers.UDP, headers.SCTP, headers.ICMP, headers.ICMPV6, 43, 44, 51, 60)
BSD_IPV6 = (24, 28, 30)


def parse(frame, link_type):
    """A header row from bytes that stand alone in their buffer; it held rubbish before."""
    rows = np.full((1, FIELDS), -99, dtype=np.int64)
    assert parse_frame(np.frombuffer(frame, dtype=np.uint8), 0, len(frame), link_type, rows, 0) == rows[0, Field.STATUS]
    return rows[0]


def parse_all(parser, frames):
    """Header rows of (bytes, link type) that follow each other in one buffer."""
    records = np.zeros((len(frames), 6), dtype=np.int64)
    offset = 0
    for row, (frame, link_type) in enumerate(frames):
        records[row] = offset, len(frame), len(frame), 1_000 + row, link_type, 0
        offset += len(frame)
    rows = np.full((len(frames), FIELDS), -99, dtype=np.int64)
    count = parser(np.frombuffer(b"".join(frame for frame, _ in frames), dtype=np.uint8), records, rows, 7)
    assert count == (rows[:, Field.STATUS] == Status.PARSED).sum()
    return rows


def shown(row):
    """A header row by names, with addresses as such."""
    values = {field.name: int(row[field]) for field in Field}
    for name in ("SOURCE", "DESTINATION", "QUOTED_SOURCE", "QUOTED_DESTINATION"):
        values[name] = address(values["FAMILY"], values[f"{name}_HI"], values[f"{name}_LO"])
    return values


def differences(row, expected):
    """What the parser says and what it should have said, of the names expected."""
    ours = shown(row)
    return {name: (ours[name], value) for name, value in expected.items() if ours[name] != value}


@pytest.fixture(scope="session")
def machine_code():
    """`parse_many`, compiled once."""
    return compiled(parse_many)


def capture_frames(path):
    """Bytes and link type of each packet, by Scapy's reader; it also gives a last one that is cut."""
    with RawPcapReader(str(path)) as reader:
        return [(bytes(data), getattr(meta, "linktype", None) or getattr(reader, "linktype", 0)) for data, meta in reader]


def scapy_sees(frame, link_type):
    """What Scapy's dissection says of the outermost datagram, and whether it has all of the five-tuple."""
    if link_type == 0 and len(frame) >= 4 and int.from_bytes(frame[:4], "little") in BSD_IPV6:
        layer, offset = inet6.IPv6(frame[4:]), 4  # Scapy names these families, but gives them no layer
    else:
        layer, offset = conf.l2types.num2layer[link_type](frame), 0
    while layer and not isinstance(layer, inet.IP | inet6.IPv6):
        if isinstance(layer, ARP):
            return {"STATUS": Status.ARP}, True
        offset += len(layer.raw_packet_cache or b"")
        layer = layer.payload
    if not layer:
        return {"STATUS": Status.NOT_IP}, True
    source, destination = ip_address(layer.src), ip_address(layer.dst)
    seen = {"FAMILY": source.version, "SOURCE": source, "DESTINATION": destination, "IP_OFFSET": offset, "FRAGMENT_OFFSET": 0}
    offset += len(layer.raw_packet_cache)
    if source.version == 4:
        seen |= {"PROTOCOL": layer.proto, "TTL": layer.ttl, "LENGTH": layer.len or len(frame) - seen["IP_OFFSET"]}
        seen |= {"FRAGMENT_OFFSET": layer.frag * 8, "MORE_FRAGMENTS": int(layer.flags.MF), "FRAGMENT_ID": layer.id}
        inner = layer.payload
    else:
        seen |= {"PROTOCOL": layer.nh, "TTL": layer.hlim, "MORE_FRAGMENTS": 0, "FRAGMENT_ID": 0}
        seen |= {"LENGTH": 40 + layer.plen} if layer.plen else {}
        inner = layer.payload
        while seen["FRAGMENT_OFFSET"] == 0 and isinstance(inner, inet6._IPv6ExtHdr):
            if isinstance(inner, inet6.IPv6ExtHdrFragment):
                seen |= {"FRAGMENT_OFFSET": inner.offset * 8, "MORE_FRAGMENTS": inner.m, "FRAGMENT_ID": inner.id}
            seen["PROTOCOL"] = inner.nh
            offset += len(inner.raw_packet_cache)
            inner = inner.payload
    seen["PAYLOAD_OFFSET"] = offset
    if seen["FRAGMENT_OFFSET"]:
        return seen | {"STATUS": Status.PARSED, "SOURCE_PORT": 0, "DESTINATION_PORT": 0, "FLAGS": 0, "TYPE": 0, "CODE": 0}, True
    transport = scapy_sees_transport(inner, seen["PROTOCOL"])
    return seen | transport, bool(transport)


def scapy_sees_transport(layer, protocol):
    """Ports, flags, ICMP type and what an error quotes; nothing where Scapy could not dissect the layer."""
    seen = {"STATUS": Status.PARSED}
    if isinstance(layer, inet.TCP | inet.UDP | SCTP):
        seen |= {"SOURCE_PORT": layer.sport, "DESTINATION_PORT": layer.dport}
        return seen | ({"FLAGS": int(layer.flags) & 0xFF, "SEQUENCE": layer.ack} if isinstance(layer, inet.TCP) else {})
    if isinstance(layer, inet.ICMP) or (protocol == headers.ICMPV6 and "type" in layer.fields):
        for name, field in (("type", "TYPE"), ("code", "CODE"), ("id", "IDENTIFIER"), ("seq", "SEQUENCE")):
            if layer.fields.get(name) is not None:
                seen[field] = layer.fields[name]
        return seen | scapy_sees_quoted(layer.payload)
    return {} if protocol in NEEDS_DISSECTION else seen


def scapy_sees_quoted(layer):
    """The five-tuple of the datagram within an ICMP error."""
    if not isinstance(layer, inet.IPerror | inet6.IPerror6):
        return {}
    seen = {"QUOTED_SOURCE": ip_address(layer.src), "QUOTED_DESTINATION": ip_address(layer.dst)}
    if isinstance(layer, inet.IPerror):
        seen["QUOTED_PROTOCOL"] = layer.proto
    inner = layer.payload
    if isinstance(inner, inet.TCPerror | inet.UDPerror):
        return seen | {"QUOTED_SOURCE_PORT": inner.sport, "QUOTED_DESTINATION_PORT": inner.dport}
    if isinstance(inner, inet.ICMPerror) and inner.fields.get("id") is not None:
        return seen | {"QUOTED_SOURCE_PORT": inner.id, "QUOTED_DESTINATION_PORT": inner.seq}
    return seen


def dpkt_sees(frame):
    """What dpkt's dissection of an Ethernet frame says; nothing where it sees no datagram, or fails."""
    try:
        datagram = dpkt.ethernet.Ethernet(frame).data
    except (dpkt.UnpackError, IndexError):
        return {}
    if isinstance(datagram, dpkt.ip.IP):
        seen = {"FAMILY": 4, "SOURCE": IPv4Address(datagram.src), "DESTINATION": IPv4Address(datagram.dst), "TTL": datagram.ttl}
        seen |= {"FRAGMENT_OFFSET": datagram.offset * 8, "MORE_FRAGMENTS": datagram.mf, "FRAGMENT_ID": datagram.id}
        seen |= {"LENGTH": datagram.len} if datagram.len else {}
    elif isinstance(datagram, dpkt.ip6.IP6):
        seen = {"FAMILY": 6, "SOURCE": IPv6Address(datagram.src), "DESTINATION": IPv6Address(datagram.dst), "TTL": datagram.hlim}
        for header in datagram.all_extension_headers:
            if isinstance(header, dpkt.ip6.IP6FragmentHeader):
                seen |= {"FRAGMENT_OFFSET": header.frag_off * 8, "MORE_FRAGMENTS": header.m_flag, "FRAGMENT_ID": header.id}
    else:
        return {}
    seen |= {"PROTOCOL": datagram.p} if hasattr(datagram, "p") else {}  # not behind ESP, an extension header to dpkt
    inner = datagram.data
    if isinstance(inner, dpkt.tcp.TCP | dpkt.udp.UDP | dpkt.sctp.SCTP):
        seen |= {"STATUS": Status.PARSED, "SOURCE_PORT": inner.sport, "DESTINATION_PORT": inner.dport}
        seen |= {"FLAGS": inner.flags & 0xFF} if isinstance(inner, dpkt.tcp.TCP) else {}
    elif isinstance(inner, dpkt.icmp.ICMP | dpkt.icmp6.ICMP6):
        seen |= {"STATUS": Status.PARSED, "TYPE": inner.type, "CODE": inner.code}
    return seen


def listed(known, name):
    return {number for capture, number in known if capture == name}


def test_every_shared_capture_is_compared(shared):
    """The captures compared are all there are."""
    assert sorted(CAPTURES) == sorted(path.name for path in (shared / "captures").glob("*.pcap*"))


@pytest.mark.parametrize("name", CAPTURES)
def test_a_packet_of_a_capture_is_what_scapy_sees(shared, name):
    """Fields of each packet are those that Scapy dissects; where it has a whole five-tuple, so have we."""
    wrong = {}
    for number, (frame, link_type) in enumerate(capture_frames(shared / "captures" / name), 1):
        row = parse(frame, link_type)
        seen, complete = scapy_sees(frame, link_type)
        if differs := differences(row, seen):
            wrong[number] = differs
        elif not complete and row[Field.STATUS] == Status.PARSED:
            wrong[number] = "parsed, where Scapy gave up"
    assert wrong.keys() == listed(SCAPY_DIFFERS, name), wrong


@pytest.mark.parametrize("name", CAPTURES)
def test_an_ethernet_frame_of_a_capture_is_what_dpkt_sees(shared, name):
    """Fields of each Ethernet frame are those that dpkt unpacks."""
    wrong = {}
    for number, (frame, link_type) in enumerate(capture_frames(shared / "captures" / name), 1):
        if link_type == 1 and (differs := differences(parse(frame, link_type), dpkt_sees(frame))):
            wrong[number] = differs
    assert wrong.keys() == listed(DPKT_DIFFERS, name), wrong


@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_parses_compiled_as_interpreted(shared, machine_code, name):
    """One matrix, whether compiled or not."""
    frames = capture_frames(shared / "captures" / name)
    np.testing.assert_array_equal(parse_all(machine_code, frames), parse_all(parse_many, frames))


def links(number, ppp):
    """Link headers before a datagram of an ethertype and a PPP protocol number: (link type, bytes)."""
    ether = {"dst": "02:00:00:00:00:01", "src": "02:00:00:00:00:02"}
    return {
        "Ethernet": (1, Ether(**ether, type=number)),
        "VLAN tag": (1, Ether(**ether) / Dot1Q(vlan=5, prio=3, type=number)),
        "two 802.1Q tags": (1, Ether(**ether) / Dot1Q(vlan=5) / Dot1Q(vlan=6, type=number)),
        "802.1ad and 802.1Q tag": (1, Ether(**ether, type=0x88A8) / Dot1AD(vlan=4095, type=0x8100) / Dot1Q(vlan=1, type=number)),
        "PPPoE": (1, Ether(**ether, type=0x8864) / PPPoE(sessionid=9, len=2) / PPP(proto=ppp)),
        "Linux SLL": (113, CookedLinux(proto=number)),
        "Linux SLL with a VLAN tag": (113, CookedLinux(proto=0x8100) / Dot1Q(type=number)),
        "Linux SLL2": (276, CookedLinuxV2(proto=number)),
        "PPP": (9, PPP(proto=ppp)),
        "PPP with address and control": (9, b"\xff\x03" + ppp.to_bytes(2)),
        "PPP with a short protocol number": (9, ppp.to_bytes(1)),
        "BSD null of a little-endian machine": (0, (2 if ppp == 0x21 else 30).to_bytes(4, "little")),
        "BSD null of a big-endian machine": (0, (2 if ppp == 0x21 else 28).to_bytes(4)),
        "OpenBSD loop": (108, (2 if ppp == 0x21 else 24).to_bytes(4)),
        "raw": (101, b""),
        "raw of BSD/OS": (12, b""),
        "raw of OpenBSD": (14, b""),
        "raw of one family": (228 if ppp == 0x21 else 229, b""),
    }


LINKS = {4: links(0x0800, 0x21), 6: links(0x86DD, 0x57)}
LINKS = {family: {name: (kind, bytes(header)) for name, (kind, header) in of.items()} for family, of in LINKS.items()}
ports = st.integers(0, 0xFFFF)
octets = st.integers(0, 0xFF)
payloads = st.binary(max_size=12)
tcp_options = st.lists(
    st.sampled_from([("NOP", None), ("MSS", 1460), ("WScale", 7), ("SAckOK", b""), ("Timestamp", (1, 2))]), max_size=3, unique_by=str
)
ip_options = st.lists(
    st.sampled_from([inet.IPOption_NOP(), inet.IPOption_Router_Alert(), inet.IPOption_RR(routers=["0.0.0.0"])]), max_size=2
)
extensions = st.sampled_from(["hop-by-hop", "destination", "routing", "fragment", "authentication"])


@st.composite
def transports(draw, family, quoting=True):
    """A transport's protocol, bytes and fields."""
    kind = draw(st.sampled_from(["tcp", "udp", "sctp", "query", "gre", "esp", "mobility"] + ["error"] * quoting))
    source, destination = draw(ports), draw(ports)
    fields = {"SOURCE_PORT": source, "DESTINATION_PORT": destination}
    data = Raw(draw(payloads))
    if kind == "tcp":
        flags = draw(st.integers(0, 0x1FF))
        segment = inet.TCP(sport=source, dport=destination, flags=flags, options=draw(tcp_options), chksum=1)
        return headers.TCP, bytes(segment / data), fields | {"FLAGS": flags & 0xFF}
    if kind == "udp":
        return headers.UDP, bytes(inet.UDP(sport=source, dport=destination, chksum=1) / data), fields
    if kind == "sctp":
        return headers.SCTP, bytes(SCTP(sport=source, dport=destination) / data), fields
    if kind == "query":
        fields = {"CODE": 0, "IDENTIFIER": source, "SEQUENCE": destination}
        if family == 4:
            fields["TYPE"] = draw(st.sampled_from([0, 8, 13, 14, 15, 16]))
            return headers.ICMP, bytes(inet.ICMP(type=fields["TYPE"], id=source, seq=destination) / data), fields
        echo = draw(st.sampled_from([inet6.ICMPv6EchoRequest, inet6.ICMPv6EchoReply]))(id=source, seq=destination, cksum=1)
        return headers.ICMPV6, bytes(echo / data), fields | {"TYPE": echo.type}
    if kind == "error":
        quoted, inner = draw(datagrams(family, quoting=False))
        fields = {"TYPE": draw(st.sampled_from([3, 11, 12] if family == 4 else [1, 2, 3, 4])), "CODE": draw(octets)}
        fields |= {f"QUOTED_{name}": inner[name] for name in ("PROTOCOL", "SOURCE", "DESTINATION")}
        fields |= {f"QUOTED_{name}": inner.get(name, 0) for name in ("SOURCE_PORT", "DESTINATION_PORT")}
        if "IDENTIFIER" in inner:  # a quoted query is known by its identifier and sequence number
            fields |= {"QUOTED_SOURCE_PORT": inner["IDENTIFIER"], "QUOTED_DESTINATION_PORT": inner["SEQUENCE"]}
        header = bytes([fields["TYPE"], fields["CODE"]]) + draw(st.binary(min_size=6, max_size=6))
        return headers.ICMP if family == 4 else headers.ICMPV6, header + quoted, fields
    return {"gre": 47, "esp": 50, "mobility": 135}[kind], bytes(8) + bytes(data), {}


@st.composite
def datagrams(draw, family, quoting=True):
    """An IP datagram's bytes and fields."""
    protocol, data, inner = draw(transports(family, quoting))
    source, destination = (draw(st.ip_addresses(v=family)) for _ in range(2))
    ttl, more, fragment_id = draw(octets), draw(st.integers(0, 1)), draw(ports)
    offset = draw(st.just(0) | st.integers(0, 0x1FFF))
    fields = {"FAMILY": family, "SOURCE": source, "DESTINATION": destination, "TTL": ttl, "PROTOCOL": protocol}
    fragment = {"FRAGMENT_OFFSET": offset * 8, "MORE_FRAGMENTS": more, "FRAGMENT_ID": fragment_id}
    if family == 4:
        header = inet.IP(src=str(source), dst=str(destination), ttl=ttl, id=fragment_id, frag=offset, flags=more, options=draw(ip_options))
        header.proto = protocol
        datagram = bytes(header / Raw(data))
        fields |= fragment
    else:
        chain = b""
        for kind in draw(st.lists(extensions, max_size=4, unique=True)):  # from the last to the first
            if kind == "authentication":
                header = bytes([protocol, 4]) + bytes(22)
            elif kind == "hop-by-hop":
                header = bytes(inet6.IPv6ExtHdrHopByHop(nh=protocol, options=[inet6.RouterAlert()]))
            elif kind == "destination":
                header = bytes(inet6.IPv6ExtHdrDestOpt(nh=protocol, options=[inet6.PadN(optdata=bytes(9))]))
            elif kind == "routing":
                header = bytes(inet6.IPv6ExtHdrRouting(nh=protocol, addresses=["2001:db8::1", "2001:db8::2"]))
            else:
                header = bytes(inet6.IPv6ExtHdrFragment(nh=protocol, offset=offset, m=more, id=fragment_id))
                fields |= fragment
                if offset:
                    fields["PROTOCOL"] = protocol
            chain = header + chain
            protocol = {"authentication": 51, "hop-by-hop": 0, "destination": 60, "routing": 43, "fragment": 44}[kind]
        datagram = bytes(inet6.IPv6(src=str(source), dst=str(destination), hlim=ttl, nh=protocol) / Raw(chain + data))
    if not fields.get("FRAGMENT_OFFSET"):
        fields |= inner | {"PAYLOAD_OFFSET": len(datagram) - len(data)}
    return datagram, fields | {"LENGTH": len(datagram), "STATUS": Status.PARSED}


@st.composite
def built(draw):
    """A frame of Scapy's making, its link type and the fields of its header, all others being 0."""
    family = draw(st.sampled_from([4, 6]))
    link_type, link = draw(st.sampled_from(list(LINKS[family].values())))
    datagram, fields = draw(datagrams(family))
    fields["IP_OFFSET"] = len(link)
    if "PAYLOAD_OFFSET" in fields:
        fields["PAYLOAD_OFFSET"] += len(link)
    return link + datagram, link_type, fields


rubbish = st.tuples(st.binary(max_size=120), st.sampled_from([0, 1, 9, 12, 14, 101, 108, 113, 228, 229, 276, 105, -1, 2**40]))


@st.composite
def nearly_right(draw):
    """A built frame with some bytes changed, and its link type."""
    frame, link_type, _ = draw(built())
    changed = bytearray(frame)
    for at, octet in draw(st.lists(st.tuples(st.integers(0, 127), octets), max_size=6)):
        changed[at % len(frame)] = octet
    return bytes(changed), link_type


@given(frame=built(), padding=st.binary(max_size=6))
@settings(max_examples=300, deadline=None)
def test_a_built_packet_gives_its_fields(frame, padding):
    """What Scapy built is read back, with ports only where there are some; bytes behind the datagram change nothing."""
    data, link_type, fields = frame
    silent = ("SOURCE_PORT", "DESTINATION_PORT", "FLAGS", "TYPE", "CODE", "FRAGMENT_OFFSET", "FRAGMENT_ID", "MORE_FRAGMENTS")
    silent += ("QUOTED_PROTOCOL", "QUOTED_SOURCE_PORT", "QUOTED_DESTINATION_PORT")
    assert not differences(parse(data + padding, link_type), dict.fromkeys(silent, 0) | fields)


@given(frame=built())
@settings(max_examples=100, deadline=None)
def test_a_frame_cut_anywhere_is_truncated_until_its_five_tuple_is_there(frame, machine_code):
    """Cut at each byte in turn, a good frame is `TRUNCATED` or gives its own five-tuple; compiled likewise."""
    data, link_type, _ = frame
    cuts = [(data[:length], link_type) for length in range(len(data) + 1)]
    rows = parse_all(parse_many, cuts)
    np.testing.assert_array_equal(rows, parse_all(machine_code, cuts))
    parsed = rows[:, Field.STATUS] == Status.PARSED
    assert set(rows[~parsed, Field.STATUS]) <= {Status.TRUNCATED}
    assert (np.diff(parsed.astype(int)) >= 0).all()
    assert {five_tuple(row) for row in rows[parsed]} == {five_tuple(rows[-1])}


@given(frames=st.lists(rubbish | nearly_right(), min_size=1, max_size=8))
@example(frames=[(b"", 1), (b"", 0), (b"", 101), (b"\x60", 229)])
@settings(max_examples=400, deadline=None)
def test_any_bytes_of_any_link_type_get_a_status(frames, machine_code):
    """Nothing raises; a row is the same alone, among others and compiled."""
    rows = parse_all(parse_many, frames)
    np.testing.assert_array_equal(rows, parse_all(machine_code, frames))
    alone = np.array([parse(frame, link_type) for frame, link_type in frames])
    alone[:, [Field.TIME_NS, Field.INDEX]] = [(1_000 + row, 7 + row) for row in range(len(frames))]
    np.testing.assert_array_equal(rows, alone)
    for row, (frame, _) in zip(rows, frames, strict=True):
        assert row[Field.STATUS] in list(Status)
        assert 0 <= row[Field.IP_OFFSET] <= len(frame)
        if row[Field.STATUS] == Status.PARSED:
            assert row[Field.IP_OFFSET] + 20 <= row[Field.PAYLOAD_OFFSET] <= len(frame)
            assert 0 <= row[Field.SOURCE_PORT] <= 0xFFFF


V4 = bytes(inet.IP(src="10.0.0.1", dst="10.0.0.2") / inet.UDP(sport=1, dport=2))
V6 = bytes(inet6.IPv6(src="2001:db8::1", dst="2001:db8::2") / inet.UDP(sport=1, dport=2))
SIX_TAGS = bytes(Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", type=0x8100)) + b"\0\1\x81\0" * 6
SNAPPED = bytes(Dot3(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", len=36) / LLC() / SNAP(code=0x0800))


@pytest.mark.parametrize(
    ("frame", "link_type", "status"),
    [
        pytest.param(V4, 101, Status.PARSED, id="a whole datagram is parsed"),
        pytest.param(SNAPPED + V4, 1, Status.PARSED, id="LLC and SNAP before a datagram are passed over"),
        pytest.param(V4, 105, Status.LINK_TYPE, id="a link type that nobody knows is named as the trouble"),
        pytest.param(V4 + bytes(20), 229, Status.MALFORMED, id="IPv4 where the link type promises IPv6 is malformed"),
        pytest.param(V6, 228, Status.MALFORMED, id="IPv6 where the link type promises IPv4 is malformed"),
        pytest.param(b"\x44" + V4[1:], 101, Status.MALFORMED, id="an IPv4 header of 16 bytes is malformed"),
        pytest.param(V4[:2] + b"\0\x13" + V4[4:], 101, Status.MALFORMED, id="an IPv4 length shorter than its header is malformed"),
        pytest.param(V4[:2] + b"\0\x16" + V4[4:], 101, Status.MALFORMED, id="an IPv4 length that ends within the ports is malformed"),
        pytest.param(V4[:22], 101, Status.TRUNCATED, id="a capture that ends within the ports is truncated"),
        pytest.param(V4[:2] + b"\0\0" + V4[4:], 101, Status.PARSED, id="IPv4 length 0 is a segment that the card was to cut"),
        pytest.param(V6[:4] + b"\0\0" + V6[6:], 101, Status.PARSED, id="IPv6 length 0 likewise"),
        pytest.param(V6[:4] + b"\0\0\0" + V6[7:], 101, Status.MALFORMED, id="IPv6 length 0 without a jumbo option is malformed"),
        pytest.param(b"\x50" + V4[1:], 101, Status.NOT_IP, id="raw bytes of version 5 are not IP"),
        pytest.param(b"\2\0\0\x1c" + V6, 0, Status.NOT_IP, id="an address family with both ends set is none"),
        pytest.param(b"\2\1\0\0" + V4, 0, Status.NOT_IP, id="an address family of two bytes is none"),
        pytest.param(SIX_TAGS, 1, Status.NOT_IP, id="more VLAN tags than four are not looked through"),
        pytest.param(bytes(12) + b"\x08\x06" + bytes(28), 1, Status.ARP, id="ARP is known as such"),
        pytest.param(bytes(12) + b"\x88\x47" + bytes(4) + V4, 1, Status.NOT_IP, id="MPLS is not looked through"),
        pytest.param(
            V6[:4] + b"\0\x80\x3c" + V6[7:40] + b"\x3c\0\1\4\0\0\0\0" * 16,
            101,
            Status.MALFORMED,
            id="a chain of extension headers has an end",
        ),
    ],
)
def test_status(frame, link_type, status):
    """What became of a frame is told from its bytes."""
    assert parse(frame, link_type)[Field.STATUS] == status


def test_a_jumbogram_has_the_length_of_its_option():
    """A jumbo payload option stands for a length of 0 (RFC 2675), as Linux' BIG TCP writes it."""
    option = inet6.IPv6ExtHdrHopByHop(options=[inet6.Jumbo(jumboplen=70_008)])
    frame = bytes(
        inet6.IPv6(src="2001:db8::1", dst="2001:db8::2", plen=0) / option / inet.UDP(sport=5, dport=6, len=0) / Raw(bytes(69_992))
    )
    expected = {"STATUS": Status.PARSED, "LENGTH": 70_048, "PROTOCOL": 17, "SOURCE_PORT": 5, "DESTINATION_PORT": 6}
    assert not differences(parse(frame, 101), expected)
    assert not differences(parse(frame[:80], 101), expected)


def test_padding_behind_no_next_header_is_no_payload():
    """An IPv6 header that nothing follows keeps its length, however long the frame was padded."""
    header = bytes(inet6.IPv6(src="2001:db8::1", dst="2001:db8::2", nh=59))
    assert not differences(parse(header + bytes(6), 101), {"STATUS": Status.PARSED, "LENGTH": 40, "PROTOCOL": 59})


def test_five_tuple_of_a_reply():
    """A reply's five-tuple is the other way round, and its reply is the first again."""
    key = five_tuple(parse(V4, 101))
    assert key == FiveTuple(17, IPv4Address("10.0.0.1"), 1, IPv4Address("10.0.0.2"), 2)
    assert key.reply() == FiveTuple(17, IPv4Address("10.0.0.2"), 2, IPv4Address("10.0.0.1"), 1)
    assert key.reply().reply() == key


@pytest.mark.parametrize(
    ("flags", "payload", "end"),
    [("S", b"", 1), ("SA", b"hello", 6), ("A", b"", 0), ("PA", b"hello", 5), ("FA", b"", 1), ("FPA", b"hello", 6), ("R", b"", 0)],
)
@pytest.mark.parametrize("first", [0, 1000, 2**32 - 3], ids=["zero", "some", "near the end"])
def test_the_number_behind_a_segment(flags, payload, end, first):
    """SYN, FIN and each byte of data count one, modulo 2^32; options do not count (RFC 9293 §3.4)."""
    segment = inet.TCP(sport=1, dport=2, flags=flags, seq=first, ack=7, options=[("MSS", 1460)]) / payload
    for network in (inet.IP(src="10.0.0.1", dst="10.0.0.2"), inet6.IPv6(src="2001:db8::1", dst="2001:db8::2")):
        header = Packet.parse(bytes(network / segment)).header
        assert (header[Field.IDENTIFIER], header[Field.SEQUENCE]) == ((first + end) % 2**32, 7)


def test_flags_are_bits_of_the_header():
    """The names of TCP flags stand for the bits that Scapy sets."""
    for letter, flag in zip("FSRPAU", (headers.FIN, headers.SYN, headers.RST, headers.PSH, headers.ACK, headers.URG), strict=True):
        segment = inet.IP(src="10.0.0.1", dst="10.0.0.2") / inet.TCP(flags=letter)
        assert parse(bytes(segment), 101)[Field.FLAGS] == flag
