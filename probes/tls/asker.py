"""Holds the conversations of one part: side by side, then alone and slower where nothing answered, then again.

It knows jobs and answers, not contracts. Every try is kept for the transcript.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from keycheck.turns import waiting
from probes.tls.wire.answers import Accepted, Broken, Garbage, Kind, NoAnswer, Phase, Refused
from probes.tls.wire.handshake import HandshakeAnswer, Renegotiation, Stopped
from probes.tls.wire.http_head import HttpHead
from probes.tls.wire.transport import Address, Call, Conversation, Exchange, Limits, Prelude, converse

Spoken: TypeAlias = Accepted | Refused | Broken | NoAnswer | Garbage | HandshakeAnswer | Renegotiation | HttpHead
"""Whatever a conversation of this probe can end in."""

SIDE_BY_SIDE: Final = 32
"""Connections to one address at once in the first pass: all of it, so that it takes one round trip."""
REPEATING: Final = 8
"""Connections to one address at once when questions are repeated."""
PACES_US: Final = (150_000, 400_000)
"""Least time between two connections when asking again, by round: below the usual rate limits."""
GENTLE_US: Final = 75_000
"""Least time between two connections once any was reset."""
BATCH: Final = 3
"""Time-outs that are asked again before deciding whether more is worth while."""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to ask, as often as needed."""

    key: str
    conversation: Callable[[], Conversation[Spoken]]
    address: Address
    prelude: Callable[[], Prelude | None]
    close_is_usual: bool = False
    """An ended connection is how many honest servers answer this: not asked again where all else was answered."""

    def call(self) -> Call[Spoken]:
        """A fresh connection for it."""
        return Call(self.address, self.conversation(), self.key, self.prelude())


@dataclass(slots=True)
class Tried:
    """What the tries of one job came to."""

    finals: list[Exchange[Spoken]] = field(default_factory=list)
    """One a try: the last when it was asked again."""
    asked_again: int = 0


def unanswered(spoken: Spoken) -> bool:
    """Whether asking again, alone and slower, could bring an answer: nothing came, or the server stumbled."""
    match spoken:
        case NoAnswer(kind=kind):
            return kind not in (Kind.STARTTLS_REFUSED, Kind.PROXY_REFUSED)
        case Broken():
            return True
        case Stopped(why=why):
            return isinstance(why, NoAnswer | Broken)
        case _:
            return False


def nothing_came(spoken: Spoken) -> NoAnswer | None:
    """The way in which nothing came, if so."""
    match spoken:
        case NoAnswer():
            return spoken
        case Stopped(why=NoAnswer() as how):
            return how
        case _:
            return None


