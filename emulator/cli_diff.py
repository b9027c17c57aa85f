"""``vpcemu diff``: what a change of a network does to recorded traffic."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.errors import UsageError
from emulator.terminal import Json, Mapping, Parameters, console, end_of, mapping_of, plain, read

if TYPE_CHECKING:
    from emulator.changes import Change

SHOWN_CHANGES = 40


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The network before: whatever replay takes.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The network after.")],
    captures: Annotated[list[Path], typer.Argument(metavar="CAPTURE...", help="Pcap or pcapng files, gzip too, merged by time.")],
    mapping: Mapping = None,
    open_loop: Annotated[bool, typer.Option("--open-loop", help="Send every packet, also answers to blocked ones.")] = False,
    parameter: Parameters = None,
    as_json: Json = False,
) -> None:
    """Replay a capture through two networks: the flows whose verdict changed, and the rule that made it so."""
    from emulator.changes import changes
    from emulator.replay import replay

    if Path("-") in captures:
        raise UsageError("diff reads its captures twice, and standard input can be read once; write it to a file first")
    who = mapping_of(mapping)
    runs = [replay(read(network, parameter).topology, captures, map=who, open_loop=open_loop, progress=True) for network in (old, new)]
    found = changes(*runs)
    if as_json:
        for change in found:
            print(json.dumps(change.to_json(), ensure_ascii=False))
        raise typer.Exit(bool(found))
    screen = console()
    if not found:
        screen.print(f"[green]✓[/] {len(runs[0].tally):,} flows, and every verdict is the same")
        return
    screen.print(f"[bold]{len(found):,}[/] of {len(runs[0].tally):,} flows have another verdict")
    screen.print(_table(found[:SHOWN_CHANGES]))
    if len(found) > SHOWN_CHANGES:
        screen.print(f"… and {len(found) - SHOWN_CHANGES:,} more; --json lists them all")
    raise typer.Exit(1)


def _table(found: "list[Change]") -> Any:
    from rich import box
    from rich.table import Table

    table = Table("From", "To", "Service", "Before", "After", "Because", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for change in found:
        flow = change.after
        verdicts = (_verdict(side.verdict) for side in (change.before, change.after))
        table.add_row(end_of(flow.source), end_of(flow.destination), flow.label, *verdicts, plain(change.because))
    return table


def _verdict(verdict: str) -> str:
    return {"accept": "[green]✓ accept[/]", "drop": "[red]✗ drop[/]"}.get(verdict, f"[yellow]◐ {verdict}[/]")
