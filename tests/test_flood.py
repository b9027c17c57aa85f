"""A capture of a SYN flood, replayed: the table takes what it may, the rest is counted, and who was connected stays so (CT-40, CT-41)."""

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapReader

from emulator.datapath.state import Outcome
from emulator.policy.reasons import Reason, Verdict
from emulator.replay import replay
from tests.benchmarks.flood import AFTER, BEFORE, network, refused, write

SOURCES, LIMIT = 4_000, 1_000


@pytest.mark.parametrize("open_loop", [pytest.param(True, id="as captured"), pytest.param(False, id="causes before effects")])
def test_a_flood_of_thousands_of_sources(tmp_path, open_loop):
    """Each source has one packet; the friend talks before, and after as if nothing had been."""
    path = tmp_path / "flood.pcap"
    write(path, SOURCES)
    ran = replay(network(LIMIT), path, open_loop=open_loop)
    verdicts = ran.outcomes[:, Outcome.VERDICT]
    friend = [*range(len(BEFORE)), *range(len(BEFORE) + SOURCES, len(BEFORE) + SOURCES + len(AFTER))]
    strangers = ran.outcomes[len(BEFORE) : len(BEFORE) + SOURCES]
    assert (verdicts[friend] == Verdict.ACCEPT).all()
    assert (strangers[: LIMIT - 1, Outcome.VERDICT] == Verdict.ACCEPT).all()
    assert set(strangers[LIMIT - 1 :, Outcome.REASON].tolist()) == {int(Reason.EMU_CT_EXHAUSTED)}
    assert refused(ran) == SOURCES - (LIMIT - 1)
    assert len(ran.flows) == SOURCES + 1


def test_the_capture_is_sound(tmp_path):
    """Scapy builds the same bytes, checksums included, from what it reads; every stranger is another one."""
    path = tmp_path / "flood.pcap"
    write(path, 50)
    with RawPcapReader(str(path)) as reader:
        frames = [Ether(frame) for frame, _ in reader]
    assert [str(frame[TCP].flags) for frame in frames] == ["S", "SA", "A", *["S"] * 50, "PA", "PA", "FA", "FA", "A"]
    assert len({frame[IP].src for frame in frames}) == 52
    for frame in frames:
        again = frame.copy()
        del again[IP].chksum, again[TCP].chksum
        assert bytes(again) == bytes(frame)
