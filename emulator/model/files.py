"""Topology files: YAML to a `Topology` and back (the format: README, "Topology files").

A text is read in four steps, each in a module of its own, and all troubles that one step can find come together:
``nodes`` makes plain values with lines, ``fileforms`` checks their shape, ``declared`` makes the parts of a topology,
and `Topology.of` resolves names and checks the whole.
"""

import os
import re
from pathlib import PurePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from emulator.errors import TopologyError
from emulator.model.fileformat.complaints import few, refuse, troubles_of
from emulator.model.fileformat.declared import Declared
from emulator.model.fileformat.dump import dump
from emulator.model.fileformat.fileforms import FileForm
from emulator.model.fileformat.nodes import MAX_BYTES, Document, read
from emulator.model.fileformat.ruleforms import checker
from emulator.model.topology import Topology
from emulator.wire.atomic import written

_NOTHING: tuple[Any, ...] = (None, "", [], {})
__all__ = ["dump", "load", "loads", "save", "schema"]


def load(path: str | os.PathLike[str]) -> Topology:
    """The topology of a file.

    Raises
    ------
    TopologyError : the file cannot be read, or what it says cannot be a topology; all troubles, a line each.
    """
    name = os.fspath(path)
    return loads(_text(name), name)


def loads(text: str, name: str = "topology") -> Topology:
    """The topology of a YAML text.

    Parameters
    ----------
    name : what stands before the colon in messages and places.

    Raises
    ------
    TopologyError : what the text says cannot be a topology; all troubles, a line each.

    Examples
    --------
    >>> lab = loads("vpcs: {lab: {cidr_block: 10.0.0.0/16, subnets: {a: {cidr_block: 10.0.1.0/24}}}}")
    >>> lab.find("a").place
    'topology:1'
    """
    document = read(text, name)
    declared = Declared(document, _form(document))
    refuse(document, declared.troubles)
    title = declared.title or PurePath(name).name.partition(".")[0] or "topology"
    try:
        return Topology.of(*declared.parts, name=title, policy=declared.policy, map=declared.map)
    except TopologyError as error:
        raise TopologyError(*few(name, error.problems)) from None


def _form(document: Document) -> FileForm:
    """The checked form of a document.

    Raises
    ------
    TopologyError : the document has not the shape of a topology file.
    """
    troubles = list(document.troubles)
    try:
        form: FileForm = checker(FileForm).validate_python(document.value)
    except ValidationError as error:
        troubles += troubles_of(document, error)
    refuse(document, troubles)
    return form


def _text(name: str) -> str:
    """The text of a file, whole and in UTF-8.

    Raises
    ------
    TopologyError : there is no such file, it cannot be read, is too large, or is no text.
    """
    try:
        with open(name, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise TopologyError(f"{name}: there is no such file; check the name") from None
    except IsADirectoryError:
        raise TopologyError(f"{name}: this is a folder; name a file in it") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TopologyError(f"{name!a}: cannot be read ({why}); name a file you may read") from None
    if len(content) > MAX_BYTES:
        raise TopologyError(f"{name}: the file has more than {MAX_BYTES // 10**6} MB; split the network into several files")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TopologyError(f"{name}:{line}: this is not UTF-8 text; save it as UTF-8, or replay it if it is a capture") from None


def save(topology: Topology, path: str | os.PathLike[str]) -> None:
    """Write a topology file, whole or not at all.

    Raises
    ------
    CaptureError : the file cannot be written.
    TopologyError : the topology has something that the file format cannot say.
    """
    text = dump(topology)
    with written(path) as file:
        file.write(text.encode())


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of topology files, for editors.

    Examples
    --------
    >>> schema()["properties"]["vpcs"]["additionalProperties"]
    {'$ref': '#/$defs/Vpc'}
    """
    made = TypeAdapter(FileForm).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "vpcemu topology", **_lean(made)}


def _lean(part: Any) -> Any:
    """A part of pydantic's schema as an editor wants it: no nulls (no field takes one), no made-up titles, no "Form" in names."""
    if isinstance(part, list):
        return [_lean(one) for one in part]
    if isinstance(part, str):
        return re.sub("^(#/.defs/.*)Form$", r"\1", part)
    if not isinstance(part, dict):
        return part
    part = {name: value for name, value in part.items() if name != "title" or not isinstance(value, str)}
    if part.get("default", True) in _NOTHING:
        del part["default"]
    choices = [choice for choice in part.pop("anyOf", []) if choice != {"type": "null"}]
    part |= choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {}
    if "$defs" in part:
        part["$defs"] = {name.removesuffix("Form"): value for name, value in part["$defs"].items()}
    return {name: _lean(value) for name, value in part.items()}
