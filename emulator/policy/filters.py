"""Filters: for each group and direction, which rules can match a packet at all; `miss` says which does.

Two little tables of `SLOTS` slots, by what a packet shows: one by protocol and port, one by address.  A slot holds a bit
for every rule that takes something which falls into it.  A packet's candidates are the rules whose bits stand in both of
its slots, and `miss` is asked about these alone, lowest first; so the slots may be wrong in one direction only, and the
cost hardly grows with the number of rules.

    port slot      protocol and port; ICMP and protocols without ports by the protocol; a wide range stands in all
    address slot   the first 24 bits of IPv4, the first 56 of IPv6; a wide block and another group stand in all

In ``filters`` a direction of a group takes 2 × `SLOTS` × words rows, `BITS` rules a word, port slots first.
"""

from emulator.kernels import kernel
from emulator.policy.tables import ALL_PROTOCOLS, PeerKind, PrefixBlock, RuleColumn
from emulator.wire.headers import TCP, UDP, Matrix

SLOTS = 64
BITS = 62
_56_BITS = (1 << 56) - 1
_PEER_BLOCK, _PEER_LIST, _PEER_STALE = int(PeerKind.BLOCK), int(PeerKind.LIST), int(PeerKind.STALE)


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
def _network_slot(value: int) -> int:
    """Where the addresses of a /24 of IPv4 or a /56 of IPv6 stand, whose bits these are."""
    return (value ^ (value >> 6) ^ (value >> 12) ^ (value >> 18)) & (SLOTS - 1)


@kernel
def address_slot(family: int, hi: int, lo: int) -> int:
    """Where an address stands."""
    return _network_slot((lo & 0xFFFFFFFF) >> 8 if family == 4 else hi >> 8)


@kernel
def _mark(filters: Matrix, at: int, slot: int, words: int, word: int, bit: int) -> None:
    filters[at + slot * words + word, 0] |= bit


@kernel
def _mark_all(filters: Matrix, at: int, words: int, word: int, bit: int) -> None:
    for slot in range(SLOTS):
        filters[at + slot * words + word, 0] |= bit


@kernel
def _mark_block(
    filters: Matrix, at: int, family: int, hi: int, lo: int, mask_hi: int, mask_lo: int, words: int, word: int, bit: int
) -> None:
    """Mark the slots of a block: one by one where they are few, else all."""
    fixed, first = (mask_lo & 0xFFFFFFFF, lo & 0xFFFFFFFF) if family == 4 else (mask_hi, hi)
    free = (~fixed >> 8) & 0xFFFFFF if family == 4 else (~fixed >> 8) & _56_BITS  # the bits of a slot's value that may be anything
    if free >= SLOTS:
        _mark_all(filters, at, words, word, bit)
        return
    for offset in range(free + 1):
        _mark(filters, at, _network_slot((first >> 8) + offset), words, word, bit)


@kernel
def fill(rules: Matrix, blocks: Matrix, start: int, end: int, filters: Matrix, at: int) -> int:
    """Fill a direction's slots from its rule rows; gives the number of words a slot."""
    words = words_of(end - start)
    addresses = at + SLOTS * words
    for rule in range(start, end):
        word, bit = (rule - start) // BITS, 1 << ((rule - start) % BITS)
        protocol, first, last = rules[rule, RuleColumn.PROTOCOL], rules[rule, RuleColumn.FROM], rules[rule, RuleColumn.TO]
        if protocol == ALL_PROTOCOLS or (protocol in (TCP, UDP) and last - first + 1 >= SLOTS):
            _mark_all(filters, at, words, word, bit)
        elif protocol in (TCP, UDP):
            for port in range(first, last + 1):
                _mark(filters, at, port_slot(protocol, port), words, word, bit)
        else:
            _mark(filters, at, port_slot(protocol, 0), words, word, bit)
        peer = rules[rule, RuleColumn.PEER]
        if peer == _PEER_BLOCK:
            _mark_block(
                filters,
                addresses,
                rules[rule, RuleColumn.FAMILY],
                rules[rule, RuleColumn.NET_HI],
                rules[rule, RuleColumn.NET_LO],
                rules[rule, RuleColumn.MASK_HI],
                rules[rule, RuleColumn.MASK_LO],
                words,
                word,
                bit,
            )
        elif peer == _PEER_LIST:
            for row in range(rules[rule, RuleColumn.PEER_START], rules[rule, RuleColumn.PEER_END]):
                _mark_block(
                    filters,
                    addresses,
                    blocks[row, PrefixBlock.FAMILY],
                    blocks[row, PrefixBlock.NET_HI],
                    blocks[row, PrefixBlock.NET_LO],
                    blocks[row, PrefixBlock.MASK_HI],
                    blocks[row, PrefixBlock.MASK_LO],
                    words,
                    word,
                    bit,
                )
        elif peer != _PEER_STALE:
            _mark_all(filters, addresses, words, word, bit)
    return words


@kernel
def fill_all(groups: Matrix, rules: Matrix, blocks: Matrix, filters: Matrix) -> int:
    """Fill the slots of all groups; gives the rows used."""
    at = 0
    for group in range(groups.shape[0]):
        for way in range(2):
            start, end = groups[group, 1 + 2 * way], groups[group, 2 + 2 * way]
            groups[group, 5 + way] = at
            fill(rules, blocks, start, end, filters, at)
            at += 2 * SLOTS * words_of(end - start)
    return at


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
