"""What Cloud Audit Logs say of the time in which a canary's CryptoKey was taken away: our own marks, and everybody's
uses. Pure.

A mark is a call of our own control principal that uses the canary's CryptoKey (Encrypt or Decrypt), whatever came of
it: uses are logged as DATA_READ, and so is one that was denied. The sentinel's denied decryptions are thus the marks
of the time between act and undo. What a mark proves: at that moment uses of this key were logged, under our name, and
the entry has arrived. What it does not: that no other principal is exempted (`muted`), and that no entry beside it is
still on its way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Reason
from probes.keys.drill.gcp_log import DATA_ACCESS, USES, GcpEntry, GcpRawLog
from probes.keys.drill.uses import counted
from probes.keys.drill.window import SECOND, Window
from probes.keys.drill_facts import Markers, Match, WindowUses
from probes.keys.principals import gcp_named

_Marks: TypeAlias = tuple[bool, bool, bool]


def window_uses(logs: Sequence[GcpRawLog], window: Window, muted: Iterable[str]) -> WindowUses:
    """Successful uses from the act until shortly before the undo, those that are alike counted. Every use of the
    canary's CryptoKey concerns the restriction, and none of another key does."""
    groups: dict[tuple[str, str, Match], list[datetime]] = {}
    gaps = [f"{log.key.key}: {log.why_not}" for log in logs if not log.complete]
    nameless = 0
    for log in logs:
        match = Match.CANARY if log.canary else Match.OTHER
        for entry in log.entries():
            if entry.operation not in USES or entry.code != 0 or not window.holds(entry.at):
                continue
            if not entry.principal:
                nameless += 1
                continue
            groups.setdefault((entry.operation, entry.principal, match), []).append(entry.at)
    if not any(log.canary for log in logs):
        gaps.append("the log of the canary's key was not read")
    if nameless:
        gaps.append(f"{nameless} successful uses name no principal")
    return counted(groups, gaps, muted)


def markers(logs: Sequence[GcpRawLog], window: Window, ours: Collection[str]) -> Markers | Unseen:
    """Which of our own uses of the canary's CryptoKey have arrived: from before, between act and undo, and after.

    They count together only within one source: a mark that only an export holds says nothing about the rest of the
    Logging API. `ours`: our principals as IAM writes them. A principal that the log leaves out is nobody's mark, so the
    control identity should be a service account of the key's organization.
    """
    canaries = [log for log in logs if log.canary]
    if not canaries:
        return Unseen(reason=Reason.NOT_COVERED, detail="the log of the canary's key was not read")
    whole: _Marks = (True, True, True)
    for log in canaries:
        best = max((_marks(source, window, ours) for source in log.sources), key=sum, default=(False,) * 3)
        whole = (whole[0] and best[0], whole[1] and best[1], whole[2] and best[2])
    return Markers(before=_arrived(whole[0]), during=_arrived(whole[1]), after=_arrived(whole[2]))


def _marks(entries: Iterable[GcpEntry], window: Window, ours: Collection[str]) -> _Marks:
    times = [
        entry.at
        for entry in entries
        if entry.principal and entry.log == DATA_ACCESS and entry.operation in USES and gcp_named(entry.principal, ours)
    ]
    return (
        any(at <= window.began + SECOND for at in times),
        any(window.acted <= at <= window.undoing for at in times),
        any(at >= window.undone - SECOND for at in times),
    )


def _arrived(seen: bool) -> Literal["arrived", "missing"]:
    return "arrived" if seen else "missing"
