"""Labs grade packets, and say what they saw."""

import csv

import pytest

from emulator import Lab, Network, loads
from emulator.errors import UsageError
from emulator.labs import stripped

SHOP = """
topology: shop
vpcs:
  shop:
    cidr_block: 10.0.0.0/16
    internet_gateway: igw
    subnets: {public-a: {cidr_block: 10.0.1.0/24, availability_zone: a, route_table: public}}
    route_tables: {public: [{destination: 0.0.0.0/0, target: igw}]}
    security_groups: {web: {ingress: [{type: HTTP, source: 0.0.0.0/0}]}}
    instances:
      web-1: {subnet: public-a, private_ip: 10.0.1.10, elastic_ip: 198.51.100.10, security_groups: [web], listen: [HTTP, SSH]}
internet: {office: {ip: 203.0.113.25}, customer: {ip: 192.0.2.77}}
"""


def office_lab() -> Lab:
    """As a teacher writes it, in ten lines."""
    lab = Lab("The office gets in")
    lab.allow("office", "web-1", "SSH", points=2, hint="a rule of web")
    lab.deny("customer", "web-1", "SSH", points=2, hint="0.0.0.0/0 is everybody")
    http = [(source, "web-1", "http") for source in ("office", "customer", "internet")]
    return lab.only([("office", "web-1", "ssh"), *http], points=2)


@pytest.mark.parametrize(
    ("service", "peer", "points", "told"),
    [
        ("SSH", "203.0.113.25/32", 6, ""),
        ("HTTPS", "203.0.113.25/32", 2, "no ingress rule of web allows tcp/22 from 203.0.113.25"),
        ("SSH", "0.0.0.0/0", 2, "web ingress 2 (tcp/22) let it in"),
        ("tcp/0-65535", "203.0.113.25/32", 4, "office → web-1 tcp/443"),
        ("SSH", "203.0.113.0/24", 6, ""),
    ],
    ids=["right", "the wrong port", "everybody", "every port", "the whole network"],
)
def test_what_was_built_decides(service, peer, points, told):
    """Points are for packets; a wrong solution is answered by the packet and the rule that show it."""
    network = Network(loads(SHOP))
    network.authorize("web", service, peer)
    grade = office_lab().check(network)
    assert (grade.points, grade.most) == (points, 6)
    assert told in str(grade)
    assert bool(grade) is (points == 6)


def test_an_untouched_exercise_fails_with_a_hint():
    """`require` raises what nbgrader counts, with the hint in it."""
    with pytest.raises(AssertionError, match=r"4 of 6 points(?s:.)*Hint: a rule of web"):
        office_lab().check(Network(loads(SHOP))).require()


def test_a_network_as_text_or_path(tmp_path):
    """A topology file's text and its path are checked like a network."""
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    assert office_lab().check(SHOP).points == office_lab().check(path).points == 4


def test_a_broken_topology_earns_nothing_and_is_told_why():
    """What does not load fails every probe with the file's own message, instead of raising."""
    grade = office_lab().check(SHOP.replace("web-1:", "web-1: &x"))
    assert grade.points == 0
    assert "your topology:" in grade.findings[0].message


def test_a_missing_machine_is_a_finding():
    """A probe that names what the student took away fails, and says so."""
    grade = office_lab().check(SHOP.replace("web-1:", "web-2:"))
    assert "nothing is called web-1" in grade.findings[0].message


def test_the_students_network_is_not_touched():
    """A check sends its packets elsewhere: time and memory of the student's network stay."""
    network = Network(loads(SHOP))
    network["customer"].curl("http://web-1/")
    before = (network.now_ns, len(network.tcpdump()), str(network.conntrack()))
    office_lab().check(network)
    assert (network.now_ns, len(network.tcpdump()), str(network.conntrack())) == before


def test_reasons_can_be_asked_for():
    """A lab may insist on why something does not pass."""
    lab = Lab("why").deny("customer", "web-1", "SSH", because="NO_ROUTE_TO_DESTINATION")
    assert "for another reason: ENI_SG_RULES_MISMATCH" in str(lab.check(SHOP))


def test_csv(tmp_path):
    """Marks are a row a probe; a second student is added below."""
    path = tmp_path / "marks.csv"
    for student in ("alice", "bob"):
        office_lab().check(SHOP).to_csv(path, student)
    rows = path.read_text(encoding="utf-8").splitlines()
    assert rows[0] == "student,lab,probe,points,of,message"
    assert len(rows) == 7
    assert rows[2] == "alice,The office gets in,customer does not reach web-1 SSH,2,2,"
    with pytest.raises(UsageError, match="name a file that can be written"):
        office_lab().check(SHOP).to_csv(tmp_path, "alice")


def test_no_cell_of_the_marks_is_a_formula(tmp_path):
    """Whoever a student claims to be, whatever a lab, a probe or a hint is called: a spreadsheet shows it and runs nothing."""
    lab = Lab("@SUM(A1)").allow("customer", "web-1", "SSH", hint="a\n=b").answer("-1+1", "x", "y").answer("\t=2", "x", "y")
    lab.check(SHOP).to_csv(tmp_path / "marks.csv", "=HYPERLINK(0)")
    with (tmp_path / "marks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    cells = [cell for row in rows for cell in row]
    assert {"'=HYPERLINK(0)", "'@SUM(A1)", "'-1+1"} <= set(cells)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert all(cell.isprintable() for cell in cells)
    assert [len(row) for row in rows] == [6] * 4


def test_answers_and_predictions():
    """Answers are compared without regard to capitals; predictions are shown and not graded."""
    assert Lab("q").answer("what", " Program ", "program").check(SHOP).passed
    assert not Lab("q").answer("what", "", "program").check(SHOP).passed
    assert str(Lab.compare({"a": "open"}, {"a": "open", "b": "closed"})).splitlines() == [
        "right  a  you said open, it was open",
        "wrong  b  you said nothing, it was closed",
        "1 of 2 right",
    ]


def test_marks_without_a_partner_are_named():
    """A mark that opens or closes nothing is an error with its line."""
    for text in ("### BEGIN SOLUTION", "x\n### END SOLUTION", "### BEGIN SOLUTION\n### BEGIN SOLUTION"):
        with pytest.raises(UsageError, match="without its partner"):
            stripped(text)
