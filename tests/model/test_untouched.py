"""An edit leaves what it does not touch as it is: the very same entities, which is how the compiler knows them again."""

from ipaddress import ip_address

import pytest

from emulator.model.edits import authorize, create_group, replace_groups
from emulator.model.entities import Instance, NetworkInterface
from emulator.model.files import load
from emulator.model.groups import Direction, GroupPeer, Rule
from tests.base import base

LATE = Instance("late", "vpc-a"), NetworkInterface("eth0", "late", "app-a", (ip_address("10.0.1.99"),))


@pytest.mark.parametrize(
    ("edit", "touched"),
    [
        pytest.param(
            lambda lab: authorize(lab, "vpc-a/lab", Direction.INGRESS, Rule.of("SSH", GroupPeer("lab"))), {"sg-lab-a"}, id="a rule"
        ),
        pytest.param(lambda lab: replace_groups(lab, "web", "vpc-a/default"), {"eni-web"}, id="other groups of an interface"),
        pytest.param(lambda lab: create_group(lab, "vpc-a", "new"), {"sg-new"}, id="a group more"),
        pytest.param(lambda lab: lab.replace(*LATE), {"i-late", "eni-late"}, id="an instance more"),
        pytest.param(lambda lab: lab.replace(), set(), id="nothing at all"),
    ],
)
def test_what_an_edit_leaves(edit, touched):
    """Everything but what the edit is about."""
    before = base()
    after = edit(before)
    assert {key for key, entity in after.entities.items() if entity is not before.entities.get(key)} == touched


def test_every_topology_is_left_by_an_edit_of_nothing(topologies):
    """Whatever kinds of things it has."""
    for path in sorted(topologies.glob("*.yaml")):
        before = load(path)
        after = before.replace()
        assert [key for key, entity in after.entities.items() if entity is not before.entities[key]] == [], path.name


def test_the_interfaces_of_an_instance():
    """In the order of declaration, of the topology of the moment; what is no instance has none."""
    before = base(NetworkInterface("eth1", "web", "app-a", (ip_address("10.0.1.77"),)), *LATE)
    assert [eni.name for eni in before.interfaces_of("i-web")] == ["eth0", "eth1"]
    assert before.replace(without=["eni-late", "i-late"]).interfaces_of("i-late") == []
    assert [eni.id for eni in before.interfaces_of("i-late")] == ["eni-late"]
