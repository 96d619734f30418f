"""Ciphertext of some values of a column, chosen by their rows alone, as the histograms that the statistics need."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probes.fields.scan.classing import Walked
from probes.fields.scan.hashing import Hasher, Hashes, Longs, Regions
from probes.fields.scan.result import SAMPLE_ROWS
from probes.fields.scan.statistics import BLOCK, POSITIONS, UNIT_POSITIONS, Blocks, Histograms


class Sampler:
    """Ciphertext of some values, chosen by their rows alone, for the statistics."""

    def __init__(self) -> None:
        self._payloads: list[NDArray[np.uint8]] = []
        self._lengths: list[Longs] = []
        self._units: list[NDArray[np.uint8]] = []
        self._unit_lengths: list[Longs] = []
        self._ranks: list[Hashes] = []
        self._held = 0
        self._limit = np.uint64(0xFFFFFFFFFFFFFFFF)

    def add(self, walked: Walked, chosen: Longs, rows: NDArray[np.uint32], visible: NDArray[np.bool_]) -> None:
        """Values of one batch."""
        ranks = _mixed(rows)
        taken = np.flatnonzero(ranks <= self._limit)
        if not len(taken):
            return
        payload, unit = walked.payload[chosen[taken]], walked.unit[chosen[taken]]
        self._payloads.append(payload.matrix(POSITIONS))
        self._lengths.append(payload.length)
        self._units.append(unit.matrix(UNIT_POSITIONS))
        self._unit_lengths.append(unit.length * visible[taken])
        self._ranks.append(ranks[taken])
        self._held += len(taken)
        if self._held >= 2 * SAMPLE_ROWS:
            self._halve()

    def _halve(self) -> None:
        """Keep the first by rank."""
        ranks = np.concatenate(self._ranks)
        if len(ranks) <= SAMPLE_ROWS:
            return
        self._limit = np.partition(ranks, SAMPLE_ROWS - 1)[SAMPLE_ROWS - 1]
        keep = np.flatnonzero(ranks <= self._limit)
        self._payloads = [_chosen(self._payloads, keep)]
        self._lengths = [np.concatenate(self._lengths)[keep]]
        self._units = [_chosen(self._units, keep)]
        self._unit_lengths = [np.concatenate(self._unit_lengths)[keep]]
        self._ranks = [ranks[keep]]
        self._held = len(keep)

    def histograms(self, blocks: Hasher, places: Hasher) -> Histograms:
        """What the statistics are made of."""
        if not self._ranks:
            return Histograms()
        self._halve()
        payloads, lengths = np.concatenate(self._payloads), np.concatenate(self._lengths)
        units, unit_lengths = np.concatenate(self._units), np.concatenate(self._unit_lengths)
        return Histograms(
            _counts(payloads, lengths, POSITIONS),
            _counts(units, unit_lengths, UNIT_POSITIONS),
            _blocks(payloads, lengths, blocks, places),
        )


def _chosen(parts: list[NDArray[np.uint8]], keep: Longs) -> NDArray[np.uint8]:
    """Some lines of matrices of one width, moved line by line."""
    whole = np.concatenate(parts)
    width = whole.shape[1]
    return np.asarray(whole.view(f"V{width}")[keep, 0].view(np.uint8).reshape(len(keep), width), np.uint8)


def _counts(matrix: NDArray[np.uint8], lengths: Longs, width: int) -> NDArray[np.int64]:
    """As `position_counts`, of values of any lengths."""
    counts = np.zeros((width, 256), np.int64)
    shortest, longest = int(lengths.min()), int(lengths.max())
    for position, column in enumerate(np.ascontiguousarray(matrix[:, : min(width, longest)].T)):
        held = column if position < shortest else column[lengths > position]
        counts[position] = np.bincount(held, minlength=256)
    return counts


def _blocks(payloads: NDArray[np.uint8], lengths: Longs, block: Hasher, place: Hasher) -> Blocks:
    """Aligned blocks within the first `POSITIONS` bytes of the ciphertext."""
    count, width = payloads.shape
    flat = np.concatenate((payloads.reshape(-1), np.zeros(16, np.uint8)))
    start = np.arange(count, dtype=np.int64) * width
    whole = place.regions(Regions(flat, start, np.minimum(lengths, width)))
    hashes: list[Hashes] = []
    places: list[Hashes] = []
    for at in range(0, width, BLOCK):
        has = np.flatnonzero(lengths >= at + BLOCK)
        sixteen = np.full(len(has), BLOCK, np.int64)
        hashes.append(block.regions(Regions(flat, start[has] + at, sixteen)))
        places.append(_mixed(whole[has] + np.uint64(at)))
    return Blocks.of(np.concatenate(hashes), np.concatenate(places))


def _mixed(numbers: NDArray[np.uint32] | Hashes) -> Hashes:
    """Numbers scattered over 64 bits (splitmix64)."""
    x = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
