"""Integers from bytes, in network order if not said otherwise; each byte is widened at the load."""

import numpy as np
import numpy.typing as npt

from emulator.kernels import kernel, load

Bytes = npt.NDArray[np.uint8]


@kernel
def byte(buffer: Bytes, at: int) -> int:
    """One byte, widened at the load."""
    return np.int64(buffer[at])  # type: ignore[return-value]


@load(16, "big")
def be16(buffer: Bytes, at: int) -> int:
    """Two bytes, most significant first."""
    return (byte(buffer, at) << 8) | byte(buffer, at + 1)


@load(32, "big")
def be32(buffer: Bytes, at: int) -> int:
    """Four bytes, most significant first."""
    return (be16(buffer, at) << 16) | be16(buffer, at + 2)


@load(64, "big")
def be64(buffer: Bytes, at: int) -> int:
    """Eight bytes, most significant first, as a signed integer."""
    high = be32(buffer, at)
    if high >= 1 << 31:
        high -= 1 << 32
    return (high << 32) | be32(buffer, at + 4)


@load(32, "little")
def le32(buffer: Bytes, at: int) -> int:
    """Four bytes, least significant first."""
    return byte(buffer, at) | (byte(buffer, at + 1) << 8) | (byte(buffer, at + 2) << 16) | (byte(buffer, at + 3) << 24)
