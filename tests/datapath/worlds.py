"""Random small networks and the traffic in them, for property tests: plain data first, so that a test can change it.

A `World` is a VPC of two subnets with the hosts a and b in one, c in the other, a router r, and ext outside; groups g0 to
g2 with random rules; random links and settings.  Its traffic is a few flows whose packets come in either direction, with
random flags and gaps that lie around the timeouts.
"""

from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

import numpy as np
from hypothesis import strategies as st

from emulator.datapath.state import Count, Outcome, Step
from emulator.engine import Engine
from emulator.model.entities import ExternalHost, Instance, InternetGateway, Link, NetworkInterface, Policy, Route, RouteTable, Subnet, Vpc
from emulator.model.groups import GroupPeer, ListPeer, PrefixList, Rule, SecurityGroup
from emulator.model.topology import Topology
from emulator.policy.conntrack import Entry
from emulator.policy.reasons import Stage
from emulator.wire.addresses import halves
from emulator.wire.headers import FIELDS, Field

MS, S = 10**6, 10**9
HOSTS = {  # subnet, IPv4, IPv6, public
    "a": ("one", "10.0.1.10", "2001:db8:a:1::10", "198.51.100.10"),
    "b": ("one", "10.0.1.11", "2001:db8:a:1::11", "198.51.100.11"),
    "c": ("two", "10.0.2.10", "2001:db8:a:2::10", None),
    "r": ("one", "10.0.1.99", "2001:db8:a:1::99", None),
    "ext": (None, "203.0.113.12", "2001:db8:ffff::12", None),
}
GROUPS = ("g0", "g1", "g2")


@dataclass(frozen=True)
class World:
    """A network as plain data: rules are (service, peer), a peer a block, ``@g0`` a group or ``%`` the prefix list."""

    groups: dict[str, tuple[list, list | None]]
    members: dict[str, list[str]]
    links: list[Link] = field(default_factory=list)
    policy: dict = field(default_factory=dict)
    by_router: bool = False

    def topology(self, rename=lambda name: name, order=lambda parts: parts):
        """The topology, its names through ``rename``, its parts declared in another order."""

        def rules(pairs):
            return None if pairs is None else tuple(Rule.of(service, peer(text)) for service, text in pairs)

        def peer(text):
            if text.startswith("@"):
                return GroupPeer(rename(text[1:]))
            return ListPeer(rename("pl")) if text == "%" else text

        ways = [Route(ip_network("0.0.0.0/0"), rename("igw")), Route(ip_network("::/0"), rename("igw"))]
        back = [Route(ip_network("10.0.1.0/24"), rename("r"))] if self.by_router else []
        vpc = rename("v")
        parts = [
            Vpc(vpc, (ip_network("10.0.0.0/16"), ip_network("2001:db8:a::/56"))),
            InternetGateway(rename("igw"), vpc),
            Subnet(rename("one"), vpc, (ip_network("10.0.1.0/24"), ip_network("2001:db8:a:1::/64")), route_table=rename("t1")),
            Subnet(rename("two"), vpc, (ip_network("10.0.2.0/24"), ip_network("2001:db8:a:2::/64")), route_table=rename("t2")),
            RouteTable(rename("t1"), vpc, tuple(ways)),
            RouteTable(rename("t2"), vpc, tuple(ways[1:] + back)),
            PrefixList(rename("pl"), vpc, (ip_network("10.0.2.0/24"), ip_network("203.0.113.0/28"))),
            ExternalHost(rename("ext"), tuple(ip_address(text) for text in HOSTS["ext"][1:3])),
        ]
        parts += [SecurityGroup(rename(name), vpc, rules(into), rules(out)) for name, (into, out) in self.groups.items()]
        for name, (subnet, v4, v6, public) in HOSTS.items():
            if subnet is not None:
                elastic = ((ip_address(v4), ip_address(public)),) if public else ()
                groups = tuple(rename(group) for group in self.members[name])
                private = (ip_address(v4), ip_address(v6))
                parts.append(Instance(rename(name), vpc))
                parts.append(NetworkInterface("eth0", rename(name), rename(subnet), private, elastic, groups, name != "r"))
        parts += [replace(link, between=tuple(rename(end) for end in link.between)) for link in self.links]
        return Topology.of(*order(parts), name="world", policy=Policy(**self.policy))


