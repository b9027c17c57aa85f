"""Loss on a link: as often as declared, and by nothing but seed, packet and lane."""

import pytest

from emulator.datapath.links import _chance


@pytest.mark.parametrize("share", [1, 10, 40, 90])
@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_loss_is_as_often_as_declared(share, seed):
    """Of twenty thousand packets as many are lost as the percentage says, within four standard deviations."""
    packets = 20_000
    lost = sum(_chance(seed, packet, 3) < share * 10**7 for packet in range(packets))
    spread = (packets * share * (100 - share)) ** 0.5 / 100
    assert abs(lost - packets * share / 100) < 4 * spread


def test_lanes_and_seeds_lose_different_packets():
    """Which packets are lost in one direction says nothing about the other, nor about another seed."""
    draws = [[_chance(seed, packet, lane) < 5 * 10**8 for packet in range(4000)] for seed, lane in ((0, 0), (0, 1), (1, 0))]
    for other in draws[1:]:
        same = sum(a == b for a, b in zip(draws[0], other, strict=True))
        assert 1800 < same < 2200
