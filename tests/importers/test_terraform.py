"""Plans and states of Terraform, whole and before anything is known."""

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.importers.network import read_network
from emulator.model.entities import Instance, NetworkInterface, RouteTable, Subnet, VpcPeeringConnection
from emulator.model.groups import SecurityGroup
from emulator.network import Network

Json = dict[str, Any]


def resource(address: str, _index: Any = None, _module: str = "", **values: Any) -> Json:
    """A planned resource, as ``show -json`` has it."""
    kind, name = address.split(".")
    shown = "" if _index is None else f"[{json.dumps(_index)}]"
    made: Json = {
        "address": f"{_module}{'.' if _module else ''}{address}{shown}",
        "mode": "managed",
        "type": kind,
        "name": name,
        "values": values,
    }
    return made if _index is None else made | {"index": _index}


def refers(*references: str) -> Json:
    return {"references": list(references)}


def configured(address: str, **expressions: Any) -> Json:
    kind, name = address.split(".")
    return {"address": address, "mode": "managed", "type": kind, "name": name, "expressions": expressions}


def plan(resources: list[Json], configuration: list[Json], **root: Any) -> Json:
    return {
        "format_version": "1.2",
        "planned_values": {"root_module": {"resources": resources, "child_modules": root.get("children", [])}},
        "configuration": {"root_module": {"resources": configuration, "module_calls": root.get("calls", {})}},
    }


def shop() -> Json:
    """A VPC before apply: no id is known, every join is a reference; rules in all three spellings."""
    everyone = {"from_port": 0, "to_port": 0, "protocol": "-1", "cidr_blocks": ["0.0.0.0/0"], "ipv6_cidr_blocks": [], "self": False}
    resources = [
        resource("aws_vpc.shop", cidr_block="10.0.0.0/16"),
        resource("aws_subnet.public", 0, cidr_block="10.0.1.0/24", availability_zone="eu-west-1a", map_public_ip_on_launch=True),
        resource("aws_subnet.public", 1, cidr_block="10.0.2.0/24", availability_zone="eu-west-1b", map_public_ip_on_launch=True),
        resource("aws_internet_gateway.way"),
        resource("aws_route_table.public", route=[{"cidr_block": "0.0.0.0/0", "ipv6_cidr_block": "", "gateway_id": None}]),
        resource("aws_route_table_association.public", 0),
        resource("aws_route_table_association.public", 1),
        resource(
            "aws_security_group.web",
            name="web",
            ingress=[everyone | {"from_port": 443, "to_port": 443, "protocol": "tcp"}],
            egress=[everyone],
        ),
        resource("aws_security_group.db", name="db"),
        resource("aws_security_group_rule.db", type="ingress", from_port=5432, to_port=5432, protocol="tcp", self=False),
        resource("aws_vpc_security_group_ingress_rule.admin", ip_protocol="tcp", from_port=22, to_port=22, cidr_ipv4="198.51.100.0/24"),
        resource("aws_instance.web", 0, instance_type="m5.large"),
        resource("aws_instance.web", 1, instance_type="m5.large"),
        resource("aws_instance.db", instance_type="m5.large", private_ip="10.0.1.20", associate_public_ip_address=False),
    ]
    table = [
        {"cidr_block": {"constant_value": "0.0.0.0/0"}, "gateway_id": refers("aws_internet_gateway.way.id", "aws_internet_gateway.way")}
    ]
    configuration = [
        configured("aws_vpc.shop", cidr_block={"constant_value": "10.0.0.0/16"}),
        configured("aws_subnet.public", vpc_id=refers("aws_vpc.shop.id", "aws_vpc.shop"), cidr_block=refers("count.index")),
        configured("aws_internet_gateway.way", vpc_id=refers("aws_vpc.shop.id", "aws_vpc.shop")),
        configured("aws_route_table.public", vpc_id=refers("aws_vpc.shop.id", "aws_vpc.shop"), route=table),
        configured(
            "aws_route_table_association.public",
            subnet_id=refers("aws_subnet.public", "count.index"),
            route_table_id=refers("aws_route_table.public.id", "aws_route_table.public"),
        ),
        configured("aws_security_group.web", vpc_id=refers("aws_vpc.shop.id", "aws_vpc.shop")),
        configured("aws_security_group.db", vpc_id=refers("aws_vpc.shop.id", "aws_vpc.shop")),
        configured(
            "aws_security_group_rule.db",
            security_group_id=refers("aws_security_group.db.id", "aws_security_group.db"),
            source_security_group_id=refers("aws_security_group.web.id", "aws_security_group.web"),
        ),
        configured(
            "aws_vpc_security_group_ingress_rule.admin", security_group_id=refers("aws_security_group.db.id", "aws_security_group.db")
        ),
        configured(
            "aws_instance.web",
            subnet_id=refers("aws_subnet.public", "count.index"),
            vpc_security_group_ids=refers("aws_security_group.web.id", "aws_security_group.web"),
        ),
        configured(
            "aws_instance.db",
            subnet_id=refers("aws_subnet.public[0].id", "aws_subnet.public[0]", "aws_subnet.public"),
            vpc_security_group_ids=refers("aws_security_group.db.id", "aws_security_group.db"),
        ),
    ]
    return plan(resources, configuration)


