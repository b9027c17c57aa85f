"""Flow log rows as files: text as in S3, gzip, Parquet (FL-30 to FL-32).

Text begins with a line of field names; ``-`` stands for what is missing.  Parquet names its columns with ``_`` for
``-`` and types them as the documentation does; it needs pyarrow, which ``pip install 'vpcemu[parquet]'`` brings.
"""

import gzip
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

from emulator.errors import UsageError
from emulator.observe.flowlogs import FlowLog
from emulator.wire.atomic import written

_INT_32 = frozenset(("version", "srcport", "dstport", "protocol", "tcp-flags", "traffic-path"))
_INT_64 = frozenset(("packets", "bytes", "start", "end"))
_ROW_GROUP = 1 << 16  # rows of a Parquet file that are written at once


def line_of(row: dict[str, Any], fields: Iterable[str]) -> str:
    """One row as text.

    Examples
    --------
    >>> line_of({"srcaddr": "10.0.0.1", "dstaddr": None, "packets": 4}, ["srcaddr", "dstaddr", "packets"])
    '10.0.0.1 - 4'
    """
    return " ".join("-" if row[field] is None else str(row[field]) for field in fields)


def lines(log: FlowLog, rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The header, then a line for each row (FL-31)."""
    yield " ".join(log.fields)
    yield from (line_of(row, log.fields) for row in rows)


def save(path: str | Path, log: FlowLog, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows as they come to ``x.log``, ``x.log.gz`` or ``x.parquet``, whole or not at all; gives how many they were.

    Raises
    ------
    UsageError : Parquet without pyarrow.  CaptureError : a place that cannot be written to.
    """
    if Path(path).suffix == ".parquet":
        return _save_parquet(path, log, rows)
    count = -1  # without the header
    with written(path) as file:
        # No time stamp inside, so that the same run gives the same bytes.
        zipped = Path(path).suffix == ".gz"
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) if zipped else nullcontext(file) as text:
            for line in lines(log, rows):
                text.write(f"{line}\n".encode())
                count += 1
    return count


def _save_parquet(path: str | Path, log: FlowLog, rows: Iterable[dict[str, Any]]) -> int:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise UsageError(f"{path}: Parquet needs pyarrow; pip install 'vpcemu[parquet]', or write x.log or x.log.gz") from None
    kinds = {field: pa.int32() if field in _INT_32 else pa.int64() if field in _INT_64 else pa.string() for field in log.fields}
    schema = pa.schema([(field.replace("-", "_"), kind) for field, kind in kinds.items()])
    count, left = 0, iter(rows)
    with written(path) as file, parquet.ParquetWriter(file, schema) as writer:
        while some := list(islice(left, _ROW_GROUP)):
            writer.write_table(pa.table([pa.array([row[field] for row in some], kind) for field, kind in kinds.items()], schema=schema))
            count += len(some)
    return count
