"""Finds what a folder of JSON files, or one file, says about AWS, whoever laid it out.

Files are told apart by what is in them, never by their names: an object whose keys are EC2's response keys
(``{"Vpcs": [...]}``), the same in ``snake_case``, such objects nested below accounts, regions or call names, and a bare
list of resources that are known by their id field.  Paths give the account (12 digits) and the region where the
resource itself does not, and the id of what a response does not name (the entries of a prefix list).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from emulator.errors import TopologyError
from emulator.importers.records import Record, aws_key, read_json
from emulator.importers.report import Report

# Response key, folded → our kind and the field that tells one resource from another.
KINDS: dict[str, tuple[str, str]] = {
    "vpcs": ("Vpcs", "VpcId"),
    "subnets": ("Subnets", "SubnetId"),
    "instances": ("Instances", "InstanceId"),
    "networkinterfaces": ("NetworkInterfaces", "NetworkInterfaceId"),
    "securitygroups": ("SecurityGroups", "GroupId"),
    "securitygrouprules": ("SecurityGroupRules", "SecurityGroupRuleId"),
    "securitygroupvpcassociations": ("SecurityGroupVpcAssociations", ""),
    "prefixlists": ("PrefixLists", "PrefixListId"),
    "managedprefixlists": ("PrefixLists", "PrefixListId"),
    "networkacls": ("NetworkAcls", "NetworkAclId"),
    "routetables": ("RouteTables", "RouteTableId"),
    "internetgateways": ("InternetGateways", "InternetGatewayId"),
    "egressonlyinternetgateways": ("EgressOnlyInternetGateways", "EgressOnlyInternetGatewayId"),
    "natgateways": ("NatGateways", "NatGatewayId"),
    "addresses": ("Addresses", "PublicIp"),
    "vpcpeeringconnections": ("VpcPeeringConnections", "VpcPeeringConnectionId"),
    "transitgateways": ("TransitGateways", "TransitGatewayId"),
    "transitgatewayattachments": ("TransitGatewayAttachments", "TransitGatewayAttachmentId"),
    "transitgatewayvpcattachments": ("TransitGatewayVpcAttachments", "TransitGatewayAttachmentId"),
    "transitgatewaypeeringattachments": ("TransitGatewayPeeringAttachments", "TransitGatewayAttachmentId"),
    "transitgatewayconnects": ("TransitGatewayConnects", "TransitGatewayAttachmentId"),
    "transitgatewayroutetables": ("TransitGatewayRouteTables", "TransitGatewayRouteTableId"),
    "transitgatewaystaticroutes": ("TransitGatewayStaticRoutes", "TransitGatewayRouteTableId"),
    "transitgatewaypropagations": ("TransitGatewayPropagations", "TransitGatewayRouteTableId"),
    "transitgatewayroutetablepropagations": ("TransitGatewayRouteTablePropagations", "TransitGatewayAttachmentId"),
    "vpcendpoints": ("VpcEndpoints", "VpcEndpointId"),
    "vpngateways": ("VpnGateways", "VpnGatewayId"),
    "vpnconnections": ("VpnConnections", "VpnConnectionId"),
    "customergateways": ("CustomerGateways", "CustomerGatewayId"),
    "localgateways": ("LocalGateways", "LocalGatewayId"),
    "carriergateways": ("CarrierGateways", "CarrierGatewayId"),
    "loadbalancers": ("LoadBalancers", "LoadBalancerArn"),
    "loadbalancerdescriptions": ("LoadBalancerDescriptions", "LoadBalancerName"),
    "loadbalancerlisteners": ("LoadBalancerListeners", "LoadBalancerArn"),
    "loadbalancerattributes": ("LoadBalancerAttributes", "LoadBalancerArn"),
    "loadbalancertargethealth": ("LoadBalancerTargetHealth", "TargetGroupArn"),
    "targetgroups": ("TargetGroups", "TargetGroupArn"),
    "listeners": ("Listeners", "ListenerArn"),
    "dbinstances": ("DBInstances", "DBInstanceIdentifier"),
    "rdsinstances": ("DBInstances", "DBInstanceIdentifier"),
    "elasticsearchdomains": ("ElasticsearchDomains", "DomainName"),
    "firewalls": ("Firewalls", "FirewallName"),
    "firewallpolicies": ("FirewallPolicies", "FirewallPolicyName"),
    "flowlogs": ("FlowLogs", "FlowLogId"),
    "vpcblockpublicaccessexclusions": ("VpcBlockPublicAccessExclusions", "ExclusionId"),
    "targethealthdescriptions": ("TargetHealthDescriptions", ""),
}
# Keys that bear on no packet, or only in ways that the listed resources show again.
_PASSED_OVER = """
availabilityzones regions images volumes snapshots keypairs tags buckets users roles policies groups owner responsemetadata
nexttoken accountattributes dhcpoptions instancestatuses instanceattributes launchtemplates launchconfigurations autoscalinggroups
stacks stacksummaries functions clusters certificates hostedzones resourcerecordsets alarms topics queues queueurls trails
detectors collectorversion provider account accountid region timestamp version marker istruncated spotinstancerequests
placementgroups credentialreport accountsummary vpcclassiclinks dbsubnetgroups dbsecuritygroups subnetgroups clustergroups
iaminstanceprofileassociations availabilityzone description name date source licence license metadata availabilityzonesinfo
"""
PASSED_OVER = frozenset(_PASSED_OVER.split())
BARE = {id_field: kind for kind, id_field in KINDS.values() if id_field and kind not in ("TransitGatewayAttachments", "Addresses")}
DEEPEST = 6
MOST_FILES = 50_000
ACCOUNT = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])")
REGION = re.compile(r"(?<![a-z0-9])(?:af|ap|ca|cn|eu|il|me|mx|sa|us)(?:-[a-z]+){1,2}-[0-9](?![0-9])")
TARGET_GROUP = re.compile(r"arn:aws[^/]*:targetgroup/[^/]+/[0-9a-zA-Z]+")
LIST_ID, TRANSIT_TABLE_ID = re.compile(r"pl-[0-9a-zA-Z]+"), re.compile(r"tgw-rtb-[0-9a-zA-Z]+")


@dataclass
class Snapshot:
    """What was found: the records of each kind, and which kinds were there at all, if only as an empty list.

    Parameters
    ----------
    closed : whether what a record names should be there if its kind is: whole files are; plans and live accounts are not.
    """

    name: str
    closed: bool = False
    records: dict[str, dict[str, Record]] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)

    def all(self, kind: str) -> list[Record]:
        """The records of a kind, in the order in which they were found."""
        return list(self.records.get(kind, {}).values())

    def get(self, kind: str, id: str) -> Record | None:
        """The record of an id, if it is there."""
        return self.records.get(kind, {}).get(id)

    def add(self, kind: str, record: Record) -> None:
        """Take a record; of two with one id, seen by two accounts say, the fuller one and what only the other says."""
        table = self.records.setdefault(kind, {})
        key = record.id or f"{kind} {len(table) + 1}"
        other = table.get(key)
        if other is not None and kind == "TransitGatewayAttachments" and _gateway(other) != _gateway(record):
            key = record.id = other_side(record.id, _gateway(record))
            other = table.get(key)
        if other is None:
            table[key] = record
            return
        first, second = sorted((other, record), key=_fullness, reverse=True)
        first.data = {**second.data, **{name: value for name, value in first.data.items() if value not in (None, "", [], {})}}
        table[key] = first


def other_side(attachment: str, gateway: str) -> str:
    """Id of a peering's attachment at its other transit gateway: AWS lists both sides under one."""
    return f"{attachment}-{gateway}"


