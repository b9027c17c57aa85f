"""Files that are there whole or not at all: written beside the target, then renamed over it."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from emulator.errors import CaptureError

_WAYS_OUT = {
    errno.ENOENT: "make the folder first",
    errno.ENOTDIR: "make the folder first",
    errno.EISDIR: "name a file in it",
    errno.EACCES: "choose a place you may write to",
    errno.EPERM: "choose a place you may write to",
    errno.EROFS: "choose a place you may write to",
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """An open binary file whose content becomes that of ``path`` when the block ends well.

    Until then, and if the block raises, ``path`` keeps the content it had.  A link is followed and the permissions of
    the old file are kept.  What is not a regular file (a pipe, /dev/stdout) is written as it goes.

    Raises
    ------
    CaptureError : the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written(f"{folder}/flows.json") as file:
    ...         _ = file.write(b"{}")
    ...     pathlib.Path(folder, "flows.json").read_bytes()
    b'{}'
    """
    name = os.fspath(path)
    ours: set[object] = {None, name}
    with _troubles_of(name, ours):
        mode = _mode_of(name)
        if mode and not stat.S_ISREG(mode):
            with open(name, "wb") as file:
                yield file
            return
        target = os.path.realpath(name)
        temporary = os.path.join(os.path.dirname(target), f".{secrets.token_hex(8)}.tmp")
        ours.add(temporary)
        with open(temporary, "xb") as file:
            try:
                yield file
                file.close()
                _rename(temporary, target, mode)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise


class Unfinished:
    """An output that outlives its process: it grows beside its place, and whoever goes on with it later may finish it.

    Parameters
    ----------
    path : the place
    part : name of the growing file beside it
    length : bytes of it that count; what stands behind them is cut off.  0 begins it

    Raises
    ------
    CaptureError : it cannot be written, or the place is a pipe or the like.
    """

    def __init__(self, path: str | os.PathLike[str], part: str, length: int) -> None:
        self._name = os.fspath(path)
        self._target = os.path.realpath(self._name)
        self._part = os.path.join(os.path.dirname(self._target), part)
        with _troubles_of(self._name, {None, self._name, self._part}):
            self._mode = _mode_of(self._name)
            if self._mode and not stat.S_ISREG(self._mode):
                raise CaptureError(f"{self._name}: is no regular file, so nothing could go on behind an interruption; name a file")
            self.file: BinaryIO = open(self._part, "r+b" if length else "wb")  # noqa: SIM115
            self.file.truncate(length)
            self.file.seek(length)

    @staticmethod
    def holds(path: str | os.PathLike[str], part: str, length: int) -> bool:
        """Whether so many bytes are there to go on behind."""
        try:
            return length == 0 or os.path.getsize(os.path.join(os.path.dirname(os.path.realpath(path)), part)) >= length
        except OSError:
            return False

    def length(self) -> int:
        """Bytes that another process would find now."""
        self.file.flush()
        return self.file.tell()

    def finish(self) -> None:
        """Put it in its place."""
        with _troubles_of(self._name, {None, self._name, self._part}):
            self.file.close()
            _rename(self._part, self._target, self._mode)


@contextmanager
def _troubles_of(name: str, ours: set[object]) -> Iterator[None]:
    """Turn troubles with some files into an error that a person can read."""
    if "\0" in name:
        raise CaptureError(f"{name!r}: cannot be written: embedded null byte; choose another name")
    try:
        yield
    except OSError as error:
        if error.filename not in ours:  # another file's trouble, met inside the block
            raise
        way_out = _WAYS_OUT.get(error.errno or 0, "choose another place")
        raise CaptureError(f"{name}: cannot be written: {error.strerror or error}; {way_out}") from None


def _mode_of(name: str) -> int:
    """Kind and permissions of a file that may be written to; 0 if there is none."""
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError:
        return 0
    if stat.S_ISREG(mode) and not os.access(name, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return mode


def _rename(temporary: str, target: str, mode: int) -> None:
    if mode:
        os.chmod(temporary, stat.S_IMODE(mode))
    os.replace(temporary, target)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a place that cannot be written to before any work is done for it.

    Raises
    ------
    CaptureError : its folder is missing or closed, or it is a folder itself.
    """
    folder = os.path.dirname(os.path.abspath(path))
    for wrong, why in (
        (os.path.isdir(path), "it is a folder; name a file in it"),
        (not os.path.isdir(folder), "No such file or directory; make the folder first"),
        (not os.access(folder, os.W_OK), "Permission denied; choose a place you may write to"),
    ):
        if wrong:
            raise CaptureError(f"{os.fspath(path)}: cannot be written: {why}")


def check_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a folder that cannot be made or filled before any work is done for it; nothing is made yet.

    Raises
    ------
    CaptureError : it is a file, or it or the folder above is missing or closed.
    """
    if os.path.isdir(path):
        check_writable(os.path.join(path, "file"))
    elif os.path.lexists(path):
        raise CaptureError(f"{os.fspath(path)}: cannot be written: it is a file; name a folder")
    else:
        check_writable(path)
