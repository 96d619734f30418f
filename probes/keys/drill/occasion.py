"""One revoke drill from end to end: look at every way, take the key away, watch, put it back, and say what was seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final, Protocol, runtime_checkable

from keycheck.boundary import Crash, guarded
from keycheck.drill.held import Held
from keycheck.drill.home import Home
from keycheck.drill.kept import Kept, keep
from keycheck.drill.records import Found, Halted, Record, UndoIntended
from keycheck.drill.records import Observed as Noted
from keycheck.drill.runner import Outcome, Result
from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.drill import DRILL, Desk
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io, Observed
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.drill.cloud import Revoking, prepared
from probes.keys.drill.dead_man import GRACE, WAITS
from probes.keys.drill.moments import Moments
from probes.keys.drill.polling import EVERY, Polling, Way
from probes.keys.drill.starting import carried_out
from probes.keys.drill.telling import told
from probes.keys.drill.watching import alarm, restored
from probes.keys.drill.ways import ONCE, Cold, Stages, vendor_ways
from probes.keys.drill.window import SLACK
from probes.keys.drill_facts import (
    AvailabilityAnswer,
    Markers,
    RevocationFacts,
    Stop,
    Unsupported,
    WindowUses,
)
from probes.keys.subjects import Key, KeyDrill
from probes.keys.timeline import VENDOR_PATHS, Path, PathTimeline, Saw, fold_all

BASELINE: Final = 20.0
"""Seconds within which every way must have read its record before anything is taken away."""
MARGIN: Final = timedelta(seconds=30)
"""From the end of holding to the deadline at which the restriction ends by itself."""


@runtime_checkable
class NeedsQuiet(Protocol):
    """A control that says how long nothing may read before the last success counts as the last."""

    quiet: timedelta


@runtime_checkable
class NeedsSteady(Protocol):
    """A control that says how long a path must read again before it counts as back."""

    steady: timedelta


class Occasion:
    """One drill on one key."""

    def __init__(self, subject: Key, plan: KeyDrill, technique: Technique, io: Io, desk: Desk) -> None:
        self._subject, self._plan, self._technique = subject, plan, technique
        self._io, self._desk = replace(io, stopped=partial(leaving, desk)), desk
        self._id = drill_id(io)
        self._moments = Moments(io)
        self._stages = Stages()
        self._stops: list[Stop] = []
        self._quiet = max([plan.quiet, *(d.quiet for d in io.demands if isinstance(d, NeedsQuiet))])
        self._steady = max([plan.settle, *(d.steady for d in io.demands if isinstance(d, NeedsSteady))])

    def done(self) -> Observed:
        """The whole of it. Raises ProbeError before anything is changed."""
        io, plan, say = self._io, self._plan, self._desk.say
        deadline = io.clock() + lead(self._technique) + plan.hold + MARGIN
        cloud = prepared(self._id, self._subject, plan, deadline, self._technique, io)
        for note in cloud.notes:
            say(f"{self._id}: {note}")
        cold = Cold(plan.planted, Home(self._desk.home))
        vendor, unsupported = vendor_ways(plan.paths, cold, self._steady, self._stages, io, self._desk)
        ways = (*cloud.sentinel_ways(), *vendor)
        polling = Polling(ways, io.monotonic)
        polling.start()
        try:
            self._baseline(polling, ways)
            cloud.mark()
            say(f"{self._id}: every way reads its record; the key goes for at most {plan.hold}")
            if lead(self._technique):
                say(
                    f"{self._id}: first a schedule in the cloud is tried, for at most {lead(self._technique)}; nothing "
                    "is taken away yet, and Ctrl-C ends it. Should nothing of keycheck be left later, it puts the key "
                    f"back at {deadline + GRACE:%H:%M:%S} UTC"
                )
            outcome = self._run(cloud, polling)
            if outcome.result is Result.UNTOUCHED:
                raise ProbeError(outcome.reason or Reason.UNSUPPORTED, f"not begun: {outcome.words}")
            alarm(self._id, outcome, self._desk)
            if "intended" not in self._moments.at:
                raise ProbeError(Reason.CONFLICTING, f"not begun, and not proved to be as before: {outcome.words}")
            self._stages.undone.set()
            self._mark(cloud)
            self._recovery(polling)
        finally:
            self._stages.over.set()
            polling.stop()
        facts = self._facts(cloud, polling, unsupported, outcome)
        self._desk.drills.append(self._id)
        self._keep(cloud.marks())
        for line in facts.timelines:
            say(told(line, facts.undoing))
        return Observed(DRILL, facts)

    def _run(self, cloud: Revoking, polling: Polling) -> Outcome:
        return carried_out(
            cloud,
            self._subject,
            self._plan.settle,
            self._io,
            self._desk,
            during=lambda held: self._during(held, cloud, polling),
            until=cloud.change.deadline - MARGIN,
            watch=self._told,
        )

    def _during(self, held: Held, cloud: Revoking, polling: Polling) -> None:
        """Hold until access has ended on every path and stayed ended, or until something says stop."""
        self._stages.acted.set()
        marked, enough = False, 0.0
        quiet = micros(self._quiet)
        while held.wait(EVERY) is None and self._io.clock() < held.since + self._plan.hold:
            lines = fold_all(polling.samples(self._moments.zero), quiet, None)
            sentinels = [line for line in lines if line.path is Path.SENTINEL]
            if not marked and all(line.refused is not None for line in sentinels):
                self._mark(cloud)
                marked = True
                self._desk.say(f"{self._id}: {'our own principal is denied' if sentinels else 'the act was accepted'}")
            if any(line.during.refused for line in lines if line.path is Path.CONTROL_RECORD):
                held.stop("a record under another key was refused")
                self._stops.append(Stop(at=self._io.clock(), what="a record under another key was refused"))
                return
            watched = [line for line in lines if line.path in VENDOR_PATHS]
            done = marked and all(line.confirmed for line in (*sentinels, *watched))
            enough = (enough or self._io.monotonic()) if done else 0.0
            if enough and self._io.monotonic() - enough > SLACK.total_seconds():
                return

    def _told(self, record: Record) -> None:
        """Every line of the journal, before it is written: moments for the facts, words for people."""
        self._moments.saw(record)
        match record:
            case UndoIntended():
                self._desk.say(f"{self._id}: putting it back")
            case Found() if "undo-intended" in self._moments.at:
                self._desk.say(f"{self._id}: {record.where}: {record.words}")
            case Noted():
                self._desk.say(f"{self._id}: {record.words}")
            case Halted():
                self._desk.say(f"{self._id}: {record.why}: {record.words}")
            case _:
                pass

    def _mark(self, cloud: Revoking) -> None:
        """A mark that cannot be made is missing from the log, which the judge sees; it ends nothing."""
        try:
            cloud.mark()
        except ProbeError as error:
            self._desk.say(f"{self._id}: a marking call failed: {error}")

    def _keep(self, marks: tuple[str, ...]) -> None:
        """What a later reader of the log needs, beside the journal."""
        if why := keep(Home(self._desk.home).directory(self._id), Kept(drill=self._id, marks=marks)):
            self._desk.say(f"{self._id}: its late logs cannot be settled: {why}")

    def _log(self, cloud: Revoking) -> tuple[WindowUses | Unseen, Markers | Unseen]:
        """What the log says by now. A drill cannot be done again for a defect in reading it."""
        found = guarded(lambda: cloud.log(self._moments.walls()))
        if isinstance(found, Crash):
            unseen = Unseen(reason=Reason.PROBE_CRASHED, detail=vendor_text(f"reading the log: {found}"))
            return unseen, unseen
        return found

    def _recovery(self, polling: Polling) -> None:
        """Go on looking until every path reads again, or for as long as the key was away at most."""
        end = self._io.monotonic() + self._plan.hold.total_seconds()
        undo = self._moments.us("undo-intended")
        while self._io.monotonic() < end and not self._desk.stop.is_set():
            lines = fold_all(polling.samples(self._moments.zero), 0, undo)
            if all(line.steady is not None and line.steady_us >= micros(self._steady) for line in lines):
                return
            threading.Event().wait(EVERY)

    def _baseline(self, polling: Polling, ways: Sequence[Way]) -> None:
        end = self._io.monotonic() + BASELINE
        while True:
            looks = {way: polling.seen(way) for way in ways}
            if all(sum(look.saw is Saw.READABLE for look in seen) >= 2 for way, seen in looks.items() if _must(way)):
                return
            if self._io.monotonic() > end or self._desk.stop.is_set():
                break
            threading.Event().wait(EVERY)
        blind = [
            f"{way.path} ({way.by}): {seen[-1].words if seen else 'no answer'}"
            for way, seen in looks.items()
            if _must(way) and sum(look.saw is Saw.READABLE for look in seen) < 2
        ]
        raise ProbeError(Reason.NO_POSITIVE, f"before anything was changed, not readable: {'; '.join(sorted(blind))}")

    def _facts(
        self, cloud: Revoking, polling: Polling, unsupported: tuple[Unsupported, ...], outcome: Outcome
    ) -> RevocationFacts:
        moments, subject = self._moments, self._subject
        quiet = micros(self._quiet)
        lines = fold_all(polling.samples(moments.zero), quiet, moments.us("undo-intended"))
        log, marks = self._log(cloud)
        return RevocationFacts(
            agreed=subject.agreed,
            provider=subject.provider,
            ours=cloud.ours,
            model=subject.model,
            on_key_loss=subject.on_key_loss,
            mechanism=cloud.mechanism.kind,
            scope=cloud.scope,
            occasion=self._id,
            began=moments.at["intended"][0],
            acted=moments.mark("acted"),
            undoing=moments.mark("undo-intended"),
            undone=moments.mark("found-restored"),
            ended=self._io.clock(),
            clock_us=cloud.clock_us,
            interval_us=round(EVERY * 1e6),
            quiet_us=quiet,
            timelines=lines,
            markers=marks,
            log=log,
            restored=restored(outcome),
            availability=tuple(_copies(subject, self._plan, lines)),
            unsupported=unsupported,
            stops=tuple(self._stops),
        )


def lead(technique: Technique) -> timedelta:
    """What rehearsing may take at most: from disabling a key upwards a schedule in the cloud is tried first."""
    armed = technique in (Technique.DISABLE_KEY, Technique.DELETE_MATERIAL)
    return WAITS.patience if armed else timedelta(0)


def leaving(desk: Desk) -> bool:
    """Whether somebody wants out: Ctrl-C, or the halt lever."""
    return desk.stop.is_set() or Home(desk.home).halted() is not None


def drill_id(io: Io) -> str:
    """A new drill's id: when it began, and something random."""
    return f"kc-{io.clock():%Y%m%d-%H%M%S}-{io.entropy(4).hex()}"


def micros(length: timedelta) -> int:
    """Whole microseconds."""
    return length // timedelta(microseconds=1)


def _must(way: Way) -> bool:
    return way.path not in ONCE


def _copies(subject: Key, plan: KeyDrill, lines: Sequence[PathTimeline]) -> Iterator[AvailabilityAnswer]:
    """What each declared availability key gave out. A copy that nobody reads is not known to be closed."""
    for resource in subject.availability_keys:
        witnesses = {copy.witness for copy in plan.paths.copies if copy.resource == resource}
        read = [line for line in lines if line.path is Path.OTHER and line.by in witnesses]
        if not read:
            why = Unseen(reason=Reason.NOT_COVERED, detail="no witness under `copies` reads what is kept under it")
            yield AvailabilityAnswer(resource=resource, seen=why)
        for line in read:
            yield AvailabilityAnswer(resource=resource, seen=line)
