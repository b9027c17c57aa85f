"""Labs are listed, handed out without their solutions, and marked by the checks they were handed out with."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest

from emulator.errors import UsageError
from emulator.labs.handouts import exercise, found, hand_out, is_task, read_notebook, shipped
from emulator.labs.marking import mark
from tests.conftest import ROOT

LAB = "02-default-security-group"
LABS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def solved(path: Path, master: Path, wrong: str = "") -> None:
    """Fill the master's solution, or something wrong, into an exercise."""
    notebook, original = json.loads(path.read_text(encoding="utf-8")), json.loads(master.read_text(encoding="utf-8"))
    for cell, other in zip(notebook["cells"], original["cells"], strict=True):
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            cell["source"] = wrong or other["source"]
    path.write_text(json.dumps(notebook), encoding="utf-8")


@pytest.fixture
def handed(tmp_path):
    """An exercise as a student gets it."""
    return hand_out(found(LAB), tmp_path)[0]


def test_every_lab_is_listed_with_its_title(vpcemu):
    """The list names each notebook of the folder."""
    lines = vpcemu("labs").out.splitlines()
    assert [line.split()[0] for line in lines] == [path.stem for path in LABS]
    assert all(len(line.split(maxsplit=1)[1]) > 5 for line in lines)


@pytest.mark.parametrize("path", LABS, ids=[path.stem for path in LABS])
def test_an_exercise_has_no_solution_and_nbgraders_marks(path):
    """The copy is a valid notebook; its tasks can be written, its check is locked and worth points, ids are unique."""
    made = exercise(read_notebook(path), path.stem)
    nbformat.validate(nbformat.from_dict(made))
    assert not any("SOLUTION" in "".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == "code")
    marks = [cell["metadata"]["nbgrader"] for cell in made["cells"] if "nbgrader" in cell["metadata"]]
    assert len({one["grade_id"] for one in marks}) == len(marks)
    kinds = [(one["solution"], one["grade"], one["locked"]) for one in marks]
    assert kinds == sorted(kinds, reverse=True)
    assert set(kinds) == {(True, False, False), (False, True, True)}


def test_copies_take_what_they_read_along(vpcemu, tmp_path, monkeypatch):
    """All labs and their captures and topologies go into a folder, from which they run."""
    shown = vpcemu("labs", "copy", str(tmp_path))
    assert shown.code == 0
    assert len(list(tmp_path.glob("*.ipynb"))) == len(LABS)
    assert (tmp_path / "tests/captures/web-server.pcap").read_bytes() == (ROOT / "tests/captures/web-server.pcap").read_bytes()
    first = tmp_path / "01-replay-a-capture.ipynb"
    solved(first, LABS[0])
    assert mark(first).passed


def test_somebodys_work_is_not_overwritten(vpcemu, handed):
    """Copying again where an exercise lies is refused before anything is written."""
    before = handed.read_bytes()
    shown = vpcemu("labs", "copy", str(handed.parent))
    assert (shown.code, "may hold somebody's work" in shown.err) == (2, True)
    assert handed.read_bytes() == before
    assert [path.name for path in handed.parent.iterdir()] == [handed.name]


def test_untouched_wrong_and_right(handed):
    """Marks are what the packets say."""
    assert not mark(handed).passed
    solved(handed, found(LAB).path, wrong='network.authorize("default", "all", "0.0.0.0/0")')
    grade = mark(handed)
    assert (grade.points, grade.most) == (4, 6)
    assert "let it in" in str(grade)
    solved(handed, found(LAB).path)
    assert mark(handed).points == 6


def test_a_changed_check_counts_for_nothing(handed):
    """What a student writes into the locked cell is not run."""
    text = handed.read_text(encoding="utf-8")
    notebook = json.loads(text)
    notebook["cells"][-1]["source"] = "print('all is well')"
    handed.write_text(json.dumps(notebook), encoding="utf-8")
    assert mark(handed).points == 3


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("network.authorise('x')", "AttributeError"),
        ("network = None", "no network but NoneType"),
        ("raise SystemExit", "SystemExit"),
        ("this is no Python", "SyntaxError"),
        ("%matplotlib inline\n!ls", "no ingress rule"),
        ("import os; os._exit(0)", "ended itself"),
        ("while True: pass", "still running"),
    ],
)
def test_code_that_goes_wrong_is_a_finding(handed, wrong, told):
    """Nothing that a student types raises at the teacher's, and the message says what went wrong."""
    solved(handed, found(LAB).path, wrong)
    grade = mark(handed, seconds=10 if "while" not in wrong else 2)
    assert not grade.passed
    assert told in str(grade)


def test_marks_go_to_a_table(vpcemu, handed, tmp_path):
    """A row a probe and student; exit 1 says that something is missing."""
    marks = tmp_path / "marks.csv"
    assert vpcemu("labs", "check", str(handed), "--student", "alice", "--csv", str(marks)).code == 1
    solved(handed, found(LAB).path)
    shown = vpcemu("labs", "check", str(handed), "--student", "bob", "--csv", str(marks), "--json")
    assert (shown.code, json.loads(shown.out)["points"]) == (0, 6)
    rows = marks.read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in rows] == ["student", *["alice"] * 4, *["bob"] * 4]


def test_a_teachers_own_lab(vpcemu, tmp_path):
    """A notebook that is not shipped is handed out and marked by its path."""
    own = tmp_path / "own.ipynb"
    shutil.copy(LABS[1], own)
    assert vpcemu("labs", "copy", str(tmp_path / "students"), "--lab", str(own)).code == 0
    exercise_ = tmp_path / "students" / "own.ipynb"
    assert "name its --master" in vpcemu("labs", "check", str(exercise_)).err
    solved(exercise_, own)
    assert vpcemu("labs", "check", str(exercise_), "--master", str(own)).code == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not a notebook"),
        ("[" * 100_000, "not a notebook"),
        ("[]", "format 4"),
        ('{"cells": [{"cell_type": "code", "source": 5}]}', "format 4"),
        ('{"cells": [], "metadata": {"vpcemu": {"lab": "../../etc"}}}', "not shipped"),
        ('{"cells": []}', "which lab"),
        ('{"cells": [], "metadata": {"vpcemu": {"lab": "02"}}}', "check is gone"),
    ],
)
def test_what_is_no_exercise_is_refused_in_a_line(vpcemu, tmp_path, content, told):
    """Exit 2, one line, the way out."""
    path = tmp_path / "x.ipynb"
    path.write_text(content, encoding="utf-8")
    shown = vpcemu("labs", "check", str(path))
    assert shown.code == 2
    assert told in shown.err
    assert shown.err.count("\n") == 1


def test_unknown_labs_and_missing_files_are_named():
    """A lab that nobody ships, a notebook that is not there."""
    with pytest.raises(UsageError, match="99: no lab is called so; known are 01"):
        found("99")
    with pytest.raises(UsageError, match=r"gone\.ipynb: No such file"):
        found("gone.ipynb")
    with pytest.raises(UsageError, match="nothing to solve"):
        exercise({"cells": [{"cell_type": "code", "source": "1"}]}, "own")
    assert not is_task({"cell_type": "markdown", "source": "### BEGIN SOLUTION"})
    assert len(shipped()) == len(LABS)