def write(folder: Path, document: Json, name: str = "plan.json") -> Path:
    (folder / name).write_text(json.dumps(document))
    return folder / name


@pytest.mark.parametrize(
    ("source", "destination", "service", "reachable"),
    [
        pytest.param("internet", "aws_instance.web[0]", "tcp/443", True, id="the inline rule and the inline route"),
        pytest.param("internet", "aws_instance.web[1]", "tcp/22", False, id="nothing else of the web servers"),
        pytest.param("aws_instance.web[1]", "aws_instance.db", "tcp/5432", True, id="the separate rule names the group"),
        pytest.param("aws_instance.web[0]", "aws_instance.db", "tcp/22", False, id="the newer rule is for one block"),
        pytest.param("aws_instance.db", "internet", "tcp/443", False, id="Terraform takes the default egress rule away"),
    ],
)
def test_a_plan_before_apply(tmp_path: Path, source: str, destination: str, service: str, reachable: bool) -> None:
    """References stand for the ids that apply will make; count's items find their like."""
    assert Network(write(tmp_path, shop())).explain(source, destination, service).reachable is reachable


def test_count_joins_like_with_like(tmp_path: Path) -> None:
    """The second web server stands in the second subnet."""
    topology = read_network(write(tmp_path, shop())).topology
    homes = {topology.display(eni.instance): topology.display(eni.subnet) for eni in topology.all(NetworkInterface)}
    assert homes == {
        "aws_instance.web[0]": "aws_subnet.public[0]",
        "aws_instance.web[1]": "aws_subnet.public[1]",
        "aws_instance.db": "aws_subnet.public[0]",
    }


def test_made_up_addresses_are_said(tmp_path: Path) -> None:
    """An address that apply will give is drafted, and the draft is said; a known one is kept."""
    imported = read_network(write(tmp_path, shop()))
    said = [note.text for note in imported.report if "not known yet" in note.text]
    assert len(said) == 4  # a private and a public one of each web server
    assert str(imported.topology.find("10.0.1.20").id) == "eni-aws_instance.db"


def test_an_unknown_block_is_said_and_never_guessed(tmp_path: Path) -> None:
    """A rule whose block only apply decides matches nothing, and is listed."""
    document = shop()
    rule = next(item for item in document["planned_values"]["root_module"]["resources"] if item["type"].startswith("aws_vpc_security"))
    del rule["values"]["cidr_ipv4"]
    described = next(item for item in document["configuration"]["root_module"]["resources"] if item["type"].startswith("aws_vpc_security"))
    described["expressions"]["cidr_ipv4"] = refers("data.http.my_address.body", "data.http.my_address")
    imported = read_network(write(tmp_path, document))
    assert any(note.fate.value == "unknown" and "cidr_ipv4" in note.text for note in imported.report)
    assert [rule.ports for rule in imported.topology.get("aws_security_group.db", SecurityGroup).ingress] == [(5432, 5432)]


