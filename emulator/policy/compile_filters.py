"""Rules → the slots in which they stand (see `filters`).

A rule may stand in a slot too many, never in one too few: a wide range of ports and a wide block stand everywhere.
"""

from collections.abc import Sequence

import numpy as np

from emulator.policy.filters import BITS, SLOTS, network_slot, port_slot, words_of
from emulator.policy.tables import ALL_PROTOCOLS
from emulator.wire.headers import TCP, UDP, Matrix

Slots = Sequence[int]
EVERYWHERE: Slots = range(SLOTS)
NOWHERE: Slots = ()
_56_BITS = (1 << 56) - 1
_WORD = (1 << BITS) - 1


def service_slots(protocol: int, first: int, last: int) -> Slots:
    """The port slots of a protocol and its ports."""
    if protocol not in (TCP, UDP):
        return EVERYWHERE if protocol == ALL_PROTOCOLS else (port_slot(protocol, 0),)
    return EVERYWHERE if last - first + 1 >= SLOTS else [port_slot(protocol, port) for port in range(first, last + 1)]


def block_slots(family: int, net_hi: int, net_lo: int, mask_hi: int, mask_lo: int) -> Slots:
    """The address slots of a block."""
    if family == 4:
        network, free = (net_lo & 0xFFFFFFFF) >> 8, (~mask_lo >> 8) & 0xFFFFFF
    else:
        network, free = net_hi >> 8, (~mask_hi >> 8) & _56_BITS
    # ``free`` are the bits of a slot's network that may be anything: 0, 1, 3, 7, …
    return EVERYWHERE if free >= SLOTS else [network_slot(network + offset) for offset in range(free + 1)]


def filter_rows(services: Sequence[Slots], peers: Sequence[Slots]) -> Matrix:
    """The rows of ``filters`` of one direction, of whose rules these are the port slots and the address slots."""
    marks = *_marks(services), *_marks(peers)
    shifts = [word * BITS for word in range(words_of(len(services)))]
    return np.array([mark >> shift & _WORD for mark in marks for shift in shifts], dtype=np.int64)[:, None]


def _marks(rules: Sequence[Slots]) -> list[int]:
    """For each slot the rules that stand in it, a bit a rule."""
    marks, everywhere = [0] * SLOTS, 0
    for number, slots in enumerate(rules):
        if slots is EVERYWHERE:
            everywhere |= 1 << number
        else:
            for slot in slots:
                marks[slot] |= 1 << number
    return [mark | everywhere for mark in marks]
