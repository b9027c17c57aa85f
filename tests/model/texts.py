"""Topology files that several tests read."""

import pytest

from emulator.errors import TopologyError
from emulator.model.files import loads

EVERYTHING = """\
# all that a file can say
topology: everything
vpcs:
  shop:
    id: vpc-0shop
    cidr_block: 10.0.0.0/16
    cidr_blocks: [10.1.0.0/16]
    ipv6_cidr_block: 2001:db8:0:100::/56
    internet_gateway: {name: igw, route_table: edge}
    egress_only_internet_gateway: {name: eigw, id: eigw-0123}
    subnets:
      public-a: {cidr_block: 10.0.1.0/24, ipv6_cidr_block: "2001:db8:0:100::/64", route_table: public, network_acl: edge}
      private-a: {cidr_block: 10.1.1.0/24, availability_zone: b, id: subnet-0private, block_public_access: "off"}
    block_public_access: block-ingress
    main_route_table: private
    route_tables:
      public:
        - {destination: 0.0.0.0/0, target: igw}
        - {destination: "::/0", target: eigw}
        - {destination: office, target: lab}
        - {destination: 192.168.0.0/16, target: "proxy:eth1"}
        - {destination: 172.16.0.0/12, blackhole: true}
      private:
        id: rtb-0private
        routes:
          - {destination: 0.0.0.0/0, target: nat, propagated: true}
      edge: [{destination: 10.0.1.0/24, target: "proxy:eth1"}]
    network_acls:
      edge:
        ingress:
          - {rule: 100, action: deny, type: SSH, source: 203.0.113.66/32}
          - {rule: 200, action: allow, protocol: all, source: 0.0.0.0/0}
        egress:
          - {rule: 100, action: allow, type: All traffic, destination: 0.0.0.0/0}
    prefix_lists:
      office: [203.0.113.0/24]
      partners: {entries: [198.51.100.0/25], max_entries: 5, id: pl-0partners}
    security_groups:
      web:
        description: Web servers
        ingress:
          - {type: HTTPS, source: 0.0.0.0/0, description: Everyone}
          - {protocol: tcp, ports: 8000-8099, source: office, id: sgr-0123}
          - {protocol: udp, ports: 53, source: web}
          - {protocol: icmp, icmp_type: 3, icmp_code: 4, source: pl-0partners}
          - {protocol: 47, source: lab/peer}
        egress: []
        id: sg-0web
    nat_gateways:
      nat:
        subnet: public-a
        private_ip: 10.0.1.5
        elastic_ip: 198.51.100.5
        secondary_ips: [10.0.1.6, {private_ip: 10.0.1.7, elastic_ip: 198.51.100.7}]
      inner: {subnet: private-a}
    instances:
      web-1:
        instance_type: m8i.large
        listen: [HTTPS, tcp/8080, "47"]
        max_tracked_connections: 100
        subnet: public-a
        private_ip: 10.0.1.10
        private_ips: [10.0.1.11]
        ipv6: "2001:db8:0:100::10"
        elastic_ip: 198.51.100.10
        security_groups: [web, default]
        connection_tracking: {tcp_established: 5m, udp: 60s, udp_stream: 2m}
      proxy:
        interfaces:
          eth0: {subnet: public-a, source_dest_check: false}
          eth1: {subnet: private-a, private_ips: [10.1.1.9, 10.1.1.10], elastic_ips: {10.1.1.10: 198.51.100.11}, id: eni-0proxy}
  lab:
    cidr_block: 172.20.0.0/16
    subnets:
      public-a: {cidr_block: 172.20.1.0/24}
    security_groups: {peer: {}}
    instances:
      web-1: {subnet: public-a, listen: []}
vpc_peering_connections:
  lab: {requester: shop, accepter: lab}
internet:
  customer: {ip: 192.0.2.77, listen: [DNS]}
  twin: {ips: [192.0.2.78, "2001:db8:ffff::78"]}
links:
  - {between: [customer, igw], latency: 40ms, rate: 50Mbps, queue: 64KB, loss: 0.1%}
  - between: ["proxy:eth1", "lab/web-1:eth0"]
    latency: 1.5s
    jitter: 5ms
    faults:
      - {start: 0s, end: 2s, down: true}
      - {start: 3s, end: 4s, latency: 9ms, loss: 2%}
expect:
  - {source: customer, destination: i-web-1-0shop, type: HTTPS, reachable: true}
  - {source: internet, destination: 10.0.1.10, service: icmp, reachable: false, because: ENI_SG_RULES_MISMATCH}
policy: {ct.midstream_tcp: pickup, ct.icmp_s: 1m, ct.autotrack: 2023, igw.hairpin: false, fabric.mtu_of_captures: true, seed: 7}
map: {192.168.1.6: proxy}
"""


def place_of(written):
    """The place of the line of EVERYTHING in which a text stands first."""
    return f"all.yaml:{EVERYTHING[: EVERYTHING.index(written)].count(chr(10)) + 1}"


def problems(text, name="web.yaml"):
    """The lines that a text is refused with."""
    with pytest.raises(TopologyError) as caught:
        loads(text, name)
    return list(caught.value.problems)


def in_vpc(inside, beside=""):
    """A file with one VPC that has a subnet, and more."""
    base = "topology: t\nvpcs:\n  shop:\n    cidr_block: 10.0.0.0/16\n    subnets: {a: {cidr_block: 10.0.1.0/24}}\n"
    return base + "".join(f"    {line}\n" for line in inside.splitlines()) + beside


def in_rule(rule, direction="ingress"):
    """A file with one rule of one group, in line 6."""
    return in_vpc(f"security_groups: {{web: {{{direction}: [{{{rule}}}]}}}}")
