"""Names that would make one id."""

from ipaddress import ip_address, ip_network

from emulator.model.entities import Instance, NetworkInterface, Subnet, Vpc
from emulator.model.files import dump, loads
from emulator.model.topology import Topology

APART = """
topology: apart
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    subnets: {one: {cidr_block: 10.0.1.0/24}}
    instances:
      a:
        interfaces: {eth0: {subnet: one, private_ip: 10.0.1.10}, eth1: {subnet: one, private_ip: 10.0.1.11}}
      a-eth1: {subnet: one, private_ip: 10.0.1.12}
"""


def test_an_interface_and_an_instance_of_like_names():
    """``a:eth1`` and ``a-eth1:eth0`` are two interfaces, from a file and from Python, and stay so when they are saved."""
    read = loads(APART)
    again = loads(dump(read))
    made = Topology.of(
        Vpc("lab", (ip_network("10.0.0.0/16"),)),
        Subnet("one", "lab", (ip_network("10.0.1.0/24"),)),
        Instance("a", "lab"),
        Instance("a-eth1", "lab"),
        *(
            NetworkInterface(name, instance, "one", (ip_address(address),))
            for instance, name, address in (("a", "eth0", "10.0.1.10"), ("a", "eth1", "10.0.1.11"), ("a-eth1", "eth0", "10.0.1.12"))
        ),
    )
    for topology in (read, again, made):
        shown = {topology.display(eni.id): str(eni.private_ips[0]) for eni in topology.all(NetworkInterface)}
        assert shown == {"a:eth0": "10.0.1.10", "a:eth1": "10.0.1.11", "a-eth1:eth0": "10.0.1.12"}
        assert str(topology.find("a-eth1:eth0").private_ips[0]) == "10.0.1.12"
