"""A picture of a topology and its flows, laid out once, in points: no drawing library, the same for the same input.

`boxes` places what stands still, from the topology alone; `paths` finds the way of each flow, `lanes` and `channels`
give it tracks of its own; `callouts` puts words where there is room.  `emulator.views.figure` draws the outcome.
"""

from collections.abc import Iterable, Sequence

from emulator.model.topology import Topology
from emulator.views import boxes, bundles, callouts, cards, folds
from emulator.views.lanes import lanes as routed
from emulator.views.shapes import Box, Callout, FlowLine, Label, Lane, Mark, Rect, Scene, Tag, Text
from emulator.views.text import cut, width

__all__ = ["DRAWN", "Box", "Callout", "FlowLine", "Label", "Lane", "Mark", "Rect", "Scene", "Tag", "Text", "layout"]

DRAWN = 10  # lanes of accepted flows, and as many of blocked ones


def layout(topology: Topology, flows: Iterable[FlowLine] = (), title: str = "", drawn: int = DRAWN) -> Scene:
    """The picture of a topology with its flows.

    Parameters
    ----------
    flows : those between the same two ends with the same fate become one lane (see `bundles`), and so do those of
        interfaces that share a card (see `folds`).
    title : the topology's name if empty.
    drawn : at most so many accepted lanes, and so many blocked ones, those with the most packets.

    Examples
    --------
    >>> scene = layout(Topology("empty", {}))
    >>> [box.id for box in scene.boxes]
    ['internet:others', 'internet']
    """
    flows = list(flows)
    together = folds.homes(topology, flows, 2 * drawn)
    given = bundles.bundled(folds.folded(topology, flows, together) if together else flows)
    shown, left_out = bundles.chosen(given, drawn)
    # By what flows between two ends alone, so that no box moves when a verdict changes.
    packets: dict[tuple[str, str], int] = {}
    for flow in given:
        packets[flow.source, flow.destination] = packets.get((flow.source, flow.destination), 0) + flow.packets
    cards_drawn = set(together.values())
    most = sorted(packets, key=lambda pair: (-packets[pair], pair))[: 2 * drawn]
    ends = [end for source, target in most for end in (target, source) if end not in cards_drawn]
    plan = boxes.plan(topology, ends)
    lanes = routed(topology, plan, shown)
    grown = plan.head
    area = Rect(6, plan.top - 8, plan.width - 12, plan.bottom - plan.top + 16)
    speaking = callouts.callouts(topology, plan, lanes, area)
    bottom = max([plan.bottom, *(callout.rect.bottom for callout in speaking)])
    legend, words = _legend(bottom + 28 * grown, grown, {flow.verdict for flow in shown})
    room = plan.width - 2 * boxes.MARGIN
    words += [
        Text(boxes.MARGIN, 28 * grown, cut(title or topology.name, room, 15 * grown, True), 15 * grown, "ink", True),
        Text(boxes.MARGIN, 45 * grown, cut(_subtitle(topology, given), room, 8.6 * grown), 8.6 * grown, "quiet"),
    ]
    height = bottom + (44 * grown if legend else boxes.MARGIN)
    if left_out:
        words.append(Text(boxes.MARGIN, height, left_out, 8.2 * grown, "quiet"))
        height += 14 * grown
    return Scene(
        plan.width,
        height,
        tuple(plan.boxes),
        (*plan.texts, *words),
        tuple(plan.tags),
        tuple(plan.links),
        lanes,
        speaking,
        callouts.labels(plan, lanes, speaking),
        legend,
        left_out,
        together,
    )


def _subtitle(topology: Topology, flows: Sequence[FlowLine]) -> str:
    words = cards.counts(topology)
    if not flows:
        return words
    count = {verdict: sum(flow.flows for flow in flows if flow.verdict == verdict) for verdict in bundles.VERDICTS}
    total = sum(count.values())
    parts = [f"{count['accept']:,} accepted", f"{count['drop']:,} blocked"]
    if count["partial"]:
        parts.append(f"{count['partial']:,} blocked in part")
    return f"{words}  –  {total:,} {'flow' if total == 1 else 'flows'}: {', '.join(parts)}"


def _legend(y: float, grown: float, verdicts: set[str]) -> tuple[tuple[Lane, ...], list[Text]]:
    """Samples of the kinds of lanes that there are, and their names."""
    done, words = [], []
    x = boxes.MARGIN
    kinds = (("accept", "arrow", "accepted"), ("drop", "cross", "blocked, at the ✕"), ("partial", "part", "blocked in part, at the !"))
    for verdict, sign, word in kinds:
        if verdict not in verdicts:
            continue
        end = (x + 40 * grown, y - 3 * grown)
        marks = (Mark("start", x, end[1], 2.6 * grown), Mark(sign, *end, 5.6 * grown, (1.0, 0.0)))
        done.append(Lane(FlowLine("", "", "", verdict), ((x, end[1]), end), marks, 2.1 * grown))
        words.append(Text(x + 51 * grown, y, word, 8.2 * grown, "quiet"))
        x += (51 + 18) * grown + width(word, 8.2 * grown)
    return tuple(done), words
