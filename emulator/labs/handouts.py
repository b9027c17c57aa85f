"""The lab notebooks as files: which there are, and the copies without solutions that students get.

A copy carries nbgrader's cell metadata, so that nbgrader can collect and mark it as it is: the cell with the task is a
solution cell, and what stands after the last task is the check, which is locked.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.errors import UsageError
from emulator.labs.checks import BEGIN, stripped
from emulator.wire.atomic import written

MOST_BYTES = 16 << 20
PACKED = Path(__file__).parents[1] / "lessons"
CHECKOUT = Path(__file__).parents[2]
DATA = ("topologies/*.yaml", "tests/captures/*.pcap")

Notebook = dict[str, Any]


@dataclass(frozen=True)
class Handout:
    """A lab notebook.

    Attributes
    ----------
    name : the file's name without its suffix, such as ``02-default-security-group``
    title : its heading
    path : where it lies, solution and all
    """

    name: str
    title: str
    path: Path


def shipped() -> list[Handout]:
    """The labs that come with the package, by number.

    Raises
    ------
    UsageError : this installation has none.
    """
    paths = sorted((_root() / "notebooks").glob("*.ipynb"))
    return [Handout(path.stem, _title(read_notebook(path)), path) for path in paths]


def found(word: str) -> Handout:
    """A shipped lab by its number or name, or a notebook of one's own by its path.

    Raises
    ------
    UsageError : no lab is called so; the notebook cannot be read.
    """
    if word.endswith(".ipynb"):
        path = Path(word)
        return Handout(path.stem, _title(read_notebook(path)), path)
    labs = shipped()
    for lab in labs:
        if word in (lab.name, lab.name.split("-")[0]):
            return lab
    raise UsageError(f"{word}: no lab is called so; known are {labs[0].name} to {labs[-1].name}: vpcemu labs")


def hand_out(lab: Handout, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a lab's exercise into a folder, with the topologies and captures that it reads; gives the files written.

    Raises
    ------
    UsageError : the exercise is there already (it may hold somebody's work), or the notebook has no task.
    CaptureError : a file cannot be written.
    """
    notebook = read_notebook(lab.path)
    text = json.dumps(exercise(notebook, lab.name), indent=1, ensure_ascii=False) + "\n"
    target = Path(folder) / f"{lab.name}.ipynb"
    if target.exists():
        raise UsageError(f"{target}: is there already and may hold somebody's work; name another folder")
    source = "".join(code_of(cell) for cell in notebook["cells"])
    files = {target: text.encode()}
    for path, inside in _data():
        if path.name in source and not (Path(folder) / inside).exists():
            files[Path(folder) / inside] = path.read_bytes()
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as trouble:
            raise UsageError(f"{path.parent}: {trouble.strerror}; name another folder") from None
        with written(path) as file:
            file.write(content)
    return list(files)


def exercise(notebook: Notebook, name: str) -> Notebook:
    """What a student gets: the same cells without solutions, marked with nbgrader's metadata.

    Raises
    ------
    UsageError : no cell has a task between the marks, or a mark has no partner.
    """
    cells = notebook["cells"]
    tasks = [number for number, cell in enumerate(cells) if is_task(cell)]
    if not tasks:
        raise UsageError(f"{name}: no cell has {BEGIN} on a line of its own, so there is nothing to solve")
    made = []
    for number, cell in enumerate(cells):
        code = stripped(code_of(cell)) if number in tasks else code_of(cell)
        copy = {key: cell[key] for key in ("cell_type", "id") if key in cell} | {"metadata": {}, "source": code.splitlines(keepends=True)}
        if cell["cell_type"] == "code":
            copy |= {"execution_count": None, "outputs": []}
            if number in tasks:
                copy["metadata"] = {"nbgrader": _marks(f"task-{number}", solution=True)}
            elif number > tasks[-1]:
                copy["metadata"] = {"nbgrader": _marks(f"check-{number}", solution=False)}
        made.append(copy)
    kept = {key: value for key, value in notebook.get("metadata", {}).items() if key != "jupytext"}
    return {"cells": made, "metadata": kept | {"vpcemu": {"lab": name}}, "nbformat": 4, "nbformat_minor": 5}


def _marks(name: str, *, solution: bool) -> dict[str, Any]:
    """nbgrader's metadata of a cell, schema version 3: a task that is not marked by itself, or a locked check."""
    marks: dict[str, Any] = {"grade_id": name, "solution": solution, "grade": not solution, "locked": not solution, "task": False}
    return marks | {"schema_version": 3} | ({} if solution else {"points": 1})


def is_task(cell: dict[str, Any]) -> bool:
    """Whether a cell holds a solution between the marks."""
    return cell["cell_type"] == "code" and any(line.strip() == BEGIN for line in code_of(cell).splitlines())


def code_of(cell: dict[str, Any]) -> str:
    """A cell's text, which a notebook keeps as one string or as a list of lines."""
    return "".join(cell["source"])


def read_notebook(path: Path) -> Notebook:
    """A Jupyter notebook of format 4, as its JSON.

    Raises
    ------
    UsageError : it cannot be read, or is not a notebook.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path}: larger than {MOST_BYTES >> 20} MiB; clear its outputs")
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except OSError as trouble:
        raise UsageError(f"{path}: {trouble.strerror}; name a notebook that can be read") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path}: not a notebook; save it from Jupyter as .ipynb") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(map(_is_cell, cells)):
        raise UsageError(f"{path}: not a notebook of format 4; save it from Jupyter as .ipynb")
    return dict(notebook)


def _is_cell(cell: Any) -> bool:
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        return False
    source = cell.get("source")
    return isinstance(source, str) or (isinstance(source, list) and all(isinstance(line, str) for line in source))


def _title(notebook: Notebook) -> str:
    """The first heading."""
    lines = (line for cell in notebook["cells"] if cell["cell_type"] == "markdown" for line in code_of(cell).splitlines())
    return next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), "")


def _root() -> Path:
    """The folder that has ``notebooks``, in an installed package or in a clone of the project."""
    for folder in (PACKED, CHECKOUT):
        if (folder / "notebooks").is_dir():
            return folder
    raise UsageError("the labs are not part of this installation; install vpcemu from its wheel")


def _data() -> Iterator[tuple[Path, Path]]:
    """The files that labs read: where each lies, and where it lies beside the notebooks."""
    root = _root()
    for pattern in DATA:
        for path in sorted(root.glob(pattern)):
            yield path, path.relative_to(root)
