"""Torture of the drill engine: drills that die everywhere, and what is found afterwards.

Every trial runs a whole drill in a process of its own that is killed (SIGKILL) at one point: before, inside and after
every write of the journal, before and after every call of the mechanism and every write to its world, or at any line of
the engine; or that gets SIGINT or SIGTERM, twice, at a random moment. Afterwards the watchdog or a recovery must
have put the world back, and recovering again must change nothing.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Protocol

import toy_mechanism
from toy_mechanism import Habits, Toy, World, fingerprint, install, toy_change, toy_io, toy_kit, toy_registry

from keycheck.drill import journal as journals
from keycheck.drill.home import Home
from keycheck.drill.journal import is_locked, read
from keycheck.drill.kit import Kit
from keycheck.drill.phases import Phase, fold
from keycheck.drill.recover import Means, Recovered, recover_all
from keycheck.drill.runner import Result, run
from keycheck.model.drill import Change, Mechanism
from keycheck.model.probe import Io
from keycheck.registry import Registry

DRILL = "d1"
FAILED = 9
UNKNOWN = 255
"""What multiprocessing says of a child whose end its fork server missed; what is left behind tells all the same."""


class Scenario(Protocol):
    """A world to torture. Picklable; `begin` is called in the process that dies, everything else outside."""

    name: str
    settle: timedelta
    patience: timedelta
    hold: float

    def new(self, place: Path) -> None:
        """A world as it is before any drill."""

    def begin(self, place: Path, point: Callable[[str], None]) -> tuple[Change, Mechanism, Io, Kit]:
        """What to drill; `point` is to be called between any two calls to the cloud."""

    def registry(self) -> Registry:
        """What a recovery finds the mechanism in."""

    def as_before(self, place: Path) -> bool:
        """Whether the world is as before."""

    def writes(self, place: Path) -> int:
        """How often the world was written."""


@dataclass(frozen=True)
class ToyScenario:
    """The toy cloud."""

    name: str = "toy"
    habits: Habits = field(default_factory=Habits)
    settle: timedelta = timedelta(milliseconds=20)
    patience: timedelta = timedelta(seconds=20)
    hold: float = 0.02

    def new(self, place: Path) -> None:
        World.new(place / "world.json", self.habits)

    def begin(self, place: Path, point: Callable[[str], None]) -> tuple[Change, Mechanism, Io, Kit]:
        toy_mechanism.POINT.append(point)
        return toy_change(World(place / "world.json"), DRILL), Toy(), toy_io(place), toy_kit(place)

    def registry(self) -> Registry:
        return toy_registry()

    def as_before(self, place: Path) -> bool:
        return World(place / "world.json").as_before()

    def writes(self, place: Path) -> int:
        return World(place / "world.json").writes()


@dataclass(frozen=True)
class Death:
    """Where a trial dies: at the point or line of this number; nowhere when below 0."""

    number: int = -1
    lines: bool = False


class _Killer:
    """Counts points and dies at one."""

    def __init__(self, death: Death, tally: Path) -> None:
        self.death, self.tally, self.count = death, tally, 0

    def __call__(self, name: str) -> None:
        if not self.death.lines:
            self.hit()

    def hit(self) -> None:
        if self.count == self.death.number:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def arm(self) -> None:
        write, sync = journals.write_all, journals.sync

        def torn_write(descriptor: int, data: bytes) -> None:
            self("journal:before")
            if not self.death.lines and self.count == self.death.number:
                write(descriptor, data[: len(data) // 2])
            self("journal:torn")
            write(descriptor, data)
            self("journal:written")

        def counted_sync(descriptor: int) -> None:
            sync(descriptor)
            self("journal:synced")

        journals.write_all, journals.sync = torn_write, counted_sync  # type: ignore[assignment]
        if self.death.lines:
            sys.settrace(self.trace)

    def trace(self, frame: FrameType, event: str, argument: object) -> Callable[..., object] | None:
        if f"keycheck{os.sep}drill" not in frame.f_code.co_filename:
            return None
        if event == "line":
            self.hit()
        return self.trace


def _drill(scenario: Scenario, place: Path, death: Death, guarded: bool, site: str) -> None:
    """The process that dies."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.environ["PYTHONPATH"] = site
    killer = _Killer(death, place / "points")
    change, mechanism, io, kit = scenario.begin(place, killer)
    killer.arm()
    outcome = run(
        change, mechanism, io, Home(place / "drills"), kit,
        during=lambda held: held.wait(scenario.hold) and None,
        settle=scenario.settle, patience=scenario.patience, stop=threading.Event(), guarded=guarded,
    )  # fmt: skip
    sys.settrace(None)
    killer.tally.write_text(str(killer.count))
    os._exit(FAILED if outcome.result is Result.NOT_PROVED else 0)


