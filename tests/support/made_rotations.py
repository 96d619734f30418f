"""Hand-made rotation drills: an honest vendor, and small changes to it. Times in seconds since the act began."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from made_drills import BEGAN, SECOND, mark, poll
from made_keys import AGREED, APP, DRILL

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.keys.drill_facts import Markers, Restored
from probes.keys.rotation_facts import (
    CameFrom,
    EscrowSeen,
    LoggedUse,
    LoggedUses,
    Material,
    PlaceMaterial,
    Proof,
    Role,
    Room,
    RotationFacts,
    Stored,
    Under,
    Write,
)
from probes.keys.subjects import KeyModel
from probes.keys.timeline import Path, Sample, Saw, fold_all

OLDER, OLD, NEW = "a" * 64, "b" * 64, "c" * 64
KEY = "arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-4000-8000-00000000cafe"
REGION = "eu-central-1"
SWITCHED, END = 1.0, 100
NONE_DECLARED = Unseen(reason=Reason.UNSUPPORTED, detail="the deployment declares no witness of the stored record")


def material(id: str, used: str | None = None) -> Material:
    return Material(at=BEGAN, places=(PlaceMaterial(place=REGION, listed=id, used=used or id),))


def under(id: str, second: float, role: Role = Role.NAMED) -> Under:
    return Under(role=role, material=id if role is Role.NAMED else "", at_us=round((second + 0.1) * SECOND))


def stored(second: float, what: Under | Unseen, anew: bool = True) -> Stored:
    return Stored(value=f"{round(second * 100 + 10_000):064x}", wrapped="d" * 64, anew=anew, under=what)


def write(second: float, what: Stored | Unseen | None = None, **fields: object) -> Write:
    """An acknowledged write; under the new material from `SWITCHED` on."""
    shown = what or stored(second, under(NEW if second >= SWITCHED else OLD, second))
    made: dict[str, object] = {
        "by": "w", "at_us": round(second * SECOND), "end_us": round((second + 0.05) * SECOND), "said": "acknowledged",
        "words": "HTTP 201", "stored": shown,
    }  # fmt: skip
    return Write.model_validate(made | fields)


def writes(rule: Callable[[float], str | Role | None] | None = None, step: int = 2) -> tuple[Write, ...]:
    """One every `step` seconds. `rule`: material or role by time; None: no witness shows it."""
    found = []
    for second in range(-10, END, step):
        says = (lambda s: NEW if s >= SWITCHED else OLD) if rule is None else rule
        what = says(second)
        if what is None:
            found.append(write(second, NONE_DECLARED))
        elif isinstance(what, Role):
            found.append(write(second, stored(second, under("", second, what))))
        else:
            found.append(write(second, stored(second, under(what, second))))
    return tuple(found)


def logged(*seconds: float, material: str | None = NEW, **fields: object) -> LoggedUse:
    times = tuple(BEGAN + timedelta(seconds=second) for second in seconds)
    made: dict[str, object] = {
        "operation": "GenerateDataKey", "principal": APP, "material": material, "count": len(times),
        "first": min(times), "last": max(times), "times": times,
    }  # fmt: skip
    return LoggedUse.model_validate(made | fields)


def log(*uses: LoggedUse, **fields: object) -> LoggedUses:
    made: dict[str, object] = {"state": "complete", "why_not": "", "muted": (), "entries": len(uses), "uses": uses}
    return LoggedUses.model_validate(made | fields)


ORDINARY = (logged(*range(2, END, 2)), logged(0.5, 50, operation="Encrypt", principal=DRILL))


def reads() -> list[Sample]:
    return [*poll(Path.OTHER, lambda _: Saw.READABLE, "old"), *poll(Path.CONTROL_RECORD, lambda _: Saw.READABLE)]


def escrow(*materials: str) -> tuple[EscrowSeen, ...]:
    proof = Proof(at=BEGAN, words="imported again, and taken as the same")
    return tuple(EscrowSeen(material=each, place=REGION, proof=proof) for each in materials)


def rotation(
    found: Iterable[Write] | None = None, samples: Iterable[Sample] | None = None, **fields: object
) -> RotationFacts:
    """The facts of a rotation of a canary's own key on AWS, in one Region."""
    made: dict[str, object] = {
        "agreed": AGREED,
        "provider": "aws",
        "ours": (DRILL,),
        "model": KeyModel.DIRECT_KMS,
        "rotated": KEY,
        "canary": True,
        "mechanism": "aws-rotate",
        "occasion": "drill-1",
        "began": BEGAN,
        "acted": mark(0.5),
        "undoing": mark(END),
        "undone": mark(END + 1),
        "ended": BEGAN + timedelta(seconds=END + 2),
        "clock_us": SECOND // 2,
        "interval_us": 2 * SECOND,
        "quiet_us": 10 * SECOND,
        "before": material(OLD),
        "after": material(NEW),
        "previous": (OLD, OLDER),
        "switched_us": round(SWITCHED * SECOND),
        "imported": True,
        "escrow": escrow(OLDER, OLD),
        "incoming": CameFrom.WRAPPED,
        "room": Room(used=1, most=25),
        "irreversible": ("the old material never becomes current again",),
        "writes": tuple(writes() if found is None else found),
        "timelines": fold_all(reads() if samples is None else samples, 0, None),
        "markers": Markers(before="arrived", during="arrived", after="arrived"),
        "log": log(*ORDINARY),
        "restored": Restored(first=BEGAN + timedelta(seconds=END), again=BEGAN + timedelta(seconds=END + 1)),
        "stops": (),
    }
    return RotationFacts.model_validate(made | fields)
