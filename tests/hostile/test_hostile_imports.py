"""Snapshots, plans and templates that mean harm: a line or a topology, in bounded time and memory."""

import json

import pytest

from tests.hostile.bounded import script

READ = """
from emulator.errors import TopologyError
from emulator.importers.network import read_network
try:
    print(len(read_network(sys.argv[1]).topology.entities), "entities")
except TopologyError as error:
    print(len(error.problems), "troubles", *error.problems[:3])
"""
TEMPLATE = 'AWSTemplateFormatVersion: "2010-09-09"\n'
VPC = "  Vpc: {Type: 'AWS::EC2::VPC', Properties: {CidrBlock: %s}}\n"
LARGE = {"Fn::Join": ["x" * 100_000, ["a"] * 100_000]}


def _nested_module(depth: int) -> dict:
    module: dict = {"resources": []}
    for level in range(depth):
        module = {"address": f"module.m{level}", "child_modules": [module]}
    return module


HARM = {
    "conditions that ask each other": (
        "c.yaml",
        TEMPLATE + "Conditions: {A: !Not [!Condition B], B: !Not [!Condition A]}\nResources:\n"
        "  Vpc: {Type: 'AWS::EC2::VPC', Condition: A, Properties: {CidrBlock: 10.0.0.0/16}}\n",
    ),
    "a resource that refers to itself": ("c.yaml", TEMPLATE + "Resources:\n" + VPC % "!Ref Vpc"),
    "a parameter that stands for itself": (
        "c.yaml",
        TEMPLATE + "Parameters: {P: {Type: String, Default: '${P}'}}\nResources:\n" + VPC % "!Sub '${P}'",
    ),
    "functions in functions": ("c.yaml", TEMPLATE + "Resources:\n" + VPC % ("{'Fn::Join': ['', [" * 2000 + "x" + "]]}" * 2000)),
    "a join of ten gigabytes": (
        "c.json",
        json.dumps(
            {
                "AWSTemplateFormatVersion": "2010-09-09",
                "Mappings": {"M": {"k": {"v": "x" * 1000}}},
                "Resources": {
                    "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": {"Fn::Join": ["x" * 100_000, ["a"] * 100_000]}}}
                },
            }
        ),
    ),
    "JSON of ten gigabytes": (
        "c.json",
        json.dumps(
            {
                "AWSTemplateFormatVersion": "2010-09-09",
                "Parameters": {"P": {"Type": "String", "Default": "x" * 100_000}},
                "Resources": {
                    "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": {"Fn::ToJsonString": [{"Ref": "P"}] * 100_000}}}
                },
            }
        ),
    ),
    "a range of a million blocks": (
        "c.yaml",
        TEMPLATE + "Resources:\n" + VPC % "!Select [0, !Cidr ['10.0.0.0/8', 1000000, 8]]",
    ),
    "a stack in itself": (
        "c.yaml",
        TEMPLATE + "Resources:\n  Self: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: c.yaml}}\n",
    ),
    "a template elsewhere": (
        "c.yaml",
        TEMPLATE + "Resources:\n  Other: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: ../../../../etc/passwd}}\n",
    ),
    "anchors that multiply": (
        "c.yaml",
        TEMPLATE
        + "Metadata:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
        + "Resources:\n"
        + VPC % "10.0.0.0/16",
    ),
    "a tag that would make an object": ("c.yaml", TEMPLATE + "Resources:\n" + VPC % "!!python/object/apply:os.getcwd []"),
    "JSON a hundred thousand deep": ("d.json", "[" * 100_000 + "]" * 100_000),
    "JSON objects a hundred thousand deep": ("d.json", '{"Vpcs":' * 100_000 + "1" + "}" * 100_000),
    "a number of a hundred thousand digits": ("d.json", '{"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": ' + "9" * 100_000 + "}]}"),
    "a subnet that is its own VPC": ("d.json", '{"Subnets": [{"SubnetId": "vpc-1", "VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24"}]}'),
    "a million rules in one permission": (
        "d.json",
        json.dumps(
            {
                "Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}],
                "SecurityGroups": [
                    {
                        "GroupId": "sg-1",
                        "GroupName": "g",
                        "VpcId": "vpc-1",
                        "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}] * 100_000}],
                        "IpPermissionsEgress": [],
                    }
                ],
            }
        ),
    ),
    "modules in modules": (
        "t.json",
        json.dumps({"format_version": "1.2", "planned_values": {"root_module": _nested_module(300)}, "configuration": {}}),
    ),
}


@pytest.mark.parametrize(("name", "text"), HARM.values(), ids=HARM.keys())
def test_harm(name, text, tmp_path):
    """A source ends in a topology or in lines that a person can read; it costs little, and no other file is read."""
    path = tmp_path / name
    path.write_text(text)
    run = script(READ, str(path), seconds=30, megabytes=1500)
    assert run.code == 0, run.err[-1500:]
    assert run.out.split()[1] in ("entities", "troubles")
    assert "root:" not in run.out
    assert max(len(line) for line in run.out.splitlines()) < 4000
    assert run.peak_mb < 500
