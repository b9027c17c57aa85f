"""Connection tracking: what one interface remembers, and for how long.

An *entry* is one row of eight columns, one cache line, in an open-addressing table shared by all interfaces; the
interface's id is part of the key (SG-12, CT-35).  The two ends stand in a canonical order, a bit of STATE says which
of them started the flow, so one look-up serves both directions.

    key of      ends                                     refreshed to
    tcp         addresses, ports                         established timeout of the interface (CT-20)
    udp         addresses, ports                         30 s; 180 s from the second reply on (CT-21 to CT-23)
    icmp query  addresses, identifier, kind, who asks    ``ct.icmp_s`` (CT-4, CT-24)
    others      addresses                                600 s (CT-8)

    tcp:  SYN ─► OPEN ─► a FIN of each side, each followed by an ACK of the other ─► gone  (CT-26)
                  └──── RST of either side ─────────────────────────────────────► gone
          gone is at once, or after ``ct.tcp_close_linger_s``; a SYN does not wait for it
    udp:  request ─► reply ─► request ─► reply: STREAM (CT-23)

An entry lives while idle time < timeout (CT-28); every accepted packet of the flow restarts it (CT-27); a dead one is
removed when somebody looks at it or needs its room.  No packet is judged by sequence numbers or windows (CT-37).  "Its
FIN is acknowledged" means: a segment with ACK came from the other side after the FIN, and where that segment is a FIN
itself, which may have crossed the first on its way, its acknowledgement number reaches it.

Source: EC2 User Guide, "Security group connection tracking"; facts CT-1 to CT-42.
"""

from enum import IntEnum

from emulator.kernels import kernel
from emulator.policy.keys import ENI_SHIFT, TrackingKey, fold, key_at, stands_at, write_key
from emulator.policy.tables import Eni, PlaceKind, Tables, kind_of, row_of
from emulator.wire.headers import ACK, FIN, ICMP, ICMPV6, RST, SYN, TCP, UDP, Field, Matrix


class Entry(IntEnum):
    """Columns of ``entries``; TAG is the entry's id << 24 | the id of the rule that opened it; KEY 0 is a free row."""

    KEY = 0
    A_HI = 1
    A_LO = 2
    B_HI = 3
    B_LO = 4
    STATE = 5
    EXPIRES_NS = 6
    TAG = 7


class Count(IntEnum):
    """Rows of ``counts`` (n, 1) that belong to the tracking table; SLOT is where the entry stands that was used last."""

    LIVE = 0
    NEXT_ENTRY = 1
    SLOT = 2


class Usage(IntEnum):
    """Columns of ``usage``, by id: TRACKED and RETRY_NS of an instance, EXCEEDED of an interface (CT-40, CT-41).

    In the second that a clock stands at, an interface sent so many packets to Amazon DNS, and fragments (FB-10, FB-31).
    """

    TRACKED = 0
    EXCEEDED = 1
    RETRY_NS = 2
    DNS_SECOND = 3
    DNS_SENT = 4
    FRAGMENT_SECOND = 5
    FRAGMENTS_SENT = 6


# STATE bits.  Who started: end A or B.  TCP: FINs seen and acknowledged, closed, answered.  UDP: transactions.
STARTED_BY_A, FIN_A, FIN_B, FIN_A_ACKED, FIN_B_ACKED, CLOSED, ANSWERED, ESTABLISHED, ASKED_AGAIN, STREAM = (1 << bit for bit in range(10))

FIN_A_END, FIN_B_END, FIN_END = 16, 39, (1 << 23) - 1  # in STATE, the low 23 bits of the number behind each side's FIN

TAG_SHIFT, RULE_MASK = 24, (1 << 24) - 1
FREE_ROOM = 8  # rows that must be free before an event may run
GATEWAY_TCP_NS, GATEWAY_UDP_NS, GATEWAY_STREAM_NS = 350 * 10**9, 30 * 10**9, 180 * 10**9
_ENI = int(PlaceKind.ENI)


@kernel
def find(entries: Matrix, key: TrackingKey) -> int:
    """Row of the entry with this key, or minus the free row where it would stand, minus one."""
    mask = entries.shape[0] - 1
    slot = fold(key) & mask
    while entries[slot, Entry.KEY] != 0:
        if stands_at(entries, slot, key):
            return slot
        slot = (slot + 1) & mask
    return -slot - 1


@kernel
def eni_of(entries: Matrix, slot: int) -> int:
    """Id of the interface that an entry belongs to."""
    return entries[slot, Entry.KEY] >> ENI_SHIFT


@kernel
def holder(tables: Tables, place: int) -> int:
    """Id of what an entry counts against: the instance of an interface, or the gateway itself."""
    if kind_of(tables, place) == _ENI:
        return tables.enis[row_of(tables, place), Eni.INSTANCE]
    return place


