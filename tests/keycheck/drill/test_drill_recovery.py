"""Recovery and the watchdog: what a dead drill leaves is put back, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from drill_torture import Death, Torturer, ToyScenario, torture
from toy_mechanism import (
    BASE,
    Habits,
    Toy,
    World,
    fingerprint,
    install,
    toy_change,
    toy_io,
    toy_kit,
    toy_registry,
)

from keycheck.drill.held import Ending, Held
from keycheck.drill.home import Home
from keycheck.drill.journal import read
from keycheck.drill.phases import Phase, fold
from keycheck.drill.records import Halt, Halted, Intended, Planned, UndoIntended
from keycheck.drill.recover import Means, Recovered, dismiss, recover, recover_all, tools_for
from keycheck.drill.runner import Result, run
from keycheck.drill.status import status
from keycheck.drill.watchdog import Watch
from keycheck.model.drill import Change, Mechanism
from keycheck.model.probe import Io
from keycheck.model.types import CanonicalJson
from keycheck.model.verdict import ExitCode
from keycheck.registry import Registry


def now() -> datetime:
    return datetime.now(UTC)


def means(registry: Registry | None = None) -> Means:
    return Means(registry or toy_registry(), {})


def dead(
    tmp_path: Path, habits: Habits | None = None, *, acted: bool = True, seconds: float = 60
) -> tuple[Home, World]:
    """A drill that died right after its act."""
    world = World.new(tmp_path / "world.json", habits)
    home = Home(tmp_path / "drills")
    journal = home.open("d1", toy_kit(tmp_path), now)
    change, io = toy_change(world, seconds=seconds), toy_io(tmp_path)
    before = Toy().look(change, io)
    journal.append(Planned(change=change, before=before, settle_ms=10, patience_ms=1500))
    journal.append(Intended())
    if acted:
        world.write(lambda statements: [*statements, "deny-d1"])
    journal.close()
    return home, world


@pytest.mark.parametrize("acted", [True, False])
def test_recovering_restores_and_doing_it_twice_changes_nothing(tmp_path: Path, acted: bool) -> None:
    home, world = dead(tmp_path, Habits(lag_ms=100), acted=acted)
    assert status(home, now)[0].by_hand
    (first,) = recover_all(home, means())
    assert (first.result, first.exit_code) == (Recovered.RESTORED, ExitCode.MET)
    assert world.as_before()
    seen, writes = fingerprint(home.root / "d1"), world.writes()
    assert recover_all(home, means()) == ()
    assert recover(home, "d1", means()).result is Recovered.NOTHING_TO_DO
    assert (fingerprint(home.root / "d1"), world.writes()) == (seen, writes)
    (told,) = status(home, now)
    assert (told.phase, told.by_hand) == (Phase.CLOSED, ())


def test_a_drill_that_is_overdue_says_so(tmp_path: Path) -> None:
    home, _ = dead(tmp_path, seconds=-5)
    (told,) = status(home, now)
    assert (told.phase, told.overdue, told.running, told.kind) == (Phase.OWED, True, False, "toy")


def test_one_that_cannot_be_recovered_keeps_no_other_from_it(tmp_path: Path) -> None:
    home, world = dead(tmp_path)
    broken = home.root / "a0"
    broken.mkdir()
    (broken / "journal.jsonl").write_bytes(b"?\n")
    results = {each.drill: each for each in recover_all(home, means())}
    assert results["a0"].exit_code is ExitCode.NOT_RESTORED
    assert results["d1"].result is Recovered.RESTORED
    assert world.as_before()


def test_a_missing_or_broken_mechanism_is_not_proved_and_says_what_to_do_by_hand(tmp_path: Path) -> None:
    home, world = dead(tmp_path)
    recovery = recover(home, "d1", means(Registry({})))
    assert recovery.result is Recovered.NOT_PROVED
    assert recovery.by_hand
    assert "toy" in recovery.words
    (home.root / "d1" / "kit.json").write_text("{")
    assert recover(home, "d1", means()).result is Recovered.NOT_PROVED
    assert not world.as_before()


def test_a_foreign_change_needs_a_person_and_is_looked_at_again(tmp_path: Path) -> None:
    home, world = dead(tmp_path)
    world.write(lambda statements: [*statements, "somebody-else"])
    assert recover(home, "d1", means()).result is Recovered.NOT_PROVED
    assert world.statements()[0] == [*BASE, "somebody-else"]
    writes = world.writes()
    assert recover(home, "d1", means()).result is Recovered.NOT_PROVED
    assert world.writes() == writes
    world.write(lambda statements: [each for each in statements if each != "somebody-else"])
    assert recover(home, "d1", means()).result is Recovered.RESTORED


def test_a_stop_for_a_foreign_change_is_not_undone_over_it(tmp_path: Path) -> None:
    home, world = dead(tmp_path)
    journal = home.existing("d1", now, read(home.root / "d1")[0].by)
    journal.append(Halted(why=Halt.FOREIGN, words="x"))
    journal.close()
    world.write(lambda statements: [each for each in statements if each != "deny-d1"] + ["somebody-else"])
    writes = world.writes()
    assert recover(home, "d1", means()).result is Recovered.NOT_PROVED
    assert world.writes() == writes
    dismiss(home, "d1", "the new statement is meant", now)
    assert recover(home, "d1", means()).result is Recovered.NOTHING_TO_DO
    assert status(home, now)[0].words == "the new statement is meant"


def test_a_running_drill_is_left_alone(tmp_path: Path) -> None:
    world = World.new(tmp_path / "world.json")
    home = Home(tmp_path / "drills")
    seen = []

    def during(held: Held) -> None:
        seen.append(recover(home, "d1", means()))
        seen.append(status(home, now)[0].running)

    run(
        toy_change(world), Toy(), toy_io(tmp_path), home, toy_kit(tmp_path),
        during=during, settle=timedelta(), stop=threading.Event(), guarded=False,
    )  # fmt: skip
    assert seen[0].result is Recovered.BUSY
    assert seen[0].exit_code is ExitCode.LOCKED
    assert seen[1] is True


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    return tmp_path


def test_a_guarded_drill_ends_with_its_watchdog_at_once(site: Path) -> None:
    world = World.new(site / "world.json")
    home = Home(site / "drills")
    began = time.monotonic()
    outcome = run(
        toy_change(world), Toy(), toy_io(site), home, toy_kit(site),
        during=lambda held: None, settle=timedelta(), stop=threading.Event(),
    )  # fmt: skip
    assert outcome.result is Result.RESTORED
    assert time.monotonic() - began < 10
    assert not (home.root / "d1" / "watchdog.log").exists()


def test_without_a_working_watchdog_nothing_is_taken_away(tmp_path: Path) -> None:
    world = World.new(tmp_path / "world.json")
    outcome = run(
        toy_change(world), Toy(), toy_io(tmp_path), Home(tmp_path / "drills"), toy_kit(tmp_path),
        during=lambda held: None, settle=timedelta(), stop=threading.Event(),
    )  # fmt: skip
    assert outcome.result is Result.UNTOUCHED
    assert "no installed package has the mechanism toy" in outcome.words
    assert world.as_before()


def test_a_watchdog_that_dies_ends_the_drill(site: Path) -> None:
    world = World.new(site / "world.json")

    def during(held: Held) -> None:
        listing = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=True
        ).stdout
        (line,) = [line for line in listing.splitlines() if "keycheck.drill.watchdog" in line]
        os.kill(int(line.split()[0]), signal.SIGKILL)
        assert held.wait(30) is Ending.UNGUARDED

    outcome = run(
        toy_change(world), Toy(), toy_io(site), Home(site / "drills"), toy_kit(site),
        during=during, settle=timedelta(), stop=threading.Event(),
    )  # fmt: skip
    assert (outcome.result, outcome.ending) == (Result.RESTORED, Ending.UNGUARDED)


def watch(home: Home, gone: threading.Event) -> Watch:
    plan = fold(entry.record for entry in read(home.root / "d1")).plan
    assert plan is not None
    tools = tools_for(plan, home.root / "d1", means())
    said: list[str] = []
    return Watch(home.root / "d1", plan, tools, means(), gone.wait, said.append, grace=0.1)


def test_at_the_deadline_a_stuck_runner_is_undone_beside_it(tmp_path: Path) -> None:
    home, world = dead(tmp_path, Habits(lag_ms=50), seconds=0.2)
    stuck = home.existing("d1", now, read(home.root / "d1")[0].by)  # holds the lock and does nothing
    lines = len(stuck.entries)
    gone = threading.Event()
    thread = threading.Thread(target=watch(home, gone).until_closed)
    thread.start()
    end = time.monotonic() + 10
    while not world.as_before() and time.monotonic() < end:
        time.sleep(0.02)
    assert world.as_before()
    assert len(read(home.root / "d1")) == lines
    stuck.close()
    gone.set()
    thread.join(10)
    assert fold(entry.record for entry in read(home.root / "d1")).phase is Phase.CLOSED


def test_a_runner_that_is_restoring_at_the_deadline_is_not_disturbed(tmp_path: Path) -> None:
    home, world = dead(tmp_path, seconds=0.1)
    busy = home.existing("d1", now, read(home.root / "d1")[0].by)
    busy.append(UndoIntended())
    gone = threading.Event()
    thread = threading.Thread(target=watch(home, gone).until_closed)
    thread.start()
    writes = world.writes()
    time.sleep(0.8)
    assert world.writes() == writes
    busy.close()
    gone.set()
    thread.join(10)
    assert world.as_before()


def test_a_journal_that_breaks_does_not_keep_the_watchdog_from_restoring(tmp_path: Path) -> None:
    home, world = dead(tmp_path)
    gone = threading.Event()
    mine = watch(home, gone)
    (home.root / "d1" / "journal.jsonl").write_bytes(b"?\n")
    gone.set()
    mine.until_closed()
    assert world.as_before()


@pytest.mark.slow
def test_a_runner_that_is_suspended_past_its_deadline_is_undone_by_the_watchdog(site: Path) -> None:
    world = World.new(site / "world.json")
    script = textwrap.dedent(
        f"""
        import sys, threading
        from datetime import timedelta
        from pathlib import Path
        from toy_mechanism import *
        from keycheck.drill.home import Home
        from keycheck.drill.runner import run
        place = Path({str(site)!r})
        world = World(place / "world.json")
        outcome = run(
            toy_change(world, seconds=2.5), Toy(), toy_io(place), Home(place / "drills"), toy_kit(place),
            during=lambda held: print("held", flush=True) or held.wait(60),
            settle=timedelta(), stop=threading.Event(),
        )
        print(outcome.result.value, outcome.ending.value, flush=True)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        child.send_signal(signal.SIGSTOP)
        assert not world.as_before()
        end = time.monotonic() + 20
        while not world.as_before() and time.monotonic() < end:
            time.sleep(0.1)
        assert world.as_before()
        child.send_signal(signal.SIGCONT)
        assert child.stdout.read() == "restored deadline\n"
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


