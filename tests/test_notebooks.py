"""Notebooks: the pair of each is equal, outputs are cleared, all cells run, and what they show is there."""

import base64
import os
import re
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
IDS = [path.stem for path in SCRIPTS]
SOLUTION = re.compile(r"### BEGIN SOLUTION\n.*?### END SOLUTION\n?", re.DOTALL)
EVERYBODY = re.compile(r"import (?!emulator\b|pathlib\b|ipaddress\b)|from (?!emulator import|pathlib import|ipaddress import|scapy\.)")


def executed(notebook: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The notebook with its outputs, run in a folder by a kernel that imports this tree."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def outputs(notebook: Any) -> dict[str, list[Any]]:
    """Everything that the cells showed, by MIME type; what was printed is text/plain."""
    shown: dict[str, list[Any]] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                assert output.name == "stdout", output.text
                shown.setdefault("text/plain", []).append(output.text)
            for kind, data in output.get("data", {}).items():
                shown.setdefault(kind, []).append(data)
    return shown


def test_there_are_notebooks() -> None:
    """The folder was found."""
    assert SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=IDS)
def test_pairs_are_equal(script: Path) -> None:
    """The .ipynb has the same cells as its .py, in the same order."""
    text, book = jupytext.read(script), nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    assert [(cell.cell_type, cell.source) for cell in text.cells] == [(cell.cell_type, cell.source) for cell in book.cells]


@pytest.mark.parametrize("script", SCRIPTS, ids=IDS)
def test_outputs_are_cleared(script: Path) -> None:
    """The .ipynb is valid and carries no output, no count and no trace of the machine it was written on."""
    book = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(book)
    for cell in book.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert set(book.metadata) <= {"jupytext", "kernelspec"}


@pytest.mark.parametrize("script", SCRIPTS, ids=IDS)
def test_only_public_names_are_used(script: Path) -> None:
    """A notebook imports the package by its front door, and defines nothing but the probes of its check."""
    for cell in jupytext.read(script).cells:
        for line in cell.source.splitlines():
            assert not EVERYBODY.match(line), line
            assert "lab." in cell.source or not line.startswith(("def ", "class ")), line


@pytest.mark.parametrize("script", SCRIPTS, ids=IDS)
def test_the_unsolved_exercise_is_red(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its solution taken out a notebook stops at the check, with a message that teaches."""
    monkeypatch.chdir(ROOT)
    cells = [SOLUTION.sub("", cell.source) for cell in jupytext.read(script).cells if cell.cell_type == "code"]
    with pytest.raises(AssertionError) as caught:
        exec(compile("\n".join(cells), script.name, "exec"), {})
    assert len(str(caught.value)) > 20


@pytest.mark.parametrize("script", SCRIPTS, ids=IDS)
def test_runs_top_to_bottom_in_a_minute(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook as it lies in the repository runs in its folder, in under a minute, and shows its drawing."""
    began = time.perf_counter()
    shown = outputs(executed(nbformat.read(script.with_suffix(".ipynb"), as_version=4), script.parent, monkeypatch))
    assert time.perf_counter() - began < 60
    assert "image/png" in shown or "make-your-own" in script.stem


def test_replay_a_capture_shows_pictures_verdicts_and_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first notebook, run in its own folder, has the map, two figures of flows, the verdicts, and why."""
    book = executed(jupytext.read(ROOT / "notebooks" / "01-replay-a-capture.py"), ROOT / "notebooks", monkeypatch)
    shown = outputs(book)
    pictures = [base64.b64decode(data) for data in shown["image/png"]]
    assert len(pictures) == 3
    assert all(picture.startswith(b"\x89PNG\r\n\x1a\n") and len(picture) > 20_000 for picture in pictures)
    html, text = "\n".join(shown["text/html"]), "\n".join(shown["text/plain"])
    assert "&quot;total&quot;:157," in html
    assert "Not reachable (ENI_SG_RULES_MISMATCH)" in html
    assert "no ingress rule of web allows icmp/8/0 from 192.0.2.77" in html
    assert "office-pc  tcp/22    you said accept, it was accept" in text
    assert "scanner    tcp/3306  you said accept, it was drop" in text
    assert "customer → web-1 icmp: drop, now accept" in text
    assert "Right: one more conversation passes, and nobody else got in." in text
