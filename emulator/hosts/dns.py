"""DNS: the names of a topology, a server that answers by them, and a client that asks (RFC 1035).

name                                      inside a VPC                                      outside
an instance's name, ``db``                its private addresses, if it is of the same VPC   its public addresses
                                          or of a peered one; else its public ones
``ip-10-0-1-10.ec2.internal``             that private address                              unknown
an interface endpoint's private name      its nodes' addresses, in its own VPC              unknown
a host outside, ``customer``              its addresses                                     its addresses

Everybody inside asks Amazon's server, the second address after the base of the VPC's block, which no filter can stop
(FB-1, NA-12).  What AWS does not have are the short names: they are the topology's, as if a private zone held them.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address
from struct import error as StructError
from typing import Any

from emulator.hosts.base import Address, Send, Socket
from emulator.hosts.udp import Udp, UdpSocket
from emulator.model.entities import ExternalHost, Instance, NetworkInterface, Subnet, Vpc, VpcPeeringConnection
from emulator.model.joined import InterfaceEndpoint
from emulator.model.topology import Topology

PORT = 53
TRY_NS, TRIES = 5_000_000_000, 2
TTL_S = 60
TYPES = {"A": 1, "AAAA": 28}
NO_ERROR, FORMAT_ERROR, NAME_ERROR, REFUSED = 0, 1, 3, 5
RCODES = {NO_ERROR: "NOERROR", FORMAT_ERROR: "FORMERR", NAME_ERROR: "NXDOMAIN", REFUSED: "REFUSED"}


class Names:
    """Who has which address, seen from a place."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._private: dict[tuple[str, str], list[Address]] = {}
        self._public: dict[str, list[Address]] = {}
        self._home: dict[str, list[str]] = {}
        for instance in topology.all(Instance):
            self._add(topology, instance)
        for endpoint in topology.all(InterfaceEndpoint):
            for name in endpoint.private_dns_names:
                nodes = self._private.setdefault((endpoint.vpc, name.rstrip(".").lower()), [])
                nodes.extend(node.private_ip for node in endpoint.nodes)
        for host in topology.all(ExternalHost):
            self._public.setdefault(host.name.lower(), []).extend(host.ips)
        active = [peering for peering in topology.all(VpcPeeringConnection) if peering.is_active]
        self._peers = {(peering.requester, peering.accepter) for peering in active}

    def _add(self, topology: Topology, instance: Instance) -> None:
        name = instance.name.lower()
        self._home.setdefault(name, []).append(instance.vpc)
        for eni in topology.interfaces_of(instance.id):
            vpc = topology.get(eni.subnet, Subnet).vpc
            self._private.setdefault((vpc, name), []).extend(eni.private_ips)
            self._public.setdefault(name, []).extend(public for _, public in eni.public_ips)
            for ip in eni.private_ips:
                if ip.version == 4:
                    self._private.setdefault((vpc, f"ip-{str(ip).replace('.', '-')}.ec2.internal"), []).append(ip)

    def __deepcopy__(self, memo: object) -> "Names":
        return self  # nothing in it ever changes

    def find(self, name: str, vpc: str = "") -> list[Address] | None:
        """The addresses of a name, seen from a VPC or (empty) from outside; None if nobody is called so."""
        name = name.rstrip(".").lower()
        here = self._private.get((vpc, name))
        if here is not None:
            return here
        if vpc:
            for home in self._home.get(name, []):
                if (home, vpc) in self._peers or (vpc, home) in self._peers:
                    return self._private[(home, name)]
        public = self._public.get(name)
        if vpc and not public and name in self._home:
            return self._private[(self._home[name][0], name)]
        return public


def resolver_of(topology: Topology, vpc: str) -> Address | None:
    """Amazon's server of a VPC: the base of its primary IPv4 block plus two (FB-1, FB-14)."""
    block = next((block for block in topology.get(vpc, Vpc).blocks if block.version == 4), None)
    return None if block is None else block.network_address + 2


def vpc_of(topology: Topology, eni: NetworkInterface) -> str:
    """Id of the VPC that an interface is in."""
    return topology.get(eni.subnet, Subnet).vpc


@dataclass
class NameServer:
    """Answers queries by the names of a topology, as seen from one VPC."""

    names: Names
    vpc: str

    def __call__(self, data: bytes, sender: Socket) -> list[bytes]:
        """The answer to a query; nothing if it cannot be read."""
        from scapy.layers.dns import DNS, DNSRR

        query = dissected(data)
        if query is None or query.qr or not query.qd:
            return []
        question = query.qd[0]
        name, kind = question.qname.decode("ascii", "replace"), int(question.qtype)
        found = self.names.find(name, self.vpc)
        version = {1: 4, 28: 6}.get(kind)
        addresses = [ip for ip in found or () if ip.version == version]
        records = [DNSRR(rrname=question.qname, type=kind, ttl=TTL_S, rdata=str(ip)) for ip in addresses]
        code = NAME_ERROR if found is None else NO_ERROR
        return [bytes(DNS(id=query.id, qr=1, rd=query.rd, ra=1, rcode=code, qd=[question], an=records))]


def dissected(data: bytes) -> Any | None:
    """The DNS message in some bytes; None if they are none."""
    from scapy.error import Scapy_Exception
    from scapy.layers.dns import DNS

    if len(data) < 12:
        return None
    try:
        message = DNS(data)
        return message if message.qd and message.qd[0].qname is not None else None
    except (Scapy_Exception, ValueError, IndexError, TypeError, AttributeError, OverflowError, StructError):
        return None


@dataclass
class Lookup:
    """One question to a server: asked at most twice, 5 s apart, as a resolver library does.

    Attributes
    ----------
    addresses : the answer; empty for none
    rcode : the server's code; None while none came
    done : whether there is an answer, or none will come
    """

    name: str
    kind: str
    server: Socket
    source: Socket
    number: int
    socket: UdpSocket
    tries: int = TRIES
    addresses: list[Address] = field(default_factory=list)
    rcode: int | None = None
    done: bool = False
    time_ns: int = 0
    size: int = 0
    _asked: int = 0
    _began_ns: int = 0
    _again_ns: int | None = None

    def ask(self, udp: Udp, now: int) -> list[Send]:
        """Send the query (again)."""
        from scapy.layers.dns import DNS, DNSQR

        if not self._asked:
            self._began_ns = now
        self._asked += 1
        self._again_ns = now + TRY_NS
        query = bytes(DNS(id=self.number, rd=1, qd=[DNSQR(qname=self.name, qtype=self.kind)]))
        return [Send(0, udp.send(self.source, self.server, query))]

    def poll(self, now: int) -> None:
        """Look whether the answer has come."""
        for time_ns, sender, data in self.socket.received:
            message = dissected(data)
            if message is None or message.id != self.number or sender != self.server or not message.qr:
                continue
            self.rcode, self.time_ns, self.size = int(message.rcode), time_ns - self._began_ns, len(data)
            for record in message.an or []:
                if int(record.type) == TYPES[self.kind]:
                    self.addresses.append(ip_address(record.rdata))
            self.done, self._again_ns = True, None
        self.socket.received.clear()
        if self.socket.errors and not self.done:
            self.done, self._again_ns = True, None

    def get_timer(self) -> int | None:
        """When the question is asked again, or given up."""
        return self._again_ns

    def handle_timer(self, udp: Udp, now: int) -> list[Send]:
        """Ask again, or give up."""
        if self._again_ns is None or now < self._again_ns:
            return []
        if self._asked < self.tries:
            return self.ask(udp, now)
        self.done, self._again_ns = True, None
        return []
