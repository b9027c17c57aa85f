"""The bar of a long replay is right about the time left."""

import io
import re
import sys
from types import SimpleNamespace

import pytest

from emulator.bulk.progress import Progress


class Terminal(io.StringIO):
    """What a person sees."""

    def isatty(self):
        """It is one."""
        return True

    def left(self):
        """The time left that was told last."""
        return re.findall(r"<([\d:?]+)", self.getvalue())[-1]


@pytest.fixture
def clock(monkeypatch):
    """The bar's clock, in seconds."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("tqdm.std.time", lambda: clock.now)
    return clock


def test_what_it_takes_to_compile_is_not_expected_again(clock, monkeypatch):
    """The first windows wait for kernels; the time left is told from those that follow, and is right."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    reader, told = SimpleNamespace(size=10_000, position=0), []
    bar = Progress(reader)
    for seconds in (100, 20, 2, 2, 2, 2):
        clock.now += seconds
        reader.position += 1000
        bar.after_window()
        told.append(terminal.left())
    bar.close()
    assert told[:2] == ["?", "?"]
    assert [int(left.partition(":")[2]) for left in told[2:]] == pytest.approx([14, 12, 10, 8], abs=1)
    assert terminal.getvalue().endswith("\r")


def test_without_a_terminal_nothing_is_shown(clock, monkeypatch):
    """A log gets no bar."""
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    bar = Progress(SimpleNamespace(size=100, position=50))
    for _ in range(4):
        bar.after_window()
    bar.close()
    assert log.getvalue() == ""
