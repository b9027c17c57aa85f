"""What a template does not decide, taken out of properties so that nothing is guessed in its place.

A rule of which any part is unknown would else be a wider one: it matches nothing.  Unknown groups would else be the
default group: they are a group that allows nothing.  An unknown VPC or subnet would else be the default one: where the
template makes VPCs of its own it is nowhere.  All else that is unknown is absent.
"""

from dataclasses import dataclass
from typing import Any

from emulator.importers.template_values import Unknown, holes

UNKNOWN_GROUP, NOWHERE = "unknown-group", "(unknown)"
RULES = ("SecurityGroupIngress", "SecurityGroupEgress")
_LISTS = """
SecurityGroupIngress SecurityGroupEgress SecurityGroupIds SecurityGroups GroupSet NetworkInterfaces PrivateIpAddresses
Ipv6Addresses SubnetIds RouteTableIds Subnets SubnetMappings LoadBalancerAttributes Targets DefaultActions Entries
"""
LISTS = frozenset(_LISTS.split())
_GROUPS, _PLACES, _WORDS = ("SecurityGroupIds", "GroupSet"), ("SubnetId", "VpcId"), ("Description",)


@dataclass(frozen=True)
class Settling:
    """Takes unknown values out of properties; ``place`` is where what stands in an unknown VPC or subnet goes."""

    place: str | None

    def properties(self, given: dict[str, Any]) -> dict[str, Any]:
        """The properties without what is unknown."""
        return {key: self._value(key, value) for key, value in given.items()}

    def rule(self, given: dict[str, Any], kept: tuple[str, ...] = ()) -> dict[str, Any]:
        """A rule; one of which a part is unknown is left with ``kept`` alone, without another side, so that it matches nothing."""
        unknown = holes({key: value for key, value in given.items() if key not in _WORDS})
        return self.properties({key: value for key, value in given.items() if key in kept} if unknown else given)

    def _value(self, key: str, value: Any) -> Any:
        if key in LISTS and not isinstance(value, list | Unknown | None):
            value = [value]  # CloudFormation takes one for a list of one
        if key in _GROUPS and (isinstance(value, Unknown) or (isinstance(value, list) and holes(value))):
            known = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
            return [*known, UNKNOWN_GROUP]
        if isinstance(value, Unknown):
            return self.place if key in _PLACES else None
        if isinstance(value, dict):
            return self.properties(value)
        if isinstance(value, list):
            whole = [item for item in value if not isinstance(item, Unknown)]
            return [self.rule(item) if key in RULES and isinstance(item, dict) else self._value("", item) for item in whole]
        return value
