"""The mutants: what is changed and what is not, and that those listed as equal to the real thing still exist."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.mutation.__main__ import SURVIVORS
from tests.mutation.mutants import mutants


def changes(tmp_path: Path, source: str) -> list[str]:
    """What becomes of what in a module."""
    path = tmp_path / "module.py"
    path.write_text(source)
    return [mutant.title for mutant in mutants(path)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", [": `a < b` → `a <= b`"]),
        ("a in b", [": `a in b` → `a not in b`"]),
        ("a & b", [": `a & b` → `a | b`"]),
        ("not a", [": `not a` → `a`"]),
        ("a and b", [": `a and b` → `a or b`"]),
        ("a[b] = c", [": `a[b] = c` → `pass`"]),
        ("a()", [": `a()` → `pass`"]),
        ("a += b", [": `a += b` → `a -= b`", ": `a += b` → `pass`"]),
        ("def f():\n    return -1", ["f, in `-1`: `1` → `2`"]),
        ("class C:\n    def f(self):\n        return a if b else c", ["C.f: `a if b else c` → `a if not b else c`"]),
        ("class C(IntEnum):\n    A = 1", []),
        ('"""Words."""\nx: int\n', []),
        ('f"a" + b', []),
    ],
)
def test_what_is_changed(tmp_path, source, expected):
    """Each kind of decision has its mutants; names, texts and enumerations have none."""
    assert changes(tmp_path, source) == expected


def test_a_mutant_is_the_module_with_one_change(tmp_path):
    """The rest of the module stays as it is."""
    path = tmp_path / "module.py"
    path.write_text("x = 1\ny = a < b\n")
    assert [ast.unparse(mutant.tree()).splitlines() for mutant in mutants(path)] == [["x = 2", "y = a < b"], ["x = 1", "y = a <= b"]]


def test_the_survivors_listed_exist():
    """Each line of survivors.md is about a mutant that there is."""
    listed = re.findall(r"^\| (\w+\.py) \| (.*) \| [^|]* \|$", SURVIVORS.read_text(encoding="utf-8"), flags=re.M)
    names = {name for name, _ in listed}
    titles = {name: {mutant.title for path in (ROOT / "emulator").rglob(name) for mutant in mutants(path)} for name in names}
    assert len(listed) > 5
    assert [(name, title) for name, title in listed if title not in titles[name]] == []