def modules() -> Json:
    """A module called twice over for_each, its VPC handed in by a variable, its subnet handed out by an output."""
    net = {
        "resources": [configured("aws_subnet.inner", vpc_id=refers("var.vpc_id"), cidr_block=refers("var.block"))],
        "outputs": {"subnet_id": {"expression": refers("aws_subnet.inner.id", "aws_subnet.inner")}},
        "variables": {"vpc_id": {}, "block": {}},
    }
    children = [
        {
            "address": f'module.net["{zone}"]',
            "resources": [resource("aws_subnet.inner", None, f'module.net["{zone}"]', cidr_block=f"10.0.{number}.0/24")],
        }
        for number, zone in enumerate("ab", 1)
    ]
    return plan(
        [resource("aws_vpc.shop", cidr_block="10.0.0.0/16"), resource("aws_instance.one"), resource("aws_security_group.one", name="one")],
        [
            configured("aws_vpc.shop"),
            configured("aws_security_group.one", vpc_id=refers("aws_vpc.shop.id", "aws_vpc.shop")),
            configured(
                "aws_instance.one",
                subnet_id=refers('module.net["a"].subnet_id', 'module.net["a"]', "module.net"),
                vpc_security_group_ids=refers("aws_security_group.one.id", "aws_security_group.one"),
            ),
        ],
        children=children,
        calls={"net": {"expressions": {"vpc_id": refers("aws_vpc.shop.id", "aws_vpc.shop")}, "module": net}},
    )


def test_modules_hand_ids_in_and_out(tmp_path: Path) -> None:
    """A variable is followed up to its caller, an output down into its module."""
    topology = read_network(write(tmp_path, modules())).topology
    assert {topology.display(subnet.vpc) for subnet in topology.all(Subnet)} == {"aws_vpc.shop"}
    assert [topology.display(eni.subnet) for eni in topology.all(NetworkInterface)] == ['module.net["a"].aws_subnet.inner']


def state(raw: bool) -> Json:
    """The same small network as a state: every id known; as ``show -json`` and as the raw file."""
    values: list[tuple[str, Any, Json]] = [
        ("aws_vpc.shop", None, {"id": "vpc-1", "cidr_block": "10.0.0.0/16", "main_route_table_id": "rtb-0"}),
        ("aws_subnet.a", "x", {"id": "subnet-1", "vpc_id": "vpc-1", "cidr_block": "10.0.1.0/24"}),
        ("aws_internet_gateway.way", None, {"id": "igw-1", "vpc_id": "vpc-1"}),
        ("aws_route.out", None, {"route_table_id": "rtb-0", "destination_cidr_block": "0.0.0.0/0", "gateway_id": "igw-1"}),
        ("aws_security_group.web", None, {"id": "sg-1", "name": "web", "vpc_id": "vpc-1", "ingress": [], "egress": []}),
        (
            "aws_security_group_rule.web",
            None,
            {
                "type": "ingress",
                "security_group_id": "sg-1",
                "protocol": "tcp",
                "from_port": 80,
                "to_port": 80,
                "cidr_blocks": ["0.0.0.0/0"],
            },
        ),
        (
            "aws_instance.web",
            None,
            {"id": "i-1", "subnet_id": "subnet-1", "private_ip": "10.0.1.10", "vpc_security_group_ids": ["sg-1"], "public_ip": ""},
        ),
        ("aws_eip.web", None, {"id": "eipalloc-1", "instance": "i-1", "public_ip": "203.0.113.7"}),
    ]
    if not raw:
        resources = [resource(address, index, **found) for address, index, found in values]
        return {"format_version": "1.0", "terraform_version": "1.8.5", "values": {"root_module": {"resources": resources}}}
    listed = []
    for address, index, found in values:
        kind, name = address.split(".")
        instance = {"attributes": found} | ({"index_key": index} if index else {})
        listed.append({"mode": "managed", "type": kind, "name": name, "instances": [instance]})
    return {"version": 4, "terraform_version": "1.8.5", "resources": listed}


