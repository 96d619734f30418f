"""Newline-delimited JSON as batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from probes.fields.read import ndjson_fast, rows
from probes.fields.read.layouts import BOM, Opened, Piece, Place, Survey, line_place, ranged
from probes.fields.read.lines import Lines, Positions, lines, ranges
from probes.fields.read.lost import Lost
from probes.fields.read.names import MAX_COLUMNS
from probes.fields.read.seam import Shard
from probes.fields.read.streams import compressed

WHOLE: Final = "line longer than 16 MiB"
SAMPLE: Final = 1_000


def survey(opened: Opened) -> Survey:
    """The columns of the first rows; what comes later is a surprise."""
    found: dict[str, None] = {}
    objects = Objects(Lost(), str)
    for block in lines(opened.stream(), SAMPLE, skip=BOM):
        for piece in objects.pieces(block):
            found.update(dict.fromkeys(piece.rows.schema.names))
        break
    whole = compressed(opened.file)
    size = opened.file.size()
    return Survey(tuple(found), ((0, size),) if whole else ranges(size))


def read(opened: Opened, shard: Shard) -> Iterator[Piece]:
    """The rows of a range of bytes, or of a whole compressed file."""
    objects = Objects(opened.lost, line_place(shard))
    for block in ranged(opened, shard):
        yield from objects.pieces(block)


class Objects:
    """Makes rows of lines that hold one JSON object each. One for each shard: it knows the columns so far."""

    def __init__(self, lost: Lost, place: Place) -> None:
        """`place` says where the line of a number is."""
        self._lost = lost
        self._place = place
        self._known: set[str] = set()

    def pieces(self, lines: Lines) -> Iterator[Piece]:
        """The rows of some lines, in their order."""
        matched = ndjson_fast.match(lines)
        if len(self._known | matched.columns.keys()) > MAX_COLUMNS:
            matched = ndjson_fast.Matched({}, np.zeros(len(lines), np.bool_))
        self._known |= matched.columns.keys()
        mended = _mended(lines, matched)
        slow = self._slow(lines, matched.read)
        keep = matched.read.copy()
        keep[list(slow)] = True
        kept = np.flatnonzero(keep)
        if len(kept):
            yield _side_by_side(lines, matched, mended, slow, kept)
            whose = np.searchsorted(kept, list(slow))
            for batch, numbers in rows.further(list(slow.values()), whose):
                yield Piece(batch, numbers)

    def _slow(self, lines: Lines, done: ndjson_fast.Mask) -> dict[int, rows.Row]:
        """The lines that nobody has read yet, one by one."""
        found: dict[int, rows.Row] = {}
        long = lines.too_long()
        for index in map(int, np.flatnonzero(~done)):
            where = self._place(lines.first + index)
            if long[index]:
                self._lost.add(WHOLE, where)
                continue
            try:
                row = rows.parse(lines.bytes_at(index))
            except rows.BadRowError as error:
                cut = not lines.complete and index == len(lines) - 1 and str(error) == "bad JSON"
                self._lost.add("cut off" if cut else str(error), where)
                continue
            if row is None:
                continue
            if not row.values.keys() <= self._known:
                if len(self._known | row.values.keys()) > MAX_COLUMNS:
                    self._lost.add(f"more than {MAX_COLUMNS} columns", where)
                    continue
                self._known |= row.values.keys()
            found[index] = row
        return found


def _mended(lines: Lines, matched: ndjson_fast.Matched) -> dict[str, dict[int, bytes]]:
    """The values with backslashes as what they stand for, by path and line. Lines where that fails are not read."""
    found: dict[str, dict[int, bytes]] = {}
    if b"\\" not in lines.data:
        return found
    backslashes = np.flatnonzero(lines.array() == 0x5C)
    for path, column in matched.columns.items():
        inside = np.searchsorted(backslashes, column.ends) > np.searchsorted(backslashes, column.starts)
        of_path = found.setdefault(path, {})
        for index in map(int, np.flatnonzero(inside & column.present & matched.read)):
            raw = lines.data[int(column.starts[index]) : int(column.ends[index])]
            try:
                text = json.loads(f'"{raw.decode("utf-8", "surrogateescape")}"', strict=False)
            except json.JSONDecodeError:
                matched.read[index] = False
                continue
            of_path[index] = rows.encoded(text)
    return found


def _side_by_side(
    lines: Lines,
    matched: ndjson_fast.Matched,
    mended: dict[str, dict[int, bytes]],
    slow: dict[int, rows.Row],
    kept: Positions,
) -> Piece:
    """The kept lines as a batch."""
    text = lines.data.isascii() or _is_text(lines.data)
    patches: dict[str, dict[int, bytes]] = {path: {} for path in matched.columns}
    for path, values in mended.items():
        patches[path].update({index: value for index, value in values.items() if matched.read[index]})
    for index, row in slow.items():
        for path, value in row.values.items():
            patches.setdefault(path, {})[index] = rows.encoded(value)
    names, columns = [], []
    for path, patch in patches.items():
        column = matched.columns.get(path)
        if column is None:
            found = pa.nulls(len(kept), pa.large_binary())
        else:
            present = column.present & matched.read
            starts = np.where(present, column.starts, lines.starts)
            ends = np.where(present, column.ends, lines.starts)
            found = sliced(lines.data, starts[kept], ends[kept], present[kept])
        if patch:
            where = np.zeros(len(lines), np.bool_)
            where[list(patch)] = True
            ordered = [patch[index] for index in sorted(patch)]
            found = pc.replace_with_mask(found, pa.array(where[kept]), pa.array(ordered, pa.large_binary()))
        names.append(path)
        columns.append(typed(found, text and not patch))
    return Piece(rows.record_batch(names, columns, len(kept)))


def sliced(data: bytes, starts: Positions, ends: Positions, present: npt.NDArray[np.bool_] | None) -> pa.Array:
    """Values of a buffer as `large_binary`; starts and ends never go down."""
    count = len(starts)
    if present is not None and present.all():
        present = None
    offsets = np.empty(2 * count, np.int64)
    offsets[0::2] = starts
    offsets[1::2] = ends
    every = pa.Array.from_buffers(
        pa.large_binary(), max(0, 2 * count - 1), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    which = pa.array(np.arange(0, 2 * count, 2), mask=None if present is None else ~present)
    return every.take(which)


def typed(values: pa.Array, text: bool) -> pa.Array:
    """`large_binary` as `large_string` where it is UTF-8 (`text`: known to be), as `null` where nothing is there."""
    if values.null_count == len(values):
        return pa.nulls(len(values))
    if text:
        return values.view(pa.large_string())
    try:
        return values.cast(pa.large_string())
    except pa.ArrowInvalid:
        return values


def _is_text(data: bytes) -> bool:
    offsets = pa.py_buffer(np.array([0, len(data)]))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
