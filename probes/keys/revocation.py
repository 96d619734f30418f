"""The revoke drill: take the key away from the canary alone, watch every way to it, put it back, and prove that."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import ClassVar, Final, Protocol, runtime_checkable

from keycheck.drill.held import Held
from keycheck.drill.home import Home
from keycheck.drill.kit import kit_for
from keycheck.drill.phases import Phase
from keycheck.drill.records import Found, Halted, Record, UndoIntended
from keycheck.drill.runner import Outcome, Result, run
from keycheck.drill.status import status as drills
from keycheck.errors import KeycheckError, ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.drill import DRILL, Desk, DrillProbe, Where
from keycheck.model.facts import Facts, Unseen
from keycheck.model.probe import Io, Observed, Touch
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.drill.aws_revoke import AwsRevocation
from probes.keys.drill.aws_window import SLACK
from probes.keys.drill.polling import EVERY, Ask, Look, Polling, Way
from probes.keys.drill_facts import Mark, Restored, RevocationFacts, Stop, Unsupported
from probes.keys.observe import credential_of
from probes.keys.subjects import CanaryPaths, Key, KeyDrill, KeyModel
from probes.keys.timeline import VENDOR_PATHS, Path, PathTimeline, Saw, fold_all
from probes.keys.witness import Reader, open_witness

BASELINE: Final = 20.0
"""Seconds within which every way must have read its record before anything is taken away."""
READ: Final = 5.0
"""Seconds that one read of a witness may take."""
MARGIN: Final = timedelta(seconds=30)
"""From the end of holding to the deadline at which the restriction ends by itself."""
COLD: Final = (1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds between cold records: each is read once, so they are spread over the time that the key may be away."""
COLD_AFTER: Final = 3
"""Cold records that are kept for after the undo."""
ONCE: Final = frozenset({Path.VENDOR_COLD})
_ADVICE: Final = {
    KeyModel.SERVICE_INTEGRATED: "one key is under all data: ask the vendor for a rehearsal on a tenant of yours",
    KeyModel.UPLOADED_MATERIAL: "the vendor's KMS holds it: ask the vendor to delete it and to show that reads fail",
    KeyModel.EXTERNAL_CALLOUT: "the vendor fetches your key: refuse the fetch at your own end, and watch",
    KeyModel.VENDOR_CONSOLE: "only the vendor's console turns this key: ask for a witnessed rehearsal",
}


@runtime_checkable
class Bounded(Protocol):
    """A control with a bound on how long access may last, and the quiet that confirms its end."""

    within: timedelta
    quiet: timedelta


@runtime_checkable
class NeedsQuiet(Protocol):
    """A control that says how long nothing may read before the last success counts as the last."""

    quiet: timedelta


@runtime_checkable
class NeedsSteady(Protocol):
    """A control that says how long a path must read again before it counts as back."""

    steady: timedelta