def _gateway(attachment: Record) -> str:
    return attachment.text("TransitGatewayId")


def _fullness(record: Record) -> tuple[bool, int]:
    """How much a record says; of a shared VPC's interfaces the instance's account says more than the subnet's owner."""
    attachment = record.data.get("Attachment")
    attached = isinstance(attachment, dict) and bool(attachment.get("InstanceId"))
    return attached, sum(value not in (None, "", [], {}) for value in record.data.values())


def json_files(path: Path) -> Iterator[Path]:
    """The files of a folder that may hold JSON: ``.json``, and those without a suffix whose first sign is a bracket.

    Links are followed to files of the folder alone, hidden files and folders are passed over.

    Raises
    ------
    TopologyError : more files than a snapshot has.
    """
    if path.is_file():
        yield path
        return
    found = 0
    for file in sorted(path.rglob("*")):
        if any(part.startswith(".") for part in file.relative_to(path).parts) or not file.is_file():
            continue
        if not file.resolve().is_relative_to(path.resolve()):
            continue
        if file.suffix.casefold() == ".json" or (_no_suffix(file) and _looks_like_json(file)):
            found += 1
            if found > MOST_FILES:
                raise TopologyError(f"{path}: more than {MOST_FILES:,} JSON files; name the folder of one snapshot")
            yield file


