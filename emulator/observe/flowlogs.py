"""Flow logs: what VPC Flow Logs would have written about a run (FL-1 to FL-25).

A row is one five-tuple at one interface in one direction with one action in one window (FL-4).  REJECT is what a group
or an ACL refused, or blocked public access; what is lost later counts as ACCEPT (FL-5 to FL-8).  The interface's own
side shows its primary private address, the ``pkt-`` fields the packet's real ones (FL-10).  What the fabric answers
itself is not logged (FL-11).  Windows count from when the log was made; AWS does not say where, so they begin at whole
multiples of the interval where nobody says.

Fields of services that are not emulated are ``-``.  Two columns are our own: ``emu-rule``, the id of the rule or entry
that decided first, and ``emu-reason``, the code of what was rejected.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np

from emulator.clock import NS_PER_SECOND
from emulator.datapath.sightings import SHOWN, Sighting, merged
from emulator.datapath.state import Count, State
from emulator.errors import UsageError
from emulator.model.topology import Topology
from emulator.observe.flowlogplaces import Places, ServiceBlocks, Services
from emulator.policy.compile import Ids
from emulator.policy.reasons import Reason, Verdict
from emulator.policy.tables import EGRESS
from emulator.wire.addresses import address
from emulator.wire.headers import ACK, FIN, RST, SYN, TCP, UDP, Matrix

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
    start_s, end_s : seconds since 1970 at which the log was made and deleted: windows count from the first, nothing from the
        second on is in it, and the last window ends there; None is with the first and the last packet
    most_rows : of an interface in a window; what is beyond is lost, and a row says SKIPDATA (FL-12).  AWS tells no figure
    services : blocks of AWS services, as from `flowlogplaces.ip_ranges`; those of the topology's prefix lists count as well
    """

    fields: tuple[str, ...] = tuple(DEFAULT_FORMAT)
    interval_s: int = 600
    traffic_type: str = "ALL"
    account_id: str = "123456789012"
    region: str = "eu-central-1"
    interfaces: tuple[str, ...] | None = None
    start_s: int | None = None
    end_s: int | None = None
    most_rows: int | None = None
    services: ServiceBlocks = ()

    def __post_init__(self) -> None:
        if self.interval_s not in INTERVALS_S or self.traffic_type not in TRAFFIC_TYPES:
            raise UsageError("a flow log has windows of 60 or 600 seconds, and traffic ALL, ACCEPT or REJECT")

    @cached_property
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
        places, services = Places(topology), Services(topology, self.services)
        logged = {ids.of(key) for key in places.known if self.interfaces is None or key in self.interfaces}
        for start_s, end_s, inside in self._windows(seen):
            quiet = logged - {int(place) for place in np.unique(inside[:, Sighting.PLACE])}
            written: Counter[int] = Counter()
            for flow in _flows(inside):
                place = flow[Sighting.PLACE]
                if place not in logged or self.traffic_type not in ("ALL", _action(flow)):
                    continue
                written[place] += 1
                if self.most_rows is None or written[place] <= self.most_rows:
                    yield self._row(places, services, ids, flow)
                elif written[place] == self.most_rows + 1:
                    yield self._empty(places, ids.name(place), start_s, end_s, "SKIPDATA")
            for place in sorted(quiet):
                yield self._empty(places, ids.name(place), start_s, end_s, "NODATA")

    def _windows(self, seen: Any) -> Iterator[tuple[int, int, Any]]:
        """Start and end in seconds of each window, and what was seen in it."""
        times_s = seen[:, Sighting.TIME_NS] // NS_PER_SECOND
        start_s = self.start_s if self.start_s is not None else int(times_s.min(initial=2**62)) // self.interval_s * self.interval_s
        end_s = self.end_s if self.end_s is not None else int(times_s.max(initial=-1)) + 1
        for at_s in range(start_s, end_s, self.interval_s):
            until_s = at_s + self.interval_s if self.end_s is None else min(at_s + self.interval_s, end_s)
            first, end = np.searchsorted(times_s, (at_s, until_s))
            yield at_s, until_s, seen[first:end]

    def _empty(self, places: Places, interface: str, start_s: int, end_s: int, status: str) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys((*VERSION, *OWN_FIELDS))
        row |= {"version": self.version, "account-id": self.account_id, "interface-id": places.shown(interface), "log-status": status}
        return row | {"start": start_s, "end": end_s}

    def _row(self, places: Places, services: Services, ids: Ids, flow: list[int]) -> dict[str, Any]:
        action = _action(flow)
        interface, family, protocol = ids.name(flow[Sighting.PLACE]), flow[Sighting.FAMILY], flow[Sighting.PROTOCOL]
        source = _text(family, flow[Sighting.SOURCE_HI], flow[Sighting.SOURCE_LO])
        destination = _text(family, flow[Sighting.DESTINATION_HI], flow[Sighting.DESTINATION_LO])
        egress = flow[Sighting.DIRECTION] == EGRESS
        own = places.primary(interface) if family == 4 else None
        ports = protocol in (TCP, UDP)
        reason = Reason(flow[Sighting.REASON])
        blocked = reason == Reason.VPC_BLOCK_PUBLIC_ACCESS_ENABLED
        return (
            dict.fromkeys((*VERSION, *OWN_FIELDS))
            | places.about(interface)
            | {
                "version": self.version,
                "account-id": self.account_id,
                "interface-id": places.shown(interface),
                "srcaddr": own or source if egress else source,
                "dstaddr": destination if egress else own or destination,
                "srcport": flow[Sighting.SOURCE_PORT] if ports else 0,
                "dstport": flow[Sighting.DESTINATION_PORT] if ports else 0,
                "protocol": protocol,
                "packets": flow[Sighting.PACKETS],
                "bytes": 0 if blocked else flow[Sighting.LENGTH],
                "start": flow[Sighting.TIME_NS] // NS_PER_SECOND,
                "end": flow[Sighting.LAST_NS] // NS_PER_SECOND,
                "action": action,
                "log-status": "OK",
                "tcp-flags": _flags_of(flow[Sighting.FLAGS]) if protocol == TCP else 0,
                "type": f"IPv{family}",
                "pkt-srcaddr": source,
                "pkt-dstaddr": destination,
                "region": self.region,
                "pkt-src-aws-service": services.of(source),
                "pkt-dst-aws-service": services.of(destination),
                "flow-direction": "egress" if egress else "ingress",
                "traffic-path": places.path(ids.name(flow[Sighting.TARGET])) if egress else None,
                "reject-reason": "BPA" if blocked else None,
                "emu-rule": ids.name(flow[Sighting.RULE]) or None,
                "emu-reason": reason.name if action == "REJECT" else None,
            }
        )


