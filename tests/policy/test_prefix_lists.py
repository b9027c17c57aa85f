"""An address is looked up in a prefix list as if it were held against each of its blocks."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model.groups import PrefixList
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.compile_rules import compile_list
from emulator.policy.tables import in_list
from emulator.wire.addresses import halves
from tests.base import base

TABLES = compile_tables(base(), Ids())
KINDS = {4: (IPv4Address, 32), 6: (IPv6Address, 128)}
NEAR = {4: [0, 10 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1], 6: [0, 1 << 63, 1 << 64, (1 << 127) - 1, 1 << 127, (1 << 128) - 1]}


def an_address(version):
    """Any address, and often one near where the signs of its halves turn."""
    kind, bits = KINDS[version]
    top = (1 << bits) - 1
    near = st.tuples(st.sampled_from(NEAR[version]), st.integers(-5, 5)).map(lambda pair: min(max(sum(pair), 0), top))
    return st.one_of(near, st.integers(0, top)).map(kind)


def a_block(version):
    lengths = st.integers(0, KINDS[version][1])
    return st.tuples(an_address(version), lengths).map(lambda pair: ip_network(pair, strict=False))


def listed(blocks, address):
    """What the kernel says of an address and a list that stands behind and before other blocks."""
    other = compile_list(PrefixList("other", "lab", (ip_network("0.0.0.0/0"),))).blocks
    piece = compile_list(PrefixList("list", "lab", tuple(blocks))).blocks
    pool = [*other.tolist(), *piece.tolist(), *other.tolist()]
    tables = TABLES._replace(blocks=np.array(pool))
    return in_list(tables, 1, 1 + len(piece), address.version, *halves(address))


@pytest.mark.parametrize("version", [4, 6])
def test_any_list_and_any_address(version):
    """Blocks that hold, touch or repeat each other, of any length, and an address of one of them, beside one, or anywhere."""

    @settings(deadline=None, max_examples=300)
    @given(st.lists(a_block(version), max_size=12), st.data())
    def holds(blocks, data):
        edges = [edge for block in blocks for edge in (block[0], block[-1])]
        address = data.draw(st.one_of(an_address(version), *([st.sampled_from(edges)] if edges else [])))
        assert listed(blocks, address) == any(address in block for block in blocks)

    holds()


@pytest.mark.parametrize("blocks", [["::/0"], ["::ffff:0:0/96"], ["::/1", "8000::/1"]], ids=str)
def test_an_ipv4_address_is_in_no_list_of_ipv6(blocks):
    """However wide the list: IPv4 addresses stand among the mapped ones, and are none of them."""
    assert not listed([ip_network(block) for block in blocks], IPv4Address("10.0.0.1"))
    assert listed([ip_network(block) for block in blocks], IPv6Address("::ffff:10.0.0.1"))


@pytest.mark.parametrize("entries", [1, 2, 999, 1000])
def test_each_entry_of_a_long_list(entries):
    """The first and the last address of each block are in it, their neighbours outside are not."""
    blocks = [ip_network((number << 10, 24)) for number in range(1, entries + 1)]
    for block in blocks[:3] + blocks[-3:]:
        assert listed(blocks, block[0])
        assert listed(blocks, block[-1])
        assert not listed(blocks, block[0] - 1)
        assert not listed(blocks, block[-1] + 1)
