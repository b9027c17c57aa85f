"""CloudFormation templates → a topology: each resource drafted as EC2 would describe it, then read like that.

The template's YAML, its short tags and its line numbers are cfn-lint's business (extra ``cloudformation``); what its
functions come to is worked out in `intrinsics`.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from emulator.errors import TopologyError
from emulator.importers.aws import topology_from_snapshot
from emulator.importers.beyond import TEMPLATE, beyond
from emulator.importers.draft import Draft
from emulator.importers.intrinsics import Evaluator
from emulator.importers.records import Record
from emulator.importers.report import Report
from emulator.importers.template_holes import NOWHERE, RULES, Settling
from emulator.importers.template_kinds import DRAFTED
from emulator.importers.template_resources import draft_template
from emulator.importers.template_values import Unknown, filled, holes, line_of
from emulator.model.topology import Topology

MOST_BYTES = 4_000_000  # CloudFormation itself takes a million
MOST_RESOURCES = 20_000  # CloudFormation itself takes 500
_QUIET = """
Tags ImageId KeyName UserData IamInstanceProfile InstanceType BlockDeviceMappings Monitoring Tenancy LaunchTemplate
InstanceTenancy GroupDescription Description EbsOptimized CreditSpecification Volumes Domain Metadata PolicyDocument Certificates
SslPolicy PreSharedKey BgpAsn
"""
QUIET = frozenset(_QUIET.split())
OWNERS = ("GroupId", "GroupName")
GROUPS_OF_ITS_OWN = {"SecurityGroupIds", "SecurityGroups", "NetworkInterfaces"}


def topology_from_template(path: Path, text: str, parameters: Mapping[str, str], report: Report) -> Topology:
    """The topology that a template will make.

    Parameters
    ----------
    parameters : values of its parameters, by name; ``AWS::Region`` and its like too.

    Raises
    ------
    UsageError : cfn-lint is not installed.
    TopologyError : not a template, a reference to nothing, a field of a wrong type, or no VPC in it.
    """
    document = _decoded(path, text)
    if not isinstance(document.get("Resources"), dict):
        raise TopologyError(f"{path.name}: a template needs Resources; name one that has them")
    evaluator = Evaluator(document, {"AWS::StackName": path.stem} | dict(parameters), path.name)
    draft = Draft(path, report)
    resources = list(_resources(evaluator, path, report))
    draft_template(resources, draft)
    for resource in resources:
        if resource.kind not in DRAFTED and (text := beyond(TEMPLATE, resource.kind, resource.data)):
            report.not_modelled(resource.kind, resource.id, text, resource.place)
    if "Transform" in document and document["Transform"] not in ("AWS::LanguageExtensions", ["AWS::LanguageExtensions"]):
        report.not_modelled("Transform", str(document["Transform"])[:80], "what it adds to the template is not shown", path.name)
    if not draft.all("Vpcs"):
        raise TopologyError(f"{path}: no AWS::EC2::VPC in it, and nothing that stands in the default one; give the template of a network")
    return topology_from_snapshot(draft.finish(), report)


def _decoded(path: Path, text: str) -> dict[str, Any]:
    from emulator.errors import UsageError

    if len(text) > MOST_BYTES:
        raise TopologyError(f"{path}: {len(text):,} characters are more than a template has; split it")
    try:
        import cfnlint.decode as decode
    except ImportError:
        raise UsageError("templates are read with cfn-lint; install it: pip install 'vpcemu[cloudformation]'") from None
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            document, matches = decode.decode_str(text)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as trouble:
        raise TopologyError(f"{path.name}: cannot be read as a template ({str(trouble)[:120]}); write it again") from None
    if matches:
        first = matches[0]
        raise TopologyError(f"{path.name}:{first.linenumber}: {' '.join(first.message.split())}; write the template again")
    if not isinstance(document, dict):
        raise TopologyError(f"{path.name}: not a template; name one with Resources")
    return document


def _resources(evaluator: Evaluator, path: Path, report: Report) -> Iterator[Record]:
    """The resources that are made, with their properties worked out; what is unknown of them is said."""
    expanded = list(islice(_expanded(evaluator, evaluator.resources, {}, 0), MOST_RESOURCES + 1))
    if len(expanded) > MOST_RESOURCES:
        raise TopologyError(f"{path.name}: its loops make more than {MOST_RESOURCES:,} resources; a stack has at most 500")
    evaluator.resources = {name: node for name, _, node, _ in expanded}
    own = any(isinstance(node, dict) and node.get("Type") == "AWS::EC2::VPC" for _, _, node, _ in expanded)
    settling = Settling(NOWHERE if own else None)
    for name, line, node, names in expanded:
        place = f"{path.name}:{line}" if line else path.name
        if name == "Fn::Transform":
            made_by = str(node.get("Name", "?"))[:80] if isinstance(node, dict) else "?"
            report.not_modelled("Transform", made_by, "the resources that it adds are not shown", place)
            continue
        if not isinstance(node, dict) or not isinstance(node.get("Type"), str):
            raise evaluator.fail(node, f"resource {name[:80]} needs a Type")
        made = Record({}, node["Type"], name, place)
        if not _is_made(evaluator, node, made, report):
            continue
        if made.kind in DRAFTED:
            found = _worked_out(evaluator, node, made, names, report)
            if made.kind == "AWS::EC2::NetworkAclEntry" and holes(found):
                report.left_out(made.kind, name, "a part of it is not known, so it is no entry here", place)
                continue
            made.data = settling.rule(found, OWNERS) if _is_rule(made.kind) else settling.properties(found)
        elif isinstance(node.get("Properties"), dict):
            made.data = {str(key): None for key in node["Properties"]}
        yield made


def _is_made(evaluator: Evaluator, node: dict[str, Any], made: Record, report: Report) -> bool:
    """Whether a resource's condition holds; it is taken to where that is not known."""
    decided = evaluator.condition(str(node["Condition"]), node) if "Condition" in node else True
    if isinstance(decided, Unknown):
        report.unknown(made.kind, made.id, f"whether it is made: {decided.reason}; taken as made", made.place)
        return True
    return decided


