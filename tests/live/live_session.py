"""Runs the cases: one call after the other, every one recorded, everything bounded, whatever was created removed.

A case is a list of steps on keys of its own. It asserts nothing: what the cloud answers is what the recording is for.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from live_journal import Stop
from live_normal import Plain, Symbols, asked
from recording import CaseRecord, Recording, Step

CASE_SECONDS: Final = 1_800.0
"""No case runs longer, whatever it waits for."""


class CaseError(Exception):
    """A case cannot go on, because a step that the others need was refused."""


class NotOursError(Exception):
    """A case asked for a change of something that this run did not create, or is otherwise wrong itself."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a call gave: an answer, or an error's code, message and status."""

    answer: Mapping[str, object] = field(default_factory=dict, repr=False)
    shown: Plain = None
    """The answer as it may be written down."""
    code: str = ""
    message: str = ""
    status: str = ""
    """HTTP status of an error of AWS, reason of one of Google; `client` where no answer came."""
    retried: bool = False
    """Whether the SDK sent the call more than once."""

    @property
    def ok(self) -> bool:
        return not self.code


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, in seconds."""

    window: float = 90.0
    """Between the setting of a deadline (of a Deny, a binding, imported material) and the deadline."""
    propagation: float = 300.0
    logs: float = 1_200.0
    pause: float = 1.0
    """Between two tries of the same call, at least."""
    confirm: int = 3
    """How often in a row an answer must be as wanted: machines of one service learn of a change one by one."""

    @property
    def early(self) -> float:
        """How long before a deadline to begin to look; half of it is granted to clocks that differ."""
        return min(5.0, self.window / 2)


@dataclass(frozen=True, slots=True)
class Within:
    """The condition of a poll, and how many seconds it may take."""

    right: Callable[[Seen], bool]
    seconds: float


class Session(ABC):
    """The clients of one cloud, and the recording that is being made."""

    def __init__(self, recording: Recording, symbols: Symbols, stop: Stop, limits: Limits) -> None:
        self.recording = recording
        self.symbols = symbols
        self.stop = stop
        self.limits = limits
        self.kept: Mapping[str, bytes] = {}
        """Public octets to be kept in files beside the recording, by name."""
        self._case: CaseRecord | None = None
        self._ends = 0.0

    @abstractmethod
    def perform(self, operation: str, request: Mapping[str, object]) -> Seen:
        """One call. Raise NotOursError for a change of what is not ours."""

    @abstractmethod
    def clean(self) -> Sequence[str]:
        """Remove what this run created; gives what is left, in words for the user."""

    def begin(self, name: str, version: int) -> CaseRecord:
        self.symbols.chapter()
        self._case = CaseRecord(name, version)
        self._ends = time.monotonic() + CASE_SECONDS
        self.recording.cases.append(self._case)
        return self._case

    def call(self, step: str, operation: str, **request: object) -> Seen:
        """Call once and write it down."""
        written = asked(request, self.symbols)
        began = time.monotonic_ns()
        seen = self.perform(operation, request)
        self._write(step, operation, written, seen, (time.monotonic_ns() - began) // 1000)
        return seen

    def must(self, step: str, operation: str, **request: object) -> Mapping[str, object]:
        """As `call`. Raise CaseError where it was refused."""
        seen = self.call(step, operation, **request)
        if not seen.ok:
            raise CaseError(f"{step} was refused with {self.symbols.substituted(seen.code)}")
        return seen.answer

    def poll(self, step: str, operation: str, until: Callable[[Seen], bool] | Within, **request: object) -> Seen:
        """Call until the answer is as wanted or the time is over; the last answer is written down.

        What is measured goes to the first right one. Where the time is over the step is named `… (not seen)`.
        """
        within = until if isinstance(until, Within) else Within(until, self.limits.propagation)
        written = asked(request, self.symbols)
        began = time.monotonic_ns()
        ends = min(time.monotonic() + within.seconds, self._ends)
        tries = row = latency = waited = 0
        while True:
            tries += 1
            at = time.monotonic_ns()
            seen = self.perform(operation, request)
            right = within.right(seen)
            row = row + 1 if right else 0
            if row <= 1:
                now = time.monotonic_ns()
                latency, waited = (now - at) // 1000, (now - began) // 1000
            if row >= self.limits.confirm or time.monotonic() >= ends:
                break
            time.sleep(self.limits.pause)
        name = step if right else f"{step} (not seen)"
        self._write(name, operation, written, seen, latency, tries, waited)
        return seen

    def wait_until(self, moment: float) -> None:
        """Sleep to a time of `time.time()`, within the case's bounds."""
        left = min(moment - time.time(), self._ends - time.monotonic())
        if left > 0:
            time.sleep(left)

    def note(self, step: str, **facts: Plain) -> None:
        """Write down what was concluded from answers: equality of octets, for example, which are not written."""
        self._record(Step(step, "(compared)", None, dict(facts)))

    def _write(
        self, step: str, operation: str, request: Plain, seen: Seen, latency: int, tries: int = 1, waited: int = 0
    ) -> None:
        error = None
        if not seen.ok:
            error = {
                "code": self.symbols.substituted(seen.code),
                "message": self.symbols.substituted(seen.message),
                "status": seen.status,
            }
        self._record(Step(step, operation, request, seen.shown, error, latency, tries, waited))

    def _record(self, step: Step) -> None:
        if self._case is None:
            raise CaseError("no case has begun")
        if any(each.name == step.name for each in self._case.steps):
            raise NotOursError(f"two steps are called {step.name}")
        self._case.steps.append(step)


S = TypeVar("S", bound=Session)


@dataclass(frozen=True, slots=True)
class Case(Generic[S]):
    """A named sequence of steps."""

    name: str
    run: Callable[[S], None]
    settles: tuple[str, ...]
    """What is assumed about the cloud until a recording of this case says so."""
    version: int = 1
    """Raised with every change of the steps: recordings of another version are not compared."""
    needs: str = ""
    """The option without which it is skipped."""
    creates: str = ""


def run_cases(session: S, cases: Sequence[Case[S]], options: frozenset[str], say: Callable[[str], None]) -> None:
    """Every case in turn; one that cannot go on leaves the others alone. Raise whatever stops the whole run."""
    for case in cases:
        record = session.begin(case.name, case.version)
        if case.needs and case.needs not in options:
            record.outcome, record.why = "skipped", f"needs {case.needs}"
            say(f"{case.name}: skipped, needs {case.needs}")
            continue
        say(f"{case.name} …")
        try:
            case.run(session)
        except CaseError as error:
            record.outcome, record.why = "failed", str(error)
            say(f"{case.name}: {error}")
        except KeyError as error:
            record.outcome, record.why = "failed", "an answer lacks a field that the next steps need"
            say(f"{case.name}: an answer lacks {error}")
        else:
            record.outcome = "done"
    session.recording.complete = True
