"""Labs: exercises that check themselves, by sending packets through what the student built.

    lab = Lab("The office gets in")
    lab.allow("office-pc", "web-1", "SSH", points=2, hint="a rule's source may be a prefix list")
    lab.deny("customer", "web-1", "SSH", points=2, hint="0.0.0.0/0 is everybody, the office too")
    lab.check(network).require()

A probe is a packet and its answer, sent through a copy of the student's network; it says which rule let through what
should not pass, or what stopped what should.  `only` makes a probe of every pair and service that is not listed: a
solution that opens too much fails on what nobody thought of.  Points are summed in a `Grade`, which can be written to
a CSV file; `require` raises an AssertionError that says what is missing, which is what nbgrader counts.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.errors import EmulatorError, UsageError
from emulator.model.entities import ExternalHost, Instance
from emulator.model.services import Service
from emulator.model.topology import INTERNET, Topology
from emulator.network import Network
from emulator.observe.explain import Explanation
from emulator.sheets import csv_text, html_table

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
PLACEHOLDER = "...  # YOUR CODE HERE"


@dataclass(frozen=True)
class Finding:
    """What one probe found.

    Attributes
    ----------
    passed : whether it is as it should be
    message : what is so, and where it is not, which packet shows it and why
    """

    name: str
    passed: bool
    points: float
    message: str

    @property
    def earned(self) -> float:
        """The points, or none."""
        return self.points if self.passed else 0.0


@dataclass(frozen=True)
class Grade:
    """All findings of a check."""

    lab: str
    findings: tuple[Finding, ...]

    @property
    def points(self) -> float:
        """Points earned."""
        return sum(finding.earned for finding in self.findings)

    @property
    def most(self) -> float:
        """Points that can be earned."""
        return sum(finding.points for finding in self.findings)

    @property
    def passed(self) -> bool:
        """Whether nothing is missing."""
        return all(finding.passed for finding in self.findings)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        head = f"{self.lab}: {self.points:g} of {self.most:g} points"
        rows = [
            f"  {'✓' if finding.passed else '✗'} {finding.name}{'' if finding.passed else ': ' + finding.message}"
            for finding in self.findings
        ]
        return "\n".join([head, *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = (
            ("✓" if one.passed else "✗", one.name, f"{one.earned:g} / {one.points:g}", "" if one.passed else one.message)
            for one in self.findings
        )
        caption = f"{self.lab}: {self.points:g} of {self.most:g} points"
        return html_table(caption, ["", "Probe", "Points", "What the packets say"], rows)

    def require(self) -> "Grade":
        """Itself if nothing is missing.

        Raises
        ------
        AssertionError : says what is missing.
        """
        if not self.passed:
            raise AssertionError(str(self))
        return self

    def csv(self, student: str = "", head: bool = True) -> str:
        """The findings as CSV text, a row a probe; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
        table = [["student", "lab", "probe", "points", "of", "message"]] if head else []
        for one in self.findings:
            table.append([student, self.lab, one.name, f"{one.earned:g}", f"{one.points:g}", "" if one.passed else one.message])
        return csv_text(table)

    def to_csv(self, path: str | os.PathLike[str], student: str = "") -> None:
        """Append a row a probe: student, lab, probe, points, of, message; the head is written to a new file.

        Raises
        ------
        UsageError : the file cannot be written.
        """
        try:
            new = not Path(path).exists()
            with open(path, "a", newline="", encoding="utf-8") as file:
                file.write(self.csv(student, head=new))
        except OSError as trouble:
            raise UsageError(f"{path}: {trouble.strerror}; name a file that can be written") from None


Probe = Callable[[Network], tuple[bool, str]]
Student = Network | Topology | str | os.PathLike[str]


