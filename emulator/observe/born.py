"""Bytes of packets on their way: as an interface saw them, as they arrived, and of those that the network made itself."""

from typing import Any

from emulator.datapath.sightings import Sighting
from emulator.datapath.state import FIRST_BORN, Birth, BirthKind, Count, Outcome, State
from emulator.wire.addresses import address
from emulator.wire.craft import fragment, icmp_error, tcp_reset
from emulator.wire.headers import ICMP, ICMPV6, TCP, UDP, Field, is_icmp_error
from emulator.wire.packet import RAW_IP, Packet
from emulator.wire.rewrite import rewritten, with_most_segment

ERROR_TTL, RESET_TTL = 255, 64


def as_delivered(packet: Packet, outcome: Any) -> bytes:
    """A packet's bytes as they were when it ended: addresses, ports, time to live and checksums as the way left them."""
    header = packet.header
    protocol = int(header[Field.PROTOCOL])
    query = protocol in (ICMP, ICMPV6) and not is_icmp_error(protocol, int(header[Field.TYPE]))
    data = rewritten(
        packet.frame,
        **_ends(header, outcome, Outcome),
        identifier=int(outcome[Outcome.IDENTIFIER]) if query and outcome[Outcome.IDENTIFIER] != header[Field.IDENTIFIER] else None,
        quoted_ports=_quoted_ports(header, outcome),
        ttl_spent=int(outcome[Outcome.TTL_SPENT]),
    )
    if outcome[Outcome.MOST_SEGMENT] and not header[Field.FRAGMENT_OFFSET]:
        data = with_most_segment(data, int(header[Field.PAYLOAD_OFFSET]), int(outcome[Outcome.MOST_SEGMENT]))
    size = int(outcome[Outcome.CUT])
    if not size:
        return data
    at = int(header[Field.IP_OFFSET])
    return data[:at] + fragment(data[at:], 0, size, True)


def as_seen(packet: Packet, sighting: Any) -> bytes:
    """A packet's bytes with the addresses and ports that an interface saw, from that interface's row of sightings."""
    return rewritten(packet.frame, **_ends(packet.header, sighting, Sighting))


def _ends(header: Any, row: Any, column: type[Outcome] | type[Birth] | type[Sighting]) -> dict[str, Any]:
    """For `rewritten`: where the headers of a packet are, and the addresses and ports that a row gives it."""
    family, protocol = int(header[Field.FAMILY]), int(header[Field.PROTOCOL])
    ports = protocol in (TCP, UDP)
    return {
        "ip_offset": int(header[Field.IP_OFFSET]),
        "payload_offset": int(header[Field.PAYLOAD_OFFSET]),
        "protocol": protocol,
        "later_fragment": bool(header[Field.FRAGMENT_OFFSET]),
        "source": address(family, int(row[column.SOURCE_HI]), int(row[column.SOURCE_LO])),
        "destination": address(family, int(row[column.DESTINATION_HI]), int(row[column.DESTINATION_LO])),
        "source_port": int(row[column.SOURCE_PORT]) if ports else None,
        "destination_port": int(row[column.DESTINATION_PORT]) if ports else None,
    }


def _quoted_ports(header: Any, outcome: Any) -> tuple[int, int] | None:
    """The quoted ports of an ICMP error if its way changed them; None if not."""
    before = (int(header[Field.QUOTED_SOURCE_PORT]), int(header[Field.QUOTED_DESTINATION_PORT]))
    after = (int(outcome[Outcome.QUOTED_SOURCE_PORT]), int(outcome[Outcome.QUOTED_DESTINATION_PORT]))
    return after if header[Field.QUOTED_PROTOCOL] and before != after else None


def born_since(state: State, first: int) -> list[int]:
    """Ids of the packets that the network made since it had made ``first``."""
    return [FIRST_BORN + row for row in range(first, int(state.counts[Count.BORN, 0]))]


def outcome_of(state: State, number: int) -> Any:
    """The outcome row of a packet, whoever made it."""
    return state.outcomes[number] if number < FIRST_BORN else state.born_outcomes[number - FIRST_BORN]


def born_packet(state: State, number: int, parent: Packet) -> Packet:
    """A packet that the network made, as it was when it set out; ``parent`` is the one that caused it, as it had set out.

    Its bytes begin with its IP header.
    """
    birth = state.births[number - FIRST_BORN]
    family = int(parent.header[Field.FAMILY])
    origin = address(family, int(birth[Birth.FROM_HI]), int(birth[Birth.FROM_LO]))
    to = address(family, int(birth[Birth.SOURCE_HI]), int(birth[Birth.SOURCE_LO]))
    then = _at_birth(parent, birth)
    kind = BirthKind(int(birth[Birth.KIND]))
    if kind == BirthKind.PIECE:
        data = fragment(then, int(birth[Birth.OFFSET]), int(birth[Birth.VALUE]), bool(birth[Birth.MORE]))
    elif kind == BirthKind.RESET:
        payload = int(parent.header[Field.PAYLOAD_OFFSET]) - int(parent.header[Field.IP_OFFSET])
        length = int(parent.header[Field.LENGTH]) - payload
        data = tcp_reset(then[payload:], length, origin, to, RESET_TTL)
    else:
        data = icmp_error(origin, to, too_big=kind == BirthKind.TOO_BIG, mtu=int(birth[Birth.VALUE]), quoted=then, ttl=ERROR_TTL)
    return Packet.parse(data, RAW_IP)


def _at_birth(parent: Packet, birth: Any) -> bytes:
    """The parent's datagram as it was when it caused another packet."""
    data = rewritten(parent.frame, **_ends(parent.header, birth, Birth), ttl_spent=int(birth[Birth.TTL_SPENT]))
    return data[int(parent.header[Field.IP_OFFSET]) :]
