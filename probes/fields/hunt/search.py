"""Many literals at once, in Arrow columns and in streams of bytes, at a speed that hardly depends on how many.

Every needle is at least eight bytes long and has an anchor: eight of its bytes, the rarest window among a few. Wherever
a needle lies, one 32-bit word of the haystack that starts at a multiple of four lies wholly within its anchor. So only
every fourth position is looked up in a table of bits, by a hash of its word; what remains is tested by the anchor's 64
bits, and the last few byte by byte. All of it is exact: nothing is missed, and nothing is told that is not there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from probes.fields.hunt.seam import Needle, Sighted

ANCHOR: Final = 8
"""Bytes that a needle must have at least."""
_WORDS: Final = 1 << 16
"""Words looked up at a time: what fits the processor's cache."""
_LEAST_BITS: Final = 20
_MOST_BITS: Final = 25
"""Tables of 2^20 to 2^25 bytes: large enough to rule out nearly everything, small enough for the processor's cache."""
_ODD32: Final = np.uint32(0x9E3779B1)
_ODD64: Final = np.uint64(0x9E3779B97F4A7C15)
_CROWD: Final = 32
"""Needles that may share an anchor before all of their windows are compared."""
_DIGITS_BELOW: Final = 20
_WORD_BELOW: Final = 12


class Searcher:
    """Looks for needles. Picklable. Raises ValueError for a needle shorter than eight bytes."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self._needles = tuple(needles)
        if any(len(needle.content) < ANCHOR for needle in self._needles):
            raise ValueError(f"a needle has at least {ANCHOR} bytes")
        self.longest = max((len(needle.content) for needle in self._needles), default=0)
        """Bytes of the longest needle."""
        offsets = _anchor_offsets(self._needles)
        self._by_anchor: dict[int, list[tuple[int, int]]] = {}
        for index, (needle, at) in enumerate(zip(self._needles, offsets, strict=True)):
            anchor = int.from_bytes(needle.content[at : at + ANCHOR], "little")
            self._by_anchor.setdefault(anchor, []).append((index, at))
        self._anchors = np.array(sorted(self._by_anchor), dtype=np.uint64)
        bits = (8 * len(self._anchors)).bit_length()
        self._bits = min(max(bits + 2, _LEAST_BITS), _MOST_BITS)
        self._narrow = np.zeros(1 << self._bits, dtype=np.bool_)
        self._wide = np.zeros(1 << self._bits, dtype=np.bool_)
        for shift in range(4):
            words = ((self._anchors >> np.uint64(8 * shift)) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
            self._narrow[_hash32(words, self._bits)] = True
        self._wide[_hash64(self._anchors, self._bits)] = True

    @property
    def needles(self) -> tuple[Needle, ...]:
        """What is sought; `Sighted.needle` is an index into it."""
        return self._needles

    def column(self, array: pa.Array) -> Sequence[Sighted]:
        """Where needles lie in a text or binary array: `at` is the row, once for each needle and row. Raises TypeError
        for other arrays."""
        if not self._needles or pa.types.is_null(array.type):
            return ()
        kind = array.type
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            array = array.cast(pa.large_binary())
        elif not (pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)):
            raise TypeError(f"a search looks at text and bytes, not at {kind}")
        _, starts, data = array.buffers()
        if data is None or not len(array):
            return ()
        ends = np.frombuffer(starts, dtype=np.int64, count=len(array) + 1, offset=array.offset * 8)
        first, last = int(ends[0]), int(ends[-1])
        haystack = np.frombuffer(data, dtype=np.uint8, count=last - first, offset=first)
        return tuple(dict.fromkeys(self._rows(haystack, ends - first, array)))

    def _rows(self, haystack: NDArray[np.uint8], ends: NDArray[np.int64], array: pa.Array) -> Iterator[Sighted]:
        for index, at in self._matches(haystack):
            row = int(np.searchsorted(ends, at, side="right")) - 1
            size = len(self._needles[index].content)
            low, high = int(ends[row]), int(ends[row + 1])
            if at + size <= high and self._apart(index, haystack, at, low, high) and array[row].is_valid:
                yield Sighted(index, row)

    def raw(self, chunks: Iterable[bytes]) -> Iterator[Sighted]:
        """Where needles lie in a stream: `at` is the byte they begin at, also where they cross from one chunk into the
        next; every place once."""
        if not self._needles:
            for _ in chunks:
                continue
            return
        held, base, done = b"", 0, 0
        for chunk in chunks:
            held += chunk
            # One byte more than a needle is held back, so that what follows it is known; one is kept before it.
            ready = len(held) - self.longest
            if ready > 0:
                yield from self._stream(held, base, done, base + ready)
                done = base + ready
                keep = max(0, ready - 1)
                held, base = held[keep:], base + keep
        yield from self._stream(held, base, done, base + len(held))

    def _stream(self, held: bytes, base: int, begin: int, end: int) -> Iterator[Sighted]:
        """Needles that start at `begin` or later and before `end`, of a stream whose byte `base` is the first held."""
        haystack = np.frombuffer(held, dtype=np.uint8)
        for index, at in self._matches(haystack):
            if begin <= base + at < end and self._apart(index, haystack, at, 0, len(held)):
                yield Sighted(index, base + at)

    def _apart(self, index: int, haystack: NDArray[np.uint8], at: int, low: int, high: int) -> bool:
        """Whether a short word or number stands by itself: within longer ones it turns up by chance."""
        needle = self._needles[index]
        if not stands_alone(needle):
            return True
        end = at + len(needle.content)
        return not (at > low and chr(haystack[at - 1]).isalnum() and haystack[at - 1] < 128) and not (
            end < high and chr(haystack[end]).isalnum() and haystack[end] < 128
        )

    def _matches(self, haystack: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
        """(needle, byte) wherever a needle lies."""
        size = len(haystack)
        if size < ANCHOR:
            return
        words = np.frombuffer(haystack, dtype="<u4", count=size // 4)
        windows = np.ndarray((size - ANCHOR + 1,), dtype="<u8", buffer=haystack, strides=(1,))
        view = haystack.data
        for start in range(0, len(words), _WORDS):
            likely = np.flatnonzero(self._narrow[_hash32(words[start : start + _WORDS], self._bits)])
            if not len(likely):
                continue
            likely = (likely + start) * 4
            for shift in range(4):
                at = likely - shift
                at = at[(at >= 0) & (at < len(windows))]
                anchors = windows[at]
                at = at[self._wide[_hash64(anchors, self._bits)]]
                yield from self._exact(view, at, windows)

    def _exact(
        self, view: memoryview, anchored: NDArray[np.int64], windows: NDArray[np.uint64]
    ) -> Iterator[tuple[int, int]]:
        for place in anchored.tolist():
            for index, offset in self._by_anchor.get(int(windows[place]), ()):
                begin = place - offset
                content = self._needles[index].content
                if begin >= 0 and view[begin : begin + len(content)] == content:
                    yield index, begin


def stands_alone(needle: Needle) -> bool:
    """Whether a needle only counts where no letter or digit touches it: up to eleven letters and digits, or up to
    nineteen digits, unless they are an encoding's."""
    if needle.encoding.startswith(("base64", "hex")):
        return False
    content = needle.content
    if content.isdigit():
        return len(content) < _DIGITS_BELOW
    return content.isalnum() and len(content) < _WORD_BELOW


