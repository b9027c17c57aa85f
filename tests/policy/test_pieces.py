"""An edit compiles only what it touches, and what comes out is what a compilation from nothing gives."""

import dataclasses
import random
from ipaddress import ip_address, ip_network

import numpy as np
import pytest

from emulator.model.edits import authorize, create_group, delete_group, delete_peering, replace_groups, revoke
from emulator.model.entities import Instance, NetworkInterface
from emulator.model.groups import Direction, GroupPeer, ListPeer, PrefixList, Rule, SecurityGroup
from emulator.model.topology import Topology
from emulator.policy import compile_interfaces, compile_rules
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.work import Pieces
from tests.base import base

LISTS = (
    PrefixList("office", "vpc-a", tuple(ip_network(f"203.0.{number}.0/24") for number in range(5))),
    PrefixList("branch", "vpc-a", (ip_network("198.18.0.0/15"),)),
)
GROUPS = (
    SecurityGroup("web", "vpc-a", (Rule.of("HTTPS", "0.0.0.0/0"), Rule.of("SSH", ListPeer("office")))),
    SecurityGroup("app", "vpc-a", (Rule.of("tcp/8080", GroupPeer("web")), Rule.of("udp/53", ListPeer("branch")))),
    SecurityGroup("over", "vpc-b", (Rule.of("tcp/5432", GroupPeer("vpc-a/web")),)),
)


def lab() -> Topology:
    """The base with prefix lists, groups that name them and each other, and one that names a group of a peered VPC."""
    return base(*LISTS, *GROUPS, web="web", app1=("app", "web"), b1="over")


def from_nothing(topology: Topology, ids: Ids):
    """The tables with the same ids and no pieces."""
    fresh = ids.copy()
    fresh.pieces = Pieces()
    return compile_tables(topology, fresh), fresh.names


def assert_equal(edited, fresh):
    """Table for table, value for value."""
    assert edited._fields == fresh._fields
    assert edited.settings == fresh.settings
    for name in edited._fields[:-1]:
        assert np.array_equal(getattr(edited, name), getattr(fresh, name)), name


def group_named(topology, name):
    return next(group for group in topology.all(SecurityGroup) if group.name == name)


def some_edit(topology: Topology, chance: random.Random, number: int) -> Topology:
    """One of the things that people do to a running network."""
    groups = [group for group in topology.all(SecurityGroup) if group.vpc == "vpc-a"]
    cards = [eni for eni in topology.all(NetworkInterface) if topology.get(eni.instance, Instance).vpc == "vpc-a"]
    group, eni = chance.choice(groups), chance.choice(cards)
    lists, way = list(topology.all(PrefixList)), chance.choice(list(Direction))
    match chance.choice(["rule", "rule", "less", "groups", "group", "gone", "instance", "leave", "list", "policy", "type", "peering"]):
        case "rule":
            peer = chance.choice(
                [ip_network(f"10.{number}.0.0/16"), GroupPeer(chance.choice(groups).id), ListPeer(chance.choice(lists).id)]
            )
            return authorize(topology, group.id, way, Rule.of(f"tcp/{1000 + number}", peer))
        case "less" if group.rules(way):
            return revoke(topology, group.id, way, chance.choice(group.rules(way)))
        case "groups":
            return replace_groups(topology, eni.id, *chance.sample([found.id for found in groups], chance.randint(1, 3)))
        case "group":
            return create_group(topology, "vpc-a", f"new-{number}")
        case "gone":
            users = {key for card in cards for key in card.security_groups}
            users |= {rule.peer.group for other in groups for rule in other.ingress + other.egress if isinstance(rule.peer, GroupPeer)}
            free = [found.id for found in groups if found.id not in users and found.name != "default"]
            return delete_group(topology, chance.choice(free)) if free else topology
        case "instance":
            card = NetworkInterface("eth0", f"late-{number}", "app-a", (ip_address("10.0.1.100") + number,), (), (group.id,))
            return topology.replace(Instance(f"late-{number}", "vpc-a"), card)
        case "leave" if eni.instance.startswith("i-late-"):
            return topology.replace(without=[eni.id, eni.instance])
        case "list":
            found = chance.choice(lists)
            return topology.changed(found.id, entries=(*found.entries, ip_network(f"192.{number}.0.0/16"))[-6:])
        case "policy":
            return topology.replace(policy=dataclasses.replace(topology.policy, max_entries=number))
        case "type":
            return topology.changed(eni.instance, instance_type=f"m8.{number}xlarge")
        case "peering" if "pcx-ab" in topology.entities:
            return delete_peering(topology, "pcx-ab")
    return topology


