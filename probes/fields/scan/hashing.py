"""Keyed hashes of many byte strings at once.

Multilinear hashing (Carter, Wegman 1979; Lemire, Kaser 2014) over 32-bit words with 64-bit coefficients that are drawn
from the run's key: h(x) = c + l * len(x) + sum of c_i * x_i, modulo 2^64. Two different strings that were chosen
without the key meet with a chance of at most 2^-32 whatever they are, and of about 2^-64 where they are random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import shake_256
from typing import Final, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Longs: TypeAlias = NDArray[np.int64]
Hashes: TypeAlias = NDArray[np.uint64]

PAD: Final = 16
"""Bytes behind the last one of a buffer, so that a word may be loaded from any place of it."""
_AT_ONCE: Final = 1 << 22
"""Bytes that are hashed line by line; more go word by word, or are longer than what is hashed here."""
WORDS: Final = 1 << 10
"""Words of 64 bits that are hashed; of a longer string the rest is folded in by the hash of its whole."""
_LOW: Final = np.uint64(0xFFFFFFFF)
_32: Final = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Regions:
    """Byte strings that lie in one buffer: the i-th is `buffer[start[i] : start[i] + length[i]]`. The buffer has at
    least `PAD` bytes behind the last string."""

    buffer: Bytes
    start: Longs
    length: Longs

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, chosen: Longs | NDArray[np.bool_] | slice) -> Regions:
        return Regions(self.buffer, self.start[chosen], self.length[chosen])

    def content(self, index: int) -> bytes:
        """The i-th string."""
        start = int(self.start[index])
        return self.buffer[start : start + int(self.length[index])].tobytes()

    def matrix(self, width: int) -> Bytes:
        """The first `width` bytes of each, one row a string; what a string does not have is not defined."""
        if not len(self):
            return np.zeros((0, width), np.uint8)
        usable = len(self.buffer) - width
        if usable < int(self.start.max()):
            padded = np.concatenate((self.buffer, np.zeros(width, np.uint8)))
            return Regions(padded, self.start, self.length).matrix(width)
        lines = np.ndarray((usable + 1,), f"V{width}", buffer=self.buffer, strides=(1,))
        return lines[self.start].view(np.uint8).reshape(len(self), width)

    @staticmethod
    def of(strings: list[bytes]) -> Regions:
        """Strings one after another in a buffer of their own."""
        length = np.fromiter(map(len, strings), np.int64, len(strings))
        start = np.zeros(len(strings), np.int64)
        np.cumsum(length[:-1], out=start[1:]) if len(strings) > 1 else None
        return Regions(np.frombuffer(b"".join(strings) + bytes(PAD), np.uint8), start, length)

    @staticmethod
    def joined(parts: Sequence[Regions]) -> Regions:
        """All of these one after another; buffers that several of them share are taken once."""
        buffers: dict[int, tuple[Bytes, int]] = {}
        size = 0
        for part in parts:
            if id(part.buffer) not in buffers:
                buffers[id(part.buffer)] = (part.buffer, size)
                size += len(part.buffer)
        return Regions(
            parts[0].buffer if len(buffers) == 1 else np.concatenate([buffer for buffer, _ in buffers.values()]),
            np.concatenate([part.start + buffers[id(part.buffer)][1] for part in parts]),
            np.concatenate([part.length for part in parts]),
        )

    @staticmethod
    def empty(count: int) -> Regions:
        """So many empty strings."""
        return Regions(np.zeros(PAD, np.uint8), np.zeros(count, np.int64), np.zeros(count, np.int64))

    @staticmethod
    def repeated(string: bytes, count: int) -> Regions:
        """The same string so many times, held once."""
        one = Regions.of([string])
        return Regions(one.buffer, np.broadcast_to(one.start, count), np.broadcast_to(one.length, count))

    @property
    def same(self) -> bool:
        """Whether it is surely one string, many times over."""
        return self.start.strides == (0,) and self.length.strides == (0,)


_INLINE: Final = 12
"""Bytes that a binary view holds itself."""
_VIEWABLE: Final = 1 << 31


def words32(buffer: Bytes) -> NDArray[np.uint32]:
    """Every unaligned little-endian word of 32 bits."""
    return np.ndarray((max(0, len(buffer) - 3),), "<u4", buffer=buffer, strides=(1,))


def words(buffer: Bytes) -> Hashes:
    """Every unaligned little-endian word of 64 bits: `words(b)[i]` is `b[i : i + 8]`."""
    return np.ndarray((max(0, len(buffer) - 7),), "<u8", buffer=buffer, strides=(1,))


class Hasher:
    """Hashes under one key, for one purpose each."""

    def __init__(self, key: bytes, purpose: str) -> None:
        stream = shake_256(b"keycheck scan\0" + key + purpose.encode()).digest(8 * (2 * WORDS + 4))
        self._coefficients: Hashes = np.frombuffer(stream, "<u8") | np.uint64(1)
        self._whole = WholeHasher(key)

    def regions(self, strings: Regions, salt: Hashes | None = None) -> Hashes:
        """One hash a string; never 0. `salt` is hashed in front of it."""
        if salt is None and len(strings) > 1 and strings.same:
            return np.full(len(strings), self.regions(strings[:1])[0])
        co = self._coefficients
        length = strings.length
        total = length.astype(np.uint64) * co[-1] + co[-2]
        if salt is not None:
            total += (salt & _LOW) * co[-3] + (salt >> _32) * co[-4]
        longest = int(length.max()) if len(strings) else 0
        shortest = int(length.min()) if len(strings) else 0
        if longest == shortest and longest and longest <= 8 * WORDS and longest * len(strings) <= _AT_ONCE:
            total += self._lines(strings, longest)
            return _never_0(total)
        lanes = words(strings.buffer)
        for index in range(min((longest + 7) // 8, WORDS)):
            offset = 8 * index
            low, high = co[2 * index], co[2 * index + 1]
            if shortest >= offset + 8:
                word = lanes[strings.start + offset]
                total += (word & _LOW) * low + (word >> _32) * high
                continue
            here = np.flatnonzero(length > offset)
            word = lanes[strings.start[here] + offset]
            left = length[here] - offset
            if (left < 8).any():
                bits = (8 * np.minimum(left, 8)).astype(np.uint64)
                word = np.where(left < 8, word & ((np.uint64(1) << (bits & np.uint64(63))) - np.uint64(1)), word)
            total[here] += (word & _LOW) * low + (word >> _32) * high
        if longest > 8 * WORDS:
            far = np.flatnonzero(length > 8 * WORDS)
            total[far] += self._whole.regions(strings[far])
        return _never_0(total)

    def _lines(self, strings: Regions, size: int) -> Hashes:
        """The same sum for strings of one length."""
        width = 8 * ((size + 7) // 8)
        lines = strings.matrix(width)
        lines[:, size:] = 0
        return np.asarray(np.einsum("ij,j->i", lines.view("<u4"), self._coefficients[: width // 4]), np.uint64)


def _never_0(hashes: Hashes) -> Hashes:
    if not hashes.all():
        hashes[hashes == 0] = 1
    return hashes


class WholeHasher:
    """Hashes of whole values, however long: xxh3 as polars computes it, seeded from the run's key. Not universal: two
    values that it takes for equal are compared byte by byte before anything is said of them."""

    def __init__(self, key: bytes) -> None:
        seeds = np.frombuffer(shake_256(b"keycheck whole\0" + key).digest(8), "<u8")
        self._seed = int(seeds[0])

    def series(self, values: pl.Series) -> Hashes:
        """One hash a value of a binary series."""
        return values.hash(self._seed).to_numpy()

    def regions(self, strings: Regions) -> Hashes:
        """One hash a string."""
        return self.series(series_of(strings))

    @property
    def dialect(self) -> str:
        """What tells apart installations whose hashes cannot be compared."""
        probe = pl.Series([b"keycheck", b"", bytes(range(256))], dtype=pl.Binary)
        return probe.hash(1).to_numpy().tobytes().hex()


def series_of(strings: Regions) -> pl.Series:
    """The strings as a binary series, without a copy: as Arrow's binary views of the buffer."""
    count, start, length = len(strings), strings.start, strings.length
    if not count:
        return pl.Series([], dtype=pl.Binary)
    if len(strings.buffer) >= _VIEWABLE:
        return pl.Series([strings.content(index) for index in range(count)], dtype=pl.Binary)
    views = np.zeros((count, 4), "<u4")
    views[:, 0] = length
    views[:, 1] = words32(strings.buffer)[start]
    views[:, 3] = start
    short = np.flatnonzero(length <= _INLINE)
    if len(short):
        within = np.zeros((len(short), 16), np.uint8)
        within[:, :_INLINE] = strings[short].matrix(_INLINE)
        within[np.arange(16) >= length[short, None]] = 0
        views[short, 1:] = within.view("<u4")[:, :3]
    array = pa.Array.from_buffers(
        pa.binary_view(), count, [None, pa.py_buffer(views), pa.py_buffer(np.ascontiguousarray(strings.buffer))]
    )
    return pl.Series(pl.from_arrow(array))


