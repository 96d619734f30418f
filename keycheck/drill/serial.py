"""Drills as tasks of a run: one after the other, in this process, each once, after everything that only looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import cast

from keycheck.boundary import Crash, guarded
from keycheck.errors import ProbeError
from keycheck.model.deployment import Subject
from keycheck.model.drill import DRILL, Desk, DrillProbe
from keycheck.model.facts import Census, Unseen
from keycheck.model.probe import Io, Observed
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason
from keycheck.plan import Task
from keycheck.run import Recorded


def drilled(task: Task, io: Io, desk: Desk) -> Iterator[Recorded]:
    """Everything that one drill saw. A crash of its code comes back as `unseen`: restoring is the runner's and the
    watchdog's, not this function's."""
    started, clock = io.clock(), io.monotonic()
    yield Recorded(task, Observed(None, Census(parts=(DRILL,))), started, 0)
    if desk.stop.is_set():
        seen: Sequence[Observed] = (_unseen(Reason.INTERRUPTED, "interrupted before the drill began"),)
    else:
        seen = _seen(task, io, desk)
    took = max(0, round((io.monotonic() - clock) * 1_000_000))
    for observed in seen:
        if observed.times is None:
            yield Recorded(task, observed, started, took)
        else:
            first, last = observed.times
            yield Recorded(task, observed, first, max(0, (last - first) // timedelta(microseconds=1)))


def _seen(task: Task, io: Io, desk: Desk) -> Sequence[Observed]:
    probe = cast(DrillProbe[Subject], task.probe)

    def call() -> Sequence[Observed]:
        try:
            return tuple(probe.drill(task.subject, io, desk))
        except ProbeError as error:
            return (_unseen(error.reason, str(error)),)

    done = guarded(call)
    if isinstance(done, Crash):
        return (_unseen(Reason.PROBE_CRASHED, str(done)),)
    return done or (_unseen(Reason.PROBE_CRASHED, "the drill returned nothing"),)


def _unseen(reason: Reason, detail: str) -> Observed:
    return Observed(DRILL, Unseen(reason=reason, detail=vendor_text(detail)))
