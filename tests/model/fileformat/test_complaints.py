"""What a person is told about a topology file that is wrong: place, what, and the way out, all at once."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import TopologyError
from emulator.model.files import loads
from emulator.model.groups import GroupPeer, SecurityGroup
from tests.model.texts import EVERYTHING, in_rule, in_vpc, problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            in_rule("type: HTTP, port: 80, source: 0.0.0.0/0"), "`port` is not a field here; did you mean `ports`?", id="a misspelt field"
        ),
        pytest.param(
            in_rule("protocol: all, ports: 80, source: 0.0.0.0/0"),
            'ports need protocol tcp or udp, not "all"; leave `ports` out, or change the protocol',
            id="ports of every protocol",
        ),
        pytest.param(
            in_rule("ports: 80, source: 0.0.0.0/0"), "ports need a protocol; add `protocol: tcp` or `protocol: udp`", id="ports alone"
        ),
        pytest.param(
            in_rule("source: 0.0.0.0/0"),
            "neither `type` nor `protocol` is here; write one, such as `type: HTTPS` or `protocol: tcp` with `ports: 443`",
            id="no service",
        ),
        pytest.param(
            in_rule("type: HTTP, protocol: tcp, source: 0.0.0.0/0"),
            "`type` already says protocol and ports; leave `protocol` out, or write `protocol` instead of `type`",
            id="two services",
        ),
        pytest.param(
            in_rule("protocol: tcp, icmp_type: 3, source: 0.0.0.0/0"),
            'ICMP types and codes need protocol icmp or icmpv6, not "tcp"; leave them out, or change the protocol',
            id="an ICMP type of tcp",
        ),
        pytest.param(
            in_rule("protocol: icmp, icmp_code: 3, source: 0.0.0.0/0"), "`icmp_code` needs `icmp_type`; add it (SG-20)", id="a lone code"
        ),
        pytest.param(
            in_rule("type: SSH, source: 0.0.0.0/0, action: deny"),
            "a security group only allows, so its rules have no `action`; network ACLs (`network_acls`) can deny",
            id="a group that denies",
        ),
        pytest.param(
            in_rule("type: SSH, source: 0.0.0.0/0", "egress"),
            "`source` is not a field here; an egress rule looks at the `destination`",
            id="the source of what goes out",
        ),
        pytest.param(
            in_rule("type: SSH, destination: 0.0.0.0/0"),
            "`destination` is not a field here; an ingress rule looks at the `source`",
            id="the destination of what comes in",
        ),
        pytest.param(in_rule("type: SSH"), "`source` is missing; write it", id="no other side"),
        pytest.param(
            in_rule("type: SSH, source: wbe"),
            "wbe is no CIDR block, security group or prefix list; did you mean web?",
            id="an unknown name",
        ),
        pytest.param(
            in_rule("type: SSH, source: 10.0.0.0/33"), "10.0.0.0/33 is not a CIDR block; write one such as 10.0.0.0/16", id="no block"
        ),
    ],
)
def test_a_wrong_rule_is_told_with_its_line_and_the_way_out(text, said):
    """One line: the place, the rule as it is counted, what is wrong, what to write."""
    direction = "egress" if "egress:" in text else "ingress"
    assert problems(text) == [f"web.yaml:6: security_groups.web.{direction} 1: {said}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            in_rule("type: HTPS, source: 0.0.0.0/0"),
            'web.yaml:6: security_groups.web.ingress 1.type: type "HTPS" is not one of the console\'s words; did you mean HTTPS?',
            id="a misspelt type",
        ),
        pytest.param(
            in_rule("protocol: tcp, ports: 90-80, source: 0.0.0.0/0"),
            'web.yaml:6: security_groups.web.ingress 1.ports: ports "90-80" must rise and lie between 0 and 65535',
            id="a range that falls",
        ),
        pytest.param(
            in_rule("protocol: tcp, ports: [80, 443], source: 0.0.0.0/0"),
            "web.yaml:6: security_groups.web.ingress 1.ports: takes one port or one range; write a rule for each",
            id="a list of ports",
        ),
        pytest.param(
            in_vpc("security_groups: {web: {}}\nprefix_lists: {web: []}\nnetwork_acls: {}\n").replace(
                "web: {}", "web: {ingress: [{type: SSH, source: web}]}"
            ),
            "web.yaml:6: security_groups.web.ingress 1: web is a security group and a prefix list; "
            "give one of them another name, or write an id",
            id="a name of two kinds",
        ),
        pytest.param(
            in_vpc("network_acls: {edge: {ingress: [{rule: 1, action: alow, type: SSH, source: 0.0.0.0/0}]}}"),
            'web.yaml:6: network_acls.edge.ingress 1.action: "alow" is not known here; did you mean allow?',
            id="a misspelt action",
        ),
        pytest.param(
            in_vpc("network_acls: {edge: {ingress: [{rule: 0, action: deny, type: SSH, source: 0.0.0.0/0}]}}"),
            "web.yaml:6: network_acls.edge.ingress 1.rule: 0 is out of range; write at least 1",
            id="a rule number of zero",
        ),
        pytest.param(
            in_vpc("network_acls: {edge: {ingress: [{rule: 1, action: deny, type: SSH, source: web}]}}"),
            'web.yaml:6: network_acls.edge.ingress 1.source: "web" is not a CIDR block; write one such as 10.0.0.0/16',
            id="a group in an ACL",
        ),
        pytest.param(
            in_vpc("route_tables: {r: [{destination: offce, target: local}]}\nprefix_lists: {office: []}"),
            "web.yaml:6: route_tables.r 1: offce is no CIDR block and no prefix list; did you mean office?",
            id="a route to an unknown list",
        ),
        pytest.param(
            in_vpc("route_tables: {r: [{destination: 0.0.0.0/0}]}"),
            "web.yaml:6: route_tables.r 1: `target` is missing; write where its packets go, such as `target: igw`, or `blackhole: true`",
            id="a route to nowhere",
        ),
        pytest.param(
            in_vpc("main_route_table: privat\nroute_tables: {private: []}"),
            "web.yaml:6: main_route_table: no route table of this VPC is called privat; did you mean private?",
            id="an unknown main table",
        ),
        pytest.param(
            in_vpc("instances: {i: {private_ip: 10.0.1.10}}"),
            "web.yaml:6: instances.i: `subnet` is missing; write the name of one, or `interfaces`",
            id="an instance nowhere",
        ),
        pytest.param(
            in_vpc("instances: {i: {subnet: a, interfaces: {eth0: {subnet: a}}}}"),
            "web.yaml:6: instances.i: `subnet` stands beside `interfaces`; write it in one of them",
            id="an interface on the instance and beside it",
        ),
        pytest.param(
            in_vpc("instances: {i: {subnet: a, elastic_ip: 198.51.100.1, public_ip: 198.51.100.2}}"),
            "web.yaml:6: instances.i: `elastic_ip` and `public_ip` say the same thing; write one of them, or all pairs under `elastic_ips`",
            id="two public addresses",
        ),
        pytest.param(
            in_vpc("instances: {i: {subnet: a, connection_tracking: {tcp_established: 30s}}}"),
            'web.yaml:6: instances.i.connection_tracking.tcp_established: "30s" lies outside EC2\'s range; write 60s to 432000s (CT-20)',
            id="a timeout that is too short",
        ),
        pytest.param(
            in_vpc("instances: {i: {subnet: a, connection_tracking: {udp: 30}}}"),
            "web.yaml:6: instances.i.connection_tracking.udp: takes a time such as 30s, not 30",
            id="a time without a unit",
        ),
        pytest.param(
            in_vpc("instances: {i: {subnet: a, listen: [22]}}"),
            'web.yaml:6: instances.i.listen 1: 22 alone is a protocol number; write tcp/22 for a port, or "22" in quotes',
            id="a port that would be a protocol",
        ),
        pytest.param(
            in_vpc("instances: {i: {subnet: a, source_dest_check: no}}"),
            'web.yaml:6: instances.i.source_dest_check: takes true or false, not "no"',
            id="no is not false",
        ),
        pytest.param(
            in_vpc("instances: {i: {subnet: a, private_ip: 10.0.1.256}}"),
            'web.yaml:6: instances.i.private_ip: "10.0.1.256" is not an address; write one such as 10.0.1.10',
            id="no address",
        ),
        pytest.param(
            in_vpc("instances: {i: {subnet: a, security_groups: [10]}}"),
            'web.yaml:6: instances.i.security_groups 1: takes a text, not 10; write it in quotes, such as "10"',
            id="a name that is a number",
        ),
        pytest.param(
            in_vpc("", "links: [{between: [a], latency: 40}]\n"),
            "web.yaml:6: links 1.between: takes two names, not 1",
            id="a link with one end",
        ),
        pytest.param(
            in_vpc("", "policy: {ct.midstream: pickup}\n"),
            "web.yaml:6: policy: `ct.midstream` is not a field here; did you mean `ct.midstream_tcp`?",
            id="an unknown setting",
        ),
        pytest.param(
            in_vpc("", "policy: {ct.midstream_tcp: pikup}\n"),
            'web.yaml:6: policy.ct.midstream_tcp: "pikup" is not known here; did you mean pickup?',
            id="an unknown value",
        ),
        pytest.param(
            in_vpc("", "map: {10.0.0: a}\n"),
            'web.yaml:6: map.10.0.0: "10.0.0" is not an address; write one such as 10.0.1.10',
            id="a map of no address",
        ),
        pytest.param(
            in_vpc("", "internet: {c: {}}\n"),
            "web.yaml:6: internet.c: `ip` is missing; write its address, such as 192.0.2.77",
            id="a host without an address",
        ),
        pytest.param(in_vpc("", "vpc: {}\n"), "web.yaml:6: `vpc` is not a field here; did you mean `vpcs`?", id="a misspelt section"),
        pytest.param(
            'vpcs: {v: {cidr_block: "fd00::/56"}}',
            "web.yaml:1: cidr_block: takes IPv4 such as 10.0.0.0/16, not fd00::/56; write it under `ipv6_cidr_block`",
            id="IPv6 for IPv4",
        ),
        pytest.param(
            "vpcs: {v: {}}", "web.yaml:1: vpcs.v: `cidr_block` is missing; write one, such as 10.0.0.0/16", id="a VPC without a block"
        ),
        pytest.param("vpcs: {v: 10.0.0.0/16}", 'web.yaml:1: vpcs.v: takes fields by name, not "10.0.0.0/16"', id="a block for a VPC"),
        pytest.param(
            "[a]", "web.yaml:1: a topology file holds fields, not a list; start it with `topology: a name` and `vpcs:`", id="a list"
        ),
    ],
)
def test_a_wrong_field_is_told_with_its_line_and_the_way_out(text, said):
    """One line, the first: the place, the path of the field, what is wrong, what to write."""
    assert problems(text)[0] == said


def test_all_troubles_of_a_file_come_together():
    """Shape, values and YAML's own troubles are told at once, by line."""
    text = in_vpc(
        "instances:\n  i: {subnet: a, private_ip: x}\n  i: {subnet: a}\n  j: {zone: b}\nsecurity_groups: {web: {ingress: [{type: SSH}]}}"
    )
    assert [line.split(":")[1] for line in problems(text)] == ["7", "8", "9", "10"]


