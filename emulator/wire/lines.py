"""Lines of JSON that begin with a packet's index and time, written as bytes."""

from emulator.kernels import kernel
from emulator.wire.headers import Matrix
from emulator.wire.integers import Bytes

_INDEX = tuple(b'{"index": ')
_TIME = tuple(b', "time_ns": ')
_REST = tuple(b", ")
_MINUS, _ZERO = ord("-"), ord("0")


@kernel
def write_number(out: Bytes, at: int, number: int) -> int:
    """Write an integer in decimal; gives the place behind it."""
    if number < 0:
        out[at] = _MINUS
        at += 1
        number = -number
    digits, rest = 1, number // 10
    while rest > 0:
        digits += 1
        rest //= 10
    for place in range(digits):
        out[at + digits - 1 - place] = _ZERO + number % 10
        number //= 10
    return at + digits


@kernel
def write_lines(numbers: Matrix, ends: Bytes, places: Matrix, out: Bytes) -> int:
    """Write a line for each row; gives the number of bytes.

    Parameters
    ----------
    numbers : (n, 3) int64, columns index, time in ns, kind of its end
    ends : what lines share: everything behind the time, one kind after another
    places : (k, 2) int64, where each kind stands in ``ends``, and its length
    """
    at = 0
    for row in range(numbers.shape[0]):
        for sign in _INDEX:
            out[at] = sign
            at += 1
        at = write_number(out, at, numbers[row, 0])
        for sign in _TIME:
            out[at] = sign
            at += 1
        at = write_number(out, at, numbers[row, 1])
        for sign in _REST:
            out[at] = sign
            at += 1
        start, length = places[numbers[row, 2], 0], places[numbers[row, 2], 1]
        for place in range(length):
            out[at + place] = ends[start + place]
        at += length
    return at
