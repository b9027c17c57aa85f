"""Topology files: what they may say, and what a person is told about what they may not."""

import os
import re
import subprocess
import sys
import time
from dataclasses import fields
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from emulator.errors import CaptureError, TopologyError
from emulator.model import files
from emulator.model.entities import (
    ConnectionTracking,
    EgressOnlyInternetGateway,
    ExternalHost,
    Fault,
    Instance,
    InternetGateway,
    NetworkInterface,
    Policy,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.fileformat.policyform import settings as policy_settings
from emulator.model.files import dump, load, loads, save
from emulator.model.groups import OPEN_ACL, GroupPeer, ListPeer, NetworkAcl, PrefixList, SecurityGroup
from emulator.model.services import Service
from tests.model.texts import EVERYTHING, in_vpc, place_of, problems

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
EXAMPLES = sorted(TOPOLOGIES.glob("*.yaml"))


@pytest.fixture(scope="module")
def everything():
    """The file that says all a file can say."""
    return loads(EVERYTHING, "all.yaml")


def one(topology, kind, name, vpc=""):
    """The one entity of a kind and name."""
    found = [entity for entity in topology.all(kind) if entity.name == name and vpc in (getattr(entity, "vpc", ""), "")]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_load(path):
    """Every topology that comes with the project loads, and names its place."""
    topology = load(path)
    assert topology.name == path.stem
    assert {entity.place.rpartition(":")[0] for entity in topology.entities.values()} == {str(path), ""}


def test_a_vpc_has_its_blocks_in_order(everything):
    """The primary block comes first, secondary ones after it, IPv6 last."""
    vpc = one(everything, Vpc, "shop")
    assert vpc == Vpc(
        "shop",
        tuple(map(ip_network, ("10.0.0.0/16", "10.1.0.0/16", "2001:db8:0:100::/56"))),
        "vpc-0shop",
        place_of("  shop:"),
        "block-ingress",
    )


def test_gateways_are_named_or_have_fields(everything):
    """A gateway is a name, or a name and an id."""
    assert one(everything, InternetGateway, "igw") == InternetGateway("igw", "vpc-0shop", "igw-igw", place_of("name: igw"), "rtb-edge")
    assert one(everything, EgressOnlyInternetGateway, "eigw").id == "eigw-0123"


def test_routes_lead_where_they_say(everything):
    """Targets are gateways, peerings and interfaces; blackholes have none."""
    table = one(everything, RouteTable, "public")
    assert [route.target for route in table.routes] == ["igw-igw", "eigw-0123", "pcx-lab", "eni-0proxy", ""]
    assert table.routes[2].destination == ListPeer("pl-office")
    assert [route.blackhole for route in table.routes] == [False] * 4 + [True]
    assert [route.place for route in table.routes] == [
        *(place_of(f"target: {target}") for target in ("igw", "eigw", "lab", '"proxy:eth1"')),
        place_of("blackhole"),
    ]


def test_the_main_route_table_is_the_one_that_is_named(everything):
    """`main_route_table` names it, and AWS's empty one is then not made."""
    mains = [(table.name, table.vpc) for table in everything.all(RouteTable) if table.main]
    assert mains == [("private", "vpc-0shop"), ("main", "vpc-lab")]
    assert one(everything, RouteTable, "private").routes[0].propagated


def test_a_table_called_main_is_the_main_one():
    """No second one of that name is made beside it."""
    text = in_vpc("internet_gateway: igw\nroute_tables: {main: [{destination: 0.0.0.0/0, target: igw}]}")
    assert [table.main for table in loads(text).all(RouteTable)] == [True]


def test_rules_of_a_group(everything):
    """A rule has a service, one other side, a description, an id and the place of its line."""
    group = one(everything, SecurityGroup, "web")
    assert [(str(rule.service), rule.peer) for rule in group.ingress] == [
        ("tcp/443", ip_network("0.0.0.0/0")),
        ("tcp/8000-8099", ListPeer("pl-office")),
        ("udp/53", GroupPeer("sg-0web")),
        ("icmp/3/4", ListPeer("pl-0partners")),
        ("47", GroupPeer("sg-peer")),
    ]
    assert [rule.place for rule in group.ingress] == [
        place_of(text) for text in ("Everyone", "8000-8099", "ports: 53", "icmp_type", "47, source")
    ]
    assert (group.ingress[0].description, group.ingress[1].id, group.egress) == ("Everyone", "sgr-0123", ())


def test_rules_of_a_network_acl(everything):
    """A numbered rule allows or denies a block."""
    acl = one(everything, NetworkAcl, "edge")
    assert [(rule.number, rule.allow, str(rule.block), rule.place) for rule in acl.ingress] == [
        (100, False, "203.0.113.66/32", place_of("203.0.113.66")),
        (200, True, "0.0.0.0/0", place_of("rule: 200")),
    ]


def test_prefix_lists_are_lists_or_have_fields(everything):
    """A prefix list is a list of blocks, or that with a size and an id."""
    assert one(everything, PrefixList, "office").weight == 1
    assert one(everything, PrefixList, "partners").weight == 5


def test_an_instance_with_one_interface_has_its_fields(everything):
    """The fields of the one interface stand on the instance, and it is eth0."""
    instance = one(everything, Instance, "web-1", "vpc-0shop")
    assert (instance.instance_type, instance.max_tracked) == ("m8i.large", 100)
    assert instance.listen == (Service(6, (443, 443)), Service(6, (8080, 8080)), Service(47))
    (eni,) = everything.interfaces_of(instance.id)
    assert (eni.name, eni.place, [str(ip) for ip in eni.private_ips]) == (
        "eth0",
        place_of("web-1:\n"),
        ["10.0.1.10", "10.0.1.11", "2001:db8:0:100::10"],
    )
    assert eni.public_ips == ((ip_address("10.0.1.10"), ip_address("198.51.100.10")),)
    assert eni.security_groups == ("sg-0web", "sg-default-0shop")
    assert eni.tracking == ConnectionTracking(300, 60, 120)


def test_an_instance_with_interfaces_has_them_in_order(everything):
    """`interfaces` has a name for each, with its own groups, addresses and check."""
    first, second = everything.interfaces_of("i-proxy")
    assert (first.name, first.source_dest_check, second.name, second.id) == ("eth0", False, "eth1", "eni-0proxy")
    assert second.public_ips == ((ip_address("10.1.1.10"), ip_address("198.51.100.11")),)


def test_two_vpcs_may_use_one_name(everything):
    """Each name means the one of its own VPC, and the ids are told apart."""
    homes = {everything.get(subnet.vpc, Vpc).name: subnet.id for subnet in everything.all(Subnet) if subnet.name == "public-a"}
    assert homes == {"shop": "subnet-public-a-0shop", "lab": "subnet-public-a-lab"}
    (eni,) = everything.interfaces_of("i-web-1-lab")
    assert eni.subnet == "subnet-public-a-lab"


def test_what_stands_beside_the_vpcs(everything):
    """Peerings, hosts outside, links, expectations, settings and the map of addresses."""
    assert one(everything, VpcPeeringConnection, "lab").status == "active"
    assert one(everything, ExternalHost, "customer").listen == (Service(17, (53, 53)),)
    assert [str(ip) for ip in one(everything, ExternalHost, "twin").ips] == ["192.0.2.78", "2001:db8:ffff::78"]
    assert [link.between for link in everything.links] == [("ext-customer", "igw-igw"), ("eni-0proxy", "eni-web-1-lab")]
    assert everything.links[0].loss_ppb == 1_000_000
    assert everything.links[1].jitter_ns == 5_000_000
    assert everything.links[1].faults == (
        Fault(0, 2 * 10**9, True, place=place_of("down: true")),
        Fault(3 * 10**9, 4 * 10**9, latency_ns=9_000_000, loss_ppb=20_000_000, place=place_of("loss: 2%")),
    )
    assert [(line.service, line.reachable, line.place) for line in everything.expect] == [
        (Service(6, (443, 443)), True, place_of("source: customer")),
        (Service(1), False, place_of("source: internet")),
    ]
    assert everything.policy == Policy(midstream_tcp="pickup", icmp_s=60, autotrack="2023", hairpin=False, mtu_of_captures=True, seed=7)
    assert everything.map == ((ip_address("192.168.1.6"), "proxy"),)


def test_every_setting_has_a_name_in_files():
    """No setting of the model is missing in files, and none is there that the model has not."""
    assert sorted(policy_settings().values()) == sorted(field.name for field in fields(Policy))


def test_addresses_that_are_left_out_are_free_and_stay():
    """An interface without an address gets a free one of its subnet, which another instance in the file does not move."""
    alone = loads(in_vpc("instances: {web: {subnet: a}}"))
    beside = loads(in_vpc("instances: {app: {subnet: a}, web: {subnet: a}, db: {subnet: a}}"))
    (eni,) = alone.all(NetworkInterface)
    assert eni.private_ips[0] in ip_network("10.0.1.0/24")
    assert beside.interfaces_of("i-web")[0].private_ips == eni.private_ips


def test_a_subnet_fills_up():
    """A /28 has eleven addresses for interfaces, all of them given; the twelfth interface is a trouble with a way out."""
    small = (
        "topology: t\nvpcs:\n  v:\n    cidr_block: 10.0.0.0/28\n    subnets: {{a: {{cidr_block: 10.0.0.0/28}}}}\n    instances: {{{}}}\n"
    )
    full = loads(small.format(", ".join(f"i{n}: {{subnet: a}}" for n in range(11))))
    assert {str(eni.private_ips[0]) for eni in full.all(NetworkInterface)} == {f"10.0.0.{n}" for n in range(4, 15)}
    assert problems(small.format(", ".join(f"i{n}: {{subnet: a}}" for n in range(12)))) == [
        "web.yaml:6: instances.i11: no address of 10.0.0.0/28 is free; give the subnet a larger block"
    ]


def test_an_ipv6_only_subnet_gives_ipv6():
    """An interface in a subnet without IPv4 gets an IPv6 address."""
    text = 'vpcs: {v: {cidr_block: 10.0.0.0/16, ipv6_cidr_block: "2001:db8::/56", subnets: {a: {ipv6_cidr_block: "2001:db8::/64"}}, '
    (eni,) = loads(text + "instances: {i: {subnet: a}}}}").all(NetworkInterface)
    assert eni.private_ips[0] in ip_network("2001:db8::/64")


@pytest.mark.parametrize(
    ("inside", "kind", "said"),
    [
        pytest.param("security_groups: {default: {egress: []}}", SecurityGroup, 1, id="the default group still lets its members in"),
        pytest.param("security_groups: {default: {ingress: []}}", SecurityGroup, 0, id="unless it says it does not"),
        pytest.param(
            "network_acls: {default: {egress: []}}", NetworkAcl, len(OPEN_ACL), id="the default ACL is open where it says nothing"
        ),
        pytest.param("network_acls: {default: {ingress: []}}", NetworkAcl, 0, id="unless it says it is not"),
        pytest.param("security_groups: {web: {}}", SecurityGroup, 0, id="another group lets nothing in"),
        pytest.param("network_acls: {edge: {}}", NetworkAcl, 0, id="another ACL lets nothing through"),
    ],
)
def test_what_is_left_out_is_awss_default(inside, kind, said):
    """A direction that is left out is as AWS makes it."""
    entity = next(entity for entity in loads(in_vpc(inside)).all(kind) if entity.place)
    assert len(entity.ingress) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"\xff\xfea\x00", "this is not UTF-8 text; save it as UTF-8, or replay it if it is a capture", id="UTF-16"),
        pytest.param(b"a: 1\nb: \xe9\n", "this is not UTF-8 text", id="Latin-1"),
        pytest.param(b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", "this is not UTF-8 text", id="a capture"),
        pytest.param(b"a: 1\0", "the character U+0000 is not text; take it out", id="a NUL"),
        pytest.param(b"", "the file is empty", id="nothing"),
    ],
)
def test_a_file_that_is_no_text_is_told_in_one_line(tmp_path, content, said):
    """Whatever is in a file, the answer is one line with its name."""
    path = tmp_path / "net.yaml"
    path.write_bytes(content)
    with pytest.raises(TopologyError, match=re.escape(said)) as caught:
        load(path)
    assert re.match(rf"{re.escape(str(path))}(:\d+)?: ", str(caught.value))


