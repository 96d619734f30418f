"""The late logs of a rotation: everything else stays what its own bundle says, and as old as it was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from keycheck.errors import ProbeError
from keycheck.model.drill import DRILL, Change, Desk
from keycheck.model.facts import Unseen
from keycheck.model.probe import Io, Observed
from keycheck.model.verdict import Reason
from probes.keys.drill.rotating import MaterialUses
from probes.keys.drill.settling import arrived, facts_of, recorded
from probes.keys.drill_facts import Mark, Markers
from probes.keys.rotation_facts import LoggedUses, RotationFacts
from probes.keys.rotation_occasion import logged
from probes.keys.subjects import Key

KEPT: Final = timedelta(days=90)
"""How far CloudTrail's event history reaches."""


def settled(subject: Key, io: Io, desk: Desk) -> Observed:
    """The facts with the log as it is now. Raises ProbeError where they cannot be had."""
    drill = desk.wish.settle
    facts = facts_of(desk, RotationFacts)
    change, marks, started = recorded(drill, desk)
    if change.subject != f"keys/{subject.id}" or facts.occasion != drill:
        raise ProbeError(Reason.CONFLICTING, f"drill {drill} was about {change.subject}")
    if subject.provider != "aws":
        raise ProbeError(Reason.UNSUPPORTED, "the late logs of a rotation can be settled in AWS alone, so far")
    at = {"intended": facts.began}
    for kind, mark in (("acted", facts.acted), ("undo-intended", facts.undoing), ("found-restored", facts.undone)):
        if isinstance(mark, Mark):
            at[kind] = mark.at
    found, markers = _log(subject, change, marks, started, at, io)
    log = logged(found)
    desk.drills.append(drill)
    whole = isinstance(log, LoggedUses) and log.state == "complete" and arrived(markers)
    desk.say(f"{drill}: the log is {'whole' if whole else 'not whole yet: settle again later'}")
    later = facts.model_copy(update={"log": log, "markers": markers})
    return Observed(DRILL, later, times=(facts.began, facts.ended))


def _log(
    subject: Key, change: Change, marks: tuple[str, ...], started: datetime, at: Mapping[str, datetime], io: Io
) -> tuple[MaterialUses | Unseen, Markers | Unseen]:
    """What CloudTrail says by now. Raises ProbeError."""
    from probes.keys.drill.aws_common import read
    from probes.keys.drill.aws_log import recent
    from probes.keys.drill.aws_rotate_log import material_uses
    from probes.keys.drill.aws_rotate_plan import RotateParameters
    from probes.keys.drill.aws_window import markers
    from probes.keys.drill.window import Window

    if not {"intended", "acted", "undo-intended", "found-restored"} <= at.keys():
        raise ProbeError(Reason.NOT_RECORDED, "the drill has no whole window")
    now = io.clock()
    if now - started > KEPT:
        raise ProbeError(Reason.NOT_COVERED, "the drill is longer ago than CloudTrail's history reaches")
    about = read(RotateParameters, change.parameters)
    logs = [recent(subject, arn, now - started + timedelta(seconds=2), io) for arn in about.arns()]
    window = Window(at["intended"], at["acted"], at["undo-intended"], at["found-restored"])
    arrived_ = markers(logs, window, about.canary, change.drill, ids=marks)
    return material_uses(logs, at["intended"], ()), arrived_
