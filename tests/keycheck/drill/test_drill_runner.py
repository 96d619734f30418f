"""The runner: what it writes before it acts, and that everything leads through the undo."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from toy_mechanism import BASE, Habits, Toy, World, toy_change, toy_io, toy_kit

from keycheck.drill import journal as journals
from keycheck.drill.held import Ending, Held
from keycheck.drill.home import Home
from keycheck.drill.journal import read
from keycheck.drill.runner import Outcome, Result, run
from keycheck.drill.status import status
from keycheck.model.drill import Change, Mechanism, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import ExitCode, Reason


class Scene:
    """A toy world, and drills in it without a watchdog."""

    def __init__(self, tmp_path: Path, habits: Habits | None = None) -> None:
        self.path = tmp_path
        self.world = World.new(tmp_path / "world.json", habits)
        self.home = Home(tmp_path / "drills")
        self.stop = threading.Event()

    def run(self, during: Callable[[Held], None] = lambda held: None, **changed: object) -> Outcome:
        options: dict = {
            "change": toy_change(self.world), "mechanism": Toy(), "io": toy_io(self.path), "home": self.home,
            "kit": toy_kit(self.path), "during": during, "settle": timedelta(milliseconds=20), "stop": self.stop,
            "patience": timedelta(seconds=10), "guarded": False,
        } | changed  # fmt: skip
        positional = [options.pop(name) for name in ("change", "mechanism", "io", "home", "kit")]
        return run(*positional, **options)


def types(outcome: Outcome) -> list[str]:
    return [entry.record.type for entry in outcome.entries]


def test_a_drill_takes_away_and_puts_back_and_writes_first(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    seen: list[object] = []

    def during(held: Held) -> None:
        seen.append(scene.world.statements()[1])
        seen.append([entry.record.type for entry in read(scene.home.root / "d1")])
        held.note("the sentinel is denied")

    outcome = scene.run(during)
    assert seen == [[*BASE, "deny-d1"], ["planned", "intended", "acted"]]
    assert outcome.result is Result.RESTORED
    assert outcome.ending is Ending.FINISHED
    assert outcome.exit_code is ExitCode.MET
    assert outcome.by_hand == ()
    assert scene.world.as_before()
    assert types(outcome) == [
        "planned", "intended", "acted", "observed", "observed", "undo-intended", "found", "closed"
    ]  # fmt: skip
    acted, undone = outcome.moment("acted"), outcome.moment("undo-intended")
    assert acted is not None
    assert undone is not None
    assert acted < undone
    assert read(scene.home.root / "d1") == outcome.entries


def test_propagation_is_waited_for_and_the_undo_not_repeated(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Habits(lag_ms=600, rewrites=True))
    began = time.monotonic()
    outcome = scene.run(lambda held: held.wait(0.7) and None)
    assert outcome.result is Result.RESTORED
    assert types(outcome).count("undo-intended") == 1
    assert time.monotonic() - began > 1.2
    assert scene.world.as_before()


def test_restored_is_seen_twice_with_the_settle_interval_between(tmp_path: Path) -> None:
    class Late(Toy):
        """What was still in flight lands after the world first stood as before."""

        readings = 0

        def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
            type(self).readings += 1
            if type(self).readings == 2:
                return Standing(Where.CHANGED, "it landed late")
            return super().standing(change, before, io)

    outcome = Scene(tmp_path).run(mechanism=Late(), settle=timedelta(milliseconds=200))
    found = [entry for entry in outcome.entries if entry.record.type == "found"]
    assert [entry.record.where for entry in found] == [Where.RESTORED, Where.CHANGED, Where.RESTORED]
    assert outcome.entries[-1].at - found[-1].at >= timedelta(milliseconds=200)


def crash(held: Held) -> None:
    raise RuntimeError("password=hunter2")


def test_a_watcher_that_crashes_is_an_outcome_after_the_restore(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    outcome = scene.run(crash)
    assert (outcome.result, outcome.ending) == (Result.RESTORED, Ending.FAILED)
    assert scene.world.as_before()
    written = b"".join(path.read_bytes() for path in scene.home.root.rglob("*") if path.is_file())
    assert b"hunter2" not in written + repr(outcome).encode()
    assert "RuntimeError" in outcome.troubles[0]


def test_an_interrupt_that_is_raised_through_the_runner_restores_first(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    def leave(held: Held) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scene.run(leave)
    assert scene.world.as_before()
    assert status(scene.home, lambda: datetime.now(UTC))[0].phase == "closed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_let_go_and_a_second_one_does_not_skip_the_restore(tmp_path: Path, number: int) -> None:
    scene = Scene(tmp_path)

    again = threading.Timer(0.15, lambda: os.kill(os.getpid(), number))

    def during(held: Held) -> None:
        os.kill(os.getpid(), number)
        assert held.wait(30) is Ending.STOPPED
        again.start()  # it comes while the world is given its settle interval

    before = signal.getsignal(number)
    outcome = scene.run(during, settle=timedelta(milliseconds=400))
    assert (outcome.result, outcome.ending) == (Result.RESTORED, Ending.STOPPED)
    again.join()
    assert signal.getsignal(number) == before
    assert scene.world.as_before()


def test_what_ends_holding(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    def condition(held: Held) -> None:
        held.stop("the control record no longer reads")
        held.stop("and more")
        assert held.wait(30) is Ending.CONDITION

    outcome = scene.run(condition)
    assert outcome.ending is Ending.CONDITION
    assert any("the control record no longer reads" in getattr(e.record, "words", "") for e in outcome.entries)

    def lever(held: Held) -> None:
        scene.home.halt("enough")
        assert held.wait(30) is Ending.HALTED

    assert scene.run(lever, change=toy_change(scene.world, "d2")).ending is Ending.HALTED
    scene.home.release()
    late = toy_change(scene.world, "d3", seconds=0.3)
    assert scene.run(lambda held: held.wait(30) and None, change=late).ending is Ending.DEADLINE
    until = datetime.now(UTC) + timedelta(seconds=0.2)
    change = toy_change(scene.world, "d4")
    assert scene.run(lambda held: held.wait(30) and None, change=change, until=until).ending is Ending.DEADLINE
    assert scene.world.as_before()


def test_clocks_that_jump_end_holding_and_never_prolong_it(tmp_path: Path) -> None:
    shift = [timedelta()]
    ticks = [0.0]
    made = Held(
        since=datetime.now(UTC), until=datetime.now(UTC) + timedelta(hours=1), home=Home(tmp_path),
        stop_event=threading.Event(), clock=lambda: datetime.now(UTC) + shift[0],
        sleep=lambda seconds: None, monotonic=lambda: time.monotonic() + ticks[0], append=lambda record: None,
        guarded=lambda: True,
    )  # fmt: skip
    assert made.ended() is None
    shift[0] = timedelta(hours=2)  # the machine slept: only the wall clock knows
    assert made.ended() is Ending.DEADLINE
    shift[0] = timedelta(hours=-5)  # the wall clock was set back
    assert made.ended() is None
    ticks[0] = 3700.0
    assert made.ended() is Ending.DEADLINE


@pytest.mark.parametrize(
    ("habits", "reason"),
    [
        (Habits(deny="look"), Reason.PERMISSION_DENIED),
        (Habits(crash="look"), Reason.PROBE_CRASHED),
        (Habits(deny="rehearse"), Reason.PERMISSION_DENIED),
        (Habits(crash="rehearse"), Reason.PROBE_CRASHED),
    ],
)
def test_what_cannot_be_looked_at_or_rehearsed_is_not_taken_away(
    tmp_path: Path, habits: Habits, reason: Reason
) -> None:
    scene = Scene(tmp_path, habits)
    outcome = scene.run(crash)
    assert (outcome.result, outcome.reason, outcome.ending) == (Result.UNTOUCHED, reason, None)
    assert outcome.exit_code is ExitCode.MET
    assert "intended" not in types(outcome)
    assert types(outcome)[-1] == "closed"
    assert scene.world.as_before()
    assert "hunter2" not in repr(outcome)


def test_nothing_starts_while_the_lever_is_pulled_or_after_a_stop_or_the_deadline(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.home.halt("no drills this week")
    outcome = scene.run()
    assert (outcome.result, outcome.reason) == (Result.UNTOUCHED, Reason.NOT_AUTHORIZED)
    scene.home.release()
    late = scene.run(change=toy_change(scene.world, "d2", seconds=-1))
    assert (late.result, late.reason) == (Result.UNTOUCHED, Reason.TIMEOUT)
    scene.stop.set()
    stopped = scene.run(change=toy_change(scene.world, "d3"))
    assert (stopped.result, stopped.reason) == (Result.UNTOUCHED, Reason.INTERRUPTED)
    assert scene.world.writes() == 0


@pytest.mark.parametrize("habits", [Habits(deny="act"), Habits(crash="act")])
def test_an_act_that_failed_is_undone_all_the_same(tmp_path: Path, habits: Habits) -> None:
    scene = Scene(tmp_path, habits)
    outcome = scene.run(crash)
    assert (outcome.result, outcome.ending) == (Result.RESTORED, Ending.FAILED)
    assert "acted" not in types(outcome)
    assert "undo-intended" in types(outcome)


def test_a_foreign_change_stops_and_is_never_overwritten(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Habits(foreign_after=2))
    outcome = scene.run()
    assert (outcome.result, outcome.exit_code) == (Result.NOT_PROVED, ExitCode.NOT_RESTORED)
    assert outcome.by_hand == ("remove deny-d1 from world.json",)
    assert scene.world.statements()[0] == [*BASE, "somebody-else"]
    assert outcome.entries[-1].record.type == "halted"
    (told,) = status(scene.home, lambda: datetime.now(UTC))
    assert (told.phase, told.running, told.by_hand) == ("stopped", False, outcome.by_hand)


@pytest.mark.parametrize("habits", [Habits(deny="standing"), Habits(crash="standing"), Habits(deny="undo")])
def test_what_cannot_be_proved_is_said_with_the_commands_for_a_person(tmp_path: Path, habits: Habits) -> None:
    scene = Scene(tmp_path, habits)
    outcome = scene.run(patience=timedelta(milliseconds=300))
    assert (outcome.result, outcome.exit_code) == (Result.NOT_PROVED, ExitCode.NOT_RESTORED)
    assert outcome.by_hand
    assert outcome.entries[-1].record.type == "halted"
    assert "hunter2" not in repr(outcome)


def test_a_denied_undo_is_tried_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Habits(deny="undo"))
    mend = threading.Timer(0.4, lambda: scene.world.become(Habits()))
    mend.start()
    outcome = scene.run()
    mend.join()
    assert outcome.result is Result.RESTORED
    assert scene.world.as_before()


def test_a_throttled_and_failing_cloud_is_restored(tmp_path: Path) -> None:
    restored = 0
    for number in range(12):
        scene = Scene(tmp_path / str(number), Habits(errors=30))
        outcome = scene.run()
        assert outcome.result in (Result.RESTORED, Result.UNTOUCHED)
        assert scene.world.statements()[0] == BASE
        restored += outcome.result is Result.RESTORED
    assert restored > 1


@pytest.mark.parametrize("lines", [0, 1])
def test_a_disk_that_is_full_before_the_act_keeps_it_from_happening(
    tmp_path: Path, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(monkeypatch, lines)
    scene = Scene(tmp_path)
    outcome = scene.run(crash)
    assert outcome.result is Result.UNTOUCHED
    assert "No space left" in outcome.words
    assert scene.world.as_before()


@pytest.mark.parametrize("lines", [2, 3, 4, 5, 6])
def test_a_disk_that_is_full_after_the_intent_does_not_keep_the_undo_from_happening(
    tmp_path: Path, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(monkeypatch, lines)
    scene = Scene(tmp_path)
    outcome = scene.run()
    assert outcome.result is Result.RESTORED
    assert outcome.troubles
    assert scene.world.as_before()


def fill(monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    real = journals.write_all
    room = [lines]

    def write(descriptor: int, data: bytes) -> None:
        if room[0] == 0:
            os.write(descriptor, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= 1
        real(descriptor, data)

    monkeypatch.setattr(journals, "write_all", write)


def test_whoever_watches_the_records_cannot_stop_the_restore(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    seen: list[str] = []

    def watch(record: object) -> None:
        seen.append(record.type)  # type: ignore[attr-defined]
        raise BrokenPipeError

    assert scene.run(watch=watch).result is Result.RESTORED
    assert seen[0] == "planned"
    assert seen[-1] == "closed"


def test_a_process_that_was_stopped_past_the_deadline_does_not_act(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    shift = [timedelta()]
    io = replace(toy_io(tmp_path), clock=lambda: datetime.now(UTC) + shift[0])

    def watch(record: object) -> None:
        if record.type == "intended":  # type: ignore[attr-defined]
            shift[0] = timedelta(hours=2)

    outcome = scene.run(crash, io=io, watch=watch)
    assert outcome.result is Result.RESTORED
    assert "acted" not in types(outcome)
    assert outcome.reason is Reason.TIMEOUT


def test_a_mechanism_is_only_ever_asked_in_the_order_of_the_protocol(tmp_path: Path) -> None:
    calls: list[str] = []

    class Told(Toy):
        def _call(self, method: str, change: Change) -> World:
            calls.append(method)
            return super()._call(method, change)

    assert issubclass(Told, Mechanism)
    Scene(tmp_path).run(mechanism=Told())
    assert calls[:5] == ["look", "rehearse", "act", "undo", "standing"]
    assert set(calls[5:]) == {"standing"}
