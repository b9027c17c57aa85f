"""Runtime: machines that answer, and time in hand.

    engine ─ exit HOST ─► host.receive(packet, now) ─► packets ─► inject
           ─ nothing due before a timer ─► host.handle_timer(now) ─► packets ─► inject

Timers of hosts run after the events of the same instant.  A moment is a copy of the state and of the hosts; to go back
is to put it in place again.  Every packet sent and received is kept with its time, for captures and traces.
"""

import copy
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from emulator.datapath.causes import NOWHERE
from emulator.datapath.loop import Exit
from emulator.datapath.state import FIRST_BORN, Birth, Count, Outcome, State
from emulator.engine import CACHED_FROM, FOREVER, Engine
from emulator.hosts.base import Send
from emulator.hosts.dns import Names, resolver_of, vpc_of
from emulator.hosts.fabric import fabric_for
from emulator.hosts.host import INSIDE_MTU, OUTSIDE_MTU, Host
from emulator.model.entities import ExternalHost, Instance, NetworkInterface
from emulator.model.joined import InterfaceEndpoint
from emulator.model.services import TCP, Service
from emulator.model.topology import INTERNET, Topology
from emulator.observe.born import born_packet, outcome_of
from emulator.observe.delivered import delivered
from emulator.policy.reasons import Stage
from emulator.wire.addresses import halves
from emulator.wire.headers import Field
from emulator.wire.packet import Packet

_EXEMPT = int(Stage.EXEMPT)
RESOLVER_V6 = ip_address("fd00:ec2::253")  # FB-1


class Sent(NamedTuple):
    """A packet as it was sent, at which place (0: by the fabric), and its first possible row of the journal."""

    packet: Packet
    place: int
    first_step: int


class Seen(NamedTuple):
    """What a capture at a place sees: when, which way, which packet, its number."""

    time_ns: int
    place: int
    inbound: bool
    packet: Packet
    number: int


@dataclass(frozen=True)
class Moment:
    """Everything at one time, to come back to."""

    now_ns: int
    topology: Topology
    state: State
    packets: int
    hosts: tuple[dict[str, Host], dict[int, Host]]
    seen: int


