"""Values of a template: what is unknown of them, what loops fill into them, and where they stand in the file."""

from collections.abc import Mapping
from typing import Any

DEEPEST = 60


class Unknown:
    """A value that the template does not decide.

    Parameters
    ----------
    reason : who decides it, in words.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason


def filled(text: str, names: Mapping[str, Any]) -> str:
    """A text with the items of the loops around it in place of their identifiers."""
    for name, value in names.items():
        text = text.replace(f"${{{name}}}", str(value)).replace(f"&{{{name}}}", "".join(sign for sign in str(value) if sign.isalnum()))
    return text


def holes(value: Any, path: str = "", depth: int = 0) -> list[tuple[str, Unknown]]:
    """The unknown parts of a value with where they stand in it."""
    if isinstance(value, Unknown):
        return [(path, value)]
    if depth > DEEPEST:
        return []
    if isinstance(value, dict):
        return [hole for key, item in value.items() for hole in holes(item, f"{path}.{key}".lstrip("."), depth + 1)]
    if isinstance(value, list):
        return [hole for number, item in enumerate(value) for hole in holes(item, f"{path}[{number}]", depth + 1)]
    return []


def line_of(node: Any) -> int:
    """The line of a node of the template, 0 if it has none."""
    mark = getattr(node, "start_mark", None)
    return int(getattr(mark, "line", -1)) + 1
