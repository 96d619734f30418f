"""The vendor's ways to the canary, as the deployment declares them, ready to be looked at again and again."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Final

from keycheck.drill.home import Home
from keycheck.drill.spent import spend, spent
from keycheck.errors import KeycheckError, ProbeError, UsageError
from keycheck.model.drill import Desk
from keycheck.model.probe import Io
from keycheck.model.types import format_instant
from keycheck.model.verdict import Reason
from probes.keys.drill.polling import EVERY, Ask, Look, Way
from probes.keys.drill_facts import Unsupported
from probes.keys.subjects import CanaryPaths
from probes.keys.timeline import Path, Saw
from probes.keys.witness import Reader, open_witness

READ: Final = 5.0
"""Seconds that one read of a witness may take."""
COLD: Final = (1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds between cold records: each is read once, so they are spread over the time that the key may be away."""
COLD_AFTER: Final = 3
"""Cold records that are kept for after the undo."""
ONCE: Final = frozenset({Path.VENDOR_COLD})
"""Paths whose records are gone once they were looked at."""


@dataclass(frozen=True, slots=True)
class Stages:
    """How far a drill is, for whoever looks in another thread."""

    acted: threading.Event = field(default_factory=threading.Event)
    undone: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Cold:
    """Records that were read before are cold no longer."""

    planted: datetime
    home: Home

    def fresh(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those that no drill has read. Raises ProbeError where that is not known."""
        try:
            before = spent(self.home)
        except UsageError as error:
            raise ProbeError(Reason.CONFLICTING, f"{error}; {error.advice}") from error
        return tuple(name for name in names if self._mark(name) not in before)

    def read(self, name: str, reader: Reader) -> Look:
        """The one read of a record; none where it cannot be noted beforehand."""
        try:
            spend(self.home, self._mark(name))
        except (KeycheckError, OSError) as error:
            return Look(Saw.UNAVAILABLE, f"not read: that it was could not be noted ({type(error).__name__})")
        reading = reader.read(READ)
        return Look(reading.saw, reading.words)

    def _mark(self, name: str) -> str:
        """A witness's record, of one planting."""
        return f"{name} planted {format_instant(self.planted)}"


def vendor_ways(
    paths: CanaryPaths, cold: Cold, steady: timedelta, stages: Stages, io: Io, desk: Desk
) -> tuple[tuple[Way, ...], tuple[Unsupported, ...]]:
    """The ways, and the paths that cannot be looked at. Raises ProbeError for a witness that cannot be used, before
    anything is changed."""
    ways: list[Way] = []
    unsupported: list[Unsupported] = []
    for path, names in _declared(paths):
        if not names:
            unsupported.append(Unsupported(path=path, why="the deployment declares no witness of this path"))
        elif path is Path.VENDOR_COLD:
            fresh = cold.fresh(names)
            if not fresh:
                raise ProbeError(
                    Reason.NOT_COVERED,
                    "earlier drills have read every cold canary, so that none is cold: have the vendor write new ones, "
                    "and say so with a new `planted`",
                )
            ways.append(_cold(fresh, cold, steady, stages, io, desk))
        else:
            ways += [Way(path, name, asking(reader_of(name, io, desk))) for name in names]
    return tuple(ways), tuple(unsupported)


def reader_of(name: str, io: Io, desk: Desk) -> Reader:
    """A witness of the deployment, ready to be asked. Raises ProbeError."""
    witness = next((each for each in desk.deployment.witnesses if each.id == name), None)
    if witness is None:
        raise ProbeError(Reason.UNSUPPORTED, f"the deployment has no witness {name}")
    return open_witness(witness, io, os.environ)


def asking(reader: Reader) -> Ask:
    """Looks through one witness."""

    def ask() -> Look:
        reading = reader.read(READ)
        return Look(reading.saw, reading.words)

    return ask


def _declared(paths: CanaryPaths) -> tuple[tuple[Path, tuple[str, ...]], ...]:
    return (
        (Path.VENDOR_COLD, paths.cold),
        (Path.VENDOR_WARM, paths.warm),
        (Path.SEARCH, paths.search),
        (Path.EXPORT, paths.export),
        (Path.OTHER, (*paths.other, *(copy.witness for copy in paths.copies if copy.witness not in paths.other))),
        (Path.CONTROL_RECORD, paths.control),
    )


def _cold(names: Sequence[str], cold: Cold, steady: timedelta, stages: Stages, io: Io, desk: Desk) -> Way:
    """Each record once: one before the act, the others spread over the time that the key is away, the last few kept for
    after the undo."""
    readers = [(name, reader_of(name, io, desk)) for name in names]
    first, last = readers[:-COLD_AFTER], readers[-COLD_AFTER:]
    pauses = chain(COLD, repeat(COLD[-1]))
    between = steady.total_seconds() / max(1, COLD_AFTER - 1) + EVERY
    acted, undone, over = stages.acted, stages.undone, stages.over
    before = len(first)

    def turn() -> bool:
        if len(first) == before > 0:
            return True
        while not (acted.is_set() or undone.is_set() or over.is_set()):
            acted.wait(EVERY)
        if not undone.is_set() and len(first) < before - 1:
            undone.wait(next(pauses))
        while not first and not over.is_set() and not undone.wait(EVERY):
            pass
        if undone.is_set() and len(last) < COLD_AFTER:
            over.wait(between)
        return bool(last if undone.is_set() else first) and not over.is_set()

    def ask() -> Look:
        return cold.read(*(last if undone.is_set() else first).pop(0))

    return Way(Path.VENDOR_COLD, "cold records", ask, turn)
