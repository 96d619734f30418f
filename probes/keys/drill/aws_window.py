"""What CloudTrail says of the time in which a key was taken away: our own marks, and everybody's uses. Values of
encryption contexts are compared in memory and never kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.clouds.aws.reading import MalformedError
from probes.keys.drill.aws_log import RawLog, contexts, entry_of, request_id, uses_of
from probes.keys.drill.canary import Canary
from probes.keys.drill.uses import counted
from probes.keys.drill.window import SECOND, Window
from probes.keys.drill_facts import Markers, Match, WindowUses

_Marks: TypeAlias = tuple[bool, bool, bool]


def window_uses(logs: Sequence[RawLog], window: Window, canary: Canary, muted: Iterable[str]) -> WindowUses:
    """Successful uses from the act until shortly before the undo, those that are alike counted."""
    groups: dict[tuple[str, str, Match], list[datetime]] = {}
    gaps = [f"{log.arn.region}: {log.why_not}" for log in logs if not log.complete]
    for written, event in uses_of(logs, gaps):
        if window.holds(event.at) and event.alike.error is None:
            alike = (event.alike.operation, event.alike.principal, _match(written, canary))
            groups.setdefault(alike, []).append(event.at)
    return counted(groups, gaps, muted)


def marking(canary: Canary, drill: str) -> dict[str, str]:
    """The context of our own marking calls: like the canary's, which our principal may use, but another value, which
    the restriction does not concern."""
    name, value = canary.pairs[0]
    return {name: f"{value[:200]}-{drill}"}


def markers(
    logs: Sequence[RawLog], window: Window, canary: Canary, drill: str, ids: Collection[str] = ()
) -> Markers | Unseen:
    """Whether our own calls of before, during and after have arrived in every Region, all three in one source: a mark
    that only a trail's file holds says nothing about the rest of the event history.

    A mark is a call that succeeds under a context that the restriction does not concern; refused calls carry neither
    resource nor context in the log. Where nothing succeeds because the whole key is away, it is one that asks about the
    key (DescribeKey). It is known by its request id, which the caller alone was told: `ids`. Without any, by its
    context.
    """
    if not logs:
        return Unseen(reason=Reason.NOT_COVERED, detail="no log was read")
    whole: _Marks = (True, True, True)
    for log in logs:
        best = max((_seen(entries, log, window, marking(canary, drill), ids) for entries in log.apart()), key=sum)
        whole = (whole[0] and best[0], whole[1] and best[1], whole[2] and best[2])
    return Markers(before=_arrived(whole[0]), during=_arrived(whole[1]), after=_arrived(whole[2]))


def _seen(entries: Iterable[str], log: RawLog, window: Window, mark: dict[str, str], ids: Collection[str]) -> _Marks:
    times = tuple(_marks(entries, log, mark, frozenset(ids) - {""}))
    return (
        any(at <= window.began for at in times),
        any(window.acted - SECOND <= at <= window.undoing for at in times),
        any(at >= window.undone - SECOND for at in times),
    )


def _marks(entries: Iterable[str], log: RawLog, mark: dict[str, str], ids: frozenset[str]) -> Iterable[datetime]:
    for written in entries:
        try:
            event = entry_of(written, log.arn)
        except MalformedError:
            continue
        if event is None:
            continue
        # Whoever reads the key policy knows the drill's name, and could make a call with the context of our marks.
        if request_id(written) in ids if ids else any(dict(context) == mark for context in contexts(written)):
            yield event.at


def _arrived(seen: bool) -> Literal["arrived", "missing"]:
    return "arrived" if seen else "missing"


def _match(written: str, canary: Canary) -> Match:
    found = tuple(contexts(written))
    if not found:
        return Match.NONE
    for context in found:
        given = {name.lower(): value for name, value in context.items()}
        if all(given.get(name.lower()) == value for name, value in canary.pairs):
            return Match.CANARY
    return Match.OTHER
