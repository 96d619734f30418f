"""Every line of a log attributed: one line out for each line in, in bounded memory."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from socket import AF_INET, inet_pton
from typing import BinaryIO, Final, Protocol

from probes.residency.ranges.index import Index, packed
from probes.residency.ranges.seam import RangesError
from probes.residency.ranges.wording import Style, frame, malformed

BLOCK: Final = 1 << 20
MAX_LINE: Final = 1 << 16
"""A longer line is malformed."""
_SEPARATORS: Final = (None, "\t", ";", ",", "|")
_ANY: Final = re.compile(r"[\s;,|]+")
_TRIM: Final = " \t\r\"'"
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](?::\d{1,5})?|(\d[\d.]{5,14}):\d{1,5}")


class Incoming(Protocol):
    """What a log is read from, such as `sys.stdin.buffer`."""

    def read1(self, size: int, /) -> bytes:
        """What is there, at most `size` bytes; empty at the end."""
        ...


@dataclass(slots=True)
class Counts:
    """Lines that were read."""

    lines: int = 0
    malformed: int = 0
    no_source: int = 0
    """With an address that no source holds."""


@dataclass(frozen=True, slots=True)
class Column:
    """Where in a line the address stands: column `number`, counted from 1, of those that `separator` parts; None:
    white space of any length."""

    number: int
    separator: str | None

    def of(self, line: str) -> str:
        """Raises IndexError."""
        return line.split(self.separator, self.number)[self.number - 1]


class FlowLog:
    """Attributes the lines of one log.

    The column is the first that holds an address in the first line that has one, and the same in every line after it;
    or the one that was named. A line without an address there is malformed: counted, and marked in its place.
    """

    def __init__(self, index: Index, style: Style, column: int | None = None) -> None:
        self.counts = Counts()
        self.column: Column | None = None
        self._index = index
        self._style: Style = style
        self._wanted = column
        self._keys = index.table.cells[4].keys
        self._after: dict[int, dict[int, str]] = {4: {}, 6: {}}
        self._empty: dict[int, set[int]] = {4: set(), 6: set()}
        self._before = frame((), style)[0]
        self._malformed = malformed(style)

    def run(self, source: Incoming, out: BinaryIO) -> None:
        """From start to end. Raises OSError, RangesError (the index is damaged)."""
        for lines in blocks(source):
            out.write(self.block(lines).encode("ascii"))
            out.flush()  # somebody may be watching

    def block(self, lines: list[str]) -> str:
        """The lines for some lines, each with its line feed."""
        self.counts.lines += len(lines)
        first = 0
        while self.column is None and first < len(lines):
            self.column = _found(lines[first], self._wanted)
            first += self.column is None
        self.counts.malformed += first
        said = [self._malformed] * first
        if (column := self.column) is not None:
            said += self._quickly(lines[first:], column)
        return "\n".join([*said, ""])

    def _quickly(self, lines: list[str], column: Column) -> list[str]:
        """All at once where every line has an IPv4 address, which is nearly always."""
        number, separator, at = column.number, column.separator, column.number - 1
        try:
            texts = [line.split(separator, number)[at] for line in lines]
            places = [bisect_right(self._keys, key) - 1 for key in map(inet_pton, repeat(AF_INET), texts)]
        except (OSError, ValueError, IndexError):
            return [self._one(line, column) for line in lines]
        after, before = self._after[4], self._before
        for place, count in Counter(places).items():
            if place not in after:
                self._say(4, place)
            if place in self._empty[4]:
                self.counts.no_source += count
        return [f"{before}{text}{after[place]}" for text, place in zip(texts, places, strict=True)]

    def _one(self, line: str, column: Column) -> str:
        found = _address(line, column)
        if found is None:
            self.counts.malformed += 1
            return self._malformed
        family, place = self._index.find(found[1])
        if place not in self._after[family]:
            self._say(family, place)
        self.counts.no_source += place in self._empty[family]
        return f"{self._before}{found[0]}{self._after[family][place]}"

    def _say(self, family: int, place: int) -> None:
        """Keep what stands after every address of an interval."""
        answer = self._index.answer(family, place)
        self._after[family][place] = frame(answer, self._style)[1]
        if not answer:
            self._empty[family].add(place)


def _found(line: str, wanted: int | None) -> Column | None:
    """The column of the line's first address, or the separator by which the wanted column holds one."""
    if wanted is not None:
        columns = [Column(wanted, separator) for separator in _SEPARATORS]
        return next((column for column in columns if _address(line, column) is not None), None)
    # What is first is seen with all separators at once: `192.0.2.1, 192.0.2.9` has the second one in a column of its
    # own by white space, and the first one only by commas.
    first = next((found for word in _ANY.split(line) if (found := _clean(word)) is not None), None)
    if first is None:
        return None
    for separator in _SEPARATORS:
        for number, cell in enumerate(line.split(separator), 1):
            if (found := _clean(cell)) is not None:
                if found == first:
                    return Column(number, separator)
                break
    return None


def _address(line: str, column: Column) -> tuple[str, bytes] | None:
    try:
        return _clean(column.of(line))
    except (IndexError, ValueError):
        return None


def _clean(cell: str) -> tuple[str, bytes] | None:
    """An address without quotes and port, also in network order."""
    text = cell.strip(_TRIM)
    if (ported := _WITH_PORT.fullmatch(text)) is not None:
        text = ported[1] or ported[2]
    try:
        return text, packed(text)
    except RangesError:
        return None


def blocks(source: Incoming) -> Iterator[list[str]]:
    """The lines of a stream, without line feeds, some at a time; empty in place of a line that is too long."""
    rest, dropping = "", False
    while data := source.read1(BLOCK):
        lines = (rest + data.decode("latin-1")).split("\n")
        rest = lines.pop()
        if lines and dropping:
            lines[0], dropping = "", False
        if len(rest) > MAX_LINE:
            rest, dropping = "", True
        if lines:
            if max(map(len, lines)) > MAX_LINE:
                lines = [line if len(line) <= MAX_LINE else "" for line in lines]
            yield lines
    if rest or dropping:
        yield [rest if not dropping else ""]
