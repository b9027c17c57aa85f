"""What all commands share: words for a terminal, and NETWORK and its parameters as arguments."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.errors import UsageError, printable

if TYPE_CHECKING:
    from emulator.importers.network import Imported
    from emulator.observe.flows import Endpoint

NetworkFile = Annotated[
    Path,
    typer.Argument(metavar="NETWORK", help="A topology file, AWS describe output (a file or a folder), a Terraform plan or a template."),
]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", metavar="NAME=VALUE", help="A parameter of a CloudFormation template; may be repeated.")
]
Mapping = Annotated[list[str] | None, typer.Option("--map", metavar="ADDRESS=NAME", help="Who has this address of the capture.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def console(stderr: bool = False) -> Any:
    """A rich console, as wide as its terminal, or wide enough for tables where there is none."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, highlight=False, width=max(made.width, 160))
    return made


def plain(text: object) -> str:
    """`printable`, and nothing in it is markup."""
    from rich.markup import escape

    return escape(printable(text))


def styled(text: object, colour: str | None = None, *, bold: bool = False) -> str:
    """A text for `typer.echo`, which takes colours out where there is no terminal; ``NO_COLOR`` leaves them out at once."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return printable(text)
    return typer.style(printable(text), fg=colour, bold=bold or None)


def parameters_of(pairs: list[str] | None) -> dict[str, str]:
    """Parameters by name.

    Raises
    ------
    UsageError : not NAME=VALUE.
    """
    found = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--parameter {pair}: write NAME=VALUE, such as Stage=production")
        found[name] = value
    return found


def mapping_of(pairs: list[str] | None) -> dict[str, str]:
    """Who is meant by an address of a capture.

    Raises
    ------
    UsageError : not ADDRESS=NAME.
    """
    found = {}
    for pair in pairs or ():
        address, equals, name = pair.partition("=")
        if not equals or not address or not name:
            raise UsageError(f"--map {pair}: write ADDRESS=NAME, such as 192.168.1.6=web-1")
        found[address] = name
    return found


def end_of(end: "Endpoint") -> str:
    """One end of a flow: its name, if it has one, and its address."""
    return f"{plain(end.name)} [dim]{end.ip}[/]" if end.name else str(end.ip)


def read(source: Path, parameters: list[str] | None = None) -> "Imported":
    """A NETWORK; what it does not show is counted on stderr, once."""
    from emulator.importers.network import read_network

    imported = read_network(source, parameters_of(parameters))
    count = len(imported.report.binding)
    if count:
        things = "thing is" if count == 1 else "things are"
        print(f"{source}: {count} {things} not shown as in AWS; list: vpcemu import {source}", file=sys.stderr)
    return imported
