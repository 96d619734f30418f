"""The late logs of a drill: everything else stays what its own bundle says, and as old as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from pydantic import ValidationError

from keycheck.drill.home import Home
from keycheck.drill.journal import read
from keycheck.drill.kept import kept_of
from keycheck.drill.phases import fold
from keycheck.errors import KeycheckError, ProbeError
from keycheck.model.drill import DRILL, Change, Desk
from keycheck.model.facts import Facts, Unseen
from keycheck.model.probe import Io, Observed
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.drill.aws_common import subject_of
from probes.keys.drill.cloud import log_of
from probes.keys.drill_facts import Mark, Markers, RevocationFacts, WindowUses
from probes.keys.rotation_facts import LoggedUses
from probes.keys.subjects import Key

F = TypeVar("F", bound=Facts)

BASELINE: Final = timedelta(minutes=1)
"""What a drill looks at and marks before its journal begins."""


@dataclass(frozen=True, slots=True)
class Then:
    """A drill that is over, as whoever reads its log again needs it."""

    change: Change
    marks: tuple[str, ...]
    started: datetime
    at: Mapping[str, datetime]


class Occasioned(Protocol):
    """The facts of a drill, as far as reading its log again goes."""

    @property
    def occasion(self) -> str: ...
    @property
    def began(self) -> datetime: ...
    @property
    def acted(self) -> Mark | Unseen: ...
    @property
    def undoing(self) -> Mark | Unseen: ...
    @property
    def undone(self) -> Mark | Unseen: ...


def then_of(subject: Key, facts: Occasioned, desk: Desk) -> Then:
    """What the journal says, if it is about this key and all that was named of its log still is. Raises ProbeError."""
    drill = desk.wish.settle
    change, marks, started = recorded(drill, desk)
    if change.subject != f"keys/{subject.id}" or facts.occasion != drill:
        raise ProbeError(Reason.CONFLICTING, f"drill {drill} was about {change.subject}")
    if change.body.parsed().get("resource") != subject.resource:
        raise ProbeError(
            Reason.CONFLICTING, f"drill {drill} was on another key than the deployment names for {change.subject} now"
        )
    every_log_of_then(subject, change)
    at = {"intended": facts.began}
    for kind, mark in (("acted", facts.acted), ("undo-intended", facts.undoing), ("found-restored", facts.undone)):
        if isinstance(mark, Mark):
            at[kind] = mark.at
    return Then(change, marks, started, at)


def settled(subject: Key, io: Io, desk: Desk) -> Observed:
    """The facts with the log as it is now. Raises ProbeError where they cannot be had."""
    facts = facts_of(desk, RevocationFacts)
    then = then_of(subject, facts, desk)
    log, markers = log_of(subject, then.change, then.marks, then.started, then.at, io)
    tell(desk, log, markers)
    later = facts.model_copy(update={"log": log, "markers": markers})
    return Observed(DRILL, later, times=(facts.began, facts.ended))


def tell(desk: Desk, log: WindowUses | LoggedUses | Unseen, markers: Markers | Unseen) -> None:
    """Note the drill as settled, and say whether its log is whole by now."""
    desk.drills.append(desk.wish.settle)
    whole = not isinstance(log, Unseen) and log.state == "complete" and arrived(markers)
    desk.say(f"{desk.wish.settle}: the log is {'whole' if whole else 'not whole yet: settle again later'}")


def every_log_of_then(subject: Key, change: Change) -> None:
    """A log that was not whole does not become so by naming fewer places of it. Raises ProbeError."""
    then = subject_of(change).drill
    now = () if subject.drill is None else subject.drill.logs
    if then is not None and not set(then.logs) <= set(now):
        raise ProbeError(
            Reason.CONFLICTING,
            "`drill.logs` lacks a place that it named when the drill was done: settle with the deployment file of "
            "then, or with more places",
        )


def arrived(markers: Markers | Unseen) -> bool:
    """Whether our own marks of before, during and after have."""
    return isinstance(markers, Markers) and {markers.before, markers.during, markers.after} == {"arrived"}


def facts_of(desk: Desk, kind: type[F]) -> F:
    """The drill's facts, from its own bundle. Raises ProbeError."""
    if desk.wish.earlier is None:
        raise ProbeError(Reason.NOT_RECORDED, "the drill's own bundle was not given")
    try:
        return kind.model_validate(desk.wish.earlier.parsed())
    except ValidationError as error:
        raise ProbeError(Reason.MALFORMED, "what the bundle holds are no facts of such a drill") from error


def recorded(drill: str, desk: Desk) -> tuple[Change, tuple[str, ...], datetime]:
    """What was planned, how our marks are found, and when the drill began. Raises ProbeError."""
    try:
        directory = Home(desk.home).directory(drill)
        entries = read(directory)
        plan = fold(entry.record for entry in entries).plan
        marks = kept_of(directory).marks
    except (KeycheckError, OSError) as error:
        raise ProbeError(Reason.NOT_RECORDED, vendor_text(f"the drill's journal cannot be read: {error}")) from error
    if plan is None or not entries:
        raise ProbeError(Reason.NOT_RECORDED, "the drill planned nothing")
    return plan.change, marks, entries[0].at - BASELINE
