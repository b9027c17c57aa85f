"""What is joined to VPCs, drafted as EC2 would describe it: VPNs, transit gateways, endpoints, load balancers.

Describe output splits these over several answers; a plan says them in pieces of its own.  Both meet here.
"""

from collections.abc import Iterable

from emulator.importers.draft import Draft
from emulator.importers.layouts import other_side

BALANCER = "loadbalancer/"


def draft_vpn_gateway(draft: Draft, id: str, name: str, place: str, vpc: str) -> None:
    """A VPN gateway, attached to a VPC if one is named."""
    attached = [{"VpcId": vpc, "State": "attached"}] if vpc else []
    draft.put("VpnGateways", id, name, place, State="available", VpcAttachments=attached)


def draft_vpn(draft: Draft, id: str, name: str, place: str, *, gateway: str, transit: str, static: bool, blocks: list[str]) -> None:
    """A VPN connection at a VPN gateway or a transit gateway, with its static routes."""
    draft.put(
        "VpnConnections",
        id,
        name,
        place,
        State="available",
        VpnGatewayId=gateway,
        TransitGatewayId=transit,
        Options={"StaticRoutesOnly": static},
        Routes=[{"DestinationCidrBlock": block} for block in blocks],
    )


def propagate_vpn(draft: Draft, kind: str, id: str, place: str, gateway: str, tables: list[str]) -> None:
    """Write what a VPN gateway knows into route tables, as propagation does; what it learns by BGP is not known."""
    blocks = [
        part.text("DestinationCidrBlock")
        for connection in draft.all("VpnConnections")
        if connection.text("VpnGatewayId") == gateway
        for part in connection.parts("Routes")
    ]
    if not blocks:
        draft.report.unknown(
            kind, id, f"what {gateway or 'its gateway'} learns is known only when its connection is up; taken as nothing", place
        )
    for table in tables:
        data = draft.get("RouteTables", table)
        if data is None:
            draft.report.left_out(kind, id, f"its table {table or '(unknown)'} is not there", place)
            continue
        routes = [{"DestinationCidrBlock": block, "GatewayId": gateway, "Origin": "EnableVgwRoutePropagation"} for block in blocks]
        data["Routes"] += [route for route in routes if route not in data["Routes"]]


def draft_endpoint(
    draft: Draft,
    id: str,
    name: str,
    place: str,
    *,
    kind: str,
    vpc: str,
    service: str,
    tables: list[str],
    subnets: list[str],
    groups: list[str],
    entries: list[str],
) -> None:
    """An endpoint: a gateway one with its service's prefix list, an interface one with an interface a subnet."""
    kind = kind or "Gateway"
    enis = [f"eni-{id}-{subnet}" for subnet in subnets] if kind == "Interface" else []
    draft.put(
        "VpcEndpoints",
        id,
        name,
        place,
        VpcEndpointType=kind,
        VpcId=vpc,
        ServiceName=service,
        State="available",
        RouteTableIds=tables,
        NetworkInterfaceIds=enis,
        Groups=[{"GroupId": group} for group in groups],
    )
    if kind == "Gateway" and not any(made.text("PrefixListName") == service for made in draft.all("PrefixLists")):
        listed = [{"Cidr": entry} for entry in entries]
        draft.put("PrefixLists", f"pl-{service or id}", service, place, PrefixListName=service, Entries=listed)
    for eni, subnet in zip(enis, subnets, strict=False):
        draft.put("NetworkInterfaces", eni, eni, place, SubnetId=subnet, InterfaceType="vpc_endpoint", Status="in-use")


