"""CloudFormation's intrinsic functions, as far as a template alone decides them.

A reference to a resource stands for its logical id.  What only the account, another stack or the making of the stack
decides is an `Unknown` with the reason, which every function that is given one hands on.
"""

import json
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from typing import Any

from emulator.errors import TopologyError
from emulator.importers.template_values import DEEPEST, Unknown, filled, holes, line_of

MOST_STEPS = 400_000
MOST_TEXT = 100_000
"""Characters that a function may make; a whole template has at most a million bytes, and small ones can multiply."""
ZONES = "abc"
_NO_VALUE = object()
_HOLE = re.compile(r"\$\{(!?)([^}]*)\}")
PSEUDO = {
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "stack",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/stack/1",
    "AWS::NotificationARNs": [],
}


_TRANSFORMED = Unknown("a transform makes it")


class Evaluator:
    """Values of one template under one set of parameters.

    Parameters
    ----------
    template : the document, short tags written out as ``Fn::``.
    given : parameters by name; a pseudo-parameter may be among them.
    name : what stands before the colon in messages.

    Raises
    ------
    TopologyError : a parameter that the template does not have.
    """

    def __init__(self, template: Mapping[str, Any], given: Mapping[str, str], name: str) -> None:
        self.template, self.name = template, name
        self.resources: dict[str, Any] = _mapping(template.get("Resources"))
        self.mappings, self.conditions = _mapping(template.get("Mappings")), _mapping(template.get("Conditions"))
        self.steps = 0
        self._deciding: set[str] = set()
        declared = _mapping(template.get("Parameters"))
        strangers = [key for key in given if key not in declared and key not in PSEUDO]
        if strangers:
            known = ", ".join(sorted(map(str, declared))) or "none"
            raise TopologyError(f"{name}: the template has no parameter {strangers[0]}; it has {known}")
        self.values: dict[str, Any] = dict(PSEUDO) | {key: value for key, value in given.items() if key in PSEUDO}
        self.values |= {str(key): _parameter(str(key), _mapping(about), given) for key, about in declared.items()}

    def fail(self, node: Any, text: str) -> TopologyError:
        """An error at a node's line."""
        return TopologyError(f"{self.name}:{line_of(node)}: {text}" if line_of(node) else f"{self.name}: {text}")

    def value(self, node: Any, depth: int = 0, names: Mapping[str, Any] | None = None) -> Any:
        """A node's value; ``Unknown`` where the template does not decide it.

        Raises
        ------
        TopologyError : a reference to nothing, a function used wrongly, a template too large to work out.
        """
        self.steps += 1
        if depth > DEEPEST or self.steps > MOST_STEPS:
            raise self.fail(node, "nested too deeply, or too large to work out; split the template")
        if isinstance(node, list):
            items = [self.value(item, depth + 1, names) for item in node]
            return [item for item in items if item is not _NO_VALUE]
        if isinstance(node, Unknown):
            return node
        if not isinstance(node, dict):
            return filled(node, names) if names and isinstance(node, str) else node
        if len(node) == 1:
            key, argument = next(iter(node.items()))
            function = self._functions().get(str(key))
            if function is not None:
                return function(node, argument, depth + 1, names or {})
            if str(key).startswith("Fn::"):
                return Unknown(f"{key} is not decided by the template")
        node = self.unrolled(node, depth, names)
        done = {str(key): _TRANSFORMED if key == "Fn::Transform" else self.value(item, depth + 1, names) for key, item in node.items()}
        return {key: item for key, item in done.items() if item is not _NO_VALUE}

    def unrolled(self, node: dict[Any, Any], depth: int, names: Mapping[str, Any] | None) -> dict[Any, Any]:
        """A mapping with its loops (``Fn::ForEach``) worked out."""
        loops = [key for key in node if str(key).startswith("Fn::ForEach")]
        if not loops:
            return node
        done = {key: item for key, item in node.items() if key not in loops}
        for key in loops:
            if not isinstance(node[key], list) or len(node[key]) != 3 or not isinstance(node[key][2], dict):
                raise self.fail(node, f"{str(key)[:60]} takes an identifier, a list and a mapping")
            items = self.value(node[key][1], depth + 1, names)
            if not isinstance(items, list):
                return done | {key: Unknown("the list of a loop is not known")}
            for item in items:
                inner = {**(names or {}), str(node[key][0]): str(item)}
                done |= {filled(str(name), inner): self.value(value, depth + 1, inner) for name, value in node[key][2].items()}
        return done

    def _functions(self) -> dict[str, Callable[[Any, Any, int, Mapping[str, Any]], Any]]:
        return {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::FindInMap": self._find_in_map,
            "Fn::If": self._if,
            "Fn::Cidr": self._cidr,
            "Fn::GetAZs": self._zones,
            "Fn::Length": self._length,
            "Fn::ToJsonString": self._to_json,
            "Fn::Base64": lambda node, argument, depth, names: self.value(argument, depth, names),
            "Fn::ImportValue": lambda node, argument, depth, names: Unknown("another stack exports it (Fn::ImportValue)"),
            "Fn::Transform": lambda node, argument, depth, names: _TRANSFORMED,
        }

    def _ref(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        key = filled(str(argument), names)
        if key == "AWS::NoValue":
            return _NO_VALUE
        if key in names:
            return names[key]
        if key in self.values:
            return self.values[key]
        if key in self.resources:
            return key
        raise self.fail(node, f"Ref {key[:80]}: the template has no such parameter or resource; correct the name")

    def _get_att(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        if not isinstance(parts, list) or len(parts) != 2:
            raise self.fail(node, "Fn::GetAtt takes a resource and an attribute")
        owner, attribute = self.value(parts[0], depth, names), self.value(parts[1], depth, names)
        if isinstance(owner, Unknown) or isinstance(attribute, Unknown):
            return Unknown("the attribute's name is not known")
        return self.attribute(node, str(owner), str(attribute), depth)

    def attribute(self, node: Any, owner: str, attribute: str, depth: int) -> Any:
        """An attribute of a resource: an id is the logical one, a property is its value, the rest is unknown."""
        resource = self.resources.get(owner)
        if not isinstance(resource, dict):
            raise self.fail(node, f"Fn::GetAtt {owner[:80]}.{attribute[:80]}: the template has no such resource; correct the name")
        properties = _mapping(resource.get("Properties"))
        if attribute == "DefaultSecurityGroup":
            return f"default {owner}"
        if attribute.endswith("Arn") or (attribute.endswith("Id") and attribute not in properties):
            return owner
        if attribute in properties and attribute in ("CidrBlock", "AvailabilityZone", "VpcId", "PrivateIpAddress", "Ipv6CidrBlock"):
            return self.value(properties[attribute], depth)
        return Unknown(f"{owner}.{attribute} is decided when the stack is made")

    def _sub(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        text, own = argument, {}
        if isinstance(argument, list):
            if len(argument) != 2 or not isinstance(argument[1], dict):
                raise self.fail(node, "Fn::Sub takes a text, or a list of a text and a mapping")
            text, own = argument[0], {str(key): self.value(item, depth, names) for key, item in argument[1].items()}
        if not isinstance(text, str):
            raise self.fail(node, "Fn::Sub takes a text, or a list of a text and a mapping")
        parts: list[str] = []
        at, length = 0, len(text)
        for hole in _HOLE.finditer(text):
            parts.append(text[at : hole.start()])
            at = hole.end()
            if hole.group(1):
                parts.append(f"${{{hole.group(2)}}}")
                continue
            key = hole.group(2).strip()
            found = own[key] if key in own else self._get_att(node, key, depth, names) if "." in key else self._ref(node, key, depth, names)
            if isinstance(found, Unknown):
                return found
            parts.append("" if found is _NO_VALUE else str(found))
            length += len(parts[-1])
            self._bound(node, length)
        return "".join(parts) + text[at:]

    def _bound(self, node: Any, length: int) -> None:
        """Refuse a text before it is made."""
        if length > MOST_TEXT:
            raise self.fail(node, f"makes a text of more than {MOST_TEXT} characters; no property takes one")

    def _arguments(self, node: Any, argument: Any, counts: tuple[int, ...], depth: int, names: Mapping[str, Any]) -> list[Any]:
        function = next(iter(node))
        if not isinstance(argument, list) or len(argument) not in counts:
            raise self.fail(node, f"{function} takes a list of {' or '.join(map(str, counts))}")
        return [self.value(item, depth, names) for item in argument]

    def _join(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        mark, items = self._arguments(node, argument, (2,), depth, names)
        unknown = _first_unknown(mark, items, *(items if isinstance(items, list) else ()))
        if unknown is not None:
            return unknown
        if not isinstance(items, list):
            raise self.fail(node, "Fn::Join takes a mark and a list")
        self._bound(node, len(str(mark)) * len(items) + sum(len(str(item)) for item in items))
        return str(mark).join(str(item) for item in items)

    def _select(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        index, items = self._arguments(node, argument, (2,), depth, names)
        unknown = _first_unknown(index, items)
        if unknown is not None:
            return unknown
        if not isinstance(items, list) or not str(index).isdigit() or int(index) >= len(items):
            raise self.fail(node, f"Fn::Select: there is no item {str(index)[:40]}; count from 0")
        return items[int(index)]

    def _split(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        mark, text = self._arguments(node, argument, (2,), depth, names)
        unknown = _first_unknown(mark, text)
        if unknown is not None:
            return unknown
        if not str(mark):
            raise self.fail(node, "Fn::Split: the mark is empty")
        return str(text).split(str(mark))

    def _find_in_map(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        keys = self._arguments(node, argument, (3, 4), depth, names)
        default = keys[3].get("DefaultValue", _NO_VALUE) if len(keys) == 4 and isinstance(keys[3], dict) else _NO_VALUE
        unknown = _first_unknown(*keys[:3])
        if unknown is not None:
            return unknown
        found: Any = self.mappings
        for key in keys[:3]:
            entry = {str(name): item for name, item in found.items()} if isinstance(found, dict) else {}
            if str(key) not in entry:
                if default is not _NO_VALUE:
                    return default
                text = f"Fn::FindInMap: no {str(key)[:60]} in the mapping {str(keys[0])[:60]}; add it, or give another parameter"
                raise self.fail(node, text)
            found = entry[str(key)]
        return found

    def _if(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        if not isinstance(argument, list) or len(argument) != 3:
            raise self.fail(node, "Fn::If takes a condition and two values")
        decided = self.condition(str(argument[0]), node, depth)
        return decided if isinstance(decided, Unknown) else self.value(argument[1 if decided else 2], depth, names)

    def condition(self, name: str, node: Any = None, depth: int = 0) -> "bool | Unknown":
        """Whether a named condition holds."""
        if name not in self.conditions:
            raise self.fail(node, f"the template has no condition {name[:80]}; correct the name")
        if name in self._deciding:
            raise self.fail(node, f"the condition {name} refers to itself")
        self._deciding.add(name)
        try:
            return self._decide(self.conditions[name], depth + 1)
        finally:
            self._deciding.discard(name)

    def _decide(self, node: Any, depth: int) -> "bool | Unknown":
        if depth > DEEPEST:
            raise self.fail(node, "conditions are nested too deeply")
        if not isinstance(node, dict) or len(node) != 1:
            return str(node).casefold() == "true"
        key, argument = next(iter(node.items()))
        if key == "Condition":
            return self.condition(str(argument), node, depth)
        if key == "Fn::Equals":
            one, other = self._arguments(node, argument, (2,), depth, {})
            return _first_unknown(one, other) or _text(one) == _text(other)
        parts = [self._decide(item, depth + 1) for item in argument] if isinstance(argument, list) else [self._decide(argument, depth + 1)]
        known = [part for part in parts if not isinstance(part, Unknown)]
        unknown = _first_unknown(*parts)
        if key == "Fn::Not":
            if len(parts) != 1:
                raise self.fail(node, "Fn::Not takes a list of one condition")
            return unknown or not known[0]
        if key == "Fn::And":
            return False if False in known else unknown or True
        if key == "Fn::Or":
            return True if True in known else unknown or False
        raise self.fail(node, f"{str(key)[:40]} is no function of conditions")

    def _cidr(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        """``count`` blocks of a block, each with ``bits`` bits for hosts (for IPv6 128 less its prefix)."""
        given = self._arguments(node, argument, (2, 3), depth, names)
        unknown = _first_unknown(*given)
        if unknown is not None:
            return unknown
        try:
            outer = ip_network(str(given[0]), strict=False)
            count = int(given[1])
            bits = int(given[2]) if len(given) == 3 else (64 if outer.version == 6 else 8)
            prefix = outer.max_prefixlen - bits
            if not 1 <= count <= 256 or not outer.prefixlen <= prefix <= outer.max_prefixlen or count > 1 << (prefix - outer.prefixlen):
                raise ValueError
        except (TypeError, ValueError):
            raise self.fail(node, f"Fn::Cidr: {str(given[0])[:40]} has no {str(given[1])[:20]} blocks of that size") from None
        size = 1 << (outer.max_prefixlen - prefix)
        kind = type(outer.network_address)
        return [f"{kind(int(outer.network_address) + number * size)}/{prefix}" for number in range(count)]

    def _zones(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        region = self.value(argument, depth, names)
        if isinstance(region, Unknown):
            return region
        named = str(region) if region not in ("", None, _NO_VALUE) else str(self.values["AWS::Region"])
        return [f"{named}{zone}" for zone in ZONES]

    def _length(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        items = self.value(argument, depth, names)
        return items if isinstance(items, Unknown) else len(items) if isinstance(items, list) else 0

    def _to_json(self, node: Any, argument: Any, depth: int, names: Mapping[str, Any]) -> Any:
        found = self.value(argument, depth, names)
        if holes(found):
            return Unknown("a part of it is not known")
        parts: list[str] = []
        length = 0
        for part in json.JSONEncoder().iterencode(found):
            parts.append(part)
            length += len(part)
            self._bound(node, length)
        return "".join(parts)


def _text(value: Any) -> str:
    return str(value).casefold() if isinstance(value, bool) else str(value)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _first_unknown(*values: Any) -> Unknown | None:
    return next((value for value in values if isinstance(value, Unknown)), None)


def _parameter(name: str, about: dict[str, Any], given: Mapping[str, str]) -> Any:
    kind = str(about.get("Type", "String"))
    if name in given:
        value: Any = given[name]
    elif kind.startswith("AWS::SSM::Parameter::Value"):
        return Unknown(f"parameter {name} is read from the account (SSM)")
    elif "Default" not in about:
        return Unknown(f"parameter {name} has no default; give --parameter {name}=VALUE")
    else:
        value = about["Default"]
    if kind.startswith("List<") or kind == "CommaDelimitedList":
        return value if isinstance(value, list) else [item.strip() for item in str(value).split(",") if item.strip()]
    return _text(value) if isinstance(value, bool) else str(value)
