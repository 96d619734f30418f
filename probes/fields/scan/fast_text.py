"""Values of the hot text formats, many at once: Vault transit and compact JWE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from probes.fields.formats import vault
from probes.fields.formats.seam import Format, Parsed
from probes.fields.scan.arrays import Cells
from probes.fields.scan.classing import Walked, key_identity, shape_of
from probes.fields.scan.hashing import Bytes, Longs, Regions, series_of
from probes.fields.scan.result import Shape
from probes.fields.scan.suspicion import suspicious, wordy
from probes.fields.scan.templates import literal_at
from probes.fields.scan.together import decoded, together

HOT: Final = frozenset({"vault-transit", "jwe"})
TEMPLATES: Final = 64
FRUITLESS: Final = 16
LONGEST: Final = 1_024
"""Longer values are walked by themselves."""
_PARTS: Final = 5


@dataclass(slots=True)
class _Known:
    """What values begin with, and the shapes of its values by the length of their ciphertext."""

    head: bytes
    """Vault: up to the base64; JWE: the header and its dot."""
    sizes: tuple[int, int, int]
    """JWE: characters of the wrapped key, the nonce and the tag."""
    fixed_key: bytes
    """Identity of the data key where none is wrapped."""
    shapes: dict[int, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Read:
    """Values whose parts were decoded."""

    chosen: Longs
    payload: Regions
    unit: Regions
    key: Regions
    good: NDArray[np.bool_]


class TextPath:
    """One column of one of the formats."""

    def __init__(self, expected: Format) -> None:
        self._format = expected
        self._known: list[_Known] = []
        self._shapes: list[Shape] = []

    def walk(self, values: Cells, names: Sequence[str]) -> tuple[Walked | None, Longs]:
        """What was walked, in the order of the rows, and the numbers of the values that were not."""
        left = np.flatnonzero(values.lengths <= LONGEST)
        parts: list[tuple[Walked, Longs]] = []
        tried = 0
        known = iter(self._known)
        while tried < len(left):
            template = next(known, None)
            if template is None:
                if tried >= FRUITLESS or len(self._known) >= TEMPLATES:
                    break
                template = self._learn(values.regions.content(int(left[tried])))
                if template is None or template.head in {one.head for one in self._known}:
                    tried += 1
                    continue
                self._known.append(template)
            every = len(left) == len(values)
            fits = literal_at(values.regions if every else values.regions[left], template.head)
            if not len(fits):
                continue
            chosen, left = left[fits], np.delete(left, fits) if len(fits) < len(left) else left[:0]
            found = self._read(template, values.regions if len(chosen) == len(values) else values.regions[chosen])
            told = self._walked(template, found, values, chosen, names)
            if told is not None:
                parts.append(told)
        if not parts:
            return None, np.arange(len(values))
        walked, taken = together(parts, self._shapes)
        rest = np.ones(len(values), np.bool_)
        rest[taken] = False
        return walked, np.flatnonzero(rest)

    def _learn(self, value: bytes) -> _Known | None:
        parsed = self._format.parse(value)
        if not isinstance(parsed, Parsed) or parsed.format != self._format.id:
            return None
        if parsed.format == vault.ID:
            return _Known(value[: value.index(b":", len(vault.PREFIX)) + 1], (0, 0, 0), key_identity(parsed))
        parts = value.split(b".")
        if parsed.variant != "compact" or len(parts) != _PARTS:
            return None
        head, key, iv, _, tag = parts
        return _Known(head + b".", (len(key), len(iv), len(tag)), b"" if key else key_identity(parsed))

    def _read(self, known: _Known, values: Regions) -> _Read:
        return _read_vault(known, values) if self._format.id == vault.ID else _read_jwe(known, values)

    def _walked(
        self, known: _Known, found: _Read, values: Cells, chosen: Longs, names: Sequence[str]
    ) -> tuple[Walked, Longs] | None:
        own = chosen[found.chosen]
        shape = np.where(found.good, 0, -1)
        shape[found.good] = self._shape(known, found, values, own)
        good = np.flatnonzero(shape >= 0)
        if not len(good):
            return None
        count = len(good)
        nothing = Regions.empty(count)
        walked = Walked(
            self._shapes,
            shape[good],
            values.rows[own[good]],
            values.regions[own[good]],
            found.payload[good],
            found.unit[good],
            Regions.repeated(known.fixed_key, count) if known.fixed_key else found.key[good],
            nothing,
            dict.fromkeys(names, nothing),
            {name: np.zeros(count, np.bool_) for name in names},
        )
        return walked, own[good]

    def _shape(self, known: _Known, found: _Read, values: Cells, own: Longs) -> Longs:
        """Of each good value the number of its shape, -1 where it must be walked by itself."""
        good = np.flatnonzero(found.good)
        lengths = found.payload.length[good]
        numbers = np.full(LONGEST + 1, -1)
        first = np.zeros(LONGEST + 1, np.int64)
        first[lengths[::-1]] = good[::-1]
        for length in np.flatnonzero(np.bincount(lengths)).tolist():
            if length not in known.shapes:
                at = int(first[length])
                known.shapes[length] = self._judge(found, at, values.regions.content(int(own[at])))
            number = known.shapes[length]
            numbers[length] = -1 if number is None else number
        return numbers[lengths]

    def _judge(self, found: _Read, index: int, value: bytes) -> int | None:
        """The shape of one value as its parser sees it, if both agree on where everything lies."""
        parsed = self._format.parse(value)
        if not isinstance(parsed, Parsed) or parsed.context is not None or not parsed.unit:
            return None
        agrees = (
            parsed.payload == (0, 0)
            and parsed.body == found.payload.content(index)
            and parsed.unit == found.unit.content(index)
            and key_identity(parsed) == found.key.content(index)
        )
        if not agrees:
            return None
        self._shapes.append(shape_of(parsed, ""))
        return len(self._shapes) - 1


def _read_vault(known: _Known, values: Regions) -> _Read:
    """Base64 behind the version: nonce, ciphertext, tag."""
    text = Regions(values.buffer, values.start + len(known.head), values.length - len(known.head))
    blob, chosen = decoded(series_of(text))
    enough = np.flatnonzero(blob.length >= vault.NONCE + vault.TAG)
    blob, chosen = blob[enough], chosen[enough]
    nonce = np.full(len(chosen), vault.NONCE)
    return _Read(
        chosen,
        Regions(blob.buffer, blob.start + vault.NONCE, blob.length - vault.NONCE - vault.TAG),
        Regions(blob.buffer, blob.start, nonce),
        Regions.repeated(known.fixed_key, len(chosen)),
        ~(suspicious(blob) | wordy(text[chosen])),
    )


def _read_jwe(known: _Known, values: Regions) -> _Read:
    """Wrapped key, nonce, ciphertext and tag behind the header, each in base64url."""
    key, iv, tag = known.sizes
    begin = len(known.head)
    before = begin + key + 1 + iv + 1
    chosen = np.flatnonzero(values.length >= before + 1 + tag)
    some = values[chosen]
    buffer, start, end = some.buffer, some.start, some.start + some.length
    good = buffer[end - tag - 1] == _DOT
    for dot in (begin + key, begin + key + 1 + iv):
        good &= buffer[start + dot] == _DOT
    text = end - tag - 1 - (start + before)
    chosen, start, end, text = chosen[good], start[good], end[good], text[good]
    fixed = [np.full(len(chosen), size) for size in known.sizes]
    places = (start + begin, start + begin + key + 1, end - tag, start + before)
    keys, units, _, payload, spelt = _unspelt(buffer, list(zip(places, (*fixed, text), strict=True)))
    return _Read(
        chosen,
        payload,
        units,
        keys if key else Regions.repeated(known.fixed_key, len(chosen)),
        spelt & ~suspicious(payload),
    )


_DOT: Final = ord(".")
_TO_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/!!!")


def _unspelt(
    buffer: Bytes, parts: Sequence[tuple[Longs, Longs]]
) -> tuple[Regions, Regions, Regions, Regions, NDArray[np.bool_]]:
    """Four parts of each value, (start, length), in unpadded base64url: decoded, and whether all of them are in their
    one spelling. All are decoded as one text, each filled up with zeros to whole groups of four."""
    count = len(parts[0][0])
    widths = [4 * ((int(length.max(initial=0)) + 3) // 4) for _, length in parts]
    size = sum(widths)
    whole = np.empty((count, size), np.uint8)
    good = np.ones(count, np.bool_)
    at = 0
    for (start, length), width in zip(parts, widths, strict=True):
        if not width:
            continue
        held = Regions(buffer, start, length).matrix(width)
        shortest, longest = int(length.min(initial=width)), int(length.max(initial=0))
        if shortest < longest:
            kept = (np.arange(width) < np.arange(width + 1)[:, None]).astype(np.uint8)
            # Behind the text zeros are spelt.
            held = held * np.take(kept, length, axis=0) + np.take(ord("A") * (1 - kept), length, axis=0)
            good &= length % 4 != 1
        elif shortest < width:
            held[:, shortest:] = ord("A")
            good &= shortest % 4 != 1
        if count:
            # Whole parts of lines are moved, not bytes.
            np.ndarray(count, f"V{width}", buffer=whole, offset=at, strides=(size,))[:] = held.view(f"V{width}")[:, 0]
        at += width
    data = pa.py_buffer(whole.tobytes().translate(_TO_STANDARD))
    offsets = pa.py_buffer(np.arange(count + 1, dtype=np.int64) * size)
    lines = pa.LargeBinaryArray.from_buffers(pa.large_binary(), count, [None, offsets, data])
    found, taken = decoded(pl.Series(pl.from_arrow(lines)))
    begin = np.zeros(count, np.int64)
    begin[taken] = found.start
    legible = np.zeros(count, np.bool_)
    legible[taken] = True
    good &= legible
    regions: list[Regions] = []
    at = 0
    for (_, length), width in zip(parts, widths, strict=True):
        held_bytes = length * 3 // 4
        regions.append(Regions(found.buffer, begin + at, held_bytes))
        # Behind a part that does not fill its last group the bits that no byte of it holds are zero in the one
        # spelling. Behind one that does lies another part, or the end.
        last = found.buffer[np.minimum(begin + at + held_bytes, len(found.buffer) - 1)]
        good &= (last == 0) | (length % 4 < 2)
        at += 3 * width // 4
    return regions[0], regions[1], regions[2], regions[3], good
