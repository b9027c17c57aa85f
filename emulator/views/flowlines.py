"""The flows of a replay as lines of a picture."""

import re
from collections.abc import Iterable

from emulator.observe.flows import Flow
from emulator.observe.words import Why
from emulator.views.scene import FlowLine

# What a callout has said already: the packet, its other end, and the rules that came near.
_SAID = re.compile(r" (denies|allows) \S+ (?:from|to) [0-9a-f.:]+")
_WHERE = re.compile(r": [0-9a-f.:]+$")


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
        _short(why) if why else "",
        why.code if why else "",
        why is not None and why.stage in ("E0", "E2", "E3"),
        flow.source.ip,
        flow.destination.ip,
    )


def _short(why: Why) -> str:
    """The reason without what stands beside it anyway; groups are named by the picture itself."""
    if why.code in ("ENI_SG_RULES_MISMATCH", "SG_HAS_NO_RULES"):
        return ""
    return _WHERE.sub("", _SAID.sub(r" \1 it", why.text.partition("; ")[0]))
