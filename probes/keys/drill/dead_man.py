"""A dead-man in the cloud: a schedule that puts the key back when nothing of ours is left to do it. What both clouds
share.

It is armed and verified while a drill is rehearsed, before anything is taken away, and disarmed when the key is proved
to be back. Firing on a key that is there already changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.drill import Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason

GRACE: Final = timedelta(minutes=2)
"""After the deadline: who restores from here goes first."""
_LONGEST: Final = 64
"""Characters of the name of a schedule."""
_PASSING: Final = (Reason.THROTTLED, Reason.TIMEOUT, Reason.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a rehearsal of the dead-man is waited for."""

    patience: timedelta = timedelta(minutes=20)
    """For everything: EventBridge Scheduler promises the minute, and CloudTrail shows a call typically within five
    minutes. A drill's deadline must leave room for it."""
    lead: timedelta = timedelta(seconds=10)
    """From creating a schedule of AWS to its time."""
    pause: float = 2.0
    """Seconds between two looks."""


WAITS: Final = Waits()


def name_of(drill: str, place: str) -> str:
    """`keycheck-DRILL-PLACE`; a drill's id that is too long or has dots stands there by its digest."""
    plain = f"keycheck-{drill}-{place}"
    if len(plain) <= _LONGEST and re.fullmatch(r"[A-Za-z0-9_-]+", plain):
        return plain
    return f"keycheck-{hashlib.sha256(drill.encode()).hexdigest()[:16]}-{place}"[:_LONGEST]


def missing(what: str) -> ProbeError:
    """Nobody puts the key back when this machine and its network are gone."""
    return ProbeError(
        Reason.UNSUPPORTED,
        f"{what} never ends by itself, and no `dead_man` is declared under the key's `drill:`; name the role or "
        "service account whose schedule in the cloud puts the key back",
    )


def unverified(words: str) -> ProbeError:
    """There is one, and it did not show that it works."""
    return ProbeError(Reason.UNSUPPORTED, vendor_text(f"the dead-man in the cloud is not verified: {words}"))


@dataclass(slots=True)
class Waiting:
    """All waits of one rehearsal: together over after its patience, and at the drill's deadline."""

    waits: Waits
    latest: datetime
    sleep: Callable[[float], None]
    io: Io
    _looks: int = field(init=False)
    _ends: float = field(init=False)

    def __post_init__(self) -> None:
        seconds = self.waits.patience.total_seconds()
        self._looks, self._ends = ceil(seconds / self.waits.pause) + 1, self.io.monotonic() + seconds

    def until(self, done: Callable[[], bool], lacks: str) -> None:
        """Look until it is done, past failures that pass. Raises ProbeError: what `done` raises, and (unsupported) with
        `lacks` when it is too late."""
        held: ProbeError | None = None
        while True:
            try:
                if done():
                    return
                held = None
            except ProbeError as error:
                if error.reason not in _PASSING:
                    raise
                held = error
            if self.io.stopped():
                raise ProbeError(Reason.INTERRUPTED, "stopped while the dead-man in the cloud was rehearsed")
            self._looks -= 1
            if self._looks < 0 or self.io.clock() >= self.latest or self.io.monotonic() >= self._ends:
                why = f"{lacks} ({held})" if held else lacks
                raise unverified(
                    f"{why}; a rehearsal may take {self.waits.patience}, and must be over before the drill's deadline"
                )
            self.sleep(self.waits.pause)


def dismissed(standing: Standing, left: Callable[[], str]) -> Standing:
    """The standing of what is restored, with what is left of the dead-man in its words. It costs nothing but them: a
    schedule that enables what is enabled takes nothing away."""
    if standing.where is not Where.RESTORED or not (words := left()):
        return standing
    return Standing(standing.where, vendor_text(f"{standing.words}; {words}"))


def insistent(work: Callable[[], None], sleep: Callable[[float], None], pauses: tuple[float, ...] = (0.2, 0.8)) -> None:
    """Do it, and again after failures that pass. Raises ProbeError."""
    for pause in pauses:
        try:
            return work()
        except ProbeError as error:
            if error.reason not in _PASSING:
                raise
        sleep(pause)
    return work()
