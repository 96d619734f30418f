"""Tasks on practice doors, for tests of whoever runs them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from practice_plugin import Door, DoorProbe

from keycheck.model.deployment import HERE, SubjectEntry
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.plan import Task


def now() -> datetime:
    return datetime.now(UTC)


def no_dns(host: str, seconds: float) -> tuple[str, ...]:
    return ()


def zeros(n: int) -> bytes:
    return bytes(n)


def io(task: Task) -> Io:
    return Io(HERE, 0.0, (), 1, frozenset(), Path(), {}, no_dns, now, zeros)


def task(name: str, locks: Iterable[str], probe: DoorProbe | None = None, scratch: str = "") -> Task:
    door = Door(id=name, locks=tuple(locks), scratch=scratch)
    entry = SubjectEntry(id=f"doors/{name}", vantages=("here",), body=CanonicalJson.of(door.model_dump(mode="json")))
    return Task(probe or DoorProbe(), door, entry, "here", (), 1)
