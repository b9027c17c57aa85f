"""What others take for the same packets: Scapy, dpkt, and the Linux kernel's own forwarding path."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

Rate = float
"""Packets a second."""

_RULES = """
table inet bench {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    %s
  }
}
"""


def scapy_rate(path: Path, packets: int = 3000) -> Rate:
    """Scapy: read, dissect, look at addresses and ports."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.utils import PcapReader

    with PcapReader(str(path)) as reader:
        reader.read_packet()
        begin = time.process_time()
        for _ in range(packets):
            packet = reader.read_packet()
            network = packet[IP] if IP in packet else packet[IPv6]
            transport = packet.getlayer(TCP) or packet.getlayer(UDP)
            _ = network.src, network.dst, transport.dport if transport is not None else 0
        return packets / (time.process_time() - begin)


def dpkt_rate(path: Path, packets: int = 50_000) -> Rate:
    """dpkt: read and parse."""
    import dpkt

    with path.open("rb") as file:
        reader = iter(dpkt.pcap.Reader(file))
        begin = time.process_time()
        for _, (_, frame) in zip(range(packets), reader, strict=False):
            network = dpkt.ethernet.Ethernet(frame).data
            _ = network.src, network.dst, getattr(network.data, "dport", 0)
        return packets / (time.process_time() - begin)


def kernel_rate(path: Path, rules: int = 300) -> Rate | str:
    """Linux: tcpreplay → veth → nftables forward chain with connection tracking → veth; why not, where it cannot be."""
    missing = [program for program in ("tcpreplay", "nft", "ip", "unshare") if shutil.which(program) is None]
    if missing:
        return f"no {', '.join(missing)}"
    if os.geteuid() != 0:
        return "root is needed"
    ports = "\n    ".join(f"tcp dport {2000 + number} accept" for number in range(rules // 2))
    ports += "\n    " + "\n    ".join(f"udp dport {30_000 + number} accept" for number in range(rules - rules // 2))
    with tempfile.TemporaryDirectory() as folder:
        rules_file, script = Path(folder, "rules.nft"), Path(folder, "run.sh")
        rules_file.write_text(_RULES % (ports + "\n    tcp dport 2000-3000 accept\n    meta l4proto { icmp, ipv6-icmp } accept"))
        script.write_text(_SCRIPT.format(rules=rules_file, capture=path))
        done = subprocess.run(["unshare", "-n", "-m", "sh", str(script)], capture_output=True, text=True, check=False)
    found = re.search(r"Rated:.*?([\d.]+) pps", done.stdout)
    passed = re.search(r"forwarded (\d+)", done.stdout)
    if found is None or passed is None or int(passed.group(1)) == 0:
        return (done.stderr.strip().splitlines() or ["nothing came through"])[-1]
    return float(found.group(1))


_SCRIPT = """
set -e
mount -t tmpfs none /run && mkdir -p /run/netns && ip netns add sink
ip link add dev in0 type veth peer name feed
ip link add dev out0 type veth peer name far
ip link set far netns sink
ip link set lo up; ip link set in0 address 02:00:00:00:00:02; ip link set in0 up; ip link set feed up; ip link set out0 up
ip netns exec sink ip link set far up
ip addr add 192.0.2.1/24 dev out0
ip -6 addr add 2001:db8:ffff::1/64 dev out0 nodad
echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done
for f in /proc/sys/net/ipv4/conf/*/accept_local; do echo 1 > $f; done
ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:09 dev out0
ip -6 neigh add 2001:db8:ffff::2 lladdr 02:00:00:00:00:09 dev out0
ip route add default via 192.0.2.2 dev out0
ip -6 route add default via 2001:db8:ffff::2 dev out0
echo 2000000 > /proc/sys/net/netfilter/nf_conntrack_max 2>/dev/null || true
nft -f {rules}
tcpreplay --topspeed --preload-pcap -i feed {capture}
echo forwarded $(sed -n 's/^ *out0://p' /proc/net/dev | awk '{{print $10}}')
"""

PEERS: dict[str, Callable[[Path], Rate | str]] = {
    "Scapy, read and dissect": scapy_rate,
    "dpkt, parse": dpkt_rate,
    "Linux: veth, nftables, tracking": kernel_rate,
}