@kernel
def remove(tables: Tables, entries: Matrix, counts: Matrix, usage: Matrix, slot: int) -> None:
    """Free an entry's row and close the gap, so that searches stay whole."""
    usage[holder(tables, eni_of(entries, slot)), Usage.TRACKED] -= 1
    counts[Count.LIVE, 0] -= 1
    mask = entries.shape[0] - 1
    gap, slot = slot, (slot + 1) & mask
    while entries[slot, Entry.KEY] != 0:
        start = fold(key_at(entries, slot)) & mask
        if ((slot - start) & mask) >= ((slot - gap) & mask):
            for column in range(8):
                entries[gap, column] = entries[slot, column]
            gap = slot
        slot = (slot + 1) & mask
    entries[gap, Entry.KEY] = 0


@kernel
def rehash(entries: Matrix, fresh: Matrix) -> int:
    """Copy all entries into an empty table of another size; gives how many."""
    copied = 0
    for slot in range(entries.shape[0]):
        if entries[slot, Entry.KEY] != 0:
            at = -find(fresh, key_at(entries, slot)) - 1
            for column in range(8):
                fresh[at, column] = entries[slot, column]
            copied += 1
    return copied


@kernel
def sweep(tables: Tables, entries: Matrix, counts: Matrix, usage: Matrix, instance: int, now: int) -> int:
    """Remove an instance's dead entries (-1: everybody's); gives when the next of the living ones is due."""
    due = 1 << 62
    slot = 0
    while slot < entries.shape[0]:
        if entries[slot, Entry.KEY] != 0:
            mine = instance == -1 or holder(tables, eni_of(entries, slot)) == instance
            if mine and entries[slot, Entry.EXPIRES_NS] <= now:
                remove(tables, entries, counts, usage, slot)
                continue  # another entry may have moved into this row
            if mine and entries[slot, Entry.EXPIRES_NS] < due:
                due = entries[slot, Entry.EXPIRES_NS]
        slot += 1
    return due


@kernel
def timeout_ns(tables: Tables, eni_id: int, protocol: int, state: int) -> int:
    """How long an entry in this state may idle; a gateway's own times are those of an NLB or NAT gateway (350 s)."""
    settings = tables.settings
    tcp, udp, stream = GATEWAY_TCP_NS, GATEWAY_UDP_NS, GATEWAY_STREAM_NS
    if kind_of(tables, eni_id) == _ENI:
        eni = row_of(tables, eni_id)
        tcp, udp, stream = tables.enis[eni, Eni.TCP_NS], tables.enis[eni, Eni.UDP_NS], tables.enis[eni, Eni.STREAM_NS]
    if protocol == TCP:
        if state & CLOSED:
            return settings.linger_ns
        if state & ESTABLISHED == 0 and settings.embryonic_ns >= 0:
            return settings.embryonic_ns
        return tcp
    if protocol == UDP:
        return stream if state & STREAM else udp
    if protocol in (ICMP, ICMPV6):
        return settings.icmp_ns
    return settings.other_ns


@kernel
def _covers(acknowledged: int, end: int) -> bool:
    """Whether an acknowledgement number reaches the end of a FIN, as far as the bits kept of it tell (RFC 9293 §3.4)."""
    return (acknowledged - end) & FIN_END < (FIN_END + 1) >> 1


@kernel
def next_state(protocol: int, state: int, from_a: int, flags: int, end: int, acknowledged: int) -> int:
    """The state of an entry after one more packet of its flow.

    Parameters
    ----------
    end, acknowledged : of TCP, SEG.SEQ + SEG.LEN and SEG.ACK
    """
    from_starter = (state & STARTED_BY_A != 0) == (from_a == 1)
    if protocol == UDP:
        if not from_starter:
            state |= STREAM if state & ASKED_AGAIN else ANSWERED
        elif state & ANSWERED:
            state |= ASKED_AGAIN
        return state
    if protocol != TCP:
        return state if from_starter else state | ANSWERED
    if flags & RST:
        return state | CLOSED
    if not from_starter:
        state |= ANSWERED
    elif state & ANSWERED and flags & SYN == 0:
        state |= ESTABLISHED
    if flags & ACK:
        # A FIN may cross the other side's FIN, so that its number must say; one without numbers is taken to answer it.
        surely = flags & FIN == 0 or acknowledged == 0
        if from_a == 1 and state & FIN_B and (surely or _covers(acknowledged, state >> FIN_B_END)):
            state |= FIN_B_ACKED
        if from_a == 0 and state & FIN_A and (surely or _covers(acknowledged, state >> FIN_A_END)):
            state |= FIN_A_ACKED
    if flags & FIN:
        at = FIN_A_END if from_a == 1 else FIN_B_END
        state = (state & ~(FIN_END << at)) | ((end & FIN_END) << at) | (FIN_A if from_a == 1 else FIN_B)
    if state & FIN_A_ACKED and state & FIN_B_ACKED:
        state |= CLOSED
    return state


