"""Links: when a packet arrives at the other end, or that it is lost.

    ready = max(now, when the last bit before it has left)     rate: one packet after another, each direction apart
    arrival = ready + length × 8 / rate + latency + reorder

Jitter is up to so much more delay, by a hash as well; a packet never overtakes the one before it.  Where ``reorder``
allows it, a second such delay comes on top, and packets do overtake one another.  Faults are stretches of time in which
a link is down, slower or lossier.  A packet that would wait behind more than ``queue`` bytes is dropped (tail drop).
Loss is a hash of (seed, packet id, link), so a run is the same on every machine.  Between places without a declared
link a packet arrives at once.
"""

from emulator.datapath.state import LinkState, State
from emulator.kernels import kernel
from emulator.policy.joined_columns import FaultColumn
from emulator.policy.reasons import Reason
from emulator.policy.tables import (
    LinkColumn,
    Tables,
)
from emulator.wire.hashing import mix
from emulator.wire.headers import Field

LOST, QUEUE_FULL, DOWN = -int(Reason.EMU_LINK_LOSS), -int(Reason.EMU_LINK_QUEUE_FULL), -int(Reason.EMU_LINK_DOWN)
_JITTER = 1  # a hash of its own, so that what is lost says nothing about what is late
_BITS = 8 * 10**9
_PPB = 10**9


@kernel
def link_between(tables: Tables, a: int, b: int) -> int:
    """Row of the link between two places times two, plus one towards the first end; -1 if none is declared."""
    for row in range(tables.links.shape[0]):
        if tables.links[row, LinkColumn.A] == a and tables.links[row, LinkColumn.B] == b:
            return 2 * row
        if tables.links[row, LinkColumn.A] == b and tables.links[row, LinkColumn.B] == a:
            return 2 * row + 1
    return -1


@kernel
def _chance(seed: int, packet: int, lane: int) -> int:
    """A number below a thousand million, each as likely as another, that seed, packet and lane alone decide."""
    return (mix(mix(mix(0, seed), packet), lane) * _PPB) >> 32


@kernel
def arrival(tables: Tables, state: State, p: int, lane: int, now: int) -> int:
    """Time in ns at which a packet that enters a lane (see `link_between`) now arrives; `LOST`, `QUEUE_FULL` or `DOWN`."""
    if lane < 0:
        return now
    row = lane >> 1
    links = tables.links
    loss, latency = links[row, LinkColumn.LOSS_PPB], links[row, LinkColumn.LATENCY_NS]
    for at in range(links[row, LinkColumn.FAULTS], links[row, LinkColumn.FAULTS_END]):
        if tables.faults[at, FaultColumn.START_NS] <= now < tables.faults[at, FaultColumn.END_NS]:
            if tables.faults[at, FaultColumn.DOWN] != 0:
                return DOWN
            loss += tables.faults[at, FaultColumn.LOSS_PPB]
            latency += tables.faults[at, FaultColumn.LATENCY_NS]
    if loss > 0 and _chance(tables.settings.seed, state.flights[p, Field.INDEX], lane) < loss:
        return LOST
    ready, rate = now, links[row, LinkColumn.RATE_BPS]
    if rate > 0:
        ready = max(now, state.links[lane, LinkState.BUSY_NS])
        room = links[row, LinkColumn.QUEUE_BYTES]
        if room > 0 and ready - now > room * _BITS // rate:
            return QUEUE_FULL
        ready += state.flights[p, Field.LENGTH] * _BITS // rate
        state.links[lane, LinkState.BUSY_NS] = ready
    due = ready + latency
    jitter = links[row, LinkColumn.JITTER_NS]
    if jitter > 0:
        chance = mix(mix(mix(_JITTER, tables.settings.seed), state.flights[p, Field.INDEX]), lane) >> 12
        due += (chance * jitter) >> 20
    due = max(due, state.links[lane, LinkState.LAST_NS])
    state.links[lane, LinkState.LAST_NS] = due
    reorder = links[row, LinkColumn.REORDER_NS]
    if reorder > 0:
        due += mix(mix(mix(mix(_JITTER, tables.settings.seed), state.flights[p, Field.INDEX]), lane), 1) % (reorder + 1)
    return due
