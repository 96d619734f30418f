"""Torture of the real mechanisms on the lab's clouds: drills that die, are interrupted, sleep, or lose the network.

Every trial is a whole drill, `keycheck.drill.runner.run` with a real mechanism and a real SDK client, in a process of
its own; the cloud lives here. Harm comes at one point: at a write of the journal (before, torn, written, synced) or at
a call to the cloud (before it is applied, applied and not answered, just answered). Afterwards the world must be as
before, our control principal and the vendor must read the canary, the journal must be closed, and recovering once more
must neither ask the cloud anything nor change a byte.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from cloud_torture_child import DEADLY, FAILED, LATE, SIGNALS, STDERR, TORN, Harm, Job, Kind, drill, recovery
from cloud_torture_gate import Step, Weather, family, running, send
from cloud_torture_stage import NEVER_ENDS, Scenario, Stand
from drill_torture import UNKNOWN, Trial, aftermath, phase_of

from keycheck.drill.home import Home
from keycheck.drill.journal import read
from keycheck.drill.phases import Phase, State, fold
from keycheck.drill.records import Closed, Closing, Intended
from keycheck.drill.recover import Means
from keycheck.registry import Registry, load_registry

LONGEST = 150.0
"""Seconds that a drill may take, its patience and a sleep included."""
SHORT = timedelta(seconds=5)
"""Until the deadline of a drill that is to miss it."""
SHORTER = timedelta(seconds=8)
"""The same where a dead-man is rehearsed."""
LATER = 0.6
"""Seconds that a call is under way whose drill was killed."""
LOST = 1.5
"""Seconds without network."""


@dataclass
class CloudTorturer:
    """Runs trials in a scratch directory, `jobs` at once."""

    scratch: Path
    jobs: int = 2
    numbers: Iterator[int] = field(default_factory=itertools.count)
    registry: Registry = field(default_factory=load_registry)
    measured: dict[Scenario, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        os.environ["NO_GCE_CHECK"] = "true"
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["cloud_torture_warm"])
        self._stands: dict[str, queue.SimpleQueue[Stand]] = {}
        self._all: list[Stand] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Stop the clouds."""
        for stand in self._all:
            stand.close()

    @contextmanager
    def _stand(self, cloud: str) -> Iterator[Stand]:
        with self._lock:
            if cloud not in self._stands:
                self._stands[cloud] = queue.SimpleQueue()
                for number in range(self.jobs):
                    self._all.append(_stand_of(cloud, self.scratch / f"{cloud}-{number}"))
                    self._stands[cloud].put(self._all[-1])
        stand = self._stands[cloud].get()
        try:
            yield stand
        finally:
            stand.gate.calm()
            self._stands[cloud].put(stand)

    def points(self, scenario: Scenario) -> tuple[int, int]:
        """How many points of the journal, and how many calls, a drill has that nobody harms."""
        plain = replace(scenario, weather=Weather.CALM, lag=timedelta(0), wired=False)
        if plain not in self.measured:
            with self._stand(plain.cloud) as stand:
                trial = _Trial(self, stand, plain, Harm(), guarded=False, seed=0)
                if wrong := trial.run():
                    raise RuntimeError(f"{plain.name}: a drill that nobody harmed: {wrong}")
                self.measured[plain] = (trial.written, trial.called)
        return self.measured[plain]

    def trial(self, scenario: Scenario, harm: Harm, *, guarded: bool, seed: int) -> Trial:
        """One drill, harmed."""
        began = time.monotonic()
        what = f"{scenario.name}; {harm.words}; {'watchdog' if guarded else 'no watchdog'}; seed {seed}"
        points = self.points(scenario)
        with self._stand(scenario.cloud) as stand:
            trial = _Trial(self, stand, scenario, harm, guarded=guarded, seed=seed, expected=points)
            wrong = trial.run()
        return Trial(what, wrong, time.monotonic() - began, trial.landed)

    def trials(self, chosen: list[Callable[[], Trial]]) -> Iterator[Trial]:
        """The results as they come."""
        with ThreadPoolExecutor(self.jobs) as pool:
            yield from pool.map(lambda trial: trial(), chosen)


def _stand_of(cloud: str, home: Path) -> Stand:
    if cloud == "aws":
        from cloud_torture_aws import AwsStand

        return AwsStand(home)
    from cloud_torture_gcp import GcpStand

    return GcpStand(home)


