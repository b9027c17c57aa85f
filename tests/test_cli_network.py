"""`reach` and `import`, and what every command takes for a NETWORK: output by schema, files whole or not at all, exit codes."""

import csv
import json
from pathlib import Path

import jsonschema
import pytest

SCHEMAS = Path(__file__).parents[1] / "emulator" / "schemas"
STAGED = """
Parameters:
  Stage: {Type: String}
Conditions:
  Open: {Fn::Equals: [!Ref Stage, test]}
Resources:
  Net: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Sub: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Net, CidrBlock: 10.0.1.0/24}}
  Members:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: members
      VpcId: !Ref Net
      SecurityGroupIngress:
        - !If [Open, {IpProtocol: icmp, FromPort: -1, ToPort: -1, CidrIp: 10.0.0.0/16}, !Ref AWS::NoValue]
  One: {Type: AWS::EC2::Instance, Properties: {SubnetId: !Ref Sub, SecurityGroupIds: [!Ref Members]}}
  Two: {Type: AWS::EC2::Instance, Properties: {SubnetId: !Ref Sub, SecurityGroupIds: [!Ref Members]}}
"""


def schema(name):
    """A schema of the project."""
    return json.loads((SCHEMAS / f"{name}.json").read_text())


@pytest.fixture
def web(topologies):
    """The public web server."""
    return topologies / "web-server.yaml"


@pytest.fixture
def staged(tmp_path):
    """A template whose parameter decides who reaches whom."""
    path = tmp_path / "staged.yaml"
    path.write_text(STAGED)
    return path


def test_reach_prints_exposure_first(vpcemu, web):
    """The table begins with what the outside can open; exit code 0 as something can be opened."""
    ran = vpcemu("reach", web)
    assert (ran.code, ran.out.splitlines()[0]) == (0, "Open to the outside")
    assert "tcp/443" in ran.out


def test_reach_json(vpcemu, web):
    """`reach --json` follows its schema; a service that nothing opens is no row and exit code 1."""
    ran = vpcemu("reach", web, "--json")
    jsonschema.validate(ran.json, schema("reach"))
    assert ran.json["rows"][0]["exposed"]
    none = vpcemu("reach", web, "--port", "tcp/3389", "--to", "web-1", "--json")
    assert (none.code, none.json["rows"]) == (1, [])


def test_reach_csv_and_figure_are_written(vpcemu, web, tmp_path):
    """--csv and --figure write their files beside one another; - is the screen."""
    table, picture = tmp_path / "reach.csv", tmp_path / "reach.svg"
    ran = vpcemu("reach", web, "--csv", table, "--figure", picture)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [f"{table}: written", f"{picture}: written"]
    assert next(csv.reader(table.read_text().splitlines())) == ["exposed", "family", "sources", "destinations", "services"]
    assert "can be opened from outside" in picture.read_text()
    assert vpcemu("reach", web, "--csv", "-").out == table.read_text()


@pytest.mark.parametrize(
    ("option", "name", "told"),
    [
        pytest.param("--figure", "reach.gif", "end the name in .png, .svg or .pdf", id="a picture of another kind"),
        pytest.param("--figure", "missing/reach.png", "make the folder first", id="a picture in no folder"),
        pytest.param("--csv", "missing/reach.csv", "make the folder first", id="a table in no folder"),
    ],
)
def test_reach_refuses_a_place_it_cannot_write(vpcemu, web, tmp_path, option, name, told):
    """One line, exit code 2, before anything is worked out."""
    ran = vpcemu("reach", web, option, tmp_path / name)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert told in ran.err


def test_import_json(vpcemu, staged):
    """`import --json` follows its schema, whatever became of the things."""
    ran = vpcemu("import", staged, "--parameter", "Stage=test", "--json")
    assert ran.code == 0
    jsonschema.validate(ran.json, schema("import"))
    assert (ran.json["kind"], ran.json["counts"]["instance"]) == ("CloudFormation", 2)
    assert "assumed" in {note["fate"] for note in ran.json["notes"]}


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(("ping", "One", "Two", "-c", "1"), id="ping"),
        pytest.param(("traceroute", "One", "Two", "--icmp"), id="traceroute"),
        pytest.param(("pingall",), id="pingall"),
        pytest.param(("run", "One: ping -c 1 Two"), id="run"),
        pytest.param(("explain", "One", "Two", "icmp"), id="explain"),
        pytest.param(("reach", "--port", "icmp/8", "--from", "One", "--to", "Two"), id="reach"),
    ],
)
def test_every_command_takes_a_templates_parameters(vpcemu, staged, asked):
    """The answer is another under another parameter."""
    command, *rest = asked
    assert vpcemu(command, staged, *rest, "--parameter", "Stage=test").code == 0
    assert vpcemu(command, staged, *rest, "--parameter", "Stage=production").code == 1


def test_check_takes_a_templates_parameters(vpcemu, staged):
    """`check` reads templates too; a parameter that it does not have is one line."""
    assert vpcemu("check", staged, "--parameter", "Stage=test").code == 0
    ran = vpcemu("check", staged, "--parameter", "Stag=test")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
