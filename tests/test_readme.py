"""README says what is so: its commands are those that are checked, and what it lists is there."""

import re

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_two_commands_are_those_that_are_checked():
    """README's two commands stand in `.ci/run`, word for word."""
    blocks = re.findall(r"```bash\n(.*?)\n```", README, re.DOTALL)
    checked = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for block in blocks for line in block.splitlines() if line.startswith((".venv/bin/pip", "python3 -m venv"))]
    assert len(commands) == 2
    for command in commands:
        assert command in checked


def test_every_command_is_listed(vpcemu):
    """Each command of the program is in README's table, and the table has no other."""
    from emulator.cli import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    table = README.split("| `vpcemu …` | does |")[1].split("\n\n")[0]
    cells = [row.split("|")[1] if row.count("|") else "" for row in table.replace("\\|", "/").splitlines()]
    listed = {word for cell in cells for word in re.findall(r"`([a-z]+)", cell)}
    assert known == listed


def test_every_file_that_it_links_to_is_there():
    """Links to files of the project lead somewhere."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_what_it_shows_is_what_is_printed(vpcemu, monkeypatch):
    """The lines of the replay and of the explanation shown are lines of the real output, spaces aside."""
    monkeypatch.chdir(ROOT)
    printed = [
        vpcemu("replay", "topologies/web-server.yaml", "tests/captures/web-server.pcap").out,
        vpcemu("explain", "topologies/web-server.yaml", "customer", "web-1", "tcp/22").out,
    ]
    shown = [
        README.split("```text\n")[1].split("\n```")[0],
        README.split("```console\n$ vpcemu explain")[1].split("\n", 1)[1].split("\n```")[0],
    ]
    for real, claimed in zip(printed, shown, strict=True):
        words = " ".join(real.split())
        for line in claimed.splitlines():
            part = " ".join(line.split())
            assert part in words or part == "…", part
