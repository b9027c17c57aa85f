"""All layouts that people have their describe output in are the same network."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from emulator.errors import TopologyError
from emulator.importers.network import load_network, read_network
from emulator.model.joined import TargetGroup
from emulator.model.topology import Topology
from tests.importers.conftest import interface

Layout = Callable[[Path, dict[str, Any]], Path]


def flat(root: Path, described: dict[str, Any]) -> Path:
    for key, value in described.items():
        (root / f"{key}.json").write_text(json.dumps({key: value}))
    return root


def regions(root: Path, described: dict[str, Any]) -> Path:
    for region in ("eu-west-1", "us-east-1"):
        (root / region).mkdir()
    for key, value in described.items():
        (root / "eu-west-1" / f"{key}.json").write_text(json.dumps({key: value}))
        (root / "us-east-1" / f"{key}.json").write_text(json.dumps({key: []}))
    return root


def accounts(root: Path, described: dict[str, Any]) -> Path:
    folder = root / "accounts" / "111122223333" / "eu-west-1"
    folder.mkdir(parents=True)
    flat(folder, described)
    return root


def plain_cli(root: Path, described: dict[str, Any]) -> Path:
    for number, (key, value) in enumerate(described.items()):
        (root / f"describe-{number}.json").write_text(json.dumps({key: value, "ResponseMetadata": {"HTTPStatusCode": 200}}))
    return root


def cloudmapper(root: Path, described: dict[str, Any]) -> Path:
    folder = root / "account-data" / "shop" / "eu-west-1"
    folder.mkdir(parents=True)
    (root / "account-data" / "shop" / "describe-regions.json").write_text(json.dumps({"Regions": [{"RegionName": "eu-west-1"}]}))
    for key, value in described.items():
        (folder / f"ec2-describe-{key.lower()}.json").write_text(json.dumps({key: value}))
    health = folder / "elbv2-describe-target-health"
    health.mkdir()
    (health / "arn%3Aaws%3Aelasticloadbalancing").write_text(json.dumps({"TargetHealthDescriptions": []}))
    return root


def one_after_the_other(root: Path, described: dict[str, Any]) -> Path:
    (root / "all.json").write_text(json.dumps([{key: value, "NextToken": None} for key, value in described.items()]))
    return root / "all.json"


def with_a_mark(root: Path, described: dict[str, Any]) -> Path:
    for key, value in described.items():
        (root / f"{key}.json").write_text(json.dumps({key: value}), encoding="utf-8-sig")
    return root


def combined(root: Path, described: dict[str, Any]) -> Path:
    (root / "aws.json").write_text(json.dumps(described))
    return root / "aws.json"


def nested(root: Path, described: dict[str, Any]) -> Path:
    (root / "everything.json").write_text(json.dumps({"111122223333": {"eu-west-1": described}}))
    return root / "everything.json"


def pages(root: Path, described: dict[str, Any]) -> Path:
    for key, value in described.items():
        for number, item in enumerate(value):
            (root / f"{key}-{number}.json").write_text(json.dumps({key: [item]}))
    return root


def queried(root: Path, described: dict[str, Any]) -> Path:
    for key, value in described.items():
        (root / f"{key}.json").write_text(json.dumps(value))
    return root


def collector(root: Path, described: dict[str, Any]) -> Path:
    """SDK objects under snake_case keys, null for absent; interfaces inside the instances alone."""

    def nulls(item: Any) -> Any:
        if isinstance(item, dict):
            return {**{key: nulls(value) for key, value in item.items()}, "OutpostArn": None}
        return [nulls(value) for value in item] or None if isinstance(item, list) else item

    snake = {"".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in key).lstrip("_"): value for key, value in described.items()}
    snake["instances"] = [instance for reservation in snake.pop("reservations") for instance in reservation["Instances"]]
    del snake["network_interfaces"]
    document = {"collector_version": "1", "provider": "aws", **nulls(snake)}
    (root / "collected.json").write_text(json.dumps(document))
    return root / "collected.json"


def alike(topology: Topology) -> list[Any]:
    """The entities without the places they were read from, in the order of ids."""
    return [bare(topology.entities[key]) for key in sorted(topology.entities)]


def bare(thing: Any) -> Any:
    changes = {
        field.name: "" if field.name == "place" else tuple(map(bare, getattr(thing, field.name)))
        for field in fields(thing)
        if field.name in ("place", "ingress", "egress", "routes") and hasattr(thing, field.name)
    }
    return replace(thing, **changes)


LAYOUTS = (regions, accounts, plain_cli, cloudmapper, combined, one_after_the_other, with_a_mark, nested, pages, queried, collector)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_layout_is_the_same_network(tmp_path: Path, described: Any, layout: Layout) -> None:
    """Files are told apart by what is in them, however they are named, nested or spelt."""
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    expected = load_network(flat(tmp_path / "one", described))
    assert alike(load_network(layout(tmp_path / "other", described))) == alike(expected)


def test_a_shared_interface_listed_by_two_accounts_is_one(tmp_path: Path, described: Any) -> None:
    """Of two descriptions of one interface the one that knows the instance wins (the subnet's owner does not see it)."""
    owner = json.loads(json.dumps(described))
    del owner["Reservations"]
    for eni in owner["NetworkInterfaces"]:
        eni["Attachment"] = {"DeviceIndex": 0, "InstanceOwnerId": "444455556666"}
    for account, content in (("111122223333", owner), ("444455556666", described)):
        folder = tmp_path / account / "eu-west-1"
        folder.mkdir(parents=True)
        flat(folder, content)
    topology = load_network(tmp_path)
    assert [instance.name for instance in map(topology.find, ("web-1", "db-1"))] == ["web-1", "db-1"]
    assert not [key for key in topology.entities if key.startswith("i-eni")]


def test_zones_of_two_accounts_are_told_apart_by_their_ids(tmp_path: Path, described: Any) -> None:
    """A zone's name differs from account to account, so with two accounts the zone's id counts."""
    described["Subnets"][1]["OwnerId"] = "444455556666"
    assert {subnet.availability_zone for subnet in map(load_network(flat(tmp_path, described)).find, ("public", "private"))} == {"euw1-az2"}


def test_entries_of_a_prefix_list_are_named_by_their_file(tmp_path: Path, described: Any) -> None:
    """get-managed-prefix-list-entries does not say whose entries they are; its file's name does."""
    described["SecurityGroups"][0]["IpPermissions"][0] |= {"IpRanges": [], "PrefixListIds": [{"PrefixListId": "pl-0a1"}]}
    flat(tmp_path, described)
    (tmp_path / "describe-managed-prefix-lists.json").write_text(
        json.dumps({"PrefixLists": [{"PrefixListId": "pl-0a1", "PrefixListName": "office", "AddressFamily": "IPv4"}]})
    )
    (tmp_path / "get-managed-prefix-list-entries-pl-0a1.json").write_text(json.dumps({"Entries": [{"Cidr": "198.51.100.0/24"}]}))
    office = load_network(tmp_path).find("office")
    assert [str(block) for block in office.entries] == ["198.51.100.0/24"]  # type: ignore[union-attr]


def test_what_is_not_known_is_listed_and_what_bears_on_nothing_is_not(tmp_path: Path, described: Any) -> None:
    """A list of a kind that nobody knows is said; volumes and key pairs are not worth a word."""
    described["QuantumGateways"] = [{"QuantumGatewayId": "qgw-1"}]
    described["Volumes"] = [{"VolumeId": "vol-1"}]
    said = [note.kind for note in read_network(flat(tmp_path, described)).report]
    assert "QuantumGateways" in said
    assert "Volumes" not in said


def test_an_empty_folder_is_no_network(tmp_path: Path) -> None:
    """A folder with nothing to read gives one line that says what to name instead."""
    with pytest.raises(TopologyError, match="no network in this folder"):
        load_network(tmp_path)


def test_an_empty_file_is_a_call_that_failed(tmp_path: Path, described: Any) -> None:
    """What a refused call leaves of its file is said, and is no reason to refuse the rest."""
    flat(tmp_path, described)
    (tmp_path / "describe-flow-logs.json").write_text("")
    imported = read_network(tmp_path)
    assert [(note.kind, note.fate.value) for note in imported.report] == [("file", "assumed")]


def test_of_a_list_with_more_pages_nothing_is_demanded(tmp_path: Path, described: Any) -> None:
    """Where the answer says that it has more pages, what another page may hold is left out with a note."""
    described["NetworkInterfaces"][1]["SubnetId"] = "subnet-9"
    flat(tmp_path, described)
    (tmp_path / "Subnets.json").write_text(json.dumps({"Subnets": described["Subnets"], "NextToken": "more"}))
    told = {note.kind: note.fate.value for note in read_network(tmp_path).report}
    assert (told["NextToken"], told["NetworkInterface"]) == ("assumed", "left out")


def test_health_of_targets_is_named_by_its_file(tmp_path: Path, described: Any) -> None:
    """describe-target-health does not say whose targets they are; the quoted ARN of its file does."""
    arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/6d0ecf831eec9f09"
    balancer = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/front/50dc6c495c0c9188"
    eni = interface(9, "", "subnet-2", "10.0.2.99", []) | {"Description": "ELB net/front/50dc6c495c0c9188"}
    described["NetworkInterfaces"].append(eni | {"InterfaceType": "network_load_balancer"})
    described["LoadBalancers"] = [{"LoadBalancerArn": balancer, "LoadBalancerName": "front", "Type": "network", "VpcId": "vpc-1"}]
    described["TargetGroups"] = [{"TargetGroupArn": arn, "TargetGroupName": "web", "Protocol": "TCP", "Port": 80, "VpcId": "vpc-1"}]
    forward = [{"Type": "forward", "TargetGroupArn": arn}]
    described["Listeners"] = [{"ListenerArn": "l", "LoadBalancerArn": balancer, "Port": 80, "Protocol": "TCP", "DefaultActions": forward}]
    flat(tmp_path, described)
    folder = tmp_path / "elbv2-describe-target-health"
    folder.mkdir()
    (folder / quote(arn, safe="")).write_text(json.dumps({"TargetHealthDescriptions": [{"Target": {"Id": "i-1", "Port": 80}}]}))
    assert [target.target for target in load_network(tmp_path).get(arn, TargetGroup).targets] == ["i-1"]
