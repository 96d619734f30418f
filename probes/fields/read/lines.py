"""Lines of a range of bytes, some thousands at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from probes.fields.read.streams import Reader

MAX_LINE: Final = 16 << 20
RANGE: Final = 32 << 20
"""Bytes of one shard."""
FIRST: Final = 1 << 20
SMALLEST: Final = 1 << 18
LARGEST: Final = 8 << 20
"""Bytes that are read at once: about as many lines as are wanted."""
PAD: Final = 8
"""Bytes after the last line, so that eight can be read at any place."""
_TAIL: Final = b"\n" + b"\0" * PAD
_NEWLINE: Final = 10

Positions: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Lines:
    """Some whole lines that follow each other."""

    data: bytes
    """The lines, perhaps more, and `PAD` bytes at least after the last line."""
    starts: Positions
    ends: Positions
    """Without the line's newline."""
    first: int
    """Number of the first line, counted from where reading began."""
    complete: bool = True
    """False: the last line is the file's last and has no newline."""

    def __len__(self) -> int:
        return len(self.starts)

    def too_long(self) -> npt.NDArray[np.bool_]:
        """Which lines are over `MAX_LINE`; of those that were not even held, nothing is known."""
        sizes = self.ends - self.starts
        return (sizes > MAX_LINE) | (sizes < 0)

    def bytes_at(self, index: int) -> bytes:
        """One line."""
        return self.data[int(self.starts[index]) : int(self.ends[index])]

    def array(self) -> Bytes:
        """All bytes, padding included."""
        return np.frombuffer(self.data, np.uint8)


def ranges(size: int, unit: int = RANGE) -> tuple[tuple[int, int], ...]:
    """The shards of a file of `size` bytes. A line belongs to the range in which its first byte lies."""
    return tuple((start, min(start + unit, size)) for start in range(0, size, unit))


def lines(reader: Reader, rows: int, start: int = 0, end: int | None = None, skip: bytes = b"") -> Iterator[Lines]:
    """The lines whose first byte lies in [start, end), about `rows` at a time.

    `reader` stands at `start - 1`, or at 0 where `start` is 0. `skip` is left out at the file's very start (a byte
    order mark). Lines over `MAX_LINE` come as empty `Lines` of one line whose end is before its start. Memory: two such
    lines. Raises what reading raises.
    """
    return _Cutter(reader, rows, start, end, skip).run()


class _Cutter:
    def __init__(self, reader: Reader, rows: int, start: int, end: int | None, skip: bytes) -> None:
        self._reader = reader
        self._rows = rows
        self._start = start
        self._end = end
        self._skip = skip
        self._held = b""
        """What was read and is no whole line yet."""
        self._at = max(0, start - 1)
        """Offset in the file of the first byte that is held."""
        self._line = 0
        self._size = FIRST

    def run(self) -> Iterator[Lines]:
        if self._start > 0 and not self._drop_line():
            return
        over = False
        while not over and (self._end is None or self._at < self._end):
            data = self._reader.read(self._size)
            over = not data
            if self._skip and self._at == 0 and not self._held:
                # whole in any first read, as no reader gives less than three bytes where there are more
                self._at = len(self._skip) if data.startswith(self._skip) else 0
                data = data.removeprefix(self._skip)
            found = self._cut(data, bare=over)
            if found is not None:
                yield found
                # a little less, so that what is read does not fall into a whole batch and a scrap
                wanted = len(found.data) * self._rows * 7 // (8 * len(found))
                self._size = min(max(wanted, SMALLEST), LARGEST)
                self._line += len(found)
            elif len(self._held) > MAX_LINE:
                yield Lines(_TAIL, np.array([0]), np.array([-1]), self._line)
                self._line += 1
                over = not self._drop_line()

    def _drop_line(self) -> bool:
        """Leave out everything up to and with the next newline; False at the end."""
        while (found := self._held.find(b"\n")) < 0:
            self._at += len(self._held)
            self._held = self._reader.read(FIRST)
            if not self._held:
                return False
        self._held = self._held[found + 1 :]
        self._at += found + 1
        return True

    def _cut(self, data: bytes, bare: bool) -> Lines | None:
        """The whole lines that begin before the end. `bare`: the last needs no newline, as nothing follows it."""
        size = len(self._held) + len(data)
        buffer = b"".join((self._held, data, _TAIL))
        ends = np.flatnonzero(np.frombuffer(buffer, np.uint8, size) == _NEWLINE)
        bare = bare and size > (int(ends[-1]) + 1 if len(ends) else 0)
        if bare:
            ends = np.append(ends, size)
        starts = np.zeros_like(ends)
        starts[1:] = ends[:-1] + 1
        if self._end is not None:
            count = int(np.searchsorted(starts, self._end - self._at))
            bare = bare and count == len(ends)
            starts, ends = starts[:count], ends[:count]
        if not len(ends):
            self._held = buffer[:size]
            return None
        used = min(size, int(ends[-1]) + 1)
        self._held = buffer[used:size]
        self._at += used
        return Lines(buffer, starts, ends, self._line, not bare)
