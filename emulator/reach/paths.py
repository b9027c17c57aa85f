"""What lies between two ends when no security group is in the way: routes, gateways, network ACLs, and the way back.

The engine itself goes the way, in a copy of the topology whose groups let everything through, once for each pair of
*places*: ends that no route, no ACL and no gateway tells apart.  What comes back is the set of services that arrive and
are answered, and how each end sees the other; a way on which other machines judge as well is marked.
"""

from dataclasses import dataclass, replace
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any

import numpy as np

from emulator.datapath.leave import next_hop
from emulator.engine import Engine
from emulator.model.entities import RouteTable, Subnet
from emulator.model.groups import Direction, NetworkAcl, Rule, SecurityGroup, identify
from emulator.model.joined import TransitGatewayAttachment
from emulator.model.services import ALL, ANY_PORTS, ICMP, ICMPV6, TCP, UDP
from emulator.model.topology import Topology
from emulator.policy.keys import query_role
from emulator.policy.tables import Eni, SubnetColumn, row_of
from emulator.reach.atoms import MAIL, Atom
from emulator.reach.ends import INTERFACE, OUTSIDE, End, named_blocks
from emulator.reach.ends import SERVICE as SERVICE_END
from emulator.reach.filters import MEMBER, PRIVATE, PUBLIC, Filters
from emulator.reach.probes import Found, Prober, Question, addresses
from emulator.wire.addresses import halves
from emulator.wire.headers import Field, is_icmp_error

# Two halves are everyone without being "everyone" (CT-14), so that what passes is always tracked.
_HALVES = ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1")


@dataclass(frozen=True, slots=True)
class Way:
    """Between two places: the set of services that pass both ways, and how the ends see one another.

    Parameters
    ----------
    source_view : of the source at the destination: a view of `filters`, or the halves of another address.
    destination_view : of the destination at the source.
    judged : other interfaces' groups judge as well, so the pair has to be asked whole.
    """

    mask: int
    source_view: int | tuple[int, int] = MEMBER
    destination_view: int = MEMBER
    judged: bool = False


def opened(topology: Topology) -> Topology:
    """The topology with every group letting everything through, unchecked: it is for the engine alone."""
    rules = tuple(Rule(ALL, ANY_PORTS, ip_network(text)) for text in _HALVES)
    changed = {
        group.id: replace(group, ingress=identify(rules, group.id, Direction.INGRESS), egress=identify(rules, group.id, Direction.EGRESS))
        for group in topology.all(SecurityGroup)
    }
    return Topology(topology.name, MappingProxyType({**topology.entities, **changed}), policy=topology.policy)


class Places:
    """Which ends no route, ACL or gateway tells apart."""

    def __init__(self, topology: Topology, ends: list[End], family: int) -> None:
        blocks = named_blocks(topology, family, rules=False)
        by_size: dict[int, set[int]] = {}
        for block in blocks:
            by_size.setdefault(block.prefixlen, set()).add(int(block.network_address))
        self._width = 32 if family == 4 else 128
        self._by_size = by_size
        main = {table.vpc: table.id for table in topology.all(RouteTable) if table.main}
        default = {acl.vpc: acl.id for acl in topology.all(NetworkAcl) if acl.name == "default"}
        targets = {route.target for table in topology.all(RouteTable) for route in table.routes}
        self._attached = {subnet for attachment in topology.all(TransitGatewayAttachment) for subnet in attachment.subnets}
        self.keys: dict[tuple[Any, ...], int] = {}
        self.of: list[int] = []
        for end in ends:
            self.of.append(self.keys.setdefault(self._key(topology, end, main, default, targets), len(self.keys)))

    def _key(self, topology: Topology, end: End, main: dict[str, str], default: dict[str, str], targets: set[str]) -> tuple[Any, ...]:
        seen = self._around(end.ip), self._around(end.public) if end.public is not None and end.public != end.ip else end.public is None
        if end.kind != INTERFACE:
            return end.kind, end.id, str(end.ip) if end.kind == SERVICE_END else "", *seen
        subnet = topology.get(end.subnet, Subnet)
        own = end.id if end.id in targets else ""
        attached = subnet.id if subnet.id in self._attached else ""
        table, acl = subnet.route_table or main[subnet.vpc], subnet.network_acl or default[subnet.vpc]
        return end.kind, subnet.vpc, table, acl, subnet.availability_zone, subnet.block_public_access, own, attached, *seen

    def _around(self, ip: Any) -> tuple[tuple[int, int], ...]:
        """The blocks of routes and ACLs that an address lies in."""
        number = int(ip)
        found = []
        for size, networks in self._by_size.items():
            network = number >> (self._width - size) << (self._width - size)
            if network in networks:
                found.append((size, network))
        return tuple(sorted(found))


