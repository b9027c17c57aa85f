"""Flow logs of a running network, as text and as rows."""

from dataclasses import dataclass
from typing import Any

from emulator.observe.flowlogfiles import line_of


@dataclass(frozen=True)
class FlowLogText:
    """Rows of a flow log; each is a dict of its fields."""

    fields: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def actions(self) -> list[str | None]:
        """ACCEPT or REJECT of each row."""
        return [row["action"] for row in self.rows]

    def __str__(self) -> str:
        return "\n".join([" ".join(self.fields), *(line_of(row, self.fields) for row in self.rows)])

    __repr__ = __str__
