"""What CloudTrail says of the time in which a key was taken away: our own marks, and everybody's uses. Values of
encryption contexts are compared in memory and never kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from keycheck.model.facts import Unseen
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from probes.keys.aws.events import MAX_EVENT, Event, parse_event
from probes.keys.aws.reading import MalformedError
from probes.keys.drill.aws_log import USES, RawLog, contexts
from probes.keys.drill.canary import Canary
from probes.keys.drill_facts import MAX_USES, Markers, Match, WindowUse, WindowUses

SLACK: Final = timedelta(seconds=2)
"""Before the undo: a drill goes on holding for so long after it has seen enough."""
SECOND: Final = timedelta(seconds=1)
"""Events carry whole seconds."""


@dataclass(frozen=True, slots=True)
class Window:
    """The moments of a drill, by our own wall clock."""

    began: datetime
    acted: datetime
    undoing: datetime
    undone: datetime


def window_uses(logs: Sequence[RawLog], window: Window, canary: Canary, muted: Iterable[str]) -> WindowUses:
    """Successful uses from the act until shortly before the undo, those that are alike counted."""
    groups: dict[tuple[str, str, Match], list[datetime]] = {}
    entries, gaps = 0, [f"{log.arn.region}: {log.why_not}" for log in logs if not log.complete]
    for event, match in _uses(logs, canary, gaps):
        # Events carry whole seconds: what is closer to the undo cannot be told from what came after it.
        if window.began - SECOND <= event.at < window.undoing - SLACK and event.alike.error is None:
            entries += 1
            groups.setdefault((event.alike.operation, event.alike.principal, match), []).append(event.at)
    found = [
        WindowUse(
            operation=vendor_text(operation),
            principal=vendor_text(principal),
            grant=None,
            match=match,
            count=len(times),
            first=min(times),
            last=max(times),
        )
        for (operation, principal, match), times in sorted(groups.items())
    ]
    if len(found) > MAX_USES:
        gaps.append(f"more than {MAX_USES} kinds of use")
    return WindowUses(
        state="awaiting" if gaps else "complete",
        why_not=vendor_text("; ".join(gaps)),
        muted=tuple(sorted(map(vendor_text, muted)))[:200],
        entries=entries,
        uses=tuple(found[:MAX_USES]),
    )


def marking(canary: Canary, drill: str) -> dict[str, str]:
    """The context of our own marking calls: like the canary's, which our principal may use, but another value, which
    the restriction does not concern."""
    name, value = canary.pairs[0]
    return {name: f"{value[:200]}-{drill}"}


def markers(logs: Sequence[RawLog], window: Window, canary: Canary, drill: str) -> Markers | Unseen:
    """Whether our own calls of before, during and after have arrived in every Region. They succeed, under a context
    that the restriction does not concern: refused calls carry neither resource nor context in the log."""
    if not logs:
        return Unseen(reason=Reason.NOT_COVERED, detail="no log was read")
    seen = dict.fromkeys(("before", "during", "after"), True)
    for log in logs:
        times = tuple(_marks(log, marking(canary, drill)))
        seen["before"] &= any(at <= window.began for at in times)
        seen["during"] &= any(window.acted - SECOND <= at <= window.undoing for at in times)
        seen["after"] &= any(at >= window.undone - SECOND for at in times)
    return Markers(before=_arrived(seen["before"]), during=_arrived(seen["during"]), after=_arrived(seen["after"]))


def _marks(log: RawLog, mark: dict[str, str]) -> Iterable[datetime]:
    for written in log.entries:
        if len(written) > MAX_EVENT:
            continue
        try:
            event = parse_event(written, log.arn)
        except MalformedError:
            continue
        if event is not None and any(dict(context) == mark for context in contexts(written)):
            yield event.at


def _arrived(seen: bool) -> Literal["arrived", "missing"]:
    return "arrived" if seen else "missing"


def _uses(logs: Sequence[RawLog], canary: Canary, gaps: list[str]) -> Iterable[tuple[Event, Match]]:
    for log in logs:
        known: set[str] = set()
        for written in log.entries:
            try:
                event = parse_event(written, log.arn) if len(written) <= MAX_EVENT else None
            except MalformedError as error:
                gaps.append(f"{log.arn.region}: an entry cannot be read: {error}")
                continue
            if event is None or event.id in known or event.alike.operation not in USES:
                continue
            known.add(event.id)
            yield event, _match(written, canary)


def _match(written: str, canary: Canary) -> Match:
    found = tuple(contexts(written))
    if not found:
        return Match.NONE
    for context in found:
        given = {name.lower(): value for name, value in context.items()}
        if all(given.get(name.lower()) == value for name, value in canary.pairs):
            return Match.CANARY
    return Match.OTHER
