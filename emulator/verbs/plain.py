"""Results as plain data for JSON, and command lines as people type them on a machine."""

import shlex
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from emulator.errors import UsageError

if TYPE_CHECKING:
    from emulator.verbs.alive import Alive
    from emulator.verbs.machine import Machine

_HIDDEN = {"runtime", "key", "pair", "_last"}


def plain(value: Any) -> Any:
    """A result as dicts, lists, text and numbers; bytes as text.

    Examples
    --------
    >>> plain({(1, 2): b"x"})
    {'1 2': 'x'}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.name not in _HIDDEN}
    if isinstance(value, dict):
        return {" ".join(map(str, key)) if isinstance(key, tuple) else str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _ping(machine: "Machine", words: list[str]) -> Any:
    options = {"-c": "4", "-s": "56", "-t": "64", "-i": "1"} | _options(words, "-c", "-s", "-t", "-i", "-M")
    numbers = {name: _number(options[name]) for name in ("-c", "-s", "-t")}
    return machine.ping(
        _only(words, "ping [-c COUNT] TARGET"),
        numbers["-c"],
        size=numbers["-s"],
        ttl=numbers["-t"],
        interval=f"{options['-i']}s",
        dont_fragment=options.get("-M") == "do",
    )


def _connect(machine: "Machine", words: list[str]) -> Any:
    options = _options(words, "-w")
    if len(words) != 2:
        raise UsageError("nc: write nc [-w SECONDS] TARGET PORT")
    return machine.connect(words[0], words[1], timeout=f"{options['-w']}s" if "-w" in options else None)


def _curl(machine: "Machine", words: list[str]) -> Any:
    options = _options(words, "-m")
    return machine.curl(_only(words, "curl [-m SECONDS] URL"), timeout=f"{options['-m']}s" if "-m" in options else None)


def _dig(machine: "Machine", words: list[str]) -> Any:
    servers = [word[1:] for word in words if word.startswith("@")]
    names = [word for word in words if not word.startswith("@")]
    if not 1 <= len(names) <= 2 or len(servers) > 1:
        raise UsageError("dig: write dig [@SERVER] NAME [A|AAAA]")
    return machine.dig(names[0], *names[1:], server=servers[0] if servers else None)


def _traceroute(machine: "Machine", words: list[str]) -> Any:
    icmp = "-I" in words
    return machine.traceroute(_only([word for word in words if word != "-I"], "traceroute [-I] TARGET"), icmp=icmp)


def _nmap(machine: "Machine", words: list[str]) -> Any:
    options = _options(words, "-p")
    target = _only(words, "nmap [-p 22,80,8000-8010] TARGET")
    return machine.scan(target, ports_of(options["-p"])) if "-p" in options else machine.scan(target)


def _iperf(machine: "Machine", words: list[str]) -> Any:
    options = {"-n": "10MB", "-p": "5201"} | _options(words, "-n", "-p", "-c")
    target = options.get("-c") or _only(words, "iperf3 [-n 10MB] TARGET")
    return machine.iperf(target, options["-n"], port=_number(options["-p"]))


COMMANDS: dict[str, Callable[["Machine", list[str]], Any]] = {
    "ping": _ping,
    "nc": _connect,
    "curl": _curl,
    "dig": _dig,
    "traceroute": _traceroute,
    "nmap": _nmap,
    "iperf3": _iperf,
}


def execute(network: "Alive", line: str) -> Any:
    """Run a line such as ``web-1: ping -c 2 db`` and give its result.

    Raises
    ------
    UsageError : no such machine or command, or words that it does not know.
    """
    name, colon, rest = line.partition(": ")
    try:
        words = shlex.split(rest)
    except ValueError as trouble:
        raise UsageError(f"{line}: {trouble}") from None
    if not colon or not words:
        raise UsageError(f'{line}: write MACHINE: COMMAND, such as "web-1: ping db"')
    command = COMMANDS.get(words[0])
    if command is None:
        raise UsageError(f"{words[0]}: command not found; there are {', '.join(COMMANDS)}")
    return command(network[name.strip()], words[1:])


def ports_of(text: str) -> list[int]:
    """The ports of ``22,80,8000-8010``.

    Examples
    --------
    >>> ports_of("22,80,8000-8002")
    [22, 80, 8000, 8001, 8002]

    Raises
    ------
    UsageError : not understood.
    """
    from emulator.model.services import parse_ports

    found: list[int] = []
    for part in text.split(","):
        try:
            first, last = parse_ports(part)
        except ValueError as trouble:
            raise UsageError(str(trouble)) from None
        found += range(first, last + 1)
    return found


def _options(words: list[str], *names: str) -> dict[str, str]:
    """Take options with a value out of a command's words."""
    found = {}
    for name in names:
        while name in words:
            at = words.index(name)
            if at + 1 == len(words):
                raise UsageError(f"option {name} needs a value")
            found[name] = words[at + 1]
            del words[at : at + 2]
    unknown = [word for word in words if word.startswith("-") and len(word) == 2]
    if unknown:
        raise UsageError(f"option {unknown[0]} is not known here; known are {', '.join(names)}")
    return found


def _only(words: list[str], usage: str) -> str:
    if len(words) != 1:
        raise UsageError(f"write {usage}")
    return words[0]


def _number(text: str) -> int:
    if not text.isdigit() or len(text) > 9:
        raise UsageError(f"{text} is no number")
    return int(text)
