"""The late logs of a rotation: everything else stays what its own bundle says, and as old as it was."""

from __future__ import annotations

from keycheck.errors import ProbeError
from keycheck.model.drill import DRILL, Desk
from keycheck.model.probe import Io, Observed
from keycheck.model.verdict import Reason
from probes.keys.drill.rotating import log_of
from probes.keys.drill.settling import arrived, every_log_of_then, facts_of, recorded
from probes.keys.drill_facts import Mark
from probes.keys.rotation_facts import LoggedUses, RotationFacts
from probes.keys.rotation_record import logged
from probes.keys.subjects import Key


def settled(subject: Key, io: Io, desk: Desk) -> Observed:
    """The facts with the log as it is now. Raises ProbeError where they cannot be had."""
    drill = desk.wish.settle
    facts = facts_of(desk, RotationFacts)
    change, marks, started = recorded(drill, desk)
    if change.subject != f"keys/{subject.id}" or facts.occasion != drill:
        raise ProbeError(Reason.CONFLICTING, f"drill {drill} was about {change.subject}")
    every_log_of_then(subject, change)
    at = {"intended": facts.began}
    for kind, mark in (("acted", facts.acted), ("undo-intended", facts.undoing), ("found-restored", facts.undone)):
        if isinstance(mark, Mark):
            at[kind] = mark.at
    found, markers = log_of(subject, change, marks, started, at, io)
    log = logged(found)
    desk.drills.append(drill)
    whole = isinstance(log, LoggedUses) and log.state == "complete" and arrived(markers)
    desk.say(f"{drill}: the log is {'whole' if whole else 'not whole yet: settle again later'}")
    later = facts.model_copy(update={"log": log, "markers": markers})
    return Observed(DRILL, later, times=(facts.began, facts.ended))
