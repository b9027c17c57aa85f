"""``vpcemu reach``: who can open what to whom, exposure to the internet first."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.errors import UsageError, printable
from emulator.terminal import Json, NetworkFile, Parameters, console, plain, read

if TYPE_CHECKING:
    from emulator.reach.ends import End
    from emulator.reach.table import Reach, Row

SHOWN_ENDS, SHOWN_ROWS = 4, 200


def reach(
    network: NetworkFile,
    source: Annotated[list[str] | None, typer.Option("--from", metavar="NAME", help="Only from this; may be repeated.")] = None,
    destination: Annotated[list[str] | None, typer.Option("--to", metavar="NAME", help="Only to this; may be repeated.")] = None,
    service: Annotated[str | None, typer.Option("--port", metavar="SERVICE", help="Only this: 22, tcp/443, HTTPS.")] = None,
    as_csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the table as CSV; - is the screen.")] = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it as a graph and a matrix (.png, .svg, .pdf).")] = None,
    parameter: Parameters = None,
    as_json: Json = False,
) -> None:
    """Say who can open what to whom: exact over the classes of ports, protocols and addresses that the rules make."""
    from emulator.reach.table import reach as who_reaches
    from emulator.views.figure import kind_of
    from emulator.views.reachfigure import save_reach
    from emulator.wire.atomic import check_writable, written

    to_file = as_csv if as_csv is not None and str(as_csv) != "-" else None
    for output in (to_file, figure):
        if output is not None:
            check_writable(output)
    if figure is not None:
        kind_of(figure)
    topology = read(network, parameter).topology
    found = who_reaches(topology, sources=tuple(source or ()), destinations=tuple(destination or ()), service=_service(service))
    if figure is not None:
        save_reach(found, figure)
    if to_file is not None:
        with written(to_file) as out:
            out.write(found.to_csv().encode())
    for output in (to_file, figure):
        if output is not None:
            print(printable(f"{output}: written"), file=sys.stderr)
    if as_json:
        print(json.dumps(found.to_json(), ensure_ascii=False))
    elif as_csv is None:
        _print_table(found)
    elif to_file is None:
        print(found.to_csv(), end="")
    raise typer.Exit(0 if found.rows else 1)


def _service(text: str | None) -> Any:
    """A service; a bare port is tcp's.

    Raises
    ------
    UsageError : not understood.
    """
    from emulator.model.services import parse_service

    if text is None:
        return None
    try:
        return parse_service(f"tcp/{text}" if text.replace("-", "").isdigit() else text)
    except ValueError as trouble:
        raise UsageError(f"--port: {trouble}") from None


def _print_table(found: "Reach") -> None:
    from rich import box
    from rich.table import Table

    screen = console()
    exposed = [row for row in found.rows if row.exposed]
    inner = [row for row in found.rows if not row.exposed]
    for title, rows in (("Open to the outside", exposed), ("Open inside, and to the outside", inner)):
        if not rows:
            screen.print(f"[green]✓[/] nothing is {title[0].lower()}{title[1:]}")
            continue
        table = Table("From", "To", "Services", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for row in rows[:SHOWN_ROWS]:
            table.add_row(_ends(row.sources), _ends(row.destinations), _services(row))
        screen.print(f"[bold]{title}[/]")
        screen.print(table)
        if len(rows) > SHOWN_ROWS:
            screen.print(f"… and {len(rows) - SHOWN_ROWS:,} more rows; --json or --csv has them all")


def _ends(ends: "tuple[End, ...]") -> str:
    shown = ", ".join(plain(end.name) for end in ends[:SHOWN_ENDS])
    return shown if len(ends) <= SHOWN_ENDS else f"{shown}, … [dim]{len(ends):,} in all[/]"


def _services(row: "Row") -> str:
    family = " [dim]IPv6[/]" if row.family == 6 else ""
    return f"{plain(', '.join(row.services))}{family}"
