"""A pandas DataFrame of a replay's packets, gathered stretch by stretch: its columns are kept, the packets are not."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator.bulk.results import Stretch
from emulator.model.services import protocol_name
from emulator.observe.dataframes import VERDICTS, pandas_module, times, words
from emulator.observe.words import Words
from emulator.wire.addresses import address
from emulator.wire.headers import Field
from emulator.wire.status import PARSED

if TYPE_CHECKING:
    import pandas as pd

_NUMBERS = [Field.TIME_NS, Field.SOURCE_PORT, Field.DESTINATION_PORT, Field.LENGTH]
_ENDS = [Field.FAMILY, Field.SOURCE_HI, Field.SOURCE_LO, Field.DESTINATION_HI, Field.DESTINATION_LO]
_WORDS = ("protocol", "source", "source_name", "destination", "destination_name", "verdict", "reason", "at", "text", "rule")
_ORDER = ("time", *_WORDS[:3], "source_port", *_WORDS[3:5], "destination_port", "length", *_WORDS[5:], "tracked", "hangs_on")
_Host = Callable[[int, int, int, int, int], tuple[str, str]]


def packets_dataframe(stretches: Iterable[Stretch], named: Words) -> "pd.DataFrame":
    """A row a packet, its index that of the capture.

    Raises
    ------
    UsageError : pandas is not installed.
    """
    pandas = pandas_module()

    @cache
    def host(family: int, hi: int, lo: int, own_hi: int, own_lo: int) -> tuple[str, str]:
        """An address as captured, and the name of who has it in the topology."""
        return str(address(family, hi, lo)), named.host(address(family, own_hi, own_lo))[0]

    parts, told = [np.zeros((0, len(_NUMBERS)), dtype=np.int64)], list[tuple[Any, ...]]()
    for stretch in stretches:
        parts.append(stretch.seen[stretch.by_index()][:, _NUMBERS])
        told += _told(stretch, named, host)
    numbers = dict(zip(_NUMBERS, np.concatenate(parts).T, strict=True))
    *texts, tracked, hangs_on = map(list, zip(*told, strict=True) if told else [()] * (len(_WORDS) + 2))
    by_name = {name: words(values, VERDICTS if name == "verdict" else None) for name, values in zip(_WORDS, texts, strict=True)}
    columns = {
        "time": times(numbers[Field.TIME_NS]),
        "source_port": numbers[Field.SOURCE_PORT].astype(np.int32),
        "destination_port": numbers[Field.DESTINATION_PORT].astype(np.int32),
        "length": numbers[Field.LENGTH],
        "tracked": np.array(tracked, dtype=bool),
        "hangs_on": pandas.array(hangs_on, dtype="Int64"),
        **by_name,
    }
    frame: pd.DataFrame = pandas.DataFrame({name: columns[name] for name in _ORDER}, index=pandas.RangeIndex(len(told), name="index"))
    return frame


def _told(stretch: Stretch, named: Words, host: _Host) -> Iterator[tuple[Any, ...]]:
    """For each packet by index its `_WORDS`, whether it was tracked, and the packet on which it hangs."""
    for row in stretch.by_index().tolist():
        seen, result = stretch.seen[row], stretch.result(named, row)
        who: tuple[str | None, ...] = (None,) * 5
        if seen[Field.STATUS] == PARSED:
            family, *captured = seen[_ENDS].tolist()
            own = stretch.headers[row, _ENDS].tolist()[1:]
            who = protocol_name(int(seen[Field.PROTOCOL])), *host(family, *captured[:2], *own[:2]), *host(family, *captured[2:], *own[2:])
        why = (result.why.code, result.why.at, result.why.text) if result.why else (None,) * 3
        yield *who, result.verdict, *why, result.rule, result.tracked, result.hangs_on
