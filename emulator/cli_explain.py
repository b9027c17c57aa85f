"""``vpcemu explain``: one question or many, the whole way of each packet, and why."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.errors import UsageError, printable
from emulator.policy.reasons import STAGE_CODE
from emulator.terminal import Json, NetworkFile, Parameters, console, plain, read

if TYPE_CHECKING:
    from emulator.network import Network
    from emulator.observe.explain import Explanation
    from emulator.observe.trace import Trace
    from emulator.observe.words import Why


class Form(StrEnum):
    """How an explanation is printed."""

    TEXT = "text"
    JSON = "json"
    ANALYSIS = "analysis"
    MINIMAL = "minimal"


def explain(
    network: NetworkFile,
    source: Annotated[str, typer.Argument(metavar="[SOURCE]", help="A name, an id, web-1:eth0, an address, or internet.")] = "",
    destination: Annotated[str, typer.Argument(metavar="[DESTINATION]", help="The same.")] = "",
    service: Annotated[
        str, typer.Argument(metavar="[SERVICE]", help="tcp/443, udp/53, icmp, icmp/3/4, 47, or a console word such as HTTPS.")
    ] = "",
    source_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Source port of the first packet.")] = None,
    form: Annotated[Form, typer.Option("--format", help="analysis is AWS's NetworkInsightsAnalysis, minimal a line a hop.")] = Form.TEXT,
    whole: Annotated[bool, typer.Option("--all", help="Every candidate rule and route, and everything that is in the way.")] = False,
    probes: Annotated[Path | None, typer.Option(metavar="FILE", help="Answer many: a JSON line a probe; - is the input.")] = None,
    parameter: Parameters = None,
    as_json: Json = False,
) -> None:
    """Send one packet and its answer through the network, and tell every step."""
    from emulator.network import Network
    from emulator.observe.analysis import to_analysis
    from emulator.questions import blockers

    if probes is not None:
        _answer_probes(network, probes, parameter)
        return
    if not (source and destination and service):
        raise UsageError("explain needs SOURCE, DESTINATION and SERVICE, or --probes FILE")
    asked = Network(read(network, parameter).topology)
    found = asked.explain(source, destination, service, source_port=source_port)
    form = Form.JSON if as_json else form
    in_the_way = blockers(asked, source, destination, service, source_port=source_port) if whole or form == Form.ANALYSIS else []
    if form == Form.JSON:
        print(json.dumps(found.to_json() | (_whole_json(asked, found, in_the_way) if whole else {}), ensure_ascii=False))
    elif form == Form.ANALYSIS:
        print(json.dumps(to_analysis(found, in_the_way, asked.engine.ids), ensure_ascii=False))
    elif form == Form.MINIMAL:
        _print_minimal(found)
    else:
        _print_explanation(found)
        if whole:
            _print_whole(asked, found, in_the_way)
    raise typer.Exit(0 if found.reachable else 1)


def _answer_probes(network: Path, probes: Path, parameter: list[str] | None) -> None:
    """A line out for each line in; one that cannot be asked gets an error and stops nothing."""
    from emulator.network import Network
    from emulator.questions import probes as answers

    asked = Network(read(network, parameter).topology)
    try:
        with (
            open(0, encoding="utf-8", errors="replace", closefd=False)
            if str(probes) == "-"
            else probes.open(encoding="utf-8", errors="replace") as lines
        ):
            for answer in answers(asked, lines):
                print(json.dumps(answer, ensure_ascii=False))
    except OSError as trouble:
        raise UsageError(f"{probes}: {trouble.strerror or trouble}; name a file with a JSON line a probe") from None


def _traces(found: "Explanation") -> "list[tuple[str, Trace]]":
    return [("forward", found.forward), *([("return", found.back)] if found.back is not None else [])]


def _whole_json(asked: "Network", found: "Explanation", in_the_way: "list[Why]") -> dict[str, Any]:
    from emulator.observe.details import candidates

    looked_at = {title: [[item.to_json() for item in step] for step in candidates(asked.words, trace)] for title, trace in _traces(found)}
    return {"blockers": [why.to_json() for why in in_the_way], "candidates": looked_at}


def _print_minimal(found: "Explanation") -> None:
    """A line a step, for tests: stage, place, verdict, the rule or the code."""
    for title, trace in _traces(found):
        for step in trace.steps:
            decided = step.rule.name if step.rule else trace.reason if not step.passed else ""
            print(printable(f"{title} {STAGE_CODE[step.stage]} {step.at} {step.verdict.name.lower()} {decided}".rstrip()))
    print("reachable" if found.reachable else f"not reachable {found.why.code if found.why else ''}".rstrip())


def _print_whole(asked: "Network", found: "Explanation", in_the_way: "list[Why]") -> None:
    from emulator.observe.details import candidates

    screen = console()
    for title, trace in _traces(found):
        for step, looked_at in zip(trace.steps, candidates(asked.words, trace), strict=True):
            if looked_at:
                screen.print(f"[dim]{title}: {plain(step.check)} at {plain(step.at)}[/]")
            for item in looked_at:
                place = f"   [dim]{plain(item.place)}[/]" if item.place else ""
                screen.print(f"  {'[green]✓[/]' if item.fits else '[red]✗[/]'} {plain(item.told)}{place}")
    if len(in_the_way) > 1:
        screen.print("[bold]Everything in the way[/]")
        for number, why in enumerate(in_the_way, 1):
            screen.print(f"  {number}. [red]{why.code}[/] at {plain(why.at)}: {plain(why.text)}")


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
    screen.print(f"[dim]{title}: {plain(trace.headline)}[/]")
    screen.print(table)
