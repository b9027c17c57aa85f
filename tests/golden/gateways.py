"""Write the captures of the golden cases with gateways anew: ``python -m tests.golden.gateways``.

Each case is a conversation: milliseconds since its begin, and the packet as it is seen inside, at the interface that
sends it or gets it; what nobody inside asked for comes to a public address.  The bytes are always the same.
"""

from pathlib import Path

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from tests.bulk.drawn import BEGIN_NS, MS, write
from tests.dialogue import error, icmp, ip, other, ping6, tcp, udp

EXT, EXT2, EXT_V6, EXT2_V6 = "203.0.113.12", "203.0.113.99", "2001:db8:ffff::12", "2001:db8:ffff::99"


def handshake(at, a, b, ports):
    """A SYN, its SYN-ACK and the ACK, a millisecond apart."""
    there = ">".join(reversed(ports.split(">")))
    return [(at, tcp(a, b, ports, "S")), (at + 1, tcp(b, a, there, "SA")), (at + 2, tcp(a, b, ports, "A"))]


def pieces(source, destination, ident, layer, size):
    """A datagram of ``size`` bytes of payload in two fragments, the first with 8 bytes of it."""
    whole = bytes(ip(source, destination) / layer / Raw(bytes(size)))[20:]
    cut = len(whole) - size + 8
    header = IP(src=source, dst=destination, id=ident, proto={UDP: 17, TCP: 6, ICMP: 1}[type(layer)])
    first, later = header.copy(), header.copy()
    first.flags, later.frag = "MF", cut // 8
    return first / Raw(whole[:cut]), later / Raw(whole[cut:])


def internet_gateway():
    """Public addresses both ways, and what is refused."""
    web, bare, half, shut, out = (f"10.0.{net}.{host}" for net, host in ((1, 10), (1, 11), (2, 10), (3, 10), (4, 10)))
    asked = udp(EXT, web, "5000>53")
    return [
        *handshake(0, EXT, web, "50000>443"),
        (10, tcp("2001:db8:a:1::10", EXT_V6, "40000>443", "S")),
        (11, tcp(EXT_V6, "2001:db8:a:1::10", "443>40000", "SA")),
        (20, tcp(bare, EXT, "40000>443", "S")),
        (21, tcp(web, "10.9.9.9", "40000>443", "S")),
        (22, tcp(web, "100.64.0.1", "40000>443", "S")),
        (23, tcp("192.168.5.5", "198.51.100.10", "40000>443", "S")),
        (24, tcp("100.64.0.1", "198.51.100.10", "40000>443", "S")),
        (25, tcp(web, EXT, "40001>25", "S")),
        (26, udp(web, EXT, "40001>25")),
        (30, asked),
        (31, error(web, EXT, asked, code=3)),
        (40, tcp(half, EXT2, "40000>443", "S")),
        (41, tcp(half, EXT, "40000>443", "S")),
        (50, tcp(web, "198.51.100.12", "40002>443", "S")),
        (60, tcp(shut, EXT, "40000>443", "S")),
        (61, tcp(EXT, "198.51.100.13", "50000>443", "S")),
        (62, tcp("2001:db8:a:3::10", EXT_V6, "40000>443", "S")),
        *handshake(70, out, EXT, "40000>443"),
        (73, tcp(EXT2, "198.51.100.14", "50000>443", "S")),
        (74, ping6("2001:db8:a:4::10", EXT_V6)),
        (75, ping6(EXT_V6, "2001:db8:a:4::10", reply=True)),
        (76, ping6(EXT_V6, "2001:db8:a:4::10", ident=8)),
    ]


def egress_only():
    """Out, the answers, and nobody else."""
    app, shut = "2001:db8:a:1::10", "2001:db8:a:3::10"
    return [
        *handshake(0, app, EXT_V6, "40000>443"),
        (10, tcp(EXT2_V6, app, "50000>443", "S")),
        (11, udp(EXT2_V6, app, "50000>53")),
        (20, ping6(app, EXT_V6)),
        (21, ping6(EXT_V6, app, reply=True)),
        (22, ping6(EXT_V6, app, ident=8)),
        (30, udp(app, EXT_V6, "5000>53")),
        (31, udp(EXT_V6, app, "53>5000")),
        (32_000, udp(EXT_V6, app, "53>5000")),
        (33_000, tcp(shut, EXT_V6, "40000>443", "S")),
        (35_000, tcp(EXT_V6, app, "443>40000", "R")),
        (35_001, tcp(EXT_V6, app, "443>40000", "A")),
    ]


