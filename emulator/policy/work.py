"""What all parts of the compiler share: ids of everything, where each thing's row stands, the pool of blocks."""

from collections.abc import Iterable

import numpy as np

from emulator.model.groups import Block
from emulator.model.topology import INTERNET, Topology
from emulator.wire.addresses import net_and_mask
from emulator.wire.headers import Matrix


class Ids:
    """Names of everything that a journal can hold, as positive integers that never change; ``internet`` is 1."""

    def __init__(self) -> None:
        self.names: list[str] = [""]
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


def matrix(rows: list[list[int]], columns: int) -> Matrix:
    """Rows as a matrix; one row of zeros if there is none, so that kernels always find a row."""
    return np.array(rows, dtype=np.int64).reshape(len(rows), columns) if rows else np.zeros((1, columns), dtype=np.int64)


class Work:
    """Collects the rows of one topology."""

    def __init__(self, topology: Topology, ids: Ids) -> None:
        self.topology, self.ids = topology, ids
        self.places: dict[int, tuple[int, int]] = {}
        self.blocks: list[list[int]] = []

    def place(self, name: str, kind: int, row: int) -> int:
        """The id of a place, whose kind and row are noted."""
        number = self.ids.of(name)
        self.places[number] = (kind, row)
        return number

    def span(self, blocks: Iterable[Block]) -> tuple[int, int]:
        """Where some blocks stand in the pool of all."""
        start = len(self.blocks)
        self.blocks += [[block.version, *net_and_mask(block)] for block in blocks]
        return start, len(self.blocks)