@pytest.mark.parametrize("seed", range(12))
def test_many_edits(seed):
    """After each of thirty edits every table is equal to that of a compilation from nothing, and ids are given alike."""
    chance, ids, topology = random.Random(seed), Ids(), lab()
    compile_tables(topology, ids)
    for number in range(30):
        topology = some_edit(topology, chance, number)
        before = ids.copy()  # an edit gives ids to what is new
        edited = compile_tables(topology, ids)
        fresh, names = from_nothing(topology, before)
        assert_equal(edited, fresh)
        assert ids.names == names


def counted(function, made):
    """A function that notes the id of the part that it is given."""

    def run(*given):
        made.append(next(part.id for part in given if hasattr(part, "id")))
        return function(*given)

    return run


@pytest.mark.parametrize(
    ("edit", "touched"),
    [
        pytest.param(lambda lab: lab, [], id="nothing changed"),
        pytest.param(
            lambda lab: authorize(lab, "app", Direction.INGRESS, Rule.of("tcp/9090", GroupPeer("web"))), ["sg-app"], id="a rule more"
        ),
        pytest.param(lambda lab: lab.changed("sg-web", description="of the shop"), ["sg-web"], id="a group described"),
        pytest.param(lambda lab: replace_groups(lab, "web2", "web"), ["eni-web2"], id="another group of an interface"),
        pytest.param(
            lambda lab: lab.replace(
                Instance("late", "vpc-a"), NetworkInterface("eth0", "late", "app-a", (ip_address("10.0.1.99"),), (), ("app",))
            ),
            ["eni-late"],
            id="an instance more",
        ),
        pytest.param(lambda lab: lab.changed("i-web", instance_type="m8.large"), ["eni-web"], id="another type of instance"),
        pytest.param(lambda lab: create_group(lab, "vpc-a", "new"), ["sg-new"], id="a group more"),
        pytest.param(
            lambda lab: lab.changed("pl-office", entries=(ip_network("203.0.113.0/24"),)),
            ["pl-office", "sg-web"],
            id="a prefix list, and the group that names it",
        ),
        pytest.param(
            lambda lab: delete_peering(lab, "pcx-ab"), ["sg-over"], id="a peering deleted, which leaves a stale rule in one group"
        ),
        pytest.param(lambda lab: lab.changed("rtb-c", routes=()), [], id="routes alone"),
    ],
)
def test_an_edit_compiles_what_it_touches(edit, touched, monkeypatch):
    """Prefix lists, groups and interfaces that stay as they are are not compiled again, however the tables move around them."""
    ids, topology, made = Ids(), lab(), []
    compile_tables(topology, ids)
    for module, name in ((compile_rules, "compile_list"), (compile_rules, "compile_group"), (compile_interfaces, "compile_interface")):
        monkeypatch.setattr(module, name, counted(getattr(module, name), made))
    compile_tables(edit(topology), ids)
    assert sorted(made) == touched
    assert sorted(ids.pieces.made) == touched


def test_a_copy_goes_on_alone():
    """What one of two compiles after they parted, the other neither knows nor loses."""
    ids, topology = Ids(), lab()
    compile_tables(topology, ids)
    other = ids.copy()
    compile_tables(create_group(topology, "vpc-a", "new"), ids)
    assert "sg-new" not in other
    compile_tables(topology, other)
    assert other.pieces.made == []


def test_pieces_of_what_is_gone_are_let_go():
    """Memory does not grow with groups that come and go, and what stays is not compiled again."""
    ids, topology = Ids(), lab()
    for number in range(100):
        compile_tables(create_group(topology, "vpc-a", f"new-{number}"), ids)
    assert ids.pieces.made == ["sg-new-99"]
    assert len(ids.pieces) <= len(topology.entities) + 1
