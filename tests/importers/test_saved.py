"""What was imported can be saved as a topology file, and says the same when it is read again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.cli_import import with_notes
from emulator.importers.network import read_network
from emulator.importers.report import Report
from emulator.model.files import dump, load, loads
from emulator.network import Network

Write = Callable[..., Path]
QUESTIONS = [
    ("internet", "web-1", "tcp/443"),
    ("internet", "web-1", "tcp/22"),
    ("web-1", "db-1", "tcp/5432"),
    ("web-1", "internet", "icmp"),
    ("db-1", "web-1", "tcp/443"),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_a_saved_import_answers_the_same(described: Any, write: Write, question: tuple[str, str, str]) -> None:
    """The file and its source are one network."""
    imported = read_network(write(described)).topology
    again = loads(dump(imported))
    assert list(again.entities) == list(imported.entities) or set(again.entities) == set(imported.entities)
    one, other = (Network(topology).explain(*question) for topology in (imported, again))
    assert (one.reachable, one.forward.reason) == (other.reachable, other.forward.reason)


def test_the_file_says_what_it_does_not_show(described: Any, write: Write, tmp_path: Path) -> None:
    """Notes stand in the file as comments, one a line, whatever signs their ids hold; the file can be read with them."""
    report = Report()
    report.not_modelled("VpnConnection", "vpn-1\nvpcs: {}", "the network on its far side is not shown", "aws.json")
    target = tmp_path / "net.yaml"
    target.write_text(with_notes(dump(read_network(write(described)).topology), report, "aws"))
    assert "# - aws.json: not modelled: VpnConnection vpn-1\N{REPLACEMENT CHARACTER}vpcs: {}: the network" in target.read_text()
    assert load(target).find("web-1").name == "web-1"


def test_a_saved_file_is_a_network_too(described: Any, write: Write, tmp_path: Path) -> None:
    """`read_network` tells a topology file from what it was made of."""
    target = tmp_path / "net.yaml"
    target.write_text(dump(read_network(write(described)).topology))
    assert read_network(target).kind == "topology file"
