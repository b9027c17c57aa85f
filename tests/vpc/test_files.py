"""Topology files say transit gateways, endpoints, balancers and customer networks, and read them back the same."""

import re

import pytest

from emulator.errors import TopologyError
from emulator.model.files import dump, loads
from emulator.network import Network

TEXT = """\
topology: everything
vpcs:
  a:
    cidr_block: 10.0.0.0/16
    internet_gateway: {name: igw, route_table: edge}
    vpn_gateway: vgw
    subnets:
      a1: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: out}
      a2: {cidr_block: 10.0.2.0/24, availability_zone: b}
    route_tables:
      edge: []
      out:
        propagating: [vgw]
        routes:
          - {destination: 0.0.0.0/0, target: igw}
          - {destination: 10.1.0.0/16, target: hub}
    prefix_lists: {s3-list: [52.216.0.0/15]}
    security_groups:
      open: {ingress: [{type: All traffic, source: 0.0.0.0/0}]}
    vpc_endpoints:
      s3: {type: Gateway, prefix_list: s3-list, route_tables: [out]}
      queue: {type: Interface, service: sqs, security_groups: [open], nodes: [{subnet: a1, private_ip: 10.0.1.77}]}
    target_groups:
      servers: {port: 8080, targets: [web, {target: "web-2:eth0", port: 81}]}
      addresses: {port: 53, protocol: udp, target_type: ip, targets: [10.0.1.10], preserve_client_ip: false}
    network_load_balancers:
      front:
        nodes: [{subnet: a1, private_ip: 10.0.1.80, elastic_ip: 198.51.100.80}]
        listeners: [{port: 80, target_group: servers}, {port: 53, protocol: udp, target_group: addresses}]
        cross_zone: true
    instances:
      web: {subnet: a1, private_ip: 10.0.1.10, security_groups: [open]}
      web-2: {subnet: a2, private_ip: 10.0.2.10, security_groups: [open]}
  b:
    cidr_block: 10.1.0.0/16
    subnets: {b1: {cidr_block: 10.1.1.0/24, availability_zone: a}}
    route_tables: {main: [{destination: 10.0.0.0/16, target: hub}]}
    security_groups:
      all: {ingress: [{type: All traffic, source: 10.0.0.0/8}]}
    instances: {y: {subnet: b1, private_ip: 10.1.1.10, security_groups: [all]}}
transit_gateways:
  hub:
    security_group_referencing: true
    attachments:
      to-a: {vpc: a, subnets: [a1], appliance_mode: true}
      to-b: {vpc: b, subnets: [b1]}
      to-lab: {network: lab, propagates_to: []}
  far:
    route_tables:
      red: {routes: [{destination: 10.9.0.0/16, blackhole: true}, {destination: 10.8.0.0/16, attachment: across}]}
    attachments:
      across: {peer: hub}
      alone: {network: remote, associated: false}
customer_networks:
  office: {cidr_blocks: [192.168.0.0/16], vpn_gateway: vgw, connection: direct_connect}
  lab: {cidr_blocks: [172.20.0.0/16]}
  remote: {cidr_blocks: [172.21.0.0/16], up: false}
internet:
  pc: {ip: 192.168.1.5}
  bucket: {ip: 52.216.1.1}
expect:
  - {source: web, destination: y, type: SSH, reachable: true}
"""


def test_a_file_is_read_and_written_the_same():
    """What is saved reads back as the same topology, and saving it again gives the same text."""
    topology = loads(TEXT, "everything.yaml")
    text = dump(topology)
    again = loads(text, "again.yaml")
    assert dump(again) == text
    assert _bare(again) == _bare(topology)


def _bare(topology):
    """The entities without the places where they were written."""
    return {key: re.sub(r"place='[^']*'", "", repr(entity)) for key, entity in topology.entities.items()}


def test_what_a_file_says_carries_packets():
    """The topology of a file runs: across the transit gateway, to the office, to the balancer, to the bucket."""
    network = Network(loads(TEXT, "everything.yaml"), compiled=False)
    for source, destination, service in (
        ("web", "y", "tcp/22"),
        ("web", "pc", "tcp/22"),
        ("web", "bucket", "tcp/443"),
        ("web", "queue", "tcp/443"),
        ("internet", "front", "tcp/80"),
    ):
        explained = network.explain(source, destination, service)
        assert explained.forward.accepted, f"{source} → {destination}: {explained.forward}"
        assert explained.back is None or explained.back.accepted, str(explained.back)


@pytest.mark.parametrize(
    ("old", "new", "trouble"),
    [
        pytest.param(
            "type: Gateway, prefix_list: s3-list,", "type: Gateway,", "`prefix_list` is missing", id="a gateway endpoint needs a list"
        ),
        pytest.param("peer: hub", "peer: hob", "no transit gateway is called hob; did you mean hub?", id="an unknown transit gateway"),
        pytest.param("target_group: servers", "target_group: server", "did you mean servers?", id="an unknown target group"),
        pytest.param("associated: false", "asociated: false", "did you mean `associated`?", id="an unknown field"),
    ],
)
def test_mistakes_are_named_with_their_line(old, new, trouble):
    """A mistake is one line with its place and the way out."""
    with pytest.raises(TopologyError) as caught:
        loads(TEXT.replace(old, new), "everything.yaml")
    assert any(trouble in line and line.startswith("everything.yaml:") for line in caught.value.problems)
