"""A packet at a place of a network, for a kernel to act on, and what came of it in names."""

from emulator.datapath.sightings import Sighting
from emulator.datapath.state import Birth, BirthKind, Count, Event, EventKind, Flight, Step
from emulator.engine import Engine
from emulator.policy.reasons import Reason, Stage, Verdict
from emulator.wire.addresses import address
from emulator.wire.headers import FIELDS, Field
from emulator.wire.packet import Packet

NOW, P, INDEX = 10**18, 3, 7


class There:
    """A packet in row P of a network's state, and what a kernel made of it, in names."""

    def __init__(self, network, packet, now=NOW, **carried):
        self.engine = Engine(network, compiled=False, flow_logs=True)
        self.state, self.tables, self.now = self.engine.state, self.engine.tables, now
        self.state.flights[P, :FIELDS] = Packet.of(packet).header
        self.state.flights[P, Field.INDEX] = INDEX
        for name, value in carried.items():
            self.state.flights[P, Flight[name]] = value
        self.state.counts[[Count.NOW_NS, Count.FREE], 0] = now, 100
        self.state.free[:100, 0] = *range(101, 200), 0  # the first to be taken is row 0

    def id(self, name):
        """The id of a name; 0 for none."""
        return self.engine.ids.of(name) if name else 0

    def steps(self):
        """The packet's steps: stage, place, verdict, reason, rule and value; there is an entry in none."""
        rows = self.state.journal[: self.state.counts[Count.STEPS, 0]]
        assert not rows[:, [Step.ENTRY, Step.HI, Step.LO]].any()
        return [
            (
                Stage(int(row[Step.STAGE])).name,
                self.engine.ids.name(row[Step.PLACE]),
                Verdict(int(row[Step.VERDICT])).name,
                Reason(int(row[Step.REASON])).name,
                self.engine.ids.name(row[Step.RULE]),
                int(row[Step.VALUE]),
            )
            for row in rows
        ]

    def seen(self):
        """What interfaces saw: place, direction, action, reason, rule and target."""
        rows = self.state.sightings[: self.state.counts[Count.SIGHTINGS, 0]].tolist()
        name = self.engine.ids.name
        return [
            (
                name(row[Sighting.PLACE]),
                row[Sighting.DIRECTION],
                Verdict(row[Sighting.ACTION]).name,
                Reason(row[Sighting.REASON]).name,
                name(row[Sighting.RULE]),
                name(row[Sighting.TARGET]),
            )
            for row in rows
        ]

    def due(self):
        """What is due, in its order: time, kind, packet and place."""
        rows = self.state.queue[: self.state.counts[Count.QUEUED, 0]].tolist()
        if self.state.counts[Count.NEXT_FLIGHT, 0]:
            p = self.state.counts[Count.NEXT_FLIGHT, 0] - 1
            kind, place = (int(self.state.counts[row, 0]) for row in (Count.NEXT_KIND, Count.NEXT_PLACE))
            rows.append([self.now, kind, int(self.state.flights[p, Field.INDEX]), p, place])
        return [
            (row[Event.TIME_NS] - self.now, EventKind(row[Event.KIND]).name, row[Event.PACKET], self.engine.ids.name(row[Event.PLACE]))
            for row in sorted(rows)
        ]

    def born(self):
        """What the network made: its kind, where, from which address, and the MTU that it names."""
        made, family = [], int(self.state.flights[P, Field.FAMILY])
        for row in self.state.births[: self.state.counts[Count.BORN, 0]].tolist():
            assert family == 6 or row[Birth.FROM_HI] == 0
            source = str(address(family, row[Birth.FROM_HI], row[Birth.FROM_LO]))
            made.append((BirthKind(row[Birth.KIND]).name, self.engine.ids.name(row[Birth.AT]), source, row[Birth.VALUE]))
        return made
