"""The judge where flows are known: which entry a packet, a piece of one, or an error about one belongs to."""

import pytest

from emulator.policy import keys
from emulator.policy.conntrack import Entry
from emulator.policy.reasons import Reason, Verdict
from emulator.policy.tables import INGRESS
from emulator.wire.addresses import halves
from emulator.wire.headers import ACK, ICMP, ICMPV6, RST, SYN, TCP, UDP, Field
from tests.base import DB, EXT, EXT_V6
from tests.policy.tracking import S, Table

DB_V6 = "2001:db8:a:2::20"


def test_an_entry_in_the_first_row_lets_replies_in():
    """A reply belongs to its entry also where that stands in row 0; the decision names the entry and the rule that opened it."""
    table = Table()
    port = table.in_first_row()
    opened = table.judge(port)
    assert (opened.verdict, opened.entry, table.ids.name(opened.rule)[:4]) == (Verdict.ACCEPT, 1, "sgr-")
    reply = table.judge(port, flags=SYN | ACK, back=True, now=5 * S)
    assert reply == opened
    assert table.state.entries[0, Entry.EXPIRES_NS] == 5 * S + 432_000 * S
    assert table.judge(port + 1, flags=SYN | ACK, back=True).reason == Reason.SG_HAS_NO_RULES


@pytest.mark.parametrize("protocol", [TCP, UDP, ICMP])
def test_a_later_fragment_is_not_known_by_ports_that_it_does_not_show(protocol):
    """The table is not asked about a later fragment of a protocol with ports or identifiers."""
    table = Table()
    kind = {Field.TYPE: 8, Field.IDENTIFIER: 0} if protocol == ICMP else {}
    table.packet(0, protocol=protocol)
    for column, value in kind.items():
        table.state.flights[0, column] = value
    table.state.flights[0, [Field.SOURCE_PORT, Field.DESTINATION_PORT]] = 0
    assert table.judge_first_row(1).entry == 1
    table.packet(0, protocol=protocol, back=True)
    table.state.flights[0, [Field.SOURCE_PORT, Field.DESTINATION_PORT, Field.FRAGMENT_OFFSET]] = 0, 0, 185
    assert table.judge_first_row(INGRESS).reason == Reason.SG_HAS_NO_RULES


def test_a_later_fragment_of_another_protocol_is_known():
    """GRE has no ports, so that each fragment of its flow is known by its addresses."""
    table = Table()
    assert table.judge(0, protocol=47).entry == 1
    table.packet(0, protocol=47, back=True)
    table.state.flights[0, Field.FRAGMENT_OFFSET] = 185
    assert table.judge_first_row(INGRESS).entry == 1


@pytest.mark.parametrize("code", [3, 4])
def test_the_code_of_an_icmp_message_counts(code):
    """A rule for one type and code takes that code alone."""
    table = Table(ingress=["icmp/3/4"])
    table.packet(0, protocol=ICMP, back=True)
    table.state.flights[0, [Field.TYPE, Field.CODE]] = 3, code
    assert (table.judge_first_row(INGRESS).verdict == Verdict.ACCEPT) == (code == 4)


@pytest.mark.parametrize("later", [False, True])
def test_a_later_fragment_shows_no_code(later):
    """A later fragment of an ICMP message meets rules for all types alone (FB-32)."""
    table = Table(ingress=["icmp/0"])
    table.packet(0, protocol=ICMP, back=True)
    table.state.flights[0, Field.FRAGMENT_OFFSET] = 185 if later else 0
    assert (table.judge_first_row(INGRESS).verdict == Verdict.ACCEPT) == (not later)


def echo(table, family, answer, identifier):
    """Row 0 becomes an echo request of db to ext, or ext's answer; gives its ends."""
    ends = ((DB, EXT) if family == 4 else (DB_V6, EXT_V6))[:: -1 if answer else 1]
    table.packet(0, protocol=ICMP if family == 4 else ICMPV6)
    flights = table.state.flights
    flights[0, [Field.FAMILY, Field.IDENTIFIER]] = family, identifier
    flights[0, Field.TYPE] = (0 if answer else 8) if family == 4 else (129 if answer else 128)
    flights[0, [Field.SOURCE_HI, Field.SOURCE_LO, Field.DESTINATION_HI, Field.DESTINATION_LO]] = (*halves(ends[0]), *halves(ends[1]))
    return ends


def echo_key(table, family, identifier):
    """The key of an echo request of db."""
    echo(table, family, False, identifier)
    return keys.packet_key(table.state.flights, 0, table.eni)


