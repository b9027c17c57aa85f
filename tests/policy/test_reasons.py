"""Reasons: each has its words, and what became of a frame leads to its own."""

import pytest

from emulator.policy.reasons import FIRST_PARSE_REASON, TEXT, Reason
from emulator.wire.status import Status


@pytest.mark.parametrize("status", [status for status in Status if status != Status.PARSED])
def test_the_reason_of_a_frame_that_is_no_packet(status):
    """It is called as its status is."""
    assert Reason(FIRST_PARSE_REASON + status).name == f"EMU_{status.name}"


def test_every_reason_has_its_words():
    """All but none."""
    assert set(TEXT) == set(Reason) - {Reason.NONE}
