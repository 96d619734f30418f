"""One drill from end to end: look, plan, rehearse, take away, watch, put back, prove it.

What is about to be done stands on disk before it is done. From the intent on, whatever happens in this process (an
exception, Ctrl-C, SIGTERM, a second Ctrl-C) leads through the undo; whatever happens to this process leads
through the watchdog or a recovery. Nothing is retried but the undo.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import FrameType
from typing import Final, assert_never

from keycheck.boundary import guarded as kept_apart
from keycheck.canonical import CanonicalError
from keycheck.drill.guard import Guard
from keycheck.drill.held import Ending, Held
from keycheck.drill.home import Home
from keycheck.drill.journal import Journal
from keycheck.drill.kit import Kit
from keycheck.drill.phases import Phase
from keycheck.drill.records import (
    Acted,
    Closed,
    Closing,
    Entry,
    Intended,
    Observed,
    Planned,
    Record,
)
from keycheck.drill.restore import Book, Failed, NotRestored, Restored, Tools, attempt, restore, withdraw
from keycheck.errors import KeycheckError
from keycheck.model.drill import Change, Mechanism
from keycheck.model.probe import Io
from keycheck.model.types import format_instant, vendor_text
from keycheck.model.verdict import ExitCode, Reason

PATIENCE: Final = timedelta(minutes=20)
"""Cloud IAM says `potentially 7 minutes or longer`; twice that, and some."""

During = Callable[[Held], None]


class Result(StrEnum):
    """What a drill leaves behind."""

    RESTORED = "restored"
    UNTOUCHED = "untouched"
    """Nothing was taken away."""
    NOT_PROVED = "not-proved"
    """A person must look, now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a drill went, as far as changing the world is concerned; what was seen is the watcher's."""

    drill: str
    result: Result
    words: str
    reason: Reason | None
    """Why nothing was taken away, or why the act failed."""
    ending: Ending | None
    """Why holding ended; None when it never began."""
    by_hand: tuple[str, ...]
    """What a person must do; only where restoring was not proved."""
    troubles: tuple[str, ...]
    """What else went wrong: a journal that could not be written to the end, a watcher that crashed."""
    entries: tuple[Entry, ...]
    """The journal."""

    @property
    def exit_code(self) -> ExitCode:
        """6 when restoring is not proved; the verdict is for the judge."""
        return ExitCode.NOT_RESTORED if self.result is Result.NOT_PROVED else ExitCode.MET

    def moment(self, kind: str, *, last: bool = False) -> datetime | None:
        """When the first (or last) record of a type was written: `acted`, `undo-intended`, `closed`."""
        found = [entry.at for entry in self.entries if entry.record.type == kind]
        return (found[-1] if last else found[0]) if found else None


