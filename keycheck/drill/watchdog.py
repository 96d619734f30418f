"""The watchdog: a process of its own that puts a drill's change back when the drill cannot.

    python -m keycheck.drill.watchdog HOME DRILL

Started by the runner before the intent is written, in a session of its own, so that neither Ctrl-C nor a closed
terminal reaches it. It needs the state directory alone. Its standard input is a pipe whose other end only the
runner holds: when that ends, the runner has died or is through, and the watchdog takes the writer's lock and does what
the journal still asks for. When the deadline passes (by the wall clock, looked at after every wait, so also after the
machine slept) and the runner lives but has not begun to undo, it is stuck: the undo is then issued without the lock
and without a line in the journal, which still has one writer; an undo may be issued any number of times.
"""

from __future__ import annotations

import hashlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from keycheck.boundary import Crash, guarded
from keycheck.drill.home import Home
from keycheck.drill.journal import Journal, JournalBusyError, read
from keycheck.drill.phases import Phase, State, fold
from keycheck.drill.records import Planned, Writer
from keycheck.drill.recover import Means, drive, tools_for
from keycheck.drill.restore import Book, Restored, Tools, restore
from keycheck.environment import neutralise_openssl_conf
from keycheck.errors import KeycheckError
from keycheck.model.types import format_instant, vendor_text
from keycheck.registry import load_registry

READY: Final = b"ready\n"
LOG: Final = "watchdog.log"
MAX_LOG: Final = 256 * 1024
TICK: Final = 0.25
GRACE_S: Final = 5.0
"""What a runner has to begin its undo once the deadline has passed."""
PATIENCE: Final = 4
"""Times the runner's: who is left alone tries longer."""


@dataclass(slots=True)
class Watch:
    """One drill that is watched."""

    directory: Path
    plan: Planned
    tools: Tools
    means: Means
    gone: Callable[[float], bool]
    """Waits at most so many seconds for the runner's end; true when it has come."""
    say: Callable[[str], None]
    grace: float = GRACE_S
    _late_since: float | None = None
    _over: float = field(init=False)

    def __post_init__(self) -> None:
        left = (self.plan.change.deadline - self.means.clock()).total_seconds()
        self._over = self.means.monotonic() + left

    @property
    def patience(self) -> float:
        """Seconds to go on trying."""
        return PATIENCE * self.plan.patience_ms / 1000

    def until_closed(self) -> None:
        """Wait for the runner's end or for the deadline; whatever is owed then is put back."""
        helped = False
        while not self.gone(TICK):
            if not helped and self._stuck():
                self.say("the deadline has passed and the drill has not begun to undo: undoing beside it")
                self._beside()
                helped = True
        self._succeed()

    def _stuck(self) -> bool:
        now = self.means.monotonic()
        if self.means.clock() < self.plan.change.deadline and now < self._over:
            return False
        if self._late_since is None:
            self._late_since = now
        state = self._state()
        if state is None or state.phase is not Phase.OWED:
            return False
        late = now - self._late_since
        return late >= (self.grace + self.patience if state.undoing else self.grace)

    def _state(self) -> State | None:
        try:
            return fold(entry.record for entry in read(self.directory))
        except (KeycheckError, OSError):
            return None

    def _beside(self, *, alone: bool = False) -> None:
        """Without the lock, until the world stands as before or the runner moves. `alone`: no runner is left."""
        result = restore(
            self.plan,
            self.tools,
            Book(None),
            patience=self.patience,
            give_up=lambda: not alone and (self.gone(0.0) or self._moved()),
        )
        self.say(f"{'restored' if isinstance(result, Restored) else 'not proved'}: {result.words}")

    def _moved(self) -> bool:
        state = self._state()
        return state is not None and (state.undoing or state.phase is not Phase.OWED)

    def _succeed(self) -> None:
        """The runner is gone: become the writer, or do without when the journal cannot be written."""
        journal = self._take()
        if isinstance(journal, str):
            self.say(f"restoring without the journal: {journal}")
            self._beside(alone=True)
            return
        try:
            state = journal.state
            if state.phase is Phase.CLOSED or state.phase is Phase.STOPPED:
                return
            self.say("the drill has gone and its change is not closed: recovering")
            recovery = drive(state, self.tools, Book(journal), patience=self.patience, give_up=lambda: False)
            self.say(f"{recovery.result.value}: {recovery.words}")
        finally:
            journal.close()

    def _take(self) -> Journal | str:
        began = self.means.monotonic()
        wait = 0.02
        while True:
            try:
                return Journal(self.directory, Writer.WATCHDOG, self.means.clock)
            except JournalBusyError as error:
                if self.means.monotonic() - began > self.patience:
                    return str(error)
                self.means.sleep(wait)
                wait = min(wait * 2, 1.0)
            except (KeycheckError, OSError) as error:
                return str(error) if isinstance(error, KeycheckError) else error.strerror or type(error).__name__


def pipe_gone(descriptor: int, parent: int) -> Callable[[float], bool]:
    """Waits for the end of the pipe; a parent that changed counts too (somebody else may have inherited the pipe)."""

    def gone(seconds: float) -> bool:
        readable, _, _ = select.select([descriptor], [], [], seconds)
        if readable and not os.read(descriptor, 4096):
            return True
        return os.getppid() != parent

    return gone


def _sayer(directory: Path, means: Means) -> Callable[[str], None]:
    def say(words: str) -> None:
        line = f"{format_instant(means.clock())} {vendor_text(words)}\n".encode()

        def write() -> None:
            descriptor = os.open(directory / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                if os.fstat(descriptor).st_size < MAX_LOG:
                    os.write(descriptor, line)
            finally:
                os.close(descriptor)

        guarded(write)  # a full disk must not end the watch

    return say


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Say `ready` once everything that restoring needs is at hand, then watch. 0 unless it could not begin."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    parent = os.getppid()
    home, drill = Home(Path(arguments[0])), arguments[1]
    directory = home.directory(drill)
    means = Means(load_registry(), environment, sleep=time.sleep)
    say = _sayer(directory, means)

    def begin() -> Watch | str:
        try:
            plan = fold(entry.record for entry in read(directory)).plan
            if plan is None:
                return "nothing is planned"
            tools = tools_for(plan, directory, means)
        except KeycheckError as error:
            return str(error)
        return Watch(directory, plan, tools, means, pipe_gone(0, parent), say)

    watch = guarded(begin)
    if not isinstance(watch, Watch):
        words = f"crashed: {watch}" if isinstance(watch, Crash) else watch
        _answer(vendor_text(words).encode("utf-8") + b"\n")
        return 1
    _answer(READY)
    done = guarded(watch.until_closed)
    if isinstance(done, Crash):
        say(f"crashed: {done}")
        return 1
    return 0


def _answer(line: bytes) -> None:
    """One line to the runner, who then listens no more."""
    guarded(lambda: os.write(1, line))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _entry() -> NoReturn:
    found = neutralise_openssl_conf(os.environ).found
    sys.exit(main(sys.argv[1:], {name: hashlib.sha256(value.encode()).hexdigest() for name, value in found}))


if __name__ == "__main__":
    _entry()
