"""The command line: data on stdout, words and progress on stderr; exit 0 yes, 1 no, 2 bad input."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator import cli_check, cli_diff, cli_explain, cli_import, cli_labs, cli_reach, cli_verbs
from emulator.errors import UsageError, printable
from emulator.terminal import Json, Mapping, NetworkFile, Parameters, end_of, mapping_of, read, styled
from emulator.terminal import console as _console
from emulator.terminal import plain as _plain

if TYPE_CHECKING:
    from emulator.bulk.following import FollowedPacket
    from emulator.replay import Replay

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Would this traffic pass under these security groups, which rule decided, and what is the least change that fixes it?",
)
SHOWN_FLOWS = 20

app.command("check")(cli_check.check)
app.command("diff")(cli_diff.diff)
app.command("explain")(cli_explain.explain)
app.command("import")(cli_import.import_network)
app.command("reach")(cli_reach.reach)
app.add_typer(cli_labs.app, name="labs")


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
def draw(
    network: NetworkFile,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A .png, .svg or .pdf file, or an .html page.")],
    parameter: Parameters = None,
) -> None:
    """Draw the map of a network."""
    topology = read(network, parameter).topology
    if output.suffix.lower() == ".html":
        from emulator.views import page

        page.save_html(topology, output)
    else:
        from emulator.views import figure

        figure.save(topology, output)
    print(printable(f"{output}: written"), file=sys.stderr)


@app.command()
def replay(
    network: NetworkFile,
    captures: Annotated[
        list[Path], typer.Argument(metavar="CAPTURE...", help="Pcap or pcapng files, gzip too, merged by time; - is standard input.")
    ],
    mapping: Mapping = None,
    open_loop: Annotated[bool, typer.Option("--open-loop", help="Send every packet, also answers to blocked ones.")] = False,
    packets: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a JSON line for each packet.")] = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the map with its blocked flows (.png, .svg, .pdf).")] = None,
    focus: Annotated[
        str, typer.Option(metavar="NAME", help="Of --figure: only an instance, subnet, group, address or the N of a flow, and its peers.")
    ] = "",
    ladder: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw one flow as a ladder, packet by packet.")] = None,
    flow: Annotated[int, typer.Option(metavar="N", help="Which flow --ladder draws, counted from 0 as --json lists them.")] = 0,
    timeline: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw accepted and blocked packets over time, by reason.")] = None,
    matrix: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw who reached whom, and with what.")] = None,
    coverage: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw which rules were hit, and which never.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the interactive page, one file.")] = None,
    pcapng: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="For Wireshark: a folder gets a commented file for each interface; x.pcapng is the capture, commented."
        ),
    ] = None,
    merged: Annotated[bool, typer.Option("--merged", help="With a --pcapng folder: all interfaces in one file as well.")] = False,
    flow_logs: Annotated[
        Path | None, typer.Option("--flow-logs", metavar="FILE", help="Write flow logs (.log, .log.gz, .parquet).")
    ] = None,
    flow_log_format: Annotated[
        str | None, typer.Option("--flow-log-format", metavar="FIELDS", help="Their fields, as in '${srcaddr} ${dstaddr} ${action}'.")
    ] = None,
    aws_ranges: Annotated[
        Path | None, typer.Option("--aws-ranges", metavar="FILE", help="A copy of AWS's ip-ranges.json: flow logs name its services.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Print each packet as tcpdump does, with verdict and reason.")] = False,
    explain: Annotated[int | None, typer.Option("--explain", metavar="INDEX", help="Tell every step of this packet.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Cores that share a large capture; same results.")] = 1,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Note here how far it has come, for --resume; gone when it is done.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the --checkpoint file, if it is there.")] = False,
    checkpoint_s: Annotated[
        float, typer.Option("--checkpoint-seconds", metavar="N", min=0, help="Seconds from one checkpoint to the next.")
    ] = 60,
    parameter: Parameters = None,
    as_json: Json = False,
) -> None:
    """Replay a capture through a network, and show what was blocked and why."""
    from emulator.bulk.annotated import check_captures
    from emulator.observe.flowlogplaces import ip_ranges
    from emulator.observe.flowlogs import FlowLog, parse_format
    from emulator.replay import replay as run
    from emulator.wire.atomic import check_folder, check_writable

    if resume and checkpoint is None:
        raise UsageError("--resume goes on from a checkpoint; name it with --checkpoint FILE")
    fields = parse_format(flow_log_format) if flow_log_format is not None else FlowLog.fields
    log = FlowLog(fields, services=ip_ranges(aws_ranges) if aws_ranges is not None else ())
    pictures = (figure, ladder, timeline, matrix, coverage)
    if focus and figure is None:
        raise UsageError("--focus goes with --figure FILE; name a file")
    if any(pictures):
        from emulator.views.figure import kind_of

        for picture in filter(None, pictures):
            kind_of(picture)
    if follow and as_json:
        raise UsageError("--follow prints lines for people and --json one object; choose one, or --packets FILE for an object a packet")
    one_file = pcapng is not None and pcapng.suffix == ".pcapng"
    if merged and (pcapng is None or one_file):
        raise UsageError("--merged goes with --pcapng FOLDER; name a folder")
    for output in (packets, *pictures, html, pcapng if one_file else None, flow_logs):
        if output is not None:
            check_writable(output)
    if pcapng is not None:
        check_captures(captures)
        if not one_file:
            check_folder(pcapng)
    who = mapping_of(mapping)
    result = run(
        read(network, parameter).topology,
        captures,
        map=who,
        open_loop=open_loop,
        progress=not follow,
        follow=_print_followed if follow else None,
        packets=packets,
        jobs=jobs,
        flow_logs=flow_logs is not None,
        checkpoint=checkpoint,
        resume=resume,
        checkpoint_s=checkpoint_s,
    )
    for trouble in result.troubles:
        print(printable(trouble), file=sys.stderr)
    if result.interrupted and checkpoint is not None:
        raise typer.Exit(130)
    if figure is not None:
        result.save_figure(figure, focus=focus)
    if ladder is not None:
        result.save_ladder(flow, ladder)
    if timeline is not None:
        result.save_timeline(timeline)
    if matrix is not None:
        result.save_matrix(matrix)
    if coverage is not None:
        result.save_coverage(coverage)
    if html is not None:
        result.save_html(html)
    if pcapng is not None and one_file:
        result.save_pcapng(pcapng)
    elif pcapng is not None:
        result.save_interfaces(pcapng, merged)
    if flow_logs is not None:
        result.save_flow_logs(flow_logs, log)
    if as_json:
        print(json.dumps(result.to_json(), ensure_ascii=False))
    elif explain is not None:
        _print_packet(result, explain)
    else:
        _print_replay(result)
    for output in (packets, *pictures, html, pcapng, flow_logs):
        if output is not None:
            print(printable(f"{output}: written"), file=sys.stderr)
    if result.interrupted:
        raise typer.Exit(130)


def _print_followed(packet: "FollowedPacket") -> None:
    colour = {"accept": "green", "drop": "red", "unsent": "yellow"}.get(packet.result.verdict)
    typer.echo(styled(packet.text, colour))


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
    console.print(f"[bold]{_plain(result.run.title)}[/] through [bold]{_plain(result.topology.name)}[/]")
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
        cells = (end_of(flow.source), end_of(flow.destination), flow.label, f"{flow.dropped:,}", f"{flow.unsent:,}")
        table.add_row(mark, *cells, where, why)
    console.print()
    console.print(table)
    if len(blocked) > SHOWN_FLOWS:
        console.print(f"… and {len(blocked) - SHOWN_FLOWS:,} more blocked flows; --json lists them all")


class Schema(StrEnum):
    """What has a JSON Schema."""

    TOPOLOGY = "topology"
    EXPLAIN = "explain"
    REPLAY = "replay"
    PACKET = "packet"
    REACH = "reach"
    IMPORT = "import"


@app.command()
def schema(
    of: Annotated[Schema, typer.Argument(metavar="[WHAT]", help="topology, explain, replay, packet, reach or import.")] = Schema.TOPOLOGY,
) -> None:
    """Print a JSON Schema: of topology files, for editors; of what `--json` and `--packets` give, for scripts."""
    if of == Schema.TOPOLOGY:
        from emulator.model.files import schema as topology_schema

        print(json.dumps(topology_schema(), indent=2))
    else:
        from importlib.resources import files

        print(files("emulator").joinpath("schemas", f"{of}.json").read_text("utf-8"), end="")


cli_verbs.register(app)
