"""The reach table: rows of sources, destinations and services, exposure to the internet first.

Ends that reach the same and are reached by the same stand in one row, so that a large network stays readable; a row
speaks of every pair of its ends but of an end with itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from emulator.errors import UsageError
from emulator.model.services import ALL, ICMP, ICMPV6, TCP, UDP, Service
from emulator.model.topology import INTERNET, Topology
from emulator.reach.analysis import Reached, analyse
from emulator.reach.atoms import Atom, names
from emulator.reach.ends import OUTSIDE, End, ends
from emulator.sheets import csv_text

SCHEMA = "vpcemu.reach/1"
MOST_TRIED = 5_000  # rows up to which the other way of putting ends together is tried as well


@dataclass(frozen=True, slots=True)
class Row:
    """Every one of the sources can open these services at every one of the destinations (but not at itself).

    Parameters
    ----------
    exposed : whether a source is outside.
    """

    sources: tuple[End, ...]
    destinations: tuple[End, ...]
    services: tuple[str, ...]
    family: int
    exposed: bool

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "exposed": self.exposed,
            "sources": [end.name for end in self.sources],
            "destinations": [end.name for end in self.destinations],
            "services": list(self.services),
            "family": self.family,
        }


class Reach:
    """Who can open what to whom in a topology.

    Parameters
    ----------
    families : one result a family of addresses.
    wanted : only these services count; None is all.

    Examples
    --------
    >>> from emulator.model.files import loads
    >>> lab = loads('''
    ... vpcs:
    ...   lab:
    ...     cidr_block: 10.0.0.0/16
    ...     subnets: {a: {cidr_block: 10.0.1.0/24}}
    ...     security_groups: {web: {ingress: [{type: HTTP, source: default}]}}
    ...     instances:
    ...       server: {subnet: a, security_groups: [web]}
    ...       client: {subnet: a}
    ... ''')
    >>> for row in reach(lab).rows:
    ...     print(*(end.name for end in row.sources), "→", *(end.name for end in row.destinations), *row.services)
    client → server tcp/80
    """

    def __init__(self, topology: Topology, families: list[Reached], wanted: Service | None = None) -> None:
        self.topology, self.families, self.wanted = topology, families, wanted

    @cached_property
    def rows(self) -> list[Row]:
        """The table: what is exposed to the internet first, then by source and destination."""
        found = [row for reached in self.families for row in _rows(reached, self.wanted)]
        order = {end: place for reached in self.families for place, end in enumerate(reached.ends)}
        return sorted(found, key=lambda row: (not row.exposed, row.family, order[row.sources[0]], order[row.destinations[0]]))

    def services(self, source: str, destination: str) -> list[str]:
        """The services that one end can open at another, by their names; none if nothing."""
        found: list[str] = []
        for reached in self.families:
            places = {end.name: number for number, end in enumerate(reached.ends)}
            if source in places and destination in places:
                mask = reached.mask(places[source], places[destination])
                found += words_of(reached, mask & wanted_atoms(reached, self.wanted))
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``reach --json`` prints it (schema ``vpcemu.reach/1``)."""
        return {"schema": SCHEMA, "topology": self.topology.name, "rows": [row.to_json() for row in self.rows]}

    def to_csv(self) -> str:
        """The rows as CSV; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
        table = [["exposed", "family", "sources", "destinations", "services"]]
        for row in self.rows:
            sides = ["; ".join(end.name for end in side) for side in (row.sources, row.destinations)]
            table.append(["yes" if row.exposed else "no", f"IPv{row.family}", *sides, "; ".join(row.services)])
        return csv_text(table)


def reach(
    topology: Topology, *, sources: tuple[str, ...] = (), destinations: tuple[str, ...] = (), service: Service | None = None
) -> Reach:
    """Who can open what to whom.

    Parameters
    ----------
    sources, destinations : names, ids, blocks' names, or ``internet``; none is all.
    service : only what lets this in.

    Raises
    ------
    UsageError : an unknown name.
    """
    families = []
    for family in (4, 6):
        if any(end.kind != OUTSIDE for end in ends(topology, family)):
            families.append(_narrowed(analyse(topology, family), sources, destinations))
    _known(families, (*sources, *destinations))
    return Reach(topology, families, service)


def _known(families: list[Reached], asked: tuple[str, ...]) -> None:
    for name in asked:
        if not any(_is(end, name) for reached in families for end in reached.ends):
            known = sorted({end.name for reached in families for end in reached.ends})
            raise UsageError(f"nothing that sends or is reached is called {name}; known are {', '.join(known[:8])}")


def _is(end: End, name: str) -> bool:
    if name == INTERNET:
        return end.kind == OUTSIDE and end.id == INTERNET
    return name in (end.name, end.id, end.name.partition(" ")[0], end.name.partition(":")[0], str(end.ip), str(end.public), end.subnet)


def _narrowed(reached: Reached, sources: tuple[str, ...], destinations: tuple[str, ...]) -> Reached:
    """The result with nothing in the rows and columns of ends that were not asked about."""
    table = reached.table
    for names_of, axis in ((sources, 0), (destinations, 1)):
        if not names_of:
            continue
        classes, table, class_of = _split(reached, table, lambda end: any(_is(end, name) for name in names_of))  # noqa: B023
        reached = Reached(reached.family, reached.ends, reached.atoms, classes, table, reached.masks, class_of)
        drop = [at for at, members in enumerate(classes) if not any(_is(reached.ends[members[0]], name) for name in names_of)]
        table = table.copy()
        if axis == 0:
            table[drop, :] = 0
        else:
            table[:, drop] = 0
        reached.table = table
    return reached


def _split(reached: Reached, table: Any, chosen: Callable[[End], bool]) -> tuple[list[list[int]], Any, dict[int, int]]:
    """Classes in which all or none of the members are chosen."""
    classes, origin = [], []
    for at, members in enumerate(reached.classes):
        for wanted in (True, False):
            part = [number for number in members if chosen(reached.ends[number]) is wanted]
            if part:
                classes.append(part)
                origin.append(at)
    picked = np.array(origin, dtype=np.int64)
    class_of = {number: at for at, members in enumerate(classes) for number in members}
    return classes, table[picked][:, picked], class_of


def wanted_atoms(reached: Reached, service: Service | None) -> int:
    """The set of atoms that a service lies in or touches; all if there is none."""
    if service is None:
        return (1 << len(reached.atoms)) - 1
    return sum(1 << at for at, atom in enumerate(reached.atoms) if _touches(atom, service))


def _touches(atom: Atom, service: Service) -> bool:
    named = service.protocol in (ALL, atom.protocol) or (atom.protocol == ALL and service.protocol not in (TCP, UDP, ICMP, ICMPV6))
    if not named or service.ports[0] == ALL or atom.protocol == ALL:
        return named
    if atom.protocol in (TCP, UDP):
        first, last = atom.members[0]
        return first <= service.ports[1] and service.ports[0] <= last
    return any(kind == service.ports[0] and ALL in (code, service.ports[1], -(code != service.ports[1])) for kind, code in atom.members)


def words_of(reached: Reached, mask: int) -> tuple[str, ...]:
    """A set of atoms in words."""
    atoms = reached.atoms
    bits = np.unpackbits(np.frombuffer(mask.to_bytes(len(atoms) // 8 + 1, "little"), dtype=np.uint8), bitorder="little")
    return tuple(names([atoms[at] for at in np.flatnonzero(bits).tolist()], atoms))


def _rows(reached: Reached, wanted: Service | None) -> Iterator[Row]:
    """Rows of one family: classes with the same row, then those with the same column, as one."""
    allowed = wanted_atoms(reached, wanted)
    numbers = {0: 0}
    sets = [0]
    renumbered = np.zeros(len(reached.masks.sets), dtype=np.int32)
    for number, mask in enumerate(reached.masks.sets):
        renumbered[number] = numbers.setdefault(mask & allowed, len(sets))
        if numbers[mask & allowed] == len(sets):
            sets.append(mask & allowed)
    table = renumbered[reached.table]
    for at, members in enumerate(reached.classes):
        if len({reached.ends[number].id for number in members}) == 1 and len(reached.classes) > 1:
            table[at, at] = _as_its_like(table, at)
    words: dict[int, tuple[str, ...]] = {}
    outside = [reached.ends[members[0]].kind == OUTSIDE for members in reached.classes]
    cells = _cells(table, outside)
    if len(cells) < MOST_TRIED:
        turned = [(sources, to, number) for to, sources, number in _cells(table.T, None, outside)]
        cells = min(cells, turned, key=len)
    for sources, destinations, number in cells:
        if number not in words:
            words[number] = words_of(reached, sets[number])
        row = _row(reached, list(sources), list(destinations), words[number])
        if row is not None:
            yield row


Cells = list[tuple[tuple[int, ...], tuple[int, ...], int]]


def _cells(table: Any, kinds: list[bool] | None, other_kinds: list[bool] | None = None) -> Cells:
    """The table as (rows, columns, number) with rows that say the same of the same columns as one; zeros are left out.

    Rows, or columns, of two kinds are kept apart.
    """
    found: dict[tuple[bytes, int, bool], tuple[Any, list[int]]] = {}
    others = np.array(other_kinds if other_kinds is not None else [False] * table.shape[1], dtype=np.int64)
    for rows in _alike(table, kinds or [False] * len(table)):
        line = table[rows[0]].astype(np.int64) * 2 + others
        order = np.argsort(line, kind="stable")
        for columns in np.split(order, np.flatnonzero(np.diff(line[order])) + 1):
            number = int(table[rows[0], columns[0]])
            if number:
                key = columns.tobytes(), number, kinds is not None and kinds[rows[0]]
                found.setdefault(key, (columns, []))[1].extend(rows)
    return [(tuple(sorted(rows)), tuple(columns.tolist()), key[1]) for key, (columns, rows) in found.items()]


def _row(reached: Reached, sources: list[int], destinations: list[int], services: tuple[str, ...]) -> Row | None:
    from_ends = tuple(reached.ends[number] for number in sorted(number for at in sources for number in reached.classes[at]))
    to_ends = tuple(reached.ends[number] for number in sorted(number for at in destinations for number in reached.classes[at]))
    if len({end.id for end in (*from_ends, *to_ends)}) == 1:
        return None  # an end with itself
    return Row(from_ends, to_ends, services, reached.family, from_ends[0].kind == OUTSIDE)


def _as_its_like(table: Any, at: int) -> int:
    """What stands where an end would reach itself: nobody asks, so it is whatever most others reach there."""
    values, counts = np.unique(np.delete(table[:, at], at), return_counts=True)
    return int(values[counts.argmax()])


def _alike(table: Any, kinds: list[bool]) -> list[list[int]]:
    """Rows of a table that are the same and of one kind, together."""
    found: dict[tuple[bool, bytes], list[int]] = {}
    for at, row in enumerate(np.ascontiguousarray(table)):
        found.setdefault((kinds[at], row.tobytes()), []).append(at)
    return list(found.values())