def test_a_second_vpc_is_named_in_messages():
    """With several VPCs a message says which one it is about."""
    text = in_vpc("", "  lab: {cidr_block: 10.1.0.0/16, subnets: {b: {}}}\n")
    assert problems(text) == ["web.yaml:6: vpcs.lab.subnets.b: `cidr_block` is missing; write one, such as 10.0.1.0/24"]


def test_a_hopeless_file_gives_fifty_lines_and_a_count():
    """Nobody reads a thousand lines; the first fifty come, and how many more there are."""
    lines = problems(in_vpc("instances:\n" + "".join(f"  i{n}: {{subnet: a, zone{n}: b}}\n" for n in range(5000))))
    assert len(lines) == 51
    assert lines[0].startswith("web.yaml:7: instances.i0: `zone0` is not a field here; known are")
    assert lines[-1] == "web.yaml: and 4,950 more; correct these first"


def test_what_only_the_whole_shows_is_told_with_places():
    """Troubles of the topology itself have the line of the thing they are about."""
    (line,) = problems(in_vpc("instances: {i: {subnet: a, private_ip: 10.0.2.1}}"))
    assert line == "web.yaml:6: i:eth0: 10.0.2.1 lies outside a 10.0.1.0/24"


def test_a_group_of_another_vpc_needs_its_vpc():
    """A name that only another VPC has is offered with that VPC."""
    text = in_rule("type: SSH, source: bastion") + "  lab: {cidr_block: 10.1.0.0/16, security_groups: {bastion: {}}}\n"
    assert problems(text) == [
        "web.yaml:6: vpcs.shop.security_groups.web.ingress 1: "
        "bastion is no CIDR block, security group or prefix list; did you mean lab/bastion?"
    ]


