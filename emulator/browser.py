"""What a browser's Python (Pyodide) lacks and Scapy insists on: IPv6 addresses in `socket`."""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any


def give_ipv6() -> None:
    """Let `socket` say that it has IPv6, and read and write its addresses, where it was built without.

    Scapy refuses to load its IPv6 layers otherwise, though no socket is ever opened.
    """
    if socket.has_ipv6:
        return
    socket.has_ipv6 = True
    socket.inet_pton = _pton(socket.inet_pton)
    socket.inet_ntop = _ntop(socket.inet_ntop)


def _pton(otherwise: Callable[[int, str], bytes]) -> Callable[[int, str], bytes]:
    def inet_pton(family: int, address: str, /) -> bytes:
        if family != socket.AF_INET6:
            return otherwise(family, address)
        try:
            return ipaddress.IPv6Address(address).packed
        except ValueError:
            raise OSError("illegal IP address string passed to inet_pton") from None

    return inet_pton


def _ntop(otherwise: Callable[[int, Any], str]) -> Callable[[int, Any], str]:
    def inet_ntop(family: int, packed: Any, /) -> str:
        return str(ipaddress.IPv6Address(bytes(packed))) if family == socket.AF_INET6 else otherwise(family, packed)

    return inet_ntop
