"""The troubles of a file as lines for a person: ``file:line: where: what, and the way out``."""

import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emulator.errors import TopologyError
from emulator.model.fileformat.fields import shown
from emulator.model.fileformat.fileforms import fields_at
from emulator.model.fileformat.nodes import Document, Path, Trouble

if TYPE_CHECKING:
    from pydantic import ValidationError

MOST = 50
_HELPED = 1000  # as many misspelt fields are compared with the known ones; the rest of a hopeless file only counts
_ONLY_ALLOWS = "a security group only allows, so its rules have no `{}`; network ACLs (`network_acls`) can deny"
_SIDES = (("egress", "source", "destination"), ("ingress", "destination", "source"))  # direction, wrong side, right side
_KINDS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "dict_type": "fields by name",
    "dataclass_type": "fields by name",
    "list_type": "a list, such as [a, b]",
}


def refuse(document: Document, troubles: list[Trouble]) -> None:
    """Raise all troubles of a file together, by line, at most fifty.

    Raises
    ------
    TopologyError : there are any.
    """
    if troubles:
        found = list(dict.fromkeys(sorted(troubles, key=lambda trouble: trouble.line)))
        lines = [told(document, trouble) for trouble in found[:MOST]]
        raise TopologyError(*few(document.name, [*lines, *("" for _ in found[MOST:])]))


def few(name: str, lines: Sequence[str]) -> Sequence[str]:
    """The first fifty lines, and how many more there are."""
    return lines if len(lines) <= MOST else [*lines[:MOST], f"{name}: and {len(lines) - MOST:,} more; correct these first"]


def told(document: Document, trouble: Trouble) -> str:
    """One trouble in one line."""
    where = _where(document, trouble.path)
    return f"{document.name}:{trouble.line}: {where}{': ' if where else ''}{trouble.text}"


def _where(document: Document, path: Path) -> str:
    """``security_groups.web.ingress 3``; the VPC is named where there are several."""
    vpcs = document.value.get("vpcs") if isinstance(document.value, dict) else None
    if len(path) > 2 and path[0] == "vpcs" and isinstance(vpcs, dict) and len(vpcs) == 1:
        path = path[2:]
    words = ""
    for step in path:
        words += f" {step + 1}" if isinstance(step, int) else f".{shown(step)[1:-1]}"
    return words.lstrip(".")


def troubles_of(document: Document, error: "ValidationError") -> list[Trouble]:
    """What pydantic found, in our words.  What has no value was told when it was read."""
    found: list[Trouble] = []
    for detail in error.errors(include_url=False):
        loc, given = detail["loc"], detail["input"]
        if detail["type"] == "unexpected_keyword_argument":
            path = _real(document.value, loc)
            found.append(Trouble(document.line(*path), path[:-1], _unknown(path, len(found) < _HELPED)))
        elif detail["type"] == "missing":
            path = _real(document.value, loc[:-1])
            if any((path[4:5], loc[-1]) == ((direction,), right) and wrong in given for direction, wrong, right in _SIDES):
                continue  # the other side was written, which is told already
            found.append(Trouble(document.line(*path), path, f"`{loc[-1]}` is missing; write it"))
        elif given is not None:
            path = _real(document.value, loc)
            found.append(Trouble(document.line(*path), path, _words(detail["type"], given, detail.get("ctx", {}), path) or detail["msg"]))
    return found


def _real(value: Any, loc: tuple[Any, ...]) -> Path:
    """The steps of pydantic's path that are in the file; others come from short forms and from keys."""
    path: list[str | int] = []
    for step in loc:
        if (isinstance(value, dict) and step in value) or (isinstance(value, list) and isinstance(step, int)):
            path.append(step)
            value = value[step]
    return tuple(path)


def _unknown(path: Path, helped: bool) -> str:
    field = str(path[-1])
    in_group = len(path) > 3 and (path[0], path[2]) == ("vpcs", "security_groups")
    if in_group and field in ("action", "allow", "deny", "effect", "rule", "rule_action"):
        return _ONLY_ALLOWS.format(field)
    for direction, wrong, right in _SIDES:
        if (path[4:5], field) == ((direction,), wrong):
            return f"`{wrong}` is not a field here; an {direction} rule looks at the `{right}`"
    known = fields_at(path[:-1]) if helped else []
    near = difflib.get_close_matches(field, known, n=1, cutoff=0.5) or [name for name in known if field in name]
    way_out = f"did you mean `{near[0]}`?" if near else "known are " + ", ".join(f"`{name}`" for name in known)
    if not known:
        way_out = "take it out"
    return f"`{shown(field)[1:-1]}` is not a field here; {way_out}"


def _words(kind: str, given: Any, context: dict[str, Any], path: Path) -> str:
    """What is wrong with a value; empty for what is met nowhere in the forms."""
    if kind == "value_error":
        return str(context["error"])
    if not path and kind == "dataclass_type":
        return f"a topology file holds fields, not {shown(given)}; start it with `topology: a name` and `vpcs:`"
    if kind == "string_type" and isinstance(given, int | float):
        return f'takes a text, not {shown(given)}; write it in quotes, such as "{shown(given)}"'
    if kind in _KINDS:
        return f"takes {_KINDS[kind]}, not {shown(given)}"
    if kind == "literal_error":
        known = re.findall("'([^']*)'", context["expected"])
        near = difflib.get_close_matches(str(given), known, n=1)
        return f"{shown(given)} is not known here; {f'did you mean {near[0]}?' if near else 'write ' + ' or '.join(known)}"
    if kind in ("too_short", "too_long"):
        return f"takes two names, not {len(given)}"
    if kind == "string_too_long":
        return f"has {len(given)} characters; shorten it to {context['max_length']}"
    if kind in ("greater_than_equal", "less_than_equal"):
        return (
            f"{shown(given)} is out of range; write {'at least' if 'ge' in context else 'at most'} {context.get('ge', context.get('le'))}"
        )
    return ""
