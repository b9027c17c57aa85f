"""An explanation in the shape of AWS's ``NetworkInsightsAnalysis`` (RA-4 to RA-7), with its explanation codes."""

from typing import Any

from emulator.datapath.state import Step as Column
from emulator.model.groups import AclRule, Direction, GroupPeer, ListPeer, Rule, SecurityGroup
from emulator.model.services import ALL, TCP, UDP
from emulator.observe.explain import Explanation
from emulator.observe.trace import Trace
from emulator.observe.words import NamedRule, Why
from emulator.policy.compile import Ids
from emulator.policy.reasons import Stage
from emulator.wire.headers import Field

_INWARD = ("I1", "I2", "I3", "I4")
_SHOWN = (
    Stage.GROUP_EGRESS,
    Stage.GROUP_INGRESS,
    Stage.ACL_EGRESS,
    Stage.ACL_INGRESS,
    Stage.ROUTE,
    Stage.GATEWAY,
    Stage.SENT,
    Stage.DELIVERED,
)


def to_analysis(told: Explanation, blockers: list[Why], ids: Ids) -> dict[str, Any]:
    """Plain data with the member names of the EC2 API.

    Parameters
    ----------
    blockers : everything in the way, each an explanation.
    ids : of the run, by which its places are known.
    """
    return {
        "Status": "succeeded",
        "NetworkPathFound": told.reachable,
        "ForwardPathComponents": _components(told.forward, ids),
        "ReturnPathComponents": _components(told.back, ids) if told.back is not None else [],
        "Explanations": [_explanation(why) for why in blockers],
    }


def _components(trace: Trace, ids: Ids) -> list[dict[str, Any]]:
    done: list[dict[str, Any]] = []
    for step in trace.steps:
        if not step.passed or step.stage not in _SHOWN:
            continue
        at = {"Id": ids.name(step.row[Column.PLACE]), "Name": step.at}
        component: dict[str, Any] = {"SequenceNumber": len(done) + 1, "Component": at}
        if step.rule is not None:
            component |= _ruled(step.rule, at)
        elif step.stage == Stage.ROUTE:
            component["RouteTableRoute"] = {"DestinationCidr": step.text.partition(" → ")[0], "State": "active"}
        if not done:
            component["InboundHeader"] = _header(trace.sent)
        done.append(component)
    if done and trace.delivered is not None:
        done[-1]["OutboundHeader"] = _header(trace.delivered)
    return done


def _ruled(named: NamedRule, at: dict[str, str]) -> dict[str, Any]:
    rule, owner = named.rule, named.owner
    first, last = rule.ports
    made: dict[str, Any] = {"Protocol": "-1" if rule.protocol == ALL else str(rule.protocol)}
    if rule.protocol in (TCP, UDP):
        made["PortRange"] = {"From": first, "To": last}
    if isinstance(rule, AclRule):
        made |= {"Cidr": str(rule.block), "Egress": named.direction == Direction.EGRESS, "RuleNumber": rule.number}
        made["RuleAction"] = "allow" if rule.allow else "deny"
        return {"Component": {"Id": owner.id, "Name": owner.name}, "Subnet": at, "AclRule": made}
    made |= _peer(rule) | {"Direction": named.direction.name.lower()}
    return {"Component": {"Id": owner.id, "Name": owner.name}, "AttachedTo": at, "SecurityGroupRule": made}


def _peer(rule: Rule) -> dict[str, str]:
    if isinstance(rule.peer, GroupPeer):
        return {"SecurityGroupId": rule.peer.group}
    return {"PrefixListId": rule.peer.list} if isinstance(rule.peer, ListPeer) else {"Cidr": str(rule.peer)}


def _header(packet: Any) -> dict[str, Any]:
    five, row = packet.five_tuple, packet.header
    length = 32 if row[Field.FAMILY] == 4 else 128
    made: dict[str, Any] = {
        "Protocol": str(five.protocol),
        "SourceAddresses": [f"{five.source}/{length}"],
        "DestinationAddresses": [f"{five.destination}/{length}"],
    }
    if five.protocol in (TCP, UDP):
        made["SourcePortRanges"] = [{"From": five.source_port, "To": five.source_port}]
        made["DestinationPortRanges"] = [{"From": five.destination_port, "To": five.destination_port}]
    return made


def _explanation(why: Why) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ExplanationCode": why.code,
        "Direction": "ingress" if why.stage in _INWARD else "egress",
        "Component": {"Id": why.at_id, "Name": why.at},
    }
    if why.code in ("ENI_SG_RULES_MISMATCH", "SG_HAS_NO_RULES", "SG_REFERENCES_NOT_PRESERVED"):
        made["NetworkInterface"] = {"Id": why.at_id, "Name": why.at}
        nearest = why.nearest.rule.owner if why.nearest else None
        if isinstance(nearest, SecurityGroup):
            made["SecurityGroups"] = [{"Id": nearest.id, "Name": nearest.name}]
    elif why.stage in ("E5", "E6", "I1"):
        made["Subnet"] = {"Id": why.at_id, "Name": why.at}
    return made
