"""Sealed files: named matrices of int64 and a few words about them, which only whoever wrote them can have changed.

    magic │ bytes of the words │ words, JSON │ matrices, little-endian, one after another │ seal, 32 bytes

The seal is a keyed BLAKE2b over all before it.  Matrices of a state go into machine code that checks no index, so a
file that somebody else made, or that was cut or damaged, must not come that far.  The key is made once and kept in the
user's cache folder, beside the compiled kernels.
"""

import json
import os
import secrets
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, BinaryIO

import numpy as np

from emulator.errors import CaptureError, UsageError
from emulator.kernels import cache_base
from emulator.wire.atomic import written
from emulator.wire.headers import Matrix

MAGIC = b"vpcemu checkpoint 1\n"
SEAL_BYTES = KEY_BYTES = 32
_LENGTH_BYTES = 8


def write_sealed(path: str | os.PathLike[str], words: dict[str, Any], matrices: dict[str, Matrix]) -> None:
    """Write a sealed file, whole or not at all.

    Raises
    ------
    CaptureError : the file cannot be written.  UsageError : there is no place for a key.
    """
    shapes = [[name, *matrix.shape] for name, matrix in matrices.items()]
    head = json.dumps({"words": words, "matrices": shapes}).encode()
    seal = blake2b(key=_key(), digest_size=SEAL_BYTES)
    with written(path) as file:
        pieces: Iterable[Any] = (np.ascontiguousarray(matrix, dtype="<i8").reshape(-1) for matrix in matrices.values())
        for piece in (MAGIC, len(head).to_bytes(_LENGTH_BYTES, "little"), head, *pieces):
            seal.update(piece)
            file.write(piece)
        file.write(seal.digest())


def read_sealed(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Matrix]]:
    """What `write_sealed` wrote; nothing is made of it before the seal is found whole.

    Raises
    ------
    CaptureError : the file cannot be read, is none of these, or its seal is broken.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(len(MAGIC)) != MAGIC:
                raise CaptureError(f"{name}: is no checkpoint of this version of vpcemu; name another file, or delete it")
            if not _is_whole(file, size):
                raise CaptureError(f"{name}: is damaged, or was made by another user; delete it, or set VPCEMU_CACHE to theirs")
            return _parts(file)
    except (OSError, ValueError) as error:
        trouble = error.strerror if isinstance(error, OSError) else error
        raise CaptureError(f"{name}: cannot be read: {trouble}; check its name and permissions") from None


def _is_whole(file: BinaryIO, size: int) -> bool:
    seal = blake2b(MAGIC, key=_key(), digest_size=SEAL_BYTES)
    left = size - len(MAGIC) - SEAL_BYTES
    while left > 0:
        piece = file.read(min(left, 1 << 20))
        if not piece:
            return False
        seal.update(piece)
        left -= len(piece)
    return left == 0 and secrets.compare_digest(seal.digest(), file.read())


def _parts(file: BinaryIO) -> tuple[dict[str, Any], dict[str, Matrix]]:
    file.seek(len(MAGIC))
    head = json.loads(file.read(int.from_bytes(file.read(_LENGTH_BYTES), "little")))
    matrices = {}
    for name, *shape in head["matrices"]:
        count = int(np.prod(shape))
        matrices[name] = np.fromfile(file, "<i8", count).astype(np.int64, copy=False).reshape(shape)
    return head["words"], matrices


def _key() -> bytes:
    """The user's key, made when it is first needed."""
    path = cache_base() / "checkpoint.key"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = path.read_bytes()
            if len(key) != KEY_BYTES:
                raise UsageError(f"{path}: is no key of {KEY_BYTES} bytes; delete it, and with it all checkpoints") from None
            return key
        with open(number, "wb") as file:
            file.write(key := secrets.token_bytes(KEY_BYTES))
        return key
    except OSError as error:
        raise UsageError(f"{path}: no place for the key of checkpoints: {error.strerror}; set VPCEMU_CACHE to a folder of yours") from None
