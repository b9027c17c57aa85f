"""The command line: data on stdout, words and progress on stderr; exit 0 yes, 1 no, 2 bad input."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.errors import UsageError

if TYPE_CHECKING:
    from emulator.observe.explain import Explanation
    from emulator.observe.trace import Trace
    from emulator.replay import Replay

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Would this traffic pass under these security groups, which rule decided, and what is the least change that fixes it?",
)
NetworkFile = Annotated[Path, typer.Argument(metavar="NETWORK", help="A topology file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
SHOWN_FLOWS = 20


def _console(stderr: bool = False) -> Any:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(stderr=stderr, highlight=False, width=max(console.width, 160))
    return console


def printable(text: object) -> str:
    """One line that a terminal takes as text: control characters are replaced."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(text))


def _plain(text: object) -> str:
    """`printable`, and nothing in it is markup."""
    from rich.markup import escape

    return escape(printable(text))


@app.command()
def init(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="A pcap or pcapng file, gzip too.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The topology file to write.")],
) -> None:
    """Write a first topology from a capture: its private hosts in subnets, the rest outside."""
    from emulator.importers.capture import topology_from_capture
    from emulator.model.files import save

    topology, notes = topology_from_capture(capture)
    save(topology, output)
    for note in notes:
        print(printable(note), file=sys.stderr)
    print(printable(f"{output}: written; next: vpcemu replay {output} {capture}"), file=sys.stderr)


@app.command()
def check(networks: Annotated[list[Path], typer.Argument(metavar="NETWORK...", help="Topology files.")], as_json: Json = False) -> None:
    """Validate topology files and test what their `expect` lines say."""
    from emulator.model.files import load
    from emulator.network import Network

    met = True
    console = _console()
    for path in networks:
        topology = load(path)
        if not as_json:
            count = len(topology.expect)
            console.print(
                f"[bold]{_plain(path)}[/]: valid" + (f", {count} expectation{'s' * (count != 1)}" if count else ", nothing expected")
            )
        if not topology.expect:
            continue
        network = Network(topology)
        for expected in topology.expect:
            found = network.explain(expected.source, expected.destination, expected.service)
            code = found.why.code if found.why else ""
            good = found.reachable == expected.reachable and expected.because in ("", code)
            met &= good
            if as_json:
                row = {"file": str(path), "place": expected.place, "source": expected.source, "destination": expected.destination}
                print(
                    json.dumps(row | {"service": str(expected.service), "met": good, "reachable": found.reachable, "reason": code or None})
                )
                continue
            mark = "[green]✓[/]" if good else "[red]✗[/]"
            told = "reaches" if found.reachable else f"does not reach ({code or 'no answer'})"
            line = f"{mark} {_plain(expected.source)} → {_plain(expected.destination)} {expected.service}: {told}"
            console.print(line if good else f"{line}; expected otherwise at {_plain(expected.place)}")
    raise typer.Exit(0 if met else 1)


@app.command()
def draw(
    network: NetworkFile, output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A .png, .svg or .pdf file.")]
) -> None:
    """Draw the map of a network."""
    from emulator.model.files import load
    from emulator.views import figure

    figure.save(load(network), output)
    print(printable(f"{output}: written"), file=sys.stderr)


@app.command()
def explain(
    network: NetworkFile,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A name, an id, web-1:eth0, an address, or internet.")],
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="The same.")],
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="tcp/443, udp/53, icmp, icmp/3/4, 47, or a console word such as HTTPS.")
    ],
    source_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Source port of the first packet.")] = None,
    as_json: Json = False,
) -> None:
    """Send one packet and its answer through the network, and tell every step."""
    from emulator.network import Network

    found = Network(network).explain(source, destination, service, source_port=source_port)
    if as_json:
        print(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        _print_explanation(found)
    raise typer.Exit(0 if found.reachable else 1)


def _print_explanation(found: "Explanation") -> None:
    console = _console()
    head = "[green]✓[/] [bold green]Reachable[/]" if found.reachable else "[red]✗[/] [bold red]Not reachable[/]"
    code = f"   [red]{found.why.code}[/]" if found.why else ""
    answered = {"reply": "answered", "refused": "refused by the machine", "none": "no answer"}[found.answer]
    told = f"   {answered}" if found.forward.accepted else ""
    console.print(f"{head}  {_plain(found.source)} → {_plain(found.destination)} {found.service}{code}{told}")
    _print_steps(console, "forward", found.forward)
    if found.back is not None:
        _print_steps(console, "return", found.back)
    nearest = found.why.nearest if found.why else None
    if nearest is not None:
        place = f"   [dim]{_plain(nearest.rule.place)}[/]" if nearest.rule.place else ""
        console.print(f"  Nearest rule: [bold]{_plain(nearest.rule.name)}[/] ({_plain(nearest.rule.service)}){place}")
    if found.why and found.why.way_out:
        console.print(f"  Way out: {_plain(found.why.way_out)}")


def _print_steps(console: Any, title: str, trace: "Trace") -> None:
    from rich import box
    from rich.table import Table

    table = Table("", "Where", "Check", "Result", "", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title_justify="left")
    for step in trace.steps:
        mark = "[green]✓[/]" if step.passed else "[red]✗[/]"
        place = f"[dim]{_plain(step.rule.place)}[/]" if step.rule and step.rule.place else ""
        table.add_row(mark, _plain(step.at), _plain(step.check), _plain(step.text), place)
    console.print(f"[dim]{title}: {_plain(trace.sent)}[/]")
    console.print(table)


@app.command()
def replay(
    network: NetworkFile,
    captures: Annotated[
        list[Path], typer.Argument(metavar="CAPTURE...", help="Pcap or pcapng files, gzip too, merged by time; - is standard input.")
    ],
    mapping: Annotated[list[str] | None, typer.Option("--map", metavar="ADDRESS=NAME", help="Who has this address of the capture.")] = None,
    open_loop: Annotated[bool, typer.Option("--open-loop", help="Send every packet, also answers to blocked ones.")] = False,
    packets: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JSON line for each packet.")] = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the map with its blocked flows (.png, .svg, .pdf).")] = None,
    pcapng: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the capture with verdicts as comments, for Wireshark.")] = None,
    explain: Annotated[int | None, typer.Option("--explain", metavar="INDEX", help="Tell every step of this packet.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Cores that share a large capture; same results.")] = 1,
    as_json: Json = False,
) -> None:
    """Replay a capture through a network, and show what was blocked and why."""
    from emulator.model.files import load
    from emulator.replay import replay as run
    from emulator.wire.atomic import check_writable

    for output in (packets, figure, pcapng):
        if output is not None:
            check_writable(output)
    who = dict(_pair(text) for text in mapping or [])
    result = run(load(network), captures, map=who, open_loop=open_loop, progress=True, packets=packets, jobs=jobs)
    for trouble in result.troubles:
        print(printable(trouble), file=sys.stderr)
    if figure is not None:
        result.save_figure(figure)
    if pcapng is not None:
        result.save_pcapng(pcapng)
    if as_json:
        print(json.dumps(result.to_json(), ensure_ascii=False))
    elif explain is not None:
        _print_packet(result, explain)
    else:
        _print_replay(result)
    for output in (packets, figure, pcapng):
        if output is not None:
            print(printable(f"{output}: written"), file=sys.stderr)
    if result.interrupted:
        raise typer.Exit(130)


