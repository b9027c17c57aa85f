"""What objects show as the last line of a notebook's cell: a notebook is executed and its outputs are read."""

import base64
from html.parser import HTMLParser

import nbformat
import pytest

from emulator.model.groups import AclRule, GroupPeer, ListPeer, NetworkAcl, Rule, SecurityGroup, block
from emulator.model.services import ANY_PORTS, TCP
from emulator.network import Network
from emulator.observe.entries import TrackingEntry
from emulator.replay import replay
from emulator.verbs.conntrack import ConntrackTable
from tests.hostile.test_hostile_text import CAPTURE, ESCAPES, MARKUP, lab
from tests.test_notebooks import ROOT, executed

HOSTILE = [*MARKUP, *ESCAPES, "\u05e9\u05dc\u05d5\u05dd \u202eabc", "a\nb", "\"quoted\" & 'single'"]
BUILD = f"""
from emulator import Network, load
network = Network(load({str(ROOT / "topologies" / "web-server.yaml")!r}))
topology = network.topology
found = network.replay({str(ROOT / "tests" / "captures" / "web-server.pcap")!r})
_ = network["office-pc"].connect("web-1", "SSH")
"""
SHOWS = {
    "topology": "topology",
    "network": "network",
    "group": "topology.find('sg-web')",
    "acl": "topology.find('acl-default')",
    "trace": "network.explain('customer', 'web-1', 'tcp/22').forward",
    "explanation": "network.explain('customer', 'web-1', 'tcp/22')",
    "replay": "found",
    "table": "network.conntrack()",
    "entry": "network.conntrack()[0]",
    "flows": "found.to_dataframe().head()",
    "packets": "found.to_dataframe('packets').head()",
    "entries": "network.conntrack().to_dataframe()",
    "words": "print(found.blocked[0], found.blocked[0].why.nearest, topology.find('sg-web').ingress[3], sep='\\n')",
}


class Cells(HTMLParser):
    """The cells of tables as text, row by row; the elements and attributes that are there."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.found, self.inside = [], set(), False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found |= {tag, *(name for name, _ in attrs)}
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def cells(text):
    return Cells(text).rows


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """By name, what each object showed, by MIME type."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (BUILD, *SHOWS.values())])
    with pytest.MonkeyPatch.context() as patch:
        executed(book, tmp_path_factory.mktemp("notebook"), patch)
    outputs = [cell.outputs for cell in book.cells[1:]]
    assert all(len(each) == 1 for each in outputs)
    return {name: each[0].get("data") or {"text/plain": each[0]["text"]} for name, each in zip(SHOWS, outputs, strict=True)}


@pytest.mark.parametrize("name", ["topology", "network"])
def test_a_topology_shows_its_map(shown, name):
    """A topology, and a network of it, is a picture."""
    picture = base64.b64decode(shown[name]["image/png"])
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(picture) > 20_000


def test_a_group_shows_the_consoles_tables(shown):
    """A security group is its inbound and its outbound rules, in the columns of the EC2 console."""
    rows = cells(shown["group"]["text/html"])
    assert rows[0] == ["Type", "Protocol", "Port range", "Source", "Description"]
    assert rows[1:5] == [
        ["HTTP", "TCP", "80", "0.0.0.0/0", ""],
        ["HTTPS", "TCP", "443", "0.0.0.0/0", ""],
        ["HTTPS", "TCP", "443", "::/0", ""],
        ["SSH", "TCP", "22", "pl-office", "Administration"],
    ]
    assert rows[5:] == [
        ["Type", "Protocol", "Port range", "Destination", "Description"],
        ["All traffic", "All", "All", "0.0.0.0/0", ""],
        ["All traffic", "All", "All", "::/0", ""],
    ]


def test_a_network_acl_shows_its_entries_in_order(shown):
    """A network ACL is its numbered entries, and the one that denies the rest."""
    rows = cells(shown["acl"]["text/html"])
    assert rows[1] == ["100", "All traffic", "All", "All", "0.0.0.0/0", "Allow"]
    assert [row for row in rows if row[0] == "*"] == [["*", "All traffic", "All", "All", "All", "Deny"]] * 2


@pytest.mark.parametrize("name", ["trace", "explanation"])
def test_a_trace_shows_its_steps(shown, name):
    """A trace is a table of steps, the last one with the reason."""
    html = shown[name]["text/html"]
    assert cells(html)[0] == ["", "Where", "Check", "Result"]
    mark, where, check, result = cells(html)[-1]
    assert (mark, where, check) == ("✗", "web-1:eth0", "security groups, ingress")
    assert result.startswith("no ingress rule of web allows tcp/22 from 192.0.2.77")


def test_a_replay_shows_its_page(shown):
    """A replay is the interactive page, in a frame that may run nothing but its own script."""
    found = Cells(shown["replay"]["text/html"])
    assert {"iframe", "srcdoc", "sandbox"} <= found.found
    assert "script" not in found.found


