"""Edits of which VPCs a security group is associated with (SG-60 to SG-63).

An association is there at once: the states in between (associating, disassociating) are not modelled, nor are accounts.
"""

from emulator.errors import ApiError
from emulator.model.edits import group_of, vpc_of
from emulator.model.entities import NetworkInterface, Subnet, Vpc
from emulator.model.groups import SecurityGroup
from emulator.model.topology import Topology


def associate_group(topology: Topology, group: str, vpc: str) -> Topology:
    """A topology in which a group can be used in one more VPC.

    Raises
    ------
    ApiError : InvalidGroup.NotFound, InvalidVpcID.NotFound, InvalidParameterValue for a default group, a group of the default
        VPC, or its own VPC.
    """
    found, home = group_of(topology, group), vpc_of(topology, vpc)
    if found.name == "default" or topology.get(found.vpc, Vpc).is_default:
        what = "the default group of its VPC" if found.name == "default" else "a group of the default VPC"
        raise ApiError("InvalidParameterValue", f"{found.id} is {what}, which cannot be associated (SG-60)")
    if home.id in found.vpcs:
        raise ApiError("InvalidParameterValue", f"{found.id} can be used in {home.id} already")
    over = tuple(one for one in found.disassociated_vpcs if one != home.id)
    return topology.changed(found.id, associated_vpcs=(*found.associated_vpcs, home.id), disassociated_vpcs=over)


def disassociate_group(topology: Topology, group: str, vpc: str) -> Topology:
    """A topology in which a group cannot be used in a VPC any more; rules there that name it turn stale (SG-32).

    Raises
    ------
    ApiError : InvalidGroup.NotFound, InvalidVpcID.NotFound, InvalidParameterValue for no association, DependencyViolation
        while an interface there has it (SG-61).
    """
    found, home = group_of(topology, group), vpc_of(topology, vpc)
    if home.id not in found.associated_vpcs:
        raise ApiError("InvalidParameterValue", f"{found.id} is not associated with {home.id}")
    for eni in topology.all(NetworkInterface):
        if found.id in eni.security_groups and topology.get(eni.subnet, Subnet).vpc == home.id:
            raise ApiError("DependencyViolation", f"resource {found.id} has a dependent object: {topology.display(eni.id)} (SG-61)")
    left = tuple(one for one in found.associated_vpcs if one != home.id)
    return topology.changed(found.id, associated_vpcs=left, disassociated_vpcs=(*found.disassociated_vpcs, home.id))


def groups_for(topology: Topology, vpc: str) -> list[SecurityGroup]:
    """The groups that interfaces of a VPC may have, as GetSecurityGroupsForVpc lists them; ``vpc`` of each is its primary one (SG-63).

    Raises
    ------
    ApiError : InvalidVpcID.NotFound.
    """
    home = vpc_of(topology, vpc)
    return [group for group in topology.all(SecurityGroup) if home.id in group.vpcs]
