"""One field's text to its value, and back to what an editor may know of it.

Every checker here takes what YAML gave (text, a number, true, a list) and gives the model's value, or a `ValueError`
whose message says what the field takes and the way out.
"""

from collections.abc import Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, Strict
from pydantic_core import core_schema

from emulator.clock import NS_PER_SECOND, parse_chance, parse_duration, parse_rate, parse_size
from emulator.model.entities import Address
from emulator.model.groups import Block, block
from emulator.model.services import ALL, CONSOLE_TYPES, Service, parse_ports, parse_protocol, parse_service, parse_type

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

LONGEST = 255  # characters of a name or description (SG-28, SG-29)
MAX_SECONDS = 10**9  # times are int64 nanoseconds


def shown(value: object) -> str:
    """A value as a message shows it: short, in one line, a collection by its kind."""
    if isinstance(value, dict):
        return "fields"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(value)[:60])
    return f'"{text}{"…" * (len(str(value)) > 60)}"' if isinstance(value, str) else text


def _text(value: Any, what: str, example: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"takes {what} such as {example}, not {shown(value)}")
    return value


def _address(value: Any) -> Address:
    text = _text(value, "an address", "10.0.1.10")
    try:
        if "%" in text:
            raise ValueError
        return ip_address(text)
    except ValueError:
        way_out = "leave the length out" if "/" in text else "write one such as 10.0.1.10"
        raise ValueError(f"{shown(text)} is not an address; {way_out}") from None


def _block(value: Any) -> Block:
    text = _text(value, "a CIDR block", "10.0.0.0/16")
    try:
        if "%" in text:
            raise ValueError
        return block(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a CIDR block; write one such as 10.0.0.0/16") from None


def _family(version: int, example: str, other: str) -> Callable[[Any], Any]:
    def check(found: Any) -> Any:
        if found.version != version:
            raise ValueError(f"takes IPv{version} such as {example}, not {found}; write it under `{other}`")
        return found

    return check


def _name(text: str) -> str:
    if not text or text != text.strip():
        raise ValueError(f"{shown(text)} is not a name; write one without spaces around it")
    if len(text) > LONGEST:
        raise ValueError(f"{shown(text)} has more than {LONGEST} characters; shorten it")
    return text


def _ports(value: Any) -> tuple[int, int]:
    if isinstance(value, list):
        raise ValueError("takes one port or one range; write a rule for each")
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"takes a port (443) or a range (8000-8099), not {shown(value)}")
    return parse_ports(str(value))


def _protocol(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"takes tcp, udp, icmp, icmpv6, all or a number from 0 to 255, not {shown(value)}")
    return parse_protocol(str(value))


def _console_type(value: Any) -> Service:
    return parse_type(_text(value, "one of the console's words", "HTTPS"))


def _service(value: Any) -> Service:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f'{value} alone is a protocol number; write tcp/{value} for a port, or "{value}" in quotes')
    return parse_service(_text(value, "a service", "HTTPS or tcp/8080"))


def _quantity(parse: Callable[[str], int], what: str, example: str) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        return parse(_text(value, what, example))

    return check


def _whole_seconds(value: Any, what: str = "a time") -> int:
    duration = parse_duration(_text(value, what, "30s"))
    if duration % NS_PER_SECOND:
        raise ValueError(f"{shown(value)} is not whole seconds; write one such as 30s")
    if duration > MAX_SECONDS * NS_PER_SECOND:
        raise ValueError(f"{shown(value)} is too long; write at most {MAX_SECONDS}s")
    return duration // NS_PER_SECOND


