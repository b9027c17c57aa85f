"""Windows: the packets of one or more captures as header rows, each window in the order of time.

Packets are put in order within windows of `WINDOW` packets; across windows the clock never runs backwards, see `loop`.
Of one capture a packet's index is its place in the file; several captures are merged by time, and the indexes count
the packets of the merged sequence.  The memory of a window is used again when it is given back.
"""

import os
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

import numpy as np

from emulator.errors import UsageError
from emulator.kernels import compiled, pays
from emulator.model.entities import ExternalHost, Instance, NetworkInterface
from emulator.model.topology import INTERNET, Topology
from emulator.wire.addresses import halves
from emulator.wire.capture import Capture
from emulator.wire.headers import FIELDS, Field, Matrix, parse_many

WINDOW = 1 << 16

AddressMap = dict[tuple[int, int, int], tuple[int, int]]


class Window(NamedTuple):
    """Some packets that follow each other.

    Attributes
    ----------
    headers : (n, FIELDS) int64, in the order of time, addresses mapped to the topology's
    seen : the same with the capture's own addresses
    first : the lowest packet index; the others follow it without a gap
    """

    headers: Matrix
    seen: Matrix
    first: int


class Reader:
    """Reads captures window by window.

    Parameters
    ----------
    paths : captures; ``-`` is standard input
    table : see `address_map`
    machine : whether to compile; None when the captures are large
    live : hand packets out as they come, without waiting for a whole window

    Raises
    ------
    CaptureError : one of them is no capture.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]], table: AddressMap, machine: bool | None = None, live: bool = False) -> None:
        self.captures: list[Capture] = []
        self._table, self._machine, self._live = table, machine, live
        self._free: list[Matrix] = []
        try:
            for path in paths:
                self.captures.append(Capture(path, live))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the files."""
        for capture in self.captures:
            capture.close()

    @property
    def size(self) -> int:
        """Bytes of all files; 0 if one is a pipe, whose size nobody knows."""
        sizes = [capture.size for capture in self.captures]
        return sum(sizes) if all(sizes) else 0

    @property
    def position(self) -> int:
        """Bytes used so far."""
        return sum(capture.position for capture in self.captures)

    @property
    def troubles(self) -> list[str]:
        """A line for each trouble with the files."""
        return [trouble for capture in self.captures for trouble in capture.troubles]

    def give_back(self, window: Window) -> None:
        """Say that nobody looks at a window any more."""
        base = window.seen.base
        if base is not None and len(self._free) < 2:
            self._free.append(base)

    def windows(self) -> Iterator[Window]:
        """The windows, up to the end of all captures."""
        parts = [self._parsed(capture) for capture in self.captures]
        first = 0
        for seen in parts[0] if len(parts) == 1 else _merged(parts):
            headers = apply_map(seen, self._table) if self._table else seen
            yield Window(headers, seen, first)
            first += len(seen)

    def _parsed(self, capture: Capture) -> Iterator[Matrix]:
        store, held, index = self._store(), 0, 0
        parse: Any = None
        chunks = capture.chunks(WINDOW // 2)
        while True:
            chunk = next(chunks, None)
            if chunk is None or held + len(chunk.records) > WINDOW:
                if held:
                    yield _in_time_order(store[:held])
                if chunk is None:
                    return
                store, held = self._store(), 0
            count = len(chunk.records)
            if parse is None or parse is parse_many:
                large = pays(parse_many, max(capture.size // 500, capture.packets)) if self._machine is None else self._machine
                parse = compiled(parse_many) if large else parse_many
            parse(chunk.buffer, chunk.records, store[held : held + count], index)
            held, index = held + count, index + count
            del chunk
            if self._live:
                yield _in_time_order(store[:held])
                store, held = self._store(), 0

    def _store(self) -> Matrix:
        return self._free.pop() if self._free else np.empty((WINDOW, FIELDS), dtype=np.int64)


def _merged(parts: list[Iterator[Matrix]]) -> Iterator[Matrix]:
    """Several sequences of windows as one, by time and then by the order of the captures; indexes count anew."""
    waiting: list[Matrix | None] = [next(part, None) for part in parts]
    index = 0
    while any(rows is not None for rows in waiting):
        until = min(int(rows[-1, Field.TIME_NS]) for rows in waiting if rows is not None)
        taken = []
        for number, rows in enumerate(waiting):
            if rows is None:
                continue
            count = int(np.searchsorted(rows[:, Field.TIME_NS], until, side="right"))
            taken.append(rows[:count].copy())
            waiting[number] = rows[count:] if count < len(rows) else next(parts[number], None)
        window = _in_time_order(np.concatenate(taken))
        window[:, Field.INDEX] = np.arange(index, index + len(window))
        index += len(window)
        yield window


def _in_time_order(rows: Matrix) -> Matrix:
    times = rows[:, Field.TIME_NS]
    if (times[1:] >= times[:-1]).all():
        return rows
    rows[:] = rows[np.argsort(times, kind="stable")]
    return rows


def address_map(topology: Topology, given: dict[str, str]) -> AddressMap:
    """Capture addresses → topology addresses, as (family, hi, lo) → (hi, lo).

    A name stands for its first address of the same family; ``web-1:eth0`` and ids work as well; ``internet`` leaves
    the address as it is.

    Raises
    ------
    UsageError : not an address, an unknown name, or a name without an address of that family.
    """
    table: AddressMap = {}
    for text, name in {**{str(ip): key for ip, key in topology.map}, **given}.items():
        try:
            seen = ip_address(text)
        except ValueError:
            raise UsageError(f"--map {text}={name}: {text} is not an address; write --map 192.168.1.6=web-1") from None
        if name == INTERNET:
            continue
        entity = topology.find(name)
        if isinstance(entity, Instance):
            entity = topology.interfaces_of(entity.id)[0]
        ips = entity.private_ips if isinstance(entity, NetworkInterface) else entity.ips if isinstance(entity, ExternalHost) else ()
        own = next((ip for ip in ips if ip.version == seen.version), None)
        if own is None:
            raise UsageError(f"--map {text}={name}: {name} has no IPv{seen.version} address; give it one in the topology")
        table[(seen.version, *halves(seen))] = (halves(own).hi, halves(own).lo)
    return table


def apply_map(headers: Matrix, table: AddressMap) -> Matrix:
    """Header rows with mapped addresses, those quoted by ICMP errors included."""
    mapped = headers.copy()
    for (family, hi, lo), new in table.items():
        for column in (Field.SOURCE_HI, Field.DESTINATION_HI, Field.QUOTED_SOURCE_HI, Field.QUOTED_DESTINATION_HI):
            rows = (headers[:, Field.FAMILY] == family) & (headers[:, column] == hi) & (headers[:, column + 1] == lo)
            mapped[rows, column : column + 2] = new
    return mapped
