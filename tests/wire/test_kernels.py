"""What kernels promise: plain functions until asked, the same numbers compiled, and a cache that is never stale."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from emulator import kernels
from emulator.kernels import available, cache_folder, compiled, kernel, prefetch
from emulator.wire.headers import is_icmp_error
from emulator.wire.integers import be16, be32, be64, le32
from tests.conftest import COMPILING

PROJECT = Path(kernels.__file__).parents[1]


def run(code, **variables):
    """What a fresh Python prints that runs some code beside the project."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")} | variables
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def project_copy(tmp_path):
    """A copy of the package's kernels that may be edited, and a way to load its `kernels` module afresh."""
    package = tmp_path / "emulator"
    for part in ("wire", "hosts"):
        shutil.copytree(PROJECT / "emulator" / part, package / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "emulator" / "kernels.py", package)

    def load():
        spec = importlib.util.spec_from_file_location("kernels_of_a_copy", package / "kernels.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return package, load


def test_importing_kernels_loads_no_numba():
    """Neither the kernels' module nor a module of kernels costs the import of numba."""
    code = "import emulator.kernels, emulator.wire.headers, sys; print(emulator.kernels.available(), 'numba' in sys.modules)"
    assert run(code) == ["True", "False"]


def test_kernel_leaves_the_function_as_it_is():
    """The decorator gives the very function."""

    def double(number):
        return 2 * number

    try:
        assert kernel(double) is double
    finally:
        kernels._KERNELS.remove(double)


def load_16(buffer, at):
    return be16(buffer, at)


def load_32(buffer, at):
    return be32(buffer, at)


def load_64(buffer, at):
    return be64(buffer, at)


def load_little(buffer, at):
    return le32(buffer, at)


@pytest.mark.parametrize(
    ("function", "size", "order"),
    [
        pytest.param(load_16, 2, "big", id="two bytes"),
        pytest.param(load_32, 4, "big", id="four bytes"),
        pytest.param(load_64, 8, "big", id="eight bytes, signed"),
        pytest.param(load_little, 4, "little", id="four bytes, the least significant first"),
    ],
)
def test_loads_are_the_same_numbers_compiled(function, size, order):
    """One instruction of machine code and the interpreter agree on every byte pattern tried, up to all bits set, at odd offsets too."""
    machine = compiled(function)
    for pattern in (bytes(8), b"\xff" * 8, b"\x80" + bytes(7), b"\x7f" + b"\xff" * 7, bytes(range(1, 9))):
        for before in (b"", b"\x5a", b"\xa5" * 3):
            buffer = np.frombuffer(before + pattern, dtype=np.uint8)
            expected = int.from_bytes(pattern[:size], order, signed=size == 8)
            assert machine(buffer, len(before)) == function(buffer, len(before)) == expected


def fetching(matrix, rows):
    total = 0
    for row in range(rows):
        prefetch(matrix, row + 1, 1)
        total += matrix[row, 1]
    return total


def test_a_fetch_ahead_changes_nothing():
    """Compiled and interpreted, asking for a row to come, and for one past the end, gives the sum of what is there."""
    matrix = np.arange(200, dtype=np.int64).reshape(100, 2)
    assert compiled(fetching)(matrix, 100) == fetching(matrix, 100) == matrix[:, 1].sum()


def test_compiled_gives_one_function_a_kernel():
    """Asking twice compiles once."""
    assert compiled(is_icmp_error) is compiled(is_icmp_error)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("1", ["True", "False", "False"], id="switched off, it is the plain function and numba is not loaded"),
        pytest.param("0", ["False", "True", "True"], id="a zero leaves it on"),
    ],
)
def test_numba_disable_jit(tmp_path, value, expected):
    """`NUMBA_DISABLE_JIT` decides whether `compiled` compiles."""
    code = (
        "import sys; from emulator.kernels import compiled, is_cached; from emulator.wire.headers import is_icmp_error as plain\n"
        "given = compiled(plain); assert given(1, 3) and not given(1, 8)\n"
        "print(given is plain, 'numba' in sys.modules, is_cached(plain))"
    )
    assert run(code, NUMBA_DISABLE_JIT=value, VPCEMU_CACHE=str(tmp_path)) == expected