@kernel
def refresh(
    tables: Tables, entries: Matrix, counts: Matrix, usage: Matrix, slot: int, flights: Matrix, p: int, from_a: int, now: int
) -> None:
    """Take one accepted packet into an entry: its state, its timer, and its end if the flow is closed."""
    protocol = flights[p, Field.PROTOCOL]
    state = next_state(
        protocol, entries[slot, Entry.STATE], from_a, flights[p, Field.FLAGS], flights[p, Field.IDENTIFIER], flights[p, Field.SEQUENCE]
    )
    counts[Count.SLOT, 0] = slot
    entries[slot, Entry.STATE] = state
    expires = now + timeout_ns(tables, eni_of(entries, slot), protocol, state)
    entries[slot, Entry.EXPIRES_NS] = expires
    instance = holder(tables, eni_of(entries, slot))
    if expires < usage[instance, Usage.RETRY_NS]:
        usage[instance, Usage.RETRY_NS] = expires
    if expires <= now:
        remove(tables, entries, counts, usage, slot)


@kernel
def live(tables: Tables, entries: Matrix, counts: Matrix, usage: Matrix, key: TrackingKey, now: int) -> int:
    """Row of the living entry with this key or -1; a dead one is removed (CT-30)."""
    slot = find(entries, key)
    if slot >= 0 and entries[slot, Entry.EXPIRES_NS] <= now:
        remove(tables, entries, counts, usage, slot)
        slot = -1
    return slot if slot >= 0 else -1


@kernel
def is_open_to(entries: Matrix, slot: int, flights: Matrix, p: int, now: int) -> bool:
    """Whether an entry lives and is that of the packet in row ``p``, which does not start anew what was closed."""
    starts = flights[p, Field.PROTOCOL] == TCP and flights[p, Field.FLAGS] & (SYN | ACK | RST | FIN) == SYN
    return entries[slot, Entry.EXPIRES_NS] > now and not (starts and entries[slot, Entry.STATE] & CLOSED != 0)


@kernel
def known(tables: Tables, entries: Matrix, counts: Matrix, usage: Matrix, key: TrackingKey, flights: Matrix, p: int, now: int) -> int:
    """Row of the living entry of the packet in row ``p`` or -1.

    A SYN of either side on a closed connection that lingers (``ct.tcp_close_linger_s``) ends it: the SYN starts a new
    one, which is judged like any other.  Source: Linux nf_conntrack_proto_tcp, LX-2.
    """
    slot = live(tables, entries, counts, usage, key, now)
    if slot >= 0 and not is_open_to(entries, slot, flights, p, now):
        remove(tables, entries, counts, usage, slot)
        return -1
    return slot


@kernel
def has_room(tables: Tables, entries: Matrix, counts: Matrix, usage: Matrix, eni_id: int, now: int) -> bool:
    """Whether the interface's instance may track one more flow (CT-40); dead entries are cleared first."""
    eni = row_of(tables, eni_id)
    limit, instance = tables.enis[eni, Eni.MAX_TRACKED], tables.enis[eni, Eni.INSTANCE]
    if limit < 0 or usage[instance, Usage.TRACKED] < limit:
        return True
    if now >= usage[instance, Usage.RETRY_NS]:
        # Whoever sets an earlier timer lowers RETRY_NS, so before it no sweep can find anything.
        usage[instance, Usage.RETRY_NS] = sweep(tables, entries, counts, usage, instance, now)
    return usage[instance, Usage.TRACKED] < limit


@kernel
def create(
    tables: Tables, entries: Matrix, counts: Matrix, usage: Matrix, key: TrackingKey, flights: Matrix, p: int, rule_id: int, now: int
) -> int:
    """Open an entry for the packet in row ``p``; gives its id.  The caller has seen to it that a row is free."""
    slot = -find(entries, key) - 1
    protocol = flights[p, Field.PROTOCOL]
    state = STARTED_BY_A if key.from_a == 1 else 0
    if protocol == TCP and flights[p, Field.FLAGS] & SYN == 0:
        state |= ESTABLISHED | ANSWERED
    if protocol == TCP and flights[p, Field.FLAGS] & FIN:
        state |= FIN_A if key.from_a == 1 else FIN_B
    eni_id = key.key >> ENI_SHIFT
    counts[Count.NEXT_ENTRY, 0] += 1
    number = counts[Count.NEXT_ENTRY, 0]
    counts[Count.SLOT, 0] = slot
    write_key(entries, slot, key)
    entries[slot, Entry.STATE] = state
    expires = now + timeout_ns(tables, eni_id, protocol, state)
    entries[slot, Entry.EXPIRES_NS] = expires
    entries[slot, Entry.TAG] = (number << TAG_SHIFT) | rule_id
    counts[Count.LIVE, 0] += 1
    instance = holder(tables, eni_id)
    usage[instance, Usage.TRACKED] += 1
    if expires < usage[instance, Usage.RETRY_NS]:
        usage[instance, Usage.RETRY_NS] = expires
    return number
