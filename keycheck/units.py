"""Units of work: what goes to a worker, and what comes back. Names and values go; values, never exceptions, return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from keycheck.boundary import Crash, guarded
from keycheck.errors import ProbeError
from keycheck.executors import PoolKind
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io
from keycheck.model.types import PartName, vendor_text
from keycheck.model.verdict import Reason
from keycheck.plan import Task

Step: TypeAlias = Literal["survey", "work"]


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of work of a task. `part` is its name; `lane` what it shares with units that must wait for it."""

    task: Task
    step: Step
    part: PartName
    io: Io
    kind: PoolKind
    lane: str = ""

    @property
    def pool(self) -> tuple[str, PoolKind]:
        """The pool that it runs in."""
        return (self.task.vantage, self.kind)


@dataclass(frozen=True, slots=True)
class Done:
    """What a unit of work came to, and when."""

    value: object
    started: datetime
    duration_us: int


@dataclass(slots=True)
class Progress:
    """A task under way: what is still out, and what has come back."""

    task: Task
    io: Io
    gathered: Mapping[PartName, object]
    parts: frozenset[PartName] = frozenset()
    """Of the census: what the probe must conclude about."""
    waiting: set[PartName] = field(default_factory=set)
    units: int = 0
    """Of this round."""
    rows: int = 0
    """Counted so far, over all rounds."""
    started: datetime | None = None
    ended: datetime | None = None
    times: dict[PartName, tuple[datetime, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Advance:
    """How far a task is in its round, for whoever shows progress."""

    subject: str
    done: int
    units: int
    rows: int


def perform(unit: Unit) -> Done:
    """One unit of work, in a worker. Never raises: what goes wrong comes back as `Unseen`."""
    started, clock = unit.io.clock(), unit.io.monotonic()
    value = guarded(lambda: _call(unit))
    if isinstance(value, Crash):
        value = Unseen(reason=Reason.PROBE_CRASHED, detail=vendor_text(str(value)))
    return Done(value, started, max(0, round((unit.io.monotonic() - clock) * 1_000_000)))


def _call(unit: Unit) -> object:
    probe, subject = unit.task.probe, unit.task.subject
    try:
        return probe.survey(subject, unit.io) if unit.step == "survey" else probe.work(subject, unit.part, unit.io)
    except ProbeError as error:
        return Unseen(reason=error.reason, detail=vendor_text(str(error)))
