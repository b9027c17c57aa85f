"""What EC2 refuses in one rule of a security group, with its error codes (SG-16 to SG-21, SG-51).

Where its reference names a code without its trigger, the nearest is taken: a field out of its range is InvalidParameterValue,
fields that do not fit together are InvalidPermission.Malformed.  Ids of topologies may be made from names, so an id is
malformed only if it could not be one of those either.
"""

import re
from typing import TYPE_CHECKING

from emulator.errors import ApiError
from emulator.model.groups import GroupPeer, ListPeer, PrefixList, Rule, SecurityGroup
from emulator.model.services import ALL, ICMP, ICMPV6, protocol_name
from emulator.model.validate_rules import service_problems

if TYPE_CHECKING:
    from emulator.model.topology import Topology

_ID = re.compile(r"[A-Za-z0-9._-]+")


def is_id(text: str, prefix: str) -> bool:
    """Whether a text could be an id of a kind: ``sg-0a1b``, ``sg-web``."""
    return text.startswith(prefix) and _ID.fullmatch(text[len(prefix) :]) is not None


def refuse_bad(topology: "Topology", rule: Rule) -> None:
    """Refuse a rule that cannot be; its peer is an id where it is known.

    Raises
    ------
    ApiError : InvalidPermission.Malformed, InvalidParameterValue, InvalidGroup.NotFound, InvalidGroupId.Malformed,
        InvalidPrefixListID.NotFound, InvalidPrefixListId.Malformed.
    """
    if rule.protocol in (ICMP, ICMPV6) and rule.ports[0] == ALL != rule.ports[1]:
        text = f"{protocol_name(rule.protocol)}: with all types the code is all as well, not {rule.ports[1]} (SG-20)"
        raise ApiError("InvalidPermission.Malformed", text)
    for problem in service_problems(rule):
        raise ApiError("InvalidParameterValue", problem.removeprefix("InvalidParameterValue: "))
    if isinstance(rule.peer, ListPeer) and not isinstance(topology.entities.get(rule.peer.list), PrefixList):
        if rule.peer.list.startswith("pl-") and not is_id(rule.peer.list, "pl-"):
            raise ApiError("InvalidPrefixListId.Malformed", f"The prefix list ID '{rule.peer.list}' is malformed")
        raise ApiError("InvalidPrefixListID.NotFound", f"The prefix list ID '{rule.peer.list}' does not exist")
    if isinstance(rule.peer, GroupPeer) and not isinstance(topology.entities.get(rule.peer.group), SecurityGroup):
        raise group_missing(rule.peer.group)


def group_missing(group: str, hint: str = "") -> ApiError:
    """The error for a group that is not there."""
    if group.startswith("sg-") and not is_id(group, "sg-"):
        return ApiError("InvalidGroupId.Malformed", f"Invalid id: '{group}' (an id is sg- and letters, digits, dots and hyphens)")
    return ApiError("InvalidGroup.NotFound", f"The security group '{group}' does not exist{hint}")