class Forgetful(Toy):
    """Undoes nothing and says that all is well: what the torture must notice."""

    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        self._call("undo", change)


class ForgetfulScenario(ToyScenario):
    def registry(self) -> Registry:
        return toy_registry(Forgetful)

    def begin(self, place: Path, point: object) -> tuple[Change, Mechanism, Io, object]:  # type: ignore[override]
        change, _, io, kit = super().begin(place, point)  # type: ignore[arg-type]
        return change.model_copy(), Toy(), io, kit


@pytest.mark.slow
def test_the_torture_notices_a_recovery_that_does_not_recover(tmp_path: Path) -> None:
    torturer = Torturer(tmp_path)
    scenario = ForgetfulScenario(patience=timedelta(milliseconds=200))
    points = torturer.points(ToyScenario())
    wrong = [torturer.killed(scenario, Death(n), guarded=False).wrong for n in (1, points // 2)]
    assert wrong[0] == ""
    assert "not recovered" in wrong[1]


@pytest.mark.slow
def test_torture_short(tmp_path: Path) -> None:
    """A sample; the whole of it is `make torture`."""
    torturer = Torturer(tmp_path)
    scenarios = [ToyScenario(), ToyScenario("toy with lag", Habits(lag_ms=80, rewrites=True))]
    trials = list(torture(torturer, scenarios, every=6, lines=4, signals=2, watchdogs=(False,)))
    trials += torture(torturer, scenarios[:1], every=15, watchdogs=(True,), seed=2)
    assert [trial for trial in trials if trial.wrong] == []
    assert len(trials) > 20