def nat_gateway():
    """Flows side by side, pings, errors, fragments, a time-out, and what is not carried."""
    one, two = "10.0.1.11", "10.0.1.12"
    query = udp(one, EXT, "5000>53")
    udp_first, udp_later = pieces(one, EXT, 5, UDP(sport=6000, dport=53), 16)
    tcp_first, _ = pieces(one, EXT, 6, TCP(sport=40000, dport=443, flags="A"), 16)
    ping_first, _ = pieces(one, EXT, 7, ICMP(type=8, id=7), 16)
    expired = tcp(one, EXT, "40003>443", "S")
    expired.ttl = 1
    return [
        *handshake(0, one, EXT, "40000>443"),
        *handshake(3, two, EXT, "40000>443")[:2],
        (10, query),
        (11, udp(EXT, one, "53>5000")),
        (12, error(EXT, one, query, code=3)),
        (20, icmp(one, EXT, 8)),
        (21, icmp(EXT, one, 0)),
        (22, icmp(two, EXT, 17)),
        (23, icmp(two, EXT, 0)),
        (30, udp_first),
        (31, udp_later),
        (32, tcp_first),
        (34, ping_first),
        (40, other(one, EXT, 47)),
        (41, tcp(one, EXT, "40001>443", "SA")),
        (42, tcp(EXT2, "198.51.100.20", "50000>443", "S")),
        (43, icmp(EXT2, "198.51.100.20", 8)),
        (44, udp(one, EXT, "5001>69")),
        (45, udp(one, EXT, "5001>79")),
        (46, expired),
        (100, tcp(two, EXT, "40000>443", "FA")),
        (101, tcp(EXT, two, "443>40000", "R")),
        (102, tcp(two, EXT, "40000>443", "A")),
        (349_900, tcp(EXT, one, "443>40000", "A")),
        (699_000, tcp(one, EXT, "40000>443", "A")),
        (1_049_500, tcp(one, EXT, "40000>443", "A")),
    ]


def peering():
    """Two VPCs talk; a third, the internet and a deleted peering do not."""
    a1, a2, b1, c1, d1 = "10.0.1.10", "10.0.1.11", "10.1.1.10", "10.2.1.10", "10.3.1.10"
    return [
        *handshake(0, a1, b1, "40000>443"),
        (10, tcp(a2, b1, "40000>443", "S")),
        (20, icmp(b1, a1, 8)),
        (30, tcp(b1, c1, "40000>443", "S")),
        (31, tcp(c1, b1, "443>40000", "SA")),
        (40, tcp(a1, c1, "40001>443", "S")),
        (50, tcp(b1, EXT, "40001>443", "S")),
        (60, tcp(a1, d1, "40002>443", "S")),
        (70, tcp(a1, "10.1.1.99", "40003>443", "S")),
    ]


def transit_gateway():
    """Spokes, the hub and the office."""
    dns, web, one, one_b, two, pc = "10.0.1.53", "10.0.1.80", "10.1.1.10", "10.1.2.10", "10.2.1.10", "192.168.1.5"
    return [
        *handshake(0, one, dns, "40000>53"),
        (10, udp(two, dns, "5000>53")),
        (11, udp(dns, two, "53>5000")),
        (20, tcp(one, two, "40000>443", "S")),
        (30, tcp(one_b, dns, "40000>53", "S")),
        (31, tcp(dns, one_b, "40001>53", "S")),
        (32, tcp(one_b, dns, "53>40001", "SA")),
        (40, tcp(one, web, "40001>443", "S")),
        (41, tcp(two, web, "40001>443", "S")),
        (50, tcp(one, dns, "40002>22", "S")),
        *handshake(60, pc, one, "50000>443"),
        (70, tcp(one, "192.168.66.6", "40003>443", "S")),
        (71, tcp(one, "192.168.7.7", "40003>443", "S")),
        (80, tcp(one, EXT, "40004>443", "S")),
        (90, udp(pc, dns, "5000>53")),
    ]


