"""Probes' work -> observations, on `concurrent.futures` executors, one pool per vantage and kind.

The engine knows no area, no cloud and no verdict. Names and values go to workers; values, never
exceptions, come back. One dead probe, one hanging server, one killed worker never stops the others:

- a crash becomes `unseen(probe-crashed)`; work that outlives its budget becomes `unseen(timeout)`;
- a pool that breaks is rebuilt; the units that were in it run again one at a time, and only the one that
  breaks a pool alone, twice, becomes `unseen(worker-lost)`;
- when `stop` is set nothing new starts; what is unfinished becomes `unseen(interrupted)`.

Every task yields exactly one census and one sighting a part, whatever happens. Drills never enter here.
"""

from __future__ import annotations

import os
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from typing import Final, TypeAlias

from keycheck.boundary import Crash, guarded
from keycheck.executors import Factory, PoolKind
from keycheck.model.facts import Census, Unseen
from keycheck.model.probe import SURVEY, Io, Observed, Round, Surveyed
from keycheck.model.types import Clock, PartName, vendor_text
from keycheck.model.verdict import Reason
from keycheck.plan import Task
from keycheck.turns import turn, waiting
from keycheck.units import Advance, Done, Progress, Unit, perform

Key: TypeAlias = tuple[str, str, str]
GRACE: Final[Mapping[PoolKind, float]] = {"threads": 1.0, "processes": 10.0}
"""Seconds beyond its own budget after which the engine gives a unit of work up. A fresh process must
first import what it runs."""
PATIENCE: Final = 2.0
"""Seconds that running work is given after an interrupt."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the engine learned: a census (`part` None, census facts) or one sighting."""

    task: Task
    observed: Observed
    started: datetime
    duration_us: int


def _silently(advance: Advance) -> None:
    """Nobody listens."""