class Runtime:
    """The machines of a network, and its clock.

    Attributes
    ----------
    hosts : by id of the instance or outside host, and ``internet`` for everybody else
    sent : every packet by its number
    seen : what captures see, in the order of time
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.hosts: dict[str, Host] = {}
        self.fabrics: dict[int, Host] = {}
        self.sent: dict[int, Sent] = {}
        self.seen: list[Seen] = []
        self.listeners: list[Callable[[Seen], None]] = []
        self._home: dict[int, str] = {}  # place → id of its host
        self._places: dict[str, dict[tuple[int, int], int]] = {}  # host → address → place
        self._timers: list[tuple[int, str]] = []
        self._armed: dict[str, int] = {}  # the last timer put into the heap, by host
        self.edited()

    # Who is there.

    def edited(self) -> None:
        """Take the engine's topology: new machines appear, gone ones go, the rest keep what they remember."""
        topology, names = self.engine.topology, Names(self.engine.topology)
        self._home.clear()
        kept: dict[str, Host] = {}
        for instance in topology.all(Instance):
            enis = topology.interfaces_of(instance.id)
            if enis:
                kept[instance.id] = self._instance(topology, instance, enis, names)
        for endpoint in topology.all(InterfaceEndpoint):
            addresses = tuple(node.private_ip for node in endpoint.nodes)
            served = tuple(Service(TCP, (port, port)) for port in endpoint.ports)
            host = self.hosts.get(endpoint.id) or Host(endpoint.name, addresses, served, names, vpc=endpoint.vpc, mtu=INSIDE_MTU)
            host.addresses, host.listen = addresses, served
            kept[endpoint.id] = host
            self._settle(endpoint.id, [(node.interface, (node.private_ip,)) for node in endpoint.nodes])
        for outside in topology.all(ExternalHost):
            host = self.hosts.get(outside.id) or Host(outside.name, outside.ips, outside.listen, names, mtu=OUTSIDE_MTU)
            host.addresses, host.listen = outside.ips, outside.listen
            kept[outside.id] = host
            self._settle(outside.id, [(outside.id, outside.ips)])
        kept[INTERNET] = self.hosts.get(INTERNET) or Host(INTERNET, (), None, names, mtu=OUTSIDE_MTU)
        self._settle(INTERNET, [(INTERNET, ())])
        self.hosts, self.fabrics = kept, {}
        for host in self.hosts.values():
            host.names = names
        flags = self.engine.state.hosts
        flags[:] = 0
        for place in self._home:
            flags[place, 0] = 1

    def _instance(self, topology: Topology, instance: Instance, enis: list[NetworkInterface], names: Names) -> Host:
        addresses = tuple(ip for eni in enis for ip in eni.private_ips)
        vpc = vpc_of(topology, enis[0])
        host = self.hosts.get(instance.id)
        if host is None:
            has_ipv4 = any(ip.version == 4 for ip in addresses)
            resolver = resolver_of(topology, vpc) if has_ipv4 else RESOLVER_V6
            host = Host(instance.name, addresses, instance.listen, names, vpc=vpc, resolver=resolver, mtu=INSIDE_MTU)
        host.addresses, host.listen = addresses, instance.listen
        self._settle(instance.id, [(eni.id, eni.private_ips) for eni in enis])
        return host

    def _settle(self, key: str, places: list[tuple[str, tuple[object, ...]]]) -> None:
        table: dict[tuple[int, int], int] = {}
        for name, addresses in places:
            number = self.engine.ids.of(name)
            self._home[number] = key
            table[(0, 0)] = table.get((0, 0), number)  # what is sent from no address of its own
            for ip in addresses:
                table[halves(ip)] = number  # type: ignore[arg-type]
        self._places[key] = table

    def places_of(self, key: str) -> set[int]:
        """Places (numbers) of a host: its interfaces."""
        return {number for number, home in self._home.items() if home == key}

    # Sending and receiving.

    def send(self, packet: Packet, place: int, at_ns: int | None = None) -> int:
        """Send one packet at a place; gives its number."""
        engine = self.engine
        first_step = int(engine.state.counts[Count.STEPS, 0])
        due = engine.now_ns if at_ns is None else max(at_ns, engine.now_ns)
        number = engine.inject(packet.header, place, due)
        self.sent[number] = Sent(packet, place, first_step)
        if place != NOWHERE:
            self._note(Seen(due, place, False, packet, number))
        if engine.packets == CACHED_FROM:
            engine.expect(CACHED_FROM)
        return number

    def _note(self, seen: Seen) -> None:
        self.seen.append(seen)
        for listener in self.listeners:
            listener(seen)

    def _send_all(self, key: str, sends: list[Send]) -> None:
        now, table = self.engine.now_ns, self._places[key]
        for delay, datagram in sends:
            packet = Packet.parse(datagram)
            source = (int(packet.header[Field.SOURCE_HI]), int(packet.header[Field.SOURCE_LO]))
            self.send(packet, table.get(source, table[(0, 0)]), now + delay)

    def act(self, key: str, sends: list[Send]) -> None:
        """Send what a host gave, and keep its timer."""
        self._send_all(key, sends)
        self._arm(key)

    def _deliver(self) -> None:
        counts = self.engine.state.counts
        number = int(counts[Count.ARRIVED, 0]) - 1
        counts[Count.ARRIVED, 0] = 0
        known = self._known(number)
        if known is None:
            return
        outcome = outcome_of(self.engine.state, number)
        arrived, place = delivered(known.packet, outcome), int(outcome[Outcome.PLACE])
        now = self.engine.now_ns
        if outcome[Outcome.STAGE] == _EXEMPT and known.place != NOWHERE:
            for delay, datagram in self._fabric(place).receive(arrived, now):
                self.send(Packet.parse(datagram), NOWHERE, now + delay)
            return
        self._note(Seen(now, place, True, arrived, number))
        key = self._home[place]
        self.act(key, self.hosts[key].receive(arrived, now))

    def _known(self, number: int) -> Sent | None:
        """A packet by its number; one that the network made (an ICMP error, a piece, a reset) gets its bytes now."""
        if number >= FIRST_BORN and number not in self.sent:
            birth = self.engine.state.births[number - FIRST_BORN]
            parent = self._known(int(birth[Birth.PARENT]))
            if parent is not None:
                made = born_packet(self.engine.state, number, parent.packet)
                self.sent[number] = Sent(made, int(birth[Birth.AT]), parent.first_step)
        return self.sent.get(number)

    def find(self, number: int) -> Sent | None:
        """A packet by its number, also one that the network made; None if there is none."""
        born = int(self.engine.state.counts[Count.BORN, 0])
        return self._known(number) if number < FIRST_BORN + born else None

    def _fabric(self, place: int) -> Host:
        if place not in self.fabrics:
            eni = self.engine.topology.get(self.engine.ids.name(place), NetworkInterface)
            self.fabrics[place] = fabric_for(self.engine.topology, eni, next(iter(self.hosts.values())).names)
        return self.fabrics[place]

    # Time.

    def _arm(self, key: str) -> None:
        due = self.hosts[key].get_timer()
        if due is not None and self._armed.get(key) != due:
            self._armed[key] = due
            heapq.heappush(self._timers, (due, key))

    def _next_timer(self) -> int:
        """When the next timer is due; those that mean nothing any more are dropped."""
        while self._timers:
            due, key = self._timers[0]
            host = self.hosts.get(key)
            if host is not None and host.get_timer() == due:
                return due
            heapq.heappop(self._timers)
        return FOREVER

    def _fire(self) -> None:
        _, key = heapq.heappop(self._timers)
        self._armed.pop(key, None)
        self.act(key, self.hosts[key].handle_timer(self.engine.now_ns))

    def run(self, until_ns: int = FOREVER, stop: Callable[[], bool] | None = None, limit: int = FOREVER) -> bool:
        """Let time pass up to a moment, or until ``stop`` says so, or for so many events; False if nothing is left to happen."""
        while stop is None or not stop():
            timer = self._next_timer()
            code = self.engine.advance(min(until_ns, timer), limit)
            if code == Exit.HOST:
                self._deliver()
            elif code == Exit.IDLE and timer <= until_ns and timer < FOREVER:
                self._fire()
            elif code == Exit.IDLE:
                return self.engine.next_time_ns() is not None or timer < FOREVER
            if limit != FOREVER:
                return True
        return True

    def next_time_ns(self) -> int | None:
        """When the next thing is due; None if nothing is."""
        due = min(self._next_timer(), FOREVER if self.engine.next_time_ns() is None else self.engine.next_time_ns() or 0)
        return None if due == FOREVER else due

    def moment(self) -> Moment:
        """A copy of everything."""
        hosts, fabrics = copy.deepcopy((self.hosts, self.fabrics))
        engine = self.engine
        return Moment(engine.now_ns, engine.topology, engine.snapshot(), engine.packets, (hosts, fabrics), len(self.seen))

    def rewind(self, moment: Moment) -> None:
        """Go back to a moment; it can be gone back to again."""
        engine = self.engine
        engine.edit(moment.topology)
        engine.state = State(*(matrix.copy() for matrix in moment.state))
        engine.packets = moment.packets
        self.hosts, self.fabrics = copy.deepcopy(moment.hosts)
        del self.seen[moment.seen :]
        born = FIRST_BORN + int(engine.state.counts[Count.BORN, 0])
        self.sent = {number: sent for number, sent in self.sent.items() if number < moment.packets or FIRST_BORN <= number < born}
        self._timers, self._armed = [], {}
        self.edited()
        for key in self.hosts:
            self._arm(key)

    def twin(self, engine: Engine) -> "Runtime":
        """The same machines on a copy of the engine."""
        other = copy.copy(self)
        other.engine = engine
        other.hosts, other.fabrics = copy.deepcopy((self.hosts, self.fabrics))
        other.sent, other.seen, other.listeners = dict(self.sent), list(self.seen), []
        other._home, other._places = dict(self._home), dict(self._places)
        other._timers, other._armed = list(self._timers), dict(self._armed)
        return other
