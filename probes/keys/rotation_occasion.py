"""One rotation from end to end: write and read, turn the key, go on writing until the vendor has switched, and say what
was seen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Protocol, runtime_checkable

from keycheck.boundary import Crash, guarded
from keycheck.drill.held import Held
from keycheck.drill.home import Home
from keycheck.drill.kept import Kept, keep
from keycheck.drill.records import Found, Halted, Record
from keycheck.drill.records import Observed as Noted
from keycheck.drill.runner import Outcome, Result
from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.drill import DRILL, Desk
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io, Observed
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.drill.moments import Moments
from probes.keys.drill.occasion import BASELINE, MARGIN, NeedsQuiet, drill_id, micros
from probes.keys.drill.polling import EVERY, Polling, Way
from probes.keys.drill.rotating import MaterialSeen, MaterialUses, Order, Rotating, prepared
from probes.keys.drill.starting import carried_out
from probes.keys.drill.telling import seconds
from probes.keys.drill.watching import alarm, restored, until_seen
from probes.keys.drill.ways import asking, reader_of
from probes.keys.drill_facts import Markers, Stop
from probes.keys.rotation_facts import Role, RotationFacts, Stored, Under, Write
from probes.keys.rotation_opening import opener
from probes.keys.rotation_record import escrow, incoming, logged, material, room_of
from probes.keys.rotation_writing import Writing, pens
from probes.keys.subjects import Key, KeyDrill, RotationPaths
from probes.keys.timeline import Path, Saw, fold_all

LOOK: Final = 1.0
"""Seconds between two looks at which material is current; in the first `SOON` they are `EVERY` apart until it has
switched. Each makes calls that stand in the log."""
SOON: Final = 10.0
TWICE: Final = 2
"""How often every way must have worked before anything is changed."""


@runtime_checkable
class NeedsWrites(Protocol):
    """A control that says how many writes under the new material it wants, and how long the old one may be used."""

    writes: int
    within: timedelta


class RotationOccasion:
    """One rotation of one key."""

    def __init__(
        self, subject: Key, plan: KeyDrill, paths: RotationPaths, technique: Technique, io: Io, desk: Desk
    ) -> None:
        self._subject, self._plan, self._paths, self._technique = subject, plan, paths, technique
        self._io, self._desk = io, desk
        self._id = drill_id(io)
        self._moments = Moments(io)
        self._stops: list[Stop] = []
        self._switched: float | None = None
        self._after: MaterialSeen | Unseen = Unseen(reason=Reason.NOT_RECORDED, detail="it was not looked at")
        wanted = [demand for demand in io.demands if isinstance(demand, NeedsWrites)]
        self._quiet = max([plan.quiet, *(d.quiet for d in io.demands if isinstance(d, NeedsQuiet))])
        self._wanted = max((demand.writes for demand in wanted), default=1)
        self._within = max((demand.within for demand in wanted), default=timedelta(0))
        self._tightest = min((demand.within for demand in wanted), default=None)

    def looked(self) -> Rotating:
        """Everything that only looks. Raises ProbeError with every reason not to rotate."""
        cloud = prepared(self._order(), self._io)
        for line in (*cloud.notes, *cloud.irreversible):
            self._say(line)
        return cloud

    def done(self) -> Observed:
        """The whole of it. Raises ProbeError before anything is changed."""
        cloud = self.looked()
        io = self._io
        every = self._pace(cloud)
        self._showable(every)
        subject, paths = self._subject, self._paths
        asked = opener(subject, cloud.key, dict(paths.context), io)
        writing = Writing(pens(paths.write, io, self._desk), asked, every, io.monotonic)
        ways = self._ways()
        polling = Polling(ways, io.monotonic)
        polling.start()
        writing.start()
        try:
            patience = BASELINE + every * (TWICE + 1) * len(paths.write)
            until_seen(lambda: self._blind(polling, ways, writing), patience, io, self._desk.stop)
            before = cloud.material_now()
            if isinstance(before, Unseen):
                raise ProbeError(before.reason, f"nothing was changed: which material is current: {before.detail}")
            if before.settled is None:
                raise ProbeError(Reason.CONFLICTING, "nothing was changed: the cloud names several current materials")
            cloud.mark()
            self._say(f"writes and reads work; {cloud.key} is rotated now")
            outcome = self._run(cloud, before, writing, polling)
            if outcome.result is Result.UNTOUCHED:
                raise ProbeError(outcome.reason or Reason.UNSUPPORTED, f"not begun: {outcome.words}")
            alarm(self._id, outcome, self._desk)
            if "intended" not in self._moments.at:
                raise ProbeError(Reason.CONFLICTING, f"not begun, and not proved to be as before: {outcome.words}")
            self._mark(cloud)
        finally:
            writing.stop()
            polling.stop()
        facts = self._facts(cloud, before, writing, polling, every, outcome)
        self._keep(cloud)
        self._tell(facts)
        return Observed(DRILL, facts)

    def _order(self) -> Order:
        return Order(
            drill=self._id,
            subject=self._subject,
            plan=self._plan,
            deadline=self._io.clock() + self._plan.hold + MARGIN,
            technique=self._technique,
            wish=self._desk.wish,
            workdir=Home(self._desk.home).directory(self._id),
        )

    def _pace(self, cloud: Rotating) -> float:
        """Seconds between two writes: no more than some hundreds while the key is watched; and where the log alone can
        tell what a write was sealed under, so far apart that it can tell them apart."""
        pace = max(2 * EVERY, self._plan.hold.total_seconds() / 200)
        if any(write.stored is None for write in self._paths.write):
            pace = max(pace, 2 * cloud.clock_us / 1e6 + 1)
        return pace

    def _showable(self, every: float) -> None:
        """Raises ProbeError where even an honest vendor could not be shown to be one: nothing is rotated for that."""
        needed = self._within + self._quiet + timedelta(seconds=every * self._wanted)
        if self._plan.hold < needed:
            raise ProbeError(
                Reason.UNSUPPORTED,
                f"hold {self._plan.hold} is shorter than {needed}, which the contract's bound, quiet and "
                f"{self._wanted} writes {every:.1f} s apart take: nothing could be shown",
            )
        if self._tightest is not None and self._tightest.total_seconds() < every:
            raise ProbeError(
                Reason.UNSUPPORTED,
                f"the contract's bound {self._tightest} is shorter than the {every:.1f} s between two writes: nothing "
                "could be shown; declare a witness of the stored record, or agree on a longer bound",
            )

    def _ways(self) -> tuple[Way, ...]:
        found = ((Path.OTHER, self._paths.old), (Path.CONTROL_RECORD, self._paths.control))
        return tuple(
            Way(path, name, asking(reader_of(name, self._io, self._desk))) for path, names in found for name in names
        )

    def _blind(self, polling: Polling, ways: tuple[Way, ...], writing: Writing) -> Mapping[str, str]:
        """The ways that do not work yet, with their last words."""
        blind: dict[str, str] = {}
        for way in ways:
            looks = polling.seen(way)
            if sum(look.saw is Saw.READABLE for look in looks) < TWICE:
                blind[f"{way.path} ({way.by})"] = looks[-1].words if looks else "no answer"
        last = {write.by: write for write in writing.writes(self._io.monotonic())}
        for by, number in writing.acknowledged().items():
            if number < TWICE or not _works(last[by]):
                blind[f"write ({by})"] = writing.trouble(by)
        return blind

    def _run(self, cloud: Rotating, before: MaterialSeen, writing: Writing, polling: Polling) -> Outcome:
        return carried_out(
            cloud,
            self._subject,
            self._plan.settle,
            self._io,
            self._desk,
            during=lambda held: self._during(held, cloud, before, writing, polling),
            until=self._io.clock() + self._plan.hold,
            watch=self._told,
        )

    def _during(self, held: Held, cloud: Rotating, before: MaterialSeen, writing: Writing, polling: Polling) -> None:
        """Go on until the vendor has switched and stayed so, or until something says stop."""
        marked, looked, soon = False, 0.0, self._io.monotonic() + SOON
        while held.wait(EVERY) is None:
            hurry = self._switched is None and self._io.monotonic() < soon
            if hurry or self._io.monotonic() - looked >= LOOK:
                self._look(cloud, before)
                looked = self._io.monotonic()
            if self._switched is not None and not marked:
                self._mark(cloud)
                marked = True
                self._say("our own encryptions use the new material")
            lines = fold_all(polling.samples(self._moments.zero), 0, None)
            if any(line.during.refused for line in lines if line.path is Path.CONTROL_RECORD):
                held.stop("a record under another key was refused")
                self._stops.append(Stop(at=self._io.clock(), what="a record under another key was refused"))
                break
            if marked and self._enough(writing):
                break
        writing.stop()
        self._look(cloud, before)

    def _look(self, cloud: Rotating, before: MaterialSeen) -> None:
        """Which material is current now; a look that finds anything but the new one begins the switch anew."""
        self._after = cloud.material_now()
        new = None if isinstance(self._after, Unseen) else self._after.settled
        if new is None or new in (before.settled, *cloud.previous()):
            self._switched = None
        elif self._switched is None:
            self._switched = self._io.monotonic()

    def _enough(self, writing: Writing) -> bool:
        """Whether the last writes are many and long enough, and, as far as is shown, all under the new material."""
        new = None if isinstance(self._after, Unseen) else self._after.settled
        since = self._switched or 0.0
        run: list[Write] = []
        for write in writing.writes(since):
            if _new(write, new, micros(self._within)):
                run.append(write)
            else:
                run.clear()
        return len(run) >= self._wanted and run[-1].at_us - run[0].at_us >= micros(self._quiet)

    def _told(self, record: Record) -> None:
        """Every line of the journal, before it is written: moments for the facts, words for people."""
        self._moments.saw(record)
        match record:
            case Found() if "undo-intended" in self._moments.at:
                self._say(f"{record.where}: {record.words}")
            case Noted():
                self._say(record.words)
            case Halted():
                self._say(f"{record.why}: {record.words}")
            case _:
                pass

    def _say(self, words: str) -> None:
        self._desk.say(f"{self._id}: {words}")

    def _mark(self, cloud: Rotating) -> None:
        """A mark that cannot be made is missing from the log, which the judge sees; it ends nothing."""
        try:
            cloud.mark()
        except ProbeError as error:
            self._say(f"a marking call failed: {error}")

    def _keep(self, cloud: Rotating) -> None:
        """What a later reader of the log needs, beside the journal."""
        why = keep(Home(self._desk.home).directory(self._id), Kept(drill=self._id, marks=cloud.marks()))
        self._desk.drills.append(self._id)
        if why:
            self._say(f"its late logs cannot be settled: {why}")

    def _facts(
        self,
        cloud: Rotating,
        before: MaterialSeen,
        writing: Writing,
        polling: Polling,
        every: float,
        outcome: Outcome,
    ) -> RotationFacts:
        moments, subject = self._moments, self._subject
        zero = moments.zero
        log, marks = self._log(cloud)
        return RotationFacts(
            agreed=subject.agreed,
            provider=subject.provider,
            ours=cloud.ours,
            model=subject.model,
            rotated=vendor_text(cloud.key),
            canary=self._technique is not Technique.ROTATE_KEY,
            mechanism=cloud.mechanism.kind,
            occasion=self._id,
            began=moments.at["intended"][0],
            acted=moments.mark("acted"),
            undoing=moments.mark("undo-intended"),
            undone=moments.mark("found-restored"),
            ended=self._io.clock(),
            clock_us=cloud.clock_us,
            interval_us=round(every * 1e6),
            quiet_us=micros(self._quiet),
            before=material(before),
            after=material(self._after),
            previous=tuple(vendor_text(each) for each in cloud.previous())[:200],
            switched_us=None if self._switched is None else round((self._switched - zero) * 1e6),
            imported=cloud.imported or bool(cloud.escrow),
            escrow=tuple(map(escrow, cloud.escrow))[:1000],
            incoming=incoming(self._plan, cloud.imported),
            room=room_of(cloud.room),
            irreversible=tuple(vendor_text(each) for each in cloud.irreversible)[:20],
            writes=writing.writes(zero),
            timelines=fold_all(polling.samples(zero), 0, None),
            markers=marks,
            log=logged(log),
            restored=restored(outcome),
            stops=tuple(self._stops),
        )

    def _log(self, cloud: Rotating) -> tuple[MaterialUses | Unseen, Markers | Unseen]:
        """What the log says by now. A rotation cannot be done again for a defect in reading it."""
        found = guarded(lambda: cloud.log_uses(self._moments.walls()))
        if isinstance(found, Crash):
            unseen = Unseen(reason=Reason.PROBE_CRASHED, detail=vendor_text(f"reading the log: {found}"))
            return unseen, unseen
        return found

    def _tell(self, facts: RotationFacts) -> None:
        new = facts.new_material
        self._say(f"new material: {new or 'not sure that there is one'}")
        for by in sorted({write.by for write in facts.writes}):
            after = [write for write in facts.writes if write.by == by and write.at_us >= 0]
            good = [write for write in after if _new(write, new, 0)]
            first = f", first {seconds(good[0].at_us)}" if good else ""
            self._say(f"  write {by:<16} {len(good)} of {len(after)} under it{first}")
        for line in facts.of(Path.OTHER):
            self._say(f"  old   {line.by:<16} read {line.during.readable} of {line.during.all} times after the act")


def _works(write: Write) -> bool:
    """Whether it was acknowledged, and what it stored could be told where a witness shows it."""
    if write.said != "acknowledged":
        return False
    if isinstance(write.stored, Stored):
        return write.stored.anew and isinstance(write.stored.under, Under) and write.stored.under.role in _BEFORE
    return write.stored.reason is Reason.UNSUPPORTED


_BEFORE: Final = frozenset({Role.NAMED, Role.PRIMARY, Role.NOT_PRIMARY})


def _new(write: Write, new: str | None, within_us: int) -> bool:
    """Whether a write counts as one under the new material while the drill goes on; the judge decides. Where nothing
    shows what it stored, an acknowledged one that began late enough does."""
    stored = write.stored
    if isinstance(stored, Stored):
        under = stored.under
        if not isinstance(under, Under) or not stored.anew:
            return False
        return (under.role is Role.NAMED and under.material == new) or (under.role is Role.PRIMARY and under.at_us >= 0)
    return stored.reason is Reason.UNSUPPORTED and write.said == "acknowledged" and write.at_us >= within_us
