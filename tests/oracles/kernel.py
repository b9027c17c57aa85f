"""A router of the Linux kernel's own: nftables and connection tracking between two ports that take and give raw frames.

    port in1 ═ in0 ┐                        ┌ out0 ═ out1 port
    (the interface's side)   ip forward     (the rest of the world)
                    └─ raw ─ conntrack ─ filter ─┘

Two network namespaces without names, one for the router and one for the ports, live as long as this process holds them
open: nothing has to be removed, and nothing is left behind however the process ends.  A frame that goes in at one port
and is accepted comes out at the other.  Each is known again by its marker: the identification field of IPv4, the flow
label of IPv6 (RFC 6437).

Everything runs on one processor, on which veth's receive queue is first in, first out, so order is kept, and the answer
to "has it come?" is known when a sentinel sent behind it has come.
"""

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000
_SO_RCVBUFFORCE, _SOL_PACKET, _PACKET_IGNORE_OUTGOING, _ETH_P_ALL = 33, 263, 23, 3
_RECEIVE_BYTES = 64 << 20
_BURST = 128
_PATIENCE_S = 120
INSIDE, OUTSIDE = 0, 1
PORTS, ROUTER = ("in1", "out1"), ("in0", "out0")
MTU = 65_535
PORT_MACS = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
ROUTER_MACS = (bytes.fromhex("0200000000a1"), bytes.fromhex("0200000000a2"))
SENTINELS = ("192.0.2.1", "192.0.2.2")
HIGHEST_MARKER = {4: 0xFFFF, 6: 0xFFFFF}


def why_not() -> str:
    """Why no router can be made here; empty if one can."""
    if os.name != "posix" or not hasattr(os, "geteuid"):
        return "the kernel is not Linux"
    if os.geteuid() != 0:
        return "it needs root, to make network namespaces"
    for tool in ("ip", "nft"):
        if not any((Path(folder) / tool).exists() for folder in ("/usr/sbin", "/sbin", "/usr/bin", "/bin")):
            return f"the program {tool} is not installed"
    try:
        with Namespace() as namespace:
            namespace.run("nft", "add table inet probe")
            namespace.run("ip", "link add probe0 type veth peer name probe1")
    except OSError as error:
        return f"no network namespace with nftables can be made: {error}"
    return ""


