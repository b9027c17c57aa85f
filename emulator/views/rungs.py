"""One conversation as the rungs of a ladder: lanes for the ends and the filters between them, a rung for each packet.

    lanes      source │ its groups │ its network ACL │ gateways … │ the other ACL │ the other groups │ destination
    rung       from the lane where a packet set out to the one where it ended
    remembered what an interface keeps of the conversation, from the rung that opened it to the last one that used it

Nothing here draws, and nothing decides: all of it is read from the journal of the replay.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from emulator.bulk.results import PacketResult
from emulator.datapath.state import Step as Column
from emulator.engine import Engine
from emulator.errors import UsageError
from emulator.model.services import ICMP, ICMPV6, TCP, UDP, protocol_name
from emulator.observe.entries import entries_of
from emulator.observe.flows import Flow
from emulator.observe.trace import Step
from emulator.policy.reasons import Stage
from emulator.wire.addresses import address
from emulator.wire.headers import ACK, FIN, RST, SYN, Field, Matrix

if TYPE_CHECKING:
    from emulator.replay import Replay

MOST_RUNGS = 36
_HEAD = 28  # of the rungs that are shown, those from the beginning
_FILTERS = {
    Stage.GROUP_EGRESS: "security groups",
    Stage.GROUP_INGRESS: "security groups",
    Stage.ACL_EGRESS: "network ACL",
    Stage.ACL_INGRESS: "network ACL",
    Stage.GATEWAY: "gateway",
}
_ELSEWHERE = {
    Stage.ROUTE: "route table",
    Stage.SOURCE_CHECK: "source check",
    Stage.DESTINATION_CHECK: "destination check",
    Stage.PATH_MTU: "path MTU",
    Stage.LINK: "link",
}
_QUERIES = {8: "echo request", 0: "echo reply", 128: "echo request", 129: "echo reply", 3: "unreachable", 11: "time exceeded"}


@dataclass(frozen=True)
class LadderLane:
    """A column: an end (``kind`` is empty; ``ip`` is its address) or a filter at a place."""

    name: str
    kind: str = ""
    ip: str = ""


@dataclass(frozen=True)
class Rung:
    """One packet, or several that were never sent: from lane to lane (places in the list of lanes).

    ``verdict`` is accept, drop, unsent or gap (rungs that were left out, ``packets`` of them).
    """

    time_ns: int
    start: int
    end: int
    verdict: str
    label: str
    index: int
    packets: int = 1
    reason: str = ""
    text: str = ""


@dataclass(frozen=True)
class Remembered:
    """A tracking entry beside its lane: from rung to rung; ``alive`` at the end of the replay."""

    lane: int
    number: int
    first: int
    last: int
    alive: bool
    rule: str


@dataclass(frozen=True)
class Conversation:
    """What a ladder shows."""

    title: str
    lanes: tuple[LadderLane, ...]
    rungs: tuple[Rung, ...]
    entries: tuple[Remembered, ...] = ()


@dataclass
class _Way:
    """One packet with its steps, for a while."""

    result: PacketResult
    label: str
    from_source: bool
    steps: tuple[Step, ...]
    keys: list[tuple[str, str]] = field(default_factory=list)


def conversation(replay: "Replay", flow: Flow | int) -> Conversation:
    """The ladder of one conversation of a replay.

    Parameters
    ----------
    flow : one of ``replay.flows``, or its place among them.

    Raises
    ------
    UsageError : there is no such conversation, or the replay was too large to keep its packets.
    """
    if isinstance(flow, int):
        if not 0 <= flow < len(replay.flows):
            raise UsageError(f"there is no flow {flow}; {replay.capture} has {len(replay.flows)}, counted from 0")
        flow = replay.flows[flow]
    if replay.kept is None:
        raise UsageError(f"{replay.capture}: a ladder needs every packet, and so large a replay keeps none; cut the capture to this flow")
    ways = [_way(replay, flow, int(row)) for row in rows_of(flow, replay.seen)]
    ways = [way for way in ways if way.result.verdict != "skipped"]
    between = _in_order(way.keys if way.from_source else way.keys[::-1] for way in ways)
    lanes = (
        LadderLane(str(flow.source), "", flow.source.ip),
        *(LadderLane(name, kind) for kind, name in between),
        LadderLane(str(flow.destination), "", flow.destination.ip),
    )
    rungs = [_rung(way, between) for way in ways]
    shown, rows = _shortened(rungs)
    title = f"{flow.source} → {flow.destination} {flow.label}: {flow.packets} packets, {flow.dropped} dropped"
    return Conversation(title, lanes, tuple(shown), tuple(_entries(replay, ways, between, rows)))


def rows_of(flow: Flow, seen: Matrix) -> list[int]:
    """The header rows of a conversation's packets, both directions, in the order of time.

    Parameters
    ----------
    seen : (n, FIELDS) int64, with the capture's own addresses
    """
    found = []
    datagrams: set[tuple[int, ...]] = set()
    ends = [(flow.source.ip, flow.source.port), (flow.destination.ip, flow.destination.port)]
    by_ports = not flow.protocol.startswith("icmp")
    for row, header in enumerate(seen.tolist()):
        if protocol_name(header[Field.PROTOCOL]) != flow.protocol or not header[Field.FAMILY]:
            continue
        family = header[Field.FAMILY]
        source = str(address(family, header[Field.SOURCE_HI], header[Field.SOURCE_LO]))
        destination = str(address(family, header[Field.DESTINATION_HI], header[Field.DESTINATION_LO]))
        if {source, destination} != {ends[0][0], ends[1][0]}:
            continue
        datagram = (*header[Field.SOURCE_HI : Field.DESTINATION_LO + 1], header[Field.FRAGMENT_ID])
        pair = [(source, header[Field.SOURCE_PORT]), (destination, header[Field.DESTINATION_PORT])]
        if not by_ports or pair in (ends, ends[::-1]):
            datagrams.add(datagram)
            found.append(row)
        elif header[Field.FRAGMENT_OFFSET] and datagram in datagrams:
            found.append(row)
    return found


def _way(replay: "Replay", flow: Flow, row: int) -> _Way:
    header = replay.seen[row]
    index = int(header[Field.INDEX])
    source = str(address(int(header[Field.FAMILY]), int(header[Field.SOURCE_HI]), int(header[Field.SOURCE_LO])))
    forward = source == flow.source.ip
    if flow.source.ip == flow.destination.ip:
        forward = int(header[Field.SOURCE_PORT]) == flow.source.port
    way = _Way(replay.packet(index), label_of(header), forward, replay.steps(index))
    for step in way.steps:
        kind = _FILTERS.get(step.stage) or ("" if step.passed else _ELSEWHERE.get(step.stage, ""))
        if kind and (kind, step.at) not in way.keys:
            way.keys.append((kind, step.at))
    return way


def _in_order(ways: Iterable[list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """All filters in the order in which packets from the source meet them; what a later packet adds goes beside its neighbour."""
    known: list[tuple[str, str]] = []
    for keys in ways:
        place = 0
        for key in keys:
            if key in known:
                place = known.index(key) + 1
            else:
                known.insert(place, key)
                place += 1
    return known


def _rung(way: _Way, between: Sequence[tuple[str, str]]) -> Rung:
    last = len(between) + 1
    start, end = (0, last) if way.from_source else (last, 0)
    result = way.result
    if result.verdict == "drop":
        end = 1 + between.index(way.keys[-1]) if way.keys and not way.steps[-1].passed and _kind(way) else start
    elif result.verdict == "unsent":
        end = start
    reason = result.why.code if result.why else ""
    text = result.why.text if result.why else ""
    return Rung(result.time_ns, start, end, result.verdict, way.label, result.index, 1, reason, text)


def _kind(way: _Way) -> str:
    """The kind of the filter that a dropped packet ended at; empty if that is no lane."""
    stage = way.steps[-1].stage
    return _FILTERS.get(stage) or _ELSEWHERE.get(stage, "")


def _shortened(rungs: list[Rung]) -> tuple[list[Rung], list[int]]:
    """Rungs with runs of unsent packets as one and the middle of a long ladder left out; the new place of each old one."""
    joined: list[Rung] = []
    places = []
    for rung in rungs:
        if joined and rung.verdict == "unsent" == joined[-1].verdict and rung.start == joined[-1].start:
            joined[-1] = replace(joined[-1], packets=joined[-1].packets + 1)
        else:
            joined.append(rung)
        places.append(len(joined) - 1)
    if len(joined) <= MOST_RUNGS:
        return joined, places
    tail = MOST_RUNGS - _HEAD - 1
    left_out = joined[_HEAD:-tail]
    gap = Rung(left_out[0].time_ns, 0, 0, "gap", "", left_out[0].index, sum(rung.packets for rung in left_out))
    behind = len(joined) - tail
    moved = [min(place, _HEAD) if place < behind else place - behind + _HEAD + 1 for place in places]
    return [*joined[:_HEAD], gap, *joined[-tail:]], moved


def _entries(replay: "Replay", ways: list[_Way], between: list[tuple[str, str]], rows: list[int]) -> Iterable[Remembered]:
    engine = replay.engine
    assert isinstance(engine, Engine)  # what was shared is never kept
    living = {entry.number for entry in entries_of(replay.words, engine.state, engine.now_ns)}
    spans: dict[tuple[int, int], list[int]] = {}
    rules: dict[tuple[int, int], str] = {}
    for way, row in zip(ways, rows, strict=True):
        for step in way.steps:
            if step.stage not in (Stage.GROUP_EGRESS, Stage.GROUP_INGRESS) or not step.passed or not step.row[Column.ENTRY]:
                continue
            key = (1 + between.index(("security groups", step.at)), step.row[Column.ENTRY])
            spans.setdefault(key, [row, row])[1] = row
            rules.setdefault(key, step.rule.name if step.rule else "a rule that is gone")
    for (lane, number), (first, last) in sorted(spans.items()):
        yield Remembered(lane, number, first, last, number in living, rules[lane, number])


def label_of(header: Any) -> str:
    """A packet in a word or two: ``SYN``, ``120 bytes``, ``echo request 3``."""
    protocol, flags = int(header[Field.PROTOCOL]), int(header[Field.FLAGS])
    size = int(header[Field.LENGTH]) - int(header[Field.PAYLOAD_OFFSET]) + int(header[Field.IP_OFFSET])
    if header[Field.FRAGMENT_OFFSET]:
        return f"fragment at {int(header[Field.FRAGMENT_OFFSET])}"
    if protocol == TCP:
        words = "-".join(word for bit, word in ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (ACK, "ACK")) if flags & bit)
        return words or "no flags"
    if protocol in (ICMP, ICMPV6):
        kind = int(header[Field.TYPE])
        word = _QUERIES.get(kind, f"type {kind}")
        return f"{word} {int(header[Field.SEQUENCE])}" if word.startswith("echo") else word
    return f"{size - 8} bytes" if protocol == UDP else f"{size} bytes"
