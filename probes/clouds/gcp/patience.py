"""What several keys ask, asked once; and a silence that one of them met is not waited for by all the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeVar, cast

from keycheck.errors import ProbeError
from keycheck.model.verdict import Reason

T = TypeVar("T")

SLOW_S: Final = 2.0
"""A failure that took longer is believed for a while; a quick one costs the next key nothing to meet again."""
AGAIN_S: Final = 60.0


class Patient:
    """A memo of one answer. Thread-safe. Other than the run's own memo it waits no longer than it is told to."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._held: tuple[object, float | None] | None = None
        """The answer, and until when it holds; None: for the rest of the run."""

    def get(self, make: Callable[[], T], lasting: Callable[[T], bool], patience: float) -> T:
        """What `make` returned the first time; again when that was not `lasting`, at once or, if it took long, after a
        while. Raises what `make` raises, ProbeError(timeout) when somebody else's takes too long."""
        if not self._lock.acquire(timeout=max(patience, 0.0)):
            raise ProbeError(Reason.TIMEOUT, "another key still waits for the same answer")
        try:
            began = self._monotonic()
            if self._held is not None and (self._held[1] is None or began < self._held[1]):
                return cast(T, self._held[0])
            made = make()
            now = self._monotonic()
            if lasting(made):
                self._held = (made, None)
            elif now - began >= SLOW_S:
                self._held = (made, now + AGAIN_S)
            return made
        finally:
            self._lock.release()