@pytest.mark.parametrize("raw", [False, True], ids=["as show -json gives it", "as the state file has it"])
def test_a_state(tmp_path: Path, raw: bool) -> None:
    """A state knows everything: ids, addresses, the main table that a separate route is added to."""
    network = Network(write(tmp_path, state(raw), "terraform.tfstate"))
    found = network.explain("198.51.100.1", "aws_instance.web", "HTTP")
    assert found.reachable
    assert str(found.forward.sent.five_tuple.destination) == "203.0.113.7"
    assert next(network.topology.all(Instance)).id == "i-1"
    assert [len(table.routes) for table in network.topology.all(RouteTable)] == [1]


@pytest.mark.parametrize(("auto", "status"), [(True, "active"), (False, "pending-acceptance")], ids=["accepted with it", "to be accepted"])
def test_peering_waits_for_its_acceptance(tmp_path: Path, auto: bool, status: str) -> None:
    """A peering that nobody in the plan accepts carries nothing (RT-11)."""
    resources = [
        resource("aws_vpc.a", id="vpc-a", cidr_block="10.0.0.0/16"),
        resource("aws_vpc.b", id="vpc-b", cidr_block="10.1.0.0/16"),
        resource("aws_vpc_peering_connection.ab", vpc_id="vpc-a", peer_vpc_id="vpc-b", auto_accept=auto),
    ]
    topology = read_network(write(tmp_path, plan(resources, []))).topology
    assert [peering.status for peering in topology.all(VpcPeeringConnection)] == [status]


def test_what_has_no_place_is_listed(tmp_path: Path) -> None:
    """A load balancer or an autoscaling group is named with what is not shown of it; a bucket is not worth a word."""
    document = shop()
    document["planned_values"]["root_module"]["resources"] += [
        resource("aws_autoscaling_group.fleet", name="fleet"),
        resource("aws_s3_bucket.files", bucket="files"),
    ]
    kinds = {note.kind for note in read_network(write(tmp_path, document)).report}
    assert "aws_autoscaling_group" in kinds
    assert "aws_s3_bucket" not in kinds


def test_a_transit_gateway_joins_the_vpcs_of_a_plan(tmp_path: Path) -> None:
    """Two VPCs attached to one gateway reach one another by its default table."""
    everyone = [{"protocol": "-1", "from_port": 0, "to_port": 0, "cidr_blocks": ["0.0.0.0/0"]}]
    resources = [resource("aws_ec2_transit_gateway.hub", id="tgw-1")]
    for number, name in enumerate("ab"):
        far = f"10.{1 - number}.0.0/16"
        resources += [
            resource(f"aws_vpc.{name}", id=f"vpc-{name}", cidr_block=f"10.{number}.0.0/16"),
            resource(f"aws_subnet.{name}", id=f"subnet-{name}", vpc_id=f"vpc-{name}", cidr_block=f"10.{number}.1.0/24"),
            resource(
                f"aws_ec2_transit_gateway_vpc_attachment.{name}",
                id=f"tgw-attach-{name}",
                transit_gateway_id="tgw-1",
                vpc_id=f"vpc-{name}",
                subnet_ids=[f"subnet-{name}"],
            ),
            resource(f"aws_route.{name}", route_table_id=f"vpc-{name}", destination_cidr_block=far, transit_gateway_id="tgw-1"),
            resource(f"aws_security_group.{name}", id=f"sg-{name}", name=name, vpc_id=f"vpc-{name}", ingress=everyone, egress=everyone),
            resource(f"aws_instance.{name}", subnet_id=f"subnet-{name}", vpc_security_group_ids=[f"sg-{name}"]),
        ]
    assert Network(write(tmp_path, plan(resources, []))).explain("aws_instance.a", "aws_instance.b", "HTTPS").reachable
