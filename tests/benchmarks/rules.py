"""By hand: ``python -m tests.benchmarks.rules``: what rules cost: to match, to compile, to edit.

    matching   a decision of an interface with 1 x 10, 5 x 60 and 16 x 60 rules, blocks or prefix lists of 1,000 among them
    routing    the best route of a table of 2, 51 and 1,001
    compiling  the tables of 10,000 interfaces in 1,000 groups of 10 to 60 rules
    editing    one more rule, one more group of an interface, one more instance, in that network

Times are of this process's CPU, the compilation of kernels apart.
"""

import gc
import random
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import numpy as np

from emulator.engine import Engine
from emulator.kernels import compiled, kernel
from emulator.model.edits import authorize
from emulator.model.entities import Instance, InternetGateway, NetworkInterface, Route, RouteTable, Subnet, Vpc
from emulator.model.groups import Block, Direction, GroupPeer, ListPeer, PrefixList, Rule, SecurityGroup
from emulator.model.services import TCP, UDP
from emulator.model.topology import Topology
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.routes import best_route
from emulator.policy.rules import Subject, first_match
from emulator.policy.tables import INGRESS, Tables
from emulator.wire.addresses import halves
from emulator.wire.headers import Matrix

LIST_ENTRIES, SUBJECTS, ROUNDS = 1_000, 1 << 16, 3
HOME, A_LIST = ip_network("10.0.0.0/16"), "list"
SHAPES = ((1, 10), (5, 60), (16, 60))
INTERFACES, GROUPS = 10_000, 1_000


def best_ns(work: Callable[[], object]) -> int:
    """The shortest of some runs, in ns of CPU."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        work()
        times.append(time.process_time_ns() - began)
    return min(times)


# Matching.


def some_list(chance: random.Random) -> PrefixList:
    """A prefix list as long as they may be, of blocks of all lengths."""
    entries: set[Block] = set()
    while len(entries) < LIST_ENTRIES:
        entries.add(ip_network((chance.randrange(0x20000000, 0xDF000000), chance.choice((20, 22, 24, 24, 28, 32))), strict=False))
    return PrefixList(A_LIST, "lab", tuple(entries))


def one_interface(groups: int, rules: int, lists: bool) -> Topology:
    """An interface with so many groups of so many rules; with ``lists``, every second rule is for a prefix list."""
    chance, number = random.Random(1), 0
    made = []
    for group in range(groups):
        ingress = []
        for _ in range(rules):
            number += 1
            peer = ListPeer(A_LIST) if lists and number % 2 else ip_network((0x20000000 + chance.getrandbits(30), 24), strict=False)
            ingress.append(Rule(TCP if number % 3 else UDP, (2000 + number, 2000 + number), peer))
        made.append(SecurityGroup(f"g{group}", "lab", tuple(ingress)))
    eni = NetworkInterface("eth0", "m", "s", (ip_address("10.0.0.10"),), (), tuple(group.name for group in made))
    vpc, subnet = Vpc("lab", (HOME,)), Subnet("s", "lab", (ip_network("10.0.0.0/24"),))
    return Topology.of(vpc, subnet, Instance("m", "lab"), *made, eni, *([some_list(chance)] if lists else ()))


def subjects(topology: Topology, hit: bool) -> Matrix:
    """Packets from an address that some rule names to the port of that rule (hit) or to another one's (miss)."""
    chance = random.Random(2)
    rules = [rule for group in topology.all(SecurityGroup) if group.name != "default" for rule in group.ingress]
    blocks = {found.id: found.entries for found in topology.all(PrefixList)}
    rows = np.zeros((SUBJECTS, len(Subject._fields)), dtype=np.int64)
    for row in rows:
        rule = chance.choice(rules)
        block = chance.choice(blocks[rule.peer.list]) if isinstance(rule.peer, ListPeer) else rule.peer
        assert not isinstance(block, GroupPeer)
        address = block[chance.randrange(block.num_addresses)] if hit else ip_address("9.1.1.1") + chance.randrange(1 << 20)
        row[:] = (4, rule.protocol, *halves(address), rule.ports[0], -1, -1, 0, 0)
    return rows


@kernel
def decide_all(tables: Tables, rows: Matrix) -> int:
    """How many of the subjects some rule lets in to the first interface."""
    hits = 0
    for at in range(rows.shape[0]):
        subject = Subject(
            rows[at, 0], rows[at, 1], rows[at, 2], rows[at, 3], rows[at, 4], rows[at, 5], rows[at, 6], rows[at, 7], rows[at, 8]
        )
        if first_match(tables, 0, INGRESS, subject).rule >= 0:
            hits += 1
    return hits


def matching() -> None:
    """Print ns a decision."""
    print("| groups x rules | peers | hit, ns | miss, ns |\n|---|---|---:|---:|")
    for groups, rules in SHAPES:
        for lists in (False, True):
            topology = one_interface(groups, rules, lists)
            tables, cells = compile_tables(topology, Ids()), []
            for hit in (True, False):
                rows = subjects(topology, hit)
                found = compiled(decide_all)(tables, rows)
                assert found == (SUBJECTS if hit else 0)
                cells.append(best_ns(lambda rows=rows, tables=tables: compiled(decide_all)(tables, rows)) / SUBJECTS)
            peers = f"half of them prefix lists of {LIST_ENTRIES:,}" if lists else "blocks"
            print(f"| {groups} x {rules} | {peers} | {cells[0]:.0f} | {cells[1]:.0f} |")


