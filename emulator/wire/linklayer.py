"""From a frame's first byte to its network header: what each link type puts in front of it.

Sources: IEEE 802.1Q; RFC 1661, RFC 2516; the link types' layouts as registered with tcpdump.org.
"""

from emulator.kernels import kernel
from emulator.wire.integers import Bytes, be16, be32, byte
from emulator.wire.status import LINK_TYPE, NOT_IP, TRUNCATED

IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806  # ethertypes
_PPPOE = 0x8864


@kernel
def network_layer(buffer: Bytes, at: int, end: int, link_type: int) -> tuple[int, int]:
    """Ethertype and offset of the network header; a negative ethertype is minus a `Status`."""
    if link_type == 1:
        if end - at < 14:
            return -TRUNCATED, at
        ethertype, at = be16(buffer, at + 12), at + 14
    elif link_type == 113:
        if end - at < 16:
            return -TRUNCATED, at
        ethertype, at = be16(buffer, at + 14), at + 16
    elif link_type == 276:
        if end - at < 20:
            return -TRUNCATED, at
        ethertype, at = be16(buffer, at), at + 20
    elif link_type == 0 or link_type == 108:
        if end - at < 4:
            return -TRUNCATED, at
        # The family is in the writer's byte order; all known numbers fit one byte, so one end of the word holds it.
        word = be32(buffer, at)
        family = word >> 24 if word & 0xFFFFFF == 0 else word
        if family == 2:
            return IPV4, at + 4
        if family == 10 or family == 24 or family == 28 or family == 30:
            return IPV6, at + 4
        return -NOT_IP, at
    elif link_type == 9:
        if end - at >= 2 and buffer[at] == 0xFF and buffer[at + 1] == 3:
            at += 2
        return _ppp(buffer, at, end)
    elif link_type == 228:
        return IPV4, at
    elif link_type == 229:
        return IPV6, at
    elif link_type == 12 or link_type == 14 or link_type == 101:
        if end - at < 1:
            return -TRUNCATED, at
        version = byte(buffer, at) >> 4
        if version == 4:
            return IPV4, at
        if version == 6:
            return IPV6, at
        return -NOT_IP, at
    else:
        return -LINK_TYPE, at

    if ethertype == 0x88A8 or ethertype == 0x8100 or ethertype == 0x9100 or ethertype == 0x9200:
        for _ in range(4):
            if ethertype != 0x88A8 and ethertype != 0x8100 and ethertype != 0x9100 and ethertype != 0x9200:
                break
            if end - at < 4:
                return -TRUNCATED, at
            ethertype, at = be16(buffer, at + 2), at + 4
    if ethertype < 1536 and end - at >= 8 and be16(buffer, at) == 0xAAAA and be32(buffer, at + 2) >> 8 == 0x030000:
        # IEEE 802.2 SNAP with organisation 0 carries an ethertype (RFC 1042).
        ethertype, at = be16(buffer, at + 6), at + 8
    if ethertype == _PPPOE:
        if end - at < 8:
            return -TRUNCATED, at
        return _ppp(buffer, at + 6, end)
    return ethertype, at


@kernel
def _ppp(buffer: Bytes, at: int, end: int) -> tuple[int, int]:
    """Ethertype and offset behind a PPP protocol field of one or two bytes (RFC 1661 §2)."""
    if end - at < 2:
        return -TRUNCATED, at
    protocol = byte(buffer, at)
    if protocol & 1:
        at += 1
    else:
        protocol, at = be16(buffer, at), at + 2
    if protocol == 0x21:
        return IPV4, at
    if protocol == 0x57:
        return IPV6, at
    return -NOT_IP, at
