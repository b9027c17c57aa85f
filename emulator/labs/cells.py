"""Run a notebook's cells and write what its checks found: ``python -m emulator.labs.cells OUTCOME < cells``.

Cells are a JSON list of ``{"number", "code", "check"}``; the outcome is ``{"grades": {lab: [finding…]}, "trouble": what
a check raised, "first": what the first other cell that failed raised}``.
"""

import json
import sys
from pathlib import Path
from typing import Any

from emulator.labs.checks import Grade, Lab


def run(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """The outcome of running all cells in one namespace; a cell that raises does not stop the next one."""
    grades: dict[str, Grade] = {}
    honest = Lab.check

    def recorded(lab: Lab, student: Any) -> Grade:
        grades[lab.name] = honest(lab, student)
        return grades[lab.name]

    names: dict[str, Any] = {"__name__": "__main__", "display": lambda *shown, **options: None}
    first = trouble = ""
    for cell in cells:
        Lab.check = recorded if cell["check"] else honest  # type: ignore[method-assign, assignment]
        told = _raised(cell, names)
        if cell["check"]:
            trouble = trouble or told
        elif told:
            first = first or f"cell {cell['number']}: {told}"
    findings = {name: [(one.name, one.passed, one.points, one.message) for one in grade.findings] for name, grade in grades.items()}
    return {"grades": findings, "trouble": trouble, "first": first}


def _raised(cell: dict[str, Any], names: dict[str, Any]) -> str:
    """What a cell raised, in a line or an assertion's own lines; nothing if it ended well."""
    try:
        exec(compile(_plain(cell["code"]), f"cell {cell['number']}", "exec"), names)
    except AssertionError as trouble:
        return str(trouble) or "an assertion failed"
    except (Exception, SystemExit) as trouble:
        return f"{type(trouble).__name__}: {trouble}"
    return ""


def _plain(code: str) -> str:
    """Python alone: Jupyter's own commands (``%matplotlib inline``, ``!ls``) have no say in a check."""
    return "\n".join("" if line.startswith(("%", "!")) else line for line in code.splitlines())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(run(json.load(sys.stdin))), encoding="utf-8")