class Engine:
    """Runs tasks and yields what they saw. One engine, one run."""

    def __init__(
        self,
        factory: Factory,
        *,
        workers: int,
        clock: Clock,
        stop: Event,
        processes: int = 0,
        told: Callable[[Advance], None] = _silently,
    ) -> None:
        """`workers` bounds what is in flight, `processes` what of it is in worker processes (0: as many as there are
        processors): a unit's time counts from when it is handed over, so none may queue behind others."""
        self._factory = factory
        self._width: Mapping[PoolKind, int] = {
            "threads": workers,
            "processes": min(workers, processes or os.cpu_count() or 1),
        }
        self._clock = clock
        self._stop = stop
        self._told = told
        self._pools: dict[tuple[str, PoolKind], Executor] = {}
        self._ready: Mapping[PoolKind, deque[Unit]] = {kind: deque() for kind in self._width}
        self._suspects: deque[Unit] = deque()
        self._struck: set[tuple[Key, PartName]] = set()
        """Units under which a pool broke while nothing else was in it."""
        self._flying: dict[Future[Done], tuple[Unit, float]] = {}
        self._landed: queue.SimpleQueue[Future[Done]] = queue.SimpleQueue()
        self._tasks: dict[Key, Progress] = {}

    def run(self, tasks: Iterable[Task], io: Callable[[Task], Io]) -> Iterator[Recorded]:
        """Everything seen, in the order in which it was learned."""
        todo = iter(tasks)
        with turn():
            yield from self._run(todo, io)

    def _run(self, todo: Iterator[Task], io: Callable[[Task], Io]) -> Iterator[Recorded]:
        try:
            while self._launch(todo, io) or self._flying:
                yield from self._land()
            yield from self._abandon_all()
            for task in todo:
                yield Recorded(task, Observed(None, _unseen(self._interrupted())), self._clock(), 0)
        finally:
            for pool in self._pools.values():
                pool.shutdown(wait=False, cancel_futures=True)

    # Starting

    def _launch(self, todo: Iterator[Task], io: Callable[[Task], Io]) -> bool:
        """Keep the window full. False when nothing is left to start."""
        while not self._stop.is_set() and len(self._flying) < self._width["threads"]:
            if self._suspects:
                if self._flying:
                    return True
                self._submit(self._suspects.popleft())
                return True
            if unit := self._next_ready():
                # what may be done is asked again for each unit: an authorization's window may have closed
                self._submit(replace(unit, io=replace(io(unit.task), budget=unit.io.budget, given=unit.io.given)))
                continue
            task = next(todo, None)
            if task is None:
                return bool(self._flying)
            there = replace(io(task), budget=task.probe.limit)
            self._tasks[task.key] = Progress(task, there, {})
            self._make_ready(Unit(task, "survey", "", there, task.probe.pool))
        return bool(self._flying)

    def _room(self, kind: PoolKind) -> bool:
        return sum(unit.kind == kind for unit, _ in self._flying.values()) < self._width[kind]

    def _make_ready(self, unit: Unit) -> None:
        self._ready[unit.kind].append(unit)

    def _next_ready(self) -> Unit | None:
        """The first unit whose lane is free, so that parts of one server are never looked at side by side, and whose
        pool has a worker to spare."""
        busy = {unit.lane for unit, _ in self._flying.values() if unit.lane}
        for kind, waiting_here in self._ready.items():
            for _ in range(len(waiting_here) if self._room(kind) else 0):
                unit = waiting_here.popleft()
                if unit.lane not in busy:
                    return unit
                waiting_here.append(unit)
        return None

    def _submit(self, unit: Unit) -> None:
        until = time.monotonic() + unit.io.budget + GRACE[unit.kind]
        if unit.kind == "threads":  # in this process: it can be told that nobody waits for it any more
            unit = replace(unit, io=replace(unit.io, stopped=lambda: self._stop.is_set() or time.monotonic() > until))
        pool = self._pools.get(unit.pool)
        if pool is None:
            pool = self._pools[unit.pool] = self._factory(unit.kind, self._width[unit.kind])
        try:
            future = pool.submit(perform, unit)
        except (BrokenExecutor, RuntimeError):
            self._discard(unit.pool)
            future = self._pools.setdefault(unit.pool, self._factory(unit.kind, self._width[unit.kind])).submit(
                perform, unit
            )
        self._flying[future] = (unit, until)
        future.add_done_callback(self._landed.put)

    def _discard(self, pool: tuple[str, PoolKind]) -> None:
        if broken := self._pools.pop(pool, None):
            broken.shutdown(wait=False, cancel_futures=True)

    # Landing

    def _land(self) -> Iterator[Recorded]:
        if self._stop.is_set():
            yield from self._last_landings()
            return
        due = min((deadline for _, deadline in self._flying.values()), default=0.0)
        try:
            future = self._next_landing(max(0.0, min(due - time.monotonic(), 0.2)))
        except queue.Empty:
            yield from self._overdue()
            return
        if future in self._flying:
            unit, _ = self._flying.pop(future)
            yield from self._settle(unit, future)

    def _next_landing(self, timeout: float) -> Future[Done]:
        """Raises queue.Empty."""
        with waiting():
            return self._landed.get(timeout=timeout)

    def _settle(self, unit: Unit, future: Future[Done]) -> Iterator[Recorded]:
        error = CancelledError() if future.cancelled() else future.exception()
        if isinstance(error, BrokenExecutor | CancelledError):
            alone = not any(other.pool == unit.pool for other, _ in self._flying.values())
            yield from self._broken(unit, alone=alone)
        elif error is not None:
            lost = self._lost(Reason.PROBE_CRASHED, f"{type(error).__name__} on the way to or from the worker")
            yield from self._accept(unit, lost)
        else:
            yield from self._accept(unit, future.result())

    def _broken(self, unit: Unit, *, alone: bool) -> Iterator[Recorded]:
        """The pool broke under this unit. Alone in it for the second time, it is guilty; else everybody in it is a
        suspect."""
        others = [(future, other) for future, (other, _) in self._flying.items() if other.pool == unit.pool]
        for future, other in others:
            del self._flying[future]
            self._suspects.append(other)
        self._discard(unit.pool)
        name = (unit.task.key, unit.part)
        if alone and name in self._struck:
            yield from self._accept(
                unit, self._lost(Reason.WORKER_LOST, "the worker died twice while it worked on this alone")
            )
            return
        if alone:  # somebody else may have killed it once
            self._struck.add(name)
        self._suspects.append(unit)

    def _overdue(self) -> Iterator[Recorded]:
        now = time.monotonic()
        for future, (unit, deadline) in list(self._flying.items()):
            if deadline > now or future not in self._flying:
                continue
            del self._flying[future]
            if unit.kind == "processes":
                yield from self._kill_pool_of(unit)
            yield from self._accept(unit, self._lost(Reason.TIMEOUT, f"no result within {unit.io.budget:g} s"))

    def _kill_pool_of(self, unit: Unit) -> Iterator[Recorded]:
        """A process that hangs can only be killed, with the pool around it; the others run again."""
        for future, (other, _) in list(self._flying.items()):
            if other.pool == unit.pool:
                del self._flying[future]
                if future.done() and not future.cancelled() and future.exception() is None:
                    yield from self._accept(other, future.result())
                else:
                    self._make_ready(other)
        self._discard(unit.pool)

    # Concluding

    def _accept(self, unit: Unit, done: Done) -> Iterator[Recorded]:
        progress = self._tasks[unit.task.key]
        progress.ended = done.started + timedelta(microseconds=done.duration_us)
        if unit.step == "survey":
            yield from self._surveyed(unit, progress, done)
        elif unit.part in progress.waiting:
            progress.waiting.discard(unit.part)
            progress.times[unit.part] = (done.started, done.duration_us)
            self._fold(progress, unit.part, done.value)
            if unit.part not in progress.parts:  # parts tell of themselves when they are recorded
                self._tell(progress, done.value)
        if not progress.waiting and unit.task.key in self._tasks:
            yield from self._next_round(progress)

    def _next_round(self, progress: Progress) -> Iterator[Recorded]:
        """Ask the probe what else is to be done; conclude when that is nothing."""
        task = progress.task
        round_ = guarded(lambda: task.probe.more(task.subject, progress.gathered, progress.io))
        if isinstance(round_, Round) and round_.units:
            yield from self._begin(progress, round_)
        elif round_ is None:
            yield from self._conclude(progress)
        else:
            words = str(round_) if isinstance(round_, Crash) else "neither a round with units nor None"
            yield from self._conclude(
                progress, Unseen(reason=Reason.PROBE_CRASHED, detail=vendor_text(f"more: {words}"))
            )

    def _begin(self, progress: Progress, round_: Round) -> Iterator[Recorded]:
        for observed in round_.record:
            yield Recorded(progress.task, observed, self._clock(), 0)
        progress.waiting, progress.units = set(round_.units), len(round_.units)
        probe = progress.task.probe
        for name, given in sorted(round_.units.items(), key=lambda item: item[0]):
            lane = guarded(partial(probe.lane, progress.task.subject, name))
            there = replace(progress.io, given=given, budget=round_.limit or probe.limit)
            kind = round_.pool or probe.pool
            self._make_ready(Unit(progress.task, "work", name, there, kind, "" if isinstance(lane, Crash) else lane))

    def _fold(self, progress: Progress, part: PartName, value: object) -> None:
        folded = guarded(lambda: progress.task.probe.fold(progress.gathered, part, value))
        if isinstance(folded, Crash):
            folded = {
                **progress.gathered,
                part: Unseen(reason=Reason.PROBE_CRASHED, detail=vendor_text(f"fold: {folded}")),
            }
        progress.gathered = folded

    def _tell(self, progress: Progress, value: object) -> None:
        if not isinstance(value, Unseen):
            rows = guarded(lambda: progress.task.probe.counted(value))
            progress.rows += rows if isinstance(rows, int) else 0
        done = progress.units - len(progress.waiting)
        self._told(Advance(progress.task.entry.id, done, progress.units, progress.rows))

    def _surveyed(self, unit: Unit, progress: Progress, done: Done) -> Iterator[Recorded]:
        found = done.value
        if isinstance(found, Census):
            found = Surveyed(found, Round(dict.fromkeys(found.parts)))
        if not isinstance(found, Surveyed):
            crashed = Unseen(reason=Reason.PROBE_CRASHED, detail="survey returned no census")
            lost = found if isinstance(found, Unseen) else crashed
            yield Recorded(unit.task, Observed(None, lost), done.started, done.duration_us)
            del self._tasks[unit.task.key]
            return
        yield Recorded(unit.task, Observed(None, found.census), done.started, done.duration_us)
        progress.started = done.started
        progress.parts = frozenset(found.census.parts)
        if found.known is not None:
            progress.gathered = {SURVEY: found.known}
        yield from self._begin(progress, found.first)

    def _conclude(self, progress: Progress, lost: Unseen | None = None) -> Iterator[Recorded]:
        """The probe's own conclusions; parts that it leaves out or crashes over are `Unseen`."""
        task = progress.task
        del self._tasks[task.key]
        concluded: tuple[Observed, ...] | Crash = ()
        if lost is None:
            concluded = guarded(lambda: _observed(task.probe.conclude(task.subject, progress.gathered)))
            if isinstance(concluded, Crash):
                lost = Unseen(reason=Reason.PROBE_CRASHED, detail=vendor_text(f"conclude: {concluded}"))
        if isinstance(concluded, Crash):
            concluded = ()
        silent = lost or Unseen(reason=Reason.PROBE_CRASHED, detail="the probe concluded nothing about this part")
        left_out = progress.parts - {observed.part for observed in concluded}
        whole = (progress.started or self._clock(), 0)
        for observed in (*concluded, *(Observed(part, silent) for part in sorted(left_out))):
            started, duration = progress.times.get(observed.part or "", whole)
            yield Recorded(task, observed, started, duration)

    # Interrupted

    def _last_landings(self) -> Iterator[Recorded]:
        until = time.monotonic() + PATIENCE
        while self._flying and (left := until - time.monotonic()) > 0:
            try:
                future = self._next_landing(left)
            except queue.Empty:
                break
            if future in self._flying:
                unit, _ = self._flying.pop(future)
                yield from self._settle(unit, future)
        self._flying.clear()

    def _abandon_all(self) -> Iterator[Recorded]:
        for progress in list(self._tasks.values()):
            lost = self._interrupted()
            if progress.started is None:
                yield Recorded(progress.task, Observed(None, _unseen(lost)), lost.started, 0)
                del self._tasks[progress.task.key]
                continue
            for part in sorted(progress.waiting):
                progress.times[part] = (lost.started, 0)
                self._fold(progress, part, lost.value)
            yield from self._conclude(progress)

    def _interrupted(self) -> Done:
        return self._lost(Reason.INTERRUPTED, "the run was interrupted before this was finished")

    def _lost(self, reason: Reason, detail: str) -> Done:
        return Done(Unseen(reason=reason, detail=vendor_text(detail)), self._clock(), 0)


def _observed(concluded: Iterable[object]) -> tuple[Observed, ...]:
    """What a probe concluded, if it is what a probe may conclude."""
    kept: list[Observed] = []
    for each in concluded:
        if not isinstance(each, Observed) or each.part is None:
            raise TypeError("conclude yields Observed with a part")
        kept.append(each)
    return tuple(kept)


def _unseen(done: Done) -> Unseen:
    if not isinstance(done.value, Unseen):
        raise TypeError("not an Unseen")
    return done.value
