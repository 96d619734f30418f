"""What a drill changes, and how it is put back: pure data for the journal, and the protocol of whoever does it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import Annotated, ClassVar

from pydantic import Field

from keycheck.errors import ProbeError
from keycheck.model.authorization import Technique
from keycheck.model.deployment import Deployment
from keycheck.model.facts import Census
from keycheck.model.probe import Io, Observed, PartProbe, S
from keycheck.model.types import CanonicalJson, Instant, Model, Name, PartName, SubjectId, VendorText
from keycheck.model.verdict import Reason


class Change(Model):
    """One reversible change, as the journal keeps it: enough for another process to undo it. Holds no secret."""

    kind: Name
    """Which mechanism: `aws-deny`."""
    drill: Name
    """Id of the drill; part of every name that the change leaves in the world, so that it finds only its own."""
    subject: SubjectId
    body: CanonicalJson
    """The subject as its model wrote it."""
    parameters: CanonicalJson
    """As the mechanism's own model wrote them."""
    deadline: Instant
    """Restored by then, whatever happens."""
    by_hand: Annotated[tuple[VendorText, ...], Field(max_length=20)]
    """Commands with which a person puts it back, printed whenever that cannot be proved."""


class Where(StrEnum):
    """Where the world stands, compared with what was there before the change."""

    RESTORED = "restored"
    CHANGED = "changed"
    """Our change, or what follows from it, is still there or not yet known to be gone."""
    FOREIGN = "foreign"
    """Somebody else changed the same thing meanwhile: nothing may be overwritten."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the world stands, in words for the journal."""

    where: Where
    words: str


class Mechanism(ABC):
    """One way to take something away and put it back. Stateless: every process makes its own.

    Every method may raise ProbeError. `undo` is driven by what is there now, never by what was done last, removes
    only what carries the drill's id, and may be called any number of times, also when `act` never happened.
    """

    kind: ClassVar[str]
    lossless: ClassVar[bool]
    """Whether undoing leaves no trace (a new grant has a new id; rotation cannot be undone at all)."""
    expires: ClassVar[bool]
    """Whether the change ends by itself at the deadline, with nobody undoing it."""

    @abstractmethod
    def look(self, change: Change, io: Io) -> CanonicalJson:
        """What is there before, as far as undoing and judging need it. No secrets."""

    @abstractmethod
    def rehearse(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Do the undo, or a change that has no effect and its undo, before anything is taken away."""

    @abstractmethod
    def act(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Take it away. One attempt; the journal's intent is on disk."""

    @abstractmethod
    def undo(self, change: Change, before: CanonicalJson, io: Io) -> None:
        """Put it back, or find that it is."""

    def tidy(self, change: Change, before: CanonicalJson, io: Io) -> str | None:
        """Nothing was taken away yet: remove what the rehearsal may have left, and say in words what is left all the
        same. None: `undo` does that. One whose undo could also take back what somebody else did meanwhile has its
        own."""
        return None

    @abstractmethod
    def standing(self, change: Change, before: CanonicalJson, io: Io) -> Standing:
        """Where the world stands now: read back, and where the change can be felt, felt (a canary decrypts)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What whoever started the drills asks for, beyond what the contract demands."""

    technique: Technique | None = None
    """How far to go: None is the lowest that each probe has."""
    dry: bool = False
    """Look at everything, and change nothing."""
    typed: str = ""
    """The name in the world that the person typed to show that he means it; needed for what is WIDE."""
    settle: str = ""
    """Id of an earlier drill whose late logs are wanted: nothing is changed."""
    earlier: CanonicalJson | None = None
    """Its facts, from its own verified bundle."""
    confirmed: bool = False
    """The person says that he knows what cannot be undone."""
    wrapped: str = ""
    """File of new key material that was wrapped elsewhere, instead of what the deployment names."""
    token: str = ""
    """File of its import token (AWS)."""
    import_job: str = ""
    """The job whose key wrapped it (Google Cloud)."""


@dataclass(slots=True)
class Desk:
    """What a drill has besides the world: where its journal lies, who stops it, whom it tells."""

    deployment: Deployment
    file: Path
    """The deployment file."""
    home: Path
    """Where drills keep their state."""
    stop: Event
    say: Callable[[str], None]
    """A line for people while the drill goes on."""
    wish: Wish = Wish()
    unrestored: list[str] = field(default_factory=list)
    """Commands for a person, of every change that could not be proved to be put back."""
    drills: list[str] = field(default_factory=list)
    """Ids of the drills that were done."""
    locked: list[str] = field(default_factory=list)
    """Why a drill could not begin now, though it may later: another one is open."""


DRILL: PartName = "drill"
"""The only part of a drill's census: one drill is one occasion."""


class DrillProbe(PartProbe[S]):
    """A probe that changes something and provably puts it back. One task, one drill: done by itself, one after the
    other, after everything that only looks, and never tried again."""

    techniques: ClassVar[tuple[Technique, ...]] = (Technique.DRILL,)
    """What it can do, the least first."""
    reversible: ClassVar[bool] = True
    """Whether what it does can be undone. What cannot must be confirmed, whatever is authorized."""

    def technique(self, wish: Wish) -> Technique:
        """How far it goes for this wish."""
        return wish.technique if wish.technique in self.techniques else self.techniques[0]

    def needed(self, wish: Wish) -> Technique:
        """What the authorization must allow for that."""
        return Technique.PASSIVE if wish.settle or wish.dry else self.technique(wish)

    def survey(self, subject: S, io: Io) -> Census:
        """One part, the drill itself."""
        return Census(parts=(DRILL,))

    def work(self, subject: S, part: PartName, io: Io) -> Observed:
        """Drills do not run in workers. Raises ProbeError."""
        raise ProbeError(Reason.UNSUPPORTED, "a drill cannot run in a worker")

    @abstractmethod
    def drill(self, subject: S, io: Io, desk: Desk) -> Iterable[Observed]:
        """Do it; what was seen before, during and after. Raises ProbeError before anything is changed."""
