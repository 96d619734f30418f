"""Arrays of JSON objects, and JSON objects over many lines, as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from probes.fields.read.layouts import BOM, Opened, Piece, Survey
from probes.fields.read.lines import LARGEST, MAX_LINE, PAD, Lines, Positions
from probes.fields.read.lost import Lost
from probes.fields.read.ndjson import Objects
from probes.fields.read.ndjson_fast import unescaped_quotes
from probes.fields.read.seam import BATCH_ROWS, Shard
from probes.fields.read.streams import BrokenStreamError

WINDOW: Final = 1 << 7
"""Bytes that are split at first; twice as many each time that nothing ends in them, and anew after an array: many small
arrays one after the other must not have all that is held split for each."""
_SPACE: Final = b" \t\r\n"
_ONE: Final = np.zeros(256, np.int64)
_ONE[[0x5B, 0x7B]] = 1
_ONE[[0x5D, 0x7D]] = -1


def survey(opened: Opened) -> Survey:
    """The columns of the first elements; one shard, as only its beginning tells what is inside of what."""
    found: dict[str, None] = {}
    objects = Objects(Lost(), str)
    for block in _Elements(opened, Lost()).run():
        for piece in objects.pieces(block):
            found.update(dict.fromkeys(piece.rows.schema.names))
        break
    return Survey(tuple(found), ((0, opened.file.size()),))


def read(opened: Opened, shard: Shard) -> Iterator[Piece]:
    """The objects in their order."""
    objects = Objects(opened.lost, lambda number: f"{shard.file.path}:element {number}")
    for block in _Elements(opened, opened.lost).run():
        yield from objects.pieces(block)


class _Elements:
    def __init__(self, opened: Opened, lost: Lost) -> None:
        self._path = opened.listed.path
        self._lost = lost
        self._reader = opened.stream()
        self._held = b""
        self._element = 0
        self._in_array = False
        self._window = WINDOW

    def run(self) -> Iterator[Lines]:
        """Elements, as if each were a line."""
        over = False
        while not over:
            try:
                data = self._reader.read(LARGEST // 2)
            except BrokenStreamError as error:
                self._lost.add(f"{error}: nobody knows how many rows", self._path, 0)
                return
            over = not data
            self._held += data
            yield from self._cut()
            if len(self._held) > MAX_LINE:
                self._lost.add("element longer than 16 MiB, and what follows it", self._path, 0)
                return
        if self._held.strip(_SPACE) or self._in_array:
            self._lost.add("cut off", f"{self._path}:element {self._element}", bool(self._held.strip(_SPACE)))

    def _cut(self) -> Iterator[Lines]:
        """Whole elements; what is left of `_held` begins with one."""
        self._held = self._held.removeprefix(BOM)
        at, over = 0, False
        while not over:
            if not self._in_array:
                at = len(self._held) - len(self._held[at:].lstrip(_SPACE)) if self._held[at : at + 1].isspace() else at
                if self._held.startswith(b"[", at):
                    self._in_array = True
                    at += 1
            end = at + self._window
            starts, ends, used, closed = _split(self._held[at:end], self._in_array)
            yield from self._lines(starts + at, ends + at)
            at += used
            self._in_array &= not closed
            self._window = WINDOW if closed else min(2 * self._window, LARGEST)
            over = not closed and end >= len(self._held)
        self._held = self._held[at:]

    def _lines(self, starts: Positions, ends: Positions) -> Iterator[Lines]:
        for at in range(0, len(starts), BATCH_ROWS):
            some, others = starts[at : at + BATCH_ROWS], ends[at : at + BATCH_ROWS]
            base = int(some[0])
            data = self._held[base : int(others[-1])] + b"\n" + b"\0" * PAD
            yield Lines(data, some - base, others - base, self._element)
            self._element += len(some)


def _split(data: bytes, in_array: bool) -> tuple[Positions, Positions, int, bool]:
    """Starts and ends of the whole elements, bytes used, and whether the array ends there. `data` begins with one."""
    raw = np.frombuffer(data, np.uint8)
    quotes, _ = unescaped_quotes(raw)
    steps = _ONE[raw]
    marks = np.flatnonzero((steps != 0) | (raw == 0x2C))
    marks = marks[np.searchsorted(quotes, marks) % 2 == 0]
    depth = np.cumsum(steps[marks])
    closed = False
    if in_array:
        below = np.flatnonzero(depth < 0)
        if len(below):
            closed = True
            marks, depth = marks[: below[0] + 1], depth[: below[0] + 1]
        ends = marks[((raw[marks] == 0x2C) & (depth == 0)) | (depth < 0)]
        starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)].astype(np.int64)
        used = int(ends[-1]) + 1 if len(ends) else 0
        if closed and not data[int(starts[-1]) : int(ends[-1])].strip(_SPACE):
            starts, ends = starts[:-1], ends[:-1]
        return starts, ends, used, closed
    ends = marks[(depth <= 0) & (steps[marks] == -1)] + 1
    starts = np.concatenate([[0], ends[:-1]])[: len(ends)].astype(np.int64)
    return starts, ends, int(ends[-1]) if len(ends) else 0, False
