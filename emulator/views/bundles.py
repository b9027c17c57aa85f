"""Flows as bundles: what goes the same way to the same end is one lane, so that a scan of a thousand ports is one line.

A bundle's label names its services (``tcp/22, 80, 443 · udp/53``), those with the most packets first when there is no
room for all of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from emulator.views.shapes import FlowLine

VERDICTS = ("accept", "drop", "partial")
SERVICES, LONGEST = 5, 30  # named in a label, and its characters


def bundled(flows: Iterable[FlowLine]) -> list[FlowLine]:
    """One line for all flows between the same two ends with the same fate, in the order of their first flow.

    An address is kept where all flows of the bundle have the same.
    """
    together: dict[tuple[str, ...], list[FlowLine]] = {}
    for flow in flows:
        together.setdefault(fate(flow), []).append(flow if flow.verdict in VERDICTS else replace(flow, verdict="partial"))
    return [_bundle(found) for found in together.values()]


def fate(flow: FlowLine) -> tuple[str, ...]:
    """What the flows of one lane have in common: their ends and what became of them."""
    verdict = flow.verdict if flow.verdict in VERDICTS else "partial"
    return flow.source, flow.destination, verdict, flow.died_at, flow.code, flow.reason, str(flow.egress)


def _bundle(flows: Sequence[FlowLine]) -> FlowLine:
    return replace(
        flows[0],
        label=services(flows),
        packets=sum(flow.packets for flow in flows),
        dropped=sum(flow.dropped for flow in flows),
        source_ip=_one({flow.source_ip for flow in flows}),
        destination_ip=_one({flow.destination_ip for flow in flows}),
        flows=sum(flow.flows for flow in flows),
    )


def _one(ips: set[str]) -> str:
    return min(ips) if len(ips) == 1 else ""


def services(flows: Iterable[FlowLine]) -> str:
    """The services of flows in few words.

    Examples
    --------
    >>> services([FlowLine("a", "b", label, "accept") for label in ("tcp/443", "udp/53", "tcp/80", "icmp")])
    'tcp/80, 443 · udp/53 · icmp'
    """
    packets: dict[str, int] = {}
    for flow in flows:
        packets[flow.label] = packets.get(flow.label, 0) + flow.packets
    shown = sorted(packets, key=lambda label: (-packets[label], label))[:SERVICES]
    while len(words := _joined(packets, shown)) > LONGEST and len(shown) > 1:
        shown.pop()
    return words


def _joined(labels: Iterable[str], shown: Sequence[str]) -> str:
    """Those shown, protocols in the order of all, and how many more there are."""
    ports: dict[str, list[str]] = {}
    hidden = 0
    for label in labels:
        protocol, slash, port = label.partition("/")
        if label not in shown:
            hidden += 1
        else:
            ports.setdefault(protocol, []).extend([port] if slash else [])
    words = [f"{protocol}/{', '.join(sorted(found, key=_numeric))}" if found else protocol for protocol, found in ports.items()]
    return " · ".join(words) + (f" + {hidden:,} more" if hidden else "")


def _numeric(port: str) -> tuple[int, str]:
    return (int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 1 << 16), port


def chosen(bundles: Sequence[FlowLine], drawn: int) -> tuple[list[FlowLine], str]:
    """The bundles to draw, those with the most packets of each verdict, and what to say of the others."""
    shown: list[FlowLine] = []
    rest = []
    for accepted, word in ((True, "accepted"), (False, "blocked")):
        mine = [flow for flow in bundles if (flow.verdict == "accept") == accepted]
        mine.sort(key=lambda flow: (-flow.packets, fate(flow)))
        shown += mine[:drawn]
        missing = sum(flow.flows for flow in mine[drawn:])
        if missing:
            rest.append((missing, word))
    if not rest:
        return shown, ""
    nouns = "flow" if sum(missing for missing, _ in rest) == 1 else "flows"
    return shown, f"+ {' and '.join(f'{missing:,} {word}' for missing, word in rest)} {nouns} not drawn"
