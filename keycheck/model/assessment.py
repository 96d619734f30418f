"""The assessment: all findings of one run, rolled up to clauses and the contract."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from keycheck.model.types import ClauseId, Count, Instant, Model, PartName, SubjectId
from keycheck.model.verdict import ExitCode, Kind, Reason, Tier

FORMAT: Literal["keycheck.dev/assessment/v1"] = "keycheck.dev/assessment/v1"

FindingId = Annotated[str, StringConstraints(pattern=r"^kc-[0-9a-f]{20}$")]


class PartVerdict(Model):
    """What one part contributes to a finding."""

    part: PartName | None
    """None: the subject as a whole (its census, or a demand on the evidence)."""
    verdict: Kind
    reasons: tuple[Reason, ...] = ()


class Finding(Model):
    """The verdict of one requirement on one subject, its parts inside."""

    id: FindingId
    """Digest of (profile, clause, control without version, subject): stable over addresses and versions."""
    clause: ClauseId
    control: str
    """`id@version`, or `planned` for a promise that has no control yet."""
    subject: SubjectId | None
    """None where no subject exists: `planned`, or `no-subject`."""
    verdict: Kind
    reasons: tuple[Reason, ...]
    parts: tuple[PartVerdict, ...]
    message: str
    """For people; outside the byte identity of an assessment."""
    observations: tuple[Annotated[int, Field(ge=1)], ...]
    """Sequence numbers that the verdict rests on."""
    waived: bool = False
    waiver: str | None = None
    contested: bool = False
    deadline: Instant | None = None


class ClauseVerdict(Model):
    """A clause's roll-up. `waived` only when every failing finding in it is."""

    id: ClauseId
    tier: Tier
    verdict: Kind
    reasons: tuple[Reason, ...] = ()
    waived: bool
    deadline: Instant | None


class Population(Model):
    """How much of what had to be seen was seen: members of E (parts x facts x vantages)."""

    expected: Count
    observed: Count


class Assessment(Model):
    """A pure function of observations, profile, deployment, waivers and `as_of`."""

    schema_id: Literal["keycheck.dev/assessment/v1"] = Field(alias="schema", default=FORMAT)
    profile: str
    deployment: str
    verdict: Kind
    exit_code: ExitCode
    as_of: Instant
    population: Population
    clauses: tuple[ClauseVerdict, ...]
    findings: tuple[Finding, ...]
