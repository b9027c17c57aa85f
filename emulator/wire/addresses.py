"""Addresses as two signed halves of 128 bits, IPv4 mapped (::ffff:a.b.c.d); blocks as net and mask."""

from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

_HALF = 1 << 64
_MAPPED = 0xFFFF << 32
_MASK_64 = _HALF - 1


class Halves(NamedTuple):
    """The high and the low 64 bits, as signed integers."""

    hi: int
    lo: int


def _signed(value: int) -> int:
    return value - _HALF if value >= 1 << 63 else value


def _split(value: int) -> Halves:
    return Halves(_signed(value >> 64), _signed(value & _MASK_64))


def halves(address: IPv4Address | IPv6Address | str) -> Halves:
    """The two halves of an address.

    Examples
    --------
    >>> halves("10.0.0.1")
    Halves(hi=0, lo=281470849515521)

    Raises
    ------
    ValueError : not an address.
    """
    known = ip_address(address) if isinstance(address, str) else address
    return Halves(0, _MAPPED | int(known)) if isinstance(known, IPv4Address) else _split(int(known))


def address(family: int, hi: int, lo: int) -> IPv4Address | IPv6Address:
    """The address of two halves; ``family`` is 4 or 6.

    Examples
    --------
    >>> str(address(4, *halves("10.0.0.1"))), str(address(6, *halves("2001:db8::1")))
    ('10.0.0.1', '2001:db8::1')
    """
    if family == 4:
        return IPv4Address(int(lo) & 0xFFFFFFFF)
    return IPv6Address(((int(hi) & _MASK_64) << 64) | (int(lo) & _MASK_64))


def net_and_mask(block: IPv4Network | IPv6Network) -> tuple[int, int, int, int]:
    """Halves of a block's first address and of its mask: (net hi, net lo, mask hi, mask lo)."""
    return (*halves(block.network_address), *_mask(block.prefixlen + (96 if block.version == 4 else 0)))


@cache
def _mask(length: int) -> Halves:
    """Halves of the mask that leaves so many bits of 128."""
    return _split(((1 << length) - 1) << (128 - length))
