"""Text of any kind: each line a row of the one column `line`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from probes.fields.read import rows
from probes.fields.read.layouts import Opened, Piece, Survey, line_place, ranged
from probes.fields.read.lines import ranges
from probes.fields.read.ndjson import WHOLE, sliced, typed
from probes.fields.read.seam import Shard
from probes.fields.read.streams import compressed

COLUMN: Final = "line"


def survey(opened: Opened) -> Survey:
    """Ranges of bytes."""
    size = opened.file.size()
    return Survey((COLUMN,), ((0, size),) if compressed(opened.file) else ranges(size))


def read(opened: Opened, shard: Shard) -> Iterator[Piece]:
    """The lines, empty ones too, as a log's line numbers count them."""
    place = line_place(shard)
    for block in ranged(opened, shard):
        long = block.too_long()
        for index in np.flatnonzero(long):
            opened.lost.add(WHOLE, place(block.first + int(index)))
        kept = ~long
        if kept.any():
            values = sliced(block.data, block.starts[kept], block.ends[kept], None)
            yield Piece(rows.record_batch([COLUMN], [typed(values, text=False)], int(kept.sum())))
