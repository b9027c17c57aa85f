"""Terraform's JSON, whichever: its resources with their values, and what their unknown values refer to.

A plan has values under ``planned_values`` and references under ``configuration``, both by module; ``show -json`` of a
state has ``values``; a raw state file (version 4) lists resources with instances.  Before apply an id is unknown, so a
resource is known by its address, and a field that is unknown is followed through the references of its expression:
resources of the module, variables up to the caller, outputs down into the called module.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.errors import TopologyError
from emulator.importers.records import Record
from emulator.importers.report import Report
from emulator.model.groups import Block

DEEPEST = 24
_RESOURCE = re.compile(r"(data\.)?([a-z][a-z0-9]*_[a-z0-9_]+)\.([A-Za-z0-9_-]+)(?:\[([^\]]*)\])?")
_MODULE = re.compile(r"module\.(?P<name>[A-Za-z0-9_-]+)(?P<which>\[[^\]]*\])?(?:\.(?P<output>[A-Za-z0-9_-]+)(?:\[(?P<item>[^\]]*)\])?)?")


@dataclass
class Resource:
    """One instance of a resource.

    Parameters
    ----------
    module : address of its module, with indexes; empty for the root.
    index : of ``count`` or ``for_each``; None without.
    record : its known values; asked by AWS's spelling (``CidrBlock`` for ``cidr_block``).
    expressions : of its configuration, by field.
    """

    address: str
    type: str
    name: str
    module: str
    index: str | int | None
    record: Record
    data: bool = False
    expressions: dict[str, Any] = field(default_factory=dict)
    each: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Its id if it is known, else its address."""
        return self.record.text("Id") or self.address


