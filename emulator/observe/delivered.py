"""A packet's bytes as they were when it ended: addresses, ports, time to live and checksums as the way left them."""

from emulator.datapath.state import Outcome
from emulator.wire.addresses import address
from emulator.wire.headers import Field, Matrix
from emulator.wire.packet import Packet
from emulator.wire.rewrite import rewritten

_KEPT = (
    (Field.SOURCE_HI, Outcome.SOURCE_HI),
    (Field.SOURCE_LO, Outcome.SOURCE_LO),
    (Field.DESTINATION_HI, Outcome.DESTINATION_HI),
    (Field.DESTINATION_LO, Outcome.DESTINATION_LO),
    (Field.SOURCE_PORT, Outcome.SOURCE_PORT),
    (Field.DESTINATION_PORT, Outcome.DESTINATION_PORT),
)
