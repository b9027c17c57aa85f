"""A reach table as one picture: the graph above, the matrix below."""

import os
from typing import TYPE_CHECKING

from emulator.reach.table import Reach
from emulator.views.figure import kind_of, rendered, write
from emulator.views.reachgraph import graph_of
from emulator.views.reachmatrix import matrix_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 14.0


def save_reach(found: Reach, path: str | os.PathLike[str]) -> None:
    """Write who can open what to whom as PNG, SVG or PDF, by the name's suffix; the same input gives the same bytes.

    Raises
    ------
    UsageError : another suffix, or a place that cannot be written to.
    """
    kind = kind_of(path)
    graph, matrix = graph_of(found), matrix_of(found)
    wide, high = max(graph.size[0], matrix.size[0]), graph.size[1] + GAP + matrix.size[1]

    def paint(whole: "Axes") -> None:
        whole.set_axis_off()
        top = high
        for sheet in (graph, matrix):
            top -= sheet.size[1]
            part = whole.figure.add_axes((0, top / high, sheet.size[0] / wide, sheet.size[1] / high))
            sheet.paint(part, every_glyph=kind == "svg")
            top -= GAP

    write(path, rendered(kind, wide, high, paint))