@dataclass
class Lab:
    """A lab: its name, its probes, and what they say must pass: (source, destination, service)."""

    name: str
    probes: list[tuple[str, float, str, Probe]] = field(default_factory=list)
    allowed: set[tuple[str, str, str]] = field(default_factory=set)

    def probe(self, name: str, test: Probe, points: float = 1, hint: str = "") -> "Lab":
        """Add a test of one's own: from the student's network to (whether it is right, what it found)."""
        self.probes.append((name, points, hint, test))
        return self

    def allow(self, source: str, destination: str, service: str, points: float = 1, hint: str = "") -> "Lab":
        """This must pass, and its answer come back."""
        self.allowed.add((source, destination, service.casefold()))
        return self.probe(f"{source} reaches {destination} {service}", _Reach(source, destination, service, True), points, hint)

    def deny(self, source: str, destination: str, service: str, points: float = 1, hint: str = "", because: str = "") -> "Lab":
        """This must not pass; ``because`` insists on the reason's code."""
        return self.probe(
            f"{source} does not reach {destination} {service}", _Reach(source, destination, service, False, because), points, hint
        )

    def only(
        self,
        allowed: Iterable[tuple[str, str, str]] = (),
        services: Iterable[str] = ("SSH", "HTTP", "HTTPS", "MSSQL", "MYSQL/Aurora", "tcp/8080", "udp/53", "ping"),
        sources: Iterable[str] | None = None,
        destinations: Iterable[str] | None = None,
        points: float = 1,
        hint: str = "",
    ) -> "Lab":
        """Nothing else passes: every source, destination and service is tried.

        Parameters
        ----------
        allowed : what may pass besides the probes that `allow` makes, before or after
        sources : left out: all machines and ``internet``
        destinations : left out: all instances
        """
        self.allowed.update((source, destination, service.casefold()) for source, destination, service in allowed)
        ends = tuple(sources) if sources is not None else None, tuple(destinations) if destinations is not None else None
        return self.probe("nothing else passes", _Only(self.allowed, tuple(services), *ends), points, hint)

    def answer(self, question: str, given: Any, expected: Any, points: float = 1, hint: str = "") -> "Lab":
        """A student's answer to a question must be this one (texts without regard to capitals and blanks)."""
        right = _folded(given) == _folded(expected)
        return self.probe(question, lambda network: (right, f"you said {given!r}"), points, hint)

    def check(self, student: Student) -> Grade:
        """Send all probes through what the student built: a network, a topology, or a topology file's text or path."""
        try:
            network = _network(student)
        except EmulatorError as trouble:
            lines = str(trouble).splitlines()
            message = lines[0] + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "")
            return Grade(self.name, tuple(Finding(name, False, points, message) for name, points, _, _ in self.probes))
        return Grade(self.name, tuple(self._find(network, *probe) for probe in self.probes))

    @staticmethod
    def stripped(text: str) -> str:
        """A notebook's source without its solutions; see `stripped`."""
        return stripped(text)

    @staticmethod
    def compare(prediction: "dict[Any, Any]", facts: "dict[Any, Any]") -> "Comparison":
        """A student's predictions beside what happened; nothing is graded by it."""
        return Comparison(
            tuple(
                (" → ".join(key) if isinstance(key, tuple) else str(key), str(prediction.get(key, "nothing")), str(fact))
                for key, fact in facts.items()
            )
        )

    @staticmethod
    def _find(network: Network, name: str, points: float, hint: str, test: Probe) -> Finding:
        try:
            passed, message = test(network)
        except EmulatorError as trouble:  # what is asked for does not exist in what the student built
            passed, message = False, str(trouble)
        if hint and not passed:
            message = f"{message}. Hint: {hint}"
        return Finding(name, passed, points, message)


@dataclass(frozen=True)
class Comparison:
    """Predictions beside facts: (what, predicted, found)."""

    rows: tuple[tuple[str, str, str], ...]

    @property
    def right(self) -> int:
        """How many predictions were right."""
        return sum(_folded(said) == _folded(found) for _, said, found in self.rows)

    def __str__(self) -> str:
        width = max((len(what) for what, _, _ in self.rows), default=0)
        lines = [
            f"{'right' if _folded(said) == _folded(found) else 'wrong'}  {what:<{width}}  you said {said}, it was {found}"
            for what, said, found in self.rows
        ]
        return "\n".join([*lines, f"{self.right} of {len(self.rows)} right"])

    __repr__ = __str__


