"""Hashes that fold in 32 bits and stay inside int64, so that compiled and interpreted runs agree."""

from emulator.kernels import kernel

_MULTIPLIER = 0x45D9F3B


@kernel
def mix(state: int, value: int) -> int:
    """A hash of 32 bits extended by both halves of a 64-bit value."""
    state = ((state ^ (value & 0xFFFFFFFF)) * _MULTIPLIER) & 0xFFFFFFFF
    state ^= state >> 16
    state = ((state ^ ((value >> 32) & 0xFFFFFFFF)) * _MULTIPLIER) & 0xFFFFFFFF
    return state ^ (state >> 15)
