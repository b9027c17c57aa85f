"""What an import could not take over, a line each: nothing is dropped in silence.

Every note says of which kind and id it speaks, what became of it, and what could differ from the real network.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

MOST_LINES = 40


class Fate(Enum):
    """What became of a thing: the first four make ``--strict`` fail, the last one bears on no traffic."""

    NOT_MODELLED = "not modelled"
    UNKNOWN = "unknown"
    LEFT_OUT = "left out"
    ASSUMED = "assumed"
    WITHOUT_EFFECT = "without effect"


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that the topology does not show as it is.

    Parameters
    ----------
    kind : AWS's word for the resource, or for the field of one (``VpnConnection``, ``Route``).
    id : of the resource; empty for the whole.
    text : what could differ, in words.
    place : the file, or the address in a plan.
    """

    fate: Fate
    kind: str
    id: str
    text: str
    place: str = ""

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.fate.value}: {self.kind}{' ' + self.id if self.id else ''}: {self.text}"

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``vpcemu import --json`` prints it."""
        return {"fate": self.fate.value, "kind": self.kind, "id": self.id, "text": self.text, "place": self.place}


class Report:
    """The notes of one import, each said once, in the order in which they came up."""

    def __init__(self) -> None:
        self._notes: dict[Note, None] = {}

    def add(self, fate: Fate, kind: str, id: str, text: str, place: str = "") -> None:
        """Note one thing."""
        self._notes.setdefault(Note(fate, kind, id, text, place))

    def not_modelled(self, kind: str, id: str, text: str, place: str = "") -> None:
        """A resource or field that bears on traffic and has no place in the model."""
        self.add(Fate.NOT_MODELLED, kind, id, text, place)

    def unknown(self, kind: str, id: str, text: str, place: str = "") -> None:
        """Something that the source does not say, such as a value that a plan knows only after apply."""
        self.add(Fate.UNKNOWN, kind, id, text, place)

    def left_out(self, kind: str, id: str, text: str, place: str = "") -> None:
        """A resource that contradicts the rest or names what is not there."""
        self.add(Fate.LEFT_OUT, kind, id, text, place)

    def assumed(self, kind: str, id: str, text: str, place: str = "") -> None:
        """Something that the source leaves open, and what was taken."""
        self.add(Fate.ASSUMED, kind, id, text, place)

    def without_effect(self, kind: str, id: str, text: str, place: str = "") -> None:
        """A resource that carries no packet, such as a terminated instance."""
        self.add(Fate.WITHOUT_EFFECT, kind, id, text, place)

    def __iter__(self) -> Iterator[Note]:
        return iter(self._notes)

    def __len__(self) -> int:
        return len(self._notes)

    @property
    def binding(self) -> list[Note]:
        """The notes that ``--strict`` does not accept."""
        return [note for note in self if note.fate is not Fate.WITHOUT_EFFECT]

    def lines(self, most: int | None = MOST_LINES) -> Iterator[str]:
        """The notes in words, of one fate after the other; past ``most`` they are counted."""
        order = list(Fate)
        notes = sorted(self, key=lambda note: order.index(note.fate))
        yield from (str(note) for note in notes[:most])
        if most is not None and len(notes) > most:
            yield f"… and {len(notes) - most:,} more; --json lists them all"
