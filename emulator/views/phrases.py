"""The ends of a flow and the reason of a blocked one in the few words that a picture has room for."""

from emulator.model.entities import ExternalHost, NetworkInterface
from emulator.model.groups import SecurityGroup
from emulator.model.topology import Topology
from emulator.views.shapes import FlowLine


def who(topology: Topology, key: str, ip: str) -> str:
    """What people call an end of a flow: name and address, the name alone if it is made from the address."""
    entity = topology.entities.get(key)
    if isinstance(entity, NetworkInterface):
        name = topology.display(entity.instance if len(topology.interfaces_of(entity.instance)) == 1 else key)
    elif isinstance(entity, ExternalHost):
        name = entity.name
    else:
        return ip or "other addresses"
    return name if not ip or ip.replace(".", "-").replace(":", "-").strip("-") in name else f"{name} {ip}"


def reason(topology: Topology, flow: FlowLine) -> str:
    """The reason of a flow; where it has none and groups dropped it, which groups have no such rule."""
    entity = topology.entities.get(flow.died_at)
    if flow.reason or not isinstance(entity, NetworkInterface):
        return flow.reason
    groups = [topology.entities[key].name for key in entity.security_groups if isinstance(topology.entities.get(key), SecurityGroup)]
    way = "egress" if flow.egress else "ingress"
    words = {"ENI_SG_RULES_MISMATCH": f"no {way} rule in", "SG_HAS_NO_RULES": f"no {way} rule at all in"}.get(flow.code)
    return f"{words} {', '.join(groups)}" if words and groups else ""
