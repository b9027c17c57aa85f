"""Edits that are due at a time, between two events of a run (SG-53 to SG-59, NA-11)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from emulator.clock import format_time, parse_duration
from emulator.engine import FOREVER, Engine
from emulator.errors import UsageError
from emulator.model.topology import Topology

if TYPE_CHECKING:
    from emulator.runtime import Runtime


class ScheduledEdit(NamedTuple):
    """An edit that is due at a time: a function of a topology and its arguments."""

    at_ns: int
    change: Callable[..., Topology]
    arguments: tuple[Any, ...]


class Scheduling:
    """The part of a `Network` that lets time pass, and edits its topology when the time has come."""

    engine: Engine
    _runtime: "Runtime | None"
    _schedule: list[ScheduledEdit]

    def schedule(self, at: int | str, change: Callable[..., Topology], *arguments: Any) -> None:
        """Edit the topology at a time: ``schedule("5s", edits.revoke, "web", Direction.INGRESS, rule)``.

        What is due at the very time sees the edited topology; edits of one time happen in the order they were given.

        Parameters
        ----------
        at : ns since the run began, or text with a unit
        change : a function of a topology and of the arguments that gives the edited topology

        Raises
        ------
        UsageError : a time that is over.
        """
        at_ns, now_ns = parse_duration(at) if isinstance(at, str) else at, self.engine.now_ns
        if at_ns < now_ns:
            raise UsageError(f"an edit at {format_time(at_ns)} comes too late, it is {format_time(now_ns)} already; name a later time")
        self._schedule.append(ScheduledEdit(at_ns, change, arguments))
        self._schedule.sort(key=lambda edit: edit.at_ns)

    def advance(self, until_ns: int) -> None:
        """Let time pass, and everything happen that is due by then, scheduled edits too."""
        while self._schedule and self._schedule[0].at_ns <= until_ns:
            self._pass_time(max(self._schedule[0].at_ns - 1, self.engine.now_ns))
            self._edit_as_scheduled()
        self._pass_time(until_ns)

    def _pass_time(self, until_ns: int) -> None:
        if self._runtime is not None:
            self._runtime.run(until_ns)
        else:
            self.engine.advance(until_ns)

    def _edit_as_scheduled(self) -> None:
        due = self._schedule.pop(0)
        self.engine.edit(due.change(self.engine.topology, *due.arguments))
        if self._runtime is not None:
            self._runtime.edited()

    def _step(self) -> bool:
        """Let the next thing happen, and the edits that are due before it; False if nothing is left."""
        coming = self._coming_ns()
        while coming is not None and self._schedule and self._schedule[0].at_ns <= coming:
            self._edit_as_scheduled()
            coming = self._coming_ns()
        if coming is None:
            return False
        if self._runtime is not None:
            return self._runtime.run(limit=1)
        self.engine.advance(FOREVER, 1)
        return True

    def _coming_ns(self) -> int | None:
        return self.engine.next_time_ns() if self._runtime is None else self._runtime.next_time_ns()