def _hash32(words: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    return (words * _ODD32) >> np.uint32(32 - bits)


def _hash64(windows: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    return (windows * _ODD64) >> np.uint64(64 - bits)


def _anchor_offsets(needles: Sequence[Needle]) -> list[int]:
    """Where each needle's anchor begins: of its first, middle and last eight bytes those that the fewest others have,
    so that a mail domain that all of them share is nobody's anchor. Where that leaves a crowd, of all its windows:
    whoever chose the values must not choose how long the search takes."""
    ends = [len(needle.content) - ANCHOR for needle in needles]
    places = [sorted({0, end // 2, end}) for end in ends]
    chosen = _rarest(needles, places)
    crowds = Counter(_window(needle, at) for needle, at in zip(needles, chosen, strict=True))
    crowded = [index for index, at in enumerate(chosen) if crowds[_window(needles[index], at)] > _CROWD]
    better = _rarest([needles[index] for index in crowded], [range(ends[index] + 1) for index in crowded])
    for index, at in zip(crowded, better, strict=True):
        chosen[index] = at
    return chosen


def _rarest(needles: Sequence[Needle], places: Sequence[Sequence[int]]) -> list[int]:
    """For each needle the place whose window the fewest needles have at one of theirs."""
    common = Counter(
        window
        for needle, offsets in zip(needles, places, strict=True)
        for window in {_window(needle, at) for at in offsets}
    )
    return [
        min(offsets, key=lambda at: common[_window(needle, at)])
        for needle, offsets in zip(needles, places, strict=True)
    ]


def _window(needle: Needle, at: int) -> bytes:
    return needle.content[at : at + ANCHOR]
