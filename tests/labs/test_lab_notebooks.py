"""Every lab runs with its solution, and fails without it."""

import os
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from emulator.labs import stripped

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_runs_top_to_bottom_in_a_minute(script, monkeypatch):
    """The notebook as it lies in the repository runs in its folder, in under a minute, and shows its drawing."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    book = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    began = time.perf_counter()
    NotebookClient(book, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(script.parent)}}).execute()
    assert time.perf_counter() - began < 60
    shown = [kind for cell in book.cells for output in cell.get("outputs", ()) for kind in output.get("data", {})]
    assert "image/png" in shown or script.stem.startswith("16")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_pair_is_equal_and_cleared(script):
    """The .ipynb has the cells of its .py, and no outputs."""
    text, book = jupytext.read(script), nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    assert [(cell.cell_type, cell.source) for cell in text.cells] == [(cell.cell_type, cell.source) for cell in book.cells]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in book.cells)


@pytest.mark.parametrize("script", [path for path in SCRIPTS if not path.stem.startswith("01")], ids=lambda path: path.stem)
def test_untouched_exercise_fails_with_a_message(script, monkeypatch, capsys):
    """With the solution taken out the check raises, and says what is missing."""
    monkeypatch.chdir(ROOT)
    assert "### BEGIN SOLUTION" in script.read_text(encoding="utf-8")
    cells = [stripped(cell.source) for cell in jupytext.read(script).cells if cell.cell_type == "code"]
    names: dict[str, Any] = {}
    with pytest.raises(AssertionError) as caught:
        for cell in cells:
            exec(compile(cell, script.name, "exec"), names)
    assert len(str(caught.value)) > 20
