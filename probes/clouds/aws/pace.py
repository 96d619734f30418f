"""Politeness: calls to one API go out no faster than AWS documents that an account may make them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason
from keycheck.turns import waiting

SHARE: Final = 0.9
"""Of the budget, so that what was found can still be handed over."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment, on the monotonic clock, by which a unit of work stops by itself."""

    at: float
    monotonic: Callable[[], float]

    @classmethod
    def of(cls, budget: float, monotonic: Callable[[], float]) -> Deadline:
        """Nine tenths of `budget` seconds from now."""
        return cls(monotonic() + budget * SHARE, monotonic)

    def left(self) -> float:
        """Seconds that are left; negative when it is over."""
        return self.at - self.monotonic()

    def check(self, what: str) -> None:
        """Raises ProbeError(timeout) when it is over."""
        if self.left() <= 0:
            raise ProbeError(Reason.TIMEOUT, f"{what}: not asked, the time for this key was over")


class Pace:
    """Gives out evenly spaced turns, `rate` a second, to any number of threads.

    Evenly rather than in bursts: a bucket that starts full would let through twice the quota in its first second.
    """

    def __init__(
        self, rate: float, monotonic: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = 0.0

    def turn(self, operation: str, deadline: Deadline) -> None:
        """Wait for the next turn. Raises ProbeError(throttled), at once, when it comes after the deadline."""
        with self._lock:
            now = self._monotonic()
            at = max(self._next, now)
            if at > deadline.at:
                raise ProbeError(
                    Reason.THROTTLED,
                    f"{operation}: not asked, as AWS allows {self._rate:g} calls a second and the queue was "
                    f"longer than the time for this key; observe fewer keys of this account and Region in one run",
                )
            self._next = at + 1 / self._rate
        if at > now:
            with waiting():
                self._sleep(at - now)
