"""Edits that a topology itself plans for a time of its run, as data; `apply` makes them through `edits` and `edits_network`.

authorize_ingress, revoke_ingress,     on a group: a service and a peer       tcp/22 0.0.0.0/0
authorize_egress, revoke_egress
set_groups                             on an interface: all its groups        web admin
create_route, delete_route             on a table: a destination, a target    10.9.0.0/16 igw
create_acl_entry                       on an ACL: ingress or egress, number, allow or deny, service, block
delete_acl_entry                       on an ACL: ingress or egress, number
associate_address, disassociate_address  on an interface: a public address
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.errors import EmulatorError, TopologyError
from emulator.model.entities import Route
from emulator.model.groups import AclRule, Direction, GroupPeer, ListPeer, Peer, PrefixList, Rule, SecurityGroup, block
from emulator.model.services import parse_service

if TYPE_CHECKING:
    from emulator.model.topology import Topology

ACTIONS = {
    "authorize_ingress": 2,
    "revoke_ingress": 2,
    "authorize_egress": 2,
    "revoke_egress": 2,
    "set_groups": None,
    "create_route": 2,
    "delete_route": 1,
    "create_acl_entry": 5,
    "delete_acl_entry": 2,
    "associate_address": 1,
    "disassociate_address": 0,
}
"""How many arguments each takes; None is any number."""


@dataclass(frozen=True, slots=True)
class PlannedEdit:
    """An edit at a time of the run: ``action`` of `ACTIONS`, ``on`` what, with which arguments."""

    at_ns: int
    action: str
    on: str
    arguments: tuple[str, ...] = ()
    place: str = ""


def planned_problems(topology: "Topology") -> Iterator[str]:
    """Troubles of the plan, each with its place; it is tried from its first edit to its last."""
    current = topology
    for edit in sorted(topology.schedule, key=lambda edit: edit.at_ns):
        wanted = ACTIONS.get(edit.action, -1)
        head = f"{edit.place}: schedule" if edit.place else "schedule"
        if wanted == -1:
            yield f"{head}: {edit.action} is not one of {', '.join(ACTIONS)}"
        elif wanted is not None and len(edit.arguments) != wanted:
            yield f"{head}: {edit.action} takes {wanted} arguments, not {len(edit.arguments)}"
        else:
            try:
                current = apply(current, edit)
            except TopologyError as trouble:
                yield from (f"{head}: {edit.action} on {edit.on}: {line}" for line in trouble.problems)
            except (EmulatorError, ValueError, KeyError, StopIteration) as trouble:
                yield f"{head}: {edit.action} on {edit.on}: {trouble}"


def apply(topology: "Topology", edit: PlannedEdit) -> "Topology":
    """The topology after an edit.

    Raises
    ------
    ApiError, TopologyError, ValueError : what EC2 would refuse, or a word that cannot be read.
    """
    from emulator.model import edits, edits_network

    words = edit.arguments
    match edit.action:
        case "set_groups":
            return edits.replace_groups(topology, edit.on, *words)
        case "create_route":
            return edits_network.create_route(topology, edit.on, Route(block(words[0]), words[1]))
        case "delete_route":
            return edits_network.delete_route(topology, edit.on, block(words[0]))
        case "create_acl_entry":
            service = parse_service(words[3])
            entry = AclRule(int(words[1]), words[2] == "allow", service.protocol, service.ports, block(words[4]))
            return edits_network.create_acl_entry(topology, edit.on, Direction[words[0].upper()], entry)
        case "delete_acl_entry":
            return edits_network.delete_acl_entry(topology, edit.on, Direction[words[0].upper()], int(words[1]))
        case "associate_address":
            return edits_network.associate_address(topology, edit.on, words[0])
        case "disassociate_address":
            return edits_network.disassociate_address(topology, edit.on)
    verb, _, way = edit.action.partition("_")
    rule = Rule.of(parse_service(words[0]), _peer(topology, words[1]))
    change = edits.authorize if verb == "authorize" else edits.revoke
    return change(topology, edit.on, Direction[way.upper()], rule)


def _peer(topology: "Topology", text: str) -> Peer:
    """The block, the group or the prefix list that a word means."""
    try:
        return block(text)
    except ValueError:
        named = {entity.name: entity for entity in topology.entities.values() if isinstance(entity, SecurityGroup | PrefixList)}
        return ListPeer(text) if isinstance(named.get(text), PrefixList) else GroupPeer(text)
