"""Integer nanoseconds, and the quantities with units that people write."""

import re
from decimal import Decimal

NS_PER_SECOND = 1_000_000_000

_DURATION = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "min": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}
_RATE = {"bps": 1, "kbps": 10**3, "mbps": 10**6, "gbps": 10**9, "tbps": 10**12}
_SIZE = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ%]*)\s*")


def _quantity(text: str, units: dict[str, int], what: str, example: str) -> int:
    match = _QUANTITY.fullmatch(text)
    unit = match.group(2).lower() if match else ""
    if match is None or unit not in units:
        raise ValueError(f'"{text}" is not a {what}; write a number and a unit, such as {example}')
    value = int(Decimal(match.group(1)) * units[unit])
    if value >= 2**62:
        raise ValueError(f'"{text}" is too large for a {what}')
    return value


def parse_duration(text: str) -> int:
    """Nanoseconds of a time with its unit.

    Examples
    --------
    >>> parse_duration("40ms")
    40000000
    >>> parse_duration("1.5s")
    1500000000
    """
    return _quantity(text, _DURATION, "time", "40ms or 2s")


def parse_rate(text: str) -> int:
    """Bits a second of a rate with its unit.

    Examples
    --------
    >>> parse_rate("50Mbps")
    50000000
    """
    return _quantity(text, _RATE, "rate", "50Mbps")


def parse_size(text: str) -> int:
    """Bytes of a size with its unit (KB is 1,000 bytes, KiB is 1,024).

    Examples
    --------
    >>> parse_size("64KB")
    64000
    """
    return _quantity(text, _SIZE, "size", "64KB")


def parse_chance(text: str) -> int:
    """Parts in a thousand million of a share in per cent.

    Examples
    --------
    >>> parse_chance("0.1%")
    1000000
    """
    chance = _quantity(text, {"%": 10_000_000}, "chance", "0.1%")
    if chance > 10**9:
        raise ValueError(f'"{text}" is more than 100%')
    return chance


def format_time(now_ns: int) -> str:
    """Seconds with a unit that suits the size, for people.

    Examples
    --------
    >>> format_time(40_000_000), format_time(2_500_000_000), format_time(1_400_000 * 10**9)
    ('40 ms', '2.5 s', '1,400,000 s')
    """
    for unit, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if abs(now_ns) >= size:
            number = now_ns / size
            return f"{number:,.0f} {unit}" if abs(number) >= 100_000 else f"{number:.6g} {unit}"
    return f"{now_ns} ns"


def format_clock(time_ns: int) -> str:
    """A time of the run as hours, minutes, seconds and microseconds.

    Examples
    --------
    >>> format_clock(61_000_040_000)
    '00:01:01.000040'
    """
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest // 1000:06}"
