"""Arrow columns of any type as bytes and text: nested ones by path, everything else as JSON would write it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from probes.fields.read.lines import Positions
from probes.fields.read.names import MAX_DEPTH, distinct
from probes.fields.read.seam import BATCH_ROWS


@dataclass(frozen=True, slots=True)
class Further:
    """Elements of lists after the first: which rows they are of."""

    values: pa.Array
    rows: Positions


@dataclass(frozen=True, slots=True)
class Leaf:
    """One path of a column."""

    values: pa.Array
    further: Further | None = None


def paths(schema: pa.Schema) -> tuple[str, ...]:
    """The columns that batches of this schema flatten to, in order; equal ones are told apart (`a`, `a#2`)."""
    return distinct(path for field in schema for path in _paths(field.name, field.type, 1))


def _paths(path: str, kind: pa.DataType, depth: int) -> Iterator[str]:
    kind = _plain(kind)
    if depth > MAX_DEPTH:
        yield path
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _paths(f"{path}.{field.name}", field.type, depth + 1)
    elif _is_list(kind):
        yield from _paths(f"{path}[]", kind.value_type, depth + 1)
    elif pa.types.is_map(kind):
        if depth == MAX_DEPTH:
            yield f"{path}[]"
        else:
            yield from _paths(f"{path}[].key", kind.key_type, depth + 2)
            yield from _paths(f"{path}[].value", kind.item_type, depth + 2)
    else:
        yield path


def leaves(batch: pa.RecordBatch) -> list[Leaf]:
    """The columns of a batch by path, in the order of `paths`. Copies nothing that is text or bytes already and in no
    list."""
    return [leaf for column in batch.columns for leaf in _leaves(column, None, batch.num_rows, 1)]


def _leaves(values: pa.Array, rows: Positions | None, count: int, depth: int) -> Iterator[Leaf]:
    """`rows`: of which row each value is; None: one each."""
    values = _unwrapped(values)
    kind = values.type
    if depth <= MAX_DEPTH and pa.types.is_struct(kind):
        for child in values.flatten():
            yield from _leaves(child, rows, count, depth + 1)
    elif depth <= MAX_DEPTH and (_is_list(kind) or pa.types.is_map(kind)):
        if pa.types.is_map(kind):
            values = values.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
        parents = pc.list_parent_indices(values).to_numpy(zero_copy_only=False)
        inner = parents if rows is None else rows[parents]
        yield from _leaves(values.flatten(), inner, count, depth + 1)
    elif rows is None:
        yield Leaf(as_text(values))
    else:
        yield _first_and_further(as_text(values), rows, count)


def _first_and_further(values: pa.Array, rows: Positions, count: int) -> Leaf:
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = rows[1:] != rows[:-1]
    which = np.zeros(count, np.int64)
    missing = np.ones(count, np.bool_)
    which[rows[begins]] = np.flatnonzero(begins)
    missing[rows[begins]] = False
    first = values.take(pa.array(which, mask=missing))
    if begins.all():
        return Leaf(first)
    keep = ~begins & pc.is_valid(values).to_numpy(zero_copy_only=False)
    return Leaf(first, Further(values.filter(pa.array(keep)), rows[keep]))


def _unwrapped(values: pa.Array) -> pa.Array:
    """Without dictionary, run lengths and extension."""
    while True:
        kind = values.type
        if pa.types.is_dictionary(kind):
            values = values.dictionary_decode()
        elif pa.types.is_run_end_encoded(kind):
            values = pc.run_end_decode(values)
        elif isinstance(kind, pa.BaseExtensionType) and not isinstance(kind, pa.UuidType):
            values = values.storage
        else:
            return values


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type that `_unwrapped` values have."""
    while True:
        if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
            kind = kind.value_type
        elif isinstance(kind, pa.BaseExtensionType) and not isinstance(kind, pa.UuidType):
            kind = kind.storage_type
        else:
            return kind


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )


def as_text(values: pa.Array) -> pa.Array:
    """One column as `large_binary`, `large_string` or `null`. Text that is no UTF-8 after all becomes bytes."""
    kind = values.type
    types = pa.types
    if types.is_null(kind) or values.null_count == len(values):
        return pa.nulls(len(values))
    if types.is_large_string(kind) or types.is_string(kind) or types.is_string_view(kind):
        return _checked(values.cast(pa.large_string()))
    if types.is_large_binary(kind):
        return values
    if types.is_binary(kind) or types.is_fixed_size_binary(kind) or types.is_binary_view(kind):
        return values.cast(pa.large_binary())
    if isinstance(kind, pa.UuidType):
        return _uuids(values)
    if types.is_timestamp(kind):
        if kind.tz is not None:
            values = values.cast(pa.timestamp(kind.unit, "UTC"))
        text = values.cast(pa.large_string())
        return pc.replace_substring(text, " ", "T", max_replacements=1)
    if types.is_nested(kind) or types.is_interval(kind):
        return pa.array([None if each is None else _json(each) for each in values.to_pylist()], pa.large_string())
    return values.cast(pa.large_string())


def _checked(values: pa.Array) -> pa.Array:
    """Parquet promises UTF-8 and pyarrow believes it."""
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return values.view(pa.large_binary())
    return values


def _json(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _uuids(values: pa.Array) -> pa.Array:
    """RFC 9562, section 4: as people and encryption contexts write them."""
    texts = (None if each is None else str(UUID(bytes=each)) for each in values.storage.to_pylist())
    return pa.array(texts, pa.large_string())


def further(leaf: Leaf) -> Iterator[Further]:
    """The further elements of a leaf, in batches."""
    if leaf.further is not None:
        for at in range(0, len(leaf.further.rows), BATCH_ROWS):
            yield Further(leaf.further.values[at : at + BATCH_ROWS], leaf.further.rows[at : at + BATCH_ROWS])
