"""A packet as it was when it ended; itself if nothing changed on its way."""

from emulator.datapath.state import Outcome
from emulator.observe.born import as_delivered
from emulator.wire.headers import Field, Matrix
from emulator.wire.packet import Packet

_KEPT = (
    (Field.SOURCE_HI, Outcome.SOURCE_HI),
    (Field.SOURCE_LO, Outcome.SOURCE_LO),
    (Field.DESTINATION_HI, Outcome.DESTINATION_HI),
    (Field.DESTINATION_LO, Outcome.DESTINATION_LO),
    (Field.SOURCE_PORT, Outcome.SOURCE_PORT),
    (Field.DESTINATION_PORT, Outcome.DESTINATION_PORT),
    (Field.IDENTIFIER, Outcome.IDENTIFIER),
    (Field.QUOTED_SOURCE_PORT, Outcome.QUOTED_SOURCE_PORT),
    (Field.QUOTED_DESTINATION_PORT, Outcome.QUOTED_DESTINATION_PORT),
)


def delivered(packet: Packet, outcome: Matrix) -> Packet:
    """The packet with the addresses, ports and checksums with which it ended.

    Parameters
    ----------
    outcome : its outcome row, columns Outcome
    """
    header = packet.header
    unchanged = not any(outcome[column] for column in (Outcome.TTL_SPENT, Outcome.CUT, Outcome.MOST_SEGMENT))
    if unchanged and all(header[field] == outcome[column] for field, column in _KEPT):
        return packet
    return Packet.parse(as_delivered(packet, outcome), packet.link_type)
