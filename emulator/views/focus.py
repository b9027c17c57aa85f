"""A part of the map: one thing that a person names, whatever its flows touch, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from emulator.errors import UsageError
from emulator.model import names
from emulator.model.entities import ExternalHost, Instance, NatGateway, NetworkInterface, Subnet, Vpc, VpcPeeringConnection
from emulator.model.groups import SecurityGroup
from emulator.model.joined import InterfaceEndpoint, NetworkLoadBalancer
from emulator.model.topology import Topology
from emulator.observe.flows import Flow


def focused(topology: Topology, flows: Sequence[Flow], name: str) -> tuple[Topology, list[Flow]]:
    """The flows of a thing, and the topology without whatever has no part in them.

    Parameters
    ----------
    name : of an instance, interface, subnet, VPC, security group or host outside; an address; or the place of a flow in
        ``flows``, counted from 0.

    Raises
    ------
    UsageError : nothing has that name, or it is something that sends and receives nothing.
    """
    if name.isascii() and name.isdigit() and name not in topology.entities:
        if int(name) >= len(flows):
            raise UsageError(f"there is no flow {name}; the capture has {len(flows)}, counted from 0")
        kept, mine = [flows[int(name)]], set[str]()
    elif kept := [flow for flow in flows if name in (flow.source.ip, flow.destination.ip)]:
        mine = set()
    else:
        mine = _ends(topology, name)
        kept = [flow for flow in flows if mine & {flow.source.id, flow.destination.id}]
    return _part(topology, mine.union(*({flow.source.id, flow.destination.id} for flow in kept))), kept


def _ends(topology: Topology, name: str) -> set[str]:
    """The interfaces, or the host outside, that a name stands for."""
    thing = topology.find(name)
    if isinstance(thing, NetworkInterface | ExternalHost):
        return {thing.id}
    enis = list(topology.all(NetworkInterface))
    if isinstance(thing, Instance):
        return {eni.id for eni in enis if eni.instance == thing.id}
    if isinstance(thing, Subnet):
        return {eni.id for eni in enis if eni.subnet == thing.id}
    if isinstance(thing, Vpc):
        return {eni.id for eni in enis if topology.get(eni.subnet, Subnet).vpc == thing.id}
    if isinstance(thing, SecurityGroup):
        return {eni.id for eni in enis if thing.id in eni.security_groups}
    noun = names.NOUN[type(thing)]
    raise UsageError(f"{name} is a {noun}; name an instance, interface, subnet, VPC, security group, host outside or the number of a flow")


def _part(topology: Topology, ends: set[str]) -> Topology:
    """The topology with these ends alone, and what leads from one to the other."""
    enis = [eni for eni in topology.all(NetworkInterface) if eni.id in ends]
    vpcs = {topology.get(eni.subnet, Subnet).vpc for eni in enis}
    subnets = {eni.subnet for eni in enis} | {nat.subnet for nat in topology.all(NatGateway)}
    keepers: list[InterfaceEndpoint | NetworkLoadBalancer] = [*topology.all(InterfaceEndpoint), *topology.all(NetworkLoadBalancer)]
    subnets |= {node.subnet for keeper in keepers for node in keeper.nodes}
    instances = {eni.instance for eni in enis}

    def stays(entity: Any) -> bool:
        if isinstance(entity, NetworkInterface | ExternalHost):
            return entity.id in ends
        if isinstance(entity, Vpc):
            return entity.id in vpcs
        if isinstance(entity, VpcPeeringConnection):
            return {entity.requester, entity.accepter} <= vpcs
        if isinstance(entity, NatGateway):
            return topology.get(entity.subnet, Subnet).vpc in vpcs
        if getattr(entity, "vpc", ""):
            known = {Instance: instances, Subnet: subnets}.get(type(entity))
            return entity.vpc in vpcs and (known is None or entity.id in known)
        return True

    return replace(topology, entities={key: entity for key, entity in topology.entities.items() if stays(entity)})