@dataclass(frozen=True)
class Trial:
    """One drill that was tortured, and what is wrong afterwards (nothing, one hopes)."""

    what: str
    wrong: str
    seconds: float
    landed: bool = True
    """The harm came; a drill may end before its turn."""


@dataclass
class Torturer:
    """Runs trials in a scratch directory."""

    scratch: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.site = self.scratch / "site"
        install(self.site)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["drill_torture"])

    def _start(
        self, scenario: Scenario, death: Death, guarded: bool
    ) -> tuple[Path, multiprocessing.process.BaseProcess]:
        place = self.scratch / str(next(self.numbers))
        place.mkdir()
        scenario.new(place)
        child = self.context.Process(target=_drill, args=(scenario, place, death, guarded, str(self.site)))
        child.start()
        return place, child

    def points(self, scenario: Scenario, *, lines: bool = False) -> int:
        """How many points (or lines) a drill that nobody kills passes."""
        place, child = self._start(scenario, Death(lines=lines), guarded=False)
        child.join(60)
        if child.exitcode != 0:
            raise RuntimeError(f"a drill that nobody killed ended with {child.exitcode}")
        return int((place / "points").read_text())

    def seconds(self, scenario: Scenario) -> float:
        """How long a drill that nobody kills takes, its process included."""
        began = time.monotonic()
        self.points(scenario)
        return time.monotonic() - began

    def killed(self, scenario: Scenario, death: Death, *, guarded: bool) -> Trial:
        """A drill that dies at a point."""
        began = time.monotonic()
        place, child = self._start(scenario, death, guarded)
        child.join(60)
        kind = "line" if death.lines else "point"
        what = f"{scenario.name}, {kind} {death.number}, {'watchdog' if guarded else 'no watchdog'}"
        expected = (-signal.SIGKILL, 0, UNKNOWN)
        wrong = "" if child.exitcode in expected else f"ended with {child.exitcode}"
        wrong = wrong or self._aftermath(scenario, place, guarded)
        return self._done(place, Trial(what, wrong, time.monotonic() - began))

    def interrupted(self, scenario: Scenario, after: float, number: int, *, guarded: bool) -> Trial:
        """A drill that gets a signal after some seconds, and again at once: it must restore everything itself."""
        began = time.monotonic()
        place, child = self._start(scenario, Death(), guarded)
        time.sleep(after)
        for pause in (0.005, 0.02):
            if child.is_alive() and child.pid:
                with suppress(ProcessLookupError):  # it ended just now
                    os.kill(child.pid, number)
            time.sleep(pause)
        child.join(60)
        what = f"{scenario.name}, {signal.Signals(number).name} twice after {after * 1000:.0f} ms"
        phase = phase_of(place / "drills" / DRILL)
        wrong = "" if phase in (Phase.CLOSED, Phase.UNPLANNED) else f"left the drill {phase.value}"
        wrong = wrong or ("" if scenario.as_before(place) else "the world is not as before")
        return self._done(
            place, Trial(what, wrong or self._aftermath(scenario, place, guarded), time.monotonic() - began)
        )

    def _aftermath(self, scenario: Scenario, place: Path, guarded: bool) -> str:
        def wrong() -> str:
            return "" if scenario.as_before(place) else "the world is not as before"

        return aftermath(
            Home(place / "drills"),
            Means(scenario.registry(), {}),
            guarded=guarded,
            wrong=wrong,
            writes=lambda: scenario.writes(place),
        )

    def _done(self, place: Path, trial: Trial) -> Trial:
        if not trial.wrong:
            shutil.rmtree(place, ignore_errors=True)
        return trial


