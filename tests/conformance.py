"""The conformance table: each fact of the semantics, its status, the tests that hold it, the knob where AWS is silent.

``python -m tests.conformance`` writes tests/conformance.md; a test holds the file current.  A test holds a fact if it
names the fact's number: in its own name (`test_ct26_…`), its docstring, or the id of one of its cases.  `WHY_NOT` says why a
fact has no test, `PARTLY` what of a fact that has some is not there.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent
TABLE = TESTS / "conformance.md"
FAMILIES = {
    "PL": "The pipeline",
    "SG": "Security groups",
    "CT": "Connection tracking",
    "FB": "The fabric",
    "NA": "Network ACLs",
    "RT": "Routes and gateways",
    "FL": "Flow logs",
}
STATUS = {"D": "documented", "D*": "documented, editions differ", "I": "inferred", "O": "observed", "U": "unknown"}
_FACT = re.compile(r"\b(PL|SG|CT|FB|NA|RT|FL)-(\d+)(?: to (?:\1-)?(\d+))?")
_SCENARIO = re.compile(r"_s(\d+)(?=_)")
WHY_NOT = {
    "CT-42": "held by the whole of tests/policy against a model of its own, see tests/policy/test_tracking_model.py",
    "SG-44": "accounts are not modelled",
    "SG-50": "a warning about one example; nothing to emulate",
    "SG-64": "accounts are not modelled",
    "FB-12": "hop limits of metadata answers matter to forwarders inside a guest only",
    "FB-13": "guests do not expose their metadata service",
    "NA-17": "Classic Load Balancers are not modelled",
    "RT-40": "regional NAT gateways are not modelled",
}

PARTLY = {
    "SG-26": "whose groups a sender has is read when the packet arrives, not kept from when it left: an edit in between counts",
    "RT-38": "NAT64 is not emulated: a NAT gateway drops IPv6",
    "FL-13": "a flow log is made from a run, so there is none to be made twice (FlowLogAlreadyExists)",
    "FL-15": "every instance counts as Nitro, so 2 never appears",
}


class Held(NamedTuple):
    """A test that holds facts: its file, its name, what it promises."""

    file: str
    name: str
    promise: str
    facts: frozenset[str]
    scenarios: frozenset[int]


def facts_in(text: str) -> set[str]:
    """Fact numbers in a text, ranges spelt out."""
    found = set()
    for family, first, last in _FACT.findall(text):
        found |= {f"{family}-{number}" for number in range(int(first), int(last or first) + 1)}
    return found


def held() -> list[Held]:
    """Every test that names a fact or a scenario."""
    done = []
    for path in sorted(TESTS.rglob("test_*.py")):
        if path.name == "test_conformance.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                promise = (ast.get_docstring(node) or "").split("\n")[0]
                texts = [one.value for part in node.decorator_list for one in ast.walk(part) if isinstance(one, ast.Constant)]
                facts = facts_in(" ".join([promise, *(text for text in texts if isinstance(text, str))]))
                named = re.findall(r"_(pl|sg|ct|fb|na|rt|fl)(\d+)(?=_)", node.name)
                facts |= {f"{family.upper()}-{number}" for family, number in named}
                scenarios = {int(number) for number in _SCENARIO.findall(node.name)}
                if facts or scenarios:
                    done.append(Held(path.relative_to(TESTS).as_posix(), node.name, promise, frozenset(facts), frozenset(scenarios)))
    return done


def facts() -> dict[str, tuple[str, list[str]]]:
    """Each fact's status letter and knobs."""
    lines = (TESTS / "facts.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return {key: (status, knobs) for key, status, *knobs in rows}


def table() -> str:
    """The whole table as Markdown."""
    tests, known = held(), facts()
    lines = ["# Conformance", "", "Made by `python -m tests.conformance`; a test holds it current.", ""]
    lines += [f"Status: {', '.join(f'**{letter}** {word}' for letter, word in STATUS.items())}.", ""]
    for family, title in FAMILIES.items():
        lines += [f"## {title}", "", "| fact | status | knob | held by |", "|---|---|---|---|"]
        for key, (status, knobs) in known.items():
            if key.startswith(f"{family}-"):
                by = [f"`{test.name}` ({test.file})" for test in tests if key in test.facts]
                shown = "<br>".join(by[:3]) + (f" and {len(by) - 3} more" if len(by) > 3 else "") or f"not held: {WHY_NOT.get(key, '')}"
                shown += f"<br>not: {PARTLY[key]}" if key in PARTLY else ""
                lines.append(f"| {key} | {status} | {', '.join(f'`{knob}`' for knob in knobs)} | {shown} |")
        lines.append("")
    lines += ["## Scenarios", "", "| scenario | held by |", "|---|---|"]
    for number in range(1, 52):
        by = [f"`{test.name}` ({test.file})" for test in tests if number in test.scenarios]
        lines.append(f"| S-{number} | {'<br>'.join(by)} |")
    return "\n".join([*lines, "", "## The Linux kernel as oracle", "", *oracle()]) + "\n"


def oracle() -> list[str]:
    """The counts of the comparison with the kernel, as tests/oracles/README.md has them."""
    text = (TESTS / "oracles" / "README.md").read_text(encoding="utf-8")
    return [f"`python -m tests.oracles.compare`, see tests/oracles/README.md. {text[text.index('Linux ') :]}".rstrip()]


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
