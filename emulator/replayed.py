"""Replay: what a replay found, and everything that can be asked of it, shown or written."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from emulator.bulk.annotated import annotate, annotate_interfaces
from emulator.bulk.plan import WordsInTime
from emulator.bulk.results import PacketLines, PacketResult, Stretch, joined
from emulator.bulk.running import KEPT, STDIN, Run, Running
from emulator.bulk.shares import SharedEngine
from emulator.datapath.state import Count
from emulator.datapath.state import Step as Column
from emulator.engine import Engine
from emulator.errors import UsageError
from emulator.model.topology import Topology
from emulator.observe.coverage import Coverage, coverage
from emulator.observe.flows import Flow, Tally, blocked_reasons
from emulator.observe.trace import Step, steps_of
from emulator.views.pictures import Pictures
from emulator.wire.atomic import written
from emulator.wire.headers import Field, Matrix

if TYPE_CHECKING:
    from pandas import DataFrame

    from emulator.observe.flowlogs import FlowLog

SCHEMA = "vpcemu.replay/1"


@dataclass
class Replay(Pictures):
    """The result of a replay.

    Parameters
    ----------
    run : what was replayed
    engine : at the end of the run
    words : for ids
    tally : packets by verdict, and the conversations
    kept : everything of each packet, if there were at most `KEPT`
    troubles : what was wrong with the captures, a line each
    interrupted : whether somebody stopped it; then all this is about the packets read until then
    """

    run: Run
    engine: Engine | SharedEngine
    words: WordsInTime
    tally: Tally
    kept: Stretch | None
    troubles: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def topology(self) -> Topology:
        """What it was replayed through."""
        return self.run.topology

    @property
    def capture(self) -> str:
        """The captures' names."""
        return self.run.name

    @property
    def headers(self) -> Matrix:
        """(n, FIELDS) int64, in the order of time, addresses mapped to the topology's; of replays up to `KEPT` packets."""
        return self._all().headers

    @property
    def seen(self) -> Matrix:
        """(n, FIELDS) int64, as ``headers`` with the capture's own addresses; of replays up to `KEPT` packets."""
        return self._all().seen

    @property
    def outcomes(self) -> Matrix:
        """(n, columns Outcome) int64, by index in the capture; of replays up to `KEPT` packets."""
        return self._all().outcomes

    def _all(self) -> Stretch:
        if self.kept is None:
            raise UsageError(f"{self.capture}: of more than {KEPT:,} packets, or packets run elsewhere, none is kept; go through .packets")
        return self.kept

    @cached_property
    def flows(self) -> list[Flow]:
        """Every conversation, in the order of its first packet."""
        return self.tally.flows(self.words)

    @cached_property
    def blocked(self) -> list[Flow]:
        """The flows that lost packets to a filter, a route or a gateway."""
        return self.tally.flows(self.words, blocked=True)

    @property
    def counts(self) -> dict[str, int]:
        """Packets in all and by verdict."""
        return self.tally.counts()

    @property
    def skipped(self) -> dict[str, int]:
        """Skipped packets by reason."""
        return self.tally.skipped()

    def stretches(self, until: int | None = None) -> Iterator[Stretch]:
        """All packets once more, in the order of their indexes; at least up to one of them."""
        if self.kept is not None:
            yield self.kept
            return
        if STDIN in self.run.captures:
            raise UsageError("standard input is gone, and of so many packets none was kept; replay a file")
        with Running(self.run) as again:
            for stretch in again.stretches():
                yield stretch
                if stretch.first + len(stretch.headers) >= min(self.tally.packets, self.tally.packets if until is None else until + 1):
                    return

    @property
    def packets(self) -> Iterator[PacketResult]:
        """What became of each packet, by index in the capture."""
        return (result for stretch in self.stretches() for result in stretch.results(self.words))

    def packet(self, index: int) -> PacketResult:
        """What became of one packet.

        Raises
        ------
        UsageError : the capture has no packet of that index.
        """
        self._check(index)
        for stretch in self.stretches(index):
            row = stretch.row(index)
            if row is not None:
                return stretch.result(self.words, row)
        raise self._no_packet(index)

    def _check(self, index: int) -> None:
        if not 0 <= index < self.tally.packets:
            raise self._no_packet(index)

    def _no_packet(self, index: int) -> UsageError:
        return UsageError(f"{self.capture}: there is no packet {index}; it has {self.tally.packets}, counted from 0")

    def steps(self, index: int) -> tuple[Step, ...]:
        """Every step of one packet's way.

        Raises
        ------
        UsageError : no such packet.
        """
        self._check(index)
        if self.kept is not None:
            state = self.engine.state
            return self._steps(self.kept, index, state.journal[: int(state.counts[Count.STEPS, 0])])
        found = [np.zeros((0, len(Column)), dtype=np.int64)]
        for stretch, rows in self._again():
            found.append(rows[rows[:, Column.PACKET] == index])
            if stretch.row(index) is not None:
                return self._steps(stretch, index, np.concatenate(found))
        raise self._no_packet(index)

    def _again(self) -> Iterator[tuple[Stretch, Matrix]]:
        """All packets once more, with the steps taken until each stretch ended."""
        if STDIN in self.run.captures:
            raise UsageError("standard input is gone, and of so many packets none was kept; replay a file")
        with Running(replace(self.run, jobs=1), journal=True) as again:
            for stretch in again.stretches():
                yield stretch, again.take_steps()

    @cached_property
    def coverage(self) -> list[Coverage]:
        """Every group and network ACL with the packets that each of its rules decided."""
        journal = [self.head()[1]] if self.kept is not None else (rows for _, rows in self._again())
        return coverage(self.words, journal)

    def _steps(self, stretch: Stretch, index: int, journal: Matrix) -> tuple[Step, ...]:
        row = stretch.row(index)
        assert row is not None
        why = stretch.result(self.words, row).why
        return tuple(steps_of(self.words, journal[journal[:, Column.PACKET] == index], int(stretch.headers[row, Field.FAMILY]), why))

    def head(self) -> tuple[Stretch, Matrix]:
        """All packets and the journal's rows; of a replay of more than `KEPT` packets, those of its first window."""
        if self.kept is not None:
            state = self.engine.state
            return self.kept, state.journal[: int(state.counts[Count.STEPS, 0])]
        if STDIN not in self.run.captures:
            with Running(replace(self.run, jobs=1), journal=True) as again:
                for part in again.stretches():
                    state = again.engine.state
                    copied = replace(part, headers=part.headers.copy(), seen=part.seen.copy(), outcomes=part.outcomes.copy())
                    return copied, state.journal[: int(state.counts[Count.STEPS, 0])].copy()
        return joined([]), np.zeros((0, len(Column)), dtype=np.int64)

    def save_packets(self, path: str | Path) -> None:
        """Write a line of JSON for each packet, by index.

        Raises
        ------
        CaptureError : the file cannot be written.
        """
        lines = PacketLines(self.words)
        with written(path) as file:
            for stretch in self.stretches():
                file.write(lines.lines(stretch, machine=self.kept is None))

    def to_json(self) -> dict[str, Any]:
        """Plain data, as ``replay --json`` prints it (schema ``vpcemu.replay/1``)."""
        return {"schema": SCHEMA, "packets": self.counts, "flows": [flow.to_json() for flow in self.flows], "skipped": self.skipped}

    def to_dataframe(self, of: Literal["flows", "packets"] = "flows") -> "DataFrame":
        """A row a flow, or a row a packet, in pandas; see `emulator.observe.dataframes` for the kinds of columns.

        Raises
        ------
        UsageError : pandas is not installed.
        """
        from emulator.bulk.packetframe import packets_dataframe
        from emulator.observe.dataframes import flows_dataframe

        return packets_dataframe(self.stretches(), self.words) if of == "packets" else flows_dataframe(self.flows)

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
        return save(path, made, made.rows(self.topology, self.engine.ids, self.engine.state))

    def save_pcapng(self, path: str | Path) -> int:
        """Write the capture again with a comment on every packet: verdict and reason, then the way out; gives the packets.

        Raises
        ------
        CaptureError : the capture is gone, or the file cannot be written.
        UsageError : several captures, or standard input.
        """
        return annotate(self.run, self.packets, path)

    def save_interfaces(self, folder: str | Path, merged: bool = False) -> dict[str, int]:
        """Write what a capture at each interface would have seen, a commented pcapng file each, and colouring rules for Wireshark.

        Gives the packets by file name.  ``merged`` adds ``all-interfaces.pcapng``.

        Raises
        ------
        CaptureError : the capture is gone.
        UsageError : a folder that cannot be written to; several captures, or standard input.
        """
        return annotate_interfaces(self.run, folder, merged)

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items() if name != "total")
        lines = [f"{self.capture} through {self.topology.name}: {self.counts['total']} packets ({counts}), {len(self.tally)} flows"]
        lines += [f"  {packets} packets of {flows} flows: {why}" for why, flows, packets in blocked_reasons(self.blocked)]
        return "\n".join(lines)

    def to_html(self) -> str:
        """The interactive page, a document that needs nothing else."""
        from emulator.views import page

        return page.to_html(self)

    def save_html(self, path: str | Path) -> None:
        """Write the interactive page.

        Raises
        ------
        UsageError : a place that cannot be written to.
        """
        from emulator.views import page

        page.save_html(self, path)

    def _repr_html_(self) -> str:
        from emulator.views import page

        return page.frame(self)
