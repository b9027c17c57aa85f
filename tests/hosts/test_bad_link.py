"""TCP through the whole network: a link that loses, delays and reorders; tshark reads the capture."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Network, Policy, loads
from emulator.hosts.tcp_connection import Connection
from tests.hosts.wires import Sink

LAB = """
topology: bad-link
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    subnets:
      a: {{cidr_block: 10.0.1.0/24, availability_zone: a}}
      b: {{cidr_block: 10.0.2.0/24, availability_zone: b}}
    security_groups:
      open: {{ingress: [{{type: All traffic, source: 10.0.0.0/16}}]}}
    instances:
      left:  {{subnet: a, private_ip: 10.0.1.10, security_groups: [open]}}
      right: {{subnet: b, private_ip: 10.0.2.10, security_groups: [open]}}
links:
  - {{between: [left, right], latency: 10ms, rate: 200Mbps, loss: {loss}%, reorder: {reorder}}}
"""


class Last(Sink):
    """A sink that counts and keeps only a hash, for large transfers."""

    def received(self, connection: Connection, data: bytes) -> None:
        from hashlib import sha256

        self.count = getattr(self, "count", 0) + len(data)
        self.hash = getattr(self, "hash", sha256())
        self.hash.update(data)


def transferred(size: int, seed: int, loss: float = 5, reorder: str = "5ms") -> tuple[Network, Last, bytes]:
    """A network in which ``left`` has sent so many bytes to ``right``, and the bytes."""
    import random

    from emulator.hosts.base import Socket

    network = Network(loads(LAB.format(loss=loss, reorder=reorder)), policy=Policy(seed=seed))
    data = random.Random(seed).randbytes(size)
    sink = Last()
    network["right"].serve("tcp/9000", sink)
    left = network["left"]
    local = Socket(left.host.addresses[0], left.host.free_port())
    connection = left.host.tcp.connect(local, Socket(network["right"].host.addresses[0], 9000), 0)
    connection.write(data)
    network.runtime.act(left.key, left.host.flush(0))
    network.runtime.run(stop=lambda: getattr(sink, "count", 0) >= size or bool(connection.error))
    connection.close()
    network.runtime.act(left.key, left.host.flush(network.now_ns))
    network.run("5s")
    return network, sink, data


def test_ten_megabytes_arrive_whole():
    """10 MB over 5 % loss, 10 ms and reordering of 5 ms are the bytes that were sent."""
    from hashlib import sha256

    network, sink, data = transferred(10_000_000, seed=1)
    assert sink.count == 10_000_000
    assert sink.hash.digest() == sha256(data).digest()
    lost = {trace.reason for trace in network.drops()}
    assert lost == {"EMU_LINK_LOSS"}


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(1, 2**31), loss=st.sampled_from([0, 5, 20]), reorder=st.sampled_from(["0ms", "5ms", "60ms"]))
def test_any_seed_arrives_whole(seed, loss, reorder):
    """Whatever is lost and overtaken, the same bytes arrive."""
    from hashlib import sha256

    _, sink, data = transferred(120_000, seed, loss, reorder)
    assert sink.hash.digest() == sha256(data).digest()


def test_the_same_seed_is_the_same_run():
    """Two runs with one seed have the same rows; another seed loses other packets."""
    rows = [transferred(100_000, seed)[0].tcpdump().rows for seed in (3, 3, 4)]
    assert rows[0] == rows[1] != rows[2]


def test_tshark_sees_a_clean_conversation(tmp_path):
    """No malformed packet and no wrong checksum; segments again where some were lost; a handshake and two FINs."""
    if shutil.which("tshark") is None:
        pytest.skip("no tshark here")
    network, _, _ = transferred(500_000, seed=2)
    path = tmp_path / "left.pcapng"
    network.tcpdump("left").save(path)
    checks = [word for layer in ("tcp", "ip", "udp") for word in ("-o", f"{layer}.check_checksum:TRUE")]
    done = subprocess.run(["tshark", "-r", str(path), *checks, "-q", "-z", "expert"], capture_output=True, text=True, check=True)
    report = done.stdout
    assert "Malformed" not in report
    assert "Bad checksum" not in report
    assert "checksum" not in report.casefold()
    assert "retransmission" in report
    assert "Connection establish request (SYN)" in report
    assert "Connection finish (FIN)" in report
    fields = ["-T", "fields", "-e", "tcp.flags.reset"]
    flags = subprocess.run(["tshark", "-r", str(path), *fields], capture_output=True, text=True, check=True).stdout.split()
    assert "1" not in flags
    assert "True" not in flags
