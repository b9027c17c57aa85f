"""What a trace says of its packet."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.packet import Raw

from emulator import Network

CUSTOMER, WEB = "192.0.2.77", "198.51.100.10"
CUSTOMER_V6, WEB_V6 = "2001:db8:ffff::77", "2001:db8:a::10"


@pytest.mark.parametrize(
    ("packet", "headline"),
    [
        pytest.param(IP(src=CUSTOMER, dst=WEB) / TCP(sport=50000, dport=443), f"{CUSTOMER}:50000 → {WEB}:443 tcp", id="ports"),
        pytest.param(
            IPv6(src=CUSTOMER_V6, dst=WEB_V6) / TCP(sport=1, dport=443), f"[{CUSTOMER_V6}]:1 → [{WEB_V6}]:443 tcp", id="ports over IPv6"
        ),
        pytest.param(IP(src=CUSTOMER, dst=WEB) / ICMP(type=3, code=4), f"{CUSTOMER} → {WEB} icmp/3/4", id="type and code"),
        pytest.param(IPv6(src=CUSTOMER_V6, dst=WEB_V6) / ICMPv6EchoRequest(), f"{CUSTOMER_V6} → {WEB_V6} icmpv6/128/0", id="ICMPv6"),
        pytest.param(IP(src=CUSTOMER, dst=WEB, proto=47) / Raw(bytes(8)), f"{CUSTOMER} → {WEB} 47", id="a protocol without ports"),
    ],
)
def test_the_headline_has_what_its_protocol_has(topologies, packet, headline):
    """Ports are named where there are ports, type and code where there are those, and nothing is made up."""
    trace = Network(topologies / "web-server.yaml").send(packet)
    assert trace.headline == headline
    assert headline in str(trace)
