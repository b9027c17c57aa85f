"""Filters: for each group and direction, which rules can match a packet at all; `miss` says which does.

Two little tables of `SLOTS` slots, by what a packet shows: one by protocol and port, one by address.  A slot holds a bit
for every rule that takes something which falls into it.  A packet's candidates are the rules whose bits stand in both of
its slots, and `miss` is asked about these alone, lowest first; so the slots may be wrong in one direction only, and the
cost hardly grows with the number of rules.

    port slot      protocol and port; ICMP and protocols without ports by the protocol; a wide range stands in all
    address slot   the first 24 bits of IPv4, the first 56 of IPv6; a wide block and another group stand in all

In ``filters`` a direction of a group takes 2 × `SLOTS` × words rows, `BITS` rules a word, port slots first (see
`compile_filters`).
"""

from emulator.kernels import kernel
from emulator.wire.headers import TCP, UDP

SLOTS = 64
BITS = 62


@kernel
def words_of(rules: int) -> int:
    """Words that hold a bit for so many rules."""
    return (rules + BITS - 1) // BITS


@kernel
def port_slot(protocol: int, port: int) -> int:
    """Where a protocol and port stand; protocols without ports have port 0."""
    if protocol not in (TCP, UDP):
        port = port * 0
    return (port ^ (port >> 6) ^ (port >> 12) ^ (protocol * 11)) & (SLOTS - 1)


@kernel
def network_slot(value: int) -> int:
    """Where the addresses of a /24 of IPv4 or a /56 of IPv6 stand, whose bits these are."""
    return (value ^ (value >> 6) ^ (value >> 12) ^ (value >> 18)) & (SLOTS - 1)


@kernel
def address_slot(family: int, hi: int, lo: int) -> int:
    """Where an address stands."""
    return network_slot((lo & 0xFFFFFFFF) >> 8 if family == 4 else hi >> 8)


@kernel
def lowest_bit(value: int) -> int:
    """Number of the lowest bit that is set in a positive integer."""
    bit = 0
    if value & 0xFFFFFFFF == 0:
        bit, value = bit + 32, value >> 32
    if value & 0xFFFF == 0:
        bit, value = bit + 16, value >> 16
    if value & 0xFF == 0:
        bit, value = bit + 8, value >> 8
    if value & 0xF == 0:
        bit, value = bit + 4, value >> 4
    if value & 3 == 0:
        bit, value = bit + 2, value >> 2
    return bit + 1 - (value & 1)
