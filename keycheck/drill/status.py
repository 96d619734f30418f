"""Which drills there are and what they owe. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keycheck.drill.home import Home
from keycheck.drill.journal import is_locked, read
from keycheck.drill.phases import Phase, fold
from keycheck.drill.records import Closed, Entry, Found, Halted, Observed
from keycheck.errors import KeycheckError
from keycheck.model.types import Clock, vendor_text


@dataclass(frozen=True, slots=True)
class DrillStatus:
    """One drill, for people and for `--json`."""

    drill: str
    phase: Phase | None
    """None when the journal cannot be read: then nothing can be told, and nothing may be taken for restored."""
    running: bool
    """Some process holds the journal: the drill itself, its watchdog, or a recovery."""
    kind: str = ""
    subject: str = ""
    started: datetime | None = None
    deadline: datetime | None = None
    overdue: bool = False
    """Owed beyond its deadline."""
    words: str = ""
    """The last words of the journal, or what is wrong with it."""
    by_hand: tuple[str, ...] = ()
    """How a person puts it back; empty once closed."""


def status(home: Home, clock: Clock) -> tuple[DrillStatus, ...]:
    """All drills of a home, by id. Raises UsageError where the home cannot be listed."""
    return tuple(_one(directory, clock()) for directory in home.drills())


def _one(directory: Path, now: datetime) -> DrillStatus:
    running = is_locked(directory)
    try:
        entries = read(directory)
        state = fold(entry.record for entry in entries)
    except KeycheckError as error:
        return DrillStatus(directory.name, None, running, words=vendor_text(str(error)))
    except OSError as error:
        return DrillStatus(directory.name, None, running, words=vendor_text(error.strerror or "cannot be read"))
    open_ = state.phase in (Phase.PLANNED, Phase.OWED, Phase.STOPPED)
    change = state.plan.change if state.plan else None
    return DrillStatus(
        directory.name,
        state.phase,
        running,
        kind=change.kind if change else "",
        subject=change.subject if change else "",
        started=entries[0].at if entries else None,
        deadline=change.deadline if change else None,
        overdue=bool(change and open_ and now >= change.deadline),
        words=_words(entries),
        by_hand=change.by_hand if change and open_ else (),
    )


def _words(entries: tuple[Entry, ...]) -> str:
    for entry in reversed(entries):
        match entry.record:
            case Closed(words=words) | Halted(words=words) | Found(words=words) | Observed(words=words):
                return words
            case _:
                continue
    return entries[-1].record.type if entries else ""
