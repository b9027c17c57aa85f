"""The JSON Schema of topology files: what an editor finds good and bad is what the program does."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from emulator.model.files import dump, loads, schema
from tests.model.texts import EVERYTHING, in_rule

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
EXAMPLES = sorted(TOPOLOGIES.glob("*.yaml"))


def test_the_checked_in_schema_is_the_one_that_is_printed():
    """Editors see what the program checks: topologies/topology.schema.json is what `vpcemu schema` prints."""
    assert json.loads((TOPOLOGIES / "topology.schema.json").read_text(encoding="utf-8")) == schema()


def test_the_schema_is_one():
    """The schema is valid, takes no nulls, and has a word for every field."""
    jsonschema.Draft202012Validator.check_schema(schema())
    assert "null" not in json.dumps(schema())
    for form in [schema(), *schema()["$defs"].values()]:
        assert form["description"]
        assert not [name for name, field in form["properties"].items() if "description" not in field]


@pytest.mark.parametrize(
    "text", [EVERYTHING, *(path.read_text(encoding="utf-8") for path in EXAMPLES)], ids=["everything", *(path.stem for path in EXAMPLES)]
)
def test_good_files_agree_with_the_schema(text):
    """An editor finds no fault with what loads, nor with what is saved."""
    check = jsonschema.Draft202012Validator(schema())
    for good in (text, dump(loads(text))):
        assert list(check.iter_errors(yaml.load(good, yaml.SafeLoader))) == []


@pytest.mark.parametrize("rule", ["type: HTTP, port: 80, source: 0.0.0.0/0", "type: HTTP", "protocol: tcp, ports: 80-, source: 0.0.0.0/0"])
def test_bad_files_are_underlined_by_an_editor(rule):
    """An editor finds misspelt, missing and malformed fields."""
    check = jsonschema.Draft202012Validator(schema())
    assert list(check.iter_errors(yaml.load(in_rule(rule), yaml.SafeLoader)))
