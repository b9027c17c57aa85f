"""Addresses for interfaces that name none: free in their subnet, and the same whenever the file is read.

EC2 takes any free address.  Here the choice starts at a place made from the interface's name, so that another
instance in the file moves nobody; the first four and the last of a subnet stay free (FB-14).
"""

import hashlib
from collections.abc import Iterable

from emulator.model.entities import Address
from emulator.model.groups import Block

_RESERVED = 5


class FreeAddresses:
    """The addresses of one VPC that are still free."""

    def __init__(self, taken: Iterable[Address]) -> None:
        self._taken = set(taken)
        self._full: set[Block] = set()

    def take(self, block: Block, name: str) -> Address | None:
        """A free address of a subnet's block for the interface of that name; None if there is none left.

        Examples
        --------
        >>> from ipaddress import ip_network
        >>> free = FreeAddresses([])
        >>> [str(free.take(ip_network("10.0.1.0/28"), name)) for name in ("web-1:eth0", "web-2:eth0", "web-1:eth0")]
        ['10.0.1.12', '10.0.1.11', '10.0.1.13']
        """
        usable = block.num_addresses - _RESERVED
        if usable <= 0 or block in self._full:
            return None
        start = int.from_bytes(hashlib.sha256(name.encode()).digest()) % usable
        for step in range(min(usable, len(self._taken) + 1)):
            address = block.network_address + (4 + (start + step) % usable)
            if address not in self._taken:
                self._taken.add(address)
                return address
        self._full.add(block)
        return None
