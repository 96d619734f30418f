"""What whoever watches a change that is in force is told: whether it still may be, and until when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from threading import Event
from typing import Final

from keycheck.drill.home import Home
from keycheck.drill.records import Observed, Record
from keycheck.model.types import Clock, vendor_text

TICK: Final = 0.1
"""Seconds between two looks at whether to let go."""


class Ending(StrEnum):
    """Why a change was not held any longer."""

    FINISHED = "finished"
    """Whoever watched had seen enough."""
    DEADLINE = "deadline"
    HALTED = "halted"
    """The halt lever was pulled."""
    STOPPED = "stopped"
    """Ctrl-C, SIGTERM, or whoever started the drill asked for it."""
    CONDITION = "condition"
    """A stop condition came true."""
    UNGUARDED = "unguarded"
    """The watchdog died."""
    FAILED = "failed"
    """Watching, or the act itself, failed."""


@dataclass(slots=True)
class Held:
    """A change in force. May be used by several threads; only `note` writes the journal."""

    since: datetime
    """When the act had returned."""
    until: datetime
    """When it ends at the latest, by the wall clock."""
    home: Home
    stop_event: Event
    clock: Clock
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    append: Callable[[Record], object]
    guarded: Callable[[], bool]
    """Whether the watchdog lives."""
    _condition: str | None = None
    _over: float = field(init=False)

    def __post_init__(self) -> None:
        # A wall clock that is set back must not hold the change any longer.
        self._over = self.monotonic() + (self.until - self.clock()).total_seconds()

    def ended(self) -> Ending | None:
        """Why to let go now; None while holding is fine. Looks at the lever, the clocks and the watchdog."""
        if self.stop_event.is_set():
            return Ending.STOPPED
        if self._condition is not None:
            return Ending.CONDITION
        if self.clock() >= self.until or self.monotonic() >= self._over:
            return Ending.DEADLINE
        if self.home.halted() is not None:
            return Ending.HALTED
        return None if self.guarded() else Ending.UNGUARDED

    def wait(self, seconds: float) -> Ending | None:
        """Wait, or stop waiting as soon as holding must end; says why."""
        end = self.monotonic() + seconds
        while (ending := self.ended()) is None and (left := end - self.monotonic()) > 0:
            self.sleep(min(left, TICK))
        return ending

    def stop(self, words: str) -> None:
        """A stop condition came true (a control record no longer reads): end holding. The first words count."""
        if self._condition is None:
            self._condition = vendor_text(words)

    @property
    def condition(self) -> str:
        """The words of the stop condition, or nothing."""
        return self._condition or ""

    def note(self, words: str) -> None:
        """Keep a sentence in the journal, on disk before this returns. Raises OSError, KeycheckError (a full journal,
        or a drill that is closed already)."""
        self.append(Observed(words=vendor_text(words)))
