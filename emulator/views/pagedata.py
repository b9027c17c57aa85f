"""What the interactive page knows: plain data made of a replay, bounded, its texts harmless.

Verdicts, steps, candidate rules and tracking entries are the engine's own; the page only shows them.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from emulator.bulk.plan import Plan
from emulator.bulk.results import PacketResult, Stretch
from emulator.datapath.state import Outcome
from emulator.datapath.state import Step as Column
from emulator.engine import Engine
from emulator.model.entities import NetworkInterface
from emulator.model.groups import Direction, SecurityGroup
from emulator.model.services import Service, protocol_name
from emulator.model.topology import Topology
from emulator.observe.coverage import peer_name
from emulator.observe.details import candidates
from emulator.observe.entries import entries_of
from emulator.observe.flows import Flow
from emulator.observe.trace import Step, Trace, steps_of
from emulator.policy.reasons import STAGE_CODE, Stage, Verdict
from emulator.replay import Replay
from emulator.views.bundles import fate
from emulator.views.flowlines import flow_lines
from emulator.views.folds import folded
from emulator.views.rungs import label_of
from emulator.views.scene import Scene, layout
from emulator.views.text import clean
from emulator.wire.addresses import address
from emulator.wire.headers import Field, Matrix
from emulator.wire.packet import Packet

FLOWS, PACKETS, OF_FLOW, MOMENTS, ENTRIES, RULES = 1_000, 1_500, 40, 1_500, 500, 60
LANES = 20  # lanes of accepted flows, and as many of blocked ones
_GROUPS = (Stage.GROUP_EGRESS, Stage.GROUP_INGRESS)
_HEADER = (Field.LENGTH, Field.TTL, Field.TYPE, Field.CODE, Field.FLAGS, Field.FRAGMENT_OFFSET, Field.FRAGMENT_ID)


def page_data(replay: Replay) -> dict[str, Any]:
    """Everything that the page of a replay shows, at most `FLOWS` flows and `PACKETS` packets of them."""
    topology = replay.topology
    scene = layout(topology, flow_lines(replay.flows), f"{topology.name}: {replay.run.title}", drawn=LANES)
    ranked = sorted(replay.flows, key=lambda flow: (not flow.dropped, flow.verdict == "accept", -flow.packets, flow.first_index))
    flows = sorted(ranked[:FLOWS], key=lambda flow: flow.first_index)
    made = _Packets(replay, flows)
    lanes = {fate(lane.flow): place for place, lane in enumerate(scene.lanes)}
    done: dict[str, Any] = harmless(
        {
            **_map(topology, scene),
            "capture": replay.run.title,
            "counts": replay.counts,
            "skipped": replay.skipped,
            "flows": [_flow(flow, lanes.get(way, -1)) for flow, way in zip(flows, _fates(topology, flows, scene), strict=True)],
            "packets": made.packets,
            "ways": made.ways,
            "entries": made.entries,
            "moments": made.moments,
            "left_out": _left_out(replay, flows, made),
        }
    )
    return done


def map_data(topology: Topology) -> dict[str, Any]:
    """What the page of a topology shows: its map and its groups, no traffic and no capture."""
    nothing: dict[str, Any] = {"capture": "", "counts": {}, "skipped": {}, "left_out": ""}
    nothing |= {kind: [] for kind in ("flows", "packets", "ways", "entries", "moments")}
    done: dict[str, Any] = harmless(_map(topology, layout(topology)) | nothing)
    return done


def _map(topology: Topology, scene: Scene) -> dict[str, Any]:
    return {
        "title": topology.name,
        "scene": asdict(replace(scene, together={})),
        "names": _names(topology, scene),
        "interfaces": {eni.id: _interface(topology, eni) for eni in _shown(topology, scene)},
    }


def harmless(value: Any) -> Any:
    """Plain data whose texts are short and without control and format characters."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): harmless(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [harmless(item) for item in value]
    return round(value, 1) if isinstance(value, float) else value


def _left_out(replay: Replay, flows: list[Flow], made: "_Packets") -> str:
    words = []
    if len(replay.flows) > len(flows):
        words.append(f"{len(replay.flows) - len(flows):,} of {len(replay.flows):,} flows")
    missing = replay.counts["total"] - replay.counts["skipped"] - len(made.packets)
    if missing > 0:
        words.append(f"the steps of {missing:,} packets")
    if made.unseen:
        words.append("tracking tables of later moments")
    return f"Not on this page: {', '.join(words)}." if words else ""


