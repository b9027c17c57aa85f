"""The tracking table against a naive reading of CT-42: a dictionary, a list of rules and thirty lines that share no code with it.

A machine sends random packets at the two interfaces of one instance, lets time pass, edits the rules, and compares every
verdict and every remembered flow with the model's.
"""

import os
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from emulator.datapath.state import new_state
from emulator.engine import rehashed_entries
from emulator.model.entities import ConnectionTracking, Instance, NetworkInterface, Policy, Subnet, Vpc
from emulator.model.groups import Rule, SecurityGroup
from emulator.model.topology import Topology
from emulator.policy import conntrack
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.conntrack import Entry, Usage
from emulator.policy.judge import judge
from emulator.policy.reasons import Reason, Verdict
from emulator.wire.addresses import halves
from emulator.wire.headers import Field

S = 10**9
HERE, PEERS = ("10.0.1.10", "10.0.1.11"), ("203.0.113.12", "8.8.8.8")
EVERYONE, SOME = ip_network("0.0.0.0/0"), ip_network("203.0.113.0/28")
SYN, ACK, FIN, RST = 2, 16, 1, 4
TCP_S, UDP_S, STREAM_S, ICMP_S, OTHER_S, LIMIT = 90, 30, 60, 40, 50, 3


@dataclass(frozen=True)
class Datagram:
    """A packet as the model sees it; ports are the identifier twice for ICMP, ``kind`` its type, ``flags`` of TCP."""

    inward: bool
    eni: int
    protocol: int
    peer: str
    mine: int
    theirs: int
    kind: int = 0
    flags: int = 0


class Model:
    """CT-42 in plain Python: verdict, and what each interface remembers."""

    def __init__(self, rules):
        self.rules, self.table, self.refused = rules, {}, [0, 0]  # rules: (inward, protocol, first, last, block)

    def matching(self, inward, d, port):
        for way, protocol, first, last, block in self.rules:
            fits = d.protocol not in (6, 17) or protocol == -1 or first <= port <= last
            if way == inward and protocol in (-1, d.protocol) and fits and ip_address(d.peer) in block:
                yield block

    def untracked(self, inward, d, port):
        back = [
            p
            for way, p, first, last, b in self.rules
            if way != inward and b == EVERYONE and (p == -1 or (p == d.protocol and (first, last) == (0, 65535)))
        ]
        return EVERYONE in self.matching(inward, d, port) and bool(back)

    def key(self, d):
        asks = (d.kind == 8) == d.inward if d.protocol == 1 else None  # who asks: the peer or this side
        return d.eni, d.protocol, d.peer, d.mine, d.theirs, asks

    def judge(self, d, now):
        self.table = {key: entry for key, entry in self.table.items() if now - entry["last"] < entry["timeout"]}
        entry = self.table.get(self.key(d))
        if entry is None:
            port = d.mine if d.inward else d.theirs
            if not any(True for _ in self.matching(d.inward, d, port)):
                return "no rule"
            if (d.protocol == 6 and d.flags & (SYN | ACK | FIN | RST) != SYN) or (d.protocol == 1 and d.kind != 8):
                return "accept"
            if d.protocol in (6, 17) and (
                self.untracked(d.inward, d, port) or self.untracked(not d.inward, d, d.theirs if d.inward else d.mine)
            ):
                return "accept"
            if len(self.table) >= LIMIT:
                self.refused[d.eni] += 1
                return "full"
            entry = self.table[self.key(d)] = {"opener": d.inward, "turns": "", "fins": set(), "acked": set()}
        self.update(entry, d, now)
        return "accept"

    def update(self, entry, d, now):
        side = "q" if d.inward == entry["opener"] else "r"
        entry["turns"] += side if not entry["turns"].endswith(side) else ""
        if d.protocol == 6 and d.flags & ACK and ({"q", "r"} - {side}) <= entry["fins"]:
            entry["acked"] |= {"q", "r"} - {side}
        if d.protocol == 6 and d.flags & FIN:
            entry["fins"].add(side)
        stream = d.protocol == 17 and len(entry["turns"]) >= 4
        entry["timeout"] = S * {6: TCP_S, 17: STREAM_S if stream else UDP_S, 1: ICMP_S}.get(d.protocol, OTHER_S)
        entry["last"] = now
        if d.protocol == 6 and (d.flags & RST or len(entry["acked"]) == 2):
            del self.table[self.key(d)]


BLOCKS, SPANS = st.sampled_from([EVERYONE, EVERYONE, SOME]), st.sampled_from([(0, 65535), (0, 1023), (80, 80), (53, 40000)])
MODEL_RULE = st.one_of(
    st.tuples(st.booleans(), st.sampled_from([6, 17]), SPANS, BLOCKS),
    st.tuples(st.booleans(), st.sampled_from([-1, -1, 1, 47]), st.just((-1, -1)), BLOCKS),
)
RULE_LIST = st.lists(MODEL_RULE, min_size=1, max_size=4, unique=True)
FLAGS = st.sampled_from([SYN, SYN | ACK, ACK, ACK, FIN | ACK, FIN | ACK, RST, SYN | FIN, 0])
FLOW = st.tuples(st.integers(0, 1), st.sampled_from(PEERS), st.sampled_from([53, 80]), st.sampled_from([80, 40000]))
TURN = st.tuples(st.booleans(), st.sampled_from([0, 0, 0, 0, 1, 29, 31]))  # inward, seconds before it


