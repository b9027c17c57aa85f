"""Pictures that are laid out before they are drawn: a size in points, and a way to paint them on an axis."""

import os
from typing import TYPE_CHECKING, Protocol

from emulator.views.figure import in_notebook, kind_of, new_figure, rendered, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN = 18.0


class Sheet(Protocol):
    """A picture laid out."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""

    def paint(self, ax: "Axes", every_glyph: bool = False) -> "Axes":
        """Draw everything on an axis, and give it back."""


def draw(sheet: Sheet, ax: "Axes | None" = None) -> "Axes":
    """Draw a sheet; gives the axis, the given one, which loses its frame and ticks, or that of a new figure."""
    return sheet.paint(new_figure(*sheet.size, shown=in_notebook()).add_axes((0, 0, 1, 1)) if ax is None else ax)


def save(sheet: Sheet, path: str | os.PathLike[str]) -> None:
    """Write a sheet as PNG, SVG or PDF, by the name's suffix; the same input gives the same bytes.

    Raises
    ------
    UsageError : another suffix, or a place that cannot be written to.
    """
    kind = kind_of(path)
    write(path, rendered(kind, *sheet.size, lambda axis: sheet.paint(axis, every_glyph=kind == "svg")))