def test_a_group_that_is_gone_may_be_named_by_its_id():
    """EC2 keeps stale rules (SG-32), so an id that leads nowhere is no trouble."""
    (group,) = (group for group in loads(in_rule("type: SSH, source: sg-0gone")).all(SecurityGroup) if group.name == "web")
    assert group.ingress[0].peer == GroupPeer("sg-0gone")


def refused(text):
    """The lines that a text is refused with, none if it is not."""
    try:
        loads(text, "f")
    except TopologyError as error:
        return error.problems
    return ()


_LINES = EVERYTHING.splitlines(keepends=True)


@settings(deadline=None)
@given(
    st.integers(0, len(_LINES) - 1),
    st.sampled_from(["drop", "twice", "indent", "cut", "word"]),
    st.sampled_from(["null", "[]", "{}", "x", "-1", "!!int 3", "&a b", '"\\n"', "1e999", "9" * 50, "true"]),
)
def test_a_spoilt_file_is_never_a_crash(number, way, word):
    """A line that is lost, doubled, moved, cut or has another value gives a topology or lines for a person."""
    lines = list(_LINES)
    line = lines[number]
    lines[number] = {
        "drop": "",
        "twice": line * 2,
        "indent": "  " + line,
        "cut": line[: len(line) // 2] + "\n",
        "word": re.sub(r"(?<=: )[^{\[,}]+", word, line, count=1),
    }[way]
    told = refused("".join(lines))
    assert all(line.startswith("f") and line.isprintable() for line in told)