class Source:
    """All resources of a plan or state."""

    def __init__(self, path: Path, document: dict[str, Any], report: Report) -> None:
        self.path, self.report = path, report
        self.resources: list[Resource] = []
        self.configuration: dict[str, dict[str, Any]] = {}
        self.calls: dict[str, dict[str, Any]] = {}
        root = self._object(document.get("configuration"), "configuration").get("root_module")
        self._configure(self._object(root, "root_module"), "", 0)
        values = document.get("planned_values") or document.get("values")
        if values is not None:
            prior = self._object(self._object(document.get("prior_state"), "prior_state").get("values"), "values")
            self._module(self._object(self._object(values, "values").get("root_module"), "root_module"), "", 0)
            known = {resource.address for resource in self.resources}
            self._module(self._object(prior.get("root_module"), "root_module"), "", 0, only_data=True, known=known)
        elif "resources" in document and "terraform_version" in document:
            self._state(document)
        else:
            text = "it holds neither planned_values nor values: an empty state, or not the whole plan"
            raise TopologyError(f"{path}: {text}; write it again with terraform show -json PLAN")
        self.by_name: dict[tuple[str, bool, str, str], list[Resource]] = {}
        self.by_id: dict[str, Resource] = {}
        for resource in self.resources:
            self.by_name.setdefault((resource.module, resource.data, resource.type, resource.name), []).append(resource)
            self.by_id.setdefault(resource.id, resource)

    def _object(self, value: Any, what: str) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise TopologyError(f"{self.path}: {what} should be an object; write the plan again with terraform show -json")
        return value

    def _objects(self, value: Any, what: str) -> Iterator[dict[str, Any]]:
        if value is None:
            return
        if not isinstance(value, list):
            raise TopologyError(f"{self.path}: {what} should be a list; write the plan again with terraform show -json")
        for item in value:
            yield self._object(item, f"each of {what}")

    def _configure(self, module: dict[str, Any], path: str, depth: int) -> None:
        if depth > DEEPEST:
            raise TopologyError(f"{self.path}: modules are nested more than {DEEPEST} deep; flatten them")
        self.configuration[path] = module
        for name, call in self._object(module.get("module_calls"), "module_calls").items():
            inner = f"{path}.module.{name}".lstrip(".")
            self.calls[inner] = self._object(call, "module call")
            self._configure(self._object(self.calls[inner].get("module"), "module"), inner, depth + 1)

    def _module(self, module: dict[str, Any], address: str, depth: int, only_data: bool = False, known: set[str] | None = None) -> None:
        if depth > DEEPEST:
            raise TopologyError(f"{self.path}: modules are nested more than {DEEPEST} deep; flatten them")
        described = {_key(item): item for item in self._objects(self.configuration.get(bare(address), {}).get("resources"), "resources")}
        for item in self._objects(module.get("resources"), "resources"):
            data = item.get("mode") == "data"
            if (only_data and not data) or str(item.get("address")) in (known or ()):
                continue
            about = described.get(_key(item), {})
            self._add(item, self._object(item.get("values"), "values"), address, item.get("index"), about)
        for child in self._objects(module.get("child_modules"), "child_modules"):
            self._module(child, str(child.get("address", "")), depth + 1, only_data, known)

    def _add(self, item: dict[str, Any], values: dict[str, Any], module: str, index: Any, about: dict[str, Any]) -> None:
        kind, name = str(item.get("type", "")), str(item.get("name", ""))
        data = item.get("mode") == "data"
        shown = "" if index is None else f"[{index}]" if isinstance(index, int) else f'["{index}"]'
        made = ".".join(part for part in (module, "data" if data else "", f"{kind}.{name}") if part) + shown
        address = str(item.get("address") or made)
        each = references(about.get("for_each_expression"))
        record = Record(values, kind, address, self.path.name)
        expressions = self._object(about.get("expressions"), "expressions")
        kept = index if isinstance(index, str | int) else None
        self.resources.append(Resource(address, kind, name, module, kept, record, data, expressions, each))

    def _state(self, document: dict[str, Any]) -> None:
        if document.get("version") != 4:
            version = str(document.get("version"))[:20]
            raise TopologyError(f"{self.path}: a state file of version {version}; write it as text: terraform show -json > state.json")
        for item in self._objects(document.get("resources"), "resources"):
            for instance in self._objects(item.get("instances"), "instances"):
                if instance.get("deposed"):
                    continue  # replaced already, and about to be destroyed
                if instance.get("attributes") is None:
                    text = "its attributes are not in the state; refresh it"
                    self.report.left_out(str(item.get("type")), str(item.get("name")), text, self.path.name)
                    continue
                values = self._object(instance.get("attributes"), "attributes")
                self._add(item, values, str(item.get("module") or ""), instance.get("index_key"), {})

    def all(self, *types: str) -> Iterator[Resource]:
        """The resources of some types, in the order of the plan; data sources too."""
        return (resource for resource in self.resources if resource.type in types)

    def one(self, resource: Resource, key: str, part: Record | None = None, expression: Any = None) -> str:
        """The id that a field of a resource names: known, or found by its references; empty if there is none.

        Of several that it may be the first is taken, which is said.
        """
        known = (part or resource.record).text(aws(key))
        if known:
            return self.by_id[known].id if known in self.by_id else known
        if (part is None or part is resource.record) and is_null(resource.record, key):
            return ""
        expression = resource.expressions.get(key) if expression is None else expression
        found = self.follow(resource, expression)
        if len(found) > 1:
            ids = ", ".join(other.address for other in found[:4])
            text = f"{key} is known only after apply, and is one of {ids}; taken as {found[0].address}"
            self.report.unknown(resource.type, resource.address, text, self.path.name)
        elif not found and key == "vpc_id" and (likely := self._likely_vpc(resource, references(expression))) is not None:
            text = f"its VPC is not decided in the plan; taken as {likely.address}, the one that it fits"
            self.report.assumed(resource.type, resource.address, text, self.path.name)
            return likely.id
        elif not found and references(expression):
            text = f"{key} is known only after apply ({', '.join(references(expression)[:3])})"
            self.report.unknown(resource.type, resource.address, text, self.path.name)
        return found[0].id if found else ""

    def _likely_vpc(self, resource: Resource, refs: list[str]) -> Resource | None:
        """The one VPC that a resource can stand in, where what names it is a local value, or nothing is known of names at all.

        Locals are in no plan, and well-known modules name their VPC by one.  It is the only VPC of the resource's module,
        else of the plan; for a subnet the only one around its block.
        """
        if (not refs and self.configuration.get("")) or any(_RESOURCE.match(ref) for ref in refs):
            return None
        every = [other for other in self.all("aws_vpc", "aws_default_vpc") if not other.data]
        some = [other for other in every if other.module == resource.module] or every
        if resource.type == "aws_subnet":
            own = next(resource.record.blocks("CidrBlock"), None)
            some = [other for other in some if any(_within(own, block) for block in other.record.blocks("CidrBlock"))]
        return some[0] if len(some) == 1 else None

    def many(self, resource: Resource, key: str, part: Record | None = None, expression: Any = None) -> list[str]:
        """The ids that a list field names, known and referred to."""
        if (part is None or part is resource.record) and is_null(resource.record, key):
            return []
        values = (part or resource.record).data.get(aws(key))
        known = [value for value in values if isinstance(value, str) and value] if isinstance(values, list) else []
        ids = [self.by_id[value].id if value in self.by_id else value for value in known]
        expression = resource.expressions.get(key) if expression is None else expression
        if not ids or (isinstance(values, list) and None in values):
            found = self.follow(resource, expression)
            ids += [other.id for other in found]
            if not found and references(expression):
                text = f"{key} is known only after apply ({', '.join(references(expression)[:3])})"
                self.report.unknown(resource.type, resource.address, text, self.path.name)
        return list(dict.fromkeys(ids))

    def follow(self, resource: Resource, expression: Any) -> list[Resource]:
        """The resources that an expression refers to, seen from a resource."""
        return list({other.address: other for other in self._follow(references(expression), resource.module, resource, 0)}.values())

    def _follow(self, refs: list[str], module: str, asker: Resource, depth: int) -> Iterator[Resource]:
        if depth > DEEPEST:
            return
        explicit = {match.group(0).split("[")[0] for ref in refs if (match := _RESOURCE.match(ref)) and match.group(4) is not None}
        items = {(one["name"], one["output"]) for ref in refs if (one := _MODULE.match(ref)) and one["item"] is not None}
        for ref in refs:
            called = _MODULE.match(ref)
            match = _RESOURCE.match(ref)
            if called and called["output"]:
                if called["item"] is not None or (called["name"], called["output"]) not in items:
                    yield from self._output(called, module, asker, depth)
            elif ref.startswith("var.") and module:
                call = self.calls.get(bare(module), {})
                given = self._object(call.get("expressions"), "expressions").get(ref.split(".")[1].split("[")[0])
                yield from self._follow(references(given), module.rpartition("module.")[0].rstrip("."), asker, depth + 1)
            elif ref.startswith("each.") and asker.each:
                yield from self._follow(asker.each, module, asker, depth + 1)
            elif match and (match.group(4) is not None or match.group(0) not in explicit):
                yield from self._named(match, module, asker)

    def _named(self, match: "re.Match[str]", module: str, asker: Resource) -> Iterator[Resource]:
        found = self.by_name.get((module, bool(match.group(1)), match.group(2), match.group(3)), [])
        if not found:
            self._demand(match, module, asker)
        index = (match.group(4) or "").strip('"')
        exact = [other for other in found if match.group(4) is not None and str(other.index) == index]
        same = [other for other in found if asker.index is not None and other.index == asker.index]
        yield from exact or (same if len(found) > 1 else []) or found

    def _demand(self, match: "re.Match[str]", module: str, asker: Resource) -> None:
        """Refuse a reference to a resource that the module's configuration, where it is there, does not have (of count 0 it has)."""
        described = self.configuration.get(bare(module), {}).get("resources")
        key = "data" if match.group(1) else "managed", match.group(2), match.group(3)
        if described and key not in {_key(item) for item in self._objects(described, "resources")}:
            what = match.group(0).split("[")[0]
            raise TopologyError(
                f"{self.path.name}: {asker.address} refers to {what}, which its configuration does not have; write the plan again"
            )

    def _output(self, called: "re.Match[str]", module: str, asker: Resource, depth: int) -> Iterator[Resource]:
        """What an output of a called module refers to; of a list the item that is named."""
        inner = f"{bare(module)}.module.{called['name']}".lstrip(".")
        outputs = self._object(self.configuration.get(inner, {}).get("outputs"), "outputs")
        refs = references(self._object(outputs.get(called["output"]), "output").get("expression"))
        start = f"{module}.module.{called['name']}".lstrip(".")
        instances = {
            other.module for other in self.resources if other.module == start or other.module.startswith((f"{start}[", f"{start}."))
        }
        pattern = re.compile(re.escape(start) + r"(?:\[[^\]]*\])?")
        heads = dict.fromkeys(match.group(0) for other in sorted(instances) if (match := pattern.match(other)))
        own = f"{start}{called['which'] or ''}"
        found = [other for head in ([own] if own in heads else heads) for other in self._follow(refs, head, asker, depth + 1)]
        item = (called["item"] or "").strip('"')
        if item.isdigit() and int(item) < len(found):
            yield found[int(item)]
        else:
            yield from [other for other in found if item and str(other.index) == item] or found


