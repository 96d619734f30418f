"""How far a drill in AWS goes: from a Deny for the canary alone to deleting the key's material."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.drill import Change, Mechanism
from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.clouds.aws.arns import kms_arn
from probes.keys.aws_facts import AwsKey
from probes.keys.drill.aws_deny import Deny, deny
from probes.keys.drill.aws_disable import Disable, disable
from probes.keys.drill.aws_grant import RevokeGrant, revoke_grant
from probes.keys.drill.aws_material import DeleteMaterial, Escrow, delete_material
from probes.keys.drill.aws_sentinel import Withholding
from probes.keys.drill.aws_tags import readers
from probes.keys.drill.canary import Canary
from probes.keys.facts import KeyFacts
from probes.keys.subjects import Escrow as Declared
from probes.keys.subjects import Key, KeyDrill


@dataclass(frozen=True, slots=True)
class Level:
    """One way to take the key away, and what it looks like from outside."""

    change: Change
    mechanism: Mechanism
    withholding: Withholding | None
    """How our own principal feels it. None: it does not, so that propagation cannot be measured."""
    scoped: bool
    """Whether it is limited to the canary's context."""
    notes: tuple[str, ...] = ()


def level_of(
    drill: str,
    subject: Key,
    plan: KeyDrill,
    facts: Sequence[KeyFacts],
    canary: Canary,
    deadline: datetime,
    technique: Technique,
) -> Level:
    """What the technique means for this key. Raises ProbeError(unsupported) with what the deployment lacks."""
    keys = [fact.key for fact in facts if isinstance(fact.key, AwsKey)]
    arns = tuple(key.arn for key in keys)
    unsaid = _unsaid(keys)
    match technique:
        case Technique.REVOKE_GRANT:
            if plan.grant is None or len(arns) != 1:
                raise ProbeError(
                    Reason.UNSUPPORTED,
                    "name the vendor's grant (`drill: grant:`); a key with replicas has grants in each Region, and a "
                    "drill revokes one",
                )
            return Level(
                revoke_grant(drill, subject, arns[0], plan.grant, canary, deadline, tagged=not unsaid),
                RevokeGrant(),
                None,
                scoped=False,
                notes=("our own principal does not live on this grant: propagation cannot be measured", *unsaid),
            )
        case Technique.DISABLE_KEY:
            change = disable(drill, subject, arns, canary, deadline, dead_man=plan.dead_man, tagged=not unsaid)
            return Level(change, Disable(), Withholding.DISABLED, scoped=False, notes=unsaid)
        case Technique.DELETE_MATERIAL:
            material = _current(keys)
            escrow = [_escrow(arn, material, plan.escrow) for arn in arns]
            change = delete_material(
                drill, subject, arns, material, escrow, canary, deadline, dead_man=plan.dead_man, tagged=not unsaid
            )
            return Level(change, DeleteMaterial(), Withholding.PENDING_IMPORT, scoped=False, notes=unsaid)
        case _:
            return Level(deny(drill, subject, arns, canary, deadline), Deny(), Withholding.EXPLICIT_DENY, scoped=True)


def _unsaid(keys: Sequence[AwsKey]) -> tuple[str, ...]:
    """Why no tags on the key tell of the drill; empty where they do."""
    read = [f"{key.region}: {who}" for key in keys for who in readers(key)]
    words = f"no tags on the key tell of the drill, as tags may be read: {'; '.join(read)}"
    return (vendor_text(words),) if read else ()


def _current(keys: Sequence[AwsKey]) -> str:
    """The material that is current everywhere. Raises ProbeError."""
    found: set[str] = set()
    for key in keys:
        if isinstance(key.materials, Unseen):
            raise ProbeError(key.materials.reason, f"{key.region}: which materials the key has is not known")
        found |= {m.id for m in key.materials if m.state == "CURRENT" and m.id}
    if len(found) != 1:
        raise ProbeError(Reason.UNSUPPORTED, "the key has no single imported material that is current everywhere")
    return found.pop()


def _escrow(arn: str, material: str, declared: Sequence[Declared]) -> Escrow:
    """Where the material lies for one Region. Raises ProbeError."""
    region = kms_arn(arn).region
    here = [each for each in declared if each.material == material]
    found = next((each for each in here if each.region == region), None) or next(
        (each for each in here if each.region is None and (each.local is not None or len(here) == 1)), None
    )
    if found is None:
        raise ProbeError(
            Reason.UNSUPPORTED, f"{region}: no escrow of material {material} is declared under `drill: escrow:`"
        )
    return Escrow(key=arn, wrapped=found.wrapped, token=found.token, local=found.local)
