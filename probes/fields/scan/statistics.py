"""Tests of whether a column's ciphertext could be random: they may refute encryption and can never prove it.

Pure functions over counts. What is caught: a nonce that is fixed or repeats under one key even where it is not stored
(equal keystream under text leaves the top bit constant), ECB and a fixed IV (repeated blocks), a constant XOR, mere
compression and mere encoding. What passes: everything that is random, encrypted or not.

Family-wise error 1e-6 over a whole export by Bonferroni: with `columns` columns and at most `TESTS_PER_COLUMN` tests
of each, a test alarms below 1e-6 / (columns * TESTS_PER_COLUMN).

The chi-square of a position needs an expected count of 5 (Cochran 1954): 1280 values for bytes, 80 for nibbles; with
fewer the bits are tested, by the Chernoff bound, which holds for any count. Source: Pearson 1900; Hoeffding 1963.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, TypeAlias
from zlib import compress, decompress

import numpy as np
from numpy.typing import NDArray

from probes.fields.facts import Test

Counts: TypeAlias = NDArray[np.int64]
Hashes: TypeAlias = NDArray[np.uint64]

POSITIONS: Final = 64
"""Bytes of each payload that are counted, from its start."""
UNIT_POSITIONS: Final = 32
"""Bytes of each nonce that are counted, from its start."""
BLOCK: Final = 16
"""Bytes of a cipher block."""
BLOCKS: Final = 1 << 14
"""Distinct blocks that are kept: those with the smallest hashes, so that shards agree on which."""
FAMILY: Final = 1e-6
"""Chance that an export of sound columns raises any alarm."""
TESTS_PER_COLUMN: Final = 8 * POSITIONS + POSITIONS + 8 * UNIT_POSITIONS + 1
"""At most: every bit of every position, its top bit, every bit of the nonce, and the blocks."""

_EXPECTED: Final = 5
_CAP: Final = (1 << 53) - 1
_HASH_BITS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A sample of the aligned 16-byte blocks of a column, and which of them stand in more than one place."""

    hashes: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    """Of the blocks, distinct and ascending, at most `BLOCKS`."""
    first: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    last: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    """Smallest and largest hash of (whole value, position) that the block stood at: a copy of a whole value leaves both
    as they are, so a row that stands in an export twice is no repetition."""
    seen: int = 0
    """Blocks altogether."""

    @staticmethod
    def of(hashes: Hashes, places: Hashes) -> Blocks:
        """From a hash of each block under the run's key, and a hash of its whole value and position."""
        return _reduced(hashes, places, places, len(hashes))

    def __add__(self, other: Blocks) -> Blocks:
        return _reduced(
            np.concatenate((self.hashes, other.hashes)),
            np.concatenate((self.first, other.first)),
            np.concatenate((self.last, other.last)),
            self.seen + other.seen,
        )

    @property
    def repeated(self) -> int:
        """Blocks of the sample that stand in more than one place."""
        return int(np.count_nonzero(self.first != self.last))


def _reduced(hashes: Hashes, first: Hashes, last: Hashes, seen: int) -> Blocks:
    if not len(hashes):
        return Blocks(seen=seen)
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return Blocks(
        ordered[starts][:BLOCKS].copy(),
        np.minimum.reduceat(first[order], starts)[:BLOCKS],
        np.maximum.reduceat(last[order], starts)[:BLOCKS],
        seen,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Histograms:
    """What the tests need of a column: `a + b` is that of both, in any order and grouping."""

    positions: Counts = field(default_factory=lambda: np.zeros((POSITIONS, 256), np.int64))
    """Of the ciphertext proper (without header, nonce and tag): how often each byte stood at each position."""
    units: Counts = field(default_factory=lambda: np.zeros((UNIT_POSITIONS, 256), np.int64))
    """The same of the nonces that are visible. One nonce under one data key counts once where the caller can."""
    blocks: Blocks = field(default_factory=Blocks)

    def __reduce__(self) -> tuple[Callable[..., Histograms], tuple[bytes, bytes, Blocks]]:
        """Mostly zeros where a shard is small: pickled compressed, as there is one of these a column and shard."""
        return _thawed, (compress(self.positions.tobytes(), 1), compress(self.units.tobytes(), 1), self.blocks)

    def __add__(self, other: Histograms) -> Histograms:
        return Histograms(self.positions + other.positions, self.units + other.units, self.blocks + other.blocks)

    @staticmethod
    def of(payloads: Iterable[bytes], units: Iterable[bytes], key: bytes) -> Histograms:
        """From values one by one: the plain twin of what a scan does for many at once. `key`: at most 64 bytes."""
        held = list(payloads)
        hashes, places = [], []
        for payload in held:
            whole = blake2b(payload, digest_size=16, key=key).digest()
            for at in range(0, len(payload) - BLOCK + 1, BLOCK):
                hashes.append(_u64(payload[at : at + BLOCK], key))
                places.append(_u64(whole + at.to_bytes(8, "big"), key))
        return Histograms(
            _counted(held, POSITIONS),
            _counted(list(units), UNIT_POSITIONS),
            Blocks.of(np.array(hashes, np.uint64), np.array(places, np.uint64)),
        )


def _thawed(positions: bytes, units: bytes, blocks: Blocks) -> Histograms:
    shaped = (np.frombuffer(decompress(each), np.int64).reshape(-1, 256) for each in (positions, units))
    return Histograms(next(shaped), next(shaped), blocks)


def _u64(content: bytes, key: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=8, key=key).digest(), "big")


