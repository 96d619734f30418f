"""CSV (RFC 4180) and TSV (as PostgreSQL's COPY writes text) as batches.

Where a record ends is decided by its quotes alone. A file is split into ranges of bytes only where that cannot matter:
where on every line all quotes are closed. A record whose quotes stand where RFC 4180 does not have them can be read in
more than one way, and is left out.
Sources: RFC 4180; PostgreSQL, "COPY", text format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from probes.fields.facts import LeftOut
from probes.fields.read import rows
from probes.fields.read.layouts import BOM, Opened, Piece, Place, Survey, line_place, ranged
from probes.fields.read.lines import RANGE, Bytes, Lines, Positions, lines, ranges
from probes.fields.read.lost import Lost
from probes.fields.read.names import MAX_COLUMNS, distinct
from probes.fields.read.ndjson import WHOLE, sliced, typed
from probes.fields.read.ndjson_fast import Mask
from probes.fields.read.records import Records, is_flat, records
from probes.fields.read.seam import BATCH_ROWS, Shard
from probes.fields.read.streams import BrokenStreamError, compressed

MAX_LOOK: Final = 16 << 30
"""Bytes that are looked through for a way to split a file; larger ones with quotes are one shard."""
_QUOTE: Final = 0x22
_RETURN: Final = 0x0D
_TOO_FEW: Final = "fewer fields than the header"
_TOO_MANY: Final = "more fields than the header"
_HEADER: Final = "a file without a header that can be read, and so all of its rows"
_QUOTING: Final = "quotes that RFC 4180 does not allow"
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))", re.DOTALL)
_PLAIN: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are written."""

    delimiter: int
    quoted: bool
    """Fields may be in quotes; otherwise backslashes escape, and `\\N` is null."""


def survey(opened: Opened) -> Survey:
    """The header's columns, and ranges of bytes where the file can be split."""
    found = _header(opened)
    if found is None:
        return Survey((), (), (LeftOut(why=_HEADER, rows=0, places=(opened.listed.path,)),))
    way, names = found
    size = opened.file.size()
    if len(names) > MAX_COLUMNS:
        left_out = LeftOut(why=f"more than {MAX_COLUMNS} columns", rows=0, places=(opened.listed.path,))
        return Survey((), (), (left_out,))
    whole = compressed(opened.file) is not None or (size > RANGE and way.quoted and not _splits(opened))
    return Survey(names, ((0, size),) if whole else ranges(size))


def read(opened: Opened, shard: Shard) -> Iterator[Piece]:
    """The records of a range of bytes, or of a whole file."""
    found = _header(opened)
    if found is None:
        return
    way, names = found
    fields = _Fields(way, names, opened.lost, line_place(shard))
    header = shard.start == 0
    blocks = ranged(opened, shard)
    for block in records(blocks) if way.quoted else map(_flat, blocks):
        yield from fields.pieces(block, skip=header)
        header = False


def _header(opened: Opened) -> tuple[Dialect, tuple[str, ...]] | None:
    """The first record: how fields are written, and what they are called. None where it cannot be read."""
    try:
        block = next(lines(opened.stream(), BATCH_ROWS, skip=BOM), None)
    except BrokenStreamError:
        return None
    if block is None or not len(block) or block.too_long()[0]:
        return None
    way = dialect(opened.listed.layout, block.bytes_at(0))
    first = next(records(iter([block])), None) if way.quoted else _flat(block)
    if first is None or first.stray:
        return None
    data = first.lines.array()
    split = _split(way, first, data, 0)
    return way, distinct(value.decode("utf-8", "replace") for value in split)


def dialect(layout: str, header: bytes) -> Dialect:
    """By the layout and the file's first line."""
    if layout == "tsv":
        return Dialect(0x09, quoted=header.startswith(b'"'))
    return Dialect(max(b",;\t|", key=lambda mark: header.count(bytes([mark]))), quoted=True)


def _splits(opened: Opened) -> bool:
    """Whether every line of the file closes its quotes. Reads the file, where that is fast."""
    if not opened.local or opened.file.size() > MAX_LOOK:
        return False
    opened.file.seek(0)
    return all(is_flat(block) for block in lines(opened.file, BATCH_ROWS))


def _flat(block: Lines) -> Records:
    numbers = np.arange(len(block))
    return Records(block, block.starts, block.ends, numbers + block.first, np.ones_like(numbers))


