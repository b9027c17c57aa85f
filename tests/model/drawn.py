"""Small random topologies with names that are hard to write down, for Hypothesis."""

from ipaddress import ip_address, ip_network
from itertools import count

from hypothesis import reject
from hypothesis import strategies as st

from emulator.errors import TopologyError
from emulator.model.entities import (
    ConnectionTracking,
    EgressOnlyInternetGateway,
    Expectation,
    ExternalHost,
    Fault,
    Instance,
    InternetGateway,
    Link,
    NatGateway,
    NetworkInterface,
    Policy,
    Route,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import AclRule, GroupPeer, ListPeer, NetworkAcl, PrefixList, Rule, SecurityGroup
from emulator.model.services import CONSOLE_TYPES, Service
from emulator.model.topology import Topology

NASTY = [
    "yes",
    "10",
    "a b",
    "a/b",
    "web/1",
    "v0/web",
    "local",
    "10.0.0.0/8",
    "x: y",
    "{a}",
    "'",
    '"',
    "é",
    "null",
    "web-1:eth0",
    "#x",
    "- x",
    "eth0",
]
NAMES = st.sampled_from(["web", "app", "db", "web-1", "main", "default", "igw", "sg-1", "i-1", *NASTY])
GROUP_NAMES = st.sampled_from(
    ["web", "app", "v0/web", "a b", "a: b", "{a}", "10", "10.0.0.0/8", "yes", "default", "list", "#x", "10.0.0.5"]
)
SERVICES = st.sampled_from(
    [
        *CONSOLE_TYPES.values(),
        Service(6, (8000, 8099)),
        Service(17, (5, 5)),
        Service(1, (3, 4)),
        Service(58, (128, -1)),
        Service(47),
        Service(6),
    ]
)
BLOCKS = st.sampled_from([ip_network(text) for text in ("0.0.0.0/0", "::/0", "203.0.113.0/24", "10.0.0.5/32", "2001:db8:1::/64")])
FAULTS = st.sampled_from([(), (Fault(0, 10**9, True), Fault(5, 7, False, 1, 1))])
AMOUNTS = st.integers(0, 10**12) | st.sampled_from([0, 1, 999, 1000, 40_000_000])


class Making:
    """Draws one topology, entity by entity; references are ids, names are often alike."""

    def __init__(self, draw):
        self.draw = draw
        self.number = count(1)
        self.parts = []
        self.ids = set()

    def named(self, names, prefix, taken, vpc=""):
        """A name that is free where it must be, and an id: as made from the name, or any."""
        name = self.draw(names.filter(lambda name: name.casefold() not in taken))
        taken.add(name.casefold())
        made = name if name.startswith(f"{prefix}-") else f"{prefix}-{name}"
        return name, self.key(made, f"{made}-{vpc}", prefix=prefix)

    def key(self, *likely, prefix):
        key = self.maybe(*likely, "")
        if not key or key in self.ids:
            key = f"{prefix}-0{next(self.number)}"
        self.ids.add(key)
        return key

    def maybe(self, *choices):
        return self.draw(st.sampled_from(choices))

    def rules(self, groups, lists, most=3):
        peers = [*(GroupPeer(key) for key in groups), *(ListPeer(key) for key in lists), GroupPeer("sg-gone")]
        found = {}
        for _ in range(self.draw(st.integers(0, most))):
            peer = self.draw(BLOCKS | st.sampled_from(peers))
            service = self.draw(SERVICES)
            key = self.maybe("", "", f"sgr-{next(self.number)}")
            rule = Rule(service.protocol, service.ports, peer, self.maybe("", "why: not, #1"), key)
            found[rule.canonical().content()] = rule
        return tuple(found.values())

    def entries(self):
        numbers = self.draw(st.sets(st.integers(1, 32766), max_size=3))
        return tuple(AclRule(number, self.maybe(True, False), *self.draw(SERVICES), self.draw(BLOCKS)) for number in numbers)

    def vpc(self, index, vpcs):
        ipv6 = self.maybe(True, False)
        blocks = [ip_network(f"10.{index}.0.0/16"), *([ip_network(f"2001:db8:{index}::/56")] if ipv6 else [])]
        vpc = vpcs[index]
        self.parts.append(Vpc(vpc, tuple(blocks), self.maybe("", f"vpc-{vpc}", f"vpc-0{index}"), "", self.maybe("off", "block-ingress")))
        return ipv6

    def subnets(self, index, vpc, ipv6, tables, acls):
        taken, made = set(), []
        for number in range(self.draw(st.integers(1, 2))):
            name, key = self.named(NAMES, "subnet", taken, vpc)
            blocks = [ip_network(f"10.{index}.{number}.0/24"), *([ip_network(f"2001:db8:{index}:{number}::/64")] if ipv6 else [])]
            self.parts.append(
                Subnet(
                    name,
                    vpc,
                    tuple(blocks),
                    self.maybe("", "a"),
                    self.maybe("", *tables),
                    self.maybe("", *acls),
                    key,
                    "",
                    self.maybe("", "off"),
                )
            )
            made.append((key, number))
        return made

    def instances(self, index, vpc, ipv6, subnets, groups):
        taken, enis = set(), []
        for _ in range(self.draw(st.integers(0, 3))):
            name, key = self.named(NAMES, "i", taken, vpc)
            listen = self.draw(st.none() | st.lists(SERVICES, max_size=3).map(tuple))
            self.parts.append(Instance(name, vpc, self.maybe("", "m8i.large"), listen, self.maybe(None, 0, 7), key))
            for eth in self.maybe(("eth0",), ("eth0", "eth1"), ("x:y",)):
                enis.append(self.interface(index, ipv6, subnets, groups, key, eth))
        return enis

    def interface(self, index, ipv6, subnets, groups, instance, eth):
        subnet, number = self.draw(st.sampled_from(subnets))
        host = 10 + next(self.number) % 200
        ips = [ip_address(f"10.{index}.{number}.{host}"), *([ip_address(f"2001:db8:{index}:{number}::{host}")] if ipv6 else [])]
        ips = ips[:: self.maybe(1, 1, -1)]
        ipv4 = next(ip for ip in ips if ip.version == 4)
        public = ((ipv4, ip_address(f"198.51.100.{host}")),) if self.maybe(True, False) else ()
        owner = instance.removeprefix("i-")
        key = self.key(f"eni-{owner}" if eth == "eth0" else f"eni-{owner}-{eth}", prefix="eni")
        mine = tuple(self.draw(st.lists(st.sampled_from(groups), unique=True, max_size=2))) if groups else ()
        tracking = ConnectionTracking(self.maybe(None, 350), self.maybe(None, 30), self.maybe(None, 180))
        self.parts.append(NetworkInterface(eth, instance, subnet, tuple(ips), public, mine, self.maybe(True, False), tracking, key))
        return key


@st.composite
def topologies(draw):
    """Small topologies with nasty names, references of every kind, and settings that are not the usual ones."""
    making = Making(draw)
    vpcs = ["v0", "v1"][: draw(st.integers(1, 2))]
    groups = []
    ends = []
    for index, vpc in enumerate(vpcs):
        ipv6 = making.vpc(index, vpcs)
        ends += _inside(making, index, vpc, ipv6, groups)
    if len(vpcs) == 2:
        making.parts.append(
            VpcPeeringConnection(draw(NAMES), *vpcs, draw(st.sampled_from(["active", "deleted"])), "pcx-1", "", draw(st.booleans()))
        )
    taken = set()
    for number in range(draw(st.integers(0, 2))):
        name, key = making.named(NAMES, "ext", taken)
        making.parts.append(
            ExternalHost(name, (ip_address(f"192.0.2.{number + 1}"),), draw(st.none() | st.just((Service(17, (53, 53)),))), key)
        )
        ends.append(key)
    if len(ends) > 1 and draw(st.booleans()):
        making.parts.append(
            Link(
                (ends[0], ends[-1]),
                draw(AMOUNTS),
                draw(AMOUNTS),
                draw(AMOUNTS),
                draw(st.integers(0, 10**9)),
                "",
                draw(AMOUNTS),
                draw(FAULTS),
            )
        )
    making.parts.append(
        Expectation("internet", "192.0.2.200", draw(SERVICES), draw(st.booleans()), draw(st.sampled_from(["", "NO_ROUTE"])))
    )
    policy = Policy(
        midstream_tcp=draw(st.sampled_from(["rules_only", "strict"])),
        tcp_embryonic_s=draw(st.none() | st.integers(0, 500)),
        max_entries=draw(st.none() | st.integers(0, 9)),
        autotrack=draw(st.sampled_from(["2025", "2023"])),
        hairpin=draw(st.booleans()),
        seed=draw(st.integers(0, 2**63 - 1)),
    )
    name, who = draw(NAMES), draw(NAMES)
    try:
        return Topology.of(*making.parts, name=name, policy=policy, map=((ip_address("2001:db8::"), who),))
    except TopologyError:  # two of the ids that were drawn are made from names elsewhere
        reject()


def _inside(making, index, vpc, ipv6, groups):
    """All of one VPC; gives what links may end at.  ``groups`` are those of the VPCs before, and these are added."""
    draw, maybe, parts = making.draw, making.maybe, making.parts
    taken, own, lists = set(), [], []
    for _ in range(draw(st.integers(0, 3))):
        own.append(making.named(GROUP_NAMES, "sg", taken, vpc))
    taken = set()
    for _ in range(draw(st.integers(0, 2))):
        name, key = making.named(st.sampled_from(["list", "web", "10", "a/b"]), "pl", taken, vpc)
        parts.append(PrefixList(name, vpc, (ip_network("203.0.113.0/24"),), maybe(None, 9), key))
        lists.append(key)
    known = [*(key for _, key in own), *(groups if maybe(True, False) else ())]
    for name, key in own:
        egress = maybe(None, making.rules(known, lists))
        parts.append(SecurityGroup(name, vpc, making.rules(known, lists), egress, maybe("", "Web, servers"), key))
    groups += [key for _, key in own]
    acls, taken = [], set()
    for _ in range(draw(st.integers(0, 2))):
        name, key = making.named(NAMES, "acl", taken, vpc)
        parts.append(NetworkAcl(name, vpc, making.entries(), making.entries(), key))
        acls.append(key)
    ends = []
    if maybe(True, False):
        parts.append(InternetGateway(draw(NAMES), vpc, f"igw-{index}"))
        ends.append(f"igw-{index}")
    if maybe(True, False):
        parts.append(EgressOnlyInternetGateway(draw(NAMES), vpc, f"eigw-{index}"))
    tables, taken = [], set()
    for number in range(draw(st.integers(0, 2))):
        name, key = making.named(NAMES, "rtb", taken, vpc)
        tables.append((name, key, number == 0 and maybe(True, False)))
    subnets = making.subnets(index, vpc, ipv6, [key for _, key, _ in tables], acls)
    if maybe(True, False):
        spare, outside = ip_address(f"10.{index}.0.249"), ip_address(f"198.51.100.{248 + index}")
        secondary = maybe((), ((spare, None),), ((spare, outside),))
        first, public = ip_address(f"10.{index}.0.250"), maybe(None, ip_address("198.51.100.250"))
        parts.append(NatGateway(draw(NAMES), subnets[0][0], first, public, f"nat-{index}", "", secondary, maybe("", "eni-of-nat")))
        ends.append(f"nat-{index}")
    enis = making.instances(index, vpc, ipv6, subnets, [key for _, key in own])
    for name, key, main in tables:
        destinations = draw(st.lists(BLOCKS.filter(lambda block: block.version == 4 and block.prefixlen < 25), unique=True, max_size=3))
        routes = [Route(to, draw(st.sampled_from([*ends, *enis])), maybe(True, False)) for to in destinations if [*ends, *enis]]
        routes += [Route(ListPeer(lists[0]), maybe("", "gone"), blackhole=True)] if lists and maybe(True, False) else []
        if name != "main" or main:
            parts.append(RouteTable(name, vpc, tuple(routes), main, key))
        else:
            parts.append(RouteTable("other", vpc, tuple(routes), main, key))
    return [*ends, *enis]