def aftermath(
    home: Home, means: Means, *, guarded: bool, wrong: Callable[[], str], writes: Callable[[], int], drill: str = DRILL
) -> str:
    """What is wrong after a drill that is over, and once everything was recovered that could be; nothing, one hopes.

    `guarded`: a watchdog must have done it alone. `wrong`: how the world differs from before. `writes`: a number that
    changes when somebody touches it.
    """
    directory = home.root / drill
    if guarded:
        end = time.monotonic() + 60
        while not _over(directory) and time.monotonic() < end:
            time.sleep(0.02)
        # Before its intent a drill may die before it has a watchdog; from then on the watchdog must do it alone.
        if phase_of(directory) in (Phase.OWED, Phase.STOPPED):
            return "the watchdog did not restore"
    first = recover_all(home, means)
    end = time.monotonic() + 30
    while any(each.result is Recovered.BUSY for each in first) and time.monotonic() < end:
        time.sleep(0.05)  # the watchdog of a drill that had not written its intent is tidying up
        first = recover_all(home, means)
    if any(each.result in (Recovered.NOT_PROVED, Recovered.BUSY) for each in first):
        return f"not recovered: {first}"
    if words := wrong():
        return words
    seen, before = fingerprint(directory), writes()
    second = recover_all(home, means)
    if fingerprint(directory) != seen or writes() != before:
        return "recovering twice changed something"
    if any(each.result is not Recovered.UNTOUCHED or (directory / journals.JOURNAL).exists() for each in second):
        return f"a second recovery found something to do: {second}"
    return ""


def phase_of(directory: Path) -> Phase:
    """What the journal asks for; a drill that has none asks for nothing."""
    try:
        return fold(entry.record for entry in read(directory)).phase if directory.exists() else Phase.UNPLANNED
    except FileNotFoundError:
        return Phase.UNPLANNED


def _over(directory: Path) -> bool:
    """Nobody writes any more, and nothing more is to be written by a watchdog."""
    if not directory.exists():
        return True
    if is_locked(directory):
        return False
    return phase_of(directory) not in (Phase.OWED, Phase.STOPPED)


def torture(
    torturer: Torturer,
    scenarios: list[Scenario],
    *,
    every: int = 1,
    lines: int = 0,
    signals: int = 0,
    watchdogs: tuple[bool, ...] = (False, True),
    seed: int = 1,
    jobs: int = 2,
) -> Iterator[Trial]:
    """Trials, `jobs` at once: each `every`th point, `lines` lines and `signals` moments a scenario."""
    chance = random.Random(seed)
    trials: list[Callable[[], Trial]] = []
    for scenario in scenarios:
        points = torturer.points(scenario)
        for guarded in watchdogs:
            first = chance.randrange(every)
            deaths = [Death(number) for number in range(first, points, every)]
            trials += [partial(torturer.killed, scenario, death, guarded=guarded) for death in deaths]
        if lines:
            total = torturer.points(scenario, lines=True)
            chosen = sorted(chance.sample(range(total), min(lines, total)))
            deaths = [Death(number, lines=True) for number in chosen]
            trials += [partial(torturer.killed, scenario, death, guarded=False) for death in deaths]
        whole = torturer.seconds(scenario) if signals else 0.0
        for _ in range(signals):
            after, number = chance.uniform(0.0, whole), chance.choice((signal.SIGINT, signal.SIGTERM))
            trials.append(partial(torturer.interrupted, scenario, after, number, guarded=False))
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda trial: trial(), trials)
