"""Many lines of JSON of one shape at once, without a Python object per value.

A line is taken apart into its strings (between quotes that no backslash escapes) and the gaps between them. The first
line of a shape becomes a template: which strings are values of which path, and what the bytes between the values are.
Every line whose bytes between the values are the same, up to one number, `true`, `false` or `null` a gap, has the same
keys in the same order: so duplicate and unknown keys need no look-up, as no line can have any that its template does
not. Everything else is left to the slow reader, which is the only judge of what is broken.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from probes.fields.read.lines import PAD, Bytes, Lines, Positions
from probes.fields.read.names import MAX_DEPTH, column
from probes.fields.read.rows import BadRowError, parse

TEMPLATES: Final = 24
"""Shapes that are tried on some thousand lines; rarer ones are read slowly."""
MAX_STRINGS: Final = 4_000
_PRIMITIVE: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_NUMBER_BYTES: Final = np.zeros(256, np.bool_)
_NUMBER_BYTES[np.frombuffer(b"0123456789", np.uint8)] = True
_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C

Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Found:
    """One column over the lines of a `Lines`: where its values lie in the data."""

    starts: Positions
    ends: Positions
    present: Mask
    escaped: bool = False
    """Some of its values may hold backslashes."""


@dataclass(slots=True)
class Matched:
    """What could be read fast."""

    columns: dict[str, Found]
    read: Mask
    """Which lines: all of their values are in `columns`."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """What lies between two values."""

    text: bytes
    """Constant bytes before the value, or after the last."""
    path: str
    """Of the value after it; empty for none."""
    string: int
    """Number of the string that is the value; -1 for a number or word in the gap after the string before."""


@dataclass(frozen=True, slots=True)
class _Template:
    strings: int
    pieces: tuple[_Piece, ...]


def match(lines: Lines) -> Matched:
    """The values of all lines whose shape is one of the commonest."""
    data = lines.array()
    size = len(lines)
    quotes, backslashes = unescaped_quotes(data)
    first = np.searchsorted(quotes, lines.starts)
    counts = np.searchsorted(quotes, lines.ends) - first
    found = Matched({}, np.zeros(size, np.bool_))
    open_ = (counts > 0) & (counts % 2 == 0) & (counts <= 2 * MAX_STRINGS) & ~lines.too_long()
    words = np.ndarray((len(data) - PAD + 1,), "<u8", lines.data, strides=(1,))
    for _ in range(TEMPLATES):
        left = np.flatnonzero(open_)
        if not len(left):
            break
        sample = int(left[0])
        template = _template(lines.bytes_at(sample))
        if template is None or template.strings * 2 != counts[sample]:
            open_[sample] = False
            continue
        alike = left[counts[left] == counts[sample]]
        marks = quotes[first[alike][:, None] + np.arange(template.strings * 2)]
        good = _apply(template, lines, data, words, alike, marks, found, size, bool(len(backslashes)))
        open_[sample] = False
        open_[good] = False
        found.read[good] = True
    return found


def unescaped_quotes(data: Bytes) -> tuple[Positions, Positions]:
    """Where quotes are that no backslash escapes; where backslashes are."""
    quotes = np.flatnonzero(data == _QUOTE)
    backslashes = np.flatnonzero(data == _BACKSLASH)
    if not len(backslashes) or not len(quotes):
        return quotes, backslashes
    after = np.flatnonzero(data[np.maximum(quotes - 1, 0)] == _BACKSLASH)
    after = after[quotes[after] > 0]
    # an odd run of backslashes before a quote escapes it
    begins = np.empty(len(backslashes), np.bool_)
    begins[0] = True
    begins[1:] = np.diff(backslashes) != 1
    run = backslashes[begins][np.cumsum(begins) - 1]
    at = np.searchsorted(backslashes, quotes[after] - 1)
    odd = (quotes[after] - run[at]) % 2 == 1
    keep = np.ones(len(quotes), np.bool_)
    keep[after[odd]] = False
    return quotes[keep], backslashes


def _same(words: npt.NDArray[np.uint64], at: Positions, text: bytes) -> Mask:
    """At which of the places these bytes stand. No place may be within `len(text)` bytes of the data's end."""
    same = np.ones(len(at), np.bool_)
    for offset in range(0, len(text), PAD):
        piece = text[offset : offset + PAD]
        wanted = np.uint64(int.from_bytes(piece, "little"))
        word = words[at + offset]
        if len(piece) < PAD:
            word = word & np.uint64((1 << (8 * len(piece))) - 1)
        same &= word == wanted
    return same


