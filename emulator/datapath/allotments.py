"""Allotments: how many flows each address of a NAT gateway has towards each destination (RT-32).

A count rises with each flow and falls when one closes.  That a flow ran out of time nobody tells, so a count at its limit is
made anew, by a look at all flows; the soonest time at which one of them may run out is kept, and until then the count
is exact and nobody needs to look again.  A destination is an address, a port and a protocol.
"""

from emulator.datapath.state import Allotment, Count, State, Translation
from emulator.kernels import kernel
from emulator.wire.hashing import mix
from emulator.wire.headers import Matrix


@kernel
def _slot(allotments: Matrix, place: int, protocol: int, source_lo: int, lo: int, port: int) -> int:
    """Row of an allotment, or the free row where it belongs.  There is always one: the table has twice as many rows as flows can."""
    mask = allotments.shape[0] - 1
    slot = mix(mix(mix(mix(0, (place << 8) | protocol), source_lo), lo), port) & mask
    while allotments[slot, Allotment.PLACE] != 0 and (
        allotments[slot, Allotment.PLACE] != place
        or allotments[slot, Allotment.PROTOCOL] != protocol
        or allotments[slot, Allotment.SOURCE_LO] != source_lo
        or allotments[slot, Allotment.DESTINATION_LO] != lo
        or allotments[slot, Allotment.DESTINATION_PORT] != port
    ):
        slot = (slot + 1) & mask
    return slot


@kernel
def _is_towards(table: Matrix, row: int, place: int, protocol: int, source_lo: int, lo: int, port: int) -> bool:
    return (
        table[row, Translation.PLACE] == place
        and table[row, Translation.PROTOCOL] == protocol
        and table[row, Translation.OUT_SOURCE_LO] == source_lo
        and table[row, Translation.OUT_DESTINATION_LO] == lo
        and table[row, Translation.OUT_DESTINATION_PORT] == port
    )


@kernel
def allot(allotments: Matrix, table: Matrix, row: int, change: int) -> None:
    """Count one flow more, or less, towards the destination of the flow in a row of ``translations``."""
    place, protocol = table[row, Translation.PLACE], table[row, Translation.PROTOCOL]
    source_lo, lo = table[row, Translation.OUT_SOURCE_LO], table[row, Translation.OUT_DESTINATION_LO]
    port = table[row, Translation.OUT_DESTINATION_PORT]
    slot = _slot(allotments, place, protocol, source_lo, lo, port)
    allotments[slot, Allotment.PLACE], allotments[slot, Allotment.PROTOCOL] = place, protocol
    allotments[slot, Allotment.SOURCE_LO] = source_lo
    allotments[slot, Allotment.DESTINATION_LO], allotments[slot, Allotment.DESTINATION_PORT] = lo, port
    allotments[slot, Allotment.USED] += change


@kernel
def is_used_up(state: State, place: int, protocol: int, source_lo: int, lo: int, port: int, most: int, now: int) -> bool:
    """Whether as many living flows as there may be go out from an address of a place towards a destination."""
    allotments, table = state.allotments, state.translations
    slot = _slot(allotments, place, protocol, source_lo, lo, port)
    if allotments[slot, Allotment.USED] < most:
        return False
    if now >= allotments[slot, Allotment.EXACT_UNTIL_NS]:
        used, until = now * 0, now * 0
        for row in range(state.counts[Count.TRANSLATIONS, 0]):
            expires = table[row, Translation.EXPIRES_NS]
            if expires > now and _is_towards(table, row, place, protocol, source_lo, lo, port):
                until = expires if used == 0 else min(until, expires)
                used += 1
        allotments[slot, Allotment.USED], allotments[slot, Allotment.EXACT_UNTIL_NS] = used, until
    return allotments[slot, Allotment.USED] >= most
