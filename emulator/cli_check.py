"""``vpcemu check``: are the files valid, and is what their `expect` lines say so."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.errors import printable
from emulator.terminal import Json, Parameters, read, styled

if TYPE_CHECKING:
    from emulator.model.topology import Topology


@dataclass(frozen=True)
class _Outcome:
    """What became of one `expect` line."""

    expected: Any
    reachable: bool
    code: str

    @property
    def met(self) -> bool:
        return bool(self.reachable == self.expected.reachable and self.expected.because in ("", self.code))

    def __str__(self) -> str:
        told = "reaches" if self.reachable else f"does not reach ({self.code or 'no answer'})"
        return f"{self.expected.source} → {self.expected.destination} {self.expected.service}: {told}"

    def to_json(self, file: Path) -> dict[str, Any]:
        """Plain data, as ``check --json`` prints it."""
        ends = {"source": self.expected.source, "destination": self.expected.destination, "service": str(self.expected.service)}
        found = {"met": self.met, "reachable": self.reachable, "reason": self.code or None}
        return {"file": str(file), "place": self.expected.place} | ends | found


def check(
    networks: Annotated[list[Path], typer.Argument(metavar="NETWORK...", help="Topology files, or whatever else a network is read from.")],
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit report, which CI systems show.")] = None,
    parameter: Parameters = None,
    as_json: Json = False,
) -> None:
    """Validate topology files and test what their `expect` lines say."""
    from emulator.model.quotas import warnings_of
    from emulator.wire.atomic import check_writable, written

    if junit is not None:
        check_writable(junit)
    found: list[tuple[Path, list[_Outcome]]] = []
    for path in networks:
        topology = read(path, parameter).topology
        for warning in warnings_of(topology):
            print(printable(f"warning: {warning}"), file=sys.stderr)
        if not as_json:
            count = len(topology.expect)
            told = f", {count} expectation{'s' * (count != 1)}" if count else ", nothing expected"
            typer.echo(f"{styled(path, bold=True)}: valid{told}")
        outcomes: list[_Outcome] = []
        found.append((path, outcomes))
        for outcome in _outcomes(topology):
            outcomes.append(outcome)
            if as_json:
                print(json.dumps(outcome.to_json(path)))
            else:
                _print_outcome(outcome)
    if junit is not None:
        with written(junit) as file:
            file.write(_junit(found))
        print(printable(f"{junit}: written"), file=sys.stderr)
    raise typer.Exit(0 if all(outcome.met for _, outcomes in found for outcome in outcomes) else 1)


def _outcomes(topology: "Topology") -> Iterator[_Outcome]:
    from emulator.network import Network

    if not topology.expect:
        return
    network = Network(topology)
    for expected in topology.expect:
        found = network.explain(expected.source, expected.destination, expected.service)
        yield _Outcome(expected, found.reachable, found.why.code if found.why else "")


def _print_outcome(outcome: _Outcome) -> None:
    mark = styled("✓", "green") if outcome.met else styled("✗", "red")
    otherwise = "" if outcome.met else f"; expected otherwise at {printable(outcome.expected.place)}"
    typer.echo(f"{mark} {printable(outcome)}{otherwise}")


def _junit(found: list[tuple[Path, list[_Outcome]]]) -> bytes:
    """Files as JUnit's test suites; that a file is valid is a test, too."""
    from xml.etree import ElementTree as ET

    suites = ET.Element("testsuites", name="vpcemu check")
    for path, outcomes in found:
        failures, name = sum(not outcome.met for outcome in outcomes), printable(str(path))
        suite = ET.SubElement(suites, "testsuite", name=name, tests=str(len(outcomes) + 1), failures=str(failures), errors="0")
        ET.SubElement(suite, "testcase", classname=name, name="valid")
        for outcome in outcomes:
            expected = outcome.expected
            asked = f"{expected.source} → {expected.destination} {expected.service}"
            wanted = f"{asked}: {'reachable' if expected.reachable else 'not reachable'}"
            case = ET.SubElement(suite, "testcase", classname=name, name=printable(wanted))
            if not outcome.met:
                ET.SubElement(case, "failure", message=printable(str(outcome))).text = printable(expected.place)
    text: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text
