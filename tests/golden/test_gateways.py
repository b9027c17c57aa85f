"""The captures of the golden cases with gateways."""

import pytest

from tests.golden import gateways
from tests.golden.test_golden import HERE


@pytest.mark.parametrize("case", gateways.CASES, ids=gateways.folder)
def test_captures_are_those_that_are_written(case, tmp_path):
    """They are, byte for byte, what their script writes."""
    gateways.write_case(case, tmp_path / "capture.pcap")
    assert (tmp_path / "capture.pcap").read_bytes() == (HERE / gateways.folder(case) / "capture.pcap").read_bytes()
