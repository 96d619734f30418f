"""A polite pace: no faster than a documented quota, shared by everything in a run that draws on it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Api(StrEnum):
    """The services that are asked."""

    KMS = "Cloud KMS"
    RESOURCES = "Resource Manager"
    LOGGING = "Cloud Logging"


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `burst` at once and `rate` a second after that."""

    burst: int
    rate: float


QUOTAS: Final = {
    # 300 read requests a minute per calling project (https://cloud.google.com/kms/quotas); four fifths of it
    Api.KMS: Quota(60, 3.0),
    # 60 entries.list requests a minute per project (https://cloud.google.com/logging/quotas#api-limits)
    Api.LOGGING: Quota(20, 0.65),
    # its quotas are shown per project in the console; this is far below every default we know of
    Api.RESOURCES: Quota(30, 3.0),
}


class Pace:
    """A bucket of calls. Thread-safe."""

    def __init__(self, quota: Quota, monotonic: Callable[[], float]) -> None:
        self._quota = quota
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._level = float(quota.burst)
        self._at = monotonic()

    def wait(self, patience: float) -> float | None:
        """Seconds to wait before the next call, which is thereby taken; None when that is longer than `patience`, and
        nothing is taken."""
        with self._lock:
            now = self._monotonic()
            self._level = min(float(self._quota.burst), self._level + (now - self._at) * self._quota.rate)
            self._at = now
            delay = max(0.0, (1.0 - self._level) / self._quota.rate)
            if delay > patience:
                return None
            self._level -= 1.0
            return delay