def vpn():
    """The office reaches what is in the VPC, one subnet by way of an appliance, and nothing beyond."""
    web, app, lone, pc, press = "10.0.0.10", "10.0.1.10", "10.0.2.10", "192.168.1.5", "172.16.1.5"
    return [
        *handshake(0, pc, web, "50000>443"),
        *handshake(10, web, pc, "40000>22"),
        (20, tcp(web, "192.168.7.7", "40001>22", "S")),
        *handshake(30, pc, app, "50001>443"),
        (40, tcp(pc, lone, "50002>443", "S")),
        (50, tcp(web, press, "40002>443", "S")),
        (51, tcp(press, web, "50000>443", "S")),
        (60, tcp(pc, "10.0.0.99", "50003>443", "S")),
        (70, tcp(lone, pc, "40000>443", "S")),
    ]


def load_balancer():
    """By way of a node to a target, with and without the client's address; and what is not served."""
    web, api, node, node_b = "10.0.1.11", "10.0.1.12", "198.51.100.80", "198.51.100.81"
    return [
        (0, tcp(EXT, node, "50000>80", "S")),
        (1, tcp(web, EXT, "8080>50000", "SA")),
        (2, tcp(EXT, node, "50000>80", "A")),
        (10, tcp(EXT, node, "50001>81", "S")),
        (11, tcp(EXT2, node, "50001>81", "S")),
        (20, udp(EXT2, node, "5000>53")),
        (21, udp(web, EXT2, "5353>5000")),
        (30, tcp(EXT, node_b, "50002>80", "S")),
        (31, tcp(EXT, node, "50002>82", "S")),
        (32, tcp(EXT, node, "50002>83", "S")),
        (33, icmp(EXT, node, 8)),
        (34, tcp(EXT, node, "50003>80", "A")),
        (35, tcp(web, "10.0.0.80", "40000>80", "S")),
        (36, tcp(api, "10.0.0.80", "40000>80", "S")),
        (37, tcp("192.0.2.7", node, "50000>80", "S")),
        (50, tcp(EXT, node, "50000>80", "R")),
        (51, tcp(EXT, node, "50000>80", "A")),
        (52, tcp(web, EXT, "8080>50000", "A")),
        (119_000, udp(web, EXT2, "5353>5000")),
        (240_000, udp(web, EXT2, "5353>5000")),
    ]


def endpoints():
    """S3 by a route, a table that is always tracked, a queue by an interface; and who has no way there."""
    app, everything, lone, bucket, shard, queue = "10.0.1.10", "10.0.1.11", "10.0.2.10", "203.0.113.5", "203.0.113.70", "10.0.1.77"
    return [
        *handshake(0, app, bucket, "40000>443"),
        (10, icmp(app, bucket, 8)),
        (11, icmp(bucket, app, 0)),
        (12, udp(app, bucket, "5000>53")),
        (13, icmp(app, bucket, 17)),
        (20, tcp(app, shard, "40001>443", "S")),
        *handshake(30, everything, bucket, "40000>443"),
        *handshake(40, everything, shard, "40001>443"),
        (50, tcp(bucket, everything, "50000>443", "S")),
        (51, icmp(bucket, everything, 8)),
        (60, tcp(lone, bucket, "40000>443", "S")),
        *handshake(70, everything, queue, "40002>443"),
        (80, tcp(everything, queue, "40003>80", "S")),
        (81, tcp(lone, queue, "40003>443", "S")),
        (82, tcp(app, queue, "40003>443", "S")),
    ]


def appliance():
    """Through the box, not through the one that checks, and the circle that ends."""
    app, db, bare = "10.0.1.10", "10.0.2.20", "10.0.3.10"
    circling = tcp(bare, "192.0.2.9", "40001>443", "S")
    circling.ttl = 3
    return [
        *handshake(0, EXT, app, "50000>443"),
        (10, tcp(EXT, db, "50000>3306", "S")),
        (11, tcp(db, EXT, "40000>443", "S")),
        (20, tcp(app, db, "40000>3306", "S")),
        *handshake(30, app, db, "40001>443"),
        (40, tcp(bare, EXT, "40000>443", "S")),
        (50, circling),
    ]


CASES = (internet_gateway, egress_only, nat_gateway, peering, transit_gateway, vpn, load_balancer, endpoints, appliance)


def folder(case):
    """The name of a case's folder."""
    return case.__name__.replace("_", "-")


def write_case(case, path):
    """Write a case's capture."""
    write(path, [(BEGIN_NS + at * MS, bytes(packet), len(packet)) for at, packet in case()])


def main() -> None:
    """Write every capture."""
    for case in CASES:
        write_case(case, Path(__file__).parent / folder(case) / "capture.pcap")


if __name__ == "__main__":
    main()
