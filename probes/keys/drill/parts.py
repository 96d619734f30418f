"""What one role of a drill needs on one key: what `keycheck permissions --drills` is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from keycheck.model.authorization import Technique
from probes.keys.aspects import GCP_PERMISSIONS, Aspect
from probes.keys.drill import aws_needs, gcp_dead_man, gcp_preflight, rotate_needs
from probes.keys.subjects import Incoming, Key, KeyDrill

KINDS: Final = {
    (Technique.DRILL, "aws"): "aws-deny",
    (Technique.DRILL, "gcp"): "gcp-binding",
    (Technique.REVOKE_GRANT, "aws"): "aws-revoke-grant",
    (Technique.DISABLE_KEY, "aws"): "aws-disable",
    (Technique.DISABLE_KEY, "gcp"): "gcp-disable",
    (Technique.DELETE_MATERIAL, "aws"): "aws-delete-material",
    (Technique.ROTATE_CANARY, "aws"): "aws-rotate",
    (Technique.ROTATE_CANARY, "gcp"): "gcp-rotate",
    (Technique.ROTATE_KEY, "aws"): "aws-rotate",
    (Technique.ROTATE_KEY, "gcp"): "gcp-rotate",
}
"""What a technique does in each cloud."""
ROLES: Final = ("drill", "control", "restore", "inspect", "log")
DEAD_MAN: Final = "dead-man"
"""The role or service account of the schedule that undoes: no identity of the deployment."""
_BRINGS: Final = frozenset({"kms:GetParametersForImport", "kms:ImportKeyMaterial", "kms:DeleteImportedKeyMaterial"})


@dataclass(frozen=True, slots=True)
class Part:
    """What one role needs for one key."""

    key: Key
    drill: KeyDrill
    kind: str
    role: str
    target: str
    """The key that is changed: the canary's own, or the subject itself."""
    actions: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Who does it, as the deployment names him; empty: the SDK's own chain, or the dead-man."""
        roles = self.key.identities
        named = {"drill": roles.drill, "control": roles.control, "restore": roles.restore, "inspect": roles.inspect}
        return {**named, "log": roles.log}.get(self.role) or ""


def parts_of(key: Key, technique: Technique) -> tuple[Part, ...]:
    """Everything that a drill of this technique needs on this key; empty where there is none of it."""
    kind, drill = KINDS.get((technique, key.provider)), key.drill
    if kind is None or drill is None:
        return ()
    canarys = key.provider == "gcp" or technique is Technique.ROTATE_CANARY
    target = drill.canary_key if canarys and technique is not Technique.ROTATE_KEY else key.resource
    if target is None:
        return ()
    found = (Part(key, drill, kind, role, target, actions) for role, actions in _needs(kind))
    fitted = (part if _imports(drill) else _without_imports(part) for part in found)
    return tuple(part for part in fitted if part.actions)


def _needs(kind: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    if kind in rotate_needs.ROTATE_NEEDS:
        table = dict(rotate_needs.ROTATE_NEEDS[kind])
        if kind == "gcp-rotate":
            table["drill"] = (*table["drill"], *rotate_needs.GCP_IMPORTS)
    elif kind in aws_needs.NEEDS:
        table = dict(aws_needs.NEEDS[kind])
        table[DEAD_MAN] = aws_needs.DEAD_MAN_NEEDS.get(kind, ())
    else:
        table = dict(gcp_preflight.NEEDS[kind])
        table["control"] = (*table["control"], *gcp_preflight.PLANTS)
        table["log"] = (*GCP_PERMISSIONS[Aspect.EVENTS], *GCP_PERMISSIONS[Aspect.LOGGING])
        if kind == "gcp-binding":
            table["drill"] = (*table["drill"], *gcp_preflight.ABOVE)
        else:
            table["restore"] = (*table["restore"], *gcp_dead_man.NEEDS)
            table[DEAD_MAN] = gcp_dead_man.ACTOR_NEEDS
    for role in (*ROLES, DEAD_MAN):
        yield role, tuple(dict.fromkeys(table.get(role, ())))


def _imports(drill: KeyDrill) -> bool:
    """Whether the deployment says that the customer brings the key's material."""
    return bool(drill.escrow) or drill.incoming != Incoming()


def _without_imports(part: Part) -> Part:
    """A rotation of material that the cloud makes brings none in."""
    if part.kind not in rotate_needs.ROTATE_NEEDS:
        return part
    return replace(
        part, actions=tuple(a for a in part.actions if a not in _BRINGS and not a.startswith("cloudkms.importJobs."))
    )
