"""A user's own service: a function from a Scapy packet to Scapy packets, or one of Scapy's answering machines.

    def shout(packet):
        return IP(src=packet[IP].dst, dst=packet[IP].src) / UDP(sport=packet[UDP].dport, dport=packet[UDP].sport) \
            / packet[Raw].load.upper()

    network["web-1"].serve("udp/9999", shout)

The function sees the IP datagram as it arrived.  It gives None, a packet, or several; what has no IP header gets one
back to the sender.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from emulator.errors import UsageError
from emulator.hosts.base import STACK_DELAY_NS, Send
from emulator.hosts.datagrams import datagram_of
from emulator.model.services import ALL, Service
from emulator.wire.headers import Field
from emulator.wire.packet import Packet

Answer = Callable[[Any], Any]


@dataclass(frozen=True)
class ScapyService:
    """A function for the packets of a protocol and its ports."""

    wanted: Service
    answer: Answer

    @classmethod
    def of(cls, wanted: Service, answer: Any) -> "ScapyService":
        """From a function or an AnsweringMachine (``is_request`` and ``make_reply``).

        Raises
        ------
        UsageError : neither.
        """
        if hasattr(answer, "make_reply") and hasattr(answer, "is_request"):
            machine = answer
            return cls(wanted, lambda packet: machine.make_reply(packet) if machine.is_request(packet) else None)
        if not callable(answer):
            raise UsageError(f"{answer!r} answers no packets; give a function of a Scapy packet, or an AnsweringMachine")
        return cls(wanted, answer)

    def __deepcopy__(self, memo: object) -> "ScapyService":
        return self

    def wants(self, packet: Packet) -> bool:
        """Whether a packet is for this service."""
        protocol, (first, last) = self.wanted
        header = packet.header
        if protocol not in (ALL, int(header[Field.PROTOCOL])):
            return False
        if first == ALL:
            return True
        if protocol in (1, 58):
            return bool(header[Field.TYPE] == first)
        return bool(first <= header[Field.DESTINATION_PORT] <= last)

    def receive(self, packet: Packet) -> list[Send]:
        """What the function answers."""
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6
        from scapy.packet import Packet as ScapyPacket

        layer = IPv6 if packet.header[Field.FAMILY] == 6 else IP
        given = layer(datagram_of(packet))
        answers = self.answer(given)
        if answers is None:
            return []
        if isinstance(answers, ScapyPacket | bytes):
            answers = [answers]
        sends = []
        for answer in _several(answers):
            if isinstance(answer, ScapyPacket) and not isinstance(answer, IP | IPv6):
                inner = answer.getlayer(layer)
                answer = inner if inner is not None else layer(src=given.dst, dst=given.src) / answer
            sends.append(Send(STACK_DELAY_NS, bytes(answer)))
        return sends


def _several(answers: Any) -> Iterable[Any]:
    try:
        return list(answers)
    except TypeError:
        raise UsageError(f"a service gave {answers!r}; give None, a Scapy packet, or several") from None
