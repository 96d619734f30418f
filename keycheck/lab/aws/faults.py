"""What can be made to go wrong in the lab's AWS, so that a client's patience can be tried."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto


class Damage(Enum):
    """How an answer is spoilt on the wire."""

    TRUNCATED = auto()
    """Half of the announced body, then the connection closes; botocore reads it as an answer without members."""
    OVERSIZED = auto()
    """The answer, padded to 32 MiB of valid JSON."""
    GARBAGE = auto()
    """Status 200 and octets that are no text."""
    PAGE = auto()
    """Status 200 and an HTML page, as a proxy answers; botocore reads it as an answer without members."""
    RESET = auto()
    """A TCP reset instead of an answer."""


class Endless(Enum):
    """How a list never ends."""

    REPEATING = auto()
    """The same NextMarker again and again."""
    FRESH = auto()
    """A new NextMarker with the same entries every time."""


@dataclass(slots=True)
class Lags:
    """How long key use goes on under the old truth after a change; what is read back shows the new one at once."""

    state: timedelta = timedelta(0)
    """Disable, enable, deletion, imported material."""
    policy: timedelta = timedelta(0)
    grants: timedelta = timedelta(0)
    """Of new and of revoked grants; a grant token makes a new one usable at once."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error answer that was asked for."""

    code: str
    message: str
    status: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """What befalls one call."""

    delay: float = 0.0
    """Seconds."""
    failure: Failure | None = None
    damage: Damage | None = None


@dataclass(slots=True)
class _Rule:
    operation: str | None
    times: int | None
    after: int
    every: int
    delay: float = 0.0
    failure: Failure | None = None
    damage: Damage | None = None
    per_second: int | None = None
    seen: int = 0
    done: int = 0
    window: tuple[int, int] = field(default=(0, 0))

    def strikes(self, second: int) -> bool:
        self.seen += 1
        if self.per_second is not None:
            begun, count = self.window if self.window[0] == second else (second, 0)
            self.window = (begun, count + 1)
            return count + 1 > self.per_second
        if self.times is not None and self.done >= self.times:
            return False
        if self.seen <= self.after or (self.seen - self.after - 1) % self.every:
            return False
        self.done += 1
        return True


class Faults:
    """Rules that answers obey; without any, nothing goes wrong. Thread-safe.

    Operations are named as in the API (`Decrypt`); None is every operation of every service.
    """

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.lags = Lags()
        self.skew = timedelta(0)
        """Where not zero, every call is answered as signed this far off the server's clock."""
        self.calls: Counter[str] = Counter()
        """Calls that came in, by operation."""
        self.sleep = sleep
        self._monotonic = monotonic
        self._rules: list[_Rule] = []
        self._endless: dict[str, Endless] = {}
        self._lock = threading.Lock()

    def fail(
        self,
        operation: str | None,
        code: str,
        message: str = "",
        *,
        status: int = 400,
        times: int | None = None,
        after: int = 0,
        every: int = 1,
    ) -> None:
        """Answer with the error: `times` calls (None: all), leaving the first `after`, then every `every`-th."""
        self._add(_Rule(operation, times, after, every, failure=Failure(code, message, status)))

    def throttle(
        self,
        operation: str | None = None,
        *,
        every: int = 1,
        after: int = 0,
        times: int | None = None,
        per_second: int | None = None,
    ) -> None:
        """ThrottlingException for every n-th call, or for what exceeds a rate."""
        failure = Failure("ThrottlingException", "Rate exceeded", 400)
        self._add(_Rule(operation, times, after, every, failure=failure, per_second=per_second))

    def delay(self, operation: str | None, seconds: float, *, times: int | None = None, after: int = 0) -> None:
        """Answer late."""
        self._add(_Rule(operation, times, after, 1, delay=seconds))

    def damage(self, operation: str | None, kind: Damage, *, times: int | None = None, after: int = 0) -> None:
        """Spoil the answer on the wire."""
        self._add(_Rule(operation, times, after, 1, damage=kind))

    def never_end(self, operation: str, kind: Endless) -> None:
        """Make the operation's list endless."""
        with self._lock:
            self._endless[operation] = kind

    def endless(self, operation: str) -> Endless | None:
        """Whether and how the operation's list never ends."""
        return self._endless.get(operation)

    def clear(self) -> None:
        """Nothing goes wrong any more; the counts stay."""
        with self._lock:
            self._rules.clear()
            self._endless.clear()
            self.skew = timedelta(0)
            self.lags = Lags()

    def next(self, operation: str) -> Trouble:
        """Count a call and say what befalls it."""
        with self._lock:
            self.calls[operation] += 1
            if not self._rules:
                return _NO_TROUBLE
            second = int(self._monotonic())
            struck = [rule for rule in self._rules if rule.operation in (None, operation) and rule.strikes(second)]
        return Trouble(
            sum(rule.delay for rule in struck),
            next((rule.failure for rule in struck if rule.failure is not None), None),
            next((rule.damage for rule in struck if rule.damage is not None), None),
        )

    def _add(self, rule: _Rule) -> None:
        with self._lock:
            self._rules.append(rule)


_NO_TROUBLE = Trouble()
