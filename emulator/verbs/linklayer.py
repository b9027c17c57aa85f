"""The link layer of a capture: Ethernet headers, and what a machine says before its first packet (FB-2, FB-21).

    once, at the beginning      DHCP: discover, offer, request, acknowledge; the server is the subnet's router address
    before the first packet     ARP (RFC 826) or neighbour discovery (RFC 4861 §4.3, §4.4): who has the next hop?
    to each next hop            the fabric answers from its own map

The next hop is the destination itself inside the subnet, and the router's address otherwise.  No filter sees any of
this and nothing in a run depends on it, so it is made from the packets when somebody looks.  An answer is kept for the
whole run.  MAC addresses are made from ids: locally administered, the same in every run.
"""

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from emulator.hosts.base import Address
from emulator.hosts.datagrams import icmp_datagram
from emulator.model.entities import NetworkInterface, Subnet
from emulator.model.topology import Topology
from emulator.runtime import Seen
from emulator.wire.headers import Field
from emulator.wire.packet import ETHERNET, Packet

_ARP, _IPV4, _IPV6 = (kind.to_bytes(2) for kind in (0x0806, 0x0800, 0x86DD))
_EVERYBODY = b"\xff" * 6
SOLICITATION, ADVERTISEMENT = 135, 136
LEASE_S = 3_600
FABRIC_FIRST, NO_PACKET = 0, -1


def mac_of(key: str) -> bytes:
    """The MAC address of an interface or router, from its id."""
    return b"\x02" + hashlib.sha256(key.encode()).digest()[:5]


def spelt(mac: bytes) -> str:
    """As people write it.

    Examples
    --------
    >>> spelt(bytes(6))
    '00:00:00:00:00:00'
    """
    return ":".join(f"{byte:02x}" for byte in mac)


class Segment:
    """One interface's side of its subnet."""

    def __init__(self, topology: Topology, eni: NetworkInterface, place: int) -> None:
        self.topology, self.eni, self.place = topology, eni, place
        self.subnet = topology.get(eni.subnet, Subnet)
        self.mac = mac_of(eni.id)
        self.router_mac = mac_of(f"router {self.subnet.id}")
        self._known: set[Address] = set()
        self._neighbours = {
            ip: other.id for other in topology.all(NetworkInterface) if other.subnet == eni.subnet for ip in other.private_ips
        }

    def router(self, version: int) -> Address | None:
        """The router's address in this subnet (FB-14)."""
        return next((block.network_address + 1 for block in self.subnet.blocks if block.version == version), None)

    def next_hop(self, destination: Address) -> tuple[Address | None, bytes]:
        """Who a packet is handed to, and its MAC address."""
        if any(destination in block for block in self.subnet.blocks if block.version == destination.version):
            owner = self._neighbours.get(destination)
            return destination, mac_of(owner) if owner is not None else self.router_mac
        return self.router(destination.version), self.router_mac

    def rows(self, seen: Iterable[Seen]) -> list[Seen]:
        """The packets in Ethernet frames, with what was said before them."""
        rows = self._lease()
        for one in seen:
            key = one.packet.five_tuple
            hop, mac = self.next_hop(key.source if one.inbound else key.destination)
            if not one.inbound and hop is not None and hop not in self._known:
                self._known.add(hop)
                rows += self._question(one.time_ns, key.source, hop, mac)
            kind = _IPV6 if one.packet.header[Field.FAMILY] == 6 else _IPV4
            head = self.mac + mac + kind if one.inbound else mac + self.mac + kind
            datagram = one.packet.frame[int(one.packet.header[Field.IP_OFFSET]) :]
            rows.append(one._replace(packet=Packet.parse(head + datagram, ETHERNET)))
        return rows

    def _row(self, time_ns: int, inbound: bool, frame: bytes) -> Seen:
        return Seen(time_ns, self.place, inbound, Packet.parse(frame, ETHERNET), NO_PACKET)

    def _question(self, now: int, source: Address, hop: Address, mac: bytes) -> list[Seen]:
        if isinstance(hop, IPv4Address):
            ask = _arp(1, self.mac, source, bytes(6), hop)
            answer = _arp(2, mac, hop, self.mac, source)
            asked, told = _EVERYBODY + self.mac + _ARP + ask, self.mac + mac + _ARP + answer
        else:
            asked, told = self._solicitation(source, hop, mac)
        return [self._row(now, False, asked), self._row(now, True, told)]

    def _solicitation(self, source: Address, hop: Address, mac: bytes) -> tuple[bytes, bytes]:
        tail = hop.packed[-3:]
        group = IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + tail)
        ask = icmp_datagram(source, group, SOLICITATION, 0, 0, 0, hop.packed + b"\x01\x01" + self.mac, ttl=255)
        answer = icmp_datagram(hop, source, ADVERTISEMENT, 0, 0x6000, 0, hop.packed + b"\x02\x01" + mac, ttl=255)
        return b"\x33\x33\xff" + tail + self.mac + _IPV6 + ask, self.mac + mac + _IPV6 + answer

    def _lease(self) -> list[Seen]:
        """How the interface came by its address."""
        from scapy.layers.dhcp import BOOTP, DHCP
        from scapy.layers.inet import IP, UDP
        from scapy.layers.l2 import Ether

        router, own = self.router(4), next((ip for ip in self.eni.private_ips if ip.version == 4), None)
        block = next((block for block in self.subnet.blocks if block.version == 4), None)
        if router is None or own is None or block is None:
            return []
        number = int.from_bytes(self.mac[2:])
        ask = Ether(src=spelt(self.mac), dst=spelt(_EVERYBODY)) / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
        give = Ether(src=spelt(self.router_mac), dst=spelt(self.mac)) / IP(src=str(router), dst=str(own)) / UDP(sport=67, dport=68)
        mine = BOOTP(op=1, chaddr=self.mac, xid=number)
        theirs = BOOTP(op=2, chaddr=self.mac, xid=number, yiaddr=str(own), siaddr=str(router))
        lease = [("server_id", str(router)), ("lease_time", LEASE_S), ("subnet_mask", str(block.netmask)), ("router", str(router)), "end"]
        wish = [("requested_addr", str(own)), ("server_id", str(router)), "end"]
        said = (
            (False, ask / mine / DHCP(options=[("message-type", "discover"), "end"])),
            (True, give / theirs / DHCP(options=[("message-type", "offer"), *lease])),
            (False, ask / mine / DHCP(options=[("message-type", "request"), *wish])),
            (True, give / theirs / DHCP(options=[("message-type", "ack"), *lease])),
        )
        return [self._row(FABRIC_FIRST, inbound, bytes(frame)) for inbound, frame in said]


def _arp(operation: int, sender_mac: bytes, sender: Address, target_mac: bytes, target: Address) -> bytes:
    return bytes.fromhex("000108000604") + operation.to_bytes(2) + sender_mac + sender.packed + target_mac + target.packed


def words_of_arp(frame: bytes) -> str:
    """An ARP frame as tcpdump writes it."""
    body = frame[14:]
    sender, target = IPv4Address(body[14:18]), IPv4Address(body[24:28])
    if body[7] == 1:
        return f"ARP, Request who-has {target} tell {sender}, length {len(body)}"
    return f"ARP, Reply {sender} is-at {spelt(body[8:14])}, length {len(body)}"
