"""``vpcemu import``: what people already have, as a topology file, with everything that it does not show."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.errors import TopologyError, printable
from emulator.terminal import Json, Parameters, parameters_of

if TYPE_CHECKING:
    from emulator.importers.network import Imported
    from emulator.importers.report import Report

SCHEMA = "vpcemu.import/1"


def import_network(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="AWS describe output (a file or a folder), a Terraform plan or state, a template.")
    ],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="The topology file to write.")] = None,
    parameter: Parameters = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 2, writing nothing, if anything is not shown as in AWS.")] = False,
    as_json: Json = False,
) -> None:
    """Convert AWS JSON, Terraform or CloudFormation to a topology file, and list everything that it does not show."""
    from emulator.importers.network import read_network
    from emulator.wire.atomic import check_writable, written

    if output is not None:
        check_writable(output)
    imported = read_network(source, parameters_of(parameter))
    if as_json:
        print(json.dumps(_plain_data(source, imported), ensure_ascii=False))
    else:
        for line in imported.report.lines():
            print(printable(line), file=sys.stderr)
    count = len(imported.report.binding)
    if strict and count:
        raise TopologyError(f"{source}: {count} thing{'s' * (count != 1)} not shown as in AWS (listed above); leave --strict out to go on")
    if output is None:
        if not as_json:
            print(f"{source}: {imported.kind}, {_counted(imported)}; write it with -o FILE", file=sys.stderr)
        return
    from emulator.model.files import dump

    text = with_notes(dump(imported.topology), imported.report, source.name)
    with written(output) as out:
        out.write(text.encode())
    print(f"{output}: written from {imported.kind}, {_counted(imported)}", file=sys.stderr)


def with_notes(text: str, report: "Report", source: str) -> str:
    """A topology file's text with the notes of its import as comments at its end."""
    return text + "".join(f"{line}\n" for line in _comments(report, source))


def _comments(report: "Report", source: str) -> Iterator[str]:
    notes = list(report.lines(most=None))
    if notes:
        yield ""
        yield f"# Not shown as in {printable(source)}:"
    for note in notes:
        yield f"# - {printable(note)}"


def _plain_data(source: Path, imported: "Imported") -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "source": str(source),
        "kind": imported.kind,
        "topology": imported.topology.name,
        "counts": _counts(imported),
        "notes": [note.to_json() for note in imported.report],
    }


def _counts(imported: "Imported") -> dict[str, int]:
    from emulator.model.names import NOUN

    return dict(Counter(NOUN[type(entity)] for entity in imported.topology.entities.values()))


def _counted(imported: "Imported") -> str:
    counts, nouns = _counts(imported), ("VPC", "subnet", "instance", "security group")
    return ", ".join(f"{counts[noun]:,} {noun}{'s' * (counts[noun] != 1)}" for noun in nouns if noun in counts)
