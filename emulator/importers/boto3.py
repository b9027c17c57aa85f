"""A live account, or a local emulator of one, read through boto3: describe calls alone, every page of each.

What an account may not ask, or an emulator does not know, is noted and taken as not there.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from emulator.errors import UsageError
from emulator.importers.aws import topology_from_snapshot
from emulator.importers.layouts import KINDS, Snapshot
from emulator.importers.network import Imported
from emulator.importers.records import Record
from emulator.importers.report import Report

if TYPE_CHECKING:
    from emulator.model.topology import Topology

ID_FIELDS = dict(KINDS.values())
# Service, call, response key: all that the importer reads.
CALLS = (
    ("ec2", "describe_vpcs", "Vpcs"),
    ("ec2", "describe_subnets", "Subnets"),
    ("ec2", "describe_instances", "Reservations"),
    ("ec2", "describe_network_interfaces", "NetworkInterfaces"),
    ("ec2", "describe_security_groups", "SecurityGroups"),
    ("ec2", "describe_security_group_rules", "SecurityGroupRules"),
    ("ec2", "describe_managed_prefix_lists", "PrefixLists"),
    ("ec2", "describe_network_acls", "NetworkAcls"),
    ("ec2", "describe_route_tables", "RouteTables"),
    ("ec2", "describe_internet_gateways", "InternetGateways"),
    ("ec2", "describe_egress_only_internet_gateways", "EgressOnlyInternetGateways"),
    ("ec2", "describe_nat_gateways", "NatGateways"),
    ("ec2", "describe_addresses", "Addresses"),
    ("ec2", "describe_vpc_peering_connections", "VpcPeeringConnections"),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints"),
    ("ec2", "describe_vpn_gateways", "VpnGateways"),
    ("ec2", "describe_vpn_connections", "VpnConnections"),
    ("ec2", "describe_transit_gateways", "TransitGateways"),
    ("ec2", "describe_transit_gateway_attachments", "TransitGatewayAttachments"),
    ("ec2", "describe_transit_gateway_vpc_attachments", "TransitGatewayVpcAttachments"),
    ("ec2", "describe_transit_gateway_peering_attachments", "TransitGatewayPeeringAttachments"),
    ("ec2", "describe_transit_gateway_route_tables", "TransitGatewayRouteTables"),
    ("elbv2", "describe_load_balancers", "LoadBalancers"),
    ("elbv2", "describe_target_groups", "TargetGroups"),
)
# What has to be there for a network to be read at all.
NEEDED = ("describe_vpcs", "describe_subnets", "describe_security_groups", "describe_instances")


def topology_from_boto3(session: Any = None, *, endpoint_url: str | None = None, regions: tuple[str, ...] = ()) -> "Topology":
    """The topology of an account; see `read_account`."""
    return read_account(session, endpoint_url=endpoint_url, regions=regions).topology


def read_account(session: Any = None, *, endpoint_url: str | None = None, regions: tuple[str, ...] = ()) -> Imported:
    """The topology of an account, with what it does not show.

    Parameters
    ----------
    session : a ``boto3.Session``; None makes one of the environment's settings.
    endpoint_url : of a local emulator; None is AWS.
    regions : Regions to read into one topology; none is the session's own.

    Raises
    ------
    UsageError : boto3 is not installed, or the account does not answer the first questions.
    """
    try:
        import boto3
    except ImportError:
        raise UsageError("an account is read with boto3; install it: pip install 'vpcemu[aws]'") from None
    session = session or boto3.Session()
    report, snapshot = Report(), Snapshot("account")
    for region in regions or (None,):
        _Account(session, endpoint_url, region, snapshot, report).read()
    return Imported(topology_from_snapshot(snapshot, report), "AWS account", report)


class _Account:
    """One Region of an account, being read."""

    def __init__(self, session: Any, endpoint_url: str | None, region: str | None, snapshot: Snapshot, report: Report) -> None:
        self.snapshot, self.report = snapshot, report
        self.region = region or session.region_name or ""
        self.clients = {service: session.client(service, region_name=region, endpoint_url=endpoint_url) for service in ("ec2", "elbv2")}

    def read(self) -> None:
        """Ask everything, and keep the answers."""
        for service, call, key in CALLS:
            for item in self._pages(service, call, key):
                for resource in item.get("Instances", ()) if key == "Reservations" else (item,):
                    self._keep("Instances" if key == "Reservations" else key, resource, item.get("OwnerId", ""))
        for made in list(self.snapshot.all("PrefixLists")):
            entries = list(self._pages("ec2", "get_managed_prefix_list_entries", "Entries", PrefixListId=made.id))
            made.data["Entries"] = entries
        self._transit()
        self._balancers()

    def _transit(self) -> None:
        for table in self.snapshot.all("TransitGatewayRouteTables"):
            key = {"TransitGatewayRouteTableId": table.id}
            learned = list(
                self._pages("ec2", "get_transit_gateway_route_table_propagations", "TransitGatewayRouteTablePropagations", **key)
            )
            self._keep("TransitGatewayPropagations", key | {"TransitGatewayRouteTablePropagations": learned})
            only = {"Filters": [{"Name": "type", "Values": ["static"]}]}
            static = list(self._pages("ec2", "search_transit_gateway_routes", "Routes", **key, **only))
            self._keep("TransitGatewayStaticRoutes", key | {"Routes": static})

    def _balancers(self) -> None:
        for balancer in self.snapshot.all("LoadBalancers"):
            key = {"LoadBalancerArn": balancer.id}
            self._keep("LoadBalancerListeners", key | {"Listeners": list(self._pages("elbv2", "describe_listeners", "Listeners", **key))})
            attributes = list(self._pages("elbv2", "describe_load_balancer_attributes", "Attributes", **key))
            self._keep("LoadBalancerAttributes", key | {"Attributes": attributes})
        for group in self.snapshot.all("TargetGroups"):
            key = {"TargetGroupArn": group.id}
            health = list(self._pages("elbv2", "describe_target_health", "TargetHealthDescriptions", **key))
            self._keep("LoadBalancerTargetHealth", key | {"TargetHealthDescriptions": health})

    def _keep(self, kind: str, data: dict[str, Any], account: str = "") -> None:
        record = Record(data, kind.removesuffix("es") if kind == "Addresses" else kind.removesuffix("s"), "", self.region)
        record.id = record.text(ID_FIELDS[kind])
        record.account, record.region = record.text("OwnerId") or account, self.region
        self.snapshot.add(kind, record)

    def _pages(self, service: str, call: str, key: str, **asked: Any) -> Iterator[dict[str, Any]]:
        """The items of every page of an answer; a call that is refused is noted, and gives none."""
        from botocore.exceptions import BotoCoreError, ClientError

        client = self.clients[service]
        try:
            if client.can_paginate(call):
                for page in client.get_paginator(call).paginate(**asked):
                    yield from page.get(key, ())
            else:
                yield from getattr(client, call)(**asked).get(key, ())
        except (BotoCoreError, ClientError, NotImplementedError) as trouble:
            said = str(trouble).splitlines()[0][:160]
            if call in NEEDED:
                raise UsageError(f"the account does not answer {service} {call} ({said}); check the credentials and the endpoint") from None
            self.report.assumed(key, "", f"{call} is not answered ({said}); taken as none")
            return
        if not asked:
            self.snapshot.kinds.add("Instances" if key == "Reservations" else key)
