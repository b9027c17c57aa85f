"""What the command line promises: exit codes, data on stdout, words on stderr, one line for each mistake."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

SCHEMAS = Path(__file__).parents[1] / "emulator" / "schemas"
LAB = """\
topology: lab
vpcs:
  lab:
    cidr_block: 10.0.0.0/16
    subnets:
      a: {{cidr_block: 10.0.1.0/24}}
      {subnet}
    security_groups:
      web: {{ingress: [{rule}]}}
    instances:
      one: {{subnet: a, private_ip: {ip}, security_groups: [{group}]}}
{more}
"""
GOOD = {"subnet": "b: {cidr_block: 10.0.2.0/24}", "rule": "{type: HTTP, source: 0.0.0.0/0}", "ip": "10.0.1.10", "group": "web", "more": ""}


def lab(**changes):
    """A topology file, right but for the changes."""
    return LAB.format(**GOOD | changes)


@pytest.fixture
def web(topologies):
    return topologies / "web-server.yaml"


@pytest.fixture
def traffic(captures):
    return captures / "web-server.pcap"


def one_line(ran):
    """The only line that a refused command printed."""
    assert ran.code == 2, ran
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    return line


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        pytest.param(lab(group="wed"), ":11", ["wed", "did you mean web"], id="an unknown group"),
        pytest.param(
            lab(subnet="b: {cidr_block: 10.0.1.128/25}"), ":7", ["10.0.1.128/25 overlaps", "10.0.1.0/24"], id="an overlapping subnet"
        ),
        pytest.param(lab(ip="10.0.2.10"), ":11", ["10.0.2.10 lies outside a 10.0.1.0/24"], id="an address outside its subnet"),
        pytest.param(
            lab(rule="{protocol: all, ports: 22, source: 0.0.0.0/0}"),
            ":9",
            ['ports need protocol tcp or udp, not "all"'],
            id="a port without tcp or udp",
        ),
        pytest.param(
            lab(rule="{type: SSH, source: 0.0.0.0/0, action: deny}"), ":9", ["only allow", "network ACL", "network_acls"], id="a deny rule"
        ),
        pytest.param(lab(more="\texpect: []"), ":12", ["tab", "spaces"], id="a tab"),
        pytest.param("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\ntopology: [*c, *c]\n", ":1", ["anchor"], id="an anchor bomb"),
        pytest.param("", "", ["empty"], id="an empty file"),
        pytest.param("topology: a\ntopology: b\n", ":2", ["topology", "twice"], id="a key that stands twice"),
        pytest.param(
            lab(rule="{type: HTTP, port: 80, source: 0.0.0.0/0}"), ":9", ["`port`", "did you mean `ports`"], id="a misspelt field"
        ),
        pytest.param(lab(rule="{type: HTPS, source: 0.0.0.0/0}"), ":9", ["HTPS", "did you mean"], id="a misspelt console word"),
        pytest.param(lab(ip="10.0.1.3"), ":11", ["10.0.1.3 is reserved"], id="an address that AWS keeps for itself"),
        pytest.param(
            lab(more="expect: [{source: one, destination: two, type: HTTP, reachable: true}]"), ":12", ["two"], id="a question about nobody"
        ),
    ],
)
def test_a_topology_that_cannot_be_is_one_line(vpcemu, tmp_path, text, place, words):
    """A bad topology file is refused with its place, the thing, the trouble and the way out."""
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    line = one_line(vpcemu("check", path))
    assert line.startswith(f"{path}{place}:"), line
    for word in words:
        assert word in line


def test_all_troubles_of_a_file_come_at_once(vpcemu, tmp_path):
    """Every trouble of a file is a line of its own."""
    path = tmp_path / "lab.yaml"
    path.write_text(lab(rule="{type: HTPS, source: 0.0.0.0/0}", ip="10.0.1.777"))
    ran = vpcemu("check", path)
    assert (ran.code, len(ran.err.splitlines())) == (2, 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"GIF89a" + bytes(40), "not a capture", id="not a capture"),
        pytest.param(b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", "cut within the file header", id="cut within the header"),
        pytest.param(b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + bytes(12) + b"\x93\x00\x00\x00", "link type 147", id="an unknown link type"),
        pytest.param(None, "no such file", id="missing"),
    ],
)
@pytest.mark.parametrize("command", ["init", "replay"])
def test_a_capture_that_cannot_be_used_is_one_line(vpcemu, web, tmp_path, command, content, words):
    """A file that is no capture is refused, and no output is left behind."""
    path, output = tmp_path / "broken.pcap", tmp_path / "out.json"
    if content is not None:
        path.write_bytes(content)
    ran = vpcemu("init", path, "-o", output) if command == "init" else vpcemu("replay", web, path, "--packets", output)
    line = one_line(ran)
    assert line.startswith(f"{path}:")
    assert words in line
    assert not output.exists()


def test_what_was_read_before_a_cut_is_reported(vpcemu, web, traffic, tmp_path):
    """A capture that ends within a packet is replayed up to there, with a line about the cut."""
    path = tmp_path / "cut.pcap"
    path.write_bytes(traffic.read_bytes()[:-5])
    ran = vpcemu("replay", web, path, "--json")
    assert ran.code == 0
    assert ran.json["packets"]["total"] == 156
    assert "cut in the middle of packet 157" in ran.err


@pytest.mark.parametrize("option", ["--packets", "--figure", "--pcapng"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(vpcemu, web, traffic, tmp_path, option):
    """An unwritable place is one line and exit code 2."""
    line = one_line(vpcemu("replay", web, traffic, option, tmp_path / "missing" / "out.png"))
    assert "cannot be written" in line


def test_an_old_output_survives_a_failure(vpcemu, web, traffic, tmp_path):
    """A command that fails leaves the file that it was to write as it was."""
    output = tmp_path / "packets.json"
    output.write_text("old")
    assert vpcemu("replay", web, tmp_path / "missing.pcap", "--packets", output).code == 2
    assert vpcemu("replay", web, traffic, "--packets", output, "--map", "192.0.2.77=nobody").code == 2
    assert output.read_text() == "old"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain", "WEB", "customer", "web-2", "tcp/22"], "nothing is called web-2; did you mean web-1?"),
        (["explain", "WEB", "customer", "web-1", "tcp/http"], 'ports "http"'),
        (["explain", "WEB", "customer", "web-1", "HTPS"], 'service "HTPS"'),
        (["explain", "WEB", "customer", "web-1", "all"], "one protocol"),
        (["replay", "WEB", "PCAP", "--map", "1.2.3.4"], "write ADDRESS=NAME"),
        (["replay", "WEB", "PCAP", "--map", "one=web-1"], "one is not an address"),
        (["replay", "WEB", "PCAP", "--explain", "9999"], "there is no packet 9999"),
        (["draw", "WEB", "-o", "map.gif"], "end the name in .png, .svg or .pdf"),
        (["check", "nowhere.yaml"], "nowhere.yaml"),
    ],
    ids=lambda value: " ".join(value[:1] + value[-1:]) if isinstance(value, list) else "",
)
def test_a_question_that_cannot_be_answered_is_one_line(vpcemu, web, traffic, words, said):
    """Unknown names, services and places are refused with what can be written instead."""
    line = one_line(vpcemu(*[{"WEB": web, "PCAP": traffic}.get(word, word) for word in words]))
    assert said in line


def test_explain_says_yes_and_no_by_exit_code(vpcemu, web):
    """Exit code 0 is reachable, 1 is not."""
    assert vpcemu("explain", web, "customer", "web-1", "HTTPS").code == 0
    assert vpcemu("explain", web, "customer", "web-1", "tcp/22").code == 1


def test_explain_names_the_nearest_rule_with_its_line(vpcemu, web):
    """The reader finds the rule that came nearest, in the file."""
    ran = vpcemu("explain", web, "customer", "web-1", "tcp/22")
    line = 1 + next(number for number, text in enumerate(web.read_text().splitlines()) if "type: SSH,   source: office" in text)
    assert f"Nearest rule: web ingress 4 (tcp/22)   {web}:{line}" in ran.out


@pytest.mark.parametrize(
    ("words", "verdict", "reachable", "answer", "code"),
    [
        (["customer", "web-1", "HTTPS"], "accept", True, "reply", None),
        (["customer", "web-1:eth0", "tcp/22"], "drop", False, "none", "ENI_SG_RULES_MISMATCH"),
        (["internet", "198.51.100.10", "tcp/80"], "accept", True, "reply", None),
        (["i-web-1", "192.0.2.77", "udp/53"], "accept", True, "reply", None),
        (["web-1", "8.8.8.8", "icmp"], "accept", True, "reply", None),
        (["office-pc", "web-1", "tcp/22", "--source-port", "1"], "accept", True, "reply", None),
        (["web-1", "customer", "icmpv6"], "accept", True, "reply", None),
        (["web-1", "customer", "47"], "accept", True, "reply", None),
        (["web-1", "customer", "icmp/3/4"], "accept", True, "none", None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_explain_json(vpcemu, web, words, verdict, reachable, answer, code):
    """`explain --json` follows its schema and answers names, ids, interfaces, addresses and ``internet``."""
    ran = vpcemu("explain", web, *words, "--json")
    assert ran.code == (0 if reachable else 1)
    jsonschema.validate(ran.json, json.loads((SCHEMAS / "explain.json").read_text()))
    found = ran.json
    assert (found["verdict"], found["reachable"], found["answer"]) == (verdict, reachable, answer)
    assert (found["reason"] or {}).get("code") == code


def test_a_closed_port_refuses(vpcemu, topologies):
    """An instance with a list of services refuses on other ports: reachable, and the answer says so."""
    ran = vpcemu("explain", topologies / "default-security-group.yaml", "alice", "bob", "HTTP", "--json")
    assert (ran.code, ran.json["reachable"], ran.json["answer"]) == (0, True, "refused")


def test_replay_json_and_packets(vpcemu, web, traffic, tmp_path):
    """`replay --json` and `--packets` follow their schemas, and count the same."""
    packets = tmp_path / "packets.jsonl"
    ran = vpcemu("replay", web, traffic, "--json", "--packets", packets)
    assert ran.code == 0
    jsonschema.validate(ran.json, json.loads((SCHEMAS / "replay.json").read_text()))
    rows = [json.loads(line) for line in packets.read_text().splitlines()]
    checker = jsonschema.Draft202012Validator(json.loads((SCHEMAS / "packet.json").read_text()))
    for row in rows:
        checker.validate(row)
    assert [row["index"] for row in rows] == list(range(157))
    for verdict in ("accept", "drop", "unsent", "skipped"):
        assert ran.json["packets"][verdict] == sum(row["verdict"] == verdict for row in rows)
    assert sum(flow["packets"] for flow in ran.json["flows"]) == 157 - ran.json["packets"]["skipped"]
    assert all(rows[row["reason"]["packet"]]["verdict"] == "drop" for row in rows if row["verdict"] == "unsent")


def test_replay_prints_the_blocked_flows_with_reasons(vpcemu, topologies, captures):
    """The summary names each blocked flow, where it died, and why the nearest rule failed."""
    ran = vpcemu("replay", topologies / "app-and-sql-server.yaml", captures / "app-and-sql-server.pcap")
    assert ran.code == 0
    told = " ".join(ran.out.split())
    assert "batch 10.0.1.50 db 10.0.9.10 tcp/1433" in told
    assert "db:eth0 ENI_SG_RULES_MISMATCH" in told
    assert "sql ingress 1 fails only on source: 10.0.1.50 is no member of app" in told
    assert "sql has no egress rule at all" in told


def test_replay_names_its_captures_without_their_folders(vpcemu, web, traffic, captures):
    """The summary of several captures names each file, not where it lies."""
    ran = vpcemu("replay", web, traffic, captures / "ipv6.pcap")
    assert ran.out.startswith("web-server.pcap, ipv6.pcap through web-server")


def test_replay_explains_a_packet(vpcemu, topologies, captures):
    """`--explain INDEX` tells every step of one packet."""
    network, capture = topologies / "app-and-sql-server.yaml", captures / "app-and-sql-server.pcap"
    dropped = next(flow for flow in vpcemu("replay", network, capture, "--json").json["flows"] if flow["verdict"] == "drop")
    ran = vpcemu("replay", network, capture, "--explain", 2)
    assert dropped["reason"]["code"] in ran.out
    assert "security groups, ingress" in ran.out


def test_check_reports_each_expectation(vpcemu, web, tmp_path):
    """A met expectation is exit code 0; one that is not is exit code 1, with what was found."""
    assert vpcemu("check", web).code == 0
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(web.read_text().replace("type: SSH,   reachable: true", "type: SSH,   reachable: false"))
    ran = vpcemu("check", wrong)
    assert ran.code == 1
    assert "expected otherwise" in ran.out
    rows = [json.loads(line) for line in vpcemu("check", wrong, "--json").out.splitlines()]
    assert [row["met"] for row in rows].count(False) == 1


def test_check_writes_a_junit_report(vpcemu, web, tmp_path):
    """`--junit` has a suite a file and a case an expectation, with what was found where it is not met; names are text."""
    wrong, report = tmp_path / "wrong & <odd>.yaml", tmp_path / "report.xml"
    wrong.write_text(web.read_text().replace("type: SSH,   reachable: true", "type: SSH,   reachable: false"))
    assert vpcemu("check", web, wrong, "--junit", report).code == 1
    good, bad = ET.parse(report).getroot()
    assert (good.get("failures"), bad.get("failures"), bad.get("name")) == ("0", "1", str(wrong))
    assert len(good) == len(bad) == int(good.get("tests"))
    (failure,) = bad.iter("failure")
    assert "reaches" in failure.get("message")
    assert failure.text.startswith(f"{wrong}:")
    assert vpcemu("check", web, "--junit", tmp_path / "no" / "report.xml").code == 2


def test_every_topology_of_the_project_holds(vpcemu, topologies):
    """The shipped topologies load, and what they expect is so."""
    files = sorted(topologies.glob("*.yaml"))
    assert len(files) >= 4
    assert vpcemu("check", *files).code == 0


def test_init_then_replay(vpcemu, tmp_path, captures):
    """A capture becomes a topology through which it replays at once."""
    network = tmp_path / "first.yaml"
    ran = vpcemu("init", captures / "app-and-sql-server.pcap", "-o", network)
    assert (ran.code, ran.out) == (0, "")
    ran = vpcemu("replay", network, captures / "app-and-sql-server.pcap", "--json")
    assert ran.json["packets"] == {"total": 102, "accept": 100, "drop": 0, "unsent": 0, "skipped": 2}


def test_draw_writes_each_kind_of_picture(vpcemu, web, tmp_path):
    """`draw` writes PNG, SVG and PDF."""
    for suffix, magic in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        path = tmp_path / f"map{suffix}"
        assert vpcemu("draw", web, "-o", path).code == 0
        assert path.read_bytes().startswith(magic)


@pytest.mark.parametrize("what", ["topology", *sorted(path.stem for path in SCHEMAS.glob("*.json"))])
def test_schemas_are_printed(vpcemu, what):
    """`schema` prints valid JSON Schemas, of every kind that there is; of topology files if nothing is named."""
    printed = vpcemu("schema", what).json
    jsonschema.Draft202012Validator.check_schema(printed)
    assert what != "topology" or printed == vpcemu("schema").json


def test_control_characters_never_reach_the_terminal(vpcemu, tmp_path, captures):
    """A name or a file name with terminal commands in it is shown without them."""
    path = tmp_path / "\x1b[31mred.yaml"
    path.write_text("topology: x\nvpcs: 1\n")
    ran = vpcemu("check", path)
    assert ran.code == 2
    assert "\x1b" not in ran.err