@dataclass(frozen=True)
class _Reach:
    """Whether one end reaches another, through a copy of the network in which nothing has been said yet."""

    source: str
    destination: str
    service: str
    wanted: bool
    because: str = ""

    def __call__(self, network: Network) -> tuple[bool, str]:
        found = Network(network.topology).explain(self.source, self.destination, self.service)
        if found.reachable != self.wanted:
            return False, told(found)
        if self.because and (found.why is None or found.why.code != self.because):
            code = found.why.code if found.why is not None else found.answer
            return False, f"it does not pass, but for another reason: {code}, where {self.because} was asked for"
        return True, ""


@dataclass(frozen=True)
class _Only:
    """Every probe that is not listed fails."""

    listed: set[tuple[str, str, str]]
    services: tuple[str, ...]
    sources: tuple[str, ...] | None
    destinations: tuple[str, ...] | None

    def __call__(self, network: Network) -> tuple[bool, str]:
        topology = network.topology
        instances = [topology.display(one.id) for one in topology.all(Instance)]
        outside = [topology.display(one.id) for one in topology.all(ExternalHost)]
        sources = self.sources or (*instances, *outside, INTERNET)
        fresh = Network(topology)
        leaks: list[Explanation] = []
        for source in sources:
            for destination in self.destinations or instances:
                for service in self.services:
                    if source == destination or (source, destination, service.casefold()) in self.listed:
                        continue
                    found = _asked(fresh, source, destination, service)
                    if found is not None and found.reachable:
                        leaks.append(found)
        if not leaks:
            return True, ""
        more = f"; {len(leaks) - 1} more like it" if len(leaks) > 1 else ""
        first = leaks[0]
        return False, f"{first.source} → {first.destination} {first.service}: {told(first)}{more}"


def _asked(network: Network, source: str, destination: str, service: str) -> Explanation | None:
    """An explanation; None where the ends have no addresses that could talk."""
    try:
        return network.explain(source, destination, service)
    except UsageError:
        return None


def told(found: Explanation) -> str:
    """What became of a probe, in a sentence: the packet, and the rule that let it in or the reason that stopped it."""
    packet = str(found.forward.sent)
    if found.reachable or found.why is None:
        rule = found.forward.rule
        by = f": {rule.name} ({Service(rule.rule.protocol, rule.rule.ports)}) let it in" if rule is not None else ""
        place = f", see {rule.place}" if rule is not None and rule.place else ""
        return f"{packet} arrives{by}{place}"
    which = "is lost" if found.forward.why is not None else "arrives, but its answer is lost"
    return f"{packet} {which} at {found.why.at}: {found.why.text} ({found.why.code})"


def _network(student: Student) -> Network:
    if isinstance(student, Network):
        return student
    if isinstance(student, str) and "\n" in student:
        from emulator.model.files import loads

        return Network(loads(student, "your topology"))
    if not isinstance(student, Topology | str | os.PathLike):
        raise UsageError(f"what was built is no network but {type(student).__name__}; give a network, a topology or its file")
    return Network(student if isinstance(student, Topology) else Path(student))


def _folded(value: Any) -> Any:
    return " ".join(value.split()).casefold() if isinstance(value, str) else value


def stripped(text: str) -> str:
    """A notebook's source without its solutions: what a student gets.

    Each stretch between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` becomes one line that says where to write.

    Raises
    ------
    UsageError : a mark without its partner.

    Examples
    --------
    >>> print(stripped("a = 1\\n### BEGIN SOLUTION\\na = 2\\n### END SOLUTION\\nprint(a)"))
    a = 1
    ...  # YOUR CODE HERE
    print(a)
    """
    kept: list[str] = []
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        mark = line.strip()
        if mark in (BEGIN, END):
            if (mark == BEGIN) == inside:
                raise UsageError(f"line {number}: {mark} without its partner")
            inside = mark == BEGIN
            if inside:
                kept.append(line[: len(line) - len(line.lstrip())] + PLACEHOLDER)
        elif not inside:
            kept.append(line)
    if inside:
        raise UsageError(f"{BEGIN} without its partner {END}")
    return "\n".join(kept)
