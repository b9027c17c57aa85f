"""Our hosts and the Linux kernel talk to each other, over a wire, in real time."""

import socket
import time
import urllib.request
from ipaddress import ip_address

import pytest
from scapy.layers.inet import ICMP, IP

from emulator.hosts.base import Socket
from emulator.hosts.http import HttpServer
from emulator.hosts.services import Echo, Service
from emulator.hosts.tcp_connection import Connection
from emulator.hosts.tcp_states import State
from tests.hosts.linux import LINUX, OURS, Linux, why_no_tun
from tests.hosts.wires import Sink
from tests.oracles.kernel import why_not

_TROUBLE = why_not() or why_no_tun()
pytestmark = [pytest.mark.netfilter, pytest.mark.skipif(bool(_TROUBLE), reason=f"no kernel to talk to: {_TROUBLE}")]
LETTER = bytes(range(256)) * 800  # 205 kB
PORT = 8080
FAMILIES = [pytest.param(4, id="over IPv4"), pytest.param(6, id="over IPv6")]
WIRES = [pytest.param(0.0, id="a good wire"), pytest.param(0.05, id="5 % lost each way")]


def open_port(linux: Linux, port: int, service: Service) -> None:
    """A service on a port of our host."""
    linux.ours.listen = None
    linux.ours.services[port] = service


class Letter(Sink):
    """Says its letter and closes, then keeps what it gets."""

    def opened(self, connection: Connection) -> None:
        connection.write(LETTER)
        connection.close()


def connected(linux: Linux, family: int, service: Service) -> Connection:
    """A connection that our host opens to Linux."""
    ours = linux.ours
    ends = Socket(ip_address(OURS[family]), ours.free_port()), Socket(ip_address(LINUX[family]), PORT)
    return ours.tcp.connect(*ends, time.monotonic_ns(), service)


@pytest.mark.parametrize("family", FAMILIES)
def test_linux_fetches_a_page_from_us(family):
    """A browser's library on Linux gets the page whole, and both ends close."""
    with Linux() as linux:
        open_port(linux, 80, HttpServer("ours", {"/": "x" * 40_000}))
        host = OURS[4] if family == 4 else f"[{OURS[6]}]"
        assert linux.during(lambda: urllib.request.urlopen(f"http://{host}/", timeout=20).read()) == b"x" * 40_000


@pytest.mark.parametrize("loss", WIRES)
def test_what_linux_says_comes_back(loss):
    """205 kB to our echo service and back, whole and in order, also where the wire loses datagrams."""

    def talk() -> bytes:
        with socket.create_connection((OURS[4], PORT), timeout=50) as linux_end:
            back = b""
            for start in range(0, len(LETTER), 20_000):
                part = LETTER[start : start + 20_000]
                linux_end.sendall(part)
                while len(back) < start + len(part):
                    back += linux_end.recv(1 << 16)
            linux_end.shutdown(socket.SHUT_WR)
            return back + linux_end.recv(1)

    with Linux(loss, seed=7) as linux:
        open_port(linux, PORT, Echo())
        assert linux.during(talk) == LETTER
        assert (linux.lost > 0) == (loss > 0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("loss", WIRES)
def test_linux_takes_what_we_say(family, loss):
    """Our client opens to a server on Linux, sends 205 kB, hears an answer after its FIN (half-close), and both close."""
    with Linux(loss, seed=11) as linux:
        listening = linux.namespace.call(
            lambda: socket.create_server((LINUX[family], PORT), family=socket.AF_INET6 if family == 6 else socket.AF_INET)
        )
        heard = Letter()
        connection = connected(linux, family, heard)

        def serve() -> bytes:
            with listening, listening.accept()[0] as linux_end:
                linux_end.settimeout(50)
                got = b""
                while part := linux_end.recv(1 << 16):
                    got += part
                linux_end.sendall(b"thanks")
                return got

        assert linux.during(serve) == LETTER
        linux.run(lambda: connection.state in (State.TIME_WAIT, State.CLOSED))
        assert bytes(heard.data) == b"thanks"
        assert (linux.lost > 0) == (loss > 0)


def test_a_closed_port_refuses_both_ways():
    """Linux's connect is refused by our RST, and ours by Linux's."""
    with Linux() as linux:
        assert isinstance(linux.during(lambda: socket.create_connection((OURS[4], 81), timeout=20)), ConnectionRefusedError)
        connection = connected(linux, 4, Letter())
        linux.run(lambda: connection.state == State.CLOSED)
        assert "refused" in str(connection.error).lower()


def test_a_window_that_closes_opens_again():
    """A Linux reader that sleeps closes its window; ours probes, waits, and loses nothing."""
    with Linux() as linux:
        listening = linux.namespace.call(lambda: socket.create_server((LINUX[4], PORT)))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connected(linux, 4, Letter())

        def serve() -> bytes:
            with listening, listening.accept()[0] as linux_end:
                linux_end.settimeout(50)
                time.sleep(1.0)
                got = b""
                while part := linux_end.recv(1 << 16):
                    got += part
                return got

        assert linux.during(serve) == LETTER


def test_linux_pings_us():
    """An echo request from a raw socket of Linux, larger than the wire takes, comes back byte for byte in fragments."""
    echo = bytes(ICMP(id=7, seq=1) / LETTER[:4000])

    def ping() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            raw.settimeout(20)
            raw.sendto(echo, (OURS[4], 0))
            return raw.recv(1 << 16)

    with Linux() as linux:
        answer = IP(linux.during(ping))
    assert (answer[ICMP].type, answer[ICMP].id, bytes(answer[ICMP].payload)) == (0, 7, LETTER[:4000])
