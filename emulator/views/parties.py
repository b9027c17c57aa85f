"""Who stands in a picture of a reach table: ends, put together until few enough are left to be read.

Outside come first and one by one, as long as there are few.  Inside, ends are shown one by one, else those that nothing
tells apart as one, else by subnet and security groups, by security groups, by subnet, by VPC: the first of these that
has few enough; of too many VPCs the rest is one party.  What such a party can open at another is the union over the
pairs of their ends, and is marked where it does not hold for every pair.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from emulator.model.services import TCP
from emulator.model.topology import INTERNET
from emulator.reach.analysis import Reached
from emulator.reach.atoms import MAIL
from emulator.reach.ends import OUTSIDE, End
from emulator.reach.table import Reach, wanted_atoms, words_of
from emulator.views.text import clean

MOST_OUTSIDE = 8
ALL_BUT_MAIL = f"all but tcp/{MAIL}"


@dataclass(frozen=True, slots=True)
class Party:
    """Ends that stand in a picture as one.

    Parameters
    ----------
    name, note : what it is called, and a line more: an address, how many and where.
    ends : names of its ends.
    """

    name: str
    note: str
    outside: bool
    ends: tuple[str, ...]

    @property
    def is_internet(self) -> bool:
        """Whether it is any address outside that no rule names."""
        return self.outside and self.ends == (INTERNET,)


@dataclass(frozen=True, slots=True)
class Tie:
    """What one party can open at another; ``whole`` if every one of its ends can do so at every one of the other's."""

    services: tuple[str, ...]
    whole: bool


@dataclass(frozen=True)
class Parties:
    """The parties of a reach table, those outside first, and what each can open at the others.

    Parameters
    ----------
    ties : by the places of source and destination in ``parties``; pairs of which nothing can be opened are not there.
    grouped : by what those inside were put together; empty if they were not.
    opened : how many ends inside can be opened from outside.
    """

    parties: tuple[Party, ...]
    ties: dict[tuple[int, int], Tie]
    grouped: str
    opened: int

    @cached_property
    def sources(self) -> list[int]:
        """The parties that can open something."""
        return sorted({source for source, _ in self.ties})

    @cached_property
    def destinations(self) -> list[int]:
        """The parties that can be opened to: those inside, what the outside reaches first, then those outside."""
        found = sorted({destination for _, destination in self.ties})
        return sorted(found, key=lambda at: (self.parties[at].outside, at not in self.exposed))

    @cached_property
    def exposed(self) -> set[int]:
        """The parties inside to which something can be opened from outside."""
        return {to for source, to in self.ties if self.parties[source].outside and not self.parties[to].outside}

    @cached_property
    def silent(self) -> int:
        """How many ends inside stand in parties that neither open anything nor can be opened to."""
        tied = {at for pair in self.ties for at in pair}
        return sum(len(party.ends) for at, party in enumerate(self.parties) if at not in tied and not party.outside)

    def said(self) -> str:
        """The line below a title: what is exposed, how ends were put together, who is not shown."""
        inside = sum(len(party.ends) for party in self.parties if not party.outside)
        words = [f"{self.opened:,} of {inside:,} can be opened from outside" if self.opened else "nothing can be opened from outside"]
        if self.grouped:
            words.append(f"put together by {self.grouped}")
        if self.silent:
            words.append(f"{self.silent:,} that neither open anything nor can be opened to {'is' if self.silent == 1 else 'are'} not shown")
        return "  –  ".join(words)


class Level(NamedTuple):
    """A way to put ends inside together: its name, what those of one party share, and the words for a party."""

    grouped: str
    key: Callable[[End], object]
    told: Callable[[list[End]], tuple[str, str]]


