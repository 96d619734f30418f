"""`keycheck drill recover --scan`: what drills left in the world, found without their journals, and taken away where
that is surely right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from keycheck.canonical import Jsonable
from keycheck.drill.home import Home
from keycheck.drill.kit import Kit
from keycheck.drill.phases import Phase
from keycheck.drill.recover import Means
from keycheck.drill.restore import Failed, attempt
from keycheck.drill.status import DrillStatus, status
from keycheck.errors import UsageError
from keycheck.model.deployment import Deployment, Subject, SubjectEntry, Vantage
from keycheck.model.drill import Where
from keycheck.model.probe import Io
from keycheck.model.scan import Blind, Consent, Leftover, Scanner
from keycheck.model.types import format_instant
from keycheck.model.verdict import ExitCode, Reason
from keycheck.registry import Broken, Registry

MAX_FINDS: Final = 1000
"""Of one subject; what is beyond is told as not looked at."""


class Journal(StrEnum):
    """What this machine knows about the drill that left something."""

    UNKNOWN = "unknown"
    """It has no journal here: another machine or account may have it open."""
    RUNNING = "running"
    OPEN = "open"
    """Ended without having put everything back, or unreadable: its own recovery knows more than a scan."""
    CLOSED = "closed"


class Fate(StrEnum):
    """What became of a leftover."""

    LEFT = "left"
    CLEARED = "cleared"
    TOLD = "told"
    """Nothing is owed."""


@dataclass(frozen=True, slots=True)
class Find:
    """One leftover, and what was done about it."""

    subject: str
    leftover: Leftover
    journal: Journal
    over: bool
    """Its deadline is over."""
    fate: Fate
    words: str
    """Why it was left, or how it stands."""


@dataclass(frozen=True, slots=True)
class Scan:
    """All of one deployment."""

    finds: tuple[Find, ...]
    blind: tuple[tuple[str, Blind], ...]
    """Subjects, and what could not be looked at."""
    looked: int
    """Subjects that a scanner looked at."""

    @property
    def exit_code(self) -> ExitCode:
        """Met only where everything was looked at and nothing is left that ought to go."""
        left = self.blind or any(find.fate is Fate.LEFT for find in self.finds)
        return ExitCode.NOT_RESTORED if left else ExitCode.MET

    def lines(self) -> Iterator[str]:
        """For people."""
        for find in self.finds:
            found = find.leftover
            yield f"{find.subject}  {found.mechanism}  {found.drill or 'drill not known here'}  {found.where}"
            yield f"    {found.words}"
            until = "states no deadline" if found.deadline is None else f"deadline {format_instant(found.deadline)}"
            over = ", over" if find.over else ""
            yield f"    {until}{over}; journal here: {find.journal}"
            yield f"    {find.fate}: {find.words}"
            if find.fate is Fate.LEFT:
                yield from (f"    by hand: {command}" for command in found.by_hand)
        for subject, blind in self.blind:
            yield f"{subject}  not looked at: {blind.where}: {blind.reason}: {blind.words}"
        if not self.finds and not self.blind:
            yield f"nothing of a drill is left on {self.looked} subjects"

    def record(self) -> dict[str, Jsonable]:
        """For tools."""
        return {
            "schema": "keycheck.dev/drill-scan/1",
            "looked": self.looked,
            "finds": [
                {
                    "subject": find.subject,
                    "mechanism": find.leftover.mechanism,
                    "drill": find.leftover.drill,
                    "where": find.leftover.where,
                    "mark": find.leftover.mark,
                    "words": find.leftover.words,
                    "deadline": None if find.leftover.deadline is None else format_instant(find.leftover.deadline),
                    "over": find.over,
                    "journal": str(find.journal),
                    "fate": str(find.fate),
                    "why": find.words,
                    "by_hand": list(find.leftover.by_hand),
                }
                for find in self.finds
            ],
            "blind": [
                {"subject": subject, "where": blind.where, "reason": str(blind.reason), "words": blind.words}
                for subject, blind in self.blind
            ],
        }


def scan(
    deployment: Deployment, file: Path, home: Home, means: Means, *, apply: bool = False, drill: str | None = None
) -> Scan:
    """Look at every subject that a scanner knows; with `apply` remove what may be removed.

    `drill`: remove only what that drill left, and that also before its deadline: a person says that it is over.
    `file`: the deployment file, beside which secrets are referred to. Raises UsageError where drills of this machine
    cannot be listed, `drill` is no id of one, or there is nothing to look at.
    """
    if drill is not None:
        home.directory(drill)
    sweep = _Sweep(deployment, file, home, means, apply, drill)
    scanners = tuple(_scanners(means.registry))
    finds: list[Find] = []
    blind: list[tuple[str, Blind]] = []
    entries = [each for each in deployment.subjects if each.section in {scanner.section for scanner in scanners}]
    if not entries:
        raise UsageError(
            "the deployment names nothing that a drill can have left something on",
            advice="declare the keys that were drilled, and install the package whose drills they were",
        )
    for entry in entries:
        for seen in sweep.subject([each for each in scanners if each.section == entry.section], entry):
            if isinstance(seen, Blind):
                blind.append((entry.id, seen))
            else:
                finds.append(seen)
    return Scan(tuple(finds), tuple(blind), len(entries))


def _scanners(registry: Registry) -> Iterator[Scanner[Subject]]:
    for name in registry.scanners():
        found = registry.scanner(name)
        if isinstance(found, Broken):
            raise UsageError(
                f"scanner {name} cannot be used: {found.message}", advice="repair or reinstall its package"
            )
        if found is not None:
            yield found()


@dataclass(frozen=True, slots=True)
class _Sweep:
    deployment: Deployment
    file: Path
    home: Home
    means: Means
    apply: bool
    drill: str | None

    def subject(self, scanners: Sequence[Scanner[Subject]], entry: SubjectEntry) -> Iterator[Find | Blind]:
        """Everything on one subject, decided one after the other."""
        subject, vantage = self._typed(entry), self._vantage(entry)
        if subject is None:
            yield Blind(entry.id, Reason.MALFORMED, "its section's own model cannot read it; reinstall its package")
            return
        if vantage is None:
            yield Blind(entry.id, Reason.NO_VANTAGE, "it is looked at from no vantage of this machine")
            return
        io = self._io(entry, vantage)
        known = {each.drill for each in self._journals()} | ({self.drill} if self.drill else set())
        seeing = [scanner for scanner in scanners if scanner.sees(subject)]
        if not seeing:
            yield Blind(entry.id, Reason.UNSUPPORTED, "no installed scanner sees it")
        for scanner in seeing:
            seen = attempt(partial(_bounded, scanner, subject, io, frozenset(known)))
            if isinstance(seen, Failed):
                yield Blind(entry.id, seen.reason, seen.words)
                continue
            for each in seen:
                yield each if isinstance(each, Blind) else self._decided(scanner, entry.id, subject, each, io)

    def _typed(self, entry: SubjectEntry) -> Subject | None:
        model = self.means.registry.subject(entry.section)
        if model is None or isinstance(model, Broken):
            return None
        try:
            return model.model_validate(entry.body.parsed())
        except ValidationError:
            return None

    def _vantage(self, entry: SubjectEntry) -> Vantage | None:
        here = (each for each in self.deployment.vantages if each.id in entry.vantages and each.worker == "local")
        return next(here, None)

    def _io(self, entry: SubjectEntry, vantage: Vantage) -> Io:
        kit = Kit(
            deployment=self.deployment.deployment,
            file=str(self.file.resolve()),
            subject=entry.id,
            vantage=vantage,
            identities=self.deployment.identities,
        )
        return self.means.load(kit, self.means.environment)

    def _journals(self) -> tuple[DrillStatus, ...]:
        return status(self.home, self.means.clock)

    def _journal(self, drill: str) -> Journal:
        """Asked again right before anything is removed: a drill may have begun since."""
        found = next((each for each in self._journals() if drill and each.drill == drill), None)
        if found is None:
            return Journal.UNKNOWN
        if found.running:
            return Journal.RUNNING
        return Journal.CLOSED if found.phase is Phase.CLOSED else Journal.OPEN

    def _decided(self, scanner: Scanner[Subject], id: str, subject: Subject, found: Leftover, io: Io) -> Find:
        journal, now = self._journal(found.drill), self.means.clock()
        over = found.deadline is not None and found.deadline <= now
        if not found.owed:
            return Find(id, found, journal, over, Fate.TOLD, "nothing is owed")
        if why := self._kept(found, journal, now):
            return Find(id, found, journal, over, Fate.LEFT, why)
        stands = attempt(lambda: scanner.clear(subject, found, io))
        if isinstance(stands, Failed):
            return Find(id, found, journal, over, Fate.LEFT, f"could not be removed: {stands.words}")
        fate = Fate.CLEARED if stands.where is Where.RESTORED else Fate.LEFT
        return Find(id, found, journal, over, fate, stands.words)

    def _kept(self, found: Leftover, journal: Journal, now: datetime) -> str | None:
        """Why it is not removed; None where it may be."""
        if journal is Journal.RUNNING:
            return "its drill runs on this machine and puts it back itself"
        if journal is Journal.OPEN:
            return f"its journal is here and not closed: `keycheck drill recover {found.drill}` knows what was before"
        if found.consent is Consent.NEVER:
            return "keycheck does not touch it: look at it"
        named = bool(found.drill) and found.drill == self.drill
        if self.drill is not None and not named:
            return f"not of drill {self.drill}"
        if not named and found.consent is Consent.NAMED:
            return "removed only where the drill is named (`recover DRILL --scan …`): somebody may mean it to stay"
        if not named and (found.deadline is None or found.deadline > now):
            return (
                "its deadline is not over, and its drill may go on elsewhere; if not, name it: `recover DRILL --scan …`"
            )
        return None if self.apply else "may be removed: --apply"


def _bounded(
    scanner: Scanner[Subject], subject: Subject, io: Io, known: frozenset[str]
) -> tuple[Leftover | Blind, ...]:
    seen = tuple(islice(scanner.scan(subject, io, known), MAX_FINDS + 1))
    if len(seen) > MAX_FINDS:
        more = Blind("the rest", Reason.NOT_COVERED, f"more than {MAX_FINDS} finds; remove these first")
        return (*seen[:MAX_FINDS], more)
    return seen
