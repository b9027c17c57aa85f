"""Questions that need more than one run: everything that stands in a packet's way, and many probes in one process."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from types import MappingProxyType
from typing import Any

from emulator.errors import EmulatorError, UsageError
from emulator.model.entities import (
    EgressOnlyInternetGateway,
    InternetGateway,
    NetworkInterface,
    Route,
    RouteTable,
    Subnet,
    VpcPeeringConnection,
)
from emulator.model.groups import OPEN_ACL, Direction, NetworkAcl, Rule, SecurityGroup, identify
from emulator.model.services import ALL, ANY_PORTS, ICMP, ICMPV6, Service, parse_protocol, parse_service
from emulator.model.topology import Topology
from emulator.network import Network
from emulator.observe.explain import Explanation
from emulator.observe.trace import Trace
from emulator.observe.words import Why
from emulator.policy.reasons import Stage

MOST_BLOCKERS = 16
MOST_LINE = 100_000
_EVERYONE = ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")  # halves, so that what passes is tracked (CT-14)
_PUBLIC = "198.19.255.254"  # for a what-if (RFC 2544)
_GROUPS = {Stage.GROUP_EGRESS: Direction.EGRESS, Stage.GROUP_INGRESS: Direction.INGRESS}
_ACLS = {Stage.ACL_EGRESS: Direction.EGRESS, Stage.ACL_INGRESS: Direction.INGRESS}


def blockers(network: Network, source: str, destination: str, service: str | Service, *, source_port: int | None = None) -> list[Why]:
    """Everything that stands in the way, first to last: each found by taking the one before out of the way and asking again.

    The search ends where nobody can say how the packet would have gone on, such as at a missing route with no gateway.
    """
    found: list[Why] = []
    trial = network
    while len(found) < MOST_BLOCKERS:
        told = trial.explain(source, destination, service, source_port=source_port)
        if told.why is None or any((why.code, why.stage, why.at_id) == (told.why.code, told.why.stage, told.why.at_id) for why in found):
            break
        found.append(told.why)
        without = _without(trial.topology, told)
        if without is None:
            break
        trial = Network(without, compiled=False)
    return found


def _without(topology: Topology, told: Explanation) -> Topology | None:
    """The topology in which what blocked does not block, or None if that says nothing."""
    trace = told.forward if not told.forward.accepted else told.back
    if trace is None or not trace.steps:
        return None
    stage, at = trace.steps[-1].stage, trace.at
    entity = topology.entities.get(at)
    if stage in _GROUPS and isinstance(entity, NetworkInterface):
        return _opened(topology, entity, _GROUPS[stage])
    if stage in _ACLS and isinstance(entity, Subnet):
        return _past_acl(topology, entity, _ACLS[stage])
    if stage == Stage.SOURCE_CHECK and isinstance(entity, NetworkInterface):
        return _with(topology, replace(entity, source_dest_check=False))
    if stage == Stage.ROUTE and isinstance(entity, Subnet) and trace.reason in ("NO_ROUTE_TO_DESTINATION", "BAD_STATE_ROUTE"):
        return _routed(topology, entity, trace)
    if trace.reason == "EMU_PORT_25_BLOCKED":
        return Topology(topology.name, topology.entities, topology.links, policy=replace(topology.policy, block_port_25=False))
    if trace.reason == "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS":
        private = trace.sent.five_tuple.source
        for key in topology.owners.get(private, []):
            eni = topology.entities[key]
            if isinstance(eni, NetworkInterface):
                return _with(topology, replace(eni, public_ips=(*eni.public_ips, (private, ip_address(_PUBLIC)))))
    return None


def _with(topology: Topology, *entities: Any) -> Topology:
    """The topology with entities exchanged or added, unchecked: it is a what-if of a moment."""
    changed = {**topology.entities, **{entity.id: entity for entity in entities}}
    return Topology(topology.name, MappingProxyType(changed), topology.links, policy=topology.policy)


def _opened(topology: Topology, eni: NetworkInterface, direction: Direction) -> Topology:
    rules = tuple(Rule(ALL, ANY_PORTS, ip_network(text)) for text in _EVERYONE)
    key = f"sg-what-if-{direction.name.lower()}-{eni.id}"
    named = identify(rules, key, direction)
    ingress, egress = (named, ()) if direction == Direction.INGRESS else ((), named)
    group = SecurityGroup("what if", topology.get(eni.subnet, Subnet).vpc, ingress, egress, id=key)
    return _with(topology, group, replace(eni, security_groups=(*eni.security_groups, key)))


def _past_acl(topology: Topology, subnet: Subnet, direction: Direction) -> Topology:
    default = next(acl for acl in topology.all(NetworkAcl) if acl.vpc == subnet.vpc and acl.name == "default")
    acl = topology.get(subnet.network_acl, NetworkAcl) if subnet.network_acl else default
    ingress, egress = (OPEN_ACL, acl.egress) if direction == Direction.INGRESS else (acl.ingress, OPEN_ACL)
    key = f"acl-what-if-{subnet.id}" if not acl.id.startswith("acl-what-if") else acl.id
    made = replace(acl, name="what if", id=key, ingress=ingress, egress=egress)
    return _with(topology, made, replace(subnet, network_acl=key))


def _routed(topology: Topology, subnet: Subnet, trace: Trace) -> Topology | None:
    """The topology with a route to the destination: over a peering that joins its VPC, or to the VPC's internet gateway."""
    there = trace.sent.five_tuple.destination
    owners = [topology.entities[key] for key in topology.owners.get(there, [])]
    far = {topology.get(eni.subnet, Subnet).vpc for eni in owners if isinstance(eni, NetworkInterface) and there in eni.private_ips}
    if subnet.vpc in far:
        return None
    pairs = [{subnet.vpc, vpc} for vpc in far]
    joined = [one.id for one in topology.all(VpcPeeringConnection) if one.is_active and {one.requester, one.accepter} in pairs]
    gateways: list[InternetGateway | EgressOnlyInternetGateway] = list(topology.all(InternetGateway))
    if there.version == 6:
        gateways += topology.all(EgressOnlyInternetGateway)
    ways = joined if far else [gateway.id for gateway in gateways if gateway.vpc == subnet.vpc]
    tables = [table for table in topology.all(RouteTable) if table.id == subnet.route_table or (not subnet.route_table and table.main)]
    table = next((table for table in tables if table.vpc == subnet.vpc), None)
    if not ways or table is None:
        return None
    block = ip_network(there)
    routes = tuple(route for route in table.routes if route.destination != block)
    return _with(topology, replace(table, routes=(*routes, Route(block, ways[0]))))


