"""The process that a torture harms: a whole drill, or a recovery."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path

from cloud_torture_gate import Step
from cloud_torture_stage import KINDS

from keycheck.drill import journal as journals
from keycheck.drill.home import Home
from keycheck.drill.kit import Kit, load
from keycheck.drill.recover import Means, mechanism_of, recover_all
from keycheck.drill.runner import Result, run
from keycheck.model.drill import Change, Mechanism
from keycheck.registry import load_registry

PATIENCE = timedelta(seconds=45)
HOUR = timedelta(hours=1)
FAILED = 9
STDERR = "stderr"


class Kind(StrEnum):
    """What happens to the drill."""

    NOTHING = "nothing"
    KILL = "SIGKILL"
    KILL_TWICE = "SIGKILL, and its recovery too"
    KILL_LATE = "SIGKILL, and the call arrives later"
    INTERRUPT = "SIGINT"
    TERMINATE = "SIGTERM"
    INTERRUPT_TWICE = "SIGINT twice"
    NETWORK = "network lost"
    SESSION = "the session of whoever acts ends"
    SLEEP = "host asleep past the deadline"
    STUCK = "drill stopped past the deadline"
    AHEAD = "clock jumps ahead an hour"
    BACK = "clock jumps back an hour"


DEADLY = (Kind.KILL, Kind.KILL_TWICE, Kind.KILL_LATE)
SIGNALS: Mapping[Kind, tuple[signal.Signals, ...]] = {
    Kind.KILL: (signal.SIGKILL,),
    Kind.KILL_TWICE: (signal.SIGKILL,),
    Kind.KILL_LATE: (signal.SIGKILL,),
    Kind.INTERRUPT: (signal.SIGINT,),
    Kind.TERMINATE: (signal.SIGTERM,),
    Kind.INTERRUPT_TWICE: (signal.SIGINT, signal.SIGINT),
}
LATE = (Kind.SLEEP, Kind.STUCK)
TORN = 1
"""Of the four points of a write, the one at which half of the line is there."""


@dataclass(frozen=True)
class Harm:
    """What happens, and where: at a point of the journal (`step` None) or at a step of a call."""

    kind: Kind = Kind.NOTHING
    number: int = -1
    step: Step | None = None

    @property
    def words(self) -> str:
        if self.kind is Kind.NOTHING:
            return "unharmed"
        if self.step is None:
            part = ("before", "torn", "written", "synced")[self.number % 4]
            return f"{self.kind} at journal write {self.number // 4}, {part}"
        return f"{self.kind} at call {self.number}, {self.step.name.lower()}"


@dataclass(frozen=True)
class Job:
    """What the process that is harmed gets."""

    change: Change
    kit: Kit
    home: Path
    tally: Path
    harm: Harm
    hold: float
    settle: timedelta
    guarded: bool
    brief: bool
    """Tokens that this process signs last a second."""


class Points:
    """Counts what is written to the journal, and does harm at one point. The clock that it gives may jump."""

    def __init__(self, harm: Harm) -> None:
        self.harm = harm if harm.step is None else Harm()
        self.count = 0
        self.offset = timedelta(0)

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def arm(self) -> None:
        write, sync = journals.write_all, journals.sync

        def harmed_write(descriptor: int, data: bytes) -> None:
            self.hit()
            if self.count == self.harm.number and self.harm.kind in DEADLY:
                write(descriptor, data[: len(data) // 2])
            self.hit()
            write(descriptor, data)
            self.hit()

        def harmed_sync(descriptor: int) -> None:
            sync(descriptor)
            if self.count % 4 == 3:  # not after mending
                self.hit()

        journals.write_all, journals.sync = harmed_write, harmed_sync  # type: ignore[assignment]

    def hit(self) -> None:
        at = self.count == self.harm.number
        self.count += 1
        if not at:
            return
        match self.harm.kind:
            case Kind.AHEAD:
                self.offset = HOUR
            case Kind.BACK:
                self.offset = -HOUR
            case kind:
                for number in SIGNALS.get(kind, ()):
                    os.kill(os.getpid(), number)


def drill(job: Job) -> None:
    """The process that is harmed."""
    _quiet(job.tally.parent)
    if job.brief:
        _brief_tokens()
    points = Points(job.harm)
    io = load(job.kit, {}, clock=points.clock)
    io.once.get(("aws", "loader"), _loader)
    mechanism = _mechanism(job.change.kind)
    points.arm()
    outcome = run(
        job.change, mechanism, io, Home(job.home), job.kit,
        during=lambda held: held.wait(job.hold) and None,
        settle=job.settle, patience=PATIENCE, stop=threading.Event(), guarded=job.guarded,
    )  # fmt: skip
    job.tally.write_text(str(points.count))
    os._exit(FAILED if outcome.result is Result.NOT_PROVED else 0)


def _mechanism(kind: str) -> Mechanism:
    """With a dead-man whose rehearsal takes two seconds instead of fifteen."""
    from probes.keys.drill.aws_disable import Disable
    from probes.keys.drill.aws_material import DeleteMaterial
    from probes.keys.drill.dead_man import Waits
    from probes.keys.drill.gcp_disable import DisableVersion

    patient: tuple[type[Disable | DeleteMaterial | DisableVersion], ...] = (Disable, DeleteMaterial, DisableVersion)
    waits = Waits(patience=timedelta(seconds=30), lead=timedelta(seconds=1), pause=0.25)
    for each in patient:
        if each.kind == kind:
            return each(waits=waits)
    return mechanism_of(load_registry(), kind)


def recovery(home: Path, place: Path) -> None:
    """A recovery that is harmed itself."""
    _quiet(place)
    recover_all(Home(home), Means(load_registry(), {}))
    os._exit(0)


def _quiet(place: Path) -> None:
    os.dup2(os.open(place / STDERR, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = os.environ["NO_GCE_CHECK"] = "true"


@cache
def _loader() -> object:
    """The SDK's reader of its service descriptions: read once, by the fork server."""
    from botocore.loaders import create_loader

    loader = create_loader()
    for service in ("kms", "sts", "cloudtrail", "scheduler"):
        loader.load_service_model(service, "service-2")
    return loader


def warm() -> None:
    """What every drill would load by itself."""
    import boto3  # noqa: F401
    import google.cloud.kms_v1
    import google.cloud.resourcemanager_v3  # noqa: F401

    _loader()
    registry = load_registry()
    for kind in KINDS:
        registry.mechanism(kind)


def _brief_tokens() -> None:
    """google-auth renews what lasts less than 225 seconds; so every token is used for a second."""
    from google.auth import jwt

    jwt.Credentials.__init__.__defaults__ = tuple(
        226 if each == 3600 else each for each in jwt.Credentials.__init__.__defaults__ or ()
    )