class RevocationProbe(DrillProbe[Key]):
    """Revokes the key for the canary's encryption context and times the last successful read on every path.

    Proves what the vendor could still read of the canary, when, and that it was put back. Nothing is proved about
    records that the restriction did not concern, about copies that no witness reads, or about the next time.
    """

    id = "keys.revocation"
    version = 1
    section = "keys"
    facts: ClassVar[type[Facts]] = RevocationFacts
    limit: ClassVar[float] = 3600.0

    def touches(self, subject: Key, io: Io) -> Iterable[Touch]:
        """A restriction on the canary's context, reads of the canary, and the undo."""
        if subject.drill is None or subject.model is not KeyModel.DIRECT_KMS:
            return
        hold = int(subject.drill.hold.total_seconds())
        names = ", ".join(name for name, _ in subject.drill.context)
        yield Touch(
            what=f"{subject.resource}: deny use under the canary's context ({names}) for at most {hold} s, watch, undo",
            credential="; ".join(
                credential_of(ref, io)
                for ref in (subject.identities.drill, subject.identities.control, subject.identities.restore)
            ),
            changes=True,
            technique=Technique.DRILL,
            connections=4,
            seconds=2 * hold + 60,
            calls=int(hold / EVERY) + 60,
        )

    def drill(self, subject: Key, io: Io, desk: Desk) -> Iterable[Observed]:
        """One drill. Raises ProbeError before anything is changed."""
        plan = subject.drill
        if subject.model is not KeyModel.DIRECT_KMS:
            raise ProbeError(Reason.UNSUPPORTED, f"key model {subject.model}: {_ADVICE[subject.model]}")
        if plan is None:
            raise ProbeError(Reason.UNSUPPORTED, "the key declares no `drill:`: its canary and who reads it")
        if subject.provider != "aws":
            raise ProbeError(Reason.UNSUPPORTED, "revoke drills on Google Cloud keys are not offered yet")
        try:
            self._may_start(subject, plan, io, desk)
            return (_Drill(subject, plan, io, desk).done(),)
        except ProbeError as error:
            desk.say(f"not done, and nothing was changed: {error}")
            raise

    def _may_start(self, subject: Key, plan: KeyDrill, io: Io, desk: Desk) -> None:
        """What can be told before anything is asked. Raises ProbeError."""
        home = Home(desk.home)
        if why := home.halted():
            raise ProbeError(Reason.NOT_AUTHORIZED, f"the halt lever is pulled: {why}")
        for other in drills(home, io.clock):
            if other.phase is not Phase.CLOSED and other.subject == f"keys/{subject.id}":
                raise ProbeError(
                    Reason.CONFLICTING,
                    f"drill {other.drill} is open on this key: wait for it, or `keycheck drill recover {other.drill}`",
                )
        needed = max((d.within + d.quiet for d in io.demands if isinstance(d, Bounded)), default=timedelta(0))
        if plan.hold < needed:
            raise ProbeError(
                Reason.UNSUPPORTED,
                f"hold {plan.hold} is shorter than the contract's bound and quiet, {needed}: nothing could be shown",
            )


@dataclass(slots=True)
class _Moments:
    """When what happened, on both clocks."""

    io: Io
    at: dict[str, tuple[datetime, float]] = field(default_factory=dict)

    def saw(self, record: Record) -> None:
        """Called before each line of the journal."""
        kind: str = record.type
        if isinstance(record, Found):
            kind = f"found-{record.where}" if "undo-intended" in self.at or record.where is Where.FOREIGN else ""
        if kind:
            self.at.setdefault(kind, (self.io.clock(), self.io.monotonic()))
            if kind == "found-restored":
                self.at["restored-again"] = (self.io.clock(), self.io.monotonic())

    def mark(self, kind: str, zero: float) -> Mark | Unseen:
        """A moment as the facts state it."""
        if kind not in self.at:
            return Unseen(reason=Reason.NOT_RECORDED, detail=f"{kind} never happened")
        at, mono = self.at[kind]
        return Mark(at=at, at_us=round((mono - zero) * 1e6))


