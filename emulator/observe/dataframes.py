"""pandas DataFrames of flows and tracked connections, and what those of packets share with them.

Times are ``datetime64[ns, UTC]``, what is left of a time ``timedelta64[ns]``, words (verdict, reason, protocol, names, addresses)
categories, and what is not there is missing; kinds of columns do not depend on what is in them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator.errors import UsageError
from emulator.observe.entries import TrackingEntry
from emulator.observe.flows import Flow

if TYPE_CHECKING:
    import pandas as pd

VERDICTS = ["accept", "drop", "unsent", "skipped"]
FLOW_VERDICTS = ["accept", "partial", "drop"]
_COUNTS = ("packets", "accepted", "dropped", "unsent", "first_index")


def pandas_module() -> Any:
    """pandas, read when it is asked.

    Raises
    ------
    UsageError : it is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise UsageError("a DataFrame needs pandas; install it with: pip install 'vpcemu[pandas]'") from None
    return pd


def times(values_ns: Any) -> Any:
    """A column of nanoseconds since 1970 as times in UTC."""
    return pandas_module().DatetimeIndex(np.asarray(values_ns, dtype=np.int64).view("datetime64[ns]"), tz="UTC")


def words(values: Sequence[str | None], categories: Sequence[str] | None = None) -> Any:
    """A column of words that come often; those known beforehand are categories though none is there."""
    known = sorted({value for value in values if value}) if categories is None else categories
    return pandas_module().Categorical([value or None for value in values], categories=known)


def flows_dataframe(flows: Sequence[Flow]) -> "pd.DataFrame":
    """A row a conversation, in the order of its first packet.

    Raises
    ------
    UsageError : pandas is not installed.
    """
    whys = [flow.why for flow in flows]
    frame: pd.DataFrame = pandas_module().DataFrame(
        {
            "time": times([flow.first_time_ns for flow in flows]),
            "protocol": words([flow.protocol for flow in flows]),
            "source": words([flow.source.ip for flow in flows]),
            "source_name": words([flow.source.name for flow in flows]),
            "source_port": np.array([flow.source.port for flow in flows], dtype=np.int32),
            "destination": words([flow.destination.ip for flow in flows]),
            "destination_name": words([flow.destination.name for flow in flows]),
            "destination_port": np.array([flow.destination.port for flow in flows], dtype=np.int32),
            "verdict": words([flow.verdict for flow in flows], FLOW_VERDICTS),
            "reason": words([why.code if why else None for why in whys]),
            "at": words([why.at if why else None for why in whys]),
            "text": words([why.text if why else None for why in whys]),
            **{name: np.array([getattr(flow, name) for flow in flows], dtype=np.int64) for name in _COUNTS},
        }
    )
    return frame


def entries_dataframe(entries: Sequence[TrackingEntry]) -> "pd.DataFrame":
    """A row a tracked connection, oldest first.

    Raises
    ------
    UsageError : pandas is not installed.
    """
    frame: pd.DataFrame = pandas_module().DataFrame(
        {
            "interface": words([entry.interface for entry in entries]),
            "number": np.array([entry.number for entry in entries], dtype=np.int64),
            "protocol": words([entry.protocol for entry in entries]),
            "source": words([entry.source for entry in entries]),
            "source_port": np.array([entry.source_port for entry in entries], dtype=np.int32),
            "destination": words([entry.destination for entry in entries]),
            "destination_port": np.array([entry.destination_port for entry in entries], dtype=np.int32),
            "state": words([entry.state for entry in entries], ["open", "established", "stream"]),
            "expires_in": np.array([entry.expires_in_ns for entry in entries], dtype="timedelta64[ns]"),
            "rule": words([entry.rule for entry in entries]),
        }
    )
    return frame
