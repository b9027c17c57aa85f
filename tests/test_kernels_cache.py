"""The cache of compiled kernels among several processes, and where there is no place for one."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from emulator import kernels
from emulator.wire.integers import be32

PROJECT = Path(kernels.__file__).parents[1]
USE = """
import sys
import numpy as np
from emulator import kernels
from emulator.wire.integers import be32, be64
kernels._numba()  # the longest part of the start, so that all come to compile at one time
print("ready", kernels.__file__, flush=True)
sys.stdin.readline()
buffer = np.arange(1, 9, dtype=np.uint8)
print(*(kernels.compiled(kernel)(buffer, 0) for kernel in (be32, be64)))
"""
RIGHT = f"{0x01020304} {0x0102030405060708}"


class User:
    """A fresh Python that compiles two small kernels when it is told to."""

    def __init__(self, folder, **variables):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_", "VPCEMU_"))}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-c", USE], cwd=folder, env=environment | variables, text=True, **pipes
        )  # -B: Python itself writes nothing beside the sources
        _, self.module = self.process.stdout.readline().split()

    def go(self):
        """Tell it to."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        """What it printed, and what it said on stderr."""
        printed, said = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, said
        return printed.strip(), said.splitlines()


def use(folder, **variables):
    """One process, from its start to its end."""
    user = User(folder, **variables)
    user.go()
    return user.end()


def code_in(folder):
    """Every file of a folder with its time of writing."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def test_processes_that_compile_at_once_share_the_work(tmp_path):
    """Of three that come at once to an empty cache one compiles each kernel, all compute right, and the next run finds all."""
    users = [User(PROJECT, VPCEMU_CACHE=str(tmp_path)) for _ in range(3)]
    for user in users:
        user.go()
    printed, said = zip(*(user.end() for user in users), strict=True)
    assert printed == (RIGHT,) * 3
    compiled = sorted(line for lines in said for line in lines if line.startswith("compiling"))
    assert compiled == [f"compiling the kernel {name}, once for this version …" for name in ("be32", "be64")]
    before = code_in(tmp_path)
    assert sorted(path.suffix for path in before) == [".nbc", ".nbc", ".nbi", ".nbi"]
    assert use(PROJECT, VPCEMU_CACHE=str(tmp_path)) == (RIGHT, [])
    assert code_in(tmp_path) == before


def test_who_waits_for_another_process_says_so(tmp_path):
    """A process that finds the cache's lock held for what it needs says why nothing happens, and goes on when it can."""
    fcntl = pytest.importorskip("fcntl")
    user = User(PROJECT, VPCEMU_CACHE=str(tmp_path))
    (folder,) = tmp_path.iterdir()
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        user.go()
        assert user.process.stderr.readline() == "waiting for kernels that another process compiles …\n"
    assert user.end()[0] == RIGHT


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """Then kernels are compiled all the same; the files of the cache are still replaced whole."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(kernels, "_folder", lambda: tmp_path)
    monkeypatch.setattr(fcntl, "flock", refuse)
    with kernels._alone(be32):
        assert (tmp_path / "lock").is_file()


def test_an_installation_that_cannot_be_written_and_no_home(tmp_path):
    """Then what is compiled serves one run, which says so; nothing is written beside the package, and nothing stays behind."""
    package, temporary, home = tmp_path / "emulator", tmp_path / "temporary", tmp_path / "home"
    shutil.copytree(PROJECT / "emulator", package, ignore=shutil.ignore_patterns("__pycache__"))
    before = code_in(package)
    for folder in (package, *(path for path in package.rglob("*") if path.is_dir())):
        folder.chmod(0o555)
    temporary.mkdir()
    home.write_text("no folder, so that root cannot write it either")
    try:
        user = User(tmp_path, HOME=str(home), TMPDIR=str(temporary))
        assert Path(user.module).parent == package
        user.go()
        printed, said = user.end()
    finally:
        for folder in (package, *(path for path in package.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
    assert printed == RIGHT
    why = f"for this run only, as {home}/.cache/vpcemu cannot be written (VPCEMU_CACHE names another folder)"
    assert said == [f"compiling the kernel {name}, {why} …" for name in ("be32", "be64")]
    assert code_in(package) == before
    assert list(temporary.iterdir()) == []


def test_a_cache_that_can_only_be_read_is_used(tmp_path, monkeypatch):
    """What was compiled before the cache became read-only, in an image for instance, is not compiled again."""
    cache, temporary = tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("VPCEMU_CACHE", str(cache))
    kept = kernels.cache_folder() / "wire" / "integers.be32-9.nbc"
    kept.parent.mkdir()
    kept.write_bytes(b"machine code")
    real = tempfile.TemporaryFile

    def refuse(*arguments, dir=None, **others):
        if dir is not None and Path(dir).is_relative_to(cache):
            raise OSError(30, "Read-only file system", str(dir))
        return real(*arguments, dir=dir, **others)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    private = kernels.cache_folder()
    assert private.parent == temporary
    assert (private / "wire" / kept.name).read_bytes() == b"machine code"
