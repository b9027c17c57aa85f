"""Commands that run on a machine of a network: ping, connect, curl, dig, traceroute, scan, iperf, pingall, run.

Exit 0 if it worked (an answer, an open port, a page), 1 if not, 2 for bad input; ``--record DIR`` keeps what a capture
at every interface would have seen.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from emulator.terminal import Json, NetworkFile, Parameters

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="The machine on which it runs.")]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="A name or an address.")]
Record = Annotated[Path | None, typer.Option("--record", metavar="DIR", help="Write a pcapng file for each interface.")]
Wait = Annotated[str | None, typer.Option("-w", "--timeout", metavar="TIME", help="Give up after so long, such as 5s.")]


def ping(
    network: NetworkFile,
    source: Source,
    target: Target,
    count: Annotated[int, typer.Option("-c", "--count", min=1, max=100_000, help="How many.")] = 4,
    size: Annotated[int, typer.Option("-s", "--size", min=0, max=65_000, help="Bytes of data.")] = 56,
    dont_fragment: Annotated[bool, typer.Option("--dont-fragment", help="Set the bit, as ping -M do.")] = False,
    parameter: Parameters = None,
    as_json: Json = False,
    record: Record = None,
) -> None:
    """Send echo requests from one machine to another."""
    running = _network(network, record, parameter)
    _end(running, running[source].ping(target, count, size=size, dont_fragment=dont_fragment), as_json, record)


def connect(
    network: NetworkFile,
    source: Source,
    target: Target,
    port: Annotated[str, typer.Argument(metavar="PORT", help="443, tcp/443, udp/53, or a console word such as HTTPS.")],
    timeout: Wait = None,
    parameter: Parameters = None,
    as_json: Json = False,
    record: Record = None,
) -> None:
    """Open a TCP connection (or ask a UDP port), as nc does."""
    running = _network(network, record, parameter)
    machine = running[source]
    udp = port.lower().startswith("udp/")
    found = machine.ask(target, port, timeout=timeout or "2s") if udp else machine.connect(target, port, timeout=timeout)
    _end(running, found, as_json, record)


def curl(
    network: NetworkFile,
    source: Source,
    url: Annotated[str, typer.Argument(metavar="URL")],
    timeout: Wait = None,
    parameter: Parameters = None,
    as_json: Json = False,
    record: Record = None,
) -> None:
    """GET a page over HTTP."""
    running = _network(network, record, parameter)
    _end(running, running[source].curl(url, timeout=timeout), as_json, record)


def dig(
    network: NetworkFile,
    source: Source,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    kind: Annotated[str, typer.Argument(metavar="[A|AAAA]")] = "A",
    server: Annotated[str | None, typer.Option(help="The address of another server.")] = None,
    parameter: Parameters = None,
    as_json: Json = False,
    record: Record = None,
) -> None:
    """Ask the resolver for a name."""
    running = _network(network, record, parameter)
    _end(running, running[source].dig(name, kind, server=server), as_json, record)


def traceroute(
    network: NetworkFile,
    source: Source,
    target: Target,
    icmp: Annotated[bool, typer.Option("-I", "--icmp", help="Echo requests instead of UDP.")] = False,
    parameter: Parameters = None,
    as_json: Json = False,
    record: Record = None,
) -> None:
    """Show who answers at each time to live."""
    running = _network(network, record, parameter)
    _end(running, running[source].traceroute(target, icmp=icmp), as_json, record)


def scan(
    network: NetworkFile,
    source: Source,
    target: Target,
    ports: Annotated[str, typer.Option("-p", "--ports", help="Such as 22,80,8000-8010; left out: twenty well-known ones.")] = "",
    parameter: Parameters = None,
    as_json: Json = False,
    record: Record = None,
) -> None:
    """Tell open, closed and filtered tcp ports apart, as nmap does."""
    from emulator.verbs.plain import ports_of
    from emulator.verbs.scan import PORTS

    running = _network(network, record, parameter)
    _end(running, running[source].scan(target, ports_of(ports) if ports else PORTS), as_json, record)


def iperf(
    network: NetworkFile,
    source: Source,
    target: Target,
    size: Annotated[str, typer.Option("-n", "--bytes", metavar="SIZE", help="How much to send.")] = "10MB",
    parameter: Parameters = None,
    as_json: Json = False,
    record: Record = None,
) -> None:
    """Send many bytes over TCP and measure."""
    running = _network(network, record, parameter)
    _end(running, running[source].iperf(target, size), as_json, record)


def pingall(
    network: NetworkFile,
    machines: Annotated[list[str] | None, typer.Argument(metavar="[MACHINE]...", help="Left out: every instance.")] = None,
    parameter: Parameters = None,
    as_json: Json = False,
    record: Record = None,
) -> None:
    """Let every machine ping every other."""
    running = _network(network, record, parameter)
    _end(running, running.pingall(*(machines or [])), as_json, record)


def run(
    network: NetworkFile,
    lines: Annotated[list[str] | None, typer.Argument(metavar='"MACHINE: COMMAND"...', help='Such as "web-1: ping -c 2 db".')] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Let time pass until then, such as 5s.")] = None,
    tcpdump: Annotated[str | None, typer.Option(metavar="MACHINE", help="Print what a capture there saw.")] = None,
    conntrack: Annotated[bool, typer.Option("--conntrack", help="Print what the interfaces remember at the end.")] = False,
    parameter: Parameters = None,
    as_json: Json = False,
    record: Record = None,
) -> None:
    """Run commands on machines, one after the other, in one network: ping, nc, curl, dig, traceroute, nmap, iperf3."""
    from emulator.clock import parse_duration
    from emulator.verbs.plain import execute, plain

    running = _network(network, record, parameter)
    worked = True
    for line in lines or []:
        result = execute(running, line)
        worked &= bool(result)
        if as_json:
            print(json.dumps({"command": line, "worked": bool(result), "result": plain(result)}, ensure_ascii=False))
        else:
            print(_shown(f"{line.replace(': ', '$ ', 1)}\n{result}"))
    if until is not None:
        running.advance(max(parse_duration(until), running.now_ns))
    if tcpdump is not None:
        print(_shown(running.tcpdump(tcpdump)))
    if conntrack:
        print(_shown(running.conntrack()))
    _record(running, record)
    raise typer.Exit(0 if worked else 1)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (ping, connect, curl, dig, traceroute, scan, iperf, pingall, run):
        app.command()(command)


def _network(path: Path, record: Path | None, parameter: list[str] | None) -> Any:
    from emulator.errors import UsageError
    from emulator.network import Network
    from emulator.terminal import read

    if record is not None and record.exists() and not record.is_dir():
        raise UsageError(f"{record}: is no folder; --record writes a file for each interface into one")
    return Network(read(path, parameter).topology)


def _end(running: Any, result: Any, as_json: bool, record: Path | None) -> None:
    from emulator.verbs.plain import plain

    _record(running, record)
    print(json.dumps({"worked": bool(result), **plain(result)}, ensure_ascii=False) if as_json else _shown(result))
    raise typer.Exit(0 if result else 1)


def _shown(result: object) -> str:
    """A result's lines with nothing in them that a terminal would obey: names come from a file."""
    from emulator.errors import printable

    return "\n".join(printable(line.expandtabs()) for line in str(result).rstrip("\n").splitlines())


def _record(running: Any, folder: Path | None) -> None:
    """A capture of each interface that saw anything."""
    if folder is None:
        return
    from emulator.errors import UsageError
    from emulator.wire.record import file_name

    taken: set[str] = set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        raise UsageError(f"{folder}: {trouble.strerror}") from None
    for place in running.interfaces:
        dump = running.tcpdump(place)
        if len(dump):
            path = folder / f"{file_name(place, taken)}.pcapng"
            dump.save(path)
            print(f"{path}: {len(dump)} packets", file=sys.stderr)
