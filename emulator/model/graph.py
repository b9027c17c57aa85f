"""The topology as a networkx graph, to be queried with networkx; its attributes are listed in `topology`."""

import networkx as nx

from emulator.model.entities import (
    EgressOnlyInternetGateway,
    ExternalHost,
    Instance,
    InternetGateway,
    NatGateway,
    NetworkInterface,
    RouteTable,
    Subnet,
    Vpc,
    VpcPeeringConnection,
)
from emulator.model.groups import Direction, GroupPeer, ListPeer, NetworkAcl, PrefixList, SecurityGroup
from emulator.model.joined import (
    CustomerNetwork,
    GatewayEndpoint,
    InterfaceEndpoint,
    NetworkLoadBalancer,
    TargetGroup,
    TransitGateway,
    TransitGatewayAttachment,
    TransitGatewayRouteTable,
    VpnGateway,
)
from emulator.model.topology import Entity, Topology

KIND: dict[type, str] = {
    Vpc: "vpc",
    Subnet: "subnet",
    Instance: "instance",
    NetworkInterface: "interface",
    SecurityGroup: "group",
    PrefixList: "prefix_list",
    RouteTable: "route_table",
    NetworkAcl: "network_acl",
    InternetGateway: "gateway",
    EgressOnlyInternetGateway: "gateway",
    NatGateway: "gateway",
    VpcPeeringConnection: "peering",
    ExternalHost: "external",
    CustomerNetwork: "network",
    VpnGateway: "gateway",
    TransitGateway: "gateway",
    TransitGatewayRouteTable: "route_table",
    TransitGatewayAttachment: "attachment",
    GatewayEndpoint: "endpoint",
    InterfaceEndpoint: "endpoint",
    TargetGroup: "target_group",
    NetworkLoadBalancer: "balancer",
}


def build(topology: Topology) -> "nx.DiGraph[str]":
    """Nodes are ids with ``kind``, ``name`` and ``entity``; edges have ``kind``."""
    graph: nx.DiGraph[str] = nx.DiGraph(name=topology.name)
    for key, entity in topology.entities.items():
        graph.add_node(key, kind=KIND[type(entity)], name=topology.display(key), entity=entity)
    main = {table.vpc: table.id for table in topology.all(RouteTable) if table.main}
    default = {acl.vpc: acl.id for acl in topology.all(NetworkAcl) if acl.name == "default"}
    for entity in topology.entities.values():
        _add_edges(graph, topology, entity, main, default)
    for link in topology.links:
        graph.add_edge(*link.between, kind="link", link=link)
    return graph


def _add_edges(graph: "nx.DiGraph[str]", topology: Topology, entity: Entity, main: dict[str, str], default: dict[str, str]) -> None:
    match entity:
        case Subnet():
            graph.add_edge(entity.vpc, entity.id, kind="contains")
            graph.add_edge(entity.id, entity.route_table or main[entity.vpc], kind="routes")
            graph.add_edge(entity.network_acl or default[entity.vpc], entity.id, kind="filters")
        case NetworkInterface():
            graph.add_edge(entity.subnet, entity.id, kind="contains")
            graph.add_edge(entity.instance, entity.id, kind="attached")
            for group in entity.security_groups:
                graph.add_edge(entity.id, group, kind="member")
        case SecurityGroup():
            for direction in Direction:
                for rule in entity.rules(direction):
                    peer = (
                        rule.peer.group if isinstance(rule.peer, GroupPeer) else rule.peer.list if isinstance(rule.peer, ListPeer) else ""
                    )
                    if peer in topology.entities:
                        graph.add_edge(entity.id, peer, kind="refers")
        case RouteTable():
            for route in entity.routes:
                if route.target in topology.entities:
                    graph.add_edge(entity.id, route.target, kind="routes")
        case InternetGateway() | EgressOnlyInternetGateway() | VpnGateway():
            graph.add_edge(entity.vpc, entity.id, kind="attached")
            if not isinstance(entity, EgressOnlyInternetGateway) and entity.route_table:
                graph.add_edge(entity.id, entity.route_table, kind="routes")
        case NatGateway():
            graph.add_edge(entity.subnet, entity.id, kind="contains")
        case VpcPeeringConnection():
            graph.add_edge(entity.requester, entity.id, kind="peers")
            graph.add_edge(entity.id, entity.accepter, kind="peers")
        case CustomerNetwork() if entity.gateway:
            graph.add_edge(entity.gateway, entity.id, kind="attached")
        case TransitGatewayRouteTable():
            graph.add_edge(entity.transit_gateway, entity.id, kind="contains")
            for entry in entity.routes:
                if entry.attachment:
                    graph.add_edge(entity.id, entry.attachment, kind="routes")
        case TransitGatewayAttachment():
            graph.add_edge(entity.transit_gateway, entity.id, kind="contains")
            graph.add_edge(entity.id, entity.vpc or entity.network or entity.peer, kind="attached")
            if entity.route_table:
                graph.add_edge(entity.id, entity.route_table, kind="routes")
        case GatewayEndpoint():
            graph.add_edge(entity.vpc, entity.id, kind="attached")
            graph.add_edge(entity.id, entity.prefix_list, kind="refers")
        case InterfaceEndpoint() | NetworkLoadBalancer():
            for node in entity.nodes:
                graph.add_edge(node.subnet, entity.id, kind="contains")
            for group in entity.security_groups:
                graph.add_edge(entity.id, group, kind="member")
            for listener in entity.listeners if isinstance(entity, NetworkLoadBalancer) else ():
                graph.add_edge(entity.id, listener.target_group, kind="refers")
        case TargetGroup():
            for target in entity.targets:
                if target.target in topology.entities:
                    graph.add_edge(entity.id, target.target, kind="member")
