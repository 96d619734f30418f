"""The revoke drill as a probe: what it would touch, and how far it may go."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import ClassVar, Final, Protocol, runtime_checkable

from keycheck.drill.home import Home
from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.drill import Desk, DrillProbe
from keycheck.model.facts import Facts
from keycheck.model.probe import Io, Observed, Touch
from keycheck.model.verdict import Reason
from probes.keys.drill.cloud import prepared
from probes.keys.drill.occasion import MARGIN, Occasion, drill_id, lead
from probes.keys.drill.polling import EVERY
from probes.keys.drill.settling import settled
from probes.keys.drill.starting import credentials, may_start
from probes.keys.drill.ways import Cold, Stages, vendor_ways
from probes.keys.drill_facts import RevocationFacts
from probes.keys.subjects import Key, KeyDrill, KeyModel

_TAKES: Final = {
    Technique.DRILL: "deny use of the canary",
    Technique.REVOKE_GRANT: "revoke the vendor's grant, which cannot be made again with the same id,",
    Technique.DISABLE_KEY: "disable the whole key",
    Technique.DELETE_MATERIAL: "delete the key's imported material",
}


@runtime_checkable
class Bounded(Protocol):
    """A control with a bound on how long access may last, and the quiet that confirms its end."""

    within: timedelta
    quiet: timedelta


class RevocationProbe(DrillProbe[Key]):
    """Takes the key away, from the canary alone unless more is authorized, and times the last successful read on every
    path.

    Proves what the vendor could still read of the canary, when, and that it was put back. Nothing is proved about
    records that the restriction did not concern, about copies that no witness reads, or about the next time.
    """

    id = "keys.revocation"
    version = 1
    section = "keys"
    facts: ClassVar[type[Facts]] = RevocationFacts
    limit: ClassVar[float] = 3600.0
    techniques: ClassVar[tuple[Technique, ...]] = tuple(_TAKES)

    def touches(self, subject: Key, io: Io) -> Iterable[Touch]:
        """A restriction on the canary's context, reads of the canary, and the undo."""
        if subject.drill is None or subject.model is not KeyModel.DIRECT_KMS:
            return
        hold = int(subject.drill.hold.total_seconds())
        yield Touch(
            what=f"{subject.resource}: {_TAKES[Technique.DRILL]} ({_scope(subject.drill)}) for at most {hold} s, undo",
            credential=credentials(subject, io),
            changes=True,
            technique=Technique.DRILL,
            connections=4,
            seconds=2 * hold + 60,
            calls=int(hold / EVERY) + 60,
        )

    def drill(self, subject: Key, io: Io, desk: Desk) -> Iterable[Observed]:
        """One drill, or the late logs of an earlier one. Raises ProbeError before anything is changed."""
        if desk.wish.settle:
            return (settled(subject, io, desk),)
        technique = self.technique(desk.wish)
        try:
            may_start(subject, technique, io, desk)
            plan = subject.drill
            if plan is None:  # may_start has refused it
                return ()
            _long_enough(plan, io)
            if desk.wish.dry:
                _dry(subject, plan, technique, io, desk)
            return (Occasion(subject, plan, technique, io, desk).done(),)
        except ProbeError as error:
            desk.say(f"keys/{subject.id}: not done, and nothing was changed: {error}")
            raise


def _scope(plan: KeyDrill) -> str:
    return f"context {', '.join(name for name, _ in plan.context)}" if plan.context else plan.canary_key or ""


def _long_enough(plan: KeyDrill, io: Io) -> None:
    needed = max((d.within + d.quiet for d in io.demands if isinstance(d, Bounded)), default=timedelta(0))
    if plan.hold < needed:
        raise ProbeError(
            Reason.UNSUPPORTED,
            f"hold {plan.hold} is shorter than the contract's bound and quiet, {needed}: nothing could be shown",
        )


def _dry(subject: Key, plan: KeyDrill, technique: Technique, io: Io, desk: Desk) -> None:
    """Everything that only looks. Always raises ProbeError: a drill that was not done shows nothing."""
    cloud = prepared(drill_id(io), subject, plan, io.clock() + lead(technique) + plan.hold + MARGIN, technique, io)
    vendor_ways(plan.paths, Cold(plan.planted, Home(desk.home)), timedelta(0), Stages(), io, desk)
    for note in cloud.notes:
        desk.say(note)
    for way in cloud.sentinel_ways():
        look = way.ask()
        desk.say(f"our own principal in {way.by}: {look.saw}{f' ({look.words})' if look.words else ''}")
    raise ProbeError(Reason.NOT_AUTHORIZED, "a dry run: nothing speaks against the drill, and it was not done")
