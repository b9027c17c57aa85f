"""What drafting a template shares: its resources by kind, and which kinds are drafted at all."""

from emulator.importers.draft import Draft
from emulator.importers.records import Record

_EC2 = """
VPC VPCCidrBlock Subnet SubnetCidrBlock InternetGateway VPCGatewayAttachment EgressOnlyInternetGateway NatGateway EIP
EIPAssociation RouteTable Route SubnetRouteTableAssociation GatewayRouteTableAssociation NetworkAcl NetworkAclEntry
SubnetNetworkAclAssociation SecurityGroup SecurityGroupIngress SecurityGroupEgress Instance NetworkInterface
NetworkInterfaceAttachment VPCPeeringConnection PrefixList VPNGateway VPNConnection VPNConnectionRoute
VPNGatewayRoutePropagation CustomerGateway VPCEndpoint TransitGateway TransitGatewayAttachment TransitGatewayVpcAttachment
TransitGatewayRouteTable TransitGatewayRouteTableAssociation TransitGatewayRouteTablePropagation TransitGatewayRoute
TransitGatewayPeeringAttachment
"""
BALANCING = "AWS::ElasticLoadBalancingV2::"
DRAFTED = frozenset(
    (*(f"AWS::EC2::{name}" for name in _EC2.split()), *(f"{BALANCING}{name}" for name in ("LoadBalancer", "Listener", "TargetGroup")))
)


class Kinds:
    """The resources by kind, those of EC2 by its last word; a kind that is not there is an empty list."""

    def __init__(self, resources: list[Record]) -> None:
        self._table: dict[str, list[Record]] = {}
        for resource in resources:
            self._table.setdefault(resource.kind.removeprefix("AWS::EC2::"), []).append(resource)

    def __getitem__(self, kind: str) -> list[Record]:
        return self._table.get(kind, [])


def lost(draft: Draft, resource: Record, text: str) -> None:
    """Note a resource that is left out."""
    draft.report.left_out(resource.kind, resource.id, text, resource.place)
