"""Packet: the bytes of one datagram with its parsed header; a Scapy packet only when somebody looks."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator.errors import UsageError
from emulator.wire.headers import FIELDS, Field, FiveTuple, Matrix, five_tuple, parse_frame
from emulator.wire.status import PARSED, Status

if TYPE_CHECKING:
    from scapy.packet import Packet as ScapyPacket

RAW_IP, ETHERNET = 101, 1


@dataclass(frozen=True)
class Packet:
    """One datagram as it is on the wire.

    Parameters
    ----------
    frame : its bytes, with link header if ``link_type`` has one
    link_type : as in captures; 101 is raw IP, 1 Ethernet
    header : (FIELDS,) int64, columns Field
    """

    frame: bytes
    link_type: int
    header: Matrix

    @classmethod
    def parse(cls, frame: bytes, link_type: int = RAW_IP) -> "Packet":
        """A packet from bytes; never fails, see ``status``."""
        header = np.zeros((1, FIELDS), dtype=np.int64)
        parse_frame(np.frombuffer(frame, dtype=np.uint8), 0, len(frame), link_type, header, 0)
        return cls(frame, link_type, header[0])

    @classmethod
    def of(cls, packet: "ScapyPacket | Packet | bytes") -> "Packet":
        """A packet from a Scapy packet (Ethernet or IP outermost) or from bytes that begin with an IP header.

        Raises
        ------
        UsageError : there is no IP datagram in it.
        """
        if isinstance(packet, Packet):
            return packet
        name = getattr(type(packet), "__name__", "")
        parsed = cls.parse(bytes(packet), ETHERNET if name in ("Ether", "Dot1Q") else RAW_IP)
        if parsed.status != PARSED:
            raise UsageError(
                f"{name or 'packet'}: not an IP datagram that can be sent ({parsed.status.name}); build one with Scapy's IP()/TCP()"
            )
        return parsed

    @property
    def status(self) -> Status:
        """Whether the header could be read."""
        return Status(int(self.header[Field.STATUS]))

    @property
    def five_tuple(self) -> FiveTuple:
        """Protocol, addresses and ports."""
        return five_tuple(self.header)

    @cached_property
    def scapy(self) -> Any:
        """The Scapy packet, dissected now."""
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6
        from scapy.layers.l2 import Ether

        if self.link_type == ETHERNET:
            return Ether(self.frame)
        datagram = self.frame[int(self.header[Field.IP_OFFSET]) :]
        return (IPv6 if self.header[Field.FAMILY] == 6 else IP)(datagram)

    def __str__(self) -> str:
        key = self.five_tuple
        return f"{key.source}:{key.source_port} → {key.destination}:{key.destination_port} protocol {key.protocol}"
