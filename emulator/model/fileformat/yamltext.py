"""Plain values as YAML text that a person would write: things that belong together in one line, the rest in blocks."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml

from emulator.errors import TopologyError
from emulator.model.fileformat.nodes import MAX_DIGITS, scalar, unprintable

WIDTH = 140
# Letters, digits and the few signs that mean nothing to YAML, within words too; a colon only between two of them.
_PLAIN = re.compile(r"[A-Za-z0-9_/](?:[A-Za-z0-9_./@+%()=-]|(?<=[A-Za-z0-9_)]):(?=[A-Za-z0-9_(])| (?=[^ ]))*", re.ASCII)


class OneLine(dict[str, Any]):
    """A mapping that is written in one line: ``{type: HTTPS, source: 0.0.0.0/0}``."""


def text_of(value: dict[str, Any]) -> str:
    """A mapping as YAML text.

    Examples
    --------
    >>> print(text_of({"topology": "yes", "subnets": {"a": OneLine(cidr_block="10.0.1.0/24")}, "map": {}}))
    topology: "yes"
    subnets:
      a: {cidr_block: 10.0.1.0/24}
    map: {}
    """
    return "\n".join(_block(value, 0))


def _block(value: dict[str, Any] | list[Any], depth: int) -> Iterator[str]:
    margin = "  " * depth
    heads = (
        ((f"{margin}- ", item) for item in value) if isinstance(value, list) else ((f"{margin}{_word(k)}:", v) for k, v in value.items())
    )
    for head, item in heads:
        gap = "" if isinstance(value, list) else " "
        if _stays_whole(item, WIDTH - len(head)):
            yield f"{head}{gap}{_flow(item)}"
        else:
            yield head
            yield from _block(item, depth + 1)


def _stays_whole(value: Any, room: int) -> bool:
    """Whether a value is written in the line of its name: all but mappings, lists of mappings, and lists that are too long."""
    if isinstance(value, OneLine) or not isinstance(value, dict | list) or not value:
        return True
    if isinstance(value, dict):
        return False
    return not any(isinstance(item, dict) for item in value) and len(_flow(value)) < room


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_word(name)}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, bool | int):
        return str(value).lower()
    return _word(str(value))


@lru_cache(maxsize=4096)
def _word(text: str) -> str:
    """A text plain where every reader of YAML 1.1 and 1.2 takes it for that text, in double quotes elsewhere.

    Raises
    ------
    TopologyError : control characters, which no topology file may have.
    """
    if unprintable(text):
        raise TopologyError(f"{text!a} has a line break or another control character, which a topology file cannot hold; take it out")
    plain = _PLAIN.fullmatch(text) and not text.endswith(" ") and (len(text) > MAX_DIGITS or isinstance(scalar(text), str))
    if plain and not any(form.match(text) for _, form in yaml.SafeLoader.yaml_implicit_resolvers.get(text[0], ())):
        return text
    return json.dumps(text, ensure_ascii=False)