def error_about(table, family, ends, protocol, ports):
    """Row 0 becomes a router's error about a datagram."""
    table.packet(0, protocol=ICMP if family == 4 else ICMPV6, back=True)
    flights = table.state.flights
    flights[0, [Field.FAMILY, Field.TYPE]] = family, 3 if family == 4 else 1
    quoted = [Field.QUOTED_SOURCE_HI, Field.QUOTED_SOURCE_LO, Field.QUOTED_DESTINATION_HI, Field.QUOTED_DESTINATION_LO]
    flights[0, quoted] = (*halves(ends[0]), *halves(ends[1]))
    flights[0, [Field.QUOTED_PROTOCOL, Field.QUOTED_SOURCE_PORT, Field.QUOTED_DESTINATION_PORT]] = protocol, *ports


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("answer", [False, True], ids=["the request", "the answer"])
def test_an_error_about_an_echo(family, answer):
    """An error that quotes either message of an echo that db sent, or answers, belongs to the flow, wherever its entry stands (CT-36)."""
    table = Table(icmp_error_related=True)
    first = next(number for number in range(1, 65_536) if keys.fold(echo_key(table, family, number)) & 63 == 0)
    echo(table, family, False, first)
    assert table.judge_first_row(1).entry == 1
    assert table.state.entries[0, Entry.KEY] != 0
    ends = echo(table, family, answer, first)
    error_about(table, family, ends, ICMP if family == 4 else ICMPV6, (first, 0))
    assert table.judge_first_row(INGRESS).entry == 1
    error_about(table, family, ends, ICMP if family == 4 else ICMPV6, (first + 1, 0))
    assert table.judge_first_row(INGRESS).reason == Reason.SG_HAS_NO_RULES


@pytest.mark.parametrize("related", [False, True])
def test_an_error_about_a_segment_whose_entry_is_the_first_row(related):
    """The quoted flow's entry is found in row 0 too; the decision names its rule; without the setting the rules decide."""
    table = Table(icmp_error_related=related)
    port = table.in_first_row()
    opened = table.judge(port)
    error_about(table, 4, (DB, EXT), TCP, (port, 80))
    found = table.judge_first_row(INGRESS)
    assert (found == opened) if related else (found.reason == Reason.SG_HAS_NO_RULES)


WHOLE = [  # what the table is, the packet, verdict, reason, whether a rule is named, the entry
    pytest.param({"ingress": ["tcp/1000"]}, {"back": True}, 1, 0, True, 1, id="opened"),
    pytest.param({}, {"back": True}, 2, Reason.SG_HAS_NO_RULES, False, 0, id="no rule in this direction"),
    pytest.param({"ingress": ["tcp/22"]}, {"back": True}, 2, Reason.ENI_SG_RULES_MISMATCH, False, 0, id="no rule that fits"),
    pytest.param({"ingress": ["tcp/1000"]}, {"back": True, "flags": ACK}, 1, 0, True, 0, id="from the middle, by the rules alone"),
    pytest.param({"ingress": ["tcp/1000"], "midstream_tcp": "pickup"}, {"back": True, "flags": ACK}, 1, 0, True, 1, id="picked up"),
    pytest.param({"ingress": ["tcp/1000"], "midstream_tcp": "pickup"}, {"back": True, "flags": RST}, 1, 0, True, 0, id="a reset is not"),
    pytest.param(
        {"ingress": ["tcp/1000"], "midstream_tcp": "strict"},
        {"back": True, "flags": ACK},
        2,
        Reason.EMU_TCP_MIDSTREAM,
        True,
        0,
        id="from the middle, strictly",
    ),
    pytest.param({"ingress": ["icmp"]}, {"back": True, "protocol": ICMP}, 1, 0, True, 0, id="an echo reply that nobody asked for"),
    pytest.param({"ingress": ["all"]}, {"back": True}, 1, 0, True, 0, id="untracked"),
    pytest.param({"ingress": ["tcp/1000"], "limit": 0}, {"back": True}, 2, Reason.EMU_CT_EXHAUSTED, True, 0, id="no room"),
]


@pytest.mark.parametrize(("network", "packet", "verdict", "reason", "named", "entry"), WHOLE)
def test_the_whole_of_a_decision(network, packet, verdict, reason, named, entry):
    """A decision has its verdict, its reason, the rule that decided and the entry, and nothing that it does not have."""
    table = Table(**network)
    found = table.judge(1000, **packet)
    assert (found.verdict, found.reason, found.entry) == (verdict, reason, entry)
    assert table.ids.name(found.rule)[:4] == ("sgr-" if named else "")


def test_a_later_fragment_opens_nothing():
    """A later fragment that rules for all ports let in is accepted by the rule, without an entry."""
    table = Table(ingress=["tcp/0-65535"])
    table.packet(1000, back=True)
    table.state.flights[0, Field.FRAGMENT_OFFSET] = 185
    found = table.judge_first_row(INGRESS)
    assert (found.verdict, found.reason, table.ids.name(found.rule)[:4], found.entry) == (Verdict.ACCEPT, 0, "sgr-", 0)