def is_null(record: Record, key: str) -> bool:
    """Whether a plan says that a field is not set: what it does not know yet it leaves out, and null is known."""
    return aws(key) in record.data and record.data[aws(key)] is None


def _within(own: Block | None, around: Block) -> bool:
    return own is not None and own.version == around.version and own.network_address in around and own.prefixlen >= around.prefixlen


def _key(item: dict[str, Any]) -> tuple[str, str, str]:
    return str(item.get("mode")), str(item.get("type")), str(item.get("name"))


def aws(key: str) -> str:
    """A Terraform field in AWS's spelling."""
    return "".join(part[:1].upper() + part[1:] for part in key.split("_"))


def bare(module: str) -> str:
    """A module's address without indexes, as the configuration has it."""
    return re.sub(r"\[[^\]]*\]", "", module)


def references(expression: Any) -> list[str]:
    """The references of an expression, or of all expressions of a list of blocks."""
    if isinstance(expression, dict) and isinstance(expression.get("references"), list):
        return [str(ref) for ref in expression["references"]]
    return []


def block_expressions(resource: Resource, key: str, part: Record, number: int, count: int) -> dict[str, Any]:
    """The expressions of one of a resource's inline blocks: the one whose constants are the block's values, or of its place."""
    blocks = resource.expressions.get(key)
    listed = [item for item in blocks if isinstance(item, dict)] if isinstance(blocks, list) else []
    fitting = [item for item in listed if _fits(item, part)]
    if len(fitting) == 1 or (fitting and len(listed) != count):
        return fitting[0]
    return listed[number] if len(listed) == count else fitting[0] if fitting else {}


def _fits(expressions: dict[str, Any], part: Record) -> bool:
    for key, expression in expressions.items():
        if isinstance(expression, dict) and "constant_value" in expression:
            value = part.data.get(aws(key))
            if value is not None and str(value) != str(expression["constant_value"]):
                return False
    return True