# Routing.


@kernel
def route_all(tables: Tables, rows: Matrix) -> int:
    """How many of the subjects the first subnet has a route for."""
    routed = 0
    for at in range(rows.shape[0]):
        if best_route(tables, 0, rows[at, 0], rows[at, 2], rows[at, 3]) >= 0:
            routed += 1
    return routed


def routing() -> None:
    """Print ns a route."""
    chance = random.Random(3)
    whole = some_list(chance)
    print("\n| routes | ns |\n|---:|---:|")
    for entries in (1, 50, LIST_ENTRIES):
        far = replace(whole, entries=whole.entries[:entries])
        parts = Vpc("lab", (HOME,)), Subnet("s", "lab", (ip_network("10.0.0.0/24"),)), InternetGateway("igw", "lab"), far
        table = RouteTable("main", "lab", (Route(ListPeer(A_LIST), "igw"),), main=True)
        tables = compile_tables(Topology.of(*parts, table), Ids())
        rows = np.zeros((SUBJECTS, len(Subject._fields)), dtype=np.int64)
        for row in rows:
            row[:4] = (4, TCP, *halves(chance.choice(far.entries)[-1]))
        assert compiled(route_all)(tables, rows) == SUBJECTS
        took = best_ns(lambda rows=rows, tables=tables: compiled(route_all)(tables, rows))
        print(f"| {len(tables.routes):,} | {took / SUBJECTS:.0f} |")


# Compiling and editing.


def account(interfaces: int = INTERFACES, groups: int = GROUPS, seed: int = 1) -> Topology:
    """So many interfaces in one to five of so many groups of 10 to 60 rules: blocks, other groups and prefix lists."""
    chance = random.Random(seed)
    parts: list[Any] = [Vpc("lab", (HOME,)), some_list(chance)]
    parts += [Subnet(f"s{number}", "lab", (ip_network(f"10.0.{number}.0/24"),)) for number in range(-(-interfaces // 200))]
    for number in range(groups):
        rules: dict[Any, Rule] = {}
        for _ in range(chance.randint(10, 60)):
            kind = chance.random()
            peer = (
                GroupPeer(f"g{chance.randrange(groups)}")
                if kind < 0.3
                else ip_network((0x20000000 + chance.getrandbits(30), chance.choice((16, 24, 32))), strict=False)
            )
            port = chance.randrange(1, 60_000)
            rule = Rule(chance.choice((TCP, UDP)), (port, port + chance.choice((0, 0, 10))), peer)
            rules[rule.content()] = rule
        if number % 10 == 0:
            rule = Rule(TCP, (443, 443), ListPeer(A_LIST))
            rules[rule.content()] = rule
        parts.append(SecurityGroup(f"g{number}", "lab", tuple(rules.values())))
    for number in range(interfaces):
        address = ip_address("10.0.0.0") + number // 200 * 256 + 10 + number % 200
        names = tuple(f"g{group}" for group in chance.sample(range(groups), chance.randint(1, min(5, groups))))
        parts.append(Instance(f"m{number}", "lab"))
        parts.append(NetworkInterface("eth0", f"m{number}", f"s{number // 200}", (address,), (), names))
    return Topology.of(*parts, name="account")


def compiling() -> None:
    """Print the seconds of each step."""
    began = time.process_time()
    topology = account()
    declared = time.process_time()
    engine = Engine(topology)
    made = time.process_time()
    rules = sum(len(group.ingress) + len(group.rules(Direction.EGRESS)) for group in topology.all(SecurityGroup))
    print(f"\n{INTERFACES:,} interfaces, {GROUPS:,} groups, {rules:,} rules")
    print(f"declare and check {declared - began:.2f} s, compile the tables {made - declared:.2f} s")
    eni = next(topology.all(NetworkInterface))
    more = [
        ("one more rule", lambda: authorize(topology, "g7", Direction.INGRESS, Rule.of("tcp/7777", "203.0.113.7/32"))),
        ("one more group of an interface", lambda: topology.changed(eni.id, security_groups=(*eni.security_groups, "sg-g7", "sg-g8"))),
        (
            "one more instance",
            lambda: topology.replace(
                Instance("new", "lab"), NetworkInterface("eth0", "new", "s0", (ip_address("10.0.0.250"),), (), ("g7",))
            ),
        ),
    ]
    print("| edit | the topology, s | the tables, s | of a compilation from nothing |\n|---|---:|---:|---:|")
    for name, edit in more:
        began = time.process_time()
        edited = edit()
        checked = time.process_time() - began
        gc.collect()  # what the topologies before left, which is not this edit's work
        began = time.process_time()
        engine.edit(edited)
        took = time.process_time() - began
        print(f"| {name} | {checked:.2f} | {took:.2f} | {100 * took / (made - declared):.0f} % |")


def main() -> None:
    """Print it all."""
    matching()
    routing()
    compiling()


if __name__ == "__main__":
    main()
