"""Records of CSV: lines, put together where quotes are open at a line's end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from probes.fields.read.lines import MAX_LINE, PAD, Lines, Positions

_QUOTE = 0x22


@dataclass(frozen=True, slots=True)
class Records:
    """Some whole records that follow each other, as places in `lines.data`."""

    lines: Lines
    starts: Positions
    ends: Positions
    numbers: Positions
    """Of the line that each begins on."""
    spans: Positions
    """How many lines each takes."""
    stray: bool = False
    """It is one line whose quote nothing closes."""


def records(blocks: Iterator[Lines]) -> Iterator[Records]:
    """The records of a stream of lines. A quote that is not closed within 16 MiB costs the line that it is on, and what
    follows is read as if that line were not there."""
    held: Lines | None = None
    for block in blocks:
        now = block if held is None else _joined(held, block)
        held = None
        while True:
            found, rest = _grouped(now)
            if len(found.starts):
                yield found
            if rest is None:
                break
            if int(rest.ends[-1]) <= MAX_LINE:
                held = rest
                break
            first, now = _without_first(rest)
            yield first
    while held is not None:
        first, now = _without_first(held)
        yield first
        found, held = _grouped(now)
        if len(found.starts):
            yield found


def is_flat(lines: Lines) -> bool:
    """Whether every line has an even number of quotes, so that records are lines."""
    return not len(_odd(lines))


def _odd(lines: Lines) -> Positions:
    if b'"' not in lines.data:
        return np.zeros(0, np.int64)
    quotes = np.flatnonzero(lines.array() == _QUOTE)
    counts = np.searchsorted(quotes, lines.ends) - np.searchsorted(quotes, lines.starts)
    return np.flatnonzero(counts % 2 == 1)


def _grouped(lines: Lines) -> tuple[Records, Lines | None]:
    """The whole records, and the lines from an open quote on."""
    odd = _odd(lines)
    count = len(lines)
    rest = None
    if len(odd) % 2:
        rest = _tail(lines, int(odd[-1]))
        count = int(odd[-1])
        odd = odd[:-1]
    begins = np.ones(count, np.bool_)
    for opening, closing in zip(odd[0::2], odd[1::2], strict=True):
        begins[opening + 1 : closing + 1] = False
    first = np.flatnonzero(begins)
    last = np.append(first[1:], count)[: len(first)] - 1
    return Records(lines, lines.starts[first], lines.ends[last], first + lines.first, last - first + 1), rest


def _tail(lines: Lines, index: int) -> Lines:
    base = int(lines.starts[index])
    return Lines(
        lines.data[base:], lines.starts[index:] - base, lines.ends[index:] - base, lines.first + index, lines.complete
    )


def _without_first(lines: Lines) -> tuple[Records, Lines]:
    one = np.array([0])
    first = Records(lines, lines.starts[:1], lines.ends[:1], one + lines.first, one + 1, stray=True)
    if len(lines) > 1:
        return first, _tail(lines, 1)
    return first, Lines(b"\0" * PAD, np.zeros(0, np.int64), np.zeros(0, np.int64), lines.first + 1)


def _joined(held: Lines, block: Lines) -> Lines:
    body = held.data[: int(held.ends[-1]) + 1]
    return Lines(
        body + block.data,
        np.concatenate([held.starts, block.starts + len(body)]),
        np.concatenate([held.ends, block.ends + len(body)]),
        held.first,
        block.complete,
    )
