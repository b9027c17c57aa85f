"""Kernels: plain functions on integers that mean the same interpreted and compiled.

``@kernel`` leaves a function as it is, so small work runs at once in the interpreter.  `compiled` gives the machine
code of an entry point and of every kernel that it calls; numba is imported only then.  Matrices reach machine code as
pointers (see `machine`).  The disk cache is a folder named by a digest of all kernel sources and of the versions that
shape the code, so a change in any kernel makes a new folder and two versions never share one; a lock lets one process
compile while others wait for its result.  Where no folder can be written, what is compiled serves one run.
``NUMBA_DISABLE_JIT=1`` makes `compiled` give the plain function, and ``NUMBA_BOUNDSCHECK=1`` gives machine code on
NumPy's own arrays that checks every index.
"""

import atexit
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_KERNELS: list[Callable[..., Any]] = []
_LOADS: dict[Callable[..., Any], tuple[int, str]] = {}
_USED: set[Callable[..., Any]] = set()
_PRIVATE = "vpcemu-kernels-"


def kernel(function: F) -> F:
    """The function itself, remembered as one that compiled code may call."""
    _KERNELS.append(function)
    return function


def load(bits: int, order: str) -> Callable[[F], F]:
    """A kernel that reads so many bits from bytes at an offset, in ``order`` ("big" or "little"): to `machine`, one instruction."""

    def remembered(function: F) -> F:
        _LOADS[function] = bits, order
        return function

    return remembered


def prefetch(matrix: Any, row: int, column: int) -> None:
    """Say that an element will be read soon: compiled code has its cache line fetched, and waits for nothing."""


def available() -> bool:
    """Whether kernels can be compiled here at all (no numba in a browser, or switched off by the user)."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return False
    from importlib.util import find_spec

    return find_spec("numba") is not None


@cache
def digest() -> str:
    """A name for this version of all kernels: their place and sources, Python, numba and the machine."""
    from importlib.metadata import version

    package = Path(__file__).parent
    state = hashlib.sha256(str(package).encode())  # numba keeps what was compiled for one place from another
    for source in sorted(package.rglob("*.py")):
        if source.parent.name in ("wire", "policy", "datapath") or source.parent == package:
            state.update(source.read_bytes())
    state.update(f"{sys.version}{version('numba')}{platform.machine()}{os.environ.get('NUMBA_BOUNDSCHECK', '')}".encode())
    return state.hexdigest()[:16]


def cache_base() -> Path:
    """The user's folder for what is kept between runs."""
    return Path(os.environ.get("VPCEMU_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vpcemu")


def cache_folder() -> Path:
    """Where compiled kernels are kept between runs.

    If that cannot be written, a private folder for this run alone, with what was compiled in the other before.
    """
    folder = cache_base() / f"kernels-{digest()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        private = Path(tempfile.mkdtemp(prefix=_PRIVATE))
        atexit.register(shutil.rmtree, private, ignore_errors=True)
        with suppress(OSError):
            shutil.copytree(folder, private, dirs_exist_ok=True)
        return private


@cache
def _folder() -> Path:
    """The cache folder of this process; a private one is made once."""
    return cache_folder()


@cache
def _numba() -> Any:
    import numba
    from numba.extending import register_jitable

    numba.config.CACHE_DIR = str(_folder())  # type: ignore[attr-defined]
    plain = [*_LOADS, prefetch]
    if not _checked():
        from emulator.machine import know_loads, know_prefetch

        know_loads(_LOADS)
        know_prefetch(prefetch)
        plain = []
    for function in [*_KERNELS, *plain]:
        # Only the entry point is called from outside; without counted references there is nothing to count.
        register_jitable(_nrt=_checked(), no_cfunc_wrapper=True)(function)
    return numba


def _checked() -> bool:
    return os.environ.get("NUMBA_BOUNDSCHECK", "0") not in ("", "0")


def compiled(function: F) -> F:
    """Machine code for a kernel; call it with the same arguments for the same result.

    The first call for a version compiles for some seconds, says so, and fills the disk cache; later runs load it.
    """
    if not available():
        return function
    _USED.add(function)
    return _compiled(function)  # type: ignore[return-value]


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    machine = _numba().njit(cache=True, nogil=True)(function)
    if _checked():
        return machine  # type: ignore[no-any-return]
    from emulator.machine import kind_of, passed

    entries: dict[tuple[Any, ...], Callable[..., Any]] = {}

    @wraps(function)
    def run(*arguments: Any) -> Any:
        given = [passed(argument) for argument in arguments]
        kinds = tuple([kind_of(argument) for argument in given])
        entry = entries.get(kinds)
        if entry is None:
            with _alone(function):
                if not is_cached(function):
                    _say(f"compiling the kernel {function.__name__}, {_how_long_kept()} …")
                machine.compile(kinds)
            # Called past the dispatcher, which looks at each argument anew and takes longer for it than a small kernel for its work.
            entry = entries[kinds] = machine.get_overload(kinds)
        return entry(*given)

    return run


def ready(value: Any) -> Any:
    """Matrices as compiled kernels take them, for who calls them again and again with the same ones."""
    if not available() or _checked():
        return value
    from emulator.machine import passed

    return passed(value)


COMPILE_FROM = 20_000
CACHED_FROM = 2_000


def pays(function: Callable[..., Any], work: int) -> bool:
    """Whether so many packets or rows are better done by machine code: many, or middling ones if it is on disk already."""
    return work >= CACHED_FROM and (function in _USED or (available() and (work >= COMPILE_FROM or is_cached(function))))


def _say(text: str) -> None:
    """Why it takes so long, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


def _how_long_kept() -> str:
    if _folder().name.startswith(_PRIVATE):
        return f"for this run only, as {cache_base()} cannot be written (VPCEMU_CACHE names another folder)"
    return "once for this version"


@contextmanager
def _alone(function: Callable[..., Any]) -> Iterator[None]:
    """Hold the cache folder's lock, so that two processes never write one piece of machine code at a time."""
    try:
        import fcntl
    except ImportError:  # Windows: numba's own replacing of whole files must do
        yield
        return
    with open(_folder() / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_cached(function):
                _say("waiting for kernels that another process compiles …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # a file system that knows no locks: as on Windows
            pass
        yield


def is_cached(function: Callable[..., Any]) -> bool:
    """Whether this version's machine code of a kernel is already on disk, so that using it costs no compilation."""
    module = function.__module__.rpartition(".")[2]
    return available() and any(_folder().rglob(f"{module}.{function.__name__}-*.nbc"))
