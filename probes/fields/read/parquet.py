"""Parquet: row groups as shards, nested columns by path.

Source: Apache Parquet format, README and Encryption.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from probes.fields.facts import LeftOut
from probes.fields.read import flatten, rows
from probes.fields.read.layouts import Opened, Piece, Survey
from probes.fields.read.lines import Bytes
from probes.fields.read.names import MAX_COLUMNS, MAX_DEPTH
from probes.fields.read.parquet_footer import Encryption, dictionary_page, encryption
from probes.fields.read.seam import BATCH_ROWS, Shard
from probes.fields.read.streams import File

SHARD_BYTES: Final = 32 << 20
"""Row groups are put together up to this size."""
SHARD_ROWS: Final = 1_000_000
BATCH_BYTES: Final = 1 << 30
SMALL_DICTIONARY: Final = BATCH_BYTES // BATCH_ROWS
"""No entry of it, on every row of a batch, is too much."""
LARGE_DICTIONARY: Final = 64 << 20
DELTA_ROWS: Final = 64
MOST_ELEMENTS: Final = 16 * rows.MAX_ELEMENTS
"""Of the lists of one row group, all rows together."""
"""Rows at a time of values that say only where they differ from the one before: each may be 16 MiB."""
_ARRAYS: Final = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
_PAGE_HEADER: Final = 4_096


def survey(opened: Opened) -> Survey:
    """Columns and row groups by the footer. Raises pyarrow's errors where there is none."""
    found = encryption(opened.file)
    if found is not None and found.footer:
        return _encrypted(opened, found, 0)
    file = _file(opened.file)
    metadata = file.metadata
    if found is not None:
        return _encrypted(opened, found, metadata.num_rows)
    columns = flatten.paths(file.schema_arrow)
    if len(columns) > MAX_COLUMNS:
        why = f"more than {MAX_COLUMNS} columns"
        return Survey((), (), (LeftOut(why=why, rows=metadata.num_rows, places=(opened.listed.path,)),))
    ranges: list[tuple[int, int]] = []
    start = size = count = 0
    for group in range(metadata.num_row_groups):
        about = metadata.row_group(group)
        weight = max(0, about.total_byte_size)
        if group > start and (size + weight > SHARD_BYTES or count + about.num_rows > SHARD_ROWS):
            ranges.append((start, group))
            start, size, count = group, 0, 0
        size += weight
        count += about.num_rows
    if metadata.num_row_groups:
        ranges.append((start, metadata.num_row_groups))
    return Survey(columns, tuple(ranges))


def _encrypted(opened: Opened, found: Encryption, count: int) -> Survey:
    what = "footer and columns" if found.footer else "columns"
    why = f"Parquet modular encryption of {what} with {found.algorithm}: not readable without its keys"
    return Survey((), (), (LeftOut(why=why, rows=max(0, count), places=(opened.listed.path,)),))


def read(opened: Opened, shard: Shard) -> Iterator[Piece]:
    """The rows of some row groups. Rows that a damaged group does not give are left out."""
    file = _file(opened.file)
    names = flatten.paths(file.schema_arrow)
    for group in range(shard.start, shard.end):
        yield from _group(opened, file, names, group)


