"""Runs of the collected tests against one mutant each, in a child process that nothing else remembers."""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

import pytest

from tests.mutation.mutants import Mutant

PATIENCE = 5  # times a test's own time, and so many seconds; a mutant that takes longer is a loop
PACKAGE = f"{os.sep}emulator{os.sep}"
MEMORY = 6 << 30  # bytes of address space, of which most is never touched


class Runs:
    """The tests, and in which order they are worth asking."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._seconds = {item.nodeid: 60.0 for item in session.items}
        self._entered: dict[str, list[list[str]]] = {}
        self._killed: dict[str, int] = {}
        self._count = 0

    def measure(self, longest: float) -> None:
        """Run everything unchanged, note what each test takes and enters, and leave out those longer than so many seconds.

        Raises
        ------
        SystemExit : a test fails unchanged, so that its failing would say nothing.
        """
        told = self._in_child(None)
        if isinstance(told, str):
            sys.exit(f"{told} fails without any change")
        self._seconds, self._entered = told
        self._session.items[:] = [item for item in self._session.items if self._seconds[item.nodeid] <= longest]

    def killer(self, module: Path, mutant: Mutant) -> str | None:
        """The test that noticed; None if none did."""
        told = self._in_child((module, mutant))
        if not isinstance(told, str):
            return None
        self._count += 1
        self._killed[told] = self._count
        return told

    def _order(self, change: tuple[Path, Mutant] | None) -> list[pytest.Item]:
        """The tests that enter the changed function, or all: those that killed lately first, then by their time."""
        items = self._session.items
        if change is not None and change[1].function:
            place = [str(change[0].resolve()), change[1].function]
            items = [item for item in items if place in self._entered[item.nodeid]]
        return sorted(items, key=lambda item: (-self._killed.get(item.nodeid, 0), self._seconds[item.nodeid]))

    def _in_child(self, change: tuple[Path, Mutant] | None) -> Any:
        """The first test that failed; if none did, the seconds of each and the functions that it entered."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                self._run(change, writing)
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            lines = [json.loads(line) for line in pipe if line.endswith("\n")]
        os.waitpid(child, 0)
        if not lines:
            return "the import"
        return lines[-1]  # of a child that was stopped, the test that it was in

    def _run(self, change: tuple[Path, Mutant] | None, pipe: int) -> None:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        if change is not None:
            apply(*change)
        order, seconds, entered = self._order(change), {}, {}
        for at, item in enumerate(order):
            _tell(pipe, item.nodeid)
            following = order[at + 1] if at + 1 < len(order) else None
            signal.alarm(int(PATIENCE * (1 + self._seconds[item.nodeid])))
            began = time.monotonic()
            with _watched(change is None) as functions:
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            seconds[item.nodeid], entered[item.nodeid] = time.monotonic() - began, sorted(functions)
            if self._session.testsfailed:
                return
        signal.alarm(0)
        _tell(pipe, [seconds, entered])


@contextmanager
def _watched(really: bool) -> Iterator[set[tuple[str, str]]]:
    """The functions of the project, as file and name, that are entered meanwhile."""
    found: set[tuple[str, str]] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and PACKAGE in frame.f_code.co_filename:
            found.add((frame.f_code.co_filename, frame.f_code.co_name))

    if really:
        sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


def _tell(pipe: int, what: object) -> None:
    line = json.dumps(what).encode() + b"\n"
    while line:
        line = line[os.write(pipe, line) :]


def apply(path: Path, mutant: Mutant) -> None:
    """Put a mutant's functions and constants in the place of the real ones, wherever they were imported to."""
    name = ".".join(path.with_suffix("").parts)
    real, changed = sys.modules[name], ModuleType(name)
    changed.__dict__.update(__file__=real.__file__, __package__=real.__package__)
    exec(compile(mutant.tree(), str(path), "exec"), changed.__dict__)
    _exchange(real.__dict__, changed.__dict__)
    for key, value in list(real.__dict__.items()):
        new = changed.__dict__.get(key)
        if isinstance(value, int | tuple | dict) and type(value) is type(new) and value != new:
            for module in list(sys.modules.values()):
                if getattr(module, "__dict__", {}).get(key) is value or (isinstance(value, int) and _has(module, key, value)):
                    module.__dict__[key] = new


def _has(module: ModuleType, key: str, value: object) -> bool:
    named = getattr(module, "__name__", "")
    return named.startswith(("emulator", "tests")) and module.__dict__.get(key) == value


def _exchange(real: Any, changed: Any) -> None:
    for key, value in list(real.items()):
        new = changed.get(key)
        value, new = getattr(value, "__wrapped__", value), getattr(new, "__wrapped__", new)
        if isinstance(value, FunctionType) and isinstance(new, FunctionType) and value.__module__ == new.__module__:
            value.__code__ = new.__code__
        elif isinstance(value, type) and isinstance(new, type) and value is not new:
            _exchange(vars(value), vars(new))
