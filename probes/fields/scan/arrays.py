"""Columns of a batch as bytes in a buffer: offsets for numpy, a series for polars, without a copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from probes.fields.scan.hashing import Longs, Regions, lengths_of_array, regions_of_array, words

NO_TIME: Final = int(np.iinfo(np.int64).min)
"""Stands for a row without an instant."""
_SECONDS_FROM: Final = 100_000_000_000
"""Unix times from here on are milliseconds: in seconds this is the year 5138."""
_FURTHEST: Final = 1 << 53


@dataclass(frozen=True)
class Cells:
    """One column of a batch."""

    array: pa.Array
    """`large_binary`, without nulls."""
    rows: Longs
    """Row of the batch that each cell is of."""
    text: bool
    size: int
    """Rows of the batch."""

    @cached_property
    def regions(self) -> Regions:
        """Where they lie; may copy them once, so that words can be loaded from any place."""
        return regions_of_array(self.array)

    @cached_property
    def lengths(self) -> Longs:
        """Bytes of each."""
        return lengths_of_array(self.array)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: Longs) -> Cells:
        """Some of them."""
        if len(chosen) == len(self):
            return self
        array = self.array.take(pa.array(chosen))
        return Cells(array, self.rows[chosen], self.text, self.size)

    def values(self) -> list[bytes]:
        """The cells as Python values."""
        found: list[bytes] = self.array.to_pylist()
        return found

    def series(self) -> pl.Series:
        """The cells as a binary series."""
        return pl.Series(pl.from_arrow(self.array))


def cells(array: pa.Array) -> Cells:
    """The cells of a column that are not null. Raises TypeError for a column of a kind that no reader hands over."""
    size, kind = len(array), array.type
    text = pa.types.is_large_string(kind) or pa.types.is_string(kind)
    if pa.types.is_null(kind):
        array = pa.array([], pa.large_binary())
        return Cells(array, np.empty(0, np.int64), False, size)
    if not (text or pa.types.is_large_binary(kind) or pa.types.is_binary(kind)):
        raise TypeError(f"readers hand over text and bytes, not {kind}")
    if array.null_count:
        rows = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False))
        array = array.drop_null()
    else:
        rows = np.arange(size, dtype=np.int64)
    array = array.cast(pa.large_binary())
    return Cells(array, rows, text, size)


def as_text(values: pl.Series) -> pl.Series:
    """A binary series as text; null where the bytes are not UTF-8."""
    try:
        return values.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([_decoded(value) for value in values.to_list()], dtype=pl.String)


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def equal(left: Regions, right: Regions) -> NDArray[np.bool_]:
    """Whether the i-th strings of both are the same, byte by byte."""
    same = left.length == right.length
    longest = int(left.length[same].max(initial=0))
    if longest and longest <= _NARROW and same.all() and int(left.length.min()) == longest:
        return _equal_lines(left, right, longest)
    one, two = words(left.buffer), words(right.buffer)
    for offset in range(0, longest, 8):
        here = np.flatnonzero(same & (left.length > offset))
        if not len(here):
            break
        rest = np.minimum(left.length[here] - offset, 8)
        differ = one[left.start[here] + offset] ^ two[right.start[here] + offset]
        mask = np.where(
            rest < 8,
            (np.uint64(1) << (8 * rest).astype(np.uint64) % np.uint64(64)) - np.uint64(1),
            np.uint64(2**64 - 1),
        )
        same[here] = (differ & mask) == 0
    return np.asarray(same, np.bool_)


_NARROW: Final = 64


def _equal_lines(left: Regions, right: Regions, length: int) -> NDArray[np.bool_]:
    """The same for strings that all have one length."""
    width = 8 * ((length + 7) // 8)
    both = [one.matrix(width).view("<u8") for one in (left, right)]
    differ = both[0] ^ both[1]
    if length < width:
        differ[:, -1] &= np.uint64((1 << 8 * (length % 8)) - 1)
    return np.asarray(~differ.any(axis=1), np.bool_)


def instants(column: Cells) -> Longs:
    """Per row of the batch: microseconds since 1970, `NO_TIME` where there is none that can be read.

    An instant in ISO 8601 (without an offset: UTC), or a Unix time in seconds or milliseconds.
    """
    found = np.full(column.size, NO_TIME)
    if not len(column):
        return found
    texts = as_text(column.series()).str.strip_chars('" ')
    numbers = texts.cast(pl.Float64, strict=False)
    values = numbers.to_numpy()
    usable = np.isfinite(values) & (np.abs(np.nan_to_num(values, posinf=0, neginf=0)) < _FURTHEST)
    scale = np.where(np.abs(np.where(usable, values, 0)) >= _SECONDS_FROM, 1_000, 1_000_000)
    micro = np.where(usable, np.where(usable, values, 0) * scale, 0)
    parsed = np.where(np.abs(micro) < 2**62, micro, 0).astype(np.int64)
    parsed[~usable] = NO_TIME
    left = np.flatnonzero(~usable)
    if len(left):
        some = texts.gather(left)
        moments = _moments(some)
        parsed[left] = moments
    found[column.rows] = parsed
    return found


def _moments(texts: pl.Series) -> Longs:
    moments = np.full(len(texts), NO_TIME)
    left = np.arange(len(texts))
    for pattern in ("%+", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d"):
        if not len(left):
            break
        some = texts.gather(left)
        if pattern == "%Y-%m-%d":
            told = some.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
        elif pattern.endswith(("%+", "z")):
            told = some.str.to_datetime(pattern, strict=False, time_unit="us", time_zone="UTC")
        else:
            told = some.str.to_datetime(pattern, strict=False, time_unit="us")
        read = np.flatnonzero(told.is_not_null().to_numpy())
        moments[left[read]] = told.gather(read).cast(pl.Int64).to_numpy()
        left = np.delete(left, read)
    return moments


def moment(microseconds: int | None) -> datetime | None:
    """A moment, where it is one that can be written."""
    if microseconds is None:
        return None
    try:
        return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)
    except (OverflowError, ValueError, OSError):
        return None


def rows_equal(columns: Sequence[tuple[Cells, bytes]], size: int) -> Longs:
    """Rows of the batch in which each of the columns holds its value."""
    held = np.ones(size, np.bool_)
    for column, value in columns:
        here = np.zeros(size, np.bool_)
        wanted = Regions.of([value])
        same = column.lengths == len(value)
        rows = np.flatnonzero(same)
        twin = Regions(wanted.buffer, np.zeros(len(rows), np.int64), np.full(len(rows), len(value), np.int64))
        here[column.rows[rows[equal(column.regions[rows], twin)]]] = True
        held &= here
    return np.flatnonzero(held)
