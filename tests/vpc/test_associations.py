"""Security groups that several VPCs may use, and rules that are modified in place (SG-3, SG-23, SG-60 to SG-63)."""

from dataclasses import replace

import pytest

from emulator.errors import TopologyError
from emulator.model import edits
from emulator.model.edits_associations import associate_group, disassociate_group, groups_for
from emulator.model.files import dump, loads
from emulator.model.groups import Direction, GroupPeer, Rule, SecurityGroup
from tests.base import ANYONE, APP1, B1, EXT, base, group
from tests.dialogue import NO_RULE, Dialogue, tcp
from tests.vpc.test_quotas_and_errors import refused

IN = Direction.INGRESS


def shared(*more, **groups_of):
    """The base topology in which the group ``web`` of vpc-a may be used in vpc-b too."""
    web = replace(group("web", [("tcp/443", ANYONE)]), associated_vpcs=("vpc-b",))
    return base(web, *more, **groups_of)


def test_sg60_a_group_filters_in_an_associated_vpc():
    """An interface of an associated VPC may have the group, whose rules hold there; without the association it may not (SG-3, SG-60)."""
    talk = Dialogue(shared(b1="sg-web"))
    talk.send(tcp(APP1, B1, "40000>443")).accepted(by="web ingress 1")
    talk.send(tcp(APP1, B1, "40000>22")).dropped("I2(b1)", NO_RULE)
    with pytest.raises(TopologyError, match="SG-3"):
        base(group("web", [("tcp/443", ANYONE)]), b1="sg-web")


def test_sg62_rules_that_name_the_group_work_in_each_associated_vpc():
    """A rule of another VPC may name the group, and is stale once the association is undone, also in a file (SG-32, SG-62)."""
    callers = group("callers", [Rule(6, (5000, 5000), GroupPeer("sg-web"))], None, "vpc-c")
    topology = base(replace(group("web", [("all", ANYONE)]), associated_vpcs=("vpc-c",)), callers, c1="callers")
    assert list(edits.stale_rules(topology, "vpc-c")) == []
    gone = disassociate_group(topology, "web", "vpc-c")
    assert [stale.group.name for stale in edits.stale_rules(gone, "vpc-c")] == ["callers"]
    assert [stale.group.name for stale in edits.stale_rules(loads(dump(gone), "gone.yaml"), "vpc-c")] == ["callers"]
    assert list(edits.stale_rules(associate_group(gone, "web", "vpc-c"), "vpc-c")) == []


def test_sg60_sg61_associations_that_are_refused():
    """Default groups are not associated; what an interface uses stays; an associated group is not deleted (SG-60, SG-61)."""
    topology = base(group("web"))
    default = next(one.id for one in topology.all(SecurityGroup) if one.name == "default" and one.vpc == "vpc-a")
    refused("InvalidParameterValue", associate_group, topology, default, "vpc-b")
    refused("InvalidParameterValue", associate_group, topology, "web", "vpc-a")
    refused("InvalidParameterValue", associate_group, topology.changed("vpc-a", is_default=True), "web", "vpc-b")
    refused("InvalidVpcID.NotFound", associate_group, topology, "web", "vpc-none")
    refused("InvalidParameterValue", disassociate_group, topology, "web", "vpc-b")
    used = edits.replace_groups(associate_group(topology, "web", "vpc-b"), "b1", "sg-web")
    refused("DependencyViolation", disassociate_group, used, "web", "vpc-b")
    refused("DependencyViolation", edits.delete_group, associate_group(topology, "web", "vpc-b"), "web")
    assert "sg-web" not in edits.delete_group(disassociate_group(associate_group(topology, "web", "vpc-b"), "web", "vpc-b"), "web").entities


def test_sg63_the_groups_of_a_vpc():
    """A VPC's groups are its own and those associated with it, each with its primary VPC (SG-63)."""
    found = {one.name: one.vpc for one in groups_for(shared(), "vpc-b")}
    assert found["web"] == "vpc-a"
    assert found["default"] == "vpc-b"
    assert "web" not in {one.name for one in groups_for(base(group("web")), "vpc-b")}


def test_sg60_associations_are_kept_in_a_file():
    """What a file says of associations is saved with the rest."""
    again = loads(dump(shared()), "again.yaml")
    assert again.get("sg-web", SecurityGroup).associated_vpcs == ("vpc-b",)


def test_sg23_a_rule_is_modified_in_its_place():
    """A rule keeps its id, place and direction, and the kind of its peer; the rest can change (SG-23)."""
    topology = base(group("web", [("tcp/80", ANYONE), ("tcp/443", ANYONE)]))
    first, second = topology.get("sg-web", SecurityGroup).ingress
    changed = edits.modify_rule(topology, "web", first.id, Rule.of("tcp/8080", f"{EXT}/32", "new words"))
    rule = changed.get("sg-web", SecurityGroup).ingress[0]
    assert (rule.id, rule.ports, rule.description) == (first.id, (8080, 8080), "new words")
    refused("InvalidParameterValue", edits.modify_rule, topology, "web", first.id, Rule(6, (80, 80), GroupPeer("lab")))
    refused("InvalidParameterValue", edits.modify_rule, topology, "web", first.id, Rule.of("tcp/80", "::/0"))
    refused("InvalidPermission.Duplicate", edits.modify_rule, topology, "web", first.id, Rule.of("tcp/443", ANYONE))
    refused("InvalidSecurityGroupRuleId.NotFound", edits.modify_rule, topology, "web", "sgr-none", second)