def _pair(text: str) -> tuple[str, str]:
    address, equals, name = text.partition("=")
    if not equals or not address or not name:
        raise UsageError(f"--map {text}: write ADDRESS=NAME, such as 192.168.1.6=web-1")
    return address, name


def _print_packet(result: "Replay", index: int) -> None:
    from rich import box
    from rich.table import Table

    console = _console()
    found = result.packet(index)
    console.print(f"packet {index}: [bold]{found.verdict}[/]" + (f"  {_plain(found.why)}" if found.why else ""))
    table = Table("", "Where", "Check", "Result", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for step in result.steps(index):
        table.add_row("[green]✓[/]" if step.passed else "[red]✗[/]", _plain(step.at), _plain(step.check), _plain(step.text))
    console.print(table)


def _print_replay(result: "Replay") -> None:
    from rich import box
    from rich.table import Table

    console = _console()
    counts = result.counts
    told = "   ".join(
        f"[{colour}]{counts[name]:,}[/] {word}"
        for name, word, colour in (
            ("accept", "accepted", "green"),
            ("drop", "dropped", "red"),
            ("unsent", "unsent", "yellow"),
            ("skipped", "skipped", "dim"),
        )
    )
    console.print(f"[bold]{_plain(Path(result.capture).name)}[/] through [bold]{_plain(result.topology.name)}[/]")
    console.print(f"{counts['total']:,} packets in {len(result.tally):,} flows:   {told}")
    if result.skipped:
        console.print("[dim]skipped: " + ", ".join(f"{count:,} {code}" for code, count in result.skipped.items()) + "[/]")
    blocked = sorted(result.blocked, key=lambda flow: (-flow.dropped, flow.first_index))
    if not blocked:
        console.print("[green]✓[/] nothing was blocked")
        return
    table = Table("", "From", "To", "Service", "Dropped", "Unsent", "Where", "Why", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in (4, 5):
        table.columns[column].justify = "right"
    for flow in blocked[:SHOWN_FLOWS]:
        assert flow.why is not None
        mark = "[red]✗[/]" if flow.verdict == "drop" else "[yellow]◐[/]"
        why = f"[red]{flow.why.code}[/]\n{_plain(flow.why.text)}"
        where = _plain(flow.why.at)
        cells = (_end(flow.source), _end(flow.destination), flow.label, f"{flow.dropped:,}", f"{flow.unsent:,}")
        table.add_row(mark, *cells, where, why)
    console.print()
    console.print(table)
    if len(blocked) > SHOWN_FLOWS:
        console.print(f"… and {len(blocked) - SHOWN_FLOWS:,} more blocked flows; --json lists them all")


def _end(end: Any) -> str:
    return f"{_plain(end.name)} [dim]{end.ip}[/]" if end.name else str(end.ip)


class Schema(StrEnum):
    """What has a JSON Schema."""

    TOPOLOGY = "topology"
    EXPLAIN = "explain"
    REPLAY = "replay"
    PACKET = "packet"


@app.command()
def schema(of: Annotated[Schema, typer.Argument(metavar="[WHAT]", help="topology, explain, replay or packet.")] = Schema.TOPOLOGY) -> None:
    """Print a JSON Schema: of topology files, for editors; of what `--json` and `--packets` give, for scripts."""
    if of == Schema.TOPOLOGY:
        from emulator.model.files import schema as topology_schema

        print(json.dumps(topology_schema(), indent=2))
    else:
        from importlib.resources import files

        print(files("emulator").joinpath("schemas", f"{of}.json").read_text("utf-8"), end="")
