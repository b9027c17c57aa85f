"""The flows of a replay as lines of a picture."""

from collections.abc import Iterable

from emulator.observe.flows import Flow
from emulator.views.scene import FlowLine


def flow_lines(flows: Iterable[Flow]) -> list[FlowLine]:
    """A line for each flow; what was never sent or lost nothing of its own is drawn as what passed, or not at all."""
    return [_line(flow) for flow in flows if flow.accepted or flow.dropped]


def _line(flow: Flow) -> FlowLine:
    verdict = "accept" if not flow.dropped else flow.verdict
    why = flow.why if flow.dropped else None
    return FlowLine(
        flow.source.id,
        flow.destination.id,
        flow.label,
        verdict,
        flow.packets,
        flow.dropped,
        why.at_id if why else "",
        why.text if why else "",
        why.code if why else "",
        bool(why) and why.stage in ("E0", "E2", "E3"),
    )