@pytest.mark.parametrize("name", ["table", "entry"])
def test_a_tracking_table_shows_its_entries(shown, name):
    """A tracking table, and one entry of it, is a row an entry with the rule that opened it."""
    head, row = cells(shown[name]["text/html"])
    entry = dict(zip(head, row, strict=True))
    assert (entry["Interface"], entry["Protocol"], entry["Source"], entry["Opened by"]) == (
        "web-1:eth0",
        "tcp",
        "203.0.113.25",
        "web ingress 4",
    )


@pytest.mark.parametrize(
    ("name", "column", "value"), [("flows", "verdict", "accept"), ("packets", "reason", "EMU_ARP"), ("entries", "rule", "web ingress 4")]
)
def test_dataframes_show_their_rows(shown, name, column, value):
    """What pandas shows of a DataFrame has our columns and values."""
    head, *rows = cells(shown[name]["text/html"])
    assert value in [row[head.index(column)] for row in rows]


def test_flow_near_miss_and_rule_are_sentences(shown):
    """Printed, a flow, a near miss and a rule can be read."""
    flow, miss, rule = shown["words"]["text/plain"].splitlines()
    assert flow == (
        "customer → web-1 icmp: drop (0 accepted, 3 dropped, 3 unsent), ENI_SG_RULES_MISMATCH at web-1:eth0: "
        "no ingress rule of web allows icmp/8/0 from 192.0.2.77; web ingress 1 fails only on protocol: icmp is not tcp"
    )
    assert miss.startswith("web ingress 1 fails only on protocol: icmp is not tcp (")
    assert rule == "tcp/22 with pl-office (Administration)"


@pytest.mark.parametrize(
    ("rule", "row"),
    [
        pytest.param(Rule.of("tcp/8000-8099", "10.0.0.0/8"), ["Custom TCP", "TCP", "8000 - 8099", "10.0.0.0/8"], id="a range"),
        pytest.param(Rule.of("All TCP", "::/0"), ["All TCP", "TCP", "All", "::/0"], id="every port"),
        pytest.param(Rule(TCP, ANY_PORTS, block("::/0")).canonical(), ["All TCP", "TCP", "All", "::/0"], id="every port, said by -1"),
        pytest.param(Rule.of("udp/53", ListPeer("pl-1")), ["DNS (UDP)", "UDP", "53", "pl-1"], id="a prefix list"),
        pytest.param(Rule.of("icmp/3/4", GroupPeer("sg-1")), ["Custom ICMP - IPv4", "ICMP", "type 3, code 4", "sg-1"], id="type and code"),
        pytest.param(Rule.of("icmp/8", "0.0.0.0/0"), ["Custom ICMP - IPv4", "ICMP", "type 8", "0.0.0.0/0"], id="a type"),
        pytest.param(Rule.of("icmpv6", "::/0"), ["All ICMP - IPv6", "ICMPv6", "All", "::/0"], id="all of ICMPv6"),
        pytest.param(Rule.of("47", "0.0.0.0/0"), ["Custom protocol", "47", "All", "0.0.0.0/0"], id="a protocol without a name"),
    ],
)
def test_rows_of_rules(rule, row):
    """Each kind of rule has the console's words."""
    shown = cells(SecurityGroup("g", "v", (rule,), ())._repr_html_())
    assert shown[1] == [*row, ""]


def test_printed_rules():
    """A rule of each kind of list can be read, with its other side."""
    assert str(Rule.of("HTTPS", GroupPeer("sg-web"))) == "tcp/443 with sg-web"
    assert str(AclRule(100, False, TCP, (22, 22), block("0.0.0.0/0"))) == "100 deny tcp/22 with 0.0.0.0/0"


def hostile_objects(name):
    """Everything that shows itself as a table, with a name in every place that holds a text."""
    rule = Rule.of("HTTP", ListPeer(name), name)
    yield SecurityGroup(name, name, (rule,), (rule,), name, f"sg-{name}")
    yield NetworkAcl(name, name, (AclRule(1, True, TCP, (1, 1), block("0.0.0.0/0")),), id=name)
    entry = TrackingEntry(name, 1, name, name, 1, name, 1, name, 1, name)
    yield entry
    yield ConntrackTable((entry,))
    explained = Network(lab(name), compiled=False).explain(f"ext {name}", f"web {name}", "tcp/22")
    yield from (explained, explained.forward)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name):
    """Markup, quotes, control and direction signs in a name add no element and no attribute, and turn no text around."""
    for one in hostile_objects(name):
        found = Cells(one._repr_html_())
        assert found.found <= {"p", "b", "table", "tr", "th", "td"}, type(one)
        assert all(cell.isprintable() for row in found.rows for cell in row), type(one)


def test_hostile_names_are_shown():
    """What can be shown of a hostile name is shown, as it was written."""
    for name in MARKUP:
        assert name in cells(SecurityGroup("g", "v", (Rule.of("HTTP", "::/0", name),))._repr_html_())[1]


@pytest.mark.parametrize("name", MARKUP)
def test_hostile_names_in_a_dataframe_are_text(name):
    """pandas shows names of our columns as text, too."""
    plain = Cells(replay(lab("x"), CAPTURE).to_dataframe()._repr_html_()).found
    assert Cells(replay(lab(name), CAPTURE).to_dataframe()._repr_html_()).found == plain
