"""A picture of a topology and its flows, laid out once, in points: no drawing library, the same for the same input.

`boxes` places what stands still, from the topology alone; `paths` finds the way of each flow, `lanes` and `channels`
give it tracks of its own; `callouts` puts words where there is room.  `emulator.views.figure` draws the outcome.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from emulator.model.topology import Topology
from emulator.views import boxes, callouts, cards
from emulator.views.lanes import lanes as routed
from emulator.views.shapes import Box, Callout, FlowLine, Label, Lane, Mark, Rect, Scene, Tag, Text
from emulator.views.text import cut, width

__all__ = ["DRAWN", "Box", "Callout", "FlowLine", "Label", "Lane", "Mark", "Rect", "Scene", "Tag", "Text", "layout"]

DRAWN = 10  # lanes of accepted flows, and as many of blocked ones
_VERDICTS = ("accept", "drop", "partial")


def layout(topology: Topology, flows: Iterable[FlowLine] = (), title: str = "", drawn: int = DRAWN) -> Scene:
    """The picture of a topology with its flows.

    Parameters
    ----------
    flows : those alike in everything but their packets become one lane.
    title : the topology's name if empty.
    drawn : at most so many accepted lanes, and so many blocked ones, those with the most packets.

    Examples
    --------
    >>> scene = layout(Topology("empty", {}))
    >>> [box.id for box in scene.boxes]
    ['internet:others', 'internet']
    """
    given = [flow if flow.verdict in _VERDICTS else replace(flow, verdict="partial") for flow in flows]
    shown, left_out = _chosen(given, drawn)
    blocked_first = sorted(shown, key=lambda flow: flow.verdict == "accept")
    ends = [key for flow in blocked_first for key in (flow.destination, flow.source)]
    plan = boxes.plan(topology, ends, ends)
    lanes = routed(topology, plan, shown)
    area = Rect(6, plan.top - 8, plan.width - 12, plan.height - plan.strip - plan.top + 16)
    speaking = callouts.callouts(topology, plan, lanes, area)
    grown = plan.head
    legend, words = _legend(plan.height - plan.strip + 26 * grown, grown)
    room = plan.width - 2 * boxes.MARGIN
    head = [
        Text(boxes.MARGIN, 28 * grown, cut(title or topology.name, room, 15 * grown, True), 15 * grown, "ink", True),
        Text(boxes.MARGIN, 45 * grown, cut(_subtitle(topology, given), room, 8.6 * grown), 8.6 * grown, "quiet"),
    ]
    if left_out:
        words.append(Text(boxes.MARGIN, plan.height - 12 * grown, left_out, 8.2 * grown, "quiet"))
    return Scene(
        plan.width,
        plan.height,
        tuple(plan.boxes),
        (*plan.texts, *head, *words),
        tuple(plan.tags),
        tuple(plan.links),
        lanes,
        speaking,
        callouts.labels(plan, lanes, speaking),
        legend,
        left_out,
    )


def _alike(flow: FlowLine) -> tuple[str, ...]:
    return flow.source, flow.destination, flow.label, flow.verdict, flow.died_at, flow.code


def _chosen(flows: Sequence[FlowLine], drawn: int) -> tuple[list[FlowLine], str]:
    """The flows to draw, alike ones as one, and what to say of the others."""
    merged: dict[tuple[str, ...], FlowLine] = {}
    number: dict[tuple[str, ...], int] = {}
    for flow in flows:
        key = _alike(flow)
        known = merged.get(key)
        number[key] = number.get(key, 0) + 1
        merged[key] = replace(known, packets=known.packets + flow.packets, dropped=known.dropped + flow.dropped) if known else flow
    shown: list[FlowLine] = []
    rest = []
    for accepted, word in ((True, "accepted"), (False, "blocked")):
        mine = [flow for flow in merged.values() if (flow.verdict == "accept") == accepted]
        mine.sort(key=lambda flow: (-flow.packets, _alike(flow)))
        shown += mine[:drawn]
        missing = sum(number[_alike(flow)] for flow in mine[drawn:])
        if missing:
            rest.append((missing, word))
    if not rest:
        return shown, ""
    nouns = "flow" if sum(missing for missing, _ in rest) == 1 else "flows"
    return shown, f"+ {' and '.join(f'{missing} {word}' for missing, word in rest)} {nouns} not drawn"


def _subtitle(topology: Topology, flows: Sequence[FlowLine]) -> str:
    words = cards.counts(topology)
    if not flows:
        return words
    count = {verdict: sum(1 for flow in flows if flow.verdict == verdict) for verdict in _VERDICTS}
    parts = [f"{count['accept']} accepted", f"{count['drop']} blocked"]
    if count["partial"]:
        parts.append(f"{count['partial']} blocked in part")
    return f"{words}  –  {len(flows)} {'flow' if len(flows) == 1 else 'flows'}: {', '.join(parts)}"


def _legend(y: float, grown: float) -> tuple[tuple[Lane, ...], list[Text]]:
    """Samples of the three kinds of lanes, and their names."""
    done, words = [], []
    x = boxes.MARGIN
    kinds = (("accept", "arrow", "accepted"), ("drop", "cross", "blocked, at the ✕"), ("partial", "part", "blocked in part"))
    for verdict, sign, word in kinds:
        end = (x + 40 * grown, y - 3 * grown)
        marks = (Mark("start", x, end[1], 2.6 * grown), Mark(sign, *end, 5.6 * grown, (1.0, 0.0)))
        done.append(Lane(FlowLine("", "", "", verdict), ((x, end[1]), end), marks, 2.1 * grown))
        words.append(Text(x + 51 * grown, y, word, 8.2 * grown, "quiet"))
        x += (51 + 18) * grown + width(word, 8.2 * grown)
    return tuple(done), words
