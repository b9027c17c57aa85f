"""What became of a frame when its headers were read."""

from enum import IntEnum


class Status(IntEnum):
    """What became of a frame."""

    PARSED = 0
    NOT_IP = 1
    ARP = 2
    TRUNCATED = 3
    MALFORMED = 4
    LINK_TYPE = 5


PARSED, NOT_IP, ARP, TRUNCATED, MALFORMED, LINK_TYPE = (int(status) for status in Status)
