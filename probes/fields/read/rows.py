"""Rows of JSON-like values, one at a time: the way of everything that is odd. Correct first, fast elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa

from probes.fields.read.lines import MAX_LINE, Positions
from probes.fields.read.lost import Lost
from probes.fields.read.names import MAX_COLUMNS, MAX_DEPTH, column

Text: TypeAlias = str | bytes
MAX_VALUE: Final = MAX_LINE
MAX_ELEMENTS: Final = 1_000_000
"""Of all lists of one row."""


MAX_NAMES: Final = 16 << 20
"""Characters of all paths of one row."""


class BadRowError(ValueError):
    """A row that cannot be read as one thing only; the message is the reason code, and quotes nothing."""


class Number(str):
    """A JSON number as it is written."""

    __slots__ = ()


@dataclass(slots=True)
class Row:
    """One record as columns."""

    values: dict[str, Text] = field(default_factory=dict)
    """By path; what is null or empty is missing."""
    more: dict[str, list[Text]] = field(default_factory=dict)
    """Further elements of lists, by path; the first are in `values`."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRowError("duplicate key")
    return found


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=Number, parse_float=Number, parse_constant=Number, strict=False
)


def parse(line: bytes) -> Row | None:
    """One JSON object on a line; None for a blank line. Bytes that are not UTF-8 stay as they are.

    Raises BadRowError: `bad JSON`, `duplicate key`, `nested deeper than 64`, `no JSON object`, …
    """
    text = line.decode("utf-8", "surrogateescape").strip(" \t\r\n")
    if not text:
        return None
    value = document(text)
    if not isinstance(value, dict):
        raise BadRowError("no JSON object")
    return flat(value)


def document(text: str) -> object:
    """JSON that a column holds. Raises BadRowError."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise BadRowError(f"nested deeper than {MAX_DEPTH}") from None
    except json.JSONDecodeError:
        raise BadRowError("bad JSON") from None


def bound(row: Row, lost: Lost, place: str) -> None:
    """Take the values off a row that are too long to be looked at, and count the row."""
    long = [name for name, value in row.values.items() if len(value) > MAX_VALUE]
    for name in long:
        del row.values[name]
    for name, values in row.more.items():
        long.extend(name for value in values if len(value) > MAX_VALUE)
        row.more[name] = [value for value in values if len(value) <= MAX_VALUE]
    if long:
        lost.add("value longer than 16 MiB", place)


def flat(record: Mapping[str, object]) -> Row:
    """A record as columns: `a.b`, `a[]`. Raises BadRowError."""
    row = Row()
    elements = named = 0
    # An explicit stack, deepest first in order: nothing that a stranger wrote decides how deep Python calls itself.
    stack: list[tuple[str, object, int]] = [(name, value, 1) for name, value in reversed(list(record.items()))]
    taken: set[str] = set()
    while stack:
        path, value, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise BadRowError(f"nested deeper than {MAX_DEPTH}")
        if isinstance(value, Mapping):
            named += sum(map(len, value)) + len(value) * (len(path) + 1)
            if named > MAX_NAMES:
                raise BadRowError("names that are too long together")
            stack.extend((f"{path}.{name}", each, depth + 1) for name, each in reversed(list(value.items())))
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            elements += len(value)
            if elements > MAX_ELEMENTS:
                raise BadRowError(f"more than {MAX_ELEMENTS} elements of lists")
            inner = f"{path}[]"
            stack.extend((inner, each, depth + 1) for each in reversed(value))
        elif value is not None:
            _put(row, taken, path, _text(value))
    if len(row.values) > MAX_COLUMNS:
        raise BadRowError(f"more than {MAX_COLUMNS} columns")
    return row


def _put(row: Row, taken: set[str], path: str, text: Text) -> None:
    name = path if len(path) <= 200 and path.isprintable() and path else column(path)
    if name not in row.values:
        row.values[name] = text
        taken.add(path)
    elif "[]" in path and path in taken:
        row.more.setdefault(name, []).append(text)
    else:
        # `{"a.b": 1, "a": {"b": 2}}`: one of them would be hidden behind the other
        raise BadRowError("two values at one path")


def _text(value: object) -> Text:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    return str(value)


def encoded(text: Text) -> bytes:
    """The bytes of a value; what was no UTF-8 in the file is as it was there."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        pass
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def array(values: Sequence[Text | None]) -> pa.Array:
    """One column: `large_string` where all of it is text, `large_binary` otherwise, `null` where there is none."""
    if all(value is None for value in values):
        return pa.nulls(len(values))
    if not any(isinstance(value, bytes) for value in values):
        try:
            return pa.array(values, pa.large_string())
        except UnicodeEncodeError:
            pass
    return pa.array([None if value is None else encoded(value) for value in values], pa.large_binary())


def batch(rows: Sequence[Row]) -> pa.RecordBatch:
    """Rows side by side."""
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    columns = [array([row.values.get(name) for row in rows]) for name in names]
    return record_batch(names, columns, len(rows))


def further(rows: Sequence[Row], numbers: Positions | Sequence[int]) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    """Further elements of lists: a batch of one column, and the number of the row that each is of."""
    found: dict[str, tuple[list[Text], list[int]]] = {}
    for row, number in zip(rows, numbers, strict=True):
        for name, texts in row.more.items():
            values, whose = found.setdefault(name, ([], []))
            values.extend(texts)
            whose.extend([int(number)] * len(texts))
    for name, (values, whose) in found.items():
        for at in range(0, len(values), 8192):
            piece = values[at : at + 8192]
            yield record_batch([name], [array(piece)], len(piece)), pa.array(whose[at : at + 8192], pa.int64())


def record_batch(names: Sequence[str], columns: Sequence[pa.Array], count: int) -> pa.RecordBatch:
    """A batch, which also without any column has `count` rows."""
    if names:
        return pa.RecordBatch.from_arrays(list(columns), names=list(names))
    empty = pa.StructArray.from_arrays([], fields=[], mask=pa.array(np.zeros(count, np.bool_)))
    return pa.RecordBatch.from_struct_array(empty)
