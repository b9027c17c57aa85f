"""When a TCP connection is over (CT-26): both sides have closed, and each has acknowledged the other's FIN."""

import pytest
from scapy.layers.inet import TCP

from tests.base import EXT, WEB, WEB_PUBLIC, base, group
from tests.dialogue import NO_RULES, Dialogue, ip

OUT, BACK = "out", "back"


def segment(way, flags, seq, ack, data=b""):
    """A segment of a conversation that web began with ext."""
    source, destination, ports = (WEB, EXT, (40000, 443)) if way == OUT else (EXT, WEB_PUBLIC, (443, 40000))
    return ip(source, destination) / TCP(sport=ports[0], dport=ports[1], flags=flags, seq=seq, ack=ack) / data


def talk(*segments):
    """The handshake and some segments, all accepted; then one more acknowledgement of ext."""
    going = Dialogue(base(group("new"), web="new")).at(0)
    for each in (segment(OUT, "S", 99, 0), segment(BACK, "SA", 499, 100), segment(OUT, "A", 100, 500), *segments):
        going.send(each).accepted()
    return going.at(1).send(segment(BACK, "A", 501, 101))


@pytest.mark.parametrize(
    "segments",
    [
        pytest.param(
            [(OUT, "FA", 100, 500), (BACK, "A", 500, 101), (BACK, "FA", 500, 101), (OUT, "A", 101, 501)], id="one after the other"
        ),
        pytest.param([(OUT, "FA", 100, 500), (BACK, "FA", 500, 101), (OUT, "A", 101, 501)], id="a FIN that answers a FIN"),
        pytest.param([(BACK, "FA", 500, 100), (OUT, "FA", 100, 501), (BACK, "A", 501, 101)], id="the other side first"),
        pytest.param([(OUT, "FA", 100, 500), (BACK, "FA", 500, 100), (OUT, "A", 101, 501), (BACK, "A", 501, 101)], id="FINs that cross"),
        pytest.param([(OUT, "FA", 0, 0), (BACK, "FA", 0, 0), (OUT, "A", 0, 0)], id="segments without numbers"),
        pytest.param([(BACK, "RA", 500, 100)], id="a reset"),
    ],
)
def test_what_comes_after_the_close_is_dropped(segments):
    """The last acknowledgement is still let in; after it the connection is forgotten, and ext gets nothing in."""
    talk(*(segment(*each) for each in segments)).dropped("I2(web)", NO_RULES)


@pytest.mark.parametrize(
    "segments",
    [
        pytest.param([(OUT, "FA", 100, 500), (BACK, "FA", 500, 100), (OUT, "A", 101, 501)], id="FINs that cross, one not yet acknowledged"),
        pytest.param([(OUT, "FA", 100, 500), (BACK, "A", 500, 101), (BACK, "PA", 500, 101, b"more")], id="half closed"),
        pytest.param([(BACK, "FA", 500, 100), (BACK, "FA", 500, 100)], id="a FIN sent again"),
    ],
)
def test_until_both_are_acknowledged_it_lives(segments):
    """As long as one FIN is missing, or unacknowledged, packets of the connection pass."""
    talk(*(segment(*each) for each in segments)).accepted()
