"""Which of many ciphertexts could hold something readable: a cheap bound, wider than `readable.telltale` in every case."""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from probes.fields.readable import ALARM_BITS, WIDE_ZEROS, human_bits
from probes.fields.scan.hashing import Hashes, Regions

_WINDOW: Final = 64
LONGEST: Final = 4_096
"""Longer ciphertexts are all looked at one by one."""
_ONE: Final = np.uint64(1)
_CLASSES: Final = b"aA0 \xff"
"""One byte of each class that the model of text knows."""


@cache
def _gains() -> tuple[float, float]:
    """Most bits that a first byte, and that any further byte can win."""
    first = max(human_bits(bytes([byte]), 8) for byte in range(256))
    further = max(
        human_bits(bytes([before, byte]), 8) - human_bits(bytes([before]), 8)
        for before in _CLASSES
        for byte in range(256)
    )
    return first, further


@cache
def shortest_run(length: int) -> int:
    """Bytes that a readable run must have at least in a ciphertext of this length."""
    first, further = _gains()
    needed = ALARM_BITS + math.log2(max(length, 6))
    return max(6, 1 + math.ceil((needed - first) / further))


def suspicious(payloads: Regions) -> NDArray[np.bool_]:
    """True for every ciphertext of which `telltale` could be true, and for a few others."""
    lengths = payloads.length
    told = lengths > LONGEST
    longest = int(lengths[~told].max(initial=0))
    shortest = int(lengths.min(initial=0))
    run = shortest_run(max(6, shortest))
    zeros = np.zeros(len(payloads), np.int64)
    step = _WINDOW - (run - 1)
    for offset in range(0, max(longest, 1), step):
        here = np.flatnonzero((lengths > offset) & ~told) if offset else np.arange(len(payloads))
        if not len(here):
            break
        left = np.clip(lengths[here] - offset, 0, _WINDOW)
        width = 8 * ((int(left.max(initial=0)) + 7) // 8)
        if not width:
            break
        matrix = Regions(payloads.buffer, payloads.start[here] + offset, left).matrix(width)
        held = np.where(left < _WINDOW, (_ONE << (left.astype(np.uint64) & np.uint64(63))) - _ONE, ~np.uint64(0))
        text = ((matrix - np.uint8(32)) < 95) | ((matrix - np.uint8(9)) < 5)
        bits = _packed(text) & held
        told[here] |= _has_run(bits, run)
        fresh = held & ((_ONE << np.uint64(step)) - _ONE)
        zeros[here] += np.bitwise_count(_packed(matrix == 0) & fresh)
    return np.asarray(told | (zeros >= WIDE_ZEROS), np.bool_)


def _packed(flags: NDArray[np.bool_]) -> Hashes:
    """Up to 64 flags a row as the bits of one number."""
    packed = np.packbits(flags, axis=1, bitorder="little")
    if packed.shape[1] < 8:
        wide = np.zeros((len(packed), 8), np.uint8)
        wide[:, : packed.shape[1]] = packed
        packed = wide
    return np.asarray(packed.view("<u8").reshape(-1), np.uint64)


def _has_run(bits: Hashes, run: int) -> NDArray[np.bool_]:
    """Whether so many neighbouring bits are set."""
    have = 1
    while have < run:
        more = min(have, run - have)
        bits = bits & (bits >> np.uint64(more))
        have += more
    return np.asarray(bits != 0, np.bool_)


