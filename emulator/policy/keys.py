"""Keys: under what a table knows a flow, the same for both directions, and where the row with a key stands.

The two ends stand in a canonical order, so that a packet and its answer have one key.  A table that is found by a key
begins with the columns of `KeyColumn`; KEY 0 is a free row.  It is found directly (`fold` says where the search begins)
or by an index of row numbers plus one, which lets the rows stay where they are.
"""

from enum import IntEnum
from typing import NamedTuple

from emulator.kernels import kernel
from emulator.wire.hashing import spread
from emulator.wire.headers import ICMP, ICMPV6, TCP, UDP, Field, Matrix

QUERY_NONE, QUERY_REQUEST, QUERY_REPLY = 0, 1, 2
ENI_SHIFT = 41  # in KEY, see `pack`


class KeyColumn(IntEnum):
    """The first columns of every table that is found by a key."""

    KEY = 0
    A_HI = 1
    A_LO = 2
    B_HI = 3
    B_LO = 4


class TrackingKey(NamedTuple):
    """The key of a packet's flow; ``from_a`` is 1 if the packet's source is end A."""

    key: int
    a_hi: int
    a_lo: int
    b_hi: int
    b_lo: int
    from_a: int


@kernel
def query_role(protocol: int, icmp_type: int) -> int:
    """Whether an ICMP message is a request or a reply of a query, or neither (CT-4 to CT-6)."""
    if protocol == ICMP:
        if icmp_type == 8 or icmp_type == 13 or icmp_type == 15 or icmp_type == 17:
            return QUERY_REQUEST
        if icmp_type == 0 or icmp_type == 14 or icmp_type == 16 or icmp_type == 18:
            return QUERY_REPLY
    elif protocol == ICMPV6:
        if icmp_type == 128:
            return QUERY_REQUEST
        if icmp_type == 129:
            return QUERY_REPLY
    return QUERY_NONE


@kernel
def query_kind(icmp_type: int) -> int:
    """One number for a request type and its reply type: echo 8 and 0, timestamp 13 and 14, …"""
    if icmp_type == 0:
        return 8
    if icmp_type == 14 or icmp_type == 16 or icmp_type == 18:
        return icmp_type - 1
    if icmp_type == 129:
        return 128
    return icmp_type


@kernel
def pack(eni_id: int, family: int, protocol: int, low: int, high: int) -> int:
    """Interface, family, protocol and two numbers of 16 bits in one positive integer."""
    return low | (high << 16) | (protocol << 32) | ((1 if family == 6 else 0) << 40) | (eni_id << ENI_SHIFT)


@kernel
def source_is_a(source_hi: int, source_lo: int, destination_hi: int, destination_lo: int, source_port: int, destination_port: int) -> int:
    """1 if the source comes first in the canonical order of two ends, else 0; ports count where addresses are equal."""
    if source_hi != destination_hi:
        return 1 if source_hi < destination_hi else 0
    if source_lo != destination_lo:
        return 1 if source_lo < destination_lo else 0
    return 1 if source_port <= destination_port else 0


@kernel
def ordered(key: int, source_hi: int, source_lo: int, destination_hi: int, destination_lo: int, from_a: int) -> TrackingKey:
    """A key with its ends in canonical order."""
    if from_a == 1:
        return TrackingKey(key, source_hi, source_lo, destination_hi, destination_lo, 1)
    return TrackingKey(key, destination_hi, destination_lo, source_hi, source_lo, 0)


@kernel
def key_of(
    eni_id: int,
    family: int,
    protocol: int,
    source_hi: int,
    source_lo: int,
    destination_hi: int,
    destination_lo: int,
    source_port: int,
    destination_port: int,
    icmp_type: int,
    identifier: int,
) -> TrackingKey:
    """The key under which an interface knows a packet's flow (CT-2, CT-4, CT-8)."""
    if protocol in (TCP, UDP):
        from_a = source_is_a(source_hi, source_lo, destination_hi, destination_lo, source_port, destination_port)
        low, high = (source_port, destination_port) if from_a == 1 else (destination_port, source_port)
    else:
        from_a = source_is_a(source_hi, source_lo, destination_hi, destination_lo, 0, 0)
        low, high = 0, 0
        if protocol in (ICMP, ICMPV6):
            asks = from_a if query_role(protocol, icmp_type) == QUERY_REQUEST else 1 - from_a
            low, high = identifier, (query_kind(icmp_type) << 1) | asks
    return ordered(pack(eni_id, family, protocol, low, high), source_hi, source_lo, destination_hi, destination_lo, from_a)


@kernel
def packet_key(flights: Matrix, p: int, eni_id: int) -> TrackingKey:
    """`key_of` for the packet in row ``p``."""
    return key_of(
        eni_id,
        flights[p, Field.FAMILY],
        flights[p, Field.PROTOCOL],
        flights[p, Field.SOURCE_HI],
        flights[p, Field.SOURCE_LO],
        flights[p, Field.DESTINATION_HI],
        flights[p, Field.DESTINATION_LO],
        flights[p, Field.SOURCE_PORT],
        flights[p, Field.DESTINATION_PORT],
        flights[p, Field.TYPE],
        flights[p, Field.IDENTIFIER],
    )


@kernel
def fold(key: TrackingKey) -> int:
    """A hash of a key, 32 bits."""
    return spread(key.key, key.a_hi, key.a_lo, key.b_hi, key.b_lo)


@kernel
def key_at(table: Matrix, row: int) -> TrackingKey:
    """The key of an occupied row."""
    return TrackingKey(
        table[row, KeyColumn.KEY],
        table[row, KeyColumn.A_HI],
        table[row, KeyColumn.A_LO],
        table[row, KeyColumn.B_HI],
        table[row, KeyColumn.B_LO],
        0,
    )


@kernel
def stands_at(table: Matrix, row: int, key: TrackingKey) -> bool:
    """Whether a row has this key."""
    return (
        table[row, KeyColumn.KEY] == key.key
        and table[row, KeyColumn.A_LO] == key.a_lo
        and table[row, KeyColumn.B_LO] == key.b_lo
        and table[row, KeyColumn.A_HI] == key.a_hi
        and table[row, KeyColumn.B_HI] == key.b_hi
    )


@kernel
def write_key(table: Matrix, row: int, key: TrackingKey) -> None:
    """Give a row its key."""
    table[row, KeyColumn.KEY] = key.key
    table[row, KeyColumn.A_HI] = key.a_hi
    table[row, KeyColumn.A_LO] = key.a_lo
    table[row, KeyColumn.B_HI] = key.b_hi
    table[row, KeyColumn.B_LO] = key.b_lo


@kernel
def find_indexed(index: Matrix, table: Matrix, key: TrackingKey) -> int:
    """Row with this key in an indexed table, or minus the free place in the index, minus one."""
    mask = index.shape[0] - 1
    slot = fold(key) & mask
    while index[slot, 0] != 0:
        if stands_at(table, index[slot, 0] - 1, key):
            return index[slot, 0] - 1
        slot = (slot + 1) & mask
    return -slot - 1


@kernel
def reindex(table: Matrix, used: int, index: Matrix) -> int:
    """Enter the first rows of a table in an empty index; gives how many."""
    mask = index.shape[0] - 1
    for row in range(used):
        slot = fold(key_at(table, row)) & mask
        while index[slot, 0] != 0:
            slot = (slot + 1) & mask
        index[slot, 0] = row + 1
    return used
