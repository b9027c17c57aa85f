"""Flow logs: what VPC Flow Logs would have written about a run (FL-1 to FL-25).

A row is one five-tuple at one interface in one direction with one action in one window (FL-4).  REJECT is what a group
or an ACL refused, or blocked public access; what is lost later counts as ACCEPT (FL-5 to FL-8).  The interface's own
side shows its primary private address, the ``pkt-`` fields the packet's real ones (FL-10).  What the fabric answers
itself is not logged (FL-11).  Windows begin at whole multiples of the interval; AWS does not say where.

Fields of services that are not emulated are ``-``.  Two columns are our own: ``emu-rule``, the id of the rule or entry
that decided first, and ``emu-reason``, the code of what was rejected.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from emulator.datapath.state import Count, Sighting, State
from emulator.errors import UsageError
from emulator.model.entities import Instance, NatGateway, NetworkInterface, Subnet, VpcPeeringConnection
from emulator.model.joined import InterfaceEndpoint, NetworkLoadBalancer, TransitGatewayAttachment
from emulator.model.topology import Topology
from emulator.policy.compile import Ids
from emulator.policy.reasons import Reason, Verdict
from emulator.policy.tables import EGRESS
from emulator.wire.addresses import address
from emulator.wire.headers import ACK, FIN, RST, SYN, TCP, UDP

SECOND = 1_000_000_000
DEFAULT_FORMAT = [
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport"),
    *("protocol", "packets", "bytes", "start", "end", "action", "log-status"),
]
_BY_VERSION = {
    2: DEFAULT_FORMAT,
    3: ["vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr"],
    4: ["region", "az-id", "sublocation-type", "sublocation-id"],
    5: ["pkt-src-aws-service", "pkt-dst-aws-service", "flow-direction", "traffic-path"],
    7: [
        "ecs-cluster-arn",
        "ecs-cluster-name",
        "ecs-container-instance-arn",
        "ecs-container-instance-id",
        "ecs-container-id",
        "ecs-second-container-id",
        "ecs-service-name",
        "ecs-task-definition-arn",
        "ecs-task-arn",
        "ecs-task-id",
    ],
    8: ["reject-reason"],
    9: ["resource-id"],
    10: ["encryption-status"],
}
OWN_FIELDS = ("emu-rule", "emu-reason")
VERSION = {field: version for version, fields in _BY_VERSION.items() for field in fields}
TRAFFIC_TYPES = ("ALL", "ACCEPT", "REJECT")
INTERVALS_S = (60, 600)
_PATHS = {"InternetGateway": 8, "EgressOnlyInternetGateway": 8, "GatewayEndpoint": 7, "VpnGateway": 3}  # FL-15, on Nitro
_KEY = (
    Sighting.PLACE,
    Sighting.DIRECTION,
    Sighting.ACTION,
    Sighting.FAMILY,
    Sighting.PROTOCOL,
    Sighting.SOURCE_HI,
    Sighting.SOURCE_LO,
    Sighting.DESTINATION_HI,
    Sighting.DESTINATION_LO,
    Sighting.SOURCE_PORT,
    Sighting.DESTINATION_PORT,
)


def parse_format(text: str) -> tuple[str, ...]:
    """The fields of a custom format, ``${srcaddr} ${dstaddr}``; names without the signs are taken as well (FL-2).

    Raises
    ------
    UsageError : an unknown field, or none.
    """
    fields = tuple(word.removeprefix("${").removesuffix("}") for word in text.split())
    for field in fields:
        if field not in VERSION and field not in OWN_FIELDS:
            raise UsageError(f'flow log field "{field}" is not known; known are {", ".join((*VERSION, *OWN_FIELDS))}')
    if not fields:
        raise UsageError("a flow log needs a field; write ${srcaddr} ${dstaddr} ${action}, or leave the format out")
    return fields


@dataclass(frozen=True)
class FlowLog:
    """How a flow log is made.

    Parameters
    ----------
    fields : in the order of the columns
    interval_s : longest window, 60 or 600 seconds (FL-9)
    traffic_type : ALL, ACCEPT or REJECT (FL-13)
    account_id, region : what stands in those columns
    interfaces : ids of the interfaces that are logged; None is all of them
    """

    fields: tuple[str, ...] = tuple(DEFAULT_FORMAT)
    interval_s: int = 600
    traffic_type: str = "ALL"
    account_id: str = "123456789012"
    region: str = "eu-central-1"
    interfaces: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.interval_s not in INTERVALS_S or self.traffic_type not in TRAFFIC_TYPES:
            raise UsageError("a flow log has windows of 60 or 600 seconds, and traffic ALL, ACCEPT or REJECT")

    @property
    def version(self) -> int:
        """The highest version among the fields (FL-2)."""
        return max((VERSION[field] for field in self.fields if field in VERSION), default=2)

    def rows(self, topology: Topology, ids: Ids, state: State) -> Iterator[dict[str, Any]]:
        """The rows in the order of their windows, interfaces and first packets; values are ints, strings, or None for ``-``.

        An interface that saw nothing in a window has one row with NODATA (FL-12).

        Raises
        ------
        UsageError : the run kept no flow logs.
        """
        if not len(state.sightings):
            raise UsageError("this run kept no flow logs; run it with flow_logs=True")
        seen = state.sightings[: int(state.counts[Count.SIGHTINGS, 0])]
        places = _Places(topology)
        logged = {ids.of(key) for key in places.known if self.interfaces is None or key in self.interfaces}
        if not len(seen):
            return
        windows = seen[:, Sighting.TIME_NS] // (self.interval_s * SECOND)
        for window in range(int(windows.min()), int(windows.max()) + 1):
            inside = seen[windows == window]
            quiet = logged - {int(place) for place in np.unique(inside[:, Sighting.PLACE])}
            found = [row for row in _flows(inside) if row[0, Sighting.PLACE] in logged]
            yield from (row for flow in found if (row := self._row(places, ids, flow)) is not None)
            for place in sorted(quiet):
                yield self._empty(places, ids.name(place), window * self.interval_s)

    def _empty(self, places: "_Places", interface: str, start_s: int) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys((*VERSION, *OWN_FIELDS))
        row |= {"version": self.version, "account-id": self.account_id, "interface-id": places.shown(interface), "log-status": "NODATA"}
        return row | {"start": start_s, "end": start_s + self.interval_s}

    def _row(self, places: "_Places", ids: Ids, flow: Any) -> dict[str, Any] | None:
        first = flow[0]
        action = "ACCEPT" if first[Sighting.ACTION] == Verdict.ACCEPT else "REJECT"
        if self.traffic_type not in ("ALL", action):
            return None
        interface, family, protocol = ids.name(int(first[Sighting.PLACE])), int(first[Sighting.FAMILY]), int(first[Sighting.PROTOCOL])
        source = str(address(family, int(first[Sighting.SOURCE_HI]), int(first[Sighting.SOURCE_LO])))
        destination = str(address(family, int(first[Sighting.DESTINATION_HI]), int(first[Sighting.DESTINATION_LO])))
        egress = first[Sighting.DIRECTION] == EGRESS
        own = places.primary(interface) if family == 4 else None
        ports = protocol in (TCP, UDP)
        reason = Reason(int(first[Sighting.REASON]))
        blocked = reason == Reason.VPC_BLOCK_PUBLIC_ACCESS_ENABLED
        return places.about(interface) | {
            "version": self.version,
            "account-id": self.account_id,
            "interface-id": places.shown(interface),
            "srcaddr": own or source if egress else source,
            "dstaddr": destination if egress else own or destination,
            "srcport": int(first[Sighting.SOURCE_PORT]) if ports else 0,
            "dstport": int(first[Sighting.DESTINATION_PORT]) if ports else 0,
            "protocol": protocol,
            "packets": len(flow),
            "bytes": 0 if blocked else int(flow[:, Sighting.LENGTH].sum()),
            "start": int(flow[:, Sighting.TIME_NS].min()) // SECOND,
            "end": int(flow[:, Sighting.TIME_NS].max()) // SECOND,
            "action": action,
            "log-status": "OK",
            "tcp-flags": tcp_flags(flow[:, Sighting.FLAGS].tolist()) if protocol == TCP else 0,
            "type": f"IPv{family}",
            "pkt-srcaddr": source,
            "pkt-dstaddr": destination,
            "region": self.region,
            "flow-direction": "egress" if egress else "ingress",
            "traffic-path": places.path(ids.name(int(first[Sighting.TARGET]))) if egress else None,
            "reject-reason": "BPA" if blocked else None,
            "emu-rule": ids.name(int(first[Sighting.RULE])) or None,
            "emu-reason": reason.name if action == "REJECT" else None,
        }


def tcp_flags(flags: Iterable[int]) -> int:
    """The ``tcp-flags`` of a window: FIN 1, SYN 2, RST 4, SYN-ACK 18, or-ed; ACK and PSH alone count nothing (FL-14).

    Examples
    --------
    >>> tcp_flags([SYN, ACK, ACK | 8, FIN | ACK]), tcp_flags([SYN | ACK, ACK, FIN | ACK]), tcp_flags([ACK])
    (3, 19, 0)
    """
    shown = 0
    for each in flags:
        shown |= each & (FIN | SYN | RST)
        if each & SYN and each & ACK:
            shown |= SYN | ACK
    return shown


def _flows(seen: Any) -> list[Any]:
    """The sightings of one window, flow by flow: by interface, then by the first packet."""
    if not len(seen):
        return []
    keys = seen[:, list(_KEY)]
    _, inverse = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(inverse.reshape(-1), kind="stable")
    cuts = np.flatnonzero(np.diff(inverse.reshape(-1)[order])) + 1
    flows = [seen[part] for part in np.split(order, cuts)]
    return sorted(flows, key=lambda flow: (int(flow[0, Sighting.PLACE]), int(flow[0, Sighting.TIME_NS]), int(flow[0, Sighting.PACKET])))


class _Places:
    """What the columns say about each interface, AWS's own ones included."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
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
        for attachment in topology.all(TransitGatewayAttachment):
            for subnet, interface in zip(attachment.subnets, attachment.interfaces, strict=True):
                self.known[interface] = (None, subnet, None)

    def shown(self, interface: str) -> str:
        """The id that stands in ``interface-id``: a NAT gateway's interface has one of its own."""
        return self._shown.get(interface, interface)

    def primary(self, interface: str) -> str | None:
        """The primary private IPv4 address; None if it has none."""
        return self.known[interface][0]

    def about(self, interface: str) -> dict[str, Any]:
        """The columns that say where an interface is."""
        _, key, instance = self.known[interface]
        subnet = self._topology.get(key, Subnet)
        row: dict[str, Any] = dict.fromkeys((*VERSION, *OWN_FIELDS))
        return row | {"vpc-id": subnet.vpc, "subnet-id": subnet.id, "instance-id": instance, "az-id": subnet.availability_zone or None}

    def path(self, target: str) -> int:
        """``traffic-path`` of what goes to a target: the gateways have their numbers, everything else is in the VPC, 1 (FL-15)."""
        entity = self._topology.entities.get(target)
        if isinstance(entity, VpcPeeringConnection):
            return 5 if entity.inter_region else 4
        return _PATHS.get(type(entity).__name__, 1)
