"""Saving topologies: what is written reads well, and reads back as the same topology."""

from dataclasses import fields, is_dataclass, replace
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from emulator.errors import TopologyError
from emulator.importers.capture import topology_from_capture
from emulator.model.entities import (
    Subnet,
    Vpc,
)
from emulator.model.fileformat import nodes
from emulator.model.fileformat.yamltext import text_of
from emulator.model.files import dump, load, loads
from emulator.model.groups import AclRule, NetworkAcl, SecurityGroup
from emulator.model.services import ANY_PORTS, Service
from emulator.model.topology import Topology
from tests.model.drawn import topologies
from tests.model.texts import EVERYTHING, in_vpc

TOPOLOGIES = sorted((Path(__file__).parents[3] / "topologies").glob("*.yaml"))
CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcap*"))


def placeless(thing):
    """A copy without the places where things were written, for comparing."""
    if is_dataclass(thing):
        return replace(
            thing, **{field.name: "" if field.name == "place" else placeless(getattr(thing, field.name)) for field in fields(thing)}
        )
    if isinstance(thing, tuple) and not hasattr(thing, "_fields"):
        return tuple(placeless(item) for item in thing)
    return {key: placeless(value) for key, value in thing.items()} if hasattr(thing, "items") else thing


def comes_back(topology):
    """Whether the saved text of a topology reads as that topology, and saves as the same text."""
    text = dump(topology)
    again = loads(text, "again.yaml")
    assert placeless(again) == placeless(topology), text
    assert dump(again) == text
    return text


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_examples_come_back(path):
    """What is loaded, saved and loaded again is the same, but for places."""
    comes_back(load(path))


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_first_topologies_of_captures_come_back(path):
    """What `vpcemu init` writes is what it made."""
    comes_back(topology_from_capture(path)[0])


def test_everything_comes_back():
    """A file that says all a file can say comes back whole."""
    comes_back(loads(EVERYTHING, "all.yaml"))


def test_first_topologies_of_shared_captures_come_back(shared):
    """The same for the captures of development."""
    for path in sorted((shared / "captures").glob("*.pcap*"))[:30]:
        comes_back(topology_from_capture(path)[0])


def test_a_saved_file_reads_like_a_written_one():
    """A line for a thing, AWS's words, and nothing that AWS would do by itself."""
    text = in_vpc(
        "internet_gateway: igw\n"
        "route_tables: {public: [{destination: 0.0.0.0/0, target: igw}]}\n"
        "security_groups:\n"
        "  web:\n"
        "    ingress:\n"
        "      - {protocol: tcp, ports: 443, source: 0.0.0.0/0}\n"
        "      - {protocol: tcp, ports: 8000-8099, source: web}\n"
        "    egress: [{type: All traffic, destination: 0.0.0.0/0}]\n"
        "  default: {}\n"
        "instances: {web-1: {subnet: a, private_ip: 10.0.1.10, security_groups: [web], listen: [tcp/443], id: i-web-1}}",
        "expect:\n  - {source: web-1, destination: internet, service: tcp/80, reachable: true}\n",
    )
    assert dump(loads(text)) == (
        "# yaml-language-server: $schema=topology.schema.json\n"
        "topology: t\n"
        "vpcs:\n"
        "  shop:\n"
        "    cidr_block: 10.0.0.0/16\n"
        "    internet_gateway: igw\n"
        "    subnets:\n"
        "      a: {cidr_block: 10.0.1.0/24}\n"
        "    route_tables:\n"
        "      public:\n"
        "        - {destination: 0.0.0.0/0, target: igw}\n"
        "    security_groups:\n"
        "      web:\n"
        "        ingress:\n"
        "          - {type: HTTPS, source: 0.0.0.0/0}\n"
        "          - {protocol: tcp, ports: 8000-8099, source: web}\n"
        "    instances:\n"
        "      web-1: {subnet: a, private_ip: 10.0.1.10, security_groups: [web], listen: [HTTPS]}\n"
        "expect:\n"
        "  - {source: web-1, destination: internet, type: HTTP, reachable: true}\n"
    )


@pytest.mark.parametrize(
    "text",
    ["yes", "10", "1:30", "0x1", "~", "", " a", "a ", "a: b", "a #b", "::/0", "fd00::", "- a", "{a}", "é", "a,b", "2001-12-14", "=", "!a"],
)
def test_texts_that_yaml_would_read_otherwise_are_quoted(text):
    """A saved text is that text for readers of YAML 1.1 and 1.2, as a name and as a value."""
    written = text_of({text: [text]})
    for loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        assert yaml.load(written, loader) == {text: [text]}
    assert nodes.read(written, "f").value == {text: [text]}


@pytest.mark.parametrize(
    "text", ["web-1", "10.0.0.0/16", "web-1:eth0", "All ICMP - IPv4", "CQLSH / CASSANDRA", "DNS (UDP)", "8000-8099", "0.1%"]
)
def test_texts_that_need_no_quotes_have_none(text):
    """The usual names, blocks and words stand as they are."""
    assert text_of({"a": text}) == f"a: {text}"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        pytest.param(
            [Subnet("a", "v", (ip_network("10.0.1.0/24"),), id="subnet-1"), Subnet("a", "v", (ip_network("10.0.2.0/24"),), id="subnet-2")],
            "two subnets are called a, and a topology file knows them by name; rename one of them",
            id="two of one name",
        ),
        pytest.param(
            [Subnet(" a", "v", (ip_network("10.0.1.0/24"),), id="subnet-1")],
            "is no name for a topology file",
            id="a name with a space before it",
        ),
        pytest.param(
            [SecurityGroup("g", "v", description="a\nb")], "has a line break or another control character", id="a description of two lines"
        ),
    ],
)
def test_what_a_file_cannot_say_is_refused(parts, said):
    """Saving says in one line what the format cannot hold, instead of writing another topology."""
    with pytest.raises(TopologyError, match=said) as caught:
        dump(Topology.of(Vpc("v", (ip_network("10.0.0.0/16"),)), *parts))
    assert str(caught.value).isprintable()


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(topologies())
def test_any_topology_comes_back(topology):
    """Whatever is declared, the saved file reads as the same topology, but for places."""
    comes_back(topology)


def test_ports_of_every_rule_come_back():
    """Ports that only the long form can say are said."""
    entries = tuple(
        AclRule(number, True, *service, ip_network("0.0.0.0/0"))
        for number, service in enumerate(
            (Service(6), Service(6, (0, 65535)), Service(17, (0, 0)), Service(1), Service(58, (0, -1)), Service(0)), 1
        )
    )
    assert entries[0].ports == ANY_PORTS
    comes_back(Topology.of(Vpc("v", (ip_network("10.0.0.0/16"),)), NetworkAcl("edge", "v", entries)))
