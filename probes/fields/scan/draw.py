"""Drawing the sample that is opened: by data key, spread over strata, by a seed that nobody could know before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import numpy as np

from probes.fields.scan.hashing import Hashes, Longs
from probes.fields.scan.ledger import Lines

_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)
_TOP: Final = np.uint64(0xFFFFFFFFFFFFFFFF)


def allocate(sizes: Sequence[int], samples: int) -> list[int]:
    """How many of each stratum: one each, and the rest in proportion to the sizes (largest remainders).

    With more strata than samples the largest strata get one each.
    """
    total = sum(sizes)
    if samples >= total:
        return list(sizes)
    order = sorted(range(len(sizes)), key=lambda index: (-sizes[index], index))
    given = [0] * len(sizes)
    for index in order[:samples]:
        given[index] = 1 if sizes[index] else 0
    rest = samples - sum(given)
    left = [max(0, size - one) for size, one in zip(sizes, given, strict=True)]
    room = sum(left)
    if rest and room:
        shares = [divmod(rest * size, room) for size in left]
        given = [one + whole for one, (whole, _) in zip(given, shares, strict=True)]
        rest = samples - sum(given)
        for index in sorted(order, key=lambda index: -shares[index][1])[:rest]:
            given[index] += 1
    return given


@dataclass(slots=True)
class Drawing:
    """The first of each stratum by a hash of the seed and the data key."""

    seed: bytes = field(repr=False)
    column: str
    given: Longs
    """How many of each stratum."""
    _kept: Lines | None = None
    _ranks: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    _limit: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))

    def __post_init__(self) -> None:
        self._limit = np.full(len(self.given), _TOP)
        self._limit[self.given == 0] = 0

    def add(self, lines: Lines, stratum: Longs) -> None:
        """Candidates: data keys that were not added before, each with its stratum."""
        ranks = self._hash(lines["key"])
        chosen = np.flatnonzero(ranks <= self._limit[stratum])
        kept, ranks, stratum = lines[chosen], ranks[chosen], stratum[chosen]
        if self._kept is not None:
            kept, ranks = np.concatenate((self._kept, kept)), np.concatenate((self._ranks, ranks))
            stratum = np.concatenate((self._strata, stratum))
        order = np.lexsort((kept["row"], ranks, stratum))
        ordered = stratum[order]
        new = np.concatenate(([True], ordered[1:] != ordered[:-1])) if len(ordered) else np.zeros(0, np.bool_)
        starts = np.flatnonzero(new)
        within = np.arange(len(ordered)) - starts[np.cumsum(new) - 1]
        best = within < self.given[ordered]
        last = within == self.given[ordered] - 1
        self._limit[ordered[last]] = ranks[order][last]
        self._kept, self._ranks, self._strata = kept[order][best], ranks[order][best], ordered[best]

    _strata: Longs = field(default_factory=lambda: np.empty(0, np.int64))

    def _hash(self, keys: Hashes) -> Hashes:
        words = np.frombuffer(sha256(self.seed + b"\0" + self.column.encode("utf-8", "surrogatepass")).digest(), "<u8")
        x = keys ^ words[0]
        for word in words[1:]:
            x = (x ^ (x >> _30)) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> _27)) * np.uint64(0x94D049BB133111EB)
            x = (x ^ (x >> _31)) + word
        return np.asarray(x, np.uint64)

    def drawn(self) -> tuple[Lines, Longs] | None:
        """What was drawn, and the stratum of each."""
        return None if self._kept is None else (self._kept, self._strata)


def sizes(parts: Iterable[Longs], strata: int) -> Longs:
    """Data keys of each stratum."""
    total = np.zeros(strata, np.int64)
    for part in parts:
        total += np.bincount(part, minlength=strata)
    return total
