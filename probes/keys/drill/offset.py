"""How far a cloud's clock is from ours: two bounds, from what was answered between two looks at our own clock. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import reduce
from typing import Final

_NONE: Final = timedelta(0)
SECOND: Final = timedelta(seconds=1)
"""What the whole seconds of a Date leave open."""
MAX_SKEW: Final = timedelta(seconds=5)
"""A drill does not start on a clock that is surely further off."""


@dataclass(frozen=True, slots=True)
class Offset:
    """The cloud's clock less ours: not less than `low`, not more than `high`."""

    low: timedelta
    high: timedelta

    @property
    def least(self) -> timedelta:
        """How far off our clock surely is."""
        return max(self.low, -self.high, _NONE)

    @property
    def most(self) -> timedelta:
        """How far off it can be."""
        return max(abs(self.low), abs(self.high))

    def and_(self, other: Offset) -> Offset:
        """What both leave open. Two that exclude each other, from two servers or from a clock that was set meanwhile,
        leave open whatever either does."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Offset(low, high) if low <= high else Offset(min(self.low, other.low), max(self.high, other.high))


def by_date(written: str | None, asked: datetime, answered: datetime) -> Offset | None:
    """From the Date of an answer, which has whole seconds; None where there is none."""
    if written is None:
        return None
    try:
        there = parsedate_to_datetime(written).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return Offset(there - answered, there + SECOND - asked)


def by_log(calls: Sequence[tuple[datetime, datetime]], logged: Sequence[datetime]) -> Offset | None:
    """From calls of our own (asked, answered) and the moments at which the cloud's log says that they were.

    The newest entries are taken for the calls, one for each, in their order. None where that cannot be: entries are
    missing, or no single offset explains them all.
    """
    if not calls or len(logged) < len(calls):
        return None
    pairs = zip(sorted(calls), sorted(logged)[-len(calls) :], strict=True)
    each = [Offset(at - answered, at - asked) for (asked, answered), at in pairs]
    low, high = max(one.low for one in each), min(one.high for one in each)
    return Offset(low, high) if low <= high else None


def together(offsets: Sequence[Offset]) -> Offset | None:
    """What all of them leave open; None: there is none."""
    return reduce(Offset.and_, offsets) if offsets else None
