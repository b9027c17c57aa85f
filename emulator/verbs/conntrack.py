"""conntrack: what the interfaces remember, in the rows of conntrack -L."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.observe.entries import TrackingEntry, entries_html

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class ConntrackTable:
    """Entries of one interface or of all; a list of `TrackingEntry` with a text."""

    entries: tuple[TrackingEntry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> TrackingEntry:
        return self.entries[index]

    def __bool__(self) -> bool:
        return bool(self.entries)

    def __str__(self) -> str:
        several = len({entry.interface for entry in self.entries}) > 1
        rows = [(f"{entry.interface:<16} " if several else "") + str(entry) for entry in self.entries]
        count = len(self.entries)
        return "\n".join([*rows, f"{count} flow {'entry' if count == 1 else 'entries'} {'has' if count == 1 else 'have'} been shown."])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return entries_html(self.entries)

    def to_dataframe(self) -> "DataFrame":
        """A row an entry; see `emulator.observe.dataframes`.

        Raises
        ------
        UsageError : pandas is not installed.
        """
        from emulator.observe.dataframes import entries_dataframe

        return entries_dataframe(self.entries)
