"""Partitioned folders in Hive's way: `tenant=a/part-0.parquet` has a column `tenant`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

import pyarrow as pa

from probes.fields.read import rows
from probes.fields.read.names import distinct

_PART: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]{0,99})=([^/]*)")
_NULL: Final = "__HIVE_DEFAULT_PARTITION__"


def partitions(path: str) -> tuple[tuple[str, str | None], ...]:
    """Column and value of each folder that is a partition, outermost first."""
    found = (_PART.fullmatch(folder) for folder in path.split("/")[:-1])
    return tuple((part[1], None if part[2] == _NULL else unquote(part[2])) for part in found if part)


def with_partitions(columns: Sequence[str], parts: Sequence[tuple[str, str | None]]) -> tuple[str, ...]:
    """The columns and those of the partitions; what a file has too is told apart (`tenant#2`)."""
    return distinct([*columns, *(name for name, _ in parts)])


def extended(batch: pa.RecordBatch, parts: Sequence[tuple[str, str | None]]) -> pa.RecordBatch:
    """The batch with the partitions' values on every row."""
    if not parts:
        return batch
    count = batch.num_rows
    names = with_partitions(batch.schema.names, parts)
    constants = [
        pa.nulls(count) if value is None else pa.repeat(pa.scalar(value, pa.large_string()), count)
        for _, value in parts
    ]
    return rows.record_batch(names, [*batch.columns, *constants], count)
