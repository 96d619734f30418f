"""Which sample is drawn, and what a sample proves about the whole: a seed that nobody could grind, and exact bounds.

Only whole numbers: a bound is `(numerator, denominator)`, never below the exact one. Source: Clopper and Pearson, "The
use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934).
"""

from __future__ import annotations

import hashlib
import re
from math import comb
from typing import Final, TypeAlias

Ratio: TypeAlias = tuple[int, int]
"""(numerator, denominator)."""

RANDOMNESS: Final = 32
"""Bytes that are drawn after the manifest's digest was recorded."""
SCALE: Final = 1_000_000_000
"""Bounds are told in billionths."""
MOST: Final = 1_000_000_000
"""Sizes of a sample that are worked out."""
FEW: Final = 1_000
MANY: Final = 100_000
"""Draws of which more than `FEW` may have failed."""
_DOMAIN: Final = b"keycheck fields sample v1\x00"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_ROOM: Final = 192
"""Bits behind the point: far more than any confidence that is asked for."""


def seed(manifest: str, randomness: bytes) -> bytes:
    """32 bytes that the sample is drawn with.

    Who makes the export chooses its digest, and so could try exports until a sample spares the bad rows; the randomness
    is drawn only after the digest was recorded. Raises ValueError for anything but a SHA-256 in hex and 32 bytes.
    """
    if _DIGEST.fullmatch(manifest) is None:
        raise ValueError("the manifest's digest is 64 digits of lower-case hex")
    if len(randomness) != RANDOMNESS:
        raise ValueError(f"the randomness is {RANDOMNESS} bytes")
    return hashlib.sha256(_DOMAIN + bytes.fromhex(manifest) + randomness).digest()


def upper_bound(n: int, failures: int, confidence: Ratio = (95, 100)) -> Ratio:
    """The largest share of the whole that `failures` in `n` independent draws leave possible, at this confidence:
    Clopper-Pearson, one-sided; never below the exact bound, and at most two billionths above it. `(1, 1)` where nothing
    is left out.

    Raises ValueError for numbers that are no such result.
    """
    _check(n, failures, confidence)
    if failures == n:  # of none drawn, too
        return (1, 1)
    low, high = 0, SCALE
    while high - low > 1:
        middle = (low + high) // 2
        if _unlikely(n, failures, middle, confidence):
            high = middle
        else:
            low = middle
    return (high, SCALE)


def sample_size(share: Ratio, confidence: Ratio = (95, 100)) -> int:
    """How many independent draws without a single failure rule out a share of failures, at this confidence.

    Raises ValueError for a share that is none, or that takes more than a billion draws.
    """
    top, bottom = share
    if not 0 < top <= bottom:
        raise ValueError("a share lies above 0 and is at most 1")
    _check(1, 0, confidence)
    parts = top * SCALE // bottom  # rounded down: a smaller share takes more draws
    if parts == 0 or not _unlikely(MOST, 0, parts, confidence):
        raise ValueError("so small a share takes more draws than can be worked out")
    low, high = 0, MOST
    while high - low > 1:
        middle = (low + high) // 2
        if _unlikely(middle, 0, parts, confidence):
            high = middle
        else:
            low = middle
    return high


def _check(n: int, failures: int, confidence: Ratio) -> None:
    if not 0 <= failures <= n or n > (MOST if failures <= FEW else MANY):
        raise ValueError(f"failures are some of the draws, and draws at most {MANY} where more than {FEW} failed")
    sure, of = confidence
    if not 0 < sure < of:
        raise ValueError("a confidence lies between 0 and 1")


def _unlikely(n: int, failures: int, parts: int, confidence: Ratio) -> bool:
    """Whether at most `failures` of `n` are, at a share of `parts` billionths, no likelier than the error allowed.

    Every step rounds up, so that True is exact.
    """
    ways = comb(n, failures)
    room = _ROOM + ways.bit_length()
    bad = -(-(parts << room) // SCALE)
    good = -(-((SCALE - parts) << room) // SCALE)
    likely = ways * _power(bad, failures, room) * _power(good, n - failures, room)
    term = _up(likely, 2 * room - _ROOM)
    total = 0
    for i in range(failures, -1, -1):
        total += term
        if i:
            # C(n, i-1) p^(i-1) q^(n-i+1) from C(n, i) p^i q^(n-i)
            term = -(-term * i * (SCALE - parts) // ((n - i + 1) * parts)) if parts else 1 << _ROOM
    sure, of = confidence
    return total * of <= (of - sure) << _ROOM


def _power(base: int, exponent: int, room: int) -> int:
    """`base` to the power, `room` bits behind the point, rounded up."""
    result, square = 1 << room, base
    while exponent:
        if exponent & 1:
            result = _up(result * square, room)
        square = _up(square * square, room)
        exponent >>= 1
    return result


def _up(value: int, bits: int) -> int:
    return -(-value >> bits)
