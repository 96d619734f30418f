"""Recovery: whatever a drill that died has left is put back. Driven by the journal and by what is there; doing it
twice changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from keycheck.drill.home import Home
from keycheck.drill.journal import JournalBusyError, read
from keycheck.drill.kit import Kit, load, read_kit, utc_now
from keycheck.drill.phases import Phase, State, fold
from keycheck.drill.records import Closed, Closing, Planned, Record, Writer
from keycheck.drill.restore import Book, Failed, NotRestored, Restored, Tools, attempt, restore, withdraw
from keycheck.errors import KeycheckError, UsageError
from keycheck.model.drill import Mechanism
from keycheck.model.probe import Io
from keycheck.model.types import Clock, vendor_text
from keycheck.model.verdict import ExitCode
from keycheck.registry import Broken, Registry

Load = Callable[[Kit, Mapping[str, str]], Io]


class Recovered(StrEnum):
    """What a recovery came to."""

    NOTHING_TO_DO = "nothing-to-do"
    RESTORED = "restored"
    UNTOUCHED = "untouched"
    """The drill had died before it took anything away."""
    NOT_PROVED = "not-proved"
    BUSY = "busy"
    """Another process is at it: the drill runs, or its watchdog restores."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """One drill's recovery."""

    drill: str
    result: Recovered
    words: str
    by_hand: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """What the verb that asked for it ends with, for this drill alone."""
        match self.result:
            case Recovered.NOTHING_TO_DO | Recovered.RESTORED | Recovered.UNTOUCHED:
                return ExitCode.MET
            case Recovered.BUSY:
                return ExitCode.LOCKED
            case Recovered.NOT_PROVED:
                return ExitCode.NOT_RESTORED
            case _:
                assert_never(self.result)


@dataclass(frozen=True, slots=True)
class Means:
    """What recovering takes from outside."""

    registry: Registry
    environment: Mapping[str, str]
    clock: Clock = utc_now
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    load: Load = load
    give_up: Callable[[], bool] = lambda: False
    """Asked between readings: a person may leave, and recover later."""
    watch: Callable[[Record], None] = lambda record: None
    """Told every record of a recovery before it is written."""


def mechanism_of(registry: Registry, kind: str) -> Mechanism:
    """The mechanism that a journal names. Raises UsageError when it is not installed or does not load."""
    found = registry.mechanism(kind)
    if isinstance(found, Broken):
        raise UsageError(f"mechanism {kind} cannot be used: {found.message}", advice="repair or reinstall its package")
    if found is None:
        raise UsageError(f"no installed package has the mechanism {kind}", advice="install the package that ran it")
    return found()


def tools_for(plan: Planned, directory: Path, means: Means) -> Tools:
    """The mechanism and its Io, from the state directory alone. Raises KeycheckError, OSError."""
    mechanism = mechanism_of(means.registry, plan.change.kind)
    io = attempt(lambda: means.load(read_kit(directory), means.environment))
    if isinstance(io, Failed):
        raise UsageError(
            f"the kit of drill {directory.name} cannot be used: {io.words}", advice="put it back by hand as planned"
        )
    return Tools(mechanism, io, means.sleep, means.monotonic)


def drive(state: State, tools: Tools, book: Book, *, patience: float, give_up: Callable[[], bool]) -> Recovery:
    """Do what the phase asks for; the caller holds the journal."""
    plan = state.plan
    if plan is None or state.phase is Phase.CLOSED:
        raise ValueError("nothing is owed")
    drill = plan.change.drill
    words = "the drill died before it took anything away"
    if state.phase is Phase.PLANNED:
        result = withdraw(plan, tools, book, words, patience=patience, died=True)
    else:
        look_first = state.phase is Phase.STOPPED
        result = restore(plan, tools, book, patience=patience, look_first=look_first, give_up=give_up)
    match result:
        case Restored():
            return Recovery(drill, Recovered.RESTORED, result.words)
        case NotRestored():
            return Recovery(drill, Recovered.NOT_PROVED, result.words, plan.change.by_hand)
        case None:
            return Recovery(drill, Recovered.UNTOUCHED, words)
        case _:
            assert_never(result)


def recover(home: Home, drill: str, means: Means) -> Recovery:
    """Drive one drill to what was there before. Raises UsageError for one that is not there; whatever else is in the
    way makes it NOT_PROVED."""
    directory = home.directory(drill)
    if not directory.is_dir():
        raise UsageError(f"there is no drill {drill} in {home.root}", advice="see `keycheck drill status`")
    plan: Planned | None = None
    try:
        state = fold(entry.record for entry in read(directory))
        plan = state.plan
        if state.phase is Phase.CLOSED:
            return Recovery(drill, Recovered.NOTHING_TO_DO, "closed before")
        journal = home.existing(drill, means.clock, Writer.RECOVERY)
    except JournalBusyError as error:
        return Recovery(drill, Recovered.BUSY, str(error))
    except (KeycheckError, OSError) as error:
        return _unable(drill, plan, error)
    try:
        state = journal.state
        plan = state.plan
        if state.phase is Phase.CLOSED:
            return Recovery(drill, Recovered.NOTHING_TO_DO, "closed before")
        if plan is None:
            journal.append(Closed(outcome=Closing.UNTOUCHED, words="the drill died before it planned anything"))
            return Recovery(drill, Recovered.UNTOUCHED, "the drill died before it planned anything")
        tools = tools_for(plan, directory, means)
        return drive(state, tools, Book(journal, means.watch), patience=plan.patience_ms / 1000, give_up=means.give_up)
    except (KeycheckError, OSError) as error:
        return _unable(drill, plan, error)
    finally:
        journal.close()


def _unable(drill: str, plan: Planned | None, error: KeycheckError | OSError) -> Recovery:
    why = (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
    return Recovery(drill, Recovered.NOT_PROVED, vendor_text(why), plan.change.by_hand if plan else ())


def recover_all(home: Home, means: Means) -> tuple[Recovery, ...]:
    """Every drill that is not closed, one after the other; one that cannot be recovered keeps no other from it."""
    recoveries = [recover(home, directory.name, means) for directory in home.drills()]
    return tuple(each for each in recoveries if each.result is not Recovered.NOTHING_TO_DO)


def dismiss(home: Home, drill: str, words: str, clock: Clock) -> bool:
    """A person says that the subject is as it should be: the drill is closed without proof, and the journal says so.
    False: it was closed already. Raises JournalBusyError, UsageError, IntegrityError, OSError."""
    journal = home.existing(drill, clock, Writer.PERSON)
    try:
        if journal.state.phase is Phase.CLOSED:
            return False
        journal.append(Closed(outcome=Closing.DISMISSED, words=vendor_text(words)))
        return True
    finally:
        journal.close()
