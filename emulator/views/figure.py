"""Scenes drawn with matplotlib, on an axis that is given or made; files and bytes that are the same every time.

Only matplotlib's objects are used, with its own DejaVu Sans, whatever the user's settings; pyplot is touched only in a
notebook, when no axis is given, so that the figure is shown there.
"""

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.errors import CaptureError, UsageError
from emulator.model.topology import Topology
from emulator.views.scene import FlowLine, layout
from emulator.views.shapes import Box, Callout, Lane, Mark, Point, Rect, Scene, Text
from emulator.wire.atomic import written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS: dict[str, dict[str, object]] = {
    "png": {"Software": "vpcemu"},
    "svg": {"Date": None, "Creator": "vpcemu"},
    "pdf": {"CreationDate": None, "Creator": "vpcemu", "Producer": "vpcemu"},
}
DPI = 144.0
MOST_PIXELS = 9000.0  # of a side
ACCEPT, DROP, PARTIAL = "#117733", "#C4281B", "#B36B00"
LANE = {"accept": (ACCEPT, "solid"), "drop": (DROP, (0, (3.6, 1.6))), "partial": (PARTIAL, (0, (6, 1.4, 1.2, 1.4)))}
INK = {
    "ink": "#16191F",
    "quiet": "#545B64",
    "internet": "#5F6B7A",
    "exposed": "#8F3208",
    "vpc": "#6B3FD4",
    "router": "#5A35B5",
    "gate": "#5A35B5",
    "zone": "#00718A",
    "public": "#4D6B00",
    "private": "#00696B",
    "isolated": "#3D5A99",
    "accept": ACCEPT,
    "remembered": "#0B6E69",
}
# kind: face, edge, line, width, corner, layer
LOOK: dict[str, tuple[str, str, str | tuple[int, tuple[float, ...]], float, float, int]] = {
    "internet": ("#F3F5F7", "#7D8998", "solid", 1.3, 5, 1),
    "vpc": ("#FFFFFF", "#8C4FFF", "solid", 2.0, 5, 1),
    "router": ("#EEE6FF", "#8C4FFF", "solid", 1.1, 7, 2),
    "zone": ("none", "#00A4A6", (0, (4, 2.5)), 1.1, 4, 2),
    "public": ("#F2F6E8", "#7AA116", "solid", 1.2, 4, 3),
    "private": ("#E6F6F7", "#00A4A6", "solid", 1.2, 4, 3),
    "isolated": ("#EAF0FA", "#6C8EBF", "solid", 1.2, 4, 3),
    "host": ("#FFFFFF", "#7D8998", "solid", 1.2, 4, 4),
    "instance": ("#FFFFFF", "#ED7100", "solid", 1.7, 4, 4),
    "nat": ("#FFFFFF", "#8C4FFF", "solid", 1.7, 4, 4),
    "fold": ("#FFF8F0", "#ED7100", (0, (2, 1.5)), 1.4, 4, 4),
    "igw": ("#FFFFFF", "#8C4FFF", "solid", 1.9, 5, 9),
    "eigw": ("#FFFFFF", "#8C4FFF", (0, (5, 1.5)), 1.9, 5, 9),
    **dict.fromkeys(("pcx", "tgw", "vgw", "vpce"), ("#FFFFFF", "#8C4FFF", "solid", 1.9, 5, 9)),
}
TAGS = ("#1B6CA8", "#7A3E9D", "#9C4A12", "#0B6E69", "#8C2D5B", "#55601C", "#4A50B5", "#6B4E3D")
NO_TAG = "#6B7480"


def draw(scene_or_topology: Scene | Topology, flows: Iterable[FlowLine] = (), ax: "Axes | None" = None, title: str = "") -> "Axes":
    """Draw the map with its flows; gives the axis, the given one or that of a new figure.

    Parameters
    ----------
    flows, title : of the scene, if a topology is given.
    ax : loses its frame and ticks; texts and lines are scaled to its size.

    Examples
    --------
    >>> axis = draw(Topology("empty", {}))
    >>> axis.get_figure().get_size_inches().round(1).tolist()
    [5.8, 2.3]
    """
    scene = scene_or_topology if isinstance(scene_or_topology, Scene) else layout(scene_or_topology, flows, title)
    if ax is None:
        ax = new_figure(scene.width, scene.height, shown=in_notebook()).add_axes((0, 0, 1, 1))
    return _drawn(scene, ax)


