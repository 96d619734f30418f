"""How many calls to the key service opening takes, and what they cost: for the plan, before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NEGATIVE_SHARE: Final = 10
"""One in so many of the sampled data keys is sent to the key service again, changed; each of these calls must be
refused."""
NEGATIVE_LEAST: Final = 5
PLANTED: Final = 100
"""Planted values of a column that are opened besides the sample, at most."""
_NEGATIVES: Final = 3
"""Under another row's context; and with a bit flipped, of values that the service itself encrypted in two places."""
_RESERVED: Final = 5
_CENTS_PER_10_000: Final = 3


def negative_count(samples: int) -> int:
    """How many of `samples` data keys are sent again, changed."""
    return min(samples, max(NEGATIVE_LEAST, samples // NEGATIVE_SHARE))


def planned_calls(samples: int) -> int:
    """Calls to the key service for one column's sample, at most, when none has to be repeated."""
    return samples + _NEGATIVES * negative_count(samples)


def reserved_calls(samples: Iterable[int], calls: int) -> int:
    """What is kept of a limit of `calls` for sending changed data keys, by the sizes of the columns' samples: at most a
    fifth. A sample that opens and never had to refuse anything proves less than a smaller one that had."""
    return min(sum(_NEGATIVES * negative_count(size) for size in samples), calls // _RESERVED)


def price(calls: int) -> str:
    """About what the calls cost. AWS KMS and Cloud KMS have asked 0.03 USD for 10,000 operations with software keys;
    that is from memory and varies with the region and the protection level."""
    cents = -(-calls * _CENTS_PER_10_000 // 10_000)
    return f"about {cents // 100}.{cents % 100:02d} USD at 0.03 USD per 10,000 calls (a list price from memory)"
