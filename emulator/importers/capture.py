"""A first topology from a capture: who is inside, in which subnets, and what to do next.

Inside are the private addresses (RFC 1918, RFC 6598, RFC 4193) of each family; where a family has none, the address
that takes part in most packets, and what shares its block.  Each becomes an instance of its own in the subnet of its
/24 (private IPv4), /28 (public IPv4) or /64, with an elastic IP from 198.18.0.0/15 (RFC 2544, unused on the internet),
in AWS's `default` group: members reach one another and everything outside, nobody outside opens anything to them.
An address that AWS reserves in its subnet (FB-14) gets another one, and a line under ``map`` that says so.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import numpy as np

from emulator.datapath.addressing import is_link_local, is_loopback, is_unicast
from emulator.model.entities import (
    Address,
    ExternalHost,
    Instance,
    InternetGateway,
    NetworkInterface,
    Route,
    RouteTable,
    Subnet,
    Vpc,
)
from emulator.model.groups import EVERYONE, Block
from emulator.model.topology import Topology
from emulator.wire.addresses import address
from emulator.wire.capture import Capture
from emulator.wire.headers import FIELDS, Field, Matrix, parse_many
from emulator.wire.status import PARSED

MAX_INSTANCES = 5_000
NAMED_OUTSIDE = 8
_PRIVATE = tuple(ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))
_ELASTIC = ip_network("198.18.0.0/15")


def topology_from_capture(path: str | Path) -> tuple[Topology, list[str]]:
    """A topology through which a capture can be replayed, and notes for the person, a line each.

    Raises
    ------
    CaptureError : the file is no capture.
    """
    packets, troubles = _addresses(path)
    notes = [*troubles]
    inside = _inside(packets)
    if len(inside) > MAX_INSTANCES:
        notes.append(f"{path}: {len(inside)} inside addresses; the {MAX_INSTANCES} with most packets become instances")
        inside = set(sorted(inside, key=lambda ip: (-packets[ip], ip.version, int(ip)))[:MAX_INSTANCES])
    outside = [ip for ip, _ in packets.most_common() if ip not in inside]
    blocks = sorted({_subnet(ip) for ip in inside}, key=_order)
    vpc_blocks = sorted({_vpc_block(block) for block in blocks}, key=_order) or [ip_network("10.0.0.0/16")]
    name = Path(path).name.split(".")[0] or "capture"
    routes = tuple(
        Route(everyone, "igw") for everyone in EVERYONE if everyone.version == 4 or any(block.version == 6 for block in vpc_blocks)
    )
    parts: list[Any] = [
        Vpc("captured", tuple(vpc_blocks)),
        InternetGateway("igw", "captured"),
        RouteTable("public", "captured", routes),
        *(Subnet(_name("subnet", block.network_address), "captured", (block,), "a", "public") for block in blocks),
    ]
    renamed = dict(_instances(parts, inside, blocks, set(packets)))
    hosts = [ExternalHost(_name("out", ip), (ip,)) for ip in outside[:NAMED_OUTSIDE]]
    notes.append(
        f"{path}: {len(inside)} instance{'s' * (len(inside) != 1)} in {len(blocks)} subnet{'s' * (len(blocks) != 1)}, "
        f"{len(outside)} address{'es' * (len(outside) != 1)} outside; all instances are in the default group"
    )
    return Topology.of(*parts, *hosts, name=name, map=tuple(renamed.items())), notes


def _addresses(path: str | Path) -> tuple[Counter[Address], list[str]]:
    """Packets by address, over all datagrams that can be read, and what was wrong with the file."""
    packets: Counter[Address] = Counter()
    with Capture(path) as capture:
        for chunk in capture.chunks():
            headers = np.zeros((len(chunk.records), FIELDS), dtype=np.int64)
            parse_many(chunk.buffer, chunk.records, headers, 0)
            packets.update(_ends(headers[headers[:, Field.STATUS] == PARSED]))
        return packets, list(capture.troubles)


def _ends(headers: Matrix) -> Counter[Address]:
    found: Counter[Address] = Counter()
    for hi in (Field.SOURCE_HI, Field.DESTINATION_HI):
        keys, counts = np.unique(headers[:, [Field.FAMILY, hi, hi + 1]], axis=0, return_counts=True)
        for (family, high, low), count in zip(keys.tolist(), counts.tolist(), strict=True):
            if is_unicast(family, high, low) and not is_loopback(family, high, low) and not is_link_local(family, high, low):
                found[address(family, high, low)] += count
    return found


def _inside(packets: Counter[Address]) -> set[Address]:
    chosen: set[Address] = set()
    for version in (4, 6):
        family = [ip for ip in packets if ip.version == version]
        private = {ip for ip in family if any(ip in block for block in _PRIVATE if block.version == version)}
        if family and not private:
            busiest = max(family, key=lambda ip: (packets[ip], -int(ip)))
            block = _vpc_block(_subnet(busiest))
            private = {ip for ip in family if ip in block}
        chosen |= private
    return chosen


def _subnet(ip: Address) -> Block:
    """The subnet that an inside address gets: /24 if private, /28 if public, /64 for IPv6."""
    if ip.version == 6:
        return ip_network(f"{ip}/64", strict=False)
    private = any(ip in block for block in _PRIVATE if block.version == 4)
    return ip_network(f"{ip}/{24 if private else 28}", strict=False)


def _vpc_block(subnet: Block) -> Block:
    """The VPC's block around a subnet: /16 if private, the subnet itself if public, /56 for IPv6."""
    if subnet.version == 6:
        return subnet.supernet(new_prefix=56)
    return subnet.supernet(new_prefix=16) if subnet.prefixlen == 24 else subnet


def _order(block: IPv4Network | IPv6Network) -> tuple[int, int]:
    return block.version, int(block.network_address)


def _name(prefix: str, ip: IPv4Address | IPv6Address) -> str:
    """``host-10-0-0-5``: the address with dashes, so that it needs no quotes anywhere."""
    return f"{prefix}-{str(ip).replace('.', '-').replace(':', '-').strip('-')}"


def _is_reserved(ip: Address, block: Block) -> bool:
    """Whether AWS keeps an address of a subnet for itself: the first four and the last (FB-14)."""
    offset = int(ip) - int(block.network_address)
    return offset < 4 or offset == block.num_addresses - 1


def _instances(parts: list[Any], inside: set[Address], blocks: Iterable[Block], taken: set[Address]) -> Iterator[tuple[Address, str]]:
    """Add an instance with one interface for each inside address; gives (address, name) of those that had to move."""
    elastic = (ip for ip in _ELASTIC.hosts() if ip not in taken)
    free = {
        block: (ip for ip in map(ip_address, range(int(block.network_address) + 4, int(block.broadcast_address))) if ip not in taken)
        for block in blocks
    }
    for ip in sorted(inside, key=lambda ip: (ip.version, int(ip))):
        block, name, own = _subnet(ip), _name("host", ip), ip
        if _is_reserved(ip, block):
            own = next(free[block]) if ip.version == 4 else type(ip)(int(block.network_address) + 0x1000 + int(ip) % 4)
            yield ip, name
        public = ((own, next(elastic)),) if own.version == 4 else ()
        parts.append(Instance(name, "captured"))
        parts.append(NetworkInterface("eth0", name, _name("subnet", block.network_address), (own,), public))