class _Fields:
    """Makes rows of records."""

    def __init__(self, way: Dialect, names: tuple[str, ...], lost: Lost, place: Place) -> None:
        self._way = way
        self._names = names
        self._lost = lost
        self._place = place

    def pieces(self, found: Records, *, skip: bool) -> Iterator[Piece]:
        """The rows of some records; `skip` the header."""
        data = found.lines.array()
        keep = np.ones(len(found.starts), np.bool_)
        keep[0] = not skip
        if found.stray:
            self._leave(found, keep, _QUOTING)
            return
        long = (found.ends - found.starts > rows.MAX_VALUE) | (found.ends < found.starts)
        self._leave(found, keep & long, WHOLE)
        keep &= ~long
        ends = _without_return(data, found)
        blank = ends == found.starts
        if len(self._names) > 1:
            keep &= ~blank
        if not self._way.quoted:
            keep &= ~_end_marks(data, found.starts, ends)
        quotes = np.flatnonzero(data == _QUOTE) if self._way.quoted else np.zeros(0, np.int64)
        if len(quotes):
            bad = keep & _misquoted(data, self._way, quotes, found.starts, ends)
            self._leave(found, bad, _QUOTING)
            keep &= ~bad
        marks = np.flatnonzero(data == self._way.delimiter)
        marks = _outside(marks, quotes)
        before = np.searchsorted(marks, found.starts)
        counts = np.searchsorted(marks, ends) - before
        wanted = len(self._names) - 1
        self._leave(found, keep & (counts < wanted), _TOO_FEW)
        self._leave(found, keep & (counts > wanted), _TOO_MANY)
        keep &= counts == wanted
        if keep.any():
            inner = marks[before[keep][:, None] + np.arange(wanted)] if wanted else np.zeros((int(keep.sum()), 0), int)
            yield self._piece(found.lines.data, data, quotes, found.starts[keep], inner, ends[keep])

    def _leave(self, found: Records, which: Mask, why: str) -> None:
        for index in np.flatnonzero(which):
            self._lost.add(why, self._place(int(found.numbers[index])), int(found.spans[index]))

    def _piece(
        self, raw: bytes, data: Bytes, quotes: Positions, starts: Positions, inner: Positions, ends: Positions
    ) -> Piece:
        columns = []
        for index in range(len(self._names)):
            begin = starts if index == 0 else inner[:, index - 1] + 1
            end = ends if index == len(self._names) - 1 else inner[:, index]
            columns.append(self._column(raw, data, quotes, begin, end))
        return Piece(rows.record_batch(self._names, columns, len(starts)))

    def _column(self, raw: bytes, data: Bytes, quotes: Positions, begin: Positions, end: Positions) -> pa.Array:
        if self._way.quoted:
            if not len(quotes):
                return typed(sliced(raw, begin, end, None), text=False)
            inside = (end > begin) & (data[begin] == _QUOTE)
            inner = np.searchsorted(quotes, end) - np.searchsorted(quotes, begin)
            values = sliced(raw, begin + inside, end - inside, None)
            patch = np.flatnonzero(inside & (inner > 2))
            mended = [values[index].as_py().replace(b'""', b'"') for index in map(int, patch)]
        else:
            null = (end - begin == 2) & (data[begin] == 0x5C) & (data[begin + 1] == 0x4E)
            values = sliced(raw, begin, end, ~null)
            escaped = pc.fill_null(pc.match_substring(values, b"\\"), fill_value=False)
            patch = np.flatnonzero(escaped.to_numpy(zero_copy_only=False))
            mended = [_ESCAPE.sub(_unescaped, values[index].as_py()) for index in map(int, patch)]
        if len(patch):
            where = np.zeros(len(begin), np.bool_)
            where[patch] = True
            values = pc.replace_with_mask(values, pa.array(where), pa.array(mended, pa.large_binary()))
        return typed(values, text=False)


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1] is not None:
        return bytes([int(found[1], 16)])
    if found[2] is not None:
        return bytes([int(found[2], 8) & 255])
    return _PLAIN.get(found[3], found[3])


def _without_return(data: Bytes, found: Records) -> Positions:
    """Ends of the records, without a carriage return."""
    some = found.ends > found.starts
    ends: Positions = found.ends - (some & (data[np.maximum(found.ends - 1, 0)] == _RETURN))
    return ends


def _end_marks(data: Bytes, starts: Positions, ends: Positions) -> Mask:
    r"""Lines that are `\.`, with which COPY ends its data."""
    marks: Mask = (ends - starts == 2) & (data[starts] == 0x5C) & (data[starts + 1] == 0x2E)
    return marks


def _outside(marks: Positions, quotes: Positions) -> Positions:
    """The delimiters that are in no quotes. Every record holds an even number of quotes."""
    if not len(quotes):
        return marks
    outside: Positions = marks[np.searchsorted(quotes, marks) % 2 == 0]
    return outside


def _misquoted(data: Bytes, way: Dialect, quotes: Positions, starts: Positions, ends: Positions) -> Mask:
    """Records with a quote that neither opens a field, nor closes one, nor is one of two side by side within."""
    before = np.searchsorted(quotes, starts)
    after = np.searchsorted(quotes, ends)
    order = np.arange(len(quotes))
    opening = order % 2 == 0
    previous = data[np.maximum(quotes - 1, 0)]
    following = data[quotes + 1]
    good = np.where(opening, previous == way.delimiter, following == way.delimiter)
    pair = np.zeros(len(quotes), np.bool_)
    pair[1:] = np.diff(quotes) == 1
    good |= np.where(opening, pair, np.append(pair[1:], False))
    first = before[after > before]
    good[first[quotes[first] == starts[after > before]]] = True
    last = after[after > before] - 1
    good[last[quotes[last] + 1 == ends[after > before]]] = True
    wrong = np.concatenate([[0], np.cumsum(~good)])
    misquoted: Mask = wrong[after] > wrong[before]
    return misquoted


def _split(way: Dialect, found: Records, data: Bytes, index: int) -> list[bytes]:
    """The fields of one record."""
    lost = Lost()
    start, end = int(found.starts[index]), int(_without_return(data, found)[index])
    line = found.lines.data[start:end]
    one = Lines(line + b"\n" + b"\0" * 8, np.array([0]), np.array([len(line)]), 0)
    quotes = np.flatnonzero(one.array() == _QUOTE) if way.quoted else np.zeros(0, np.int64)
    marks = _outside(np.flatnonzero(one.array()[: len(line)] == way.delimiter), quotes)
    names = tuple(map(str, range(len(marks) + 1)))
    for piece in _Fields(way, names, lost, str).pieces(_flat(one), skip=False):
        return [rows.encoded(value or "") for value in (column[0].as_py() for column in piece.rows.columns)]
    return [line]
