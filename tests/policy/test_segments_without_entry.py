"""TCP segments that meet no open connection: from the middle of one (CT-30 to CT-32), or after its end (CT-26)."""

from ipaddress import ip_address

import numpy as np
import pytest

from emulator.engine import Engine
from emulator.model.entities import ExternalHost, Instance, InternetGateway, NetworkInterface, Policy, Route, RouteTable, Subnet, Vpc
from emulator.model.groups import Rule, SecurityGroup, block
from emulator.model.topology import Topology
from emulator.policy.reasons import Verdict
from emulator.wire.addresses import halves
from emulator.wire.headers import ACK, FIELDS, FIN, PSH, RST, SYN, TCP, URG, Field

HOST, PUBLIC, EXT = "10.0.1.10", "198.51.100.10", "203.0.113.12"
CLOSED_BY_HOST = [("out", SYN), ("in", SYN | ACK), ("out", ACK), ("out", FIN | ACK), ("in", FIN | ACK), ("out", ACK)]


def topology(group: SecurityGroup, **knobs: object) -> Topology:
    """One instance behind an internet gateway."""
    return Topology.of(
        Vpc("vpc", (block("10.0.0.0/16"),)),
        InternetGateway("igw", "vpc"),
        RouteTable("public", "vpc", (Route(block("0.0.0.0/0"), "igw"),)),
        Subnet("a", "vpc", (block("10.0.1.0/24"),), route_table="public"),
        group,
        Instance("host", "vpc"),
        NetworkInterface("eth0", "host", "a", (ip_address(HOST),), ((ip_address(HOST), ip_address(PUBLIC)),), (group.name,)),
        ExternalHost("ext", (ip_address(EXT),)),
        policy=Policy(**knobs),  # type: ignore[arg-type]
    )


def verdicts(lab: Topology, segments: list[tuple[str, int]]) -> str:
    """A letter a segment between host:40000 and ext:443, a millisecond apart."""
    rows = np.zeros((len(segments), FIELDS), dtype=np.int64)
    for number, (way, flags) in enumerate(segments):
        ends, ports = ((HOST, EXT), (40000, 443)) if way == "out" else ((EXT, PUBLIC), (443, 40000))
        row = rows[number]
        row[Field.FAMILY], row[Field.PROTOCOL], row[Field.FLAGS], row[Field.TTL], row[Field.LENGTH] = 4, TCP, flags, 64, 40
        row[Field.SOURCE_HI], row[Field.SOURCE_LO] = halves(ends[0])
        row[Field.DESTINATION_HI], row[Field.DESTINATION_LO] = halves(ends[1])
        row[Field.SOURCE_PORT], row[Field.DESTINATION_PORT] = ports
        row[Field.TIME_NS], row[Field.INDEX] = number * 10**6, number
    engine = Engine(lab, compiled=False)
    engine.feed(rows)
    engine.advance()
    return "".join("A" if verdict == Verdict.ACCEPT else "D" for verdict in engine.state.outcomes[: len(rows), 0])


@pytest.mark.parametrize(
    ("flags", "passes"),
    [
        pytest.param(ACK, True, id="ACK"),
        pytest.param(ACK | PSH, True, id="pushed data"),
        pytest.param(ACK | URG, True, id="urgent data"),
        pytest.param(FIN | ACK, False, id="FIN"),
        pytest.param(RST, False, id="RST"),
        pytest.param(RST | ACK, False, id="RST with ACK"),
        pytest.param(SYN | ACK, False, id="SYN-ACK"),
        pytest.param(0, False, id="no flags"),
        pytest.param(FIN | PSH | URG, False, id="christmas tree"),
        pytest.param(SYN | FIN, False, id="SYN with FIN"),
    ],
)
def test_what_is_picked_up(flags, passes):
    """With ``pickup`` an ACK alone opens an entry, so its answer passes; nothing else does (CT-32, LX-3, LX-4)."""
    lab = topology(SecurityGroup("out", "vpc", (), (Rule.of("tcp/443", f"{EXT}/32"),)), midstream_tcp="pickup")
    assert verdicts(lab, [("out", flags), ("in", ACK)]) == ("AA" if passes else "AD")


@pytest.mark.parametrize("linger", [0, 120])
def test_a_closed_connection_opens_nothing_for_the_other_side(linger):
    """The other side's SYN after the end is a new connection, which no inbound rule allows, also while the old one lingers (LX-2)."""
    lab = topology(SecurityGroup("out", "vpc", (), (Rule.of("tcp/443", f"{EXT}/32"),)), tcp_close_linger_s=linger)
    assert verdicts(lab, [*CLOSED_BY_HOST, ("in", SYN), ("in", ACK)]) == "AAAAAADD"


def test_a_lingering_connection_opens_again_from_its_own_side():
    """The same ports may be used again at once by who may open them (LX-2)."""
    lab = topology(SecurityGroup("out", "vpc", (), (Rule.of("tcp/443", f"{EXT}/32"),)), tcp_close_linger_s=120)
    assert verdicts(lab, [*CLOSED_BY_HOST, ("in", ACK), ("out", SYN), ("in", SYN | ACK), ("in", ACK)]) == "A" * 10


def test_a_lingering_connection_takes_what_comes_late():
    """While it lingers, late segments of both sides pass; after it, those of the side without a rule do not (CT-26)."""
    group = SecurityGroup("out", "vpc", (), (Rule.of("tcp/443", f"{EXT}/32"),))
    late = [*CLOSED_BY_HOST, ("in", FIN | ACK), ("out", ACK)]
    assert verdicts(topology(group, tcp_close_linger_s=120), late) == "A" * 8
    assert verdicts(topology(group), late) == "A" * 6 + "DA"


def test_a_connection_picked_up_in_the_middle_is_told_from_a_new_one():
    """An entry that a SYN opened is not half closed: the other side's FIN and its acknowledgement alone do not end it (CT-26)."""
    lab = topology(SecurityGroup("out", "vpc", (), (Rule.of("tcp/443", f"{EXT}/32"),)))
    opened = [("out", SYN), ("in", SYN | ACK), ("out", ACK)]
    assert verdicts(lab, [*opened, ("in", FIN | ACK), ("out", ACK), ("in", ACK)]) == "A" * 6


def test_an_open_connection_takes_a_second_syn():
    """A SYN within an open connection neither ends it nor opens another: the other side still passes (LX-2)."""
    lab = topology(SecurityGroup("out", "vpc", (), (Rule.of("tcp/443", f"{EXT}/32"),)), tcp_close_linger_s=120)
    opened = [("out", SYN), ("in", SYN | ACK), ("out", ACK)]
    assert verdicts(lab, [*opened, ("in", SYN), ("in", ACK), ("out", ACK)]) == "A" * 6
