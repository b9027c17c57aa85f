"""What addresses as integers promise: the address they came from, and blocks that hold what `ipaddress` says they hold."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulator.wire.addresses import Halves, address, halves, net_and_mask

addresses = st.ip_addresses()
MAPPED = 0xFFFF << 32


@st.composite
def blocks(draw):
    """A block of either family and of any length."""
    base = draw(addresses)
    return ip_network((base, draw(st.integers(0, base.max_prefixlen))), strict=False)


def holds(block, candidate):
    """Membership as rules and routes have it: family, and the masked halves."""
    net_hi, net_lo, mask_hi, mask_lo = net_and_mask(block)
    hi, lo = halves(candidate)
    return candidate.version == block.version and hi & mask_hi == net_hi and lo & mask_lo == net_lo


@given(addresses)
@example(IPv6Address("::ffff:10.0.0.1"))
@example(IPv6Address((1 << 128) - 1))
@example(IPv4Address("255.255.255.255"))
def test_halves_give_their_address_back(known):
    """An address goes to halves and back; spelt or as an object is the same."""
    hi, lo = halves(known)
    assert address(known.version, hi, lo) == known
    assert halves(str(known)) == (hi, lo)


@given(addresses)
def test_halves_are_the_128_bits_signed(known):
    """High and low together are the address as `ipaddress` counts it, IPv4 mapped; each fits a signed 64-bit integer."""
    hi, lo = halves(known)
    number = int(known) if known.version == 6 else int(IPv6Address(f"::ffff:{known}"))
    assert (hi % 2**64) << 64 | lo % 2**64 == number
    assert all(-(2**63) <= half < 2**63 for half in (hi, lo))


@given(blocks(), addresses, st.data())
def test_a_block_holds_what_ipaddress_says(block, anywhere, data):
    """Masking the halves finds the addresses in a block, at its edges and beside them."""
    first, last = int(block.network_address), int(block.broadcast_address)
    top = 2**block.max_prefixlen - 1
    number = data.draw(st.sampled_from([first, last, max(first - 1, 0), min(last + 1, top)]) | st.integers(first, last))
    near = type(block.network_address)(number)
    assert holds(block, near) == (near in block)
    assert holds(block, anywhere) == (anywhere in block)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("0.0.0.0", Halves(0, MAPPED), id="the first IPv4 address is mapped"),
        pytest.param("255.255.255.255", Halves(0, MAPPED | 0xFFFFFFFF), id="the last IPv4 address stays positive"),
        pytest.param("::", Halves(0, 0), id="the first IPv6 address is all zero"),
        pytest.param("8000::", Halves(-(2**63), 0), id="the topmost bit of the high half is its sign"),
        pytest.param("::8000:0:0:0", Halves(0, -(2**63)), id="the topmost bit of the low half is its sign"),
        pytest.param("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Halves(-1, -1), id="the last IPv6 address is minus one twice"),
    ],
)
def test_halves_at_the_edges(text, expected):
    """Halves are signed where the wire has 64 bits."""
    assert halves(text) == halves(ip_address(text)) == expected


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        pytest.param("0.0.0.0/0", (0, MAPPED, -1, -(2**32)), id="all of IPv4 still masks the mapping"),
        pytest.param("10.0.0.0/8", (0, MAPPED | 10 << 24, -1, -(2**24)), id="an IPv4 block"),
        pytest.param("10.0.0.1/32", (0, MAPPED | 10 << 24 | 1, -1, -1), id="a single IPv4 address masks every bit"),
        pytest.param("::/0", (0, 0, 0, 0), id="all of IPv6 masks nothing"),
        pytest.param("2001:db8::/64", (0x20010DB800000000, 0, -1, 0), id="a subnet masks the high half"),
        pytest.param("2001:db8::/65", (0x20010DB800000000, 0, -1, -(2**63)), id="one bit more is the sign of the low half"),
    ],
)
def test_net_and_mask_of_a_block(block, expected):
    """A block's halves are those of its first address and of its mask over 128 bits."""
    assert net_and_mask(ip_network(block)) == expected


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.256", "10.0.0.0/8", "web-1"])
def test_what_is_no_address_is_refused(text):
    """Text that is not an address raises `ValueError`."""
    with pytest.raises(ValueError, match="does not appear to be"):
        halves(text)