def test_a_file_that_cannot_be_read_is_told_in_one_line(tmp_path):
    """A missing file, a folder, a name that cannot be: one line each."""
    for name, said in ((tmp_path / "none.yaml", "there is no such file"), (tmp_path, "this is a folder"), ("a\0b", "cannot be read")):
        with pytest.raises(TopologyError, match=said) as caught:
            load(name)
        assert str(caught.value).isprintable()


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path, monkeypatch):
    """The bound holds before the text is looked at."""
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    (tmp_path / "net.yaml").write_text("# " + "x" * 1000)
    with pytest.raises(TopologyError, match="split the network into several files"):
        load(tmp_path / "net.yaml")


def test_a_file_names_the_topology_that_has_no_name(tmp_path):
    """Where `topology` is left out, the file's name is the topology's."""
    (tmp_path / "lab.v2.yaml").write_text("vpcs: {v: {cidr_block: 10.0.0.0/16}}")
    assert load(tmp_path / "lab.v2.yaml").name == "lab"


def test_save_writes_what_load_reads(tmp_path, everything):
    """A saved topology comes back, and the file is there whole or not at all."""
    path = tmp_path / "all.yaml"
    save(everything, path)
    assert path.read_text(encoding="utf-8") == dump(everything) == dump(load(path))
    assert os.listdir(tmp_path) == ["all.yaml"]
    with pytest.raises(CaptureError):
        save(everything, tmp_path / "none" / "all.yaml")


def test_large_files_load_in_linear_time():
    """Four times the interfaces take about four times as long."""

    def seconds(count):
        text = "vpcs:\n  v:\n    cidr_block: 10.0.0.0/16\n    subnets: {a: {cidr_block: 10.0.0.0/16}}\n    instances:\n"
        text += "".join(f"      i{n}: {{subnet: a, security_groups: [default]}}\n" for n in range(count))
        began = time.process_time()
        document = files.read(text, "f")
        declared = files.Declared(document, files._form(document))
        assert len(declared.parts) == 2 + 2 * count
        return time.process_time() - began

    seconds(100)
    assert seconds(8000) < 12 * seconds(2000)


def test_import_emulator_loads_no_yaml():
    """Who asks for no file loads neither PyYAML nor pydantic."""
    code = "import emulator, sys; print(sorted({'yaml', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
