"""``vpcemu explain``: one question or many, the whole way of each packet, and why."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.terminal import Json, NetworkFile, Parameters, console, plain, read

if TYPE_CHECKING:
    from emulator.observe.explain import Explanation
    from emulator.observe.trace import Trace


def explain(
    network: NetworkFile,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A name, an id, web-1:eth0, an address, or internet.")],
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="The same.")],
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="tcp/443, udp/53, icmp, icmp/3/4, 47, or a console word such as HTTPS.")
    ],
    source_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Source port of the first packet.")] = None,
    parameter: Parameters = None,
    as_json: Json = False,
) -> None:
    """Send one packet and its answer through the network, and tell every step."""
    from emulator.network import Network

    found = Network(read(network, parameter).topology).explain(source, destination, service, source_port=source_port)
    if as_json:
        print(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        _print_explanation(found)
    raise typer.Exit(0 if found.reachable else 1)


def _print_explanation(found: "Explanation") -> None:
    screen = console()
    head = "[green]✓[/] [bold green]Reachable[/]" if found.reachable else "[red]✗[/] [bold red]Not reachable[/]"
    code = f"   [red]{found.why.code}[/]" if found.why else ""
    answered = {"reply": "answered", "refused": "refused by the machine", "none": "no answer"}[found.answer]
    told = f"   {answered}" if found.forward.accepted else ""
    screen.print(f"{head}  {plain(found.source)} → {plain(found.destination)} {found.service}{code}{told}")
    _print_steps(screen, "forward", found.forward)
    if found.back is not None:
        _print_steps(screen, "return", found.back)
    nearest = found.why.nearest if found.why else None
    if nearest is not None:
        place = f"   [dim]{plain(nearest.rule.place)}[/]" if nearest.rule.place else ""
        screen.print(f"  Nearest rule: [bold]{plain(nearest.rule.name)}[/] ({plain(nearest.rule.service)}){place}")
    if found.why and found.why.way_out:
        screen.print(f"  Way out: {plain(found.why.way_out)}")


def _print_steps(screen: Any, title: str, trace: "Trace") -> None:
    from rich import box
    from rich.table import Table

    table = Table("", "Where", "Check", "Result", "", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title_justify="left")
    for step in trace.steps:
        mark = "[green]✓[/]" if step.passed else "[red]✗[/]"
        place = f"[dim]{plain(step.rule.place)}[/]" if step.rule and step.rule.place else ""
        table.add_row(mark, plain(step.at), plain(step.check), plain(step.text), place)
    screen.print(f"[dim]{title}: {plain(trace.sent)}[/]")
    screen.print(table)
