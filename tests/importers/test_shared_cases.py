"""The cases of other people's networks: a probe each, and what was measured, documented or reasoned about it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import UsageError
from emulator.importers.network import load_network, read_network
from emulator.model.entities import InternetGateway, NatGateway, Subnet, Vpc
from emulator.model.groups import Direction, SecurityGroup
from emulator.model.services import ALL, Service, parse_protocol
from emulator.network import Network
from emulator.observe.explain import Explanation
from emulator.observe.trace import Trace

NO_ROUTE = ("NO_ROUTE_TO_DESTINATION", "BAD_STATE_ROUTE", "TGW_RTB_NO_ROUTE_TO_TGW_ATTACHMENT", "TGW_RTB_BAD_STATE_ROUTE")
NO_HOST = ("NO_POSSIBLE_DESTINATION",)


@dataclass(frozen=True)
class Disagreement:
    """A case that came out otherwise."""

    case: dict[str, Any]
    found: str
    explanation: Explanation | None

    def __str__(self) -> str:
        case = self.case
        probe = f"{case['src']} → {case['dst']} {case['protocol']}/{case.get('dst_port', case.get('icmp_type', ''))}"
        return f"{case['id']}: {probe}: expected {case['expected']}, found {self.found}\n{self.explanation or ''}"


def disagreements(network: Network, folder: Path, scored: bool = True) -> Iterator[Disagreement]:
    """The cases of a folder that come out otherwise than expected."""
    for case in read_cases(folder):
        if case.get("scored", True) == scored:
            wrong = judge(network, case)
            if wrong is not None:
                yield wrong


def read_cases(folder: Path) -> list[dict[str, Any]]:
    """The cases of a folder."""
    cases: list[dict[str, Any]] = json.loads((folder / "cases.json").read_text())
    return cases


def judge(network: Network, case: dict[str, Any]) -> Disagreement | None:
    """None if a case comes out as expected."""
    destination = case["dst"]
    try:
        if case.get("dst_addr") == "public":
            destination = str(next(iter(network.place(destination).public.values())))
        found = network.explain(case["src"], destination, service_of(case), source_port=case.get("src_port"))
    except (UsageError, StopIteration) as trouble:
        return Disagreement(case, f"error: {trouble}", None)
    whole = verdict_of(found.forward) if not found.forward.accepted or found.reachable else verdict_of(found.back)
    right = {case["expected"], *case.get("expected_any", ())}
    match case.get("compare", "exact"):
        case "exact":
            good = whole in right
        case "forward":
            good = verdict_of(found.forward) == case.get("expected_forward", case["expected"])
        case _:
            good = (whole == "accept") == (case["expected"] == "accept")
    return None if good else Disagreement(case, whole, found)


def service_of(case: dict[str, Any]) -> Service:
    """The protocol and port, or type and code, of a case."""
    protocol = parse_protocol(case["protocol"])
    if "dst_port" in case:
        return Service(protocol, (case["dst_port"], case["dst_port"]))
    return Service(protocol, (case["icmp_type"], case.get("icmp_code", 0))) if "icmp_type" in case else Service(protocol, (ALL, ALL))


def verdict_of(trace: Trace | None) -> str:
    """The word of the cases for what became of a packet."""
    if trace is None:
        return "reject"
    if trace.accepted:
        return "accept"
    return "no-route" if trace.reason in NO_ROUTE else "no-host" if trace.reason in NO_HOST else "reject"


SHARED = Path(__file__).parents[3] / "shared"
FOLDERS = sorted(f"{path.parent.parent.name}/{path.parent.name}" for path in SHARED.glob("*/*/cases.json"))


@pytest.mark.parametrize("folder", FOLDERS or ["absent"])
def test_every_scored_case_agrees(shared: Path, folder: str) -> None:
    """Each probe comes out as it was measured, or as its source says; one that does not is shown with its way."""
    if folder == "absent":
        pytest.skip("no folder of cases beside the project")
    meta = json.loads((shared / folder / "META.json").read_text())
    network = Network(load_network(shared / folder / meta["import_root"], meta.get("parameters")))
    wrong = list(disagreements(network, shared / folder))
    assert not wrong, "\n\n".join(map(str, wrong))


def test_the_structure_of_a_plan_is_as_it_was_read_by_hand(shared: Path) -> None:
    """Groups with exactly the rules that were read off the plan, and the rule that belongs to nobody listed."""
    if not (shared / "terraform").is_dir():
        pytest.skip("no folder of plans beside the project")
    for folder in sorted((shared / "terraform").glob("*/META.json")):
        meta = json.loads(folder.read_text())
        expected = meta.get("expected_structure", {})
        imported = read_network(folder.parent / meta["import_root"])
        for address, directions in expected.get("rules", {}).items():
            group = imported.topology.get(address, SecurityGroup)
            for way, preposition in ((Direction.INGRESS, "from"), (Direction.EGRESS, "to")):
                found = [f"{str(rule.service).replace('/', ' ')} {preposition} {rule.peer}" for rule in group.rules(way)]
                assert found == directions[way.name.lower()]
        for dangling in expected.get("dangling", ()):
            address, _, group_id = dangling.split(" (")[0].partition(" -> ")
            assert any(note.id == address and group_id in note.text for note in imported.report)
        counts = {"aws_vpc": Vpc, "aws_subnet": Subnet, "aws_nat_gateway": NatGateway, "aws_internet_gateway": InternetGateway}
        for kind, entity in counts.items():
            if kind in expected:
                assert sum(1 for _ in imported.topology.all(entity)) == expected[kind]
