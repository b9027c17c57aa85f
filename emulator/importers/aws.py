"""AWS's describe output → a topology (IM-1 to IM-20).

In the order of IM-20: places, prefix lists as they are named, groups, gateways, ACLs, interfaces and instances, then
the route tables, whose targets are all of these.  What does not hold together at the end is left out, thing by thing,
with a note; a snapshot with nothing left is an error.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from emulator.errors import TopologyError
from emulator.importers.aws_groups import add_acls, add_groups
from emulator.importers.aws_interfaces import add_interfaces
from emulator.importers.aws_places import add_places
from emulator.importers.aws_routes import add_gateways, add_route_tables
from emulator.importers.aws_services import add_balancers, add_endpoints
from emulator.importers.aws_transit import add_transit
from emulator.importers.layouts import Snapshot, read_snapshot
from emulator.importers.mending import mended
from emulator.importers.report import Report
from emulator.importers.workshop import Workshop
from emulator.model.entities import Subnet, Vpc
from emulator.model.topology import Topology

# Kinds that a topology has no place for: what could differ when one of these is there.
BEYOND = {
    "TransitGatewayConnects": "traffic by way of the appliance is not shown",
    "LoadBalancerDescriptions": "what it forwards to its instances is not shown",
    "LocalGateways": "traffic with the site of the Outpost is not shown",
    "CarrierGateways": "traffic with the carrier is not shown",
    "Firewalls": "what it drops is let through here",
    "VpcBlockPublicAccessExclusions": "an exclusion from Block Public Access is not taken over (RT-28)",
}


def topology_from_aws(path: Path, report: Report, documents: dict[Path, Any] | None = None) -> Topology:
    """The topology that a file or a folder of describe output shows; several accounts and Regions make one topology.

    Raises
    ------
    TopologyError : not readable, no JSON, a field of a wrong type, or no VPC in it.
    """
    return topology_from_snapshot(read_snapshot(path, report, documents), report)


def topology_from_snapshot(snapshot: Snapshot, report: Report) -> Topology:
    """The topology of a snapshot that was read already; see `topology_from_aws`."""
    shop = Workshop(snapshot, report)
    add_places(shop)
    if not any(isinstance(part, Vpc) for part in shop.parts.values()):
        raise TopologyError(f"{snapshot.name}: no VPC in the data; add the answer of `aws ec2 describe-vpcs`")
    for kind, what in (("Subnets", "no instance can be placed"), ("SecurityGroups", "groups are taken to allow nothing")):
        if kind not in snapshot.kinds:
            report.assumed(kind.removesuffix("s"), "", f"none in the data; {what}")
    add_groups(shop)
    add_gateways(shop)
    add_transit(shop)
    add_endpoints(shop)
    acl_of = add_acls(shop)
    add_interfaces(shop)
    add_balancers(shop)
    table_of = add_route_tables(shop)
    for subnet in [part for part in shop.parts.values() if isinstance(part, Subnet)]:
        table, acl = table_of.get(subnet.id, ""), acl_of.get(subnet.id, "")
        shop.add(replace(subnet, route_table=table if table in shop.parts else "", network_acl=acl if acl in shop.parts else ""))
    for kind, text in BEYOND.items():
        for record in snapshot.all(kind):
            if record.text("State") not in ("deleted", "deleting"):
                report.not_modelled(record.kind, record.id or record.tag() or "?", text, record.place)
    return mended(snapshot.name, list(shop.parts.values()), report)
