"""``vpcemu labs``: what lessons there are, copies for students, and marks for what they send back."""

import json
from pathlib import Path
from typing import Annotated

import typer

from emulator.errors import UsageError
from emulator.terminal import Json, console, plain

app = typer.Typer(no_args_is_help=False, rich_markup_mode=None, help="List the labs, copy them for students, check what comes back.")


@app.callback(invoke_without_command=True)
def labs(context: typer.Context) -> None:
    """List the labs, copy them for students, check what comes back."""
    if context.invoked_subcommand is None:
        list_labs()


@app.command("list")
def list_labs(as_json: Json = False) -> None:
    """List the labs that come with vpcemu."""
    from emulator.labs.handouts import shipped

    found = shipped()
    if as_json:
        print(json.dumps([{"name": lab.name, "title": lab.title} for lab in found]))
        return
    width = max(len(lab.name) for lab in found)
    for lab in found:
        console().print(f"{plain(lab.name.ljust(width))}  {plain(lab.title)}")


@app.command()
def copy(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the notebooks go, with the files that they read.")],
    lab: Annotated[
        list[str] | None, typer.Option("--lab", metavar="LAB", help="A number, a name, or a notebook of one's own; left out: all.")
    ] = None,
) -> None:
    """Copy labs without their solutions, as students get them."""
    from emulator.labs.handouts import found, hand_out, shipped

    handouts = [found(word) for word in lab] if lab else shipped()
    for one in handouts:
        if (target := folder / f"{one.name}.ipynb").exists():
            raise UsageError(f"{target}: is there already and may hold somebody's work; name another folder")
    files = [path for one in handouts for path in hand_out(one, folder)]
    many = len(handouts) != 1
    typer.echo(f"{plain(folder)}: {len(handouts)} lab{'s' * many}, {len(files)} files; open with: jupyter lab {plain(folder)}", err=True)


@app.command()
def check(
    notebooks: Annotated[list[Path], typer.Argument(metavar="NOTEBOOK...", help="Exercises that students have worked on.")],
    master: Annotated[
        str | None, typer.Option("--master", metavar="LAB", help="The lab with its solution; left out: the shipped one.")
    ] = None,
    student: Annotated[
        str | None, typer.Option("--student", metavar="NAME", help="Whose it is, for --csv; left out: the notebook's path.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Add a row for each probe to this file.")] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long each may run.")] = 60,
    as_json: Json = False,
) -> None:
    """Run students' notebooks (their code, with your rights) and say what their packets show."""
    from emulator.labs.handouts import found
    from emulator.labs.marking import mark

    original = found(master) if master is not None else None
    passed = True
    for path in notebooks:
        grade = mark(path, original, seconds)
        passed &= grade.passed
        if csv is not None:
            grade.to_csv(csv, student or str(path))
        if as_json:
            rows = [{"probe": one.name, "passed": one.passed, "points": one.earned, "of": one.points} for one in grade.findings]
            print(json.dumps({"file": str(path), "lab": grade.lab, "points": grade.points, "of": grade.most, "probes": rows}))
        else:
            console().print(f"[bold]{plain(path)}[/]")
            for line in str(grade).splitlines():
                console().print(plain(line))
    raise typer.Exit(0 if passed else 1)
