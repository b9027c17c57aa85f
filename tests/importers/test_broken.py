"""Sources that cannot be used: one line that says where and what, exit code 2, no traceback."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.errors import EmulatorError
from emulator.importers.network import read_network
from emulator.importers.records import MOST_BYTES
from tests.importers.test_joined_sources import terraform
from tests.importers.test_undecided import module_plan

ROOT = Path(__file__).parents[2]
DEEP = "[" * 100_000 + "]" * 100_000
TEMPLATE = "Resources:\n  Net:\n    Type: AWS::EC2::VPC\n    Properties: {CidrBlock: 10.0.0.0/16}\n"
LOOPS: Any = {"V${A}${B}${C}${D}": {"Type": "AWS::EC2::VPC"}}
for sign in "DCBA":
    LOOPS = {f"Fn::ForEach::{sign}": [sign, [str(number) for number in range(32)], LOOPS]}
BROKEN: dict[str, tuple[str, str]] = {
    "not JSON": ("vpcs.json", '{"Vpcs": [}'),
    "cut in the middle": ("vpcs.json", '{"Vpcs": [{"VpcId": "vp'),
    "deep nesting": ("vpcs.json", DEEP),
    "deep nesting inside": ("vpcs.json", '{"Vpcs": ' + DEEP + "}"),
    "a number that is none": ("vpcs.json", '{"Vpcs": [{"VpcId": NaN}]}'),
    "a number of a million digits": ("vpcs.json", '{"Vpcs": [{"VpcId": ' + "9" * 1_000_000 + "}]}"),
    "not UTF-8": ("vpcs.json", '{"Vpcs": [{"VpcId": "\udcff"}]}'),
    "nothing of AWS": ("data.json", '{"hello": "world"}'),
    "an empty object": ("data.json", "{}"),
    "an empty list": ("data.json", "[]"),
    "a list of texts": ("data.json", '["a", "b"]'),
    "a text for a list": ("vpcs.json", '{"Vpcs": "vpc-1"}'),
    "texts for objects": ("vpcs.json", '{"Vpcs": ["vpc-1"]}'),
    "an object for a text": ("vpcs.json", '{"Vpcs": [{"VpcId": {"a": 1}}]}'),
    "a list for a block": ("vpcs.json", '{"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": []}, {"VpcId": "vpc-2", "CidrBlock": [1]}]}'),
    "no block": ("vpcs.json", '{"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0.0/99"}]}'),
    "no VPC": ("subnets.json", '{"Subnets": [{"SubnetId": "subnet-1", "VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24"}]}'),
    "a plan that is a list": ("plan.json", '{"format_version": "1.2", "planned_values": [1]}'),
    "a plan without values": ("plan.json", '{"format_version": "1.2", "values": {}}'),
    "a plan whose resources are texts": ("plan.json", '{"planned_values": {"root_module": {"resources": ["a"]}}}'),
    "an old state": ("terraform.tfstate", '{"version": 3, "terraform_version": "0.11", "resources": []}'),
    "Terraform's own language": ("main.tf", 'resource "aws_vpc" "a" {\n cidr_block = "10.0.0.0/16"\n}\n'),
    "a binary plan": ("plan.out", "PK\x03\x04rest"),
    "a template without resources": ("template.yaml", "AWSTemplateFormatVersion: '2010-09-09'\nResources: 3\n"),
    "a reference to nothing": ("template.yaml", TEMPLATE.replace("10.0.0.0/16", "!Ref Nothing")),
    "an attribute of nothing": ("template.yaml", TEMPLATE.replace("10.0.0.0/16", "!GetAtt Nothing.CidrBlock")),
    "a template that is no YAML": ("template.yaml", "Resources: [\n"),
    "a resource without a type": ("template.yaml", "Resources:\n  Net: {Properties: {}}\n"),
    "a mapping that is missing": ("template.yaml", TEMPLATE.replace("10.0.0.0/16", "!FindInMap [A, b, c]")),
    "a condition that denies nothing": (
        "template.yaml",
        "Conditions:\n  A: {Fn::Not: []}\n" + TEMPLATE.replace("    Type: AWS::EC2::VPC", "    Condition: A\n    Type: AWS::EC2::VPC"),
    ),
    "conditions in a circle": (
        "template.yaml",
        "Conditions:\n  A: {Fn::Not: [{Condition: B}]}\n  B: {Fn::Not: [{Condition: A}]}\n"
        + TEMPLATE.replace("    Type: AWS::EC2::VPC", "    Condition: A\n    Type: AWS::EC2::VPC"),
    ),
    "loops that make a million resources": ("template.json", json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": LOOPS})),
    "a template of aliases": (
        "template.yaml",
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{one}: &{one} [{','.join([f'*{other}'] * 9)}]\n" for other, one in zip("abcdefgh", "bcdefghi", strict=True))
        + TEMPLATE.replace("{CidrBlock: 10.0.0.0/16}", "{CidrBlock: *i}"),
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_source_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    """One line: the file, the trouble, the way out."""
    name, content = BROKEN[what]
    (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(EmulatorError) as trouble:
        read_network(tmp_path / name)
    assert "\n" not in str(trouble.value)
    assert name in str(trouble.value) or "data" in str(trouble.value)
    assert len(str(trouble.value)) < 400


def test_a_file_of_a_gigabyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A file that is larger than any description is not read at all."""
    huge = tmp_path / "vpcs.json"
    with huge.open("wb") as file:
        file.write(b'{"Vpcs": "')
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(EmulatorError, match="more than an import reads"):
        read_network(huge)


