"""The tracking table of one interface, its kernels within reach: packets of db and ext are put in row 0 and asked about."""

from emulator.datapath.state import new_state
from emulator.policy import conntrack, keys
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.conntrack import Count, Usage
from emulator.policy.judge import judge
from emulator.policy.tables import EGRESS, INGRESS
from emulator.wire.addresses import halves
from emulator.wire.headers import SYN, TCP, Field
from tests.base import ANYONE, DB, EXT, base, group

S = 10**9


class Table:
    """The tracking table of db, which may have so many entries."""

    def __init__(self, limit=None, ingress=(), **policy):
        self.ids = Ids()
        network = base(
            group("g", [(service, ANYONE if service == "all" else f"{EXT}/32") for service in ingress]),
            db="g",
            policy={"max_entries": limit, **policy},
        )
        self.tables = compile_tables(network, self.ids)
        self.state = new_state(len(self.ids), 0)
        self.eni, self.holder = self.ids.of("eni-db"), self.ids.of("i-db")

    @property
    def books(self):
        return self.tables, self.state.entries, self.state.counts, self.state.usage

    @property
    def tracked(self):
        return int(self.state.usage[self.holder, Usage.TRACKED]), int(self.state.counts[Count.LIVE, 0])

    @property
    def retry_ns(self):
        return int(self.state.usage[self.holder, Usage.RETRY_NS])

    def packet(self, port, flags=SYN, protocol=TCP, back=False):
        """The packet in row 0, and its key: of db to ext, or back."""
        ends, ports = [DB, EXT][:: -1 if back else 1], [port, 80][:: -1 if back else 1]
        flights = self.state.flights
        flights[0] = 0
        flights[0, [Field.FAMILY, Field.PROTOCOL, Field.FLAGS]] = 4, protocol, flags
        flights[0, [Field.SOURCE_HI, Field.SOURCE_LO, Field.DESTINATION_HI, Field.DESTINATION_LO]] = (*halves(ends[0]), *halves(ends[1]))
        flights[0, [Field.SOURCE_PORT, Field.DESTINATION_PORT]] = ports
        return keys.packet_key(flights, 0, self.eni)

    def create(self, port, now=0, **packet):
        return conntrack.create(*self.books, self.packet(port, **packet), self.state.flights, 0, 5, now)

    def known(self, port, now=0, **packet):
        return conntrack.known(*self.books, self.packet(port, **packet), self.state.flights, 0, now)

    def refresh(self, port, now=0, **packet):
        key = self.packet(port, **packet)
        conntrack.refresh(*self.books, conntrack.find(self.state.entries, key), self.state.flights, 0, key.from_a, now)

    def has_room(self, now):
        return conntrack.has_room(*self.books, self.eni, now)

    def row(self, port, protocol=TCP):
        return self.state.entries[conntrack.find(self.state.entries, self.packet(port, protocol=protocol))]

    def in_first_row(self):
        """A port whose entry stands in the first row of the table."""
        mask = len(self.state.entries) - 1
        return next(port for port in range(1, 65_536) if keys.fold(self.packet(port)) & mask == 0)

    def judge(self, port, now=0, **packet):
        """What the groups of db say of a packet."""
        self.packet(port, **packet)
        return self.judge_first_row(EGRESS if not packet.get("back") else INGRESS, now)

    def judge_first_row(self, direction, now=0):
        return judge(*self.books, self.state.flights, 0, self.eni, direction, 0, 0, 0, now)
