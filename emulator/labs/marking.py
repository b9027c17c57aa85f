"""Marks for an exercise that came back: its cells are run, with the lab's own checks in place of the student's.

This runs a student's Python as the person who marks it, as Jupyter and nbgrader do: in a process of its own, for a
bounded time, but with the same rights.  Mark what strangers send where nothing is to be lost.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from emulator.errors import UsageError
from emulator.labs.checks import Finding, Grade
from emulator.labs.handouts import CHECKOUT, Handout, code_of, exercise, found, read_notebook

SECONDS = 60


def mark(path: Path, master: Handout | None = None, seconds: float = SECONDS) -> Grade:
    """The grade of a student's notebook.

    All its code runs from top to bottom in the notebook's folder; a cell that raises is passed over, as in nbgrader.
    Locked cells are taken from ``master``, so that a changed check counts for nothing.

    Parameters
    ----------
    path : the student's .ipynb, from `hand_out`
    master : the lab with its solution; left out: the shipped lab whose exercise this is
    seconds : the time it may take

    Raises
    ------
    UsageError : not a notebook, not an exercise of this lab, or a check cell is missing.
    """
    student = read_notebook(path)
    lab = master or _lab_of(student, path)
    cells = _with_checks(student, exercise(read_notebook(lab.path), lab.name), path)
    outcome = _run(cells, path.parent, seconds)
    if outcome is None:
        return Grade(lab.title, (Finding("the notebook", False, 1, f"it was still running after {seconds:g} s, or ended itself"),))
    findings = [Finding(*row) for rows in outcome["grades"].values() for row in rows]
    trouble = outcome["trouble"]
    if not findings or (trouble and all(finding.passed for finding in findings)):
        findings.append(Finding("the check", not trouble, 1, trouble))
    if outcome["first"] and not all(finding.passed for finding in findings):
        findings.append(Finding("the notebook runs from top to bottom", False, 0, outcome["first"]))
    return Grade(lab.title, tuple(findings))


def _lab_of(student: dict[str, Any], path: Path) -> Handout:
    name = student.get("metadata", {}).get("vpcemu", {}).get("lab")
    if not isinstance(name, str) or name.endswith(".ipynb"):
        raise UsageError(f"{path}: does not say which lab it is; hand it out with vpcemu labs copy, or name its --master")
    try:
        return found(name)
    except UsageError:
        raise UsageError(f"{path}: an exercise of {name}, which is not shipped; name its --master") from None


def _with_checks(student: dict[str, Any], released: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """The student's code cells, each locked one as it was handed out."""
    checks = {_mark_of(cell): code_of(cell) for cell in released["cells"] if _mark_of(cell).startswith("check-")}
    cells = []
    for number, cell in enumerate(student["cells"], 1):
        if cell["cell_type"] == "code":
            check = checks.pop(_mark_of(cell), None)
            cells.append({"number": number, "code": code_of(cell) if check is None else check, "check": check is not None})
    if checks:
        raise UsageError(f"{path}: its check is gone ({', '.join(checks)}); copy the solution into a fresh copy of the lab")
    return cells


def _mark_of(cell: dict[str, Any]) -> str:
    """nbgrader's name of a cell, or nothing."""
    marks = cell["metadata"].get("nbgrader") if isinstance(cell.get("metadata"), dict) else None
    name = marks.get("grade_id") if isinstance(marks, dict) else None
    return name if isinstance(name, str) else ""


def _run(cells: list[dict[str, Any]], folder: Path, seconds: float) -> dict[str, Any] | None:
    """What `emulator.labs.cells` found, in a process of its own; None where it did not come to an end."""
    with tempfile.TemporaryDirectory() as scratch:
        told = Path(scratch) / "outcome.json"
        paths = os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            subprocess.run(
                [sys.executable, "-P", "-m", "emulator.labs.cells", str(told)],
                input=json.dumps(cells).encode(),
                cwd=folder,
                env=os.environ | {"PYTHONPATH": paths, "MPLBACKEND": "Agg"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=seconds,
                check=False,
            )
            return dict(json.loads(told.read_text(encoding="utf-8")))
        except (subprocess.TimeoutExpired, OSError, ValueError):
            return None
