"""The probe: code that observes one kind of subject from one vantage. It records facts; it never judges."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final, Generic, Literal, TypeAlias, TypeVar

from keycheck.model.authorization import Technique
from keycheck.model.control import Control
from keycheck.model.deployment import Identity, Subject, SubjectEntry, Vantage
from keycheck.model.facts import Census, Facts, Unseen
from keycheck.model.observation import Blob
from keycheck.model.once import Once
from keycheck.model.types import Clock, Entropy, PartName
from keycheck.model.verdict import Assurance

S = TypeVar("S", bound=Subject)
R = TypeVar("R")
"""Result of one unit of work: any picklable value."""

Resolver: TypeAlias = Callable[[str, float], Sequence[str]]
"""`(host, seconds) -> addresses`, IPv4 and IPv6 as text. Raises ProbeError when it cannot tell."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Io:
    """Everything of the world that a probe may use. All of it is picklable."""

    vantage: Vantage
    budget: float
    """Seconds that this unit of work may take; work stops by itself before they are over."""
    demands: tuple[Control, ...]
    """The controls that the facts are for: what a contract forbids is what a probe asks about."""
    samples: int
    """Tries that the profile demands."""
    authorized: frozenset[Technique]
    """What may be done to this subject, now, from this vantage."""
    base: Path
    """Directory of the deployment file, for its relative paths."""
    environment: Mapping[str, str]
    """Names like `OPENSSL_CONF` that were neutralised at start, and their values' digests."""
    resolver: Resolver
    clock: Clock
    entropy: Entropy
    monotonic: Callable[[], float] = time.monotonic
    identities: tuple[Identity, ...] = ()
    """The credentials that the deployment names."""
    once: Once = field(default_factory=Once)
    """What the units of work of one run share, such as cloud clients."""
    subjects: tuple[SubjectEntry, ...] = ()
    """Everything that the deployment names, for a subject that refers to another."""
    given: object = None
    """What an earlier step hands to this unit of work; see `Round`."""
    stopped: Callable[[], bool] = _never
    """Whether somebody wants out, for long work and for waits before anything is changed; in other processes it never
    says so. Putting back never asks."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a probe concludes about a part: facts or the reason why there are none, and raw bytes."""

    part: PartName | None
    """None only in the engine's own record of a census."""
    facts: Facts | Unseen
    assurance: Assurance | None = None
    """How the facts are known; None takes the facts' own default."""
    blobs: tuple[Blob, ...] = ()
    times: tuple[datetime, datetime] | None = None
    """When it was seen, first and last, where that is not now: what is read again is as old as it was."""


@dataclass(frozen=True, slots=True)
class Round:
    """Units of work that are not one a part: pieces of a large subject, or what only now can be asked.

    Everything in `record` is written down before any of the units starts.
    """

    units: Mapping[PartName, object]
    """Name of each unit and what it is given, as `Io.given`: any picklable value."""
    pool: Literal["threads", "processes"] | None = None
    """Where they run; None for the probe's own pool. `threads` stay in this very process."""
    limit: float | None = None
    """Seconds for one unit; None for the probe's own limit."""
    record: tuple[Observed, ...] = ()


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A census whose parts are not the units of work, with the first round of those."""

    census: Census
    first: Round
    known: object = None
    """What the survey learned besides; `fold` finds it under the name `SURVEY`."""


SURVEY: Final[PartName] = "survey"
"""The name under which `gathered` holds what the survey learned."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One line of a plan: what will be touched, and how."""

    what: str
    credential: str
    changes: bool
    technique: Technique
    connections: int
    seconds: int
    """Upper bound, from the probe's own time limits."""
    cost: str = "none"
    calls: int = 0
    """Requests to an API that counts and throttles them; an estimate where a listing has pages."""


class Probe(ABC, Generic[S, R]):
    """Four steps: `survey` the parts, `work` on each, `fold` the results, `conclude`.

    `survey` and `work` touch the world and run in workers; `fold` and `conclude` are pure and run in
    the engine. `fold` is commutative; a lost unit of work arrives as `Unseen`. Say in the docstring what the
    facts prove and what they do not.
    """

    id: ClassVar[str]
    """`area.kind`, as in `tls.endpoint`; the area is the name of the entry point."""
    version: ClassVar[int]
    section: ClassVar[str]
    facts: ClassVar[type[Facts]]
    """What `conclude` yields; one probe, one kind of facts."""
    pool: ClassVar[Literal["threads", "processes"]] = "threads"
    limit: ClassVar[float] = 60.0
    """Seconds that one unit of work may take before the engine calls it overdue."""

    @abstractmethod
    def touches(self, subject: S, io: Io) -> Iterable[Touch]:
        """What observing the subject will touch. Pure: `keycheck plan` calls it and touches nothing."""

    @abstractmethod
    def survey(self, subject: S, io: Io) -> Census | Surveyed:
        """Which parts there are, or why that is open. With a plain census each part is one unit of work."""

    def lane(self, subject: S, part: PartName) -> str:
        """What the part shares with others that must not be looked at side by side, e.g. a server's address:
        a server that limits its clients must not be met by all of ours at once. Empty: nothing."""
        return ""

    @abstractmethod
    def work(self, subject: S, part: PartName, io: Io) -> R:
        """One unit of work. Raises ProbeError; returns values, never exceptions."""

    def fold(
        self, gathered: Mapping[PartName, R | Unseen], part: PartName, result: R | Unseen
    ) -> Mapping[PartName, R | Unseen]:
        """Add one result. The default keeps results by part; override it to merge bulk data."""
        return {**gathered, part: result}

    def counted(self, result: R) -> int:
        """Rows that the result of a unit of work stands for; for progress alone."""
        return 0

    def more(self, subject: S, gathered: Mapping[PartName, R | Unseen], io: Io) -> Round | None:
        """What is to be done now that everything asked for has come back, asked until it says None: a sample can
        only be drawn of what was seen. Runs in the engine; touches nothing but time and randomness."""
        return None

    @abstractmethod
    def conclude(self, subject: S, gathered: Mapping[PartName, R | Unseen]) -> Iterable[Observed]:
        """What is to be recorded, one sighting a part."""


class PartProbe(Probe[S, Observed]):
    """A probe whose parts stand alone: `work` already returns the sighting of its part."""

    def conclude(self, subject: S, gathered: Mapping[PartName, Observed | Unseen]) -> Iterable[Observed]:
        """Each result as it is, in the order of the parts' names."""
        for part, result in sorted(gathered.items()):
            yield Observed(part, result) if isinstance(result, Unseen) else result


WHOLE: PartName = "whole"
"""The only part of a subject that is its own part."""


class SimpleProbe(PartProbe[S]):
    """A probe whose subject is its only part: write `observe` and `touches`, nothing else."""

    def survey(self, subject: S, io: Io) -> Census:
        """One part: the whole."""
        return Census(parts=(WHOLE,))

    def work(self, subject: S, part: PartName, io: Io) -> Observed:
        """Observe the whole subject."""
        return self.observe(subject, io)

    @abstractmethod
    def observe(self, subject: S, io: Io) -> Observed:
        """The sighting, with `part=WHOLE`."""
