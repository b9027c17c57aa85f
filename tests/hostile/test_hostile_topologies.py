"""Topology files that mean harm: each is refused in one line with its place, in bounded time and memory, and runs no code."""

import pytest

from emulator.errors import TopologyError
from emulator.model.files import loads
from tests.hostile.bounded import command, script

HEAD = "topology: t\nvpcs:\n  v:\n    cidr_block: 10.0.0.0/16\n    subnets: {s: {cidr_block: 10.0.0.0/16}}\n"
LOAD = """
from emulator.errors import TopologyError
from emulator.model.files import load
try:
    print(len(load(sys.argv[1]).entities))
except TopologyError as error:
    print(len(error.problems), max(map(len, error.problems)), *error.problems[:3], sep="\\n")
"""
LOAD_AND_COMPILE = """
from emulator.engine import Engine
from emulator.model.files import load
print(len(Engine(load(sys.argv[1])).tables.enis))
"""
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(12)
)
REFUSED = {
    "a thousand million laughs": (LAUGHS, "anchors"),
    "a list that holds itself": ("topology: &a [*a]\n", "anchors"),
    "a mapping that holds itself": ("vpcs: &a {x: *a}\n", "anchors"),
    "merge keys": (f"{HEAD}<<: {{instances: {{}}}}\n", "merge keys"),
    "a tag that would make an object": ("topology: !!python/object/apply:os.system ['touch /tmp/owned']\n", "tag"),
    "a tag that would import a module": ("topology: !!python/module:antigravity ''\n", "tag"),
    "a tag of an own": ("topology: !include /etc/passwd\n", "tag"),
    "lists in lists": ("vpcs: " + "[" * 50_000 + "]" * 50_000, "deep"),
    "mappings in mappings": ("vpcs: " + "{a: " * 50_000 + "}" * 50_000, "deep"),
    "a number without end": ("topology: t\nvpcs: {v: {cidr_block: " + "9" * 200_000 + "}}", "is not a CIDR block"),
    "a block without end": ("topology: t\nvpcs: {v: {cidr_block: 10.0.0.0/" + "9" * 200_000 + "}}", "is not a CIDR block"),
    "a name in the terminal's language": ('topology: "\\e[2J\\e]0;owned\\a"\nvpcs: {}\n', "control character"),
    "a raw escape": ("topology: \x1b[2J\nvpcs: {}\n", "U+001B"),
    "a right-to-left line separator": ("topology: a\u2028b\nvpcs: {}\n", "U+2028"),
    "a null byte": ("topology: a\x00b\n", "U+0000"),
    "a second document": (f"{HEAD}---\n{HEAD}", "second document"),
}


@pytest.mark.parametrize(("text", "word"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(text, word, tmp_path):
    """What a topology has no need of is refused, and the line says why."""
    path = tmp_path / "harm.yaml"
    path.write_text(text)
    run = script(LOAD, str(path), seconds=20, megabytes=1200)
    assert word in run.out, (run.out[:500], run.err[-500:])
    assert "\x1b" not in run.out
    assert run.peak_mb < 300


def test_many_troubles_are_not_all_told():
    """A file of a hundred thousand mistakes gives a list that a person can read, each line short enough for a screen or two."""
    text = HEAD + "    instances:\n" + "".join(f"      i{n}: {{subnet: nowhere{n}, colour: red}}\n" for n in range(5_000))
    with pytest.raises(TopologyError) as error:
        loads(text)
    assert 1 <= len(error.value.problems) <= 10_000
    assert max(len(line) for line in error.value.problems) < 1000


def test_ten_thousand_interfaces(tmp_path):
    """Ten thousand interfaces in one VPC load in the time of a look, and their memory is in proportion."""
    path = tmp_path / "many.yaml"
    path.write_text(HEAD + "    instances:\n" + "".join(f"      i{n}: {{subnet: s}}\n" for n in range(10_000)))
    run = script(LOAD, str(path), seconds=20)
    assert run.out.strip() == str(1 + 1 + 2 * 10_000 + 3), run.err
    assert run.peak_mb < 400


def test_a_hundred_thousand_interfaces(tmp_path):
    """A hundred thousand interfaces in ten VPCs load and compile: time and memory grow with their number, not its square."""
    path = tmp_path / "many.yaml"
    vpcs = [
        f"  v{vpc}:\n    cidr_block: 10.{vpc}.0.0/16\n    subnets: {{s{vpc}: {{cidr_block: 10.{vpc}.0.0/16}}}}\n    instances:\n"
        + "".join(f"      i{vpc}-{n}: {{subnet: s{vpc}}}\n" for n in range(10_000))
        for vpc in range(10)
    ]
    path.write_text("topology: t\nvpcs:\n" + "".join(vpcs))
    run = script(LOAD_AND_COMPILE, str(path), seconds=60)
    assert run.out.split() == ["100000"], run.err
    assert run.peak_mb < 700


def test_a_file_without_end(tmp_path):
    """A file larger than any topology is refused after its first bytes."""
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 34)
    run = script(LOAD, str(path), megabytes=1200)
    assert "more than 64 MB" in run.out, run.err
    assert run.peak_mb < 300


CLIMBING = [
    "../../../../etc/passwd",
    "/etc/passwd",
    "..\\..\\boot.ini",
    "a/../../b",
    "~root/.ssh/id_rsa",
    "$(touch owned)",
    "`id`",
    "%s%s%n",
]


@pytest.mark.parametrize("name", CLIMBING)
def test_names_are_only_names(name, tmp_path):
    """A name that looks like a path, a variable or a command is shown as it is written, or refused; it leads nowhere."""
    path = tmp_path / "lab.yaml"
    path.write_text(
        f"topology: '{name}'\nvpcs:\n  '{name}':\n    cidr_block: 10.0.0.0/16\n    subnets: {{s: {{cidr_block: 10.0.0.0/24}}}}\n"
        f"    instances: {{'{name}': {{subnet: s}}}}\n"
    )
    before = {item.name for item in tmp_path.iterdir()}
    run = command("show", str(path))
    assert run.code in (0, 1, 2)
    assert run.code == 2 or name in run.out
    assert "root:" not in run.out
    assert {item.name for item in tmp_path.iterdir()} == before