def _drawn(scene: Scene, ax: "Axes", every_glyph: bool = False) -> "Axes":
    pen_on(ax, scene.width, scene.height, every_glyph).scene(scene)
    return ax


def pen_on(ax: "Axes", wide: float, high: float, every_glyph: bool = False) -> "Pen":
    """A pen for a drawing of so many points, y downwards, fitted into an axis that loses its frame and ticks."""
    ax.set_xlim(0, wide)
    ax.set_ylim(high, 0)
    ax.set_aspect("equal")
    ax.set_axis_off()
    area, dots = ax.get_window_extent(), ax.figure.dpi / 72
    return Pen(ax, float(min(area.width / wide, area.height / high) / dots), every_glyph)


def save(topology: Topology, path: str | os.PathLike[str], flows: Iterable[FlowLine] = (), title: str = "") -> None:
    """Write the map with its flows as PNG, SVG or PDF, by the name's suffix; the same input gives the same bytes.

    Raises
    ------
    UsageError : another suffix, or a place that cannot be written to.
    """
    kind = kind_of(path)
    write(path, _bytes(layout(topology, flows, title), kind))


def kind_of(path: str | os.PathLike[str]) -> str:
    """``png``, ``svg`` or ``pdf``, by the name's suffix.

    Raises
    ------
    UsageError : another suffix, or none.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        found = f"{kind} is not a kind of picture" if kind else "no suffix says what kind of picture"
        raise UsageError(f"{os.fspath(path)}: {found}; end the name in .png, .svg or .pdf")
    return kind


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a picture, whole or not at all.

    Raises
    ------
    UsageError : a place that cannot be written to.
    """
    try:
        with written(path) as file:
            file.write(data)
    except CaptureError as error:
        raise UsageError(str(error)) from None


def topology_png(topology: Topology) -> bytes:
    """The map as a PNG, for a notebook."""
    return _bytes(layout(topology), "png")


def _bytes(scene: Scene, kind: str) -> bytes:
    return rendered(kind, scene.width, scene.height, lambda axis: _drawn(scene, axis, every_glyph=kind == "svg"))


def rendered(kind: str, wide: float, high: float, paint: "Callable[[Axes], object]") -> bytes:
    """A picture of that many points as a file's bytes, whatever the user's settings; ``paint`` draws on the whole of it."""
    import matplotlib as mpl

    file = io.BytesIO()
    dpi = min(DPI, MOST_PIXELS * 72 / max(wide, high))
    settings: Any = {"svg.hashsalt": "vpcemu", "svg.fonttype": "none", "pdf.fonttype": 42, "pdf.compression": 6}
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        warnings.filterwarnings("ignore", "Glyph ", UserWarning)  # an SVG's texts are drawn with the reader's fonts
        figure = new_figure(wide, high)
        paint(figure.add_axes((0, 0, 1, 1)))
        figure.savefig(file, format=kind, dpi=dpi, metadata=FORMATS[kind])
    return file.getvalue()


def in_notebook() -> bool:
    """Whether a notebook runs this."""
    shell = sys.modules.get("IPython")
    return shell is not None and "IPKernelApp" in getattr(shell.get_ipython(), "config", {})


def new_figure(wide: float, high: float, shown: bool = False) -> "Figure":
    """A white figure of that many points; ``shown`` in the notebook's cell."""
    size = (wide / 72, high / 72)
    if shown:
        from matplotlib import pyplot as plt

        return plt.figure(figsize=size, facecolor="white")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


@cache
def font_of(bold: bool) -> tuple[Any, frozenset[int]]:
    """matplotlib's own DejaVu Sans and the characters it has, so that no setting and no missing glyph matters."""
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties, get_font

    path = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    font = FontProperties(family=["DejaVu Sans", "Verdana", "sans-serif"], weight="bold" if bold else "normal", fname=path)
    return font, frozenset(get_font(str(path)).get_charmap())


