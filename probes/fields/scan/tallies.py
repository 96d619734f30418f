"""Counts and sets of what a stranger chose, bounded, that come out the same in whatever order they are put together.

Of more keys than the bound those are kept that rank first by a keyed hash of theirs. What is kept at the end ranked
first all the time, so its count is complete; the counts of all others are known as one sum.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Generic, Protocol, Self, TypeVar

import numpy as np

from probes.fields.facts import PLACES
from probes.fields.scan.hashing import Hashes

K = TypeVar("K")
V = TypeVar("V", bound="Mergeable")
DISTINCT: Final = 1_000_000
"""Different values that a set tells apart."""


class Mergeable(Protocol):
    """What can be added to its like, in any order."""

    def __add__(self, other: Self, /) -> Self: ...


@dataclass(slots=True)
class Bounded(Generic[K, V]):
    """At most `bound` keys, each with a sum; see the module."""

    bound: int
    key: bytes = field(repr=False)
    kept: dict[K, V] = field(default_factory=dict)
    more: bool = False
    """Keys were let go."""
    last: bytes = b"\xff" * 16
    """Keys that rank behind this one are let go at once."""

    def add(self, key: K, value: V) -> None:
        """Add to the sum of a key."""
        have = self.kept.get(key)
        if have is not None:
            self.kept[key] = have + value
            return
        if self.more and self._rank(key) > self.last:
            return
        self.kept[key] = value
        if len(self.kept) >= 2 * self.bound:
            self.trim()

    def trim(self) -> None:
        """Let go what is beyond the bound."""
        if len(self.kept) <= self.bound:
            return
        first = heapq.nsmallest(self.bound, ((self._rank(key), index) for index, key in enumerate(self.kept)))
        keys = list(self.kept)
        self.kept = {keys[index]: self.kept[keys[index]] for _, index in first}
        self.last = first[-1][0]
        self.more = True

    def update(self, other: Bounded[K, V]) -> None:
        """Add all of another one, of the same key and bound."""
        if other.more:
            self.more = True
            self.last = min(self.last, other.last)
            self.kept = {key: value for key, value in self.kept.items() if self._rank(key) <= self.last}
        for key, value in other.kept.items():
            self.add(key, value)
        self.trim()

    def _rank(self, key: K) -> bytes:
        return blake2b(repr(key).encode("utf-8", "backslashreplace"), digest_size=16, key=self.key).digest()

    def items(self) -> Iterator[tuple[K, V]]:
        """Kept keys in the order of their spelling."""
        self.trim()
        return iter(sorted(self.kept.items(), key=lambda item: repr(item[0])))


@dataclass(frozen=True, slots=True)
class Distinct:
    """A set of hashes, exact up to a bound: ascending, the smallest ones."""

    hashes: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    bound: int = DISTINCT
    more: bool = False

    @staticmethod
    def of(hashes: Hashes, bound: int = DISTINCT) -> Distinct:
        """The set of these."""
        ordered = np.sort(hashes)
        if len(ordered):
            ordered = ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]
        return Distinct(ordered[:bound], bound, len(ordered) > bound)

    def __add__(self, other: Distinct) -> Distinct:
        if not len(other) and not other.more:
            return self
        both = Distinct.of(np.concatenate((self.hashes, other.hashes)), self.bound)
        return Distinct(both.hashes, self.bound, both.more or self.more or other.more)

    def __len__(self) -> int:
        return len(self.hashes)


At = TypeVar("At", int, tuple[str, int, str, int])
"""A row of a shard, or of an export: (file, start of the shard, its name, row)."""


@dataclass(frozen=True, slots=True)
class Seen(Generic[At]):
    """A count, and where the first of it are."""

    count: int = 0
    rows: tuple[At, ...] = ()
    """Ascending, at most `PLACES`."""

    def __add__(self, other: Seen[At]) -> Seen[At]:
        if not other.count:
            return self
        rows: set[At] = set(self.rows) | set(other.rows)
        return Seen(self.count + other.count, tuple(sorted(rows)[:PLACES]))