@contextmanager
def interrupts(stop: threading.Event, told: Callable[[], None] = lambda: None) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP set the event, however often they come; `told` is called each time. Only the main
    thread can have them; elsewhere the caller sees to it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        kept_apart(told)  # it may have come in the middle of a line

    ours = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = tuple(each for each in ours if signal.getsignal(each) is not signal.SIG_IGN)  # nohup stays nohup
    previous = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def run(
    change: Change,
    mechanism: Mechanism,
    io: Io,
    home: Home,
    kit: Kit,
    *,
    during: During,
    settle: timedelta,
    stop: threading.Event,
    patience: timedelta = PATIENCE,
    until: datetime | None = None,
    guarded: bool = True,
    watch: Callable[[Record], None] = lambda record: None,
    interrupted: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Run one drill; returns when the world is as before, or when that could not be proved within `patience`.

    `until`: when holding ends at the latest; the change's deadline unless given, and never later. `guarded`: with a
    watchdog. `watch` is told every record before it is written, `interrupted` every signal. `during` must not fork
    without exec: a child would hold the journal's lock. Raises DrillOpenError, UsageError, IntegrityError, OSError
    before anything is touched.
    """
    with interrupts(stop, interrupted):
        journal = home.open(change.drill, kit, io.clock)
        tools = Tools(mechanism, io, sleep, monotonic)
        drill = _Drill(change, tools, home, journal, Book(journal, watch), during, settle, patience, stop)
        drill.until = min(until or change.deadline, change.deadline)
        drill.wants_guard = guarded
        try:
            outcome = drill.run()
        finally:
            journal.close()  # first, or the watchdog would wait for us and we for it
            if drill.guard is not None:
                drill.guard.release(wait=drill.closed)
    return outcome


@dataclass(slots=True)
class _Drill:
    change: Change
    tools: Tools
    home: Home
    journal: Journal
    book: Book
    during: During
    settle: timedelta
    patience: timedelta
    stop: threading.Event
    until: datetime = field(init=False)
    wants_guard: bool = True
    guard: Guard | None = None
    closed: bool = False
    ending: Ending | None = None
    reason: Reason | None = None

    def run(self) -> Outcome:
        change, io, mechanism = self.change, self.tools.io, self.tools.mechanism
        if refused := self._refusal():
            return self._refuse(*refused)
        before = attempt(lambda: mechanism.look(change, io))
        if isinstance(before, Failed):
            return self._refuse(before.reason, f"what is there cannot be read: {before.words}")
        plan = Planned(
            change=change,
            before=before,
            settle_ms=_milliseconds(self.settle),
            patience_ms=_milliseconds(self.patience),
        )
        if failure := self._write(plan):
            return self._refuse(Reason.UNSUPPORTED, failure)
        if self.wants_guard:
            try:
                self.guard = Guard(self.home.root, change.drill)
            except OSError as error:
                return self._refuse(Reason.TOOL_MISSING, f"the watchdog does not start: {error.strerror}")
        rehearsed = attempt(lambda: mechanism.rehearse(change, before, io))
        if isinstance(rehearsed, Failed):
            return self._withdraw(plan, rehearsed.reason, f"putting back could not be rehearsed: {rehearsed.words}")
        if self.guard is not None and (lacks := self.guard.ready()):
            return self._withdraw(plan, Reason.TOOL_MISSING, f"the watchdog is not ready: {lacks}")
        if refused := self._refusal():
            return self._withdraw(plan, *refused)
        if failure := self._write(Intended()):
            return self._withdraw(plan, Reason.UNSUPPORTED, failure)
        try:
            self._act_and_watch(plan)
        finally:  # also when an interrupt is raised through us
            restored = restore(plan, self.tools, self.book, patience=self.patience.total_seconds())
        match restored:
            case Restored():
                return self._outcome(Result.RESTORED, restored.words)
            case NotRestored():
                return self._outcome(Result.NOT_PROVED, restored.words)
            case _:
                assert_never(restored)

    def _act_and_watch(self, plan: Planned) -> None:
        change, io, mechanism = self.change, self.tools.io, self.tools.mechanism
        if refused := self._refusal():  # this process may have been stopped for hours between two lines
            self.ending, self.reason = Ending.STOPPED, refused[0]
            self.book.note(Observed(words=vendor_text(f"not acted: {refused[1]}")))
            return
        acted = attempt(lambda: mechanism.act(change, plan.before, io))
        if isinstance(acted, Failed):
            # It may have been done all the same: the answer was lost, not necessarily the request.
            self.ending, self.reason = Ending.FAILED, acted.reason
            self.book.note(Observed(words=vendor_text(f"the act was not accepted: {acted.words}")))
            return
        self.book.note(Acted())
        held = Held(
            since=io.clock(),
            until=self.until,
            home=self.home,
            stop_event=self.stop,
            clock=io.clock,
            sleep=self.tools.sleep,
            monotonic=self.tools.monotonic,
            append=self._append,
            guarded=lambda: self.guard is None or self.guard.alive(),
        )
        watched = attempt(lambda: self.during(held))
        if isinstance(watched, Failed):
            self.ending, self.reason = Ending.FAILED, watched.reason
            self.book.troubles.append(f"watching failed: {watched.words}")
        else:
            self.ending = held.ended() or Ending.FINISHED
        words = held.condition or (watched.words if isinstance(watched, Failed) else "")
        self.book.note(Observed(words=vendor_text(f"let go: {self.ending.value}" + (f": {words}" if words else ""))))

    def _append(self, record: Record) -> None:
        self.book.tell(record)
        self.journal.append(record)

    def _refusal(self) -> tuple[Reason, str] | None:
        if self.stop.is_set():
            return Reason.INTERRUPTED, "stopped before anything was taken away"
        if (why := self.home.halted()) is not None:
            return Reason.NOT_AUTHORIZED, f"the halt lever is pulled: {why}"
        if self.tools.io.clock() >= self.until:
            return Reason.TIMEOUT, f"it is past {format_instant(self.until)}, when the change must be undone"
        return None

    def _write(self, record: Record) -> str | None:
        """Write what must be on disk before going on; why it is not."""
        try:
            self._append(record)
        except (OSError, KeycheckError, CanonicalError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            return f"the journal cannot be written: {why or type(error).__name__}"
        return None

    def _refuse(self, reason: Reason, words: str) -> Outcome:
        self.reason = reason
        self.book.note(Closed(outcome=Closing.UNTOUCHED, words=vendor_text(words)))
        return self._outcome(Result.UNTOUCHED, words)

    def _withdraw(self, plan: Planned, reason: Reason, words: str) -> Outcome:
        self.reason = reason
        result = withdraw(plan, self.tools, self.book, words, patience=self.patience.total_seconds())
        if isinstance(result, NotRestored):
            return self._outcome(Result.NOT_PROVED, f"{words}; then: {result.words}")
        return self._outcome(Result.UNTOUCHED, words)

    def _outcome(self, result: Result, words: str) -> Outcome:
        self.closed = self.journal.state.phase is Phase.CLOSED
        return Outcome(
            drill=self.change.drill,
            result=result,
            words=vendor_text(words),
            reason=self.reason,
            ending=self.ending,
            by_hand=self.change.by_hand if result is Result.NOT_PROVED else (),
            troubles=tuple(self.book.troubles),
            entries=self.journal.entries,
        )


def _milliseconds(time_: timedelta) -> int:
    return max(0, time_ // timedelta(milliseconds=1))
