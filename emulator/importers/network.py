"""NETWORK, as every command takes it: a topology file, or what somebody already has, told apart by its content.

A topology file (YAML, or the same in JSON); a file or a folder of AWS's describe output; the JSON of a Terraform plan
or state, or a raw state file; a CloudFormation template in YAML or JSON.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.errors import TopologyError
from emulator.importers.records import read_json, read_text
from emulator.importers.report import Report
from emulator.model.topology import Topology

_TEMPLATE = re.compile(r"^(?:Resources|AWSTemplateFormatVersion|Transform)[ \t]*:", re.MULTILINE)
_HCL = re.compile(r'^\s*(?:resource|module|provider|variable|terraform|data|locals|output)\s+(?:"[^"\n]*"\s*)*\{', re.MULTILINE)
_YAML = (".yaml", ".yml", ".template")


@dataclass(frozen=True)
class Imported:
    """A topology, and what it does not show of its source.

    Parameters
    ----------
    kind : ``topology file``, ``AWS describe output``, ``Terraform`` or ``CloudFormation``.
    """

    topology: Topology
    kind: str = "topology file"
    report: Report = field(default_factory=Report)


def load_network(path: str | Path, parameters: Mapping[str, str] | None = None) -> Topology:
    """The topology of anything that can stand for a network; see `read_network`.

    Raises
    ------
    TopologyError : see `read_network`.
    """
    return read_network(path, parameters).topology


def read_network(path: str | Path, parameters: Mapping[str, str] | None = None) -> Imported:
    """The topology of anything that can stand for a network, with what was not understood of it.

    Parameters
    ----------
    parameters : values of a CloudFormation template's parameters, by name.

    Raises
    ------
    TopologyError : the source cannot be read, or there is no network in it; a line for each trouble.
    """
    source = Path(path)
    imported = _folder(source, parameters) if source.is_dir() else _file(source, parameters)
    if parameters and imported.kind != "CloudFormation":
        raise TopologyError(f"{source}: this is {imported.kind}, which takes no parameters; leave --parameter out")
    return imported


def _file(path: Path, parameters: Mapping[str, str] | None) -> Imported:
    from emulator.model.files import load

    if not path.exists() or path.is_fifo() or not path.is_file():
        return Imported(load(path))  # says what is wrong with the name, in the words of topology files
    with path.open("rb") as opened:
        head = opened.read(4096)
    if head.startswith(b"PK\x03\x04"):
        raise TopologyError(f"{path}: a binary plan; write it as text: terraform show -json {path.name} > plan.json")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _json(path, parameters)
    if path.suffix.casefold() in (".tf", ".hcl") or (path.suffix.casefold() not in _YAML and _HCL.search(head.decode("utf-8", "replace"))):
        raise TopologyError(f"{path}: Terraform's own language is not read; give the plan: terraform show -json PLAN > plan.json")
    if b"\0" in head:
        return Imported(load(path))
    text = read_text(path)
    return _template(path, text, parameters) if _TEMPLATE.search(text) else Imported(load(path))


def _json(path: Path, parameters: Mapping[str, str] | None) -> Imported:
    from emulator.importers.aws import topology_from_aws
    from emulator.model.files import load

    text = read_text(path)
    if _seems_flow_yaml(path, text):
        return Imported(load(path))
    document = read_json(path, text)
    if _is_template(document):
        return _template(path, text, parameters)
    if _is_terraform(document):
        return _terraform(path, document)
    if isinstance(document, dict) and (isinstance(document.get("vpcs"), dict) or "topology" in document):
        return Imported(load(path))
    report = Report()
    return Imported(topology_from_aws(path, report, {path: document}), "AWS describe output", report)


def _seems_flow_yaml(path: Path, text: str) -> bool:
    """Whether a file that begins with a bracket is YAML all the same: by its suffix, and no quoted key first."""
    return path.suffix.casefold() in (".yaml", ".yml") and re.match(r'\s*\{\s*"', text) is None


def _is_template(document: Any) -> bool:
    resources = document.get("Resources") if isinstance(document, dict) else None
    if not isinstance(resources, dict):
        return False
    return "AWSTemplateFormatVersion" in document or any(isinstance(item, dict) and "Type" in item for item in resources.values())


def _is_terraform(document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    is_state = "terraform_version" in document and isinstance(document.get("version"), int) and "resources" in document
    return (
        is_state
        or "planned_values" in document
        or ("format_version" in document and {"values", "resource_changes", "terraform_version"} & set(document) != set())
    )


def _terraform(path: Path, document: Any) -> Imported:
    from emulator.importers.terraform import topology_from_terraform

    report = Report()
    return Imported(topology_from_terraform(path, document, report), "Terraform", report)


def _template(path: Path, text: str, parameters: Mapping[str, str] | None) -> Imported:
    from emulator.importers.cloudformation import topology_from_template

    report = Report()
    return Imported(topology_from_template(path, text, parameters or {}, report), "CloudFormation", report)


def _folder(path: Path, parameters: Mapping[str, str] | None) -> Imported:
    """A folder: describe output if there is JSON of it, else the one file in it that is a network."""
    from emulator.importers.aws import topology_from_aws
    from emulator.importers.layouts import json_files

    documents: dict[Path, Any] = {}
    others: list[Path] = []
    empty: list[Path] = []
    for file in json_files(path):
        text = read_text(file)
        if not text.strip():
            empty.append(file)
            continue
        document = read_json(file, text)
        if _is_template(document) or _is_terraform(document) or (isinstance(document, dict) and isinstance(document.get("vpcs"), dict)):
            others.append(file)
        documents[file] = document
    others += [file for file in sorted(path.iterdir()) if file.suffix.casefold() in (*_YAML, ".tfstate") and file.is_file()]
    if len(documents) > sum(file in documents for file in others):
        report = Report()
        for file in empty:
            report.assumed(
                "file", file.name, "it is empty, as a call that failed leaves it; taken as no answer", str(file.relative_to(path))
            )
        for file in others:
            documents.pop(file, None)
            report.without_effect("file", file.name, "it is no describe output, and was passed over", str(file.relative_to(path)))
        return Imported(topology_from_aws(path, report, documents), "AWS describe output", report)
    if len(others) == 1:
        return _file(others[0], parameters)
    if others:
        names = ", ".join(file.name for file in others[:4])
        raise TopologyError(f"{path}: {len(others)} files here can be a network ({names}…); name one")
    raise TopologyError(f"{path}: no network in this folder; name a topology file, describe output, a plan or a template")
