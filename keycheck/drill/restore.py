"""Putting back: drive the world to what the journal says was there before, and see that it stays so.

Driven by what is there, never by what was done last. The undo is issued once whatever a first, perhaps stale, reading
says; then the world is read until it stands as before, and the undo is issued again only after long waits, as
every write may start a cloud's propagation anew: a fake whose timer restarts was never restored by an undo every
200 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar, assert_never

from keycheck.boundary import Crash, guarded
from keycheck.canonical import CanonicalError
from keycheck.drill.journal import Journal
from keycheck.drill.records import Closed, Closing, Found, Halt, Halted, Observed, Planned, Record, UndoIntended
from keycheck.errors import KeycheckError, ProbeError
from keycheck.model.drill import Mechanism, Standing, Where
from keycheck.model.probe import Io
from keycheck.model.types import vendor_text
from keycheck.model.verdict import Reason

T = TypeVar("T")

TELL: Final = 15.0
"""Seconds after which whoever watches is told again what has not changed."""
MAX_FOUND: Final = 500
"""Readings kept of one restore; what comes after is only acted on."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A call of the mechanism that gave no answer."""

    reason: Reason
    words: str


def attempt(call: Callable[[], T]) -> T | Failed:
    """The result of a mechanism's call, or why there is none; never an exception but an interrupt."""

    def inner() -> T | Failed:
        try:
            return call()
        except ProbeError as error:
            return Failed(error.reason, vendor_text(str(error)))

    result = guarded(inner)
    return Failed(Reason.PROBE_CRASHED, vendor_text(f"crashed: {result}")) if isinstance(result, Crash) else result


class Book:
    """A journal that never keeps a restore from going on: what it cannot write (a full disk) is remembered."""

    def __init__(self, journal: Journal | None, watch: Callable[[Record], None] = lambda record: None) -> None:
        """None: somebody else holds the journal, and nothing is written."""
        self._journal = journal
        self._watch = watch
        self.troubles: list[str] = []

    def note(self, record: Record) -> bool:
        """Write the record; false when it is not on disk."""
        self.tell(record)
        if self._journal is None:
            return False
        try:
            self._journal.append(record)
        except (OSError, KeycheckError, CanonicalError) as error:
            why = error.strerror if isinstance(error, OSError) else None
            words = vendor_text(f"the journal does not hold `{record.type}`: {why or type(error).__name__}")
            if words not in self.troubles:
                self.troubles.append(words)
            return False
        return True

    def tell(self, record: Record) -> None:
        """Tell whoever watches; his crash is his own."""
        guarded(lambda: self._watch(record))


@dataclass(frozen=True, slots=True)
class Tools:
    """What restoring uses of the world; times in seconds."""

    mechanism: Mechanism
    io: Io
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    poll: float = 0.25
    """Between two readings at first; longer and longer up to `slowest`."""
    slowest: float = 5.0
    reissue: float = 20.0
    """After an undo that was accepted; twice as long each time, up to `rarest`."""
    rarest: float = 300.0


@dataclass(frozen=True, slots=True)
class Restored:
    """The world stood as before, twice, with the settle interval between."""

    words: str


@dataclass(frozen=True, slots=True)
class NotRestored:
    """It could not be shown to."""

    why: Halt
    words: str


@dataclass(slots=True)
class _Undo:
    """When the undo is issued (again)."""

    tools: Tools
    due: float
    wait: float = field(init=False)
    retry: float = field(init=False)
    failed: str = ""

    def __post_init__(self) -> None:
        self.wait = self.tools.reissue
        self.retry = self.tools.poll

    def issue(self, plan: Planned, book: Book) -> None:
        book.note(UndoIntended())
        tools = self.tools
        result = attempt(lambda: tools.mechanism.undo(plan.change, plan.before, tools.io))
        now = tools.monotonic()
        if isinstance(result, Failed):
            self.due, self.retry = now + self.retry, min(self.retry * 2, tools.reissue)
            self.failed = f"the undo was not accepted: {result.words}"
            book.note(Observed(words=vendor_text(self.failed)))
        else:
            self.due, self.wait = now + self.wait, min(self.wait * 2, tools.rarest)
            self.failed = ""


