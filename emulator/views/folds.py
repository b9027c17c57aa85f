"""Large subnets: past ``FOLD`` interfaces, those with the same security groups share a card, and so do their flows.

An interface with a good part of all packets keeps a card and lanes of its own.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from emulator.model.entities import NetworkInterface, Subnet
from emulator.model.topology import Topology
from emulator.views.phrases import reason
from emulator.views.shapes import FlowLine

FOLD = 30
CARDS = 6  # of more combinations of groups in a subnet, all share one card
BUSY = 0.04  # of all packets


def fold_ids(topology: Topology) -> dict[str, str]:
    """The id of the card that stands for an interface of a large subnet, by the interface's."""
    by_subnet: dict[str, list[NetworkInterface]] = {}
    for eni in topology.all(NetworkInterface):
        by_subnet.setdefault(eni.subnet, []).append(eni)
    done = {}
    for subnet, enis in by_subnet.items():
        if len(enis) > FOLD:
            alone = len({frozenset(eni.security_groups) for eni in enis}) <= CARDS
            done.update({eni.id: f"{subnet}:{' '.join(sorted(eni.security_groups)) if alone else 'others'}" for eni in enis})
    return done


def homes(topology: Topology, flows: Sequence[FlowLine], pairs: int) -> dict[str, str]:
    """The cards of those whose flows are drawn together; none as long as no more pairs of ends than that have flows."""
    if len({(flow.source, flow.destination) for flow in flows}) <= pairs:
        return {}
    packets: Counter[str] = Counter()
    for flow in flows:
        packets.update({flow.source: flow.packets, flow.destination: flow.packets})
    enough = BUSY * sum(flow.packets for flow in flows)
    return {eni: card for eni, card in fold_ids(topology).items() if packets[eni] < enough}


def folded(topology: Topology, flows: Iterable[FlowLine], into: dict[str, str]) -> list[FlowLine]:
    """The flows with the ends and the places that a card stands for replaced by that card."""
    names = {card: _name(topology, eni) for eni, card in into.items()}

    def one(flow: FlowLine) -> FlowLine:
        source, destination, died_at = (into.get(key, key) for key in (flow.source, flow.destination, flow.died_at))
        return replace(
            flow,
            source=source,
            destination=destination,
            source_ip=names.get(source, flow.source_ip),
            destination_ip=names.get(destination, flow.destination_ip),
            died_at=died_at,
            reason=flow.reason if died_at == flow.died_at else reason(topology, flow),
        )

    return [one(flow) for flow in flows]


def _name(topology: Topology, eni_id: str) -> str:
    eni = topology.get(eni_id, NetworkInterface)
    groups = ", ".join(topology.display(group) for group in eni.security_groups)
    return f"{topology.get(eni.subnet, Subnet).name} · {groups}"