def parties(found: Reach, most: int) -> Parties:
    """The parties of a reach table, at most so many inside; of more VPCs, those that are open to the outside come first."""
    ends = list(dict.fromkeys(end for reached in found.families for end in reached.ends))
    outside, inside = _outside(found, [end for end in ends if end.kind == OUTSIDE]), [end for end in ends if end.kind != OUTSIDE]
    opened = _opened(found)
    levels = ((level, _together(inside, level.key)) for level in _levels(found))
    level, together = next((level, some) for level, some in levels if len(some) <= most or level.grouped == "VPC")
    rest: list[list[End]] = []
    if len(together) > most:
        together.sort(key=lambda members: not any(end.name in opened for end in members))
        together, rest = together[: most - 1], together[most - 1 :]
    made = [*outside, *(Party(*level.told(members), False, _names(members)) for members in together)]
    if rest:
        names = _names([end for members in rest for end in members])
        made.append(Party(f"{len(rest):,} more VPCs", f"{len(names):,} interfaces", False, names))
    return Parties(tuple(made), _ties(found, made), level.grouped, len(opened))


def _together(ends: list[End], key: Callable[[End], object]) -> list[list[End]]:
    found: dict[object, list[End]] = {}
    for end in ends:
        found.setdefault(key(end), []).append(end)
    return list(found.values())


def _opened(found: Reach) -> set[str]:
    """Names of the ends inside that can be opened from outside."""
    names: set[str] = set()
    for reached in found.families:
        allowed = wanted_atoms(reached, found.wanted)
        outside = [at for at, members in enumerate(reached.classes) if reached.ends[members[0]].kind == OUTSIDE]
        opening = np.array([bool(one & allowed) for one in reached.masks.sets])[reached.table[outside]].any(axis=0)
        names |= {reached.ends[number].name for at in np.flatnonzero(opening) for number in reached.classes[at]}
    return names


def _names(members: list[End]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(end.name for end in members))


def _outside(found: Reach, ends: list[End]) -> list[Party]:
    """Those outside: the internet at large, and each host and each named part of it, unless there are too many of these."""
    large = [end for end in ends if end.name == INTERNET]
    parts = [end for end in ends if end.name != INTERNET]
    done = [Party(INTERNET, "any address that no rule names", True, _names(large))] if large else []
    if len({end.name for end in parts}) <= MOST_OUTSIDE:
        named = {name: [end for end in parts if end.name == name] for name in _names(parts)}
        return done + [Party(clean(name), _addresses(own), True, (name,)) for name, own in named.items()]
    for what, members in (
        ("blocks of the internet", [end for end in parts if end.id == INTERNET]),
        ("hosts outside", [end for end in parts if end.id != INTERNET]),
    ):
        if members:
            names = _names(members)
            done.append(Party(f"{len(names):,} {what}", "that rules name" if members[0].id == INTERNET else "", True, names))
    return done


def _addresses(own: list[End]) -> str:
    return "" if own[0].id == INTERNET else " · ".join(str(end.ip) for end in own)


def _levels(found: Reach) -> Iterator[Level]:
    """Ways to put ends inside together, the finest first."""
    topology = found.topology

    def display(id: str) -> str:
        return topology.entities[id].name if id in topology.entities else id

    def groups(members: list[End]) -> str:
        return clean(", ".join(map(display, members[0].groups))) or "no group"

    def counted(members: list[End], id: str) -> str:
        count = len(_names(members))
        return f"{count:,} in {clean(display(id))}"

    def alike(members: list[End]) -> tuple[str, str]:
        names = _names(members)
        if len(names) == 1:
            return clean(names[0]), _addresses(members)
        return f"{clean(names[0])} and {len(names) - 1:,} like it", f"{groups(members)} · {clean(display(members[0].subnet))}"

    classes: dict[str, list[tuple[int, int]]] = {}
    for reached in found.families:
        for at, end in enumerate(reached.ends):
            classes.setdefault(end.name, []).append((reached.family, reached.class_of[at]))
    yield Level("", lambda end: end.name, alike)
    yield Level("what reaches and is reached alike", lambda end: tuple(classes[end.name]), alike)
    yield Level("subnet and groups", lambda end: (end.subnet, end.groups), lambda some: (groups(some), counted(some, some[0].subnet)))
    yield Level("groups", lambda end: (end.vpc, end.groups), lambda some: (groups(some), counted(some, some[0].vpc)))
    yield Level("subnet", lambda end: end.subnet, lambda some: (clean(display(some[0].subnet)), counted(some, some[0].vpc)))
    yield Level("VPC", lambda end: end.vpc, lambda some: (clean(display(some[0].vpc)), f"{len(_names(some)):,} interfaces"))


