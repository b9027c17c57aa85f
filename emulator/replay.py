"""Replay: a capture through a network; causes before effects, and what became of every packet.

Packets are taken in the order of their time stamps within windows of `WINDOW` packets; across windows the clock never
runs backwards.  A packet keeps its index in the capture.  Links delay packets inside the network; a packet of the
capture is never sent before its own time, nor before its cause has arrived.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator.datapath.state import Count, Outcome
from emulator.datapath.state import Step as Column
from emulator.engine import Engine
from emulator.errors import UsageError, printable
from emulator.model.entities import ExternalHost, Instance, NetworkInterface
from emulator.model.topology import INTERNET, Topology
from emulator.observe.flows import Flow, blocked_reasons, flows_of
from emulator.observe.trace import Step, steps_of
from emulator.observe.words import Why, Words
from emulator.policy.reasons import Reason, Verdict
from emulator.wire.addresses import halves
from emulator.wire.capture import Capture
from emulator.wire.headers import FIELDS, Field, Matrix, parse_many
from emulator.wire.record import InterfaceInfo, RecordFrame, write_pcapng

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emulator.observe.flowlogs import FlowLog

SCHEMA = "vpcemu.replay/1"
WINDOW = 1 << 20
CHUNK = 65_536
JOURNAL_UP_TO = 200_000  # packets; larger replays keep one row a packet and no steps


@dataclass(frozen=True)
class PacketResult:
    """What became of one packet of the capture."""

    index: int
    time_ns: int
    verdict: str
    why: Why | None
    rule: str | None
    tracked: bool
    hangs_on: int | None

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``replay --packets`` writes it."""
        reason = self.why.to_json() if self.why else None
        if reason is not None and self.hangs_on is not None:
            reason["packet"] = self.hangs_on
        return {
            "index": self.index,
            "time_ns": self.time_ns,
            "verdict": self.verdict,
            "reason": reason,
            "rule": self.rule,
            "tracked": self.tracked,
        }


