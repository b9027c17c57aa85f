"""Editing: the console's buttons as methods of a running network; each edit acts on the next packet (SG-54, NA-11)."""

from dataclasses import replace
from typing import TYPE_CHECKING

from emulator.errors import UsageError
from emulator.model import edits
from emulator.model.entities import RouteTable, Subnet
from emulator.model.groups import AclRule, Block, Direction, GroupPeer, ListPeer, NetworkAcl, PrefixList, Rule, SecurityGroup, block
from emulator.model.services import parse_service
from emulator.model.topology import Topology

_DIRECTIONS = {"ingress": Direction.INGRESS, "egress": Direction.EGRESS}


class Editing:
    """What `Network` adds for people who change rules between two packets."""

    if TYPE_CHECKING:

        @property
        def topology(self) -> Topology: ...

        def edit(self, topology: Topology) -> None: ...

    def authorize(self, group: str, service: str, peer: str, direction: str = "ingress") -> None:
        """Add a rule to a security group.

        Parameters
        ----------
        service : ``HTTPS``, ``tcp/22``, ``icmp``, ``all``
        peer : a block, or the name of a group or prefix list

        Raises
        ------
        UsageError : words that are not understood.  ApiError : what EC2 would refuse.
        """
        self.edit(edits.authorize(self.topology, group, _direction(direction), self._rule(group, service, peer)))

    def revoke(self, group: str, service: str, peer: str, direction: str = "ingress") -> None:
        """Take a rule out of a security group; it is known by its content."""
        self.edit(edits.revoke(self.topology, group, _direction(direction), self._rule(group, service, peer)))

    def set_groups(self, interface: str, *groups: str) -> None:
        """Give an interface (or an instance's first one) other security groups, all at once."""
        self.edit(edits.replace_groups(self.topology, interface, *groups))

    def _rule(self, group: str, service: str, peer: str) -> Rule:
        here = edits.group_of(self.topology, group).vpc
        named: GroupPeer | ListPeer | None = None
        for found in self.topology.all(SecurityGroup):
            if peer == found.id or (peer == found.name and found.vpc == here):
                named = GroupPeer(found.id)
        for prefix_list in self.topology.all(PrefixList):
            if peer in (prefix_list.id, prefix_list.name):
                named = ListPeer(prefix_list.id)
        try:
            return Rule.of(service, named if named is not None else peer)
        except ValueError as trouble:
            raise UsageError(f"{trouble}; a rule names a block, a security group or a prefix list") from None

    def acl_entry(self, acl: str, number: int, action: str, service: str, peer: str, direction: str = "ingress") -> None:
        """Put an entry into a network ACL, in place of the one with this number (NA-4, NA-10)."""
        found = self._acl(acl)
        way = _direction(direction).name.lower()
        if action not in ("allow", "deny"):
            raise UsageError(f'action "{action}": write allow or deny')
        try:
            wanted, where = parse_service(service), block(peer)
        except ValueError as trouble:
            raise UsageError(f"{acl} {number}: {trouble}") from None
        entry = AclRule(number, action == "allow", wanted.protocol, wanted.ports, where)
        kept = tuple(rule for rule in getattr(found, way) if rule.number != number)
        self.edit(self.topology.changed(found.id, **{way: (*kept, entry)}))

    def delete_acl_entry(self, acl: str, number: int, direction: str = "ingress") -> None:
        """Take an entry out of a network ACL."""
        found = self._acl(acl)
        way = _direction(direction).name.lower()
        kept = tuple(rule for rule in getattr(found, way) if rule.number != number)
        if len(kept) == len(getattr(found, way)):
            raise UsageError(f"{acl}: there is no {way} entry {number}")
        self.edit(self.topology.changed(found.id, **{way: kept}))

    def _acl(self, name: str) -> NetworkAcl:
        found = [acl for acl in self.topology.all(NetworkAcl) if name in (acl.id, acl.name, f"{self.topology.display(acl.vpc)}/{acl.name}")]
        if len(found) != 1:
            known = ", ".join(acl.name for acl in self.topology.all(NetworkAcl))
            raise UsageError(f"network ACL {name}: {'several have this name' if found else 'there is none'}; known are {known}")
        return found[0]

    def route(self, table: str, destination: str, target: str) -> None:
        """Put a route into a table, in place of the one with this destination; the target by name or id."""
        from emulator.model.entities import Route

        found, where = self._table(table), _block(destination)
        goal = target if target == "local" else self.topology.find(target).id
        kept = tuple(route for route in found.routes if route.destination != where)
        self.edit(self.topology.changed(found.id, routes=(*kept, Route(where, goal))))

    def delete_route(self, table: str, destination: str) -> None:
        """Take a route out of a table."""
        found, where = self._table(table), _block(destination)
        kept = tuple(route for route in found.routes if route.destination != where)
        if len(kept) == len(found.routes):
            raise UsageError(f"{table}: there is no route to {destination}")
        self.edit(self.topology.changed(found.id, routes=kept))

    def associate(self, subnet: str, table: str) -> None:
        """Give a subnet another route table."""
        entity = self.topology.find(subnet)
        if not isinstance(entity, Subnet):
            raise UsageError(f"{subnet} is no subnet")
        self.edit(self.topology.replace(replace(entity, route_table=self._table(table).id)))

    def _table(self, name: str) -> RouteTable:
        found = [table for table in self.topology.all(RouteTable) if name in (table.id, table.name)]
        if len(found) != 1:
            known = ", ".join(table.name for table in self.topology.all(RouteTable))
            raise UsageError(f"route table {name}: {'several have this name' if found else 'there is none'}; known are {known}")
        return found[0]


def _direction(word: str) -> Direction:
    if word not in _DIRECTIONS:
        raise UsageError(f'direction "{word}": write ingress or egress')
    return _DIRECTIONS[word]


def _block(text: str) -> Block:
    try:
        return block(text)
    except ValueError as trouble:
        raise UsageError(str(trouble)) from None