def draft_balancer(
    draft: Draft, id: str, name: str, place: str, *, kind: str, internal: bool, nodes: list[dict[str, str]], groups: list[str], cross: bool
) -> None:
    """A load balancer with a node a subnet (``subnet``, and ``private`` and ``public`` where they are known)."""
    subnets = [draft.get("Subnets", node["subnet"]) for node in nodes]
    vpc = next((str(data.get("VpcId", "")) for data in subnets if data is not None), "")
    arn = balancer_arn(id)
    scheme = "internal" if internal else "internet-facing"
    made = {"LoadBalancerName": name, "Type": kind, "Scheme": scheme, "VpcId": vpc, "SecurityGroups": groups}
    draft.put("LoadBalancers", arn, name, place, State={"Code": "active"}, **made)
    attributes = [{"Key": "load_balancing.cross_zone.enabled", "Value": str(cross).lower()}]
    draft.put("LoadBalancerAttributes", arn, name, place, Attributes=attributes)
    for node in nodes if kind == "network" else ():
        private, public = node.get("private", ""), node.get("public", "")
        eni = f"eni-{id}-{node['subnet']}"
        draft.put(
            "NetworkInterfaces",
            eni,
            eni,
            place,
            SubnetId=node["subnet"],
            InterfaceType="network_load_balancer",
            Status="in-use",
            Description=f"ELB {arn.partition(BALANCER)[2]}",
            PrivateIpAddresses=[{"PrivateIpAddress": private, "Primary": True}] if private else [],
            Association={"PublicIp": public} if public and not internal else {},
            WantsPublic=not internal and not public,
        )


def balancer_arn(id: str) -> str:
    """A balancer's ARN, or what stands for it as long as it has none."""
    return id if BALANCER in id else f"{BALANCER}{id}"


def draft_listener(draft: Draft, id: str, place: str, *, balancer: str, protocol: str, port: int | None, groups: list[str]) -> None:
    """A listener with the target groups that it forwards to."""
    actions = [{"TargetGroupArn": group} for group in groups]
    draft.put(
        "Listeners", id, id, place, LoadBalancerArn=balancer_arn(balancer), Protocol=protocol.upper(), Port=port, DefaultActions=actions
    )


def draft_target_group(draft: Draft, id: str, name: str, place: str, *, vpc: str, protocol: str, port: int | None, kind: str) -> None:
    """A target group, without targets."""
    draft.put("TargetGroups", id, name, place, TargetGroupName=name, VpcId=vpc, Protocol=protocol, Port=port, TargetType=kind or "instance")
    draft.put("LoadBalancerTargetHealth", id, name, place, TargetHealthDescriptions=[])


def draft_target(draft: Draft, group: str, target: str, port: int | None) -> bool:
    """A target of a group; False if there is no such group."""
    data = draft.get("LoadBalancerTargetHealth", group)
    if data is not None:
        data["TargetHealthDescriptions"].append({"Target": {"Id": target, "Port": port}, "TargetHealth": {}})
    return data is not None


