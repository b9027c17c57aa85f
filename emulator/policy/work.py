"""What all parts of the compiler share: ids of everything, pieces to use again, where each thing's row stands, the pool of blocks."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from emulator.model.groups import Block
from emulator.model.topology import INTERNET, Topology
from emulator.policy.tables import Place, PrefixBlock
from emulator.wire.addresses import net_and_mask
from emulator.wire.headers import Matrix

P = TypeVar("P")


class Pieces:
    """What was compiled of each part of the topology before, to be used again as long as nothing that it was made of changes.

    A piece knows no row number outside itself, so that it is the same wherever it stands.

    Attributes
    ----------
    made : ids of the parts that the last compilation made anew.
    """

    def __init__(self) -> None:
        self.made: list[str] = []
        self._kept: dict[str, tuple[tuple[object, ...], Any]] = {}

    def of(self, key: str, sources: tuple[object, ...], make: Callable[[], P]) -> P:
        """The piece of the part with this id, made of these sources: the kept one if it was made of the same."""
        kept = self._kept.get(key)
        if kept is None or kept[0] != sources:  # what is identical is equal without a closer look
            kept = self._kept[key] = sources, make()
            self.made.append(key)
        piece: P = kept[1]
        return piece

    def __len__(self) -> int:
        return len(self._kept)

    def begin(self, topology: Topology) -> None:
        """Begin a compilation; the pieces of what is gone go."""
        self.made = []
        if len(self._kept) > len(topology.entities):
            self._kept = {key: kept for key, kept in self._kept.items() if key in topology.entities}

    def copy(self) -> "Pieces":
        """Pieces to go on with apart from these."""
        twin = Pieces()
        twin._kept = dict(self._kept)
        return twin


class Ids:
    """Names of everything that a journal can hold, as positive integers that never change; ``internet`` is 1.

    With them go the pieces of the topology that was compiled last, in which these integers stand.
    """

    def __init__(self) -> None:
        self.names: list[str] = [""]
        self.pieces = Pieces()
        self._numbers: dict[str, int] = {}
        self.of(INTERNET)

    def of(self, name: str) -> int:
        """The integer of a name, given now if it has none yet."""
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]

    def __contains__(self, name: str) -> bool:
        return name in self._numbers

    def name(self, number: int) -> str:
        """The name of an integer; empty for 0."""
        return self.names[number]

    def __len__(self) -> int:
        return len(self.names)

    def copy(self) -> "Ids":
        """The same integers, to go on with apart from these."""
        twin = Ids()
        twin.names, twin._numbers, twin.pieces = list(self.names), dict(self._numbers), self.pieces.copy()
        return twin


def matrix(rows: list[list[int]], columns: int) -> Matrix:
    """Rows as a matrix; one row of zeros if there is none, so that kernels always find a row."""
    return np.array(rows, dtype=np.int64).reshape(len(rows), columns) if rows else np.zeros((1, columns), dtype=np.int64)


def block_rows(blocks: Iterable[Block]) -> Matrix:
    """The rows of some blocks, columns `PrefixBlock`; none if there are none."""
    rows = [(block.version, *net_and_mask(block)) for block in blocks]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(PrefixBlock))


class Pool:
    """A table that grows by pieces."""

    def __init__(self, columns: int) -> None:
        self._pieces: list[Matrix] = []
        self._columns, self._rows = columns, 0

    def add(self, piece: Matrix) -> tuple[int, int]:
        """Where a piece stands from now on: its first row and one past its last."""
        start, self._rows = self._rows, self._rows + len(piece)
        self._pieces.append(piece)
        return start, self._rows

    def matrix(self) -> Matrix:
        """The whole; one row of zeros if there is none, so that kernels always find a row."""
        return np.concatenate(self._pieces) if self._rows else np.zeros((1, self._columns), dtype=np.int64)


class Work:
    """Collects the rows of one topology."""

    def __init__(self, topology: Topology, ids: Ids) -> None:
        self.topology, self.ids = topology, ids
        self.places: dict[int, tuple[int, int]] = {}
        self.blocks = Pool(len(PrefixBlock))

    def place(self, name: str, kind: int, row: int) -> int:
        """The id of a place, whose kind and row are noted."""
        number = self.ids.of(name)
        self.places[number] = (kind, row)
        return number

    def span(self, blocks: Iterable[Block]) -> tuple[int, int]:
        """Where some blocks stand in the pool of all."""
        return self.blocks.add(block_rows(blocks))

    def place_rows(self) -> Matrix:
        """The rows of ``places``, by id; what has none here stands nowhere."""
        rows = np.zeros((len(self.ids), len(Place)), dtype=np.int64)
        rows[:, Place.ROW] = -1
        rows[list(self.places)] = list(self.places.values())
        return rows
