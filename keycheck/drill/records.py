"""What a drill's journal holds: one frozen model a record, pure data, no secrets."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from keycheck.model.drill import Change, Where
from keycheck.model.types import CanonicalJson, Count, Digest, Instant, Model, VendorText


class Writer(StrEnum):
    """Who wrote a line."""

    RUNNER = "runner"
    WATCHDOG = "watchdog"
    RECOVERY = "recovery"
    PERSON = "person"


class Closing(StrEnum):
    """How a drill ended."""

    RESTORED = "restored"
    """The world was seen as before, twice, with the settle interval between."""
    UNTOUCHED = "untouched"
    """Refused before anything was taken away."""
    DISMISSED = "dismissed"
    """A person says that the world is as it should be; nothing was proved."""


class Halt(StrEnum):
    """Why nobody goes on by himself."""

    FOREIGN = "foreign"
    """Somebody else changed the same thing: a person must look; nothing is overwritten."""
    NOT_PROVED = "not-proved"
    """Patience ran out before the world was seen as before."""


class Planned(Model):
    """What is to be changed and what was there before: all that another process needs to put it back."""

    type: Literal["planned"] = "planned"
    change: Change
    before: CanonicalJson
    settle_ms: Count
    """How long the restored world must stay so before that counts."""
    patience_ms: Count
    """How long whoever restores goes on trying."""


class Intended(Model):
    """From here on the change may have been made, and the undo is owed."""

    type: Literal["intended"] = "intended"


class Acted(Model):
    """The change was accepted."""

    type: Literal["acted"] = "acted"


class Observed(Model):
    """Something worth keeping, in words."""

    type: Literal["observed"] = "observed"
    words: VendorText


class UndoIntended(Model):
    """The undo is about to be issued (again)."""

    type: Literal["undo-intended"] = "undo-intended"


class Found(Model):
    """Where the world stood; written when that changes."""

    type: Literal["found"] = "found"
    where: Where
    words: VendorText


class Closed(Model):
    """Nothing is owed any more. Always the last record."""

    type: Literal["closed"] = "closed"
    outcome: Closing
    words: VendorText


class Halted(Model):
    """Whoever wrote this has stopped, and could not prove that the world is as before."""

    type: Literal["halted"] = "halted"
    why: Halt
    words: VendorText


Record: TypeAlias = Annotated[
    Planned | Intended | Acted | Observed | UndoIntended | Found | Closed | Halted, Field(discriminator="type")
]


class Entry(Model):
    """One line of a journal."""

    seq: Annotated[int, Field(ge=1, le=1_000_000)]
    prev: Digest
    """SHA-256 of the line before, without its newline; zeros before the first."""
    at: Instant
    by: Writer
    record: Record