SERVICES = [
    "all",
    "all",
    "all",
    "tcp/22",
    "tcp/80",
    "tcp/0-65535",
    "tcp/1000-50000",
    "udp/53",
    "udp/0-65535",
    "icmp",
    "icmp/8",
    "icmpv6",
    "47",
]
PEERS = ["0.0.0.0/0", "0.0.0.0/0", "::/0", "10.0.0.0/8", "10.0.2.0/24", "203.0.113.12/32", "2001:db8::/32", "@g0", "@g1", "%"]
RULE = st.tuples(st.sampled_from(SERVICES), st.sampled_from(PEERS))
RULE_LIST = st.lists(RULE, max_size=4, unique=True)
GROUP = st.tuples(RULE_LIST, st.one_of(st.none(), RULE_LIST))
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "midstream_tcp": st.sampled_from(["rules_only", "pickup", "strict"]),
        "icmp_error_related": st.booleans(),
        "tcp_default_established_s": st.sampled_from([60, 350]),
        "tcp_embryonic_s": st.sampled_from([20, 60]),
        "tcp_close_linger_s": st.sampled_from([0, 10]),
        "max_entries": st.integers(0, 3),
        "frag_policy": st.sampled_from(["reassemble", "first_fragment", "drop_noninitial"]),
        "ref_matches_ipv6": st.booleans(),
        "srcdst_after_sg": st.booleans(),
        "hairpin": st.booleans(),
        "ttl": st.sampled_from(["spec", "per_hop"]),
        "seed": st.integers(0, 3),
    },
)
ENDS = [("a", "b"), ("a", "c"), ("ext", "igw"), ("igw", "a"), ("igw", "b"), ("c", "r"), ("r", "b")]
LINKS = st.lists(
    st.builds(
        Link,
        between=st.sampled_from(ENDS),
        latency_ns=st.sampled_from([0, MS, 7 * MS]),
        rate_bps=st.sampled_from([0, 1_000_000]),
        queue_bytes=st.sampled_from([0, 200]),
        loss_ppb=st.sampled_from([0, 300_000_000]),
    ),
    max_size=4,
    unique_by=lambda link: link.between,
)


@st.composite
def worlds(draw, policies=POLICIES, links=LINKS):
    """Random worlds."""
    groups = {name: draw(GROUP) for name in GROUPS}
    members = {name: draw(st.lists(st.sampled_from(GROUPS), min_size=1, max_size=3, unique=True)) for name in HOSTS if name != "ext"}
    return World(groups, members, draw(links), draw(policies), draw(st.booleans()))


GAPS = st.sampled_from([0, 0, 1, MS, 3 * MS, S, 15 * S, 29 * S, 31 * S, 61 * S, 200 * S])
PORT = st.sampled_from([22, 53, 80, 443, 40000])
FLAGS = st.sampled_from([0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0x00])
OPENERS = [0x02, 0x12, 0x10, 0x18]
FLOW = st.tuples(st.sampled_from([6, 6, 17, 17, 1, 58, 47]), st.permutations(list(HOSTS)), st.sampled_from([4, 4, 6]), PORT, PORT)


