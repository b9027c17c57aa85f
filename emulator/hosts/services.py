"""What listens on a port: small programs that are told what comes in, and write.

A service is asked four things, and nothing of it waits:

    opened(connection)           the handshake is done
    received(connection, data)   bytes came, in order
    ended(connection)            the other side will send no more
    failed(connection)           reset or timed out
"""

from typing import TYPE_CHECKING

from emulator.model.services import ALL
from emulator.model.services import Service as Ports

if TYPE_CHECKING:
    from emulator.hosts.tcp_connection import Connection

ECHO_PORT, DISCARD_PORT, SSH_PORT, IPERF_PORT = 7, 9, 22, 5201
HTTP_PORTS = (80, 8000, 8080, 8888)


class Service:
    """Answers nothing, and closes when the other side does."""

    def opened(self, connection: "Connection") -> None:
        """The handshake is done."""

    def received(self, connection: "Connection", data: bytes) -> None:
        """Data came in order."""

    def ended(self, connection: "Connection") -> None:
        """The other side will send no more: neither shall we."""
        connection.close()

    def failed(self, connection: "Connection") -> None:
        """The connection is gone."""


class Discard(Service):
    """Takes everything and counts it (RFC 863); what a transfer is measured against."""

    def __init__(self) -> None:
        self.bytes = 0

    def received(self, connection: "Connection", data: bytes) -> None:
        """Count."""
        self.bytes += len(data)


class Echo(Service):
    """Sends back what it gets (RFC 862)."""

    def received(self, connection: "Connection", data: bytes) -> None:
        """Send it back."""
        connection.write(data)


class Banner(Service):
    """Says who it is and then nothing: as far as a port scanner or a login prompt goes."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def opened(self, connection: "Connection") -> None:
        """Say it."""
        connection.write(self.text)


def default_service(machine: str, port: int) -> Service:
    """What a machine runs on a tcp port that is open and for which nobody said more."""
    from emulator.hosts.http import HttpServer

    if port in HTTP_PORTS:
        return HttpServer(machine)
    if port == SSH_PORT:
        return Banner(b"SSH-2.0-vpcemu\r\n")
    return Discard() if port in (DISCARD_PORT, IPERF_PORT) else Echo()


def is_listening(listen: "tuple[Ports, ...] | None", protocol: int, port: int) -> bool:
    """Whether a port is open by what the topology says; None opens every one."""
    if listen is None:
        return True
    return any(
        ports.protocol in (ALL, protocol) and (ports.ports[0] == ALL or ports.ports[0] <= port <= ports.ports[1]) for ports in listen
    )
