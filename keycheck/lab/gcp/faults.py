"""What can be made to go wrong, from outside, while the lab's Google Cloud runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock

import grpc

from keycheck.lab.gcp.errors import ApiError

_NONE = timedelta(0)


@dataclass(slots=True)
class _Failure:
    error: ApiError
    left: int | None


@dataclass(slots=True)
class Faults:
    """Switches. Methods are named by their last part (`Decrypt`), or in full (`/google.iam.v1.IAMPolicy/GetIamPolicy`)
    where two services share a name."""

    disable_lag: timedelta = _NONE
    """A version that is disabled or scheduled for destruction goes on working for so long (on the lab's clock)."""
    primary_lag: timedelta = _NONE
    """After a change of the primary version by hand, Encrypt uses the old one for so long (on the lab's clock)."""
    iam_lag: timedelta = _NONE
    """A new policy is answered at once, and obeyed after so long (on the lab's clock)."""
    log_lag: timedelta = _NONE
    """A log entry can be read after so long (on the lab's clock)."""
    latency_s: float = 0.0
    """Real seconds before every answer."""
    endless: set[str] = field(default_factory=set)
    """List methods whose pages never end."""
    garbage: set[str] = field(default_factory=set)
    """Methods that answer with bytes that are no message."""
    _failures: dict[str, _Failure] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def fail(self, method: str, code: grpc.StatusCode, message: str = "", *, times: int | None = None) -> None:
        """Let calls of `method` fail: all of them, or the next `times`."""
        with self._lock:
            self._failures[method] = _Failure(ApiError(code, message or f"{method} is made to fail."), times)

    def throttle(self, method: str, *, times: int | None = None) -> None:
        """RESOURCE_EXHAUSTED, as over a quota."""
        sentence = (
            "Quota exceeded for quota metric 'Cryptographic requests' and limit 'Cryptographic requests per minute' "
            "of service 'cloudkms.googleapis.com'."
        )
        self.fail(method, grpc.StatusCode.RESOURCE_EXHAUSTED, sentence, times=times)

    def clear(self) -> None:
        """Everything works again."""
        with self._lock:
            self._failures.clear()
        self.disable_lag = self.primary_lag = self.iam_lag = self.log_lag = _NONE
        self.latency_s = 0.0
        self.endless.clear()
        self.garbage.clear()

    def before(self, path: str) -> None:
        """Wait, or raise what the method was told to raise."""
        if self.latency_s > 0:
            time.sleep(self.latency_s)
        if not self._failures:
            return
        with self._lock:
            for name in (path, short(path)):
                failure = self._failures.get(name)
                if failure is None:
                    continue
                if failure.left is not None:
                    failure.left -= 1
                    if failure.left <= 0:
                        del self._failures[name]
                raise failure.error

    def answers_garbage(self, path: str) -> bool:
        return bool(self.garbage) and (path in self.garbage or short(path) in self.garbage)

    def never_ends(self, path: str) -> bool:
        return bool(self.endless) and (path in self.endless or short(path) in self.endless)


def short(path: str) -> str:
    """`/google.cloud.kms.v1.KeyManagementService/Decrypt` -> `Decrypt`."""
    return path.rsplit("/", 1)[1]
