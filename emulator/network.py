"""Network: the front door.  A topology that packets move through, and that can be asked why."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.datapath.state import FIRST_BORN, Birth, Count, Outcome
from emulator.datapath.state import Step as Column
from emulator.engine import Engine
from emulator.errors import UsageError
from emulator.hosts.probe import EPHEMERAL_PORT, Place, probe_of
from emulator.hosts.responder import NONE, REPLY, answer
from emulator.model.entities import ExternalHost, Instance, NetworkInterface, Policy, Subnet
from emulator.model.joined import CustomerNetwork, InterfaceEndpoint, NetworkLoadBalancer
from emulator.model.schedule import apply
from emulator.model.services import TCP, Service, parse_service
from emulator.model.topology import INTERNET, Topology
from emulator.observe.born import as_delivered, born_packet, born_since, outcome_of
from emulator.observe.entries import TrackingEntry, entries_of
from emulator.observe.explain import Explanation
from emulator.observe.strangers import named_blocks
from emulator.observe.trace import Trace, steps_of
from emulator.observe.words import Words
from emulator.policy.reasons import Stage, Verdict
from emulator.schedule import ScheduledEdit, Scheduling
from emulator.verbs.alive import Alive
from emulator.verbs.editing import Editing
from emulator.wire.headers import Field
from emulator.wire.packet import Packet

if TYPE_CHECKING:
    from emulator.replay import Replay

Address = IPv4Address | IPv6Address
_OUTSIDE_V4 = ("198.18.0.1", "8.8.8.8", "1.1.1.1", "100.128.0.1", "64.13.134.52", "185.0.0.1")
_OUTSIDE_V6 = ("2a00::1", "2600::1", "2c0f::1", "2400::1")


class Network(Alive, Editing, Scheduling):
    """A running network: send packets, replay captures, ask why, edit rules while it runs.

    Parameters
    ----------
    topology : a Topology, or the path of a topology file or of anything else that `vpcemu import` takes
    compiled : True or False to decide, None to compile the kernels when the work is large
    policy : other settings than the topology's
    flow_logs : whether `flow_log` can be asked

    Examples
    --------
    >>> from scapy.layers.inet import IP, TCP
    >>> network = Network("topologies/web-server.yaml")
    >>> network.send(IP(src="192.0.2.77", dst="198.51.100.10") / TCP(sport=50000, dport=22)).reason
    'ENI_SG_RULES_MISMATCH'
    """

    def __init__(
        self, topology: Topology | str | Path, *, compiled: bool | None = None, policy: Policy | None = None, flow_logs: bool = False
    ) -> None:
        self.engine = Engine(_loaded(topology, policy), compiled=compiled, flow_logs=flow_logs)
        self._words: Words | None = None
        self._schedule: list[ScheduledEdit] = []
        for edit in self.topology.schedule:
            self.schedule(edit.at_ns, apply, edit)

    @property
    def topology(self) -> Topology:
        """The topology of the moment."""
        return self.engine.topology

    @property
    def now_ns(self) -> int:
        """The time of the moment, in ns since the run began."""
        return self.engine.now_ns

    @property
    def words(self) -> Words:
        """Words for ids of the moment."""
        if self._words is None or self._words.tables is not self.engine.tables:
            self._words = Words(self.topology, self.engine.ids, self.engine.tables)
        return self._words

    def edit(self, topology: Topology) -> None:
        """Exchange the topology while it runs; tracked connections stay (SG-54, SG-58), the next packet meets the new rules (SG-55).

        ``sg.propagation_delay_s`` lets that much time pass first (PL-7).
        """
        delay = topology.policy.propagation_delay_s
        if delay:
            self.advance(self.now_ns + delay * 1_000_000_000)
        self.engine.edit(topology)
        if self._runtime is not None:
            self._runtime.edited()

    def send(self, packet: Any, *, at_ns: int | None = None, source: str | None = None) -> Trace:
        """Send one packet, let everything happen that follows from it, and tell its way.

        Parameters
        ----------
        packet : a Scapy packet (IP or Ethernet outermost), its bytes, or a `Packet`
        at_ns : when, now if left out; never before now
        source : name, id or ``instance:interface`` of the sender; left out, whoever owns the source address

        Raises
        ------
        UsageError : not an IP datagram, or an unknown sender.
        """
        given = Packet.of(packet)
        place = self._sender(given, source)
        engine = self.engine
        first_step, first_born = int(engine.state.counts[Count.STEPS, 0]), int(engine.state.counts[Count.BORN, 0])
        number = self._begin(given, place, at_ns)
        while not engine.state.outcomes[number, Outcome.VERDICT] and self._step():
            pass
        made = born_since(engine.state, first_born)
        while any(not outcome_of(engine.state, one)[Outcome.VERDICT] for one in made) and self._step():
            made = born_since(engine.state, first_born)
        packets = {number: given}
        traces: dict[int, list[Trace]] = {}
        for one in made:  # a packet is made after the one that caused it
            parent = int(engine.state.births[one - FIRST_BORN, Birth.PARENT])
            if parent in packets:
                packets[one] = born_packet(engine.state, one, packets[parent])
        for one in reversed(made):
            if one in packets:
                parent = int(engine.state.births[one - FIRST_BORN, Birth.PARENT])
                trace = self._trace(packets[one], one, first_step, tuple(reversed(traces.get(one, []))))
                traces.setdefault(parent, []).append(trace)
        return self._trace(given, number, first_step, tuple(reversed(traces.get(number, []))))

    def _sender(self, packet: Packet, source: str | None) -> int:
        ids = self.engine.ids
        known = self.topology.entities.get(source or INTERNET)
        if source is not None and source in ids and (known is None or isinstance(known, CustomerNetwork)):
            return ids.of(source)  # an interface of AWS's own, such as an endpoint's, or nobody in particular of a customer network
        if source is not None:
            return ids.of(self.place(source).id)
        owners = self.topology.owners.get(packet.five_tuple.source, [])
        inside = [key for key in owners if isinstance(self.topology.entities[key], NetworkInterface)]
        if not inside and owners and isinstance(self.topology.entities[owners[0]], InterfaceEndpoint | NetworkLoadBalancer):
            return ids.of(self.place(str(packet.five_tuple.source)).id)
        if len(inside) > 1:
            raise UsageError(f"{packet.five_tuple.source} belongs to {', '.join(inside)}; say source=")
        return ids.of((inside or owners or [INTERNET])[0])

    def _trace(self, sent: Packet, number: int, first_step: int, made: tuple[Trace, ...]) -> Trace:
        state = self.engine.state
        outcome = outcome_of(state, number)
        journal = state.journal[first_step : int(state.counts[Count.STEPS, 0])]
        rows = journal[journal[:, Column.PACKET] == number]
        why = self.words.why(sent.header, outcome)
        verdict = Verdict(int(outcome[Outcome.VERDICT]))
        delivered = Packet.parse(as_delivered(sent, outcome), sent.link_type) if verdict == Verdict.ACCEPT else None
        steps = tuple(steps_of(self.words, rows, int(sent.header[Field.FAMILY]), why))
        at = self.engine.ids.name(int(outcome[Outcome.PLACE]))
        rule = self.words.rule(outcome[Outcome.RULE])
        identity = int(outcome[Outcome.SENDER]), int(outcome[Outcome.LOST])
        return Trace(sent, verdict, steps, why, delivered, bool(outcome[Outcome.TRACKED]), rule, at, made, identity)

    def place(self, text: str, receiving: bool = False) -> Place:
        """What a question's SOURCE or DESTINATION means: a name, an id, ``instance:interface``, an address, ``internet``.

        Raises
        ------
        UsageError : nothing of the kind.
        """
        entity = self._owner_of_node(text) or self.topology.end(text, receiving)
        if entity is None:
            return Place(INTERNET, INTERNET, self._strangers(), {})
        if isinstance(entity, IPv4Address | IPv6Address):
            behind = (network.id for network in self.topology.all(CustomerNetwork) if any(entity in block for block in network.blocks))
            return Place(next(behind, INTERNET), text, (entity,), {})
        asked = _address(text)
        if isinstance(entity, ExternalHost):
            return Place(entity.id, entity.name, (asked,) if asked else entity.ips, {}, entity.listen)
        if isinstance(entity, InterfaceEndpoint | NetworkLoadBalancer):
            known = (node for node in entity.nodes if text == node.interface or (asked and asked in (node.private_ip, node.public_ip)))
            node = next(known, entity.nodes[0])
            public = {} if node.public_ip is None else {node.private_ip: node.public_ip}
            return Place(node.interface, entity.name, (node.private_ip,), public, _served(entity), entity.vpc)
        if isinstance(entity, Instance):
            entity = self.topology.interfaces_of(entity.id)[0]
        ips = (asked,) if asked else entity.private_ips
        instance = self.topology.get(entity.instance, Instance)
        vpc = self.topology.get(entity.subnet, Subnet).vpc
        return Place(entity.id, self.topology.display(entity.id), ips, dict(entity.public_ips), instance.listen, vpc)

    def _owner_of_node(self, text: str) -> InterfaceEndpoint | NetworkLoadBalancer | None:
        """The endpoint or balancer whose node has this interface id."""
        owners: list[InterfaceEndpoint | NetworkLoadBalancer] = [
            *self.topology.all(InterfaceEndpoint),
            *self.topology.all(NetworkLoadBalancer),
        ]
        return next((owner for owner in owners if any(node.interface == text for node in owner.nodes)), None)

    def _strangers(self) -> tuple[Address, ...]:
        """An address of each family that nothing in the topology has and no block of it names."""
        blocks = named_blocks(self.topology)
        found = []
        for candidates in (_OUTSIDE_V4, _OUTSIDE_V6):
            owned = self.topology.owners
            free = [ip for ip in map(ip_address, candidates) if ip not in owned and not any(ip in block for block in blocks)]
            found.append(free[0] if free else ip_address(candidates[0]))
        return tuple(found)

    def explain(self, source: str, destination: str, service: str | Service, *, source_port: int | None = None) -> Explanation:
        """Send one packet and, if it arrives, its answer, through a copy of this network; tell every step.

        Parameters
        ----------
        source, destination : see `place`
        service : ``tcp/443``, ``udp/53``, ``icmp``, ``icmp/3/4``, a protocol number, a console word such as HTTPS
        source_port : of the first packet; an ephemeral one if left out

        Raises
        ------
        UsageError : an unknown name or service, or two ends without an address of the same family.
        """
        try:
            wanted = parse_service(service) if isinstance(service, str) else service
        except ValueError as trouble:
            raise UsageError(str(trouble)) from None
        sender, receiver = self.place(source), self.place(destination, receiving=True)
        probe = probe_of(sender, receiver, wanted, source_port or EPHEMERAL_PORT)
        twin = self._silent_copy()
        forward = twin.send(probe, source=sender.id)
        kind, back = NONE, None
        if forward.delivered is not None:
            if forward.steps[-1].stage == Stage.EXEMPT:
                kind = REPLY
            else:
                listen = self._listen_at(forward.at)
                kind, reply = answer(forward.delivered, listen)
                if reply is not None:
                    back = twin.send(reply, source=forward.at)
        return Explanation(source, destination, wanted, sender.name, receiver.name, forward, back, kind)

    def _listen_at(self, place_id: str) -> tuple[Service, ...] | None:
        entity = self.topology.entities.get(place_id)
        if isinstance(entity, NetworkInterface):
            return self.topology.get(entity.instance, Instance).listen
        served = self._owner_of_node(place_id)
        if served is not None:
            return _served(served)
        return entity.listen if isinstance(entity, ExternalHost) else None

    def copy(self) -> "Network":
        """This network at this moment, to try something on."""
        twin = self._silent_copy()
        if self._runtime is not None:
            twin.engine.state.hosts[:] = self.engine.state.hosts
            twin._runtime = self._runtime.twin(twin.engine)
        return twin

    def _silent_copy(self) -> "Network":
        """A copy in which no machine answers, for a question."""
        twin = object.__new__(Network)
        twin.engine = self.engine.copy()
        twin.engine.state.hosts[:] = 0
        twin._words = None
        twin._schedule = list(self._schedule)
        return twin

    def _why(self, sent: Packet, number: int) -> str:
        why = self.words.why(sent.header, outcome_of(self.engine.state, number))
        return str(why) if why is not None else ""

    def replay(
        self, capture: str | Path, *, map: dict[str, str] | None = None, open_loop: bool = False, progress: bool = False
    ) -> "Replay":
        """Feed a capture through a fresh copy of this network; see `emulator.replay.replay`."""
        from emulator.replay import replay

        return replay(self.topology, capture, map=map, open_loop=open_loop, progress=progress)

    def entries(self, interface: str | None = None) -> list[TrackingEntry]:
        """The tracked connections that live now, of one interface or of all (CT-1)."""
        only = None if interface is None else self.place(interface).id
        return entries_of(self.words, self.engine.state, self.now_ns, only)

    def allowance_exceeded(self, interface: str) -> int:
        """Packets dropped at an interface because its instance's tracking table was full (CT-41)."""
        number = self.engine.ids.of(self.place(interface).id)
        return int(self.engine.state.usage[number, 1])

    def _repr_png_(self) -> bytes:
        return self.topology._repr_png_()


def _loaded(topology: Topology | str | Path, policy: Policy | None) -> Topology:
    if isinstance(topology, str | Path):
        from emulator.importers.network import load_network

        return _loaded(load_network(topology), policy)
    return topology if policy is None else topology.replace(policy=policy)


def _address(text: str) -> Address | None:
    """The address that a text is, or None."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _served(entity: InterfaceEndpoint | NetworkLoadBalancer) -> tuple[Service, ...]:
    """What an endpoint or a balancer answers."""
    if isinstance(entity, InterfaceEndpoint):
        return tuple(Service(TCP, (port, port)) for port in entity.ports)
    return tuple(Service(listener.protocol, (listener.port, listener.port)) for listener in entity.listeners)