class _Drill:
    """One occasion."""

    def __init__(self, subject: Key, plan: KeyDrill, io: Io, desk: Desk) -> None:
        self._subject, self._plan, self._io, self._desk = subject, plan, io, desk
        self._id = f"kc-{io.clock():%Y%m%d-%H%M%S}-{io.entropy(4).hex()}"
        self._moments = _Moments(io)
        self._stops: list[Stop] = []
        self._undone, self._over = threading.Event(), threading.Event()
        self._quiet = max([plan.quiet, *(d.quiet for d in io.demands if isinstance(d, NeedsQuiet))])
        self._steady = max([plan.settle, *(d.steady for d in io.demands if isinstance(d, NeedsSteady))])

    def done(self) -> Observed:
        """The whole of it."""
        io, plan = self._io, self._plan
        deadline = io.clock() + plan.hold + MARGIN
        cloud = AwsRevocation.prepared(self._id, self._subject, plan, deadline, io)
        ways, unsupported = self._ways(cloud)
        polling = Polling(ways, io.monotonic)
        polling.start()
        try:
            self._baseline(polling, ways)
            cloud.mark()
            self._desk.say(f"{self._id}: every way reads its record; the key goes for at most {plan.hold}")
            outcome = self._run(cloud, polling)
            if outcome.result is Result.UNTOUCHED:
                raise ProbeError(outcome.reason or Reason.UNSUPPORTED, f"nothing was changed: {outcome.words}")
            self._desk.unrestored += outcome.by_hand
            if outcome.result is not Result.RESTORED:
                self._desk.say(f"{self._id}: {outcome.result}: {outcome.words}")
            self._undone.set()
            self._mark(cloud)
            self._recovery(polling)
        finally:
            self._over.set()
            polling.stop()
        facts = self._facts(cloud, polling, unsupported, outcome)
        for line in facts.timelines:
            self._desk.say(told(line, facts.undoing))
        return Observed(DRILL, facts)

    def _run(self, cloud: AwsRevocation, polling: Polling) -> Outcome:
        home = Home(self._desk.home)
        subject = f"keys/{self._subject.id}"
        kit = kit_for(self._desk.deployment, self._desk.file, subject, self._io, frozenset(cloud.arns))
        try:
            return run(
                cloud.change,
                cloud.mechanism,
                self._io,
                home,
                kit,
                during=lambda held: self._during(held, cloud, polling),
                settle=self._plan.settle,
                stop=self._desk.stop,
                until=self._io.clock() + self._plan.hold,
                watch=self._told,
            )
        except ProbeError:
            raise
        except KeycheckError as error:  # of the journal's home, before anything was touched
            raise ProbeError(Reason.CONFLICTING, f"not started: {error}; {error.advice}") from error

    def _during(self, held: Held, cloud: AwsRevocation, polling: Polling) -> None:
        """Hold until access has ended on every path and stayed ended, or until something says stop."""
        marked, enough = False, 0.0
        quiet = _micros(self._quiet)
        while held.wait(EVERY) is None:
            lines = fold_all(polling.samples(self._zero), quiet, None)
            sentinels = [line for line in lines if line.path is Path.SENTINEL]
            denied = bool(sentinels) and all(line.refused is not None for line in sentinels)
            if denied and not marked:
                self._mark(cloud)
                marked = True
                self._desk.say(f"{self._id}: our own principal is denied")
            control = [line for line in lines if line.path is Path.CONTROL_RECORD]
            if any(line.during.refused for line in control):
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
            case Halted():
                self._desk.say(f"{self._id}: {record.why}: {record.words}")
            case _:
                pass

    def _mark(self, cloud: AwsRevocation) -> None:
        """A mark that cannot be made is missing from the log, which the judge sees; it ends nothing."""
        try:
            cloud.mark()
        except ProbeError as error:
            self._desk.say(f"{self._id}: a marking call failed: {error}")

    def _recovery(self, polling: Polling) -> None:
        """Go on looking until every path reads again, or for as long as the key was away at most."""
        end = self._io.monotonic() + self._plan.hold.total_seconds()
        undo = self._us("undo-intended")
        while self._io.monotonic() < end and not self._desk.stop.is_set():
            lines = fold_all(polling.samples(self._zero), 0, undo)
            if all(line.steady is not None and line.steady_us >= _micros(self._steady) for line in lines):
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

    def _ways(self, cloud: AwsRevocation) -> tuple[tuple[Way, ...], tuple[Unsupported, ...]]:
        ways = list(cloud.sentinel_ways())
        unsupported: list[Unsupported] = []
        for path, names in _paths(self._plan.paths):
            if not names:
                unsupported.append(Unsupported(path=path, why="the deployment declares no witness of this path"))
            elif path is Path.VENDOR_COLD:
                ways.append(self._cold(names))
            else:
                ways += [Way(path, name, _asking(self._reader(name))) for name in names]
        return tuple(ways), tuple(unsupported)

    def _cold(self, names: Sequence[str]) -> Way:
        """Each record once: spread over the time that the key may be away, the last few kept for after the undo."""
        readers = [self._reader(name) for name in names]
        first, last = readers[:-COLD_AFTER], readers[-COLD_AFTER:]
        pauses = chain((0.0,), COLD, repeat(COLD[-1]))
        between = self._steady.total_seconds() / max(1, COLD_AFTER - 1) + EVERY

        def turn() -> bool:
            if not self._undone.is_set():
                self._undone.wait(next(pauses))
            while not first and not self._over.is_set() and not self._undone.wait(EVERY):
                pass
            if self._undone.is_set() and len(last) < COLD_AFTER:
                self._over.wait(between)
            return bool(last if self._undone.is_set() else first) and not self._over.is_set()

        def ask() -> Look:
            reading = (last if self._undone.is_set() else first).pop(0).read(READ)
            return Look(reading.saw, reading.words)

        return Way(Path.VENDOR_COLD, "cold records", ask, turn)

    def _reader(self, name: str) -> Reader:
        witness = next((each for each in self._desk.deployment.witnesses if each.id == name), None)
        if witness is None:
            raise ProbeError(Reason.UNSUPPORTED, f"the deployment has no witness {name}")
        return open_witness(witness, self._io, os.environ)

    @property
    def _zero(self) -> float:
        return self._moments.at["intended"][1]

    def _us(self, kind: str) -> int | None:
        found = self._moments.at.get(kind)
        return None if found is None else round((found[1] - self._zero) * 1e6)

    def _facts(
        self, cloud: AwsRevocation, polling: Polling, unsupported: tuple[Unsupported, ...], outcome: Outcome
    ) -> RevocationFacts:
        moments, zero = self._moments, self._zero
        quiet = _micros(self._quiet)
        samples = polling.samples(zero)
        log, marks = cloud.log({kind: at for kind, (at, _) in moments.at.items()})
        return RevocationFacts(
            agreed=self._subject.agreed,
            provider=self._subject.provider,
            ours=cloud.ours,
            model=self._subject.model,
            on_key_loss=self._subject.on_key_loss,
            mechanism=cloud.mechanism.kind,
            scope=cloud.scope,
            occasion=self._id,
            began=moments.at["intended"][0],
            acted=moments.mark("acted", zero),
            undoing=moments.mark("undo-intended", zero),
            undone=moments.mark("found-restored", zero),
            ended=self._io.clock(),
            clock_us=cloud.clock_us,
            interval_us=round(EVERY * 1e6),
            quiet_us=quiet,
            timelines=fold_all(samples, quiet, self._us("undo-intended")),
            markers=marks,
            log=log,
            restored=self._restored(outcome),
            availability=(),
            unsupported=unsupported,
            stops=tuple(self._stops),
        )

    def _restored(self, outcome: Outcome) -> Restored | Unseen:
        first, again = outcome.moment("found", last=True), outcome.moment("closed")
        if outcome.result is not Result.RESTORED or first is None or again is None:
            return Unseen(reason=Reason.CONFLICTING, detail=vendor_text(f"{outcome.result}: {outcome.words}"))
        return Restored(first=first, again=again)