def _ties(found: Reach, made: list[Party]) -> dict[tuple[int, int], Tie]:
    party_of = {name: at for at, party in enumerate(made) for name in party.ends}
    told: dict[tuple[int, int], list[tuple[tuple[str, ...], bool, int]]] = {}
    for reached in found.families:
        for pair, (services, whole) in _of_family(reached, found, party_of, made).items():
            told.setdefault(pair, []).append((services, whole, reached.family))
    return {pair: _joined(parts) for pair, parts in sorted(told.items())}


def _joined(parts: list[tuple[tuple[str, ...], bool, int]]) -> Tie:
    """A tie of both families: services that IPv6 alone has are marked; one family that has them all makes it whole."""
    services = list(parts[0][0]) if parts[0][2] == 4 else [f"{text} IPv6" for text in parts[0][0]]
    for more, _, _ in parts[1:]:
        services += [f"{text} IPv6" for text in more if text not in services]
    enough = any(whole and len(own) == len(services) for own, whole, _ in parts)
    return Tie(tuple(services), enough or all(whole for _, whole, _ in parts))


def _of_family(
    reached: Reached, found: Reach, party_of: dict[str, int], made: list[Party]
) -> dict[tuple[int, int], tuple[tuple[str, ...], bool]]:
    """The union of the services between two parties, and whether all their pairs have it."""
    classes: list[list[int]] = [[] for _ in made]
    ids: list[set[str]] = [set() for _ in made]
    names: list[set[str]] = [set() for _ in made]
    for at, members in enumerate(reached.classes):
        for end in (reached.ends[number] for number in members):
            party = party_of[end.name]
            ids[party].add(end.id if end.kind != OUTSIDE else end.name)
            names[party].add(end.name)
            if classes[party][-1:] != [at]:
                classes[party].append(at)
    allowed = wanted_atoms(reached, found.wanted)
    alone = _alone(reached)
    done = {}
    for source, mine in enumerate(classes):
        for destination, theirs in enumerate(classes):
            if len(ids[source]) == 1 and ids[source] == ids[destination]:
                continue  # an end with itself
            numbers = reached.table[np.ix_(mine, theirs)]
            if not numbers.any():
                continue
            itself = (alone[mine][:, None] == alone[theirs][None, :]) & (alone[mine][:, None] >= 0)
            sets = {reached.masks.sets[number] & allowed for number in np.unique(numbers[~itself]).tolist()}
            union = reduce(or_, sets, 0)
            if union:
                every = all(len(names[at]) == len(made[at].ends) for at in (source, destination))
                done[source, destination] = _words(reached, union), every and len(sets) == 1
    return done


def _words(reached: Reached, mask: int) -> tuple[str, ...]:
    """A set of atoms in words; what AWS lets everybody send, all but mail, in two."""
    mail = next(1 << at for at, atom in enumerate(reached.atoms) if atom.protocol == TCP and atom.members[0] == (MAIL, MAIL))
    return (ALL_BUT_MAIL,) if mask == (1 << len(reached.atoms)) - 1 - mail else words_of(reached, mask)


def _alone(reached: Reached) -> npt.NDArray[np.int64]:
    """For each class the number of its one interface; -1 if it has several, or is outside."""
    numbers: dict[str, int] = {}
    found = []
    for members in reached.classes:
        ids = {reached.ends[number].id for number in members}
        inside = reached.ends[members[0]].kind != OUTSIDE
        found.append(numbers.setdefault(ids.pop(), len(numbers)) if inside and len(ids) == 1 else -1)
    return np.array(found, dtype=np.int64)
