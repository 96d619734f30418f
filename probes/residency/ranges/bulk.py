"""Lookups by the million, with numpy: addresses in, numbers of intervals out, answers only for those asked for.

IPv4 goes through a table of all 2^24 networks of /24 and, for those that several intervals share, one of their 256
addresses (DIR-24-8: Gupta, Lin, McKeown, "Routing Lookups in Hardware at Memory Access Speeds", 1998). It takes 34 MB,
or 67 MB beyond 65,535 intervals, and a tenth of a second to make. IPv6 is searched by its first 64 bits, and by all
128 only where an interval begins inside of those.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import repeat
from socket import AF_INET, inet_pton
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from probes.residency.ranges.index import Answer, Index, packed
from probes.residency.ranges.seam import RangesError

Words: TypeAlias = NDArray[np.uint32]
Numbers: TypeAlias = NDArray[np.unsignedinteger]
MALFORMED: Final = -1
"""The number of what is no address."""
_BLOCK: Final = 1 << 16
"""Addresses at a time, so that what is between two steps stays in the processor's cache."""
_TEXTS: Final = 1 << 12
_MOST_ROWS: Final = 1 << 17
"""Of the second table: 134 MB of them. With more, IPv4 is searched for as IPv6 is, at a tenth of the speed."""


class Bulk:
    """An index made ready for many addresses.

    Intervals are numbered from 0: those of IPv4 and, after them, those of IPv6. `answer` says what a number means.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        keys4, self._keys6 = (index.table.cells[family].keys for family in (4, 6))
        self._starts = np.frombuffer(b"".join(keys4), ">u4").astype(np.uint32)
        self._tables = _tables(self._starts)
        pairs = np.frombuffer(b"".join(self._keys6), ">u8").reshape(-1, 2).astype(np.uint64)
        self._high, self._low = pairs[:, 0].copy(), pairs[:, 1].copy()

    def answer(self, number: int) -> Answer:
        """What holds in an interval, by its number from `find4`, `find6` or `find`; empty for `MALFORMED`. Raises
        RangesError where the index is damaged."""
        if number == MALFORMED:
            return ()
        later = number - len(self._starts)
        return self._index.answer(4, number) if later < 0 else self._index.answer(6, later)

    def find4(self, addresses: Words) -> Numbers:
        """The intervals of IPv4 addresses as numbers, in one dimension. An IPv4-mapped IPv6 address belongs here."""
        if self._tables is None:
            return (np.searchsorted(self._starts, addresses, side="right") - 1).astype(np.uint32)
        coarse, fine = self._tables
        found = np.empty(addresses.shape, coarse.dtype)
        count, low = coarse.dtype.type(len(self._starts)), np.uint32(255)
        for at in range(0, len(addresses), _BLOCK):
            block = addresses[at : at + _BLOCK]
            part = coarse.take(block >> np.uint32(8))
            several = np.flatnonzero(part >= count)
            if several.size:
                rows = (part[several] - count).astype(np.uint32) << np.uint32(8)
                part[several] = fine.take(rows | (block[several] & low))
            found[at : at + _BLOCK] = part
        return found

    def find6(self, high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The intervals of IPv6 addresses as two halves each."""
        found = np.searchsorted(self._high, high, side="right") - 1
        inside = np.flatnonzero((self._high[found] == high) & (self._low[found] > low))
        for place in inside.tolist():
            key = int(high[place]).to_bytes(8, "big") + int(low[place]).to_bytes(8, "big")
            found[place] = bisect_right(self._keys6, key) - 1
        return found + len(self._starts)

    def find(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The intervals of addresses as text, of both families in any mixture; `MALFORMED` where a text is none."""
        found = np.empty(len(texts), np.int64)
        for at in range(0, len(texts), _TEXTS):
            part = texts[at : at + _TEXTS]
            try:
                block = b"".join(map(inet_pton, repeat(AF_INET), part))
            except (OSError, ValueError):
                found[at : at + len(part)] = [self._one(text) for text in part]
            else:
                found[at : at + len(part)] = self.find4(np.frombuffer(block, ">u4").astype(np.uint32))
        return found

    def _one(self, text: str) -> int:
        try:
            family, place = self._index.find(packed(text))
        except RangesError:
            return MALFORMED
        return place if family == 4 else place + len(self._starts)


def _tables(starts: Words) -> tuple[Numbers, Numbers] | None:
    """For each /24 the interval that holds all of it, or a row of the second table by its number above all intervals;
    the second table has 256 columns, flat. None where so many /24s are shared that it would be too large."""
    several = np.unique(starts[(starts & 255) != 0] >> 8)
    if len(several) > _MOST_ROWS:
        return None
    kind: np.dtype[np.unsignedinteger] = np.dtype(np.uint16 if len(starts) + len(several) <= 1 << 16 else np.uint32)
    # Each interval holds the /24s from the first that begins in it up to the first that begins in the next.
    first = (starts.astype(np.int64) + 255) >> 8
    coarse = np.repeat(np.arange(len(starts), dtype=kind), np.diff(np.append(first, 1 << 24)))
    coarse[several] = np.arange(len(starts), len(starts) + len(several), dtype=kind)
    addresses = ((several[:, None] << np.uint32(8)) | np.arange(256, dtype=np.uint32)).ravel()
    return coarse, (np.searchsorted(starts, addresses, side="right") - 1).astype(kind)
