"""Captures with their link layer, and two runs beside one another."""

import shutil
import subprocess

import pytest

from emulator import Network, load, loads
from emulator.wire.status import Status

LAB = """
topology: lab
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    ipv6_cidr_block: 2001:db8:a::/56
    subnets:
      a: {cidr_block: 10.0.1.0/24, ipv6_cidr_block: "2001:db8:a:0::/64", availability_zone: a}
      b: {cidr_block: 10.0.2.0/24, ipv6_cidr_block: "2001:db8:a:1::/64", availability_zone: b}
    instances:
      one:   {subnet: a, private_ip: 10.0.1.10, ipv6_addresses: ["2001:db8:a::10"]}
      two:   {subnet: a, private_ip: 10.0.1.11, ipv6_addresses: ["2001:db8:a::11"]}
      three: {subnet: b, private_ip: 10.0.2.10, ipv6_addresses: ["2001:db8:a:1::10"]}
"""


@pytest.fixture
def network() -> Network:
    """Three members of the default group after two pings."""
    network = Network(loads(LAB))
    network["one"].ping("10.0.1.11", 1)
    network["one"].ping("10.0.2.10", 2)
    network["one"].ping("2001:db8:a:1::10", 1)
    return network


def test_link_layer_rows(network):
    """First the lease, then a question before the first packet to each next hop: the neighbour, or the router (FB-2, FB-21)."""
    rows = [row.split(" ", 1)[1] for row in network.tcpdump("one", link=True).rows]
    assert [row.split(": ")[1] for row in rows[:4]] == [
        "BOOTP/DHCP, Request, DHCP-Message Discover",
        "BOOTP/DHCP, Reply, DHCP-Message Offer",
        "BOOTP/DHCP, Request, DHCP-Message Request",
        "BOOTP/DHCP, Reply, DHCP-Message ACK",
    ]
    arp = [row for row in rows if row.startswith("ARP")]
    assert arp[0] == "ARP, Request who-has 10.0.1.11 tell 10.0.1.10, length 28"
    assert arp[1].startswith("ARP, Reply 10.0.1.11 is-at 02:")
    assert arp[2] == "ARP, Request who-has 10.0.1.1 tell 10.0.1.10, length 28"
    assert len(arp) == 4
    neighbours = [row.split(": ", 1)[1] for row in rows if "neighbor" in row]
    assert neighbours[0].startswith("ICMP6, neighbor solicitation, who has 2001:db8:a::1,")
    assert len(neighbours) == 2
    assert sum("echo" in row for row in rows) == 8
    assert [packet.status for packet in network.tcpdump("one", "arp", link=True).packets] == [Status.ARP] * 4


def test_fb21_no_filter_stops_the_fabrics_answers():
    """ARP and neighbour discovery are answered where neither a group nor an ACL lets anything through (FB-21, NA-12)."""
    topology = loads(LAB.replace("a: {", "a: {network_acl: closed, ").replace("instances:", "network_acls: {closed: {}}\n    instances:"))
    network = Network(topology)
    for target in ("10.0.1.11", "2001:db8:a::11"):
        network["one"].ping(target, 1, timeout="1s")
    rows = [row.split(" ", 1)[1] for row in network.tcpdump("one", link=True).rows]
    mac = next(row.split("is-at ")[1].split(",")[0] for row in rows if row.startswith("ARP, Reply 10.0.1.11"))
    assert any("neighbor advertisement, tgt is 2001:db8:a::11" in row for row in rows)
    ping = next(seen for seen in network.tcpdump("one", "icmp", link=True).seen if not seen.inbound)
    assert ping.packet.frame[:6].hex(":") == mac, "the ping goes where the answer said"


def test_fb21_who_has_what(network):
    """The fabric tells of each neighbour its own address, of everything beyond the router's, to everybody the same (FB-21)."""
    asked = {name: network.tcpdump(name, "arp", link=True).rows for name in ("one", "two")}
    network["two"].ping("10.0.1.10", 1)
    answers = [row for name in ("one", "two") for row in network.tcpdump(name, "arp", link=True).rows if "Reply" in row]
    told = {row.split("Reply ")[1].split(" ")[0]: row.split("is-at ")[1] for row in answers}
    assert set(told) == {"10.0.1.10", "10.0.1.11", "10.0.1.1"}
    assert len(set(told.values())) == 3
    assert all(row.count("ARP") == 1 for rows in asked.values() for row in rows)


def test_both_ends_agree_on_addresses(network):
    """A frame leaves with the MAC addresses with which it arrives, inside one subnet."""
    sent = next(seen for seen in network.tcpdump("one", "icmp", link=True).seen if not seen.inbound)
    got = next(seen for seen in network.tcpdump("two", "icmp", link=True).seen if seen.inbound)
    assert sent.packet.frame == got.packet.frame


def test_tshark_reads_the_link_layer(network, tmp_path):
    """tshark dissects every frame: nothing malformed, the protocols that were said."""
    if shutil.which("tshark") is None:
        pytest.skip("no tshark here")
    path = tmp_path / "one.pcapng"
    count = network.tcpdump("one", link=True).save(path)
    done = subprocess.run(["tshark", "-r", str(path), "-T", "fields", "-e", "_ws.col.Protocol"], capture_output=True, text=True, check=True)
    protocols = done.stdout.split()
    assert len(protocols) == count
    assert set(protocols) == {"DHCP", "ARP", "ICMP", "ICMPv6"}


def test_two_runs_beside_one_another():
    """After a change the rows that one run has alone are marked."""
    network = Network(load("topologies/web-server.yaml"))
    twin = network.copy()
    twin.authorize("web", "ping", "0.0.0.0/0")
    for one in (network, twin):
        one["customer"].ping("web-1", 1, timeout="1s")
    seen = network.beside(twin, "web-1")
    assert seen.only_left == ()
    assert [row.split(": ")[1].split(",")[0] for row in seen.only_right] == ["ICMP echo request", "ICMP echo reply"]
    assert network.beside(network).same
    assert str(network.beside(twin, "customer")).splitlines()[0].startswith("  00:00:00.000000 IP 192.0.2.77 > 198.51.100.10")
