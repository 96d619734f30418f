"""Hand-made revoke drills: an honest vendor, and small changes to it. Times in seconds since the act began."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from made_keys import AGREED, APP, DRILL

from probes.keys.drill_facts import (
    Mark,
    Markers,
    Match,
    Restored,
    RevocationFacts,
    Scope,
    WindowUse,
    WindowUses,
)
from probes.keys.subjects import KeyModel, OnKeyLoss
from probes.keys.timeline import Path, Sample, Saw, fold_all

BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = 1_000_000
UNDO, UNDONE, END = 1000, 1001, 1060
Rule = Callable[[int], Saw]
HONEST: dict[Path, float] = {
    Path.SENTINEL: 3,
    Path.VENDOR_COLD: 3,
    Path.VENDOR_WARM: 267,
    Path.SEARCH: 30,
}
"""When each path stops reading."""


def until(end: float, refusal: Saw = Saw.WITHHELD, back: float = UNDONE + 2) -> Rule:
    """Readable up to a time, then refused, until it is given back."""
    return lambda second: Saw.READABLE if second < end or second >= back else refusal


def poll(path: Path, rule: Rule, by: str = "", step: int = 2, took_us: int = 40_000) -> list[Sample]:
    """Reads every `step` seconds, from before the act to the end."""
    return [Sample(path, t * SECOND, took_us, rule(t), "", by) for t in range(-20, END, step)]


def honest() -> list[Sample]:
    """Everything that a good drill of a good vendor sees."""
    samples = poll(Path.CONTROL_RECORD, lambda _: Saw.READABLE)
    for path, end in HONEST.items():
        refusal = Saw.DENIED if path is Path.SENTINEL else Saw.WITHHELD
        samples += poll(path, until(end, refusal))
    return samples


def without(samples: Iterable[Sample], *paths: Path) -> list[Sample]:
    return [sample for sample in samples if sample.path not in paths]


def changed(samples: Iterable[Sample], path: Path, saw: Saw, start: float, end: float) -> list[Sample]:
    """What one path saw between two times is another thing."""
    return [replace(s, saw=saw) if s.path is path and start * SECOND <= s.at_us < end * SECOND else s for s in samples]


def mark(second: float) -> Mark:
    return Mark(at=BEGAN + timedelta(seconds=second), at_us=int(second * SECOND))


def use(second: float, last: float | None = None, **fields: object) -> WindowUse:
    start = BEGAN + timedelta(seconds=second)
    made: dict[str, object] = {
        "operation": "Decrypt", "principal": APP, "grant": None, "match": Match.OTHER, "count": 1,
        "first": start, "last": start if last is None else BEGAN + timedelta(seconds=last),
    }  # fmt: skip
    return WindowUse.model_validate(made | fields)


def uses(*found: WindowUse, **fields: object) -> WindowUses:
    made: dict[str, object] = {"state": "complete", "why_not": "", "muted": (), "entries": len(found), "uses": found}
    return WindowUses.model_validate(made | fields)


ORDINARY = (
    use(0, 2, match=Match.CANARY),
    use(1, 990, count=500),
    use(500, principal=DRILL),
)


def drill(samples: Iterable[Sample] | None = None, quiet: int = 60, **fields: object) -> RevocationFacts:
    """The facts of a drill on AWS that revoked one canary in one Region."""
    made: dict[str, object] = {
        "agreed": AGREED,
        "provider": "aws",
        "ours": (),
        "model": KeyModel.DIRECT_KMS,
        "on_key_loss": OnKeyLoss.WITHHELD,
        "mechanism": "aws-deny",
        "scope": Scope(context_names=("keycheck-canary",), regions=1),
        "occasion": "drill-1",
        "began": BEGAN,
        "acted": mark(1),
        "undoing": mark(UNDO),
        "undone": mark(UNDONE),
        "ended": BEGAN + timedelta(seconds=END),
        "clock_us": 2 * SECOND,
        "interval_us": 2 * SECOND,
        "quiet_us": quiet * SECOND,
        "timelines": fold_all(honest() if samples is None else samples, quiet * SECOND, UNDO * SECOND),
        "markers": Markers(before="arrived", during="arrived", after="arrived"),
        "log": uses(*ORDINARY),
        "restored": Restored(first=BEGAN + timedelta(seconds=1002), again=BEGAN + timedelta(seconds=1012)),
        "availability": (),
        "unsupported": (),
        "stops": (),
    }
    return RevocationFacts.model_validate(made | fields)
