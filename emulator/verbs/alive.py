"""Alive: the part of a network that runs: its machines answer, and its time is in one's hand.

    network["web-1"]             a machine: ping, curl, dig …
    network.run("5s"), step()    let time pass
    network.run_until_drop()     until something is lost; gives its trace
    network.snapshot()           a moment; network.rewind(moment) goes back to it
    network.copy()               a twin, to try something on; side_by_side(network, twin) compares

The machines come to life when the first of these is used; before, a packet that arrives is only delivered, and what
machines are made of is not even loaded: a question needs none.
"""

from typing import TYPE_CHECKING

from emulator.clock import parse_duration
from emulator.datapath.state import Count, Outcome
from emulator.datapath.state import Step as Column
from emulator.engine import FOREVER, Engine
from emulator.errors import UsageError
from emulator.model.entities import ExternalHost, Instance, NetworkInterface
from emulator.model.topology import INTERNET, Topology
from emulator.observe.born import born_since, outcome_of
from emulator.policy.reasons import Verdict

if TYPE_CHECKING:
    from emulator.observe.entries import TrackingEntry
    from emulator.observe.trace import Trace
    from emulator.runtime import Moment, Runtime, Seen
    from emulator.verbs.beside import Beside
    from emulator.verbs.conntrack import ConntrackTable
    from emulator.verbs.flowlog import FlowLogText
    from emulator.verbs.machine import Machine
    from emulator.verbs.pingall import PingAll
    from emulator.verbs.tcpdump import Dump
    from emulator.wire.packet import Packet


