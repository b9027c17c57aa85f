"""What interfaces saw, for flow logs: a row a packet, and the rows of packets that a flow log tells alike made one."""

from enum import IntEnum

import numpy as np

from emulator.wire.headers import ACK, FIN, RST, SYN, Matrix

SHOWN = FIN | SYN | RST | ACK  # the flags that a flow log tells of (FL-14)


class Sighting(IntEnum):
    """Columns of ``sightings``: what one interface saw in one direction, for flow logs; no rows if nobody asks.

    ACTION is a `Verdict` of groups and ACL together (FL-6); TARGET the next hop of what leaves.  The header is as it was
    there.  A row is one packet or, once `merged`, PACKETS of them from TIME_NS to LAST_NS: LENGTH is their sum, and what
    is not named here that of the first.  FLAGS is a set, bit ``flags & SHOWN`` for each packet.
    """

    TIME_NS = 0
    PACKET = 1
    PLACE = 2
    DIRECTION = 3
    ACTION = 4
    REASON = 5
    FAMILY = 6
    PROTOCOL = 7
    SOURCE_HI = 8
    SOURCE_LO = 9
    DESTINATION_HI = 10
    DESTINATION_LO = 11
    SOURCE_PORT = 12
    DESTINATION_PORT = 13
    FLAGS = 14
    LENGTH = 15
    TARGET = 16
    RULE = 17
    PACKETS = 18
    LAST_NS = 19


_FLOW = (
    Sighting.PLACE,
    Sighting.DIRECTION,
    Sighting.ACTION,
    Sighting.FAMILY,
    Sighting.PROTOCOL,
    Sighting.SOURCE_HI,
    Sighting.SOURCE_LO,
    Sighting.DESTINATION_HI,
    Sighting.DESTINATION_LO,
    Sighting.SOURCE_PORT,
    Sighting.DESTINATION_PORT,
)
_TOGETHER = {Sighting.FLAGS: np.bitwise_or, Sighting.LENGTH: np.add, Sighting.PACKETS: np.add, Sighting.LAST_NS: np.maximum}
ALWAYS = 2**62  # ns


def merged(rows: Matrix, within_ns: int = ALWAYS) -> Matrix:
    """One row for all of a flow at one interface in one direction with one action (FL-4), in each stretch of time.

    Parameters
    ----------
    rows : (n, columns of `Sighting`), in the order of time; merged ones may be among them
    within_ns : ns, the length of a stretch; the first begins with 1970

    Returns
    -------
    new rows, in the order of their first packets
    """
    if not len(rows):
        return rows
    keys = np.column_stack((rows[:, Sighting.TIME_NS] // within_ns, rows[:, _FLOW]))
    order = np.lexsort(keys.T)
    changes = (np.diff(keys[order], axis=0) != 0).any(axis=1)
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    made, side_by_side = rows[order[starts]], rows[order]
    for column, together in _TOGETHER.items():
        made[:, column] = together.reduceat(side_by_side[:, column], starts)
    by_first_packet: Matrix = made[np.argsort(order[starts])]
    return by_first_packet