def told(line: PathTimeline, undoing: Mark | Unseen) -> str:
    """One path of the timeline for people: seconds from the act, and from the undo."""
    ended = f"refused from {seconds(line.refused.end_us)}" if line.refused else "not refused to the end"
    last = f"last read {seconds(line.last_success.at_us)}" if line.last_success else "not read after the act"
    back = ""
    if line.again and isinstance(undoing, Mark):
        back = f", again {seconds(line.again.end_us - undoing.at_us)} after the undo"
    return f"  {line.path:<14} {line.by:<16} {last}, {ended}{back}"


def seconds(us: int) -> str:
    """`+1.234 s`."""
    sign = "-" if us < 0 else "+"
    return f"{sign}{abs(us) // 1_000_000}.{abs(us) // 1000 % 1000:03} s"


def _micros(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def _must(way: Way) -> bool:
    return way.path not in ONCE


def _paths(paths: CanaryPaths) -> tuple[tuple[Path, tuple[str, ...]], ...]:
    return (
        (Path.VENDOR_COLD, paths.cold),
        (Path.VENDOR_WARM, paths.warm),
        (Path.SEARCH, paths.search),
        (Path.EXPORT, paths.export),
        (Path.OTHER, paths.other),
        (Path.CONTROL_RECORD, paths.control),
    )


def _asking(reader: Reader) -> Ask:
    def ask() -> Look:
        reading = reader.read(READ)
        return Look(reading.saw, reading.words)

    return ask