class Alive:
    """What `Network` adds for machines and time."""

    engine: Engine
    _runtime: "Runtime | None" = None

    if TYPE_CHECKING:

        @property
        def topology(self) -> Topology: ...

        def entries(self, interface: str | None = None) -> "list[TrackingEntry]": ...

        def _trace(self, sent: "Packet", number: int, first_step: int, made: "tuple[Trace, ...]") -> "Trace": ...

        def _why(self, sent: "Packet", number: int) -> str: ...

    @property
    def runtime(self) -> "Runtime":
        """The machines and the clock; made when first asked for."""
        if self._runtime is None:
            from emulator.runtime import Runtime

            self._runtime = Runtime(self.engine)
        return self._runtime

    def __getitem__(self, name: str) -> "Machine":
        """The machine of a name: an instance, a host outside, or ``internet`` for everybody else there."""
        from emulator.verbs.machine import Machine

        if name in self.runtime.hosts:
            return Machine(self.runtime, name, self.runtime.hosts[name].name)
        found = self.topology.find(name)
        if isinstance(found, NetworkInterface):
            found = self.topology.get(found.instance, Instance)
        if not isinstance(found, Instance | ExternalHost):
            raise UsageError(f"{name} is no machine; name an instance or a host outside")
        if found.id not in self.runtime.hosts:
            raise UsageError(f"{name} has no interface, so there is nothing to send from")
        return Machine(self.runtime, found.id, self.topology.display(found.id))

    @property
    def machines(self) -> tuple[str, ...]:
        """Names of all machines, instances first."""
        kinds: tuple[Instance | ExternalHost, ...] = (*self.topology.all(Instance), *self.topology.all(ExternalHost))
        return tuple(self.topology.display(kind.id) for kind in kinds if kind.id in self.runtime.hosts)

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Names of all places where a capture can be taken: ``web-1:eth0``, hosts outside."""
        kinds: tuple[NetworkInterface | ExternalHost, ...] = (*self.topology.all(NetworkInterface), *self.topology.all(ExternalHost))
        return (*(self.topology.display(kind.id) for kind in kinds), INTERNET)

    def pingall(self, *names: str) -> "PingAll":
        """Every instance pings every other once, all at the same time; or the machines that are named."""
        from emulator.verbs.ping import Ping
        from emulator.verbs.pingall import PingAll

        machines = [self[name] for name in names or [self.topology.display(one.id) for one in self.topology.all(Instance)]]
        runtime = self.runtime
        running: dict[tuple[str, str], Ping] = {}
        for one in machines:
            for other in machines:
                if one.key != other.key and (one.host.vpc or other.host.vpc):
                    # By address, as a name would be asked of the resolver first.
                    target = _address_of(one, other)
                    ping = running[(one.name, other.name)] = Ping(one.host, target, count=1, linger_ns=parse_duration("1s"))
                    runtime.act(one.key, one.host.run(ping, runtime.engine.now_ns))
        runtime.run(stop=lambda: all(ping.done for ping in running.values()))
        return PingAll(tuple(machine.name for machine in machines), {pair: ping.result for pair, ping in running.items()})

    def tcpdump(self, at: str | None = None, expression: str = "", *, since: str = "0s", live: bool = False, link: bool = False) -> "Dump":
        """What a capture sees, at a machine, at one interface, or everywhere.

        Parameters
        ----------
        at : ``web-1``, ``web-1:eth0``, an id; None is everywhere, so that most packets are there twice: sent and received
        expression : ``tcp``, ``icmp``, ``port 80``, ``host 10.0.1.10``, joined by ``and``
        since : leave out what is older
        live : print rows from now on, as they come
        link : in Ethernet frames, with ARP, neighbour discovery and DHCP; of instances alone
        """
        from emulator.verbs.linklayer import Segment
        from emulator.verbs.tcpdump import Dump, RowWriter, filter_of

        places, wanted, first = self._places(at), filter_of(expression), parse_duration(since)
        names = {place: self.topology.display(self.engine.ids.name(place)) for place in sorted(places)}
        if live:
            writer = RowWriter(names if len(names) > 1 else {})

            def show(seen: "Seen") -> None:
                if seen.place in names and wanted(seen.packet):
                    print(writer.row(seen))

            self.runtime.listeners.append(show)
            return Dump(names, [])
        # What a host sends a little later is noted when it decides; a capture is in the order of time.
        rows = [seen for seen in self.runtime.seen if seen.place in places and seen.time_ns <= self.engine.now_ns]
        rows.sort(key=lambda seen: seen.time_ns)  # what is of one instant stays in the order in which it was done
        if link:
            names = {place: name for place, name in names.items() if isinstance(self._entity(place), NetworkInterface)}
            segments = [Segment(self.topology, self._eni(place), place) for place in names]
            rows = [row for one in segments for row in one.rows([seen for seen in rows if seen.place == one.place])]
            rows.sort(key=lambda seen: seen.time_ns)
        return Dump(names, [seen for seen in rows if seen.time_ns >= first and wanted(seen.packet)], self._comments)

    def _entity(self, place: int) -> object:
        return self.topology.entities.get(self.engine.ids.name(place))

    def _eni(self, place: int) -> NetworkInterface:
        return self.topology.get(self.engine.ids.name(place), NetworkInterface)

    def beside(self, other: "Alive", at: str | None = None, expression: str = "") -> "Beside":
        """This run beside another: which packets a capture has in both, and which in one alone."""
        from emulator.verbs.beside import beside

        mine, others = self.tcpdump(at, expression), other.tcpdump(at, expression)
        return beside(mine.seen, others.seen, mine.interfaces)

    def _places(self, at: str | None) -> set[int]:
        runtime = self.runtime
        if at is None:
            return {place for key in runtime.hosts for place in runtime.places_of(key)}
        if at == INTERNET:
            return runtime.places_of(INTERNET)
        entity = None if at in runtime.hosts else self.topology.find(at)
        if isinstance(entity, NetworkInterface):
            return {self.engine.ids.of(entity.id)}
        return runtime.places_of(self[at].key)

    def _comments(self, seen: "Seen") -> tuple[str, ...]:
        sent = None if seen.number < 0 else self.runtime.find(seen.number)
        if sent is None or not outcome_of(self.engine.state, seen.number)[Outcome.VERDICT]:
            return ()
        why = self._why(sent.packet, seen.number)
        return (f"DROP {why}" if why else "ACCEPT",)

    def conntrack(self, interface: str | None = None) -> "ConntrackTable":
        """What an interface, or all of them, remember of connections."""
        from emulator.verbs.conntrack import ConntrackTable

        return ConntrackTable(tuple(self.entries(interface)))

    def flow_log(self, interface: str | None = None) -> "FlowLogText":
        """What VPC Flow Logs write about this run so far, of an interface or of all (FL-4 to FL-8).

        Raises
        ------
        UsageError : the network keeps none; make it with ``flow_logs=True``.
        """
        from emulator.observe.flowlogs import FlowLog
        from emulator.verbs.flowlog import FlowLogText

        places = None if interface is None else tuple(self.engine.ids.name(place) for place in self._places(interface))
        log = FlowLog(interfaces=places)
        return FlowLogText(log.fields, tuple(log.rows(self.topology, self.engine.ids, self.engine.state)))

    # Time in hand.

    def run(self, time: str | None = None) -> None:
        """Let so much time pass; without a time, until nothing is left to happen."""
        self.runtime.run(FOREVER if time is None else self.engine.now_ns + parse_duration(time))

    def step(self, events: int = 1) -> bool:
        """Let so many things happen, one after the other; False if nothing was left."""
        return all(self.runtime.run(limit=1) for _ in range(events))

    def run_until_drop(self, time: str = "1h") -> "Trace | None":
        """Run until a packet is lost, at most so long; gives its trace, or None if none was."""
        until = self.engine.now_ns + parse_duration(time)
        row = int(self.engine.state.counts[Count.STEPS, 0])
        while True:
            due = self.runtime.next_time_ns()
            if due is None or due > until:
                return None
            self.runtime.run(until, limit=1)
            last = int(self.engine.state.counts[Count.STEPS, 0])
            for step in self.engine.state.journal[row:last]:
                if step[Column.VERDICT] == Verdict.DROP:
                    return self.trace(int(step[Column.PACKET]))
            row = last

    def trace(self, number: int) -> "Trace":
        """The way of a packet by its number (of a row of `tcpdump`).

        Raises
        ------
        UsageError : no packet has that number.
        """
        sent = self.runtime.find(number)
        if sent is None:
            raise UsageError(f"no packet has the number {number}; see the numbers in tcpdump().seen")
        return self._trace(sent.packet, number, sent.first_step, ())

    def drops(self) -> "list[Trace]":
        """The traces of all packets that were lost so far, in the order of sending."""
        verdicts = self.engine.state.outcomes[: self.engine.packets, Outcome.VERDICT]
        lost = [int(number) for number in (verdicts == Verdict.DROP).nonzero()[0] if int(number) in self.runtime.sent]
        lost += [one for one in born_since(self.engine.state, 0) if outcome_of(self.engine.state, one)[Outcome.VERDICT] == Verdict.DROP]
        return [self.trace(one) for one in lost]

    def snapshot(self) -> "Moment":
        """This moment, to come back to."""
        return self.runtime.moment()

    def rewind(self, moment: "Moment") -> None:
        """Go back to a moment: rules, connections, packets on their way and machines are as they were then."""
        self.runtime.rewind(moment)

    def _begin(self, packet: "Packet", place: int, at_ns: int | None) -> int:
        """Send a packet at a place; gives its number.  Living machines will answer what reaches them."""
        if self._runtime is not None:
            return self._runtime.send(packet, place, at_ns)
        return self.engine.inject(packet.header, place, self.engine.now_ns if at_ns is None else at_ns)


def _address_of(one: "Machine", other: "Machine") -> str:
    """The address by which one machine knows another: the public one between inside and outside."""
    found = one.host.names.find(other.name, one.host.vpc) or other.host.addresses
    usable = [ip for ip in found if one.host.address_towards(ip) is not None]
    return str((usable or list(found) or list(other.host.addresses))[0])
