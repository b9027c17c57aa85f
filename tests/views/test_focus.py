"""A focus keeps what has a name and its peers, with all their flows, and drops the rest of the map."""

from typing import Any

import pytest

from emulator.errors import UsageError
from emulator.model.entities import ExternalHost, Instance, NetworkInterface
from emulator.model.topology import Topology
from emulator.observe.flows import Endpoint, Flow
from emulator.views.flowlines import flow_lines
from emulator.views.focus import focused
from emulator.views.scene import layout
from tests.views.examples import estate, joined


def flow(topology: Topology, source: str, destination: str, number: int) -> Flow:
    """A flow between two ends by their ids."""
    ends = [Endpoint(f"192.0.2.{200 + place}", 443, topology.display(key), key) for place, key in enumerate((source, destination))]
    return Flow("tcp", ends[0], ends[1], "accept", 1, 1, 0, 0, number, 0, None)


@pytest.fixture
def wide() -> tuple[Topology, list[Flow]]:
    """Two VPCs, five hundred instances each, and a ring of flows among the first six; one from outside."""
    topology = estate(vpcs=2, subnets=6, instances=500)
    pairs = [(f"eni-host-0-{n}", f"eni-host-0-{(n + 1) % 6}") for n in range(6)]
    return topology, [flow(topology, *pair, number) for number, pair in enumerate([*pairs, ("ext-out-0", "eni-host-0-2")])]


@pytest.mark.parametrize(
    ("name", "instances", "flows"),
    [
        pytest.param("host-0-2", {"host-0-1", "host-0-2", "host-0-3"}, 3, id="an instance"),
        pytest.param("host-0-2:eth0", {"host-0-1", "host-0-2", "host-0-3"}, 3, id="an interface"),
        pytest.param("out-0", {"host-0-2"}, 1, id="a host outside"),
        pytest.param("4", {"host-0-4", "host-0-5"}, 1, id="a flow by its number"),
        pytest.param("192.0.2.200", {f"host-0-{n}" for n in range(6)}, 7, id="an address of the capture"),
    ],
)
def test_a_focus_keeps_peers_and_their_flows(name: str, instances: set[str], flows: int, wide: tuple[Topology, list[Flow]]) -> None:
    """What has the name and whoever it has flows with stay; all else, the other VPC too, is gone; every flow has its lane."""
    part, kept = focused(*wide, name)
    assert {instance.name for instance in part.all(Instance)} == instances
    assert len(kept) == flows
    scene = layout(part, flow_lines(kept))
    assert len(scene.lanes) == flows
    assert not scene.left_out
    assert not any(box.kind == "fold" or box.id == "vpc-1" for box in scene.boxes)


def test_a_subnet_and_a_group_stay_whole(wide: tuple[Topology, list[Flow]]) -> None:
    """All interfaces of a subnet, or of a group, stay, also those without flows."""
    topology, _ = wide
    for name, field in (("subnet-0-3", "subnet"), ("group-0-1", "security_groups")):
        mine = {eni.id for eni in topology.all(NetworkInterface) if topology.find(name).id in getattr(eni, field)}
        part, kept = focused(*wide, name)
        assert mine <= {eni.id for eni in part.all(NetworkInterface)}
        assert all(mine & {each.source.id, each.destination.id} for each in kept)
        layout(part, flow_lines(kept))


def test_what_joins_vpcs_is_kept_between_those_that_stay() -> None:
    """Every thing of a joined estate can be focused on, or is refused in one line; pictures are laid out whatever is left."""
    topology = joined()
    flows = [flow(topology, "eni-x", "eni-y", 0), flow(topology, "eni-x", "ext-branch", 1)]
    refusals = []
    for key in topology.entities:
        try:
            part, kept = focused(topology, flows, key)
        except UsageError as error:
            refusals.append(str(error))
        else:
            layout(part, flow_lines(kept))
            assert {host.name for host in part.all(ExternalHost)} <= {"branch"}
    assert refusals
    assert not any("\n" in refusal for refusal in refusals)


@pytest.mark.parametrize("name", ["nobody", "7", "igw-0", "198.51.100.77", ""])
def test_what_cannot_be_focused_on_is_refused(name: str, wide: tuple[Topology, list[Flow]]) -> None:
    """A name that nothing has, a flow that is not there and a gateway are told in one line."""
    with pytest.raises(UsageError) as refused:
        focused(*wide, name)
    assert "\n" not in str(refused.value)


def test_the_command_draws_a_part(vpcemu: Any, topologies: Any, captures: Any, tmp_path: Any) -> None:
    """``--focus`` draws a part of the map, goes with ``--figure`` alone, and refuses a wrong name with code 2 and no file."""
    words = ("replay", topologies / "web-server.yaml", captures / "web-server.pcap")
    assert vpcemu(*words, "--figure", tmp_path / "a.svg", "--focus", "office-pc").code == 0
    drawn = (tmp_path / "a.svg").read_text("utf-8")
    assert "office-pc" in drawn
    assert "scanner" not in drawn
    for more in (("--focus", "office-pc"), ("--figure", tmp_path / "b.svg", "--focus", "nobody")):
        done = vpcemu(*words, *more)
        assert (done.code, done.err.count("\n")) == (2, 1)
    assert not (tmp_path / "b.svg").exists()