@pytest.mark.parametrize(
    "field", ["VpcId", "SubnetId", "GroupId", "IpPermissions", "Routes", "Entries", "NetworkInterfaces", "Attachments"]
)
@pytest.mark.parametrize("value", [7, "x", [["x"]], {"x": {"y": []}}, True], ids=["a number", "a text", "lists", "objects", "true"])
def test_any_wrong_type_is_one_line_or_left_out(described: Any, write: Callable[..., Path], field: str, value: Any) -> None:
    """Whatever stands where something else should: either the import goes on, or it ends in one line."""

    def bend(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: value if key == field else bend(inner) for key, inner in item.items()}
        return [bend(inner) for inner in item] if isinstance(item, list) else item

    said = ""
    try:
        read_network(write(bend(described)))
    except EmulatorError as trouble:
        said = str(trouble)
    assert len(said.splitlines()) <= 1


def test_the_command_ends_with_2_and_one_line(tmp_path: Path) -> None:
    """On the command line the same line comes on stderr, without a traceback."""
    broken = tmp_path / "vpcs.json"
    broken.write_text('{"Vpcs": [}')
    command = [sys.executable, "-m", "emulator", "explain", str(broken), "a", "b", "tcp/1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_strict_refuses_what_is_not_shown(described: Any, write: Callable[..., Path]) -> None:
    """--strict writes nothing and ends with 2 if anything was not understood; without it the list is enough."""
    described["VpnConnections"] = [{"VpnConnectionId": "vpn-1", "State": "available"}]
    folder = write(described)
    target = folder.parent / "out.yaml"
    for extra, code in (([], 0), (["--strict"], 2)):
        command = [sys.executable, "-m", "emulator", "import", str(folder), "--json", *extra]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
        assert done.returncode == code
        assert json.loads(done.stdout)["notes"][0]["id"] == "vpn-1"
    assert not target.exists()


VALUES: list[Any] = [
    None,
    "",
    0,
    -1,
    7,
    "x",
    [],
    {},
    ["x"],
    {"a": 1},
    True,
    "10.0.0.0/8",
    "::/0",
    "sg-x",
    1.5,
    [None],
    "999.1.1.1",
    [[]],
    "\n",
]


def bent(document: Any, dice: random.Random) -> Any:
    """A copy with one to five places gone, exchanged, or filled with something else."""
    document = json.loads(json.dumps(document))
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key, inner in list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()):
            places.append((node, key))
            walk(inner)

    walk(document)
    for _ in range(dice.choice([1, 1, 2, 5])):
        node, key = dice.choice(places)
        other, there = dice.choice(places)
        how = dice.random()
        if isinstance(node, list):
            node[:] = node[:key] + ([] if how < 0.5 else [dice.choice(VALUES)]) + node[key + 1 :]
        elif how < 0.35:
            node.pop(key, None)
        elif how < 0.65 and isinstance(other, dict):
            node[key] = json.loads(json.dumps(other.get(there)))
        else:
            node[key] = dice.choice(VALUES)
    return document


@pytest.mark.parametrize("kind", ["describe output", "a plan", "a plan with all that is joined", "a plan of modules", "a template"])
def test_whatever_is_bent_ends_in_a_topology_or_in_a_line(tmp_path: Path, described: Any, kind: str) -> None:
    """No source, however bent, ends in anything but a topology or an error of ours that is short."""
    dice = random.Random(kind)
    resources = [
        {"address": f"{kind_of}.a", "mode": "managed", "type": kind_of, "name": "a", "values": values}
        for kind_of, values in (
            ("aws_vpc", {"id": "vpc-1", "cidr_block": "10.0.0.0/16"}),
            ("aws_subnet", {"id": "subnet-1", "vpc_id": "vpc-1", "cidr_block": "10.0.1.0/24"}),
            (
                "aws_security_group",
                {"id": "sg-1", "vpc_id": "vpc-1", "ingress": [{"protocol": "tcp", "from_port": 1, "to_port": 2, "self": True}]},
            ),
            ("aws_instance", {"subnet_id": "subnet-1", "vpc_security_group_ids": ["sg-1"]}),
            ("aws_route_table", {"vpc_id": "vpc-1", "route": [{"cidr_block": "0.0.0.0/0", "gateway_id": "igw-1"}]}),
        )
    ]
    template = {
        "Resources": {
            "Net": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
            "Sub": {
                "Type": "AWS::EC2::Subnet",
                "Properties": {"VpcId": {"Ref": "Net"}, "CidrBlock": {"Fn::Select": [0, {"Fn::Cidr": ["10.0.0.0/16", 2, 8]}]}},
            },
            "One": {
                "Type": "AWS::EC2::Instance",
                "Properties": {"SubnetId": {"Ref": "Sub"}, "Tags": [{"Key": "a", "Value": {"Fn::Sub": "${Net}"}}]},
            },
        }
    }
    whole = {"a plan with all that is joined": terraform(), "a plan of modules": module_plan()}
    whole |= {"describe output": described, "a plan": {"format_version": "1", "planned_values": {"root_module": {"resources": resources}}}}
    source = tmp_path / "source.json"
    for _ in range(120 if kind != "a template" else 30):
        source.write_text(json.dumps(bent(whole.get(kind, template), dice)))
        said = ""
        try:
            read_network(source)
        except EmulatorError as trouble:
            said = str(trouble)
        assert len(said) < 2_000