def tcp_flags(flags: Iterable[int]) -> int | None:
    """The ``tcp-flags`` of a window: FIN 1, SYN 2, RST 4, SYN-ACK 18, or-ed; ACK and PSH alone count nothing (FL-14).

    None, shown as ``-``, where a segment has a combination that cannot be; AWS does not say which, here SYN with FIN or RST.

    Examples
    --------
    >>> tcp_flags([SYN, ACK, ACK | 8, FIN | ACK]), tcp_flags([SYN | ACK, ACK, FIN | ACK]), tcp_flags([ACK])
    (3, 19, 0)
    """
    shown = 0
    for each in flags:
        if each & SYN and each & (FIN | RST):
            return None
        shown |= each & (FIN | SYN | RST)
        if each & SYN and each & ACK:
            shown |= SYN | ACK
    return shown


@cache
def _flags_of(seen: int) -> int | None:
    """The ``tcp-flags`` of a set of flags (see `Sighting`)."""
    return tcp_flags(flags for flags in range(SHOWN + 1) if seen >> flags & 1)


@lru_cache(maxsize=65_536)
def _text(family: int, hi: int, lo: int) -> str:
    return str(address(family, hi, lo))


def _action(flow: list[int]) -> str:
    return "ACCEPT" if flow[Sighting.ACTION] == Verdict.ACCEPT else "REJECT"


def _flows(seen: Matrix) -> list[list[int]]:
    """A row a flow of what one window saw: by interface, then by the first packet."""
    flows = merged(seen)
    order = np.lexsort((flows[:, Sighting.PACKET], flows[:, Sighting.TIME_NS], flows[:, Sighting.PLACE]))
    rows: list[list[int]] = flows[order].tolist()
    return rows
