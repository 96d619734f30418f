"""What a rotation's hands in a cloud say, as the facts state it. Pure."""

from __future__ import annotations

from datetime import datetime

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.drill.rotating import EscrowProof, MaterialSeen, MaterialUses
from probes.keys.drill_facts import MAX_USES
from probes.keys.rotation_facts import (
    MAX_TIMES,
    CameFrom,
    EscrowSeen,
    LoggedUse,
    LoggedUses,
    Material,
    PlaceMaterial,
    Proof,
    Room,
)
from probes.keys.subjects import KeyDrill


def material(seen: MaterialSeen | Unseen) -> Material | Unseen:
    """Which material is current."""
    if isinstance(seen, Unseen):
        return seen
    places = tuple(
        PlaceMaterial(place=vendor_text(p.place), listed=vendor_text(p.listed), used=vendor_text(p.used))
        for p in seen.places
    )
    return Material(at=seen.at, places=places)


def escrow(proof: EscrowProof) -> EscrowSeen:
    """Whether one material could be brought back."""
    proved = proof.proved
    return EscrowSeen(
        material=vendor_text(proof.material),
        place=vendor_text(proof.place),
        proof=Proof(at=proved, words=vendor_text(proof.words)) if isinstance(proved, datetime) else proved,
    )


def incoming(plan: KeyDrill, imported: bool) -> CameFrom:
    """Where the new material is besides in the cloud."""
    if not imported:
        return CameFrom.CLOUD
    if plan.incoming.wrapped is not None:
        return CameFrom.WRAPPED
    return CameFrom.UNKEPT if plan.incoming.keep is None else CameFrom.SEALED


def room_of(room: tuple[int, int] | None) -> Room | Unseen:
    """How many rotations there may still be."""
    if room is None:
        return Unseen(reason=Reason.UNSUPPORTED, detail="the cloud states no such bound")
    return Room(used=room[0], most=room[1])


def logged(log: MaterialUses | Unseen) -> LoggedUses | Unseen:
    """What the log says, as the facts state it."""
    if isinstance(log, Unseen):
        return log
    more = len(log.uses) > MAX_USES
    return LoggedUses(
        state="complete" if log.complete and not more else "awaiting",
        why_not=vendor_text(log.why_not or (f"more than {MAX_USES} kinds of use" if more else "")),
        muted=tuple(sorted(map(vendor_text, log.muted)))[:200],
        entries=log.entries,
        uses=tuple(
            LoggedUse(
                operation=vendor_text(use.operation),
                principal=vendor_text(use.principal),
                material=None if use.material is None else vendor_text(use.material),
                count=use.count,
                first=use.first,
                last=use.last,
                times=tuple(use.times[:MAX_TIMES]),
            )
            for use in log.uses[:MAX_USES]
        ),
    )