@st.composite
def traffic(draw, flags=FLAGS, fragments=True, least=1, most=24):
    """Header rows (n, FIELDS) of a few flows, in the order of time."""
    flows = draw(st.lists(FLOW, min_size=1, max_size=4))
    rows, now = [], 0
    for index in range(draw(st.integers(least, most))):
        protocol, hosts, family, *ports = draw(st.sampled_from(flows))
        back = draw(st.booleans())
        now += draw(GAPS)
        ends = [ip_address(HOSTS[host][1 if family == 4 else 2]) for host in hosts[:2]]
        if back:
            ends, ports = ends[::-1], ports[::-1]
        row = np.zeros(FIELDS, dtype=np.int64)
        row[[Field.FAMILY, Field.PROTOCOL, Field.TIME_NS, Field.INDEX]] = family, protocol, now, index
        row[[Field.SOURCE_HI, Field.SOURCE_LO]] = halves(ends[0])
        row[[Field.DESTINATION_HI, Field.DESTINATION_LO]] = halves(ends[1])
        row[[Field.LENGTH, Field.TTL]] = draw(st.sampled_from([60, 1500])), draw(st.sampled_from([64, 64, 2]))
        if protocol in (6, 17):
            row[[Field.SOURCE_PORT, Field.DESTINATION_PORT]] = ports
        if protocol == 6:
            row[Field.FLAGS] = draw(flags)
        elif protocol in (1, 58):
            queries = [(8, 0), (13, 14)] if protocol == 1 else [(128, 129)]
            row[[Field.TYPE, Field.IDENTIFIER]] = draw(st.sampled_from(queries))[int(back)], draw(st.sampled_from([7, 8]))
            if draw(st.integers(0, 4)) == 0:
                row[[Field.TYPE, Field.CODE]] = (3, 4) if protocol == 1 else (1, 0)
        if fragments and protocol == 17 and draw(st.integers(0, 3)) == 0:
            later = draw(st.booleans())
            row[[Field.FRAGMENT_ID, Field.FRAGMENT_OFFSET, Field.MORE_FRAGMENTS]] = 5, 1480 if later else 0, int(not later)
        rows.append(row)
    return np.array(rows, dtype=np.int64)


def run(topology, rows, chunks=(), *, compiled=False, causal=False, steps=False):
    """The engine after a run: the rows fed in stretches of these lengths (the rest at once), or everything event by event."""
    engine = Engine(topology, compiled=compiled)
    engine.causal = causal
    at = 0
    for length in (*chunks, len(rows)):
        part = rows[at : at + length]
        at += length
        if steps and len(part):
            for row in part:
                while (due := engine.next_time_ns()) is not None and due <= row[Field.TIME_NS]:
                    engine.advance(due, 1)
                engine.feed(row[None, :])
        elif len(part):
            engine.feed(part)
    while steps and engine.next_time_ns() is not None:
        engine.advance(limit=1)
    engine.advance()
    return engine


def told(engine):
    """Everything that a run left behind, as integers: journal, outcomes, entries, counters."""
    state = engine.state
    journal = state.journal[: int(state.counts[Count.STEPS, 0])]
    entries = state.entries[state.entries[:, Entry.KEY] != 0]
    return {
        "journal": journal.tolist(),
        "outcomes": state.outcomes[: engine.packets].tolist(),
        "entries": sorted(entries.tolist()),
        "usage": state.usage[: len(engine.ids)].tolist(),
    }


def in_names(engine, without=()):
    """Journal and outcomes with names for ids, so that runs with other ids can be compared; columns in ``without`` left out."""
    name = engine.ids.name
    steps = []
    for row in told(engine)["journal"]:
        step = {column.name: row[column] for column in Step}
        step["PLACE"], step["RULE"] = name(row[Step.PLACE]), name(row[Step.RULE])
        if row[Step.STAGE] in (Stage.ROUTE, Stage.DIRECT):
            step["VALUE"] = name(row[Step.VALUE])
        steps.append({key: value for key, value in step.items() if key not in without})
    ends = []
    for row in told(engine)["outcomes"]:
        end = {column.name: row[column] for column in Outcome}
        for column in ("PLACE", "RULE", "SENDER", "LOST"):
            end[column] = name(end[column])
        ends.append({key: value for key, value in end.items() if key not in without})
    return steps, ends


def verdicts(engine):
    """The verdict of each packet."""
    return engine.state.outcomes[: engine.packets, Outcome.VERDICT].tolist()