class Ways:
    """The ways between places, gone by the engine."""

    def __init__(self, topology: Topology, ends: list[End], atoms: tuple[Atom, ...], family: int, filters: Filters) -> None:
        self.ends, self.atoms, self.family, self.filters = ends, atoms, family, filters
        self.topology = opened(topology)
        self.places = Places(topology, ends, family)
        self.strict = topology.policy.midstream_tcp == "strict"
        self.everything = (1 << len(atoms)) - 1
        self._classes = self._atom_classes(topology)

    def _atom_classes(self, topology: Topology) -> list[list[int]]:
        """Atoms that neither ACLs nor gateways tell apart."""
        tables = self.filters.tables
        spans = tables.subnets[
            :, [SubnetColumn.ACL_INGRESS, SubnetColumn.ACL_INGRESS_END, SubnetColumn.ACL_EGRESS, SubnetColumn.ACL_EGRESS_END]
        ]
        rows = sorted({row for a, b, c, d in spans.tolist() for row in (*range(a, b), *range(c, d))})
        matched = self.filters.rule_services(np.array(rows, dtype=np.int64))
        found: dict[tuple[Any, ...], list[int]] = {}
        for at, atom in enumerate(self.atoms):
            bits = tuple(mask >> at & 1 for mask in matched)
            protocol, (first, _) = atom.service
            special: Any = first if protocol == TCP and atom.members[0] == (MAIL, MAIL) else 0
            if protocol in (ICMP, ICMPV6):
                special = query_role(protocol, first), bool(is_icmp_error(protocol, first)), first if protocol == ICMPV6 else 0
            found.setdefault((bits, protocol if protocol in (TCP, UDP, ICMP, ICMPV6) else atom.protocol, special), []).append(at)
        return list(found.values())

    def between(self, pairs: dict[Any, tuple[End, End]]) -> dict[Any, Way]:
        """The way of each pair of ends, by the key that the pair was given."""
        questions, slots = [], []
        for key, (source, destination) in pairs.items():
            alone = SERVICE_END in (source.kind, destination.kind)
            for atoms in [[at] for at in range(len(self.atoms))] if alone else self._classes:
                questions.append(Question(source, destination, atoms[0]))
                slots.append((key, atoms))
        prober = Prober(self.topology, self.atoms, self.family, journal=True, expected=2 * len(questions))
        masks: dict[Any, int] = dict.fromkeys(pairs, 0)
        views: dict[Any, set[Any]] = {key: set() for key in pairs}
        judged: set[Any] = set()
        for question, found, (key, atoms) in zip(questions, prober.ask(questions), slots, strict=True):
            if found.judges:
                judged.add(key)
            if found.reachable:
                masks[key] |= sum(1 << at for at in atoms)
                views[key].add(self._view(prober.engine, question, found))
        done = {}
        for key, (source, destination) in pairs.items():
            whole = key in judged or len(views[key]) > 1 or destination.listen is not None or self.strict
            view = next(iter(views[key]), MEMBER)
            there = self._destination_view(prober.engine, source, destination)
            done[key] = Way(masks[key], view, there, bool(whole and (masks[key] or key in judged)))
        return done

    def _view(self, engine: Engine, question: Question, found: Found) -> int | tuple[int, int]:
        """How the destination saw the source."""
        source = question.source
        if source.kind == OUTSIDE:
            return PRIVATE
        if found.sender == engine.ids.of(source.id) and found.seen == tuple(halves(source.ip)):
            return MEMBER
        if found.seen == tuple(halves(source.ip)):
            return PRIVATE
        return PUBLIC if source.public is not None and found.seen == tuple(halves(source.public)) else found.seen

    def _destination_view(self, engine: Engine, source: End, destination: End) -> int:
        """Whether an egress rule that names the destination's groups knows it on this way (SG-26)."""
        if source.kind != INTERFACE or destination.kind != INTERFACE:
            return PRIVATE
        state = engine.state
        row = row_of(engine.tables, engine.ids.of(source.id))
        flights = np.zeros_like(state.flights[:1])
        flights[0, Field.FAMILY] = self.family
        _, there = addresses(source, destination)
        flights[0, Field.SOURCE_HI], flights[0, Field.SOURCE_LO] = halves(source.ip)
        flights[0, Field.DESTINATION_HI], flights[0, Field.DESTINATION_LO] = halves(there)
        enis = engine.tables.enis
        hop = next_hop(engine.tables, state._replace(flights=flights), 0, int(enis[row, Eni.VPC]), int(enis[row, Eni.SUBNET]))
        return MEMBER if hop.member == engine.ids.of(destination.id) else PRIVATE