def _apply(
    template: _Template,
    lines: Lines,
    data: Bytes,
    words: npt.NDArray[np.uint64],
    alike: Positions,
    marks: Positions,
    found: Matched,
    size: int,
    backslashes: bool,
) -> Positions:
    """Write down the values of the lines that fit the template; those lines."""
    ok = np.ones(len(alike), np.bool_)
    # `end` is where the value before ended: what is between it and the next value must be the template's
    end: Positions = lines.starts[alike]
    values: list[tuple[str, Positions, Positions, Mask | None]] = []
    limit = lines.ends[alike]
    for piece in template.pieces:
        if piece.string >= 0:
            start = marks[:, 2 * piece.string] + 1
        elif piece.path:
            start = end + len(piece.text)
        else:
            start = limit
        ok &= ((start - end) == len(piece.text)) & (start <= limit)
        inside = np.where(ok, end, 0)
        ok &= _same(words, inside, piece.text)
        if not piece.path:
            continue
        if piece.string >= 0:
            end = marks[:, 2 * piece.string + 1]
            values.append((piece.path, start, end, None))
            continue
        end, some, fits = _primitive(data, words, np.where(ok, start, 0), limit)
        ok &= fits
        values.append((piece.path, start, end, some))
    good = alike[ok]
    for path, starts, ends, present in values:
        into = found.columns.get(path)
        if into is None:
            if len(good) == size:
                found.columns[path] = Found(
                    starts, ends, np.ones(size, np.bool_) if present is None else present, backslashes
                )
                continue
            into = found.columns[path] = Found(
                lines.starts.copy(), lines.starts.copy(), np.zeros(size, np.bool_), backslashes
            )
        into.starts[good] = starts[ok]
        into.ends[good] = ends[ok]
        into.present[good] = True if present is None else present[ok]
    return good


def _primitive(
    data: Bytes, words: npt.NDArray[np.uint64], at: Positions, limit: Positions
) -> tuple[Positions, Mask, Mask]:
    """Numbers and words at these places: their ends, whether they are more than `null`, whether they are such."""
    end = at.copy()
    null = _same(words, np.minimum(at, len(words) - 1), b"null")
    true = _same(words, np.minimum(at, len(words) - 1), b"true")
    false = _same(words, np.minimum(at, len(words) - 1), b"false")
    end[null | true] += 4
    end[false] += 5
    fits = null | true | false
    left = np.flatnonzero(~fits)
    if len(left):
        length, number = _numbers(data, at[left])
        end[left] += length
        fits[left] = number
    return end, ~null, fits & (end <= limit)


def _numbers(data: Bytes, at: Positions) -> tuple[Positions, Mask]:
    """Integers, vectorised; what has a sign, a fraction or an exponent, one by one."""
    length = np.zeros(len(at), np.int64)
    going = np.ones(len(at), np.bool_)
    limit = len(data) - 1
    for _ in range(20):
        place = np.minimum(at + length, limit)
        going &= _NUMBER_BYTES[data[place]]
        if not going.any():
            break
        length += going
    after = data[np.minimum(at + length, limit)]
    zero = (data[np.minimum(at, limit)] == 0x30) & (length > 1)
    odd = (length == 0) | zero | going | np.isin(after, np.frombuffer(b".eE+-", np.uint8))
    good = ~odd
    view = memoryview(data.data)
    for index in np.flatnonzero(odd):
        start = int(at[index])
        number = _PRIMITIVE.match(view, start)
        good[index] = number is not None
        length[index] = number.end() - start if number else 0
    return length, good


def _template(line: bytes) -> _Template | None:
    """The shape of a line; None for a line that is broken, or has lists, whose lengths differ from line to line."""
    try:
        if parse(line) is None:
            return None
    except BadRowError:
        return None
    return _Walk(line).run()


class _Walk:
    """Over the tokens of a line that is known to be one JSON object."""

    _TOKEN: Final = re.compile(rb'[ \t\r\n]+|"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^ \t\r\n"{}\[\]:,]+', re.DOTALL)

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._pieces: list[_Piece] = []
        self._from = 0
        """End of the last value."""

    def run(self) -> _Template | None:
        names: list[str] = []
        key: str | None = None
        strings = 0
        for token in self._TOKEN.finditer(self._line):
            text = token.group()
            if text.isspace() or text in (b":", b","):
                continue
            if text == b"[" or text == b"]" or len(names) > MAX_DEPTH:
                return None
            if text == b"{":
                names.append("" if not names else f"{names[-1]}{key}.")
                key = None
            elif text == b"}":
                names.pop()
                key = None
            elif text.startswith(b'"'):
                strings += 1
                if key is None:
                    key = json.loads(text.decode("utf-8", "surrogateescape"), strict=False)
                else:
                    self._value(names[-1] + key, token.start() + 1, token.end() - 1, strings - 1)
                    key = None
            else:
                if key is None or _PRIMITIVE.fullmatch(text) is None:
                    return None
                self._value(names[-1] + key, token.start(), token.end(), -1)
                key = None
        paths = [piece.path for piece in self._pieces]
        if len(set(paths)) < len(paths):
            # one of the two is null on this line, and perhaps not on the next
            return None
        self._pieces.append(_Piece(self._line[self._from :], "", -1))
        return _Template(strings, tuple(self._pieces))

    def _value(self, path: str, start: int, end: int, string: int) -> None:
        self._pieces.append(_Piece(self._line[self._from : start], column(path), string))
        self._from = end
