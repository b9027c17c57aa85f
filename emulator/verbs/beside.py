"""Two runs side by side: which packets both have, and which only one."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from emulator.runtime import Seen
from emulator.verbs.tcpdump import RowWriter


@dataclass(frozen=True)
class Beside:
    """Rows of two captures: (`` ``, ``-`` only left or ``+`` only right; the row)."""

    rows: tuple[tuple[str, str], ...]

    @property
    def same(self) -> bool:
        """Whether both runs have the same packets in the same order."""
        return all(mark == " " for mark, _ in self.rows)

    @property
    def only_left(self) -> tuple[str, ...]:
        """Rows of the first run alone."""
        return tuple(row for mark, row in self.rows if mark == "-")

    @property
    def only_right(self) -> tuple[str, ...]:
        """Rows of the second run alone."""
        return tuple(row for mark, row in self.rows if mark == "+")

    def __str__(self) -> str:
        return "\n".join(f"{mark} {row}" for mark, row in self.rows)

    __repr__ = __str__


def beside(left: Sequence[Seen], right: Sequence[Seen], interfaces: dict[int, str]) -> Beside:
    """Two captures compared packet by packet; times are shown and not compared."""
    rows = [[RowWriter.split(row) for row in _rows(seen, interfaces)] for seen in (left, right)]
    matcher = SequenceMatcher(None, [text for _, text in rows[0]], [text for _, text in rows[1]], autojunk=False)
    found: list[tuple[str, str]] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            found += [(" ", f"{time} {text}") for time, text in rows[0][a:b]]
            continue
        found += [("-", f"{time} {text}") for time, text in rows[0][a:b]]
        found += [("+", f"{time} {text}") for time, text in rows[1][c:d]]
    return Beside(tuple(found))


def _rows(seen: Sequence[Seen], interfaces: dict[int, str]) -> list[str]:
    writer = RowWriter(interfaces if len(interfaces) > 1 else {})
    return [writer.row(one) for one in seen]
