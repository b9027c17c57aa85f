"""vpcemu: a packet-level, discrete-event emulator of a cloud VPC.

The public names are loaded when they are first used, so that importing the package stays light.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if sys.platform == "emscripten":
    from emulator.browser import give_ipv6

    give_ipv6()

if TYPE_CHECKING:
    from emulator.labs import Lab
    from emulator.model.entities import (
        ConnectionTracking,
        EgressOnlyInternetGateway,
        ExternalHost,
        Fault,
        Instance,
        InternetGateway,
        Link,
        NatGateway,
        NetworkInterface,
        Policy,
        Route,
        RouteTable,
        Subnet,
        Vpc,
        VpcPeeringConnection,
    )
    from emulator.model.files import dump, load, loads, save
    from emulator.model.groups import GroupPeer, ListPeer, NetworkAcl, PrefixList, Rule, SecurityGroup
    from emulator.model.joined import (
        CustomerNetwork,
        GatewayEndpoint,
        InterfaceEndpoint,
        Listener,
        NetworkLoadBalancer,
        Node,
        Target,
        TargetGroup,
        TransitGateway,
        TransitGatewayAttachment,
        TransitGatewayRoute,
        TransitGatewayRouteTable,
        VpnGateway,
    )
    from emulator.model.topology import Topology
    from emulator.network import Network
    from emulator.replay import Replay

_HOME = {
    "emulator.labs": "Lab",
    "emulator.model.joined": "CustomerNetwork GatewayEndpoint InterfaceEndpoint Listener NetworkLoadBalancer Node Target TargetGroup "
    "TransitGateway TransitGatewayAttachment TransitGatewayRoute TransitGatewayRouteTable VpnGateway",
    "emulator.model.entities": "ConnectionTracking EgressOnlyInternetGateway ExternalHost Fault Instance InternetGateway Link NatGateway "
    "NetworkInterface Policy Route RouteTable Subnet Vpc VpcPeeringConnection",
    "emulator.model.files": "dump load loads save",
    "emulator.model.groups": "GroupPeer ListPeer NetworkAcl PrefixList Rule SecurityGroup",
    "emulator.model.topology": "Topology",
    "emulator.network": "Network",
    "emulator.replay": "Replay",
}
_MODULE = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "ConnectionTracking",
    "CustomerNetwork",
    "EgressOnlyInternetGateway",
    "ExternalHost",
    "Fault",
    "GatewayEndpoint",
    "GroupPeer",
    "Instance",
    "InterfaceEndpoint",
    "InternetGateway",
    "Lab",
    "Link",
    "ListPeer",
    "Listener",
    "NatGateway",
    "Network",
    "NetworkAcl",
    "NetworkInterface",
    "NetworkLoadBalancer",
    "Node",
    "Policy",
    "PrefixList",
    "Replay",
    "Route",
    "RouteTable",
    "Rule",
    "SecurityGroup",
    "Subnet",
    "Target",
    "TargetGroup",
    "Topology",
    "TransitGateway",
    "TransitGatewayAttachment",
    "TransitGatewayRoute",
    "TransitGatewayRouteTable",
    "Vpc",
    "VpcPeeringConnection",
    "VpnGateway",
    "dump",
    "load",
    "loads",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'emulator' has no attribute {name!r}")
    return getattr(import_module(_MODULE[name]), name)