def _counted(values: Sequence[bytes], width: int) -> Counts:
    counts = np.zeros((width, 256), np.int64)
    for value in values:
        for position, byte in enumerate(value[:width]):
            counts[position, byte] += 1
    return counts


def position_counts(matrix: NDArray[np.uint8], width: int) -> Counts:
    """Counts of the bytes of `matrix`, one row a value of the same length, at its first `width` positions."""
    counts = np.zeros((width, 256), np.int64)
    for position in range(min(width, matrix.shape[1])):
        counts[position] = np.bincount(matrix[:, position], minlength=256)
    return counts


def share(columns: int) -> float:
    """The error that one test of one column may have, in an export of so many columns."""
    return FAMILY / (max(1, columns) * TESTS_PER_COLUMN)


def tests_of(seen: Histograms, columns: int) -> tuple[Test, ...]:
    """The tests of one column, for an export of `columns` columns; of many positions the least likely is told.

    A test is missing where there was nothing to count. Values that stand in an export many times over weigh as often:
    an alarm of the positions in a column that is full of copies is the copies' (`repeated-blocks` is free of that).
    """
    limit = -math.log(share(columns))
    found = [
        *_positions(seen.positions, "position-chi-square", "bits-chi-square", limit),
        *_top_bits(seen.positions, limit),
        *_positions(seen.units, "unit-chi-square", "unit-chi-square", limit),
    ]
    if seen.blocks.seen:
        found.append(_repeats(seen.blocks, limit))
    return tuple(found)


def _positions(counts: Counts, name: str, name_of_bits: str, limit: float) -> list[Test]:
    """Bytes or nibbles by chi-square, and bit by bit where a position has too few values for either."""
    found: dict[str, list[tuple[float, float, int]]] = {}
    for row in counts:
        total = int(row.sum())
        if total >= _EXPECTED * 256:
            found.setdefault(name, []).append((*chi_square(row), total))
        elif total >= _EXPECTED * 16:
            square = row.reshape(16, 16)
            found.setdefault(name, []).extend((*chi_square(square.sum(axis=axis)), total) for axis in (0, 1))
        elif total:
            bits = ((*_biased(_set(row, bit), total), total) for bit in range(8))
            found.setdefault(name_of_bits, []).extend(bits)
    return [_test(test, scores, limit) for test, scores in found.items()]


def _top_bits(counts: Counts, limit: float) -> list[Test]:
    rows = [(row, int(row.sum())) for row in counts]
    seen = [(*_biased(_set(row, 7), total), total) for row, total in rows if total]
    return [_test("top-bit", seen, limit)] if seen else []


def _repeats(blocks: Blocks, limit: float) -> Test:
    """Random blocks repeat where their hashes collide: (kept blocks) * (all blocks) / 2^64 expected at most."""
    repeated = blocks.repeated
    expected = max(len(blocks.hashes) * blocks.seen / 2.0**_HASH_BITS, 1e-300)
    log_p = min(0.0, repeated * math.log(expected) - math.lgamma(repeated + 1)) if repeated else 0.0
    return _test("repeated-blocks", [(log_p, float(repeated), blocks.seen)], limit)


def _test(name: str, found: Sequence[tuple[float, float, int]], limit: float) -> Test:
    log_p, statistic, _ = min(found, key=lambda one: (one[0], -one[1]))
    return Test.model_validate(
        {
            "name": name,
            "samples": max(total for _, _, total in found),
            "statistic": min(_CAP, round(1000 * statistic)),
            "log10": min(_CAP, round(-1000 * log_p / math.log(10))),
            "alarm": -log_p > limit,
        }
    )


def _set(row: Counts, bit: int) -> int:
    """How often a bit is set."""
    return int(row.reshape(-1, 2, 1 << bit)[:, 1, :].sum())


def chi_square(counts: Counts) -> tuple[float, float]:
    """(natural logarithm of p, statistic) that equally likely values were counted like this."""
    total, kinds = int(counts.sum()), len(counts)
    expected = total / kinds
    statistic = float((np.square(counts - expected) / expected).sum())
    return log_gamma_q((kinds - 1) / 2, statistic / 2), statistic


def _biased(ones: int, total: int) -> tuple[float, float]:
    """(bound on the natural logarithm of the two-sided p, z squared) that a fair bit was set so often."""
    p = ones / total
    divergence = sum(q * math.log(2 * q) for q in (p, 1 - p) if q > 0)
    return min(0.0, math.log(2) - total * divergence), (2 * ones - total) ** 2 / total


_STEPS: Final = 10_000
_TINY: Final = 1e-300


def log_gamma_q(a: float, x: float) -> float:
    """Natural logarithm of the regularised upper incomplete gamma function Q(a, x), for a > 0 and x >= 0.

    Half the degrees of freedom and half the statistic give the p-value of a chi-square test. By the series of P below
    a + 1 and by the continued fraction of Q (modified Lentz) above, in logarithms: no p is too small.
    Source: Abramowitz and Stegun 6.5.29 and 6.5.31.
    """
    if x <= 0:
        return 0.0
    front = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1:
        term = total = 1 / a
        for step in range(1, _STEPS):
            term *= x / (a + step)
            total += term
            if term < total * 1e-16:
                break
        lower = math.exp(front + math.log(total))
        return math.log1p(-lower) if lower < 1 else -math.inf
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for step in range(1, _STEPS):
        factor = -step * (step - a)
        b += 2
        d = factor * d + b
        c = b + factor / c
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = c if abs(c) > _TINY else _TINY
        change = c * d
        fraction *= change
        if abs(change - 1) < 1e-15:
            break
    return front + math.log(fraction)
