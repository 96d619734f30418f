"""A stranger's plugin, complete: a subject, facts, a probe that misbehaves on request, and a control.

Importable by worker processes, which is why it is no test module.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.control import Control
from keycheck.model.deployment import Subject
from keycheck.model.facts import Census, Facts, Unseen
from keycheck.model.probe import SURVEY, Io, Observed, PartProbe, Round, SimpleProbe, Surveyed, Touch
from keycheck.model.types import PartName
from keycheck.model.verdict import Reason, Verdict, failed, passed


class Door(Subject):
    """A door; its parts are locks, and a lock's name says how looking at it goes."""

    locks: tuple[str, ...]
    scratch: str = ""


class DoorFacts(Facts, schema="door.lock/1"):
    """Whether one lock is locked."""

    locked: bool


class DoorProbe(PartProbe[Door]):
    """Looks at each lock. Proves what it saw, and nothing about other doors."""

    id = "door.lock"
    version = 1
    section = "doors"
    facts = DoorFacts
    limit = 3.0

    def touches(self, subject: Door, io: Io) -> Iterable[Touch]:
        yield Touch(f"door {subject.id}", "none", False, Technique.PASSIVE, 1, 1)

    def survey(self, subject: Door, io: Io) -> Census:
        if "survey-crash" in subject.locks:
            raise RuntimeError("password=hunter2")
        if "survey-denied" in subject.locks:
            raise ProbeError(Reason.PERMISSION_DENIED, "the porter said no")
        if "survey-exit" in subject.locks:
            raise SystemExit(0)
        return Census(parts=subject.locks)

    def work(self, subject: Door, part: PartName, io: Io) -> Observed:
        match part.partition("-")[0]:
            case "hang":
                time.sleep(60)
            case "crash":
                raise RuntimeError("password=hunter2")
            case "die":
                os._exit(3)
            case "slow":
                time.sleep(0.3)
        if subject.scratch:
            with Path(subject.scratch).open("a") as tally:
                tally.write(f"{part}\n")
        return Observed(part, DoorFacts(locked=not part.startswith("open")))


class HeavyDoorProbe(DoorProbe):
    """The same in worker processes."""

    pool: ClassVar[Literal["threads", "processes"]] = "processes"
    limit = 20.0


class HastyDoorProbe(HeavyDoorProbe):
    """Worker processes that are given little time."""

    limit = 0.5


class ForgetfulProbe(DoorProbe):
    """Concludes nothing."""

    def conclude(self, subject: Door, gathered: object) -> Iterable[Observed]:
        return ()


class FoldCrashProbe(DoorProbe):
    """Crashes while folding."""

    def fold(self, gathered: object, part: PartName, result: object) -> dict[PartName, Observed | Unseen]:
        raise KeyError("password=hunter2")


class WallFacts(Facts, schema="door.wall/1"):
    """What is written down of all walls before doors are counted."""

    stones: int


class TwoRoundProbe(DoorProbe):
    """Weighs stones in worker processes first, writes that down, and only then looks at the doors, right here."""

    pool: ClassVar[Literal["threads", "processes"]] = "processes"
    limit = 20.0

    def survey(self, subject: Door, io: Io) -> Surveyed:
        pieces = {f"stone {n}": n for n in range(5)} | ({"stone die": -1} if "die" in subject.scratch else {})
        return Surveyed(Census(parts=subject.locks), Round(pieces), known=100)

    def work(self, subject: Door, part: PartName, io: Io) -> object:
        if io.given == -1:
            os._exit(3)
        return (io.given, os.getpid())

    def more(self, subject: Door, gathered: Mapping[PartName, object], io: Io) -> Round | None:
        if "all" in gathered:
            return Round({}) if "nothing" in subject.scratch else None
        stones = sum(given[0] for given in gathered.values() if isinstance(given, tuple))
        return Round({"all": stones}, "threads", 30.0, (Observed("walls", WallFacts(stones=stones)),))

    def conclude(self, subject: Door, gathered: Mapping[PartName, object]) -> Iterable[Observed]:
        known, (stones, pid) = gathered[SURVEY], gathered["all"]
        lost = any(isinstance(each, Unseen) for each in gathered.values())
        right = known == 100 and stones == 10 and pid == os.getpid() and not lost
        return [Observed(lock, DoorFacts(locked=right)) for lock in subject.locks if lock != "forgotten"]


class Locked(Control, id="door.locked", version=1):
    """Every lock of the door is locked."""

    needs = (DoorFacts,)
    section = "doors"
    proves = "that each lock was locked when it was looked at"
    does_not_prove = "that nobody has a key"
    example = "{control: door.locked@1, for: doors}"
    sources = ("a porter",)

    def judge(self, facts: DoorFacts) -> Verdict:
        return passed("locked") if facts.locked else failed("open")


class LockedOnlyOnce(SimpleProbe[Door]):
    """The small way to write a probe: the subject is its only part."""

    id = "door.lock"
    version = 1
    section = "doors"
    facts = DoorFacts

    def touches(self, subject: Door, io: Io) -> Iterable[Touch]:
        return ()

    def observe(self, subject: Door, io: Io) -> Observed:
        return Observed("whole", DoorFacts(locked=True))


CONTROLS = (Locked,)
