"""The hash table of addresses: every address is found, wherever it stands."""

from ipaddress import ip_address, ip_network

import numpy as np

from emulator.model.entities import Instance, NetworkInterface, Subnet
from emulator.policy.compile import Ids, compile_tables
from emulator.policy.tables import Cell, owner
from emulator.wire.addresses import halves
from tests.base import base


def test_the_index_is_never_more_than_half_full():
    """With 360 addresses that collide each is found, nobody else is, and a walk along the table stays short."""
    addresses = [ip_address("10.0.4.10") + number for number in range(360)]
    crowd = [Instance("crowd", "vpc-a"), Subnet("hall", "vpc-a", (ip_network("10.0.4.0/22"),))]
    cards = [NetworkInterface(f"eth{number}", "crowd", "hall", (address,), (), ("lab",)) for number, address in enumerate(addresses)]
    ids = Ids()
    tables = compile_tables(base(*crowd, *cards), ids)
    vpc, capacity = ids.of("vpc-a"), len(tables.index)
    assert len({owner(tables, vpc, *halves(address)) for address in addresses}) == 360
    assert not any(owner(tables, vpc, *halves(address + 360)) for address in addresses)
    used = int((tables.index[:, Cell.OWNER] != 0).sum())
    assert 2 * used <= capacity < 4 * used
    assert capacity & (capacity - 1) == 0


def test_an_address_is_found_in_the_first_row_as_in_the_last():
    """Eight addresses, some of which belong in one row of two and some in the other."""
    tables = compile_tables(base(), Ids())
    for number in range(8):
        ends = halves(ip_address("10.0.4.0") + number)
        index = np.array([[1, *ends, 7, 0, 0]] * 2)
        assert owner(tables._replace(index=index), 1, *ends) == 7
