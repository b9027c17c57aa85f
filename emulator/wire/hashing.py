"""Hashes that fold in 32 bits and stay inside int64, so that compiled and interpreted runs agree."""

from emulator.kernels import kernel

_MULTIPLIER = 0x45D9F3B
_LOW = 0xFFFFFFFF


@kernel
def mix(state: int, value: int) -> int:
    """A hash of 32 bits extended by both halves of a 64-bit value."""
    state = ((state ^ (value & 0xFFFFFFFF)) * _MULTIPLIER) & 0xFFFFFFFF
    state ^= state >> 16
    state = ((state ^ ((value >> 32) & 0xFFFFFFFF)) * _MULTIPLIER) & 0xFFFFFFFF
    return state ^ (state >> 15)


@kernel
def spread(a: int, b: int, c: int, d: int, e: int) -> int:
    """A hash of 32 bits of five 64-bit values; its parts do not wait for each other, so it is quicker than five times `mix`."""
    first = ((a ^ (a >> 32)) & _LOW) * 0x3C6EF373
    second = ((b ^ (b >> 32)) & _LOW) * 0x2545F491
    third = ((c ^ (c >> 32)) & _LOW) * 0x1B873593
    fourth = ((d ^ (d >> 32)) & _LOW) * 0x5851F42D
    fifth = ((e ^ (e >> 32)) & _LOW) * 0x4C957F2D
    state = first ^ (second >> 3) ^ (third >> 7) ^ (fourth >> 11) ^ (fifth >> 15)
    state = (state ^ (state >> 29)) & _LOW
    return mix(0, state)
