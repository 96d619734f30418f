"""Asking several ways again and again, each at its own pace, while a key is taken away and put back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from probes.keys.timeline import Path, Sample, Saw

EVERY: Final = 0.2
"""Seconds between the starts of two looks on one path: the resolution that is aimed at, and the bound on the rate."""
GRACE: Final = 10.0
"""Seconds that a look which is under way at the end is waited for."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look: what was seen, in words. Raises nothing."""

    saw: Saw
    words: str = ""


Ask: TypeAlias = "Callable[[], Look]"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the canary. `turn` waits until it is time for the next look, and says False when there is none left;
    without it looks are `EVERY` apart."""

    path: Path
    by: str
    ask: Ask
    turn: Callable[[], bool] | None = None


@dataclass(slots=True)
class Polling:
    """Looks on all ways, in one thread each, until stopped. Times are seconds of `monotonic` until the end."""

    ways: Sequence[Way]
    monotonic: Callable[[], float]
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _looks: list[tuple[Way, float, float, Look]] = field(default_factory=list)

    def start(self) -> None:
        """Begin to look."""
        for number, way in enumerate(self.ways):
            thread = threading.Thread(target=self._poll, args=(way,), name=f"poll-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Look no more; looks under way are waited for, within bounds."""
        self._stop.set()
        end = self.monotonic() + GRACE
        for thread in self._threads:
            thread.join(max(0.0, end - self.monotonic()))

    def samples(self, zero: float) -> tuple[Sample, ...]:
        """Everything seen so far, counted from `zero`."""
        with self._lock:
            looks = tuple(self._looks)
        return tuple(
            Sample(way.path, round((start - zero) * 1e6), round((end - start) * 1e6), look.saw, look.words, way.by)
            for way, start, end, look in looks
        )

    def seen(self, way: Way) -> tuple[Look, ...]:
        """What one way saw so far, in the order of its looks."""
        with self._lock:
            return tuple(look for each, _, _, look in self._looks if each is way)

    def _poll(self, way: Way) -> None:
        while not self._stop.is_set():
            if way.turn is not None and not way.turn():
                return
            start = self.monotonic()
            look = way.ask()
            end = self.monotonic()
            with self._lock:
                self._looks.append((way, start, end, look))
            if way.turn is None:
                self._stop.wait(max(0.01, EVERY - (end - start)))
