"""Checkpoints: how far a replay has come, so that another process goes on to the same bytes.

    file  =  what the run was of  +  position in the windows  +  the engine's matrices  +  the counts  +  length of outputs

A replay is deterministic, so the captures are simply read again up to the position, which costs a small part of what
judging their packets does; that they are the same is seen by a sum over their headers.  A checkpoint is made between two
windows, whole or not at all, and removed when the replay is done.  One that was made of anything else, by another
version or by somebody else is refused (see `sealed`).  Outputs grow beside their place and are cut to the length noted.

Up to `KEPT` packets a replay keeps everything and is over in seconds; then the only checkpoint is that of its beginning.
"""

import os
import secrets
import time
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from emulator.bulk.running import Position, Run, Running
from emulator.bulk.sealed import read_sealed, write_sealed
from emulator.bulk.shares import SharedEngine
from emulator.datapath.state import MEMOS, State
from emulator.engine import Engine
from emulator.errors import UsageError
from emulator.model.fileformat.dump import dump
from emulator.observe.flows import Tally
from emulator.wire.atomic import Unfinished, check_writable

EVERY_S = 60
_TALLY = "tally "
_SHARE = 20  # making checkpoints takes at most one part in so many of the time


class Checkpoint:
    """Goes on from a checkpoint or begins one, and makes new ones while its block runs.

    Parameters
    ----------
    path : the checkpoint's file
    resume : whether to go on from it; if there is none yet, the replay begins
    every_s : seconds from one checkpoint to the next; longer where making one takes long
    output : a file that the replay writes as it goes, or None

    Attributes
    ----------
    file : the output, at the place where to write on
    note : what became of the wish to resume, where it did not come true

    Raises
    ------
    CaptureError : the checkpoint, or a file beside it, cannot be read or written.
    UsageError : it is of another run, or it is there and nobody said to resume.
    """

    def __init__(
        self, path: str | os.PathLike[str], running: Running, tally: Tally, *, resume: bool, every_s: float, output: str | Path | None
    ) -> None:
        self._path, self._running, self._tally = os.fspath(path), running, tally
        self._every_s, self._output_path = every_s, output
        check_writable(path)
        self._run = _told(running.run, output)
        self.note = ""
        found = self._found(resume)
        self._part = found["part"] if found else f".{secrets.token_hex(8)}.part"
        self._output = Unfinished(output, self._part, found["length"] if found else 0) if output is not None else None
        if not found:
            self._write(Position(), 0, {})
        self._due = time.monotonic() + every_s

    @property
    def file(self) -> BinaryIO | None:
        """The output, at the place where to write on."""
        return self._output.file if self._output is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._output is not None:
            self._output.file.close()
        if kind is None and not self._running.stopped:
            if self._output is not None:
                self._output.finish()
            os.unlink(self._path)

    def at_rest(self, position: Position) -> None:
        """Make a checkpoint if one is due or the replay is being stopped; between two windows."""
        began = time.monotonic()
        if self._running.engine.keeps_journal or (began < self._due and not self._running.stopped):
            return
        self._write(position, self._output.length() if self._output is not None else 0, _matrices(self._running.engine, self._tally))
        ended = time.monotonic()
        self._due = ended + max(self._every_s, _SHARE * (ended - began))

    def _write(self, position: Position, length: int, matrices: dict[str, Any]) -> None:
        words = {"run": self._run, "position": list(position), "packets": self._running.engine.packets}
        write_sealed(self._path, words | {"part": self._part, "length": length}, matrices)

    def _found(self, resume: bool) -> dict[str, Any] | None:
        """Take over what the file says; None if the replay begins."""
        if not os.path.lexists(self._path):
            if resume:
                self.note = f"{self._path}: no checkpoint yet; the replay begins"
            return None
        if not resume:
            raise UsageError(f"{self._path}: is there already; go on from it with --resume, or delete it")
        words, matrices = read_sealed(self._path)
        for what, value in self._run.items():
            if words["run"][what] != value:
                raise UsageError(f"{self._path}: was made with another {what}; resume with the same, or delete it and begin anew")
        if self._output_path is not None and not Unfinished.holds(self._output_path, words["part"], words["length"]):
            self.note = f"{self._path}: the file that {self._output_path} grew in is gone; the replay begins anew"
            return None
        if matrices:
            self._tally.take({name.removeprefix(_TALLY): matrix for name, matrix in matrices.items() if name.startswith(_TALLY)})
            self._running.resume(Position(*words["position"]), lambda: _restore(self._running.engine, matrices, words["packets"]))
        return words


def _told(run: Run, output: str | Path | None) -> dict[str, Any]:
    """What a run is of, as far as its results hang on it."""
    return {
        "version of vpcemu": _program(),
        "network": sha256(dump(run.topology).encode()).hexdigest(),
        "capture": [os.path.getsize(capture) for capture in run.captures],
        "--map": dict(sorted(run.map.items())),
        "--open-loop": run.open_loop,
        "--jobs": run.jobs,
        "--flow-logs": run.flow_logs,
        "--packets": os.path.realpath(output) if output is not None else "",
    }


@cache
def _program() -> str:
    """A name for this version of the whole program."""
    state, package = sha256(), Path(__file__).parents[1]
    for source in sorted(package.rglob("*.py")):
        state.update(source.read_bytes())
    return state.hexdigest()


def _engines(engine: Engine | SharedEngine) -> list[Engine]:
    return engine.engines if isinstance(engine, SharedEngine) else [engine]


def _matrices(engine: Engine | SharedEngine, tally: Tally) -> dict[str, Any]:
    found = {_TALLY + name: matrix for name, matrix in tally.matrices().items()}
    for number, one in enumerate(_engines(engine)):
        shared = () if number == 0 else ("outcomes",)  # the first engine's are everybody's
        found |= {f"{number} {name}": matrix for name, matrix in one.state._asdict().items() if name not in (*shared, *MEMOS)}
    return found


def _restore(engine: Engine | SharedEngine, matrices: dict[str, Any], packets: int) -> None:
    for number, one in enumerate(_engines(engine)):
        names = [name for name in State._fields if name not in MEMOS]
        kept = {name: np.ascontiguousarray(matrices.get(f"{number} {name}", matrices[f"0 {name}"])) for name in names}
        one.state = one.state._replace(**kept)
        one.packets = packets