def array_of(strings: Regions) -> pa.Array:
    """The strings as a binary array; without a copy where they lie one behind another."""
    start, length = strings.start, strings.length
    if not len(strings) or not np.array_equal(start[1:], start[:-1] + length[:-1]):
        return series_of(strings).to_arrow()
    offsets = np.append(start, start[-1] + length[-1])
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(start), [None, pa.py_buffer(offsets), pa.py_buffer(strings.buffer)]
    )


def regions_of(values: pl.Series) -> Regions:
    """A binary series without nulls as regions of one buffer."""
    array = values.to_arrow(compat_level=pl.CompatLevel.newest())
    if pa.types.is_binary_view(array.type) and len(array):
        _, views, *held = array.buffers()
        lines = np.frombuffer(views, "<u4").reshape(-1, 4)[array.offset : array.offset + len(array)]
        if held and int(lines[:, 0].min()) > _INLINE:
            # Put one behind another; each view tells its buffer and the place in it.
            raw = [np.frombuffer(one, np.uint8) for one in held if one is not None]
            before = np.cumsum([0, *map(len, raw)])
            if len(raw) == len(held):
                flat = np.concatenate([*raw, np.zeros(PAD, np.uint8)])
                return Regions(flat, before[lines[:, 2]] + lines[:, 3], lines[:, 0].astype(np.int64))
    return regions_of_array(values.to_arrow().cast(pa.large_binary()))


def regions_of_array(array: pa.Array) -> Regions:
    """A `large_binary` array without nulls as regions of its buffer."""
    _, offsets, data = array.buffers()
    if not len(array) or data is None:
        return Regions.empty(len(array))
    ends = np.frombuffer(offsets, "<i8")[array.offset : array.offset + len(array) + 1]
    raw = np.frombuffer(data, np.uint8)
    if len(raw) < ends[-1] + PAD:
        raw = np.concatenate((raw[: ends[-1]], np.zeros(PAD, np.uint8)))
    return Regions(raw, ends[:-1], np.diff(ends))


def lengths_of_array(array: pa.Array) -> Longs:
    """Bytes of each string of a `large_binary` array without nulls."""
    if not len(array):
        return np.zeros(0, np.int64)
    offsets = np.frombuffer(array.buffers()[1], "<i8")
    return np.diff(offsets[array.offset : array.offset + len(array) + 1])
