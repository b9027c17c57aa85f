"""Atoms: the classes of services that no rule of a topology tells apart, each with one that stands for all.

Ports fall into the stretches between the bounds of all rules; ICMP into the types and codes that some rule names, and
the rest by what tracking makes of it; other protocols into those that are named, and the rest.  What gateways treat in
a way of their own (mail, the ports of endpoints and balancers) is an atom of its own.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from emulator.datapath.addressing import is_neighbour_discovery
from emulator.model.groups import NetworkAcl, SecurityGroup
from emulator.model.joined import InterfaceEndpoint, NetworkLoadBalancer
from emulator.model.services import ALL, ICMP, ICMPV6, TCP, UDP, Service, protocol_name
from emulator.model.topology import Topology
from emulator.policy.keys import query_role
from emulator.wire.headers import is_icmp_error

LAST_PORT = 65535
MAIL = 25
EPHEMERAL = 49152
UNNAMED = (253, 254, 143, 144)  # for experiments (RFC 3692), then unassigned ones: stand for every protocol that no rule names
_NOT_PAYLOAD = (0, 43, 44, 50, 51, 58, 60)  # headers that IPv6 puts before the payload, and ICMPv6 itself


class Atom(NamedTuple):
    """A class of services.

    Parameters
    ----------
    protocol : number; ALL for the protocols that no rule names.
    members : first and last port of the stretch, or (type, code) pairs; code ALL is every code that no rule names.
    service : the one that stands for all.
    """

    protocol: int
    members: tuple[tuple[int, int], ...]
    service: Service


def atoms(topology: Topology, family: int) -> tuple[Atom, ...]:
    """The atoms of a topology for one family of addresses, in the order in which services are written."""
    services = list(_services(topology))
    done: list[Atom] = []
    for protocol in (TCP, UDP):
        done += _ports(protocol, [service.ports for service in services if service.protocol == protocol and service.ports[0] != ALL])
    done += _icmp(
        ICMP if family == 4 else ICMPV6, [service.ports for service in services if service.protocol == (ICMP if family == 4 else ICMPV6)]
    )
    named = {service.protocol for service in services} - {ALL, TCP, UDP, ICMP, ICMPV6}
    if family == 6:
        named -= set(_NOT_PAYLOAD)
    done += [Atom(protocol, ((ALL, ALL),), Service(protocol)) for protocol in sorted(named)]
    rest = next(protocol for protocol in UNNAMED if protocol not in named)
    return (*done, Atom(ALL, ((ALL, ALL),), Service(rest)))


def _services(topology: Topology) -> Iterator[Service]:
    yield Service(TCP, (MAIL, MAIL))
    for entity in topology.entities.values():
        if isinstance(entity, SecurityGroup):
            yield from (rule.canonical().service for rule in (*entity.ingress, *(entity.egress or ())))
        elif isinstance(entity, NetworkAcl):
            yield from (Service(entry.protocol, entry.ports) for entry in (*entity.ingress, *entity.egress))
        elif isinstance(entity, InterfaceEndpoint):
            yield from (Service(TCP, (port, port)) for port in entity.ports)
        elif isinstance(entity, NetworkLoadBalancer):
            yield from (Service(listener.protocol, (listener.port, listener.port)) for listener in entity.listeners)
        yield from getattr(entity, "listen", None) or ()


def _ports(protocol: int, ranges: Iterable[tuple[int, int]]) -> Iterator[Atom]:
    starts = sorted({0, *(first for first, _ in ranges), *(last + 1 for _, last in ranges if last < LAST_PORT)})
    for first, after in zip(starts, [*starts[1:], LAST_PORT + 1], strict=True):
        # Not 0, which means none, and not the probes' own source port, which would make a question its mirror image's answer.
        stands = next((port for port in (first, after - 1, first + 1) if first <= port < after and port not in (0, EPHEMERAL)), first)
        yield Atom(protocol, ((first, after - 1),), Service(protocol, (stands, stands)))


def _icmp(protocol: int, named: list[tuple[int, int]]) -> Iterator[Atom]:
    codes: dict[int, set[int]] = {}
    for kind, code in named:
        if kind != ALL:
            codes.setdefault(kind, set()).update({code} - {ALL})
    rest: dict[tuple[int, bool, bool], list[int]] = {}
    for kind in range(256):
        if kind in codes:
            yield from (Atom(protocol, ((kind, code),), Service(protocol, (kind, code))) for code in sorted(codes[kind]))
            other = next((code for code in range(256) if code not in codes[kind]), None)
            if other is not None:
                yield Atom(protocol, ((kind, ALL),), Service(protocol, (kind, other)))
        else:
            role = query_role(protocol, kind), bool(is_icmp_error(protocol, kind)), bool(is_neighbour_discovery(protocol, kind))
            rest.setdefault(role, []).append(kind)
    for kinds in rest.values():
        yield Atom(protocol, tuple((kind, ALL) for kind in kinds), Service(protocol, (kinds[0], 0)))


@lru_cache(maxsize=8)
def _counts(of: tuple[Atom, ...]) -> Counter[int]:
    """How many atoms each protocol has."""
    return Counter(atom.protocol for atom in of)


def names(found: list[Atom], of: tuple[Atom, ...]) -> list[str]:
    """Services in words for a set of atoms: stretches that touch are one, a whole protocol is its name.

    Examples
    --------
    >>> some = tuple(_ports(TCP, [(22, 22), (80, 443)]))
    >>> names([some[1], some[3]], some)
    ['tcp/22', 'tcp/80-443']
    >>> names(list(some), some)
    ['tcp']
    """
    every = _counts(of)
    if len(found) == len(of) and len(every) > 1:
        return ["all traffic"]
    done: list[str] = []
    by_protocol: dict[int, list[Atom]] = {}
    for atom in found:
        by_protocol.setdefault(atom.protocol, []).append(atom)
    for protocol, mine in by_protocol.items():
        whole = len(mine) == every[protocol]
        if protocol == ALL:
            done.append("every other protocol")
        elif whole:
            done.append(protocol_name(protocol))
        elif protocol in (TCP, UDP):
            done += [str(Service(protocol, stretch)) for stretch in _joined([atom.members[0] for atom in mine])]
        else:
            done += _types(protocol, mine, of)
    return done


def _joined(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    done: list[tuple[int, int]] = []
    for first, last in sorted(stretches):
        if done and done[-1][1] + 1 == first:
            done[-1] = done[-1][0], last
        else:
            done.append((first, last))
    return done


def _types(protocol: int, mine: list[Atom], of: tuple[Atom, ...]) -> Iterator[str]:
    """Types and codes; a type of which every code is there is written alone, one with named codes missing says so."""
    there: dict[int, set[int]] = {}
    every: dict[int, set[int]] = {}
    for table, listed in ((there, mine), (every, [atom for atom in of if atom.protocol == protocol])):
        for atom in listed:
            for kind, code in atom.members:
                table.setdefault(kind, set()).add(code)
    for kind, codes in there.items():
        if codes == every[kind]:
            yield f"{protocol_name(protocol)}/{kind}"
            continue
        yield from (f"{protocol_name(protocol)}/{kind}/{code}" for code in sorted(codes - {ALL}))
        if ALL in codes:
            named = ", ".join(str(code) for code in sorted(every[kind] - {ALL}))
            yield f"{protocol_name(protocol)}/{kind} but codes {named}"
