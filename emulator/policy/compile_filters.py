"""Rules → the slots in which they stand (see `filters`), whole columns at once.

A rule may stand in a slot too many, never in one too few: a wide range of ports and a wide block stand in all.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from emulator.policy.filters import BITS, SLOTS, network_slot, service_slot, words_of
from emulator.policy.tables import ALL_PROTOCOLS, PrefixBlock, RuleColumn
from emulator.wire.headers import TCP, UDP, Matrix

_service_slots: Callable[..., Any] = service_slot  # plain arithmetic, which takes whole columns as well
_network_slots: Callable[..., Any] = network_slot
Marks = npt.NDArray[np.bool_]
_56_BITS = (1 << 56) - 1


def port_marks(rules: Matrix) -> Marks:
    """The port slots of each rule: (n, SLOTS)."""
    protocol, first, last = rules[:, RuleColumn.PROTOCOL], rules[:, RuleColumn.FROM], rules[:, RuleColumn.TO]
    has_ports = (protocol == TCP) | (protocol == UDP)
    shown = np.where(has_ports, last - first + 1, 1)
    everywhere = (protocol == ALL_PROTOCOLS) | (shown >= SLOTS)
    rule, offset = _each(np.where(everywhere, 0, shown))
    marks = np.repeat(everywhere[:, None], SLOTS, axis=1)
    marks[rule, _service_slots(protocol[rule], np.where(has_ports, first, 0)[rule] + offset)] = True
    return marks


def address_marks(blocks: Matrix) -> Marks:
    """The address slots of each block, columns `PrefixBlock`: (n, SLOTS)."""
    family, net_hi, net_lo, mask_hi, mask_lo = (blocks[:, column] for column in PrefixBlock)
    network = np.where(family == 4, (net_lo & 0xFFFFFFFF) >> 8, net_hi >> 8)
    free = np.where(family == 4, (~mask_lo >> 8) & 0xFFFFFF, (~mask_hi >> 8) & _56_BITS)  # the bits of a network that may be anything
    everywhere = free >= SLOTS
    block, offset = _each(np.where(everywhere, 0, free + 1))
    marks = np.repeat(everywhere[:, None], SLOTS, axis=1)
    marks[block, _network_slots(network[block] + offset)] = True
    return marks


def _each(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Every row so many times, and which time it is: counts (2, 0, 3) give rows (0, 0, 2, 2, 2) and times (0, 1, 0, 1, 2)."""
    before = np.cumsum(counts) - counts
    return np.repeat(np.arange(len(counts)), counts), np.arange(counts.sum()) - np.repeat(before, counts)


def packed(ports: Marks, addresses: Marks) -> Matrix:
    """The rows of ``filters`` of the rules of one direction, a bit a rule."""
    rules = len(ports)
    words = words_of(rules)
    room = np.zeros((2 * SLOTS, words * BITS), dtype=np.bool_)
    room[:SLOTS, :rules], room[SLOTS:, :rules] = ports.T, addresses.T
    return (room.reshape(2 * SLOTS * words, BITS) @ (1 << np.arange(BITS)))[:, None]