def _worked_out(evaluator: Evaluator, node: dict[str, Any], made: Record, names: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """A resource's properties; what is unknown of them is said."""
    given = node.get("Properties") or {}
    if not isinstance(given, dict):
        raise evaluator.fail(node, f"resource {made.id[:80]}: Properties should be a mapping")
    given = evaluator.unrolled(given, 0, names)
    if "LaunchTemplate" in given and not GROUPS_OF_ITS_OWN & set(given):
        text = "groups and interfaces that its launch template names are not taken over"
        report.not_modelled(made.kind, made.id, text, made.place)
    found = {str(key): evaluator.value(item, 0, names) for key, item in given.items() if key not in QUIET or key == "InstanceType"}
    for where, unknown in holes(found):
        if where != "InstanceType":
            text = "; the rule matches nothing here" if _is_rule(made.kind) or where.startswith(RULES) else ""
            report.unknown(made.kind, made.id, f"{where}: {unknown.reason}{text}", made.place)
    return found


def _is_rule(kind: str) -> bool:
    return kind.removeprefix("AWS::EC2::") in RULES


def _expanded(
    evaluator: Evaluator, nodes: Mapping[Any, Any], names: Mapping[str, Any], depth: int
) -> Iterator[tuple[str, int, Any, Mapping[str, Any]]]:
    """Resources by name and line, loops unrolled (``Fn::ForEach`` of AWS::LanguageExtensions)."""
    for key, node in nodes.items():
        if not str(key).startswith("Fn::ForEach"):
            yield filled(str(key), names), line_of(key) or line_of(node), node, names
            continue
        if not isinstance(node, list) or len(node) != 3 or not isinstance(node[2], dict) or depth > 4:
            raise evaluator.fail(node, f"{key} takes an identifier, a list and a mapping of resources")
        items = evaluator.value(node[1], 0, names)
        if not isinstance(items, list):
            raise evaluator.fail(node, f"{key}: its list is not known; give its parameters with --parameter")
        for item in items:
            yield from _expanded(evaluator, node[2], {**names, str(node[0]): str(item)}, depth + 1)
