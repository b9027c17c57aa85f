"""A wire between one of our hosts and the Linux kernel's own network stack, in real time.

our host ─ pump ─ tun0 ─ Linux (a namespace without a name, gone with the process)
"""

import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Self

from emulator.hosts.base import Send
from emulator.hosts.dns import Names
from emulator.hosts.host import Host
from emulator.model.topology import Topology
from emulator.wire.packet import Packet
from tests.oracles.kernel import Namespace

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 1, 0x1000
LINUX = {4: "10.9.0.1", 6: "fd00::1"}
OURS = {4: "10.9.0.2", 6: "fd00::2"}
MTU = 1500
PATIENCE_S = 60


def why_no_tun() -> str:
    """Why there can be no such wire here; empty if there can."""
    try:
        with Linux():
            return ""
    except OSError as trouble:
        return f"no tun device: {trouble}"


class Linux:
    """The kernel on the other end of a wire from ``ours``.

    Parameters
    ----------
    loss : the share of datagrams that the wire loses, each way; drawn from ``seed``

    Attributes
    ----------
    lost : datagrams that it has lost
    """

    def __init__(self, loss: float = 0.0, seed: int = 0) -> None:
        self.ours = Host("ours", tuple(map(ip_address, OURS.values())), (), Names(Topology.of()), mtu=MTU)
        self._loss, self._random = loss, random.Random(seed)
        self._due: list[tuple[int, int, bytes]] = []
        self._count = 0
        self.lost = 0
        self.namespace = Namespace()
        try:
            self._tun = self.namespace.call(_tun)
            addresses = (f"addr add {LINUX[4]}/24 dev tun0", f"addr add {LINUX[6]}/64 dev tun0 nodad")
            self.namespace.run("ip", f"link set tun0 up mtu {MTU}", "link set lo up", *addresses)
        except OSError:
            self.namespace.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *trouble: object) -> None:
        os.close(self._tun)
        self.namespace.close()

    def during(self, work: Callable[[], Any]) -> Any:
        """What a program on Linux gives, while our host and the wire are alive."""
        outcome: list[Any] = []

        def program() -> None:
            try:
                outcome.append(self.namespace.call(work))
            except OSError as trouble:
                outcome.append(trouble)

        thread = threading.Thread(target=program, daemon=True)
        thread.start()
        self.run(lambda: not thread.is_alive())
        return outcome[0]

    def run(self, stop: Callable[[], bool]) -> None:
        """Carry datagrams both ways until ``stop`` is true.

        Raises
        ------
        TimeoutError : it did not become true.
        """
        give_up = time.monotonic() + PATIENCE_S
        while not stop():
            if time.monotonic() > give_up:
                raise TimeoutError("the conversation has not come to its end")
            self._later(self.ours.flush(time.monotonic_ns()))
            self._turn()

    def _turn(self) -> None:
        """Wait for a datagram, a timer or a moment, and do what is due."""
        now = time.monotonic_ns()
        timer = self.ours.get_timer()
        due = min([now + 5_000_000, *([timer] if timer is not None else []), *(item[0] for item in self._due[:1])])
        if select.select([self._tun], [], [], max(0, due - now) / 1e9)[0]:
            datagram = os.read(self._tun, 1 << 16)
            if self._arrives():
                self._later(self.ours.receive(Packet.parse(datagram), time.monotonic_ns()))
        now = time.monotonic_ns()
        if timer is not None and timer <= now:
            self._later(self.ours.handle_timer(now))
        while self._due and self._due[0][0] <= now:
            datagram = heapq.heappop(self._due)[2]
            if self._arrives():
                os.write(self._tun, datagram)

    def _later(self, sends: list[Send]) -> None:
        for send in sends:
            self._count += 1
            heapq.heappush(self._due, (time.monotonic_ns() + send.delay_ns, self._count, send.datagram))

    def _arrives(self) -> bool:
        arrives = self._random.random() >= self._loss
        self.lost += not arrives
        return arrives


def _tun() -> int:
    """A tun device of this namespace: raw IP datagrams, one a read or write."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"tun0", _IFF_TUN | _IFF_NO_PI))
    return tun
