"""The whole of each step: every candidate rule with the fields on which it failed, every route with why it was not taken.

Nothing is judged anew: rules are held by `miss` against what the step's packet was, routes by the router's own search.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from emulator.datapath.leave import next_hop
from emulator.datapath.state import Step as Column
from emulator.datapath.state import new_state
from emulator.model.entities import NetworkInterface
from emulator.model.groups import Direction
from emulator.observe.trace import Step, Trace
from emulator.observe.words import Words
from emulator.policy.reasons import Miss, Stage
from emulator.policy.routes import best_in
from emulator.policy.rules import Subject, miss
from emulator.policy.tables import Eni, RouteColumn, RuleColumn, SubnetColumn, row_of
from emulator.wire.headers import Field

_GROUPS = {Stage.GROUP_EGRESS: Direction.EGRESS, Stage.GROUP_INGRESS: Direction.INGRESS}
_ACLS = {Stage.ACL_EGRESS: Direction.EGRESS, Stage.ACL_INGRESS: Direction.INGRESS}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule or a route that was looked at: whether it fits, and if not why not."""

    name: str
    fits: bool
    why: tuple[str, ...]
    text: str
    place: str = ""

    @property
    def told(self) -> str:
        """One sentence that names it."""
        return self.text if self.text.startswith(self.name) else f"{self.name}: {self.text}"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"name": self.name, "fits": self.fits, "failed": list(self.why), "text": self.text, "place": self.place}


def candidates(words: Words, trace: Trace) -> list[list[Candidate]]:
    """For each step of a trace the rules or routes that were looked at; none for other steps."""
    header = trace.sent.header
    ends = {name: int(header[Field[name]]) for name in ("SOURCE_HI", "SOURCE_LO", "DESTINATION_HI", "DESTINATION_LO", "DESTINATION_PORT")}
    last = max((at for at, step in enumerate(trace.steps) if step.stage in _GROUPS), default=-1)
    found: list[list[Candidate]] = []
    for at, step in enumerate(trace.steps):
        if step.stage in _GROUPS and step.row:
            member, lost = trace.identity if at == last else (0, 0)
            found.append(list(_rules(words, step, header, ends, member, lost)))
        elif step.stage in _ACLS and step.row:
            found.append(list(_entries(words, step, header, ends)))
        elif step.stage == Stage.ROUTE and step.row:
            found.append(list(_routes(words, step, header, ends)))
        else:
            found.append([])
        if step.stage == Stage.GATEWAY and step.row:
            _translate(step, ends)
    return found


def _translate(step: Step, ends: dict[str, int]) -> None:
    """What a gateway changed: 1 the source, 2 the destination; its new port above."""
    value = step.row[Column.VALUE]
    side = {1: "SOURCE", 2: "DESTINATION"}.get(value & 0xFF)
    if side is not None:
        ends[f"{side}_HI"], ends[f"{side}_LO"] = step.row[Column.HI], step.row[Column.LO]
        if side == "DESTINATION" and value >> 8:
            ends["DESTINATION_PORT"] = value >> 8


def _subject(header: Any, ends: dict[str, int], direction: Direction, member: int = 0, lost: int = 0) -> Subject:
    side = "SOURCE" if direction == Direction.INGRESS else "DESTINATION"
    kind, code = int(header[Field.TYPE]), int(header[Field.CODE])
    family, protocol = int(header[Field.FAMILY]), int(header[Field.PROTOCOL])
    return Subject(family, protocol, ends[f"{side}_HI"], ends[f"{side}_LO"], ends["DESTINATION_PORT"], kind, code, member, lost)


def _rules(words: Words, step: Step, header: Any, ends: dict[str, int], member: int, lost: int) -> Iterator[Candidate]:
    eni, direction = words.ids.name(step.row[Column.PLACE]), _GROUPS[step.stage]
    if not isinstance(words.topology.entities.get(eni), NetworkInterface):
        return
    if direction == Direction.EGRESS:
        member, lost = _hop(words, step, header, ends)
    for candidate in words.misses(eni, direction, _subject(header, ends, direction, member, lost)):
        yield _candidate(candidate.rule.name, candidate.fields, candidate.text, candidate.rule.place)


def _hop(words: Words, step: Step, header: Any, ends: dict[str, int]) -> tuple[int, int]:
    """The interface at the end of an egress, whose groups a rule may name, or could have named."""
    state = new_state(1, 1, flights=1)
    state.flights[0, Field.FAMILY] = header[Field.FAMILY]
    for name in ("SOURCE_HI", "SOURCE_LO", "DESTINATION_HI", "DESTINATION_LO"):
        state.flights[0, Field[name]] = ends[name]
    eni = words.tables.enis[row_of(words.tables, step.row[Column.PLACE])]
    hop = next_hop(words.tables, state, 0, int(eni[Eni.VPC]), int(eni[Eni.SUBNET]))
    return int(hop.member), int(hop.lost)


def _candidate(name: str, fields: Miss, text: str, place: str) -> Candidate:
    return Candidate(name, not fields, tuple(field.name.lower() for field in Miss if field in fields and field.name), text, place)


def _entries(words: Words, step: Step, header: Any, ends: dict[str, int]) -> Iterator[Candidate]:
    """Entries in rising number, to the one that decided."""
    direction = _ACLS[step.stage]
    subnet = words.tables.subnets[row_of(words.tables, step.row[Column.PLACE])]
    first = SubnetColumn.ACL_INGRESS if direction == Direction.INGRESS else SubnetColumn.ACL_EGRESS
    subject = _subject(header, ends, direction)
    for row in range(int(subnet[first]), int(subnet[first + 1])):
        named = words.rule(int(words.tables.rules[row, RuleColumn.ID]))
        if named is None:
            continue
        fields = Miss(int(miss(words.tables, row, subject)))
        action = "allows" if words.tables.rules[row, RuleColumn.ALLOW] else "denies"
        text = words.miss_text(named, fields, subject) if fields else f"{named.name} {action} it"
        yield _candidate(named.name, fields, text, named.place)
        if not fields:
            return


def _routes(words: Words, step: Step, header: Any, ends: dict[str, int]) -> Iterator[Candidate]:
    """Every route of the table; the router's own search says of each alone whether it takes the address."""
    place = row_of(words.tables, step.row[Column.PLACE])
    if place < 0 or words.topology.entities.get(words.ids.name(step.row[Column.PLACE])) is None:
        return
    subnet = words.tables.subnets[place]
    start, end = int(subnet[SubnetColumn.ROUTES]), int(subnet[SubnetColumn.ROUTES_END])
    family, hi, lo = int(header[Field.FAMILY]), ends["DESTINATION_HI"], ends["DESTINATION_LO"]
    chosen = int(best_in(words.tables, start, end, family, hi, lo))
    for row in range(start, end):
        route = words.tables.routes[row]
        name = words.ids.name(int(route[RouteColumn.ID])).partition(" ")[2]
        if row == chosen:
            yield Candidate(name, True, (), "the best route, taken")
        elif int(best_in(words.tables, row, row + 1, family, hi, lo)) < 0:
            yield Candidate(name, False, ("CANNOT_ROUTE",), "does not cover the destination")
        else:
            best = words.tables.routes[chosen]
            masks = [RouteColumn.MASK_HI, RouteColumn.MASK_LO]
            code = "HIGHER_PRIORITY_ROUTE" if np.array_equal(best[masks], route[masks]) else "MORE_SPECIFIC_ROUTE"
            other = words.ids.name(int(best[RouteColumn.ID])).partition(" ")[2]
            yield Candidate(name, False, (code,), f"covers it, but {other} wins")
