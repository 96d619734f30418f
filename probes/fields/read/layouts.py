"""What the reader of a layout is given and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import pyarrow as pa

from probes.fields.facts import LeftOut
from probes.fields.read.lines import Lines, lines
from probes.fields.read.lost import Lost
from probes.fields.read.seam import BATCH_ROWS, ExportFile, Shard
from probes.fields.read.streams import BrokenStreamError, File, Reader, compressed, decompressed


@dataclass(slots=True)
class Piece:
    """Rows as a reader makes them."""

    rows: pa.RecordBatch
    numbers: pa.Array | None = None
    """Of further elements of lists: of which row each is, counted from the first of the rows before."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look at a file shows."""

    columns: tuple[str, ...]
    ranges: tuple[tuple[int, int], ...]
    """Start and end of each shard."""
    left_out: tuple[LeftOut, ...] = ()


@dataclass(slots=True)
class Opened:
    """One file that is being read."""

    listed: ExportFile
    file: File
    local: bool
    """Reading all of it costs little."""
    lost: Lost = field(default_factory=Lost)

    def stream(self) -> Reader:
        """Its bytes from the start, decompressed."""
        return decompressed(self.file)


BOM: Final = b"\xef\xbb\xbf"


class Layout(Protocol):
    """The reader of one layout: a module."""

    def survey(self, opened: Opened) -> Survey:
        """Columns and shards, by a bounded look. Raises what reading raises."""

    def read(self, opened: Opened, shard: Shard) -> Iterator[Piece]:
        """The rows of a shard; what is left out goes to `opened.lost`. Raises what reading raises."""


Place = Callable[[int], str]
"""Where the line of this number is."""


def line_place(shard: Shard) -> Place:
    """Places of lines, counted from the shard's start."""
    return lambda number: f"{shard.file.path}[byte {shard.start}]:line {number}"


def ranged(opened: Opened, shard: Shard) -> Iterator[Lines]:
    """The lines of a shard. What cannot be had of them is left out."""
    end: int | None
    if compressed(opened.file):
        reader, start, end = opened.stream(), 0, None
    else:
        reader, start, end = opened.file, shard.start, shard.end
        opened.file.seek(max(0, start - 1))
    try:
        yield from lines(reader, BATCH_ROWS, start, end, BOM)
    except BrokenStreamError as error:
        opened.lost.add(f"{error}: nobody knows how many rows", shard.file.path, 0)