class Asker:
    """Asks jobs of one part within a deadline (monotonic microseconds)."""

    def __init__(
        self,
        clock: Callable[[], int],
        deadline_us: int,
        wait_us: int,
        pause: Callable[[float], None] = time.sleep,
        source: str | None = None,
    ) -> None:
        self._clock = clock
        self._pause = pause
        self._deadline = deadline_us
        self._wait = wait_us
        self._source = source
        self._jobs: dict[str, Job] = {}
        self._tried: dict[str, Tried] = {}
        self._gentle = False
        self.log: list[Exchange[Spoken]] = []
        """Every connection, in the order in which passes were made."""

    @property
    def tried(self) -> Mapping[str, Tried]:
        """Results by job key."""
        return self._tried

    def close(self) -> None:
        """No more will be asked: let go of the jobs, which know who asked, and would keep both alive in a circle."""
        self._jobs.clear()

    def left_us(self) -> int:
        """Time that is left of the budget."""
        return self._deadline - self._clock()

    def ask(
        self,
        jobs: Sequence[Job],
        follow: Callable[[Exchange[Spoken]], Iterable[Job]] | None = None,
        at_once: int = SIDE_BY_SIDE,
    ) -> list[Exchange[Spoken]]:
        """One more try of each job, side by side; then again, alone and slower, for those without an answer."""
        if not jobs or self.left_us() <= 0:
            return []

        def added(exchange: Exchange[Spoken]) -> Iterable[Call[Spoken]]:
            return [self._register(job).call() for job in follow(exchange)] if follow is not None else ()

        calls = [self._register(job).call() for job in jobs]
        exchanges = converse(
            calls,
            clock=self._clock,
            limits=self._limits(at_once, 0),
            follow=added if follow is not None else None,
            source=self._source,
        )
        self.log += exchanges
        for exchange in exchanges:
            self._tried[exchange.label].finals.append(exchange)
        lost = [e for e in exchanges if unanswered(e.answer)]
        # A reset is how most limiters answer those who come too fast: from now on one at a time, below common limits.
        self._gentle = self._gentle or any(_was_reset(e.answer) for e in lost if not self._jobs[e.label].close_is_usual)
        # Where anything else was left unanswered too, an ended connection may be a rate limiter's doing.
        calm = all(self._jobs[e.label].close_is_usual for e in lost)
        self._ask_again(_one_where_nobody_is(exchanges, lost), calm, len(lost) < len(exchanges))
        return exchanges

    def _register(self, job: Job) -> Job:
        self._jobs[job.key] = job
        self._tried.setdefault(job.key, Tried())
        return job

    def _ask_again(self, keys: list[str], calm: bool, anybody: bool) -> None:
        """`calm`: all else was answered. `anybody`: something was, so that somebody is there to ask again."""
        keys = [key for key in keys if not (calm and _ended_early(self._last(key).answer))]
        silent = [key for key in keys if timed_out(self._last(key).answer)]
        keys = [key for key in keys if key not in silent]
        for pace in PACES_US:
            unheard = [key for key in keys if unanswered(self._last(key).answer)]
            unheard = unheard[: max(0, (self.left_us() // 2) // pace)]
            while unheard:
                size = len(unheard) if anybody else BATCH
                batch, unheard = unheard[:size], unheard[size:]
                with waiting():
                    self._pause(pace / 1_000_000)
                self._again(batch, pace)
                anybody = anybody or not all(unanswered(self._last(key).answer) for key in batch)
                if not anybody:
                    return
        # A time-out is expensive to repeat: once each, and no further when a whole batch stays silent.
        while silent and self.left_us() > 2 * BATCH * self._wait:
            batch, silent = silent[:BATCH], silent[BATCH:]
            self._again(batch, PACES_US[0])
            if all(timed_out(self._last(key).answer) for key in batch):
                return

    def _again(self, keys: list[str], pace: int) -> None:
        calls = [self._jobs[key].call() for key in keys]
        exchanges = converse(calls, clock=self._clock, limits=self._limits(1, pace), source=self._source)
        self.log += exchanges
        for exchange in exchanges:
            tried = self._tried[exchange.label]
            tried.finals[-1] = exchange
            tried.asked_again += 1

    def _last(self, key: str) -> Exchange[Spoken]:
        return self._tried[key].finals[-1]

    def _limits(self, at_once: int, pace: int) -> Limits:
        wait = max(1, min(self._wait, self.left_us()))
        return Limits(
            connect_us=wait,
            first_byte_us=wait,
            total_us=max(1, min(2 * self._wait, self.left_us())),
            in_flight=1 if self._gentle else at_once,
            per_address=1 if self._gentle else at_once,
            pace_us=max(pace, GENTLE_US) if self._gentle else pace,
        )


def _was_reset(spoken: Spoken) -> bool:
    how = nothing_came(spoken)
    return how is not None and how.kind is Kind.RESET


def timed_out(spoken: Spoken) -> bool:
    """Whether nothing came for as long as was waited."""
    how = nothing_came(spoken)
    return how is not None and how.kind is Kind.TIMEOUT


def _ended_early(spoken: Spoken) -> bool:
    """Whether the connection was ended in place of an answer."""
    return isinstance(spoken, NoAnswer) and spoken.phase is Phase.FIRST_BYTE and spoken.kind is not Kind.TIMEOUT


def _one_where_nobody_is(exchanges: Sequence[Exchange[Spoken]], lost: Sequence[Exchange[Spoken]]) -> list[str]:
    """What to ask again: everything unanswered, but only one thing of an address where not one connection stood."""
    there = {e.address for e in exchanges if e.connected_us is not None}
    gone: dict[Address, str] = {e.address: e.label for e in reversed(lost) if e.address not in there}
    return [e.label for e in lost if e.address in there or gone[e.address] == e.label]
