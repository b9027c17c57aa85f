"""The figures of a replay as its methods; matplotlib is loaded when one is asked for."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emulator.model.topology import Topology
    from emulator.observe.flows import Flow
    from emulator.replay import Replay
    from emulator.views.shapes import FlowLine
    from emulator.views.sheet import Sheet


class Pictures:
    """What can be drawn of a replay.

    Each ``draw_…`` draws on the given axis, which loses its frame and ticks, or on that of a new figure, and gives it;
    each ``save_…`` writes PNG, SVG or PDF by the name's suffix, the same bytes every time, and raises UsageError for
    another suffix or a place that cannot be written to.
    """

    @property
    def _replay(self) -> "Replay":
        return cast("Replay", self)

    def draw(self, ax: "Axes | None" = None, title: str = "", focus: str = "") -> "Axes":
        """The map with accepted and blocked flows; with ``focus``, only what has that name, or a flow's place, and its peers.

        Raises
        ------
        UsageError : nothing to focus on has that name.
        """
        from emulator.views import figure

        topology, lines = self._map(focus)
        return figure.draw(topology, lines, ax=ax, title=title or topology.name)

    def save_figure(self, path: str | Path, title: str = "", focus: str = "") -> None:
        """Write the map with its flows, or the part that `draw` would draw."""
        from emulator.views import figure

        topology, lines = self._map(focus)
        about = f" – {focus}" if focus else ""
        figure.save(topology, path, lines, title=title or f"{topology.name}: {self._replay.run.title}{about}")

    def _map(self, focus: str) -> "tuple[Topology, list[FlowLine]]":
        from emulator.views.flowlines import flow_lines
        from emulator.views.focus import focused

        topology, flows = self._replay.topology, self._replay.flows
        if focus:
            topology, flows = focused(topology, flows, focus)
        return topology, flow_lines(flows)

    def draw_ladder(self, flow: "Flow | int", ax: "Axes | None" = None, title: str = "") -> "Axes":
        """The ladder diagram of one of ``flows``, or of its place there; of replays up to `KEPT` packets."""
        return _draw(self._ladder(flow, title), ax)

    def save_ladder(self, flow: "Flow | int", path: str | Path, title: str = "") -> None:
        """Write the ladder diagram of one of ``flows``."""
        _save(self._ladder(flow, title), path)

    def _ladder(self, flow: "Flow | int", title: str) -> "Sheet":
        from emulator.views.ladder import Ladder
        from emulator.views.rungs import conversation

        return Ladder(conversation(self._replay, flow), title)

    def draw_timeline(self, ax: "Axes | None" = None, title: str = "") -> "Axes":
        """Accepted and blocked packets over time, with the top reasons; one more run for a replay that kept no packets."""
        return _draw(self._timeline(title), ax)

    def save_timeline(self, path: str | Path, title: str = "") -> None:
        """Write accepted and blocked packets over time."""
        _save(self._timeline(title), path)

    def _timeline(self, title: str) -> "Sheet":
        from emulator.views.timeline import Timeline

        return Timeline(self._replay, title)

    def draw_matrix(self, ax: "Axes | None" = None, title: str = "") -> "Axes":
        """Who reached whom, and with what."""
        return _draw(self._matrix(title), ax)

    def save_matrix(self, path: str | Path, title: str = "") -> None:
        """Write who reached whom."""
        _save(self._matrix(title), path)

    def _matrix(self, title: str) -> "Sheet":
        from emulator.views.trafficmatrix import TrafficMatrix

        return TrafficMatrix(self._replay, title)

    def draw_coverage(self, ax: "Axes | None" = None, title: str = "") -> "Axes":
        """The rules that packets met, and those that none did; one more run for a replay that kept no packets."""
        return _draw(self._coverage(title), ax)

    def save_coverage(self, path: str | Path, title: str = "") -> None:
        """Write the rules that packets met, and those that none did."""
        _save(self._coverage(title), path)

    def _coverage(self, title: str) -> "Sheet":
        from emulator.views.coveragebars import CoverageBars

        return CoverageBars(self._replay, title)


def _draw(sheet: "Sheet", ax: "Axes | None") -> "Axes":
    from emulator.views.sheet import draw

    return draw(sheet, ax)


def _save(sheet: "Sheet", path: str | Path) -> None:
    from emulator.views.sheet import save

    save(sheet, path)
