"""Machine: an instance or a host outside in the hands of a person, with the commands that one types there."""

from typing import Any, TypeVar

from emulator.clock import parse_duration, parse_size
from emulator.errors import UsageError
from emulator.hosts.base import Socket
from emulator.hosts.host import Host, Task
from emulator.hosts.scapy_service import ScapyService
from emulator.hosts.services import IPERF_PORT, Service
from emulator.hosts.udp import UdpService
from emulator.model.services import TCP, UDP, parse_service
from emulator.model.services import Service as Ports
from emulator.runtime import Runtime
from emulator.verbs.connect import AskUdp, Channel, Connect
from emulator.verbs.curl import Curl, CurlResult
from emulator.verbs.dig import Dig, DigResult
from emulator.verbs.iperf import Iperf, IperfResult
from emulator.verbs.ping import Ping, PingResult
from emulator.verbs.scan import PORTS, Scan, ScanResult
from emulator.verbs.traceroute import MOST_HOPS, Traceroute, TracerouteResult

T = TypeVar("T", bound=Task)


class Machine:
    """One machine of a running network; get it by ``network["web-1"]``.

    Each command runs in the network's time, and everything else goes on meanwhile.

    Examples
    --------
    >>> from emulator import Network
    >>> network = Network("topologies/web-server.yaml")
    >>> print(network["customer"].curl("http://web-1/").text.strip())
    Hello from web-1
    >>> network["customer"].connect("web-1", 22, timeout="5s").outcome
    'timed out'
    """

    def __init__(self, runtime: Runtime, key: str, name: str) -> None:
        self.runtime, self.key, self.name = runtime, key, name

    @property
    def host(self) -> Host:
        """Its network stack."""
        return self.runtime.hosts[self.key]

    def __repr__(self) -> str:
        return f"{self.name} ({', '.join(map(str, self.host.addresses))})"

    def run(self, program: T) -> T:
        """Run a client program to its end."""
        runtime = self.runtime
        runtime.act(self.key, self.host.run(program, runtime.engine.now_ns))
        runtime.run(stop=lambda: program.done)
        return program

    def ping(
        self,
        target: str,
        count: int = 4,
        *,
        interval: str = "1s",
        size: int = 56,
        ttl: int = 64,
        dont_fragment: bool = False,
        timeout: str = "10s",
        version: int | None = None,
    ) -> PingResult:
        """Send echo requests and count the answers.

        Parameters
        ----------
        size : bytes of data in each
        dont_fragment : set the bit, so that what is too long for the path is refused by it (``ping -M do``)
        timeout : how long the last answer is waited for
        version : 4 or 6 to insist on a family
        """
        _positive("count", count)
        options = {"interval_ns": parse_duration(interval), "linger_ns": parse_duration(timeout), "ttl": ttl, "version": version}
        return self.run(Ping(self.host, target, count=count, size=size, dont_fragment=dont_fragment, **options)).result  # type: ignore[arg-type]

    def connect(self, target: str, port: int | str, *, timeout: str | None = None, version: int | None = None) -> Channel:
        """Open a TCP connection; gives it, open or with the reason why not.

        Parameters
        ----------
        port : 443, ``tcp/443`` or a console word such as HTTPS
        timeout : None waits as long as TCP tries, 127 s
        """
        program = Connect(self.host, target, _port(port, TCP), timeout_ns=_duration(timeout), version=version)
        self.run(program)
        channel = Channel(target, str(program.destination or ""), program.port, program.outcome, program.ended_ns - program.began_ns)
        channel.trouble, channel.runtime, channel.key = program.trouble, self.runtime, self.key
        if program.connection is not None:
            channel.pair, channel._last = (program.connection.local, program.connection.remote), program.connection
        return channel

    def ask(self, target: str, port: int | str, data: bytes | str = b"?", *, timeout: str = "2s", version: int | None = None) -> Channel:
        """Send one UDP datagram; ``outcome`` is ``open`` (answered), ``refused`` or ``no answer``."""
        raw = data.encode() if isinstance(data, str) else data
        program = AskUdp(self.host, target, _port(port, UDP), raw, timeout_ns=parse_duration(timeout), version=version)
        self.run(program)
        took = program.ended_ns - program.began_ns
        return Channel(target, str(program.destination or ""), program.port, program.outcome, took, program.trouble, "udp")

    def curl(self, url: str, *, timeout: str | None = None, version: int | None = None) -> CurlResult:
        """GET a page over HTTP/1.1."""
        return self.run(Curl(self.host, url, timeout_ns=_duration(timeout), version=version)).result

    def dig(self, name: str, kind: str = "A", *, server: str | None = None) -> DigResult:
        """Ask the resolver (or another server) for a name."""
        return self.run(Dig(self.host, name, kind, server)).result

    def traceroute(self, target: str, *, icmp: bool = False, hops: int = MOST_HOPS, version: int | None = None) -> TracerouteResult:
        """Who answers at each time to live."""
        return self.run(Traceroute(self.host, target, icmp=icmp, hops=hops, version=version)).result

    def scan(self, target: str, ports: "tuple[int, ...] | list[int] | range" = PORTS, *, version: int | None = None) -> ScanResult:
        """Which tcp ports are open, closed or filtered."""
        wanted = tuple(ports)
        if not wanted or not all(0 < port < 65_536 for port in wanted) or len(wanted) > 10_000:
            raise UsageError("scan: name 1 to 10,000 ports from 1 to 65535, such as [22, 80, 443]")
        return self.run(Scan(self.host, target, wanted, version=version)).result

    def iperf(self, target: str, size: str = "10MB", *, port: int = IPERF_PORT, version: int | None = None) -> IperfResult:
        """Send so many bytes over TCP and measure; the other side has to listen (`serve`)."""
        return self.run(Iperf(self.host, target, size=parse_size(size), port=port, version=version)).result

    def serve(self, ports: str, service: "Service | UdpService | Any | None" = None) -> None:
        """Open a port, and say what answers there.

        Parameters
        ----------
        ports : ``tcp/8080``, ``udp/53``, ``icmp``, ``47``, a console word
        service : for tcp a `Service`; otherwise a function from a Scapy packet to Scapy packets, or an AnsweringMachine;
            None for the port's own default (HTTP on 80, echo on most)
        """
        try:
            wanted = parse_service(ports)
        except ValueError as trouble:
            raise UsageError(str(trouble)) from None
        host = self.host
        if service is None:
            host.served = (*host.served, wanted)
        elif isinstance(service, Service):
            host.services[_port(ports, TCP)] = service
        else:
            host.own.append(ScapyService.of(wanted, service))

    def publish(self, path: str, text: str, port: int = 80) -> None:
        """Put a page on the machine's web server (which has to listen there: `serve`)."""
        from emulator.hosts.http import HttpServer

        server = self.host.service_on(port)
        if not isinstance(server, HttpServer):
            raise UsageError(f"{self.name} has no web server on port {port}; open one with serve('tcp/{port}') or `listen: [HTTP]`")
        server.pages[path if path.startswith("/") else f"/{path}"] = text

    def set_mtu(self, size: int) -> None:
        """Set the largest datagram of the machine's interfaces, as ``ip link set mtu`` does; new connections keep to it."""
        if not 576 <= size <= 9_001:
            raise UsageError(f"mtu {size}: write a number of bytes from 576 to 9001")
        self.host.mtu = size
        self.host.path_mtu.clear()

    def send(self, packet: Any) -> int:
        """Send a Scapy packet as it is, from the machine's interface; gives its number for `Network.trace`.

        An answer to it comes to the machine's own stack, which knows nothing of it: as on a real one, a SYN made by
        hand is followed by a reset.
        """
        from emulator.wire.packet import Packet

        given = Packet.of(packet)
        key = given.five_tuple
        if key.protocol == UDP:
            self.host.udp.spoke(key.source_port, Socket(key.destination, key.destination_port))
        return self.runtime.send(given, min(self.runtime.places_of(self.key)))


def _duration(text: str | None) -> int | None:
    return None if text is None else parse_duration(text)


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise UsageError(f"{name} {value}: write 1 or more")


def _port(port: int | str, protocol: int) -> int:
    """The port that a person means."""
    word = "tcp" if protocol == TCP else "udp"
    if isinstance(port, str):
        try:
            wanted: Ports = parse_service(f"{word}/{port}" if port.isdigit() else port)
        except ValueError as trouble:
            raise UsageError(str(trouble)) from None
        if wanted.protocol != protocol or wanted.ports[0] != wanted.ports[1]:
            raise UsageError(f"{port} is not one {word} port; write a number, such as 443")
        port = wanted.ports[0]
    if not 0 < port < 65_536:
        raise UsageError(f"port {port} lies outside 1 to 65535")
    return port
