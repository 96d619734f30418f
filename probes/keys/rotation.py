"""The rotation drill as a probe: what it would touch, and how far it may go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.drill import Desk, DrillProbe, Wish
from keycheck.model.facts import Facts
from keycheck.model.probe import Io, Observed, Touch
from keycheck.model.verdict import Reason
from probes.keys.drill.starting import credentials, may_start
from probes.keys.rotation_facts import RotationFacts
from probes.keys.rotation_occasion import RotationOccasion
from probes.keys.rotation_settling import settled
from probes.keys.subjects import Key, KeyDrill, KeyModel, RotationPaths


class RotationProbe(DrillProbe[Key]):
    """Rotates a key, a canary's own unless more is authorized, and has the vendor write until its new records are under
    the new material.

    Proves what the vendor's writes of that time were sealed under, when it switched, and that records of before stayed
    readable. Nothing is proved about records that were not written, or about the next rotation. A rotation cannot be
    undone in AWS; what stays is said before and recorded.
    """

    id = "keys.rotation"
    version = 1
    section = "keys"
    facts: ClassVar[type[Facts]] = RotationFacts
    limit: ClassVar[float] = 3600.0
    techniques: ClassVar[tuple[Technique, ...]] = (Technique.ROTATE_CANARY, Technique.ROTATE_KEY)
    reversible: ClassVar[bool] = False

    def touches(self, subject: Key, io: Io) -> Iterable[Touch]:
        """New material, a rotation, and writes of canaries at the vendor."""
        plan = subject.drill
        if plan is None or not plan.rotation or subject.model is not KeyModel.DIRECT_KMS:
            return
        hold = int(plan.hold.total_seconds())
        yield Touch(
            what=f"{plan.canary_key or subject.resource}: rotate; have the vendor write canaries for at most {hold} s",
            credential=credentials(subject, io),
            changes=True,
            technique=Technique.ROTATE_CANARY,
            connections=4,
            seconds=hold + 90,
            cost="in AWS each of a key's first two rotations adds to its monthly price",
            calls=8 * hold + 60,
        )

    def drill(self, subject: Key, io: Io, desk: Desk) -> Iterable[Observed]:
        """One rotation, or the late logs of an earlier one. Raises ProbeError before anything is changed."""
        if desk.wish.settle:
            return (settled(subject, io, desk),)
        technique, begun = self.technique(desk.wish), False
        try:
            subject = _brought(subject, desk.wish)
            may_start(subject, technique, io, desk)
            plan = subject.drill
            if plan is None:  # may_start has refused it
                return ()
            meant = Technique.ROTATE_KEY if desk.wish.technique is Technique.ROTATE_KEY else Technique.ROTATE_CANARY
            paths = _paths(plan, meant)
            occasion = RotationOccasion(subject, plan, paths, meant, io, desk)
            if desk.wish.dry:
                occasion.looked()
                raise ProbeError(Reason.NOT_AUTHORIZED, "a dry run: nothing speaks against it, and it was not done")
            if Technique.CANARY_WRITE not in io.authorized:
                raise ProbeError(
                    Reason.NOT_AUTHORIZED,
                    "a rotation has the vendor write canaries: the authorization needs the technique canary-write, too",
                )
            begun = True
            return (occasion.done(),)
        except ProbeError as error:
            made = "; a new version may have been made, and stays" if begun and subject.provider == "gcp" else ""
            desk.say(f"keys/{subject.id}: not rotated{made}: {error}")
            raise


def _brought(subject: Key, wish: Wish) -> Key:
    """The key with the material that the person brings, wrapped, instead of what the deployment names."""
    if subject.drill is None or not wish.wrapped:
        return subject
    given = {"wrapped": wish.wrapped, "token": wish.token or None, "import_job": wish.import_job or None}
    incoming = subject.drill.incoming.model_copy(update=given)
    return subject.model_copy(update={"drill": subject.drill.model_copy(update={"incoming": incoming})})


def _paths(plan: KeyDrill, technique: Technique) -> RotationPaths:
    """Who writes and reads under the key that is meant. Raises ProbeError."""
    of = "key" if technique is Technique.ROTATE_KEY else "canary-key"
    if of == "canary-key" and plan.canary_key is None:
        raise ProbeError(
            Reason.UNSUPPORTED, "`drill:` names no `canary_key`: a key of canaries alone, which a rotation can turn"
        )
    found = [paths for paths in plan.rotation if paths.of == of]
    if len(found) != 1:
        raise ProbeError(
            Reason.UNSUPPORTED,
            f"`drill: rotation:` needs one entry `of: {of}`, which says who writes and reads under it, and has "
            f"{len(found)}",
        )
    return found[0]