def _names(topology: Topology, scene: Scene) -> dict[str, str]:
    return {box.id: topology.display(box.id) for box in scene.boxes}


def _shown(topology: Topology, scene: Scene) -> Iterator[NetworkInterface]:
    for box in scene.boxes:
        entity = topology.entities.get(box.id)
        if isinstance(entity, NetworkInterface):
            yield entity


def _interface(topology: Topology, eni: NetworkInterface) -> dict[str, Any]:
    groups = [topology.get(group, SecurityGroup) for group in eni.security_groups]
    return {
        "name": topology.display(eni.id),
        "addresses": [*map(str, eni.private_ips), *(f"{public} (public)" for _, public in eni.public_ips)],
        "groups": [
            {
                "name": group.name,
                "description": group.description,
                "rules": [
                    [way.name.lower(), str(Service(rule.protocol, rule.ports)), peer_name(topology, rule), rule.description, rule.place]
                    for way in (Direction.INGRESS, Direction.EGRESS)
                    for rule in group.rules(way)[:RULES]
                ],
            }
            for group in groups
        ],
    }


def _fates(topology: Topology, flows: list[Flow], scene: Scene) -> Iterator[tuple[str, ...]]:
    """What the lane of each flow has in common; nothing for one that is not drawn."""
    for flow in flows:
        line = folded(topology, flow_lines([flow]), scene.together)
        yield fate(line[0]) if line else ()


def _flow(flow: Flow, lane: int) -> dict[str, Any]:
    return {
        **flow.to_json(),
        "from": [str(flow.source), flow.source.ip, flow.source.port, flow.source.id],
        "to": [str(flow.destination), flow.destination.ip, flow.destination.port, flow.destination.id],
        "label": flow.label,
        "time_ns": flow.first_time_ns,
        "lane": lane,
    }