def _no_suffix(file: Path) -> bool:
    return "." not in file.name or "%" in file.name or file.name.startswith("arn")


def _looks_like_json(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(64).lstrip()[:1] in (b"{", b"[")
    except OSError:
        return False


def read_snapshot(path: Path, report: Report, documents: "dict[Path, Any] | None" = None) -> Snapshot:
    """Everything that the JSON of a file or folder says about AWS resources.

    Parameters
    ----------
    documents : the files that count, read already; None reads all of them.

    Raises
    ------
    TopologyError : a file that is no JSON, or nothing of AWS in any of them.
    """
    snapshot = Snapshot(path.resolve().name.split(".")[0] or "snapshot", closed=True)
    read = 0
    for file, document in documents.items() if documents is not None else ((file, read_json(file)) for file in json_files(path)):
        read += 1
        shown = str(file.relative_to(path)) if path.is_dir() else file.name
        _Reader(snapshot, report, file, shown).take(document, 0)
    if not snapshot.kinds:
        what = (
            f"none of its {read} JSON files has"
            if path.is_dir() and read
            else "it holds no JSON file with"
            if path.is_dir()
            else "it has no"
        )
        raise TopologyError(
            f"{path}: {what} resources of AWS (such as Vpcs, Subnets); name a folder or file that `aws ec2 describe-…` wrote"
        )
    return snapshot


class _Reader:
    """Takes one document apart."""

    def __init__(self, snapshot: Snapshot, report: Report, file: Path, shown: str) -> None:
        self.snapshot, self.report, self.file, self.shown = snapshot, report, file, shown
        self.path = unquote(shown)
        accounts, regions = ACCOUNT.findall(self.path), REGION.findall(self.path)
        self.account, self.region = accounts[-1] if accounts else "", regions[-1] if regions else ""

    def take(self, document: Any, depth: int) -> None:
        """Take what an object or list holds, and look into objects whose keys say nothing."""
        if isinstance(document, list):
            self._bare(document)
            return
        if not isinstance(document, dict):
            return
        for key, value in document.items():
            folded = _folded(key)
            if self._special(folded, value, document) or folded in PASSED_OVER:
                continue
            if folded in KINDS and (isinstance(value, list) or value is None):
                self._list(*KINDS[folded], value or [])
            elif folded in KINDS and not isinstance(value, dict):
                raise TopologyError(f"{self.shown}: {key} should be a list, not {str(value)[:40]!r}; write the file again")
            elif isinstance(value, dict) and depth < DEEPEST:
                self._inside(key, value, depth)
            elif isinstance(value, list) and value and isinstance(value[0], dict):
                self.report.not_modelled(key[:80], "", f"{len(value)} of a kind that is not known; they may bear on traffic", self.shown)

    def _inside(self, key: str, value: dict[str, Any], depth: int) -> None:
        kept = self.account, self.region
        if ACCOUNT.fullmatch(key):
            self.account = key
        elif REGION.fullmatch(key):
            self.region = key
        self.take(value, depth + 1)
        self.account, self.region = kept

    def _special(self, folded: str, value: Any, document: dict[str, Any]) -> bool:
        """Responses that are not a list of resources with ids: reservations, and what only the path names."""
        if folded == "reservations":
            self.snapshot.kinds.add("Instances")
            for number, reservation in enumerate(self._objects("Reservations", value)):
                whole = Record(reservation, "Reservation", str(number), self.shown)
                for instance in whole.parts("Instances"):
                    self._one("Instances", "InstanceId", instance.data, whole.text("OwnerId"))
            return True
        if folded == "entries" and isinstance(value, list):
            ids = LIST_ID.findall(self.path)
            if ids:
                self._one("PrefixLists", "PrefixListId", {"PrefixListId": ids[-1], "Entries": value})
            else:
                text = "entries of a prefix list, and neither the file's name nor its folder's says of which (pl-…)"
                self.report.not_modelled("PrefixList", "", text, self.shown)
            return True
        if folded == "targethealthdescriptions" and isinstance(value, list) and (arns := TARGET_GROUP.findall(self.path)):
            wrapped = {"TargetGroupArn": arns[-1], "TargetHealthDescriptions": value}
            self._one("LoadBalancerTargetHealth", "TargetGroupArn", wrapped)
            return True
        if folded in ("routes", "transitgatewayroutetablepropagations") and "TransitGatewayRouteTableId" not in document:
            ids = TRANSIT_TABLE_ID.findall(self.path)
            if ids and isinstance(value, list):
                if folded == "routes":
                    self._one(
                        "TransitGatewayStaticRoutes", "TransitGatewayRouteTableId", {"TransitGatewayRouteTableId": ids[-1], "Routes": value}
                    )
                else:
                    wrapped = {"TransitGatewayRouteTableId": ids[-1], "TransitGatewayRouteTablePropagations": value}
                    self._one("TransitGatewayPropagations", "TransitGatewayRouteTableId", wrapped)
                return True
        if folded == "nexttoken" and value:
            self.snapshot.closed = False
            self.report.assumed(
                "NextToken", "", "the answer has further pages, which were taken to hold nothing if no other file has them", self.shown
            )
            return True
        return False

    def _objects(self, key: str, value: Any) -> Iterator[dict[str, Any]]:
        if value is None:
            return
        if not isinstance(value, list):
            raise TopologyError(f"{self.shown}: {key} should be a list, not {str(value)[:40]!r}; write the file again")
        for item in value:
            if item is None:
                continue
            if not isinstance(item, dict):
                raise TopologyError(f"{self.shown}: each of {key} should be an object, not {str(item)[:40]!r}; write the file again")
            yield item

    def _list(self, kind: str, id_field: str, value: list[Any]) -> None:
        if kind == "Instances" and value and isinstance(value[0], dict) and not {"InstanceId", "instanceId", "instance_id"} & set(value[0]):
            return  # the instances of some other service
        self.snapshot.kinds.add(kind)
        for item in self._objects(kind, value):
            self._one(kind, id_field, item)

    def _bare(self, items: list[Any]) -> None:
        """A list without a key around it, as ``--query`` gives it: each resource is known by its own id field."""
        for item in items:
            if not isinstance(item, dict):
                continue
            keys = [aws_key(key) for key in item]
            if "Instances" in keys or "Reservations" in keys:
                self.take({"Reservations": [item]} if "Instances" in keys else item, DEEPEST)
                continue
            kind = next((BARE[key] for key in keys if key in BARE and _is_own(BARE[key], keys)), None)
            if kind is None and any(_folded(key) in KINDS and isinstance(value, list) for key, value in item.items()):
                self.take(item, DEEPEST)  # answers one after the other
            elif kind is not None:
                self._list(kind, next(id_field for other, id_field in KINDS.values() if other == kind), [item])

    def _one(self, kind: str, id_field: str, data: dict[str, Any], account: str = "") -> None:
        self.snapshot.kinds.add(kind)
        record = Record(data, kind.removesuffix("es") if kind == "Addresses" else kind.removesuffix("s"), "", self.shown)
        record.id = record.text(id_field) if id_field else ""
        if id_field and not record.id:
            self.report.left_out(record.kind, "", f"it has no {id_field}", self.shown)
            return
        record.account = record.text("OwnerId") or account or self.account
        record.region = self.region
        self.snapshot.add(kind, record)


def _folded(key: str) -> str:
    return key.replace("_", "").replace("-", "").casefold()


# Fields that a resource of the kind has beside its id, so that a mere reference to another is not taken for it.
_MARKS = {
    "Vpcs": ("CidrBlockAssociationSet", "IsDefault", "DhcpOptionsId"),
    "Subnets": ("AvailableIpAddressCount", "MapPublicIpOnLaunch", "DefaultForAz"),
    "Instances": ("InstanceType", "Placement", "State"),
    "NetworkInterfaces": ("InterfaceType", "PrivateIpAddresses", "Status"),
    "SecurityGroups": ("IpPermissions", "IpPermissionsEgress"),
    "SecurityGroupRules": ("IsEgress",),
    "RouteTables": ("Routes", "Associations"),
    "NetworkAcls": ("Entries", "Associations"),
    "PrefixLists": ("PrefixListName", "Cidrs", "Entries"),
    "InternetGateways": ("Attachments",),
    "NatGateways": ("NatGatewayAddresses", "ConnectivityType"),
    "VpcPeeringConnections": ("AccepterVpcInfo", "RequesterVpcInfo"),
}


def _is_own(kind: str, keys: list[str]) -> bool:
    marks = _MARKS.get(kind)
    return bool(set(marks) & set(keys)) if marks else kind.startswith(("Egress", "VpcEndpoint", "Vpn", "Customer", "TargetGroup"))