class TrackingTable(RuleBasedStateMachine):
    """The kernel and the model side by side."""

    @initialize(rules=RULE_LIST)
    def start(self, rules):
        self.ids, self.now = Ids(), 0
        self.model = Model([])
        self.set_rules(rules)
        self.state = new_state(64, 0)
        self.state.counts[conntrack.Count.LIVE] = 0

    def set_rules(self, rules):
        self.model.rules = [(inward, protocol, *ports, block) for inward, protocol, ports, block in rules]
        sides = [tuple(Rule(protocol, ports, block) for way, protocol, ports, block in rules if way == inward) for inward in (True, False)]
        topology = Topology.of(
            Vpc("v", (ip_network("10.0.0.0/16"),)),
            Subnet("s", "v", (ip_network("10.0.1.0/24"),)),
            SecurityGroup("g", "v", *sides),
            Instance("i", "v", max_tracked=LIMIT),
            *(
                NetworkInterface(f"eth{n}", "i", "s", (ip_address(ip),), (), ("g",), tracking=ConnectionTracking(TCP_S, UDP_S, STREAM_S))
                for n, ip in enumerate(HERE)
            ),
            policy=Policy(icmp_s=ICMP_S, other_s=OTHER_S),
        )
        self.tables = compile_tables(topology, self.ids)
        self.enis = [self.ids.of("eni-i"), self.ids.of("eni-i-eth1")]

    @rule(rules=RULE_LIST)
    def edit(self, rules):
        self.set_rules(rules)

    @rule(seconds=st.sampled_from([1, 1, 10, 29, 31, 45, 61, 91]))
    def wait(self, seconds):
        self.now += seconds * S

    @rule(flow=FLOW, opener=st.booleans(), turns=st.lists(st.tuples(TURN, FLAGS), max_size=7))
    def tcp(self, flow, opener, turns):
        eni, peer, mine, theirs = flow
        self.compare(Datagram(opener, eni, 6, peer, mine, theirs, flags=SYN))
        for (inward, seconds), flags in turns:
            self.now += seconds * S
            self.compare(Datagram(inward, eni, 6, peer, mine, theirs, flags=flags))

    @rule(flow=FLOW, turns=st.lists(TURN, min_size=1, max_size=7))
    def udp(self, flow, turns):
        eni, peer, mine, theirs = flow
        for inward, seconds in turns:
            self.now += seconds * S
            self.compare(Datagram(inward, eni, 17, peer, mine, theirs))

    @rule(flow=FLOW, turns=st.lists(st.tuples(TURN, st.sampled_from([8, 8, 0, 0, 3])), min_size=1, max_size=4))
    def icmp(self, flow, turns):
        eni, peer, ident, _ = flow
        for (inward, seconds), kind in turns:
            self.now += seconds * S
            self.compare(Datagram(inward, eni, 1, peer, ident, 0, kind=kind))

    @rule(flow=FLOW, turns=st.lists(TURN, min_size=1, max_size=3))
    def gre(self, flow, turns):
        eni, peer, _, _ = flow
        for inward, seconds in turns:
            self.now += seconds * S
            self.compare(Datagram(inward, eni, 47, peer, 0, 0))

    def compare(self, d):
        self.room()
        flights = self.state.flights
        flights[0] = 0
        ends, ports = [HERE[d.eni], d.peer], [d.mine, d.theirs]
        if d.inward:
            ends, ports = ends[::-1], ports[::-1]
        flights[0, [Field.FAMILY, Field.PROTOCOL, Field.FLAGS, Field.TYPE]] = 4, d.protocol, d.flags, d.kind
        flights[0, [Field.SOURCE_HI, Field.SOURCE_LO]], flights[0, [Field.DESTINATION_HI, Field.DESTINATION_LO]] = (
            halves(ends[0]),
            halves(ends[1]),
        )
        if d.protocol == 1:
            flights[0, Field.IDENTIFIER] = d.mine
        else:
            flights[0, [Field.SOURCE_PORT, Field.DESTINATION_PORT]] = ports
        state = self.state
        seen = judge(
            self.tables, state.entries, state.counts, state.usage, flights, 0, self.enis[d.eni], int(not d.inward), 0, 0, 0, self.now
        )
        expected = self.model.judge(d, self.now) if d.kind != 3 else self.error(d)
        words = {Reason.NONE: "accept", Reason.EMU_CT_EXHAUSTED: "full"}.get(Reason(seen.reason), "no rule")
        assert (words, seen.verdict == Verdict.ACCEPT) == (expected, expected == "accept"), (d, self.model.table)

    def error(self, d):
        """An ICMP error is judged by the rules alone (CT-6, CT-36)."""
        return "accept" if any(True for _ in self.model.matching(d.inward, d, 0)) else "no rule"

    def room(self):
        """What the engine does before an event: enough free rows for the table's search."""
        if 2 * (self.state.counts[conntrack.Count.LIVE, 0] + conntrack.FREE_ROOM) > len(self.state.entries):
            self.state = self.state._replace(entries=rehashed_entries(self.state.entries, 2 * len(self.state.entries)))

    @invariant()
    def they_remember_the_same(self):
        rows = self.state.entries[self.state.entries[:, Entry.KEY] != 0]
        living = rows[rows[:, Entry.EXPIRES_NS] > self.now]
        mine = {key: entry for key, entry in self.model.table.items() if self.now - entry["last"] < entry["timeout"]}
        assert sorted(living[:, Entry.EXPIRES_NS].tolist()) == sorted(entry["last"] + entry["timeout"] for entry in mine.values())
        assert self.state.counts[conntrack.Count.LIVE, 0] == len(rows) == self.state.usage[self.ids.of("i-i"), Usage.TRACKED]
        assert [self.state.usage[eni, Usage.EXCEEDED] for eni in self.enis] == self.model.refused


TestTrackingTable = TrackingTable.TestCase
TestTrackingTable.settings = settings(max_examples=100 * int(os.environ.get("VPCEMU_EXAMPLES", "1")), stateful_step_count=12, deadline=None)