@dataclass
class Replay:
    """The result of a replay.

    Parameters
    ----------
    headers : (n, FIELDS) int64, in the order of time, addresses mapped to the topology's
    seen : the same with the capture's own addresses
    troubles : what was wrong with the capture file, a line each
    """

    topology: Topology
    capture: str
    engine: Engine
    headers: Matrix
    seen: Matrix
    troubles: list[str] = field(default_factory=list)
    mapped: dict[str, str] = field(default_factory=dict)

    @cached_property
    def words(self) -> Words:
        """Words for ids."""
        return Words(self.topology, self.engine.ids, self.engine.tables)

    @property
    def outcomes(self) -> Matrix:
        """(n, columns Outcome) int64, by index in the capture."""
        return self.engine.state.outcomes[: len(self.headers)]

    @cached_property
    def flows(self) -> list[Flow]:
        """Every conversation, in the order of its first packet."""
        return flows_of(self.words, self.headers, self.outcomes, self.seen)

    @property
    def blocked(self) -> list[Flow]:
        """The flows that lost packets to a filter, a route or a gateway."""
        return [flow for flow in self.flows if flow.dropped]

    @cached_property
    def counts(self) -> dict[str, int]:
        """Packets in all and by verdict."""
        tally = Counter(self.outcomes[:, Outcome.VERDICT].tolist())
        by_name = {verdict.name.lower(): tally[verdict] for verdict in (Verdict.ACCEPT, Verdict.DROP, Verdict.UNSENT, Verdict.SKIPPED)}
        return {"total": len(self.headers), **by_name}

    @cached_property
    def skipped(self) -> dict[str, int]:
        """Skipped packets by reason."""
        rows = self.outcomes[self.outcomes[:, Outcome.VERDICT] == Verdict.SKIPPED]
        return {Reason(number).name: count for number, count in sorted(Counter(rows[:, Outcome.REASON].tolist()).items())}

    @property
    def packets(self) -> Iterator[PacketResult]:
        """What became of each packet, by index in the capture."""
        place = np.empty(len(self.headers), dtype=np.int64)
        place[self.headers[:, Field.INDEX]] = np.arange(len(self.headers))
        return (self._result(int(row)) for row in place)

    def packet(self, index: int) -> PacketResult:
        """What became of one packet.

        Raises
        ------
        UsageError : the capture has no packet of that index.
        """
        return self._result(self._row(index))

    def _row(self, index: int) -> int:
        rows = np.flatnonzero(self.headers[:, Field.INDEX] == index)
        if not len(rows):
            raise UsageError(f"{self.capture}: there is no packet {index}; it has {len(self.headers)}, counted from 0")
        return int(rows[0])

    def _result(self, row: int) -> PacketResult:
        header = self.headers[row]
        outcome = self.outcomes[header[Field.INDEX]]
        verdict = Verdict(int(outcome[Outcome.VERDICT]))
        hangs_on = int(outcome[Outcome.HANGS_ON]) if verdict == Verdict.UNSENT else None
        return PacketResult(
            int(header[Field.INDEX]),
            int(header[Field.TIME_NS]),
            verdict.name.lower(),
            self.words.why(header, outcome),
            self.words.rule_name(outcome[Outcome.RULE]),
            bool(outcome[Outcome.TRACKED]),
            hangs_on,
        )

    def steps(self, index: int) -> tuple[Step, ...]:
        """Every step of one packet's way.

        Raises
        ------
        UsageError : no such packet, or the replay was too large to keep steps.
        """
        row = self._row(index)
        if not len(self.engine.state.journal):
            raise UsageError(f"{self.capture}: a replay of more than {JOURNAL_UP_TO} packets keeps no steps; cut the capture")
        journal = self.engine.state.journal[: int(self.engine.state.counts[Count.STEPS, 0])]
        why = self._result(row).why
        return tuple(steps_of(self.words, journal[journal[:, Column.PACKET] == index], int(self.headers[row, Field.FAMILY]), why))

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``replay --json`` prints it (schema ``vpcemu.replay/1``)."""
        return {"schema": SCHEMA, "packets": self.counts, "flows": [flow.to_json() for flow in self.flows], "skipped": self.skipped}

    def draw(self, ax: "Axes | None" = None, title: str = "") -> "Axes":
        """The map with accepted and blocked flows, drawn on an axis; gives the axis."""
        from emulator.views import figure
        from emulator.views.flowlines import flow_lines

        return figure.draw(self.topology, flow_lines(self.flows), ax=ax, title=title or self.topology.name)

    def save_figure(self, path: str | Path, title: str = "") -> None:
        """Write the map with its flows as PNG, SVG or PDF.

        Raises
        ------
        UsageError : another suffix, or a place that cannot be written to.
        """
        from emulator.views import figure
        from emulator.views.flowlines import flow_lines

        figure.save(self.topology, path, flow_lines(self.flows), title=title or f"{self.topology.name}: {Path(self.capture).name}")

    def save_flow_logs(self, path: str | Path, log: "FlowLog | None" = None) -> int:
        """Write what VPC Flow Logs would have: ``x.log``, ``x.log.gz`` or ``x.parquet``; gives the rows.

        Raises
        ------
        UsageError : the replay kept none (``flow_logs=True``), or Parquet without pyarrow.
        CaptureError : a place that cannot be written to.
        """
        from emulator.observe.flowlogfiles import save
        from emulator.observe.flowlogs import FlowLog

        made = log or FlowLog()
        rows = list(made.rows(self.topology, self.engine.ids, self.engine.state))
        save(path, made, rows)
        return len(rows)

    def save_pcapng(self, path: str | Path) -> int:
        """Write the capture again with a comment on every packet: verdict and reason, then the way out; gives the packets.

        Raises
        ------
        CaptureError : the capture is gone, or the file cannot be written.
        """
        results = {result.index: result for result in self.packets}
        with Capture(self.capture) as source:
            chunks = list(source.chunks(CHUNK))
        kinds = list(dict.fromkeys((int(kind), int(number)) for chunk in chunks for kind, number in chunk.records[:, [4, 5]].tolist()))
        interfaces = [InterfaceInfo(f"capture-{number}", kind, "as captured") for kind, number in kinds]

        def frames() -> Iterator[RecordFrame]:
            index = 0
            for chunk in chunks:
                for offset, captured, original, time_ns, kind, number in chunk.records.tolist():
                    data = chunk.buffer[offset : offset + captured].tobytes()
                    comments = comments_of(results[index]) if index in results else ()
                    yield RecordFrame(time_ns, kinds.index((kind, number)), data, original, comments, None, index)
                    index += 1

        return write_pcapng(path, interfaces, frames())

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items() if name != "total")
        lines = [f"{self.capture} through {self.topology.name}: {self.counts['total']} packets ({counts}), {len(self.flows)} flows"]
        lines += [f"  {packets} packets of {flows} flows: {why}" for why, flows, packets in blocked_reasons(self.flows)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = escape(str(self).splitlines()[0])
        rows = "".join(
            f"<tr><td>{escape(str(flow.source))}</td><td>{escape(str(flow.destination))}</td><td>{escape(flow.label)}</td>"
            f"<td>{flow.verdict}</td><td>{flow.dropped}</td><td>{escape(str(flow.why) if flow.why else '')}</td></tr>"
            for flow in self.blocked[:50]
        )
        columns = "".join(f"<th>{name}</th>" for name in ("From", "To", "Service", "Verdict", "Dropped", "Why"))
        return f"<p><b>{head}</b></p><table><tr>{columns}</tr>{rows}</table>"


def comments_of(result: PacketResult) -> tuple[str, ...]:
    """What stands beside a packet in Wireshark: the verdict line, then the way out if there is one."""
    if result.why is None:
        return (f"ACCEPT {result.rule}" if result.rule else "ACCEPT",)
    first = f"{result.verdict.upper()} {result.why.code} {result.why.at}: {result.why.text}"
    return tuple(printable(line) for line in (first, result.why.way_out) if line)


def address_map(topology: Topology, given: dict[str, str]) -> dict[tuple[int, int, int], tuple[int, int]]:
    """Capture addresses → topology addresses, as (family, hi, lo) → (hi, lo).

    A name stands for its first address of the same family; ``web-1:eth0`` and ids work as well; ``internet`` leaves
    the address as it is.

    Raises
    ------
    UsageError : not an address, an unknown name, or a name without an address of that family.
    """
    table: dict[tuple[int, int, int], tuple[int, int]] = {}
    for text, name in {**{str(ip): key for ip, key in topology.map}, **given}.items():
        try:
            seen = ip_address(text)
        except ValueError:
            raise UsageError(f"--map {text}={name}: {text} is not an address; write --map 192.168.1.6=web-1") from None
        if name == INTERNET:
            continue
        entity = topology.find(name)
        if isinstance(entity, Instance):
            entity = topology.interfaces_of(entity.id)[0]
        ips = entity.private_ips if isinstance(entity, NetworkInterface) else entity.ips if isinstance(entity, ExternalHost) else ()
        own = next((ip for ip in ips if ip.version == seen.version), None)
        if own is None:
            raise UsageError(f"--map {text}={name}: {name} has no IPv{seen.version} address; give it one in the topology")
        table[(seen.version, *halves(seen))] = (halves(own).hi, halves(own).lo)
    return table


def apply_map(headers: Matrix, table: dict[tuple[int, int, int], tuple[int, int]]) -> Matrix:
    """Header rows with mapped addresses, those quoted by ICMP errors included."""
    mapped = headers.copy()
    for (family, hi, lo), new in table.items():
        for column in (Field.SOURCE_HI, Field.DESTINATION_HI, Field.QUOTED_SOURCE_HI, Field.QUOTED_DESTINATION_HI):
            rows = (headers[:, Field.FAMILY] == family) & (headers[:, column] == hi) & (headers[:, column + 1] == lo)
            mapped[rows, column : column + 2] = new
    return mapped


def windows(capture: Capture, bar: Any = None) -> Iterator[Matrix]:
    """Parsed header rows of a capture, in windows, each in the order of time."""
    waiting: list[Matrix] = []
    index = held = 0
    for chunk in capture.chunks(CHUNK):
        headers = np.zeros((len(chunk.records), FIELDS), dtype=np.int64)
        _parser(len(chunk.records))(chunk.buffer, chunk.records, headers, index)
        index += len(headers)
        held += len(headers)
        waiting.append(headers)
        if bar is not None:
            bar.update(capture.position - bar.n)
        if held >= WINDOW:
            yield _in_time_order(waiting)
            waiting, held = [], 0
    if waiting:
        yield _in_time_order(waiting)


def _in_time_order(parts: list[Matrix]) -> Matrix:
    window = np.concatenate(parts)
    return window[np.argsort(window[:, Field.TIME_NS], kind="stable")]


def _parser(records: int) -> Any:
    """The frame parser: compiled for large captures, interpreted for small ones."""
    from emulator.engine import CACHED_FROM, COMPILE_FROM
    from emulator.kernels import compiled, is_cached

    large = records >= COMPILE_FROM or (records >= CACHED_FROM and is_cached(parse_many))
    return compiled(parse_many) if large else parse_many


def replay(
    topology: Topology,
    capture: str | Path,
    *,
    map: dict[str, str] | None = None,
    open_loop: bool = False,
    progress: bool = False,
    compiled: bool | None = None,
    flow_logs: bool = False,
) -> Replay:
    """Feed a capture through a topology.

    Parameters
    ----------
    map : capture address → name of who that is in the topology
    open_loop : True sends every packet, whatever became of its cause
    progress : show a bar on a terminal
    compiled : True or False to decide, None to compile when the capture is large
    flow_logs : keep what `Replay.save_flow_logs` needs

    Raises
    ------
    CaptureError : the file is no capture.  UsageError : the map names something unknown.
    """
    table = address_map(topology, map or {})
    with Capture(capture) as source:
        bar = None
        if progress:
            from tqdm import tqdm

            bar = tqdm(total=source.size, unit="B", unit_scale=True, desc="replay", disable=None, leave=False)
        engine: Engine | None = None
        seen: list[Matrix] = []
        mapped: list[Matrix] = []
        for window in windows(source, bar):
            if engine is None:
                engine = Engine(topology, compiled=compiled, journal=len(window) <= JOURNAL_UP_TO, flow_logs=flow_logs)
                engine.causal = not open_loop
            seen.append(window)
            mapped.append(apply_map(window, table))
            engine.feed(mapped[-1])
        if bar is not None:
            bar.close()
        if engine is None:
            engine = Engine(topology, compiled=False, flow_logs=flow_logs)
        engine.advance()
        empty = np.zeros((0, FIELDS), dtype=np.int64)
        return Replay(
            topology,
            str(capture),
            engine,
            np.concatenate(mapped) if mapped else empty,
            np.concatenate(seen) if seen else empty,
            list(source.troubles),
            map or {},
        )
