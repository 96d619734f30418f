"""One dead probe, one hanging server, one killed worker never stops the others, loses or doubles anything."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Executor
from pathlib import Path
from threading import Event

import pytest
from door_tasks import io, now, task
from practice_plugin import (
    Door,
    DoorFacts,
    DoorProbe,
    FoldCrashProbe,
    ForgetfulProbe,
    HastyDoorProbe,
    HeavyDoorProbe,
    LockedOnlyOnce,
    TwoRoundProbe,
    WallFacts,
)

from keycheck.executors import DaemonThreads, PoolKind, local
from keycheck.model.deployment import SubjectEntry
from keycheck.model.facts import Census, Unseen
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import Reason
from keycheck.plan import Task
from keycheck.run import Engine, Recorded


def run(*tasks: Task, workers: int = 8, stop: Event | None = None) -> list[Recorded]:
    engine = Engine(local, workers=workers, clock=now, stop=stop or Event())
    return list(engine.run(tasks, io))


def sightings(recorded: Iterable[Recorded]) -> dict[tuple[str, str | None], object]:
    """(subject, part) -> `locked`/`open`/reason; doubles would be lost here, so they are counted first."""
    keys = Counter((r.task.entry.id, r.observed.part) for r in recorded if not isinstance(r.observed.facts, Census))
    assert all(count == 1 for count in keys.values()), keys
    return {
        (r.task.entry.id.partition("/")[2], r.observed.part): _say(r.observed.facts)
        for r in recorded
        if not isinstance(r.observed.facts, Census)
    }


def _say(facts: object) -> object:
    if isinstance(facts, Unseen):
        return facts.reason
    assert isinstance(facts, DoorFacts)
    return "locked" if facts.locked else "open"


def test_each_task_yields_one_census_and_one_sighting_a_part() -> None:
    recorded = run(task("a", ["one", "open-two"]), task("b", ["one"]))
    assert sightings(recorded) == {("a", "one"): "locked", ("a", "open-two"): "open", ("b", "one"): "locked"}
    assert sum(isinstance(r.observed.facts, Census) for r in recorded) == 2


def test_crashes_denials_and_exits_become_reasons_and_the_others_go_on() -> None:
    recorded = run(
        task("a", ["crash", "fine"]),
        task("b", ["survey-crash"]),
        task("c", ["survey-denied"]),
        task("d", ["survey-exit"]),
    )
    assert sightings(recorded) == {
        ("a", "crash"): Reason.PROBE_CRASHED,
        ("a", "fine"): "locked",
        ("b", None): Reason.PROBE_CRASHED,
        ("c", None): Reason.PERMISSION_DENIED,
        ("d", None): Reason.PROBE_CRASHED,
    }
    assert "hunter2" not in repr(recorded)


def test_a_hanging_part_becomes_a_timeout_while_the_others_are_seen() -> None:
    began = time.monotonic()
    recorded = run(task("a", ["hang", "fine"]), task("b", ["fine"]), workers=2)
    assert sightings(recorded)["a", "hang"] is Reason.TIMEOUT
    assert sightings(recorded)["a", "fine"] == "locked"
    assert sightings(recorded)["b", "fine"] == "locked"
    assert time.monotonic() - began < 10


def test_hanging_work_does_not_eat_the_pool() -> None:
    recorded = run(*(task(f"d{i}", ["hang", "fine"]) for i in range(3)), workers=1)
    assert Counter(sightings(recorded).values()) == {Reason.TIMEOUT: 3, "locked": 3}


def test_only_the_unit_that_kills_its_worker_is_lost(tmp_path: Path) -> None:
    tally = tmp_path / "tally"
    doors = [task(f"d{i}", ["one", "two"], HeavyDoorProbe(), str(tally)) for i in range(4)]
    recorded = run(*doors, task("bad", ["die", "fine"], HeavyDoorProbe()), workers=2)
    seen = sightings(recorded)
    assert seen.pop(("bad", "die")) is Reason.WORKER_LOST
    assert set(seen.values()) == {"locked"}
    assert len(seen) == 9


def test_a_process_that_hangs_is_killed_and_the_others_are_seen() -> None:
    recorded = run(task("a", ["hang", "one"], HastyDoorProbe()), task("b", ["one"], HastyDoorProbe()), workers=2)
    seen = sightings(recorded)
    assert seen.pop(("a", "hang")) is Reason.TIMEOUT
    assert set(seen.values()) == {"locked"}


def test_a_probe_that_concludes_nothing_leaves_no_silence() -> None:
    assert sightings(run(task("a", ["one"], ForgetfulProbe()))) == {("a", "one"): Reason.PROBE_CRASHED}


def test_a_crash_while_folding_is_recorded_for_each_part() -> None:
    recorded = run(task("a", ["one", "two"], FoldCrashProbe()))
    assert set(sightings(recorded).values()) == {Reason.PROBE_CRASHED}
    assert "hunter2" not in repr(recorded)


def test_a_simple_probe_has_one_part() -> None:
    door = Door(id="a", locks=())
    entry = SubjectEntry(id="doors/a", vantages=("here",), body=CanonicalJson.of(door.model_dump(mode="json")))
    recorded = run(Task(LockedOnlyOnce(), door, entry, "here", (), 1))
    assert sightings(recorded) == {("a", "whole"): "locked"}


def test_stop_keeps_what_was_seen_and_marks_the_rest_interrupted() -> None:
    stop = Event()
    tasks = [task(f"d{i:02}", ["slow-1", "slow-2"]) for i in range(20)]
    threading.Timer(0.5, stop.set).start()
    recorded = run(*tasks, workers=2, stop=stop)
    said = Counter(sightings(recorded).values())
    assert said["locked"] >= 1
    assert said[Reason.INTERRUPTED] >= 1
    assert {r.task.entry.id for r in recorded} == {t.entry.id for t in tasks}


def test_stop_before_the_start_interrupts_everything_and_touches_nothing(tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    tally = tmp_path / "tally"
    recorded = run(task("a", ["one"], scratch=str(tally)), task("b", ["one"]), stop=stop)
    assert sightings(recorded) == {("a", None): Reason.INTERRUPTED, ("b", None): Reason.INTERRUPTED}
    assert not tally.exists()


def test_what_is_in_flight_never_exceeds_the_window() -> None:
    busy, most, lock = [0], [0], threading.Lock()

    class Watching(DoorProbe):
        def work(self, subject: Door, part: str, io: Io) -> object:  # type: ignore[override]
            with lock:
                busy[0] += 1
                most[0] = max(most[0], busy[0])
            time.sleep(0.01)
            with lock:
                busy[0] -= 1
            return super().work(subject, part, io)

    run(*(task(f"d{i:02}", ["one", "two", "three"], Watching()) for i in range(10)), workers=3)
    assert 1 <= most[0] <= 3


def test_a_factory_is_asked_for_a_pool_per_vantage_and_kind() -> None:
    asked: list[PoolKind] = []

    def factory(kind: PoolKind, workers: int) -> Executor:
        asked.append(kind)
        return DaemonThreads()

    engine = Engine(factory, workers=2, clock=now, stop=Event())
    list(engine.run([task("a", ["one"]), task("b", ["one"], HeavyDoorProbe())], io))
    assert sorted(asked) == ["processes", "threads"]


def test_daemon_threads_refuse_work_after_shutdown_and_reuse_idle_threads() -> None:
    pool = DaemonThreads()
    names = [pool.submit(lambda: threading.current_thread().ident).result() for _ in range(5)]
    time.sleep(0.05)
    names += [pool.submit(lambda: threading.current_thread().ident).result()]
    assert len(set(names)) < len(names)
    pool.shutdown()
    with pytest.raises(RuntimeError):
        pool.submit(int)


def test_a_second_round_runs_here_after_what_the_first_showed_was_written_down() -> None:
    recorded = run(task("a", ["front", "back"], TwoRoundProbe()), workers=4)
    walls = [each for each in recorded if isinstance(each.observed.facts, WallFacts)]
    assert [each.observed.facts for each in walls] == [WallFacts(stones=10)]
    doors = [each for each in recorded if isinstance(each.observed.facts, DoorFacts)]
    assert {each.observed.part: each.observed.facts for each in doors} == dict.fromkeys(
        ("front", "back"), DoorFacts(locked=True)
    )
    assert recorded.index(walls[0]) < min(map(recorded.index, doors))


def test_a_unit_that_is_lost_in_the_first_round_reaches_the_probe_as_unseen() -> None:
    recorded = run(task("a", ["front"], TwoRoundProbe(), "die"), workers=4)
    doors = [each.observed.facts for each in recorded if isinstance(each.observed.facts, DoorFacts)]
    assert doors == [DoorFacts(locked=False)]


def test_rounds_must_end_and_every_part_of_the_census_is_concluded_about() -> None:
    recorded = run(task("a", ["front"], TwoRoundProbe(), "nothing"), task("b", ["forgotten"], TwoRoundProbe()))
    lost = {
        (r.task.entry.id, r.observed.part): r.observed.facts.reason
        for r in recorded
        if isinstance(r.observed.facts, Unseen)
    }
    assert lost == {("doors/a", "front"): Reason.PROBE_CRASHED, ("doors/b", "forgotten"): Reason.PROBE_CRASHED}
