"""Describe output as it really is: whole, untidy, partial."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.importers.network import read_network
from emulator.importers.report import Fate
from emulator.model.entities import Instance, NetworkInterface, RouteTable, Subnet
from emulator.model.groups import NetworkAcl, SecurityGroup
from emulator.model.services import parse_service
from emulator.network import Network

Write = Callable[..., Path]


def notes(imported: Any) -> dict[str, str]:
    """What was said, by ``kind id``."""
    return {f"{note.kind} {note.id}".strip(): f"{note.fate.value}: {note.text}" for note in imported.report}


@pytest.mark.parametrize(
    ("source", "destination", "service", "reachable"),
    [
        pytest.param("internet", "web-1", "tcp/443", True, id="the world opens the web server"),
        pytest.param("internet", "web-1", "tcp/22", False, id="and nothing else of it"),
        pytest.param("web-1", "db-1", "tcp/5432", True, id="a member of web opens the database"),
        pytest.param("db-1", "web-1", "tcp/443", False, id="without an egress rule the database opens nothing"),
        pytest.param("web-1", "internet", "udp/53", True, id="the public subnet has a way out"),
        pytest.param("internet", "db-1", "tcp/5432", False, id="the private one has no way in"),
    ],
)
def test_questions(described: Any, write: Write, source: str, destination: str, service: str, reachable: bool) -> None:
    """An imported network answers as the account would."""
    assert Network(write(described)).explain(source, destination, service).reachable is reachable


def test_nothing_is_said_of_a_whole_description(described: Any, write: Write) -> None:
    """A description that the topology shows in full leaves no note, so that --strict passes."""
    assert list(read_network(write(described)).report) == []


def test_host_bits_and_icmp_fields(described: Any, write: Write) -> None:
    """A block with host bits is stored without them (SG-22); FromPort and ToPort of icmp are type and code (SG-20)."""
    web = read_network(write(described)).topology.find("web")
    assert isinstance(web, SecurityGroup)
    assert (str(web.ingress[1].peer), web.ingress[1].service) == ("10.0.0.0/8", parse_service("icmp/8"))


def test_rules_by_id_win(described: Any, write: Write) -> None:
    """Rules given one by one carry their ids and stand instead of the group's own list (IM-7)."""
    rule = {"SecurityGroupRuleId": "sgr-1", "GroupId": "sg-web", "IsEgress": False, "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}
    described["SecurityGroupRules"] = [rule | {"CidrIpv4": "0.0.0.0/0"}]
    web = read_network(write(described)).topology.get("sg-web", SecurityGroup)
    assert [(item.id, item.ports) for item in web.ingress] == [("sgr-1", (80, 80))]


def bend(described: dict[str, Any], how: str) -> None:
    """One untidy thing of real exports."""
    instance, eni = described["Reservations"][0]["Instances"][1], described["NetworkInterfaces"][1]
    match how:
        case "terminated":
            instance.clear()
            instance |= {"InstanceId": "i-2", "State": {"Name": "terminated"}, "NetworkInterfaces": None, "SubnetId": None}
            described["NetworkInterfaces"].pop()
        case "deleted peering":
            ends = {"RequesterVpcInfo": {"VpcId": "vpc-1"}, "AccepterVpcInfo": {"VpcId": "vpc-9"}}
            described["VpcPeeringConnections"] = [{"VpcPeeringConnectionId": "pcx-1", "Status": {"Code": "deleted"}, **ends}]
        case "available interface":
            described["NetworkInterfaces"].append(eni | {"NetworkInterfaceId": "eni-9", "Status": "available", "Attachment": None})
        case "interface thrice":
            for number in (7, 8):
                twin = json.loads(json.dumps(instance)) | {"InstanceId": f"i-{number}", "Tags": []}
                twin["NetworkInterfaces"][0]["Attachment"]["InstanceId"] = f"i-{number}"
                twin["NetworkInterfaces"][0]["PrivateIpAddresses"] = [{"PrivateIpAddress": f"10.0.2.{number + 20}", "Primary": True}]
                described["Reservations"][0]["Instances"].append(twin)
        case "address outside":
            eni["PrivateIpAddresses"].append({"PrivateIpAddress": "10.0.9.9", "Primary": False})
        case "unknown group":
            described["SecurityGroups"][1]["IpPermissions"][0]["UserIdGroupPairs"] = [{"GroupId": "GroupId:35"}]
        case "unknown target":
            described["RouteTables"][1]["Routes"].append({"DestinationCidrBlock": "192.168.0.0/16", "NatGatewayId": "nat-gone"})
        case "unknown list":
            described["SecurityGroups"][0]["IpPermissionsEgress"][0]["PrefixListIds"] = [{"PrefixListId": "pl-aws"}]
        case "lost subnet":
            described["Subnets"].pop()
        case "second route":
            described["RouteTables"][1]["Routes"].append({"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-2"})
        case "subnet outside":
            described["Subnets"].append({"SubnetId": "subnet-9", "VpcId": "vpc-1", "CidrBlock": "192.168.0.0/24"})
        case "stopped":
            instance["State"] = {"Name": "stopped"}
        case "database":
            machine = eni | {
                "NetworkInterfaceId": "eni-9",
                "Attachment": {"InstanceOwnerId": "amazon-rds"},
                "Description": "RDSNetworkInterface",
            }
            described["NetworkInterfaces"].append(machine | {"PrivateIpAddresses": [{"PrivateIpAddress": "10.0.2.30", "Primary": True}]})


@pytest.mark.parametrize(
    ("how", "said", "fate"),
    [
        pytest.param("terminated", "Instance i-2", Fate.WITHOUT_EFFECT, id="a terminated instance with null fields"),
        pytest.param("deleted peering", "VpcPeeringConnection pcx-1", Fate.WITHOUT_EFFECT, id="a deleted peering that is still listed"),
        pytest.param("available interface", "NetworkInterface eni-9", Fate.WITHOUT_EFFECT, id="an interface that is attached to nothing"),
        pytest.param("interface thrice", "NetworkInterface eni-2", Fate.ASSUMED, id="one interface id on three instances"),
        pytest.param("address outside", "NetworkInterface eni-2", Fate.LEFT_OUT, id="an address outside its subnet"),
        pytest.param("unknown group", "SecurityGroup sg-db", Fate.UNKNOWN, id="a rule that names a group that is gone, with a strange id"),
        pytest.param("unknown target", "RouteTable rtb-1", Fate.UNKNOWN, id="a route to a gateway that is gone"),
        pytest.param("unknown list", "PrefixList pl-aws", Fate.UNKNOWN, id="a rule that names a list without entries"),
        pytest.param("lost subnet", "NetworkInterface eni-2", Fate.LEFT_OUT, id="an interface whose subnet is not in the data"),
        pytest.param("second route", "RouteTable rtb-1", Fate.LEFT_OUT, id="two routes for one block"),
        pytest.param("subnet outside", "Subnet subnet-9", Fate.LEFT_OUT, id="a subnet outside its VPC"),
        pytest.param("stopped", "Instance i-2", Fate.ASSUMED, id="a stopped instance"),
        pytest.param("database", "NetworkInterface eni-9", Fate.ASSUMED, id="the interface of a database"),
    ],
)
def test_untidy_things_are_survived_and_said(described: Any, write: Write, how: str, said: str, fate: Fate) -> None:
    """What real exports hold never stops an import: it is taken as far as it goes, and noted."""
    bend(described, how)
    imported = read_network(write(described))
    assert notes(imported)[said].startswith(fate.value)
    assert Network(imported.topology).explain("internet", "web-1", "tcp/443").reachable


def test_what_is_gone_becomes_stale_or_a_blackhole(described: Any, write: Write) -> None:
    """A rule that names a gone group matches nothing (SG-32), a route to a gone gateway drops (IM-20, RT-12)."""
    bend(described, "unknown group")
    bend(described, "unknown target")
    network = Network(write(described))
    assert network.explain("web-1", "db-1", "tcp/5432").forward.reason == "ENI_SG_RULES_MISMATCH"
    assert network.explain("web-1", "192.168.1.1", "tcp/80").forward.reason == "BAD_STATE_ROUTE"


def test_sg46_sg48_two_views_of_one_group(described: Any, write: Write) -> None:
    """Permissions with several peers, and rules one by one, give one group; all ports are absent or -1 (SG-21, SG-45 to SG-48)."""
    first, everyone = described["SecurityGroups"][0], {"CidrIp": "0.0.0.0/0", "Description": "https"}
    pairs = [{"GroupId": "sg-db", "UserId": "111122223333"}]
    https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    first["IpPermissions"] = [https | {"IpRanges": [everyone], "UserIdGroupPairs": pairs}]
    first["IpPermissionsEgress"] = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    described["SecurityGroups"] = [first, described["SecurityGroups"][1]]
    once = read_network(write(described)).topology.get("sg-web", SecurityGroup)
    shared = {"GroupId": "sg-web", "GroupOwnerId": "111122223333", "Tags": []}
    tcp = shared | {"IsEgress": False} | https
    out = shared | {"IsEgress": True, "IpProtocol": "-1", "FromPort": -1, "ToPort": -1}
    described["SecurityGroupRules"] = [
        tcp | {"SecurityGroupRuleId": "sgr-1", "CidrIpv4": "0.0.0.0/0", "Description": "https"},
        tcp | {"SecurityGroupRuleId": "sgr-2", "ReferencedGroupInfo": pairs[0]},
        out | {"SecurityGroupRuleId": "sgr-3", "CidrIpv4": "0.0.0.0/0"},
    ]
    again = read_network(write(described)).topology.get("sg-web", SecurityGroup)
    assert (once.name, once.vpc, once.description) == (again.name, again.vpc, again.description) == ("web", "vpc-1", "Web servers")
    for one, other in ((once.ingress, again.ingress), (once.egress or (), again.egress or ())):
        assert [(rule.content(), rule.description) for rule in one] == [(rule.content(), rule.description) for rule in other]
    assert [rule.id for rule in (*again.ingress, *(again.egress or ()))] == ["sgr-1", "sgr-2", "sgr-3"]


@pytest.mark.parametrize(
    ("state", "origin", "shown"),
    [
        pytest.param("active", "CreateRoute", (False, False), id="RT-9 a route that was made"),
        pytest.param("blackhole", "CreateRoute", (True, False), id="RT-9 a blackhole"),
        pytest.param("active", "EnableVgwRoutePropagation", (False, True), id="RT-9 a propagated route"),
    ],
)
def test_rt9_states_and_origins_of_routes(described: Any, write: Write, state: str, origin: str, shown: tuple[bool, bool]) -> None:
    """Whether a route is usable and where it comes from is read (RT-9)."""
    described["VpnGateways"] = [
        {"VpnGatewayId": "vgw-1", "State": "available", "VpcAttachments": [{"VpcId": "vpc-1", "State": "attached"}]}
    ]
    route = {"DestinationCidrBlock": "192.168.1.0/24", "GatewayId": "vgw-1", "Origin": origin, "State": state}
    described["RouteTables"][0]["Routes"].append(route)
    table = read_network(write(described)).topology.get(described["RouteTables"][0]["RouteTableId"], RouteTable)
    found = [(one.blackhole, one.propagated) for one in table.routes if str(one.destination) == "192.168.1.0/24"]
    assert found == [shown]


@pytest.mark.parametrize(
    ("without", "said", "still"),
    [
        pytest.param("NetworkAcls", "NetworkAcl vpc-1", ("internet", "web-1", "tcp/443"), id="no network ACLs: all is allowed"),
        pytest.param(
            "RouteTables", "RouteTable", ("internet", "web-1", "tcp/443"), id="no route tables: public subnets have their way out"
        ),
        pytest.param("NetworkInterfaces", "", ("web-1", "db-1", "tcp/5432"), id="no interfaces: the instances' copies"),
        pytest.param("Reservations", "Instance i-1", ("10.0.1.10", "10.0.2.20", "tcp/5432"), id="no instances: their interfaces"),
        pytest.param("InternetGateways", "RouteTable rtb-1", ("web-1", "db-1", "tcp/5432"), id="no gateways: the inside still works"),
        pytest.param("SecurityGroups", "SecurityGroup sg-web", None, id="no groups: nothing is allowed"),
    ],
)
def test_a_partial_snapshot_works_and_says_what_it_assumed(
    described: Any, write: Write, without: str, said: str, still: tuple[str, str, str] | None
) -> None:
    """A file that is missing is not a reason to refuse the rest."""
    del described[without]
    imported = read_network(write(described))
    assert said in notes(imported) if said else not notes(imported)
    network = Network(imported.topology)
    assert network.explain(*(still or ("web-1", "db-1", "tcp/5432"))).reachable is (still is not None)


def test_places_and_names(described: Any, write: Write) -> None:
    """Things are called by their Name tag where it is theirs alone, and say which file they come from."""
    for instance in described["Reservations"][0]["Instances"]:
        instance["Tags"] = [{"Key": "Name", "Value": "twin"}]
    topology = read_network(write(described)).topology
    assert [instance.name for instance in topology.all(Instance)] == ["i-1", "i-2"]
    assert {subnet.name for subnet in topology.all(Subnet)} == {"public", "private"}
    assert {eni.place for eni in topology.all(NetworkInterface)} == {"NetworkInterfaces.json"}
    assert {table.main for table in topology.all(RouteTable)} == {True, False}
    assert [acl.name for acl in topology.all(NetworkAcl)] == ["default"]


def test_the_same_snapshot_gives_the_same_topology(described: Any, write: Write) -> None:
    """An import depends on nothing but its source."""
    folder = write(described)
    assert read_network(folder).topology.entities == read_network(folder).topology.entities
