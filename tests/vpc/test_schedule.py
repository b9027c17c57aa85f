"""Edits while traffic flows: scheduled from Python, between two packets, the same however time passes (SG-53 to SG-59, NA-11)."""

import pytest

from emulator.errors import TopologyError, UsageError
from emulator.model import edits, edits_network
from emulator.model.entities import Link
from emulator.model.files import dump, loads
from emulator.model.groups import AclRule, Direction, Rule
from emulator.model.services import ALL, ANY_PORTS
from tests.base import ANYONE, APP1, DB, EXT, WEB, base, group, ip_network
from tests.dialogue import Dialogue, tcp

IN = Direction.INGRESS
SSH = Rule.of("tcp/22", ANYONE)


def test_a_scheduled_edit_happens_at_its_time():
    """Before its time the old rules hold, from it on the new ones (SG-53, SG-55)."""
    talk = Dialogue(base(group("ssh", [], []), db="ssh"))
    talk.network.schedule("5s", edits.authorize, "ssh", IN, SSH)
    talk.network.schedule("10s", edits.revoke, "ssh", IN, SSH)
    for at, passes in ((4, False), (5, True), (9, True), (10, False)):
        talk.at(at).send(tcp(APP1, DB, f"{40000 + at}>22"))
        assert talk.trace.accepted == passes, f"at {at} s"


def test_a_packet_under_way_meets_the_edit():
    """A packet sent before an edit that arrives after it is judged by the new rules at the far end."""
    talk = Dialogue(base(Link(("app1", "db"), latency_ns=10**9), group("ssh", [SSH]), db="ssh"))
    talk.network.schedule("500ms", edits.revoke, "ssh", IN, SSH)
    talk.send(tcp(APP1, DB, "40000>22")).dropped("I2(db)", "SG_HAS_NO_RULES")


def test_na11_a_scheduled_acl_cuts_a_tracked_flow():
    """An ACL entry cuts a live flow at once, its removal brings it back (NA-11, SG-56)."""
    talk = Dialogue(base())
    acl = next(
        acl
        for acl in talk.network.topology.entities
        if acl.startswith("acl-default") and talk.network.topology.entities[acl].vpc == "vpc-a"
    )
    deny = AclRule(50, False, ALL, ANY_PORTS, ip_network(f"{APP1}/32"))
    talk.network.schedule("1s", edits_network.create_acl_entry, acl, IN, deny)
    talk.network.schedule("2s", edits_network.delete_acl_entry, acl, IN, 50)
    talk.send(tcp(APP1, DB, "40000>22", "S")).accepted()
    talk.at(1).send(tcp(APP1, DB, "40000>22", "A")).dropped("I1(db-a)", "SUBNET_ACL_RESTRICTION")
    talk.at(2).send(tcp(APP1, DB, "40000>22", "A")).accepted(tracked=True)


def test_routes_and_public_addresses_can_be_edited():
    """Routes and public addresses change while it runs, like rules do (RT-10, RT-20)."""
    talk = Dialogue(base())
    talk.network.schedule("1s", edits_network.disassociate_address, "web")
    talk.network.schedule("2s", edits_network.associate_address, "web", "198.51.100.77")
    talk.network.schedule("3s", edits_network.delete_route, "rtb-pub", ip_network(ANYONE))
    talk.send(tcp(WEB, EXT, "1>2")).accepted(source="198.51.100.10")
    talk.at(1).send(tcp(WEB, EXT, "1>2")).dropped("E8(igw-a)", "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS")
    talk.at(2).send(tcp(WEB, EXT, "1>2")).accepted(source="198.51.100.77")
    talk.at(3).send(tcp(WEB, EXT, "1>2")).dropped("E6(pub-a)", "NO_ROUTE_TO_DESTINATION")


def test_an_edit_in_the_past_is_refused():
    """Time goes forward."""
    talk = Dialogue(base()).at(5)
    with pytest.raises(UsageError, match="comes too late"):
        talk.network.schedule("4s", edits.revoke, "lab", IN, SSH)


PLANNED = """\
topology: planned
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    subnets: {one: {cidr_block: 10.0.1.0/24}}
    security_groups:
      ssh: {ingress: []}
    instances:
      alice: {subnet: one, private_ip: 10.0.1.10}
      bob: {subnet: one, private_ip: 10.0.1.11, security_groups: [ssh]}
schedule:
  - {at: 5s, action: authorize_ingress, on: ssh, arguments: [tcp/22, default]}
  - {at: 10s, action: revoke_ingress, on: ssh, arguments: [tcp/22, default]}
  - {at: 15s, action: set_groups, on: "bob:eth0", arguments: [default]}
"""


def test_a_topology_file_plans_edits():
    """What a file schedules happens at its time, and is saved with the rest."""
    topology = loads(PLANNED, "planned.yaml")
    assert loads(dump(topology), "again.yaml").schedule[0].arguments == ("tcp/22", "default")
    talk = Dialogue(topology)
    for at, passes in ((4, False), (5, True), (10, False), (15, True)):
        talk.at(at).send(tcp("10.0.1.10", "10.0.1.11", f"{40000 + at}>22"))
        assert talk.trace.accepted == passes, f"at {at} s"


@pytest.mark.parametrize(
    ("old", "new", "trouble"),
    [
        pytest.param(
            "on: ssh, arguments: [tcp/22, default]}\n  - {at: 10s", "on: ssh, arguments: [tcp/22]}\n  - {at: 10s", "takes 2", id="too few"
        ),
        pytest.param(
            "at: 10s, action: revoke_ingress",
            "at: 1s, action: revoke_ingress",
            "InvalidPermission.NotFound",
            id="revoked before it is there",
        ),
        pytest.param('set_groups, on: "bob:eth0"', "set_groups, on: carol", "InvalidNetworkInterfaceID.NotFound", id="on nobody"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(old, new, trouble):
    """A plan is tried when it is read; what EC2 would refuse is one line with its place."""
    assert old in PLANNED
    with pytest.raises(TopologyError) as caught:
        loads(PLANNED.replace(old, new), "planned.yaml")
    assert any(trouble in line and line.startswith("planned.yaml:") for line in caught.value.problems)
