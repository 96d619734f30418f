"""A process that dies at the n-th look at its monotonic clock, of which there is one or more before every call."""

from __future__ import annotations

import time
from collections.abc import Callable


class KilledError(BaseException):
    """The process dies here."""


def dying(at: int) -> Callable[[], float]:
    """A monotonic clock that can be read so many times."""
    left = at

    def clock() -> float:
        nonlocal left
        if left == 0:
            raise KilledError
        left -= 1
        return time.monotonic()

    return clock