class _Trial:
    """One trial on one stand."""

    def __init__(
        self,
        torturer: CloudTorturer,
        stand: Stand,
        scenario: Scenario,
        harm: Harm,
        *,
        guarded: bool,
        seed: int,
        expected: tuple[int, int] | None = None,
    ) -> None:
        self.torturer, self.stand, self.scenario, self.harm = torturer, stand, scenario, harm
        self.guarded, self.expected = guarded, expected
        self.chance = random.Random(seed)
        self.seed = seed
        self.drill = f"d{next(torturer.numbers)}"
        self.place = torturer.scratch / self.drill
        self.home = Home(self.place / "state" / "keycheck" / "drills")
        self.directory = self.home.root / self.drill
        self.born = threading.Event()
        self.pid = 0
        self.done = False
        self.struck = threading.Event()
        self.wrong_while_stopped = ""
        self.arrives = 0.0
        self.written = self.called = 0
        self.landed = False

    def run(self) -> str:
        """What is wrong; nothing, one hopes."""
        self.place.mkdir()
        self.home.root.parent.mkdir(parents=True)
        late = self.harm.kind in LATE
        short = SHORTER if self.scenario.kind in NEVER_ENDS else SHORT
        self.deadline = datetime.now(UTC) + (short if late else timedelta(minutes=5))
        self.stage = self.stand.stage(self.scenario, self.drill, self.deadline)
        lag = self.scenario.lag
        settle = timedelta(seconds=1.5 * LATER if self.harm.kind is Kind.KILL_LATE else 0.02)
        brief = self.scenario.weather is Weather.SESSIONS
        job = Job(
            self.stage.change, self.stage.kit, self.home.root, self.place / "points", self.harm,
            hold=(2.5 if brief else 0.02) + lag.total_seconds() / 3, settle=settle + 1.3 * lag, guarded=self.guarded,
            brief=brief,
        )  # fmt: skip
        # Not from the first call on, or most drills would never come to their act.
        start = 0 if self.expected is None else self.chance.randrange(self.expected[1])
        self.stand.gate.arm(self._strike, self.scenario.weather, self.seed, start)
        child = self.torturer.context.Process(target=drill, args=(job,))
        child.start()
        self.pid = child.pid or 0
        self.born.set()
        child.join(LONGEST)
        self.done = True
        self.called = self.stand.gate.disarm()
        if child.is_alive():
            child.kill()
            return f"the drill did not end within {LONGEST:.0f} s"
        self.landed = self.struck.is_set() or child.exitcode == -signal.SIGKILL
        with suppress(FileNotFoundError):
            self.written = int((self.place / "points").read_text())
            self.landed |= self.harm.step is None and self.written > self.harm.number
        ended_by_signal = child.exitcode in (-signal.SIGINT, -signal.SIGTERM)
        self.landed &= not ended_by_signal  # its handlers were not there yet, or not any more
        wrong = self._judged(child.exitcode) or self._alone()
        if not wrong:
            shutil.rmtree(self.place, ignore_errors=True)
        return wrong

    def _strike(self, number: int, step: Step) -> bool:
        """Called by the cloud in the middle of a call."""
        if self.done or self.struck.is_set() or (number, step) != (self.harm.number, self.harm.step):
            return False
        self.struck.set()
        self.born.wait(30)
        kind = self.harm.kind
        match kind:
            case Kind.NETWORK:
                self.stand.cut(LOST)
            case Kind.SESSION:
                self.stage.end_session()
            case Kind.SLEEP:
                self._stop(family(self.pid), 0.5)
            case Kind.STUCK:
                self._stop([self.pid], 8.0 if self.guarded else 0.5)
            case Kind.KILL_LATE:
                self.arrives = time.monotonic() + LATER + 0.3
                self._send()
                time.sleep(LATER)
                return False
            case _ if step is Step.ANSWERED:
                _later(self.chance.uniform(0.0, 0.003), self._send)
            case _:
                self._send()
        return kind in DEADLY and step is not Step.ANSWERED

    def _send(self) -> None:
        first, *rest = SIGNALS.get(self.harm.kind, (signal.SIGCONT,))
        if not self.done:
            send([self.pid], first)
        for number in rest:
            time.sleep(0.01)
            if not self.done:
                send([self.pid], number)

    def _stop(self, pids: list[int], after: float) -> None:
        send(pids, signal.SIGSTOP)
        seconds = (self.deadline - datetime.now(UTC)).total_seconds() + after

        def go_on() -> None:
            # Of a drill that has begun to undo, the watchdog thinks for as long as its patience that it goes on.
            if self.harm.kind is Kind.STUCK and self.guarded and self._owes_an_undo():
                self.wrong_while_stopped = self._blind(4.0) or self.stage.differs()
            send(pids, signal.SIGCONT)

        _later(max(0.1, seconds), go_on)

    def _alone(self) -> str:
        """No watchdog is left: one that had read the plan would restore without a journal when that is taken away, and
        its calls would be counted as the next drill's."""
        end = time.monotonic() + LONGEST
        while self.guarded and running("keycheck.drill.watchdog", str(self.home.root.resolve())):
            if time.monotonic() > end:
                return "the watchdog does not end"
            time.sleep(0.05)
        return ""

    def _owes_an_undo(self) -> bool:
        state = fold(entry.record for entry in read(self.directory)) if self.directory.exists() else State()
        return state.phase is Phase.OWED and not state.undoing

    def _judged(self, code: int | None) -> str:
        kind = self.harm.kind
        if kind in DEADLY:
            if code not in (-signal.SIGKILL, 0, UNKNOWN):
                return f"the drill ended with {code}" + self._last_words()
            if kind is Kind.KILL_TWICE and not self.guarded:
                self._dying_recovery()
            elif not self.guarded and self.seed % 10 == 0 and (wrong := self._by_command()):
                return wrong
        else:
            if code == FAILED:
                return "the drill could not prove that it restored" + self._last_words()
            if (phase := phase_of(self.directory)) not in (Phase.CLOSED, Phase.UNPLANNED):
                return f"the drill left itself {phase.value}, and ended with {code}" + self._last_words()
            # A signal that comes when the drill is over, and its handlers are gone, ends the process as it likes.
            if code not in (0, UNKNOWN, *(-number for number in SIGNALS.get(kind, ()))):
                return f"the drill ended with {code} after {self.called} calls" + self._last_words()
            if self.wrong_while_stopped:
                return f"while the drill was stopped, its watchdog did not restore: {self.wrong_while_stopped}"
        means = Means(self.torturer.registry, {}, load=self.stand.load)
        return aftermath(
            self.home,
            means,
            guarded=self.guarded,
            wrong=self._wrong,
            writes=lambda: self.stand.gate.total,
            drill=self.drill,
        )

    def _wrong(self) -> str:
        if self.harm.kind is Kind.KILL_LATE:
            time.sleep(max(0.0, self.arrives - time.monotonic()))
        if differs := self.stage.differs():
            return f"the world is not as before: {differs}" + self._last_words()
        # Disarming is tried a few times and told, not insisted on; and what arrives late may arm it again.
        told = self.scenario.weather is Weather.CALM and self.harm.kind not in (Kind.NETWORK, Kind.KILL_LATE)
        if told and (left := self.stage.left()):
            return f"a dead-man still stands: {left}" + self._last_words()
        if blind := self._blind(self.scenario.lag.total_seconds() + 2.0):
            return f"the canary is not read: {blind}" + self._last_words()
        entries = read(self.directory) if self.directory.exists() else ()
        if not entries:
            return ""
        last = entries[-1].record
        owed = any(isinstance(entry.record, Intended) for entry in entries)
        wanted = (Closing.RESTORED,) if owed else (Closing.RESTORED, Closing.UNTOUCHED)
        if not isinstance(last, Closed) or last.outcome not in wanted:
            return f"the journal ends with {last}"
        return ""

    def _blind(self, seconds: float) -> str:
        end = time.monotonic() + seconds
        while (blind := self.stage.blind()) and time.monotonic() < end:
            time.sleep(0.1)
        return blind

    def _last_words(self) -> str:
        entries = read(self.directory) if self.directory.exists() else ()
        said = (self.place / STDERR).read_text(errors="replace")[-1500:] if (self.place / STDERR).exists() else ""
        records = " | ".join(f"{entry.record.type} {getattr(entry.record, 'words', '')}" for entry in entries[-8:])
        return f"; {'harmed' if self.struck.is_set() else 'not harmed'}; journal: {records}; stderr: {said}"

    def _dying_recovery(self) -> None:
        """A recovery that is killed at one of its own calls."""
        fatal, step = self.chance.randrange(10), self.chance.choice(tuple(Step))
        victim = self.torturer.context.Process(target=recovery, args=(self.home.root, self.place))
        ready = threading.Event()

        def strike(number: int, at: Step) -> bool:
            if (number, at) != (fatal, step):
                return False
            ready.wait(30)
            send([victim.pid or 0], signal.SIGKILL)
            return at is not Step.ANSWERED

        self.stand.gate.arm(strike, self.scenario.weather, self.seed + 1)
        victim.start()
        ready.set()
        victim.join(LONGEST)
        self.stand.gate.disarm()

    def _by_command(self) -> str:
        """As a person recovers: the command, in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "keycheck", "drill", "recover"],
            env={**os.environ, "XDG_STATE_HOME": str(self.place / "state"), "NO_GCE_CHECK": "true"},
            capture_output=True, text=True, timeout=LONGEST, check=False,
        )  # fmt: skip
        return "" if done.returncode == 0 else f"`keycheck drill recover` ended with {done.returncode}: {done.stdout}"


def _later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


def every_harm(points: tuple[int, int], kind: Kind, chance: random.Random, *, every: int = 1) -> list[Harm]:
    """Each `every`-th place at which a harm can come."""
    written, called = points
    calls = [Harm(kind, number, step) for number in range(called) for step in Step]
    if kind in (Kind.NETWORK, Kind.SESSION, Kind.KILL_LATE, *LATE):  # the cloud does it
        calls = [harm for harm in calls if harm.step is Step.ASKED or (kind in LATE and harm.step is Step.APPLIED)]
        return calls[chance.randrange(min(every, len(calls))) :: every]
    lines = [Harm(kind, number) for number in range(written) if kind in DEADLY or number % 4 != TORN]
    if kind in (Kind.AHEAD, Kind.BACK):
        calls = []
    both = lines + calls
    return both[chance.randrange(min(every, len(both))) :: every]


LAG = timedelta(seconds=1)
Plan = tuple[Scenario, list[tuple[Harm, bool]]]


def whole(torturer: CloudTorturer, kinds: tuple[str, ...], seed: int, *, thin: int = 1) -> list[Plan]:
    """Everything that `make torture` tries, scenario by scenario; `thin` leaves all but every so many-th out."""
    chance = random.Random(seed)
    plans: list[Plan] = []

    def add(scenario: Scenario, *wanted: tuple[Kind, bool, int]) -> None:
        points = torturer.points(scenario)
        harms = [
            (harm, guarded)
            for kind, guarded, every in wanted
            for harm in every_harm(points, kind, chance, every=every * thin)
        ]
        plans.append((scenario, harms))

    for kind in kinds:
        calm = Scenario(kind)
        add(
            calm,
            (Kind.KILL, False, 1), (Kind.KILL, True, 1), (Kind.KILL_TWICE, False, 4), (Kind.KILL_LATE, False, 2),
            (Kind.KILL_LATE, True, 6), (Kind.INTERRUPT, False, 6), (Kind.TERMINATE, False, 6),
            (Kind.INTERRUPT_TWICE, False, 3), (Kind.INTERRUPT_TWICE, True, 12), (Kind.SESSION, False, 2),
            (Kind.SLEEP, True, 8), (Kind.SLEEP, False, 16), (Kind.STUCK, True, 8), (Kind.AHEAD, False, 4),
            (Kind.BACK, False, 4),
        )  # fmt: skip
        add(replace(calm, lag=LAG), (Kind.KILL, False, 1), (Kind.KILL, True, 1), (Kind.INTERRUPT_TWICE, False, 8))
        for weather in (Weather.BURSTS, Weather.ERRORS, Weather.SESSIONS):
            bad = replace(calm, weather=weather)
            add(bad, (Kind.KILL, False, 4), (Kind.KILL, True, 10), (Kind.INTERRUPT, False, 12))
        add(replace(calm, wired=True), (Kind.NETWORK, False, 2), (Kind.NETWORK, True, 6))
        if kind in ("aws-deny", "aws-disable", "aws-delete-material"):
            add(replace(calm, regions=2), (Kind.KILL, False, 3), (Kind.KILL, True, 12))
    return plans


def torture(torturer: CloudTorturer, plans: list[Plan], seed: int) -> Iterator[tuple[Scenario, Trial]]:
    """All trials of the plans, in their order of scenarios."""
    for scenario, harms in plans:
        numbers = range(seed, seed + len(harms))
        chosen = [
            partial(torturer.trial, scenario, harm, guarded=guarded, seed=number)
            for (harm, guarded), number in zip(harms, numbers, strict=True)
        ]
        for trial in torturer.trials(chosen):  # type: ignore[arg-type]
            yield scenario, trial
