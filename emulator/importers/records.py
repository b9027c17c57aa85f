"""JSON that other people's tools wrote: read within bounds, and asked for fields with the type that AWS gives them.

A `Record` is one JSON object with its place.  Absent, null and empty are the same (collectors that go through an SDK
write null for what is absent); a field of another type is an error in one line.  Keys are taken in AWS's spelling;
``camelCase`` and ``snake_case`` ones are respelt.
"""

import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from emulator.errors import TopologyError, printable
from emulator.model.entities import Address
from emulator.model.groups import Block, block

MOST_BYTES = 512 * 1024 * 1024


def read_text(path: Path) -> str:
    """A text file's content.

    Raises
    ------
    TopologyError : not readable, larger than 512 MB, or not UTF-8.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise TopologyError(f"{path}: {size:,} bytes are more than an import reads ({MOST_BYTES:,}); split the file, by region say")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as trouble:
        raise TopologyError(f"{path}: {trouble.strerror or trouble}; name a file that can be read") from None
    if len(data) > MOST_BYTES:
        raise TopologyError(f"{path}: more than an import reads ({MOST_BYTES:,} bytes); split the file")
    marks = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
    encoding = next((name for mark, name in marks if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as trouble:
        raise TopologyError(f"{path}: not text in UTF-8 (byte {trouble.start}); write it again as UTF-8") from None


def read_json(path: Path, text: str | None = None) -> Any:
    """A JSON document.

    Raises
    ------
    TopologyError : not JSON, nested too deeply, or with a number that is none.
    """
    try:
        return json.loads(read_text(path) if text is None else text, parse_constant=_no_constant)
    except json.JSONDecodeError as trouble:
        raise TopologyError(f"{path}:{trouble.lineno}: not valid JSON: {trouble.msg} (column {trouble.colno}); write it again") from None
    except RecursionError:
        raise TopologyError(f"{path}: nested too deeply for a description of a network; write it again") from None
    except ValueError as trouble:
        raise TopologyError(f"{path}: not valid JSON: {str(trouble)[:120]}; write it again") from None


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def aws_key(key: str) -> str:
    """A key in AWS's spelling: ``VpcId`` for ``vpcId`` and ``vpc_id``."""
    if key[:1].isupper() or not key:
        return key
    return "".join(part[:1].upper() + part[1:] for part in key.split("_"))


class Record:
    """One JSON object that describes something of AWS.

    Parameters
    ----------
    data : the object.
    kind, id : what it is, for messages; a part of it keeps those of the whole.
    place : the file it came from.
    account, region : where it stands, as far as the path or the object says.
    """

    __slots__ = ("account", "data", "id", "kind", "place", "region")

    def __init__(self, data: dict[str, Any], kind: str, id: str, place: str, account: str = "", region: str = "") -> None:
        self.data = data if all(key[:1].isupper() for key in data) else {aws_key(key): value for key, value in data.items()}
        self.kind, self.id, self.place = kind, id, place
        self.account, self.region = account, region

    def __contains__(self, key: str) -> bool:
        return self.data.get(key) not in (None, "", [], {})

    def _wrong(self, key: str, wanted: str, found: object) -> TopologyError:
        names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
        what = f"{self.kind} {self.id}".strip()
        return TopologyError(f"{self.place}: {what}: {key} should be {wanted}, not {names.get(type(found), 'that')}; write the file again")

    def text(self, key: str) -> str:
        """A text, empty if absent; numbers are taken as text."""
        value = self.data.get(key)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._wrong(key, "a text", value)
        return str(value)

    def number(self, key: str) -> int | None:
        """A whole number, None if absent; digits in quotes are taken as well."""
        value = self.data.get(key)
        if value is None or value == "":
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, str) and value.strip().lstrip("-").isdigit() and len(value) < 12:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 1 << 40:
            raise self._wrong(key, "a number", value)
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false; the words in quotes are taken as well."""
        value = self.data.get(key)
        if value is None or value == "":
            return default
        if isinstance(value, str) and value.casefold() in ("true", "false"):
            return value.casefold() == "true"
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def part(self, key: str) -> "Record":
        """An object inside, empty if absent."""
        value = self.data.get(key)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self._wrong(key, "an object", value)
        return Record(value, self.kind, self.id, self.place, self.account, self.region)

    def parts(self, key: str) -> "list[Record]":
        """The objects of a list inside, none if absent."""
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(key, "a list", value)
        return [self._part_of(key, item) for item in value if item is not None]

    def _part_of(self, key: str, item: object) -> "Record":
        if not isinstance(item, dict):
            raise self._wrong(f"each of {key}", "an object", item)
        return Record(item, self.kind, self.id, self.place, self.account, self.region)

    def texts(self, key: str) -> list[str]:
        """The texts of a list inside, none if absent."""
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of texts", value)
        return value

    def blocks(self, key: str) -> Iterator[Block]:
        """The block of a field, host bits cleared (SG-22); nothing if absent."""
        text = self.text(key)
        if text:
            try:
                yield block(text)
            except ValueError:
                raise TopologyError(
                    f'{self.place}: {self.kind} {self.id}: {key} "{printable(text[:60])}" is not a CIDR block such as 10.0.0.0/16'
                ) from None

    def addresses(self, key: str) -> Iterator[Address]:
        """The address of a field; nothing if absent."""
        text = self.text(key)
        if text:
            try:
                yield ip_address(text)
            except ValueError:
                raise TopologyError(
                    f'{self.place}: {self.kind} {self.id}: {key} "{printable(text[:60])}" is not an address such as 10.0.0.5'
                ) from None

    def tag(self, key: str = "Name") -> str:
        """The value of a tag, empty if absent."""
        for field in ("Tags", "TagSet"):
            for tag in self.parts(field) if isinstance(self.data.get(field), list) else ():
                if tag.text("Key") == key:
                    return tag.text("Value")
        return ""