def probes(network: Network, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The answers to probes, a line of JSON each; a probe that cannot be asked gets ``error`` and stops nothing.

    A probe has ``source`` and ``destination`` (addresses, names or ids), ``protocol``, ``port`` or ``icmp_type`` and
    ``icmp_code``, ``source_port`` and ``id``; or ``service`` in the words of the command line.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        answer: dict[str, Any] = {"id": number}
        try:
            probe = _parsed(line, number)
            answer = {"id": probe.get("id", number)}
            told = network.explain(
                str(probe["source"]), str(probe["destination"]), _service(probe), source_port=_number(probe, "source_port")
            )
            yield answer | told.to_json()
        except EmulatorError as trouble:
            yield answer | {"error": str(trouble).splitlines()[0]}


def _parsed(line: str, number: int) -> dict[str, Any]:
    if len(line) > MOST_LINE:
        raise UsageError(f"line {number}: longer than a probe is; write one JSON object a line")
    try:
        probe = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError(f"line {number}: not JSON; write one object a line") from None
    if not isinstance(probe, dict):
        raise UsageError(f"line {number}: not an object; write source, destination, protocol and port")
    for key in ("source", "destination"):
        if not isinstance(probe.get(key), str) or not probe[key]:
            raise UsageError(f"line {number}: {key} is missing; name an address, a name or an id")
    return probe


def _number(probe: dict[str, Any], key: str, largest: int = 65535) -> int | None:
    value = probe.get(key)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 7:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= largest:
        raise UsageError(f"{key} should be a number up to {largest}")
    return value


def _service(probe: dict[str, Any]) -> Service:
    """The service of a probe."""
    try:
        if "service" in probe:
            return parse_service(str(probe["service"]))
        protocol = parse_protocol(str(probe.get("protocol", "")))
    except ValueError as trouble:
        raise UsageError(str(trouble)) from None
    if protocol in (ICMP, ICMPV6):
        kind, code = _number(probe, "icmp_type", 255), _number(probe, "icmp_code", 255)
        return Service(protocol, ANY_PORTS if kind is None else (kind, ALL if code is None else code))
    port = _number(probe, "port")
    return Service(protocol, ANY_PORTS if port is None else (port, port))
