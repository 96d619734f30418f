"""The late logs of a rotation: everything else stays what its own bundle says, and as old as it was."""

from __future__ import annotations

from keycheck.model.drill import DRILL, Desk
from keycheck.model.probe import Io, Observed
from probes.keys.drill.rotating import log_of
from probes.keys.drill.settling import facts_of, tell, then_of
from probes.keys.rotation_facts import RotationFacts
from probes.keys.rotation_record import logged
from probes.keys.subjects import Key


def settled(subject: Key, io: Io, desk: Desk) -> Observed:
    """The facts with the log as it is now. Raises ProbeError where they cannot be had."""
    facts = facts_of(desk, RotationFacts)
    then = then_of(subject, facts, desk)
    found, markers = log_of(subject, then.change, then.marks, then.started, then.at, io)
    log = logged(found)
    tell(desk, log, markers)
    later = facts.model_copy(update={"log": log, "markers": markers})
    return Observed(DRILL, later, times=(facts.began, facts.ended))
