"""The drawn rows, read once more: their values and what of the row they must be bound to."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from keycheck.errors import ProbeError
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.fields.read.seam import Export, Shard
from probes.fields.scan.seam import Pick

if TYPE_CHECKING:
    import pyarrow as pa

HELD: Final = 256 * 2**20
"""Bytes of drawn values that are held at once."""
_GONE: Final = Unseen(reason=Reason.CONFLICTING, detail="a drawn row is not there any more: the export changed")
_LARGE: Final = Unseen(reason=Reason.NOT_COVERED, detail="the drawn values are too large to be held together")


@dataclass(frozen=True, slots=True)
class Row:
    """One drawn value with what stands beside it."""

    value: bytes = field(repr=False)
    beside: Mapping[str, str | None] = field(repr=False)
    others: tuple[bytes, ...] = field(default=(), repr=False)
    """Further elements of the row's list."""


Rows: TypeAlias = Mapping[Pick, Row | Unseen]


def read_rows(
    export: Export, picks: Iterable[Pick], shards: Mapping[str, Shard], beside: Mapping[str, Sequence[str]]
) -> Rows:
    """The row of every pick, or why it cannot be read. `beside`: by column, the other columns that are needed."""
    wanted: dict[str, dict[int, list[Pick]]] = defaultdict(lambda: defaultdict(list))
    found: dict[Pick, Row | Unseen] = {}
    for pick in picks:
        found[pick] = _GONE
        wanted[pick.shard][pick.row].append(pick)
    room = HELD
    for name, rows in sorted(wanted.items()):
        shard = shards.get(name)
        if shard is None:
            continue
        try:
            room = _read(export, shard, rows, beside, found, room)
        except ProbeError as error:
            missing = Unseen(reason=error.reason, detail=vendor_text(f"a drawn row cannot be read: {error}"))
            found |= {pick: missing for each in rows.values() for pick in each if found[pick] is _GONE}
    return found


def _read(
    export: Export,
    shard: Shard,
    rows: Mapping[int, list[Pick]],
    beside: Mapping[str, Sequence[str]],
    found: dict[Pick, Row | Unseen],
    room: int,
) -> int:
    """Fills `found`; gives what is left of the room."""
    numbers = sorted(rows)
    done = 0
    before: pa.RecordBatch | None = None
    first = 0
    for batch in export.read(shard).batches:
        if batch.numbers is not None:
            # Further elements of lists; what stands beside them is in the batch before.
            places = np.asarray(batch.numbers)
            for at in np.flatnonzero(np.isin(places, numbers)).tolist():
                number = int(places[at])
                for pick in rows[number]:
                    room = _element(batch.rows, at, before, number - first, pick, beside, found, room)
            continue
        if done == len(numbers):
            break
        before, first = batch.rows, batch.first
        end = batch.first + batch.rows.num_rows
        upto = bisect_left(numbers, end)
        for number in numbers[done:upto]:
            for pick in rows[number] if number >= batch.first else ():
                row = _row(batch.rows, number - batch.first, pick.column, beside.get(pick.column, ()))
                if row is not None:
                    room -= len(row.value)
                    found[pick] = row if room >= 0 else _LARGE
        done = upto
    return room


def _element(
    further: pa.RecordBatch,
    at: int,
    rows: pa.RecordBatch | None,
    row: int,
    pick: Pick,
    beside: Mapping[str, Sequence[str]],
    found: dict[Pick, Row | Unseen],
    room: int,
) -> int:
    """One more candidate for a pick; gives what is left of the room."""
    value, have = _cell(further, at, pick.column), found[pick]
    if value is None or pick.content is None:
        return room
    room -= len(value)
    if room < 0:
        found[pick] = _LARGE
    elif isinstance(have, Row):
        found[pick] = replace(have, others=(*have.others, value))
    elif rows is not None:
        found[pick] = Row(value, {name: _text(_cell(rows, row, name)) for name in beside.get(pick.column, ())})
    return room


def _row(batch: pa.RecordBatch, at: int, column: str, beside: Sequence[str]) -> Row | None:
    value = _cell(batch, at, column)
    return None if value is None else Row(value, {name: _text(_cell(batch, at, name)) for name in beside})


def _cell(batch: pa.RecordBatch, at: int, column: str) -> bytes | None:
    """The bytes of a text or binary cell, whether or not they are UTF-8."""
    index = batch.schema.get_field_index(column)
    if index < 0:
        return None
    scalar = batch.column(index)[at]
    content = scalar.as_buffer() if scalar.is_valid and hasattr(scalar, "as_buffer") else None
    return None if content is None else bytes(content)


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
