"""The reach table: exposure first, ends put together, filters, and cells that no spreadsheet runs."""

import csv
import io
import json

import pytest

from emulator.errors import UsageError
from emulator.model.files import loads
from emulator.model.services import parse_service
from emulator.model.topology import Topology
from emulator.reach.table import reach
from emulator.sheets import harmless

LAB = """
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets: {a: {cidr_block: 10.0.1.0/24}}
    route_tables: {main: [{destination: 0.0.0.0/0, target: igw}]}
    security_groups:
      web: {ingress: [{type: HTTPS, source: 0.0.0.0/0}, {type: SSH, source: 203.0.113.0/24}], egress: []}
      app: {ingress: [{protocol: tcp, ports: 8000-8099, source: app}], egress: [{protocol: tcp, ports: 8000-8099, destination: app}]}
    instances:
      "=web": {subnet: a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [web]}
      app-1: {subnet: a, private_ip: 10.0.1.11, security_groups: [app]}
      app-2: {subnet: a, private_ip: 10.0.1.12, security_groups: [app]}
      app-3: {subnet: a, private_ip: 10.0.1.13, security_groups: [app]}
"""


@pytest.fixture
def lab() -> Topology:
    return loads(LAB)


def test_exposure_comes_first_and_the_alike_stand_together(lab: Topology) -> None:
    """What the outside can open stands on top; three machines that reach one another are one row."""
    rows = [
        (row.exposed, tuple(end.name for end in row.sources), tuple(end.name for end in row.destinations), row.services)
        for row in reach(lab).rows
    ]
    assert rows == [
        (True, ("internet",), ("=web",), ("tcp/443",)),
        (True, ("internet 203.0.113.0/24",), ("=web",), ("tcp/22", "tcp/443")),
        (False, ("app-1", "app-2", "app-3"), ("app-1", "app-2", "app-3"), ("tcp/8000-8099",)),
    ]


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        pytest.param({"sources": ("internet",)}, 2, id="from the internet: both classes of it"),
        pytest.param({"sources": ("app-1",)}, 1, id="from one of the three"),
        pytest.param({"destinations": ("=web",)}, 2, id="to one machine"),
        pytest.param({"service": parse_service("SSH")}, 1, id="one service"),
        pytest.param({"service": parse_service("tcp/8050")}, 1, id="a port inside a range"),
        pytest.param({"service": parse_service("udp")}, 0, id="a protocol that nothing lets in"),
        pytest.param({"sources": ("app-1",), "destinations": ("=web",)}, 0, id="a pair that is shut"),
    ],
)
def test_filters(lab: Topology, asked: dict[str, object], left: int) -> None:
    """--from, --to and --port leave what they name."""
    assert len(reach(lab, **asked).rows) == left  # type: ignore[arg-type]


def test_one_of_a_class_is_told_apart(lab: Topology) -> None:
    """Asked about one of three alike, the row speaks of that one and of what it reaches."""
    (row,) = reach(lab, sources=("app-1",)).rows
    assert [end.name for end in row.sources] == ["app-1"]
    assert {end.name for end in row.destinations} >= {"app-2", "app-3"}


def test_an_unknown_name_is_an_error(lab: Topology) -> None:
    """A name that nothing has is refused with those that there are."""
    with pytest.raises(UsageError, match="nothing that sends or is reached is called nobody"):
        reach(lab, sources=("nobody",))


def test_pairs_by_name(lab: Topology) -> None:
    """The services of one pair, in words; of an end with itself none."""
    found = reach(lab)
    assert found.services("app-1", "app-2") == ["tcp/8000-8099"]
    assert found.services("app-1", "app-1") == []


def test_one_name_in_two_vpcs_is_told_apart() -> None:
    """Machines of two VPCs with one name stand with their ids; asked by the name, the answer speaks of both."""
    inside = "subnets: {a: {cidr_block: 10.%s.1.0/24}}, instances: {one: {subnet: a}, two: {subnet: a}}"
    found = loads("vpcs:\n" + "".join(f"  {vpc}: {{cidr_block: 10.{at}.0.0/16, {inside % at}}}\n" for at, vpc in enumerate("xy")))
    rows = [(row.sources, row.destinations) for row in reach(found, sources=("one",)).rows]
    assert len({end.name for sources, _ in rows for end in sources}) == 2
    assert all(end.name == f"one {end.id}" for sources, _ in rows for end in sources)


def test_no_cell_is_a_formula(lab: Topology) -> None:
    """A name that begins like a formula is text in a spreadsheet; JSON keeps it as it is."""
    cells = [cell for row in csv.reader(io.StringIO(reach(lab).to_csv())) for cell in row]
    assert "'=web" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert "=web" in json.dumps(reach(lab).to_json())


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1"])
def test_harmless(cell: str) -> None:
    """Whatever a spreadsheet would run begins with an apostrophe."""
    assert harmless(cell).startswith("'")