class Namespace:
    """A network namespace without a name; it is gone when it is closed, or with the process."""

    def __init__(self) -> None:
        self.fd = _in_thread(_unshared)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @property
    def path(self) -> str:
        """A path by which other programs find it while it is open."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def call(self, work: Callable[[], T]) -> T:
        """The result of a function that runs inside."""

        def inside() -> T:
            _libc("setns", self.fd, _CLONE_NEWNET)
            return work()

        return _in_thread(inside)

    def run(self, program: str, *batch: str) -> str:
        """Lines for ``ip`` or ``nft``, run inside in one go; gives what it printed."""
        command = {"ip": ["ip", "-batch", "-"], "nft": ["nft", "-f", "-"]}[program]
        return self._program(command, "\n".join(batch) + "\n")

    def sysctl(self, **values: int) -> None:
        """Set kernel settings inside; a double underscore stands for a slash."""

        def write() -> None:
            for name, value in values.items():
                Path("/proc/sys/net", name.replace("__", "/")).write_text(f"{value}\n")

        self.call(write)

    def json(self, *arguments: str) -> str:
        """What ``nft -j`` answers inside."""
        return self._program(["nft", "-j", *arguments], "")

    def _program(self, command: list[str], text: str) -> str:
        done = self.call(lambda: subprocess.run(command, input=text, text=True, check=False, capture_output=True, timeout=60))
        if done.returncode != 0:
            raise OSError(f"{command[0]}: {done.stderr.strip()}")
        return done.stdout


def _libc(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _unshared() -> int:
    _libc("unshare", _CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _in_thread(work: Callable[[], T]) -> T:
    """Run in a thread of its own, as a namespace belongs to a thread; gives or raises what it gave or raised."""
    outcome: list[T] = []
    trouble: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            trouble.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if trouble:
        raise trouble[0]
    return outcome[0]


class Frame(NamedTuple):
    """What goes in: at which port, the IP datagram or fragment without link header, its family and marker."""

    port: int
    family: int
    marker: int
    data: bytes


class Router:
    """Two ports and what is between them.

    Parameters
    ----------
    ruleset : for ``nft -f``
    settings : kernel settings below ``/proc/sys/net/netfilter``
    inside : addresses reached at the inside port; all others are reached at the outside one
    """

    def __init__(self, ruleset: str, settings: dict[str, int], inside: Iterable[str]) -> None:
        self._spaces: list[Namespace] = []
        self._sockets: list[socket.socket] = []
        self._numbers: Iterator[int] = iter(range(1, 1 << 30))
        try:
            self._build(ruleset, settings, inside)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of ports and namespaces."""
        for port in self._sockets:
            port.close()
        for space in self._spaces:
            space.close()

    def _build(self, ruleset: str, settings: dict[str, int], inside: Iterable[str]) -> None:
        ports, self.router = Namespace(), Namespace()
        self._spaces += [ports, self.router]
        ports.sysctl(ipv6__conf__default__disable_ipv6=1)
        self.router.sysctl(
            ipv4__conf__all__rp_filter=0,
            ipv4__conf__default__rp_filter=0,
            ipv6__conf__default__accept_ra=0,
            ipv6__conf__default__accept_dad=0,
        )
        lines = ["link set lo up"]
        for at in (INSIDE, OUTSIDE):
            mac, own = PORT_MACS[at].hex(":"), ROUTER_MACS[at].hex(":")
            lines += [
                f"link add {ROUTER[at]} address {own} mtu {MTU} type veth peer name {PORTS[at]} address {mac} mtu {MTU} netns {ports.path}",
                f"link set {ROUTER[at]} addrgenmode none",
                f"link set {ROUTER[at]} arp off up",
            ]
        self.router.run("ip", *lines)
        ports.run("ip", *(f"link set {port} arp off up" for port in PORTS))
        for at, via in ((INSIDE, SENTINELS[0]), (OUTSIDE, SENTINELS[1])):
            peer, mac = f"fe80::{at + 1}", PORT_MACS[at].hex(":")
            blocks = [SENTINELS[0], *inside] if at == INSIDE else ["default", "::/0"]
            self.router.run(
                "ip",
                *(f"neigh add {gateway} lladdr {mac} dev {ROUTER[at]} nud permanent" for gateway in (via, peer)),
                *(f"route add {block} via {peer if ':' in block else via} dev {ROUTER[at]} onlink" for block in blocks),
            )
        self.router.run("nft", *ruleset.splitlines())
        self.router.sysctl(ipv4__conf__all__forwarding=1, ipv6__conf__all__forwarding=1, ipv4__conf__all__send_redirects=0)
        self.router.sysctl(**{f"netfilter__{name}": value for name, value in settings.items()})
        self._sockets = ports.call(lambda: [_open_port(name) for name in PORTS])

    def cross(self, frames: Iterable[Frame]) -> set[tuple[int, int]]:
        """Send frames in this order; gives (family, marker) of those that came out at the other side."""
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(allowed)})
        try:
            come: set[tuple[int, int]] = set()
            for number, frame in enumerate(frames, 1):
                self._sockets[frame.port].send(_framed(frame.port, frame.family, frame.data))
                if number % _BURST == 0:
                    self._flush(come)
            self._flush(come)
            return come
        finally:
            os.sched_setaffinity(0, allowed)

    def _note(self, data: bytes, come: set[tuple[int, int]]) -> int:
        """Note a frame's marker; gives the number of a sentinel, 0 for anything else."""
        kind = data[12:14]
        if kind == b"\x08\x00":
            if data[26:30] in _SENTINEL_BYTES:
                return int.from_bytes(data[42:46], "big")
            come.add((4, int.from_bytes(data[18:20], "big")))
        elif kind == b"\x86\xdd":
            come.add((6, int.from_bytes(data[14:18], "big") & 0xFFFFF))
        return 0

    def _flush(self, come: set[tuple[int, int]]) -> None:
        """Send a sentinel each way and wait until it has come out: by then everything before it has, or never will.

        A burst between two of them is far below what the receive queue of a processor holds (1,000 frames), so nothing is
        lost on the way, however late the kernel gets to it.
        """
        number = next(self._numbers)
        payload = bytes(8) + number.to_bytes(4, "big")
        for port in (INSIDE, OUTSIDE):
            ends = _SENTINEL_BYTES if port == INSIDE else _SENTINEL_BYTES[::-1]
            header = bytearray(b"\x45\0" + (20 + len(payload)).to_bytes(2, "big") + b"\0\0\0\0\x40\xfd\0\0" + b"".join(ends))
            header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
            self._sockets[port].send(_framed(port, 4, bytes(header) + payload))
        for port in self._sockets:
            while self._note(port.recv(64), come) != number:
                pass

    def marked(self, *sets: str) -> dict[str, set[int]]:
        """The members of named sets of the ruleset, which the rules fill with markers."""
        import json

        found = {}
        for name in sets:
            answer = json.loads(self.router.json("list", "set", "inet", "oracle", name))
            elements = next(item["set"].get("elem", []) for item in answer["nftables"] if "set" in item)
            found[name] = {int(element["elem"]["val"] if isinstance(element, dict) else element) for element in elements}
        return found


_SENTINEL_BYTES = [socket.inet_aton(address) for address in SENTINELS]


def _open_port(name: str) -> socket.socket:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    port.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
    port.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    port.bind((name, _ETH_P_ALL))
    port.settimeout(_PATIENCE_S)
    return port


def _framed(port: int, family: int, data: bytes) -> bytes:
    return ROUTER_MACS[port] + PORT_MACS[port] + (b"\x08\x00" if family == 4 else b"\x86\xdd") + data


def checksum(header: bytes) -> int:
    """The internet checksum of an even number of bytes (RFC 1071)."""
    total = sum(int.from_bytes(header[at : at + 2], "big") for at in range(0, len(header), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
