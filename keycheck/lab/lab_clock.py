"""A clock that the lab can turn: keys are made in the past, as their plan says, before anybody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta


class LabClock:
    """The time of `base`, moved. Not for several threads at once: the lab turns it only while it builds."""

    def __init__(self, base: Callable[[], datetime]) -> None:
        self._base = base
        self._ago = timedelta(0)

    def __call__(self) -> datetime:
        """Now, in the lab."""
        return self._base() - self._ago

    @contextmanager
    def days_ago(self, days: float) -> Iterator[None]:
        """Everything inside happens that many days ago."""
        before, self._ago = self._ago, timedelta(days=days)
        try:
            yield
        finally:
            self._ago = before