class Pen:
    """Draws on one axis; lines and letters are scaled, places are the axis's data.

    ``every_glyph`` keeps characters that the font lacks, for a reader who may have them.
    """

    def __init__(self, ax: "Axes", scale: float, every_glyph: bool) -> None:
        self.ax, self.scale, self.every_glyph = ax, scale, every_glyph

    def scene(self, scene: Scene) -> None:
        """Everything, from the ground up."""
        for box in scene.boxes:
            self.box(box)
        for link in scene.links:
            self.path(link, "#8C4FFF", (0, (1, 1.6)), 1.4, 3.0, 5)
        for tag in scene.tags:
            colour = TAGS[tag.colour % len(TAGS)] if tag.colour >= 0 else NO_TAG
            self.rounded(tag.rect, colour, "none", "solid", 0, tag.rect.h / 2.4, 6)
            middle = tag.rect.middle
            self.text(Text(middle[0], middle[1] + tag.size * 0.36, tag.text, tag.size, "white", True, "middle"), 7)
        for lane in (*scene.lanes, *scene.legend):
            self.lane(lane)
        for label in scene.labels:
            self.rounded(label.rect, "white", "none", "solid", 0, 2, 8.6, 0.88)
            middle = label.rect.middle
            self.text(Text(middle[0], middle[1] + label.size * 0.36, label.text, label.size, "label", False, "middle"), 8.8)
        for callout in scene.callouts:
            self.callout(callout)
        for text in scene.texts:
            self.text(text, 9.1 if text.role == "gate" else 6)

    def box(self, box: Box) -> None:
        """A box; an interface's is that of its instance, or a part of it."""
        if box.kind == "interface":
            return
        face, edge, line, wide, corner, layer = LOOK[box.kind]
        self.rounded(box.rect, face, edge, line, wide, corner, layer)

    def rounded(self, rect: Any, face: str, edge: str, line: Any, wide: float, corner: float, layer: float, alpha: float = 1) -> None:
        """A rectangle with round corners."""
        from matplotlib.patches import FancyBboxPatch

        corner = min(corner, rect.w / 2, rect.h / 2)
        self.ax.add_patch(
            FancyBboxPatch(
                (rect.x, rect.y),
                rect.w,
                rect.h,
                boxstyle=f"round,pad=0,rounding_size={corner}",
                facecolor=face,
                edgecolor=edge,
                linestyle=line,
                linewidth=wide * self.scale,
                zorder=layer,
                alpha=alpha,
            )
        )

    def plain(self, rect: Rect, face: str, edge: str = "none", hatch: str = "", layer: float = 3) -> None:
        """A rectangle, hatched in the colour of its edge."""
        from matplotlib.patches import Rectangle

        patch = Rectangle((rect.x, rect.y), rect.w, rect.h, facecolor=face, edgecolor=edge, hatch=hatch or None, zorder=layer)
        patch.set_linewidth(0.6 * self.scale if edge != "none" else 0)
        self.ax.add_patch(patch)

    def text(self, text: Text, layer: float, turn: float = 0) -> None:
        """A text as it is: nothing in it is a command, and what the font lacks is replaced; turned by degrees, leftwards."""
        font, known = font_of(text.bold)
        harmless = text.text
        if not self.every_glyph:
            harmless = "".join(character if ord(character) in known else "\ufffd" for character in harmless)
        font = font.copy()
        font.set_size(text.size * self.scale)
        align = {"start": "left", "middle": "center", "end": "right"}[text.anchor]
        colour = {"white": "white", "label": ACCEPT, "drop": "#8B140A", "partial": "#6E4200"}.get(text.role) or INK[text.role]
        self.ax.text(
            text.x,
            text.y,
            harmless,
            fontproperties=font,
            color=colour,
            horizontalalignment=align,
            verticalalignment="baseline",
            rotation=turn,
            rotation_mode="anchor",
            parse_math=False,
            usetex=False,
            zorder=layer,
            clip_on=False,
        )

    def path(self, points: Sequence[Point], colour: str, line: Any, wide: float, corner: float, layer: float) -> None:
        """A line through corner points, its corners rounded."""
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path as Curve

        vertices, codes = [points[0]], [Curve.MOVETO]
        for before, here, after in zip(points, points[1:], points[2:], strict=False):
            reach = min(corner, _length(before, here) / 2, _length(here, after) / 2)
            vertices += [_towards(here, before, reach), here, _towards(here, after, reach)]
            codes += [Curve.LINETO, Curve.CURVE3, Curve.CURVE3]
        vertices.append(points[-1])
        codes.append(Curve.LINETO)
        curve = Curve(vertices, codes)
        self.ax.add_patch(
            PathPatch(curve, fill=False, edgecolor=colour, linestyle=line, linewidth=wide * self.scale, zorder=layer, capstyle="butt")
        )

    def lane(self, lane: Lane) -> None:
        """A flow's line and its marks."""
        colour, line = LANE[lane.flow.verdict]
        if len(lane.points) > 1:
            points, last = list(lane.points), lane.marks[-1]
            if last.kind == "arrow":
                reach = min(last.radius, _length(points[-2], points[-1]) * 0.9)
                points[-1] = _towards(points[-1], points[-2], reach)
            self.path(points, "white", "solid", lane.weight + 1.4, 6, 7.9)
            self.path(points, colour, line, lane.weight, 6, 8)
        for mark in lane.marks:
            self.mark(mark, colour)

    def mark(self, mark: Mark, colour: str) -> None:
        """A dot where a lane starts, an arrow head, ✕ in a circle, or ! in a diamond."""
        from matplotlib.patches import Circle, Polygon

        x, y, size = mark.x, mark.y, mark.radius
        if mark.kind in ("start", "cross"):
            edge = "white" if mark.kind == "cross" else "none"
            self.ax.add_patch(Circle((x, y), size, facecolor=colour, edgecolor=edge, linewidth=0.8 * self.scale, zorder=9.5))
        if mark.kind == "cross":
            arm = size * 0.45
            for lean in (1, -1):
                self.stroke([(x - arm, y - lean * arm), (x + arm, y + lean * arm)], "white", size * 0.3)
        elif mark.kind == "part":
            grown = size * 1.25
            corners = [(x, y - grown), (x + grown, y), (x, y + grown), (x - grown, y)]
            self.ax.add_patch(Polygon(corners, facecolor=colour, edgecolor="white", linewidth=0.8 * self.scale, zorder=9.5))
            self.stroke([(x, y - size * 0.62), (x, y + size * 0.14)], "white", size * 0.3)
            self.stroke([(x, y + size * 0.4), (x, y + size * 0.64)], "white", size * 0.3)
        elif mark.kind == "arrow":
            ahead, aside = mark.heading, (-mark.heading[1], mark.heading[0])
            back = (x - ahead[0] * size * 1.7, y - ahead[1] * size * 1.7)
            tips = [(back[0] + lean * aside[0] * size * 0.8, back[1] + lean * aside[1] * size * 0.8) for lean in (1, -1)]
            self.ax.add_patch(Polygon([(x, y), *tips], facecolor=colour, edgecolor="white", linewidth=0.5 * self.scale, zorder=9.5))

    def stroke(self, points: Sequence[Point], colour: str, wide: float) -> None:
        """A short straight stroke of a sign."""
        from matplotlib.lines import Line2D

        self.ax.add_line(Line2D(*zip(*points, strict=True), color=colour, linewidth=wide * self.scale, zorder=9.6, solid_capstyle="round"))

    def callout(self, callout: Callout) -> None:
        """A listing with a line to its mark."""
        rect, (x, y) = callout.rect, callout.target
        colour, face = (DROP, "#FFF1EF") if callout.verdict == "drop" else (PARTIAL, "#FFF6E5")
        near = (min(max(x, rect.x), rect.right), min(max(y, rect.y), rect.bottom))
        self.path([near, (x, y)], colour, "solid", 0.9, 0, 9.2)
        self.rounded(rect, face, colour, "solid", 1.0, 3, 9.7, 0.97)
        from emulator.views.callouts import LEADING, PADDING

        for place, (line, bold) in enumerate(callout.lines):
            baseline = rect.y + PADDING + callout.size * 0.78 + place * LEADING
            self.text(Text(rect.x + PADDING + 1, baseline, line, callout.size, callout.verdict, bold), 9.9)


def _length(first: Point, last: Point) -> float:
    return float(abs(first[0] - last[0]) + abs(first[1] - last[1]))


def _towards(start: Point, aim: Point, reach: float) -> Point:
    length = _length(start, aim) or 1.0
    return start[0] + (aim[0] - start[0]) * reach / length, start[1] + (aim[1] - start[1]) * reach / length