def restore(
    plan: Planned,
    tools: Tools,
    book: Book,
    *,
    patience: float,
    look_first: bool = False,
    give_up: Callable[[], bool] = lambda: False,
) -> Restored | NotRestored:
    """Undo, then read until the world has stood as before for the settle interval. Writes the records, the last one
    too; raises nothing but interrupts.

    `look_first`: a foreign change was seen before, so nothing is undone unless the world reads as ours to undo.
    """
    settle = plan.settle_ms / 1000
    began = tools.monotonic()
    undo = _Undo(tools, due=began)
    if not look_first:
        undo.issue(plan, book)
    last: Found | None = None
    kept = 0
    since: float | None = None
    pause = tools.poll
    told = began
    while True:
        found = standing(plan, tools)
        now = tools.monotonic()
        if found != last and kept < MAX_FOUND:
            book.note(found)
            kept += 1
            pause = tools.poll
            told = now
        elif now - told >= TELL:
            book.tell(found)
            told = now
        last = found
        match found.where:
            case Where.FOREIGN:
                return _halted(Halt.FOREIGN, found.words, book)
            case Where.RESTORED:
                if since is not None and now - since >= settle:
                    book.note(Closed(outcome=Closing.RESTORED, words=found.words))
                    return Restored(found.words)
                since = now if since is None else since
            case Where.CHANGED:
                since = None
                if now >= undo.due:
                    undo.issue(plan, book)
            case _:
                assert_never(found.where)
        # A world that already stands as before is given its settle interval even when patience has run out.
        if give_up() or (since is None and tools.monotonic() - began >= patience):
            return _halted(Halt.NOT_PROVED, undo.failed or found.words, book)
        tools.sleep(pause if since is None else min(pause, max(0.001, settle - (now - since))))
        pause = min(pause * 1.5, tools.slowest)


def standing(plan: Planned, tools: Tools) -> Found:
    """Where the world stands; not known is changed."""
    result = attempt(lambda: tools.mechanism.standing(plan.change, plan.before, tools.io))
    match result:
        case Failed():
            return Found(where=Where.CHANGED, words=vendor_text(f"cannot be told: {result.words}"))
        case Standing():
            return Found(where=result.where, words=vendor_text(result.words))
        case _:
            assert_never(result)


def _halted(why: Halt, words: str, book: Book) -> NotRestored:
    book.note(Halted(why=why, words=vendor_text(words)))
    return NotRestored(why, vendor_text(words))


def withdraw(
    plan: Planned, tools: Tools, book: Book, words: str, *, patience: float, died: bool = False
) -> Restored | NotRestored | None:
    """Close a drill that took nothing away, tidying up what its rehearsal may have left; None when there was nothing,
    or when the world cannot be read, which is said in the journal. A rehearsal has no effect, so that is no restore
    that failed.

    `died`: the process that rehearsed did, and what it had sent may arrive yet: looked at again after the settle
    interval.
    """

    def look() -> Standing | Failed:
        return attempt(lambda: tools.mechanism.standing(plan.change, plan.before, tools.io))

    if (left := _tidied(plan, tools, died=died)) is not None:
        book.note(Closed(outcome=Closing.UNTOUCHED, words=vendor_text(words + left)))
        return None
    undo = _Undo(tools, due=tools.monotonic())
    undo.issue(plan, book)
    result = look()
    if died and isinstance(result, Standing) and result.where is Where.RESTORED:
        tools.sleep(plan.settle_ms / 1000)
        result = look()
    if isinstance(result, Standing) and result.where is Where.CHANGED:
        return restore(plan, tools, book, patience=patience)
    if isinstance(result, Standing) and result.where is Where.RESTORED and not undo.failed:
        tail = ""
    else:
        seen = undo.failed or result.words
        tail = f"; whether the rehearsal left anything could not be seen: {seen}"
    book.note(Closed(outcome=Closing.UNTOUCHED, words=vendor_text(words + tail)))
    return None


def _tidied(plan: Planned, tools: Tools, *, died: bool) -> str | None:
    """What is left, as words to be added; None: the mechanism has no way of its own."""

    def tidy() -> str | None:
        return tools.mechanism.tidy(plan.change, plan.before, tools.io)

    result = attempt(tidy)
    if died and result is not None:
        tools.sleep(plan.settle_ms / 1000)
        result = attempt(tidy)
    if isinstance(result, Failed):
        return f"; whether the rehearsal left anything could not be seen: {result.words}"
    return f"; {result}" if result else result