class _Packets:
    """The packets of some flows, their ways (each told once), and what the interfaces remembered at each moment."""

    def __init__(self, replay: Replay, flows: list[Flow]) -> None:
        self.packets: list[dict[str, Any]] = []
        self.ways: list[list[dict[str, Any]]] = []
        self.entries: list[dict[str, Any]] = []
        self.moments: list[list[int]] = []
        self.unseen = False
        self._known: dict[object, int] = {}
        self._replay, self._words = replay, replay.words
        stretch, journal = replay.head()
        numbers = {self._key(flow): number for number, flow in enumerate(flows)}
        steps = self._steps(journal)
        budget = PACKETS if replay.counts["total"] <= PACKETS else max(3, min(OF_FLOW, PACKETS // max(1, len(flows))))
        taken: dict[int, int] = defaultdict(int)
        rows: list[int] = []
        for row in range(len(stretch.headers)):
            if len(rows) >= PACKETS:
                break
            ends = self._ends(stretch.seen[row])
            number = numbers.get(ends, numbers.get(self._turned(ends), -1))
            if number < 0 or taken[number] >= budget:
                continue
            result = stretch.result(self._words, row)
            if result.verdict == "skipped":
                continue
            taken[number] += 1
            rows.append(row)
            forward = ends[1] == flows[number].source.ip and ends[2] == flows[number].source.port
            self.packets.append(self._packet(stretch, row, result, number, forward, steps.get(result.index, journal[:0])))
        self._remember(stretch, rows)

    def _steps(self, journal: Matrix) -> dict[int, Matrix]:
        order = np.argsort(journal[:, Column.PACKET], kind="stable")
        rows = journal[order]
        keys, starts = np.unique(rows[:, Column.PACKET], return_index=True)
        return dict(zip(keys.tolist(), np.split(rows, starts[1:]), strict=True)) if len(rows) else {}

    @staticmethod
    def _key(flow: Flow) -> tuple[str, str, int, str, int]:
        return (flow.protocol, flow.source.ip, flow.source.port, flow.destination.ip, flow.destination.port)

    @staticmethod
    def _turned(key: tuple[str, str, int, str, int]) -> tuple[str, str, int, str, int]:
        return (key[0], key[3], key[4], key[1], key[2])

    @staticmethod
    def _ends(header: Any) -> tuple[str, str, int, str, int]:
        family = int(header[Field.FAMILY])
        source, destination = ((int(header[column]), int(header[column + 1])) for column in (Field.SOURCE_HI, Field.DESTINATION_HI))
        protocol = protocol_name(int(header[Field.PROTOCOL]))
        ports = [int(header[Field.SOURCE_PORT]), int(header[Field.DESTINATION_PORT])]
        if protocol.startswith("icmp"):
            ports = [0, 0]
        return protocol, str(address(family, *source)), ports[0], str(address(family, *destination)), ports[1]

    def _packet(self, stretch: Stretch, row: int, result: PacketResult, number: int, forward: bool, journal: Matrix) -> dict[str, Any]:
        header = stretch.headers[row]
        outcome = stretch.outcomes[result.index - stretch.first]
        return {
            "index": result.index,
            "time_ns": result.time_ns,
            "end_ns": int(outcome[Outcome.TIME_NS]),
            "flow": number,
            "forward": forward,
            "verdict": result.verdict,
            "label": label_of(stretch.seen[row]),
            "code": result.why.code if result.why else "",
            "text": result.why.text if result.why else "",
            "way": self._way(header, outcome, journal, result),
            "header": [int(header[column]) for column in _HEADER],
            "ends": list(self._ends(stretch.seen[row])[1:]),
        }

    def _way(self, header: Any, outcome: Any, journal: Matrix, result: PacketResult) -> int:
        fields = [field for field in Field if field not in (Field.TIME_NS, Field.INDEX, Field.LENGTH, Field.SEQUENCE, Field.FRAGMENT_ID)]
        path = journal[:, [column for column in Column if column not in (Column.TIME_NS, Column.PACKET)]]
        then = self._words.at(int(outcome[Outcome.TIME_NS]))
        key = (tuple(header[fields].tolist()), path.tobytes(), id(then))
        if key not in self._known:
            steps = tuple(steps_of(self._words, journal, int(header[Field.FAMILY]), result.why))
            identity = (int(outcome[Outcome.SENDER]), int(outcome[Outcome.LOST]))
            verdict = Verdict[result.verdict.upper()]
            trace = Trace(Packet(b"", 101, header), verdict, steps, result.why, identity=identity)
            self._known[key] = len(self.ways)
            self.ways.append([self._step(step, looked) for step, looked in zip(steps, candidates(then, trace), strict=True)])
        return self._known[key]

    def _step(self, step: Step, looked: list[Any]) -> dict[str, Any]:
        # A packet of a tracked connection passes without its interface's rules being asked.
        asked = not (step.stage in _GROUPS and step.passed and step.row and step.row[Column.ENTRY] and not step.row[Column.VALUE])
        rules = looked if asked else []
        return {
            "stage": STAGE_CODE[step.stage],
            "at": step.at,
            "check": step.check,
            "passed": step.passed,
            "text": step.text,
            "place": step.rule.place if step.rule else "",
            "rules": [[rule.name, rule.fits, rule.text, rule.place] for rule in rules[:RULES]],
            "more": max(0, len(rules) - RULES),
        }

    def _remember(self, stretch: Stretch, rows: list[int]) -> None:
        """Run the packets once more, and look at the tracking tables after each one shown: [moment, entry, state, expires]."""
        if stretch.first or not rows:
            return
        topology, run = self._replay.topology, self._replay.run
        engine = Engine(topology, compiled=False if len(stretch.headers) <= 5_000 else run.compiled, journal=False)
        engine.causal = not run.open_loop
        plan = Plan(engine)
        ids = {topology.display(eni.id): eni.id for eni in topology.all(NetworkInterface)}
        states = ("open", "established", "stream")
        numbers: dict[tuple[str, int], int] = {}
        last: dict[int, tuple[int, int]] = {}
        done = 0
        for moment, row in enumerate(rows[:MOMENTS]):
            plan.feed(stretch.headers[done : row + 1])
            done = row + 1
            now, living = engine.now_ns, set()
            for entry in entries_of(self._words, engine.state, now, most=ENTRIES):
                key = (entry.interface, entry.number)
                if key not in numbers:
                    numbers[key] = len(self.entries)
                    self.entries.append({**asdict(entry), "interface": ids.get(entry.interface, entry.interface)})
                place, state = numbers[key], (states.index(entry.state), now + entry.expires_in_ns)
                living.add(place)
                if last.get(place) != state:
                    last[place] = state
                    self.moments.append([moment, place, *state])
            for place in [place for place in last if place not in living]:
                del last[place]
                self.moments.append([moment, place, -1, 0])
        self.unseen = len(rows) > MOMENTS
