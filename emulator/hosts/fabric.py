"""The fabric's own services, as an interface sees them: resolver, metadata, the router that answers ping (FB-1 to FB-16).

No filter touches them, so they are no place of the network: a packet for one ends at the sender's interface with stage
EXEMPT, and the answer enters there.  Each interface has its own, as addresses repeat from VPC to VPC.
"""

from ipaddress import ip_address

from emulator.hosts.dns import PORT as DNS_PORT
from emulator.hosts.dns import Names, NameServer, resolver_of
from emulator.hosts.host import Host
from emulator.hosts.http import HttpServer
from emulator.model.entities import NetworkInterface, Subnet
from emulator.model.services import TCP, UDP, Service
from emulator.model.topology import Topology

METADATA_PORT = 80
AWS_V6 = tuple(ip_address(f"fd00:ec2::{tail}") for tail in ("253", "254"))
LINK_LOCAL = tuple(ip_address(f"169.254.{tail}") for tail in ("169.253", "169.254", "169.123", "170.2"))


def fabric_for(topology: Topology, eni: NetworkInterface, names: Names) -> Host:
    """What the fabric answers one interface."""
    subnet = topology.get(eni.subnet, Subnet)
    routers = tuple(block.network_address + 1 for block in subnet.blocks)
    resolver = resolver_of(topology, subnet.vpc)
    own = (*(() if resolver is None else (resolver,)), *routers, *LINK_LOCAL, *AWS_V6)
    listen = (Service(UDP, (DNS_PORT, DNS_PORT)), Service(TCP, (METADATA_PORT, METADATA_PORT)))
    host = Host("fabric", own, listen, names, vpc=subnet.vpc, quiet=True)
    host.udp.services[DNS_PORT] = NameServer(names, subnet.vpc)
    host.services[METADATA_PORT] = HttpServer("metadata", metadata_of(topology, eni))
    return host


def metadata_of(topology: Topology, eni: NetworkInterface) -> dict[str, str]:
    """The pages of the metadata service that concern the network (EUG, instance metadata categories)."""
    groups = "\n".join(topology.display(group) for group in eni.security_groups)
    subnet = topology.get(eni.subnet, Subnet)
    pages = {
        "instance-id": eni.instance,
        "local-ipv4": next((str(ip) for ip in eni.private_ips if ip.version == 4), ""),
        "public-ipv4": next((str(public) for _, public in eni.public_ips), ""),
        "security-groups": groups,
        "placement/availability-zone": subnet.availability_zone,
    }
    root = "/latest/meta-data/"
    return {"/": "latest\n", root: "\n".join(pages), **{root + name: text for name, text in pages.items() if text}}