class TransitDraft:
    """Transit gateways in the making: attachments are associated and propagate by default, unless something says otherwise."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._associates: dict[str, bool] = {}
        self._propagates: dict[str, bool] = {}
        self._known: dict[str, str] = {}
        self._peerings: dict[str, str] = {}

    def gateway(
        self, id: str, name: str, place: str, *, associates: bool, propagates: bool, referencing: bool, known: Iterable[str] = ()
    ) -> None:
        """A transit gateway, with a default route table if it uses one; ``known`` are that table's ids, where it has some."""
        options = {"SecurityGroupReferencingSupport": "enable" if referencing else "disable"}
        self.draft.put("TransitGateways", id, name, place, State="available", Options=options)
        self._associates[id], self._propagates[id] = associates, propagates
        self._known |= {table: id for table in (id, *known) if table}
        if associates or propagates:
            self.table(default_table(id), place, id)

    def table(self, id: str, place: str, gateway: str) -> None:
        """A route table of a transit gateway."""
        self.draft.put("TransitGatewayRouteTables", id, id, place, TransitGatewayId=gateway)
        self.draft.put("TransitGatewayPropagations", id, id, place, TransitGatewayRouteTablePropagations=[])
        self.draft.put("TransitGatewayStaticRoutes", id, id, place, Routes=[])

    def attachment(
        self, id: str, place: str, *, gateway: str, kind: str, resource: str, associates: bool = True, propagates: bool = True
    ) -> None:
        """An attachment of a VPC or a VPN, joined to the default table as far as gateway and attachment say so."""
        table = default_table(gateway) if associates and self._associates.get(gateway) else ""
        described = {"TransitGatewayId": gateway, "ResourceType": kind, "ResourceId": resource}
        self.draft.put("TransitGatewayAttachments", id, id, place, Association={"TransitGatewayRouteTableId": table}, **described)
        if propagates and self._propagates.get(gateway):
            self.propagate(id, default_table(gateway))

    def peering(self, id: str, place: str, *, gateway: str, peer: str) -> None:
        """A peering of two transit gateways: an attachment at each; nothing is propagated over it."""
        self.attachment(id, place, gateway=gateway, kind="peering", resource=peer, propagates=False)
        if peer in self._associates:
            self.attachment(other_side(id, peer), place, gateway=peer, kind="peering", resource=gateway, propagates=False)

    def accept(self, accepter: str, attachment: str) -> None:
        """What accepts a peering stands for it."""
        self._peerings[accepter] = attachment

    def _at(self, attachment: str, table: str) -> str:
        """The attachment as a table's gateway has it: of a peering its own side."""
        data = self.draft.get("TransitGatewayRouteTables", table) or {}
        attachment = self._peerings.get(attachment, attachment)
        side = other_side(attachment, str(data.get("TransitGatewayId", "")))
        return attachment if self.draft.get("TransitGatewayAttachments", side) is None else side

    def vpc(self, id: str, name: str, place: str, *, gateway: str, vpc: str, subnets: list[str], options: dict[str, str]) -> None:
        """What an attachment of a VPC is beside that: its subnets."""
        ends = {"TransitGatewayId": gateway, "VpcId": vpc, "SubnetIds": subnets}
        self.draft.put("TransitGatewayVpcAttachments", id, name, place, Options=options, **ends)

    def associate(self, attachment: str, table: str) -> bool:
        """Associate an attachment with a table; False if one of them is not there."""
        named = self._named(table)
        data = self.draft.get("TransitGatewayAttachments", self._at(attachment, named))
        if data is None or self.draft.get("TransitGatewayRouteTables", named) is None:
            return False
        data["Association"] = {"TransitGatewayRouteTableId": named}
        return True

    def propagate(self, attachment: str, table: str) -> bool:
        """Let a table learn an attachment's blocks; False if one of them is not there."""
        data = self.draft.get("TransitGatewayPropagations", self._named(table))
        if data is None or self.draft.get("TransitGatewayAttachments", attachment) is None:
            return False
        learned = {"TransitGatewayAttachmentId": attachment}
        if learned not in data["TransitGatewayRouteTablePropagations"]:
            data["TransitGatewayRouteTablePropagations"].append(learned)
        return True

    def route(self, table: str, block: str, attachment: str, blackhole: bool) -> bool:
        """A static route; False if its table is not there."""
        data = self.draft.get("TransitGatewayStaticRoutes", self._named(table))
        if data is not None:
            to = [{"TransitGatewayAttachmentId": self._at(attachment, self._named(table))}] if attachment else []
            state = "blackhole" if blackhole else "active"
            data["Routes"].append({"DestinationCidrBlock": block, "TransitGatewayAttachments": to, "State": state})
        return data is not None

    def _named(self, table: str) -> str:
        """A table's id; the gateway's own stands for its default table's, as a reference to an attribute of it ends there."""
        return default_table(self._known[table]) if table in self._known else table


def default_table(gateway: str) -> str:
    """Id of a transit gateway's default table, as long as it has none of AWS's."""
    return f"tgw-rtb-default-{gateway}"
