"""Several engines for one capture, a thread each: every engine has the packets between its share of the pairs of hosts.

The results are those of one engine, bit for bit: what two packets can do to each other they do by tracking entries, by
causes, by fragments and by quoted datagrams, and all of these stay within a pair of hosts (see `datapath.share`).  What
is shared across pairs makes a run one engine's work again: `obstacle` says what.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from emulator.datapath.share import mark_foreign, share_out
from emulator.datapath.state import Count, State
from emulator.engine import FOREVER, Engine
from emulator.model.entities import (
    EgressOnlyInternetGateway,
    ExternalHost,
    Instance,
    InternetGateway,
    NetworkInterface,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import NetworkAcl, PrefixList, SecurityGroup
from emulator.model.topology import Topology
from emulator.policy.compile import Ids
from emulator.policy.tables import Tables
from emulator.wire.headers import Field, Matrix

_APART = (
    Vpc,
    Subnet,
    Instance,
    NetworkInterface,
    SecurityGroup,
    PrefixList,
    RouteTable,
    NetworkAcl,
    InternetGateway,
    EgressOnlyInternetGateway,
    VpcPeeringConnection,
    ExternalHost,
)
_MOVES = ("associate_address", "disassociate_address")


def obstacle(topology: Topology) -> str:
    """Why packets of different pairs of hosts depend on each other in a network; empty if they do not."""
    if topology.policy.max_entries is not None or any(machine.max_tracked is not None for machine in topology.all(Instance)):
        return "the number of tracked connections is limited"
    for link in topology.links:
        # Where the delay of a link changes from packet to packet, none overtakes the one before it.
        if link.rate_bps or link.jitter_ns or any(fault.latency_ns for fault in link.faults):
            return f"packets wait for each other on the link {' – '.join(link.between)}"
    for edit in topology.schedule:
        if edit.action in _MOVES:
            return f"{edit.action} of the schedule changes who is meant by an address"
    for entity in topology.entities.values():
        if not isinstance(entity, _APART):
            return f"{entity.name} serves many hosts by one address or one table"
    return ""


class Share(NamedTuple):
    """One of so many shares of a capture, from 0."""

    number: int
    of: int


class ShareEngine(Engine):
    """One engine of several whose others run elsewhere: it is fed every packet, and runs those of its share.

    The outcomes of all other packets have the verdict `emulator.datapath.share.ELSEWHERE`.
    """

    def __init__(self, topology: Topology, share: Share, *, compiled: bool | None = None) -> None:
        super().__init__(topology, compiled=compiled, journal=False)
        self.state.counts[Count.SHARE], self.state.counts[Count.SHARES] = share

    def feed(self, headers: Matrix) -> None:
        """As `Engine.feed`; the clock stands at the last packet, whoever runs that."""
        if not len(headers):
            return
        self.make_room(len(headers))
        self.choose_loop(len(headers))
        shares, of = np.empty((len(headers), 1), dtype=np.int64), int(self.state.counts[Count.SHARES, 0])
        self.kernel(share_out, len(headers))(self.tables, headers, 0, len(headers), of, shares)
        self.state = self.state._replace(shares=shares)
        self.kernel(mark_foreign, len(headers))(self.state, headers)
        super().feed(headers)
        self.state.counts[Count.NOW_NS] = max(self.now_ns, int(headers[-1, Field.TIME_NS]))


class SharedEngine:
    """Engines that share a capture's packets; to be used as one `Engine` without a journal.

    Parameters
    ----------
    shares : how many; see `obstacle` for when more than one may be
    """

    def __init__(self, topology: Topology, shares: int, *, compiled: bool | None = None) -> None:
        self._engines = [Engine(topology, compiled=compiled, journal=False) for _ in range(shares)]
        self._threads = ThreadPoolExecutor(shares)
        self.topology = topology
        for share, engine in enumerate(self._engines):
            engine.state.counts[Count.SHARE], engine.state.counts[Count.SHARES] = share, shares

    @property
    def engines(self) -> list[Engine]:
        """The engines; the outcomes are in the first one's state."""
        return self._engines

    @property
    def ids(self) -> Ids:
        """Names of everything; the same in all engines."""
        return self._engines[0].ids

    @property
    def tables(self) -> Tables:
        """The tables; the same in all engines."""
        return self._engines[0].tables

    @property
    def state(self) -> State:
        """The first engine's state: its outcomes are those of all."""
        return self._engines[0].state

    @property
    def packets(self) -> int:
        """How many packets came so far."""
        return self._engines[0].packets

    @property
    def keeps_journal(self) -> bool:
        """Whether steps are written down."""
        return False

    @property
    def is_compiled(self) -> bool:
        """Whether the run has gone over to machine code."""
        return self._engines[0].is_compiled

    @property
    def causal(self) -> bool:
        """Whether packets wait for their causes."""
        return self._engines[0].causal

    @causal.setter
    def causal(self, value: bool) -> None:
        for engine in self._engines:
            engine.causal = value

    def begin(self, at_ns: int) -> None:
        """As `Engine.begin`."""
        for engine in self._engines:
            engine.begin(at_ns)

    def edit(self, topology: Topology) -> None:
        """As `Engine.edit`."""
        self.topology = topology
        for engine in self._engines:
            engine.edit(topology)

    def make_room(self, packets: int) -> None:
        """As `Engine.make_room`; all engines write into the same rows."""
        first = self._engines[0]
        first.make_room(packets)
        for engine in self._engines:
            engine.state = engine.state._replace(outcomes=first.state.outcomes)
            engine.state.counts[Count.FIRST] = first.state.counts[Count.FIRST]

    def next_time_ns(self) -> int | None:
        """As `Engine.next_time_ns`."""
        return min((due for engine in self._engines if (due := engine.next_time_ns()) is not None), default=None)

    def feed(self, headers: Matrix) -> None:
        """As `Engine.feed`."""
        self.make_room(len(headers))
        # All clocks stand where one engine's would stand, as a late packet is sent when the clock says.
        now = max(engine.now_ns for engine in self._engines)
        for engine in self._engines:
            engine.state.counts[Count.NOW_NS] = now
            engine.choose_loop(len(headers))
        self._share_out(headers)
        list(self._threads.map(lambda engine: engine.feed(headers), self._engines))
        if len(headers):
            for engine in self._engines:
                engine.state.counts[Count.NOW_NS] = max(now, int(headers[-1, Field.TIME_NS]))

    def _share_out(self, headers: Matrix) -> None:
        """Say for each packet which engine runs it; each thread says it for a part of them."""
        rows, of, first = len(headers), len(self._engines), self._engines[0]
        shares = np.empty((rows, 1), dtype=np.int64)
        share = first.kernel(share_out, rows)
        parts = [rows * part // of for part in range(of + 1)]
        list(self._threads.map(lambda start, end: share(first.tables, headers, start, end, of, shares), parts[:-1], parts[1:]))
        for engine in self._engines:
            engine.state = engine.state._replace(shares=shares)

    def advance(self, until_ns: int = FOREVER) -> None:
        """Let everything happen up to a time."""
        list(self._threads.map(lambda engine: engine.advance(until_ns), self._engines))

    def all_ended(self, first: int, count: int) -> bool:
        """As `Engine.all_ended`."""
        return self._engines[0].all_ended(first, count)

    def outcomes(self, first: int, count: int) -> Matrix:
        """As `Engine.outcomes`."""
        return self._engines[0].outcomes(first, count)

    def forget(self, packets: int) -> None:
        """As `Engine.forget`."""
        self._engines[0].forget(packets)
        for engine in self._engines[1:]:
            engine.state.counts[Count.FIRST] = packets

    def drop_journal(self) -> None:
        """There is none."""

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown()
