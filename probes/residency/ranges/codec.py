"""The index file: bytes to table and back. Pure.

    offset  bytes
         0      8   magic `kcranges`
         8      2   version, 1; all numbers are big-endian
        10     32   SHA-256 of the content
        42      4   length of the content
        46      …   the content, compressed with zlib

    content: 5 lengths of 4 bytes each (of the JSON in bytes; numbers of answers, of entries, of intervals of IPv4, of
    IPv6), then
        JSON                sources and labels
        answers             how many entries each has, a byte each
        entries             length of the prefix of each, a byte each; number of the label of each
        for IPv4 and IPv6   first address of each interval, 4 or 16 planes; number of the answer of each

    Numbers of labels and answers are 2 or 4 bytes wide, as the byte before them says, and then in planes.

Numbers lie in planes (all first bytes, then all second bytes, …), which compresses much better than one after the
other. zlib and not xz: a quarter smaller would take four times as long to load.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate, islice
from operator import lt
from typing import Final

from probes.residency.ranges.describing import MEND, broken, described, description
from probes.residency.ranges.prefixes import BITS
from probes.residency.ranges.seam import RangesError
from probes.residency.ranges.table import FAMILIES, Answers, Cells, Table

MAGIC: Final = b"kcranges"
VERSION: Final = 1
MAX_FILE: Final = 64 << 20
MAX_CONTENT: Final = 96 << 20
MAX_INTERVALS: Final = 4_000_000
"""Of one family."""
_HEAD: Final = struct.Struct(">8sH32sI")
_LENGTHS: Final = struct.Struct(">5I")
_CODES: Final = {array(code).itemsize: code for code in "HIL" if array(code).itemsize in (2, 4)}
"""What numbers of 2 and of 4 bytes are called here."""


def encoded(table: Table) -> bytes:
    """The file's bytes; equal tables have equal bytes. Raises RangesError for more than a file may hold."""
    about = description(table.sources, table.labels)
    starts, entries = table.answers.starts, table.answers
    parts = [
        about,
        bytes(end - start for start, end in zip(starts, islice(starts, 1, None), strict=False)),
        entries.lengths,
        _words(entries.labels),
    ]
    for family in FAMILIES:
        cells = table.cells[family]
        parts += [_planes(b"".join(cells.keys), BITS[family] // 8), _words(cells.holds)]
    counts = [len(table.cells[family].keys) for family in FAMILIES]
    content = _LENGTHS.pack(len(about), len(starts) - 1, len(entries.lengths), *counts) + b"".join(parts)
    if len(content) > MAX_CONTENT or max(counts) > MAX_INTERVALS:
        raise RangesError("the sources together are too large for an index", advice="import fewer, or larger prefixes")
    return _HEAD.pack(MAGIC, VERSION, hashlib.sha256(content).digest(), len(content)) + zlib.compress(content, 9)


def decoded(data: bytes) -> Table:
    """The table of a file. Raises RangesError for whatever `encoded` does not write; what a table gets wrong about one
    answer alone is found when that is looked up."""
    content = _content(data)
    reader = _Reader(content)
    about, answers, entries, *counts = _LENGTHS.unpack(reader.take(_LENGTHS.size))
    if max(counts) > MAX_INTERVALS:
        raise broken("it says that it holds more than it can")
    sources, labels = described(reader.take(about))
    starts = list(accumulate(reader.take(answers), initial=0))
    lengths = reader.take(entries)
    numbers = reader.words(entries)
    if starts[-1] != entries or answers == 0 or starts[1] != 0:
        raise broken("its answers do not fit together")
    cells = {}
    for family, count in zip(FAMILIES, counts, strict=True):
        keys = reader.keys(count, BITS[family] // 8)
        holds = reader.words(count)
        if not keys or any(keys[0]) or not all(map(lt, keys, islice(keys, 1, None))):
            raise broken("its intervals do not fit together")
        cells[family] = Cells(keys, holds)
    if reader.left():
        raise broken("it holds more than it says")
    return Table(sources, labels, Answers(starts, numbers, lengths), cells)


def _content(data: bytes) -> bytes:
    if len(data) < _HEAD.size or not data.startswith(MAGIC):
        raise RangesError("this is no index of ranges", advice=MEND)
    _, version, digest, size = _HEAD.unpack_from(data)
    if version != VERSION:
        raise RangesError(f"the index has format {version}, this keycheck reads {VERSION}", advice=MEND)
    if len(data) > MAX_FILE or size > MAX_CONTENT:
        raise broken("it is too large")
    inflating = zlib.decompressobj()
    try:
        content = inflating.decompress(memoryview(data)[_HEAD.size :], size + 1)
    except zlib.error:
        raise broken("it cannot be decompressed") from None
    if len(content) != size or not inflating.eof or inflating.unused_data:
        raise broken("it is truncated or has something appended")
    if hashlib.sha256(content).digest() != digest:
        raise broken("its digest is another")
    return content


class _Reader:
    """The content from its start; never more than is there."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def left(self) -> int:
        return len(self._content) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left():
            raise broken("it says that it holds more than it does")
        self._at += size
        return self._content[self._at - size : self._at]

    def rows(self, count: int, width: int) -> bytearray:
        """`count` numbers of `width` bytes, out of their planes."""
        planes = self.take(count * width)
        rows = bytearray(len(planes))
        for place in range(width):
            rows[place::width] = planes[place * count : (place + 1) * count]
        return rows

    def words(self, count: int) -> Sequence[int]:
        code = _CODES.get(self.take(1)[0])
        if code is None:
            raise broken("its numbers are of no width")
        words = array(code, bytes(self.rows(count, array(code).itemsize)))
        if sys.byteorder == "little":
            words.byteswap()
        return words

    def keys(self, count: int, width: int) -> tuple[bytes, ...]:
        rows = self.rows(count, width)  # before the format, which a count that is a lie would make gigabytes long
        return struct.unpack(f"{width}s" * count, rows)


def _planes(rows: bytes, width: int) -> bytes:
    return b"".join(rows[place::width] for place in range(width))


def _words(numbers: Sequence[int]) -> bytes:
    """A byte with their width, and the numbers in planes."""
    width = 2 if max(numbers, default=0) < 1 << 16 else 4
    return bytes([width]) + _planes(struct.pack(f">{len(numbers)}{'H' if width == 2 else 'I'}", *numbers), width)