def _setting_seconds(value: Any) -> int:
    """Seconds of a setting whose name ends in ``_s``: a number already has its unit there."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value}s" if value >= 0 else str(value)
    return _whole_seconds(value, "seconds")


def _timeout(low: int, high: int, fact: str) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        seconds = _whole_seconds(value)
        if not low <= seconds <= high:
            raise ValueError(f"{shown(value)} lies outside EC2's range; write {low}s to {high}s ({fact})")
        return seconds

    return check


def _icmp(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not ALL <= value <= 255:
        raise ValueError(f"takes a number from 0 to 255, or -1 for all, not {shown(value)}")
    return value


def _edition(value: Any) -> str:
    if str(value) not in ("2023", "2025"):
        raise ValueError(f"takes 2025 or 2023, not {shown(value)}")
    return str(value)


class Read:
    """In an `Annotated`: the value is what ``checks`` make of YAML's, one after the other; an editor sees ``json_schema``.

    pydantic's `PlainValidator` would also prepare for writing the value, and that is most of what a form costs to make.
    """

    def __init__(self, json_schema: dict[str, Any], *checks: Callable[[Any], Any]) -> None:
        self._json_schema, self._checks = json_schema, checks

    def __get_pydantic_core_schema__(self, kind: Any, handler: "GetCoreSchemaHandler") -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: "GetJsonSchemaHandler") -> dict[str, Any]:
        return dict(self._json_schema)

    def _read(self, value: Any) -> Any:
        for check in self._checks:
            value = check(value)
        return value


def _texts(*examples: str) -> dict[str, Any]:
    return {"type": "string", "examples": list(examples)}


def _seconds(*examples: str) -> dict[str, Any]:
    return {"type": "string", "pattern": "^ *[0-9]+(\\.[0-9]+)? *[A-Za-zµ]+ *$", "examples": list(examples)}


Name = Annotated[str, AfterValidator(_name)]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]
Seed = Annotated[int, Strict(), Field(ge=0, le=2**63 - 1)]
RuleNumber = Annotated[int, Strict(), Field(ge=1, le=32766)]
AddressText = Annotated[Address, Read(_texts("10.0.1.10", "2001:db8::10"), _address)]
Ipv6AddressText = Annotated[Address, Read(_texts("2001:db8::10"), _address, _family(6, "2001:db8::10", "private_ips"))]
BlockText = Annotated[Block, Read(_texts("10.0.0.0/16", "2001:db8::/56"), _block)]
Ipv4BlockText = Annotated[Block, Read(_texts("10.0.0.0/16"), _block, _family(4, "10.0.0.0/16", "ipv6_cidr_block"))]
Ipv6BlockText = Annotated[Block, Read(_texts("2001:db8::/56"), _block, _family(6, "2001:db8::/56", "cidr_block"))]
_PORTS = [{"type": "integer", "minimum": 0, "maximum": 65535}, {"type": "string", "pattern": "^ *[0-9]+ *(- *[0-9]+ *)?$"}]
PortsText = Annotated[tuple[int, int], Read({"anyOf": _PORTS, "examples": [443, "8000-8099"]}, _ports)]
_PROTOCOLS = [{"enum": ["tcp", "udp", "icmp", "icmpv6", "all"]}, {"type": "integer", "minimum": -1, "maximum": 255}, {"type": "string"}]
ProtocolText = Annotated[int, Read({"anyOf": _PROTOCOLS}, _protocol)]
_TYPES = [{"enum": list(CONSOLE_TYPES)}, {"type": "string"}]
TypeText = Annotated[Service, Read({"anyOf": _TYPES}, _console_type)]
ServiceText = Annotated[Service, Read({"anyOf": _TYPES, "examples": ["HTTPS", "tcp/8080", "icmp"]}, _service)]
IcmpNumber = Annotated[int, Read({"type": "integer", "minimum": -1, "maximum": 255}, _icmp)]
Latency = Annotated[int, Read(_texts("40ms", "1.5s"), _quantity(parse_duration, "a time", "40ms"))]
Rate = Annotated[int, Read(_texts("50Mbps", "1Gbps"), _quantity(parse_rate, "a rate", "50Mbps"))]
Size = Annotated[int, Read(_texts("64KB", "1MiB"), _quantity(parse_size, "a size", "64KB"))]
Chance = Annotated[int, Read(_texts("0.1%", "2%"), _quantity(parse_chance, "a share", "0.1%"))]
TcpTimeout = Annotated[int, Read(_seconds("350s", "5d"), _timeout(60, 432_000, "CT-20"))]
UdpTimeout = Annotated[int, Read(_seconds("30s"), _timeout(30, 60, "CT-21"))]
UdpStreamTimeout = Annotated[int, Read(_seconds("180s"), _timeout(60, 180, "CT-22"))]
_SETTING = [{"type": "integer", "minimum": 0, "maximum": MAX_SECONDS}, {"type": "string"}]
SettingSeconds = Annotated[int, Read({"anyOf": _SETTING, "examples": [30, "30s"]}, _setting_seconds)]
Edition = Annotated[str, Read({"enum": [2025, 2023, "2025", "2023"]}, _edition)]
