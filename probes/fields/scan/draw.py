"""Drawing the sample that is opened: values at random, by a seed that nobody could know before."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from probes.fields.scan.hashing import Hashes
from probes.fields.scan.spilled import Lines

_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)


@dataclass(slots=True)
class Drawing:
    """A simple random sample of values, without replacement: the first by a hash of the seed and the value's place."""

    seed: bytes = field(repr=False)
    column: str
    samples: int
    population: int = 0
    strata: set[int] = field(default_factory=set)
    """Of all values."""
    _kept: Lines | None = None
    _ranks: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))

    def add(self, lines: Lines, places: Hashes) -> None:
        """Candidates, each with a number of its own: its shard's place and its row, and its content."""
        self.population += len(lines)
        self.strata.update(np.unique(lines["stratum"]).tolist())
        ranks = self._hash(places)
        if self._kept is not None:
            lines, ranks = np.concatenate((self._kept, lines)), np.concatenate((self._ranks, ranks))
        if len(lines) > self.samples:
            chosen = np.argpartition(ranks, self.samples)[: self.samples] if self.samples else np.empty(0, np.int64)
            lines, ranks = lines[chosen], ranks[chosen]
        self._kept, self._ranks = lines, ranks

    def _hash(self, keys: Hashes) -> Hashes:
        words = np.frombuffer(sha256(self.seed + b"\0" + self.column.encode("utf-8", "surrogatepass")).digest(), "<u8")
        x = keys ^ words[0]
        for word in words[1:]:
            x = (x ^ (x >> _30)) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> _27)) * np.uint64(0x94D049BB133111EB)
            x = (x ^ (x >> _31)) + word
        return np.asarray(x, np.uint64)

    def drawn(self) -> Lines | None:
        """What was drawn."""
        return self._kept
