"""Successful uses of a key between act and undo, those that are alike counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from keycheck.model.types import vendor_text
from probes.keys.drill_facts import MAX_USES, Match, WindowUse, WindowUses

Groups: TypeAlias = Mapping[tuple[str, str, Match], Sequence[datetime]]
"""Operation, principal, and how the context compares, with the times."""


def counted(groups: Groups, gaps: Iterable[str], muted: Iterable[str]) -> WindowUses:
    """As the facts state them. `gaps`: what the log lacks, each enough to leave it open."""
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
    lacking = [*gaps, *([f"more than {MAX_USES} kinds of use"] if len(found) > MAX_USES else [])]
    return WindowUses(
        state="awaiting" if lacking else "complete",
        why_not=vendor_text("; ".join(lacking)),
        muted=tuple(sorted({vendor_text(each) for each in muted}))[:200],
        entries=sum(use.count for use in found),
        uses=tuple(found[:MAX_USES]),
    )