def _batch_rows(opened: Opened, group: pq.RowGroupMetaData) -> int:
    """How many rows are read at once, so that not even a dictionary of giants, named on every row, fills the memory."""
    longest: int = max(1, max(0, group.total_byte_size) // max(1, group.num_rows))
    for index in range(group.num_columns):
        longest = max(longest, _longest_entry(opened.file, group.column(index)))
    return max(1, min(BATCH_ROWS, BATCH_BYTES // longest))


def _longest_entry(file: File, chunk: pq.ColumnChunkMetaData) -> int:
    """Bytes of the longest value of the chunk's dictionary, or a bound of it; 0 where there is none."""
    if "DELTA_BYTE_ARRAY" in chunk.encodings:
        return BATCH_BYTES // DELTA_ROWS
    if chunk.physical_type not in _ARRAYS or not chunk.has_dictionary_page or not chunk.dictionary_page_offset:
        return 0
    file.seek(chunk.dictionary_page_offset)
    head = file.read(_PAGE_HEADER)
    page = dictionary_page(head)
    if page is None:
        return 0
    start, packed, size = page
    if size <= SMALL_DICTIONARY or size > LARGE_DICTIONARY or chunk.physical_type != "BYTE_ARRAY":
        return size
    data = head[start:] + file.read(max(0, packed - len(head) + start))
    try:
        if chunk.compression != "UNCOMPRESSED":
            codec = {"LZ4": "lz4_raw"}.get(chunk.compression, chunk.compression.lower())
            data = cast(bytes, pa.Codec(codec).decompress(data[:packed], size, asbytes=True))
    except (pa.ArrowException, OSError, ValueError):
        return size
    return min(_longest(data), size)


def _longest(data: bytes) -> int:
    """Of byte arrays in the plain encoding, each after its length in four bytes."""
    if (short := _longest_short(np.frombuffer(data, np.uint8))) is not None:
        return short
    longest = at = 0
    last = len(data) - 4
    length_at = struct.Struct("<I").unpack_from
    while at <= last:
        (length,) = length_at(data, at)
        if length > longest:
            longest = length
        at += 4 + length
    return longest


def _longest_short(raw: Bytes) -> int | None:
    """The same at once, where lengths are under 65,536 and can be told from what they are lengths of: guessed by their
    zeros, and taken only if each guess leads to the next, from the first byte to the last. Otherwise None."""
    low, high = raw[:-3], raw[1:-2]
    zeros = (raw[2:-1] == 0) & (raw[3:] == 0)
    one = zeros & (high == 0) & (low > 0)
    two = zeros & (high > 0)
    two[:-1] &= ~one[1:]
    at = np.flatnonzero(one | two)
    if not len(at) or at[0] != 0:
        return None
    lengths = low[at].astype(np.int64) + 256 * high[at].astype(np.int64)
    if not np.array_equal(at + 4 + lengths, np.append(at[1:], len(raw))):
        return None
    return int(lengths.max())


def _elements(file: pq.ParquetFile, group: int) -> int:
    """Elements of the longest column of lists in a row group, as its footer says."""
    listed = file.metadata.row_group(group)
    repeated = (
        listed.column(at).num_values
        for at in range(listed.num_columns)
        if file.schema.column(at).max_repetition_level > 0
    )
    return max(repeated, default=0)


def _group(opened: Opened, file: pq.ParquetFile, names: Sequence[str], group: int) -> Iterator[Piece]:
    place = f"{opened.listed.path}[group {group}]"
    expected = file.metadata.row_group(group).num_rows
    done = 0
    if _elements(file, group) > MOST_ELEMENTS:
        opened.lost.add(f"row group with more than {MOST_ELEMENTS:,} elements of lists", place, expected)
        return
    try:
        size = _batch_rows(opened, file.metadata.row_group(group))
        for batch in file.iter_batches(size, row_groups=[group], use_threads=False):
            done += batch.num_rows
            yield from _pieces(batch, names, opened, place, done - batch.num_rows)
    except (pa.ArrowException, OSError, MemoryError) as error:
        opened.lost.add(f"damaged row group ({type(error).__name__})", f"{place}:row {done}", max(0, expected - done))
        return
    if done != expected:
        opened.lost.add("row group with fewer rows than it says", place, max(0, expected - done))


def _pieces(batch: pa.RecordBatch, names: Sequence[str], opened: Opened, place: str, first: int) -> Iterator[Piece]:
    """A batch of any types as the seam wants it."""
    leaves = flatten.leaves(batch)
    columns = [_bounded(leaf.values, opened, f"{place}:row", first) for leaf in leaves]
    yield Piece(rows.record_batch(names, columns, batch.num_rows))
    for name, leaf in zip(names, leaves, strict=True):
        for more in flatten.further(leaf):
            values = _bounded(more.values, opened, f"{place}:element of row", first)
            yield Piece(rows.record_batch([name], [values], len(values)), pa.array(more.rows))


def _bounded(values: pa.Array, opened: Opened, place: str, first: int) -> pa.Array:
    """Without values that are too long to be looked at."""
    if pa.types.is_null(values.type) or values.nbytes <= rows.MAX_VALUE:
        return values
    long = pc.fill_null(pc.greater(pc.binary_length(values), rows.MAX_VALUE), fill_value=False)
    found = np.flatnonzero(long.to_numpy(zero_copy_only=False))
    for index in found:
        opened.lost.add("value longer than 16 MiB", f"{place} {first + int(index)}")
    return values if not len(found) else pc.if_else(long, pa.scalar(None, values.type), values)


def _file(file: File) -> pq.ParquetFile:
    return pq.ParquetFile(
        file,
        binary_type=pa.large_binary(),
        pre_buffer=False,
        buffer_size=1 << 16,
        schema_depth_limit=2 * MAX_DEPTH,
        thrift_string_size_limit=64 << 20,
        thrift_container_size_limit=10_000_000,
        page_checksum_verification=False,
    )
