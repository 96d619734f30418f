"""Text that is surely plaintext, many values at once: what `recognise.classify` says of it, without asking.

Sure is printable text that begins as no format does and holds a character that no encoding and no list of encoded
parts has: nothing can be peeled off it then, and no parser takes it. In a column in which no format is expected two
more rules stand in front of `classify`, for the slow path as well: text of at most 21 bytes is plaintext, as what it
decodes to holds neither a block nor a tag; and a UUID is opaque.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from probes.fields.scan.arrays import Cells, as_text
from probes.fields.scan.classing import Walked
from probes.fields.scan.hashing import PAD, Longs, Regions, words32
from probes.fields.scan.result import OPAQUE, PLAINTEXT, Shape

SHORT: Final = 21
"""Bytes of text that decode to fewer than 16."""
_PLAIN: Final = Shape(PLAINTEXT)
_UUID_BYTES: Final = [at for at in range(0, 36, 1) if at not in (8, 13, 18, 23)]
_RANDOM: Final = [0, 1, 2, 3, 4, 5, 7, *range(9, 16)]
"""Bytes of a random UUID (RFC 9562, 5.4) without those that hold its version and its variant."""

_ODD, _SPECIAL, _WIDE, _SPLIT = 1, 2, 4, 8
_SPLITS: Final = b":.$|,;~"


def _table() -> NDArray[np.uint8]:
    """What each byte says of a text that holds it."""
    table = np.full(256, _ODD, np.uint8)
    table[0x20:0x7F] = 0
    table[list(b"@!?()'#%&*<>[]^`")] = _SPECIAL
    table[list(_SPLITS)] = _SPLIT
    table[0x80:] = _WIDE
    return table


_TABLE: Final = _table().tobytes()
# What a format, or an encoding that is not an alphabet, begins with: first two bytes that are looked at more closely.
_BEGINS: Final = r"^(?:eyJ|\{|vault:|v[0-9]|fips|brng|nacl|ENC|\$|k8s:|gAAAA|age-|-----|def5|PAR|Salted|\"|\\|0[xX])"


def _begins() -> NDArray[np.bool_]:
    table = np.zeros(1 << 16, np.bool_)
    for pair in (
        b"ey",
        b"va",
        b"fi",
        b"br",
        b"na",
        b"EN",
        b"k8",
        b"gA",
        b"ag",
        b"--",
        b"de",
        b"PA",
        b"Sa",
        b"0x",
        b"0X",
    ):
        table[pair[0] | pair[1] << 8] = True
    for digit in b"0123456789":
        table[ord("v") | digit << 8] = True
    for first in b'{$"\\':
        table[first::256] = True
    return table


_SUSPECT: Final = _begins()
_TEXT: Final = "^[ -~À-ÖØ-öø-ÿ]+$"
_SEPARATE: Final = "[:.$|,;~]"
_NOT_PARTS: Final = (
    # An empty part, or one that is too short to be random and is no tag of a version or an algorithm.
    rf"^{_SEPARATE}|{_SEPARATE}$|{_SEPARATE}{{2}}"
    rf"|(?:^|{_SEPARATE})(?:[^:.$|,;~aAcCxXeEvV0-9][^:.$|,;~]{{0,9}}|[0-9][^:.$|,;~]{{3,9}})(?:$|{_SEPARATE})"
)
_IS_UUID: Final = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"


def surely(values: Cells, *, expected: bool) -> tuple[Longs, Longs]:
    """Numbers of the values that are surely plaintext, and of those that are UUIDs. `expected`: the column has a
    format, and only what `classify` would say of any value counts."""
    regions = values.regions
    flags = _flags(regions)
    head = words32(regions.buffer)[regions.start] & np.uint32(0xFFFF)
    suspect = _SUSPECT[head]
    ascii_ = (flags & (_ODD | _WIDE)) == 0
    sure = ascii_ & ((flags & _SPECIAL) != 0) & ~suspect
    if not expected:
        sure |= ascii_ & (regions.length <= SHORT) & ~suspect
    left = np.flatnonzero(~sure & ((flags & _ODD) == 0))
    uuids = np.empty(0, np.int64)
    if len(left):
        sure, uuids = _closer(values, sure, left, flags, suspect, expected)
    return np.flatnonzero(sure), uuids


def _closer(
    values: Cells,
    sure: NDArray[np.bool_],
    left: Longs,
    flags: NDArray[np.uint8],
    suspect: NDArray[np.bool_],
    expected: bool,
) -> tuple[NDArray[np.bool_], Longs]:
    """By regular expressions, what the bytes alone do not decide."""
    lengths = values.regions.length
    uuids = np.empty(0, np.int64)
    if not expected:
        likely = left[lengths[left] == 36]
        if len(likely):
            uuids = likely[_matching(values, likely, _IS_UUID)]
            left = np.setdiff1d(left, uuids, assume_unique=True)
    hopeful = left[(flags[left] & (_SPECIAL | _SPLIT | _WIDE)) != 0] if expected else left
    if not len(hopeful):
        return sure, uuids
    said = flags[hopeful]
    good = np.ones(len(hopeful), np.bool_)
    # Of printable ASCII that begins as nothing does the first two are known.
    closer = np.flatnonzero(((said & _WIDE) != 0) | suspect[hopeful])
    if len(closer):
        texts = _texts(values, hopeful[closer])
        good[closer] = _contains(texts, _TEXT) & ~_contains(texts, _BEGINS)
    decided = ((said & (_SPECIAL | _WIDE)) != 0) | ((lengths[hopeful] <= SHORT) & (not expected))
    good &= decided | ((said & _SPLIT) != 0)
    open_ = np.flatnonzero(good & ~decided)
    if len(open_):
        good[open_] = _matching(values, hopeful[open_], _NOT_PARTS)
    sure[hopeful[good]] = True
    return sure, uuids


def _flags(regions: Regions) -> NDArray[np.uint8]:
    """Of each value: what its bytes say together. No value is empty."""
    first, last = int(regions.start[0]), int(regions.start[-1] + regions.length[-1])
    ends = regions.start + regions.length
    if (regions.start[1:] == ends[:-1]).all():
        said = _said(regions.buffer[first:last])
        return np.asarray(np.bitwise_or.reduceat(said, regions.start - first), np.uint8)
    said = _said(regions.buffer)
    bounds = np.stack((regions.start, ends), axis=1).reshape(-1)
    return np.asarray(np.bitwise_or.reduceat(said, bounds)[::2], np.uint8)


def _said(buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.frombuffer(buffer.tobytes().translate(_TABLE), np.uint8)


def _texts(values: Cells, chosen: Longs) -> pl.Series:
    return as_text(values.series().gather(chosen))


def _contains(texts: pl.Series, pattern: str) -> NDArray[np.bool_]:
    told = texts.str.contains(pattern)
    return np.asarray((told.fill_null(False) if told.null_count() else told).to_numpy(), np.bool_)


def _matching(values: Cells, chosen: Longs, pattern: str) -> NDArray[np.bool_]:
    return _contains(_texts(values, chosen), pattern)


class PlainPath:
    """Text of one column."""

    def __init__(self, *, expected: bool) -> None:
        self._expected = expected

    def walk(self, values: Cells) -> tuple[list[Walked], Longs]:
        """What was told apart, and the numbers of the values that were not. Only for rules without entries: plaintext
        has no context."""
        plain, uuids = surely(values, expected=self._expected)
        told = [_plain(values, plain)] if len(plain) else []
        told += list(_uuids(values, uuids)) if len(uuids) else []
        left = np.ones(len(values), np.bool_)
        left[plain] = False
        left[uuids] = False
        return told, np.flatnonzero(left)


def _plain(values: Cells, chosen: Longs) -> Walked:
    content = values.regions[chosen] if len(chosen) < len(values) else values.regions
    nothing = Regions.empty(len(chosen))
    return _walked(_PLAIN, values.rows[chosen], content, nothing)


def _uuids(values: Cells, chosen: Longs) -> Iterator[Walked]:
    """As `classify` tells them: their bytes, of random ones only the random ones."""
    digits = values.regions[chosen].matrix(36)[:, _UUID_BYTES]
    nibbles = np.where(digits >= ord("a"), digits - 87, np.where(digits >= ord("A"), digits - 55, digits - 48))
    content = (nibbles[:, ::2] << 4 | nibbles[:, 1::2]).astype(np.uint8)
    random = content[:, 6] >> 4 == 4
    for some, columns in ((random, _RANDOM), (~random, list(range(16)))):
        at = np.flatnonzero(some)
        if len(at):
            size = len(columns)
            flat = np.concatenate((content[at][:, columns].reshape(-1), np.zeros(PAD, np.uint8)))
            regions = Regions(flat, np.arange(len(at), dtype=np.int64) * size, np.full(len(at), size))
            yield _walked(Shape(OPAQUE, "uuid", length=size), values.rows[chosen[at]], regions, regions)


def _walked(shape: Shape, rows: Longs, content: Regions, payload: Regions) -> Walked:
    nothing = Regions.empty(len(rows))
    return Walked([shape], np.zeros(len(rows), np.int64), rows, content, payload, nothing, nothing, nothing)
