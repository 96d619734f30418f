"""What drills left behind in the world, found without any journal: the protocol of whoever looks for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Generic, TypeAlias

from keycheck.model.drill import Standing
from keycheck.model.probe import Io, S
from keycheck.model.verdict import Reason


class Consent(StrEnum):
    """What it takes before a leftover may be removed."""

    DEADLINE = "deadline"
    """Surely a drill's, and without effect once its deadline is over. Earlier only where a person names the drill."""
    NAMED = "named"
    """Only where a person names the drill: removing it gives back what somebody may mean to be gone for good."""
    NEVER = "never"
    """Not surely a drill's, or nothing that can be removed: a person looks at it."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing in the world that bears a drill's mark."""

    mechanism: str
    """Kind of the mechanism that makes such things: `aws-deny`."""
    drill: str
    """Id of the drill; empty where the mark holds only a digest of one that is not known here."""
    where: str
    """Name in the world: an ARN, a resource name."""
    mark: str
    """What tells it from others there: a Sid, a condition's title, a tag."""
    words: str
    """What it is, and what it does there."""
    deadline: datetime | None
    """As the mark itself states it; None where it states none."""
    consent: Consent
    by_hand: tuple[str, ...] = ()
    """Commands with which a person removes it, in order."""
    owed: bool = True
    """Whether it ought to go. False: only told, as a grant that a drill made again and that is meant to stay."""


@dataclass(frozen=True, slots=True)
class Blind:
    """Where it could not be looked, and why: then nothing is known about what is there."""

    where: str
    reason: Reason
    words: str


Sighting: TypeAlias = Leftover | Blind


class Scanner(ABC, Generic[S]):
    """Looks for what drills leave in one cloud. Stateless. Every method may raise ProbeError."""

    section: ClassVar[str]
    """The deployment section whose subjects it looks at."""

    @abstractmethod
    def sees(self, subject: S) -> bool:
        """Whether the subject is in its cloud. What no scanner sees counts as not looked at."""

    @abstractmethod
    def scan(self, subject: S, io: Io, drills: Collection[str]) -> Iterable[Sighting]:
        """Everything that bears a drill's mark on one subject that it sees. Changes nothing.

        `drills`: ids that are known here, so that marks which hold a digest of one can be named.
        """

    @abstractmethod
    def clear(self, subject: S, leftover: Leftover, io: Io) -> Standing:
        """Remove what `scan` found, if it still is what was found, and say how it stands then."""