@pytest.mark.parametrize("value", ["", "0", "1", "yes"])
def test_available_reads_the_switch_anew(monkeypatch, value):
    """Empty and zero mean on, all else off; no restart is needed."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", value)
    assert available() == (value in ("", "0"))


def test_no_test_switches_compiling_off_for_the_others():
    """The switch stands as whoever started the tests left it, so that no comparison with compiled code is skipped in silence."""
    assert os.environ.get("NUMBA_DISABLE_JIT") == COMPILING


def test_compiled_code_is_kept_for_the_next_run(tmp_path):
    """A second Python finds the first one's machine code on disk, in the folder of this version."""
    code = (
        "from emulator.kernels import cache_folder, compiled, is_cached; from emulator.wire.headers import is_icmp_error\n"
        "print(cache_folder().name, is_cached(is_icmp_error)); compiled(is_icmp_error)(1, 3)"
    )
    name, before = run(code, VPCEMU_CACHE=str(tmp_path))
    again, after = run(code, VPCEMU_CACHE=str(tmp_path))
    assert (before, after) == ("False", "True")
    assert name == again
    assert [folder.name for folder in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        pytest.param("wire/headers.py", True, id="a kernel's source names another cache"),
        pytest.param("wire/addresses.py", True, id="so does a constant's module beside it"),
        pytest.param("kernels.py", True, id="so does the compiling itself"),
        pytest.param("hosts/__init__.py", False, id="a module without kernels does not"),
    ],
)
def test_cache_folder_is_named_by_the_sources(project_copy, monkeypatch, tmp_path, file, changes):
    """A changed kernel never meets machine code of another version."""
    monkeypatch.setenv("VPCEMU_CACHE", str(tmp_path / "cache"))
    package, load = project_copy
    first, same = load().cache_folder(), load().cache_folder()
    assert first == same
    assert first.parent == tmp_path / "cache"
    with (package / file).open("a") as source:
        source.write("\n# changed\n")
    assert (load().cache_folder() != first) == changes


def test_bounds_checked_code_has_its_own_cache(project_copy, monkeypatch, tmp_path):
    """Code compiled with bounds checks and code without never share a folder."""
    monkeypatch.setenv("VPCEMU_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMBA_BOUNDSCHECK", raising=False)
    _, load = project_copy
    unchecked = load().cache_folder()
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    assert load().cache_folder() != unchecked


def forbid_folders(monkeypatch, _base):
    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)


def forbid_files(monkeypatch, base):
    real = tempfile.TemporaryFile

    def refuse(*arguments, dir=None, **others):
        if dir is not None and Path(dir).is_relative_to(base):
            raise OSError(30, "Read-only file system", str(dir))
        return real(*arguments, dir=dir, **others)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(lambda _, base: base.write_text("in the way"), id="a file stands in the folder's place"),
        pytest.param(forbid_folders, id="no folder can be made"),
        pytest.param(forbid_files, id="no file can be written in it"),
    ],
)
def test_an_unwritable_cache_falls_back_to_a_temporary_folder(monkeypatch, tmp_path, trouble):
    """Compiling works without a home: the machine code goes to a private temporary folder."""
    base, temporary = tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("VPCEMU_CACHE", str(base))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with monkeypatch.context() as during:
        trouble(during, base)
        folder = cache_folder()
    assert folder.parent == temporary
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({"VPCEMU_CACHE": "own", "XDG_CACHE_HOME": "xdg"}, "own", id="its own variable comes first"),
        pytest.param({"XDG_CACHE_HOME": "xdg"}, "xdg/vpcemu", id="then the desktop's cache"),
        pytest.param({}, "home/.cache/vpcemu", id="then the home folder's"),
    ],
)
def test_where_the_cache_is(monkeypatch, tmp_path, variables, expected):
    """The cache's place can be chosen."""
    for name in ("VPCEMU_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert cache_folder().parent == tmp_path / expected
