"""What flow logs know of places: an interface's addresses, subnet and instance; the way out; AWS services by address.

AWS's own interfaces have rows of their own: NAT gateways, endpoints, load balancers, and the attachments of transit
gateways, which show a free address of their subnet where the topology names none (FL-22, FL-23).
"""

import json
from functools import cache, lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from emulator.errors import UsageError
from emulator.model.entities import Instance, NatGateway, NetworkInterface, Subnet, VpcPeeringConnection
from emulator.model.fileformat.freeaddresses import FreeAddresses
from emulator.model.groups import Block, PrefixList
from emulator.model.joined import GatewayEndpoint, InterfaceEndpoint, NetworkLoadBalancer, TransitGatewayAttachment
from emulator.model.topology import Topology

# FL-15, on Nitro
PATHS = {"InternetGateway": 8, "EgressOnlyInternetGateway": 8, "GatewayEndpoint": 7, "VpnGateway": 3}
_WHOLE = "AMAZON"  # AWS lists every block under this name as well; the service's own says more
ServiceBlocks = tuple[tuple[Block, str], ...]


def ip_ranges(path: str | Path) -> ServiceBlocks:
    """The blocks of AWS services, from a copy of the file that AWS publishes, ``ip-ranges.json``.

    Raises
    ------
    UsageError : no such file, or another one.
    """
    try:
        document = json.loads(Path(path).read_bytes())
        listed = [(one["ip_prefix"], one["service"]) for one in document["prefixes"]]
        listed += [(one["ipv6_prefix"], one["service"]) for one in document.get("ipv6_prefixes", ())]
        return tuple((ip_network(block), str(service)) for block, service in listed)
    except OSError as trouble:
        raise UsageError(f"{path}: {trouble.strerror}; name a copy of AWS's ip-ranges.json") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: this is not AWS's ip-ranges.json, which has prefixes, each with ip_prefix and service") from None


class Services:
    """Which AWS service has an address (``pkt-src-aws-service``): the name of the longest block that holds it.

    AWS's own prefix lists of the topology count, those that gateway endpoints lead to and ``com.amazonaws.REGION.SERVICE``.

    Parameters
    ----------
    blocks : more, as from `ip_ranges`
    """

    def __init__(self, topology: Topology, blocks: ServiceBlocks = ()) -> None:
        named = {topology.get(end.prefix_list, PrefixList).id: end.service for end in topology.all(GatewayEndpoint)}
        for entries in topology.all(PrefixList):
            if entries.name.startswith("com.amazonaws.") and entries.name.count(".") >= 3:
                named.setdefault(entries.id, entries.name.split(".", 3)[3])
        own = [(block, _shown(service)) for key, service in named.items() for block in topology.get(key, PrefixList).entries]
        self._blocks = sorted((*blocks, *own), key=lambda one: (-one[0].prefixlen, one[1] == _WHOLE))
        self.of = lru_cache(maxsize=65_536)(self._of)

    def _of(self, text: str) -> str | None:
        """The service that has an address; None if it is of none."""
        address = ip_address(text)
        return next((name for block, name in self._blocks if address in block), None)


def _shown(service: str) -> str:
    """``S3`` for ``s3``, as ip-ranges.json spells it."""
    return service.rsplit(".", 1)[-1].upper().replace("-", "_")


class Places:
    """What the columns say about each interface, AWS's own ones included."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self.about = cache(self._about)
        self.known: dict[str, tuple[str | None, str, str | None]] = {}
        for eni in topology.all(NetworkInterface):
            primary = next((str(ip) for ip in eni.private_ips if ip.version == 4), None)
            self.known[eni.id] = (primary, eni.subnet, topology.get(eni.instance, Instance).id)
        self._shown: dict[str, str] = {}
        for nat in topology.all(NatGateway):
            self.known[nat.id] = (str(nat.private_ip), nat.subnet, None)
            self._shown[nat.id] = nat.interface
        served: list[InterfaceEndpoint | NetworkLoadBalancer] = [*topology.all(InterfaceEndpoint), *topology.all(NetworkLoadBalancer)]
        for one in served:
            for node in one.nodes:
                self.known[node.interface] = (str(node.private_ip), node.subnet, None)
        free = FreeAddresses(topology.owners)
        for attachment in topology.all(TransitGatewayAttachment):
            given = dict(zip(attachment.subnets, attachment.private_ips, strict=False))
            for subnet, interface in zip(attachment.subnets, attachment.interfaces, strict=True):
                block = next((block for block in topology.get(subnet, Subnet).blocks if block.version == 4), None)
                own = given.get(subnet) or (free.take(block, interface) if block is not None else None)
                self.known[interface] = (None if own is None else str(own), subnet, None)

    def shown(self, interface: str) -> str:
        """The id that stands in ``interface-id``: a NAT gateway's interface has one of its own."""
        return self._shown.get(interface, interface)

    def primary(self, interface: str) -> str | None:
        """The primary private IPv4 address; None if it has none."""
        return self.known[interface][0]

    def _about(self, interface: str) -> dict[str, Any]:
        """The columns that say where an interface is."""
        _, key, instance = self.known[interface]
        subnet = self._topology.get(key, Subnet)
        return {"vpc-id": subnet.vpc, "subnet-id": subnet.id, "instance-id": instance, "az-id": subnet.availability_zone or None}

    def path(self, target: str) -> int:
        """``traffic-path`` of what goes to a target: the gateways have their numbers, everything else is in the VPC, 1 (FL-15)."""
        entity = self._topology.entities.get(target)
        if isinstance(entity, VpcPeeringConnection):
            return 5 if entity.inter_region else 4
        return PATHS.get(type(entity).__name__, 1)
