"""Names and payloads that would speak to a terminal, a browser or a spreadsheet: they stay text."""

import re
import struct
from html.parser import HTMLParser
from ipaddress import ip_address
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from emulator.model.entities import ExternalHost, Instance, InternetGateway, NetworkInterface, Route, RouteTable, Subnet, Vpc
from emulator.model.groups import Rule, SecurityGroup, block
from emulator.model.topology import Topology
from emulator.network import Network
from emulator.replay import replay
from tests.hostile.bounded import ROOT, command

CAPTURE = ROOT / "tests" / "captures" / "web-server-inside.pcapng"
WEB = ROOT / "topologies" / "web-server.yaml"
ESCAPES = ["\x1b[2J\x1b]0;owned\x07", "\x9b31m", "a\rb", "a\x08\x08b", "\u202egnp.exe", "\x1bP+q544e\x1b\\"]
MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'; alert(1); '",
    "</text></svg><script>1</script>",
    "&lt;script&gt;",
    "]]><x/>",
    "[bold red]x[/]",
    "$\\frac{1}{0$",
]


def lab(name: str) -> Topology:
    """A web server whose everything is called ``name``."""
    private, public = ip_address("10.0.1.10"), ip_address("198.51.100.10")
    return Topology.of(
        Vpc(f"vpc {name}", (block("10.0.0.0/16"),)),
        InternetGateway(f"igw {name}", f"vpc {name}"),
        RouteTable(f"rtb {name}", f"vpc {name}", (Route(block("0.0.0.0/0"), f"igw {name}"),)),
        Subnet(f"sub {name}", f"vpc {name}", (block("10.0.1.0/24"),), route_table=f"rtb {name}"),
        SecurityGroup("web", f"vpc {name}", (Rule.of("HTTP", "192.0.2.0/24"),), ()),  # EC2 itself takes no such name (SG-29)
        Instance(f"web {name}", f"vpc {name}"),
        NetworkInterface(f"eth0 {name}", f"web {name}", f"sub {name}", (private,), ((private, public),), ("web",)),
        ExternalHost(f"ext {name}", (ip_address("192.0.2.77"),)),
        name=f"lab {name}",
    )


class _Tags(HTMLParser):
    """The elements of a text of HTML and the names of their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.found |= {tag, *(f"@{name}" for name, _ in attrs)}


def tags(text: str) -> set[str]:
    """What a browser would make of it."""
    parser = _Tags()
    parser.feed(text)
    return parser.found


PLAIN = {
    "p",
    "b",
    "table",
    "thead",
    "tbody",
    "tr",
    "td",
    "th",
    "br",
    "span",
    "div",
    "ol",
    "ul",
    "li",
    "code",
    "i",
    "@class",
    "@style",
    "@title",
}


@pytest.mark.parametrize("name", MARKUP)
def test_html(name):
    """What a notebook shows of a replay, an explanation and a trace holds names as text alone."""
    topology = lab(name)
    result = replay(topology, CAPTURE)
    assert result.blocked
    why = Network(topology).explain(f"ext {name}", f"web {name}", "SSH")
    frame = {"iframe", "@title", "@sandbox", "@srcdoc", "@width", "@height", "@frameborder"}
    assert tags(result._repr_html_()) == frame
    assert tags(result.to_html()) == tags(replay(lab("plain"), CAPTURE).to_html())
    for page in (why._repr_html_(), why.forward._repr_html_()):
        assert tags(page) <= PLAIN, tags(page) - PLAIN


@pytest.mark.parametrize("name", MARKUP)
def test_svg(name, tmp_path):
    """A figure as SVG is well formed, has no script, no handler and no foreign address, and shows the name as it is."""
    path = tmp_path / "map.svg"
    replay(lab(name), CAPTURE).save_figure(path)
    root = ET.parse(path).getroot()
    for element in root.iter():
        assert element.tag.rpartition("}")[2] not in ("script", "foreignObject", "iframe", "image")
        for key, value in element.attrib.items():
            name_of = key.rpartition("}")[2]
            assert not name_of.startswith("on"), key
            assert name_of not in ("href", "src") or value.startswith("#"), value


@pytest.mark.parametrize("name", ESCAPES)
def test_terminal(name, tmp_path):
    """The name of a capture file is printed without what a terminal would obey."""
    path = tmp_path / f"evil{name}.pcapng"
    path.write_bytes(CAPTURE.read_bytes())
    for arguments in (
        ("replay", str(WEB), str(path)),
        ("replay", str(WEB), str(path) + "gone"),
        ("init", str(path), "-o", str(tmp_path / "x.yaml")),
    ):
        run = command(*arguments)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", run.out + run.err), run.out[:300]


def test_payloads_are_not_printed(tmp_path):
    """What packets carry never reaches the terminal, whatever they carry."""
    payload = b"\x1b[2J\x1b]0;owned\x07" * 4
    header = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(payload), 1, 0, 64, 17, 0) + bytes([192, 0, 2, 77, 198, 51, 100, 10])
    frame = header + struct.pack(">HHHH", 4000, 53, 8 + len(payload), 0) + payload
    path = tmp_path / "payload.pcap"
    path.write_bytes(
        struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101) + struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame
    )
    for more in ((), ("--json",), ("--packet", "0")):
        run = command("replay", str(WEB), str(path), *more)
        assert "\x1b" not in run.out + run.err
        assert "owned" not in run.out + run.err


def test_comments_beside_packets_are_text(tmp_path):
    """A capture written with verdicts holds no control characters that a name brought in."""
    path = tmp_path / "out.pcapng"
    replay(lab("\x1b[2Jx"), CAPTURE).save_pcapng(path)
    comments = [part for part in path.read_bytes().split(b"\0") if b"DROP" in part]
    assert comments
    assert not any(b"\x1b" in comment for comment in comments)


def test_outputs_are_written_where_they_are_told(tmp_path):
    """An output that is a folder, or behind a link that goes nowhere, is refused, and nothing else is touched."""
    gone = tmp_path / "link"
    gone.symlink_to(tmp_path / "nowhere" / "file.yaml")
    for output in (tmp_path, gone, Path("/proc/none/x.yaml")):
        run = command("init", str(CAPTURE), "-o", str(output))
        assert run.code == 2, (output, run.out, run.err)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["link"]
