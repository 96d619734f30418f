"""The observation: what one probe saw of one part from one vantage, with its raw bytes by commitment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from keycheck.model.facts import Outcome
from keycheck.model.types import Count, Digest, Instant, Model, Name, PartName, SubjectId


class Disposition(StrEnum):
    """How original bytes are kept."""

    PUBLIC = "public"
    SEALED = "sealed"
    DIGEST_ONLY = "digest-only"


@dataclass(frozen=True, slots=True)
class Blob:
    """Original bytes that a probe hands to the engine beside its facts."""

    name: str
    """What it is, e.g. `transcript`; unique within its observation."""
    content: bytes
    media_type: str = "application/octet-stream"
    disposition: Disposition = Disposition.PUBLIC


class BlobRef(Model):
    """A blob in the evidence: its file name is the salted commitment, so it can be withheld unguessed."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
    commitment: Digest
    bytes: Count
    """Length of the original bytes, without the salt."""
    media_type: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.+-]+/[a-z0-9.+-]+$", max_length=100)]
    disposition: Disposition


class Observation(Model):
    """One line of observations.jsonl. Sequence, probe, vantage and time are stamped by the engine."""

    seq: Annotated[int, Field(ge=1)]
    run: Digest
    """SHA-256 of run-start.json: the plan that this observation was made under."""
    salt: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    """128 random bits, so that a line that is withheld later cannot be guessed from its leaf hash."""
    subject: SubjectId
    part: PartName | None
    """None: about the subject as a whole (a census, or a subject that could not be looked at)."""
    vantage: Name
    probe: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.-]*/[0-9]+$")]
    """Probe and its version, as in `tls.endpoint/1`."""
    schema_id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.-]*/[0-9]+$")] = Field(alias="schema")
    started: Instant
    duration_us: Count
    """Monotonic, in microseconds."""
    outcome: Outcome
    blobs: tuple[BlobRef, ...] = ()

    @property
    def ended(self) -> datetime:
        """When looking was over."""
        return self.started + timedelta(microseconds=self.duration_us)
